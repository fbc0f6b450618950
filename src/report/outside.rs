//! What was changed outside, for people: below a plan, or alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::addr::{Addr, Block};
use crate::model::observed::LatestOperation;
use crate::plan::{Drift, Handling, PRESENCE, Plan, Value};

use super::fold;
use super::plan_text::{HANG, LIST_INDENT, transition, whole};
use super::style::{Ink, Line, Page, Style};
use super::words;

/// The most lines of drift; it may be as long as the fleet.
const MAX_DRIFT_LINES: usize = 20;

/// What was changed outside, for somebody who only wants to know that; `plan_it` and `learn_it` are the commands that go on.
#[must_use]
pub fn outside(plan: &Plan, [plan_it, learn_it]: [&str; 2], style: Style) -> String {
    let mut page = Page::new(style);
    drift(&mut page, &plan.drift, false);
    page.gap();
    let things: BTreeSet<&Addr> = plan.drift.iter().map(|drift| &drift.addr).collect();
    if things.is_empty() {
        page.plain("Nothing was changed outside.");
    } else {
        let what = if things.len() == 1 { "thing" } else { "things" };
        let line = Line::new().add(Ink::Strong, "Drift:").text(format!(" {} {what} changed outside.", things.len()));
        page.wrap(0, HANG, &line);
        for (what, command) in
            [("to see what the config makes of it:", plan_it), ("to let the state learn it:", learn_it)]
        {
            page.wrap(LIST_INDENT, HANG, &Line::new().text(what).text(" ").text(whole(command)));
        }
    }
    page.finish()
}

/// What makes two drifts one line.
type Alike<'a> = (&'a Block, &'a str, &'a Value, &'a Value, Handling, Option<(&'a str, &'static str)>);

/// Everything that somebody else changed, with what is done about it.
pub(super) fn drift(page: &mut Page, drift: &[Drift], handled: bool) {
    if drift.is_empty() {
        return;
    }
    page.gap();
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Changed outside:"));
    let mut alike: BTreeMap<Alike<'_>, Vec<(&Addr, Option<&LatestOperation>)>> = BTreeMap::new();
    for Drift { addr, attr, recorded, observed, handling, by } in drift {
        let who = by.as_ref().map(|by| (by.name.as_str(), words::operation_state(by.state)));
        let key = (&addr.block, attr.as_str(), recorded, observed, *handling, who);
        alike.entry(key).or_default().push((addr, by.as_ref()));
    }
    let mut lines: Vec<(&Addr, Line)> = alike
        .into_iter()
        .filter_map(|((_, attr, recorded, observed, handling, who), things)| {
            let addrs = fold::addrs(things.iter().map(|(addr, _)| *addr)).join(", ");
            let room = page.style().columns().saturating_sub(LIST_INDENT);
            let (mut line, done) = if attr == PRESENCE {
                let line = Line::new().text(format!("{addrs}  ")).add(Ink::Change, words::value(observed));
                let done = match handling {
                    Handling::Repaired => "made again",
                    Handling::Left | Handling::Learnt => "forgotten",
                };
                (line, done)
            } else {
                let label = Line::new().text(format!("{addrs}  {attr}: "));
                let line = transition(label, recorded, observed, ["lost", "got"], room);
                let done = match handling {
                    Handling::Repaired => "repaired",
                    Handling::Left => "left as it is",
                    Handling::Learnt => "learnt",
                };
                (line, done)
            };
            if handled {
                line.push(Ink::Plain, format!("; {done}"));
            }
            let first = things.first()?;
            if let Some((name, state)) = who {
                // Each instance has a request of its own.
                let request = first.1.and_then(|by| by.request_id.as_ref()).filter(|_| things.len() == 1);
                let request = request.map_or_else(String::new, |id| format!(", request {id}"));
                let state = if state == "success" { String::new() } else { format!(", {state}") };
                line.push(Ink::Faint, format!(" (its last operation: {name}{state}{request})"));
            }
            Some((first.0, line))
        })
        .collect();
    lines.sort_by_key(|(addr, _)| *addr);
    for (_, line) in lines.iter().take(MAX_DRIFT_LINES) {
        page.wrap(LIST_INDENT, LIST_INDENT + HANG, line);
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_DRIFT_LINES) {
        page.wrap(
            LIST_INDENT,
            LIST_INDENT + HANG,
            &Line::new().text(format!("… and {more} more; --json has them all")),
        );
    }
}
