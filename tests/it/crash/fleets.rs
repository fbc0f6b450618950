//! Instances that are renamed, protected, switched off and on, or paid for in advance.

use serde_json::json;

use super::trial::Base;
use super::{Sample, try_sample};
use crate::changes::fields::with_keys;
use crate::kit::GZ;
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";
const DESTROY: &str = "destroy --auto-approve";
const PREPAID: &str = "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }";
const HOSTS: &str = "hostname: \"web-{zone}-{ordinal}\"";

/// How many scenarios there are.
pub(super) const SCENARIOS: usize = 10;

/// A world with a fleet of three that has some keys, before its first apply.
fn fresh(keys: &str) -> Rig {
    let config = with_keys(keys).replace("count: 5", "count: 3");
    Rig::new(&[(SHOP, &config), ("boot.sh", "#!/bin/sh\necho one\n")])
}

/// The same, applied long ago.
fn having(keys: &str) -> Rig {
    let rig = fresh(keys);
    rig.settle();
    rig.wait_ms(600_000);
    rig
}

fn try_apply(name: &'static str, rig: Rig, among: &'static [&'static str], each: usize, every: usize) {
    try_sample(name, &Sample { among, each, every }, &Base::new(name, rig, APPLY));
}

/// Every host gets another name, and restarts.
#[test]
fn hosts_renamed() {
    let rig = having(HOSTS);
    rig.edit(SHOP, "\"web-{zone}", "\"www-{zone}");
    try_apply("hosts: renamed", rig, &["ModifyInstancesAttribute"], 2, 60);
}

/// Another type as well: switched off, renamed, and switched on.
#[test]
fn hosts_renamed_and_resized() {
    let rig = having(HOSTS);
    rig.edit(SHOP, "\"web-{zone}", "\"www-{zone}");
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    let among = &["StopInstances", "ResetInstancesType", "ModifyInstancesAttribute", "StartInstances"];
    try_apply("hosts: renamed and resized", rig, among, 3, 150);
}

/// Protection is taken away, and of what it protected some goes.
#[test]
fn protection_off() {
    let rig = having("protect: true");
    rig.edit(SHOP, "protect: true", "protect: false");
    rig.edit(SHOP, "count: 3", "count: 1");
    try_apply("protection: off", rig, &["ModifyInstancesAttribute", "TerminateInstances"], 1, 40);
}

/// A fleet comes to be protected, and another one goes.
#[test]
fn protection_on() {
    let rig = fresh("");
    let other = "fleets:\n  old: { image: debian, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n";
    rig.edit(SHOP, "fleets:\n", other);
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit(SHOP, other, "fleets:\n");
    rig.edit(SHOP, "count: 3", "protect: true\n    count: 3");
    try_apply("protection: on", rig, &["ModifyInstancesAttribute", "TerminateInstances"], 1, 40);
}

/// Switched off, and of another type.
#[test]
fn power_off() {
    let rig = having("state: running");
    rig.edit(SHOP, "state: running", "state: stopped");
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    try_apply("power: off", rig, &["StopInstances", "ResetInstancesType"], 2, 80);
}

/// Switched on again, one more of them, and one that somebody switched on already.
#[test]
fn power_on() {
    let rig = having("state: stopped");
    rig.edit(SHOP, "state: stopped", "state: running");
    rig.edit(SHOP, "count: 3", "count: 4");
    let (_, id) = rig.instances(GZ).pop_first().expect("an instance");
    rig.by_hand(GZ, "StartInstances", &json!({ "InstanceIds": [id] }));
    rig.wait_ms(60_000);
    try_apply("power: on", rig, &["RunInstances", "StartInstances"], 2, 80);
}

/// New instances of a fleet that is off.
#[test]
fn power_new() {
    try_apply("power: new", fresh("state: stopped"), &["RunInstances", "StopInstances"], 1, 40);
}

/// What is paid in advance is replaced: the old ones go to the recycle bin, once.
#[test]
fn prepaid_replaced() {
    let rig = having(PREPAID);
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    try_apply("prepaid: replaced", rig, &["TerminateInstances", "RunInstances"], 3, 120);
}

/// One was thrown away by hand, is made again, and pays by the hour like all the others now.
#[test]
fn prepaid_no_longer() {
    let rig = having(PREPAID);
    let lost = rig.id("fleet.web[1]");
    rig.by_hand(GZ, "TerminateInstances", &json!({ "InstanceIds": [lost] }));
    rig.wait_ms(60_000);
    rig.edit(SHOP, &format!("    {PREPAID}\n"), "");
    try_apply("prepaid: no longer", rig, &["TerminateInstances", "RunInstances"], 3, 120);
}

/// All of it goes to the recycle bin.
#[test]
fn prepaid_gone() {
    let name = "prepaid: gone";
    let sample = Sample { among: &["TerminateInstances"], each: 1, every: 20 };
    try_sample(name, &sample, &Base::new(name, having(PREPAID), DESTROY));
}
