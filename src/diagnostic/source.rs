//! Where things stand in the files of a config.

use std::collections::BTreeMap;

use super::Place;
use crate::model::path::Path;

/// A stretch of a file, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    /// Which file of the [`SourceMap`].
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A file of a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its path, as people write it.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Where one key and its value stand; positions of a list have no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Option<Span>,
    /// The value.
    pub value: Span,
}

/// The files of a config, and where each path stands in them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceMap {
    /// The files.
    pub sources: Vec<Source>,
    /// Where each path stands.
    pub entries: BTreeMap<Path, Entry>,
}

impl SourceMap {
    /// The stretch that a place stands for: where the path is not in the files, the nearest thing around it.
    #[must_use]
    pub fn span(&self, place: &Place) -> Option<Span> {
        let (path, want_key) = match place {
            Place::Span(span) => return Some(*span),
            Place::Value(path) => (path, false),
            Place::Key(path) => (path, true),
        };
        if let Some(entry) = self.entries.get(path) {
            return Some(if want_key { entry.key.unwrap_or(entry.value) } else { entry.value });
        }
        let mut around = path.clone();
        while around.0.pop().is_some() {
            if let Some(entry) = self.entries.get(&around) {
                return Some(entry.key.unwrap_or(entry.value));
            }
        }
        None
    }
}
