//! How a rollout is guided: which slots make a batch, what marks its gates leave, and what of it waits for somebody.
//!
//! A fleet whose `update` asks for nothing but batches is not guided: its groups follow each other when they run, and the
//! state keeps no rollout of it. All else has a row there, so that it is taken up where it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::{Located, Rolling, Trial, Work, rounds};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Kind};
use crate::model::desired::{Desired, Strategy};
use crate::model::ids::Zone;
use crate::model::recorded::Object;
use crate::model::rollout::{Hold, Phase, Rollout};
use crate::model::spec::{ObjectSpec, Power};
use crate::model::update::{AtOnce, OnFailure, Order, Pause, Update};
use crate::plan::draft::Draft;
use crate::plan::fleets::course::{self, Course};
use crate::plan::revoked::Revoked;
use crate::plan::types::{Mark, RolledZone, RolloutPlan};

/// How one fleet's change is guided.
pub(super) struct Guide {
    /// How many at once.
    pub(super) at_once: AtOnce,
    /// Whether instances have to show something before the next ones follow.
    pub(super) guided: bool,
    /// The rollout's row as the plan begins; `None`: none is kept.
    pub(super) row: Option<Rollout>,
    /// What a gate that fails makes of the row.
    pub(super) failed: Option<Phase>,
    /// Whether it is the way back.
    back: bool,
    /// Whether nothing of the rollout is left, and the state still has it as under way.
    pub(super) ends: bool,
    /// Whether the plan leaves slots out, as it is limited to others.
    partial: bool,
    /// Whether what comes before all batches is as much as the canary: then there is no other.
    pub(super) canary_first: bool,
    /// Whether a batch was cut short, and its rest is looked at.
    tried: bool,
}

/// A batch: what is done together, in rounds of as many as may be worked on at once.
pub(super) struct Batch<'a> {
    pub(super) rounds: Vec<Vec<Work<'a>>>,
    pub(super) canary: bool,
}

impl Batch<'_> {
    fn slots(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }
}

/// What a plan does of a rollout.
pub(super) struct Cut<'a> {
    /// What is out of service already, which comes first and together, for none of it is missed.
    pub(super) off: Vec<Work<'a>>,
    /// What runs, and no gate has seen: it may serve, and it may not, so it comes before what does, and not all at once.
    pub(super) unseen: Vec<Batch<'a>>,
    /// All else, in order.
    pub(super) batches: Vec<Batch<'a>>,
    /// What waits for somebody to say that it goes on.
    pub(super) left: Vec<Work<'a>>,
}

impl<'a> Cut<'a> {
    /// All slots that it is about, in no order.
    fn works(&self) -> impl Iterator<Item = &Work<'a>> {
        self.off.iter().chain(self.rounds().flatten()).chain(&self.left)
    }

    /// What is done in batches, in order.
    pub(super) fn rounds(&self) -> impl Iterator<Item = &Vec<Work<'a>>> {
        self.unseen.iter().chain(&self.batches).flat_map(|batch| &batch.rounds)
    }

    /// How many slots come before all that serves.
    pub(super) fn first(&self) -> (usize, usize) {
        (self.off.len(), self.unseen.iter().map(Batch::slots).sum())
    }

    /// Whether the plan takes nothing out of service.
    pub(super) fn is_empty(&self) -> bool {
        self.off.is_empty() && self.unseen.is_empty() && self.batches.is_empty()
    }

    /// What is done to its slots, and why, where the config does not say so.
    fn strategy(&self, rolling: &Rolling<'_>) -> (Strategy, String) {
        let chosen = rolling.chosen.clone().unwrap_or((rolling.fleet.update.strategy, String::new()));
        let replaced = self.works().filter(|work| rolling.strategy(work) == Some(Strategy::Replace)).count();
        match (chosen.0, replaced) {
            (Strategy::Replace | Strategy::Auto, _) | (Strategy::Reset, 0) => chosen,
            (Strategy::Reset, all) if all == self.works().count() => {
                (Strategy::Replace, "a reset does not change what is to change".to_owned())
            }
            (Strategy::Reset, some) => {
                let why = format!("but for {some}, which are made anew: a reset does not change what is to change");
                (Strategy::Reset, why)
            }
        }
    }

    /// Where the slots of the fleet are, and which of them have still to get to the rollout's target.
    fn zones(&self, rolling: &Rolling<'_>) -> Vec<RolledZone> {
        let worked: BTreeSet<u32> = self.works().map(|work| work.slot).collect();
        let is_there = |slot: &Located<'_>| {
            let good = |row: &Object| !row.is_on_trial() && rolling.is_made(row);
            !worked.contains(&slot.slot) && !rolling.lacking.contains(&slot.slot) && slot.row.is_some_and(good)
        };
        let mut zones: BTreeMap<&Zone, (u32, BTreeSet<u32>)> = BTreeMap::new();
        for slot in &rolling.slots {
            let (there, to_come) = zones.entry(&slot.zone).or_default();
            if is_there(slot) {
                *there += 1;
            } else {
                to_come.insert(slot.slot);
            }
        }
        let told = |(zone, (there, to_come)): (&Zone, (u32, BTreeSet<u32>))| RolledZone {
            zone: zone.clone(),
            there,
            to_come: to_come.into_iter().collect(),
        };
        zones.into_iter().map(told).collect()
    }
}

/// Whether anything is looked at, waited for or undone on the way.
fn is_guided(update: &Update) -> bool {
    let Update {
        strategy: _,
        max_surge: _,
        max_unavailable: _,
        batch,
        canary,
        pause,
        bake_ms,
        min_ready_ms,
        hooks,
        max_failures,
        on_failure,
        order: _,
        min_available: _,
    } = update;
    batch.is_some()
        || canary.is_some()
        || *pause != Pause::None
        || *bake_ms > 0
        || *min_ready_ms > 0
        || hooks.before_stop.is_some()
        || hooks.after_ready.is_some()
        || !max_failures.is_none()
        || *on_failure == OnFailure::Rollback
}

impl Guide {
    /// How a fleet's change is guided: `works` are all slots that it takes out of service, and so many are `lacking`.
    pub(super) fn of(
        draft: &mut Draft<'_>,
        rolling: &Rolling<'_>,
        works: &[Work<'_>],
        trials: &[Trial<'_>],
        lacking: usize,
    ) -> Self {
        let fleet = rolling.fleet;
        // Nobody misses what is to be off.
        let off = fleet.power == Some(Power::Stopped);
        let mut at_once = fleet.update.at_once(fleet.count);
        if off {
            at_once = AtOnce { surge: 0, down: at_once.down.max(1) };
        }
        let guided = !off && (is_guided(&fleet.update) || fleet.health.is_some());
        let back = rolling.course.goes_back();
        let left_out = |slot: &Located<'_>| match slot.row {
            Some(row) => !draft.plans_row(row),
            None => !draft.plans(&Addr::slot(rolling.block.clone(), slot.slot)),
        };
        let partial = !draft.covers_everything() && rolling.slots.iter().any(left_out);
        let tried = !trials.is_empty();
        let mut guide =
            Self { at_once, guided, row: None, failed: None, back, ends: false, partial, canary_first: false, tried };
        let Course { row: known, hold, .. } = &rolling.course;
        let (runs, open) = (rolling.course.running(), rolling.course.is_open());
        // What a rollout that is under way lacks is looked at like the rest of it.
        let idle = works.is_empty() && trials.is_empty() && !(guided && lacking > 0);
        if open && (idle || !guided) {
            let there = lacking > 0 || !draft.objects_of(&rolling.block).is_empty();
            guide.ends = there && !partial && (!idle || rolling.is_at_target(draft));
            guide.row = guide.ends.then(|| runs.cloned().unwrap_or_else(|| begun(draft, rolling, None)));
            return guide;
        }
        if idle || !guided {
            return guide;
        }
        if *hold == Hold::Rest {
            // What broke meanwhile is made anew; the rollout is where it was.
            return guide;
        }
        if guide.back {
            // What breaks when all is back is made anew as well.
            guide.row = known.filter(|_| !works.is_empty() || !trials.is_empty()).cloned();
            return guide;
        }
        let changed = works.iter().find(|work| !rolling.is_made(work.row));
        if changed.is_none() && !open {
            // Slots that broke are made anew: that is no rollout.
            return guide;
        }
        let changed_ms = draft.input.as_of_ms;
        let row = match runs {
            Some(row) => Rollout { why: String::new(), changed_ms, ..row.clone() },
            None => begun(draft, rolling, changed.map(|work| work.row)),
        };
        guide.failed = Some(if guide.may_go_back(draft, rolling, &row) { Phase::TakenBack } else { Phase::Stopped });
        let canary = fleet.update.canary.map_or(0, |canary| canary.up(fleet.count) as usize);
        guide.canary_first = canary > 0 && !row.canary_passed && trials.len() + lacking >= canary;
        guide.row = Some(row);
        guide
    }

    /// Whether a rollout that fails goes back, and can.
    fn may_go_back(&self, draft: &mut Draft<'_>, rolling: &Rolling<'_>, row: &Rollout) -> bool {
        if rolling.fleet.update.on_failure != OnFailure::Rollback {
            return false;
        }
        let (why, help) = match row.before.as_deref() {
            Some(ObjectSpec::Slot(old)) if !course::can_be_made_again(old, rolling.fleet) => (
                "user data changes as well, and is kept nowhere but in its file",
                Some("change the image alone, and all else before or after it"),
            ),
            Some(ObjectSpec::Slot(old)) if Revoked::of(draft.input).path(&old.image).is_some() => {
                ("the version that it runs from is revoked", None)
            }
            Some(_) => match course::before(draft, row, &rolling.lineup(), &rolling.fleet.region) {
                Some(_) => return true,
                None => (
                    "the image that it runs from is not there any more",
                    Some("have older versions stay with the image's `keep`"),
                ),
            },
            None => ("it has been there already: nothing else is known to work", None),
        };
        let mut note = Diagnostic::warning(
            codes::STOPS_ONLY,
            format!("fleet.{} would stop, and not go back, if this fails", rolling.name),
        );
        note = note.at(Desired::path(Kind::Fleet, rolling.name).key("update").key("on_failure")).why(why);
        draft.notes.push(match help {
            Some(help) => note.help(help),
            None => note,
        });
        false
    }

    /// Whether a rollout is under way of which something is left.
    pub(super) fn goes_on(&self) -> bool {
        !self.ends && self.row.as_ref().is_some_and(|row| row.phase == Phase::Running)
    }

    /// Whether new and changed instances are on trial until a gate has seen them.
    pub(super) fn tries(&self) -> bool {
        self.guided || self.at_once.surge > 0
    }

    /// How many slots are worked on together at most.
    fn together(&self, rolling: &Rolling<'_>, works: &[Work<'_>]) -> usize {
        let AtOnce { surge, down } = self.at_once;
        // What stays in its place cannot be there twice.
        let replaced = works.iter().all(|work| rolling.strategy(work) == Some(Strategy::Replace));
        let most = if replaced { surge.saturating_add(down) } else { down };
        usize::try_from(most.max(1)).unwrap_or(usize::MAX)
    }

    /// Puts slots into batches as large as the config asks for, none of them the canary.
    fn batches<'a>(&self, rolling: &Rolling<'a>, works: Vec<Work<'a>>) -> Vec<Batch<'a>> {
        let together = self.together(rolling, &works);
        let update = &rolling.fleet.update;
        let size = update.batch.map_or(together, |batch| batch.up(rolling.fleet.count).max(1) as usize);
        let rounds = |batch: Vec<Work<'a>>| match batch.len() > together {
            true => rounds_of(rolling, batch, together),
            false => vec![batch],
        };
        let batches = rounds_of(rolling, works, size).into_iter();
        batches.map(|batch| Batch { rounds: rounds(batch), canary: false }).collect()
    }

    /// Cuts what serves into batches, as far as the next pause. What is `off` or `unseen` comes before them.
    pub(super) fn cut<'a>(
        &self,
        rolling: &Rolling<'a>,
        (off, unseen): (Vec<Work<'a>>, Vec<Work<'a>>),
        mut works: Vec<Work<'a>>,
    ) -> Cut<'a> {
        let update = &rolling.fleet.update;
        let mut batches = Vec::new();
        let row = self.row.as_ref().filter(|_| !self.back);
        let canary = update.canary.map_or(0, |canary| canary.up(rolling.fleet.count) as usize);
        let is_due = canary > 0 && !self.canary_first && row.is_some_and(|row| !row.canary_passed);
        if is_due && canary < works.len() {
            let together = self.together(rolling, &works);
            let (first, rest) = spread(works, canary);
            works = rest;
            batches.push(Batch { rounds: rounds_of(rolling, first, together), canary: true });
        }
        batches.extend(self.batches(rolling, works));
        let pauses = row.filter(|row| !row.promoted).map_or(Pause::None, |_| update.pause);
        let first_is_canary = batches.first().is_some_and(|batch| batch.canary);
        let now = match pauses {
            Pause::EveryBatch | Pause::AfterCanary if self.canary_first => 0,
            Pause::EveryBatch if self.tried => 0,
            Pause::EveryBatch => 1,
            Pause::AfterCanary if first_is_canary => 1,
            Pause::AfterCanary | Pause::None => batches.len(),
        };
        let left = if now < batches.len() { batches.split_off(now) } else { Vec::new() };
        let left = left.into_iter().flat_map(|batch| batch.rounds).flatten().collect();
        Cut { off, unseen: self.batches(rolling, unseen), batches, left }
    }

    /// What the gate behind a round makes of the row. `last`: nothing comes after it in the plan; `left`: but something
    /// would, if somebody said so.
    pub(super) fn mark(&self, batch: (bool, bool), last: bool, left: bool) -> Option<Mark> {
        let row = self.row.as_ref().filter(|_| !self.back && !self.ends)?;
        let (canary, ends) = batch;
        let passed = row.canary_passed || (canary && ends);
        match (last, left) {
            (true, true) => Some(Mark { phase: Phase::Paused, canary_passed: passed }),
            (true, false) if self.partial => Some(Mark { phase: Phase::Running, canary_passed: passed }),
            (true, false) => Some(Mark { phase: Phase::Done, canary_passed: true }),
            (false, _) if canary && ends => Some(Mark { phase: Phase::Running, canary_passed: true }),
            (false, _) => None,
        }
    }

    /// Whether a batch has to stay healthy for a while.
    pub(super) fn bakes(&self, rolling: &Rolling<'_>) -> bool {
        self.guided && rolling.fleet.update.bake_ms > 0
    }

    /// How many slots may fail in all.
    pub(super) fn most_failures(&self, rolling: &Rolling<'_>) -> u32 {
        rolling.fleet.update.max_failures.down(rolling.fleet.count)
    }

    /// Notes what is rolled out, for people, and what the state keeps of it.
    pub(super) fn tell(
        &self,
        draft: &mut Draft<'_>,
        rolling: &Rolling<'_>,
        (first, cut): (usize, &Cut<'_>),
        at_worst: AtOnce,
    ) {
        let Some(row) = &self.row else { return };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (strategy, why) = cut.strategy(rolling);
        let count = rolling.fleet.count;
        draft.rollouts.push(RolloutPlan {
            row: row.clone(),
            strategy,
            why,
            first: number(first),
            batches: cut.batches.iter().map(|batch| number(batch.slots())).collect(),
            canary: cut.batches.first().is_some_and(|batch| batch.canary),
            left: number(cut.left.len()),
            zones: cut.zones(rolling),
            count,
            least_available: count.saturating_sub(at_worst.down),
            most: count.saturating_add(at_worst.surge),
        });
    }
}

/// A rollout to what the config asks for, as it begins. `changed`: an instance that is to follow.
fn begun(draft: &Draft<'_>, rolling: &Rolling<'_>, changed: Option<&Object>) -> Rollout {
    // Half-way to something else, what ran before that is what is known to work.
    let half_way = rolling.course.other.filter(|row| row.phase != Phase::Done).and_then(|row| row.before.clone());
    let before = half_way.or_else(|| changed.map(|row| row.spec.clone()));
    let now = draft.input.as_of_ms;
    Rollout {
        block: rolling.block.clone(),
        target: rolling.course.target,
        to: rolling.at.use_.clone(),
        before: before.filter(|before| differs(before, rolling)),
        phase: Phase::Running,
        canary_passed: false,
        promoted: false,
        failed: BTreeSet::new(),
        why: String::new(),
        started_ms: now,
        changed_ms: now,
    }
}

/// Whether what ran before is something else than what comes.
fn differs(before: &ObjectSpec, rolling: &Rolling<'_>) -> bool {
    match (before, rolling.specs.values().next().map(AsRef::as_ref)) {
        (ObjectSpec::Slot(before), Some(ObjectSpec::Slot(after))) => !course::same_target(before, after),
        _ => false,
    }
}

/// The canary, spread over the zones, and the others.
fn spread(works: Vec<Work<'_>>, canary: usize) -> (Vec<Work<'_>>, Vec<Work<'_>>) {
    let mut by_zone: BTreeMap<&Zone, Vec<u32>> = BTreeMap::new();
    for work in &works {
        by_zone.entry(&work.zone).or_default().push(work.slot);
    }
    let mut chosen: BTreeSet<u32> = BTreeSet::new();
    let mut turn = 0;
    while chosen.len() < canary && by_zone.values().any(|slots| slots.len() > turn) {
        for slots in by_zone.values() {
            if let Some(slot) = slots.get(turn).filter(|_| chosen.len() < canary) {
                chosen.insert(*slot);
            }
        }
        turn += 1;
    }
    works.into_iter().partition(|work| chosen.contains(&work.slot))
}

/// Puts slots into rounds of so many, in the order that the config asks for.
pub(super) fn rounds_of<'a>(rolling: &Rolling<'a>, works: Vec<Work<'a>>, at_once: usize) -> Vec<Vec<Work<'a>>> {
    if rolling.fleet.update.order == Order::Slots {
        let mut rounds = Vec::new();
        let mut rest = works;
        while rest.len() > at_once {
            let later = rest.split_off(at_once);
            rounds.push(std::mem::replace(&mut rest, later));
        }
        if !rest.is_empty() {
            rounds.push(rest);
        }
        return rounds;
    }
    let (runs, others) = runs_of(rolling, works);
    rounds::rounds(runs, others, at_once)
}

/// What one call can serve, and what needs calls of its own.
fn runs_of<'a>(rolling: &Rolling<'a>, works: Vec<Work<'a>>) -> (Vec<rounds::Run<Work<'a>>>, Vec<Work<'a>>) {
    let mut launched: BTreeMap<(usize, u32), Work<'a>> = BTreeMap::new();
    let (mut switched, mut others) = (Vec::new(), Vec::new());
    for work in works {
        if rolling.strategy(&work) == Some(Strategy::Replace) {
            let (zone, ordinal) = work.place();
            launched.insert((rolling.zone_index(zone), ordinal), work);
            continue;
        }
        let (stops, starts) = rolling.switches(&work);
        if stops || starts { &mut switched } else { &mut others }.push(work);
    }
    let mut runs: Vec<rounds::Run<Work<'a>>> = Vec::new();
    let mut last = None;
    for ((zone, ordinal), work) in launched {
        match runs
            .last_mut()
            .filter(|_| last.is_some_and(|(z, o): (usize, u32)| (z, o.wrapping_add(1)) == (zone, ordinal)))
        {
            Some(run) => run.push(work),
            None => runs.push(vec![work]),
        }
        last = Some((zone, ordinal));
    }
    runs.push(switched);
    (runs, others)
}
