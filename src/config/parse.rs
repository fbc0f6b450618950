//! Files to one tree: the faults of the text, then what they hold put together.

use std::collections::BTreeMap;

use super::ConfigFiles;
use super::node::{Data, Node, Pair};
use super::read::Faults;
use super::scan::{Scanned, chunks, duplicate, duplicates, scan};
use super::{file_start, typing};
use crate::diagnostic::{Diagnostic, Source, SourceMap, Span, codes};
use crate::model::path::Path;

/// The largest file, in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The sections that may stand in several files.
const SECTIONS: [&str; 4] = ["images", "shares", "fleets", "backups"];

/// What all files hold.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The keys of all files; a section is there once for each file that has it.
    pub(super) top: Vec<Pair>,
    pub(super) sources: SourceMap,
    /// Some text could not be read.
    pub(super) partial: bool,
}

pub(super) fn parse(files: &ConfigFiles<'_>, faults: &mut Faults) -> Parsed {
    let mut parsed = Parsed { top: Vec::new(), sources: SourceMap::default(), partial: false };
    let mut seen = BTreeMap::new();
    for (path, bytes) in &files.yaml {
        let Some(pairs) = file(path, bytes, &mut parsed, faults) else { continue };
        across_files(&pairs, &mut seen, faults);
        parsed.top.extend(pairs);
    }
    let Parsed { top, sources, .. } = &mut parsed;
    for pair in &*top {
        let path = Path::of(&[&pair.key]);
        let entry = crate::diagnostic::Entry { key: Some(pair.key_span), value: pair.value.span };
        sources.entries.entry(path.clone()).or_insert(entry);
        pair.value.places(&path, &mut sources.entries);
    }
    parsed
}

/// Adds a file, and answers its first line.
pub(super) fn add_source(sources: &mut SourceMap, path: String, text: String) -> Span {
    let file = sources.sources.len();
    let end = text.lines().next().unwrap_or_default().len();
    sources.sources.push(Source { path, text });
    Span { file, start: 0, end }
}

fn file(path: &str, bytes: &[u8], parsed: &mut Parsed, faults: &mut Faults) -> Option<Vec<Pair>> {
    let file = parsed.sources.sources.len();
    let mut refuse = |parsed: &mut Parsed, text: String, fault: Diagnostic| {
        add_source(&mut parsed.sources, path.to_owned(), text);
        parsed.partial = true;
        faults.tell(fault);
        None
    };
    if bytes.len() > MAX_BYTES {
        let fault = Diagnostic::error(codes::TOO_LARGE, format!("`{path}` is larger than 1 MiB"))
            .why(format!("a file of a config has at most {MAX_BYTES} bytes"))
            .help("split it into several *.yaml files: all of a directory are one config");
        return refuse(parsed, String::new(), fault);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(error) => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let start = error.valid_up_to();
            let fault = Diagnostic::error(codes::NOT_UTF8, "this is not UTF-8 text")
                .at_span(Span { file, start, end: start + '\u{fffd}'.len_utf8() })
                .label("from here on")
                .help("save the file as UTF-8");
            return refuse(parsed, text, fault);
        }
    };
    add_source(&mut parsed.sources, path.to_owned(), text.clone());
    let mut root = tree(file, &text, &mut parsed.partial, faults)?;
    if root.is_null() {
        faults.tell(empty_file(file, path));
        return None;
    }
    substitutions(&mut root, &mut Vec::new(), faults);
    match root.data {
        Data::Map(pairs) => Some(pairs),
        Data::Void => None,
        Data::Scalar(_) | Data::List(_) => {
            parsed.partial = true;
            faults.tell(
                Diagnostic::error(codes::WRONG_TYPE, "a config is a mapping (`key: value`)")
                    .at_span(root.span)
                    .label("this is none")
                    .help("start with `project: NAME`"),
            );
            None
        }
    }
}

fn empty_file(file: usize, path: &str) -> Diagnostic {
    let mut fault = Diagnostic::error(codes::EMPTY_FILE, format!("`{path}` holds nothing"))
        .why("an empty config would mean: delete everything; so an empty file is never taken for one")
        .help("put something into it, or remove it");
    fault.place = Some(file_start(file));
    fault
}

/// A file's tree. Where the text is broken, each stretch that starts at the left margin is read for itself.
fn tree(file: usize, text: &str, partial: &mut bool, faults: &mut Faults) -> Option<Node> {
    let scanned = scan(file, text, 0);
    if !scanned.broken {
        return finish(file, text, scanned, faults);
    }
    *partial = true;
    let chunks: Vec<(Scanned, &str)> =
        chunks(text).into_iter().map(|(base, chunk)| (scan(file, chunk, base), chunk)).collect();
    if chunks.len() < 2 || !chunks.iter().any(|(chunk, _)| chunk.broken) {
        return finish(file, text, scanned, faults);
    }
    let mut pairs = Vec::new();
    for (chunk, text) in chunks {
        let Some(mut root) = chunk.root else {
            faults.list.extend(chunk.faults);
            continue;
        };
        typing::assign(&mut root, text, chunk.faults.is_empty(), &mut faults.list);
        faults.list.extend(chunk.faults);
        if let Data::Map(more) = root.data {
            pairs.extend(more);
        }
    }
    let root = Node { span: Span { file, start: 0, end: text.len() }, data: Data::Map(pairs) };
    duplicates(&root, &mut faults.list);
    Some(root)
}

fn finish(file: usize, text: &str, scanned: Scanned, faults: &mut Faults) -> Option<Node> {
    let Scanned { root, faults: found, broken } = scanned;
    let Some(mut root) = root else {
        if found.is_empty() {
            // No document at all: the same as one that holds nothing.
            let span = Span { file, start: 0, end: 0 };
            let data = Data::Scalar(super::node::Scalar {
                text: String::new(),
                plain: true,
                kind: super::node::ScalarKind::Null,
            });
            return Some(Node { span, data });
        }
        faults.list.extend(found);
        return None;
    };
    typing::assign(&mut root, text, found.is_empty() && !broken, &mut faults.list);
    faults.list.extend(found);
    duplicates(&root, &mut faults.list);
    Some(root)
}

/// Keys that stand in two files. A section may, its blocks may not.
fn across_files(pairs: &[Pair], seen: &mut BTreeMap<(String, String), Span>, faults: &mut Faults) {
    let mut here = BTreeMap::new();
    let mut check = |key: (&str, &str), name: &str, span: Span, faults: &mut Faults| {
        let key = (key.0.to_owned(), key.1.to_owned());
        match seen.get(&key) {
            Some(earlier) => faults.tell(duplicate(name, span, *earlier)),
            None => _ = here.entry(key).or_insert(span),
        }
    };
    for pair in pairs.iter().filter(|pair| !pair.void) {
        if SECTIONS.contains(&pair.key.as_str()) {
            for block in pair.value.pairs().iter().filter(|block| !block.void) {
                check((&pair.key, &block.key), &block.key, block.key_span, faults);
            }
        } else {
            check((&pair.key, ""), &pair.key, pair.key_span, faults);
        }
    }
    seen.extend(here);
}

/// Tells `${…}` in scalars, which would otherwise be taken for what it says. Scripts are full of it: in a text for
/// user data only what would be ours one day counts.
fn substitutions(node: &mut Node, keys: &mut Vec<String>, faults: &mut Faults) {
    match &mut node.data {
        Data::Void => {}
        Data::Scalar(scalar) => {
            let script = matches!(keys.as_slice(), [.., data, text] if data == "user_data" && text == "text");
            let found = if script {
                ["${var.", "${env}"].into_iter().filter_map(|ours| scalar.text.find(ours)).min()
            } else {
                scalar.text.find("${")
            };
            let Some(at) = found else { return };
            let rest = &scalar.text[at..];
            let what = rest.find('}').map_or(rest, |end| &rest[..=end]);
            faults.unsupported(node.span, &format!("the substitution `{}`", super::read::shown(what)));
            node.data = Data::Void;
        }
        Data::List(items) => items.iter_mut().for_each(|item| substitutions(item, keys, faults)),
        Data::Map(pairs) => {
            for pair in pairs {
                keys.push(pair.key.clone());
                substitutions(&mut pair.value, keys, faults);
                keys.pop();
            }
        }
    }
}
