//! What is ours and in no state: found, told apart from what is others', and taken in.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::call::{Body, Query, Reply};
use fleetwright::cloud::embedded::Injection;
use fleetwright::model::naming::TAG_KEY;
use fleetwright::ops::Hooks;
use fleetwright::store::{Holder, SqliteStore, Store};
use serde_json::{Value, json};

use crate::between::between;
use crate::crash::wire::{Fate, Trap, Wire};
use crate::kit::{BOOT, FLEET, GZ, IMAGE, SH, fleet, image, says};
use crate::rig::{OWNER, Ran, Rig};

const LOOK: &str = "drift --orphans";
const ADOPT: &str = "drift --orphans --adopt --auto-approve";
const STATE: &str = "state/default.db";
/// Long enough for nothing to be young.
const LONG_MS: i64 = 600_000;

/// What was found, as JSON, however it exits.
fn found(rig: &Rig) -> Vec<Value> {
    let ran = rig.run("drift --orphans --json");
    assert!(matches!(ran.exit, Exit::Done | Exit::Changes), "{ran:?}");
    let json: Value = serde_json::from_str(&ran.out).expect("JSON");
    let orphans = json["orphans"].as_array().expect("orphans").clone();
    let counts = orphans.iter().any(|one| one["counts"] == true);
    assert_eq!(ran.exit, if counts { Exit::Changes } else { Exit::Done });
    orphans
}

/// The ids that were found, each with its standing.
fn standings(rig: &Rig) -> BTreeSet<(String, String)> {
    let word = |one: &Value, key: &str| one[key].as_str().unwrap_or("none").to_owned();
    found(rig).iter().map(|one| (word(one, "id"), word(one, "standing"))).collect()
}

fn typed(rig: &Rig, args: &str, line: &str) -> Ran {
    let terminals = Terminals { stdin: true, stdout: true, stderr: true };
    rig.run_typing(&format!("--color never {args}"), Hooks::default(), &mut line.as_bytes(), terminals)
}

/// An instance made by hand; its id.
fn launch(rig: &Rig, name: &str, tags: &[(&str, &str)]) -> String {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let image = rig.holdings();
    let image = image.of(OWNER, GZ).and_then(|held| held.instances.values().next()).map(|one| one.image.clone());
    let mut body = json!({
        "Placement": { "Zone": "ap-guangzhou-3" },
        "ImageId": image.expect("an instance"),
        "InstanceType": "S5.MEDIUM4",
        "InstanceName": name,
        "LoginSettings": { "KeyIds": ["skey-8a7c6b5d"] },
    });
    if !tags.is_empty() {
        body["TagSpecification"] = json!([{ "ResourceType": "instance", "Tags": tags }]);
    }
    let answer = rig.by_hand(GZ, "RunInstances", &body);
    rig.wait_ms(LONG_MS);
    answer["InstanceIdSet"][0].as_str().expect("an id").to_owned()
}

const OURS: (&str, &str) = (TAG_KEY, "shop/default/fleet.web");

#[test]
fn where_all_is_known_there_are_none() {
    let rig = image();
    let mark = rig.mark();
    let none = rig.run(LOOK).expect(Exit::Done);
    says(
        &none.out,
        "Orphans: none: all that is ours is in the state. Looked through ap-guangzhou, ap-shanghai with 4 calls.",
    );
    let calls = rig.calls(mark);
    assert_eq!(
        calls.into_iter().collect::<Vec<_>>(),
        [("DescribeImages".to_owned(), 2), ("DescribeInstances".to_owned(), 2)]
    );
    says(&rig.run(ADOPT).expect(Exit::Done).out, "Nothing to take in: there are no orphans.");
    says(&rig.run("drift --adopt").expect(Exit::Usage).err, "--orphans");
}

#[test]
fn forgotten_instances_come_back_to_their_slots() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    let before = rig.run("state list -v").out;
    rig.run("state rm fleet.web[0] fleet.web[3] --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("orphans_found", rig.run(LOOK).expect(Exit::Changes).out);
    insta::assert_snapshot!("orphans_found_json", rig.run("drift --orphans --json").expect(Exit::Changes).out);

    let mark = rig.mark();
    let refused = rig.run("drift --orphans --adopt").expect(Exit::Failed);
    says(&refused.err, "fleetwright drift --orphans --adopt --auto-approve");
    insta::assert_snapshot!("orphans_adopting", refused.out);
    says(
        &typed(&rig, "drift --orphans --adopt", "no\n").expect(Exit::Failed).err,
        "Not approved; nothing was taken in.",
    );
    assert_eq!(rig.addrs().len(), 3);
    let adopted = typed(&rig, "drift --orphans --adopt", "yes\n").expect(Exit::Done);
    says(&adopted.out, "Took in fleet.web[0,3] (run 3).");
    assert_eq!(rig.mutating(mark), Vec::<String>::new(), "nothing is changed in the cloud");
    assert_eq!(rig.run("state list -v").out, before);
    rig.expect_no_changes();
    rig.expect_in_step();
    // History tells it.
    let run = &rig.json("history --json")["runs"][0];
    assert_eq!((&run["kind"], &run["outcome"]), (&"adopt".into(), &"done".into()));
    insta::assert_snapshot!("run_adopted", rig.run("show 3").expect(Exit::Done).out);
    assert_eq!(rig.json("state show fleet.web[0] --json")["things"][0]["made_in_run"], Value::Null);
    rig.run(LOOK).expect(Exit::Done);
}

#[test]
fn every_key_of_their_json_is_documented() {
    let docs = include_str!("../../docs/json.md");
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    rig.run("state rm fleet.web[0] --auto-approve").expect(Exit::Done);
    rig.edit("shop.yaml", "count: 5", "count: 4");
    let found = rig.run("drift --orphans --json").expect(Exit::Changes).out;
    let adopted = rig.run(&format!("{ADOPT} --json")).expect(Exit::Done).out;
    for (text, lists) in [(found, vec!["orphans"]), (adopted, vec!["adopted", "beyond"])] {
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert!(docs.contains(&format!("`{}`", json["format"])));
        for object in lists.iter().map(|list| &json[*list][0]).chain([&json]) {
            for key in object.as_object().expect("an object").keys() {
                assert!(docs.contains(&format!("`{key}`")), "docs/json.md lacks {key}");
            }
        }
    }
}

#[test]
fn forgotten_images_come_back_with_their_versions() {
    for edit in [None, Some("    version: \"1\"\n    regions:"), Some("    name: \"acme-{version}-x\"\n    regions:")] {
        let rig = Rig::new(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)]);
        if let Some(edit) = edit {
            rig.edit("shop.yaml", "    regions:", edit);
        }
        rig.settle();
        rig.wait_ms(LONG_MS);
        let before = rig.run("state list -v").out;
        rig.run("state rm image.web fleet.web --auto-approve").expect(Exit::Done);
        let json: Value =
            serde_json::from_str(&rig.run(&format!("{ADOPT} --json")).expect(Exit::Done).out).expect("JSON");
        assert_eq!((json["adopted"].as_array().map(Vec::len), &json["left"]), (Some(5), &0.into()));
        assert_eq!(rig.run("state list -v").out, before);
        rig.expect_no_changes();
        rig.expect_in_step();
    }
}

/// Between the two copies of a state, all kinds of things are made, and others go.
#[test]
fn a_state_from_before_an_apply_takes_in_what_that_apply_made() {
    let rig = image();
    let old = rig.dir().join("old.db");
    fs::copy(rig.dir().join(STATE), &old).expect("a copy");
    rig.wait_ms(LONG_MS);
    // Another version, so another image, its copy, and all instances anew; and more of them.
    rig.write("boot.sh", &BOOT.replace("shop", "another"));
    rig.edit("shop.yaml", "count: 3", "count: 5");
    rig.settle();
    rig.wait_ms(LONG_MS);
    let after = rig.instances(GZ);
    for file in ["state/default.db-wal", "state/default.db-shm"] {
        drop(fs::remove_file(rig.dir().join(file)));
    }
    fs::copy(&old, rig.dir().join(STATE)).expect("restored");

    let ran = rig.run(ADOPT).expect(Exit::Done);
    says(&ran.out, "Gone from the cloud, and forgotten in their place: ");
    // What is left is for the state alone: it forgets what is gone, and learns whom the new image is shared with.
    let json = rig.json("plan --json");
    assert_eq!(json["calls"]["total"], 0, "{json:#}");
    let made = json["changes"].as_array().expect("changes").iter().filter(|change| change["action"] == "create");
    assert_eq!(made.filter(|change| change["kind"] != "share").count(), 0, "{json:#}");
    rig.settle();
    assert_eq!(rig.instances(GZ), after);
    rig.expect_in_step();
    rig.run(LOOK).expect(Exit::Done);
}

#[test]
fn without_shares_the_plan_after_it_is_empty() {
    let rig = fleet();
    let old = fs::read(rig.dir().join(STATE)).expect("a state");
    rig.wait_ms(LONG_MS);
    rig.edit("shop.yaml", "count: 5", "count: 9");
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    rig.settle();
    let list = rig.run("state list -v").out;
    fs::write(rig.dir().join(STATE), old).expect("restored");
    // What was made a moment ago is left alone: somebody may be about to record it.
    let young = rig.run(ADOPT).expect(Exit::Changes);
    says(&young.out, "Nothing to take in without a name; 9 orphans stay");
    says(&rig.run(LOOK).expect(Exit::Changes).out, "made less than a minute ago");
    rig.wait_ms(LONG_MS);
    rig.run(ADOPT).expect(Exit::Done);
    rig.expect_no_changes();
    rig.expect_in_step();
    assert_eq!(rig.run("state list -v").out, list);
}

#[test]
fn a_lost_state_is_made_anew() {
    for rig in [fleet(), image()] {
        rig.wait_ms(LONG_MS);
        let list = rig.run("state list -v").out;
        fs::remove_dir_all(rig.dir().join("state")).expect("removed");
        let count = list.lines().filter(|line| !line.starts_with("share.")).count();
        assert_eq!(found(&rig).len(), count);
        assert!(!rig.dir().join("state").exists(), "looking makes nothing");
        says(&typed(&rig, "drift --orphans --adopt", "no\n").expect(Exit::Failed).err, "Not approved");
        assert!(!rig.dir().join(STATE).exists(), "nothing was approved");
        rig.run(ADOPT).expect(Exit::Done);
        let plan = rig.json("plan --json");
        assert_eq!(plan["calls"]["total"], 0, "{plan:#}");
        rig.settle();
        assert_eq!(rig.run("state list -v").out, list);
        rig.expect_in_step();
    }
}

#[test]
fn what_only_has_the_name_is_not_taken_in_unnamed() {
    let rig = fleet();
    let theirs = launch(&rig, "shop-default-web-3-7", &[]);
    assert_eq!(standings(&rig), BTreeSet::from([(theirs.clone(), "fits".to_owned())]));
    let seen = rig.run(LOOK).expect(Exit::Changes).out;
    insta::assert_snapshot!("orphan_by_name", seen.replace(&theirs, "ins-theirs01"));
    says(&rig.run(ADOPT).expect(Exit::Changes).out, "Nothing to take in without a name; 1 orphan stays as it is");
    assert_eq!(rig.addrs().len(), 5);
    // Somebody who knows it can name it. The config wants five.
    let adopted = rig.run(&format!("drift --orphans --adopt={theirs} --auto-approve")).expect(Exit::Done);
    says(&adopted.out, "fleet.web has 6 instances then, and the config wants 5: the next plan destroys 1.");
    says(&adopted.out, "Took in fleet.web[5]");
    assert_eq!(rig.id("fleet.web[5]"), theirs);
    rig.edit("shop.yaml", "count: 5", "count: 6");
    // It gets our tag and the others.
    rig.change().closes(0, 1, 0, 0).took(&[("TagResources", 1)]);
}

#[test]
fn what_others_made_is_not_ours() {
    let rig = fleet();
    for (name, value) in [
        ("shop-default-web-3-7", "shop/staging/fleet.web"),
        ("shop-default-web-3-8", "other/default/fleet.web"),
        ("shop-default-web-3-9", "shop/default-2/fleet.web"),
    ] {
        launch(&rig, name, &[(TAG_KEY, value)]);
    }
    for name in ["shop-default-web-3-07", "shop-default-web-3-", "shop-default-webs-3-1", "shop-staging-web-3-1", "x"] {
        launch(&rig, name, &[("team", "ops")]);
    }
    rig.run("-e staging apply --auto-approve").expect(Exit::Done);
    rig.wait_ms(LONG_MS);
    assert_eq!(standings(&rig), BTreeSet::new());
    // Of the other environment, those are.
    let json: Value = serde_json::from_str(&rig.run("-e staging drift --orphans --json").out).expect("JSON");
    let names: Vec<&str> =
        json["orphans"].as_array().expect("orphans").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["shop-default-web-3-7", "shop-staging-web-3-1"]);
}

#[test]
fn of_two_candidates_both_are_named() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    let mine = rig.id("fleet.web[4]");
    let name = rig.instances(GZ).into_iter().find(|(_, id)| *id == mine).expect("its name").0;
    let twin = launch(&rig, &name, &[OURS]);
    // While the slot has its instance, the other one has no place.
    assert_eq!(standings(&rig), BTreeSet::from([(twin.clone(), "taken".to_owned())]));
    says(&rig.run(&format!("drift --orphans --adopt={twin} --auto-approve")).expect(Exit::Failed).err, &mine);
    rig.run("state rm fleet.web[4] --auto-approve").expect(Exit::Done);
    let both = [&mine, &twin].map(|id| (id.clone(), "rivals".to_owned()));
    assert_eq!(standings(&rig), BTreeSet::from(both));
    let stopped = rig.run(ADOPT).expect(Exit::Failed);
    says(&stopped.err, "error[cannot-adopt]: 2 things could each have the place");
    for id in [&mine, &twin] {
        says(&stopped.err, id);
    }
    assert_eq!(rig.addrs().len(), 4);
    says(
        &rig.run(&format!("drift --orphans --adopt={mine} --adopt={twin} --auto-approve")).expect(Exit::Failed).err,
        "its place is that of",
    );
    // The one that is named gets the place; the other one then has none, and can have another address.
    rig.run(&format!("drift --orphans --adopt={mine} --adopt --auto-approve")).expect(Exit::Changes);
    rig.expect_no_changes();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    rig.run(&format!("drift --orphans --adopt=fleet.web[5]={twin} --auto-approve")).expect(Exit::Done);
    rig.change().closes(0, 1, 0, 0);
}

#[test]
fn a_rename_and_a_change_by_hand_are_seen_by_the_next_plan() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    let id = rig.id("fleet.web[2]");
    rig.run("state rm fleet.web[2] --auto-approve").expect(Exit::Done);
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({ "InstanceIds": [id], "InstanceName": "old-one" }));
    let larger = json!({ "InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true });
    rig.by_hand(GZ, "ResetInstancesType", &larger);
    rig.wait_ms(LONG_MS);
    assert_eq!(standings(&rig), BTreeSet::from([(id.clone(), "unclear".to_owned())]));
    rig.run(ADOPT).expect(Exit::Changes);
    let adopted = rig.run(&format!("drift --orphans --adopt=fleet.web[2]={id} --auto-approve")).expect(Exit::Done);
    says(&adopted.out, "type");
    let changed = rig.change();
    changed.closes(0, 1, 0, 0).says("S5.LARGE8 → S5.MEDIUM4");
    assert!(rig.instance(&id).name.starts_with("shop-default-web-"));
}

#[test]
fn what_is_of_no_use_is_not_taken_in() {
    let config = FLEET.replace("    login:", "    charge_type: PREPAID\n    prepaid: { months: 1 }\n    login:");
    let rig = Rig::new(&[("shop.yaml", &config), ("boot.sh", "#!/bin/sh\n")]);
    rig.settle();
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-40".into() });
    let failed = launch(&rig, "shop-default-web-3-41", &[OURS]);
    let binned = rig.id("fleet.web[1]");
    rig.run("state rm fleet.web[1] --auto-approve").expect(Exit::Done);
    rig.by_hand(GZ, "TerminateInstances", &json!({ "InstanceIds": [binned] }));
    rig.wait_ms(10_000);
    let expected = [(failed.clone(), "fits"), (binned.clone(), "leaving")];
    assert_eq!(standings(&rig), expected.map(|(id, word)| (id, word.to_owned())).into());
    says(&rig.run(&format!("drift --orphans --adopt={binned} --auto-approve")).expect(Exit::Failed).err, "recycle bin");
    let ran = rig.run(LOOK).expect(Exit::Changes);
    says(&ran.out, "No longer of use; they go by themselves:");
}

#[test]
fn a_launch_and_a_capture_that_failed_are_not_taken_in() {
    let rig = image();
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-9".into() });
    rig.cloud().inject(Injection::CaptureFails { name: "shop-default-web-77".into() });
    let launched = json!({
        "Placement": { "Zone": "ap-guangzhou-3" },
        "ImageId": rig.instance(&rig.id("fleet.web[0]")).image,
        "InstanceType": "S5.MEDIUM4",
        "InstanceName": "shop-default-web-3-9",
        "TagSpecification": [{ "ResourceType": "instance", "Tags": [{ "Key": OURS.0, "Value": OURS.1 }] }],
    });
    let launched = rig.by_hand(GZ, "RunInstances", &launched)["InstanceIdSet"][0].as_str().expect("an id").to_owned();
    let capture = json!({ "ImageName": "shop-default-web-77", "InstanceId": rig.id("fleet.builder[0]") });
    let captured = rig.by_hand(GZ, "CreateImage", &capture)["ImageId"].as_str().expect("an id").to_owned();
    rig.wait_ms(70_000);
    let expected = [(launched, "leaving"), (captured.clone(), "failed")];
    assert_eq!(standings(&rig), expected.map(|(id, word)| (id, word.to_owned())).into());
    rig.run(ADOPT).expect(Exit::Changes);
    says(
        &rig.run(&format!("drift --orphans --adopt=image.web@77/{GZ}={captured} --auto-approve"))
            .expect(Exit::Failed)
            .err,
        "it could not be made",
    );
}

#[test]
fn a_copy_that_was_never_tagged_is_named() {
    let rig = image();
    rig.wait_ms(LONG_MS);
    let copy = rig.images(SH).into_values().next().expect("the copy");
    rig.run("state rm image.web --auto-approve").expect(Exit::Done);
    let resource = format!("qcs::cvm:{SH}:uin/{OWNER}:image/{copy}");
    let tags = json!({ "ResourceList": [resource], "TagKeys": [TAG_KEY] });
    rig.by_hand(SH, "UnTagResources", &tags);
    let one = |one: &Value| (one["found_by"].clone(), one["adopted_unnamed"].clone());
    let all = found(&rig);
    let kinds: BTreeSet<String> = all.iter().map(|each| format!("{:?}", one(each))).collect();
    assert_eq!((all.len(), kinds.len()), (2, 2));
    let ran = rig.run(&format!("drift --orphans --adopt --adopt={copy} --auto-approve")).expect(Exit::Done);
    says(&ran.out, "Took in image.web@");
    // It gets our tag.
    rig.change().closes(0, 1, 0, 0).took(&[("TagResources", 1)]);
}

#[test]
fn pages_that_shift_are_walked_again() {
    let config = FLEET.replace("count: 5", "count: 230");
    let rig = Rig::new(&[("shop.yaml", &config), ("boot.sh", "#!/bin/sh\n")]);
    rig.settle();
    rig.wait_ms(LONG_MS);
    let list = rig.run("state list -v").out;
    rig.run("state rm fleet.web --auto-approve").expect(Exit::Done);
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    let shuffled = || {
        let asked = Arc::clone(&seen);
        between(move |cloud, call, signed_ms| {
            let mut answer = cloud.call(call, signed_ms)?;
            if let (Body::Describe(Query::Instances { .. }), Reply::Instances(page)) = (&call.body, &mut answer.reply) {
                // On the first walk the pages overlap, and each comes in another order.
                let n = asked.fetch_add(1, Ordering::SeqCst);
                page.items.reverse();
                if n == 1 {
                    let other = fleetwright::cloud::call::Call {
                        body: Body::Describe(Query::Instances { offset: 60 }),
                        ..call.clone()
                    };
                    return cloud.call(&other, signed_ms);
                }
            }
            Ok(answer)
        })
    };
    let json = rig.run_with("drift --orphans --json", shuffled());
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json["orphans"].as_array().map(Vec::len), Some(230));
    assert!(asked.load(Ordering::SeqCst) > 3, "it was walked again");
    asked.store(0, Ordering::SeqCst);
    rig.run_with(ADOPT, shuffled()).expect(Exit::Done);
    assert_eq!(rig.run("state list -v").out, list);
    rig.expect_no_changes();
}

#[test]
fn what_is_under_way_is_no_orphan() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    rig.edit("shop.yaml", "count: 5", "count: 7");
    // The process dies while the answer to its launch is on its way.
    let calls = {
        let trial = rig.fork();
        let wire = Wire::new(None);
        drop(wire.run(&trial, "apply --auto-approve", false));
        wire.traffic().calls
    };
    let launch = calls.iter().position(|(action, _)| *action == "RunInstances").expect("a launch");
    let wire = Wire::new(Some(Trap::Call(launch, Fate::AnswerLost)));
    assert!(wire.run(&rig, "apply --auto-approve", false).is_none(), "it died");
    rig.wait_ms(LONG_MS);
    let ran = rig.run(LOOK).expect(Exit::Done);
    says(&ran.out, "Of an interrupted apply, which is to be settled first; the next apply does that:");
    says(&ran.out, "An interrupted apply is to be settled first: ");
    says(&rig.run(ADOPT).expect(Exit::Failed).err, "error[in-doubt]: nothing can be taken in");
    rig.settle();
    rig.run(LOOK).expect(Exit::Done);
    rig.expect_in_step();
}

#[test]
fn whoever_holds_the_lock_is_named() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    rig.run("state rm fleet.web[0] --auto-approve").expect(Exit::Done);
    let mut store = SqliteStore::open(&rig.dir().join(STATE)).expect("open").expect("a state");
    let holder = Holder { who: "grace".into(), host: "elsewhere".into(), pid: 4711, started: 1 };
    store.lock(&holder, rig.now_ms(), 300_000, &|_| false).expect("the lock");
    // Of a process on another machine nobody can tell whether it lives, so its lease counts.
    let ran = rig.run(LOOK).expect(Exit::Changes);
    says(&ran.out, "grace on elsewhere (process 4711) holds the lock");
}

#[test]
fn blocks_that_nobody_knows_of_are_named() {
    let rig = fleet();
    rig.wait_ms(LONG_MS);
    let gone = launch(&rig, "shop-default-api-3-0", &[(TAG_KEY, "shop/default/fleet.api")]);
    let strange = launch(&rig, "shop-default-api-3-1", &[(TAG_KEY, "shop/default/what is this")]);
    let expected = [(gone.clone(), "no_block"), (strange.clone(), "unclear")];
    assert_eq!(standings(&rig), expected.map(|(id, word)| (id, word.to_owned())).into());
    rig.run(ADOPT).expect(Exit::Changes);
    says(
        &rig.run(&format!("drift --orphans --adopt={strange} --auto-approve")).expect(Exit::Failed).err,
        "name its address",
    );
    let ran = rig
        .run(&format!("drift --orphans --adopt={gone} --adopt=fleet.api={strange} --auto-approve"))
        .expect(Exit::Done);
    says(&ran.out, "The config does not have fleet.api: the next plan destroys what is taken in of it.");
    assert_eq!(rig.addrs()[..2], ["fleet.api[0]", "fleet.api[1]"]);
    rig.change().closes(0, 0, 0, 2).took(&[("TerminateInstances", 1)]);
}

#[test]
fn what_cannot_be_named_says_why() {
    let rig = image();
    rig.wait_ms(LONG_MS);
    let id = rig.id("fleet.web[0]");
    let copy = rig.images(SH).into_values().next().expect("the copy");
    rig.run("state rm image.web fleet.web[1] --auto-approve").expect(Exit::Done);
    let refused =
        |claim: &str| rig.run(&format!("drift --orphans --adopt={claim} --auto-approve")).expect(Exit::Failed).err;
    says(&refused(&id), "it is in the state already, as fleet.web[0]");
    says(&refused("ins-00000000"), "no instance or custom image with this id carries our tag");
    says(&refused(&format!("fleet.web={copy}")), "is no address that an image in this region can have");
    says(&refused(&format!("image.web@1/{GZ}={copy}")), "is no address that an image in this region can have");
    let usage = |claim: &str| rig.run(&format!("drift --orphans --adopt={claim}")).expect(Exit::Usage).err;
    says(&usage("web"), "`web` is not the id of an instance or an image");
    says(&usage("fleets.web=ins-00000000"), "`fleets.web` is not an address");
    assert_eq!(rig.addrs().iter().filter(|addr| addr.starts_with("image")).count(), 0);
}

#[test]
fn an_adoption_that_is_killed_is_whole_or_not_at_all() {
    let base = fleet();
    base.wait_ms(LONG_MS);
    base.run("state rm fleet.web --auto-approve").expect(Exit::Done);
    let lost = base.fork();
    fs::remove_dir_all(lost.dir().join("state")).expect("removed");
    let mut points = 0;
    for world in [&base, &lost] {
        let wire = Wire::new(None);
        wire.run(&world.fork(), ADOPT, false).expect("it lives").expect(Exit::Done);
        let traffic = wire.traffic();
        let calls = (0..traffic.calls.len()).map(|n| Trap::Call(n, Fate::NotSent));
        let writes = (0..traffic.writes).flat_map(|n| [Trap::Write(n, false), Trap::Write(n, true)]);
        for trap in calls.chain(writes) {
            let rig = world.fork();
            let wire = Wire::new(Some(trap));
            drop(wire.run(&rig, ADOPT, false));
            assert!(!wire.sprung().is_empty(), "{trap:?}");
            let there = if rig.dir().join(STATE).exists() { rig.addrs().len() } else { 0 };
            assert!(there == 0 || there == 5, "{trap:?}: {there} of 5");
            rig.run(ADOPT).expect(Exit::Done);
            rig.expect_no_changes();
            rig.expect_in_step();
            points += 1;
        }
    }
    assert!(points > 8, "{points} points");
}
