//! A lock that is broken by force.

use std::path::PathBuf;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, Record, SqliteStore, Store, StoreFault};

use crate::between::{Guard, Guarded};
use crate::kit::{FLEET, GZ, fleet, says};
use crate::rig::{Ran, Rig};

/// Somebody on another machine takes the lock.
fn held(rig: &Rig, who: &str) -> (SqliteStore, Fence) {
    let mut store = SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state");
    let holder = Holder { who: who.into(), host: "elsewhere".into(), pid: 4711, started: 1 };
    let fence = store.lock(&holder, rig.now_ms(), 300_000, &|_| false).expect("the lock");
    (store, fence)
}

fn typed(rig: &Rig, args: &str, line: &str) -> Ran {
    let terminals = Terminals { stdin: true, stdout: true, stderr: true };
    rig.run_typing(&format!("--color never {args}"), Hooks::default(), &mut line.as_bytes(), terminals)
}

#[test]
fn where_nobody_holds_it_nothing_is_done() {
    let rig = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\n")]);
    says(&rig.run("force-unlock").expect(Exit::Done).out, "Nobody holds the lock of state/default.db");
    assert!(!rig.dir().join("state").exists(), "nothing is made");
    rig.settle();
    says(&rig.run("force-unlock grace").expect(Exit::Done).out, "Nobody holds the lock");
    let json = rig.json("force-unlock --json");
    assert_eq!((&json["held_by"], &json["broken"]), (&serde_json::Value::Null, &false.into()));
}

#[test]
fn whoever_loses_the_lock_writes_no_more() {
    let rig = fleet();
    let (mut store, fence) = held(&rig, "grace");
    rig.wait_ms(20_000);
    rig.edit("shop.yaml", "count: 5", "count: 6");
    says(&rig.run("apply --auto-approve").expect(Exit::Locked).err, "`fleetwright force-unlock` breaks the lock");

    says(&rig.run("force-unlock").expect(Exit::Failed).err, "fleetwright force-unlock --auto-approve");
    let declined = typed(&rig, "force-unlock", "y\n").expect(Exit::Failed);
    insta::assert_snapshot!("lock_held", declined.out);
    says(&declined.err, "Not approved; the lock stays.");
    store.renew(fence, rig.now_ms() + 300_000).expect("it is still theirs");

    let other = rig.run("force-unlock ada --auto-approve").expect(Exit::Locked);
    insta::assert_snapshot!("lock_of_another", other.err);
    let broken = typed(&rig, "force-unlock grace@elsewhere", "yes\n").expect(Exit::Done);
    says(&broken.out, "The lock of state/default.db is broken.");
    assert_eq!(store.renew(fence, rig.now_ms() + 300_000), Err(StoreFault::Fenced));
    assert_eq!(store.commit(fence, &[]), Err(StoreFault::Fenced));
    assert_eq!(store.unlock(fence), Err(StoreFault::Fenced));
    rig.settle();
    assert_eq!(store.commit(fence, &[]), Err(StoreFault::Fenced), "nor after another run");
}

/// Somebody breaks the lock before the n-th write after it was taken.
struct Thief {
    file: PathBuf,
    writes: usize,
}

impl Guard for Thief {
    fn before(&mut self, _: &[Record]) -> Result<(), StoreFault> {
        let mut other = SqliteStore::open(&self.file)?.expect("a state");
        if let Some(lease) = other.lease()? {
            if self.writes == 0 {
                assert!(other.force_unlock(lease.fence)?);
            }
            self.writes = self.writes.wrapping_sub(1);
        }
        Ok(())
    }
}

/// Before anything was sent, and in the middle of it.
#[test]
fn a_run_whose_lock_was_taken_over_says_so() {
    let mut all = String::new();
    for writes in [0, 3] {
        let rig = fleet();
        rig.edit("shop.yaml", "count: 5", "count: 6");
        let file = rig.dir().join("state/default.db");
        let steal = move |inner| Guarded::by(Thief { file: file.clone(), writes }, inner);
        let hooks = Hooks { store: Some(Box::new(steal)), ..Hooks::default() };
        let mark = rig.mark();
        let ran = rig.run_with("apply --auto-approve", hooks).expect(Exit::Locked);
        if writes == 0 {
            assert_eq!(rig.mutating(mark), Vec::<String>::new());
        }
        all += &format!("=== after {writes} writes\n{}{}", ran.out, ran.err);
        rig.settle();
        assert_eq!(rig.instances(GZ).len(), 6, "neither lost nor made twice");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_holder_is_named_in_any_way_that_tells_it() {
    let rig = fleet();
    for name in ["grace", "elsewhere", "grace@elsewhere", "4711", "FENCE"] {
        let (_store, fence) = held(&rig, "grace");
        let name = name.replace("FENCE", &fence.0.to_string());
        let json = rig.json(&format!("force-unlock {name} --auto-approve --json"));
        assert_eq!((&json["broken"], &json["held_by"]["who"]), (&true.into(), &"grace".into()), "{name}");
        assert_eq!(json["held_by"]["fence"], fence.0);
    }
}

#[test]
fn a_lease_that_has_ended_is_said_to_have() {
    let rig = fleet();
    let (_store, _) = held(&rig, "grace");
    rig.wait_ms(400_000);
    says(&typed(&rig, "force-unlock", "no\n").expect(Exit::Failed).out, "ended 1 min 40 s ago");
}

/// Somebody gives the lock back, or leaves, before the n-th time that it is asked for.
struct Patient {
    asked: usize,
    then: Box<dyn FnMut() + Send>,
}

impl Guard for Patient {
    fn before(&mut self, _: &[Record]) -> Result<(), StoreFault> {
        self.asked = self.asked.wrapping_sub(1);
        if self.asked == 0 {
            (self.then)();
        }
        Ok(())
    }
}

/// Hooks under which something is done before the n-th time that the lock is asked for.
fn at_the_nth_time(asked: usize, then: impl FnMut() + Clone + Send + 'static) -> Hooks {
    let wrap = move |inner| Guarded::by(Patient { asked, then: Box::new(then.clone()) }, inner);
    Hooks { store: Some(Box::new(wrap)), ..Hooks::default() }
}

/// What takes a lock, each with what it says when it has waited in vain.
const TAKING: [&str; 6] = [
    "apply --auto-approve",
    "apply saved.json",
    "destroy --auto-approve",
    "refresh --auto-approve",
    "state rm fleet.web[0] --auto-approve",
    "history prune --keep 1 --auto-approve",
];

#[test]
fn a_lock_is_waited_for_as_long_as_the_command_line_says() {
    let rig = fleet();
    rig.settle();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    rig.settle();
    rig.edit("shop.yaml", "count: 6", "count: 7");
    rig.run("plan --out saved.json").expect(Exit::Done);
    let mut all = String::new();
    for command in TAKING {
        let (mut store, fence) = held(&rig, "grace");
        let from = rig.now_ms();
        let refused = rig.run(command).expect(Exit::Locked);
        assert!(!refused.err.contains("Waiting"), "nobody waits unless told to: {}", refused.err);
        assert!(rig.now_ms() < from + 250, "{command}");
        let before = rig.now_ms();
        let mark = rig.mark();
        let refused = rig.run(&format!("{command} --lock-timeout 2m")).expect(Exit::Locked);
        assert!((120_000..121_000).contains(&(rig.now_ms() - before)), "{command}");
        assert_eq!(rig.mutating(mark), Vec::<String>::new());
        says(&refused.err, "Waiting for the lock for up to 2 min: grace on elsewhere (process 4711)");
        says(&refused.err, "waited 120 s for the lock");
        all += &format!("=== {command} --lock-timeout 2m\n{}", refused.err);
        store.unlock(fence).expect("given back");
    }
    insta::assert_snapshot!("lock_waited_for_in_vain", all);
    for wrong in ["10", "5x", "-1s", "1.5h", ""] {
        rig.run_words(&["apply", "--lock-timeout", wrong]).expect(Exit::Usage);
    }
}

#[test]
fn whoever_waits_goes_on_when_the_lock_is_free() {
    for command in TAKING {
        // `history prune` wraps no state; it has a test of its own.
        if command.starts_with("history") {
            continue;
        }
        let rig = fleet();
        rig.edit("shop.yaml", "count: 5", "count: 6");
        rig.run("plan --out saved.json").expect(Exit::Done);
        let (store, fence) = held(&rig, "grace");
        let store = std::sync::Arc::new(std::sync::Mutex::new(store));
        let hooks = at_the_nth_time(40, move || {
            store.lock().expect("a store").unlock(fence).expect("given back");
        });
        let ran = rig.run_with(&format!("{command} --lock-timeout 5m"), hooks).expect(Exit::Done);
        assert_eq!(ran.err.matches("Waiting for the lock").count(), 1, "{}", ran.err);
    }
}

#[test]
fn a_lease_that_ends_while_it_is_waited_for_is_taken_over() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    let (mut store, fence) = held(&rig, "grace");
    let from = rig.now_ms();
    let ran = rig.run("apply --auto-approve --lock-timeout 10m").expect(Exit::Done);
    insta::assert_snapshot!("lock_waited_for", ran.err.lines().take(3).collect::<Vec<_>>().join("\n"));
    assert!(rig.now_ms() >= from + 300_000);
    assert_eq!(store.renew(fence, rig.now_ms() + 300_000), Err(StoreFault::Fenced));
    let (_store, _) = held(&rig, "grace");
    rig.run("history prune --keep 1 --auto-approve --lock-timeout 10m").expect(Exit::Done);
}

#[test]
fn waiting_can_be_interrupted() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    let (mut store, fence) = held(&rig, "grace");
    let stop = rig.stop();
    let hooks = at_the_nth_time(3, move || stop.raise());
    let mark = rig.mark();
    let ran = rig.run_with("apply --auto-approve --lock-timeout 10m", hooks).expect(Exit::Interrupted);
    insta::assert_snapshot!("lock_interrupted", ran.err);
    assert_eq!(rig.calls(mark).len(), 0, "nothing was even asked");
    rig.go_on();
    store.renew(fence, rig.now_ms() + 300_000).expect("it is still theirs");
    store.unlock(fence).expect("given back");
    rig.settle();
}

/// Who waits for one holder and finds another one in its place hears of that one, too.
#[test]
fn each_holder_is_named_that_is_waited_for() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    let (store, fence) = held(&rig, "grace");
    let store = std::sync::Arc::new(std::sync::Mutex::new(store));
    let now = rig.now_ms();
    let hooks = at_the_nth_time(8, move || {
        let mut store = store.lock().expect("a store");
        store.unlock(fence).expect("given back");
        let linus = Holder { who: "linus".into(), host: "elsewhere".into(), pid: 4712, started: 1 };
        store.lock(&linus, now, 300_000, &|_| false).expect("the lock");
    });
    let ran = rig.run_with("apply --auto-approve --lock-timeout 60s", hooks).expect(Exit::Locked);
    says(&ran.err, "grace on elsewhere (process 4711)");
    says(&ran.err, "linus on elsewhere (process 4712)");
}
