//! Codes: each is explained, raised somewhere, and shown by a test.

use std::path::{Path, PathBuf};

use fleetwright::cli::Exit;
use fleetwright::diagnostic::codes;
use fleetwright::store::{Holder, SqliteStore, Store};

use crate::crowded::launch_by_hand;
use crate::kit::{FLEET, GZ, fleet, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

#[test]
fn a_code_is_explained_at_length() {
    let mut rig = Rig::new(&[]);
    insta::assert_snapshot!("explain_80", rig.run("explain image-not-in-region").expect(Exit::Done).out);
    rig.width = 120;
    insta::assert_snapshot!("explain_120", rig.run("explain image-not-in-region").expect(Exit::Done).out);
    let plain = rig.run("explain unknown-key").expect(Exit::Done).out;
    for other in ["error[unknown-key]", "UNKNOWN_KEY", "Unknown-Key", "error[unknown-key]:"] {
        assert_eq!(rig.run(&format!("explain {other}")).expect(Exit::Done).out, plain, "{other}");
    }
    says(&rig.run("explain unknown-kye").expect(Exit::Usage).err, "did you mean `unknown-key`?");
    says(&rig.run("explain xyzzy").expect(Exit::Usage).err, "lists them all");
    let json = rig.json("explain locked --json");
    assert_eq!((&json["codes"][0]["code"], &json["codes"][0]["exit_code"]), (&"locked".into(), &4.into()));
    assert!(json["codes"][0]["what_to_do"].is_string());
}

#[test]
fn all_codes_are_listed() {
    let rig = Rig::new(&[]);
    let text = rig.run("explain").expect(Exit::Done).out;
    insta::assert_snapshot!("explain_all", text);
    assert!(text.lines().all(|row| row.chars().count() <= 80));
    assert_eq!(rig.json("explain --json")["codes"].as_array().map(Vec::len), Some(codes::ALL.len()));
    for code in codes::ALL {
        rig.run(&format!("explain {}", code.word)).expect(Exit::Done);
    }
}

fn files(below: &Path, ends: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ends));
        } else if path.extension().is_some_and(|ending| ends.iter().any(|end| ending == *end)) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            found.push((path, text));
        }
    }
    found
}

/// The constant of a code.
fn constant(word: &str) -> String {
    format!("codes::{}", word.to_uppercase().replace('-', "_"))
}

/// Whether a text has a word, and not as the beginning of a longer one.
fn has(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// Each code is raised somewhere in the program, and a golden shows what people see of it: without exception.
#[test]
fn each_code_is_raised_and_in_a_golden() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = files(&root.join("src"), &["rs"]);
    let goldens: Vec<(PathBuf, String)> = [root.join("src"), root.join("tests"), root.join("examples")]
        .iter()
        .flat_map(|place| files(place, &["snap", "txt"]))
        .collect();
    let (mut unraised, mut unshown) = (Vec::new(), Vec::new());
    for code in codes::ALL {
        let name = constant(code.word);
        let raised = source.iter().any(|(path, text)| {
            !path.ends_with("diagnostic/code.rs") && has(text.split("#[cfg(test)]").next().unwrap_or_default(), &name)
        });
        if !raised {
            unraised.push(code.word);
        }
        let shown = ["error", "warning", "note"].map(|severity| format!("{severity}[{}]", code.word));
        if !goldens.iter().any(|(_, text)| shown.iter().any(|shown| text.contains(shown.as_str()))) {
            unshown.push(code.word);
        }
    }
    assert!(unraised.is_empty(), "nothing raises {unraised:?}: such codes mean nothing");
    assert!(unshown.is_empty(), "no golden shows {unshown:?}: add a case to tests/cases/ that does");
}

#[test]
fn faults_that_nothing_else_shows() {
    let with_image = |image: &str| FLEET.replace("images:\n", &format!("images:\n  legacy:\n    {image}\n"));
    let rig = fleet();
    let absent = "from_instance: { instance: ins-zzzzzzzz }\n    version: \"1\"";
    rig.write(SHOP, &with_image(absent));
    says(&rig.fails(Exit::Config).err, "error[source-not-found]: there is no instance ins-zzzzzzzz in ap-guangzhou");

    let by_hand = launch_by_hand(&rig, GZ, "ap-guangzhou-3", 1);
    rig.by_hand(GZ, "StopInstances", &serde_json::json!({"InstanceIds": by_hand}));
    rig.write(SHOP, &with_image(&absent.replace("ins-zzzzzzzz", &by_hand[0])));
    says(
        &rig.fails(Exit::Infeasible).err,
        &format!("error[busy]: {} is stopping: it cannot be captured now", by_hand[0]),
    );

    let windows = FLEET.replace("Ubuntu Server 22.04 LTS 64bit", "Windows Server 2022 DataCenter 64bit");
    let small = windows.replace("    count: 5\n", "    count: 5\n    system_disk: { type: CLOUD_PREMIUM, size: 20 }\n");
    let rig = Rig::new(&[(SHOP, &small), ("boot.sh", "#!/bin/sh\necho one\n")]);
    says(&rig.fails(Exit::Config).err, "error[disk-too-small]: image.ubuntu needs a system disk of 50 GiB");

    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", &"#!/bin/sh\n".repeat(2_000))]);
    says(&rig.run("validate").expect(Exit::Config).err, "error[user-data-too-large]: this user data has 20000 bytes");
}

#[test]
fn a_cloud_that_cannot_be_opened() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.write("state/cloud.db", &"this is a letter, and no cloud at all. ".repeat(100));
    says(&rig.run_alone("cloud inspect").expect(Exit::Failed).err, "error[cloud]: the embedded cloud cannot be opened");
}

#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let rig = fleet();
    let file = rig.dir().join("state/default.db");
    let conn = rusqlite::Connection::open(&file).expect("opened");
    conn.execute("INSERT INTO migration (n, name, hash) VALUES (99, '0099_later', 'x')", []).expect("a later one");
    drop(conn);
    for args in ["plan", "apply --auto-approve", "history", "force-unlock", "state rm fleet.web", "show"] {
        says(&rig.run(args).expect(Exit::Foreign).err, "error[newer-state]: state/default.db: written with schema");
    }
}

#[test]
fn a_lock_is_a_lock_for_every_verb_that_writes() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 6");
    rig.settle();
    let mut store = SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state");
    let holder = Holder { who: "grace".into(), host: "elsewhere".into(), pid: 4711, started: 1 };
    store.lock(&holder, rig.now_ms(), 300_000, &|_| false).expect("the lock");
    for args in ["state rm fleet.web --auto-approve", "history prune --keep 1 --auto-approve", "destroy --auto-approve"]
    {
        says(&rig.run(args).expect(Exit::Locked).err, "error[locked]: grace on elsewhere");
    }
    assert_eq!((rig.addrs().len(), rig.json("history --json")["runs"].as_array().map(Vec::len)), (6, Some(2)));
}
