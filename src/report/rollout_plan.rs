//! What a plan rolls out over fleets: in which batches, past which gates, and what happens where one is not passed.

use std::collections::BTreeMap;

use crate::model::addr::Block;
use crate::model::rollout::{Phase, Rollout};
use crate::model::update::{Address, Check, Health, Hook, HookRun, Moment, Strategy};
use crate::plan::{Do, Gate, HookStep, Plan, RolledZone, RolloutPlan};

use super::node::{Node, object};
use super::progress::webhook_host;
use super::rollout::row_json;
use super::style::{Ink, Line, Page};
use super::{watched, words};

const INDENT: usize = 6;
/// The longest label and the space behind it.
const LABELS: usize = "in service:".len() + 1;
/// The most kinds of batches that are told one by one.
const MAX_KINDS: usize = 4;

/// What steps say of a fleet's rollout: all of its gates are alike, but for what they make of it.
#[derive(Clone, Copy, Default)]
struct Steps<'a> {
    gate: Option<&'a Gate>,
    before_stop: Option<&'a HookStep>,
    after_ready: Option<&'a HookStep>,
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
                let fleet = fleets.entry(&hook.fleet).or_default();
                match hook.moment {
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
    let RolloutPlan { row, strategy, why, first, batches, canary, left, zones: _, count, least_available, most } =
        rollout;
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
    if *first > 0 {
        let which = if *first == 1 { "1 slot that is" } else { &format!("{first} slots that are") };
        field("at first", format!("{which} out of service, or not seen to be healthy yet"));
    }
    if !batches.is_empty() {
        field("batches", in_batches(*canary, batches));
    } else if *first == 0 {
        field("batches", "none: all slots are there already".to_owned());
    }
    if let Some(gate) = steps.gate {
        field("each gate", past(gate));
    }
    let hooks: Vec<String> = [steps.before_stop, steps.after_ready].into_iter().flatten().map(hooked).collect();
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
            Some(if kind.len() == 1 {
                format!("1 batch of {size}")
            } else {
                format!("{} batches of {size}", kind.len())
            })
        }));
    }
    parts.join(", then ")
}

fn past(gate: &Gate) -> String {
    let Gate { fleet: _, region: _, health, min_ready_ms, bake_ms, most_failures: _, frees: _, passed: _, failed: _ } =
        gate;
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
        Some(Check::Tcp { port }) => format!("each instance takes connections at port {port}"),
        Some(Check::Http { port, path, status, body: None }) => {
            format!("each instance answers GET :{port}{path} with {status}")
        }
        Some(Check::Http { port, path, status, body: Some(body) }) => {
            format!("each instance answers GET :{port}{path} with {status} and {body:?}")
        }
    };
    let times = if *threshold == 1 { String::new() } else { format!(", {threshold} times in a row") };
    format!("{asked}, by its {by} address{times}, asked every {}, within {within}", words::span(*interval_ms))
}

/// What a hook runs; of an address only the host, for the rest may be what lets one in.
fn hooked(step: &HookStep) -> String {
    let HookStep { fleet: _, region: _, moment, hook: Hook { run, timeout_ms } } = step;
    let what = match run {
        HookRun::Command(words) => format!("runs {}", words.first().map_or("nothing", String::as_str)),
        HookRun::Webhook(url) => format!("posts to {}", webhook_host(url)),
    };
    format!("{} {what}, for at most {}", moment.word(), words::span(*timeout_ms))
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
        1 => format!("where more than one slot fails, {then}"),
        most => format!("where more than {most} slots fail, {then}"),
    })
}

/// The rollouts of a plan as JSON.
pub(super) fn json(plan: &Plan) -> Node {
    let steps = steps(plan);
    Node::list(plan.rollouts.iter().map(|rollout| {
        let RolloutPlan { row, strategy, why, first, batches, canary, left, zones, count, least_available, most } =
            rollout;
        let of = steps.get(&row.block).copied().unwrap_or_default();
        row_json(row)
            .with("strategy", strategy_word(*strategy))
            .with("strategy_why", why)
            .with("first", *first)
            .with("batches", Node::list(batches.iter().copied()))
            .with("canary", *canary)
            .with("gate", of.gate.map(watched::gate))
            .with("before_stop", of.before_stop.map(watched::hook))
            .with("after_ready", of.after_ready.map(watched::hook))
            .with("count", *count)
            .with("least_available", *least_available)
            .with("most_instances", *most)
            .with("pauses", of.pauses || *left > 0)
            .with("left", *left)
            .with("zones", Node::list(zones.iter().map(zone_json)))
    }))
}

fn zone_json(zone: &RolledZone) -> Node {
    let RolledZone { zone, there, to_come } = zone;
    object! { "zone" => zone.as_str(), "there" => *there, "to_come" => Node::list(to_come.iter().copied()) }
}

fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Replace => "replace",
        Strategy::Reset => "reset",
        Strategy::Auto => "auto",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_told_in_a_few_words() {
        for (canary, batches, text) in [
            (true, &[1, 5, 5, 5, 4][..], "1 canary, then 3 batches of 5, then 1 batch of 4"),
            (true, &[2], "2 canaries"),
            (false, &[5, 5], "2 batches of 5"),
            (false, &[3], "1 batch of 3"),
            (false, &[1, 2, 3, 1, 2], "5 batches of 1 to 3"),
            (true, &[1, 1, 2, 3, 1, 2], "1 canary, then 5 batches of 1 to 3"),
        ] {
            assert_eq!(in_batches(canary, batches), text);
        }
    }

    #[test]
    fn what_an_instance_has_to_show_is_told_in_a_sentence() {
        let health = |check, threshold| Health { check, threshold, address: Address::Public, ..Health::default() };
        let http = |body| Check::Http { port: 8080, path: "/healthz".into(), status: 204, body };
        for (health, text) in [
            (health(None, 2), "each instance runs, within 10 min"),
            (
                health(Some(Check::Tcp { port: 22 }), 1),
                "each instance takes connections at port 22, by its public address, asked every 5 s, within 10 min",
            ),
            (
                health(Some(http(Some("ok".into()))), 3),
                "each instance answers GET :8080/healthz with 204 and \"ok\", by its public address, 3 times in a row, asked every 5 s, \
                 within 10 min",
            ),
        ] {
            assert_eq!(healthy(&health), text);
        }
    }
}
