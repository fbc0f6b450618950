//! A holder of the lock that sleeps, is taken for dead, and wakes up: what it had noted as sent may still arrive, also over
//! loopback. Whoever has the lock then waits until the cloud refuses it.

use std::collections::BTreeMap;

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;

use super::trial::{Base, Trial};
use super::wire::{Fate, Trap, When, Wire};
use super::world::faults;
use crate::kit::{BOOT, FLEET, GZ, IMAGE, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";

/// When a request arrives that was on its way while its sender slept: while the other one settles what is open, at the very
/// end of its signature's time, and when that is over.
const ARRIVALS: [When; 7] = [
    When::AtOnce,
    When::AfterRequests(1),
    When::AfterRequests(2),
    When::AfterRequests(4),
    When::After(150_000),
    When::After(300_000),
    When::After(301_001),
];

/// Tries every call that changes something, with every arrival. Answers how many there were, by action.
fn try_asleep(name: &str, rig: Rig) -> BTreeMap<&'static str, usize> {
    let base = Base::new(name, rig, APPLY);
    let mut tried = BTreeMap::new();
    let mut faults = Vec::new();
    for (n, (action, mutates)) in base.traffic.calls.iter().enumerate() {
        if !mutates {
            continue;
        }
        for when in ARRIVALS {
            *tried.entry(*action).or_insert(0) += 1;
            if let Err(why) = Trial::new(&base, false).asleep(Trap::Call(n, Fate::Late(when))) {
                faults.push(format!("{action} {when:?}: {why}"));
            }
        }
    }
    assert!(faults.is_empty(), "{name}: {} failed:\n{}", faults.len(), faults.join("\n\n"));
    tried
}

fn image() -> Rig {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    rig.settle();
    rig.wait_ms(600_000);
    rig
}

#[test]
fn a_sleeper_makes_nothing_twice() {
    let tried = try_asleep("asleep: new", Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]));
    for action in ["RunInstances", "CreateImage", "SyncImages", "ModifyImageSharePermission"] {
        assert!(tried.contains_key(action), "{tried:?}");
    }
}

#[test]
fn a_sleeper_changes_nothing_back() {
    let rig = image();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 2"));
    let tried = try_asleep("asleep: new version", rig);
    for action in ["TerminateInstances", "CreateImage", "DeleteImages", "ModifyImageSharePermission"] {
        assert!(tried.contains_key(action), "{tried:?}");
    }
    let rig = Rig::new(&[(SHOP, &FLEET.replace("strategy: replace", "strategy: reset")), ("boot.sh", BOOT)]);
    rig.settle();
    rig.wait_ms(600_000);
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 2"));
    let tried = try_asleep("asleep: reset", rig);
    assert!(tried.contains_key("ResetInstance"), "{tried:?}");
}

/// The sleeper shared an image, and nobody wants that any more: it must not come after all.
#[test]
fn what_a_sleeper_sent_is_waited_for_before_the_opposite_is_planned() {
    for when in ARRIVALS {
        let rig = image();
        let wire = Wire::new(None);
        rig.edit(SHOP, "\"100000000003\"]", "\"100000000003\", \"100000000004\"]");
        let dry = rig.fork();
        wire.run(&dry, APPLY, false).expect("nobody dies").expect(Exit::Done);
        let share = |(action, _): &(&str, bool)| *action == "ModifyImageSharePermission";
        let n = wire.traffic().calls.iter().position(share).expect("a share");
        wire.arm(Some(Trap::Call(n, Fate::Late(when))));
        assert!(wire.run(&rig, APPLY, false).is_none(), "it sleeps");
        wire.arm(None);
        rig.known_dead.set(false);
        rig.edit(SHOP, ", \"100000000004\"]", "]");
        rig.run("force-unlock --auto-approve").expect(Exit::Done);
        wire.run(&rig, APPLY, false).expect("nobody dies").expect(Exit::Done);
        wire.land(&rig);
        rig.wait_ms(10_000);
        assert_eq!(faults(&rig), Vec::<String>::new(), "{when:?}");
        rig.expect_no_changes();
    }
}

/// What comes too late is refused for its age, and the one who waited has said why.
#[test]
fn a_signature_that_is_too_old_is_refused() {
    let settings = Settings { log: true, ..crate::kit::quick() };
    let rig = Rig::with(&[(SHOP, FLEET), ("boot.sh", BOOT)], settings);
    let wire = Wire::new(None);
    wire.run(&rig.fork(), APPLY, false).expect("nobody dies").expect(Exit::Done);
    let launch = |(action, _): &(&str, bool)| *action == "RunInstances";
    let n = wire.traffic().calls.iter().position(launch).expect("a launch");
    wire.arm(Some(Trap::Call(n, Fate::Late(When::After(301_001)))));
    assert!(wire.run(&rig, APPLY, false).is_none(), "it sleeps");
    wire.arm(None);
    rig.known_dead.set(false);
    // This time its lease simply ends.
    let ran = wire.run(&rig, "apply --auto-approve --lock-timeout 10m", false).expect("nobody dies").expect(Exit::Done);
    says(&ran.err, "Waiting for the lock for up to 10 min: ada on workbench");
    wire.land(&rig);
    let refused: Vec<_> =
        rig.since(0).into_iter().filter_map(|entry| entry.code.map(|code| (entry.action, code))).collect();
    assert_eq!(refused, [("RunInstances".to_owned(), "AuthFailure.SignatureExpire".to_owned())]);
    assert_eq!(rig.instances(GZ).len(), 5);
    rig.expect_no_changes();
}

/// A holder that is known to be gone has nothing on its way over loopback, and nobody waits for it.
#[test]
fn the_dead_are_not_waited_for() {
    for (known_dead, waits) in [(true, false), (false, true)] {
        let rig = image();
        rig.edit(SHOP, "\"100000000003\"]", "\"100000000003\", \"100000000004\"]");
        let wire = Wire::new(None);
        wire.run(&rig.fork(), APPLY, false).expect("nobody dies").expect(Exit::Done);
        let share = |(action, _): &(&str, bool)| *action == "ModifyImageSharePermission";
        let n = wire.traffic().calls.iter().position(share).expect("a share");
        wire.arm(Some(Trap::Call(n, Fate::NotSent)));
        assert!(wire.run(&rig, APPLY, false).is_none());
        wire.arm(None);
        rig.run("force-unlock --auto-approve").expect(Exit::Done);
        rig.known_dead.set(known_dead);
        // Whoever is killed in the middle of waiting leaves the knowledge behind.
        wire.arm(Some(Trap::Call(1, Fate::NotSent)));
        assert!(wire.run(&rig, APPLY, false).is_none());
        wire.arm(None);
        rig.run("force-unlock --auto-approve").expect(Exit::Done);
        let from = rig.now_ms();
        wire.run(&rig, APPLY, false).expect("nobody dies").expect(Exit::Done);
        assert_eq!(rig.now_ms() - from > 200_000, waits, "{} ms", rig.now_ms() - from);
        assert_eq!(faults(&rig), Vec::<String>::new());
    }
}
