//! The history, shown: runs as a table, and one run with its operations.

use std::collections::BTreeMap;

use crate::cloud::call::{self, StepId};
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::digest::Digest;
use crate::model::recorded::{OpId, RunId};
use crate::plan::{Counts, Plan};
use crate::store::{
    Ending, OpRow, OpState, OpTargetRow, Pruned, RunOutcome, RunRow, RunTold, Stays, Tally, TargetOutcome,
};

use super::document::{Document, document};
use super::fold;
use super::node::{Node, object};
use super::plan_json::{self, Beside, number};
use super::plan_text::{self, PlanOpts};
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of a history.
pub const FORMAT: &str = "fleetwright-history/1";
/// What `format` says in the JSON of one run.
pub const RUN_FORMAT: &str = "fleetwright-run/1";
/// What `format` says in the JSON of what was deleted.
pub const PRUNED_FORMAT: &str = "fleetwright-pruned/1";

/// The digits of a commit and of a digest that are shown to people.
const DIGITS: usize = 8;
const INDENT: usize = 6;
const HANG: usize = 2;

/// The history as a table; `older` more runs are left out, and `show` is the command that shows one.
#[must_use]
pub fn text(told: &[RunTold], older: usize, show: &str, style: Style) -> String {
    /// A person and a host up to here are not broken: rather is there no room for a revision.
    const MOST_WHOLE: usize = 24;
    let rows: Vec<Vec<String>> = told.iter().map(|told| row(&View::of(told))).collect();
    let whole = told.iter().all(|told| told.row.who.len() + told.row.host.len() < MOST_WHOLE);
    let columns = [
        Column::whole("RUN"),
        Column::whole("WHAT"),
        Column::whole("WHEN (UTC)"),
        if whole { Column::whole("WHO") } else { Column::wraps("WHO") },
        Column::whole("TOOK"),
        Column::whole("OUTCOME"),
        Column::whole("PLANNED"),
        Column::whole("REVISION").optional(),
        Column::whole("CONFIG").optional(),
    ];
    let mut page = Page::new(style);
    if told.is_empty() {
        page.plain("There is no history yet: nothing was applied.");
        return page.finish();
    }
    let text = table(&columns, &rows, style);
    let parts = told.iter().filter_map(|told| told.tally.as_ref()).flat_map(parts);
    let legend: BTreeMap<usize, String> =
        parts.map(|Part { rank, sign, word, count: _ }| (rank, format!("{sign} {word}"))).collect();
    if !legend.is_empty() {
        let legend: Vec<String> = legend.into_values().collect();
        page.wrap(0, HANG, &Line::new().add(Ink::Faint, format!("Planned: {}.", legend.join(", "))));
    }
    if let Some(newest) = told.first() {
        let line = format!("A run with its plan and its operations: {show} {}", newest.row.id.0);
        page.wrap(0, HANG, &Line::new().text(line));
    }
    if older > 0 {
        page.gap();
        let are = if older == 1 { "is" } else { "are" };
        let all = told.len() + older;
        page.plain(&format!("{} {are} not shown: --limit {all} shows all.", words::plural(older, "older run")));
    }
    let rest = page.finish();
    if rest.is_empty() { text } else { format!("{text}\n{rest}") }
}

/// A run as it is told about, in whatever form. It is taken apart whole, once, and a field that no form shows does not
/// compile: so no column is forgotten.
struct View<'a> {
    id: i64,
    kind: &'a str,
    who: &'a str,
    host: &'a str,
    started_ms: Millis,
    ended_ms: Option<Millis>,
    took_ms: Option<Millis>,
    ending: Ending,
    tally: Option<&'a Tally>,
    revision: Option<&'a str>,
    config: Option<Digest>,
    plan: Option<Digest>,
    serial_before: u64,
    serial_after: Option<u64>,
}

impl<'a> View<'a> {
    fn of(told: &'a RunTold) -> Self {
        let RunTold { row, ending, tally } = told;
        let RunRow {
            id: RunId(id),
            kind,
            who,
            host,
            started_ms,
            config_digest,
            git_rev,
            plan_hash,
            ended_ms,
            // The ending says it too, and what became of a run that has none.
            outcome: _,
            serial_before,
            serial_after,
        } = row;
        Self {
            id: *id,
            kind,
            who,
            host,
            started_ms: *started_ms,
            ended_ms: *ended_ms,
            took_ms: ended_ms.map(|ended| ended - started_ms),
            ending: *ending,
            tally: tally.as_ref(),
            revision: git_rev.as_deref(),
            config: *config_digest,
            plan: *plan_hash,
            serial_before: *serial_before,
            serial_after: *serial_after,
        }
    }
}

fn row(run: &View<'_>) -> Vec<String> {
    vec![
        run.id.to_string(),
        run.kind.to_owned(),
        words::minute(run.started_ms),
        format!("{}@{}", run.who, run.host),
        run.took_ms.map_or(String::new(), words::span),
        ending_word(run.ending).to_owned(),
        run.tally.map_or(String::new(), signs),
        run.revision.map_or(String::new(), |rev| rev.chars().take(DIGITS).collect()),
        run.config.map_or(String::new(), |digest| digest.short(DIGITS)),
    ]
}

fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Over(RunOutcome::TakenBack) => "taken back",
        Ending::Over(outcome) => outcome.word(),
        Ending::UnderWay => "under way",
        Ending::BrokenOff => "broken off",
    }
}

/// What a run was to do in one way.
struct Part {
    rank: usize,
    sign: char,
    word: &'static str,
    count: u32,
}

/// What a run was to do; what there is none of is left out.
fn parts(tally: &Tally) -> Vec<Part> {
    let Tally { counts: Counts { add, change, reset, destroy }, forget } = tally;
    let all = [
        ('+', "to add", *add),
        ('~', "to change", *change),
        ('!', "to reset", *reset),
        ('-', "to destroy", *destroy),
        ('.', "only to forget", *forget),
    ];
    let parts = all.into_iter().enumerate().map(|(rank, (sign, word, count))| Part { rank, sign, word, count });
    parts.filter(|part| part.count > 0).collect()
}

/// `+12 ~3 !1 -2 .4`.
fn signs(tally: &Tally) -> String {
    let signs: Vec<String> =
        parts(tally).iter().map(|Part { rank: _, sign, word: _, count }| format!("{sign}{count}")).collect();
    if signs.is_empty() { "0".to_owned() } else { signs.join(" ") }
}

/// One run: what it was, its plan as `plan` shows it, how it ended, and its operations.
#[must_use]
pub fn run_text(
    told: &RunTold,
    plan: Option<&Plan>,
    unreadable: Option<&str>,
    operations: &[OpRow],
    style: Style,
) -> String {
    let mut page = Page::new(style);
    head(&mut page, &View::of(told));
    if plan.is_some() {
        page.gap();
        page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Its plan, as it was approved:"));
    }
    if let Some(why) = unreadable {
        page.gap();
        page.wrap(0, HANG, &Line::new().text(format!("Its plan cannot be shown by this version: {why}")));
    }
    let mut text = page.finish();
    if let Some(plan) = plan {
        text.push('\n');
        text.push_str(&plan_text::plan(plan, style, &PlanOpts::default()));
    }
    let mut page = Page::new(style);
    let title = match (operations.is_empty(), told.row.kind.as_str()) {
        (false, _) => "Operations:",
        // They stay with the run that began them.
        (true, "recover") => "Operations: none of its own; it settled those that earlier runs had left open.",
        (true, _) => "Operations: none.",
    };
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, title));
    let mut attempts: BTreeMap<StepId, usize> = BTreeMap::new();
    for op in operations {
        let times = attempts.entry(op.step).and_modify(|times| *times += 1).or_insert(1);
        operation(&mut page, op, *times > 1);
    }
    text.push('\n');
    text.push_str(&page.finish());
    text
}

fn head(page: &mut Page, run: &View<'_>) {
    let title = format!(": {}, by {} on {}", run.kind, run.who, run.host);
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, format!("Run {}", run.id)).text(title));
    let mut field = |name: &str, text: String| {
        page.wrap(HANG, HANG + "revision: ".len(), &Line::new().text(format!("{:<10}{text}", format!("{name}:"))));
    };
    field("started", words::time(run.started_ms));
    if let (Some(ended), Some(took)) = (run.ended_ms, run.took_ms) {
        field("ended", format!("{}, after {}", words::time(ended), words::span(took)));
    }
    let meaning = match run.ending {
        Ending::Over(RunOutcome::Done) => "all was done",
        Ending::Over(RunOutcome::Partly) => "some of it was done",
        Ending::Over(RunOutcome::Failed) => "nothing was done",
        Ending::Over(RunOutcome::Paused) => "all was done as far as a rollout goes, which waits for somebody",
        Ending::Over(RunOutcome::Stopped) => "a rollout failed, and stays where it is",
        Ending::Over(RunOutcome::TakenBack) => "a rollout failed; a run of its own took it back to what ran before",
        Ending::Over(RunOutcome::Interrupted) => "it was stopped from outside, and had journalled what was under way",
        Ending::UnderWay => "it holds the lock",
        Ending::BrokenOff => "it was killed, or its machine was; the next apply settles what it left open",
    };
    field("outcome", format!("{}: {meaning}", ending_word(run.ending)));
    if let Some(rev) = run.revision {
        field("revision", rev.to_owned());
    }
    if let Some(digest) = run.config {
        field("config", digest.to_string());
    }
    field(
        "serial",
        match (run.serial_before, run.serial_after) {
            (before, Some(after)) if after == before => format!("{before}, the state did not change"),
            (before, Some(after)) => format!("{before} → {after}"),
            (before, None) => format!("{before} when it started"),
        },
    );
}

/// How an operation stands, in a word or a few.
fn state_words(op: &OpRow) -> (Ink, String) {
    let done = op.targets.iter().filter(|target| target.outcome == Some(TargetOutcome::Done)).count();
    match op.state {
        OpState::Intended => (Ink::Change, "open: written down, and not sent".to_owned()),
        OpState::Sent => (Ink::Change, "open: sent, and no answer recorded".to_owned()),
        OpState::Accepted => (Ink::Change, "open: accepted, and not settled".to_owned()),
        OpState::Failed => (Ink::Lose, if op.fault.is_some() { "refused" } else { "failed" }.to_owned()),
        OpState::Settled if done == op.targets.len() => (Ink::Add, "done".to_owned()),
        OpState::Settled if done == 0 => (Ink::Lose, "failed".to_owned()),
        OpState::Settled => (Ink::Lose, format!("done for {done} of {}", op.targets.len())),
    }
}

fn operation(page: &mut Page, op: &OpRow, again: bool) {
    let OpRow {
        id: OpId(id),
        step: _,
        action,
        region,
        state: _,
        attempt,
        intended_ms,
        sent_ms,
        settled_ms,
        request_id,
        fault,
        targets,
    } = op;
    let (ink, state) = state_words(op);
    let place = region.as_ref().map_or(String::new(), |region| format!(" in {region}"));
    let took = settled_ms.map_or(String::new(), |settled| format!(" in {}", words::span(settled - intended_ms)));
    let line = Line::new()
        .text(format!("{id:>4}  "))
        .add(Ink::Strong, action)
        .text(format!("{place}{}: ", if again { ", again" } else { "" }))
        .add(ink, state)
        .text(took);
    page.wrap(0, INDENT + HANG, &line);
    for (outcome, addrs, ids) in alike(targets) {
        let mut line = Line::new().text(fold::joined(&addrs));
        match ids.as_slice() {
            [] => {}
            [one] => line.push(Ink::Plain, format!("  {one}")),
            [one, other] => line.push(Ink::Plain, format!("  {one}, {other}")),
            [first, .., last] => line.push(Ink::Plain, format!("  {first} … {last} ({})", ids.len())),
        }
        match outcome {
            Some(TargetOutcome::Failed { why }) => line.push(Ink::Lose, format!("  failed: {why}")),
            Some(TargetOutcome::Done) => {}
            None if op.state < OpState::Settled => line.push(Ink::Plain, "  not known yet"),
            None => line.push(Ink::Plain, "  not done"),
        }
        page.wrap(INDENT, INDENT + HANG, &line);
    }
    if let Some(fault) = fault {
        // Its code and the request's id stand in it, word for word.
        page.wrap(INDENT, INDENT + HANG, &Line::new().add(Ink::Lose, fault.to_string()));
    }
    let mut when: Vec<String> = Vec::new();
    match (sent_ms, attempt) {
        (Some(sent), 0 | 1) => when.push(format!("sent {}", words::time(*sent))),
        (Some(sent), times) => when.push(format!("sent {times} times, last {}", words::time(*sent))),
        (None, _) => when.push(format!("written down {}", words::time(*intended_ms))),
    }
    when.extend(settled_ms.map(|settled| format!("over {}", words::time(settled))));
    when.extend(request_id.as_ref().map(|id| format!("request {id}")));
    page.wrap(INDENT, INDENT + HANG, &Line::new().add(Ink::Faint, when.join(", ")));
}

type Alike<'a> = (Option<&'a TargetOutcome>, Vec<Addr>, Vec<&'a str>);

/// Targets by how it went for them, in the order of the first of each.
fn alike(targets: &[OpTargetRow]) -> Vec<Alike<'_>> {
    let mut groups: Vec<Alike<'_>> = Vec::new();
    let mut places: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for OpTargetRow { addr, generation, id, outcome } in targets {
        let key = outcome.as_ref().map(|outcome| match outcome {
            TargetOutcome::Done => "",
            TargetOutcome::Failed { why } => why.as_str(),
        });
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((outcome.as_ref(), Vec::new(), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, addrs, ids)) = groups.get_mut(place) {
            addrs.push(addr.clone().generation(*generation));
            ids.extend(id.as_ref().map(|id| id.as_str()));
        }
    }
    groups
}

/// The history as JSON.
#[must_use]
pub fn json(told: &[RunTold], older: usize) -> String {
    object! {
        "format" => FORMAT,
        "runs" => Node::list(told.iter().map(run_node)),
        "older" => u32::try_from(older).unwrap_or(u32::MAX),
    }
    .pretty()
}

/// One run as JSON.
#[must_use]
pub fn run_json<'a>(told: &RunTold, plan: Option<&'a Plan>, operations: &'a [OpRow]) -> Document<'a> {
    let document = document! { "format" => RUN_FORMAT, "run" => run_node(told) };
    match plan {
        Some(plan) => document.inner("plan", plan_json::plan(plan, Beside::default())),
        None => document.with("plan", Node::Null),
    }
    .each("operations", || operations.iter().map(op_node))
}

fn run_node(told: &RunTold) -> Node {
    let run = View::of(told);
    object! {
        "run" => Node::Number(run.id),
        "kind" => run.kind,
        "who" => run.who,
        "host" => run.host,
        "started" => words::rfc3339(run.started_ms),
        "ended" => run.ended_ms.map(words::rfc3339),
        "took_ms" => run.took_ms.map(Node::Number),
        "outcome" => run.ending.word(),
        "counts" => run.tally.map(|Tally { counts: Counts { add, change, reset, destroy }, forget }| object! {
            "add" => *add, "change" => *change, "reset" => *reset, "destroy" => *destroy, "forget" => *forget,
        }),
        "git_revision" => run.revision,
        "config_digest" => Node::maybe(run.config.as_ref()),
        "plan_hash" => Node::maybe(run.plan.as_ref()),
        "serial_before" => number(run.serial_before),
        "serial_after" => run.serial_after.map(number),
    }
}

fn op_node(op: &OpRow) -> Node {
    let OpRow {
        id: OpId(id),
        step,
        action,
        region,
        state,
        attempt,
        intended_ms,
        sent_ms,
        settled_ms,
        request_id,
        fault,
        targets,
    } = op;
    object! {
        "operation" => Node::Number(*id),
        "step" => step.0,
        "action" => action,
        "region" => Node::maybe(region.as_ref()),
        "state" => state.word(),
        "attempts" => *attempt,
        "intended" => words::rfc3339(*intended_ms),
        "sent" => sent_ms.map(words::rfc3339),
        "settled" => settled_ms.map(words::rfc3339),
        "took_ms" => settled_ms.map(|settled: Millis| Node::Number(settled - intended_ms)),
        "request_id" => Node::maybe(request_id.as_ref()),
        "fault" => fault.as_ref().map(fault_node),
        "targets" => Node::list(targets.iter().map(|OpTargetRow { addr, generation, id, outcome }| object! {
            "address" => addr.clone().generation(*generation).to_string(),
            "id" => id.as_ref().map(|id| id.as_str()),
            "outcome" => outcome.as_ref().map(|outcome| match outcome {
                TargetOutcome::Done => "done",
                TargetOutcome::Failed { why: _ } => "failed",
            }),
            "why" => outcome.as_ref().and_then(|outcome| match outcome {
                TargetOutcome::Done => None,
                TargetOutcome::Failed { why } => Some(why),
            }),
        })),
    }
}

fn fault_node(fault: &call::Fault) -> Node {
    let call::Fault { class: _, code, message, request_id, executed: _, cloud_ms: _ } = fault;
    object! {
        "code" => code.as_ref(),
        "message" => message,
        "request_id" => Node::maybe(request_id.as_ref()),
    }
}

/// What was deleted of the history, and what stays against the wish.
#[must_use]
pub fn pruned(pruned: &Pruned, style: Style) -> String {
    let Pruned { runs, operations, plans, stays } = pruned;
    let mut page = Page::new(style);
    page.plain(&format!(
        "Deleted {}, {} and {} from the history.",
        words::plural(*runs, "run"),
        words::plural(*operations, "operation"),
        words::plural(*plans, "plan"),
    ));
    if let Some((run, why)) = stays {
        let why = match why {
            Stays::Newest => "it is the newest, and its number must not be given again",
            Stays::OpenOperations => "it has operations that are not settled; the next apply settles them",
            Stays::HaltedInstances => "it shut instances down that are not started again; the next apply starts them",
        };
        page.plain(&format!("Run {} and those after it stay: {why}.", run.0));
    }
    page.finish()
}

/// The same as JSON.
#[must_use]
pub fn pruned_json(pruned: &Pruned) -> String {
    let Pruned { runs, operations, plans, stays } = pruned;
    let count = |count: &usize| u32::try_from(*count).unwrap_or(u32::MAX);
    let why = |why: &Stays| match why {
        Stays::Newest => "newest",
        Stays::OpenOperations => "open_operations",
        Stays::HaltedInstances => "halted_instances",
    };
    object! {
        "format" => PRUNED_FORMAT,
        "runs" => count(runs),
        "operations" => count(operations),
        "plans" => count(plans),
        "stays" => stays.as_ref().map(|(run, stays)| object! { "from_run" => Node::Number(run.0), "why" => why(stays) }),
    }
    .pretty()
}
