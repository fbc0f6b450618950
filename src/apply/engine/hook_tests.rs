//! Hooks between a gate and what it lets go, by the plans and the world of the gates' tests.

use std::collections::BTreeSet;

use super::gate_rig::{S, World, call, fleet, old_id, plan, run, step, target};
use super::*;
use crate::cloud::call::Arg;
use crate::model::ids::CloudId;
use crate::model::update::{Hook, HookRun, Moment};
use crate::plan::{HookStep, Need, Target, Until};

/// A hook before the gate, whose targets it hands on.
fn with_hook() -> Plan {
    let mut plan = plan(2, &|gate| gate.min_ready_ms = 0);
    let hook = Hook { run: HookRun::Command(vec!["./drain.sh".into()]), timeout_ms: 60 * S };
    let does = Do::Hook(Box::new(HookStep {
        fleet: fleet(),
        region: "ap-guangzhou".into(),
        moment: Moment::BeforeStop,
        hook,
    }));
    let mut last = plan.steps.pop().expect("a step");
    let freed = last.targets.clone().into_iter().map(|target| Target { effect: Effect::Nothing, ..target }).collect();
    let hook = step(3, vec![Need::Success(StepId(2))], does, freed, Until::Accepted);
    for (target, n) in last.targets.iter_mut().zip(0..) {
        target.id = Some(Arg::Output { step: StepId(3), target: n });
    }
    (last.id, last.needs) = (StepId(4), Vec::new());
    plan.steps.extend([hook, last]);
    plan
}

#[test]
fn a_hook_hands_its_instances_on() {
    let ran = run(&with_hook(), &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.terminated, ["ins-old0", "ins-old1"]);
    let hooks = ran.told.iter().filter(|(_, event)| matches!(event, Progress::Done { action: "Hook", .. })).count();
    assert_eq!(hooks, 1);
}

#[test]
fn what_a_hook_fails_for_stays() {
    let world = World { hook: Err("`./drain.sh` ended with exit status 3: no such pool".into()), ..World::default() };
    let ran = run(&with_hook(), &world);
    assert!(ran.terminated.is_empty());
    let why = "before_stop: `./drain.sh` ended with exit status 3: no such pool";
    assert_eq!(ran.failures(), [("fleet.web[0]".to_owned(), why), ("fleet.web[1]".to_owned(), why)]);
}

#[test]
fn what_a_hook_was_not_run_for_is_not_named_behind_it() {
    let mut plan = with_hook();
    if let Do::Gate(gate) = &mut plan.steps[2].does {
        gate.most_failures = 1;
    }
    let ran = run(&plan, &World { refused: BTreeSet::from([0]), ..World::default() });
    assert_eq!(ran.terminated, ["ins-old1"]);
}

#[test]
fn what_a_rollout_may_do_without_holds_nothing_up() {
    for hook in [false, true] {
        let mut plan = if hook { with_hook() } else { plan(2, &|_| {}) };
        if let Do::Gate(gate) = &mut plan.steps[2].does {
            gate.most_failures = 1;
        }
        // The next batch waits for the end of this one.
        let last = plan.steps.last().map_or(0, |step| step.id.0);
        let body = Body::TerminateInstances { instances: vec![Arg::Known(old_id(9))] };
        let next = vec![target(9, 1, Some(Arg::Known(CloudId::Instance(old_id(9)))), Effect::Remove)];
        plan.steps.push(step(last + 1, vec![Need::Success(StepId(last))], call(body), next, Until::Accepted));
        let ran = run(&plan, &World { refused: BTreeSet::from([0]), ..World::default() });
        assert_eq!(ran.terminated, ["ins-old1", "ins-old9"], "with a hook: {hook}");
        // Where nothing of it is left to do, neither.
        if let Do::Gate(gate) = &mut plan.steps[2].does {
            gate.most_failures = 2;
        }
        let ran = run(&plan, &World { refused: BTreeSet::from([0, 1]), ..World::default() });
        assert_eq!(ran.terminated, ["ins-old9"], "with a hook: {hook}");
    }
}
