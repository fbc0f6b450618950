//! Files and answers that somebody's cat walked over: plans with the right hash, states, pins, and what the cloud says.
//! Whatever they are, every command ends, without a panic, and says why where it does not do what was asked.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright::cli::Exit;
use fleetwright::cloud::call::{Body, Call, Query};
use fleetwright::cloud::cvm::client::CvmClient;
use fleetwright::cloud::cvm::sign::{Credentials, SecretText};
use fleetwright::cloud::cvm::transport::{HttpRequest, HttpResponse, NoAnswer, Transport};
use fleetwright::cloud::embedded::{Loopback, credentials};
use fleetwright::cloud::{Cloud, Secrets};
use fleetwright::model::digest::{Digest, SecretRef, context};
use fleetwright::model::ids::Uin;
use fleetwright::plan::file::parse;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::kit::{BOOT, FLEET, GZ, IMAGE, fleet, image};
use crate::mutate::{Dice, Texts, mutate, vocabulary};
use crate::rig::{OWNER, Rig};

const SEED: u64 = 0x6661_756c_7473;

/// The files of a corpus, by name.
fn corpus(kind: &str) -> Texts {
    let dir = root().join("corpus").join(kind);
    let entries = fs::read_dir(dir).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let mut texts: Texts = entries.map(|path| (name(&path), fs::read(&path).expect("readable"))).collect();
    texts.sort();
    assert!(texts.len() >= 8, "the corpus of {kind} is gone");
    texts
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Does something that may not panic.
#[track_caller]
fn calmly<T>(what: &dyn Fn() -> String, act: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| panic!("a panic: {}", what()))
}

/// Runs a command, which ends as commands do.
#[track_caller]
fn ends(rig: &Rig, args: &str, what: &dyn Fn() -> String) -> Exit {
    let ran = calmly(&|| format!("{args}: {}", what()), || rig.run(args));
    assert!(ran.exit != Exit::Bug, "{args}: {}\n{}", what(), ran.err);
    let silent = ran.err.is_empty() && ran.out.is_empty();
    assert!(matches!(ran.exit, Exit::Done | Exit::Changes) || !silent, "{args} says nothing: {}", what());
    ran.exit
}

/// A plan as a file, with the hash that belongs to it.
fn sealed(plan: &Value) -> String {
    let head = |hash: &str| format!("{{\"format\":\"fleetwright-plan-file/1\",\n\"hash\":\"{hash}\",\n\"plan\":");
    let json = plan.to_string();
    let parts = [head(&"0".repeat(64)).into_bytes(), json.clone().into_bytes(), b"}\n".to_vec()];
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    format!("{}{json}}}\n", head(&Digest::of_all(context::PLAN_FILE, &parts).to_string()))
}

fn plan_of(file: &[u8]) -> Value {
    serde_json::from_slice::<Value>(file).expect("JSON")["plan"].take()
}

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            places(value, format!("{at}/{key}"), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, format!("{at}/{n}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.push(at);
}

/// One change of a value that stays JSON.
fn twist(dice: &mut Dice, value: &mut Value) {
    let mut all = Vec::new();
    places(value, String::new(), &mut all);
    let other = value.pointer(&all[dice.below(all.len())]).cloned().unwrap_or_default();
    let absurd =
        [json!(0), json!(1), json!(-1), json!(i64::MAX), json!(u64::MAX), json!(i64::MIN), json!(4_294_967_295_u32)];
    let absurd =
        [&absurd[..], &[json!(""), json!("\u{1b}[31m\n"), json!(null), json!([]), json!({}), json!(1.5)]].concat();
    let roll = dice.below(6);
    let new = dice.one_of(&absurd).clone();
    let n = dice.below(64);
    let Some(place) = value.pointer_mut(&all[dice.below(all.len())]) else { return };
    match (roll, place) {
        (0, Value::Array(items)) if !items.is_empty() => drop(items.remove(n % items.len())),
        (1, Value::Array(items)) if !items.is_empty() => items.push(items[n % items.len()].clone()),
        (2, Value::Array(items)) if !items.is_empty() => {
            let len = items.len();
            items.swap(n % len, (n / 3) % len);
        }
        (0, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(n % map.len()).cloned().unwrap_or_default();
            map.remove(&key);
        }
        (1, Value::Number(number)) => *number = (number.as_i64().unwrap_or(0).wrapping_add(1)).into(),
        (3 | 4, place) => *place = other,
        (_, place) => *place = new,
    }
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let rig = image();
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    rig.run("plan --out plan.json").expect(Exit::Done);
    let whole = plan_of(rig.read("plan.json").as_bytes());
    parse("plan", sealed(&whole).as_bytes()).expect("the plan as it was");
    for (name, text) in corpus("plan") {
        let mut plan = whole.clone();
        let changes: BTreeMap<String, Value> = serde_json::from_slice(&text).expect(&name);
        for (place, value) in changes {
            *plan.pointer_mut(&place).unwrap_or_else(|| panic!("{name}: {place} is nowhere")) = value;
        }
        let fault = parse("plan", sealed(&plan).as_bytes()).expect_err(&name);
        assert_eq!(fault.code.word, "damaged-plan", "{name}: {fault:?}");
        assert!(fault.message.contains("makes no sense"), "{name}: {fault:?}");
    }
}

#[test]
fn no_plan_with_the_right_hash_breaks_anything() {
    let mut dice = Dice(SEED);
    let small = fleet();
    small.edit("shop.yaml", "count: 5", "count: 7");
    let large = image();
    large.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let first = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let (mut read, mut refused) = (0, 0);
    for rig in [&small, &large, &first] {
        rig.run("plan --out plan.json").expect(Exit::Done);
        let whole = plan_of(rig.read("plan.json").as_bytes());
        for round in 0..250 {
            let mut plan = whole.clone();
            for _ in 0..=dice.below(3) {
                twist(&mut dice, &mut plan);
            }
            let text = sealed(&plan);
            let what = || format!("round {round}\n{text}");
            if calmly(&what, || parse("plan.json", text.as_bytes())).is_err() {
                refused += 1;
                continue;
            }
            read += 1;
            let rig = rig.fork();
            rig.write("plan.json", &text);
            ends(&rig, "show plan.json", &what);
            ends(&rig, "show plan.json --json", &what);
            ends(&rig, "apply plan.json", &what);
        }
    }
    assert!(read > 40 && refused > 100, "{read} were read, {refused} refused");
}

/// A world with a state to be damaged, in which something is left to do.
fn world() -> Rig {
    let rig = Rig::new(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)]);
    rig.settle();
    rig.edit("shop.yaml", "count: 3", "count: 4");
    rig
}

const LOOKS: [&str; 5] = ["state list -v", "history", "show 1", "force-unlock", "plan"];

fn damaged(world: &Rig, what: &str, damage: impl FnOnce(&Path)) {
    let rig = world.fork();
    rig.seen.excuse();
    damage(&rig.dir().join("state/default.db"));
    for args in LOOKS {
        ends(&rig, args, &|| what.to_owned());
    }
    ends(&rig, "apply --auto-approve", &|| what.to_owned());
}

#[test]
fn the_corpus_of_states_is_read() {
    let world = world();
    for (name, text) in corpus("state") {
        let sql = String::from_utf8(text).expect("SQL");
        damaged(&world, &name, |file| {
            let conn = Connection::open(file).expect("opened");
            conn.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").expect("lax");
            conn.execute_batch(&sql).expect(&name);
        });
    }
}

/// Each column of each table, with each value that was never meant for it.
#[test]
fn no_row_of_a_state_breaks_anything() {
    let world = world();
    let file = world.dir().join("state/default.db");
    let columns: Vec<(String, String)> = Connection::open(file)
        .expect("opened")
        .prepare("SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'")
        .expect("a query")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("columns")
        .collect::<Result<_, _>>()
        .expect("columns");
    assert!(columns.len() > 50, "{columns:?}");
    let mut tried = 0;
    for (table, column) in columns {
        for value in ["-1", "9223372036854775807", "(-9223372036854775807 - 1)", "'nonsense'", "''", "NULL"] {
            let change = format!(
                "UPDATE \"{table}\" SET \"{column}\" = {value} WHERE rowid = (SELECT max(rowid) FROM \"{table}\")"
            );
            let rig = world.fork();
            rig.seen.excuse();
            let conn = Connection::open(rig.dir().join("state/default.db")).expect("opened");
            conn.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").expect("lax");
            // What the tables themselves refuse cannot be there.
            let changed = conn.execute(&change, []);
            drop(conn);
            if !matches!(changed, Ok(1)) {
                continue;
            }
            tried += 1;
            for args in LOOKS {
                ends(&rig, args, &|| change.clone());
            }
            ends(&rig, "apply --auto-approve", &|| change.clone());
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn no_bytes_of_a_state_break_anything() {
    let world = world();
    let fresh = fs::read(world.dir().join("state/default.db")).expect("the state");
    let seeds = [fresh, fs::read(root().join("state-v1.db")).expect("a state")];
    let mut dice = Dice(SEED);
    for round in 0..160 {
        let mut bytes = dice.one_of(&seeds).clone();
        for _ in 0..=dice.below(4) {
            let (at, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
            match dice.below(5) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes[at] = dice.roll().to_le_bytes()[0],
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let end = (at + 1 + dice.below(64)).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
                _ => {
                    let (at, to) = (at / 4096 * 4096, to / 4096 * 4096);
                    let length = 4096.min(bytes.len() - at).min(bytes.len() - to);
                    bytes.copy_within(at..at + length, to);
                }
            }
        }
        damaged(&world, &format!("round {round}"), |file| fs::write(file, &bytes).expect("written"));
    }
}

#[test]
fn no_pins_break_anything() {
    let rig = fleet();
    let texts = corpus("lock");
    let seeds = vec![vec![("fleetwright.lock".to_owned(), rig.read("fleetwright.lock").into_bytes())], texts.clone()];
    let words = vocabulary(&seeds);
    let mut dice = Dice(SEED);
    let mutated = (0..200).map(|round| {
        let mut text = seeds[0][0].1.clone();
        for _ in 0..=dice.below(3) {
            mutate(&mut dice, &mut text, &words, &seeds);
        }
        (format!("round {round}"), text)
    });
    for (name, text) in texts.into_iter().chain(mutated) {
        fs::write(rig.dir().join("fleetwright.lock"), &text).expect("written");
        let what = || format!("{name}\n{}", String::from_utf8_lossy(&text));
        let mark = rig.mark();
        ends(&rig, "plan", &what);
        assert_eq!(rig.mutating(mark), Vec::<String>::new());
    }
}

/// What becomes of the bytes of an answer.
type Change = dyn FnMut(&mut Vec<u8>) + Send;

/// Answers in another's words.
struct Garbler {
    inner: Loopback,
    change: Mutex<Box<Change>>,
}

impl Transport for Garbler {
    fn send(&self, request: &HttpRequest, _: bool) -> Result<HttpResponse, NoAnswer> {
        let mut answer = self.inner.send(request, true)?;
        (self.change.lock().unwrap_or_else(PoisonError::into_inner))(&mut answer.body);
        Ok(answer)
    }

    fn outlives_us(&self) -> bool {
        false
    }
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
        Err("there are none".to_owned())
    }
}

fn client(rig: &Rig, change: impl FnMut(&mut Vec<u8>) + Send + 'static) -> CvmClient {
    let keys = credentials(OWNER).expect("keys");
    let keys = Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None };
    let inner = Loopback { cloud: rig.cloud(), clock: rig.clock.clone() };
    let transport = Garbler { inner, change: Mutex::new(Box::new(change)) };
    CvmClient::new(Arc::new(transport), "cvm.embedded", BTreeMap::from([(Uin::new(OWNER), keys)]), Arc::new(NoSecrets))
}

#[test]
fn no_answer_breaks_anything() {
    let rig = image();
    let images = rig.images(GZ).into_values().map(|id| id.as_str().into()).collect::<Vec<_>>();
    let instances = rig.instances(GZ).into_values().map(|id| id.as_str().into()).collect::<Vec<_>>();
    let queries = [
        Query::Regions,
        Query::Zones,
        Query::Types,
        Query::ImageQuota,
        Query::AccountQuota,
        Query::ImagesById { ids: images.clone() },
        Query::CustomImages { offset: 0 },
        Query::PublicImages { name: "Ubuntu".into(), instance_type: None, offset: 0 },
        Query::Shares { image: images[0].clone() },
        Query::InstancesById { ids: instances.clone() },
        Query::InstanceStates { ids: instances.clone() },
        Query::ImportOs,
        Query::UserData { ids: instances },
    ];
    let ask = |client: &CvmClient, query: &Query, what: &dyn Fn() -> String| {
        let call = Call { account: OWNER.into(), region: GZ.into(), body: Body::Describe(query.clone()) };
        // Whatever comes back, it is an answer or a fault with words.
        if let Err(fault) = calmly(what, || client.call(&call, rig.now_ms())) {
            assert!(!fault.to_string().is_empty(), "{}", what());
        }
    };
    for (name, text) in corpus("answer") {
        let client = client(&rig, move |body| body.clone_from(&text));
        queries.iter().for_each(|query| ask(&client, query, &|| name.clone()));
    }
    let mut dice = Dice(SEED);
    for (n, query) in queries.iter().enumerate() {
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (sink, seed) = (Arc::clone(&seen), dice.roll());
        let mut inner = Dice(seed);
        let client = client(&rig, move |body| {
            if body.len() < 20_000 && inner.below(2) == 0 {
                let mut value: Value = serde_json::from_slice(body).expect("JSON");
                twist(&mut inner, &mut value);
                *body = value.to_string().into_bytes();
            } else {
                body.truncate(20_000);
                mutate(&mut inner, body, &[b"null".to_vec(), b"-1".to_vec()], &[vec![(String::new(), b"{}".to_vec())]]);
            }
            sink.lock().unwrap_or_else(PoisonError::into_inner).clone_from(body);
        });
        for round in 0..120 {
            let shown = || String::from_utf8_lossy(&seen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
            ask(&client, query, &|| format!("query {n}, round {round}\n{}", shown()));
        }
    }
}
