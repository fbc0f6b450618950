//! Line by line differences of longer texts.

use similar::{ChangeTag, TextDiff};

use super::style::{Ink, Line, Page};

const CONTEXT_LINES: usize = 3;

/// A unified diff, each line indented and none of them wrapped: a script's line is shown as it is.
pub(super) fn unified(page: &mut Page, indent: usize, old: &str, new: &str) {
    let diff = TextDiff::from_lines(old, new);
    for hunk in diff.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        page.raw(indent, &Line::new().add(Ink::Look, hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let (sign, ink) = match change.tag() {
                ChangeTag::Equal => (" ", Ink::Plain),
                ChangeTag::Delete => ("-", Ink::Lose),
                ChangeTag::Insert => ("+", Ink::Add),
            };
            let text = change.value().trim_end_matches(['\n', '\r']);
            page.raw(indent, &Line::new().add(ink, sign).add(ink, text));
        }
    }
}
