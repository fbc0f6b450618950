//! The meaning of diagnostic codes, shown: one at length, all in a list, and as the document `docs/diagnostics.md`.

use std::fmt::Write as _;

use crate::diagnostic::{Class, Code, Page as CodePage, Part, codes};

use super::node::{Node, object};
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};

/// What `format` says in the JSON of codes.
pub const FORMAT: &str = "fleetwright-codes/1";

const INDENT: usize = 2;
const EXAMPLE_INDENT: usize = 4;

/// Codes of a class, in the order of the alphabet.
fn of_class(class: Class) -> Vec<Code> {
    let mut found: Vec<Code> = codes::ALL.iter().copied().filter(|code| code.class == class).collect();
    found.sort_by_key(|code| code.word);
    found
}

fn title(part: Part) -> &'static str {
    match part {
        Part::What => "What it means",
        Part::Why => "Why it is so",
        Part::WhatToDo => "What to do",
        Part::Example => "Example",
    }
}

/// One code at length; `exit` is the exit code of its class.
#[must_use]
pub fn text(code: Code, exit: u8, style: Style) -> String {
    let mut page = Page::new(style);
    let line = Line::new().add(Ink::Strong, code.word).text(": ").text(code.meaning);
    page.wrap(0, INDENT, &line);
    let class = format!("{} (exit code {exit}, where it is an error).", code.class.meaning());
    page.wrap(0, INDENT, &Line::new().add(Ink::Faint, class));
    let CodePage { parts } = code.page();
    for (part, text) in parts {
        page.gap();
        page.wrap(0, INDENT, &Line::new().add(Ink::Strong, title(part)));
        body(&mut page, text);
    }
    page.finish()
}

/// Markdown of the plainest kind: paragraphs are wrapped, and what stands between fences stays as it is.
fn body(page: &mut Page, text: &str) {
    let mut fenced = false;
    let mut paragraph = String::new();
    let flush = |page: &mut Page, paragraph: &mut String| {
        if !paragraph.is_empty() {
            page.wrap(INDENT, INDENT, &Line::new().text(std::mem::take(paragraph)));
        }
    };
    for line in text.lines() {
        if line.starts_with("```") {
            flush(page, &mut paragraph);
            fenced = !fenced;
        } else if fenced {
            page.raw(EXAMPLE_INDENT, &Line::new().text(line));
        } else if line.is_empty() {
            flush(page, &mut paragraph);
            page.gap();
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    flush(page, &mut paragraph);
}

/// All codes by class, each with its line.
#[must_use]
pub fn list(exit_of: impl Fn(Class) -> u8, style: Style) -> String {
    const COLUMNS: [Column; 2] = [Column::whole("CODE"), Column::wraps("MEANING")];
    let mut text = String::new();
    for (class, heading) in Class::ALL {
        let mut page = Page::new(style);
        page.wrap(0, INDENT, &Line::new().add(Ink::Strong, format!("{heading} (exit code {})", exit_of(class))));
        page.gap();
        text.push_str(&page.finish());
        let rows: Vec<Vec<String>> =
            of_class(class).iter().map(|code| vec![code.word.to_owned(), code.meaning.to_owned()]).collect();
        text.push_str(&table(&COLUMNS, &rows, style));
        text.push('\n');
    }
    text.push_str("More about one of them: fleetwright explain CODE\n");
    text
}

/// Codes as JSON, with all that is told about them.
#[must_use]
pub fn json(wanted: &[Code], exit_of: impl Fn(Class) -> u8) -> String {
    let node = |code: &Code| {
        let page = code.page();
        let part = |part| page.part(part);
        object! {
            "code" => code.word,
            "exit_code" => u32::from(exit_of(code.class)),
            "meaning" => code.meaning,
            "what" => part(Part::What),
            "why" => part(Part::Why),
            "what_to_do" => part(Part::WhatToDo),
            "example" => part(Part::Example),
        }
    };
    object! { "format" => FORMAT, "codes" => Node::list(wanted.iter().map(node)) }.pretty()
}

/// The reference of all codes, as Markdown.
#[must_use]
pub fn reference(exit_of: impl Fn(Class) -> u8) -> String {
    let mut out = String::from(
        "# Diagnostics\n\n\
         Everything that fleetwright finds fault with has a code. A code keeps its meaning for ever, so that it can be\n\
         searched for and filtered by. The exit code is that of the gravest error; warnings and notes do not change it.\n\
         `fleetwright explain CODE` tells on a terminal what stands here.\n\n\
         This file is made from the table in `src/diagnostic/code.rs` and the pages beside it.\n",
    );
    for (class, heading) in Class::ALL {
        let found = of_class(class);
        _ = write!(out, "\n## {heading} (exit code {})\n\n| code | meaning |\n|---|---|\n", exit_of(class));
        for code in &found {
            _ = writeln!(out, "| [`{0}`](#{0}) | {1} |", code.word, code.meaning);
        }
        for code in &found {
            _ = write!(out, "\n### {}\n\n{}\n", code.word, code.meaning);
            let CodePage { parts } = code.page();
            for (part, text) in parts {
                _ = write!(out, "\n**{}**\n\n{text}\n", title(part));
            }
        }
    }
    out
}
