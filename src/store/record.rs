//! What is written: changes of the state, and the journal of operations.
//!
//! An operation is `intended` (committed with its call, evidence and token) → `sent` (committed before the bytes
//! leave) → `accepted` (answered; ids known) → `settled` or `failed`, with an outcome for each target. Intended but
//! not sent was never sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::packed::Packed;
use crate::cloud::budget::Learned;
use crate::cloud::call::{Fault, StepId};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::digest::Digest;
use crate::model::ids::{CloudId, ImageId, Region, RequestId, Uin, Version};
use crate::model::recorded::{Object, OpId, Origin, RunId, Status, VersionRecord};
use crate::model::rollout::Rollout;
use crate::model::spec::ObjectSpec;
use crate::plan::{Counts, Step};

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpState {
    /// Written down; the bytes have not left.
    Intended,
    /// The bytes may have left; no answer was recorded.
    Sent,
    /// The cloud accepted it.
    Accepted,
    /// Over, with an outcome for each target.
    Settled,
    /// Over: refused, or never executed.
    Failed,
}

impl OpState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Intended, Self::Sent, Self::Accepted, Self::Settled, Self::Failed];

    /// The word in the state.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }
}

/// How it went for one target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOutcome {
    /// As wanted.
    Done,
    /// Not as wanted.
    Failed {
        /// Why, for people.
        why: String,
    },
}

/// An operation of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpRecord {
    /// Its id.
    pub id: OpId,
    /// The run that it belongs to.
    pub run: RunId,
    /// The step, with all its arguments known, its facts as evidence and the client token in its call. Without the
    /// targets whose arguments never came.
    pub step: Step,
    /// How often it was sent.
    pub attempt: u32,
    /// Local time of the intent.
    pub intended_ms: Millis,
    /// Cloud time of the intent, as well as it was known.
    pub cloud_ms: Millis,
    /// The time that the last attempt was signed with.
    pub sent_ms: Option<Millis>,
    /// How far it is.
    pub state: OpState,
    /// What the cloud called the request that it accepted.
    pub request_id: Option<RequestId>,
    /// Ids that the cloud handed out and that are not bound to a target yet.
    pub unbound: Vec<CloudId>,
    /// The id of each target, as far as known.
    pub ids: Vec<Option<CloudId>>,
    /// The outcome of each target, as far as known.
    pub outcomes: Vec<Option<TargetOutcome>>,
}

/// How many calls of an action the cloud took, as one of its refusals taught.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taught {
    /// Whose calls.
    pub account: Uin,
    /// Where.
    pub region: Region,
    /// Of which action.
    pub action: String,
    /// How many, and when.
    pub learned: Learned,
}

/// One change of the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The cloud took fewer calls than were made.
    Budget(Taught),
    /// A new operation, `intended`.
    Intend(Box<OpRecord>),
    /// The bytes are about to leave.
    Sent {
        /// Which operation.
        op: OpId,
        /// Which attempt, from 1.
        attempt: u32,
        /// The time that it is signed with.
        sent_ms: Millis,
    },
    /// The cloud accepted it.
    Accepted {
        /// Which operation.
        op: OpId,
        /// What the cloud calls the request.
        request_id: Option<RequestId>,
        /// Ids that are not bound to a target yet.
        unbound: Vec<CloudId>,
    },
    /// An id belongs to a target.
    Bound {
        /// Which operation.
        op: OpId,
        /// Which target.
        target: u32,
        /// The id.
        id: CloudId,
    },
    /// How it went for a target.
    Outcome {
        /// Which operation.
        op: OpId,
        /// Which target.
        target: u32,
        /// How.
        outcome: TargetOutcome,
    },
    /// The operation is over, with an outcome for each target.
    Settled {
        /// Which operation.
        op: OpId,
        /// Local time.
        settled_ms: Millis,
    },
    /// The operation was refused, or never executed.
    Failed {
        /// Which operation.
        op: OpId,
        /// Local time.
        settled_ms: Millis,
        /// Why.
        fault: Box<Fault>,
    },
    /// A thing is ours from now on, or takes the place of the row of the same address and generation.
    Put(Box<Object>),
    /// A thing is in another status, has another spec, or runs from another image.
    Change {
        /// The thing.
        addr: Addr,
        /// Its generation.
        generation: u32,
        /// The status.
        status: Status,
        /// The new spec; `None`: as before.
        spec: Option<Arc<ObjectSpec>>,
        /// What it runs from now; `None`: as before.
        made_from: Option<ImageId>,
    },
    /// A thing is gone.
    Remove {
        /// The thing.
        addr: Addr,
        /// Its generation.
        generation: u32,
    },
    /// A version was captured, or is about to be.
    Version(Box<VersionRecord>),
    /// A version has no copy any more.
    DropVersion {
        /// The image block.
        block: Block,
        /// The version.
        version: Version,
        /// Which capture of it.
        generation: u32,
    },
    /// Which block needs which, in place of what was recorded.
    Edges(BTreeSet<(Block, Block)>),
    /// How far the change of a fleet is, in place of what was recorded of it.
    Rollout(Box<Rollout>),
    /// A fleet has no rollout any more.
    DropRollout(Block),
    /// The cloud that this state is of.
    Origin(Origin),
    /// How long something took, for estimates.
    Took {
        /// The action.
        action: &'static str,
        /// Where.
        region: Region,
        /// How long.
        ms: Millis,
    },
}

/// Somebody wishes that a rollout pause which the holder of the lock is carrying out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PauseWish {
    /// The fleet.
    pub block: Block,
    /// The person.
    pub who: String,
    /// The machine.
    pub host: String,
    /// When, by that machine's clock.
    pub asked_ms: Millis,
}

impl PauseWish {
    /// Why a rollout does not go on that pauses for it.
    #[must_use]
    pub fn why(&self) -> String {
        format!("{} on {} wished it to pause", self.who, self.host)
    }
}

/// A run that starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRun {
    /// `apply`, `destroy`, `refresh`, `recover`, `state rm`, `adopt`, `rollback`, or `rollout` and what was done to one.
    pub kind: &'static str,
    /// Who started it.
    pub who: String,
    /// On which machine.
    pub host: String,
    /// When.
    pub started_ms: Millis,
    /// Of the config, where it has to do with one.
    pub config_digest: Option<Digest>,
    /// The commit that is checked out where the config lies, where that can be told.
    pub git_rev: Option<String>,
    /// The plan, where there is one.
    pub plan: Option<Packed>,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunOutcome {
    /// All was done.
    Done,
    /// Some of it was done.
    Partly,
    /// Nothing was done.
    Failed,
    /// It was interrupted.
    Interrupted,
    /// All was done as far as a rollout goes, which waits for somebody.
    Paused,
    /// A rollout failed, and stays where it is.
    Stopped,
    /// A rollout failed, and goes back to what ran before.
    TakenBack,
}

impl RunOutcome {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Partly, Self::Failed, Self::Interrupted, Self::Paused, Self::Stopped, Self::TakenBack];

    /// The word in the state.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::TakenBack => "taken_back",
        }
    }
}

/// A run in the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// `apply`, `destroy`, `refresh`, `recover`, `state rm`, `adopt`, `rollback`, or `rollout` and what was done to one.
    pub kind: String,
    /// Who started it.
    pub who: String,
    /// On which machine.
    pub host: String,
    /// When.
    pub started_ms: Millis,
    /// Of the config, where it had to do with one.
    pub config_digest: Option<Digest>,
    /// The commit that was checked out where the config lay, where that could be told.
    pub git_rev: Option<String>,
    /// Of the plan, where there was one.
    pub plan_hash: Option<Digest>,
    /// When it ended; `None`: it is under way, or was killed.
    pub ended_ms: Option<Millis>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// The state's serial when it started.
    pub serial_before: u64,
    /// The state's serial when it ended.
    pub serial_after: Option<u64>,
}

/// A run as the history tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunTold {
    /// The run itself.
    pub row: RunRow,
    /// How it ended, or what else became of it.
    pub ending: Ending,
    /// What it was to do; `None`: nothing, or it cannot be told any more.
    pub tally: Option<Tally>,
}

/// What became of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It is over.
    Over(RunOutcome),
    /// It holds the lock.
    UnderWay,
    /// It was killed.
    BrokenOff,
}

impl Ending {
    /// The word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Over(outcome) => outcome.word(),
            Self::UnderWay => "under_way",
            Self::BrokenOff => "broken_off",
        }
    }
}

/// What a run was to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// As the closing line of a plan counts.
    pub counts: Counts,
    /// What only the state forgot.
    pub forget: u32,
}

/// An operation of the journal, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpRow {
    /// Its id.
    pub id: OpId,
    /// The step of its plan.
    pub step: StepId,
    /// The API's action; `await` or `record` where nothing was sent.
    pub action: String,
    /// Where; `None` where only the state changed.
    pub region: Option<Region>,
    /// How far it is.
    pub state: OpState,
    /// How often it was sent.
    pub attempt: u32,
    /// Local time of the intent.
    pub intended_ms: Millis,
    /// The time that the last attempt was signed with.
    pub sent_ms: Option<Millis>,
    /// Local time of its end.
    pub settled_ms: Option<Millis>,
    /// What the cloud called the request that it accepted.
    pub request_id: Option<RequestId>,
    /// Why it was refused.
    pub fault: Option<Fault>,
    /// What it was done to.
    pub targets: Vec<OpTargetRow>,
}

/// A target of an operation, to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpTargetRow {
    /// The thing, without its generation.
    pub addr: Addr,
    /// Its generation.
    pub generation: u32,
    /// Its id, as far as it was known.
    pub id: Option<CloudId>,
    /// How it went, as far as known.
    pub outcome: Option<TargetOutcome>,
}

/// What was deleted of the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pruned {
    /// How many runs.
    pub runs: usize,
    /// How many of their operations.
    pub operations: usize,
    /// How many plans that no run refers to any more.
    pub plans: usize,
    /// The first run that stays although it was to go, and why; all behind it stay as well.
    pub stays: Option<(RunId, Stays)>,
}

/// Why a run stays in the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stays {
    /// It is the newest: its number must not be given again.
    Newest,
    /// It has operations that are not settled.
    OpenOperations,
    /// It shut instances down that were not started again.
    HaltedInstances,
}

/// How often an action took how long in a region: more than half of `le_ms`, and at most that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DurationRow {
    /// The action.
    pub action: String,
    /// Where.
    pub region: Region,
    /// A power of two.
    pub le_ms: Millis,
    /// How often.
    pub count: u64,
    /// How long they took together.
    pub sum_ms: Millis,
}
