//! The lock of a state, shown.

use crate::model::Millis;
use crate::store::{Fence, Holder, Lease};

use super::node::{Node, object};
use super::plan_json::number;
use super::style::{Ink, Line, Page, Style};
use super::words;

/// What `format` says in the JSON of a lock.
pub const FORMAT: &str = "fleetwright-lock/1";

const HANG: usize = 2;

/// Who holds the lock, since when, and how long it holds without being renewed.
#[must_use]
pub fn text(lease: &Lease, now_ms: Millis, style: Style) -> String {
    let Lease { holder: Holder { who, host, pid, started: _ }, since_ms, until_ms, fence: Fence(fence) } = lease;
    let mut page = Page::new(style);
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "The lock is held").text(format!(" by {who} on {host}:")));
    let left = until_ms - now_ms;
    let lease = if left > 0 {
        format!("{} left; renewed while the run goes on", words::span(left))
    } else {
        format!("ended {} ago; the next apply takes the lock over by itself", words::span(-left))
    };
    let since = format!("{}, {} ago", words::time(*since_ms), words::span(now_ms - since_ms));
    for (name, text) in [("process", pid.to_string()), ("since", since), ("lease", lease), ("fence", fence.to_string())]
    {
        page.wrap(HANG, HANG + "process: ".len(), &Line::new().text(format!("{:<9}{text}", format!("{name}:"))));
    }
    page.finish()
}

/// Who holds a lock that is waited for, and how long that goes on.
#[must_use]
pub fn waiting(lease: &Lease, now_ms: Millis, until_ms: Millis, style: Style) -> String {
    let Lease { holder: Holder { who, host, pid, started: _ }, since_ms, until_ms: lease_ms, fence: _ } = lease;
    let mut page = Page::new(style);
    let held = format!(
        " for up to {}: {who} on {host} (process {pid}) holds it since {}; its lease ends in {} unless it is renewed",
        words::span(until_ms - now_ms),
        words::time(*since_ms),
        words::span((lease_ms - now_ms).max(0)),
    );
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Waiting for the lock").text(held));
    page.finish()
}

/// The lock as JSON, and whether it was broken just now.
#[must_use]
pub fn json(lease: Option<&Lease>, broken: bool) -> String {
    let held = lease.map(|lease| {
        let Lease { holder: Holder { who, host, pid, started: _ }, since_ms, until_ms, fence: Fence(fence) } = lease;
        object! {
            "who" => who,
            "host" => host,
            "process" => *pid,
            "since" => words::rfc3339(*since_ms),
            "lease_until" => words::rfc3339(*until_ms),
            "fence" => number(*fence),
        }
    });
    object! { "format" => FORMAT, "held_by" => held.unwrap_or(Node::Null), "broken" => broken }.pretty()
}
