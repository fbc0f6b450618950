//! JSON whose keys keep the order in which they are written, for people read it too.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// A piece of JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(Cow<'static, str>, Self)>),
    /// Made once, written often.
    Shared(Arc<Self>),
    /// Made elsewhere.
    Json(serde_json::Value),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Shared(node) => node.serialize(serializer),
            Self::Json(value) => value.serialize(serializer),
        }
    }
}

impl Node {
    /// A list.
    pub(super) fn list<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// Whatever is shown as text.
    pub(super) fn text(value: &impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// Whatever is shown as text, or nothing.
    pub(super) fn maybe<T: ToString>(value: Option<&T>) -> Self {
        value.map_or(Self::Null, Self::text)
    }

    /// The same, with one more field. Only objects have fields.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Self>) -> Self {
        if let Self::Object(fields) = &mut self {
            fields.push((key.into(), value.into()));
        }
        self
    }

    /// The text of the whole document on one line, with a line end.
    pub(super) fn line(&self) -> String {
        match serde_json::to_string(self) {
            Ok(mut text) => {
                text.push('\n');
                text
            }
            Err(error) => unreachable!("a plain value always has a JSON form: {error}"),
        }
    }

    /// The text of the whole document, indented, with a line end.
    pub(super) fn pretty(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(mut text) => {
                text.push('\n');
                text
            }
            Err(error) => unreachable!("a plain value always has a JSON form: {error}"),
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Node {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Node {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<usize> for Node {
    fn from(value: usize) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Node {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// An object: `object! { "key" => value, … }`, each value whatever becomes a [`Node`].
macro_rules! object {
    ($($key:literal => $value:expr),* $(,)?) => {
        $crate::report::node::Node::Object(vec![$((std::borrow::Cow::Borrowed($key), $crate::report::node::Node::from($value))),*])
    };
}

pub(super) use object;
