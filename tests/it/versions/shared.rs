//! Shares follow the current version, and with `share_kept` the kept ones, too. A consumer has an image at every moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use fleetwright::cli::Exit;
use fleetwright::cloud::clock::Clock;
use fleetwright::ops::Hooks;

use super::{SHOP, next, with};
use crate::between::between;
use crate::kit::{GZ, SH, says};
use crate::rig::{OWNER, Rig};

const BOTH: &str = "[\"100000000002\", \"100000000003\"]";

/// Hooks under which it is noted, before and after every call, where an account cannot launch from any image of ours.
fn watched(rig: &Rig, accounts: &[&str]) -> (Hooks, Arc<Mutex<BTreeSet<String>>>) {
    let without = Arc::new(Mutex::new(BTreeSet::new()));
    let (cloud, clock, noted) = (rig.cloud(), Arc::clone(&rig.clock), Arc::clone(&without));
    let accounts: Vec<String> = accounts.iter().map(|account| (*account).to_owned()).collect();
    let hooks = between(move |inner, call, signed_ms| {
        let look = || {
            let holdings = cloud.holdings(clock.now_ms()).expect("holdings");
            for region in [GZ, SH] {
                let images = holdings.of(OWNER, region).into_iter().flat_map(|held| held.images.values());
                let usable: Vec<_> =
                    images.filter(|image| image.state == "NORMAL" || image.state == "SYNCING").collect();
                for account in &accounts {
                    if !usable.iter().any(|image| image.shared_with.iter().any(|uin| uin.as_str() == account)) {
                        noted.lock().expect("no panic before").insert(format!("{account} in {region}"));
                    }
                }
            }
        };
        look();
        let answer = inner.call(call, signed_ms);
        look();
        answer
    });
    (hooks, without)
}

/// How many images of a region are shared with whom, by how many accounts each has.
fn shared(rig: &Rig, region: &str) -> Vec<usize> {
    let holdings = rig.holdings();
    let mut counts: Vec<usize> =
        holdings.of(OWNER, region).expect("a region").images.values().map(|image| image.shared_with.len()).collect();
    counts.sort_unstable();
    counts
}

#[test]
fn a_consumer_has_an_image_at_every_moment_of_a_new_version() {
    for more in ["", "    keep: 1\n", "    keep: 1\n    share_kept: true\n", "    keep: 1\n    deprecate_kept: true\n"]
    {
        let rig = with(more);
        rig.settle();
        for n in 2..5 {
            next(&rig, n);
            let (hooks, without) = watched(&rig, &["100000000002", "100000000003"]);
            rig.change_with("", hooks);
            assert_eq!(*without.lock().expect("no panic"), BTreeSet::new(), "{more:?}, version {n}");
        }
    }
}

#[test]
fn kept_versions_stay_shared_where_the_config_says_so() {
    let rig = with("    keep: 1\n    share_kept: true\n");
    rig.settle();
    next(&rig, 2);
    // Nothing is taken away: the new version is shared, and the old one stays so.
    let changed = rig.change();
    assert_eq!(changed.calls.get("ModifyImageSharePermission"), Some(&2), "{}", changed.plan);
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![2, 2], vec![2, 2]));
    next(&rig, 3);
    // The oldest is shared no more, and goes.
    let changed = rig.change();
    assert_eq!(changed.calls.get("ModifyImageSharePermission"), Some(&4), "{}", changed.plan);
    assert_eq!(changed.calls.get("DeleteImages"), Some(&2));
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![2, 2], vec![2, 2]));
    // Accounts that come and go do so on all of them.
    rig.edit(SHOP, BOTH, "[\"100000000003\", \"100000000004\", \"100000000005\"]");
    rig.change().closes(0, 4, 0, 0).took(&[("ModifyImageSharePermission", 8)]);
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![3, 3], vec![3, 3]));
    // Without the wish the older one is ours alone again.
    rig.edit(SHOP, "    share_kept: true\n", "");
    rig.change().took(&[("ModifyImageSharePermission", 2)]);
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![0, 3], vec![0, 3]));
    // And with it, it is shared anew.
    rig.edit(SHOP, "    keep: 1\n", "    keep: 1\n    share_kept: true\n");
    let changed = rig.change();
    changed.took(&[("ModifyImageSharePermission", 2)]);
    changed.says("share_kept");
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![3, 3], vec![3, 3]));
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn a_version_that_comes_back_was_shared_all_along() {
    let rig = with("    keep: 1\n    share_kept: true\n");
    rig.settle();
    next(&rig, 2);
    rig.settle();
    rig.write("boot.sh", crate::kit::BOOT);
    let (hooks, without) = watched(&rig, &["100000000002", "100000000003"]);
    let changed = rig.change_with("", hooks);
    assert_eq!(changed.calls.get("ModifyImageSharePermission"), None, "{}", changed.plan);
    assert_eq!(*without.lock().expect("no panic"), BTreeSet::new());
}

#[test]
fn a_share_that_is_removed_is_removed_from_all_versions() {
    let rig = with("    keep: 1\n    share_kept: true\n");
    rig.settle();
    next(&rig, 2);
    rig.settle();
    let text = rig.read(SHOP);
    let (head, tail) = text.split_once("shares:\n").expect("shares");
    rig.write(SHOP, &format!("{head}fleets:\n{}", tail.split_once("fleets:\n").expect("fleets").1));
    rig.change().took(&[("ModifyImageSharePermission", 4)]);
    assert_eq!((shared(&rig, GZ), shared(&rig, SH)), (vec![0, 0], vec![0, 0]));
}

#[test]
fn what_the_plan_of_a_new_version_says_of_kept_shares() {
    let rig = with("    keep: 1\n    share_kept: true\n");
    rig.settle();
    next(&rig, 2);
    let plan = rig.run("plan").expect(Exit::Done).out;
    assert!(!plan.contains("the share will be cancelled"), "{plan}");
    says(&plan, "share.partners");
}
