//! Rules that take some doing to break.

use fleetwright::cloud::embedded::{Settings, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, UBUNTU, World, base, instant, merged, quick, texts, with};

#[test]
fn an_image_of_snapshots_has_one_finished_system_disk() {
    let world = World::new(quick());
    let id = world.launch(1, json!({"DataDisks": [{"DiskSize": 10}]}))[0].clone();
    let disk = world.instance(&id)["DataDisks"][0]["DiskId"].clone();
    let body = json!({"InstanceId": id, "ImageName": "golden", "DataDiskIds": [disk]});
    let image = world.must("CreateImage", body)["ImageId"].as_str().expect("an id").to_owned();
    let snapshots = world.image(&image)["SnapshotSet"].clone();
    let (system, data) = (&snapshots[0]["SnapshotId"], &snapshots[1]["SnapshotId"]);
    assert_eq!(snapshots[1]["DiskUsage"], "DATA_DISK");
    let of = |ids: Value| json!({"ImageName": "again", "SnapshotIds": ids});
    assert_eq!(world.code("CreateImage", of(json!([system]))), "ResourceUnavailable.SnapshotCreating");
    world.wait(2500);
    world.table(
        "CreateImage",
        &[
            (of(json!([data])), "InvalidParameter.SystemSnapshotNotFound"),
            (of(json!([system, data, system])), "InvalidParameter.DuplicateSystemSnapshots"),
            (of(json!([data, system])), "ok"),
        ],
    );
}

#[test]
fn passing_states_forbid_what_they_forbid() {
    let world = World::new(quick());
    let id = world.launch(1, json!({}))[0].clone();
    let one = json!({"InstanceIds": [id]});
    let all = [
        ("StartInstances", one.clone()),
        ("StopInstances", one.clone()),
        ("RebootInstances", one.clone()),
        ("TerminateInstances", one.clone()),
        ("ResetInstance", json!({"InstanceId": id})),
        ("ResetInstancesType", merged(one.clone(), json!({"InstanceType": "S5.LARGE8"}))),
        ("ModifyInstancesAttribute", merged(one.clone(), json!({"InstanceName": "x"}))),
        ("CreateImage", json!({"InstanceId": id, "ImageName": "x"})),
    ];
    for (action, code) in [
        ("RebootInstances", "UnsupportedOperation.InstanceStateRebooting"),
        ("StopInstances", "UnsupportedOperation.InstanceStateStopping"),
        ("StartInstances", "UnsupportedOperation.InstanceStateStarting"),
        ("TerminateInstances", "UnsupportedOperation.InstanceStateTerminating"),
    ] {
        world.must(action, one.clone());
        for (other, body) in &all {
            assert_eq!(world.code(other, body.clone()), code, "{other} after {action}");
        }
        world.wait(800);
    }
    assert_eq!(world.state(&id), "gone");
}

#[test]
fn some_instances_keep_their_type() {
    let world = World::new(instant());
    let stopped = |more: Value| {
        let id = world.launch(1, more)[0].clone();
        world.must("StopInstances", json!({"InstanceIds": [id]}));
        id
    };
    let arm =
        json!({"ImageId": public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit ARM64"), "InstanceType": "SR1.MEDIUM2"});
    let arm = stopped(arm);
    let fast = stopped(json!({"SystemDisk": {"DiskType": "CLOUD_HSSD"}}));
    let to = |id: &str, kind: &str| json!({"InstanceIds": [id], "InstanceType": kind});
    world.table(
        "ResetInstancesType",
        &[
            (to(&arm, "S5.LARGE8"), "UnsupportedOperation.UnsupportedARMChangeInstanceFamily"),
            (to(&fast, "S5.LARGE8"), "UnsupportedOperation.SystemDiskType"),
        ],
    );
}

#[test]
fn an_inquiry_has_codes_of_its_own() {
    let world = World::new(quick());
    let full = json!({"Placement": {"Zone": "ap-guangzhou-2"}});
    assert_eq!(world.code("RunInstances", with(full.clone())), "ResourceInsufficient.AvailabilityZoneSoldOut");
    assert_eq!(world.code("InquiryPriceRunInstances", with(full)), "ResourceInsufficient");
    let pending = texts(&world.must("RunInstances", base(1))["InstanceIdSet"])[0].clone();
    let body = json!({"InstanceId": pending});
    assert_eq!(world.code("ResetInstance", body.clone()), "UnsupportedOperation.InstanceStatePending");
    assert_eq!(world.code("InquiryPriceResetInstance", body), "InvalidInstance.NotSupported");
}

#[test]
fn keys_and_values_of_tags_are_limited() {
    let world = World::new(instant());
    let specified = |kind: &str, names: std::ops::Range<u32>| {
        let tags: Vec<Value> = names.map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect();
        json!({"TagSpecification": [{"ResourceType": kind, "Tags": tags}]})
    };
    let launch = |names| world.code("RunInstances", with(specified("instance", names)));
    assert_eq!(launch(0..51), "InvalidParameterValue.TagQuotaLimitExceeded");
    for n in 0..20 {
        assert_eq!(launch(50 * n..50 * (n + 1)), "ok");
    }
    // All thousand keys of the account are there.
    assert_eq!(launch(1000..1001), "InvalidParameterValue.TagQuotaLimitExceeded");
    assert_eq!(launch(999..1000), "ok");
    let file = json!({
        "Architecture": "x86_64", "OsType": "CentOS", "OsVersion": "7", "ImageName": "new",
        "ImageUrl": "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/x.qcow2",
    });
    assert_eq!(world.code("ImportImage", merged(file, specified("image", 1000..1001))), "LimitExceeded");
    let id = world.launch(1, json!({}))[0].clone();
    let resource = format!("qcs::cvm:{GZ}:uin/:instance/{id}");
    let set = |key: &str, value: &str| {
        let tags = json!([{"TagKey": key, "TagValue": value}]);
        world.code("ModifyResourceTags", json!({"Resource": resource, "ReplaceTags": tags}))
    };
    assert_eq!(set("k1000", "v"), "LimitExceeded.TagKey");
    for n in 0..999 {
        assert_eq!(set("k1", &format!("v{n}")), "ok");
    }
    assert_eq!(set("k1", "one more"), "LimitExceeded.TagValue");
    let tags = json!({"ResourceList": [resource], "Tags": [{"TagKey": "k1", "TagValue": "one more"}]});
    assert_eq!(world.code("TagResources", tags), "LimitExceeded.TagValue");
    assert_eq!(set("k1", "v"), "ok", "the first of them is there already");
}

#[test]
fn whether_numbers_may_be_texts() {
    let world = |numbers_may_be_text| World::new(Settings { numbers_may_be_text, ..instant() });
    let net = json!({"InternetAccessible": {"InternetMaxBandwidthOut": "10"}, "DryRun": "true"});
    assert_eq!(world(false).code("RunInstances", with(net.clone())), "InvalidParameter");
    let lenient = world(true);
    lenient.table(
        "RunInstances",
        &[
            (with(net), "ok"),
            (with(json!({"InstanceCount": "ten"})), "InvalidParameter"),
            (with(json!({"InstanceCount": "0"})), "InvalidParameterValue.Range"),
            (with(json!({"InstanceCount": [1]})), "InvalidParameter"),
            (with(json!({"InstanceCount": "1", "Placement": ["ap-guangzhou-3"]})), "InvalidParameter"),
            (with(json!({"InstanceCount": "1", "Colour": "red"})), "UnknownParameter"),
        ],
    );
}

#[test]
fn how_many_ids_go_in_a_request() {
    let world = World::new(Settings { image_ids_at_most: 2, ..instant() });
    let id = world.launch(1, json!({}))[0].clone();
    let image = world.capture(&id, "golden");
    let ids = |count: usize| json!({"ImageIds": vec![&image; count]});
    let accounts =
        |count: usize| json!({"ImageId": image, "AccountIds": vec!["100000000009"; count], "Permission": "SHARE"});
    for (action, right, wrong) in [
        ("DescribeImages", ids(2), ids(3)),
        ("ExportImages", merged(ids(2), json!({"BucketName": "b-1"})), merged(ids(3), json!({"BucketName": "b-1"}))),
        ("DeleteImages", merged(ids(2), json!({"DryRun": true})), ids(3)),
        ("ModifyImageSharePermission", accounts(2), accounts(3)),
    ] {
        assert_eq!(world.code(action, right), "ok", "{action}");
        assert_eq!(world.code(action, wrong), "InvalidParameterValue.LimitExceeded", "{action}");
    }
}

#[test]
fn whether_parts_of_instance_names_are_found() {
    for (instance_name_is_fuzzy, found) in [(false, 1), (true, 3)] {
        let world = World::new(Settings { instance_name_is_fuzzy, ..instant() });
        world.launch(2, json!({"InstanceName": "web"}));
        world.launch(1, json!({"InstanceName": "web"}));
        let body = json!({"Filters": [{"Name": "instance-name", "Values": ["web"]}]});
        assert_eq!(world.must("DescribeInstances", body)["TotalCount"], found);
    }
}

#[test]
fn what_may_not_leave_where_it_is() {
    let world = World::new(Settings { whole_images_stay: true, copy_at_most_gib: Some(50), ..instant() });
    let sync = |image: &str| {
        world.code("SyncImages", json!({"ImageIds": [image], "DestinationRegions": ["ap-shanghai"], "DryRun": true}))
    };
    let share = |image: &str, permission: &str| {
        let body = json!({"ImageId": image, "AccountIds": ["100000000009"], "Permission": permission});
        world.code("ModifyImageSharePermission", body)
    };
    let id = world.launch(1, json!({"DataDisks": [{"DiskSize": 10}]}))[0].clone();
    let plain = world.capture(&id, "plain");
    let disk = world.instance(&id)["DataDisks"][0]["DiskId"].clone();
    let whole = world.must("CreateImage", json!({"InstanceId": id, "ImageName": "whole", "DataDiskIds": [disk]}));
    let whole = whole["ImageId"].as_str().expect("an id");
    let no = "InvalidParameter.InstanceImageNotSupport";
    assert_eq!((sync(&plain), share(&plain, "SHARE")), ("ok".to_owned(), "ok".to_owned()));
    assert_eq!((sync(whole), share(whole, "SHARE")), (no.to_owned(), no.to_owned()));
    assert_eq!(share(whole, "CANCEL"), "ok");
    let large = world.launch(1, json!({"SystemDisk": {"DiskSize": 60}}))[0].clone();
    assert_eq!(sync(&world.capture(&large, "large")), "InvalidImageId.TooLarge");
    assert_eq!(world.code("RunInstances", with(json!({"ImageId": public_image_id(GZ, UBUNTU)}))), "ok");
}

/// Whether or not there is anything to be found.
#[test]
fn what_cannot_be_the_value_of_a_filter_is_refused() {
    let world = World::new(instant());
    let by = |name: &str, value: &str| json!({"Filters": [{"Name": name, "Values": [value]}]});
    world.table(
        "DescribeInstances",
        &[
            (by("security-group-id", "mine"), "InvalidSgId.Malformed"),
            (by("host-id", "mine"), "InvalidHostId.Malformed"),
            (by("uuid", "12-34"), "InvalidParameterValue.UuidMalformed"),
            (by("private-ip-address", "10.0.0"), "InvalidParameterValue.IPAddressMalformed"),
            (by("public-ip-address", "10.0.0.256"), "InvalidParameterValue.IPAddressMalformed"),
            (by("ipv6-address", "10.0.0.1"), "InvalidParameterValue.IPv6AddressMalformed"),
            (by("security-group-id", "sg-8a7c6b5d"), "ok"),
            (by("uuid", "a1b2c3d4-0000-4000-8000-0123456789ab"), "ok"),
            (by("ipv6-address", "2001:db8::1"), "ok"),
        ],
    );
}

#[test]
fn hosts_have_ids_and_addresses_are_given_once() {
    let world = World::new(instant());
    let on = |host: &str| with(json!({"Placement": {"Zone": "ap-guangzhou-3", "HostIds": [host]}}));
    let at = |list: [&str; 2]| {
        let net = json!({"VpcId": "DEFAULT", "SubnetId": "DEFAULT", "PrivateIpAddresses": list});
        with(json!({"InstanceCount": 2, "VirtualPrivateCloud": net}))
    };
    world.table(
        "RunInstances",
        &[
            (on("mine"), "InvalidHostId.Malformed"),
            (on("host-8a7c6b5d"), "InvalidHostId.NotFound"),
            (at(["10.0.0.77", "10.0.0.77"]), "InvalidParameterValue.Duplicate"),
            (at(["10.0.0.77", "10.0.0.78"]), "ok"),
        ],
    );
}
