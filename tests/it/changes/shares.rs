//! Changes of who may use an image.

use serde_json::json;

use crate::kit::{GZ, IMAGE, SH, image};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
const BOTH: &str = "[\"100000000002\", \"100000000003\"]";

fn accounts(rig: &Rig, region: &str) -> Vec<String> {
    let id = rig.images(region).into_values().next().expect("an image");
    rig.shared(region, &id)
}

#[test]
fn an_account_more_is_one_call_in_each_region() {
    let rig = image();
    rig.edit(SHOP, BOTH, "[\"100000000002\", \"100000000003\", \"100000000004\", \"100000000005\"]");
    let changed = rig.change();
    insta::assert_snapshot!("share_more", changed.plan);
    changed.took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!(accounts(&rig, SH).len(), 4);
}

#[test]
fn an_account_less_is_one_call_in_each_region() {
    let rig = image();
    rig.edit(SHOP, BOTH, "[\"100000000003\"]");
    let changed = rig.change();
    insta::assert_snapshot!("share_less", changed.plan);
    changed.took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!(accounts(&rig, GZ), ["100000000003"]);
}

#[test]
fn an_account_for_another_is_two_calls_in_each_region() {
    let rig = image();
    rig.edit(SHOP, BOTH, "[\"100000000003\", \"100000000004\"]");
    rig.change().closes(0, 2, 0, 0).took(&[("ModifyImageSharePermission", 4)]);
    assert_eq!(accounts(&rig, SH), ["100000000003", "100000000004"]);
}

#[test]
fn a_share_that_goes_takes_its_accounts_and_comes_back() {
    let rig = image();
    let with = rig.read(SHOP);
    let (head, tail) = with.split_once("shares:\n").expect("shares");
    let without = format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1);
    rig.write(SHOP, &without);
    rig.change().closes(0, 0, 0, 2).took(&[("ModifyImageSharePermission", 2)]);
    assert!(accounts(&rig, GZ).is_empty());
    rig.write(SHOP, &with);
    rig.change().closes(2, 0, 0, 0).took(&[("ModifyImageSharePermission", 2)]);
}

#[test]
fn what_is_shared_already_is_taken_over_without_a_call() {
    let rig = image();
    for region in [GZ, SH] {
        let id = rig.images(region).into_values().next().expect("an image");
        let share = json!({"ImageId": id, "AccountIds": ["100000000004"], "Permission": "SHARE"});
        rig.by_hand(region, "ModifyImageSharePermission", &share);
    }
    rig.edit(SHOP, BOTH, "[\"100000000002\", \"100000000003\", \"100000000004\"]");
    rig.change().closes(0, 2, 0, 0).took(&[]);
    // From now on it is ours to take away.
    rig.edit(SHOP, "[\"100000000002\", \"100000000003\", \"100000000004\"]", BOTH);
    rig.change().closes(0, 2, 0, 0).took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!(accounts(&rig, GZ), ["100000000002", "100000000003"]);
}

#[test]
fn a_share_block_for_what_is_shared_by_hand_makes_no_call() {
    let (head, tail) = IMAGE.split_once("shares:\n").expect("shares");
    let without = format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1);
    let rig = Rig::new(&[(SHOP, &without), ("boot.sh", crate::kit::BOOT)]);
    rig.settle();
    for region in [GZ, SH] {
        let id = rig.images(region).into_values().next().expect("an image");
        let share = json!({"ImageId": id, "AccountIds": ["100000000002", "100000000003"], "Permission": "SHARE"});
        rig.by_hand(region, "ModifyImageSharePermission", &share);
    }
    rig.write(SHOP, IMAGE);
    rig.change().closes(2, 0, 0, 0).took(&[]);
}
