//! `from_instance`: an image that is captured from a machine.

use super::context::Context;
use super::language;
use super::node::{Data, ScalarKind};
use super::read::{Fields, Value, shown};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Capture, InstanceSource, Ready};
use crate::model::ids::{InstanceId, Name};

const HOUR_MS: Millis = 3_600_000;

/// `image` is the block around it.
pub(super) fn from_instance(
    cx: &mut Context<'_>,
    name: &Name,
    image: &Fields<'_>,
    value: &Value<'_>,
) -> Option<Capture> {
    let fields = cx.faults.fields(value, &language::FROM_INSTANCE)?;
    let source = fields
        .need("instance", "\"fleet.NAME[0]\"", &mut cx.faults)
        .and_then(|instance| source(cx, name, image, &instance));
    let power_off = fields.get("power_off").map_or(Some(true), |value| cx.faults.boolean(&value));
    let ready = fields.get("ready").map_or(Some(Ready::Running), |value| ready(cx, &value));
    let timeout = timeout(cx, &fields, ready.as_ref());
    Some(Capture { source: source?, power_off: power_off?, ready: ready?, ready_timeout_ms: timeout? })
}

/// `timeout`, which is not over before what is waited for.
pub(super) fn timeout(cx: &mut Context<'_>, fields: &Fields<'_>, ready: Option<&Ready>) -> Option<Millis> {
    match (fields.get("timeout"), ready) {
        (None, Some(Ready::After(after))) => Some((*after).max(HOUR_MS)),
        (None, _) => Some(HOUR_MS),
        (Some(value), ready) => duration(cx, &value).filter(|timeout| match ready {
            Some(Ready::After(after)) if after > timeout => {
                cx.tell(
                    value
                        .fault(codes::CONFLICT, "the timeout ends before the instance is ready")
                        .why("`ready` is only reached after a longer time than that")
                        .help("make `timeout` at least as long as `ready: { after: … }`"),
                );
                false
            }
            _ => true,
        }),
    }
}

fn source(cx: &mut Context<'_>, name: &Name, image: &Fields<'_>, value: &Value<'_>) -> Option<InstanceSource> {
    let text = cx.faults.text(value)?;
    if text.starts_with("ins-") {
        if image.key("version").is_none() && !image.misspelt("version") {
            cx.tell(
                value
                    .fault(codes::MISSING_VERSION, format!("image `{name}` needs a `version`"))
                    .label("a machine made by hand")
                    .why("what was done to it by hand is not in the config, so no version can be derived")
                    .help("add `version: \"1\"` beside `from_instance`, and change it to capture anew"),
            );
        }
        return cx.id(value, "ins-").map(|id| InstanceSource::Id(InstanceId::new(id)));
    }
    let slot = text.parse::<Addr>().ok().and_then(|addr| match addr {
        Addr { block, slot: Some(slot), version: None, part: None, generation: None }
            if block.kind == Kind::Fleet && block.modules.is_empty() && block.key.is_none() =>
        {
            Some((block.name, slot))
        }
        _ => None,
    });
    let Some((fleet, slot)) = slot else {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("`{}` names no instance", shown(text)))
                .why("an image is captured from one slot of a fleet, or from a machine made by hand")
                .help("write \"fleet.NAME[N]\" with N from 0, or an id such as ins-r8hr2upy"),
        );
        return None;
    };
    // A fleet that is not in the config may have been, and the image may be captured already: the planner knows.
    if let Some(facts) = cx.index.fleets.get(fleet.as_str()) {
        if let Some(count) = facts.count.filter(|count| slot >= *count) {
            let slots = match count {
                0 => "it has no slots".to_owned(),
                1 => "its only slot is [0]".to_owned(),
                count => format!("its slots are [0] to [{}]", count - 1),
            };
            cx.tell(
                value
                    .fault(codes::UNKNOWN_REFERENCE, format!("fleet `{fleet}` has no slot [{slot}]"))
                    .why(format!("`count` is {count}: {slots}"))
                    .help("name another slot, or raise the fleet's `count`"),
            );
        }
        cx.edge(Block::image(name), Block::fleet(&fleet), value.node.span);
    }
    Some(InstanceSource::Slot { fleet, slot })
}

pub(super) fn ready(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Ready> {
    if let Data::Map(_) = &value.node.data {
        let fields = cx.faults.fields(value, &language::READY)?;
        if let (Some(after), Some(tag)) = (fields.key("after"), fields.key("tag")) {
            cx.tell(
                Diagnostic::error(codes::CONFLICT, "`after` and `tag` exclude each other")
                    .at_span(tag)
                    .related(Place::Span(after), "and this")
                    .help("keep one of the two"),
            );
            return None;
        }
        if let Some(value) = fields.get("tag") {
            return tag(cx, &value);
        }
        let word = ["running", "stopped"].iter().any(|word| value.node.get(word).is_some());
        let after = if word || fields.misspelt("tag") {
            fields.get("after")
        } else {
            fields.need("after", "20m", &mut cx.faults)
        }?;
        return duration(cx, &after).map(Ready::After);
    }
    cx.faults.word(value, &["running", "stopped"], &[]).map(|word| match word {
        "stopped" => Ready::Stopped,
        _ => Ready::Running,
    })
}

/// One tag: `{ KEY: VALUE }`, or `"KEY=VALUE"`.
fn tag(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Ready> {
    if let Data::Map(_) = &value.node.data {
        let pairs = value.node.pairs().len();
        let faults = cx.faults.list.len();
        let tags = cx.tags(Some(value.clone()))?;
        if pairs > 1 {
            cx.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("one tag is waited for, and these are {pairs}"))
                    .help("name one of them, and set it last"),
            );
            return None;
        }
        // A key that cannot be one is told already.
        let whole = cx.faults.list.len() == faults;
        return tags.into_iter().next().filter(|_| whole).map(|(key, value)| Ready::Tag { key, value });
    }
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, "a tag: `{ KEY: VALUE }`, or \"KEY=VALUE\"", |text| {
        text.split_once('=').is_some_and(|(key, value)| Context::can_be_tag(key, value))
    })?;
    text.split_once('=').map(|(key, value)| Ready::Tag { key: key.to_owned(), value: value.to_owned() })
}

/// A span of time that may be none at all, such as `0s`.
pub(super) fn maybe_none(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Millis> {
    at_least(cx, value, 0)
}

/// A span of time, at least a second.
pub(super) fn duration(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Millis> {
    at_least(cx, value, 1)
}

fn at_least(cx: &mut Context<'_>, value: &Value<'_>, least_ms: Millis) -> Option<Millis> {
    let rule = "a number and a unit (s, m, h, d), such as `90s` or `1h30m`, up to 30 days";
    if let Data::Scalar(scalar) = &value.node.data
        && scalar.kind == ScalarKind::Number
    {
        cx.tell(
            value
                .fault(codes::WRONG_TYPE, format!("`{}` has no unit", value.name()))
                .label("seconds, minutes, hours?")
                .help(format!("write {rule}")),
        );
        return None;
    }
    let parsed = |text: &str| parse_duration(text).filter(|ms| *ms >= least_ms);
    parsed(cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| parsed(text).is_some())?)
}

fn parse_duration(text: &str) -> Option<Millis> {
    const MOST_MS: Millis = 30 * 24 * HOUR_MS;
    let (mut total, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: Millis = rest[..digits].parse().ok()?;
        let mut after = rest[digits..].chars();
        let unit = match after.next()? {
            's' => 1000,
            'm' => 60_000,
            'h' => HOUR_MS,
            'd' => 24 * HOUR_MS,
            _ => return None,
        };
        total = number.checked_mul(unit)?.checked_add(total)?;
        rest = after.as_str();
    }
    (total <= MOST_MS && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(parse_duration("90s"), Some(90_000));
        assert_eq!(parse_duration("1h30m"), Some(90 * 60_000));
        assert_eq!(parse_duration("30d"), Some(30 * 24 * HOUR_MS));
        assert_eq!(parse_duration("0s"), Some(0));
        for wrong in ["", "90", "31d", "1 h", "h", "-1h", "1.5h", "1ms", "9999999999999999999d", "1h٣m"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
