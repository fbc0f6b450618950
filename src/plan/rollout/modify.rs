//! What changes on an instance without touching its disk: names, security groups, roles, protection, tags and power, in
//! batches of all slots that get the same; and what the cloud has already, which only the state has to learn.

use std::collections::{BTreeMap, BTreeSet};

use super::replace::Output;
use super::spec::{Part, Parts, all_in_place};
use super::{Placed, Rolling, Work, note_change};
use crate::cloud::call::{Arg, Body, InstanceAttr, MAX_BATCH, MAX_TAG_RESOURCES, StepId, TagTarget};
use crate::diff::SlotDiff;
use crate::model::desired::Tags;
use crate::model::ids::{CloudId, InstanceId, Region, SecurityGroupId};
use crate::model::spec::Power;
use crate::plan::draft::{Draft, NewStep, at_once, known, settle};
use crate::plan::floor::Shared;
use crate::plan::types::{Action, Do, Effect, Fact, Need, Target, Until};

/// One attribute and its new value; slots that share it share a call. What stands last comes last: until then the state
/// has to know what is still to be done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Name(String),
    Hostname(String),
    Groups(BTreeSet<SecurityGroupId>),
    Role(String),
    Protect,
    Tag(Tags),
    Untag(BTreeSet<String>),
    Unbind,
    Unprotect,
    Power(Power),
}

impl Change {
    fn all_of(placed: &Placed<'_>) -> Vec<Self> {
        let Placed { work, after: _, needs: _, parts: _, hostname, power } = placed;
        // The diff's own host name and power may be dealt with already.
        let SlotDiff { attrs: _, tags, rename, groups, hostname: _, cam_role, protect, power: _, reset_failed: _ } =
            &work.diff;
        let mut changes = Vec::new();
        changes.extend(rename.clone().map(Self::Name));
        changes.extend(hostname.clone().map(Self::Hostname));
        changes.extend(groups.clone().map(Self::Groups));
        changes.extend(cam_role.clone().map(|role| role.map_or(Self::Unbind, Self::Role)));
        changes.extend(protect.map(|on| if on { Self::Protect } else { Self::Unprotect }));
        if !tags.set.is_empty() {
            changes.push(Self::Tag(tags.set.clone()));
        }
        if !tags.unset.is_empty() {
            changes.push(Self::Untag(tags.unset.clone()));
        }
        changes.extend(power.map(Self::Power));
        changes
    }

    /// What the state learns by its success alone.
    fn part(&self) -> Option<Part> {
        match self {
            Self::Untag(_) => Some(Part::Untagged),
            Self::Unbind => Some(Part::Roleless),
            Self::Unprotect => Some(Part::Unprotected),
            Self::Power(_) => Some(Part::Powered),
            Self::Name(_) | Self::Hostname(_) | Self::Groups(_) | Self::Role(_) | Self::Protect | Self::Tag(_) => None,
        }
    }

    /// The call, where others can share it: no two instances are to be called the same.
    fn shared(&self, region: &Region) -> Option<Shared> {
        let set = |set: InstanceAttr| Some(Shared::Modify(region.clone(), set));
        match self {
            Self::Name(_) | Self::Hostname(_) => None,
            Self::Groups(groups) => set(InstanceAttr::SecurityGroups(groups.clone())),
            Self::Role(role) => set(InstanceAttr::CamRole(Some(role.clone()))),
            Self::Protect => set(InstanceAttr::Protection(true)),
            Self::Tag(tags) => Some(Shared::Tag(tags.clone())),
            Self::Untag(keys) => Some(Shared::Untag(keys.clone())),
            Self::Unbind => set(InstanceAttr::CamRole(None)),
            Self::Unprotect => set(InstanceAttr::Protection(false)),
            Self::Power(Power::Running) => Some(Shared::Start(region.clone())),
            Self::Power(Power::Stopped) => Some(Shared::Stop(region.clone())),
        }
    }

    fn is_of_tags(&self) -> bool {
        match self {
            Self::Tag(_) | Self::Untag(_) => true,
            Self::Name(_)
            | Self::Hostname(_)
            | Self::Groups(_)
            | Self::Role(_)
            | Self::Protect
            | Self::Unbind
            | Self::Unprotect
            | Self::Power(_) => false,
        }
    }
}

/// How far a slot's changes in place are.
#[derive(Default)]
struct Way {
    /// Everything that is done to it here.
    steps: Vec<StepId>,
    /// Those that are operations of the instance: it has one at a time (API text 8.9).
    operations: Vec<StepId>,
    /// The last step by whose success alone the state learns something: the next such one depends on it.
    last: Option<Output>,
    parts: Parts,
}

/// Changes what can be changed in place. Whoever captures a slot waits until it is as it should be. Answers the steps.
pub(super) fn modify(draft: &mut Draft<'_>, rolling: &Rolling<'_>, mut in_place: Vec<Placed<'_>>) -> BTreeSet<StepId> {
    // What waits comes together in as few calls as it takes: those of the others may serve other fleets, too.
    in_place.sort_by_key(|placed| !placed.waits());
    let mut batches: BTreeMap<Change, Vec<usize>> = BTreeMap::new();
    for (n, placed) in in_place.iter().enumerate() {
        for change in Change::all_of(placed) {
            match change.shared(&rolling.fleet.region) {
                Some(call) => draft.dues.shared(call, &rolling.block, placed.waits()),
                None => draft.dues.single("ModifyInstancesAttribute", 1),
            }
            batches.entry(change).or_default().push(n);
        }
    }
    let mut ways: BTreeMap<usize, Way> = BTreeMap::new();
    for (change, slots) in batches {
        let most = if change.is_of_tags() { MAX_TAG_RESOURCES } else { MAX_BATCH };
        for chunk in slots.chunks(most) {
            let works: Vec<(usize, &Placed<'_>)> = chunk.iter().filter_map(|n| Some((*n, in_place.get(*n)?))).collect();
            let step = batch(draft, rolling, &change, &works, &mut ways);
            for (n, target) in chunk.iter().zip(0..) {
                let way = ways.entry(*n).or_default();
                way.steps.push(step);
                if !change.is_of_tags() {
                    way.operations.push(step);
                }
                if change.part().is_some() {
                    way.last = Some((step, target));
                }
            }
        }
    }
    for (n, placed) in in_place.iter().enumerate() {
        if let Some(at) = draft.slots.get_mut(&(rolling.name.clone(), placed.work.slot)) {
            let steps = ways.get(&n).map(|way| way.steps.as_slice()).unwrap_or_default();
            at.ready.extend(placed.needs.iter().copied().chain(steps.iter().copied().map(Need::Over)));
        }
    }
    ways.into_values().flat_map(|way| way.steps).collect()
}

fn batch(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    change: &Change,
    works: &[(usize, &Placed<'_>)],
    ways: &mut BTreeMap<usize, Way>,
) -> StepId {
    let region = rolling.fleet.region.clone();
    let mut needs = Vec::new();
    let mut ids: Vec<Arg<CloudId>> = Vec::new();
    let mut targets = Vec::new();
    for (n, placed) in works {
        let Placed { work, after, needs: own, parts, hostname: _, power: _ } = placed;
        let way = ways.entry(*n).or_default();
        // A slot whose reset failed does not hold the others up.
        needs.extend(own.iter().map(|need| Need::Over(need.step())));
        let before = if change.part().is_some() { &way.steps } else { &way.operations };
        needs.extend(before.iter().filter(|_| !matches!(change, Change::Tag(_))).copied().map(Need::Over));
        // It is left out, and the state goes on saying what it was: else the failure were forgotten.
        let output = way.last.filter(|_| change.part().is_some()).or(*after);
        let id =
            output.map_or_else(|| Arg::Known(work.row.cloud_id.clone()), |(step, target)| Arg::Output { step, target });
        way.parts.extend(change.part());
        let done: Parts = parts.union(&way.parts).copied().chain([Part::InPlace]).collect();
        let spec = rolling.spec_with(work, &done);
        let effect = spec.map_or(Effect::Nothing, Effect::Become);
        targets.push(Target { id: Some(id.clone()), ..known(work.row, effect) });
        ids.push(id);
    }
    let instances = || works.iter().map(|(_, placed)| placed.work.seen.id.clone()).collect();
    let resources = || ids.iter().map(|id| TagTarget { region: region.clone(), id: id.clone() }).collect();
    let set = |set: InstanceAttr| Body::ModifyInstances { instances: instances(), set };
    let body = match change {
        Change::Name(name) => set(InstanceAttr::Name(name.clone())),
        Change::Hostname(name) => set(InstanceAttr::Hostname(name.clone())),
        Change::Groups(groups) => set(InstanceAttr::SecurityGroups(groups.clone())),
        Change::Role(role) => set(InstanceAttr::CamRole(Some(role.clone()))),
        Change::Unbind => set(InstanceAttr::CamRole(None)),
        Change::Protect => set(InstanceAttr::Protection(true)),
        Change::Unprotect => set(InstanceAttr::Protection(false)),
        Change::Tag(tags) => Body::TagResources { resources: resources(), tags: tags.clone() },
        Change::Untag(keys) => Body::UntagResources { resources: resources(), keys: keys.clone() },
        Change::Power(Power::Stopped) => Body::StopInstances {
            instances: works.iter().map(|(_, placed)| Arg::Known(placed.work.seen.id.clone())).collect(),
        },
        Change::Power(Power::Running) => Body::StartInstances { instances: instances() },
    };
    let pace = draft.input.pace;
    let settle = match change {
        Change::Tag(_) | Change::Untag(_) => at_once(),
        Change::Power(Power::Stopped) => settle(Until::Stopped, pace.power_ms),
        Change::Power(Power::Running) => settle(Until::Running, pace.power_ms),
        Change::Name(_)
        | Change::Hostname(_)
        | Change::Groups(_)
        | Change::Role(_)
        | Change::Protect
        | Change::Unbind
        | Change::Unprotect => settle(Until::Operation("ModifyInstancesAttribute".into()), pace.modify_ms),
    };
    let does = draft.call(&region, body);
    let there: BTreeSet<InstanceId> = ids.iter().filter_map(|id| id.known()?.instance().cloned()).collect();
    let expect = if there.is_empty() { Vec::new() } else { vec![Fact::Instances { region, ids: there }] };
    draft.step(NewStep { needs, does, targets, expect, settle, holds: Vec::new() })
}

/// Enters what the cloud has already, and the state does not: somebody else was faster than the config. Answers the step.
pub(super) fn enter(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, works: Vec<Work<'_>>) -> Option<StepId> {
    let mut targets = Vec::new();
    for work in works {
        note_change(draft, rolling, &work, Action::Update);
        let spec = rolling.spec_with(&work, &all_in_place());
        targets.extend(spec.map(|spec| known(work.row, Effect::Become(spec))));
    }
    if targets.is_empty() {
        return None;
    }
    let (needs, expect, holds) = (Vec::new(), Vec::new(), Vec::new());
    Some(draft.step(NewStep { needs, does: Do::Record, targets, expect, settle: at_once(), holds }))
}
