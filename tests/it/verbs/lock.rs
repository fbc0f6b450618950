//! A lock that is broken by force.

use std::path::PathBuf;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::model::Millis;
use fleetwright::model::ids::Lineage;
use fleetwright::model::recorded::RunId;
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, NewRun, Record, RunOutcome, SqliteStore, Store, StoreFault, Stored};

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

/// A state whose lock somebody breaks before the n-th write.
struct Stolen {
    inner: Box<dyn Store>,
    file: PathBuf,
    writes: usize,
}

impl Stolen {
    fn write<T>(&mut self, write: impl FnOnce(&mut dyn Store) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        if self.writes == 0 {
            let mut other = SqliteStore::open(&self.file)?.expect("a state");
            let lease = other.lease()?.expect("a lock");
            assert!(other.force_unlock(lease.fence)?);
        }
        self.writes = self.writes.wrapping_sub(1);
        write(&mut *self.inner)
    }
}

impl Store for Stolen {
    fn load(&mut self) -> Result<Stored, StoreFault> {
        self.inner.load()
    }

    fn lock(
        &mut self,
        holder: &Holder,
        now_ms: Millis,
        lease_ms: Millis,
        is_dead: &dyn Fn(&Holder) -> bool,
    ) -> Result<Fence, StoreFault> {
        self.inner.lock(holder, now_ms, lease_ms, is_dead)
    }

    fn renew(&mut self, fence: Fence, until_ms: Millis) -> Result<(), StoreFault> {
        self.write(|inner| inner.renew(fence, until_ms))
    }

    fn unlock(&mut self, fence: Fence) -> Result<(), StoreFault> {
        self.inner.unlock(fence)
    }

    fn commit(&mut self, fence: Fence, records: &[Record]) -> Result<(), StoreFault> {
        self.write(|inner| inner.commit(fence, records))
    }

    fn start_run(&mut self, fence: Fence, run: &NewRun) -> Result<RunId, StoreFault> {
        self.write(|inner| inner.start_run(fence, run))
    }

    fn end_run(&mut self, fence: Fence, run: RunId, ended_ms: Millis, outcome: RunOutcome) -> Result<(), StoreFault> {
        self.write(|inner| inner.end_run(fence, run, ended_ms, outcome))
    }

    fn lineage(&self) -> Lineage {
        self.inner.lineage()
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
        let steal = move |inner| Box::new(Stolen { inner, file: file.clone(), writes }) as Box<dyn Store>;
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
