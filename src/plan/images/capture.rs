//! How a version comes to be: captured in its home region, copied to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cloud::call::{Arg, Body, ImageChange, StepId, TagTarget};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Capture, Desired, InstanceSource, Ready};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, ImageId, InstanceId, Name, Region, Version};
use crate::model::observed::{InstanceState, Seen};
use crate::model::recorded::{Object, VersionRecord};
use crate::model::spec::{Inputs, ObjectSpec};
use crate::plan::draft::{Draft, NewStep, SlotAt, at_once, detail, image_fact, settle};
use crate::plan::fleets::{instance_fact, seen_fact};
use crate::plan::types::{
    Action, AttrChange, Do, Effect, Fact, Hold, Need, NewObject, Reason, Resource, Settle, Target, Until, Value,
};

use super::version::{all_gone, builder_gone, changed_inputs, previous_inputs};
use super::{Planning, copy_attrs, copy_spec, name_free, physical_name};

/// Captures the version in its home region.
pub(super) fn capture(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    version: &Version,
    generation: u32,
    inputs: Option<Inputs>,
    vanished: bool,
    removed: &BTreeMap<Region, StepId>,
) -> Option<StepId> {
    let Planning { name, image, block, home, .. } = planning;
    let capture = image.capture()?;
    let Some(inputs) = inputs else {
        if let InstanceSource::Slot { fleet, .. } = &capture.source {
            if vanished {
                all_gone(draft, name, version, fleet);
            } else {
                builder_gone(draft, name, fleet);
            }
        }
        return None;
    };
    let (instance, mut needs) = match &capture.source {
        InstanceSource::Slot { fleet, slot } => builder(draft, planning, capture, (version, generation), fleet, *slot)?,
        InstanceSource::Id(id) => (handmade(draft, planning, id)?, Vec::new()),
    };
    let untouched = needs.is_empty();
    needs.extend(removed.values().copied().map(Need::Success));
    // One image of an instance is made at a time.
    needs.extend(draft.captures.get(&instance).copied().map(Need::Over));
    let physical = physical_name(draft, planning, version, generation);
    name_free(draft, planning, home, &physical, removed)?;

    let (key, value) = draft.tag(block);
    let mut tags = image.tags.clone();
    tags.insert(key, value);
    draft.assumptions.insert("TagSpecification creates a tag that does not exist yet".into());
    let mut expect = vec![Fact::NameFree { region: home.clone(), name: physical.clone() }];
    // Where something is done to it before, it is not as it was seen.
    if let Some(id) = instance.known().filter(|_| untouched) {
        expect.extend(match &capture.source {
            InstanceSource::Slot { .. } => instance_fact(draft, home, id),
            InstanceSource::Id(_) => seen_fact(draft, home, id),
        });
    } else if let Some(id) = instance.known() {
        expect.push(Fact::Instances { region: home.clone(), ids: BTreeSet::from([id.clone()]) });
    }
    let previous = previous_inputs(draft, block, version);
    let inputs_digest = Digest::of_value(context::INPUTS, &inputs);
    let spec = Arc::new(ObjectSpec::Image(copy_spec(image)));
    let made = NewObject {
        region: home.clone(),
        name: physical.clone(),
        zone: None,
        ordinal: None,
        spec: Arc::clone(&spec),
        version: Some(VersionRecord {
            block: block.clone(),
            version: version.clone(),
            generation,
            inputs: inputs.clone(),
            inputs_digest,
            made_ms: draft.input.as_of_ms,
        }),
    };
    let reason = match (vanished, previous) {
        (true, _) => Reason::Recaptured,
        (false, Some(previous)) => Reason::NewVersion { inputs: changed_inputs(&previous, &inputs) },
        (false, None) => Reason::New,
    };
    let does = draft.call(
        home,
        Body::CreateImage {
            name: physical.clone(),
            instance: instance.clone(),
            power_off: capture.power_off,
            description: image.description.clone(),
            family: image.family.clone(),
            tags,
        },
    );
    let addr = Addr::copy(block.clone(), version.clone(), home.clone());
    let step = draft.step(NewStep {
        needs,
        does,
        targets: vec![Target { addr: addr.clone(), generation, id: None, effect: Effect::Make(Box::new(made)) }],
        expect,
        settle: settle(Until::Normal, draft.input.pace.capture_ms),
        holds: vec![Hold { resource: Resource::Images(home.clone()), at_start: 1, at_end: 0 }],
    });
    draft.captures.insert(instance.clone(), step);
    let mut attrs = vec![AttrChange {
        name: "from".into(),
        before: Value::None,
        after: match (&capture.source, &instance) {
            (InstanceSource::Slot { fleet, slot }, Arg::Output { step, target }) => {
                Value::Unknown { step: *step, target: *target, addr: Addr::slot(Block::fleet(fleet), *slot) }
            }
            (InstanceSource::Slot { fleet, slot }, Arg::Known(id)) => {
                Value::Text(format!("fleet.{fleet}[{slot}] ({id})"))
            }
            (InstanceSource::Id(id), _) => Value::Text(id.to_string()),
        },
    }];
    attrs.extend(copy_attrs(draft, image));
    let detail = detail(vec![reason], attrs);
    draft.change(addr.generation(generation), Action::Create, None, &physical, &detail);
    Some(step)
}

/// The slot that the image is captured from, and what must be over before.
fn builder(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    capture: &Capture,
    (version, generation): (&Version, u32),
    fleet: &Name,
    slot: u32,
) -> Option<(Arg<InstanceId>, Vec<Need>)> {
    let Some(SlotAt { id, mut ready, state }) = draft.slots.get(&(fleet.clone(), slot)).cloned() else {
        draft.faults.push(
            Diagnostic::error(codes::UNKNOWN_REFERENCE, format!("fleet.{fleet} will have no slot {slot}"))
                .at(Desired::path(Kind::Image, planning.name).key("from_instance").key("instance"))
                .why("a fleet that shrank can have holes in its numbering"),
        );
        return None;
    };
    let (until, waits) = match capture.ready {
        Ready::Running => (Until::Running, false),
        Ready::Stopped => (Until::Stopped, state != Some(InstanceState::Stopped)),
        Ready::After(ms) => (Until::Age(ms), true),
    };
    if waits {
        let instance = match &id {
            Arg::Known(id) => Arg::Known(CloudId::Instance(id.clone())),
            Arg::Output { step, target } => Arg::Output { step: *step, target: *target },
        };
        // It is the image that waits, and that fails where the builder is never ready.
        let addr = Addr::copy(planning.block.clone(), version.clone(), planning.home.clone());
        let step = draft.step(NewStep {
            needs: ready.clone(),
            does: Do::Await { region: planning.home.clone() },
            targets: vec![Target { addr, generation, id: Some(instance), effect: Effect::Nothing }],
            expect: Vec::new(),
            settle: Settle { until, expected_ms: draft.input.pace.launch_ms, deadline_ms: capture.ready_timeout_ms },
            holds: Vec::new(),
        });
        ready.push(Need::Success(step));
    }
    Some((id, ready))
}

/// A machine made by hand: it must be there, in a state that can be captured.
fn handmade(draft: &mut Draft<'_>, planning: &Planning<'_>, id: &InstanceId) -> Option<Arg<InstanceId>> {
    let path = Desired::path(Kind::Image, planning.name).key("from_instance").key("instance");
    match draft.input.observed.instance(&planning.home, id) {
        Some(Seen::Present(seen)) if matches!(seen.state, InstanceState::Running | InstanceState::Stopped) => {
            Some(Arg::Known(id.clone()))
        }
        Some(Seen::Present(seen)) => {
            let state = &seen.state;
            draft.faults.push(
                Diagnostic::error(codes::BUSY, format!("{id} is in state {state:?}: it cannot be captured now"))
                    .at(path),
            );
            None
        }
        Some(Seen::Absent { .. }) | None => {
            draft.faults.push(
                Diagnostic::error(codes::SOURCE_NOT_FOUND, format!("there is no instance {id} in {}", planning.home))
                    .at(path)
                    .help("an `ins-…` source is looked for in the region of the `cloud` block"),
            );
            None
        }
    }
}

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
    let missing: BTreeSet<Region> = regions.iter().filter(|region| !ready.contains_key(*region)).cloned().collect();
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
    let dress = dress_copies(draft, planning, sync, &missing);
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

/// Copies take no tags when they are made, and whether they keep the description is not documented.
fn dress_copies(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    sync: StepId,
    missing: &BTreeSet<Region>,
) -> Vec<StepId> {
    let Planning { image, block, home, .. } = planning;
    let output = |n: usize| (sync, u32::try_from(n).unwrap_or(u32::MAX));
    let spec = Arc::new(ObjectSpec::Image(copy_spec(image)));
    let mut steps = Vec::new();
    let (key, value) = draft.tag(block);
    let mut tags = image.tags.clone();
    tags.insert(key, value);
    let copies: Vec<(usize, &Region)> = missing.iter().enumerate().collect();
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
    if let Some(description) = &image.description {
        for (n, region) in &copies {
            let (step, output_target) = output(*n);
            let set = ImageChange { description: Some(description.clone()), ..ImageChange::default() };
            let body = Body::ModifyImage { image: Arg::Output { step, target: output_target }, set };
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
