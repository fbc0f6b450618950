//! Just enough of Rust's grammar to hold it to the rules: words, marks and texts, without comments; which of them are
//! for tests only; and the paths that they name.

use std::collections::BTreeSet;

/// A word, a mark or a text of Rust.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// A word, one mark (`::` is one), or a text: `"` and what is in it, so that it never equals a word.
    pub(crate) text: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(crate) test: bool,
}

/// A path with where it stands: `std::{fs, time::Instant}` is two of them.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The line of its last word.
    pub(crate) line: usize,
    /// Its words; the last is `*` when it names everything in there.
    pub(crate) words: Vec<String>,
    /// The modules within the file around it.
    pub(crate) inside: Vec<String>,
    /// Whether it is in code for tests.
    pub(crate) test: bool,
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn second(&self) -> Option<char> {
        self.chars.clone().nth(1)
    }

    fn word(&mut self, mut word: String) -> String {
        while let Some(next) = self.peek().filter(|next| next.is_alphanumeric() || *next == '_') {
            word.push(next);
            self.next();
        }
        word
    }

    /// What is left of a text up to its end: a quote that no backslash precedes.
    fn quoted(&mut self, end: char) -> String {
        let mut text = String::from('"');
        while let Some(next) = self.next().filter(|next| *next != end) {
            if next == '\\' {
                self.next();
            } else {
                text.push(next);
            }
        }
        text
    }

    /// What is left of a raw text behind `r`; `None` where it is a raw word.
    fn raw(&mut self) -> Option<String> {
        let ahead: String = self.chars.clone().take_while(|next| *next == '#').collect();
        if self.chars.clone().nth(ahead.len()) != Some('"') {
            return None;
        }
        for _ in 0..=ahead.len() {
            self.next();
        }
        let end = format!("\"{ahead}");
        let mut text = String::from('"');
        while let Some(next) = self.next() {
            text.push(next);
            if text.len() > end.len() && text.ends_with(&end) {
                text.truncate(text.len() - end.len());
                break;
            }
        }
        Some(text)
    }

    fn comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.next() {
            match (next, self.peek()) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => continue,
            }
            self.next();
            if depth == 0 {
                return;
            }
        }
    }

    fn token(&mut self) -> Option<(usize, String)> {
        loop {
            let (line, next) = (self.line, self.peek()?);
            if next == '/' && self.second() == Some('*') {
                self.comment();
                continue;
            }
            self.next();
            let text = match (next, self.peek()) {
                (space, _) if space.is_whitespace() => continue,
                ('/', Some('/')) => {
                    while self.next().is_some_and(|next| next != '\n') {}
                    continue;
                }
                ('"', _) => self.quoted('"'),
                (':', Some(':')) => {
                    self.next();
                    "::".to_owned()
                }
                ('\'', Some('\\')) => self.quoted('\''),
                ('\'', Some(_)) if self.second() == Some('\'') => self.quoted('\''),
                ('\'', _) => format!("'{}", self.word(String::new())),
                (first, _) if first.is_alphanumeric() || first == '_' => self.word_or_text(first),
                (mark, _) => mark.to_string(),
            };
            return Some((line, text));
        }
    }

    fn word_or_text(&mut self, first: char) -> String {
        let word = self.word(first.to_string());
        match (word.as_str(), self.peek()) {
            ("r" | "br" | "cr", Some('"' | '#')) => self.raw().unwrap_or_else(|| {
                self.next();
                self.word(String::new())
            }),
            ("b" | "c", Some('"')) => {
                self.next();
                self.quoted('"')
            }
            ("b", Some('\'')) => {
                self.next();
                self.quoted('\'')
            }
            _ => word,
        }
    }
}

/// Reads a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
    let read = std::iter::from_fn(|| reader.token());
    let mut tokens: Vec<Token> = read.map(|(line, text)| Token { line, text, test: false }).collect();
    let mut at = 0;
    while at < tokens.len() {
        let end = if is(&tokens, at, TEST_ONLY) { item_end(&tokens, at) } else { at };
        tokens[at..end].iter_mut().for_each(|token| token.test = true);
        at = end.max(at + 1);
    }
    tokens
}

const TEST_ONLY: &[&str] = &["#", "[", "cfg", "(", "test", ")", "]"];

/// Whether these words and marks stand at a place.
pub(crate) fn is(tokens: &[Token], at: usize, wanted: &[&str]) -> bool {
    let there = tokens.iter().skip(at).map(|token| token.text.as_str());
    there.take(wanted.len()).eq(wanted.iter().copied())
}

/// Behind the item that begins with these attributes.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut attribute = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "[" if depth == 0 && tokens[at - 1].text == "#" => {
                attribute += 1;
                depth += 1;
            }
            "[" | "(" | "{" => depth += 1,
            "]" if attribute > 0 && depth == 1 => {
                attribute -= 1;
                depth -= 1;
            }
            "]" | ")" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The files that a file names as modules for tests only: each as it may be called, with or without a folder.
pub(crate) fn test_files(file: &str, tokens: &[Token]) -> BTreeSet<String> {
    let (folder, stem) = file.rsplit_once('/').unwrap_or(("", file));
    let own = stem.trim_end_matches(".rs");
    let children = if matches!(own, "mod" | "lib" | "main") { folder.to_owned() } else { format!("{folder}/{own}") };
    let mut files = BTreeSet::new();
    let mut renamed = None;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.test) {
        if is(tokens, at, &["path", "="]) {
            renamed = tokens.get(at + 2).map(|token| format!("{folder}/{}", token.text.trim_start_matches('"')));
        }
        if token.text == "mod" && tokens.get(at + 2).is_some_and(|token| token.text == ";") {
            let name = &tokens[at + 1].text;
            files.extend(renamed.take().or_else(|| Some(format!("{children}/{name}.rs"))));
            files.insert(format!("{children}/{name}/"));
        }
    }
    files
}

/// All paths that begin with one of these words.
pub(crate) fn paths(tokens: &[Token], heads: &[&str]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut modules: Vec<(usize, String)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "mod" if tokens.get(at + 2).is_some_and(|token| token.text == "{") => {
                modules.push((depth, tokens[at + 1].text.clone()));
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                modules.retain(|(outside, _)| *outside < depth);
            }
            head if heads.contains(&head) && begins(tokens, at) => {
                let mut leaves = Vec::new();
                tree(tokens, at, Vec::new(), &mut leaves);
                found.extend(leaves.into_iter().map(|(line, words)| Path {
                    line,
                    words,
                    inside: modules.iter().map(|(_, name)| name.clone()).collect(),
                    test: token.test,
                }));
            }
            _ => {}
        }
    }
    found
}

/// Whether a word is the head of a longer path, or is imported as it is.
fn begins(tokens: &[Token], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).map_or("", |at| tokens[at].text.as_str());
    let goes_on = tokens.get(at + 1).is_some_and(|token| token.text == "::");
    let head = before(1) != "::" || before(2) == "self";
    head && (goes_on || before(1) == "use")
}

fn tree(tokens: &[Token], at: usize, mut words: Vec<String>, leaves: &mut Vec<(usize, Vec<String>)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens[at].line;
    if text(at) != "self" {
        words.push(text(at).to_owned());
    }
    if text(at) == "*" || text(at + 1) != "::" {
        leaves.push((line, words));
        return at + 1;
    }
    match text(at + 2) {
        "{" => {
            let mut at = at + 3;
            while at < tokens.len() && text(at) != "}" {
                at = if text(at) == "," { at + 1 } else { tree(tokens, at, words.clone(), leaves) };
                if text(at) == "as" {
                    at += 2;
                }
            }
            at + 1
        }
        next if next == "*" || next.starts_with(|first: char| first.is_alphabetic() || first == '_') => {
            tree(tokens, at + 2, words, leaves)
        }
        _ => {
            leaves.push((line, words));
            at + 2
        }
    }
}
