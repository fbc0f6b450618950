//! How far rollouts are, as the state knows.

use super::load::store_problem;
use super::lock::is_over;
use super::rollout::{fleet_named, no_state, row_of, way_back};
use super::{Problem, Site};
use crate::model::rollout::{Rollout, ZoneTally};
use crate::store::{Lease, PauseWish, SqliteStore, Store};

/// A rollout, and how far it is as the state knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RolloutTold {
    /// Its row.
    pub row: Rollout,
    /// How many slots are how far, by zone.
    pub zones: Vec<ZoneTally>,
    /// Who wishes that it pause, where whoever carries it out has not heeded that yet.
    pub wish: Option<PauseWish>,
    /// Who holds the lock.
    pub lease: Option<Lease>,
    /// Whether it could be taken back, as far as the state knows.
    pub way_back: bool,
}

/// All rollouts, or that of one fleet.
///
/// # Errors
/// There is no such rollout, or the state cannot be read.
pub fn rollouts(site: &Site, fleet: Option<&str>) -> Result<Vec<RolloutTold>, Problem> {
    let fault = |fault| store_problem(site, &fault);
    let only = fleet.map(fleet_named).transpose()?;
    let store = SqliteStore::open_read_only(&site.state_file()).map_err(fault)?;
    let Some(mut store) = store else {
        return match only {
            Some(block) => Err(no_state(site, &block)),
            None => Ok(Vec::new()),
        };
    };
    let recorded = store.load().map_err(fault)?.recorded;
    let wishes = store.pauses().map_err(fault)?;
    let lease = store.lease().map_err(fault)?.filter(|lease| !is_over(site, lease));
    if let Some(block) = &only {
        row_of(site, &recorded, block)?;
    }
    let rows = recorded.rollouts.values().filter(|row| only.as_ref().is_none_or(|only| *only == row.block));
    let told = |row: &Rollout| RolloutTold {
        row: row.clone(),
        zones: row.tally(&recorded.objects),
        wish: wishes.iter().find(|wish| wish.block == row.block).cloned(),
        lease: lease.clone(),
        way_back: way_back(&recorded, row).is_ok(),
    };
    Ok(rows.map(told).collect())
}
