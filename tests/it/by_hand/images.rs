//! Images that were deleted, renamed or changed by hand, and captures and copies that failed.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;
use serde_json::json;

use crate::kit::{BJ, BOOT, GZ, IMAGE, SH, image, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";

fn delete(rig: &Rig, region: &str) {
    let id = rig.images(region).into_values().next().expect("an image");
    let accounts = rig.shared(region, &id);
    let cancel = json!({"ImageId": id, "AccountIds": accounts, "Permission": "CANCEL"});
    rig.by_hand(region, "ModifyImageSharePermission", &cancel);
    rig.by_hand(region, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
    rig.wait_ms(5_000);
}

#[test]
fn a_deleted_copy_is_copied_back_and_nobody_is_disturbed() {
    let rig = image();
    let before = rig.instances(GZ);
    delete(&rig, GZ);
    let changed = rig.change();
    insta::assert_snapshot!("image_copied_back", changed.plan);
    changed.took(&[
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 1),
    ]);
    assert_eq!(rig.instances(GZ), before, "what runs goes on running");
    // What is launched from now on is launched from the copy.
    rig.edit(SHOP, "count: 3", "count: 4");
    rig.change().took(&[("RunInstances", 1)]);
}

#[test]
fn an_image_that_is_gone_everywhere_is_captured_anew_with_all_that_follows() {
    let rig = image();
    delete(&rig, GZ);
    delete(&rig, SH);
    let changed = rig.change();
    insta::assert_snapshot!("image_captured_anew", changed.plan);
    changed.took(&[
        ("CreateImage", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 2),
        ("TerminateInstances", 3),
        ("RunInstances", 3),
    ]);
    assert!(rig.images(SH).keys().all(|name| name.ends_with("-r2")), "{:?}", rig.images(SH));
}

#[test]
fn a_name_a_description_and_tags_changed_by_hand() {
    let rig = image();
    let id = rig.images(SH).into_values().next().expect("an image");
    let other = json!({"ImageId": id, "ImageName": "mine", "ImageDescription": "mine"});
    rig.by_hand(SH, "ModifyImageAttribute", &other);
    let resource = format!("qcs::cvm:{SH}:uin/{OWNER}:image/{id}");
    rig.by_hand(SH, "UnTagResources", &json!({"ResourceList": [resource], "TagKeys": ["app"]}));
    let changed = rig.change();
    insta::assert_snapshot!("image_changed", changed.plan);
    changed.took(&[("ModifyImageAttribute", 1), ("TagResources", 1)]);
    assert_eq!(rig.images(SH).into_keys().collect::<Vec<_>>(), ["mine"], "a name is only shown");
}

#[test]
fn a_copy_that_is_under_way_is_waited_for_and_not_made_again() {
    let rig = image();
    // Somebody copies our image: it is busy meanwhile.
    let id = rig.images(GZ).into_values().next().expect("an image");
    let copy = json!({"ImageIds": [id], "DestinationRegions": [BJ], "ImageName": "theirs"});
    rig.by_hand(GZ, "SyncImages", &copy);
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("image_busy", planned.out);
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-chengdu]");
    rig.change().closes(2, 0, 0, 0);
}

#[test]
fn a_name_that_somebody_took_is_said_before_anything_is_done() {
    let rig = image();
    let id = rig.images(GZ).into_values().next().expect("an image");
    let name = rig.images(GZ).into_keys().next().expect("an image");
    let copy = json!({"ImageIds": [id], "DestinationRegions": [BJ], "ImageName": name});
    rig.by_hand(GZ, "SyncImages", &copy);
    rig.wait_ms(10_000);
    rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]");
    let refused = rig.fails(Exit::Infeasible);
    insta::assert_snapshot!("image_name_taken", refused.err);
}

fn captured_name(rig: &Rig) -> String {
    let plan = rig.json("plan --json");
    let changes = plan["changes"].as_array().expect("changes").iter();
    let image = changes.filter(|change| change["kind"] == "image").find_map(|change| change["name"].as_str());
    image.expect("an image").to_owned()
}

#[test]
fn a_capture_that_failed_is_removed_before_it_is_tried_again() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    rig.cloud().inject(Injection::CaptureFails { name: captured_name(&rig) });
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("capture_failed", failed.out);
    assert!(
        rig.holdings().of(OWNER, GZ).is_some_and(|held| held.images.values().all(|one| one.state == "CREATEFAILED"))
    );
    let changed = rig.change();
    insta::assert_snapshot!("capture_again", changed.plan);
    changed.took(&[
        ("DeleteImages", 1),
        ("CreateImage", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 2),
        ("RunInstances", 1),
    ]);
}

#[test]
fn a_copy_that_failed_is_removed_before_it_is_tried_again() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    rig.cloud().inject(Injection::CopyFails { name: captured_name(&rig), region: SH.into() });
    let failed = rig.fails(Exit::Partly);
    insta::assert_snapshot!("copy_failed", failed.out);
    says(&failed.out, "fleet.web[0..2]");
    rig.change().took(&[
        ("DeleteImages", 1),
        ("SyncImages", 1),
        ("TagResources", 1),
        ("ModifyImageAttribute", 1),
        ("ModifyImageSharePermission", 1),
    ]);
}

#[test]
fn a_failed_copy_of_a_version_that_is_no_longer_wanted_goes_too() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    rig.cloud().inject(Injection::CopyFails { name: captured_name(&rig), region: SH.into() });
    rig.fails(Exit::Partly);
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    rig.change();
    assert_eq!(rig.images(SH).len(), 1);
}
