//! Each rule, broken once, and what looks like a breach and is none.

use std::collections::BTreeSet;

use super::{Fault, check, leftovers, tokens};

/// What an architecture document leaves out, or names though it is not there.
pub(crate) fn map_faults(map: &str, code: &[(String, String)], exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    let fault = |line, what| Fault { file: "ARCHITECTURE.md".to_owned(), line, what };
    let folders: BTreeSet<&str> =
        code.iter().filter_map(|(name, _)| name.split_once('/')?.1.split_once('/')).map(|(folder, _)| folder).collect();
    let lacking =
        folders.into_iter().map(|folder| format!("src/{folder}/")).filter(|folder| !map.contains(folder.as_str()));
    let mut faults: Vec<Fault> = lacking
        .map(|folder| fault(1, format!("`{folder}` is not in the code map: add a line that says what it is for")))
        .collect();
    for (n, line) in map.lines().enumerate() {
        let named = line.split('`').skip(1).step_by(2);
        let gone = named.filter(|name| is_path(name) && !exists(name));
        faults
            .extend(gone.map(|name| fault(n + 1, format!("`{name}` is not there any more: name what took its place"))));
    }
    faults
}

fn is_path(name: &str) -> bool {
    let root = name.split('/').next().unwrap_or_default();
    name.contains('/')
        && matches!(root, "src" | "tests" | "docs" | "state" | "examples" | "benches" | ".ci")
        && !name.contains(['*', '<', ' ', '…'])
}

fn found(file: &str, text: &str) -> Vec<String> {
    check(file, text, &BTreeSet::new()).iter().map(ToString::to_string).collect()
}

/// Each of these has exactly one fault, which says this.
#[track_caller]
fn broken(file: &str, text: &str, place: &str, says: &str) {
    let found = found(file, text);
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("{file}:{place}: ")) && found[0].contains(says),
        "expected one fault at {file}:{place} with {says:?}, found {found:#?}"
    );
}

#[track_caller]
fn fine(file: &str, text: &str) {
    assert_eq!(found(file, text), Vec::<String>::new(), "{file}: {text}");
}

#[test]
fn who_uses_whom() {
    broken("src/model/a.rs", "use crate::diagnostic::Code;", "1", "src/model may not use `diagnostic::Code`");
    broken("src/diagnostic/mod.rs", "//! D.\nuse crate::graph::Blocks;", "2", "`graph::Blocks`");
    broken("src/config/read.rs", "use crate::plan::plan;", "1", "`plan::plan`");
    broken("src/graph/mod.rs", "//! G.\n\nuse crate::config::load;", "3", "`config::load`");
    broken("src/diff/slot.rs", "use crate::diagnostic::Code;", "1", "only itself and model, graph");
    broken("src/cloud/call.rs", "use crate::plan::Step;", "1", "src/cloud may not use `plan::Step`");
    broken("src/cloud/embedded/api.rs", "use crate::store::Store;", "1", "src/cloud/embedded may not use");
    broken("src/plan/quota.rs", "use crate::cloud::cvm::Client;", "1", "`cloud::cvm::Client`");
    broken("src/plan/quota.rs", "use crate::cloud::*;", "1", "`cloud::*`");
    broken("src/plan/quota.rs", "use crate::cloud as c;", "1", "`cloud`");
    broken("src/store/read.rs", "use crate::apply::Engine;", "1", "`apply::Engine`");
    broken("src/apply/driver.rs", "use crate::diff::Attr;", "1", "`diff::Attr`");
    broken("src/apply/engine/op.rs", "use crate::cloud::clock::Clock;", "1", "`cloud::clock::Clock`");
    broken("src/apply/engine/op.rs", "use super::super::driver;", "1", "`apply::driver`");
    broken("src/cloud/observe/walk.rs", "use crate::cloud::cvm;", "1", "`cloud::cvm`");
    broken("src/ops/plan.rs", "use crate::report::plan_text;", "1", "`report::plan_text`");
    broken("src/report/words.rs", "use crate::config::load;", "1", "`config::load`");
    broken("src/main.rs", "fn main() { fleetwright::ops::plan(); }", "1", "src/main.rs may not use `ops::plan`");
    broken("src/new/mod.rs", "//! N.", "1", "in no row");

    fine("src/plan/quota.rs", "use crate::cloud::call::{self, Arg};\nuse crate::diff::Attr;\nuse super::draft::Draft;");
    fine("src/config/context.rs", "use crate::graph::Blocks;");
    fine("src/cloud/embedded/api.rs", "use crate::cloud::cvm::wire;");
    fine("src/main.rs", "fn main() { fleetwright::cli::main(); }");
    fine("src/lib.rs", "pub mod plan;\npub use crate::plan::Plan;");
}

#[test]
fn every_way_to_name_a_thing_is_seen() {
    let file = "src/plan/quota.rs";
    broken(file, "use crate::{\n  model::addr,\n  store::{Store},\n};", "3", "`store::Store`");
    broken(file, "use {crate::model::addr, crate::store::Store as S};", "1", "`store::Store`");
    broken(file, "fn f() { let x = crate::store::Store::new::<u8>(); }", "1", "`store::Store::new`");
    broken(file, "use super::super::store::Store;", "1", "`store::Store`");
    broken(file, "use super::super::{model, store};", "1", "`store`");
    broken(file, "use self::super::super::store::Store;", "1", "`store::Store`");
    broken(file, "use crate::*;", "1", "`*`");
    broken(file, "pub(in crate::store) fn f() {}", "1", "`store`");
    broken(file, "macro_rules! m { () => { $crate::store::x() } }", "1", "`store::x`");
    broken(file, "mod a { mod b { use super::super::super::super::store::X; } }", "1", "`store::X`");
    broken(file, "#[cfg(test)]\nmod tests { use crate::store::Store; }", "2", "`store::Store`");
    broken("src/plan/mod.rs", "//! P.\nuse super::store::Store;", "2", "`store::Store`");
    broken(file, "use crate::r#store::Y;", "1", "`store::Y`");

    fine(file, "mod a { use super::super::draft; } mod b { use super::X; } pub(super) fn f() {} pub(crate) fn g() {}");
    fine(file, "// use crate::store::Store;\n/* crate::store::a /* nested */ crate::store::b */ /// [`crate::store`]");
    fine(
        file,
        r####"const A: &str = "crate::store::x \" crate::store::y"; const B: &str = r#"" crate::store::z"#;"####,
    );
    fine(
        file,
        r#"const A: (char, char, u8) = ('"', '\'', b'"'); fn f<'a>(x: &'a str) {} const B: &[u8] = b"crate::store::x";"#,
    );
}

#[test]
fn pure_code_reads_asks_starts_and_prints_nothing() {
    for file in ["src/model/a.rs", "src/apply/engine/op.rs", "src/apply/events.rs", "src/report/words.rs"] {
        broken(file, "use std::time::{Duration, SystemTime};", "1", "`std::time::SystemTime`");
    }
    let file = "src/plan/quota.rs";
    broken(file, "use std::time::Instant;", "1", "take the time as a value");
    broken(file, "use std::time;", "1", "brings `std::time::SystemTime`");
    broken(file, "use std::time::*;", "1", "`std::time::*` brings");
    broken(file, "use std::{collections::BTreeMap,\n fs};", "2", "`std::fs`");
    broken(file, "fn f() { std::env::var(\"HOME\"); }", "1", "`std::env::var`");
    broken(file, "fn f() { std::thread::sleep(x); }", "1", "driver");
    broken(file, "use std::net::TcpStream;", "1", "`std::net::TcpStream`");
    broken(file, "fn f() { std::process::exit(1); }", "1", "`std::process::exit`");
    broken(file, "fn f() { std::io::stdout(); }", "1", "only `cli` reads");
    broken(file, "use std::io::{self, stderr}; fn f() { x(io::stderr()) }", "1", "only `cli` reads");
    broken(file, "fn f() { getrandom::fill(x); }", "1", "take the seed as a value");
    broken(file, "fn f() { println!(\"x\"); }", "1", "`println!`");
    broken(file, "fn f() {\n eprintln!(\"x\"); }", "2", "`eprintln!`");
    broken(file, "fn f() { print!(\"x\"); }", "1", "`print!`");
    broken(file, "fn f() { jiff::Timestamp::now(); }", "1", "a clock is asked");

    fine(
        file,
        "use std::time::Duration;\nuse std::{fmt, io};\nfn f() { let print = 1; if print != 2 {} child.stdout(); }",
    );
    fine(file, "#[cfg(test)]\nmod tests { use std::fs; fn f() { println!(\"x\"); } }");
    fine("src/config/files.rs", "use std::fs;");
    fine("src/apply/driver.rs", "use std::thread;");
    fine("src/cloud/clock.rs", "use std::time::Instant;");
}

#[test]
fn crates_that_live_in_one_place() {
    broken("src/plan/input.rs", "use serde_yaml::Value;", "1", "`serde_yaml` is used in src/config only");
    broken("src/model/path.rs", "use saphyr_parser as yaml;", "1", "`saphyr_parser`");
    broken("src/ops/plan.rs", "fn f() { rusqlite::Connection::open(x); }", "1", "src/store and src/cloud/embedded");
    broken("src/diff/slot.rs", "use petgraph::graph::DiGraph;", "1", "`petgraph`");
    broken("src/plan/check.rs", "use similar::TextDiff;", "1", "`similar`");
    broken("src/ops/mod.rs", "//! O.\n#[derive(clap::Parser)]\nstruct A;", "2", "`clap`");

    fine("src/plan/check.rs", "fn f(similar: &str) { g(similar); }");
    fine("src/cloud/embedded/db.rs", "use rusqlite::Connection;");
}

#[test]
fn habits_that_nobody_has() {
    let file = "src/plan/quota.rs";
    broken(file, "#[allow(dead_code)]\nfn f() {}", "1", "`#[expect(…, reason = \"…\")]`");
    broken(file, "#![allow(dead_code)]", "1", "expect");
    broken(file, "#[cfg_attr(test, allow(dead_code))]\nfn f() {}", "1", "expect");
    broken("tests/it.rs", "#[test]\n#[ignore]\nfn f() {}", "2", "ignored test");
    broken("tests/it.rs", "#[ignore = \"slow\"]\nfn f() {}", "1", "ignored test");
    broken(file, "fn f() { todo!() }", "1", "unfinished");
    broken(file, "fn f() { unimplemented!(\"x\") }", "1", "unfinished");
    broken(file, "fn f() {\n  x\n    .unwrap();\n}", "3", "`unwrap`");
    broken(file, "#[cfg(test)]\nfn g() {}\nfn f() { x.unwrap(); }", "3", "`unwrap`");
    broken(file, "#[cfg(not(test))]\nfn f() { x.unwrap(); }", "2", "`unwrap`");

    fine(file, "fn f() { x.unwrap_or(1); x.expect(\"why\"); } #[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }");
    fine(file, "#[cfg(test)]\n#[must_use]\nfn f() -> [u8; 2] { x.unwrap() }");
    fine("tests/it.rs", "fn f() { x.unwrap(); }");
}

#[test]
fn files_for_tests_only_are_known_by_who_names_them() {
    let names = |file: &str, text: &str| tokens::test_files(file, &tokens::tokens(text));
    let found = names("src/store/mod.rs", "mod read;\n#[cfg(test)]\nmod tests;\nmod write;");
    assert_eq!(found, BTreeSet::from(["src/store/tests.rs".to_owned(), "src/store/tests/".to_owned()]));
    let found = names("src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;");
    assert_eq!(found, BTreeSet::from(["src/a/b_tests.rs".to_owned(), "src/a/b/tests/".to_owned()]));

    let text = "fn f() { x.unwrap(); }";
    assert_eq!(check("src/a/b_tests.rs", text, &found).iter().filter(|fault| fault.what.contains("unwrap")).count(), 0);
    assert_eq!(check("src/a/b.rs", text, &found).iter().filter(|fault| fault.what.contains("unwrap")).count(), 1);
}

#[test]
fn how_files_look() {
    broken("src/plan/long.rs", &"\n".repeat(701), "701", "701 lines, and 700 are allowed");
    broken("src/plan/mod.rs", "mod quota;", "1", "begins with `//!`");
    fine("src/plan/long.rs", &"\n".repeat(700));
    fine("src/plan/mod.rs", "//! The planner.");
}

#[test]
fn known_breaches_go_one_by_one() {
    let faults = check("src/plan/a.rs", "#[allow(x)]\nfn f() { x.unwrap(); }", &BTreeSet::new());
    let rest = |known: &[(&str, &str)]| -> Vec<String> {
        super::unknown(&faults, known).iter().map(|fault| format!("{}:{}", fault.file, fault.line)).collect()
    };
    let all = rest(&[]);
    assert!(all.contains(&"src/plan/a.rs:1".to_owned()) && all.contains(&"src/plan/a.rs:2".to_owned()), "{all:?}");
    assert!(!rest(&[("src/plan/a.rs", "`allow` hides")]).contains(&"src/plan/a.rs:1".to_owned()));
    assert!(rest(&[("src/b.rs", "`allow` hides")]).contains(&"tests/tidy.rs:1".to_owned()), "what is gone is told");
}

#[test]
fn what_is_left_over() {
    let found = |line: &str| leftovers("docs/a.md", line, "/builds/here").len();
    for note in super::NOTES {
        assert_eq!(found(&format!("see {note}1: x")), usize::from(note.ends_with('#')), "{note}");
        assert_eq!(found(&format!("// {note}: x")), 1, "{note}");
    }
    assert_eq!(found("at /builds/here/src"), 1);
    assert_eq!(found(concat!("in /ro", "ot/x")), 1);
    assert_eq!(found("at https://example.org/builds/here"), 0);
    assert_eq!(found(&format!("TA{}X", "XX".repeat(2))), 0);
    assert_eq!(leftovers("a.md", "\nin /src/x", "/src").len(), 0, "too short to be told from others");
}

#[test]
fn the_code_map() {
    let code = [("src/plan/mod.rs".to_owned(), String::new()), ("src/lib.rs".to_owned(), String::new())];
    let faults = |map: &str| map_faults(map, &code, |path| path == "src/plan/");
    assert_eq!(faults("- `src/plan/`: the planner; `plan::check`, `a/b`, `src/*.rs`").len(), 0);
    assert_eq!(
        faults("nothing")[0].to_string(),
        "ARCHITECTURE.md:1: `src/plan/` is not in the code map: add a line that says what it is for"
    );
    assert_eq!(
        faults("src/plan/\n`src/gone.rs`")[0].to_string(),
        "ARCHITECTURE.md:2: `src/gone.rs` is not there any more: name what took its place"
    );
}
