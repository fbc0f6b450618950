//! What a slot is once a step of its change has succeeded: what the state then says of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Rolling, Work};
use crate::diff::Takes;
use crate::model::attrs::FleetAttr;
use crate::model::spec::{ObjectSpec, Power, SlotNetwork, SlotSpec, SystemDisk};

/// A part of a change by whose success alone the state learns it: where it fails, the next plan sees it still to be done.
/// Anything else is told from the cloud anyway, whatever the state says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    /// There is a new system disk.
    Rebuilt,
    /// Tags that the config no longer has are gone.
    Untagged,
    /// The role is unbound.
    Roleless,
    /// The cloud no longer refuses its termination.
    Unprotected,
    /// It was switched on or off.
    Powered,
    /// A gate has seen that it is healthy.
    Tried,
    /// What changes in place is being changed. Until then the state says what it was: else what a run does not come to were
    /// taken for somebody else's change.
    InPlace,
}

/// What has been done of a slot's change.
pub(super) type Parts = BTreeSet<Part>;

/// All that can be done without a new disk.
pub(super) fn all_in_place() -> Parts {
    Parts::from([Part::Untagged, Part::Roleless, Part::Unprotected, Part::Powered, Part::InPlace])
}

impl Rolling<'_> {
    /// What a slot is with these parts of its change done. What only a new disk or a new instance brings stays as it was.
    pub(super) fn spec_with(&self, work: &Work<'_>, parts: &Parts) -> Option<Arc<ObjectSpec>> {
        let made = self.specs.get(&work.zone)?;
        let (ObjectSpec::Slot(config), ObjectSpec::Slot(wanted), ObjectSpec::Slot(recorded)) =
            (made.as_ref(), work.wanted.as_ref(), work.row.spec.as_ref())
        else {
            return None;
        };
        let rebuilt = parts.contains(&Part::Rebuilt);
        let stays = |attr| matches!(work.diff.of(attr), Some(Takes::Rebuild | Takes::Replace));
        // A new disk brings what the config says, whatever is to be ignored.
        let of_disk = |attr| match (rebuilt, stays(attr)) {
            (true, _) => config,
            (false, true) => recorded,
            (false, false) => wanted,
        };
        let for_life = |attr| if stays(attr) { recorded } else { wanted };
        let SlotSpec {
            image: _,
            instance_type,
            system_disk: _,
            data_disks: _,
            network: SlotNetwork { subnet: _, security_groups },
            internet: _,
            login: _,
            tags,
            user_data: _,
            hostname: _,
            charge: _,
            placement_group: _,
            cam_role,
            power,
            protect,
            on_trial: _,
        } = wanted.as_ref();
        let to_come = !parts.contains(&Part::InPlace);
        let mut tags = tags.clone();
        if to_come {
            let set: Vec<&String> = work.diff.tags.set.keys().collect();
            tags.retain(|key, _| !set.contains(&key));
            tags.extend(set.into_iter().filter_map(|key| Some((key.clone(), recorded.tags.get(key)?.clone()))));
        }
        let regroups = to_come && work.diff.groups.is_some();
        let security_groups = if regroups { &recorded.network.security_groups } else { security_groups };
        if !parts.contains(&Part::Untagged) {
            let going = recorded.tags.iter().filter(|(key, _)| work.diff.tags.unset.contains(*key));
            tags.extend(going.map(|(key, value)| (key.clone(), value.clone())));
        }
        let keeps_role = match &work.diff.cam_role {
            Some(None) => !parts.contains(&Part::Roleless),
            Some(Some(_)) => to_come,
            None => false,
        };
        let keeps_protection = match work.diff.protect {
            Some(false) => !parts.contains(&Part::Unprotected),
            Some(true) => to_come,
            None => false,
        };
        let power = match (parts.contains(&Part::Powered), rebuilt) {
            (true, _) => *power,
            // Whatever was reset runs, and is switched off later where it is to be off.
            (false, true) => Some(Power::Running),
            (false, false) if work.diff.power.is_some() => recorded.power,
            (false, false) => *power,
        };
        // What is out of service for a while is looked at afterwards, where anything is.
        let disrupted = work.diff.takes(Takes::Resize) || (recorded.on_trial && self.disrupts(work));
        let retried = self.on_trial && disrupted;
        let spec = SlotSpec {
            image: of_disk(FleetAttr::Image).image.clone(),
            instance_type: instance_type.clone(),
            system_disk: SystemDisk {
                kind: for_life(FleetAttr::SystemDiskType).system_disk.kind.clone(),
                size_gib: of_disk(FleetAttr::SystemDiskSize).system_disk.size_gib,
            },
            data_disks: for_life(FleetAttr::DataDisks).data_disks.clone(),
            network: SlotNetwork {
                subnet: for_life(FleetAttr::Subnet).network.subnet.clone(),
                security_groups: security_groups.clone(),
            },
            internet: for_life(FleetAttr::Internet).internet.clone(),
            login: of_disk(FleetAttr::Login).login.clone(),
            tags,
            user_data: of_disk(FleetAttr::UserData).user_data.clone(),
            hostname: if rebuilt { config.hostname.clone() } else { wanted.hostname.clone() },
            charge: for_life(FleetAttr::ChargeType).charge.clone(),
            placement_group: for_life(FleetAttr::PlacementGroup).placement_group.clone(),
            cam_role: if keeps_role { recorded.cam_role.clone() } else { cam_role.clone() },
            power,
            protect: if keeps_protection { recorded.protect } else { *protect },
            on_trial: !parts.contains(&Part::Tried) && if rebuilt || retried { self.on_trial } else { work.on_trial },
        };
        // One value for all slots that come to be the same.
        if spec == **config {
            return Some(Arc::clone(made));
        }
        Some(Arc::new(ObjectSpec::Slot(Box::new(spec))))
    }

    /// What a slot is where nothing of it was changed but its power.
    pub(super) fn spec_switched_off(&self, work: &Work<'_>) -> Option<Arc<ObjectSpec>> {
        let ObjectSpec::Slot(recorded) = work.row.spec.as_ref() else { return None };
        let spec = SlotSpec { power: Some(Power::Stopped), ..recorded.as_ref().clone() };
        Some(Arc::new(ObjectSpec::Slot(Box::new(spec))))
    }
}

/// What a slot of the state is once the cloud no longer protects it.
pub(super) fn unprotected(spec: &ObjectSpec) -> Option<Arc<ObjectSpec>> {
    let ObjectSpec::Slot(recorded) = spec else { return None };
    let spec = SlotSpec { protect: false, ..recorded.as_ref().clone() };
    Some(Arc::new(ObjectSpec::Slot(Box::new(spec))))
}

/// What an instance is between its launch and being switched off.
pub(super) fn running(spec: &ObjectSpec) -> Option<Arc<ObjectSpec>> {
    let ObjectSpec::Slot(slot) = spec else { return None };
    let spec = SlotSpec { power: Some(Power::Running), ..slot.as_ref().clone() };
    Some(Arc::new(ObjectSpec::Slot(Box::new(spec))))
}
