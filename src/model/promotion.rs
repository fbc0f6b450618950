//! Images that another environment made and that this one runs, too: what that environment's state offers, and which of
//! it was promoted. Promotion is an act of its own: what was promoted stays until somebody says that it moves on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::ids::{ImageId, Name, Region, Uin, Version};

/// An image block of another environment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct PromotedFrom {
    /// Its project.
    pub project: Name,
    /// Its environment.
    pub env: Name,
    /// The image block there.
    pub image: Name,
}

impl fmt::Display for PromotedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { project, env, image } = self;
        write!(f, "{project}/{env}/image.{image}")
    }
}

/// Which of several captures of which version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Edition {
    /// The version.
    pub version: Version,
    /// Which capture of it, from 1.
    pub generation: u32,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { version, generation: 1 } => write!(f, "{version}"),
            Self { version, generation } => write!(f, "{version}#{generation}"),
        }
    }
}

/// What is known of an image that is promoted: what there is to be had, and what was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Promotion {
    /// The file of the state that was looked at, as people see it.
    pub state: String,
    /// How a command is begun that works there.
    pub there: String,
    /// What it has.
    pub offers: Offers,
    /// What was promoted before, by region: what `fleetwright.lock` keeps.
    pub pinned: BTreeMap<Region, PromotedPin>,
}

/// What the state of another environment has of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offers {
    /// There is no such state, or nothing was ever applied to it.
    NoState,
    /// It is of another project.
    OtherProject(Name),
    /// It is of another cloud.
    OtherCloud(String),
    /// It has no such image; these are those that it has.
    NoImage(BTreeSet<Name>),
    /// It has this.
    Has(Offer),
}

/// All that a state has of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Whose it is.
    pub account: Uin,
    /// The current version, where one is whole.
    pub current: Option<Edition>,
    /// The copies of all versions that are there.
    pub copies: Vec<Offered>,
}

/// A copy that a state has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Of what.
    pub edition: Edition,
    /// Where.
    pub region: Region,
    /// Its id.
    pub id: ImageId,
    /// When its creation was accepted.
    pub made_ms: Millis,
    /// The accounts that it is shared with, as that state remembers.
    pub accounts: BTreeSet<Uin>,
    /// Whether its disk is encrypted, where that is known.
    pub encrypted: Option<bool>,
    /// Whether it runs under its owner's own licence, where that is known.
    pub own_licence: Option<bool>,
}

impl Offer {
    /// The copy of a version in a region.
    #[must_use]
    pub fn copy(&self, edition: &Edition, region: &Region) -> Option<&Offered> {
        self.copies.iter().find(|copy| copy.edition == *edition && copy.region == *region)
    }

    /// Where a version is.
    pub fn regions<'a>(&'a self, edition: &'a Edition) -> impl Iterator<Item = &'a Region> {
        self.copies.iter().filter(move |copy| copy.edition == *edition).map(|copy| &copy.region)
    }
}

impl Promotion {
    /// What that state has, where it has the image at all.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        match &self.offers {
            Offers::Has(offer) => Some(offer),
            Offers::NoState | Offers::OtherProject(_) | Offers::OtherCloud(_) | Offers::NoImage(_) => None,
        }
    }

    /// What was promoted before; the same in all regions.
    #[must_use]
    pub fn before(&self) -> Option<&Edition> {
        self.pinned.values().next().map(|pin| &pin.edition)
    }
}

/// What is promoted, by image block.
pub type Promotions = BTreeMap<Name, Promotion>;

/// Which promotion, where, and as whom: each environment has its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PromotedKey {
    /// As [`Provider::endpoint`](super::desired::Provider::endpoint) tells.
    pub endpoint: String,
    /// Who runs it.
    pub account: Uin,
    /// The environment that runs it.
    pub env: Name,
    /// Where.
    pub region: Region,
    /// Whose image.
    pub from: PromotedFrom,
}

/// What was promoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromotedPin {
    /// Which version.
    pub edition: Edition,
    /// The image.
    pub id: ImageId,
    /// Whose it is.
    pub owner: Uin,
    /// When it was made.
    pub created_ms: Millis,
}

/// All that was promoted.
pub type PromotedPins = BTreeMap<PromotedKey, PromotedPin>;
