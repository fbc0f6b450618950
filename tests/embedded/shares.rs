//! Sharing (API text 8.1 and 8.3).

use fleetwright::cloud::embedded::{Settings, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, SH, UBUNTU, World, instant, texts, uin, with};

fn world() -> (World, String) {
    let world = World::new(instant());
    let instance = world.launch(1, json!({}))[0].clone();
    let image = world.capture(&instance, "golden");
    (world, image)
}

fn share(image: &str, accounts: &[String]) -> Value {
    json!({"ImageId": image, "AccountIds": accounts, "Permission": "SHARE"})
}

#[test]
fn who_cannot_receive_has_a_code() {
    let (world, image) = world();
    let cancel = json!({"ImageId": image, "AccountIds": [uin(3)], "Permission": "CANCEL"});
    world.table(
        "ModifyImageSharePermission",
        &[
            (json!({"ImageId": image, "Permission": "SHARE"}), "MissingParameter"),
            (json!({"ImageId": image, "AccountIds": [uin(2)]}), "MissingParameter"),
            (json!({"AccountIds": [uin(2)], "Permission": "SHARE"}), "MissingParameter"),
            (share(&image, &[]), "MissingParameter"),
            (json!({"ImageId": image, "AccountIds": [uin(2)], "Permission": "LEND"}), "InvalidParameterValue"),
            (share(&image, &[uin(1)]), "FailedOperation.AccountIsYourSelf"),
            (share(&image, &["200000000001".into()]), "FailedOperation.NotMasterAccount"),
            (share(&image, &["300000000001".into()]), "InvalidAccountId.NotFound"),
            (share(&image, &["someone".into()]), "InvalidAccountId.NotFound"),
            (share("img-1", &[uin(2)]), "InvalidImageId.Malformed"),
            (share("img-00000000", &[uin(2)]), "InvalidImageId.NotFound"),
            (share(&public_image_id(GZ, UBUNTU), &[uin(2)]), "InvalidParameterValue.InvalidImageId"),
            (share(&image, &[uin(2), "300000000001".into()]), "InvalidAccountId.NotFound"),
            (share(&image, &[uin(2)]), "ok"),
            (share(&image, &[uin(2), uin(3)]), "FailedOperation.AccountAlreadyExists"),
            (cancel.clone(), "ok"),
        ],
    );
    let set = world.must("DescribeImageSharePermission", json!({"ImageId": image}))["SharePermissionSet"].clone();
    assert_eq!(set.as_array().map(Vec::len), Some(1));
    assert_eq!(set[0]["AccountId"], uin(2));
    let strict = World::new(Settings { cancel_without_share_refused: true, ..instant() });
    let instance = strict.launch(1, json!({}))[0].clone();
    let id = strict.capture(&instance, "golden");
    let body = json!({"ImageId": id, "AccountIds": [uin(3)], "Permission": "CANCEL"});
    assert_eq!(strict.code("ModifyImageSharePermission", body), "InvalidAccountId.NotFound");
}

#[test]
fn the_cap_counts_what_is_there_and_what_comes() {
    let (world, image) = world();
    let some = |range: std::ops::Range<u32>| range.map(uin).collect::<Vec<_>>();
    assert_eq!(world.code("ModifyImageSharePermission", share(&image, &some(2..53))), "OverQuota");
    assert_eq!(world.code("ModifyImageSharePermission", share(&image, &some(2..51))), "ok");
    assert_eq!(world.code("ModifyImageSharePermission", share(&image, &some(60..62))), "OverQuota");
    assert_eq!(world.code("ModifyImageSharePermission", share(&image, &some(60..61))), "ok");
    let cancel = json!({"ImageId": image, "AccountIds": some(2..51), "Permission": "CANCEL"});
    assert_eq!(world.code("ModifyImageSharePermission", cancel), "ok");
    assert_eq!(world.code("ModifyImageSharePermission", share(&image, &some(2..51))), "ok");
    assert_eq!(
        world.code("ModifyImageSharePermission", share(&image, &some(100..201))),
        "InvalidParameterValue.LimitExceeded"
    );
}

#[test]
fn a_receiver_may_launch_and_nothing_else() {
    let (world, image) = world();
    let see = |account| {
        let answer = world.must_as(account, GZ, "DescribeImages", json!({"ImageIds": [image]}));
        answer["ImageSet"][0]["ImageType"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(see(2), "none");
    let launch = || world.code_as(2, GZ, "RunInstances", with(json!({"ImageId": image})));
    assert_eq!(launch(), "InvalidImageId.NotFound");
    world.must("ModifyImageSharePermission", share(&image, &[uin(2)]));
    assert_eq!((see(1), see(2), see(3)), ("PRIVATE_IMAGE".into(), "SHARED_IMAGE".into(), "none".into()));
    assert_eq!(launch(), "ok");
    let keep = with(json!({"ImageId": image, "LoginSettings": {"KeepImageLogin": "TRUE"}}));
    assert_eq!(world.code_as(2, GZ, "RunInstances", keep), "ok");
    for (action, body, code) in [
        (
            "ModifyImageAttribute",
            json!({"ImageId": image, "ImageName": "mine"}),
            "UnsupportedOperation.SharedImageModifyUnsupported",
        ),
        ("DeleteImages", json!({"ImageIds": [image]}), "InvalidParameterValue.InvalidImageIdIsShared"),
        ("ModifyImageSharePermission", share(&image, &[uin(3)]), "UnauthorizedOperation.ImageNotBelongToAccount"),
        ("DescribeImageSharePermission", json!({"ImageId": image}), "UnauthorizedOperation.ImageNotBelongToAccount"),
        ("SyncImages", json!({"ImageIds": [image], "DestinationRegions": [SH]}), "InvalidParameterValue.InvalidRegion"),
    ] {
        assert_eq!(world.code_as(2, GZ, action, body), code, "{action}");
    }
    // Somebody who does not see it at all.
    for (action, body, code) in [
        ("DeleteImages", json!({"ImageIds": [image]}), "InvalidImageId.NotFound"),
        ("DescribeImageSharePermission", json!({"ImageId": image}), "UnauthorizedOperation.ImageNotBelongToAccount"),
        ("SyncImages", json!({"ImageIds": [image], "DestinationRegions": [SH]}), "InvalidImageId.NotFound"),
    ] {
        assert_eq!(world.code_as(3, GZ, action, body), code, "{action}");
    }
    // A receiver may make it a custom image of its own, in the same region.
    let copy = json!({"ImageIds": [image], "DestinationRegions": [GZ], "ImageSetRequired": true, "ImageName": "mine"});
    let mine = world.must_as(2, GZ, "SyncImages", copy)["ImageSet"][0]["ImageId"].clone();
    let seen = world.must_as(2, GZ, "DescribeImages", json!({"ImageIds": [mine]}));
    assert_eq!(seen["ImageSet"][0]["ImageType"], "PRIVATE_IMAGE");
}

#[test]
fn a_shared_image_is_deleted_after_the_last_cancel() {
    let (world, image) = world();
    world.must("ModifyImageSharePermission", share(&image, &[uin(2)]));
    let made = texts(&world.must_as(2, GZ, "RunInstances", with(json!({"ImageId": image})))["InstanceIdSet"]);
    assert_eq!(world.code("DeleteImages", json!({"ImageIds": [image]})), "InvalidImageId.InShared");
    assert_eq!(world.code("ModifyImageAttribute", json!({"ImageId": image, "ImageDescription": "x"})), "ok");
    world.must("ModifyImageSharePermission", json!({"ImageId": image, "AccountIds": [uin(2)], "Permission": "CANCEL"}));
    assert_eq!(world.code_as(2, GZ, "RunInstances", with(json!({"ImageId": image}))), "InvalidImageId.NotFound");
    world.must("DeleteImages", json!({"ImageIds": [image]}));
    let seen = world.must_as(2, GZ, "DescribeInstances", json!({"InstanceIds": made}));
    assert_eq!(seen["InstanceSet"][0]["InstanceState"], "RUNNING");
}
