//! The command line: exit codes, what is asked, what is written where.

use fleetwright::cli::{Exit, Terminals};
use fleetwright::ops::Hooks;

use crate::kit::{BOOT, FLEET, GZ, IMAGE, counts, fleet, image, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const ALL: Terminals = Terminals { stdin: true, stdout: true, stderr: true };

fn fresh() -> Rig {
    Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")])
}

fn typed(rig: &Rig, args: &str, line: &str) -> crate::rig::Ran {
    let mut stdin = line.as_bytes();
    rig.run_typing(args, Hooks::default(), &mut stdin, ALL)
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes = [
        (Exit::Done, 0),
        (Exit::Failed, 1),
        (Exit::Changes, 2),
        (Exit::Partly, 3),
        (Exit::Locked, 4),
        (Exit::Foreign, 5),
        (Exit::Infeasible, 6),
        (Exit::Waiting, 7),
        (Exit::Guard, 8),
        (Exit::Usage, 64),
        (Exit::Config, 65),
        (Exit::Bug, 101),
        (Exit::Interrupted, 130),
    ];
    for (exit, code) in codes {
        assert_eq!(exit.code(), code);
    }
}

#[test]
fn a_plan_in_a_fresh_directory_creates_nothing() {
    let rig = fresh();
    let before = files(&rig);
    for args in
        ["plan", "plan --json", "plan --destroy", "show", "state list", "validate", "cloud inspect", "--json show"]
    {
        rig.run(args).expect(Exit::Done);
    }
    rig.run("apply").expect(Exit::Failed);
    typed(&rig, "apply", "no\n").expect(Exit::Failed);
    assert_eq!(files(&rig), before);
    assert!(rig.holdings().nothing_of(OWNER));
}

fn files(rig: &Rig) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(rig.dir())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_done() {
    let rig = fresh();
    let refused = rig.run("apply").expect(Exit::Failed);
    insta::assert_snapshot!("no_terminal", refused.err);
    assert!(refused.out.contains("Plan: 5 to add"), "the plan is shown all the same");
    assert!(rig.holdings().nothing_of(OWNER));
    rig.settle();
    // Where there is nothing to do, there is nothing to ask.
    rig.run("apply").expect(Exit::Done);
    says(&rig.run("destroy").expect(Exit::Failed).err, "fleetwright destroy --auto-approve");
    says(&rig.run("-e staging apply").expect(Exit::Failed).err, "fleetwright -e staging apply --auto-approve");
}

#[test]
fn the_prompt_takes_yes_and_nothing_else() {
    let rig = fresh();
    for line in ["", "\n", "y\n", "Yes\n", "YES\n", "yes please\n", "no\n"] {
        let declined = typed(&rig, "apply", line).expect(Exit::Failed);
        says(&declined.err, "To apply this plan, type `yes`: Not approved; nothing was changed.");
        assert!(rig.holdings().nothing_of(OWNER), "{line:?}");
    }
    typed(&rig, "apply", "yes\n").expect(Exit::Done);
    assert_eq!(rig.instances(GZ).len(), 5);
    says(&typed(&rig, "destroy", "yep\n").expect(Exit::Failed).err, "To destroy all of this, type `yes`:");
    typed(&rig, "destroy", "yes\r\n").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(OWNER));
}

#[test]
fn json_is_json_whatever_happens() {
    let rig = image();
    for args in ["plan --json", "show --json", "state list --json", "cloud inspect --json", "validate --json"] {
        rig.json(args);
    }
    rig.json("cloud credentials --json");
    let faulty = |text: &str, exit| {
        rig.write(SHOP, text);
        let ran = rig.run("plan --json").expect(exit);
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out));
        assert_eq!(ran.err, "");
    };
    faulty("", Exit::Config);
    faulty(&IMAGE.replace("count: 3", "count: three"), Exit::Config);
    faulty(&IMAGE.replace("count: 3", "count: 3000"), Exit::Infeasible);
    faulty(&IMAGE.replace("project: shop", "project: store"), Exit::Foreign);
    rig.write(SHOP, &IMAGE.replace("count: 3", "count: 4"));
    let ran = rig.run("apply --auto-approve --json").expect(Exit::Done);
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[0]["format"], "fleetwright-events/1");
    assert_eq!(events[1]["plan"]["format"], "fleetwright-plan/1");
    assert_eq!(events.last().expect("an end")["added"], 1);
    assert_eq!(ran.err, "");
}

#[test]
fn the_name_of_an_environment_is_refused_in_json_too() {
    let rig = fresh();
    for args in ["plan --json -e Staging", "apply --json -e Staging", "--json -e ../x state list"] {
        let ran = rig.run(args).expect(Exit::Config);
        let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(json["diagnostics"][0]["code"], "invalid-name");
        assert_eq!(json["errors"], 1);
        assert_eq!(ran.err, "");
    }
}

#[test]
fn a_plan_in_json_has_the_warnings_of_its_config() {
    let rig = fresh();
    assert_eq!(rig.json("plan --json")["diagnostics"], serde_json::json!([]));
    rig.write("more.yml", "fleets: {}\n");
    let validated = rig.json("validate --json");
    assert_eq!(validated["warnings"], 1, "{validated}");
    assert_eq!(validated["diagnostics"][0]["code"], "not-read");
    for args in ["plan --json", "plan --json --refresh-only", "drift --json"] {
        assert_eq!(rig.json(args)["diagnostics"], validated["diagnostics"], "{args}");
    }
    // A saved plan has none: they belong to the moment.
    rig.run("plan --out plan.json").expect(Exit::Done);
    assert_eq!(rig.json("show plan.json --json")["diagnostics"], serde_json::json!([]));
}

#[test]
fn environments_have_states_of_their_own() {
    let rig = fresh();
    rig.settle();
    let before = rig.instances(GZ);
    let planned = rig.run("-e staging plan").expect(Exit::Done);
    says(&planned.out, "environment staging");
    says(&planned.out, "Plan: 5 to add");
    rig.run("-e staging apply --auto-approve").expect(Exit::Done);
    assert_eq!(rig.instances(GZ).len(), 10);
    rig.expect_no_changes();
    rig.run("-e staging destroy --auto-approve").expect(Exit::Done);
    assert_eq!(rig.instances(GZ), before);
    rig.expect_no_changes();
    rig.run("-e ../other plan").expect(Exit::Config);
}

#[test]
fn a_state_of_something_else_is_refused() {
    let rig = fleet();
    rig.edit(SHOP, "project: shop", "project: store");
    let mark = rig.mark();
    let refused = rig.fails(Exit::Foreign);
    insta::assert_snapshot!("other_project", refused.err);
    rig.edit(SHOP, "project: store", "project: shop");
    rig.edit(SHOP, "region: ap-guangzhou }", "region: ap-guangzhou, account: \"100000000002\" }");
    says(&rig.fails(Exit::Foreign).err, "account \"100000000001\" in the state, \"100000000002\" in the config");
    says(&rig.run("destroy --auto-approve").expect(Exit::Foreign).err, "account");
    assert_eq!(rig.mutations(mark), counts(&[]));
}

#[test]
fn a_state_that_is_none_is_refused() {
    let rig = fleet();
    let file = rig.dir().join("state/default.db");
    let bytes = std::fs::read(&file).expect("the state");
    for (text, exit) in [("this is a letter, and no state at all; it goes on for a while".repeat(20), Exit::Foreign)] {
        remove_beside(&rig);
        std::fs::write(&file, text).expect("written");
        let refused = rig.fails(exit);
        insta::assert_snapshot!("not_a_state", refused.err);
        rig.run("show").expect(exit);
    }
    remove_beside(&rig);
    std::fs::write(&file, bytes).expect("written");
    rig.expect_no_changes();
}

/// What SQLite keeps beside a file.
fn remove_beside(rig: &Rig) {
    for ending in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(rig.dir().join(format!("state/default.{ending}"))));
    }
}

#[test]
fn a_lock_that_is_held_is_said_with_its_holder() {
    use fleetwright::store::{Holder, SqliteStore, Store};
    let rig = fleet();
    let now = fleetwright::cloud::clock::Clock::now_ms(&*rig.clock);
    let mut store = SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state");
    let holder = Holder { who: "grace".into(), host: "elsewhere".into(), pid: 4711, started: 1 };
    let fence = store.lock(&holder, now, 300_000, &|_| false).expect("the lock");
    rig.edit(SHOP, "count: 5", "count: 6");
    let refused = rig.fails(Exit::Locked);
    insta::assert_snapshot!("locked", refused.err);
    // Looking is free.
    rig.run("plan").expect(Exit::Done);
    store.unlock(fence).expect("given back");
    rig.settle();
}

#[test]
fn colour_is_for_terminals_and_not_for_who_wants_none() {
    let rig = fresh();
    let escape = |ran: &crate::rig::Ran| ran.out.contains('\u{1b}');
    assert!(!escape(&rig.run("plan")));
    assert!(escape(&rig.run("--color always plan")));
    assert!(escape(&typed(&rig, "plan", "")));
    assert!(!escape(&typed(&rig, "--color never plan", "")));
    let without = rig.run_in("plan", &[("NO_COLOR", "1")], ALL);
    assert!(!escape(&without));
    assert!(escape(&rig.run_in("plan", &[("NO_COLOR", "")], ALL)), "an empty NO_COLOR says nothing");
    assert!(!escape(&rig.run_in("plan", &[("TERM", "dumb")], ALL)));
}

#[test]
fn a_command_line_that_is_not_understood() {
    let rig = fresh();
    for args in ["", "pla", "plan --nope", "apply --parallelism 0", "apply --parallelism 65", "cloud", "state"] {
        let ran = rig.run(args).expect(Exit::Usage);
        assert_eq!(ran.out, "", "{args}");
        assert!(ran.err.contains("Usage") || ran.err.contains("--help"), "{}", ran.err);
    }
    says(&rig.run("--help").expect(Exit::Done).out, "Usage: fleetwright");
    says(&rig.run("--version").expect(Exit::Done).out, "fleetwright 0.");
    says(&rig.run("cloud credentials --account 7").expect(Exit::Usage).err, "100000000001 to 100000000004");
}

#[test]
fn keys_of_the_embedded_cloud_for_other_tools() {
    let rig = fresh();
    let keys = rig.run("cloud credentials --account 100000000002").expect(Exit::Done);
    insta::assert_snapshot!("credentials", keys.out);
    assert_ne!(keys.out, rig.run("cloud credentials").expect(Exit::Done).out);
}

#[test]
fn the_embedded_cloud_can_be_looked_at() {
    let rig = image();
    let all = rig.run("cloud inspect").expect(Exit::Done);
    insta::assert_snapshot!("inspect", all.out);
    let one = rig.run("cloud inspect --region ap-shanghai").expect(Exit::Done);
    assert!(one.out.contains("ap-shanghai") && !one.out.contains("ins-"), "{}", one.out);
    let nobody = rig.run("cloud inspect --account 100000000004").expect(Exit::Done);
    assert!(!nobody.out.contains("ins-"), "{}", nobody.out);
}

#[test]
fn the_embedded_cloud_can_be_thrown_away() {
    // A cloud in a file of its own, as the binary has it.
    let rig = fresh();
    let alone = |args: &str| rig.run_alone(args);
    says(&alone("cloud reset").expect(Exit::Done).out, "There is no embedded cloud in state/cloud.db.");
    alone("apply --auto-approve").expect(Exit::Done);
    assert!(rig.dir().join("state/cloud.db").exists());
    says(&alone("cloud reset").expect(Exit::Failed).err, "nothing was deleted: there is no terminal to ask on");
    says(&alone("cloud reset --auto-approve").expect(Exit::Done).out, "Deleted state/cloud.db.");
    assert!(!rig.dir().join("state/cloud.db").exists());
    // All has vanished, and comes back.
    let planned = alone("plan --detailed-exitcode").expect(Exit::Changes);
    says(&planned.out, "5 to add, 0 to change, 0 to reset, 0 to destroy. Besides: 5 to forget.");
    alone("apply --auto-approve").expect(Exit::Done);
    alone("plan --detailed-exitcode").expect(Exit::Done);
}

#[test]
fn what_an_apply_says_while_it_runs() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    let ran = rig.run("apply --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("progress", ran.err);
    insta::assert_snapshot!("state_shown", rig.run("show").expect(Exit::Done).out);
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
    let ran = rig.run("apply --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("progress_of_a_version", ran.err);
    let ran = rig.run("destroy --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("progress_of_the_end", ran.err);
    insta::assert_snapshot!("end", ran.out);
}

#[test]
fn a_directory_elsewhere_is_named_in_what_to_type_next() {
    let rig = fleet();
    let parent = rig.dir().parent().expect("a parent").join("beside");
    std::fs::create_dir_all(&parent).expect("a directory");
    let refused = rig.run("-C ../config destroy").expect(Exit::Failed);
    says(&refused.err, "fleetwright -C ../config destroy --auto-approve");
    rig.run("-C ../nowhere plan").expect(Exit::Config);
    rig.run("-C ../beside plan").expect(Exit::Config);
}

#[test]
fn user_data_that_changes_is_compared_on_a_terminal_only() {
    let rig = fleet();
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    let shown = typed(&rig, "--color never plan", "");
    says(&shown.out, "user data of fleet.web:");
    assert!(shown.out.contains("-echo one") && shown.out.contains("+echo two"), "{}", shown.out);
    let piped = rig.run("plan").expect(Exit::Done);
    assert!(!piped.out.contains("echo"), "{}", piped.out);
    assert!(!rig.run("plan --json").expect(Exit::Done).out.contains("echo"));
}
