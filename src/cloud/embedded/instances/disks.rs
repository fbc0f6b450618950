//! Disks that instances are made with (API text 3.4 and 3.5).

use super::{DiskSpec, charge};
use crate::cloud::cvm::wire::shapes::{DataDisk, SystemDisk};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::ids;
use crate::cloud::embedded::images::{self, Usable};
use crate::cloud::embedded::refusal::{Done, refuse, required};

/// Cloud disks; the 21st that 5.1 allows is a local one, and there are none here.
const MAX_DATA_DISKS: usize = 20;
/// The longest name of a disk (8.4).
const MAX_NAME: usize = 128;
const DEFAULT_SYSTEM_GIB: i64 = 50;
const SYSTEM_GIB: std::ops::RangeInclusive<i64> = 20..=2048;
const DATA_GIB: std::ops::RangeInclusive<i64> = 10..=32_000;
const DISK_TYPES: [&str; 6] = ["CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD", "CLOUD_HSSD", "CLOUD_TSSD"];
/// Disks that can be made faster than they are (3.5).
const FASTER: [&str; 2] = ["CLOUD_TSSD", "CLOUD_HSSD"];
const DEFAULT_DISK: &str = "CLOUD_PREMIUM";

/// The size of a system disk.
pub(super) fn check_system_size(size: i64) -> Done<()> {
    if SYSTEM_GIB.contains(&size) {
        return Ok(());
    }
    let text = format!("a system disk has {} to {} GiB", SYSTEM_GIB.start(), SYSTEM_GIB.end());
    refuse("InvalidParameterValue.Range", text)
}

fn disk_kind(asked: Option<String>) -> Done<String> {
    let kind = asked.unwrap_or_else(|| DEFAULT_DISK.to_owned());
    if DISK_TYPES.contains(&kind.as_str()) {
        return Ok(kind);
    }
    refuse("InvalidParameterValue", format!("there are no disks of the kind `{kind}` here"))
}

/// The system disk of a launch.
pub(super) fn system_disk(asked: SystemDisk, image_id: &str, image: &Usable) -> Done<DiskSpec> {
    if asked.encrypt == Some(true) || asked.kms_key_id.is_some() {
        return refuse("UnsupportedOperation.InvalidRegionDiskEncrypt", "there are no encrypted disks here");
    }
    let size = asked.disk_size.unwrap_or(DEFAULT_SYSTEM_GIB.max(image.size));
    check_system_size(size)?;
    if size < image.size {
        return refuse("InvalidParameterValue", format!("`{image_id}` needs a system disk of {} GiB", image.size));
    }
    Ok(DiskSpec {
        kind: disk_kind(asked.disk_type)?,
        size,
        name: disk_name(asked.disk_name)?,
        keep: false,
        throughput: 0,
    })
}

fn disk_name(name: Option<String>) -> Done<Option<String>> {
    if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return refuse("InvalidParameterValue.TooLarge", format!("a disk's name has at most {MAX_NAME} characters"));
    }
    Ok(name)
}

/// Its data disks.
pub(super) fn data_disks(cx: &Context<'_>, asked: Vec<DataDisk>, charge: &str) -> Done<Vec<DiskSpec>> {
    if asked.len() > MAX_DATA_DISKS {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {MAX_DATA_DISKS} data disks"));
    }
    let mut disks = Vec::with_capacity(asked.len());
    for disk in asked {
        if disk.encrypt == Some(true) || disk.kms_key_id.is_some() {
            return refuse("UnsupportedOperation.InvalidRegionDiskEncrypt", "there are no encrypted disks here");
        }
        let size = required(disk.disk_size, "DataDisks.DiskSize")?;
        if size == 0 {
            continue;
        }
        let kind = disk_kind(disk.disk_type)?;
        if !DATA_GIB.contains(&size) {
            let text = format!("a data disk has {} to {} GiB", DATA_GIB.start(), DATA_GIB.end());
            return refuse("InvalidParameterValue.Range", text);
        }
        if size % 10 != 0 {
            return refuse("InvalidParameterValue", "the size of a data disk is a multiple of 10 GiB");
        }
        if kind == "CLOUD_SSD" && size < 100 {
            let text = "a CLOUD_SSD data disk has at least 100 GiB";
            return refuse("InvalidParameterValue.CloudSsdDataDiskSizeTooSmall", text);
        }
        if let Some(id) = disk.snapshot_id {
            if !ids::well_formed("snap-", &id) {
                return refuse("InvalidParameterValue.SnapshotIdMalformed", format!("`{id}` is no snapshot id"));
            }
            let Some(snapshot) = images::capture::snapshot(cx, &id)? else {
                return refuse("InvalidParameter.SnapshotNotFound", format!("there is no snapshot `{id}`"));
            };
            if snapshot.size > size {
                let code = "FailedOperation.SnapshotSizeLargerThanDataSize";
                return refuse(code, format!("the snapshot `{id}` has {} GiB", snapshot.size));
            }
        }
        if disk.burst_performance == Some(true) {
            return refuse("UnsupportedOperation", "no disk here has BurstPerformance");
        }
        let throughput = disk.throughput_performance.unwrap_or(0);
        if throughput != 0 && !FASTER.contains(&kind.as_str()) {
            let text = format!("ThroughputPerformance is for disks of {}", FASTER.join(" and "));
            return refuse("InvalidParameterValue", text);
        }
        if throughput < 0 {
            return refuse("InvalidParameterValue", "ThroughputPerformance is 0 or more");
        }
        let keep = disk.delete_with_instance == Some(false);
        if keep && charge != charge::HOURLY {
            return refuse("InvalidParameterValue", "DeleteWithInstance is for pay-as-you-go disks");
        }
        disks.push(DiskSpec { kind, size, name: disk_name(disk.disk_name)?, keep, throughput });
    }
    Ok(disks)
}
