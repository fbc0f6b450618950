//! What protects instances, switches them off, and pays for them in advance.

use fleetwright::cli::Exit;
use serde_json::json;

use super::fields::with_keys;
use crate::between::losing;
use crate::kit::{BOOT, FLEET, GZ, IMAGE, counts, fleet, says};
use crate::rig::Rig;

const WEB: &str = "shop.yaml";
const PREPAID: &str = "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }";

fn having(keys: &str) -> Rig {
    let rig = Rig::new(&[(WEB, &with_keys(keys)), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig
}

#[test]
fn what_is_protected_is_neither_destroyed_nor_replaced_reset_or_moved() {
    for (from, to, what) in [
        ("count: 5", "count: 3", "fleet.web[3,4] would be destroyed, but it is protected"),
        ("image: ubuntu", "image: debian", "fleet.web[0..4] would be replaced, but it is protected"),
        ("[ap-guangzhou-3, ap-guangzhou-4]", "[ap-guangzhou-3]", "fleet.web[1,3] would be moved to another zone"),
    ] {
        let rig = having("protect: true");
        rig.edit(WEB, from, to);
        let mark = rig.mark();
        let refused = rig.fails(Exit::Guard);
        says(&refused.err, what);
        says(&refused.err, "set `protect: false`, apply, and then make the change");
        assert_eq!(rig.mutations(mark), counts(&[]));
    }
    let rig = having("protect: true");
    rig.edit(WEB, "strategy: replace", "strategy: reset");
    rig.edit(WEB, "image: ubuntu", "image: debian");
    says(&rig.fails(Exit::Guard).err, "fleet.web[0..4] would be reset, but it is protected");
}

#[test]
fn what_was_protected_stays_when_its_block_goes() {
    let rig = having("protect: true");
    let text = rig.read(WEB);
    rig.write(WEB, text.split("fleets:").next().expect("a head"));
    let refused = rig.fails(Exit::Guard);
    insta::assert_snapshot!("protected_block_gone", refused.err);
    let destroyed = rig.run("destroy --auto-approve").expect(Exit::Guard);
    says(&destroyed.err, "fleet.web[0..4] would be destroyed");
    assert_eq!(rig.instances(GZ).len(), 5);
}

#[test]
fn protection_that_the_config_takes_back_goes_before_what_is_lost() {
    let rig = having("protect: true");
    rig.edit(WEB, "protect: true", "protect: false");
    rig.edit(WEB, "count: 5", "count: 3");
    rig.change().closes(0, 3, 0, 2).took(&[("ModifyInstancesAttribute", 1), ("TerminateInstances", 1)]);
    let rig = having("protect: true");
    rig.edit(WEB, "protect: true", "protect: false");
    rig.edit(WEB, "image: ubuntu", "image: debian");
    rig.change().closes(5, 0, 0, 5).took(&[
        ("ModifyInstancesAttribute", 1),
        ("TerminateInstances", 3),
        ("RunInstances", 3),
    ]);
}

#[test]
fn a_reset_without_a_login_is_refused() {
    let rig = Rig::new(&[
        (WEB, &FLEET.replace("    login: { key_ids: [skey-8a7c6b5d] }\n", "").replace("y: replace", "y: reset")),
        ("boot.sh", "#!/bin/sh\necho one\n"),
    ]);
    rig.settle();
    rig.edit(WEB, "22.04", "24.04");
    let refused = rig.fails(Exit::Config);
    insta::assert_snapshot!("reset_without_login", refused.err);
    rig.edit(WEB, "    tags:", "    login: { key_ids: [skey-8a7c6b5d] }\n    tags:");
    rig.change().closes(0, 0, 5, 0).took(&[("ResetInstance", 5)]);
}

#[test]
fn new_instances_of_a_fleet_that_is_off_are_switched_off() {
    let rig = Rig::new(&[(WEB, &with_keys("state: stopped")), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.change().closes(5, 0, 0, 0).took(&[("RunInstances", 2), ("StopInstances", 1)]);
    // What a reset starts is switched off again, and another type needs no start.
    rig.edit(WEB, "strategy: replace", "strategy: reset");
    rig.edit(WEB, "image: ubuntu", "image: debian");
    rig.change().closes(0, 0, 5, 0).took(&[("ResetInstance", 5), ("StopInstances", 1)]);
    rig.edit(WEB, "S5.MEDIUM4", "S5.LARGE8");
    rig.change().closes(0, 5, 0, 0).took(&[("ResetInstancesType", 5)]);
    assert!(rig.instances(GZ).values().all(|id| rig.instance(id).state == "STOPPED"));
    // Not looked after any more, they stay as they are.
    rig.edit(WEB, "    state: stopped\n", "");
    rig.change().closes(0, 5, 0, 0).took(&[]);
    assert!(rig.instances(GZ).values().all(|id| rig.instance(id).state == "STOPPED"));
}

#[test]
fn what_is_captured_running_is_in_no_fleet_that_is_off() {
    let config =
        IMAGE.replace("ready: stopped", "ready: running").replacen("count: 1", "state: stopped\n    count: 1", 1);
    let rig = Rig::new(&[(WEB, &config), ("boot.sh", BOOT)]);
    let refused = rig.fails(Exit::Config);
    insta::assert_snapshot!("source_switched_off", refused.err);
}

#[test]
fn what_is_paid_in_advance_goes_to_the_recycle_bin_once() {
    let rig = having(PREPAID);
    let lost = rig.id("fleet.web[2]");
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [lost]}));
    rig.wait_ms(10_000);
    assert_eq!(rig.instance(&lost).state, "SHUTDOWN");
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("in_the_recycle_bin", planned.out);
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("RunInstances", 1)]));
    rig.expect_no_changes();
    // All that was paid in advance goes once; what lies there already stays.
    let mark = rig.mark();
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("TerminateInstances", 1)]));
    assert!(rig.instances(GZ).values().all(|id| rig.instance(id).state == "SHUTDOWN"));
    assert_eq!(rig.addrs(), Vec::<String>::new());
}

#[test]
fn a_lost_answer_terminates_what_is_paid_in_advance_no_second_time() {
    let rig = having(PREPAID);
    let mark = rig.mark();
    rig.run_with("destroy --auto-approve", losing("TerminateInstances")).expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("TerminateInstances", 1)]));
    let states: Vec<String> = rig.instances(GZ).values().map(|id| rig.instance(id).state).collect();
    assert_eq!(states, ["SHUTDOWN"; 5]);
}

#[test]
fn a_moved_slot_keeps_its_index_and_gets_the_name_of_its_new_zone() {
    let rig = fleet();
    rig.edit(WEB, "[ap-guangzhou-3, ap-guangzhou-4]", "[ap-guangzhou-3]");
    rig.edit(WEB, "max_unavailable: 2", "max_unavailable: 1");
    let changed = rig.change();
    insta::assert_snapshot!("slots_moved", changed.plan);
    changed.took(&[("TerminateInstances", 2), ("RunInstances", 2)]);
    assert_eq!(rig.instance(&rig.id("fleet.web[1]#2")).name, "shop-default-web-3-3");
    // One that shrinks at once gives up first what would have to move.
    let rig = fleet();
    rig.edit(WEB, "[ap-guangzhou-3, ap-guangzhou-4]", "[ap-guangzhou-3]");
    rig.edit(WEB, "count: 5", "count: 3");
    rig.change().closes(0, 0, 0, 2).took(&[("TerminateInstances", 1)]);
}
