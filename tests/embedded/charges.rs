//! Billing modes: prepaid instances and the recycle bin, spot instances, their quotas (API text 2.2, 3.10 and 5.4).

use fleetwright::cloud::embedded::{Injection, Settings};
use fleetwright::model::limits::Limits;
use serde_json::{Value, json};

use crate::world::{GZ, World, ZONE, instant, merged, quick, uin, with};

const DAY: i64 = 86_400_000;

fn prepaid(more: Value) -> Value {
    merged(json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 1}}), more)
}

fn bid(price: &str) -> Value {
    json!({"InstanceChargeType": "SPOTPAID", "InstanceMarketOptions": {"SpotOptions": {"MaxPrice": price}}})
}

fn quota(world: &World, kind: &str) -> Value {
    let filters = json!([{"Name": "quota-type", "Values": [kind]}, {"Name": "zone", "Values": [ZONE]}]);
    let answer = world.must("DescribeAccountQuota", json!({"Filters": filters}));
    answer["AccountQuotaOverview"]["AccountQuota"][kind][0].clone()
}

#[test]
fn what_is_not_sold_has_its_code() {
    let world = World::new(instant());
    let period = |period: Value| with(prepaid(json!({"InstanceChargePrepaid": period, "DryRun": true})));
    let spot = |options: Value| {
        with(json!({"InstanceChargeType": "SPOTPAID", "InstanceMarketOptions": options, "DryRun": true}))
    };
    let mut rows = vec![
        (with(json!({"InstanceChargeType": "PREPAID"})), "MissingParameter"),
        (period(json!({})), "MissingParameter"),
        (period(json!({"Period": 1, "RenewFlag": "NEVER"})), "InvalidParameterValue"),
        (period(json!({"Period": 1, "RenewFlag": "DISABLE_NOTIFY_AND_MANUAL_RENEW"})), "ok"),
        (spot(json!({})), "MissingParameter"),
        (spot(json!({"SpotOptions": {}})), "MissingParameter"),
        (spot(json!({"SpotOptions": {"MaxPrice": "cheap"}})), "InvalidParameterValue"),
        (spot(json!({"SpotOptions": {"MaxPrice": "1"}, "MarketType": "auction"})), "InvalidParameterValue"),
        (spot(json!({"SpotOptions": {"MaxPrice": "1", "SpotInstanceType": "persistent"}})), "InvalidParameterValue"),
        (spot(json!({"SpotOptions": {"MaxPrice": "0.047999"}})), "InvalidParameterValue.InsufficientPrice"),
        (spot(json!({"SpotOptions": {"MaxPrice": "0.048"}, "MarketType": "spot"})), "ok"),
        (spot(Value::Null), "ok"),
        (with(json!({"InstanceMarketOptions": {"SpotOptions": {"MaxPrice": "1"}}})), "InvalidParameterCombination"),
    ];
    for months in (1..=12).chain([24, 36, 48, 60]) {
        rows.push((period(json!({"Period": months})), "ok"));
    }
    for months in [-1, 0, 13, 18, 72] {
        rows.push((period(json!({"Period": months})), "InvalidPeriod"));
    }
    world.table("RunInstances", &rows);
    let finance = json!({
        "Placement": {"Zone": "ap-shanghai-fsi-2"}, "InstanceChargeType": "SPOTPAID",
        "ImageId": fleetwright::cloud::embedded::public_image_id("ap-shanghai-fsi", crate::world::UBUNTU),
    });
    let code = world.code_as(1, "ap-shanghai-fsi", "RunInstances", finance);
    assert_eq!(code, "UnsupportedOperation.SpotUnsupportedRegion");
}

#[test]
fn a_prepaid_instance_goes_to_the_recycle_bin_first() {
    let world = World::new(quick());
    let ids = world.launch(2, prepaid(json!({"DataDisks": [{"DiskSize": 100, "DiskType": "CLOUD_SSD"}]})));
    let seen = world.instance(&ids[0]);
    assert_eq!((&seen["InstanceChargeType"], &seen["IsolatedSource"]), (&json!("PREPAID"), &json!("NOTISOLATED")));
    assert_eq!(
        (&seen["RenewFlag"], &seen["ExpiredTime"]),
        (&json!("NOTIFY_AND_MANUAL_RENEW"), &json!("2026-12-23T12:00:00Z"))
    );
    let hourly = world.launch(1, json!({}))[0].clone();
    let mixed = json!({"InstanceIds": [ids[0], hourly]});
    assert_eq!(world.code("TerminateInstances", mixed), "UnsupportedOperation.InstanceMixedPricingModel");
    let one = json!({"InstanceIds": [ids[0]]});
    world.must("TerminateInstances", one.clone());
    let seen = world.instance(&ids[0]);
    assert_eq!((&seen["InstanceState"], &seen["LatestOperationState"]), (&json!("STOPPING"), &json!("OPERATING")));
    for action in ["TerminateInstances", "StartInstances", "StopInstances", "RebootInstances"] {
        assert_eq!(world.code(action, one.clone()), "UnsupportedOperation.InstanceStateIsolating", "{action}");
    }
    world.wait(800);
    let seen = world.instance(&ids[0]);
    assert_eq!((&seen["InstanceState"], &seen["IsolatedSource"]), (&json!("SHUTDOWN"), &json!("MANMADE")));
    assert_eq!(
        (&seen["LatestOperation"], &seen["LatestOperationState"]),
        (&json!("TerminateInstances"), &json!("SUCCESS"))
    );
    let shutdown = "UnsupportedOperation.InstanceStateShutdown";
    for (action, body, code) in [
        ("StartInstances", one.clone(), shutdown),
        ("StopInstances", one.clone(), shutdown),
        ("RebootInstances", one.clone(), shutdown),
        ("ResetInstance", json!({"InstanceId": ids[0]}), shutdown),
        ("ModifyInstancesAttribute", json!({"InstanceIds": [ids[0]], "InstanceName": "x"}), shutdown),
        ("ResetInstancesType", json!({"InstanceIds": [ids[0]], "InstanceType": "S5.LARGE8"}), shutdown),
        ("CreateImage", json!({"InstanceId": ids[0], "ImageName": "x"}), "InvalidInstance.NotSupported"),
    ] {
        assert_eq!(world.code(action, body), code, "{action}");
    }
    // A second call takes it away; its data disk is left, as nobody released it.
    world.must("TerminateInstances", one);
    assert_eq!(world.state(&ids[0]), "TERMINATING");
    world.wait(800);
    assert_eq!(world.state(&ids[0]), "gone");
    world.must("TerminateInstances", json!({"InstanceIds": [ids[1]], "ReleasePrepaidDataDisks": true}));
    world.wait(800);
    assert_eq!(world.state(&ids[1]), "SHUTDOWN");
    // Or the end of seven days.
    world.wait(7 * DAY - 1);
    assert_eq!(world.state(&ids[1]), "SHUTDOWN");
    world.wait(1);
    assert_eq!(world.state(&ids[1]), "gone");
    let held = world.cloud.holdings(world.now.get()).expect("holdings");
    let loose = held.of(&uin(1), GZ).expect("held").disks.values().filter(|disk| disk.instance.is_none()).count();
    assert_eq!(loose, 1);
}

#[test]
fn a_period_ends_unless_it_is_renewed() {
    let world = World::new(instant());
    let manual = world.launch(1, prepaid(json!({})))[0].clone();
    let renewing = json!({"Period": 1, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"});
    let auto = world.launch(1, prepaid(json!({"InstanceChargePrepaid": renewing})))[0].clone();
    world.wait(30 * DAY);
    let seen = world.instance(&manual);
    assert_eq!((&seen["InstanceState"], &seen["IsolatedSource"]), (&json!("SHUTDOWN"), &json!("EXPIRE")));
    assert_eq!(seen["RestrictState"], "EXPIRED");
    let seen = world.instance(&auto);
    assert_eq!((&seen["InstanceState"], &seen["ExpiredTime"]), (&json!("RUNNING"), &json!("2027-01-23T12:00:00Z")));
    assert_eq!(
        world.code("StartInstances", json!({"InstanceIds": [manual]})),
        "UnsupportedOperation.InstanceStateShutdown"
    );
    world.wait(7 * DAY);
    assert_eq!((world.state(&manual), world.state(&auto)), ("gone".into(), "RUNNING".into()));
    world.wait(3650 * DAY);
    assert_eq!(world.state(&auto), "RUNNING");
}

#[test]
fn an_expired_instance_can_be_destroyed_for_good() {
    let world = World::new(quick());
    let id = world.launch(1, prepaid(json!({})))[0].clone();
    world.wait(31 * DAY);
    world.must("TerminateInstances", json!({"InstanceIds": [id]}));
    assert_eq!(world.state(&id), "TERMINATING");
    world.wait(800);
    assert_eq!(world.state(&id), "gone");
}

#[test]
fn spot_instances_are_taken_back() {
    let settings = Settings { spot_taken_back_after_ms: Some(60_000), ..quick() };
    let world = World::new(settings);
    world.cloud.inject(Injection::TakenBack { name: "early".into(), after_ms: 10_000 });
    let early = merged(bid("0.1"), json!({"InstanceName": "early"}));
    let (early, late) = (world.launch(1, early)[0].clone(), world.launch(1, bid("0.1"))[0].clone());
    let hourly = world.launch(1, json!({}))[0].clone();
    world.wait(7_000);
    assert_eq!((world.state(&early), world.state(&late)), ("TERMINATING".into(), "RUNNING".into()));
    let again = json!({"InstanceIds": [early]});
    assert_eq!(world.code("TerminateInstances", again), "UnsupportedOperation.InstanceStateTerminating");
    world.wait(800);
    assert_eq!((world.state(&early), world.state(&late)), ("gone".into(), "RUNNING".into()));
    world.must("StopInstances", json!({"InstanceIds": [late]}));
    world.wait(800);
    assert_eq!(world.state(&late), "STOPPED");
    world.wait(60_000);
    assert_eq!((world.state(&late), world.state(&hourly)), ("gone".into(), "RUNNING".into()));
    assert_eq!(quota(&world, "SpotPaidQuotaSet")["UsedQuota"], 0);
}

#[test]
fn each_mode_has_a_quota_of_its_own() {
    let limits = Limits { prepaid_per_zone_and_month: 3, spot_cores_per_zone: 4, ..Limits::EMBEDDED };
    let world = World::new(Settings { limits, ..instant() });
    let two = |body: Value| with(merged(body, json!({"InstanceCount": 2})));
    let bought = world.launch(2, prepaid(json!({})));
    let seen = json!({"Zone": ZONE, "UsedQuota": 2, "OnceQuota": 3, "RemainingQuota": 1, "TotalQuota": 3});
    assert_eq!(quota(&world, "PrePaidQuotaSet"), seen);
    assert_eq!(world.code("RunInstances", two(prepaid(json!({})))), "LimitExceeded.PrepayQuota");
    // What was bought this month counts, whatever became of it.
    for _ in 0..2 {
        world.must("TerminateInstances", json!({"InstanceIds": bought}));
    }
    assert_eq!(world.code("RunInstances", two(prepaid(json!({})))), "LimitExceeded.PrepayQuota");
    let spot = world.launch(1, bid("1"))[0].clone();
    assert_eq!(
        quota(&world, "SpotPaidQuotaSet"),
        json!({"Zone": ZONE, "UsedQuota": 2, "RemainingQuota": 2, "TotalQuota": 4})
    );
    assert_eq!(world.code("RunInstances", two(bid("1"))), "LimitExceeded.UserSpotQuota");
    let resize = |kind: &str| json!({"InstanceIds": [spot], "InstanceType": kind, "ForceStop": true});
    assert_eq!(world.code("ResetInstancesType", resize("S5.2XLARGE16")), "LimitExceeded.SpotQuota");
    assert_eq!(world.code("ResetInstancesType", resize("S5.LARGE8")), "ok");
    assert_eq!(quota(&world, "SpotPaidQuotaSet")["UsedQuota"], 4);
    world.must("TerminateInstances", json!({"InstanceIds": [spot]}));
    assert_eq!(quota(&world, "SpotPaidQuotaSet")["UsedQuota"], 0);
    assert_eq!(quota(&world, "PostPaidQuotaSet")["UsedQuota"], 0);
    world.wait(8 * DAY);
    assert_eq!(quota(&world, "PrePaidQuotaSet")["UsedQuota"], 0, "another month");
    let filter = |name: &str, value: &str| json!({"Filters": [{"Name": name, "Values": [value]}]});
    world.table(
        "DescribeAccountQuota",
        &[
            (filter("zone", "ap-shanghai-2"), "InvalidZone.MismatchRegion"),
            (filter("quota-type", "GpuQuotaSet"), "InvalidFilter"),
        ],
    );
}
