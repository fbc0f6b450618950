//! An apply while it runs, as lines with the time since its start, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::events::{Outcome, Progress};
use crate::cloud::call::{Arg, StepId};
use crate::model::Millis;
use crate::model::addr::Addr;
use crate::plan::{Action, Do, Effect, Plan};

use super::fold;
use super::style::{Ink, Line, Page, STICKY, Style};
use super::words;

/// Turns events into lines. It remembers what each step acts on, what steps wait for, and what failed.
#[derive(Clone, Debug)]
pub struct ProgressText {
    started_ms: Millis,
    style: Style,
    steps: BTreeMap<StepId, String>,
    waits: BTreeMap<StepId, String>,
    given_up: BTreeSet<Addr>,
}

const LIST_INDENT: usize = 2;
const HANG: usize = 6;

impl ProgressText {
    /// For an apply that started at `started_ms`, by the clock that the events come with.
    #[must_use]
    pub fn new(started_ms: Millis, style: Style) -> Self {
        Self { started_ms, style, steps: BTreeMap::new(), waits: BTreeMap::new(), given_up: BTreeSet::new() }
    }

    /// Learns what the steps of the plan wait for, that is carried out from now on.
    pub fn follow(&mut self, plan: &Plan) {
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
    }

    /// The event as a line, or a few where it is long; with a line end. Nothing where it only says again that a thing
    /// is given up.
    pub fn line(&mut self, now_ms: Millis, event: &Progress) -> String {
        let fresh;
        let event = match event {
            Progress::Failed { addr, .. } => {
                self.given_up.insert(addr.clone());
                event
            }
            Progress::Skipped { step, addrs, because } => {
                let addrs: Vec<Addr> =
                    addrs.iter().filter(|addr| self.given_up.insert((*addr).clone())).cloned().collect();
                if addrs.is_empty() {
                    return String::new();
                }
                fresh = Progress::Skipped { step: *step, addrs, because: because.clone() };
                &fresh
            }
            Progress::Recovering { .. }
            | Progress::Waiting { .. }
            | Progress::Started { .. }
            | Progress::Retrying { .. }
            | Progress::Done { .. } => event,
        };
        let since = since(now_ms - self.started_ms);
        let hang = since.chars().count() + 2 + "  ".len();
        let line = self.told(Line::new().add(Ink::Faint, since).text("  "), now_ms, event);
        let mut page = Page::new(self.style);
        page.wrap(0, hang, &line);
        page.finish()
    }

    fn told(&mut self, line: Line, now_ms: Millis, event: &Progress) -> Line {
        match event {
            Progress::Recovering { op, action, addrs, why } => line
                .add(Ink::Look, "?")
                .text(format!(" {}  {action} of an interrupted run ({op}): {why}", fold::joined(addrs))),
            Progress::Waiting { why, until_ms } => line.add(Ink::Look, "…").text(format!(
                " waiting for {}: {why}",
                words::span(until_ms - now_ms).replace(' ', &STICKY.to_string())
            )),
            Progress::Started { step, action, region, addrs } => {
                let what = fold::joined(addrs);
                let line = sign(line, action).text(format!(" {what}  "));
                self.steps.insert(*step, what);
                match *action {
                    "Await" => match self.waits.get(step) {
                        Some(wait) => line.text(format!("waiting until {wait} …")),
                        None => line.text("waiting until it is settled …"),
                    },
                    "Record" => line.text("entering it in the state …"),
                    action => line.text(format!("{action} in {region} …")),
                }
            }
            Progress::Retrying { step, action, fault, in_ms, attempt } => line.add(Ink::Change, "↻").text(format!(
                " {}  {action} again in {} (attempt {attempt}): {fault}",
                self.what(*step),
                words::span(*in_ms)
            )),
            Progress::Done { step, action, addrs, took_ms } => {
                let line = sign(line, action).text(format!(" {}  ", fold::joined(addrs)));
                match *action {
                    "Await" => match self.waits.get(step) {
                        Some(wait) => line.add(Ink::Add, wait.clone()),
                        None => line.add(Ink::Add, "settled"),
                    },
                    "Record" => line.add(Ink::Add, "entered in the state"),
                    action => line.text(format!("{action} ")).add(Ink::Add, "done"),
                }
                .text(if *took_ms > 0 {
                    let word = if *action == "Await" { "after" } else { "in" };
                    format!(" {word} {}", words::span(*took_ms))
                } else {
                    String::new()
                })
            }
            Progress::Failed { step: _, action, addr, why } => line
                .add(Ink::Lose, "✗")
                .text(format!(" {addr}  {action} "))
                .add(Ink::Lose, "failed")
                .text(format!(": {why}")),
            Progress::Skipped { step: _, addrs, because } => line
                .add(Ink::Change, "✗")
                .text(format!(" {}  ", fold::joined(addrs)))
                .add(Ink::Change, "skipped")
                .text(format!(": {because}")),
        }
    }

    fn what(&self, step: StepId) -> String {
        self.steps.get(&step).cloned().unwrap_or_else(|| step.to_string())
    }
}

/// Minutes and seconds: `00:12`, `1:02:03`.
fn since(ms: Millis) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

fn sign(line: Line, action: &str) -> Line {
    let action = match action {
        "RunInstances" | "CreateImage" | "SyncImages" => Action::Create,
        "TerminateInstances" | "DeleteImages" => Action::Delete,
        "ResetInstance" => Action::Reset,
        "Await" => Action::Await,
        "Record" => Action::Forget,
        _ => Action::Update,
    };
    line.add(words::ink(action), action.sign())
}

/// How an apply ended, and what to type next where it is not over: `again` is that command.
#[must_use]
pub fn outcome(outcome: &Outcome, again: &str, style: Style) -> String {
    let Outcome { done, failed, skipped, in_doubt, interrupted, store, stuck } = outcome;
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
    let number = |wanted: &[Action]| done.iter().filter(|(action, _)| wanted.contains(action)).count();
    let mut line = Line::new().add(if whole { Ink::Add } else { Ink::Strong }, "Applied:").text(format!(
        " {} added, {} changed, {} reset, {} destroyed",
        number(&[Action::Create, Action::Replace]),
        number(&[Action::Update]),
        number(&[Action::Reset]),
        number(&[Action::Delete, Action::Replace]),
    ));
    if !failed.is_empty() {
        line.push(Ink::Lose, format!(", {} failed", failed.len()));
    }
    if !skipped.is_empty() {
        line.push(Ink::Change, format!(", {} skipped", skipped.len()));
    }
    line.push(Ink::Plain, ".");
    page.wrap(0, HANG, &line);
    if *interrupted {
        let text = format!("Interrupted. What is under way in the cloud is written down; `{again}` goes on from here.");
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
        page.wrap(HANG, HANG + 2, &Line::new().add(Ink::Strong, fold::addrs(addrs).join(", ")));
        page.wrap(HANG + 2, HANG + 2, &Line::new().text(why));
    }
}
