//! States that released versions wrote open for ever, and are planned with.

use std::fs;
use std::path::PathBuf;

use fleetwright::cli::Exit;

use crate::kit::{BOOT, says};
use crate::rig::Rig;

/// Images of every source, and fleets with everything that a slot's spec may hold.
const SHOP: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
trusted_owners: ["100000000002"]
images:
  ubuntu: { public: { name: "Ubuntu Server 22.04 LTS 64bit" } }
  web:
    from_instance: { instance: "fleet.builder[0]", ready: stopped }
    description: "the shop"
    regions: [ap-guangzhou, ap-shanghai]
    family: shop
    keep: 1
    deprecate_kept: true
    tags: { app: web }
    protect: true
  legacy:
    import:
      url: "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/legacy.qcow2"
      os: CentOS
      os_version: "7"
      architecture: x86_64
      license: BYOL
  locked: { copy: { image: legacy, encrypt: true } }
  partner: { shared: { id: img-8toqc6s3, owner: "100000000002" } }
shares:
  partners: { image: web, accounts: ["100000000002", "100000000003"] }
fleets:
  builder: { image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, user_data: { file: boot.sh } }
  web:
    image: web
    count: 3
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    system_disk: { type: CLOUD_PREMIUM, size: 60 }
    data_disks: [{ type: CLOUD_PREMIUM, size: 100 }]
    internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5, public_ip: true }
    login: { keep_image_login: true }
    hostname: "web-{zone}-{ordinal}"
    tags: { app: web }
    protect: true
    ignore_changes: [tags]
  paid:
    image: partner
    count: 1
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    charge_type: PREPAID
    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }
  spare:
    image: locked
    count: 2
    zones: [ap-guangzhou-4]
    type: S5.MEDIUM4
    charge_type: SPOTPAID
    spot: { max_price: "0.5" }
    state: stopped
"#;

fn fixture() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v2.db"))
}

/// A world in which two versions were made, and the oldest run was pruned.
fn world() -> Rig {
    let rig = Rig::new(&[("shop.yaml", SHOP), ("boot.sh", BOOT)]);
    rig.settle();
    rig.write("boot.sh", &format!("{BOOT}# another version\n"));
    rig.edit("shop.yaml", "protect: true\n    ignore", "protect: false\n    ignore");
    rig.settle();
    rig.edit("shop.yaml", "protect: false\n    ignore", "protect: true\n    ignore");
    rig.settle();
    rig.run("history prune --keep 2 --auto-approve").expect(Exit::Done);
    rig
}

#[test]
#[expect(clippy::disallowed_methods, reason = "fixtures are rewritten only when a person asks for it")]
fn a_state_of_the_second_schema_opens_and_is_planned_with() {
    let rig = world();
    let file = rig.dir().join("state/default.db");
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !fixture().exists() {
        fs::copy(&file, fixture()).expect("copied");
        rusqlite::Connection::open(fixture()).expect("opened").execute_batch("VACUUM").expect("made small");
    }
    fs::copy(fixture(), &file).expect("copied");
    let before = fs::read(&file).expect("the state");
    // From memory, so that it is the state alone that counts, and not what a cloud of today has.
    rig.run("plan --refresh=false --detailed-exitcode").expect(Exit::Done);
    let list = rig.run("state list -v").expect(Exit::Done).out;
    let told = |addr: &str| rig.run(&format!("state show {addr}")).expect(Exit::Done).out;
    let history = rig.run("history").expect(Exit::Done).out;
    insta::assert_snapshot!(
        "state_v2",
        format!("{list}\n{}\n{}\n{history}", told("fleet.web[0]#2"), told("fleet.spare[0]"))
    );
    assert_eq!(fs::read(&file).expect("the state"), before, "looking changes nothing");
    // It remembers what is protected, and what was made of what.
    rig.edit("shop.yaml", "partners: { image: web", "partners: { image: legacy");
    says(&rig.run("plan --refresh=false").expect(Exit::Config).err, "error[byol-image]");
    rig.edit("shop.yaml", "partners: { image: legacy", "partners: { image: web");
    rig.edit("shop.yaml", "count: 3", "count: 2");
    says(&rig.run("plan --refresh=false").expect(Exit::Guard).err, "fleet.web[2]");
    rig.edit("shop.yaml", "count: 2\n    zones: [ap-guangzhou-3, ", "count: 4\n    zones: [ap-guangzhou-3, ");
    says(&rig.run("plan --refresh=false").expect(Exit::Done).out, "Plan: 1 to add, 0 to change");
}
