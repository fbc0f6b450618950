//! `user_data`: a secret, so that only its digest and where it is read from go on.

use super::context::Context;
use super::language;
use super::read::{Fields, Value, shown};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::digest::{SecretRef, SecretSource};

const MOST_BYTES: usize = 16 * 1024;

pub(super) fn user_data(cx: &mut Context<'_>, value: &Value<'_>) -> Option<SecretRef> {
    let fields = cx.faults.fields(value, &language::USER_DATA)?;
    let (file, text) = (fields.get("file"), fields.get("text"));
    match (&file, &text) {
        (Some(file), Some(text)) => cx.tell(
            Diagnostic::error(codes::CONFLICT, "`file` and `text` exclude each other")
                .at_span(text.key)
                .related(Place::Span(file.key), "and this")
                .help("keep one of the two"),
        ),
        (None, None) => missing_user_data(cx, value, &fields),
        (Some(_), None) | (None, Some(_)) => {}
    }
    let from_file = file.and_then(|value| {
        let (path, bytes) = read_file(cx, &value)?;
        secret(cx, &value, SecretSource::File(path), bytes)
    });
    let from_text = text.and_then(|value| {
        let bytes = cx.faults.text(&value)?.as_bytes().to_vec();
        secret(cx, &value, SecretSource::Config(value.path.to_string()), bytes)
    });
    from_file.or(from_text)
}

/// The reference to a secret of these bytes, if they are fit to be user data.
fn secret(cx: &mut Context<'_>, value: &Value<'_>, source: SecretSource, bytes: Vec<u8>) -> Option<SecretRef> {
    if bytes.is_empty() {
        cx.tell(
            value.fault(codes::INVALID_VALUE, "this user data is empty").help("write a script, or remove `user_data`"),
        );
        return None;
    }
    if bytes.len() > MOST_BYTES {
        cx.tell(
            value
                .fault(codes::USER_DATA_TOO_LARGE, format!("this user data has {} bytes", bytes.len()))
                .why("the cloud takes at most 16 KiB (16384 bytes)")
                .help("let a short script fetch the rest, or put it into an image"),
        );
        return None;
    }
    let secret = cx.key.refer(source, &bytes);
    cx.secret_digests.insert((secret.source.to_string(), secret.digest));
    if let SecretSource::Config(path) = &secret.source {
        cx.secret_texts.insert(path.clone(), bytes);
    }
    Some(secret)
}

fn missing_user_data(cx: &mut Context<'_>, value: &Value<'_>, fields: &Fields<'_>) {
    if !fields.misspelt("file") && !fields.misspelt("text") {
        cx.tell(
            Diagnostic::error(codes::MISSING_KEY, "`user_data` needs `file` or `text`")
                .at_span(value.key)
                .help("write `user_data: { file: provision.sh }`"),
        );
    }
}

/// A file of the config's directory, or below it.
fn read_file(cx: &mut Context<'_>, value: &Value<'_>) -> Option<(String, Vec<u8>)> {
    let text = cx.faults.text(value)?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || text.starts_with('/') || text.contains(['\\', '\0']) || parts.contains(&"..") {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("`{}` is not a file of this config", shown(text)))
                .why("a config is whole: what it needs lies in its directory, or below")
                .help("write a path from the config's directory, with `/` and without `..`"),
        );
        return None;
    }
    let path = parts.join("/");
    match (cx.files.others)(&path) {
        Ok(bytes) => Some((path, bytes)),
        Err(reason) => {
            cx.tell(
                value
                    .fault(codes::UNREADABLE, format!("`{}` cannot be read", shown(&path)))
                    .why(reason)
                    .help("paths are from the config's directory"),
            );
            None
        }
    }
}
