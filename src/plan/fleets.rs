//! Fleets: which slots there are to be, in which zones, and what becomes of each.
//!
//! A slot keeps its zone and its ordinal for as long as it is recorded, also while it has no instance. [`rollout`]
//! makes the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Draft, ImageAt, NewStep, SlotAt, detail, known, settle};
use super::images::forget;
use super::rollout::{self, Creation, Going, Rolling, Work};
use super::types::{Action, Do, Drift, Effect, Fact, Hold, Need, Reason, Resource, Until};
use crate::cloud::call::Arg;
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{self, SlotDiff, Takes, Wanted};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Fleet, InstanceSource, ManagedImage, Ready};
use crate::model::ids::{InstanceId, Name, Region, Zone};
use crate::model::naming;
use crate::model::observed::{Instance, InstanceState, Seen};
use crate::model::recorded::{Object, Status};
use crate::model::spec::{ObjectSpec, SlotNetwork, SlotSpec};

/// The system disk of an instance that declares none (API text 3.4).
const DEFAULT_DISK_GIB: u32 = 50;

/// How a recorded instance was found.
pub(super) enum Now<'a> {
    /// There, and not about to change by itself.
    Live(&'a Instance),
    /// On its way; what was seen of it, if anything.
    UnderWay(Option<&'a Instance>),
    /// On its way out.
    Leaving,
    /// Gone, or never to be.
    Missing(Reason),
}

/// How a recorded instance was found.
pub(super) fn now<'a>(draft: &Draft<'a>, object: &Object) -> Now<'a> {
    let Some(id) = object.cloud_id.instance() else { return Now::Missing(Reason::Vanished) };
    match draft.input.observed.instance(&object.region, id) {
        Some(Seen::Present(seen)) => match &seen.state {
            InstanceState::LaunchFailed => Now::Missing(Reason::CreationFailed),
            InstanceState::Shutdown => Now::Missing(Reason::Vanished),
            InstanceState::Terminating => Now::Leaving,
            InstanceState::Pending | InstanceState::Starting | InstanceState::Stopping | InstanceState::Rebooting => {
                Now::UnderWay(Some(seen))
            }
            InstanceState::Running | InstanceState::Stopped | InstanceState::Other(_) => Now::Live(seen),
        },
        Some(Seen::Absent { asked_ms }) => {
            let young = asked_ms - object.accepted_ms < draft.input.options.visible_ms;
            if object.status == Status::Creating && young {
                Now::UnderWay(None)
            } else {
                Now::Missing(Reason::Vanished)
            }
        }
        None => Now::UnderWay(None),
    }
}

/// Plans one fleet.
pub(super) fn fleet<'a>(draft: &mut Draft<'a>, name: &'a Name, fleet: &'a Fleet) {
    super::lookups::fleet_place(draft, name, fleet);
    let Some(at) = image_at(draft, name, fleet) else { return };
    if !disk_fits(draft, name, fleet, &at) {
        return;
    }
    let block = Block::fleet(name);
    let rows = draft.objects_of(&block);
    if !place_kept(draft, name, fleet, &rows) {
        return;
    }
    let specs: BTreeMap<Zone, Arc<ObjectSpec>> = fleet
        .zones
        .iter()
        .map(|zone| (zone.clone(), Arc::new(ObjectSpec::Slot(Box::new(slot_spec(fleet, zone, &at))))))
        .collect();
    let mut rolling = Rolling::new(draft, name, fleet, block, at, specs);

    // Of each slot the newest generation counts; older ones were replaced and only have to go.
    let mut newest: BTreeMap<u32, &'a Object> = BTreeMap::new();
    let mut used: BTreeSet<(Zone, u32)> = BTreeSet::new();
    for row in &rows {
        if let (Some(zone), Some(ordinal)) = (&row.zone, row.ordinal) {
            used.insert((zone.clone(), ordinal));
        }
        if let Some(older) = row.addr.slot.and_then(|slot| newest.insert(slot, row)) {
            go(draft, older, Reason::NotInConfig);
        }
    }

    let (kept, dropped, fresh) = choose_slots(draft, fleet, &newest, &used);
    let (before, after) = (count_of(newest.len()), fleet.count);
    for row in dropped {
        go(draft, row, Reason::ScaledDown { from: before, to: after });
    }
    for row in kept {
        slot(draft, &mut rolling, row);
    }
    let reason = if newest.is_empty() { Reason::New } else { Reason::ScaledUp { from: before, to: after } };
    for (slot, zone, ordinal) in fresh {
        rolling.creations.push(Creation { slot, generation: 1, zone, ordinal, reason: reason.clone(), repair: false });
    }
    rollout::roll(draft, rolling);
}

fn count_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The image that the fleet runs from, in its region.
fn image_at(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet) -> Option<ImageAt> {
    if let Some(at) = draft.images.get(&(fleet.image.clone(), fleet.region.clone())) {
        return Some(at.clone());
    }
    // A managed image that could be planned, but not here; anything else has been refused already.
    if draft.current.contains_key(&fleet.image) {
        let regions: Vec<String> = draft
            .images
            .keys()
            .filter(|(image, _)| *image == fleet.image)
            .map(|(_, region)| region.to_string())
            .collect();
        draft.faults.push(
            Diagnostic::error(
                codes::IMAGE_NOT_IN_REGION,
                format!(
                    "fleet.{name} runs in {}, and image.{} is only in {}",
                    fleet.region,
                    fleet.image,
                    regions.join(", ")
                ),
            )
            .at(Desired::path(Kind::Fleet, name).key("image"))
            .why("an instance can only be launched from an image of its own region")
            .help(format!("add {} to `regions` of image.{}", fleet.region, fleet.image)),
        );
    }
    None
}

fn disk_fits(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet, at: &ImageAt) -> bool {
    let size = fleet.system_disk.size_gib.unwrap_or(DEFAULT_DISK_GIB);
    if size >= at.size_gib {
        return true;
    }
    let path = Desired::path(Kind::Fleet, name);
    draft.faults.push(
        Diagnostic::error(
            codes::DISK_TOO_SMALL,
            format!("image.{} needs a system disk of {} GiB, and this one has {size}", fleet.image, at.size_gib),
        )
        .at(path.key("system_disk").key("size"))
        .help(format!("set `system_disk: {{ size: {} }}`, or more", at.size_gib)),
    );
    false
}

/// A fleet that exists stays in its region and zones until this build can move it. A zone more is filled as it grows.
fn place_kept(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet, rows: &[&Object]) -> bool {
    let mut counts: BTreeMap<&Zone, u32> = fleet.zones.iter().map(|zone| (zone, 0)).collect();
    let mut moved = None;
    for row in rows {
        match row.zone.as_ref().and_then(|zone| counts.get_mut(zone)) {
            Some(count) => *count += 1,
            None => moved = Some("zones"),
        }
        if row.region != fleet.region {
            moved = Some("region");
        }
    }
    if moved.is_none() {
        uneven(draft, name, &counts, fleet.count);
    }
    let Some(key) = moved else { return true };
    draft.faults.push(
        Diagnostic::error(codes::UNSUPPORTED_YET, format!("fleet.{name} exists, and its {key} cannot be changed yet"))
            .at(Desired::path(Kind::Fleet, name).key(key))
            .help("declare a fleet of another name there, and remove this one when it has taken over"),
    );
    false
}

/// Says that a zone stays empty though another one has several slots: new slots go to the emptiest zone, but none is
/// moved there. It was added, or has lost all that it had.
fn uneven(draft: &mut Draft<'_>, name: &Name, counts: &BTreeMap<&Zone, u32>, wanted: u32) {
    let mut after: BTreeMap<&Zone, u32> = counts.clone();
    for _ in after.values().sum()..wanted {
        if let Some(emptiest) = after.values_mut().min() {
            *emptiest += 1;
        }
    }
    let empty = after.iter().find(|(_, count)| **count == 0).map(|(zone, _)| *zone);
    let full = after.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > 1);
    let (Some(empty), Some((full, count))) = (empty, full) else { return };
    draft.notes.push(
        Diagnostic::warning(codes::UNSUPPORTED_YET, format!("fleet.{name} has no instance in {empty}"))
            .at(Desired::path(Kind::Fleet, name).key("zones"))
            .why(format!("{full} has {count}; instances that run are not moved to another zone yet"))
            .help("those that the fleet grows by go to the emptiest zone"),
    );
}

fn slot_spec(fleet: &Fleet, zone: &Zone, at: &ImageAt) -> SlotSpec {
    let Fleet {
        image: _,
        count: _,
        region: _,
        zones: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        update: _,
        hostname,
        charge,
        placement_group,
        cam_role,
        power,
        protect,
        ignore_changes: _,
    } = fleet;
    let subnet = network.vpc.clone().zip(network.subnets.get(zone).cloned());
    SlotSpec {
        image: at.use_.clone(),
        instance_type: instance_type.clone(),
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: SlotNetwork { subnet, security_groups: network.security_groups.clone() },
        internet: internet.clone(),
        login: login.clone(),
        tags: tags.clone(),
        user_data: user_data.clone(),
        hostname: hostname.clone(),
        charge: charge.clone(),
        placement_group: placement_group.clone(),
        cam_role: cam_role.clone(),
        power: *power,
        protect: *protect,
    }
}

type Fresh = (u32, Zone, u32);

/// Which recorded slots stay, which go, and which new ones there are. Growing takes the lowest free index and the
/// emptiest zone; shrinking the highest slot of the fullest zone, but first those that have no instance anyway.
fn choose_slots<'o>(
    draft: &Draft<'_>,
    fleet: &Fleet,
    newest: &BTreeMap<u32, &'o Object>,
    used: &BTreeSet<(Zone, u32)>,
) -> (Vec<&'o Object>, Vec<&'o Object>, Vec<Fresh>) {
    let mut by_zone: BTreeMap<&Zone, BTreeSet<u32>> = fleet.zones.iter().map(|zone| (zone, BTreeSet::new())).collect();
    for (slot, row) in newest {
        if let Some(slots) = row.zone.as_ref().and_then(|zone| by_zone.get_mut(zone)) {
            slots.insert(*slot);
        }
    }
    let wanted = fleet.count as usize;
    let mut dropped = BTreeSet::new();
    let excess = newest.len().saturating_sub(wanted);
    if excess > 0 {
        let missing = newest.iter().rev().filter(|(_, row)| matches!(now(draft, row), Now::Missing(_) | Now::Leaving));
        dropped.extend(missing.map(|(slot, _)| *slot).take(excess));
        for slot in &dropped {
            for slots in by_zone.values_mut() {
                slots.remove(slot);
            }
        }
        while dropped.len() < excess {
            let Some(slots) = by_zone.values_mut().max_by_key(|slots| (slots.len(), slots.last().copied())) else {
                break;
            };
            let Some(highest) = slots.pop_last() else { break };
            dropped.insert(highest);
        }
    }
    let (gone, kept): (Vec<_>, Vec<_>) = newest.iter().partition(|(slot, _)| dropped.contains(*slot));
    let mut fresh = Vec::new();
    let mut free_slots = (0..).filter(|slot| !newest.contains_key(slot));
    let mut next_ordinal: BTreeMap<&Zone, u32> = BTreeMap::new();
    for _ in newest.len()..wanted {
        let emptiest = fleet.zones.iter().min_by_key(|zone| by_zone.get(zone).map_or(0, BTreeSet::len));
        let (Some(zone), Some(slot)) = (emptiest, free_slots.next()) else { break };
        let ordinal = next_ordinal.entry(zone).or_insert(0);
        while used.contains(&(zone.clone(), *ordinal)) {
            *ordinal += 1;
        }
        fresh.push((slot, zone.clone(), *ordinal));
        *ordinal += 1;
        if let Some(slots) = by_zone.get_mut(zone) {
            slots.insert(slot);
        }
    }
    (kept.into_iter().map(|(_, row)| *row).collect(), gone.into_iter().map(|(_, row)| *row).collect(), fresh)
}

/// Plans one recorded slot that stays.
fn slot<'a>(draft: &mut Draft<'a>, rolling: &mut Rolling<'a>, row: &'a Object) {
    let (Some(slot), Some(zone), Some(ordinal)) = (row.addr.slot, &row.zone, row.ordinal) else { return };
    let source = (rolling.name.clone(), slot);
    let (seen, ready) = match now(draft, row) {
        Now::Live(seen) => (Some(seen), Vec::new()),
        Now::UnderWay(seen) => (seen, vec![Need::Success(await_instance(draft, row, Until::Settled))]),
        Now::Leaving => {
            let step = leave(draft, row);
            rolling.creations.push(Creation {
                slot,
                generation: row.generation + 1,
                zone: zone.clone(),
                ordinal,
                reason: Reason::Vanished,
                repair: true,
            });
            rolling.before_creation.insert(Need::Over(step));
            return;
        }
        Now::Missing(reason) => {
            forget(draft, row, reason.clone(), Vec::new());
            let generation = row.generation + 1;
            rolling.creations.push(Creation { slot, generation, zone: zone.clone(), ordinal, reason, repair: true });
            return;
        }
    };
    if rolling.sources.contains_key(&slot)
        && let Some(id) = row.cloud_id.instance()
    {
        let at = SlotAt {
            id: Arg::Known(id.clone()),
            ready: ready.clone(),
            state: seen.filter(|_| ready.is_empty()).map(|seen| seen.state.clone()),
        };
        draft.slots.insert(source, at);
    }
    let (Some(seen), ObjectSpec::Slot(recorded)) = (seen, row.spec.as_ref()) else { return };
    let Some(ObjectSpec::Slot(wanted)) = rolling.specs.get(zone).map(Arc::as_ref) else { return };
    let name = format!("{}{ordinal}", rolling.prefix(zone));
    let ours = (rolling.tag.0.as_str(), rolling.tag.1.as_str());
    let diff = diff::slot(recorded, row.made_from.as_ref(), Wanted { spec: wanted, name: &name, ours }, seen);
    if diff == SlotDiff::default() {
        return;
    }
    let halted = seen.state == InstanceState::Stopped && draft.input.recorded.halted.contains(&seen.id);
    for attr in diff.attrs.iter().filter(|attr| attr.takes == Takes::Nothing) {
        // A builder that switched itself off is as it should be; what is waited for is not there yet, and what a run of
        // ours shut down is started again.
        let off = rolling.sources.get(&slot).is_some_and(|stopped| *stopped);
        let expected = attr.name == "state" && (off || halted || !ready.is_empty());
        if !expected {
            draft.drift.push(Drift {
                addr: row.full_addr(),
                attr: attr.name.to_owned(),
                recorded: draft.show(&attr.after, None),
                observed: draft.show(&attr.before, None),
            });
        }
    }
    let unsupported: Vec<&'static str> =
        diff.attrs.iter().filter(|attr| attr.takes == Takes::Unsupported).map(|attr| attr.name).collect();
    for attr in unsupported {
        rolling.unsupported(draft, attr);
    }
    let does_something = halted || diff.reset_failed || diff.attrs.iter().any(|attr| attr.takes != Takes::Nothing);
    if does_something {
        rolling.work.push(Work { slot, zone: zone.clone(), ordinal, row, seen, diff, halted, ready });
    }
}

/// What a call on an instance of ours relies on, and by what it is told afterwards whether the call took effect.
pub(super) fn instance_fact(draft: &Draft<'_>, region: &Region, id: &InstanceId) -> Option<Fact> {
    if !draft.input.options.from_memory {
        return seen_fact(draft, region, id);
    }
    let seen = draft.input.observed.instance(region, id)?.present()?;
    let Instance { image, instance_type, .. } = seen;
    let (image, instance_type) = (image.clone(), instance_type.clone());
    Some(Fact::Remembered { region: region.clone(), id: id.clone(), image, instance_type })
}

/// What a call on an instance that was looked at relies on.
pub(super) fn seen_fact(draft: &Draft<'_>, region: &Region, id: &InstanceId) -> Option<Fact> {
    let seen = draft.input.observed.instance(region, id)?.present()?;
    Some(Fact::Instance {
        region: region.clone(),
        id: id.clone(),
        image: seen.image.clone(),
        instance_type: seen.instance_type.clone(),
        latest_request: seen.latest.as_ref().and_then(|latest| latest.request_id.clone()),
    })
}

fn await_instance(draft: &mut Draft<'_>, row: &Object, until: Until) -> crate::cloud::call::StepId {
    let detail = detail(vec![Reason::UnderWay], Vec::new());
    draft.change(row.full_addr(), Action::Await, Some(row.cloud_id.clone()), &row.name, &detail);
    draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: row.region.clone() },
        targets: vec![known(row, Effect::Arrive)],
        expect: Vec::new(),
        settle: settle(until, draft.input.pace.launch_ms),
        holds: Vec::new(),
    })
}

/// Waits until an instance that is being destroyed is gone.
fn leave(draft: &mut Draft<'_>, row: &Object) -> crate::cloud::call::StepId {
    let detail = detail(vec![Reason::Vanished], Vec::new());
    draft.change(row.full_addr(), Action::Forget, Some(row.cloud_id.clone()), &row.name, &detail);
    let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance(&row.region, id)?.present());
    let frees = seen.filter(|seen| super::quota::counts(seen)).map(|seen| Hold {
        resource: Resource::Instances(row.region.clone(), seen.zone.clone()),
        at_start: 0,
        at_end: -1,
    });
    draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: row.region.clone() },
        targets: vec![known(row, Effect::Remove)],
        expect: Vec::new(),
        settle: settle(Until::Gone, draft.input.pace.terminate_ms),
        holds: frees.into_iter().collect(),
    })
}

/// Plans the end of a recorded instance: by a termination, or where it is gone already, by forgetting it.
pub(super) fn go<'a>(draft: &mut Draft<'a>, row: &'a Object, reason: Reason) {
    let (seen, needs) = match now(draft, row) {
        Now::Missing(why) => {
            forget(draft, row, why, Vec::new());
            return;
        }
        Now::Leaving => {
            leave(draft, row);
            return;
        }
        Now::Live(seen) => (Some(seen), Vec::new()),
        Now::UnderWay(seen) => (seen, vec![Need::Over(await_instance(draft, row, Until::Settled))]),
    };
    if seen.is_some_and(|seen| seen.protected) {
        draft.faults.push(
            Diagnostic::error(
                codes::PROTECTED,
                format!(
                    "{} ({}) must go, but the cloud protects it against termination",
                    row.full_addr(),
                    row.cloud_id
                ),
            )
            .why("somebody switched DisableApiTermination on")
            .help("switch it off in the console, or keep the slot in the config"),
        );
        return;
    }
    let detail = detail(vec![reason], Vec::new());
    draft.change(row.full_addr(), Action::Delete, Some(row.cloud_id.clone()), &row.name, &detail);
    let charge_type = seen.map_or_else(String::new, |seen| seen.charge_type.clone());
    draft.going.push(Going { row, charge_type, needs });
}

/// All that is recorded of fleets that the config no longer has.
pub(super) fn leftovers(draft: &mut Draft<'_>) {
    let reason = if draft.input.options.destroy { Reason::Destroy } else { Reason::NotInConfig };
    let blocks: Vec<Block> = draft
        .objects
        .keys()
        .filter(|block| block.kind == Kind::Fleet && !draft.input.desired.fleets.contains_key(&block.name))
        .map(|block| (*block).clone())
        .collect();
    for block in blocks {
        for row in draft.objects_of(&block) {
            go(draft, row, reason.clone());
        }
    }
}

/// The slots of a fleet that images are captured from, each with whether it is expected to switch itself off.
pub(super) fn sources(desired: &Desired, fleet: &Name) -> BTreeMap<u32, bool> {
    let mut sources = BTreeMap::new();
    for image in desired.images.values() {
        let Some(capture) = image.managed().and_then(ManagedImage::capture) else { continue };
        if let InstanceSource::Slot { fleet: from, slot } = &capture.source
            && from == fleet
        {
            *sources.entry(*slot).or_insert(false) |= capture.ready == Ready::Stopped || capture.power_off;
        }
    }
    sources
}

/// What comes before the ordinal in the names of a zone.
pub(super) fn prefix(desired: &Desired, fleet: &Name, zone: &Zone) -> String {
    naming::instance_prefix(&desired.project, &desired.env, fleet, zone)
}
