//! The foot of a terminal: lines that scroll, and below them a table that is drawn anew in its place.
//!
//! The cursor stays visible and at the foot, and each frame is one write, so that a program that is killed leaves a
//! terminal behind that works.

use crate::model::Millis;
use crate::report::style::display_width;

/// How often it is drawn at most.
const FRAME_MS: Millis = 100;

/// What stands at the foot.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Lines of the table as they were drawn, without colour.
    drawn: Vec<String>,
    /// Lines that have not been written yet.
    scrolled: String,
    drawn_ms: Option<Millis>,
}

impl Screen {
    /// A line that scrolls, written with the next frame.
    pub(super) fn scroll(&mut self, line: &str) {
        self.scrolled.push_str(line);
    }

    /// Whether a frame may be drawn.
    pub(super) fn due(&self, now_ms: Millis) -> bool {
        self.drawn_ms.is_none_or(|last| now_ms - last >= FRAME_MS || now_ms < last)
    }

    /// What to write for a frame with this table, on a terminal of so many columns. Nothing where it stands there
    /// already.
    pub(super) fn frame(&mut self, now_ms: Millis, table: Vec<String>, columns: usize) -> String {
        self.drawn_ms = Some(now_ms);
        if self.scrolled.is_empty() && table == self.drawn {
            return String::new();
        }
        let mut out = self.up(columns);
        let scrolled = std::mem::take(&mut self.scrolled);
        for line in scrolled.lines().chain(table.iter().map(String::as_str)) {
            out.push_str(line);
            out.push_str(CLEAR_LINE);
            out.push('\n');
        }
        out.push_str(CLEAR_BELOW);
        self.drawn = table;
        out
    }

    /// What to write to take the table away, and to bring out what has not been written.
    pub(super) fn clear(&mut self, columns: usize) -> String {
        if self.drawn.is_empty() {
            return std::mem::take(&mut self.scrolled);
        }
        let out = format!("{}{CLEAR_BELOW}{}", self.up(columns), std::mem::take(&mut self.scrolled));
        self.drawn.clear();
        out
    }

    /// To the table's first row. Where the terminal became narrower, its lines take several.
    fn up(&self, columns: usize) -> String {
        let columns = columns.max(1);
        let plain = self.drawn.iter().map(|line| anstream::adapter::strip_str(line).to_string());
        let rows: usize = plain.map(|line| display_width(&line).div_ceil(columns).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\u{1b}[{rows}A") }
    }
}

const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_table_is_drawn_in_the_place_of_the_one_before() {
        let mut screen = Screen::default();
        assert!(screen.due(0));
        assert_eq!(screen.frame(0, lines(&["a", "b"]), 80), "a\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        assert!(!screen.due(99) && screen.due(100));
        assert_eq!(screen.frame(100, lines(&["a", "b"]), 80), "", "nothing is new");
        screen.scroll("one\n");
        assert_eq!(screen.frame(200, lines(&["c"]), 80), "\r\u{1b}[2Aone\u{1b}[K\nc\u{1b}[K\n\u{1b}[J");
        screen.scroll("two\n");
        assert_eq!(screen.clear(80), "\r\u{1b}[1A\u{1b}[Jtwo\n");
        assert_eq!(screen.clear(80), "");
    }

    #[test]
    fn lines_that_wrapped_when_the_terminal_became_narrower_are_taken_away_whole() {
        let mut screen = Screen::default();
        screen.frame(0, lines(&["0123456789", "\u{1b}[1m镜像镜像\u{1b}[0m", ""]), 20);
        assert!(screen.clear(4).starts_with("\r\u{1b}[6A"), "three rows, two, and one");
    }
}
