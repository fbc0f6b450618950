//! Imports and families (API text 4.10, 4.12, 4.14 and 8.7).

use fleetwright::cloud::embedded::{Injection, Settings, imports};
use fleetwright::model::limits::Limits;
use serde_json::{Value, json};

use crate::world::{GZ, World, instant, merged, quick, texts, uin, with};

fn url(path: &str) -> String {
    format!("https://bucket-1250000000.cos.ap-guangzhou.myqcloud.com/{path}")
}

fn asked(more: Value) -> Value {
    merged(
        json!({
            "Architecture": "x86_64", "OsType": "CentOS", "OsVersion": "7",
            "ImageUrl": url("legacy.qcow2?size=40"), "ImageName": "legacy",
        }),
        more,
    )
}

fn import(world: &World, more: Value) -> Value {
    let id = world.must("ImportImage", asked(more))["ImageId"].as_str().expect("an id").to_owned();
    world.wait(world.cloud.settings().pace.import_ms);
    world.image(&id)
}

fn reason(world: &World, image: &Value) -> Option<String> {
    let held = world.cloud.holdings(world.now.get()).expect("holdings");
    held.of(&uin(1), GZ)?.images.get(image["ImageId"].as_str()?)?.error.clone()
}

#[test]
fn an_import_takes_a_while_and_is_an_image_then() {
    let world = World::new(quick());
    let body = asked(json!({
        "ImageDescription": "d", "ImageFamily": "old", "LicenseType": "BYOL", "BootMode": "UEFI",
        "TagSpecification": [{"ResourceType": "image", "Tags": [{"Key": "k", "Value": "v"}]}],
        "ImportImageDataDiskList": [{"ImageUrl": url("data.raw?size=90")}],
    }));
    let id = world.must("ImportImage", body)["ImageId"].as_str().expect("an id").to_owned();
    assert_eq!(world.image(&id)["ImageState"], "IMPORTING");
    assert_eq!(world.code("DeleteImages", json!({"ImageIds": [id]})), "InvalidImageId.IncorrectState");
    let launch = with(json!({"ImageId": id}));
    assert_eq!(world.code("RunInstances", launch.clone()), "InvalidParameterValue.InvalidImageState");
    world.wait(2999);
    assert_eq!(world.image(&id)["ImageState"], "IMPORTING");
    world.wait(1);
    let image = world.image(&id);
    assert_eq!((&image["ImageState"], &image["ImageSource"]), (&json!("NORMAL"), &json!("EXTERNAL_IMPORT")));
    assert_eq!((&image["OsName"], &image["Platform"]), (&json!("CentOS 7 64bit"), &json!("CentOS")));
    assert_eq!((&image["ImageSize"], &image["ImageFamily"]), (&json!(40), &json!("old")));
    assert_eq!((&image["LicenseType"], &image["ImageType"]), (&json!("BYOL"), &json!("PRIVATE_IMAGE")));
    assert_eq!(image["Tags"], json!([{"Key": "k", "Value": "v"}]));
    let sizes: Vec<&Value> = image["SnapshotSet"].as_array().expect("a set").iter().map(|s| &s["DiskSize"]).collect();
    assert_eq!(sizes, [&json!(40), &json!(90)]);
    let share = json!({"ImageId": id, "AccountIds": [uin(2)], "Permission": "SHARE"});
    assert_eq!(world.code("ModifyImageSharePermission", share), "FailedOperation.BYOLImageShareFailed");
    let instance = texts(&world.must("RunInstances", launch)["InstanceIdSet"])[0].clone();
    world.wait(1500);
    assert_eq!(world.instance(&instance)["LicenseType"], "BYOL");
    let reset = json!({"InstanceId": instance, "ImageId": fleetwright::cloud::embedded::public_image_id(GZ, crate::world::UBUNTU)});
    assert_eq!(world.code("ResetInstance", reset), "UnsupportedOperation.InvalidImageLicenseTypeForReset");
}

#[test]
fn what_cannot_be_imported_has_its_code() {
    let world = World::new(Settings { limits: Limits { images_per_region: 2, ..Limits::EMBEDDED }, ..instant() });
    let at = |text: &str| asked(json!({"ImageUrl": text}));
    let bad = "InvalidParameter.InvalidParameterUrlError";
    world.table(
        "ImportImage",
        &[
            (json!({}), "MissingParameter"),
            (asked(json!({"Architecture": null})), "MissingParameter"),
            (asked(json!({"OsType": null})), "MissingParameter"),
            (asked(json!({"OsVersion": null})), "MissingParameter"),
            (asked(json!({"ImageUrl": null})), "MissingParameter"),
            (asked(json!({"ImageName": null})), "MissingParameter"),
            (asked(json!({"Architecture": "arm"})), "InvalidParameterValue"),
            (asked(json!({"OsType": "BeOS"})), "InvalidImageOsType.Unsupported"),
            (asked(json!({"OsVersion": "99"})), "InvalidImageOsVersion.Unsupported"),
            (
                asked(json!({"OsType": "FreeBSD", "OsVersion": "10", "Architecture": "arm_64"})),
                "InvalidImageOsVersion.Unsupported",
            ),
            (at("legacy.qcow2"), bad),
            (at("https://example.com/legacy.qcow2"), bad),
            (at("https://bucket.cos.ap-guangzhou.myqcloud.com/x.qcow2"), bad),
            (at(&url("x.iso")), "InvalidParameterValue.ISOMustImportByForce"),
            (asked(json!({"LicenseType": "GPL"})), "InvalidParameterValue.InvalidLicenseType"),
            (asked(json!({"BootMode": "BIOS"})), "InvalidParameterValue.InvalidBootMode"),
            (asked(json!({"ImageFamily": "a b"})), "InvalidParameterValue.InvalidImageFamily"),
            (asked(json!({"ImageName": "n".repeat(61)})), "InvalidParameterValue.TooLarge"),
            (asked(json!({"ImageName": ""})), "InvalidParameterValue"),
            (asked(json!({"ImageDescription": "d".repeat(257)})), "InvalidParameterValue.TooLarge"),
            (asked(json!({"ImportImageDataDiskList": [{}]})), "MissingParameter"),
            (asked(json!({"ImportImageDataDiskList": [{"ImageUrl": "x"}]})), bad),
            (
                asked(json!({"ImportImageDataDiskList": vec![json!({"ImageUrl": url("d.raw")}); 21]})),
                "InvalidParameterValue.TooLarge",
            ),
            (asked(json!({"Force": "true"})), "InvalidParameter"),
            (asked(json!({"Colour": "red"})), "UnknownParameter"),
            (asked(json!({"DryRun": true})), "ok"),
            (asked(json!({})), "ok"),
            (asked(json!({})), "InvalidImageName.Duplicate"),
            (asked(json!({"ImageUrl": url("x.iso"), "Force": true, "ImageName": "b"})), "ok"),
            (asked(json!({"ImageName": "c"})), "ImageQuotaLimitExceeded"),
        ],
    );
    let abroad = world.code_as(1, "ap-tokyo", "ImportImage", asked(json!({})));
    assert_eq!(abroad, bad, "outside the mainland the bucket is in the region");
    assert_eq!(world.code_as(1, "ap-shanghai", "ImportImage", asked(json!({}))), "ok");
    let closed = Settings { regions_without_import: std::iter::once(GZ.to_owned()).collect(), ..instant() };
    let code = World::new(closed).code("ImportImage", asked(json!({})));
    assert_eq!(code, "RegionAbilityLimit.UnsupportedToImportImage");
}

#[test]
fn the_address_tells_what_becomes_of_it() {
    let world = World::new(instant());
    let of = |name: &str, path: &str, force: bool| {
        import(&world, json!({"ImageName": name, "ImageUrl": url(path), "Force": force}))
    };
    for (n, why) in imports::REASONS.into_iter().enumerate() {
        let name = format!("r{n}");
        let image = of(&name, &format!("a/sim/{why}/x.raw"), false);
        assert_eq!(image["ImageState"], "IMPORTFAILED", "{why}");
        assert_eq!(reason(&world, &image).as_deref(), Some(why));
        world.must("DeleteImages", json!({"ImageIds": [image["ImageId"]]}));
    }
    for path in ["x.tar", "x.qcow2?size=501", "x.qcow2?size=0", "x.qcow2?size=much"] {
        let image = of("odd", path, false);
        assert_eq!(reason(&world, &image).as_deref(), Some("InvalidFormatSize"), "{path}");
        world.must("DeleteImages", json!({"ImageIds": [image["ImageId"]]}));
    }
    let bare = of("bare", "sim/CloudInitNotInstalled/x.vhd", true);
    assert_eq!((&bare["ImageState"], &bare["IsSupportCloudinit"]), (&json!("NORMAL"), &json!(false)));
    let plain = of("plain", "x.vmdk", false);
    assert_eq!((&plain["ImageSize"], &plain["IsSupportCloudinit"]), (&json!(20), &json!(true)));
    world.cloud.inject(Injection::ImportFails { name: "hit".into(), reason: "InternalError".into() });
    assert_eq!(reason(&world, &of("hit", "x.raw", false)).as_deref(), Some("InternalError"));
}

#[test]
fn systems_are_named_as_images_and_types_know_them() {
    let world = World::new(instant());
    let all = world.must("DescribeImportImageOs", json!({}));
    let list = &all["ImportImageOsListSupported"];
    assert!(texts(&list["Linux"]).contains(&"CoreOS".to_owned()));
    assert!(texts(&list["Windows"]).contains(&"Windows Server 2016".to_owned()));
    let versions = all["ImportImageOsVersionSet"].as_array().expect("a set");
    let centos = versions.iter().find(|one| one["OsName"] == "CentOS").expect("CentOS");
    assert!(texts(&centos["OsVersions"]).contains(&"7".to_owned()));
    assert_eq!(centos["Architecture"], json!(["x86_64", "i386", "arm_64"]));
    assert_eq!(world.code("DescribeImportImageOs", json!({"Limit": 1})), "UnknownParameter");
    for (n, one) in versions.iter().enumerate() {
        let system = one["OsName"].as_str().filter(|name| *name != "Windows").unwrap_or("Windows Server 2022");
        let quiet =
            json!({"OsType": system, "OsVersion": one["OsVersions"][0], "ImageName": format!("n{n}"), "DryRun": true});
        assert_eq!(world.code("ImportImage", asked(quiet)), "ok", "{system}");
    }
    let of = |name: &str, architecture: &str, system: &str, version: &str| {
        import(&world, json!({"ImageName": name, "Architecture": architecture, "OsType": system, "OsVersion": version}))
    };
    let arm = of("arm", "arm_64", "Ubuntu", "22");
    let small = of("small", "i386", "Debian", "9");
    let windows = of("windows", "x86_64", "Windows Server 2016", "9");
    assert_eq!((&arm["Architecture"], &small["Architecture"]), (&json!("arm"), &json!("i386")));
    assert_eq!((&windows["Platform"], &windows["OsName"]), (&json!("Windows"), &json!("Windows Server 2016 64bit")));
    let launch = |image: &Value, kind: &str| {
        let body = json!({"ImageId": image["ImageId"], "InstanceType": kind, "SystemDisk": {"DiskSize": 50}});
        world.code("RunInstances", with(body))
    };
    let unfit = "InvalidParameterValue.InvalidImageForGivenInstanceType";
    assert_eq!((launch(&arm, "SR1.MEDIUM2"), launch(&arm, "S5.SMALL1")), ("ok".to_owned(), unfit.to_owned()));
    assert_eq!((launch(&small, "SR1.MEDIUM2"), launch(&small, "S5.SMALL1")), (unfit.to_owned(), "ok".to_owned()));
}

#[test]
fn a_site_that_answers_no_id_is_asked_by_name() {
    let world = World::new(Settings { import_answers_id: false, ..instant() });
    let answer = world.must("ImportImage", asked(json!({})));
    assert!(answer.get("ImageId").is_none(), "{answer}");
    let body = json!({"Filters": [{"Name": "image-name", "Values": ["legacy"]}]});
    assert_eq!(world.must("DescribeImages", body)["ImageSet"][0]["ImageState"], "NORMAL");
}

#[test]
fn the_newest_of_a_family_that_is_not_deprecated_is_told() {
    let world = World::new(quick());
    let newest = |account| {
        world.must_as(account, GZ, "DescribeImageFromFamily", json!({"ImageFamily": "web"}))["Image"]["ImageName"]
            .clone()
    };
    assert_eq!(newest(1), Value::Null);
    let one = import(&world, json!({"ImageName": "one", "ImageFamily": "web"}));
    let two = import(&world, json!({"ImageName": "two", "ImageFamily": "web"}));
    assert_eq!((newest(1), newest(2)), (json!("two"), Value::Null));
    let set = |image: &Value, more: Value| {
        world.code("ModifyImageAttribute", merged(json!({"ImageId": image["ImageId"]}), more))
    };
    assert_eq!(set(&two, json!({"ImageDeprecated": true, "ImageDescription": "old", "ImageName": "zwei"})), "ok");
    let seen = world.image(two["ImageId"].as_str().expect("id"));
    assert_eq!((&seen["ImageDeprecated"], &seen["ImageName"]), (&json!(true), &json!("zwei")));
    assert_eq!((&seen["ImageDescription"], &seen["ImageFamily"]), (&json!("old"), &json!("web")));
    assert_eq!(newest(1), "one");
    assert_eq!(set(&one, json!({"ImageFamily": "a/b"})), "InvalidParameterValue.InvalidImageFamily");
    assert_eq!(set(&one, json!({"ImageFamily": ""})), "ok");
    assert_eq!(newest(1), Value::Null);
    assert_eq!(world.must("DescribeImageFromFamily", json!({}))["Image"], Value::Null);
    assert_eq!(world.code("DescribeImageFromFamily", json!({"Family": "web"})), "UnknownParameter");
}
