//! What a plan rolls out over fleets: in which batches, past which gates, and what happens where one is not passed.

use std::collections::BTreeMap;

use crate::model::addr::Block;
use crate::model::rollout::{Phase, Rollout};
use crate::model::update::{Address, Check, Health, Hook, HookRun, Moment, Strategy};
use crate::plan::{Do, Gate, HookStep, Plan, RolloutPlan};

use super::node::{Node, object};
use super::rollout::row_json;
use super::style::{Ink, Line, Page};
use super::words;

const INDENT: usize = 6;
/// The longest label and the space behind it.
const LABELS: usize = "in service:".len() + 1;
/// The most kinds of batches that are told one by one.
const MAX_KINDS: usize = 4;

/// What steps say of a fleet's rollout: all of its gates are alike, but for what they make of it.
#[derive(Clone, Copy, Default)]
struct Steps<'a> {
    gate: Option<&'a Gate>,
    before_stop: Option<&'a Hook>,
    after_ready: Option<&'a Hook>,
    /// Whether a gate makes it wait for somebody.
    pauses: bool,
}

fn steps(plan: &Plan) -> BTreeMap<&Block, Steps<'_>> {
    let mut fleets: BTreeMap<&Block, Steps<'_>> = BTreeMap::new();
    if plan.rollouts.is_empty() {
        return fleets;
    }
    for step in &plan.steps {
        match &step.does {
            Do::Gate(gate) => {
                let fleet = fleets.entry(&gate.fleet).or_default();
                fleet.gate = fleet.gate.or(Some(gate));
                fleet.pauses |= gate.passed.is_some_and(|mark| mark.phase == Phase::Paused);
            }
            Do::Hook(hook) => {
                let HookStep { fleet, region: _, moment, hook } = hook.as_ref();
                let fleet = fleets.entry(fleet).or_default();
                match moment {
                    Moment::BeforeStop => fleet.before_stop = Some(hook),
                    Moment::AfterReady => fleet.after_ready = Some(hook),
                }
            }
            Do::Call(_) | Do::Await { .. } | Do::Record => {}
        }
    }
    fleets
}

/// Each rollout of a plan.
pub(super) fn rollouts(page: &mut Page, plan: &Plan) {
    let steps = steps(plan);
    for rollout in &plan.rollouts {
        page.gap();
        one(page, rollout, steps.get(&rollout.row.block).copied().unwrap_or_default());
    }
}

fn one(page: &mut Page, rollout: &RolloutPlan, steps: Steps<'_>) {
    let RolloutPlan { row, strategy, why, batches, canary, left, count, least_available, most } = rollout;
    let back = row.phase == Phase::TakenBack;
    let (title, way) = titled(row, back);
    page.wrap(0, 4, &Line::new().add(Ink::Strong, title).text(way));
    let mut field = |label: &str, text: String| {
        let label = format!("{:<LABELS$}", format!("{label}:"));
        page.wrap(INDENT, INDENT + LABELS, &Line::new().text(label + &text));
    };
    let by = match strategy {
        Strategy::Replace => "a new instance takes the place of each",
        Strategy::Reset => "the system disk of each is formatted; ids and addresses stay",
        Strategy::Auto => "either a new instance takes the place of each, or its system disk is formatted",
    };
    field("how", if why.is_empty() { by.to_owned() } else { format!("{by} ({why})") });
    if !batches.is_empty() {
        field("batches", in_batches(*canary, batches));
    }
    if let Some(gate) = steps.gate {
        field("each gate", past(gate));
    }
    let hooks = [("before_stop", steps.before_stop), ("after_ready", steps.after_ready)];
    let hooks: Vec<String> = hooks.into_iter().filter_map(|(word, hook)| Some(hooked(word, hook?))).collect();
    if !hooks.is_empty() {
        field("hooks", hooks.join("; "));
    }
    field("in service", format!("never fewer than {least_available} of {count}; at most {most} instances at once"));
    if let Some(text) = steps.gate.and_then(|gate| on_failure(gate, row)) {
        field("failures", text);
    }
    if *left > 0 {
        let waits = if *left == 1 { "1 slot waits" } else { &format!("{left} slots wait") };
        field("pause", format!("after that: {waits} for `rollout resume {}`", row.block.name));
    } else if steps.pauses {
        field("pause", format!("after that, for `rollout resume {}`", row.block.name));
    }
}

fn titled(row: &Rollout, back: bool) -> (String, String) {
    let before = row.before().map(|before| &before.image);
    let to = &row.to;
    match (back, before) {
        (true, Some(before)) => (format!("{} goes back", row.block), format!(" from {to} to {before}:")),
        (true, None) => (format!("{} goes back", row.block), format!(" from {to}:")),
        (false, Some(before)) if before == to => {
            (format!("{} is rolled out anew", row.block), format!(", with {to} as before:"))
        }
        (false, Some(before)) => (format!("{to} is rolled out over {}", row.block), format!(", in place of {before}:")),
        (false, None) => (format!("{to} is rolled out over {}", row.block), ":".to_owned()),
    }
}

/// `1 canary, then 4 batches of 5`.
fn in_batches(canary: bool, batches: &[u32]) -> String {
    let mut rest = batches;
    let mut parts = Vec::new();
    if canary && let Some((first, others)) = batches.split_first() {
        parts.push(if *first == 1 { "1 canary".to_owned() } else { format!("{first} canaries") });
        rest = others;
    }
    let kinds: Vec<&[u32]> = rest.chunk_by(|one, other| one == other).collect();
    if kinds.len() > MAX_KINDS {
        let (least, most) = (rest.iter().min().unwrap_or(&0), rest.iter().max().unwrap_or(&0));
        parts.push(format!("{} batches of {least} to {most}", rest.len()));
    } else {
        parts.extend(kinds.into_iter().filter_map(|kind| {
            let size = kind.first()?;
            Some(if kind.len() == 1 { format!("1 batch of {size}") } else { format!("{} batches of {size}", kind.len()) })
        }));
    }
    parts.join(", then ")
}

fn past(gate: &Gate) -> String {
    let Gate {
        fleet: _,
        region: _,
        health,
        min_ready_ms,
        bake_ms,
        most_failures: _,
        frees: _,
        passed: _,
        failed: _,
    } = gate;
    let mut text = healthy(health);
    if *min_ready_ms > 0 {
        text.push_str(&format!("; each for {}", words::span(*min_ready_ms)));
    }
    if *bake_ms > 0 {
        text.push_str(&format!("; then all of them for {} more", words::span(*bake_ms)));
    }
    text
}

fn healthy(health: &Health) -> String {
    let Health { check, address, interval_ms, threshold, deadline_ms } = health;
    let by = match address {
        Address::Private => "private",
        Address::Public => "public",
    };
    let within = words::span(*deadline_ms);
    let asked = match check {
        None => return format!("each instance runs, within {within}"),
        Some(Check::Tcp { port }) => format!("each takes connections at port {port}"),
        Some(Check::Http { port, path, status, body: None }) => format!("each answers GET :{port}{path} with {status}"),
        Some(Check::Http { port, path, status, body: Some(body) }) => {
            format!("each answers GET :{port}{path} with {status} and {body:?}")
        }
    };
    let times = if *threshold == 1 { String::new() } else { format!(", {threshold} times in a row") };
    format!("{asked}, by its {by} address{times}, asked every {}, within {within}", words::span(*interval_ms))
}

/// What a hook runs; of an address only that it is one, for it may hold a secret.
fn hooked(word: &str, hook: &Hook) -> String {
    let Hook { run, timeout_ms } = hook;
    let what = match run {
        HookRun::Command(words) => format!("runs {}", words.first().map_or("nothing", String::as_str)),
        HookRun::Webhook(_) => "posts to its address".to_owned(),
    };
    format!("{word} {what}, for at most {}", words::span(*timeout_ms))
}

fn on_failure(gate: &Gate, row: &Rollout) -> Option<String> {
    let then = match (gate.failed?, row.before()) {
        (Phase::TakenBack, Some(before)) => format!("every slot goes back to {}, at once", before.image),
        (Phase::TakenBack, None) => "every slot goes back to what ran before, at once".to_owned(),
        (Phase::Running | Phase::Paused | Phase::Done | Phase::Stopped | Phase::Aborted, _) => {
            "it stops where it is".to_owned()
        }
    };
    Some(match gate.most_failures {
        0 => format!("where one slot fails, {then}"),
        most => format!("where more than {most} slots fail, {then}"),
    })
}

/// The rollouts of a plan as JSON.
pub(super) fn json(plan: &Plan) -> Node {
    let steps = steps(plan);
    Node::list(plan.rollouts.iter().map(|rollout| {
        let RolloutPlan { row, strategy, why, batches, canary, left, count, least_available, most } = rollout;
        let of = steps.get(&row.block).copied().unwrap_or_default();
        let hook = |hook: &Hook| {
            let Hook { run, timeout_ms } = hook;
            let runs = match run {
                HookRun::Command(_) => "command",
                HookRun::Webhook(_) => "webhook",
            };
            object! { "runs" => runs, "timeout_ms" => *timeout_ms }
        };
        row_json(row)
            .with("strategy", strategy_word(*strategy))
            .with("strategy_why", why)
            .with("batches", Node::list(batches.iter().copied()))
            .with("canary", *canary)
            .with("gate", of.gate.map(gate_json))
            .with("before_stop", of.before_stop.map(hook))
            .with("after_ready", of.after_ready.map(hook))
            .with("count", *count)
            .with("least_available", *least_available)
            .with("most_instances", *most)
            .with("pauses", of.pauses || *left > 0)
            .with("left", *left)
    }))
}

fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Replace => "replace",
        Strategy::Reset => "reset",
        Strategy::Auto => "auto",
    }
}

fn gate_json(gate: &Gate) -> Node {
    let Gate {
        fleet: _,
        region: _,
        health: Health { check, address, interval_ms, threshold, deadline_ms },
        min_ready_ms,
        bake_ms,
        most_failures,
        frees: _,
        passed: _,
        failed,
    } = gate;
    let check = check.as_ref().map(|check| match check {
        Check::Tcp { port } => object! { "kind" => "tcp", "port" => u32::from(*port) },
        Check::Http { port, path, status, body } => object! {
            "kind" => "http",
            "port" => u32::from(*port),
            "path" => path,
            "status" => u32::from(*status),
            "body" => body.as_ref(),
        },
    });
    object! {
        "check" => check,
        "by_address" => match address {
            Address::Private => "private",
            Address::Public => "public",
        },
        "interval_ms" => *interval_ms,
        "threshold" => *threshold,
        "deadline_ms" => *deadline_ms,
        "min_ready_ms" => *min_ready_ms,
        "bake_ms" => *bake_ms,
        "most_failures" => *most_failures,
        "on_failure" => failed.map(Phase::word),
    }
}
