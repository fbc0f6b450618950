//! What changes on a copy of an image that stays.

use super::attr::{Attr, Takes};
use super::shown::{Shown, show_tags};
use super::tags::{TagDiff, tags};
use crate::model::desired::Tags;
use crate::model::observed::Image;
use crate::model::spec::ImageCopySpec;

/// What is to be done to a copy of an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageDiff {
    /// What differs, tags to set and to take away excepted: what takes a call, and what only the state learns.
    pub attrs: Vec<Attr>,
    /// The new description. Nothing else of the image is touched with it.
    pub description: Option<String>,
    /// The new family.
    pub family: Option<String>,
    /// Whether it is to be marked as deprecated.
    pub deprecated: Option<bool>,
    /// Tags, ours included.
    pub tags: TagDiff,
    /// The name that somebody else gave it. It is only shown: by its name nothing of ours is found.
    pub renamed: Option<String>,
}

impl ImageDiff {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { attrs, description, family, deprecated, tags, renamed: _ } = self;
        attrs.is_empty() && description.is_none() && family.is_none() && deprecated.is_none() && tags.is_empty()
    }

    /// Whether something of the image itself changes.
    #[must_use]
    pub fn modifies(&self) -> bool {
        self.attrs.iter().any(|attr| attr.takes == Takes::Modify)
    }
}

/// Compares a copy, named `name`, with what it should be. `ours` is the tag that marks it as ours.
#[must_use]
pub fn image(
    recorded: &ImageCopySpec,
    wanted: &ImageCopySpec,
    observed: &Image,
    name: &str,
    ours: (&str, &str),
) -> ImageDiff {
    let ImageCopySpec { description, tags: wanted_tags, family, deprecated, protect } = wanted;
    let with_ours = |tags: &Tags| {
        let mut tags = tags.clone();
        tags.insert(ours.0.to_owned(), ours.1.to_owned());
        tags
    };
    let mut diff = ImageDiff {
        tags: tags(&with_ours(&recorded.tags), &with_ours(wanted_tags), &observed.tags),
        renamed: (observed.name != name).then(|| observed.name.clone()),
        ..ImageDiff::default()
    };
    // What is not declared is never touched; what the cloud has already, only the state learns.
    let mut compare = |name, recorded: Shown, wanted: Shown, observed: Shown| {
        let takes = if wanted != Shown::None && wanted != observed {
            Takes::Modify
        } else if recorded != wanted {
            Takes::Record
        } else {
            return false;
        };
        let drifted = takes == Takes::Modify && recorded == wanted;
        let before = if takes == Takes::Modify { observed } else { recorded };
        diff.attrs.push(Attr { name, before, after: wanted, takes, drifted });
        takes == Takes::Modify
    };
    let declared = |text: &Option<String>| text.clone().map_or(Shown::None, Shown::Text);
    let seen = |text: &str| Shown::Text(text.to_owned());
    let marked = |mark: Option<bool>| mark.map_or(Shown::None, yes_or_no);
    let describe =
        compare("description", declared(&recorded.description), declared(description), seen(&observed.description));
    let name_family = compare("family", declared(&recorded.family), declared(family), seen(&observed.family));
    let mark = compare("deprecated", marked(recorded.deprecated), marked(*deprecated), yes_or_no(observed.deprecated));
    diff.description = description.clone().filter(|_| describe);
    diff.family = family.clone().filter(|_| name_family);
    diff.deprecated = deprecated.filter(|_| mark);
    let mut learnt = |name, before, after| {
        diff.attrs.push(Attr { name, before, after, takes: Takes::Record, drifted: false });
    };
    if recorded.protect != *protect {
        learnt("protect", yes_or_no(recorded.protect), yes_or_no(*protect));
    }
    if diff.tags.is_empty() && recorded.tags != *wanted_tags {
        learnt("tags", show_tags(&recorded.tags), show_tags(wanted_tags));
    }
    diff
}

fn yes_or_no(yes: bool) -> Shown {
    Shown::Text(if yes { "yes" } else { "no" }.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::observed::{ImageKind, ImageState};

    fn seen(description: &str, family: &str, deprecated: bool) -> Image {
        Image {
            id: "img-1".into(),
            name: "web".into(),
            description: description.into(),
            state: ImageState::Normal,
            kind: ImageKind::Private,
            created_ms: 0,
            size_gib: 50,
            architecture: "x86_64".into(),
            platform: "Ubuntu".into(),
            creator: "100000000001".into(),
            family: family.into(),
            deprecated,
            source: "CREATE_IMAGE".into(),
            sync_percent: None,
            snapshots: Vec::new(),
            tags: BTreeMap::from([("ours".to_owned(), "yes".to_owned())]),
        }
    }

    fn spec(description: Option<&str>, family: Option<&str>, deprecated: Option<bool>) -> ImageCopySpec {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ImageCopySpec { description: text(description), family: text(family), deprecated, ..ImageCopySpec::default() }
    }

    fn compared(recorded: &ImageCopySpec, wanted: &ImageCopySpec, observed: &Image) -> ImageDiff {
        image(recorded, wanted, observed, "web", ("ours", "yes"))
    }

    fn told(diff: &ImageDiff) -> Vec<(&'static str, Takes, bool)> {
        diff.attrs.iter().map(|attr| (attr.name, attr.takes, attr.drifted)).collect()
    }

    #[test]
    fn what_is_not_declared_is_never_touched() {
        let silent = spec(None, None, None);
        assert!(compared(&silent, &silent, &seen("mine", "mine", true)).is_empty());
        // Declared once, and no longer: only the state learns it.
        let once = spec(Some("ours"), Some("ours"), Some(true));
        let diff = compared(&once, &silent, &seen("ours", "ours", true));
        let learnt = ["description", "family", "deprecated"].map(|name| (name, Takes::Record, false));
        assert_eq!(told(&diff), learnt);
        assert!(!diff.modifies() && !diff.is_empty());
    }

    #[test]
    fn what_the_config_changed_is_told_from_what_somebody_else_did() {
        let was = spec(Some("a"), Some("f"), Some(false));
        let wanted = spec(Some("b"), Some("f"), Some(true));
        let diff = compared(&was, &wanted, &seen("a", "g", false));
        assert_eq!(
            told(&diff),
            [
                ("description", Takes::Modify, false),
                ("family", Takes::Modify, true),
                ("deprecated", Takes::Modify, false)
            ]
        );
        assert_eq!((diff.description.as_deref(), diff.family.as_deref()), (Some("b"), Some("f")));
        assert_eq!(diff.deprecated, Some(true));
        // The cloud has it already.
        let diff = compared(&was, &wanted, &seen("b", "f", true));
        assert_eq!(told(&diff), [("description", Takes::Record, false), ("deprecated", Takes::Record, false)]);
    }

    #[test]
    fn protection_is_the_states_alone() {
        let protected = ImageCopySpec { protect: true, ..ImageCopySpec::default() };
        let diff = compared(&ImageCopySpec::default(), &protected, &seen("", "", false));
        assert_eq!(told(&diff), [("protect", Takes::Record, false)]);
    }
}
