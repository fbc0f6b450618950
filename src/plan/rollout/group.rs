//! One group of slots: what goes, what comes in its place or is changed, the gate behind it, and what that frees.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gate::{self, Place, Watched, gate, hook, hooked};
use super::groups::launched_first;
use super::guide::Guide;
use super::launch::{Purpose, launch};
use super::replace::{self, Ending, Output, terminate_chunks};
use super::spec::{Part, Parts};
use super::{Creation, Placed, Rolling, Trial, Work, note_change, power};
use crate::cloud::call::{Arg, StepId};
use crate::diff::Takes;
use crate::model::addr::Addr;
use crate::model::desired::Strategy;
use crate::model::ids::Zone;
use crate::model::observed::InstanceState;
use crate::model::recorded::Object;
use crate::model::spec::{ObjectSpec, Power};
use crate::model::update::Moment;
use crate::plan::draft::{Draft, detail};
use crate::plan::fleets::charge_type;
use crate::plan::types::{Action, Effect, Need, Reason, Target};

/// Makes what a fleet lacks. `looked_at`: by a gate, for instances that serve go after that, or it is the last of a rollout;
/// what nobody has seen yet is not in service. Answers what has to be over before what follows.
pub(super) fn make_lacking(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    guide: &Guide,
    lacking: Vec<Creation>,
    (before, looked_at): (&[Need], Option<Place>),
) -> Vec<Need> {
    let Some(place) = looked_at else {
        let launched = launch(draft, rolling, lacking, before, Purpose::New);
        return launched.into_iter().map(Need::Success).collect();
    };
    let places: Vec<(u32, u32, Zone)> =
        lacking.iter().map(|each| (each.slot, each.generation, each.zone.clone())).collect();
    let launched = launch(draft, rolling, lacking, before, Purpose::Tried);
    let watched = places.into_iter().filter_map(|(slot, generation, zone)| {
        let (step, target) = rolling.made.get(&slot).copied()?;
        Some(Watched {
            addr: Addr::slot(rolling.block.clone(), slot),
            generation,
            id: Arg::Output { step, target },
            spec: rolling.specs.get(&zone).cloned(),
            frees: None,
        })
    });
    let watched: Vec<Watched> = watched.collect();
    if watched.is_empty() {
        return Vec::new();
    }
    let conditions = launched.into_iter().map(Need::Over).collect();
    seen(draft, rolling, guide, (watched, Vec::new()), (conditions, place)).over
}

/// What instances have passed that were looked at.
struct Passed {
    gate: StepId,
    /// What hands them on, each by its place among them: the gate, or the hook behind it.
    last: StepId,
    /// What has to be over before what follows.
    over: Vec<Need>,
}

/// The gate for some instances, and the hook for those that pass it; others have passed one before, and are only looked at
/// with them. Where there is such a hook, it ends their trial: what nobody told of them is not in service.
fn seen(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    guide: &Guide,
    (mut watched, mut earlier): (Vec<Watched>, Vec<Watched>),
    (conditions, place): (Vec<Need>, Place),
) -> Passed {
    let told = rolling.fleet.update.hooks.after_ready.is_some();
    let of_hook = |each: &mut Watched| {
        let spec = if told { each.spec.take() } else { None };
        (each.addr.clone(), each.generation, spec)
    };
    let ready: Vec<_> = watched.iter_mut().map(of_hook).collect();
    watched.append(&mut earlier);
    let gate = gate(draft, rolling, guide, watched, conditions, place);
    let ready = ready.into_iter().zip(0..).map(|((addr, generation, spec), target)| Target {
        effect: spec.map_or(Effect::Nothing, Effect::Become),
        ..hooked(&addr, generation, Arg::Output { step: gate, target })
    });
    let told = hook(draft, rolling, Moment::AfterReady, ready.collect(), vec![Need::Success(gate)]);
    let over = std::iter::once(gate).chain(told).map(Need::Success).collect();
    Passed { gate, last: told.unwrap_or(gate), over }
}

/// One group that is worked on together; `batch`: what passed the gates of its batch before. Answers what the next group
/// waits for.
pub(super) fn one_group<'a>(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    guide: &Guide,
    group: Vec<Work<'a>>,
    (before, serving, place): (&[Need], bool, Place),
    (in_place, batch): (&mut Vec<Placed<'a>>, &mut Vec<Watched>),
) -> Vec<Need> {
    let first = if serving { launched_first(rolling, guide, &group) } else { 0 };
    let (replaced, kept): (Vec<Work<'a>>, Vec<Work<'a>>) =
        group.into_iter().partition(|work| rolling.strategy(work) == Some(Strategy::Replace));
    let (above, below) = replaced.split_at(first.min(replaced.len()));
    // Who is told that instances are about to go may have to do something about it first.
    let going = below.iter().chain(&kept).filter(|work| serving && work.serves());
    let targets = going.map(|work| hooked(&work.row.addr, work.row.generation, Arg::Known(work.row.cloud_id.clone())));
    let targets = targets.collect();
    let told = hook(draft, rolling, Moment::BeforeStop, targets, before.to_vec());
    let begin: Vec<Need> = before.iter().copied().chain(told.map(Need::Success)).collect();

    let mut lasts: Vec<Need> = Vec::new();
    let mut watched: Vec<Watched> = Vec::new();
    let mut conditions: Vec<Need> = begin.clone();
    if !replaced.is_empty() {
        let done = replace::replace(draft, rolling, (above, below), &begin);
        conditions.extend(done.terminated.iter().copied().map(Need::Success));
        conditions.extend(rolling.at.ready.iter().copied());
        conditions.extend(done.launched.iter().copied().map(Need::Over));
        lasts.extend(done.launched.iter().copied().map(Need::Success));
        for (n, work) in replaced.iter().enumerate() {
            let Some((step, target)) = rolling.made.get(&work.slot).copied() else { continue };
            watched.push(Watched {
                addr: work.row.addr.clone(),
                generation: work.next,
                id: Arg::Output { step, target },
                spec: rolling.specs.get(work.place().0).cloned(),
                frees: (n < first).then(|| work.row.cloud_id.clone()),
            });
        }
    }
    let resized: Vec<&Work<'_>> = kept.iter().filter(|work| work.diff.takes(Takes::Resize)).collect();
    let stops = power::stop(draft, rolling, &resized, &begin);
    let mut started: Vec<(&Work<'a>, Vec<Need>)> = Vec::new();
    let mut last_of: BTreeMap<u32, Output> = BTreeMap::new();
    for work in &kept {
        let mut needs: Vec<Need> = begin.iter().chain(&work.ready).copied().collect();
        let resets = rolling.strategy(work) == Some(Strategy::Reset);
        let stopped = stops.contains_key(&work.slot);
        if work.diff.takes(Takes::Resize) {
            needs.extend(stops.get(&work.slot).map(|(step, _)| Need::Success(*step)));
            let parts = if stopped && work.stays_off() { Parts::from([Part::Powered]) } else { Parts::new() };
            let step = power::resize(draft, rolling, work, needs.clone(), &parts);
            needs = vec![Need::Success(step)];
            last_of.insert(work.slot, (step, 0));
        }
        if rolling.switches(work).1 {
            started.push((work, needs.clone()));
        }
        if resets {
            last_of.insert(work.slot, (power::reset(draft, rolling, work, needs), 0));
        }
        note_change(draft, rolling, work, if resets { Action::Reset } else { Action::Update });
    }
    let start: BTreeMap<u32, Output> = power::start(draft, rolling, &started, &stops).into_iter().collect();
    last_of.extend(start.iter().map(|(slot, output)| (*slot, *output)));
    for work in &kept {
        let resets = rolling.strategy(work) == Some(Strategy::Reset);
        let stays_off = stops.contains_key(&work.slot) && work.stays_off();
        if let Some(name) = work.diff.hostname.as_ref().filter(|_| !resets && !stays_off && power::reboots(work)) {
            let after = start.get(&work.slot).copied();
            let mut needs: Vec<Need> = begin.iter().chain(&work.ready).copied().collect();
            needs.extend(after.map(|(step, _)| Need::Over(step)));
            let step = power::rename_host(draft, rolling, work, name, needs, after);
            last_of.insert(work.slot, (step, 0));
        }
    }
    lasts.extend(last_of.values().map(|(step, _)| Need::Success(*step)));
    let first_placed = in_place.len();
    for work in kept {
        let resets = rolling.strategy(&work) == Some(Strategy::Reset);
        let stays_off = stops.contains_key(&work.slot) && work.stays_off();
        let last = last_of.get(&work.slot).copied();
        let needs = last.map_or_else(|| work.ready.clone(), |(step, _)| vec![Need::Success(step)]);
        let mut parts = if resets { power::after_reset(&work) } else { Parts::new() };
        if stays_off || (start.contains_key(&work.slot) && work.diff.power == Some(Power::Running)) {
            parts.insert(Part::Powered);
        }
        let power = match resets {
            true => work.stays_off().then_some(Power::Stopped),
            false => work.diff.power.filter(|_| !parts.contains(&Part::Powered)),
        };
        let renamed = resets || (power::reboots(&work) && !stays_off);
        let hostname = work.diff.hostname.clone().filter(|_| !renamed);
        if let Some((step, target)) = last.filter(|_| guide.tries()) {
            parts.insert(Part::Tried);
            conditions.push(Need::Over(step));
            watched.push(Watched {
                addr: work.row.addr.clone(),
                generation: work.row.generation,
                id: Arg::Output { step, target },
                spec: rolling.spec_with(&work, &parts),
                frees: None,
            });
        }
        in_place.push(Placed { work, after: last.filter(|_| resets), needs, parts, hostname, power });
    }
    if guide.tries() && !watched.is_empty() {
        let names: Vec<(Addr, u32)> = watched.iter().map(|each| (each.addr.clone(), each.generation)).collect();
        // All of the batch bakes, also those of its earlier rounds.
        let earlier = if place.ends && guide.bakes(rolling) { std::mem::take(batch) } else { Vec::new() };
        let many = watched.len() + earlier.len();
        let Passed { gate, last, over } = seen(draft, rolling, guide, (watched, earlier), (conditions, place));
        // What is still to be done in place is done to what is in service: a slot that does not pass is left out.
        let passed: BTreeMap<u32, Output> =
            names.iter().zip(0..).filter_map(|((addr, _), n)| Some((addr.slot?, (last, n)))).collect();
        for placed in in_place.iter_mut().skip(first_placed) {
            placed.needs.clone_from(&over);
            placed.after = passed.get(&placed.work.slot).copied().or(placed.after);
        }
        batch.extend(names.into_iter().zip(0..).map(|((addr, generation), target)| {
            let id = Arg::Output { step: gate, target };
            Watched { addr, generation, id, spec: None, frees: None }
        }));
        lasts = over;
        let older: Vec<(usize, &Object)> = above.iter().enumerate().map(|(n, work)| (n, work.row)).collect();
        lasts = let_go(draft, rolling, (gate, many), &older, lasts);
    }
    lasts.sort_unstable();
    lasts.dedup();
    lasts
}

/// What a gate that looks at so many frees goes, after the hook for that. Answers what has to be over before what follows.
fn let_go(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    (gate, watched): (StepId, usize),
    older: &[(usize, &Object)],
    mut needs: Vec<Need>,
) -> Vec<Need> {
    if older.is_empty() {
        return needs;
    }
    let freed = |n: usize| gate::output(gate, watched + n);
    let arg = |n: usize| {
        let (step, target) = freed(n);
        Arg::Output { step, target }
    };
    let served = older.iter().filter(|(_, row)| !row.is_on_trial());
    let targets = served.map(|(n, row)| hooked(&row.addr, row.generation, arg(*n))).collect();
    needs.extend(hook(draft, rolling, Moment::BeforeStop, targets, needs.clone()).map(Need::Success));
    let mut by_charge: BTreeMap<String, Vec<Ending<'_>>> = BTreeMap::new();
    for (n, row) in older {
        let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance_there(&row.region, id));
        let unprotected = row.addr.slot.and_then(|slot| rolling.unprotected.get(&slot)).map(|(step, _)| *step);
        let ending = Ending { row, output: Some(freed(*n)), unprotected };
        by_charge.entry(charge_type(row, seen)).or_default().push(ending);
    }
    let mut steps = Vec::new();
    for endings in by_charge.values() {
        steps.extend(terminate_chunks(draft, endings, &needs));
    }
    needs.extend(steps.into_iter().map(Need::Success));
    needs
}

/// Runs the hook for instances that go as another one of their slot counts, where they were in service: a run was killed, or
/// the hook failed, before they went.
pub(super) fn take_leave(draft: &mut Draft<'_>, rolling: &Rolling<'_>) {
    if rolling.surplus.is_empty() || rolling.fleet.update.hooks.before_stop.is_none() {
        return;
    }
    let serves = |row: &Object| {
        let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance_there(&row.region, id));
        rolling.surplus.contains(&row.cloud_id)
            && !row.is_on_trial()
            && seen.is_some_and(|seen| seen.state == InstanceState::Running)
    };
    let mine: Vec<usize> = (0..draft.going.len()).filter(|n| serves(draft.going[*n].row)).collect();
    let of = |n: &usize| {
        let row = draft.going[*n].row;
        hooked(&row.addr, row.generation, Arg::Known(row.cloud_id.clone()))
    };
    let targets = mine.iter().map(of).collect();
    let needs = mine.iter().flat_map(|n| draft.going[*n].needs.iter().copied()).collect();
    let Some(step) = hook(draft, rolling, Moment::BeforeStop, targets, needs) else { return };
    for n in mine {
        draft.going[n].needs.push(Need::Success(step));
    }
}

/// Looks at what is on trial from before, and says what slots are then that changed in place; where another instance serves
/// in its place, that one goes then.
pub(super) fn try_again(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    guide: &Guide,
    (trials, become_so): (&[Trial<'_>], &BTreeMap<u32, Arc<ObjectSpec>>),
    before: Vec<Need>,
    place: Place,
) -> Vec<Need> {
    let mut needs = before;
    needs.extend(trials.iter().flat_map(|trial| trial.ready.iter().copied()));
    for trial in trials {
        let shown = detail(vec![Reason::OnTrial], Vec::new());
        draft.change(trial.row.full_addr(), Action::Await, Some(trial.row.cloud_id.clone()), &trial.row.name, &shown);
    }
    let watched = trials.iter().map(|trial| {
        let changed = trial.row.addr.slot.and_then(|slot| become_so.get(&slot)).cloned();
        let seen = gate::watched(trial);
        Watched { spec: changed.or(seen.spec), ..seen }
    });
    let Passed { gate, last: _, over } = seen(draft, rolling, guide, (watched.collect(), Vec::new()), (needs, place));
    let older: Vec<(usize, &Object)> =
        trials.iter().enumerate().filter_map(|(n, trial)| Some((n, trial.older?))).collect();
    for (_, row) in &older {
        let detail = detail(vec![Reason::Succeeded], Vec::new());
        draft.change(row.full_addr(), Action::Delete, Some(row.cloud_id.clone()), &row.name, &detail);
    }
    let_go(draft, rolling, (gate, trials.len()), &older, over)
}
