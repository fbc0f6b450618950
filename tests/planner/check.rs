//! The second opinion finds what is planted in a good plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright::cloud::call::{Arg, Body, StepId};
use fleetwright::diagnostic::{SourceMap, codes};
use fleetwright::model::desired::Desired;
use fleetwright::model::ids::{CloudId, ImageId, Region};
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::{InstanceState, Seen};
use fleetwright::model::recorded::Object;
use fleetwright::model::spec::{ObjectSpec, SlotSpec};
use fleetwright::plan::{Do, Effect, Need, Plan, Resource, Step, check};
use fleetwright::report::diagnostics::render;

use crate::world::{World, desired, fleet};

/// An image that is captured, copied, shared, and run from.
fn config(version: &str, count: u32) -> Desired {
    desired(&format!(
        "project: shop\n\
         cloud: {{ provider: embedded, region: ap-guangzhou }}\n\
         images:\n  ubuntu: {{ public: {{ name: Ubuntu }} }}\n  \
         shop: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"{version}\", regions: [ap-guangzhou, ap-shanghai] }}\n  \
         extra: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"{version}\" }}\n\
         shares:\n  s: {{ image: shop, accounts: [\"100000000002\"] }}\n\
         fleets:\n  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }}\n  \
         web: {{ image: shop, count: {count}, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }}\n"
    ))
}

/// A world where version 1 is, and the plan that leads to version 2 and a smaller fleet, through a narrow place: three
/// images of four are there, and two are replaced; eleven instances of eleven.
pub(crate) fn replaced() -> (World, Desired, Plan) {
    let mut world = World::new(Limits { images_per_region: 3, instances_per_zone: 5, ..Limits::EMBEDDED });
    let first = world.plan(&config("1", 4)).expect("a plan");
    world.apply(&first);
    let wanted = config("2", 3);
    let plan = world.plan(&wanted).expect("a plan");
    assert_eq!(found(&world, &wanted, &plan), Vec::<String>::new());
    (world, wanted, plan)
}

pub(crate) fn found(world: &World, wanted: &Desired, plan: &Plan) -> Vec<String> {
    let faults = check(plan, &world.input(wanted));
    assert!(faults.iter().all(|fault| fault.code == codes::SELF_CHECK && fault.is_error()));
    faults.into_iter().map(|fault| fault.message).collect()
}

/// Plants something, and expects that it is found.
#[track_caller]
pub(crate) fn planted(what: &str, plant: impl FnOnce(&mut World, &mut Plan)) {
    let (mut world, wanted, mut plan) = replaced();
    plant(&mut world, &mut plan);
    let found = found(&world, &wanted, &plan);
    assert!(found.iter().any(|message| message.contains(what)), "{what:?} is not in {found:#?}");
}

pub(crate) fn of_action<'p>(plan: &'p mut Plan, action: &str) -> impl Iterator<Item = &'p mut Step> {
    plan.steps.iter_mut().filter(move |step| match &step.does {
        Do::Call(call) => call.body.action() == action,
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => false,
    })
}

/// What people see of it.
#[test]
fn a_plan_that_failed_says_so() {
    let (world, wanted, mut plan) = replaced();
    plan.steps[0].targets.clear();
    let faults = check(&plan, &world.input(&wanted));
    insta::assert_snapshot!(render(&faults, &SourceMap::default(), 80, false));
}

#[test]
fn an_image_that_is_deleted_before_its_users_move() {
    planted("which moves fleet.web", |_, plan| {
        let moves: BTreeSet<StepId> = of_action(plan, "TerminateInstances").map(|step| step.id).collect();
        let launches: BTreeSet<StepId> = of_action(plan, "RunInstances").map(|step| step.id).collect();
        for step in of_action(plan, "DeleteImages").chain([]) {
            step.needs.retain(|need| !moves.contains(&need.step()) && !launches.contains(&need.step()));
        }
        // Nor by way of others.
        for step in of_action(plan, "ModifyImageSharePermission") {
            step.needs.retain(|need| !moves.contains(&need.step()) && !launches.contains(&need.step()));
        }
    });
}

/// A slot that a rollout does without keeps its old instance, and that its image.
#[test]
fn an_image_that_is_deleted_although_a_slot_may_stay_on_it() {
    let config = |version: u32| {
        desired(&format!(
            "project: shop\ncloud: {{ provider: embedded, region: ap-guangzhou }}\nimages:\n  \
             ubuntu: {{ public: {{ name: Ubuntu }} }}\n  \
             shop: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"{version}\", keep: 0 }}\n\
             fleets:\n  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }}\n  \
             web: {{ image: shop, count: 3, zones: [ap-guangzhou-3], type: S5.MEDIUM4, \
             update: {{ strategy: replace, max_surge: 1, max_failures: 1, min_ready: 10s }} }}\n"
        ))
    };
    let mut world = World::new(Limits::EMBEDDED);
    let first = world.plan(&config(1)).expect("a plan");
    world.apply(&first);
    world.see_everything();
    let wanted = config(2);
    let mut plan = world.plan(&wanted).expect("a plan");
    assert_eq!(found(&world, &wanted, &plan), Vec::<String>::new());
    for step in of_action(&mut plan, "DeleteImages") {
        let wholes = step.needs.iter_mut().filter(|need| matches!(need, Need::Whole(_)));
        wholes.for_each(|need| *need = Need::Success(need.step()));
    }
    let said = found(&world, &wanted, &plan);
    assert!(said.iter().any(|message| message.contains("leaves fleet.web[0] running from it")), "{said:#?}");
    for step in of_action(&mut plan, "DeleteImages") {
        step.needs.clear();
    }
    let said = found(&world, &wanted, &plan);
    assert!(said.iter().any(|message| message.contains("which moves fleet.web[0]")), "{said:#?}");
}

#[test]
fn an_image_that_is_deleted_while_something_stays_on_it() {
    planted("goes on running from it", |_, plan| {
        for step in of_action(plan, "TerminateInstances").collect::<Vec<_>>() {
            step.does = Do::Await { region: "ap-guangzhou".into() };
            for target in &mut step.targets {
                target.effect = Effect::Nothing;
            }
        }
    });
}

#[test]
fn an_image_that_is_deleted_while_it_is_shared() {
    planted("cancels its shares", |_, plan| {
        let cancels: BTreeSet<StepId> = of_action(plan, "ModifyImageSharePermission").map(|step| step.id).collect();
        for step in of_action(plan, "DeleteImages") {
            step.needs.retain(|need| !cancels.contains(&need.step()));
            // Nor by the ids that they hand on.
            let Do::Call(call) = &step.does else { continue };
            let Body::DeleteImages { images } = &call.body else { continue };
            for (target, image) in step.targets.iter_mut().zip(images) {
                target.id = Some(Arg::Known(CloudId::Image(image.clone())));
            }
        }
    });
}

#[test]
fn an_image_that_is_copied_after_it_is_deleted() {
    planted("copies it", |world, plan| {
        let old = world.observed.by_region[&Region::new("ap-guangzhou")].custom_images.as_ref().expect("listed");
        let old: ImageId = old.values().find(|image| image.name.contains("extra")).expect("an image").id.clone();
        for step in of_action(plan, "SyncImages") {
            let Do::Call(call) = &mut step.does else { continue };
            let Body::SyncImages { image, .. } = &mut call.body else { continue };
            *image = Arg::Known(old.clone());
        }
    });
}

#[test]
fn a_need_that_is_not_there() {
    planted("waits for step 999", |_, plan| plan.steps[0].needs.push(Need::Over(StepId(999))));
}

#[test]
fn a_circle() {
    planted("which does not come before it", |_, plan| {
        let last = plan.steps.last().expect("a step").id;
        plan.steps[0].needs.push(Need::Success(last));
    });
}

#[test]
fn a_number_that_is_wrong_and_a_step_without_a_target() {
    planted("stands at place 0", |_, plan| plan.steps[0].id = StepId(1));
    planted("has no target", |_, plan| plan.steps[0].targets.clear());
}

#[test]
fn a_protected_instance() {
    planted("which is protected", |world, _| {
        for seen in world.observed.by_region.values_mut().flat_map(|seen| seen.instances.values_mut()) {
            if let Seen::Present(instance) = seen {
                instance.protected = true;
            }
        }
    });
}

#[test]
fn peaks_that_are_wrong() {
    planted("the worst moment was put at 4, and is 3", |_, plan| plan.peaks[0].peak += 1);
    planted("the worst moment was put at 2, and is 3", |_, plan| plan.peaks[0].peak -= 1);
    planted("nobody counted", |_, plan| drop(plan.peaks.pop()));
    planted("and the plan says", |_, plan| plan.peaks[0].limit += 1);
    planted("and the plan says", |_, plan| plan.peaks[0].before -= 1);
}

#[test]
fn an_order_that_is_lost() {
    let place = Resource::Images(Region::new("ap-guangzhou"));
    planted("custom images in ap-guangzhou: 4 at the worst moment, 3 allowed", |_, plan| {
        let deletions: BTreeSet<StepId> = of_action(plan, "DeleteImages").map(|step| step.id).collect();
        let takers = plan
            .steps
            .iter_mut()
            .filter(|step| step.holds.iter().any(|hold| hold.resource == place && hold.at_start > 0));
        let mut changed = false;
        for step in takers {
            let before = step.needs.len();
            step.needs.retain(|need| !deletions.contains(&need.step()));
            changed |= step.needs.len() < before;
        }
        assert!(changed, "a creation waited for a deletion");
    });
}

#[test]
fn what_is_only_over_may_have_failed() {
    planted("at the worst moment", |_, plan| {
        let deletions: BTreeSet<StepId> = of_action(plan, "DeleteImages").map(|step| step.id).collect();
        for need in plan.steps.iter_mut().flat_map(|step| &mut step.needs) {
            if deletions.contains(&need.step()) {
                *need = Need::Over(need.step());
            }
        }
    });
}

/// Nobody misses those that are off, however many: they change first, and together.
#[test]
fn instances_that_are_off_already_are_replaced_together() {
    let mut world = World::new(Limits::EMBEDDED);
    let first = world.plan(&desired(&fleet(4, 1, "one"))).expect("a plan");
    world.apply(&first);
    world.see_everything();
    let seen = world.observed.by_region.values_mut().flat_map(|region| region.instances.values_mut());
    for one in seen.take(3) {
        if let Seen::Present(one) = one {
            one.state = InstanceState::Stopped;
        }
    }
    let wanted = desired(&fleet(4, 1, "two"));
    let mut plan = world.plan(&wanted).expect("a plan");
    let terminated: Vec<usize> = of_action(&mut plan, "TerminateInstances").map(|step| step.targets.len()).collect();
    assert_eq!(terminated.iter().sum::<usize>(), 4);
    assert_eq!(terminated.last(), Some(&1), "the one that serves goes last, and alone: {terminated:?}");
    // It may not go before the others are back.
    for step in of_action(&mut plan, "TerminateInstances") {
        step.needs.clear();
    }
    let found = found(&world, &wanted, &plan);
    assert!(found.iter().any(|message| message.contains("instances out of service at once")), "{found:#?}");
}

/// What is wrong with a plan in which all that goes does so at once, where the rows of the state are otherwise.
fn all_at_once(change: impl Fn(&mut Object)) -> Vec<String> {
    let mut world = World::new(Limits::EMBEDDED);
    let first = world.plan(&desired(&fleet(4, 1, "one"))).expect("a plan");
    world.apply(&first);
    world.see_everything();
    let wanted = desired(&fleet(4, 1, "two"));
    let mut plan = world.plan(&wanted).expect("a plan");
    for step in of_action(&mut plan, "TerminateInstances") {
        step.needs.clear();
    }
    world.recorded.objects.iter_mut().for_each(change);
    found(&world, &wanted, &plan)
}

/// What no gate has seen may serve all the same, as long as it runs.
#[test]
fn what_no_gate_has_seen_is_not_taken_away_all_at_once() {
    let too_many = |found: &[String]| found.iter().any(|message| message.contains("instances out of service at once"));
    assert!(too_many(&all_at_once(|_| {})));
    assert!(too_many(&all_at_once(put_on_trial)));
}

/// No gate has seen it.
pub(crate) fn put_on_trial(row: &mut Object) {
    let ObjectSpec::Slot(spec) = row.spec.as_ref() else { return };
    row.spec = Arc::new(ObjectSpec::Slot(Box::new(SlotSpec { on_trial: true, ..spec.as_ref().clone() })));
}
