//! `fleetwright.lock`, the file of the embedded cloud, and plan files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use fleetwright::cli::Exit;
use rusqlite::Connection;

use super::config::pipe;
use super::{told, told_by};
use crate::kit::{FLEET, fleet, says};
use crate::rig::{Rig, example_files};

const PLANNING: [&str; 3] = ["plan", "apply --auto-approve", "destroy --auto-approve"];

#[test]
fn pins_that_cannot_be_read() {
    let rig = fleet();
    let file = rig.dir().join("fleetwright.lock");
    let whole = fs::read_to_string(&file).expect("the pins");
    fs::remove_file(&file).expect("removed");
    let mut all = String::new();
    let mut tell = |what: &str| all += &format!("=== {what}\n{}", told(&rig, "", &PLANNING));
    fs::create_dir(&file).expect("a directory");
    tell("a directory");
    fs::remove_dir(&file).expect("removed");
    symlink("fleetwright.lock", &file).expect("a link");
    tell("a link to itself");
    fs::remove_file(&file).expect("removed");
    symlink("/dev/zero", &file).expect("a link");
    tell("endless");
    fs::remove_file(&file).expect("removed");
    pipe(&file);
    tell("a pipe");
    fs::remove_file(&file).expect("removed");
    let texts: [(&str, &[u8]); 7] = [
        ("garbage", b"\x00\x01garbage"),
        ("not UTF-8", b"{\"format\": 1, \"about\": \"\xff\"}"),
        ("empty", b""),
        ("cut off", &whole.as_bytes()[..whole.len() / 2]),
        ("merge markers", &whole.replace("  \"public_images\"", "<<<<<<< HEAD\n  \"public_images\"").into_bytes()),
        ("newer", &whole.replace("\"format\": 1", "\"format\": 2, \"new\": true").into_bytes()),
        ("twice the same", &whole.replace("\"id\"", "\"id\": \"img-00000000\", \"id\"").into_bytes()),
    ];
    for (what, text) in texts {
        fs::write(&file, text).expect("written");
        tell(what);
    }
    insta::assert_snapshot!(all);
    fs::write(&file, whole).expect("written");
    rig.expect_no_changes();
}

/// Pins that cannot be written: that is said before anything is done to the cloud, and nothing half is left behind.
#[test]
fn pins_that_cannot_be_written() {
    let rig = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    // The file that is written first and renamed then cannot be made where a directory is.
    fs::create_dir(rig.dir().join(".fleetwright.lock.100")).expect("a directory");
    let mark = rig.mark();
    let ran = rig.run("apply --auto-approve");
    insta::assert_snapshot!(ran.expect(Exit::Failed).err);
    assert_eq!(rig.mutating(mark), Vec::<String>::new());
    assert!(!rig.dir().join("fleetwright.lock").exists());
    rig.settle();
}

/// A world of its own, with the cloud in its file, as the program has it.
fn alone() -> (Rig, PathBuf) {
    let files = example_files("01-quickstart");
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let rig = Rig::new(&files);
    rig.run_alone("apply --auto-approve").expect(Exit::Done);
    let file = rig.dir().join("state/cloud.db");
    (rig, file)
}

#[test]
fn the_embedded_clouds_file() {
    let mut all = String::new();
    let verbs = ["plan", "apply --auto-approve", "destroy --auto-approve", "cloud inspect"];
    let mut tell = |what: &str, damage: &dyn Fn(&PathBuf)| {
        let (rig, file) = alone();
        damage(&file);
        all += &format!("=== {what}\n{}", told_by(&rig, &verbs, &|verb| rig.run_alone(verb)));
    };
    let bytes = |file: &PathBuf| fs::read(file).expect("the cloud");
    let gone = |file: &PathBuf| fs::remove_file(file).expect("removed");
    tell("a directory", &|file| {
        gone(file);
        fs::create_dir(file).expect("a directory");
    });
    tell("text", &|file| fs::write(file, "a letter; ".repeat(2000)).expect("written"));
    tell("cut off", &|file| fs::write(file, &bytes(file)[..5000]).expect("written"));
    tell("overwritten", &|file| {
        let mut bytes = bytes(file);
        bytes[4096..].fill(0xa5);
        fs::write(file, bytes).expect("written");
    });
    tell("another program's", &|file| {
        gone(file);
        let conn = Connection::open(file).expect("opened");
        conn.execute_batch("CREATE TABLE bookmark (url TEXT)").expect("a table");
    });
    tell("newer", &|file| {
        let conn = Connection::open(file).expect("opened");
        conn.execute_batch("PRAGMA user_version = 99").expect("newer");
    });
    tell("a link to itself", &|file| {
        gone(file);
        symlink("cloud.db", file).expect("a link");
    });
    tell("a pipe", &|file| {
        gone(file);
        pipe(file);
    });
    insta::assert_snapshot!(all);
}

#[test]
fn plan_files() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    rig.run("plan --out plan.json").expect(Exit::Done);
    let file = rig.dir().join("plan.json");
    let whole = fs::read(&file).expect("the plan");
    let verbs = ["show plan.json", "apply plan.json"];
    let mut all = String::new();
    let mut tell = |what: &str| all += &format!("=== {what}\n{}", told(&rig, "", &verbs));
    fs::remove_file(&file).expect("removed");
    tell("missing");
    fs::create_dir(&file).expect("a directory");
    tell("a directory");
    fs::remove_dir(&file).expect("removed");
    symlink("plan.json", &file).expect("a link");
    tell("a link to itself");
    fs::remove_file(&file).expect("removed");
    symlink("/dev/zero", &file).expect("a link");
    tell("endless");
    fs::remove_file(&file).expect("removed");
    for (what, bytes) in [("empty", &b""[..]), ("cut off", &whole[..whole.len() / 2]), ("not text", b"\xff\xfe")] {
        fs::write(&file, bytes).expect("written");
        tell(what);
    }
    insta::assert_snapshot!(all);
    fs::write(&file, whole).expect("written");
    // A plan whose file stays as it was before is not written halfway.
    for out in ["shop.yaml/plan.json", "/dev/full/plan.json", "nowhere/plan.json", "state"] {
        says(&rig.run(&format!("plan --out {out}")).expect(Exit::Failed).err, "error[plan-file]");
    }
    rig.run("apply plan.json").expect(Exit::Done);
}
