//! Instances that were deleted, renamed, stopped, resized or reset by hand, and creations that failed.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{Injection, public_image_id};
use serde_json::json;

use crate::kit::{BOOT, FLEET, GZ, IMAGE, counts, fleet, image, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

fn terminate(rig: &Rig, ids: &[&str]) {
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": ids}));
}

#[test]
fn a_deleted_instance_is_made_again_under_its_name() {
    let rig = fleet();
    let (lost, also) = (rig.id("fleet.web[1]"), rig.id("fleet.web[4]"));
    terminate(&rig, &[&lost, &also]);
    rig.wait_ms(5_000);
    let names: Vec<String> = rig.instances(GZ).into_keys().collect();
    assert_eq!(names.len(), 3);
    let changed = rig.change();
    insta::assert_snapshot!("instance_deleted", changed.plan);
    changed.took(&[("RunInstances", 2)]);
    assert_eq!(rig.instances(GZ).len(), 5);
    assert_ne!(rig.id("fleet.web[1]#2"), lost);
}

#[test]
fn an_instance_that_is_being_destroyed_is_waited_for() {
    let rig = fleet();
    let lost = rig.id("fleet.web[1]");
    terminate(&rig, &[&lost]);
    assert_eq!(rig.instance(&lost).state, "TERMINATING");
    rig.change().closes(1, 0, 0, 0).says("deleted outside").took(&[("RunInstances", 1)]);
}

#[test]
fn a_fleet_that_shrinks_gives_up_what_is_lost_already() {
    let rig = fleet();
    terminate(&rig, &[&rig.id("fleet.web[0]")]);
    rig.wait_ms(5_000);
    rig.edit(SHOP, "count: 5", "count: 4");
    rig.change().closes(0, 0, 0, 0).took(&[]);
    rig.edit(SHOP, "count: 4", "count: 3");
    rig.change().closes(0, 0, 0, 1).took(&[("TerminateInstances", 1)]);
}

#[test]
fn all_of_a_fleet_deleted_is_all_of_it_made_again() {
    let rig = fleet();
    let ids: Vec<String> = rig.instances(GZ).into_values().collect();
    terminate(&rig, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    rig.wait_ms(5_000);
    rig.change().closes(5, 0, 0, 0).took(&[("RunInstances", 2)]);
}

#[test]
fn what_is_renamed_tagged_or_regrouped_by_hand_is_put_right() {
    let rig = fleet();
    let ids: Vec<String> = (0..3).map(|n| rig.id(&format!("fleet.web[{n}]"))).collect();
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({"InstanceIds": [ids[0]], "InstanceName": "mine"}));
    let resource = format!("qcs::cvm:{GZ}:uin/100000000001:instance/{}", ids[1]);
    rig.by_hand(GZ, "UnTagResources", &json!({"ResourceList": [resource], "TagKeys": ["app", "fleetwright"]}));
    let resource = format!("qcs::cvm:{GZ}:uin/100000000001:instance/{}", ids[2]);
    let tags = json!([{"TagKey": "app", "TagValue": "mine"}, {"TagKey": "note", "TagValue": "hands off"}]);
    rig.by_hand(GZ, "TagResources", &json!({"ResourceList": [resource], "Tags": tags}));
    rig.wait_ms(1_000);
    let changed = rig.change();
    insta::assert_snapshot!("instances_put_right", changed.plan);
    changed.took(&[("ModifyInstancesAttribute", 1), ("TagResources", 2)]);
    assert_eq!(rig.instance(&ids[0]).name, "shop-default-web-3-0");
    assert_eq!(rig.instance(&ids[2]).tags.get("note").map(String::as_str), Some("hands off"), "not ours");
}

#[test]
fn another_type_given_by_hand_is_taken_back() {
    let rig = fleet();
    let id = rig.id("fleet.web[3]");
    rig.by_hand(
        GZ,
        "ResetInstancesType",
        &json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true}),
    );
    rig.wait_ms(10_000);
    let changed = rig.change();
    insta::assert_snapshot!("instance_resized", changed.plan);
    changed.took(&[("StopInstances", 1), ("ResetInstancesType", 1), ("StartInstances", 1)]);
    // Where the config comes to say the same, there is nothing to do but to know it.
    rig.by_hand(
        GZ,
        "ResetInstancesType",
        &json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true}),
    );
    rig.wait_ms(10_000);
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    rig.change().closes(0, 5, 0, 0).took(&[("StopInstances", 2), ("ResetInstancesType", 4), ("StartInstances", 2)]);
}

#[test]
fn another_image_given_by_hand_is_taken_back() {
    let windows = public_image_id(GZ, "Debian 12 64bit");
    for (strategy, wanted) in
        [("reset", vec![("ResetInstance", 1)]), ("replace", vec![("TerminateInstances", 1), ("RunInstances", 1)])]
    {
        let rig = fleet();
        rig.edit(SHOP, "strategy: replace", &format!("strategy: {strategy}"));
        let id = rig.id("fleet.web[3]");
        rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": id, "ImageId": windows}));
        rig.wait_ms(10_000);
        assert_eq!(rig.instance(&id).image, windows);
        let changed = rig.change();
        changed.says("changed outside (image)").says(&format!("image: {windows} → img-ymd786dt"));
        changed.took(&wanted);
    }
}

#[test]
fn what_is_switched_off_by_hand_is_shown_and_stays_off() {
    let rig = fleet();
    let id = rig.id("fleet.web[2]");
    rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [id]}));
    rig.wait_ms(5_000);
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    insta::assert_snapshot!("instance_stopped", planned.out);
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[]));
    // It gets its new type, and goes on being off.
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    rig.change().took(&[("StopInstances", 2), ("ResetInstancesType", 5), ("StartInstances", 2)]);
    assert_eq!(rig.instance(&id).state, "STOPPED");
}

#[test]
fn a_builder_that_switched_itself_off_is_as_it_should_be() {
    let rig = image();
    rig.wait_ms(60_000);
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    assert_eq!(planned.out, "No changes. The cloud matches the config.\n");
    // Deleted by hand, it is made again; the image is captured, and stays.
    terminate(&rig, &[&rig.id("fleet.builder[0]")]);
    rig.wait_ms(5_000);
    rig.change().closes(1, 0, 0, 0).took(&[("RunInstances", 1)]);
}

#[test]
fn what_is_under_way_is_waited_for() {
    let rig = fleet();
    let id = rig.id("fleet.web[2]");
    rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [id]}));
    rig.wait_ms(5_000);
    rig.by_hand(GZ, "StartInstances", &json!({"InstanceIds": [id]}));
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("instance_starting", planned.out);
    rig.change().took(&[]);
}

#[test]
fn a_protected_instance_keeps_its_fleet_from_shrinking() {
    let rig = fleet();
    let id = rig.id("fleet.web[4]");
    let protect = json!({"InstanceIds": [id], "DisableApiTermination": true});
    rig.by_hand(GZ, "ModifyInstancesAttribute", &protect);
    rig.edit(SHOP, "count: 5", "count: 4");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Guard);
    insta::assert_snapshot!("instance_protected", refused.err);
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn a_launch_that_fails_is_forgotten_and_made_again() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-1".into() });
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("launch_failed", failed.out);
    let changed = rig.change();
    insta::assert_snapshot!("launch_again", changed.plan);
    changed.took(&[("RunInstances", 1)]);
}

#[test]
fn a_failed_launch_is_never_in_a_batch_of_terminations() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-1".into() });
    rig.fails(Exit::Partly);
    let mark = rig.mark();
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("TerminateInstances", 1)]));
    assert_eq!(rig.addrs(), Vec::<String>::new());
}

#[test]
fn a_reset_that_fails_later_is_a_failure_and_is_made_again() {
    let reset = FLEET.replace("strategy: replace, max_unavailable: 2", "strategy: reset, max_unavailable: 5");
    let rig = Rig::new(&[(SHOP, &reset), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    let id = rig.id("fleet.web[2]");
    rig.edit(SHOP, "22.04", "24.04");
    rig.edit(SHOP, "app: web", "app: store");
    rig.cloud().inject(Injection::ResetFails { instance: id.clone() });
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("reset_failed", failed.out);
    assert_eq!(rig.instance(&id).image, public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit"));
    let changed = rig.change();
    changed.closes(0, 0, 1, 0).says("the last reset failed").says("fleet.web[2]");
    changed.took(&[("ResetInstance", 1), ("TagResources", 1)]);
    assert_eq!(rig.instance(&id).image, public_image_id(GZ, "Ubuntu Server 24.04 LTS 64bit"));
}

#[test]
fn a_rollout_stops_at_the_first_slot_that_fails() {
    let reset = FLEET.replace("strategy: replace, max_unavailable: 2", "strategy: reset, max_unavailable: 1");
    let rig = Rig::new(&[(SHOP, &reset), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig.edit(SHOP, "22.04", "24.04");
    rig.cloud().inject(Injection::ResetFails { instance: rig.id("fleet.web[2]") });
    let mark = rig.mark();
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("rollout_stopped", failed.out);
    assert_eq!(rig.mutations(mark), counts(&[("ResetInstance", 2)]), "zone by zone: [0], and [2] that failed");
    rig.change().took(&[("ResetInstance", 4)]);
}

#[test]
fn a_replacement_that_cannot_launch_stops_the_rollout() {
    let rig = fleet();
    rig.edit(SHOP, "22.04", "24.04");
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-1".into() });
    let failed = rig.fails(Exit::Partly);
    says(&failed.out, "fleet.web[2]#2 RunInstances in ap-guangzhou: the launch failed");
    let running = rig.instances(GZ).values().filter(|id| rig.instance(id).state == "RUNNING").count();
    assert_eq!(running, 4, "three that were never touched, and one that is new");
    rig.change();
    assert_eq!(rig.instances(GZ).values().filter(|id| rig.instance(id).state == "RUNNING").count(), 5);
}

#[test]
fn a_builder_that_is_never_ready_fails_its_image_and_nothing_else() {
    let never = IMAGE.replace("ready: stopped", "ready: stopped, timeout: 60s");
    let rig = Rig::new(&[(SHOP, &never), ("boot.sh", "#!/bin/sh\necho forgot to power off\n")]);
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("builder_never_ready", failed.out);
    rig.write("boot.sh", BOOT);
    rig.change();
}

#[test]
fn a_zone_that_is_sold_out_fails_its_slots_and_no_others() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let code = "ResourceInsufficient.SpecifiedInstanceType".into();
    rig.cloud().inject(Injection::Refuse { action: "RunInstances".into(), code, times: 1 });
    let failed = rig.fails(Exit::Partly);
    let refused = "RunInstances in ap-guangzhou: ResourceInsufficient.SpecifiedInstanceType";
    says(&failed.out, &format!("Done: + fleet.web[1,3] Failed: fleet.web[0,2,4] {refused}"));
    says(&failed.out, "help: choose another zone or another type, or wait until there is more");
    rig.change().closes(3, 0, 0, 0).took(&[("RunInstances", 1)]);
    assert_eq!(rig.addrs(), ["fleet.web[0]", "fleet.web[1]", "fleet.web[2]", "fleet.web[3]", "fleet.web[4]"]);
}
