//! A rollout that several processes have to do with: one rolls, another one pauses it, a third one goes on and is killed, and
//! a fourth one brings it to its end.

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{OWNER, Place, Wish, said};

const CONFIG: &str = r#"project: shop
cloud: { provider: embedded, latency: instant, region: ap-guangzhou }
images:
  ubuntu: { public: { name: "Ubuntu Server 22.04 LTS 64bit" } }
fleets:
  web:
    image: ubuntu
    count: 6
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: { key_ids: [skey-8a7c6b5d] }
    health: { http: { port: 80 }, interval: 1s, threshold: 1, deadline: 1m }
    update: { strategy: replace, max_surge: 1, max_unavailable: 0, batch: 1, min_ready: 1s }
"#;

const APPLY: &str = "apply --auto-approve";

/// How far the rollout is: its phase, and how many slots are at the target.
fn status(place: &Place) -> (String, u64) {
    let status: Value = serde_json::from_str(&place.expect("rollout status --json", 0)).expect("JSON");
    let row = &status["rollouts"][0];
    let zones = row["zones"].as_array().into_iter().flatten();
    let there = zones.filter_map(|zone| zone["at_target"].as_u64()).sum();
    (row["phase"].as_str().unwrap_or_default().to_owned(), there)
}

fn instances(place: &Place) -> Vec<String> {
    let holdings = place.holdings();
    let held = holdings.of(OWNER, "ap-guangzhou").expect("instances");
    held.instances.values().filter(|one| one.state == "RUNNING").map(|one| one.image.clone()).collect()
}

#[test]
fn paused_killed_and_resumed_by_other_processes() {
    let place = Place::new(&Wish::new("instant"));
    std::fs::write(place.dir().join("shop.yaml"), CONFIG).expect("written");
    place.expect(APPLY, 0);
    let before = instances(&place);
    std::fs::write(place.dir().join("shop.yaml"), CONFIG.replace("22.04", "24.04")).expect("written");

    let mut first = place.start(APPLY);
    assert!(first.until(|talk| talk.contains("TerminateInstances done")), "{}", first.said());
    let paused = place.expect("rollout pause web", 0);
    assert!(paused.contains("pauses") || paused.contains("paused"), "{paused}");
    assert_eq!(first.end().code(), Some(7), "{}", first.said());
    let (phase, there) = status(&place);
    assert_eq!(phase, "paused");
    assert!((1..6).contains(&there), "{there} of 6");
    assert_eq!(instances(&place).len(), 6);

    // Nobody goes on by themselves.
    place.expect(APPLY, 7);
    assert_eq!(status(&place), ("paused".to_owned(), there));

    let mut second = place.start("rollout resume web --auto-approve");
    assert!(second.until(|talk| talk.contains("RunInstances done")), "{}", second.said());
    second.signal(Signal::KILL);
    second.end();
    assert_eq!(status(&place).0, "running");
    let told = place.expect("rollout status web", 0);
    assert!(told.contains("nobody is carrying it out"), "the lock of a process that is dead is nobody's: {told}");
    assert!(instances(&place).len() >= 6);

    let last = place.run(APPLY);
    assert_eq!(last.status.code(), Some(0), "{}", said(&last));
    assert_eq!(status(&place), ("done".to_owned(), 6));
    let after = instances(&place);
    assert_eq!(after.len(), 6);
    assert!(after.iter().all(|image| *image == after[0] && !before.contains(image)), "{after:?}");
    let wrong = place.wrong(false);
    assert!(wrong.is_empty(), "{wrong:?}");
    let told = place.expect("history", 0);
    assert!(told.contains("rollout resume"), "{told}");
}
