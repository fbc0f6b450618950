//! State and cloud, compared: what is in the one is in the other, once.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cloud::embedded::Holdings;
use serde_json::Value;

/// Such an instance cannot be terminated; it drops out by itself.
pub(crate) const LAUNCH_FAILED: &str = "LAUNCH_FAILED";

/// Such an instance lies in the recycle bin, and is nobody's any more.
pub(crate) const SHUTDOWN: &str = "SHUTDOWN";

/// What is wrong between the state and the cloud, if anything. Where others may have shared our images, the state has
/// what we did.
pub(crate) fn between(state: &Value, holdings: &Holdings, owner: &str, others_share: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut recorded: BTreeMap<(String, String), &Value> = BTreeMap::new();
    for object in state["objects"].as_array().into_iter().flatten() {
        let word = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        if word("status") != "ready" {
            faults.push(format!("{} is {} in the state", word("address"), word("status")));
        }
        if word("kind") != "share" && recorded.insert((word("region"), word("id")), object).is_some() {
            faults.push(format!("{} is in the state twice", word("id")));
        }
    }
    let mut there = BTreeSet::new();
    for (region, held) in holdings.0.get(owner).into_iter().flatten() {
        let region = region.to_string();
        let ours = |state: &str| state != LAUNCH_FAILED && state != SHUTDOWN;
        let instances = || held.instances.iter().filter(|(_, one)| ours(&one.state));
        let ids = instances().map(|(id, _)| id).chain(held.images.keys());
        there.extend(ids.map(|id| (region.clone(), id.clone())));
        let mut names = BTreeSet::new();
        let named = instances().map(|(_, one)| &one.name).chain(held.images.values().map(|one| &one.name));
        faults.extend(named.filter(|name| !names.insert(*name)).map(|name| format!("two are called {name}")));
        for (id, disk) in &held.disks {
            if disk.instance.as_ref().is_none_or(|of| !held.instances.contains_key(of)) {
                faults.push(format!("disk {id} was left behind"));
            }
        }
        for (id, snapshot) in &held.snapshots {
            if snapshot.image.as_ref().is_none_or(|of| !held.images.contains_key(of)) {
                faults.push(format!("snapshot {id} was left behind"));
            }
        }
        for id in held.tags.keys() {
            let known = held.instances.contains_key(id) || held.images.contains_key(id) || held.disks.contains_key(id);
            if !known && !held.snapshots.contains_key(id) {
                faults.push(format!("the tags of {id} were left behind"));
            }
        }
        for (id, image) in &held.images {
            let shares: Vec<&Value> = state["objects"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|object| object["kind"] == "share" && object["id"] == id.as_str())
                .collect();
            let listed: BTreeSet<String> = shares
                .iter()
                .flat_map(|share| share["spec"]["accounts"].as_array().into_iter().flatten())
                .filter_map(|uin| uin.as_str().map(str::to_owned))
                .collect();
            let seen: BTreeSet<String> = image.shared_with.iter().map(ToString::to_string).collect();
            if listed != seen && !(others_share && listed.is_subset(&seen)) {
                faults.push(format!("{id} is shared with {seen:?}, and the state says {listed:?}"));
            }
        }
    }
    let recorded: BTreeSet<(String, String)> = recorded.into_keys().collect();
    faults.extend(recorded.difference(&there).map(|lost| format!("{lost:?} is in the state only")));
    faults.extend(there.difference(&recorded).map(|orphan| format!("{orphan:?} is in the cloud only")));
    faults
}
