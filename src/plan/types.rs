//! A plan as a value: what changes ([`Change`]), and the steps that change it ([`Step`]). Every choice has been made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::model::Millis;
use crate::model::addr::Block;
use crate::model::digest::Digest;
use crate::model::ids::{ImageId, Lineage, Name, Region, Uin, Zone};
use crate::model::promotion::{Edition, PromotedFrom};
use crate::model::recorded::Origin;
use crate::model::rollout::Rollout;
use crate::model::update::Strategy;
use crate::plan::input::Scope;

pub use super::changes::{Action, AttrChange, Change, Detail, Drift, Handling, PRESENCE, Reason, Value};
pub use super::floor::Floor;
pub use super::steps::{
    Do, Effect, Fact, Gate, Hold, HookStep, Mark, Need, NewObject, Resource, Settle, Step, Target, Until,
};

/// The version of the plan's own format.
pub const FORMAT: u32 = 1;

/// What will be done, in which order, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`] of whoever wrote it.
    pub format: u32,
    /// Of the state that it was made from.
    pub lineage: Lineage,
    /// Of the state that it was made from.
    pub serial: u64,
    /// Which cloud, account and project.
    pub origin: Origin,
    /// Which environment.
    pub env: Name,
    /// Of the config that it was made from.
    pub config_digest: Digest,
    /// Cloud time of the observation.
    pub as_of_ms: Millis,
    /// Whether it destroys everything.
    pub destroy: bool,
    /// Whether our own things were taken to be as the state remembers them, without a look at the cloud.
    #[serde(default)]
    pub from_memory: bool,
    /// Whether only the state changes: it learns what the cloud has.
    #[serde(default)]
    pub refresh_only: bool,
    /// What it is about.
    #[serde(default)]
    pub scope: Scope,
    /// What the look-ups found.
    pub lookups: Vec<Pinned>,
    /// What changes, in the order of the addresses.
    pub changes: Vec<Change>,
    /// What was changed outside, whether it is repaired or left alone.
    pub drift: Vec<Drift>,
    /// What is done. A step's needs stand before it.
    pub steps: Vec<Step>,
    /// Which block needs which, from now on.
    pub edges: BTreeSet<(Block, Block)>,
    /// The most that is held of each limited thing, at any moment.
    pub peaks: Vec<Peak>,
    /// What is rolled out over fleets, batch by batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<RolloutPlan>,
    /// What the cloud does not let one know beforehand, and the plan relies on.
    pub assumptions: Vec<String>,
    /// The fewest calls by which all of this can come to be; `None` in plans of versions that did not count them.
    #[serde(default)]
    pub floor: Option<Floor>,
    /// Warnings and notes; they belong to the moment, not to the plan's value.
    #[serde(skip)]
    pub notes: Vec<Diagnostic>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many things are added, changed, reset and destroyed; a replacement is an addition and a destruction.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.changes.iter().map(|change| change.action))
    }

    /// How many mutating calls it makes, by action.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u32> {
        let mut calls = BTreeMap::new();
        for step in &self.steps {
            if let Do::Call(call) = &step.does {
                *calls.entry(call.body.action()).or_default() += 1;
            }
        }
        calls
    }
}

/// What is rolled out over a fleet by a plan: all that is left of it, or as far as the next pause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutPlan {
    /// The rollout as it is when the plan begins.
    pub row: Rollout,
    /// What is done to instances whose system disk changes; never `auto`.
    pub strategy: Strategy,
    /// Why, where the plan chose; empty where the config did.
    pub why: String,
    /// How many slots come before all batches: they are out of service already, or no gate has seen them yet.
    pub first: u32,
    /// How many slots each of its batches has, in order; with a canary that is the first.
    pub batches: Vec<u32>,
    /// Whether the first batch is a canary.
    pub canary: bool,
    /// How many slots wait for somebody to say that it goes on.
    pub left: u32,
    /// Where its slots are.
    #[serde(default)]
    pub zones: Vec<RolledZone>,
    /// How many instances the fleet is to have.
    pub count: u32,
    /// The fewest of them in service at any moment, if nothing else goes wrong.
    pub least_available: u32,
    /// The most instances that there are at any moment.
    pub most: u32,
}

/// The slots that a rolled out fleet has in one zone, as the plan finds them. What moves is where it moves to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolledZone {
    /// Which zone.
    pub zone: Zone,
    /// How many slots are what the rollout leads to, and have been seen to be good.
    pub there: u32,
    /// Those that are not, in order: the plan leads them there, or leaves them to a later one.
    pub to_come: Vec<u32>,
}

/// The closing line of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Made.
    pub add: u32,
    /// Changed in place.
    pub change: u32,
    /// Whose system disk is formatted.
    pub reset: u32,
    /// Destroyed.
    pub destroy: u32,
}

impl Counts {
    /// Of what happens to each thing.
    #[must_use]
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        let mut counts = Self::default();
        for action in actions {
            match action {
                Action::Create => counts.add += 1,
                Action::Update => counts.change += 1,
                Action::Reset => counts.reset += 1,
                Action::Replace | Action::Swap => {
                    counts.add += 1;
                    counts.destroy += 1;
                }
                Action::Delete => counts.destroy += 1,
                Action::Forget | Action::Learn | Action::Await => {}
            }
        }
        counts
    }
}

/// What a look-up found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pinned {
    /// The image block.
    pub block: Block,
    /// Where.
    pub region: Region,
    /// The exact name; of what is promoted, whose image it is.
    pub name: String,
    /// The id.
    pub id: ImageId,
    /// When the image was made.
    pub created_ms: Millis,
    /// Whether the lock file has no such entry yet, or is to get another one.
    pub new: bool,
    /// What it was pinned to before, where it moves on.
    #[serde(default)]
    pub was: Option<ImageId>,
    /// What of another environment it is, where it was not looked up by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Promoted>,
}

/// What was promoted from another environment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promoted {
    /// Whose image.
    pub from: PromotedFrom,
    /// Which version.
    pub edition: Edition,
    /// Whose account's it is.
    pub owner: Uin,
    /// Which one before, where it moves on.
    pub was: Option<Edition>,
}

/// The most that is held of a limited thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peak {
    /// Of what.
    pub resource: Resource,
    /// Before the first step, others' things included.
    pub before: u32,
    /// At the worst moment.
    pub peak: u32,
    /// After the last step.
    pub after: u32,
    /// The most that may be.
    pub limit: u32,
}
