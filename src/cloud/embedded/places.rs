//! Regions, zones and instance types (API text 3.12, 4.1, 4.2 and 5.11). Names are in English whatever
//! X-TC-Language says.

use super::api::Context;
use super::catalogue::region_name;
use super::filters;
use super::refusal::{Done, refuse};
use crate::cloud::cvm::wire::answers::{DescribeInstanceTypeConfigsAnswer, DescribeRegionsAnswer, DescribeZonesAnswer};
use crate::cloud::cvm::wire::requests::{DescribeInstanceTypeConfigs, DescribeRegions, DescribeZones};
use crate::cloud::cvm::wire::shapes::{InstanceTypeConfig, RegionInfo, ZoneInfo};
use crate::model::catalog;

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
    for filter in asked.iter().filter(|filter| filter.name == "zone") {
        if let Some(zone) = filter.values.iter().find(|zone| !region.zones.iter().any(|entry| entry.zone == **zone)) {
            return refuse("InvalidZone.MismatchRegion", format!("there is no zone `{zone}` in {}", region.region));
        }
    }
    let mut set = Vec::new();
    for zone in region.zones.iter().filter(|zone| zone.available) {
        for entry in catalog::TYPES {
            let fits = asked.iter().all(|filter| match filter.name.as_str() {
                "zone" => filter.has(zone.zone),
                "instance-family" => filter.has(entry.family),
                _ => filter.has(entry.name),
            });
            if fits {
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
