//! Shares that somebody else cancelled or made.

use fleetwright::cli::Exit;
use serde_json::json;

use crate::kit::{GZ, SH, counts, image, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

fn permit(rig: &Rig, region: &str, permission: &str, accounts: &[&str]) {
    let id = rig.images(region).into_values().next().expect("an image");
    let body = json!({"ImageId": id, "AccountIds": accounts, "Permission": permission});
    rig.by_hand(region, "ModifyImageSharePermission", &body);
}

fn accounts(rig: &Rig, region: &str) -> Vec<String> {
    let id = rig.images(region).into_values().next().expect("an image");
    rig.shared(region, &id)
}

#[test]
fn a_share_that_was_cancelled_is_made_again() {
    let rig = image();
    permit(&rig, SH, "CANCEL", &["100000000003"]);
    let changed = rig.change();
    insta::assert_snapshot!("share_cancelled", changed.plan);
    changed.took(&[("ModifyImageSharePermission", 1)]);
    assert_eq!(accounts(&rig, SH).len(), 2);
}

#[test]
fn an_account_that_was_added_is_shown_and_stays() {
    let rig = image();
    permit(&rig, GZ, "SHARE", &["100000000009"]);
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    insta::assert_snapshot!("share_added", planned.out);
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(accounts(&rig, GZ).len(), 3);
    // The block goes, and takes only what is ours.
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("shares:\n").expect("shares");
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1));
    rig.change().took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!(accounts(&rig, GZ), ["100000000009"]);
}

#[test]
fn an_account_that_was_added_goes_where_the_config_says_so() {
    let rig = image();
    permit(&rig, GZ, "SHARE", &["100000000009"]);
    rig.edit(SHOP, "    image: web\n    accounts", "    image: web\n    undeclared: cancel\n    accounts");
    let changed = rig.change();
    insta::assert_snapshot!("share_undeclared_cancelled", changed.plan);
    changed.took(&[("ModifyImageSharePermission", 1)]);
    assert_eq!(accounts(&rig, GZ), ["100000000002", "100000000003"]);
    // Also when the image goes: the config has said so, and nobody has to say it again.
    permit(&rig, GZ, "SHARE", &["100000000009"]);
    rig.write("boot.sh", "#!/bin/sh\necho other\n# sim: poweroff after=2s\n");
    rig.change();
}

#[test]
fn an_image_that_somebody_else_shared_only_goes_when_told() {
    let rig = image();
    permit(&rig, GZ, "SHARE", &["100000000009"]);
    rig.write("boot.sh", "#!/bin/sh\necho other\n# sim: poweroff after=2s\n");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Guard);
    insta::assert_snapshot!("share_guard", refused.err);
    says(&rig.run("destroy --auto-approve").expect(Exit::Guard).err, "--cancel-undeclared-shares");
    assert_eq!(rig.mutations(mark), counts(&[]), "nothing was begun");
    let changed = rig.change_with("--cancel-undeclared-shares", fleetwright::ops::Hooks::default());
    insta::assert_snapshot!("share_guard_lifted", changed.plan);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(crate::rig::OWNER));
}
