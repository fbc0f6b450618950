//! What grows with the number of instances, and how much: bytes, lines and pieces are counted, and no time is measured.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::embedded::{Injection, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use fleetwright::ops::Hooks;
use fleetwright::store::SqliteStore;
use serde_json::{Value, json};

use crate::kit::GZ;
use crate::rig::{Rig, Streams};

const SHOP: &str = "shop.yaml";
const ROOM: Limits = Limits { instances_per_zone: 20_000, ..Limits::EMBEDDED };

fn config(count: usize) -> String {
    format!(
        r#"project: shop
cloud: {{ provider: embedded, region: ap-guangzhou, latency: instant }}
images:
  ubuntu:
    public: {{ name: "Ubuntu Server 22.04 LTS 64bit" }}
fleets:
  web:
    image: ubuntu
    count: {count}
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: {{ key_ids: [skey-8a7c6b5d] }}
    tags: {{ app: web }}
    update: {{ strategy: replace, max_unavailable: 100 }}
"#
    )
}

fn world(config: &str) -> Rig {
    Rig::with(&[(SHOP, config)], Settings { log: true, ..Settings::new(Latency::Instant, ROOM, 7) })
}

/// The bytes of the state with its journal and its plans, at rest.
fn state_bytes(rig: &Rig) -> usize {
    let file = rig.dir().join("state/default.db");
    assert!(!rig.dir().join("state/default.db-wal").exists(), "at rest it is one file");
    usize::try_from(fs::metadata(file).expect("a state").len()).expect("a size")
}

#[test]
fn a_state_takes_less_than_400_bytes_an_instance() {
    let bytes = [1_000, 4_000].map(|count| {
        let rig = world(&config(count));
        rig.settle();
        state_bytes(&rig)
    });
    let each = (bytes[1] - bytes[0]) / 3_000;
    assert!(each < 400, "{each} bytes for each of {bytes:?}");
    assert!(bytes[1] < 4_000 * 450, "{bytes:?}");
}

#[test]
fn a_run_that_changes_every_instance_takes_less_than_400_bytes_of_each() {
    let rig = world(&config(2_000));
    rig.settle();
    let before = state_bytes(&rig);
    rig.edit(SHOP, "app: web", "app: store");
    rig.settle();
    let tagged = state_bytes(&rig);
    rig.edit(SHOP, "22.04", "24.04");
    rig.settle();
    let replaced = state_bytes(&rig);
    let each = [tagged - before, replaced - tagged].map(|bytes| bytes / 2_000);
    assert!(each.iter().all(|each| *each < 400), "{each:?} bytes for each");
    // What was kept is told as it was.
    let mut store = SqliteStore::open_read_only(&rig.dir().join("state/default.db")).expect("opened").expect("there");
    for run in store.runs().expect("runs") {
        let plan = store.plan_json(run.plan_hash.expect("a plan")).expect("read").expect("kept");
        assert!(plan.contains("fleet.web[1999]"));
    }
    rig.run("history --json").expect(Exit::Done);
}

/// Three rounds of six; one of the second round fails.
#[test]
fn a_round_that_failed_holds_up_the_next_and_nothing_that_is_done_is_called_skipped() {
    let text = config(18).replace("strategy: replace, max_unavailable: 100", "strategy: reset, max_unavailable: 6");
    let rig = world(&text);
    rig.settle();
    rig.edit(SHOP, "22.04", "24.04");
    let plan = rig.json("plan --json");
    let waits: Vec<&Value> =
        plan["steps"].as_array().expect("steps").iter().filter(|step| step["action"] == "Record").collect();
    assert_eq!(waits.len(), 2, "one between two rounds");
    assert!(waits.iter().all(|step| step["needs"].as_array().expect("needs").len() == 6));
    let resets = |from: &Rig, mark| from.calls(mark).get("ResetInstance").copied().unwrap_or(0);
    let failing = rig.fork();
    let mark = failing.mark();
    failing.cloud().inject(Injection::Refuse {
        action: "ResetInstance".into(),
        code: "InvalidParameterValue".into(),
        times: 1,
    });
    let told = failing.run("apply --auto-approve --json").expect(Exit::Partly).out;
    assert_eq!(resets(&failing, mark), 6, "the first round, with the one that was refused");
    let outcome: Value = serde_json::from_str(told.lines().last().expect("an outcome")).expect("JSON");
    let [failed, skipped] = ["failed", "skipped"].map(|key| outcome[key].as_array().expect(key));
    assert_eq!((outcome["reset"].as_u64(), failed.len(), skipped.len()), (Some(5), 1, 12), "{outcome}");
    let because = format!("{} did not succeed", failed[0]["address"].as_str().expect("an address"));
    assert!(skipped.iter().all(|one| one["because"] == because.as_str()), "{outcome}");
    let mark = rig.mark();
    let told = rig.run("apply --auto-approve --json").expect(Exit::Done).out;
    assert_eq!(resets(&rig, mark), 18);
    let events = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let started: Vec<Value> = events.filter(|event| event["type"] == "step_started").collect();
    assert_eq!(started.len(), 18, "a step that only waits is not told of");
    rig.expect_no_changes();
    failing.settle();
}

/// Three rounds of one; the first stays off. What was not switched off is not switched on, which would look as if it was
/// changed.
#[test]
fn nothing_goes_on_after_one_that_could_not_be_switched_on_again() {
    let text = config(3).replace("max_unavailable: 100", "max_unavailable: 1");
    let rig = world(&text);
    rig.settle();
    rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8");
    let mark = rig.mark();
    rig.cloud().inject(Injection::Refuse {
        action: "StartInstances".into(),
        code: "InvalidParameterValue".into(),
        times: 1,
    });
    let told = rig.run("apply --auto-approve").expect(Exit::Failed);
    let calls = rig.calls(mark);
    let count = |action: &str| calls.get(action).copied().unwrap_or(0);
    assert_eq!(
        (count("StopInstances"), count("ResetInstancesType"), count("StartInstances")),
        (1, 1, 1),
        "{}{}",
        told.out,
        told.err
    );
    rig.settle();
}

/// Two fleets of so many in all, in which everything changes at once: one gets another image, of the other every second
/// instance is called something else, and all get another tag, and there are to be more of it.
fn plan_of_much(count: usize, renamed: impl Fn(usize) -> String) -> String {
    let half = count / 2;
    let web = config(half);
    let api = web.split_once("  web:\n").expect("a fleet").1.replace("image: ubuntu", "image: debian");
    let debian = "  debian:\n    public: { name: \"Ubuntu Server 20.04 LTS 64bit\" }\nfleets:";
    let rig = world(&format!("{}  api:\n{api}", web.replace("fleets:", debian)));
    rig.settle();
    let ids = rig.instances(GZ);
    let api = ids.iter().filter(|(name, _)| name.contains("-api-")).map(|(_, id)| id);
    for (n, id) in api.step_by(2).enumerate() {
        let body = json!({"InstanceIds": [id], "InstanceName": renamed(n)});
        rig.by_hand(GZ, "ModifyInstancesAttribute", &body);
    }
    rig.edit(SHOP, "22.04", "24.04");
    let (before, api) = rig.read(SHOP).split_once("  api:\n").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("api");
    let more = api.replace("app: web", "app: api").replace(&format!("count: {half}"), &format!("count: {}", half + 10));
    rig.write(SHOP, &format!("{before}  api:\n{more}"));
    rig.run("plan").expect(Exit::Done).out
}

#[test]
fn a_plan_has_as_many_lines_as_there_are_kinds_of_change() {
    let plans = [200, 2_000].map(|count| plan_of_much(count, |_| "somebody-elses".to_owned()));
    let lines = plans.each_ref().map(|plan| plan.lines().count());
    assert!(lines[1] <= lines[0] + 2 && lines[1] < 130, "{lines:?} lines\n{}", plans[1]);
    let each = plan_of_much(2_000, |n| format!("somebody-elses-{n}"));
    assert!(each.lines().count() < 130, "{each}");
}

/// Standard output that sees how large the pieces are that it is given.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sizes.push(bytes.len());
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As large as a piece of JSON becomes before it is written.
const PIECE: usize = 64 * 1024;

#[test]
fn json_is_written_in_pieces_while_it_is_made() {
    let rig = world(&config(2_000));
    let check = |args: &str, exit: Exit, a_piece_a_line: bool| {
        let mut out = Pieces::default();
        let streams = Streams { stdin: &mut &b""[..], stdout: &mut out, stderr: &mut Vec::new() };
        assert_eq!(rig.run_at(args, Hooks::default(), BTreeMap::new(), streams, Terminals::default()), exit, "{args}");
        let (bytes, most) = (out.bytes.len(), out.sizes.iter().max().copied().unwrap_or_default());
        assert!(bytes > 6 * PIECE, "{args}: {bytes} bytes show nothing");
        assert!(most <= PIECE, "{args}: a piece of {most} bytes");
        let lines = if a_piece_a_line { out.bytes.iter().filter(|byte| **byte == b'\n').count() } else { 0 };
        assert!(out.sizes.len() <= bytes.div_ceil(PIECE / 2) + lines, "{args}: {} pieces", out.sizes.len());
        let mut values = serde_json::Deserializer::from_slice(&out.bytes).into_iter::<serde::de::IgnoredAny>();
        assert!(values.all(|value| value.is_ok()), "{args}: not JSON");
    };
    check("plan --json --out plan.json", Exit::Done, false);
    check("show plan.json --json", Exit::Done, false);
    // The plan is one event, and there are many small ones.
    check("apply --json --auto-approve", Exit::Done, true);
    check("show 1 --json", Exit::Done, false);
    check("show --json", Exit::Done, false);
    check("state list --json", Exit::Done, false);
    let all: Vec<String> = rig.instances(GZ).into_values().collect();
    for ids in all.chunks(100) {
        rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({"InstanceIds": ids, "InstanceName": "somebody-elses"}));
    }
    check("drift --json", Exit::Changes, false);
}
