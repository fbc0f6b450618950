//! A config file as a tree in which everything knows where it stands.

use std::collections::BTreeMap;

use crate::diagnostic::{Entry, Span};
use crate::model::path::Path;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) data: Data,
}

/// What a value holds.
#[derive(Debug)]
pub(super) enum Data {
    /// A fault that was told already; whoever reads it stays silent.
    Void,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// A text and what it was taken for.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) plain: bool,
    pub(super) kind: ScalarKind,
}

/// What a scalar is, by YAML's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScalarKind {
    Null,
    Bool(bool),
    Number,
    Text,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
    /// The key itself is a fault that was told already.
    pub(super) void: bool,
}

impl Node {
    pub(super) fn void(span: Span) -> Self {
        Self { span, data: Data::Void }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    /// The pairs of a mapping; none for all else.
    pub(super) fn pairs(&self) -> &[Pair] {
        match &self.data {
            Data::Map(pairs) => pairs,
            Data::Void | Data::Scalar(_) | Data::List(_) => &[],
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs().iter().find(|pair| pair.key == key && !pair.void).map(|pair| &pair.value)
    }

    /// The text of a scalar, whatever it was taken for.
    pub(super) fn raw(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(scalar) => Some(&scalar.text),
            Data::Void | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// Writes down where everything stands; what comes first stays.
    pub(super) fn places(&self, path: &Path, entries: &mut BTreeMap<Path, Entry>) {
        match &self.data {
            Data::Void | Data::Scalar(_) => {}
            Data::List(items) => {
                for (n, item) in items.iter().enumerate() {
                    let path = path.index(n);
                    entries.entry(path.clone()).or_insert(Entry { key: None, value: item.span });
                    item.places(&path, entries);
                }
            }
            Data::Map(pairs) => {
                for pair in pairs {
                    let path = path.key(&pair.key);
                    entries.entry(path.clone()).or_insert(Entry { key: Some(pair.key_span), value: pair.value.span });
                    pair.value.places(&path, entries);
                }
            }
        }
    }
}
