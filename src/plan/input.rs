//! What a plan is made from.

use crate::model::Millis;
use crate::model::desired::Desired;
use crate::model::limits::{Limits, Pace};
use crate::model::observed::Observed;
use crate::model::pins::Pins;
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
    /// Cloud time of the observation.
    pub as_of_ms: Millis,
    /// What the command line asks for.
    pub options: Options,
}

/// What the command line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Everything goes.
    pub destroy: bool,
    /// Shares that somebody else made do not keep an image.
    pub cancel_undeclared_shares: bool,
    /// Our own things were not looked at: what is observed of them is what the state remembers.
    pub from_memory: bool,
    /// How long the cloud may take to list what it has accepted, in milliseconds.
    pub visible_ms: Millis,
}

impl Default for Options {
    fn default() -> Self {
        Self { destroy: false, cancel_undeclared_shares: false, from_memory: false, visible_ms: VISIBLE_MS }
    }
}

/// How long the cloud is given to list what it has accepted: lists are eventually consistent (measured: the first
/// DescribeInstances after RunInstances can be empty).
pub const VISIBLE_MS: Millis = 60_000;
