//! Which older versions stay: whatever still runs has its image, and what is known to work can be gone back to.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;

use super::{BAD, LATE, PREFIX, SHOP, Shop};
use crate::kit::GZ;

impl Shop {
    /// The images of the fleet, by name.
    fn images(&self) -> Vec<String> {
        self.rig.images(GZ).into_keys().filter(|name| name.starts_with("shop-default-web-")).collect()
    }
}

#[test]
fn a_slot_that_may_fail_keeps_its_image() {
    let shop = Shop::new(3, "strategy: replace, max_surge: 1, max_unavailable: 0, max_failures: 1, min_ready: 5s");
    shop.rig.edit(SHOP, "keep: 1", "keep: 0");
    let before = shop.image();
    shop.script(2, "");
    shop.rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-0".into() });
    shop.apply("apply", Exit::Partly);
    assert_eq!(shop.phase(), "done");
    assert!(shop.runs().contains(&(before.clone(), 1)), "{:?}", shop.runs());
    assert!(shop.images().contains(&before), "an instance runs from it");
    // Once that slot has its new instance as well, nothing holds the old version.
    shop.apply("apply", Exit::Done);
    assert_ne!(shop.image(), before);
    assert!(!shop.images().contains(&before));
    shop.rig.expect_no_changes();
}

#[test]
fn no_image_goes_before_it_is_known_that_nobody_wants_it_back() {
    for update in ["strategy: reset, max_unavailable: 2", "strategy: replace, max_unavailable: 2"] {
        let shop = Shop::new(2, &format!("{update}, on_failure: rollback"));
        shop.rig.edit(SHOP, "keep: 1", "keep: 0");
        let good = shop.image();
        shop.script(2, BAD);
        shop.apply("apply", Exit::Partly);
        assert_eq!((shop.image(), shop.phase()), (good, "taken_back".to_owned()), "{update}");
        shop.rig.expect_no_changes();
    }
}

/// The second version stopped half-way, and so did the third: three versions run.
#[test]
fn what_a_rollout_left_behind_keeps_its_image_whatever_changes_in_place() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 1, max_failures: 1, bake: 1m");
    shop.rig.edit(SHOP, "keep: 1", "keep: 0");
    shop.script(2, LATE);
    shop.apply("apply", Exit::Partly);
    shop.script(3, BAD);
    shop.rig.edit(SHOP, "    image: web\n", "    image: web\n    tags: { tier: front }\n");
    shop.apply("apply", Exit::Partly);
    let runs = shop.runs();
    assert!(runs.len() > 1, "{runs:?}");
    for _ in 0..3 {
        shop.rig.run("apply --auto-approve");
        assert_eq!(shop.runs(), runs, "each runs from an image that is there");
    }
    for (_, id) in shop.rig.instances(GZ).into_iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let tags = shop.rig.instance(&id).tags;
        assert_eq!(tags.get("tier").map(String::as_str), Some("front"), "{tags:?}");
    }
}

#[test]
fn what_ran_before_is_kept_rather_than_what_did_not_work() {
    let shop = Shop::new(2, "strategy: replace, max_surge: 1, max_unavailable: 0, on_failure: rollback");
    let good = shop.image();
    shop.script(2, BAD);
    shop.apply("apply", Exit::Partly);
    assert_eq!(shop.image(), good);
    shop.script(3, "# sim: baked well");
    shop.apply("apply", Exit::Done);
    let third = shop.image();
    assert_eq!(shop.images(), sorted([good.clone(), third.clone()]), "`keep: 1` is one to go back to");
    shop.rig.expect_no_changes();
    shop.apply("rollout rollback web", Exit::Done);
    assert_eq!(shop.image(), good);
    // What comes next has the one before it to go back to.
    shop.script(4, "# sim: baked well");
    shop.apply("apply", Exit::Done);
    let fourth = shop.image();
    assert_eq!(shop.images(), sorted([good, fourth]));
}

fn sorted(mut names: [String; 2]) -> Vec<String> {
    names.sort();
    names.to_vec()
}
