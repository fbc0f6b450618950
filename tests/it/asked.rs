//! What is asked for of single things: `--replace` and `--upgrade`.

use fleetwright::cli::Exit;
use fleetwright::cloud::call::{Body, Query, Reply};
use fleetwright::cloud::embedded::public_image_id;
use fleetwright::ops::Hooks;
use serde_json::json;

use crate::between::between;
use crate::changes::fields::with_keys;
use crate::kit::{GZ, NEW_VERSION, SH, counts, fleet, image, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
const LOCK: &str = "fleetwright.lock";
const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";

#[test]
fn a_slot_is_made_anew_and_no_other() {
    let rig = fleet();
    let before = rig.instances(GZ);
    let changed = rig.change_with("--replace fleet.web[1]", Default::default());
    insta::assert_snapshot!("replace_slot", changed.plan);
    changed.took(&[("TerminateInstances", 1), ("RunInstances", 1)]);
    let after = rig.instances(GZ);
    let other = after.iter().filter(|(name, id)| before.get(*name) != Some(*id)).count();
    assert_eq!((after.len(), other), (5, 1));
    let asked = rig.run("apply --replace fleet.web[0] --upgrade").expect(Exit::Failed);
    says(
        &asked.err,
        "to go on without being asked: fleetwright apply --replace 'fleet.web[0]' --upgrade --auto-approve",
    );
    // It bears a generation by which it is told from the one before, and can be asked for by it.
    rig.run("plan --replace fleet.web[1]#2").expect(Exit::Done);
    rig.run("plan --replace fleet.web[1]#1").expect(Exit::Usage);
}

/// As after an interrupted run that had destroyed it, and was settled.
#[test]
fn a_slot_that_is_gone_is_made_and_no_other() {
    let rig = fleet();
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [rig.id("fleet.web[1]")]}));
    rig.wait_ms(90_000);
    rig.run("refresh --auto-approve").expect(Exit::Done);
    for absent in ["fleet.web[5]", "fleet.web[1]#1"] {
        says(&rig.run(&format!("plan --replace {absent}")).expect(Exit::Usage).err, "the state has no such thing");
    }
    let others = rig.instances(GZ);
    rig.change_with("--replace fleet.web[1]", Default::default()).closes(1, 0, 0, 0).took(&[("RunInstances", 1)]);
    let after = rig.instances(GZ);
    assert!(after.len() == 5 && others.iter().all(|(name, id)| after.get(name) == Some(id)));
}

#[test]
fn a_fleet_is_made_anew_a_few_at_a_time() {
    let rig = fleet();
    let (hooks, worst) = rig.count_absent("shop-default-web", 5);
    let changed = rig.change_with("--replace fleet.web", hooks);
    changed.closes(5, 0, 0, 5).says("asked for by --replace");
    assert_eq!(*worst.lock().expect("no panic before"), 2);
    // A fleet that is reset for changes gets new instances all the same: that is what was asked for.
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    rig.change_with("--replace fleet.web[0] --replace fleet.web[4]", Default::default()).closes(2, 0, 0, 2);
}

#[test]
fn an_image_is_made_anew_with_all_that_follows() {
    let rig = image();
    let before = rig.images(SH);
    let changed = rig.change_with("--replace image.web", Default::default());
    insta::assert_snapshot!("replace_image", changed.plan);
    changed.took(&NEW_VERSION);
    let after = rig.images(SH);
    assert!(after.keys().all(|name| name.ends_with("-r2")) && after.len() == before.len(), "{after:?}");
}

#[test]
fn what_is_protected_is_not_replaced() {
    let rig = Rig::new(&[(SHOP, &with_keys("protect: true")), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    let mark = rig.mark();
    let refused = rig.run("apply --auto-approve --replace fleet.web[2]").expect(Exit::Guard);
    says(&refused.err, "fleet.web[2]");
    says(&refused.err, "would be replaced, but it is protected");
    assert_eq!(rig.mutations(mark), counts(&[]));
    let rig = image();
    rig.edit(SHOP, "    description:", "    protect: true\n    description:");
    rig.change();
    says(&rig.run("plan --replace image.web").expect(Exit::Guard).err, "image.web is protected");
}

#[test]
fn what_is_not_there_or_cannot_be_is_a_mistake_in_the_command_line() {
    let rig = image();
    for (args, what) in [
        ("--replace fleet.wbe", "did you mean fleet.web?"),
        ("--replace fleet.web[7]", "the state has no such thing"),
        ("--replace image.ubuntu", "it is only looked up, and made by others"),
        ("--replace share.partners", "a share cannot be replaced"),
        ("--replace fleet", "is not an address"),
        ("--upgrade=image.web", "it is neither public nor promoted"),
        ("--upgrade=image.ubunt", "did you mean image.ubuntu?"),
        ("--upgrade=fleet.web", "the config has no such image"),
    ] {
        let refused = rig.run(&format!("plan {args}")).expect(Exit::Usage);
        says(&refused.err, what);
    }
    let copy = rig.addrs().into_iter().find(|addr| addr.starts_with("image.web@")).expect("a copy");
    let refused = rig.run(&format!("plan --replace {copy}")).expect(Exit::Usage);
    says(&refused.err, "to make the version anew, in all regions: --replace image.web");
    for args in ["plan --destroy --replace fleet.web", "plan --refresh-only --upgrade", "apply p.json --upgrade"] {
        rig.run(args).expect(Exit::Usage);
    }
}

#[test]
fn a_saved_plan_replaces_what_was_asked_for() {
    let rig = fleet();
    rig.run("plan --replace fleet.web[0] --out plan.json").expect(Exit::Done);
    let mark = rig.mark();
    rig.run("apply plan.json").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("TerminateInstances", 1), ("RunInstances", 1)]));
    rig.expect_no_changes();
}

/// A cloud that has one more public image, newer than the others of its name.
fn newer() -> Hooks {
    between(|cloud, call, signed_ms| {
        let mut answer = cloud.call(call, signed_ms)?;
        if let (Body::Describe(Query::PublicImages { .. }), Reply::Images(page)) = (&call.body, &mut answer.reply)
            && let Some(found) = page.items.iter().find(|image| image.name == UBUNTU)
        {
            let mut newer = found.clone();
            newer.id = "img-0newer00".into();
            newer.created_ms += 86_400_000;
            page.items.push(newer);
            page.total += 1;
        }
        Ok(answer)
    })
}

#[test]
fn a_look_up_moves_on_when_that_is_asked_for() {
    let rig = fleet();
    let lock = rig.read(LOCK);
    let stays = rig.run_with("plan --detailed-exitcode", newer()).expect(Exit::Done);
    insta::assert_snapshot!("newer_match", stays.err);
    let moves = rig.run_with("plan --upgrade", newer()).expect(Exit::Done);
    // The image is made up here, so the cloud has no price for it.
    let unpriced = |out: &str| out.split("Cost:").next().unwrap_or_default().to_owned();
    insta::assert_snapshot!("upgrade", unpriced(&moves.out));
    let named = rig.run_with("plan --upgrade=image.ubuntu", newer()).expect(Exit::Done);
    assert_eq!(unpriced(&named.out), unpriced(&moves.out));
    let ran = rig.run_with("plan --upgrade --json", newer()).expect(Exit::Done);
    let plan: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let look_up = &plan["lookups"][0];
    assert_eq!((&look_up["id"], &look_up["was"]), (&json!("img-0newer00"), &json!(public_image_id(GZ, UBUNTU))));
    assert_eq!(rig.read(LOCK), lock, "a plan only shows");
    // Without anything newer there is nothing to move.
    rig.change_with("--upgrade", Default::default()).took(&[]);
    assert_eq!(rig.read(LOCK), lock);
}

#[test]
fn a_pin_that_is_gone_moves_on_and_the_lock_file_says_so() {
    let rig = fleet();
    let whole = rig.read(LOCK);
    rig.write(LOCK, &whole.replace(&public_image_id(GZ, UBUNTU), "img-00000000"));
    says(&rig.fails(Exit::Config).err, "fleetwright plan --upgrade=image.ubuntu");
    let saved = rig.fork();
    // The fleet runs from the newest already: the lock file is all that changes.
    rig.run("apply --auto-approve --upgrade=image.ubuntu").expect(Exit::Done);
    assert_eq!(rig.read(LOCK), whole);
    rig.expect_no_changes();
    saved.run("plan --upgrade --out plan.json").expect(Exit::Done);
    saved.run("apply plan.json").expect(Exit::Done);
    assert_eq!(saved.read(LOCK), whole);
}
