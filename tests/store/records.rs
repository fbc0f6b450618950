//! Every record does what it says, in order, in one transaction, or not at all.

use fleetwright::cloud::budget::Learned;
use fleetwright::model::recorded::{OpId, Status};
use fleetwright::store::{Fence, Record, RunOutcome, SqliteStore, Store, StoreFault, TargetOutcome, Taught};
use proptest::prelude::*;

use crate::reference::Reference;
use crate::samples::{self, copy_spec, edges, fault, holder, image, instance, object, op, origin, slot_spec, version};

/// A store in memory that is locked, and has a run.
fn locked() -> (SqliteStore, Fence) {
    let mut store = SqliteStore::in_memory(&samples::lineage()).expect("a store");
    let fence = store.lock(&holder("ann"), 0, 60_000, &|_| false).expect("the lock");
    store.start_run(fence, &samples::run()).expect("a run");
    (store, fence)
}

fn run() -> fleetwright::model::recorded::RunId {
    fleetwright::model::recorded::RunId(1)
}

fn change(which: u32, generation: u32, salt: u32) -> Record {
    let object = object(which, generation, salt);
    Record::Change {
        addr: object.addr,
        generation,
        status: object.status,
        spec: (!salt.is_multiple_of(3)).then_some(object.spec),
        made_from: object.made_from.filter(|_| salt.is_multiple_of(2)),
    }
}

/// What a refusal taught of one of a few actions, at some time within a few minutes.
fn taught(which: u32, at_ms: i64) -> Taught {
    Taught {
        account: "100000000001".into(),
        region: samples::region(),
        action: format!("Action{which}"),
        learned: Learned { milli_per_s: 5000, at_ms },
    }
}

fn remove(which: u32, generation: u32) -> Record {
    Record::Remove { addr: object(which, generation, 0).addr, generation }
}

/// A record that fits what is there, chosen by three numbers.
fn fitting(reference: &Reference, choice: u32, a: u32, b: u32) -> Option<Record> {
    let (which, generation) = (a % 6, 1 + a / 6 % 2);
    let there = || {
        let addr = object(which, generation, 0).addr;
        reference.recorded.objects.iter().any(|old| old.addr == addr && old.generation == generation)
    };
    let open: Vec<_> = reference.ops.values().filter(|op| Reference::is_open(op)).collect();
    let some = open.get(a as usize % open.len().max(1));
    let target = b % 6;
    Some(match choice {
        0 | 1 => Record::Put(Box::new(object(which, generation, b))),
        2 => there().then(|| change(which, generation, b))?,
        3 => there().then(|| remove(which, generation))?,
        4 => Record::Version(Box::new(version(b))),
        5 => {
            let old = reference.recorded.versions.get(a as usize % 3)?;
            Record::DropVersion { block: old.block.clone(), version: old.version.clone(), generation: old.generation }
        }
        6 => Record::Edges(edges(b)),
        7 => Record::Origin(origin()),
        8 => Record::Took { action: "RunInstances", region: samples::region(), ms: i64::from(b) },
        9 | 10 => Record::Intend(Box::new(op(reference.next_op().0, run(), b))),
        11 => Record::Sent { op: some?.id, attempt: some?.attempt + 1, sent_ms: i64::from(b) },
        12 => Record::Accepted {
            op: some?.id,
            request_id: a.is_multiple_of(2).then(|| "req-1".into()),
            unbound: (0..b % 4).rev().map(|n| instance(500 + n)).collect(),
        },
        13 => Record::Bound {
            op: some?.id,
            target,
            id: if a.is_multiple_of(5) { image(b) } else { instance(500 + b % 4) },
        },
        14 => Record::Outcome {
            op: some?.id,
            target,
            outcome: if a.is_multiple_of(2) {
                TargetOutcome::Done
            } else {
                TargetOutcome::Failed { why: format!("sold out {b}") }
            },
        },
        15 => Record::Settled { op: some?.id, settled_ms: 9 },
        16 => Record::Budget(taught(a % 3, i64::from(b) * 10_000)),
        17 => Record::Rollout(Box::new(samples::rollout(a, b))),
        18 => Record::DropRollout(reference.recorded.rollouts.keys().nth(a as usize % 2)?.clone()),
        _ => Record::Failed { op: some?.id, settled_ms: 9, fault: Box::new(fault()) },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is committed, in whatever portions, is read back as a naive model has it.
    #[test]
    fn a_store_holds_what_was_committed(
        commits in prop::collection::vec(prop::collection::vec((0_u32..20, 0_u32..24, 0_u32..20), 0..8), 1..12),
    ) {
        let (mut store, fence) = locked();
        let mut reference = Reference::new();
        for choices in commits {
            let mut records: Vec<Record> = Vec::new();
            let mut ahead = Reference::new();
            for op in reference.ops.values() {
                ahead.ops.insert(op.id, op.clone());
            }
            ahead.recorded = reference.recorded.clone();
            for (choice, a, b) in choices {
                if let Some(record) = fitting(&ahead, choice, a, b) {
                    ahead.commit(std::slice::from_ref(&record));
                    records.push(record);
                }
            }
            store.commit(fence, &records).expect("committed");
            reference.commit(&records);
            prop_assert_eq!(store.load().expect("loaded"), reference.stored());
        }
    }
}

/// All records once, in the order of a life.
fn a_life() -> Vec<Record> {
    let id = OpId(1);
    vec![
        Record::Origin(origin()),
        Record::Edges(edges(7)),
        Record::Version(Box::new(version(3))),
        Record::Intend(Box::new(op(1, run(), 0))),
        Record::Sent { op: id, attempt: 1, sent_ms: 100 },
        Record::Accepted { op: id, request_id: Some("req-1".into()), unbound: vec![instance(9), instance(8)] },
        Record::Bound { op: id, target: 0, id: instance(8) },
        Record::Outcome { op: id, target: 0, outcome: TargetOutcome::Done },
        Record::Outcome { op: id, target: 1, outcome: TargetOutcome::Failed { why: "LAUNCH_FAILED".into() } },
        Record::Put(Box::new(fleetwright::model::recorded::Object { made_by: Some(id), ..object(0, 1, 0) })),
        Record::Put(Box::new(object(2, 1, 0))),
        Record::Put(Box::new(object(4, 1, 0))),
        change(0, 1, 2),
        change(4, 1, 2),
        Record::Took { action: "RunInstances", region: samples::region(), ms: 700 },
        Record::Rollout(Box::new(samples::rollout(0, 6))),
        Record::Rollout(Box::new(samples::rollout(0, 7))),
    ]
}

#[test]
fn a_life_reads_back_after_every_commit() {
    let (mut store, fence) = locked();
    let mut reference = Reference::new();
    let ends = [
        Record::Settled { op: OpId(1), settled_ms: 200 },
        Record::DropRollout(samples::fleet()),
        remove(4, 1),
        Record::DropVersion { block: version(3).block, version: version(3).version, generation: version(3).generation },
    ];
    for record in a_life().into_iter().chain(ends) {
        let records = [record];
        store.commit(fence, &records).expect("committed");
        reference.commit(&records);
        assert_eq!(store.load().expect("loaded"), reference.stored());
    }
    assert!(reference.stored().open.is_empty());
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence_and_leaves_nothing() {
    let lacking = |op| Record::Sent { op: OpId(op), attempt: 1, sent_ms: 1 };
    let mut settled_at_birth = op(2, run(), 0);
    settled_at_birth.state = fleetwright::store::OpState::Settled;
    let mut lopsided = op(2, run(), 0);
    lopsided.ids.pop();
    let mut shown = object(0, 2, 5);
    shown.addr.generation = Some(2);
    let same_id = fleetwright::model::recorded::Object { cloud_id: object(0, 1, 0).cloud_id, ..object(1, 1, 0) };
    let made_by_nobody = fleetwright::model::recorded::Object { made_by: Some(OpId(77)), ..object(1, 1, 0) };
    let cases: Vec<(Record, &str)> = vec![
        (lacking(9), "op 9: not in the journal"),
        (lacking(1), "op 1: was sent as often before"),
        (Record::Accepted { op: OpId(9), request_id: None, unbound: vec![instance(1)] }, "op 9: not in the journal"),
        (Record::Bound { op: OpId(1), target: 6, id: instance(1) }, "op 1: has no target 6"),
        (Record::Outcome { op: OpId(9), target: 0, outcome: TargetOutcome::Done }, "op 9: not in the journal"),
        (Record::Settled { op: OpId(9), settled_ms: 1 }, "op 9: not in the journal"),
        (Record::Failed { op: OpId(9), settled_ms: 1, fault: Box::new(fault()) }, "op 9: not in the journal"),
        (
            Record::Intend(Box::new(op(1, run(), 0))),
            "op 1: is in the journal already, or its run 1 is not in the history",
        ),
        (
            Record::Intend(Box::new(op(2, fleetwright::model::recorded::RunId(5), 0))),
            "op 2: is in the journal already, or its run 5 is not in the history",
        ),
        (Record::Intend(Box::new(settled_at_birth)), "op 2: enters the journal as settled, not as intended"),
        (Record::Intend(Box::new(lopsided)), "op 2: has not one id and one outcome for each target"),
        (remove(1, 1), "module.shop[\"a\\\"b\\\\c\"].module.inner.fleet.web[\"gz\"][1]: not in the state"),
        (remove(0, 2), "fleet.web[0]#2: not in the state"),
        (change(0, 2, 1), "fleet.web[0]#2: not in the state"),
        (change(0, 2, 0), "fleet.web[0]#2: not in the state"),
        (
            Record::DropVersion { block: version(1).block, version: version(1).version, generation: 1 },
            "image.web@2026-11-01: not in the state",
        ),
        (
            Record::DropRollout(samples::nested()),
            "module.shop[\"a\\\"b\\\\c\"].module.inner.fleet.web[\"gz\"]: has no rollout in the state",
        ),
        (Record::Put(Box::new(shown)), "fleet.web[0]#2: the generation of an object stands beside its address"),
        (Record::Put(Box::new(same_id)), "[\"gz\"][1]: ins-00000100 is another object's in ap-guangzhou"),
        (
            Record::Put(Box::new(made_by_nobody)),
            "ins-00001100 is another object's in ap-guangzhou, or op 77 that made it is not in the journal",
        ),
    ];
    let (mut store, fence) = locked();
    store.commit(fence, &a_life()).expect("committed");
    let before = store.load().expect("loaded");
    for (record, sentence) in cases {
        let fits = Record::Edges(edges(1));
        match store.commit(fence, &[fits, record.clone()]) {
            Err(StoreFault::Io(message)) => assert!(message.ends_with(sentence), "{message}\n{sentence}"),
            other => panic!("{record:?}: {other:?}"),
        }
        assert_eq!(store.load().expect("loaded"), before, "{record:?}");
    }
}

#[test]
fn what_is_over_stays_as_it_is() {
    for end in [
        Record::Settled { op: OpId(1), settled_ms: 1 },
        Record::Failed { op: OpId(1), settled_ms: 1, fault: Box::new(fault()) },
    ] {
        let (mut store, fence) = locked();
        store.commit(fence, &a_life()).expect("committed");
        store.commit(fence, std::slice::from_ref(&end)).expect("over");
        for record in [
            end,
            Record::Sent { op: OpId(1), attempt: 9, sent_ms: 1 },
            Record::Accepted { op: OpId(1), request_id: None, unbound: Vec::new() },
            Record::Bound { op: OpId(1), target: 0, id: instance(1) },
            Record::Outcome { op: OpId(1), target: 0, outcome: TargetOutcome::Done },
        ] {
            let refused = store.commit(fence, std::slice::from_ref(&record)).expect_err("over");
            assert!(refused.to_string().contains("op 1: over already, as "), "{refused}");
        }
    }
}

#[test]
fn only_changes_of_the_state_move_the_serial_and_by_one() {
    let (mut store, fence) = locked();
    let serial = |store: &mut SqliteStore| store.load().expect("loaded").recorded.serial;
    let mut commit = |records: &[Record], by: u64| {
        let before = serial(&mut store);
        store.commit(fence, records).expect("committed");
        assert_eq!(serial(&mut store), before + by, "{records:?}");
    };
    commit(&[], 0);
    commit(&[Record::Intend(Box::new(op(1, run(), 0))), Record::Sent { op: OpId(1), attempt: 1, sent_ms: 1 }], 0);
    commit(&[Record::Took { action: "x", region: samples::region(), ms: 1 }], 0);
    commit(&[Record::Put(Box::new(object(0, 1, 0))), Record::Put(Box::new(object(1, 1, 0)))], 1);
    commit(&[Record::Edges(edges(1)), Record::Origin(origin())], 1);
    commit(&[Record::Edges(edges(1)), Record::Origin(origin())], 0);
    commit(&[Record::Version(Box::new(version(1)))], 1);
    commit(&[Record::Rollout(Box::new(samples::rollout(0, 0)))], 1);
    commit(&[Record::DropRollout(samples::fleet())], 1);
    commit(
        &[Record::Change {
            addr: object(0, 1, 0).addr,
            generation: 1,
            status: Status::Deleting,
            spec: None,
            made_from: None,
        }],
        1,
    );
    commit(&[remove(0, 1), remove(1, 1)], 1);
}

#[test]
fn runs_and_durations_are_kept() {
    let (mut store, fence) = locked();
    let second = store.start_run(fence, &samples::run()).expect("a second run of the same plan");
    store.commit(fence, &[Record::Put(Box::new(object(0, 1, 0)))]).expect("committed");
    store.end_run(fence, second, 50, RunOutcome::Partly).expect("ended");
    let runs = store.runs().expect("runs");
    assert_eq!(
        runs.iter().map(|run| (run.id.0, run.outcome)).collect::<Vec<_>>(),
        [(1, None), (2, Some(RunOutcome::Partly))]
    );
    let run = &runs[1];
    assert_eq!((run.kind.as_str(), run.who.as_str(), run.host.as_str()), ("apply", "ann", "laptop"));
    assert_eq!((run.started_ms, run.ended_ms), (5, Some(50)));
    assert_eq!((run.serial_before, run.serial_after), (0, Some(1)));
    assert_eq!((run.config_digest, &run.git_rev), (samples::run().config_digest, &samples::run().git_rev));
    assert_eq!(store.plan_json(samples::plan().hash()).expect("read").as_deref(), Some(samples::PLAN));
    assert_eq!(store.plan_json(run.config_digest.expect("a digest")).expect("read"), None);
    for (run, sentence) in [(2, "run 2 is not under way"), (3, "run 3 is not under way")] {
        let refused = store.end_run(fence, fleetwright::model::recorded::RunId(run), 60, RunOutcome::Done);
        assert!(refused.expect_err("over").to_string().ends_with(sentence));
    }
    let took = |ms| Record::Took { action: "RunInstances", region: samples::region(), ms };
    store.commit(fence, &[took(700), took(1000), took(3)]).expect("committed");
    let found = store.durations().expect("durations");
    assert_eq!(
        found.iter().map(|row| (row.le_ms, row.count, row.sum_ms)).collect::<Vec<_>>(),
        [(4, 1, 3), (1024, 2, 1700)]
    );
}

#[test]
fn slots_with_one_spec_share_it() {
    let (mut store, fence) = locked();
    let spec = slot_spec(0);
    let slot = |slot: u32| {
        let mut object = object(0, 1, 0);
        object.addr.slot = Some(slot);
        object.cloud_id = instance(slot);
        object.spec = spec.clone();
        Record::Put(Box::new(object))
    };
    store.commit(fence, &[slot(0), slot(1), slot(2), Record::Put(Box::new(object(2, 1, 1)))]).expect("committed");
    let objects = store.load().expect("loaded").recorded.objects;
    let slots: Vec<_> = objects.iter().filter(|object| object.addr.slot.is_some()).collect();
    assert_eq!(slots.len(), 3);
    assert!(slots.iter().all(|slot| std::sync::Arc::ptr_eq(&slot.spec, &slots[0].spec)));
    assert!(objects.iter().any(|object| object.spec == copy_spec(1)));
}
