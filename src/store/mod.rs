//! The state: what is ours in the cloud, the journal of what was done to it, and the lock.
//!
//! One writer owns a [`Store`]; every write checks the fence in its own transaction. [`SqliteStore`] keeps a state in a
//! file; `state/README.md` describes its tables. Beside the writer only the heartbeat of the same process writes: by a
//! [`LockRow`], which touches the lock's row and nothing else; and whoever wishes that a rollout pause: a [`PauseWish`].

mod budget;
mod fault;
mod files;
mod history;
mod journal;
mod lock;
mod migrate;
mod packed;
mod pauses;
mod read;
mod record;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;
mod write;

pub use lock::LockRow;
pub use packed::Packed;
pub use record::{
    DurationRow, Ending, NewRun, OpRecord, OpRow, OpState, OpTargetRow, PauseWish, Pruned, Record, RunOutcome, RunRow,
    RunTold, Stays, Tally, TargetOutcome, Taught,
};
pub use sqlite::SqliteStore;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::Millis;
use crate::model::ids::Lineage;
use crate::model::recorded::{OpId, Recorded, RunId};

/// A state as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// What it remembers.
    pub recorded: Recorded,
    /// Operations that are neither settled nor failed, oldest first.
    pub open: Vec<OpRecord>,
    /// The first id that no operation has.
    pub next_op: OpId,
    /// Every cloud id that was ever recorded; empty where no operation is open.
    pub ids_ever: BTreeSet<String>,
    /// Who lost the lock while operations were open, without giving it back, and was not known to be gone when it was
    /// taken last: somebody who is only asleep may still send what is in the journal as sent.
    pub displaced: Vec<Holder>,
    /// How many calls the cloud took, where it took fewer than were made.
    pub taught: Vec<Taught>,
}

/// Proof of holding the lock: grows with every holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Fence(pub u64);

/// Whoever holds the lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The person.
    pub who: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When the process started, as its operating system tells; tells a process from a later one of the same number.
    pub started: u64,
}

/// What a lock row says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Who holds it.
    pub holder: Holder,
    /// Since when, by the holder's clock.
    pub since_ms: Millis,
    /// Until when, by the holder's clock.
    pub until_ms: Millis,
    /// The holder's fence.
    pub fence: Fence,
}

/// Why the state could not be read or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreFault {
    /// Somebody else holds the lock.
    #[error("{} on {} (process {}) holds the lock", .0.holder.who, .0.holder.host, .0.holder.pid)]
    Locked(Box<Lease>),
    /// The lock was taken over.
    #[error("the lock was taken over by another run")]
    Fenced,
    /// The disk is full.
    #[error("{0}: the disk is full")]
    Full(String),
    /// The file or its directory cannot be written.
    #[error("{0}: cannot be written")]
    ReadOnly(String),
    /// The file, or a directory above it, cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Unreadable(String, String),
    /// A newer version of this program wrote it.
    #[error("{path}: written with schema {found}, and this build knows schemas up to {known}")]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: u32,
        /// The newest schema that is known.
        known: u32,
    },
    /// It is no state.
    #[error("{0}: not a state of this program")]
    NotAState(String),
    /// There is nothing in it. A state is made whole or not at all, so this is what is left of one.
    #[error("{0}: there is nothing in it, and a state is never empty")]
    Empty(String),
    /// What is in it cannot be.
    #[error("{0}: {1}")]
    Damaged(String, String),
    /// Anything else.
    #[error("{0}")]
    Io(String),
}

/// A state.
///
/// # Guarantees
/// - `commit` is atomic and durable: when it returns, the records survive a power failure; when it fails, none of them
///   is there.
/// - Nothing is written with a fence that is not the newest.
pub trait Store: Send {
    /// Reads everything.
    ///
    /// # Errors
    /// The state cannot be read, or holds what this build does not know.
    fn load(&mut self) -> Result<Stored, StoreFault>;

    /// Takes the lock. A lease that has expired at `now_ms`, or whose holder `is_dead`, is taken over. What that one was
    /// wished to pause is paused.
    ///
    /// # Errors
    /// Somebody else holds it, or the state cannot be written.
    fn lock(
        &mut self,
        holder: &Holder,
        now_ms: Millis,
        lease_ms: Millis,
        is_dead: &dyn Fn(&Holder) -> bool,
    ) -> Result<Fence, StoreFault>;

    /// Extends the lease.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written.
    fn renew(&mut self, fence: Fence, until_ms: Millis) -> Result<(), StoreFault>;

    /// Gives the lock back. Rollouts that somebody wishes to pause, and that still go on, are paused.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written.
    fn unlock(&mut self, fence: Fence) -> Result<(), StoreFault>;

    /// Writes all records in one transaction.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written; then none of them is there.
    fn commit(&mut self, fence: Fence, records: &[Record]) -> Result<(), StoreFault>;

    /// Enters a run into the history, which lies outside the serial.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written.
    fn start_run(&mut self, fence: Fence, run: &NewRun) -> Result<RunId, StoreFault>;

    /// Says how a run ended.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written.
    fn end_run(&mut self, fence: Fence, run: RunId, ended_ms: Millis, outcome: RunOutcome) -> Result<(), StoreFault>;

    /// Who wishes that a rollout pause, in the order of the fleets.
    ///
    /// # Errors
    /// The state cannot be read.
    fn pauses(&mut self) -> Result<Vec<PauseWish>, StoreFault>;

    /// The lineage of this state.
    fn lineage(&self) -> Lineage;
}
