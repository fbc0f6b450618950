//! Images that are imported, received, encrypted, marked and kept.

use fleetwright::cloud::embedded::{Settings, public_image_id};
use serde_json::json;

use super::trial::Base;
use super::{Sample, try_sample};
use crate::kit::{BOOT, GZ, IMAGE, SOURCES, quick, sources};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";
const PARTNER: &str = "100000000002";
const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";

/// How many scenarios there are.
pub(super) const SCENARIOS: usize = 9;

fn try_apply(name: &'static str, rig: Rig, among: &'static [&'static str], each: usize, every: usize) {
    try_sample(name, &Sample { among, each, every }, &Base::new(name, rig, APPLY));
}

/// A file, its copy in another region, and a machine of it.
fn imported() -> String {
    let (head, rest) = SOURCES.split_once("  locked:\n").expect("the file");
    let (_, tail) = rest.split_once("fleets:\n").expect("fleets");
    let old = tail.lines().next().expect("a fleet").replace("count: 2", "count: 1");
    format!("{head}fleets:\n{old}\n").replace("trusted_owners: [\"100000000002\"]\n", "")
}

/// The import's answer names no id, and what is new is listed late: only its name tells it.
#[test]
fn import_told_late() {
    let settings = Settings { import_answers_id: false, empty_first_read: true, ..quick() };
    let rig = Rig::with(&[(SHOP, &imported())], settings);
    let among = &["ImportImage", "SyncImages", "TagResources", "ModifyImageAttribute", "RunInstances"];
    try_apply("import: told late", rig, among, 6, 320);
}

/// Another file: it is imported beside the first one, which stays, marked.
#[test]
fn import_again() {
    let rig = Rig::new(&[(SHOP, &imported())]);
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit(SHOP, "legacy.qcow2", "legacy-2.qcow2");
    let among = &["ImportImage", "SyncImages", "ModifyImageAttribute", "TerminateInstances"];
    try_apply("import: again", rig, among, 8, 400);
}

/// Another image that a partner made and shares, and another one of the marketplace.
#[test]
fn received_changed() {
    let rig = sources();
    rig.settle();
    let launch = json!({
        "Placement": { "Zone": "ap-guangzhou-3" },
        "ImageId": public_image_id(GZ, UBUNTU),
        "InstanceType": "S5.MEDIUM4",
    });
    let machine = rig.by_hand_as(PARTNER, GZ, "RunInstances", &launch)["InstanceIdSet"][0].clone();
    rig.wait_ms(600_000);
    let capture = json!({ "InstanceId": machine, "ImageName": "partner-next" });
    let image = rig.by_hand_as(PARTNER, GZ, "CreateImage", &capture)["ImageId"].clone();
    rig.wait_ms(600_000);
    let share = json!({ "ImageId": image, "AccountIds": [OWNER], "Permission": "SHARE" });
    rig.by_hand_as(PARTNER, GZ, "ModifyImageSharePermission", &share);
    rig.edit(SHOP, "img-8toqc6s3", image.as_str().expect("an id"));
    rig.edit(SHOP, "img-kx1vn3zd", "img-r7lamp2f");
    let among = &["SyncImages", "RunInstances", "TerminateInstances", "DeleteImages"];
    try_apply("received: changed", rig, among, 10, 600);
}

/// An encrypted copy was deleted, and another key is to lock it.
#[test]
fn encrypted_anew() {
    let rig = sources();
    rig.settle();
    rig.wait_ms(600_000);
    let images = rig.images(GZ);
    let (_, locked) = images.iter().find(|(name, _)| name.contains("locked")).expect("the copy");
    let delete = json!({ "ImageIds": [locked], "DeleteBindedSnap": true });
    let deleted = rig.fork();
    deleted.by_hand(GZ, "DeleteImages", &delete);
    deleted.wait_ms(60_000);
    try_apply("encrypted: made again", deleted, &["SyncImages", "TagResources"], 5, 200);
    rig.edit(SHOP, "encrypt: true", "encrypt: true, kms_key: kms-1a2b3c4d");
    let among = &["SyncImages", "TagResources", "RunInstances", "TerminateInstances", "DeleteImages"];
    try_apply("encrypted: another key", rig, among, 8, 400);
}

/// A captured image of a family, of which one older version stays.
fn kept() -> Rig {
    let keys = "    family: shop\n    keep: 1\n    deprecate_kept: true\n";
    let config = IMAGE.replace("    description: \"the shop\"\n", keys).replace("count: 3", "count: 1");
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", BOOT)]);
    rig.settle();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 2"));
    rig.settle();
    rig.wait_ms(600_000);
    rig
}

/// A third version: the second one stays, marked, and the first one goes.
#[test]
fn versions_next() {
    let rig = kept();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 3"));
    let among = &["CreateImage", "SyncImages", "ModifyImageAttribute", "ModifyImageSharePermission", "DeleteImages"];
    try_apply("versions: next", rig, among, 16, 900);
}

/// The kept version comes back, and the marks change places.
#[test]
fn versions_back() {
    let rig = kept();
    rig.write("boot.sh", BOOT);
    let among = &["ModifyImageAttribute", "ModifyImageSharePermission", "RunInstances", "TerminateInstances"];
    try_apply("versions: back", rig, among, 10, 500);
}

/// Another family, no marks, and none is kept but the current one.
#[test]
fn versions_fewer() {
    let rig = kept();
    rig.edit(SHOP, "family: shop", "family: mall");
    let fewer = rig.fork();
    rig.edit(SHOP, "    deprecate_kept: true\n", "");
    try_apply("family and marks", rig, &["ModifyImageAttribute"], 3, 100);
    fewer.edit(SHOP, "    keep: 1\n    deprecate_kept: true\n", "");
    try_apply("family and fewer", fewer, &["ModifyImageAttribute", "DeleteImages"], 3, 100);
}
