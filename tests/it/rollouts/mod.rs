//! Rollouts, as the cloud sees them: batch by batch, never with fewer instances than there may be, back again where a
//! version turns out to be bad, and taken up wherever they were left.

mod counted;
mod kept;
mod traps;

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use serde_json::Value;

use crate::kit::GZ;
use crate::rig::{Ran, Rig};
use counted::Counts;

const SHOP: &str = "shop.yaml";
const PREFIX: &str = "shop-default-web-";

/// An image that is captured from a builder, and a fleet that runs from it and answers.
fn config(count: u32, update: &str) -> String {
    format!(
        r#"project: shop
cloud: {{ provider: embedded, region: ap-guangzhou }}
images:
  ubuntu:
    public: {{ name: "Ubuntu Server 22.04 LTS 64bit" }}
  web:
    from_instance: {{ instance: "fleet.builder[0]", ready: stopped }}
    keep: 1
fleets:
  builder:
    image: ubuntu
    count: 1
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    user_data: {{ file: build.sh }}
  web:
    image: web
    count: {count}
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: {{ key_ids: [skey-8a7c6b5d] }}
    health: {{ http: {{ port: 80 }}, interval: 1s, threshold: 2, deadline: 1m }}
    update: {{ {update} }}
"#
    )
}

/// What the builder runs: `version` tells one from the next, and `more` what machines are that run from it.
fn script(version: u32, more: &str) -> String {
    format!("#!/bin/sh\n# sim: poweroff after=5s\n{more}\necho {version}\n")
}

const BAD: &str = "# sim: baked http status=500";
/// Healthy at first, so that a gate lets it pass that does not bake.
const LATE: &str = "# sim: baked unhealthy after=20s";

struct Shop {
    rig: Rig,
    count: u32,
}

impl Shop {
    fn new(count: u32, update: &str) -> Self {
        let limits = Limits { instances_per_zone: 400, ..Limits::EMBEDDED };
        let settings = Settings { log: true, ..Settings::new(Latency::Quick, limits, 7) };
        let rig = Rig::with(&[(SHOP, &config(count, update)), ("build.sh", &script(1, ""))], settings);
        rig.run("apply --auto-approve").expect(Exit::Done);
        Self { rig, count }
    }

    fn script(&self, version: u32, more: &str) {
        self.rig.write("build.sh", &script(version, more));
    }

    /// Applies, while the cloud counts.
    fn apply(&self, args: &str, exit: Exit) -> (Ran, Counts) {
        let (hooks, counts) = counted::hooks(&self.rig, PREFIX);
        let ran = self.rig.run_with(&format!("{args} --auto-approve"), hooks).expect(exit);
        let counts = *counts.lock().expect("no panic before");
        (ran, counts)
    }

    /// Which images the fleet's instances run from, by name, and how many of each.
    fn runs(&self) -> Vec<(String, usize)> {
        let images: std::collections::BTreeMap<String, String> =
            self.rig.images(GZ).into_iter().map(|(name, id)| (id, name)).collect();
        let mut runs = std::collections::BTreeMap::new();
        for (name, id) in self.rig.instances(GZ) {
            if name.starts_with(PREFIX) {
                let image = images[&self.rig.instance(&id).image].clone();
                *runs.entry(image).or_insert(0) += 1;
            }
        }
        runs.into_iter().collect()
    }

    /// The one image that all of them run from.
    fn image(&self) -> String {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert_eq!(runs[0].1, self.count as usize);
        runs[0].0.clone()
    }

    fn phase(&self) -> String {
        let status = self.rig.json("rollout status --json");
        let of = |value: &Value| value["rollouts"][0]["phase"].as_str().map(str::to_owned);
        of(&status).unwrap_or_else(|| panic!("{status:#}"))
    }
}

#[test]
fn a_new_version_is_there_before_the_old_one_goes() {
    let shop =
        Shop::new(6, "strategy: replace, max_surge: 2, max_unavailable: 0, canary: 1, min_ready: 10s, bake: 30s");
    let before = shop.image();
    shop.script(2, "");
    let (ran, counts) = shop.apply("apply", Exit::Done);
    assert_ne!(shop.image(), before);
    assert_eq!((counts.least_serving, counts.most), (6, 8), "{}", ran.err);
    // A canary and three batches, each with its launches and its end.
    assert_eq!(shop.phase(), "done");
    shop.rig.expect_no_changes();
}

#[test]
fn no_more_are_away_than_the_config_allows() {
    for (update, least, most) in [
        ("strategy: replace, max_unavailable: 2, min_ready: 5s", 4, 6),
        ("strategy: reset, max_unavailable: 2, min_ready: 5s", 4, 6),
        ("strategy: replace, max_surge: 1, max_unavailable: 1, min_ready: 5s", 5, 7),
        ("strategy: auto, max_surge: 50%, max_unavailable: 1, order: slots, batch: 3", 5, 9),
    ] {
        let shop = Shop::new(6, update);
        shop.script(2, "");
        let (ran, counts) = shop.apply("apply", Exit::Done);
        shop.image();
        assert!(counts.least_serving >= least && counts.most <= most, "{update}: {counts:?}\n{}", ran.err);
        shop.rig.expect_no_changes();
    }
}

#[test]
fn a_bad_version_is_taken_back_and_stays_away() {
    let update = "strategy: replace, max_surge: 1, max_unavailable: 0, canary: 1, on_failure: rollback";
    let shop = Shop::new(5, update);
    let good = shop.image();
    shop.script(2, BAD);
    let (ran, counts) = shop.apply("apply", Exit::Partly);
    assert_eq!(shop.image(), good, "{}", ran.err);
    assert_eq!((counts.least_serving, counts.most), (5, 6), "{}", ran.err);
    assert_eq!(shop.phase(), "taken_back");
    // While the config asks for the same, nothing is done.
    shop.rig.expect_no_changes();
    // Asked to try again, it tries; and fails again.
    shop.apply("apply --retry", Exit::Partly);
    assert_eq!(shop.image(), good);
    shop.rig.expect_no_changes();
    // What changed is another thing.
    shop.script(3, "# sim: baked well");
    shop.apply("apply", Exit::Done);
    assert_ne!(shop.image(), good);
    assert_eq!(shop.phase(), "done");
    shop.rig.expect_no_changes();
}

#[test]
fn a_version_that_turns_bad_while_it_bakes_is_taken_back_from_all_that_run_it() {
    let update = "strategy: replace, max_unavailable: 2, batch: 2, min_ready: 5s, bake: 1m, on_failure: rollback";
    let shop = Shop::new(4, update);
    let good = shop.image();
    shop.script(2, LATE);
    let (ran, counts) = shop.apply("apply", Exit::Partly);
    assert_eq!(shop.image(), good, "{}", ran.err);
    assert!(counts.least_serving >= 2, "{counts:?}\n{}", ran.err);
    shop.rig.expect_no_changes();
}

/// One round after the other, and in the end all of the batch has to stay healthy.
#[test]
fn a_batch_of_several_rounds_bakes_as_a_whole() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 1, batch: 4, order: slots, min_ready: 2s, bake: 1m");
    shop.script(2, LATE);
    let (ran, counts) = shop.apply("apply", Exit::Partly);
    let failed = shop.rig.json("rollout status --json")["rollouts"][0]["failed"].clone();
    assert_eq!(failed, serde_json::json!([0]), "the first round is looked at in the last one too: {}", ran.err);
    assert_eq!((shop.phase(), counts.least_serving), ("stopped".to_owned(), 3));
    shop.rig.expect_no_changes();
    shop.script(3, "# sim: baked well");
    let (ran, _) = shop.apply("apply", Exit::Done);
    shop.image();
    assert_eq!(shop.phase(), "done", "{}", ran.err);
}

#[test]
fn a_rollout_that_only_stops_leaves_what_it_did() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 1, canary: 1");
    let good = shop.image();
    shop.script(2, BAD);
    shop.apply("apply", Exit::Partly);
    let runs = shop.runs();
    assert_eq!(runs.iter().map(|(_, n)| *n).collect::<Vec<_>>().iter().sum::<usize>(), 4);
    assert!(runs.contains(&(good.clone(), 3)), "{runs:?}");
    assert_eq!(shop.phase(), "stopped");
    shop.rig.expect_no_changes();
    shop.rig.run("rollout rollback web --auto-approve").expect(Exit::Done);
    assert_eq!(shop.image(), good);
    shop.rig.expect_no_changes();
}

#[test]
fn a_pause_waits_for_somebody() {
    let update = "strategy: replace, max_surge: 1, max_unavailable: 0, canary: 2, pause: after_canary, min_ready: 5s";
    let shop = Shop::new(6, update);
    let before = shop.image();
    shop.script(2, "");
    shop.apply("apply", Exit::Waiting);
    assert_eq!(shop.phase(), "paused");
    let runs = shop.runs();
    assert!(runs.contains(&(before.clone(), 4)) && runs.len() == 2, "{runs:?}");
    // It goes on waiting, and changes nothing.
    shop.apply("apply", Exit::Waiting);
    assert_eq!(shop.runs(), runs);
    shop.rig.run("rollout promote web --auto-approve").expect(Exit::Done);
    assert_ne!(shop.image(), before);
    assert_eq!(shop.phase(), "done");
    shop.rig.expect_no_changes();
}

#[test]
fn every_batch_can_be_waited_for() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 2, pause: every_batch");
    shop.script(2, "");
    shop.apply("apply", Exit::Waiting);
    assert_eq!(shop.runs().iter().map(|(_, n)| *n).collect::<Vec<_>>(), [2, 2]);
    shop.rig.run("rollout resume web --auto-approve").expect(Exit::Done);
    shop.image();
    shop.rig.expect_no_changes();
}

#[test]
fn a_rollout_whose_last_slots_go_is_over() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 2, order: slots, pause: every_batch");
    shop.script(2, "");
    shop.apply("apply", Exit::Waiting);
    shop.rig.edit(SHOP, "count: 4", "count: 2");
    let (ran, _) = shop.apply("rollout resume web", Exit::Done);
    assert!(ran.out.contains("all slots are there already"), "{}", ran.out);
    assert_eq!((shop.runs().len(), shop.phase()), (1, "done".to_owned()));
    shop.rig.expect_no_changes();
}

#[test]
fn an_aborted_rollout_keeps_both_versions() {
    let shop = Shop::new(4, "strategy: replace, max_unavailable: 2, pause: every_batch");
    shop.script(2, "");
    shop.apply("apply", Exit::Waiting);
    shop.rig.run("rollout abort web").expect(Exit::Done);
    shop.rig.expect_no_changes();
    assert_eq!(shop.runs().len(), 2);
    // A slot that is lost meanwhile is made as it was before.
    let lost = shop.rig.id("fleet.web[3]");
    shop.rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({"InstanceIds": [lost]}));
    shop.rig.wait_ms(300_000);
    shop.apply("apply", Exit::Done);
    assert_eq!(shop.runs().iter().map(|(_, n)| *n).sum::<usize>(), 4);
    shop.rig.expect_no_changes();
}

#[test]
fn fewer_than_asked_for_is_refused_with_a_way_out() {
    let shop = Shop::new(6, "strategy: replace, max_unavailable: 3, min_available: 4");
    shop.script(2, "");
    let ran = shop.rig.run("plan").expect(Exit::Infeasible);
    assert!(ran.err.contains("max_unavailable: 2"), "{}", ran.err);
    shop.rig.edit(SHOP, "max_unavailable: 3", "max_unavailable: 2");
    let (_, counts) = shop.apply("apply", Exit::Done);
    assert_eq!(counts.least_serving, 4);
}
