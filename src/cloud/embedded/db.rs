//! The embedded cloud's file: opened, made, and rid of what has ended.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use super::fixtures;
use super::ids::{self, Kind};
use super::instances::Spec;
use super::refusal::Done;
use crate::database;
use crate::model::Millis;

/// What makes the schema: each step makes the next version out of the one before. Only append.
const STEPS: [&str; 2] = [include_str!("schema.sql"), include_str!("schema-2.sql")];
/// The version of the schema that this program makes and reads; older files are brought up to it.
const SCHEMA: i64 = STEPS.len() as i64;
/// Marks a SQLite file as an embedded cloud: `FWCL`.
const APPLICATION: i64 = 0x4657_434c;
/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(20);

/// Why an embedded cloud's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is something else.
    #[error("{} is not an embedded cloud's file: {why}", path.display())]
    NotACloud {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
    /// A newer program made the file.
    #[error("{} was made by a newer version (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// What is in the file cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file, or its directory, cannot be written; and whoever is asked anything notes when that was.
    #[error("{}: it cannot be written", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
    },
    /// Another process has held the file for longer than anybody waits for it.
    #[error("{}: another process holds it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be looked at, or not be removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Opens a file, or makes it; `None` is memory.
pub(crate) fn open(path: Option<&Path>, seed: u64) -> Result<Connection, OpenError> {
    let shown = path.unwrap_or(Path::new(":memory:")).to_path_buf();
    let fault = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::Denied { path: shown.clone() }
        }
        Some(ErrorCode::DatabaseBusy) => OpenError::Busy { path: shown.clone() },
        Some(ErrorCode::NotADatabase) => {
            OpenError::NotACloud { path: shown.clone(), why: "it is no SQLite database".to_owned() }
        }
        _ => OpenError::Sqlite { path: shown.clone(), source },
    };
    let db = match path {
        Some(path) => {
            if !is_there(path)? {
                // To turn a fresh file to its log takes all of it, and SQLite does not wait for others who look at it.
                let make = |beside: &Path| {
                    let db = prepare(Connection::open(beside).map_err(fault)?, &shown, seed, fault)?;
                    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(fault)?;
                    db.close().map_err(|(_, source)| fault(source))
                };
                database::put_whole(path, make, |error| of_io(path, error))?;
            }
            Connection::open(path).map_err(fault)?
        }
        None => Connection::open_in_memory().map_err(fault)?,
    };
    // SQLite would open a file that cannot be written to read it, and make others beside it for that.
    if db.is_readonly("main").map_err(fault)? {
        return Err(OpenError::Denied { path: shown });
    }
    prepare(db, &shown, seed, fault)
}

/// What holds for every connection, and what the file has to have in it.
fn prepare(
    mut db: Connection,
    shown: &Path,
    seed: u64,
    fault: impl Copy + Fn(rusqlite::Error) -> OpenError,
) -> Result<Connection, OpenError> {
    db.busy_timeout(BUSY).map_err(fault)?;
    db.set_prepared_statement_cache_capacity(128);
    check(&db, shown, fault)?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
    debug_assert!(mode == "wal" || mode == "memory", "{mode}");
    // A killed process loses nothing in this mode; only a power cut may take the last transactions, never the order.
    db.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -32000;",
    )
    .map_err(fault)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    check(&tx, shown, fault)?;
    let version = pragma(&tx, "user_version").map_err(fault)?;
    if version < SCHEMA {
        make(&tx, version, seed).map_err(fault)?;
    }
    tx.commit().map_err(fault)?;
    Ok(db)
}

/// Whether there is a file. What bears its name and is none is refused: a pipe might be waited on for ever, and a link that
/// leads nowhere is no place for a new one. The file itself is left to SQLite: were it opened in any other way, closing it
/// would take away the locks on it of the whole process, as POSIX has it.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(true),
        Ok(_) => Err(OpenError::NotACloud { path: path.to_path_buf(), why: "it is not a file".to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(false),
        Err(error) => Err(of_io(path, error)),
    }
}

fn of_io(path: &Path, source: std::io::Error) -> OpenError {
    let path = path.to_path_buf();
    if is_denied(&source) { OpenError::Denied { path } } else { OpenError::Io { path, source } }
}

fn is_denied(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

fn check(db: &Connection, shown: &Path, fault: impl Fn(rusqlite::Error) -> OpenError) -> Result<(), OpenError> {
    // By one statement, so that nobody makes it between two of these.
    let found = db.query_row(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_user_version, pragma_application_id",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    );
    let (version, application, tables): (i64, i64, i64) = found.map_err(&fault)?;
    let fresh = version == 0 && application == 0 && tables == 0;
    if !fresh && application != APPLICATION {
        return Err(OpenError::NotACloud {
            path: shown.to_path_buf(),
            why: "it is another program's SQLite database".to_owned(),
        });
    }
    if version > SCHEMA {
        return Err(OpenError::Newer { path: shown.to_path_buf(), found: version, known: SCHEMA });
    }
    Ok(())
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Makes a fresh file, or brings an older one up to date. Nothing of what was there is lost.
fn make(tx: &Transaction<'_>, from: i64, seed: u64) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        tx.execute_batch(step)?;
    }
    if from == 0 {
        tx.execute("INSERT INTO cloud VALUES (1, ?1, 0, 0, 1, 1, 1)", [seed.cast_signed()])?;
    }
    let seed: i64 = tx.query_row("SELECT seed FROM cloud", [], |row| row.get(0))?;
    fixtures::plant(tx, seed.cast_unsigned())?;
    tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA};"))
}

/// What a request finds out when it comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Cloud time: never before the latest time seen.
    pub(crate) now: Millis,
    /// How many requests there were, this one included.
    pub(crate) requests: u64,
    /// Where this file's ids come from.
    pub(crate) seed: u64,
}

/// Moves the clock, counts the request, and drops what has ended.
pub(crate) fn arrive(tx: &Connection, now: Millis, token_memory_ms: Millis) -> rusqlite::Result<Arrival> {
    let arrival = tx
        .prepare_cached(
            "UPDATE cloud SET last_ms = max(last_ms, ?1), requests = requests + 1 RETURNING last_ms, requests, seed",
        )?
        .query_row([now], |row| {
            Ok(Arrival {
                now: row.get(0)?,
                requests: row.get::<_, i64>(1)?.unsigned_abs(),
                seed: row.get::<_, i64>(2)?.cast_unsigned(),
            })
        })?;
    drop_instances(tx, arrival)?;
    drop_images(tx, arrival)?;
    tx.prepare_cached("DELETE FROM token WHERE made_ms <= ?1")?.execute([arrival.now - token_memory_ms])?;
    Ok(arrival)
}

fn drop_instances(tx: &Connection, at: Arrival) -> rusqlite::Result<()> {
    struct Gone {
        n: i64,
        account: i64,
        region: String,
        zone: String,
        counted: i64,
        specs: [Option<i64>; 2],
    }
    let gone: Vec<Gone> = tx
        .prepare_cached(
            "SELECT n, account, region, zone, counted, spec, next_spec FROM instance
             WHERE gone_ms IS NOT NULL AND gone_ms <= ?1",
        )?
        .query_map([at.now], |row| {
            Ok(Gone {
                n: row.get(0)?,
                account: row.get(1)?,
                region: row.get(2)?,
                zone: row.get(3)?,
                counted: row.get(4)?,
                specs: [row.get(5)?, row.get(6)?],
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut specs = std::collections::BTreeMap::new();
    for one in gone {
        let spec = one.specs[0].unwrap_or_default();
        if let std::collections::btree_map::Entry::Vacant(entry) = specs.entry(spec) {
            let body: String =
                tx.prepare_cached("SELECT body FROM spec WHERE n = ?1")?.query_row([spec], |row| row.get(0))?;
            entry.insert(serde_json::from_str::<Spec>(&body).ok());
        }
        let data = specs.get(&spec).and_then(Option::as_ref).map(|spec| spec.data.as_slice()).unwrap_or_default();
        for (place, disk) in data.iter().enumerate() {
            if disk.keep {
                let n = ids::disk_number(one.n, place + 1);
                tx.prepare_cached("INSERT INTO disk VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
                    n,
                    one.account,
                    one.region,
                    one.zone,
                    disk.kind,
                    disk.size
                ])?;
            }
        }
        tx.prepare_cached("DELETE FROM instance WHERE n = ?1")?.execute([one.n])?;
        untag(tx, Kind::Instance, one.n)?;
        untag(tx, Kind::Disk, ids::disk_number(one.n, 0))?;
        for (place, disk) in data.iter().enumerate() {
            if !disk.keep {
                untag(tx, Kind::Disk, ids::disk_number(one.n, place + 1))?;
            }
        }
        if one.counted > 0
            && let Some(spec) = specs.get(&spec).and_then(Option::as_ref)
        {
            tx.prepare_cached("UPDATE taken SET used = used - ?4 WHERE account = ?1 AND zone = ?2 AND what = ?3")?
                .execute(params![one.account, one.zone, spec.charge, one.counted])?;
        }
        if let Some(next) = one.specs[1] {
            specs.entry(next).or_insert(None);
        }
    }
    for spec in specs.keys() {
        release_spec(tx, *spec)?;
    }
    Ok(())
}

/// Drops a spec that no instance has any more.
pub(crate) fn release_spec(tx: &Connection, spec: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM spec WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM instance WHERE spec = ?1)
         AND NOT EXISTS (SELECT 1 FROM instance WHERE next_spec = ?1)",
    )?
    .execute([spec])?;
    Ok(())
}

fn untag(tx: &Connection, kind: Kind, n: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM tag WHERE resource = ?1")?.execute([ids::resource(kind, n)])?;
    Ok(())
}

fn drop_images(tx: &Connection, at: Arrival) -> rusqlite::Result<()> {
    let gone: Vec<(i64, bool)> = tx
        .prepare_cached("SELECT n, drop_snaps FROM image WHERE gone_ms IS NOT NULL AND gone_ms <= ?1")?
        .query_map([at.now], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (n, drop_snaps) in gone {
        let snapshots = if drop_snaps {
            "DELETE FROM snapshot WHERE image = ?1"
        } else {
            "UPDATE snapshot SET image = NULL WHERE image = ?1"
        };
        tx.prepare_cached(snapshots)?.execute([n])?;
        tx.prepare_cached("DELETE FROM share WHERE image = ?1")?.execute([n])?;
        untag(tx, Kind::Image, n)?;
        tx.prepare_cached("DELETE FROM image WHERE n = ?1")?.execute([n])?;
    }
    Ok(())
}

/// Takes `count` numbers that were never given out, nor belong to an image that was there from the start.
pub(crate) fn take_numbers(tx: &Connection, kind: Kind, count: i64) -> Done<i64> {
    let column = match kind {
        Kind::Instance => "next_instance",
        Kind::Image => "next_image",
        Kind::Snapshot | Kind::Disk => "next_snapshot",
    };
    let mut update =
        tx.prepare_cached(&format!("UPDATE cloud SET {column} = {column} + ?1 RETURNING {column} - ?1, seed"))?;
    loop {
        let (first, seed): (i64, i64) = update.query_row([count], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let taken = fixtures::numbers(kind, seed.cast_unsigned());
        if !taken.iter().any(|n| (first..first + count).contains(n)) {
            return Ok(first);
        }
    }
}

/// Removes a cloud's file and what lies beside it.
pub(crate) fn remove(path: &Path) -> Result<(), OpenError> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path: name.into(), source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
