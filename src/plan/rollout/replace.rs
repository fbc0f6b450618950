//! Instances that go: those of slots that get new ones, and those that nobody wants any more.

use std::collections::{BTreeMap, BTreeSet};

use super::launch::{Purpose, launch};
use super::spec::unprotected;
use super::{Creation, Going, Rolling, Work, note_change};
use crate::cloud::call::{Arg, Body, InstanceAttr, MAX_BATCH, StepId};
use crate::model::addr::Block;
use crate::model::ids::{CloudId, InstanceId, Region};
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec};
use crate::plan::draft::{Draft, NewStep, known, settle};
use crate::plan::floor::Shared;
use crate::plan::quota;
use crate::plan::types::{Action, Effect, Fact, Need, Reason, Target, Until};

/// The output of a step that an id is taken from, so that what failed there is left out here.
pub(super) type Output = (StepId, u32);

/// An instance that goes.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) row: &'a Object,
    /// The output that it is taken from: only what got so far goes.
    pub(super) output: Option<Output>,
    /// The step by which the cloud ceases to protect it.
    pub(super) unprotected: Option<StepId>,
}

/// An instance that the cloud is to protect no longer, and what must be over before.
type Protected<'a> = (&'a Object, Vec<Need>);

/// An instance that goes, and what must be over before.
type Leaving<'a> = (Ending<'a>, &'a [Need]);

/// Remembers after which steps nothing runs from the recorded image of a slot any more.
pub(super) fn moves(draft: &mut Draft<'_>, row: &Object, step: StepId) {
    if let ObjectSpec::Slot(spec) = row.spec.as_ref()
        && let ImageUse::Made { image, .. } = &spec.image
    {
        draft.moved.entry(image.clone()).or_default().insert(step);
    }
}

/// What a group of replacements takes.
pub(super) struct Replaced {
    pub(super) terminated: Vec<StepId>,
    pub(super) launched: Vec<StepId>,
}

/// Replaces the instances of a group: those `below` the fleet's count go, and when they are gone, the successors of all are
/// launched. Those `above` it go later, when that is known to be good.
pub(super) fn replace(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    (above, below): (&[Work<'_>], &[Work<'_>]),
    before: &[Need],
) -> Replaced {
    let mut needs: BTreeSet<Need> = before.iter().copied().collect();
    // Nothing is taken away before the image that it is to run from is there.
    needs.extend(rolling.at.ready.iter().copied());
    if let Arg::Output { step, .. } = rolling.at.id {
        needs.insert(Need::Success(step));
    }
    let group = || above.iter().chain(below);
    let mut by_charge: BTreeMap<&str, Vec<Ending<'_>>> = BTreeMap::new();
    for work in group() {
        needs.extend(work.ready.iter().copied());
    }
    for work in below {
        let output = rolling.unprotected.get(&work.slot).copied();
        let ending = Ending { row: work.row, output, unprotected: output.map(|(step, _)| step) };
        by_charge.entry(&work.seen.charge_type).or_default().push(ending);
    }
    let needs: Vec<Need> = needs.into_iter().collect();
    let mut terminated = Vec::new();
    for rows in by_charge.values() {
        terminated.extend(terminate_chunks(draft, rows, &needs));
    }
    let mut creations = Vec::new();
    for (n, work) in group().enumerate() {
        let action = if n < above.len() { Action::Swap } else { Action::Replace };
        note_change(draft, rolling, work, action);
        let (zone, ordinal) = work.place();
        creations.push(Creation {
            slot: work.slot,
            generation: work.next,
            zone: zone.clone(),
            ordinal,
            reason: Reason::New,
            repair: false,
        });
    }
    let after: Vec<Need> =
        if below.is_empty() { needs } else { terminated.iter().copied().map(Need::Success).collect() };
    let launched = launch(draft, rolling, creations, &after, Purpose::Successor);
    // The version before stays until its last instance has its successor: it may be wanted back.
    for work in group() {
        for step in &launched {
            moves(draft, work.row, *step);
        }
    }
    Replaced { terminated, launched }
}

/// Terminates instances of one region and billing mode.
pub(super) fn terminate_chunks(draft: &mut Draft<'_>, rows: &[Ending<'_>], needs: &[Need]) -> Vec<StepId> {
    rows.chunks(MAX_BATCH).filter_map(|chunk| terminate(draft, chunk, needs.to_vec())).collect()
}

/// Switches the cloud's protection off, where the config no longer asks for it, so that what follows is possible.
pub(super) fn unprotect(draft: &mut Draft<'_>, rows: &[(&Object, Vec<Need>)]) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (row, needs) in rows {
        let call = Shared::Modify(row.region.clone(), InstanceAttr::Protection(false));
        draft.dues.shared(call, &row.addr.block, !needs.is_empty());
    }
    for chunk in rows.chunks(MAX_BATCH) {
        let Some(region) = chunk.first().map(|(row, _)| row.region.clone()) else { continue };
        let instances: Vec<InstanceId> = chunk.iter().filter_map(|(row, _)| row.cloud_id.instance().cloned()).collect();
        let expect = vec![Fact::Instances { region: region.clone(), ids: instances.iter().cloned().collect() }];
        let body = Body::ModifyInstances { instances, set: InstanceAttr::Protection(false) };
        let does = draft.call(&region, body);
        let become_so = |row: &Object| unprotected(row.spec.as_ref()).map_or(Effect::Nothing, Effect::Become);
        let step = draft.step(NewStep {
            needs: chunk.iter().flat_map(|(_, needs)| needs.clone()).collect(),
            does,
            targets: chunk.iter().map(|(row, _)| known(row, become_so(row))).collect(),
            expect,
            settle: settle(Until::Operation("ModifyInstancesAttribute".into()), draft.input.pace.modify_ms),
            holds: Vec::new(),
        });
        outputs.extend((0..).take(chunk.len()).map(|n| (step, n)));
    }
    outputs
}

/// Terminates at most [`MAX_BATCH`] instances of one region and billing mode, each after the step that unprotects it.
fn terminate(draft: &mut Draft<'_>, rows: &[Ending<'_>], mut needs: Vec<Need>) -> Option<StepId> {
    let region = rows.first()?.row.region.clone();
    let instances: Vec<InstanceId> = rows.iter().filter_map(|each| each.row.cloud_id.instance().cloned()).collect();
    let observed = draft.input.observed;
    let seen = instances.iter().filter_map(|id| observed.instance_there(&region, id));
    let holds = quota::frees(draft, &region, seen);
    needs.extend(rows.iter().filter_map(|each| each.unprotected.map(Need::Over)));
    let mut by_charge: BTreeMap<&str, BTreeSet<InstanceId>> = BTreeMap::new();
    // What is unprotected first was seen protected.
    for each in rows.iter().filter(|each| each.unprotected.is_none()) {
        let id = each.row.cloud_id.instance();
        if let Some(seen) = id.and_then(|id| observed.instance_there(&region, id)) {
            by_charge.entry(&seen.charge_type).or_default().insert(seen.id.clone());
        }
    }
    let may_go = |(charge_type, ids): (&str, _)| Fact::Terminable {
        region: region.clone(),
        ids,
        charge_type: charge_type.to_owned(),
    };
    let expect = by_charge.into_iter().map(may_go).collect();
    let instances = instances.into_iter().map(Arg::Known).collect();
    let does = draft.call(&region, Body::TerminateInstances { instances });
    let id = |row: &Object, output: Option<Output>| -> Arg<CloudId> {
        output.map_or_else(|| Arg::Known(row.cloud_id.clone()), |(step, target)| Arg::Output { step, target })
    };
    let targets =
        rows.iter().map(|each| Target { id: Some(id(each.row, each.output)), ..known(each.row, Effect::Remove) });
    let targets = targets.collect();
    let settle = settle(Until::Gone, draft.input.pace.terminate_ms);
    let step = draft.step(NewStep { needs, does, targets, expect, settle, holds });
    for each in rows {
        moves(draft, each.row, step);
    }
    Some(step)
}

/// Terminates what goes from all fleets, in as few calls as the cloud allows.
pub(in crate::plan) fn terminate_going(draft: &mut Draft<'_>) {
    let going = std::mem::take(&mut draft.going);
    for Going { row, charge_type, needs, unprotect: _ } in &going {
        draft.dues.terminate(&row.region, charge_type, !needs.is_empty());
    }
    end(draft, &going);
}

/// Terminates what goes from one fleet, for something else waits for that.
pub(super) fn terminate_first(draft: &mut Draft<'_>, block: &Block) -> Vec<StepId> {
    let all = std::mem::take(&mut draft.going);
    let (mine, others): (Vec<Going<'_>>, Vec<Going<'_>>) =
        all.into_iter().partition(|one| one.row.addr.block == *block);
    draft.going = others;
    let steps = end(draft, &mine);
    draft.dues.single("TerminateInstances", steps.len());
    steps
}

fn end(draft: &mut Draft<'_>, going: &[Going<'_>]) -> Vec<StepId> {
    // What is still under way goes together, too, when the last of a batch has come to rest.
    let mut protected: BTreeMap<(&Region, bool), Vec<Protected<'_>>> = BTreeMap::new();
    for Going { row, charge_type: _, needs, unprotect } in going {
        if *unprotect {
            protected.entry((&row.region, !needs.is_empty())).or_default().push((row, needs.clone()));
        }
    }
    let mut freed: BTreeMap<&CloudId, Output> = BTreeMap::new();
    for rows in protected.values() {
        let outputs = unprotect(draft, rows);
        freed.extend(rows.iter().map(|(row, _)| &row.cloud_id).zip(outputs));
    }
    let mut batches: BTreeMap<(&Region, &str, bool), Vec<Leaving<'_>>> = BTreeMap::new();
    for Going { row, charge_type, needs, unprotect: _ } in going {
        let batch = batches.entry((&row.region, charge_type, !needs.is_empty())).or_default();
        let output = freed.get(&row.cloud_id).copied();
        batch.push((Ending { row, output, unprotected: output.map(|(step, _)| step) }, needs));
    }
    let mut steps = Vec::new();
    for rows in batches.values() {
        for chunk in rows.chunks(MAX_BATCH) {
            let needs = chunk.iter().flat_map(|(_, needs)| needs.iter().copied()).collect();
            let rows: Vec<Ending<'_>> = chunk.iter().map(|(row, _)| *row).collect();
            steps.extend(terminate(draft, &rows, needs));
        }
    }
    steps
}
