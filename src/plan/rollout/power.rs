//! What takes an instance out of service for a while, and brings it back: stop, another type, start; a reset; another
//! host name.

use std::collections::{BTreeMap, BTreeSet};

use super::replace::{Output, moves};
use super::spec::{Part, Parts};
use super::{Rolling, Work};
use crate::cloud::call::{Arg, Body, Installation, InstanceAttr, MAX_BATCH, StepId};
use crate::diff::Takes;
use crate::model::attrs::FleetAttr;
use crate::model::spec::Power;
use crate::plan::draft::{Draft, NewStep, SlotAt, image_fact, known, settle};
use crate::plan::fleets::instance_fact;
use crate::plan::quota;
use crate::plan::types::{Effect, Fact, Need, Target, Until};

impl Work<'_> {
    /// Whether the config wants it off.
    pub(super) fn stays_off(&self) -> bool {
        self.slot_spec().is_some_and(|spec| spec.power == Some(Power::Stopped))
    }

    /// Whether it runs, or will before anything is done to it.
    pub(super) fn runs(&self) -> bool {
        self.found == Some(Power::Running)
    }
}

/// Formats the system disk and installs the image.
pub(super) fn reset(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &Work<'_>, mut needs: Vec<Need>) -> StepId {
    needs.extend(rolling.at.ready.iter().copied());
    let region = work.row.region.clone();
    let id = &work.seen.id;
    let mut expect: Vec<Fact> = image_fact(&region, &rolling.at.id).into_iter().collect();
    if !work.diff.takes(Takes::Resize) {
        expect.extend(instance_fact(draft, &region, id));
    }
    let wanted = work.slot_spec();
    let body = Body::ResetInstance {
        instance: id.clone(),
        image: rolling.at.id.clone(),
        with: Box::new(Installation {
            login: wanted.map(|spec| spec.login.clone()).unwrap_or_default(),
            user_data: wanted.and_then(|spec| spec.user_data.clone()),
            system_disk_gib: wanted
                .and_then(|spec| spec.system_disk.size_gib)
                .filter(|size| *size > work.seen.system_disk.size_gib),
            hostname: wanted
                .and_then(|spec| spec.hostname.as_ref())
                .map(|pattern| pattern.of(&work.zone, work.ordinal)),
        }),
    };
    let does = draft.call(&region, body);
    let spec = rolling.spec_with(work, &after_reset(work));
    let step = draft.step(NewStep {
        needs,
        does,
        targets: vec![known(work.row, spec.map_or(Effect::Nothing, Effect::Become))],
        expect,
        settle: settle(Until::Operation("ResetInstance".into()), draft.input.pace.reset_ms),
        holds: Vec::new(),
    });
    moves(draft, work.row, step);
    if rolling.sources.contains_key(&work.slot) {
        let at = SlotAt { id: Arg::Known(id.clone()), ready: vec![Need::Success(step)], state: None };
        draft.slots.insert((rolling.name.clone(), work.slot), at);
    }
    step
}

/// What a reset brings: it ends with the instance running.
pub(super) fn after_reset(work: &Work<'_>) -> Parts {
    let mut parts = Parts::from([Part::Rebuilt]);
    if !work.stays_off() {
        parts.insert(Part::Powered);
    }
    parts
}

/// Stops what runs and is to get another type: a running instance may be refused (API text 5.10). Answers which output
/// tells that a slot was stopped.
pub(super) fn stop(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    resized: &[&Work<'_>],
    gate: &[Need],
) -> BTreeMap<u32, Output> {
    let running: Vec<&&Work<'_>> = resized.iter().filter(|work| work.runs()).collect();
    let mut stopped = BTreeMap::new();
    for chunk in running.chunks(MAX_BATCH) {
        let needs = gate.iter().chain(chunk.iter().flat_map(|work| &work.ready)).copied().collect();
        let instances = chunk.iter().map(|work| Arg::Known(work.seen.id.clone())).collect();
        let Some(region) = chunk.first().map(|work| work.row.region.clone()) else { continue };
        let does = draft.call(&region, Body::StopInstances { instances });
        // What is to be off anyway has come to be so; anything else has to be started again.
        let effect = |work: &Work<'_>| match work.stays_off() {
            true => rolling.spec_switched_off(work).map_or(Effect::Nothing, Effect::Become),
            false => Effect::Nothing,
        };
        // What is still under way may end with another operation than it was seen with.
        let at_rest = chunk.iter().filter(|work| work.ready.is_empty());
        let expect = at_rest.filter_map(|work| instance_fact(draft, &region, &work.seen.id)).collect();
        let step = draft.step(NewStep {
            needs,
            does,
            targets: chunk.iter().map(|work| known(work.row, effect(work))).collect(),
            expect,
            settle: settle(Until::Stopped, draft.input.pace.power_ms),
            holds: Vec::new(),
        });
        stopped.extend(chunk.iter().zip(0..).map(|(work, n)| (work.slot, (step, n))));
    }
    stopped
}

/// Changes the type of an instance that is off.
pub(super) fn resize(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    work: &Work<'_>,
    needs: Vec<Need>,
    parts: &Parts,
) -> StepId {
    let region = work.row.region.clone();
    let declared = || rolling.fleet.instance_type.clone();
    let instance_type = work.slot_spec().map_or_else(declared, |spec| spec.instance_type.clone());
    if work.seen.charge_type == PREPAID {
        let text = format!("the difference in price of {instance_type} is paid for prepaid instances at once");
        draft.assumptions.insert(text);
    }
    let holds = quota::resized(draft, &region, work.seen, &instance_type).into_iter().collect();
    let does = draft.call(&region, Body::ResizeInstance { instance: work.seen.id.clone(), instance_type });
    let spec = rolling.spec_with(work, parts);
    let untouched = work.ready.is_empty() && !work.runs();
    let expect = instance_fact(draft, &region, &work.seen.id).filter(|_| untouched);
    draft.step(NewStep {
        needs,
        does,
        targets: vec![known(work.row, spec.map_or(Effect::Nothing, Effect::Become))],
        expect: expect.into_iter().collect(),
        settle: settle(Until::Operation("ResetInstancesType".into()), draft.input.pace.resize_ms),
        holds,
    })
}

/// InstanceChargeType of what is paid in advance.
pub(super) const PREPAID: &str = "PREPAID";

/// Starts what was stopped for a change, at most a group at a time. What could not be stopped is not started either: it
/// runs, and that it does must not look as if its change was over.
pub(super) fn start(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    stopped: &[(&Work<'_>, Vec<Need>)],
    stops: &BTreeMap<u32, Output>,
) -> Vec<(u32, Output)> {
    let mut outputs = Vec::new();
    for chunk in stopped.chunks(MAX_BATCH) {
        let Some(region) = chunk.first().map(|(work, _)| work.row.region.clone()) else { continue };
        let instances = chunk.iter().map(|(work, _)| work.seen.id.clone()).collect();
        let does = draft.call(&region, Body::StartInstances { instances });
        let effect = |work: &Work<'_>| match work.diff.power {
            Some(_) => {
                let spec = rolling.spec_with(work, &Parts::from([Part::Powered]));
                spec.map_or(Effect::Nothing, Effect::Become)
            }
            None => Effect::Nothing,
        };
        let target = |work: &Work<'_>| {
            let target = known(work.row, effect(work));
            let id = stops.get(&work.slot).map(|(step, n)| Arg::Output { step: *step, target: *n });
            Target { id: id.or_else(|| target.id.clone()), ..target }
        };
        // One that could not get its new type is started all the same: it was running before.
        let step = draft.step(NewStep {
            needs: chunk.iter().flat_map(|(_, needs)| needs).map(|need| Need::Over(need.step())).collect(),
            does,
            targets: chunk.iter().map(|(work, _)| target(work)).collect(),
            expect: vec![Fact::Instances { region, ids: chunk.iter().map(|(work, _)| work.seen.id.clone()).collect() }],
            settle: settle(Until::Running, draft.input.pace.power_ms),
            holds: Vec::new(),
        });
        outputs.extend(chunk.iter().zip(0..).map(|((work, _), n)| (work.slot, (step, n))));
    }
    outputs
}

/// Gives a running host another name: it reboots at once.
pub(super) fn rename_host(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    work: &Work<'_>,
    name: &str,
    needs: Vec<Need>,
    after: Option<Output>,
) -> StepId {
    let region = work.row.region.clone();
    let set = InstanceAttr::Hostname(name.to_owned());
    let does = draft.call(&region, Body::ModifyInstances { instances: vec![work.seen.id.clone()], set });
    let mut parts = Parts::new();
    if after.is_some() && work.diff.power == Some(Power::Running) {
        parts.insert(Part::Powered);
    }
    let effect = rolling.spec_with(work, &parts).map_or(Effect::Nothing, Effect::Become);
    let target = known(work.row, effect);
    let there = Fact::Instances { region, ids: BTreeSet::from([work.seen.id.clone()]) };
    let expect = if after.is_none() { vec![there] } else { Vec::new() };
    let id = after.map_or_else(|| target.id.clone(), |(step, target)| Some(Arg::Output { step, target }));
    draft.step(NewStep {
        needs,
        does,
        targets: vec![Target { id, ..target }],
        expect,
        settle: settle(Until::Operation("ModifyInstancesAttribute".into()), draft.input.pace.power_ms),
        holds: Vec::new(),
    })
}

/// Whether a slot's host gets its new name by a call of its own, with a reboot.
pub(super) fn reboots(work: &Work<'_>) -> bool {
    work.diff.of(FleetAttr::Hostname) == Some(Takes::Restart) && work.runs()
}
