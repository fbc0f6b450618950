//! `images` and `shares`.

use std::collections::BTreeMap;

use super::context::{Context, ImageKind};
use super::language::{self, LATER_IMAGES};
use super::node::Data;
use super::read::{Fields, Value, shown};
use crate::diagnostic::{Diagnostic, Place, Span, codes};
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Capture, Image, InstanceSource, ManagedImage, Ready, Share, Source, Undeclared};
use crate::model::ids::{InstanceId, Name, Region, Uin, Version};

const HOUR_MS: Millis = 3_600_000;
const VERSION_RULE: &str = "a version in quotes: at most 40 letters, digits, `.`, `_` and `-`";

pub(super) fn image(cx: &mut Context<'_>, name: &Name, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::IMAGE)?;
    let (public, captured) = (fields.get("public"), fields.get("from_instance"));
    let later = LATER_IMAGES.iter().any(|kind| fields.key(kind).is_some());
    let misspelt = ["public", "from_instance"].iter().chain(LATER_IMAGES).any(|kind| fields.misspelt(kind));
    if public.is_none() && captured.is_none() && !later && !misspelt {
        cx.tell(
            Diagnostic::error(codes::MISSING_KEY, format!("image `{name}` does not say where it comes from"))
                .at_span(value.key)
                .label("`public` or `from_instance` is missing")
                .help("add `public: { name: … }` or `from_instance: { instance: … }`"),
        );
    }
    if let (Some(public), Some(captured)) = (&public, &captured) {
        cx.tell(
            Diagnostic::error(codes::CONFLICT, format!("image `{name}` comes from two places"))
                .at_span(captured.key)
                .related(Place::Span(public.key), "this says that it is looked up")
                .help("keep one of `public` and `from_instance`"),
        );
    }
    let managed = managed(cx, name, &fields, captured.as_ref(), public.as_ref());
    match public {
        Some(public) => self::public(cx, &public),
        None => managed.map(Image::Managed),
    }
}

fn public(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::PUBLIC)?;
    let name = fields.need("name", "\"Ubuntu Server 22.04 LTS 64bit\"", &mut cx.faults)?;
    let name = cx.faults.shaped(&name, codes::INVALID_VALUE, "the exact name of a public image", |text| {
        !text.trim().is_empty() && text.chars().count() <= 128
    })?;
    Some(Image::Public { name: name.to_owned() })
}

/// What stands beside `from_instance`, and that itself. All of it is read even where it does not belong.
fn managed(
    cx: &mut Context<'_>,
    name: &Name,
    fields: &Fields<'_>,
    captured: Option<&Value<'_>>,
    public: Option<&Value<'_>>,
) -> Option<ManagedImage> {
    if let (Some(_), None) = (public, captured) {
        for key in ["version", "description", "tags", "regions"] {
            let Some(span) = fields.key(key) else { continue };
            cx.tell(
                Diagnostic::error(codes::CONFLICT, format!("a public image takes no `{key}`"))
                    .at_span(span)
                    .why(format!("`{name}` is only looked up: nobody but the cloud can change it"))
                    .help("remove the line"),
            );
        }
    }
    let version = fields
        .get("version")
        .map(|value| cx.faults.shaped(&value, codes::INVALID_VALUE, VERSION_RULE, Version::is_valid).map(Version::new));
    let description = fields.get("description").map(|value| {
        cx.faults
            .shaped(&value, codes::INVALID_VALUE, "at most 256 characters", |text| text.chars().count() <= 256)
            .map(str::to_owned)
    });
    let tags = cx.tags(fields.get("tags"));
    let regions = fields.get("regions").map(|value| regions(cx, &value));
    let (source, power_off, ready, timeout) = from_instance(cx, name, fields, captured?)?;
    Some(ManagedImage {
        source: Source::Capture(Capture { source, power_off, ready, ready_timeout_ms: timeout }),
        name: None,
        family: None,
        keep: 0,
        deprecate_kept: false,
        protect: false,
        version: version.map_or(Some(None), |version| version.map(Some))?,
        description: description.map_or(Some(None), |description| description.map(Some))?,
        tags: tags?,
        regions: regions.map_or(Some(None), |regions| regions.map(Some))?.map(|regions| regions.into_iter().collect()),
    })
}

fn regions(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Region>> {
    let regions = cx.set(value, Context::region);
    if let Data::List(items) = &value.node.data
        && items.is_empty()
    {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, "an image must be in at least one region")
                .help("name a region, or remove the line: the image is then where it is captured"),
        );
        return None;
    }
    regions
}

fn from_instance(
    cx: &mut Context<'_>,
    name: &Name,
    image: &Fields<'_>,
    value: &Value<'_>,
) -> Option<(InstanceSource, bool, Ready, Millis)> {
    let fields = cx.faults.fields(value, &language::FROM_INSTANCE)?;
    let source = fields
        .need("instance", "\"fleet.NAME[0]\"", &mut cx.faults)
        .and_then(|instance| source(cx, name, image, &instance));
    let power_off = fields.get("power_off").map_or(Some(true), |value| cx.faults.boolean(&value));
    let ready = fields.get("ready").map_or(Some(Ready::Running), |value| ready(cx, &value));
    let timeout = match (fields.get("timeout"), ready) {
        (None, Some(Ready::After(after))) => Some(after.max(HOUR_MS)),
        (None, _) => Some(HOUR_MS),
        (Some(value), ready) => duration(cx, &value).filter(|timeout| match ready {
            Some(Ready::After(after)) if after > *timeout => {
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
    };
    Some((source?, power_off?, ready?, timeout?))
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
        return id(cx, value, "ins-").map(|id| InstanceSource::Id(InstanceId::new(id)));
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
    if let Some(count) = cx.index.fleets.get(fleet.as_str()) {
        if let Some(count) = count.filter(|count| slot >= *count) {
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

fn ready(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Ready> {
    if let Data::Map(_) = &value.node.data {
        let fields = cx.faults.fields(value, &language::READY)?;
        let word = ["running", "stopped"].iter().any(|word| value.node.get(word).is_some());
        let after = if word { fields.get("after") } else { fields.need("after", "20m", &mut cx.faults) }?;
        return duration(cx, &after).map(Ready::After);
    }
    cx.faults.word(value, &["running", "stopped"], &[]).map(|word| match word {
        "stopped" => Ready::Stopped,
        _ => Ready::Running,
    })
}

fn duration(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Millis> {
    let rule = "a number and a unit (s, m, h, d), such as `90s` or `1h30m`, up to 30 days";
    if let Data::Scalar(scalar) = &value.node.data
        && scalar.kind == super::node::ScalarKind::Number
    {
        cx.tell(
            value
                .fault(codes::WRONG_TYPE, format!("`{}` has no unit", value.name()))
                .label("seconds, minutes, hours?")
                .help(format!("write {rule}")),
        );
        return None;
    }
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| parse_duration(text).is_some())?;
    parse_duration(text)
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
    (1..=MOST_MS).contains(&total).then_some(total)
}

/// An id of the cloud: a prefix, and eight lower-case letters and digits.
pub(super) fn id<'n>(cx: &mut Context<'_>, value: &Value<'n>, prefix: &str) -> Option<&'n str> {
    let rule = format!("an id: `{prefix}` and eight lower-case letters or digits");
    cx.faults.shaped(value, codes::INVALID_VALUE, &rule, |text| {
        text.strip_prefix(prefix)
            .is_some_and(|tail| tail.len() == 8 && tail.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
    })
}

pub(super) fn share(
    cx: &mut Context<'_>,
    name: &Name,
    value: &Value<'_>,
    shared: &mut BTreeMap<Name, (Name, Span)>,
) -> Option<Share> {
    let fields = cx.faults.fields(value, &language::SHARE)?;
    let image = fields.need("image", "NAME", &mut cx.faults).and_then(|value| {
        let (image, kind) = cx.image_ref(&value, Block::share(name))?;
        if kind == ImageKind::Public {
            cx.tell(
                value
                    .fault(codes::WRONG_KIND, format!("`{image}` is a public image and cannot be shared"))
                    .why("everybody has the public images already; only custom images are shared")
                    .help("name an image with `from_instance`"),
            );
        }
        if let Some((other, span)) = shared.get(&image).filter(|(other, _)| other != name) {
            cx.tell(
                value
                    .fault(codes::SECOND_SHARE, format!("image `{image}` has two shares"))
                    .label("again")
                    .related(Place::Span(*span), format!("share `{other}` is for it already"))
                    .help(format!("put all accounts into share `{other}`")),
            );
        } else {
            shared.insert(image.clone(), (name.clone(), value.node.span));
        }
        Some(image)
    });
    let accounts = fields.need("accounts", "[\"100000000002\"]", &mut cx.faults).and_then(|value| accounts(cx, &value));
    let undeclared = match fields.get("undeclared") {
        None => Some(Undeclared::default()),
        Some(value) => cx.faults.word(&value, &["keep", "cancel"], &[]).map(|word| match word {
            "cancel" => Undeclared::Cancel,
            _ => Undeclared::Keep,
        }),
    };
    Some(Share { image: image?, accounts: accounts?.into_iter().collect(), undeclared: undeclared? })
}

fn accounts(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Uin>> {
    cx.set(value, |cx, item| {
        let account = cx.account(item)?;
        check_account(cx, item, &account);
        Some(account)
    })
}

fn check_account(cx: &mut Context<'_>, value: &Value<'_>, account: &Uin) {
    if cx.cloud.account.as_ref() == Some(account) {
        cx.tell(
            value
                .fault(codes::OWN_ACCOUNT, format!("`{account}` owns the image"))
                .label("this is `cloud.account`")
                .why("an image is shared with other accounts only")
                .help("remove it from the list"),
        );
    } else if account.as_str().starts_with("200000") {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("`{account}` is a sub-account"))
                .why("images are shared with main accounts; all their sub-accounts see them then")
                .help("name its main account"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(parse_duration("90s"), Some(90_000));
        assert_eq!(parse_duration("1h30m"), Some(90 * 60_000));
        assert_eq!(parse_duration("30d"), Some(30 * 24 * HOUR_MS));
        for wrong in ["", "90", "0s", "31d", "1 h", "h", "-1h", "1.5h", "1ms", "9999999999999999999d", "1h٣m"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
