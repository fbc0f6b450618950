//! One writer at a time, and none with an old fence.

use fleetwright::model::recorded::RunId;
use fleetwright::store::{Fence, Holder, Lease, Record, RunOutcome, SqliteStore, Store, StoreFault};

use crate::samples::{self, holder, object};

fn store() -> SqliteStore {
    SqliteStore::in_memory(&samples::lineage()).expect("a store")
}

fn alive(_: &Holder) -> bool {
    false
}

fn dead(_: &Holder) -> bool {
    true
}

fn elsewhere() -> Holder {
    Holder { host: "server".into(), ..holder("bob") }
}

#[test]
fn whoever_comes_second_hears_who_was_first() {
    let mut store = store();
    assert_eq!(store.lease().expect("read"), None);
    store.lock(&holder("ann"), 1000, 500, &alive).expect("the lock");
    let lease = Lease { holder: holder("ann"), since_ms: 1000, until_ms: 1500, fence: Fence(1) };
    assert_eq!(store.lease().expect("read"), Some(lease.clone()));
    let refused = store.lock(&elsewhere(), 1499, 500, &alive);
    assert_eq!(refused, Err(StoreFault::Locked(Box::new(lease))));
    assert_eq!(refused.expect_err("locked").to_string(), "ann on laptop (process 4711) holds the lock");
}

#[test]
fn fences_only_grow() {
    let mut store = store();
    let mut lock = |now, is_dead: &dyn Fn(&Holder) -> bool| store.lock(&holder("ann"), now, 500, is_dead);
    assert_eq!(lock(0, &alive), Ok(Fence(1)));
    assert_eq!(lock(500, &alive), Ok(Fence(2)), "an expired lease is taken over");
    assert_eq!(lock(600, &dead), Ok(Fence(3)), "so is that of a dead process");
    store.unlock(Fence(3)).expect("unlocked");
    assert_eq!(store.lease().expect("read"), None);
    assert_eq!(store.lock(&elsewhere(), 0, 500, &alive), Ok(Fence(4)), "unlocking does not turn it back");
    assert!(!store.force_unlock(Fence(3)).expect("by force"), "that holder is gone already");
    assert_eq!(store.lease().expect("read").map(|lease| lease.holder), Some(elsewhere()));
    assert!(store.force_unlock(Fence(4)).expect("by force"));
    assert_eq!(store.renew(Fence(4), 9000), Err(StoreFault::Fenced));
    assert_eq!(store.lock(&holder("ann"), 0, 500, &alive), Ok(Fence(5)));
}

#[test]
fn nobody_judges_the_life_of_another_hosts_process() {
    let mut store = store();
    store.lock(&elsewhere(), 0, 500, &alive).expect("the lock");
    let asked = std::cell::Cell::new(0);
    let ask = |_: &Holder| {
        asked.set(asked.get() + 1);
        true
    };
    assert!(matches!(store.lock(&holder("ann"), 499, 500, &ask), Err(StoreFault::Locked(_))));
    assert_eq!(asked.get(), 0);
}

#[test]
fn a_renewed_lease_lasts() {
    let mut store = store();
    let fence = store.lock(&holder("ann"), 0, 500, &alive).expect("the lock");
    store.renew(fence, 2000).expect("renewed");
    assert!(matches!(store.lock(&holder("bob"), 1999, 500, &alive), Err(StoreFault::Locked(_))));
    assert_eq!(store.lock(&holder("bob"), 2000, 500, &alive), Ok(Fence(2)));
}

#[test]
fn an_old_fence_writes_nothing() {
    let mut store = store();
    let old = store.lock(&holder("ann"), 0, 500, &alive).expect("the lock");
    let run = store.start_run(old, &samples::run()).expect("a run");
    let new = store.lock(&holder("bob"), 500, 500, &alive).expect("taken over");
    store.commit(new, &[Record::Put(Box::new(object(0, 1, 0)))]).expect("committed");
    let before = (store.load().expect("loaded"), store.runs().expect("runs"), store.lease().expect("a lease"));
    for fence in [old, Fence(0), Fence(3)] {
        assert_eq!(store.commit(fence, &[Record::Put(Box::new(object(1, 1, 0)))]), Err(StoreFault::Fenced));
        assert_eq!(store.commit(fence, &[]), Err(StoreFault::Fenced));
        assert_eq!(store.renew(fence, 9000), Err(StoreFault::Fenced));
        assert_eq!(store.start_run(fence, &samples::run()), Err(StoreFault::Fenced));
        assert_eq!(store.end_run(fence, run, 1, RunOutcome::Done), Err(StoreFault::Fenced));
        assert_eq!(store.unlock(fence), Err(StoreFault::Fenced));
    }
    let after = (store.load().expect("loaded"), store.runs().expect("runs"), store.lease().expect("a lease"));
    assert_eq!(before, after);
    store.end_run(new, RunId(run.0), 1, RunOutcome::Interrupted).expect("whoever holds the lock may close old runs");
    store.unlock(new).expect("unlocked");
    assert_eq!(store.commit(new, &[]), Err(StoreFault::Fenced), "who gave the lock back writes no more");
}

#[test]
fn two_processes_on_one_file_see_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut one = SqliteStore::create(&path, &samples::lineage()).expect("created");
    let mut two = SqliteStore::open(&path).expect("opened").expect("there");
    let fence = one.lock(&holder("ann"), 0, 500, &alive).expect("the lock");
    assert!(matches!(two.lock(&holder("bob"), 1, 500, &alive), Err(StoreFault::Locked(_))));
    one.commit(fence, &[Record::Put(Box::new(object(0, 1, 0)))]).expect("committed");
    assert_eq!(two.load().expect("loaded"), one.load().expect("loaded"));
    let newer = two.lock(&holder("bob"), 500, 500, &alive).expect("taken over");
    assert_eq!(one.commit(fence, &[]), Err(StoreFault::Fenced));
    two.commit(newer, &[Record::Put(Box::new(object(1, 1, 0)))]).expect("committed");
    assert_eq!(one.load().expect("loaded").recorded.objects.len(), 2);
}

#[test]
fn of_many_who_try_at_once_one_gets_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    drop(SqliteStore::create(&path, &samples::lineage()).expect("created"));
    let locked = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
                    match store.lock(&holder("ann"), 0, 500, &alive) {
                        Ok(_) => true,
                        Err(StoreFault::Locked(_)) => false,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().expect("no panic")).filter(|locked| *locked).count()
    });
    assert_eq!(locked, 1);
}
