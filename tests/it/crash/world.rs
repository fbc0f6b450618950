//! What a world must be like when all is said and done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright::cli::Exit;
use fleetwright::store::{SqliteStore, Store};
use serde_json::Value;

use super::compare::{LAUNCH_FAILED, SHUTDOWN, between};
use crate::rig::{OWNER, Rig};

const DISCARDED: &str = "in the recycle bin: ";

/// Whether there is nothing but what lies in the recycle bin.
pub(crate) fn all_discarded(summary: &BTreeSet<String>) -> bool {
    summary.iter().all(|line| line.starts_with(DISCARDED))
}

/// The world in words, by names: equal for two worlds that differ in their ids only.
pub(crate) fn summary(rig: &Rig) -> BTreeSet<String> {
    let holdings = rig.holdings();
    let mut lines = BTreeSet::new();
    for (region, held) in holdings.0.get(OWNER).into_iter().flatten() {
        for image in held.images.values() {
            lines.insert(format!(
                "{region} image {} {} {:?} deprecated {} encrypted {} shared with {:?} tags {:?} made by {:?}",
                image.name,
                image.state,
                image.family,
                image.deprecated,
                image.encrypted,
                image.shared_with,
                image.tags,
                image.content.provisioned
            ));
        }
        let mut discarded: BTreeMap<&str, usize> = BTreeMap::new();
        for one in held.instances.values().filter(|one| one.state != LAUNCH_FAILED) {
            if one.state == SHUTDOWN {
                *discarded.entry(&one.name).or_default() += 1;
                continue;
            }
            let image = held.images.get(&one.image).map_or(one.image.as_str(), |image| image.name.as_str());
            // Where the config names no host, the cloud names it by its address.
            let host = Some(&one.host_name).filter(|host| !host.starts_with("VM-"));
            lines.insert(format!(
                "{} instance {} {} {} from {image} tags {:?} made by {:?} paid {} protected {} role {:?} host {host:?}",
                one.zone,
                one.name,
                one.instance_type,
                one.state,
                one.tags,
                one.content.provisioned,
                one.charge,
                one.protected,
                one.cam_role
            ));
        }
        lines.extend(discarded.into_iter().map(|(name, times)| format!("{DISCARDED}{name}, {times} times")));
    }
    lines
}

/// What is wrong between the state and the cloud, if anything.
pub(crate) fn faults(rig: &Rig) -> Vec<String> {
    between(&state(rig), &rig.holdings(), OWNER, false)
}

/// The same, where others may have shared our images: the state has what we did.
pub(crate) fn faults_but_shares(rig: &Rig) -> Vec<String> {
    between(&state(rig), &rig.holdings(), OWNER, true)
}

/// The state as JSON.
pub(crate) fn state(rig: &Rig) -> Value {
    let shown = rig.run("show --json").expect(Exit::Done);
    serde_json::from_str(&shown.out).expect("JSON")
}

/// The state's serial; 0 where there is none yet.
pub(crate) fn serial(rig: &Rig) -> u64 {
    let store = SqliteStore::open_read_only(&rig.dir().join("state/default.db")).expect("a state, or none");
    store.map_or(0, |mut store| store.load().expect("a state").recorded.serial)
}

/// What stands in files that must not stand there: user data, in any form, and keys.
pub(crate) fn leaks(rig: &Rig, secrets: &[String]) -> Vec<String> {
    let mut leaks = Vec::new();
    let mut written: Vec<std::path::PathBuf> = vec![rig.dir().join("fleetwright.lock")];
    if let Ok(entries) = std::fs::read_dir(rig.dir().join("state")) {
        written.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    for path in written.iter().filter(|path| path.exists()) {
        let bytes = std::fs::read(path).expect("a file");
        leaks.extend(secrets.iter().filter(|secret| holds(&bytes, secret)).map(|secret| named(path, secret)));
    }
    for plan in plans(rig) {
        let found = secrets.iter().filter(|secret| holds(plan.as_bytes(), secret));
        leaks.extend(found.map(|secret| format!("{secret:?} stands in a plan of the state")));
    }
    leaks
}

/// The plans that the state keeps, which are compressed in the file.
fn plans(rig: &Rig) -> Vec<String> {
    let file = rig.dir().join("state/default.db");
    let Ok(Some(mut store)) = SqliteStore::open_read_only(&file) else { return Vec::new() };
    let hashes: BTreeSet<_> = store.runs().expect("runs").into_iter().filter_map(|run| run.plan_hash).collect();
    hashes.into_iter().map(|hash| store.plan_json(hash).expect("read").expect("a run's plan is kept")).collect()
}

fn named(path: &Path, secret: &str) -> String {
    format!("{secret:?} stands in {}", path.display())
}

/// Whether a text holds a secret.
pub(crate) fn holds(bytes: &[u8], secret: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(secret)
}

/// The secrets of a world: the lines of its user data, as they are and as they are sent, and the key.
pub(crate) fn secrets(rig: &Rig) -> Vec<String> {
    let mut secrets = vec!["embedded-secret-".to_owned()];
    if rig.dir().join("provision.sh").exists() {
        let text = rig.read("provision.sh");
        secrets.push("/var/www/html".to_owned());
        secrets.push(STANDARD.encode(text).chars().take(40).collect());
    }
    secrets
}
