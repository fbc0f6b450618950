//! What goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fleetwright::cli::Exit;
use fleetwright::cloud::call::{Body, Class, Executed, Fault};
use fleetwright::cloud::embedded::Injection;
use serde_json::json;

use super::{APPLY, BUILD, PROVISION, RUNS_ON, SHOP, builders, home, nothing_stays, world};
use crate::between::between;
use crate::kit::{GZ, says};
use crate::rig::{Ran, Rig};

const KEEP: &str = "      timeout: 5m\n      on_failure: keep\n";

fn keeping() -> String {
    BUILD.replace("      timeout: 5m\n", KEEP)
}

/// The name that the image will bear.
fn image_name(config: &str, script: &str) -> String {
    let whole = world(config, script);
    whole.run(APPLY).expect(Exit::Done);
    whole.images(GZ).pop_first().expect("an image").0
}

/// An apply by which the image does not come to be.
#[track_caller]
fn gives_up(rig: &Rig) -> Ran {
    let ran = rig.run(APPLY);
    assert!(matches!(ran.exit, Exit::Partly | Exit::Failed), "{ran:?}");
    assert!(rig.images(GZ).is_empty() || home(rig).images.values().all(|image| image.state == "CREATEFAILED"));
    ran
}

#[test]
fn a_builder_that_is_never_ready_goes_when_the_time_is_over() {
    let rig = world(BUILD, RUNS_ON);
    let began = rig.now_ms();
    let ran = gives_up(&rig);
    says(&ran.err, "was not switched off within 300 s");
    assert!((300_000..600_000).contains(&(rig.now_ms() - began)));
    assert!(rig.addrs().is_empty(), "{:?}", rig.addrs());
    nothing_stays(&rig);
    // Nothing that needs the image was begun.
    assert!(rig.instances(GZ).is_empty());
    // Another script, and it works.
    rig.write("provision.sh", PROVISION);
    rig.settle();
    nothing_stays(&rig);
}

#[test]
fn a_fleet_runs_on_from_what_it_has_when_a_build_fails() {
    let rig = world(BUILD, PROVISION);
    rig.settle();
    let before = (rig.instances(GZ), rig.images(GZ));
    rig.write("provision.sh", &RUNS_ON.replace("shop", "shop 2"));
    let ran = rig.run(APPLY);
    assert!(matches!(ran.exit, Exit::Partly | Exit::Failed), "{ran:?}");
    assert_eq!((rig.instances(GZ), rig.images(GZ)), before);
    nothing_stays(&rig);
}

#[test]
fn a_launch_that_fails_is_made_again() {
    let image = image_name(BUILD, PROVISION);
    let rig = world(BUILD, PROVISION);
    rig.cloud().inject(Injection::LaunchFails { name: format!("{image}-builder-1") });
    let ran = gives_up(&rig);
    says(&ran.err, "the launch failed");
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "/builder#2");
    rig.settle();
    nothing_stays(&rig);
}

#[test]
fn a_capture_that_fails_is_made_again_on_another_builder() {
    let image = image_name(BUILD, PROVISION);
    let rig = world(BUILD, PROVISION);
    rig.cloud().inject(Injection::CaptureFails { name: image.clone() });
    gives_up(&rig);
    assert_eq!(builders(&rig), Vec::<String>::new(), "it goes all the same");
    let mark = rig.mark();
    rig.settle();
    let calls = rig.mutations(mark);
    assert_eq!((calls["DeleteImages"], calls["RunInstances"], calls["TerminateInstances"]), (1, 2, 1));
    nothing_stays(&rig);
}

#[test]
fn a_builder_that_is_kept_stays_until_the_next_attempt() {
    let config = keeping();
    let image = image_name(&config, PROVISION);
    let rig = world(&config, PROVISION);
    says(&rig.run("plan").expect(Exit::Done).out, "on failure: it stays until the next attempt");
    rig.cloud().inject(Injection::CaptureFails { name: image.clone() });
    gives_up(&rig);
    assert_eq!(builders(&rig), [format!("{image}-builder-1")]);
    assert!(rig.addrs().iter().any(|addr| addr.ends_with("/builder")), "{:?}", rig.addrs());
    // Nothing of it is drift, whatever is done to it.
    let id = rig.id(&rig.addrs().into_iter().find(|addr| addr.ends_with("/builder")).expect("the builder"));
    rig.by_hand(GZ, "StartInstances", &json!({ "InstanceIds": [id] }));
    rig.wait_ms(60_000);
    rig.run("drift").expect(Exit::Done);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "its build failed, and it was kept to be looked at");
    says(&plan, "/builder#2");
    says(&plan, "7 to add, 0 to change, 0 to reset, 2 to destroy");
    rig.settle();
    nothing_stays(&rig);
}

#[test]
fn a_kept_builder_goes_with_everything_else() {
    let rig = world(&keeping(), RUNS_ON);
    gives_up(&rig);
    assert_eq!(builders(&rig).len(), 1);
    // With its image, when the config no longer has that.
    let fork = rig.fork();
    let text = fork.read(SHOP);
    let (head, _) = text.split_once("  web:\n").expect("the image");
    fork.write(SHOP, head);
    says(&fork.run("plan").expect(Exit::Done).out, "no longer in the config");
    fork.settle();
    nothing_stays(&fork);
    // With another version, which is built in its place.
    rig.write("provision.sh", PROVISION);
    let fork = rig.fork();
    fork.settle();
    nothing_stays(&fork);
    // And when everything is destroyed.
    rig.run("destroy --auto-approve").expect(Exit::Done);
    nothing_stays(&rig);
    assert!(rig.addrs().is_empty());
}

#[test]
fn a_kept_builder_goes_when_all_is_well() {
    let rig = world(&keeping(), PROVISION);
    rig.change();
    nothing_stays(&rig);
}

/// Somebody stops an apply while the builder prepares itself.
fn interrupted(config: &str, script: &str) -> Rig {
    let rig = world(config, script);
    let stop = rig.stop();
    let polls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&polls);
    let hooks = between(move |cloud, call, signed_ms| {
        let launched = seen.load(Ordering::SeqCst);
        if matches!(call.body, Body::RunInstances(_)) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        // The builder runs by then, and is waited for.
        if matches!(call.body, Body::Describe(_)) && launched > 0 && seen.fetch_add(1, Ordering::SeqCst) > 8 {
            stop.raise();
        }
        cloud.call(call, signed_ms)
    });
    rig.run_with(APPLY, hooks).expect(Exit::Interrupted);
    rig.go_on();
    assert_eq!(builders(&rig).len(), 1, "{polls:?}");
    rig
}

#[test]
fn an_interrupted_build_goes_on_with_the_same_builder() {
    let rig = interrupted(BUILD, PROVISION);
    let plan = rig.run("plan").expect(Exit::Done).out;
    insta::assert_snapshot!("taken_up", plan);
    let mark = rig.mark();
    rig.settle();
    let calls = rig.mutations(mark);
    assert_eq!(
        (calls["RunInstances"], calls["CreateImage"], calls["TerminateInstances"]),
        (1, 1, 1),
        "the fleet's launch"
    );
    nothing_stays(&rig);
}

#[test]
fn an_interrupted_build_whose_builder_is_of_no_use_is_begun_anew() {
    // It was terminated by hand: that is no drift, and there is another one.
    let rig = interrupted(BUILD, PROVISION);
    let id = rig.instances(GZ).pop_first().expect("the builder").1;
    rig.by_hand(GZ, "TerminateInstances", &json!({ "InstanceIds": [id] }));
    rig.wait_ms(120_000);
    rig.run("drift").expect(Exit::Done);
    says(&rig.run("plan").expect(Exit::Done).out, "/builder#2");
    rig.settle();
    nothing_stays(&rig);
    // Its time is over, and it is not ready.
    let rig = interrupted(BUILD, RUNS_ON);
    rig.wait_ms(600_000);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "/builder#2");
    says(&plan, "a builder is there only while its image is made");
    // Its time is over, and it is ready: it is captured.
    let rig = interrupted(BUILD, PROVISION);
    rig.wait_ms(600_000);
    let mark = rig.mark();
    rig.settle();
    assert_eq!(rig.mutations(mark)["RunInstances"], 1);
    nothing_stays(&rig);
    // The config wants something else of it.
    let rig = interrupted(BUILD, PROVISION);
    rig.edit(SHOP, "      type: S5.MEDIUM4", "      type: S5.LARGE8");
    says(&rig.run("plan").expect(Exit::Done).out, "/builder#2");
    rig.settle();
    nothing_stays(&rig);
    // Its image is no longer in the config, or all is destroyed.
    let rig = interrupted(BUILD, PROVISION);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    nothing_stays(&rig);
}

/// The builder could not be terminated: the next apply does it.
#[test]
fn a_builder_that_was_left_behind_goes_with_the_next_apply() {
    let rig = world(BUILD, PROVISION);
    let hooks = between(move |cloud, call, signed_ms| match matches!(call.body, Body::TerminateInstances { .. }) {
        true => Err(Fault {
            class: Class::Denied,
            code: Some("UnauthorizedOperation".into()),
            message: "not allowed".into(),
            request_id: None,
            executed: Executed::No,
            cloud_ms: None,
        }),
        false => cloud.call(call, signed_ms),
    });
    rig.run_with(APPLY, hooks).expect(Exit::Partly);
    assert_eq!(builders(&rig).len(), 1);
    assert_eq!(rig.images(GZ).len(), 1, "the image is made");
    rig.run("drift").expect(Exit::Done);
    let refreshed = rig.run("refresh --auto-approve").expect(Exit::Done);
    assert!(!refreshed.out.contains("builder"), "{}", refreshed.out);
    let changed = rig.change();
    changed.closes(0, 0, 0, 1).says("a builder is there only while its image is made");
    changed.took(&[("TerminateInstances", 1)]);
    nothing_stays(&rig);
}
