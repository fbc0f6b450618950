//! What each scalar is (text, number, …) is decided by serde_yaml; where it stands, by the tree of [`scan`](super::scan).
//! The two readers must see the same text: what they differ over is a fault, for people would differ over it too.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::node::{Data, Node, Scalar, ScalarKind};
use crate::diagnostic::{Diagnostic, codes};

/// YAML as serde_yaml sees it. Unlike its own `Value` it keeps keys that stand twice.
enum Plain {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Gives every scalar of the tree its kind.
pub(super) fn assign(node: &mut Node, text: &str, healthy: bool, faults: &mut Vec<Diagnostic>) {
    if !healthy {
        assign_each(node);
        return;
    }
    match serde_yaml::from_str::<Plain>(text) {
        Ok(plain) => assign_as(node, &plain, faults),
        Err(error) => {
            faults.push(
                Diagnostic::error(codes::SYNTAX, "two readers of YAML differ over this file")
                    .at_span(first_line(node))
                    .why(format!("the second one says: {error}"))
                    .help("write it in a plainer way"),
            );
            assign_each(node);
        }
    }
}

fn first_line(node: &Node) -> crate::diagnostic::Span {
    crate::diagnostic::Span { end: node.span.start, ..node.span }
}

fn assign_as(node: &mut Node, plain: &Plain, faults: &mut Vec<Diagnostic>) {
    match (&mut node.data, plain) {
        (Data::Void, _) => return,
        (Data::Scalar(scalar), Plain::Null) if scalar.plain => return scalar.kind = ScalarKind::Null,
        (Data::Scalar(scalar), Plain::Bool(value)) if scalar.plain => return scalar.kind = ScalarKind::Bool(*value),
        (Data::Scalar(scalar), Plain::Number) if scalar.plain => return scalar.kind = ScalarKind::Number,
        (Data::Scalar(scalar), Plain::Text(text)) if scalar.text == *text => return scalar.kind = ScalarKind::Text,
        (Data::List(items), Plain::List(plain)) if items.len() == plain.len() => {
            for (item, plain) in items.iter_mut().zip(plain) {
                assign_as(item, plain, faults);
            }
            return;
        }
        (Data::Map(pairs), Plain::Map(plain)) if pairs.len() == plain.len() => {
            for (pair, (_, plain)) in pairs.iter_mut().zip(plain) {
                assign_as(&mut pair.value, plain, faults);
            }
            return;
        }
        (Data::Scalar(_) | Data::List(_) | Data::Map(_), _) => {}
    }
    faults.push(
        Diagnostic::error(codes::SYNTAX, "two readers of YAML differ over this value")
            .at_span(node.span)
            .why("what programs read differently, people do too")
            .help("write it in a plainer way, for example in quotes"),
    );
    node.data = Data::Void;
}

/// Each scalar for itself, in a file that serde_yaml cannot read as a whole.
fn assign_each(node: &mut Node) {
    match &mut node.data {
        Data::Void => {}
        Data::Scalar(scalar) => scalar.kind = alone(scalar),
        Data::List(items) => items.iter_mut().for_each(assign_each),
        Data::Map(pairs) => pairs.iter_mut().for_each(|pair| assign_each(&mut pair.value)),
    }
}

fn alone(scalar: &Scalar) -> ScalarKind {
    if !scalar.plain || scalar.text.starts_with("--") {
        return ScalarKind::Text;
    }
    match serde_yaml::from_str::<Plain>(&scalar.text) {
        Ok(Plain::Null) => ScalarKind::Null,
        Ok(Plain::Bool(value)) => ScalarKind::Bool(value),
        Ok(Plain::Number) => ScalarKind::Number,
        Ok(Plain::Text(_) | Plain::List(_) | Plain::Map(_)) | Err(_) => ScalarKind::Text,
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;

        impl<'de> Visitor<'de> for PlainVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("YAML without tags")
            }

            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain::Null)
            }

            fn visit_none<E>(self) -> Result<Plain, E> {
                Ok(Plain::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain::Bool(value))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
                Ok(Plain::Number)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
                Ok(Plain::Number)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Plain, E> {
                Ok(Plain::Number)
            }

            fn visit_i128<E>(self, _: i128) -> Result<Plain, E> {
                Ok(Plain::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
                Ok(Plain::Number)
            }

            fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
                Ok(Plain::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Plain::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Plain::Map(pairs))
            }
        }

        deserializer.deserialize_any(PlainVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_get_their_kinds_alone_and_together() {
        let text = "a: 2026-11-23\nb: '1'\nc: 1\nd: no\ne: true\nf: ~\ng:\nh: 1.0\ni: 0x10\nj: 99999999999999999999\n";
        for healthy in [true, false] {
            let mut node = crate::config::scan::scan(0, text, 0).root.expect("a root");
            let mut faults = Vec::new();
            assign(&mut node, text, healthy, &mut faults);
            assert!(faults.is_empty(), "{faults:?}");
            let kinds: Vec<_> = node
                .pairs()
                .iter()
                .map(|pair| match &pair.value.data {
                    Data::Scalar(scalar) => scalar.kind,
                    Data::Void | Data::List(_) | Data::Map(_) => panic!("a scalar"),
                })
                .collect();
            use ScalarKind::{Bool, Null, Number, Text};
            assert_eq!(kinds, [Text, Text, Number, Text, Bool(true), Null, Null, Number, Number, Number]);
        }
    }
}
