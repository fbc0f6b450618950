//! What other clients ask the services of disks and of networks about instances and images. There are no disks and
//! addresses beside those of instances here, so all of it is read off them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::api::Context;
use super::filters;
use super::ids::{self, Kind};
use super::instances::{Machine, Spec};
use super::refusal::{Done, required};
use crate::cloud::cvm::wire::answers::{DescribeDisksAnswer, DescribeSnapshotsAnswer, DescribeUsedIpAddressAnswer};
use crate::cloud::cvm::wire::requests::{DescribeDisks, DescribeSnapshots, DescribeUsedIpAddress};
use crate::cloud::cvm::wire::shapes::{CloudDisk, DiskSnapshot, IpAddressState};

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn wanted(ids: Option<Vec<String>>) -> impl Fn(&str) -> bool {
    let ids: BTreeSet<String> = ids.unwrap_or_default().into_iter().collect();
    move |id: &str| ids.is_empty() || ids.contains(id)
}

/// The caller's instances in the region, each with its spec.
fn instances(cx: &Context<'_>, region: &str) -> Done<Vec<(Machine, std::rc::Rc<Spec>)>> {
    let mut specs: BTreeMap<i64, std::rc::Rc<Spec>> = BTreeMap::new();
    let mut found = Vec::new();
    for machine in Machine::all(cx.db, Some((cx.account, region)))? {
        let n = machine.spec_at(cx.now);
        let spec = match specs.get(&n) {
            Some(spec) => std::rc::Rc::clone(spec),
            None => {
                let spec = std::rc::Rc::new(Spec::load(cx.db, n)?);
                specs.insert(n, std::rc::Rc::clone(&spec));
                spec
            }
        };
        found.push((machine, spec));
    }
    Ok(found)
}

pub(crate) fn disks(cx: &mut Context<'_>, r: DescribeDisks) -> Done<DescribeDisksAnswer> {
    let region = cx.region()?.region;
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let wanted = wanted(r.disk_ids);
    let mut disks = Vec::new();
    for (machine, spec) in instances(cx, region)? {
        let instance = machine.id(cx.seed);
        for (place, (disk_id, disk)) in machine.disks(&spec, cx.seed).into_iter().enumerate() {
            if !wanted(&disk_id) {
                continue;
            }
            disks.push(CloudDisk {
                disk_id,
                disk_name: disk.name.unwrap_or_default(),
                disk_size: disk.size,
                disk_type: disk.kind,
                disk_usage: if place == 0 { "SYSTEM_DISK" } else { "DATA_DISK" }.to_owned(),
                disk_state: "ATTACHED".to_owned(),
                encrypt: place == 0 && spec.encrypted,
                delete_with_instance: !disk.keep,
                attached: true,
                instance_id: instance.clone(),
                ..CloudDisk::default()
            });
        }
    }
    let mut left = cx.db.prepare_cached("SELECT n, kind, size FROM disk WHERE account = ?1 AND region = ?2")?;
    let mut rows = left.query(params![cx.account, region])?;
    while let Some(row) = rows.next()? {
        let disk_id = ids::encode(Kind::Disk, cx.seed, row.get(0)?);
        if wanted(&disk_id) {
            disks.push(CloudDisk {
                disk_id,
                disk_type: row.get(1)?,
                disk_size: row.get(2)?,
                disk_usage: "DATA_DISK".to_owned(),
                disk_state: "UNATTACHED".to_owned(),
                ..CloudDisk::default()
            });
        }
    }
    Ok(DescribeDisksAnswer {
        total_count: number(disks.len()),
        disk_set: filters::cut(disks, page),
        ..DescribeDisksAnswer::default()
    })
}

pub(crate) fn snapshots(cx: &mut Context<'_>, r: DescribeSnapshots) -> Done<DescribeSnapshotsAnswer> {
    let region = cx.region()?.region;
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let wanted = wanted(r.snapshot_ids);
    let mut snapshots = Vec::new();
    let mut listed =
        cx.db.prepare_cached("SELECT n, usage, size, made_ms FROM snapshot WHERE account = ?1 AND region = ?2")?;
    let mut rows = listed.query(params![cx.account, region])?;
    while let Some(row) = rows.next()? {
        let snapshot_id = ids::encode(Kind::Snapshot, cx.seed, row.get(0)?);
        if wanted(&snapshot_id) {
            let finished = row.get::<_, i64>(3)? <= cx.now;
            snapshots.push(DiskSnapshot {
                snapshot_name: String::new(),
                disk_usage: row.get(1)?,
                disk_size: row.get(2)?,
                snapshot_state: if finished { "NORMAL" } else { "CREATING" }.to_owned(),
                snapshot_id,
            });
        }
    }
    Ok(DescribeSnapshotsAnswer {
        total_count: number(snapshots.len()),
        snapshot_set: filters::cut(snapshots, page),
        ..DescribeSnapshotsAnswer::default()
    })
}

pub(crate) fn used_addresses(cx: &mut Context<'_>, r: DescribeUsedIpAddress) -> Done<DescribeUsedIpAddressAnswer> {
    let region = cx.region()?.region;
    let vpc = required(r.vpc_id, "VpcId")?;
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let wanted = wanted(r.ip_addresses);
    let mut taken = Vec::new();
    for (machine, spec) in instances(cx, region)? {
        let address = machine.private_address();
        let there = spec.vpc == vpc && r.subnet_id.as_ref().is_none_or(|subnet| spec.subnet == *subnet);
        if there && wanted(&address) {
            taken.push(IpAddressState {
                vpc_id: spec.vpc.clone(),
                subnet_id: spec.subnet.clone(),
                ip_address: address,
                resource_type: "CVM".to_owned(),
                resource_id: machine.id(cx.seed),
            });
        }
    }
    Ok(DescribeUsedIpAddressAnswer {
        total_count: number(taken.len()),
        ip_address_states: filters::cut(taken, page),
        ..DescribeUsedIpAddressAnswer::default()
    })
}
