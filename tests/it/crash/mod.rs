//! Crashes at every write and every call of every example, made and destroyed, and again during recovery, in virtual
//! time. What else a plan can hold is tried at all of its own calls, and at a sample of everything around them.
//!
//! A process dies by a panic out of what lies between the program and its world, and all that it had in memory is
//! dropped. A fresh one is left with the two database files, the lock file and the config. Then: no duplicate, no
//! orphan, nothing lost, and the second plan is empty.

mod asked;
mod asleep;
mod builds;
mod compare;
mod fleets;
mod images;
mod journal;
mod killed;
mod moment;
mod rollouts;
mod scenarios;
mod special;
mod torn;
pub(crate) mod trial;
pub(crate) mod wire;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleetwright::cloud::call::Class;

use scenarios::{EXAMPLES, OF_EXAMPLES, SCENARIOS, Scenario};
use trial::{Base, Trial};
use wire::{Fate, Trap, When};

/// The rows of the table: actions that change something and that this build makes.
const SUPPORTED: [&str; 15] = [
    "CreateImage",
    "DeleteImages",
    "ImportImage",
    "ModifyImageAttribute",
    "ModifyImageSharePermission",
    "ModifyInstancesAttribute",
    "ResetInstance",
    "ResetInstancesType",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "SyncImages",
    "TagResources",
    "TerminateInstances",
    "UnTagResources",
];
/// The columns.
const WAYS: [&str; 5] = ["not sent", "answer lost", "delayed", "refused", "silent"];

/// What can become of any call that changes something, each with whether requests may outlive their process.
const FATES: [(Fate, bool); 10] = [
    (Fate::NotSent, false),
    (Fate::NotSent, true),
    (Fate::AnswerLost, false),
    (Fate::AnswerLost, true),
    (Fate::Late(When::AtOnce), true),
    (Fate::Late(When::After(299_000)), true),
    (Fate::Refused(Class::Throttled, "RequestLimitExceeded", 3), false),
    (Fate::SilentNever, false),
    (Fate::SilentDone, true),
    (Fate::SilentLate(When::After(299_000)), true),
];
/// What is tried at the calls in turn, for the calls of one action are many.
const FATES_IN_TURN: [[(Fate, bool); 2]; 4] = [
    [(Fate::Refused(Class::Busy, "MutexOperation.TaskRunning", 2), false), (Fate::Late(When::AfterRequests(1)), true)],
    [(Fate::Refused(Class::Invalid, "InvalidParameterValue", 1), true), (Fate::Late(When::After(150_000)), true)],
    [
        (Fate::Refused(Class::NotFound, "InvalidInstanceId.NotFound", 1), false),
        (Fate::SilentLate(When::AfterRequests(2)), true),
    ],
    [(Fate::Refused(Class::Quota, "LimitExceeded.Quota", 1), false), (Fate::Late(When::AfterRequests(3)), true)],
];

/// What becomes of a read that the server had trouble with.
const UNANSWERED: Fate = Fate::Refused(Class::Transient, "InternalError", 2);

/// How many points were tried, by action and way.
type Table = BTreeMap<(&'static str, &'static str), usize>;

struct Report {
    table: Table,
    points: BTreeMap<&'static str, [usize; 3]>,
    /// How many scenarios are over.
    over: usize,
}

impl Report {
    const fn new() -> Self {
        Self { table: BTreeMap::new(), points: BTreeMap::new(), over: 0 }
    }
}

/// Every trap of a scenario: at each call that changes something its fates and an interrupt, at each read a crash
/// or trouble of the server's, at each write a crash before and after it.
pub(crate) fn traps(base: &Base) -> Vec<Point> {
    let mut traps = Vec::new();
    let mut changing = 0_usize;
    for (n, (action, mutates)) in base.traffic.calls.iter().enumerate() {
        if *mutates {
            let in_turn = &FATES_IN_TURN[changing % FATES_IN_TURN.len()];
            traps.push((
                Trap::Interrupt(n, if changing.is_multiple_of(2) { 1 } else { 2 }),
                changing.is_multiple_of(3),
                None,
            ));
            changing += 1;
            let fates = FATES.iter().chain(in_turn);
            traps.extend(fates.map(|(fate, remote)| (Trap::Call(n, *fate), *remote, Some(*action))));
        } else {
            traps.push((Trap::Call(n, Fate::NotSent), n % 2 == 0, None));
            if n % 3 == 0 {
                traps.push((Trap::Call(n, UNANSWERED), n % 2 == 1, None));
            }
        }
    }
    for n in 0..base.traffic.writes {
        traps.push((Trap::Write(n, false), n % 2 == 0, None));
        traps.push((Trap::Write(n, true), n % 2 == 1, None));
    }
    traps
}

/// What all scenarios found, once each has run.
static REPORT: Mutex<Report> = Mutex::new(Report::new());

fn report() -> MutexGuard<'static, Report> {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every point of a scenario, and after some of the crashes every point of the recovery.
fn try_all(scenario: &Scenario) {
    try_base(scenario.name, scenario.every, &Base::of(scenario));
}

/// Every point of what is done in a world, and after one of `every` crashes every point of the recovery.
fn try_base(name: &'static str, every: usize, base: &Base) {
    try_points(name, every, base, &traps(base));
}

/// A trap, whether requests may outlive their process, and the action of the call that it changes.
pub(crate) type Point = (Trap, bool, Option<&'static str>);

/// How thoroughly a scenario is tried.
struct Sample {
    /// The calls that it is about: each of them is tried with everything that can become of it, and so is the process
    /// that dies while one of them is under way.
    among: &'static [&'static str],
    /// One of so many of the other points is tried.
    each: usize,
    /// After one of so many deaths every point of the recovery is tried, too.
    every: usize,
}

/// The points of a sample of what is done in a world. It holds all that the scenario is about.
fn try_sample(name: &'static str, sample: &Sample, base: &Base) {
    let Sample { among, each, every } = *sample;
    let calls = &base.traffic.calls;
    let about = |n: usize| calls.get(n).is_some_and(|(action, mutates)| *mutates && among.contains(action));
    // The read that follows such a call sees it under way; the one before it is the last moment without it.
    let next_to = |n: usize| about(n) || about(n + 1) || n.checked_sub(1).is_some_and(about);
    let points: Vec<Point> = traps(base)
        .into_iter()
        .enumerate()
        .filter(|(place, (trap, _, _))| match trap {
            Trap::Call(n, Fate::NotSent) => next_to(*n) || place.is_multiple_of(each),
            Trap::Call(n, _) => about(*n) || place.is_multiple_of(each),
            Trap::Change(..)
            | Trap::Interrupt(..)
            | Trap::Write(..)
            | Trap::Torn(..)
            | Trap::Full(..)
            | Trap::Stolen(_) => place.is_multiple_of(each),
        })
        .map(|(_, point)| point)
        .collect();
    for action in among {
        for fate in [Fate::NotSent, Fate::AnswerLost] {
            let there = points
                .iter()
                .any(|(trap, _, at)| matches!(trap, Trap::Call(_, is) if *is == fate) && *at == Some(*action));
            assert!(there, "{name}: nobody dies around {action}, which is among {calls:?}");
        }
    }
    try_points(name, every, base, &points);
}

fn try_points(name: &'static str, every: usize, base: &Base, traps: &[Point]) {
    let mut faults = Vec::new();
    for (trap, remote, action) in traps {
        let result = Trial::new(base, *remote).once(*trap);
        let mut report = report();
        let kind = match trap {
            Trap::Call(..) | Trap::Change(..) | Trap::Interrupt(..) => 0,
            Trap::Write(..) | Trap::Torn(..) | Trap::Full(..) | Trap::Stolen(_) => 1,
        };
        report.points.entry(name).or_default()[kind] += 1;
        if let (Trap::Call(_, fate), Some(action)) = (trap, action) {
            *report.table.entry((action, fate.way())).or_default() += 1;
        }
        if let Err(why) = result {
            faults.push(format!("{trap:?} remote={remote} {}: {why}", action.unwrap_or("")));
        }
    }
    let deaths = traps.iter().filter(|(trap, _, _)| trap.kills());
    for (first, remote, _) in deaths.step_by(every) {
        let (points, more) = Trial::new(base, *remote).twice(*first);
        report().points.entry(name).or_default()[2] += points;
        faults.extend(more.into_iter().map(|why| format!("{first:?} remote={remote}, then {why}")));
    }
    assert!(faults.is_empty(), "{}: {} points failed:\n{}", name, faults.len(), shown(&faults));
    let mut report = report();
    report.over += 1;
    if report.over == SCENARIOS {
        print(&table(&report));
        let empty: BTreeSet<_> = SUPPORTED
            .iter()
            .flat_map(|action| WAYS.iter().map(move |way| (*action, *way)))
            .filter(|cell| !report.table.contains_key(cell))
            .collect();
        assert!(empty.is_empty(), "nothing tried for {empty:?}");
    }
}

fn shown(faults: &[String]) -> String {
    let first: Vec<&str> = faults.iter().map(String::as_str).take(40).collect();
    first.join("\n\n")
}

fn table(report: &Report) -> String {
    let mut text = format!("{:<28}", "action");
    for way in WAYS {
        text.push_str(&format!("{way:>13}"));
    }
    text.push('\n');
    for action in SUPPORTED {
        text.push_str(&format!("{action:<28}"));
        for way in WAYS {
            text.push_str(&format!("{:>13}", report.table.get(&(action, way)).copied().unwrap_or(0)));
        }
        text.push('\n');
    }
    text.push_str(&format!("\n{:<28}{:>13}{:>13}{:>13}\n", "scenario", "at calls", "at writes", "twice"));
    for (name, [calls, writes, twice]) in &report.points {
        text.push_str(&format!("{name:<28}{calls:>13}{writes:>13}{twice:>13}\n"));
    }
    let total: usize = report.points.values().flatten().sum();
    text.push_str(&format!("{total} crash points\n"));
    let of_examples = OF_EXAMPLES.iter().map(|name| report.points.get(name).expect("a scenario has this name"));
    let [calls, writes, twice] = of_examples.fold([0; 3], |sum, more| [0, 1, 2].map(|n| sum[n] + more[n]));
    let examples = EXAMPLES.len();
    text.push_str(&format!(
        "all crash points of {examples} examples, made and destroyed: {calls} at calls, {writes} at writes, {twice} twice\n"
    ));
    text
}

/// Past the test harness, which keeps what is printed to itself when all is well.
pub(crate) fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}
