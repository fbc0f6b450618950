//! Text to tree: saphyr-parser's events, folded without recursion, so that no depth of nesting can overflow the stack.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::node::{Data, Node, Pair, Scalar, ScalarKind};
use crate::diagnostic::{Diagnostic, Place, Span, codes};

/// The deepest nesting of lists and mappings.
pub(super) const MAX_DEPTH: usize = 64;

/// A file's tree, as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The root, where there is one.
    pub(super) root: Option<Node>,
    /// What is wrong with the text.
    pub(super) faults: Vec<Diagnostic>,
    /// The text ends in a fault: what follows it is not in the tree.
    pub(super) broken: bool,
}

/// Reads a text that starts at byte `base` of a file.
pub(super) fn scan(file: usize, text: &str, base: usize) -> Scanned {
    let scanner = Scanner { file, text, base, bytes: byte_offsets(text), stack: Vec::new(), out: Scanned::default() };
    scanner.run()
}

/// Where the n-th character starts; empty for ASCII, where that is n.
fn byte_offsets(text: &str) -> Vec<usize> {
    if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).chain([text.len()]).collect() }
}

enum Frame {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, pairs: Vec<Pair>, key: Option<Key> },
}

struct Key {
    text: String,
    span: Span,
    void: bool,
}

struct Scanner<'a> {
    file: usize,
    text: &'a str,
    base: usize,
    bytes: Vec<usize>,
    stack: Vec<Frame>,
    out: Scanned,
}

impl Scanner<'_> {
    fn run(mut self) -> Scanned {
        let mut documents = 0;
        for event in Parser::new_from_str(self.text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    // At the end of the text the last thing that stands there tells more.
                    let last = self.text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
                    let at = self.byte(error.marker()).min(last);
                    let fault = syntax_fault(error.info(), self.mark(at));
                    self.out.faults.push(fault);
                    self.give_up();
                    break;
                }
            };
            let (start, end) = (self.byte(&span.start), self.byte(&span.end));
            let span = self.span(start, end);
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        self.out.faults.push(
                            Diagnostic::error(codes::SEVERAL_DOCUMENTS, "a second YAML document starts here")
                                .at_span(span)
                                .why("one file holds one document: what follows a second `---` is easily overlooked")
                                .help("put the second document into a file of its own, or remove the `---`"),
                        );
                    }
                }
                Event::Alias(_) => {
                    self.out.faults.push(
                        Diagnostic::error(codes::ALIAS, "aliases are not part of this language")
                            .at_span(span)
                            .help("write the value out here"),
                    );
                    self.node(Node::void(span));
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let anchored = self.anchor_or_tag(anchor, tag.is_some(), start);
                    let plain = style == ScalarStyle::Plain;
                    let node = Node {
                        span,
                        data: if anchored {
                            Data::Void
                        } else {
                            Data::Scalar(Scalar { text: text.into_owned(), plain, kind: ScalarKind::Text })
                        },
                    };
                    self.node(node);
                }
                Event::SequenceStart(anchor, tag) => {
                    self.anchor_or_tag(anchor, tag.is_some(), start);
                    self.stack.push(Frame::List { start, items: Vec::new() });
                }
                Event::MappingStart(anchor, tag) => {
                    self.anchor_or_tag(anchor, tag.is_some(), start);
                    self.stack.push(Frame::Map { start, pairs: Vec::new(), key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    // A flow collection ends with its bracket; the parser counts what follows on the line as well.
                    let bracket = self.text.get(start..).is_some_and(|rest| rest.starts_with(['}', ']']));
                    self.close(if bracket { start + 1 } else { end });
                }
            }
            if self.stack.len() > MAX_DEPTH {
                self.out.faults.push(too_deep(span));
                self.give_up();
                break;
            }
        }
        self.out
    }

    fn byte(&self, marker: &Marker) -> usize {
        let index = marker.index();
        let byte = if self.bytes.is_empty() { index } else { self.bytes.get(index).copied().unwrap_or(usize::MAX) };
        byte.min(self.text.len())
    }

    /// A stretch of the text, without the white space and comments that a parser counts to a collection's end.
    fn span(&self, start: usize, end: usize) -> Span {
        let end = end.max(start);
        let text = self.text.get(start..end).unwrap_or_default();
        Span { file: self.file, start: self.base + start, end: self.base + start + text.trim_end().len() }
    }

    /// One character.
    fn mark(&self, at: usize) -> Span {
        let width = self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span { file: self.file, start: self.base + at, end: self.base + at + width }
    }

    fn anchor_or_tag(&mut self, anchor: usize, tag: bool, start: usize) -> bool {
        let before = self.text.get(..start).unwrap_or_default();
        if anchor != 0 {
            let at = before.rfind('&').unwrap_or(start);
            let name = self.text[at..].split(char::is_whitespace).next().unwrap_or_default();
            let span = self.span(at, at + name.len());
            self.out.faults.push(
                Diagnostic::error(codes::ALIAS, "anchors are not part of this language")
                    .at_span(span)
                    .help("remove it, and write the value out wherever it is used"),
            );
        }
        if tag {
            let at = before.rfind('!').unwrap_or(start);
            let at = before[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1);
            let name = self.text[at..].split(char::is_whitespace).next().unwrap_or_default();
            let span = self.span(at, at + name.len());
            self.out.faults.push(
                Diagnostic::error(codes::TAG, "tags are not part of this language")
                    .at_span(span)
                    .help("remove it; text that looks like a number is written in quotes"),
            );
        }
        anchor != 0 || tag
    }

    /// A finished value goes into what is around it.
    fn node(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => match (&mut self.out.root, node.data) {
                // A second document is a fault of its own; what it holds is read all the same.
                (Some(Node { data: Data::Map(pairs), .. }), Data::Map(more)) => pairs.extend(more),
                (Some(_), _) => {}
                (root @ None, data) => *root = Some(Node { span: node.span, data }),
            },
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { pairs, key, .. }) => match key.take() {
                Some(Key { text, span, void }) => {
                    let value = if void { Node::void(node.span) } else { node };
                    pairs.push(Pair { key: text, key_span: span, value, void });
                }
                None => {
                    let span = node.span;
                    *key = Some(match node.data {
                        Data::Scalar(scalar) if scalar.plain && scalar.text == "<<" => {
                            self.out.faults.push(merge_key(span));
                            Key { text: scalar.text, span, void: true }
                        }
                        Data::Scalar(scalar) => Key { text: scalar.text, span, void: false },
                        Data::Void => Key { text: String::new(), span, void: true },
                        Data::List(_) | Data::Map(_) => {
                            self.out.faults.push(
                                Diagnostic::error(codes::WRONG_TYPE, "a key is text, not a list or a mapping")
                                    .at_span(span)
                                    .help("a value that starts with `{` or `[` and is text must be in quotes"),
                            );
                            Key { text: String::new(), span, void: true }
                        }
                    });
                }
            },
        }
    }

    fn close(&mut self, end: usize) {
        let node = match self.stack.pop() {
            Some(Frame::List { start, items }) => Node { span: self.span(start, end), data: Data::List(items) },
            Some(Frame::Map { start, pairs, .. }) => Node { span: self.span(start, end), data: Data::Map(pairs) },
            None => return,
        };
        self.node(node);
    }

    /// Keeps the blocks that were complete, so that their faults are told as well; the block that was open is dropped.
    fn give_up(&mut self) {
        const SECTION_DEPTH: usize = 2;
        self.out.broken = true;
        self.stack.truncate(SECTION_DEPTH);
        while !self.stack.is_empty() {
            if let [.., Frame::Map { key: None, .. }, _] = self.stack.as_slice() {
                self.stack.pop();
            } else {
                self.close(self.text.len());
            }
        }
    }
}

fn merge_key(span: Span) -> Diagnostic {
    Diagnostic::error(codes::MERGE_KEY, "`<<` merges are not part of this language")
        .at_span(span)
        .why("a merge hides what a block holds from whoever reads it")
        .help("write the keys out here")
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(codes::TOO_LARGE, format!("the text is nested deeper than {MAX_DEPTH} levels"))
        .at_span(span)
        .help("look for a bracket that is never closed")
}

/// The parser's words, with what usually helps.
fn syntax_fault(info: &str, span: Span) -> Diagnostic {
    if info.contains("recursion limit") {
        return too_deep(span);
    }
    if info.contains("unknown anchor") {
        return Diagnostic::error(codes::ALIAS, "aliases are not part of this language")
            .at_span(span)
            .help("write the value out here; text that starts with `*` must be in quotes");
    }
    let help = if info.contains("unprintable") {
        "remove the character that cannot be seen, or write it with a backslash in double quotes"
    } else if info.contains("tab") {
        "indent with spaces, never with tabs"
    } else if info.contains("mapping values are not allowed") {
        "put a text with `: ` in it in quotes, or look at the indentation of this line"
    } else if info.contains("end of stream") || info.contains("end of input") || info.contains("eof") {
        "look for a quote or a bracket that is never closed"
    } else if info.contains("cannot start any token") {
        "put a text that starts with one of @ ` % in quotes"
    } else if info.contains(',') && info.contains(']') || info.contains('}') {
        "look for a comma or a closing bracket that is missing"
    } else {
        "look at the indentation of this line and of the one above, and for a missing `:`"
    };
    Diagnostic::error(codes::SYNTAX, format!("this is not YAML: {info}")).at_span(span).help(help)
}

/// The keys that stand twice in a mapping, wherever it is.
pub(super) fn duplicates(node: &Node, faults: &mut Vec<Diagnostic>) {
    match &node.data {
        Data::Void | Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| duplicates(item, faults)),
        Data::Map(pairs) => {
            let mut first = std::collections::BTreeMap::new();
            for pair in pairs {
                if !pair.void
                    && let Some(earlier) = first.insert(pair.key.as_str(), pair.key_span)
                {
                    first.insert(pair.key.as_str(), earlier);
                    faults.push(duplicate(&pair.key, pair.key_span, earlier));
                }
                duplicates(&pair.value, faults);
            }
        }
    }
}

/// The same key in two places.
pub(super) fn duplicate(key: &str, span: Span, earlier: Span) -> Diagnostic {
    Diagnostic::error(codes::DUPLICATE_KEY, format!("`{key}` stands twice"))
        .at_span(span)
        .label("again")
        .related(Place::Span(earlier), "first here")
        .why("one of the two would silently win")
        .help("remove one of the two, or give it another name")
}

/// The stretches of a broken file that each start with a key at the left margin: what is wrong in one of them does
/// not keep the others from being read.
pub(super) fn chunks(text: &str) -> Vec<(usize, &str)> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && line.contains(':') {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| (*start, &text[*start..end])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::Path;
    use std::collections::BTreeMap;

    #[test]
    fn spans_are_bytes_and_fit_what_they_stand_for() {
        let text = "# 镜像\nimages:\r\n  wëb: { public: \"名字\" } # x\n  list:\n  - one two # c\n  - 'q'\nlast: |\n  a\n  b\nend: x\n";
        let scanned = scan(0, text, 0);
        assert!(scanned.faults.is_empty(), "{:?}", scanned.faults);
        let mut entries = BTreeMap::new();
        scanned.root.expect("a root").places(&Path::default(), &mut entries);
        let cut = |span: Span| &text[span.start..span.end];
        let all: Vec<String> = entries
            .iter()
            .map(|(path, entry)| format!("{path} {:?} {:?}", entry.key.map(cut), cut(entry.value)))
            .collect();
        let expected = [
            "end Some(\"end\") \"x\"",
            "images Some(\"images\") \"wëb: { public: \\\"名字\\\" } # x\\n  list:\\n  - one two # c\\n  - 'q'\"",
            "images.list Some(\"list\") \"one two # c\\n  - 'q'\"",
            "images.list[0] None \"one two\"",
            "images.list[1] None \"'q'\"",
            "images.wëb Some(\"wëb\") \"{ public: \\\"名字\\\" }\"",
            "images.wëb.public Some(\"public\") \"\\\"名字\\\"\"",
            "last Some(\"last\") \"a\\n  b\"",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn no_depth_overflows_the_stack() {
        for text in [
            "[".repeat(20_000),
            "{".repeat(20_000),
            "{a: ".repeat(20_000),
            "- ".repeat(20_000),
            "? ".repeat(20_000),
            "[\n".repeat(20_000),
            (0..2_000).fold(String::new(), |text, n| text + &" ".repeat(n) + "a:\n"),
        ] {
            let scanned = scan(0, &text, 0);
            assert!(scanned.broken);
            assert_eq!(scanned.faults.last().expect("a fault").code, codes::TOO_LARGE, "{:?}", scanned.faults);
        }
    }

    #[test]
    fn a_broken_text_keeps_the_blocks_that_were_complete() {
        let scanned = scan(0, "fleets:\n  one: { count: 1 }\n  two: { count: [ }\n", 0);
        let root = scanned.root.expect("a root");
        let blocks: Vec<_> = root.pairs()[0].value.pairs().iter().map(|pair| pair.key.as_str()).collect();
        assert!(scanned.broken);
        assert_eq!(blocks, ["one"]);
    }
}
