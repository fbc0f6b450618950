//! What is under way, as a small table at the foot of a terminal.

use crate::model::Millis;

use super::live::{Group, LiveState, Totals};
use super::live_rollout::LiveRollout;
use super::progress;
use super::style::{Ink, Line, Page, Style, clean, display_width};
use super::words;

/// The most lines of the table.
pub const MAX_LINES: usize = 10;
/// Terminals that are narrower see one line.
const LEAST_TABLE: usize = 40;
/// Narrower tables do without the names of actions, whose signs stay, and without the time that they take as a rule.
const LEAST_ACTIONS: usize = 72;
const GAP: usize = 2;
/// The way of a rollout is told where at least so much of it fits.
const LEAST_WAY: usize = 16;

/// The table: no line is wider than the style's width, and there are at most `most_lines` of them, the last one with
/// the totals.
#[must_use]
pub fn live(state: &LiveState, now_ms: Millis, style: Style, most_lines: usize) -> Vec<String> {
    let width = style.width;
    let mut lines: Vec<Line> = Vec::new();
    let most_lines = most_lines.clamp(1, MAX_LINES);
    if width >= LEAST_TABLE && most_lines > 1 {
        let waits = state.wait(now_ms).map(|(why, until_ms)| {
            let text = format!(" waiting for another {}: {why}", words::span(until_ms - now_ms));
            Line::new().add(Ink::Look, "…").text(fit(&text, width - 1))
        });
        let room = most_lines - 1 - usize::from(waits.is_some());
        let rolled = rollouts(state, now_ms, width, room);
        let room = room - rolled.len();
        lines.extend(rolled);
        let groups = state.groups();
        let shown = if groups.len() > room { room.saturating_sub(1) } else { groups.len() };
        let more = groups.len() - shown;
        let rows: Vec<Row> = groups.take(shown).map(|group| Row::of(group, now_ms, width)).collect();
        lines.extend(table(&rows, width));
        if more > 0 && room > 0 {
            lines.push(Line::new().add(Ink::Faint, format!("… and {more} more")));
        }
        lines.extend(waits);
    }
    lines.push(totals(state, now_ms, width));
    let mut page = Page::new(style);
    lines.iter().for_each(|line| page.raw(0, line));
    page.finish().lines().map(str::to_owned).collect()
}

/// Fleets that are rolled out: as many lines of each as there is room for, so that something is left for what is done to
/// them.
fn rollouts(state: &LiveState, now_ms: Millis, width: usize, room: usize) -> Vec<Line> {
    const LEAST_ROWS: usize = 2;
    let all: Vec<Vec<Line>> = state.rollouts.iter().map(|rollout| rolled(state, rollout, now_ms, width)).collect();
    let room = room.saturating_sub(LEAST_ROWS);
    let most = (1..=3).rev().find(|most| all.iter().map(|lines| lines.len().min(*most)).sum::<usize>() <= room);
    let all = all.into_iter().flat_map(|lines| lines.into_iter().take(most.unwrap_or(1)));
    all.take(room).collect()
}

fn rolled(state: &LiveState, rollout: &LiveRollout, now_ms: Millis, width: usize) -> Vec<Line> {
    const INDENT: &str = "  ";
    let fleet = clean(&rollout.fleet.to_string());
    let standing = rollout.standing();
    let left = width.saturating_sub(2 + display_width(&fleet) + GAP + GAP + display_width(&standing));
    // Where it leads matters less than how far it is.
    let way = if left >= display_width(&rollout.way).min(LEAST_WAY) { fit(&rollout.way, left) } else { String::new() };
    let gap = if way.is_empty() { "" } else { INDENT };
    let first = format!(" {fleet}{INDENT}{way}{gap}{standing}");
    let first = Line::new().add(Ink::Change, "~").add(Ink::Strong, fit(&first, width.saturating_sub(1)));
    let mut parts: Vec<String> = rollout.health(now_ms).into_iter().collect();
    if let Some(left) = state.block_left_ms(now_ms, &rollout.fleet).filter(|_| rollout.goes_on()) {
        parts.push(format!("about {} left", words::span((left + 999) / 1000 * 1000)));
    }
    let whole = rollout.by_zone(false);
    let by_zone = if display_width(&whole) + INDENT.len() > width { rollout.by_zone(true) } else { whole };
    let rest = [parts.join(" · "), by_zone].into_iter().filter(|text| !text.is_empty());
    let rest = rest.map(|text| Line::new().add(Ink::Faint, fit(&format!("{INDENT}{text}"), width)));
    std::iter::once(first).chain(rest).collect()
}

/// How far something is, beyond how long it takes: `7 of 20`, `40 %`, `again in 3 s`.
pub(super) fn how_far(group: &Group, now_ms: Millis) -> Option<String> {
    let mut parts = Vec::new();
    if group.targets > 1 {
        parts.push(format!("{} of {}", group.done, group.targets));
    }
    if group.failed > 0 {
        parts.push(format!("{} failed", group.failed));
    }
    parts.extend(group.percent.map(|percent| format!("{percent} %")));
    if let Some((attempt, at_ms)) = group.again {
        parts.push(if at_ms > now_ms {
            format!("attempt {attempt} in {}", words::span(at_ms - now_ms))
        } else {
            format!("attempt {attempt}")
        });
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

struct Row {
    sign: (Ink, &'static str),
    what: String,
    action: String,
    far: String,
    time: String,
}

impl Row {
    fn of(group: &Group, now_ms: Millis, width: usize) -> Self {
        let action = progress::kind(group.word());
        let elapsed = words::clock(now_ms - group.since_ms);
        let time = if group.expected_ms > 0 && width >= LEAST_ACTIONS {
            format!("{elapsed} of ~{}", words::clock(group.expected_ms + 999))
        } else {
            elapsed
        };
        Self {
            sign: (words::ink(action), action.sign()),
            what: clean(group.what()),
            action: clean(&group.action()),
            far: how_far(group, now_ms).unwrap_or_default(),
            time,
        }
    }
}

fn table(rows: &[Row], width: usize) -> Vec<Line> {
    let widest = |text: &dyn Fn(&Row) -> &String| rows.iter().map(|row| display_width(text(row))).max().unwrap_or(0);
    let (sign, time) = (2, widest(&|row| &row.time));
    let (what, action, far) = (widest(&|row| &row.what), widest(&|row| &row.action), widest(&|row| &row.far));
    let gap = |column: usize| if column > 0 { column + GAP } else { 0 };
    // How far it is matters more than its whole name, and that more than the action, which the sign tells too.
    let left = width.saturating_sub(sign + gap(time));
    let far = far.min(left * 3 / 5);
    let left = left.saturating_sub(gap(far));
    let action = match left.checked_sub(gap(what)) {
        _ if width < LEAST_ACTIONS => 0,
        Some(rest) => action.min(rest.max(left / 3).saturating_sub(GAP)),
        None => action.min((left / 3).saturating_sub(GAP)),
    };
    let what = what.min(left.saturating_sub(gap(action)));
    rows.iter()
        .map(|row| {
            let mut line = Line::new().add(row.sign.0, row.sign.1).text(" ".repeat(sign - display_width(row.sign.1)));
            line.push(Ink::Plain, pad(&row.what, what));
            for (text, column) in [(&row.action, action), (&row.far, far), (&row.time, time)] {
                if column > 0 {
                    line.push(Ink::Plain, " ".repeat(GAP));
                    line.push(Ink::Faint, pad(text, column));
                }
            }
            line
        })
        .collect()
}

fn totals(state: &LiveState, now_ms: Millis, width: usize) -> Line {
    let Totals { targets, done, failed, skipped, under_way, calls, calls_planned } = state.totals;
    let clock = words::clock(now_ms - state.started_ms);
    if !state.planned {
        let text = match state.groups().len() {
            0 => format!("recovering · {clock}"),
            _ => format!("recovering what an interrupted run left open · {clock}"),
        };
        return Line::new().add(Ink::Strong, fit(&text, width));
    }
    let tally = format!("{done} of {targets} done");
    let mut bad = String::new();
    for (count, word) in [(failed, "failed"), (skipped, "skipped")] {
        if count > 0 {
            bad.push_str(&format!(", {count} {word}"));
        }
    }
    let mut rest = String::new();
    for (count, word) in [(under_way, "under way"), (state.totals.waiting(), "waiting")] {
        if count > 0 {
            rest.push_str(&format!(", {count} {word}"));
        }
    }
    let made = match calls_planned {
        0 => String::new(),
        // A batch that was refused for one of its targets goes on as several.
        planned if calls > planned => format!(" · {calls} calls made"),
        planned => format!(" · {calls} of {} made", words::plural(planned, "call")),
    };
    let left = match (state.stopping, state.left_ms(now_ms)) {
        (Some(0), _) => " · stopping".to_owned(),
        (Some(calls), _) => format!(" · stopping, {} awaited", words::plural(calls, "answer")),
        (None, Some(left)) => format!(" · about {} left", words::span((left + 999) / 1000 * 1000)),
        (None, None) => String::new(),
    };
    let clock = format!(" · {clock}");
    // What tells the least goes first where there is no room.
    let [none, rest, made] = [&String::new(), &rest, &made];
    let ways = [(rest, made), (none, made), (none, none)];
    let fits = ways.iter().map(|(rest, made)| (tally.clone(), bad.clone(), format!("{rest}{made}{clock}{left}")));
    let short = [
        (tally.clone(), bad.clone(), clock.clone()),
        (format!("{done}/{targets}"), bad.clone(), clock.clone()),
        (format!("{done}/{targets}"), String::new(), clock.clone()),
    ];
    let ways: Vec<_> = fits.chain(short).collect();
    let wide = |(a, b, c): &(String, String, String)| display_width(a) + display_width(b) + display_width(c);
    let best = ways.iter().find(|way| wide(way) <= width);
    match best {
        Some((tally, bad, rest)) => Line::new().add(Ink::Strong, tally).add(Ink::Lose, bad).add(Ink::Plain, rest),
        None => Line::new().add(Ink::Strong, fit(&format!("{done}/{targets}"), width)),
    }
}

/// The text, cut where it is wider than that.
fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if display_width(&text) <= width {
        return text;
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let more = display_width(c.encode_utf8(&mut [0; 4]));
        if used + more + 1 > width {
            break;
        }
        used += more;
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

fn pad(text: &str, width: usize) -> String {
    let mut text = fit(text, width);
    text.push_str(&" ".repeat(width.saturating_sub(display_width(&text))));
    text
}
