//! The config's directory, its files, and the files that it names.

use std::fs;
use std::os::unix::fs::symlink;

use fleetwright::cli::Exit;

use super::{VERBS, check, told};
use crate::kit::{FLEET, fleet, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

fn world() -> Rig {
    Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")])
}

/// Makes a pipe that nobody writes to: whoever opens it waits for ever.
pub(super) fn pipe(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(made.success());
}

#[test]
fn a_directory_that_is_not_there() {
    insta::assert_snapshot!(told(&world(), "-C nowhere", &VERBS));
}

#[test]
fn a_directory_that_is_a_file() {
    insta::assert_snapshot!(told(&world(), "-C shop.yaml", &VERBS));
}

#[test]
fn a_directory_below_a_file() {
    insta::assert_snapshot!(told(&world(), "-C shop.yaml/below", &["validate", "show"]));
}

#[test]
fn a_directory_behind_links_that_lead_nowhere() {
    let rig = world();
    symlink("gone", rig.dir().join("dangling")).expect("a link");
    symlink("round", rig.dir().join("round")).expect("a link");
    let verbs = ["validate", "apply --auto-approve", "history"];
    let both = told(&rig, "-C dangling", &verbs) + &told(&rig, "-C round", &verbs);
    insta::assert_snapshot!(both);
}

#[test]
fn a_directory_whose_path_is_too_long() {
    let rig = world();
    let name = "n".repeat(300);
    let deep = "d/".repeat(3000);
    for dir in [name, deep] {
        for verb in ["validate", "plan", "apply --auto-approve", "show", "force-unlock --auto-approve", "init"] {
            let ran = rig.run(&format!("-C {dir} {verb}"));
            check(verb, &ran);
            assert_ne!(ran.exit, Exit::Done, "{verb}");
            says(&ran.err, "ame too long");
        }
    }
}

#[test]
fn an_empty_directory() {
    insta::assert_snapshot!(told(&Rig::new(&[]), "", &VERBS));
}

#[test]
fn files_that_cannot_be_read() {
    let rig = world();
    symlink("gone", rig.dir().join("a-dangling.yaml")).expect("a link");
    symlink("b-round.yaml", rig.dir().join("b-round.yaml")).expect("a link");
    symlink("shop.yaml/below", rig.dir().join("c-below.yaml")).expect("a link");
    symlink("/dev/zero", rig.dir().join("d-endless.yaml")).expect("a link");
    pipe(&rig.dir().join("e-pipe.yaml"));
    fs::create_dir(rig.dir().join("f-directory.yaml")).expect("a directory");
    fs::write(rig.dir().join("g-latin1.yaml"), b"project: caf\xe9\n").expect("written");
    fs::write(rig.dir().join("h-large.yaml"), "# large\n".repeat(200_000)).expect("written");
    insta::assert_snapshot!(told(&rig, "", &["validate", "plan", "apply --auto-approve", "destroy --auto-approve"]));
}

#[test]
fn user_data_that_cannot_be_read() {
    let rig = Rig::new(&[(SHOP, FLEET)]);
    let script = rig.dir().join("boot.sh");
    let verbs = ["validate", "plan", "apply --auto-approve"];
    let mut all = String::new();
    let mut tell = |what: &str| all += &format!("=== {what}\n{}", told(&rig, "", &verbs));
    tell("missing");
    fs::create_dir(&script).expect("a directory");
    tell("a directory");
    fs::remove_dir(&script).expect("removed");
    symlink("boot.sh", &script).expect("a link");
    tell("a link to itself");
    fs::remove_file(&script).expect("removed");
    symlink("/dev/zero", &script).expect("a link");
    tell("a link that leads out");
    fs::remove_file(&script).expect("removed");
    pipe(&script);
    tell("a pipe");
    fs::remove_file(&script).expect("removed");
    fs::write(&script, "#".repeat(16 * 1024 + 1)).expect("written");
    tell("larger than the cloud takes");
    fs::write(&script, "#".repeat((1 << 20) + 1)).expect("written");
    tell("larger than is read");
    insta::assert_snapshot!(all);
}

/// User data are bytes: whatever they are, machines boot with them.
#[test]
fn user_data_need_not_be_text() {
    let rig = Rig::new(&[(SHOP, FLEET)]);
    fs::write(rig.dir().join("boot.sh"), b"#!/bin/sh\necho \xff\xfe\x00\n").expect("written");
    rig.settle();
}

/// A plan is made, and then the file goes that machines boot with: nothing is sent with other bytes, or with none.
#[test]
fn user_data_that_go_between_plan_and_apply() {
    let rig = world();
    rig.run("plan --out plan.json").expect(Exit::Done);
    fs::remove_file(rig.dir().join("boot.sh")).expect("removed");
    insta::assert_snapshot!(told(&rig, "", &["apply plan.json"]));
}

/// A state is there, and the config is gone: that is never the wish that everything goes.
#[test]
fn a_config_that_is_gone_destroys_nothing() {
    let rig = fleet();
    fs::remove_file(rig.dir().join(SHOP)).expect("removed");
    insta::assert_snapshot!(told(&rig, "", &["plan", "apply --auto-approve", "destroy --auto-approve"]));
    fs::write(rig.dir().join(SHOP), "").expect("written");
    insta::assert_snapshot!(told(&rig, "", &["plan", "apply --auto-approve", "destroy --auto-approve"]));
}
