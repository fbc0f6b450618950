//! The engine: a state machine that carries out a plan, or settles what an interrupted run left.
//!
//! It knows no clock, file, thread or environment. [`Engine::on`] takes what happened and hands out what is to be done:
//!
//! ```text
//!   step ready ─▶ facts fresh? ─▶ Commit(intended) ─▶ Commit(sent) ─▶ Send ─▶ Commit(accepted) ─▶ polls ─▶ Commit(settled)
//!                     │ no: read                                       │ no answer: look whether it took ([`doubt`])
//! ```
//!
//! All that one event writes goes into one commit; the driver groups commits further. A failed target blocks what
//! depends on it, and nothing else. Between the batches of a rollout stand gates ([`gate`]), which look and do not act.

mod course;
mod doubt;
mod facts;
mod gate;
#[cfg(test)]
mod gate_rig;
#[cfg(test)]
mod gate_tests;
mod hook;
#[cfg(test)]
mod hook_tests;
mod op;
mod protocol;
mod refusal;
mod step;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use super::events::{Outcome, Progress};
use crate::cloud::budget::Budgets;
use crate::cloud::call::{Body, Call, StepId};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{CloudId, Region};
use crate::model::recorded::OpId;
use crate::plan::{Change, Do, Effect, Plan, Step};
use crate::store::{OpRecord, OpState, Record};

pub use protocol::{CallId, Command, Event, HookCall, HookId, Probe, ProbeId, Seq, Settings, Urgency};

use course::Course;
use facts::Facts;
use gate::Watched;
use op::Op;
use step::StepState;
use watch::{Group, Watch, WatchKey};

/// Why a call is under way.
enum Purpose {
    /// It is an operation's.
    Mutate(OpId),
    /// It looks after what is waited for.
    Poll(Group, Vec<WatchKey>),
    /// It looks whether an operation in doubt took effect.
    Look(OpId),
    /// It reads facts again.
    Facts,
}

/// What follows a commit.
enum After {
    Intended(OpId),
    Sent(OpId),
    Accepted(OpId),
    Settled(OpId),
    Recorded(StepId),
}

/// The engine.
pub struct Engine<'p> {
    set: Settings,
    plan: &'p [Step],
    changes: &'p [Change],
    recovering: bool,
    steps: Vec<StepState>,
    dependants: BTreeMap<StepId, Vec<StepId>>,
    ready: BTreeSet<StepId>,
    steps_left: usize,
    ops: BTreeMap<OpId, Op>,
    ops_left: usize,
    next_op: OpId,
    next_seq: Seq,
    next_call: CallId,
    batch: Vec<Record>,
    batch_after: Vec<After>,
    afters: BTreeMap<Seq, Vec<After>>,
    calls: BTreeMap<CallId, Purpose>,
    queue: BTreeSet<(Millis, OpId)>,
    /// What is due, and waits until the budget of its action and region takes another call.
    waiting: BTreeMap<(&'static str, Region), BTreeSet<OpId>>,
    looks: BTreeSet<(Millis, OpId)>,
    look_calls: BTreeMap<CallId, Call>,
    /// Mutating calls that are sent, or about to be.
    in_flight: usize,
    /// What is to be told with this event's commands.
    told: Vec<Progress>,
    budgets: Budgets,
    watches: BTreeMap<WatchKey, Watch>,
    due: BTreeMap<Group, BTreeSet<(Millis, WatchKey)>>,
    /// Gates that are open; each is an operation that the journal does not have.
    gates: BTreeMap<OpId, Watched<'p>>,
    /// How far rollouts are.
    courses: BTreeMap<Block, Course>,
    /// Which target of which gate is asked.
    probes: BTreeMap<ProbeId, (OpId, usize)>,
    next_probe: ProbeId,
    /// Hooks that run.
    hooks: BTreeMap<HookId, OpId>,
    next_hook: HookId,
    outputs: BTreeMap<(StepId, u32), CloudId>,
    facts: Facts,
    ids_ever: BTreeSet<String>,
    stop: Option<Urgency>,
    outcome: Outcome,
    broken: bool,
    ended: bool,
    wake: Option<Millis>,
}

impl<'p> Engine<'p> {
    /// An engine that will carry out a plan. It does nothing until it is woken.
    #[must_use]
    pub fn run(set: Settings, plan: &'p Plan, next_op: OpId) -> Self {
        let mut engine = Self::new(set, next_op);
        engine.changes = &plan.changes;
        engine.plan = &plan.steps;
        engine.steps_left = plan.steps.len();
        engine.courses = Course::of(&plan.rollouts);
        for step in &plan.steps {
            let waits = step.waits_for();
            for other in &waits {
                engine.dependants.entry(*other).or_default().push(step.id);
            }
            if waits.is_empty() {
                engine.ready.insert(step.id);
            }
            let targets = step.targets.len();
            engine.steps.push(match &step.does {
                Do::Gate(_) => StepState::gate(targets).waiting(waits.len()),
                Do::Call(_) | Do::Await { .. } | Do::Record | Do::Hook(_) => StepState::new(waits.len(), targets),
            });
        }
        engine
    }

    /// An engine that will settle the operations that an interrupted run left open.
    #[must_use]
    pub fn recover(set: Settings, open: Vec<OpRecord>, ids_ever: BTreeSet<String>, next_op: OpId) -> Self {
        let mut engine = Self::new(set, next_op);
        engine.recovering = true;
        engine.ids_ever = ids_ever;
        engine.ops_left = open.len();
        for record in open {
            engine.ops.insert(record.id, Op::recovered(record));
        }
        engine
    }

    fn new(set: Settings, next_op: OpId) -> Self {
        Self {
            facts: Facts::seen_at(set.observed_ms),
            budgets: set.budgets.clone(),
            set,
            plan: &[],
            changes: &[],
            recovering: false,
            steps: Vec::new(),
            dependants: BTreeMap::new(),
            ready: BTreeSet::new(),
            steps_left: 0,
            ops: BTreeMap::new(),
            ops_left: 0,
            next_op,
            next_seq: Seq(0),
            next_call: CallId(0),
            batch: Vec::new(),
            batch_after: Vec::new(),
            afters: BTreeMap::new(),
            calls: BTreeMap::new(),
            queue: BTreeSet::new(),
            waiting: BTreeMap::new(),
            looks: BTreeSet::new(),
            look_calls: BTreeMap::new(),
            in_flight: 0,
            told: Vec::new(),
            watches: BTreeMap::new(),
            due: BTreeMap::new(),
            gates: BTreeMap::new(),
            courses: BTreeMap::new(),
            probes: BTreeMap::new(),
            next_probe: ProbeId(0),
            hooks: BTreeMap::new(),
            next_hook: HookId(0),
            outputs: BTreeMap::new(),
            ids_ever: BTreeSet::new(),
            stop: None,
            outcome: Outcome::default(),
            broken: false,
            ended: false,
            wake: None,
        }
    }

    /// Takes what happened at local time `now`, and hands out what is to be done.
    pub fn on(&mut self, now: Millis, event: Event, out: &mut Vec<Command>) {
        if self.ended {
            return;
        }
        match event {
            Event::Committed(seq) => {
                for after in self.afters.remove(&seq).unwrap_or_default() {
                    self.after(now, after, out);
                }
            }
            Event::Refused(_, fault) => {
                self.broken = true;
                self.outcome.store = Some(fault);
            }
            Event::Replied(id, result) => {
                let cloud_ms = match &result {
                    Ok(answer) => Some(answer.cloud_ms),
                    Err(fault) => fault.cloud_ms,
                };
                if let Some(cloud_ms) = cloud_ms {
                    self.set.cloud_offset_ms = cloud_ms - now;
                }
                match self.calls.remove(&id) {
                    Some(Purpose::Mutate(op)) => self.replied(now, op, result, out),
                    Some(Purpose::Poll(group, keys)) => self.polled(now, &group, keys, result, out),
                    Some(Purpose::Look(op)) => self.looked(now, id, op, result, out),
                    Some(Purpose::Facts) => self.facts_read(now, id, result, out),
                    None => {}
                }
            }
            Event::Probed(id, answer) => self.probed(now, id, answer),
            Event::Hooked(id, result) => self.hooked(now, id, result),
            Event::Pause(fleet, why) => self.wish_to_pause(&fleet, why),
            Event::Woke => {
                if self.recovering {
                    self.take_up(now, out);
                }
            }
            Event::Stop(urgency) => {
                self.outcome.interrupted = true;
                let at_once = urgency == Urgency::Now;
                let under_way = self.calls.len() + self.hooks.len();
                self.told.push(Progress::Stopping { under_way, at_once });
                self.stop = self.stop.max(Some(urgency));
            }
        }
        self.proceed(now, out);
    }

    fn after(&mut self, now: Millis, after: After, out: &mut Vec<Command>) {
        match after {
            After::Intended(op) => self.enqueue(op, now),
            After::Sent(op) => self.transmit(op, out),
            After::Accepted(op) => self.begin_watching(now, op),
            After::Settled(op) => self.closed(now, op, out),
            After::Recorded(step) => self.step_over(now, step, out),
        }
    }

    /// Does all that can be done now, writes what there is to write, and says when to come back.
    fn proceed(&mut self, now: Millis, out: &mut Vec<Command>) {
        if self.broken || self.stop == Some(Urgency::Now) {
            self.end(out);
            return;
        }
        if self.stop.is_none() {
            while let Some(step) = self.ready.pop_first() {
                self.start(now, step, out);
            }
            self.read_facts(now, out);
        }
        self.send_queued(now);
        if self.stop.is_none() {
            self.look_due(now, out);
            self.gates_due(now, out);
            self.poll_due(now, out);
        }
        self.tell_health();
        out.extend(std::mem::take(&mut self.told).into_iter().map(Command::Tell));
        self.flush(out);
        if self.finished() {
            self.end(out);
            return;
        }
        self.schedule(now, out);
    }

    fn finished(&self) -> bool {
        // What is looked at goes on by itself, and so nobody waits for an answer; what a hook does must be known.
        let idle = self.calls.is_empty() && self.afters.is_empty() && self.hooks.is_empty();
        let all_done = self.steps_left == 0 && self.ops_left == 0;
        idle && (all_done || (self.stop.is_some() && self.queue.is_empty() && self.waiting.is_empty()))
    }

    fn end(&mut self, out: &mut Vec<Command>) {
        self.ended = true;
        let mut outcome = std::mem::take(&mut self.outcome);
        // A thing is told about once: that it failed says more than that a later step on it was skipped.
        let failed: BTreeSet<Addr> = outcome.failed.iter().map(|(addr, _)| addr.clone()).collect();
        let mut skipped = BTreeSet::new();
        outcome.skipped.retain(|(addr, _)| !failed.contains(addr) && skipped.insert(addr.clone()));
        let unfinished = self.unfinished();
        let reached = |addr: &Addr| !unfinished.contains(addr) && !failed.contains(addr) && !skipped.contains(addr);
        let reached = self.changes.iter().filter(|change| reached(&change.addr));
        outcome.done = reached.map(|change| (change.action, change.addr.clone())).collect();
        out.extend(std::mem::take(&mut self.told).into_iter().map(Command::Tell));
        out.push(Command::End(outcome));
    }

    fn unfinished(&self) -> BTreeSet<Addr> {
        if self.steps_left == 0 {
            return BTreeSet::new();
        }
        let open = self.plan.iter().zip(&self.steps).filter(|(_, state)| !state.is_over());
        // A step that only looks at a thing, a builder say, leaves what was done to it done.
        open.flat_map(|(step, _)| &step.targets)
            .filter(|target| target.effect != Effect::Nothing)
            .map(|target| target.addr.clone().generation(target.generation))
            .collect()
    }

    /// Adds to what this event writes.
    fn write(&mut self, record: Record) {
        self.batch.push(record);
    }

    /// Says what follows when this event's writes are durable.
    fn then(&mut self, after: After) {
        self.batch_after.push(after);
    }

    fn flush(&mut self, out: &mut Vec<Command>) {
        if self.batch.is_empty() && self.batch_after.is_empty() {
            return;
        }
        let seq = self.next_seq;
        self.next_seq = Seq(seq.0 + 1);
        self.afters.insert(seq, std::mem::take(&mut self.batch_after));
        out.push(Command::Commit(seq, std::mem::take(&mut self.batch)));
    }

    /// Hands out a call that only reads, or one that is journalled as sent.
    fn send(&mut self, purpose: Purpose, call: Call, signed_ms: Millis, out: &mut Vec<Command>) -> CallId {
        let id = self.next_call;
        self.next_call = CallId(id.0 + 1);
        self.calls.insert(id, purpose);
        out.push(Command::Send { id, call, signed_ms });
        id
    }

    fn cloud_now(&self, now: Millis) -> Millis {
        now + self.set.cloud_offset_ms
    }

    /// Sends what is journalled as intended, as far as rates and the number of calls under way allow.
    fn send_queued(&mut self, now: Millis) {
        if self.stop.is_some() {
            // Intended, or refused and not sent again: nothing is in doubt.
            self.queue.clear();
            self.waiting.clear();
            return;
        }
        let keys: Vec<(&'static str, Region)> = self.waiting.keys().cloned().collect();
        for key in keys {
            self.send_waiting(now, &key);
        }
        while self.in_flight < self.set.most_calls {
            let Some((at, id)) = self.queue.first().copied().filter(|(at, _)| *at <= now) else { break };
            self.queue.remove(&(at, id));
            let Some(call) = self.ops.get(&id).and_then(Op::call) else { continue };
            let key = (call.body.action(), call.region.clone());
            self.waiting.entry(key.clone()).or_default().insert(id);
            self.send_waiting(now, &key);
        }
    }

    /// Sends what waits for a budget, as far as it goes.
    fn send_waiting(&mut self, now: Millis, key: &(&'static str, Region)) {
        let (action, region) = key;
        while self.in_flight < self.set.most_calls && self.budgets.free_at(now, action, region) <= now {
            let Some(id) = self.waiting.get_mut(key).and_then(BTreeSet::pop_first) else { break };
            self.budgets.made(now, action, region);
            self.mark_sent(now, id);
        }
        if self.waiting.get(key).is_some_and(BTreeSet::is_empty) {
            self.waiting.remove(key);
        }
    }

    /// When a budget takes the next call of those that wait for one.
    fn next_free(&self, now: Millis) -> Option<Millis> {
        self.waiting.keys().map(|(action, region)| self.budgets.free_at(now, action, region)).min()
    }

    fn schedule(&mut self, now: Millis, out: &mut Vec<Command>) {
        // What waits for an answer is done when the answer comes: a time in the past would be waited for over and over.
        if self.stop.is_some() {
            return;
        }
        let busy = self.in_flight >= self.set.most_calls;
        let queued = self.queue.first().map(|(at, _)| *at).filter(|_| !busy);
        let free = self.next_free(now).filter(|_| !busy);
        let polls = self.next_poll();
        let looks = self.looks.first().map(|(at, _)| *at);
        let next = [queued, free, polls, looks, self.next_gate()].into_iter().flatten().min();
        let Some(next) = next else { return };
        let next = next.max(now);
        if self.wake.is_none_or(|wake| wake != next || wake <= now) {
            self.wake = Some(next);
            out.push(Command::Wake(next));
        }
    }

    /// Takes up what an interrupted run left, once.
    fn take_up(&mut self, now: Millis, out: &mut Vec<Command>) {
        let fresh: Vec<OpId> = self.ops.iter().filter(|(_, op)| op.is_untouched()).map(|(id, _)| *id).collect();
        for id in fresh {
            let Some(state) = self.ops.get(&id).map(|op| op.record.state) else { continue };
            match state {
                OpState::Intended => self.give_up(now, id, "it was never sent", out),
                OpState::Sent => self.doubt(now, id, out),
                OpState::Accepted => {
                    self.tell_recovering(id, "it was accepted; waiting until it is done", out);
                    self.begin_watching(now, id);
                }
                OpState::Settled | OpState::Failed => {}
            }
        }
    }

    fn tell_recovering(&self, id: OpId, why: &str, out: &mut Vec<Command>) {
        let Some(op) = self.ops.get(&id) else { return };
        let Some(call) = op.call() else { return };
        out.push(Command::Tell(Progress::Recovering {
            op: id,
            action: call.body.action(),
            addrs: op.addrs(),
            why: why.to_owned(),
        }));
    }
}

/// The word by which a step is told about.
fn action_of(step: &Step) -> &'static str {
    match &step.does {
        Do::Call(call) => call.body.action(),
        Do::Await { .. } => "Await",
        Do::Record => "Record",
        Do::Gate(_) => "Gate",
        Do::Hook(_) => "Hook",
    }
}

fn region_of(step: &Step) -> Option<&Region> {
    match &step.does {
        Do::Call(call) => Some(&call.region),
        Do::Await { region } => Some(region),
        Do::Gate(gate) => Some(&gate.region),
        Do::Hook(hook) => Some(&hook.region),
        Do::Record => None,
    }
}

/// The token of an operation's call: from the seed, so that it is never used twice.
fn token(seed: &[u8; 32], op: OpId) -> String {
    let mut bytes = seed.to_vec();
    bytes.extend(op.0.to_le_bytes());
    crate::model::digest::Digest::of(crate::model::digest::context::TOKEN, &bytes).to_string()
}

fn set_token(body: &mut Body, seed: &[u8; 32], op: OpId) {
    if let Body::RunInstances(launch) = body {
        launch.token = Some(token(seed, op));
    }
}
