//! `images`: which kind of image a block is, and what can be said of every custom image.

use super::context::Context;
use super::language::{self, OURS_ONLY, SOURCES, either};
use super::node::Data;
use super::read::{Fields, Value};
use super::{build, capture, copy, import, index, names, received};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::desired::{Image, ManagedImage, Source, Tags};
use crate::model::ids::{Name, Region, Version};

const VERSION_RULE: &str = "a version in quotes: at most 40 letters, digits, `.`, `_` and `-`";
/// Far more than any region holds: what really fits is the planner's business, who knows the quota.
const MOST_KEPT: u32 = 1000;
/// The longest family. Its format is not documented (API text 8.4); this is what is sure to be taken.
const LONGEST_FAMILY: usize = 60;

pub(super) fn image(cx: &mut Context<'_>, name: &Name, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::IMAGE)?;
    let mut sources: Vec<(&str, Value<'_>)> =
        SOURCES.into_iter().filter_map(|key| fields.get(key).map(|value| (key, value))).collect();
    sources.sort_by_key(|(_, value)| value.key);
    check_sources(cx, name, value, &fields, &sources);
    let received = |key: &str| matches!(key, "public" | "shared" | "marketplace");
    if let [(key, _)] = sources.as_slice()
        && received(key)
    {
        let promoted = cx.index.images.get(name.as_str()).is_some_and(|facts| facts.kind == index::ImageKind::Promoted);
        not_ours(cx, name, &fields, if promoted { "promoted" } else { key });
    }
    // All of it is read even where it does not belong, so that its own faults are told as well.
    let about = about(cx, name, &fields);
    let mut images: Vec<Option<Image>> = Vec::new();
    for (key, value) in &sources {
        let source = match *key {
            "public" => {
                images.push(received::public(cx, value));
                continue;
            }
            "shared" => {
                images.push(received::shared(cx, value));
                continue;
            }
            "marketplace" => {
                images.push(received::marketplace(cx, value));
                continue;
            }
            "from_instance" => capture::from_instance(cx, name, &fields, value).map(Source::Capture),
            "import" => import::import(cx, value).map(Source::Import),
            "build" => build::build(cx, name, &fields, value).map(|build| Source::Build(Box::new(build))),
            _ => copy::copy(cx, name, &fields, value).map(Source::Copy),
        };
        images.push(source.and_then(|source| Some(Image::Managed(about.clone()?.with(source)))));
    }
    match images.len() {
        1 => images.pop().flatten(),
        _ => None,
    }
}

/// One source, and only one.
fn check_sources(
    cx: &mut Context<'_>,
    name: &Name,
    value: &Value<'_>,
    fields: &Fields<'_>,
    sources: &[(&str, Value<'_>)],
) {
    match sources {
        [] => {
            if !SOURCES.iter().any(|key| fields.misspelt(key)) {
                cx.tell(
                    Diagnostic::error(codes::MISSING_KEY, format!("image `{name}` does not say where it comes from"))
                        .at_span(value.key)
                        .label(format!("one of {} is missing", either(SOURCES)))
                        .help("to look an image up add `public: { name: … }`, to make one `build: { base: … }`"),
                );
            }
        }
        [_] => {}
        [(first, at), rest @ ..] => {
            for (key, value) in rest {
                cx.tell(
                    Diagnostic::error(codes::CONFLICT, format!("image `{name}` comes from two places"))
                        .at_span(value.key)
                        .label(format!("from here, says `{key}`"))
                        .related(Place::Span(at.key), format!("from here, says `{first}`"))
                        .help(format!("keep one of `{first}` and `{key}`")),
                );
            }
        }
    }
}

/// What is looked up belongs to somebody else.
fn not_ours(cx: &mut Context<'_>, name: &Name, fields: &Fields<'_>, kind: &str) {
    for key in OURS_ONLY {
        let Some(span) = fields.key(key) else { continue };
        let fault = Diagnostic::error(codes::NOT_OURS, format!("a {kind} image takes no `{key}`")).at_span(span);
        let fault =
            match (kind, key) {
                ("public", "regions") => fault.why(format!("`{name}` is looked up in each region where it is needed")),
                ("shared", "regions") => fault
                    .why("a shared image stays in the region in which it is shared, which is that of `cloud`")
                    .help(format!("make a copy of your own, `copy: {{ image: {name} }}`, and give that one `regions`")),
                ("promoted", "regions") => fault
                    .why(format!("`{name}` is wherever the environment that made it has it"))
                    .help("add the region to the `regions` of the image in the config of that environment"),
                ("promoted", _) => fault
                    .why(format!("`{name}` is only looked up: nobody but the environment that made it can change it")),
                (_, "regions") => fault
                    .why("a marketplace image stays in the region in which it has this id, which is that of `cloud`"),
                ("public", _) => fault.why(format!("`{name}` is only looked up: nobody but the cloud can change it")),
                _ => fault.why(format!("`{name}` is only looked up: nobody but its owner can change it")),
            };
        cx.tell(if fault.help.is_none() { fault.help("remove the line") } else { fault });
    }
}

/// What stands beside the source of a custom image.
#[derive(Clone)]
struct About {
    version: Option<Version>,
    name: Option<String>,
    family: Option<String>,
    keep: u32,
    deprecate_kept: bool,
    share_kept: bool,
    revoke: Vec<Version>,
    protect: bool,
    description: Option<String>,
    tags: Tags,
    regions: Option<Vec<Region>>,
}

impl About {
    fn with(self, source: Source) -> ManagedImage {
        let Self {
            version,
            name,
            family,
            keep,
            deprecate_kept,
            share_kept,
            revoke,
            protect,
            description,
            tags,
            regions,
        } = self;
        ManagedImage {
            source,
            name,
            family,
            keep,
            deprecate_kept,
            share_kept,
            revoke: revoke.into_iter().collect(),
            protect,
            version,
            description,
            tags,
            regions: regions.map(|regions| regions.into_iter().collect()),
        }
    }
}

fn about(cx: &mut Context<'_>, name: &Name, fields: &Fields<'_>) -> Option<About> {
    let version = fields.get("version").map_or(Some(None), |value| {
        let text = cx.faults.shaped(&value, codes::INVALID_VALUE, VERSION_RULE, Version::is_valid)?;
        Some(Some(Version::new(text)))
    });
    // Where no source is named, `name` may well be that of a public image; what is missing is told already.
    let pattern = fields.get("name").filter(|_| SOURCES.iter().any(|key| fields.key(key).is_some()));
    let pattern =
        pattern.map_or(Some(None), |value| names::image_name(cx, &value, version.clone().flatten().as_ref()).map(Some));
    let family = fields.get("family").map_or(Some(None), |value| family(cx, &value).map(Some));
    let keep = fields.get("keep").map_or(Some(0), |value| cx.faults.number(&value, 0, MOST_KEPT));
    let deprecate_kept = of_kept(cx, fields, keep, "deprecate_kept", "marked as deprecated");
    let share_kept = of_kept(cx, fields, keep, "share_kept", "shared");
    let revoke = fields.get("revoke").map_or(Some(Vec::new()), |value| {
        cx.set(&value, |cx, item| {
            cx.faults.shaped(item, codes::INVALID_VALUE, VERSION_RULE, Version::is_valid).map(Version::new)
        })
    });
    let protect = fields.get("protect").map_or(Some(false), |value| cx.faults.boolean(&value));
    let description = fields.get("description").map_or(Some(None), |value| {
        let rule = "at most 256 characters";
        let text = cx.faults.shaped(&value, codes::INVALID_VALUE, rule, |text| text.chars().count() <= 256)?.to_owned();
        Some(Some(text))
    });
    let tags = cx.tags(fields.get("tags"));
    let regions = fields.get("regions").map_or(Some(None), |value| regions(cx, name, &value).map(Some));
    Some(About {
        version: version?,
        name: pattern?,
        family: family?,
        keep: keep?,
        deprecate_kept: deprecate_kept?,
        share_kept: share_kept?,
        revoke: revoke?,
        protect: protect?,
        description: description?,
        tags: tags?,
        regions: regions?,
    })
}

/// A wish about older versions that stay; `what` it would make of them.
fn of_kept(cx: &mut Context<'_>, fields: &Fields<'_>, keep: Option<u32>, key: &str, what: &str) -> Option<bool> {
    let Some(value) = fields.get(key) else { return Some(false) };
    let wanted = cx.faults.boolean(&value)?;
    if wanted && keep == Some(0) && !fields.misspelt("keep") {
        let mut fault = value
            .fault(codes::CONFLICT, format!("no older version is kept that could be {what}"))
            .why("`keep` says how many older versions stay; silent, it is 0")
            .help(format!("add `keep: 1` or more, or remove `{key}`"));
        if let Some(keep) = fields.get("keep") {
            fault = fault.related(Place::Span(keep.node.span), "none stays");
        }
        cx.tell(fault);
    }
    Some(wanted)
}

fn family(cx: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let rule = format!("at most {LONGEST_FAMILY} letters, digits, `.`, `_` and `-`, the first of them a letter");
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, &rule, |text| {
        text.len() <= LONGEST_FAMILY
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    })?;
    Some(text.to_owned())
}

fn regions(cx: &mut Context<'_>, name: &Name, value: &Value<'_>) -> Option<Vec<Region>> {
    let regions = cx.set(value, Context::region)?;
    let Data::List(items) = &value.node.data else { return None };
    if items.is_empty() {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, "an image must be in at least one region")
                .help("name a region, or remove the line: the image is then where it is made"),
        );
        return None;
    }
    if regions.len() < items.len() {
        return None;
    }
    let ours = cx.index.images.get(name.as_str()).is_some_and(|facts| facts.kind.is_ours());
    if let Some(home) = cx.home(name.as_str()).filter(|_| ours)
        && !regions.iter().any(|region| region.as_str() == home)
    {
        cx.tell(
            value
                .fault(codes::CONFLICT, format!("image `{name}` is made in `{home}`, which is not among its regions"))
                .why("an image is always there where it is made; copies in other regions are made from it")
                .help(format!("add `{home}` to `regions`")),
        );
    }
    Some(regions)
}
