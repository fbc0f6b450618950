//! What a plan says about each thing: what happens to it and why, and what was changed outside.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::ids::{CloudId, Region, Zone};
use crate::model::observed::LatestOperation;

/// What happens to one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The thing, with its generation.
    pub addr: Addr,
    /// What happens to it.
    pub action: Action,
    /// What the cloud calls it now, where it is there.
    pub id: Option<CloudId>,
    /// What it is, or will be, called in the cloud.
    pub name: String,
    /// Why, and what changes; shared by all slots that change alike.
    pub detail: Arc<Detail>,
}

/// What happens to a thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `-`: it is deleted.
    Delete,
    /// `-/+`: it is deleted, then made anew.
    Replace,
    /// `+/-`: a new one is made, and when that is known to be good, it is deleted.
    Swap,
    /// `!`: its system disk is formatted.
    Reset,
    /// `.`: it is gone already; only the state forgets it.
    Forget,
    /// `<~`: it was changed outside, and only the state learns it.
    Learn,
    /// `~`: it changes in place.
    Update,
    /// `+`: it is made.
    Create,
    /// It is under way already, and waited for.
    Await,
}

impl Action {
    /// The sign in a plan.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Delete => "-",
            Self::Replace => "-/+",
            Self::Swap => "+/-",
            Self::Reset => "!",
            Self::Forget => ".",
            Self::Learn => "<~",
            Self::Update => "~",
            Self::Create => "+",
            Self::Await => "…",
        }
    }

    /// Whether data can be lost.
    #[must_use]
    pub fn destructive(self) -> bool {
        match self {
            Self::Delete | Self::Replace | Self::Swap | Self::Reset => true,
            Self::Forget | Self::Learn | Self::Update | Self::Create | Self::Await => false,
        }
    }
}

/// Why something happens, and what changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Detail {
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// Of something made: what it is made with. Else: what changes.
    pub attrs: Vec<AttrChange>,
}

/// Why something happens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The config has it, the state does not.
    New,
    /// The fleet grows.
    ScaledUp {
        /// Slots before.
        from: u32,
        /// Slots after.
        to: u32,
    },
    /// The fleet shrinks.
    ScaledDown {
        /// Slots before.
        from: u32,
        /// Slots after.
        to: u32,
    },
    /// It was deleted outside.
    Vanished,
    /// It is in the recycle bin: somebody returned it, or what was paid for is over.
    RecycleBin {
        /// Cloud time since when, where that is told.
        since_ms: Option<Millis>,
        /// How long such things stay there at most, in milliseconds.
        stays_ms: Millis,
    },
    /// It was accepted a moment ago, and the cloud does not list it yet.
    NotListed,
    /// The config no longer has its zone.
    Moved {
        /// The zone that it leaves.
        from: Zone,
        /// The zone that it gets to.
        to: Zone,
    },
    /// The config says something else than before.
    Changed {
        /// Which attributes.
        attrs: Vec<String>,
    },
    /// It was changed outside.
    Drifted {
        /// Which attributes.
        attrs: Vec<String>,
    },
    /// There is a new version of an image.
    NewVersion {
        /// Which inputs differ from those of the version before.
        inputs: Vec<String>,
    },
    /// All copies of the version were deleted outside: it is captured anew.
    Recaptured,
    /// A copy was deleted outside, and is made from one that is left in this region.
    CopiedBack {
        /// Where a copy is left.
        from: Region,
    },
    /// The config no longer has it.
    NotInConfig,
    /// A newer version took its place.
    OldVersion,
    /// The region is no longer among the image's.
    RegionDropped,
    /// The command line asks for it.
    Requested,
    /// Everything is destroyed.
    Destroy,
    /// The cloud gave its creation up.
    CreationFailed,
    /// What it is on goes away.
    ImageGoes,
    /// It was accepted, and is not there yet.
    UnderWay,
    /// Somebody else's, and the config says that such go.
    Undeclared,
    /// The last reset failed.
    ResetFailed,
    /// A rollout made or changed it, and has still to see that it is healthy.
    OnTrial,
    /// The rollout that it is of is taken back.
    TakenBack,
    /// Another instance of the slot takes its place when that is known to be good.
    Succeeded,
    /// The cloud has it so already; only the state learns it.
    Already,
    /// A run shut it down for a change, and was interrupted before it was started again.
    Halted,
    /// It is there only while an image is made of it.
    Builds,
    /// Its image is made, or no longer wanted.
    BuildOver,
    /// Its image could not be made, and it was kept to be looked at.
    BuildFailed,
}

/// One attribute, before and after.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct AttrChange {
    /// The key in the config, or what comes nearest.
    pub name: String,
    /// What it is now.
    pub before: Value,
    /// What it will be.
    pub after: Value,
}

/// The value of an attribute, to be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// There is none.
    None,
    /// A text or a number.
    Text(String),
    /// Several, in order.
    List(Vec<String>),
    /// Known only by where it comes from.
    Secret {
        /// Where its bytes are.
        source: String,
        /// The first digits of its equality digest.
        digest: String,
    },
    /// Known only when an earlier step is done.
    Unknown {
        /// Which step.
        step: StepId,
        /// Which of its targets.
        target: u32,
        /// What it is.
        addr: Addr,
    },
}

/// What the plan does about something that was changed outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// It is brought back to what the config says.
    Repaired,
    /// It stays as it is.
    Left,
    /// The state learns it: from then on it counts as what we made it.
    Learnt,
}

/// Something that was changed outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// The thing.
    pub addr: Addr,
    /// The attribute.
    pub attr: String,
    /// What the state has.
    pub recorded: Value,
    /// What the cloud has.
    pub observed: Value,
    /// What the plan does about it.
    pub handling: Handling,
    /// The operation that may have done it: of an instance its latest, where that leaves such a change behind.
    pub by: Option<LatestOperation>,
}

/// The attribute of a [`Drift`] that tells whether a thing is there at all.
pub const PRESENCE: &str = "presence";
