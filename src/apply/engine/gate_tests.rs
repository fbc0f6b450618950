//! Gates, by plans of a few steps that are made by hand: instances are launched, looked at, and the old ones go.

use super::gate_rig::{Ran, S, World, call, fleet, http, old_id, plan, run, slot, step, target};
use super::*;
use crate::apply::events::GateNews;
use crate::cloud::call::Arg;
use crate::model::ids::CloudId;
use crate::model::observed::InstanceState;
use crate::model::rollout::Phase;
use crate::plan::{Gate, Mark, Need, Target, Until};

#[test]
fn what_is_healthy_for_long_enough_frees_what_it_takes_the_place_of() {
    let plan = plan(3, &|_| {});
    let ran = run(&plan, &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.terminated, ["ins-old0", "ins-old1", "ins-old2"]);
    assert_eq!(ran.off_trial(), BTreeSet::from([0, 1, 2]));
    // Two looks make one healthy, and two more see that it stayed so for ten seconds: one call each for all three.
    assert_eq!(
        ran.describes.iter().map(|(at, ids)| (*at, ids.len())).collect::<Vec<_>>(),
        [(0, 3), (5 * S, 3), (10 * S, 3), (15 * S, 3)]
    );
    let row = ran.row();
    assert_eq!((row.phase, row.canary_passed, row.why.as_str(), row.changed_ms), (Phase::Done, true, "", 15 * S));
    assert_eq!(
        ran.news(),
        [
            (0, GateNews::Healthy { healthy: 0, of: 3 }),
            (5 * S, GateNews::Healthy { healthy: 3, of: 3 }),
            (15 * S, GateNews::Passed { phase: Some(Phase::Done) }),
        ]
    );
}

#[test]
fn an_open_gate_looks_at_nothing() {
    let plan = plan(2, &|gate| gate.min_ready_ms = 0);
    let ran = run(&plan, &World { state: Box::new(|_, _| None), ..World::default() });
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!((ran.describes.len(), ran.probes.len(), ran.ended_ms), (0, 0, 0));
    assert_eq!((ran.terminated.len(), ran.off_trial().len(), ran.row().phase), (2, 2, Phase::Done));
    assert_eq!(ran.news(), [(0, GateNews::Passed { phase: Some(Phase::Done) })]);
}

#[test]
fn with_a_check_instances_are_listed_once_and_then_asked() {
    let tune = |gate: &mut Gate| gate.health.check = http();
    let ran = run(&plan(2, &tune), &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.describes.len(), 1, "for their addresses");
    assert_eq!(ran.probes.len(), 2 * 4);
    assert!(ran.probes.iter().all(|(_, address)| address == "10.0.0.0" || address == "10.0.0.1"));
    // One that does not answer yet may have stopped, or have another address: it is listed again.
    let slow = World {
        probe: Box::new(
            |now, n| if n == 1 && now < 15 * S { Err("port 80 refuses connections".into()) } else { Ok(()) },
        ),
        ..World::default()
    };
    let ran = run(&plan(2, &tune), &slow);
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    let listed: Vec<(Millis, usize)> = ran.describes.iter().map(|(at, ids)| (*at, ids.len())).collect();
    assert_eq!(listed, [(0, 2), (5 * S, 1), (10 * S, 1), (15 * S, 1)]);
    assert_eq!(ran.ended_ms, 30 * S, "healthy after 20 s, and for ten more");
}

#[test]
fn one_that_is_not_healthy_in_time_fails_the_gate_and_nothing_goes() {
    let sick =
        |now: Millis, n: u32| if n == 1 && now >= 0 { Err("http 500 in place of 200".to_owned()) } else { Ok(()) };
    let world = World { probe: Box::new(sick), ..World::default() };
    let ran = run(&plan(3, &|gate| gate.health.check = http()), &world);
    assert_eq!(ran.ended_ms, 60 * S);
    assert_eq!(
        ran.failures(),
        [("fleet.web[1]#2".to_owned(), "was not healthy within 60 s: http 500 in place of 200")]
    );
    let row = ran.row();
    assert_eq!((row.phase, row.failed), (Phase::Stopped, BTreeSet::from([1])));
    assert_eq!(row.why, "fleet.web[1]#2 was not healthy within 60 s: http 500 in place of 200");
    assert_eq!(ran.outcome.stopped, BTreeSet::from([fleet()]));
    assert!(ran.terminated.is_empty() && !ran.outcome.whole());
    let skipped: BTreeSet<&str> = ran.outcome.skipped.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(skipped, BTreeSet::from(["the rollout of fleet.web failed"]));
    assert_eq!(ran.off_trial(), BTreeSet::from([0, 2]), "those that passed are known to be well");
}

#[test]
fn as_many_as_may_fail_do_and_their_old_ones_stay() {
    let sick = |_: Millis, n: u32| if n == 1 { Err("no".to_owned()) } else { Ok(()) };
    let tune = |gate: &mut Gate| {
        gate.health.check = http();
        gate.most_failures = 1;
    };
    let ran = run(&plan(3, &tune), &World { probe: Box::new(sick), ..World::default() });
    assert_eq!(ran.terminated, ["ins-old0", "ins-old2"], "the call does not name what is left out");
    assert_eq!((ran.row().phase, ran.row().failed), (Phase::Done, BTreeSet::from([1])));
    assert_eq!(ran.outcome.stopped, BTreeSet::new());
    assert_eq!(ran.outcome.failed.len(), 1);
    // Those that failed before count as well.
    let mut again = plan(3, &tune);
    again.rollouts[0].row.failed = BTreeSet::from([7]);
    let sick = |_: Millis, n: u32| if n == 1 { Err("no".to_owned()) } else { Ok(()) };
    let ran = run(&again, &World { probe: Box::new(sick), ..World::default() });
    assert_eq!((ran.row().phase, ran.row().failed), (Phase::Stopped, BTreeSet::from([1, 7])));
    assert!(ran.terminated.is_empty());
}

#[test]
fn what_never_came_has_failed() {
    let world = World { refused: BTreeSet::from([2]), ..World::default() };
    let ran = run(&plan(3, &|gate| gate.failed = Some(Phase::TakenBack)), &world);
    let row = ran.row();
    assert_eq!((row.phase, row.failed.clone()), (Phase::TakenBack, BTreeSet::from([2])));
    assert!(
        row.why.starts_with("fleet.web[2]#2: RunInstances in ap-guangzhou: ") && row.why.ends_with("sold out"),
        "{}",
        row.why
    );
    assert_eq!(ran.outcome.taken_back, BTreeSet::from([fleet()]));
    assert_eq!(ran.outcome.failed.len(), 1, "it is told of once");
    let ran =
        run(&plan(3, &|gate| gate.most_failures = 1), &World { refused: BTreeSet::from([2]), ..World::default() });
    assert_eq!(ran.terminated, ["ins-old0", "ins-old1"]);
    // All of them, and nothing to look at.
    let ran = run(&plan(2, &|_| {}), &World { refused: BTreeSet::from([0, 1]), ..World::default() });
    assert_eq!((ran.row().phase, ran.describes.len()), (Phase::Stopped, 0));
}

#[test]
fn why_a_rollout_goes_back_is_known_when_it_is_back() {
    let way_back = |tune: &dyn Fn(&mut Gate)| {
        let mut plan = plan(2, &|gate| {
            (gate.passed, gate.failed) = (None, None);
            tune(gate);
        });
        let row = &mut plan.rollouts[0].row;
        (row.phase, row.why) = (Phase::TakenBack, "fleet.web[0] was ill".to_owned());
        plan
    };
    let ran = run(&way_back(&|_| {}), &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!((ran.row().phase, ran.row().why.as_str()), (Phase::TakenBack, "fleet.web[0] was ill"));
    // What goes wrong on the way is the latest that is known.
    let sick = |_: Millis, n: u32| if n == 1 { Err("no".to_owned()) } else { Ok(()) };
    let ran = run(&way_back(&|gate| gate.health.check = http()), &World { probe: Box::new(sick), ..World::default() });
    assert_eq!(ran.row().why, "fleet.web[1]#2 was not healthy within 60 s: no");
}

/// What an old instance runs from is needed for as long as that runs.
#[test]
fn what_asks_for_the_whole_waits_for_slots_that_may_fail_too() {
    let forgets = |need: fn(StepId) -> Need| {
        let mut plan = plan(2, &|gate| gate.most_failures = 1);
        let other = Target { addr: slot(9), ..target(9, 1, None, Effect::Remove) };
        plan.steps.push(step(4, vec![need(StepId(2))], Do::Record, vec![other], Until::Accepted));
        plan
    };
    let of_nine = |ran: &Ran| ran.outcome.skipped.iter().find(|(addr, _)| *addr == slot(9)).map(|(_, why)| why.clone());
    let one_fails = || World { refused: BTreeSet::from([1]), ..World::default() };
    let ran = run(&forgets(Need::Whole), &one_fails());
    assert_eq!(of_nine(&ran).as_deref(), Some("fleet.web[1]#2 did not succeed"));
    assert_eq!(ran.row().phase, Phase::Done, "the rollout does without it");
    assert_eq!(of_nine(&run(&forgets(Need::Success), &one_fails())), None);
    assert_eq!(of_nine(&run(&forgets(Need::Whole), &World::default())), None);
}

#[test]
fn what_was_never_tried_has_not_failed() {
    let mut plan = plan(2, &|_| {});
    // The launches wait for something that fails: a third one.
    let extra = plan.steps[0].clone();
    plan.steps.insert(0, Step { targets: vec![target(9, 2, None, extra.targets[0].effect.clone())], ..extra });
    for (n, step) in plan.steps.iter_mut().enumerate() {
        step.id = StepId(u32::try_from(n).expect("few"));
        for target in &mut step.targets {
            if let Some(Arg::Output { step, .. }) = &mut target.id {
                step.0 += 1;
            }
        }
        for need in &mut step.needs {
            *need = need.on(StepId(need.step().0 + 1));
        }
    }
    for n in [1, 2] {
        plan.steps[n].needs = vec![Need::Success(StepId(0))];
    }
    let ran = run(&plan, &World { refused: BTreeSet::from([0]), ..World::default() });
    assert!(!ran.records.iter().any(|record| matches!(record, Record::Rollout(_))), "the rollout is where it was");
    assert_eq!(ran.outcome.stopped, BTreeSet::new());
    let why: BTreeSet<&str> = ran.outcome.skipped.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(why, BTreeSet::from(["fleet.web[9]#2 did not succeed"]));
}

#[test]
fn a_bad_streak_begins_the_time_anew() {
    // Healthy at 5 s, ill from 10 s on for two looks, and well again from 20 s on.
    let ill = |now: Millis, _: u32| if (10 * S..20 * S).contains(&now) { Err("no".to_owned()) } else { Ok(()) };
    let tune = |gate: &mut Gate| gate.health.check = http();
    let ran = run(&plan(1, &tune), &World { probe: Box::new(ill), ..World::default() });
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.ended_ms, 35 * S, "healthy again at 25 s, and for ten more");
    // One bad look alone is none.
    let hiccup = |now: Millis, _: u32| if now == 10 * S { Err("no".to_owned()) } else { Ok(()) };
    let ran = run(&plan(1, &tune), &World { probe: Box::new(hiccup), ..World::default() });
    assert_eq!(ran.ended_ms, 15 * S);
    // Past the deadline there is no other try.
    let tune = |gate: &mut Gate| {
        gate.health.check = http();
        gate.health.deadline_ms = 12 * S;
    };
    let ran = run(&plan(1, &tune), &World { probe: Box::new(ill), ..World::default() });
    assert_eq!(ran.failures(), [("fleet.web[0]#2".to_owned(), "did not stay healthy: no")]);
    assert_eq!((ran.ended_ms, ran.row().phase), (15 * S, Phase::Stopped));
}

#[test]
fn what_is_gone_does_not_come_back() {
    for gone in [InstanceState::Terminating, InstanceState::Shutdown] {
        let state =
            move |now: Millis, n: u32| Some(if n == 0 && now > 0 { gone.clone() } else { InstanceState::Running });
        let ran = run(&plan(2, &|_| {}), &World { state: Box::new(state), ..World::default() });
        let wanted = "is being destroyed, or in the recycle bin";
        assert_eq!(ran.failures(), [("fleet.web[0]#2".to_owned(), wanted)]);
    }
    // An old list says nothing: twice not listed does.
    let once = |now: Millis, _: u32| (now != 5 * S).then_some(InstanceState::Running);
    let ran = run(&plan(1, &|_| {}), &World { state: Box::new(once), ..World::default() });
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    let never = |now: Millis, _: u32| (now < 5 * S).then_some(InstanceState::Running);
    let ran = run(&plan(1, &|_| {}), &World { state: Box::new(never), ..World::default() });
    assert_eq!(ran.failures(), [("fleet.web[0]#2".to_owned(), "is no longer there")]);
    assert_eq!(ran.ended_ms, 10 * S);
}

#[test]
fn what_does_not_run_is_not_healthy() {
    let state = |_: Millis, _: u32| Some(InstanceState::Stopped);
    let ran = run(&plan(1, &|_| {}), &World { state: Box::new(state), ..World::default() });
    assert_eq!(ran.failures(), [("fleet.web[0]#2".to_owned(), "was not healthy within 60 s: it is switched off")]);
}

#[test]
fn a_batch_bakes_and_one_that_falls_ill_counts() {
    let tune = |gate: &mut Gate| {
        (gate.health.check, gate.min_ready_ms, gate.bake_ms) = (http(), 0, 60 * S);
    };
    let ran = run(&plan(2, &tune), &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.ended_ms, 65 * S);
    assert!(ran.news().contains(&(5 * S, GateNews::Baking { until_ms: 65 * S })), "{:?}", ran.news());

    let ill =
        |now: Millis, n: u32| if n == 1 && now >= 30 * S { Err("http 500 in place of 200".to_owned()) } else { Ok(()) };
    let ran = run(&plan(2, &tune), &World { probe: Box::new(ill), ..World::default() });
    let why = "did not stay healthy while it baked: http 500 in place of 200";
    assert_eq!(ran.failures(), [("fleet.web[1]#2".to_owned(), why)]);
    assert_eq!((ran.ended_ms, ran.row().phase), (35 * S, Phase::Stopped));
    assert_eq!(ran.off_trial(), BTreeSet::from([0]), "it is on trial again");
    assert!(ran.terminated.is_empty());

    let lenient = move |gate: &mut Gate| {
        tune(gate);
        gate.most_failures = 1;
    };
    let ran = run(&plan(2, &lenient), &World { probe: Box::new(ill), ..World::default() });
    assert_eq!((ran.ended_ms, ran.row().phase), (65 * S, Phase::Done));
    assert_eq!(ran.terminated, ["ins-old0"]);
}

#[test]
fn a_pause_of_the_plan_is_no_failure() {
    let tune = |gate: &mut Gate| gate.passed = Some(Mark { phase: Phase::Paused, canary_passed: true });
    let ran = run(&plan(1, &tune), &World::default());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    assert_eq!(ran.outcome.paused, BTreeSet::from([fleet()]));
    assert_eq!(ran.terminated, ["ins-old0"], "the batch itself is brought to its end");
    assert_eq!((ran.row().phase, ran.row().canary_passed), (Phase::Paused, true));
    assert_eq!(ran.row().why, "it waits after its canary, as `pause` says");
}

#[test]
fn somebody_can_wish_for_a_pause_while_it_runs() {
    let wish = Event::Pause(fleet(), "ann on here wished it to pause".into());
    let other = Event::Pause(Block::fleet(&"db".into()), "nobody".into());
    let mut all = plan(1, &|gate| gate.passed = None);
    let body = Body::TerminateInstances { instances: vec![Arg::Known(old_id(9))] };
    let next = vec![target(9, 1, Some(Arg::Known(CloudId::Instance(old_id(9)))), Effect::Remove)];
    all.steps.push(step(3, vec![Need::Success(StepId(2))], call(body), next, Until::Accepted));
    let world = |at: Millis| World { outside: vec![(at, wish.clone()), (at, other.clone())], ..World::default() };
    let ran = run(&all, &world(7 * S));
    assert_eq!(ran.outcome.paused, BTreeSet::from([fleet()]));
    assert_eq!(ran.terminated, ["ins-old0"], "the batch itself is brought to its end");
    assert!(!ran.outcome.whole());
    assert_eq!(ran.outcome.skipped[0].1, "the rollout of fleet.web is paused");
    assert_eq!((ran.row().phase, ran.row().why.as_str()), (Phase::Paused, "ann on here wished it to pause"));
    assert_eq!(ran.off_trial(), BTreeSet::from([0]), "it was healthy, and is known to be");
    // At its end there is nothing to wait for.
    let ran = run(&plan(1, &|_| {}), &world(7 * S));
    assert!(ran.outcome.whole() && ran.outcome.paused.is_empty(), "{:?}", ran.outcome);
    assert_eq!(ran.row().phase, Phase::Done);
}

#[test]
fn a_stop_leaves_a_gate_at_once_and_nothing_behind() {
    for urgency in [Urgency::Soon, Urgency::Now] {
        let stop = Event::Stop(urgency);
        let ran = run(&plan(1, &|_| {}), &World { outside: vec![(7 * S, stop)], ..World::default() });
        assert!(ran.outcome.interrupted);
        assert_eq!(ran.ended_ms, 7 * S);
        assert!(!ran.records.iter().any(|record| matches!(record, Record::Rollout(_))));
    }
}

/// What it saw by then is nothing: the next apply looks anew, and the old ones are there until it has.
#[test]
fn what_bakes_is_on_trial_until_it_has() {
    let bakes = |gate: &mut Gate| (gate.min_ready_ms, gate.bake_ms) = (0, 60 * S);
    let killed = World { outside: vec![(30 * S, Event::Stop(Urgency::Now))], ..World::default() };
    let ran = run(&plan(2, &bakes), &killed);
    assert!(ran.news().iter().any(|(_, news)| matches!(news, GateNews::Baking { .. })), "{:?}", ran.news());
    assert!(ran.off_trial().is_empty() && ran.terminated.is_empty());
    let ran = run(&plan(2, &bakes), &World::default());
    assert_eq!((ran.off_trial().len(), ran.terminated.len()), (2, 2));
}

#[test]
fn two_gates_of_a_region_look_together() {
    let one = plan(1, &|_| {});
    let mut both = plan(2, &|_| {});
    // The second instance gets a gate of its own, which opens two seconds later than the first.
    let mut gates: Vec<Step> = (0..2)
        .map(|n| {
            let mut step = both.steps[2].clone();
            step.id = StepId(2 + n);
            step.targets = vec![both.steps[2].targets[n as usize].clone()];
            if let Do::Gate(gate) = &mut step.does {
                gate.frees = vec![Some(CloudId::Instance(old_id(n)))];
            }
            step
        })
        .collect();
    both.steps.truncate(2);
    both.steps[1].settle.until = Until::Age(2 * S);
    both.steps.append(&mut gates);
    let world = || World::default();
    let alone = run(&one, &world()).describes.len();
    let ran = run(&both, &world());
    assert!(ran.outcome.whole(), "{:?}", ran.outcome);
    let looks = ran.describes.iter().filter(|(at, _)| at % (5 * S) == 0).count();
    assert!(looks <= alone + 1, "{:?}", ran.describes);
    assert!(ran.describes.iter().any(|(_, ids)| ids.len() == 2), "{:?}", ran.describes);
}
