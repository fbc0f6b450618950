//! Whatever a machine can do to the tool's files: it is told what, where and why and what to do, nothing is done to the
//! cloud, and no file becomes another one.

mod config;
mod denied;
mod full;
mod names;
mod pins_and_cloud;
mod pipes;
mod state;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fleetwright::cli::Exit;
use fleetwright::store::{SqliteStore, Store, Stored};
use serde_json::Value;

use crate::rig::{Ran, Rig};

/// What reads a config or a state.
const VERBS: [&str; 13] = [
    "validate",
    "graph",
    "plan",
    "plan --out saved.json",
    "apply --auto-approve",
    "destroy --auto-approve",
    "show",
    "history",
    "history prune --keep 1 --auto-approve",
    "state list",
    "state show fleet.web[0]",
    "state rm fleet.web[0] --auto-approve",
    "force-unlock --auto-approve",
];

/// What reads the state.
const OF_STATE: &[&str] = VERBS.split_at(2).1;

/// What every file below a directory is; links are not followed.
fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let meta = std::fs::symlink_metadata(&path).expect("an entry");
        let what = if meta.is_dir() {
            found.append(&mut tree(&path));
            "directory".to_owned()
        } else if meta.is_symlink() {
            format!("link to {:?}", std::fs::read_link(&path).expect("a link"))
        } else if meta.is_file() {
            what_is_in(&path)
        } else {
            "something else".to_owned()
        };
        found.insert(path, what);
    }
    found
}

/// What is in a file. Of a state, what it remembers: the lock that was taken and given back leaves its fence.
fn what_is_in(path: &Path) -> String {
    if path.extension().is_some_and(|ending| ending == "db")
        && let Ok(Some(mut store)) = SqliteStore::open_read_only(path)
        && let Ok(Stored { recorded, open, .. }) = store.load()
    {
        return format!("{recorded:?} {open:?}");
    }
    format!("{:?}", std::fs::read(path).map(|bytes| blake3::hash(&bytes)))
}

/// What holds of every command that was refused, and of those that were not.
#[track_caller]
fn check(args: &str, ran: &Ran) {
    let Ran { exit, out, err } = ran;
    let all = format!("{args}\n--- stdout\n{out}\n--- stderr\n{err}");
    assert!(*exit != Exit::Bug, "{all}");
    for word in ["panicked", "RUST_BACKTRACE", "failed inside", "/dev/shm", ".rs:"] {
        assert!(!out.contains(word) && !err.contains(word), "{word} is in {all}");
    }
    if !matches!(exit, Exit::Done | Exit::Changes) {
        assert!(err.contains("error["), "nothing says why: {all}");
        assert!(err.contains("help:"), "nothing says what to do: {all}");
    }
}

/// What some commands say. None of them does anything to the cloud, or to a file.
#[track_caller]
fn told(rig: &Rig, global: &str, verbs: &[&str]) -> String {
    told_by(rig, verbs, &|verb| rig.run(&format!("{global} {verb}")))
}

#[track_caller]
fn told_by(rig: &Rig, verbs: &[&str], run: &dyn Fn(&str) -> Ran) -> String {
    let (files, mark) = (tree(&rig.dir()), rig.mark());
    // Commands that say the same are shown together.
    let mut said: Vec<(Vec<&str>, String)> = Vec::new();
    for verb in verbs {
        let ran = run(verb);
        check(verb, &ran);
        assert_eq!(tree(&rig.dir()), files, "{verb} changed a file\n{}", ran.err);
        assert_eq!(rig.mutating(mark), Vec::<String>::new(), "{verb}\n{}", ran.err);
        json(&format!("{verb} --json"), ran.exit, &run(&format!("{verb} --json")));
        assert_eq!(tree(&rig.dir()), files, "{verb} --json changed a file");
        let text = format!("exit {}\n{}{}", ran.exit.code(), ran.out, ran.err);
        match said.iter_mut().find(|(_, other)| *other == text) {
            Some((verbs, _)) => verbs.push(verb),
            None => said.push((vec![verb], text)),
        }
    }
    said.iter().fold(String::new(), |mut all, (verbs, text)| {
        for verb in verbs {
            writeln!(all, "$ fleetwright {verb}").expect("a text takes all");
        }
        all + text.trim_end() + "\n\n"
    })
}

/// The same ends the same way for programs, who read JSON: one value, or one in each line.
#[track_caller]
fn json(args: &str, exit: Exit, ran: &Ran) {
    assert_eq!(ran.exit, exit, "{args}\n{}\n{}", ran.out, ran.err);
    if args.starts_with("graph") && exit == Exit::Done {
        return;
    }
    let whole = serde_json::from_str::<Value>(&ran.out).is_ok();
    let lines = || ran.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
    assert!(!ran.out.is_empty() && (whole || lines()), "{args} wrote no JSON:\n{}", ran.out);
}
