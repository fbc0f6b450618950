//! What an apply tells while it runs, and what it ends with.

use std::collections::BTreeSet;

use crate::cloud::call::{Class, StepId};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{CloudId, Region, RequestId};
use crate::model::recorded::OpId;
use crate::model::rollout::Phase;
use crate::plan::Action;
use crate::store::StoreFault;

/// A target with what the cloud calls it, where that is known.
pub type Settled = (Addr, Option<CloudId>);

/// Something that happened. Whoever shows it knows when.
///
/// Of a step come `Started`, then what happens to its targets (each is told of once: `Settled`, `Failed` or `Skipped`),
/// then `Done`. A step of which nothing was tried is only `Skipped`, or `Failed`. Of a gate come `Gate`s between; a target
/// that had settled may still fail there, while it bakes. While an interrupted run is recovered there are no steps:
/// numbers of steps are those of a plan that is no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// An operation of an interrupted run is looked into.
    Recovering {
        /// The operation.
        op: OpId,
        /// What it was.
        action: &'static str,
        /// What it was done to.
        addrs: Vec<Addr>,
        /// What is found out, or was.
        why: String,
    },
    /// An operation of an interrupted run is over: nothing of it is open any more.
    Recovered {
        /// The operation.
        op: OpId,
        /// What it was.
        action: &'static str,
        /// What it took effect on; maybe nothing.
        addrs: Vec<Addr>,
    },
    /// Nothing can be done for a while.
    Waiting {
        /// What is waited for.
        why: String,
        /// Until when, by the clock that the events are shown with.
        until_ms: Millis,
    },
    /// Somebody wants it to stop.
    Stopping {
        /// How many calls are under way; their answers are waited for.
        under_way: usize,
        /// Whether they are not waited for.
        at_once: bool,
    },
    /// A step began.
    Started {
        /// The step.
        step: StepId,
        /// The API's action, `Await`, `Record`, `Gate` or `Hook`.
        action: &'static str,
        /// Where; nowhere for `Record`.
        region: Option<Region>,
        /// What it is done to.
        addrs: Vec<Addr>,
    },
    /// A call that changes something leaves.
    Sent {
        /// The step.
        step: StepId,
        /// The API's action.
        action: &'static str,
        /// Where.
        region: Region,
        /// How often it was sent, from 1.
        attempt: u32,
    },
    /// The cloud accepted a call.
    Accepted {
        /// The step.
        step: StepId,
        /// The API's action.
        action: &'static str,
        /// By which the cloud's own people find the call.
        request_id: RequestId,
    },
    /// A step's call did not succeed, and is made again.
    Retrying {
        /// The step.
        step: StepId,
        /// As in `Started`.
        action: &'static str,
        /// What the cloud said.
        fault: String,
        /// How long from now.
        in_ms: Millis,
        /// How often it was tried, from 1.
        attempt: u32,
    },
    /// How far the cloud says that it is.
    Percent {
        /// The step.
        step: StepId,
        /// As in `Started`.
        action: &'static str,
        /// From 0 to 100.
        percent: u8,
    },
    /// Targets of a step are as wanted.
    Settled {
        /// The step.
        step: StepId,
        /// As in `Started`.
        action: &'static str,
        /// Which.
        targets: Vec<Settled>,
    },
    /// How far a gate of a rollout is.
    Gate {
        /// The step.
        step: StepId,
        /// The fleet.
        fleet: Block,
        /// What is new.
        news: GateNews,
    },
    /// A step that had started is over, however it went.
    Done {
        /// The step.
        step: StepId,
        /// As in `Started`.
        action: &'static str,
        /// What of it succeeded; maybe nothing.
        addrs: Vec<Addr>,
        /// How long it took.
        took_ms: Millis,
    },
    /// Targets of a step failed.
    Failed {
        /// The step.
        step: StepId,
        /// As in `Started`.
        action: &'static str,
        /// Which.
        targets: Vec<Settled>,
        /// Why, all of them.
        why: String,
    },
    /// Targets were not tried, for what they need is not there.
    Skipped {
        /// The step.
        step: StepId,
        /// Which.
        addrs: Vec<Addr>,
        /// A clause: `image.web@3f9a1c02/ap-guangzhou failed`.
        because: String,
    },
}

/// What is new about a gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GateNews {
    /// Instances became healthy, or ceased to be.
    Healthy {
        /// How many are.
        healthy: usize,
        /// Of how many that have not failed.
        of: usize,
    },
    /// All are ready, and have to stay healthy together.
    Baking {
        /// Until when, by the clock that the events are shown with.
        until_ms: Millis,
    },
    /// The rollout goes on; where that makes something else of it, what.
    Passed {
        /// How far it is then.
        phase: Option<Phase>,
    },
    /// The rollout waits for somebody.
    Paused {
        /// Why.
        why: String,
    },
    /// The rollout does not go on.
    Failed {
        /// What becomes of it; `None`: there is no rollout to mark.
        phase: Option<Phase>,
        /// Which instances failed, and why.
        why: String,
    },
}

/// How an apply ended. What stands nowhere here was not reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub done: Vec<(Action, Addr)>,
    /// What failed, and why: which call, where, and what the cloud said.
    pub failed: Vec<(Addr, String)>,
    /// Of which kinds the cloud's refusals were.
    pub refused: BTreeSet<Class>,
    /// What was not tried, and the clause that says why not: `image.web@3f9a1c02/ap-guangzhou failed`.
    pub skipped: Vec<(Addr, String)>,
    /// Operations of which it cannot be told whether they took effect, and why; the journal keeps them open.
    pub in_doubt: Vec<(OpId, String)>,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
    /// Why the state could not be written, where that ended it.
    pub store: Option<StoreFault>,
    /// Whether nothing was left to wait for though not all was done: a fault of this program.
    pub stuck: bool,
    /// Fleets whose rollouts wait for somebody now, because the config says so or somebody wished it.
    pub paused: BTreeSet<Block>,
    /// Fleets whose rollouts failed, and stay where they are.
    pub stopped: BTreeSet<Block>,
    /// Fleets whose rollouts failed, and go back to what ran before.
    pub taken_back: BTreeSet<Block>,
}

impl Outcome {
    /// Whether it is known of everything how it ended, well or not.
    #[must_use]
    pub fn settled(&self) -> bool {
        let Self {
            done: _,
            failed: _,
            refused: _,
            skipped: _,
            in_doubt,
            interrupted,
            store,
            stuck,
            paused: _,
            stopped: _,
            taken_back: _,
        } = self;
        in_doubt.is_empty() && store.is_none() && !interrupted && !stuck
    }

    /// Whether all was done. A plan that led as far as a pause is done there.
    #[must_use]
    pub fn whole(&self) -> bool {
        let Self {
            done: _,
            failed,
            refused: _,
            skipped,
            in_doubt,
            interrupted,
            store,
            stuck,
            paused: _,
            stopped,
            taken_back,
        } = self;
        let well = failed.is_empty() && skipped.is_empty() && stopped.is_empty() && taken_back.is_empty();
        well && in_doubt.is_empty() && store.is_none() && !interrupted && !stuck
    }

    /// Whether nothing went wrong, and a rollout waits for somebody. Where that one wished for the pause while the plan
    /// was carried out, what stood behind it was skipped.
    #[must_use]
    pub fn waits(&self) -> bool {
        let well = self.failed.is_empty() && self.stopped.is_empty() && self.taken_back.is_empty();
        !self.paused.is_empty() && well && self.settled()
    }

    /// The same, followed by another run that was a part of it.
    #[must_use]
    pub fn and(mut self, next: Self) -> Self {
        let Self { done, failed, refused, skipped, in_doubt, interrupted, store, stuck, paused, stopped, taken_back } =
            next;
        // What was left out at first, and done then, was not left out.
        let addrs: BTreeSet<&Addr> = done.iter().map(|(_, addr)| addr).collect();
        self.skipped.retain(|(addr, _)| !addrs.contains(addr));
        self.done.extend(done);
        self.failed.extend(failed);
        self.refused.extend(refused);
        self.skipped.extend(skipped);
        self.in_doubt.extend(in_doubt);
        self.interrupted |= interrupted;
        self.store = self.store.or(store);
        self.stuck |= stuck;
        self.paused.extend(paused);
        self.stopped.extend(stopped);
        self.taken_back.extend(taken_back);
        self
    }
}
