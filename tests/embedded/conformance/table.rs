//! The table of parameters, as it is read out of `tests/fixtures/cvm-parameters.txt`, which says how it is written.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a parameter is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Int,
    Uint,
    Bool,
    Shape(String),
    List(Box<Self>),
}

/// What is tried with a parameter.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Try {
    /// A value that is right.
    Right(Value),
    /// A value that is right, and for something that is not here.
    Absent(Value, String),
    Wrong(Value, String),
    Chars(usize, String),
    Count(usize, String),
    Range(i64, i64, String),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What leaving it out is answered.
    pub(super) required: Option<String>,
    pub(super) tries: Vec<Try>,
    /// What else the request says.
    pub(super) with: Option<Value>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Action {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) base: Value,
    pub(super) parameters: Vec<Parameter>,
    /// What it says of parameters inside objects, by their paths.
    pub(super) inside: BTreeMap<String, Vec<Try>>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Table {
    pub(super) shapes: BTreeMap<String, Vec<Parameter>>,
    pub(super) actions: Vec<Action>,
}

/// The table as it is checked in.
pub(super) fn table() -> Table {
    let mut table = Table::default();
    let mut shape = None;
    for line in include_str!("../../fixtures/cvm-parameters.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("shape ") {
            let (name, _) = name.split_once(" (").unwrap_or_else(|| panic!("{line}"));
            table.shapes.insert(name.to_owned(), Vec::new());
            shape = Some(name.to_owned());
            continue;
        }
        let Some(rest) = line.strip_prefix("  ") else {
            shape = None;
            table.actions.push(action(line));
            continue;
        };
        let (head, tries) = rest.split_once(" : ").unwrap_or((rest, ""));
        let (tries, with) = clauses(tries);
        match (&shape, head.strip_prefix('.')) {
            (Some(shape), _) => table.shapes.get_mut(shape).expect("a shape").push(parameter(head, tries, with)),
            (None, Some(path)) => {
                assert!(with.is_none(), "{line}");
                table.actions.last_mut().expect("an action").inside.insert(path.to_owned(), tries);
            }
            (None, None) => {
                table.actions.last_mut().expect("an action").parameters.push(parameter(head, tries, with));
            }
        }
    }
    table
}

fn action(line: &str) -> Action {
    let (service, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (name, rest) = rest.split_once(" (").unwrap_or_else(|| panic!("{line}"));
    let (_, base) = rest.split_once(") ").unwrap_or_else(|| panic!("{line}"));
    Action {
        service: service.to_owned(),
        name: name.to_owned(),
        base: json(base),
        parameters: Vec::new(),
        inside: BTreeMap::new(),
    }
}

fn parameter(head: &str, tries: Vec<Try>, with: Option<Value>) -> Parameter {
    let (name, kind) = head.split_once(' ').unwrap_or_else(|| panic!("{head}"));
    let (kind, required) = match kind.split_once('!') {
        Some((kind, "")) => (kind, Some("MissingParameter".to_owned())),
        Some((kind, code)) => (kind, Some(code.to_owned())),
        None => (kind, None),
    };
    Parameter { name: name.to_owned(), kind: self::kind(kind), required, tries, with }
}

fn kind(text: &str) -> Kind {
    match text {
        "text" => Kind::Text,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        "bool" => Kind::Bool,
        other => match other.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => Kind::List(Box::new(kind(inner))),
            None => Kind::Shape(other.to_owned()),
        },
    }
}

fn clauses(text: &str) -> (Vec<Try>, Option<Value>) {
    let mut tries = Vec::new();
    let mut with = None;
    for clause in text.split(" ; ").filter(|clause| !clause.is_empty()) {
        let (word, rest) = clause.split_once(' ').unwrap_or_else(|| panic!("{clause}"));
        let (value, code) = match rest.split_once(" -> ") {
            Some((value, code)) => (value, Some(code.to_owned())),
            None => (rest, None),
        };
        let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{clause}"));
        let size = || value.parse::<usize>().unwrap_or_else(|_| panic!("{clause}"));
        tries.push(match (word, code) {
            ("with", None) => {
                with = Some(json(value));
                continue;
            }
            ("=", None) => Try::Right(json(value)),
            ("=", Some(code)) => Try::Absent(json(value), code),
            ("no", Some(code)) => Try::Wrong(json(value), code),
            ("chars", Some(code)) => Try::Chars(size(), code),
            ("count", Some(code)) => Try::Count(size(), code),
            ("range", Some(code)) => {
                let (least, most) = value.split_once("..").unwrap_or_else(|| panic!("{clause}"));
                Try::Range(number(least), number(most), code)
            }
            _ => panic!("{clause}"),
        });
    }
    (tries, with)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
