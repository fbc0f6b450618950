//! Gates and hooks: what a rollout looks at, and what it runs, between two rounds.

use super::guide::Guide;
use super::replace::Output;
use super::{Rolling, Trial};
use crate::cloud::call::{Arg, StepId};
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::ids::CloudId;
use crate::model::rollout::Phase;
use crate::model::spec::ObjectSpec;
use crate::model::update::{Health, Hook, Moment};
use crate::plan::draft::{Draft, NewStep, known};
use crate::plan::types::{Do, Effect, Gate, HookStep, Mark, Need, Settle, Target, Until};

use std::sync::Arc;

/// One instance that a gate looks at.
pub(super) struct Watched {
    pub(super) addr: Addr,
    pub(super) generation: u32,
    pub(super) id: Arg<CloudId>,
    /// What it is once it has passed; `None`: as before.
    pub(super) spec: Option<Arc<ObjectSpec>>,
    /// What may go then.
    pub(super) frees: Option<CloudId>,
}

/// Which end of a batch a gate stands at, if any.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// What it makes of the rollout.
    pub(super) mark: Option<Mark>,
    /// Whether a batch ends here: then it has to bake.
    pub(super) ends: bool,
}

/// Looks whether instances are healthy.
pub(super) fn gate(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    guide: &Guide,
    watched: Vec<Watched>,
    needs: Vec<Need>,
    place: Place,
) -> StepId {
    let fleet = rolling.fleet;
    let update = &fleet.update;
    let health = fleet.health.clone().unwrap_or_default();
    let (min_ready_ms, bake_ms) =
        if guide.guided { (update.min_ready_ms, if place.ends { update.bake_ms } else { 0 }) } else { (0, 0) };
    let patience: Millis = if health.check.is_some() || min_ready_ms > 0 { health.deadline_ms } else { 0 };
    let (mut targets, mut frees) = (Vec::new(), Vec::new());
    for Watched { addr, generation, id, spec, frees: old } in watched {
        let effect = spec.map_or(Effect::Nothing, Effect::Become);
        targets.push(Target { addr, generation, id: Some(id), effect });
        frees.push(old);
    }
    let gate = Gate {
        fleet: rolling.block.clone(),
        region: fleet.region.clone(),
        health,
        min_ready_ms,
        bake_ms,
        most_failures: guide.most_failures(rolling),
        frees,
        passed: place.mark,
        failed: guide.failed,
    };
    let step = step(draft, gate, targets, needs, patience);
    // What ran before may be wanted back until these are known to be good.
    for image in &rolling.images {
        draft.moved.entry(image.clone()).or_default().insert(step);
    }
    step
}

/// Ends a rollout of which nothing is left: a gate that is open, at any instance of the fleet.
pub(super) fn end(draft: &mut Draft<'_>, rolling: &Rolling<'_>, guide: &Guide, needs: Vec<Need>) {
    let there = draft.objects_of(&rolling.block).first().map(|row| known(row, Effect::Nothing));
    let Some(target) = there.or_else(|| made(draft, rolling)) else { return };
    let gate = Gate {
        fleet: rolling.block.clone(),
        region: rolling.fleet.region.clone(),
        health: Health { check: None, ..Health::default() },
        min_ready_ms: 0,
        bake_ms: 0,
        most_failures: guide.most_failures(rolling),
        frees: vec![None],
        passed: Some(Mark { phase: Phase::Done, canary_passed: true }),
        failed: None,
    };
    step(draft, gate, vec![target], needs, 0);
}

/// An instance that this plan makes.
fn made(draft: &Draft<'_>, rolling: &Rolling<'_>) -> Option<Target> {
    let (step, n) = rolling.made.values().next().copied()?;
    let Target { addr, generation, .. } = draft.steps.get(step.0 as usize)?.targets.get(n as usize)?;
    Some(hooked(addr, *generation, Arg::Output { step, target: n }))
}

/// `patience_ms`: how long it may take until instances are healthy.
fn step(draft: &mut Draft<'_>, gate: Gate, targets: Vec<Target>, needs: Vec<Need>, patience_ms: Millis) -> StepId {
    let expected_ms = gate.min_ready_ms + gate.bake_ms;
    let deadline_ms = patience_ms + expected_ms;
    draft.step(NewStep {
        needs,
        does: Do::Gate(Box::new(gate)),
        targets,
        expect: Vec::new(),
        settle: Settle { until: Until::Accepted, expected_ms, deadline_ms },
        holds: Vec::new(),
    })
}

/// Runs a hook, where there is one, for these instances. Answers what has to be over before what comes next.
pub(super) fn hook(
    draft: &mut Draft<'_>,
    rolling: &Rolling<'_>,
    moment: Moment,
    targets: Vec<Target>,
    needs: Vec<Need>,
) -> Option<StepId> {
    let hooks = &rolling.fleet.update.hooks;
    let hook: &Option<Hook> = match moment {
        Moment::BeforeStop => &hooks.before_stop,
        Moment::AfterReady => &hooks.after_ready,
    };
    let hook = hook.clone().filter(|_| !targets.is_empty())?;
    let timeout_ms = hook.timeout_ms;
    Some(draft.step(NewStep {
        needs,
        does: Do::Hook(Box::new(HookStep {
            fleet: rolling.block.clone(),
            region: rolling.fleet.region.clone(),
            moment,
            hook,
        })),
        targets,
        expect: Vec::new(),
        settle: Settle { until: Until::Accepted, expected_ms: 0, deadline_ms: timeout_ms },
        holds: Vec::new(),
    }))
}

/// An instance of which nothing changes: what an output stands for, or what is there.
pub(super) fn hooked(addr: &Addr, generation: u32, id: Arg<CloudId>) -> Target {
    Target { addr: addr.clone(), generation, id: Some(id), effect: Effect::Nothing }
}

/// The output of a gate, by which what it frees may go.
pub(super) fn output(step: StepId, n: usize) -> Output {
    (step, u32::try_from(n).unwrap_or(u32::MAX))
}

/// An instance that was launched or changed before this plan, and that no gate has seen yet.
pub(super) fn watched(trial: &Trial<'_>) -> Watched {
    let spec = match trial.row.spec.as_ref() {
        ObjectSpec::Slot(spec) => {
            let spec = crate::model::spec::SlotSpec { on_trial: false, ..spec.as_ref().clone() };
            Some(Arc::new(ObjectSpec::Slot(Box::new(spec))))
        }
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    };
    Watched {
        addr: trial.row.addr.clone(),
        generation: trial.row.generation,
        id: Arg::Known(trial.row.cloud_id.clone()),
        spec,
        frees: trial.older.map(|older| older.cloud_id.clone()),
    }
}
