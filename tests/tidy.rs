//! The rules of the house, as tests: which folder may use which, what stays out of the pure ones, and how files look.
//!
//! A rule that cannot fail is no rule: `tests/tidy/rules.rs` breaks each of them once.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/tokens.rs"]
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::path::{Path as FsPath, PathBuf};

use tokens::{Token, is, paths};

/// What a folder may use besides itself. The longest prefix that fits a file counts.
const MAY_USE: &[(&str, &[&str])] = &[
    ("src/lib.rs", EVERYTHING),
    ("src/main.rs", &["cli"]),
    ("src/model", &[]),
    ("src/diagnostic", &["model"]),
    ("src/graph", &["model", "diagnostic"]),
    ("src/config", &["model", "diagnostic", "graph"]),
    ("src/diff", &["model", "graph"]),
    ("src/cloud", &["model", "diagnostic"]),
    ("src/cloud/embedded", &["model", "diagnostic", "cloud", "database"]),
    ("src/cloud/observe", &["model", "diagnostic", "cloud::call", "cloud::args"]),
    ("src/plan", &["model", "diagnostic", "graph", "diff", "cloud::call"]),
    ("src/database.rs", &[]),
    ("src/store", &["model", "diagnostic", "plan", "cloud::call", "cloud::budget", "database"]),
    ("src/apply", &["model", "diagnostic", "plan", "cloud", "store"]),
    ("src/apply/engine", ENGINE),
    ("src/ops", &["model", "diagnostic", "graph", "diff", "config", "cloud", "plan", "store", "apply"]),
    ("src/report", &["model", "diagnostic", "graph", "diff", "cloud", "plan", "store", "apply"]),
    ("src/cli", EVERYTHING),
];

/// The engine has no driver, no clock and no cloud in reach.
const ENGINE: &[&str] = &[
    "model",
    "diagnostic",
    "plan",
    "store",
    "cloud::call",
    "cloud::args",
    "cloud::budget",
    "apply::events",
    "apply::evidence",
];

const EVERYTHING: &[&str] =
    &["model", "diagnostic", "graph", "diff", "config", "cloud", "plan", "store", "apply", "ops", "report", "cli"];

/// Where nothing is read, asked, started or printed: values in, values out.
const PURE: &[&str] = &[
    "src/model",
    "src/diagnostic",
    "src/graph",
    "src/diff",
    "src/config",
    "src/plan",
    "src/apply/engine",
    "src/apply/evidence.rs",
    "src/apply/events.rs",
    "src/cloud/observe",
    "src/cloud/call.rs",
    "src/cloud/query.rs",
    "src/cloud/answer.rs",
    "src/cloud/args.rs",
    "src/cloud/budget.rs",
    "src/report",
];

/// What lies in a pure folder and is not: reading a config's directory.
const NOT_PURE: &[&str] = &["src/config/files.rs"];

/// What pure code does without, and how.
const IMPURE: &[(&str, &str)] = &[
    ("std::time::SystemTime", "take the time as a value"),
    ("std::time::Instant", "take the time as a value"),
    ("std::fs", "take what the file holds as a value"),
    ("std::env", "take it as a value: the environment is an input of the command line"),
    ("std::thread", "leave threads to the driver"),
    ("std::net", "leave the network to `cloud`"),
    ("std::os::unix::net", "leave the network to `cloud`"),
    ("std::process", "leave processes to whoever calls"),
    ("getrandom", "take the seed as a value"),
];

const STREAMS: &[&str] = &["stdin", "stdout", "stderr"];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// Crates that live in one place.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("serde_yaml", &["src/config"]),
    ("saphyr_parser", &["src/config"]),
    ("rusqlite", &["src/store", "src/cloud/embedded"]),
    ("petgraph", &["src/graph", "src/plan"]),
    ("similar", &["src/report"]),
    ("clap", &["src/cli"]),
    ("clap_complete", &["src/cli"]),
    ("clap_mangen", &["src/cli"]),
    ("ureq", &["src/cloud/cvm/http.rs", "src/ops/probe.rs"]),
    ("httpdate", &["src/cloud/cvm/http.rs"]),
    ("rustls", &["src/cloud/cvm/http.rs"]),
    ("rustix", &["src/ops/hook.rs"]),
    ("tokio", &["src/cloud/embedded/http.rs"]),
    ("tokio_io_timeout", &["src/cloud/embedded/http.rs"]),
    ("hyper", &["src/cloud/embedded/http.rs"]),
    ("hyper_util", &["src/cloud/embedded/http.rs"]),
    ("http_body_util", &["src/cloud/embedded/http.rs"]),
];

const MOST_LINES: usize = 700;
const MANY_LINES: usize = 500;

/// Breaches that were there when a rule came: the file, and words of the fault. None is added, and one that is mended is
/// taken out.
const KNOWN: &[(&str, &str)] = &[];

/// What belongs in nobody's reading: notes to oneself, and talk about the work instead of the thing.
const NOTES: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("issue", " #"),
    concat!("pull request", " #"),
];

/// A broken rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Fault {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

fn under(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

fn row(file: &str) -> Option<(&'static str, &'static [&'static str])> {
    let rows = MAY_USE.iter().filter(|(place, _)| under(file, place));
    rows.max_by_key(|(place, _)| place.len()).copied()
}

/// The module that a file is: `src/plan/quota.rs` is `plan::quota`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|word| !matches!(*word, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// What a path names, from the root of the crate.
fn resolved(file: &str, path: &tokens::Path) -> Vec<String> {
    let supers = path.words.iter().take_while(|word| *word == "super").count();
    if supers == 0 {
        return path.words[1..].to_vec();
    }
    let mut module = module(file);
    module.extend(path.inside.iter().cloned());
    module.truncate(module.len().saturating_sub(supers));
    module.extend(path.words[supers..].iter().cloned());
    module
}

fn imports(file: &str, tokens: &[Token]) -> Vec<Fault> {
    let fault = |line, what| Fault { file: file.to_owned(), line, what };
    let Some((place, allowed)) = row(file) else {
        let what = "is in no row of the table of who may use whom: add one to MAY_USE in tests/tidy.rs";
        return vec![fault(1, what.to_owned())];
    };
    let heads: &[&str] = if place == "src/main.rs" { &["fleetwright"] } else { &["crate", "super"] };
    let own = module(place);
    let mut faults = Vec::new();
    for path in paths(tokens, heads) {
        let named = resolved(file, &path);
        let fits = |prefix: &[String]| !prefix.is_empty() && named.starts_with(prefix);
        if fits(&own) || place == "src/lib.rs" || allowed.iter().any(|prefix| fits(&words(prefix))) {
            continue;
        }
        let shown = if named.is_empty() { "the whole crate".to_owned() } else { format!("`{}`", named.join("::")) };
        let list = if allowed.is_empty() { "nothing else".to_owned() } else { allowed.join(", ") };
        faults.push(fault(
            path.line,
            format!("{place} may not use {shown}, only itself and {list}: hand it in as a value, or move this code up"),
        ));
    }
    faults
}

fn words(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}

fn is_pure(file: &str) -> bool {
    PURE.iter().any(|place| under(file, place)) && !NOT_PURE.iter().any(|place| under(file, place))
}

fn purity(file: &str, tokens: &[Token]) -> Vec<Fault> {
    if !is_pure(file) {
        return Vec::new();
    }
    let fault = |line, what| Fault { file: file.to_owned(), line, what };
    let mut faults = Vec::new();
    for path in paths(tokens, &["std", "getrandom"]).into_iter().filter(|path| !path.test) {
        let globbed = path.words.last().is_some_and(|last| last == "*");
        let named = &path.words[..path.words.len() - usize::from(globbed)];
        for (banned, instead) in IMPURE {
            let banned = words(banned);
            if named.starts_with(&banned) || (banned.starts_with(named) && banned != named) {
                let what =
                    format!("`{}` brings `{}` into pure code: {instead}", path.words.join("::"), banned.join("::"));
                faults.push(fault(path.line, what));
                break;
            }
        }
    }
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !token.test) {
        if PRINTING.contains(&token.text.as_str()) && is_macro(tokens, at) {
            faults
                .push(fault(token.line, format!("`{}!` in pure code: return the text, only `cli` prints", token.text)));
        }
        let named = at > 0 && !matches!(tokens[at - 1].text.as_str(), "." | "fn");
        if STREAMS.contains(&token.text.as_str()) && named && is(tokens, at + 1, &["(", ")"]) {
            let what = format!("`{}` in pure code: take and return texts, only `cli` reads and prints", token.text);
            faults.push(fault(token.line, what));
        }
        if is(tokens, at, &["::", "now", "("]) {
            faults.push(fault(token.line, "a clock is asked in pure code: take the time as a value".to_owned()));
        }
    }
    faults
}

fn is_macro(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    text(at + 1) == "!" && matches!(text(at + 2), "(" | "[" | "{")
}

fn crates(file: &str, tokens: &[Token]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, places) in ONLY_IN.iter().filter(|(_, places)| !places.iter().any(|place| under(file, place))) {
        for path in paths(tokens, &[name]) {
            let what = format!("`{name}` is used in {} only: ask that folder for what you need", places.join(" and "));
            faults.push(Fault { file: file.to_owned(), line: path.line, what });
        }
    }
    faults
}

/// What is nowhere in this code.
fn habits(file: &str, tokens: &[Token]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line, what: &str| faults.push(Fault { file: file.to_owned(), line, what: what.to_owned() });
    for (at, token) in tokens.iter().enumerate() {
        let attribute = token.text == "#" && (is(tokens, at + 1, &["["]) || is(tokens, at + 1, &["!", "["]));
        if attribute {
            let inside: Vec<&str> =
                tokens[at..].iter().map(|token| token.text.as_str()).take_while(|text| *text != "]").collect();
            if inside.windows(2).any(|pair| pair == ["allow", "("]) {
                fault(
                    token.line,
                    "`allow` hides what it no longer needs to: use `#[expect(…, reason = \"…\")]`, or mend it",
                );
            }
            if inside.iter().skip_while(|text| matches!(**text, "#" | "!" | "[")).take(1).any(|text| *text == "ignore")
                || (inside.contains(&"cfg_attr") && inside.contains(&"ignore"))
            {
                fault(token.line, "an ignored test tells nothing: mend it or delete it");
            }
        }
        if matches!(token.text.as_str(), "todo" | "unimplemented") && is_macro(tokens, at) {
            fault(token.line, "what is not there yet is left out, or is a fault that says so: no unfinished code");
        }
        if !token.test && file.starts_with("src/") && is(tokens, at, &[".", "unwrap", "(", ")"]) {
            fault(
                token.line,
                "`unwrap` ends the program without a word: return a fault, or `expect` with why it cannot be",
            );
        }
    }
    faults
}

fn form(file: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        let what = format!("{lines} lines, and {MOST_LINES} are allowed: split it by what its parts are about");
        faults.push(Fault { file: file.to_owned(), line: lines, what });
    }
    if file.ends_with("/mod.rs") && !text.starts_with("//!") {
        let what = "a folder's mod.rs begins with `//!` and what the folder is for".to_owned();
        faults.push(Fault { file: file.to_owned(), line: 1, what });
    }
    faults
}

/// What is left over from the work, in any file that people read.
fn leftovers(file: &str, text: &str, checkout: &str) -> Vec<Fault> {
    let homes = [concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/ho", "me/")];
    let mut faults = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let mut fault = |what| faults.push(Fault { file: file.to_owned(), line: n + 1, what });
        for note in NOTES.iter().filter(|note| stands_in(line, note)) {
            fault(format!("`{}`: do it, or say what is so and why", note.trim()));
        }
        let machine = homes.iter().copied().chain((checkout.matches('/').count() > 1).then_some(checkout));
        for path in machine.filter(|path| stands_in(line, path)) {
            fault(format!("`{path}` is a path of one machine: use one that everybody has"));
        }
    }
    faults
}

/// Whether words stand in a line, and not as parts of longer ones.
fn stands_in(line: &str, words: &str) -> bool {
    let part = |other: char| other.is_alphanumeric() || matches!(other, '_' | '-' | '.');
    let open_end = words.ends_with(|last: char| !last.is_alphanumeric());
    line.match_indices(words).any(|(at, _)| {
        let after = line[at + words.len()..].chars().next();
        !line[..at].ends_with(part) && (open_end || !after.is_some_and(|after| part(after) && after != '.'))
    })
}

/// All that the rules have to say about a file of Rust.
fn check(file: &str, text: &str, tests: &BTreeSet<String>) -> Vec<Fault> {
    let mut tokens = tokens::tokens(text);
    let only_tests = tests.iter().any(|test| file == test || (test.ends_with('/') && file.starts_with(test.as_str())));
    tokens.iter_mut().for_each(|token| token.test |= only_tests);
    let mut faults = form(file, text);
    faults.extend(habits(file, &tokens));
    if file.starts_with("src/") {
        faults.extend(imports(file, &tokens));
        faults.extend(purity(file, &tokens));
        faults.extend(crates(file, &tokens));
    }
    faults
}

fn root() -> &'static FsPath {
    FsPath::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under these places, with their names from the root, that are text.
fn files(places: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> = places.iter().map(|place| root().join(place)).filter(|path| path.exists()).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder that can be read");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).expect("under the root").to_string_lossy().replace('\\', "/");
        found.push((name, text));
    }
    found.sort();
    found
}

fn rust(places: &[&str]) -> Vec<(String, String)> {
    files(places).into_iter().filter(|(name, _)| name.ends_with(".rs")).collect()
}

/// The breaches that nobody knew of, and the known ones that are gone.
fn unknown(faults: &[Fault], known: &[(&str, &str)]) -> Vec<Fault> {
    let is = |fault: &Fault, (file, what): &(&str, &str)| fault.file == *file && fault.what.contains(what);
    let gone = known.iter().filter(|known| !faults.iter().any(|fault| is(fault, known))).map(|(file, what)| Fault {
        file: "tests/tidy.rs".to_owned(),
        line: 1,
        what: format!("{file} has been mended ({what}): take it out of KNOWN"),
    });
    faults.iter().filter(|fault| !known.iter().any(|known| is(fault, known))).cloned().chain(gone).collect()
}

fn none(mut faults: Vec<Fault>) {
    faults.sort();
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} rules of the house are broken:\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn the_code_keeps_the_rules() {
    let files = rust(&["src", "tests", "benches"]);
    assert!(files.iter().any(|(name, _)| name == "src/lib.rs"), "the code was not found");
    let tests: BTreeSet<String> =
        files.iter().flat_map(|(name, text)| tokens::test_files(name, &tokens::tokens(text))).collect();
    let faults: Vec<Fault> = files.iter().flat_map(|(name, text)| check(name, text, &tests)).collect();
    none(unknown(&faults, KNOWN));

    let long = files.iter().map(|(name, text)| (text.lines().count(), name)).filter(|(lines, _)| *lines > MANY_LINES);
    for (lines, name) in long {
        let note = format!("note: {name} has {lines} lines; most files here have fewer than {MANY_LINES}\n");
        std::io::stderr().write_all(note.as_bytes()).expect("a note");
    }
}

#[test]
fn every_folder_of_the_code_says_what_it_is_for() {
    let files = rust(&["src"]);
    let folders: BTreeSet<&str> = files.iter().filter_map(|(name, _)| Some(name.rsplit_once('/')?.0)).collect();
    let lacking = folders.into_iter().filter(|folder| {
        *folder != "src" && !files.iter().any(|(name, _)| name.strip_suffix("/mod.rs") == Some(folder))
    });
    let what = "has no mod.rs: add one that begins with `//!` and what the folder is for";
    none(lacking.map(|folder| Fault { file: folder.to_owned(), line: 1, what: what.to_owned() }).collect());
}

#[test]
fn nothing_is_left_over_from_the_work() {
    let places = [
        "src",
        "tests",
        "benches",
        "docs",
        "state",
        "examples",
        ".ci",
        "Cargo.toml",
        "deny.toml",
        "clippy.toml",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ];
    let checkout = root().to_string_lossy();
    let files = files(&places);
    none(files.iter().flat_map(|(name, text)| leftovers(name, text, &checkout)).collect());
}

#[test]
fn the_code_map_names_every_folder_and_nothing_else() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    none(rules::map_faults(&map, &rust(&["src"]), |path| root().join(path).exists()));
}
