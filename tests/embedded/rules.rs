//! `docs/rules.md` says which rule has which code, and which test shows it: what it names is there, and what is there is
//! named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../docs/rules.md");
const CODES: &str = include_str!("../fixtures/cvm-codes.txt");
const SETTINGS: &str = include_str!("../../src/cloud/embedded/settings.rs");

/// Settings that choose no rule: how long and how much, whose keys, what is kept, what goes wrong.
const NO_RULES: [&str; 8] =
    ["pace", "jitter_percent", "limits", "seed", "credentials", "signature_window_ms", "log", "faults"];

/// What tests try that is not in their text, but in a file that they read.
const FROM_FILES: [(&str, &str); 2] = [
    ("every_parameter_is_taken_as_the_api_text_says", include_str!("../fixtures/cvm-parameters.txt")),
    ("every_negative_is_refused_with_its_code", include_str!("../fixtures/tc3-vectors.json")),
];

/// The rows of the tables, as their cells: four of a rule, five of an open question.
fn rows() -> Vec<Vec<&'static str>> {
    TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").map(str::trim).collect::<Vec<_>>())
        .filter(|cells| !matches!(cells[0], "rule" | "question") && !cells[0].starts_with("---"))
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn codes() -> BTreeSet<&'static str> {
    CODES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next()).collect()
}

/// The files of Rust below a folder.
fn files(folder: &str) -> Vec<String> {
    let mut open: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut texts = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            texts.push(std::fs::read_to_string(&path).expect("text"));
        }
    }
    texts
}

/// Each test with its text.
fn tests() -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    for text in files("tests") {
        for part in text.split("#[test]\nfn ").skip(1) {
            let name = part.split('(').next().unwrap_or_default().to_owned();
            let body = part.split("\n}\n").next().unwrap_or_default().to_owned();
            tests.insert(name, body);
        }
    }
    tests
}

/// The fields of `Settings`.
fn settings() -> BTreeSet<&'static str> {
    let fields = SETTINGS.split_once("pub struct Settings {").and_then(|(_, rest)| rest.split_once("\n}"));
    let lines = fields.map(|(fields, _)| fields.lines()).into_iter().flatten();
    lines.filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next()).collect()
}

#[test]
fn what_the_table_of_rules_names_is_there() {
    let (codes, tests, settings) = (codes(), tests(), settings());
    let mut wrong = Vec::new();
    let rows = rows();
    assert!(rows.len() > 200, "{} rows", rows.len());
    for cells in rows {
        let mut named: Vec<&str> = Vec::new();
        let shown = match cells.as_slice() {
            [_, code, test] => {
                named.extend(quoted(code));
                quoted(test)
            }
            [_, setting, default, other, test] => {
                wrong.extend(
                    quoted(setting).iter().filter(|s| !settings.contains(**s)).map(|s| format!("no setting {s}")),
                );
                // Other words stand in backticks there, too.
                let cells = quoted(default).into_iter().chain(quoted(other));
                named.extend(cells.filter(|word| word.len() > 3 && word.starts_with(|c: char| c.is_uppercase())));
                quoted(test)
            }
            other => panic!("a row of {} cells: {other:?}", other.len()),
        };
        wrong.extend(named.iter().filter(|code| !codes.contains(**code)).map(|code| format!("no code {code}")));
        if shown.is_empty() {
            wrong.push(format!("no test for: {}", cells[0]));
        }
        for test in shown {
            let Some(body) = tests.get(test) else {
                wrong.push(format!("no test {test}"));
                continue;
            };
            let file = FROM_FILES.iter().find(|(name, _)| *name == test).map(|(_, text)| *text).unwrap_or_default();
            let common = ["UnknownParameter", "InvalidParameter", "MissingParameter"];
            let tried = |code: &str| body.contains(code) || file.contains(code) || common.contains(&code);
            wrong.extend(named.iter().filter(|code| !tried(code)).map(|code| format!("{test} does not show {code}")));
        }
    }
    assert!(wrong.is_empty(), "{} faults in docs/rules.md:\n{}\n", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_embedded_cloud_enforces_is_in_the_table_of_rules() {
    let told: BTreeSet<&str> = rows().iter().flat_map(|cells| cells.iter().flat_map(|cell| quoted(cell))).collect();
    let codes = codes();
    let mut missing = BTreeSet::new();
    for text in files("src/cloud/embedded") {
        for word in text.split('"').filter(|word| codes.contains(word) && !told.contains(word)) {
            missing.insert(format!("the code {word}"));
        }
    }
    for setting in settings() {
        if !NO_RULES.contains(&setting) && !told.contains(setting) {
            missing.insert(format!("the setting {setting}"));
        }
    }
    assert!(missing.is_empty(), "docs/rules.md lacks {missing:?}");
    let unknown: Vec<&str> = NO_RULES.into_iter().filter(|name| !settings().contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
