//! Every example, from its first plan to nothing left.

use std::path::Path;

use fleetwright::cli::Exit;

use crate::kit::says;
use crate::rig::{OWNER, Rig};

/// Plan, apply, nothing to do, a change, destroy; and nothing of ours is left in any account.
fn walk(name: &str, change: impl FnOnce(&Rig)) {
    walk_in(&Rig::of_example(name), name, change);
}

fn walk_in(rig: &Rig, name: &str, change: impl FnOnce(&Rig)) {
    rig.run("validate").expect(Exit::Done);
    let plan = rig.run("plan").expect(Exit::Done);
    golden(name, &plan.out);
    assert!(!rig.dir().join("state").exists(), "a plan writes nothing");
    assert!(!rig.dir().join("fleetwright.lock").exists(), "a plan writes nothing");
    rig.run("plan --detailed-exitcode").expect(Exit::Changes);
    rig.settle();

    let mark = rig.mark();
    let again = rig.run("apply --auto-approve").expect(Exit::Done);
    assert!(again.out.contains("No changes."), "{}", again.out);
    assert_eq!(rig.mutations(mark).len(), 0, "an apply without changes changes nothing");

    change(rig);
    rig.run("plan --detailed-exitcode").expect(Exit::Changes);
    rig.settle();
    rig.run("destroy --auto-approve").expect(Exit::Done);
    // What was paid for in advance stays in the recycle bin for seven days.
    rig.wait_ms(8 * 24 * 3_600_000);
    let holdings = rig.holdings();
    assert!(holdings.nothing_of(OWNER), "{holdings:#?}");
    let state = rig.run("state list").expect(Exit::Done);
    assert_eq!(state.out, "", "nothing is left in the state");
}

/// The plan that the example shows to its readers; `UPDATE_GOLDENS=1` writes it anew.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "goldens are written anew on request")]
fn golden(name: &str, plan: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("plan.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&file, plan).expect("written");
    }
    let expected = std::fs::read_to_string(&file).expect("the example's plan");
    assert_eq!(expected, plan, "run with UPDATE_GOLDENS=1 where the new plan is right");
}

#[test]
fn quickstart() {
    walk("01-quickstart", |rig| rig.edit("fleet.yaml", "count: 3", "count: 5"));
}

#[test]
fn golden_image() {
    walk("02-golden-image", |rig| rig.edit("provision.sh", "hello from the shop", "hello again"));
}

/// What is protected stays until the config says that it need not; what is prepaid stays in the recycle bin for a week.
#[test]
fn import() {
    walk("03-import", |rig| {
        let refused = rig.run("destroy --auto-approve").expect(Exit::Guard);
        for what in ["fleet.ledger[0]", "image.ledger"] {
            assert!(refused.err.contains(what), "{}", refused.err);
        }
        says(&refused.err, "set `protect: false` in fleets.ledger, apply, and then destroy it");
        rig.edit("images.yaml", "protect: true                   #", "protect: false                  #");
        rig.edit("fleets.yaml", "    protect: true\n", "    protect: false\n");
        rig.run("apply --auto-approve").expect(Exit::Done);
        rig.edit("fleets.yaml", "hostname: \"standby-{ordinal}\"", "hostname: \"spare-{ordinal}\"");
    });
}

#[test]
fn shared_and_marketplace() {
    walk("04-shared-and-marketplace", |rig| {
        rig.edit("config.yaml", "count: 2\n    zones: [ap-guangzhou-3]\n", "count: 3\n    zones: [ap-guangzhou-3]\n");
    });
}

/// A build takes as long as its script, and nothing of it stays.
#[test]
fn image_pipeline() {
    walk("05-image-pipeline", |rig| rig.edit("provision.sh", "hello from the shop", "hello again"));
}

#[test]
fn rolling_update() {
    walk("06-rolling-update", |rig| rig.edit("provision.sh", "hello from the shop", "hello again"));
}

/// What its README tells.
#[test]
fn a_rolling_update_goes_back_by_itself() {
    let rig = Rig::of_example("06-rolling-update");
    rig.settle();
    let good = rig.images("ap-guangzhou");
    let running = || {
        let ids = rig.instances("ap-guangzhou").into_values();
        ids.map(|id| rig.instance(&id).image).collect::<std::collections::BTreeSet<String>>()
    };
    let before = running();
    rig.edit("provision.sh", "\npoweroff\n", "\n# sim: baked http status=500\npoweroff\n");
    let ran = rig.run("apply --auto-approve").expect(Exit::Partly);
    says(&ran.err, "http 500 in place of 200");
    assert_eq!(running(), before, "what ran before runs again");
    assert_eq!(rig.instances("ap-guangzhou").len(), 6);
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark).len(), 0, "the same is not rolled out again");
    rig.run("apply --auto-approve --retry").expect(Exit::Partly);
    assert_eq!(running(), before);
    let told = rig.run("history").expect(Exit::Done);
    says(&told.out, "rollback");
    says(&rig.run("images").expect(Exit::Done).out, "quarantined");
    rig.edit("provision.sh", "baked http status=500", "baked well");
    rig.settle();
    assert!(running().is_disjoint(&good.into_values().collect()), "the next version is another one");
}
