//! An order of the steps in which nothing limited is exceeded, and the needs that hold the steps to it.
//!
//! The search runs through the plan one step at a time. What takes nothing goes as soon as it can; of what takes, that
//! goes first which is nearest to giving something back. Where that leads nowhere, a small plan is searched thoroughly,
//! and only then a deletion is hastened that would have waited out of courtesy. From the order that is found, every
//! unit that is taken gets its place: one that is free from the start, or one that a certain step gives back, for which
//! it then waits. Nothing else is put in a row.

use std::collections::{BTreeMap, BTreeSet};

use super::pairing::{Before, weights};
use crate::cloud::call::StepId;
use crate::plan::order::waits;
use crate::plan::types::{Need, Resource, Step};

/// The most states of a plan that are searched, and the most steps that are looked at on the way.
const MAX_STATES: usize = 500;
const MAX_WORK: usize = 1_000_000;
/// How far a step's needs are searched for something that it waits for anyway.
const NEAR_EVENTS: usize = 64;

/// A limited thing of which too much would be held.
#[derive(Clone)]
pub(super) struct Tight {
    pub(super) resource: Resource,
    /// What may be taken beyond what is held now; negative where the limit is exceeded already.
    pub(super) free: i64,
}

/// What has to be changed for the steps to fit.
#[derive(Default)]
pub(super) struct Order {
    /// For each step what it must wait for in addition.
    pub(super) after: BTreeMap<StepId, BTreeSet<StepId>>,
    /// Deletions that do not wait for their successors, with what they wait for instead.
    pub(super) hastened: BTreeMap<StepId, Vec<Need>>,
}

/// Finds an order. `hasty` are deletions that wait out of courtesy, each with the needs that it cannot do without.
pub(super) fn find(steps: &[Step], tight: &[Tight], hasty: &BTreeMap<StepId, Vec<Need>>) -> Option<Order> {
    let free: Vec<i64> = tight.iter().map(|tight| tight.free).collect();
    let (mut takes, mut gives): (BTreeMap<usize, Vec<i64>>, BTreeMap<usize, Vec<i64>>) = Default::default();
    for (n, one) in tight.iter().enumerate() {
        for (step, taken, given) in weights(steps, &one.resource) {
            for (map, amount) in [(&mut takes, taken), (&mut gives, given)] {
                if amount > 0 {
                    map.entry(step).or_insert_with(|| vec![0; tight.len()])[n] += amount;
                }
            }
        }
    }
    // In the end everything has been taken and given: if that does not fit, no order does.
    let sum = |map: &BTreeMap<usize, Vec<i64>>, n: usize| map.values().map(|amounts| amounts[n]).sum::<i64>();
    if (0..free.len()).any(|n| sum(&takes, n) > sum(&gives, n) + free[n]) {
        return None;
    }
    let world = World::of(steps, takes, gives, hasty);
    let start = world.start(&free);
    let run = [false, true]
        .into_iter()
        .find_map(|hasten| world.straight(start.clone(), hasten).or_else(|| world.thorough(start.clone(), hasten)))?;
    Some(world.places(steps, tight, &run))
}

struct World<'a> {
    waits: Vec<BTreeSet<StepId>>,
    dependants: Vec<Vec<usize>>,
    takes: BTreeMap<usize, Vec<i64>>,
    gives: BTreeMap<usize, Vec<i64>>,
    /// How much must be taken at least from a step on until something is given back.
    tolls: Vec<i64>,
    hasty: &'a BTreeMap<StepId, Vec<Need>>,
}

#[derive(Clone)]
struct Run {
    free: Vec<i64>,
    /// How many steps each still waits for.
    missing: Vec<u32>,
    done: Vec<bool>,
    /// Steps that could start now: those that take nothing, and the others with their tolls.
    quiet: BTreeSet<usize>,
    takers: BTreeSet<(i64, usize)>,
    order: Vec<usize>,
    hastened: BTreeSet<usize>,
}

impl<'a> World<'a> {
    fn of(
        steps: &[Step],
        takes: BTreeMap<usize, Vec<i64>>,
        gives: BTreeMap<usize, Vec<i64>>,
        hasty: &'a BTreeMap<StepId, Vec<Need>>,
    ) -> Self {
        let waits = waits(steps);
        let mut dependants = vec![Vec::new(); steps.len()];
        for (n, waits) in waits.iter().enumerate() {
            for other in waits {
                if let Some(dependants) = dependants.get_mut(other.0 as usize) {
                    dependants.push(n);
                }
            }
        }
        let mut world = Self { waits, dependants, takes, gives, tolls: Vec::new(), hasty };
        world.tolls = world.tolls();
        world
    }

    /// By way of the dependants, each after its own: in any order of the steps in which needs come first, backwards.
    fn tolls(&self) -> Vec<i64> {
        let mut open: Vec<usize> = self.dependants.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = open.iter().enumerate().filter(|(_, open)| **open == 0).map(|(n, _)| n).collect();
        let mut tolls = vec![i64::MAX; self.waits.len()];
        while let Some(step) = ready.pop() {
            let later = self.dependants[step].iter().map(|dependant| tolls[*dependant]).min().unwrap_or(i64::MAX);
            let own = self.takes.get(&step).map_or(0, |takes| takes.iter().sum());
            tolls[step] = if self.gives.contains_key(&step) { own } else { later.saturating_add(own) };
            for other in &self.waits[step] {
                let other = other.0 as usize;
                if let Some(left) = open.get_mut(other) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push(other);
                    }
                }
            }
        }
        tolls
    }

    fn start(&self, free: &[i64]) -> Run {
        let count = |waits: &BTreeSet<StepId>| u32::try_from(waits.len()).unwrap_or(u32::MAX);
        let mut run = Run {
            free: free.to_vec(),
            missing: self.waits.iter().map(count).collect(),
            done: vec![false; self.waits.len()],
            quiet: BTreeSet::new(),
            takers: BTreeSet::new(),
            order: Vec::with_capacity(self.waits.len()),
            hastened: BTreeSet::new(),
        };
        for step in 0..self.waits.len() {
            if run.missing[step] == 0 {
                self.ready(&mut run, step);
            }
        }
        run
    }

    fn ready(&self, run: &mut Run, step: usize) {
        if run.done[step] {
            return;
        }
        if self.takes.contains_key(&step) {
            run.takers.insert((self.tolls[step], step));
        } else {
            run.quiet.insert(step);
        }
    }

    fn go(&self, run: &mut Run, step: usize) {
        run.quiet.remove(&step);
        run.takers.remove(&(self.tolls[step], step));
        run.done[step] = true;
        run.order.push(step);
        for (amounts, sign) in [(self.takes.get(&step), -1), (self.gives.get(&step), 1)] {
            for (free, amount) in run.free.iter_mut().zip(amounts.into_iter().flatten()) {
                *free += sign * amount;
            }
        }
        for dependant in &self.dependants[step] {
            run.missing[*dependant] -= 1;
            if run.missing[*dependant] == 0 {
                self.ready(run, *dependant);
            }
        }
    }

    /// Everything that takes nothing, as far as it goes.
    fn settle(&self, run: &mut Run) {
        while let Some(step) = run.quiet.pop_first() {
            self.go(run, step);
        }
    }

    fn fits(&self, run: &Run, step: usize) -> bool {
        let takes = self.takes.get(&step).into_iter().flatten();
        run.free.iter().zip(takes).all(|(free, takes)| *takes == 0 || takes <= free)
    }

    fn over(&self, run: &Run) -> bool {
        run.order.len() == self.waits.len()
    }

    /// Deletions that could go now if they were not courteous, those first that give up least.
    fn hastenable(&self, run: &Run) -> Vec<usize> {
        let mut able: Vec<(usize, usize)> = self
            .hasty
            .iter()
            .map(|(step, least)| (step.0 as usize, least))
            .filter(|(step, least)| {
                let over = |need: &Need| run.done.get(need.step().0 as usize).copied().unwrap_or(false);
                !run.done.get(*step).copied().unwrap_or(true) && least.iter().all(over)
            })
            .map(|(step, _)| (run.missing[step] as usize, step))
            .collect();
        able.sort_unstable();
        able.into_iter().map(|(_, step)| step).collect()
    }

    fn hasten(&self, run: &mut Run, step: usize) {
        run.hastened.insert(step);
        self.go(run, step);
    }

    /// Always takes the nearest way.
    fn straight(&self, mut run: Run, hasten: bool) -> Option<Run> {
        loop {
            self.settle(&mut run);
            if self.over(&run) {
                return Some(run);
            }
            let next = run.takers.iter().map(|(_, step)| *step).find(|step| self.fits(&run, *step));
            if let Some(step) = next {
                self.go(&mut run, step);
            } else {
                let step = self.hastenable(&run).first().copied().filter(|_| hasten)?;
                self.hasten(&mut run, step);
            }
        }
    }

    /// Tries every way, within bounds.
    fn thorough(&self, start: Run, hasten: bool) -> Option<Run> {
        let mut states = MAX_STATES.min(MAX_WORK / self.waits.len().max(1));
        let mut seen: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
        let mut open = vec![start];
        while let Some(mut run) = open.pop() {
            self.settle(&mut run);
            if self.over(&run) {
                return Some(run);
            }
            let chosen =
                run.order.iter().copied().filter(|step| self.takes.contains_key(step) || run.hastened.contains(step));
            if states == 0 || !seen.insert(chosen.collect()) {
                continue;
            }
            states -= 1;
            // The last one is looked at first.
            for step in self.hastenable(&run).into_iter().filter(|_| hasten).rev() {
                let mut next = run.clone();
                self.hasten(&mut next, step);
                open.push(next);
            }
            for (_, step) in run.takers.iter().rev().filter(|(_, step)| self.fits(&run, *step)) {
                let mut next = run.clone();
                self.go(&mut next, *step);
                open.push(next);
            }
        }
        None
    }

    /// Gives every unit that is taken its place, in the order of the run.
    fn places(&self, steps: &[Step], tight: &[Tight], run: &Run) -> Order {
        let hastened: BTreeMap<StepId, Vec<Need>> = run
            .hastened
            .iter()
            .filter_map(|step| steps.get(*step).map(|step| step.id))
            .filter_map(|id| Some((id, self.hasty.get(&id)?.clone())))
            .collect();
        let mut steps = std::borrow::Cow::Borrowed(steps);
        for (id, least) in &hastened {
            if let Some(step) = steps.to_mut().get_mut(id.0 as usize) {
                step.needs.clone_from(least);
            }
        }
        let before = Before::of(&steps);
        let mut after: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
        for (n, tight) in tight.iter().enumerate() {
            let mut free = tight.free;
            let mut debt: Vec<usize> = Vec::new();
            let mut given: BTreeMap<usize, i64> = BTreeMap::new();
            let mut queue: Vec<usize> = Vec::new();
            let mut first = 0;
            for step in &run.order {
                let mut wants = self.takes.get(step).map_or(0, |takes| takes[n]);
                if wants > 0 {
                    // What is too much already must be gone before anything is made.
                    let mut waits: Vec<usize> = debt.clone();
                    for giver in before.succeeded(*step, NEAR_EVENTS) {
                        let Some(left) = given.get_mut(&giver) else { continue };
                        let part = wants.min(*left);
                        wants -= part;
                        *left -= part;
                    }
                    let part = wants.min(free.max(0));
                    wants -= part;
                    free -= part;
                    while wants > 0
                        && let Some(giver) = queue.get(first)
                    {
                        let left = given.entry(*giver).or_default();
                        let part = wants.min(*left);
                        if part > 0 {
                            waits.push(*giver);
                        }
                        wants -= part;
                        *left -= part;
                        if *left == 0 {
                            first += 1;
                        }
                    }
                    if let Some(step) = steps.get(*step).filter(|_| !waits.is_empty()) {
                        let ids = waits.iter().filter_map(|giver| steps.get(*giver)).map(|giver| giver.id);
                        after.entry(step.id).or_default().extend(ids);
                    }
                }
                let gives = self.gives.get(step).map_or(0, |gives| gives[n]);
                if gives > 0 {
                    if free < 0 {
                        debt.push(*step);
                    }
                    let burnt = gives.min((-free).max(0));
                    free += burnt;
                    given.insert(*step, gives - burnt);
                    queue.push(*step);
                }
            }
        }
        Order { after, hastened }
    }
}
