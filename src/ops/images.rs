//! The verb `images`: where images come from, in which versions they are there, and who uses them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connect::connect;
use super::load::{Config, files, load, state};
use super::observe::observe;
use super::promotions;
use super::{Problem, Site, lockfile};
use crate::cloud::observe::{Needs, RegionNeeds};
use crate::model::Millis;
use crate::model::addr::Kind;
use crate::model::ids::{Name, Region};
use crate::model::limits::{Limits, Pace};
use crate::model::observed::Observed;
use crate::plan::tree::{Tree, looked_up, tree};
use crate::plan::{Options, PlanInput};

/// The lineage of images.
pub struct Images {
    /// The tree.
    pub tree: Tree,
    /// How many instances each fleet has in the state.
    pub fleets: BTreeMap<Name, u32>,
    /// What time it is in the cloud, or here where nobody looked.
    pub now_ms: Millis,
    /// The config.
    pub config: Config,
}

/// Looks at config and state, and where it is to `look`, at the images in the cloud.
///
/// # Errors
/// All that is wrong with the config; the state cannot be read; or the cloud does not answer.
pub fn images(site: &Site, look: bool) -> Result<Images, Problem> {
    let files = files(site)?;
    let stored = state(site)?;
    let config = load(site, &files, &stored.recorded.lineage)?;
    let lock = lockfile::read(site)?;
    let desired = &config.desired;
    let promotions = promotions::look(site, desired, &lock)?;
    let nothing = Observed::default();
    let input = PlanInput {
        desired,
        recorded: &stored.recorded,
        observed: &nothing,
        limits: Limits::EMBEDDED,
        pace: Pace::INSTANT,
        pins: &lock.public,
        promotions: &promotions,
        as_of_ms: site.clock.now_ms(),
        options: Options::default(),
    };
    let mut regions: BTreeMap<Region, RegionNeeds> = BTreeMap::new();
    for row in stored.recorded.objects.iter().filter(|row| row.kind() == Kind::Image) {
        regions.entry(row.region.clone()).or_default().custom_images = true;
    }
    for (region, id) in looked_up(&input) {
        regions.entry(region).or_default().images.insert(id);
    }
    let (account, home) = (desired.cloud.account.clone(), desired.cloud.region.clone());
    let needs = Needs { account, home, regions_list: false, regions };
    let sight = if look && !needs.regions.is_empty() {
        let connected = connect(site, &desired.cloud, Arc::clone(&config.secrets), &stored.taught, false)?;
        Some(observe(site, &connected.cloud, needs)?)
    } else {
        None
    };
    let seen = sight.as_ref().map(|sight| &sight.observed);
    let grown = tree(&input, seen);
    let mut fleets = BTreeMap::new();
    for row in stored.recorded.objects.iter().filter(|row| row.kind() == Kind::Fleet) {
        *fleets.entry(row.addr.block.name.clone()).or_default() += 1;
    }
    let now_ms = match seen {
        Some(seen) if seen.cloud_ms > 0 => seen.cloud_ms,
        Some(_) | None => site.clock.now_ms(),
    };
    Ok(Images { tree: grown, fleets, now_ms, config })
}
