//! What a change of each attribute of a managed image takes, and what becomes of its drift: one table, from which the
//! images' part of `docs/changes.md` is made.

use crate::model::attrs::ImageAttr;

/// What happens where the config changes an attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OnChange {
    /// Every copy changes, and stays.
    InPlace,
    /// A new version is made.
    NewVersion,
    /// Copies are made or deleted, of versions that are there.
    Copies,
    /// Only the state learns it.
    State,
    /// What is made from now on has it.
    Later,
}

impl OnChange {
    /// The same in a word or two.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::NewVersion => "new version",
            Self::Copies => "copy or delete",
            Self::State => "only the state",
            Self::Later => "nothing at once",
        }
    }
}

/// What becomes of an attribute that somebody else changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OnDrift {
    /// It is brought back to what the config says, where it says something.
    Repaired,
    /// It is shown, and stays as it is.
    Shown,
    /// Nobody can change it.
    Never,
}

impl OnDrift {
    /// The same in a word or two.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Shown => "only shown",
            Self::Never => "cannot be",
        }
    }
}

/// One attribute: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ImageField {
    /// The attribute.
    pub attr: ImageAttr,
    /// What its change takes.
    pub change: OnChange,
    /// What happens, in a sentence.
    pub change_says: &'static str,
    /// What becomes of its drift.
    pub drift: OnDrift,
    /// What happens then, in a sentence; maybe empty.
    pub drift_says: &'static str,
    /// The calls.
    pub calls: &'static str,
}

/// The row of an attribute.
#[must_use]
pub fn image_field(attr: ImageAttr) -> ImageField {
    let row = |change, change_says, drift, drift_says, calls| ImageField {
        attr,
        change,
        change_says,
        drift,
        drift_says,
        calls,
    };
    match attr {
        ImageAttr::Source => row(
            OnChange::NewVersion,
            "what it is made of: base, user data and disks of the builder, all of `import`, or what it is a copy of and \
             how that is encrypted. Made, copied, shared, moved to; then the version before goes, or stays as `keep` says",
            OnDrift::Never,
            "nobody can change what an image holds",
            "CreateImage, ImportImage or SyncImages; with `build` RunInstances and TerminateInstances, one each; \
             SyncImages: one for all other regions; TagResources: ⌈copies / 10⌉; \
             ModifyImageAttribute: one for each copy with a description or a family; DeleteImages: one for each copy that \
             goes",
        ),
        ImageAttr::Version => row(
            OnChange::NewVersion,
            "the same; a kept version is used again as it is. The same version of something else is refused \
             (`version-reused`)",
            OnDrift::Never,
            "",
            "the same; for a kept version none",
        ),
        ImageAttr::Name => row(
            OnChange::Later,
            "what is there keeps its name; the next version bears the new one",
            OnDrift::Shown,
            "",
            "none",
        ),
        ImageAttr::Regions => row(
            OnChange::Copies,
            "one more is a copy of what is there; one less is unshared and deleted",
            OnDrift::Repaired,
            "a copy that was deleted is copied back, and nobody is disturbed; where none is left, the version is made \
             anew, as another generation, with all that follows",
            "SyncImages: one for all that are missing; ModifyImageSharePermission: one for each that goes; DeleteImages: one for each region",
        ),
        ImageAttr::Description => row(
            OnChange::InPlace,
            "nothing else of the image is touched; kept versions have their own",
            OnDrift::Repaired,
            "where declared",
            "ModifyImageAttribute: one for each copy, family and mark included",
        ),
        ImageAttr::Family => row(
            OnChange::InPlace,
            "kept versions have their own",
            OnDrift::Repaired,
            "where declared",
            "ModifyImageAttribute: one for each copy",
        ),
        ImageAttr::Deprecated => row(
            OnChange::InPlace,
            "`deprecate_kept`: older versions that stay are marked, once the current one is there; without it the marks \
             that were made are taken back",
            OnDrift::Repaired,
            "where `deprecate_kept` stands or stood",
            "ModifyImageAttribute: one for each copy",
        ),
        ImageAttr::Keep => row(
            OnChange::Copies,
            "less: the oldest beyond it are deleted, revoked ones first; more: from the next version on. What instances run \
             from stays in any case. Only the current version is shared, unless `share_kept` says otherwise",
            OnDrift::Shown,
            "a kept copy that was deleted is forgotten",
            "DeleteImages: one for each region, of what goes together",
        ),
        ImageAttr::Protect => row(
            OnChange::State,
            "no plan deletes a copy, of any version: it is refused (exit 8), also when the block is removed",
            OnDrift::Never,
            "the cloud has no such thing for images",
            "none",
        ),
        ImageAttr::Tags => row(
            OnChange::InPlace,
            "kept versions have their own",
            OnDrift::Repaired,
            "where declared or ours",
            "TagResources, UnTagResources: ⌈copies / 10⌉, over all regions",
        ),
    }
}

/// The table as it stands in `docs/changes.md`.
#[must_use]
pub fn image_table() -> String {
    let mut text =
        String::from("| attribute | the config changes it | somebody else changes it | calls |\n|---|---|---|---|\n");
    for attr in ImageAttr::ALL {
        let ImageField { attr, change, change_says, drift, drift_says, calls } = image_field(*attr);
        let said = |words: &str, says: &str| {
            if says.is_empty() { words.to_owned() } else { format!("{words}: {says}") }
        };
        text.push_str(&format!(
            "| `{attr}` | **{}**: {change_says} | {} | {calls} |\n",
            change.words(),
            said(drift.words(), drift_says)
        ));
    }
    text
}
