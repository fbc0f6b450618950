//! No version goes while something declared runs from it.

use fleetwright::cli::Exit;

use super::{SHOP, next, versions, with};
use crate::kit::{GZ, SH, says};
use crate::rig::{OWNER, Rig};

/// How many images there are in a region.
fn count(rig: &Rig, region: &str) -> usize {
    rig.images(region).len()
}

/// A fleet beside the others that stays on what it was launched from.
const SETTLED: &str = "  settled: { image: web, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4, \
                       ignore_changes: [image] }\n";

#[test]
fn a_version_that_a_fleet_keeps_running_from_stays() {
    let rig = with("");
    rig.edit(SHOP, "fleets:\n", &format!("fleets:\n{SETTLED}"));
    rig.settle();
    let first = versions(&rig, "web");
    next(&rig, 2);
    let planned = rig.run("plan").expect(Exit::Done);
    says(&planned.err, &format!("note[still-in-use]: image.web@{} stays in ap-guangzhou", first[0]));
    says(&planned.err, "fleet.settled[0] runs from it, and this plan leaves that so");
    let changed = rig.change();
    // Where nobody runs from it, it goes; where somebody does, it is no longer shared.
    assert_eq!(changed.calls.get("DeleteImages"), Some(&1), "{}", changed.plan);
    assert_eq!((count(&rig, GZ), count(&rig, SH)), (2, 1));
    let holdings = rig.holdings();
    let held = holdings.of(OWNER, GZ).expect("a region");
    let unshared: Vec<_> = held.images.iter().filter(|(_, image)| image.shared_with.is_empty()).collect();
    assert_eq!(unshared.len(), 1);
    let (id, _) = unshared[0];
    assert_eq!(held.instances.values().filter(|one| one.image == *id).count(), 2);
    // Another one comes and goes meanwhile.
    next(&rig, 3);
    rig.change();
    assert_eq!((count(&rig, GZ), count(&rig, SH)), (2, 1));
    assert_eq!(versions(&rig, "web").len(), 2);
    // Once the fleet moves on, nothing holds it.
    rig.edit(SHOP, ", ignore_changes: [image]", "");
    let changed = rig.change();
    assert_eq!(changed.calls.get("DeleteImages"), Some(&1), "{}", changed.plan);
    assert_eq!((count(&rig, GZ), count(&rig, SH)), (1, 1));
}

#[test]
fn an_image_whose_block_is_gone_stays_for_a_fleet_that_does_not_move() {
    let rig = with("");
    rig.edit(SHOP, "fleets:\n", &format!("fleets:\n{SETTLED}"));
    rig.settle();
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("  web:\n").expect("the image");
    let tail = tail.split_once("fleets:\n").expect("fleets").1;
    let tail = tail.split_once("  web:\n").expect("the fleet").0;
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.replace("image: web", "image: ubuntu")));
    let planned = rig.run("plan").expect(Exit::Done);
    says(&planned.err, "note[still-in-use]");
    rig.change();
    assert_eq!((count(&rig, GZ), count(&rig, SH)), (1, 0));
    // With the fleet it goes, too.
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}
