//! What `ignore_changes` makes of a spec.

use std::collections::BTreeSet;

use crate::model::attrs::FleetAttr;
use crate::model::spec::{Charge, SlotSpec};

/// The spec of the config, but what is to be ignored is as the state remembers it.
#[must_use]
pub fn keeping(wanted: &SlotSpec, recorded: &SlotSpec, ignore: &BTreeSet<FleetAttr>) -> SlotSpec {
    let mut spec = wanted.clone();
    for attr in ignore {
        match attr {
            FleetAttr::Image => spec.image = recorded.image.clone(),
            FleetAttr::Type => spec.instance_type = recorded.instance_type.clone(),
            FleetAttr::SystemDiskType => spec.system_disk.kind = recorded.system_disk.kind.clone(),
            FleetAttr::SystemDiskSize => spec.system_disk.size_gib = recorded.system_disk.size_gib,
            FleetAttr::DataDisks => spec.data_disks = recorded.data_disks.clone(),
            FleetAttr::Subnet => spec.network.subnet = recorded.network.subnet.clone(),
            FleetAttr::SecurityGroups => spec.network.security_groups = recorded.network.security_groups.clone(),
            FleetAttr::Internet => spec.internet = recorded.internet.clone(),
            FleetAttr::Login => spec.login = recorded.login.clone(),
            FleetAttr::UserData => spec.user_data = recorded.user_data.clone(),
            FleetAttr::Hostname => spec.hostname = recorded.hostname.clone(),
            FleetAttr::ChargeType => spec.charge = recorded.charge.clone(),
            FleetAttr::PlacementGroup => spec.placement_group = recorded.placement_group.clone(),
            FleetAttr::CamRole => spec.cam_role = recorded.cam_role.clone(),
            FleetAttr::State => spec.power = recorded.power,
            FleetAttr::Tags => spec.tags = recorded.tags.clone(),
            FleetAttr::PrepaidMonths | FleetAttr::PrepaidRenew | FleetAttr::SpotMaxPrice => {
                keep_price(&mut spec.charge, &recorded.charge, *attr);
            }
            // It is no part of a spec.
            FleetAttr::Name => {}
            // Not to be ignored: the planner refuses that.
            FleetAttr::Count | FleetAttr::Region | FleetAttr::Zones | FleetAttr::Protect => {}
        }
    }
    spec
}

fn keep_price(charge: &mut Charge, recorded: &Charge, attr: FleetAttr) {
    match (charge, recorded) {
        (Charge::Prepaid { months, renew }, Charge::Prepaid { months: before, renew: renewed }) => {
            if attr == FleetAttr::PrepaidMonths {
                *months = *before;
            } else if attr == FleetAttr::PrepaidRenew {
                *renew = *renewed;
            }
        }
        (Charge::Spot { max_price }, Charge::Spot { max_price: before }) => max_price.clone_from(before),
        (Charge::Hourly | Charge::Prepaid { .. } | Charge::Spot { .. }, _) => {}
    }
}
