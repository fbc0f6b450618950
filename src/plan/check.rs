//! A second opinion on a finished plan, by other means than those that made it.

use std::collections::{BTreeMap, BTreeSet};

use super::input::PlanInput;
use super::types::{Do, Plan, Resource, Step};
use crate::cloud::call::{Body, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::ids::{CloudId, InstanceId};
use crate::model::observed::Seen;
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec};

/// Above this many steps, peaks are not computed a second time.
const MAX_STEPS: usize = 5_000;

/// Looks for what must never be in a plan. What it finds is a fault of this program.
#[must_use]
pub fn check(plan: &Plan, input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let mut wrong: Vec<String> = Vec::new();
    let well_ordered = numbered(plan, &mut wrong);
    protected(plan, input, &mut wrong);
    if well_ordered {
        users_first(plan, input, &mut wrong);
        peaks(plan, &mut wrong);
    }
    wrong
        .into_iter()
        .map(|what| {
            Diagnostic::error(codes::SELF_CHECK, format!("the plan failed its own check: {what}"))
                .why("nothing was changed; this is a fault of fleetwright, not of the config")
                .help("please report it with the config and the output of `plan --json`")
        })
        .collect()
}

/// Needs exist, and stand before the step; so there is no circle either.
fn numbered(plan: &Plan, wrong: &mut Vec<String>) -> bool {
    let before = wrong.len();
    for (n, step) in plan.steps.iter().enumerate() {
        if step.id.0 as usize != n {
            wrong.push(format!("{} stands at place {n}", step.id));
        }
        for other in step.waits_for() {
            if other >= step.id {
                wrong.push(format!("{} waits for {other}, which does not come before it", step.id));
            }
        }
        if step.targets.is_empty() {
            wrong.push(format!("{} has no target", step.id));
        }
    }
    wrong.len() == before
}

/// What the cloud protects is not terminated.
fn protected(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    let protected: BTreeSet<&InstanceId> = input
        .observed
        .by_region
        .values()
        .flat_map(|seen| seen.instances.values().filter_map(Seen::present))
        .filter(|instance| instance.protected)
        .map(|instance| &instance.id)
        .collect();
    if protected.is_empty() {
        return;
    }
    for step in &plan.steps {
        if let Do::Call(call) = &step.does
            && let Body::TerminateInstances { instances } = &call.body
        {
            for id in instances.iter().filter(|id| protected.contains(id)) {
                wrong.push(format!("{} terminates {id}, which is protected", step.id));
            }
        }
    }
}

/// An image is deleted after whoever is moved away from it was moved, unless the quota made it go first; and it is
/// un-shared before.
fn users_first(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    let mut ends: BTreeMap<&CloudId, Vec<StepId>> = BTreeMap::new();
    let mut cancels: BTreeMap<CloudId, Vec<StepId>> = BTreeMap::new();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        match &call.body {
            Body::TerminateInstances { .. } | Body::ResetInstance { .. } => {
                for target in &step.targets {
                    if let Some(crate::cloud::call::Arg::Known(id)) = &target.id {
                        ends.entry(id).or_default().push(step.id);
                    }
                }
            }
            Body::ShareImage { image: crate::cloud::call::Arg::Known(image), cancel: true, .. } => {
                cancels.entry(CloudId::Image(image.clone())).or_default().push(step.id);
            }
            Body::ShareImage { .. }
            | Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::SyncImages { .. }
            | Body::DescribeImageAs { .. }
            | Body::DeleteImages { .. }
            | Body::StopInstances { .. }
            | Body::StartInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => {}
        }
    }
    let images: BTreeMap<&CloudId, &Object> = input
        .recorded
        .objects
        .iter()
        .filter(|object| matches!(object.spec.as_ref(), ObjectSpec::Image(_)))
        .map(|object| (&object.cloud_id, object))
        .collect();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        let Body::DeleteImages { images: deleted } = &call.body else { continue };
        let before = ancestors(plan, step.id);
        for id in deleted {
            let id = CloudId::Image(id.clone());
            for cancel in cancels.get(&id).into_iter().flatten().filter(|cancel| !before.contains(cancel)) {
                wrong.push(format!("{} deletes {id} without waiting for {cancel}, which cancels its shares", step.id));
            }
            let hastened = plan.notes.iter().any(|note| note.code == codes::IMAGE_QUOTA);
            let Some(image) = images.get(&id).filter(|_| !hastened) else { continue };
            for user in input.recorded.objects.iter().filter(|object| uses(object, image)) {
                let ends = ends.get(&user.cloud_id).into_iter().flatten();
                for end in ends.filter(|end| !before.contains(end)) {
                    wrong
                        .push(format!("{} deletes {id} without waiting for {end}, which moves {}", step.id, user.addr));
                }
            }
        }
    }
}

fn uses(object: &Object, image: &Object) -> bool {
    let ObjectSpec::Slot(spec) = object.spec.as_ref() else { return false };
    match &spec.image {
        ImageUse::Made { image: name, version, generation } => {
            *name == image.addr.block.name
                && image.addr.version.as_ref() == Some(version)
                && image.generation == *generation
                && object.region == image.region
        }
        ImageUse::Found { .. } => false,
    }
}

fn ancestors(plan: &Plan, step: StepId) -> BTreeSet<StepId> {
    let mut seen = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        for other in plan.steps.get(step.0 as usize).map(Step::waits_for).unwrap_or_default() {
            if seen.insert(other) {
                open.push(other);
            }
        }
    }
    seen
}

/// The worst moments once more, by matching: what takes is paired with what must have been given back before it. By
/// König's theorem the unpaired rest is the peak.
fn peaks(plan: &Plan, wrong: &mut Vec<String>) {
    if plan.steps.len() > MAX_STEPS {
        return;
    }
    for peak in &plan.peaks {
        let most = most(&plan.steps, &peak.resource);
        let found = i64::from(peak.before) + most;
        if found != i64::from(peak.peak) && !(found < 0 && peak.peak == 0) {
            wrong.push(format!("{}: the worst moment was put at {}, and is {found}", peak.resource, peak.peak));
        }
        if most > 0 && found > i64::from(peak.limit) {
            wrong.push(format!("{}: {found} at the worst moment, {} allowed", peak.resource, peak.limit));
        }
    }
}

fn most(steps: &[Step], resource: &Resource) -> i64 {
    let weight = |step: &Step| {
        let mine = step.holds.iter().filter(|hold| hold.resource == *resource);
        mine.fold((0_i64, 0_i64), |(start, end), hold| (start + hold.at_start, end - hold.at_end))
    };
    let weights: Vec<(i64, i64)> = steps.iter().map(weight).collect();
    // Which givers are over when a step starts.
    let mut over: Vec<BTreeSet<usize>> = Vec::with_capacity(steps.len());
    for step in steps {
        let mut mine = BTreeSet::new();
        for other in step.waits_for() {
            let other = other.0 as usize;
            mine.extend(over.get(other).into_iter().flatten().copied());
            if weights.get(other).is_some_and(|(_, gives)| *gives > 0) {
                mine.insert(other);
            }
        }
        over.push(mine);
    }
    let mut left: Vec<i64> = weights.iter().map(|(_, gives)| *gives).collect();
    let mut given: Vec<BTreeMap<usize, i64>> = vec![BTreeMap::new(); steps.len()];
    let mut unpaired = 0;
    for taker in 0..steps.len() {
        let mut wants = weights.get(taker).map_or(0, |(takes, _)| (*takes).max(0));
        while wants > 0 && pair(taker, &over, &mut left, &mut given, &mut BTreeSet::new()) {
            wants -= 1;
        }
        unpaired += wants;
    }
    unpaired
}

/// Pairs one unit of a taker with a giver, moving other takers where that makes room (an augmenting path).
fn pair(
    taker: usize,
    over: &[BTreeSet<usize>],
    left: &mut [i64],
    given: &mut [BTreeMap<usize, i64>],
    tried: &mut BTreeSet<usize>,
) -> bool {
    let givers: Vec<usize> = over.get(taker).into_iter().flatten().copied().collect();
    for giver in givers {
        if !tried.insert(giver) {
            continue;
        }
        let free = left.get(giver).is_some_and(|left| *left > 0);
        if free {
            left[giver] -= 1;
        } else {
            let others: Vec<usize> = given[giver].iter().filter(|(_, n)| **n > 0).map(|(other, _)| *other).collect();
            let Some(moved) =
                others.into_iter().find(|other| *other != taker && pair(*other, over, left, given, tried))
            else {
                continue;
            };
            if let Some(n) = given[giver].get_mut(&moved) {
                *n -= 1;
            }
        }
        *given[giver].entry(taker).or_default() += 1;
        return true;
    }
    false
}
