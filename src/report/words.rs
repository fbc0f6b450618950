//! Plain words for actions, reasons and values.

use crate::model::Millis;
use crate::model::addr::{Addr, Kind};
use crate::model::observed::OperationState;
use crate::plan::{Action, Reason, Value};

use super::style::{Ink, STICKY};

/// How an action's sign is coloured.
pub(super) fn ink(action: Action) -> Ink {
    match action {
        Action::Delete | Action::Replace | Action::Swap | Action::Reset => Ink::Lose,
        Action::Create => Ink::Add,
        Action::Update => Ink::Change,
        Action::Forget => Ink::Faint,
        Action::Learn | Action::Await => Ink::Look,
    }
}

/// What the legend says of a sign.
pub(super) fn legend(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "change in place",
        Action::Reset => "reset: format the system disk",
        Action::Replace => "destroy, then create anew",
        Action::Swap => "create anew, then destroy",
        Action::Delete => "destroy",
        Action::Forget => "only forget",
        Action::Learn => "only learn",
        Action::Await => "wait for",
    }
}

/// What will happen, to one thing or to several.
pub(super) fn will(action: Action) -> &'static str {
    match action {
        Action::Create => "will be created",
        Action::Update => "will be changed in place",
        Action::Reset => "will be reset, the system disk formatted",
        Action::Replace => "will be destroyed, then created anew",
        Action::Swap => "will be created anew, then destroyed",
        Action::Delete => "will be destroyed",
        Action::Forget => "will be forgotten, in the state only",
        Action::Learn => "the state will learn it",
        Action::Await => "will be waited for",
    }
}

/// A clause that says why, of one thing or of several.
pub(super) fn reason(reason: &Reason) -> String {
    match reason {
        Reason::New => "new in the config".to_owned(),
        Reason::ScaledUp { from, to } => format!("the fleet grows from {from} to {to}"),
        Reason::ScaledDown { from, to } => format!("the fleet shrinks from {from} to {to}"),
        Reason::Vanished => "deleted outside".to_owned(),
        Reason::RecycleBin { since_ms, stays_ms } => recycle_bin(*since_ms, *stays_ms),
        Reason::NotListed => "the cloud accepted it a moment ago, and does not list it yet".to_owned(),
        Reason::Moved { from, to } => format!("the config no longer has {from}, so it moves to {to}"),
        Reason::Changed { attrs } => of("the config changed", attrs),
        Reason::Drifted { attrs } => of("changed outside", attrs),
        Reason::NewVersion { inputs } => of("the image has a new version", inputs),
        Reason::Recaptured => "all copies of this version were deleted outside, so it is captured anew".to_owned(),
        Reason::CopiedBack { from } => format!("deleted outside, and copied back from {from}"),
        Reason::NotInConfig => "no longer in the config".to_owned(),
        Reason::OldVersion => "a newer version takes its place".to_owned(),
        Reason::RegionDropped => "the config no longer has the image in this region".to_owned(),
        Reason::Requested => "asked for by --replace".to_owned(),
        Reason::Destroy => "everything is destroyed, as asked".to_owned(),
        Reason::CreationFailed => "its creation failed".to_owned(),
        Reason::ImageGoes => "the image is destroyed".to_owned(),
        Reason::UnderWay => "the cloud is not done with it yet".to_owned(),
        Reason::Undeclared => "added by somebody else, and cancelled as asked".to_owned(),
        Reason::ResetFailed => "the last reset failed".to_owned(),
        Reason::OnTrial => "a rollout has still to see that it is healthy; --replace makes it anew".to_owned(),
        Reason::TakenBack => "its rollout is taken back".to_owned(),
        Reason::Succeeded => "another instance of its slot takes its place".to_owned(),
        Reason::Already => "the cloud stays as it is, and only the state learns it".to_owned(),
        Reason::Halted => "shut down by a run that was interrupted".to_owned(),
        Reason::Builds => "the image is made of it, and then it goes".to_owned(),
        Reason::BuildOver => "a builder is there only while its image is made".to_owned(),
        Reason::BuildFailed => "its build failed, and it was kept to be looked at".to_owned(),
    }
}

/// How an operation of the cloud went.
pub(super) fn operation_state(state: OperationState) -> &'static str {
    match state {
        OperationState::Success => "success",
        OperationState::Operating => "operating",
        OperationState::Failed => "failed",
        OperationState::Unknown => "unknown",
    }
}

/// The word of a reason in JSON.
pub(super) fn reason_word(reason: &Reason) -> &'static str {
    match reason {
        Reason::New => "new",
        Reason::ScaledUp { .. } => "scaled_up",
        Reason::ScaledDown { .. } => "scaled_down",
        Reason::Vanished => "vanished",
        Reason::RecycleBin { .. } => "recycle_bin",
        Reason::NotListed => "not_listed",
        Reason::Moved { .. } => "moved",
        Reason::Changed { .. } => "changed",
        Reason::Drifted { .. } => "drifted",
        Reason::NewVersion { .. } => "new_version",
        Reason::Recaptured => "recaptured",
        Reason::CopiedBack { .. } => "copied_back",
        Reason::NotInConfig => "not_in_config",
        Reason::OldVersion => "old_version",
        Reason::RegionDropped => "region_dropped",
        Reason::Requested => "requested",
        Reason::Destroy => "destroy",
        Reason::CreationFailed => "creation_failed",
        Reason::ImageGoes => "image_goes",
        Reason::UnderWay => "under_way",
        Reason::Undeclared => "undeclared",
        Reason::ResetFailed => "reset_failed",
        Reason::OnTrial => "on_trial",
        Reason::TakenBack => "taken_back",
        Reason::Succeeded => "succeeded",
        Reason::Already => "already",
        Reason::Halted => "halted",
        Reason::Builds => "builds",
        Reason::BuildOver => "build_over",
        Reason::BuildFailed => "build_failed",
    }
}

fn recycle_bin(since_ms: Option<Millis>, stays_ms: Millis) -> String {
    match since_ms {
        Some(since) => format!(
            "in the recycle bin since {}; it can be taken back in the console until {}",
            time(since),
            time(since + stays_ms)
        ),
        None => format!(
            "in the recycle bin, where it stays for {} at most; it can be taken back in the console",
            days(stays_ms)
        ),
    }
}

/// How long something stays, where that is days.
fn days(ms: Millis) -> String {
    const DAY_MS: Millis = 24 * 3_600_000;
    if ms > 0 && ms % DAY_MS == 0 { format!("{} days", ms / DAY_MS) } else { span(ms) }
}

fn of(clause: &str, attrs: &[String]) -> String {
    if attrs.is_empty() { clause.to_owned() } else { format!("{clause} ({})", attrs.join(", ")) }
}

/// A value on one line.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::None => "(none)".to_owned(),
        Value::Text(text) if text.is_empty() => "(empty)".to_owned(),
        Value::Text(text) => text.trim_end_matches('\n').replace('\n', " ⏎ "),
        Value::List(items) if items.is_empty() => "(none)".to_owned(),
        Value::List(items) => items.join(", "),
        Value::Secret { source, digest } => secret(source, digest),
        Value::Unknown { step: _, target: _, addr } => format!("{addr}{STICKY}(new)"),
    }
}

fn secret(source: &str, digest: &str) -> String {
    const DIGITS: usize = 8;
    let digits: String = digest.chars().take(DIGITS).collect();
    let place = match source.strip_prefix("config: ") {
        Some(path) => format!("config {path}"),
        None if source.starts_with("file ") => source.to_owned(),
        None => format!("file {source}"),
    };
    format!("{place} (digest{STICKY}{digits})")
}

/// `count` of what an address stands for: `18 instances`.
pub(super) fn counted(addr: &Addr, count: usize) -> String {
    let noun = match addr.block.kind {
        Kind::Image if addr.is_builder() => "builder",
        Kind::Fleet => "instance",
        Kind::Image => "image",
        Kind::Share => "share",
    };
    plural(count, noun)
}

/// `1 image`, `2 images`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A point in time, in UTC, to the second.
pub(super) fn time(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

/// A point in time, in UTC, to the minute; for tables whose title names the zone.
pub(super) fn minute(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

/// A point in time as RFC 3339, for programs.
pub(super) fn rfc3339(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_string(),
        Err(_) => ms.to_string(),
    }
}

/// The same, always with milliseconds.
pub(super) fn rfc3339_ms(ms: Millis) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// A day, and a time of it, in UTC: `2026-11-23`, `12:00:07Z`.
pub(super) fn day_and_time(ms: Millis) -> (String, String) {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => (time.strftime("%Y-%m-%d").to_string(), time.strftime("%H:%M:%SZ").to_string()),
        Err(_) => (String::new(), format!("{ms} ms")),
    }
}

/// How long, as a clock shows it: `00:12`, `1:02:03`.
pub(super) fn clock(ms: Millis) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// How long: `350 ms`, `2.5 s`, `1 min 5 s`, `2 h 3 min`.
pub(super) fn span(ms: Millis) -> String {
    const SECOND: Millis = 1000;
    const MINUTE: Millis = 60 * SECOND;
    const HOUR: Millis = 60 * MINUTE;
    let with = |whole: String, rest: Millis, unit: &str| match rest {
        0 => whole,
        rest => format!("{whole} {rest} {unit}"),
    };
    match ms.max(0) {
        ms if ms < SECOND => format!("{ms} ms"),
        ms if ms < 10 * SECOND => match ms % SECOND / 100 {
            0 => format!("{} s", ms / SECOND),
            tenths => format!("{}.{tenths} s", ms / SECOND),
        },
        ms if ms < MINUTE => format!("{} s", ms / SECOND),
        ms if ms < HOUR => with(format!("{} min", ms / MINUTE), ms % MINUTE / SECOND, "s"),
        ms => with(format!("{} h", ms / HOUR), ms % HOUR / MINUTE, "min"),
    }
}

/// How long ago something was: `10 s ago`.
pub(super) fn ago(ms: Millis) -> String {
    if ms < 1000 { "just now".to_owned() } else { format!("{} ago", span(ms / 1000 * 1000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (ms, text) in [
            (-5, "0 ms"),
            (350, "350 ms"),
            (2500, "2.5 s"),
            (3000, "3 s"),
            (29_900, "29 s"),
            (65_000, "1 min 5 s"),
            (600_000, "10 min"),
            (7_380_000, "2 h 3 min"),
        ] {
            assert_eq!(span(ms), text);
        }
        for (ms, text) in [(-5, "just now"), (999, "just now"), (2500, "2 s ago"), (65_400, "1 min 5 s ago")] {
            assert_eq!(ago(ms), text);
        }
    }

    #[test]
    fn values_are_told_apart_from_their_absence() {
        assert_eq!(value(&Value::Text(String::new())), "(empty)");
        assert_eq!(value(&Value::List(vec![])), "(none)");
        let secret = |source: &str| {
            value(&Value::Secret { source: source.into(), digest: "3f9a1c02deadbeef".into() }).replace(STICKY, " ")
        };
        assert_eq!(secret("provision.sh"), "file provision.sh (digest 3f9a1c02)");
        assert_eq!(secret("config: fleets.web.user_data"), "config fleets.web.user_data (digest 3f9a1c02)");
    }
}
