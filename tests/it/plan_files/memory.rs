//! Plans that do not look: `--refresh=false`.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::public_image_id;
use serde_json::{Value, json};

use super::{SCRIPT, SHOP, fresh};
use crate::between::unanswered;
use crate::kit::{BOOT, GZ, counts, fleet, image, says};
use crate::rig::{OWNER, Rig};

const DEBIAN: &str = "Debian 12 64bit";
const BLIND: &str = "plan --detailed-exitcode --refresh=false";

#[test]
fn nothing_is_asked_where_nothing_is_to_do() {
    for rig in [fleet(), image()] {
        let mark = rig.mark();
        let ran = rig.run(BLIND).expect(Exit::Done);
        assert_eq!(rig.calls(mark), counts(&[]));
        says(&ran.out, "The state matches the config; the cloud was not looked at (--refresh=false).");
        assert_eq!(rig.json("plan --json --refresh=false")["refreshed"], Value::Bool(false));
        assert_eq!(rig.json("plan --json --refresh=true")["refreshed"], Value::Bool(true));
        rig.run("apply --refresh=false --auto-approve").expect(Exit::Done);
        assert_eq!(rig.mutating(mark), Vec::<String>::new());
    }
}

#[test]
fn what_the_state_cannot_know_is_asked_and_nothing_of_ours() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 7");
    let mark = rig.mark();
    let ran = rig.run("plan --refresh=false").expect(Exit::Done);
    says(&ran.out, "Plan: 2 to add");
    says(&ran.out, "Made without looking (--refresh=false)");
    let asked: Vec<String> = rig.calls(mark).into_keys().collect();
    assert_eq!(
        asked,
        [
            "DescribeAccountQuota",
            "DescribeInstanceTypeConfigs",
            "DescribeRegions",
            "DescribeZones",
            "InquiryPriceRunInstances"
        ]
    );
    rig.run("apply --refresh=false --auto-approve").expect(Exit::Done);
    rig.expect_no_changes();
    rig.expect_in_step();

    // A look-up that is not pinned is made.
    let rig = fresh();
    let mark = rig.mark();
    says(&rig.run("plan --refresh=false").expect(Exit::Done).out, "<= image.ubuntu will be pinned");
    assert!(rig.calls(mark).contains_key("DescribeImages"));
    rig.run("apply --refresh=false --auto-approve").expect(Exit::Done);
    rig.expect_no_changes();
}

#[test]
fn a_type_that_is_not_offered_is_still_refused() {
    let rig = fleet();
    rig.edit(SHOP, "S5.MEDIUM4", "S5.NOSUCH");
    says(&rig.run("plan --refresh=false").expect(Exit::Config).err, "S5.NOSUCH is not offered in ap-guangzhou-3");
}

#[test]
fn an_image_is_made_anew_without_a_look() {
    let rig = image();
    rig.write(SCRIPT, &BOOT.replace("echo shop", "echo store"));
    let plain = rig.fork();
    let (mine, its) = (rig.mark(), plain.mark());
    rig.run("apply --refresh=false --auto-approve").expect(Exit::Done);
    plain.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutating(mine), plain.mutating(its));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn everything_is_destroyed_without_a_look() {
    for rig in [fleet(), image()] {
        rig.run("destroy --refresh=false --auto-approve").expect(Exit::Done);
        assert!(rig.holdings().nothing_of(OWNER));
    }
}

#[test]
fn facts_protect_what_was_changed_by_hand() {
    let rig = fleet();
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    rig.write(SCRIPT, "#!/bin/sh\necho two\n");
    let id = rig.id("fleet.web[2]");
    rig.by_hand(GZ, "ResetInstance", &json!({"InstanceId": id, "ImageId": public_image_id(GZ, DEBIAN)}));
    rig.wait_ms(600_000);
    let saved = rig.fork();
    let mark = rig.mark();
    let ran = rig.run("apply --refresh=false --auto-approve").expect(Exit::Partly);
    says(&ran.out, "got another image");
    // A group waits for the one before it.
    assert!(rig.mutations(mark)["ResetInstance"] < 5, "{}", ran.out);

    saved.run("plan --refresh=false --out plan.json").expect(Exit::Done);
    let mark = saved.mark();
    says(&saved.run("apply plan.json").expect(Exit::Foreign).err, "fleet.web[2]");
    assert!(saved.mutating(mark).is_empty());
    saved.change();
}

#[test]
fn a_saved_plan_without_a_look_is_carried_out() {
    let rig = fleet();
    rig.edit(SHOP, "strategy: replace", "strategy: reset");
    rig.write(SCRIPT, "#!/bin/sh\necho two\n");
    rig.run("plan --refresh=false --out plan.json").expect(Exit::Done);
    says(&rig.run("show plan.json").expect(Exit::Done).out, "Made without looking");
    let mark = rig.mark();
    rig.run("apply plan.json").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("ResetInstance", 5)]));
    rig.expect_no_changes();
}

/// What was done last to an instance is evidence. It is not in the state: it is read before the call.
#[test]
fn a_reset_in_doubt_is_told_by_what_was_read_before_it() {
    for executed in [true, false] {
        let rig = fleet();
        rig.edit(SHOP, "strategy: replace", "strategy: reset");
        // The latest operation of each is a reset already.
        rig.write(SCRIPT, "#!/bin/sh\necho two\n");
        rig.change().took(&[("ResetInstance", 5)]);
        rig.write(SCRIPT, "#!/bin/sh\necho three\n");
        let hooks = unanswered("ResetInstance", 2, executed);
        let mark = rig.mark();
        rig.run_with("apply --refresh=false --auto-approve", hooks).expect(Exit::Done);
        assert_eq!(rig.mutations(mark), counts(&[("ResetInstance", 5)]), "executed: {executed}");
        rig.expect_no_changes();
        let contents: Vec<usize> =
            rig.instances(GZ).into_values().map(|id| rig.instance(&id).content.provisioned.len()).collect();
        assert!(contents.iter().all(|count| *count == contents[0]), "{contents:?}");
    }
}

#[test]
fn what_a_run_shut_down_is_remembered() {
    let rig: Rig = fleet();
    rig.run(BLIND).expect(Exit::Done);
    rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [rig.id("fleet.web[0]")]}));
    // Nobody of ours did that: without a look nobody knows.
    rig.run(BLIND).expect(Exit::Done);
}

const IMPORT: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  legacy:
    import:
      url: "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/legacy.qcow2"
      os: CentOS
      os_version: "7"
      architecture: x86_64
"#;

#[test]
fn an_import_is_something_that_is_made() {
    let rig = Rig::new(&[(SHOP, IMPORT)]);
    let mark = rig.mark();
    says(&rig.run("plan --refresh=false").expect(Exit::Done).out, "Plan: 1 to add");
    let asked = rig.calls(mark);
    for action in ["DescribeImportImageOs", "DescribeImageQuota"] {
        assert!(asked.contains_key(action), "{action}: {asked:?}");
    }
    rig.edit(SHOP, "\"7\"", "\"77\"");
    rig.run("plan --refresh=false").expect(Exit::Config);
}
