//! The floor: the fewest calls by which what a plan says can become of each thing, as `docs/floor.md` derives it.
//!
//! It is counted from what each thing needs by itself, noted where its change is decided. How the steps put these needs
//! together has no part in it, so that the two can be held against each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cloud::call::{InstanceAttr, MAX_BATCH, MAX_DELETE, MAX_LAUNCH, MAX_TAG_RESOURCES};
use crate::model::addr::Block;
use crate::model::desired::Tags;
use crate::model::ids::{Region, Zone};

/// The fewest calls of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Floor {
    /// By the API's names; what needs none is not named.
    pub by_action: BTreeMap<String, u32>,
}

impl Floor {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.by_action.values().sum()
    }
}

/// A call that serves as many things as its list holds. Two things that need equal ones can share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Shared {
    /// One attribute, one value (5.9).
    Modify(Region, InstanceAttr),
    Stop(Region),
    Start(Region),
    /// A resource description names its region, so these are of all regions together (7.1).
    Tag(Tags),
    Untag(BTreeSet<String>),
    /// Images (4.13); apart those that can go before they have a successor, where a quota asks for it.
    Delete(Region, bool),
}

impl Shared {
    fn most(&self) -> usize {
        match self {
            Self::Modify(..) | Self::Stop(_) | Self::Start(_) => MAX_BATCH,
            Self::Tag(_) | Self::Untag(_) => MAX_TAG_RESOURCES,
            Self::Delete(..) => MAX_DELETE,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Modify(..) => "ModifyInstancesAttribute",
            Self::Stop(_) => "StopInstances",
            Self::Start(_) => "StartInstances",
            Self::Tag(_) => "TagResources",
            Self::Untag(_) => "UnTagResources",
            Self::Delete(..) => "DeleteImages",
        }
    }
}

/// How many things of a block need a call.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    /// Those that wait for nothing.
    free: usize,
    /// Those that wait for something else to become of their block first. They share with others of it only.
    bound: usize,
}

/// What is launched for a fleet beside its rollout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Launch {
    /// It is new.
    New,
    /// The fleet lacks it, and nothing else of it is taken out of service before it is back.
    Repair,
}

/// Which slots of a fleet a rollout is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rollout {
    /// Those that were out of service before.
    Off,
    /// Those that run, and that no gate has seen.
    Unseen,
    /// Those that serve.
    Serving,
}

/// Slots of a fleet that are out of service for a while, at most so many at once.
#[derive(Clone, Default, Debug)]
struct Rolled {
    at_once: usize,
    slots: usize,
    /// By zone, the ordinals that are launched anew.
    launched: BTreeMap<Zone, Vec<u32>>,
    /// By billing mode.
    terminated: BTreeMap<String, usize>,
    stopped: usize,
    started: usize,
}

/// What the things of a plan need.
#[derive(Default)]
pub(super) struct Dues {
    /// Calls that serve one thing each.
    single: BTreeMap<&'static str, usize>,
    shared: BTreeMap<Shared, BTreeMap<Block, Count>>,
    launched: BTreeMap<(Block, Launch, Zone), Vec<u32>>,
    /// By region, by billing mode (API text 5.4), and by whether they have still to come to rest.
    terminated: BTreeMap<(Region, String, bool), usize>,
    rollouts: BTreeMap<(Block, Rollout), Rolled>,
}

impl Dues {
    /// Something needs calls that serve nothing else.
    pub(super) fn single(&mut self, action: &'static str, calls: usize) {
        if calls > 0 {
            *self.single.entry(action).or_default() += calls;
        }
    }

    /// A thing of a block needs a call that can serve others, too. `waits`: for something else of its block.
    pub(super) fn shared(&mut self, call: Shared, block: &Block, waits: bool) {
        let count = self.shared.entry(call).or_default().entry(block.clone()).or_default();
        if waits {
            count.bound += 1;
        } else {
            count.free += 1;
        }
    }

    /// An instance is made.
    pub(super) fn launch(&mut self, block: &Block, kind: Launch, zone: &Zone, ordinal: u32) {
        self.launched.entry((block.clone(), kind, zone.clone())).or_default().push(ordinal);
    }

    /// An instance that nobody wants any more goes. `waits`: it has still to come to rest.
    pub(super) fn terminate(&mut self, region: &Region, charge_type: &str, waits: bool) {
        *self.terminated.entry((region.clone(), charge_type.to_owned(), waits)).or_default() += 1;
    }

    /// So many slots of a fleet are out of service for a while, `at_once` together.
    pub(super) fn rollout(&mut self, block: (&Block, Rollout), slots: usize, at_once: usize) {
        let rollout = self.rollouts.entry((block.0.clone(), block.1)).or_default();
        (rollout.slots, rollout.at_once) = (slots, at_once);
    }

    /// One of them is replaced.
    pub(super) fn replaced(&mut self, block: (&Block, Rollout), charge_type: &str, zone: &Zone, ordinal: u32) {
        let rollout = self.rollouts.entry((block.0.clone(), block.1)).or_default();
        *rollout.terminated.entry(charge_type.to_owned()).or_default() += 1;
        rollout.launched.entry(zone.clone()).or_default().push(ordinal);
    }

    /// One of them is stopped, or started again.
    pub(super) fn switched(&mut self, block: (&Block, Rollout), stopped: bool, started: bool) {
        let rollout = self.rollouts.entry((block.0.clone(), block.1)).or_default();
        rollout.stopped += usize::from(stopped);
        rollout.started += usize::from(started);
    }

    /// A round of a guided rollout: what is launched, by zone, what is terminated, by billing mode and by whether that is
    /// before or after its successor is there, and how many are stopped and started.
    pub(super) fn round<'o>(
        &mut self,
        launched: impl Iterator<Item = &'o BTreeSet<u32>>,
        terminated: impl Iterator<Item = usize>,
        stopped: usize,
        started: usize,
    ) {
        for ordinals in launched {
            let ordinals: Vec<u32> = ordinals.iter().copied().collect();
            self.single("RunInstances", pieces(&runs(&ordinals), MAX_LAUNCH as usize));
        }
        self.single("TerminateInstances", terminated.map(|count| count.div_ceil(MAX_BATCH)).sum());
        self.single("StopInstances", stopped.div_ceil(MAX_BATCH));
        self.single("StartInstances", started.div_ceil(MAX_BATCH));
    }

    /// The fewest calls that all of this takes.
    pub(super) fn floor(&self) -> Floor {
        let Self { single, shared, launched, terminated, rollouts } = self;
        let mut by_action: BTreeMap<String, u32> = BTreeMap::new();
        let mut add = |action: &str, calls: usize| {
            if calls > 0 {
                *by_action.entry(action.to_owned()).or_default() += u32::try_from(calls).unwrap_or(u32::MAX);
            }
        };
        for (action, calls) in single {
            add(action, *calls);
        }
        for (call, counts) in shared {
            add(call.action(), batches(counts.values(), call.most()));
        }
        for ordinals in launched.values() {
            add("RunInstances", pieces(&runs(ordinals), MAX_LAUNCH as usize));
        }
        for count in terminated.values() {
            add("TerminateInstances", count.div_ceil(MAX_BATCH));
        }
        for rollout in rollouts.values() {
            let Rolled { at_once, slots, launched, terminated, stopped, started } = rollout;
            let at_once = (*at_once).max(1);
            let runs: Vec<usize> = launched.values().flat_map(|ordinals| runs(ordinals)).collect();
            let forced = split_runs(&runs, slots.div_ceil(at_once), at_once);
            add("RunInstances", pieces(&runs, at_once.min(MAX_LAUNCH as usize)) + forced);
            let batch = at_once.min(MAX_BATCH);
            for count in terminated.values() {
                add("TerminateInstances", count.div_ceil(batch));
            }
            add("StopInstances", stopped.div_ceil(batch));
            add("StartInstances", started.div_ceil(batch));
        }
        Floor { by_action }
    }
}

/// Those that wait share with their own block only, and take along what of it waits for nothing, as far as their calls
/// have room; all others share with everybody.
fn batches<'c>(counts: impl Iterator<Item = &'c Count>, most: usize) -> usize {
    let (mut calls, mut free) = (0, 0);
    for count in counts {
        let own = count.bound.div_ceil(most);
        calls += own;
        free += count.free.saturating_sub(own * most - count.bound);
    }
    calls + free.div_ceil(most)
}

/// How long the runs of consecutive ordinals are: a launch names its instances by the pattern `{R:x}` (API text 5.1).
fn runs(ordinals: &[u32]) -> Vec<usize> {
    let mut sorted = ordinals.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<usize> = Vec::new();
    let mut before: Option<u32> = None;
    for ordinal in sorted {
        match runs.last_mut().filter(|_| before.and_then(|before| before.checked_add(1)) == Some(ordinal)) {
            Some(run) => *run += 1,
            None => runs.push(1),
        }
        before = Some(ordinal);
    }
    runs
}

fn pieces(runs: &[usize], most: usize) -> usize {
    runs.iter().map(|run| run.div_ceil(most)).sum()
}

/// How many runs have to be cut once more than their length asks for, so that a rollout is over in this many rounds: as many
/// as packing the rests whole would take rounds beyond that. Two rests of more than half a round never share one.
fn split_runs(runs: &[usize], rounds: usize, at_once: usize) -> usize {
    let whole: usize = runs.iter().map(|run| run / at_once).sum();
    let rests: Vec<usize> = runs.iter().map(|run| run % at_once).filter(|rest| *rest > 0).collect();
    let large = rests.iter().filter(|rest| **rest * 2 > at_once).count();
    (whole + large).saturating_sub(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Block {
        Block::fleet(&"web".into())
    }

    fn by_action(dues: &Dues) -> Vec<(String, u32)> {
        dues.floor().by_action.into_iter().collect()
    }

    fn expect(dues: &Dues, wanted: &[(&str, u32)]) {
        let wanted: Vec<(String, u32)> = wanted.iter().map(|(action, n)| ((*action).to_owned(), *n)).collect();
        assert_eq!(by_action(dues), wanted);
    }

    #[test]
    fn a_launch_is_a_run_of_names_in_a_zone_and_at_most_a_batch() {
        let mut dues = Dues::default();
        for ordinal in (0..750).chain(751..753) {
            dues.launch(&web(), Launch::New, &"ap-guangzhou-3".into(), ordinal);
        }
        dues.launch(&web(), Launch::New, &"ap-guangzhou-4".into(), 753);
        dues.launch(&web(), Launch::Repair, &"ap-guangzhou-4".into(), 754);
        expect(&dues, &[("RunInstances", 2 + 1 + 1 + 1)]);
    }

    #[test]
    fn what_waits_shares_with_its_own_block_only() {
        let mut dues = Dues::default();
        let stop = || Shared::Stop("ap-guangzhou".into());
        let other = Block::fleet(&"other".into());
        for _ in 0..130 {
            dues.shared(stop(), &web(), true);
        }
        for _ in 0..75 {
            dues.shared(stop(), &web(), false);
        }
        for _ in 0..95 {
            dues.shared(stop(), &other, false);
        }
        // Two calls of 200 for what waits take 70 more along; 5 and 95 are one.
        expect(&dues, &[("StopInstances", 2 + 1)]);
        dues.shared(stop(), &other, false);
        expect(&dues, &[("StopInstances", 2 + 2)]);
        dues.shared(Shared::Stop("ap-shanghai".into()), &other, false);
        expect(&dues, &[("StopInstances", 2 + 2 + 1)]);
    }

    #[test]
    fn a_rollout_takes_its_rounds() {
        let rollout = |runs: &[u32], at_once: usize| {
            let mut dues = Dues::default();
            let mut slots = 0;
            for (n, run) in runs.iter().enumerate() {
                for ordinal in 0..*run {
                    dues.replaced(
                        (&web(), Rollout::Serving),
                        "POSTPAID_BY_HOUR",
                        &format!("ap-guangzhou-{n}").as_str().into(),
                        ordinal,
                    );
                }
                slots += *run as usize;
            }
            dues.rollout((&web(), Rollout::Serving), slots, at_once);
            let floor = dues.floor().by_action;
            (floor["RunInstances"], floor["TerminateInstances"])
        };
        assert_eq!(rollout(&[3, 2], 2), (3, 3));
        assert_eq!(rollout(&[25, 25], 10), (6, 5));
        // Three rests of two thirds each in two rounds: one of them is cut.
        assert_eq!(rollout(&[2, 2, 2], 3), (4, 2));
        assert_eq!(rollout(&[5000, 5000], 1000), (20, 100));
    }

    #[test]
    fn what_nothing_needs_is_not_named() {
        let mut dues = Dues::default();
        dues.single("SyncImages", 0);
        dues.rollout((&web(), Rollout::Serving), 3, 1);
        expect(&dues, &[]);
    }
}
