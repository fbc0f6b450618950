//! Changes of managed images: versions, copies, descriptions and tags.

use fleetwright::cli::Exit;
use serde_json::json;

use crate::kit::{BJ, BOOT, GZ, IMAGE, SH, counts, image, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";

/// The version that the image has now.
fn version(rig: &Rig) -> String {
    let addrs = rig.addrs();
    let mut versions: Vec<&str> = addrs
        .iter()
        .filter_map(|addr| addr.strip_prefix("image.web@")?.split_once('/'))
        .map(|(version, _)| version)
        .collect();
    versions.dedup();
    assert_eq!(versions.len(), 1, "{addrs:?}");
    versions[0].to_owned()
}

fn image_of(rig: &Rig, region: &str) -> fleetwright::cloud::embedded::inspect::ImageHeld {
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, region).expect("a region");
    assert_eq!(held.images.len(), 1);
    held.images.values().next().cloned().expect("an image")
}

#[test]
fn an_image_is_captured_once_and_copied_in_one_call() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    rig.change().closes(8, 0, 0, 0).took(&[
        ("RunInstances", 2),
        ("CreateImage", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 2),
    ]);
    let (home, copy) = (image_of(&rig, GZ), image_of(&rig, SH));
    assert_eq!(home.content, copy.content);
    assert_eq!(home.tags, copy.tags);
    assert_eq!(home.shared_with.len(), 2);
    // Whoever runs from the image went through it, and was provisioned as the builder was.
    let digest = blake3::hash(BOOT.as_bytes()).to_hex().to_string();
    for id in ["fleet.web[0]", "fleet.web[1]", "fleet.web[2]"].map(|addr| rig.id(addr)) {
        assert_eq!(rig.instance(&id).content.provisioned, std::slice::from_ref(&digest));
        assert_eq!(rig.instance(&id).content.images.len(), 2, "the public image, and the captured one");
    }
}

#[test]
fn a_look_at_images_takes_a_listing_in_each_region_and_a_call_for_each_share() {
    let rig = image();
    let mark = rig.mark();
    rig.expect_no_changes();
    let reads = rig.calls(mark);
    let wanted = [
        ("DescribeRegions", 1),
        ("DescribeZones", 1),
        ("DescribeInstanceTypeConfigs", 1),
        ("DescribeAccountQuota", 2),
        ("DescribeImageQuota", 2),
        ("DescribeImages", 3),
        ("DescribeImageSharePermission", 2),
        ("DescribeInstances", 1),
    ];
    assert_eq!(reads, counts(&wanted));
}

#[test]
fn a_region_more_is_one_copy_and_a_region_less_one_deletion() {
    let rig = image();
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]");
    let changed = rig.change();
    insta::assert_snapshot!("image_region_more", changed.plan);
    changed.took(&[
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 1),
    ]);
    assert_eq!(rig.images(BJ).len(), 1);
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai, ap-beijing]", "[ap-guangzhou, ap-beijing]");
    let changed = rig.change();
    insta::assert_snapshot!("image_region_less", changed.plan);
    changed.took(&[("ModifyImageSharePermission", 1), ("DeleteImages", 1)]);
    assert_eq!(rig.images(SH).len(), 0);
}

#[test]
fn new_user_data_is_a_new_version_everywhere() {
    let rig = image();
    let old = version(&rig);
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let changed = rig.change();
    insta::assert_snapshot!("image_new_version", changed.plan);
    changed.took(&[
        ("TerminateInstances", 4),
        ("RunInstances", 4),
        ("CreateImage", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 4),
        ("DeleteImages", 2),
    ]);
    assert_ne!(version(&rig), old);
    let digest = blake3::hash(rig.read("boot.sh").as_bytes()).to_hex().to_string();
    assert_eq!(rig.instance(&rig.id("fleet.web[2]#2")).content.provisioned, [digest]);
}

#[test]
fn a_version_is_what_the_image_is_made_of_and_nothing_else() {
    let rig = image();
    let old = version(&rig);
    for (from, to) in [
        ("count: 1", "count: 2"),
        (
            "zones: [ap-guangzhou-3]\n    type: S5.MEDIUM4\n    user_data",
            "zones: [ap-guangzhou-3]\n    type: S5.LARGE8\n    user_data",
        ),
        ("    user_data:", "    tags: { role: builder }\n    user_data:"),
        ("    user_data:", "    network: { security_groups: [sg-0a1b2c3d] }\n    user_data:"),
    ] {
        rig.edit(SHOP, from, to);
        let changed = rig.change();
        assert_eq!(version(&rig), old, "{to}");
        assert!(!changed.calls.contains_key("CreateImage"));
    }
    rig.edit(SHOP, "22.04", "24.04");
    rig.change().says("the image has a new version (base)");
    let newer = version(&rig);
    assert_ne!(newer, old);
    // The same inputs are the same version, whichever state says so.
    rig.edit(SHOP, "24.04", "22.04");
    rig.change();
    assert_eq!(version(&rig), old);
}

#[test]
fn disks_of_the_builder_are_inputs_too() {
    let with_disk =
        IMAGE.replace("    user_data:", "    data_disks: [{ type: CLOUD_PREMIUM, size: 20 }]\n    user_data:");
    let (plain, disk) = (image(), Rig::new(&[(SHOP, &with_disk), ("boot.sh", BOOT)]));
    disk.settle();
    assert_ne!(version(&plain), version(&disk));
    let other = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    other.wait_ms(86_400_000);
    other.settle();
    assert_eq!(version(&plain), version(&other), "the same in every state");
}

#[test]
fn an_explicit_version_must_not_change_what_it_is_made_of() {
    let explicit = IMAGE.replace("    description:", "    version: \"7\"\n    description:");
    let rig = Rig::new(&[(SHOP, &explicit), ("boot.sh", BOOT)]);
    rig.settle();
    assert_eq!(version(&rig), "7");
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let mark = rig.mark();
    let refused = rig.fails(Exit::Config);
    insta::assert_snapshot!("version_reused", refused.err);
    assert_eq!(rig.mutations(mark), counts(&[]));
    rig.edit(SHOP, "version: \"7\"", "version: \"8\"");
    rig.change().says("the image has a new version (user_data)");
    assert_eq!(version(&rig), "8");
}

#[test]
fn descriptions_are_changed_by_a_call_a_copy_and_tags_by_one_for_all() {
    let rig = image();
    rig.edit(SHOP, "the shop", "the store");
    let changed = rig.change();
    insta::assert_snapshot!("image_description", changed.plan);
    changed.took(&[("ModifyImageAttribute", 2)]);
    rig.edit(SHOP, "tags: { app: web }", "tags: { app: store, tier: front }");
    rig.change().closes(0, 2, 0, 0).took(&[("TagResources", 1)]);
    rig.edit(SHOP, "tags: { app: store, tier: front }", "tags: { app: store }");
    rig.change().closes(0, 2, 0, 0).took(&[("UnTagResources", 1)]);
    assert_eq!(image_of(&rig, SH).tags.get("app").map(String::as_str), Some("store"));
    assert_eq!(image_of(&rig, SH).tags.len(), 2);
}

#[test]
fn the_version_of_a_builder_that_is_removed_stays() {
    let rig = image();
    let old = version(&rig);
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("  builder:\n").expect("a builder");
    let rest = tail.split_once("  web:\n").expect("a fleet").1;
    rig.write(SHOP, &format!("{head}  web:\n{rest}"));
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("builder_removed", planned.err);
    rig.change().closes(0, 0, 0, 1).took(&[("TerminateInstances", 1)]);
    assert_eq!(version(&rig), old);
    // It can still be copied further, shared, and run from.
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]");
    rig.edit(SHOP, "count: 3", "count: 4");
    rig.change();
    assert_eq!(version(&rig), old);
    // But not captured anew: that is said before anything is done.
    for region in [GZ, SH, BJ] {
        let id = rig.images(region).into_values().next().expect("an image");
        let cancel = json!({"ImageId": id, "AccountIds": ["100000000002", "100000000003"], "Permission": "CANCEL"});
        rig.by_hand(region, "ModifyImageSharePermission", &cancel);
        rig.by_hand(region, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    }
    rig.wait_ms(5_000);
    let refused = rig.fails(Exit::Infeasible);
    insta::assert_snapshot!("builder_gone", refused.err);
}

/// An encrypted copy is where its source was captured, also where that has a younger copy elsewhere.
#[test]
fn an_encrypted_copy_stays_where_it_is_without_the_builder() {
    let config = IMAGE.replace("shares:\n", "  locked:\n    copy: { image: web, encrypt: true }\nshares:\n");
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", BOOT)]);
    rig.settle();
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("  builder:\n").expect("a builder");
    let rest = tail.split_once("  web:\n").expect("a fleet").1;
    rig.write(SHOP, &format!("{head}  web:\n{rest}"));
    rig.change().closes(0, 0, 0, 1).took(&[("TerminateInstances", 1)]);
}

#[test]
fn an_image_that_was_never_captured_needs_its_builder() {
    let gone = IMAGE.replace("fleet.builder[0]", "fleet.nobody[0]");
    let rig = Rig::new(&[(SHOP, &gone), ("boot.sh", BOOT)]);
    let refused = rig.fails(Exit::Infeasible);
    says(&refused.err, "image.web is not captured yet, and fleet.nobody is not in the config");
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn a_machine_made_by_hand_is_captured_as_often_as_its_version_changes() {
    let rig = Rig::new(&[]);
    let launched = rig.by_hand(
        GZ,
        "RunInstances",
        &json!({
            "Placement": {"Zone": "ap-guangzhou-3"},
            "ImageId": fleetwright::cloud::embedded::public_image_id(GZ, "Debian 12 64bit"),
            "InstanceType": "S5.MEDIUM4", "InstanceName": "by hand",
        }),
    );
    let id = launched["InstanceIdSet"][0].as_str().expect("an id").to_owned();
    rig.wait_ms(5_000);
    rig.write(
        SHOP,
        &format!(
            "project: shop\ncloud: {{ provider: embedded, region: ap-guangzhou }}\nimages:\n  hand:\n    \
             from_instance: {{ instance: {id} }}\n    version: \"1\"\n"
        ),
    );
    rig.change().closes(1, 0, 0, 0).took(&[("CreateImage", 1)]);
    assert_eq!(image_of(&rig, GZ).name, "shop-default-hand-1");
    rig.edit(SHOP, "version: \"1\"", "version: \"2\"");
    rig.change().closes(1, 0, 0, 1).took(&[("CreateImage", 1), ("DeleteImages", 1)]);
    assert_eq!(image_of(&rig, GZ).name, "shop-default-hand-2");
    // The machine itself is nobody's of ours, and may go.
    rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [id]}));
    rig.wait_ms(5_000);
    rig.expect_no_changes();
    rig.edit(SHOP, "version: \"2\"", "version: \"3\"");
    says(&rig.fails(Exit::Config).err, &format!("there is no instance {id} in ap-guangzhou"));
}
