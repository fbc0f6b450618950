//! Prices (API text 3.11, 6 and 8.10).

use fleetwright::cloud::embedded::{Settings, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, UBUNTU, World, ZONE, instant, merged, texts, with};

const PAID: &str = "img-kx1vn3zd";
const WINDOWS: &str = "Windows Server 2022 DataCenter 64bit";

fn price(world: &World, more: Value) -> Value {
    world.must("InquiryPriceRunInstances", with(more))["Price"].clone()
}

#[test]
fn an_hour_costs_type_disks_and_image() {
    let world = World::new(instant());
    // 2 cores and 4 GiB of S5, 50 GiB of CLOUD_PREMIUM.
    let plain = price(&world, json!({}));
    assert_eq!(
        plain["InstancePrice"],
        json!({"UnitPrice": 0.265, "UnitPriceDiscount": 0.265, "ChargeUnit": "HOUR", "Discount": 100.0})
    );
    assert!(plain.get("BandwidthPrice").is_none(), "{plain}");
    let unit = |more: Value| price(&world, more)["InstancePrice"]["UnitPrice"].clone();
    assert_eq!(unit(json!({"InstanceCount": 3})), 0.795);
    assert_eq!(unit(json!({"DataDisks": [{"DiskSize": 100, "DiskType": "CLOUD_SSD"}]})), 0.375);
    assert_eq!(unit(json!({"ImageId": PAID})), 0.385);
    assert_eq!(unit(json!({"ImageId": public_image_id(GZ, WINDOWS)})), 0.265);
    assert_eq!(unit(json!({"InstanceChargeType": "SPOTPAID"})), 0.073);
    let silent = World::new(Settings { image_fee_in_instance_price: false, ..instant() });
    assert_eq!(price(&silent, json!({"ImageId": PAID}))["InstancePrice"]["UnitPrice"], 0.265);
    let abroad = json!({
        "Placement": {"Zone": "ap-tokyo-1"}, "InstanceType": "S5.MEDIUM4", "ImageId": public_image_id("ap-tokyo", WINDOWS),
    });
    let abroad = world.must_as(1, "ap-tokyo", "InquiryPriceRunInstances", abroad);
    assert_eq!(abroad["Price"]["InstancePrice"]["UnitPrice"], 0.365);
}

#[test]
fn a_period_is_paid_at_once() {
    let world = World::new(instant());
    let period = |months: i64| {
        price(&world, json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": months}}))["InstancePrice"].clone()
    };
    let month = period(1);
    assert_eq!((&month["OriginalPrice"], &month["DiscountPrice"]), (&json!(95.4), &json!(95.4)));
    assert_eq!((&month["OriginalPriceOneYear"], &month["DiscountPriceOneYear"]), (&json!(1144.8), &json!(950.184)));
    assert!(month.get("UnitPrice").is_none() && month.get("ChargeUnit").is_none(), "{month}");
    let year = period(12);
    assert_eq!(
        (&year["OriginalPrice"], &year["DiscountPrice"], &year["Discount"]),
        (&json!(1144.8), &json!(950.184), &json!(83.0))
    );
}

#[test]
fn bandwidth_has_a_price_of_its_own() {
    let world = World::new(instant());
    let net = |kind: &str, mbps: i64| {
        let net = json!({"InternetChargeType": kind, "InternetMaxBandwidthOut": mbps});
        price(&world, json!({"InternetAccessible": net, "InstanceCount": 2}))["BandwidthPrice"].clone()
    };
    let traffic = net("TRAFFIC_POSTPAID_BY_HOUR", 10);
    assert_eq!((&traffic["UnitPrice"], &traffic["ChargeUnit"]), (&json!(0.8), &json!("GB")));
    assert_eq!(net("BANDWIDTH_POSTPAID_BY_HOUR", 7)["UnitPrice"], 1.63);
    assert_eq!(net("BANDWIDTH_PREPAID", 1)["OriginalPrice"], 45.36);
    assert_eq!(net("TRAFFIC_POSTPAID_BY_HOUR", 0), Value::Null);
    let follows = json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 2}, "InternetAccessible": {"InternetMaxBandwidthOut": 1}});
    assert_eq!(price(&world, follows)["BandwidthPrice"]["OriginalPrice"], 45.36);
}

#[test]
fn an_inquiry_is_checked_and_buys_nothing() {
    let world = World::new(instant());
    let net = json!({"VpcId": "vpc-00000001", "SubnetId": "subnet-00000001"});
    let addressed = json!({"VpcId": "DEFAULT", "SubnetId": "DEFAULT", "PrivateIpAddresses": ["10.0.0.9"]});
    world.table(
        "InquiryPriceRunInstances",
        &[
            (json!({"ImageId": public_image_id(GZ, UBUNTU)}), "MissingParameter"),
            (json!({"Placement": {"Zone": ZONE}}), "MissingParameter"),
            (with(json!({"InstanceCount": 0})), "InvalidParameterValue.Range"),
            (with(json!({"InstanceCount": 101})), "InvalidParameterValue.Range"),
            (with(json!({"InstanceCount": 100})), "ok"),
            (with(json!({"InstanceType": "S5.HUGE"})), "InvalidParameterValue.InstanceTypeNotFound"),
            (with(json!({"ImageId": "img-00000000"})), "InvalidImageId.NotFound"),
            (with(json!({"InstanceChargeType": "CDHPAID"})), "InvalidParameterValue"),
            (with(json!({"HostName": "h".repeat(31)})), "InvalidParameterValue"),
            (with(json!({"HostName": "h".repeat(30)})), "ok"),
            (with(json!({"ClientToken": "t".repeat(65)})), "InvalidClientToken.TooLong"),
            (with(json!({"ClientToken": "t"})), "ok"),
            (with(json!({"VirtualPrivateCloud": addressed, "InstanceCount": 2})), "InvalidParameterCombination"),
            (with(json!({"VirtualPrivateCloud": addressed})), "ok"),
            (with(json!({"VirtualPrivateCloud": net})), "ok"),
            (with(json!({"UserData": "eA=="})), "UnknownParameter"),
            (with(json!({"DryRun": true})), "UnknownParameter"),
            (with(json!({"MinCount": 1})), "UnknownParameter"),
        ],
    );
    assert!(world.cloud.holdings(world.now.get()).expect("holdings").0.is_empty());
    // The subnet that was only asked about is nobody's: it may still be another zone's.
    let elsewhere = json!({"Placement": {"Zone": "ap-guangzhou-4"}, "VirtualPrivateCloud": net});
    assert_eq!(world.code("RunInstances", with(elsewhere)), "ok");
    let token = texts(&world.must("RunInstances", with(json!({"ClientToken": "t"})))["InstanceIdSet"]);
    assert_eq!(token.len(), 1);
}

#[test]
fn a_reset_is_priced_by_what_comes_of_it() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let reset = |more: Value| merged(json!({"InstanceId": id}), more);
    let unit = |more: Value| {
        let answer = world.must("InquiryPriceResetInstance", reset(more));
        answer["Price"]["InstancePrice"]["UnitPrice"].clone()
    };
    assert_eq!(unit(json!({})), 0.265);
    assert_eq!(unit(json!({"ImageId": PAID, "SystemDisk": {"DiskSize": 100}})), 0.41);
    assert_eq!(world.instance(&id)["SystemDisk"]["DiskSize"], 50);
    world.table(
        "InquiryPriceResetInstance",
        &[
            (json!({}), "MissingParameter"),
            (json!({"InstanceId": "ins-00000000"}), "InvalidInstanceId.NotFound"),
            (reset(json!({"ImageId": "img-00000000"})), "InvalidImageId.NotFound"),
            (reset(json!({"SystemDisk": {"DiskSize": 20}})), "InvalidParameterValue"),
            (reset(json!({"LoginSettings": {"Password": "x"}})), "InvalidParameterValue"),
            (reset(json!({"UserData": "not base64!"})), "InvalidParameterValue"),
            (reset(json!({"HostName": "x1"})), "UnknownParameter"),
            (reset(json!({"ImageId": public_image_id(GZ, WINDOWS)})), "ok"),
        ],
    );
    let basic = world.launch(1, json!({"SystemDisk": {"DiskType": "CLOUD_BASIC"}}))[0].clone();
    let body = json!({"InstanceId": basic, "ImageId": public_image_id(GZ, WINDOWS)});
    assert_eq!(world.code("InquiryPriceResetInstance", body), "InvalidParameterValue.InvalidImageIdForRetsetInstance");
}
