//! The lock row: renewed by a heartbeat over a connection of its own, and what stays known of those who lost it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault::Res;
use super::migrate::meta;
use super::rows::{json, lease, of_json};
use super::{Fence, Holder, StoreFault};
use crate::model::Millis;

/// How long a heartbeat waits for somebody else's write. It comes again anyway.
const BUSY: Duration = Duration::from_secs(2);
/// The key of those who lost the lock, in `meta`.
const DISPLACED: &str = "displaced";

/// The lock row of a state that this process holds the lock of, over a connection of its own. It renews the lease, and
/// writes nothing else: all the rest is the one writer's.
#[derive(Debug)]
pub struct LockRow {
    conn: Connection,
    shown: String,
}

impl LockRow {
    /// Opens another connection to a state that this process has open.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreFault> {
        let shown = path.display().to_string();
        // The file is left to SQLite alone: were it opened in any other way, closing it would take away the locks on it
        // of the whole process, as POSIX has it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> Res<Connection> {
            let conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(BUSY)?;
            Ok(conn)
        };
        match open() {
            Ok(conn) => Ok(Self { conn, shown }),
            Err(trouble) => Err(trouble.at(&shown, true)),
        }
    }

    /// Extends the lease, where the lock is still held with this fence. A lock that was broken is not made again.
    ///
    /// # Errors
    /// [`StoreFault::Fenced`]: it is not. Anything else says nothing about that, and may pass.
    pub fn renew(&mut self, fence: Fence, until_ms: Millis) -> Result<(), StoreFault> {
        let mut renew = || -> Res<bool> {
            let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let rows = tx.execute(
                "UPDATE lock SET until_ms = max(until_ms, ?2) WHERE fence = ?1",
                (fence.0.cast_signed(), until_ms),
            )?;
            tx.commit()?;
            Ok(rows == 1)
        };
        match renew() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreFault::Fenced),
            Err(trouble) => Err(trouble.at(&self.shown, true)),
        }
    }
}

/// Who lost the lock without giving it back, while operations of theirs were open.
pub(super) fn displaced(conn: &Connection) -> Res<Vec<Holder>> {
    match meta::<String>(conn, DISPLACED)? {
        Some(text) => of_json("those who lost the lock", &text),
        None => Ok(Vec::new()),
    }
}

/// Notes that a holder loses the lock; those who are `gone` are forgotten, and so are all where no operation is open: what
/// they had sent is known to have ended, and they can send no more.
pub(super) fn displace(conn: &Connection, loser: Option<Holder>, gone: impl Fn(&Holder) -> bool) -> Res<()> {
    let before = displaced(conn)?;
    let mut now = before.clone();
    now.extend(loser.filter(|loser| !before.contains(loser)));
    now.retain(|other| !gone(other));
    let open: bool =
        conn.query_row("SELECT EXISTS (SELECT 1 FROM op WHERE state NOT IN ('settled', 'failed'))", [], |row| {
            row.get(0)
        })?;
    if now.is_empty() || !open {
        if !before.is_empty() {
            conn.execute("DELETE FROM meta WHERE key = ?1", [DISPLACED])?;
        }
    } else if now != before {
        conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", (DISPLACED, json(&now)?))?;
    }
    Ok(())
}

/// Deletes the lock row of this fence. `false`: there is none.
pub(super) fn force_unlock(conn: &Connection, fence: Fence) -> Res<bool> {
    let Some(held) = lease(conn)?.filter(|held| held.fence == fence) else { return Ok(false) };
    // Whether it is gone is looked at by whoever takes the lock next.
    displace(conn, Some(held.holder), |_| false)?;
    conn.execute("DELETE FROM lock", [])?;
    Ok(true)
}
