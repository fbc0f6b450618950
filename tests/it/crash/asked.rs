//! What is asked for: a refresh, a saved plan, single things to be made anew; and a refresh between crash and recovery.

use fleetwright::cli::Exit;
use serde_json::json;

use super::trial::{Base, Doing, Or};
use super::{Sample, try_sample};
use crate::kit::{FLEET, GZ, IMAGE, SH};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";
const REFRESH: &str = "refresh --auto-approve";

/// How many scenarios there are.
pub(super) const SCENARIOS: usize = 9;

/// A world with a fleet of three, applied long ago.
fn fleet() -> Rig {
    let config = FLEET.replace("count: 5", "count: 3");
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig.wait_ms(600_000);
    rig
}

/// A world with an image, its copy, its shares and two machines of it, applied long ago.
fn image() -> Rig {
    let rig = Rig::new(&[(SHOP, &IMAGE.replace("count: 3", "count: 2")), ("boot.sh", crate::kit::BOOT)]);
    rig.settle();
    rig.wait_ms(600_000);
    rig
}

/// Instances with other tags, of another type, or gone; a copy that is described otherwise, and one that is gone.
fn drifted() -> Rig {
    let rig = image();
    let slot = |n: usize| rig.id(&format!("fleet.web[{n}]"));
    let resource = format!("qcs::cvm:{GZ}:uin/{OWNER}:instance/{}", slot(0));
    rig.by_hand(
        GZ,
        "TagResources",
        &json!({ "ResourceList": [resource], "Tags": [{ "TagKey": "app", "TagValue": "x" }] }),
    );
    rig.by_hand(GZ, "TerminateInstances", &json!({ "InstanceIds": [slot(1)] }));
    let id = |region: &str| rig.images(region).into_values().next().expect("an image");
    rig.by_hand(GZ, "ModifyImageAttribute", &json!({ "ImageId": id(GZ), "ImageDescription": "mine" }));
    let accounts = rig.shared(SH, &id(SH));
    let cancel = json!({ "ImageId": id(SH), "AccountIds": accounts, "Permission": "CANCEL" });
    rig.by_hand(SH, "ModifyImageSharePermission", &cancel);
    rig.by_hand(SH, "DeleteImages", &json!({ "ImageIds": [id(SH)], "DeleteBindedSnap": true }));
    rig.wait_ms(90_000);
    rig
}

fn learning(command: &'static str) -> Doing {
    Doing { look: "plan --refresh-only --detailed-exitcode", ..Doing::of(command) }
}

/// The state learns what was changed outside; nothing in the cloud is changed, so only reads and writes are points.
fn try_refresh(name: &'static str, command: &'static str) {
    let base = Base::doing(name, drifted(), learning(command));
    assert!(base.traffic.calls.iter().all(|(_, mutates)| !mutates), "{:?}", base.traffic.calls);
    assert!(base.traffic.writes >= 5 && base.traffic.calls.len() >= 5);
    try_sample(name, &Sample { among: &[], each: 1, every: 10 }, &base);
}

#[test]
fn refreshed() {
    try_refresh("refresh", REFRESH);
}

#[test]
fn applied_refresh_only() {
    try_refresh("apply --refresh-only", "apply --refresh-only --auto-approve");
}

/// A refresh that was saved: it is stale, or carried out.
#[test]
fn refresh_saved() {
    let rig = drifted();
    rig.run("plan --refresh-only --out plan.json").expect(Exit::Done);
    let name = "refresh: saved";
    let base = Base::doing(name, rig, Doing { again: REFRESH, ..learning("apply plan.json") });
    try_sample(name, &Sample { among: &[], each: 1, every: 10 }, &base);
}

/// Whoever finds an interrupted run may look first what became of it, and let the state learn that.
#[test]
fn refreshed_before_it_is_given_again() {
    let rig = fleet();
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    rig.edit(SHOP, "count: 3", "count: 4");
    rig.edit(SHOP, "tags: { app: web }", "tags: { role: web }");
    let name = "refreshed between: fleet";
    let base = Base::doing(name, rig, Doing { between: Some(REFRESH), ..Doing::of(APPLY) });
    let among = &["RunInstances", "StopInstances", "ResetInstancesType", "StartInstances", "TagResources"];
    try_sample(name, &Sample { among, each: 4, every: 120 }, &base);
}

#[test]
fn refreshed_before_an_image_is_made_again() {
    let rig = image();
    rig.write("boot.sh", &crate::kit::BOOT.replace("echo shop", "echo shop 2"));
    let name = "refreshed between: image";
    let base = Base::doing(name, rig, Doing { between: Some(REFRESH), ..Doing::of(APPLY) });
    let among = &["CreateImage", "SyncImages", "ModifyImageSharePermission", "TerminateInstances", "DeleteImages"];
    try_sample(name, &Sample { among, each: 16, every: 900 }, &base);
}

/// A saved plan: what was interrupted is not resumed; an apply settles it, and plans anew.
#[test]
fn plan_file() {
    let rig = fleet();
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    rig.edit(SHOP, "tags: { app: web }", "tags: { role: web }");
    rig.run("plan --out plan.json").expect(Exit::Done);
    let name = "apply FILE";
    let base = Base::doing(name, rig, Doing { again: APPLY, ..Doing::of("apply plan.json") });
    try_sample(name, &Sample { among: &["TerminateInstances", "RunInstances"], each: 3, every: 120 }, &base);
}

/// A slot is made anew. The same command again makes it anew once more, and no other, and none twice.
#[test]
fn slot_replaced() {
    let name = "--replace: slot";
    let base = Base::new(name, fleet(), "apply --auto-approve --replace fleet.web[1]");
    try_sample(name, &Sample { among: &["TerminateInstances", "RunInstances"], each: 2, every: 60 }, &base);
}

/// A fleet, and what goes on is a plain apply: it makes what is missing.
#[test]
fn fleet_replaced() {
    let name = "--replace: fleet";
    let doing = Doing { again: APPLY, ..Doing::of("apply --auto-approve --replace fleet.web") };
    let base = Base::doing(name, fleet(), doing);
    try_sample(name, &Sample { among: &["TerminateInstances", "RunInstances"], each: 3, every: 120 }, &base);
}

/// An image with all that follows: an apply goes on with what was begun, and begins nothing.
#[test]
fn image_replaced() {
    let name = "--replace: image";
    let command = "apply --auto-approve --replace image.web";
    let base = Base::doing(name, image(), Doing { again: APPLY, or: Or::AsBefore, ..Doing::of(command) });
    let among = &["CreateImage", "SyncImages", "ModifyImageSharePermission", "TerminateInstances", "DeleteImages"];
    try_sample(name, &Sample { among, each: 16, every: 900 }, &base);
}
