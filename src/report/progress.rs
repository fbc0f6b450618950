//! An apply while it runs, as lines, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::events::{GateNews, Outcome, Progress};
use crate::cloud::call::{Arg, StepId};
use crate::diagnostic::visible;
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::rollout::Phase;
use crate::model::update::HookRun;
use crate::plan::{Action, Do, Effect, Gate, HookStep, Plan};

use super::fold;
use super::live::LiveState;
use super::style::{Ink, Line, Page, STICKY, Style};
use super::words;

/// What stands before each line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dated {
    /// The time since the start: for whoever looks on.
    Elapsed,
    /// The time of day in UTC, and the day where it changes: for logs.
    Utc,
}

/// Turns events into lines. It remembers what each step acts on, what steps wait for, and what failed.
#[derive(Clone, Debug)]
pub struct ProgressText {
    started_ms: Millis,
    style: Style,
    dated: Dated,
    /// The day of the last line.
    day: String,
    /// When something was said last.
    said_ms: Millis,
    steps: BTreeMap<StepId, String>,
    waits: BTreeMap<StepId, String>,
    given_up: BTreeSet<Addr>,
}

/// After this long without a line, a log is told that things go on.
const SILENCE_MS: Millis = 30_000;
const LIST_INDENT: usize = 2;
const HANG: usize = 6;

impl ProgressText {
    /// For an apply that started at `started_ms`, by the clock that the events come with.
    #[must_use]
    pub fn new(started_ms: Millis, style: Style, dated: Dated) -> Self {
        Self {
            started_ms,
            style,
            dated,
            day: String::new(),
            said_ms: started_ms,
            steps: BTreeMap::new(),
            waits: BTreeMap::new(),
            given_up: BTreeSet::new(),
        }
    }

    /// A plan is carried out from now on: learns what its steps wait for.
    pub fn follow(&mut self, now_ms: Millis, plan: &Plan) {
        (self.started_ms, self.said_ms) = (now_ms, now_ms);
        for step in plan.steps.iter().filter(|step| matches!(step.does, Do::Await { .. })) {
            let until = step.settle.until.words();
            // It may wait for something other than what it is about: an image for its builder.
            let about = step.targets.first().and_then(|target| match &target.id {
                Some(Arg::Output { step: other, target: n }) => {
                    let other = plan.steps.get(other.0 as usize)?.targets.get(*n as usize)?;
                    (other.addr != target.addr).then(|| other.addr.clone().generation(other.generation).to_string())
                }
                Some(Arg::Known(id)) if matches!(target.effect, Effect::Nothing) => Some(id.to_string()),
                Some(Arg::Known(_)) | None => None,
            });
            let subject = about.unwrap_or_else(|| if step.targets.len() > 1 { "all of it" } else { "it" }.to_owned());
            self.waits.insert(step.id, format!("{subject} is {until}"));
        }
        for step in &plan.steps {
            let words = match &step.does {
                Do::Gate(gate) => gate_words(gate, step.targets.len()),
                Do::Hook(hook) => hook_words(hook),
                Do::Call(_) | Do::Await { .. } | Do::Record => continue,
            };
            self.waits.insert(step.id, words);
        }
    }

    /// What a step that waits waits for.
    #[must_use]
    pub fn until(&self, step: StepId) -> Option<&str> {
        self.waits.get(&step).map(String::as_str)
    }

    /// What a step did to what.
    #[must_use]
    pub fn label(&self, step: StepId, action: &str) -> String {
        let what = self.what(step);
        match (action, self.waits.get(&step)) {
            ("Await" | "Gate", Some(wait)) => format!("{what}  waiting until {wait}"),
            ("Hook", Some(hook)) => format!("{what}  {hook}"),
            ("Await", None) => format!("{what}  waiting until it is settled"),
            ("Record", _) => format!("{what}  entered in the state"),
            (action, _) => format!("{what}  {action}"),
        }
    }

    fn what(&self, step: StepId) -> String {
        self.steps.get(&step).cloned().unwrap_or_else(|| step.to_string())
    }

    /// The width of lines from now on.
    pub fn resize(&mut self, width: usize) {
        self.style.width = width;
    }

    /// The event as a line, or a few where it is long; with a line end. Nothing where there is nothing new to say.
    pub fn line(&mut self, now_ms: Millis, event: &Progress) -> String {
        let fresh;
        let event = match event {
            Progress::Failed { targets, .. } => {
                self.given_up.extend(targets.iter().map(|(addr, _)| addr.clone()));
                event
            }
            Progress::Skipped { step, addrs, because } => {
                let addrs: Vec<Addr> =
                    addrs.iter().filter(|addr| self.given_up.insert((*addr).clone())).cloned().collect();
                fresh = Progress::Skipped { step: *step, addrs, because: because.clone() };
                &fresh
            }
            Progress::Recovering { .. }
            | Progress::Recovered { .. }
            | Progress::Waiting { .. }
            | Progress::Stopping { .. }
            | Progress::Started { .. }
            | Progress::Sent { .. }
            | Progress::Accepted { .. }
            | Progress::Retrying { .. }
            | Progress::Percent { .. }
            | Progress::Settled { .. }
            | Progress::Gate { .. }
            | Progress::Done { .. } => event,
        };
        match self.told(now_ms, event) {
            Some(line) => self.dated(now_ms, line),
            None => String::new(),
        }
    }

    /// Where nothing was said for a while: that it goes on, and with what.
    pub fn still(&mut self, now_ms: Millis, live: &LiveState) -> String {
        if now_ms - self.said_ms < SILENCE_MS {
            return String::new();
        }
        let Some(still) = live.still(now_ms) else { return String::new() };
        let still = still.replace(" %", &format!("{STICKY}%"));
        self.dated(now_ms, Line::new().add(Ink::Look, "…").text(format!(" still under way: {still}")))
    }

    fn dated(&mut self, now_ms: Millis, line: Line) -> String {
        self.said_ms = now_ms;
        let mut page = Page::new(self.style);
        let date = match self.dated {
            Dated::Elapsed => words::clock(now_ms - self.started_ms),
            Dated::Utc => {
                let (day, time) = words::day_and_time(now_ms);
                if day != self.day {
                    page.wrap(0, HANG, &Line::new().add(Ink::Faint, format!("{day}, times in UTC:")));
                    self.day = day;
                }
                time
            }
        };
        let hang = date.chars().count() + 2 + "  ".len();
        page.wrap(0, hang, &Line::new().add(Ink::Faint, date).text("  ").and(line));
        page.finish()
    }

    fn told(&mut self, now_ms: Millis, event: &Progress) -> Option<Line> {
        let line = Line::new();
        Some(match event {
            // What one reads comes when the step is over; the numbers stand in the live table.
            Progress::Sent { .. } | Progress::Accepted { .. } | Progress::Percent { .. } | Progress::Settled { .. } => {
                return None;
            }
            Progress::Recovering { op, action, addrs, why } => line
                .add(Ink::Look, "?")
                .text(format!(" {}  {action} of an interrupted run ({op}): {why}", fold::joined(addrs))),
            Progress::Recovered { addrs, .. } if addrs.is_empty() => return None,
            Progress::Recovered { op, action, addrs } => sign(line, action)
                .text(format!(" {}  {action} of an interrupted run ({op}): ", fold::joined(addrs)))
                .add(Ink::Add, "done"),
            Progress::Waiting { why, until_ms } => line.add(Ink::Look, "…").text(format!(
                " waiting for {}: {why}",
                words::span(until_ms - now_ms).replace(' ', &STICKY.to_string())
            )),
            Progress::Stopping { at_once: true, .. } => {
                line.add(Ink::Change, "✗").text(" stopping at once, as asked; the journal holds what is under way")
            }
            Progress::Stopping { under_way, at_once: false } => {
                let awaited = match under_way {
                    0 => String::new(),
                    1 => ", and 1 answer is waited for; ask again to stop at once".to_owned(),
                    count => format!(", and {count} answers are waited for; ask again to stop at once"),
                };
                line.add(Ink::Change, "✗").text(format!(" stopping, as asked: nothing new is begun{awaited}"))
            }
            Progress::Started { step, action, region, addrs } => {
                let what = fold::joined(addrs);
                let line = sign(line, action).text(format!(" {what}  "));
                self.steps.insert(*step, what);
                match (*action, region) {
                    ("Await" | "Gate", _) => match self.waits.get(step) {
                        Some(wait) => line.text(format!("waiting until {wait} …")),
                        None => line.text("waiting until it is settled …"),
                    },
                    ("Hook", _) => match self.waits.get(step) {
                        Some(hook) => line.text(format!("{hook} …")),
                        None => line.text("running a hook …"),
                    },
                    // It is over at once.
                    (_, None) => return None,
                    (action, Some(region)) => line.text(format!("{action} in {region} …")),
                }
            }
            Progress::Retrying { step, action, fault, in_ms, attempt } => line.add(Ink::Change, "↻").text(format!(
                " {}  {action} again in {} (attempt {attempt}): {fault}",
                self.what(*step),
                words::span(*in_ms)
            )),
            Progress::Gate { step: _, fleet, news } => gate_line(line, now_ms, fleet, news)?,
            Progress::Done { addrs, .. } if addrs.is_empty() => return None,
            Progress::Done { step, action, addrs, took_ms } => {
                let line = sign(line, action).text(format!(" {}  ", fold::joined(addrs)));
                match *action {
                    "Gate" => line.add(Ink::Add, "healthy"),
                    "Await" => match self.waits.get(step) {
                        Some(wait) => line.add(Ink::Add, wait.clone()),
                        None => line.add(Ink::Add, "settled"),
                    },
                    "Hook" => match self.waits.get(step) {
                        Some(hook) => line.text(format!("{hook}  ")).add(Ink::Add, "done"),
                        None => line.add(Ink::Add, "done"),
                    },
                    "Record" => line.add(Ink::Add, "entered in the state"),
                    action => line.text(format!("{action} ")).add(Ink::Add, "done"),
                }
                .text(if *took_ms > 0 {
                    let word = if matches!(*action, "Await" | "Gate") { "after" } else { "in" };
                    format!(" {word} {}", words::span(*took_ms))
                } else {
                    String::new()
                })
            }
            Progress::Failed { step: _, action, targets, why } => line
                .add(Ink::Lose, "✗")
                .text(format!(" {}  {action} ", fold::joined(targets.iter().map(|(addr, _)| addr))))
                .add(Ink::Lose, "failed")
                .text(format!(": {why}")),
            Progress::Skipped { addrs, .. } if addrs.is_empty() => return None,
            Progress::Skipped { step: _, addrs, because } => line
                .add(Ink::Change, "✗")
                .text(format!(" {}  ", fold::joined(addrs)))
                .add(Ink::Change, "skipped")
                .text(format!(": {because}")),
        })
    }
}

/// What a gate waits for: `all of it is healthy, and stays so for 10m`.
fn gate_words(gate: &Gate, targets: usize) -> String {
    let subject = if targets > 1 { "all of it" } else { "it" };
    let for_ms = [gate.min_ready_ms, gate.bake_ms].into_iter().filter(|ms| *ms > 0);
    let spans: Vec<String> = for_ms.map(|ms| words::span(ms).replace(' ', &STICKY.to_string())).collect();
    let stays = if spans.is_empty() { String::new() } else { format!(", and stays so for {}", spans.join(" and ")) };
    format!("{subject} is healthy{stays}")
}

/// Which hook it is. Of an address only the host is told: the rest may be what lets one in.
pub(super) fn hook_words(hook: &HookStep) -> String {
    let what = match &hook.hook.run {
        HookRun::Command(words) => visible(&words.join(" ")),
        HookRun::Webhook(url) => webhook_host(url),
    };
    format!("{}: {what}", hook.moment.word())
}

/// The host of an address.
pub(super) fn webhook_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    visible(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// What is new about a gate. How many are healthy stands in the live table.
fn gate_line(line: Line, now_ms: Millis, fleet: &Block, news: &GateNews) -> Option<Line> {
    Some(match news {
        GateNews::Healthy { .. } => return None,
        GateNews::Baking { until_ms } => line.add(Ink::Look, "…").text(format!(
            " {fleet}  ready, and has to stay healthy for another {}",
            words::span(until_ms - now_ms).replace(' ', &STICKY.to_string())
        )),
        GateNews::Passed { phase: Some(Phase::Done) } => {
            line.add(Ink::Add, "~").text(format!(" {fleet}  its rollout is ")).add(Ink::Add, "done")
        }
        GateNews::Passed { phase: _ } => return None,
        GateNews::Paused { why } => line
            .add(Ink::Look, "…")
            .text(format!(" {fleet}  its rollout is "))
            .add(Ink::Change, "paused")
            .text(format!(": {why}")),
        GateNews::Failed { phase, why } => {
            let what = match phase {
                Some(Phase::TakenBack) => "its rollout failed, and goes back",
                Some(Phase::Running | Phase::Paused | Phase::Done | Phase::Stopped | Phase::Aborted) => {
                    "its rollout failed, and stays where it is"
                }
                None => "too many instances failed",
            };
            line.add(Ink::Lose, "✗").text(format!(" {fleet}  ")).add(Ink::Lose, what).text(format!(": {why}"))
        }
    })
}

/// What an action of the API does to things.
pub(super) fn kind(action: &str) -> Action {
    match action {
        "RunInstances" | "CreateImage" | "SyncImages" => Action::Create,
        "TerminateInstances" | "DeleteImages" => Action::Delete,
        "ResetInstance" => Action::Reset,
        "Await" | "Gate" | "Hook" => Action::Await,
        "Record" => Action::Forget,
        _ => Action::Update,
    }
}

fn sign(line: Line, action: &str) -> Line {
    let action = kind(action);
    line.add(words::ink(action), action.sign())
}

/// What to type next.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// The same command once more.
    pub again: &'a str,
    /// The command of rollouts, without what is said to one.
    pub rollout: &'a str,
}

/// How an apply ended, what took its time (`took`, from [`super::timing::Timing::text`]), and what to type next where it
/// is not over.
#[must_use]
pub fn outcome(outcome: &Outcome, took: &str, next: Next<'_>, style: Style) -> String {
    let Outcome { done, failed, refused, skipped, in_doubt, interrupted, store, stuck, paused, stopped, taken_back } =
        outcome;
    let Next { again, rollout } = next;
    let mut page = Page::new(style);
    let whole = outcome.whole();
    if !whole {
        what_was_done(&mut page, done);
        with_reasons(&mut page, "Failed:", Ink::Lose, failed);
        with_reasons(&mut page, "Skipped:", Ink::Change, skipped);
        for (op, why) in in_doubt {
            page.gap();
            page.wrap(0, HANG, &Line::new().add(Ink::Lose, format!("In doubt ({op}):")).text(format!(" {why}")));
        }
        if *stuck {
            page.gap();
            let text = " nothing was left to wait for, though not all is done; this is a fault of fleetwright.";
            page.wrap(0, HANG, &Line::new().add(Ink::Lose, "Stuck:").text(text));
        }
        if let Some(fault) = store {
            page.gap();
            page.wrap(
                0,
                HANG,
                &Line::new().add(Ink::Lose, "Stopped:").text(format!(" the state cannot be written: {fault}")),
            );
        }
        page.gap();
    }
    if !took.is_empty() {
        page.verbatim(took);
        page.gap();
    }
    let number = |wanted: &[Action]| done.iter().filter(|(action, _)| wanted.contains(action)).count();
    let (learnt, forgotten) = (number(&[Action::Learn]), number(&[Action::Forget]));
    let state_alone = !done.is_empty() && learnt + forgotten == done.len() && failed.is_empty() && skipped.is_empty();
    let heading = if state_alone { "Refreshed:" } else { "Applied:" };
    let mut parts = Vec::new();
    if !state_alone {
        parts.push(format!("{} added", number(&[Action::Create, Action::Replace, Action::Swap])));
        parts.push(format!("{} changed", number(&[Action::Update])));
        parts.push(format!("{} reset", number(&[Action::Reset])));
        parts.push(format!("{} destroyed", number(&[Action::Delete, Action::Replace, Action::Swap])));
    }
    let of_state = [(learnt, "learnt"), (forgotten, "forgotten")].into_iter().filter(|(count, _)| *count > 0);
    parts.extend(of_state.map(|(count, word)| format!("{count} {word}")));
    let mut line = Line::new().add(if whole { Ink::Add } else { Ink::Strong }, heading);
    line.push(Ink::Plain, format!(" {}", parts.join(", ")));
    if state_alone {
        line.push(Ink::Plain, "; only the state changed");
    }
    if !failed.is_empty() {
        line.push(Ink::Lose, format!(", {} failed", failed.len()));
    }
    if !skipped.is_empty() {
        line.push(Ink::Change, format!(", {} skipped", skipped.len()));
    }
    line.push(Ink::Plain, ".");
    page.wrap(0, HANG, &line);
    let remedies: BTreeSet<&str> = refused.iter().filter_map(|class| class.remedy()).collect();
    for remedy in remedies {
        page.wrap(0, "help: ".len(), &Line::new().add(Ink::Strong, "help:").text(format!(" {remedy}")));
    }
    for (fleets, ink, heading, what) in [
        (paused, Ink::Change, "Paused:", "waits for somebody"),
        (stopped, Ink::Lose, "Stopped:", "failed, and stays where it is"),
        (taken_back, Ink::Lose, "Taken back:", "failed, and goes back to what ran before"),
    ] {
        for fleet in fleets {
            page.wrap(0, HANG, &Line::new().add(ink, heading).text(format!(" the rollout of {fleet} {what}.")));
        }
    }
    for (fleets, verb, what) in [(paused, "resume", "To go on"), (stopped, "status", "To see how far it is")] {
        for fleet in fleets {
            page.wrap(0, HANG, &Line::new().text(format!("{what}: {rollout} {verb} {}", fleet.name)));
        }
    }
    if outcome.waits() {
        return page.finish();
    }
    if *interrupted {
        let text = format!("Interrupted. What is under way in the cloud is written down; `{again}` goes on from here.");
        page.wrap(0, HANG, &Line::new().text(text));
    } else if !(stopped.is_empty() && taken_back.is_empty()) {
        let text = format!(
            "Next: put right what failed, then `{again}`; the very same is rolled out again with `--retry` only."
        );
        page.wrap(0, HANG, &Line::new().text(text));
    } else if !whole {
        let text = format!("Next: put right what failed, then `{again}`; it goes on from here.");
        page.wrap(0, HANG, &Line::new().text(text));
    }
    page.finish()
}

fn what_was_done(page: &mut Page, done: &[(Action, Addr)]) {
    if done.is_empty() {
        return;
    }
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Done:"));
    let mut by_action: BTreeMap<Action, Vec<&Addr>> = BTreeMap::new();
    for (action, addr) in done {
        by_action.entry(*action).or_default().push(addr);
    }
    for (action, addrs) in by_action {
        for addr in fold::addrs(addrs) {
            let line = Line::new().add(words::ink(action), format!("{:>3}", action.sign())).text(format!(" {addr}"));
            page.wrap(LIST_INDENT, LIST_INDENT + HANG, &line);
        }
    }
}

fn with_reasons(page: &mut Page, title: &str, ink: Ink, list: &[(Addr, String)]) {
    if list.is_empty() {
        return;
    }
    page.gap();
    page.wrap(0, HANG, &Line::new().add(ink, title));
    let mut by_reason: BTreeMap<&str, Vec<&Addr>> = BTreeMap::new();
    for (addr, why) in list {
        by_reason.entry(why).or_default().push(addr);
    }
    for (why, addrs) in by_reason {
        page.wrap(HANG, HANG + 4, &Line::new().add(Ink::Strong, fold::addrs(addrs).join(", ")));
        page.wrap(HANG + 2, HANG + 2, &Line::new().text(why));
    }
}
