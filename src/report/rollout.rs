//! Rollouts: how far they are, and what came of what somebody said to one.

use crate::model::Millis;
use crate::model::rollout::{Phase, Rollout, ZoneTally};
use crate::model::spec::ImageUse;
use crate::store::{Lease, PauseWish};

use super::node::{Node, object};
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of rollouts.
pub const FORMAT: &str = "fleetwright-rollouts/1";

const INDENT: usize = 2;
/// The longest label and the space behind it.
const LABELS: usize = "pause asked:".len() + 1;

/// A rollout, and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its row.
    pub row: &'a Rollout,
    /// How many slots are how far, by zone.
    pub zones: &'a [ZoneTally],
    /// Who wishes that it pause, where that is not heeded yet.
    pub wish: Option<&'a PauseWish>,
    /// Who holds the lock.
    pub lease: Option<&'a Lease>,
    /// Whether it could be taken back, as far as the state knows.
    pub way_back: bool,
}

/// What came of what somebody said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The rollout is so from now on.
    Changed,
    /// It was so before.
    Already,
    /// Whoever holds the lock will heed it.
    Wished,
}

/// What somebody said to a rollout, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// What: `pause`, `resume`, `promote`, `abort` or `rollback`.
    pub word: &'static str,
    /// What came of it.
    pub heard: Heard,
    /// The run of the history.
    pub run: Option<i64>,
}

/// A rollout among other things of a state, where it is not over: one line.
pub(super) fn in_short(page: &mut Page, row: &Rollout) {
    let (ink, is) = match row.phase {
        Phase::Done => return,
        Phase::Running => (Ink::Look, "is under way"),
        Phase::Paused => (Ink::Change, "is paused"),
        Phase::Stopped => (Ink::Lose, "was stopped"),
        Phase::Aborted => (Ink::Lose, "was aborted"),
        Phase::TakenBack => (Ink::Lose, "was taken back"),
    };
    let line = Line::new().text(format!("The rollout of {} over {} ", row.to, row.block)).add(ink, is);
    page.wrap(0, INDENT, &if row.why.is_empty() { line.text(".") } else { line.text(format!(": {}.", row.why)) });
}

/// Each rollout with its slots, and what to type next; `command` completes a command.
#[must_use]
pub fn text(told: &[Told<'_>], command: &dyn Fn(&str) -> String, now_ms: Millis, style: Style) -> String {
    let mut page = Page::new(style);
    if told.is_empty() {
        page.plain(
            "There are no rollouts: since the fleets are there, no change was rolled out over them that takes new disks or \
             new instances.",
        );
    }
    for told in told {
        page.gap();
        one(&mut page, told, command, now_ms);
    }
    page.finish()
}

/// The version behind an image's name, or the image itself.
fn from(row: &Rollout) -> Option<&ImageUse> {
    row.before().map(|before| &before.image)
}

fn one(page: &mut Page, told: &Told<'_>, command: &dyn Fn(&str) -> String, now_ms: Millis) {
    let Told { row, zones, wish, lease: _, way_back: _ } = *told;
    let Rollout {
        block,
        target: _,
        to,
        before: _,
        phase,
        canary_passed,
        promoted,
        failed: _,
        why,
        started_ms,
        changed_ms,
    } = row;
    let (ink, state) = state(row, zones);
    let head = Line::new().add(Ink::Strong, block.to_string()).text(": ").add(ink, state);
    page.wrap(0, INDENT, &head);
    let mut field = |label: &str, text: String| {
        let label = format!("{:<LABELS$}", format!("{label}:"));
        page.wrap(INDENT, INDENT + LABELS, &Line::new().text(label + &text));
    };
    if let Some(from) = from(row) {
        field("from", from.to_string());
    }
    field("to", to.to_string());
    field("started", words::time(*started_ms));
    if changed_ms != started_ms {
        field("since", format!("{}, {}", words::time(*changed_ms), words::ago(now_ms.saturating_sub(*changed_ms))));
    }
    if !why.is_empty() {
        field("why", why.clone());
    }
    if *canary_passed && matches!(phase, Phase::Running | Phase::Paused) {
        field("canary", "passed".to_owned());
    }
    if *promoted && *phase == Phase::Running {
        field("promoted", "it goes on to its end without another pause".to_owned());
    }
    if let Some(PauseWish { block: _, who, host, asked_ms }) = wish {
        let text = format!("by {who} on {host}, {}; it waits at its next gate", words::time(*asked_ms));
        field("pause asked", text);
    }
    if !zones.is_empty() {
        page.gap();
        let rows = table_of(row, zones, page.style());
        page.verbatim(&rows);
    }
    page.gap();
    for line in next(told, command) {
        page.wrap(INDENT, 2 * INDENT, &Line::new().text(line));
    }
}

fn state(row: &Rollout, zones: &[ZoneTally]) -> (Ink, String) {
    let all: u32 = zones.iter().map(|zone| zone.at_target + zone.on_trial + zone.failed + zone.left).sum();
    let there: u32 = zones.iter().map(|zone| zone.at_target).sum();
    let back: u32 = zones.iter().map(|zone| zone.left).sum();
    match row.phase {
        Phase::Running => (Ink::Look, format!("under way, {there} of {all} slots are there")),
        Phase::Paused => (Ink::Change, format!("paused, {there} of {all} slots are there")),
        Phase::Done => (Ink::Add, "done".to_owned()),
        Phase::Stopped => (Ink::Lose, format!("stopped, {there} of {all} slots are there")),
        Phase::Aborted => (Ink::Lose, format!("aborted, {there} of {all} slots are there")),
        Phase::TakenBack if back < all => {
            (Ink::Change, format!("goes back, {back} of {all} slots run what ran before"))
        }
        Phase::TakenBack => (Ink::Lose, format!("taken back, {back} of {all} slots run what ran before")),
    }
}

fn table_of(row: &Rollout, zones: &[ZoneTally], style: Style) -> String {
    const ON: [Column; 5] = [
        Column::whole("ZONE"),
        Column::whole("THERE"),
        Column::whole("ON TRIAL"),
        Column::whole("FAILED"),
        Column::whole("LEFT"),
    ];
    const BACK: [Column; 3] = [Column::whole("ZONE"), Column::whole("BACK"), Column::whole("TO GO BACK")];
    let back = row.phase == Phase::TakenBack;
    let cells = |ZoneTally { zone, at_target, on_trial, failed, left }: &ZoneTally| {
        let zone = zone.as_ref().map_or_else(|| "(none yet)".to_owned(), ToString::to_string);
        if back {
            vec![zone, left.to_string(), (at_target + on_trial + failed).to_string()]
        } else {
            vec![zone, at_target.to_string(), on_trial.to_string(), failed.to_string(), left.to_string()]
        }
    };
    let rows: Vec<Vec<String>> = zones.iter().map(cells).collect();
    let narrow = Style { width: style.width.saturating_sub(INDENT), ..style };
    let text = table(if back { &BACK } else { &ON }, &rows, narrow);
    text.lines().map(|line| format!("{:INDENT$}{line}\n", "")).collect()
}

/// What to type next, one thing a line.
fn next(told: &Told<'_>, command: &dyn Fn(&str) -> String) -> Vec<String> {
    let Told { row, zones, wish, lease, way_back } = *told;
    let name = &row.block.name;
    let verb = |verb: &str| command(&format!("rollout {verb} {name}"));
    let retry = format!("to roll the same out once more: {}", command(&format!("apply --retry={}", row.block)));
    let back = way_back.then(|| format!("to go back to what ran before: {}", verb("rollback")));
    let resume = format!("to go on: {}", verb("resume"));
    let promote = format!("to go on to its end, without another pause: {}", verb("promote"));
    let mut lines = match row.phase {
        Phase::Running => match lease {
            Some(lease) => {
                let holder = &lease.holder;
                let (who, host, pid) = (&holder.who, &holder.host, holder.pid);
                let mut lines =
                    vec![format!("{who} on {host} (process {pid}) has the lock, and may be carrying it out")];
                if wish.is_none() {
                    lines.push(format!("to have it wait: {}", verb("pause")));
                }
                return lines;
            }
            None => vec![format!("nobody is carrying it out; {resume}")],
        },
        Phase::Paused => vec![resume, promote],
        Phase::Done => {
            let failed = row.failed.iter().next().filter(|_| zones.iter().any(|zone| zone.failed > 0));
            let anew = |slot: &u32| command(&format!("apply --replace={}[{slot}]", row.block));
            failed.map(|slot| format!("to have what failed made anew: {}", anew(slot))).into_iter().collect()
        }
        Phase::Stopped | Phase::Aborted => vec![resume],
        Phase::TakenBack if zones.iter().any(|zone| zone.at_target + zone.on_trial + zone.failed > 0) => {
            vec![format!("to carry that out: {}", command("apply")), retry]
        }
        Phase::TakenBack => vec!["the same is not rolled out again by itself".to_owned(), retry],
    };
    if row.phase != Phase::TakenBack {
        lines.extend(back);
    }
    lines
}

/// What came of what somebody said to the rollout of a fleet.
#[must_use]
pub fn said(
    said: &Said,
    row: &Rollout,
    lease: Option<&Lease>,
    command: &dyn Fn(&str) -> String,
    style: Style,
) -> String {
    let Said { word, heard, run } = said;
    let block = &row.block;
    let mut page = Page::new(style);
    let run = run.map_or(String::new(), |run| format!(" (run {run})"));
    let is = becomes(row);
    page.plain(&match (heard, lease) {
        (Heard::Changed, _) => format!("The rollout of {block} {is}{run}."),
        (Heard::Already, _) => format!("Nothing was changed: the rollout of {block} {is} already."),
        (Heard::Wished, Some(lease)) => format!(
            "{} on {} (process {}) is carrying the rollout of {block} out, and lets it {word} at its next gate. Where that run \
             ends before, it is paused then.",
            lease.holder.who, lease.holder.host, lease.holder.pid
        ),
        (Heard::Wished, None) => format!("The rollout of {block} will {word} at its next gate."),
    });
    let verb = |verb: &str| command(&format!("rollout {verb} {}", block.name));
    let next = match row.phase {
        Phase::Running if *heard == Heard::Wished => Some(format!("To see how far it is: {}", verb("status"))),
        Phase::Running | Phase::TakenBack => Some(format!("To carry that out: {}", command("apply"))),
        Phase::Paused | Phase::Aborted => Some(format!("To go on: {}", verb("resume"))),
        Phase::Done | Phase::Stopped => None,
    };
    if let Some(next) = next {
        page.plain(&next);
    }
    page.finish()
}

fn becomes(row: &Rollout) -> String {
    match row.phase {
        Phase::Running if row.promoted => "goes on to its end with the next apply".to_owned(),
        Phase::Running => "goes on with the next apply".to_owned(),
        Phase::Paused => "is paused".to_owned(),
        Phase::Done => "is done".to_owned(),
        Phase::Stopped => "is stopped".to_owned(),
        Phase::Aborted => "is aborted: what changed stays, and what did not stays as well".to_owned(),
        Phase::TakenBack => "is taken back with the next apply".to_owned(),
    }
}

/// A rollout that failed, of a fleet of so many, and goes back.
#[must_use]
pub fn going_back(row: &Rollout, count: u32) -> String {
    let failed = row.failed.len();
    let what = match from(row) {
        Some(image) => format!("going back to {image}"),
        None => "going back to what ran before".to_owned(),
    };
    format!("{}: {failed} of {count} failed; {what}", row.block)
}

/// Rollouts as JSON; `said` is what somebody said to the one that there is then.
#[must_use]
pub fn json(told: &[Told<'_>], said: Option<&Said>) -> String {
    let node = object! { "format" => FORMAT };
    let node = match said {
        None => node,
        Some(Said { word, heard, run }) => {
            let heard = match heard {
                Heard::Changed => "changed",
                Heard::Already => "already",
                Heard::Wished => "wished",
            };
            node.with("said", *word).with("heard", heard).with("run", run.map(Node::Number))
        }
    };
    node.with("rollouts", Node::list(told.iter().map(rollout))).pretty()
}

fn rollout(told: &Told<'_>) -> Node {
    let Told { row, zones, wish, lease, way_back } = *told;
    let zones = zones.iter().map(|ZoneTally { zone, at_target, on_trial, failed, left }| {
        object! {
            "zone" => Node::maybe(zone.as_ref()),
            "at_target" => *at_target,
            "on_trial" => *on_trial,
            "failed" => *failed,
            "left" => *left,
        }
    });
    row_json(row)
        .with("zones", Node::list(zones))
        .with(
            "pause_asked",
            wish.map(|PauseWish { block: _, who, host, asked_ms }| {
                object! { "who" => who, "host" => host, "since" => words::rfc3339(*asked_ms) }
            }),
        )
        .with(
            "locked_by",
            lease.map(|lease| {
                object! {
                    "who" => &lease.holder.who, "host" => &lease.holder.host, "process" => lease.holder.pid,
                }
            }),
        )
        .with("way_back", way_back)
}

/// The row of a rollout as JSON.
pub(super) fn row_json(row: &Rollout) -> Node {
    let Rollout { block, target, to, before: _, phase, canary_passed, promoted, failed, why, started_ms, changed_ms } =
        row;
    object! {
        "address" => block.to_string(),
        "phase" => phase.word(),
        "from" => Node::maybe(from(row)),
        "to" => to.to_string(),
        "target" => target.to_string(),
        "canary_passed" => *canary_passed,
        "promoted" => *promoted,
        "failed" => Node::list(failed.iter().copied()),
        "why" => why,
        "started" => words::rfc3339(*started_ms),
        "changed" => words::rfc3339(*changed_ms),
    }
}
