//! The wire protocol: what is let through, strict parameters, paging.

use fleetwright::cloud::cvm::transport::HttpRequest;
use fleetwright::cloud::embedded::settings::LISTED_LATE_MS;
use fleetwright::cloud::embedded::{Injection, Settings, credentials};
use serde_json::json;

use crate::world::{GZ, START, World, ZONE, answer, code, instant, quick, sign, with};

#[test]
fn what_is_not_served_has_its_code() {
    let world = World::new(quick());
    let base = world.request(1, GZ, "DescribeZones", "{}");
    let change = |name: &str, value: Option<&str>| {
        let mut request = base.clone();
        request.headers.retain(|(key, _)| key != name);
        request.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        code(&world.send(&request))
    };
    assert_eq!(change("X-TC-Action", Some("DescribeMoons")), "InvalidAction");
    assert_eq!(change("X-TC-Action", Some("describezones")), "InvalidAction");
    assert_eq!(change("X-TC-Action", None), "MissingParameter");
    assert_eq!(change("X-TC-Version", Some("2017-03-13")), "NoSuchVersion");
    assert_eq!(change("X-TC-Version", None), "MissingParameter");
    assert_eq!(change("X-TC-Region", Some("ap-mars")), "UnsupportedRegion");
    assert_eq!(change("X-TC-Region", None), "MissingParameter");
    assert_eq!(change("X-TC-Timestamp", None), "MissingParameter");
    assert_eq!(change("Authorization", None), "AuthFailure.InvalidAuthorization");
    assert_eq!(world.code_as(1, "", "DescribeRegions", json!({})), "ok");
    let put = HttpRequest { method: "PUT".to_owned(), ..base.clone() };
    assert_eq!(code(&world.send(&put)), "UnsupportedProtocol");

    let known = credentials("100000000001").expect("a key");
    let secret = (known.secret_id.as_str(), known.secret_key.as_str());
    let mut headers = sign(secret, START, "cam", ("POST", "", b"{}"), "application/json");
    headers.push(("X-TC-Action".to_owned(), "ListUsers".to_owned()));
    headers.push(("X-TC-Version".to_owned(), "2019-01-16".to_owned()));
    assert_eq!(code(&world.send(&HttpRequest { headers, ..base })), "NoSuchProduct");
}

#[test]
fn answers_are_plain_json_with_a_date() {
    let world = World::new(quick());
    let response = world.cloud.handle(START, &world.request(1, GZ, "DescribeZones", "{}"));
    let header = |name: &str| response.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(header("Content-Type"), Some("application/json"));
    assert_eq!(header("Date"), Some("Mon, 23 Nov 2026 12:00:00 GMT"));
    assert_eq!(response.cloud_ms, Some(START));
    assert_eq!(answer(&response)["TotalCount"], 6);
}

#[test]
fn parameters_are_read_strictly() {
    let world = World::new(quick());
    world.table(
        "DescribeImages",
        &[
            (json!({"Limit": 5, "ImageIds": null}), "ok"),
            (json!({"limit": 5}), "UnknownParameter"),
            (json!({"Filters": [{"Name": "platform", "Values": ["x"], "Value": "x"}]}), "UnknownParameter"),
            (json!({"Limit": "5"}), "InvalidParameter"),
            (json!({"ImageIds": "img-00000000"}), "InvalidParameter"),
            (json!([]), "InvalidParameter"),
        ],
    );
    world.table(
        "RunInstances",
        &[
            (with(json!({"Placement": [ZONE]})), "InvalidParameter"),
            (with(json!({"DataDisks": [[10]]})), "InvalidParameter"),
            (with(json!({"DataDisks": {"DiskSize": 10}})), "InvalidParameter"),
            (with(json!({"Placement": {"Zone": ZONE, "Colour": "red"}})), "UnknownParameter"),
        ],
    );
    let raw = |body: &str| code(&world.send(&world.request(1, GZ, "DescribeImages", body)));
    assert_eq!(raw(""), "ok");
    assert_eq!(raw("{"), "InvalidParameter");
    assert_eq!(raw("{} {}"), "InvalidParameter");
    assert_eq!(raw(r#"{"Limit":1,"Limit":2}"#), "InvalidParameter");
    assert_eq!(raw(&format!("{{\"InstanceType\":\"{}\"}}", "x".repeat(11_000_000))), "RequestSizeLimitExceeded");
}

#[test]
fn get_says_the_same_as_post() {
    let world = World::new(quick());
    let known = credentials("100000000001").expect("a key");
    let query = "Filters.0.Name=image-name&Filters.0.Values.0=22.04+LTS%2064bit&Limit=1";
    let kind = "application/x-www-form-urlencoded";
    let mut headers = sign((&known.secret_id, &known.secret_key), START, "cvm", ("GET", query, b""), kind);
    for (name, value) in [("X-TC-Action", "DescribeImages"), ("X-TC-Version", "2017-03-12"), ("X-TC-Region", GZ)] {
        headers.push((name.to_owned(), value.to_owned()));
    }
    let request =
        HttpRequest { method: "GET".into(), path: "/".into(), query: query.into(), headers, body: Vec::new() };
    let answer = world.send(&request);
    assert_eq!(answer["TotalCount"], 2, "{answer}");
    assert_eq!(answer["ImageSet"].as_array().map(Vec::len), Some(1));
}

#[test]
fn regions_zones_and_types_are_those_of_the_catalogue() {
    let world = World::new(quick());
    let regions = world.must("DescribeRegions", json!({}));
    assert_eq!(regions["TotalCount"], 19);
    let zones = world.must("DescribeZones", json!({}));
    let closed = zones["ZoneSet"].as_array().expect("zones").iter().filter(|zone| zone["ZoneState"] == "UNAVAILABLE");
    assert_eq!(closed.map(|zone| zone["Zone"].as_str()).collect::<Vec<_>>(), [Some("ap-guangzhou-2")]);
    let types = |body| world.must("DescribeInstanceTypeConfigs", body)["InstanceTypeConfigSet"].clone();
    let one = types(json!({"Filters": [
        {"Name": "zone", "Values": ["ap-guangzhou-3"]},
        {"Name": "instance-type", "Values": ["S5.MEDIUM4"]},
    ]}));
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    assert_eq!((&one[0]["CPU"], &one[0]["Memory"]), (&json!(2), &json!(4)));
    assert_eq!(
        types(json!({"Filters": [{"Name": "instance-family", "Values": ["GN7"]}]})).as_array().map(Vec::len),
        Some(5)
    );
    world.table(
        "DescribeInstanceTypeConfigs",
        &[
            (json!({"Filters": [{"Name": "zone", "Values": ["ap-shanghai-2"]}]}), "InvalidZone.MismatchRegion"),
            (json!({"Filters": [{"Name": "colour", "Values": ["red"]}]}), "InvalidFilter"),
            (json!({"Filters": [{"Name": "zone", "Values": ["a", "b"]}]}), "InvalidFilterValue.LimitExceeded"),
        ],
    );
}

#[test]
fn pages_have_twenty_unless_asked_and_ids_page_too() {
    let world = World::new(instant());
    let ids = world.launch(45, json!({}));
    let ask = |body| {
        let answer = world.must("DescribeInstances", body);
        (answer["TotalCount"].as_i64(), answer["InstanceSet"].as_array().map(Vec::len))
    };
    assert_eq!(ask(json!({})), (Some(45), Some(20)));
    assert_eq!(ask(json!({"InstanceIds": ids})), (Some(45), Some(20)));
    assert_eq!(ask(json!({"InstanceIds": ids, "Limit": 100})), (Some(45), Some(45)));
    assert_eq!(ask(json!({"Offset": 40, "Limit": 10})), (Some(45), Some(5)));
    let mut some = ids[..2].to_vec();
    some.push("ins-00000000".to_owned());
    assert_eq!(ask(json!({"InstanceIds": some})), (Some(2), Some(2)));
    let statuses = world.must("DescribeInstancesStatus", json!({"InstanceIds": some}));
    assert_eq!(statuses["TotalCount"], 2);
    assert_eq!(statuses["InstanceStatusSet"][0]["InstanceState"], "RUNNING");
    let many: Vec<String> = (0..101).map(|n| format!("ins-{n:08}")).collect();
    world.table(
        "DescribeInstances",
        &[
            (json!({"Limit": 101}), "InvalidParameterValue.LimitExceeded"),
            (json!({"Limit": 0}), "InvalidParameterValue.LimitExceeded"),
            (json!({"Offset": -1}), "InvalidParameterValue"),
            (json!({"InstanceIds": many}), "InvalidParameterValue.LimitExceeded"),
            (json!({"InstanceIds": ["i-1"]}), "InvalidInstanceId.Malformed"),
            (
                json!({"InstanceIds": [ids[0]], "Filters": [{"Name": "zone", "Values": ["ap-guangzhou-3"]}]}),
                "InvalidParameter",
            ),
            (
                json!({"Filters": [{"Name": "zone", "Values": ["1", "2", "3", "4", "5", "6"]}]}),
                "InvalidFilterValue.LimitExceeded",
            ),
            (json!({"Filters": [{"Name": "Zone", "Values": ["ap-guangzhou-3"]}]}), "InvalidFilter"),
            (json!({"Filters": [{"Name": "tag:nobody", "Values": ["x"]}]}), "InvalidParameterValue.TagKeyNotFound"),
            (
                json!({"Filters": [{"Name": "creation-start-time", "Values": ["today"]}]}),
                "InvalidParameterValue.InvalidTimeFormat",
            ),
        ],
    );
}

#[test]
fn order_is_shuffled_and_all_is_there() {
    let world = World::new(instant());
    let ids = world.launch(30, json!({}));
    let order = || {
        let answer = world.must("DescribeInstances", json!({"InstanceIds": ids, "Limit": 100}));
        answer["InstanceSet"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|i| i["InstanceId"].to_string())
            .collect::<Vec<_>>()
    };
    let (one, two) = (order(), order());
    assert_ne!(one, two);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(one), sorted(two));
}

#[test]
fn the_first_read_may_leave_new_things_out() {
    let world = World::new(Settings { empty_first_read: true, ..instant() });
    let id = world.launch(1, json!({}))[0].clone();
    assert_eq!(world.state(&id), "gone");
    assert_eq!(world.state(&id), "RUNNING");
    let image = world.capture(&id, "golden");
    assert!(world.image(&image).is_null());
    assert_eq!(world.image(&image)["ImageState"], "NORMAL");
    // No list lags behind for ever.
    let id = world.launch(1, json!({}))[0].clone();
    let image = world.capture(&id, "golden-2");
    world.wait(LISTED_LATE_MS);
    assert_eq!((world.state(&id).as_str(), &world.image(&image)["ImageState"]), ("RUNNING", &json!("NORMAL")));
}

#[test]
fn injected_refusals_count_down_and_the_log_tells_them() {
    let world = World::new(Settings { log: true, ..instant() });
    let refuse = Injection::Refuse { action: "RunInstances".into(), code: "RequestLimitExceeded".into(), times: 2 };
    world.cloud.inject(refuse);
    let codes: Vec<String> = (0..3).map(|_| world.code("RunInstances", with(json!({})))).collect();
    assert_eq!(codes, ["RequestLimitExceeded", "RequestLimitExceeded", "ok"]);
    let log = world.cloud.log();
    assert_eq!(
        log.iter().map(|entry| entry.code.as_deref()).collect::<Vec<_>>(),
        [Some("RequestLimitExceeded"), Some("RequestLimitExceeded"), None]
    );
    assert_eq!((log[2].account.as_str(), log[2].service.as_str()), ("100000000001", "cvm"));
    assert!(log[2].body.contains("S5.MEDIUM4") && log[2].action == "RunInstances");
    assert_ne!(log[0].request_id, log[1].request_id);
}

#[test]
fn rates_are_kept_where_they_are_asked_for() {
    let world = World::new(Settings { rate_limits: true, ..instant() });
    let codes = |account| {
        (0..11).map(|_| world.code_as(account, GZ, "DescribeImageQuota", json!({}))).filter(|code| code == "ok").count()
    };
    assert_eq!((codes(1), codes(2)), (10, 10));
    assert_eq!(world.code("DescribeImageQuota", json!({})), "RequestLimitExceeded");
    world.wait(1000);
    assert_eq!(world.code("DescribeImageQuota", json!({})), "ok");
}

#[test]
fn each_action_has_its_rate() {
    let world = World::new(Settings { rate_limits: true, ..instant() });
    let forty = ["DescribeImages", "DescribeInstances", "DescribeInstancesStatus", "DescribeInstanceTypeConfigs"];
    let twenty = ["DescribeRegions", "DescribeZones", "DescribeImageFromFamily", "ExportImages", "TagResources"];
    let ten = [
        "CreateImage",
        "ModifyImageAttribute",
        "ModifyImageSharePermission",
        "DescribeImageSharePermission",
        "DescribeImageQuota",
        "SyncImages",
        "ImportImage",
        "DeleteImages",
        "RunInstances",
        "TerminateInstances",
        "StartInstances",
        "StopInstances",
        "RebootInstances",
        "ResetInstance",
        "ModifyInstancesAttribute",
        "ResetInstancesType",
        "InquiryPriceRunInstances",
        "InquiryPriceResetInstance",
    ];
    let all = forty.iter().map(|action| (*action, 40)).chain(twenty.iter().map(|action| (*action, 20)));
    let all = all.chain(ten.iter().map(|action| (*action, 10)));
    for (action, rate) in all.chain([("DescribeZoneInstanceConfigInfos", 40), ("DescribeImportImageOs", 288)]) {
        // What is wrong with them is looked at when they are let in.
        let let_in = (0..rate + 2).filter(|_| world.code(action, json!({"Colour": 1})) == "UnknownParameter").count();
        assert_eq!(let_in, rate, "{action}");
    }
}
