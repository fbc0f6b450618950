//! How a fleet gets from what it is to what it should be: launches, replacements, resets and changes in place, in
//! batches as large as the cloud and `max_unavailable` allow.

mod launch;
mod modify;
mod power;
mod refused;
mod replace;
mod rounds;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Draft, ImageAt, NewStep, at_once, known};
use super::fleets::{prefix, sources};
use super::floor::{Launch, Rollout};
use super::guard::{self, Act, Verdict};
use super::types::{Action, AttrChange, Detail, Do, Effect, Need, Reason};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{Attr, SlotDiff, Takes};
use crate::model::addr::{Block, Kind};
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Desired, Fleet, Strategy};
use crate::model::ids::{Name, Zone};
use crate::model::observed::Instance;
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, Login, ObjectSpec, Power, SlotSpec};
use launch::{Launched, launch};
use replace::{Output, replace};
use spec::{Part, Parts};

pub(super) use replace::terminate_going;

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
    /// Whether the cloud protects it until this plan says otherwise.
    pub(super) unprotect: bool,
}

/// A slot that stays and changes.
pub(super) struct Work<'a> {
    pub(super) slot: u32,
    pub(super) zone: Zone,
    pub(super) ordinal: u32,
    /// Where it moves to, and with which ordinal.
    pub(super) to: Option<(Zone, u32)>,
    pub(super) row: &'a Object,
    pub(super) seen: &'a Instance,
    /// What it is to be; what is to be ignored is as the state remembers it.
    pub(super) wanted: Arc<ObjectSpec>,
    pub(super) diff: SlotDiff,
    /// Whether it runs, or will before anything is done to it.
    pub(super) found: Option<Power>,
    /// Whether a run shut it down, and was interrupted before it was started again.
    pub(super) halted: bool,
    /// Whether the command line asks for a new instance.
    pub(super) asked: bool,
    /// What must be over before anything is done to it.
    pub(super) ready: Vec<Need>,
}

impl Work<'_> {
    /// Whether the cloud has all of it already, and only the state has to learn it.
    fn is_so_already(&self) -> bool {
        let idle = |takes: Takes| matches!(takes, Takes::Record | Takes::Nothing);
        !self.asked && !self.halted && !self.diff.reset_failed && self.diff.attrs.iter().all(|attr| idle(attr.takes))
    }

    /// Where its successor is launched, and with which ordinal.
    fn place(&self) -> (&Zone, u32) {
        self.to.as_ref().map_or((&self.zone, self.ordinal), |(zone, ordinal)| (zone, *ordinal))
    }

    fn slot_spec(&self) -> Option<&SlotSpec> {
        match self.wanted.as_ref() {
            ObjectSpec::Slot(spec) => Some(spec),
            ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
        }
    }
}

/// A slot whose disk and type are settled: what is left is changed in place.
struct Placed<'a> {
    work: Work<'a>,
    /// The step on whose success for this slot everything else depends.
    after: Option<Output>,
    needs: Vec<Need>,
    /// What has been done.
    parts: Parts,
    /// The name that its host still has to get.
    hostname: Option<String>,
    /// Whether it has still to be switched on or off.
    power: Option<Power>,
}

impl Placed<'_> {
    /// Whether something else is done to it, or waited for, before.
    fn waits(&self) -> bool {
        self.after.is_some() || !self.needs.is_empty()
    }
}

/// One fleet's changes, gathered.
pub(super) struct Rolling<'a> {
    pub(super) name: &'a Name,
    pub(super) fleet: &'a Fleet,
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
    /// Steps by which the cloud ceases to protect what is replaced.
    unprotected: BTreeMap<u32, Output>,
    /// What is launched for a fleet that is to be off.
    launched: Vec<Launched>,
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
        // Slots of zones that the config no longer has bear names, too.
        let rows = draft.objects_of(&block);
        let zones: BTreeSet<&Zone> = specs.keys().chain(rows.iter().filter_map(|row| row.zone.as_ref())).collect();
        Self {
            name,
            fleet,
            tag: draft.tag(&block),
            block,
            at,
            prefixes: zones.iter().map(|zone| ((*zone).clone(), prefix(desired, name, zone))).collect(),
            specs,
            sources: sources(desired, name),
            creations: Vec::new(),
            before_creation: BTreeSet::new(),
            work: Vec::new(),
            unprotected: BTreeMap::new(),
            launched: Vec::new(),
            details: BTreeMap::new(),
        }
    }

    pub(super) fn prefix(&self, zone: &Zone) -> &str {
        self.prefixes.get(zone).map_or("", String::as_str)
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
                before == after && recorded.image != self.at.use_ && work.diff.of(FleetAttr::Image).is_some()
            }
            (ImageUse::Promoted { from: before, .. }, ImageUse::Promoted { from: after, .. }) => {
                before == after && recorded.image != self.at.use_ && work.diff.of(FleetAttr::Image).is_some()
            }
            (ImageUse::Made { .. } | ImageUse::Found { .. } | ImageUse::Promoted { .. }, _) => false,
        }
    }

    fn zone_index(&self, zone: &Zone) -> usize {
        self.fleet.zones.iter().position(|other| other == zone).unwrap_or(usize::MAX)
    }

    fn strategy(&self, work: &Work<'_>) -> Option<Strategy> {
        let diff = &work.diff;
        if work.asked || diff.takes(Takes::Move) || diff.takes(Takes::Replace) {
            return Some(Strategy::Replace);
        }
        (diff.takes(Takes::Rebuild) || diff.reset_failed).then_some(self.fleet.update.strategy)
    }

    /// Whether a slot is out of service for a while.
    fn disrupts(&self, work: &Work<'_>) -> bool {
        self.strategy(work).is_some()
            || (work.diff.takes(Takes::Resize) && work.runs())
            || power::reboots(work)
            || work.halted
    }
}

/// Makes the steps of one fleet: first what it lacks, then what changes, a few at a time.
pub(super) fn roll(draft: &mut Draft<'_>, mut rolling: Rolling<'_>) {
    let mut work = std::mem::take(&mut rolling.work);
    let creations = std::mem::take(&mut rolling.creations);
    let before: Vec<Need> = rolling.before_creation.iter().copied().collect();
    // What the fleet lacks comes first where something waits for it; else all is launched together. Before any slot is
    // taken out of service it lacks none: what an interrupted run took away is as new as what was never there.
    let disrupted = work.iter().any(|work| !work.is_so_already() && rolling.disrupts(work));
    let (repairs, others): (Vec<Creation>, Vec<Creation>) =
        creations.into_iter().partition(|creation| disrupted || (!before.is_empty() && creation.repair));
    for (creations, kind) in [(&repairs, Launch::Repair), (&others, Launch::New)] {
        for Creation { zone, ordinal, .. } in creations {
            draft.dues.launch(&rolling.block, kind, zone, *ordinal);
        }
    }
    let mut gate: Vec<Need> = Vec::new();
    for step in launch(draft, &mut rolling, repairs, &before, None) {
        gate.push(Need::Success(step));
    }
    launch(draft, &mut rolling, others, &[], None);

    work.sort_by_key(|work| (rolling.zone_index(&work.zone), work.ordinal));
    guarded(draft, &mut rolling, &work);
    login_for_reset(draft, &rolling, &work);
    refused::refused(draft, &rolling, &work);
    let (known_already, work): (Vec<Work<'_>>, Vec<Work<'_>>) = work.into_iter().partition(Work::is_so_already);
    let (disruptive, gentle): (Vec<Work<'_>>, Vec<Work<'_>>) =
        work.into_iter().partition(|work| rolling.disrupts(work));
    let mut in_place: Vec<Placed<'_>> = Vec::new();
    for group in groups(draft, &rolling, disruptive) {
        gate = narrowed(draft, &group, gate);
        gate = one_group(draft, &mut rolling, group, &gate, &mut in_place);
    }
    for work in gentle {
        let mut needs = work.ready.clone();
        if work.diff.takes(Takes::Resize) {
            draft.dues.single("ResetInstancesType", 1);
            needs = vec![Need::Success(power::resize(draft, &mut rolling, &work, needs, &Parts::new()))];
        }
        note_change(draft, &mut rolling, &work, Action::Update);
        let (hostname, power) = (work.diff.hostname.clone(), work.diff.power);
        in_place.push(Placed { work, after: None, needs, parts: Parts::new(), hostname, power });
    }
    modify::modify(draft, &rolling, in_place);
    modify::enter(draft, &mut rolling, known_already);
    launch::stop_launched(draft, &mut rolling);
}

/// Above this many, what a group waits for becomes one step: else each of its steps would wait for each of those of the
/// group before, which is `max_unavailable` times as many needs as there are slots.
const MOST_NEEDS: usize = 4;

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

/// What is out of service together, group by group; and what that takes, slot by slot. Those that are out of service
/// already come first, and together: none of them is missed.
fn groups<'a>(draft: &mut Draft<'_>, rolling: &Rolling<'_>, works: Vec<Work<'a>>) -> Vec<Vec<Work<'a>>> {
    let at_once = usize::try_from(rolling.fleet.update.max_unavailable.max(1)).unwrap_or(usize::MAX);
    let (down, serving): (Vec<Work<'a>>, Vec<Work<'a>>) =
        works.into_iter().partition(|work| work.halted || !work.runs());
    if down.is_empty() || serving.is_empty() {
        return rounds_of(draft, rolling, down.into_iter().chain(serving).collect(), Rollout::Serving, at_once);
    }
    let together = down.len();
    let mut groups = rounds_of(draft, rolling, down, Rollout::Down, together);
    groups.extend(rounds_of(draft, rolling, serving, Rollout::Serving, at_once));
    groups
}

fn rounds_of<'a>(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    works: Vec<Work<'a>>,
    which: Rollout,
    at_once: usize,
) -> Vec<Vec<Work<'a>>> {
    let block = (&rolling.block, which);
    draft.dues.rollout(block, works.len(), at_once);
    let mut launched: BTreeMap<(usize, u32), Work<'a>> = BTreeMap::new();
    let (mut switched, mut others) = (Vec::new(), Vec::new());
    for work in works {
        if rolling.strategy(&work) == Some(Strategy::Replace) {
            let (zone, ordinal) = work.place();
            draft.dues.replaced(block, &work.seen.charge_type, zone, ordinal);
            launched.insert((rolling.zone_index(zone), ordinal), work);
            continue;
        }
        let resets = rolling.strategy(&work) == Some(Strategy::Reset);
        let stops = work.diff.takes(Takes::Resize) && work.runs();
        let starts = ((stops && !work.stays_off()) || work.halted) && !resets;
        draft.dues.switched(block, stops, starts);
        draft.dues.single("ResetInstance", usize::from(resets));
        draft.dues.single("ResetInstancesType", usize::from(work.diff.takes(Takes::Resize)));
        let otherwise = resets || (stops && work.stays_off());
        let renamed = !otherwise && power::reboots(&work);
        draft.dues.single("ModifyInstancesAttribute", usize::from(renamed));
        if stops || starts { &mut switched } else { &mut others }.push(work);
    }
    let mut runs: Vec<rounds::Run<Work<'a>>> = Vec::new();
    let mut last = None;
    for ((zone, ordinal), work) in launched {
        match runs
            .last_mut()
            .filter(|_| last.is_some_and(|(z, o): (usize, u32)| (z, o.wrapping_add(1)) == (zone, ordinal)))
        {
            Some(run) => run.push(work),
            None => runs.push(vec![work]),
        }
        last = Some((zone, ordinal));
    }
    runs.push(switched);
    rounds::rounds(runs, others, at_once)
}

/// What is protected is left alone; what no longer is to be is unprotected before it is replaced.
fn guarded(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &[Work<'_>]) {
    let mut rows: Vec<(&Object, Vec<Need>)> = Vec::new();
    let mut slots = Vec::new();
    for work in work {
        let act = match rolling.strategy(work) {
            Some(Strategy::Replace) if work.to.is_some() => Act::Moved,
            Some(Strategy::Replace) => Act::Replaced,
            Some(Strategy::Reset) => Act::Reset,
            None => continue,
        };
        let verdict = guard::ask(draft, work.row, Some(work.seen), Some(rolling.fleet.protect), act);
        if verdict == Verdict::Unprotect && act != Act::Reset {
            rows.push((work.row, work.ready.clone()));
            slots.push(work.slot);
        }
    }
    let outputs = replace::unprotect(draft, &rows);
    rolling.unprotected = slots.into_iter().zip(outputs).collect();
}

/// A reset that says nothing of the login would make the cloud invent a password, and nobody here would know it.
fn login_for_reset(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &[Work<'_>]) {
    let reset = |work: &&Work<'_>| rolling.strategy(work) == Some(Strategy::Reset);
    let count = work.iter().filter(reset).count();
    let Some(first) = work.iter().find(reset).filter(|_| rolling.fleet.login == Login::Unset) else { return };
    let which = match count {
        1 => first.row.full_addr().to_string(),
        count => format!("{count} instances of {}", rolling.block),
    };
    draft.faults.push(
        Diagnostic::error(codes::RESET_LOGIN, format!("{which} would be reset without a word on how to log in"))
            .at(Desired::path(Kind::Fleet, rolling.name))
            .why("the cloud would give each a random password, and tell it to nobody but the account's owner")
            .help(if rolling.at.nature.is_windows() == Some(true) {
                "with an image of your own, add `login: { keep_image_login: true }`; or use `update: { strategy: replace }`"
            } else {
                "add `login: { key_ids: [skey-…] }` or, with an image of your own, `login: { keep_image_login: true }`; \
                 or use `update: { strategy: replace }`"
            }),
    );
}

/// One group that may be out of service together. Answers what the next group waits for.
fn one_group<'a>(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    group: Vec<Work<'a>>,
    gate: &[Need],
    in_place: &mut Vec<Placed<'a>>,
) -> Vec<Need> {
    let mut lasts: Vec<Need> = Vec::new();
    let (replaced, kept): (Vec<Work<'a>>, Vec<Work<'a>>) =
        group.into_iter().partition(|work| rolling.strategy(work) == Some(Strategy::Replace));
    if !replaced.is_empty() {
        for step in replace(draft, rolling, &replaced, gate) {
            lasts.push(Need::Success(step));
        }
    }
    let resized: Vec<&Work<'_>> = kept.iter().filter(|work| work.diff.takes(Takes::Resize)).collect();
    let stops = power::stop(draft, rolling, &resized, gate);
    let mut started: Vec<(&Work<'a>, Vec<Need>)> = Vec::new();
    let mut last_of: BTreeMap<u32, Output> = BTreeMap::new();
    for work in &kept {
        let mut needs: Vec<Need> = gate.iter().chain(&work.ready).copied().collect();
        let resets = rolling.strategy(work) == Some(Strategy::Reset);
        let stopped = stops.contains_key(&work.slot);
        if work.diff.takes(Takes::Resize) {
            needs.extend(stops.get(&work.slot).map(|(step, _)| Need::Success(*step)));
            let parts = if stopped && work.stays_off() { Parts::from([Part::Powered]) } else { Parts::new() };
            let step = power::resize(draft, rolling, work, needs.clone(), &parts);
            needs = vec![Need::Success(step)];
            last_of.insert(work.slot, (step, 0));
        }
        if ((stopped && !work.stays_off()) || work.halted) && !resets {
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
            let mut needs: Vec<Need> = gate.iter().chain(&work.ready).copied().collect();
            needs.extend(after.map(|(step, _)| Need::Over(step)));
            let step = power::rename_host(draft, rolling, work, name, needs, after);
            last_of.insert(work.slot, (step, 0));
        }
    }
    lasts.extend(last_of.values().map(|(step, _)| Need::Success(*step)));
    lasts.sort_unstable();
    lasts.dedup();
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
        in_place.push(Placed { work, after: last.filter(|_| resets), needs, parts, hostname, power });
    }
    lasts
}

/// Notes what changes on a slot and why.
fn note_change(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &Work<'_>, action: Action) -> Arc<Detail> {
    let mut reasons = Vec::new();
    let names = |drifted: bool| -> Vec<String> {
        let attrs = work.diff.attrs.iter().filter(|attr| attr.takes != Takes::Nothing && attr.drifted == drifted);
        attrs.map(|attr| attr.name.to_owned()).collect()
    };
    if work.asked {
        reasons.push(Reason::Requested);
    }
    if work.diff.reset_failed {
        reasons.push(Reason::ResetFailed);
    }
    if work.halted {
        reasons.push(Reason::Halted);
    }
    let (mut changed, drifted) = (names(false), names(true));
    if let Some((to, _)) = &work.to {
        changed.retain(|name| name != FleetAttr::Zones.word());
        reasons.push(Reason::Moved { from: work.zone.clone(), to: to.clone() });
    }
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
    let starts = |attr: &Attr| work.halted && attr.is(FleetAttr::State);
    let shown = work.diff.attrs.iter().filter(|attr| attr.takes != Takes::Nothing || starts(attr));
    let attrs = draft.show_attrs(shown, Some(&rolling.at.id));
    let detail = rolling.detail(reasons, attrs);
    let name = match &work.to {
        Some((zone, ordinal)) => format!("{}{ordinal}", rolling.prefix(zone)),
        None => work.row.name.clone(),
    };
    draft.change(work.row.full_addr(), action, Some(work.row.cloud_id.clone()), &name, &detail);
    detail
}
