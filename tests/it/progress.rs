//! What is seen of an apply while it runs: on a terminal, in a log, and by programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetwright::apply::driver::StopFlag;
use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::Cloud;
use fleetwright::cloud::call::{Answer, Call, Class, Fault};
use fleetwright::model::Millis;
use fleetwright::model::ids::Region;
use fleetwright::ops::Hooks;
use fleetwright::store::{Holder, Record, SqliteStore, Store};
use serde_json::Value;

use crate::between::{refusal, silence};
use crate::kit::{BOOT, GZ, IMAGE, says};
use crate::rig::{Ran, Rig};

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";
const EVENTS: &str = "apply --auto-approve --json";
const ALL: Terminals = Terminals { stdin: true, stdout: true, stderr: true };

fn fresh() -> Rig {
    Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)])
}

/// What happens to the first call of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It is refused.
    Refused(Class),
    /// It is never executed, and nobody answers.
    Lost,
    /// It is executed, and so often somebody wants to stop.
    Stop(usize),
    /// It is lost, and somebody wants to stop at once.
    LostAndStop,
}

struct Fated {
    inner: Arc<dyn Cloud>,
    action: &'static str,
    fate: Fate,
    calls: AtomicUsize,
    outlives: bool,
    stop: Arc<StopFlag>,
}

impl Cloud for Fated {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        let first = call.body.action() == self.action && self.calls.fetch_add(1, Ordering::SeqCst) == 0;
        let lost = || Err(silence("the connection was lost"));
        match self.fate {
            Fate::Refused(class) if first => Err(refusal(class, "Test.Refused")),
            Fate::Lost if first => lost(),
            Fate::Stop(times) if first => {
                (0..times).for_each(|_| self.stop.raise());
                self.inner.call(call, signed_ms)
            }
            Fate::LostAndStop if first => {
                (0..2).for_each(|_| self.stop.raise());
                lost()
            }
            Fate::Refused(_) | Fate::Lost | Fate::Stop(_) | Fate::LostAndStop => self.inner.call(call, signed_ms),
        }
    }

    fn outlives_us(&self) -> bool {
        self.outlives
    }
}

fn fated(rig: &Rig, action: &'static str, fate: Fate, outlives: bool) -> Hooks {
    let stop = rig.stop();
    let wrap = move |inner| -> Arc<dyn Cloud> {
        let (calls, stop) = (AtomicUsize::new(0), Arc::clone(&stop));
        Arc::new(Fated { inner, action, fate, calls, outlives, stop })
    };
    Hooks { cloud: Some(Box::new(wrap)), ..Hooks::default() }
}

/// The events of a run: each line is one, the first says what they are, the last how it ended.
#[track_caller]
fn events(ran: &Ran) -> Vec<Value> {
    let events: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect();
    assert!(ran.out.ends_with('\n'));
    assert_eq!(events[0]["type"], "version");
    assert_eq!(events[0]["format"], "fleetwright-events/1");
    let ends: Vec<&Value> = events.iter().filter(|event| event["type"] == "outcome").collect();
    assert_eq!(ends, [events.last().expect("an end")]);
    assert_eq!(ends[0]["exit_code"], ran.exit.code());
    let mut last = String::new();
    for event in &events {
        let time = event["time"].as_str().expect("a time").to_owned();
        assert!(time.len() == "2026-11-23T12:00:00.000Z".len() && time >= last, "{time} after {last}");
        last = time;
    }
    events
}

fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

/// Runs that tell of everything that can be told, each with its events.
fn all_runs() -> Vec<(&'static str, Ran)> {
    let mut runs = Vec::new();

    let rig = fresh();
    runs.push(("fresh", rig.run(EVENTS).expect(Exit::Done)));
    runs.push(("nothing", rig.run(EVENTS).expect(Exit::Done)));
    runs.push(("no terminal", rig.run("destroy --json").expect(Exit::Failed)));
    let stdin = Terminals { stdin: true, ..Terminals::default() };
    let declined = rig.run_typing("destroy --json", Hooks::default(), &mut &b"no\n"[..], stdin);
    runs.push(("declined", declined.expect(Exit::Failed)));
    runs.push(("destroy", rig.run("destroy --auto-approve --json").expect(Exit::Done)));
    rig.write(SHOP, &IMAGE.replace("count: 3", "count: three"));
    runs.push(("faulty", rig.run(EVENTS).expect(Exit::Config)));

    let rig = fresh();
    let hooks = fated(&rig, "RunInstances", Fate::Refused(Class::Throttled), false);
    runs.push(("throttled", rig.run_with(EVENTS, hooks).expect(Exit::Done)));

    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::Refused(Class::Quota), false);
    runs.push(("refused", rig.run_with(EVENTS, hooks).expect(Exit::Partly)));

    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::Stop(1), false);
    runs.push(("stopped", rig.run_with(EVENTS, hooks).expect(Exit::Interrupted)));
    rig.go_on();
    runs.push(("gone on", rig.run(EVENTS).expect(Exit::Done)));

    // A call that may still arrive is waited out.
    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::LostAndStop, true);
    runs.push(("killed", rig.run_with(EVENTS, hooks).expect(Exit::Interrupted)));
    rig.go_on();
    let hooks = fated(&rig, "Nothing", Fate::Lost, true);
    runs.push(("recovered", rig.run_with(EVENTS, hooks).expect(Exit::Done)));

    let rig = fresh();
    let update = "health: { http: { port: 80 } }\n    update: { canary: 1, on_failure: rollback }";
    rig.edit(SHOP, "    count: 3\n", &format!("    count: 3\n    {update}\n"));
    rig.settle();
    rig.write("boot.sh", &format!("{BOOT}# sim: baked http status=500\n"));
    runs.push(("taken back", rig.run(EVENTS).expect(Exit::Partly)));
    runs
}

/// By type, the keys of an event as `docs/json.md` has them, and all that its section says.
fn documented() -> BTreeMap<&'static str, (BTreeSet<&'static str>, &'static str)> {
    let docs = include_str!("../../docs/json.md");
    let (_, part) = docs.split_once("\n## What happens: `fleetwright-events/1`").expect("the chapter");
    let part = part.split_once("\n## ").map_or(part, |(part, _)| part);
    let sections = part.split("\n### `").skip(1).map(|section| section.split_once("`\n").expect("a heading"));
    let keys = |text: &'static str| {
        let (_, table) = text.split_once("|---|---|\n").expect("a table");
        let rows = table.lines().take_while(|line| line.starts_with('|'));
        let first = rows.flat_map(|row| row.split('|').nth(1).expect("a column").split(','));
        first.map(|key| key.trim().trim_matches('`')).collect()
    };
    sections.map(|(kind, text)| (kind, (keys(text), text))).collect()
}

#[test]
fn every_event_has_just_the_keys_that_are_documented() {
    let documented = documented();
    let mut seen = BTreeSet::new();
    for (name, ran) in all_runs() {
        assert!(!format!("{}{}", ran.out, ran.err).contains("/srv/name"), "{name}: user data is said");
        for event in events(&ran) {
            let kind = event["type"].as_str().expect("a type").to_owned();
            let (wanted, text) = documented.get(kind.as_str()).unwrap_or_else(|| panic!("{kind} is not documented"));
            let object = event.as_object().expect("an object");
            let keys: BTreeSet<&str> = object.keys().map(String::as_str).collect();
            assert_eq!(keys, *wanted, "{name}: {event}");
            // What stands in lists, or within a diagnostic, is in the row's text.
            let inner = object.iter().filter(|(key, _)| *key != "plan").flat_map(|(_, value)| match value {
                Value::Array(items) => items.iter().filter_map(Value::as_object).collect(),
                Value::Object(one) => vec![one],
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
            });
            for key in inner.flat_map(|fields| fields.keys()) {
                assert!(text.contains(&format!("`{key}`")), "{kind}: `{key}` is not documented");
            }
            if kind == "outcome" {
                let result = event["result"].as_str().expect("a word");
                assert!(text.contains(&format!("`{result}`")), "{result} is not documented");
            }
            seen.insert(kind);
        }
    }
    let missing: Vec<_> = documented.keys().filter(|kind| !seen.contains(**kind)).collect();
    assert!(missing.is_empty(), "no run tells of {missing:?}");
}

#[test]
fn events_tell_of_each_target_once_and_add_up() {
    for (name, ran) in all_runs() {
        let events = events(&ran);
        let Some(plan) = of(&events, "plan").first().map(|event| event["plan"].clone()) else { continue };
        let started: Vec<&Value> = of(&events, "step_started");
        let settled = of(&events, "step_settled");
        let outcome = events.last().expect("an end");
        let result = outcome["result"].as_str().expect("a word");
        let over = !matches!(result, "interrupted" | "declined" | "refused");
        let numbers = |list: &[&Value]| list.iter().map(|event| event["step"].to_string()).collect::<BTreeSet<_>>();
        // A way back has steps of its own.
        let back = events.iter().position(|event| event["type"] == "rollout_taken_back").unwrap_or(events.len());
        let there = &events[..back];
        if over {
            assert_eq!(numbers(&started), numbers(&settled), "{name}: each step that starts is over");
            // Each target of each step of the plan is told of once.
            let mut told: Vec<(String, String)> = Vec::new();
            for event in of(there, "target_settled").into_iter().filter(|event| !event["step"].is_null()) {
                told.push((event["step"].to_string(), event["address"].as_str().expect("an address").to_owned()));
            }
            for event in of(there, "skipped") {
                told.extend(
                    texts(&event["addresses"]).iter().map(|addr| (event["step"].to_string(), (*addr).to_owned())),
                );
            }
            let steps = plan["steps"].as_array().expect("steps").iter();
            let mut wanted: Vec<(String, String)> = steps
                .flat_map(|step| {
                    let targets = step["targets"].as_array().expect("targets").iter();
                    targets.map(|target| {
                        (step["id"].to_string(), target["address"].as_str().expect("an address").to_owned())
                    })
                })
                .collect();
            told.sort();
            wanted.sort();
            assert_eq!(told, wanted, "{name}");
        }
        let sent: u64 = of(&events, "call_sent").iter().filter(|event| !event["step"].is_null()).count() as u64;
        let made: u64 = outcome["calls"]
            .as_array()
            .expect("calls")
            .iter()
            .map(|calls| calls["made"].as_u64().expect("a count"))
            .sum();
        assert_eq!(sent, made, "{name}");
    }
}

#[test]
fn events_of_a_failure_say_why_and_what_it_cost() {
    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::Refused(Class::Quota), false);
    let ran = rig.run_with(EVENTS, hooks).expect(Exit::Partly);
    let events = events(&ran);
    let failed = of(&events, "target_settled").into_iter().find(|event| event["outcome"] == "failed").expect("one");
    assert!(failed["message"].as_str().expect("why").contains("Test.Refused"), "{failed}");
    assert!(
        of(&events, "skipped")
            .iter()
            .any(|event| texts(&event["addresses"]) == ["fleet.web[0]", "fleet.web[1]", "fleet.web[2]"])
    );
    let outcome = events.last().expect("an end");
    assert_eq!(outcome["result"], "partly");
    assert_eq!(outcome["failed"].as_array().map(Vec::len), Some(1));
    assert_eq!(outcome["next"], "fleetwright apply");
    assert_eq!(ran.err, "", "people are told by whoever reads the events");
}

#[test]
fn a_reader_that_goes_away_does_not_disturb_the_apply() {
    for most in [0, 1, 100, 5_000] {
        let rig = fresh();
        rig.reads.set(most);
        let ran = rig.run(EVENTS).expect(Exit::Done);
        assert_eq!(ran.out.len(), most);
        rig.reads.set(usize::MAX);
        rig.expect_no_changes();
    }
}

/// A terminal, as far as it takes to see what stands there in the end.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
    row: usize,
    /// Each state that the foot of it went through.
    feet: Vec<String>,
}

impl Screen {
    fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            self.rows.resize(self.rows.len().max(self.row + 1), String::new());
            match c {
                '\r' => {}
                '\n' => self.row += 1,
                '\u{1b}' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).expect("an end");
                    let (number, command) = (&rest[1..end], &rest[end..=end]);
                    match command {
                        "A" => {
                            self.feet.push(self.rows[..self.row].last().cloned().unwrap_or_default());
                            self.row -= number.parse::<usize>().expect("a number");
                            self.rows[self.row].clear();
                        }
                        "K" => {}
                        "J" => self.rows.truncate(self.row),
                        "m" => {}
                        other => panic!("{other} is not understood"),
                    }
                    rest = &rest[end + 1..];
                }
                c => {
                    // What is written over a row begins it anew: each row is written whole.
                    self.rows[self.row].push(c);
                }
            }
            if c == '\n' {
                self.rows.resize(self.rows.len().max(self.row + 1), String::new());
                if self.row < self.rows.len() {
                    self.rows[self.row].clear();
                }
            }
        }
    }
}

#[test]
fn on_a_terminal_a_table_stands_below_the_lines_and_is_gone_in_the_end() {
    for color in ["--color never", "--color always"] {
        let rig = fresh();
        let ran = rig.run_typing(&format!("{color} {APPLY}"), Hooks::default(), &mut &b""[..], ALL);
        let ran = ran.expect(Exit::Done);
        assert!(!ran.err.contains("\u{1b}[?25"), "the cursor is never hidden");
        let mut screen = Screen::default();
        screen.write(&ran.err);
        insta::assert_snapshot!("terminal", screen.rows.join("\n"));
        insta::assert_snapshot!("terminal_feet", screen.feet.join("\n"));
        assert!(ran.out.contains("Applied:"));
    }
}

/// What earlier runs took is a better guess than what the plan expects of an action.
#[test]
fn the_table_goes_by_what_earlier_runs_took() {
    let rig = fresh();
    rig.settle();
    rig.edit(SHOP, "count: 3", "count: 4");
    let apply = |rig: &Rig| rig.run_typing(APPLY, Hooks::default(), &mut &b""[..], ALL).expect(Exit::Done).err;
    let other = rig.fork();
    let said = apply(&other);
    assert!(said.contains(" of ~00:02") && !said.contains("02:00"), "{said}");

    let mut store = SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state");
    let holder = Holder { who: "ada".into(), host: "workbench".into(), pid: 1, started: 1 };
    let fence = store.lock(&holder, rig.now_ms(), 300_000, &|_| true).expect("the lock");
    let took = |ms: i64| Record::Took { action: "RunInstances", region: Region::new(GZ), ms };
    // One was held up for hours: it does not count.
    store.commit(fence, &[119_000, 121_000, 120_000, 120_000, 120_000, 9_000_000].map(took)).expect("written");
    store.unlock(fence).expect("given back");
    drop(store);
    let said = apply(&rig);
    assert!(said.contains(" of ~02:00") && said.contains("about 2 min left"), "{said}");
}

#[test]
fn without_a_terminal_lines_are_dated_and_nothing_is_drawn() {
    let rig = fresh();
    let ran = rig.run(APPLY).expect(Exit::Done);
    assert!(!ran.err.contains('\u{1b}'));
    says(&ran.err, "2026-11-23, times in UTC: 12:00:00Z + fleet.builder[0] RunInstances in ap-guangzhou …");
    let rig = fresh();
    let dumb = rig.run_in(APPLY, &[("TERM", "dumb")], ALL).expect(Exit::Done);
    assert_eq!(dumb.err, ran.err, "a terminal that cannot draw is a log");
}

#[test]
fn a_log_says_what_is_waited_for_and_that_it_goes_on() {
    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::LostAndStop, true);
    rig.run_with(APPLY, hooks).expect(Exit::Interrupted);
    rig.go_on();
    let hooks = fated(&rig, "Nothing", Fate::Lost, true);
    let ran = rig.run_with(APPLY, hooks).expect(Exit::Done);
    let (recovery, _) = ran.err.split_once("is settled.\n").expect("it was recovered");
    insta::assert_snapshot!("recovery", recovery);
}

#[test]
fn the_summary_says_what_took_the_time() {
    let rig = fresh();
    let ran = rig.run(APPLY).expect(Exit::Done);
    insta::assert_snapshot!("summary", ran.out.split_once("and reads while waiting.").expect("a plan").1);
}

/// Where JSON is asked for and standard error is a terminal of people, they see how far it is.
#[test]
fn people_look_on_while_a_program_reads() {
    let rig = fresh();
    let stderr = Terminals { stderr: true, ..Terminals::default() };
    let ran = rig.run_typing(EVENTS, Hooks::default(), &mut &b""[..], stderr).expect(Exit::Done);
    events(&ran);
    let mut screen = Screen::default();
    screen.write(&ran.err);
    assert!(screen.rows.iter().any(|row| row.contains("SyncImages done")), "{:#?}", screen.rows);
    assert!(screen.rows.iter().any(|row| row.contains("Applied: ")), "{:#?}", screen.rows);
    let rig = fresh();
    let both = rig.run_typing(EVENTS, Hooks::default(), &mut &b""[..], ALL).expect(Exit::Done);
    assert_eq!(both.err, "", "one terminal shows the events alone");
}

/// However long nothing happens, a log is not flooded.
#[test]
fn heartbeats_come_twice_a_minute_at_most() {
    let rig = fresh();
    let hooks = fated(&rig, "CreateImage", Fate::LostAndStop, true);
    rig.run_with(EVENTS, hooks).expect(Exit::Interrupted);
    rig.go_on();
    let hooks = fated(&rig, "Nothing", Fate::Lost, true);
    let ran = rig.run_with(EVENTS, hooks).expect(Exit::Done);
    let events = events(&ran);
    let beats = of(&events, "heartbeat");
    let waited = events.iter().position(|event| event["type"] == "waiting").expect("a wait");
    let minutes_ms = rig.now_ms() - crate::rig::NOON_MS;
    assert!((5..=minutes_ms / 30_000).contains(&(beats.len() as i64)), "{} in {minutes_ms} ms", beats.len());
    assert!(beats[0]["message"].as_str().expect("a text").contains("CreateImage"), "{}", beats[0]);
    assert!(events[waited]["until"].as_str().expect("a time") > events[waited]["time"].as_str().expect("a time"));
}
