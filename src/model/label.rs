//! Text that there is much of and that is short: ids, names of regions and types.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes that are kept in place.
const IN_PLACE: usize = 15;

/// A text that cannot be changed. Up to 15 bytes lie in the value itself, so that a million ids are compared, copied and
/// dropped without a look at any other place; what is longer is shared between copies.
#[derive(Clone)]
pub struct Label(Form);

#[derive(Clone)]
enum Form {
    /// The bytes, zeros behind them.
    Short(Length, [u8; IN_PLACE]),
    /// A thin pointer: with the length beside it, the whole would not fit into 16 bytes.
    Long(Arc<Box<str>>),
}

/// How many bytes are used: a type with values to spare, which is where the compiler puts that a text is long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[rustfmt::skip]
enum Length { L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15 }

impl Length {
    #[rustfmt::skip]
    const ALL: [Self; IN_PLACE + 1] = [
        Self::L0, Self::L1, Self::L2, Self::L3, Self::L4, Self::L5, Self::L6, Self::L7,
        Self::L8, Self::L9, Self::L10, Self::L11, Self::L12, Self::L13, Self::L14, Self::L15,
    ];
}

impl Label {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was text when it was put in: the check costs less than a look at another place.
            Form::Short(length, bytes) => std::str::from_utf8(&bytes[..*length as usize]).unwrap_or_default(),
            Form::Long(text) => text,
        }
    }

    /// Whether it lies in the value itself, so that there is nothing to share.
    #[must_use]
    pub fn is_short(&self) -> bool {
        matches!(self.0, Form::Short(..))
    }

    fn short(text: &str) -> Option<Self> {
        let length = *Length::ALL.get(text.len())?;
        let mut bytes = [0; IN_PLACE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(Form::Short(length, bytes)))
    }
}

/// A number for a short text: such numbers are in the order of the texts. Zeros come before everything else, and where a
/// text has zeros of its own, its length decides.
fn number(length: Length, bytes: &[u8; IN_PLACE]) -> u128 {
    let mut whole = [0; IN_PLACE + 1];
    whole[..IN_PLACE].copy_from_slice(bytes);
    whole[IN_PLACE] = length as u8;
    u128::from_be_bytes(whole)
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Form::Long(Arc::new(text.into()))))
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self(Form::Long(Arc::new(text.into()))))
    }
}

impl From<&String> for Label {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Short(length, bytes), Form::Short(other_length, other)) => {
                number(*length, bytes) == number(*other_length, other)
            }
            (Form::Long(text), Form::Long(other)) => Arc::ptr_eq(text, other) || text == other,
            (Form::Short(..), Form::Long(_)) | (Form::Long(_), Form::Short(..)) => false,
        }
    }
}

impl Eq for Label {}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Short(length, bytes), Form::Short(other_length, other)) => {
                number(*length, bytes).cmp(&number(*other_length, other))
            }
            (Form::Short(..) | Form::Long(_), Form::Short(..) | Form::Long(_)) => self.as_str().cmp(other.as_str()),
        }
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
                Ok(text.into())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Label, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_as_small_as_a_reference_to_a_text() {
        let sizes = [size_of::<Label>(), size_of::<Option<Label>>(), size_of::<Arc<str>>()];
        assert_eq!(sizes, [16, 16, 16]);
    }

    #[test]
    fn what_is_long_is_shared() {
        let long = Label::from("ap-guangzhou-and-on");
        let [Form::Long(one), Form::Long(other)] = [&long.0, &long.clone().0].map(Clone::clone) else { panic!("long") };
        assert!(Arc::ptr_eq(&one, &other));
    }

    fn texts() -> impl Strategy<Value = String> {
        // Around the limit, with zeros and with letters of several bytes.
        proptest::collection::vec(prop_oneof![Just('\0'), Just('a'), Just('b'), Just('é'), Just('界')], 0..20)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn it_is_the_text_that_it_was_made_of(one in texts(), other in texts()) {
            let labels = [&one, &other].map(|text| Label::from(text.as_str()));
            prop_assert_eq!(labels[0].as_str(), one.as_str());
            prop_assert_eq!(Label::from(one.clone()), labels[0].clone());
            prop_assert_eq!(labels[0].cmp(&labels[1]), one.cmp(&other));
            prop_assert_eq!(labels[0] == labels[1], one == other);
            let json = serde_json::to_string(&labels[0]).expect("JSON");
            prop_assert_eq!(&json, &serde_json::to_string(&one).expect("JSON"));
            prop_assert_eq!(&serde_json::from_str::<Label>(&json).expect("a label"), &labels[0]);
        }
    }
}
