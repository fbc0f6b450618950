//! Quotas and caps through the command line: what does not fit at some moment is refused before anything is changed,
//! with a change that helps; and what fits in some order is done in that order.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;
use fleetwright::model::limits::Limits;

use crate::crowded::{
    GZ, SH, accounts, accounts_of_one, apply_within, capture_by_hand, follow, images_anywhere, images_in_gz,
    infeasible_until_helped, instances_in_gz_3, launch_by_hand, listed, share_by_hand, suggestion, world,
};
use crate::rig::Rig;

const LIMITS: Limits = Limits::EMBEDDED;

/// A machine to capture from, and so many images of version 1.
fn images(count: usize) -> String {
    let mut yaml = String::from(
        "project: shop\n\
         cloud: { provider: embedded, region: ap-guangzhou }\n\
         images:\n  ubuntu: { public: { name: \"Ubuntu Server 22.04 LTS 64bit\" } }\n",
    );
    for n in 0..count {
        yaml += &image(n, "1");
    }
    yaml + "fleets:\n  builder: { image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n"
}

fn image(n: usize, version: &str) -> String {
    format!("  i{n:02}: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"{version}\" }}\n")
}

/// Gives an image of [`images`] another version.
fn renew(rig: &Rig, n: usize) {
    rig.edit("fleet.yaml", &image(n, "1"), &image(n, "2"));
}

#[test]
fn an_eleventh_image_among_foreign_ones() {
    let rig = world(LIMITS, &images(1));
    capture_by_hand(&rig, GZ, "ap-guangzhou-3", 10);
    let help = infeasible_until_helped(&rig, "image-quota");
    assert_eq!(help, "remove `images.i00`");
}

#[test]
fn an_eleventh_image_of_our_own() {
    let rig = world(LIMITS, &images(10));
    apply_within(&rig, 10, images_in_gz);
    rig.edit("fleet.yaml", &image(9, "1"), &format!("{}{}", image(9, "1"), image(10, "1")));
    // The one that is not there yet, for nothing is destroyed without it.
    assert_eq!(infeasible_until_helped(&rig, "image-quota"), "remove `images.i10`");
}

#[test]
fn an_eleventh_image_where_a_copy_goes() {
    let yaml = images(1).replace("version: \"1\"", "version: \"1\", regions: [ap-guangzhou, ap-shanghai]");
    let rig = world(LIMITS, &yaml);
    capture_by_hand(&rig, SH, "ap-shanghai-2", 10);
    let help = infeasible_until_helped(&rig, "image-quota");
    assert_eq!(help, "take ap-shanghai out of `images.i00.regions`");
    apply_within(&rig, 10, images_anywhere);
}

#[test]
fn two_images_too_many_take_two_values() {
    let rig = world(LIMITS, &images(2));
    capture_by_hand(&rig, GZ, "ap-guangzhou-3", 10);
    assert_eq!(infeasible_until_helped(&rig, "image-quota"), "remove `images.i00`, and remove `images.i01`");
}

#[test]
fn three_images_too_many_are_beyond_help() {
    let rig = world(LIMITS, &images(3));
    capture_by_hand(&rig, GZ, "ap-guangzhou-3", 10);
    let plan = rig.run("plan").expect(Exit::Infeasible);
    assert_eq!(suggestion(&plan), None);
    assert!(plan.err.contains("no change of one or two values would do"), "{}", plan.err);
}

#[test]
fn nine_of_ten_and_three_replaced() {
    let rig = world(LIMITS, &images(9));
    apply_within(&rig, 9, images_in_gz);
    for n in 0..3 {
        renew(&rig, n);
    }
    let plan = rig.run("plan").expect(Exit::Done);
    assert!(plan.out.contains("9 now, 10 at the worst moment"), "{}", plan.out);
    apply_within(&rig, 10, images_in_gz);
    assert_eq!(rig.images(GZ).len(), 9);
}

#[test]
fn ten_of_ten_and_one_replaced() {
    let rig = world(LIMITS, &images(10));
    apply_within(&rig, 10, images_in_gz);
    renew(&rig, 4);
    let plan = rig.run("plan").expect(Exit::Done);
    assert!(plan.err.contains("image.i04@1/ap-guangzhou goes before its successor is there"), "{}", plan.err);
    apply_within(&rig, 10, images_in_gz);
    assert!(rig.images(GZ).keys().any(|name| name.ends_with("i04-2")), "{:?}", rig.images(GZ));
}

#[test]
fn ten_of_ten_and_the_replaced_one_is_shared() {
    let share = "shares:\n  s: { image: i04, accounts: [\"100000000002\"] }\nfleets:";
    let rig = world(LIMITS, &images(10).replace("fleets:", share));
    apply_within(&rig, 10, images_in_gz);
    renew(&rig, 4);
    // Whoever it is shared with would be without it for a while.
    let help = infeasible_until_helped(&rig, "image-quota");
    apply_within(&rig, 10, images_in_gz);
    assert!(help.starts_with("remove `images."), "{help}");
}

#[test]
fn one_leaves_and_another_comes() {
    let rig = world(LIMITS, &images(10));
    apply_within(&rig, 10, images_in_gz);
    rig.edit("fleet.yaml", &image(3, "1"), &image(17, "1"));
    let plan = rig.run("plan").expect(Exit::Done);
    assert!(!plan.err.contains("goes before its successor"), "{}", plan.err);
    apply_within(&rig, 10, images_in_gz);
}

#[test]
fn copies_are_replaced_in_several_full_regions() {
    let copied = |yaml: &str| yaml.replace("version: \"1\"", "version: \"1\", regions: [ap-guangzhou, ap-shanghai]");
    let limits = Limits { images_per_region: 4, ..LIMITS };
    let rig = world(limits, &copied(&images(3)));
    apply_within(&rig, 4, images_anywhere);
    let yaml = rig.read("fleet.yaml").replace("version: \"1\"", "version: \"2\"");
    rig.write("fleet.yaml", &yaml);
    apply_within(&rig, 4, images_anywhere);
    assert_eq!(rig.images(GZ).len(), 3);
    assert_eq!(rig.images(SH).len(), 3);
}

#[test]
fn a_chain_of_images_is_renewed_in_a_full_region() {
    let yaml = "project: shop\n\
        cloud: { provider: embedded, region: ap-guangzhou }\n\
        images:\n  ubuntu: { public: { name: \"Ubuntu Server 22.04 LTS 64bit\" } }\n  \
        base: { from_instance: { instance: \"fleet.first[0]\" } }\n  \
        shop: { from_instance: { instance: \"fleet.second[0]\" } }\n\
        fleets:\n  \
        first: { image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, user_data: { text: \"#!/bin/sh\\n# one\\n\" } }\n  \
        second: { image: base, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n  \
        web: { image: shop, count: 3, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n";
    for room in [3, 2] {
        let rig = world(Limits { images_per_region: room, ..LIMITS }, yaml);
        let room = room as usize;
        apply_within(&rig, room, images_in_gz);
        rig.edit("fleet.yaml", "# one", "# two");
        apply_within(&rig, room, images_in_gz);
    }
}

#[test]
fn a_fifty_first_account() {
    let share = |count| format!("shares:\n  s: {{ image: i00, accounts: {} }}\nfleets:", listed(&accounts(10, count)));
    let rig = world(LIMITS, &images(1).replace("fleets:", &share(51)));
    let help = infeasible_until_helped(&rig, "share-cap");
    assert_eq!(help, "take 100000000060 out of `shares.s.accounts`");
    apply_within(&rig, 50, accounts_of_one);
    // A new one, in front of all the others: it is the new one that stays away.
    rig.edit("fleet.yaml", "[\"100000000010\"", "[\"100000000005\", \"100000000010\"");
    assert_eq!(infeasible_until_helped(&rig, "share-cap"), "take 100000000005 out of `shares.s.accounts`");
}

#[test]
fn a_fifty_first_account_beside_those_of_somebody_else() {
    let share = |count| format!("shares:\n  s: {{ image: i00, accounts: {} }}\nfleets:", listed(&accounts(10, count)));
    let rig = world(LIMITS, &images(1).replace("fleets:", &share(20)));
    rig.settle();
    let image = rig.images(GZ).into_values().next().expect("an image");
    share_by_hand(&rig, GZ, &image, &accounts(500, 30));
    rig.expect_no_changes();
    rig.edit("fleet.yaml", &listed(&accounts(10, 20)), &listed(&accounts(10, 23)));
    let help = infeasible_until_helped(&rig, "share-cap");
    assert_eq!(help, "take 100000000030, 100000000031, 100000000032 out of `shares.s.accounts`");
}

#[test]
fn a_full_list_changes_one_account() {
    let share = format!("shares:\n  s: {{ image: i00, accounts: {} }}\nfleets:", listed(&accounts(10, 50)));
    let rig = world(LIMITS, &images(1).replace("fleets:", &share));
    apply_within(&rig, 50, accounts_of_one);
    rig.edit("fleet.yaml", "100000000033", "100000000099");
    let mark = rig.mark();
    apply_within(&rig, 50, accounts_of_one);
    assert_eq!(permissions(&rig, mark), ["CANCEL", "SHARE"], "there is no room to add first");

    rig.edit("fleet.yaml", ", \"100000000099\"", "");
    rig.edit("fleet.yaml", ", \"100000000034\"", "");
    rig.settle();
    rig.edit("fleet.yaml", "100000000035", "100000000098");
    let mark = rig.mark();
    apply_within(&rig, 50, accounts_of_one);
    assert_eq!(permissions(&rig, mark), ["SHARE", "CANCEL"], "nobody is without the image while there is room");
}

fn permissions(rig: &Rig, mark: usize) -> Vec<String> {
    let calls = rig.since(mark).into_iter().filter(|entry| entry.action == "ModifyImageSharePermission");
    let body = |body: &str| serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    calls.map(|entry| body(&entry.body)["Permission"].as_str().expect("a word").to_owned()).collect()
}

fn fleets(web: u32, api: u32) -> String {
    let place = "zones: [ap-guangzhou-3], type: S5.MEDIUM4";
    format!(
        "project: shop\n\
         cloud: {{ provider: embedded, region: ap-guangzhou }}\n\
         images:\n  ubuntu: {{ public: {{ name: \"Ubuntu Server 22.04 LTS 64bit\" }} }}\n\
         fleets:\n  api: {{ image: ubuntu, count: {api}, {place} }}\n  web: {{ image: ubuntu, count: {web}, {place} }}\n"
    )
}

#[test]
fn one_instance_too_many() {
    let limits = Limits { instances_per_zone: 20, ..LIMITS };
    let rig = world(limits, &fleets(15, 3));
    launch_by_hand(&rig, GZ, "ap-guangzhou-3", 3);
    // Somebody else's count too: 15 and 3 and 3 are one too many.
    assert_eq!(infeasible_until_helped(&rig, "instance-quota"), "set `count: 2` in `fleets.api`");
    apply_within(&rig, 20, instances_in_gz_3);
    rig.edit("fleet.yaml", "count: 15", "count: 16");
    assert_eq!(infeasible_until_helped(&rig, "instance-quota"), "set `count: 15` in `fleets.web`");
    rig.expect_no_changes();
}

#[test]
fn two_fleets_too_large_are_made_smaller_together() {
    let limits = Limits { instances_per_zone: 20, ..LIMITS };
    let yaml = fleets(25, 25).replace("count: 25, zones: [ap-guangzhou-3]", "count: 25, zones: [ap-guangzhou-4]");
    let yaml = yaml.replacen("ap-guangzhou-4", "ap-guangzhou-3", 1);
    let rig = world(limits, &yaml);
    let help = infeasible_until_helped(&rig, "instance-quota");
    assert_eq!(help, "set `count: 20` in `fleets.api`, and set `count: 20` in `fleets.web`");
}

#[test]
fn one_fleet_shrinks_while_another_grows() {
    let limits = Limits { instances_per_zone: 20, ..LIMITS };
    let rig = world(limits, &fleets(15, 5));
    apply_within(&rig, 20, instances_in_gz_3);
    rig.write("fleet.yaml", &fleets(6, 14));
    let plan = rig.run("plan").expect(Exit::Done);
    assert!(plan.out.contains("20 now, 20 at the worst moment"), "{}", plan.out);
    apply_within(&rig, 20, instances_in_gz_3);
}

#[test]
fn a_full_zone_is_replaced() {
    let limits = Limits { instances_per_zone: 20, ..LIMITS };
    let rig = world(limits, &fleets(15, 5));
    apply_within(&rig, 20, instances_in_gz_3);
    let yaml =
        fleets(15, 5).replace("type: S5.MEDIUM4", "type: S5.MEDIUM4, user_data: { text: \"#!/bin/sh\\n# new\\n\" }");
    rig.write("fleet.yaml", &yaml);
    apply_within(&rig, 20, instances_in_gz_3);
}

#[test]
fn a_failed_image_goes_before_it_is_made_again() {
    let rig = world(LIMITS, &images(1));
    capture_by_hand(&rig, GZ, "ap-guangzhou-3", 9);
    let name = "shop-default-i00-1".to_owned();
    rig.cloud().inject(Injection::CaptureFails { name: name.clone() });
    rig.run("apply --auto-approve");
    // Whatever is left of the first try, it holds the last place.
    assert_eq!(rig.images(GZ).len(), 10, "{:?}", rig.images(GZ));
    apply_within(&rig, 10, images_in_gz);
    assert!(rig.images(GZ).contains_key(&name));
}

#[test]
fn limits_of_the_config_give_way_to_what_the_cloud_reports() {
    let yaml =
        fleets(15, 5).replace("region: ap-guangzhou }", "region: ap-guangzhou, limits: { instances_per_zone: 5 } }");
    let rig = world(Limits { instances_per_zone: 20, ..LIMITS }, &yaml);
    apply_within(&rig, 20, instances_in_gz_3);
}

#[test]
fn images_of_a_full_region_change_their_copies_and_their_shares() {
    // Everything at once: one is dropped, one is new, one is renewed with its share, one leaves a region.
    let copied = "regions: [ap-guangzhou, ap-shanghai]";
    let limits = Limits { images_per_region: 4, ..LIMITS };
    let yaml = |middle: &str, rest: &str| {
        format!(
            "project: shop\n\
             cloud: {{ provider: embedded, region: ap-guangzhou }}\n\
             images:\n  ubuntu: {{ public: {{ name: \"Ubuntu Server 22.04 LTS 64bit\" }} }}\n{middle}{rest}\
             fleets:\n  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }}\n"
        )
    };
    let one = |name: &str, version: &str, more: &str| {
        format!("  {name}: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"{version}\"{more} }}\n")
    };
    let with = |more: &str| format!(", {more}");
    let shares = "shares:\n  s: { image: b, accounts: [\"100000000002\"] }\n";
    let before = one("a", "1", &with(copied)) + &one("b", "1", &with(copied)) + &one("c", "1", &with(copied));
    let rig = world(limits, &yaml(&before, shares));
    apply_within(&rig, 4, images_anywhere);
    let after = one("b", "2", &with(copied)) + &one("c", "1", "") + &one("d", "1", &with(copied)) + &one("e", "1", "");
    rig.write("fleet.yaml", &yaml(&after, shares));
    apply_within(&rig, 4, images_anywhere);
    assert_eq!((rig.images(GZ).len(), rig.images(SH).len()), (4, 2));
}

#[test]
fn an_instance_on_its_way_out_leaves_its_place_to_the_next() {
    let rig = world(Limits { instances_per_zone: 20, ..LIMITS }, &fleets(15, 5));
    apply_within(&rig, 20, instances_in_gz_3);
    let ids: Vec<String> = rig.instances(GZ).into_values().take(3).collect();
    rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({"InstanceIds": ids}));
    let plan = rig.run("plan").expect(Exit::Done);
    assert!(plan.out.contains("counts until it is gone"), "{}", plan.out);
    apply_within(&rig, 20, instances_in_gz_3);
}

#[test]
fn a_copy_that_makes_room_is_copied_from_before_it_goes() {
    let yaml = |a: &str, more: &str| {
        let both = "regions: [ap-guangzhou, ap-shanghai]";
        images(0).replace(
            "fleets:",
            &format!(
                "  a: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"1\", regions: {a} }}\n  \
                 b: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"1\", {both} }}\n{more}fleets:"
            ),
        )
    };
    let rig = world(Limits { images_per_region: 3, ..LIMITS }, &yaml("[ap-guangzhou, ap-shanghai]", ""));
    capture_by_hand(&rig, SH, "ap-shanghai-2", 1);
    apply_within(&rig, 3, images_anywhere);
    let gone = rig.images(GZ)["shop-default-a-1"].clone();
    rig.by_hand(GZ, "DeleteImages", &serde_json::json!({"ImageIds": [gone]}));
    rig.wait_ms(5_000);
    // Shanghai is full: what comes there waits for the copy of `a`, from which `a` is copied back first.
    let c = "  c: { from_instance: { instance: \"fleet.builder[0]\" }, version: \"1\", \
             regions: [ap-guangzhou, ap-shanghai] }\n";
    rig.write("fleet.yaml", &yaml("[ap-guangzhou]", c));
    apply_within(&rig, 3, images_anywhere);
    assert_eq!((rig.images(GZ).len(), rig.images(SH).len()), (3, 3));
}

#[test]
fn a_fleet_is_not_made_so_small_that_an_image_loses_its_machine() {
    let yaml = images(0)
        .replace("count: 1", "count: 30")
        .replace("fleets:", "  i: { from_instance: { instance: \"fleet.builder[24]\" }, version: \"1\" }\nfleets:");
    let rig = world(Limits { instances_per_zone: 20, ..LIMITS }, &yaml);
    let plan = rig.run("plan").expect(Exit::Infeasible);
    // Twenty would do, but for the image; without the image, and with twenty, all is well.
    let help = suggestion(&plan).expect("a change");
    assert_eq!(help, "set `count: 20` in `fleets.builder`, and remove `images.i`");
    follow(&rig, &help);
    rig.run("plan").expect(Exit::Done);
}
