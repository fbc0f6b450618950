//! Reading values of the tree as what they should be. Every reader tells what is wrong and answers `None`; nobody stops
//! at the first fault.

use super::language::{Keys, either, listed, nearest};
use super::node::{Data, Node, Pair, Scalar, ScalarKind};
use crate::diagnostic::{Code, Diagnostic, Span, codes};
use crate::model::path::{Path, Seg};

/// More words than this are only listed where none of them is near.
const MANY_WORDS: usize = 8;

/// The faults so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) list: Vec<Diagnostic>,
    /// Of a key that stands twice the last value is read, not the first.
    pub(super) last: bool,
}

/// A value, and how to speak of it.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub(super) node: &'a Node,
    /// Where its key stands; an item of a list is its own key.
    pub(super) key: Span,
    pub(super) path: Path,
}

/// A mapping whose keys were checked.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pairs: &'a [Pair],
    /// Where its key stands.
    pub(super) at: Span,
    pub(super) path: Path,
    keys: &'static Keys,
    last: bool,
}

impl<'a> Value<'a> {
    /// The last part of the path: `zones[1]`, `image`.
    pub(super) fn name(&self) -> String {
        let mut name = String::new();
        for seg in self.path.0.iter().rev() {
            match seg {
                Seg::Index(n) => name.insert_str(0, &format!("[{n}]")),
                Seg::Key(key) => {
                    name.insert_str(0, key);
                    break;
                }
            }
        }
        name
    }

    pub(super) fn fault(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at_span(self.place())
    }

    pub(super) fn warning(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, message).at_span(self.place())
    }

    /// The value where it takes up room, its key otherwise.
    pub(super) fn place(&self) -> Span {
        if self.node.span.start == self.node.span.end { self.key } else { self.node.span }
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, where it is there.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut pairs = self.pairs.iter().filter(|pair| pair.key == key && !pair.void);
        let pair = if self.last { pairs.next_back() } else { pairs.next() }?;
        Some(Value { node: &pair.value, key: pair.key_span, path: self.path.key(key) })
    }

    /// Where a key stands, where it is there.
    pub(super) fn key(&self, key: &str) -> Option<Span> {
        self.pairs.iter().find(|pair| pair.key == key && !pair.void).map(|pair| pair.key_span)
    }

    /// Whether an unknown key was probably meant to be this one: that is told already.
    pub(super) fn misspelt(&self, key: &str) -> bool {
        let all = || self.keys.known.iter().chain(self.keys.later).copied();
        // A key that could not be read, such as `<<`, may have been, or have brought, any.
        self.pairs.iter().any(|pair| pair.void)
            || self
                .pairs
                .iter()
                .any(|pair| all().all(|known| known != pair.key) && nearest(&pair.key, all()) == Some(key))
    }

    /// The value of a key that must be there; `example` says how it is written.
    pub(super) fn need(&self, key: &str, example: &str, faults: &mut Faults) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() && !self.misspelt(key) {
            faults.tell(
                Diagnostic::error(codes::MISSING_KEY, format!("`{key}` is missing"))
                    .at_span(self.at)
                    .label(format!("{} needs it", self.keys.what))
                    .help(format!("add `{key}: {example}`")),
            );
        }
        value
    }
}

impl Faults {
    pub(super) fn tell(&mut self, fault: Diagnostic) {
        self.list.push(fault);
    }

    /// A mapping with these keys.
    pub(super) fn fields<'a>(&mut self, value: &Value<'a>, keys: &'static Keys) -> Option<Fields<'a>> {
        if let Data::List(_) | Data::Scalar(_) = &value.node.data
            && !value.node.is_null()
        {
            let fault = self.wrong_type(value, "a mapping (`key: value`)")?;
            self.tell(fault.help(format!("write a mapping with its keys: {}", listed(keys.known.iter().copied()))));
            return None;
        }
        let pairs = self.map(value)?;
        self.check_keys(pairs, keys, &value.path);
        Some(Fields { pairs, at: value.key, path: value.path.clone(), keys, last: self.last })
    }

    /// A mapping with any keys.
    pub(super) fn map<'a>(&mut self, value: &Value<'a>) -> Option<&'a [Pair]> {
        match &value.node.data {
            Data::Map(pairs) => Some(pairs),
            Data::Void => None,
            Data::Scalar(_) if value.node.is_null() => {
                self.no_value(value, "{}");
                None
            }
            Data::Scalar(_) | Data::List(_) => {
                let fault = self.wrong_type(value, "a mapping (`key: value`)")?;
                let blocks_in_a_list = matches!(&value.node.data, Data::List(items) if !items.is_empty());
                self.tell(fault.help(if blocks_in_a_list {
                    "blocks have names: write `NAME:` with the block's keys below it, without `-`"
                } else {
                    "write `{}` if it is empty, otherwise one `key: value` a line below it"
                }));
                None
            }
        }
    }

    pub(super) fn check_keys(&mut self, pairs: &[Pair], keys: &'static Keys, path: &Path) {
        for pair in pairs.iter().filter(|pair| !pair.void && !keys.known.contains(&pair.key.as_str())) {
            let key = pair.key.as_str();
            if keys.later.contains(&key) {
                self.unsupported(pair.key_span, &format!("`{key}`"));
                continue;
            }
            let name = path.0.last().and_then(|seg| match seg {
                Seg::Key(key) => Some(key.as_str()),
                Seg::Index(_) => None,
            });
            let all = || keys.known.iter().chain(keys.later).copied();
            let fault = Diagnostic::error(codes::UNKNOWN_KEY, format!("{} has no key `{key}`", keys.what))
                .at_span(pair.key_span);
            let inner = keys.inside.iter().find(|(_, inner)| inner.known.contains(&key) || inner.later.contains(&key));
            let fault = if let Some((_, hint)) = keys.hints.iter().find(|(word, _)| *word == key) {
                fault.label("not a key of this language").help(*hint)
            } else if let Some(near) = nearest(key, all()) {
                fault.label(format!("did you mean `{near}`?")).help(format!("write `{near}`"))
            } else if let (Some(around), Some(name)) = (keys.around, name)
                && (around.known.contains(&key) || around.later.contains(&key))
            {
                fault.label("one level too deep").help(format!("`{key}` stands one level up, beside `{name}`"))
            } else if let Some((outer, _)) = inner {
                fault.label("not here").help(format!("`{key}` belongs inside `{outer}`"))
            } else {
                fault.label("not a key of this language").help("remove it, or use one of these keys")
            };
            self.tell(fault.why(format!("its keys are {}", listed(keys.known.iter().copied()))));
        }
    }

    /// Something of the language that this build cannot do.
    pub(super) fn unsupported(&mut self, span: Span, what: &str) {
        self.unsupported_but(span, what, "leave it out for now");
    }

    /// The same, with what to write instead.
    pub(super) fn unsupported_but(&mut self, span: Span, what: &str, help: &str) {
        self.tell(
            Diagnostic::error(codes::UNSUPPORTED_YET, format!("{what} is not supported yet"))
                .at_span(span)
                .why("it belongs to the language, but this build would have to ignore it, and it never does that")
                .help(help),
        );
    }

    pub(super) fn no_value(&mut self, value: &Value<'_>, empty: &str) {
        let name = value.name();
        let fault = value.fault(codes::WRONG_TYPE, format!("`{name}` holds nothing")).label("no value");
        self.tell(if value.path.0.len() == 1 {
            fault
                .why("an empty section could mean: delete all that it held")
                .help(format!("fill it, remove the line, or write `{name}: {empty}` if empty is meant"))
        } else {
            fault.help("give it a value, or remove the line")
        });
    }

    /// The fault of a value of another type than `wanted`; none where it was told already.
    fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) -> Option<Diagnostic> {
        let (found, plain) = match &value.node.data {
            Data::Void => return None,
            Data::List(_) => ("a list".to_owned(), None),
            Data::Map(_) => ("a mapping".to_owned(), None),
            Data::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => {
                    self.tell(
                        value
                            .fault(codes::WRONG_TYPE, format!("`{}` has no value", value.name()))
                            .label(format!("{wanted} is missing"))
                            .help("give it a value, or remove the line"),
                    );
                    return None;
                }
                ScalarKind::Bool(_) => ("`true` or `false`".to_owned(), Some(scalar)),
                ScalarKind::Number => ("a number".to_owned(), Some(scalar)),
                ScalarKind::Text => ("text".to_owned(), Some(scalar)),
            },
        };
        let fault = value
            .fault(codes::WRONG_TYPE, format!("`{}` takes {wanted}, not {found}", value.name()))
            .label(format!("this is {found}"));
        if plain.is_none() && wanted == "text" {
            return Some(fault.help("write a single text"));
        }
        let in_quotes = plain.filter(|scalar| scalar.kind != ScalarKind::Text && wanted.starts_with("text"));
        Some(match in_quotes {
            Some(scalar) => fault.help(format!("write it in quotes: \"{}\"", scalar.text)),
            None => fault,
        })
    }

    /// Text.
    pub(super) fn text<'a>(&mut self, value: &Value<'a>) -> Option<&'a str> {
        if let Data::Scalar(scalar) = &value.node.data
            && scalar.kind == ScalarKind::Text
        {
            return Some(&scalar.text);
        }
        if let Some(fault) = self.wrong_type(value, "text") {
            self.tell(fault);
        }
        None
    }

    /// Text of a certain shape.
    pub(super) fn shaped<'a>(
        &mut self,
        value: &Value<'a>,
        code: Code,
        shape: &str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<&'a str> {
        let text = self.text(value)?;
        if fits(text) {
            return Some(text);
        }
        self.tell(value.fault(code, cannot_be(value, text)).help(format!("write {shape}")));
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let Data::Scalar(scalar) = &value.node.data else {
            let fault = self.wrong_type(value, "`true` or `false`")?;
            self.tell(fault);
            return None;
        };
        if let ScalarKind::Bool(bool) = scalar.kind {
            return Some(bool);
        }
        let fault = self.wrong_type(value, "`true` or `false`")?;
        self.tell(match scalar.text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => fault.help("write `true`, without quotes"),
            "no" | "off" | "n" | "false" => fault.help("write `false`, without quotes"),
            _ => fault,
        });
        None
    }

    /// A whole number within a range.
    pub(super) fn number(&mut self, value: &Value<'_>, from: u32, to: u32) -> Option<u32> {
        let range = if to == u32::MAX { format!("at least {from}") } else { format!("from {from} to {to}") };
        let scalar = match &value.node.data {
            Data::Scalar(scalar) if scalar.kind == ScalarKind::Number => scalar,
            Data::Void | Data::Scalar(_) | Data::List(_) | Data::Map(_) => {
                let fault = self.wrong_type(value, "a number")?;
                let digits = value.node.raw().filter(|text| text.parse::<u32>().is_ok());
                self.tell(match digits {
                    Some(digits) => fault.help(format!("write it without quotes: {digits}")),
                    None => fault.help(format!("write a whole number, {range}")),
                });
                return None;
            }
        };
        let number = scalar.text.parse::<u32>().ok().filter(|number| (from..=to).contains(number));
        if number.is_none() {
            self.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("`{}` cannot be {}", value.name(), shown(&scalar.text)))
                    .help(format!("write a whole number, {range}")),
            );
        }
        number
    }

    /// One of a few words; `later` are those that are not supported yet.
    pub(super) fn word<'a>(&mut self, value: &Value<'a>, words: &[&str], later: &[&str]) -> Option<&'a str> {
        let text = self.text(value)?;
        if words.contains(&text) {
            return Some(text);
        }
        if later.contains(&text) {
            let help = format!("write {}", either(words.iter().copied()));
            self.unsupported_but(value.place(), &format!("`{}: {text}`", value.name()), &help);
            return None;
        }
        let fault = value.fault(codes::INVALID_VALUE, cannot_be(value, text));
        let all = || format!("write {}", either(words.iter().copied()));
        self.tell(match nearest(text, words.iter().copied()) {
            Some(near) if words.len() > MANY_WORDS => fault.help(format!("did you mean `{near}`?")),
            Some(near) => fault.label(format!("did you mean `{near}`?")).help(all()),
            None => fault.help(all()),
        });
        None
    }

    /// The items of a list.
    pub(super) fn list<'a>(&mut self, value: &Value<'a>) -> Option<Vec<Value<'a>>> {
        match &value.node.data {
            Data::Void => None,
            Data::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(n, node)| Value { node, key: node.span, path: value.path.index(n) })
                    .collect(),
            ),
            Data::Scalar(_) if value.node.is_null() => {
                self.no_value(value, "[]");
                None
            }
            Data::Scalar(_) | Data::Map(_) => {
                let fault = self.wrong_type(value, "a list")?;
                self.tell(match &value.node.data {
                    Data::Scalar(Scalar { text, plain: true, .. }) => {
                        fault.help(format!("write it in brackets: [{}]", shown(text)))
                    }
                    Data::Scalar(scalar) => fault.help(format!("write it in brackets: [\"{}\"]", shown(&scalar.text))),
                    Data::Void | Data::List(_) | Data::Map(_) => {
                        fault.help("write the items in brackets, or each in a line of its own after `- `")
                    }
                });
                None
            }
        }
    }
}

/// That a value cannot be this text.
pub(super) fn cannot_be(value: &Value<'_>, text: &str) -> String {
    if text.is_empty() {
        return format!("`{}` cannot be empty", value.name());
    }
    format!("`{}` cannot be `{}`", value.name(), shown(text))
}

/// A text short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let line: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() { format!("{line}…") } else { line }
}
