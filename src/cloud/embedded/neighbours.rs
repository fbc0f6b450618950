//! What other clients ask the services of disks and of networks about instances and images. There are no disks and
//! addresses beside those of instances here, so all of it is read off them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rusqlite::{Row, params};

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

/// The numbers behind the ids that were asked for, each once; `None`: nobody asked for any. What is no id is none of
/// anything.
fn numbers(cx: &Context<'_>, kind: Kind, asked: Option<Vec<String>>) -> Option<BTreeSet<i64>> {
    let asked = asked.filter(|ids| !ids.is_empty())?;
    Some(asked.iter().filter_map(|id| ids::decode(kind, cx.seed, id)).collect())
}

/// Machines, each with its spec.
fn with_specs(cx: &Context<'_>, machines: Vec<Machine>) -> Done<Vec<(Machine, Rc<Spec>)>> {
    let mut specs: BTreeMap<i64, Rc<Spec>> = BTreeMap::new();
    let mut found = Vec::with_capacity(machines.len());
    for machine in machines {
        let n = machine.spec_at(cx.now);
        let spec = match specs.get(&n) {
            Some(spec) => Rc::clone(spec),
            None => {
                let spec = Rc::new(Spec::load(cx.db, n)?);
                specs.insert(n, Rc::clone(&spec));
                spec
            }
        };
        found.push((machine, spec));
    }
    Ok(found)
}

/// The caller's instances in the region, each with its spec.
fn instances(cx: &Context<'_>, region: &str) -> Done<Vec<(Machine, Rc<Spec>)>> {
    with_specs(cx, Machine::all(cx.db, Some((cx.account, region)))?)
}

/// Those that disks were made with: an id tells its instance, so what was not asked about costs nothing.
fn instances_of(cx: &Context<'_>, region: &str, disks: &BTreeSet<i64>) -> Done<Vec<(Machine, Rc<Spec>)>> {
    let instances: BTreeSet<i64> = disks.iter().map(|disk| ids::disk_place(*disk).0).collect();
    let mut machines = Machine::load_all(cx.db, &instances.into_iter().collect::<Vec<_>>())?;
    machines.retain(|machine| machine.account == cx.account && machine.region == region);
    with_specs(cx, machines)
}

pub(crate) fn disks(cx: &mut Context<'_>, r: DescribeDisks) -> Done<DescribeDisksAnswer> {
    let region = cx.region()?.region;
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let asked = numbers(cx, Kind::Disk, r.disk_ids);
    let wanted = |n: i64| asked.as_ref().is_none_or(|asked| asked.contains(&n));
    let machines = match &asked {
        Some(asked) => instances_of(cx, region, asked)?,
        None => instances(cx, region)?,
    };
    let mut disks = Vec::new();
    for (machine, spec) in machines {
        let instance = machine.id(cx.seed);
        for (place, (disk_id, disk)) in machine.disks(&spec, cx.seed).into_iter().enumerate() {
            if !wanted(ids::disk_number(machine.n, place)) {
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
                throughput_performance: disk.throughput,
                attached: true,
                instance_id: instance.clone(),
                ..CloudDisk::default()
            });
        }
    }
    by_number(cx, "disk", "n, kind, size", asked.as_ref(), |row| {
        disks.push(CloudDisk {
            disk_id: ids::encode(Kind::Disk, cx.seed, row.get(0)?),
            disk_type: row.get(1)?,
            disk_size: row.get(2)?,
            disk_usage: "DATA_DISK".to_owned(),
            disk_state: "UNATTACHED".to_owned(),
            ..CloudDisk::default()
        });
        Ok(())
    })?;
    Ok(DescribeDisksAnswer {
        total_count: number(disks.len()),
        disk_set: filters::cut(disks, page),
        ..DescribeDisksAnswer::default()
    })
}

/// Hands over the rows of a table that are the caller's in the region: all of them, or those of some numbers.
fn by_number(
    cx: &Context<'_>,
    table: &str,
    columns: &str,
    asked: Option<&BTreeSet<i64>>,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Done<()> {
    let text = format!("SELECT {columns} FROM {table} WHERE account = ?1 AND region = ?2");
    let region = cx.region()?.region;
    let Some(asked) = asked else {
        let mut all = cx.db.prepare_cached(&text)?;
        let mut rows = all.query(params![cx.account, region])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        return Ok(());
    };
    let mut one = cx.db.prepare_cached(&format!("{text} AND n = ?3"))?;
    for n in asked {
        let mut rows = one.query(params![cx.account, region, n])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
    }
    Ok(())
}

pub(crate) fn snapshots(cx: &mut Context<'_>, r: DescribeSnapshots) -> Done<DescribeSnapshotsAnswer> {
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let asked = numbers(cx, Kind::Snapshot, r.snapshot_ids);
    let mut snapshots = Vec::new();
    by_number(cx, "snapshot", "n, usage, size, made_ms", asked.as_ref(), |row| {
        let finished = row.get::<_, i64>(3)? <= cx.now;
        snapshots.push(DiskSnapshot {
            snapshot_id: ids::encode(Kind::Snapshot, cx.seed, row.get(0)?),
            snapshot_name: String::new(),
            disk_usage: row.get(1)?,
            disk_size: row.get(2)?,
            snapshot_state: if finished { "NORMAL" } else { "CREATING" }.to_owned(),
        });
        Ok(())
    })?;
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
    let wanted: BTreeSet<String> = r.ip_addresses.unwrap_or_default().into_iter().collect();
    let mut taken = Vec::new();
    for (machine, spec) in instances(cx, region)? {
        let address = machine.private_address();
        let there = spec.vpc == vpc && r.subnet_id.as_ref().is_none_or(|subnet| spec.subnet == *subnet);
        if there && (wanted.is_empty() || wanted.contains(&address)) {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rusqlite::trace::{TraceEvent, TraceEventCodes};

    use super::*;
    use crate::cloud::cvm::wire::requests::RunInstances;
    use crate::cloud::cvm::wire::shapes::{DataDisk, Placement};
    use crate::cloud::embedded::catalogue::PUBLIC_IMAGES;
    use crate::cloud::embedded::instances::launch;
    use crate::cloud::embedded::{Embedded, Settings, public_image_id};
    use crate::model::catalog;

    const REGION: &str = "ap-guangzhou";

    fn acting<T>(cloud: &Embedded, act: impl FnOnce(&mut Context<'_>) -> Done<T>) -> T {
        let mut guard = cloud.lock();
        let inner = &mut *guard;
        let mut cx = Context {
            db: &inner.db,
            now: 0,
            requests: 1,
            seed: 0,
            request_id: String::new(),
            settings: cloud.settings(),
            injections: &mut inner.injections,
            rates: &mut inner.rates,
            account: 100_000_000_001,
            region: catalog::find_region(REGION),
            discard: false,
            fault: None,
        };
        act(&mut cx).expect("done")
    }

    /// How many statements it takes to be told one disk of so many instances, and how many rows they give.
    fn cost(instances: i64) -> (usize, usize) {
        let cloud = Embedded::open(None, Settings::default()).expect("a cloud in memory");
        let launch = RunInstances {
            placement: Some(Placement { zone: Some("ap-guangzhou-3".to_owned()), ..Placement::default() }),
            image_id: PUBLIC_IMAGES.first().map(|image| public_image_id(REGION, image.name)),
            data_disks: Some(vec![DataDisk { disk_size: Some(10), ..DataDisk::default() }]),
            instance_count: Some(instances),
            ..RunInstances::default()
        };
        acting(&cloud, |cx| launch::run(cx, launch));
        let disk = ids::encode(Kind::Disk, 0, ids::disk_number(instances / 2 + 1, 1));
        let ask = || DescribeDisks { disk_ids: Some(vec![disk.clone()]), ..DescribeDisks::default() };
        // Asked once before, so that SQLite has read its schema.
        acting(&cloud, |cx| disks(cx, ask()));
        let told = Arc::new(Mutex::new((0, 0)));
        let counts = Arc::clone(&told);
        let count = move |event: TraceEvent<'_>| {
            let mut counts = counts.lock().expect("no panic");
            // Nothing else is asked for than statements and rows.
            if matches!(event, TraceEvent::Stmt(..)) {
                counts.0 += 1;
            } else {
                counts.1 += 1;
            }
        };
        let kinds = TraceEventCodes::SQLITE_TRACE_STMT | TraceEventCodes::SQLITE_TRACE_ROW;
        cloud.lock().db.trace_v2(kinds, Some(count)).expect("traced");
        let answer = acting(&cloud, |cx| disks(cx, ask()));
        assert_eq!(answer.disk_set.iter().map(|told| told.disk_id.as_str()).collect::<Vec<_>>(), [disk.as_str()]);
        *told.lock().expect("no panic")
    }

    #[test]
    fn a_disk_is_told_at_the_same_cost_in_any_fleet() {
        let one = cost(1);
        assert_eq!(one, cost(400));
        assert_eq!(one, (3, 2), "the instance, its spec, and a look among the disks that are left");
    }
}
