//! The file of the state.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use fleetwright::cli::Exit;
use rusqlite::Connection;

use super::config::pipe;
use super::{OF_STATE, check, told};
use crate::kit::fleet;
use crate::rig::Rig;

fn file(rig: &Rig) -> PathBuf {
    rig.dir().join("state/default.db")
}

/// A fleet that runs, and its state done away with.
fn without() -> Rig {
    let rig = fleet();
    fs::remove_file(file(&rig)).expect("removed");
    rig
}

fn sql(rig: &Rig, statements: &str) {
    let conn = Connection::open(file(rig)).expect("opened");
    conn.execute_batch(statements).expect("done");
}

#[test]
fn a_directory() {
    let rig = without();
    fs::create_dir(file(&rig)).expect("a directory");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn text() {
    let rig = without();
    fs::write(file(&rig), "this is a letter, and no state at all; ".repeat(200)).expect("written");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

/// A state is made whole or not at all: an empty file is what is left of one.
#[test]
fn nothing_in_it() {
    let rig = without();
    fs::write(file(&rig), "").expect("written");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn cut_off() {
    let mut all = String::new();
    for keep in [1, 50, 100, 2000, 4096, 20_000] {
        let rig = fleet();
        let bytes = fs::read(file(&rig)).expect("the state");
        assert!(bytes.len() > 2 * keep);
        fs::write(file(&rig), &bytes[..keep]).expect("written");
        all += &format!("=== the first {keep} bytes\n{}", told(&rig, "", OF_STATE));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn overwritten_in_the_middle() {
    let rig = fleet();
    let mut bytes = fs::read(file(&rig)).expect("the state");
    for page in bytes.chunks_mut(4096).skip(1) {
        page.fill(0xa5);
    }
    fs::write(file(&rig), &bytes).expect("written");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn another_programs_database() {
    let rig = without();
    sql(&rig, "CREATE TABLE bookmark (url TEXT); INSERT INTO bookmark VALUES ('x');");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn a_newer_schema() {
    let rig = fleet();
    sql(&rig, "INSERT INTO migration (n, name, hash) VALUES (99, '0099_later', 'x');");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn of_another_project_account_or_endpoint() {
    let verbs = ["plan", "apply --auto-approve", "destroy --auto-approve"];
    let mut all = String::new();
    for (key, value) in [("project", "store"), ("account", "100000000002"), ("endpoint", "tencent")] {
        let rig = fleet();
        sql(&rig, &format!("UPDATE meta SET value = '{value}' WHERE key = '{key}'"));
        all += &format!("=== another {key}\n{}", told(&rig, "", &verbs));
    }
    insta::assert_snapshot!(all);
}

/// What lies beside a state that was closed is not a part of it.
#[test]
fn garbage_in_its_journal() {
    for garbage in [vec![0xa5; 9000], b"x".to_vec(), Vec::new()] {
        let rig = fleet();
        fs::write(rig.dir().join("state/default.db-wal"), &garbage).expect("written");
        rig.run("state list").expect(Exit::Done);
        rig.run("plan --detailed-exitcode").expect(Exit::Done);
        let mark = rig.mark();
        rig.run("apply --auto-approve").expect(Exit::Done);
        assert_eq!(rig.mutating(mark), Vec::<String>::new());
        rig.expect_in_step();
    }
}

#[test]
fn its_directory_is_a_file() {
    let rig = fleet();
    fs::remove_dir_all(rig.dir().join("state")).expect("removed");
    fs::write(rig.dir().join("state"), "a file").expect("written");
    insta::assert_snapshot!(told(&rig, "", OF_STATE));
}

#[test]
fn links_that_lead_nowhere() {
    let rig = without();
    symlink("default.db", file(&rig)).expect("a link");
    let round = told(&rig, "", OF_STATE);
    fs::remove_file(file(&rig)).expect("removed");
    symlink("/dev/null", file(&rig)).expect("a link");
    let null = told(&rig, "", OF_STATE);
    fs::remove_file(file(&rig)).expect("removed");
    pipe(&file(&rig));
    assert_eq!(told(&rig, "", OF_STATE), null, "a pipe");
    fs::remove_file(file(&rig)).expect("removed");
    symlink("gone.db", file(&rig)).expect("a link");
    insta::assert_snapshot!(format!(
        "=== round\n{round}=== something else\n{null}=== nowhere\n{}",
        told(&rig, "", OF_STATE)
    ));
}

/// Rows that no version ever wrote are told about, whoever reads them.
#[test]
fn rows_that_make_no_sense() {
    let mut all = String::new();
    for (what, change) in [
        ("a word", "UPDATE object SET status = 'dreaming'"),
        ("an address", "UPDATE object SET block = 'fleet..web'"),
        ("JSON cut off", "UPDATE spec SET json = substr(json, 1, 40)"),
        ("a row that others need", "DELETE FROM spec"),
        ("a slot", "UPDATE object SET slot = -1"),
        ("a lineage", "DELETE FROM meta WHERE key = 'lineage'"),
        ("half an origin", "DELETE FROM meta WHERE key = 'account'"),
        ("a table", "DROP TABLE object"),
    ] {
        let rig = fleet();
        sql(&rig, &format!("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; {change}"));
        all += &format!("=== {what}\n{}", told(&rig, "", &["plan", "state list"]));
        let mark = rig.mark();
        check("apply", &rig.run("apply --auto-approve"));
        assert_eq!(rig.mutating(mark), Vec::<String>::new(), "{what}");
    }
    insta::assert_snapshot!(all);
}
