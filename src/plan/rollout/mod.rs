//! How a fleet gets from what it is to what it should be: launches, replacements, resets and changes in place, in
//! batches as large as the cloud and `max_unavailable` allow.

mod modify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Draft, ImageAt, NewStep, SlotAt, image_fact, known, settle};
use super::fleets::{instance_fact, prefix, sources};
use super::types::{
    Action, AttrChange, Detail, Effect, Fact, Hold, Need, NewObject, Reason, Resource, Target, Until, Value,
};
use crate::cloud::call::{Arg, Body, Installation, Launch, MAX_BATCH, MAX_LAUNCH, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{Attr, SlotDiff, Takes, made_with};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, Fleet, Strategy};
use crate::model::ids::{InstanceId, Name, Region, Zone};
use crate::model::observed::{Instance, InstanceState};
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec, SlotNetwork, SlotSpec};

/// An instance to be made.
#[derive(Clone, Debug)]
pub(super) struct Creation {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) zone: Zone,
    pub(super) ordinal: u32,
    pub(super) reason: Reason,
    /// Whether the fleet lacks it already: then nothing else is taken out of service before it is back.
    pub(super) repair: bool,
}

/// An instance to be terminated.
pub(super) struct Going<'a> {
    pub(super) row: &'a Object,
    pub(super) charge_type: String,
    pub(super) needs: Vec<Need>,
}

/// A slot that stays and changes.
pub(super) struct Work<'a> {
    pub(super) slot: u32,
    pub(super) zone: Zone,
    pub(super) ordinal: u32,
    pub(super) row: &'a Object,
    pub(super) seen: &'a Instance,
    pub(super) diff: SlotDiff,
    /// Whether a run shut it down, and was interrupted before it was started again.
    pub(super) halted: bool,
    /// What must be over before anything is done to it.
    pub(super) ready: Vec<Need>,
}

impl Work<'_> {
    /// Whether the cloud has all of it already, and only the state has to learn it.
    fn is_so_already(&self) -> bool {
        let idle = |takes: Takes| matches!(takes, Takes::Record | Takes::Nothing);
        !self.halted && !self.diff.reset_failed && self.diff.attrs.iter().all(|attr| idle(attr.takes))
    }
}

/// One fleet's changes, gathered.
pub(super) struct Rolling<'a> {
    pub(super) name: &'a Name,
    fleet: &'a Fleet,
    block: Block,
    at: ImageAt,
    pub(super) specs: BTreeMap<Zone, Arc<ObjectSpec>>,
    prefixes: BTreeMap<Zone, String>,
    pub(super) tag: (String, String),
    /// Slots that images are captured from, and whether they may be off.
    pub(super) sources: BTreeMap<u32, bool>,
    pub(super) creations: Vec<Creation>,
    /// What must be over before anything is made.
    pub(super) before_creation: BTreeSet<Need>,
    pub(super) work: Vec<Work<'a>>,
    refused: BTreeSet<&'static str>,
    details: BTreeMap<Detail, Arc<Detail>>,
}

impl<'a> Rolling<'a> {
    pub(super) fn new(
        draft: &Draft<'a>,
        name: &'a Name,
        fleet: &'a Fleet,
        block: Block,
        at: ImageAt,
        specs: BTreeMap<Zone, Arc<ObjectSpec>>,
    ) -> Self {
        let desired = draft.input.desired;
        Self {
            name,
            fleet,
            tag: draft.tag(&block),
            block,
            at,
            prefixes: specs.keys().map(|zone| (zone.clone(), prefix(desired, name, zone))).collect(),
            specs,
            sources: sources(desired, name),
            creations: Vec::new(),
            before_creation: BTreeSet::new(),
            work: Vec::new(),
            refused: BTreeSet::new(),
            details: BTreeMap::new(),
        }
    }

    pub(super) fn prefix(&self, zone: &Zone) -> &str {
        self.prefixes.get(zone).map_or("", String::as_str)
    }

    /// Refuses a change that this build cannot carry out; once for the whole fleet.
    pub(super) fn unsupported(&mut self, draft: &mut Draft<'_>, attr: &'static str) {
        if self.refused.insert(attr) {
            draft.faults.push(
                Diagnostic::error(
                    codes::UNSUPPORTED_YET,
                    format!("fleet.{} exists, and its {attr} cannot be changed yet", self.name),
                )
                .at(Desired::path(Kind::Fleet, self.name).key(attr))
                .help("declare a fleet of another name with it, and remove this one when it has taken over"),
            );
        }
    }

    /// One value for all slots that change alike.
    fn detail(&mut self, reasons: Vec<Reason>, attrs: Vec<AttrChange>) -> Arc<Detail> {
        let detail = Detail { reasons, attrs };
        if let Some(same) = self.details.get(&detail) {
            return Arc::clone(same);
        }
        let shared = Arc::new(detail.clone());
        self.details.insert(detail, Arc::clone(&shared));
        shared
    }

    /// Whether a slot gets another version of the image that it runs from.
    fn has_new_version(&self, work: &Work<'_>) -> bool {
        let ObjectSpec::Slot(recorded) = work.row.spec.as_ref() else { return false };
        match (&recorded.image, &self.at.use_) {
            (ImageUse::Made { image: before, .. }, ImageUse::Made { image: after, .. }) => {
                before == after && recorded.image != self.at.use_
            }
            (ImageUse::Made { .. } | ImageUse::Found { .. }, _) => false,
        }
    }

    fn zone_index(&self, zone: &Zone) -> usize {
        self.fleet.zones.iter().position(|other| other == zone).unwrap_or(usize::MAX)
    }

    fn strategy(&self, diff: &SlotDiff) -> Option<Strategy> {
        if diff.takes(Takes::Replace) {
            return Some(Strategy::Replace);
        }
        (diff.takes(Takes::Rebuild) || diff.reset_failed).then_some(self.fleet.update.strategy)
    }

    /// What a slot is once its attributes were changed in place: what only a new disk brings stays as it was, and
    /// tags that have to go stay known until they are gone.
    fn spec_in_place(&self, work: &Work<'_>, rebuilt: bool, untagged: bool) -> Option<Arc<ObjectSpec>> {
        let wanted = self.specs.get(&work.zone)?;
        let (ObjectSpec::Slot(wanted_spec), ObjectSpec::Slot(recorded)) = (wanted.as_ref(), work.row.spec.as_ref())
        else {
            return None;
        };
        let going = &work.diff.tags.unset;
        if rebuilt && (untagged || going.is_empty()) {
            return Some(Arc::clone(wanted));
        }
        let mut tags = wanted_spec.tags.clone();
        if !untagged {
            tags.extend(
                recorded
                    .tags
                    .iter()
                    .filter(|(key, _)| going.contains(*key))
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
        }
        if rebuilt {
            return Some(Arc::new(ObjectSpec::Slot(Box::new(SlotSpec { tags, ..wanted_spec.as_ref().clone() }))));
        }
        let SlotSpec {
            image,
            instance_type: _,
            system_disk,
            data_disks,
            network,
            internet,
            login,
            tags: _,
            user_data,
            hostname,
            charge,
            placement_group,
            cam_role,
            power,
            protect,
        } = recorded.as_ref();
        let network = SlotNetwork {
            subnet: network.subnet.clone(),
            security_groups: wanted_spec.network.security_groups.clone(),
        };
        Some(Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
            image: image.clone(),
            instance_type: wanted_spec.instance_type.clone(),
            system_disk: system_disk.clone(),
            data_disks: data_disks.clone(),
            network,
            internet: internet.clone(),
            login: login.clone(),
            tags,
            user_data: user_data.clone(),
            hostname: hostname.clone(),
            charge: charge.clone(),
            placement_group: placement_group.clone(),
            cam_role: cam_role.clone(),
            power: *power,
            protect: *protect,
        }))))
    }
}

/// Makes the steps of one fleet: first what it lacks, then what changes, a few at a time.
pub(super) fn roll(draft: &mut Draft<'_>, mut rolling: Rolling<'_>) {
    let creations = std::mem::take(&mut rolling.creations);
    let before: Vec<Need> = rolling.before_creation.iter().copied().collect();
    let (repairs, others): (Vec<Creation>, Vec<Creation>) = creations.into_iter().partition(|creation| creation.repair);
    let mut gate: Vec<Need> = Vec::new();
    for step in launch(draft, &mut rolling, repairs, &before, None) {
        gate.push(Need::Success(step));
    }
    launch(draft, &mut rolling, others, &[], None);

    let mut work = std::mem::take(&mut rolling.work);
    work.sort_by_key(|work| (rolling.zone_index(&work.zone), work.ordinal));
    let (known_already, work): (Vec<Work<'_>>, Vec<Work<'_>>) = work.into_iter().partition(Work::is_so_already);
    let (disruptive, gentle): (Vec<Work<'_>>, Vec<Work<'_>>) = work.into_iter().partition(|work| {
        rolling.strategy(&work.diff).is_some()
            || (work.diff.takes(Takes::Resize) && work.seen.state == InstanceState::Running)
            || work.halted
    });
    let mut in_place: Vec<(Work<'_>, Option<StepId>, Vec<Need>)> = Vec::new();
    let batch = usize::try_from(rolling.fleet.update.max_unavailable.max(1)).unwrap_or(usize::MAX);
    let mut disruptive = disruptive.into_iter().peekable();
    while disruptive.peek().is_some() {
        let group: Vec<Work<'_>> = disruptive.by_ref().take(batch).collect();
        gate = one_group(draft, &mut rolling, group, &gate, &mut in_place);
    }
    for work in gentle {
        let mut needs = work.ready.clone();
        if work.diff.takes(Takes::Resize) {
            needs = vec![Need::Success(resize(draft, &mut rolling, &work, needs, false))];
        }
        note_change(draft, &mut rolling, &work, Action::Update);
        in_place.push((work, None, needs));
    }
    modify::modify(draft, &rolling, &in_place);
    modify::enter(draft, &mut rolling, known_already);
}

/// Launches instances: one call for every run of consecutive ordinals in a zone.
fn launch(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    mut creations: Vec<Creation>,
    needs: &[Need],
    replaced: Option<&BTreeMap<u32, Arc<Detail>>>,
) -> Vec<StepId> {
    creations.sort_by_key(|creation| (rolling.zone_index(&creation.zone), creation.ordinal));
    let mut steps = Vec::new();
    let mut rest = creations.as_slice();
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .zip(first.ordinal..)
            .take(MAX_LAUNCH as usize)
            .take_while(|(creation, ordinal)| creation.zone == first.zone && creation.ordinal == *ordinal)
            .count();
        let (now, later) = rest.split_at(run);
        rest = later;
        steps.extend(launch_run(draft, rolling, now, needs, replaced));
    }
    steps
}

fn launch_run(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    run: &[Creation],
    needs: &[Need],
    replaced: Option<&BTreeMap<u32, Arc<Detail>>>,
) -> Option<StepId> {
    let first = run.first()?;
    let spec = Arc::clone(rolling.specs.get(&first.zone)?);
    let ObjectSpec::Slot(slot_spec) = spec.as_ref() else { return None };
    let region = rolling.fleet.region.clone();
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    let SlotSpec {
        image: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        hostname,
        charge,
        placement_group,
        cam_role,
        power: _,
        protect,
    } = slot_spec.as_ref();
    let mut all_tags = tags.clone();
    all_tags.insert(rolling.tag.0.clone(), rolling.tag.1.clone());
    let body = Body::RunInstances(Box::new(Launch {
        zone: first.zone.clone(),
        image: rolling.at.id.clone(),
        instance_type: instance_type.clone(),
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: network.clone(),
        internet: internet.clone(),
        login: login.clone(),
        name_prefix: rolling.prefix(&first.zone).to_owned(),
        first_ordinal: first.ordinal,
        count,
        tags: all_tags,
        user_data: user_data.clone(),
        hostname: hostname.as_ref().map(|pattern| pattern.in_zone(&first.zone)),
        charge: charge.clone(),
        placement_group: placement_group.clone(),
        cam_role: cam_role.clone(),
        protect: *protect,
        token: None,
    }));
    let targets = run
        .iter()
        .map(|creation| Target {
            addr: Addr::slot(rolling.block.clone(), creation.slot),
            generation: creation.generation,
            id: None,
            effect: Effect::Make(Box::new(NewObject {
                region: region.clone(),
                name: format!("{}{}", rolling.prefix(&creation.zone), creation.ordinal),
                zone: Some(creation.zone.clone()),
                ordinal: Some(creation.ordinal),
                spec: Arc::clone(&spec),
                version: None,
            })),
        })
        .collect();
    let mut needs = needs.to_vec();
    needs.extend(rolling.at.ready.iter().copied());
    let does = draft.call(&region, body);
    let step = draft.step(NewStep {
        needs,
        does,
        targets,
        expect: image_fact(&region, &rolling.at.id).into_iter().collect(),
        settle: settle(Until::Running, draft.input.pace.launch_ms),
        holds: vec![Hold {
            resource: Resource::Instances(region, first.zone.clone()),
            at_start: i64::from(count),
            at_end: 0,
        }],
    });
    draft.assumptions.insert(format!("{} is in stock in {}", rolling.fleet.instance_type, first.zone));
    draft.assumptions.insert("TagSpecification creates a tag that does not exist yet".into());
    let shown: Vec<AttrChange> = made_with(slot_spec)
        .iter()
        .map(|(name, shown)| AttrChange {
            name: (*name).to_owned(),
            before: Value::None,
            after: draft.show(shown, Some(&rolling.at.id)),
        })
        .chain([AttrChange { name: "zone".into(), before: Value::None, after: Value::Text(first.zone.to_string()) }])
        .collect();
    for (n, creation) in run.iter().enumerate() {
        let target = u32::try_from(n).unwrap_or(u32::MAX);
        if rolling.sources.contains_key(&creation.slot) {
            let at = SlotAt { id: Arg::Output { step, target }, ready: vec![Need::Success(step)], state: None };
            draft.slots.insert((rolling.name.clone(), creation.slot), at);
        }
        let addr = Addr::slot(rolling.block.clone(), creation.slot).generation(creation.generation);
        let name = format!("{}{}", rolling.prefix(&creation.zone), creation.ordinal);
        // A replacement is one change, noted with what it replaces.
        if replaced.is_none() {
            let detail = rolling.detail(vec![creation.reason.clone()], shown.clone());
            draft.change(addr, Action::Create, None, &name, &detail);
        }
    }
    Some(step)
}

/// One group that may be out of service together. Answers what the next group waits for.
fn one_group<'a>(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    group: Vec<Work<'a>>,
    gate: &[Need],
    in_place: &mut Vec<(Work<'a>, Option<StepId>, Vec<Need>)>,
) -> Vec<Need> {
    let mut lasts: Vec<Need> = Vec::new();
    let (replaced, kept): (Vec<Work<'a>>, Vec<Work<'a>>) =
        group.into_iter().partition(|work| rolling.strategy(&work.diff) == Some(Strategy::Replace));
    if !replaced.is_empty() {
        for step in replace(draft, rolling, &replaced, gate) {
            lasts.push(Need::Success(step));
        }
    }
    let resized: Vec<&Work<'_>> = kept.iter().filter(|work| work.diff.takes(Takes::Resize)).collect();
    let (stops, running) = stop(draft, &resized, gate);
    let mut started: Vec<(&Work<'a>, Vec<Need>)> = Vec::new();
    let mut last_of: BTreeMap<u32, StepId> = BTreeMap::new();
    for work in &kept {
        let mut needs: Vec<Need> = gate.iter().chain(&work.ready).copied().collect();
        let resets = rolling.strategy(&work.diff) == Some(Strategy::Reset);
        if work.diff.takes(Takes::Resize) {
            needs.extend(stops.iter().copied());
            let step = resize(draft, rolling, work, needs.clone(), false);
            needs = vec![Need::Success(step)];
            last_of.insert(work.slot, step);
        }
        if (running.contains(&work.slot) || work.halted) && !resets {
            started.push((work, needs.clone()));
        }
        if resets {
            last_of.insert(work.slot, reset(draft, rolling, work, needs));
        }
        note_change(draft, rolling, work, if resets { Action::Reset } else { Action::Update });
    }
    let start = start(draft, &started);
    for (work, _) in &started {
        last_of.extend(start.map(|step| (work.slot, step)));
    }
    lasts.extend(last_of.values().copied().map(Need::Success));
    lasts.sort_unstable();
    lasts.dedup();
    for work in kept {
        let resets = rolling.strategy(&work.diff) == Some(Strategy::Reset);
        let last = last_of.get(&work.slot).copied();
        let needs = last.map_or_else(|| work.ready.clone(), |step| vec![Need::Success(step)]);
        in_place.push((work, last.filter(|_| resets), needs));
    }
    lasts
}

/// Remembers after which steps nothing runs from the recorded image of a slot any more.
fn moves(draft: &mut Draft<'_>, row: &Object, step: StepId) {
    if let ObjectSpec::Slot(spec) = row.spec.as_ref()
        && let ImageUse::Made { image, .. } = &spec.image
    {
        draft.moved.entry(image.clone()).or_default().insert(step);
    }
}

fn replace(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, group: &[Work<'_>], gate: &[Need]) -> Vec<StepId> {
    let mut needs: BTreeSet<Need> = gate.iter().copied().collect();
    // Nothing is taken away before the image that it is to run from is there.
    needs.extend(rolling.at.ready.iter().copied());
    if let Arg::Output { step, .. } = rolling.at.id {
        needs.insert(Need::Success(step));
    }
    let mut by_charge: BTreeMap<&str, Vec<&Work<'_>>> = BTreeMap::new();
    for work in group {
        needs.extend(work.ready.iter().copied());
        if work.seen.protected {
            draft.faults.push(
                Diagnostic::error(
                    codes::PROTECTED,
                    format!("{} must be replaced, but the cloud protects it against termination", work.row.full_addr()),
                )
                .help("switch DisableApiTermination off, or use `update: { strategy: reset }`"),
            );
        }
        by_charge.entry(&work.seen.charge_type).or_default().push(work);
    }
    let needs: Vec<Need> = needs.into_iter().collect();
    let mut terminated = Vec::new();
    for works in by_charge.values() {
        for chunk in works.chunks(MAX_BATCH) {
            let rows: Vec<&Object> = chunk.iter().map(|work| work.row).collect();
            terminated.extend(terminate(draft, &rows, needs.clone()));
        }
    }
    let mut details = BTreeMap::new();
    let mut creations = Vec::new();
    for work in group {
        let detail = note_change(draft, rolling, work, Action::Replace);
        details.insert(work.slot, detail);
        creations.push(Creation {
            slot: work.slot,
            generation: work.row.generation + 1,
            zone: work.zone.clone(),
            ordinal: work.ordinal,
            reason: Reason::New,
            repair: false,
        });
    }
    let after: Vec<Need> = terminated.into_iter().map(Need::Success).collect();
    let launched = launch(draft, rolling, creations, &after, Some(&details));
    // The version before stays until its last instance has its successor: it may be wanted back.
    for work in group {
        for step in &launched {
            moves(draft, work.row, *step);
        }
    }
    launched
}

/// Terminates at most [`MAX_BATCH`] instances of one region and billing type.
fn terminate(draft: &mut Draft<'_>, rows: &[&Object], needs: Vec<Need>) -> Option<StepId> {
    let region = rows.first()?.region.clone();
    let instances: Vec<InstanceId> = rows.iter().filter_map(|row| row.cloud_id.instance().cloned()).collect();
    let mut zones: BTreeMap<Zone, i64> = BTreeMap::new();
    let mut by_charge: BTreeMap<&str, BTreeSet<InstanceId>> = BTreeMap::new();
    for row in rows {
        let id = row.cloud_id.instance();
        let seen = id.and_then(|id| draft.input.observed.instance(&row.region, id)?.present());
        if let Some(seen) = seen {
            by_charge.entry(&seen.charge_type).or_default().insert(seen.id.clone());
        }
        if let Some(seen) = seen.filter(|seen| super::quota::counts(seen)) {
            *zones.entry(seen.zone.clone()).or_default() += 1;
        }
    }
    let holds = zones
        .into_iter()
        .map(|(zone, n)| Hold { resource: Resource::Instances(region.clone(), zone), at_start: 0, at_end: -n })
        .collect();
    let does = draft.call(&region, Body::TerminateInstances { instances });
    let may_go = |(charge_type, ids): (&str, _)| Fact::Terminable {
        region: region.clone(),
        ids,
        charge_type: charge_type.to_owned(),
    };
    let expect = by_charge.into_iter().map(may_go).collect();
    let step = draft.step(NewStep {
        needs,
        does,
        targets: rows.iter().map(|row| known(row, Effect::Remove)).collect(),
        expect,
        settle: settle(Until::Gone, draft.input.pace.terminate_ms),
        holds,
    });
    for row in rows {
        moves(draft, row, step);
    }
    Some(step)
}

/// Terminates what goes from all fleets, in as few calls as the cloud allows.
pub(super) fn terminate_going(draft: &mut Draft<'_>) {
    let mut batches: BTreeMap<(Region, String, Vec<Need>), Vec<&Object>> = BTreeMap::new();
    for Going { row, charge_type, needs } in std::mem::take(&mut draft.going) {
        batches.entry((row.region.clone(), charge_type, needs)).or_default().push(row);
    }
    for ((_, _, needs), rows) in batches {
        for chunk in rows.chunks(MAX_BATCH) {
            terminate(draft, chunk, needs.clone());
        }
    }
}

fn reset(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &Work<'_>, mut needs: Vec<Need>) -> StepId {
    needs.extend(rolling.at.ready.iter().copied());
    let region = work.row.region.clone();
    let id = &work.seen.id;
    let mut expect: Vec<Fact> = image_fact(&region, &rolling.at.id).into_iter().collect();
    if !work.diff.takes(Takes::Resize) {
        expect.extend(instance_fact(draft, &region, id));
    }
    let body = Body::ResetInstance {
        instance: id.clone(),
        image: rolling.at.id.clone(),
        with: Box::new(Installation {
            login: rolling.fleet.login.clone(),
            user_data: rolling.fleet.user_data.clone(),
            system_disk_gib: None,
            hostname: None,
        }),
    };
    let does = draft.call(&region, body);
    let spec = rolling.spec_in_place(work, true, false);
    let step = draft.step(NewStep {
        needs,
        does,
        targets: vec![known(work.row, spec.map_or(Effect::Nothing, Effect::Become))],
        expect,
        settle: settle(Until::Operation("ResetInstance".into()), draft.input.pace.reset_ms),
        holds: Vec::new(),
    });
    moves(draft, work.row, step);
    if rolling.sources.contains_key(&work.slot) {
        let at = SlotAt { id: Arg::Known(id.clone()), ready: vec![Need::Success(step)], state: None };
        draft.slots.insert((rolling.name.clone(), work.slot), at);
    }
    step
}

/// Stops what runs and is to get another type: a running instance may be refused (API text 5.10).
fn stop(draft: &mut Draft<'_>, resized: &[&Work<'_>], gate: &[Need]) -> (Vec<Need>, BTreeSet<u32>) {
    let running: Vec<&&Work<'_>> =
        resized.iter().filter(|work| work.seen.state == InstanceState::Running || !work.ready.is_empty()).collect();
    let mut steps = Vec::new();
    for chunk in running.chunks(MAX_BATCH) {
        let needs = gate.iter().chain(chunk.iter().flat_map(|work| &work.ready)).copied().collect();
        let instances = chunk.iter().map(|work| work.seen.id.clone()).collect();
        let Some(region) = chunk.first().map(|work| work.row.region.clone()) else { continue };
        let does = draft.call(&region, Body::StopInstances { instances });
        // What is still under way may end with another operation than it was seen with.
        let at_rest = chunk.iter().filter(|work| work.ready.is_empty());
        let expect = at_rest.filter_map(|work| instance_fact(draft, &region, &work.seen.id)).collect();
        steps.push(draft.step(NewStep {
            needs,
            does,
            targets: chunk.iter().map(|work| known(work.row, Effect::Nothing)).collect(),
            expect,
            settle: settle(Until::Stopped, draft.input.pace.power_ms),
            holds: Vec::new(),
        }));
    }
    (steps.into_iter().map(Need::Success).collect(), running.iter().map(|work| work.slot).collect())
}

fn resize(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    work: &Work<'_>,
    needs: Vec<Need>,
    rebuilt: bool,
) -> StepId {
    let region = work.row.region.clone();
    let body =
        Body::ResizeInstance { instance: work.seen.id.clone(), instance_type: rolling.fleet.instance_type.clone() };
    let does = draft.call(&region, body);
    let spec = rolling.spec_in_place(work, rebuilt, false);
    let untouched = work.ready.is_empty() && work.seen.state != InstanceState::Running;
    let expect = instance_fact(draft, &region, &work.seen.id).filter(|_| untouched);
    draft.step(NewStep {
        needs,
        does,
        targets: vec![known(work.row, spec.map_or(Effect::Nothing, Effect::Become))],
        expect: expect.into_iter().collect(),
        settle: settle(Until::Operation("ResetInstancesType".into()), draft.input.pace.resize_ms),
        holds: Vec::new(),
    })
}

fn start(draft: &mut Draft<'_>, stopped: &[(&Work<'_>, Vec<Need>)]) -> Option<StepId> {
    let region = stopped.first()?.0.row.region.clone();
    let instances = stopped.iter().map(|(work, _)| work.seen.id.clone()).collect();
    let does = draft.call(&region, Body::StartInstances { instances });
    let untouched = stopped.iter().filter(|(work, _)| work.ready.is_empty() && !work.diff.takes(Takes::Resize));
    let expect = untouched.filter_map(|(work, _)| instance_fact(draft, &region, &work.seen.id)).collect();
    // One that could not get its new type is started all the same: it was running before.
    Some(draft.step(NewStep {
        needs: stopped.iter().flat_map(|(_, needs)| needs).map(|need| Need::Over(need.step())).collect(),
        does,
        targets: stopped.iter().map(|(work, _)| known(work.row, Effect::Nothing)).collect(),
        expect,
        settle: settle(Until::Running, draft.input.pace.power_ms),
        holds: Vec::new(),
    }))
}

/// Notes what changes on a slot and why.
fn note_change(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &Work<'_>, action: Action) -> Arc<Detail> {
    let mut reasons = Vec::new();
    let names = |drifted: bool| -> Vec<String> {
        let attrs = work.diff.attrs.iter().filter(|attr| attr.takes != Takes::Nothing && attr.drifted == drifted);
        attrs.map(|attr| attr.name.to_owned()).collect()
    };
    if work.diff.reset_failed {
        reasons.push(Reason::ResetFailed);
    }
    if work.halted {
        reasons.push(Reason::Halted);
    }
    let (mut changed, drifted) = (names(false), names(true));
    if rolling.has_new_version(work) {
        changed.retain(|name| name != "image");
        reasons.push(Reason::NewVersion { inputs: Vec::new() });
    }
    if !changed.is_empty() {
        reasons.push(Reason::Changed { attrs: changed });
    }
    if !drifted.is_empty() {
        reasons.push(Reason::Drifted { attrs: drifted });
    }
    if work.is_so_already() {
        reasons.push(Reason::Already);
    }
    let starts = |attr: &Attr| work.halted && attr.name == "state";
    let shown = work.diff.attrs.iter().filter(|attr| attr.takes != Takes::Nothing || starts(attr));
    let attrs = draft.show_attrs(shown, Some(&rolling.at.id));
    let detail = rolling.detail(reasons, attrs);
    draft.change(work.row.full_addr(), action, Some(work.row.cloud_id.clone()), &work.row.name, &detail);
    detail
}
