//! How a fleet gets from what it is to what it should be: launches, replacements, resets and changes in place, in
//! batches as large as the cloud and `max_unavailable` allow.

mod auto;
mod gate;
mod group;
mod groups;
mod guide;
mod launch;
mod modify;
mod power;
mod refused;
mod replace;
mod roll;
mod rounds;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Draft, ImageAt};
use super::fleets::course::{self, Course, Lineup};
use super::fleets::{prefix, sources};
use super::types::{Action, AttrChange, Detail, Need, Reason};
use crate::diff::{Attr, SlotDiff, Takes};
use crate::model::addr::Block;
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Fleet, Strategy};
use crate::model::ids::{CloudId, Name, Zone};
use crate::model::observed::Instance;
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec, Power, SlotSpec};
use launch::Launched;
use replace::Output;
use spec::Parts;

pub(super) use replace::terminate_going;
pub(super) use roll::roll;

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
    /// What the state has of its instance that counts, which may be gone.
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
        self.is_up() && !self.row.is_on_trial()
    }

    /// Whether it may serve, as far as the cloud knows.
    fn is_up(&self) -> bool {
        self.runs() && !self.halted
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
    /// Instances that go, as another one of their slot counts.
    pub(super) surplus: BTreeSet<CloudId>,
    /// What must be over before anything is made.
    pub(super) before_creation: BTreeSet<Need>,
    /// The images of ours that its instances run from, or will.
    images: BTreeSet<Name>,
    /// What has to be over before slots are in service again that stay as they are.
    pub(super) awaited: BTreeSet<Need>,
    pub(super) work: Vec<Work<'a>>,
    /// All slots that the fleet is to have.
    pub(super) slots: Vec<Located<'a>>,
    /// Those of them whose instances are to be made.
    lacking: BTreeSet<u32>,
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
    /// Whether none of its instances may be out of service.
    none_missing: bool,
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
            surplus: BTreeSet::new(),
            before_creation: BTreeSet::new(),
            awaited: BTreeSet::new(),
            work: Vec::new(),
            slots: Vec::new(),
            lacking: BTreeSet::new(),
            unprotected: BTreeMap::new(),
            launched: Vec::new(),
            course,
            reached: None,
            older: BTreeMap::new(),
            generations: BTreeMap::new(),
            trials: Vec::new(),
            none_missing: fleet.power != Some(Power::Stopped) && fleet.update.at_once(fleet.count).down == 0,
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
        let lost = |row: &Object| row.addr.slot.is_some_and(|slot| self.lacking.contains(&slot));
        let rows = draft.objects_of(&self.block).into_iter();
        let mut stay = rows.filter(|row| !going.contains(&row.cloud_id) && !lost(row));
        stay.all(|row| !row.is_on_trial() && self.is_made(row))
    }

    /// Whether an instance is made as it should be, but for what is to be ignored.
    pub(super) fn is_made(&self, row: &Object) -> bool {
        self.is_made_as(row, &self.specs)
    }

    /// Whether an instance is made as these specs say, but for what is to be ignored.
    pub(super) fn is_made_as(&self, row: &Object, specs: &BTreeMap<Zone, Arc<ObjectSpec>>) -> bool {
        course::is_made_as(row, specs, &self.fleet.ignore_changes)
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
        if rebuilds {
            return Some(strategy);
        }
        // Where none may be missing, a new instance takes the place of one that would be off for a moment.
        let is_missed = || work.is_up() && (diff.takes(Takes::Resize) || power::reboots(work));
        (self.none_missing && is_missed()).then_some(Strategy::Replace)
    }

    /// Whether a slot is out of service for a while.
    pub(super) fn disrupts(&self, work: &Work<'_>) -> bool {
        self.strategy(work).is_some()
            || (work.diff.takes(Takes::Resize) && work.runs())
            || power::reboots(work)
            || work.halted
    }
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
        let back = rolling.course.goes_back();
        reasons.push(if back { Reason::TakenBack } else { Reason::NewVersion { inputs: Vec::new() } });
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
