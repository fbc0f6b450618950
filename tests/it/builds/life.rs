//! What goes well.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::limits::Limits;
use serde_json::json;

use super::{APPLY, BUILD, PROVISION, RUNS_ON, SHOP, builders, built, home, nothing_stays, world};
use crate::kit::{GZ, SH, counts, quick, says};
use crate::rig::{OWNER, Rig};

/// A first build, in two regions, with a share and a fleet.
const FIRST: [(&str, usize); 6] = [
    ("RunInstances", 2),
    ("CreateImage", 1),
    ("SyncImages", 1),
    ("TagResources", 1),
    ("ModifyImageSharePermission", 2),
    ("TerminateInstances", 1),
];

#[test]
fn an_image_is_built_and_nothing_of_the_builder_stays() {
    let rig = world(BUILD, PROVISION);
    let began = rig.now_ms();
    let changed = rig.change();
    insta::assert_snapshot!("first", changed.plan);
    changed.took(&FIRST);
    assert!(rig.now_ms() - began >= 40_000, "it was waited for");
    let held = home(&rig);
    let image = held.images.values().next().expect("the image");
    assert_eq!(image.content.provisioned.len(), 1, "what the builder did is on it");
    assert_eq!(held.instances.len(), 2, "the fleet");
    assert_eq!(held.disks.len(), 2, "its disks");
    assert!(rig.images(SH).keys().eq(rig.images(GZ).keys()));
    nothing_stays(&rig);
    rig.run("drift").expect(Exit::Done);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn another_script_is_another_version_and_the_kept_one_comes_back_without_a_build() {
    let rig = world(&BUILD.replace("    regions:", "    keep: 1\n    regions:"), PROVISION);
    rig.settle();
    let first = rig.images(GZ);
    rig.edit("provision.sh", "echo shop", "echo shop 2");
    let changed = rig.change();
    changed.says("the image has a new version (user_data)").says("the image is made of it, and then it goes");
    changed.took(&[
        ("RunInstances", 3),
        ("CreateImage", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageSharePermission", 4),
        ("TerminateInstances", 3),
    ]);
    assert_eq!(rig.images(GZ).len(), 2, "the version before stays");
    rig.edit("provision.sh", "echo shop 2", "echo shop");
    let back = rig.change();
    assert_eq!((back.calls.get("CreateImage"), back.calls.get("SyncImages")), (None, None), "{}", back.plan);
    assert!(first.keys().all(|name| rig.images(GZ).contains_key(name)));
    nothing_stays(&rig);
}

/// How an image is made is no part of what it is made of.
#[test]
fn another_builder_makes_no_other_image() {
    let rig = built();
    for (from, to) in [
        ("      type: S5.MEDIUM4", "      type: S5.LARGE8"),
        ("      timeout: 5m", "      timeout: 9m\n      zone: ap-guangzhou-4"),
        ("      zone: ap-guangzhou-4", "      on_failure: keep\n      ready: { after: 2m }"),
        ("      on_failure: keep", "      login: { key_ids: [skey-8a7c6b5d] }\n      internet: { bandwidth_mbps: 1 }"),
    ] {
        rig.edit(SHOP, from, to);
        rig.expect_no_changes();
    }
    // The disks are.
    rig.edit(SHOP, "      ready:", "      system_disk: { size: 50 }\n      ready:");
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "the image has a new version (system_disk)");
}

#[test]
fn a_builder_is_captured_when_it_is_ready() {
    let tagged = format!("{RUNS_ON}# sim: tag built=yes after=90s\n");
    for (ready, script, least_ms) in [
        ("running", RUNS_ON, 0),
        ("stopped", PROVISION, 40_000),
        ("{ after: 2m }", RUNS_ON, 120_000),
        ("{ tag: { built: \"yes\" } }", &tagged, 90_000),
        ("{ tag: \"built=yes\" }", &tagged, 90_000),
    ] {
        let rig = world(&BUILD.replace("      timeout: 5m\n", &format!("      ready: {ready}\n")), script);
        let began = rig.now_ms();
        rig.change().took(&FIRST);
        let took = rig.now_ms() - began;
        assert!((least_ms..least_ms + 60_000).contains(&took), "{ready}: {took} ms");
        nothing_stays(&rig);
    }
}

/// An image that is built on one that is built in the same plan.
#[test]
fn a_build_can_build_on_another() {
    let config = BUILD.replace("      base: ubuntu", "      base: lower").replace(
        "  web:\n    build:",
        "  lower:\n    build: { base: ubuntu, type: S5.MEDIUM4, user_data: { file: lower.sh } }\n  web:\n    build:",
    );
    let rig = world(&config, PROVISION);
    rig.write("lower.sh", "#!/bin/sh\necho lower\n# sim: poweroff after=10s\n");
    let changed = rig.change();
    changed.says("(new)");
    assert_eq!(
        (changed.calls["RunInstances"], changed.calls["CreateImage"], changed.calls["TerminateInstances"]),
        (3, 2, 2)
    );
    let upper = |rig: &Rig| {
        let held = home(rig);
        let web = held.images.values().find(|image| image.name.contains("-web-")).expect("the upper one");
        web.content.provisioned.clone()
    };
    assert_eq!(upper(&rig).len(), 2, "both scripts ran");
    rig.write("lower.sh", "#!/bin/sh\necho lower 2\n# sim: poweroff after=10s\n");
    let before = upper(&rig);
    let changed = rig.change();
    assert_eq!((changed.calls["CreateImage"], changed.calls["DeleteImages"]), (2, 3), "{}", changed.plan);
    assert_ne!(upper(&rig)[0], before[0]);
    nothing_stays(&rig);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

/// Without a zone, a builder goes to the first that has room.
#[test]
fn a_builder_goes_where_there_is_room() {
    let settings = Settings { limits: Limits { instances_per_zone: 1, ..Limits::EMBEDDED }, ..quick() };
    let config = BUILD.replace("count: 2", "count: 1");
    let rig = Rig::with(&[(SHOP, &config), ("provision.sh", PROVISION)], settings);
    let public = fleetwright::cloud::embedded::public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit");
    let launch = json!({ "Placement": { "Zone": "ap-guangzhou-1" }, "ImageId": public, "InstanceType": "S5.MEDIUM4" });
    rig.by_hand(GZ, "RunInstances", &launch);
    rig.wait_ms(60_000);
    let plan = rig.run("plan").expect(Exit::Done).out;
    let builder = plan.split("+ image.web@").find(|part| part.contains("/builder\n")).expect("the builder");
    says(builder, "zone: ap-guangzhou-3");
    // The fleet's only place is the builder's first.
    rig.run(APPLY).expect(Exit::Done);
    rig.expect_no_changes();
    // A zone that is named is taken, full or not.
    rig.edit(SHOP, "      timeout: 5m", "      zone: ap-guangzhou-1");
    rig.edit("provision.sh", "echo shop", "echo shop 2");
    let refused = rig.run("plan").expect(Exit::Infeasible);
    says(&refused.err, "instances in ap-guangzhou-1");
}

/// The image is made where the zone is.
#[test]
fn a_zone_says_where_an_image_is_made() {
    let config = BUILD.replace("      timeout: 5m", "      zone: ap-shanghai-2");
    let rig = world(&config, PROVISION);
    rig.change().took(&FIRST);
    assert!(rig.images(GZ).keys().eq(rig.images(SH).keys()));
    assert!(rig.instances(SH).is_empty(), "the builder has gone");
    nothing_stays(&rig);
}

#[test]
fn what_is_asked_for_of_a_part() {
    let rig = world(BUILD, PROVISION);
    // The image alone, with its base.
    let changed = rig.run("apply --auto-approve --target image.web").expect(Exit::Done);
    says(&changed.err, "this plan is about a part only: image.web");
    assert_eq!((rig.images(GZ).len(), rig.instances(GZ).len()), (1, 0));
    nothing_stays(&rig);
    rig.settle();
    // Made anew, on a new builder.
    let plan = rig.run("plan --replace image.web").expect(Exit::Done).out;
    says(&plan, "asked for by --replace");
    says(&plan, "/builder#2");
    rig.run("apply --auto-approve --replace image.web").expect(Exit::Done);
    rig.expect_no_changes();
    nothing_stays(&rig);
    let refused = rig.run("plan --replace image.web@1/builder").expect(Exit::Usage);
    says(&refused.err, "a builder cannot be replaced by itself");
    let refused = rig.run("plan --exclude image.web@1/builder").expect(Exit::Usage);
    says(&refused.err, "neither config nor state has such a thing");
}

/// What protects an image protects what is captured, and not what it is captured from.
#[test]
fn a_protected_image_is_built_as_any_other() {
    let rig = world(&BUILD.replace("    tags: { app: web }", "    protect: true"), PROVISION);
    rig.change().took(&FIRST);
    nothing_stays(&rig);
    let refused = rig.run("destroy --auto-approve").expect(Exit::Guard);
    says(&refused.err, "image.web is protected");
}

/// Without a look at what is there.
#[test]
fn a_build_is_planned_from_memory_alone() {
    let rig = built();
    rig.edit("provision.sh", "echo shop", "echo shop 2");
    let plan = rig.run("plan --refresh=false").expect(Exit::Done).out;
    says(&plan, "zone: ap-guangzhou-1");
    let mark = rig.mark();
    rig.run("apply --auto-approve --refresh=false").expect(Exit::Done);
    assert_eq!(rig.mutations(mark).get("CreateImage"), Some(&1));
    rig.expect_no_changes();
    nothing_stays(&rig);
}

/// The fee of the marketplace passes on to what is built on such an image.
#[test]
fn a_fee_is_inherited() {
    let config = BUILD.replace(
        "    public: { name: \"Ubuntu Server 22.04 LTS 64bit\" }",
        "    marketplace: { id: img-kx1vn3zd, accept_fee: true }",
    );
    let rig = world(&config, PROVISION);
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "image.web inherits the fee of image.ubuntu");
    rig.change().took(&FIRST);
}

#[test]
fn what_it_costs_while_it_is_there_is_told_apart() {
    let rig = world(BUILD, PROVISION);
    let json = rig.json("plan --json");
    let items = json["estimate"]["items"].as_array().expect("items");
    let of = |side: &str| items.iter().filter(|item| item["side"] == side).count();
    assert_eq!((of("adds"), of("passes"), of("ends")), (1, 1, 0), "{items:#?}");
    assert_eq!(json["estimate"]["hourly_micros"]["after"], 2 * 265_000, "the fleet alone");
    let calls = json["calls"]["by_action"].clone();
    assert_eq!(calls, json!(counts(&FIRST)));
    assert!(builders(&rig).is_empty());
}
