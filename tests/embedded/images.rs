//! Images: captures, copies, changes and deletes.

use fleetwright::cloud::embedded::{Injection, Settings, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, SH, UBUNTU, World, instant, merged, quick, texts, uin};

fn ids(answer: &Value) -> Vec<String> {
    answer["ImageSet"]
        .as_array()
        .expect("a set")
        .iter()
        .map(|i| i["ImageId"].as_str().expect("id").to_owned())
        .collect()
}

#[test]
fn public_images_are_found_by_name_type_and_platform() {
    let world = World::new(quick());
    let find = |body| world.must("DescribeImages", body);
    let fuzzy = |name: &str, value: &str| json!({"Filters": [{"Name": name, "Values": [value]}]});
    assert_eq!(find(fuzzy("image-name", "ubuntu server 22.04"))["TotalCount"], 2);
    assert_eq!(find(fuzzy("platform", "Windows"))["ImageSet"][0]["ImageSize"], 50);
    assert_eq!(find(fuzzy("image-type", "PUBLIC_IMAGE"))["TotalCount"], 10);
    assert_eq!(find(fuzzy("image-type", "PRIVATE_IMAGE"))["TotalCount"], 0);
    let arm = find(json!({"InstanceType": "SR1.MEDIUM2"}));
    assert_eq!(arm["TotalCount"], 1);
    assert_eq!(arm["ImageSet"][0]["Architecture"], "arm");
    let id = public_image_id(GZ, UBUNTU);
    let image = world.image(&id);
    assert_eq!((&image["ImageName"], &image["ImageState"]), (&json!(UBUNTU), &json!("NORMAL")));
    assert!(image["SnapshotSet"].as_array().is_some_and(Vec::is_empty));
    assert!(world.image(&public_image_id(SH, UBUNTU)).is_null());
    world.table(
        "DescribeImages",
        &[
            (
                json!({"ImageIds": [id], "Filters": [{"Name": "platform", "Values": ["x"]}]}),
                "InvalidParameter.InvalidParameterCoexistImageIdsFilters",
            ),
            (json!({"ImageIds": ["img-1"]}), "InvalidImageId.Malformed"),
            (json!({"ImageIds": ["img-00000000"]}), "ok"),
            (json!({"Limit": 101}), "InvalidParameterValue.InvalidParameterValueLimit"),
            (json!({"InstanceType": "S5"}), "InvalidInstanceType.Malformed"),
            (json!({"InstanceType": "S5.HUGE"}), "InvalidParameterValue.InstanceTypeNotFound"),
            (json!({"Filters": [{"Name": "colour", "Values": ["x"]}]}), "InvalidFilter"),
            (json!({"Filters": [{"Name": "platform", "Values": []}]}), "InvalidFilter"),
            (json!({"Filters": [{"Name": "platform"}]}), "InvalidFilter"),
            (json!({"Filters": [{"Name": "tag-key", "Values": ["nobody"]}]}), "InvalidParameterValue.TagKeyNotFound"),
        ],
    );
}

#[test]
fn a_capture_is_creating_then_normal() {
    let world = World::new(quick());
    let instance = world.launch(1, json!({"SystemDisk": {"DiskSize": 60}}))[0].clone();
    let answer =
        world.must("CreateImage", json!({"InstanceId": instance, "ImageName": "golden", "ImageDescription": "d"}));
    let id = answer["ImageId"].as_str().expect("an id").to_owned();
    let image = world.image(&id);
    assert_eq!(image["ImageState"], "CREATING");
    assert_eq!(world.instance(&instance)["LatestOperation"], "CreateImage");
    assert_eq!(world.instance(&instance)["LatestOperationState"], "OPERATING");
    assert_eq!(world.state(&instance), "RUNNING");
    for (action, body, code) in [
        ("CreateImage", json!({"InstanceId": instance, "ImageName": "two"}), "MutexOperation.TaskRunning"),
        ("StopInstances", json!({"InstanceIds": [instance]}), "OperationDenied.InstanceOperationInProgress"),
        ("DeleteImages", json!({"ImageIds": [id]}), "InvalidImageId.IncorrectState"),
        ("ModifyImageAttribute", json!({"ImageId": id, "ImageDescription": "x"}), "InvalidImageId.IncorrectState"),
        ("SyncImages", json!({"ImageIds": [id], "DestinationRegions": [SH]}), "InvalidImageId.IncorrectState"),
        (
            "ModifyImageSharePermission",
            json!({"ImageId": id, "AccountIds": [uin(2)], "Permission": "SHARE"}),
            "InvalidParameterValue.InvalidImageState",
        ),
        ("RunInstances", crate::world::with(json!({"ImageId": id})), "InvalidParameterValue.InvalidImageState"),
    ] {
        assert_eq!(world.code(action, body), code, "{action}");
    }
    world.wait(2499);
    assert_eq!(world.image(&id)["ImageState"], "CREATING");
    world.wait(1);
    let image = world.image(&id);
    assert_eq!(image["ImageState"], "NORMAL");
    assert_eq!((&image["ImageSize"], &image["ImageType"]), (&json!(60), &json!("PRIVATE_IMAGE")));
    assert_eq!((&image["ImageCreator"], &image["ImageDescription"]), (&json!(uin(1)), &json!("d")));
    assert_eq!(image["SnapshotSet"][0]["DiskUsage"], "SYSTEM_DISK");
    assert_eq!(world.state(&instance), "RUNNING");
    assert_eq!(world.instance(&instance)["LatestOperationState"], "SUCCESS");
}

#[test]
fn a_forced_power_off_comes_first_and_the_instance_stays_off() {
    for (restart, after) in [(false, "STOPPED"), (true, "RUNNING")] {
        let world = World::new(Settings { restart_after_capture: restart, ..quick() });
        let instance = world.launch(1, json!({}))[0].clone();
        let body = json!({"InstanceId": instance, "ImageName": "golden", "ForcePoweroff": "TRUE"});
        world.must("CreateImage", body);
        assert_eq!(world.state(&instance), "STOPPING");
        world.wait(800);
        assert_eq!(world.state(&instance), "STOPPED");
        assert_eq!(world.instance(&instance)["LatestOperationState"], "OPERATING");
        world.wait(1700);
        assert_eq!(world.state(&instance), after);
    }
}

#[test]
fn what_cannot_be_captured_has_its_code() {
    let world = World::new(quick());
    let two = world.launch(2, json!({"DataDisks": [{"DiskSize": 10}]}));
    let instance = &two[0];
    let seen = world.instance(instance);
    let (system, data) = (&seen["SystemDisk"]["DiskId"], &seen["DataDisks"][0]["DiskId"]);
    let foreign = &world.instance(&two[1])["DataDisks"][0]["DiskId"];
    world.capture(instance, "taken");
    let body = |more: Value| merged(json!({"ImageName": "new", "InstanceId": instance}), more);
    world.table(
        "CreateImage",
        &[
            (json!({"InstanceId": instance}), "MissingParameter"),
            (json!({"ImageName": "new"}), "InvalidParameter.SpecifyOneParameter"),
            (body(json!({"SnapshotIds": ["snap-00000000"]})), "InvalidParameterConflict"),
            (
                json!({"ImageName": "new", "SnapshotIds": ["snap-00000000"], "DataDiskIds": [data]}),
                "InvalidParameter.InvalidDependence",
            ),
            (json!({"ImageName": "new", "SnapshotIds": ["snap-00000000"]}), "InvalidParameter.SnapshotNotFound"),
            (body(json!({"InstanceId": "ins-1"})), "InvalidInstanceId.NotFound"),
            (body(json!({"InstanceId": "ins-00000000"})), "InvalidInstanceId.NotFound"),
            (body(json!({"ImageName": "taken"})), "InvalidImageName.Duplicate"),
            (body(json!({"ImageName": "n".repeat(61)})), "InvalidParameterValue.TooLarge"),
            (body(json!({"ImageName": ""})), "InvalidParameterValue"),
            (body(json!({"ImageDescription": "d".repeat(257)})), "InvalidParameterValue.TooLarge"),
            (body(json!({"ForcePoweroff": "maybe"})), "InvalidParameterValue"),
            (body(json!({"ForcePoweroff": true})), "InvalidParameter"),
            (body(json!({"DataDiskIds": [system]})), "InvalidParameter.DataDiskIdContainsRootDisk"),
            (body(json!({"DataDiskIds": [foreign]})), "InvalidParameter.DataDiskNotBelongSpecifiedInstance"),
            (body(json!({"DryRun": true})), "ok"),
            (body(json!({"DataDiskIds": [data], "ImageName": "n".repeat(60)})), "ok"),
        ],
    );
    let strict = World::new(Settings { dry_run_is_error: true, ..instant() });
    let id = strict.launch(1, json!({}))[0].clone();
    let dry = json!({"InstanceId": id, "ImageName": "x", "DryRun": true});
    assert_eq!(strict.code("CreateImage", dry), "DryRunOperation");
    assert_eq!(
        strict.must("DescribeAccountQuota", json!({}))["AccountQuotaOverview"]["AccountQuota"]["ImageQuotaSet"][0]["UsedQuota"],
        0
    );
}

#[test]
fn states_that_forbid_a_capture_have_their_codes() {
    let world = World::new(quick());
    let capture = |id: &str| world.code("CreateImage", json!({"InstanceId": id, "ImageName": "x", "DryRun": true}));
    let pending = texts(&world.must("RunInstances", crate::world::base(1))["InstanceIdSet"])[0].clone();
    assert_eq!(capture(&pending), "OperationDenied.InstanceOperationInProgress");
    world.wait(1500);
    assert_eq!(capture(&pending), "ok");
    for (action, code) in [
        ("StopInstances", "UnsupportedOperation.InstanceStateStopping"),
        ("StartInstances", "UnsupportedOperation.InstanceStateStarting"),
        ("TerminateInstances", "UnsupportedOperation.InstanceStateTerminating"),
    ] {
        world.must(action, json!({"InstanceIds": [pending]}));
        assert_eq!(capture(&pending), code);
        if action != "TerminateInstances" {
            world.wait(800);
            assert_eq!(capture(&pending), "ok");
        }
    }
    world.wait(800);
    assert_eq!(capture(&pending), "InvalidInstanceId.NotFound");
    world.cloud.inject(Injection::LaunchFails { name: "web".into() });
    let failed = world.launch(1, json!({}))[0].clone();
    assert_eq!(capture(&failed), "InvalidInstance.NotSupported");
}

#[test]
fn a_failed_capture_holds_its_name_and_place_until_it_is_deleted() {
    let world = World::new(quick());
    let instance = world.launch(1, json!({}))[0].clone();
    world.cloud.inject(Injection::CaptureFails { name: "golden".into() });
    let id = world.capture(&instance, "golden");
    assert_eq!(world.image(&id)["ImageState"], "CREATEFAILED");
    let again = json!({"InstanceId": instance, "ImageName": "golden"});
    assert_eq!(world.code("CreateImage", again.clone()), "InvalidImageName.Duplicate");
    world.must("DeleteImages", json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    assert_eq!(world.code("CreateImage", again.clone()), "InvalidImageName.Duplicate");
    assert_eq!(world.code("DeleteImages", json!({"ImageIds": [id]})), "MutexOperation.TaskRunning");
    world.wait(300);
    assert_eq!(world.code("CreateImage", again), "ok");
}

#[test]
fn a_copy_and_its_source_are_syncing_until_both_are_normal() {
    let world = World::new(quick());
    let instance = world.launch(1, json!({}))[0].clone();
    let id = world.capture(&instance, "golden");
    let body = json!({"ImageIds": [id], "DestinationRegions": [SH, "ap-beijing"], "ImageSetRequired": true});
    let set = world.must("SyncImages", body)["ImageSet"].clone();
    assert_eq!(set.as_array().map(Vec::len), Some(2));
    let copy = set.as_array().expect("a set").iter().find(|c| c["Region"] == SH).expect("a copy")["ImageId"].clone();
    let in_sh = || world.must_as(1, SH, "DescribeImages", json!({"ImageIds": [copy]}))["ImageSet"][0].clone();
    world.wait(1000);
    assert_eq!((&in_sh()["ImageState"], &in_sh()["SyncPercent"]), (&json!("SYNCING"), &json!(50)));
    assert_eq!(world.image(&id)["ImageState"], "SYNCING");
    for (action, body, code) in [
        ("SyncImages", json!({"ImageIds": [id], "DestinationRegions": ["ap-tokyo"]}), "InvalidImageId.IncorrectState"),
        ("DeleteImages", json!({"ImageIds": [id]}), "InvalidImageId.IncorrectState"),
        ("RunInstances", crate::world::with(json!({"ImageId": id})), "InvalidParameterValue.InvalidImageState"),
    ] {
        assert_eq!(world.code(action, body), code, "{action}");
    }
    world.wait(1000);
    assert_eq!(world.image(&id)["ImageState"], "NORMAL");
    assert_eq!((&in_sh()["ImageState"], &in_sh()["ImageName"]), (&json!("NORMAL"), &json!("golden")));
    assert_eq!(in_sh()["SnapshotSet"].as_array().map(Vec::len), Some(1));
    world.must("DeleteImages", json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    world.wait(300);
    assert_eq!(in_sh()["ImageState"], "NORMAL");
}

#[test]
fn what_cannot_be_copied_has_its_code() {
    let world = World::new(instant());
    let instance = world.launch(1, json!({}))[0].clone();
    let id = world.capture(&instance, "golden");
    let sh = |more: Value| merged(json!({"ImageIds": [id], "DestinationRegions": [SH]}), more);
    world.table(
        "SyncImages",
        &[
            (json!({"DestinationRegions": [SH]}), "MissingParameter"),
            (json!({"ImageIds": [id]}), "MissingParameter"),
            (sh(json!({"ImageIds": []})), "MissingParameter"),
            (sh(json!({"ImageIds": [id, id]})), "InvalidParameterValue.LimitExceeded"),
            (sh(json!({"ImageIds": ["img-1"]})), "InvalidImageId.Malformed"),
            (sh(json!({"ImageIds": ["img-00000000"]})), "InvalidImageId.NotFound"),
            (sh(json!({"ImageIds": [public_image_id(GZ, UBUNTU)]})), "InvalidParameterValue.InvalidImageId"),
            (sh(json!({"DestinationRegions": []})), "MissingParameter"),
            (sh(json!({"DestinationRegions": ["ap-mars"]})), "InvalidRegion.NotFound"),
            (sh(json!({"DestinationRegions": ["ap-shanghai-fsi"]})), "InvalidRegion.Unavailable"),
            (sh(json!({"DestinationRegions": [GZ]})), "InvalidParameterValue.InvalidRegion"),
            (sh(json!({"Encrypt": true})), "InvalidParameterValue.InvalidRegion"),
            (sh(json!({"ImageName": "n".repeat(61)})), "InvalidParameterValue"),
            (sh(json!({"DryRun": true})), "ok"),
            (sh(json!({})), "ok"),
            (sh(json!({})), "InvalidImageName.Duplicate"),
            (sh(json!({"ImageName": "other"})), "ok"),
        ],
    );
    let copies = world.must_as(
        1,
        SH,
        "DescribeImages",
        json!({"Filters": [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]}),
    );
    assert_eq!(copies["TotalCount"], 2);
}

#[test]
fn a_failed_copy_is_a_failed_image_and_its_source_goes_on() {
    let world = World::new(quick());
    let instance = world.launch(1, json!({}))[0].clone();
    let id = world.capture(&instance, "golden");
    world.cloud.inject(Injection::CopyFails { name: "golden".into(), region: SH.into() });
    let body = json!({"ImageIds": [id], "DestinationRegions": [SH], "ImageSetRequired": true});
    let copy = world.must("SyncImages", body)["ImageSet"][0]["ImageId"].clone();
    world.wait(2000);
    assert_eq!(world.image(&id)["ImageState"], "NORMAL");
    let seen = world.must_as(1, SH, "DescribeImages", json!({"ImageIds": [copy]}));
    assert_eq!(seen["ImageSet"][0]["ImageState"], "CREATEFAILED");
}

#[test]
fn attributes_change_at_once_and_only_of_own_images() {
    let world = World::new(instant());
    let instance = world.launch(1, json!({}))[0].clone();
    let id = world.capture(&instance, "golden");
    world.capture(&instance, "silver");
    world.table(
        "ModifyImageAttribute",
        &[
            (json!({"ImageName": "x"}), "MissingParameter"),
            (json!({"ImageId": id, "ImageName": "silver"}), "InvalidImageName.Duplicate"),
            (json!({"ImageId": id, "ImageName": "golden"}), "ok"),
            (json!({"ImageId": id, "ImageName": "n".repeat(61)}), "InvalidParameterValue.TooLarge"),
            (json!({"ImageId": id, "ImageDescription": "d".repeat(257)}), "InvalidParameterValue.TooLarge"),
            (json!({"ImageId": "img-00000000", "ImageName": "x"}), "InvalidImageId.NotFound"),
            (json!({"ImageId": "golden", "ImageName": "x"}), "InvalidImageId.Malformed"),
            (json!({"ImageId": public_image_id(GZ, UBUNTU), "ImageName": "x"}), "InvalidImageId.NotFound"),
            (json!({"ImageId": id, "ImageName": "new", "ImageFamily": "f", "ImageDeprecated": true}), "ok"),
        ],
    );
    let image = world.image(&id);
    assert_eq!((&image["ImageName"], &image["ImageFamily"]), (&json!("new"), &json!("f")));
    assert_eq!(image["ImageDeprecated"], true);
}

#[test]
fn deleting_is_all_or_nothing_and_snapshots_stay_unless_asked() {
    let world = World::new(instant());
    let instance = world.launch(1, json!({}))[0].clone();
    let (one, two) = (world.capture(&instance, "one"), world.capture(&instance, "two"));
    let body = json!({"ImageIds": [one], "DryRun": true});
    world.must("DeleteImages", body);
    world.table(
        "DeleteImages",
        &[
            (json!({}), "MissingParameter"),
            (json!({"ImageIds": []}), "MissingParameter"),
            (json!({"ImageIds": ["one"]}), "InvalidImageId.Malformed"),
            (json!({"ImageIds": [one, "img-00000000"]}), "InvalidImageId.NotFound"),
            (json!({"ImageIds": [one, public_image_id(GZ, UBUNTU)]}), "InvalidParameterValue.InvalidImageId"),
        ],
    );
    assert_eq!(ids(&world.must("DescribeImages", json!({"ImageIds": [one, two]}))).len(), 2);
    world.must("DeleteImages", json!({"ImageIds": [one]}));
    world.must("DeleteImages", json!({"ImageIds": [two], "DeleteBindedSnap": true}));
    world.must("TerminateInstances", json!({"InstanceIds": [instance]}));
    let left = world.cloud.holdings(world.now.get()).expect("holdings");
    let held = left.of(&uin(1), GZ).expect("a snapshot is left");
    assert_eq!((held.images.len(), held.instances.len(), held.snapshots.len()), (0, 0, 1));
    let (id, snapshot) = held.snapshots.first_key_value().expect("one");
    assert_eq!(snapshot.image, None);
    let again = world.must("CreateImage", json!({"ImageName": "again", "SnapshotIds": [id]}))["ImageId"].clone();
    assert_eq!(world.image(again.as_str().expect("id"))["OsName"], UBUNTU);
    let twice = json!({"ImageName": "twice", "SnapshotIds": [id, id]});
    assert_eq!(world.code("CreateImage", twice), "InvalidParameter.DuplicateSystemSnapshots");
}
