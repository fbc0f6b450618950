//! Simulated machines: what their user data has them do, and what images keep of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright::model::update::Check;
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

/// What an instance answers now, when it is asked for a page.
fn page(world: &World, id: &str) -> Result<(), String> {
    let check = Check::Http { port: 80, path: "/".to_owned(), status: 200, body: None };
    world.cloud.probe(world.now.get(), GZ, id, &check)
}

fn refuses<T>() -> Result<T, String> {
    Err("port 80 refuses connections".to_owned())
}

#[test]
fn machines_answer_while_they_are_healthy() {
    let world = World::new(instant());
    let lines = "# sim: boot=10s\n# sim: healthy after=20s\n# sim: unhealthy after=50s";
    let id = world.launch(1, json!({"UserData": script(lines)}))[0].clone();
    let tcp = |port| world.cloud.probe(world.now.get(), GZ, &id, &Check::Tcp { port });
    for (wait_ms, well) in [(0, false), (10_000, false), (19_999, false), (1, true), (29_999, true), (1, false)] {
        world.wait(wait_ms);
        assert_eq!(page(&world, &id), if well { Ok(()) } else { refuses() }, "after {wait_ms} more");
        assert_eq!(tcp(22).is_ok(), well);
    }
    // Health counts from the latest boot.
    world.must("RebootInstances", json!({"InstanceIds": [id]}));
    world.wait(40_000);
    assert_eq!(page(&world, &id), Ok(()));
    world.must("StopInstances", json!({"InstanceIds": [id]}));
    world.wait(1);
    assert_eq!(page(&world, &id), Err("nothing answers on port 80".to_owned()));
    assert_eq!(page(&world, "ins-00000000"), Err("nothing answers on port 80".to_owned()));
    assert!(world.cloud.probe(world.now.get(), "ap-shanghai", &id, &Check::Tcp { port: 22 }).is_err());
}

#[test]
fn what_is_asked_is_compared_with_what_is_answered() {
    let world = World::new(instant());
    let ask = |id: &str, status: u16, body: Option<&str>| {
        let check = Check::Http { port: 80, path: "/".to_owned(), status, body: body.map(str::to_owned) };
        world.cloud.probe(world.now.get(), GZ, id, &check)
    };
    let plain = world.launch(1, json!({}))[0].clone();
    assert_eq!(ask(&plain, 200, Some("ok")), Ok(()));
    assert_eq!(ask(&plain, 200, Some("fine")), Err("http 200, and \"fine\" is not in the answer".to_owned()));
    let odd =
        world.launch(1, json!({"UserData": script("# sim: http status=503\n# sim: http body=ready = 1")}))[0].clone();
    assert_eq!(ask(&odd, 200, None), Err("http 503 in place of 200".to_owned()));
    assert_eq!(ask(&odd, 503, Some("ready = 1")), Ok(()));
}

#[test]
fn what_is_baked_into_a_disk_holds_for_whatever_runs_from_it() {
    let world = World::new(instant());
    let bad = script("# sim: baked unhealthy after=0s\necho bad");
    let builder = world.launch(1, json!({"UserData": bad}))[0].clone();
    let image = world.capture(&builder, "bad");
    let launch =
        |image: &str, lines: &str| world.launch(1, json!({"ImageId": image, "UserData": script(lines)}))[0].clone();
    let one = launch(&image, "echo");
    assert_eq!(page(&world, &one), refuses());
    assert_eq!(page(&world, &launch(&image, "# sim: unhealthy after=1h")), Ok(()), "its own line comes first");
    // A capture of what runs from it has it still, and so has what is reset to it.
    let again = world.capture(&one, "again");
    assert_eq!(page(&world, &launch(&again, "echo")), refuses());
    let plain = world.launch(1, json!({}))[0].clone();
    assert_eq!(page(&world, &plain), Ok(()));
    world.must("ResetInstance", json!({"InstanceId": plain, "ImageId": again}));
    world.wait(1);
    assert_eq!(page(&world, &plain), refuses());
    // And it can be mended.
    let mended = launch(&again, "# sim: baked well");
    let good = world.capture(&mended, "good");
    assert_eq!(page(&world, &launch(&good, "echo")), Ok(()));
    let all = world.cloud.holdings(world.now.get()).expect("holdings");
    let held = all.of(&uin(1), GZ).expect("a region");
    assert!(!held.images[&again].content.baked.is_plain() && held.images[&good].content.baked.is_plain());
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
