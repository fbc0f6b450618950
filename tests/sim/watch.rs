//! What must hold at every moment of an apply, as the cloud counts it, and not the program.

use std::sync::{Arc, Mutex, PoisonError};

use fleetwright::cloud::call::{Answer, Body, Call, Fault};
use fleetwright::cloud::embedded::Embedded;
use fleetwright::model::Millis;

use crate::crash::wire::LooksOn;
use crate::kit::GZ;
use crate::rig::{OWNER, Rig};

/// What the names of the fleet begin with that is to stay available.
const FLEET: &str = "shop-default-web-";

/// Whoever looks on while calls are made.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

struct Seen {
    /// The fewest instances of the fleet that must serve.
    fewest: usize,
    broken: Vec<String>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Seen { fewest: 0, broken: Vec::new() })))
    }

    /// From now on so many must serve.
    pub(crate) fn expect(&self, fewest: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fewest = fewest;
    }

    /// What was broken so far.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).broken.clone()
    }

    /// What looks on.
    pub(crate) fn looks_on(&self) -> Box<LooksOn> {
        let seen = Arc::clone(&self.0);
        Box::new(move |cloud, now, call, result| {
            if call.body.mutates() {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let fewest = seen.fewest;
                seen.broken.extend(look(cloud, now, call, result, fewest));
            }
        })
    }
}

/// How many instances of the fleet serve.
pub(crate) fn serving(rig: &Rig) -> usize {
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ);
    held.into_iter()
        .flat_map(|held| held.instances.values())
        .filter(|one| serves(&one.name, &one.state, one.booted))
        .count()
}

fn serves(name: &str, state: &str, booted: bool) -> bool {
    name.starts_with(FLEET) && state == "RUNNING" && booted
}

fn look(cloud: &Embedded, now: Millis, call: &Call, result: &Result<Answer, Fault>, fewest: usize) -> Option<String> {
    let takes_down = matches!(
        call.body,
        Body::TerminateInstances { .. }
            | Body::ResetInstance { .. }
            | Body::StopInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::CreateImage { .. }
    );
    let deletes = matches!(call.body, Body::DeleteImages { .. });
    if result.is_err() || !(takes_down || deletes) {
        return None;
    }
    let holdings = cloud.holdings(now).expect("holdings");
    let held = holdings.of(OWNER, call.region.as_str());
    if let Body::DeleteImages { images } = &call.body {
        let gone: Vec<&str> = images.iter().map(|id| id.as_str()).collect();
        let users = held.into_iter().flat_map(|held| &held.instances).filter(|(_, one)| {
            gone.contains(&one.image.as_str())
                && !["SHUTDOWN", "LAUNCH_FAILED", "TERMINATING"].contains(&one.state.as_str())
        });
        let users: Vec<&String> = users.map(|(id, _)| id).collect();
        return (!users.is_empty()).then(|| format!("{gone:?} was deleted while {users:?} ran from it"));
    }
    if call.region.as_str() != GZ {
        return None;
    }
    let instances = held.into_iter().flat_map(|held| held.instances.values());
    let serve = instances.filter(|one| serves(&one.name, &one.state, one.booted)).count();
    (serve < fewest).then(|| format!("after {} {serve} instances serve, and {fewest} should", call.body.action()))
}
