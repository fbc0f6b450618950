//! What is refused before anything is done, and how it is said.

use fleetwright::cli::Exit;

use super::{FILE, SCRIPT, SHOP, fresh, refused, save};
use crate::kit::{FLEET, fleet, says};
use crate::rig::Rig;

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let rig = fresh();
    save(&rig);
    let whole = std::fs::read(rig.dir().join(FILE)).expect("the file");
    for length in (0..whole.len()).step_by(97) {
        std::fs::write(rig.dir().join(FILE), &whole[..length]).expect("written");
        refused(&rig, "damaged-plan");
    }
    assert!(!rig.dir().join("state").exists());
}

#[test]
fn a_file_with_one_byte_changed_is_refused() {
    let rig = fresh();
    save(&rig);
    let whole = std::fs::read(rig.dir().join(FILE)).expect("the file");
    for (n, at) in (0..whole.len()).step_by(61).enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (n % 8);
        std::fs::write(rig.dir().join(FILE), bytes).expect("written");
        let ran = rig.run("apply plan.json").expect(Exit::Foreign);
        assert!(ran.err.contains("error[damaged-plan]") || ran.err.contains("error[newer-plan]"), "{}", ran.err);
    }
    assert!(!rig.dir().join("state").exists());
    std::fs::write(rig.dir().join(FILE), whole).expect("written");
    rig.run("apply plan.json").expect(Exit::Done);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let rig = fresh();
    save(&rig);
    let whole = rig.read(FILE);
    let mut said = String::new();
    let mut tell = |code: &str, text: &str| {
        rig.write(FILE, text);
        said.push_str(&refused(&rig, code).err);
        said.push('\n');
    };
    tell("damaged-plan", "");
    tell("damaged-plan", &whole[..whole.len() / 2]);
    tell("damaged-plan", &whole.replace("\"count\":3", "\"count\":30"));
    tell("damaged-plan", FLEET);
    tell("damaged-plan", "{\"format\": \"fleetwright-plan/1\"}");
    tell("newer-plan", &whole.replace("plan-file/1", "plan-file/2"));
    insta::assert_snapshot!("damaged", said);
}

#[test]
fn a_plan_for_something_else_is_refused() {
    let rig = fresh();
    save(&rig);
    let plan = rig.read(FILE);
    let mut said = refused_in(&rig, "apply -e staging plan.json");
    rig.edit(SHOP, "project: shop", "project: store");
    said.push_str(&refused(&rig, "foreign-plan").err);
    rig.edit(SHOP, "project: store", "project: shop");
    rig.edit(SHOP, "provider: embedded,", "provider: embedded, account: \"100000000002\",");
    said.push_str(&refused(&rig, "foreign-plan").err);
    rig.edit(SHOP, " account: \"100000000002\",", "");

    // The state was made by another run, in the same place.
    rig.settle();
    let other = refused(&rig, "foreign-plan");
    says(&other.err, "lineage of the state: the plan was made for");
    says(&other.err, "the plan was made before there was a state; state/default.db was made by another run since");

    // The state is lost.
    save(&rig);
    std::fs::remove_dir_all(rig.dir().join("state")).expect("removed");
    says(&refused(&rig, "foreign-plan").err, "there is no state/default.db");
    rig.write(FILE, &plan);
    insta::assert_snapshot!("foreign", said);
}

#[track_caller]
fn refused_in(rig: &Rig, command: &str) -> String {
    let mark = rig.mark();
    let ran = rig.run(command).expect(Exit::Foreign);
    assert!(rig.mutating(mark).is_empty());
    ran.err
}

#[test]
fn a_plan_of_another_moment_is_refused() {
    let rig = fresh();
    save(&rig);
    rig.run("apply plan.json").expect(Exit::Done);
    let twice = refused(&rig, "stale");
    insta::assert_snapshot!("stale", twice.err);
    rig.edit(SHOP, "count: 5", "count: 6");
    save(&rig);
    rig.edit(SHOP, "count: 6", "count: 7");
    rig.settle();
    says(&refused(&rig, "stale").err, "the state has changed since");
    // What the message says helps.
    rig.edit(SHOP, "count: 7", "count: 4");
    save(&rig);
    rig.run("apply plan.json").expect(Exit::Done);
    rig.expect_no_changes();
}

#[test]
fn a_stale_destruction_is_planned_again_as_one() {
    let rig = fleet();
    rig.run("plan --destroy --out plan.json").expect(Exit::Done);
    rig.edit(SHOP, "count: 5", "count: 4");
    rig.settle();
    says(&refused(&rig, "stale").err, "to plan again: fleetwright plan --destroy --out plan.json");
}

#[test]
fn a_secret_that_changed_is_noticed_beforehand() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 7");
    save(&rig);
    rig.write(SCRIPT, "#!/bin/sh\necho two\n");
    let mark = rig.mark();
    insta::assert_snapshot!("secret", refused(&rig, "secret-changed").err);
    assert!(rig.since(mark).is_empty(), "no call at all");
    std::fs::remove_file(rig.dir().join(SCRIPT)).expect("removed");
    assert_eq!(rig.run("apply plan.json").exit, Exit::Config, "without its script the config is not one");
    rig.write(SCRIPT, "#!/bin/sh\necho one\n");
    rig.run("apply plan.json").expect(Exit::Done);
    rig.expect_no_changes();
}

#[test]
fn a_config_that_changed_is_only_noted() {
    let rig = fleet();
    rig.edit(SHOP, "count: 5", "count: 7");
    save(&rig);
    rig.edit(SHOP, "count: 7", "count: 9");
    let ran = rig.run("apply plan.json").expect(Exit::Done);
    says(&ran.err, "note[config-changed]: the config has changed since the plan was made");
    assert_eq!(rig.instances(crate::kit::GZ).len(), 7);
    rig.change().closes(2, 0, 0, 0);
}

#[test]
fn a_pin_that_was_made_meanwhile_stays() {
    let rig = fresh();
    save(&rig);
    let other = rig.fork();
    other.settle();
    let lock = other.read("fleetwright.lock");
    let id = fleetwright::cloud::embedded::public_image_id(crate::kit::GZ, "Ubuntu Server 22.04 LTS 64bit");
    let lock = lock.replace(&id, "img-0ther000");
    rig.write("fleetwright.lock", &lock);
    let ran = rig.run("apply plan.json").expect(Exit::Done);
    says(&ran.err, "the lock file stays as it is");
    assert_eq!(rig.read("fleetwright.lock"), lock);
}

#[test]
fn options_that_make_another_plan_do_not_go_with_a_saved_one() {
    let rig = fresh();
    save(&rig);
    for option in ["--refresh=false", "--refresh=true", "--cancel-undeclared-shares"] {
        let ran = rig.run(&format!("apply plan.json {option}")).expect(Exit::Usage);
        says(&ran.err, "cannot be used with");
    }
    rig.run("destroy plan.json").expect(Exit::Usage);
    rig.run("apply plan.json --parallelism 4 --auto-approve").expect(Exit::Done);
}
