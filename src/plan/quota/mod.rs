//! Limited things at every moment: the most that a plan holds of each, and how steps are put in order so that it fits.
//!
//! Every step has a start and an end. At its start it takes what it makes, at its confirmed end it gives back what it
//! destroys; a failed image still holds its place, and a failed deletion gives nothing back. The steps of a plan may
//! overlap in any way that their needs allow, and any of them may fail: [`pairing`] finds the worst moment of all that
//! can come about, exactly. [`schedule`] puts steps in order where that moment is too much.

mod pairing;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::types::{Do, Hold, Need, Peak, Resource, Step};
use crate::cloud::call::{Arg, Body, StepId};
use crate::diagnostic::{Code, Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind, Part};
use crate::model::desired::Desired;
use crate::model::ids::{ImageId, InstanceType, Region, Zone};
use crate::model::limits::Quota;
use crate::model::observed::{Instance, InstanceState};
use crate::model::spec::{Charge, SlotSpec};
use pairing::{Before, most};
use schedule::{Order, Tight};

/// Puts the steps in an order in which nothing limited is exceeded, or says what cannot be.
pub(super) fn fit(draft: &mut Draft<'_>) -> Vec<Peak> {
    let resources: BTreeSet<Resource> =
        draft.steps.iter().flat_map(|step| &step.holds).map(|hold| hold.resource.clone()).collect();
    let limited: Vec<(Resource, Quota)> =
        resources.into_iter().map(|resource| (resource.clone(), room(draft, &resource))).collect();
    let mut worst = worst_moments(&draft.steps, &limited);
    let tight: Vec<Tight> = limited
        .iter()
        .zip(&worst)
        .filter(|((_, room), most)| over(*room, **most))
        .map(|((resource, room), _)| Tight {
            resource: resource.clone(),
            free: i64::from(room.total) - i64::from(room.used),
        })
        .collect();
    let mut hastened = Vec::new();
    if let Some(order) = order(draft, &tight) {
        hastened = keep_to(draft, order);
        worst = worst_moments(&draft.steps, &limited);
    }
    let mut peaks = Vec::new();
    for ((resource, room), most) in limited.into_iter().zip(worst) {
        let after: i64 = draft
            .steps
            .iter()
            .flat_map(|step| &step.holds)
            .filter(|hold| hold.resource == resource)
            .map(|hold| hold.at_start + hold.at_end)
            .sum();
        let peak = Peak {
            before: room.used,
            peak: clamp(i64::from(room.used) + most),
            after: clamp(i64::from(room.used) + after),
            limit: room.total,
            resource,
        };
        if over(room, most) {
            refuse(draft, &peak);
        }
        peaks.push(peak);
    }
    if draft.faults.is_empty() {
        draft.notes.extend(hastened);
    }
    peaks
}

/// An order in which nothing tight is exceeded; where there is none, one for as much of it as can be, so that only the
/// rest is refused.
fn order(draft: &Draft<'_>, tight: &[Tight]) -> Option<Order> {
    if tight.is_empty() {
        return None;
    }
    let hasty = hasty(draft);
    if let Some(order) = schedule::find(&draft.steps, tight, &hasty) {
        return Some(order);
    }
    let (mut fit, mut best) = (Vec::new(), None);
    for one in tight.iter().filter(|_| tight.len() > 1) {
        fit.push(one.clone());
        match schedule::find(&draft.steps, &fit, &hasty) {
            Some(order) => best = Some(order),
            None => drop(fit.pop()),
        }
    }
    best
}

fn worst_moments(steps: &[Step], limited: &[(Resource, Quota)]) -> Vec<i64> {
    let before = Before::of(steps);
    limited.iter().map(|(resource, _)| most(steps, &before, resource)).collect()
}

fn over(room: Quota, most: i64) -> bool {
    // What is over its limit already may stay so, or shrink: nothing of ours makes it worse.
    most > 0 && i64::from(room.used) + most > i64::from(room.total)
}

fn clamp(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whether an instance counts against the quota of pay-as-you-go instances. One that is being destroyed is taken to
/// count until it is gone.
fn counts(instance: &Instance) -> bool {
    let never_there = matches!(instance.state, InstanceState::LaunchFailed | InstanceState::Shutdown);
    instance.charge_type == Charge::Hourly.word() && !never_there
}

/// What new instances take. Of a type whose cores nobody knows, nothing is counted.
pub(super) fn takes(draft: &Draft<'_>, region: &Region, zone: &Zone, spec: &SlotSpec, count: u32) -> Option<Hold> {
    let (resource, units) = match &spec.charge {
        Charge::Hourly => (Resource::Instances(region.clone(), zone.clone()), i64::from(count)),
        Charge::Prepaid { .. } => (Resource::Prepaid(region.clone(), zone.clone()), i64::from(count)),
        Charge::Spot { .. } => {
            let cores = cores(draft, region, zone, &spec.instance_type)?;
            (Resource::SpotCores(region.clone(), zone.clone()), i64::from(count) * i64::from(cores))
        }
    };
    Some(Hold { resource, at_start: units, at_end: 0 })
}

fn cores(draft: &Draft<'_>, region: &Region, zone: &Zone, kind: &InstanceType) -> Option<u32> {
    let types = draft.input.observed.by_region.get(region)?.types.as_ref()?;
    Some(types.get(&(zone.clone(), kind.clone()))?.cpu)
}

/// What is free again once these are gone. A prepaid one gives nothing back: its quota is one of a month.
pub(super) fn frees<'i>(
    draft: &Draft<'_>,
    region: &Region,
    instances: impl IntoIterator<Item = &'i Instance>,
) -> Vec<Hold> {
    let mut units: BTreeMap<Resource, i64> = BTreeMap::new();
    for instance in instances {
        let (zone, charge_type) = (&instance.zone, &instance.charge_type);
        if counts(instance) {
            *units.entry(Resource::Instances(region.clone(), zone.clone())).or_default() += 1;
        } else if charge_type == SPOT
            && let Some(cores) = cores(draft, region, zone, &instance.instance_type)
        {
            *units.entry(Resource::SpotCores(region.clone(), zone.clone())).or_default() += i64::from(cores);
        }
    }
    units.into_iter().map(|(resource, units)| Hold { resource, at_start: 0, at_end: -units }).collect()
}

/// What another type takes of the quota of spot instances, or leaves of it: that is one of cores.
pub(super) fn resized(draft: &Draft<'_>, region: &Region, instance: &Instance, to: &InstanceType) -> Option<Hold> {
    let Instance { zone, charge_type, instance_type: from, .. } = instance;
    if charge_type != SPOT {
        return None;
    }
    let more = i64::from(cores(draft, region, zone, to)?) - i64::from(cores(draft, region, zone, from)?);
    let resource = Resource::SpotCores(region.clone(), zone.clone());
    (more != 0).then(|| Hold { resource, at_start: more.max(0), at_end: more.min(0) })
}

/// InstanceChargeType of spot instances (API text 2.2).
const SPOT: &str = "SPOTPAID";

fn told(quotas: Option<&BTreeMap<Zone, Quota>>, zone: &Zone) -> Option<Quota> {
    quotas?.get(zone).copied()
}

/// How much of a thing there is now, and how much there may be. What the cloud reports goes before the limits that are
/// only known; but no less is used than what was listed.
fn room(draft: &Draft<'_>, resource: &Resource) -> Quota {
    let input = draft.input;
    match resource {
        Resource::Images(region) => {
            let seen = input.observed.by_region.get(region);
            let listed = seen.and_then(|seen| seen.custom_images.as_ref()).map_or(0, BTreeMap::len);
            let reported = seen.and_then(|seen| seen.image_quota);
            of_listed(reported, count(listed), input.limits.images_per_region)
        }
        Resource::Instances(region, zone) => {
            let seen = input.observed.by_region.get(region);
            let listed = seen
                .into_iter()
                .flat_map(|seen| seen.instances.values().filter_map(|seen| seen.present()))
                .filter(|instance| instance.zone == *zone && counts(instance))
                .count();
            let reported = seen.and_then(|seen| seen.instance_quota.as_ref()).and_then(|zones| zones.get(zone));
            of_listed(reported.copied(), count(listed), input.limits.instances_per_zone)
        }
        Resource::Prepaid(region, zone) => {
            let seen = input.observed.by_region.get(region);
            of_listed(
                seen.and_then(|seen| told(seen.prepaid_quota.as_ref(), zone)),
                0,
                input.limits.prepaid_per_zone_and_month,
            )
        }
        Resource::SpotCores(region, zone) => {
            let seen = input.observed.by_region.get(region);
            of_listed(seen.and_then(|seen| told(seen.spot_quota.as_ref(), zone)), 0, input.limits.spot_cores_per_zone)
        }
        Resource::Shares(addr) => {
            let used = shared_now(draft, addr).unwrap_or(0);
            Quota { used: count(used), total: input.limits.accounts_per_image }
        }
    }
}

fn of_listed(reported: Option<Quota>, listed: u32, limit: u32) -> Quota {
    match reported {
        Some(Quota { used, total }) => Quota { used: used.max(listed), total },
        None => Quota { used: listed, total: limit },
    }
}

/// How many accounts the image of a share is shared with; `None` where it does not exist yet.
fn shared_now(draft: &Draft<'_>, addr: &Addr) -> Option<usize> {
    let share = draft.input.desired.shares.get(&addr.block.name)?;
    let Some(Part::Region(region)) = &addr.part else { return None };
    let at = draft.images.get(&(share.image.clone(), region.clone()))?;
    let seen = draft.input.observed.by_region.get(region)?;
    seen.shares.get(at.id.known()?).map(BTreeSet::len)
}

/// Deletions that wait out of courtesy, each with what it cannot do without: whoever still makes something of the image
/// comes first in any case.
fn hasty(draft: &Draft<'_>) -> BTreeMap<StepId, Vec<Need>> {
    let mut users: BTreeMap<&ImageId, Vec<Need>> = BTreeMap::new();
    for step in &draft.steps {
        let Do::Call(call) = &step.does else { continue };
        if let Some(Arg::Known(image)) = call.body.image() {
            users.entry(image).or_default().push(Need::Over(step.id));
        }
    }
    let mut hasty = draft.hasty.clone();
    for (step, least) in &mut hasty {
        let step = draft.steps.get(step.0 as usize);
        let Some(Do::Call(call)) = step.map(|step| &step.does) else { continue };
        if let Body::DeleteImages { images } = &call.body {
            least.extend(images.iter().filter_map(|image| users.get(image)).flatten().copied());
        }
    }
    hasty
}

/// Holds the steps to an order. Answers what a person should know about it.
fn keep_to(draft: &mut Draft<'_>, order: Order) -> Vec<Diagnostic> {
    let Order { after, hastened } = order;
    let mut notes = Vec::new();
    for (id, least) in hastened {
        let Some(step) = draft.steps.get_mut(id.0 as usize) else { continue };
        step.needs = least;
        step.needs.sort_unstable();
        step.needs.dedup();
        if let Some(target) = step.targets.first() {
            let note = format!(
                "{} goes before its successor is there: the quota leaves no room for both",
                target.addr.clone().generation(target.generation)
            );
            notes.push(Diagnostic::note(codes::IMAGE_QUOTA, note));
        }
    }
    for (id, others) in after {
        let leaving = |other: &StepId| {
            draft.steps.get(other.0 as usize).is_some_and(|step| matches!(step.does, Do::Await { .. }))
        };
        if others.iter().any(leaving) {
            draft.assumptions.insert("an instance that is being destroyed counts until it is gone".into());
        }
        let Some(step) = draft.steps.get_mut(id.0 as usize) else { continue };
        step.needs.extend(others.into_iter().map(Need::Success));
        step.needs.sort_unstable();
        step.needs.dedup();
    }
    notes
}

fn refuse(draft: &mut Draft<'_>, peak: &Peak) {
    let Peak { resource, before, peak: most, after, limit } = peak;
    let code: Code = match resource {
        Resource::Images(_) => codes::IMAGE_QUOTA,
        Resource::Instances(..) | Resource::Prepaid(..) | Resource::SpotCores(..) => codes::INSTANCE_QUOTA,
        Resource::Shares(_) => codes::SHARE_CAP,
    };
    let mut fault = Diagnostic::error(code, format!("{most} {resource} at the worst moment, and {limit} are allowed"))
        .why(format!("{before} are there now, {after} would be there in the end"));
    let takers =
        draft.steps.iter().filter(|step| step.holds.iter().any(|hold| hold.resource == *resource && hold.at_start > 0));
    let blocks: Vec<Block> = takers.flat_map(|step| &step.targets).map(|target| target.addr.block.clone()).collect();
    if let Some(block) = blocks.first() {
        let path = Desired::path(block.kind, &block.name);
        fault = match block.kind {
            Kind::Fleet => fault.at(path.key("count")),
            Kind::Image | Kind::Share => fault.at(path),
        };
    }
    draft.crowded.extend(blocks);
    if after <= limit {
        fault = fault.why("what goes cannot go before what comes: somebody uses it");
    }
    draft.faults.push(fault);
}
