//! What changes on a copy of an image that stays.

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
}

impl ImageDiff {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { description, description_drifted: _, tags } = self;
        description.is_none() && tags.is_empty()
    }
}

/// Compares a copy with what it should be. `ours` is the tag that marks it as ours.
#[must_use]
pub fn image(recorded: &ImageCopySpec, wanted: &ImageCopySpec, observed: &Image, ours: (&str, &str)) -> ImageDiff {
    let ImageCopySpec { description, tags: wanted_tags } = wanted;
    let changed = description.as_ref().filter(|text| **text != observed.description);
    let with_ours = |tags: &Tags| {
        let mut tags = tags.clone();
        tags.insert(ours.0.to_owned(), ours.1.to_owned());
        tags
    };
    ImageDiff {
        description: changed.cloned(),
        description_drifted: changed.is_some() && recorded.description == *description,
        tags: tags(&with_ours(&recorded.tags), &with_ours(wanted_tags), &observed.tags),
    }
}
