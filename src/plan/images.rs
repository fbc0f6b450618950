//! Managed images: which version the config asks for, where copies of it are, and how the missing ones come to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::draft::{Current, Draft, ImageAt, NewStep, SlotAt, at_once, detail, known, settle};
use super::types::{
    Action, AttrChange, Do, Effect, Fact, Hold, Need, NewObject, Reason, Resource, Settle, Target, Until, Value,
};
use crate::cloud::call::{Arg, Body, StepId, TagTarget};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, Image, InstanceSource, ManagedImage, Ready};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, ImageId, InstanceId, Name, Region, Version};
use crate::model::naming;
use crate::model::observed::{ImageState, InstanceState, Seen};
use crate::model::recorded::{Object, Status, VersionRecord};
use crate::model::spec::{DataDisk, ImageCopySpec, ImageUse, Inputs, ObjectSpec, SystemDisk};

/// The system disk of an instance that declares none (API text 3.4), and so the size of its image (8.5).
const DEFAULT_DISK_GIB: u32 = 50;
/// Hexadecimal digits of a derived version.
const VERSION_DIGITS: usize = 8;

/// What a version is derived from. Contents, not references: the same in every state.
#[derive(Serialize)]
struct VersionInputs<'a> {
    base: &'a ImageUse,
    user_data: Option<Digest>,
    system_disk: &'a SystemDisk,
    data_disks: &'a [DataDisk],
}

/// How a recorded copy was found.
enum Found<'a> {
    /// Usable.
    Usable(&'a crate::model::observed::Image),
    /// On its way.
    UnderWay,
    /// The cloud gave its creation up.
    Failed,
    /// Gone.
    Gone,
}

/// One managed image being planned.
struct Planning<'a> {
    name: &'a Name,
    image: &'a ManagedImage,
    block: Block,
    home: Region,
    regions: BTreeSet<Region>,
    size_gib: u32,
}

/// Plans the current version of a managed image: captures it or copies it where it is missing, and keeps descriptions
/// and tags right where it is.
pub(super) fn managed(draft: &mut Draft<'_>, name: &Name, image: &ManagedImage) {
    let block = Block::image(name);
    let path = Desired::path(Kind::Image, name);
    let objects = draft.objects_of(&block);
    let Some((home, inputs, size_gib)) = source(draft, name, image) else { return };
    let regions = image.regions.clone().unwrap_or_else(|| BTreeSet::from([home.clone()]));
    if !regions.contains(&home) {
        draft.faults.push(
            Diagnostic::error(
                codes::CONFLICT,
                format!("image.{name} is captured in {home}, which is not among its regions"),
            )
            .at(path.key("regions"))
            .why("an image is always there where it is captured; copies are made from it")
            .help(format!("add {home} to `regions`")),
        );
        return;
    }
    for (n, region) in regions.iter().enumerate() {
        if draft.input.observed.regions.as_ref().is_some_and(|known| !known.contains(region)) {
            draft.faults.push(
                Diagnostic::error(codes::UNKNOWN_REGION, format!("the cloud has no region {region}"))
                    .at(path.key("regions").index(n)),
            );
        }
    }

    let planning = Planning { name, image, block, home, regions, size_gib };
    let Some((version, inputs)) = version(draft, &planning, inputs, &objects) else { return };
    let mine: Vec<&Object> =
        objects.iter().copied().filter(|object| object.addr.version.as_ref() == Some(&version)).collect();
    let generation = mine.iter().map(|object| object.generation).max().unwrap_or(1);
    let mut usable: BTreeMap<Region, ImageId> = BTreeMap::new();
    let mut under_way: Vec<&Object> = Vec::new();
    let mut failed: Vec<&Object> = Vec::new();
    let mut gone: Vec<&Object> = Vec::new();
    for object in mine.iter().copied().filter(|object| object.generation == generation) {
        let Some(id) = object.cloud_id.image() else { continue };
        match found(draft, object) {
            Found::Usable(seen) => {
                usable.insert(object.region.clone(), id.clone());
                if planning.regions.contains(&object.region) {
                    keep_right(draft, &planning, object, seen);
                }
            }
            Found::UnderWay => under_way.push(object),
            Found::Failed => failed.push(object),
            Found::Gone => gone.push(object),
        }
    }
    if let Some(inputs) = inputs.as_ref().filter(|_| !usable.is_empty()) {
        check_reuse(draft, &planning, &version, generation, inputs);
    }

    let mut ready: BTreeMap<Region, (Arg<ImageId>, Vec<Need>)> =
        usable.into_iter().map(|(region, id)| (region, (Arg::Known(id), Vec::new()))).collect();
    for object in under_way {
        let Some(id) = object.cloud_id.image() else { continue };
        let step = await_copy(draft, object);
        ready.insert(object.region.clone(), (Arg::Known(id.clone()), vec![Need::Success(step)]));
    }
    let removed: BTreeMap<Region, StepId> = failed
        .iter()
        .map(|object| (object.region.clone(), delete_copy(draft, object, Reason::CreationFailed, Vec::new())))
        .collect();
    let mut forget_after = Vec::new();

    let mut made_by = Vec::new();
    let mut generation = generation;
    if ready.is_empty() {
        // All copies vanished: what is captured now is not what was, though it bears the version.
        let vanished = !gone.is_empty();
        if vanished {
            generation += 1;
        }
        let Some(capture) = capture(draft, &planning, &version, generation, inputs, vanished, &removed) else { return };
        made_by.push(capture);
        // Until then the old rows are what tells that this is another capture of the version.
        forget_after.push(Need::Success(capture));
        let id = Arg::Output { step: capture, target: 0 };
        ready.insert(planning.home.clone(), (id, vec![Need::Success(capture)]));
    }
    let forgotten: Vec<StepId> =
        gone.iter().map(|object| forget(draft, object, Reason::Vanished, forget_after.clone())).collect();
    copy(draft, &planning, &version, generation, &mut ready, &mut made_by, (&gone, &removed, &forgotten));

    for (region, (id, needs)) in ready {
        if planning.regions.contains(&region) {
            let use_ = ImageUse::Made { image: name.clone(), version: version.clone(), generation };
            draft
                .images
                .insert((name.clone(), region), ImageAt { use_, id, ready: needs, size_gib: planning.size_gib });
        }
    }
    draft.current.insert(name.clone(), Current { version, generation, made_by });
}

/// Where the image is captured, what it is made of, and how large it will be. The inputs are unknown where the builder
/// is no longer in the config.
fn source(
    draft: &mut Draft<'_>,
    name: &Name,
    image: &ManagedImage,
) -> Option<(Region, Option<(Inputs, Option<Digest>)>, u32)> {
    let desired = draft.input.desired;
    match &image.source {
        InstanceSource::Id(id) => {
            let home = desired.cloud.region.clone();
            let size =
                draft.input.observed.instance(&home, id).and_then(Seen::present).map(|seen| seen.system_disk.size_gib);
            let inputs = Inputs {
                instance: Some(id.clone()),
                base: None,
                user_data: None,
                system_disk: SystemDisk::default(),
                data_disks: Vec::new(),
            };
            Some((home, Some((inputs, None)), size.unwrap_or(DEFAULT_DISK_GIB)))
        }
        InstanceSource::Slot { fleet: fleet_name, slot: _ } => {
            if let Some(fleet) = desired.fleets.get(fleet_name) {
                // An image that could not be planned has said so already.
                let base = draft.images.get(&(fleet.image.clone(), fleet.region.clone()))?;
                let content = fleet.user_data.as_ref().and_then(|secret| secret.content);
                let derived = Digest::of_value(
                    context::INPUTS,
                    &VersionInputs {
                        base: &base.use_,
                        user_data: content,
                        system_disk: &fleet.system_disk,
                        data_disks: &fleet.data_disks,
                    },
                );
                let inputs = Inputs {
                    instance: None,
                    base: Some(base.use_.clone()),
                    user_data: fleet.user_data.as_ref().map(|secret| secret.digest),
                    system_disk: fleet.system_disk.clone(),
                    data_disks: fleet.data_disks.clone(),
                };
                let size = fleet.system_disk.size_gib.unwrap_or(DEFAULT_DISK_GIB).max(base.size_gib);
                return Some((fleet.region.clone(), Some((inputs, Some(derived))), size));
            }
            let home = draft
                .objects_of(&Block::image(name))
                .iter()
                .max_by_key(|object| (object.accepted_ms, object.generation))
                .map(|object| object.region.clone());
            if let Some(home) = home {
                return Some((home, None, DEFAULT_DISK_GIB));
            }
            builder_gone(draft, name, fleet_name);
            None
        }
    }
}

fn builder_gone(draft: &mut Draft<'_>, name: &Name, fleet: &Name) {
    draft.faults.push(
        Diagnostic::error(
            codes::BUILDER_GONE,
            format!("image.{name} is not captured yet, and fleet.{fleet} is not in the config"),
        )
        .at(Desired::path(Kind::Image, name).key("from_instance").key("instance"))
        .help(format!("put fleets.{fleet} back until the image is captured; after that it may go")),
    );
}

/// The version that the config asks for, and what it is made of where that is known.
fn version(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    inputs: Option<(Inputs, Option<Digest>)>,
    objects: &[&Object],
) -> Option<(Version, Option<Inputs>)> {
    let Planning { name, image, .. } = planning;
    if let Some((inputs, derived)) = inputs {
        let version = match (&image.version, derived) {
            (Some(version), _) => version.clone(),
            (None, Some(derived)) => Version::new(derived.short(VERSION_DIGITS)),
            (None, None) => {
                draft.faults.push(
                    Diagnostic::error(
                        codes::MISSING_VERSION,
                        format!("image.{name} is captured by hand and has no version"),
                    )
                    .at(Desired::path(Kind::Image, name)),
                );
                return None;
            }
        };
        return Some((version, Some(inputs)));
    }
    // The builder is gone: what was captured last stays.
    let last = objects.iter().max_by_key(|object| (object.accepted_ms, object.generation));
    let last = last.and_then(|object| object.addr.version.clone());
    let version = match (&image.version, last) {
        (Some(version), _) => version.clone(),
        (None, Some(last)) => last,
        (None, None) => return None,
    };
    if let InstanceSource::Slot { fleet, .. } = &image.source {
        draft.notes.push(
            Diagnostic::warning(
                codes::BUILDER_REMOVED,
                format!("fleet.{fleet}, from which image.{name} was captured, is not in the config"),
            )
            .at(Desired::path(Kind::Image, name).key("from_instance").key("instance"))
            .why(format!("version {version} is captured and stays; a new one cannot be made")),
        );
    }
    Some((version, None))
}

/// An explicit version must not change what it is made of.
fn check_reuse(draft: &mut Draft<'_>, planning: &Planning<'_>, version: &Version, generation: u32, inputs: &Inputs) {
    let recorded =
        draft.input.recorded.versions.iter().find(|record| {
            record.block == planning.block && record.version == *version && record.generation == generation
        });
    let Some(recorded) = recorded.filter(|recorded| recorded.inputs != *inputs) else { return };
    let changed = changed_inputs(&recorded.inputs, inputs).join(", ");
    draft.faults.push(
        Diagnostic::error(
            codes::VERSION_REUSED,
            format!("image.{} is still version {version}, but what it is made of changed: {changed}", planning.name),
        )
        .at(Desired::path(Kind::Image, planning.name).key("version"))
        .why("whoever runs this version would not get what the config says")
        .help("give it a new version, or none: then it is derived from what the image is made of"),
    );
}

/// The names of the inputs that differ.
fn changed_inputs(before: &Inputs, after: &Inputs) -> Vec<String> {
    let Inputs { instance, base, user_data, system_disk, data_disks } = after;
    [
        ("instance", before.instance != *instance),
        ("base", before.base != *base),
        ("user_data", before.user_data != *user_data),
        ("system_disk", before.system_disk != *system_disk),
        ("data_disks", before.data_disks != *data_disks),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name.to_owned())
    .collect()
}

fn found<'a>(draft: &Draft<'a>, object: &Object) -> Found<'a> {
    let Some(id) = object.cloud_id.image() else { return Found::Gone };
    match draft.input.observed.image(&object.region, id) {
        Some(Seen::Present(seen)) => match &seen.state {
            ImageState::Normal => Found::Usable(seen),
            ImageState::Creating | ImageState::Syncing | ImageState::Importing | ImageState::Other(_) => {
                Found::UnderWay
            }
            ImageState::CreateFailed | ImageState::ImportFailed => Found::Failed,
        },
        Some(Seen::Absent { asked_ms }) => {
            let young = asked_ms - object.accepted_ms < draft.input.options.visible_ms;
            if object.status == Status::Creating && young { Found::UnderWay } else { Found::Gone }
        }
        None => Found::UnderWay,
    }
}

fn await_copy(draft: &mut Draft<'_>, object: &Object) -> StepId {
    let step = draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: object.region.clone() },
        targets: vec![known(object, Effect::Arrive)],
        expect: Vec::new(),
        settle: settle(Until::Normal, draft.input.pace.capture_ms),
        holds: Vec::new(),
    });
    let detail = detail(vec![Reason::UnderWay], Vec::new());
    draft.change(object.full_addr(), Action::Await, Some(object.cloud_id.clone()), &object.name, &detail);
    step
}

/// Takes what is gone out of the state.
pub(super) fn forget(draft: &mut Draft<'_>, object: &Object, reason: Reason, needs: Vec<Need>) -> StepId {
    let detail = detail(vec![reason], Vec::new());
    draft.change(object.full_addr(), Action::Forget, Some(object.cloud_id.clone()), &object.name, &detail);
    draft.step(NewStep {
        needs,
        does: Do::Record,
        targets: vec![known(object, Effect::Remove)],
        expect: Vec::new(),
        settle: at_once(),
        holds: Vec::new(),
    })
}

/// Deletes one copy and its snapshots.
pub(super) fn delete_copy(draft: &mut Draft<'_>, object: &Object, reason: Reason, needs: Vec<Need>) -> StepId {
    let detail = detail(vec![reason], Vec::new());
    draft.change(object.full_addr(), Action::Delete, Some(object.cloud_id.clone()), &object.name, &detail);
    let images = object.cloud_id.image().cloned().into_iter().collect();
    let does = draft.call(&object.region, Body::DeleteImages { images });
    draft.step(NewStep {
        needs,
        does,
        targets: vec![known(object, Effect::Remove)],
        expect: Vec::new(),
        settle: settle(Until::ImageGone, draft.input.pace.delete_ms),
        holds: vec![Hold { resource: Resource::Images(object.region.clone()), at_start: 0, at_end: -1 }],
    })
}

/// Description and tags of a copy that stays.
fn keep_right(draft: &mut Draft<'_>, planning: &Planning<'_>, object: &Object, seen: &crate::model::observed::Image) {
    let ObjectSpec::Image(recorded) = object.spec.as_ref() else { return };
    let wanted = copy_spec(planning.image);
    let (key, value) = draft.tag(&planning.block);
    let diff = diff::image(recorded, &wanted, seen, (&key, &value));
    if diff.is_empty() {
        return;
    }
    let mut attrs = Vec::new();
    let mut changed = Vec::new();
    let mut drifted = Vec::new();
    let spec = Arc::new(ObjectSpec::Image(wanted));
    let target = || known(object, Effect::Become(Arc::clone(&spec)));
    if let Some(description) = &diff.description {
        if diff.description_drifted { &mut drifted } else { &mut changed }.push("description".to_owned());
        attrs.push(AttrChange {
            name: "description".into(),
            before: Value::Text(seen.description.clone()),
            after: Value::Text(description.clone()),
        });
        let Some(id) = object.cloud_id.image() else { return };
        let body = Body::DescribeImageAs { image: Arg::Known(id.clone()), description: description.clone() };
        let does = draft.call(&object.region, body);
        let targets = vec![target()];
        draft.step(NewStep {
            needs: Vec::new(),
            does,
            targets,
            expect: vec![Fact::Image { region: object.region.clone(), id: id.clone() }],
            settle: at_once(),
            holds: Vec::new(),
        });
    }
    if !diff.tags.is_empty() {
        if diff.tags.drifted { &mut drifted } else { &mut changed }.push("tags".to_owned());
        let shown = diff::tag_attr(&diff.tags, &seen.tags);
        attrs.extend(draft.show_attrs([&shown], None));
        let resource = TagTarget { region: object.region.clone(), id: Arg::Known(object.cloud_id.clone()) };
        let mut bodies = Vec::new();
        if !diff.tags.set.is_empty() {
            bodies.push(Body::TagResources { resources: vec![resource.clone()], tags: diff.tags.set.clone() });
        }
        if !diff.tags.unset.is_empty() {
            bodies.push(Body::UntagResources { resources: vec![resource], keys: diff.tags.unset.clone() });
        }
        for body in bodies {
            let does = draft.call(&object.region, body);
            let targets = vec![target()];
            draft.step(NewStep {
                needs: Vec::new(),
                does,
                targets,
                expect: Vec::new(),
                settle: at_once(),
                holds: Vec::new(),
            });
        }
    }
    let mut reasons = Vec::new();
    if !changed.is_empty() {
        reasons.push(Reason::Changed { attrs: changed });
    }
    if !drifted.is_empty() {
        reasons.push(Reason::Drifted { attrs: drifted });
    }
    let detail = detail(reasons, attrs);
    draft.change(object.full_addr(), Action::Update, Some(object.cloud_id.clone()), &object.name, &detail);
}

fn copy_spec(image: &ManagedImage) -> ImageCopySpec {
    ImageCopySpec { description: image.description.clone(), tags: image.tags.clone() }
}

/// Captures the version in its home region.
fn capture(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    version: &Version,
    generation: u32,
    inputs: Option<Inputs>,
    vanished: bool,
    removed: &BTreeMap<Region, StepId>,
) -> Option<StepId> {
    let Planning { name, image, block, home, .. } = planning;
    let Some(inputs) = inputs else {
        if let InstanceSource::Slot { fleet, .. } = &image.source {
            builder_gone(draft, name, fleet);
        }
        return None;
    };
    let (instance, mut needs) = match &image.source {
        InstanceSource::Slot { fleet, slot } => builder(draft, planning, fleet, *slot)?,
        InstanceSource::Id(id) => (handmade(draft, planning, id)?, Vec::new()),
    };
    needs.extend(removed.values().copied().map(Need::Success));
    let physical = physical_name(draft, planning, version, generation);
    name_free(draft, planning, home, &physical, removed)?;

    let (key, value) = draft.tag(block);
    let mut tags = image.tags.clone();
    tags.insert(key, value);
    draft.assumptions.insert("TagSpecification creates a tag that does not exist yet".into());
    let mut expect = vec![Fact::NameFree { region: home.clone(), name: physical.clone() }];
    if let Some(id) = instance.known() {
        expect.extend(super::fleets::instance_fact(draft, home, id));
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
            power_off: image.power_off,
            description: image.description.clone(),
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
    let mut attrs = vec![AttrChange {
        name: "from".into(),
        before: Value::None,
        after: match (&image.source, &instance) {
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

fn copy_attrs(draft: &Draft<'_>, image: &ManagedImage) -> Vec<AttrChange> {
    let mut attrs = Vec::new();
    if let Some(description) = &image.description {
        attrs.push(AttrChange {
            name: "description".into(),
            before: Value::None,
            after: Value::Text(description.clone()),
        });
    }
    if !image.tags.is_empty() {
        let after = draft.show(&diff::show_tags(&image.tags), None);
        attrs.push(AttrChange { name: "tags".into(), before: Value::None, after });
    }
    attrs
}

/// The inputs of the newest other version that still has copies.
fn previous_inputs(draft: &Draft<'_>, block: &Block, version: &Version) -> Option<Inputs> {
    let versions = &draft.input.recorded.versions;
    let objects = draft.objects_of(block);
    versions
        .iter()
        .filter(|record| record.block == *block && record.version != *version)
        .filter(|record| objects.iter().any(|object| object.addr.version.as_ref() == Some(&record.version)))
        .max_by_key(|record| (record.made_ms, record.generation))
        .map(|record| record.inputs.clone())
}

fn physical_name(draft: &Draft<'_>, planning: &Planning<'_>, version: &Version, generation: u32) -> String {
    let desired = draft.input.desired;
    naming::image_name(&desired.project, &desired.env, planning.name, version, generation)
}

/// Refuses a name that something else bears already. A failed copy of ours that goes first frees it.
fn name_free(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    region: &Region,
    name: &str,
    removed: &BTreeMap<Region, StepId>,
) -> Option<()> {
    let listed = draft.input.observed.by_region.get(region).and_then(|seen| seen.custom_images.as_ref());
    let taken = listed.into_iter().flatten().map(|(_, image)| image).find(|image| image.name == name);
    let Some(image) = taken.filter(|_| !removed.contains_key(region)) else { return Some(()) };
    draft.faults.push(
        Diagnostic::error(codes::NAME_TAKEN, format!("{region} has a custom image named {name} already: {}", image.id))
            .at(Desired::path(Kind::Image, planning.name))
            .why("image names are unique in a region, and this one is not in the state")
            .help(format!("delete or rename {}, or give image.{} another version", image.id, planning.name)),
    );
    None
}

/// The slot that the image is captured from, and what must be over before.
fn builder(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    fleet: &Name,
    slot: u32,
) -> Option<(Arg<InstanceId>, Vec<Need>)> {
    let Some(SlotAt { id, mut ready, state, generation }) = draft.slots.get(&(fleet.clone(), slot)).cloned() else {
        draft.faults.push(
            Diagnostic::error(codes::UNKNOWN_REFERENCE, format!("fleet.{fleet} will have no slot {slot}"))
                .at(Desired::path(Kind::Image, planning.name).key("from_instance").key("instance"))
                .why("a fleet that shrank can have holes in its numbering"),
        );
        return None;
    };
    let (until, waits) = match planning.image.ready {
        Ready::Running => (Until::Running, false),
        Ready::Stopped => (Until::Stopped, state != Some(InstanceState::Stopped)),
        Ready::After(ms) => (Until::Age(ms), true),
    };
    if waits {
        let instance = match &id {
            Arg::Known(id) => Arg::Known(CloudId::Instance(id.clone())),
            Arg::Output { step, target } => Arg::Output { step: *step, target: *target },
        };
        let addr = Addr::slot(Block::fleet(fleet), slot);
        let step = draft.step(NewStep {
            needs: ready.clone(),
            does: Do::Await { region: planning.home.clone() },
            targets: vec![Target { addr, generation, id: Some(instance), effect: Effect::Nothing }],
            expect: Vec::new(),
            settle: Settle {
                until,
                expected_ms: draft.input.pace.launch_ms,
                deadline_ms: planning.image.ready_timeout_ms,
            },
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
        Some(Seen::Present(seen)) => match &seen.state {
            InstanceState::Running | InstanceState::Stopped => Some(Arg::Known(id.clone())),
            other => {
                draft.faults.push(
                    Diagnostic::error(codes::BUSY, format!("{id} is in state {other:?}: it cannot be captured now"))
                        .at(path),
                );
                None
            }
        },
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
fn copy(
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
    let does =
        draft.call(&from, Body::SyncImages { image: source.clone(), to: missing.clone(), name: physical.clone() });
    let sync = draft.step(NewStep {
        needs: all_needs,
        does,
        targets,
        expect: missing
            .iter()
            .map(|region| Fact::NameFree { region: region.clone(), name: physical.clone() })
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
    let dress = dress_copies(draft, planning, sync, &missing);
    made_by.extend(dress.iter().copied());
    for (n, region) in missing.iter().enumerate() {
        let id = Arg::Output { step: sync, target: u32::try_from(n).unwrap_or(u32::MAX) };
        ready.insert(region.clone(), (id, vec![Need::Over(sync)]));
        let reason = if gone.iter().any(|object| object.region == *region) {
            Reason::CopiedBack { from: from.clone() }
        } else {
            Reason::New
        };
        let mut attrs = vec![AttrChange {
            name: "copied from".into(),
            before: Value::None,
            after: match &source {
                Arg::Known(id) => Value::Text(format!("{id} in {from}")),
                Arg::Output { step, target } => Value::Unknown {
                    step: *step,
                    target: *target,
                    addr: Addr::copy(block.clone(), version.clone(), from.clone()).generation(generation),
                },
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
            let body = Body::DescribeImageAs {
                image: Arg::Output { step, target: output_target },
                description: description.clone(),
            };
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

/// All that is recorded of an image and not wanted any more: older versions, dropped regions, removed blocks. Runs
/// after everything else, for it waits for whoever uses them.
pub(super) fn leftovers(draft: &mut Draft<'_>) {
    let blocks: Vec<Block> =
        draft.objects.keys().filter(|block| block.kind == Kind::Image).map(|block| (*block).clone()).collect();
    for block in blocks {
        let current = draft.current.get(&block.name).map(|current| (current.version.clone(), current.generation));
        let declared = match draft.input.desired.images.get(&block.name) {
            Some(Image::Managed(_)) => true,
            Some(Image::Public { .. }) | None => false,
        };
        if declared && current.is_none() {
            continue; // Its planner refused already.
        }
        for object in draft.objects_of(&block) {
            let key = (object.addr.version.clone(), object.generation);
            let is_current = current.as_ref().is_some_and(|(v, g)| key == (Some(v.clone()), *g));
            let wanted_here = draft.images.contains_key(&(block.name.clone(), object.region.clone()));
            if is_current && wanted_here {
                continue;
            }
            let reason = if draft.input.options.destroy {
                Reason::Destroy
            } else if !declared {
                Reason::NotInConfig
            } else if is_current {
                Reason::RegionDropped
            } else {
                Reason::OldVersion
            };
            // Vanished or failed copies of the current version were dealt with where it was planned.
            if current.as_ref().is_some_and(|(v, _)| key.0.as_ref() == Some(v)) && !is_current {
                if matches!(found(draft, object), Found::Gone) {
                    continue;
                }
            }
            leftover(draft, object, reason);
        }
    }
}

fn leftover(draft: &mut Draft<'_>, object: &Object, reason: Reason) {
    let name = &object.addr.block.name;
    let mut needs = Vec::new();
    match found(draft, object) {
        Found::Gone => {
            forget(draft, object, Reason::Vanished, Vec::new());
            return;
        }
        Found::UnderWay => needs.push(Need::Over(await_copy(draft, object))),
        Found::Usable(_) | Found::Failed => {}
    }
    let least = needs.clone();
    needs.extend(draft.moved.get(name).into_iter().flatten().copied().map(Need::Success));
    if let Some(current) = draft.current.get(name) {
        needs.extend(current.made_by.iter().copied().map(Need::Success));
    }
    let shared = draft.shared.get(&(name.clone(), object.region.clone()));
    needs.extend(shared.into_iter().flatten().copied().map(Need::Success));
    let Some(cancelled) = super::shares::cancel_all(draft, object, &reason, &needs) else { return };
    needs.extend(cancelled.map(Need::Success));
    let deletion = delete_copy(draft, object, reason, needs);
    // What nobody else may launch from is not missed: what runs from it goes on running.
    if cancelled.is_none() {
        draft.hasty.insert(deletion, least);
    }
}
