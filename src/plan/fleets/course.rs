//! On which course a fleet is: to what the config asks for, or held by a rollout that waits, stopped or was taken back.
//!
//! While the config asks for the very target of such a rollout, its slots stay at, or go back to, what ran before. That
//! is made of the state's memory of it: the image and the machine as they were, with what changes in place as the config
//! has it now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, codes};
use crate::diff;
use crate::model::addr::{Block, Kind};
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Desired, Fleet};
use crate::model::digest::{Digest, SecretRef, context};
use crate::model::ids::{ImageId, Name, PlacementGroupId, Region, SubnetId, VpcId, Zone};
use crate::model::recorded::Object;
use crate::model::rollout::{Hold, Phase, Rollout};
use crate::model::spec::{Charge, DataDisk, ImageUse, Internet, Login, ObjectSpec, SlotNetwork, SlotSpec, SystemDisk};
use crate::plan::draft::{Draft, ImageAt, Nature};
use crate::plan::{images, lineage, promoted};

/// What instances are made with, and from which image.
#[derive(Clone)]
pub(in crate::plan) struct Lineup {
    pub(in crate::plan) at: ImageAt,
    pub(in crate::plan) specs: BTreeMap<Zone, Arc<ObjectSpec>>,
}

/// On which course a fleet is.
pub(in crate::plan) struct Course<'a> {
    /// What tells this target of the config from another one.
    pub(in crate::plan) target: Digest,
    /// The rollout to that target, where there is or was one.
    pub(in crate::plan) row: Option<&'a Rollout>,
    /// The rollout before it, where there is one: to another target, or to this one, which is tried again.
    pub(in crate::plan) other: Option<&'a Rollout>,
    /// Which slots are held.
    pub(in crate::plan) hold: Hold,
}

/// What a change of takes another disk or another machine: the target of a rollout. Contents, not references.
#[derive(Serialize)]
struct TargetOf<'a> {
    image: &'a ImageUse,
    instance_type: &'a str,
    system_disk: &'a SystemDisk,
    data_disks: &'a [DataDisk],
    vpc: Option<&'a VpcId>,
    subnets: &'a BTreeMap<Zone, SubnetId>,
    internet: &'a Option<Internet>,
    login: &'a Login,
    user_data: Option<Digest>,
    charge: &'a Charge,
    placement_group: Option<&'a PlacementGroupId>,
}

impl<'a> Course<'a> {
    pub(in crate::plan) fn of(draft: &Draft<'a>, block: &Block, fleet: &Fleet, use_: &ImageUse) -> Self {
        let target = Digest::of_value(
            context::ROLLOUT,
            &TargetOf {
                image: use_,
                instance_type: fleet.instance_type.as_str(),
                system_disk: &fleet.system_disk,
                data_disks: &fleet.data_disks,
                vpc: fleet.network.vpc.as_ref(),
                subnets: &fleet.network.subnets,
                internet: &fleet.internet,
                login: &fleet.login,
                user_data: fleet.user_data.as_ref().map(|secret| secret.digest),
                charge: &fleet.charge,
                placement_group: fleet.placement_group.as_ref(),
            },
        );
        let recorded = draft.input.recorded.rollouts.get(block);
        let retried = draft.input.options.asked.retry.has(block);
        // What waits for somebody did not fail.
        let failed = |phase: Phase| matches!(phase, Phase::Stopped | Phase::Aborted | Phase::TakenBack);
        let again = |row: &Rollout| retried && failed(row.phase);
        let row = recorded.filter(|row| row.target == target && !again(row));
        let other = recorded.filter(|_| row.is_none());
        Self { target, row, other, hold: row.map_or(Hold::None, |row| row.phase.hold()) }
    }

    /// The rollout that is under way to this very target.
    pub(in crate::plan) fn running(&self) -> Option<&'a Rollout> {
        self.row.filter(|row| row.phase == Phase::Running)
    }

    /// Whether the state has a rollout of which something may be left that nobody holds back.
    pub(in crate::plan) fn is_open(&self) -> bool {
        let half_way = |row: &Rollout| match row.phase {
            Phase::Running | Phase::Paused => true,
            Phase::Stopped | Phase::Aborted | Phase::TakenBack => row.target == self.target,
            Phase::Done => false,
        };
        self.running().is_some() || self.other.is_some_and(half_way)
    }

    /// Whether every slot goes back to what ran before.
    pub(in crate::plan) fn goes_back(&self) -> bool {
        self.hold == Hold::All
    }
}

/// Whether two instances are made alike as far as a rollout goes, whatever their zones.
pub(in crate::plan) fn same_target(one: &SlotSpec, other: &SlotSpec) -> bool {
    let secret = |spec: &SlotSpec| spec.user_data.as_ref().map(|secret: &SecretRef| secret.digest);
    one.image == other.image
        && one.instance_type == other.instance_type
        && one.system_disk == other.system_disk
        && one.data_disks == other.data_disks
        && one.internet == other.internet
        && one.login == other.login
        && secret(one) == secret(other)
        && one.charge == other.charge
        && one.placement_group == other.placement_group
}

/// Whether an instance is made as this says, but for what is to be ignored.
pub(in crate::plan) fn is_made_as(
    row: &Object,
    specs: &BTreeMap<Zone, Arc<ObjectSpec>>,
    ignore: &BTreeSet<FleetAttr>,
) -> bool {
    // They differ by their subnets only.
    let wanted = row.zone.as_ref().and_then(|zone| specs.get(zone)).or_else(|| specs.values().next());
    match (row.spec.as_ref(), wanted.map(Arc::as_ref)) {
        (ObjectSpec::Slot(recorded), Some(ObjectSpec::Slot(wanted))) if ignore.is_empty() => {
            same_target(recorded, wanted)
        }
        (ObjectSpec::Slot(recorded), Some(ObjectSpec::Slot(wanted))) => {
            same_target(recorded, &diff::keeping(wanted, recorded, ignore))
        }
        _ => false,
    }
}

/// What ran before, as the state remembers it, where its image is still there. What a config changes in place is as the
/// config has it now.
pub(in crate::plan) fn before(draft: &Draft<'_>, row: &Rollout, now: &Lineup, region: &Region) -> Option<Lineup> {
    let ObjectSpec::Slot(old) = row.before.as_deref()? else { return None };
    let at = image_before(draft, &old.image, region)?;
    let zoned = |(zone, spec): (&Zone, &Arc<ObjectSpec>)| {
        let ObjectSpec::Slot(now) = spec.as_ref() else { return None };
        let spec = as_made(old, now);
        Some((zone.clone(), Arc::new(ObjectSpec::Slot(Box::new(spec)))))
    };
    Some(Lineup { at, specs: now.specs.iter().filter_map(zoned).collect() })
}

/// What an instance is that stays as it was made, where all that changes in place is as it is now.
pub(super) fn as_made(old: &SlotSpec, now: &SlotSpec) -> SlotSpec {
    let SlotSpec {
        image: _,
        instance_type: _,
        system_disk: _,
        data_disks: _,
        network: SlotNetwork { subnet, security_groups },
        internet: _,
        login: _,
        tags,
        user_data: _,
        hostname,
        charge: _,
        placement_group: _,
        cam_role,
        power,
        protect,
        on_trial,
    } = now;
    SlotSpec {
        network: SlotNetwork { subnet: subnet.clone(), security_groups: security_groups.clone() },
        tags: tags.clone(),
        hostname: hostname.clone(),
        cam_role: cam_role.clone(),
        power: *power,
        protect: *protect,
        on_trial: *on_trial,
        ..old.clone()
    }
}

/// A recorded image that instances run from, where it can still be used in a region.
fn image_before(draft: &Draft<'_>, use_: &ImageUse, region: &Region) -> Option<ImageAt> {
    let (image, version, generation) = match use_ {
        ImageUse::Made { image, version, generation } => (image, version, generation),
        // What was only looked up cannot be told to be gone without asking for it; whoever launches is told.
        ImageUse::Found { id } => return Some(looked_up(use_, id)),
        ImageUse::Promoted { from, edition } => {
            return promoted::known(draft, from, edition, region).map(|id| looked_up(use_, id));
        }
    };
    let rows = draft.objects_of(&Block::image(image));
    let copy = rows.into_iter().find(|row| {
        row.region == *region && row.addr.version.as_ref() == Some(version) && row.generation == *generation
    })?;
    let seen = images::usable(draft, copy)?;
    let told = lineage::of(draft.input.recorded, use_);
    let nature =
        Nature { encrypted: told.encrypted.unwrap_or(false), own_licence: told.own_licence, ..Nature::default() };
    Some(ImageAt {
        use_: use_.clone(),
        id: crate::cloud::call::Arg::Known(copy.cloud_id.image()?.clone()),
        ready: Vec::new(),
        size_gib: seen.size_gib,
        nature: nature.seen(seen),
    })
}

fn looked_up(use_: &ImageUse, id: &ImageId) -> ImageAt {
    ImageAt {
        use_: use_.clone(),
        id: crate::cloud::call::Arg::Known(id.clone()),
        ready: Vec::new(),
        size_gib: 0,
        nature: Nature::default(),
    }
}

/// Keeps the image that an instance runs from, whatever else is planned: the instance stays on it.
pub(in crate::plan) fn keep_image(draft: &mut Draft<'_>, use_: &ImageUse, region: &Region) {
    let ImageUse::Made { image, version, generation } = use_ else { return };
    let rows = draft.objects_of(&Block::image(image));
    let copies = rows.into_iter().filter(|row| {
        row.region == *region && row.addr.version.as_ref() == Some(version) && row.generation == *generation
    });
    let ids: Vec<_> = copies.filter_map(|row| Some((row.region.clone(), row.cloud_id.image()?.clone()))).collect();
    draft.in_use.extend(ids);
}

/// The image that a recorded instance runs from is kept.
pub(in crate::plan) fn keep_image_of(draft: &mut Draft<'_>, row: &Object) {
    if let ObjectSpec::Slot(spec) = row.spec.as_ref() {
        keep_image(draft, &spec.image, &row.region);
    }
}

/// Says that a rollout holds a fleet back, and what can be done about it.
pub(super) fn tell(draft: &mut Draft<'_>, name: &Name, row: &Rollout, can_go_back: bool) {
    let or_back = match can_go_back {
        true => format!("; to go back: fleetwright rollout rollback {name}"),
        false => String::new(),
    };
    let (what, help) = match row.phase {
        Phase::Running | Phase::Done => return,
        Phase::Paused => (
            "is paused",
            format!(
                "to go on: fleetwright rollout resume {name}; to go on to its end: fleetwright rollout promote {name}"
            ),
        ),
        Phase::Stopped => ("is stopped", format!("change what it rolls out, or try again with --retry{or_back}")),
        Phase::Aborted => ("was aborted", format!("to go on: fleetwright rollout resume {name}{or_back}")),
        Phase::TakenBack => {
            ("is taken back", "change what it rolls out, or try the same again with --retry".to_owned())
        }
    };
    let mut note =
        Diagnostic::warning(codes::ROLLOUT_HELD, format!("the rollout of {} to fleet.{name} {what}", row.to))
            .at(Desired::path(Kind::Fleet, name).key("image"))
            .help(help);
    if !row.why.is_empty() {
        note = note.why(row.why.clone());
    }
    draft.notes.push(note);
}

/// Refuses a way back that there is not.
pub(super) fn no_way_back(draft: &mut Draft<'_>, name: &Name, row: &Rollout) {
    let what = match row.before.as_deref() {
        Some(ObjectSpec::Slot(spec)) => format!("{}, which it ran before, is no longer there", spec.image),
        _ => "the state does not know what it ran before".to_owned(),
    };
    draft.faults.push(
        Diagnostic::error(codes::NO_WAY_BACK, format!("fleet.{name} cannot go back: {what}"))
            .at(Desired::path(Kind::Fleet, name).key("image"))
            .why(format!("the rollout of {} was taken back, and nothing else is known to work", row.to))
            .help("give the fleet an image that works, or try the same again with --retry"),
    );
}

/// Whether instances can be made again as they were: user data is kept nowhere but in its file.
pub(in crate::plan) fn can_be_made_again(old: &SlotSpec, fleet: &Fleet) -> bool {
    match (&old.user_data, &fleet.user_data) {
        (None, _) => true,
        (Some(old), Some(now)) => old.digest == now.digest,
        (Some(_), None) => false,
    }
}
