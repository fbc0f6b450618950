//! How a version gets to the other regions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cloud::call::{Arg, Body, ImageChange, StepId, TagTarget};
use crate::model::addr::Addr;
use crate::model::ids::{ImageId, Region, Version};
use crate::model::recorded::Object;
use crate::model::spec::ObjectSpec;
use crate::plan::draft::{Draft, NewStep, at_once, detail, image_fact, settle};
use crate::plan::types::{
    Action, AttrChange, Effect, Fact, Hold, Need, NewObject, Reason, Resource, Target, Until, Value,
};

use super::{Planning, copy_attrs, copy_spec, name_free, physical_name};

/// Copies the version to the regions where it is missing: one call for all of them.
pub(super) fn copy(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    version: &Version,
    generation: u32,
    ready: &mut BTreeMap<Region, (Arg<ImageId>, Vec<Need>)>,
    made_by: &mut Vec<StepId>,
    (gone, removed, forgotten): (&[&Object], &BTreeMap<Region, StepId>, &[StepId]),
) {
    let Planning { name, image, block, home, regions, .. } = planning;
    let missing = regions.iter().filter(|region| !ready.contains_key(*region)).cloned();
    let (missing, absent): (BTreeSet<Region>, BTreeSet<Region>) = missing.partition(|region| {
        draft.plans(&Addr::copy(block.clone(), version.clone(), region.clone()).generation(generation))
    });
    draft.absent.extend(absent.into_iter().map(|region| ((*name).clone(), region)));
    let from = if ready.contains_key(home) { Some(home) } else { ready.keys().next() };
    let Some(from) = from.cloned().filter(|_| !missing.is_empty()) else { return };
    let Some((source, needs)) = ready.get(&from).cloned() else { return };
    let physical = physical_name(draft, planning, version, generation);
    for region in &missing {
        if name_free(draft, planning, region, &physical, removed).is_none() {
            return;
        }
    }
    let spec = Arc::new(ObjectSpec::Image(copy_spec(image)));
    let targets = missing
        .iter()
        .map(|region| Target {
            addr: Addr::copy(block.clone(), version.clone(), region.clone()),
            generation,
            id: None,
            effect: Effect::Make(Box::new(NewObject {
                region: region.clone(),
                name: physical.clone(),
                zone: None,
                ordinal: None,
                spec: Arc::clone(&spec),
                version: None,
            })),
        })
        .collect();
    let mut all_needs = needs.clone();
    all_needs.extend(removed.values().chain(forgotten).copied().map(Need::Success));
    draft.dues.single("SyncImages", 1);
    let does = draft.call(
        &from,
        Body::SyncImages { image: source.clone(), to: missing.clone(), name: physical.clone(), encryption: None },
    );
    let sync = draft.step(NewStep {
        needs: all_needs,
        does,
        targets,
        expect: missing
            .iter()
            .map(|region| Fact::NameFree { region: region.clone(), name: physical.clone() })
            .chain(image_fact(&from, &source))
            .collect(),
        settle: settle(Until::Copied, draft.input.pace.copy_ms),
        holds: missing
            .iter()
            .map(|region| Hold { resource: Resource::Images(region.clone()), at_start: 1, at_end: 0 })
            .collect(),
    });
    made_by.push(sync);
    // The source is busy while it is copied: nothing is shared or launched from it until that is over.
    if let Some((_, needs)) = ready.get_mut(&from) {
        needs.push(Need::Over(sync));
    }
    let origin = Addr::copy(block.clone(), version.clone(), from.clone()).generation(generation);
    let captured = draft.changes.iter().find(|change| change.addr == origin && change.action == Action::Create);
    let captured = captured.and_then(|change| change.detail.reasons.first().cloned());
    // Whether a copy keeps the mark of its source is not documented.
    let marked = source.known().is_some_and(|id| {
        draft
            .input
            .observed
            .image(&from, id)
            .and_then(|seen| seen.present().copied())
            .is_some_and(|seen| seen.deprecated)
    });
    let dress = dress_copies(draft, planning, sync, &missing, marked);
    made_by.extend(dress.iter().copied());
    for (n, region) in missing.iter().enumerate() {
        let id = Arg::Output { step: sync, target: u32::try_from(n).unwrap_or(u32::MAX) };
        ready.insert(region.clone(), (id, vec![Need::Over(sync)]));
        let reason = match &source {
            Arg::Known(_) if gone.iter().any(|object| object.region == *region) => {
                Reason::CopiedBack { from: from.clone() }
            }
            Arg::Known(_) => Reason::New,
            // It comes with the capture, and for the same reason.
            Arg::Output { .. } => captured.clone().unwrap_or(Reason::New),
        };
        let mut attrs = vec![AttrChange {
            name: "copied from".into(),
            before: Value::None,
            after: match &source {
                Arg::Known(id) => Value::Text(format!("{id} in {from}")),
                Arg::Output { step, target } => Value::Unknown { step: *step, target: *target, addr: origin.clone() },
            },
        }];
        attrs.extend(copy_attrs(draft, image));
        let addr = Addr::copy(block.clone(), version.clone(), region.clone()).generation(generation);
        let detail = detail(vec![reason], attrs);
        draft.change(addr, Action::Create, None, &physical, &detail);
    }
    draft.assumptions.insert(format!("copying image.{name} from {from} to {} is open to this account", join(&missing)));
}

fn join(regions: &BTreeSet<Region>) -> String {
    regions.iter().map(Region::as_str).collect::<Vec<_>>().join(" and ")
}

/// Copies take no tags when they are made, and whether they keep description and family is not documented. `marked`:
/// what they are made from is marked as deprecated.
pub(super) fn dress_copies(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    sync: StepId,
    missing: &BTreeSet<Region>,
    marked: bool,
) -> Vec<StepId> {
    let Planning { image, block, home, .. } = planning;
    let output = |n: usize| (sync, u32::try_from(n).unwrap_or(u32::MAX));
    let wanted = copy_spec(image);
    let set = ImageChange {
        description: wanted.description.clone(),
        family: wanted.family.clone(),
        deprecated: wanted.deprecated.filter(|_| marked),
    };
    let spec = Arc::new(ObjectSpec::Image(wanted));
    let mut steps = Vec::new();
    let (key, value) = draft.tag(block);
    let mut tags = image.tags.clone();
    tags.insert(key, value);
    let copies: Vec<(usize, &Region)> = missing.iter().enumerate().collect();
    draft.dues.single("TagResources", copies.len().div_ceil(crate::cloud::call::MAX_TAG_RESOURCES));
    let target = |n: usize, draft: &Draft<'_>| {
        let (step, target) = output(n);
        let Target { addr, generation, .. } = draft.steps[step.0 as usize].targets[n].clone();
        Target { addr, generation, id: Some(Arg::Output { step, target }), effect: Effect::Become(Arc::clone(&spec)) }
    };
    for chunk in copies.chunks(crate::cloud::call::MAX_TAG_RESOURCES) {
        let resources = chunk
            .iter()
            .map(|(n, region)| {
                let (step, target) = output(*n);
                TagTarget { region: (*region).clone(), id: Arg::Output { step, target } }
            })
            .collect();
        let targets = chunk.iter().map(|(n, _)| target(*n, draft)).collect();
        let does = draft.call(home, Body::TagResources { resources, tags: tags.clone() });
        steps.push(draft.step(NewStep {
            needs: vec![Need::Over(sync)],
            does,
            targets,
            expect: Vec::new(),
            settle: at_once(),
            holds: Vec::new(),
        }));
    }
    if set != ImageChange::default() {
        draft.dues.single("ModifyImageAttribute", copies.len());
        for (n, region) in &copies {
            let (step, output_target) = output(*n);
            let body = Body::ModifyImage { image: Arg::Output { step, target: output_target }, set: set.clone() };
            let does = draft.call(region, body);
            let targets = vec![target(*n, draft)];
            steps.push(draft.step(NewStep {
                needs: vec![Need::Over(sync)],
                does,
                targets,
                expect: Vec::new(),
                settle: at_once(),
                holds: Vec::new(),
            }));
        }
    }
    steps
}
