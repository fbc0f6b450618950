//! What somebody deleted by hand leaves the state once, and whole.

use fleetwright::model::desired::Desired;
use fleetwright::model::ids::Region;
use fleetwright::model::limits::Limits;
use fleetwright::plan::{Action, Effect, Plan};

use crate::world::{World, desired};

/// An image that is captured in one region, and copied to others.
fn config(regions: &str) -> Desired {
    desired(&format!(
        "project: shop\n\
         cloud: {{ provider: embedded, region: ap-guangzhou }}\n\
         images:\n  ubuntu: {{ public: {{ name: Ubuntu }} }}\n  \
         shop: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"1\", regions: [{regions}] }}\n\
         fleets:\n  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }}\n"
    ))
}

fn made(regions: &str) -> World {
    let mut world = World::new(Limits::EMBEDDED);
    let plan = world.plan(&config(regions)).expect("a plan");
    world.apply(&plan);
    world
}

/// Deletes all images of a region by hand.
fn delete(world: &mut World, region: &str) {
    let seen = world.observed.by_region.get_mut(&Region::new(region)).expect("a region");
    seen.custom_images.as_mut().expect("listed").clear();
    seen.image_quota.as_mut().expect("a quota").used = 0;
}

/// What a plan takes out of the state, and how often.
fn removed(plan: &Plan) -> Vec<String> {
    let targets = plan.steps.iter().flat_map(|step| &step.targets);
    let mut removed: Vec<String> = targets
        .filter(|target| target.effect == Effect::Remove)
        .map(|target| target.addr.clone().generation(target.generation).to_string())
        .collect();
    removed.sort();
    removed
}

#[track_caller]
fn comes_to_rest(world: &mut World, wanted: &Desired, plan: &Plan) {
    world.apply(plan);
    let rest = world.plan(wanted).expect("a plan");
    assert!(rest.is_empty(), "{:#?}", rest.changes);
}

#[test]
fn a_copy_is_forgotten_once_where_its_region_left_the_config_too() {
    let mut world = made("ap-guangzhou, ap-shanghai");
    delete(&mut world, "ap-shanghai");
    let wanted = config("ap-guangzhou");
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(removed(&plan), ["image.shop@1/ap-shanghai"]);
    assert!(plan.changes.iter().all(|change| change.action == Action::Forget), "{:#?}", plan.changes);
    comes_to_rest(&mut world, &wanted, &plan);
}

#[test]
fn what_is_captured_anew_takes_the_place_of_what_is_gone() {
    let mut world = made("ap-guangzhou");
    delete(&mut world, "ap-guangzhou");
    let wanted = config("ap-guangzhou");
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(removed(&plan), ["image.shop@1/ap-guangzhou"]);
    comes_to_rest(&mut world, &wanted, &plan);
}

#[test]
fn a_capture_that_is_gone_is_forgotten_where_a_run_died_right_after_the_one_that_takes_its_place() {
    let mut world = made("ap-guangzhou");
    let old = world.recorded.objects.iter().find(|row| row.addr.version.is_some()).expect("an image").clone();
    delete(&mut world, "ap-guangzhou");
    let wanted = config("ap-guangzhou");
    let plan = world.plan(&wanted).expect("a plan");
    world.apply(&plan);
    // As if the row had not been taken out any more.
    world.recorded.objects.push(old);
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(removed(&plan), ["image.shop@1/ap-guangzhou"]);
    assert_eq!(plan.changes.len(), 1);
    comes_to_rest(&mut world, &wanted, &plan);
}
