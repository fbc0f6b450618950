//! What a plan is made from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::desired::Desired;
use crate::model::limits::{Limits, Pace};
use crate::model::observed::Observed;
use crate::model::pins::Pins;
use crate::model::promotion::Promotions;
use crate::model::recorded::Recorded;

/// Everything that a plan depends on. Two equal inputs give two equal plans.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// What the config asks for.
    pub desired: &'a Desired,
    /// What the state remembers.
    pub recorded: &'a Recorded,
    /// What the cloud was seen to hold.
    pub observed: &'a Observed,
    /// What is limited, where the cloud does not report it.
    pub limits: Limits,
    /// How long the cloud takes for things.
    pub pace: Pace,
    /// The look-ups that were made before.
    pub pins: &'a Pins,
    /// What other environments offer of the images that are promoted from them.
    pub promotions: &'a Promotions,
    /// Cloud time of the observation.
    pub as_of_ms: Millis,
    /// What the command line asks for.
    pub options: Options<'a>,
}

/// What the command line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options<'a> {
    /// Everything goes.
    pub destroy: bool,
    /// Only the state changes: it learns what the cloud has.
    pub refresh_only: bool,
    /// Shares that somebody else made do not keep an image.
    pub cancel_undeclared_shares: bool,
    /// Our own things were not looked at: what is observed of them is what the state remembers.
    pub from_memory: bool,
    /// What is asked for of single things.
    pub asked: &'a Asked,
    /// How long the cloud may take to list what it has accepted, in milliseconds.
    pub visible_ms: Millis,
    /// For how long after it was accepted a listing may lack what one before it had, in milliseconds; 0 where every
    /// read sees what was done before it, as in the embedded cloud.
    pub lag_ms: Millis,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            destroy: false,
            refresh_only: false,
            cancel_undeclared_shares: false,
            from_memory: false,
            asked: NOTHING,
            visible_ms: VISIBLE_MS,
            lag_ms: 0,
        }
    }
}

const NOTHING: &Asked =
    &Asked { replace: BTreeSet::new(), upgrade: Upgrade::None, retry: Upgrade::None, scope: Scope::All };

/// What the command line asks for of single things.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// What is made anew.
    pub replace: BTreeSet<Addr>,
    /// Which look-ups move on to the newest match.
    pub upgrade: Upgrade,
    /// Rollouts of which fleets are tried again, that stopped, were aborted or were taken back.
    pub retry: Upgrade,
    /// What the plan is about.
    pub scope: Scope,
}

impl Asked {
    /// Whether a thing is to be made anew.
    #[must_use]
    pub fn replaces(&self, addr: &Addr) -> bool {
        self.replace.iter().any(|named| named.names(addr))
    }
}

/// Of which blocks something is done: whose look-ups move on to the newest match, whose rollouts are tried again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Upgrade {
    /// None: each look-up stays where it is pinned, and each rollout as it is.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of these blocks.
    Of(BTreeSet<Addr>),
}

impl Upgrade {
    /// Whether it is done of a block.
    #[must_use]
    pub fn has(&self, block: &Block) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(named) => named.contains(&Addr::of(block.clone())),
        }
    }
}

/// What a plan is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// These things, and the blocks that they need; where things go, those as well that need them and go, too.
    Target(BTreeSet<Addr>),
    /// Everything but these things, and what needs them.
    Exclude(BTreeSet<Addr>),
    /// The rollouts of these fleets, which somebody spoke to or which go back: as [`Self::Target`], but nobody asked for a
    /// part.
    Rollout(BTreeSet<Addr>),
}

impl Scope {
    /// The addresses that are named, and the option by which.
    #[must_use]
    pub fn named(&self) -> Option<(&'static str, &BTreeSet<Addr>)> {
        match self {
            Self::All => None,
            Self::Target(named) | Self::Rollout(named) => Some(("--target", named)),
            Self::Exclude(named) => Some(("--exclude", named)),
        }
    }
}

/// How long the cloud is given to list what it has accepted: lists are eventually consistent (measured: the first
/// DescribeInstances after RunInstances can be empty).
pub const VISIBLE_MS: Millis = 60_000;
