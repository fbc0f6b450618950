//! Instances on trial: what a plan makes of those that a rollout left which was cut short, or that failed.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright::diagnostic::codes;
use fleetwright::model::addr::Addr;
use fleetwright::model::observed::{Instance, InstanceState, LatestOperation, OperationState, Seen};
use fleetwright::model::recorded::Object;
use fleetwright::model::rollout::{Phase, Rollout};
use fleetwright::model::spec::ObjectSpec;
use fleetwright::plan::{Do, Effect, Plan, Step};

use crate::check::put_on_trial;
use crate::rolled::{HOOKS, ONE_BY_ONE, about_to_roll, deeds};
use crate::rollouts::{Shop, first, is_of_web, running, runs, web};
use crate::world::{World, desired};

/// The fleet, with so many of its slots as a rollout leaves them that was cut short: they run, and no gate has seen them.
fn unseen(slots: u32, update: &str) -> (World, Shop) {
    let (mut world, next) = about_to_roll(5, update);
    let first = |row: &&mut Object| row.addr.block == web() && row.addr.slot.is_some_and(|slot| slot < slots);
    world.recorded.objects.iter_mut().filter(first).for_each(put_on_trial);
    (world, next)
}

/// The fleet's instances, as the cloud shows them.
fn seen(world: &mut World) -> impl Iterator<Item = &mut Instance> {
    let all = world.observed.by_region.values_mut().flat_map(|region| region.instances.values_mut());
    let there = all.filter_map(|seen| match seen {
        Seen::Present(one) => Some(one.as_mut()),
        Seen::Absent { .. } => None,
    });
    there.filter(|one| one.name.starts_with("shop-default-web-"))
}

/// In turn, the slots that are taken away by one call each.
fn taken_away(plan: &Plan) -> Vec<Vec<u32>> {
    let takes = |step: &&Step| {
        let Do::Call(call) = &step.does else { return false };
        is_of_web(step) && matches!(call.body.action(), "TerminateInstances" | "ResetInstance")
    };
    let slots = |step: &Step| step.targets.iter().filter_map(|target| target.addr.slot).collect();
    plan.steps.iter().filter(takes).map(slots).collect()
}

#[test]
fn what_runs_and_was_not_seen_comes_first_and_not_all_at_once() {
    for update in [ONE_BY_ONE, "strategy: reset, max_unavailable: 1, min_ready: 10s, order: slots"] {
        let (mut world, next) = unseen(3, update);
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        let taken = taken_away(&plan);
        assert!(taken.iter().all(|slots| slots.len() == 1), "{taken:?}");
        let (unseen, serving) = taken.split_at(3);
        assert_eq!(unseen.iter().flatten().collect::<BTreeSet<_>>(), BTreeSet::from([&0, &1, &2]), "{taken:?}");
        assert_eq!(serving.len(), 2);
        let rollout = plan.rollouts.first().expect("a rollout");
        assert_eq!((rollout.first, rollout.batches.as_slice(), rollout.least_available), (3, &[1, 1][..], 2));
        // The gate of the first one is not passed.
        world.apply_until(&plan, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
        world.see_everything();
        assert_eq!(running(&world, "shop-default-web-"), 5);
    }
    // Those that are off are missed by nobody.
    let (mut world, next) = unseen(3, ONE_BY_ONE);
    for one in seen(&mut world).take(2) {
        one.state = InstanceState::Stopped;
    }
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(taken_away(&plan).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 1]);
}

#[test]
fn what_was_not_seen_goes_after_its_successor_is_there_where_none_may_be_missing() {
    let (mut world, next) = unseen(5, "strategy: replace, max_unavailable: 0, max_surge: 1, min_ready: 10s");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(deeds(&plan)[..3], ["RunInstances", "a gate", "TerminateInstances"]);
    let mut least = u32::MAX as usize;
    world.apply_until(&plan, 0, usize::MAX, &mut |world, _| {
        least = least.min(running(world, "shop-default-web-"));
        true
    });
    assert_eq!(least, 5);
}

/// Nobody was told that it is in service, so nobody is told that it leaves.
#[test]
fn what_was_not_seen_takes_no_leave() {
    let (mut world, next) = unseen(1, HOOKS);
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let leaving =
        plan.steps.iter().filter(|step| matches!(&step.does, Do::Hook(hook) if hook.moment.word() == "before_stop"));
    let leaving: BTreeSet<u32> = leaving.flat_map(|step| &step.targets).filter_map(|target| target.addr.slot).collect();
    assert_eq!(leaving, BTreeSet::from([1, 2, 3, 4]));
}

/// What changes in place is not taken for good where its gate is not passed, be it before the gate or behind it.
#[test]
fn a_slot_that_fails_stays_on_trial_whatever_else_changes() {
    let update = "strategy: reset, max_unavailable: 5, min_ready: 10s";
    let shop = Shop { tagged: true, ..Shop::new(5, update) };
    let mut world = first(&shop).expect("a world");
    let next = Shop { script: 2, ..shop };
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let deeds = deeds(&plan);
    assert_eq!(deeds.last(), Some(&"TagResources"), "{deeds:?}");
    world.apply_until(&plan, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
    assert_eq!(runs(&world.recorded), (vec!["image.web@v2".to_owned(); 5], 5));
    // They are looked at once more, as they are to be, and fail again.
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    world.see_everything();
    let again = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(self::deeds(&again), ["TagResources", "a gate"]);
    assert!(again.drift.iter().all(|drift| drift.attr != "tags"), "nobody else took them: {:?}", again.drift);
    world.apply_until(&again, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
    assert_eq!(runs(&world.recorded).1, 5);
    // Somebody else was faster with the tags: only the state has to learn them.
    for row in world.recorded.objects.iter_mut().filter(|row| row.addr.block == web()) {
        let ObjectSpec::Slot(spec) = Arc::make_mut(&mut row.spec) else { continue };
        spec.tags.insert("round".to_owned(), "1".to_owned());
    }
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    let learnt = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(self::deeds(&learnt), ["a gate"]);
    let records = learnt.steps.iter().filter(|step| matches!(step.does, Do::Record)).count();
    assert_eq!(records, 1);
    world.apply_until(&learnt, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
    assert_eq!(runs(&world.recorded).1, 5);
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    world.apply(&learnt);
    assert_eq!(runs(&world.recorded).1, 0);
}

/// The cloud does nothing to an instance whose reset failed before it is reset, and that is what the rollout holds.
#[test]
fn what_a_failed_reset_left_is_left_alone_while_its_rollout_is_stopped() {
    let update = "strategy: reset, max_unavailable: 1, min_ready: 10s";
    let (mut world, next) = about_to_roll(1, update);
    let before = world.plan(&desired(&next.yaml())).expect("a plan").rollouts.first().expect("a rollout").row.clone();
    world.recorded.rollouts.insert(web(), Rollout { phase: Phase::Stopped, before: None, ..before });
    for one in seen(&mut world) {
        one.name = "mine".to_owned();
        one.state = InstanceState::Stopped;
        let (name, state) = ("ResetInstance".into(), OperationState::Failed);
        one.latest = Some(LatestOperation { name, state, request_id: None, error: None });
    }
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert!(deeds(&plan).is_empty(), "{:?}", deeds(&plan));
    let held = plan.notes.iter().find(|note| note.code == codes::ROLLOUT_HELD).expect("a warning");
    assert_eq!(held.help.as_deref(), Some("change what it rolls out, or try again with --retry"));
}

/// Somebody switched the old instance of a slot off, and no gate has seen the new one: that one runs, and may serve.
#[test]
fn of_two_of_a_slot_the_one_that_runs_is_replaced_and_not_let_go_before() {
    let update = "strategy: replace, max_unavailable: 0, max_surge: 1, min_ready: 10s";
    let (mut world, next) = about_to_roll(1, update);
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let gate = plan.steps.iter().find(|step| matches!(step.does, Do::Gate(_))).expect("a gate").id;
    world.apply_until(&plan, 0, gate.0 as usize, &mut |_, _| true);
    world.see_everything();
    seen(&mut world).next().expect("the old one").state = InstanceState::Stopped;
    let third = Shop { script: 3, ..next };
    let plan = world.plan(&desired(&third.yaml())).expect("a plan");
    world.apply_until(&plan, 0, usize::MAX, &mut |world, step| {
        assert!(running(world, "shop-default-web-") > 0, "{step:?}");
        true
    });
    assert_eq!(runs(&world.recorded), (vec!["image.web@v3".to_owned()], 0));
}

/// What changes of a fleet beside its image, in words of the config; `None`: its script.
fn plan_with(world: &mut World, shop: &Shop, change: Option<(&str, &str)>) -> Plan {
    let yaml = change.map_or_else(|| shop.yaml(), |(from, to)| shop.yaml().replace(from, to));
    world.plan(&desired(&yaml)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

const OF_WEB: &str = "zones: [ap-guangzhou-3, ap-guangzhou-4], type: S5.MEDIUM4,";
const LARGE: (&str, &str) = (OF_WEB, "zones: [ap-guangzhou-3, ap-guangzhou-4], type: S5.LARGE8,");
const NAMED: (&str, &str) =
    (OF_WEB, "zones: [ap-guangzhou-3, ap-guangzhou-4], hostname: \"w{zone}-{ordinal}\", type: S5.MEDIUM4,");

/// An instance is off for a moment while it gets another type or host name.
#[test]
fn where_none_may_be_missing_another_type_or_host_name_comes_with_a_new_instance() {
    for change in [LARGE, NAMED] {
        let (mut world, next) = about_to_roll(2, "strategy: replace, max_unavailable: 0, max_surge: 1, min_ready: 10s");
        let plan = plan_with(&mut world, &Shop { script: 1, ..next.clone() }, Some(change));
        assert_eq!(deeds(&plan)[..3], ["RunInstances", "a gate", "TerminateInstances"]);
        let (mut world, next) = about_to_roll(2, "strategy: replace, max_unavailable: 1");
        let plan = plan_with(&mut world, &Shop { script: 1, ..next }, Some(change));
        assert!(!deeds(&plan).contains(&"RunInstances"), "{:?}", deeds(&plan));
    }
}

/// A rollout that was cut short, and then something else changes of what it left on trial.
#[test]
fn what_is_on_trial_stays_so_whatever_else_is_asked_for() {
    let cut = |update: &str| {
        let (mut world, next) = about_to_roll(2, update);
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        let gate = plan.steps.iter().find(|step| matches!(step.does, Do::Gate(_))).expect("a gate").id;
        world.apply_until(&plan, 0, gate.0 as usize, &mut |_, _| true);
        world.see_everything();
        assert!(runs(&world.recorded).1 > 0, "some are on trial");
        (world, next)
    };
    let trials = |plan: &Plan| {
        let becomes = |step: &Step| match step.targets.first().map(|target| &target.effect) {
            Some(Effect::Become(spec)) => matches!(spec.as_ref(), ObjectSpec::Slot(spec) if spec.on_trial),
            _ => false,
        };
        plan.steps.iter().filter(|step| is_of_web(step) && becomes(step)).count()
    };
    // Its host is renamed, and then it is looked at.
    let (mut world, next) = cut("strategy: replace, max_unavailable: 1, min_ready: 10s");
    let plan = plan_with(&mut world, &next, Some(NAMED));
    assert!(trials(&plan) > 0, "{:?}", deeds(&plan));
    // It is off, and gets another type before it is looked at.
    for gentle in ["strategy: replace, max_unavailable: 1, min_ready: 10s", "strategy: replace, max_unavailable: 1"] {
        let (mut world, next) = cut("strategy: replace, max_unavailable: 1, min_ready: 10s");
        let slot = world.recorded.objects.iter().find(|row| row.is_on_trial()).expect("a trial").name.clone();
        seen(&mut world).find(|one| one.name == slot).expect("it is there").state = InstanceState::Stopped;
        let next = Shop { update: gentle.to_owned(), ..next };
        let plan = plan_with(&mut world, &next, Some(LARGE));
        let deeds = deeds(&plan);
        let at =
            |deed: &str| deeds.iter().position(|each| *each == deed).unwrap_or_else(|| panic!("{deed}: {deeds:?}"));
        assert!(at("ResetInstancesType") < at("a gate"), "{deeds:?}");
        assert_eq!(trials(&plan), 1);
    }
    // Two of a slot, and the older one is off; what may be missing changes as well.
    for update in ["strategy: replace, max_surge: 1, max_unavailable: 1", "strategy: replace, max_unavailable: 1"] {
        for off in [true, false] {
            let (mut world, next) = cut("strategy: replace, max_surge: 1, max_unavailable: 1, min_ready: 10s");
            let old = world.recorded.objects.iter().find(|row| row.addr == Addr::slot(web(), 0)).expect("a slot");
            let id = old.cloud_id.instance().expect("an instance").clone();
            if off {
                seen(&mut world).find(|one| one.id == id).expect("it is there").state = InstanceState::Stopped;
            }
            plan_with(&mut world, &Shop { script: 3, update: update.to_owned(), ..next }, None);
        }
    }
    // One that serves and is being operated on counts before one that nobody has seen.
    let (mut world, next) = cut("strategy: replace, max_surge: 1, max_unavailable: 0, min_ready: 10s");
    for one in seen(&mut world) {
        let (name, state) = ("ModifyInstancesAttribute".into(), OperationState::Operating);
        one.latest = Some(LatestOperation { name, state, request_id: None, error: None });
    }
    plan_with(&mut world, &Shop { script: 3, ..next }, None);
}
