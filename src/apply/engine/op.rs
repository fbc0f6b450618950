//! Operations: intended, sent, accepted, settled or failed; each state durable before the next begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::step::{became, full_addr, new_object};
use super::{After, Command, Engine, Purpose, action_of};
use crate::apply::events::{Progress, Settled};
use crate::cloud::call::{Answer, Arg, Call, Class, Executed, Fault, Reply, StepId};
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::ids::{CloudId, ImageId};
use crate::model::recorded::{OpId, Status};
use crate::plan::{Do, Effect, Target, Until};
use crate::store::{OpRecord, OpState, Record, TargetOutcome};

/// An operation that is open.
pub(super) struct Op {
    pub(super) record: OpRecord,
    /// Which targets of the plan's step these are.
    pub(super) indices: Vec<u32>,
    /// Whether the journal has it; a mere wait it has not.
    pub(super) journalled: bool,
    pub(super) phase: Phase,
    /// Local time since which it is waited for.
    pub(super) since_ms: Millis,
    /// Targets without an outcome.
    pub(super) pending: usize,
    /// Of a copy: whether its source is still busy with it.
    pub(super) source_busy: bool,
    /// How far the cloud said that it is.
    pub(super) percent: Option<u8>,
    /// How often it was refused.
    pub(super) tries: u32,
    pub(super) doubt: super::doubt::Doubt,
    /// Which targets are to bear which name, from the first time on that an id is bound by its name.
    named: Option<Named>,
}

/// Targets by the names that they are to bear.
struct Named(BTreeMap<String, Vec<usize>>);

impl Named {
    fn of(targets: &[Target]) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (n, target) in targets.iter().enumerate() {
            if let Some(made) = target.effect.makes() {
                by_name.entry(made.name.clone()).or_default().push(n);
            }
        }
        Self(by_name)
    }

    /// Those that are to bear a name: one, in a launch.
    fn get(&self, name: &str) -> &[usize] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nothing was done with it yet.
    Untouched,
    /// Its turn, or the end of a backoff.
    Queued,
    /// The commit that says it is sent.
    Committing,
    /// The answer.
    InFlight,
    /// Reads that tell whether it took effect.
    InDoubt,
    /// The commit that says it is accepted, and then the end of what it started.
    Watching,
    /// The commit that says it is over.
    Closing,
}

impl Op {
    pub(super) fn new(record: OpRecord, indices: Vec<u32>) -> Self {
        let pending = record.outcomes.iter().filter(|outcome| outcome.is_none()).count();
        Self {
            record,
            indices,
            journalled: false,
            phase: Phase::Untouched,
            since_ms: 0,
            pending,
            source_busy: false,
            percent: None,
            tries: 0,
            doubt: super::doubt::Doubt::default(),
            named: None,
        }
    }

    /// The target without an id that an instance of this name is.
    pub(super) fn named(&mut self, name: &str) -> Option<usize> {
        let OpRecord { step, ids, unbound, .. } = &self.record;
        let free = |n: &usize| ids.get(*n).is_some_and(Option::is_none);
        let named = self.named.get_or_insert_with(|| Named::of(&step.targets));
        if let Some(n) = named.get(name).iter().copied().find(free) {
            return Some(n);
        }
        if unbound.len() != 1 {
            return None;
        }
        // Renamed by hand within these seconds: where one id and one slot are left, they belong together.
        let mut left = (0..step.targets.len()).filter(free).filter(|n| step.targets[*n].effect.makes().is_some());
        left.next().filter(|_| left.next().is_none())
    }

    pub(super) fn recovered(record: OpRecord) -> Self {
        let mut op = Self::new(record, Vec::new());
        op.journalled = true;
        op
    }

    pub(super) fn call(&self) -> Option<&Call> {
        match &self.record.step.does {
            Do::Call(call) => Some(call),
            Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => None,
        }
    }

    pub(super) fn addrs(&self) -> Vec<Addr> {
        self.record.step.targets.iter().map(full_addr).collect()
    }

    /// Whether it makes images, which are found by their names where an answer tells no ids.
    fn makes_an_image(&self) -> bool {
        let images = self.call().is_some_and(|call| call.body.names_images().is_some());
        images && self.record.step.targets.iter().any(|target| target.effect.makes().is_some())
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.phase == Phase::Untouched
    }

    /// The image that instances of this operation run from afterwards.
    pub(super) fn made_from(&self) -> Option<ImageId> {
        match self.call()?.body.runs_from() {
            Some(Arg::Known(id)) => Some(id.clone()),
            Some(Arg::Output { .. }) | None => None,
        }
    }
}

impl Engine<'_> {
    pub(super) fn enqueue(&mut self, id: OpId, at: Millis) {
        if let Some(op) = self.ops.get_mut(&id) {
            op.phase = Phase::Queued;
            self.queue.insert((at, id));
        }
    }

    /// Journals that the bytes are about to leave.
    pub(super) fn mark_sent(&mut self, now: Millis, id: OpId) {
        let signed_ms = self.cloud_now(now);
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::Committing;
        op.record.state = OpState::Sent;
        op.record.attempt += 1;
        op.record.sent_ms = Some(signed_ms);
        let attempt = op.record.attempt;
        self.in_flight += 1;
        self.write(Record::Sent { op: id, attempt, sent_ms: signed_ms });
        self.then(After::Sent(id));
    }

    pub(super) fn transmit(&mut self, id: OpId, out: &mut Vec<Command>) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::InFlight;
        let (Some(call), Some(signed_ms)) = (op.call().cloned(), op.record.sent_ms) else { return };
        out.push(Command::Tell(Progress::Sent {
            step: op.record.step.id,
            action: call.body.action(),
            region: call.region.clone(),
            attempt: op.record.attempt,
        }));
        self.send(Purpose::Mutate(id), call, signed_ms, out);
    }

    pub(super) fn replied(&mut self, now: Millis, id: OpId, result: Result<Answer, Fault>, out: &mut Vec<Command>) {
        self.in_flight -= 1;
        match result {
            Ok(answer) => self.accept(now, id, answer),
            Err(fault) if fault.executed == Executed::Unknown => {
                self.tell_retry(id, &fault, 0, out);
                self.doubt(now, id, out);
            }
            Err(fault) => self.refused(now, id, fault, out),
        }
    }

    /// The cloud accepted it: what it made is ours from now on.
    fn accept(&mut self, now: Millis, id: OpId, answer: Answer) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.record.request_id = Some(answer.request_id.clone());
        self.told.push(Progress::Accepted {
            step: op.record.step.id,
            action: action_of(&op.record.step),
            request_id: answer.request_id,
        });
        let targets = op.record.step.targets.len();
        let mut ids: Vec<(usize, CloudId)> = Vec::new();
        let mut unbound = Vec::new();
        let mut failed: Vec<(usize, String)> = Vec::new();
        match answer.reply {
            // One instance can only be the one target; several are told apart by their names.
            Reply::Ids(mut handed) => match (handed.len(), targets) {
                (1, 1) => ids.extend(handed.pop().map(|id| (0, id))),
                _ => unbound = handed,
            },
            Reply::Copies(copies) => {
                for (region, image) in copies {
                    let target = op.record.step.targets.iter().position(|target| match &target.effect {
                        Effect::Make(made) => made.region == region,
                        Effect::Nothing | Effect::Become(_) | Effect::Remove | Effect::Arrive => false,
                    });
                    ids.extend(target.map(|n| (n, CloudId::Image(image))));
                }
            }
            Reply::Tagged { failed: refused } => {
                for (n, target) in op.record.step.targets.iter().enumerate() {
                    let id = target.id.as_ref().and_then(Arg::known).map(CloudId::as_str);
                    if let Some(failure) = refused.iter().find(|failure| Some(failure.id.as_str()) == id) {
                        failed.push((n, format!("{}: {}", failure.code, failure.message)));
                    }
                }
            }
            Reply::Done
            | Reply::Instances(_)
            | Reply::Images(_)
            | Reply::Shares(_)
            | Reply::ImageQuota(_)
            | Reply::AccountQuota { .. }
            | Reply::Regions(_)
            | Reply::Zones(_)
            | Reply::Types(_)
            | Reply::States(_)
            | Reply::ImportOs(_)
            | Reply::Price(_)
            | Reply::Stock(_)
            | Reply::UserData(_) => {}
        }
        if ids.is_empty() && unbound.is_empty() && op.makes_an_image() {
            self.find_by_name(now, id);
            return;
        }
        self.mark_accepted(now, id, unbound, ids, answer.cloud_ms);
        for (n, why) in failed {
            self.target_failed(id, n, why);
        }
    }

    /// Journals an operation as accepted, with the ids that are known.
    pub(super) fn mark_accepted(
        &mut self,
        now: Millis,
        id: OpId,
        unbound: Vec<CloudId>,
        ids: Vec<(usize, CloudId)>,
        cloud_ms: Millis,
    ) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::Watching;
        op.since_ms = now;
        op.record.state = OpState::Accepted;
        op.record.unbound.clone_from(&unbound);
        op.record.cloud_ms = op.record.cloud_ms.max(cloud_ms);
        let request_id = op.record.request_id.clone();
        let leaving: Vec<Record> = op
            .record
            .step
            .targets
            .iter()
            .zip(&op.record.outcomes)
            .filter(|(target, outcome)| matches!(target.effect, Effect::Remove) && outcome.is_none())
            .filter(|(target, _)| is_object(target))
            .map(|(target, _)| Record::Change {
                addr: target.addr.clone(),
                generation: target.generation,
                status: Status::Deleting,
                spec: None,
                made_from: None,
            })
            .collect();
        self.write(Record::Accepted { op: id, request_id, unbound });
        for record in leaving {
            self.write(record);
        }
        for (n, cloud_id) in ids {
            self.bind(id, n, cloud_id);
        }
        self.then(After::Accepted(id));
    }

    /// An id belongs to a target: it is entered in the state.
    pub(super) fn bind(&mut self, id: OpId, n: usize, cloud_id: CloudId) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let made_from = op.made_from();
        op.record.unbound.retain(|other| *other != cloud_id);
        if let Some(slot) = op.record.ids.get_mut(n) {
            *slot = Some(cloud_id.clone());
        }
        let Some(target) = op.record.step.targets.get(n) else { return };
        let accepted_ms = op.record.cloud_ms;
        let mut records =
            vec![Record::Bound { op: id, target: u32::try_from(n).unwrap_or(u32::MAX), id: cloud_id.clone() }];
        if let Effect::Make(made) = &target.effect {
            let object = new_object(target, made, cloud_id, made_from, Status::Creating, accepted_ms, Some(id));
            records.push(Record::Put(Box::new(object)));
            records.extend(made.version.clone().map(Record::Version));
        }
        for record in records {
            self.write(record);
        }
    }

    /// A target is as wanted.
    pub(super) fn target_done(&mut self, id: OpId, n: usize) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let (Some(target), Some(outcome)) = (op.record.step.targets.get(n), op.record.outcomes.get_mut(n)) else {
            return;
        };
        if outcome.is_some() {
            return;
        }
        *outcome = Some(TargetOutcome::Done);
        op.pending -= 1;
        let known = op.record.ids.get(n).cloned().flatten();
        let effect = match &target.effect {
            Effect::Nothing => None,
            // A row that is entered at once, for nothing was awaited, stands as it was put; it becomes ready here.
            Effect::Make(made) => Some(match known.clone().filter(|_| target.id.is_some()) {
                Some(cloud_id) => {
                    let object = new_object(target, made, cloud_id, None, Status::Ready, op.record.cloud_ms, Some(id));
                    Record::Put(Box::new(object))
                }
                None => became(target, None, None),
            }),
            Effect::Become(spec) => Some(became(target, Some(Arc::clone(spec)), op.made_from())),
            Effect::Remove => Some(Record::Remove { addr: target.addr.clone(), generation: target.generation }),
            Effect::Arrive => Some(became(target, None, None)),
        };
        let index = op.indices.get(n).copied();
        let step = op.record.step.id;
        let journalled = op.journalled;
        let settled = (full_addr(target), known.clone());
        let action = action_of(&op.record.step);
        self.tell_settled(step, action, settled);
        if journalled {
            self.write(Record::Outcome { op: id, target: at(n), outcome: TargetOutcome::Done });
        }
        if let Some(record) = effect {
            self.write(record);
        }
        if let Some(index) = index {
            if let Some(cloud_id) = known {
                self.outputs.insert((step, index), cloud_id);
            }
            if let Some(state) = self.steps.get_mut(step.0 as usize) {
                state.done.insert(index);
            }
        }
    }

    /// A target is not as wanted, and will not be.
    pub(super) fn target_failed(&mut self, id: OpId, n: usize, why: String) {
        self.target_over(id, n, why, true);
    }

    /// Nobody knows what became of a target. It stays what it was in the state: the next plan looks what it is.
    pub(super) fn target_lost(&mut self, id: OpId, n: usize, why: String) {
        self.target_over(id, n, why, false);
    }

    /// `told`: whether the cloud says that it failed.
    fn target_over(&mut self, id: OpId, n: usize, why: String, told: bool) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let (Some(target), Some(outcome)) = (op.record.step.targets.get(n), op.record.outcomes.get_mut(n)) else {
            return;
        };
        if outcome.is_some() {
            return;
        }
        *outcome = Some(TargetOutcome::Failed { why: why.clone() });
        op.pending -= 1;
        let entered = op.record.ids.get(n).is_some_and(Option::is_some) && op.record.state == OpState::Accepted;
        let status = match &target.effect {
            Effect::Make(_) if told && entered && target.id.is_none() => Some(Status::Failed),
            // It was on its way out, and is not gone: it is as it was.
            Effect::Remove if op.record.state == OpState::Accepted && is_object(target) => Some(Status::Ready),
            Effect::Make(_) | Effect::Remove | Effect::Nothing | Effect::Become(_) | Effect::Arrive => None,
        };
        let change = status.map(|status| Record::Change {
            addr: target.addr.clone(),
            generation: target.generation,
            status,
            spec: None,
            made_from: None,
        });
        let addr = full_addr(target);
        let placed = op.call().map(|call| format!("{} in {}", call.body.action(), call.region));
        let known = op.record.ids.get(n).cloned().flatten();
        let (step, action, journalled) = (op.record.step.id, action_of(&op.record.step), op.journalled);
        if journalled {
            let outcome = TargetOutcome::Failed { why: why.clone() };
            self.write(Record::Outcome { op: id, target: at(n), outcome });
        }
        if let Some(record) = change {
            self.write(record);
        }
        self.outcome.failed.push((addr.clone(), placed.map_or_else(|| why.clone(), |call| format!("{call}: {why}"))));
        match self.told.last_mut() {
            Some(Progress::Failed { step: of, targets, why: same, .. }) if *of == step && *same == why => {
                targets.push((addr, known));
            }
            _ => self.told.push(Progress::Failed { step, action, targets: vec![(addr, known)], why }),
        }
    }

    /// Says that a target is as wanted, together with its neighbours.
    pub(super) fn tell_settled(&mut self, step: StepId, action: &'static str, settled: Settled) {
        match self.told.last_mut() {
            Some(Progress::Settled { step: of, targets, .. }) if *of == step => targets.push(settled),
            _ => self.told.push(Progress::Settled { step, action, targets: vec![settled] }),
        }
    }

    /// Every target has an outcome: the operation is over.
    pub(super) fn settle(&mut self, now: Millis, id: OpId) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        if op.phase == Phase::Closing {
            return;
        }
        op.phase = Phase::Closing;
        op.record.state = OpState::Settled;
        // Of what an interrupted run began, nobody saw how long it took.
        let timed = op.call().filter(|_| !self.recovering);
        let took = timed.map(|call| (call.body.action(), call.region.clone(), now - op.since_ms));
        if op.journalled {
            self.write(Record::Settled { op: id, settled_ms: now });
            if let Some((action, region, ms)) = took.filter(|(_, _, ms)| *ms > 0) {
                self.write(Record::Took { action, region, ms });
            }
        }
        self.then(After::Settled(id));
    }

    /// The operation was refused as a whole, or was never executed.
    pub(super) fn fail(&mut self, now: Millis, id: OpId, fault: Fault) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::Closing;
        let open: Vec<usize> =
            op.record.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(n, _)| n).collect();
        self.outcome.refused.insert(fault.class);
        let why = fault.to_string();
        for n in open {
            self.target_failed(id, n, why.clone());
        }
        if let Some(op) = self.ops.get_mut(&id) {
            op.record.state = OpState::Failed;
        }
        self.write(Record::Failed { op: id, settled_ms: now, fault: Box::new(fault) });
        self.then(After::Settled(id));
    }

    /// An operation that another run left, and that is known not to have been executed.
    pub(super) fn give_up(&mut self, now: Millis, id: OpId, why: &str, out: &mut Vec<Command>) {
        self.tell_recovering(id, why, out);
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::Closing;
        op.record.state = OpState::Failed;
        let fault = Fault {
            class: Class::Transport,
            code: None,
            message: why.to_owned(),
            request_id: None,
            executed: Executed::No,
            cloud_ms: None,
        };
        self.write(Record::Failed { op: id, settled_ms: now, fault: Box::new(fault) });
        self.then(After::Settled(id));
    }

    /// The end of an operation is durable.
    pub(super) fn closed(&mut self, now: Millis, id: OpId, out: &mut Vec<Command>) {
        let Some(op) = self.ops.remove(&id) else { return };
        self.ops_left -= 1;
        let step = op.record.step.id;
        if let Some(state) = self.steps.get_mut(step.0 as usize) {
            state.open_ops -= 1;
        }
        if self.recovering {
            let targets = op.addrs().into_iter().zip(&op.record.outcomes);
            let took = targets.filter(|(_, outcome)| **outcome == Some(TargetOutcome::Done));
            let addrs = took.map(|(addr, _)| addr).collect();
            out.extend(std::mem::take(&mut self.told).into_iter().map(Command::Tell));
            out.push(Command::Tell(Progress::Recovered { op: id, action: action_of(&op.record.step), addrs }));
        } else {
            self.finish_step(now, step, out);
        }
    }

    pub(super) fn step_over(&mut self, now: Millis, step: StepId, out: &mut Vec<Command>) {
        self.finish_step(now, step, out);
    }

    pub(super) fn tell_retry(&self, id: OpId, fault: &Fault, in_ms: Millis, out: &mut Vec<Command>) {
        let Some(op) = self.ops.get(&id) else { return };
        out.push(Command::Tell(Progress::Retrying {
            step: op.record.step.id,
            action: action_of(&op.record.step),
            fault: fault.to_string(),
            in_ms,
            attempt: op.record.attempt,
        }));
    }

    /// Ends an operation that takes effect at once, or begins to look after it.
    pub(super) fn begin_watching(&mut self, now: Millis, id: OpId) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::Watching;
        op.since_ms = now;
        if op.record.step.settle.until == Until::Accepted {
            let open: Vec<usize> = (0..op.record.outcomes.len()).collect();
            for n in open {
                self.target_done(id, n);
            }
            self.settle(now, id);
        } else if op.pending == 0 {
            self.settle(now, id);
        } else {
            self.watch(now, id);
        }
    }
}

fn at(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whether a target has a row of its own; a share that nobody recorded has none.
fn is_object(target: &crate::plan::Target) -> bool {
    target.id.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Block;
    use crate::model::spec::{ImageCopySpec, ObjectSpec};
    use crate::plan::NewObject;

    fn made(n: u32, name: String) -> Target {
        let spec = Arc::new(ObjectSpec::Image(ImageCopySpec::default()));
        let made = NewObject { region: "ap-guangzhou".into(), name, zone: None, ordinal: Some(n), spec, version: None };
        let addr = Addr::slot(Block::fleet(&"web".into()), n);
        Target { addr, generation: 1, id: None, effect: Effect::Make(Box::new(made)) }
    }

    #[test]
    fn one_target_is_looked_at_for_each_name() {
        let looked_at = |count: u32| -> usize {
            let targets: Vec<Target> = (0..count).map(|n| made(n, format!("web-{n}"))).collect();
            let named = Named::of(&targets);
            (0..count).map(|n| named.get(&format!("web-{n}")).len()).sum()
        };
        assert_eq!([50, 500].map(looked_at), [50, 500]);
        let twice = Named::of(&[made(0, "web".into()), made(1, "web".into())]);
        assert_eq!((twice.get("web"), twice.get("other")), (&[0, 1][..], &[][..]));
    }
}
