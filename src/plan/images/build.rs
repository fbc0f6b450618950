//! Builds: a machine is launched from the base, prepares itself, is captured, and goes.
//!
//! The builder is there only while its image is made. Its end waits for the end of the capture, however that went; with
//! `on_failure: keep` for its success, and a builder that stays is marked as over. One that an interrupted run left is
//! taken up where its image is still to be made of it; any other goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cloud::call::{Arg, Body, Launch, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::made_with;
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::catalog;
use crate::model::desired::{Build, BuildFailure, Desired, Image, Launcher, ManagedImage};
use crate::model::ids::{CloudId, InstanceId, Region, Zone};
use crate::model::naming;
use crate::model::observed::{Instance, InstanceState};
use crate::model::recorded::Object;
use crate::model::spec::{Charge, ImageUse, ObjectSpec, SlotNetwork, SlotSpec};
use crate::plan::draft::{Draft, ImageAt, NewStep, at_once, detail, image_fact, settle};
use crate::plan::fleets::{go, instance_fact};
use crate::plan::outside::{Now, now};
use crate::plan::types::{Action, AttrChange, Do, Effect, Fact, Hold, Need, NewObject, Reason, Target, Until, Value};
use crate::plan::{fits, lookups, quota};

use super::Planning;
use super::capture::{Taking, take, until, wait};
use super::make::Making;

/// The machine that an image is built on.
struct Builder {
    addr: Addr,
    generation: u32,
    id: Arg<InstanceId>,
    zone: Zone,
    spec: Arc<ObjectSpec>,
    /// What must be over before it is waited for.
    ready: Vec<Need>,
    /// How long it may take until it is fit to be captured; `None`: it is.
    waits_ms: Option<Millis>,
    /// What it was seen to be, where it was there before.
    seen: Option<Instance>,
}

/// Builds the version in its home region.
pub(super) fn build(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    build: &Build,
    making: &Making<'_>,
) -> Option<StepId> {
    let Planning { name, home, .. } = planning;
    let launcher = Launcher::of_build(name, build);
    let at = fits::image_at(draft, &launcher)?;
    not_encrypted(draft, planning, build, &at)?;
    let builder = match standing(draft, planning, build, making, &at) {
        Some(builder) => builder,
        None => launch(draft, planning, build, making, &at)?,
    };
    let mut needs = builder.ready.clone();
    if let Some(deadline_ms) = builder.waits_ms {
        let step = wait(draft, planning, making, (&builder.id, needs.clone()), until(&build.ready), deadline_ms);
        needs.push(Need::Success(step));
    }
    let mut expect = Vec::new();
    if let Some(id) = builder.id.known() {
        expect.extend(match needs.is_empty() {
            true => instance_fact(draft, home, id),
            false => Some(Fact::Instances { region: home.clone(), ids: BTreeSet::from([id.clone()]) }),
        });
    }
    needs.extend(making.needs());
    let addr = builder.addr.clone().generation(builder.generation);
    let from = match &builder.id {
        Arg::Known(id) => Value::Text(format!("{addr} ({id})")),
        Arg::Output { step, target } => Value::Unknown { step: *step, target: *target, addr },
    };
    // What is on the disk of a machine that runs is not all that it has written.
    let taking = Taking { instance: builder.id.clone(), needs, expect, power_off: true, from };
    let capture = take(draft, planning, making, taking)?;
    end(draft, planning, build.on_failure, &builder, capture);
    Some(capture)
}

/// Refuses to build on an encrypted image: so is the builder's disk then, and the cloud captures none (API text 8.5).
fn not_encrypted(draft: &mut Draft<'_>, planning: &Planning<'_>, build: &Build, base: &ImageAt) -> Option<()> {
    if !base.nature.encrypted {
        return Some(());
    }
    draft.faults.push(
        Diagnostic::error(
            codes::ENCRYPTED_IMAGE,
            format!("image.{} cannot be built: its builder's disk would be encrypted", planning.name),
        )
        .at(Launcher::of_build(planning.name, build).image_path())
        .why(format!("whatever runs from image.{} has such a disk, and the cloud captures none", build.base))
        .help("build on an image that is not encrypted, and make an encrypted copy of what is built"),
    );
    None
}

/// What a builder is made with.
pub(in crate::plan) fn builder_spec(image: &ManagedImage, build: &Build, zone: &Zone, base: ImageUse) -> SlotSpec {
    let Build {
        base: _,
        region: _,
        zone: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        user_data,
        ready: _,
        timeout_ms: _,
        on_failure: _,
    } = build;
    let subnet = network.vpc.clone().zip(network.subnets.get(zone).cloned());
    SlotSpec {
        image: base,
        instance_type: instance_type.clone(),
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: SlotNetwork { subnet, security_groups: network.security_groups.clone() },
        internet: internet.clone(),
        login: login.clone(),
        tags: image.tags.clone(),
        user_data: user_data.clone(),
        hostname: None,
        charge: Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        on_trial: true,
    }
}

/// The recorded builders of a version, the newest last.
fn recorded<'a>(draft: &Draft<'a>, planning: &Planning<'_>, making: &Making<'_>) -> Vec<&'a Object> {
    let addr = Addr::builder(planning.block.clone(), making.version.clone());
    let mut rows = draft.objects_of(&planning.block);
    rows.retain(|row| row.addr == addr);
    rows
}

/// A builder of this very version that is there: an interrupted run left it.
fn standing(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    build: &Build,
    making: &Making<'_>,
    at: &ImageAt,
) -> Option<Builder> {
    // Whoever wants the version anew does not want what is on an old one.
    if making.asked || making.vanished {
        return None;
    }
    let row = recorded(draft, planning, making).pop()?;
    let (ObjectSpec::Slot(spec), Some(zone), Some(id)) = (row.spec.as_ref(), &row.zone, row.cloud_id.instance()) else {
        return None;
    };
    // Tags may have changed since: they go with it.
    let wanted = builder_spec(planning.image, build, zone, at.use_.clone());
    let same = SlotSpec { tags: spec.tags.clone(), ..wanted } == **spec;
    if !same || row.region != planning.home || build.zone.as_ref().is_some_and(|wanted| wanted != zone) {
        return None;
    }
    let (seen, at_rest) = match now(draft, row) {
        Now::Live(seen) => (Some(seen), true),
        Now::UnderWay(seen) => (seen, false),
        Now::Leaving | Now::Missing(_) => return None,
    };
    let ready = at_rest && seen.is_some_and(|seen| is_ready(&until(&build.ready), seen, draft.input.as_of_ms));
    let left_ms = build.timeout_ms - (draft.input.as_of_ms - row.accepted_ms);
    // By memory alone nobody knows whether it is ready.
    if !ready && left_ms <= 0 && at_rest && !draft.input.options.from_memory {
        return None;
    }
    draft.taken_up.insert(row.full_addr());
    let detail = detail(vec![Reason::BuildOver], Vec::new());
    draft.change(row.full_addr(), Action::Delete, Some(row.cloud_id.clone()), &row.name, &detail);
    Some(Builder {
        addr: row.addr.clone(),
        generation: row.generation,
        id: Arg::Known(id.clone()),
        zone: zone.clone(),
        spec: Arc::clone(&row.spec),
        ready: Vec::new(),
        waits_ms: (!ready).then_some(left_ms.max(settle(Until::Running, draft.input.pace.launch_ms).deadline_ms)),
        seen: seen.cloned(),
    })
}

/// Whether an instance is fit to be captured, as it was seen.
fn is_ready(until: &Until, seen: &Instance, as_of_ms: Millis) -> bool {
    match until {
        Until::Stopped => seen.state == InstanceState::Stopped,
        Until::Age(ms) => as_of_ms - seen.created_ms >= *ms,
        Until::Tagged { key, value } => seen.tags.get(key) == Some(value),
        Until::Running
        | Until::Accepted
        | Until::Settled
        | Until::Gone
        | Until::Operation(_)
        | Until::Normal
        | Until::Copied
        | Until::ImageGone => true,
    }
}

/// Launches a builder.
fn launch(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    build: &Build,
    making: &Making<'_>,
    at: &ImageAt,
) -> Option<Builder> {
    let Planning { name, image, block, home, .. } = planning;
    let launcher = Launcher::of_build(name, build);
    if !fits::disk(draft, &launcher, &build.system_disk, at) {
        return None;
    }
    lookups::goes_together(draft, &launcher, &build.login);
    let zone = zone(draft, &launcher, build)?;
    let spec = builder_spec(image, build, &zone, at.use_.clone());
    let addr = Addr::builder((*block).clone(), making.version.clone());
    let before = recorded(draft, planning, making).last().map_or(0, |row| row.generation);
    let generation = (before + 1).max(making.generation);
    let Desired { project, env, .. } = draft.input.desired;
    let physical = naming::builder_name(project, env, name, making.version, generation);
    let mut tags = image.tags.clone();
    tags.extend([draft.tag(block)]);
    let body = Body::RunInstances(Box::new(Launch {
        system_disk: spec.system_disk.clone(),
        data_disks: spec.data_disks.clone(),
        network: spec.network.clone(),
        internet: spec.internet.clone(),
        login: spec.login.clone(),
        name_prefix: naming::builder_prefix(project, env, name, making.version),
        first_ordinal: generation,
        tags,
        user_data: spec.user_data.clone(),
        ..Launch::of(zone.clone(), at.id.clone(), spec.instance_type.clone())
    }));
    let holds: Vec<Hold> = quota::takes(draft, home, &zone, &spec, 1).into_iter().collect();
    let attrs = attrs(draft, build, &spec, &zone, at);
    let spec = Arc::new(ObjectSpec::Slot(Box::new(spec)));
    let made = NewObject {
        region: home.clone(),
        name: physical.clone(),
        zone: Some(zone.clone()),
        ordinal: None,
        spec: Arc::clone(&spec),
        version: None,
    };
    draft.dues.single("RunInstances", 1);
    let does = draft.call(home, body);
    let step = draft.step(NewStep {
        needs: at.ready.clone(),
        does,
        targets: vec![Target { addr: addr.clone(), generation, id: None, effect: Effect::Make(Box::new(made)) }],
        expect: image_fact(home, &at.id).into_iter().collect(),
        settle: settle(Until::Running, draft.input.pace.launch_ms),
        holds,
    });
    draft.stock.entry(build.instance_type.clone()).or_default().insert(zone.clone());
    draft.assume_tags_are_made();
    if let Until::Tagged { key, value } = until(&build.ready) {
        draft.assumptions.insert(format!("whatever prepares the builder of image.{name} tags it {key}={value}"));
    }
    let detail = detail(vec![Reason::Builds], attrs);
    draft.change(addr.clone().generation(generation), Action::Create, None, &physical, &detail);
    let waits_ms = (until(&build.ready) != Until::Running).then_some(build.timeout_ms);
    let (id, ready) = (Arg::Output { step, target: 0 }, vec![Need::Success(step)]);
    Some(Builder { addr, generation, id, zone, spec, ready, waits_ms, seen: None })
}

/// What a builder is made with, to be shown.
fn attrs(draft: &Draft<'_>, build: &Build, spec: &SlotSpec, zone: &Zone, at: &ImageAt) -> Vec<AttrChange> {
    const SECOND_MS: Millis = 1000;
    let attr = |name: &str, after: Value| AttrChange { name: name.to_owned(), before: Value::None, after };
    let text = |name: &str, text: String| attr(name, Value::Text(text));
    let mut attrs: Vec<AttrChange> =
        made_with(spec).iter().map(|(name, shown)| attr(name, draft.show(shown, Some(&at.id)))).collect();
    attrs.push(text("zone", zone.to_string()));
    attrs.push(text("captured when", until(&build.ready).words()));
    attrs.push(text("timeout", format!("{} s", build.timeout_ms / SECOND_MS)));
    if build.on_failure == BuildFailure::Keep {
        attrs.push(text("on failure", "it stays until the next attempt".to_owned()));
    }
    attrs
}

/// The builder's zone: what the config says, or else the first that takes new instances, sells the type and has room.
fn zone(draft: &mut Draft<'_>, launcher: &Launcher<'_>, build: &Build) -> Option<Zone> {
    let path = launcher.path();
    if !lookups::region_there(draft, launcher, path.key("zone")) {
        return None;
    }
    if let Some(zone) = &build.zone {
        lookups::zone_there(draft, launcher, zone, path.key("zone"));
        return Some(zone.clone());
    }
    let region = &build.region;
    let seen = draft.input.observed.by_region.get(region);
    let open =
        |zone: &Zone| seen.and_then(|seen| seen.zones.as_ref()).is_none_or(|zones| zones.get(zone) == Some(&true));
    let sold = |zone: &Zone| seen.is_none_or(|seen| lookups::sells(seen, zone, &build.instance_type));
    let room = |zone: &Zone| {
        let quota = seen.and_then(|seen| seen.instance_quota.as_ref()?.get(zone).copied());
        quota.is_none_or(|quota| quota.used < quota.total)
    };
    let zones = candidates(draft, region, build);
    let mut fit: Vec<&Zone> = zones.iter().filter(|zone| open(zone) && sold(zone)).collect();
    fit.sort_by_key(|zone| !room(zone));
    if let Some(zone) = fit.first() {
        return Some((*zone).clone());
    }
    let among: Vec<&str> = zones.iter().map(Zone::as_str).collect();
    draft.faults.push(
        Diagnostic::error(
            codes::UNKNOWN_TYPE,
            format!("{} is offered in no zone of {region} that takes new instances", build.instance_type),
        )
        .at(path.key("type"))
        .why(format!("a builder without a `zone` goes to the first that suits, of {}", among.join(", ")))
        .help("choose a type that is sold there, or name a `zone` of another region"),
    );
    None
}

/// The zones that a builder may go to, in the order of their numbers: those of its subnets, where it has any.
fn candidates(draft: &Draft<'_>, region: &Region, build: &Build) -> Vec<Zone> {
    let seen = draft.input.observed.by_region.get(region).and_then(|seen| seen.zones.as_ref());
    let mut zones: Vec<Zone> = if !build.network.subnets.is_empty() {
        build.network.subnets.keys().cloned().collect()
    } else if let Some(zones) = seen {
        zones.keys().cloned().collect()
    } else {
        // Nobody was asked: such a plan is made again once it is clear that it launches something.
        let known = catalog::find_region(region.as_str()).into_iter().flat_map(|entry| entry.zones);
        let known: Vec<Zone> = known.map(|entry| Zone::new(entry.zone)).collect();
        if known.is_empty() { vec![Zone::new(format!("{region}-1"))] } else { known }
    };
    zones.sort_by_key(|zone| (zone.tail().parse::<u32>().unwrap_or(u32::MAX), zone.clone()));
    zones
}

/// The builder goes when the capture is over.
fn end(draft: &mut Draft<'_>, planning: &Planning<'_>, on_failure: BuildFailure, builder: &Builder, capture: StepId) {
    let Planning { home, .. } = planning;
    let Builder { addr, generation, id, zone, spec, ready: _, waits_ms: _, seen } = builder;
    let arg: Arg<CloudId> = match id {
        Arg::Known(id) => Arg::Known(CloudId::Instance(id.clone())),
        Arg::Output { step, target } => Arg::Output { step: *step, target: *target },
    };
    let target = |effect| Target { addr: addr.clone(), generation: *generation, id: Some(arg.clone()), effect };
    let mut needs = vec![Need::Over(capture)];
    if on_failure == BuildFailure::Keep {
        // Where it stays, nothing is made of it any more: somebody may have been at it.
        let step = draft.step(NewStep {
            needs: vec![Need::Over(capture)],
            does: Do::Record,
            targets: vec![target(over(spec).map_or(Effect::Nothing, Effect::Become))],
            expect: Vec::new(),
            settle: at_once(),
            holds: Vec::new(),
        });
        needs = vec![Need::Success(capture), Need::Over(step)];
    }
    let expect = seen.as_ref().map(|seen| Fact::Terminable {
        region: home.clone(),
        ids: BTreeSet::from([seen.id.clone()]),
        charge_type: seen.charge_type.clone().as_str().to_owned(),
    });
    let holds = match (seen, spec.as_ref()) {
        (Some(seen), _) => quota::frees(draft, home, [seen]),
        (None, ObjectSpec::Slot(spec)) => {
            let takes = quota::takes(draft, home, zone, spec, 1);
            takes
                .map(|Hold { resource, at_start, at_end: _ }| Hold { resource, at_start: 0, at_end: -at_start })
                .into_iter()
                .collect()
        }
        (None, ObjectSpec::Image(_) | ObjectSpec::Share(_)) => Vec::new(),
    };
    draft.dues.single("TerminateInstances", 1);
    let does = draft.call(home, Body::TerminateInstances { instances: vec![id.clone()] });
    draft.step(NewStep {
        needs,
        does,
        targets: vec![target(Effect::Remove)],
        expect: expect.into_iter().collect(),
        settle: settle(Until::Gone, draft.input.pace.terminate_ms),
        holds,
    });
}

/// What a builder is once nothing is made of it any more.
fn over(spec: &ObjectSpec) -> Option<Arc<ObjectSpec>> {
    let ObjectSpec::Slot(spec) = spec else { return None };
    Some(Arc::new(ObjectSpec::Slot(Box::new(SlotSpec { on_trial: false, ..spec.as_ref().clone() }))))
}

/// All builders that no image is made of any more.
pub(in crate::plan) fn leftovers(draft: &mut Draft<'_>) {
    let rows: Vec<&Object> = draft.rows_of(Kind::Image).filter(|row| row.addr.is_builder()).collect();
    let mut current: BTreeMap<&Block, bool> = BTreeMap::new();
    for row in rows {
        let block = &row.addr.block;
        if draft.taken_up.contains(&row.full_addr()) || !draft.plans_row(row) {
            continue;
        }
        let declared = *current.entry(block).or_insert_with(|| {
            let image = draft.input.desired.images.get(&block.name);
            image.and_then(Image::managed).is_some_and(|image| image.build().is_some())
        });
        let failed = matches!(row.spec.as_ref(), ObjectSpec::Slot(spec) if !spec.on_trial);
        let reason = if draft.input.options.destroy {
            Reason::Destroy
        } else if !declared {
            Reason::NotInConfig
        } else if failed {
            Reason::BuildFailed
        } else {
            Reason::BuildOver
        };
        go(draft, row, reason, Some(false));
        let capture = draft.capturing.get(&row.addr).copied();
        if let Some(going) = draft.going.last_mut().filter(|going| going.row.full_addr() == row.full_addr()) {
            going.needs.extend(capture);
        }
    }
}
