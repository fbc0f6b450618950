//! What is in the cloud, for people and tests: plain values by account and region.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::catalogue::Content;
use super::ids::{self, Kind};
use super::images::Custom;
use super::instances::{Machine, Spec};
use super::machines::Condition;
use super::refusal::Done;
use super::settings::Settings;
use super::{db, fixtures, tags};
use crate::model::Millis;
use crate::model::ids::{Region, Uin};

/// All that was made and is there. An account or region that holds nothing has no entry; what lies there from the start
/// ([`fixtures`]) is left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holdings(pub BTreeMap<Uin, BTreeMap<Region, Holding>>);

/// What an account has in a region.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Holding {
    /// Custom images, by id.
    pub images: BTreeMap<String, ImageHeld>,
    /// Instances, by id.
    pub instances: BTreeMap<String, InstanceHeld>,
    /// Disks, by id; those of instances too.
    pub disks: BTreeMap<String, DiskHeld>,
    /// Snapshots, by id; those of images too.
    pub snapshots: BTreeMap<String, SnapshotHeld>,
    /// Tags by resource.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
}

/// A custom image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageHeld {
    /// Its name.
    pub name: String,
    /// ImageState.
    pub state: String,
    /// In GiB.
    pub size_gib: i64,
    /// Its family, maybe empty.
    pub family: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether it came in as a file.
    pub imported: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Why it failed, where it did: for an import one of [`REASONS`](super::imports::REASONS).
    pub error: Option<String>,
    /// Accounts that it is shared with.
    pub shared_with: BTreeSet<Uin>,
    /// Ids of its snapshots.
    pub snapshots: BTreeSet<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What is on it, and how that came.
    pub content: Content,
}

/// An instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceHeld {
    /// Its name.
    pub name: String,
    /// InstanceState.
    pub state: String,
    /// Its type.
    pub instance_type: String,
    /// Where it is.
    pub zone: String,
    /// What it was made from, or last reset to.
    pub image: String,
    /// How it is paid for, such as `PREPAID`.
    pub charge: String,
    /// Whether it cannot be terminated.
    pub protected: bool,
    /// What its host is called.
    pub host_name: String,
    /// The placement group that it is in.
    pub placement_group: Option<String>,
    /// Its access role.
    pub cam_role: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What is on it, and how that came.
    pub content: Content,
    /// Whether its machine has booted.
    pub booted: bool,
    /// Whether its machine has booted and is well.
    pub healthy: bool,
}

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskHeld {
    /// Its type.
    pub kind: String,
    /// In GiB.
    pub size_gib: i64,
    /// The instance that it is attached to.
    pub instance: Option<String>,
}

/// A snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotHeld {
    /// SYSTEM_DISK or DATA_DISK.
    pub usage: String,
    /// In GiB.
    pub size_gib: i64,
    /// The image that it belongs to; without one it was left behind.
    pub image: Option<String>,
}

impl Holdings {
    /// What an account has in a region.
    #[must_use]
    pub fn of(&self, account: &str, region: &str) -> Option<&Holding> {
        self.0.get(account)?.get(region)
    }

    /// Whether an account has nothing at all.
    #[must_use]
    pub fn nothing_of(&self, account: &str) -> bool {
        !self.0.contains_key(account)
    }

    fn place(&mut self, account: i64, region: &str) -> &mut Holding {
        self.0.entry(Uin::new(account.to_string())).or_default().entry(Region::new(region)).or_default()
    }
}

/// Looks at everything, at a time.
pub(crate) fn holdings(connection: &mut Connection, now: Millis, settings: &Settings) -> Done<Holdings> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let at = db::arrive(&tx, now, settings.token_memory_ms)?;
    let mut all = Holdings::default();
    let tags_of = |kind: Kind, n: i64| -> Done<BTreeMap<String, String>> {
        Ok(tags::of(&tx, ids::resource(kind, n))?.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect())
    };
    let mut specs: BTreeMap<i64, Spec> = BTreeMap::new();
    for machine in Machine::all(&tx, None)? {
        let number = machine.spec_at(at.now);
        let spec = match specs.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Spec::load(&tx, number)?),
        };
        let id = machine.id(at.seed);
        let state = machine.state(at.now, settings).word().to_owned();
        let Condition { booted, healthy } = machine.condition(spec, at.now, settings);
        let tags = tags_of(Kind::Instance, machine.n)?;
        let place = all.place(machine.account, &machine.region);
        for (disk, what) in machine.disks(spec, at.seed) {
            let held = DiskHeld { kind: what.kind, size_gib: what.size, instance: Some(id.clone()) };
            place.disks.insert(disk, held);
        }
        let held = InstanceHeld {
            charge: spec.charge.clone(),
            protected: spec.protected,
            host_name: machine.host_name(spec),
            placement_group: machine.placement_group,
            cam_role: spec.cam_role.clone(),
            name: machine.name,
            state,
            instance_type: spec.instance_type.clone(),
            zone: machine.zone,
            image: spec.image.clone(),
            tags,
            content: spec.content.clone(),
            booted,
            healthy,
        };
        place.instances.insert(id, held);
    }
    let from_the_start = fixtures::numbers(Kind::Image, at.seed);
    for image in Custom::all(&tx, None)? {
        if from_the_start.contains(&image.n) {
            continue;
        }
        let id = image.id(at.seed);
        let shared_with = tx
            .prepare_cached("SELECT account FROM share WHERE image = ?1")?
            .query_map([image.n], |row| Ok(Uin::new(row.get::<_, i64>(0)?.to_string())))?
            .collect::<rusqlite::Result<_>>()?;
        let held = ImageHeld {
            state: image.state(at.now, settings).word().to_owned(),
            size_gib: image.size,
            error: image.failure(at.now, settings).map(str::to_owned),
            family: image.family,
            deprecated: image.deprecated,
            imported: image.imported,
            encrypted: image.encrypted,
            shared_with,
            snapshots: BTreeSet::new(),
            tags: tags_of(Kind::Image, image.n)?,
            name: image.name,
            content: image.content,
        };
        all.place(image.account, &image.region).images.insert(id, held);
    }
    loose(&tx, at.seed, &mut all)?;
    tx.commit()?;
    Ok(all)
}

/// Snapshots, disks that outlived their instance, and tags.
fn loose(db: &Connection, seed: u64, all: &mut Holdings) -> Done<()> {
    let mut snapshots = db.prepare_cached("SELECT n, account, region, usage, size, image FROM snapshot")?;
    let mut rows = snapshots.query([])?;
    let from_the_start = fixtures::numbers(Kind::Snapshot, seed);
    while let Some(row) = rows.next()? {
        if from_the_start.contains(&row.get(0)?) {
            continue;
        }
        let id = ids::encode(Kind::Snapshot, seed, row.get(0)?);
        let image: Option<i64> = row.get(5)?;
        let image = image.map(|n| ids::encode(Kind::Image, seed, n));
        let place = all.place(row.get(1)?, &row.get::<_, String>(2)?);
        if let Some(held) = image.as_ref().and_then(|image| place.images.get_mut(image)) {
            held.snapshots.insert(id.clone());
        }
        place.snapshots.insert(id, SnapshotHeld { usage: row.get(3)?, size_gib: row.get(4)?, image });
    }
    let mut disks = db.prepare_cached("SELECT n, account, region, kind, size FROM disk")?;
    let mut rows = disks.query([])?;
    while let Some(row) = rows.next()? {
        let held = DiskHeld { kind: row.get(3)?, size_gib: row.get(4)?, instance: None };
        let id = ids::encode(Kind::Disk, seed, row.get(0)?);
        all.place(row.get(1)?, &row.get::<_, String>(2)?).disks.insert(id, held);
    }
    let mut tagged = db.prepare_cached("SELECT resource, key, value, account, region FROM tag")?;
    let mut rows = tagged.query([])?;
    while let Some(row) = rows.next()? {
        let place = all.place(row.get(3)?, &row.get::<_, String>(4)?);
        let (kind, n) = ids::of_resource(row.get(0)?);
        place.tags.entry(ids::encode(kind, seed, n)).or_default().insert(row.get(1)?, row.get(2)?);
    }
    Ok(())
}
