//! ExportImages (API text 4.11 and 8.1).

use fleetwright::cloud::embedded::{Settings, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, UBUNTU, World, instant, merged, quick, texts, uin};

const BUCKET: &str = "exports-1250000000";
const WINDOWS: &str = "Windows Server 2022 DataCenter 64bit";
const PARTNER: &str = "img-8toqc6s3";
/// Of the marketplace: one with a fee, and one without.
const MARKET: [&str; 2] = ["img-kx1vn3zd", "img-r7lamp2f"];

fn export(image: &str, more: Value) -> Value {
    merged(json!({"BucketName": BUCKET, "ImageIds": [image]}), more)
}

/// An image of an instance with a data disk, both disks captured.
fn whole(world: &World, name: &str) -> String {
    let id = world.launch(1, json!({"DataDisks": [{"DiskSize": 10}]}))[0].clone();
    let disk = world.instance(&id)["DataDisks"][0]["DiskId"].clone();
    let answer = world.must("CreateImage", json!({"InstanceId": id, "ImageName": name, "DataDiskIds": [disk]}));
    world.wait(world.cloud.settings().pace.capture_ms);
    answer["ImageId"].as_str().expect("an id").to_owned()
}

/// An image of an instance of another image.
fn captured(world: &World, from: &str, name: &str) -> String {
    let id = world.launch(1, json!({"ImageId": from}))[0].clone();
    world.capture(&id, name)
}

#[test]
fn an_export_names_a_file_for_each_disk() {
    let world = World::new(instant());
    let image = whole(&world, "golden");
    let snapshots: Vec<String> = world.image(&image)["SnapshotSet"]
        .as_array()
        .expect("a set")
        .iter()
        .map(|snapshot| snapshot["SnapshotId"].as_str().expect("an id").to_owned())
        .collect();
    let paths = |more: Value| texts(&world.must("ExportImages", export(&image, more))["CosPaths"]);
    let system = |ending: &str| format!("{image}_system_{}.{ending}", snapshots[0]);
    let data = |ending: &str| format!("{image}_data_{}.{ending}", snapshots[1]);
    assert_eq!(paths(json!({})), [format!("/{}", system("raw")), format!("/{}", data("raw"))]);
    assert_eq!(paths(json!({"OnlyExportRootDisk": true, "ExportFormat": "VMDK"})), [format!("/{}", system("vmdk"))]);
    let named = paths(json!({"FileNamePrefixList": ["nightly"], "ExportFormat": "QCOW2"}));
    assert_eq!(named, [format!("/nightly_{}", system("qcow2")), format!("/nightly_{}", data("qcow2"))]);
    let tasks = || world.must("ExportImages", export(&image, json!({})))["TaskId"].as_u64().expect("a number");
    assert_ne!(tasks(), tasks());
    // Nothing became of the image.
    assert_eq!(world.image(&image)["ImageState"], "NORMAL");
    let dry = world.must("ExportImages", export(&image, json!({"DryRun": true})));
    assert!(dry.get("TaskId").is_none() && dry.get("CosPaths").is_none(), "{dry}");
}

#[test]
fn what_cannot_be_exported_has_its_code() {
    let world = World::new(instant());
    let image = whole(&world, "golden");
    let with = |more: Value| export(&image, more);
    world.table(
        "ExportImages",
        &[
            (json!({"ImageIds": [image]}), "MissingParameter"),
            (json!({"BucketName": BUCKET}), "InvalidParameter.ImageIdsSnapshotIdsMustOne"),
            (with(json!({"ImageIds": []})), "InvalidParameter.ImageIdsSnapshotIdsMustOne"),
            (with(json!({"ImageIds": vec![&image; 101]})), "InvalidParameterValue.LimitExceeded"),
            (with(json!({"ImageIds": ["img-1"]})), "InvalidImageId.Malformed"),
            (with(json!({"ImageIds": ["img-00000000"]})), "InvalidImageId.NotFound"),
            (with(json!({"SnapshotIds": ["snap-00000000"]})), "UnknownParameter"),
            (with(json!({"BucketName": "exports"})), "InvalidParameterValue.BucketNotFound"),
            (with(json!({"ExportFormat": "ISO"})), "InvalidParameterValue"),
            (with(json!({"FileNamePrefixList": ["a", "b"]})), "InvalidParameterValue.InvalidFileNamePrefixList"),
            (with(json!({"RoleName": "a/b"})), "AuthFailure.CamRoleNameAuthenticateFailed"),
            (with(json!({"RoleName": "export-role"})), "ok"),
        ],
    );
    let no = |id: &str| world.code("ExportImages", export(id, json!({})));
    assert_eq!(no(&public_image_id(GZ, UBUNTU)), "UnsupportedOperation.PublicImageExportUnsupported");
    assert_eq!(no(PARTNER), "UnsupportedOperation.SharedImageExportUnsupported");
    for (n, market) in MARKET.into_iter().enumerate() {
        assert_eq!(no(market), "UnsupportedOperation.PublicImageExportUnsupported");
        let made = captured(&world, market, &format!("market-{n}"));
        assert_eq!(no(&made), "UnsupportedOperation.MarketImageExportUnsupported", "{market}");
    }
    let windows = captured(&world, &public_image_id(GZ, WINDOWS), "windows");
    assert_eq!(no(&windows), "UnsupportedOperation.WindowsImageExportUnsupported");
    let body = json!({"ImageIds": [image], "DestinationRegions": [GZ], "Encrypt": true, "ImageName": "safe", "ImageSetRequired": true});
    let safe = world.must("SyncImages", body)["ImageSet"][0]["ImageId"].as_str().expect("an id").to_owned();
    assert_eq!(no(&safe), "UnsupportedOperation.EncryptedImagesNotSupported");
    // One that may not leave keeps the others.
    let both = json!({"BucketName": BUCKET, "ImageIds": [image, safe]});
    assert_eq!(world.code("ExportImages", both), "UnsupportedOperation.EncryptedImagesNotSupported");
    // What a receiver made its own of a shared image, it may export.
    let copy = json!({"ImageIds": [PARTNER], "DestinationRegions": [GZ], "ImageSetRequired": true});
    let mine = world.must("SyncImages", copy)["ImageSet"][0]["ImageId"].as_str().expect("an id").to_owned();
    assert_eq!(no(&mine), "ok");
    // Somebody else's is not there.
    assert_eq!(world.code_as(2, GZ, "ExportImages", export(&image, json!({}))), "InvalidImageId.NotFound");
    let busy = World::new(quick());
    let instance = busy.launch(1, json!({}))[0].clone();
    let answer = busy.must("CreateImage", json!({"InstanceId": instance, "ImageName": "golden"}));
    let young = answer["ImageId"].as_str().expect("an id");
    assert_eq!(busy.code("ExportImages", export(young, json!({}))), "InvalidParameterValue.InvalidImageState");
}

#[test]
fn roles_and_sizes_of_exports_may_be_bounded() {
    let with_roles = |roles: &[&str]| {
        let known = roles.iter().map(|role| (*role).to_owned()).collect();
        let world = World::new(Settings { cam_roles: Some(known), export_at_most_gib: Some(50), ..instant() });
        let image = whole(&world, "golden");
        (world, image)
    };
    let unknown = "AuthFailure.CamRoleNameAuthenticateFailed";
    let (world, image) = with_roles(&["mine"]);
    assert_eq!(world.code("ExportImages", export(&image, json!({}))), unknown, "not even the usual role is there");
    assert_eq!(world.code("ExportImages", export(&image, json!({"RoleName": "mine"}))), "ok");
    let (world, image) = with_roles(&["CVM_QcsRole"]);
    assert_eq!(world.code("ExportImages", export(&image, json!({}))), "ok");
    let large = world.launch(1, json!({"SystemDisk": {"DiskSize": 60}}))[0].clone();
    let large = world.capture(&large, "large");
    let code = world.code("ExportImages", export(&large, json!({})));
    assert_eq!(code, "UnsupportedOperation.ImageTooLargeExportUnsupported");
    assert!(!world.cloud.holdings(world.now.get()).expect("holdings").nothing_of(&uin(1)));
}
