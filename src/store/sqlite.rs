//! A state in an SQLite file.
//!
//! The file is in WAL mode with `synchronous=FULL`: a commit that has returned survives a power failure, and readers
//! do not wait for the writer. Beside the file lie `-wal` and `-shm` while somebody has it open to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::fault::{Res, Trouble, of_io, of_reading};
use super::files::{Stamp, immutable, is_there};
use super::migrate::{self, Found, MIGRATIONS, OLDEST_READ};
use super::packed::Packed;
use super::rows::{counter, lease, lineage};
use super::write::Writer;
use super::{
    DurationRow, Fence, Holder, Lease, NewRun, OpRow, PauseWish, Pruned, Record, RunOutcome, RunRow, RunTold, Store,
    StoreFault, Stored, history, lock, pauses, read,
};
use crate::database;
use crate::model::Millis;
use crate::model::digest::Digest;
use crate::model::ids::Lineage;
use crate::model::recorded::{OpId, RunId};

/// How long a write waits for another process's write. Writes are short.
const BUSY: Duration = Duration::from_secs(10);
/// More than the statements that there are.
const STATEMENTS: usize = 64;

/// A state in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    conn: Connection,
    path: PathBuf,
    /// The path in messages.
    shown: String,
    lineage: Lineage,
    access: Access,
}

/// How a file was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Write,
    /// Beside other processes.
    Read,
    /// As a file that nobody has open: nothing is locked, and nothing is made beside it. Afterwards it is checked
    /// that the file is still as it was.
    Still(Stamp),
}

impl SqliteStore {
    /// Makes a new state, and the directory that it lies in.
    ///
    /// # Errors
    /// There is a file already, or none can be made.
    pub fn create(path: &Path, lineage: &Lineage) -> Result<Self, StoreFault> {
        let shown = path.display().to_string();
        let there = || StoreFault::Io(format!("{shown}: there is a state already"));
        if Self::open(path)?.is_some() {
            return Err(there());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| of_io(&shown, &error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let make = |beside: &Path| {
            Connection::open_with_flags(beside, flags)
                .map_err(Trouble::from)
                .and_then(|conn| initialise(conn, &shown, lineage))
                .map(drop)
                .map_err(|trouble| trouble.at(&shown, true))
        };
        if !database::put_whole(path, make, |error| of_io(&shown, &error))? {
            return Err(there());
        }
        Self::open(path)?.ok_or_else(|| StoreFault::Io(format!("{shown}: it was made, and is gone again")))
    }

    /// A state that lives as long as this value.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn in_memory(lineage: &Lineage) -> Result<Self, StoreFault> {
        let path = Path::new(":memory:");
        Connection::open_in_memory()
            .map_err(Trouble::from)
            .and_then(|conn| initialise(conn, ":memory:", lineage))
            .map(|conn| Self::new(conn, path, lineage.clone(), Access::Write))
            .map_err(|trouble| trouble.at(":memory:", true))
    }

    /// Opens a state to read and write, and brings it to the newest schema. `None` where there is none.
    ///
    /// # Errors
    /// The file is no state, a newer version's, or cannot be written.
    pub fn open(path: &Path) -> Result<Option<Self>, StoreFault> {
        let shown = path.display().to_string();
        if !is_there(path, &shown)? {
            return Ok(None);
        }
        // SQLite would open it to read, and make files beside it for that.
        drop(fs::OpenOptions::new().read(true).write(true).open(path).map_err(|error| of_io(&shown, &error))?);
        let open = || -> Res<Option<Self>> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let mut conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(BUSY)?;
            refuse_foreign(&conn, &shown)?;
            if conn.is_readonly("main")? {
                return Err(StoreFault::ReadOnly(shown.clone()).into());
            }
            prepare(&conn)?;
            migrate::migrate(&mut conn, &shown, MIGRATIONS)?;
            let lineage = lineage(&conn)?;
            Ok(Some(Self::new(conn, path, lineage, Access::Write)))
        };
        open().map_err(|trouble| trouble.at(&shown, true))
    }

    /// Opens a state to read it while others may write. `None` where there is none. Where nobody has the file open,
    /// nothing is made beside it, and its directory need not be writable.
    ///
    /// # Errors
    /// The file is no state, of a newer schema, or cannot be read.
    pub fn open_read_only(path: &Path) -> Result<Option<Self>, StoreFault> {
        let shown = path.display().to_string();
        if !is_there(path, &shown)? {
            return Ok(None);
        }
        drop(fs::File::open(path).map_err(|error| of_reading(&shown, &error))?);
        if let Some(stamp) = Stamp::of(path)
            && let Some(uri) = immutable(path)
        {
            let opened = Self::open_as(path, &shown, Access::Still(stamp), &uri);
            if Stamp::of(path) == Some(stamp) {
                return opened.map_err(|trouble| trouble.at(&shown, false));
            }
        }
        Self::open_as(path, &shown, Access::Read, path).map_err(|trouble| trouble.at(&shown, false))
    }

    fn open_as(path: &Path, shown: &str, access: Access, name: impl AsRef<Path>) -> Res<Option<Self>> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if access != Access::Read {
            flags |= OpenFlags::SQLITE_OPEN_URI;
        }
        let conn = Connection::open_with_flags(name, flags)?;
        conn.busy_timeout(BUSY)?;
        refuse_foreign(&conn, shown)?;
        let found = migrate::schema(&conn, shown, MIGRATIONS)?;
        if found < OLDEST_READ {
            return Err(Trouble::said(format!("written with schema {found}; the next apply brings it up to date")));
        }
        let lineage = lineage(&conn)?;
        Ok(Some(Self::new(conn, path, lineage, access)))
    }

    fn new(conn: Connection, path: &Path, lineage: Lineage, access: Access) -> Self {
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Self { conn, path: path.to_owned(), shown: path.display().to_string(), lineage, access }
    }

    /// The file has no room for more pages than these, or than it has: what needs more fails as on a disk that is full.
    pub fn grow_no_further_than(&mut self, pages: u32) {
        // SQLite answers with the limit that holds now.
        drop(self.conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())));
    }

    /// The connection, for tests that look behind the curtain.
    #[cfg(test)]
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// The same, to be changed.
    #[cfg(test)]
    pub(super) fn conn_mut(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// The history, oldest run first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn runs(&mut self) -> Result<Vec<RunRow>, StoreFault> {
        self.read(read::runs)
    }

    /// The plan of this hash, as JSON, where a run carried it out.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn plan_json(&mut self, hash: Digest) -> Result<Option<String>, StoreFault> {
        self.read(|conn| read::plan(conn, hash, |plan| plan.text()))
    }

    /// How long actions took, in the order of action, region and time.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn durations(&mut self) -> Result<Vec<DurationRow>, StoreFault> {
        self.read(read::durations)
    }

    /// Who holds the lock.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn lease(&mut self) -> Result<Option<Lease>, StoreFault> {
        self.read(lease)
    }

    /// Takes the lock from whoever holds it with this fence, for nobody; its holder can write no more. `false`: nobody
    /// holds it with this fence any more, and nothing was done.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn force_unlock(&mut self, fence: Fence) -> Result<bool, StoreFault> {
        self.write(|tx| lock::force_unlock(tx, fence))
    }

    /// Wishes that whoever holds the lock with this fence pause a rollout. `false`: nobody holds it with this fence any
    /// more, and nothing was done.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn wish_pause(&mut self, fence: Fence, wish: &PauseWish) -> Result<bool, StoreFault> {
        self.write(|tx| pauses::wish(tx, fence, wish))
    }

    /// The operations that a run entered into the journal, oldest first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn operations(&mut self, run: RunId) -> Result<Vec<OpRow>, StoreFault> {
        self.read(|conn| history::operations(conn, run))
    }

    /// The history as it looks at `now_ms`, newest run first; what a run was to do is looked up for the first `most`
    /// of them only, for a plan may be long.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn history(&mut self, now_ms: Millis, most: usize) -> Result<Vec<RunTold>, StoreFault> {
        self.read(|conn| history::told(conn, now_ms, most))
    }

    /// The run that an operation belongs to, where it is still in the journal.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn run_of(&mut self, op: OpId) -> Result<Option<RunId>, StoreFault> {
        self.read(|conn| history::run_of(conn, op))
    }

    /// Deletes the runs before `before`, with their operations and plans, as far as nothing needs them; in one
    /// transaction, outside the serial.
    ///
    /// # Errors
    /// The lock was taken over, or the state cannot be written; then nothing is deleted.
    pub fn prune(&mut self, fence: Fence, before: RunId) -> Result<Pruned, StoreFault> {
        self.write(|tx| {
            check(tx, fence)?;
            history::prune(tx, before)
        })
    }

    /// Reads; once more, beside others, where the file was opened as one that nobody has open and it was not.
    fn read<T>(&mut self, reader: impl Fn(&Connection) -> Res<T>) -> Result<T, StoreFault> {
        let first = reader(&self.conn);
        let writing = self.access == Access::Write;
        if let Access::Still(stamp) = self.access
            && Stamp::of(&self.path) != Some(stamp)
        {
            match Self::open_as(&self.path, &self.shown, Access::Read, &self.path) {
                Ok(Some(again)) => *self = again,
                Ok(None) => return Err(StoreFault::NotAState(self.shown.clone())),
                Err(trouble) => return Err(trouble.at(&self.shown, false)),
            }
            return reader(&self.conn).map_err(|trouble| trouble.at(&self.shown, false));
        }
        first.map_err(|trouble| trouble.at(&self.shown, writing))
    }

    /// Writes in one transaction, or not at all.
    fn write<T>(&mut self, writer: impl FnOnce(&Transaction<'_>) -> Res<T>) -> Result<T, StoreFault> {
        let write = || -> Res<T> {
            let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = writer(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        write().map_err(|trouble| trouble.at(&self.shown, true))
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Stored, StoreFault> {
        self.read(read::load)
    }

    fn lock(
        &mut self,
        holder: &Holder,
        now_ms: Millis,
        lease_ms: Millis,
        is_dead: &dyn Fn(&Holder) -> bool,
    ) -> Result<Fence, StoreFault> {
        self.write(|tx| {
            let gone = |other: &Holder| other.host == holder.host && is_dead(other);
            let held = lease(tx)?;
            if let Some(held) = &held
                && held.until_ms > now_ms
                && !gone(&held.holder)
            {
                return Err(StoreFault::Locked(Box::new(held.clone())).into());
            }
            lock::displace(tx, held.map(|held| held.holder), gone)?;
            let fence = counter(tx, "fence")? + 1;
            tx.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('fence', ?1)", [fence.cast_signed()])?;
            let Holder { who, host, pid, started } = holder;
            tx.execute(
                "INSERT OR REPLACE INTO lock (only, who, host, pid, started, since_ms, until_ms, fence)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    who,
                    host,
                    pid,
                    started.cast_signed(),
                    now_ms,
                    now_ms.saturating_add(lease_ms),
                    fence.cast_signed()
                ],
            )?;
            pauses::come_true(tx)?;
            Ok(Fence(fence))
        })
    }

    fn renew(&mut self, fence: Fence, until_ms: Millis) -> Result<(), StoreFault> {
        self.write(|tx| {
            check(tx, fence)?;
            tx.execute("UPDATE lock SET until_ms = ?1", [until_ms])?;
            Ok(())
        })
    }

    fn unlock(&mut self, fence: Fence) -> Result<(), StoreFault> {
        self.write(|tx| {
            check(tx, fence)?;
            pauses::come_true(tx)?;
            tx.execute("DELETE FROM lock", [])?;
            Ok(())
        })
    }

    fn commit(&mut self, fence: Fence, records: &[Record]) -> Result<(), StoreFault> {
        self.write(|tx| {
            check(tx, fence)?;
            let mut writer = Writer::new(tx);
            for record in records {
                writer.apply(record)?;
            }
            writer.finish()
        })
    }

    fn start_run(&mut self, fence: Fence, run: &NewRun) -> Result<RunId, StoreFault> {
        let NewRun { kind, who, host, started_ms, config_digest, git_rev, plan } = run;
        self.write(|tx| {
            check(tx, fence)?;
            let hash = plan.as_ref().map(|plan| plan.hash.to_string());
            if let Some(Packed { hash, zlib }) = plan {
                tx.execute(
                    "INSERT INTO plan (hash, json, zlib) VALUES (?1, '', ?2) ON CONFLICT DO NOTHING",
                    params![hash.to_string(), zlib],
                )?;
            }
            let id = tx
                .prepare_cached(
                    "INSERT INTO run (kind, who, host, started_ms, config_digest, plan_hash, serial_before, git_rev)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .insert(params![
                    kind,
                    who,
                    host,
                    started_ms,
                    config_digest.map_or(String::new(), |digest| digest.to_string()),
                    hash,
                    counter(tx, "serial")?.cast_signed(),
                    git_rev,
                ])?;
            Ok(RunId(id))
        })
    }

    fn end_run(&mut self, fence: Fence, run: RunId, ended_ms: Millis, outcome: RunOutcome) -> Result<(), StoreFault> {
        self.write(|tx| {
            check(tx, fence)?;
            let rows = tx.execute(
                "UPDATE run SET ended_ms = ?2, outcome = ?3, serial_after = ?4 WHERE id = ?1 AND ended_ms IS NULL",
                params![run.0, ended_ms, outcome.word(), counter(tx, "serial")?.cast_signed()],
            )?;
            if rows == 1 { Ok(()) } else { Err(Trouble::said(format!("run {} is not under way", run.0))) }
        })
    }

    fn pauses(&mut self) -> Result<Vec<PauseWish>, StoreFault> {
        self.read(pauses::all)
    }

    fn lineage(&self) -> Lineage {
        self.lineage.clone()
    }
}

/// Whether the lock is held with this fence.
fn check(tx: &Transaction<'_>, fence: Fence) -> Res<()> {
    let held: Option<i64> =
        tx.prepare_cached("SELECT fence FROM lock WHERE only = 1")?.query_row([], |row| row.get(0)).optional()?;
    if held.map(i64::cast_unsigned) == Some(fence.0) { Ok(()) } else { Err(StoreFault::Fenced.into()) }
}

/// What holds for every connection that writes.
fn prepare(conn: &Connection) -> Res<()> {
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Makes a state of an empty file.
fn initialise(mut conn: Connection, shown: &str, lineage: &Lineage) -> Res<Connection> {
    conn.busy_timeout(BUSY)?;
    refuse_used(&conn, shown)?;
    prepare(&conn)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    refuse_used(&tx, shown)?;
    migrate::apply(&tx, shown, MIGRATIONS)?;
    tx.execute(
        "INSERT INTO meta (key, value) VALUES ('lineage', ?1), ('serial', 0), ('fence', 0)",
        [lineage.as_str()],
    )?;
    tx.commit()?;
    // So that the file by itself is a state, whatever becomes of the files beside it.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(conn)
}

fn refuse_used(conn: &Connection, shown: &str) -> Res<()> {
    match migrate::look(conn)? {
        Found::Nothing => Ok(()),
        Found::Ours => Err(Trouble::said("there is a state already")),
        Found::Foreign => Err(StoreFault::NotAState(shown.to_owned()).into()),
    }
}

fn refuse_foreign(conn: &Connection, shown: &str) -> Res<()> {
    match migrate::look(conn)? {
        Found::Nothing => Err(StoreFault::Empty(shown.to_owned()).into()),
        Found::Ours => Ok(()),
        Found::Foreign => Err(StoreFault::NotAState(shown.to_owned()).into()),
    }
}
