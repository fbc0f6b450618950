//! How a version comes to be in its home region: built, captured, imported, or copied from another image there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cloud::call::{Arg, Body, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::Shown;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{CopySource, Desired, InstanceSource, ManagedImage, Source, Tags};
use crate::model::digest::{Digest, context};
use crate::model::ids::{ImageId, Name, Region, Version};
use crate::model::recorded::VersionRecord;
use crate::model::spec::{ImageUse, ImportSource, Inputs, ObjectSpec};
use crate::plan::draft::{Draft, ImageAt, NewStep, detail, settle};
use crate::plan::types::{
    Action, AttrChange, Do, Effect, Fact, Hold, Need, NewObject, Reason, Resource, Settle, Target, Until, Value,
};

use super::capture::capture;
use super::copy::dress_copies;
use super::version::{all_gone, builder_gone, changed_inputs, previous_inputs};
use super::{Planning, copy_attrs, copy_spec, name_free, physical_name};

/// A version that is about to be made.
pub(super) struct Making<'v> {
    pub(super) version: &'v Version,
    pub(super) generation: u32,
    /// What it is made of.
    pub(super) inputs: Inputs,
    /// Why it is made, where that is not that it is new.
    pub(super) vanished: bool,
    /// Whether the command line asks for it.
    pub(super) asked: bool,
    /// Steps that remove what failed before, by region.
    pub(super) removed: &'v BTreeMap<Region, StepId>,
    /// What must be forgotten before.
    pub(super) forgotten: &'v [StepId],
}

impl Making<'_> {
    /// What must be over before.
    pub(super) fn needs(&self) -> impl Iterator<Item = Need> {
        self.removed.values().chain(self.forgotten).copied().map(Need::Success)
    }
}

/// Makes the version in its home region. Answers the step that makes it, and all by which it comes to be as it should.
pub(super) fn make(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    making: &Making<'_>,
) -> Option<(StepId, Vec<StepId>)> {
    match &planning.image.source {
        Source::Capture(source) => capture(draft, planning, source, making).map(|step| (step, vec![step])),
        Source::Import(source) => import(draft, planning, source, making).map(|step| (step, vec![step])),
        Source::Copy(source) => duplicate(draft, planning, source, making),
        Source::Build(build) => super::build::build(draft, planning, build, making).map(|step| (step, vec![step])),
    }
}

/// Refuses a version that cannot be made, for what it would be made of is unknown.
pub(super) fn unknown_inputs(draft: &mut Draft<'_>, planning: &Planning<'_>, version: &Version, vanished: bool) {
    let Some(capture) = planning.image.capture() else { return };
    let InstanceSource::Slot { fleet, .. } = &capture.source else { return };
    if vanished {
        all_gone(draft, planning.name, version, fleet);
    } else {
        builder_gone(draft, planning.name, fleet);
    }
}

/// What is peculiar to the way in which a first copy is made.
pub(super) struct FirstCopy {
    pub(super) physical: String,
    pub(super) does: Do,
    pub(super) needs: Vec<Need>,
    pub(super) expect: Vec<Fact>,
    pub(super) settle: Settle,
    /// What it is made from, to be shown.
    pub(super) from: Value,
}

/// The step by which a version comes to be, and the change that says so.
pub(super) fn first_copy(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    making: &Making<'_>,
    new: FirstCopy,
) -> StepId {
    let Planning { image, block, home, .. } = planning;
    let Making { version, generation, inputs, vanished, asked, .. } = making;
    let FirstCopy { physical, does, needs, expect, settle, from } = new;
    let previous = previous_inputs(draft, block, version);
    let made = NewObject {
        region: home.clone(),
        name: physical.clone(),
        zone: None,
        ordinal: None,
        spec: Arc::new(ObjectSpec::Image(copy_spec(image))),
        version: Some(Box::new(VersionRecord {
            block: block.clone(),
            version: (*version).clone(),
            generation: *generation,
            inputs: inputs.clone(),
            inputs_digest: Digest::of_value(context::INPUTS, inputs),
            made_ms: draft.input.as_of_ms,
        })),
    };
    let copied = matches!(image.source, Source::Copy(_));
    let reason = match (vanished, previous) {
        (_, _) if *asked => Reason::Requested,
        (true, _) if copied => Reason::CopiedBack { from: home.clone() },
        (true, _) => Reason::Recaptured,
        (false, Some(previous)) => Reason::NewVersion { inputs: changed_inputs(&previous, inputs) },
        (false, None) => Reason::New,
    };
    let addr = Addr::copy(block.clone(), (*version).clone(), home.clone());
    let target = Target { addr: addr.clone(), generation: *generation, id: None, effect: Effect::Make(Box::new(made)) };
    let step = draft.step(NewStep {
        needs,
        does,
        targets: vec![target],
        expect,
        settle,
        holds: vec![Hold { resource: Resource::Images(home.clone()), at_start: 1, at_end: 0 }],
    });
    let name = if copied { "copied from" } else { "from" };
    let mut attrs = vec![AttrChange { name: name.into(), before: Value::None, after: from }];
    attrs.extend(copy_attrs(draft, image));
    let detail = detail(vec![reason], attrs);
    draft.change(addr.generation(*generation), Action::Create, None, &physical, &detail);
    step
}

/// Ours and the declared tags, where the call that makes an image takes them.
pub(super) fn tagged_at_creation(draft: &mut Draft<'_>, image: &ManagedImage, block: &Block) -> Tags {
    let (key, value) = draft.tag(block);
    let mut tags = image.tags.clone();
    tags.insert(key, value);
    draft.assume_tags_are_made();
    tags
}

/// Imports a file.
fn import(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    source: &ImportSource,
    making: &Making<'_>,
) -> Option<StepId> {
    let Planning { name, image, block, home, .. } = planning;
    super::import::check(draft, name, home, source)?;
    let physical = physical_name(draft, planning, making.version, making.generation);
    name_free(draft, planning, home, &physical, making.removed)?;
    let tags = tagged_at_creation(draft, image, block);
    draft.dues.single("ImportImage", 1);
    let does = draft.call(
        home,
        Body::ImportImage {
            name: physical.clone(),
            source: Box::new(source.clone()),
            description: image.description.clone(),
            family: image.family.clone(),
            tags,
        },
    );
    draft.assumptions.insert(format!("the cloud can read {}", source.url));
    let new = FirstCopy {
        needs: making.needs().collect(),
        does,
        expect: vec![Fact::NameFree { region: home.clone(), name: physical.clone() }],
        settle: settle(Until::Normal, draft.input.pace.import_ms),
        from: Value::Text(source.url.clone()),
        physical,
    };
    Some(first_copy(draft, planning, making, new))
}

/// Copies another image within its region: encrypts a custom image, or makes a shared one our own (API text 4.9).
fn duplicate(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    source: &CopySource,
    making: &Making<'_>,
) -> Option<(StepId, Vec<StepId>)> {
    let Planning { name, home, .. } = planning;
    let CopySource { image: from, encryption } = source;
    let at = draft.images.get(&(from.clone(), home.clone()))?.clone();
    let plain = encryption.is_none();
    // What another environment made may well be of the same account: then it is a custom image like any other.
    let others = match &at.use_ {
        ImageUse::Found { .. } => true,
        ImageUse::Promoted { .. } => at.nature.received.contains(from),
        ImageUse::Made { .. } => false,
    };
    let wrong = if at.nature.encrypted {
        Some((
            codes::ENCRYPTED_IMAGE,
            "is encrypted",
            "the cloud copies no encrypted image, not even within its region",
        ))
    } else if others && !at.nature.fees.is_empty() {
        Some((codes::COPY_NOT_POSSIBLE, "is of the marketplace", "of the images of others only shared ones are copied"))
    } else if others && !plain {
        Some((codes::COPY_NOT_POSSIBLE, "is another account's", "only an image of one's own is copied encrypted"))
    } else if !others && plain {
        Some((
            codes::COPY_NOT_POSSIBLE,
            "is there already",
            "within its region a custom image is only copied encrypted",
        ))
    } else {
        None
    };
    if let Some((code, what, why)) = wrong {
        draft.faults.push(
            Diagnostic::error(code, format!("image.{from} {what}: it cannot be copied in this way"))
                .at(Desired::path(Kind::Image, name).key("copy").key("image"))
                .why(why)
                .help("make the image `from_instance` of a fleet that runs from it"),
        );
        return None;
    }
    let physical = physical_name(draft, planning, making.version, making.generation);
    name_free(draft, planning, home, &physical, making.removed)?;
    let mut needs = at.ready.clone();
    needs.extend(making.needs());
    // While it is copied, an image is busy: whatever was begun with it comes first, and all else afterwards.
    needs.extend(users(draft, home, &at.id).into_iter().map(Need::Over));
    let mut expect = vec![Fact::NameFree { region: home.clone(), name: physical.clone() }];
    expect.extend(at.id.known().map(|id| Fact::Image { region: home.clone(), id: id.clone() }));
    let to = BTreeSet::from([home.clone()]);
    let body = Body::SyncImages {
        image: at.id.clone(),
        to: to.clone(),
        name: physical.clone(),
        encryption: encryption.clone(),
    };
    draft.dues.single("SyncImages", 1);
    let does = draft.call(home, body);
    let settle = settle(Until::Copied, draft.input.pace.copy_ms);
    let shown = shown(draft, from, &at);
    let new = FirstCopy { physical, does, needs, expect, settle, from: shown };
    let step = first_copy(draft, planning, making, new);
    if let Some(at) = draft.images.get_mut(&(from.clone(), home.clone())) {
        at.ready.push(Need::Over(step));
    }
    let what = if encryption.is_some() { "an encrypted copy of" } else { "a copy of" };
    draft.assumptions.insert(format!("{what} image.{from} can be made in {home}"));
    let mut made_by = vec![step];
    made_by.extend(dress_copies(draft, planning, step, &to, false));
    Some((step, made_by))
}

/// What a copy is made from, to be shown.
fn shown(draft: &Draft<'_>, from: &Name, at: &ImageAt) -> Value {
    match &at.use_ {
        ImageUse::Found { id } => Value::Text(format!("image.{from} ({id})")),
        use_ @ ImageUse::Promoted { .. } => Value::Text(use_.to_string()),
        use_ @ ImageUse::Made { .. } => draft.show(&Shown::Image(use_.clone()), Some(&at.id)),
    }
}

/// Steps so far that need an image which must not be busy then.
fn users(draft: &Draft<'_>, region: &Region, image: &Arg<ImageId>) -> Vec<StepId> {
    let calls = draft.steps.iter().filter_map(|step| match &step.does {
        Do::Call(call) => Some((step.id, call)),
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => None,
    });
    calls
        .filter(|(_, call)| call.region == *region && call.body.needs_idle() == Some(image))
        .map(|(id, _)| id)
        .collect()
}
