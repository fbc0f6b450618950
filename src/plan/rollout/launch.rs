//! Instances that are made, in as few calls as the cloud allows.

use std::sync::Arc;

use super::replace::Output;
use super::spec::running;
use super::{Creation, Rolling};
use crate::cloud::call::{Arg, Body, Launch, MAX_BATCH, MAX_LAUNCH, StepId};
use crate::diff::made_with;
use crate::model::addr::Addr;
use crate::model::spec::{ObjectSpec, Power, SlotSpec};
use crate::plan::draft::{Draft, NewStep, SlotAt, image_fact, settle};
use crate::plan::floor::Shared;
use crate::plan::quota;
use crate::plan::types::{Action, AttrChange, Effect, Hold, Need, NewObject, Target, Until, Value};

/// A new instance that is to be off.
pub(super) struct Launched {
    slot: u32,
    generation: u32,
    output: Output,
    spec: Arc<ObjectSpec>,
}

/// What instances are launched for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Slots that have none.
    New,
    /// Slots that have none, and before others go it has to be seen that these are good.
    Tried,
    /// Slots whose instances go.
    Successor,
}

/// Launches instances: one call for every run of consecutive ordinals in a zone.
pub(super) fn launch(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    mut creations: Vec<Creation>,
    needs: &[Need],
    purpose: Purpose,
) -> Vec<StepId> {
    creations.sort_by_key(|creation| (rolling.zone_index(&creation.zone), creation.ordinal));
    let mut steps = Vec::new();
    let mut rest = creations.as_slice();
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .zip(first.ordinal..)
            .take(MAX_LAUNCH as usize)
            .take_while(|(creation, ordinal)| creation.zone == first.zone && creation.ordinal == *ordinal)
            .count();
        let (now, later) = rest.split_at(run);
        rest = later;
        steps.extend(launch_run(draft, rolling, now, needs, purpose));
    }
    steps
}

fn launch_run(
    draft: &mut Draft<'_>,
    rolling: &mut Rolling<'_>,
    run: &[Creation],
    needs: &[Need],
    purpose: Purpose,
) -> Option<StepId> {
    let first = run.first()?;
    let specs = if purpose != Purpose::New && rolling.on_trial { &rolling.trial_specs } else { &rolling.specs };
    let spec = Arc::clone(specs.get(&first.zone)?);
    let ObjectSpec::Slot(slot_spec) = spec.as_ref() else { return None };
    let region = rolling.fleet.region.clone();
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    let SlotSpec {
        image: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        hostname,
        charge,
        placement_group,
        cam_role,
        power: _,
        protect,
        on_trial: _,
    } = slot_spec.as_ref();
    let mut all_tags = tags.clone();
    all_tags.insert(rolling.tag.0.clone(), rolling.tag.1.clone());
    let body = Body::RunInstances(Box::new(Launch {
        zone: first.zone.clone(),
        image: rolling.at.id.clone(),
        instance_type: instance_type.clone(),
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: network.clone(),
        internet: internet.clone(),
        login: login.clone(),
        name_prefix: rolling.prefix(&first.zone).to_owned(),
        first_ordinal: first.ordinal,
        count,
        tags: all_tags,
        user_data: user_data.clone(),
        hostname: hostname.as_ref().map(|pattern| pattern.in_zone(&first.zone)),
        charge: charge.clone(),
        placement_group: placement_group.clone(),
        cam_role: cam_role.clone(),
        protect: *protect,
        token: None,
    }));
    let stops = slot_spec.power == Some(Power::Stopped);
    let until_stopped = running(&spec).filter(|_| stops).unwrap_or_else(|| Arc::clone(&spec));
    // A builder is left to switch itself off.
    let left_alone = |slot: &u32| rolling.sources.contains_key(slot);
    let targets = run
        .iter()
        .map(|creation| Target {
            addr: Addr::slot(rolling.block.clone(), creation.slot),
            generation: creation.generation,
            id: None,
            effect: Effect::Make(Box::new(NewObject {
                region: region.clone(),
                name: format!("{}{}", rolling.prefix(&creation.zone), creation.ordinal),
                zone: Some(creation.zone.clone()),
                ordinal: Some(creation.ordinal),
                spec: Arc::clone(if left_alone(&creation.slot) { &spec } else { &until_stopped }),
                version: None,
            })),
        })
        .collect();
    let mut needs = needs.to_vec();
    needs.extend(rolling.at.ready.iter().copied());
    let does = draft.call(&region, body);
    let holds: Vec<Hold> = quota::takes(draft, &region, &first.zone, slot_spec, count).into_iter().collect();
    if holds.is_empty() {
        let mode = slot_spec.charge.word();
        draft.assumptions.insert(format!("the account's quota of {mode} in {} has room for them", first.zone));
    }
    let settle = settle(Until::Running, draft.input.pace.launch_ms);
    let expect = image_fact(&region, &rolling.at.id).into_iter().collect();
    let step = draft.step(NewStep { needs, does, targets, expect, settle, holds });
    if stops {
        let new = run.iter().zip(0..).filter(|(creation, _)| !left_alone(&creation.slot));
        let launched: Vec<Launched> = new
            .map(|(creation, target)| Launched {
                slot: creation.slot,
                generation: creation.generation,
                output: (step, target),
                spec: Arc::clone(&spec),
            })
            .collect();
        rolling.launched.extend(launched);
    }
    draft.stock.entry(rolling.fleet.instance_type.clone()).or_default().insert(first.zone.clone());
    draft.assume_tags_are_made();
    let shown: Vec<AttrChange> = made_with(slot_spec)
        .iter()
        .map(|(name, shown)| AttrChange {
            name: (*name).to_owned(),
            before: Value::None,
            after: draft.show(shown, Some(&rolling.at.id)),
        })
        .chain([AttrChange { name: "zone".into(), before: Value::None, after: Value::Text(first.zone.to_string()) }])
        .collect();
    for (n, creation) in run.iter().enumerate() {
        let target = u32::try_from(n).unwrap_or(u32::MAX);
        rolling.made.insert(creation.slot, (step, target));
        if rolling.sources.contains_key(&creation.slot) {
            let at = SlotAt { id: Arg::Output { step, target }, ready: vec![Need::Success(step)], state: None };
            draft.slots.insert((rolling.name.clone(), creation.slot), at);
        }
        let addr = Addr::slot(rolling.block.clone(), creation.slot).generation(creation.generation);
        let name = format!("{}{}", rolling.prefix(&creation.zone), creation.ordinal);
        // A replacement is one change, noted with what it replaces.
        if purpose != Purpose::Successor {
            let detail = rolling.detail(vec![creation.reason.clone()], shown.clone());
            draft.change(addr, Action::Create, None, &name, &detail);
        }
    }
    Some(step)
}

/// Switches off what was launched for a fleet that is to be off.
pub(super) fn stop_launched(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>) {
    let launched = std::mem::take(&mut rolling.launched);
    let region = rolling.fleet.region.clone();
    for _ in &launched {
        draft.dues.shared(Shared::Stop(region.clone()), &rolling.block, true);
    }
    for chunk in launched.chunks(MAX_BATCH) {
        let output = |each: &Launched| (each.output.0, each.output.1);
        let instances = chunk.iter().map(output).map(|(step, target)| Arg::Output { step, target }).collect();
        let does = draft.call(&region, Body::StopInstances { instances });
        let targets = chunk.iter().map(|each| {
            let (step, target) = output(each);
            Target {
                addr: Addr::slot(rolling.block.clone(), each.slot),
                generation: each.generation,
                id: Some(Arg::Output { step, target }),
                effect: Effect::Become(Arc::clone(&each.spec)),
            }
        });
        let targets = targets.collect();
        let needs = chunk.iter().map(|each| Need::Over(each.output.0)).collect();
        let settle = settle(Until::Stopped, draft.input.pace.power_ms);
        draft.step(NewStep { needs, does, targets, expect: Vec::new(), settle, holds: Vec::new() });
    }
}
