//! `doctor` and `plan --preflight`: what they find, and that they change nothing.

use std::sync::Arc;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::clock::VirtualClock;
use fleetwright::cloud::embedded::Injection;
use serde_json::Value;

use crate::kit::{BOOT, FLEET, IMAGE, says};
use crate::rig::{NOON_MS, OWNER, Rig};

const SHOP: &str = "shop.yaml";

fn fleet() -> Rig {
    Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")])
}

fn image() -> Rig {
    Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)])
}

fn refuse(rig: &Rig, action: &str, code: &str) {
    rig.cloud().inject(Injection::Refuse { action: action.into(), code: code.into(), times: 9 });
}

#[test]
fn all_is_well_near_and_far_and_nothing_is_changed() {
    for rig in [image(), image().over_http()] {
        let ran = rig.run("doctor").expect(Exit::Done);
        for words in ["signature", "ap-guangzhou", "ap-shanghai", "0 of 10 custom images", "All is well."] {
            says(&ran.out, words);
        }
        assert!(!rig.dir().join("state").exists(), "nothing is written");
        let asked = rig.since(0);
        assert!(asked.iter().all(|entry| entry.action.starts_with("Describe")), "only reads");
        let told: Value = serde_json::from_str(&rig.run("doctor --json").expect(Exit::Done).out).expect("JSON");
        assert_eq!((&told["format"], &told["well"]), (&"fleetwright-doctor/1".into(), &true.into()));
    }
}

#[test]
fn what_is_not_allowed_is_told_once_with_what_to_do() {
    let rig = image();
    refuse(&rig, "DescribeInstances", "UnauthorizedOperation");
    let ran = rig.run("doctor").expect(Exit::Failed);
    says(&ran.out, "DescribeInstances is not allowed: UnauthorizedOperation");
    says(&ran.out, "docs/cam-policy.md has the policies");
    says(&ran.out, "allow it, for `doctor`, `plan`");
    says(&ran.out, "1 thing stands in the way.");
    assert_eq!(ran.out.matches("DescribeInstances is").count(), 1, "{}", ran.out);
}

#[test]
fn a_wrong_key_and_a_server_that_is_not_there_end_it_early() {
    let rig = fleet().over_http();
    let env = [("TENCENTCLOUD_SECRET_ID", "AKIDunknown"), ("TENCENTCLOUD_SECRET_KEY", "hunter2")];
    let ran = rig.run_in("doctor", &env, Terminals::default()).expect(Exit::Failed);
    says(&ran.out, "AuthFailure.SecretIdNotFound");
    says(&ran.out, "check the keys");
    assert!(!ran.out.contains("hunter2"));
    assert_eq!(rig.since(0).len(), 1, "there is no use in asking more");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    rig.edit(SHOP, &rig.wire().endpoint(), &format!("http://{gone}"));
    let ran = rig.run("doctor").expect(Exit::Failed);
    says(&ran.out, &format!("no connection to {gone} came about"));
}

#[test]
fn a_clock_that_is_off_is_told_before_it_bites() {
    for (ahead_s, exit, words) in [
        (10, Exit::Done, "ok clock this machine is 10 s behind the cloud"),
        (100, Exit::Done, "warning clock this machine is 100 s behind the cloud"),
        (400, Exit::Failed, "wrong clock this machine is 400 s behind the cloud"),
        (-400, Exit::Failed, "wrong clock this machine is 400 s ahead of the cloud"),
    ] {
        let clock = Arc::new(VirtualClock::at(NOON_MS + ahead_s * 1000));
        let ran = fleet().over_http_by(clock).run("doctor").expect(exit);
        says(&ran.out, words);
        assert_eq!(ran.out.contains("AuthFailure.SignatureExpire"), exit == Exit::Failed, "{}", ran.out);
    }
}

#[test]
fn keys_of_another_account_than_the_config_says_are_noticed() {
    let rig = image().over_http();
    rig.settle();
    rig.edit(SHOP, &format!("account: \"{OWNER}\""), "account: \"100000000009\"");
    std::fs::remove_dir_all(rig.dir().join("state")).expect("removed");
    let ran = rig.run("doctor").expect(Exit::Done);
    says(&ran.out, "warning account custom images here are 100000000001's, and `cloud.account` is 100000000009");
}

#[test]
fn a_preflight_tries_what_can_be_tried_and_names_the_rest() {
    let rig = image();
    let ran = rig.run("plan --preflight").expect(Exit::Done);
    for words in [
        "ok quota custom images in ap-guangzhou: 0 of 10 now, 1 at the plan's worst moment",
        "ok stock S5.MEDIUM4 in ap-guangzhou-3, POSTPAID_BY_HOUR: sold",
        "ok dry run RunInstances in ap-guangzhou: the cloud would take it",
        "not tried dry run ModifyImageSharePermission, 2 calls: the cloud has no dry run of it",
        "not tried dry run CreateImage: other steps come before it, and what it meets then is not there yet",
        "ok price the cloud tells the price of everything that is launched",
    ] {
        says(&ran.out, words);
    }
    let holdings = rig.holdings();
    assert!(holdings.nothing_of(OWNER), "{holdings:#?}");
    assert!(!rig.dir().join("state").exists(), "nothing is written");
    let told: Value = serde_json::from_str(&rig.run("plan --preflight --json").expect(Exit::Done).out).expect("JSON");
    assert!(told["preflight"].as_array().is_some_and(|told| told.len() > 5), "{told}");
    assert!(serde_json::from_str::<Value>(&rig.run("plan --json").out).expect("JSON")["preflight"].is_null());
    rig.settle();
}

#[test]
fn what_would_be_refused_is_refused_before_an_apply() {
    let rig = fleet();
    refuse(&rig, "RunInstances", "InvalidAccount.InsufficientBalance");
    let ran = rig.run("plan --preflight").expect(Exit::Infeasible);
    says(&ran.out, "wrong dry run RunInstances in ap-guangzhou, 2 calls: InvalidAccount.InsufficientBalance");
    says(&ran.out, "help: an apply would be refused in the same way");
}
