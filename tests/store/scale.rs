//! Large states. Times are printed, and judged by the benches.

use std::time::Instant;

use fleetwright::model::addr::Addr;
use fleetwright::model::recorded::{Object, OpId, RunId, Status};
use fleetwright::plan::{Effect, NewObject, Target};
use fleetwright::store::{Record, SqliteStore, Store, TargetOutcome};

use crate::samples::{self, fleet, holder, instance, object, op, slot_spec};

const SLOTS: u32 = 100_000;
const BATCH: u32 = 500;

#[expect(clippy::disallowed_methods, reason = "a time that is printed, never compared")]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    #[expect(clippy::print_stderr, reason = "for people who run this test by itself")]
    {
        eprintln!("{what}: {} ms", start.elapsed().as_millis());
    }
    done
}

fn slot(n: u32, spec: &std::sync::Arc<fleetwright::model::spec::ObjectSpec>) -> Object {
    Object {
        addr: Addr::slot(fleet(), n),
        cloud_id: instance(n),
        name: format!("webshop-prod-web-3-{n}"),
        ordinal: Some(n),
        spec: spec.clone(),
        ..object(0, 1, 0)
    }
}

#[test]
fn a_hundred_thousand_slots_go_in_and_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = SqliteStore::create(&dir.path().join("state.db"), &samples::lineage()).expect("created");
    let fence = store.lock(&holder("ann"), 0, 60_000, &|_| false).expect("the lock");
    let spec = slot_spec(0);
    let puts: Vec<_> = (0..SLOTS).map(|n| Record::Put(Box::new(slot(n, &spec)))).collect();
    timed("commit of 100,000 new objects", || store.commit(fence, &puts)).expect("committed");
    let stored = timed("load", || store.load()).expect("loaded");
    assert_eq!(stored.recorded.objects.len(), SLOTS as usize);
    assert_eq!(stored.recorded.serial, 1);
    let first = &stored.recorded.objects[0];
    assert!(stored.recorded.objects.iter().all(|object| std::sync::Arc::ptr_eq(&object.spec, &first.spec)));
    assert!(stored.recorded.objects.is_sorted_by_key(|object| object.addr.slot));
    let changes: Vec<_> = (0..SLOTS)
        .map(|n| Record::Change {
            addr: Addr::slot(fleet(), n),
            generation: 1,
            status: Status::Ready,
            spec: None,
            made_from: None,
        })
        .collect();
    timed("commit of 100,000 changes", || store.commit(fence, &changes)).expect("committed");
    drop(store);
    let path = dir.path().join("state.db");
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    timed("load, read only", || reader.load()).expect("loaded");
    drop(reader);
    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
    let removals: Vec<_> = (0..SLOTS).map(|n| Record::Remove { addr: Addr::slot(fleet(), n), generation: 1 }).collect();
    timed("commit of 100,000 removals", || store.commit(fence, &removals)).expect("committed");
    assert_eq!(store.load().expect("loaded").recorded.objects.len(), 0);
}

#[test]
fn a_journal_of_launches_grows_with_their_targets() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut store = SqliteStore::create(&path, &samples::lineage()).expect("created");
    let fence = store.lock(&holder("ann"), 0, 60_000, &|_| false).expect("the lock");
    store.start_run(fence, &samples::run()).expect("a run");
    let spec = slot_spec(0);
    let launches = i64::from(SLOTS / 10 / BATCH);
    let lives: Vec<[Vec<Record>; 3]> = (0..launches)
        .map(|launch| {
            let id = OpId(launch + 1);
            let slots = || (0..BATCH).map(|n| u32::try_from(launch).unwrap_or(0) * BATCH + n);
            let mut record = op(id.0, RunId(1), 0);
            record.step.targets = slots()
                .map(|n| Target {
                    addr: Addr::slot(fleet(), n),
                    generation: 1,
                    id: None,
                    effect: Effect::Make(Box::new(NewObject {
                        region: samples::region(),
                        name: format!("webshop-prod-web-3-{n}"),
                        zone: Some(samples::zone()),
                        ordinal: Some(n),
                        spec: spec.clone(),
                        version: None,
                    })),
                })
                .collect();
            record.ids = vec![None; BATCH as usize];
            record.outcomes = vec![None; BATCH as usize];
            let intend = vec![Record::Intend(Box::new(record)), Record::Sent { op: id, attempt: 1, sent_ms: 1 }];
            let unbound = slots().map(instance).collect();
            let mut accept = vec![Record::Accepted { op: id, request_id: Some("req".into()), unbound }];
            for (target, n) in (0_u32..).zip(slots()) {
                accept.push(Record::Bound { op: id, target, id: instance(n) });
                accept.push(Record::Put(Box::new(Object { made_by: Some(id), ..slot(n, &spec) })));
            }
            let mut settle: Vec<_> =
                (0..BATCH).map(|target| Record::Outcome { op: id, target, outcome: TargetOutcome::Done }).collect();
            settle.extend(slots().map(|n| Record::Change {
                addr: Addr::slot(fleet(), n),
                generation: 1,
                status: Status::Ready,
                spec: None,
                made_from: None,
            }));
            settle.push(Record::Settled { op: id, settled_ms: 2 });
            [intend, accept, settle]
        })
        .collect();
    for (stage, what) in ["intend", "accept", "settle"].into_iter().enumerate() {
        timed(&format!("{what} {launches} launches of {BATCH}"), || {
            for life in &lives {
                store.commit(fence, &life[stage]).expect("committed");
            }
        });
        let stored = timed("load", || store.load()).expect("loaded");
        let (open, ids) = [(20, 0), (20, 10_000), (0, 0)][stage];
        assert_eq!((stored.open.len(), stored.ids_ever.len()), (open, ids));
        assert!(stored.open.iter().all(|op| op.step.targets.len() == BATCH as usize));
    }
    drop(store);
    let bytes = std::fs::metadata(&path).expect("a file").len();
    assert!(bytes < u64::from(SLOTS / 10) * 700, "{bytes} bytes for {} instances", SLOTS / 10);
}
