//! Diagnostics as text and as JSON, and the reference of all codes.

use std::collections::BTreeMap;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet};
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::diagnostic::{Diagnostic, Severity, SourceMap, Span, visible};
use crate::model::path::Path;

/// What stands before a line: its number and the bar.
const GUTTER: usize = 8;
/// Lines further apart than this are shown as two snippets.
const FARTHEST_LINES: usize = 200;
/// Of longer lines only an excerpt is rendered.
const LONG_LINE_BYTES: usize = 4096;
/// The narrowest that texts are wrapped to.
const NARROWEST: usize = 40;

/// The diagnostics as people read them, each with the lines that it is about, and a count at the end; nothing where
/// there are none.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, width: usize, color: bool) -> String {
    let lines: Vec<Lines<'_>> = sources.sources.iter().map(|source| Lines::of(&source.text)).collect();
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width.max(NARROWEST));
    let mut out = String::new();
    for diagnostic in diagnostics {
        let report = group(diagnostic, sources, &lines, width.max(NARROWEST));
        let text = renderer.render(&[report]);
        for line in text.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        out.push_str(&count_line(diagnostics));
        out.push('\n');
    }
    out
}

/// `2 errors, 1 warning`.
#[must_use]
pub fn count_line(diagnostics: &[Diagnostic]) -> String {
    let kinds = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = kinds.into_iter().filter_map(|(severity, word)| {
        match diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count() {
            0 => None,
            1 => Some(format!("1 {word}")),
            many => Some(format!("{many} {word}s")),
        }
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap, lines: &[Lines<'a>], width: usize) -> Group<'a> {
    let code = diagnostic.code.word;
    let room = width.saturating_sub(word(diagnostic.severity).len() + code.len() + "[]: ".len());
    let title = level(diagnostic.severity).primary_title(wrap(&diagnostic.message, room)).id(code);
    let (mut elements, beyond) = snippets(diagnostic, sources, lines, width);
    let placed = !elements.is_empty();
    if placed && !(diagnostic.notes.is_empty() && diagnostic.help.is_none() && beyond.is_empty()) {
        elements.push(Padding.into());
    }
    // The widest line number, ` = note: ` and a blank.
    let room = width.saturating_sub(if placed { 6 } else { 1 } + "  = note: ".len());
    for note in beyond.into_iter().chain(diagnostic.notes.iter().map(String::as_str)) {
        elements.push(Level::NOTE.message(wrap(note, room)).into());
    }
    if let Some(help) = &diagnostic.help {
        elements.push(Level::HELP.message(wrap(help, room)).into());
    }
    Group::with_title(title).elements(elements)
}

/// One marked stretch.
struct Mark<'a> {
    span: Span,
    primary: bool,
    label: &'a str,
}

/// The snippets of a diagnostic, and the labels that would stick out of them. Marks of one file that are near each
/// other share a snippet.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
    lines: &[Lines<'a>],
    width: usize,
) -> (Vec<Element<'a>>, Vec<&'a str>) {
    let mut beyond = Vec::new();
    let primary = diagnostic.place.as_ref().map(|place| (place, true, diagnostic.label.as_str()));
    let related = diagnostic.related.iter().map(|(place, label)| (place, false, label.as_str()));
    let marks = primary.into_iter().chain(related).filter_map(|(place, primary, label)| {
        let span = sources.span(place).filter(|span| span.file < lines.len())?;
        let sticks_out = lines[span.file].sticks_out(span, label, width);
        if sticks_out {
            beyond.push(label);
        }
        Some(Mark { span, primary, label: if sticks_out { "" } else { label } })
    });
    let mut shared: Vec<Vec<Mark<'a>>> = Vec::new();
    for mark in marks {
        let lines = &lines[mark.span.file];
        let line = lines.number(mark.span.start);
        let column = |span: Span| span.start - lines.start(lines.number(span.start));
        // Lines of one snippet are cut at the same columns, so that both marks must be within what is left of them.
        let beside = |other: &Mark<'_>| {
            let ends = [mark.span, other.span].map(|span| column(span) + (span.end - span.start));
            ends.iter().all(|end| end + GUTTER < width)
                || column(mark.span).abs_diff(column(other.span)) + width / 4 + GUTTER < width
        };
        let near = |marks: &&mut Vec<Mark<'_>>| {
            marks[0].span.file == mark.span.file
                && lines.number(marks[0].span.start).abs_diff(line) <= FARTHEST_LINES / 2
                && marks.iter().all(beside)
        };
        match shared.iter_mut().find(near) {
            Some(marks) => marks.push(mark),
            None => shared.push(vec![mark]),
        }
    }
    let snippets = shared.iter().flat_map(|marks| match &lines[marks[0].span.file] {
        lines if marks.iter().any(|mark| lines.is_long(mark.span)) => {
            marks.iter().flat_map(|mark| excerpt(mark, sources, lines, width)).collect()
        }
        lines => vec![snippet(marks, sources, lines, width)],
    });
    (snippets.collect(), beyond)
}

fn snippet<'a>(marks: &[Mark<'a>], sources: &'a SourceMap, lines: &Lines<'a>, width: usize) -> Element<'a> {
    let source = &sources.sources[marks[0].span.file];
    if source.text.is_empty() {
        return Snippet::source("\n").path(source.path.as_str()).annotation(AnnotationKind::Primary.span(0..0)).into();
    }
    let numbers = || marks.iter().map(|mark| lines.number(mark.span.start));
    let (first, last) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
    let (from, to) = (lines.start(first), lines.end(last));
    let annotations = marks.iter().map(|mark| {
        let (start, end) = lines.clip(mark.span);
        let end = start + prefix(&source.text[start..end], width / 2);
        let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation: Annotation<'a> = kind.span(start - from..end - from);
        if mark.label.is_empty() { annotation } else { annotation.label(mark.label) }
    });
    Snippet::source(&source.text[from..to])
        .path(source.path.as_str())
        .line_start(first + 1)
        .annotations(annotations)
        .into()
}

/// The surroundings of a mark in a line that is so long that the renderer should not see all of it, again and again.
fn excerpt<'a>(mark: &Mark<'a>, sources: &'a SourceMap, lines: &Lines<'a>, width: usize) -> [Element<'a>; 2] {
    let source = &sources.sources[mark.span.file];
    let (start, end) = lines.clip(mark.span);
    let number = lines.number(start);
    let (line, column) = lines.position(start);
    let line_start = lines.start(number);
    let from = source.text.floor_char_boundary(start.saturating_sub(width)).max(line_start);
    let to = source.text.ceil_char_boundary((start + 2 * width).min(lines.end(number)));
    let end = (start + prefix(&source.text[start..end], width / 2)).min(to);
    let annotation = AnnotationKind::Primary.span(start - from..end - from);
    let annotation = if mark.label.is_empty() { annotation } else { annotation.label(mark.label) };
    let origin = Origin::path(source.path.as_str()).line(line).char_column(column);
    let snippet = Snippet::source(&source.text[from..to]).line_start(line).annotation(annotation);
    [origin.into(), snippet.into()]
}

/// Where the lines of a text start.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The line, from 0, that a byte is in.
    fn number(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// The end of a line, without its break.
    fn end(&self, line: usize) -> usize {
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let start = self.start(line);
        start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// The part of a span that is in its first line, on the borders of characters.
    fn clip(&self, span: Span) -> (usize, usize) {
        let border = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = border(span.start);
        let end = self.end(self.number(start));
        let start = start.min(end);
        (start, border(span.end).clamp(start, end))
    }

    fn is_long(&self, span: Span) -> bool {
        let number = self.number(span.start);
        self.end(number) - self.start(number) > LONG_LINE_BYTES
    }

    /// Whether a label reaches beyond the width beside a line that does not. Longer lines are trimmed with their labels.
    fn sticks_out(&self, span: Span, label: &str, width: usize) -> bool {
        let (start, end) = self.clip(span);
        let number = self.number(start);
        let room = width.saturating_sub((number + 1).to_string().len() + " | ".len());
        let line = &self.text[self.start(number)..self.end(number)];
        let before = columns(&self.text[self.start(number)..end]).max(1);
        !label.is_empty() && line.len() <= LONG_LINE_BYTES && columns(line) <= room && before + 1 + label.width() > room
    }

    /// Line and column of a byte, in characters, both from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let (start, _) = self.clip(Span { file: 0, start: byte, end: byte });
        let line = self.number(start);
        (line + 1, self.text[self.start(line)..start].chars().count() + 1)
    }
}

/// The diagnostics as one JSON document for other programs.
#[must_use]
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let all = each_json(diagnostics, sources);
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let document = json!({
        "format": 1, "diagnostics": all,
        "errors": count(Severity::Error), "warnings": count(Severity::Warning), "notes": count(Severity::Note),
    });
    format!("{document:#}\n")
}

/// Each diagnostic as JSON.
pub(super) fn each_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> Vec<Value> {
    let lines: Vec<Lines<'_>> = sources.sources.iter().map(|source| Lines::of(&source.text)).collect();
    let paths = paths(sources);
    let place = |span: Span| -> Option<Value> {
        let (source, lines) = (sources.sources.get(span.file)?, lines.get(span.file)?);
        let ((line, column), (end_line, end_column)) = (lines.position(span.start), lines.position(span.end));
        let path = paths.get(&span).map(ToString::to_string);
        Some(json!({
            "file": source.path, "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            "start": span.start, "end": span.end, "path": path,
        }))
    };
    diagnostics
        .iter()
        .map(|diagnostic| {
            let Diagnostic { code, severity, message, place: at, label, related, notes, help } = diagnostic;
            let related: Vec<Value> = related
                .iter()
                .map(|(at, label)| json!({ "place": sources.span(at).and_then(place), "label": label }))
                .collect();
            json!({
                "code": code.word, "severity": word(*severity), "message": message,
                "place": at.as_ref().and_then(|at| sources.span(at)).and_then(place),
                "label": label, "related": related, "notes": notes, "help": help,
            })
        })
        .collect()
}

/// The path whose key or value stands at a span.
fn paths(sources: &SourceMap) -> BTreeMap<Span, &Path> {
    let spans = sources
        .entries
        .iter()
        .flat_map(|(path, entry)| [Some(entry.value), entry.key].into_iter().flatten().map(move |span| (span, path)));
    spans.collect()
}

/// The columns that a line takes; the renderer shows a tab as four blanks.
fn columns(line: &str) -> usize {
    line.chars().map(|c| if c == '\t' { 4 } else { c.width().unwrap_or(1) }).sum()
}

/// How many bytes of a line take at most `most` columns.
fn prefix(line: &str, most: usize) -> usize {
    let mut used = 0;
    let rest = line.char_indices().find(|(_, c)| {
        used += if *c == '\t' { 4 } else { c.width().unwrap_or(1) };
        used > most
    });
    rest.map_or(line.len(), |(at, _)| at)
}

/// A text in lines of at most `width` columns; a word that is longer has a line of its own. Line breaks stay.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let mut used = 0;
        for word in visible(line).split(' ') {
            let length: usize = if word.is_ascii() { word.len() } else { word.width() };
            if used > 0 && used + 1 + length > width {
                out.push('\n');
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            used += length;
            out.push_str(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Place, Source, codes};

    fn sources(text: &str) -> SourceMap {
        SourceMap { sources: vec![Source { path: "fleet.yaml".into(), text: text.into() }], ..SourceMap::default() }
    }

    fn fault(text: &str, needle: &str) -> Diagnostic {
        let start = text.find(needle).expect("there");
        Diagnostic::error(codes::UNKNOWN_KEY, "a fleet has no key `x`")
            .at_span(Span { file: 0, start, end: start + needle.len() })
            .label("here")
    }

    #[test]
    fn carets_stand_under_wide_characters_and_tabs() {
        let text = "a: 1\n镜像名字: { 键: x }\n\ttab:\ty\n";
        let out = render(&[fault(text, "键"), fault(text, "y")], &sources(text), 80, false);
        let expected = "error[unknown-key]: a fleet has no key `x`
 --> fleet.yaml:2:9
  |
2 | 镜像名字: { 键: x }
  |             ^^ here

error[unknown-key]: a fleet has no key `x`
 --> fleet.yaml:3:7
  |
3 |     tab:    y
  |             ^ here

2 errors
";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_long_line_is_trimmed_around_the_fault() {
        let text = format!("k: [{} WRONG, {}]\n", "one, ".repeat(100), "two, ".repeat(100));
        let out = render(&[fault(&text, "WRONG")], &sources(&text), 80, false);
        assert!(out.lines().all(|line| line.width() <= 80), "{out}");
        assert!(out.contains("WRONG") && out.contains("^^^^^ here") && out.contains("fleet.yaml:1:"), "{out}");
    }

    #[test]
    fn of_a_very_long_line_an_excerpt_is_shown() {
        let text = format!("a: 1\nk: [{} WRONG, {}]\n", "网, ".repeat(3000), "two, ".repeat(3000));
        let out = render(&[fault(&text, "WRONG")], &sources(&text), 80, false);
        assert!(out.lines().all(|line| line.width() <= 80), "{out}");
        assert!(out.contains("^^^^^ here") && out.contains("--> fleet.yaml:2:9006\n"), "{out}");
    }

    #[test]
    fn notes_wrap_and_places_without_a_file_are_left_out() {
        let long = "many words ".repeat(20);
        let fault = Diagnostic::warning(codes::STORE, "the state is old")
            .why(long.trim())
            .help("do it")
            .related(Place::Span(Span { file: 7, start: 0, end: 1 }), "nowhere");
        let out = render(&[fault], &SourceMap::default(), 80, false);
        assert!(out.lines().all(|line| line.width() <= 80), "{out}");
        assert!(out.starts_with("warning[store]: the state is old\n"), "{out}");
        assert!(out.ends_with("help: do it\n\n1 warning\n"), "{out}");
        assert_eq!(render(&[], &SourceMap::default(), 80, false), "");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let text = "images:\n  web: { colour: red }\n";
        let faults = [fault(text, "colour").why("a reason").help("a way out")];
        let plain = render(&faults, &sources(text), 80, false);
        let styled = render(&faults, &sources(text), 80, true);
        assert!(styled.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&styled).to_string(), plain);
    }

    #[test]
    fn far_places_of_a_file_get_snippets_of_their_own() {
        let text = format!("first: 1\n{}second: 2\n", "x: y\n".repeat(500));
        let mut fault = fault(&text, "second");
        fault = fault.related(Place::Span(Span { file: 0, start: 0, end: 5 }), "there");
        let out = render(&[fault], &sources(&text), 80, false);
        assert!(out.contains("--> fleet.yaml:502:1") && out.contains("::: fleet.yaml:1:1"), "{out}");
    }

    #[test]
    fn json_has_lines_columns_and_counts() {
        let text = "a: 1\n镜: x\n";
        let json: Value = serde_json::from_str(&render_json(&[fault(text, "x")], &sources(text))).expect("JSON");
        let place = &json["diagnostics"][0]["place"];
        assert_eq!((place["line"].as_u64(), place["column"].as_u64()), (Some(2), Some(4)));
        assert_eq!((json["errors"].as_u64(), json["warnings"].as_u64()), (Some(1), Some(0)));
    }
}
