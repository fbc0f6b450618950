//! What a plan looks at and what it runs beside a rollout, as JSON.

use crate::model::rollout::Phase;
use crate::model::update::{Address, Check, Health, Hook, HookRun};
use crate::plan::{Gate, HookStep, Mark};

use super::node::{Node, object};
use super::progress::webhook_host;

/// What an instance has to show, and what a gate makes of its rollout.
pub(super) fn gate(gate: &Gate) -> Node {
    // What goes when a target has passed stands in the steps that let it go.
    let Gate { fleet, region: _, health, min_ready_ms, bake_ms, most_failures, frees: _, passed, failed } = gate;
    let Health { check, address, interval_ms, threshold, deadline_ms } = health;
    let address = match address {
        Address::Private => "private",
        Address::Public => "public",
    };
    let passed = passed.map(|mark| {
        let Mark { phase, canary_passed } = mark;
        object! { "phase" => phase.word(), "canary_passed" => canary_passed }
    });
    object! {
        "fleet" => fleet.to_string(),
        "check" => check.as_ref().map(checked),
        "address" => address,
        "interval_ms" => *interval_ms,
        "threshold" => *threshold,
        "deadline_ms" => *deadline_ms,
        "min_ready_ms" => *min_ready_ms,
        "bake_ms" => *bake_ms,
        "most_failures" => *most_failures,
        "passed" => passed,
        "failed" => failed.map(Phase::word),
    }
}

fn checked(check: &Check) -> Node {
    match check {
        Check::Tcp { port } => object! { "kind" => "tcp", "port" => u32::from(*port) },
        Check::Http { port, path, status, body } => object! {
            "kind" => "http",
            "port" => u32::from(*port),
            "path" => path,
            "status" => u32::from(*status),
            "body" => body.as_ref(),
        },
    }
}

/// What is run, and when. Of an address only the host is told: the rest may be what lets one in.
pub(super) fn hook(step: &HookStep) -> Node {
    let HookStep { fleet, region: _, moment, hook } = step;
    let Hook { run, timeout_ms } = hook;
    let (command, webhook) = match run {
        HookRun::Command(words) => (Some(Node::list(words)), None),
        HookRun::Webhook(url) => (None, Some(webhook_host(url))),
    };
    object! {
        "fleet" => fleet.to_string(),
        "moment" => moment.word(),
        "command" => command,
        "webhook" => webhook,
        "timeout_ms" => *timeout_ms,
    }
}
