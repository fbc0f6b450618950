//! Images from everywhere: files, other accounts, the marketplace, and copies within a region.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;

use crate::kit::{GZ, SH, SOURCES, counts, quick, says, sources};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const ALL: [(&str, usize); 5] =
    [("ImportImage", 1), ("SyncImages", 3), ("TagResources", 3), ("ModifyImageAttribute", 1), ("RunInstances", 4)];

fn images(rig: &Rig, region: &str) -> Vec<fleetwright::cloud::embedded::inspect::ImageHeld> {
    let holdings = rig.holdings();
    holdings.of(OWNER, region).map(|held| held.images.values().cloned().collect()).unwrap_or_default()
}

#[test]
fn everything_is_made_once_and_run_from() {
    let rig = sources();
    let changed = rig.change();
    insta::assert_snapshot!("sources", changed.plan);
    changed.took(&ALL);
    let home = images(&rig, GZ);
    assert_eq!(home.len(), 3);
    assert_eq!(home.iter().filter(|image| image.imported).count(), 1);
    assert_eq!(home.iter().filter(|image| image.encrypted).count(), 1);
    assert!(images(&rig, SH).iter().all(|image| image.family == "legacy"), "copies are dressed like the first one");
    // Images of others are neither pinned nor ours.
    assert!(!rig.dir().join("fleetwright.lock").exists());
    assert_eq!(rig.addrs().iter().filter(|addr| addr.starts_with("image.")).count(), 4);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn an_import_whose_id_is_not_told_is_found_by_its_name() {
    let rig = Rig::with(&[(SHOP, SOURCES)], Settings { import_answers_id: false, ..quick() });
    rig.change().took(&ALL);
    // Nor is it lost where the cloud lists it late.
    let late = Settings { import_answers_id: false, empty_first_read: true, ..quick() };
    let rig = Rig::with(&[(SHOP, SOURCES)], late);
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.mutations(mark).get("ImportImage"), Some(&1));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn a_system_that_cannot_be_imported_is_said_before_anything_is_done() {
    for (from, to, told) in [
        ("os: CentOS", "os: CentOs", "did you mean \"CentOS\"?"),
        ("os_version: \"7\"", "os_version: \"9\"", "imports no CentOS \"9\""),
        (
            "os: CentOS\n      os_version: \"7\"\n      architecture: x86_64",
            "os: CoreOS\n      os_version: \"7\"\n      architecture: arm_64",
            "does not import CoreOS for arm_64",
        ),
    ] {
        let rig = sources();
        rig.edit(SHOP, from, to);
        let mark = rig.mark();
        says(&rig.fails(Exit::Config).err, told);
        assert_eq!(rig.mutations(mark), counts(&[]));
    }
}

#[test]
fn another_file_is_another_version_of_it_and_of_its_copies() {
    let rig = sources();
    rig.settle();
    rig.edit(SHOP, "legacy.qcow2", "legacy-2.qcow2");
    let changed = rig.change();
    changed.says("the image has a new version (import)").says("the image has a new version (base)");
    changed.took(&[
        ("ImportImage", 1),
        ("SyncImages", 2),
        ("TagResources", 2),
        // The description and family of the new copy, and the marks of the old ones.
        ("ModifyImageAttribute", 3),
        ("RunInstances", 3),
        ("TerminateInstances", 3),
        ("DeleteImages", 1),
    ]);
    assert_eq!(images(&rig, GZ).iter().filter(|image| image.deprecated).count(), 1);
    // Another key is another copy, and the image itself stays.
    rig.edit(SHOP, "encrypt: true", "encrypt: true, kms_key: kms-1a2b3c4d");
    rig.change().says("(encryption)").took(&[
        ("SyncImages", 1),
        ("TagResources", 1),
        ("RunInstances", 1),
        ("TerminateInstances", 1),
        ("DeleteImages", 1),
    ]);
}

#[test]
fn a_copy_of_what_is_shared_is_ours_to_spread_and_to_share() {
    let rig = sources();
    rig.edit(SHOP, "copy: { image: partner }", "copy: { image: partner }\n    regions: [ap-guangzhou, ap-shanghai]");
    rig.edit(SHOP, "fleets:\n", "shares:\n  s: { image: mine, accounts: [\"100000000003\"] }\nfleets:\n");
    let changed = rig.change();
    assert_eq!((changed.calls["SyncImages"], changed.calls["ModifyImageSharePermission"]), (4, 2));
    assert_eq!(images(&rig, SH).len(), 2);
}

#[test]
fn a_fee_is_named_and_inherited() {
    let rig = sources();
    let builder = "  seller: { image: wordpress, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n  \
                   shop: { image: sold, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }\n";
    rig.edit(SHOP, "fleets:\n", &format!("fleets:\n{builder}"));
    rig.edit(SHOP, "images:\n", "images:\n  sold: { from_instance: { instance: \"fleet.seller[0]\" } }\n");
    let plan = rig.run("plan").expect(Exit::Done).out;
    says(&plan, "image.wordpress is of the marketplace: its fee is charged for each instance");
    says(&plan, "image.sold inherits the fee of image.wordpress");
    rig.settle();
    let login = "type: S5.MEDIUM4, login: { keep_image_login: true } }";
    rig.edit(
        SHOP,
        "  blog: { image: wordpress, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }",
        &format!("  blog: {{ image: wordpress, count: 1, zones: [ap-guangzhou-3], {login}"),
    );
    says(&rig.fails(Exit::Config).err, "error[login-not-kept]: a marketplace image has no login to keep");
}

#[test]
fn what_the_config_says_of_others_images_is_checked() {
    for (from, to, told) in [
        ("img-8toqc6s3", "img-p5wq2d7k", "error[image-not-shared]"),
        ("img-8toqc6s3", "img-kx1vn3zd", "error[image-kind]: image.partner: img-kx1vn3zd is of the marketplace"),
        ("img-kx1vn3zd", "img-00000000", "error[image-not-found]"),
        ("owner: \"100000000002\"", "owner: \"100000000003\"", "error[image-owner]"),
        ("trusted_owners: [\"100000000002\"]\nimages:", "images:", "error[untrusted-owner]"),
        (
            "guest: { image: partner, count: 1, zones: [ap-guangzhou-3], type: S5",
            "guest: { image: partner, count: 1, zones: [ap-guangzhou-3], type: SR1",
            "error[image-misfit]",
        ),
    ] {
        let rig = sources();
        if to.contains("owner: \"100000000003\"") {
            rig.edit(SHOP, "trusted_owners: [\"100000000002\"]", "trusted_owners: [\"100000000003\"]");
        }
        rig.edit(SHOP, from, to);
        let mark = rig.mark();
        says(&rig.fails(Exit::Config).err, told);
        assert_eq!(rig.mutations(mark), counts(&[]));
    }
    let rig = sources();
    rig.edit(
        SHOP,
        "  guest: { image: partner, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }",
        "  guest: { image: partner, count: 1, region: ap-shanghai, zones: [ap-shanghai-2], type: S5.MEDIUM4 }",
    );
    says(&rig.fails(Exit::Config).err, "error[image-not-in-region]: image `partner` is not in `ap-shanghai`");
}
