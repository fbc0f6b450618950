//! Simulated machines: what their user data has them do, and what images keep of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::world::{GZ, World, instant, uin};

fn script(lines: &str) -> String {
    STANDARD.encode(format!("#!/bin/sh\n{lines}\n"))
}

#[test]
fn a_machine_switches_itself_off_when_its_script_says() {
    let world = World::new(instant());
    let id = world.launch(1, json!({"UserData": script("# sim: boot=20s\n# sim: poweroff after=40s")}))[0].clone();
    world.wait(59_999);
    assert_eq!(world.state(&id), "RUNNING");
    world.wait(1);
    assert_eq!(world.state(&id), "STOPPED");
    assert_eq!(world.instance(&id)["LatestOperation"], "RunInstances");
    // User data is run once: started again, it stays on.
    world.must("StartInstances", json!({"InstanceIds": [id]}));
    world.wait(1_000_000);
    assert_eq!(world.state(&id), "RUNNING");
    // A reset runs the new user data.
    let body = json!({"InstanceId": id, "UserData": script("# sim: poweroff after=1s")});
    world.must("ResetInstance", body);
    assert_eq!(world.state(&id), "RUNNING");
    world.wait(1000);
    assert_eq!(world.state(&id), "STOPPED");
}

#[test]
fn a_machine_tags_itself_when_its_script_says() {
    let world = World::new(instant());
    let data = script("# sim: boot=20s\n# sim: tag built=yes after=30s");
    let id = world.launch(1, json!({"UserData": data}))[0].clone();
    let tags = || world.instance(&id)["Tags"].clone();
    world.wait(49_999);
    assert_eq!(tags(), json!([]));
    world.wait(1);
    assert_eq!(tags(), json!([{"Key": "built", "Value": "yes"}]));
}

#[test]
fn health_is_told_by_inspection() {
    let world = World::new(instant());
    let id = world.launch(1, json!({"UserData": script("# sim: boot=20s\n# sim: unhealthy after=30s")}))[0].clone();
    let health = || {
        let all = world.cloud.holdings(world.now.get()).expect("holdings");
        let held = &all.of(&uin(1), GZ).expect("a region").instances[&id];
        (held.booted, held.healthy)
    };
    assert_eq!(health(), (false, false));
    world.wait(20_000);
    assert_eq!(health(), (true, true));
    world.wait(30_000);
    assert_eq!(health(), (true, false));
}

#[test]
fn images_keep_where_their_content_came_from() {
    let world = World::new(instant());
    let (one, two) = (script("one"), script("two"));
    let digest = |text: &str| blake3::hash(&STANDARD.decode(text).expect("base64")).to_hex().to_string();
    let builder = world.launch(1, json!({"UserData": one}))[0].clone();
    let golden = world.capture(&builder, "golden");
    let server = world.launch(1, json!({"ImageId": golden, "UserData": two}))[0].clone();
    let all = world.cloud.holdings(world.now.get()).expect("holdings");
    let held = all.of(&uin(1), GZ).expect("a region");
    assert_eq!(held.images[&golden].content.provisioned, [digest(&one)]);
    assert_eq!(held.instances[&server].content.provisioned, [digest(&one), digest(&two)]);
    assert_eq!(held.instances[&server].content.images.last(), Some(&golden));
    assert_eq!(held.images[&golden].snapshots.len(), 1);
    assert_eq!(held.disks.len(), 2);
}

#[test]
fn disks_that_are_to_stay_do() {
    let world = World::new(instant());
    let disks = json!({"DataDisks": [{"DiskSize": 10, "DeleteWithInstance": false}, {"DiskSize": 20}]});
    let id = world.launch(1, disks)[0].clone();
    world.must("TerminateInstances", json!({"InstanceIds": [id]}));
    let all = world.cloud.holdings(world.now.get()).expect("holdings");
    let held = all.of(&uin(1), GZ).expect("a region");
    assert_eq!(held.disks.values().map(|disk| (disk.size_gib, &disk.instance)).collect::<Vec<_>>(), [(10, &None)]);
}
