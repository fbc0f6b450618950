//! Rollouts one by one: what a plan makes of one that was cut short, paused, failed or meant for something else, and what it
//! says of it.

use std::collections::BTreeSet;

use fleetwright::diagnostic::codes;
use fleetwright::model::addr::Addr;
use fleetwright::model::observed::Seen;
use fleetwright::model::rollout::Phase;
use fleetwright::model::update::{Pause, Strategy};
use fleetwright::plan::{Action, Do, Plan, Scope, Step, Upgrade};

use crate::rollouts::{Shop, first, is_of_web, running, runs, tells_of_all_slots, web};
use crate::world::{World, desired};

/// A fleet after its first apply, and the same with another version of its image.
pub(crate) fn about_to_roll(count: u32, update: &str) -> (World, Shop) {
    let shop = Shop::new(count, update);
    let world = first(&shop).expect("a world");
    (world, Shop { script: 2, ..shop })
}

#[test]
fn a_canary_is_one_of_each_zone_and_a_plan_ends_at_a_pause() {
    let update = "strategy: replace, max_unavailable: 2, canary: 2, pause: after_canary, min_ready: 10s";
    let shop = Shop::new(6, update);
    assert_eq!(shop.update().pause, Pause::AfterCanary);
    let mut world = first(&shop).expect("a world");
    let next = Shop { script: 2, ..shop };
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let rollout = plan.rollouts.first().expect("a rollout");
    assert_eq!((rollout.batches.as_slice(), rollout.canary, rollout.left), (&[2_u32][..], true, 4));
    assert_eq!((rollout.least_available, rollout.most, rollout.count), (4, 6, 6));
    assert_eq!(told_by_zone(&plan), [("ap-guangzhou-3", 0, vec![0, 2, 4]), ("ap-guangzhou-4", 0, vec![1, 3, 5])]);
    world.apply(&plan);
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Paused);
    let zones: BTreeSet<_> = world
        .recorded
        .objects
        .iter()
        .filter(|row| row.addr.block == web() && row.generation == 2)
        .map(|row| row.zone.clone())
        .collect();
    assert_eq!(zones.len(), 2);
    // Both versions are there for as long as both are used.
    world.see_everything();
    assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty());
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    let rest = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(told_by_zone(&rest), [("ap-guangzhou-3", 1, vec![2, 4]), ("ap-guangzhou-4", 1, vec![3, 5])]);
}

/// Of each zone: how many slots are there, and which are to come.
fn told_by_zone(plan: &Plan) -> Vec<(&str, u32, Vec<u32>)> {
    let zones = plan.rollouts.first().expect("a rollout").zones.iter();
    zones.map(|zone| (zone.zone.as_str(), zone.there, zone.to_come.clone())).collect()
}

#[test]
fn slots_that_are_reset_are_told_by_zone() {
    let (mut world, next) = about_to_roll(5, "strategy: reset, max_unavailable: 1, batch: 2, min_ready: 10s");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(told_by_zone(&plan), [("ap-guangzhou-3", 0, vec![0, 2, 4]), ("ap-guangzhou-4", 0, vec![1, 3])]);
    let mut gates = 0;
    world.apply_until(&plan, 0, usize::MAX, &mut |_, step| {
        gates += usize::from(matches!(step.does, Do::Gate(_)));
        gates < 2
    });
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    world.see_everything();
    let rest = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(told_by_zone(&rest), [("ap-guangzhou-3", 1, vec![2, 4]), ("ap-guangzhou-4", 0, vec![1, 3])]);
}

/// The fleet after its first apply without one of its instances, as a run leaves it that is cut short.
fn one_is_lacking(update: &str) -> (World, Shop) {
    let (mut world, next) = about_to_roll(4, update);
    let at = world.recorded.objects.iter().position(|row| row.addr.block == web()).expect("a slot");
    let id = world.recorded.objects.remove(at).cloud_id.instance().expect("an instance").clone();
    for region in world.observed.by_region.values_mut() {
        region.instances.remove(&id);
    }
    (world, next)
}

#[test]
fn what_is_lacking_is_looked_at_before_another_one_goes() {
    let (mut world, next) = one_is_lacking("strategy: replace, max_unavailable: 1, min_ready: 10s");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(plan.rollouts.first().expect("a rollout").first, 1);
    let of_web = |step: &&Step| is_of_web(step);
    let word = |step: &Step| match &step.does {
        Do::Call(call) => call.body.action(),
        Do::Gate(_) => "a gate",
        Do::Await { .. } | Do::Record | Do::Hook(_) => "something else",
    };
    let begins: Vec<&str> = plan.steps.iter().filter(of_web).map(word).take(3).collect();
    assert_eq!(begins, ["RunInstances", "a gate", "TerminateInstances"]);
    // The new one is not healthy: nothing else is touched.
    let gone = |world: &World| running(world, "shop-default-web-");
    let before = gone(&world);
    world.apply_until(&plan, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
    assert_eq!(gone(&world), before + 1);
    assert_eq!(world.recorded.rollouts.get(&web()).map(|row| row.phase), Some(Phase::Stopped));
}

/// A run is killed when the last old instance is gone, and its successor not there yet.
#[test]
fn the_last_of_a_rollout_is_looked_at_before_that_is_done() {
    let (mut world, next) = two_of_three(ONE_BY_ONE);
    assert_eq!(runs(&world.recorded), (vec!["image.web@v2".to_owned(); 2], 0));
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(plan.rollouts.first().expect("a rollout").first, 1);
    world.apply(&plan);
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Done);
    assert_eq!(runs(&world.recorded), (vec!["image.web@v2".to_owned(); 3], 0));
    world.see_everything();
    assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty());
    // It is not healthy.
    let (mut world, next) = two_of_three(ONE_BY_ONE);
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    world.apply_until(&plan, 0, usize::MAX, &mut |_, step| !matches!(step.does, Do::Gate(_)));
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Stopped);
}

/// A run is killed when all old instances are gone, and the config asks for something else before the next one.
#[test]
fn what_is_left_of_a_rollout_to_something_else_is_one_to_what_the_config_asks_for() {
    for (update, looked_at) in [("strategy: replace, max_unavailable: 3, batch: 3", 1), ("strategy: replace", 0)] {
        let guided = "strategy: replace, max_unavailable: 3, batch: 3".to_owned();
        let shop = Shop::new(3, guided);
        let mut world = first(&shop).expect("a world");
        let next = Shop { script: 2, ..shop.clone() };
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        let launches = plan.steps.iter().filter(|step| is_of_web(step));
        let launches =
            launches.filter(|step| matches!(&step.does, Do::Call(call) if call.body.action() == "RunInstances"));
        let before = launches.map(|step| step.id).min().expect("a launch");
        world.apply_until(&plan, 0, before.0 as usize, &mut |_, _| true);
        world.see_everything();
        assert_eq!((runs(&world.recorded), world.recorded.rollouts[&web()].phase), ((Vec::new(), 0), Phase::Running));
        let other = Shop { script: 3, update: update.to_owned(), ..shop };
        let plan = world.plan(&desired(&other.yaml())).expect("a plan");
        let rollout = plan.rollouts.first().expect("a rollout");
        assert_eq!(rollout.first, if looked_at > 0 { 3 } else { 0 });
        assert_eq!(rollout.row.before().expect("what ran").image.to_string(), "image.web@v1");
        world.apply(&plan);
        let row = &world.recorded.rollouts[&web()];
        assert_eq!((row.phase, row.to.to_string()), (Phase::Done, "image.web@v3".to_owned()));
        world.see_everything();
        assert!(world.plan(&desired(&other.yaml())).expect("a plan").is_empty());
    }
}

/// A run is killed while it looks at the canary: what is looked at anew is the canary.
#[test]
fn a_canary_that_was_not_seen_to_its_end_is_the_canary() {
    for (pause, left) in [("none", 0), ("after_canary", 4), ("every_batch", 4)] {
        let update = format!("strategy: replace, max_surge: 1, canary: 1, pause: {pause}, bake: 1m");
        let shop = Shop::new(5, update);
        let mut world = first(&shop).expect("a world");
        let next = Shop { script: 2, ..shop };
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        let gate = plan.steps.iter().find(|step| matches!(step.does, Do::Gate(_))).expect("a gate").id;
        world.apply_until(&plan, 0, gate.0 as usize, &mut |_, _| true);
        world.see_everything();
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        let rollout = plan.rollouts.first().expect("a rollout");
        assert_eq!((rollout.first, rollout.canary, rollout.left), (1, false, left));
        world.apply(&plan);
        let row = &world.recorded.rollouts[&web()];
        assert_eq!((row.phase, row.canary_passed), (if left > 0 { Phase::Paused } else { Phase::Done }, true));
        assert_eq!(runs(&world.recorded).0.iter().filter(|of| *of == "image.web@v2").count() as u32, 5 - left);
    }
}

#[test]
fn what_is_revoked_is_not_gone_back_to() {
    let (mut world, next) = about_to_roll(2, "strategy: replace, max_surge: 1, on_failure: rollback");
    let fails = |plan: &Plan| {
        let failed =
            plan.steps.iter().filter_map(|step| if let Do::Gate(gate) = &step.does { gate.failed } else { None });
        let told = plan.notes.iter().any(|note| note.code == codes::STOPS_ONLY);
        (failed.collect::<BTreeSet<Phase>>(), told)
    };
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(fails(&plan), (BTreeSet::from([Phase::TakenBack]), false));
    let revoked = next.yaml().replace("keep: 2", "keep: 2, revoke: [v1]");
    let plan = world.plan(&desired(&revoked)).expect("a plan");
    assert_eq!(fails(&plan), (BTreeSet::from([Phase::Stopped]), true));
}

/// What waits for somebody did not fail.
#[test]
fn a_pause_is_nothing_to_try_again() {
    let (mut world, next) = about_to_roll(3, "strategy: replace, max_surge: 1, canary: 1, pause: after_canary");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    world.apply(&plan);
    world.see_everything();
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Paused);
    world.asked.retry = Upgrade::All;
    assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty());
}

/// A reset leaves the data disks as they are.
#[test]
fn where_a_reset_does_not_do_the_plan_says_so() {
    let update = "strategy: reset, max_unavailable: 1, min_ready: 10s".to_owned();
    let shop = Shop::new(2, update);
    let mut world = first(&shop).expect("a world");
    let disks = |shop: &Shop| shop.yaml().replace("login:", "data_disks: [{ type: CLOUD_PREMIUM, size: 100 }], login:");
    let plan = world.plan(&desired(&disks(&Shop { script: 2, ..shop.clone() }))).expect("a plan");
    let rollout = plan.rollouts.first().expect("a rollout");
    let actions: BTreeSet<_> =
        plan.changes.iter().filter(|change| change.addr.block == web()).map(|change| change.action).collect();
    assert_eq!(actions, BTreeSet::from([Action::Replace]));
    assert_eq!((rollout.strategy, rollout.why.is_empty()), (Strategy::Replace, false));
    let plan = world.plan(&desired(&Shop { script: 2, ..shop }.yaml())).expect("a plan");
    let rollout = plan.rollouts.first().expect("a rollout");
    assert_eq!((rollout.strategy, rollout.why.as_str()), (Strategy::Reset, ""));
}

pub(crate) const HOOKS: &str = "strategy: replace, max_surge: 3, min_ready: 10s, hooks: { before_stop: { command: [./out.sh] }, after_ready: { command: [./in.sh] } }";

/// What a plan does to the fleet, in words, hooks and gates too.
pub(crate) fn deeds(plan: &Plan) -> Vec<&'static str> {
    let word = |step: &Step| match &step.does {
        Do::Call(call) => Some(call.body.action()),
        Do::Gate(_) => Some("a gate"),
        Do::Hook(hook) => Some(hook.moment.word()),
        Do::Await { .. } | Do::Record => None,
    };
    plan.steps.iter().filter(|step| is_of_web(step)).filter_map(word).collect()
}

/// A run is cut short behind its gate, and before one of its hooks has succeeded: none is left out.
#[test]
fn no_hook_is_left_out_after_a_run_that_was_cut_short() {
    let shop = Shop::new(3, HOOKS);
    let next = Shop { script: 2, ..shop.clone() };
    let cut_before = |moment: &str| {
        let mut world = first(&shop).expect("a world");
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        assert_eq!(
            deeds(&plan),
            ["RunInstances", "RunInstances", "a gate", "after_ready", "before_stop", "TerminateInstances"]
        );
        let hook = |step: &&Step| matches!(&step.does, Do::Hook(hook) if hook.moment.word() == moment);
        let at = plan.steps.iter().find(hook).expect("a hook").id;
        world.apply_until(&plan, 0, at.0 as usize, &mut |_, _| true);
        world.see_everything();
        let rest = world.plan(&desired(&next.yaml())).expect("a plan");
        let deeds: Vec<&str> = deeds(&rest);
        world.apply(&rest);
        world.see_everything();
        assert_eq!(runs(&world.recorded), (vec!["image.web@v2".to_owned(); 3], 0));
        assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty());
        deeds
    };
    assert_eq!(cut_before("after_ready"), ["a gate", "after_ready", "before_stop", "TerminateInstances"]);
    assert_eq!(cut_before("before_stop"), ["before_stop", "TerminateInstances"]);
}

/// The fleet in the middle of a rollout: two of three slots are there, the third one's instance is gone, and its successor
/// was never made.
fn two_of_three(update: &str) -> (World, Shop) {
    let (mut world, next) = about_to_roll(3, update);
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let launches = plan.steps.iter().filter(|step| is_of_web(step));
    let launches = launches.filter(|step| matches!(&step.does, Do::Call(call) if call.body.action() == "RunInstances"));
    let last = launches.map(|step| step.id).max().expect("a launch");
    world.apply_until(&plan, 0, last.0 as usize, &mut |_, _| true);
    world.see_everything();
    (world, next)
}

pub(crate) const ONE_BY_ONE: &str = "strategy: replace, max_unavailable: 1, min_ready: 10s";

#[test]
fn what_is_tried_again_ends_also_where_only_something_is_lacking() {
    for phase in [Phase::Stopped, Phase::Aborted] {
        let (mut world, next) = two_of_three(ONE_BY_ONE);
        world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = phase;
        world.asked.retry = Upgrade::All;
        let plan = world.plan(&desired(&next.yaml())).expect("a plan");
        assert_eq!(plan.rollouts.first().expect("a rollout").first, 1, "it is looked at");
        world.apply(&plan);
        assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Done);
        world.see_everything();
        world.asked.retry = Upgrade::None;
        assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty());
    }
}

/// Somebody deletes an instance that was there already.
#[test]
fn what_is_gone_is_to_come_again() {
    let (mut world, next) = two_of_three(ONE_BY_ONE);
    let row = world.recorded.objects.iter().find(|row| row.addr == Addr::slot(web(), 0)).expect("a slot");
    let id = row.cloud_id.instance().expect("an instance").clone();
    for region in world.observed.by_region.values_mut().filter(|region| region.instances.contains_key(&id)) {
        region.instances.insert(id.clone(), Seen::Absent { asked_ms: world.observed.cloud_ms });
    }
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    let to_come: Vec<u32> = told_by_zone(&plan).into_iter().flat_map(|(_, _, to_come)| to_come).collect();
    assert!(to_come.contains(&0) && to_come.len() == 2, "{to_come:?}");
    tells_of_all_slots(&world, &plan, &next).expect("all slots");
    let rollout = plan.rollouts.first().expect("a rollout");
    assert_eq!((rollout.first, rollout.least_available, rollout.count), (2, 1, 3));
}

/// Another generation of a slot is the same slot.
#[test]
fn a_slot_that_is_named_with_its_generation_is_left_out_as_well() {
    let (mut world, next) = two_of_three(ONE_BY_ONE);
    let rows = world.recorded.objects.iter().filter(|row| row.addr.block == web());
    let named = rows.map(|row| row.full_addr()).next().expect("a slot");
    assert!(named.to_string().ends_with("#2"), "{named}");
    let third = Shop { script: 3, ..next };
    world.asked.scope = Scope::Exclude(BTreeSet::from([named]));
    let plan = world.plan(&desired(&third.yaml())).expect("a plan");
    world.apply(&plan);
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Running, "a slot is left");
}

/// The config goes back to what still runs, before the rollout to something else did anything.
#[test]
fn a_rollout_to_something_else_ends_with_a_repair() {
    let shop = Shop::new(3, ONE_BY_ONE);
    let mut world = first(&shop).expect("a world");
    let next = Shop { script: 2, ..shop.clone() };
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    world.apply_until(&plan, 0, 0, &mut |_, _| true);
    world.see_everything();
    assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Running);
    world.asked.replace = BTreeSet::from([Addr::slot(web(), 1)]);
    let plan = world.plan(&desired(&shop.yaml())).expect("a plan");
    world.apply(&plan);
    let row = &world.recorded.rollouts[&web()];
    assert_eq!((row.phase, row.to.to_string()), (Phase::Done, "image.web@v1".to_owned()));
    world.see_everything();
    world.asked.replace.clear();
    assert!(world.plan(&desired(&shop.yaml())).expect("a plan").is_empty());
}

/// Instances keep what is to be ignored, and are where the rollout leads all the same.
#[test]
fn what_is_ignored_keeps_no_slot_from_being_there() {
    let shop = Shop::new(2, "strategy: reset, max_unavailable: 1, canary: 1, pause: after_canary");
    let mut world = first(&shop).expect("a world");
    let next = Shop { script: 2, ..shop };
    let yaml = next.yaml().replace("type: S5.MEDIUM4, login", "ignore_changes: [type], type: S5.LARGE8, login");
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    world.apply(&plan);
    world.see_everything();
    world.recorded.rollouts.get_mut(&web()).expect("a rollout").phase = Phase::Running;
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    assert_eq!(told_by_zone(&plan), [("ap-guangzhou-3", 1, vec![]), ("ap-guangzhou-4", 0, vec![1])]);
}

/// A plan that is limited to some slots does not end what the others are still to follow.
#[test]
fn a_rollout_of_which_a_plan_leaves_slots_out_goes_on() {
    let (mut world, next) = about_to_roll(3, ONE_BY_ONE);
    world.asked.scope = Scope::Target(BTreeSet::from([Addr::slot(web(), 1)]));
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(told_by_zone(&plan), [("ap-guangzhou-3", 0, vec![0, 2]), ("ap-guangzhou-4", 0, vec![1])]);
    world.apply(&plan);
    let began = world.recorded.rollouts[&web()].clone();
    assert_eq!(began.phase, Phase::Running);
    world.see_everything();
    assert!(world.plan(&desired(&next.yaml())).expect("a plan").is_empty(), "that slot is there");
    world.asked.scope = Scope::All;
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(told_by_zone(&plan), [("ap-guangzhou-3", 0, vec![0, 2]), ("ap-guangzhou-4", 1, vec![])]);
    world.apply(&plan);
    let ended = &world.recorded.rollouts[&web()];
    assert_eq!((ended.phase, ended.started_ms), (Phase::Done, began.started_ms));
}

#[test]
fn what_may_fail_is_out_of_service_too() {
    let update = |more: &str| Shop::new(10, format!("strategy: replace, max_unavailable: 2, max_failures: 1{more}"));
    let bounds = |more: &str| {
        let shop = update(more);
        let mut world = first(&shop).expect("a world");
        let plan = world.plan(&desired(&Shop { script: 2, ..shop }.yaml())).expect("a plan");
        let rollout = plan.rollouts.first().expect("a rollout");
        (rollout.least_available, rollout.most)
    };
    assert_eq!(bounds(""), (7, 10));
    // Where the one that is replaced serves on, the one that failed is above the count.
    assert_eq!(bounds(", max_surge: 2"), (7, 13));
    assert_eq!(bounds(", batch: 10"), (7, 10));
    let refused = |more: &str| {
        let shop = update(more);
        let mut world = first(&shop).expect("a world");
        let faults = world.plan(&desired(&Shop { script: 2, ..shop }.yaml())).expect_err("too few");
        let fault = faults.first().expect("a fault");
        (fault.message.clone(), fault.help.clone().unwrap_or_default())
    };
    let (message, help) = refused(", min_available: 8");
    assert!(message.contains("would have 7 instances in service, and is to have 8"), "{message}");
    assert_eq!(help, "set `max_unavailable: 1`, or less");
    assert_eq!(refused(", min_available: 9").1, "set `max_failures: 0`");
}

/// A percentage of few is none: a reset takes one all the same, and `auto` makes new instances then.
#[test]
fn where_a_share_of_few_comes_to_none_resets_go_one_by_one() {
    let (mut world, next) = about_to_roll(5, "strategy: reset, max_surge: 1, max_unavailable: 10%");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert_eq!(deeds(&plan).iter().filter(|deed| **deed == "ResetInstance").count(), 5);
    assert_eq!(plan.rollouts.first().map_or(4, |rollout| rollout.least_available), 4);
    let (mut world, next) = about_to_roll(5, "strategy: auto, max_surge: 1, max_unavailable: 10%");
    let plan = world.plan(&desired(&next.yaml())).expect("a plan");
    assert!(!deeds(&plan).contains(&"ResetInstance"), "{:?}", deeds(&plan));
}
