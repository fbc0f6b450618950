//! Values as they are shown.

use std::collections::BTreeSet;

use crate::model::attrs::FleetAttr;
use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::{SubnetId, VpcId};
use crate::model::observed::{Disk, InstanceState};
use crate::model::spec::{Charge, DataDisk, ImageUse, Internet, Login, Power, SlotNetwork, SlotSpec, SystemDisk};

/// A value, to be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shown {
    /// There is none.
    None,
    /// A text or a number.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// Known by its digest.
    Secret {
        /// Where its bytes are.
        source: String,
        /// The first digits of its equality digest.
        digest: String,
    },
    /// An image.
    Image(ImageUse),
}

/// What a slot is made with, attribute by attribute.
#[must_use]
pub fn made_with(spec: &SlotSpec) -> Vec<(&'static str, Shown)> {
    let SlotSpec {
        image,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        hostname,
        charge,
        placement_group,
        cam_role,
        power,
        protect,
        on_trial: _,
    } = spec;
    let SystemDisk { kind, size_gib } = system_disk;
    let SlotNetwork { subnet, security_groups } = network;
    let (months, renew, max_price) = match charge {
        Charge::Hourly => (None, None, None),
        Charge::Prepaid { months, renew } => (Some(months), Some(renew.word()), None),
        Charge::Spot { max_price } => (None, None, max_price.as_ref()),
    };
    let attrs = [
        (FleetAttr::Image, Shown::Image(image.clone())),
        (FleetAttr::Type, text(instance_type)),
        (FleetAttr::SystemDiskType, text_or_none(kind.as_ref())),
        (FleetAttr::SystemDiskSize, size_gib.map_or(Shown::None, |size| Shown::Text(format!("{size} GiB")))),
        (FleetAttr::DataDisks, show_data_disks(data_disks)),
        (FleetAttr::Subnet, show_subnet(subnet.as_ref())),
        (FleetAttr::SecurityGroups, security_groups.as_ref().map_or(Shown::None, list)),
        (FleetAttr::Internet, show_internet(internet.as_ref())),
        (FleetAttr::Login, show_login(login)),
        (FleetAttr::Tags, show_tags(tags)),
        (FleetAttr::UserData, secret(user_data.as_ref())),
        (FleetAttr::Hostname, text_or_none(hostname.as_ref().map(|pattern| &pattern.0))),
        (FleetAttr::ChargeType, text_or_none(Some(charge.word()).filter(|_| *charge != Charge::Hourly))),
        (FleetAttr::PrepaidMonths, text_or_none(months)),
        (FleetAttr::PrepaidRenew, text_or_none(renew)),
        (FleetAttr::SpotMaxPrice, text_or_none(max_price)),
        (FleetAttr::PlacementGroup, text_or_none(placement_group.as_ref())),
        (FleetAttr::CamRole, text_or_none(cam_role.as_ref())),
        (FleetAttr::State, power.map_or(Shown::None, show_power)),
        (FleetAttr::Protect, if *protect { Shown::Text("true".into()) } else { Shown::None }),
    ];
    let there = attrs.into_iter().filter(|(_, shown)| *shown != Shown::None);
    there.map(|(attr, shown)| (attr.word(), shown)).collect()
}

/// Tags as they are shown.
#[must_use]
pub fn show_tags(tags: &Tags) -> Shown {
    if tags.is_empty() {
        return Shown::None;
    }
    Shown::List(tags.iter().map(|(key, value)| format!("{key}={value}")).collect())
}

pub(super) fn text_or_none<T: ToString + ?Sized>(value: Option<&T>) -> Shown {
    value.map_or(Shown::None, |value| Shown::Text(value.to_string()))
}

pub(super) fn show_power(power: Power) -> Shown {
    Shown::Text(match power {
        Power::Running => "running".into(),
        Power::Stopped => "stopped".into(),
    })
}

pub(super) fn show_disks(disks: &[Disk]) -> Shown {
    if disks.is_empty() {
        return Shown::None;
    }
    Shown::List(disks.iter().map(|Disk { id: _, kind, size_gib }| format!("{kind} {size_gib} GiB")).collect())
}

pub(super) fn text(value: &impl ToString) -> Shown {
    Shown::Text(value.to_string())
}

pub(super) fn list<T: ToString>(values: &BTreeSet<T>) -> Shown {
    Shown::List(values.iter().map(ToString::to_string).collect())
}

pub(super) fn secret(secret: Option<&SecretRef>) -> Shown {
    secret.map_or(Shown::None, |secret| Shown::Secret {
        source: secret.source.to_string(),
        digest: secret.digest.short(8),
    })
}

pub(super) fn show_login(login: &Login) -> Shown {
    match login {
        Login::Unset => Shown::None,
        Login::Keys(keys) => list(keys),
        Login::KeepImage => Shown::Text("as in the image".into()),
    }
}

pub(super) fn show_subnet(subnet: Option<&(VpcId, SubnetId)>) -> Shown {
    subnet.map_or(Shown::None, |(vpc, subnet)| Shown::Text(format!("{vpc}/{subnet}")))
}

pub(super) fn show_internet(internet: Option<&Internet>) -> Shown {
    internet.map_or(Shown::None, |Internet { charge, bandwidth_mbps, public_ip }| {
        let address = if *public_ip { ", public address" } else { "" };
        Shown::Text(format!("{} {bandwidth_mbps} Mbps{address}", charge.word()))
    })
}

pub(super) fn show_data_disks(disks: &[DataDisk]) -> Shown {
    if disks.is_empty() {
        return Shown::None;
    }
    Shown::List(disks.iter().map(|DataDisk { kind, size_gib }| format!("{kind} {size_gib} GiB")).collect())
}

/// The state of an instance, for people.
#[must_use]
pub fn show_state(state: &InstanceState) -> String {
    match state {
        InstanceState::Pending => "pending".into(),
        InstanceState::LaunchFailed => "launch failed".into(),
        InstanceState::Running => "running".into(),
        InstanceState::Stopped => "stopped".into(),
        InstanceState::Starting => "starting".into(),
        InstanceState::Stopping => "stopping".into(),
        InstanceState::Rebooting => "rebooting".into(),
        InstanceState::Shutdown => "in the recycle bin".into(),
        InstanceState::Terminating => "terminating".into(),
        InstanceState::Other(word) => word.clone(),
    }
}
