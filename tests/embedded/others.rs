//! Images of others that are there from the start: of accounts, and of the marketplace (API text 8.1).

use fleetwright::cloud::embedded::Settings;
use serde_json::{Value, json};

use crate::world::{GZ, SH, World, instant, merged, texts, uin, with};

const PARTNER: &str = "img-8toqc6s3";
const PRIVATE: &str = "img-p5wq2d7k";
const PAID: &str = "img-kx1vn3zd";
const FREE: &str = "img-r7lamp2f";

fn seen(world: &World, account: u32, region: &str, id: &str) -> Value {
    world.must_as(account, region, "DescribeImages", json!({"ImageIds": [id]}))["ImageSet"][0].clone()
}

fn by_type(world: &World, kind: &str) -> Vec<String> {
    let body = json!({"Filters": [{"Name": "image-type", "Values": [kind]}]});
    let set = world.must("DescribeImages", body)["ImageSet"].clone();
    let mut ids: Vec<String> =
        set.as_array().expect("a set").iter().map(|image| image["ImageId"].as_str().expect("id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn who_sees_what() {
    for seed in [0, 7, 99] {
        let world = World::new(Settings { seed, ..instant() });
        let kind = |account, region, id| seen(&world, account, region, id)["ImageType"].clone();
        assert_eq!(kind(1, GZ, PARTNER), "SHARED_IMAGE");
        assert_eq!(kind(2, GZ, PARTNER), "PRIVATE_IMAGE");
        assert_eq!(kind(1, SH, PARTNER), Value::Null);
        assert_eq!(kind(1, GZ, PRIVATE), Value::Null);
        assert_eq!(kind(3, GZ, PRIVATE), "PRIVATE_IMAGE");
        assert_eq!(seen(&world, 1, GZ, PARTNER)["ImageCreator"], uin(2));
        for region in [GZ, SH] {
            assert_eq!(kind(1, region, PAID), "MARKET_IMAGE");
        }
        assert_eq!(kind(1, "ap-tokyo", PAID), Value::Null);
        assert!(world.cloud.holdings(world.now.get()).expect("holdings").0.is_empty());
    }
}

#[test]
fn the_marketplace_is_listed_when_it_is_asked_for() {
    let world = World::new(instant());
    assert_eq!(by_type(&world, "MARKET_IMAGE"), [PAID, FREE]);
    assert_eq!(by_type(&world, "SHARED_IMAGE"), [PARTNER]);
    let count = |world: &World| world.must("DescribeImages", json!({}))["TotalCount"].as_i64().expect("a number");
    let by_filter = json!({"Filters": [{"Name": "image-id", "Values": [FREE]}]});
    assert_eq!(world.must("DescribeImages", by_filter)["TotalCount"], 1);
    let always = World::new(Settings { market_images_always_listed: true, ..instant() });
    assert_eq!(count(&always), count(&world) + 2);
}

#[test]
fn what_is_anothers_is_launched_from_and_nothing_else() {
    let world = World::new(instant());
    for id in [PARTNER, PAID, FREE] {
        assert_eq!(world.code("RunInstances", with(json!({"ImageId": id}))), "ok", "{id}");
    }
    assert_eq!(world.code("RunInstances", with(json!({"ImageId": PRIVATE}))), "InvalidImageId.NotFound");
    let keep = with(json!({"ImageId": PAID, "LoginSettings": {"KeepImageLogin": "true"}}));
    assert_eq!(world.code("RunInstances", keep), "InvalidParameterValue");
    let share = |id: &str| json!({"ImageId": id, "AccountIds": [uin(4)], "Permission": "SHARE"});
    let sync = |id: &str, to: &str| json!({"ImageIds": [id], "DestinationRegions": [to]});
    let rename = |id: &str| json!({"ImageId": id, "ImageName": "mine"});
    for (action, body, code) in [
        ("ModifyImageAttribute", rename(PAID), "InvalidImageId.NotFound"),
        ("ModifyImageAttribute", rename(PARTNER), "UnsupportedOperation.SharedImageModifyUnsupported"),
        ("ModifyImageAttribute", rename(PRIVATE), "InvalidImageId.NotFound"),
        ("ModifyImageSharePermission", share(PAID), "InvalidParameterValue.InvalidImageId"),
        ("ModifyImageSharePermission", share(PARTNER), "UnauthorizedOperation.ImageNotBelongToAccount"),
        ("DescribeImageSharePermission", json!({"ImageId": FREE}), "UnauthorizedOperation.ImageNotBelongToAccount"),
        ("SyncImages", sync(PAID, SH), "InvalidParameterValue.InvalidImageId"),
        ("SyncImages", sync(PAID, GZ), "InvalidParameterValue.InvalidImageId"),
        ("SyncImages", sync(PARTNER, SH), "InvalidParameterValue.InvalidRegion"),
        ("DeleteImages", json!({"ImageIds": [FREE]}), "InvalidParameterValue.InvalidImageId"),
        ("DeleteImages", json!({"ImageIds": [PARTNER]}), "InvalidParameterValue.InvalidImageIdIsShared"),
        ("DeleteImages", json!({"ImageIds": [PRIVATE]}), "InvalidImageId.NotFound"),
    ] {
        assert_eq!(world.code(action, body.clone()), code, "{action} {body}");
    }
    // Its owner may do as with any other.
    let cancel = json!({"ImageId": PARTNER, "AccountIds": [uin(1)], "Permission": "CANCEL"});
    world.must_as(2, GZ, "ModifyImageSharePermission", cancel);
    assert_eq!(world.code("RunInstances", with(json!({"ImageId": PARTNER}))), "InvalidImageId.NotFound");
}

#[test]
fn a_received_image_becomes_the_receivers_own_in_its_region() {
    let copy = json!({"ImageIds": [PARTNER], "DestinationRegions": [GZ], "ImageSetRequired": true});
    let world = World::new(instant());
    let id = world.must("SyncImages", copy.clone())["ImageSet"][0]["ImageId"].as_str().expect("id").to_owned();
    let image = world.image(&id);
    assert_eq!((&image["ImageType"], &image["ImageCreator"]), (&json!("PRIVATE_IMAGE"), &json!(uin(1))));
    assert_eq!(image["SnapshotSet"].as_array().map(Vec::len), Some(1));
    let sync = json!({"ImageIds": [id], "DestinationRegions": [SH]});
    assert_eq!(world.code("SyncImages", sync), "ok");
    let encrypted = json!({"ImageIds": [PARTNER], "DestinationRegions": [GZ], "Encrypt": true, "ImageName": "e"});
    assert_eq!(world.code("SyncImages", encrypted), "UnsupportedOperation.SyncEncryptImageNotSupport");
    let older = World::new(Settings { shared_can_be_copied: false, ..instant() });
    assert_eq!(older.code("SyncImages", copy), "InvalidParameterValue.InvalidImageId");
}

#[test]
fn the_fee_of_the_marketplace_is_handed_on() {
    let world = World::new(instant());
    let instance = texts(&world.must("RunInstances", with(json!({"ImageId": PAID})))["InstanceIdSet"])[0].clone();
    let image = world.capture(&instance, "site");
    let body = json!({"ImageIds": [image], "DestinationRegions": [SH], "ImageSetRequired": true});
    let copy = world.must("SyncImages", body)["ImageSet"][0]["ImageId"].as_str().expect("id").to_owned();
    let held = world.cloud.holdings(world.now.get()).expect("holdings");
    let fee = |region: &str, id: &str| {
        held.of(&uin(1), region).and_then(|held| held.images.get(id)).map(|image| image.content.fee_micros_per_hour)
    };
    assert_eq!((fee(GZ, &image), fee(SH, &copy)), (Some(120_000), Some(120_000)));
}

#[test]
fn encrypted_copies_stay_and_are_not_shared() {
    let world = World::new(instant());
    let instance = world.launch(1, json!({}))[0].clone();
    let id = world.capture(&instance, "golden");
    let body = |more: Value| {
        merged(json!({"ImageIds": [id], "DestinationRegions": [GZ], "Encrypt": true, "ImageName": "safe"}), more)
    };
    world.table(
        "SyncImages",
        &[
            (body(json!({"KmsKeyId": "key"})), "InvalidParameter.InvalidKmsKeyId"),
            (body(json!({"KmsKeyId": "kms-00000001", "Encrypt": false})), "InvalidParameter.InvalidKmsKeyId"),
            (body(json!({"DestinationRegions": [SH]})), "InvalidParameterValue.InvalidRegion"),
            (body(json!({"DestinationRegions": [GZ, SH]})), "InvalidParameterValue.InvalidRegion"),
            (body(json!({"ImageName": "golden"})), "InvalidImageName.Duplicate"),
            (body(json!({"KmsKeyId": "kms-00000001", "DryRun": true})), "ok"),
            (body(json!({"KmsKeyId": "01234567-89ab-cdef-0123-456789abcdef", "DryRun": true})), "ok"),
        ],
    );
    let answer = world.must("SyncImages", body(json!({"ImageSetRequired": true})));
    let safe = answer["ImageSet"][0]["ImageId"].as_str().expect("id").to_owned();
    assert!(
        world.cloud.holdings(world.now.get()).expect("holdings").of(&uin(1), GZ).expect("held").images[&safe].encrypted
    );
    let no = "UnsupportedOperation.EncryptedImagesNotSupported";
    for to in [GZ, SH] {
        assert_eq!(world.code("SyncImages", json!({"ImageIds": [safe], "DestinationRegions": [to]})), no);
    }
    let share = json!({"ImageId": safe, "AccountIds": [uin(2)], "Permission": "SHARE"});
    assert_eq!(world.code("ModifyImageSharePermission", share), no);
    let reset = json!({"InstanceId": instance, "ImageId": safe});
    assert_eq!(world.code("ResetInstance", reset), "UnsupportedOperation.ModifyEncryptionNotSupported");
    let inside = texts(&world.must("RunInstances", with(json!({"ImageId": safe})))["InstanceIdSet"])[0].clone();
    assert_eq!(world.instance(&inside)["SystemDisk"]["Encrypt"], true);
    assert_eq!(world.code("CreateImage", json!({"InstanceId": inside, "ImageName": "x"})), no);
    assert_eq!(world.code("DeleteImages", json!({"ImageIds": [safe]})), "ok");
}
