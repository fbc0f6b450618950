//! Fleets: which slots there are to be, in which zones, and what becomes of each.
//!
//! A slot keeps its zone and its ordinal for as long as it is recorded, also while it has no instance. [`rollout`]
//! makes the steps.

pub(super) mod course;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{Draft, NewStep, SlotAt, detail, known, settle};
use super::fits;
use super::guard::{self, Act, Verdict};
use super::images::forget;
use super::outside::{self, Now, now};
use super::quota;
use super::rollout::{self, Creation, Going, Rolling, Trial, Work};
use super::types::{Action, Do, Effect, Fact, Handling, Need, Reason, Until};
use crate::cloud::call::{Arg, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{self, Attr, Shown, Takes, Wanted, fields};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Desired, Fleet, InstanceSource, Launcher, ManagedImage, Ready};
use crate::model::ids::{InstanceId, Name, Region, Zone};
use crate::model::naming;
use crate::model::observed::{Instance, InstanceState, Seen};
use crate::model::recorded::Object;
use crate::model::rollout::Hold;
use crate::model::spec::{ImageUse, ObjectSpec, Power, SlotNetwork, SlotSpec};
use course::{Course, Lineup};
use slots::Slots;

pub(in crate::plan) use slots::first_slot_at;

/// Plans one fleet.
pub(super) fn fleet<'a>(draft: &mut Draft<'a>, name: &'a Name, fleet: &'a Fleet) {
    if draft.absent.contains(&(fleet.image.clone(), fleet.region.clone())) {
        draft.left_out.insert(Block::fleet(name));
        return;
    }
    super::lookups::fleet_place(draft, name, fleet);
    let launcher = Launcher::of_fleet(name, fleet);
    let Some(at) = fits::image_at(draft, &launcher) else { return };
    if !fits::disk(draft, &launcher, &fleet.system_disk, &at) {
        return;
    }
    let block = Block::fleet(name);
    let rows = draft.objects_of(&block);
    sensible(draft, name, fleet);
    if !place_kept(draft, name, fleet, &rows) {
        return;
    }
    let specs: BTreeMap<Zone, Arc<ObjectSpec>> = fleet
        .zones
        .iter()
        .map(|zone| (zone.clone(), Arc::new(ObjectSpec::Slot(Box::new(slot_spec(fleet, zone, at.use_.clone()))))))
        .collect();
    let course = Course::of(draft, &block, fleet, &at.use_);
    let Some(held) = held(draft, name, fleet, course, Lineup { at, specs }) else { return };
    let Held { lineup, course, reached } = held;
    let mut rolling = Rolling::new(draft, name, fleet, block, lineup, course);
    rolling.reached = reached;

    // Of each slot one generation counts. The others were replaced and only have to go, or wait until that is known to be
    // good.
    let mut newest: BTreeMap<u32, &'a Object> = BTreeMap::new();
    let mut slots: BTreeMap<u32, Vec<&'a Object>> = BTreeMap::new();
    for row in &rows {
        if let Some(slot) = row.addr.slot {
            slots.entry(slot).or_default().push(row);
        }
    }
    for (slot, rows) in slots {
        let Standing { counts, until, go: others } = standing(draft, &rolling, &rows);
        newest.insert(slot, counts);
        rolling.generations.insert(slot, rows.iter().map(|row| row.generation).max().unwrap_or(counts.generation));
        rolling.older.extend(until.map(|older| (slot, older)));
        for row in others {
            if draft.plans_row(row) {
                go(draft, row, Reason::Succeeded, Some(fleet.protect));
                rolling.surplus.insert(row.cloud_id.clone());
            }
        }
    }

    let slots = slots::choose(draft, fleet, &newest, &rows);
    rolling.slots = slots.located();
    let Slots { kept, dropped, fresh } = slots;
    let stay = kept.iter().filter_map(|(row, to)| match to {
        Some((zone, ordinal)) => Some((zone, *ordinal)),
        None => row.zone.as_ref().zip(row.ordinal),
    });
    fits::hostnames(draft, name, fleet, stay.chain(fresh.iter().map(|(_, zone, ordinal)| (zone, *ordinal))));
    let (before, after) = (count_of(newest.len()), fleet.count);
    let dropped: Vec<&'a Object> = dropped
        .into_iter()
        .flat_map(|row| {
            let older = row.addr.slot.and_then(|slot| rolling.older.remove(&slot));
            std::iter::once(row).chain(older)
        })
        .collect();
    for row in dropped.into_iter().filter(|row| draft.plans_row(row)).collect::<Vec<_>>() {
        go(draft, row, Reason::ScaledDown { from: before, to: after }, Some(fleet.protect));
    }
    for (row, to) in kept.into_iter().filter(|(row, _)| draft.plans_row(row)).collect::<Vec<_>>() {
        slot(draft, &mut rolling, row, to);
    }
    let reason = if newest.is_empty() { Reason::New } else { Reason::ScaledUp { from: before, to: after } };
    let asked_for = |(slot, ..): &(u32, Zone, u32)| draft.plans(&Addr::slot(Block::fleet(name), *slot));
    for (slot, zone, ordinal) in fresh.into_iter().filter(asked_for).collect::<Vec<_>>() {
        rolling.creations.push(Creation { slot, generation: 1, zone, ordinal, reason: reason.clone(), repair: false });
    }
    // What nothing is decided about stays as it is.
    for row in rolling.older.values() {
        course::keep_image_of(draft, row);
    }
    if rolling.course.hold == Hold::Rest {
        for row in newest.values() {
            course::keep_image_of(draft, row);
        }
    }
    rollout::roll(draft, rolling);
}

/// What instances of a fleet are made with, given what its rollout holds.
struct Held<'a> {
    lineup: Lineup,
    course: Course<'a>,
    /// What slots are that stay where a rollout got them, while the others do not follow.
    reached: Option<Lineup>,
}

/// Takes a rollout into account that waits, stopped, or was taken back.
fn held<'a>(draft: &mut Draft<'a>, name: &Name, fleet: &Fleet, course: Course<'a>, target: Lineup) -> Option<Held<'a>> {
    let Some(row) = course.row.filter(|_| course.hold != Hold::None) else {
        return Some(Held { lineup: target, course, reached: None });
    };
    let before = course::before(draft, row, &target, &fleet.region);
    course::tell(draft, name, row, before.is_some());
    if let Some(before) = &before {
        course::keep_image(draft, &before.at.use_, &fleet.region);
    }
    match (course.hold, before) {
        (Hold::All, None) => {
            course::no_way_back(draft, name, row);
            None
        }
        (Hold::All, Some(lineup)) => Some(Held { lineup, course, reached: None }),
        // Without what ran before, whatever has to be made is made as the config says; nothing else is touched.
        (Hold::Rest | Hold::None, None) => Some(Held { reached: Some(target.clone()), lineup: target, course }),
        (Hold::Rest | Hold::None, Some(lineup)) => Some(Held { lineup, course, reached: Some(target) }),
    }
}

/// Which of the generations of a slot counts, and what becomes of the others.
struct Standing<'a> {
    counts: &'a Object,
    /// The one that serves until the one that counts is known to be good.
    until: Option<&'a Object>,
    /// Those that go.
    go: Vec<&'a Object>,
}

/// The newest that is as it should be and has been seen to be good counts; else the newest as it should be, while another
/// one serves; else the newest that was seen to be good; else the newest. Of those that are not as they should be, one that
/// runs counts before those that are off.
fn standing<'a>(draft: &Draft<'a>, rolling: &Rolling<'_>, rows: &[&'a Object]) -> Standing<'a> {
    let mut rows: Vec<&'a Object> = rows.to_vec();
    rows.sort_by_key(|row| std::cmp::Reverse(row.generation));
    let there = |row: &Object| matches!(now(draft, row), Now::Live(_) | Now::UnderWay(_));
    let reached = |row: &Object| {
        rolling.reached.as_ref().is_some_and(|reached| !row.is_on_trial() && rolling.is_made_as(row, &reached.specs))
    };
    let fits = |row: &Object| rolling.is_made(row) || reached(row);
    let find = |wanted: &dyn Fn(&Object) -> bool| rows.iter().position(|row| there(row) && wanted(row));
    let on = |seen: &Instance| diff::power_of(&seen.state) == Some(Power::Running);
    let runs = |row: &Object| matches!(now(draft, row), Now::Live(seen) | Now::UnderWay(Some(seen)) if on(seen));
    let proven = find(&|row| fits(row) && !row.is_on_trial());
    let tried = find(&|row| fits(row) && rolling.reached.is_none()).filter(|_| proven.is_none());
    let others = || {
        let seen = |row: &Object| !row.is_on_trial();
        let up = find(&|row| seen(row) && runs(row)).or_else(|| find(&runs));
        up.or_else(|| find(&seen)).or_else(|| find(&|_| true))
    };
    let place = proven.or(tried).or_else(others).unwrap_or(0);
    let counts = rows.remove(place);
    let until = match tried {
        Some(_) => rows.iter().rposition(|row| there(row)).map(|serving| rows.remove(serving)),
        None => None,
    };
    Standing { counts, until, go: rows }
}

fn count_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A fleet stays in its region. Slots of zones that the config no longer has move; a zone more is filled as it grows.
fn place_kept(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet, rows: &[&Object]) -> bool {
    if let Some(elsewhere) = rows.iter().find(|row| row.region != fleet.region) {
        draft.faults.push(
            Diagnostic::error(
                codes::REGION_CHANGED,
                format!("fleet.{name} is in {}, and cannot be moved to {}", elsewhere.region, fleet.region),
            )
            .at(Desired::path(Kind::Fleet, name).key("region"))
            .help("declare a fleet of another name there, and remove this one when it has taken over"),
        );
        return false;
    }
    let mut counts: BTreeMap<&Zone, u32> = fleet.zones.iter().map(|zone| (zone, 0)).collect();
    let mut moves = false;
    for row in rows {
        match row.zone.as_ref().and_then(|zone| counts.get_mut(zone)) {
            Some(count) => *count += 1,
            None => moves = true,
        }
    }
    if !moves {
        uneven(draft, name, &counts, fleet.count);
    }
    true
}

/// Refuses what makes no sense together, whatever is there.
fn sensible(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet) {
    let path = Desired::path(Kind::Fleet, name);
    for attr in fleet.ignore_changes.iter().filter(|attr| !fields::fleet(**attr).ignorable) {
        let words: Vec<&str> = fields::ignorable().map(FleetAttr::word).collect();
        draft.faults.push(
            Diagnostic::error(codes::INVALID_VALUE, format!("changes of `{attr}` cannot be ignored"))
                .at(path.key("ignore_changes"))
                .why(fields::fleet(*attr).says)
                .help(format!("what can be ignored is {}", words.join(", "))),
        );
    }
    if fleet.power == Some(Power::Stopped) {
        for (image, slot) in running_captures(draft.input.desired, name) {
            draft.faults.push(
                Diagnostic::error(
                    codes::SOURCE_SWITCHED_OFF,
                    format!("image.{image} is captured from fleet.{name}[{slot}] while that runs, and it is to be off"),
                )
                .at(path.key("state"))
                .why("`state: stopped` switches the instances of a fleet off as soon as they are there")
                .help(format!("capture it with `ready: stopped` in image.{image}, or take `state` out of the fleet")),
            );
        }
    }
}

/// Says that a zone stays empty though another one has several slots: new slots go to the emptiest zone, but none is
/// moved there. It was added, or has lost all that it had.
fn uneven(draft: &mut Draft<'_>, name: &Name, counts: &BTreeMap<&Zone, u32>, wanted: u32) {
    let mut after: BTreeMap<&Zone, u32> = counts.clone();
    for _ in after.values().sum()..wanted {
        if let Some(emptiest) = after.values_mut().min() {
            *emptiest += 1;
        }
    }
    let empty = after.iter().find(|(_, count)| **count == 0).map(|(zone, _)| *zone);
    let full = after.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > 1);
    let (Some(empty), Some((full, count))) = (empty, full) else { return };
    draft.notes.push(
        Diagnostic::warning(codes::ZONE_EMPTY, format!("fleet.{name} has no instance in {empty}"))
            .at(Desired::path(Kind::Fleet, name).key("zones"))
            .why(format!("{full} has {count}; instances are not moved only to spread them evenly"))
            .help("those that the fleet grows by go to the emptiest zone"),
    );
}

/// What the config says of a fleet's instances in a zone, with this image.
pub(super) fn slot_spec(fleet: &Fleet, zone: &Zone, image: ImageUse) -> SlotSpec {
    let Fleet {
        image: _,
        count: _,
        region: _,
        zones: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        update: _,
        health: _,
        hostname,
        charge,
        placement_group,
        cam_role,
        power,
        protect,
        ignore_changes: _,
    } = fleet;
    let subnet = network.vpc.clone().zip(network.subnets.get(zone).cloned());
    SlotSpec {
        image,
        instance_type: instance_type.clone(),
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: SlotNetwork { subnet, security_groups: network.security_groups.clone() },
        internet: internet.clone(),
        login: login.clone(),
        tags: tags.clone(),
        user_data: user_data.clone(),
        hostname: hostname.clone(),
        charge: charge.clone(),
        placement_group: placement_group.clone(),
        cam_role: cam_role.clone(),
        power: *power,
        protect: *protect,
        on_trial: false,
    }
}

/// Plans one recorded slot that stays, in its own zone or, where the config no longer has that, in another one.
fn slot<'a>(draft: &mut Draft<'a>, rolling: &mut Rolling<'a>, row: &'a Object, to: Option<(Zone, u32)>) {
    let (Some(slot), Some(zone), Some(ordinal)) = (row.addr.slot, &row.zone, row.ordinal) else { return };
    let source = (rolling.name.clone(), slot);
    let place = || to.clone().unwrap_or_else(|| (zone.clone(), ordinal));
    let again = |reason: Reason| {
        let (zone, ordinal) = place();
        Creation { slot, generation: rolling.next(row), zone, ordinal, reason, repair: true }
    };
    let (seen, ready) = match now(draft, row) {
        Now::Live(seen) => (Some(seen), Vec::new()),
        Now::UnderWay(seen) => (seen, vec![Need::Success(await_instance(draft, row, Until::Settled))]),
        Now::Leaving => {
            outside::lost(draft, row, &Reason::Vanished, Handling::Repaired);
            let step = leave(draft, row);
            rolling.creations.push(again(Reason::Vanished));
            rolling.before_creation.insert(Need::Over(step));
            return;
        }
        Now::Missing(reason) => {
            outside::lost(draft, row, &reason, Handling::Repaired);
            forget(draft, row, reason.clone(), Vec::new());
            rolling.creations.push(again(reason));
            return;
        }
    };
    if rolling.sources.contains_key(&slot)
        && let Some(id) = row.cloud_id.instance()
    {
        let at = SlotAt {
            id: Arg::Known(id.clone()),
            ready: ready.clone(),
            state: seen.filter(|_| ready.is_empty()).map(|seen| seen.state.clone()),
        };
        draft.slots.insert(source, at);
    }
    let ObjectSpec::Slot(recorded) = row.spec.as_ref() else { return };
    let tried = recorded.on_trial && rolling.course.hold != Hold::Rest;
    let Some(seen) = seen else {
        if tried {
            let older = rolling.older.remove(&slot);
            rolling.trials.push(Trial { row, older, ready });
        } else {
            rolling.awaited.extend(ready);
        }
        return;
    };
    let reached = rolling.reached.as_ref().filter(|reached| rolling.is_made_as(row, &reached.specs));
    let specs = reached.map_or(&rolling.specs, |reached| &reached.specs);
    let Some(config) = specs.get(to.as_ref().map_or(zone, |(zone, _)| zone)) else { return };
    let ObjectSpec::Slot(spec) = config.as_ref() else { return };
    // Where nothing is known that could be gone back to, what a rollout holds is left alone.
    let held = rolling.reached.is_some() && reached.is_none() && !rolling.is_made(row);
    let asked = draft.input.options.asked.replaces(&row.full_addr());
    if held && diff::reset_failed(seen) && !asked {
        // The cloud does nothing to it before it is reset, and that is what the rollout holds.
        rolling.awaited.extend(ready);
        return;
    }
    let mut other = held.then(|| SlotSpec { hostname: recorded.hostname.clone(), ..course::as_made(recorded, spec) });
    // Its type can be changed once it has been reset.
    if diff::reset_failed(seen) && spec.instance_type != seen.instance_type {
        let now = other.take().unwrap_or_else(|| spec.as_ref().clone());
        other = Some(SlotSpec { instance_type: seen.instance_type.clone(), ..now });
    }
    let other = other.map(|other| Arc::new(ObjectSpec::Slot(Box::new(other))));
    let config = other.as_ref().unwrap_or(config);
    let ObjectSpec::Slot(spec) = config.as_ref() else { return };
    let ignore = &rolling.fleet.ignore_changes;
    let wanted = if ignore.is_empty() {
        Arc::clone(config)
    } else {
        Arc::new(ObjectSpec::Slot(Box::new(diff::keeping(spec, recorded, ignore))))
    };
    let ObjectSpec::Slot(spec) = wanted.as_ref() else { return };
    let name = format!("{}{ordinal}", rolling.prefix(zone));
    let hostname = spec.hostname.as_ref().map(|pattern| pattern.of(zone, ordinal));
    let against = Wanted {
        spec,
        name: to.is_none().then_some(name.as_str()),
        hostname: hostname.as_deref(),
        ours: (rolling.tag.0.as_str(), rolling.tag.1.as_str()),
        ignore,
    };
    let mut diff = diff::slot(recorded, row.made_from.as_ref(), against, seen);
    if let Some((to, _)) = &to {
        let shown = |zone: &Zone| Shown::Text(zone.to_string());
        let (before, after) = (shown(zone), shown(to));
        let name = FleetAttr::Zones.word();
        diff.attrs.push(Attr { name, before, after, takes: Takes::Move, drifted: false });
    }
    if held {
        diff.leave_as_it_is();
    }
    // A builder that switches itself off is left to do so.
    let off = rolling.sources.get(&slot).is_some_and(|stopped| *stopped);
    if off && diff.power == Some(Power::Stopped) {
        diff.power = None;
        for attr in diff.attrs.iter_mut().filter(|attr| attr.is(FleetAttr::State)) {
            attr.takes = Takes::Record;
        }
    }
    let stays_off = spec.power == Some(Power::Stopped);
    let halted = seen.state == InstanceState::Stopped && draft.input.recorded.halted.contains(&seen.id) && !stays_off;
    for attr in diff.attrs.iter().filter(|attr| attr.drifted) {
        // A builder that switched itself off is as it should be; what is waited for is not there yet, and what a run of
        // ours shut down is started again.
        let expected = attr.is(FleetAttr::State) && (off || halted || !ready.is_empty());
        if !expected {
            outside::changed(draft, row, seen, attr);
        }
    }
    let does_something =
        asked || halted || diff.reset_failed || diff.attrs.iter().any(|attr| attr.takes != Takes::Nothing);
    if does_something {
        let (zone, found) = (zone.clone(), diff::power_of(&seen.state));
        let next = rolling.next(row);
        let on_trial = recorded.on_trial && rolling.course.hold == Hold::Rest;
        let mut work =
            Work { slot, zone, ordinal, to, row, seen, wanted, diff, found, halted, asked, on_trial, next, ready };
        // What is rebuilt is looked at when that is done; what changes in place changes before it is looked at.
        if recorded.on_trial && !on_trial && !rolling.disrupts(&work) {
            work.on_trial = true;
            let older = rolling.older.remove(&slot);
            rolling.trials.push(Trial { row, older, ready: work.ready.clone() });
        }
        rolling.work.push(work);
    } else if tried {
        let older = rolling.older.remove(&slot);
        rolling.trials.push(Trial { row, older, ready });
    } else if ready.is_empty() && row.status.is_unsettled() {
        rolling.awaited.insert(Need::Success(await_instance(draft, row, Until::Settled)));
    } else {
        rolling.awaited.extend(ready);
    }
}

/// What a call on an instance of ours relies on, and by what it is told afterwards whether the call took effect.
pub(super) fn instance_fact(draft: &Draft<'_>, region: &Region, id: &InstanceId) -> Option<Fact> {
    if !draft.input.options.from_memory {
        return seen_fact(draft, region, id);
    }
    let seen = draft.input.observed.instance_there(region, id)?;
    let Instance { image, instance_type, .. } = seen;
    let (image, instance_type) = (image.clone(), instance_type.clone());
    Some(Fact::Remembered { region: region.clone(), id: id.clone(), image, instance_type })
}

/// What a call on an instance that was looked at relies on.
pub(super) fn seen_fact(draft: &Draft<'_>, region: &Region, id: &InstanceId) -> Option<Fact> {
    let seen = draft.input.observed.instance_there(region, id)?;
    Some(Fact::Instance {
        region: region.clone(),
        id: id.clone(),
        image: seen.image.clone(),
        instance_type: seen.instance_type.clone(),
        latest_request: seen.latest.as_ref().and_then(|latest| latest.request_id.clone()),
    })
}

pub(super) fn await_instance(draft: &mut Draft<'_>, row: &Object, until: Until) -> StepId {
    let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance(&row.region, id));
    let not_listed = matches!(seen, Some(Seen::Absent { .. }));
    let reason = if not_listed { Reason::NotListed } else { Reason::UnderWay };
    let detail = detail(vec![reason], Vec::new());
    draft.change(row.full_addr(), Action::Await, Some(row.cloud_id.clone()), &row.name, &detail);
    // Somebody else may be at it: a reset takes far longer than a launch.
    let pace = &draft.input.pace;
    let latest = seen.and_then(|seen| seen.present().and_then(|seen| seen.latest.as_ref()));
    let expected_ms = latest.and_then(|latest| pace.operation_ms(&latest.name)).unwrap_or(0).max(pace.launch_ms);
    draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: row.region.clone() },
        targets: vec![known(row, Effect::Arrive)],
        expect: Vec::new(),
        settle: settle(until, expected_ms),
        holds: Vec::new(),
    })
}

/// Waits until an instance that is being destroyed is gone.
fn leave(draft: &mut Draft<'_>, row: &Object) -> StepId {
    let detail = detail(vec![Reason::Vanished], Vec::new());
    draft.change(row.full_addr(), Action::Forget, Some(row.cloud_id.clone()), &row.name, &detail);
    let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance_there(&row.region, id));
    let holds = quota::frees(draft, &row.region, seen);
    draft.step(NewStep {
        needs: Vec::new(),
        does: Do::Await { region: row.region.clone() },
        targets: vec![known(row, Effect::Remove)],
        expect: Vec::new(),
        settle: settle(Until::Gone, draft.input.pace.terminate_ms),
        holds,
    })
}

/// Plans the end of a recorded instance: by a termination, or where it is gone already, by forgetting it. `declared`
/// says whether the config protects its fleet; `None` where there is no such fleet any more.
pub(super) fn go<'a>(draft: &mut Draft<'a>, row: &'a Object, reason: Reason, declared: Option<bool>) {
    let (seen, needs) = match now(draft, row) {
        Now::Missing(why) => {
            outside::lost(draft, row, &why, Handling::Left);
            forget(draft, row, why, Vec::new());
            return;
        }
        Now::Leaving => {
            leave(draft, row);
            return;
        }
        Now::Live(seen) => (Some(seen), Vec::new()),
        Now::UnderWay(seen) => (seen, vec![Need::Over(await_instance(draft, row, Until::Settled))]),
    };
    let unprotect = match guard::ask(draft, row, seen, declared, Act::Destroyed) {
        Verdict::Free => false,
        Verdict::Unprotect => true,
        Verdict::Refused => return,
    };
    let detail = detail(vec![reason], Vec::new());
    draft.change(row.full_addr(), Action::Delete, Some(row.cloud_id.clone()), &row.name, &detail);
    let charge_type = charge_type(row, seen);
    draft.going.push(Going { row, charge_type, needs, unprotect });
}

/// How an instance is paid for, as far as anybody knows.
pub(super) fn charge_type(row: &Object, seen: Option<&Instance>) -> String {
    match (seen.map(|seen| &seen.charge_type).filter(|told| !told.is_empty()), row.spec.as_ref()) {
        (Some(told), _) => told.as_str().to_owned(),
        (None, ObjectSpec::Slot(spec)) => spec.charge.word().to_owned(),
        (None, ObjectSpec::Image(_) | ObjectSpec::Share(_)) => String::new(),
    }
}

/// All that is recorded of fleets that the config no longer has.
pub(super) fn leftovers(draft: &mut Draft<'_>) {
    let reason = if draft.input.options.destroy { Reason::Destroy } else { Reason::NotInConfig };
    let blocks: Vec<Block> = draft
        .objects
        .keys()
        .filter(|block| block.kind == Kind::Fleet && !draft.input.desired.fleets.contains_key(&block.name))
        .map(|block| (*block).clone())
        .collect();
    for block in blocks {
        for row in draft.objects_of(&block).into_iter().filter(|row| draft.plans_row(row)).collect::<Vec<_>>() {
            go(draft, row, reason.clone(), None);
        }
    }
}

/// The slots of a fleet that images are captured from, each with whether it is expected to switch itself off.
pub(super) fn sources(desired: &Desired, fleet: &Name) -> BTreeMap<u32, bool> {
    let mut sources = BTreeMap::new();
    for image in desired.images.values() {
        let Some(capture) = image.managed().and_then(ManagedImage::capture) else { continue };
        if let InstanceSource::Slot { fleet: from, slot } = &capture.source
            && from == fleet
        {
            *sources.entry(*slot).or_insert(false) |= capture.ready == Ready::Stopped || capture.power_off;
        }
    }
    sources
}

/// Images that are captured from a slot of a fleet which has to run for that.
fn running_captures<'d>(desired: &'d Desired, fleet: &Name) -> Vec<(&'d Name, u32)> {
    let mut found = Vec::new();
    for (name, image) in &desired.images {
        let Some(capture) = image.managed().and_then(ManagedImage::capture) else { continue };
        if let (InstanceSource::Slot { fleet: from, slot }, Ready::Running | Ready::After(_) | Ready::Tag { .. }) =
            (&capture.source, &capture.ready)
            && from == fleet
        {
            found.push((name, *slot));
        }
    }
    found
}

/// What comes before the ordinal in the names of a zone.
pub(super) fn prefix(desired: &Desired, fleet: &Name, zone: &Zone) -> String {
    naming::instance_prefix(&desired.project, &desired.env, fleet, zone)
}
