//! What changes on an instance without touching its disk: names, security groups and tags, in batches of all slots that
//! get the same; and what the cloud has already, which only the state has to learn.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rolling, Work, note_change};
use crate::cloud::call::{Arg, Body, InstanceAttr, MAX_BATCH, MAX_TAG_RESOURCES, StepId, TagTarget};
use crate::diff::SlotDiff;
use crate::model::desired::Tags;
use crate::model::ids::{InstanceId, SecurityGroupId};
use crate::plan::draft::{Draft, NewStep, at_once, known, settle};
use crate::plan::types::{Action, Do, Effect, Fact, Need, Target, Until};

/// A slot, the reset that it gets in this plan, and what must be over before it is changed.
type Slot<'a> = (Work<'a>, Option<StepId>, Vec<Need>);

/// One attribute and its new value; slots that share it share a call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Name(String),
    Groups(BTreeSet<SecurityGroupId>),
    Tag(Tags),
    /// Last, for until then the state has to know which tags go.
    Untag(BTreeSet<String>),
}

/// Changes names, security groups and tags. Whoever captures a slot waits until it is as it should be.
pub(super) fn modify(draft: &mut Draft<'_>, rolling: &Rolling<'_>, in_place: &[Slot<'_>]) {
    let mut batches: BTreeMap<Change, Vec<usize>> = BTreeMap::new();
    for (n, (work, _, _)) in in_place.iter().enumerate() {
        let SlotDiff { attrs: _, tags, rename, groups, reset_failed: _ } = &work.diff;
        if let Some(name) = rename {
            batches.entry(Change::Name(name.clone())).or_default().push(n);
        }
        if let Some(groups) = groups {
            batches.entry(Change::Groups(groups.clone())).or_default().push(n);
        }
        if !tags.set.is_empty() {
            batches.entry(Change::Tag(tags.set.clone())).or_default().push(n);
        }
        if !tags.unset.is_empty() {
            batches.entry(Change::Untag(tags.unset.clone())).or_default().push(n);
        }
    }
    let mut before: BTreeMap<usize, Vec<Need>> = BTreeMap::new();
    for (change, slots) in batches {
        let most = match change {
            Change::Name(_) | Change::Groups(_) => MAX_BATCH,
            Change::Tag(_) | Change::Untag(_) => MAX_TAG_RESOURCES,
        };
        for chunk in slots.chunks(most) {
            let works: Vec<&Slot<'_>> = chunk.iter().filter_map(|n| in_place.get(*n)).collect();
            let others: Vec<Need> = match change {
                Change::Name(_) | Change::Groups(_) | Change::Tag(_) => Vec::new(),
                Change::Untag(_) => chunk.iter().filter_map(|n| before.get(n)).flatten().copied().collect(),
            };
            let step = batch(draft, rolling, &change, &works, others);
            for n in chunk {
                before.entry(*n).or_default().push(Need::Over(step));
            }
        }
    }
    for (n, (work, _, needs)) in in_place.iter().enumerate() {
        if let Some(at) = draft.slots.get_mut(&(rolling.name.clone(), work.slot)) {
            at.ready.extend(needs.iter().chain(before.get(&n).into_iter().flatten()).copied());
        }
    }
}

fn batch(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    change: &Change,
    works: &[&Slot<'_>],
    mut needs: Vec<Need>,
) -> StepId {
    let region = rolling.fleet.region.clone();
    let instances = || works.iter().map(|(work, _, _)| work.seen.id.clone()).collect();
    // A slot whose reset failed is left out, and the state goes on saying what it was: else the failure were forgotten.
    let id = |(work, reset, _): &Slot<'_>| match reset {
        Some(step) => Arg::Output { step: *step, target: 0 },
        None => Arg::Known(work.row.cloud_id.clone()),
    };
    let resources = || works.iter().map(|slot| TagTarget { region: region.clone(), id: id(slot) }).collect();
    let modified = Until::Operation("ModifyInstancesAttribute".into());
    let (body, until) = match change {
        Change::Name(name) => {
            (Body::ModifyInstances { instances: instances(), set: InstanceAttr::Name(name.clone()) }, modified)
        }
        Change::Groups(groups) => (
            Body::ModifyInstances { instances: instances(), set: InstanceAttr::SecurityGroups(groups.clone()) },
            modified,
        ),
        Change::Tag(tags) => (Body::TagResources { resources: resources(), tags: tags.clone() }, Until::Accepted),
        Change::Untag(keys) => (Body::UntagResources { resources: resources(), keys: keys.clone() }, Until::Accepted),
    };
    let untagged = matches!(change, Change::Untag(_));
    let targets = works
        .iter()
        .map(|slot| {
            let (work, reset, _) = slot;
            let spec = rolling.spec_in_place(work, reset.is_some(), untagged);
            Target { id: Some(id(slot)), ..known(work.row, spec.map_or(Effect::Nothing, Effect::Become)) }
        })
        .collect();
    // A slot whose reset failed does not hold the others up.
    needs.extend(works.iter().flat_map(|(_, _, needs)| needs).map(|need| Need::Over(need.step())));
    let settle = if until == Until::Accepted { at_once() } else { settle(until, draft.input.pace.modify_ms) };
    let does = draft.call(&region, body);
    let there: BTreeSet<InstanceId> =
        works.iter().filter(|(_, reset, _)| reset.is_none()).map(|(work, _, _)| work.seen.id.clone()).collect();
    let expect = if there.is_empty() { Vec::new() } else { vec![Fact::Instances { region, ids: there }] };
    draft.step(NewStep { needs, does, targets, expect, settle, holds: Vec::new() })
}

/// Enters what the cloud has already, and the state does not: somebody else was faster than the config.
pub(super) fn enter(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, works: Vec<Work<'_>>) {
    let mut targets = Vec::new();
    for work in works {
        note_change(draft, rolling, &work, Action::Update);
        targets.extend(rolling.spec_in_place(&work, false, true).map(|spec| known(work.row, Effect::Become(spec))));
    }
    if targets.is_empty() {
        return;
    }
    let needs = Vec::new();
    draft.step(NewStep { needs, does: Do::Record, targets, expect: Vec::new(), settle: at_once(), holds: Vec::new() });
}
