//! Gates: whether the instances of a batch are healthy, for as long as it takes to know, and what that makes of their
//! rollout.
//!
//! ```text
//!   looked at ──▶ healthy ──▶ (min_ready) ──▶ passed ──▶ (bake) ──▶ the gate has passed
//!      ▲  │          │                          │
//!      └──┼──────────┘ bad looks                │ bad looks
//!         ▼ deadline                            ▼
//!       failed ◀────────────────────────────────┘      too many: the gate has failed
//! ```
//!
//! A look is one Describe for all instances of a region that are due, or a probe of each where there is a check. Gates are
//! not journalled: what outlives the process is the row of the rollout, and that an instance is no longer on trial. A gate
//! that is met again begins anew.

use super::course::{Course, clause, reasons};
use super::op::Phase as OpPhase;
use super::protocol::{Probe, ProbeId};
use super::step::full_addr;
use super::watch::{Group, WatchKey};
use super::{Command, Engine};
use crate::apply::events::{GateNews, Outcome, Progress};
use crate::cloud::call::{Arg, StepId};
use crate::model::Millis;
use crate::model::addr::Block;
use crate::model::ids::{CloudId, InstanceId};
use crate::model::observed::{Instance, InstanceState};
use crate::model::recorded::OpId;
use crate::model::rollout::Phase;
use crate::plan::{Do, Gate, Step, Target};
use crate::store::OpState;

/// The longest that a probe may take.
const MOST_PROBE_MS: Millis = 10_000;
/// Nothing is looked at more often than this.
const LEAST_INTERVAL_MS: Millis = 100;

/// A gate that is open.
pub(super) struct Watched<'p> {
    gate: &'p Gate,
    began_ms: Millis,
    /// By the number of the operation's target.
    instances: Vec<Looked>,
    /// When the next look is.
    next_ms: Millis,
    /// Until when it bakes.
    bake_until_ms: Option<Millis>,
    /// Why which slot failed, for people.
    failures: Vec<String>,
    /// Whether some of its targets were never tried.
    left_out: bool,
    /// What was told last of how many are healthy.
    told: (usize, usize),
}

/// An instance that a gate looks at.
struct Looked {
    id: InstanceId,
    at: At,
    /// Good looks in a row.
    good: u32,
    /// Bad ones in a row.
    bad: u32,
    /// Since when it has been healthy.
    healthy_ms: Option<Millis>,
    /// What the latest bad look saw.
    saw: String,
    /// By which address it is asked, once that is known.
    address: Option<crate::model::label::Label>,
    /// Whether a look is under way.
    asked: bool,
    /// How many times in a row it was not listed. One alone proves nothing: it may be answered from an old list.
    missed: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Looking,
    Passed,
    Failed,
}

/// What a look says.
enum Sight {
    Good,
    /// A clause about it: `http 500 in place of 200`.
    Bad(String),
    /// It will not come back: a clause about it.
    Gone(String),
}

impl<'p> Watched<'p> {
    fn interval_ms(&self) -> Millis {
        self.gate.health.interval_ms.max(LEAST_INTERVAL_MS)
    }

    fn deadline_ms(&self) -> Millis {
        self.began_ms + self.gate.health.deadline_ms
    }

    /// How many are healthy, of how many that have not failed.
    fn health(&self) -> (usize, usize) {
        let left = self.instances.iter().filter(|one| one.at != At::Failed);
        let healthy = left.clone().filter(|one| one.at == At::Passed || one.healthy_ms.is_some());
        (healthy.count(), left.count())
    }

    fn some(&self, at: At) -> bool {
        self.instances.iter().any(|one| one.at == at)
    }

    /// Whether it looks at those that are there.
    fn looks_at(&self, at: At) -> bool {
        match at {
            At::Looking => true,
            At::Passed => self.bake_until_ms.is_some(),
            At::Failed => false,
        }
    }

    /// When there is something to be done.
    fn due_ms(&self) -> Millis {
        // Where a look is under way, its answer decides.
        let open = |one: &Looked| one.at == At::Looking && one.healthy_ms.is_none() && !one.asked;
        let deadline = self.instances.iter().any(open).then(|| self.deadline_ms());
        [deadline, self.bake_until_ms].into_iter().flatten().fold(self.next_ms, Millis::min)
    }

    /// Since a time in milliseconds, as a rule tells it: `600 s`.
    fn within(ms: Millis) -> String {
        if ms % 1000 == 0 { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
    }
}

impl<'p> Engine<'p> {
    /// The plan's own gate.
    fn planned_gate(&self, step: StepId) -> Option<&'p Gate> {
        let plan: &'p [Step] = self.plan;
        match &plan.get(step.0 as usize)?.does {
            Do::Gate(gate) => Some(gate),
            Do::Call(_) | Do::Await { .. } | Do::Record | Do::Hook(_) => None,
        }
    }

    /// Begins to look at what a gate is about. An instance that never came has failed; where nothing was even tried for
    /// it, its target is skipped.
    pub(super) fn begin_gate(&mut self, now: Millis, mut step: Step, out: &mut Vec<Command>) {
        let id = step.id;
        let Some(gate) = self.planned_gate(id) else { return };
        let (mut kept, mut indices) = (Vec::new(), Vec::new());
        let (mut absent, mut skipped) = (Vec::new(), Vec::new());
        for (mut target, n) in std::mem::take(&mut step.targets).into_iter().zip(0..) {
            if let Some(Arg::Output { step: other, target: of }) = target.id {
                match (self.outputs.get(&(other, of)), self.why_skipped(other)) {
                    (Some(found), _) => target.id = Some(Arg::Known(found.clone())),
                    (None, Some(because)) => {
                        skipped.push((target, because));
                        continue;
                    }
                    // An earlier gate of its batch has told of it.
                    (None, None) if self.is_excused(other, of) => continue,
                    (None, None) => {
                        absent.push(target);
                        continue;
                    }
                }
            }
            match target.known().as_ref().and_then(CloudId::instance) {
                Some(_) => {
                    kept.push(target);
                    indices.push(n);
                }
                None => absent.push(target),
            }
        }
        if let (true, true, Some((_, because))) = (kept.is_empty(), absent.is_empty(), skipped.first()) {
            let because = because.clone();
            step.targets = skipped.into_iter().map(|(target, _)| target).collect();
            self.skip(now, &step, &because, out);
            return;
        }
        for (target, because) in &skipped {
            self.skip_target(&step, target, because, out);
        }
        self.began(id, now);
        step.targets = kept;
        if !step.targets.is_empty() {
            self.tell_started(&step, out);
        }
        let instances = step.targets.iter().filter_map(|target| target.known()?.instance().cloned());
        let instances = instances.map(Looked::new).collect();
        let next_ms = self.in_step(now, gate);
        let op = self.open_op(step, indices, now, OpState::Accepted);
        if let Some(op) = self.ops.get_mut(&op) {
            op.phase = OpPhase::Watching;
        }
        let mut watched = Watched {
            gate,
            began_ms: now,
            instances,
            next_ms,
            bake_until_ms: None,
            failures: Vec::new(),
            left_out: !skipped.is_empty(),
            told: (0, 0),
        };
        watched.failures = absent.iter().map(|target| self.never_came(target)).collect();
        self.gates.insert(op, watched);
        self.slots_failed(now, &gate.fleet, absent.iter());
        if gate.is_open() {
            for n in 0..self.gates.get(&op).map_or(0, |gate| gate.instances.len()) {
                self.gate_passes(op, n);
            }
        }
        self.weigh(now, op);
    }

    /// Gates of a region that look equally often look together.
    fn in_step(&self, now: Millis, gate: &Gate) -> Millis {
        let alike = self.gates.values().filter(|other| {
            other.gate.region == gate.region && other.gate.health.interval_ms == gate.health.interval_ms
        });
        alike.map(|other| other.next_ms).filter(|next| *next >= now).min().unwrap_or(now)
    }

    /// Why an instance that a gate waits for is not there.
    fn never_came(&self, target: &Target) -> String {
        let addr = full_addr(target);
        let Outcome { failed, skipped, .. } = &self.outcome;
        match failed.iter().chain(skipped).find(|(other, _)| *other == addr) {
            Some((_, why)) => format!("{addr}: {why}"),
            None => format!("{addr} did not come into being"),
        }
    }

    /// When a gate has something to do next.
    pub(super) fn next_gate(&self) -> Option<Millis> {
        self.gates.values().map(Watched::due_ms).min()
    }

    /// Whether an operation is a gate.
    pub(super) fn is_gate(&self, op: OpId) -> bool {
        self.gates.contains_key(&op)
    }

    /// Makes the looks that are due.
    pub(super) fn gates_due(&mut self, now: Millis, out: &mut Vec<Command>) {
        let due: Vec<OpId> = self.gates.iter().filter(|(_, gate)| gate.due_ms() <= now).map(|(op, _)| *op).collect();
        for op in due {
            self.late(now, op);
            let Some(gate) = self.gates.get_mut(&op) else { continue };
            if gate.next_ms <= now && gate.bake_until_ms.is_none_or(|until| until > now) {
                let missed = (now - gate.next_ms) / gate.interval_ms();
                gate.next_ms += (missed + 1) * gate.interval_ms();
                self.look_round(now, op, out);
            }
            self.weigh(now, op);
        }
    }

    /// What was not healthy in time has failed. Where a look is under way, its answer is waited for.
    fn late(&mut self, now: Millis, op: OpId) {
        let Some(gate) = self.gates.get(&op) else { return };
        if now < gate.deadline_ms() {
            return;
        }
        let late = |one: &Looked| one.at == At::Looking && one.healthy_ms.is_none() && !one.asked;
        let late: Vec<usize> = (0..gate.instances.len()).filter(|n| gate.instances.get(*n).is_some_and(late)).collect();
        let within = Watched::within(gate.gate.health.deadline_ms);
        for n in late {
            let saw = self.gates.get(&op).and_then(|gate| gate.instances.get(n)).map(|one| one.saw.clone());
            let saw = saw.filter(|saw| !saw.is_empty()).unwrap_or_else(|| "no look at it was answered".to_owned());
            self.gate_fails(now, op, n, format!("was not healthy within {within}: {saw}"));
        }
    }

    /// Looks at everything that a gate looks at and that no look is under way for.
    fn look_round(&mut self, now: Millis, op: OpId, out: &mut Vec<Command>) {
        let Some(gate) = self.gates.get_mut(&op) else { return };
        let group = Group::instances(gate.gate.region.clone());
        let (mut listed, mut probed) = (Vec::new(), Vec::new());
        for n in 0..gate.instances.len() {
            let Some(at) = gate.instances.get(n).map(|one| one.at) else { continue };
            let looks = gate.looks_at(at);
            let Some(one) = gate.instances.get_mut(n).filter(|one| looks && !one.asked) else { continue };
            one.asked = true;
            match (&gate.gate.health.check, &one.address) {
                // It has been there and answered: that it runs is asked again only where it does not answer.
                (Some(_), Some(_)) => probed.push(n),
                (Some(_), None) | (None, _) => {
                    listed.push(WatchKey::of_target(op, n, CloudId::Instance(one.id.clone())));
                }
            }
        }
        self.due.entry(group).or_default().extend(listed.into_iter().map(|key| (now, key)));
        for n in probed {
            self.probe(op, n, out);
        }
    }

    fn probe(&mut self, op: OpId, n: usize, out: &mut Vec<Command>) {
        let Some(gate) = self.gates.get(&op) else { return };
        let Some((one, check)) = gate.instances.get(n).zip(gate.gate.health.check.as_ref()) else { return };
        let Some(address) = one.address.clone() else { return };
        let probe = Probe {
            region: gate.gate.region.clone(),
            instance: one.id.clone(),
            address,
            check: check.clone(),
            timeout_ms: gate.interval_ms().min(MOST_PROBE_MS),
        };
        let id = self.next_probe;
        self.next_probe = ProbeId(id.0 + 1);
        self.probes.insert(id, (op, n));
        out.push(Command::Probe(id, probe));
    }

    /// A Describe tells of an instance that a gate looks at, or does not list it.
    pub(super) fn gate_listed(
        &mut self,
        now: Millis,
        key: &WatchKey,
        instance: Option<&Instance>,
        out: &mut Vec<Command>,
    ) {
        let Some(n) = key.target() else { return };
        let Some(gate) = self.gates.get_mut(&key.op) else { return };
        let health = &gate.gate.health;
        let Some(one) = gate.instances.get_mut(n).filter(|one| one.asked) else { return };
        let Some(seen) = instance else {
            one.missed += 1;
            if one.missed > 1 {
                self.looked_at(now, key.op, n, Sight::Gone("is no longer there".to_owned()));
            } else {
                self.unanswered(now, key.op, n);
            }
            return;
        };
        one.missed = 0;
        let sight = sight(seen);
        if let (Sight::Good, Some(_)) = (&sight, &health.check) {
            one.address = seen.address(health.address).cloned();
            if one.address.is_some() {
                self.probe(key.op, n, out);
                return;
            }
            let kind = match health.address {
                crate::model::update::Address::Private => "private",
                crate::model::update::Address::Public => "public",
            };
            self.looked_at(now, key.op, n, Sight::Bad(format!("it has no {kind} address to be asked by")));
            return;
        }
        self.looked_at(now, key.op, n, sight);
    }

    /// A look got no answer, which says nothing of what was looked at.
    pub(super) fn gate_unlisted(&mut self, now: Millis, key: &WatchKey, why: &str, hopeless: bool) {
        let Some(n) = key.target() else { return };
        if let Some(one) = self.gates.get_mut(&key.op).and_then(|gate| gate.instances.get_mut(n)) {
            one.saw = why.to_owned();
        }
        if hopeless {
            self.looked_at(now, key.op, n, Sight::Gone(format!("cannot be looked at: {why}")));
        } else {
            self.unanswered(now, key.op, n);
        }
    }

    fn unanswered(&mut self, now: Millis, op: OpId, n: usize) {
        if let Some(one) = self.gates.get_mut(&op).and_then(|gate| gate.instances.get_mut(n)) {
            one.asked = false;
        }
        self.late(now, op);
        self.weigh(now, op);
    }

    /// A probe was answered, or not.
    pub(super) fn probed(&mut self, now: Millis, id: ProbeId, answer: Result<(), String>) {
        let Some((op, n)) = self.probes.remove(&id) else { return };
        if let (Err(_), Some(gate)) = (&answer, self.gates.get_mut(&op))
            && let Some(one) = gate.instances.get_mut(n)
        {
            // It may have stopped, or have another address: the next look begins there.
            one.address = None;
        }
        self.looked_at(now, op, n, answer.map_or_else(Sight::Bad, |()| Sight::Good));
    }

    /// Counts a look.
    fn looked_at(&mut self, now: Millis, op: OpId, n: usize, sight: Sight) {
        let Some(gate) = self.gates.get_mut(&op) else { return };
        let (threshold, min_ready_ms) = (gate.gate.health.threshold.max(1), gate.gate.min_ready_ms);
        let late = now >= gate.deadline_ms();
        let looks = |one: &&mut Looked| one.asked && one.at != At::Failed;
        let Some(one) = gate.instances.get_mut(n).filter(looks) else { return };
        one.asked = false;
        match sight {
            Sight::Good => {
                (one.good, one.bad) = (one.good.saturating_add(1), 0);
                if one.good >= threshold && one.healthy_ms.is_none() {
                    one.healthy_ms = Some(now);
                }
                let ready = one.healthy_ms.is_some_and(|since_ms| now - since_ms >= min_ready_ms);
                if one.at == At::Looking && ready {
                    self.gate_passes(op, n);
                }
            }
            Sight::Bad(saw) => {
                (one.good, one.bad) = (0, one.bad.saturating_add(1));
                one.saw.clone_from(&saw);
                if one.bad >= threshold {
                    let was_healthy = one.healthy_ms.take().is_some();
                    if one.at == At::Passed {
                        self.gate_fails(now, op, n, format!("did not stay healthy while it baked: {saw}"));
                    } else if was_healthy && late {
                        self.gate_fails(now, op, n, format!("did not stay healthy: {saw}"));
                    }
                }
            }
            Sight::Gone(saw) => self.gate_fails(now, op, n, saw),
        }
        self.late(now, op);
        self.weigh(now, op);
    }

    /// An instance is as it should be.
    fn gate_passes(&mut self, id: OpId, n: usize) {
        let Some(gate) = self.gates.get_mut(&id) else { return };
        let Some(one) = gate.instances.get_mut(n) else { return };
        (one.at, one.good, one.bad) = (At::Passed, 0, 0);
        let planned = gate.gate;
        // What has to bake stays on trial until it has: an apply that is killed meanwhile has seen nothing.
        if planned.bake_ms == 0 {
            self.let_pass(planned, id, n);
        }
    }

    /// An instance is off its trial, and hands out what may go for it.
    fn let_pass(&mut self, planned: &Gate, id: OpId, n: usize) {
        self.target_done(id, n);
        if let Some((step, index, freed)) = self.freed_by(id, n)
            && let Some(instance) = planned.frees.get(index as usize).cloned().flatten()
        {
            self.outputs.insert((step, freed), instance);
        }
    }

    /// A target as the plan numbers it, and the output by which a gate hands out what may go for it.
    fn freed_by(&self, id: OpId, n: usize) -> Option<(StepId, u32, u32)> {
        let op = self.ops.get(&id)?;
        let (step, index) = (op.record.step.id, op.indices.get(n).copied()?);
        let targets = self.plan.get(step.0 as usize)?.targets.len();
        Some((step, index, index + u32::try_from(targets).ok()?))
    }

    /// An instance is not as it should be, and counts.
    fn gate_fails(&mut self, now: Millis, id: OpId, n: usize, why: String) {
        let Some(op) = self.ops.get(&id) else { return };
        let Some(target) = op.record.step.targets.get(n).cloned() else { return };
        let Some(gate) = self.gates.get_mut(&id) else { return };
        let Some(one) = gate.instances.get_mut(n) else { return };
        one.at = At::Failed;
        gate.failures.push(format!("{} {why}", full_addr(&target)));
        let fleet = gate.gate.fleet.clone();
        self.target_failed(id, n, why);
        self.slots_failed(now, &fleet, std::iter::once(&target));
    }

    /// Where all that a gate waits for is known, it goes on: it bakes, and then it passes; or it has failed.
    fn weigh(&mut self, now: Millis, id: OpId) {
        let Some(gate) = self.gates.get(&id).filter(|gate| !gate.some(At::Looking)) else { return };
        let planned = gate.gate;
        let course = self.courses.entry(planned.fleet.clone()).or_insert_with(Course::none);
        if course.failed().len() > planned.most_failures as usize {
            self.gate_over(now, id, false);
            return;
        }
        let Some(gate) = self.gates.get_mut(&id) else { return };
        let bakes = gate.some(At::Passed) && planned.bake_ms > 0;
        match gate.bake_until_ms {
            None if bakes => {
                let until_ms = now + planned.bake_ms;
                gate.bake_until_ms = Some(until_ms);
                let fleet = planned.fleet.clone();
                self.tell_gate(id, fleet, GateNews::Baking { until_ms });
            }
            Some(until_ms) if bakes && until_ms > now => {}
            None | Some(_) => self.gate_over(now, id, true),
        }
    }

    fn gate_over(&mut self, now: Millis, id: OpId, well: bool) {
        self.tell_health();
        let Some(gate) = self.gates.remove(&id) else { return };
        self.probes.retain(|_, (op, _)| *op != id);
        self.forget_watches(id);
        let planned = gate.gate;
        for n in (0..gate.instances.len()).filter(|_| planned.bake_ms > 0) {
            if gate.instances.get(n).is_some_and(|one| one.at == At::Passed) {
                self.let_pass(planned, id, n);
            }
        }
        let fleet = planned.fleet.clone();
        let course = self.courses.entry(fleet.clone()).or_insert_with(Course::none);
        // What is at its end does not wait.
        let ends = planned.passed.is_some_and(|mark| mark.phase == Phase::Done) && !gate.left_out;
        let wish = course.pause.take().filter(|_| well && !ends);
        course.waits |= wish.is_some();
        let (phase, why) = match (well, &wish) {
            (false, _) => (planned.failed, reasons(&gate.failures)),
            (true, Some(wish)) => (Some(Phase::Paused), wish.clone()),
            (true, None) => {
                let phase = planned.passed.map(|mark| mark.phase);
                // What was never tried is not where the rollout leads.
                let phase = phase.filter(|phase| *phase != Phase::Done || !gate.left_out);
                let canary = planned.passed.is_some_and(|mark| mark.canary_passed);
                let new_canary = canary && course.row.as_ref().is_some_and(|row| !row.canary_passed);
                let after = if new_canary { "its canary" } else { "a batch" };
                let why = format!("it waits after {after}, as `pause` says");
                (phase, if phase == Some(Phase::Paused) { why } else { String::new() })
            }
        };
        if let Some(row) = &mut course.row {
            // A way back that goes well is still that way, for the same reason.
            let as_before = well && phase.is_none_or(|phase| phase == row.phase);
            row.phase = phase.unwrap_or(row.phase);
            row.canary_passed |= well && planned.passed.is_some_and(|mark| mark.canary_passed);
            if !as_before {
                row.why.clone_from(&why);
            }
            self.write_row(now, &fleet);
        }
        self.mark_gate(id, well, clause(&fleet, phase));
        let told = match phase {
            Some(Phase::Paused) => Some(&mut self.outcome.paused),
            Some(Phase::Stopped) if !well => Some(&mut self.outcome.stopped),
            Some(Phase::TakenBack) if !well => Some(&mut self.outcome.taken_back),
            Some(_) | None => None,
        };
        if let Some(told) = told {
            told.insert(fleet.clone());
        }
        let news = match (well, phase) {
            (false, phase) => GateNews::Failed { phase, why },
            (true, Some(Phase::Paused)) => GateNews::Paused { why },
            (true, phase) => GateNews::Passed { phase },
        };
        self.tell_gate(id, fleet, news);
        self.settle(now, id);
    }

    fn mark_gate(&mut self, id: OpId, passed: bool, because: String) {
        let Some(step) = self.ops.get(&id).map(|op| op.record.step.id) else { return };
        if let Some(state) = self.steps.get_mut(step.0 as usize) {
            state.judge(passed, because);
        }
    }

    fn tell_gate(&mut self, id: OpId, fleet: Block, news: GateNews) {
        let Some(step) = self.ops.get(&id).map(|op| op.record.step.id) else { return };
        self.told.push(Progress::Gate { step, fleet, news });
    }

    /// Tells of each gate how many are healthy, where that is another number and no look is under way.
    pub(super) fn tell_health(&mut self) {
        let mut news = Vec::new();
        for (op, gate) in &mut self.gates {
            let (healthy, of) = gate.health();
            if gate.told != (healthy, of) && !gate.gate.is_open() && !gate.instances.iter().any(|one| one.asked) {
                gate.told = (healthy, of);
                news.push((*op, gate.gate.fleet.clone(), GateNews::Healthy { healthy, of }));
            }
        }
        for (op, fleet, news) in news {
            self.tell_gate(op, fleet, news);
        }
    }
}

impl Looked {
    fn new(id: InstanceId) -> Self {
        Self {
            id,
            at: At::Looking,
            good: 0,
            bad: 0,
            healthy_ms: None,
            saw: String::new(),
            address: None,
            asked: false,
            missed: 0,
        }
    }
}

/// What the state of an instance says of its health.
fn sight(seen: &Instance) -> Sight {
    let word = match &seen.state {
        InstanceState::Running => return Sight::Good,
        InstanceState::Terminating | InstanceState::Shutdown => {
            return Sight::Gone("is being destroyed, or in the recycle bin".to_owned());
        }
        InstanceState::LaunchFailed => return Sight::Gone("could not be launched".to_owned()),
        InstanceState::Pending => "being made",
        InstanceState::Stopped => "switched off",
        InstanceState::Starting => "starting",
        InstanceState::Stopping => "stopping",
        InstanceState::Rebooting => "rebooting",
        InstanceState::Other(word) => word,
    };
    Sight::Bad(format!("it is {word}"))
}
