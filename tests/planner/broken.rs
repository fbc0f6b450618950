//! Each rule of the second opinion is broken once, by hand, in a finished plan, and that is noticed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use fleetwright::cloud::call::{Arg, Body, Call, Installation, Query, StepId};
use fleetwright::model::addr::Block;
use fleetwright::model::ids::{ImageId, InstanceId, Name, Region, Uin};
use fleetwright::model::observed::{Instance, InstanceState, Seen};
use fleetwright::model::spec::{Login, ObjectSpec};
use fleetwright::model::update::{Health, Hook, HookRun, Moment};
use fleetwright::plan::{Do, Effect, Fact, Gate, HookStep, Need, Plan, Step};

use crate::check::{found, of_action, planted, replaced};
use crate::rollouts::{Shop, first as first_world, web};
use crate::world::{World, desired};

const NOWHERE: &str = "nowhere!";

/// The call of the first step with this action, and the step.
fn first<'p>(plan: &'p mut Plan, action: &str) -> &'p mut Step {
    of_action(plan, action).next().unwrap_or_else(|| panic!("there is no {action}"))
}

fn call(step: &mut Step) -> &mut Call {
    match &mut step.does {
        Do::Call(call) => call,
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => panic!("{} makes no call", step.id),
    }
}

fn gate(region: &str, frees: usize) -> Gate {
    Gate {
        fleet: Block::fleet(&"web".into()),
        region: Region::new(region),
        health: Health::default(),
        min_ready_ms: 0,
        bake_ms: 0,
        most_failures: 0,
        frees: vec![None; frees],
        passed: None,
        failed: None,
    }
}

/// An image that goes, and that nobody runs from.
fn old_image(world: &World) -> ImageId {
    let listed = world.observed.by_region[&Region::new("ap-guangzhou")].custom_images.as_ref().expect("listed");
    listed.values().find(|image| image.name.contains("extra")).expect("an image").id.clone()
}

fn terminated(plan: &mut Plan) -> Vec<InstanceId> {
    of_action(plan, "TerminateInstances")
        .flat_map(|step| {
            let Body::TerminateInstances { instances } = &call(step).body else { panic!("a termination") };
            instances.iter().filter_map(Arg::known).cloned().collect::<Vec<_>>()
        })
        .collect()
}

fn instance<'w>(world: &'w mut World, id: &InstanceId) -> &'w mut Instance {
    let mut all = world.observed.by_region.values_mut().flat_map(|seen| seen.instances.values_mut());
    let found = all.find_map(|seen| match seen {
        Seen::Present(instance) if instance.id == *id => Some(instance),
        Seen::Present(_) | Seen::Absent { .. } => None,
    });
    found.expect("the instance")
}

#[test]
fn times_and_amounts_out_of_all_reason() {
    planted("is to take -1 ms", |_, plan| plan.steps[0].settle.expected_ms = -1);
    planted("is to take 9000000000000000 ms", |_, plan| plan.steps[0].settle.deadline_ms = 9_000_000_000_000_000);
    planted("holds 2000000000 and", |_, plan| {
        let hold = plan.steps.iter_mut().flat_map(|step| &mut step.holds).next().expect("a hold");
        hold.at_start = 2_000_000_000;
    });
    planted("it speaks of the time -5 ms, which is none", |_, plan| plan.as_of_ms = -5);
}

#[test]
fn ids_that_nobody_hands_out() {
    planted("that it does not hand out", |_, plan| {
        let Body::SyncImages { image: Arg::Output { target, .. }, .. } = &mut call(first(plan, "SyncImages")).body
        else {
            panic!("it is not made yet");
        };
        *target = 99;
    });
    planted("takes an instance from step", |_, plan| {
        let launch = first(plan, "RunInstances").id;
        let last = of_action(plan, "RunInstances").last().filter(|last| last.id > launch).expect("another launch");
        let Body::RunInstances(with) = &mut call(last).body else { panic!("a launch") };
        with.image = Arg::Output { step: launch, target: 0 };
    });
    planted("for something else than it is", |_, plan| {
        let made = first(plan, "CreateImage").targets[0].effect.makes().expect("an image").spec.clone();
        first(plan, "TerminateInstances").targets[0].effect = Effect::Become(made);
    });
}

#[test]
fn calls_that_are_not_ours_to_make() {
    planted("is done as 100000000009, and the plan is of", |_, plan| {
        call(first(plan, "CreateImage")).account = Uin::new("100000000009");
    });
    planted("is done in nowhere!, which is no region", |_, plan| {
        call(first(plan, "CreateImage")).region = Region::new(NOWHERE);
    });
    planted("waits in nowhere!, which is no region", |_, plan| {
        first(plan, "DeleteImages").does = Do::Await { region: Region::new(NOWHERE) };
    });
    planted("looks in nowhere!, which is no region", |_, plan| {
        first(plan, "DeleteImages").does = Do::Gate(Box::new(gate(NOWHERE, 1)));
    });
    planted("frees 3 things for 1 targets", |_, plan| {
        first(plan, "DeleteImages").does = Do::Gate(Box::new(gate("ap-guangzhou", 3)));
    });
    planted("runs in nowhere!, which is no region", |_, plan| {
        first(plan, "DeleteImages").does = Do::Hook(Box::new(HookStep {
            fleet: Block::fleet(&"web".into()),
            region: Region::new(NOWHERE),
            moment: Moment::BeforeStop,
            hook: Hook { run: HookRun::Webhook("https://example.com".to_owned()), timeout_ms: 1000 },
        }));
    });
    planted("copies to nowhere!, which is no region", |_, plan| {
        let Body::SyncImages { to, .. } = &mut call(first(plan, "SyncImages")).body else { panic!("a copy") };
        to.insert(Region::new(NOWHERE));
    });
    planted("relies on something in nowhere!, which is no region", |_, plan| {
        let fact = Fact::Image { region: Region::new(NOWHERE), id: ImageId::new("img-1") };
        first(plan, "CreateImage").expect.push(fact);
    });
    planted("only reads, and a plan's steps change something", |_, plan| {
        call(first(plan, "DeleteImages")).body = Body::Describe(Query::Regions);
    });
}

#[test]
fn calls_that_do_something_to_others_than_their_targets() {
    planted("which is none of its targets", |_, plan| {
        let Body::DeleteImages { images } = &mut call(first(plan, "DeleteImages")).body else { panic!("a deletion") };
        images.push(ImageId::new("img-theirs"));
    });
    planted("instances from number", |_, plan| {
        let Body::RunInstances(launch) = &mut call(first(plan, "RunInstances")).body else { panic!("a launch") };
        launch.count += 1;
    });
}

#[test]
fn images_that_are_deleted_before_something_is_made_of_them() {
    planted("without waiting for", |world, plan| {
        let old = old_image(world);
        let Body::SyncImages { image, .. } = &mut call(first(plan, "SyncImages")).body else { panic!("a copy") };
        *image = Arg::Known(old);
    });
    planted("launches from it", |world, plan| {
        let old = old_image(world);
        let Body::RunInstances(launch) = &mut call(first(plan, "RunInstances")).body else { panic!("a launch") };
        launch.image = Arg::Known(old);
    });
    planted("installs it", |world, plan| {
        let image = Arg::Known(old_image(world));
        let instance = terminated(plan)[0].clone();
        let with = Installation { login: Login::KeepImage, user_data: None, system_disk_gib: None, hostname: None };
        call(first(plan, "TerminateInstances")).body = Body::ResetInstance { instance, image, with: Box::new(with) };
    });
    planted("shares it", |world, plan| {
        let old = old_image(world);
        for step in of_action(plan, "ModifyImageSharePermission") {
            let Body::ShareImage { image, cancel, .. } = &mut call(step).body else { panic!("a share") };
            (*image, *cancel) = (Arg::Known(old.clone()), false);
        }
    });
}

#[test]
fn protected_images() {
    planted("deletes img-", |world, _| {
        for row in &mut world.recorded.objects {
            if let ObjectSpec::Image(spec) = Arc::make_mut(&mut row.spec) {
                spec.protect = true;
            }
        }
    });
}

/// Protected by the config, by the state alone, and against a reset as well.
#[test]
fn protected_instances() {
    let does_away = |found: &[String]| found.iter().any(|message| message.contains("does away with ins-"));
    let (world, mut wanted, plan) = replaced();
    wanted.fleets.get_mut(&Name::new("web")).expect("the fleet").protect = true;
    assert!(does_away(&found(&world, &wanted, &plan)));

    let (mut world, mut wanted, plan) = replaced();
    wanted.fleets.remove(&Name::new("web"));
    assert!(!does_away(&found(&world, &wanted, &plan)), "it is not protected");
    for row in &mut world.recorded.objects {
        if let ObjectSpec::Slot(spec) = Arc::make_mut(&mut row.spec) {
            spec.protect = true;
        }
    }
    assert!(does_away(&found(&world, &wanted, &plan)));

    let (world, mut wanted, mut plan) = replaced();
    wanted.fleets.get_mut(&Name::new("web")).expect("the fleet").protect = true;
    let instance = terminated(&mut plan)[0].clone();
    plan.steps.retain_mut(|step| matches!(&step.does, Do::Call(call) if call.body.action() == "TerminateInstances"));
    plan.steps.truncate(1);
    let step = &mut plan.steps[0];
    (step.id, step.needs) = (StepId(0), Vec::new());
    let with = Installation { login: Login::KeepImage, user_data: None, system_disk_gib: None, hostname: None };
    let image = Arg::Known(old_image(&world));
    call(step).body = Body::ResetInstance { instance, image, with: Box::new(with) };
    assert!(does_away(&found(&world, &wanted, &plan)));
}

#[test]
fn instances_that_end_twice() {
    planted("a second time", |_, plan| {
        let Body::TerminateInstances { instances } = &mut call(first(plan, "TerminateInstances")).body else {
            panic!("a termination")
        };
        instances.push(instances[0].clone());
    });
    for state in [InstanceState::Shutdown, InstanceState::Terminating] {
        planted("a second time", |world, plan| {
            let id = terminated(plan)[0].clone();
            instance(world, &id).state = state;
        });
    }
}

#[test]
fn a_call_about_several_billing_modes() {
    planted("terminates instances of several billing modes", |world, plan| {
        let ids = terminated(plan);
        assert!(ids.len() > 1);
        instance(world, &ids[0]).charge_type = "PREPAID".into();
        let all: Vec<_> = of_action(plan, "TerminateInstances").flat_map(|step| step.targets.clone()).collect();
        let step = first(plan, "TerminateInstances");
        step.targets = all;
        call(step).body = Body::TerminateInstances { instances: ids.into_iter().map(Arg::Known).collect() };
    });
}

#[test]
fn a_launch_outside_of_the_zones() {
    planted("which is none of the fleet's zones", |_, plan| {
        let Body::RunInstances(launch) = &mut call(first(plan, "RunInstances")).body else { panic!("a launch") };
        launch.zone = "ap-guangzhou-4".into();
    });
}

#[test]
fn more_out_of_service_than_is_allowed() {
    planted("instances out of service at once, and 1 are allowed", |_, plan| {
        let launches: BTreeSet<StepId> = of_action(plan, "RunInstances").map(|step| step.id).collect();
        for step in of_action(plan, "TerminateInstances") {
            step.needs.retain(|need| !launches.contains(&need.step()));
        }
    });
}

/// A slot whose gate fails would be taken for one that is good.
#[test]
fn what_is_taken_for_good_whatever_its_gate_sees() {
    let shop = Shop { tagged: true, ..Shop::new(2, "strategy: reset, max_unavailable: 1, min_ready: 10s") };
    let mut world = first_world(&shop).expect("a world");
    let wanted = desired(&Shop { script: 2, ..shop }.yaml());
    let mut plan = world.plan(&wanted).expect("a plan");
    for step in of_action(&mut plan, "TagResources") {
        let rows = || world.recorded.objects.iter().filter(|row| row.addr.block == web());
        for (row, target) in rows().zip(&mut step.targets) {
            target.id = Some(Arg::Known(row.cloud_id.clone()));
        }
        let Body::TagResources { resources, .. } = &mut call(step).body else { panic!("a call for tags") };
        for (row, resource) in rows().zip(resources) {
            resource.id = Arg::Known(row.cloud_id.clone());
        }
    }
    let found = found(&world, &wanted, &plan);
    assert!(found.iter().any(|message| message.contains("for good, whatever its gate sees")), "{found:#?}");
}

#[test]
fn a_step_that_waits_for_itself() {
    planted("which does not come before it", |_, plan| {
        let own = plan.steps[0].id;
        plan.steps[0].needs.push(Need::Success(own));
    });
}

/// Every sentence of the second opinion is one that a test here looks for: a new rule comes with a plan that breaks it.
#[test]
fn no_rule_goes_without_a_plan_that_breaks_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |file: &str| std::fs::read_to_string(root.join(file)).expect("a source");
    let tests = text("tests/planner/check.rs") + &text("tests/planner/broken.rs");
    let mut sentences = 0;
    for file in ["src/plan/check/mod.rs", "src/plan/check/fleets.rs", "src/plan/sound.rs"] {
        let source = text(file);
        let told = |by: &str| source.split(by).skip(1).map(str::to_owned).collect::<Vec<_>>();
        for said in told("wrong.push(format!(\"").iter().chain(&told("say(format!(\"")) {
            let Some((sentence, _)) = said.split_once('"') else { continue };
            // The longest piece between what is filled in; those of several rules are told by the words around them.
            let pieces = sentence.split(['{', '}']).step_by(2);
            let longest = pieces.max_by_key(|piece| piece.len()).unwrap_or_default().trim_matches([' ', ',', ':']);
            if longest.len() < 4 {
                continue;
            }
            sentences += 1;
            let words: Vec<&str> = longest.split(", ").collect();
            assert!(words.iter().any(|words| tests.contains(words.trim())), "{file}: no plan breaks {sentence:?}");
        }
    }
    assert!(sentences > 20, "only {sentences}");
}
