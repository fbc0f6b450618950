//! The services of tags, disks and networks, as far as other clients ask them about instances and images.

use std::collections::BTreeSet;

use fleetwright::cloud::embedded::Embedded;
use serde_json::{Value, json};

use crate::world::{GZ, World, instant, merged, with};

fn ids(list: &Value, key: &str) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one[key].as_str().map(str::to_owned)).collect()
}

#[test]
fn disks_are_those_of_instances_and_those_that_outlived_them() {
    let world = World::new(instant());
    let id = world.launch(1, json!({"DataDisks": [{"DiskType": "CLOUD_PREMIUM", "DiskSize": 100}]}))[0].clone();
    let instance = world.instance(&id);
    let system = instance["SystemDisk"]["DiskId"].as_str().expect("an id").to_owned();
    let answer = world.must("DescribeDisks", json!({}));
    assert_eq!(answer["TotalCount"], 2);
    let by_id = world.must("DescribeDisks", json!({"DiskIds": [system], "Limit": 100}));
    let disk = &by_id["DiskSet"][0];
    assert_eq!(by_id["TotalCount"], 1);
    assert_eq!(
        [&disk["DiskUsage"], &disk["DiskState"], &disk["InstanceId"], &disk["Attached"]],
        [&json!("SYSTEM_DISK"), &json!("ATTACHED"), &json!(id), &json!(true)]
    );
    assert_eq!(disk["DiskSize"], instance["SystemDisk"]["DiskSize"]);
    let data: Vec<&Value> = answer["DiskSet"].as_array().expect("disks").iter().collect();
    assert!(data.iter().any(|disk| disk["DiskUsage"] == "DATA_DISK" && disk["DiskSize"] == 100));
    assert_eq!(ids(&answer["DiskSet"], "DiskId").len(), 2);
    // Nobody else's, and not in another region.
    let elsewhere = world.ask_as(2, GZ, "DescribeDisks", json!({}));
    assert_eq!(elsewhere["TotalCount"], 0);
    assert_eq!(world.ask_as(1, "ap-shanghai", "DescribeDisks", json!({}))["TotalCount"], 0);
    assert_eq!(world.code_as(1, "", "DescribeDisks", json!({})), "MissingParameter");
    assert_eq!(world.code_as(1, "ap-mars", "DescribeDisks", json!({})), "UnsupportedRegion");
    assert_eq!(world.code("DescribeDisks", json!({"Limit": 101})), "InvalidParameterValue");
    assert_eq!(world.code("DescribeDisks", json!({"Colour": 1})), "UnknownParameter");
}

#[test]
fn a_disk_that_was_made_faster_says_so() {
    let world = World::new(instant());
    let disk = |more: Value| with(json!({"DataDisks": [merged(json!({"DiskSize": 500}), more)]}));
    world.table(
        "RunInstances",
        &[
            (disk(json!({"DiskType": "CLOUD_SSD", "ThroughputPerformance": 150})), "InvalidParameterValue"),
            (disk(json!({"DiskType": "CLOUD_TSSD", "ThroughputPerformance": -1})), "InvalidParameterValue"),
            (disk(json!({"DiskType": "CLOUD_TSSD", "BurstPerformance": true})), "UnsupportedOperation"),
        ],
    );
    let fast = json!({"DataDisks": [{"DiskSize": 500, "DiskType": "CLOUD_HSSD", "ThroughputPerformance": 150}]});
    let seen = world.instance(&world.launch(1, fast)[0])["DataDisks"][0].clone();
    assert_eq!(seen["ThroughputPerformance"], 150);
    let told = world.must("DescribeDisks", json!({"DiskIds": [seen["DiskId"]]}))["DiskSet"][0].clone();
    assert_eq!(told["ThroughputPerformance"], 150);
}

#[test]
fn what_was_not_asked_about_is_not_looked_at() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cloud.db");
    let world = World::of(Embedded::open(Some(&path), instant()).expect("a cloud"));
    let id = world.launch(1, json!({}))[0].clone();
    let disk = world.instance(&id)["SystemDisk"]["DiskId"].clone();
    // The rest of the fleet cannot be read any more.
    world.launch(50, json!({}));
    let file = rusqlite::Connection::open(&path).expect("the file");
    file.execute("UPDATE spec SET body = 'broken' WHERE n > 1", []).expect("broken");
    assert_eq!(world.code("DescribeDisks", json!({})), "InternalError");
    assert_eq!(world.must("DescribeDisks", json!({"DiskIds": [disk]}))["TotalCount"], 1);
}

#[test]
fn snapshots_are_those_of_images() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let image = world.capture(&id, "golden");
    let told = ids(&world.image(&image)["SnapshotSet"], "SnapshotId");
    let answer = world.must("DescribeSnapshots", json!({"SnapshotIds": told}));
    assert_eq!(ids(&answer["SnapshotSet"], "SnapshotId"), told);
    assert_eq!(answer["SnapshotSet"][0]["SnapshotState"], "NORMAL");
    assert_eq!(answer["SnapshotSet"][0]["DiskUsage"], "SYSTEM_DISK");
    world.must("DeleteImages", json!({"ImageIds": [image], "DeleteBindedSnap": true}));
    world.wait(60_000);
    assert_eq!(world.must("DescribeSnapshots", json!({"SnapshotIds": told}))["TotalCount"], 0);
}

#[test]
fn an_address_is_used_where_an_instance_has_it() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let instance = world.instance(&id);
    let address = instance["PrivateIpAddresses"][0].clone();
    let vpc = instance["VirtualPrivateCloud"]["VpcId"].clone();
    let used = world.must("DescribeUsedIpAddress", json!({"VpcId": vpc, "IpAddresses": [address]}));
    assert_eq!(used["IpAddressStates"][0]["ResourceId"], json!(id));
    let free = world.must("DescribeUsedIpAddress", json!({"VpcId": vpc, "IpAddresses": ["10.255.255.254"]}));
    assert_eq!((&free["TotalCount"], &free["IpAddressStates"]), (&json!(0), &json!([])));
    assert_eq!(world.code("DescribeUsedIpAddress", json!({})), "MissingParameter");
}

#[test]
fn tags_of_one_resource_change_at_once_and_those_of_several_are_told() {
    let world = World::new(instant());
    let tags =
        json!([{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}, {"Key": "tier", "Value": "1"}]}]);
    let id = world.must("RunInstances", with(json!({"TagSpecification": tags})))["InstanceIdSet"][0].clone();
    let id = id.as_str().expect("an id");
    // The vendor's provider leaves the account out.
    let resource = format!("qcs::cvm:{GZ}:uin/:instance/{id}");
    let change = |more: Value| {
        let mut body = json!({"Resource": resource});
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        world.code_as(1, "", "ModifyResourceTags", body)
    };
    let to = json!([{"TagKey": "app", "TagValue": "store"}, {"TagKey": "team", "TagValue": "a"}]);
    assert_eq!(change(json!({"ReplaceTags": to, "DeleteTags": [{"TagKey": "tier"}]})), "ok");
    let asked = json!({"ServiceType": "cvm", "ResourcePrefix": "instance", "ResourceIds": [id], "ResourceRegion": GZ});
    let answer = world.ask_as(1, "", "DescribeResourceTagsByResourceIds", asked);
    let mut told: Vec<(&str, &str, &str)> = answer["Tags"]
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| {
            let text = |key: &str| tag[key].as_str().unwrap_or_default();
            (text("TagKey"), text("TagValue"), text("ResourceId"))
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [("app", "store", id), ("team", "a", id)]);
    for (wrong, code) in [
        (json!({}), "MissingParameter"),
        (json!({"ReplaceTags": []}), "MissingParameter"),
        (
            json!({"ReplaceTags": [{"TagKey": "a", "TagValue": "b"}], "DeleteTags": [{"TagKey": "a"}]}),
            "InvalidParameterValue.DeleteTagsParamError",
        ),
        (json!({"ReplaceTags": [{"TagKey": "qcloud", "TagValue": "b"}]}), "InvalidParameter.ReservedTagKey"),
        (json!({"DeleteTags": [{"TagKey": ""}]}), "InvalidParameterValue.TagKeyEmpty"),
        (json!({"ReplaceTags": [{"TagKey": "a", "TagValue": "b#"}]}), "InvalidParameterValue.TagValueCharacterIllegal"),
    ] {
        assert_eq!(change(wrong.clone()), code, "{wrong}");
    }
    let nobody =
        json!({"Resource": format!("qcs::cvm:{GZ}:uin/:instance/ins-00000000"), "DeleteTags": [{"TagKey": "a"}]});
    assert_eq!(world.code_as(1, "", "ModifyResourceTags", nobody), "ResourceNotFound");
}
