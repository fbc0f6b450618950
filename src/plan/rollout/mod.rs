//! How a fleet gets from what it is to what it should be: launches, replacements, resets and changes in place, in
//! batches as large as the cloud and `max_unavailable` allow.

mod gate;
mod group;
mod groups;
mod guide;
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
use super::fleets::course::{self, Course, Lineup};
use super::fleets::{prefix, sources};
use super::floor::Launch;
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
use crate::model::update::AtOnce;
use gate::Place;
use group::{make_lacking, one_group, try_again};
use groups::{at_worst, groups};
use guide::Guide;
use launch::{Launched, Purpose, launch};
use replace::Output;
use spec::Parts;

pub(super) use replace::terminate_going;

/// An instance that was launched or changed by a rollout, and that no gate has seen yet.
pub(super) struct Trial<'a> {
    pub(super) row: &'a Object,
    /// The instance that serves in its place until then.
    pub(super) older: Option<&'a Object>,
    /// What must be over before it is looked at.
    pub(super) ready: Vec<Need>,
}

/// A slot that the fleet is to have.
pub(super) struct Located<'a> {
    pub(super) slot: u32,
    /// Where it is or, where it moves or is new, is to be.
    pub(super) zone: Zone,
    /// What the state has of its newest instance that counts.
    pub(super) row: Option<&'a Object>,
}

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
    /// Whether it stays on trial where nothing but what changes in place is done to it.
    pub(super) on_trial: bool,
    /// The generation of its next instance.
    pub(super) next: u32,
    /// What must be over before anything is done to it.
    pub(super) ready: Vec<Need>,
}

impl Work<'_> {
    /// Whether it serves: it runs, and a rollout has seen that it is healthy, where one is to.
    fn serves(&self) -> bool {
        self.runs() && !self.halted && !self.row.is_on_trial()
    }

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
    /// The images of ours that its instances run from, or will.
    images: BTreeSet<Name>,
    /// What has to be over before slots are in service again that stay as they are.
    pub(super) awaited: BTreeSet<Need>,
    pub(super) work: Vec<Work<'a>>,
    /// All slots that the fleet is to have.
    pub(super) slots: Vec<Located<'a>>,
    /// Steps by which the cloud ceases to protect what is replaced.
    unprotected: BTreeMap<u32, Output>,
    /// What is launched for a fleet that is to be off.
    launched: Vec<Launched>,
    /// On which course the fleet is.
    pub(super) course: Course<'a>,
    /// What slots are that a rollout got to its target, while the others do not follow.
    pub(super) reached: Option<Lineup>,
    /// Of slots of which there are several generations: the one that serves until the newest is known to be good.
    pub(super) older: BTreeMap<u32, &'a Object>,
    /// The highest generation of each slot.
    pub(super) generations: BTreeMap<u32, u32>,
    /// Slots that no gate has seen since they were launched or changed.
    pub(super) trials: Vec<Trial<'a>>,
    /// What `strategy: auto` is here, and why.
    chosen: Option<(Strategy, String)>,
    /// Whether what is launched or changed in place of something is on trial until a gate has seen it; and its specs then.
    on_trial: bool,
    trial_specs: BTreeMap<Zone, Arc<ObjectSpec>>,
    /// Outputs of launches, by slot.
    made: BTreeMap<u32, Output>,
    details: BTreeMap<Detail, Arc<Detail>>,
}

impl<'a> Rolling<'a> {
    pub(super) fn new(
        draft: &Draft<'a>,
        name: &'a Name,
        fleet: &'a Fleet,
        block: Block,
        lineup: Lineup,
        course: Course<'a>,
    ) -> Self {
        let Lineup { at, specs } = lineup;
        let desired = draft.input.desired;
        // Slots of zones that the config no longer has bear names, too.
        let rows = draft.objects_of(&block);
        let slots = rows.iter().filter_map(|row| match row.spec.as_ref() {
            ObjectSpec::Slot(spec) => Some(&spec.image),
            ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
        });
        let images = slots.chain([&at.use_]).filter_map(|use_| match use_ {
            ImageUse::Made { image, .. } => Some(image),
            ImageUse::Found { .. } | ImageUse::Promoted { .. } => None,
        });
        let images: BTreeSet<&Name> = images.collect();
        let images = images.into_iter().cloned().collect();
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
            images,
            creations: Vec::new(),
            before_creation: BTreeSet::new(),
            awaited: BTreeSet::new(),
            work: Vec::new(),
            slots: Vec::new(),
            unprotected: BTreeMap::new(),
            launched: Vec::new(),
            course,
            reached: None,
            older: BTreeMap::new(),
            generations: BTreeMap::new(),
            trials: Vec::new(),
            chosen: None,
            on_trial: false,
            trial_specs: BTreeMap::new(),
            made: BTreeMap::new(),
            details: BTreeMap::new(),
        }
    }

    /// What instances are made with now.
    fn lineup(&self) -> Lineup {
        Lineup { at: self.at.clone(), specs: self.specs.clone() }
    }

    /// The generation of a slot's next instance.
    pub(super) fn next(&self, row: &Object) -> u32 {
        row.addr
            .slot
            .and_then(|slot| self.generations.get(&slot))
            .copied()
            .unwrap_or(row.generation)
            .max(row.generation)
            + 1
    }

    /// Whether all instances that stay run what the config asks for, and have been seen to be good.
    fn is_at_target(&self, draft: &Draft<'_>) -> bool {
        let going: BTreeSet<_> = draft.going.iter().map(|going| &going.row.cloud_id).collect();
        let mut stay = draft.objects_of(&self.block).into_iter().filter(|row| !going.contains(&row.cloud_id));
        stay.all(|row| !row.is_on_trial() && course::is_made_as(row, &self.specs))
    }

    /// From now on, what takes the place of something is on trial.
    fn try_out(&mut self) {
        self.on_trial = true;
        let tried = |spec: &Arc<ObjectSpec>| match spec.as_ref() {
            ObjectSpec::Slot(slot) => {
                Arc::new(ObjectSpec::Slot(Box::new(SlotSpec { on_trial: true, ..slot.as_ref().clone() })))
            }
            ObjectSpec::Image(_) | ObjectSpec::Share(_) => Arc::clone(spec),
        };
        self.trial_specs = self.specs.iter().map(|(zone, spec)| (zone.clone(), tried(spec))).collect();
    }

    /// Whether a slot that stays is stopped for its change, and whether it is started after it.
    fn switches(&self, work: &Work<'_>) -> (bool, bool) {
        let resets = self.strategy(work) == Some(Strategy::Reset);
        let stops = work.diff.takes(Takes::Resize) && work.runs();
        (stops, ((stops && !work.stays_off()) || work.halted) && !resets)
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
        let rebuilds = diff.takes(Takes::Rebuild) || diff.reset_failed;
        let strategy = self.chosen.as_ref().map_or(self.fleet.update.strategy, |(strategy, _)| *strategy);
        rebuilds.then_some(strategy)
    }

    /// Whether a slot is out of service for a while.
    pub(super) fn disrupts(&self, work: &Work<'_>) -> bool {
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
    work.sort_by_key(|work| (rolling.zone_index(&work.zone), work.ordinal));
    if rolling.fleet.update.strategy == Strategy::Auto {
        rolling.chosen = Some(guide::choose(draft, &rolling, &work));
    }
    guarded(draft, &mut rolling, &work);
    login_for_reset(draft, &rolling, &work);
    refused::refused(draft, &rolling, &work);
    let (known_already, work): (Vec<Work<'_>>, Vec<Work<'_>>) = work.into_iter().partition(Work::is_so_already);
    let (disruptive, mut gentle): (Vec<Work<'_>>, Vec<Work<'_>>) =
        work.into_iter().partition(|work| rolling.disrupts(work));
    let trials = std::mem::take(&mut rolling.trials);
    let guide = Guide::of(draft, &rolling, &disruptive, &trials);
    // Who is not back yet is out of service, too.
    let mut gate: Vec<Need> = Vec::new();
    if disrupted {
        gate.extend(std::mem::take(&mut rolling.awaited));
        gate.extend(gentle.iter().flat_map(|work| work.ready.iter().copied()));
    }
    if guide.tries() {
        rolling.try_out();
        // What is left over from a rollout that was cut short is above the fleet's count as well.
        let surplus = !disruptive.is_empty() && guide.at_once.surge > 0;
        let gone = if surplus { replace::terminate_first(draft, &rolling.block) } else { Vec::new() };
        gate.extend(gone.into_iter().map(Need::Success));
    }
    let looked_at = disrupted && guide.tries();
    let lacking = if looked_at { repairs.len() } else { 0 };
    gate.extend(make_lacking(draft, &mut rolling, &guide, repairs, (&before, looked_at)));
    launch(draft, &mut rolling, others, &[], Purpose::New);
    let mut in_place: Vec<Placed<'_>> = Vec::new();
    let cut = groups(draft, &rolling, &guide, disruptive);
    let tried_above = trials.iter().filter(|trial| trial.older.is_some()).count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let first =
        AtOnce { surge: number(tried_above), down: number(lacking + cut.down.len() + trials.len() - tried_above) };
    let at_worst = at_worst(&rolling, &guide, first, &cut);
    guide.tell(draft, &rolling, (lacking + cut.down.len() + trials.len(), &cut), at_worst);
    guide::check_available(draft, &rolling, &guide, at_worst);
    let left = !cut.left.is_empty();
    let nothing_more = cut.down.is_empty() && cut.batches.is_empty();
    if !trials.is_empty() {
        let place = Place { mark: guide.mark((false, true), nothing_more, left), ends: true };
        gate = try_again(draft, &rolling, &guide, &trials, gate, place);
        for work in &mut gentle {
            if trials.iter().any(|trial| trial.row.addr == work.row.addr) {
                work.ready.extend(gate.iter().copied());
            }
        }
    }
    if !cut.down.is_empty() {
        let place = Place { mark: guide.mark((false, true), cut.batches.is_empty(), left), ends: true };
        gate = narrowed(draft, &cut.down, gate);
        let placed = (&mut in_place, &mut Vec::new());
        gate = one_group(draft, &mut rolling, &guide, cut.down, (&gate, false, place), placed);
    }
    let batches = cut.batches.len();
    for (n, batch) in cut.batches.into_iter().enumerate() {
        let rounds = batch.rounds.len();
        let mut passed = Vec::new();
        for (m, round) in batch.rounds.into_iter().enumerate() {
            let ends = m + 1 == rounds;
            let mark = guide.mark((batch.canary, ends), ends && n + 1 == batches, left);
            gate = narrowed(draft, &round, gate);
            let placed = (&mut in_place, &mut passed);
            gate = one_group(draft, &mut rolling, &guide, round, (&gate, true, Place { mark, ends }), placed);
        }
    }
    if guide.ends {
        gate::end(draft, &rolling, &guide, gate);
    }
    for work in cut.left {
        course::keep_image_of(draft, work.row);
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

/// What is protected is left alone; what no longer is to be is unprotected before it is replaced.
fn guarded(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &[Work<'_>]) {
    let mut rows: Vec<(&Object, Vec<Need>)> = Vec::new();
    let mut slots = Vec::new();
    for work in work {
        let act = match rolling.strategy(work) {
            Some(Strategy::Replace | Strategy::Auto) if work.to.is_some() => Act::Moved,
            Some(Strategy::Replace | Strategy::Auto) => Act::Replaced,
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
    let unset = |work: &&Work<'_>| work.slot_spec().is_none_or(|spec| spec.login == Login::Unset);
    let Some(first) = work.iter().find(reset).filter(unset) else { return };
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
