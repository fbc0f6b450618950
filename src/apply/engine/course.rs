//! How far rollouts are, as far as the engine knows: it keeps a copy of each row, and writes it whole.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::cloud::call::Arg;
use crate::model::Millis;
use crate::model::addr::Block;
use crate::model::rollout::{Phase, Rollout};
use crate::plan::{RolloutPlan, Step, Target};
use crate::store::Record;

/// The most failures that are told of a rollout, each with its reason.
const MOST_REASONS: usize = 3;

/// What is known of a fleet's rollout while it is carried out.
pub(super) struct Course {
    /// The row as it stands in the state; `None`: none is kept.
    pub(super) row: Option<Rollout>,
    /// Slots that failed, where no row says so, or on the way back: those of the way there count no longer.
    failed: BTreeSet<u32>,
    /// Why somebody wants it to pause.
    pub(super) pause: Option<String>,
    /// Whether it pauses, as somebody wanted: what is begun is brought to its end, and nothing else is.
    pub(super) waits: bool,
}

impl Course {
    pub(super) fn of(plan: &[RolloutPlan]) -> BTreeMap<Block, Self> {
        let course =
            |row: &Rollout| Self { row: Some(row.clone()), failed: BTreeSet::new(), pause: None, waits: false };
        plan.iter().map(|rollout| (rollout.row.block.clone(), course(&rollout.row))).collect()
    }

    pub(super) fn none() -> Self {
        Self { row: None, failed: BTreeSet::new(), pause: None, waits: false }
    }

    pub(super) fn failed(&mut self) -> &mut BTreeSet<u32> {
        match &mut self.row {
            Some(row) if row.phase != Phase::TakenBack => &mut row.failed,
            Some(_) | None => &mut self.failed,
        }
    }
}

impl Engine<'_> {
    /// Notes in the rollout that slots failed.
    pub(super) fn slots_failed<'t>(&mut self, now: Millis, fleet: &Block, targets: impl Iterator<Item = &'t Target>) {
        let slots: BTreeSet<u32> = targets.filter_map(|target| target.addr.slot).collect();
        if slots.is_empty() {
            return;
        }
        let course = self.courses.entry(fleet.clone()).or_insert_with(Course::none);
        course.failed().extend(slots);
        self.write_row(now, fleet);
    }

    pub(super) fn write_row(&mut self, now: Millis, fleet: &Block) {
        let Some(row) = self.courses.get_mut(fleet).and_then(|course| course.row.as_mut()) else { return };
        row.changed_ms = now;
        let record = Record::Rollout(Box::new(row.clone()));
        self.write(record);
    }

    /// Why a step is left: its fleets' rollouts pause, and it does not belong to what they have begun. A clause.
    pub(super) fn held_by_a_pause(&self, step: &Step) -> Option<String> {
        let waits = |target: &Target| self.courses.get(&target.addr.block).is_some_and(|course| course.waits);
        let fleet = &step.targets.first()?.addr.block;
        let held = step.targets.iter().all(|target| waits(target) && !self.follows_a_gate(target));
        held.then(|| clause(fleet, Some(Phase::Paused)))
    }

    /// Whether a target is what a gate that has passed handed out.
    fn follows_a_gate(&self, target: &Target) -> bool {
        let Some(Arg::Output { step, target }) = target.id.as_ref() else { return false };
        self.gate_before(*step, *target).is_some_and(|(_, _, passed)| passed)
    }

    /// Somebody wants a rollout to pause.
    pub(super) fn wish_to_pause(&mut self, fleet: &Block, why: String) {
        if let Some(course) = self.courses.get_mut(fleet) {
            course.pause = Some(why);
        }
    }
}

/// Why what depends on a gate is left: a clause.
pub(super) fn clause(fleet: &Block, phase: Option<Phase>) -> String {
    match phase {
        Some(Phase::Paused) => format!("the rollout of {fleet} is paused"),
        Some(Phase::TakenBack) => format!("the rollout of {fleet} failed, and is taken back"),
        Some(Phase::Running | Phase::Done | Phase::Stopped | Phase::Aborted) | None => {
            format!("the rollout of {fleet} failed")
        }
    }
}

/// The first few failures in one text.
pub(super) fn reasons(failures: &[String]) -> String {
    let mut text = failures.iter().take(MOST_REASONS).map(String::as_str).collect::<Vec<_>>().join("; ");
    match failures.len().saturating_sub(MOST_REASONS) {
        0 => {}
        more => text.push_str(&format!("; and {more} more")),
    }
    if text.is_empty() { "too many slots failed before".to_owned() } else { text }
}
