//! What changes on a copy of an image that stays.

use super::shown::{Shown, show_tags};
use super::slot::{Attr, Takes};
use super::tags::{TagDiff, tags};
use crate::model::desired::Tags;
use crate::model::observed::Image;
use crate::model::spec::ImageCopySpec;

/// What is to be done to a copy of an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageDiff {
    /// The new description. Nothing else of the image is touched with it: not its name, family or deprecation.
    pub description: Option<String>,
    /// Whether somebody else changed the description.
    pub description_drifted: bool,
    /// Tags, ours included.
    pub tags: TagDiff,
    /// Attributes that the cloud has already as they should be, and that the state does not know so.
    pub already: Vec<Attr>,
    /// The name that somebody else gave it. It is only shown: by its name nothing of ours is found.
    pub renamed: Option<String>,
}

impl ImageDiff {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { description, description_drifted: _, tags, already, renamed: _ } = self;
        description.is_none() && tags.is_empty() && already.is_empty()
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
    let ImageCopySpec { description, tags: wanted_tags, family: _, deprecated: _, protect: _ } = wanted;
    let changed = description.as_ref().filter(|text| **text != observed.description);
    let with_ours = |tags: &Tags| {
        let mut tags = tags.clone();
        tags.insert(ours.0.to_owned(), ours.1.to_owned());
        tags
    };
    let mut diff = ImageDiff {
        description: changed.cloned(),
        description_drifted: changed.is_some() && recorded.description == *description,
        tags: tags(&with_ours(&recorded.tags), &with_ours(wanted_tags), &observed.tags),
        already: Vec::new(),
        renamed: (observed.name != name).then(|| observed.name.clone()),
    };
    let mut already = |name, before, after| {
        diff.already.push(Attr { name, before, after, takes: Takes::Record, drifted: false });
    };
    if diff.description.is_none() && recorded.description != *description {
        let shown = |text: &Option<String>| text.clone().map_or(Shown::None, Shown::Text);
        already("description", shown(&recorded.description), shown(description));
    }
    if diff.tags.is_empty() && recorded.tags != *wanted_tags {
        already("tags", show_tags(&recorded.tags), show_tags(wanted_tags));
    }
    diff
}
