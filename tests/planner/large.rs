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
