//! Regions, zones and instance types (API text 3.12, 4.1, 4.2, 5.11 and 5.12). Names are in English whatever
//! X-TC-Language says.

use std::cmp::Ordering;

use super::api::Context;
use super::catalogue::{is_finance, region_name};
use super::filters::{self, Asked};
use super::instances::charge::{HOURLY, PREPAID, SPOT};
use super::prices::{self, Mode};
use super::refusal::{Done, refuse};
use crate::cloud::cvm::wire::answers::{
    DescribeInstanceTypeConfigsAnswer, DescribeRegionsAnswer, DescribeZoneInstanceConfigInfosAnswer,
    DescribeZonesAnswer,
};
use crate::cloud::cvm::wire::requests::{
    DescribeInstanceTypeConfigs, DescribeRegions, DescribeZoneInstanceConfigInfos, DescribeZones,
};
use crate::cloud::cvm::wire::shapes::{InstanceTypeConfig, InstanceTypeQuotaItem, RegionInfo, ZoneInfo};
use crate::model::catalog::{self, RegionEntry, TypeEntry, ZoneEntry};

pub(crate) fn regions(_: &mut Context<'_>, _: DescribeRegions) -> Done<DescribeRegionsAnswer> {
    let region_set: Vec<RegionInfo> = catalog::REGIONS
        .iter()
        .map(|entry| RegionInfo {
            region: entry.region.to_owned(),
            region_name: region_name(entry.region),
            region_state: "AVAILABLE".to_owned(),
        })
        .collect();
    let total_count = i64::try_from(region_set.len()).unwrap_or(0);
    Ok(DescribeRegionsAnswer { total_count, region_set, ..DescribeRegionsAnswer::default() })
}

pub(crate) fn zones(cx: &mut Context<'_>, _: DescribeZones) -> Done<DescribeZonesAnswer> {
    let region = cx.region()?;
    let place = catalog::REGIONS.iter().position(|entry| entry.region == region.region).unwrap_or(0);
    let zone_set: Vec<ZoneInfo> = region
        .zones
        .iter()
        .map(|zone| {
            let tail = zone.zone.rsplit('-').next().unwrap_or_default();
            ZoneInfo {
                zone: zone.zone.to_owned(),
                zone_name: format!("{} Zone {tail}", region_name(region.region)),
                zone_id: format!("{}0000{tail}", place + 1),
                zone_state: if zone.available { "AVAILABLE" } else { "UNAVAILABLE" }.to_owned(),
            }
        })
        .collect();
    let total_count = i64::try_from(zone_set.len()).unwrap_or(0);
    Ok(DescribeZonesAnswer { total_count, zone_set, ..DescribeZonesAnswer::default() })
}

pub(crate) fn types(cx: &mut Context<'_>, r: DescribeInstanceTypeConfigs) -> Done<DescribeInstanceTypeConfigsAnswer> {
    let region = cx.region()?;
    let asked = filters::parse(r.filters, &["zone", "instance-family", "instance-type"], 1)?;
    check_zones(region, &asked)?;
    let mut set = Vec::new();
    for zone in region.zones.iter().filter(|zone| zone.available) {
        for entry in catalog::TYPES {
            if fits(&asked, zone, entry) {
                set.push(InstanceTypeConfig {
                    zone: zone.zone.to_owned(),
                    instance_type: entry.name.to_owned(),
                    instance_family: entry.family.to_owned(),
                    gpu: i64::from(entry.gpu),
                    cpu: i64::from(entry.cpu),
                    memory: i64::from(entry.memory_gib),
                    fpga: 0,
                    gpu_count: f64::from(entry.gpu),
                    gpu_type: None,
                    gpu_memory: None,
                });
            }
        }
    }
    Ok(DescribeInstanceTypeConfigsAnswer {
        instance_type_config_set: set,
        ..DescribeInstanceTypeConfigsAnswer::default()
    })
}

/// Refuses zones of other regions.
fn check_zones(region: &RegionEntry, asked: &[Asked]) -> Done<()> {
    for filter in asked.iter().filter(|filter| filter.name == "zone") {
        if let Some(zone) = filter.values.iter().find(|zone| !region.zones.iter().any(|entry| entry.zone == **zone)) {
            return refuse("InvalidZone.MismatchRegion", format!("there is no zone `{zone}` in {}", region.region));
        }
    }
    Ok(())
}

/// Whether a type in a zone is one of those that were asked for, as far as place and type go.
fn fits(asked: &[Asked], zone: &ZoneEntry, entry: &TypeEntry) -> bool {
    asked.iter().all(|filter| match filter.name.as_str() {
        "zone" => filter.has(zone.zone),
        "instance-family" => filter.has(entry.family),
        "instance-type" => filter.has(entry.name),
        _ => true,
    })
}

/// The most values of a filter of [`sold`] (3.13).
const MAX_SOLD_VALUES: usize = 100;

/// What is sold, and for how much: each type in each zone and billing mode. A zone that is full is told as such. Of the
/// machines themselves no more is known here than the catalogue has: figures of network and processor are 0 and empty.
pub(crate) fn sold(
    cx: &mut Context<'_>,
    r: DescribeZoneInstanceConfigInfos,
) -> Done<DescribeZoneInstanceConfigInfosAnswer> {
    let region = cx.region()?;
    let known = ["zone", "instance-family", "instance-type", "instance-charge-type", "sort-keys"];
    let asked = filters::parse(r.filters, &known, MAX_SOLD_VALUES)?;
    check_zones(region, &asked)?;
    let mut orders = Vec::new();
    for text in asked.iter().filter(|filter| filter.name == "sort-keys").flat_map(|filter| &filter.values) {
        orders.push(order(text)?);
    }
    let modes = [(HOURLY, Mode::Hourly), (PREPAID, Mode::Prepaid { months: 1 }), (SPOT, Mode::Spot)];
    let mut set = Vec::new();
    for zone in region.zones {
        for entry in catalog::TYPES.iter().filter(|entry| fits(&asked, zone, entry)) {
            for (word, mode) in modes {
                let wanted = asked.iter().all(|filter| filter.name != "instance-charge-type" || filter.has(word));
                // Where no spot instances are sold (assumed), they are not even sold out.
                if wanted && !(word == SPOT && is_finance(region.region)) {
                    set.push(item(zone, entry, word, mode));
                }
            }
        }
    }
    set.sort_by(|one, other| {
        orders.iter().map(|order| order(one, other)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    Ok(DescribeZoneInstanceConfigInfosAnswer {
        instance_type_quota_set: set,
        ..DescribeZoneInstanceConfigInfosAnswer::default()
    })
}

type Order = fn(&InstanceTypeQuotaItem, &InstanceTypeQuotaItem) -> Ordering;

/// `cpu:desc`, `mem:asc` (3.13).
fn order(text: &str) -> Done<Order> {
    match text {
        "cpu:asc" => Ok(|one, other| one.cpu.cmp(&other.cpu)),
        "cpu:desc" => Ok(|one, other| other.cpu.cmp(&one.cpu)),
        "mem:asc" => Ok(|one, other| one.memory.cmp(&other.memory)),
        "mem:desc" => Ok(|one, other| other.memory.cmp(&one.memory)),
        _ => refuse("InvalidFilter", format!("`{text}` is no sort key: cpu or mem, then :asc or :desc")),
    }
}

/// The price is that of the type alone: what disks, image and bandwidth add, an inquiry tells.
fn item(zone: &ZoneEntry, entry: &TypeEntry, word: &str, mode: Mode) -> InstanceTypeQuotaItem {
    let (status, category, reason) = match zone.available {
        true => ("SELL", "EnoughStock", ""),
        false => ("SOLD_OUT", "WithoutStock", "the zone is sold out"),
    };
    InstanceTypeQuotaItem {
        zone: zone.zone.to_owned(),
        instance_type: entry.name.to_owned(),
        instance_charge_type: word.to_owned(),
        cpu: i64::from(entry.cpu),
        memory: i64::from(entry.memory_gib),
        instance_family: entry.family.to_owned(),
        type_name: entry.family.to_owned(),
        status: status.to_owned(),
        price: prices::instances(&prices::bare(entry), mode, 1, false),
        sold_out_reason: reason.to_owned(),
        gpu: i64::from(entry.gpu),
        gpu_count: f64::from(entry.gpu),
        status_category: category.to_owned(),
        ..InstanceTypeQuotaItem::default()
    }
}
