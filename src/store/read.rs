//! Reading a whole state: one pass over each table, in one transaction.
//!
//! What rows have in common is read once and shared: block, region, zone, version, image and, above all, the spec.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::budget::taught;
use super::fault::{Res, Trouble};
use super::journal::{self, address};
use super::lock::displaced;
use super::migrate::meta;
use super::packed::Kept;
use super::rows::{
    Shared, cloud_id, counter, lineage, maybe_text, maybe_time, of_json, of_part, of_word, origin, sane_time, text,
    time, value,
};
use super::{DurationRow, RunOutcome, RunRow, Stored};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::digest::Digest;
use crate::model::ids::{ImageId, InstanceId, Region, Version, Zone};
use crate::model::recorded::{Object, OpId, Recorded, RunId, Status, VersionRecord};
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::ObjectSpec;

/// Specs that have been read, by their row.
pub(super) struct Specs {
    last: Option<(i64, Arc<ObjectSpec>)>,
    seen: BTreeMap<i64, Arc<ObjectSpec>>,
}

impl Specs {
    pub(super) fn new() -> Self {
        Self { last: None, seen: BTreeMap::new() }
    }

    /// The spec of a row, parsed once.
    pub(super) fn get(&mut self, conn: &Connection, id: i64) -> Res<Arc<ObjectSpec>> {
        if let Some((last, spec)) = &self.last
            && *last == id
        {
            return Ok(spec.clone());
        }
        let spec = match self.seen.get(&id) {
            Some(spec) => spec.clone(),
            None => {
                let json: Option<String> = conn
                    .prepare_cached("SELECT json FROM spec WHERE id = ?1")?
                    .query_row([id], |row| row.get(0))
                    .optional()?;
                let json = json.ok_or_else(|| Trouble::damaged(format!("lacks spec {id}")))?;
                let spec = Arc::new(of_json::<ObjectSpec>("a spec", &json)?);
                self.seen.insert(id, spec.clone());
                spec
            }
        };
        self.last = Some((id, spec.clone()));
        Ok(spec)
    }
}

/// A block from its text.
pub(super) fn block(text: &str) -> Res<Block> {
    let addr = address(text)?;
    if addr == Addr::of(addr.block.clone()) {
        Ok(addr.block)
    } else {
        Err(Trouble::damaged(format!("holds `{text}` for a block")))
    }
}

/// Everything, as one moment saw it.
pub(super) fn load(conn: &Connection) -> Res<Stored> {
    let tx = conn.unchecked_transaction()?;
    let mut specs = Specs::new();
    let objects = objects(&tx, &mut specs)?;
    let recorded = Recorded {
        lineage: lineage(&tx)?,
        serial: counter(&tx, "serial")?,
        origin: origin(&tx)?,
        halted: halted(&tx, || Ok(objects.iter().filter_map(|object| object.cloud_id.instance().cloned()).collect()))?,
        objects,
        versions: versions(&tx)?,
        edges: edges(&tx)?,
        rollouts: rollouts(&tx)?,
    };
    let open = journal::open(&tx, &mut specs)?;
    let ids_ever = if open.is_empty() { BTreeSet::new() } else { ids_ever(&tx)? };
    Ok(Stored { recorded, open, next_op: next_op(&tx)?, ids_ever, displaced: displaced(&tx)?, taught: taught(&tx)? })
}

/// The first id that no operation has, nor had before old ones went.
pub(super) fn next_op(conn: &Connection) -> Res<OpId> {
    let next: i64 = conn.query_row("SELECT coalesce(max(id), 0) + 1 FROM op", [], |row| row.get(0))?;
    Ok(OpId(next.max(counter(conn, "next_op")?.cast_signed())))
}

/// Instances of ours, which are `there`, whose last change of power, as far as the journal tells, was that we shut
/// them down for something else: what was switched off because the config says so has become so, and stays off.
pub(super) fn halted(
    conn: &Connection,
    there: impl FnOnce() -> Res<BTreeSet<InstanceId>>,
) -> Res<BTreeSet<InstanceId>> {
    let first: Option<i64> =
        conn.query_row("SELECT min(id) FROM op WHERE action = 'StopInstances'", [], |row| row.get(0))?;
    let mut halted = BTreeSet::new();
    let Some(first) = first else { return Ok(halted) };
    let mut statement = conn.prepare_cached(
        "SELECT op.action, op_target.cloud_id, op_target.effect FROM op JOIN op_target ON op_target.op = op.id
         WHERE op.id >= ?1 AND op.action IN ('StopInstances', 'StartInstances', 'ResetInstance')
           AND op_target.outcome = 'done' AND op_target.id_kind = 'instance'
         ORDER BY op.id",
    )?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        let id = InstanceId::new(text(row, 1)?);
        if text(row, 0)? == "StopInstances" && text(row, 2)? == "nothing" {
            halted.insert(id);
        } else {
            halted.remove(&id);
        }
    }
    if !halted.is_empty() {
        let there = there()?;
        halted.retain(|id| there.contains(id));
    }
    Ok(halted)
}

/// How far changes of fleets are. A state of an older schema has none.
pub(super) fn rollouts(conn: &Connection) -> Res<BTreeMap<Block, Rollout>> {
    let mut rollouts = BTreeMap::new();
    if !knows_rollouts(conn)? {
        return Ok(rollouts);
    }
    let mut statement = conn.prepare_cached("SELECT block, phase, json FROM rollout")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = block(text(row, 0)?)?;
        let rollout: Rollout = of_json("a rollout", text(row, 2)?)?;
        let phase = of_word(&Phase::ALL, Phase::word, text(row, 1)?)?;
        if rollout.block != key || rollout.phase != phase {
            return Err(Trouble::damaged(format!("tells two things of the rollout of {key}")));
        }
        let before = rollout.before.as_deref();
        if key.kind != Kind::Fleet || before.is_some_and(|before| !matches!(before, ObjectSpec::Slot(_))) {
            return Err(Trouble::damaged(format!("holds a rollout of {key}, which is no fleet")));
        }
        sane_time(rollout.started_ms)?;
        sane_time(rollout.changed_ms)?;
        rollouts.insert(key, rollout);
    }
    Ok(rollouts)
}

/// Whether the schema is one with `0004_rollouts`; a reader may meet an older one.
pub(super) fn knows_rollouts(conn: &Connection) -> Res<bool> {
    Ok(meta::<i64>(conn, "schema")?.unwrap_or(0) >= 4)
}

fn objects(conn: &Connection, specs: &mut Specs) -> Res<Vec<Object>> {
    let count: i64 = conn.query_row("SELECT count(*) FROM object", [], |row| row.get(0))?;
    let mut objects = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut statement = conn.prepare_cached(
        "SELECT block, slot, version, part, gen, region, id_kind, cloud_id, name, zone, ordinal, status, spec,
         made_from, accepted_ms, made_by FROM object",
    )?;
    let (mut blocks, mut versions, mut parts) = (Shared::new(), Shared::new(), Shared::new());
    let (mut regions, mut zones, mut images) = (Shared::new(), Shared::new(), Shared::new());
    let mut order = Order::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (block, slot) = (blocks.get(text(row, 0)?, block)?, value(row, 1)?);
        order.push(&block, slot);
        objects.push(Object {
            addr: Addr {
                block,
                slot,
                version: versions.maybe(maybe_text(row, 2)?, |text| Ok(Version::new(text)))?,
                part: parts.maybe(maybe_text(row, 3)?, |text| Ok(of_part(text)))?,
                generation: None,
            },
            generation: value(row, 4)?,
            region: regions.get(text(row, 5)?, |text| Ok(Region::new(text)))?,
            cloud_id: cloud_id(text(row, 6)?, text(row, 7)?)?,
            name: text(row, 8)?.to_owned(),
            zone: zones.maybe(maybe_text(row, 9)?, |text| Ok(Zone::new(text)))?,
            ordinal: value(row, 10)?,
            status: of_word(&Status::ALL, Status::word, text(row, 11)?)?,
            spec: specs.get(conn, value(row, 12)?)?,
            made_from: images.maybe(maybe_text(row, 13)?, |text| Ok(ImageId::new(text)))?,
            accepted_ms: time(row, 14)?,
            made_by: value::<Option<i64>>(row, 15)?.map(OpId),
        });
    }
    order.sort(&mut objects);
    Ok(objects)
}

/// Puts objects in the order of their addresses. An object is large and its address is made of many pieces, so that what
/// nearly always decides is compared and moved by itself: the block's place among the blocks, and the slot.
#[derive(Default)]
struct Order {
    blocks: BTreeMap<Block, u32>,
    /// The last one, for neighbours are mostly of one block.
    last: Option<(Block, u32)>,
    /// The block's number, the slot, and where the object was read.
    keys: Vec<(u32, Option<u32>, u32)>,
}

impl Order {
    fn push(&mut self, block: &Block, slot: Option<u32>) {
        let block = match &self.last {
            Some((last, n)) if last == block => *n,
            Some(_) | None => {
                let next = number(self.blocks.len());
                let n = *self.blocks.entry(block.clone()).or_insert(next);
                self.last = Some((block.clone(), n));
                n
            }
        };
        self.keys.push((block, slot, number(self.keys.len())));
    }

    fn sort(self, objects: &mut [Object]) {
        let Self { blocks, last: _, mut keys } = self;
        let mut places = vec![0; blocks.len()];
        for (place, n) in (0..).zip(blocks.into_values()) {
            places[n as usize] = place;
        }
        for (block, ..) in &mut keys {
            *block = places[*block as usize];
        }
        keys.sort_unstable_by(|(block, slot, n), (other_block, other_slot, other)| {
            (block, slot).cmp(&(other_block, other_slot)).then_with(|| {
                let [one, other] = [n, other].map(|n| &objects[*n as usize]);
                (&one.addr, one.generation).cmp(&(&other.addr, other.generation))
            })
        });
        // Where each goes, then along each circle of those that change places.
        let mut goes = vec![0; keys.len()];
        for (place, (.., n)) in (0..).zip(keys) {
            goes[n as usize] = place;
        }
        for at in 0..goes.len() {
            while goes[at] != number(at) {
                let to = goes[at] as usize;
                objects.swap(at, to);
                goes.swap(at, to);
            }
        }
    }
}

/// No state has as many objects as would not fit.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn versions(conn: &Connection) -> Res<Vec<VersionRecord>> {
    let mut statement =
        conn.prepare_cached("SELECT block, version, gen, inputs, inputs_digest, made_ms FROM image_version")?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(VersionRecord {
            block: block(text(row, 0)?)?,
            version: Version::new(text(row, 1)?),
            generation: value(row, 2)?,
            inputs: of_json("inputs", text(row, 3)?)?,
            inputs_digest: digest(text(row, 4)?)?,
            made_ms: time(row, 5)?,
        });
    }
    versions.sort_by(|a, b| (&a.block, &a.version, a.generation).cmp(&(&b.block, &b.version, b.generation)));
    Ok(versions)
}

/// Which block needs which.
pub(super) fn edges(conn: &Connection) -> Res<BTreeSet<(Block, Block)>> {
    let mut statement = conn.prepare_cached("SELECT src, dst FROM edge")?;
    let mut rows = statement.query([])?;
    let mut edges = BTreeSet::new();
    while let Some(row) = rows.next()? {
        edges.insert((block(text(row, 0)?)?, block(text(row, 1)?)?));
    }
    Ok(edges)
}

/// Every id of an operation's target, handed out to an operation, or of an object; also of operations that are no
/// longer in the journal.
fn ids_ever(conn: &Connection) -> Res<BTreeSet<String>> {
    let mut sql = String::from(
        "SELECT cloud_id FROM op_target WHERE cloud_id IS NOT NULL
         UNION ALL SELECT cloud_id FROM op_id UNION ALL SELECT cloud_id FROM object",
    );
    if knows_history(conn)? {
        sql.push_str(" UNION ALL SELECT cloud_id FROM id_ever");
    }
    let mut statement = conn.prepare_cached(&sql)?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}

/// Whether the schema is one with `0002_history`; a reader may meet an older one.
fn knows_history(conn: &Connection) -> Res<bool> {
    Ok(meta::<i64>(conn, "schema")?.unwrap_or(0) >= 2)
}

fn digest(text: &str) -> Res<Digest> {
    text.parse().map_err(|_| Trouble::damaged(format!("holds `{text}` for a digest")))
}

/// The history, oldest run first.
pub(super) fn runs(conn: &Connection) -> Res<Vec<RunRow>> {
    let git_rev = if knows_history(conn)? { "git_rev" } else { "NULL" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT id, kind, who, host, started_ms, config_digest, plan_hash, ended_ms, outcome, serial_before,
         serial_after, {git_rev} FROM run ORDER BY id",
    ))?;
    let mut rows = statement.query([])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(RunRow {
            id: RunId(value(row, 0)?),
            kind: value(row, 1)?,
            who: value(row, 2)?,
            host: value(row, 3)?,
            started_ms: time(row, 4)?,
            config_digest: Some(text(row, 5)?).filter(|text| !text.is_empty()).map(digest).transpose()?,
            git_rev: value(row, 11)?,
            plan_hash: maybe_text(row, 6)?.map(digest).transpose()?,
            ended_ms: maybe_time(row, 7)?,
            outcome: match maybe_text(row, 8)? {
                Some(word) => Some(of_word(&RunOutcome::ALL, RunOutcome::word, word)?),
                None => None,
            },
            serial_before: value::<i64>(row, 9)?.cast_unsigned(),
            serial_after: value::<Option<i64>>(row, 10)?.map(i64::cast_unsigned),
        });
    }
    Ok(runs)
}

/// The plan of this hash, as it is kept.
pub(super) fn plan<T>(conn: &Connection, hash: Digest, read: impl FnOnce(Kept<'_>) -> Res<T>) -> Res<Option<T>> {
    let zlib = if meta::<i64>(conn, "schema")?.unwrap_or(0) >= 3 { "zlib" } else { "NULL" };
    let mut statement = conn.prepare_cached(&format!("SELECT json, {zlib} FROM plan WHERE hash = ?1"))?;
    let mut rows = statement.query([hash.to_string()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let zlib = row.get_ref(1)?.as_blob_or_null().map_err(|_| Trouble::damaged("holds a plan that is no bytes"))?;
    read(match zlib {
        Some(zlib) => Kept::Zlib(zlib),
        None => Kept::Json(text(row, 0)?),
    })
    .map(Some)
}

/// How long actions took.
pub(super) fn durations(conn: &Connection) -> Res<Vec<DurationRow>> {
    let mut statement =
        conn.prepare_cached("SELECT action, region, le_ms, n, sum_ms FROM duration ORDER BY action, region, le_ms")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(DurationRow {
            action: value(row, 0)?,
            region: Region::new(text(row, 1)?),
            le_ms: value(row, 2)?,
            count: value::<i64>(row, 3)?.cast_unsigned(),
            sum_ms: value(row, 4)?,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::ids::CloudId;
    use crate::model::spec::ShareCopySpec;

    fn read_at(n: usize, (block, slot, version, generation): (u8, Option<u32>, u8, u32)) -> Object {
        let name = format!("b{block}").as_str().into();
        let block = if block.is_multiple_of(2) { Block::fleet(&name) } else { Block::image(&name) };
        let version = (version > 0).then(|| Version::new(format!("v{version}")));
        Object {
            addr: Addr { block, slot, version, part: None, generation: None },
            generation,
            region: "ap-guangzhou".into(),
            cloud_id: CloudId::Instance(n.to_string().as_str().into()),
            name: String::new(),
            zone: None,
            ordinal: None,
            status: Status::Ready,
            spec: Arc::new(ObjectSpec::Share(ShareCopySpec { accounts: BTreeSet::new() })),
            made_from: None,
            accepted_ms: 0,
            made_by: None,
        }
    }

    proptest! {
        #[test]
        fn objects_stand_in_the_order_of_their_addresses(
            keys in proptest::collection::vec((0..4_u8, proptest::option::of(0..4_u32), 0..3_u8, 1..3_u32), 0..40),
        ) {
            // What is alike in all of it is read once only.
            let keys: Vec<_> = keys.iter().enumerate().filter(|(n, key)| !keys[..*n].contains(key)).map(|(_, key)| *key).collect();
            let mut objects: Vec<Object> = (0..).zip(keys).map(|(n, key)| read_at(n, key)).collect();
            let mut order = Order::default();
            for object in &objects {
                order.push(&object.addr.block, object.addr.slot);
            }
            let mut sorted = objects.clone();
            sorted.sort_by(|a, b| (&a.addr, a.generation).cmp(&(&b.addr, b.generation)));
            order.sort(&mut objects);
            prop_assert_eq!(objects, sorted);
        }
    }
}
