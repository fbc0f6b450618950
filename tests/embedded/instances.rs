//! Instances: launches, power, resets, changes.

use fleetwright::cloud::embedded::{Injection, Settings, catalogue, default_subnet, default_vpc, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, SH, UBUNTU, World, ZONE, base, instant, merged, quick, texts, uin, with};

#[test]
fn a_launch_is_pending_then_running_with_all_that_clients_read() {
    let world = World::new(quick());
    let answer = world.must("RunInstances", with(json!({"DataDisks": [{"DiskSize": 100, "DiskType": "CLOUD_SSD"}]})));
    let id = texts(&answer["InstanceIdSet"])[0].clone();
    assert_eq!(world.state(&id), "PENDING");
    let seen = world.instance(&id);
    assert_eq!(seen["LatestOperation"], "RunInstances");
    assert_eq!(seen["LatestOperationState"], "OPERATING");
    assert_eq!(seen["LatestOperationRequestId"], answer["RequestId"]);
    world.wait(1500);
    let seen = world.instance(&id);
    assert_eq!(seen["InstanceState"], "RUNNING");
    assert_eq!(seen["LatestOperationState"], "SUCCESS");
    assert_eq!(seen["Placement"], json!({"Zone": ZONE, "ProjectId": 0}));
    assert_eq!(seen["VirtualPrivateCloud"]["VpcId"], default_vpc(GZ));
    assert_eq!(seen["VirtualPrivateCloud"]["SubnetId"], default_subnet(ZONE));
    assert_eq!(seen["SecurityGroupIds"], json!([catalogue::default_group(GZ)]));
    assert_eq!((&seen["CPU"], &seen["Memory"]), (&json!(2), &json!(4)));
    assert_eq!(seen["SystemDisk"]["DiskSize"], 50);
    assert!(seen["SystemDisk"]["DiskId"].as_str().is_some_and(|id| id.starts_with("disk-")));
    assert_eq!(seen["DataDisks"][0]["DiskSize"], 100);
    assert_eq!(seen["InstanceChargeType"], "POSTPAID_BY_HOUR");
    assert_eq!(seen["CreatedTime"], "2026-11-23T12:00:00Z");
    assert_eq!(seen["RenewFlag"], Value::Null);
    assert_eq!(seen["OsName"], UBUNTU);
    for key in ["LoginSettings", "InternetAccessible", "PrivateIpAddresses", "Tags", "Uuid", "DefaultLoginUser"] {
        assert!(!seen[key].is_null(), "{key}");
    }
}

#[test]
fn names_are_numbered() {
    let world = World::new(instant());
    let names = |name: &str, count: u32| {
        let ids = world.launch(count, json!({"InstanceName": name}));
        ids.iter().map(|id| world.instance(id)["InstanceName"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("web-{R:7}", 3), ["web-7", "web-8", "web-9"]);
    assert_eq!(names("w{R:1,F:3}", 2), ["w001", "w002"]);
    assert_eq!(names("db", 2), ["db1", "db2"]);
    assert_eq!(names("db", 1), ["db"]);
}

#[test]
fn a_launch_that_cannot_be_has_its_code() {
    let world = World::new(instant());
    let arm = public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit ARM64");
    let windows = public_image_id(GZ, "Windows Server 2022 DataCenter 64bit");
    let data = |disk: Value| with(json!({"DataDisks": [disk]}));
    let login = |login: Value| with(json!({"LoginSettings": login}));
    let big = "A".repeat(4 * (16 * 1024 / 3 + 2));
    world.table(
        "RunInstances",
        &[
            (json!({}), "MissingParameter"),
            (with(json!({"Placement": {}})), "MissingParameter"),
            (with(json!({"ImageId": null})), "MissingParameter"),
            (with(json!({"Placement": {"Zone": "ap-shanghai-2"}})), "InvalidZone.MismatchRegion"),
            (with(json!({"Placement": {"Zone": "ap-guangzhou-2"}})), "ResourceInsufficient.AvailabilityZoneSoldOut"),
            (with(json!({"Placement": {"Zone": ZONE, "ProjectId": 7}})), "InvalidProjectId.NotFound"),
            (with(json!({"Placement": {"Zone": ZONE, "HostIds": ["host-00000000"]}})), "InvalidHostId.NotFound"),
            (with(json!({"InstanceCount": 0})), "InvalidParameterValue.Range"),
            (with(json!({"InstanceCount": 501})), "InvalidParameterValue.Range"),
            (with(json!({"MinCount": 2})), "InvalidParameterValue.InvalidParameterMinCount"),
            (with(json!({"ImageId": "ubuntu"})), "InvalidImageId.Malformed"),
            (with(json!({"ImageId": "img-00000000"})), "InvalidImageId.NotFound"),
            (with(json!({"ImageId": public_image_id(SH, UBUNTU)})), "InvalidImageId.NotFound"),
            (with(json!({"ImageId": arm})), "InvalidParameterValue.InvalidImageForGivenInstanceType"),
            (with(json!({"InstanceType": "S5"})), "InvalidInstanceType.Malformed"),
            (with(json!({"InstanceType": "S5.HUGE"})), "InvalidParameterValue.InstanceTypeNotFound"),
            (with(json!({"InstanceChargeType": "PREPAID"})), "MissingParameter"),
            (with(json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 13}})), "InvalidPeriod"),
            (with(json!({"InstanceChargeType": "CDHPAID"})), "InvalidParameterValue"),
            (with(json!({"SystemDisk": {"DiskSize": 10}})), "InvalidParameterValue.Range"),
            (with(json!({"ImageId": windows, "SystemDisk": {"DiskSize": 40}})), "InvalidParameterValue"),
            (with(json!({"SystemDisk": {"DiskType": "FLOPPY"}})), "InvalidParameterValue"),
            (with(json!({"SystemDisk": {"Encrypt": true}})), "UnsupportedOperation.InvalidRegionDiskEncrypt"),
            (data(json!({"DiskType": "CLOUD_PREMIUM"})), "MissingParameter"),
            (data(json!({"DiskSize": 15})), "InvalidParameterValue"),
            (data(json!({"DiskSize": 5})), "InvalidParameterValue.Range"),
            (
                data(json!({"DiskSize": 50, "DiskType": "CLOUD_SSD"})),
                "InvalidParameterValue.CloudSsdDataDiskSizeTooSmall",
            ),
            (data(json!({"DiskSize": 50, "SnapshotId": "snap-00000000"})), "InvalidParameter.SnapshotNotFound"),
            (with(json!({"DataDisks": vec![json!({"DiskSize": 10}); 22]})), "InvalidParameterValue.LimitExceeded"),
            (with(json!({"InternetAccessible": {"PublicIpAssigned": true}})), "InvalidParameterCombination"),
            (with(json!({"InternetAccessible": {"InternetMaxBandwidthOut": 999}})), "InvalidParameterValue.Range"),
            (with(json!({"InternetAccessible": {"InternetChargeType": "FREE"}})), "InvalidParameterValue"),
            (with(json!({"InstanceName": "n".repeat(129)})), "InvalidInstanceName.TooLong"),
            (with(json!({"HostName": "-x-"})), "InvalidParameterValue.IllegalHostName"),
            (with(json!({"HostName": "web-{R:1}.example"})), "ok"),
            (login(json!({"Password": "short"})), "InvalidParameterValue.InvalidPassword"),
            (login(json!({"Password": "long-enough1", "KeyIds": ["skey-00000001"]})), "InvalidParameterCombination"),
            (login(json!({"KeyIds": ["skey-1"]})), "InvalidKeyPairId.Malformed"),
            (
                login(json!({"KeyIds": ["skey-00000001"], "KeepImageLogin": "true"})),
                "InvalidParameter.ParameterConflict",
            ),
            (login(json!({"KeepImageLogin": "TRUE"})), "InvalidParameterValue"),
            (
                with(json!({"ImageId": windows, "LoginSettings": {"KeyIds": ["skey-00000001"]}})),
                "UnsupportedOperation.KeyPairUnsupportedWindows",
            ),
            (with(json!({"UserData": "not base64!"})), "InvalidParameterValue.InvalidUserDataFormat"),
            (with(json!({"UserData": big})), "InvalidParameterValue.TooLarge"),
            (with(json!({"ClientToken": "t".repeat(65)})), "InvalidClientToken.TooLong"),
            (with(json!({"HpcClusterId": "hpc-00000000"})), "ResourceNotFound.HpcCluster"),
            (
                with(json!({"LaunchTemplate": {"LaunchTemplateId": "lt-00000000"}})),
                "InvalidParameterValue.LaunchTemplateIdNotExisted",
            ),
            (with(json!({"EnableJumboFrame": true})), "UnsupportedOperation.InstanceTypeNotSupportJumboFrame"),
            (with(json!({"SecurityGroupIds": ["sg-1"]})), "InvalidSecurityGroupId.NotFound"),
            (with(json!({"SecurityGroupIds": vec!["sg-00000001"; 6]})), "InvalidParameterValue.LimitExceeded"),
            (with(json!({"Colour": "red"})), "UnknownParameter"),
            (with(json!({"DryRun": true})), "ok"),
        ],
    );
    let count = world.must("DescribeInstances", json!({}))["TotalCount"].clone();
    assert_eq!(count, 1, "only the one with a host name was launched");
}

#[test]
fn networks_stay_where_they_were_first_used() {
    let world = World::new(instant());
    let net = |vpc: &str, subnet: &str| json!({"VirtualPrivateCloud": {"VpcId": vpc, "SubnetId": subnet}});
    let at = |zone: &str, net: Value| merged(with(json!({"Placement": {"Zone": zone}})), net);
    let z4 = "ap-guangzhou-4";
    let dry = |body: Value| merged(body, json!({"DryRun": true}));
    world.table(
        "RunInstances",
        &[
            (with(net("DEFAULT", "DEFAULT")), "ok"),
            (with(net(&default_vpc(GZ), &default_subnet(ZONE))), "ok"),
            (with(net("DEFAULT", "subnet-00000001")), "InvalidParameterValue.VpcIdSubnetIdNotMatch"),
            (with(net("vpc-1", "subnet-00000001")), "InvalidParameterValue.VpcIdMalformed"),
            (with(net("vpc-00000001", "subnet-1")), "InvalidParameterValue.SubnetIdMalformed"),
            (with(json!({"VirtualPrivateCloud": {"VpcId": "vpc-00000001"}})), "MissingParameter"),
            (with(net(&default_vpc(SH), "subnet-00000001")), "InvalidParameterValue.VpcIdNotExist"),
            (with(net(&default_vpc(GZ), &default_subnet("ap-shanghai-2"))), "InvalidParameterValue.SubnetNotExist"),
            (dry(at(z4, net("vpc-00000001", "subnet-00000001"))), "ok"),
            (with(net("vpc-00000001", "subnet-00000001")), "ok"),
            (at(z4, net("vpc-00000001", "subnet-00000001")), "InvalidParameterValue.SubnetIdZoneIdNotMatch"),
            (with(net("vpc-00000002", "subnet-00000001")), "InvalidParameterValue.VpcIdSubnetIdNotMatch"),
            (at(z4, net("vpc-00000001", "subnet-00000002")), "ok"),
            (with(json!({"SecurityGroupIds": ["sg-00000001"], "LoginSettings": {"KeyIds": ["skey-00000001"]}})), "ok"),
        ],
    );
    let shanghai = |more: Value| {
        let body = json!({"Placement": {"Zone": "ap-shanghai-2"}, "ImageId": public_image_id(SH, UBUNTU)});
        world.code_as(1, SH, "RunInstances", merged(body, more))
    };
    assert_eq!(shanghai(net("vpc-00000001", "subnet-00000009")), "InvalidParameterValue.VpcIdNotExist");
    assert_eq!(shanghai(json!({"SecurityGroupIds": ["sg-00000001"]})), "InvalidSecurityGroupId.NotFound");
    assert_eq!(
        shanghai(json!({"LoginSettings": {"KeyIds": ["skey-00000001"]}})),
        "InvalidParameterValue.KeyPairNotFound"
    );
    let private = |list: Value| {
        let net = json!({"VpcId": "DEFAULT", "SubnetId": "DEFAULT", "PrivateIpAddresses": list});
        world.code("RunInstances", with(json!({"VirtualPrivateCloud": net})))
    };
    assert_eq!(private(json!(["10.0.0.9", "10.0.0.8"])), "InvalidParameterCombination");
    assert_eq!(private(json!(["ten"])), "InvalidParameter.InvalidIpFormat");
    assert_eq!(private(json!(["10.200.0.9"])), "ok");
    assert_eq!(private(json!(["10.200.0.9"])), "VpcIpIsUsed");
}

#[test]
fn a_token_gives_the_same_ids_for_a_day() {
    let world = World::new(instant());
    let ask = |more: Value| {
        let body = merged(merged(base(2), json!({"ClientToken": "t1"})), more);
        texts(&world.must("RunInstances", body)["InstanceIdSet"])
    };
    let first = ask(json!({}));
    assert_eq!(ask(json!({})), first);
    assert_eq!(ask(json!({"InstanceName": "other"})), first);
    world.wait(86_399_999);
    assert_eq!(ask(json!({})), first);
    world.wait(1);
    assert_ne!(ask(json!({})), first);
    let strict = World::new(Settings { token_reuse_refused: true, ..instant() });
    let body = |name: &str| with(json!({"ClientToken": "t", "InstanceName": name}));
    assert_eq!(strict.code("RunInstances", body("a")), "ok");
    assert_eq!(strict.code("RunInstances", body("a")), "ok");
    assert_eq!(strict.code("RunInstances", body("b")), "InvalidParameterCombination");
}

#[test]
fn a_failed_launch_cannot_be_terminated_and_drops_out() {
    let world = World::new(quick());
    world.cloud.inject(Injection::LaunchFails { name: "web2".into() });
    let ids = world.launch(3, json!({}));
    let states: Vec<String> = ids.iter().map(|id| world.state(id)).collect();
    assert_eq!(states, ["RUNNING", "LAUNCH_FAILED", "RUNNING"]);
    let failed = world.instance(&ids[1]);
    assert_eq!(failed["LatestOperationState"], "FAILED");
    assert!(failed["LatestOperationErrorMsg"].as_str().is_some());
    let all = json!({"InstanceIds": ids});
    assert_eq!(world.code("TerminateInstances", all), "UnsupportedOperation.InstanceStateLaunchFailed");
    assert_eq!(world.state(&ids[0]), "RUNNING");
    for action in ["StartInstances", "StopInstances"] {
        assert_eq!(world.code(action, json!({"InstanceIds": [ids[1]]})), "InvalidInstance.NotSupported");
    }
    world.wait(3_600_000);
    assert_eq!(world.state(&ids[1]), "gone");
}

#[test]
fn terminating_takes_a_while_and_a_batch_is_refused_as_a_whole() {
    let world = World::new(quick());
    let ids = world.launch(2, json!({"DisableApiTermination": false}));
    let guarded = world.launch(1, json!({"DisableApiTermination": true}))[0].clone();
    let many: Vec<String> = (0..101).map(|n| format!("ins-{n:08}")).collect();
    world.table(
        "TerminateInstances",
        &[
            (json!({}), "MissingParameter"),
            (json!({"InstanceIds": []}), "MissingParameter"),
            (json!({"InstanceIds": many}), "InvalidParameterValue.LimitExceeded"),
            (json!({"InstanceIds": [ids[0], "x"]}), "InvalidInstanceId.Malformed"),
            (json!({"InstanceIds": [ids[0], "ins-00000000"]}), "InvalidInstanceId.NotFound"),
            (json!({"InstanceIds": [ids[0], guarded]}), "UnsupportedOperation.InstancesProtected"),
        ],
    );
    assert_eq!(
        world.code_as(2, GZ, "TerminateInstances", json!({"InstanceIds": [ids[0]]})),
        "InvalidInstanceId.NotFound"
    );
    assert_eq!(
        world.code_as(1, SH, "TerminateInstances", json!({"InstanceIds": [ids[0]]})),
        "InvalidInstanceId.NotFound"
    );
    assert_eq!(world.state(&ids[0]), "RUNNING");
    world.must("TerminateInstances", json!({"InstanceIds": ids}));
    assert_eq!(world.state(&ids[0]), "TERMINATING");
    let again = json!({"InstanceIds": ids});
    assert_eq!(world.code("TerminateInstances", again.clone()), "UnsupportedOperation.InstanceStateTerminating");
    world.wait(800);
    assert_eq!(world.state(&ids[0]), "gone");
    assert_eq!(world.code("TerminateInstances", again), "InvalidInstanceId.NotFound");
    world.must("ModifyInstancesAttribute", json!({"InstanceIds": [guarded], "DisableApiTermination": false}));
    world.must("TerminateInstances", json!({"InstanceIds": [guarded]}));
}

#[test]
fn power_goes_up_and_down() {
    let world = World::new(quick());
    let id = world.launch(1, json!({}))[0].clone();
    let one = json!({"InstanceIds": [id]});
    assert_eq!(world.code("StartInstances", one.clone()), "UnsupportedOperation.InstanceStateRunning");
    world.table(
        "StopInstances",
        &[
            (json!({"InstanceIds": [id], "ForceStop": true, "StopType": "HARD"}), "InvalidParameterCombination"),
            (json!({"InstanceIds": [id], "StopType": "GENTLE"}), "InvalidParameterValue"),
            (json!({"InstanceIds": [id], "StoppedMode": "FREE"}), "InvalidParameterValue"),
            (json!({"InstanceIds": [id], "StoppedMode": "STOP_CHARGING"}), "UnsupportedOperation"),
            (json!({"InstanceIds": [id], "StopType": "SOFT_FIRST"}), "ok"),
            (one.clone(), "UnsupportedOperation.InstanceStateStopping"),
        ],
    );
    assert_eq!(world.state(&id), "STOPPING");
    world.wait(800);
    assert_eq!(world.state(&id), "STOPPED");
    assert_eq!(world.code("StopInstances", one.clone()), "UnsupportedOperation.InstanceStateStopped");
    world.must("StartInstances", one.clone());
    assert_eq!(world.state(&id), "STARTING");
    assert_eq!(world.code("StopInstances", one), "UnsupportedOperation.InstanceStateStarting");
    world.wait(800);
    assert_eq!(world.state(&id), "RUNNING");
    let pending = texts(&world.must("RunInstances", base(1))["InstanceIdSet"])[0].clone();
    for action in ["StartInstances", "StopInstances", "TerminateInstances"] {
        let code = world.code(action, json!({"InstanceIds": [pending]}));
        assert_eq!(code, "UnsupportedOperation.InstanceStatePending", "{action}");
    }
}

#[test]
fn a_reset_changes_image_disk_and_user_data_when_it_has_succeeded() {
    let world = World::new(quick());
    let id = world.launch(1, json!({"UserData": "b25l"}))[0].clone();
    let debian = public_image_id(GZ, "Debian 12 64bit");
    let windows = public_image_id(GZ, "Windows Server 2022 DataCenter 64bit");
    let arm = public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit ARM64");
    let reset = |more: Value| merged(json!({"InstanceId": id}), more);
    world.table(
        "ResetInstance",
        &[
            (json!({"ImageId": debian}), "MissingParameter"),
            (json!({"InstanceId": "ins-00000000"}), "InvalidInstanceId.NotFound"),
            (reset(json!({"ImageId": "img-1"})), "InvalidImageId.Malformed"),
            (reset(json!({"ImageId": "img-00000000"})), "InvalidImageId.NotFound"),
            (reset(json!({"ImageId": arm})), "InvalidParameterValue.InvalidImageForGivenInstanceType"),
            (reset(json!({"SystemDisk": {"DiskSize": 40}})), "InvalidParameterValue"),
            (reset(json!({"SystemDisk": {"DiskType": "CLOUD_SSD"}})), "InvalidParameterValue"),
            (reset(json!({"UserData": "?"})), "InvalidParameterValue.InvalidUserDataFormat"),
            (reset(json!({"HostName": "--"})), "InvalidParameterValue.IllegalHostName"),
            (
                reset(json!({"ImageId": windows, "LoginSettings": {"KeyIds": ["skey-00000001"]}})),
                "UnsupportedOperation.KeyPairUnsupportedWindows",
            ),
        ],
    );
    world.must("StopInstances", json!({"InstanceIds": [id]}));
    world.wait(800);
    let before = world.instance(&id);
    let answer = world.must(
        "ResetInstance",
        reset(json!({
            "ImageId": debian, "SystemDisk": {"DiskSize": 70}, "UserData": "dHdv",
        })),
    );
    let under_way = world.instance(&id);
    assert_eq!(under_way["LatestOperation"], "ResetInstance");
    assert_eq!(under_way["LatestOperationState"], "OPERATING");
    assert_eq!(under_way["LatestOperationRequestId"], answer["RequestId"]);
    assert_eq!((&under_way["ImageId"], &under_way["InstanceState"]), (&before["ImageId"], &json!("STOPPED")));
    for (action, body) in [
        ("ResetInstance", reset(json!({}))),
        ("TerminateInstances", json!({"InstanceIds": [id]})),
        ("ModifyInstancesAttribute", json!({"InstanceIds": [id], "InstanceName": "x"})),
    ] {
        assert_eq!(world.code(action, body), "OperationDenied.InstanceOperationInProgress", "{action}");
    }
    world.wait(2000);
    let after = world.instance(&id);
    assert_eq!(after["LatestOperationState"], "SUCCESS");
    assert_eq!((&after["ImageId"], &after["InstanceState"]), (&json!(debian), &json!("RUNNING")));
    assert_eq!(after["SystemDisk"]["DiskSize"], 70);
    assert_eq!(after["PrivateIpAddresses"], before["PrivateIpAddresses"]);
    let data = world.must("DescribeInstancesAttributes", json!({"InstanceIds": [id], "Attributes": ["UserData"]}));
    assert_eq!(data["InstanceSet"][0]["Attributes"]["UserData"], "dHdv");
    world.table(
        "DescribeInstancesAttributes",
        &[
            (json!({"InstanceIds": [id]}), "MissingParameter"),
            (json!({"InstanceIds": [id], "Attributes": ["Password"]}), "InvalidParameterValue"),
            (json!({"InstanceIds": ["ins-00000000"], "Attributes": ["UserData"]}), "ok"),
        ],
    );
}

#[test]
fn a_failed_reset_leaves_the_old_image_and_a_broken_instance() {
    let world = World::new(quick());
    let id = world.launch(1, json!({}))[0].clone();
    world.cloud.inject(Injection::ResetFails { instance: id.clone() });
    let debian = public_image_id(GZ, "Debian 12 64bit");
    world.must("ResetInstance", json!({"InstanceId": id, "ImageId": debian}));
    world.wait(2000);
    let seen = world.instance(&id);
    assert_eq!(seen["LatestOperationState"], "FAILED");
    assert!(seen["LatestOperationErrorMsg"].as_str().is_some());
    assert_eq!(seen["ImageId"], public_image_id(GZ, UBUNTU));
    let broken = "UnsupportedOperation.InstanceReinstallFailed";
    assert_eq!(world.code("StopInstances", json!({"InstanceIds": [id]})), broken);
    assert_eq!(world.code("CreateImage", json!({"InstanceId": id, "ImageName": "x"})), broken);
    world.must("ResetInstance", json!({"InstanceId": id, "ImageId": debian}));
    world.wait(2000);
    assert_eq!(world.instance(&id)["ImageId"], debian);
    assert_eq!(world.code("StopInstances", json!({"InstanceIds": [id]})), "ok");
}

#[test]
fn a_type_changes_when_the_instance_is_stopped_or_forced() {
    let world = World::new(quick());
    let two = world.launch(2, json!({}));
    let id = &two[0];
    let to = |kind: &str| json!({"InstanceIds": [id], "InstanceType": kind});
    world.table(
        "ResetInstancesType",
        &[
            (json!({"InstanceIds": [id]}), "MissingParameter"),
            (json!({"InstanceIds": two, "InstanceType": "S5.LARGE8"}), "InvalidParameterValue.LimitExceeded"),
            (to("S5.LARGE8"), "UnsupportedOperation.InstanceStateRunning"),
        ],
    );
    world.must("StopInstances", json!({"InstanceIds": [id]}));
    assert_eq!(world.code("ResetInstancesType", to("S5.LARGE8")), "UnsupportedOperation.InstanceStateStopping");
    world.wait(800);
    world.table(
        "ResetInstancesType",
        &[
            (to("S5.HUGE"), "ResourceNotFound.InvalidZoneInstanceType"),
            (to("SR1.MEDIUM2"), "UnsupportedOperation.UnsupportedChangeInstanceFamilyToARM"),
            (to("GN7.2XLARGE32"), "InvalidParameterValue.GPUInstanceFamily"),
            (to("S5.LARGE8"), "ok"),
        ],
    );
    assert_eq!(world.instance(id)["InstanceType"], "S5.MEDIUM4");
    assert_eq!(world.instance(id)["LatestOperation"], "ResetInstancesType");
    world.wait(1000);
    assert_eq!((&world.instance(id)["InstanceType"], world.state(id)), (&json!("S5.LARGE8"), "STOPPED".to_owned()));
    let forced = json!({"InstanceIds": [two[1]], "InstanceType": "S5.LARGE8", "ForceStop": true});
    world.must("ResetInstancesType", forced);
    assert_eq!(world.state(&two[1]), "STOPPING");
    world.wait(1000);
    assert_eq!(world.state(&two[1]), "RUNNING");
}

#[test]
fn exactly_one_attribute_changes_a_call() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let set = |more: Value| merged(json!({"InstanceIds": [id]}), more);
    world.table(
        "ModifyInstancesAttribute",
        &[
            (set(json!({})), "MissingParameter"),
            (set(json!({"InstanceName": "a", "HostName": "b"})), "InvalidParameter"),
            (set(json!({"InstanceName": "n".repeat(61)})), "InvalidInstanceName.TooLong"),
            (set(json!({"SecurityGroups": vec!["sg-00000001"; 6]})), "LimitExceeded.AssociateUSGLimitExceeded"),
            (set(json!({"SecurityGroups": ["sg-1"]})), "InvalidSecurityGroupId.NotFound"),
            (set(json!({"UserData": "?"})), "InvalidParameterValue.InvalidUserDataFormat"),
            (set(json!({"EnableJumboFrame": true})), "UnsupportedOperation.InstanceTypeNotSupportJumboFrame"),
            (set(json!({"HostName": "x"})), "InvalidParameterValue.IllegalHostName"),
            (set(json!({"InstanceName": "new"})), "ok"),
            (set(json!({"SecurityGroups": ["sg-00000001", "sg-00000002"]})), "ok"),
            (set(json!({"UserData": "dHdv"})), "ok"),
            (set(json!({"HostName": "web.example"})), "ok"),
        ],
    );
    let seen = world.instance(&id);
    assert_eq!((&seen["InstanceName"], &seen["HostName"]), (&json!("new"), &json!("web.example")));
    assert_eq!(seen["SecurityGroupIds"], json!(["sg-00000001", "sg-00000002"]));
    assert_eq!(seen["LatestOperation"], "ModifyInstancesAttribute");
    assert_eq!(world.cloud.holdings(world.now.get()).expect("holdings").0.len(), 1);
    assert!(world.cloud.holdings(world.now.get()).expect("holdings").nothing_of(&uin(2)));
}
