//! The lineage of images as a tree: what is found, what is made of it, in which versions and where, and who uses each.
//!
//! Config and state are enough for it. What is called current is what the config asks for, where there is such a version,
//! and else what the last apply left; what goes is what the next plan deletes, as far as that can be told without a look at
//! the cloud. What the cloud was seen to hold adds sizes, and what is gone.

mod grow;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Millis;
use crate::model::addr::Block;
use crate::model::ids::{ImageId, Name, Region, Uin, Version};
use crate::model::spec::ImageUse;

pub use grow::{looked_up, tree};

/// All images.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// Those that come from no other image of ours.
    pub roots: Vec<Branch>,
}

/// An image block, or what was one, with all that comes from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Branch {
    /// The block.
    pub block: Block,
    /// What it is, in a few words.
    pub about: String,
    /// Whether the config has it.
    pub declared: bool,
    /// How many older versions stay; `None`: it is not ours to keep.
    pub keep: Option<u32>,
    /// Where it is looked up, and found.
    pub found: Vec<Place>,
    /// Its versions, the newest first.
    pub versions: Vec<Edition>,
    /// The version that the next plan makes, where it makes one.
    pub next: Option<Version>,
    /// What is made of it.
    pub children: Vec<Self>,
}

/// A version of an image of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edition {
    /// The version.
    pub version: Version,
    /// Which capture of it, from 1.
    pub generation: u32,
    /// How it stands.
    pub states: BTreeSet<State>,
    /// What it was made of, as far as the state tells.
    pub from: Option<ImageUse>,
    /// When it was made.
    pub made_ms: Option<Millis>,
    /// Its copies.
    pub copies: Vec<Place>,
}

/// How a version stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// It is what the config asks for.
    Current,
    /// It stays, as `keep` says.
    Kept,
    /// It stays for as long as something runs from it.
    InUse,
    /// It stays, for it is protected: no plan may delete it.
    Protected,
    /// The next plan deletes it.
    Going,
    /// No copy of it is ready yet.
    Building,
    /// No copy of it is left, though something runs from it.
    Gone,
    /// A rollout was stopped with it, or taken back.
    Quarantined,
    /// Nothing may be launched from it.
    Revoked,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Current,
        Self::Kept,
        Self::InUse,
        Self::Protected,
        Self::Going,
        Self::Building,
        Self::Gone,
        Self::Quarantined,
        Self::Revoked,
    ];

    /// The word in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Kept => "kept",
            Self::InUse => "in_use",
            Self::Protected => "protected",
            Self::Going => "going",
            Self::Building => "building",
            Self::Gone => "gone",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
        }
    }
}

/// An image in a region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where.
    pub region: Region,
    /// Its id; `None`: the state no longer has it.
    pub id: Option<ImageId>,
    /// How it is, where that is not simply there.
    pub lacks: Option<Lack>,
    /// How large it is, where somebody looked.
    pub size_gib: Option<u32>,
    /// Whether the next plan deletes it, though not the whole version.
    pub going: bool,
    /// How many instances run from it, by fleet.
    pub fleets: BTreeMap<Name, u32>,
    /// The accounts that it is shared with.
    pub accounts: BTreeSet<Uin>,
}

/// Why an image is not simply there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lack {
    /// It is on its way.
    UnderWay,
    /// Its creation failed.
    Failed,
    /// It is on its way out.
    Leaving,
    /// Somebody deleted it.
    Gone,
}

impl Lack {
    /// The word in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }
}
