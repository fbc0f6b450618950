//! What a plan relies on: where it moved, the plan is refused; what else changes does not matter.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::public_image_id;
use serde_json::json;

use super::{SCRIPT, SHOP, refused, save};
use crate::crowded::launch_by_hand;
use crate::kit::{BOOT, FLEET, GZ, IMAGE, fleet, image, says};
use crate::rig::Rig;

const DEBIAN: &str = "Debian 12 64bit";

/// A fleet that keeps its instances when their disks are made anew.
fn resetting() -> Rig {
    let rig = fleet();
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    rig
}

/// What is to be done, what somebody does meanwhile, and what is said of it.
type Case = (&'static str, fn() -> Rig, fn(&Rig), fn(&Rig), &'static [&'static str]);

const CASES: [Case; 9] = [
    (
        "a reset, of what was reset by hand",
        resetting,
        |rig| rig.write(SCRIPT, "#!/bin/sh\necho two\n"),
        |rig| {
            let image = public_image_id(GZ, DEBIAN);
            rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": rig.id("fleet.web[2]"), "ImageId": image}));
            rig.wait_ms(600_000);
        },
        &["fleet.web[2]: ins-", "got another image since the plan was made", "running from img-", "it runs from img-"],
    ),
    (
        "a resize, of what was stopped by hand",
        fleet,
        |rig| rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8"),
        |rig| drop(rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [rig.id("fleet.web[0]")]}))),
        &["fleet.web[0]: somebody else worked on ins-", "(StopInstances)"],
    ),
    (
        "a resize, of what got another type by hand",
        fleet,
        |rig| rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8"),
        |rig| {
            let id = rig.id("fleet.web[0]");
            rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [id]}));
            rig.wait_ms(60_000);
            rig.by_hand(GZ, "ResetInstancesType", &json!({"InstanceIds": [id], "InstanceType": "S5.LARGE16"}));
            rig.wait_ms(60_000);
        },
        &["fleet.web[0]: ins-", "got another type", "of type S5.MEDIUM4", "it is of type S5.LARGE16"],
    ),
    (
        "a termination, of what is protected now",
        fleet,
        |rig| rig.edit(SHOP, "count: 5", "count: 3"),
        |rig| {
            let protect = json!({"InstanceIds": [rig.id("fleet.web[4]")], "DisableApiTermination": true});
            rig.by_hand(GZ, "ModifyInstancesAttribute", &protect);
        },
        &["fleet.web[4]: ins-", "was protected against termination", "not protected"],
    ),
    (
        "tags, of what was terminated by hand",
        fleet,
        |rig| rig.edit(SHOP, "app: web", "app: shop"),
        |rig| drop(rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [rig.id("fleet.web[1]")]}))),
        &["fleet.web[1]: ins-", "was terminated since the plan was made"],
    ),
    (
        "a capture, whose name was taken",
        || Rig::new(&[(SHOP, IMAGE), (SCRIPT, BOOT)]),
        |_| {},
        |rig| {
            let plan = rig.json("plan --json");
            let change = plan["changes"].as_array().into_iter().flatten().find(|change| change["kind"] == "image");
            let name = change.and_then(|change| change["name"].as_str()).expect("a name").to_owned();
            let ids = launch_by_hand(rig, GZ, "ap-guangzhou-4", 1);
            rig.wait_ms(600_000);
            rig.by_hand(GZ, "CreateImage", &json!({"ImageName": name, "InstanceId": ids[0]}));
        },
        &["image.web@", "the image name shop-default-web-", "was taken in ap-guangzhou", "bears that name"],
    ),
    (
        "a share, of what was shared by hand",
        image,
        |rig| rig.edit(SHOP, "\"100000000003\"]", "\"100000000004\"]"),
        |rig| {
            let id = rig.images(GZ).into_values().next().expect("an image");
            let body = json!({"ImageId": id, "AccountIds": ["100000000009"], "Permission": "SHARE"});
            rig.by_hand(GZ, "ModifyImageSharePermission", &body);
        },
        &["share.partners@", "the accounts that img-", "shared with 100000000002, 100000000003, 100000000009"],
    ),
    (
        "a launch, from an image that was deleted",
        image,
        |rig| {
            rig.edit(
                SHOP,
                "image: web\n    accounts: [\"100000000002\", \"100000000003\"]",
                "image: web\n    accounts: []",
            );
            rig.run("apply --auto-approve");
            rig.edit(SHOP, "count: 3", "count: 4");
        },
        |rig| {
            let id = rig.images(GZ).into_values().next().expect("an image");
            let accounts: Vec<String> = rig.shared(GZ, &id);
            if !accounts.is_empty() {
                let body = json!({"ImageId": id, "AccountIds": accounts, "Permission": "CANCEL"});
                rig.by_hand(GZ, "ModifyImageSharePermission", &body);
            }
            rig.by_hand(GZ, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
            rig.wait_ms(600_000);
        },
        &["fleet.web[3]: img-", "was deleted since the plan was made", "it is not there"],
    ),
    (
        "a deletion, of what is shared now",
        || {
            let unshared = IMAGE.replace(
                "shares:\n  partners:\n    image: web\n    accounts: [\"100000000002\", \"100000000003\"]\n",
                "",
            );
            let rig = Rig::new(&[(SHOP, &unshared), (SCRIPT, BOOT)]);
            rig.settle();
            rig
        },
        |rig| rig.edit(SHOP, "regions: [ap-guangzhou, ap-shanghai]", "regions: [ap-guangzhou]"),
        |rig| {
            let region = crate::kit::SH;
            let id = rig.images(region).into_values().next().expect("an image");
            let body = json!({"ImageId": id, "AccountIds": ["100000000009"], "Permission": "SHARE"});
            rig.by_hand(region, "ModifyImageSharePermission", &body);
        },
        &["image.web@", "the accounts that img-", "shared with nobody", "it is shared with 100000000009"],
    ),
];

#[test]
fn a_plan_whose_facts_moved_is_refused_and_names_them() {
    for (name, world, edit, meanwhile, words) in CASES {
        let rig = world();
        rig.wait_ms(600_000);
        edit(&rig);
        save(&rig);
        // Without the deed the same plan applies.
        let untouched = rig.fork();
        meanwhile(&rig);
        let ran = refused(&rig, "fact-moved");
        for part in words {
            let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat(&ran.err).contains(&flat(part)), "{name}: {part:?} is not in\n{}", ran.err);
        }
        says(&ran.err, "to plan again: fleetwright plan --out plan.json");
        untouched.run("apply plan.json").expect(Exit::Done);
        untouched.expect_no_changes();
    }
}

#[test]
fn what_changes_elsewhere_does_not_matter() {
    let two = format!(
        "{FLEET}  other:\n    image: ubuntu\n    count: 2\n    zones: [ap-guangzhou-3]\n    type: S5.MEDIUM4\n"
    );
    let rig = Rig::new(&[(SHOP, &two), (SCRIPT, "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig.write(SCRIPT, "#!/bin/sh\necho two\n");
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    save(&rig);
    let other = rig.id("fleet.other[0]");
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [rig.id("fleet.other[1]")]}));
    rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": other, "ImageId": public_image_id(GZ, DEBIAN)}));
    rig.wait_ms(600_000);
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({"InstanceIds": [other], "InstanceName": "mine"}));
    launch_by_hand(&rig, GZ, "ap-guangzhou-3", 2);
    rig.wait_ms(600_000);
    let mark = rig.mark();
    rig.run("apply plan.json").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), crate::kit::counts(&[("ResetInstance", 5)]));
    rig.change();
}

#[test]
fn what_is_gone_already_needs_no_termination() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 3");
    save(&rig);
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [rig.id("fleet.web[4]")]}));
    rig.wait_ms(600_000);
    rig.run("apply plan.json").expect(Exit::Done);
    rig.expect_no_changes();
    rig.expect_in_step();
}
