//! The order of steps: what each waits for, and numbers that follow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::types::{Change, Do, Step, Value};
use crate::cloud::call::{Arg, Body, StepId};

impl Step {
    /// Every step that this one waits for: by its needs, and by the ids that it is given.
    #[must_use]
    pub fn waits_for(&self) -> BTreeSet<StepId> {
        let mut steps: BTreeSet<StepId> = self.needs.iter().map(|need| need.step()).collect();
        if let Do::Call(call) = &self.does {
            steps.extend(call.body.outputs().into_iter().map(|(step, _)| step));
        }
        steps.extend(self.targets.iter().filter_map(|target| match &target.id {
            Some(Arg::Output { step, .. }) => Some(*step),
            Some(Arg::Known(_)) | None => None,
        }));
        steps
    }
}

/// What must have happened before a step starts, as far as that is certain however other steps went: each step that it
/// waits for, and whether that one must have succeeded (else it must at least have started).
pub(super) fn certain(step: &Step) -> impl Iterator<Item = (StepId, bool)> + '_ {
    let needs = step.needs.iter().filter_map(|need| Some((need.success()?, true)));
    needs.chain(given(step).into_iter().map(|other| (other, false)))
}

/// The step that hands out the one id that a call cannot do without.
fn given(step: &Step) -> Option<StepId> {
    let Do::Call(call) = &step.does else { return None };
    match &call.body {
        // These go on for the things that are there.
        Body::TagResources { .. }
        | Body::UntagResources { .. }
        | Body::StopInstances { .. }
        | Body::TerminateInstances { .. } => None,
        body @ (Body::RunInstances(_)
        | Body::CreateImage { .. }
        | Body::ImportImage { .. }
        | Body::SyncImages { .. }
        | Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::ResetInstance { .. }
        | Body::DeleteImages { .. }
        | Body::StartInstances { .. }
        | Body::ResizeInstance { .. }
        | Body::ModifyInstances { .. }
        | Body::Describe(_)) => body.outputs().first().map(|(step, _)| *step),
    }
}

/// What each step waits for, by its number.
pub(super) fn waits(steps: &[Step]) -> Vec<BTreeSet<StepId>> {
    steps.iter().map(Step::waits_for).collect()
}

/// Numbers the steps anew, without a gap, so that each stands after all that it waits for; otherwise as they were. Steps that wait for
/// each other in a circle are left out; the plan's second check would say so.
pub(super) fn renumber(steps: Vec<Step>, changes: &mut [Change]) -> Vec<Step> {
    let waits = waits(&steps);
    let numbered = steps.iter().enumerate().all(|(n, step)| step.id.0 as usize == n);
    if numbered && waits.iter().zip(&steps).all(|(waits, step)| waits.iter().all(|other| *other < step.id)) {
        return steps;
    }
    let mut dependants: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    let mut missing: BTreeMap<StepId, usize> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for (step, waits) in steps.iter().zip(&waits) {
        for other in waits {
            dependants.entry(*other).or_default().push(step.id);
        }
        missing.insert(step.id, waits.len());
        if waits.is_empty() {
            ready.insert(step.id);
        }
    }
    let mut number: BTreeMap<StepId, StepId> = BTreeMap::new();
    let mut order = Vec::new();
    while let Some(step) = ready.pop_first() {
        number.insert(step, StepId(u32::try_from(order.len()).unwrap_or(u32::MAX)));
        order.push(step);
        for dependant in dependants.get(&step).into_iter().flatten() {
            if let Some(left) = missing.get_mut(dependant) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(*dependant);
                }
            }
        }
    }
    let rename = |step: StepId| number.get(&step).copied().unwrap_or(step);
    let mut by_id: BTreeMap<StepId, Step> = steps.into_iter().map(|step| (step.id, step)).collect();
    let steps = order.iter().filter_map(|id| by_id.remove(id)).map(|step| renamed(step, &rename)).collect();
    for change in changes {
        rename_change(change, &rename);
    }
    steps
}

fn renamed(mut step: Step, rename: &dyn Fn(StepId) -> StepId) -> Step {
    step.id = rename(step.id);
    for need in &mut step.needs {
        *need = need.on(rename(need.step()));
    }
    step.needs.sort_unstable();
    if let Do::Call(call) = &mut step.does {
        call.body.renumber(rename);
    }
    for target in &mut step.targets {
        if let Some(Arg::Output { step, .. }) = &mut target.id {
            *step = rename(*step);
        }
    }
    step
}

fn rename_change(change: &mut Change, rename: &dyn Fn(StepId) -> StepId) {
    let names_step = |value: &Value| matches!(value, Value::Unknown { .. });
    if !change.detail.attrs.iter().any(|attr| names_step(&attr.before) || names_step(&attr.after)) {
        return;
    }
    let mut detail = change.detail.as_ref().clone();
    for attr in &mut detail.attrs {
        for value in [&mut attr.before, &mut attr.after] {
            if let Value::Unknown { step, .. } = value {
                *step = rename(*step);
            }
        }
    }
    change.detail = Arc::new(detail);
}
