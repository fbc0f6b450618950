//! Older versions: which stay, how they are marked, how one comes back, and what is protected.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::limits::Limits;

use crate::kit::{BOOT, GZ, IMAGE, SH, counts, quick, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";

fn with(more: &str) -> String {
    IMAGE.replace("    description: \"the shop\"\n", more)
}

/// Another version, derived from what machines boot with.
fn next(rig: &Rig, n: u32) {
    rig.write("boot.sh", &BOOT.replace("echo shop", &format!("echo shop {n}")));
}

/// The images of a region: how many, and how many of them are marked as deprecated.
fn marked(rig: &Rig, region: &str) -> (usize, usize) {
    let holdings = rig.holdings();
    let images = &holdings.of(OWNER, region).expect("a region").images;
    (images.len(), images.values().filter(|image| image.deprecated).count())
}

#[test]
fn as_many_as_are_asked_for_stay_and_the_oldest_go() {
    let rig = Rig::new(&[(SHOP, &with("    keep: 2\n    deprecate_kept: true\n")), ("boot.sh", BOOT)]);
    rig.settle();
    for n in 2..4 {
        next(&rig, n);
        let changed = rig.change();
        assert_eq!(changed.calls.get("DeleteImages"), None, "{}", changed.plan);
        // The one before is marked where it is; those before that are marked already.
        assert_eq!(changed.calls.get("ModifyImageAttribute"), Some(&2));
        changed.says("a newer version takes its place");
    }
    assert_eq!((marked(&rig, GZ), marked(&rig, SH)), ((3, 2), (3, 2)));
    next(&rig, 4);
    let changed = rig.change();
    assert_eq!(changed.calls.get("DeleteImages"), Some(&2));
    assert_eq!((marked(&rig, GZ), marked(&rig, SH)), ((3, 2), (3, 2)));
    // Only the current version is shared.
    let holdings = rig.holdings();
    let shared = holdings.of(OWNER, SH).expect("a region").images.values();
    assert!(shared.into_iter().all(|image| image.deprecated == image.shared_with.is_empty()), "{holdings:#?}");
    rig.edit(SHOP, "keep: 2", "keep: 1");
    rig.change().closes(0, 0, 0, 2).took(&[("DeleteImages", 2)]);
    // Without the wish, the marks are taken back.
    rig.edit(SHOP, "    deprecate_kept: true\n", "");
    rig.change().took(&[("ModifyImageAttribute", 2)]);
    assert_eq!((marked(&rig, GZ), marked(&rig, SH)), ((2, 0), (2, 0)));
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn a_kept_version_comes_back_without_a_capture() {
    let rig = Rig::new(&[(SHOP, &with("    keep: 1\n    deprecate_kept: true\n")), ("boot.sh", BOOT)]);
    rig.settle();
    let first = rig.images(GZ);
    next(&rig, 2);
    rig.settle();
    rig.write("boot.sh", BOOT);
    let changed = rig.change();
    assert!(
        !changed.calls.contains_key("CreateImage") && !changed.calls.contains_key("SyncImages"),
        "{}",
        changed.plan
    );
    // Both are marked anew, in both regions.
    assert_eq!(changed.calls.get("ModifyImageAttribute"), Some(&4));
    assert_eq!((marked(&rig, GZ), marked(&rig, SH)), ((2, 1), (2, 1)));
    let (_, id) = first.first_key_value().expect("an image");
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ).expect("a region");
    assert!(!held.images[id].deprecated);
    assert_eq!(held.instances.values().filter(|one| one.image == *id).count(), 3, "the fleet runs from it again");
    // And the builder may go: what is in use stays, though it is the older one.
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("  builder:\n").expect("a builder");
    rig.write(SHOP, &format!("{head}  web:\n{}", tail.split_once("  web:\n").expect("a fleet").1));
    rig.change().took(&[("TerminateInstances", 1)]);
}

#[test]
fn an_explicit_version_comes_back_with_what_it_was_made_of() {
    let rig = Rig::new(&[(SHOP, &with("    version: \"1\"\n    keep: 1\n")), ("boot.sh", BOOT)]);
    rig.settle();
    next(&rig, 2);
    rig.edit(SHOP, "version: \"1\"", "version: \"2\"");
    rig.settle();
    rig.edit(SHOP, "version: \"2\"", "version: \"1\"");
    says(&rig.fails(Exit::Config).err, "to go back to it, put back what it was made of as well");
    rig.write("boot.sh", BOOT);
    let changed = rig.change();
    assert!(!changed.calls.contains_key("CreateImage"), "{}", changed.plan);
    assert_eq!(marked(&rig, GZ), (2, 0));
}

#[test]
fn what_is_to_stay_makes_no_room() {
    let limits = Limits { images_per_region: 2, ..Limits::EMBEDDED };
    let rig = Rig::with(&[(SHOP, &with("    keep: 2\n")), ("boot.sh", BOOT)], Settings { limits, ..quick() });
    rig.settle();
    next(&rig, 2);
    rig.settle();
    next(&rig, 3);
    let mark = rig.mark();
    let refused = rig.fails(Exit::Infeasible).err;
    says(&refused, "error[image-quota]");
    says(&refused, "this would do: set `keep: 1` in `images.web`");
    assert_eq!(rig.mutations(mark), counts(&[]));
    rig.edit(SHOP, "keep: 2", "keep: 1");
    rig.change();
    assert_eq!(marked(&rig, GZ), (2, 0));
}

#[test]
fn protected_copies_are_named_and_stay() {
    let rig = Rig::new(&[(SHOP, &with("    protect: true\n")), ("boot.sh", BOOT)]);
    rig.settle();
    next(&rig, 2);
    let mark = rig.mark();
    let refused = rig.fails(Exit::Guard).err;
    insta::assert_snapshot!("image_protected", refused);
    says(&rig.run("destroy --auto-approve").expect(Exit::Guard).err, "error[protected]: image.web is protected");
    // Nor does the block take them along when it is removed.
    let whole = rig.read(SHOP);
    let (head, tail) = whole.split_once("  web:\n").expect("the image");
    let tail = tail.split_once("fleets:\n").expect("fleets").1;
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.replace("image: web", "image: ubuntu")));
    says(&rig.fails(Exit::Guard).err, "set `protect: false` in images.web");
    assert_eq!(rig.mutations(mark), counts(&[]));
    rig.write(SHOP, &whole);
    rig.write("boot.sh", BOOT);
    rig.edit(SHOP, "protect: true", "protect: false");
    rig.change().closes(0, 2, 0, 0).took(&[]);
    next(&rig, 2);
    rig.change();
    rig.run("destroy --auto-approve").expect(Exit::Done);
}

#[test]
fn a_version_bears_the_name_that_the_config_gives_it() {
    let rig = Rig::new(&[
        (SHOP, &with("    version: \"1\"\n    name: \"acme-{version}-web\"\n    family: acme\n")),
        ("boot.sh", BOOT),
    ]);
    rig.settle();
    assert_eq!(rig.images(SH).into_keys().collect::<Vec<_>>(), ["acme-1-web"]);
    let holdings = rig.holdings();
    for region in [GZ, SH] {
        assert!(holdings.of(OWNER, region).expect("a region").images.values().all(|image| image.family == "acme"));
    }
    rig.edit(SHOP, "acme-{version}-web", "ajax-{version}");
    rig.edit(SHOP, "version: \"1\"", "version: \"2\"");
    rig.change();
    assert_eq!(rig.images(GZ).into_keys().collect::<Vec<_>>(), ["ajax-2"]);
}
