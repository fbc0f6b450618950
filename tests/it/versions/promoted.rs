//! Promotion: production runs the very image that staging built.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::inspect::InstanceHeld;

use super::{SHOP, next, versions};
use crate::kit::{BOOT, GZ, IMAGE, counts, says};
use crate::rig::{OWNER, Rig};

const PROD: &str = "../prod/shop.yaml";
const OTHER: &str = "100000000002";
const LOCK: &str = "../prod/fleetwright.lock";

/// Production, in a directory and an account of its own.
const ELSEWHERE: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou, account: "100000000002" }
trusted_owners: ["100000000001"]
images:
  web:
    shared: { from: { image: web, dir: ../config } }
fleets:
  front: { image: web, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

/// Staging, with its image built and shared; and production before its first apply.
fn two_accounts(more: &str) -> Rig {
    let staging = IMAGE.replace("    description: \"the shop\"\n", more);
    let rig = Rig::new(&[(SHOP, &staging), ("boot.sh", BOOT), (PROD, ELSEWHERE)]);
    rig.settle();
    rig
}

fn prod(rig: &Rig, args: &str, exit: Exit) -> crate::rig::Ran {
    rig.run(&format!("-C ../prod {args}")).expect(exit)
}

/// The instances of an account, by name.
fn instances(rig: &Rig, account: &str, prefix: &str) -> Vec<InstanceHeld> {
    let holdings = rig.holdings();
    let held = holdings.of(account, GZ).expect("a region");
    held.instances.values().filter(|one| one.name.starts_with(prefix)).cloned().collect()
}

#[test]
fn production_runs_what_staging_built_in_another_account() {
    let rig = two_accounts("    keep: 1\n    share_kept: true\n");
    let planned = prod(&rig, "plan", Exit::Done);
    insta::assert_snapshot!("promotion", planned.out);
    let mark = rig.mark();
    prod(&rig, "apply --auto-approve", Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[("RunInstances", 1)]), "nothing is built again");
    prod(&rig, "plan --detailed-exitcode", Exit::Done);
    let built = instances(&rig, OWNER, "shop-default-web-");
    let promoted = instances(&rig, OTHER, "shop-default-front-");
    assert_eq!(promoted.len(), 2);
    for one in &promoted {
        assert_eq!(one.content, built[0].content, "the same image, the same content");
        assert_eq!(one.image, built[0].image);
    }
    let lock: serde_json::Value = serde_json::from_str(&rig.read(LOCK)).expect("JSON");
    let pinned = &lock["promoted_images"][0];
    assert_eq!(pinned["version"], versions(&rig, "web")[0].as_str());
    assert_eq!((&pinned["env"], &pinned["owner"]), (&"default".into(), &OWNER.into()));
    assert_eq!(lock["format"], 2);

    // A newer version there changes nothing here until somebody says so.
    next(&rig, 2);
    rig.settle();
    let planned = prod(&rig, "plan --detailed-exitcode", Exit::Done);
    insta::assert_snapshot!("promotion_newer", planned.err);
    let planned = prod(&rig, "plan --upgrade=image.web", Exit::Done);
    insta::assert_snapshot!("promotion_upgrade", planned.out);
    prod(&rig, "apply --auto-approve --upgrade=image.web", Exit::Done);
    prod(&rig, "plan --detailed-exitcode", Exit::Done);
    let built = instances(&rig, OWNER, "shop-default-web-");
    for one in instances(&rig, OTHER, "shop-default-front-") {
        assert_eq!((&one.content, &one.image), (&built[0].content, &built[0].image));
    }
    prod(&rig, "destroy --auto-approve", Exit::Done);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OTHER) && rig.holdings().nothing_of(OWNER));
}

#[test]
fn a_copy_of_ones_own_is_made_of_what_was_promoted() {
    let rig = two_accounts("    keep: 1\n    share_kept: true\n");
    let own = ELSEWHERE
        .replace("fleets:\n", "  own:\n    copy: { image: web }\n    regions: [ap-guangzhou, ap-shanghai]\nfleets:\n");
    rig.write(PROD, &own.replace("front: { image: web", "front: { image: own"));
    prod(&rig, "apply --auto-approve", Exit::Done);
    prod(&rig, "plan --detailed-exitcode", Exit::Done);
    let first = prod(&rig, "state list", Exit::Done).out;
    let front = instances(&rig, OTHER, "shop-default-front-");
    let built = instances(&rig, OWNER, "shop-default-web-");
    assert_eq!(front[0].content.provisioned, built[0].content.provisioned);
    assert_eq!(front[0].content.images[0], built[0].content.images[0], "the public image that staging began with");
    // The version is that of the content: a copy that was made anew at its source, under another id, is no other one.
    let id = rig.images(GZ).into_values().next().expect("an image");
    let uins = serde_json::json!(["100000000002", "100000000003"]);
    let cancel = serde_json::json!({"ImageId": id, "AccountIds": uins, "Permission": "CANCEL"});
    rig.by_hand(GZ, "ModifyImageSharePermission", &cancel);
    rig.by_hand(GZ, "DeleteImages", &serde_json::json!({"ImageIds": [id]}));
    rig.wait_ms(60_000);
    rig.settle();
    assert_ne!(rig.images(GZ).into_values().next(), Some(id));
    let planned = prod(&rig, "plan --upgrade", Exit::Done);
    assert!(!planned.out.contains("SyncImages"), "{}", planned.out);
    prod(&rig, "apply --auto-approve --upgrade", Exit::Done);
    assert_eq!(prod(&rig, "state list", Exit::Done).out, first);
}

/// Production in the same directory and account, in an environment of its own.
const BESIDE: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  web:
    shared: { from: { image: web, env: staging } }
fleets:
  front: { image: web, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

#[test]
fn environments_of_one_account_need_no_share() {
    let (head, tail) = IMAGE.split_once("shares:\n").expect("shares");
    let unshared = format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1);
    let rig = Rig::new(&[(SHOP, &unshared), ("boot.sh", BOOT)]);
    rig.run("-e staging apply --auto-approve").expect(Exit::Done);
    rig.write(SHOP, BESIDE);
    for env in ["prod-a", "prod-b"] {
        let mark = rig.mark();
        rig.run(&format!("-e {env} apply --auto-approve")).expect(Exit::Done);
        assert_eq!(rig.mutations(mark), counts(&[("RunInstances", 1)]));
        rig.run(&format!("-e {env} plan --detailed-exitcode")).expect(Exit::Done);
        let built = instances(&rig, OWNER, "shop-staging-web-");
        let promoted = instances(&rig, OWNER, &format!("shop-{env}-front-"));
        assert_eq!((promoted.len(), &promoted[0].content), (2, &built[0].content));
    }
    // Each environment has a pin of its own: one moves on, and the other does not.
    next(&rig, 2);
    rig.write(SHOP, &unshared.replace("regions: [ap-guangzhou, ap-shanghai]", "keep: 1"));
    rig.run("-e staging apply --auto-approve").expect(Exit::Done);
    rig.write(SHOP, BESIDE);
    rig.run("-e prod-a apply --auto-approve --upgrade=image.web").expect(Exit::Done);
    let image = |env: &str| instances(&rig, OWNER, &format!("shop-{env}-front-"))[0].image.clone();
    assert_ne!(image("prod-a"), image("prod-b"));
    says(&rig.run("-e prod-b plan --detailed-exitcode").expect(Exit::Done).err, "note[newer-match]");
    rig.run("-e prod-a plan --detailed-exitcode").expect(Exit::Done);
    // And what the state remembers is enough where nobody looks.
    rig.run("-e prod-b plan --detailed-exitcode --refresh=false").expect(Exit::Done);
    let tree = rig.run("-e prod-a images").expect(Exit::Done).out;
    says(&tree, "image.web promoted from shop/staging/image.web");
    says(&tree, "fleet.front: 2 of 2 instances");
}

#[test]
fn what_was_promoted_goes_on_without_the_other_state() {
    let rig = two_accounts("    keep: 1\n    share_kept: true\n");
    prod(&rig, "apply --auto-approve", Exit::Done);
    std::fs::rename(rig.dir().join("state/default.db"), rig.dir().join("state/away.db")).expect("moved");
    let planned = prod(&rig, "plan --detailed-exitcode", Exit::Done);
    insta::assert_snapshot!("promotion_without_state", planned.err);
    // Nor does a larger fleet need it.
    rig.edit(PROD, "count: 2", "count: 3");
    prod(&rig, "apply --auto-approve", Exit::Done);
    assert_eq!(instances(&rig, OTHER, "shop-default-front-").len(), 3);
    says(&prod(&rig, "plan --upgrade", Exit::Config).err, "error[nothing-to-promote]");
}

#[test]
fn what_stands_in_the_way_of_a_promotion() {
    let rig = two_accounts("");
    let mark = rig.mark();
    let mut told = String::new();
    let mut refused = |from: &str, to: &str| {
        assert_eq!(ELSEWHERE.matches(from).count(), 1, "{from}");
        rig.write(PROD, &ELSEWHERE.replace(from, to));
        let err = prod(&rig, "plan", Exit::Config).err;
        assert!(err.contains("help: "), "{err}");
        told += &format!("--- {to}\n{err}\n");
    };
    refused("dir: ../config", "dir: ../nowhere");
    refused("dir: ../config", "dir: ../config, env: staging");
    refused("image: web, dir", "image: wep, dir");
    refused("image: web, dir", "image: something, dir");
    refused("trusted_owners: [\"100000000001\"]", "trusted_owners: [\"100000000003\"]");
    refused("account: \"100000000002\"", "account: \"100000000004\"");
    refused("zones: [ap-guangzhou-3]", "region: ap-beijing, zones: [ap-beijing-5]");
    insta::assert_snapshot!("promotion_refused", told);
    rig.write(PROD, &ELSEWHERE.replace("image: web, dir", "project: store, image: web, dir"));
    let other = prod(&rig, "plan", Exit::Foreign).err;
    says(
        &other,
        "error[other-cloud]: image.web: ../prod/../config/state/default.db is of project `shop`, and not of `store`",
    );
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn what_was_promoted_and_deleted_since_stands_in_the_way_of_launches_only() {
    let rig = two_accounts("");
    prod(&rig, "apply --auto-approve", Exit::Done);
    next(&rig, 2);
    rig.settle();
    let planned = prod(&rig, "plan --detailed-exitcode", Exit::Done);
    says(&planned.err, "warning[pin-gone]: image.web is pinned to version");
    rig.edit(PROD, "count: 2", "count: 3");
    let refused = prod(&rig, "plan", Exit::Config).err;
    says(&refused, "error[pin-gone]");
    says(&refused, "help: to promote what is current there instead: fleetwright plan --upgrade=image.web");
    prod(&rig, "apply --auto-approve --upgrade=image.web", Exit::Done);
    assert_eq!(instances(&rig, OTHER, "shop-default-front-").len(), 3);
}

#[test]
fn a_saved_plan_pins_what_it_was_made_with() {
    let rig = two_accounts("    keep: 1\n    share_kept: true\n");
    prod(&rig, "plan --out p.plan", Exit::Done);
    next(&rig, 2);
    rig.settle();
    prod(&rig, "apply p.plan", Exit::Done);
    says(&prod(&rig, "plan --detailed-exitcode", Exit::Done).err, "note[newer-match]");
}
