//! Look-ups are pinned in `fleetwright.lock`: what is newer is only a note, and what is gone is said.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::public_image_id;

use crate::kit::{BOOT, FLEET, GZ, SH, counts, fleet, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
const LOCK: &str = "fleetwright.lock";
const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";

#[test]
fn the_first_apply_pins_and_a_plan_only_shows() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", BOOT)]);
    let planned = rig.run("plan").expect(Exit::Done);
    says(&planned.out, "<= image.ubuntu will be pinned: the newest image of this name");
    assert!(!rig.dir().join(LOCK).exists());
    rig.settle();
    let lock: serde_json::Value = serde_json::from_str(&rig.read(LOCK)).expect("JSON");
    assert_eq!(lock["public_images"].as_array().map(Vec::len), Some(1));
    assert_eq!(lock["public_images"][0]["id"], public_image_id(GZ, UBUNTU));
    let (before, mark) = (rig.read(LOCK), rig.mark());
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!((rig.read(LOCK), rig.mutations(mark)), (before, counts(&[])));
}

/// A world whose pin is another image than the newest.
fn pinned(to: &str, created: &str) -> Rig {
    let rig = fleet();
    let lock = rig.read(LOCK);
    let lock = lock.replace(&public_image_id(GZ, UBUNTU), to).replace("1767225600000", created);
    rig.write(LOCK, &lock);
    rig
}

#[test]
fn a_pin_that_is_gone_is_said_before_anything_is_done() {
    let rig = pinned("img-00000000", "1700000000000");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Config);
    insta::assert_snapshot!("pin_gone", refused.err);
    assert_eq!(rig.mutations(mark), counts(&[]));
    // What the message says helps.
    let lock = rig.read(LOCK);
    let (head, _) = lock.split_once("\"public_images\": [").expect("the entries");
    rig.write(LOCK, &format!("{head}\"public_images\": []\n}}\n"));
    let planned = rig.run("plan --detailed-exitcode").expect(Exit::Done);
    says(&planned.out, "will be pinned");
}

#[test]
fn without_its_lock_file_a_state_stays_where_it_is_as_long_as_nothing_is_newer() {
    let rig = fleet();
    std::fs::remove_file(rig.dir().join(LOCK)).expect("removed");
    rig.run("plan --detailed-exitcode").expect(Exit::Done);
    rig.run("apply --auto-approve").expect(Exit::Done);
}

#[test]
fn a_damaged_lock_file_is_not_guessed_at() {
    let rig = fleet();
    let whole = rig.read(LOCK);
    let mark = rig.mark();
    for (n, text) in [
        whole.replace("public_images", "public_image"),
        whole.replace("\"format\": 1", "\"format\": 3"),
        whole[..whole.len() / 2].to_owned(),
        String::new(),
        whole.replace("\"public_images\": [", "<<<<<<< ours\n\"public_images\": ["),
    ]
    .iter()
    .enumerate()
    {
        rig.write(LOCK, text);
        let refused = rig.fails(Exit::Config);
        says(&refused.err, "error[bad-lock-file]: fleetwright.lock cannot be used");
        if n == 1 {
            insta::assert_snapshot!("bad_lock_file", refused.err);
        }
    }
    assert_eq!(rig.mutations(mark), counts(&[]));
    rig.write(LOCK, &whole);
    rig.expect_no_changes();
}

#[test]
fn environments_and_regions_share_the_file_and_overwrite_nothing() {
    let rig = fleet();
    let one = rig.read(LOCK);
    rig.run("-e staging apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.read(LOCK), one, "the same look-up, the same pin");
    let more = "  far: { image: ubuntu, count: 1, region: ap-shanghai, zones: [ap-shanghai-2], type: S5.MEDIUM4 }\n";
    rig.edit(SHOP, "fleets:\n", &format!("fleets:\n{more}"));
    rig.settle();
    let lock: serde_json::Value = serde_json::from_str(&rig.read(LOCK)).expect("JSON");
    let ids: Vec<&str> =
        lock["public_images"].as_array().into_iter().flatten().filter_map(|e| e["id"].as_str()).collect();
    assert!(ids.contains(&public_image_id(SH, UBUNTU).as_str()) && ids.len() == 2, "{ids:?}");
}

#[test]
fn a_name_that_nothing_has_and_a_type_that_nothing_fits() {
    let rig = Rig::new(&[(SHOP, &FLEET.replace("22.04 LTS 64bit", "22.04 lts 64bit")), ("boot.sh", BOOT)]);
    let refused = rig.fails(Exit::Config);
    insta::assert_snapshot!("image_not_found", refused.err);
    rig.edit(SHOP, "Ubuntu Server 22.04 lts 64bit", "CentOS 6.10 64bit");
    says(&rig.fails(Exit::Config).err, "no public image of this name in ap-guangzhou can be used");
}
