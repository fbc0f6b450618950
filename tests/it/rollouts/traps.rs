//! What terraform with the vendor's provider does not notice, or notices too late, while an image is changed.

use std::collections::BTreeSet;

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;

use super::Shop;

impl Shop {
    /// One that is reset in the first batch.
    fn first(&self) -> String {
        self.rig.id("fleet.web[0]")
    }

    fn resets(&self, mark: usize) -> usize {
        self.rig.calls(mark).get("ResetInstance").copied().unwrap_or(0)
    }
}

/// The cloud accepts a reset and fails it later: no success is told, nothing else is touched, and it is put right.
#[test]
fn a_reset_that_is_accepted_and_fails_later_is_noticed() {
    let shop = Shop::new(20, "strategy: reset, max_unavailable: 2");
    let good = shop.image();
    shop.script(2, "");
    shop.rig.cloud().inject(Injection::ResetFails { instance: shop.first() });
    let mark = shop.rig.mark();
    let (ran, counts) = shop.apply("apply", Exit::Partly);
    assert!(ran.err.contains("the system disk could not be written"), "{}", ran.err);
    assert!(ran.out.contains("Stopped: the rollout of fleet.web failed"), "{}", ran.out);
    assert_eq!((shop.phase(), shop.resets(mark)), ("stopped".to_owned(), 2));
    assert!(counts.least_serving >= 18, "{counts:?}");
    assert!(shop.runs().contains(&(good, 19)), "{:?}", shop.runs());
    let failed = shop.rig.json("rollout status --json")["rollouts"][0]["failed"].clone();
    assert_eq!(failed, serde_json::json!([0]));
    // Asked to try again, it begins with what is broken.
    let (_, counts) = shop.apply("apply --retry", Exit::Done);
    assert!(counts.least_serving >= 18, "{counts:?}");
    shop.image();
    assert_eq!(shop.phase(), "done");
    shop.rig.expect_no_changes();
}

/// One reset of twenty is refused: the other eighteen of later batches do not go ahead.
#[test]
fn where_one_of_twenty_is_refused_the_others_stay() {
    for back in [false, true] {
        let failure = if back { "rollback" } else { "stop" };
        let shop = Shop::new(20, &format!("strategy: reset, max_unavailable: 2, on_failure: {failure}"));
        let good = shop.image();
        shop.script(2, "");
        let (action, code) = ("ResetInstance".to_owned(), "ResourceInsufficient.CloudDiskUnavailable".to_owned());
        shop.rig.cloud().inject(Injection::Refuse { action, code, times: 1 });
        let mark = shop.rig.mark();
        let (ran, counts) = shop.apply("apply", Exit::Partly);
        assert!(ran.err.contains("CloudDiskUnavailable"), "{}", ran.err);
        assert_eq!(counts.least_serving, 19, "{}", ran.err);
        let (phase, resets) = if back { ("taken_back", 3) } else { ("stopped", 2) };
        assert_eq!((shop.phase().as_str(), shop.resets(mark)), (phase, resets), "{}", ran.err);
        let runs: BTreeSet<(String, usize)> = shop.runs().into_iter().collect();
        assert!(runs.contains(&(good, if back { 20 } else { 19 })), "{runs:?}");
        shop.rig.expect_no_changes();
    }
}
