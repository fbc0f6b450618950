//! An apply for programs: one line of JSON for each thing that happens. See `docs/json.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::events::{GateNews, Outcome, Progress, Settled};
use crate::cloud::call::StepId;
use crate::diagnostic::{Diagnostic, SourceMap};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::CloudId;
use crate::model::rollout::Phase;
use crate::plan::{Action, Plan};

use super::document::{Document, document};
use super::node::{Node, object};
use super::plan_json::{self, Beside};
use super::timing::{Calls, Link, Timing};
use super::{diagnostics, words};

/// What the first event says of the stream; the number grows when something that was there changes or goes.
pub const FORMAT: &str = "fleetwright-events/1";

/// Turns what happens into lines of JSON.
#[derive(Clone, Debug, Default)]
pub struct EventLines {
    /// Whether a plan is carried out; before, numbers of steps are those of a plan that is no more.
    planned: bool,
    /// How many targets of each step that is under way succeeded and failed, of how many.
    tallies: BTreeMap<StepId, (usize, usize, usize)>,
}

/// How it ended, beside what the outcome itself says.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// One word: see `docs/json.md`.
    pub result: &'static str,
    /// The program's exit code.
    pub exit_code: u8,
    /// What to type next, where it is not over.
    pub next: Option<&'a str>,
    /// What was measured.
    pub timing: &'a Timing,
}

/// The word for an outcome: see `docs/json.md`.
#[must_use]
pub fn result(outcome: &Outcome) -> &'static str {
    if outcome.waits() {
        "waiting"
    } else if outcome.whole() {
        "done"
    } else if outcome.stuck {
        "fault"
    } else if outcome.interrupted {
        "interrupted"
    } else if outcome.store.is_some() {
        "state_not_written"
    } else if !outcome.in_doubt.is_empty() {
        "in_doubt"
    } else if outcome.done.is_empty() {
        "failed"
    } else {
        "partly"
    }
}

fn event(now_ms: Millis, kind: &str) -> Node {
    object! { "type" => kind, "time" => words::rfc3339_ms(now_ms) }
}

fn addresses<'a>(addrs: impl IntoIterator<Item = &'a Addr>) -> Node {
    Node::list(addrs.into_iter().map(ToString::to_string))
}

impl EventLines {
    /// The first event: what this is.
    #[must_use]
    pub fn version(&self, now_ms: Millis, verb: &str) -> String {
        event(now_ms, "version")
            .with("format", FORMAT)
            .with("program", "fleetwright")
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("verb", verb)
            .line()
    }

    /// Each diagnostic, on a line of its own.
    #[must_use]
    pub fn diagnostics(&self, now_ms: Millis, diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
        let each = diagnostics::each_json(diagnostics, sources).into_iter();
        each.map(|diagnostic| event(now_ms, "diagnostic").with("diagnostic", Node::Json(diagnostic)).line()).collect()
    }

    /// The plan, which is carried out from now on if it is approved.
    pub fn plan<'a>(&mut self, now_ms: Millis, plan: &'a Plan, beside: Beside<'_>) -> Document<'a> {
        self.planned = true;
        document! { "type" => "plan", "time" => words::rfc3339_ms(now_ms) }
            .inner("plan", plan_json::plan(plan, beside))
            .on_one_line()
    }

    /// What an interrupted run had left is settled, or could not be.
    #[must_use]
    pub fn recovered(&self, now_ms: Millis, outcome: &Outcome) -> String {
        event(now_ms, "recovered").with("settled", outcome.settled()).line()
    }

    /// Rollouts of these fleets failed, and go back to what ran before by a plan that follows. What is told from now on is
    /// of that plan's steps.
    #[must_use]
    pub fn taken_back<'f>(&mut self, now_ms: Millis, fleets: impl IntoIterator<Item = (&'f Block, String)>) -> String {
        self.tallies.clear();
        let each = fleets.into_iter().map(|(fleet, message)| {
            event(now_ms, "rollout_taken_back").with("address", fleet.to_string()).with("message", message).line()
        });
        each.collect()
    }

    /// That it goes on, where nothing happened for a while: `still` says with what.
    #[must_use]
    pub fn heartbeat(&self, now_ms: Millis, still: &str) -> String {
        event(now_ms, "heartbeat").with("message", still).line()
    }

    /// Something happened.
    pub fn progress(&mut self, now_ms: Millis, progress: &Progress) -> String {
        let planned = self.planned;
        let number = |step: StepId| planned.then_some(step.0);
        match progress {
            Progress::Recovering { op, action, addrs, why } => event(now_ms, "recovery")
                .with("op", op.0)
                .with("action", *action)
                .with("addresses", addresses(addrs))
                .with("message", why)
                .line(),
            Progress::Recovered { op, action, addrs } => event(now_ms, "recovery_settled")
                .with("op", op.0)
                .with("action", *action)
                .with("addresses", addresses(addrs))
                .line(),
            Progress::Waiting { why, until_ms } => {
                event(now_ms, "waiting").with("message", why).with("until", words::rfc3339_ms(*until_ms)).line()
            }
            Progress::Stopping { under_way, at_once } => {
                event(now_ms, "stopping").with("calls_under_way", *under_way).with("at_once", *at_once).line()
            }
            Progress::Started { step, action, region, addrs } => {
                self.tallies.insert(*step, (0, 0, addrs.len()));
                event(now_ms, "step_started")
                    .with("step", number(*step))
                    .with("action", *action)
                    .with("region", Node::maybe(region.as_ref()))
                    .with("addresses", addresses(addrs))
                    .line()
            }
            Progress::Sent { step, action, region, attempt } => event(now_ms, "call_sent")
                .with("step", number(*step))
                .with("action", *action)
                .with("region", region.as_str())
                .with("attempt", *attempt)
                .line(),
            Progress::Accepted { step, action, request_id } => event(now_ms, "call_accepted")
                .with("step", number(*step))
                .with("action", *action)
                .with("request_id", request_id.as_str())
                .line(),
            Progress::Retrying { step, action, fault, in_ms, attempt } => event(now_ms, "retry")
                .with("step", number(*step))
                .with("action", *action)
                .with("attempt", *attempt)
                .with("wait_ms", *in_ms)
                .with("message", fault)
                .line(),
            Progress::Percent { step, action, percent } => event(now_ms, "step_progress")
                .with("step", number(*step))
                .with("action", *action)
                .with("percent", u32::from(*percent))
                .line(),
            Progress::Settled { step, action, targets } => {
                if let Some(tally) = self.tallies.get_mut(step) {
                    tally.0 += targets.len();
                }
                self.targets(now_ms, *step, action, targets, None)
            }
            Progress::Failed { step, action, targets, why } => {
                if let Some((done, failed, all)) = self.tallies.get_mut(step) {
                    *failed += targets.len();
                    // What had settled, and did not stay as it was.
                    *done = (*done).min(all.saturating_sub(*failed));
                }
                self.targets(now_ms, *step, action, targets, Some(why))
            }
            Progress::Gate { step, fleet, news } => self.gate(now_ms, *step, fleet, news),
            Progress::Skipped { step, addrs, because } => event(now_ms, "skipped")
                .with("step", number(*step))
                .with("addresses", addresses(addrs))
                .with("because", because)
                .line(),
            Progress::Done { step, action, addrs: _, took_ms } => {
                let (done, failed, _) = self.tallies.remove(step).unwrap_or_default();
                event(now_ms, "step_settled")
                    .with("step", number(*step))
                    .with("action", *action)
                    .with("done", done)
                    .with("failed", failed)
                    .with("duration_ms", *took_ms)
                    .line()
            }
        }
    }

    fn gate(&self, now_ms: Millis, step: StepId, fleet: &Block, news: &GateNews) -> String {
        let word = match news {
            GateNews::Healthy { .. } => "healthy",
            GateNews::Baking { .. } => "baking",
            GateNews::Passed { .. } => "passed",
            GateNews::Paused { .. } => "paused",
            GateNews::Failed { .. } => "failed",
        };
        let event = event(now_ms, "gate")
            .with("step", self.planned.then_some(step.0))
            .with("fleet", fleet.to_string())
            .with("what", word);
        let (healthy, until, phase, why) = match news {
            GateNews::Healthy { healthy, of } => (Some((*healthy, *of)), None, None, None),
            GateNews::Baking { until_ms } => (None, Some(*until_ms), None, None),
            GateNews::Passed { phase } => (None, None, *phase, None),
            GateNews::Paused { why } => (None, None, Some(Phase::Paused), Some(why)),
            GateNews::Failed { phase, why } => (None, None, *phase, Some(why)),
        };
        event
            .with("healthy", healthy.map(|(healthy, _)| healthy))
            .with("of", healthy.map(|(_, of)| of))
            .with("until", until.map(words::rfc3339_ms))
            .with("phase", phase.map(Phase::word))
            .with("message", why)
            .line()
    }

    fn targets(&self, now_ms: Millis, step: StepId, action: &str, targets: &[Settled], why: Option<&String>) -> String {
        let each = targets.iter().map(|(addr, id)| {
            event(now_ms, "target_settled")
                .with("step", self.planned.then_some(step.0))
                .with("action", action)
                .with("address", addr.to_string())
                .with("id", id.as_ref().map(CloudId::as_str))
                .with("outcome", if why.is_some() { "failed" } else { "done" })
                .with("message", why)
                .line()
        });
        each.collect()
    }

    /// The last event: how it ended.
    #[must_use]
    pub fn outcome(&self, now_ms: Millis, outcome: &Outcome, end: &End<'_>) -> String {
        let Outcome {
            done,
            failed,
            refused,
            skipped,
            in_doubt,
            interrupted: _,
            store,
            stuck: _,
            paused,
            stopped,
            taken_back,
        } = outcome;
        let fleets = |fleets: &BTreeSet<Block>| Node::list(fleets.iter().map(ToString::to_string));
        let End { result, exit_code, next, timing } = end;
        let number = |wanted: &[Action]| done.iter().filter(|(action, _)| wanted.contains(action)).count();
        let said = |list: &[(Addr, String)], key: &'static str| {
            let each = list.iter();
            Node::list(each.map(|(addr, why)| object! { "address" => addr.to_string() }.with(key, why)))
        };
        let calls = timing.calls().iter().map(|(action, Calls { made, repeated })| {
            object! { "action" => *action, "made" => *made, "repeated" => *repeated }
        });
        let chain = timing.chain().into_iter().map(|Link { step, action, began_ms, took_ms }| {
            object! {
                "step" => step.0,
                "action" => action,
                "started" => words::rfc3339_ms(began_ms),
                "duration_ms" => took_ms,
            }
        });
        event(now_ms, "outcome")
            .with("result", *result)
            .with("exit_code", u32::from(*exit_code))
            .with("added", number(&[Action::Create, Action::Replace, Action::Swap]))
            .with("changed", number(&[Action::Update]))
            .with("reset", number(&[Action::Reset]))
            .with("destroyed", number(&[Action::Delete, Action::Replace, Action::Swap]))
            .with("learnt", number(&[Action::Learn]))
            .with("forgotten", number(&[Action::Forget]))
            .with("failed", said(failed, "message"))
            .with("help", Node::list(refused.iter().filter_map(|class| class.remedy()).collect::<BTreeSet<_>>()))
            .with("skipped", said(skipped, "because"))
            .with("in_doubt", Node::list(in_doubt.iter().map(|(op, why)| object! { "op" => op.0, "message" => why })))
            .with("paused", fleets(paused))
            .with("stopped", fleets(stopped))
            .with("taken_back", fleets(taken_back))
            .with("state_fault", Node::maybe(store.as_ref()))
            .with("duration_ms", timing.took_ms(now_ms))
            .with("calls", Node::list(calls))
            .with("chain", Node::list(chain))
            .with("next", *next)
            .line()
    }
}
