//! A fault as data: what, where, why, and what to do. The command line decides how it looks.

mod code;
mod nearest;
mod page;
mod source;

pub use code::{Class, Code, codes};
pub use nearest::nearest;
pub use page::{Page, Part};
pub use source::{Entry, Source, SourceMap, Span};

use crate::model::path::Path;

/// A name as a terminal shows it: what would move the cursor, change colours or turn the writing round is written as an
/// escape.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Whether a character does something else than being seen.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Nothing can be done until it is put right.
    Error,
    /// It may be meant.
    Warning,
    /// Good to know.
    Note,
}

/// Where in the config a fault is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The value at a path; where there is none, the nearest thing around it.
    Value(Path),
    /// The key at a path.
    Key(Path),
    /// A stretch of a file.
    Span(Span),
}

/// A fault, or something worth knowing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Which fault it is; documented, and the same for ever.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What the caret says; empty: nothing beyond the message.
    pub label: String,
    /// Other places that have to do with it.
    pub related: Vec<(Place, String)>,
    /// Why.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    /// A note.
    #[must_use]
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, message)
    }

    fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            place: None,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// The same, at the value of a path.
    #[must_use]
    pub fn at(mut self, path: Path) -> Self {
        self.place = Some(Place::Value(path));
        self
    }

    /// The same, at the key of a path.
    #[must_use]
    pub fn at_key(mut self, path: Path) -> Self {
        self.place = Some(Place::Key(path));
        self
    }

    /// The same, at a stretch of a file.
    #[must_use]
    pub fn at_span(mut self, span: Span) -> Self {
        self.place = Some(Place::Span(span));
        self
    }

    /// The same, with a text at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with another place that has to do with it.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    /// The same, with one more reason.
    #[must_use]
    pub fn why(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same, with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
