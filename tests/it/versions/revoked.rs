//! A revoked version: nothing is launched from it, nor from what descends from it; what runs goes on running.

use fleetwright::cli::Exit;

use super::{SHOP, versions};
use crate::kit::{BOOT, GZ, counts, says};
use crate::rig::Rig;

/// An image, another one that is captured from a machine that runs from it, an encrypted copy of that, and fleets.
const CHAIN: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
  base:
    from_instance: { instance: "fleet.base_builder[0]", ready: stopped }
    version: "1"
    keep: 1
  app:
    from_instance: { instance: "fleet.app_builder[0]", ready: stopped }
    keep: 1
  sealed:
    copy: { image: app, encrypt: true }
fleets:
  base_builder: { image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, user_data: { file: boot.sh } }
  app_builder: { image: base, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, user_data: { file: boot.sh } }
  web: { image: app, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  vault: { image: sealed, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

fn chain() -> Rig {
    let rig = Rig::new(&[(SHOP, CHAIN), ("boot.sh", BOOT)]);
    rig.settle();
    rig
}

fn revoke(rig: &Rig, version: &str) {
    rig.edit(SHOP, "    version: \"1\"\n", &format!("    version: \"1\"\n    revoke: [\"{version}\"]\n"));
}

#[test]
fn what_runs_is_told_of_and_what_would_be_launched_is_refused() {
    let rig = chain();
    revoke(&rig, "1");
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    insta::assert_snapshot!("revoked_warnings", planned.err);
    rig.edit(SHOP, "image: app, count: 2", "image: app, count: 4");
    rig.edit(SHOP, "image: sealed, count: 1", "image: sealed, count: 2");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Guard);
    insta::assert_snapshot!("revoked_launches", refused.err);
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn replacements_and_resets_are_launches() {
    let rig = chain();
    revoke(&rig, "1");
    says(
        &rig.run("plan --replace fleet.web[1]").expect(Exit::Guard).err,
        "error[revoked]: fleet.web would be launched",
    );
    // An instance that somebody deleted is not launched anew, either.
    let id = rig.id("fleet.web[0]");
    rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({"InstanceIds": [id]}));
    rig.wait_ms(60_000);
    says(&rig.fails(Exit::Guard).err, "this plan would launch or reset fleet.web[0]#2");
}

#[test]
fn a_new_version_leads_out_of_it() {
    let rig = chain();
    revoke(&rig, "1");
    let before = versions(&rig, "app");
    rig.edit(SHOP, "    version: \"1\"\n", "    version: \"2\"\n");
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo patched"));
    let planned = rig.run("plan").expect(Exit::Done);
    assert!(!planned.err.contains("[revoked"), "{}", planned.err);
    rig.change();
    // Everything that comes from it was made anew, and the revoked one is kept while there is room for it.
    let after = versions(&rig, "app");
    assert!(after.len() == 2 && after.contains(&before[0]), "{after:?}");
    assert_eq!(versions(&rig, "base"), ["1", "2"]);
    // To go back is refused.
    rig.edit(SHOP, "    version: \"2\"\n", "    version: \"1\"\n");
    rig.write("boot.sh", BOOT);
    let refused = rig.fails(Exit::Guard).err;
    says(&refused, "error[revoked]: fleet.app_builder would be launched from image.base@1, which is revoked");
    says(&refused, &format!("image.app@{}, which comes from image.base@1: that version is revoked", before[0]));
}

#[test]
fn what_is_revoked_is_not_kept_in_preference_to_others() {
    let rig = chain();
    for n in 2..4 {
        rig.edit(SHOP, &format!("    version: \"{}\"\n", n - 1), &format!("    version: \"{n}\"\n"));
        rig.write("boot.sh", &BOOT.replace("echo shop", &format!("echo shop {n}")));
        if n == 3 {
            rig.edit(SHOP, "    version: \"3\"\n", "    version: \"3\"\n    revoke: [\"2\"]\n");
        }
        rig.settle();
    }
    assert_eq!(versions(&rig, "base"), ["1", "3"], "the older one, for the newer is revoked");
    rig.edit(SHOP, "    version: \"3\"\n    revoke: [\"2\"]\n", "    version: \"4\"\n    revoke: [\"2\"]\n");
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 4"));
    rig.settle();
    assert_eq!(versions(&rig, "base"), ["3", "4"]);
    rig.edit(SHOP, "    keep: 1\n  app:", "    keep: 2\n  app:");
    rig.edit(SHOP, "    version: \"4\"\n    revoke: [\"2\"]\n", "    version: \"5\"\n    revoke: [\"4\"]\n");
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 5"));
    rig.settle();
    assert_eq!(versions(&rig, "base"), ["3", "4", "5"]);
    rig.edit(SHOP, "    keep: 2\n  app:", "    keep: 1\n  app:");
    rig.settle();
    assert_eq!(versions(&rig, "base"), ["3", "5"], "the older one, for the newer is revoked");
}

#[test]
fn a_version_that_there_never_was_is_doubted() {
    let rig = chain();
    revoke(&rig, "l");
    let planned = rig.run("plan").expect(Exit::Done);
    insta::assert_snapshot!("revoked_unknown", planned.err);
}

#[test]
fn a_revoked_version_that_is_shared_is_told_of() {
    let rig = chain();
    rig.edit(SHOP, "fleets:\n", "shares:\n  partners: { image: app, accounts: [\"100000000002\"] }\nfleets:\n");
    rig.settle();
    revoke(&rig, "1");
    let planned = rig.run("plan").expect(Exit::Done);
    says(&planned.err, "warning[revoked-in-use]: share.partners shares image.app@");
    says(&planned.err, "what others launch is theirs to say: it is shared with 100000000002");
}
