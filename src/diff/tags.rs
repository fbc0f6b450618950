//! Tags: ours and the declared ones are kept right, what else a thing carries is left alone.

use std::collections::BTreeSet;

use super::attr::{Attr, Takes};
use super::shown::Shown;
use crate::model::desired::Tags;

/// What is to be done to a thing's tags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct TagDiff {
    /// Missing, or with another value.
    pub set: Tags,
    /// Declared once, no longer declared, and still there.
    pub unset: BTreeSet<String>,
    /// Of those that are set or unset, the ones that the config did not change: somebody else did.
    pub drifted: bool,
}

impl TagDiff {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { set, unset, drifted: _ } = self;
        set.is_empty() && unset.is_empty()
    }
}

/// Compares what a thing carries with what it should carry. `recorded` is what it was given last.
#[must_use]
pub fn tags(recorded: &Tags, wanted: &Tags, observed: &Tags) -> TagDiff {
    let mut diff = TagDiff::default();
    for (key, value) in wanted {
        if observed.get(key) != Some(value) {
            diff.drifted |= recorded.get(key) == Some(value);
            diff.set.insert(key.clone(), value.clone());
        }
    }
    diff.unset =
        recorded.keys().filter(|key| !wanted.contains_key(*key) && observed.contains_key(*key)).cloned().collect();
    diff
}

/// How the change of a thing's tags is shown.
#[must_use]
pub fn tag_attr(diff: &TagDiff, observed: &Tags) -> Attr {
    let keys: BTreeSet<&String> = diff.set.keys().chain(&diff.unset).collect();
    let pairs = |of: &Tags| {
        let pairs: Vec<String> =
            keys.iter().filter_map(|key| of.get(*key).map(|value| format!("{key}={value}"))).collect();
        if pairs.is_empty() { Shown::None } else { Shown::List(pairs) }
    };
    Attr { name: "tags", before: pairs(observed), after: pairs(&diff.set), takes: Takes::Tag, drifted: diff.drifted }
}

/// Tags with the one that marks a thing as ours.
pub(super) fn with_ours(tags: &Tags, ours: (&str, &str)) -> Tags {
    let mut tags = tags.clone();
    tags.insert(ours.0.to_owned(), ours.1.to_owned());
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_what_we_set_is_taken_away() {
        let diff = tags(&of(&[("a", "1"), ("b", "2")]), &of(&[("a", "2")]), &of(&[("a", "1"), ("b", "2"), ("c", "3")]));
        assert_eq!(diff, TagDiff { set: of(&[("a", "2")]), unset: BTreeSet::from(["b".to_owned()]), drifted: false });
        assert!(tags(&of(&[("a", "1")]), &of(&[("a", "1")]), &of(&[])).drifted);
        assert!(tags(&of(&[("a", "1")]), &of(&[]), &of(&[("b", "x")])).is_empty());
    }
}
