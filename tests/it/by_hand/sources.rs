//! Images from everywhere that were withdrawn, deleted, or failed.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;
use serde_json::json;

use crate::kit::{GZ, says, sources};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const PARTNER: &str = "100000000002";

fn withdraw(rig: &Rig) {
    let cancel = json!({"ImageId": "img-8toqc6s3", "AccountIds": [OWNER], "Permission": "CANCEL"});
    rig.by_hand_as(PARTNER, GZ, "ModifyImageSharePermission", &cancel);
}

#[test]
fn what_runs_from_a_withdrawn_image_goes_on() {
    let rig = sources();
    rig.settle();
    withdraw(&rig);
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    insta::assert_snapshot!("image_withdrawn", planned.err);
    // What does not need it can be changed.
    rig.edit(SHOP, "old: { image: legacy, count: 2", "old: { image: legacy, count: 3");
    rig.change().took(&[("RunInstances", 1)]);
    rig.edit(SHOP, "guest: { image: partner, count: 1", "guest: { image: partner, count: 2");
    let mark = rig.mark();
    says(&rig.fails(Exit::Config).err, "error[image-not-shared]");
    assert!(rig.mutating(mark).is_empty());
    rig.edit(SHOP, "guest: { image: partner, count: 2", "guest: { image: partner, count: 1");
    rig.run("destroy --auto-approve").expect(Exit::Done);
}

#[test]
fn a_copy_within_its_region_that_was_deleted_is_made_again_and_nobody_is_disturbed() {
    let rig = sources();
    rig.settle();
    let before = rig.instances(GZ);
    for (name, id) in rig.images(GZ) {
        if name.contains("locked") {
            rig.by_hand(GZ, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
        }
    }
    rig.wait_ms(5_000);
    rig.change().took(&[("SyncImages", 1), ("TagResources", 1)]);
    assert_eq!(rig.instances(GZ), before, "what runs goes on running");
}

#[test]
fn an_import_that_failed_is_explained_and_removed_before_it_is_tried_again() {
    let rig = sources();
    let plan = rig.json("plan --json");
    let names = plan["changes"].as_array().expect("changes").iter().filter_map(|change| change["name"].as_str());
    let name = names.into_iter().find(|name| name.contains("legacy")).expect("an image").to_owned();
    rig.cloud().inject(Injection::ImportFails { name, reason: "VirtioNotInstall".into() });
    let failed = rig.fails(Exit::Partly);
    says(&failed.out, "the cloud could not import it as img-");
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("import_failed", planned.err);
    let changed = rig.change();
    assert_eq!((changed.calls["DeleteImages"], changed.calls["ImportImage"]), (1, 1));
}

#[test]
fn an_import_that_is_gone_everywhere_is_imported_anew() {
    let rig = sources();
    rig.settle();
    for region in [GZ, "ap-shanghai"] {
        for (name, id) in rig.images(region) {
            if name.contains("legacy") {
                rig.by_hand(region, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
            }
        }
    }
    rig.wait_ms(5_000);
    let changed = rig.change();
    assert_eq!((changed.calls["ImportImage"], changed.calls["SyncImages"]), (1, 2), "{}", changed.plan);
    assert!(rig.images(GZ).keys().any(|name| name.ends_with("-r2")), "{:?}", rig.images(GZ));
}
