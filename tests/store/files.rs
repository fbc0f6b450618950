//! Files: what is made and when, what is refused and how, and what survives.

use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::model::digest::{Digest, context};
use fleetwright::model::recorded::{OpId, RunId};
use fleetwright::store::{Fence, Record, SqliteStore, Store, StoreFault, TargetOutcome};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::samples::{self, edges, holder, instance, object, op, origin, version};

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    (dir, path)
}

fn create(path: &Path) -> (SqliteStore, Fence) {
    let mut store = SqliteStore::create(path, &samples::lineage()).expect("created");
    let fence = store.lock(&holder("ann"), 0, 60_000, &|_| false).expect("the lock");
    store.start_run(fence, &samples::run()).expect("a run");
    (store, fence)
}

fn put(which: u32) -> Vec<Record> {
    vec![Record::Put(Box::new(object(which, 1, 0)))]
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn where_there_is_no_state_none_is_made_by_looking() {
    let (dir, path) = place();
    assert!(SqliteStore::open(&path).expect("looked").is_none());
    assert!(SqliteStore::open_read_only(&path).expect("looked").is_none());
    assert!(SqliteStore::open(&dir.path().join("a/b/c.db")).expect("looked").is_none());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_state_is_made_once_with_its_directory() {
    let (dir, _) = place();
    let path = dir.path().join("state/prod.db");
    let store = SqliteStore::create(&path, &samples::lineage()).expect("created");
    assert_eq!(store.lineage(), samples::lineage());
    let again = SqliteStore::create(&path, &"another".into()).expect_err("there already");
    assert_eq!(again, StoreFault::Io(format!("{}: there is a state already", path.display())));
    drop(store);
    assert_eq!(names(path.parent().expect("a parent")), ["prod.db"], "nothing is left beside a state at rest");
    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
    assert_eq!(store.lineage(), samples::lineage());
    let stored = store.load().expect("loaded");
    assert_eq!(stored.recorded, fleetwright::model::recorded::Recorded::empty(samples::lineage()));
    assert_eq!((stored.next_op, stored.open.len()), (OpId(1), 0));
}

#[test]
fn of_many_who_create_at_once_one_does() {
    let (_dir, path) = place();
    let made = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let path = &path;
                    move || SqliteStore::create(path, &format!("lineage {n}").as_str().into())
                })
            })
            .collect();
        let made: Vec<_> = tries.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(StoreFault::Io(_)))), "{made:?}");
        made.into_iter().flatten().map(|store| store.lineage()).collect::<Vec<_>>()
    });
    let there = SqliteStore::open(&path).expect("opened").expect("there");
    assert_eq!(made, [there.lineage()]);
}

/// A state is put into its place when it is whole: what is empty is the rest of one, and nothing is made over it.
#[test]
fn what_is_empty_is_no_fresh_start() {
    let (dir, path) = place();
    let refused = || {
        let faults = [
            SqliteStore::open(&path).expect_err("refused"),
            SqliteStore::open_read_only(&path).expect_err("refused"),
            SqliteStore::create(&path, &samples::lineage()).expect_err("refused"),
        ];
        assert!(faults.iter().all(|fault| *fault == StoreFault::Empty(path.display().to_string())), "{faults:?}");
    };
    fs::write(&path, b"").expect("an empty file");
    refused();
    let conn = Connection::open(&path).expect("opened");
    conn.pragma_update(None, "journal_mode", "wal").expect("a header");
    drop(conn);
    assert!(fs::metadata(&path).expect("a file").len() > 0);
    refused();
    fs::remove_file(&path).expect("removed");
    // What a creation left behind that was cut short lies beside it, and is in nobody's way.
    fs::write(dir.path().join(".state.db.new-0"), b"").expect("an empty file");
    assert!(SqliteStore::open(&path).expect("looked").is_none());
    drop(create(&path));
    assert_eq!(names(dir.path()), [".state.db.new-0", "state.db"]);
}

#[test]
fn what_is_no_state_is_refused_and_left_alone() {
    let (dir, path) = place();
    let shown = path.display().to_string();
    let refused = |path: &Path| {
        let faults = [
            SqliteStore::open(path).expect_err("refused"),
            SqliteStore::open_read_only(path).expect_err("refused"),
            SqliteStore::create(path, &samples::lineage()).expect_err("refused"),
        ];
        let [first, ..] = faults.clone();
        assert!(faults.iter().all(|fault| *fault == first), "{faults:?}");
        first
    };
    for text in ["resources: []\n".to_owned(), "resources: []\n".repeat(1000)] {
        fs::write(&path, &text).expect("written");
        assert_eq!(refused(&path), StoreFault::NotAState(shown.clone()));
        assert_eq!(fs::read_to_string(&path).expect("read"), text);
    }
    fs::remove_file(&path).expect("removed");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("CREATE TABLE meta (key TEXT, value TEXT)").expect("another program's database");
    drop(other);
    let before = fs::read(&path).expect("read");
    assert_eq!(refused(&path), StoreFault::NotAState(shown));
    assert_eq!(fs::read(&path).expect("read"), before);
    assert_eq!(refused(dir.path()), StoreFault::NotAState(dir.path().display().to_string()));
}

#[test]
fn a_newer_schema_is_refused() {
    let (_dir, path) = place();
    drop(create(&path));
    let conn = Connection::open(&path).expect("opened");
    conn.execute("INSERT INTO migration (n, name, hash) VALUES (99, '0099_later', 'x')", []).expect("a later one");
    drop(conn);
    for fault in [SqliteStore::open(&path).expect_err("newer"), SqliteStore::open_read_only(&path).expect_err("newer")]
    {
        assert!(matches!(&fault, StoreFault::Newer { found: 5, known: 4, .. }), "{fault:?}");
        assert!(fault.to_string().contains("written with schema 5, and this build knows schemas up to 4"));
    }
}

#[test]
fn a_migration_that_was_edited_is_noticed() {
    let (_dir, path) = place();
    drop(create(&path));
    let conn = Connection::open(&path).expect("opened");
    conn.execute("UPDATE migration SET hash = 'x'", []).expect("another hash");
    drop(conn);
    let fault = SqliteStore::open(&path).expect_err("edited");
    assert!(matches!(&fault, StoreFault::NotAState(text) if text.contains("0001_init")), "{fault:?}");
}

#[test]
fn a_word_that_is_not_known_is_named() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    store.commit(fence, &put(0)).expect("committed");
    let conn = Connection::open(&path).expect("opened");
    conn.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE object SET status = 'dreaming'").expect("changed");
    let fault = store.load().expect_err("unknown");
    assert_eq!(
        fault,
        StoreFault::Damaged(
            path.display().to_string(),
            "holds the word `dreaming`, which this build does not know".to_owned()
        )
    );
}

#[test]
fn readers_read_while_a_writer_writes() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    store.commit(fence, &put(0)).expect("committed");
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM object").expect("a write under way");
    assert_eq!(reader.load().expect("loaded").recorded.objects.len(), 1);
    drop(other);
    store.commit(fence, &put(1)).expect("committed");
    assert_eq!(reader.load().expect("loaded").recorded.objects.len(), 2);
    assert_eq!(reader.lease().expect("read").map(|lease| lease.holder), Some(holder("ann")));
}

#[test]
fn a_reader_leaves_nothing_behind_and_still_sees_later_writes() {
    let (dir, path) = place();
    let (mut store, fence) = create(&path);
    store.commit(fence, &put(0)).expect("committed");
    drop(store);
    let before = fs::read(&path).expect("read");
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    assert_eq!(reader.load().expect("loaded").recorded.objects.len(), 1);
    assert_eq!(names(dir.path()), ["state.db"]);
    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
    store.commit(fence, &put(1)).expect("committed");
    assert_eq!(reader.load().expect("loaded").recorded.objects.len(), 2, "while a writer has it open");
    drop(reader);
    drop(store);
    assert_eq!(names(dir.path()), ["state.db"]);
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
    store.commit(fence, &put(2)).expect("committed");
    drop(store);
    assert_eq!(reader.load().expect("loaded").recorded.objects.len(), 3, "when a writer has come and gone");
    drop(reader);
    assert_ne!(fs::read(&path).expect("read"), before);
}

#[test]
fn names_that_mean_something_in_a_uri_are_only_names() {
    let (dir, _) = place();
    for name in ["a?mode=rw.db", "a#b.db", "a%41.db", "a b.db", "\u{e4}.db"] {
        let path = dir.path().join(name);
        drop(create(&path));
        let mut reader = SqliteStore::open_read_only(&path).expect(name).expect(name);
        reader.load().expect(name);
    }
    assert_eq!(names(dir.path()).len(), 5);
}

#[test]
fn whoever_only_reads_cannot_write() {
    let (_dir, path) = place();
    let (store, fence) = create(&path);
    let shown = path.display().to_string();
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    assert_eq!(reader.commit(fence, &put(0)), Err(StoreFault::ReadOnly(shown.clone())), "beside a writer");
    drop(reader);
    drop(store);
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    assert_eq!(reader.commit(fence, &put(0)), Err(StoreFault::ReadOnly(shown)), "when nobody has it open");
}

#[test]
#[cfg(unix)]
fn a_directory_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = place();
    drop(create(&path));
    let closed = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("permissions");
    closed(0o555);
    if fs::write(dir.path().join("probe"), b"").is_ok() {
        // Permissions do not bind the superuser; what nobody can write to does.
        let path = Path::new("/proc/fleetwright/state.db");
        let fault = SqliteStore::create(path, &samples::lineage()).expect_err("no place for a state");
        assert!(fault.to_string().starts_with("/proc/fleetwright/state.db: "), "{fault}");
    } else {
        let other = dir.path().join("other.db");
        let fault = SqliteStore::create(&other, &samples::lineage()).expect_err("no place for a state");
        assert_eq!(fault, StoreFault::ReadOnly(other.display().to_string()));
        let fault = SqliteStore::open(&path).expect_err("no place for a journal");
        assert_eq!(fault, StoreFault::ReadOnly(path.display().to_string()));
        let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
        reader.load().expect("reading takes no place");
    }
    closed(0o755);
}

/// Copies a state as it lies there, as a crash would leave it: without the file that processes share.
fn crash(path: &Path, into: &Path, wal_bytes: Option<usize>) -> PathBuf {
    let (copy, beside) = (into.join("state.db"), |path: &Path| PathBuf::from(format!("{}-wal", path.display())));
    fs::copy(path, &copy).expect("copied");
    let mut wal = fs::read(beside(path)).expect("a journal that was not folded in yet");
    wal.truncate(wal_bytes.unwrap_or(wal.len()));
    fs::write(beside(&copy), wal).expect("copied");
    copy
}

#[test]
fn a_crash_loses_nothing_that_was_committed() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    for which in 0..6 {
        store.commit(fence, &put(which)).expect("committed");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let copy = crash(&path, elsewhere.path(), None);
        let mut survivor = SqliteStore::open(&copy).expect("opened").expect("there");
        assert_eq!(survivor.load().expect("loaded"), store.load().expect("loaded"));
        survivor.commit(fence, &[Record::Edges(edges(1))]).expect("life goes on");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let copy = crash(&path, elsewhere.path(), None);
        let mut survivor = SqliteStore::open_read_only(&copy).expect("opened").expect("there");
        assert_eq!(survivor.load().expect("loaded"), store.load().expect("loaded"), "also for a reader");
    }
}

#[test]
fn a_torn_journal_ends_with_a_whole_commit() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    for which in 0..4 {
        store.commit(fence, &put(which)).expect("committed");
    }
    let all = fs::metadata(format!("{}-wal", path.display())).expect("a journal").len() as usize;
    let mut last = 0;
    for bytes in (0..=all).step_by(all / 97).chain([all]) {
        let elsewhere = tempfile::tempdir().expect("a directory");
        let copy = crash(&path, elsewhere.path(), Some(bytes));
        let mut survivor = SqliteStore::open(&copy).expect("opened").expect("a state, whatever is torn");
        let stored = survivor.load().expect("loaded");
        assert_eq!(stored.recorded.serial, stored.recorded.objects.len() as u64);
        assert!(stored.recorded.serial >= last, "more of the journal holds no less");
        last = stored.recorded.serial;
    }
    assert_eq!(last, 4);
}

#[test]
fn specs_go_with_the_last_that_has_them() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    let count = |sql: &str| -> i64 {
        Connection::open(&path).expect("opened").query_row(sql, [], |row| row.get(0)).expect("a count")
    };
    let specs = || count("SELECT count(*) FROM spec");
    let spec = |salt| Some(object(0, 1, salt).spec);
    let change = |spec| Record::Change {
        addr: object(0, 1, 0).addr,
        generation: 1,
        status: fleetwright::model::recorded::Status::Ready,
        spec,
        made_from: None,
    };
    let remove = |which| Record::Remove { addr: object(which, 1, 0).addr, generation: 1 };
    store.commit(fence, &[put(0), put(1)].concat()).expect("two with one spec");
    assert_eq!(specs(), 1);
    store.commit(fence, &[change(spec(1))]).expect("one changes");
    assert_eq!(specs(), 2);
    store.commit(fence, &[change(spec(1)), change(None)]).expect("nothing new");
    assert_eq!(specs(), 2);
    store.commit(fence, &[change(spec(2)), change(spec(3))]).expect("in one commit");
    assert_eq!(specs(), 2);
    store.commit(fence, &[Record::Put(Box::new(object(0, 1, 4)))]).expect("another row in its place");
    assert_eq!(specs(), 2);
    store.commit(fence, &[remove(1)]).expect("one goes");
    assert_eq!(specs(), 1);
    store.commit(fence, &[remove(0), put(0).remove(0)]).expect("gone and back");
    assert_eq!(specs(), 1);
    store.commit(fence, &[Record::Intend(Box::new(op(1, RunId(1), 0))), remove(0)]).expect("the journal has it too");
    assert_eq!(specs(), 2);
    store.commit(fence, &[Record::Settled { op: OpId(1), settled_ms: 1 }]).expect("settled");
    assert_eq!(store.load().expect("loaded").recorded.objects, []);

    store.commit(fence, &put(4)).expect("a share");
    let grants = || count("SELECT count(*) FROM grant_ JOIN object ON object.id = grant_.object");
    assert_eq!(grants(), 1);
    store.commit(fence, &[Record::Put(Box::new(object(4, 1, 3)))]).expect("more accounts");
    assert_eq!(grants(), 4);
    store.commit(fence, &[remove(4)]).expect("no share");
    assert_eq!(count("SELECT count(*) FROM grant_"), 0);
}

#[test]
fn no_secret_reaches_the_file() {
    let (_dir, path) = place();
    let (mut store, fence) = create(&path);
    store.commit(fence, &[put(0), vec![Record::Intend(Box::new(op(1, RunId(1), 0)))]].concat()).expect("committed");
    drop(store);
    let bytes = fs::read(&path).expect("read");
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let secret = samples::secret();
    assert!(holds(&secret.digest.to_string()), "the equality digest is there");
    assert!(!holds("hunter2"));
    assert!(!holds(&secret.content.expect("a content digest").to_string()));
}

/// What the fixture holds: something of everything.
fn fixture_records() -> Vec<Vec<Record>> {
    let objects = (0..6).map(|which| Record::Put(Box::new(object(which, 1, which))));
    let second =
        Record::Put(Box::new(fleetwright::model::recorded::Object { made_by: Some(OpId(1)), ..object(0, 2, 7) }));
    vec![
        vec![Record::Origin(origin()), Record::Edges(edges(7)), Record::Version(Box::new(version(3)))],
        objects.collect(),
        vec![
            Record::Intend(Box::new(op(1, RunId(1), 0))),
            Record::Sent { op: OpId(1), attempt: 1, sent_ms: 100 },
            Record::Accepted { op: OpId(1), request_id: Some("req-1".into()), unbound: vec![instance(9)] },
            second,
            Record::Settled { op: OpId(1), settled_ms: 200 },
            Record::Took { action: "RunInstances", region: samples::region(), ms: 700 },
        ],
        vec![
            Record::Intend(Box::new(op(2, RunId(1), 3))),
            Record::Sent { op: OpId(2), attempt: 1, sent_ms: 300 },
            Record::Accepted { op: OpId(2), request_id: None, unbound: vec![instance(11), instance(10)] },
            Record::Bound { op: OpId(2), target: 0, id: instance(10) },
            Record::Outcome { op: OpId(2), target: 0, outcome: TargetOutcome::Done },
            Record::Outcome { op: OpId(2), target: 1, outcome: TargetOutcome::Failed { why: "stock".into() } },
            Record::Intend(Box::new(op(3, RunId(1), 4))),
        ],
    ]
}

/// States that earlier versions wrote open for ever, and hold what they held.
#[test]
#[expect(clippy::disallowed_methods, reason = "fixtures are rewritten only when a person asks for it")]
fn the_first_states_still_open() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-v1.db");
    let mut reference = crate::reference::Reference::new();
    for records in fixture_records() {
        reference.commit(&records);
    }
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !fixture.exists() {
        let (mut store, fence) = create(&fixture);
        for records in fixture_records() {
            store.commit(fence, &records).expect("committed");
        }
        store.unlock(fence).expect("unlocked");
    }
    assert!(fs::metadata(&fixture).expect("a fixture").len() <= 100 * 1024);
    let (_dir, path) = place();
    fs::copy(&fixture, &path).expect("copied");
    // Looking does not need the newest schema, and does not bring it about.
    let before = fs::read(&path).expect("read");
    let mut reader = SqliteStore::open_read_only(&path).expect("opened").expect("there");
    assert_eq!(reader.load().expect("loaded"), reference.stored());
    let runs = reader.runs().expect("runs");
    assert_eq!((runs.len(), runs[0].git_rev.as_deref()), (1, None));
    assert_eq!(reader.operations(RunId(1)).expect("operations").len(), 3);
    assert!(reader.lease().expect("read").is_none());
    assert_eq!(reader.pauses().expect("read"), []);
    let plan = reader.plan_json(Digest::of(context::PLAN, b"plan")).expect("read");
    assert_eq!(plan.as_deref(), Some(samples::PLAN));
    drop(reader);
    assert_eq!(fs::read(&path).expect("read"), before);
    let mut store = SqliteStore::open(&path).expect("opened").expect("there");
    assert_eq!(store.load().expect("loaded"), reference.stored());
    assert_eq!(store.runs().expect("runs").len(), 1);
    assert_eq!(store.durations().expect("durations").len(), 1);
    let plan = store.plan_json(Digest::of(context::PLAN, b"plan")).expect("read");
    assert_eq!(plan.as_deref(), Some(samples::PLAN), "a plan that was kept as text");
    let fence = store.lock(&holder("ann"), 0, 500, &|_| false).expect("the lock");
    assert_eq!(fence, Fence(2));
    store.commit(fence, &[Record::Settled { op: OpId(2), settled_ms: 1 }]).expect("life goes on");
}
