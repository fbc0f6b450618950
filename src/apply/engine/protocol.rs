//! What the engine is told, what it asks for, and what it goes by.

use crate::apply::events::{Outcome, Progress};
use crate::cloud::budget::Budgets;
use crate::cloud::call::{Answer, Call, Fault};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{CloudId, InstanceId, Region, Uin};
use crate::model::label::Label;
use crate::model::recorded::RunId;
use crate::model::update::{Check, Hook, Moment};
use crate::store::{Record, StoreFault};

/// A commit, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seq(pub u64);

/// A call that is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CallId(pub u64);

/// A probe that is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ProbeId(pub u64);

/// A hook that runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HookId(pub u64);

/// What an instance is asked, to see whether it is healthy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Where it is.
    pub region: Region,
    /// Which.
    pub instance: InstanceId,
    /// By which address.
    pub address: Label,
    /// What.
    pub check: Check,
    /// How long it may take to answer.
    pub timeout_ms: Millis,
}

/// Something of the user's that is run for instances.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookCall {
    /// The fleet.
    pub fleet: Block,
    /// Where.
    pub region: Region,
    /// When.
    pub moment: Moment,
    /// What.
    pub hook: Hook,
    /// The instances.
    pub instances: Vec<(Addr, CloudId)>,
}

/// How soon it should stop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// Start nothing new; wait for answers that are under way, and journal them.
    Soon,
    /// At once; the journal holds.
    Now,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A commit is durable.
    Committed(Seq),
    /// A commit failed: nothing of it was written.
    Refused(Seq, StoreFault),
    /// A call was answered, or not.
    Replied(CallId, Result<Answer, Fault>),
    /// An instance answered a probe as it should, or a clause that says what it did.
    Probed(ProbeId, Result<(), String>),
    /// A hook has run, or a clause that says why it failed.
    Hooked(HookId, Result<(), String>),
    /// Time went by, or it begins.
    Woke,
    /// Somebody wants it to stop.
    Stop(Urgency),
    /// Somebody wants the rollout of this fleet to pause, and why in words: it does at its next gate.
    Pause(Block, String),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Write all of this, in one transaction.
    Commit(Seq, Vec<Record>),
    /// Make this call, signed with this time. Nothing that mutates is handed out before it is journalled as sent.
    Send {
        /// Its number.
        id: CallId,
        /// The call.
        call: Call,
        /// The time of its signature.
        signed_ms: Millis,
    },
    /// Ask an instance. Nobody minds where no answer comes.
    Probe(ProbeId, Probe),
    /// Run a hook; its end is waited for.
    Hook(HookId, Box<HookCall>),
    /// Come back at this local time, at the latest.
    Wake(Millis),
    /// Say this to whoever watches.
    Tell(Progress),
    /// It is over.
    End(Outcome),
}

/// What the engine goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run that operations are journalled under.
    pub run: RunId,
    /// As whom.
    pub account: Uin,
    /// What client tokens are made from, and what waits are drawn from; never used twice.
    pub seed: [u8; 32],
    /// How long the cloud may take to list what it accepted.
    pub visible_ms: Millis,
    /// How long after its signature a request may still be executed; 0 where none outlives its process.
    pub window_ms: Millis,
    /// How long the cloud is trusted to remember a client token.
    pub token_horizon_ms: Millis,
    /// The most calls under way at once.
    pub most_calls: usize,
    /// How old a read may be for its facts to count.
    pub fresh_ms: Millis,
    /// Local time of the observation that the plan was made from.
    pub observed_ms: Millis,
    /// Cloud time less local time.
    pub cloud_offset_ms: Millis,
    /// How many calls a second the cloud takes.
    pub budgets: Budgets,
    /// How often a call that was refused for a passing reason is made again.
    pub most_tries: u32,
}
