//! A second opinion on a finished plan, by other means than those that made it.

mod fleets;

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::DiGraph;

use crate::cloud::call::{Arg, Body, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::Addr;
use crate::model::desired::Image as DesiredImage;
use crate::model::ids::{CloudId, ImageId, InstanceId, Name, Region, Version};
use crate::model::observed::ImageState;
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec};
use crate::plan::input::PlanInput;
use crate::plan::order::waits;
use crate::plan::sound;
use crate::plan::types::{Do, Effect, Need, Peak, Plan, Resource, Step};

/// Above this many steps, a peak is only compared with what is held when one step follows the other.
const MAX_STEPS: usize = 20_000;

/// Looks for what must never be in a plan. What it finds is a fault of this program.
#[must_use]
pub fn check(plan: &Plan, input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let mut wrong = sound::faults(plan);
    let well_ordered = wrong.is_empty();
    let waits = waits(&plan.steps);
    protected_images(plan, input, &mut wrong);
    if well_ordered {
        fleets::fleets(plan, input, &waits, &mut wrong);
        users_first(plan, input, &waits, &mut wrong);
        peaks(plan, input, &mut wrong);
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

/// What is protected by the config, now or when it was applied last, is not deleted; but of a creation that the cloud gave
/// up there is nothing to lose.
fn protected_images(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    let mut protected: BTreeSet<(&Region, &ImageId)> = BTreeSet::new();
    for row in &input.recorded.objects {
        let (ObjectSpec::Image(spec), Some(id)) = (row.spec.as_ref(), row.cloud_id.image()) else { continue };
        let declared = input.desired.images.get(&row.addr.block.name).and_then(DesiredImage::managed);
        let failed = input.observed.image(&row.region, id).is_some_and(|seen| {
            let state = seen.present().map(|seen| &seen.state);
            matches!(state, Some(ImageState::CreateFailed | ImageState::ImportFailed))
        });
        if !failed && (spec.protect || declared.is_some_and(|image| image.protect)) {
            protected.insert((&row.region, id));
        }
    }
    for step in &plan.steps {
        if let Do::Call(call) = &step.does
            && let Body::DeleteImages { images } = &call.body
        {
            for id in images.iter().filter(|id| protected.contains(&(&call.region, *id))) {
                wrong.push(format!("{} deletes {id}, which is protected", step.id));
            }
        }
    }
}

/// An image is deleted after whoever is moved away from it was moved, unless a creation waits for the place that it
/// leaves; after its shares were cancelled; and after the last step that makes something of it.
fn users_first(plan: &Plan, input: &PlanInput<'_>, waits: &[BTreeSet<StepId>], wrong: &mut Vec<String>) {
    let acts = Acts::of(plan);
    if acts.deletions.is_empty() {
        return;
    }
    let mut users: BTreeMap<(&Name, &Version, u32, &Region), Vec<&Object>> = BTreeMap::new();
    let mut images: BTreeMap<&CloudId, &Object> = BTreeMap::new();
    for object in &input.recorded.objects {
        match object.spec.as_ref() {
            ObjectSpec::Slot(spec) => {
                if let ImageUse::Made { image, version, generation } = &spec.image {
                    users.entry((image, version, *generation, &object.region)).or_default().push(object);
                }
            }
            ObjectSpec::Image(_) => drop(images.insert(&object.cloud_id, object)),
            ObjectSpec::Share(_) => {}
        }
    }
    let moved = moved(plan);
    for (step, region, image) in &acts.deletions {
        let before = ancestors(waits, *step);
        for (user, what) in acts.uses.get(image).into_iter().flatten().filter(|(user, _)| !before.contains(user)) {
            wrong.push(format!("{step} deletes {image} without waiting for {user}, which {what}"));
        }
        let Some(row) = images.get(&CloudId::Image((*image).clone())) else { continue };
        let Some(version) = &row.addr.version else { continue };
        let key = (&row.addr.block.name, version, row.generation, *region);
        let stays = |user: &&&Object| !moved.contains(&(&user.addr, user.generation));
        for user in users.get(&key).into_iter().flatten().filter(stays) {
            wrong.push(format!("{step} deletes {image}, and {} goes on running from it", user.addr));
        }
        let ends = users
            .get(&key)
            .into_iter()
            .flatten()
            .flat_map(|user| acts.ends.get(&user.cloud_id).into_iter().flatten().map(|end| (*end, *user)));
        let (in_time, late): (Vec<(End, &Object)>, _) = ends.partition(|(end, _)| before.contains(&end.step));
        if makes_room(plan, waits, *step, region) {
            continue;
        }
        for (End { step: end, handed: _ }, user) in late {
            wrong.push(format!("{step} deletes {image} without waiting for {end}, which moves {}", user.addr));
        }
        let needs: BTreeSet<&Need> = plan.steps.get(step.0 as usize).iter().flat_map(|step| &step.needs).collect();
        for (End { step: end, handed: _ }, user) in in_time.into_iter().filter(|(end, _)| end.handed) {
            if !needs.contains(&Need::Whole(end)) {
                wrong.push(format!("{step} deletes {image} also where {end} leaves {} running from it", user.addr));
            }
        }
    }
}

/// Slots that steps take away, or make to run from something: none of them runs on as it was.
fn moved(plan: &Plan) -> BTreeSet<(&Addr, u32)> {
    let moves = |step: &&Step| match &step.does {
        Do::Call(call) => call.body.runs_from().is_some(),
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => false,
    };
    let gone = plan.steps.iter().flat_map(|step| &step.targets).filter(|target| target.effect == Effect::Remove);
    let installed = plan.steps.iter().filter(moves).flat_map(|step| &step.targets);
    gone.chain(installed).map(|target| (&target.addr, target.generation)).collect()
}

/// Whether a creation in the region waits for a step.
fn makes_room(plan: &Plan, waits: &[BTreeSet<StepId>], step: StepId, region: &Region) -> bool {
    let place = Resource::Images(region.clone());
    plan.steps.iter().zip(waits).any(|(taker, waits)| {
        waits.contains(&step) && taker.holds.iter().any(|hold| hold.resource == place && hold.at_start > 0)
    })
}

/// A step after which an instance does not run from its image any more.
#[derive(Clone, Copy)]
struct End {
    step: StepId,
    /// Whether another step hands the instance on, so that this one may leave it out and succeed all the same.
    handed: bool,
}

/// What the calls of a plan do, by what they do it to.
#[derive(Default)]
struct Acts<'a> {
    deletions: Vec<(StepId, &'a Region, &'a ImageId)>,
    /// Steps after which an instance is gone, or runs from another image.
    ends: BTreeMap<CloudId, Vec<End>>,
    /// Steps that need an image to be there.
    uses: BTreeMap<&'a ImageId, Vec<(StepId, &'static str)>>,
}

impl<'a> Acts<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut acts = Self::default();
        for step in &plan.steps {
            let Do::Call(call) = &step.does else { continue };
            let used = match &call.body {
                Body::DeleteImages { images } => {
                    acts.deletions.extend(images.iter().map(|image| (step.id, &call.region, image)));
                    None
                }
                Body::TerminateInstances { instances } => {
                    acts.end(step, instances.iter().filter_map(Arg::known));
                    None
                }
                Body::ResetInstance { instance, image, .. } => {
                    acts.end(step, std::iter::once(instance));
                    Some((image, "installs it"))
                }
                Body::ShareImage { image, cancel: true, .. } => Some((image, "cancels its shares")),
                Body::ShareImage { image, cancel: false, .. } => Some((image, "shares it")),
                Body::SyncImages { image, .. } => Some((image, "copies it")),
                Body::RunInstances(launch) => Some((&launch.image, "launches from it")),
                Body::ModifyImage { .. }
                | Body::CreateImage { .. }
                | Body::ImportImage { .. }
                | Body::StopInstances { .. }
                | Body::StartInstances { .. }
                | Body::ResizeInstance { .. }
                | Body::ModifyInstances { .. }
                | Body::TagResources { .. }
                | Body::UntagResources { .. }
                | Body::Describe(_) => None,
            };
            if let Some((Arg::Known(image), what)) = used {
                acts.uses.entry(image).or_default().push((step.id, what));
            }
        }
        acts
    }

    fn end<'i>(&mut self, step: &Step, instances: impl Iterator<Item = &'i InstanceId>) {
        for (target, instance) in step.targets.iter().zip(instances) {
            let handed = matches!(target.id, Some(Arg::Output { .. }));
            self.ends.entry(CloudId::Instance(instance.clone())).or_default().push(End { step: step.id, handed });
        }
    }
}

fn ancestors(waits: &[BTreeSet<StepId>], step: StepId) -> BTreeSet<StepId> {
    let mut seen = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        for other in waits.get(step.0 as usize).into_iter().flatten() {
            if seen.insert(*other) {
                open.push(*other);
            }
        }
    }
    seen
}

/// The worst moments once more: a set of events that is closed under "must have happened before", with the greatest sum
/// of weights, is what a minimum cut leaves.
fn peaks(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    let mut told: BTreeMap<&Resource, &Peak> = BTreeMap::new();
    for peak in &plan.peaks {
        told.insert(&peak.resource, peak);
        let Peak { resource, before, peak, after: _, limit } = peak;
        let (used, allowed) = told_by_the_cloud(input, resource);
        if *before < used || *limit > allowed {
            wrong.push(format!("{resource}: {used} of {allowed}, and the plan says {before} of {limit}"));
        }
        let in_a_row = one_by_one(&plan.steps, resource);
        let most = if plan.steps.len() > MAX_STEPS { in_a_row } else { most(&plan.steps, resource) };
        let found = i64::from(*before) + most;
        let differs = if plan.steps.len() > MAX_STEPS { found > i64::from(*peak) } else { found != i64::from(*peak) };
        if differs || in_a_row > most {
            wrong.push(format!("{resource}: the worst moment was put at {peak}, and is {found}"));
        }
        if most > 0 && found > i64::from(*limit) {
            wrong.push(format!("{resource}: {found} at the worst moment, {limit} allowed"));
        }
    }
    let held = plan.steps.iter().flat_map(|step| &step.holds);
    let untold: BTreeSet<&Resource> =
        held.map(|hold| &hold.resource).filter(|resource| !told.contains_key(resource)).collect();
    wrong.extend(untold.into_iter().map(|resource| format!("{resource}: nobody counted")));
}

/// At least how much is used, and at most how much is allowed.
fn told_by_the_cloud(input: &PlanInput<'_>, resource: &Resource) -> (u32, u32) {
    let region = match resource {
        Resource::Images(region)
        | Resource::Instances(region, _)
        | Resource::Prepaid(region, _)
        | Resource::SpotCores(region, _) => Some(region),
        Resource::Shares(_) => None,
    };
    let seen = region.and_then(|region| input.observed.by_region.get(region));
    let (quota, known) = match resource {
        Resource::Images(_) => (seen.and_then(|seen| seen.image_quota), input.limits.images_per_region),
        Resource::Instances(_, zone) => {
            (seen.and_then(|seen| seen.instance_quota.as_ref()?.get(zone).copied()), input.limits.instances_per_zone)
        }
        Resource::Prepaid(_, zone) => (
            seen.and_then(|seen| seen.prepaid_quota.as_ref()?.get(zone).copied()),
            input.limits.prepaid_per_zone_and_month,
        ),
        Resource::SpotCores(_, zone) => {
            (seen.and_then(|seen| seen.spot_quota.as_ref()?.get(zone).copied()), input.limits.spot_cores_per_zone)
        }
        Resource::Shares(_) => (None, input.limits.accounts_per_image),
    };
    quota.map_or((0, known), |quota| (quota.used, quota.total))
}

/// What is held at most when one step follows the other.
fn one_by_one(steps: &[Step], resource: &Resource) -> i64 {
    let (mut held, mut most) = (0, 0);
    for hold in steps.iter().flat_map(|step| &step.holds).filter(|hold| hold.resource == *resource) {
        held += hold.at_start;
        most = most.max(held);
        held += hold.at_end;
    }
    most
}

pub(in crate::plan) fn most(steps: &[Step], resource: &Resource) -> i64 {
    let held = || {
        steps.iter().flat_map(|step| {
            let mine = step.holds.iter().filter(|hold| hold.resource == *resource);
            mine.map(|hold| (step.id, hold.at_start, hold.at_end))
        })
    };
    let taken: i64 = held().map(|(_, at_start, _)| at_start.max(0)).sum();
    // Two nodes a step, its start and its end; an edge leads to what must have happened before.
    let mut graph: DiGraph<(), u64> = DiGraph::with_capacity(2 * steps.len() + 2, 4 * steps.len());
    let (source, sink) = (graph.add_node(()), graph.add_node(()));
    let nodes: Vec<_> = steps.iter().map(|_| (graph.add_node(()), graph.add_node(()))).collect();
    let never = u64::try_from(taken).unwrap_or(u64::MAX / 2) + 1;
    for (step, (start, end)) in steps.iter().zip(&nodes) {
        graph.add_edge(*end, *start, never);
        for need in &step.needs {
            // What is only over may have failed, or been skipped: then it gave nothing back.
            if let Some((_, ended)) = need.success().and_then(|other| nodes.get(other.0 as usize)) {
                debug_assert_ne!(need.step(), step.id);
                graph.add_edge(*start, *ended, never);
            }
        }
        for other in handed(step) {
            if let Some((started, _)) = nodes.get(other.0 as usize) {
                graph.add_edge(*start, *started, never);
            }
        }
    }
    for (step, at_start, at_end) in held() {
        let Some((start, end)) = nodes.get(step.0 as usize) else { continue };
        if let Ok(weight @ 1..) = u64::try_from(at_start) {
            graph.add_edge(source, *start, weight);
        }
        if at_end < 0 {
            graph.add_edge(*end, sink, at_end.unsigned_abs());
        }
    }
    let (cut, _) = dinics(&graph, source, sink);
    taken - i64::try_from(cut).unwrap_or(i64::MAX)
}

/// Steps that must have started, for their ids are handed to this one's call.
fn handed(step: &Step) -> Vec<StepId> {
    match &step.does {
        Do::Call(call) => match call.body {
            // These go on for the things that are there.
            Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::StopInstances { .. }
            | Body::TerminateInstances { .. } => Vec::new(),
            Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::DeleteImages { .. }
            | Body::StartInstances { .. }
            | Body::ResetInstance { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::Describe(_) => call.body.outputs().into_iter().map(|(step, _)| step).collect(),
        },
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => Vec::new(),
    }
}
