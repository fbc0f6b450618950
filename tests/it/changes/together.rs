//! Changes that come together, and blocks that change their names.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use serde_json::json;

use crate::kit::{BOOT, FLEET, GZ, IMAGE, NEW_VERSION, SH, fleet, image, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

#[test]
fn a_share_block_of_another_name_makes_no_call() {
    let rig = image();
    rig.edit(SHOP, "  partners:", "  resellers:");
    let changed = rig.change();
    insta::assert_snapshot!("share_renamed", changed.plan);
    changed.took(&[]);
    assert_eq!(rig.shared(SH, &rig.images(SH).into_values().next().expect("an image")).len(), 2);
    // With one account less, only that one goes.
    rig.edit(SHOP, "  resellers:", "  friends:");
    rig.edit(SHOP, ", \"100000000003\"]", "]");
    rig.change().took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!(rig.shared(SH, &rig.images(SH).into_values().next().expect("an image")), ["100000000002"]);
}

#[test]
fn a_fleet_of_another_name_is_another_fleet() {
    let rig = fleet();
    rig.edit(SHOP, "  web:\n    image", "  front:\n    image");
    rig.change().closes(5, 0, 0, 5).took(&[("RunInstances", 2), ("TerminateInstances", 1)]);
}

#[test]
fn an_image_block_of_another_name_is_another_image() {
    let rig = image();
    let text = rig.read(SHOP);
    let text =
        text.replace("  web:\n    from_instance", "  shop:\n    from_instance").replace("image: web", "image: shop");
    rig.write(SHOP, &text);
    rig.change().closes(7, 0, 0, 7).took(&NEW_VERSION);
    assert_eq!(rig.images(GZ).len(), 1);
}

#[test]
fn a_share_moves_to_another_image() {
    let two = IMAGE
        .replace("shares:", "  other:\n    from_instance: { instance: \"fleet.builder[0]\", ready: stopped }\nshares:");
    let rig = Rig::new(&[(SHOP, &two), ("boot.sh", BOOT)]);
    rig.settle();
    rig.edit(SHOP, "    image: web\n    accounts", "    image: other\n    accounts");
    rig.change().took(&[("ModifyImageSharePermission", 3)]);
}

#[test]
fn growing_shrinking_and_changing_at_once_stays_within_what_is_allowed() {
    for (count, wanted) in [
        (7, vec![("RunInstances", 2 + 4), ("TerminateInstances", 3)]),
        (4, vec![("RunInstances", 2), ("TerminateInstances", 1 + 2)]),
    ] {
        let rig = fleet();
        rig.edit(SHOP, "count: 5", &format!("count: {count}"));
        rig.edit(SHOP, "22.04", "24.04");
        let (hooks, worst) = rig.count_absent("shop-default-web-", count.min(5));
        let changed = rig.change_with("", hooks);
        assert!(*worst.lock().expect("a count") <= 2, "{count}");
        assert_eq!(changed.calls.get("TerminateInstances"), Some(&wanted[1].1), "{}", changed.plan);
        assert!(changed.calls.get("RunInstances") <= Some(&wanted[0].1), "{:?}", changed.calls);
    }
}

#[test]
fn what_is_missing_is_back_before_anything_else_is_taken_out() {
    let rig = fleet();
    rig.edit(SHOP, "max_unavailable: 2", "max_unavailable: 1");
    let lost = rig.id("fleet.web[1]");
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [lost]}));
    rig.wait_ms(5_000);
    rig.edit(SHOP, "22.04", "24.04");
    let (hooks, worst) = rig.count_absent("shop-default-web-", 5);
    let changed = rig.change_with("", hooks);
    changed.closes(5, 0, 0, 4).took(&[("RunInstances", 5), ("TerminateInstances", 4)]);
    assert_eq!(*worst.lock().expect("a count"), 1);
}

#[test]
fn a_fleet_may_be_empty_for_a_while() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 0");
    rig.change().closes(0, 0, 0, 5).took(&[("TerminateInstances", 1)]);
    rig.edit(SHOP, "count: 0", "count: 2");
    rig.change().closes(2, 0, 0, 0).took(&[("RunInstances", 2)]);
}

#[test]
fn a_protected_instance_is_reset_but_not_replaced() {
    let rig = fleet();
    let id = rig.id("fleet.web[4]");
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({"InstanceIds": [id], "DisableApiTermination": true}));
    rig.edit(SHOP, "22.04", "24.04");
    says(&rig.fails(Exit::Guard).err, "would be replaced, but the cloud protects it against termination");
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    rig.change().closes(0, 0, 5, 0);
}

#[test]
fn a_builder_is_captured_when_its_own_changes_are_over() {
    let running = IMAGE
        .replace("ready: stopped }", "power_off: false }\n    version: \"7\"")
        .replace("    count: 1\n", "    count: 1\n    tags: { role: builder }\n");
    for latency in [Latency::Quick, Latency::Realistic] {
        let settings = Settings { log: true, ..Settings::new(latency, Limits::EMBEDDED, 7) };
        let rig = Rig::with(&[(SHOP, &running), ("boot.sh", "#!/bin/sh\necho shop\n")], settings);
        rig.settle();
        rig.edit(SHOP, "version: \"7\"", "version: \"8\"");
        rig.edit(
            SHOP,
            "    zones: [ap-guangzhou-3]\n    type: S5.MEDIUM4\n    user_data",
            "    zones: [ap-guangzhou-3]\n    network: { security_groups: [sg-0a1b2c3d] }\n    type: S5.LARGE8\n    user_data",
        );
        let mark = rig.mark();
        let builder =
            [("StopInstances", 1), ("ResetInstancesType", 1), ("StartInstances", 1), ("ModifyInstancesAttribute", 1)];
        rig.change().took(&[&builder[..], &NEW_VERSION].concat());
        rig.expect_nothing_refused(mark);
    }
}

#[test]
fn an_image_leaves_a_region_where_a_fleet_runs_from_it() {
    let there = IMAGE.replace(
        "    count: 3\n    zones: [ap-guangzhou-3]",
        "    count: 3\n    region: ap-shanghai\n    zones: [ap-shanghai-2]",
    );
    let rig = Rig::new(&[(SHOP, &there), ("boot.sh", BOOT)]);
    rig.settle();
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou]");
    says(&rig.fails(Exit::Config).err, "error[image-not-in-region]");
    rig.edit(SHOP, "[ap-guangzhou]\n", "[ap-shanghai]\n");
    says(&rig.fails(Exit::Config).err, "image `web` is made in `ap-guangzhou`, which is not among");
}

#[test]
fn a_version_rolls_through_two_regions() {
    let two = IMAGE.replace(
        "  builder:",
        "  far:\n    image: web\n    count: 2\n    region: ap-shanghai\n    zones: [ap-shanghai-2]\n    type: S5.MEDIUM4\n    \
         login: { keep_image_login: true }\n    update: { strategy: reset, max_unavailable: 2 }\n  builder:",
    );
    let rig = Rig::new(&[(SHOP, &two), ("boot.sh", BOOT)]);
    rig.settle();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let changed = rig.change();
    assert_eq!(changed.calls.get("ResetInstance"), Some(&2));
    changed.closes(8, 0, 2, 8);
    let far = rig.instances(SH);
    let holdings = rig.holdings();
    let digest = blake3::hash(rig.read("boot.sh").as_bytes()).to_hex().to_string();
    for id in far.values() {
        let held = holdings.of(crate::rig::OWNER, SH).and_then(|held| held.instances.get(id)).expect("there");
        assert_eq!(held.content.provisioned, std::slice::from_ref(&digest));
    }
}

#[test]
fn both_ways_at_once_undo_each_other() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    let before = rig.instances(GZ);
    rig.edit(SHOP, "app: web", "app: store");
    rig.change();
    rig.edit(SHOP, "app: store", "app: web");
    rig.change();
    assert_eq!(rig.instances(GZ), before);
}

#[test]
fn where_a_quota_leaves_no_room_the_old_version_goes_first() {
    let limits = Limits { images_per_region: 1, ..Limits::EMBEDDED };
    let (head, tail) = IMAGE.split_once("shares:\n").expect("shares");
    let alone = format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1);
    let rig = Rig::with(&[(SHOP, &alone), ("boot.sh", BOOT)], Settings { limits, ..crate::kit::quick() });
    rig.settle();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("no_room_for_both", planned.err);
    let changed = rig.change();
    assert_eq!(changed.calls.get("DeleteImages"), Some(&2));
    // What others may launch from does not go before its successor is there.
    rig.write(SHOP, IMAGE);
    rig.settle();
    rig.write("boot.sh", BOOT);
    says(&rig.fails(Exit::Infeasible).err, "error[image-quota]");
}
