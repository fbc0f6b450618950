//! The lock, looked at and broken.

use super::load::store_problem;
use super::{Problem, Site};
use crate::store::{Fence, Lease, SqliteStore};

/// Who holds the lock of the state.
///
/// # Errors
/// The state cannot be read.
pub fn lease(site: &Site) -> Result<Option<Lease>, Problem> {
    let fault = |fault| store_problem(site, &fault);
    match SqliteStore::open_read_only(&site.state_file()).map_err(fault)? {
        Some(mut store) => store.lease().map_err(fault),
        None => Ok(None),
    }
}

/// Takes the lock away from whoever holds it with this fence; whoever that is can write no more. `false`: nobody holds
/// it with this fence any more, and nothing was done.
///
/// # Errors
/// The state cannot be written.
pub fn break_lock(site: &Site, fence: Fence) -> Result<bool, Problem> {
    let fault = |fault| store_problem(site, &fault);
    match SqliteStore::open(&site.state_file()).map_err(fault)? {
        Some(mut store) => store.force_unlock(fence).map_err(fault),
        None => Ok(false),
    }
}
