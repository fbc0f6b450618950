//! Builders that no state knows.

use std::fs;

use fleetwright::cli::Exit;
use serde_json::Value;

use super::{APPLY, BUILD, RUNS_ON, builders, nothing_stays, world};
use crate::kit::says;
use crate::rig::Rig;

/// A world with a builder that was kept, and whose state is lost.
fn lost() -> Rig {
    let rig = world(&BUILD.replace("      timeout: 5m\n", "      timeout: 5m\n      on_failure: keep\n"), RUNS_ON);
    rig.run(APPLY);
    assert_eq!(builders(&rig).len(), 1);
    rig.wait_ms(600_000);
    for file in ["default.db", "default.db-wal", "default.db-shm"] {
        drop(fs::remove_file(rig.dir().join("state").join(file)));
    }
    rig
}

#[test]
fn a_builder_is_found_and_told_for_what_it_is() {
    let rig = lost();
    let ran = rig.run("drift --orphans --json").expect(Exit::Changes);
    let json: Value = serde_json::from_str(&ran.out).expect("JSON");
    let orphans = json["orphans"].as_array().expect("orphans");
    assert_eq!(orphans.len(), 1);
    assert!(orphans[0]["likely"].as_str().is_some_and(|addr| addr.ends_with("/builder")), "{}", orphans[0]);
    assert_eq!(orphans[0]["standing"], "fits", "{}", orphans[0]);
}

#[test]
fn a_builder_that_is_taken_in_goes_with_the_next_apply() {
    let rig = lost();
    rig.run("drift --orphans --adopt --auto-approve").expect(Exit::Done);
    assert!(rig.addrs()[0].ends_with("/builder"), "{:?}", rig.addrs());
    rig.write("provision.sh", super::PROVISION);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "its build failed");
    rig.settle();
    nothing_stays(&rig);
}

/// By its address, where somebody gave it another name.
#[test]
fn a_builder_is_taken_in_at_an_address() {
    let rig = lost();
    let (name, id) = rig.instances(crate::kit::GZ).pop_first().expect("the builder");
    let version = name.trim_start_matches("shop-default-web-").trim_end_matches("-builder-1").to_owned();
    let body = serde_json::json!({ "InstanceIds": [id], "InstanceName": "a-box" });
    rig.by_hand(crate::kit::GZ, "ModifyInstancesAttribute", &body);
    rig.wait_ms(600_000);
    rig.run(&format!("drift --orphans --adopt=image.web@{version}/builder={id} --auto-approve")).expect(Exit::Done);
    assert_eq!(rig.addrs(), [format!("image.web@{version}/builder")]);
    rig.write("provision.sh", super::PROVISION);
    rig.settle();
    nothing_stays(&rig);
}
