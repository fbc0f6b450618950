//! What is sold where, and for how much: DescribeZoneInstanceConfigInfos (API text 5.12).

use serde_json::{Value, json};

use crate::world::{World, ZONE, instant, with};

const ACTION: &str = "DescribeZoneInstanceConfigInfos";

fn filters(list: &[(&str, &[&str])]) -> Value {
    let filters: Vec<Value> = list.iter().map(|(name, values)| json!({"Name": name, "Values": values})).collect();
    json!({"Filters": filters})
}

fn set(world: &World, region: &str, list: &[(&str, &[&str])]) -> Vec<Value> {
    let answer = world.must_as(1, region, ACTION, filters(list));
    answer["InstanceTypeQuotaSet"].as_array().expect("a set").clone()
}

#[test]
fn each_type_is_sold_in_each_zone_and_mode() {
    let world = World::new(instant());
    let guangzhou = |list: &[(&str, &[&str])]| set(&world, "ap-guangzhou", list);
    let types = world.must("DescribeInstanceTypeConfigs", json!({}))["InstanceTypeConfigSet"].clone();
    let open = guangzhou(&[]).iter().filter(|item| item["Status"] == "SELL").count();
    assert_eq!(Some(open), types.as_array().map(|types| 3 * types.len()));
    let full = guangzhou(&[("zone", &["ap-guangzhou-2"])]);
    assert!(!full.is_empty());
    for item in &full {
        assert_eq!((&item["Status"], &item["StatusCategory"]), (&json!("SOLD_OUT"), &json!("WithoutStock")));
        assert_ne!(item["SoldOutReason"], "");
    }
    let arm = guangzhou(&[("instance-type", &["SR1.MEDIUM2"]), ("zone", &[ZONE, "ap-guangzhou-4"])]);
    assert_eq!(arm.len(), 6);
    let family =
        guangzhou(&[("instance-family", &["GN7"]), ("instance-charge-type", &["SPOTPAID"]), ("zone", &[ZONE])]);
    assert!(family.iter().all(|item| item["Gpu"].as_i64() > Some(0) && item["InstanceChargeType"] == "SPOTPAID"));
    // No spot instances are sold to finance.
    let modes: std::collections::BTreeSet<String> =
        set(&world, "ap-shanghai-fsi", &[]).iter().map(|item| item["InstanceChargeType"].to_string()).collect();
    assert_eq!(modes.len(), 2);
}

#[test]
fn the_price_is_that_of_the_type_alone() {
    let world = World::new(instant());
    let of = |mode: &str| {
        let list: &[(&str, &[&str])] =
            &[("zone", &[ZONE]), ("instance-type", &["S5.MEDIUM4"]), ("instance-charge-type", &[mode])];
        let found = set(&world, "ap-guangzhou", list);
        assert_eq!(found.len(), 1, "{mode}");
        found[0].clone()
    };
    let hourly = of("POSTPAID_BY_HOUR");
    assert_eq!((&hourly["Cpu"], &hourly["Memory"], &hourly["InstanceFamily"]), (&json!(2), &json!(4), &json!("S5")));
    assert_eq!((&hourly["Price"]["UnitPrice"], &hourly["Price"]["ChargeUnit"]), (&json!(0.24), &json!("HOUR")));
    assert_eq!(of("SPOTPAID")["Price"]["UnitPrice"], 0.048);
    assert_eq!(of("PREPAID")["Price"]["OriginalPrice"], 86.4);
    // What an inquiry adds to it is the system disk: 50 GiB at 0.0005 an hour.
    let asked = world.must("InquiryPriceRunInstances", with(json!({})))["Price"]["InstancePrice"]["UnitPrice"].clone();
    assert_eq!(asked, json!(0.265));
}

#[test]
fn what_is_sold_is_sorted_where_that_is_asked_for() {
    let world = World::new(instant());
    let sizes = |keys: &[&str]| -> Vec<(i64, i64)> {
        let list: &[(&str, &[&str])] =
            &[("zone", &[ZONE]), ("instance-charge-type", &["PREPAID"]), ("sort-keys", keys)];
        let number = |item: &Value, key: &str| item[key].as_i64().expect("a number");
        set(&world, "ap-guangzhou", list).iter().map(|item| (number(item, "Cpu"), number(item, "Memory"))).collect()
    };
    let sorted = sizes(&["cpu:desc", "mem:asc"]);
    assert!(sorted.len() > 10 && sorted.is_sorted_by_key(|(cpu, memory)| (-cpu, *memory)), "{sorted:?}");
    assert!(sizes(&["mem:desc"]).is_sorted_by_key(|(_, memory)| -memory));
    let many: Vec<String> = (0..101).map(|n| format!("S5.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.table(
        ACTION,
        &[
            (filters(&[("sort-keys", &["price:asc"])]), "InvalidFilter"),
            (filters(&[("colour", &["red"])]), "InvalidFilter"),
            (filters(&[("zone", &["ap-shanghai-2"])]), "InvalidZone.MismatchRegion"),
            (filters(&[("instance-type", &many)]), "InvalidFilterValue.LimitExceeded"),
            (filters(&[("instance-type", &many[..100])]), "ok"),
        ],
    );
}
