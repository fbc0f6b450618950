//! A terminal, as far as it takes to see what stands there in the end, and what stood at its foot meanwhile.

use std::cell::RefCell;
use std::io::{BufRead, Read, Result as IoResult, Write};
use std::rc::Rc;

use unicode_width::UnicodeWidthChar;

/// What stands for the escape character where people read it.
const ESCAPE_SHOWN: char = '␛';

/// Rows of characters in their colours, and a cursor.
#[derive(Debug)]
pub(crate) struct Terminal {
    width: usize,
    rows: Vec<Vec<Cell>>,
    row: usize,
    column: usize,
    /// The sequences since the last reset.
    ink: String,
    /// Each state that a table at the foot went through since [`Self::feet`] was asked last.
    feet: Vec<Vec<String>>,
    /// Rows that were too long, and went on in the next one.
    wrapped: Vec<String>,
}

#[derive(Clone, Debug)]
struct Cell {
    text: char,
    ink: String,
}

impl Terminal {
    /// An empty one of so many columns.
    pub(crate) fn new(width: usize) -> Self {
        let rows = vec![Vec::new()];
        Self { width, rows, row: 0, column: 0, ink: String::new(), feet: Vec::new(), wrapped: Vec::new() }
    }

    /// All rows, with sequences where the colour changes.
    pub(crate) fn text(&self) -> String {
        self.rows.iter().map(|row| shown(row)).collect::<Vec<_>>().join("\n")
    }

    /// The tables that stood at the foot since this was asked last, in their order; each is some rows.
    pub(crate) fn feet(&mut self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.feet)
    }

    /// Rows that were too long for the terminal.
    pub(crate) fn wrapped(&self) -> &[String] {
        &self.wrapped
    }

    pub(crate) fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\r' => self.column = 0,
                '\n' => self.next_row(),
                '\u{1b}' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).expect("a sequence has an end");
                    self.obey(&rest[1..end], &rest[end..=end]);
                    rest = &rest[end + 1..];
                }
                c => self.put(c),
            }
        }
    }

    fn next_row(&mut self) {
        assert_eq!(self.ink, "", "a row ends in colour: {}", shown(&self.rows[self.row]));
        (self.row, self.column) = (self.row + 1, 0);
        self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
    }

    fn put(&mut self, c: char) {
        assert!(!c.is_control(), "{c:?} reaches the terminal");
        let columns = c.width().unwrap_or(0);
        if self.column + columns > self.width {
            self.wrapped.push(shown(&self.rows[self.row]));
            (self.row, self.column) = (self.row + 1, 0);
            self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        }
        let row = &mut self.rows[self.row];
        let cell = |text| Cell { text, ink: self.ink.clone() };
        row.resize(row.len().max(self.column + columns), Cell { text: ' ', ink: String::new() });
        row[self.column] = cell(c);
        // The right half of a wide character.
        (1..columns).for_each(|n| row[self.column + n] = cell('\0'));
        self.column += columns;
    }

    fn obey(&mut self, number: &str, command: &str) {
        match command {
            "A" => {
                let up: usize = number.parse().expect("a number of rows");
                let from = self.row.checked_sub(up).expect("rows above");
                self.feet.push(self.rows[from..self.row].iter().map(|row| shown(row)).collect());
                self.row = from;
            }
            "K" => self.rows[self.row].truncate(self.column),
            "J" => {
                self.rows[self.row].truncate(self.column);
                self.rows.truncate(self.row + 1);
            }
            "m" if matches!(number, "" | "0") => self.ink.clear(),
            "m" => self.ink.push_str(&format!("{ESCAPE_SHOWN}[{number}m")),
            other => panic!("{other} is not understood"),
        }
    }
}

/// A row as text.
fn shown(row: &[Cell]) -> String {
    let mut text = String::new();
    let mut ink = "";
    let reset = |text: &mut String, ink: &str| {
        if !ink.is_empty() {
            text.push_str(&format!("{ESCAPE_SHOWN}[0m"));
        }
    };
    for cell in row.iter().filter(|cell| cell.text != '\0') {
        if cell.ink != ink {
            reset(&mut text, ink);
            text.push_str(&cell.ink);
            ink = &cell.ink;
        }
        text.push(cell.text);
    }
    reset(&mut text, ink);
    text
}

/// The text without its colours.
pub(crate) fn without_colour(text: &str) -> String {
    let mut parts = text.split(ESCAPE_SHOWN);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').expect("a sequence has an end").1)
}

/// A stream that ends on a terminal.
pub(crate) struct Onto(pub(crate) Rc<RefCell<Terminal>>);

impl Write for Onto {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        self.0.borrow_mut().write(std::str::from_utf8(bytes).expect("whole characters"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

/// What is typed; the terminal shows it when it is read.
pub(crate) struct Keys<'a> {
    pub(crate) typed: &'a [u8],
    pub(crate) terminal: Rc<RefCell<Terminal>>,
}

impl Read for Keys<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> IoResult<usize> {
        let count = self.fill_buf()?.read(bytes)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Keys<'_> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        Ok(self.typed)
    }

    fn consume(&mut self, count: usize) {
        let (read, rest) = self.typed.split_at(count);
        self.terminal.borrow_mut().write(std::str::from_utf8(read).expect("whole characters"));
        self.typed = rest;
    }
}
