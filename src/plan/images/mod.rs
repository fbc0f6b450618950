//! Managed images: which version the config asks for, where copies of it are, and how the missing ones come to be.

mod build;
mod capture;
mod copy;
mod import;
mod in_use;
mod keep;
mod make;
mod retain;
mod version;
mod worth;

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::call::{Arg, Body, MAX_DELETE, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff;
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, ManagedImage, Source};
use crate::model::ids::{ImageId, Name, Region, Version};
use crate::model::naming;
use crate::model::observed::{ImageState, Seen};
use crate::model::recorded::Object;
use crate::model::spec::{ImageCopySpec, ImageUse, ObjectSpec};
use crate::plan::draft::{Current, Draft, ImageAt, Nature, NewStep, at_once, detail, known, settle};
use crate::plan::floor::Shared;
use crate::plan::outside::may_be_unlisted;
use crate::plan::scope::{self, Users};
use crate::plan::types::{Action, AttrChange, Do, Effect, Fact, Hold, Need, Reason, Resource, Target, Until, Value};

use copy::copy;
use keep::{Staying, keep_right};
use make::{Making, make, unknown_inputs};
use version::{Origin, builder_removed, check_reuse, origin, version};

pub(in crate::plan) use build::{builder_spec, leftovers as builders_left};
pub(super) use in_use::{after, retain as retain_in_use};
pub(super) use retain::{is_chosen, is_kept};
pub(super) use version::{marked_as_old, wanted};
pub(super) use worth::Worth;

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
pub(super) struct Planning<'a> {
    name: &'a Name,
    image: &'a ManagedImage,
    block: Block,
    home: Region,
    regions: BTreeSet<Region>,
    size_gib: u32,
    nature: Nature,
}

/// Plans the current version of a managed image: makes it or copies it where it is missing, and keeps what is named of it
/// right where it is. Chooses the older versions that stay.
pub(in crate::plan) fn managed(draft: &mut Draft<'_>, name: &Name, image: &ManagedImage) {
    let block = Block::image(name);
    let path = Desired::path(Kind::Image, name);
    let objects = draft.copies_of(&block);
    if let Some(build) = image.build()
        && draft.absent.contains(&(build.base.clone(), build.region.clone()))
    {
        draft.left_out.insert(block);
        return;
    }
    let Some(origin) = origin(draft, name, image) else { return };
    let regions = image.regions.clone().unwrap_or_else(|| BTreeSet::from([origin.home.clone()]));
    if !place_fits(draft, name, image, &origin, &regions) {
        return;
    }
    let Origin { home, made_of: inputs, size_gib, nature } = origin;
    for (n, region) in regions.iter().enumerate() {
        if draft.input.observed.regions.as_ref().is_some_and(|known| !known.contains(region)) {
            draft.faults.push(
                Diagnostic::error(codes::UNKNOWN_REGION, format!("the cloud has no region {region}"))
                    .at(path.key("regions").index(n))
                    .help(crate::plan::lookups::regions(draft.input.observed)),
            );
        }
    }

    let planning = Planning { name, image, block, home, regions, size_gib, nature };
    let Some((version, inputs)) = version(draft, &planning, inputs, &objects) else { return };
    let mine: Vec<&Object> =
        objects.iter().copied().filter(|object| object.addr.version.as_ref() == Some(&version)).collect();
    // Where the state has no copy left, its instances still tell which capture of the version they run from.
    let forgotten = if mine.is_empty() { last_in_use(draft, name, &version) } else { None };
    let known = mine.iter().map(|object| object.generation).max();
    let generation = known.or(forgotten).unwrap_or(1);
    let mut usable: BTreeMap<Region, ImageId> = BTreeMap::new();
    let mut under_way: Vec<&Object> = Vec::new();
    let mut failed: Vec<&Object> = Vec::new();
    let mut gone: Vec<&Object> = Vec::new();
    let mut staying = Vec::new();
    let mut seen_as = None;
    // What is to be made anew is an older generation from now on, whatever of it is there.
    let asked = draft.input.options.asked.replaces(&Addr::of(planning.block.clone()))
        || mine.iter().any(|object| draft.input.options.asked.replaces(&object.full_addr()));
    for object in mine.iter().copied().filter(|object| object.generation == generation) {
        let Some(id) = object.cloud_id.image() else { continue };
        if asked {
            gone.extend(matches!(found(draft, object), Found::Gone).then_some(object));
            continue;
        }
        match found(draft, object) {
            Found::Usable(seen) => {
                usable.insert(object.region.clone(), id.clone());
                seen_as.get_or_insert(seen);
                if let (true, ObjectSpec::Image(recorded)) =
                    (planning.regions.contains(&object.region) && draft.plans_row(object), object.spec.as_ref())
                {
                    let deprecated = retain::mark(image, recorded, false);
                    staying.push(Staying { object, seen, wanted: ImageCopySpec { deprecated, ..copy_spec(image) } });
                }
            }
            Found::UnderWay => under_way.push(object),
            Found::Failed => failed.push(object),
            Found::Gone => gone.push(object),
        }
    }
    // What is left out is only waited for where nothing else is there to copy from.
    under_way.retain(|object| draft.plans_row(object) || usable.is_empty());
    // Where it has to be made at home, what failed there goes first.
    let made = usable.is_empty() && under_way.is_empty();
    failed.retain(|object| draft.plans_row(object) || (made && object.region == planning.home));
    // Where all of it is made anew, nothing that is gone can stay recorded.
    if !usable.is_empty() || !under_way.is_empty() {
        gone.retain(|object| draft.plans_row(object));
    }
    keep_right(draft, &planning, &staying, &[], None);
    named_otherwise(draft, &planning, &version, generation, &staying);
    if let Some(inputs) = inputs.as_ref().filter(|_| !usable.is_empty()) {
        check_reuse(draft, &planning, &version, generation, inputs);
    }

    let mut ready: BTreeMap<Region, (Arg<ImageId>, Vec<Need>)> =
        usable.into_iter().map(|(region, id)| (region, (Arg::Known(id), Vec::new()))).collect();
    for object in under_way {
        let Some(id) = object.cloud_id.image() else { continue };
        let step = await_copy(draft, object);
        if object.region == planning.home {
            let builder = Addr::builder(planning.block.clone(), version.clone());
            draft.capturing.insert(builder, Need::Over(step));
        }
        ready.insert(object.region.clone(), (Arg::Known(id.clone()), vec![Need::Success(step)]));
    }
    let removed: BTreeMap<Region, StepId> = failed
        .iter()
        .filter_map(|object| {
            let (needs, least) = (Vec::new(), Vec::new());
            let failed = Deletion { object, reason: Reason::CreationFailed, needs, least, cancelled: None };
            draft.dues.single("DeleteImages", 1);
            Some((object.region.clone(), delete_copies(draft, &[&failed])?))
        })
        .collect();
    let mut forget_after = Vec::new();

    let mut made_by = Vec::new();
    let mut generation = generation;
    if inputs.is_none() && !ready.is_empty() {
        builder_removed(draft, &planning, &version);
    }
    let forgotten_version = forgotten.is_some();
    let mut forgotten = Vec::new();
    if ready.is_empty() {
        // All copies vanished: what is made now is not what was, though it bears the version. Only a copy of the same image
        // is what it was.
        let vanished = !asked && (!gone.is_empty() || forgotten_version);
        let same = matches!(image.source, Source::Copy(_));
        if vanished && same {
            forgotten.extend(gone.iter().map(|object| forget(draft, object, Reason::Vanished, Vec::new())));
            gone.clear();
        } else if vanished || asked {
            generation += 1;
        }
        let home = Addr::copy(planning.block.clone(), version.clone(), planning.home.clone()).generation(generation);
        if draft.covered.bars(&home) {
            draft.left_out.insert(planning.block);
            return;
        }
        let Some(inputs) = inputs else { return unknown_inputs(draft, &planning, &version, vanished) };
        if matches!(image.source, Source::Import(_)) && !failed.is_empty() {
            import::failed(draft, name, &planning.home);
        }
        let making =
            Making { version: &version, generation, inputs, vanished, asked, removed: &removed, forgotten: &forgotten };
        let Some((making, steps)) = make(draft, &planning, &making) else { return };
        made_by.extend(steps);
        // Until then the old rows are what tells that this is another capture of the version.
        forget_after.push(Need::Success(making));
        let id = Arg::Output { step: making, target: 0 };
        ready.insert(planning.home.clone(), (id, vec![Need::Success(making)]));
    }
    forgotten.extend(gone.iter().map(|object| forget(draft, object, Reason::Vanished, forget_after.clone())));
    copy(draft, &planning, &version, generation, &mut ready, &mut made_by, (&gone, &removed, &forgotten));

    retain::choose(draft, &planning, &version, &objects);
    let size_gib = seen_as.map_or(planning.size_gib, |seen| seen.size_gib);
    let nature = seen_as.map_or_else(|| planning.nature.clone(), |seen| planning.nature.seen(seen));
    for (region, (id, ready)) in ready {
        if planning.regions.contains(&region) {
            let use_ = ImageUse::Made { image: name.clone(), version: version.clone(), generation };
            let at = ImageAt { use_, id, ready, size_gib, nature: nature.clone() };
            draft.images.insert((name.clone(), region), at);
        }
    }
    draft.current.insert(name.clone(), Current { version, generation, home: planning.home, made_by });
}

/// The last capture of a version that recorded instances run from.
fn last_in_use(draft: &Draft<'_>, name: &Name, version: &Version) -> Option<u32> {
    let used = draft.instances().filter_map(|row| match row.spec.as_ref() {
        ObjectSpec::Slot(spec) => match &spec.image {
            ImageUse::Made { image, version: of, generation } => {
                (image == name && of == version).then_some(*generation)
            }
            ImageUse::Found { .. } | ImageUse::Promoted { .. } => None,
        },
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    });
    used.max()
}

/// Whether an image can be where the config wants it.
fn place_fits(
    draft: &mut Draft<'_>,
    name: &Name,
    image: &ManagedImage,
    origin: &Origin,
    regions: &BTreeSet<Region>,
) -> bool {
    let Origin { home, made_of: _, size_gib: _, nature } = origin;
    let path = Desired::path(Kind::Image, name).key("regions");
    if !regions.contains(home) {
        let made = match &image.source {
            Source::Capture(_) => "captured",
            Source::Build(_) => "built",
            Source::Import(_) | Source::Copy(_) => "made",
        };
        draft.faults.push(
            Diagnostic::error(
                codes::CONFLICT,
                format!("image.{name} is {made} in {home}, which is not among its regions"),
            )
            .at(path)
            .why(format!("an image is always there where it is {made}; copies are made from it"))
            .help(format!("add {home} to `regions`")),
        );
        return false;
    }
    if nature.encrypted && regions.len() > 1 {
        draft.faults.push(
            Diagnostic::error(
                codes::ENCRYPTED_IMAGE,
                format!("image.{name} is encrypted, and is to be in several regions"),
            )
            .at(path)
            .why(format!("the cloud copies no image whose disk is encrypted: it stays in {home}"))
            .help("take `regions` out, and make an encrypted copy in each region that needs one"),
        );
        return false;
    }
    true
}

/// Says that copies keep the names that they were made with: a new `name` is borne by what is made from now on.
fn named_otherwise(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    version: &Version,
    generation: u32,
    staying: &[Staying<'_>],
) {
    let wanted = physical_name(draft, planning, version, generation);
    let Some(other) = staying.iter().find(|copy| copy.object.name != wanted) else { return };
    draft.notes.push(
        Diagnostic::note(
            codes::NAME_LATER,
            format!("image.{}@{version} keeps the name {}", planning.name, other.object.name),
        )
        .at(Desired::path(Kind::Image, planning.name).key("name"))
        .why(format!("`name` makes it {wanted}: that is for what is made from now on")),
    );
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
        Some(Seen::Absent { asked_ms }) if may_be_unlisted(draft, object, asked_ms) => Found::UnderWay,
        Some(Seen::Absent { .. }) => Found::Gone,
        None => Found::UnderWay,
    }
}

/// A recorded copy as it was seen, where it can be used.
pub(in crate::plan) fn usable<'a>(draft: &Draft<'a>, object: &Object) -> Option<&'a crate::model::observed::Image> {
    match found(draft, object) {
        Found::Usable(seen) => Some(seen),
        Found::UnderWay | Found::Failed | Found::Gone => None,
    }
}

/// Whether a recorded copy is no longer there.
pub(in crate::plan) fn is_gone(draft: &Draft<'_>, object: &Object) -> bool {
    matches!(found(draft, object), Found::Gone)
}

fn await_copy(draft: &mut Draft<'_>, object: &Object) -> StepId {
    let step = draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: object.region.clone() },
        targets: vec![known(object, Effect::Arrive)],
        expect: Vec::new(),
        settle: settle(Until::Normal, awaited_ms(draft, object)),
        holds: Vec::new(),
    });
    let image = object.cloud_id.image().and_then(|id| draft.input.observed.image(&object.region, id));
    let percent = image.and_then(|seen| seen.present().and_then(|seen| seen.sync_percent));
    let progress = percent.map(|percent| AttrChange {
        name: "progress".into(),
        before: Value::Text(format!("{percent} %")),
        after: Value::Text("100 %".into()),
    });
    let detail = detail(vec![Reason::UnderWay], progress.into_iter().collect());
    draft.change(object.full_addr(), Action::Await, Some(object.cloud_id.clone()), &object.name, &detail);
    step
}

/// How long what is on its way may take.
fn awaited_ms(draft: &Draft<'_>, object: &Object) -> Millis {
    let pace = &draft.input.pace;
    let seen =
        object.cloud_id.image().and_then(|id| draft.input.observed.image(&object.region, id)?.present().copied());
    match seen.map(|seen| &seen.state) {
        Some(ImageState::Importing) => pace.import_ms,
        Some(ImageState::Syncing) => pace.copy_ms,
        Some(
            ImageState::Normal
            | ImageState::Creating
            | ImageState::CreateFailed
            | ImageState::ImportFailed
            | ImageState::Other(_),
        )
        | None => pace.capture_ms,
    }
}

/// Takes what is gone out of the state.
pub(in crate::plan) fn forget(draft: &mut Draft<'_>, object: &Object, reason: Reason, needs: Vec<Need>) -> StepId {
    draft.forgotten.insert(object.full_addr());
    let gone = matches!(reason, Reason::Vanished | Reason::CreationFailed);
    let expect = gone.then(|| Fact::Gone { region: object.region.clone(), id: object.cloud_id.clone() });
    let detail = detail(vec![reason], Vec::new());
    draft.change(object.full_addr(), Action::Forget, Some(object.cloud_id.clone()), &object.name, &detail);
    draft.step(NewStep {
        needs,
        does: Do::Record,
        targets: vec![known(object, Effect::Remove)],
        expect: expect.into_iter().collect(),
        settle: at_once(),
        holds: Vec::new(),
    })
}

/// A copy that is to be deleted.
struct Deletion<'a> {
    object: &'a Object,
    reason: Reason,
    /// What must be over before.
    needs: Vec<Need>,
    /// What of that it cannot do without.
    least: Vec<Need>,
    /// The step that cancels its shares, where it had any.
    cancelled: Option<StepId>,
}

/// Deletes copies of one region and their snapshots. They need the same, but for the end of their shares: each goes where
/// its own are cancelled.
fn delete_copies(draft: &mut Draft<'_>, copies: &[&Deletion<'_>]) -> Option<StepId> {
    let Deletion { object: first, needs, .. } = copies.first()?;
    let region = &first.region;
    let mut needs = needs.clone();
    let mut expect = Vec::new();
    let mut targets = Vec::new();
    for Deletion { object, reason, needs: _, least: _, cancelled } in copies {
        let detail = detail(vec![reason.clone()], Vec::new());
        draft.change(object.full_addr(), Action::Delete, Some(object.cloud_id.clone()), &object.name, &detail);
        let target = known(object, Effect::Remove);
        let calls =
            |step: &StepId| draft.steps.get(step.0 as usize).is_some_and(|step| matches!(step.does, Do::Call(_)));
        targets.push(match cancelled {
            // Right after its shares were cancelled a list may still show them.
            Some(step) if calls(step) => {
                needs.push(Need::Over(*step));
                Target { id: Some(Arg::Output { step: *step, target: 0 }), ..target }
            }
            // There were none in the cloud.
            Some(step) => {
                needs.push(Need::Success(*step));
                target
            }
            None => {
                let image = object.cloud_id.image().cloned();
                expect.extend(image.map(|image| Fact::Unshared { region: region.clone(), image }));
                target
            }
        });
    }
    let images: Vec<ImageId> = copies.iter().filter_map(|copy| copy.object.cloud_id.image().cloned()).collect();
    let does = draft.call(region, Body::DeleteImages { images });
    let at_end = -i64::try_from(copies.len()).unwrap_or(i64::MAX);
    Some(draft.step(NewStep {
        needs,
        does,
        targets,
        expect,
        settle: settle(Until::ImageGone, draft.input.pace.delete_ms),
        holds: vec![Hold { resource: Resource::Images(region.clone()), at_start: 0, at_end }],
    }))
}

/// What the config says of each copy of an image.
pub(in crate::plan) fn copy_spec(image: &ManagedImage) -> ImageCopySpec {
    ImageCopySpec {
        description: image.description.clone(),
        tags: image.tags.clone(),
        family: image.family.clone(),
        deprecated: image.deprecate_kept.then_some(false),
        protect: image.protect,
    }
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
    if let Some(family) = &image.family {
        attrs.push(AttrChange { name: "family".into(), before: Value::None, after: Value::Text(family.clone()) });
    }
    if !image.tags.is_empty() {
        let after = draft.show(&diff::show_tags(&image.tags), None);
        attrs.push(AttrChange { name: "tags".into(), before: Value::None, after });
    }
    if image.protect {
        attrs.push(AttrChange { name: "protect".into(), before: Value::None, after: Value::Text("yes".to_owned()) });
    }
    attrs
}

fn physical_name(draft: &Draft<'_>, planning: &Planning<'_>, version: &Version, generation: u32) -> String {
    let desired = draft.input.desired;
    match &planning.image.name {
        Some(pattern) => naming::image_name_by(pattern, version, generation),
        None => naming::image_name(&desired.project, &desired.env, planning.name, version, generation),
    }
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

/// All that is recorded of an image and not wanted any more: older versions, dropped regions, removed blocks. Runs
/// after everything else, for it waits for whoever uses them.
pub(in crate::plan) fn leftovers(draft: &mut Draft<'_>) {
    let blocks: Vec<Block> =
        draft.objects.keys().filter(|block| block.kind == Kind::Image).map(|block| (*block).clone()).collect();
    let users = Users::of(draft);
    let mut deletions: Vec<Deletion<'_>> = Vec::new();
    for block in blocks.into_iter().filter(|block| draft.covered.block(block)).collect::<Vec<_>>() {
        let declared = draft.input.desired.images.get(&block.name).is_some_and(|image| image.managed().is_some());
        if declared && !draft.current.contains_key(&block.name) {
            continue; // Its planner refused already.
        }
        for object in draft.copies_of(&block) {
            if !goes(draft, object) {
                continue;
            }
            let is_current = is_current(draft, object);
            if let Some(user) = users.any(object) {
                if !is_gone(draft, object) {
                    scope::stays(draft, object, user);
                }
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
            // What vanished or failed of the current version was dealt with where that was planned; what an interrupted
            // run left of captures before it was not.
            let dealt_with = match found(draft, object) {
                Found::Gone => draft.forgotten.contains(&object.full_addr()),
                Found::Failed => is_current,
                Found::UnderWay | Found::Usable(_) => false,
            };
            if dealt_with {
                continue;
            }
            deletions.extend(leftover(draft, object, reason));
        }
        retain::keep_older_right(draft, &block.name);
    }
    delete(draft, &deletions);
    retain::guard(draft);
}

/// Whether a recorded copy is one of the current version.
fn is_current(draft: &Draft<'_>, copy: &Object) -> bool {
    draft.current.get(&copy.addr.block.name).is_some_and(|current| {
        copy.addr.version.as_ref() == Some(&current.version) && copy.generation == current.generation
    })
}

/// Whether a recorded copy is wanted no more: neither current and wanted where it is, nor one that stays.
fn goes(draft: &Draft<'_>, copy: &Object) -> bool {
    let wanted_here = draft.images.contains_key(&(copy.addr.block.name.clone(), copy.region.clone()));
    !((is_current(draft, copy) && wanted_here) || is_kept(draft, copy)) && draft.plans_row(copy)
}

/// What deletions have in common that go together: the region, whether they can be hastened, and what they need, in any
/// case and then.
type Alike<'d> = (&'d Region, bool, &'d [Need], &'d [Need]);

/// Deletes copies, together where they need the same.
fn delete(draft: &mut Draft<'_>, deletions: &[Deletion<'_>]) {
    let mut batches: BTreeMap<Alike<'_>, Vec<&Deletion<'_>>> = BTreeMap::new();
    for deletion in deletions {
        let Deletion { object, reason: _, needs, least, cancelled } = deletion;
        // What nobody else may launch from is not missed: what runs from it goes on running. So it may go before a
        // successor is there, where a quota leaves no room for both.
        let hasty = cancelled.is_none() && !needs.is_empty();
        draft.dues.shared(Shared::Delete(object.region.clone(), hasty), &object.addr.block, !needs.is_empty());
        batches.entry((&object.region, hasty, needs, least)).or_default().push(deletion);
    }
    for ((_, hasty, _, least), copies) in batches {
        for chunk in copies.chunks(MAX_DELETE) {
            let step = delete_copies(draft, chunk).filter(|_| hasty);
            draft.hasty.extend(step.map(|step| (step, least.to_vec())));
        }
    }
}

fn leftover<'a>(draft: &mut Draft<'_>, object: &'a Object, reason: Reason) -> Option<Deletion<'a>> {
    let name = &object.addr.block.name;
    let mut needs = Vec::new();
    match found(draft, object) {
        Found::Gone => {
            forget(draft, object, Reason::Vanished, Vec::new());
            return None;
        }
        Found::UnderWay | Found::Usable(_) if retain::is_protected(draft, object) => {
            draft.guarded.entry(name.clone()).or_default().insert(object.full_addr());
            return None;
        }
        Found::UnderWay => needs.push(Need::Over(await_copy(draft, object))),
        Found::Usable(_) | Found::Failed => {}
    }
    let least = needs.clone();
    // Where a rollout does without a slot, its old instance runs on.
    needs.extend(draft.moved.get(name).into_iter().flatten().copied().map(Need::Whole));
    if let Some(current) = draft.current.get(name) {
        needs.extend(current.made_by.iter().copied().map(Need::Success));
    }
    let shared = draft.shared.get(&(name.clone(), object.region.clone()));
    needs.extend(shared.into_iter().flatten().copied().map(Need::Success));
    let cancelled = crate::plan::shares::cancel_all(draft, object, &reason, &needs)?;
    Some(Deletion { object, reason, needs, least, cancelled })
}
