//! What can be tested only from within: full disks, and the number of statements.

use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::*;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{CloudId, InstanceId, Name, Region};
use crate::model::recorded::{Object, Status};
use crate::model::spec::{ImageCopySpec, ObjectSpec};

/// Whether goldens and fixtures are to be written anew.
#[expect(clippy::disallowed_methods, reason = "goldens are rewritten only when a person asks for it")]
pub(super) fn updating() -> bool {
    std::env::var_os("UPDATE_FIXTURES").is_some()
}

fn put(slot: u32, spec: &Arc<ObjectSpec>) -> Record {
    Record::Put(Box::new(Object {
        addr: Addr::slot(Block::fleet(&Name::new("web")), slot),
        generation: 1,
        region: Region::new("ap-guangzhou"),
        cloud_id: CloudId::Instance(InstanceId::new(format!("ins-{slot}"))),
        name: format!("webshop-prod-web-{slot}"),
        zone: None,
        ordinal: None,
        status: Status::Ready,
        spec: spec.clone(),
        made_from: None,
        accepted_ms: 0,
        made_by: None,
    }))
}

fn spec() -> Arc<ObjectSpec> {
    Arc::new(ObjectSpec::Image(ImageCopySpec {
        description: None,
        tags: std::collections::BTreeMap::new(),
        ..ImageCopySpec::default()
    }))
}

fn holder() -> Holder {
    Holder { who: "ann".into(), host: "laptop".into(), pid: 1, started: 1 }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mut store = SqliteStore::create(&path, &Lineage::new("x")).expect("created");
    let fence = store.lock(&holder(), 0, 500, &|_| false).expect("the lock");
    let spec = spec();
    store.commit(fence, &[put(0, &spec)]).expect("there is room");
    let before = store.load().expect("loaded");
    let pages: i64 = store.conn().query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count");
    store.conn().query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |_| Ok(())).expect("a limit");
    let many: Vec<_> = (1..2000).map(|slot| put(slot, &spec)).collect();
    assert_eq!(store.commit(fence, &many), Err(StoreFault::Full(path.display().to_string())));
    assert_eq!(store.load().expect("loaded"), before);
    store.conn().query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).expect("no limit");
    store.commit(fence, &many).expect("there is room again");
    assert_eq!(store.load().expect("loaded").recorded.objects.len(), 2000);
}

/// Runs `work` and says which statements it ran, but for those that look after foreign keys.
fn statements(store: &mut SqliteStore, work: impl FnOnce(&mut SqliteStore)) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let push = seen.clone();
    store
        .conn_mut()
        .trace_v2(
            TraceEventCodes::SQLITE_TRACE_STMT,
            Some(move |event: TraceEvent<'_>| {
                if let TraceEvent::Stmt(statement, _) = event {
                    push.lock().expect("no panic").push(statement.sql().to_string());
                }
            }),
        )
        .expect("traced");
    work(store);
    store.conn_mut().trace_v2(TraceEventCodes::empty(), None::<fn(TraceEvent<'_>)>).expect("untraced");
    seen.lock().expect("no panic").clone()
}

#[test]
fn a_commit_is_one_transaction_and_one_statement_a_record() {
    let mut store = SqliteStore::in_memory(&Lineage::new("x")).expect("a store");
    let fence = store.lock(&holder(), 0, 500, &|_| false).expect("the lock");
    let spec = spec();
    let mut from = 0;
    let mut count = |n: u32| {
        let records: Vec<_> = (from..from + n).map(|slot| put(slot, &spec)).collect();
        from += n;
        let all = statements(&mut store, |store| store.commit(fence, &records).expect("committed"));
        let of = |word: &str| all.iter().filter(|sql| sql.starts_with(word)).count();
        assert_eq!((of("BEGIN"), of("COMMIT"), of("SAVEPOINT")), (1, 1, 0), "{all:?}");
        assert_eq!(of("INSERT INTO object"), n as usize);
        all.len()
    };
    let first = count(1);
    // The first commit enters the spec, later ones find it.
    let (one, thousand) = (count(1), count(1000));
    assert_eq!(first, one + 1);
    assert_eq!(thousand, one + 999);
    assert_eq!(one, 6, "begin, fence, spec, object, serial, commit");
}

#[test]
fn a_load_is_a_statement_a_table_and_one_a_spec() {
    let mut store = SqliteStore::in_memory(&Lineage::new("x")).expect("a store");
    let fence = store.lock(&holder(), 0, 500, &|_| false).expect("the lock");
    let spec = spec();
    let mut load = |from: u32, to: u32| {
        let records: Vec<_> = (from..to).map(|slot| put(slot, &spec)).collect();
        store.commit(fence, &records).expect("committed");
        statements(&mut store, |store| drop(store.load().expect("loaded"))).len()
    };
    assert_eq!(load(0, 1), load(1, 1000));
}
