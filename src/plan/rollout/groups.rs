//! Which slots are worked on together, in which order, and what each of them needs of calls.

use std::collections::{BTreeMap, BTreeSet};

use super::guide::{self, Guide, rounds_of};
use super::{Rolling, Work, power};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::Takes;
use crate::model::addr::Kind;
use crate::model::desired::{Desired, Strategy};
use crate::model::ids::Zone;
use crate::model::update::{AtOnce, Order};
use crate::plan::draft::Draft;
use crate::plan::floor::Rollout;

/// Puts slots into the groups in which they are worked on.
pub(super) fn groups<'a>(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'a>,
    guide: &Guide,
    mut works: Vec<Work<'a>>,
) -> guide::Cut<'a> {
    if rolling.fleet.update.order == Order::Slots {
        works.sort_by_key(|work| work.slot);
    }
    let (mut serving, others): (Vec<Work<'a>>, Vec<Work<'a>>) = works.into_iter().partition(Work::serves);
    let (mut unseen, mut off): (Vec<Work<'a>>, Vec<Work<'a>>) = others.into_iter().partition(Work::is_up);
    if serving.is_empty() {
        serving = std::mem::take(if unseen.is_empty() { &mut off } else { &mut unseen });
    }
    let together = off.len();
    let at_once = usize::try_from(guide.at_once.down.max(1)).unwrap_or(usize::MAX);
    note_dues(draft, rolling, &off, (Rollout::Off, together, guide));
    note_dues(draft, rolling, &unseen, (Rollout::Unseen, at_once, guide));
    note_dues(draft, rolling, &serving, (Rollout::Serving, at_once, guide));
    // The order of calls is that of the rounds, also where there is only one.
    let off = rounds_of(rolling, off, together.max(1)).pop().unwrap_or_default();
    let cut = guide.cut(rolling, (off, unseen), serving);
    if guide.tries() {
        for round in cut.rounds() {
            note_round(draft, rolling, round, launched_first(rolling, guide, round));
        }
        note_round(draft, rolling, &cut.off, 0);
    }
    cut
}

/// What each slot needs by itself.
fn note_dues(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    works: &[Work<'_>],
    (which, at_once, guide): (Rollout, usize, &Guide),
) {
    let block = (&rolling.block, which);
    if guide.tries() {
        return;
    }
    if !works.is_empty() {
        draft.dues.rollout(block, works.len(), at_once);
    }
    for work in works {
        if rolling.strategy(work) == Some(Strategy::Replace) {
            let (zone, ordinal) = work.place();
            draft.dues.replaced(block, &work.seen.charge_type, zone, ordinal);
            continue;
        }
        let (stops, starts) = rolling.switches(work);
        draft.dues.switched(block, stops, starts);
        note_singles(draft, rolling, work, stops);
    }
}

/// What a slot that stays needs of calls that serve nothing else.
fn note_singles(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &Work<'_>, stops: bool) {
    let resets = rolling.strategy(work) == Some(Strategy::Reset);
    draft.dues.single("ResetInstance", usize::from(resets));
    draft.dues.single("ResetInstancesType", usize::from(work.diff.takes(Takes::Resize)));
    let otherwise = resets || (stops && work.stays_off());
    let renamed = !otherwise && power::reboots(work);
    draft.dues.single("ModifyInstancesAttribute", usize::from(renamed));
}

/// What a round of a guided rollout needs: its slots are the config's choice, and it shares calls with no other.
fn note_round(draft: &mut Draft<'_>, rolling: &Rolling<'_>, round: &[Work<'_>], first: usize) {
    let mut ended: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    let mut places: BTreeMap<&Zone, BTreeSet<u32>> = BTreeMap::new();
    let (mut stopped, mut started, mut replaced) = (0, 0, 0);
    for work in round {
        if rolling.strategy(work) == Some(Strategy::Replace) {
            *ended.entry((replaced < first, &work.seen.charge_type)).or_default() += 1;
            replaced += 1;
            let (zone, ordinal) = work.place();
            places.entry(zone).or_default().insert(ordinal);
            continue;
        }
        let (stops, starts) = rolling.switches(work);
        (stopped, started) = (stopped + usize::from(stops), started + usize::from(starts));
        note_singles(draft, rolling, work, stops);
    }
    draft.dues.round(places.values(), ended.values().copied(), stopped, started);
}

/// How many of a fleet are above its count, and out of service, at the worst moment. A slot that failed before, and may
/// fail, is out of service still; where its old instance serves on, the new one is above the count. `first`: what comes
/// before all rounds: how many slots that are out of service, and how many whose old instance serves.
pub(super) fn at_worst(rolling: &Rolling<'_>, guide: &Guide, first: AtOnce, cut: &guide::Cut<'_>) -> AtOnce {
    let failures = guide.most_failures(rolling);
    let (mut worst, mut before) = (AtOnce { surge: 0, down: 0 }, first);
    for round in cut.rounds() {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let surge = launched_first(rolling, guide, round);
        let (surge, down) = (number(surge), number(round.len() - surge));
        worst.surge = worst.surge.max(surge + before.surge.min(failures));
        worst.down = worst.down.max(down + before.down.min(failures));
        before = AtOnce { surge: before.surge + surge, down: before.down + down };
    }
    worst
}

/// Refuses a rollout that leaves fewer in service than the config asks for.
pub(super) fn check_available(draft: &mut Draft<'_>, rolling: &Rolling<'_>, guide: &Guide, at_worst: AtOnce) {
    let fleet = rolling.fleet;
    let Some(least) = fleet.update.min_available.map(|least| least.up(fleet.count)) else { return };
    let left = fleet.count.saturating_sub(at_worst.down);
    if left >= least {
        return;
    }
    let failures = guide.most_failures(rolling);
    let spare = fleet.count.saturating_sub(least);
    let help = match (spare, least > fleet.count) {
        (_, true) => format!("set `count: {least}` or more, or ask for fewer with `min_available`"),
        (0, false) if fleet.update.strategy == Strategy::Reset => {
            "set `strategy: replace` with `max_unavailable: 0` and `max_surge: 1`: a reset takes each instance out of service"
                .to_owned()
        }
        (0, false) => {
            "set `max_unavailable: 0` and `max_surge: 1`: then no instance goes before its replacement is there"
                .to_owned()
        }
        (spare, false) if spare > failures => format!("set `max_unavailable: {}`, or less", spare - failures),
        (_, false) => "set `max_failures: 0`".to_owned(),
    };
    let failed = if failures > 0 { ", with those that may fail" } else { "" };
    draft.faults.push(
        Diagnostic::error(
            codes::MIN_AVAILABLE,
            format!("fleet.{} would have {left} instances in service, and is to have {least}", rolling.name),
        )
        .at(Desired::path(Kind::Fleet, rolling.name).key("update").key("min_available"))
        .why(format!("{} of its {} may be out of service at once{failed}", at_worst.down, fleet.count))
        .help(help),
    );
}

/// How many of a round get their new instance before the one that serves goes.
pub(super) fn launched_first(rolling: &Rolling<'_>, guide: &Guide, round: &[Work<'_>]) -> usize {
    let replaced = round.iter().filter(|work| rolling.strategy(work) == Some(Strategy::Replace)).count();
    replaced.min(usize::try_from(guide.at_once.surge).unwrap_or(usize::MAX))
}
