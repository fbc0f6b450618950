//! What must hold at every moment of an apply, as the cloud counts it, and not the program.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright::cloud::call::{Answer, Body, Call, Fault};
use fleetwright::cloud::embedded::Embedded;
use fleetwright::cloud::embedded::inspect::{Holding, InstanceHeld};
use fleetwright::model::Millis;
use fleetwright::model::ids::InstanceId;
use fleetwright::model::naming::{BUILDER, TAG_KEY};
use fleetwright::model::update::Check;
use fleetwright::store::{SqliteStore, Store as _};

use crate::crash::wire::LooksOn;
use crate::kit::GZ;
use crate::rig::{OWNER, Rig};
use crate::sim::shop::Tight;

/// What the names of the fleet begin with that is to stay available.
pub(crate) const FLEET: &str = "shop-default-web-";

/// How many instances of a fleet there may be at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many serve, at least.
    pub(crate) fewest: usize,
    /// How many there are, at most: with those on their way in, without those on their way out.
    pub(crate) most: usize,
}

impl Bounds {
    /// No fewer than so many.
    pub(crate) fn at_least(fewest: usize) -> Self {
        Self { fewest, most: usize::MAX }
    }
}

/// What bounds fleets, by what the names of their instances begin with.
pub(crate) type Fleets = BTreeMap<String, Bounds>;

/// Whoever looks on while calls are made.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

/// Which instances serve, of those that run.
#[derive(Clone, Debug)]
pub(crate) enum Serving {
    /// All of them.
    Running,
    /// Those that answer.
    Answering(Check),
    /// All of them, for they may fall ill by themselves before anybody knows; but of those that do answer none is taken
    /// away where there are too few.
    FallingIll(Check),
}

struct Seen {
    fleets: Fleets,
    serving: Serving,
    /// How many of each fleet answered before the call that is under way.
    answered: BTreeMap<String, usize>,
    tight: Option<Tight>,
    /// Of each image that somebody was put out of in this run: how many it was shared with before.
    put_out: BTreeMap<String, usize>,
    broken: Vec<String>,
}

impl Watch {
    /// Whoever looks on where this is scarce.
    pub(crate) fn new(tight: Tight) -> Self {
        let watch = Self::over(Fleets::new());
        watch.0.lock().unwrap_or_else(PoisonError::into_inner).tight = Some(tight);
        watch
    }

    /// Whoever looks on from the start that fleets keep within their bounds.
    pub(crate) fn over(fleets: Fleets) -> Self {
        let (answered, put_out) = (BTreeMap::new(), BTreeMap::new());
        let seen = Seen { fleets, serving: Serving::Running, answered, tight: None, put_out, broken: Vec::new() };
        Self(Arc::new(Mutex::new(seen)))
    }

    /// From now on these are the bounds, and these instances serve.
    pub(crate) fn bound(&self, fleets: Fleets, serving: Serving) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.fleets, seen.serving) = (fleets, serving);
    }

    /// From now on so many of the fleet must serve.
    pub(crate) fn expect(&self, fewest: usize) {
        self.bound(Fleets::from([(FLEET.to_owned(), Bounds::at_least(fewest))]), Serving::Running);
    }

    /// A run begins.
    pub(crate) fn begins(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put_out.clear();
    }

    /// What was broken so far.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).broken.clone()
    }

    /// What looks on.
    pub(crate) fn looks_on(&self) -> Box<LooksOn> {
        let seen = Arc::clone(&self.0);
        Box::new(move |cloud, now, call, answered| {
            if call.body.mutates() {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(result) = answered else { return seen.count(cloud, now, call) };
                let broken = look(cloud, now, call, result, &seen);
                seen.broken.extend(broken);
                let hasty = result.is_ok().then(|| seen.shares(cloud, now, call)).flatten();
                seen.broken.extend(hasty);
            }
        })
    }
}

/// How many instances of the fleet serve.
pub(crate) fn serving(rig: &Rig) -> usize {
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ);
    held.into_iter().flat_map(|held| held.instances.values()).filter(|one| serves(FLEET, one)).count()
}

/// How many instances of the fleet serve, and answer.
pub(crate) fn well(rig: &Rig, check: &Check) -> usize {
    answering(&rig.cloud(), rig.now_ms(), rig.holdings().of(OWNER, GZ), FLEET, check)
}

/// How many instances of the fleet the state takes for good that run, and do not answer.
pub(crate) fn taken_for_well(rig: &Rig, check: &Check) -> usize {
    let file = rig.dir().join("state").join("default.db");
    let Ok(Some(mut store)) = SqliteStore::open_read_only(&file) else { return 0 };
    let (cloud, holdings) = (rig.cloud(), rig.holdings());
    let held = holdings.of(OWNER, GZ);
    let rows = store.load().expect("a state").recorded.objects.into_iter().filter(|row| !row.is_on_trial());
    let ids = rows.filter_map(|row| row.cloud_id.instance().cloned());
    let sick = |id: &InstanceId| {
        held.and_then(|held| held.instances.get(id.as_str())).is_some_and(|one| serves(FLEET, one))
            && cloud.probe(rig.now_ms(), GZ, id.as_str(), check).is_err()
    };
    ids.filter(sick).count()
}

/// How many instances of the fleet there are, or will be.
pub(crate) fn there(rig: &Rig) -> usize {
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ);
    held.into_iter().flat_map(|held| held.instances.values()).filter(|one| belongs(FLEET, one) && is_there(one)).count()
}

/// How many instances of the fleet are switched off, which is left as it is where somebody else did it.
pub(crate) fn idle(rig: &Rig) -> usize {
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ);
    let ours = held.into_iter().flat_map(|held| held.instances.values()).filter(|one| belongs(FLEET, one));
    ours.filter(|one| one.state == "STOPPED").count()
}

/// Whether an instance is one of a fleet: by what its name begins with or, where somebody renamed it, by its tag.
fn belongs(fleet: &str, one: &InstanceHeld) -> bool {
    let block = fleet.trim_end_matches('-').replacen('-', "/", 1).replacen('-', "/fleet.", 1);
    one.name.starts_with(fleet) && !one.name.contains(BUILDER) || one.tags.get(TAG_KEY) == Some(&block)
}

/// Whether it is there, or will be: not on its way out.
fn is_there(one: &InstanceHeld) -> bool {
    !["TERMINATING", "SHUTDOWN", "LAUNCH_FAILED"].contains(&one.state.as_str())
}

fn serves(fleet: &str, one: &InstanceHeld) -> bool {
    belongs(fleet, one) && one.state == "RUNNING" && one.booted
}

impl Seen {
    /// Whether an instance that runs is one that serves.
    fn counts(&self, cloud: &Embedded, now: Millis, id: &str) -> bool {
        match &self.serving {
            Serving::Running | Serving::FallingIll(_) => true,
            Serving::Answering(check) => cloud.probe(now, GZ, id, check).is_ok(),
        }
    }

    /// Before something may be taken down: how many there are to be taken down that would be missed.
    fn count(&mut self, cloud: &Embedded, now: Millis, call: &Call) {
        let Serving::FallingIll(check) = &self.serving else { return };
        if !takes_down(&call.body) || call.region.as_str() != GZ {
            return;
        }
        let holdings = cloud.holdings(now).expect("holdings");
        let held = holdings.of(OWNER, GZ);
        let count = |fleet: &String| (fleet.clone(), answering(cloud, now, held, fleet, check));
        self.answered = self.fleets.keys().map(count).collect();
    }

    /// Nobody is put out before others are let in, where there is room for all at once.
    fn shares(&mut self, cloud: &Embedded, now: Millis, call: &Call) -> Option<String> {
        let Body::ShareImage { image, accounts, cancel } = &call.body else { return None };
        let id = image.known()?.as_str();
        let holdings = cloud.holdings(now).expect("holdings");
        let there = holdings.of(OWNER, call.region.as_str())?.images.get(id)?.shared_with.len();
        if *cancel {
            self.put_out.entry(id.to_owned()).or_insert(there + accounts.len());
            return None;
        }
        let before = *self.put_out.get(id)?;
        let limit = self.tight?.accounts_per_image as usize;
        let fits = before + accounts.len() <= limit;
        fits.then(|| format!("{accounts:?} could have been let in to {id} before others were put out"))
    }
}

/// How many instances of a fleet serve and answer.
fn answering(cloud: &Embedded, now: Millis, held: Option<&Holding>, fleet: &str, check: &Check) -> usize {
    let instances = held.into_iter().flat_map(|held| &held.instances);
    instances.filter(|(id, one)| serves(fleet, one) && cloud.probe(now, GZ, id, check).is_ok()).count()
}

fn takes_down(body: &Body) -> bool {
    matches!(
        body,
        Body::TerminateInstances { .. }
            | Body::ResetInstance { .. }
            | Body::StopInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::CreateImage { .. }
    )
}

fn look(cloud: &Embedded, now: Millis, call: &Call, result: &Result<Answer, Fault>, seen: &Seen) -> Option<String> {
    let takes_down = takes_down(&call.body);
    let deletes = matches!(call.body, Body::DeleteImages { .. });
    let launches = matches!(call.body, Body::RunInstances { .. });
    if result.is_err() || !(takes_down || deletes || launches) {
        return None;
    }
    let holdings = cloud.holdings(now).expect("holdings");
    let held = holdings.of(OWNER, call.region.as_str());
    if let Body::DeleteImages { images } = &call.body {
        // Where there is no room for both, an image goes before its successor is there: what runs from it goes on.
        if seen.tight.is_some_and(|tight| tight.images_per_region < 10) {
            return None;
        }
        let gone: Vec<&str> = images.iter().map(|id| id.as_str()).collect();
        let users = held
            .into_iter()
            .flat_map(|held| &held.instances)
            .filter(|(_, one)| gone.contains(&one.image.as_str()) && is_there(one));
        let users: Vec<&String> = users.map(|(id, _)| id).collect();
        return (!users.is_empty()).then(|| format!("{gone:?} was deleted while {users:?} ran from it"));
    }
    if call.region.as_str() != GZ {
        return None;
    }
    seen.fleets.iter().find_map(|(fleet, bounds)| {
        let instances = || held.into_iter().flat_map(|held| &held.instances);
        let action = call.body.action();
        if launches {
            let there = instances().filter(|(_, one)| belongs(fleet, one) && is_there(one)).count();
            let most = bounds.most;
            return (there > most).then(|| format!("after {action} {there} instances of {fleet} are there, of {most}"));
        }
        let serve = instances().filter(|(id, one)| serves(fleet, one) && seen.counts(cloud, now, id)).count();
        let untouched = |check| {
            let answer = answering(cloud, now, held, fleet, check);
            seen.answered.get(fleet).is_some_and(|before| *before <= answer)
        };
        match &seen.serving {
            Serving::FallingIll(check) if untouched(check) => return None,
            Serving::Running | Serving::Answering(_) | Serving::FallingIll(_) => {}
        }
        let fewest = bounds.fewest;
        (serve < fewest).then(|| format!("after {action} {serve} instances of {fleet} serve, and {fewest} should"))
    })
}
