//! What a plan costs and how long it takes: which questions it puts, and what their answers add up to.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cloud::call::{Arg, Body, Call, Launch, Query};
use fleetwright::model::ids::{ImageId, InstanceId, Region, Zone};
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::{Image, ImageKind, Seen};
use fleetwright::model::price::{ChargeUnit, ItemPrice, Micros, Price};
use fleetwright::model::spec::{Architecture, ImportSource};
use fleetwright::plan::estimate::{
    Estimate, FeeShare, MOST_QUESTIONS, Measured, Questions, Side, estimate, foresee, longest, questions,
};
use fleetwright::plan::{Do, Effect, Plan};

use crate::world::{World, desired, fleet, image, instance};

const GZ: &str = "ap-guangzhou";
const SH: &str = "ap-shanghai";
const PAID: &str = "img-kx1vn3zd";
const TENCENT: &str = "img-tencentos";

/// Images made by a machine, and a fleet of each region that runs from them.
const TWO_REGIONS: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  base: { public: { name: "Ubuntu Server 22.04 LTS 64bit" } }
  web: { from_instance: { instance: "fleet.builder[0]" }, regions: [ap-guangzhou, ap-shanghai] }
fleets:
  builder: { image: base, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  here: { image: web, count: 3, zones: [ap-guangzhou-3], type: S5.MEDIUM4, tags: { app: web }, login: { keep_image_login: true } }
  there: { image: web, count: 2, region: ap-shanghai, zones: [ap-shanghai-3], type: S5.MEDIUM4 }
"#;

/// A machine made by hand, and two fleets that run from what is captured of it.
const BY_HAND: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  newsroom:
    from_instance: { instance: ins-byhand00 }
    version: "1"
    regions: [ap-guangzhou, ap-shanghai]
fleets:
  here: { image: newsroom, count: 3, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  there: { image: newsroom, count: 2, region: ap-shanghai, zones: [ap-shanghai-3], type: S5.MEDIUM4 }
"#;

/// An image of the marketplace, and a machine that somebody launched from it.
fn market() -> World {
    let mut world = World::new(Limits::EMBEDDED);
    let seen = world.observed.by_region.get_mut(GZ).expect("the region");
    let id = InstanceId::new("ins-byhand00");
    let made = instance(&id, "by-hand", &Zone::new("ap-guangzhou-3"), &ImageId::new(PAID), &BTreeMap::new());
    seen.instances.insert(id, Seen::Present(Box::new(made)));
    seen.images.insert(ImageId::new(PAID), Seen::Present(image(ImageId::new(PAID), "WordPress", ImageKind::Market)));
    world
}

fn asked(world: &World, yaml: &str, plan: &Plan) -> Questions {
    questions(plan, &desired(yaml), &world.recorded, &world.observed).expect("something is launched")
}

/// Whom a call asks about: region, zone and image.
fn about(call: &Call) -> (String, String, String) {
    let Body::Describe(Query::Price(launch)) = &call.body else { panic!("{call:?}") };
    let Launch { zone, image: Arg::Known(image), .. } = launch.as_ref() else { panic!("{launch:?}") };
    (call.region.to_string(), zone.to_string(), image.to_string())
}

fn abouts(questions: &Questions) -> BTreeSet<(String, String, String)> {
    questions.calls().iter().map(|(_, call)| about(call)).collect()
}

fn set(items: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    items.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

fn hourly(micros: i64) -> Price {
    let item = ItemPrice { unit: Some(Micros(micros)), charge_unit: Some(ChargeUnit::Hour), total: None };
    Price { instance: Some(item), bandwidth: None }
}

/// Answers every question: so much an hour, by the image.
fn answered(questions: &Questions, price: impl Fn(&str) -> Result<Price, String>) -> Estimate {
    let answers = questions.calls().into_iter().map(|(n, call)| (n, price(&about(&call).2)));
    estimate(questions, &answers.collect())
}

fn tencent() -> Vec<Image> {
    vec![image(ImageId::new(TENCENT), "TencentOS Server 4", ImageKind::Public)]
}

#[test]
fn fleets_that_differ_in_nothing_that_costs_share_a_question() {
    let yaml = TWO_REGIONS
        .replace("image: web,", "image: base,")
        .replace("login: { keep_image_login: true }", "hostname: \"h-{ordinal}\"");
    let mut world = World::new(Limits::EMBEDDED);
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    let questions = asked(&world, &yaml, &plan);
    assert_eq!(questions.lookups(), vec![]);
    assert_eq!(
        abouts(&questions),
        set(&[(GZ, "ap-guangzhou-3", "img-public-ap-guangzhou"), (SH, "ap-shanghai-3", "img-public-ap-shanghai")])
    );
    assert_eq!(questions.calls().len(), 2);
    let told = answered(&questions, |image| Ok(hourly(if image.ends_with("shanghai") { 300_000 } else { 200_000 })));
    // 4 × 0.2 in ap-guangzhou, 2 × 0.3 in ap-shanghai.
    assert_eq!((told.before, told.after, told.difference()), (Micros(0), Micros(1_400_000), Micros(1_400_000)));
    let items: Vec<(String, usize)> =
        told.items.iter().map(|item| (item.block.to_string(), item.addrs.len())).collect();
    assert_eq!(items, [("fleet.builder".into(), 1), ("fleet.here".into(), 3), ("fleet.there".into(), 2)]);
    assert!(told.fees.is_empty() && told.left_out.is_empty() && told.assumed.is_empty(), "{told:#?}");
}

#[test]
fn an_image_that_is_not_there_yet_is_priced_by_what_it_comes_from() {
    let mut world = World::new(Limits::EMBEDDED);
    let plan = world.plan(&desired(TWO_REGIONS)).expect("a plan");
    let mut questions = asked(&world, TWO_REGIONS, &plan);
    assert_eq!(abouts(&questions), set(&[(GZ, "ap-guangzhou-3", "img-public-ap-guangzhou")]));
    let there = questions.lookups();
    // In the other region the base is another image of the same name, which nobody has looked up yet.
    let [lookup] = there.as_slice() else { panic!("{there:?}") };
    let name = "Ubuntu Server 22.04 LTS 64bit";
    assert_eq!(lookup.region, Region::new(SH));
    assert!(
        matches!(&lookup.body, Body::Describe(Query::PublicImages { name: asked, instance_type: Some(_), .. }) if asked == name),
        "{lookup:?}"
    );
    let found = |id: &str, name: &str| image(ImageId::new(id), name, ImageKind::Public);
    questions.found(lookup, &[found("img-arm", "Ubuntu Server 22.04 LTS 64bit ARM64"), found("img-sh", name)]);
    assert_eq!(
        abouts(&questions),
        set(&[(GZ, "ap-guangzhou-3", "img-public-ap-guangzhou"), (SH, "ap-shanghai-3", "img-sh")])
    );
    let told = answered(&questions, |_| Ok(hourly(265_000)));
    assert_eq!(told.after, Micros(6 * 265_000));
    // By the rules of the API it costs what its base does: nothing is assumed.
    assert_eq!(told.assumed, Vec::<String>::new());

    // Once the copies are there, they are asked with themselves, and so is their fee.
    world.apply(&plan);
    world.see_everything();
    let more = TWO_REGIONS.replace("count: 3", "count: 4");
    let plan = world.plan(&desired(&more)).expect("a plan");
    let copy = world.recorded.objects.iter().find(|o| o.addr.to_string().ends_with("/ap-guangzhou")).expect("the copy");
    assert_eq!(
        abouts(&asked(&world, &more, &plan)),
        set(&[(GZ, "ap-guangzhou-3", &copy.cloud_id.to_string())]),
        "its base is public, so nobody asks for a fee"
    );
}

#[test]
fn nothing_is_asked_where_nobody_answers_a_look_up() {
    let mut world = World::new(Limits::EMBEDDED);
    let plan = world.plan(&desired(TWO_REGIONS)).expect("a plan");
    let told = answered(&asked(&world, TWO_REGIONS, &plan), |_| Ok(hourly(265_000)));
    assert_eq!((told.launched(), told.after), (4, Micros(4 * 265_000)));
    let [left] = told.left_out.as_slice() else { panic!("{told:#?}") };
    assert_eq!(left.addrs.len(), 2);
    assert!(left.why.contains("\"Ubuntu Server 22.04 LTS 64bit\"") && left.why.contains(SH), "{}", left.why);
}

#[test]
fn what_comes_from_an_image_of_the_marketplace_inherits_its_fee() {
    let mut world = market();
    let plan = world.plan(&desired(BY_HAND)).expect("a plan");
    let mut questions = asked(&world, BY_HAND, &plan);
    for lookup in questions.lookups() {
        assert!(matches!(&lookup.body, Body::Describe(Query::PublicImages { name, .. }) if name == "TencentOS"));
        questions.found(&lookup, &tencent());
    }
    assert_eq!(
        abouts(&questions),
        set(&[(GZ, "ap-guangzhou-3", PAID), (GZ, "ap-guangzhou-3", TENCENT), (SH, "ap-shanghai-3", TENCENT),])
    );
    let told = answered(&questions, |image| Ok(hourly(if image == PAID { 385_000 } else { 265_000 })));
    // 3 × 0.385 here with the fee, 2 × 0.265 there without.
    assert_eq!(told.after, Micros(1_155_000 + 530_000));
    let [fee] = told.fees.as_slice() else { panic!("{told:#?}") };
    assert_eq!(fee.share, FeeShare::Hourly(Micros(3 * 120_000)));
    assert_eq!((fee.image.as_ref().map(ImageId::as_str), fee.market, fee.instances), (Some(PAID), true, 3));
    assert_eq!(fee.heir.as_ref().map(ToString::to_string).as_deref(), Some("image.newsroom"));
    let [assumed] = told.assumed.as_slice() else { panic!("{told:#?}") };
    assert!(assumed.contains("image.newsroom") && assumed.contains(PAID) && assumed.contains(SH), "{assumed}");

    // A price that tells no fee is not taken for one without a fee.
    let silent = answered(&questions, |_| Ok(hourly(265_000)));
    assert_eq!(silent.fees[0].share, FeeShare::NotShown);
    let refused = answered(&questions, |image| if image == TENCENT { Err("no".into()) } else { Ok(hourly(385_000)) });
    assert_eq!(refused.fees[0].share, FeeShare::Unknown);
    assert_eq!(refused.left_out.len(), 1, "the fleet whose own price was refused");
}

#[test]
fn a_file_is_priced_as_a_public_image_is() {
    let mut world = market();
    let mut plan = world.plan(&desired(BY_HAND)).expect("a plan");
    let source = ImportSource {
        url: "https://bucket-1250000000.cos.ap-guangzhou.myqcloud.com/legacy.qcow2".into(),
        os: "CentOS".into(),
        os_version: "7".into(),
        architecture: Architecture::X86_64,
        boot_mode: None,
        force: false,
        license: None,
    };
    for target in plan.steps.iter_mut().flat_map(|step| &mut step.targets) {
        if let Effect::Make(made) = &mut target.effect
            && let Some(version) = &mut made.version
        {
            version.inputs.import = Some(source.clone());
        }
    }
    let mut questions = asked(&world, BY_HAND, &plan);
    for lookup in questions.lookups() {
        questions.found(&lookup, &tencent());
    }
    assert_eq!(abouts(&questions), set(&[(GZ, "ap-guangzhou-3", TENCENT), (SH, "ap-shanghai-3", TENCENT)]));
    let told = answered(&questions, |_| Ok(hourly(265_000)));
    assert_eq!(told.after, Micros(5 * 265_000));
    assert_eq!(told.fees, vec![]);
    assert_eq!(told.assumed.len(), 2, "{:?}", told.assumed);
    assert!(told.assumed.iter().all(|text| text.starts_with("image.newsroom is a file yet")), "{:?}", told.assumed);
}

#[test]
fn what_is_replaced_stands_on_both_sides() {
    let mut world = World::new(Limits::EMBEDDED);
    let first = desired(&fleet(4, 1, "one"));
    let plan = world.plan(&first).expect("a plan");
    world.apply(&plan);
    world.see_everything();
    let yaml = fleet(3, 1, "two");
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    let questions = asked(&world, &yaml, &plan);
    assert_eq!(questions.calls().len(), 2, "one a zone: old and new ones are alike");
    let told = answered(&questions, |_| Ok(hourly(265_000)));
    assert_eq!((told.before, told.after), (Micros(4 * 265_000), Micros(3 * 265_000)));
    let sides: Vec<(Side, usize)> = told.items.iter().map(|item| (item.side, item.addrs.len())).collect();
    assert_eq!(sides, [(Side::Adds, 3), (Side::Ends, 4)]);
    let none = questions_of_destroy(&mut world);
    assert!(none.is_none(), "nothing is launched: nothing is asked");
}

fn questions_of_destroy(world: &mut World) -> Option<Questions> {
    let nothing = fleetwright::plan::nothing_of(&desired(&fleet(4, 1, "one")));
    let plan = world.plan(&nothing).expect("a plan");
    assert!(!plan.is_empty());
    questions(&plan, &nothing, &world.recorded, &world.observed)
}

#[test]
fn a_large_plan_asks_no_more_than_a_small_one() {
    let mut world = World::new(Limits { instances_per_zone: 100_000, ..Limits::EMBEDDED });
    let yaml = fleet(5_000, 1, "one");
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    let questions = asked(&world, &yaml, &plan);
    assert_eq!(questions.calls().len(), 2);
    let told = answered(&questions, |_| Ok(hourly(265_000)));
    assert_eq!(told.after, Micros(5_000 * 265_000));
    assert_eq!(told.items.len(), 1, "zones that cost the same are one part");
}

#[test]
fn more_different_launches_than_anybody_waits_for_are_left_out() {
    let mut yaml =
        "project: shop\ncloud: { provider: embedded, region: ap-guangzhou }\nimages:\n  base: { public: { name: \
                    \"Ubuntu Server 22.04 LTS 64bit\" } }\nfleets:\n"
            .to_owned();
    for n in 0..MOST_QUESTIONS + 5 {
        let size = 50 + n;
        yaml.push_str(&format!(
            "  f{n}: {{ image: base, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, system_disk: {{ size: {size} }} }}\n"
        ));
    }
    let mut world = World::new(Limits { instances_per_zone: 1_000, ..Limits::EMBEDDED });
    let plan = world.plan(&desired(&yaml)).expect("a plan");
    let questions = asked(&world, &yaml, &plan);
    assert_eq!(questions.calls().len(), MOST_QUESTIONS);
    let told = answered(&questions, |_| Ok(hourly(1_000_000)));
    assert_eq!(told.launched(), MOST_QUESTIONS);
    let [left] = told.left_out.as_slice() else { panic!("{told:#?}") };
    assert_eq!(left.addrs.len(), 5);
}

#[test]
fn the_longest_way_is_the_one_that_nothing_is_faster_than() {
    let mut world = World::new(Limits::EMBEDDED);
    let plan = world.plan(&desired(TWO_REGIONS)).expect("a plan");
    let way = longest(&plan);
    // Whatever waits for the next one, and the sum is the whole.
    assert_eq!(way.steps.iter().map(|(_, ms)| ms).sum::<i64>(), way.expected_ms);
    for pair in way.steps.windows(2) {
        let after = &plan.steps[pair[1].0.0 as usize];
        assert!(after.waits_for().contains(&pair[0].0), "{pair:?}");
    }
    // By another way: how early each step can be over.
    let mut over: Vec<i64> = Vec::new();
    for step in &plan.steps {
        let start = step.waits_for().iter().map(|other| over[other.0 as usize]).max().unwrap_or(0);
        over.push(start + step.settle.expected_ms);
    }
    assert_eq!(over.iter().max(), Some(&way.expected_ms));
    let actions: Vec<&str> = way
        .steps
        .iter()
        .filter_map(|(id, _)| match &plan.steps[id.0 as usize].does {
            Do::Call(call) => Some(call.body.action()),
            Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => None,
        })
        .collect();
    assert_eq!(actions, ["RunInstances", "CreateImage", "SyncImages", "RunInstances"]);
    assert!(
        foresee(&plan, &Measured::new()).iter().zip(&over).all(|(step, over)| over + step.after_ms <= way.expected_ms)
    );
}
