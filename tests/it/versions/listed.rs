//! `fleetwright images`: the lineage as a tree.

use fleetwright::cli::Exit;
use serde_json::Value;

use super::{SHOP, next, versions, with};
use crate::kit::{GZ, counts, says, sources};
use crate::rig::Rig;

fn grown() -> Rig {
    let rig = with("    keep: 2\n    share_kept: true\n");
    rig.settle();
    next(&rig, 2);
    rig.wait_ms(3_600_000);
    rig.settle();
    rig
}

#[test]
fn a_tree_of_two_versions() {
    let mut rig = grown();
    rig.wait_ms(86_400_000 * 3);
    let mark = rig.mark();
    let told = rig.run("images").expect(Exit::Done);
    assert_eq!(told.err, "");
    assert_eq!(rig.calls(mark), counts(&[("DescribeImages", 3)]), "a listing in each region, and the public image");
    insta::assert_snapshot!("images_80", told.out);
    rig.width = 120;
    insta::assert_snapshot!("images_120", rig.run("images").expect(Exit::Done).out);
    let coloured = rig.run("images --color always").expect(Exit::Done).out;
    insta::assert_snapshot!("images_colour", coloured.replace('\u{1b}', "␛"));
    let mark = rig.mark();
    let remembered = rig.run("images --refresh=false").expect(Exit::Done).out;
    assert_eq!(rig.calls(mark), counts(&[]));
    says(&remembered, "Nobody looked at the cloud");
    assert!(!remembered.contains("GiB"), "{remembered}");
}

#[test]
fn the_same_as_json() {
    let rig = grown();
    let json = rig.json("images --json");
    assert_eq!(json["format"], "fleetwright-images/1");
    let images = json["images"].as_array().expect("images");
    let addresses: Vec<&str> = images.iter().filter_map(|image| image["address"].as_str()).collect();
    assert_eq!(addresses, ["image.ubuntu", "image.web"]);
    assert_eq!(images[1]["made_of"], "image.ubuntu");
    let versions = images[1]["versions"].as_array().expect("versions");
    let states: Vec<&Value> = versions.iter().map(|version| &version["states"]).collect();
    assert_eq!(states, [&serde_json::json!(["current"]), &serde_json::json!(["kept"])]);
    let home = &versions[0]["copies"][0];
    assert_eq!((&home["region"], &home["fleets"][0]["instances"]), (&GZ.into(), &3.into()));
    assert_eq!(home["accounts"].as_array().map(Vec::len), Some(2));
    assert!(home["size_gib"].as_u64().is_some_and(|size| size > 0));
}

#[test]
fn what_the_next_plan_makes_and_deletes() {
    let rig = grown();
    let current = versions(&rig, "web");
    next(&rig, 3);
    says(&rig.run("images").expect(Exit::Done).out, "the next plan makes it");
    rig.edit(SHOP, "    keep: 2\n    share_kept: true\n", "");
    let told = rig.run("images").expect(Exit::Done).out;
    insta::assert_snapshot!("images_going", told);
    assert_eq!(current.len(), 2);
    // Of what the config no longer has all goes.
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("  web:\n").expect("the image");
    let tail = tail.split_once("fleets:\n").expect("fleets").1;
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.replace("image: web", "image: ubuntu")));
    says(&rig.run("images").expect(Exit::Done).out, "image.web not in the config");
}

#[test]
fn many_versions_fold() {
    let rig = with("    keep: 9\n");
    rig.settle();
    for n in 2..11 {
        next(&rig, n);
        rig.run("apply --auto-approve").expect(Exit::Done);
    }
    let told = rig.run("images").expect(Exit::Done).out;
    insta::assert_snapshot!("images_many", told);
    let all = rig.run("images -v").expect(Exit::Done).out;
    assert!(all.lines().count() > told.lines().count() + 8, "{all}");
}

#[test]
fn images_from_everywhere_before_and_after() {
    let rig = sources();
    insta::assert_snapshot!("images_nothing_yet", rig.run("images").expect(Exit::Done).out);
    rig.settle();
    insta::assert_snapshot!("images_sources", rig.run("images").expect(Exit::Done).out);
}

#[test]
fn what_somebody_deleted_and_what_is_revoked() {
    let rig = grown();
    let version = versions(&rig, "web");
    rig.edit(SHOP, "    keep: 2\n", &format!("    keep: 2\n    revoke: [\"{}\"]\n", version[0]));
    let id = rig.images("ap-shanghai").into_values().next().expect("an image");
    let cancel = serde_json::json!({
        "ImageId": id, "AccountIds": ["100000000002", "100000000003"], "Permission": "CANCEL",
    });
    rig.by_hand("ap-shanghai", "ModifyImageSharePermission", &cancel);
    rig.by_hand("ap-shanghai", "DeleteImages", &serde_json::json!({"ImageIds": [id]}));
    rig.wait_ms(60_000);
    let told = rig.run("images").expect(Exit::Done).out;
    says(&told, "revoked: nothing is launched from it");
    says(&told, "deleted outside");
}
