//! Names with placeholders in them: of images (`name`) and of hosts (`hostname`).

use std::collections::BTreeMap;

use super::context::Context;
use super::index::Where;
use super::language::{either, listed, nearest};
use super::read::{Value, cannot_be, shown};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::addr::Kind;
use crate::model::desired::{Capture, Desired, Image, InstanceSource, ManagedImage, Source};
use crate::model::ids::{Name, Version, Zone};
use crate::model::naming::{MAX_NAME_CHARS, image_name as default_name};
use crate::model::spec::HostnamePattern;

const VERSION: &str = "{version}";
/// What a version has that is derived: eight hexadecimal digits.
const DERIVED: &str = "00000000";
/// What a host's name may have (RunInstances.HostName, API text 5.1).
const SHORTEST_HOST: usize = 2;
const LONGEST_HOST: usize = 60;

/// What the text holds in braces that is none of `known`, and a brace without its other half.
fn unknown_placeholders<'t>(text: &'t str, known: &[&str]) -> Vec<&'t str> {
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let found = match (rest[at..].starts_with('{'), rest[at..].find('}')) {
            (true, Some(end)) => &rest[at..=at + end],
            _ => &rest[at..=at],
        };
        if !known.contains(&found) {
            unknown.push(found);
        }
        rest = &rest[at + found.len()..];
    }
    unknown
}

/// Whether all placeholders are known; tells those that are not.
fn placeholders_known(cx: &mut Context<'_>, value: &Value<'_>, text: &str, known: &[&str]) -> bool {
    let unknown = unknown_placeholders(text, known);
    for placeholder in &unknown {
        let fault = value.fault(
            codes::UNKNOWN_PLACEHOLDER,
            format!("`{}` has no placeholder `{}`", value.name(), shown(placeholder)),
        );
        let fault = match nearest(placeholder, known.iter().copied()) {
            Some(near) => fault.label(format!("did you mean `{near}`?")),
            None => fault,
        };
        cx.tell(fault.why("braces stand for what is filled in").help(format!("use {}", either(known.iter().copied()))));
    }
    unknown.is_empty()
}

/// The `name` of an image. `version` is the explicit one.
pub(super) fn image_name(cx: &mut Context<'_>, value: &Value<'_>, version: Option<&Version>) -> Option<String> {
    let text = cx.faults.text(value)?;
    if !placeholders_known(cx, value, text, &[VERSION]) {
        return None;
    }
    let fault = |message: String| value.fault(codes::INVALID_IMAGE_NAME, message);
    if text.is_empty() {
        cx.tell(fault(cannot_be(value, text)).help(format!("for example \"web-{VERSION}\", or remove the line")));
        return None;
    }
    if !text.contains(VERSION) {
        cx.tell(
            fault(format!("there is no `{VERSION}` in `{}`", shown(text)))
                .why("names are unique in a region, and a new version is made while the old one is still there")
                .help(format!("for example \"{}-{VERSION}\"", shown(text))),
        );
        return None;
    }
    let plain = text.replace(VERSION, "");
    if let Some(odd) = plain.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.' | ' ')) {
        let odd = if odd.is_control() { "a control character".to_owned() } else { format!("`{odd}`") };
        cx.tell(
            fault(format!("an image's name cannot have {odd} in it"))
                .help("use letters from a to z, digits, spaces, `-`, `_` and `.`"),
        );
        return None;
    }
    let filled = text.replace(VERSION, version.map_or(DERIVED, Version::as_str));
    if filled.len() > MAX_NAME_CHARS {
        let what = match version {
            Some(version) => format!("with version `{version}`"),
            None => format!("with a derived version, which has {} digits,", DERIVED.len()),
        };
        cx.tell(
            fault(format!("this name would have {} characters", filled.len()))
                .why(format!("{what} it is longer than the {MAX_NAME_CHARS} that the cloud takes"))
                .help("shorten it"),
        );
        return None;
    }
    if filled.trim() != filled {
        cx.tell(fault("an image's name cannot start or end with a space".to_owned()).help("remove the space"));
        return None;
    }
    Some(text.to_owned())
}

/// Tells which images would bear one name in one region.
pub(super) fn same_image_names(cx: &mut Context<'_>, project: &Name, env: &Name, images: &BTreeMap<Name, Image>) {
    let mut taken: BTreeMap<(String, String, String), &Name> = BTreeMap::new();
    let place = |name: &Name, image: &ManagedImage| {
        let path = Desired::path(Kind::Image, name);
        if image.name.is_some() { Place::Value(path.key("name")) } else { Place::Key(path) }
    };
    for (name, image) in images {
        let Some(image) = image.managed() else { continue };
        let version = image.version.clone().unwrap_or_else(|| Version::new(VERSION));
        let filled = match &image.name {
            Some(pattern) => pattern.replace(VERSION, version.as_str()),
            None => default_name(project, env, name, &version, 1),
        };
        // Derived versions are the same where they are derived from the same.
        let derived_from = if image.version.is_some() { String::new() } else { origin(&image.source) };
        let Where::In(regions) = cx.regions_of(name.as_str()) else { continue };
        let mut earlier: BTreeMap<&Name, Vec<String>> = BTreeMap::new();
        for region in regions {
            let key = (region.clone(), filled.clone(), derived_from.clone());
            match taken.get(&key) {
                Some(other) => earlier.entry(*other).or_default().push(region),
                None => taken.extend([(key, name)]),
            }
        }
        for (other, regions) in earlier {
            let mut fault = Diagnostic::error(
                codes::SAME_IMAGE_NAME,
                format!("images `{other}` and `{name}` would both be called `{}`", shown(&filled)),
            )
            .label("the same name")
            .why(format!(
                "both are to be in {}, where a name is borne once",
                listed(regions.iter().map(String::as_str))
            ))
            .help("give one of them another `name`");
            fault.place = Some(place(name, image));
            if let Some(other_image) = images.get(other).and_then(Image::managed) {
                fault = fault.related(place(other, other_image), "taken here");
            }
            cx.tell(fault);
        }
    }
}

/// What a version is derived from: a fleet, a file, another image, or that and what is done to it.
fn origin(source: &Source) -> String {
    match source {
        Source::Capture(Capture { source: InstanceSource::Slot { fleet, .. }, .. }) => fleet.to_string(),
        Source::Capture(capture) => format!("{:?}", capture.source),
        Source::Import(import) => format!("{import:?}"),
        Source::Copy(copy) => format!("{copy:?}"),
        Source::Build(build) => {
            let script = build.user_data.as_ref().map(|secret| secret.digest);
            format!("{} {script:?} {:?} {:?}", build.base, build.system_disk, build.data_disks)
        }
    }
}

/// The `hostname` of a fleet of so many instances in these zones.
pub(super) fn hostname(
    cx: &mut Context<'_>,
    value: &Value<'_>,
    count: Option<u32>,
    zones: Option<&[Zone]>,
) -> Option<HostnamePattern> {
    let text = cx.faults.text(value)?;
    if !placeholders_known(cx, value, text, &[HostnamePattern::ZONE, HostnamePattern::ORDINAL]) {
        return None;
    }
    let pattern = HostnamePattern(text.to_owned());
    let repeats = |message: String| value.fault(codes::SAME_HOSTNAME, message);
    let mut whole = true;
    if let Some(count) = count.filter(|count| *count > 1) {
        if !text.contains(HostnamePattern::ORDINAL) {
            cx.tell(
                repeats(format!("{count} instances would bear the name `{}`", shown(text)))
                    .why(format!("`{}` is an instance's number in its zone", HostnamePattern::ORDINAL))
                    .help(format!("for example \"{}-{}\"", shown(text), HostnamePattern::ORDINAL)),
            );
            whole = false;
        } else if let Some(zones) = zones.filter(|zones| zones.len() > 1)
            && !text.contains(HostnamePattern::ZONE)
        {
            cx.tell(
                repeats("instances of different zones would bear the same name".to_owned())
                    .why(format!("`{}` counts in each of the {} zones anew", HostnamePattern::ORDINAL, zones.len()))
                    .help(format!("put `{}` into it, which is the last part of a zone's name", HostnamePattern::ZONE)),
            );
            whole = false;
        }
    }
    let longest = longest(&pattern, count, zones);
    if let Some(reason) = host_fault(&longest) {
        let fault = value.fault(codes::INVALID_HOSTNAME, format!("`{}` cannot be a host's name", shown(text)));
        let fault = if longest == text { fault } else { fault.why(format!("filled in it is `{longest}`")) };
        cx.tell(
            fault.why(reason).help(
                "write 2 to 60 letters, digits, `-` and `.`, the last two neither at an end nor beside each other",
            ),
        );
        whole = false;
    }
    whole.then_some(pattern)
}

/// The longest name that the pattern can come to.
fn longest(pattern: &HostnamePattern, count: Option<u32>, zones: Option<&[Zone]>) -> String {
    let ordinal = count.unwrap_or(1).max(1);
    let zone = zones.into_iter().flatten().max_by_key(|zone| zone.tail().len());
    match zone {
        Some(zone) => pattern.of(zone, ordinal),
        None => pattern.of(&Zone::new("1"), ordinal),
    }
}

/// Why a text cannot be the name of a host, where it cannot (API text 5.1).
fn host_fault(name: &str) -> Option<String> {
    let sign = |c: char| matches!(c, '.' | '-');
    if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !sign(*c)) {
        return Some(match odd {
            odd if odd.is_control() => "there is a control character in it".to_owned(),
            odd => format!("there is `{odd}` in it"),
        });
    }
    if !(SHORTEST_HOST..=LONGEST_HOST).contains(&name.len()) {
        return Some(match name.len() {
            0 => "it is empty".to_owned(),
            1 => "it has one character only".to_owned(),
            many => format!("it has {many} characters"),
        });
    }
    if name.starts_with(sign) || name.ends_with(sign) {
        return Some("it starts or ends with `.` or `-`".to_owned());
    }
    name.as_bytes()
        .windows(2)
        .any(|pair| pair.iter().all(|byte| matches!(byte, b'.' | b'-')))
        .then(|| "two of `.` and `-` stand beside each other".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_with_their_braces() {
        let unknown = |text| unknown_placeholders(text, &["{zone}", "{ordinal}"]);
        assert!(unknown("web-{zone}-{ordinal}").is_empty());
        assert_eq!(unknown("{R:1}-{zone}{}"), ["{R:1}", "{}"]);
        assert_eq!(unknown("a{zone"), ["{"]);
        assert_eq!(unknown("a}b{网}"), ["}", "{网}"]);
        assert_eq!(unknown("{{zone}}"), ["{{zone}", "}"]);
    }

    #[test]
    fn hosts_have_names_by_the_rules_of_the_cloud() {
        for name in ["web-3-1", "a1", "a.b-c.d", "1a", &"a".repeat(60)] {
            assert_eq!(host_fault(name), None, "{name}");
        }
        for name in ["", "a", "-ab", "ab.", "a--b", "a..b", "a.-b", "a_b", "a b", "网站", &"a".repeat(61)] {
            assert!(host_fault(name).is_some(), "{name}");
        }
    }
}
