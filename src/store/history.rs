//! The history: the operations of a run as they went, and what becomes of old runs.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;

use super::fault::Res;
use super::journal::{address, outcome};
use super::read;
use super::rows::{cloud_id, lease, maybe_text, maybe_time, of_json, of_word, text, time, value};
use super::{Ending, Lease, OpRow, OpState, OpTargetRow, Pruned, RunRow, RunTold, Stays, Tally};
use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::model::ids::{InstanceId, Region, RequestId};
use crate::model::recorded::{OpId, RunId};
use crate::plan::{Action, Counts};

/// Of a step, what tells it from the other steps of its plan.
#[derive(Deserialize)]
struct Numbered {
    id: StepId,
}

/// The operations that a run entered into the journal, oldest first.
pub(super) fn operations(conn: &Connection, run: RunId) -> Res<Vec<OpRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, step, action, region, state, attempt, intended_ms, sent_ms, settled_ms, request_id, fault FROM op
         WHERE run = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([run.0])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let id = OpId(value(row, 0)?);
        let Numbered { id: step } = of_json("a step", text(row, 1)?)?;
        all.push(OpRow {
            id,
            step,
            action: value(row, 2)?,
            region: maybe_text(row, 3)?.map(Region::new),
            state: of_word(&OpState::ALL, OpState::word, text(row, 4)?)?,
            attempt: value(row, 5)?,
            intended_ms: time(row, 6)?,
            sent_ms: maybe_time(row, 7)?,
            settled_ms: maybe_time(row, 8)?,
            request_id: maybe_text(row, 9)?.map(RequestId::new),
            fault: maybe_text(row, 10)?.map(|json| of_json("a fault", json)).transpose()?,
            targets: targets(conn, id)?,
        });
    }
    Ok(all)
}

fn targets(conn: &Connection, op: OpId) -> Res<Vec<OpTargetRow>> {
    let mut statement = conn
        .prepare_cached("SELECT addr, gen, cloud_id, id_kind, outcome, why FROM op_target WHERE op = ?1 ORDER BY n")?;
    let mut rows = statement.query([op.0])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(OpTargetRow {
            addr: address(text(row, 0)?)?,
            generation: value(row, 1)?,
            id: match (maybe_text(row, 2)?, maybe_text(row, 3)?) {
                (Some(id), Some(kind)) => Some(cloud_id(kind, id)?),
                _ => None,
            },
            outcome: outcome(maybe_text(row, 4)?, maybe_text(row, 5)?)?,
        });
    }
    Ok(all)
}

/// Of a plan, what is counted; the rest of it is passed over unread.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    changes: Vec<Changed>,
}

#[derive(Deserialize)]
struct Changed {
    action: Action,
}

/// The history, newest run first; what each of the first `most` was to do.
pub(super) fn told(conn: &Connection, now_ms: Millis, most: usize) -> Res<Vec<RunTold>> {
    let tx = conn.unchecked_transaction()?;
    let held = lease(&tx)?.filter(|lease| lease.until_ms > now_ms);
    let mut told = Vec::new();
    for (n, row) in read::runs(&tx)?.into_iter().rev().enumerate() {
        let holds = |lease: &Lease| {
            n == 0 && lease.since_ms <= row.started_ms && lease.holder.who == row.who && lease.holder.host == row.host
        };
        let ending = match row.outcome {
            Some(outcome) => Ending::Over(outcome),
            None if held.as_ref().is_some_and(holds) => Ending::UnderWay,
            None => Ending::BrokenOff,
        };
        let tally = if n < most { tally(&tx, &row)? } else { None };
        told.push(RunTold { row, ending, tally });
    }
    Ok(told)
}

/// What a run was to do: as its plan says, or what it took out of the state where it had none. A plan that this build
/// cannot read says nothing.
fn tally(conn: &Connection, run: &RunRow) -> Res<Option<Tally>> {
    if let Some(hash) = run.plan_hash {
        let counted = read::plan(conn, hash, |plan| Ok(plan.parse::<Counted>()))?.flatten();
        return Ok(counted.map(|Counted { changes }| Tally {
            counts: Counts::of(changes.iter().map(|change| change.action)),
            forget: count(changes.iter().filter(|change| change.action == Action::Forget).count()),
        }));
    }
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM op JOIN op_target ON op_target.op = op.id
         WHERE op.run = ?1 AND op.action = 'record' AND op_target.effect = 'remove' AND op_target.outcome = 'done'",
    )?;
    let forget: u32 = statement.query_row([run.id.0], |row| row.get(0))?;
    Ok((forget > 0).then(|| Tally { counts: Counts::default(), forget }))
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The run that an operation belongs to, where it is in the journal.
pub(super) fn run_of(conn: &Connection, op: OpId) -> Res<Option<RunId>> {
    let mut statement = conn.prepare_cached("SELECT run FROM op WHERE id = ?1")?;
    Ok(statement.query_row([op.0], |row| row.get(0)).optional()?.map(RunId))
}

/// Deletes the runs before one, as far as nothing needs them: not the newest, for numbers are given once; and no run
/// from the first on that has open operations, or has shut an instance down that is still owed its start.
///
/// What recovery knows stays known: every id ever recorded, the next operation's number, the durations.
pub(super) fn prune(conn: &Connection, before: RunId) -> Res<Pruned> {
    let newest = number(conn, "SELECT max(id) FROM run")?;
    let open = number(conn, "SELECT min(run) FROM op WHERE state NOT IN ('settled', 'failed')")?;
    let limits = [(newest, Stays::Newest), (open, Stays::OpenOperations), (shut_down(conn)?, Stays::HaltedInstances)];
    let limit = limits.into_iter().filter_map(|(run, why)| Some((run?, why))).min_by_key(|(run, _)| *run);
    let (before, stays) = match limit {
        Some((run, why)) if run < before => (run, Some((run, why))),
        Some(_) | None => (before, None),
    };
    let going = "(SELECT id FROM op WHERE run < ?1)";
    let run = params![before.0];
    let next = read::next_op(conn)?;
    conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('next_op', ?1)", [next.0])?;
    for table in ["op_target", "op_id"] {
        let keep = format!(
            "INSERT OR IGNORE INTO id_ever (cloud_id)
             SELECT cloud_id FROM {table} WHERE cloud_id IS NOT NULL AND op IN {going}"
        );
        conn.execute(&keep, run)?;
    }
    conn.execute(&format!("UPDATE object SET made_by = NULL WHERE made_by IN {going}"), run)?;
    // For the check of the foreign key, which without it looks through all objects for each operation.
    conn.execute_batch("CREATE INDEX pruning ON object (made_by)")?;
    let operations = conn.execute("DELETE FROM op WHERE run < ?1", run)?;
    conn.execute_batch("DROP INDEX pruning")?;
    let runs = conn.execute("DELETE FROM run WHERE id < ?1", run)?;
    let plans =
        conn.execute("DELETE FROM plan WHERE hash NOT IN (SELECT plan_hash FROM run WHERE plan_hash IS NOT NULL)", [])?;
    conn.execute(
        "DELETE FROM spec WHERE NOT EXISTS (SELECT 1 FROM object WHERE object.spec = spec.id)
         AND NOT EXISTS (SELECT 1 FROM op_target WHERE op_target.spec = spec.id)",
        [],
    )?;
    Ok(Pruned { runs, operations, plans, stays })
}

/// The first run with an operation that shut an instance down which was not started again.
fn shut_down(conn: &Connection) -> Res<Option<RunId>> {
    let there = || -> Res<BTreeSet<InstanceId>> {
        let mut statement = conn.prepare("SELECT cloud_id FROM object WHERE id_kind = 'instance'")?;
        let ids = statement.query_map([], |row: &Row<'_>| row.get::<_, String>(0))?;
        Ok(ids.map(|id| id.map(InstanceId::new)).collect::<Result<_, _>>()?)
    };
    let halted = read::halted(conn, there)?;
    let mut statement = conn.prepare(
        "SELECT min(op.run) FROM op JOIN op_target ON op_target.op = op.id
         WHERE op.action = 'StopInstances' AND op_target.outcome = 'done' AND op_target.cloud_id = ?1",
    )?;
    let mut first = None;
    for id in &halted {
        let run: Option<i64> = statement.query_row([id.as_str()], |row| row.get(0))?;
        first = match (first, run.map(RunId)) {
            (Some(first), Some(run)) => Some(std::cmp::min(first, run)),
            (first, run) => first.or(run),
        };
    }
    Ok(first)
}

fn number(conn: &Connection, sql: &str) -> Res<Option<RunId>> {
    Ok(conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))?.map(RunId))
}
