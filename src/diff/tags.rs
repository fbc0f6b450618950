//! Tags: ours and the declared ones are kept right, what else a thing carries is left alone.

use std::collections::BTreeSet;

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
