//! The state learns what was changed outside: `drift`, `refresh`, `plan --refresh-only` and `apply --refresh-only`.

use fleetwright::cli::{Exit, Terminals};
use fleetwright::diff::fields::{self, Fate};
use fleetwright::model::attrs::FleetAttr;
use fleetwright::ops::Hooks;
use serde_json::json;

use crate::by_hand::fields::{How, SLOT, case, happen, rig_of, still};
use crate::kit::{GZ, SH, counts, fleet, image, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";

/// Lets somebody else change what can be changed of an attribute, and the state learn it.
fn learn_one(attr: FleetAttr) {
    let mut case = case(attr);
    if attr == FleetAttr::State {
        case.keys = "state: running";
    }
    if matches!(case.how, How::Cannot) {
        return;
    }
    let rig = rig_of(&case, None);
    drop(happen(&rig, &case.how));
    let mark = rig.mark();
    let drift = rig.run_with("drift", still(&case.how)).expect(Exit::Changes).out;
    says(&drift, &format!("Changed outside: {SLOT}"));
    rig.run_with("refresh --auto-approve", still(&case.how)).expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[]), "{attr}");
    let planned = rig.run_with("plan", still(&case.how)).expect(Exit::Done).out;
    // By its name a slot is known: the state never takes another one.
    if attr == FleetAttr::Name {
        return says(&planned, "changed outside (name)");
    }
    if attr == FleetAttr::Count {
        says(&planned, "the fleet grows from 4 to 5");
    } else {
        says(&planned, &format!("the config changed ({attr})"));
    }
    assert!(!planned.contains("Changed outside"), "{attr}\n{planned}");
    rig.run_with("drift", still(&case.how)).expect(Exit::Done);
    if fields::fleet(attr).drift == Fate::Repaired {
        rig.change();
    }
}

#[test]
fn the_state_learns_every_attribute_that_the_cloud_tells() {
    std::thread::scope(|scope| {
        for share in FleetAttr::ALL.chunks(6) {
            scope.spawn(move || share.iter().copied().for_each(learn_one));
        }
    });
}

/// Two instances with other tags and groups, one that is gone, and one that is switched off.
fn drifted() -> Rig {
    let rig = fleet();
    for slot in [0, 1] {
        let id = rig.id(&format!("fleet.web[{slot}]"));
        let resource = format!("qcs::cvm:{GZ}:uin/{OWNER}:instance/{id}");
        rig.by_hand(GZ, "UnTagResources", &json!({"ResourceList": [resource], "TagKeys": ["app"]}));
    }
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [rig.id("fleet.web[2]")]}));
    rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [rig.id("fleet.web[3]")]}));
    rig.wait_ms(90_000);
    rig
}

#[test]
fn what_it_says() {
    let rig = drifted();
    let mark = rig.mark();
    let drift = rig.run("drift").expect(Exit::Changes);
    insta::assert_snapshot!("drift", drift.out);
    let planned = rig.run("plan --refresh-only").expect(Exit::Done);
    insta::assert_snapshot!("plan", planned.out);
    rig.run("plan --refresh-only --detailed-exitcode").expect(Exit::Changes);
    let asked = rig.run("refresh").expect(Exit::Failed);
    says(&asked.err, "to go on without being asked: fleetwright refresh --auto-approve");
    let mut no: &[u8] = b"no\n";
    let terminal = Terminals { stdin: true, ..Terminals::default() };
    let declined = rig.run_typing("refresh", Hooks::default(), &mut no, terminal).expect(Exit::Failed);
    says(&declined.err, "To let the state learn this, type `yes`:");
    assert_eq!(rig.addrs().len(), 5);
    let done = rig.run("apply --refresh-only --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("applied", done.out);
    says(&done.out, "Refreshed: 2 learnt, 1 forgotten; only the state changed.");
    assert_eq!(rig.mutations(mark), counts(&[]));
    // Nobody said that it is to run: it is shown that it does not, now and later.
    says(
        &rig.run("refresh").expect(Exit::Done).out,
        "Nothing to learn. The state is up to date, apart from the above.",
    );
    let next = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("next_plan", next.out);
    says(&rig.run("history").expect(Exit::Done).out, "refresh");
}

#[test]
fn json_says_what_is_learnt() {
    let rig = drifted();
    let ran = rig.run("drift --json").expect(Exit::Changes);
    let plan: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(plan["refresh_only"], json!(true));
    assert_eq!(plan["counts"], json!({"add": 0, "change": 0, "reset": 0, "destroy": 0}));
    let told = |key: &str, list: &str| -> Vec<String> {
        let list = plan[list].as_array().expect("a list");
        list.iter().map(|each| each[key].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(told("handling", "changed_outside"), ["learnt", "learnt", "learnt", "left"]);
    assert_eq!(told("action", "changes"), ["learn", "learn", "forget"]);
    assert!(told("action", "steps").iter().all(|action| action == "Record"));
}

/// What was only shown is a difference to the config once the state has learnt it.
#[test]
fn what_the_next_plan_would_lose_is_said_before() {
    let told = |attr: FleetAttr, strategy: &str| {
        let case = case(attr);
        let rig = rig_of(&case, None);
        rig.edit(SHOP, "strategy: replace", &format!("strategy: {strategy}"));
        drop(happen(&rig, &case.how));
        let ran = |args: &str| rig.run_with(args, still(&case.how));
        let before = ran("drift").expect(Exit::Changes).err;
        assert_eq!(ran("refresh --auto-approve").expect(Exit::Done).err.contains("refresh-loses"), !before.is_empty());
        let planned = ran("plan").expect(Exit::Done).out;
        let lost = planned.contains("Will be destroyed") || planned.contains("Will be reset");
        assert_eq!(lost, before.contains("note[refresh-loses]"), "{attr}\n{before}\n{planned}");
        before
    };
    let larger = told(FleetAttr::SystemDiskSize, "reset");
    // A system disk never gets smaller.
    says(&larger, "after a refresh the next plan replaces 1 instance of fleet.web: its `system_disk.size` is 100 GiB");
    says(&larger, "and the config says 60 GiB");
    says(&larger, "declare 100 GiB before you refresh, or add `system_disk.size` to `ignore_changes`");
    says(&told(FleetAttr::Login, "reset"), "the next plan resets 1 instance of fleet.web: its `login` is");
    says(&told(FleetAttr::PlacementGroup, "reset"), "and the config says ps-0a1b2c3d");
    says(&told(FleetAttr::Image, "replace"), "and the config says image.ubuntu");
    for attr in [FleetAttr::Tags, FleetAttr::Type, FleetAttr::State, FleetAttr::PrepaidRenew] {
        assert_eq!(told(attr, "replace"), "", "{attr}");
    }
}

#[test]
fn nothing_is_learnt_where_nothing_was_changed() {
    let rig = fleet();
    assert_eq!(rig.run("drift").expect(Exit::Done).out, "Nothing was changed outside.\n");
    let ran = rig.run("refresh").expect(Exit::Done);
    assert_eq!(ran.out, "Nothing was changed outside. The state is up to date.\n");
    // What the config says otherwise is no drift.
    rig.edit(SHOP, "count: 5", "count: 7");
    rig.run("drift").expect(Exit::Done);
    let fresh = Rig::new(&[(SHOP, crate::kit::FLEET), ("boot.sh", "#!/bin/sh\n")]);
    fresh.run("drift").expect(Exit::Done);
    fresh.run("refresh").expect(Exit::Done);
    assert!(!fresh.dir().join("state").exists());
}

#[test]
fn a_saved_refresh_is_refused_when_the_cloud_has_moved_on() {
    let rig = drifted();
    rig.run("plan --refresh-only --out plan.json").expect(Exit::Done);
    let other = rig.fork();
    let mark = rig.mark();
    rig.run("apply plan.json").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[]));
    assert!(!rig.addrs().contains(&"fleet.web[2]".to_owned()));
    let again = rig.run("apply plan.json").expect(Exit::Foreign);
    says(&again.err, "to plan again: fleetwright plan --refresh-only --out plan.json");
    let id = other.id("fleet.web[0]");
    other.by_hand(GZ, "RebootInstances", &json!({"InstanceIds": [id]}));
    other.wait_ms(10_000);
    other.run("apply plan.json").expect(Exit::Foreign);
    for args in ["apply plan.json --refresh-only", "apply plan.json --destroy", "plan --refresh-only --destroy"] {
        rig.run(args).expect(Exit::Usage);
    }
}

#[test]
fn images_and_shares() {
    let rig = image();
    let id = |region: &str| rig.images(region).into_values().next().expect("an image");
    let (gz, sh) = (id(GZ), id(SH));
    rig.by_hand(GZ, "ModifyImageAttribute", &json!({"ImageId": gz, "ImageDescription": "mine"}));
    let shares = |permission: &str, account: &str| {
        let body = json!({"ImageId": gz, "AccountIds": [account], "Permission": permission});
        rig.by_hand(GZ, "ModifyImageSharePermission", &body);
    };
    shares("CANCEL", "100000000003");
    shares("SHARE", "100000000009");
    let accounts = rig.shared(SH, &sh);
    let cancel = json!({"ImageId": sh, "AccountIds": accounts, "Permission": "CANCEL"});
    rig.by_hand(SH, "ModifyImageSharePermission", &cancel);
    rig.by_hand(SH, "DeleteImages", &json!({"ImageIds": [sh], "DeleteBindedSnap": true}));
    rig.wait_ms(90_000);
    let mark = rig.mark();
    insta::assert_snapshot!("images", rig.run("plan --refresh-only").expect(Exit::Done).out);
    rig.run("refresh --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[]));
    insta::assert_snapshot!("images_next_plan", rig.run("plan").expect(Exit::Done).out);
    rig.change().took(&[
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 2),
        ("ModifyImageSharePermission", 2),
    ]);
}

#[test]
fn a_version_that_was_forgotten_is_still_another_one_when_it_is_made_again() {
    let rig = image();
    for region in [GZ, SH] {
        let id = rig.images(region).into_values().next().expect("an image");
        let cancel = json!({"ImageId": id, "AccountIds": rig.shared(region, &id), "Permission": "CANCEL"});
        rig.by_hand(region, "ModifyImageSharePermission", &cancel);
        rig.by_hand(region, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    }
    rig.wait_ms(90_000);
    rig.run("refresh --auto-approve").expect(Exit::Done);
    assert!(!rig.addrs().iter().any(|addr| addr.starts_with("image.")), "{:?}", rig.addrs());
    // What runs is of the first capture: it moves to the second, as it would have without the refresh.
    rig.change().closes(7, 0, 0, 3);
    assert!(rig.images(SH).keys().all(|name| name.ends_with("-r2")), "{:?}", rig.images(SH));
}
