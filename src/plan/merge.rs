//! Equal calls of several blocks become one, as far as a call's list goes.
//!
//! Only what waits for nothing but others of these is put together, and only where nobody waits for its success: what
//! fails in one block then holds nothing up in another.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Do, Fact, Need, Step, Target};
use crate::cloud::call::{Arg, Body, Call, InstanceAttr, MAX_BATCH, MAX_TAG_RESOURCES, StepId, TagTarget};
use crate::model::desired::Tags;
use crate::model::ids::{CloudId, ImageId, InstanceId, Region};

/// Calls that can be put together. One that another waits for stands before it, in the order in which an instance is
/// changed: so no two of them come to wait for each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// No two instances are to be called the same; but what waits for it can be put together.
    Rename(StepId),
    Modify(Region, InstanceAttr),
    Tag(Tags),
    Untag(BTreeSet<String>),
    ModifyLast(Region, InstanceAttr),
    Start(Region),
    Stop(Region),
}

impl Class {
    fn of(step: &Step) -> Option<Self> {
        let Do::Call(Call { account: _, region, body }) = &step.does else { return None };
        let plain = step.holds.is_empty() && body.batch() == step.targets.len();
        let known = |fact: &Fact| matches!(fact, Fact::Instances { .. } | Fact::Image { .. });
        if !plain || !step.expect.iter().all(known) {
            return None;
        }
        match body {
            Body::ModifyInstances { instances: _, set } => {
                let (region, set) = (region.clone(), set.clone());
                match set {
                    InstanceAttr::Name(_) => Some(Self::Rename(step.id)),
                    InstanceAttr::Hostname(_) => None,
                    InstanceAttr::CamRole(None) | InstanceAttr::Protection(false) => {
                        Some(Self::ModifyLast(region, set))
                    }
                    InstanceAttr::SecurityGroups(_)
                    | InstanceAttr::CamRole(Some(_))
                    | InstanceAttr::Protection(true) => Some(Self::Modify(region, set)),
                }
            }
            Body::TagResources { resources: _, tags } => Some(Self::Tag(tags.clone())),
            Body::UntagResources { resources: _, keys } => Some(Self::Untag(keys.clone())),
            Body::StartInstances { .. } => Some(Self::Start(region.clone())),
            Body::StopInstances { .. } => Some(Self::Stop(region.clone())),
            Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::DeleteImages { .. }
            | Body::TerminateInstances { .. }
            | Body::ResetInstance { .. }
            | Body::ResizeInstance { .. }
            | Body::Describe(_) => None,
        }
    }

    fn most(&self) -> usize {
        match self {
            Self::Tag(_) | Self::Untag(_) => MAX_TAG_RESOURCES,
            Self::Rename(_) | Self::Modify(..) | Self::ModifyLast(..) | Self::Start(_) | Self::Stop(_) => MAX_BATCH,
        }
    }
}

/// Which target of which step.
type Output = (StepId, u32);

/// What a call names for one of its targets.
enum Item {
    Instance(InstanceId),
    Awaited(Arg<InstanceId>),
    Resource(TagTarget),
}

/// One target with all that belongs to it.
struct Part {
    target: Target,
    item: Item,
    from: usize,
}

/// Puts equal calls together. Steps that are no longer there leave gaps in the numbers.
pub(super) fn calls(mut steps: Vec<Step>) -> Vec<Step> {
    let classes = mergeable(&steps);
    let mut groups: BTreeMap<&Class, Vec<usize>> = BTreeMap::new();
    for (n, class) in &classes {
        groups.entry(class).or_default().push(*n);
    }
    let mut moved: BTreeMap<Output, Output> = BTreeMap::new();
    let mut became: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    let mut gone: BTreeSet<StepId> = BTreeSet::new();
    for (class, group) in groups {
        let targets: usize = group.iter().filter_map(|n| steps.get(*n)).map(|step| step.targets.len()).sum();
        let most = class.most();
        if targets.div_ceil(most) >= group.len() || named_twice(&steps, &group) {
            continue;
        }
        let old: Vec<Step> = group.iter().filter_map(|n| steps.get(*n).cloned()).collect();
        let mut parts = old.iter().enumerate().flat_map(|(n, step)| parts(step, n)).peekable();
        let mut places = group.iter();
        while parts.peek().is_some() {
            let chunk: Vec<Part> = parts.by_ref().take(most).collect();
            let Some(step) = places.next().and_then(|place| steps.get_mut(*place)) else { break };
            for (part, at) in chunk.iter().zip(0..) {
                let Some(was) = old.get(part.from) else { continue };
                let n = was.targets.iter().zip(0..).find(|(target, _)| **target == part.target).map_or(0, |(_, n)| n);
                moved.insert((was.id, n), (step.id, at));
                became.entry(was.id).or_default().insert(step.id);
            }
            put_together(step, &old, chunk);
        }
        gone.extend(places.filter_map(|place| steps.get(*place)).map(|step| step.id));
    }
    if gone.is_empty() {
        return steps;
    }
    steps.retain(|step| !gone.contains(&step.id));
    let to = |output: Output| moved.get(&output).copied().unwrap_or(output);
    for step in &mut steps {
        let needs = step.needs.iter().flat_map(|need| match became.get(&need.step()) {
            Some(several) => several.iter().copied().map(Need::Over).collect(),
            None => vec![*need],
        });
        let needs: BTreeSet<Need> = needs.collect();
        step.needs = needs.into_iter().collect();
        if let Do::Call(call) = &mut step.does {
            call.body.redirect(&to);
        }
        for id in step.targets.iter_mut().filter_map(|target| target.id.as_mut()) {
            id.redirect(&to);
        }
    }
    steps
}

/// The steps that can be put together, by their places.
fn mergeable(steps: &[Step]) -> BTreeMap<usize, Class> {
    let needs = steps.iter().flat_map(|step| &step.needs);
    let successes: BTreeSet<StepId> = needs.filter_map(|need| need.success()).collect();
    let mut classes: BTreeMap<usize, Class> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !successes.contains(&step.id))
        .filter_map(|(n, step)| Some((n, Class::of(step)?)))
        .collect();
    loop {
        let by_id: BTreeMap<StepId, &Class> =
            classes.iter().filter_map(|(n, class)| Some((steps.get(*n)?.id, class))).collect();
        let waits_for_more = |(n, class): (&usize, &Class)| {
            let step = steps.get(*n)?;
            step.waits_for().iter().any(|other| by_id.get(other).is_none_or(|before| *before >= class)).then_some(*n)
        };
        let out: Vec<usize> = classes.iter().filter_map(waits_for_more).collect();
        if out.is_empty() {
            return classes;
        }
        for n in out {
            classes.remove(&n);
        }
    }
}

/// Whether several steps act on one thing: then they stay as they are.
fn named_twice(steps: &[Step], group: &[usize]) -> bool {
    let mut seen = BTreeSet::new();
    let targets = group.iter().filter_map(|n| steps.get(*n)).flat_map(|step| &step.targets);
    targets.into_iter().any(|target| !seen.insert((&target.addr, target.generation)))
}

fn parts(step: &Step, from: usize) -> Vec<Part> {
    let Do::Call(call) = &step.does else { return Vec::new() };
    let items: Vec<Item> = match &call.body {
        Body::ModifyInstances { instances, .. } | Body::StartInstances { instances } => {
            instances.iter().cloned().map(Item::Instance).collect()
        }
        Body::StopInstances { instances } => instances.iter().cloned().map(Item::Awaited).collect(),
        Body::TagResources { resources, .. } | Body::UntagResources { resources, .. } => {
            resources.iter().cloned().map(Item::Resource).collect()
        }
        Body::RunInstances(_)
        | Body::CreateImage { .. }
        | Body::ImportImage { .. }
        | Body::SyncImages { .. }
        | Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::DeleteImages { .. }
        | Body::TerminateInstances { .. }
        | Body::ResetInstance { .. }
        | Body::ResizeInstance { .. }
        | Body::Describe(_) => Vec::new(),
    };
    step.targets.iter().cloned().zip(items).map(|(target, item)| Part { target, item, from }).collect()
}

/// Makes a step the one of these parts; it goes on with what all that they come from wait for, and rely on.
fn put_together(step: &mut Step, old: &[Step], chunk: Vec<Part>) {
    let from: BTreeSet<usize> = chunk.iter().map(|part| part.from).collect();
    let sources: Vec<&Step> = from.iter().filter_map(|n| old.get(*n)).collect();
    let ids: BTreeSet<&CloudId> =
        chunk.iter().filter_map(|part| part.target.id.as_ref().and_then(Arg::known)).collect();
    let needs: BTreeSet<Need> = sources.iter().flat_map(|step| &step.needs).copied().collect();
    step.needs = needs.into_iter().collect();
    step.expect = facts(&sources, &ids);
    let (mut instances, mut awaited, mut resources) = (Vec::new(), Vec::new(), Vec::new());
    let mut targets = Vec::new();
    for Part { target, item, from: _ } in chunk {
        targets.push(target);
        match item {
            Item::Instance(id) => instances.push(id),
            Item::Awaited(arg) => awaited.push(arg),
            Item::Resource(resource) => resources.push(resource),
        }
    }
    step.targets = targets;
    let Do::Call(call) = &mut step.does else { return };
    match &mut call.body {
        Body::ModifyInstances { instances: all, .. } | Body::StartInstances { instances: all } => *all = instances,
        Body::StopInstances { instances: all } => *all = awaited,
        Body::TagResources { resources: all, .. } | Body::UntagResources { resources: all, .. } => *all = resources,
        Body::RunInstances(_)
        | Body::CreateImage { .. }
        | Body::ImportImage { .. }
        | Body::SyncImages { .. }
        | Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::DeleteImages { .. }
        | Body::TerminateInstances { .. }
        | Body::ResetInstance { .. }
        | Body::ResizeInstance { .. }
        | Body::Describe(_) => {}
    }
}

/// What these steps rely on, as far as it is about these things.
fn facts(sources: &[&Step], ids: &BTreeSet<&CloudId>) -> Vec<Fact> {
    let mut instances: BTreeMap<&Region, BTreeSet<InstanceId>> = BTreeMap::new();
    let mut images: BTreeSet<(&Region, &ImageId)> = BTreeSet::new();
    for fact in sources.iter().flat_map(|step| &step.expect) {
        match fact {
            Fact::Instances { region, ids: of } => {
                let here = of.iter().filter(|id| ids.contains(&CloudId::Instance((*id).clone()))).cloned();
                instances.entry(region).or_default().extend(here);
            }
            Fact::Image { region, id } if ids.contains(&CloudId::Image(id.clone())) => {
                images.insert((region, id));
            }
            Fact::Image { .. }
            | Fact::NameFree { .. }
            | Fact::Instance { .. }
            | Fact::Shared { .. }
            | Fact::Remembered { .. }
            | Fact::Terminable { .. }
            | Fact::Unshared { .. }
            | Fact::Gone { .. } => {}
        }
    }
    let instances = instances.into_iter().filter(|(_, ids)| !ids.is_empty());
    let instances = instances.map(|(region, ids)| Fact::Instances { region: region.clone(), ids });
    let images = images.into_iter().map(|(region, id)| Fact::Image { region: region.clone(), id: id.clone() });
    instances.chain(images).collect()
}
