//! Colour and width: the one place that knows escape sequences, and how wide a text is.

use anstyle::AnsiColor;
use unicode_width::UnicodeWidthChar;

use crate::diagnostic::visible;

/// How text is written: inputs of the command line, so that goldens need no redaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// The most columns of a line; only what must not be broken, such as an id, goes beyond.
    pub width: usize,
    /// Whether escape sequences for colour are written. Nothing is told by colour alone.
    pub color: bool,
}

/// No terminal is taken to be narrower than this.
pub const MIN_WIDTH: usize = 20;

impl Style {
    /// 80 columns, no colour.
    pub const PLAIN: Self = Self { width: 80, color: false };

    pub(super) fn columns(self) -> usize {
        self.width.max(MIN_WIDTH)
    }
}

impl Default for Style {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// What a stretch of text is, and so how it is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ink {
    /// As the terminal has it.
    #[default]
    Plain,
    /// A heading, or what matters most.
    Strong,
    /// What can be passed over.
    Faint,
    /// Something that is made, or went well.
    Add,
    /// Something that changes.
    Change,
    /// Something that is lost, or went wrong.
    Lose,
    /// Something that is looked up, or waited for.
    Look,
}

impl Ink {
    fn ansi(self) -> anstyle::Style {
        let style = anstyle::Style::new();
        match self {
            Self::Plain => style,
            Self::Strong => style.bold(),
            Self::Faint => style.dimmed(),
            Self::Add => style.fg_color(Some(AnsiColor::Green.into())),
            Self::Change => style.fg_color(Some(AnsiColor::Yellow.into())),
            Self::Lose => style.bold().fg_color(Some(AnsiColor::Red.into())),
            Self::Look => style.fg_color(Some(AnsiColor::Cyan.into())),
        }
    }
}

/// How many columns a text takes.
#[must_use]
pub fn display_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// A space at which no line is broken. Of the private use area: a no-break space may stand in anybody's text.
pub(super) const STICKY: char = '\u{f8fe}';

/// Text from elsewhere, made harmless: names of the cloud, what a plan file says, faults. All text of a report goes through
/// this, for [`Line`] and tables call it; what is written without them calls it by itself.
pub(super) fn clean(text: &str) -> String {
    visible(&text.replace('\t', "    "))
}

/// A logical line: stretches of text, each in its ink.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Ink, String)>);

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The same, with more text. Control characters are escaped.
    pub(super) fn add(mut self, ink: Ink, text: impl AsRef<str>) -> Self {
        self.push(ink, text);
        self
    }

    /// The same, with more plain text.
    pub(super) fn text(self, text: impl AsRef<str>) -> Self {
        self.add(Ink::Plain, text)
    }

    /// The same, with another line behind it.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn push(&mut self, ink: Ink, text: impl AsRef<str>) {
        self.0.push((ink, clean(text.as_ref())));
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| display_width(text)).sum()
    }
}

/// A text in the making, line by line.
#[derive(Debug)]
pub(super) struct Page {
    style: Style,
    text: String,
}

/// Characters that are laid out together, and how many spaces stand before them.
struct Word {
    spaces: usize,
    chars: Vec<(Ink, char)>,
    width: usize,
}

impl Word {
    /// The word; one that no row can hold is broken behind its commas, for a list of slots may be long.
    fn pieces(self, room: usize) -> Vec<Self> {
        if self.width <= room {
            return vec![self];
        }
        let mut spaces = self.spaces;
        self.chars
            .split_inclusive(|(_, c)| *c == ',')
            .map(|chars| Self {
                spaces: std::mem::take(&mut spaces),
                chars: chars.to_vec(),
                width: chars.iter().map(|(_, c)| char_width(*c)).sum(),
            })
            .collect()
    }
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// An empty line, unless one or nothing stands before it.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Rows that were laid out before, in the same style.
    pub(super) fn verbatim(&mut self, rows: &str) {
        self.text.push_str(rows);
    }

    /// A line of plain text that starts at the margin.
    pub(super) fn plain(&mut self, text: &str) {
        self.wrap(0, 0, &Line::new().text(text));
    }

    /// A line, wrapped: its first row is indented by `first`, the others by `hang` columns.
    pub(super) fn wrap(&mut self, first: usize, hang: usize, line: &Line) {
        let width = self.style.columns();
        let hang = hang.min(width / 2);
        let mut row: Vec<(Ink, char)> = Vec::new();
        let mut column = first;
        let mut at_start = true;
        spaces(&mut row, first);
        for word in words(line).into_iter().flat_map(|word| word.pieces(width - hang)) {
            let fits = column + word.spaces + word.width <= width;
            // a new row must gain something
            if !fits && !at_start && hang < column + word.spaces {
                self.row(&row);
                row.clear();
                spaces(&mut row, hang);
                column = hang;
                at_start = true;
            }
            if fits || !at_start {
                spaces(&mut row, word.spaces);
                column += word.spaces;
            }
            column += word.width;
            row.extend(word.chars);
            at_start = false;
        }
        self.row(&row);
    }

    /// A line that is never broken.
    pub(super) fn raw(&mut self, indent: usize, line: &Line) {
        let mut row = Vec::new();
        spaces(&mut row, indent);
        row.extend(line.0.iter().flat_map(|(ink, text)| text.chars().map(|c| (*ink, c))));
        self.row(&row);
    }

    fn row(&mut self, row: &[(Ink, char)]) {
        let end = row.iter().rposition(|(_, c)| *c != ' ').map_or(0, |last| last + 1);
        let mut ink = Ink::Plain;
        for &(next, c) in &row[..end] {
            // a space looks the same in every ink
            if next != ink && c != ' ' {
                self.switch(ink, next);
                ink = next;
            }
            self.text.push(if c == STICKY { ' ' } else { c });
        }
        self.switch(ink, Ink::Plain);
        self.text.push('\n');
    }

    fn switch(&mut self, from: Ink, to: Ink) {
        if !self.style.color || from == to {
            return;
        }
        if from != Ink::Plain {
            self.text.push_str(&from.ansi().render_reset().to_string());
        }
        self.text.push_str(&to.ansi().render().to_string());
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn spaces(row: &mut Vec<(Ink, char)>, count: usize) {
    row.extend(std::iter::repeat_n((Ink::Plain, ' '), count));
}

/// Words end at spaces; a wide character is a word of its own, since its script has no spaces.
fn words(line: &Line) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut spaces = 0;
    let mut open = false;
    for (ink, text) in &line.0 {
        for c in text.chars() {
            let width = char_width(c);
            if c == ' ' {
                spaces += 1;
                open = false;
                continue;
            }
            match words.last_mut() {
                Some(word) if open && width < 2 => {
                    word.chars.push((*ink, c));
                    word.width += width;
                }
                _ => words.push(Word { spaces, chars: vec![(*ink, c)], width }),
            }
            spaces = 0;
            open = true;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapped(width: usize, first: usize, hang: usize, line: &Line) -> String {
        let mut page = Page::new(Style { width, color: false });
        page.wrap(first, hang, line);
        page.finish()
    }

    #[test]
    fn lines_break_at_spaces_and_hang() {
        let line = Line::new().text("one two three four five six");
        assert_eq!(wrapped(20, 2, 4, &line), "  one two three four\n    five six\n");
    }

    #[test]
    fn an_id_is_never_broken_and_wide_characters_count_twice() {
        let id = "img-0123456789012345678901234567890123456789";
        assert_eq!(wrapped(20, 0, 2, &Line::new().text(format!("id {id} end"))), format!("id\n  {id}\n  end\n"));
        assert_eq!(wrapped(20, 0, 0, &Line::new().text("镜像".repeat(6))), "镜像镜像镜像镜像镜像\n镜像\n");
    }

    #[test]
    fn a_list_that_no_row_can_hold_is_broken_behind_its_commas() {
        let line = Line::new().text("  + fleet.web[10,12,14,16,18,20]");
        assert_eq!(wrapped(20, 0, 4, &line), "  + fleet.web[10,12,\n    14,16,18,20]\n");
    }

    #[test]
    fn colour_is_reset_at_the_end_of_a_row_and_control_characters_are_escaped() {
        let mut page = Page::new(Style { width: 80, color: true });
        page.wrap(0, 0, &Line::new().add(Ink::Add, "+").text(" a\u{1b}[2J"));
        assert_eq!(page.finish(), "\u{1b}[32m+ \u{1b}[0ma\\u{1b}[2J\n");
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_but_a_single_word(
            texts in prop::collection::vec("[a-z镜é ]{0,30}", 0..6), width in 20usize..60, first in 0usize..8, hang in 0usize..8,
        ) {
            let mut line = Line::new();
            for text in &texts {
                line.push(Ink::Add, text);
            }
            let wrapped = wrapped(width, first, hang, &line);
            for row in wrapped.lines() {
                prop_assert!(display_width(row) <= width || !row.trim().contains(' '), "{row:?}");
            }
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&wrapped), letters(&texts.concat()));
        }
    }
}
