//! Steps: when one is ready, what of it can be done, and what its end means for others.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::op::Op;
use super::{After, Command, Engine, action_of, region_of, set_token};
use crate::apply::events::Progress;
use crate::cloud::call::{Arg, StepId};
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::ids::{CloudId, ImageId};
use crate::model::recorded::{Object, OpId, Status};
use crate::model::spec::{ImageUse, ObjectSpec};
use crate::plan::{Do, Effect, Need, NewObject, Step, Target};
use crate::store::{OpRecord, OpState, Record};

/// How far a step is.
pub(super) struct StepState {
    /// Steps that it still waits for.
    waiting: usize,
    /// Operations of it that are open; a refused batch is split into several.
    pub(super) open_ops: usize,
    /// Targets that succeeded.
    pub(super) done: BTreeSet<u32>,
    targets: usize,
    /// Targets that are left out because their rollout may do without them.
    excused: usize,
    over: bool,
    /// Of a gate: whether it has passed.
    passed: Option<bool>,
    /// Where the step was skipped, or is a gate that has not passed: a clause that says why.
    because: Option<String>,
    started_ms: Millis,
    /// Whether it was told that it started.
    told: bool,
}

impl StepState {
    /// Of a step that waits for so many others.
    pub(super) fn new(waiting: usize, targets: usize) -> Self {
        Self {
            waiting,
            open_ops: 0,
            done: BTreeSet::new(),
            targets,
            excused: 0,
            over: false,
            passed: None,
            because: None,
            started_ms: 0,
            told: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Of a gate, which succeeds when it passes, and not when all of its targets do.
    pub(super) fn gate(targets: usize) -> Self {
        Self { passed: Some(false), ..Self::new(0, targets) }
    }

    pub(super) fn waiting(self, waiting: usize) -> Self {
        Self { waiting, ..self }
    }

    /// A gate has passed, or a clause that says why not.
    pub(super) fn judge(&mut self, passed: bool, because: String) {
        self.passed = Some(passed);
        self.because = (!passed).then_some(because);
    }

    /// Whether it went as one that waited for it asks.
    fn meets(&self, need: Need) -> bool {
        match need {
            Need::Success(_) => self.succeeded(),
            Need::Whole(_) => self.succeeded() && self.done.len() == self.targets,
            Need::Over(_) => true,
        }
    }

    fn succeeded(&self) -> bool {
        self.passed.unwrap_or(self.done.len() + self.excused == self.targets)
    }
}

/// A target's address as people see it.
pub(super) fn full_addr(target: &Target) -> Addr {
    target.addr.clone().generation(target.generation)
}

impl Engine<'_> {
    /// Starts a step whose needs are over: skips it, or what of it cannot be done, and does the rest.
    pub(super) fn start(&mut self, now: Millis, id: StepId, out: &mut Vec<Command>) {
        let Some(step) = self.plan.get(id.0 as usize).cloned() else { return };
        if let Some(because) = self.blocked(&step).or_else(|| self.held_by_a_pause(&step)) {
            self.skip(now, &step, &because, out);
            return;
        }
        if matches!(step.does, Do::Gate(_)) {
            self.begin_gate(now, step, out);
            return;
        }
        let Some((step, indices)) = self.resolved(now, step, out) else { return };
        self.began(id, now);
        match &step.does {
            Do::Record => self.record_only(&step, &indices, out),
            Do::Await { .. } | Do::Gate(_) => self.await_only(now, step, indices, out),
            Do::Hook(_) => self.begin_hook(now, step, indices, out),
            Do::Call(_) => {
                if self.facts.fresh(now, &step, self.set.fresh_ms) {
                    self.intend(now, step, indices, out);
                } else {
                    self.facts.ask(step, indices);
                }
            }
        }
    }

    pub(super) fn began(&mut self, id: StepId, now: Millis) {
        if let Some(state) = self.steps.get_mut(id.0 as usize) {
            state.started_ms = now;
        }
    }

    /// Why nothing of a step was tried, or what comes behind it is not: a clause.
    pub(super) fn why_skipped(&self, step: StepId) -> Option<String> {
        self.steps.get(step.0 as usize).and_then(|state| state.because.clone())
    }

    /// Why a step cannot start at all: a clause.
    fn blocked(&self, step: &Step) -> Option<String> {
        step.needs.iter().find_map(|need| {
            let other = need.step();
            let state = self.steps.get(other.0 as usize)?;
            if state.meets(*need) {
                return None;
            }
            if state.because.is_some() {
                return state.because.clone();
            }
            let targets = &self.plan.get(other.0 as usize)?.targets;
            let failed = targets.iter().zip(0..).find(|(_, n)| !state.done.contains(n));
            let failed = failed.map_or_else(|| other.to_string(), |(target, _)| full_addr(target).to_string());
            Some(not_there(&failed))
        })
    }

    /// Puts the ids in that earlier steps handed out, and leaves out the targets whose ids never came.
    fn resolved(&mut self, now: Millis, mut step: Step, out: &mut Vec<Command>) -> Option<(Step, Vec<u32>)> {
        let missing = match &mut step.does {
            Do::Call(call) => call.body.resolve(&|output| self.outputs.get(&output).cloned()).err(),
            Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => None,
        };
        if let Some((other, target)) = missing {
            let because = self.name_of(other, target);
            self.skip(now, &step, &because, out);
            return None;
        }
        let mut indices = Vec::new();
        let mut kept = Vec::new();
        for (mut target, n) in std::mem::take(&mut step.targets).into_iter().zip(0..) {
            if let Some(Arg::Output { step: other, target: of }) = target.id {
                let Some(id) = self.outputs.get(&(other, of)) else {
                    let because = self.name_of(other, of);
                    self.skip_target(&step, &target, &because, out);
                    if self.is_excused(other, of)
                        && let Some(state) = self.steps.get_mut(step.id.0 as usize)
                    {
                        state.excused += 1;
                    }
                    // Its id may be known all the same: then the call must not name it either.
                    if let (Some(id), Do::Call(call)) = (self.foreseen(other, of), &mut step.does) {
                        call.body.without(id.as_str());
                    }
                    continue;
                };
                target.id = Some(Arg::Known(id.clone()));
            }
            kept.push(target);
            indices.push(n);
        }
        step.targets = kept;
        if step.targets.is_empty() {
            self.finish_step(now, step.id, out);
            return None;
        }
        Some((step, indices))
    }

    /// Whether an id was not handed out because a gate passed without the instance: what comes next must not wait for what
    /// the rollout may do without.
    pub(super) fn is_excused(&self, step: StepId, n: u32) -> bool {
        self.gate_before(step, n).is_some_and(|(gate, n, passed)| passed && !self.outputs.contains_key(&(gate, n)))
    }

    /// The output of a gate that an output comes from, where it comes from one, and whether that gate has passed.
    pub(super) fn gate_before(&self, step: StepId, n: u32) -> Option<(StepId, u32, bool)> {
        let (mut step, mut n) = (step, n);
        loop {
            if let Some(passed) = self.steps.get(step.0 as usize)?.passed {
                return Some((step, n, passed));
            }
            // A hook hands on what it is given, and stands behind that.
            match self.plan.get(step.0 as usize)?.targets.get(n as usize)?.id.as_ref()? {
                Arg::Output { step: other, target } if *other < step => (step, n) = (*other, *target),
                Arg::Output { .. } | Arg::Known(_) => return None,
            }
        }
    }

    /// The id that a target hands out when it succeeds, where the plan knew it.
    fn foreseen(&self, step: StepId, n: u32) -> Option<CloudId> {
        let (mut step, mut n) = (step, n);
        loop {
            let planned = self.plan.get(step.0 as usize)?;
            if let Some(freed) = planned.frees(n) {
                return freed.cloned();
            }
            // What hands it on stands before it, so this comes to an end.
            match planned.targets.get(n as usize)?.id.as_ref()? {
                Arg::Known(id) => return Some(id.clone()),
                Arg::Output { step: other, target } if *other < step => (step, n) = (*other, *target),
                Arg::Output { .. } => return None,
            }
        }
    }

    /// Why a step did not hand an id out: what the step itself was skipped for, or its target. A clause.
    fn name_of(&self, step: StepId, target: u32) -> String {
        if let Some(because) = self.why_skipped(step) {
            return because;
        }
        let planned = self.plan.get(step.0 as usize);
        // What a gate frees is numbered behind its targets.
        let targets = planned.map_or(1, |step| step.targets.len().max(1));
        let target = planned.and_then(|step| step.targets.get(target as usize % targets));
        not_there(&target.map_or_else(|| step.to_string(), |target| full_addr(target).to_string()))
    }

    /// Nothing of a step is tried, and a clause says why.
    pub(super) fn skip(&mut self, now: Millis, step: &Step, because: &str, out: &mut Vec<Command>) {
        if let Some(state) = self.steps.get_mut(step.id.0 as usize) {
            state.because = Some(because.to_owned());
        }
        if step.only_waits() {
            self.finish_step(now, step.id, out);
            return;
        }
        let because = because.to_owned();
        let addrs: Vec<Addr> = step.targets.iter().map(full_addr).collect();
        self.outcome.skipped.extend(addrs.iter().map(|addr| (addr.clone(), because.clone())));
        out.push(Command::Tell(Progress::Skipped { step: step.id, addrs, because }));
        self.finish_step(now, step.id, out);
    }

    pub(super) fn skip_target(&mut self, step: &Step, target: &Target, because: &str, out: &mut Vec<Command>) {
        let because = because.to_owned();
        self.outcome.skipped.push((full_addr(target), because.clone()));
        out.push(Command::Tell(Progress::Skipped { step: step.id, addrs: vec![full_addr(target)], because }));
    }

    /// A step that changes the state only.
    fn record_only(&mut self, step: &Step, indices: &[u32], out: &mut Vec<Command>) {
        let silent = step.only_waits();
        if !silent {
            self.tell_started(step, out);
        }
        for (target, index) in step.targets.iter().zip(indices) {
            match (&target.effect, target.id.as_ref().and_then(Arg::known)) {
                (Effect::Make(made), Some(id)) => {
                    let object = new_object(target, made, id.clone(), None, Status::Ready, 0, None);
                    self.write(Record::Put(Box::new(object)));
                }
                (Effect::Become(spec), _) => self.write(became(target, Some(Arc::clone(spec)), installed(spec))),
                (Effect::Arrive, _) => self.write(became(target, None, None)),
                (Effect::Remove, _) => {
                    self.write(Record::Remove { addr: target.addr.clone(), generation: target.generation });
                }
                (Effect::Nothing | Effect::Make(_), _) => {}
            }
            if let Some(state) = self.steps.get_mut(step.id.0 as usize) {
                state.done.insert(*index);
            }
            if !silent {
                self.tell_settled(step.id, "Record", (full_addr(target), target.known()));
            }
        }
        self.then(After::Recorded(step.id));
    }

    /// A step that waits for what is under way: nothing is sent, so nothing is journalled.
    fn await_only(&mut self, now: Millis, step: Step, indices: Vec<u32>, out: &mut Vec<Command>) {
        self.tell_started(&step, out);
        let id = self.open_op(step, indices, now, OpState::Accepted);
        self.begin_watching(now, id);
    }

    /// Writes down what is about to be sent.
    pub(super) fn intend(&mut self, now: Millis, step: Step, indices: Vec<u32>, out: &mut Vec<Command>) {
        self.tell_started(&step, out);
        self.intend_again(now, step, indices);
    }

    pub(super) fn intend_again(&mut self, now: Millis, step: Step, indices: Vec<u32>) {
        let id = self.open_op(step, indices, now, OpState::Intended);
        let seed = self.set.seed;
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.journalled = true;
        if let Do::Call(call) = &mut op.record.step.does {
            set_token(&mut call.body, &seed, id);
        }
        let record = op.record.clone();
        self.write(Record::Intend(Box::new(record)));
        self.then(After::Intended(id));
    }

    pub(super) fn open_op(&mut self, step: Step, indices: Vec<u32>, now: Millis, state: OpState) -> OpId {
        let id = self.next_op;
        self.next_op = OpId(id.0 + 1);
        let known = step.targets.iter().map(|target| target.id.as_ref().and_then(Arg::known).cloned()).collect();
        let targets = step.targets.len();
        if let Some(state) = self.steps.get_mut(step.id.0 as usize) {
            state.open_ops += 1;
        }
        let record = OpRecord {
            id,
            run: self.set.run,
            step,
            attempt: 0,
            intended_ms: now,
            cloud_ms: self.cloud_now(now),
            sent_ms: None,
            state,
            request_id: None,
            unbound: Vec::new(),
            ids: known,
            outcomes: vec![None; targets],
        };
        self.ops.insert(id, Op::new(record, indices));
        self.ops_left += 1;
        id
    }

    pub(super) fn tell_started(&mut self, step: &Step, out: &mut Vec<Command>) {
        if let Some(state) = self.steps.get_mut(step.id.0 as usize) {
            state.told = true;
        }
        out.push(Command::Tell(Progress::Started {
            step: step.id,
            action: action_of(step),
            region: region_of(step).cloned(),
            addrs: step.targets.iter().map(full_addr).collect(),
        }));
    }

    /// The end of a step's last operation, or of a step that had none.
    pub(super) fn finish_step(&mut self, now: Millis, id: StepId, out: &mut Vec<Command>) {
        let Some(state) = self.steps.get_mut(id.0 as usize) else { return };
        if state.over || state.open_ops > 0 {
            return;
        }
        state.over = true;
        self.steps_left -= 1;
        let (told, took_ms) = (state.told, now - state.started_ms);
        let done = &state.done;
        if let Some(step) = self.plan.get(id.0 as usize).filter(|_| told) {
            let targets = step.targets.iter().zip(0..).filter(|(_, n)| done.contains(n));
            let addrs = targets.map(|(target, _)| full_addr(target)).collect();
            // What happened to its targets is told before.
            out.extend(std::mem::take(&mut self.told).into_iter().map(Command::Tell));
            out.push(Command::Tell(Progress::Done { step: id, action: action_of(step), addrs, took_ms }));
        }
        for dependant in self.dependants.remove(&id).unwrap_or_default() {
            if let Some(state) = self.steps.get_mut(dependant.0 as usize) {
                state.waiting -= 1;
                if state.waiting == 0 {
                    self.ready.insert(dependant);
                }
            }
        }
    }
}

fn not_there(what: &str) -> String {
    format!("{what} did not succeed")
}

/// What a target becomes when it succeeded.
pub(super) fn became(target: &Target, spec: Option<Arc<ObjectSpec>>, made_from: Option<ImageId>) -> Record {
    Record::Change { addr: target.addr.clone(), generation: target.generation, status: Status::Ready, spec, made_from }
}

/// What an instance was made from, where its spec says so by itself: of an image that is not ours it has the very id.
fn installed(spec: &ObjectSpec) -> Option<ImageId> {
    match spec {
        ObjectSpec::Slot(slot) => match &slot.image {
            ImageUse::Found { id } => Some(id.clone()),
            ImageUse::Made { .. } | ImageUse::Promoted { .. } => None,
        },
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    }
}

/// The row of something that a step makes.
pub(super) fn new_object(
    target: &Target,
    made: &NewObject,
    id: CloudId,
    made_from: Option<ImageId>,
    status: Status,
    accepted_ms: Millis,
    made_by: Option<OpId>,
) -> Object {
    Object {
        addr: target.addr.clone(),
        generation: target.generation,
        region: made.region.clone(),
        cloud_id: id,
        name: made.name.clone(),
        zone: made.zone.clone(),
        ordinal: made.ordinal,
        status,
        spec: Arc::clone(&made.spec),
        made_from,
        accepted_ms,
        made_by,
    }
}
