//! Large worlds: what a plan must not lose when it is made in bulk. How long it takes is the bench's.

use fleetwright::diagnostic::codes;
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::Seen;

use crate::world::{World, desired, fleet};

const ROOMY: Limits = Limits { instances_per_zone: 100_000, ..Limits::EMBEDDED };

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let wanted = desired(&fleet(3_000, 1, "one"));
    let mut world = World::new(ROOMY);
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(plan.steps.len(), 6, "three launches in each zone");
    world.apply(&plan);
    let seen = world.observed.clone();
    for region in world.observed.by_region.values_mut() {
        region.instances.clear();
    }
    world.see_everything();
    for (region, seen) in &seen.by_region {
        let now = &world.observed.by_region[region].instances;
        assert!(seen.instances.iter().all(|(id, one)| matches!(one, Seen::Present(_)) && now.get(id) == Some(one)));
    }
    assert!(world.plan(&wanted).expect("a plan").is_empty());
}

#[test]
fn a_full_zone_of_many_is_replaced_one_by_one() {
    let mut world = World::new(Limits { instances_per_zone: 1_500, ..ROOMY });
    let first = world.plan(&desired(&fleet(3_000, 1, "one"))).expect("a plan");
    world.apply(&first);
    let wanted = desired(&fleet(3_000, 1, "two"));
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(plan.steps.len(), 6_000);
    assert!(
        plan.peaks.iter().all(|peak| (peak.before, peak.peak, peak.after) == (1_500, 1_500, 1_500)),
        "{:?}",
        plan.peaks
    );
    world.apply(&plan);
    assert!(world.plan(&wanted).expect("a plan").is_empty());
}

#[test]
fn nothing_is_tried_where_each_trial_is_large() {
    let mut world = World::new(Limits { instances_per_zone: 10_000, ..ROOMY });
    let faults = world.plan(&desired(&fleet(20_001, 1, "one"))).expect_err("no room");
    assert_eq!(faults[0].code, codes::INSTANCE_QUOTA);
    let help = faults[0].help.as_deref().unwrap_or_default();
    assert!(help.contains("with 20001 slots no change was looked for"), "{help}");
}

/// The needs of all steps of a rollout of so many, a fifth at a time, and the most of one step.
fn needs(count: usize, from: (&str, &str), to: (&str, &str)) -> (usize, usize) {
    let config = |(runs, of_type): (&str, &str)| {
        fleet(count, count / 5, runs)
            .replace("strategy: replace", "strategy: reset")
            .replace("type: S5.MEDIUM4", &format!("login: {{ key_ids: [skey-8a7c6b5d] }}\n    type: {of_type}"))
    };
    let mut world = World::new(ROOMY);
    let first = world.plan(&desired(&config(from))).expect("a plan");
    world.apply(&first);
    let plan = world.plan(&desired(&config(to))).expect("a plan");
    assert!(plan.steps.len() >= count, "{} steps", plan.steps.len());
    let needs = || plan.steps.iter().map(|step| step.needs.len());
    (needs().sum(), needs().max().unwrap_or(0))
}

#[test]
fn the_rounds_of_a_rollout_wait_for_each_other_with_as_many_needs_as_slots() {
    let before = ("one", "S5.MEDIUM4");
    for after in [("two", "S5.MEDIUM4"), ("one", "S5.LARGE8")] {
        for count in [1_000, 2_000, 4_000] {
            let (all, most) = needs(count, before, after);
            assert!(all <= 7 * count, "{after:?}: {all} needs for {count} slots");
            // What all of a round need, and of their own those that are put into one call.
            assert!(most <= count / 5 + 100, "{after:?}: a step with {most} needs for {count} slots");
        }
    }
}
