//! Attributes of instances: hosts, placement groups, roles, protection, reboots (API text 5.1, 5.7 to 5.9).

use fleetwright::cloud::embedded::Settings;
use serde_json::{Value, json};

use crate::world::{SH, World, base, instant, merged, quick, texts, with};

fn set(id: &str, more: Value) -> Value {
    merged(json!({"InstanceIds": [id]}), more)
}

#[test]
fn hosts_are_named() {
    let world = World::new(instant());
    let hosts = |more: Value| {
        let ids = world.launch(2, more);
        ids.iter().map(|id| world.instance(id)["HostName"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hosts(json!({"HostName": "web-{R:4}.local"})), ["web-4.local", "web-5.local"]);
    assert_eq!(hosts(json!({"HostName": "web"})), ["web1", "web2"]);
    for (id, host) in world.launch(2, json!({"HostName": "h-{IP}"})).iter().zip(["", ""]) {
        let seen = world.instance(id);
        let address = seen["PrivateIpAddresses"][0].as_str().expect("an address").replace('.', "-");
        assert_eq!(seen["HostName"], format!("h-{address}{host}"));
    }
    let silent = world.instance(&world.launch(1, json!({}))[0]);
    let tail: Vec<&str> = silent["PrivateIpAddresses"][0].as_str().expect("an address").split('.').collect();
    assert_eq!(silent["HostName"], format!("VM-{}-{}-ubuntu", tail[2], tail[3]));
    for wrong in ["a", "-web", "web-", ".web", "we..b", "we--b", "we_b", &"w".repeat(61), "web-{R:x}"] {
        let code = world.code("RunInstances", with(json!({"HostName": wrong})));
        assert_eq!(code, "InvalidParameterValue.IllegalHostName", "{wrong}");
    }
}

#[test]
fn a_new_host_name_reboots_unless_told_otherwise() {
    let world = World::new(quick());
    let id = world.launch(1, json!({"HostName": "old"}))[0].clone();
    assert_eq!(
        world.code("ModifyInstancesAttribute", set(&id, json!({"HostName": "x_y"}))),
        "InvalidParameterValue.IllegalHostName"
    );
    world.must("ModifyInstancesAttribute", set(&id, json!({"HostName": "new", "AutoReboot": false})));
    assert_eq!((world.state(&id), &world.instance(&id)["HostName"]), ("RUNNING".into(), &json!("new")));
    world.must("ModifyInstancesAttribute", set(&id, json!({"HostName": "newer"})));
    assert_eq!(world.state(&id), "REBOOTING");
    assert_eq!(world.instance(&id)["LatestOperation"], "ModifyInstancesAttribute");
    world.wait(800);
    assert_eq!((world.state(&id), &world.instance(&id)["HostName"]), ("RUNNING".into(), &json!("newer")));
    world.must("StopInstances", json!({"InstanceIds": [id]}));
    world.wait(800);
    world.must("ModifyInstancesAttribute", set(&id, json!({"HostName": "newest"})));
    assert_eq!(world.state(&id), "STOPPED");
}

#[test]
fn a_reset_may_name_the_host_and_grow_the_disk() {
    let world = World::new(quick());
    let id = world.launch(1, json!({"HostName": "old", "SystemDisk": {"DiskSize": 60}}))[0].clone();
    let reset = |more: Value| merged(json!({"InstanceId": id}), more);
    world.table(
        "ResetInstance",
        &[
            (reset(json!({"SystemDisk": {"DiskSize": 50}})), "InvalidParameterValue"),
            (reset(json!({"SystemDisk": {"DiskSize": 4000}})), "InvalidParameterValue"),
            (reset(json!({"SystemDisk": {"DiskType": "CLOUD_SSD"}})), "InvalidParameterValue"),
            (reset(json!({"HostName": "web-{R:1}"})), "InvalidParameterValue.IllegalHostName"),
            (reset(json!({"HostName": "fresh", "SystemDisk": {"DiskSize": 80}})), "ok"),
        ],
    );
    let host = |seen: &Value| (seen["HostName"].clone(), seen["SystemDisk"]["DiskSize"].clone());
    assert_eq!(host(&world.instance(&id)), (json!("old"), json!(60)), "it is under way");
    world.wait(2000);
    assert_eq!(host(&world.instance(&id)), (json!("fresh"), json!(80)));
}

#[test]
fn reboots_take_a_while() {
    let world = World::new(quick());
    let id = world.launch(1, json!({}))[0].clone();
    let one = json!({"InstanceIds": [id]});
    world.table(
        "RebootInstances",
        &[
            (json!({}), "MissingParameter"),
            (json!({"InstanceIds": ["ins-00000000"]}), "InvalidInstanceId.NotFound"),
            (set(&id, json!({"ForceReboot": true, "StopType": "SOFT"})), "InvalidParameterCombination"),
            (set(&id, json!({"StopType": "GENTLE"})), "InvalidParameterValue"),
            (set(&id, json!({"StopType": "SOFT_FIRST"})), "ok"),
            (one.clone(), "UnsupportedOperation.InstanceStateRebooting"),
        ],
    );
    assert_eq!(world.state(&id), "REBOOTING");
    world.wait(800);
    let seen = world.instance(&id);
    assert_eq!((&seen["InstanceState"], &seen["LatestOperation"]), (&json!("RUNNING"), &json!("RebootInstances")));
    world.must("StopInstances", one.clone());
    world.wait(800);
    assert_eq!(world.code("RebootInstances", one), "UnsupportedOperation.InstanceStateStopped");
    let pending = texts(&world.must("RunInstances", base(1))["InstanceIdSet"])[0].clone();
    let code = world.code("RebootInstances", json!({"InstanceIds": [pending]}));
    assert_eq!(code, "UnsupportedOperation.InstanceStatePending");
}

#[test]
fn placement_groups_have_room_for_so_many() {
    let world = World::new(instant());
    let group = |ids: Value, count: u32| merged(base(count), json!({"DisasterRecoverGroupIds": ids}));
    let missing = "FailedOperation.DisasterRecoverGroupNotFound";
    world.table(
        "RunInstances",
        &[
            (group(json!(["ps-1"]), 1), missing),
            (group(json!(["ps-00000001", "ps-00000002"]), 1), "InvalidParameterValue.LimitExceeded"),
            (group(json!([]), 1), "ok"),
            (group(json!(["ps-00000001"]), 30), "ok"),
            (group(json!(["ps-00000001"]), 21), "ResourceInsufficient.DisasterRecoverGroupCvmQuota"),
            (group(json!(["ps-00000001"]), 20), "ok"),
        ],
    );
    let quota = |region: &str| {
        let answer = world.must_as(1, region, "DescribeAccountQuota", json!({}));
        answer["AccountQuotaOverview"]["AccountQuota"]["DisasterRecoverGroupQuotaSet"][0].clone()
    };
    assert_eq!(
        quota(crate::world::GZ),
        json!({"GroupQuota": 10, "CurrentNum": 1, "CvmInHostGroupQuota": 50, "CvmInSwitchGroupQuota": 20, "CvmInRackGroupQuota": 30})
    );
    assert_eq!(quota(SH)["CurrentNum"], 0);
    for n in 2..=10 {
        assert_eq!(world.code("RunInstances", group(json!([format!("ps-{n:08}")]), 1)), "ok");
    }
    assert_eq!(world.code("RunInstances", group(json!(["ps-00000011"]), 1)), "LimitExceeded.DisasterRecoverGroup");
    let elsewhere = json!({"Placement": {"Zone": "ap-shanghai-2"}, "DisasterRecoverGroupIds": ["ps-00000001"]});
    let image = json!({"ImageId": fleetwright::cloud::embedded::public_image_id(SH, crate::world::UBUNTU)});
    assert_eq!(world.code_as(1, SH, "RunInstances", merged(elsewhere, image)), missing);
    let one = world.launch(1, json!({"DisasterRecoverGroupIds": ["ps-00000002"]}))[0].clone();
    let seen = world.instance(&one);
    assert_eq!(
        (&seen["DisasterRecoverGroupIds"], &seen["DisasterRecoverGroupId"]),
        (&json!(["ps-00000002"]), &json!("ps-00000002"))
    );
}

#[test]
fn roles_are_bound_changed_and_unbound() {
    let world = World::new(instant());
    let role = |name: &str| with(json!({"CamRoleName": name, "DryRun": true}));
    world.table(
        "RunInstances",
        &[
            (role("web-role"), "ok"),
            (role("web role"), "InvalidParameterValue.CamRoleNameMalformed"),
            (role(&"r".repeat(129)), "InvalidParameterValue.CamRoleNameMalformed"),
        ],
    );
    let id = world.launch(1, json!({"CamRoleName": "web-role"}))[0].clone();
    let bound = || world.instance(&id)["CamRoleName"].clone();
    assert_eq!(bound(), "web-role");
    world.table(
        "ModifyInstancesAttribute",
        &[
            (set(&id, json!({"CamRoleName": "a/b"})), "InvalidParameterValue.CamRoleNameMalformed"),
            (set(&id, json!({"CamRoleName": "x", "CamRoleType": "king"})), "InvalidParameterValue"),
            (set(&id, json!({"InstanceName": "x", "CamRoleType": "user"})), "InvalidParameter"),
            (set(&id, json!({"CamRoleName": "x", "InstanceName": "x"})), "InvalidParameter"),
            (set(&id, json!({"CamRoleName": "other", "CamRoleType": "system"})), "ok"),
        ],
    );
    assert_eq!(bound(), "other");
    world.must("ModifyInstancesAttribute", set(&id, json!({"CamRoleName": ""})));
    assert_eq!(bound(), Value::Null);
    let known = Settings { cam_roles: Some(std::iter::once("known".to_owned()).collect()), ..instant() };
    let world = World::new(known);
    assert_eq!(world.code("RunInstances", role("known")), "ok");
    assert_eq!(world.code("RunInstances", role("unknown")), "AuthFailure.CamRoleNameAuthenticateFailed");
}

#[test]
fn protection_is_switched_on_and_off() {
    let world = World::new(instant());
    let id = world.launch(1, json!({"DisableApiTermination": true}))[0].clone();
    let one = json!({"InstanceIds": [id]});
    assert_eq!(world.instance(&id)["DisableApiTermination"], true);
    assert_eq!(world.code("TerminateInstances", one.clone()), "UnsupportedOperation.InstancesProtected");
    world.must("ModifyInstancesAttribute", set(&id, json!({"DisableApiTermination": false})));
    world.must("ModifyInstancesAttribute", set(&id, json!({"DisableApiTermination": true})));
    assert_eq!(world.code("TerminateInstances", one.clone()), "UnsupportedOperation.InstancesProtected");
    world.must("ModifyInstancesAttribute", set(&id, json!({"DisableApiTermination": false})));
    assert_eq!(world.code("TerminateInstances", one), "ok");
}
