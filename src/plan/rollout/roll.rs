//! In which order a fleet gets there: first what it lacks, then what is on trial and stays, what is out of service, what is
//! on trial and changes, and batch by batch all else; what takes nobody out of service at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gate::{self, Place};
use super::group::{self, make_lacking, one_group, try_again};
use super::groups::{at_worst, check_available, groups};
use super::guide::{Cut, Guide};
use super::launch::{self, Purpose, launch};
use super::spec::{self, Part, Parts};
use super::{Creation, Placed, Rolling, Trial, Work, auto, modify, note_change, power, refused, replace};
use crate::diff::Takes;
use crate::model::desired::Strategy;
use crate::model::spec::ObjectSpec;
use crate::model::update::AtOnce;
use crate::plan::draft::{Draft, NewStep, at_once, known};
use crate::plan::fleets::course;
use crate::plan::floor::Launch;
use crate::plan::types::{Action, Do, Effect, Need};

/// Above this many, what a group waits for becomes one step: else each of its steps would wait for each of those of the
/// group before, which is `max_unavailable` times as many needs as there are slots.
const MOST_NEEDS: usize = 4;

/// What is done to the slots that stay.
struct Sorted<'a> {
    /// The cloud has all of it already.
    known_already: Vec<Work<'a>>,
    /// They are out of service for a while.
    disruptive: Vec<Work<'a>>,
    /// They change while they serve.
    gentle: Vec<Work<'a>>,
}

/// Makes the steps of one fleet.
pub(in crate::plan) fn roll(draft: &mut Draft<'_>, mut rolling: Rolling<'_>) {
    let Sorted { mut known_already, disruptive, mut gentle } = sorted(draft, &mut rolling);
    let trials = std::mem::take(&mut rolling.trials);
    let creations = std::mem::take(&mut rolling.creations);
    rolling.lacking = creations.iter().map(|creation| creation.slot).collect();
    let guide = Guide::of(draft, &rolling, &disruptive, &trials, creations.len());
    group::take_leave(draft, &rolling);
    let disrupted = !disruptive.is_empty();
    let cut = groups(draft, &rolling, &guide, disruptive);
    let nothing_more = cut.is_empty();
    let looked_at = (guide.tries() && (disrupted || guide.goes_on())).then(|| {
        let last = nothing_more && trials.is_empty() && gentle.iter().all(|work| rolling.is_made(work.row));
        let canary = guide.canary_first && trials.is_empty();
        Place { mark: guide.mark((canary, true), last, !cut.left.is_empty()), ends: true }
    });
    let lacking = if looked_at.is_some() { creations.len() } else { 0 };
    let mut gate = make(draft, &mut rolling, &guide, creations, (disrupted, looked_at, &gentle));
    tell(draft, &rolling, &guide, (lacking, &trials, &cut));
    if !trials.is_empty() {
        let on_trial: BTreeSet<u32> = trials.iter().filter_map(|trial| trial.row.addr.slot).collect();
        let mine = |work: &mut Work<'_>| on_trial.contains(&work.slot);
        let changes = gentle.extract_if(.., mine).collect();
        let learnt = known_already.extract_if(.., mine).collect();
        let become_so = made_so(draft, &mut rolling, changes, learnt, &mut gate);
        let mark = guide.mark((guide.canary_first, true), nothing_more, !cut.left.is_empty());
        let place = Place { mark, ends: true };
        gate = try_again(draft, &rolling, &guide, (&trials, &become_so), gate, place);
    }
    let mut in_place: Vec<Placed<'_>> = Vec::new();
    let gate = take_turns(draft, &mut rolling, &guide, (cut, gate), &mut in_place);
    if guide.ends {
        gate::end(draft, &rolling, &guide, gate);
    }
    in_place.extend(gentle.into_iter().map(|work| change(draft, &mut rolling, work)));
    modify::modify(draft, &rolling, in_place);
    modify::enter(draft, &mut rolling, known_already);
    launch::stop_launched(draft, &mut rolling);
}

/// Puts the slots that stay in order, by what is done to them, and refuses what cannot be.
fn sorted<'a>(draft: &mut Draft<'_>, rolling: &mut Rolling<'a>) -> Sorted<'a> {
    let mut work = std::mem::take(&mut rolling.work);
    work.sort_by_key(|work| (rolling.zone_index(&work.zone), work.ordinal));
    if rolling.fleet.update.strategy == Strategy::Auto {
        rolling.chosen = Some(auto::choose(draft, rolling, &work));
    }
    refused::guarded(draft, rolling, &work);
    refused::login_for_reset(draft, rolling, &work);
    refused::refused(draft, rolling, &work);
    let (known_already, work): (Vec<Work<'_>>, Vec<Work<'_>>) = work.into_iter().partition(Work::is_so_already);
    let (disruptive, gentle) = work.into_iter().partition(|work| rolling.disrupts(work));
    Sorted { known_already, disruptive, gentle }
}

/// Launches what the fleet lacks. That comes first where something waits for it, else all is launched together: before any
/// slot is taken out of service it lacks none, for what an interrupted run took away is as new as what was never there.
/// `looked_at`: by which gate. Answers what has to be over before anything else goes.
fn make(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    guide: &Guide,
    creations: Vec<Creation>,
    (disrupted, looked_at, gentle): (bool, Option<Place>, &[Work<'_>]),
) -> Vec<Need> {
    let before: Vec<Need> = rolling.before_creation.iter().copied().collect();
    let first = |creation: &Creation| disrupted || guide.goes_on() || (!before.is_empty() && creation.repair);
    let (repairs, others): (Vec<Creation>, Vec<Creation>) = creations.into_iter().partition(first);
    for (creations, kind) in [(&repairs, Launch::Repair), (&others, Launch::New)] {
        for Creation { zone, ordinal, .. } in creations {
            draft.dues.launch(&rolling.block, kind, zone, *ordinal);
        }
    }
    // Who is not back yet is out of service, too.
    let mut gate: Vec<Need> = Vec::new();
    if disrupted {
        gate.extend(std::mem::take(&mut rolling.awaited));
        gate.extend(gentle.iter().flat_map(|work| work.ready.iter().copied()));
    }
    if guide.tries() {
        rolling.try_out();
        // What is left over from a rollout that was cut short is above the fleet's count as well.
        let surplus = disrupted && guide.at_once.surge > 0;
        let gone = if surplus { replace::terminate_first(draft, &rolling.block) } else { Vec::new() };
        gate.extend(gone.into_iter().map(Need::Success));
    }
    gate.extend(make_lacking(draft, rolling, guide, repairs, (&before, looked_at)));
    let launched = launch(draft, rolling, others, &[], Purpose::New);
    if guide.ends {
        gate.extend(launched.into_iter().map(Need::Success));
    }
    gate
}

/// Tells what is rolled out, and refuses it where too few would serve.
fn tell(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    guide: &Guide,
    (lacking, trials, cut): (usize, &[Trial<'_>], &Cut<'_>),
) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let tried_above = trials.iter().filter(|trial| trial.older.is_some()).count();
    let (off, unseen) = cut.first();
    let first = lacking + off + trials.len();
    let at_first = AtOnce { surge: number(tried_above), down: number(first - tried_above) };
    let at_worst = at_worst(rolling, guide, at_first, cut);
    // What is out of service before the plan begins is no reason to refuse it.
    check_available(draft, rolling, guide, at_worst);
    // It may be that none of what nobody has seen yet serves.
    let first = first + unseen;
    let down = at_worst.down.max(number(first - tried_above));
    guide.tell(draft, rolling, (first, cut), AtOnce { surge: at_worst.surge.max(at_first.surge), down });
}

/// One group after the other: what is out of service already, what nobody has seen, then all else. Answers what the last
/// one has to be over.
fn take_turns<'a>(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'a>,
    guide: &Guide,
    (cut, mut gate): (Cut<'a>, Vec<Need>),
    in_place: &mut Vec<Placed<'a>>,
) -> Vec<Need> {
    let Cut { off, unseen, batches, left } = cut;
    let waits = !left.is_empty();
    let count = unseen.len() + batches.len();
    if !off.is_empty() {
        let place = Place { mark: guide.mark((false, true), count == 0, waits), ends: true };
        gate = narrowed(draft, &off, gate);
        gate = one_group(draft, rolling, guide, off, (&gate, false, place), (in_place, &mut Vec::new()));
    }
    for (n, batch) in unseen.into_iter().chain(batches).enumerate() {
        let rounds = batch.rounds.len();
        let mut passed = Vec::new();
        for (m, round) in batch.rounds.into_iter().enumerate() {
            let ends = m + 1 == rounds;
            let mark = guide.mark((batch.canary, ends), ends && n + 1 == count, waits);
            gate = narrowed(draft, &round, gate);
            let placed = (&mut *in_place, &mut passed);
            gate = one_group(draft, rolling, guide, round, (&gate, true, Place { mark, ends }), placed);
        }
    }
    for work in left {
        course::keep_image_of(draft, work.row);
    }
    gate
}

/// The same needs, as one where they are many.
fn narrowed(draft: &mut Draft<'_>, group: &[Work<'_>], gate: Vec<Need>) -> Vec<Need> {
    let Some(first) = group.first().filter(|_| gate.len() > MOST_NEEDS) else { return gate };
    vec![Need::Success(draft.step(NewStep {
        needs: gate,
        does: Do::Record,
        targets: vec![known(first.row, Effect::Nothing)],
        expect: Vec::new(),
        settle: at_once(),
        holds: Vec::new(),
    }))]
}

/// Changes what is on trial in place before it is looked at: that may be what it takes to be healthy. Answers what each
/// slot is when it has passed.
fn made_so<'a>(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'a>,
    changes: Vec<Work<'a>>,
    learnt: Vec<Work<'a>>,
    gate: &mut Vec<Need>,
) -> BTreeMap<u32, Arc<ObjectSpec>> {
    let all = spec::all_in_place().into_iter().chain([Part::Tried]).collect();
    let spec = |work: &Work<'_>| Some((work.slot, rolling.spec_with(work, &all)?));
    let become_so = changes.iter().chain(&learnt).filter_map(spec).collect();
    let placed = changes.into_iter().map(|work| change(draft, rolling, work)).collect();
    gate.extend(modify::modify(draft, rolling, placed).into_iter().map(Need::Success));
    gate.extend(modify::enter(draft, rolling, learnt).map(Need::Success));
    become_so
}

/// A slot that changes while it serves.
fn change<'a>(draft: &mut Draft<'_>, rolling: &mut Rolling<'a>, work: Work<'a>) -> Placed<'a> {
    let mut needs = work.ready.clone();
    if work.diff.takes(Takes::Resize) {
        draft.dues.single("ResetInstancesType", 1);
        needs = vec![Need::Success(power::resize(draft, rolling, &work, needs, &Parts::new()))];
    }
    note_change(draft, rolling, &work, Action::Update);
    let (hostname, power) = (work.diff.hostname.clone(), work.diff.power);
    Placed { work, after: None, needs, parts: Parts::new(), hostname, power }
}
