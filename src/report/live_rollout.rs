//! The rollouts of an apply while it runs, as values that follow its events: which slots of which zone are new, and how the
//! batch is that is looked at.

use std::collections::BTreeMap;

use crate::apply::events::GateNews;
use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::Zone;
use crate::model::rollout::{Phase, Rollout};
use crate::plan::{Do, Plan, RolledZone, RolloutPlan, Step};

use super::words;

/// A fleet that is rolled out.
#[derive(Clone, Debug)]
pub(super) struct LiveRollout {
    pub(super) fleet: Block,
    /// The image that it comes from and the one that it leads to, as people see them.
    pub(super) way: String,
    /// Whether it is the way back.
    back: bool,
    batches: usize,
    canary: bool,
    /// How many slots the fleet has.
    count: usize,
    zones: Vec<(Zone, Tally)>,
    /// Those that were not there when it began.
    slots: BTreeMap<u32, Slot>,
    gates: BTreeMap<StepId, Batch>,
    /// What is worked on.
    batch: Batch,
    looked: Looked,
}

/// A slot that is to get where the rollout leads.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// In which zone, by its place in the list.
    zone: usize,
    is: Is,
    by: By,
}

/// By what a slot gets there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// A gate says that it is good.
    Gate,
    /// It is there when this step has made it.
    Step(StepId),
    /// Nothing of this plan leads it there.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    Old,
    New,
    Failed,
}

/// What a gate looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Batch {
    /// What was out of service when the plan was made, or was not seen yet.
    First,
    /// A batch, from 0.
    Nth(usize),
}

/// Slots of one zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    old: usize,
    new: usize,
    failed: usize,
}

impl Tally {
    fn of(&mut self, is: Is) -> &mut usize {
        match is {
            Is::Old => &mut self.old,
            Is::New => &mut self.new,
            Is::Failed => &mut self.failed,
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
        let mut steps: BTreeMap<&Block, Vec<&Step>> =
            plan.rollouts.iter().map(|rollout| (&rollout.row.block, Vec::new())).collect();
        for step in &plan.steps {
            let block = step.targets.first().map(|target| &target.addr.block);
            if let Some(steps) = block.and_then(|block| steps.get_mut(block)) {
                steps.push(step);
            }
        }
        let steps_of = |block: &Block| steps.get(block).map_or(&[][..], Vec::as_slice);
        plan.rollouts.iter().map(|rollout| Self::one(rollout, steps_of(&rollout.row.block))).collect()
    }

    fn one(rollout: &RolloutPlan, steps: &[&Step]) -> Self {
        let RolloutPlan {
            row,
            strategy: _,
            why: _,
            first,
            batches,
            canary,
            left: _,
            zones,
            count,
            least_available: _,
            most: _,
        } = rollout;
        let Rollout { block, to, phase, .. } = row;
        let back = *phase == Phase::TakenBack;
        let to = to.to_string();
        let before = row.before().map(|before| before.image.to_string()).filter(|before| *before != to);
        let way = match before {
            Some(before) if back => format!("{to} → {before}"),
            Some(before) => format!("{before} → {to}"),
            None => to,
        };
        let mut live = Self {
            fleet: block.clone(),
            way,
            back,
            batches: batches.len(),
            canary: *canary,
            count: *count as usize,
            zones: Vec::new(),
            slots: BTreeMap::new(),
            gates: BTreeMap::new(),
            batch: if *first > 0 { Batch::First } else { Batch::Nth(0) },
            looked: Looked::Nothing,
        };
        for (at, RolledZone { zone, there, to_come }) in zones.iter().enumerate() {
            live.zones.push((zone.clone(), Tally { old: to_come.len(), new: *there as usize, failed: 0 }));
            live.slots.extend(to_come.iter().map(|slot| (*slot, Slot { zone: at, is: Is::Old, by: By::Nothing })));
        }
        live.watch(steps, *first as usize, batches);
        live
    }

    /// Finds the gates among the steps of the fleet, and what gets there by which step.
    fn watch(&mut self, steps: &[&Step], first: usize, batches: &[u32]) {
        // How many slots have passed a gate when a batch is over.
        let ends = batches.iter().scan(first, |sum, batch| {
            *sum += *batch as usize;
            Some(*sum)
        });
        let ends: Vec<usize> = ends.collect();
        let mut met = 0;
        for step in steps {
            let is_gate = matches!(step.does, Do::Gate(_));
            for target in &step.targets {
                let Some(slot) = target.addr.slot.and_then(|slot| self.slots.get_mut(&slot)) else { continue };
                // What passed before is looked at again with the rest of its batch.
                if is_gate && slot.by != By::Gate {
                    slot.by = By::Gate;
                    met += 1;
                } else if slot.by != By::Gate && target.effect.makes().is_some() {
                    slot.by = By::Step(step.id);
                }
            }
            if !is_gate {
                continue;
            }
            let last = ends.len().saturating_sub(1);
            let batch = if met <= first && first > 0 {
                Batch::First
            } else {
                Batch::Nth(ends.iter().position(|end| *end >= met).unwrap_or(last))
            };
            self.gates.insert(step.id, batch);
        }
    }

    /// Targets of a step succeeded, or failed.
    pub(super) fn settled<'a>(&mut self, step: StepId, addrs: impl Iterator<Item = &'a Addr>, well: bool) {
        let gate = self.gates.contains_key(&step);
        for addr in addrs.filter(|addr| addr.block == self.fleet) {
            let Some(slot) = addr.slot.and_then(|slot| self.slots.get_mut(&slot)) else { continue };
            let becomes = match (slot.by, well) {
                (By::Gate, true) if gate => Is::New,
                (By::Step(by), true) if by == step => Is::New,
                (By::Step(by), false) if by == step => Is::Failed,
                // What is there is there, also where its old instance does not go.
                (By::Gate, false) if gate || slot.is != Is::New => Is::Failed,
                (By::Gate | By::Step(_) | By::Nothing, _) => continue,
            };
            if let Some((_, tally)) = self.zones.get_mut(slot.zone) {
                *tally.of(slot.is) -= 1;
                *tally.of(becomes) += 1;
            }
            slot.is = becomes;
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

    /// What slots are called that are where it leads, and those that are not.
    fn words(&self) -> (&'static str, &'static str) {
        if self.back { ("back", "to go back") } else { ("new", "old") }
    }

    /// `batch 2 of 4, 9 of 20 new, 1 failed`.
    pub(super) fn standing(&self) -> String {
        let sum = |of: &dyn Fn(&Tally) -> usize| self.zones.iter().map(|(_, tally)| of(tally)).sum::<usize>();
        let (new, failed) = (sum(&|tally| tally.new), sum(&|tally| tally.failed));
        let batch = match self.batch {
            Batch::First => "at first".to_owned(),
            Batch::Nth(0) if self.canary => "canary".to_owned(),
            Batch::Nth(n) => format!("batch {} of {}", n + 1, self.batches.max(1)),
        };
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        format!("{batch}, {new} of {} {}{failed}", self.count, self.words().0)
    }

    /// `ap-guangzhou-3: 5 new, 4 old · ap-guangzhou-4: 6 old`; where `short`, `zones 3: 5 new, 4 old · 4: 6 old`, as all
    /// zones of a fleet are in its region.
    pub(super) fn by_zone(&self, short: bool) -> String {
        let (new_word, old_word) = self.words();
        let told = self.zones.iter().map(|(zone, tally)| {
            let zone = zone.as_str();
            let zone = zone.rsplit_once('-').filter(|_| short).map_or(zone, |(_, number)| number);
            let Tally { old, new, failed } = *tally;
            let counts = [(new, new_word), (old, old_word), (failed, "failed")].into_iter();
            let counts = counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
            format!("{zone}: {}", counts.collect::<Vec<_>>().join(", "))
        });
        let told = told.collect::<Vec<_>>().join(" · ");
        if short && !told.is_empty() { format!("zones {told}") } else { told }
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
