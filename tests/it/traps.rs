//! The traps that today's tools fall into, each as a story that ends well here.

use std::sync::Arc;

use fleetwright::cli::Exit;
use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::embedded::{Injection, Settings, public_image_id};
use fleetwright::model::limits::Limits;
use fleetwright::ops::Hooks;
use fleetwright::store::{Record, StoreFault};
use serde_json::json;

use crate::between::{Guard, Guarded, before_first, losing};
use crate::kit::{BOOT, FLEET, GZ, IMAGE, SH, SOURCES, counts, fleet, image, quick, says, sources};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const ONE: &str = "#!/bin/sh\necho one\n";

fn first_image(rig: &Rig, region: &str) -> String {
    rig.images(region).into_values().next().expect("an image")
}

#[test]
fn trap_1_a_reset_that_fails_after_it_was_accepted_is_no_success() {
    reset_that_fails_late(|rig| rig);
}

/// However the cloud is reached.
pub(crate) fn reset_that_fails_late(way: impl Fn(Rig) -> Rig) {
    let reset = FLEET.replace("strategy: replace, max_unavailable: 2", "strategy: reset, max_unavailable: 5");
    let rig = way(Rig::new(&[(SHOP, &reset), ("boot.sh", ONE)]));
    rig.settle();
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    for n in 0..5 {
        rig.cloud().inject(Injection::ResetFails { instance: rig.id(&format!("fleet.web[{n}]")) });
    }
    let failed = rig.fails(Exit::Failed);
    says(&failed.out, "Applied: 0 added, 0 changed, 0 reset, 0 destroyed, 5 failed.");
    rig.run("plan --detailed-exitcode").expect(Exit::Changes);
    rig.change().closes(0, 0, 5, 0);
}

#[test]
fn trap_2_an_image_given_by_hand_is_drift_whichever_it_is() {
    let rig = fleet();
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    let id = rig.id("fleet.web[0]");
    for name in ["CentOS 7.9 64bit", "TencentOS Server 4"] {
        rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": id, "ImageId": public_image_id(GZ, name)}));
        rig.wait_ms(10_000);
        rig.change().closes(0, 0, 1, 0).says("changed outside (image)").took(&[("ResetInstance", 1)]);
    }
}

#[test]
fn trap_3_a_launch_that_is_not_listed_at_once_is_neither_lost_nor_repeated() {
    launch_that_is_listed_late(|rig| rig);
}

/// However the cloud is reached.
pub(crate) fn launch_that_is_listed_late(way: impl Fn(Rig) -> Rig) {
    let settings = Settings { empty_first_read: true, ..quick() };
    let rig = way(Rig::with(&[(SHOP, IMAGE), ("boot.sh", BOOT)], settings));
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark).get("RunInstances"), Some(&2));
    assert_eq!(rig.mutations(mark).get("CreateImage"), Some(&1));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn trap_4_an_image_deleted_by_hand_is_said_in_the_next_plan() {
    let rig = image();
    for region in [GZ, SH] {
        let id = first_image(&rig, region);
        let cancel = json!({"ImageId": id, "AccountIds": ["100000000002", "100000000003"], "Permission": "CANCEL"});
        rig.by_hand(region, "ModifyImageSharePermission", &cancel);
        rig.by_hand(region, "DeleteImages", &json!({"ImageIds": [id]}));
    }
    rig.wait_ms(5_000);
    let before = rig.clock.now_ms();
    let mark = rig.mark();
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Changes);
    says(&planned.out, "will be forgotten, in the state only: deleted outside");
    assert_eq!(rig.clock.now_ms(), before, "nothing is waited for");
    assert_eq!(rig.calls(mark).get("DescribeImages"), Some(&3), "a listing in each region, and the look-up");
}

#[test]
fn trap_4_a_read_that_is_refused_ends_the_plan() {
    for action in ["DescribeImages", "DescribeInstances"] {
        let rig = image();
        let before = rig.clock.now_ms();
        let refusal = Injection::Refuse { action: action.into(), code: "UnauthorizedOperation".into(), times: 99 };
        rig.cloud().inject(refusal);
        let mark = rig.mark();
        let refused = rig.run("plan").expect(Exit::Failed);
        says(&refused.err, &format!("{action} in ap-"));
        says(&refused.err, "UnauthorizedOperation");
        assert_eq!(rig.clock.now_ms(), before, "nothing is waited for");
        assert!(rig.since(mark).len() < 20);
        assert_eq!(rig.addrs().len(), 8, "nothing is forgotten");
    }
}

#[test]
fn trap_5_a_quota_is_known_before_anything_is_made() {
    let limits = Limits { instances_per_zone: 4, images_per_region: 1, ..Limits::EMBEDDED };
    let rig = Rig::with(&[(SHOP, FLEET), ("boot.sh", ONE)], Settings { limits, ..quick() });
    rig.settle();
    rig.edit(SHOP, "count: 5", "count: 9");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Infeasible);
    says(&refused.err, "error[instance-quota]");
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn trap_5_a_quota_of_images_is_known_before_anything_is_made() {
    let limits = Limits { images_per_region: 2, ..Limits::EMBEDDED };
    let rig = Rig::with(&[(SHOP, SOURCES)], Settings { limits, ..quick() });
    let mark = rig.mark();
    let refused = rig.fails(Exit::Infeasible);
    says(&refused.err, "error[image-quota]: 3 custom images in ap-guangzhou at the worst moment, and 2 are allowed");
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn trap_2_another_image_on_an_instance_from_a_received_one_is_drift() {
    let rig = sources();
    rig.settle();
    for fleet in ["guest", "blog"] {
        rig.edit(
            SHOP,
            &format!("  {fleet}: {{"),
            &format!("  {fleet}: {{ update: {{ strategy: reset }}, login: {{ key_ids: [skey-8a7c6b5d] }},"),
        );
    }
    rig.run("apply --auto-approve").expect(Exit::Done);
    rig.wait_ms(10_000);
    for fleet in ["guest", "blog"] {
        let id = rig.id(&format!("fleet.{fleet}[0]"));
        let other = public_image_id(GZ, "CentOS 7.9 64bit");
        rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": id, "ImageId": other}));
        rig.wait_ms(10_000);
        rig.change().closes(0, 0, 1, 0).says("changed outside (image)").took(&[("ResetInstance", 1)]);
    }
}

#[test]
fn trap_6_copies_within_a_region_wait_for_their_source_and_are_looked_after() {
    let rig = sources();
    let mark = rig.mark();
    rig.settle();
    // Nothing is asked of an image that is busy.
    rig.expect_nothing_refused(mark);
    let holdings = rig.holdings();
    let home = &holdings.of(OWNER, GZ).expect("a region").images;
    assert!(home.values().all(|image| image.state == "NORMAL"));
    // A lost answer copies once.
    for action in ["SyncImages", "ImportImage"] {
        let rig = sources();
        let mark = rig.mark();
        rig.run_with("apply --auto-approve", losing(action)).expect(Exit::Done);
        let calls = rig.mutations(mark);
        assert_eq!((calls["SyncImages"], calls["ImportImage"]), (3, 1), "{action}");
        assert_eq!((rig.images(GZ).len(), rig.images(SH).len()), (3, 1), "{action}");
        rig.expect_no_changes();
        rig.expect_in_step();
    }
}

#[test]
fn trap_7_an_import_is_known_by_its_id_and_deleted() {
    let rig = sources();
    rig.settle();
    let id = rig.addrs().into_iter().find(|addr| addr.starts_with("image.legacy@") && addr.ends_with(GZ));
    let id = rig.id(&id.expect("an import"));
    assert!(rig.images(GZ).values().any(|held| *held == id), "{id}");
    rig.edit(SHOP, "legacy.qcow2", "other.qcow2");
    rig.edit(SHOP, "    keep: 1\n    deprecate_kept: true\n", "");
    rig.change();
    assert!(rig.images(GZ).values().all(|held| *held != id), "{id} is gone with its version");
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn trap_6_a_copy_is_done_when_it_can_be_used() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    let ran = rig.run("apply --auto-approve").expect(Exit::Done);
    says(&ran.err, "SyncImages done");
    let holdings = rig.holdings();
    let copy = holdings.of(OWNER, SH).and_then(|held| held.images.values().next()).expect("a copy");
    assert_eq!(copy.state, "NORMAL");
}

#[test]
fn trap_6_a_copy_is_read_again_and_deleted_like_everything_else() {
    let rig = image();
    let id = first_image(&rig, SH);
    rig.by_hand(
        SH,
        "ModifyImageSharePermission",
        &json!({"ImageId": id, "AccountIds": ["100000000002", "100000000003"], "Permission": "CANCEL"}),
    );
    rig.by_hand(SH, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    rig.wait_ms(5_000);
    rig.change().closes(2, 0, 0, 0).says("deleted outside, and copied back from ap-guangzhou");
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER), "copies and snapshots go too: {:#?}", rig.holdings());
}

#[test]
fn trap_6_another_region_is_another_copy_and_no_more() {
    let rig = image();
    let before = (rig.images(GZ), rig.images(SH));
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]");
    let mark = rig.mark();
    rig.settle();
    let copies: Vec<String> =
        rig.since(mark).into_iter().filter(|entry| entry.action == "SyncImages").map(|entry| entry.body).collect();
    assert_eq!(copies.len(), 1);
    assert!(copies[0].contains("ap-beijing") && !copies[0].contains("ap-shanghai"), "{}", copies[0]);
    assert_eq!((rig.images(GZ), rig.images(SH)), before);
}

#[test]
fn trap_6_and_10_a_lost_answer_copies_captures_and_launches_once() {
    for (action, made) in [("SyncImages", 1), ("CreateImage", 1), ("RunInstances", 2)] {
        let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
        let hooks = losing(action);
        let mark = rig.mark();
        let ran = rig.run_with("apply --auto-approve", hooks).expect(Exit::Done);
        says(&ran.err, "the connection was reset");
        let calls = rig.mutations(mark);
        // Under its token, the same launch may be asked for again: it is made once.
        let again = usize::from(action == "RunInstances");
        assert_eq!(calls.get(action), Some(&(made + again)), "{calls:?}");
        assert_eq!((rig.images(GZ).len(), rig.images(SH).len(), rig.instances(GZ).len()), (1, 1, 4), "{action}");
        rig.expect_no_changes();
        rig.expect_in_step();
    }
}

#[test]
fn trap_8_an_account_is_swapped_on_a_full_list() {
    let limits = Limits { accounts_per_image: 2, ..Limits::EMBEDDED };
    let full = IMAGE.replace("region: ap-guangzhou }", "region: ap-guangzhou, limits: { accounts_per_image: 2 } }");
    let rig = Rig::with(&[(SHOP, &full), ("boot.sh", BOOT)], Settings { limits, ..quick() });
    rig.settle();
    rig.edit(SHOP, "\"100000000003\"", "\"100000000004\"");
    rig.change().took(&[("ModifyImageSharePermission", 4)]);
    assert_eq!(rig.shared(SH, &first_image(&rig, SH)), ["100000000002", "100000000004"]);
    rig.edit(SHOP, "\"100000000004\"", "\"100000000004\", \"100000000005\"");
    says(&rig.fails(Exit::Infeasible).err, "error[share-cap]");
}

#[test]
fn trap_8_a_share_block_that_goes_leaves_what_others_added() {
    let rig = image();
    let id = first_image(&rig, GZ);
    let share = json!({"ImageId": id, "AccountIds": ["100000000009"], "Permission": "SHARE"});
    rig.by_hand(GZ, "ModifyImageSharePermission", &share);
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("shares:\n").expect("shares");
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1));
    rig.change().closes(0, 0, 0, 2);
    assert_eq!(rig.shared(GZ, &id), ["100000000009"]);
}

#[test]
fn trap_8_a_shared_image_is_unshared_before_it_is_deleted() {
    let rig = image();
    let mark = rig.mark();
    rig.run("destroy --auto-approve").expect(Exit::Done);
    rig.expect_nothing_refused(mark);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn trap_9_throttled_writes_are_made_again() {
    throttled_writes(|rig| rig);
}

/// However the cloud is reached.
pub(crate) fn throttled_writes(way: impl Fn(Rig) -> Rig) {
    let rig = way(Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]));
    for action in ["RunInstances", "CreateImage", "SyncImages", "ModifyImageSharePermission", "TagResources"] {
        let refusal = Injection::Refuse { action: action.into(), code: "RequestLimitExceeded".into(), times: 3 };
        rig.cloud().inject(refusal);
    }
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark).get("RunInstances"), Some(&2));
    rig.expect_no_changes();
    rig.expect_in_step();
    let limited = way(Rig::with(
        &[(SHOP, &FLEET.replace("count: 5", "count: 250")), ("boot.sh", ONE)],
        Settings { rate_limits: true, ..quick() },
    ));
    limited.settle();
    limited.edit(SHOP, "app: web", "app: store");
    limited.change().took(&[("TagResources", 25)]);
}

#[test]
fn trap_11_a_new_description_leaves_name_family_and_deprecation_alone() {
    let rig = image();
    let id = first_image(&rig, GZ);
    let name = rig.images(GZ).into_keys().next().expect("a name");
    let dress = json!({"ImageId": id, "ImageFamily": "shops", "ImageDeprecated": true});
    rig.by_hand(GZ, "ModifyImageAttribute", &dress);
    rig.edit(SHOP, "the shop", "the store");
    rig.change().took(&[("ModifyImageAttribute", 2)]);
    let seen = rig.ask(OWNER, GZ, "DescribeImages", &json!({"ImageIds": [id]}));
    let seen = &seen["ImageSet"][0];
    assert_eq!(seen["ImageDescription"], "the store");
    assert_eq!((&seen["ImageName"], &seen["ImageFamily"]), (&json!(name), &json!("shops")));
    assert_eq!(seen["ImageDeprecated"], true);
}

#[test]
fn trap_11_a_description_that_is_not_declared_is_not_touched() {
    let rig = Rig::new(&[(SHOP, &IMAGE.replace("    description: \"the shop\"\n", "")), ("boot.sh", BOOT)]);
    rig.settle();
    let id = first_image(&rig, GZ);
    rig.by_hand(GZ, "ModifyImageAttribute", &json!({"ImageId": id, "ImageDescription": "set elsewhere"}));
    rig.expect_no_changes();
    rig.edit(SHOP, "tags: { app: web }", "tags: { app: store }");
    rig.change().took(&[("TagResources", 1)]);
    let seen = rig.ask(OWNER, GZ, "DescribeImages", &json!({"ImageIds": [id]}));
    assert_eq!(seen["ImageSet"][0]["ImageDescription"], "set elsewhere");
    // Declared once and no longer: it stays what it was, and the state no longer minds.
    rig.edit(SHOP, "    regions:", "    description: ours\n    regions:");
    rig.change().took(&[("ModifyImageAttribute", 2)]);
    rig.edit(SHOP, "    description: ours\n", "");
    rig.change().took(&[]);
    let seen = rig.ask(OWNER, GZ, "DescribeImages", &json!({"ImageIds": [id]}));
    assert_eq!(seen["ImageSet"][0]["ImageDescription"], "ours");
}

/// A state that cannot be written from the moment on at which something was accepted: as if the process had ended.
#[derive(Default)]
struct DiesWhenAccepted(bool);

impl Guard for DiesWhenAccepted {
    fn before(&mut self, records: &[Record]) -> Result<(), StoreFault> {
        self.0 |= records.iter().any(|record| matches!(record, Record::Accepted { .. }));
        if self.0 { Err(StoreFault::Io("the process is gone".into())) } else { Ok(()) }
    }
}

#[test]
fn trap_13_a_kill_between_the_launch_and_the_state_leaves_no_orphans() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", ONE)]);
    let dies = |inner| Guarded::by(DiesWhenAccepted::default(), inner);
    let hooks = Hooks { store: Some(Box::new(dies)), ..Hooks::default() };
    let ran = rig.run_with("apply --auto-approve", hooks);
    assert_ne!(ran.exit, Exit::Done);
    assert!(!rig.instances(GZ).is_empty(), "launched, and not written down");
    assert_eq!(rig.addrs(), Vec::<String>::new());
    let again = rig.run("apply --auto-approve").expect(Exit::Done);
    says(&again.err, "of an interrupted run");
    assert_eq!(rig.instances(GZ).len(), 5, "no more than were asked for");
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn one_launch_of_a_hundred_fails_and_one_slot_does() {
    let config = FLEET.replace("count: 5", "count: 100").replace("ap-guangzhou-3, ap-guangzhou-4", "ap-guangzhou-3");
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", ONE)]);
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-41".into() });
    let mark = rig.mark();
    let failed = rig.fails(Exit::Partly);
    says(
        &failed.out,
        "Failed: fleet.web[41] RunInstances in ap-guangzhou: the launch failed: no host could take the instance",
    );
    says(&failed.out, "Applied: 99 added, 0 changed, 0 reset, 0 destroyed, 1 failed.");
    says(&failed.out, "`fleetwright apply`");
    assert_eq!(rig.mutations(mark), counts(&[("RunInstances", 1)]));
    rig.change().closes(1, 0, 0, 0).took(&[("RunInstances", 1)]);
}

#[test]
fn one_of_ten_resources_is_not_tagged_and_one_slot_fails() {
    let rig = Rig::new(&[(SHOP, &FLEET.replace("count: 5", "count: 10")), ("boot.sh", ONE)]);
    rig.settle();
    rig.edit(SHOP, "app: web", "app: store");
    let id = rig.id("fleet.web[7]");
    rig.cloud().inject(Injection::TagFails { id, code: "FailedOperation.TagAttached".into() });
    let failed = rig.fails(Exit::Partly);
    says(&failed.out, "Failed: fleet.web[7] TagResources in ap-guangzhou: FailedOperation.TagAttached");
    says(&failed.out, "Applied: 0 added, 9 changed, 0 reset, 0 destroyed, 1 failed.");
    rig.change().closes(0, 1, 0, 0).says("fleet.web[7]").took(&[("TagResources", 1)]);
}

#[test]
fn one_of_a_batch_cannot_be_terminated_and_one_slot_fails() {
    let rig = Rig::new(&[(SHOP, &FLEET.replace("count: 5", "count: 10")), ("boot.sh", ONE)]);
    rig.settle();
    let id = rig.id("fleet.web[7]");
    rig.edit(SHOP, "count: 10", "count: 4");
    // It is protected after the plan was made, and before it is carried out.
    let (cloud, clock) = (rig.cloud(), Arc::clone(&rig.clock));
    let hooks = before_first("TerminateInstances", move || {
        let protect = json!({"InstanceIds": [id], "DisableApiTermination": true});
        let answer = crate::rig::request(&cloud, &*clock, OWNER, GZ, "ModifyInstancesAttribute", &protect);
        assert!(answer.get("Error").is_none(), "{answer}");
    });
    let failed = rig.run_with("apply --auto-approve", hooks).expect(Exit::Partly);
    says(&failed.out, "Failed: fleet.web[7]");
    says(&failed.out, "Applied: 0 added, 0 changed, 0 reset, 5 destroyed, 1 failed.");
    assert_eq!(rig.instances(GZ).len(), 5);
    // The next plan knows why, and says what to do.
    says(&rig.fails(Exit::Guard).err, "the cloud protects it against termination");
    rig.by_hand(
        GZ,
        "ModifyInstancesAttribute",
        &json!({"InstanceIds": [rig.id("fleet.web[7]")], "DisableApiTermination": false}),
    );
    rig.change().closes(0, 0, 0, 1);
}
