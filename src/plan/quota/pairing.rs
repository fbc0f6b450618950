//! The worst moment of a limited thing, by pairing: each unit that a step takes is paired with a unit that another
//! step must have given back before. What stays unpaired is the peak (König's theorem, in the form of a flow).
//!
//! Only what is certain counts. A step that waits for another's success starts after that one gave back; a step that
//! waits for another to be *over* starts as well after it failed and gave nothing back, or after it was skipped.

use std::collections::{BTreeMap, VecDeque};

use super::super::order::certain;
use super::super::types::{Resource, Step};

/// What must have happened before each step, as far as that is certain.
pub(crate) struct Before(Vec<Vec<usize>>);

/// The start of a step, and its end, as nodes.
const fn start(step: usize) -> usize {
    2 * step
}

const fn end(step: usize) -> usize {
    2 * step + 1
}

impl Before {
    pub(crate) fn of(steps: &[Step]) -> Self {
        let mut before = vec![Vec::new(); 2 * steps.len()];
        for (n, step) in steps.iter().enumerate() {
            before[end(n)].push(start(n));
            for (other, succeeded) in certain(step) {
                let other = other.0 as usize;
                if other < steps.len() {
                    before[start(n)].push(if succeeded { end(other) } else { start(other) });
                }
            }
        }
        Self(before)
    }

    /// Steps whose success is certain when a step starts, the nearest first; at most `most` events are looked at.
    pub(super) fn succeeded(&self, step: usize, most: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut seen = std::collections::BTreeSet::from([start(step)]);
        let mut queue = VecDeque::from([start(step)]);
        while let Some(node) = queue.pop_front() {
            if node % 2 == 1 {
                found.push(node / 2);
            }
            for next in self.0.get(node).into_iter().flatten() {
                if seen.len() < most && seen.insert(*next) {
                    queue.push_back(*next);
                }
            }
        }
        found
    }
}

/// What each step takes of a thing at its start, and gives back at its confirmed end.
pub(super) fn weights(steps: &[Step], resource: &Resource) -> Vec<(usize, i64, i64)> {
    let weight = |step: &Step| {
        let mine = step.holds.iter().filter(|hold| hold.resource == *resource);
        mine.fold((0, 0), |(takes, gives), hold| (takes + hold.at_start.max(0), gives - hold.at_end.min(0)))
    };
    let all = steps.iter().enumerate().map(|(n, step)| (n, weight(step)));
    all.filter(|(_, weight)| *weight != (0, 0)).map(|(n, (takes, gives))| (n, takes, gives)).collect()
}

/// The most that the steps hold of a resource at any moment, beyond what is held before the first.
pub(crate) fn most(steps: &[Step], before: &Before, resource: &Resource) -> i64 {
    let weights = weights(steps, resource);
    let mut flow = Flow {
        before: &before.0,
        left: vec![0; steps.len()],
        into: vec![BTreeMap::new(); before.0.len()],
        seen: vec![0; before.0.len()],
        from: vec![usize::MAX; before.0.len()],
        search: 0,
    };
    for (step, _, gives) in &weights {
        flow.left[*step] = *gives;
    }
    let mut unpaired = 0;
    for (step, takes, _) in weights {
        let mut wants = takes;
        while wants > 0 {
            match flow.push(start(step), wants) {
                0 => break,
                pushed => wants -= pushed,
            }
        }
        unpaired += wants;
    }
    unpaired
}

struct Flow<'a> {
    before: &'a [Vec<usize>],
    /// What each step gives back and nobody is paired with yet.
    left: Vec<i64>,
    /// How much comes into each node, and from where.
    into: Vec<BTreeMap<usize, i64>>,
    /// The search that saw a node last; one that found nothing is never forgotten.
    seen: Vec<u32>,
    from: Vec<usize>,
    search: u32,
}

/// Of a node from which nothing is left to be found.
const DEAD: u32 = u32::MAX;

impl Flow<'_> {
    /// Pairs up to `wants` units of what a node takes; answers how many. The nearest giver is found first, and others'
    /// pairs are moved where that makes room.
    fn push(&mut self, root: usize, wants: i64) -> i64 {
        if self.seen[root] == DEAD {
            return 0;
        }
        self.search += 1;
        self.seen[root] = self.search;
        let mut reached = vec![root];
        let mut next = 0;
        while let Some(&node) = reached.get(next) {
            next += 1;
            if node % 2 == 1 && self.left[node / 2] > 0 {
                return self.send(root, node, wants);
            }
            let ways = self.before[node].iter().copied();
            let back = self.into[node].iter().filter(|(_, flow)| **flow > 0).map(|(other, _)| *other);
            for other in ways.chain(back) {
                if self.seen[other] != DEAD && self.seen[other] != self.search {
                    self.seen[other] = self.search;
                    self.from[other] = node;
                    reached.push(other);
                }
            }
        }
        // No pair can be found from any of these, now or later: whatever flow is moved, it stays outside.
        for node in reached {
            self.seen[node] = DEAD;
        }
        0
    }

    /// Sends flow along the path that the search left.
    fn send(&mut self, root: usize, giver: usize, wants: i64) -> i64 {
        let mut amount = wants.min(self.left[giver / 2]);
        let mut node = giver;
        while node != root {
            let from = self.from[node];
            if !self.before[from].contains(&node) {
                amount = amount.min(self.into[from].get(&node).copied().unwrap_or(0));
            }
            node = from;
        }
        let mut node = giver;
        while node != root {
            let from = self.from[node];
            if self.before[from].contains(&node) {
                *self.into[node].entry(from).or_default() += amount;
            } else if let Some(flow) = self.into[from].get_mut(&node) {
                *flow -= amount;
            }
            node = from;
        }
        self.left[giver / 2] -= amount;
        amount
    }
}
