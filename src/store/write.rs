//! Applying records, one after the other, within one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::Record;
use super::budget::teach;
use super::fault::{Res, Trouble, broken};
use super::journal::words;
use super::pauses;
use super::read::edges;
use super::rows::{id_kind, json, origin, part};
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, ImageId, Region, RequestId, Version, Zone};
use crate::model::recorded::{Object, OpId, Origin, Status, VersionRecord};
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::ObjectSpec;

/// Applies the records of one commit.
pub(super) struct Writer<'a> {
    pub(super) conn: &'a Connection,
    /// Rows of specs, by where the caller's spec lies: a thousand objects that share one write it once. The caller
    /// lends all records for as long as this lives, so a place means one spec.
    specs: BTreeMap<usize, i64>,
    /// Specs that an object no longer has.
    dropped: BTreeSet<i64>,
    /// Whether anything changed that the serial counts.
    changed: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, specs: BTreeMap::new(), dropped: BTreeSet::new(), changed: false }
    }

    /// Applies one record.
    pub(super) fn apply(&mut self, record: &'a Record) -> Res<()> {
        match record {
            Record::Intend(record) => self.intend(record),
            Record::Sent { op, attempt, sent_ms } => self.sent(*op, *attempt, *sent_ms),
            Record::Accepted { op, request_id, unbound } => self.accepted(*op, request_id.as_ref(), unbound),
            Record::Bound { op, target, id } => self.bound(*op, *target, id),
            Record::Outcome { op, target, outcome } => {
                let (word, why) = words(Some(outcome));
                let mut update = self.conn.prepare_cached(
                    "UPDATE op_target SET outcome = ?3, why = ?4
                     WHERE op = ?1 AND n = ?2
                       AND EXISTS (SELECT 1 FROM op WHERE id = ?1 AND state NOT IN ('settled', 'failed'))",
                )?;
                self.one(update.execute(params![op.0, target, word, why])?, *op, Some(*target))
            }
            Record::Settled { op, settled_ms } => self.over(*op, "settled", *settled_ms, None),
            Record::Failed { op, settled_ms, fault } => self.over(*op, "failed", *settled_ms, Some(json(&**fault)?)),
            Record::Put(object) => self.put(object),
            Record::Change { addr, generation, status, spec, made_from } => {
                self.change(addr, *generation, *status, spec.as_ref(), made_from.as_ref())
            }
            Record::Remove { addr, generation } => self.remove(addr, *generation),
            Record::Version(version) => self.version(version),
            Record::DropVersion { block, version, generation } => self.drop_version(block, version, *generation),
            Record::Edges(edges) => self.edges(edges),
            Record::Rollout(rollout) => self.rollout(rollout),
            Record::DropRollout(block) => self.drop_rollout(block),
            Record::Origin(origin) => self.origin(origin),
            Record::Took { action, region, ms } => self.took(action, region, *ms),
            Record::Budget(learned) => teach(self.conn, learned),
        }
    }

    /// What is left to do when all records have been applied.
    pub(super) fn finish(self) -> Res<()> {
        for spec in &self.dropped {
            self.conn
                .prepare_cached(
                    "DELETE FROM spec WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM object WHERE spec = ?1)
                     AND NOT EXISTS (SELECT 1 FROM op_target WHERE spec = ?1)",
                )?
                .execute([spec])?;
        }
        if self.changed {
            self.conn.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'serial'")?.execute([])?;
        }
        Ok(())
    }

    /// The row of a spec, entered where there is none.
    pub(super) fn spec(&mut self, spec: &Arc<ObjectSpec>) -> Res<i64> {
        let place = Arc::as_ptr(spec).addr();
        if let Some(id) = self.specs.get(&place) {
            return Ok(*id);
        }
        let json = json(&**spec)?;
        let digest = Digest::of(context::SPEC, json.as_bytes()).to_string();
        let found: Option<i64> = self
            .conn
            .prepare_cached("SELECT id FROM spec WHERE digest = ?1")?
            .query_row([&digest], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => self
                .conn
                .prepare_cached("INSERT INTO spec (digest, json) VALUES (?1, ?2)")?
                .insert(params![digest, json])?,
        };
        self.specs.insert(place, id);
        Ok(id)
    }

    /// Takes care that a write to an open operation, or to one of its targets, found it.
    fn one(&self, rows: usize, op: OpId, target: Option<u32>) -> Res<()> {
        if rows == 1 {
            return Ok(());
        }
        let state: Option<String> = self
            .conn
            .prepare_cached("SELECT state FROM op WHERE id = ?1")?
            .query_row([op.0], |row| row.get(0))
            .optional()?;
        Err(Trouble::Said(match (state, target) {
            (None, _) => format!("{op}: not in the journal"),
            (Some(state), _) if state == "settled" || state == "failed" => format!("{op}: over already, as {state}"),
            (Some(_), Some(target)) => format!("{op}: has no target {target}"),
            (Some(_), None) => format!("{op}: was sent as often before"),
        }))
    }

    fn sent(&self, op: OpId, attempt: u32, sent_ms: Millis) -> Res<()> {
        let mut update = self.conn.prepare_cached(
            "UPDATE op SET state = 'sent', attempt = ?2, sent_ms = ?3
             WHERE id = ?1 AND attempt < ?2 AND state NOT IN ('settled', 'failed')",
        )?;
        self.one(update.execute(params![op.0, attempt, sent_ms])?, op, None)
    }

    fn accepted(&mut self, op: OpId, request_id: Option<&RequestId>, unbound: &[CloudId]) -> Res<()> {
        let mut update = self.conn.prepare_cached(
            "UPDATE op SET state = 'accepted', request_id = ?2 WHERE id = ?1 AND state NOT IN ('settled', 'failed')",
        )?;
        self.one(update.execute(params![op.0, request_id.map(RequestId::as_str)])?, op, None)?;
        self.conn.prepare_cached("UPDATE op_id SET unbound = 0 WHERE op = ?1 AND unbound = 1")?.execute([op.0])?;
        self.hand_out(op, unbound)
    }

    fn bound(&self, op: OpId, target: u32, id: &CloudId) -> Res<()> {
        let values = params![op.0, target, id.as_str(), id_kind(id)];
        let mut first = self.conn.prepare_cached(
            "UPDATE op_target SET cloud_id = ?3, id_kind = ?4
             WHERE op = ?1 AND n = ?2 AND (cloud_id IS NULL OR cloud_id = ?3)
               AND EXISTS (SELECT 1 FROM op WHERE id = ?1 AND state NOT IN ('settled', 'failed'))",
        )?;
        if first.execute(values)? == 0 {
            // In place of another id, which stays among those that were ever recorded.
            let mut keep = self.conn.prepare_cached(
                "INSERT INTO op_id (op, cloud_id, id_kind, n, unbound)
                 SELECT op, cloud_id, id_kind, n, 0 FROM op_target
                 WHERE op = ?1 AND n = ?2 AND cloud_id IS NOT NULL ON CONFLICT DO NOTHING",
            )?;
            keep.execute(params![op.0, target])?;
            let mut again = self.conn.prepare_cached(
                "UPDATE op_target SET cloud_id = ?3, id_kind = ?4
                 WHERE op = ?1 AND n = ?2
                   AND EXISTS (SELECT 1 FROM op WHERE id = ?1 AND state NOT IN ('settled', 'failed'))",
            )?;
            self.one(again.execute(values)?, op, Some(target))?;
        }
        // The target has it now.
        let mut delete = self.conn.prepare_cached("DELETE FROM op_id WHERE op = ?1 AND cloud_id = ?2")?;
        delete.execute(params![op.0, id.as_str()])?;
        Ok(())
    }

    fn over(&self, op: OpId, state: &'static str, settled_ms: Millis, fault: Option<String>) -> Res<()> {
        let mut update = self.conn.prepare_cached(
            "UPDATE op SET state = ?2, settled_ms = ?3, fault = ?4
             WHERE id = ?1 AND state NOT IN ('settled', 'failed')",
        )?;
        self.one(update.execute(params![op.0, state, settled_ms, fault])?, op, None)
    }

    fn put(&mut self, object: &Object) -> Res<()> {
        let Object {
            addr,
            generation,
            region,
            cloud_id,
            name,
            zone,
            ordinal,
            status,
            spec,
            made_from,
            accepted_ms,
            made_by,
        } = object;
        let Addr { block, slot, version, part: piece, generation: shown } = addr;
        if shown.is_some() {
            return Err(Trouble::said(format!("{addr}: the generation of an object stands beside its address")));
        }
        self.changed = true;
        let text = addr.to_string();
        let row = self.spec(spec)?;
        let values = params![
            block.kind.word(),
            block.to_string(),
            slot,
            version.as_ref().map(Version::as_str),
            piece.as_ref().map(part),
            generation,
            region.as_str(),
            id_kind(cloud_id),
            cloud_id.as_str(),
            name,
            zone.as_ref().map(Zone::as_str),
            ordinal,
            status.word(),
            row,
            made_from.as_ref().map(ImageId::as_str),
            accepted_ms,
            made_by.map(|op| op.0),
            text,
        ];
        let refused = || {
            let made = made_by.map_or(String::new(), |op| format!(", or {op} that made it is not in the journal"));
            format!("{}: {cloud_id} is another object's in {region}{made}", object.full_addr())
        };
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO object (kind, block, slot, version, part, gen, region, id_kind, cloud_id, name, zone, ordinal,
                                 status, spec, made_from, accepted_ms, made_by, addr)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
             ON CONFLICT (addr, gen) DO NOTHING",
        )?;
        let id = if broken(insert.execute(values), refused)? == 1 {
            self.conn.last_insert_rowid()
        } else {
            let id = self.object(&text, *generation, Some(row))?;
            let mut update = self.conn.prepare_cached(
                "UPDATE object SET kind = ?1, block = ?2, slot = ?3, version = ?4, part = ?5, region = ?7, id_kind = ?8,
                                   cloud_id = ?9, name = ?10, zone = ?11, ordinal = ?12, status = ?13, spec = ?14,
                                   made_from = ?15, accepted_ms = ?16, made_by = ?17
                 WHERE addr = ?18 AND gen = ?6",
            )?;
            broken(update.execute(values), refused)?;
            id
        };
        self.grants(id, block.kind, spec)
    }

    /// The row of an object that is there; where it gets another spec, the one that it had is a candidate for the bin.
    fn object(&mut self, addr: &str, generation: u32, spec: Option<i64>) -> Res<i64> {
        let found: Option<(i64, i64)> = self
            .conn
            .prepare_cached("SELECT id, spec FROM object WHERE addr = ?1 AND gen = ?2")?
            .query_row(params![addr, generation], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, old)) = found else { return Err(absent(addr, generation)) };
        if spec.is_some_and(|spec| spec != old) {
            self.dropped.insert(old);
        }
        Ok(id)
    }

    fn change(
        &mut self,
        addr: &Addr,
        generation: u32,
        status: Status,
        spec: Option<&Arc<ObjectSpec>>,
        made_from: Option<&ImageId>,
    ) -> Res<()> {
        self.changed = true;
        let text = addr.to_string();
        let row = spec.map(|spec| self.spec(spec)).transpose()?;
        let mut update = self.conn.prepare_cached(
            "UPDATE object SET status = ?3, spec = coalesce(?4, spec), made_from = coalesce(?5, made_from)
             WHERE addr = ?1 AND gen = ?2",
        )?;
        let id = match row {
            Some(_) => Some(self.object(&text, generation, row)?),
            None => None,
        };
        let values = params![text, generation, status.word(), row, made_from.map(ImageId::as_str)];
        if update.execute(values)? != 1 {
            return Err(absent(&text, generation));
        }
        match (id, spec) {
            (Some(id), Some(spec)) => self.grants(id, addr.block.kind, spec),
            _ => Ok(()),
        }
    }

    fn grants(&self, object: i64, kind: Kind, spec: &ObjectSpec) -> Res<()> {
        if kind != Kind::Share {
            return Ok(());
        }
        self.conn.prepare_cached("DELETE FROM grant_ WHERE object = ?1")?.execute([object])?;
        if let ObjectSpec::Share(share) = spec {
            let mut insert = self.conn.prepare_cached("INSERT INTO grant_ (object, uin) VALUES (?1, ?2)")?;
            for uin in &share.accounts {
                insert.execute(params![object, uin.as_str()])?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, addr: &Addr, generation: u32) -> Res<()> {
        self.changed = true;
        let text = addr.to_string();
        let spec: Option<i64> = self
            .conn
            .prepare_cached("DELETE FROM object WHERE addr = ?1 AND gen = ?2 RETURNING spec")?
            .query_row(params![text, generation], |row| row.get(0))
            .optional()?;
        match spec {
            Some(spec) => {
                self.dropped.insert(spec);
                Ok(())
            }
            None => Err(absent(&text, generation)),
        }
    }

    fn version(&mut self, record: &VersionRecord) -> Res<()> {
        let VersionRecord { block, version, generation, inputs, inputs_digest, made_ms } = record;
        self.changed = true;
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO image_version (block, version, gen, inputs, inputs_digest, made_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                block.to_string(),
                version.as_str(),
                generation,
                json(inputs)?,
                inputs_digest.to_string(),
                made_ms
            ])?;
        Ok(())
    }

    fn rollout(&mut self, rollout: &Rollout) -> Res<()> {
        self.changed = true;
        if rollout.phase != Phase::Running {
            pauses::forget(self.conn, &rollout.block)?;
        }
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO rollout (block, phase, json) VALUES (?1, ?2, ?3)")?
            .execute(params![rollout.block.to_string(), rollout.phase.word(), json(rollout)?])?;
        Ok(())
    }

    fn drop_rollout(&mut self, block: &Block) -> Res<()> {
        self.changed = true;
        pauses::forget(self.conn, block)?;
        let gone = self.conn.prepare_cached("DELETE FROM rollout WHERE block = ?1")?.execute([block.to_string()])?;
        if gone == 1 { Ok(()) } else { Err(Trouble::said(format!("{block}: has no rollout in the state"))) }
    }

    fn drop_version(&mut self, block: &Block, version: &Version, generation: u32) -> Res<()> {
        self.changed = true;
        let gone = self
            .conn
            .prepare_cached("DELETE FROM image_version WHERE block = ?1 AND version = ?2 AND gen = ?3")?
            .execute(params![block.to_string(), version.as_str(), generation])?;
        if gone == 1 { Ok(()) } else { Err(absent(&format!("{block}@{version}"), generation)) }
    }

    fn edges(&mut self, wanted: &BTreeSet<(Block, Block)>) -> Res<()> {
        let there = edges(self.conn)?;
        for (sql, these) in [
            ("DELETE FROM edge WHERE src = ?1 AND dst = ?2", there.difference(wanted)),
            ("INSERT INTO edge (src, dst) VALUES (?1, ?2)", wanted.difference(&there)),
        ] {
            let mut statement = self.conn.prepare_cached(sql)?;
            for (src, dst) in these {
                statement.execute([src.to_string(), dst.to_string()])?;
                self.changed = true;
            }
        }
        Ok(())
    }

    fn origin(&mut self, wanted: &Origin) -> Res<()> {
        if origin(self.conn)?.as_ref() == Some(wanted) {
            return Ok(());
        }
        self.changed = true;
        let Origin { endpoint, account, project } = wanted;
        for (key, value) in
            [("endpoint", endpoint.as_str()), ("account", account.as_str()), ("project", project.as_str())]
        {
            self.conn
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute([key, value])?;
        }
        Ok(())
    }

    fn took(&self, action: &str, region: &Region, ms: Millis) -> Res<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO duration (action, region, le_ms, n, sum_ms) VALUES (?1, ?2, ?3, 1, ?4)
                 ON CONFLICT (action, region, le_ms) DO UPDATE SET n = n + 1, sum_ms = sum_ms + ?4",
            )?
            .execute(params![action, region.as_str(), bucket(ms), ms.max(0)])?;
        Ok(())
    }
}

/// The smallest power of two that is not less.
fn bucket(ms: Millis) -> Millis {
    let ms = u64::try_from(ms).unwrap_or(0);
    ms.checked_next_power_of_two().and_then(|bucket| Millis::try_from(bucket).ok()).unwrap_or(Millis::MAX)
}

fn absent(addr: &str, generation: u32) -> Trouble {
    let generation = if generation > 1 { format!("#{generation}") } else { String::new() };
    Trouble::Said(format!("{addr}{generation}: not in the state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        let found: Vec<_> = [-5, 0, 1, 2, 3, 1000, 1024, 1025, Millis::MAX].map(bucket).into();
        assert_eq!(found, [1, 1, 1, 2, 4, 1024, 1024, 2048, Millis::MAX]);
    }
}
