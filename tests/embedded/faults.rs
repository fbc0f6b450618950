//! Faults by chance, and what the log says of them.

use fleetwright::cloud::embedded::{Faults, Lost, Settings};
use serde_json::json;

use crate::world::{GZ, START, World, instant, uin, with};

#[test]
fn what_was_lost_was_not_refused_and_the_log_says_what_was_done() {
    let faults = Some(Faults { seed: 7, per_mille: 1000 });
    let world = World::new(Settings { faults, log: true, ..instant() });
    let held = || {
        let all = world.cloud.holdings(START).expect("holdings");
        all.of(&uin(1), GZ).map_or(0, |held| held.instances.len())
    };
    let (mut requests, mut answers) = (0, 0);
    for _ in 0..60 {
        let before = held();
        let (_, entry) = world.cloud.serve(START, &world.request(1, GZ, "RunInstances", &with(json!({})).to_string()));
        let done = held() - before;
        match entry.lost {
            Some(Lost::Request) => {
                requests += 1;
                assert_eq!((done, entry.code.as_deref()), (0, None));
            }
            Some(Lost::Answer) => {
                answers += 1;
                assert_eq!((done, entry.code.as_deref()), (1, None));
            }
            None => assert_eq!(done == 1, entry.code.is_none(), "{:?}", entry.code),
        }
        assert_eq!((entry.action.as_str(), entry.account), ("RunInstances", uin(1)));
    }
    assert!(requests > 3 && answers > 3, "{requests} requests and {answers} answers were lost");
    // A lost answer may well have been a refusal.
    let refused = world.request(1, GZ, "RunInstances", "{}");
    let mut told = (0..60).map(|_| world.cloud.serve(START, &refused).1);
    assert!(told.any(|entry| entry.lost == Some(Lost::Answer) && entry.code.as_deref() == Some("MissingParameter")));
    let log = world.cloud.log();
    assert!(log.iter().filter(|entry| entry.lost == Some(Lost::Request)).all(|entry| entry.code.is_none()));
}
