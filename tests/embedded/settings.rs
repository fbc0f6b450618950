//! Each unconfirmed rule, the other way round.

use fleetwright::cloud::embedded::{Injection, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::{Limits, Pace};
use serde_json::{Value, json};

use crate::world::{SH, World, instant, quick, uin};

/// A world with one instance and one image of it.
fn made(settings: Settings) -> (World, String, String) {
    let world = World::new(settings);
    let instance = world.launch(1, json!({}))[0].clone();
    let body = json!({"InstanceId": instance, "ImageName": "golden", "ImageDescription": "d", "ImageFamily": "f"});
    let image = world.must("CreateImage", body)["ImageId"].as_str().expect("id").to_owned();
    world.wait(world.cloud.settings().pace.capture_ms);
    (world, instance, image)
}

fn copy(world: &World, image: &str) -> Value {
    let body = json!({"ImageIds": [image], "DestinationRegions": [SH], "ImageSetRequired": true});
    let id = world.must("SyncImages", body)["ImageSet"][0]["ImageId"].clone();
    world.must_as(1, SH, "DescribeImages", json!({"ImageIds": [id]}))["ImageSet"][0].clone()
}

#[test]
fn what_a_copy_carries() {
    let (world, _, image) = made(quick());
    let seen = copy(&world, &image);
    assert_eq!(seen["ImageState"], "SYNCING");
    assert_eq!((&seen["ImageDescription"], &seen["ImageFamily"]), (&json!("d"), &json!("")));
    let other =
        Settings { copy_carries_description: false, copy_carries_family: true, copy_is_syncing: false, ..quick() };
    let (world, _, image) = made(other);
    let seen = copy(&world, &image);
    assert_eq!(seen["ImageState"], "CREATING");
    assert_eq!((&seen["ImageDescription"], &seen["ImageFamily"]), (&json!(""), &json!("f")));
}

#[test]
fn whether_failed_images_count() {
    for (count, code) in [(true, "ImageQuotaLimitExceeded"), (false, "ok")] {
        let limits = Limits { images_per_region: 2, ..Limits::EMBEDDED };
        let (world, instance, _) = made(Settings { limits, failed_images_count: count, ..instant() });
        world.cloud.inject(Injection::CaptureFails { name: "two".into() });
        world.capture(&instance, "two");
        let seen = world.code("CreateImage", json!({"InstanceId": instance, "ImageName": "three"}));
        assert_eq!(seen, code);
    }
}

#[test]
fn whether_an_image_that_is_shared_out_changes() {
    let (world, _, image) = made(Settings { shared_out_can_be_modified: false, ..instant() });
    let body = json!({"ImageId": image, "AccountIds": [uin(2)], "Permission": "SHARE"});
    world.must("ModifyImageSharePermission", body);
    let code = world.code("ModifyImageAttribute", json!({"ImageId": image, "ImageDescription": "x"}));
    assert_eq!(code, "UnsupportedOperation.SharedImageModifyUnsupported");
}

#[test]
fn what_a_reset_and_a_resize_show() {
    let (world, instance, _) = made(Settings { reset_shows_rebooting: true, ..quick() });
    world.must("ResetInstance", json!({"InstanceId": instance}));
    assert_eq!(world.state(&instance), "REBOOTING");
    let code = world.code("StopInstances", json!({"InstanceIds": [instance]}));
    assert_eq!(code, "UnsupportedOperation.InstanceStateRebooting");
    let resize = |id: &str| json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true});
    let (world, instance, _) = made(Settings { restart_after_resize: false, ..quick() });
    world.must("ResetInstancesType", resize(&instance));
    world.wait(1000);
    assert_eq!(world.state(&instance), "STOPPED");
    let (world, instance, _) = made(Settings { resize_stops_running: false, ..quick() });
    assert_eq!(world.code("ResetInstancesType", resize(&instance)), "UnsupportedOperation.InstanceStateRunning");
}

#[test]
fn paces_and_jitter() {
    let pace = |latency| Settings::new(latency, Limits::EMBEDDED, 0).pace;
    assert_eq!(
        (pace(Latency::Instant), pace(Latency::Quick), pace(Latency::Realistic)),
        (Pace::INSTANT, Pace::QUICK, Pace::REALISTIC)
    );
    let world = World::new(Settings { jitter_percent: 20, ..quick() });
    let ids = world.launch(50, json!({}));
    let running = || ids.iter().filter(|id| world.state(id) == "RUNNING").count();
    let at_the_mean = running();
    assert!(at_the_mean > 5 && at_the_mean < 45, "{at_the_mean}");
    world.wait(300);
    assert_eq!(running(), 50);
}

#[test]
fn the_same_requests_give_the_same_answers() {
    let tell = |seed| {
        let (world, instance, image) = made(Settings { seed, ..quick() });
        (world.instance(&instance).to_string(), world.image(&image).to_string())
    };
    assert_eq!(tell(1), tell(1));
    assert_ne!(tell(1), tell(2));
}

#[test]
fn nothing_of_an_account_is_left_when_all_is_taken_away() {
    let (world, instance, image) = made(instant());
    world.must("DeleteImages", json!({"ImageIds": [image], "DeleteBindedSnap": true}));
    world.must("TerminateInstances", json!({"InstanceIds": [instance]}));
    let all = world.cloud.holdings(world.now.get()).expect("holdings");
    assert!(all.nothing_of(&uin(1)) && all.0.is_empty());
}

#[test]
fn odd_clocks_and_numbers_are_survived() {
    let world = World::new(instant());
    let ids = world.launch(2, json!({"InstanceName": format!("x{{R:{}}}", i64::MAX)}));
    assert_eq!(ids.len(), 2);
    let request = world.request(1, crate::world::GZ, "DescribeZones", "{}");
    for now in [i64::MIN, -1, i64::MAX] {
        assert_eq!(world.cloud.handle(now, &request).status, 200);
    }
}
