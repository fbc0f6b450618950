//! What the cloud counts while something is done: how many instances serve, and how many there are.

use std::sync::{Arc, Mutex};

use fleetwright::cloud::clock::Clock;
use fleetwright::ops::Hooks;

use crate::between::between;
use crate::kit::GZ;
use crate::rig::{OWNER, Rig};

/// The worst that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// The fewest that ran.
    pub(super) least_serving: usize,
    /// The most that there were.
    pub(super) most: usize,
}

/// Hooks under which the instances whose names begin so are counted after every call.
pub(super) fn hooks(rig: &Rig, prefix: &str) -> (Hooks, Arc<Mutex<Counts>>) {
    let counts = Arc::new(Mutex::new(Counts { least_serving: usize::MAX, most: 0 }));
    let (cloud, clock) = (rig.cloud(), Arc::clone(&rig.clock) as Arc<dyn Clock>);
    let (prefix, seen) = (prefix.to_owned(), Arc::clone(&counts));
    let hooks = between(move |inner, call, signed_ms| {
        let answer = inner.call(call, signed_ms);
        let holdings = cloud.holdings(clock.now_ms()).expect("holdings");
        let instances = holdings.of(OWNER, GZ).into_iter().flat_map(|held| held.instances.values());
        let mine: Vec<_> = instances.filter(|one| one.name.starts_with(&prefix)).collect();
        let serving = mine.iter().filter(|one| one.state == "RUNNING" && one.booted).count();
        // What is on its way out is not there any more, as far as the fleet goes.
        let there = mine.iter().filter(|one| one.state != "TERMINATING" && one.state != "SHUTDOWN").count();
        let mut counts = seen.lock().expect("no panic before");
        counts.least_serving = counts.least_serving.min(serving);
        counts.most = counts.most.max(there);
        answer
    });
    (hooks, counts)
}
