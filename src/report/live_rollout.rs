//! The rollouts of an apply while it runs, as values that follow its events: which slots of which zone are new, and how the
//! batch is that is looked at.

use std::collections::BTreeMap;

use crate::apply::events::GateNews;
use crate::cloud::call::{Arg, StepId};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::Zone;
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::ObjectSpec;
use crate::plan::{Do, Plan, RolloutPlan, Target};

use super::words;

/// A fleet that is rolled out.
#[derive(Clone, Debug)]
pub(super) struct LiveRollout {
    pub(super) fleet: Block,
    /// The image that it comes from and the one that it leads to, as people see them.
    pub(super) way: String,
    batches: Vec<u32>,
    canary: bool,
    /// How many slots the fleet has.
    count: usize,
    /// How many of them are new already when it begins.
    new_before: usize,
    zones: Vec<(Option<Zone>, Tally)>,
    /// By slot of this plan: in which zone, and how it is.
    slots: BTreeMap<u32, (usize, Slot)>,
    /// By gate: in which batch, from 0.
    gates: BTreeMap<StepId, usize>,
    /// The batch that is worked on, from 0.
    batch: usize,
    looked: Looked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Old,
    New,
    Failed,
}

/// Slots of one zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    old: usize,
    new: usize,
    failed: usize,
}

impl Tally {
    fn of(&mut self, slot: Slot) -> &mut usize {
        match slot {
            Slot::Old => &mut self.old,
            Slot::New => &mut self.new,
            Slot::Failed => &mut self.failed,
        }
    }
}

/// What is known of the gate that is open, or was last.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Looked {
    /// None was yet, or the next batch is being made.
    Nothing,
    Healthy {
        healthy: usize,
        of: usize,
    },
    Baking {
        until_ms: Millis,
    },
    Over(&'static str),
}

impl LiveRollout {
    /// All of a plan, in the order of the fleets.
    pub(super) fn of(plan: &Plan) -> Vec<Self> {
        plan.rollouts.iter().map(|rollout| Self::one(plan, rollout)).collect()
    }

    fn one(plan: &Plan, rollout: &RolloutPlan) -> Self {
        let RolloutPlan {
            row,
            strategy: _,
            why: _,
            first: _,
            batches,
            canary,
            left,
            count,
            least_available: _,
            most: _,
        } = rollout;
        let Rollout { block, target: _, to, before, .. } = row;
        let from = match before.as_deref() {
            Some(ObjectSpec::Slot(slot)) => Some(slot.image.to_string()).filter(|from| *from != to.to_string()),
            Some(ObjectSpec::Image(_) | ObjectSpec::Share(_)) | None => None,
        };
        let waiting = batches.iter().sum::<u32>() + left;
        let mut live = Self {
            fleet: block.clone(),
            way: from.map_or_else(|| to.to_string(), |from| format!("{from} → {to}")),
            batches: batches.clone(),
            canary: *canary,
            count: *count as usize,
            new_before: count.saturating_sub(waiting) as usize,
            zones: Vec::new(),
            slots: BTreeMap::new(),
            gates: BTreeMap::new(),
            batch: 0,
            looked: Looked::Nothing,
        };
        let mut met = 0;
        for step in &plan.steps {
            let Do::Gate(gate) = &step.does else { continue };
            if gate.fleet != *block {
                continue;
            }
            met += step.targets.len();
            live.gates.insert(step.id, live.batch_of(met));
            for target in &step.targets {
                live.add(target.addr.slot, zone(plan, target));
            }
        }
        live.zones.sort_by(|(one, _), (other, _)| one.cmp(other));
        live.number_zones(plan);
        live
    }

    /// In which batch a fleet is that so many slots have been led through gates.
    fn batch_of(&self, met: usize) -> usize {
        let mut sum = 0;
        let whole = self.batches.iter().position(|batch| {
            sum += *batch as usize;
            sum >= met
        });
        whole.unwrap_or(self.batches.len().saturating_sub(1))
    }

    fn add(&mut self, slot: Option<u32>, zone: Option<Zone>) {
        let Some(slot) = slot else { return };
        let at = self.zones.iter().position(|(known, _)| *known == zone).unwrap_or_else(|| {
            self.zones.push((zone, Tally::default()));
            self.zones.len() - 1
        });
        if self.slots.insert(slot, (at, Slot::Old)).is_none() {
            self.zones[at].1.old += 1;
        }
    }

    /// The zones have been put in order: the slots follow.
    fn number_zones(&mut self, plan: &Plan) {
        for step in &plan.steps {
            if !self.gates.contains_key(&step.id) {
                continue;
            }
            for target in &step.targets {
                let zone = zone(plan, target);
                let at = self.zones.iter().position(|(known, _)| *known == zone);
                if let (Some(slot), Some(at)) = (target.addr.slot.and_then(|slot| self.slots.get_mut(&slot)), at) {
                    slot.0 = at;
                }
            }
        }
    }

    /// Targets of a step succeeded, or failed.
    pub(super) fn settled<'a>(&mut self, step: StepId, addrs: impl Iterator<Item = &'a Addr>, well: bool) {
        let gate = self.gates.contains_key(&step);
        for addr in addrs.filter(|addr| addr.block == self.fleet) {
            let Some((at, slot)) = addr.slot.and_then(|slot| self.slots.get_mut(&slot)) else { continue };
            let becomes = match (well, gate) {
                (true, true) => Slot::New,
                (true, false) => continue,
                (false, _) => Slot::Failed,
            };
            if let Some((_, tally)) = self.zones.get_mut(*at) {
                *tally.of(*slot) -= 1;
                *tally.of(becomes) += 1;
            }
            *slot = becomes;
        }
    }

    /// A gate began to look.
    pub(super) fn began(&mut self, step: StepId, of: usize) {
        if let Some(batch) = self.gates.get(&step) {
            (self.batch, self.looked) = (*batch, Looked::Healthy { healthy: 0, of });
        }
    }

    /// Something is new about a gate.
    pub(super) fn note(&mut self, step: StepId, news: &GateNews) {
        let Some(batch) = self.gates.get(&step) else { return };
        self.batch = *batch;
        self.looked = match news {
            GateNews::Healthy { healthy, of } => Looked::Healthy { healthy: *healthy, of: *of },
            GateNews::Baking { until_ms } => Looked::Baking { until_ms: *until_ms },
            GateNews::Passed { phase: Some(Phase::Done) } => Looked::Over("done"),
            GateNews::Passed { phase: _ } => Looked::Nothing,
            GateNews::Paused { why: _ } => Looked::Over("paused"),
            GateNews::Failed { phase: Some(Phase::TakenBack), why: _ } => Looked::Over("failed, and goes back"),
            GateNews::Failed { phase: _, why: _ } => Looked::Over("failed"),
        };
    }

    /// `batch 2 of 4, 9 of 20 new, 1 failed`.
    pub(super) fn standing(&self) -> String {
        let sum = |of: &dyn Fn(&Tally) -> usize| self.zones.iter().map(|(_, tally)| of(tally)).sum::<usize>();
        let (new, failed) = (self.new_before + sum(&|tally| tally.new), sum(&|tally| tally.failed));
        let batch = if self.canary && self.batch == 0 {
            "canary".to_owned()
        } else {
            format!("batch {} of {}", self.batch + 1, self.batches.len().max(1))
        };
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        format!("{batch}, {new} of {} new{failed}", self.count)
    }

    /// `ap-guangzhou-3: 5 new, 4 old · ap-guangzhou-4: 6 old`; empty where the plan names no zone.
    pub(super) fn by_zone(&self) -> String {
        let told = self.zones.iter().filter_map(|(zone, tally)| {
            let Tally { old, new, failed } = *tally;
            let counts = [(new, "new"), (old, "old"), (failed, "failed")].into_iter().filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
            Some(format!("{}: {}", zone.as_ref()?, counts.join(", ")))
        });
        told.collect::<Vec<_>>().join(" · ")
    }

    /// `2 of 4 healthy`, `baking for another 2m 10s`.
    pub(super) fn health(&self, now_ms: Millis) -> Option<String> {
        match &self.looked {
            Looked::Nothing => None,
            Looked::Healthy { healthy, of } => Some(format!("{healthy} of {of} healthy")),
            Looked::Baking { until_ms } if *until_ms > now_ms => {
                Some(format!("baking for another {}", words::span(until_ms - now_ms)))
            }
            Looked::Baking { .. } => Some("baked".to_owned()),
            Looked::Over(word) => Some((*word).to_owned()),
        }
    }

    /// Whether something of it is still to come in this plan.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self.looked, Looked::Over(_))
    }
}

/// Where the instance of a target is, as far as the plan makes it.
fn zone(plan: &Plan, target: &Target) -> Option<Zone> {
    let mut target = target;
    // What hands an id on stands before, so this comes to an end.
    for _ in 0..plan.steps.len() {
        if let Some(made) = target.effect.makes() {
            return made.zone.clone();
        }
        let Some(Arg::Output { step, target: n }) = &target.id else { return None };
        target = plan.steps.get(step.0 as usize)?.targets.get(*n as usize)?;
    }
    None
}
