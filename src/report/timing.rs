//! What took the time of an apply: the steps behind one another that its end waited for, and the calls it made.

use std::collections::BTreeMap;

use crate::apply::events::Progress;
use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::plan::Plan;

use super::progress::kind;
use super::style::{Ink, Line, Page, STICKY, Style};
use super::words;

/// Learns from the events when each step began and ended, and which calls were made.
#[derive(Clone, Debug)]
pub struct Timing {
    began_ms: Millis,
    /// When the plan began whose steps these are.
    plan_began_ms: Millis,
    /// By step: what it waits for.
    waits: Vec<Vec<StepId>>,
    /// By step: when it began, and when it was over.
    times: Vec<Option<(Millis, Millis)>>,
    calls: BTreeMap<&'static str, Calls>,
    actions: BTreeMap<StepId, &'static str>,
}

/// Calls of one action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// How many were made, repetitions included.
    pub made: u32,
    /// How many of them were repetitions.
    pub repeated: u32,
}

/// A step that the end of the apply waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The step.
    pub step: StepId,
    /// What it did.
    pub action: &'static str,
    /// When it began, by the clock of the events.
    pub began_ms: Millis,
    /// How long it took.
    pub took_ms: Millis,
}

/// What is faster needs no explanation.
const WORTH_TELLING_MS: Millis = 5_000;
/// The most steps that are named.
const MOST_STEPS: usize = 5;
/// A step that took less of the whole than this part of it is not named.
const PART_OF_IT: Millis = 50;

impl Timing {
    /// For an apply that began at `began_ms`, by the clock that the events come with.
    #[must_use]
    pub fn new(began_ms: Millis) -> Self {
        Self {
            began_ms,
            plan_began_ms: began_ms,
            waits: Vec::new(),
            times: Vec::new(),
            calls: BTreeMap::new(),
            actions: BTreeMap::new(),
        }
    }

    /// A plan is carried out from now on.
    pub fn follow(&mut self, now_ms: Millis, plan: &Plan) {
        self.began_ms = now_ms;
        self.calls.clear();
        self.follow_on(now_ms, plan);
    }

    /// The way back is carried out after it, in the same apply: what took the time is told of that one, the calls are told
    /// of both.
    pub fn follow_on(&mut self, now_ms: Millis, plan: &Plan) {
        self.plan_began_ms = now_ms;
        self.waits = plan.steps.iter().map(|step| step.waits_for().into_iter().collect()).collect();
        self.times = vec![None; plan.steps.len()];
    }

    /// Takes in what happened.
    pub fn note(&mut self, now_ms: Millis, event: &Progress) {
        match event {
            Progress::Sent { action, attempt, .. } => {
                let calls = self.calls.entry(action).or_default();
                calls.made += 1;
                calls.repeated += u32::from(*attempt > 1);
            }
            Progress::Done { step, action, addrs: _, took_ms } => {
                self.actions.insert(*step, action);
                if let Some(times) = self.times.get_mut(step.0 as usize) {
                    *times = Some((now_ms - took_ms, now_ms));
                }
            }
            Progress::Recovering { .. }
            | Progress::Recovered { .. }
            | Progress::Waiting { .. }
            | Progress::Stopping { .. }
            | Progress::Started { .. }
            | Progress::Accepted { .. }
            | Progress::Retrying { .. }
            | Progress::Percent { .. }
            | Progress::Settled { .. }
            | Progress::Gate { .. }
            | Progress::Failed { .. }
            | Progress::Skipped { .. } => {}
        }
    }

    /// How long it took until now.
    #[must_use]
    pub fn took_ms(&self, now_ms: Millis) -> Millis {
        now_ms - self.began_ms
    }

    /// The calls that change something, by action.
    #[must_use]
    pub fn calls(&self) -> &BTreeMap<&'static str, Calls> {
        &self.calls
    }

    /// The steps that the end waited for, in their order: from the last one back, each time the one that was waited for
    /// longest.
    #[must_use]
    pub fn chain(&self) -> Vec<Link> {
        let ended = |step: StepId| self.times.get(step.0 as usize).copied().flatten().map(|(_, end)| (end, step));
        let mut chain = Vec::new();
        let all = 0..u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        let mut at = all.map(StepId).filter_map(ended).max();
        while let Some((_, step)) = at {
            if let Some((began_ms, ended_ms)) = self.times.get(step.0 as usize).copied().flatten() {
                let action = self.actions.get(&step).copied().unwrap_or_default();
                chain.push(Link { step, action, began_ms, took_ms: ended_ms - began_ms });
            }
            let before = self.waits.get(step.0 as usize).map_or(&[][..], Vec::as_slice);
            // A step waits for earlier ones only, so this comes to an end.
            at = before.iter().filter(|other| **other < step).copied().filter_map(ended).max();
        }
        chain.reverse();
        chain
    }

    /// The same for people, with the calls; `label` says of a step what was done to what. Nothing where all was quick.
    #[must_use]
    pub fn text(&self, now_ms: Millis, style: Style, label: &dyn Fn(StepId, &str) -> String) -> String {
        let total_ms = now_ms - self.plan_began_ms;
        if total_ms < WORTH_TELLING_MS {
            return String::new();
        }
        let mut page = Page::new(style);
        let chain = self.chain();
        let mut longest: Vec<&Link> = chain.iter().filter(|link| link.took_ms * PART_OF_IT >= total_ms).collect();
        longest.sort_by_key(|link| std::cmp::Reverse(link.took_ms));
        longest.truncate(MOST_STEPS);
        longest.sort_by_key(|link| (link.began_ms, link.step));
        let heading = match self.plan_began_ms - self.began_ms {
            0 => format!("What took the time ({}):", words::span(total_ms)),
            before_ms => {
                let (part, whole) = (words::span(total_ms), words::span(total_ms + before_ms));
                format!("What took the time on the way back ({part} of {whole}):")
            }
        };
        page.wrap(0, 2, &Line::new().add(Ink::Strong, heading));
        let spans: Vec<String> = longest.iter().map(|link| words::span(link.took_ms)).collect();
        let column = spans.iter().map(String::len).max().unwrap_or(0);
        for (link, span) in longest.iter().zip(&spans) {
            let action = kind(link.action);
            let line = Line::new()
                .text(format!("{span:>column$}").replace(' ', &STICKY.to_string()))
                .text("  ")
                .add(words::ink(action), action.sign())
                .text(format!(" {}", label(link.step, link.action)));
            page.wrap(2, 2 + column + "  + ".len(), &line);
        }
        let shorter = chain.len() - longest.len();
        if shorter > 0 {
            page.wrap(2, 4, &Line::new().add(Ink::Faint, format!("and {}", words::plural(shorter, "shorter step"))));
        }
        if !self.calls.is_empty() {
            let parts: Vec<String> = self.calls.iter().map(|(action, calls)| made(action, *calls)).collect();
            let total = self.calls.values().map(|calls| calls.made).sum::<u32>();
            let total = if parts.len() > 1 { format!("; {total} in all") } else { String::new() };
            let line = Line::new().add(Ink::Strong, "Calls:").text(format!(" {}{total}", parts.join(", ")));
            page.wrap(0, 2, &line);
        }
        page.finish()
    }
}

/// `3 RunInstances (1 of them again)`, in one piece.
fn made(action: &str, calls: Calls) -> String {
    let Calls { made, repeated } = calls;
    let again = if repeated > 0 { format!(" ({repeated} of them again)") } else { String::new() };
    format!("{made} {action}{again}").replace(' ', &STICKY.to_string())
}
