//! What the state can learn of a thing that somebody else changed: the recorded spec with what was seen in its place. From
//! then on it counts as what we made it, and what the config says otherwise is a change like any other.

use super::power_of;
use crate::model::attrs::FleetAttr;
use crate::model::desired::Tags;
use crate::model::observed::{Image, Instance};
use crate::model::spec::{
    Charge, DataDisk, HostnamePattern, ImageCopySpec, ImageUse, Internet, InternetCharge, Login, Renew, SlotSpec,
};

/// Enters one attribute of an instance as it was seen. `false`: the state has no place for it, or what was seen cannot be
/// said in its words.
pub fn learn_slot(spec: &mut SlotSpec, attr: FleetAttr, seen: &Instance) -> bool {
    let before = spec.clone();
    match attr {
        FleetAttr::Image => spec.image = ImageUse::Found { id: seen.image.clone() },
        FleetAttr::Type => spec.instance_type = seen.instance_type.clone(),
        FleetAttr::SystemDiskType => spec.system_disk.kind = Some(seen.system_disk.kind.clone()),
        FleetAttr::SystemDiskSize => spec.system_disk.size_gib = Some(seen.system_disk.size_gib),
        FleetAttr::DataDisks => {
            let disks = seen.data_disks.iter();
            spec.data_disks = disks.map(|disk| DataDisk { kind: disk.kind.clone(), size_gib: disk.size_gib }).collect();
        }
        FleetAttr::Subnet => spec.network.subnet = Some((seen.vpc.clone(), seen.subnet.clone())),
        FleetAttr::SecurityGroups => spec.network.security_groups = Some((*seen.security_groups).clone()),
        FleetAttr::Internet => internet(spec, seen),
        FleetAttr::Login => spec.login = Login::Keys((*seen.keys).clone()),
        FleetAttr::Hostname => spec.hostname = seen.hostname.clone().map(HostnamePattern),
        FleetAttr::ChargeType | FleetAttr::PrepaidRenew => charge(spec, seen),
        FleetAttr::PlacementGroup => spec.placement_group.clone_from(&seen.placement_group),
        FleetAttr::CamRole => spec.cam_role.clone_from(&seen.cam_role),
        // Where the config never said whether it runs, the state does not, either.
        FleetAttr::State => spec.power = spec.power.and(power_of(&seen.state).or(spec.power)),
        // What somebody else protects stays theirs: we would take it away otherwise.
        FleetAttr::Protect => spec.protect &= seen.protected,
        FleetAttr::Tags => spec.tags = learn_tags(&spec.tags, &seen.tags),
        // A name says which slot it is: the state never takes another one.
        FleetAttr::Name => {}
        // The cloud does not tell them, or nobody can change them.
        FleetAttr::Count
        | FleetAttr::Region
        | FleetAttr::Zones
        | FleetAttr::UserData
        | FleetAttr::PrepaidMonths
        | FleetAttr::SpotMaxPrice => {}
    }
    *spec != before
}

fn internet(spec: &mut SlotSpec, seen: &Instance) {
    let Some(Internet { charge, bandwidth_mbps, public_ip: _ }) = &mut spec.internet else { return };
    *bandwidth_mbps = seen.bandwidth_mbps;
    let told = InternetCharge::ALL.into_iter().find(|each| Some(each.word()) == seen.internet_charge.as_deref());
    *charge = told.unwrap_or(*charge);
}

/// For how long something was paid in advance is not told: what the state had stays, or else the shortest time.
fn charge(spec: &mut SlotSpec, seen: &Instance) {
    const SHORTEST_MONTHS: u32 = 1;
    let told = Renew::ALL.into_iter().find(|each| Some(each.word()) == seen.renew.as_deref());
    let (months, before) = match &spec.charge {
        Charge::Prepaid { months, renew } => (*months, *renew),
        Charge::Hourly | Charge::Spot { .. } => (SHORTEST_MONTHS, Renew::default()),
    };
    let price = match &spec.charge {
        Charge::Spot { max_price } => max_price.clone(),
        Charge::Hourly | Charge::Prepaid { .. } => None,
    };
    let known =
        [Charge::Hourly, Charge::Prepaid { months, renew: told.unwrap_or(before) }, Charge::Spot { max_price: price }];
    if let Some(charge) = known.into_iter().find(|charge| seen.charge_type == charge.word()) {
        spec.charge = charge;
    }
}

/// Enters what is declared of a copy of an image as it was seen. `false`: there was nothing to enter.
pub fn learn_image(spec: &mut ImageCopySpec, seen: &Image) -> bool {
    let before = spec.clone();
    let ImageCopySpec { description, tags, family, deprecated, protect: _ } = spec;
    if let Some(description) = description {
        description.clone_from(&seen.description);
    }
    if let Some(family) = family {
        family.clone_from(&seen.family);
    }
    if let Some(deprecated) = deprecated {
        *deprecated = seen.deprecated;
    }
    *tags = learn_tags(tags, &seen.tags);
    *spec != before
}

/// Of the declared tags, those that are there, each with the value that it has. Others' tags are not ours to know.
fn learn_tags(declared: &Tags, seen: &Tags) -> Tags {
    declared.keys().filter_map(|key| Some((key.clone(), seen.get(key)?.clone()))).collect()
}
