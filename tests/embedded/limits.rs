//! Quotas (API text 8.2, DescribeAccountQuota).

use fleetwright::cloud::embedded::{Injection, Settings};
use fleetwright::model::limits::Limits;
use serde_json::{Value, json};

use crate::world::{SH, World, ZONE, instant, with};

fn small() -> Settings {
    Settings { limits: Limits { images_per_region: 2, instances_per_zone: 3, ..Limits::EMBEDDED }, ..instant() }
}

fn quota(world: &World, kind: &str) -> Value {
    let body = json!({"Filters": [{"Name": "quota-type", "Values": [kind]}]});
    world.must("DescribeAccountQuota", body)["AccountQuotaOverview"]["AccountQuota"][kind].clone()
}

#[test]
fn images_count_where_they_are_whatever_their_state() {
    let world = World::new(small());
    assert_eq!(world.must("DescribeImageQuota", json!({}))["ImageNumQuota"], 2);
    let id = world.launch(1, json!({}))[0].clone();
    let one = world.capture(&id, "one");
    world.cloud.inject(Injection::CaptureFails { name: "two".into() });
    let two = world.capture(&id, "two");
    assert_eq!(quota(&world, "ImageQuotaSet"), json!([{"UsedQuota": 2, "TotalQuota": 2}]));
    let three = json!({"InstanceId": id, "ImageName": "three"});
    assert_eq!(world.code("CreateImage", three.clone()), "ImageQuotaLimitExceeded");
    let copy = |name: &str| json!({"ImageIds": [one], "DestinationRegions": [SH], "ImageName": name});
    assert_eq!(world.code("SyncImages", copy("a")), "ok");
    assert_eq!(world.code("SyncImages", copy("b")), "ok");
    assert_eq!(world.code("SyncImages", copy("c")), "ImageQuotaLimitExceeded");
    world.must("DeleteImages", json!({"ImageIds": [two]}));
    assert_eq!(world.code("CreateImage", three), "ok");
}

#[test]
fn instances_count_by_zone_until_they_are_gone() {
    let world = World::new(small());
    let ids = world.launch(3, json!({}));
    let zone = quota(&world, "PostPaidQuotaSet");
    let zone = zone.as_array().expect("zones").iter().find(|q| q["Zone"] == ZONE).cloned().expect("the zone");
    assert_eq!(zone, json!({"Zone": ZONE, "UsedQuota": 3, "RemainingQuota": 0, "TotalQuota": 3}));
    assert_eq!(world.code("RunInstances", with(json!({}))), "LimitExceeded.InstanceQuota");
    assert_eq!(world.code("RunInstances", with(json!({"Placement": {"Zone": "ap-guangzhou-4"}}))), "ok");
    world.must("TerminateInstances", json!({"InstanceIds": [ids[0]]}));
    assert_eq!(world.code("RunInstances", with(json!({"InstanceCount": 2}))), "LimitExceeded.InstanceQuota");
    assert_eq!(world.code("RunInstances", with(json!({}))), "ok");
    world.table(
        "DescribeAccountQuota",
        &[
            (json!({"Filters": [{"Name": "zone", "Values": [ZONE]}]}), "ok"),
            (json!({"Filters": [{"Name": "colour", "Values": ["x"]}]}), "InvalidFilter"),
        ],
    );
}
