//! What a plan costs: asked of the embedded cloud, whose table of prices is `src/cloud/embedded/prices.rs`.
//!
//! S5.MEDIUM4 has 2 cores at 0.06 and 4 GiB at 0.03: 0.24 an hour. Its system disk has 50 GiB of CLOUD_PREMIUM at
//! 0.0005: 0.025. So an hour is 0.265, or for spare capacity 0.24 × 20 % + 0.025 = 0.073.

use std::collections::BTreeMap;

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{Injection, Settings};
use serde_json::{Value, json};

use crate::kit::{BOOT, FLEET, GZ, IMAGE, quick, says};
use crate::rig::Rig;

const ASK: &str = "InquiryPriceRunInstances";

fn estimate(rig: &Rig) -> Value {
    rig.json("plan --json")["estimate"].clone()
}

fn world() -> Rig {
    Rig::with(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")], quick())
}

/// Requests by action that a command makes.
fn calls(rig: &Rig, args: &str) -> BTreeMap<String, usize> {
    let mark = rig.mark();
    rig.run(args).expect(Exit::Done);
    rig.calls(mark)
}

#[test]
fn an_hour_of_a_fleet() {
    let rig = world();
    let plan = rig.run("plan").expect(Exit::Done).out;
    // 5 × 0.265.
    says(&plan, "Cost: about 1.325 CNY an hour more (5 instances).");
    says(&plan, "Time: about 1.5 s.");
    assert!(!plan.contains("5 ×"), "one part alone is not told apart:\n{plan}");
    let verbose = rig.run("plan -v").expect(Exit::Done).out;
    says(&verbose, "+ fleet.web[0..4]  5 × 0.265 = 1.325 CNY an hour");
    let told = estimate(&rig);
    assert_eq!(told["hourly_micros"], json!({"before": 0, "after": 1_325_000, "difference": 1_325_000}));
    assert_eq!(told["currency"], "CNY");
    rig.settle();

    // All five are made anew, and cost what they cost.
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    says(
        &rig.run("plan").expect(Exit::Done).out,
        "Cost: nothing more an hour (1.325 CNY for 5 instances that come, less 1.325 CNY for 5 that go).",
    );
    rig.edit("shop.yaml", "count: 5", "count: 4");
    let told = estimate(&rig);
    assert_eq!(told["hourly_micros"], json!({"before": 1_325_000, "after": 1_060_000, "difference": -265_000}));
    says(&rig.run("plan").expect(Exit::Done).out, "Cost: about 0.265 CNY an hour less");
}

#[test]
fn what_is_paid_in_advance_and_what_is_spare() {
    let rig = Rig::with(&[("shop.yaml", CHARGES)], quick());
    let plan = rig.run("plan").expect(Exit::Done).out;
    // A year of `db`: 0.265 × 360 hours × 12 months × 83 % = 950.184, twice. `spare` is 3 × 0.073, `edge` 0.265 and its
    // 7 Mbps by the hour, 5 × 0.063 + 2 × 0.25 = 0.815: 0.219 + 1.08 = 1.299 in all.
    says(
        &plan,
        "Cost: about 1.299 CNY an hour more (4 instances); 1900.368 CNY once (2 prepaid for 12 months); 0.80 CNY a GB of \
         traffic.",
    );
    says(&plan, "+ fleet.db[0,1]  2 × 950.184 = 1900.368 CNY for 12 months");
    says(
        &plan,
        "+ fleet.spare[0..2]  3 × 0.073 = 0.219 CNY an hour, at the spot price of the moment; 0.80 CNY a GB of traffic",
    );
    says(&plan, "+ fleet.edge[0]  1.08 CNY an hour");
    let told = estimate(&rig);
    assert_eq!(told["once"], json!([{"months": 12, "instances": 2, "total_micros": 1_900_368_000_i64}]));
    assert_eq!(told["traffic_micros_per_gb"], json!([800_000]));
    rig.run("apply --auto-approve").expect(Exit::Done);

    // What was paid for goes without a saving; what is spare saves what it cost.
    let fewer =
        CHARGES.replace("count: 2", "count: 1").replace("count: 3", "count: 1").replace("count: 1, #", "count: 2, #");
    rig.write("shop.yaml", &fewer);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "not in it: fleet.db[1]: what was paid in advance stays paid");
    // One more of `edge`, 1.08, and two of `spare` less, 0.146.
    says(
        &plan,
        "Cost: about 0.934 CNY an hour more (1.08 CNY for 1 instance that comes, less 0.146 CNY for 2 that go)",
    );
}

const CHARGES: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu: { public: { name: "Ubuntu Server 22.04 LTS 64bit" } }
fleets:
  db:
    image: ubuntu
    count: 2
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    charge_type: PREPAID
    prepaid: { months: 12 }
  spare:
    image: ubuntu
    count: 3
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    charge_type: SPOTPAID
    internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5, public_ip: true }
  edge: { image: ubuntu, count: 1, # grows
    zones: [ap-guangzhou-3], type: S5.MEDIUM4,
    internet: { charge: BANDWIDTH_POSTPAID_BY_HOUR, bandwidth_mbps: 7, public_ip: true } }
"#;

/// A machine that somebody launched from an image of the marketplace, which takes 0.12 an hour.
fn by_hand(settings: Settings) -> Rig {
    let rig = Rig::with(&[("shop.yaml", "")], settings);
    let machine = json!({
        "ImageId": "img-kx1vn3zd", "Placement": {"Zone": "ap-guangzhou-3"}, "InstanceType": "S5.MEDIUM4",
        "InstanceName": "newsroom",
    });
    let id = rig.by_hand(GZ, "RunInstances", &machine)["InstanceIdSet"][0].as_str().expect("an id").to_owned();
    rig.wait_ms(60_000);
    rig.write("shop.yaml", &NEWSROOM.replace("INSTANCE", &id));
    rig
}

const NEWSROOM: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  newsroom:
    from_instance: { instance: INSTANCE }
    version: "1"
fleets:
  news: { image: newsroom, count: 3, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

#[test]
fn the_fee_of_an_image_is_inherited_and_named() {
    let rig = by_hand(quick());
    let plan = rig.run("plan").expect(Exit::Done).out;
    // 3 × (0.265 + 0.12), by the image that the machine runs from: the captured one is not there yet.
    says(&plan, "Cost: about 1.155 CNY an hour more (3 instances).");
    says(
        &plan,
        "fee: about 0.36 CNY an hour of it, for 3 instances of fleet.news, is the fee of img-kx1vn3zd; image.newsroom \
         inherits it",
    );
    rig.run("apply --auto-approve").expect(Exit::Done);

    // And by the captured one itself, once it is there.
    rig.edit("shop.yaml", "count: 3", "count: 5");
    let told = estimate(&rig);
    assert_eq!(told["hourly_micros"]["after"], 770_000);
    assert_eq!(told["fees"][0]["hourly_micros"], 240_000);
    assert_eq!(told["fees"][0]["inherited_by"], "image.newsroom");
    assert_eq!(told["fees"][0]["image"], "img-kx1vn3zd");
}

#[test]
fn a_fee_that_the_price_does_not_show_is_not_made_up() {
    let rig = by_hand(Settings { image_fee_in_instance_price: false, ..quick() });
    let told = estimate(&rig);
    assert_eq!(told["hourly_micros"]["after"], 3 * 265_000);
    assert_eq!(told["fees"], json!([]));
}

#[test]
fn a_price_that_cannot_be_asked_stands_in_nobodys_way() {
    let rig = world();
    let refuse = |code: &str, times| {
        rig.cloud().inject(Injection::Refuse { action: ASK.into(), code: code.into(), times });
    };
    refuse("UnauthorizedOperation", 2);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "Cost: not known.");
    says(
        &plan,
        "not in it: fleet.web[0..4]: InquiryPriceRunInstances in ap-guangzhou did not work: UnauthorizedOperation",
    );
    // Of one zone only.
    refuse("FailedOperation.InquiryPriceFailed", 1);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "not in it: fleet.web[");
    assert!(plan.contains("Cost: about 0.795 CNY") || plan.contains("Cost: about 0.53 CNY"), "{plan}");
    // What passes by itself is asked again.
    refuse("RequestLimitExceeded", 2);
    says(&rig.run("plan").expect(Exit::Done).out, "Cost: about 1.325 CNY an hour more (5 instances).");
    refuse("UnauthorizedOperation", 2);
    rig.run("apply --auto-approve").expect(Exit::Done);
    rig.expect_no_changes();
}

#[test]
fn each_place_and_spec_is_asked_about_once() {
    let rig = world();
    assert_eq!(calls(&rig, "plan").get(ASK), Some(&2), "one in each zone");
    assert_eq!(calls(&rig, "plan --refresh=false").get(ASK), Some(&2));
    rig.run("plan --out plan.json").expect(Exit::Done);
    let file = rig.read("plan.json");
    assert!(!file.contains("micros") && !file.contains("CNY"), "a plan file has no prices: {file}");
    let saved = rig.json("show plan.json --json");
    assert_eq!((&saved["estimate"], &saved["time"]["expected_ms"]), (&Value::Null, &json!(1_500)));
    assert_eq!(calls(&rig, "apply plan.json").get(ASK), None, "it was asked when the plan was made");
    for quiet in ["plan", "plan --refresh=false", "plan --destroy", "apply --auto-approve"] {
        assert_eq!(calls(&rig, quiet).get(ASK), None, "{quiet} launches nothing");
    }
    // Old and new instances that are alike share their question.
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    assert_eq!(calls(&rig, "plan").get(ASK), Some(&2));
    // With access from the internet they are another question.
    let internet = "    internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5, public_ip: true }\n";
    rig.edit("shop.yaml", "    tags: { app: web }\n", &format!("    tags: {{ app: web }}\n{internet}"));
    assert_eq!(calls(&rig, "plan").get(ASK), Some(&4));
}

#[test]
fn an_image_in_the_making_is_priced_by_its_base() {
    let rig = Rig::with(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)], quick());
    let plan = rig.run("plan").expect(Exit::Done).out;
    // A builder and three of the fleet, 0.265 each.
    says(&plan, "Cost: about 1.06 CNY an hour more (4 instances).");
    says(&plan, "+ fleet.builder[0]  0.265 CNY an hour");
    says(&plan, "+ fleet.web[0..2]  3 × 0.265 = 0.795 CNY an hour");
    let told = estimate(&rig);
    assert_eq!((&told["left_out"], &told["assumed"], &told["fees"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(calls(&rig, "plan").get(ASK), Some(&1), "both are alike");
}
