//! Changes of fleets.

use fleetwright::cli::Exit;

use crate::kit::{FLEET, GZ, counts, fleet};
use crate::rig::Rig;

const WEB: &str = "shop.yaml";

/// The name, by slot.
fn names(rig: &Rig) -> Vec<String> {
    let state = rig.json("show --json");
    let objects = state["objects"].as_array().expect("objects").iter();
    objects
        .filter(|one| one["kind"] == "fleet")
        .map(|one| {
            let addr = one["address"].as_str().expect("an address");
            let name = one["name"].as_str().expect("a name").trim_start_matches("shop-default-");
            format!("{} {name}", addr.trim_start_matches("fleet."))
        })
        .collect()
}

#[test]
fn a_fleet_is_made_in_a_call_for_each_zone_and_then_left_alone() {
    let rig = Rig::new(&[(WEB, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.change().closes(5, 0, 0, 0).took(&[("RunInstances", 2)]);
    assert_eq!(names(&rig), ["web[0] web-3-0", "web[1] web-4-0", "web[2] web-3-1", "web[3] web-4-1", "web[4] web-3-2"]);
    let mark = rig.mark();
    let again = rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(again.out, "No changes. The cloud matches the config.\n");
    assert_eq!(rig.mutations(mark), counts(&[]));
    rig.reopen_cloud();
    rig.expect_no_changes();
}

#[test]
fn a_look_at_what_is_there_takes_a_call_for_a_hundred() {
    let rig = Rig::new(&[(WEB, &FLEET.replace("count: 5", "count: 230")), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    let mark = rig.mark();
    rig.expect_no_changes();
    let reads = rig.calls(mark);
    assert_eq!(reads.get("DescribeInstances"), Some(&3), "⌈230 / 100⌉: {reads:?}");
    assert_eq!(reads.values().sum::<usize>(), 3 + 5, "regions, zones, types, quota, one look-up: {reads:?}");
}

#[test]
fn waiting_takes_a_call_for_a_hundred_and_no_more_than_one_a_second() {
    let rig = Rig::new(&[(WEB, &FLEET.replace("count: 5", "count: 230")), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let mark = rig.mark();
    let before = rig.now_ms();
    rig.run("apply --auto-approve").expect(Exit::Done);
    let seconds = usize::try_from((rig.now_ms() - before) / 1000).expect("a time") + 1;
    let reads = rig.calls(mark)["DescribeInstances"];
    assert!(reads <= 3 * seconds, "⌈230 / 100⌉ a poll: {reads} in {seconds} s");
}

#[test]
fn more_are_launched_in_the_emptiest_zones_at_the_lowest_free_indices() {
    let rig = fleet();
    rig.edit(WEB, "count: 5", "count: 9");
    let changed = rig.change();
    insta::assert_snapshot!("fleet_grows", changed.plan);
    changed.took(&[("RunInstances", 2)]);
    assert_eq!(
        names(&rig)[5..],
        ["web[5] web-4-2", "web[6] web-3-3", "web[7] web-4-3", "web[8] web-3-4"],
        "zone by zone, the emptiest first"
    );
}

#[test]
fn fewer_means_the_highest_slots_of_the_fullest_zones() {
    let rig = fleet();
    rig.edit(WEB, "count: 5", "count: 2");
    let changed = rig.change();
    insta::assert_snapshot!("fleet_shrinks", changed.plan);
    changed.took(&[("TerminateInstances", 1)]);
    assert_eq!(names(&rig), ["web[0] web-3-0", "web[1] web-4-0"]);
}

#[test]
fn indices_have_holes_and_they_are_filled_first() {
    let rig = fleet();
    let lost = rig.id("fleet.web[1]");
    rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({"InstanceIds": [lost]}));
    rig.wait_ms(5_000);
    rig.edit(WEB, "count: 5", "count: 4");
    rig.change()
        .closes(0, 0, 0, 0)
        .says("fleet.web[1] will be forgotten, in the state only: deleted outside")
        .took(&[]);
    assert_eq!(names(&rig), ["web[0] web-3-0", "web[2] web-3-1", "web[3] web-4-1", "web[4] web-3-2"]);
    rig.edit(WEB, "count: 4", "count: 6");
    rig.change().closes(2, 0, 0, 0).took(&[("RunInstances", 2)]);
    assert_eq!(
        names(&rig),
        ["web[0] web-3-0", "web[1] web-4-0", "web[2] web-3-1", "web[3] web-4-1", "web[4] web-3-2", "web[5] web-4-2"]
    );
}

#[test]
fn launches_are_batched_by_five_hundred_and_terminations_by_a_hundred() {
    let config = FLEET.replace("count: 5", "count: 600").replace("ap-guangzhou-3, ap-guangzhou-4", "ap-guangzhou-3");
    let rig = Rig::new(&[(WEB, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.change().closes(600, 0, 0, 0).took(&[("RunInstances", 2)]);
    rig.edit(WEB, "count: 600", "count: 350");
    rig.change().closes(0, 0, 0, 250).took(&[("TerminateInstances", 3)]);
}

#[test]
fn a_type_is_changed_in_place_a_few_at_a_time() {
    let rig = fleet();
    let ids = rig.instances(GZ);
    rig.edit(WEB, "S5.MEDIUM4", "S5.LARGE8");
    let (hooks, worst) = rig.count_absent("shop-default-web-", 5);
    let changed = rig.change_with("", hooks);
    insta::assert_snapshot!("fleet_type", changed.plan);
    changed.took(&[("StopInstances", 3), ("ResetInstancesType", 5), ("StartInstances", 3)]);
    assert_eq!(rig.instances(GZ), ids, "the instances are the same");
    assert_eq!(*worst.lock().expect("a count"), 2);
    for id in ids.values() {
        let seen = rig.instance(id);
        assert_eq!((seen.instance_type.as_str(), seen.state.as_str()), ("S5.LARGE8", "RUNNING"));
    }
}

#[test]
fn tags_are_changed_ten_resources_a_call() {
    let config = FLEET.replace("count: 5", "count: 12").replace("app: web", "app: web, tier: front");
    let rig = Rig::new(&[(WEB, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig.edit(WEB, "app: web, tier: front", "app: store, tier: front");
    let changed = rig.change();
    insta::assert_snapshot!("fleet_tag", changed.plan);
    changed.took(&[("TagResources", 2)]);
    rig.edit(WEB, ", tier: front", "");
    rig.change().closes(0, 12, 0, 0).took(&[("UnTagResources", 2)]);
    for id in rig.instances(GZ).values() {
        let tags: Vec<_> = rig.instance(id).tags.into_iter().collect();
        assert_eq!(tags, [("app".into(), "store".into()), ("fleetwright".into(), "shop/default/fleet.web".into())]);
    }
}

#[test]
fn a_tag_that_somebody_set_is_ours_once_it_is_declared() {
    let rig = fleet();
    let resources: Vec<String> =
        rig.instances(GZ).values().map(|id| format!("qcs::cvm:{GZ}:uin/100000000001:instance/{id}")).collect();
    rig.by_hand(
        GZ,
        "TagResources",
        &serde_json::json!({"ResourceList": resources, "Tags": [{"TagKey": "team", "TagValue": "a"}]}),
    );
    rig.expect_no_changes();
    rig.edit(WEB, "app: web", "app: web, team: a");
    rig.change().closes(0, 5, 0, 0).took(&[]);
    rig.edit(WEB, "app: web, team: a", "app: web");
    rig.change().closes(0, 5, 0, 0).took(&[("UnTagResources", 1)]);
}

#[test]
fn security_groups_are_changed_in_one_call() {
    let rig = fleet();
    rig.edit(WEB, "    tags:", "    network: { security_groups: [sg-0a1b2c3d] }\n    tags:");
    rig.change().closes(0, 5, 0, 0).took(&[("ModifyInstancesAttribute", 1)]);
}

#[test]
fn what_only_a_new_instance_can_have_replaces() {
    for (from, to) in [
        ("    tags:", "    internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5 }\n    tags:"),
        (
            "    tags:",
            "    network: { vpc: vpc-0a1b2c3d, subnets: { ap-guangzhou-3: subnet-0a1b2c3d, ap-guangzhou-4: \
             subnet-1a1b2c3d } }\n    tags:",
        ),
    ] {
        let rig = fleet();
        rig.edit(WEB, "strategy: replace, ", "strategy: reset, ");
        rig.expect_no_changes();
        rig.edit(WEB, from, to);
        rig.change().closes(5, 0, 0, 5).took(&[("TerminateInstances", 3), ("RunInstances", 3)]);
    }
}

/// One change of the system disk, under each strategy and with each number that may be out of service.
fn rebuilt(change: impl Fn(&Rig), strategy: &str, max: usize) -> (Rig, crate::kit::Changed) {
    let config = FLEET.replace("replace, max_unavailable: 2", &format!("{strategy}, max_unavailable: {max}"));
    let files = [(WEB, config.as_str()), ("boot.sh", "#!/bin/sh\necho one\n")];
    let settings = fleetwright::cloud::embedded::Settings { reset_shows_rebooting: true, ..crate::kit::quick() };
    let rig = Rig::with(&files, settings);
    rig.settle();
    let before = rig.instances(GZ);
    change(&rig);
    let (hooks, worst) = rig.count_absent("shop-default-web-", 5);
    let changed = rig.change_with("", hooks);
    assert_eq!(*worst.lock().expect("a count"), max.min(5), "out of service at once, {strategy}");
    let after = rig.instances(GZ);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "names stay");
    let same = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
    assert_eq!(same, if strategy == "reset" { 5 } else { 0 }, "ids");
    (rig, changed)
}

fn newer(rig: &Rig) {
    rig.edit(WEB, "22.04", "24.04");
}

#[test]
fn an_image_change_replaces_never_more_at_once_than_allowed() {
    let ubuntu = fleetwright::cloud::embedded::public_image_id(GZ, "Ubuntu Server 24.04 LTS 64bit");
    for (max, terminations, launches) in [(1, 5, 5), (2, 3, 3), (5, 1, 2)] {
        let (rig, changed) = rebuilt(newer, "replace", max);
        changed.closes(5, 0, 0, 5).took(&[("TerminateInstances", terminations), ("RunInstances", launches)]);
        if max == 2 {
            insta::assert_snapshot!("fleet_image_replace", changed.plan);
        }
        for id in rig.instances(GZ).values() {
            let seen = rig.instance(id);
            assert_eq!((&seen.image, &seen.content.images), (&ubuntu, &vec![ubuntu.clone()]));
        }
    }
}

#[test]
fn an_image_change_resets_never_more_at_once_than_allowed() {
    for max in [1, 2, 5] {
        let (_, changed) = rebuilt(newer, "reset", max);
        changed.closes(0, 0, 5, 0).took(&[("ResetInstance", 5)]);
        if max == 2 {
            insta::assert_snapshot!("fleet_image_reset", changed.plan);
        }
    }
}

#[test]
fn new_user_data_is_run_on_every_instance() {
    let two = "#!/bin/sh\necho two\n";
    for (strategy, wanted) in
        [("replace", vec![("TerminateInstances", 3), ("RunInstances", 3)]), ("reset", vec![("ResetInstance", 5)])]
    {
        let (rig, changed) = rebuilt(|rig| rig.write("boot.sh", two), strategy, 2);
        changed.says("the config changed (user_data)").took(&wanted);
        let digest = blake3_of(two);
        for id in rig.instances(GZ).values() {
            assert_eq!(rig.instance(id).content.provisioned, std::slice::from_ref(&digest));
        }
    }
}

fn blake3_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[test]
fn other_keys_to_log_in_with_rebuild() {
    let (_, changed) = rebuilt(|rig| rig.edit(WEB, "skey-8a7c6b5d", "skey-11111111"), "reset", 2);
    changed.says("the config changed (login)").took(&[("ResetInstance", 5)]);
}

#[test]
fn several_changes_of_a_slot_are_one_change() {
    let (rig, changed) = rebuilt(
        |rig| {
            newer(rig);
            rig.edit(WEB, "app: web", "app: store");
            rig.edit(WEB, "S5.MEDIUM4", "S5.LARGE8");
        },
        "replace",
        2,
    );
    changed.closes(5, 0, 0, 5).says("the config changed (image, type, tags)");
    changed.took(&[("TerminateInstances", 3), ("RunInstances", 3)]);
    for id in rig.instances(GZ).values() {
        assert_eq!(rig.instance(id).instance_type, "S5.LARGE8");
    }
}

#[test]
fn a_reset_comes_with_its_new_type_and_tags() {
    let (rig, changed) = rebuilt(
        |rig| {
            newer(rig);
            rig.edit(WEB, "app: web", "app: store");
            rig.edit(WEB, "S5.MEDIUM4", "S5.LARGE8");
        },
        "reset",
        2,
    );
    changed.closes(0, 0, 5, 0).took(&[
        ("StopInstances", 3),
        ("ResetInstancesType", 5),
        ("ResetInstance", 5),
        ("TagResources", 1),
    ]);
    for id in rig.instances(GZ).values() {
        let seen = rig.instance(id);
        assert_eq!((seen.instance_type.as_str(), seen.state.as_str()), ("S5.LARGE8", "RUNNING"));
        assert_eq!(seen.tags.get("app").map(String::as_str), Some("store"));
    }
}

#[test]
fn fleets_that_go_from_a_region_go_in_one_call() {
    let more = "  api: { image: ubuntu, count: 3, zones: [ap-guangzhou-6], type: S5.MEDIUM4 }\n";
    let rig = fleet();
    rig.edit(WEB, "fleets:\n", &format!("fleets:\n{more}"));
    rig.change().closes(3, 0, 0, 0).took(&[("RunInstances", 1)]);
    let text = rig.read(WEB);
    let head = text.split("fleets:").next().expect("a head").to_owned();
    rig.write(WEB, &head);
    let changed = rig.change();
    insta::assert_snapshot!("fleets_gone", changed.plan);
    changed.took(&[("TerminateInstances", 1)]);
}

#[test]
fn a_fleet_moves_to_another_image_block() {
    let rig = fleet();
    rig.edit(WEB, "fleets:\n", "  debian:\n    public: { name: \"Debian 12 64bit\" }\nfleets:\n");
    rig.expect_no_changes();
    rig.edit(WEB, "image: ubuntu", "image: debian");
    rig.change()
        .closes(5, 0, 0, 5)
        .says("the config changed (image)")
        .took(&[("TerminateInstances", 3), ("RunInstances", 3)]);
}

#[test]
fn a_zone_more_is_filled_as_the_fleet_grows() {
    let rig = fleet();
    rig.edit(WEB, "ap-guangzhou-3, ap-guangzhou-4", "ap-guangzhou-3, ap-guangzhou-4, ap-guangzhou-6");
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    insta::assert_snapshot!("zone_empty", planned.err);
    rig.edit(WEB, "count: 5", "count: 7");
    let planned = rig.run("plan").expect(Exit::Done);
    assert_eq!(planned.err, "");
    rig.change().closes(2, 0, 0, 0).took(&[("RunInstances", 1)]);
    assert_eq!(names(&rig)[5..], ["web[5] web-6-0", "web[6] web-6-1"]);
}
