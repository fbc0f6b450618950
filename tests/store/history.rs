//! What of the history may go, and what stays known when it is gone.

use fleetwright::model::ids::{CloudId, InstanceId};
use fleetwright::model::recorded::{Object, OpId, RunId};
use fleetwright::store::{
    Fence, OpState, Pruned, Record, RunOutcome, SqliteStore, Stays, Store, Stored, TargetOutcome,
};

use crate::samples::{self, holder, instance, object, op};

fn store() -> (SqliteStore, Fence) {
    let mut store = SqliteStore::in_memory(&samples::lineage()).expect("a store");
    let fence = store.lock(&holder("ann"), 0, 500, &|_| false).expect("the lock");
    (store, fence)
}

/// A run with one operation that makes an object; `open`: the operation is not settled.
fn run(store: &mut SqliteStore, fence: Fence, n: u32, open: bool) -> RunId {
    let id = store.start_run(fence, &samples::run()).expect("a run");
    let number = store.load().expect("loaded").next_op;
    let mut records = vec![
        Record::Intend(Box::new(op(number.0, id, 3 * n))),
        Record::Sent { op: number, attempt: 1, sent_ms: 20 },
        Record::Accepted { op: number, request_id: None, unbound: vec![instance(7000 + n), instance(8000 + n)] },
        Record::Bound { op: number, target: 0, id: instance(7000 + n) },
        Record::Outcome { op: number, target: 0, outcome: TargetOutcome::Done },
        Record::Put(Box::new(Object { made_by: Some(number), ..object(0, 1 + n, n) })),
        Record::Took { action: "RunInstances", region: samples::region(), ms: 700 },
    ];
    if !open {
        records.push(Record::Settled { op: number, settled_ms: 30 });
    }
    store.commit(fence, &records).expect("committed");
    store.end_run(fence, id, 40, RunOutcome::Done).expect("ended");
    id
}

/// All that is known, but for which operation made what.
fn known(store: &mut SqliteStore) -> Stored {
    let mut stored = store.load().expect("loaded");
    for object in &mut stored.recorded.objects {
        object.made_by = None;
    }
    stored
}

fn numbers(store: &mut SqliteStore) -> Vec<i64> {
    store.runs().expect("runs").iter().map(|run| run.id.0).collect()
}

#[test]
fn old_runs_go_and_nothing_is_forgotten() {
    let (mut store, fence) = store();
    for n in 0..4 {
        run(&mut store, fence, n, n == 3);
    }
    let (before, durations) = (known(&mut store), store.durations().expect("durations"));
    assert!(before.ids_ever.contains("ins-00007000") && before.ids_ever.contains("ins-00008000"));
    let pruned = store.prune(fence, RunId(4)).expect("pruned");
    assert_eq!(pruned, Pruned { runs: 3, operations: 3, plans: 0, stays: None });
    assert_eq!(numbers(&mut store), [4]);
    assert_eq!(known(&mut store), before, "ids, objects, open operations, the next number, the serial");
    assert_eq!(store.durations().expect("durations"), durations);
    assert_eq!(store.operations(RunId(1)).expect("read"), []);
    assert_eq!(store.operations(RunId(4)).expect("read").len(), 1);
    assert_eq!(store.run_of(OpId(1)).expect("read"), None);
    assert!(store.plan_json(samples::plan().hash()).expect("read").is_some(), "run 4 refers to it");
    // Life goes on: the open operation settles, and a new one has a number of its own.
    store.commit(fence, &[Record::Settled { op: OpId(4), settled_ms: 50 }]).expect("settled");
    run(&mut store, fence, 9, false);
    let pruned = store.prune(fence, RunId(5)).expect("pruned");
    assert_eq!((pruned.runs, pruned.stays), (1, None));
    assert_eq!(store.load().expect("loaded").next_op, OpId(6));
}

#[test]
fn numbers_are_given_once_also_when_the_last_operation_is_gone() {
    let (mut store, fence) = store();
    run(&mut store, fence, 0, false);
    let idle = store.start_run(fence, &samples::run()).expect("a run without operations");
    store.prune(fence, idle).expect("pruned");
    assert_eq!(store.load().expect("loaded").next_op, OpId(2));
    let pruned = store.prune(fence, RunId(99)).expect("pruned");
    assert_eq!(pruned, Pruned { runs: 0, operations: 0, plans: 0, stays: Some((idle, Stays::Newest)) });
    assert_eq!(store.start_run(fence, &samples::run()).expect("a run"), RunId(3));
}

#[test]
fn what_is_open_keeps_its_run_and_all_behind_it() {
    let (mut store, fence) = store();
    for n in 0..4 {
        run(&mut store, fence, n, n == 1);
    }
    let before = known(&mut store);
    let pruned = store.prune(fence, RunId(4)).expect("pruned");
    assert_eq!(pruned, Pruned { runs: 1, operations: 1, plans: 0, stays: Some((RunId(2), Stays::OpenOperations)) });
    assert_eq!(numbers(&mut store), [2, 3, 4]);
    assert_eq!(known(&mut store), before);
}

/// Enters an operation of one action that was done to the instance behind a target.
fn power(store: &mut SqliteStore, fence: Fence, action: &str, id: &CloudId) {
    use fleetwright::cloud::call::{Arg, Body, Call};
    use fleetwright::plan::{Do, Effect};
    let run = store.start_run(fence, &samples::run()).expect("a run");
    let number = store.load().expect("loaded").next_op;
    let mut record = op(number.0, run, 0);
    let instances: Vec<_> = id.instance().cloned().into_iter().collect();
    let body = match action {
        "StopInstances" => Body::StopInstances { instances: instances.into_iter().map(Arg::Known).collect() },
        _ => Body::StartInstances { instances },
    };
    record.step.does = Do::Call(Call { account: samples::uin(1), region: samples::region(), body });
    record.state = OpState::Intended;
    // Nothing became of it by the stop itself: it was for something else.
    record.step.targets[0].effect = Effect::Nothing;
    record.ids[0] = Some(id.clone());
    let records = [
        Record::Intend(Box::new(record)),
        Record::Outcome { op: number, target: 0, outcome: TargetOutcome::Done },
        Record::Settled { op: number, settled_ms: 30 },
    ];
    store.commit(fence, &records).expect("committed");
}

#[test]
fn an_instance_that_is_owed_its_start_is_remembered() {
    let (mut store, fence) = store();
    run(&mut store, fence, 0, false);
    let there = store.load().expect("loaded").recorded.objects[0].cloud_id.clone();
    power(&mut store, fence, "StopInstances", &there);
    run(&mut store, fence, 1, false);
    let halted: Vec<InstanceId> = there.instance().cloned().into_iter().collect();
    let before = known(&mut store);
    assert_eq!(before.recorded.halted.iter().cloned().collect::<Vec<_>>(), halted);
    let pruned = store.prune(fence, RunId(3)).expect("pruned");
    assert_eq!((pruned.runs, pruned.stays), (1, Some((RunId(2), Stays::HaltedInstances))));
    assert_eq!(known(&mut store), before);
    // Started again, nothing is owed any more.
    power(&mut store, fence, "StartInstances", &there);
    let before = known(&mut store);
    assert_eq!(store.prune(fence, RunId(4)).expect("pruned").stays, None);
    assert_eq!(known(&mut store), before);
}

#[test]
fn a_plan_that_no_run_refers_to_goes_with_the_last_one() {
    let (mut store, fence) = store();
    run(&mut store, fence, 0, false);
    let other = fleetwright::store::NewRun { plan: None, ..samples::run() };
    let last = store.start_run(fence, &other).expect("a run without a plan");
    assert_eq!(store.prune(fence, last).expect("pruned").plans, 1);
    assert_eq!(store.plan_json(samples::plan().hash()).expect("read"), None);
}

#[test]
fn only_whoever_holds_the_lock_prunes() {
    let (mut store, fence) = store();
    run(&mut store, fence, 0, false);
    run(&mut store, fence, 1, false);
    store.unlock(fence).expect("unlocked");
    assert_eq!(store.prune(fence, RunId(2)), Err(fleetwright::store::StoreFault::Fenced));
    assert_eq!(numbers(&mut store), [1, 2]);
}
