//! The lock: taken, waited for, looked at and broken.

use super::heartbeat::Heartbeat;
use super::load::store_problem;
use super::{Problem, Site};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::store::{Fence, Lease, SqliteStore, Store, StoreFault};

/// How often it is looked whether a lock has become free.
const LOOK_MS: Millis = 250;

/// Whoever is told that a lock is waited for.
pub trait Waiter {
    /// Somebody else holds the lock at `now`; it is waited for until `until`. Told once for each holder.
    fn waits(&mut self, now: Millis, lease: &Lease, until: Millis);
}

/// A lock that is held, and kept by a heartbeat.
pub(super) struct Lock {
    pub(super) fence: Fence,
    pub(super) heartbeat: Heartbeat,
}

impl Lock {
    /// Takes the lock, as soon as it can be had within the time that the command line allows.
    pub(super) fn take(site: &Site, store: &mut dyn Store, waiter: &mut dyn Waiter) -> Result<Self, Problem> {
        let fence = wait(site, store, waiter)?;
        Ok(Self { fence, heartbeat: Heartbeat::start(site, fence) })
    }

    /// Takes the lock where nobody else holds it; else tells who does.
    pub(super) fn try_take(site: &Site, store: &mut dyn Store) -> Result<Result<Self, Box<Lease>>, Problem> {
        site.stop.heed();
        match store.lock(&site.holder, site.clock.now_ms(), site.lease_ms(), &*site.is_dead) {
            Ok(fence) => Ok(Ok(Self { fence, heartbeat: Heartbeat::start(site, fence) })),
            Err(StoreFault::Locked(lease)) => Ok(Err(lease)),
            Err(fault) => Err(store_problem(site, &fault)),
        }
    }

    /// Gives the lock back; a lock that was taken over is not ours to give.
    pub(super) fn give_back(self, store: &mut dyn Store) {
        let Self { fence, heartbeat } = self;
        drop(heartbeat);
        drop(store.unlock(fence));
    }
}

fn wait(site: &Site, store: &mut dyn Store, waiter: &mut dyn Waiter) -> Result<Fence, Problem> {
    site.stop.heed();
    let since = site.clock.now_ms();
    let until = since.saturating_add(site.lock_timeout_ms);
    let mut told = None;
    loop {
        let now = site.clock.now_ms();
        let fault = match store.lock(&site.holder, now, site.lease_ms(), &*site.is_dead) {
            Ok(fence) => return Ok(fence),
            Err(fault) => fault,
        };
        let StoreFault::Locked(lease) = &fault else { return Err(store_problem(site, &fault)) };
        if now >= until {
            let mut problem = store_problem(site, &fault);
            if let Some(last) = problem.diagnostics.last_mut().filter(|_| told.is_some()) {
                last.notes.push(format!("waited {} s for the lock, as --lock-timeout says", (now - since) / 1000));
            }
            return Err(problem);
        }
        if told != Some(lease.fence) {
            waiter.waits(now, lease, until);
            told = Some(lease.fence);
        }
        site.clock.wait_until(until.min(now + LOOK_MS));
        interrupted(site, "while waiting for the lock")?;
    }
}

/// Ends a command that somebody wants to stop before it has changed anything.
pub(super) fn interrupted(site: &Site, when: &str) -> Result<(), Problem> {
    if !site.stop.is_raised() {
        return Ok(());
    }
    Err(Problem::of(Diagnostic::error(codes::INTERRUPTED, format!("interrupted {when}")).why("nothing was begun")))
}

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

/// Whether nobody holds the lock any more, though the state says so: its time is over, or its process is. Of a process on
/// another machine nobody can tell whether it lives.
pub(super) fn is_over(site: &Site, lease: &Lease) -> bool {
    lease.until_ms <= site.clock.now_ms() || (lease.holder.host == site.holder.host && (site.is_dead)(&lease.holder))
}
