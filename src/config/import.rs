//! `import`: an image that is made from a file in the object store (API text 4.10, 8.7).

use super::context::{Context, unlisted};
use super::language;
use super::read::{Fields, Value, cannot_be, shown};
use crate::diagnostic::{Place, Span, codes};
use crate::model::catalog;
use crate::model::spec::{Architecture, BootMode, ImportSource, License};

/// What a file may be, by the end of its name (API text 8.7).
const FORMATS: [&str; 5] = ["qcow2", "raw", "vhd", "vmdk", "iso"];
const LONGEST_URL: usize = 1024;
const LONGEST_SYSTEM: usize = 60;
/// The parameters by which a URL bears a signature, or the key that made it; in lower case.
const SIGNATURES: [&str; 8] = [
    "sign",
    "signature",
    "q-signature",
    "q-ak",
    "x-amz-signature",
    "x-amz-credential",
    "x-cos-security-token",
    "token",
];

pub(super) fn import(cx: &mut Context<'_>, value: &Value<'_>) -> Option<ImportSource> {
    let fields = cx.faults.fields(value, &language::IMPORT)?;
    let example = "\"https://BUCKET.cos.ap-guangzhou.myqcloud.com/disk.qcow2\"";
    let force = fields.get("force").map_or(Some(false), |value| cx.faults.boolean(&value));
    let url = fields.need("url", example, &mut cx.faults).and_then(|value| url(cx, &fields, &value, force));
    let os = fields.need("os", "CentOS", &mut cx.faults).and_then(|value| {
        let system = system(cx, &value, "the name of a system, such as `CentOS`")?;
        if !catalog::IMPORT_SYSTEMS.contains(&system.as_str()) {
            let all = catalog::IMPORT_SYSTEMS.iter().copied();
            cx.tell(unlisted(&value, codes::UNKNOWN_SYSTEM, "system", &system, all));
        }
        Some(system)
    });
    let os_version = fields
        .need("os_version", "\"7\"", &mut cx.faults)
        .and_then(|value| system(cx, &value, "the version of the system in quotes, such as \"7\""));
    let architecture = fields.need("architecture", "x86_64", &mut cx.faults).and_then(|value| {
        let word = cx.faults.word(&value, &Architecture::ALL.map(Architecture::word), &[])?;
        Architecture::ALL.into_iter().find(|architecture| architecture.word() == word)
    });
    let boot_mode = fields.get("boot_mode").map_or(Some(None), |value| {
        let word = cx.faults.word(&value, &BootMode::ALL.map(BootMode::word), &[])?;
        Some(BootMode::ALL.into_iter().find(|mode| mode.word() == word))
    });
    let license = fields.get("license").map_or(Some(None), |value| {
        let word = cx.faults.word(&value, &License::ALL.map(License::word), &[])?;
        Some(License::ALL.into_iter().find(|license| license.word() == word))
    });
    Some(ImportSource {
        url: url?,
        os: os?,
        os_version: os_version?,
        architecture: architecture?,
        boot_mode: boot_mode?,
        force: force?,
        license: license?,
    })
}

fn system(cx: &mut Context<'_>, value: &Value<'_>, rule: &str) -> Option<String> {
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| {
        !text.trim().is_empty() && text.chars().count() <= LONGEST_SYSTEM && !text.contains(char::is_control)
    })?;
    Some(text.to_owned())
}

fn url(cx: &mut Context<'_>, import: &Fields<'_>, value: &Value<'_>, force: Option<bool>) -> Option<String> {
    let text = cx.faults.text(value)?;
    let whole = text.split_once('#').map_or(text, |(whole, _)| whole);
    let (place, query) = whole.split_once('?').unwrap_or((whole, ""));
    if let Some(secret) = secret_of(place, query) {
        // The line that a message shows would hold the secret.
        cx.unshown.push(Span { start: value.node.span.start, ..value.node.span });
        cx.tell(
            value
                .fault(codes::SIGNED_URL, format!("there is {secret} in this URL"))
                .label("not shown here")
                .why("whoever reads it can fetch the file, and a config is read by many; besides, it expires")
                .why("the service can be allowed to read the bucket itself")
                .help("write the plain URL of the file, and take the one with the secret out of the history too"),
        );
        return None;
    }
    let rest = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://"));
    let Some(rest) = rest else {
        let fault = value.fault(codes::INVALID_VALUE, cannot_be(value, place));
        cx.tell(
            fault
                .why("the cloud fetches the file itself, by https or http")
                .help("put the file into a bucket, and write the URL that it has there: https://…"),
        );
        return None;
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host_fits = host.split(':').next().is_some_and(|name| {
        name.contains('.')
            && name.split('.').all(|part| !part.is_empty())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    });
    if !host_fits {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("there is no host in `{}`", shown(place)))
                .help("write the whole URL, such as https://BUCKET.cos.ap-guangzhou.myqcloud.com/disk.qcow2"),
        );
        return None;
    }
    let file = path.rsplit('/').next().unwrap_or_default();
    if file.is_empty() || text.len() > LONGEST_URL || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let reason = match file {
            "" => "no file is named in it",
            _ if text.len() > LONGEST_URL => "it is longer than 1024 bytes",
            _ => "there is white space in it",
        };
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, cannot_be(value, place))
                .why(reason)
                .help("write the URL of one file, with spaces as %20"),
        );
        return None;
    }
    format(cx, import, value, file, force);
    Some(text.to_owned())
}

/// What makes a URL a secret, where something does.
fn secret_of(place: &str, query: &str) -> Option<&'static str> {
    let authority = place.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    if authority.contains('@') {
        return Some("a login");
    }
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    query.split('&').any(|pair| SIGNATURES.contains(&name(pair).as_str())).then_some("a signature")
}

fn format(cx: &mut Context<'_>, import: &Fields<'_>, value: &Value<'_>, file: &str, force: Option<bool>) {
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    if ending == "iso" && force == Some(false) && !import.misspelt("force") {
        let mut fault = value
            .fault(codes::CONFLICT, "an ISO file is only imported with `force: true`")
            .why("the cloud looks for cloud-init in what it imports, and there is none in an ISO file")
            .help("add `force: true`, or import a QCOW2, RAW, VHD or VMDK file");
        if let Some(force) = import.get("force") {
            fault = fault.related(Place::Span(force.node.span), "this says otherwise");
        }
        cx.tell(fault);
    }
    if !FORMATS.contains(&ending.as_str()) {
        let fault = value.warning(codes::UNKNOWN_FORMAT, format!("`{}` does not look like an image", shown(file)));
        cx.tell(
            fault
                .why(format!("the cloud imports files in the formats {}", language::listed(FORMATS)))
                .help("look at the name, or go on if the file is in one of them all the same"),
        );
    }
}

/// Puts asterisks in the place of stretches that no message may show, so that all else stays where it is.
pub(super) fn hide(text: &mut String, spans: impl Iterator<Item = Span>) {
    let mut bytes = std::mem::take(text).into_bytes();
    for span in spans {
        for byte in bytes.iter_mut().take(span.end).skip(span.start).filter(|byte| !byte.is_ascii_whitespace()) {
            *byte = b'*';
        }
    }
    *text = String::from_utf8(bytes).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_found_wherever_they_are() {
        for (url, secret) in [
            ("https://h.example/x.raw", None),
            ("https://h.example/x.raw?versionId=7&download", None),
            ("https://h.example/sign=1/x.raw", None),
            ("https://h.example/x.raw?a=1&Q-Signature=f00", Some("a signature")),
            ("ftp://h.example/x.raw?sign", Some("a signature")),
            ("https://me:secret@h.example/x.raw", Some("a login")),
            ("https://h.example/a@b.raw", None),
        ] {
            let (place, query) = url.split_once('?').unwrap_or((url, ""));
            assert_eq!(secret_of(place, query), secret, "{url}");
        }
    }

    #[test]
    fn what_is_hidden_keeps_its_place() {
        let mut text = "a: \"x网y\" # b\n".to_owned();
        let length = text.len();
        hide(&mut text, [Span { file: 0, start: 3, end: 10 }].into_iter());
        assert_eq!((text.as_str(), text.len()), ("a: ******* # b\n", length));
        hide(&mut text, std::iter::empty());
        assert_eq!(text.len(), length);
    }
}
