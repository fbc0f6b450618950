//! Rollouts: how far the change of a fleet is, in the state, so that it outlives the process that began it.
//!
//! A fleet has at most one, the latest. It is told from the next one by its [`Target`]: what instances are made with, as
//! far as a change of it takes a new system disk or another machine. While the config still asks for the target of a
//! rollout that failed, nothing rolls there again unless somebody says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::addr::Block;
use super::digest::Digest;
use super::spec::{ImageUse, ObjectSpec};

/// The change of a fleet that is rolled out, or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// The fleet.
    pub block: Block,
    /// What it rolls out: the same for as long as the config asks for the same.
    pub target: Digest,
    /// The image that it rolls out.
    pub to: ImageUse,
    /// What an instance was made with before; its zone and network are its own. `None`: there was none to go back to.
    pub before: Option<Arc<ObjectSpec>>,
    /// How far it is.
    pub phase: Phase,
    /// Whether the canary was passed.
    pub canary_passed: bool,
    /// Whether somebody said that it may go on to its end without another pause.
    pub promoted: bool,
    /// The slots that failed in it.
    pub failed: BTreeSet<u32>,
    /// Why it does not go on, for people; empty while it does.
    pub why: String,
    /// Cloud time of the plan that began it.
    pub started_ms: Millis,
    /// Cloud time of its latest change.
    pub changed_ms: Millis,
}

/// How far a rollout is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on with the next apply.
    Running,
    /// It waits for somebody: at a pause of the config's, or because somebody said so.
    Paused,
    /// All slots are where it led.
    Done,
    /// Too many failed: what changed stays, what did not stays as well.
    Stopped,
    /// Somebody ended it: what changed stays, what did not stays as well.
    Aborted,
    /// It failed, or somebody wants it back: every slot goes, or went, to what ran before. Its target is quarantined.
    TakenBack,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Done, Self::Stopped, Self::Aborted, Self::TakenBack];

    /// The word in state and output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::TakenBack => "taken_back",
        }
    }

    /// What becomes of slots that are not at its target yet.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::Running | Self::Done => Hold::None,
            Self::Paused | Self::Stopped | Self::Aborted => Hold::Rest,
            Self::TakenBack => Hold::All,
        }
    }
}

/// Which slots of a fleet a rollout keeps at what ran before, while the config asks for its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// None: they go where the config says.
    None,
    /// Those that are not at its target.
    Rest,
    /// All of them.
    All,
}
