//! Rollouts in the state, and wishes that they pause.

use std::path::PathBuf;

use fleetwright::model::recorded::RunId;
use fleetwright::model::rollout::{Phase, Rollout};
use fleetwright::store::{Fence, Record, RunOutcome, SqliteStore, Store, StoreFault};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::samples::{self, holder, object, rollout, wish};

/// A state in a file, and whoever holds its lock; a rollout goes on in it.
fn running() -> (TempDir, PathBuf, SqliteStore, Fence) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut store = SqliteStore::create(&path, &samples::lineage()).expect("created");
    let fence = store.lock(&holder("ann"), 0, 500, &|_| false).expect("the lock");
    store.commit(fence, &[Record::Rollout(Box::new(rollout(0, 0)))]).expect("committed");
    (dir, path, store, fence)
}

fn found(store: &mut SqliteStore) -> Rollout {
    let rollouts = store.load().expect("loaded").recorded.rollouts;
    rollouts.into_values().next().expect("a rollout")
}

fn paused(was: &Rollout) -> Rollout {
    let why = "bob on server wished it to pause".to_owned();
    Rollout { phase: Phase::Paused, why, changed_ms: wish(0).asked_ms, ..was.clone() }
}

#[test]
fn whoever_does_not_hold_the_lock_can_wish_for_a_pause() {
    let (_dir, path, mut ours, fence) = running();
    let before = ours.load().expect("loaded");
    let mut theirs = SqliteStore::open(&path).expect("opened").expect("there");
    assert!(theirs.wish_pause(fence, &wish(0)).expect("written"));
    let again = fleetwright::store::PauseWish { who: "eve".into(), ..wish(0) };
    assert!(theirs.wish_pause(fence, &again).expect("written"), "the first one stays");
    assert_eq!(ours.pauses().expect("read"), [wish(0)]);
    assert_eq!(ours.load().expect("loaded"), before, "it is outside the serial");
    ours.renew(fence, 900).expect("and in nobody's way");
    let reader = SqliteStore::open_read_only(&path).expect("opened");
    assert_eq!(reader.expect("there").pauses().expect("read"), [wish(0)]);
}

#[test]
fn a_wish_has_come_true_when_the_run_writes_that_the_rollout_does_not_go_on() {
    for phase in Phase::ALL {
        let (_dir, path, mut ours, fence) = running();
        let mut theirs = SqliteStore::open(&path).expect("opened").expect("there");
        assert!(theirs.wish_pause(fence, &wish(0)).expect("written"));
        let row = Rollout { phase, why: "as it is".into(), ..rollout(0, 0) };
        ours.commit(fence, &[Record::Rollout(Box::new(row.clone()))]).expect("committed");
        let left = if phase == Phase::Running { vec![wish(0)] } else { Vec::new() };
        assert_eq!(ours.pauses().expect("read"), left);
        ours.unlock(fence).expect("given back");
        assert_eq!(ours.pauses().expect("read"), []);
        assert_eq!(found(&mut ours), if phase == Phase::Running { paused(&row) } else { row });
    }
}

/// Whether the run ends by itself, or never does.
#[test]
fn no_wish_is_lost() {
    for (killed, broken) in [(false, false), (true, false), (true, true)] {
        let (_dir, path, mut ours, fence) = running();
        let before = found(&mut ours);
        let serial = ours.load().expect("loaded").recorded.serial;
        let mut theirs = SqliteStore::open(&path).expect("opened").expect("there");
        assert!(theirs.wish_pause(fence, &wish(0)).expect("written"));
        // Of a fleet without a rollout, and of one that another run left behind.
        assert!(theirs.wish_pause(fence, &wish(1)).expect("written"));
        if broken {
            assert!(theirs.force_unlock(fence).expect("by force"));
        }
        if !killed {
            ours.unlock(fence).expect("given back");
        }
        let next = theirs.lock(&holder("bob"), 500, 500, &|_| false).expect("free, or taken over");
        let stored = theirs.load().expect("loaded");
        assert_eq!(stored.recorded.rollouts.len(), 1);
        assert_eq!(
            (stored.recorded.rollouts.into_values().next(), stored.recorded.serial),
            (Some(paused(&before)), serial + 1)
        );
        assert_eq!(theirs.pauses().expect("read"), []);
        theirs.unlock(next).expect("given back");
        assert_eq!(theirs.load().expect("loaded").recorded.serial, serial + 1);
    }
}

#[test]
fn where_nobody_holds_the_lock_there_is_nobody_to_wish_it_of() {
    let (_dir, path, mut ours, fence) = running();
    let mut theirs = SqliteStore::open(&path).expect("opened").expect("there");
    assert!(!theirs.wish_pause(Fence(fence.0 + 1), &wish(0)).expect("looked"));
    ours.unlock(fence).expect("given back");
    assert!(!theirs.wish_pause(fence, &wish(0)).expect("looked"));
    assert_eq!(ours.pauses().expect("read"), []);
    assert_eq!(found(&mut ours), rollout(0, 0));
}

#[test]
fn a_rollout_that_goes_takes_the_wish_along() {
    let (_dir, path, mut ours, fence) = running();
    let mut theirs = SqliteStore::open(&path).expect("opened").expect("there");
    assert!(theirs.wish_pause(fence, &wish(0)).expect("written"));
    ours.commit(fence, &[Record::DropRollout(samples::fleet())]).expect("committed");
    assert_eq!(ours.pauses().expect("read"), []);
    assert!(ours.load().expect("loaded").recorded.rollouts.is_empty());
}

#[test]
fn pruning_leaves_rollouts_alone() {
    let (_dir, _path, mut ours, fence) = running();
    for _ in 0..3 {
        let run = ours.start_run(fence, &samples::run()).expect("a run");
        ours.end_run(fence, run, 9, RunOutcome::Done).expect("ended");
    }
    let before = ours.load().expect("loaded");
    assert_eq!(ours.prune(fence, RunId(3)).expect("pruned").runs, 2);
    assert_eq!(ours.load().expect("loaded"), before);
}

/// What cannot be is told, whoever made it so.
#[test]
fn a_row_that_cannot_be_is_told() {
    let whole = serde_json::to_string(&rollout(0, 0)).expect("JSON");
    let other = serde_json::to_string(&rollout(1, 0)).expect("JSON");
    let json = |rollout: Rollout| serde_json::to_string(&rollout).expect("JSON");
    let beyond = json(Rollout { started_ms: i64::MIN, ..rollout(0, 0) });
    let image = json(Rollout { before: Some(samples::copy_spec(1)), ..rollout(0, 0) });
    let cases = [
        ("fleet.web", "running", "{", "a rollout"),
        ("fleet.web", "running", "{}", "a rollout"),
        ("fleet.web", "paused", whole.as_str(), "tells two things of the rollout of fleet.web"),
        ("fleet.web", "running", other.as_str(), "tells two things of the rollout of fleet.web"),
        ("fleet.web[3]", "running", whole.as_str(), "holds `fleet.web[3]` for a block"),
        ("what?", "running", whole.as_str(), "what?"),
        ("fleet.web", "running", beyond.as_str(), "for a time"),
        ("fleet.web", "running", image.as_str(), "which is no fleet"),
    ];
    for (block, phase, json, says) in cases {
        let (_dir, path, mut ours, fence) = running();
        ours.commit(fence, &[Record::Put(Box::new(object(0, 1, 0)))]).expect("committed");
        let conn = Connection::open(&path).expect("opened");
        let row = params![block, phase, json];
        conn.execute("UPDATE rollout SET block = ?1, phase = ?2, json = ?3", row).expect("damaged");
        let fault = ours.load().expect_err("damaged");
        assert!(matches!(&fault, StoreFault::Damaged(..)), "{fault:?}");
        assert!(fault.to_string().contains(says), "{fault}");
    }
    let (_dir, path, mut ours, _) = running();
    let conn = Connection::open(&path).expect("opened");
    conn.execute("INSERT INTO pause_wish VALUES ('fleet.web[3]', 'bob', 'server', 1)", []).expect("damaged");
    assert!(matches!(ours.pauses(), Err(StoreFault::Damaged(..))));
}
