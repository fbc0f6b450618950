//! What other environments offer: their states are looked at, and nothing is written to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::load::store_problem_at;
use super::lockfile::Lock;
use super::{Problem, Site, path_word};
use crate::model::desired::{Desired, Image};
use crate::model::promotion::{Offers, PromotedFrom, PromotedKey, Promotion, Promotions};
use crate::model::recorded::Recorded;
use crate::plan::offers;
use crate::store::{SqliteStore, Store};

/// Looks at the states that images of the config are promoted from, each once.
pub(super) fn look(site: &Site, desired: &Desired, lock: &Lock) -> Result<Promotions, Problem> {
    let mut states: BTreeMap<PathBuf, Option<Recorded>> = BTreeMap::new();
    let mut promotions = Promotions::new();
    for (name, image) in &desired.images {
        let Image::Promoted { from, dir } = image else { continue };
        let file = state_file(site, from, dir.as_deref());
        if !states.contains_key(&file) {
            let fault = |fault| store_problem_at(site, &file, &fault);
            let recorded = match SqliteStore::open_read_only(&file).map_err(fault)? {
                Some(mut store) => Some(store.load().map_err(fault)?.recorded),
                None => None,
            };
            states.insert(file.clone(), recorded);
        }
        let offers = match states.get(&file) {
            Some(Some(recorded)) => offers(recorded, from, desired.cloud.provider.endpoint()),
            Some(None) | None => Offers::NoState,
        };
        let pinned = lock.promoted.iter().filter(|(key, _)| is_ours(key, desired, from));
        let pinned = pinned.map(|(key, pin)| (key.region.clone(), pin.clone())).collect();
        let there = there(site, from, dir.as_deref());
        promotions.insert(name.clone(), Promotion { state: site.show(&file), there, offers, pinned });
    }
    Ok(promotions)
}

fn state_file(site: &Site, from: &PromotedFrom, dir: Option<&str>) -> PathBuf {
    let dir = dir.map_or_else(|| site.dir.clone(), |dir| site.dir.join(dir));
    dir.join("state").join(format!("{}.db", from.env))
}

/// How a command is begun that works in that environment, from where we were started.
fn there(site: &Site, from: &PromotedFrom, dir: Option<&str>) -> String {
    let shown = match (site.shown.as_str(), dir) {
        (ours, None) => ours.to_owned(),
        (".", Some(dir)) => dir.to_owned(),
        (ours, Some(dir)) => Path::new(ours).join(dir).display().to_string(),
    };
    let chdir = if shown == "." { String::new() } else { format!(" -C {}", path_word(&shown)) };
    let env = if from.env.as_str() == "default" { String::new() } else { format!(" -e {}", from.env) };
    format!("fleetwright{chdir}{env}")
}

fn is_ours(key: &PromotedKey, desired: &Desired, wanted: &PromotedFrom) -> bool {
    let PromotedKey { endpoint, account, env, region: _, from } = key;
    *endpoint == desired.cloud.provider.endpoint()
        && *account == desired.cloud.account
        && *env == desired.env
        && from == wanted
}
