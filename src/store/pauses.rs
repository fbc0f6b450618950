//! Wishes that a rollout pause, from others than the one that holds the lock and carries it out.
//!
//! They lie outside the fence and outside the serial, for whoever has one does not hold the lock. A wish is written only
//! while somebody does, and goes when it has come true: when the run writes that the rollout goes on no more, or else in
//! the very transaction in which the lock is given back, or taken by the next one. So none is lost, whatever becomes of the
//! run.

use rusqlite::{Connection, params};

use super::fault::{Res, Trouble};
use super::read;
use super::rows::{lease, text, time, value};
use super::write::Writer;
use super::{Fence, PauseWish, Record};
use crate::model::addr::Block;
use crate::model::rollout::{Phase, Rollout};

/// Enters a wish, where the lock is held with this fence. Of two for one fleet the first stays.
pub(super) fn wish(conn: &Connection, fence: Fence, wish: &PauseWish) -> Res<bool> {
    if lease(conn)?.is_none_or(|lease| lease.fence != fence) {
        return Ok(false);
    }
    let PauseWish { block, who, host, asked_ms } = wish;
    conn.execute(
        "INSERT OR IGNORE INTO pause_wish (block, who, host, asked_ms) VALUES (?1, ?2, ?3, ?4)",
        params![block.to_string(), who, host, asked_ms],
    )?;
    Ok(true)
}

/// All wishes that have not come true. A state of an older schema has none.
pub(super) fn all(conn: &Connection) -> Res<Vec<PauseWish>> {
    let mut wishes = Vec::new();
    if !read::knows_rollouts(conn)? {
        return Ok(wishes);
    }
    let mut statement = conn.prepare_cached("SELECT block, who, host, asked_ms FROM pause_wish ORDER BY block")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        wishes.push(PauseWish {
            block: read::block(text(row, 0)?)?,
            who: value(row, 1)?,
            host: value(row, 2)?,
            asked_ms: time(row, 3)?,
        });
    }
    Ok(wishes)
}

/// Forgets the wish for a fleet, whose rollout does not go on in any case.
pub(super) fn forget(conn: &Connection, block: &Block) -> Res<()> {
    conn.prepare_cached("DELETE FROM pause_wish WHERE block = ?1")?.execute([block.to_string()])?;
    Ok(())
}

/// Nobody is there, or nobody any more, who could heed them: what still goes on is paused.
pub(super) fn come_true(conn: &Connection) -> Res<()> {
    let wishes = all(conn)?;
    if wishes.is_empty() {
        return Ok(());
    }
    let mut rollouts = read::rollouts(conn)?;
    let paused: Vec<Record> = wishes
        .iter()
        .filter_map(|wish| {
            let row = rollouts.remove(&wish.block).filter(|row| row.phase == Phase::Running)?;
            let why = wish.why();
            Some(Record::Rollout(Box::new(Rollout { phase: Phase::Paused, why, changed_ms: wish.asked_ms, ..row })))
        })
        .collect();
    let mut writer = Writer::new(conn);
    for record in &paused {
        writer.apply(record)?;
    }
    writer.finish()?;
    conn.execute("DELETE FROM pause_wish", []).map_err(Trouble::from)?;
    Ok(())
}
