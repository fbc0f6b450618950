//! Plans that are saved, shown, and carried out as they are; or refused before anything is done.

mod crashes;
mod facts;
mod memory;
mod refusals;

use std::path::Path;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::ops::Hooks;
use serde_json::Value;

use crate::crash::world::summary;
use crate::kit::{BOOT, FLEET, IMAGE, counts, fleet, image, says};
use crate::rig::{Ran, Rig};

const SHOP: &str = "shop.yaml";
const SCRIPT: &str = "boot.sh";
const ONE: &str = "#!/bin/sh\necho one\n";
const FILE: &str = "plan.json";

/// A world with a fleet that was not applied yet.
fn fresh() -> Rig {
    Rig::new(&[(SHOP, FLEET), (SCRIPT, ONE)])
}

/// Saves a plan.
#[track_caller]
fn save(rig: &Rig) -> Ran {
    rig.run("plan --out plan.json").expect(Exit::Done)
}

/// Applies the saved plan, which is refused before anything is done, with this code.
#[track_caller]
fn refused(rig: &Rig, code: &str) -> Ran {
    let state = rig.dir().join("state").join("default.db");
    let objects = |rig: &Rig| state.exists().then(|| rig.run("show --json").out);
    let (before, mark) = (objects(rig), rig.mark());
    let ran = rig.run("apply plan.json").expect(Exit::Foreign);
    assert!(ran.err.contains(&format!("error[{code}]")), "{}", ran.err);
    says(&ran.err, "help:");
    says(&ran.err, "nothing was changed");
    assert_eq!(rig.mutating(mark), Vec::<String>::new(), "{}", ran.err);
    assert_eq!(objects(rig), before);
    ran
}

#[test]
fn a_plan_is_saved_shown_and_carried_out() {
    let rig = fresh();
    let planned = save(&rig);
    let (text, end) = planned.out.split_once("\nThe plan is saved.").expect("the closing words");
    assert_eq!(end, " To carry out just this one:\n  fleetwright apply plan.json\n");
    assert!(!rig.dir().join("state").exists() && !rig.dir().join("fleetwright.lock").exists());
    assert_eq!(std::fs::read_dir(rig.dir()).expect("a directory").count(), 3, "nothing is left beside the file");
    // Prices belong to the moment at which the plan was made.
    let cost = "Cost: about 1.325 CNY an hour more (5 instances).\n";
    assert!(text.contains(cost), "{text}");
    assert_eq!(rig.run("show plan.json").expect(Exit::Done).out, text.replace(cost, ""));
    let file: Value = serde_json::from_str(&rig.read(FILE)).expect("JSON");
    let shown = rig.json("show plan.json --json");
    assert_eq!(shown["lineage"], file["plan"]["lineage"]);
    assert_eq!(shown["counts"]["add"], 5);

    let mark = rig.mark();
    let applied = rig.run("apply plan.json").expect(Exit::Done);
    says(&applied.out, "Plan: 5 to add, 0 to change, 0 to reset, 0 to destroy.");
    says(&applied.out, "Applied: 5 added");
    assert_eq!(rig.mutations(mark), counts(&[("RunInstances", 2)]));
    assert_eq!(rig.json("show --json")["lineage"], file["plan"]["lineage"]);
    assert!(rig.read("fleetwright.lock").contains("Ubuntu Server 22.04"));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn a_plan_with_nothing_to_do_is_saved_too() {
    let rig = fleet();
    says(&save(&rig).out, "No changes.");
    says(&rig.run("show plan.json").expect(Exit::Done).out, "No changes.");
    let mark = rig.mark();
    let serial = rig.json("show --json")["serial"].clone();
    says(&rig.run("apply plan.json").expect(Exit::Done).out, "No changes: the plan has nothing to do.");
    assert_eq!((rig.mutations(mark), &rig.json("show --json")["serial"]), (counts(&[]), &serial));
    assert_eq!(rig.run("plan --detailed-exitcode --out plan.json").exit, Exit::Done);
    rig.edit(SHOP, "count: 5", "count: 6");
    assert_eq!(rig.run("plan --detailed-exitcode --out plan.json").exit, Exit::Changes);
}

#[test]
fn nobody_is_asked_and_consent_is_no_mistake() {
    let rig = fresh();
    save(&rig);
    let terminal = Terminals { stdin: true, stdout: true, stderr: true };
    let mut nothing: &[u8] = b"";
    let ran = rig.run_typing("apply plan.json --auto-approve", Hooks::default(), &mut nothing, terminal);
    assert!(!ran.expect(Exit::Done).err.contains("type `yes`"));
    rig.expect_no_changes();
}

#[test]
fn json_stays_json() {
    let rig = fresh();
    let planned = rig.json("plan --json --out plan.json");
    assert_eq!((&planned["refreshed"], &planned["counts"]["add"]), (&Value::Bool(true), &Value::from(5)));
    let applied = rig.run("apply plan.json --json").expect(Exit::Done);
    let events: Vec<Value> = applied.out.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let plan = events.iter().find(|event| event["type"] == "plan").expect("the plan");
    assert_eq!(plan["plan"]["lineage"], planned["lineage"]);
    assert_eq!(events.last().expect("an end")["type"], "outcome");
}

#[test]
fn a_file_is_named_from_where_the_command_works() {
    let rig = fresh();
    std::fs::create_dir(rig.dir().join("plans")).expect("made");
    let planned = rig.run("plan -e staging --out plans/first.plan").expect(Exit::Done);
    says(&planned.out, "fleetwright -e staging apply plans/first.plan");
    rig.run("apply -e staging plans/first.plan").expect(Exit::Done);
    let nowhere = rig.run("plan --out nowhere/plan.json").expect(Exit::Failed);
    says(&nowhere.err, "error[plan-file]: nowhere/plan.json cannot be written");
    says(&rig.run("plan --out plans").expect(Exit::Failed).err, "it is a directory");
    says(&rig.run("plan --out more.yaml").expect(Exit::Failed).err, "read as a part of the config");
    assert!(!rig.dir().join("more.yaml").exists());
}

#[test]
fn show_tells_what_is_not_there() {
    let rig = fleet();
    says(&rig.run("show plan.json").expect(Exit::Failed).err, "error[plan-file]: plan.json cannot be read");
    let ran = rig.run("show 7").expect(Exit::Failed);
    says(&ran.err, "there is no run 7 in the history");
    says(&rig.run("show shop.yaml").expect(Exit::Foreign).err, "error[damaged-plan]: shop.yaml is not a plan file");
    says(&rig.run("apply plan.json").expect(Exit::Failed).err, "fleetwright plan --out plan.json");
}

#[test]
fn a_saved_plan_makes_the_calls_that_an_apply_would_make() {
    /// A world, what is changed in it, and how many calls that takes at least.
    type World = (&'static str, fn() -> Rig, fn(&Rig), usize);
    let worlds: [World; 8] = [
        ("a new fleet", fresh, |_| {}, 1),
        ("a new image", || Rig::new(&[(SHOP, IMAGE), (SCRIPT, BOOT)]), |_| {}, 5),
        ("a larger fleet", fleet, |rig| rig.edit(SHOP, "count: 5", "count: 8"), 1),
        ("a smaller fleet", fleet, |rig| rig.edit(SHOP, "count: 5", "count: 2"), 1),
        ("another type", fleet, |rig| rig.edit(SHOP, "S5.MEDIUM4", "S5.LARGE8"), 10),
        ("another script", fleet, |rig| rig.write(SCRIPT, "#!/bin/sh\necho two\n"), 2),
        ("other tags", fleet, |rig| rig.edit(SHOP, "app: web", "role: web"), 2),
        ("another image", image, |rig| rig.write(SCRIPT, &BOOT.replace("echo shop", "echo store")), 5),
    ];
    for (name, world, edit, least) in worlds {
        let saved = world();
        edit(&saved);
        let plain = saved.fork();
        save(&saved);
        // Long after it was planned, so that no look at the cloud is young any more.
        saved.wait_ms(3_600_000);
        plain.wait_ms(3_600_000);
        let (from_saved, from_plain) = (saved.mark(), plain.mark());
        saved.run("apply plan.json").expect(Exit::Done);
        plain.run("apply --auto-approve").expect(Exit::Done);
        let (mine, its) = (saved.mutating(from_saved), plain.mutating(from_plain));
        assert_eq!(mine, its, "{name}");
        assert!(mine.len() >= least, "{name}: {mine:?}");
        assert_eq!(summary(&saved), summary(&plain), "{name}");
        saved.expect_no_changes();
        saved.expect_in_step();
    }
}

#[test]
fn a_saved_destruction_is_carried_out_too() {
    let rig = image();
    rig.run("plan --destroy --out plan.json").expect(Exit::Done);
    rig.run("apply plan.json").expect(Exit::Done);
    assert!(rig.holdings().nothing_of(crate::rig::OWNER));
}

#[test]
fn facts_are_read_a_hundred_ids_a_call() {
    let config = FLEET.replace("count: 5", "count: 250").replace("user_data: { file: boot.sh }", "internet:");
    let config = config.replace("    internet:\n", "");
    let rig = Rig::new(&[(SHOP, &config)]);
    rig.settle();
    rig.edit(SHOP, "count: 250", "count: 10");
    save(&rig);
    let mark = rig.mark();
    rig.run("apply plan.json").expect(Exit::Done);
    let before: Vec<String> = rig
        .since(mark)
        .into_iter()
        .map(|entry| entry.action)
        .take_while(|action| action.starts_with("Describe"))
        .collect();
    assert_eq!(before, vec!["DescribeInstances"; 3]);
}

#[test]
fn a_plan_holds_no_secret() {
    let rig = Rig::new(&[(SHOP, FLEET), (SCRIPT, "#!/bin/sh\nTOKEN=correct-horse-battery\n")]);
    save(&rig);
    let text = rig.read(FILE);
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(rig.read(SCRIPT));
    for secret in ["correct-horse-battery", &encoded[..40], "embedded-secret-"] {
        assert!(!text.contains(secret), "{secret} stands in the plan");
    }
    assert!(text.contains("boot.sh"), "by what it is known again does stand there");
    rig.run("apply plan.json").expect(Exit::Done);
    rig.expect_no_changes();
}

/// Plan files of released versions open for ever.
#[test]
#[expect(clippy::disallowed_methods, reason = "fixtures are rewritten only when a person asks for it")]
fn the_first_plan_files_still_open() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan-v1.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !fixture.exists() {
        let rig = image();
        // One of everything: a capture and its copies, shares, launches, replacements and deletions.
        rig.write(SCRIPT, &BOOT.replace("echo shop", "echo store"));
        rig.edit(SHOP, "count: 3", "count: 5");
        rig.edit(SHOP, "\"100000000002\", ", "");
        save(&rig);
        std::fs::copy(rig.dir().join(FILE), &fixture).expect("copied");
    }
    let rig = fresh();
    std::fs::copy(&fixture, rig.dir().join(FILE)).expect("copied");
    let shown = rig.json("show plan.json --json");
    let calls: Vec<&str> = shown["calls"]["by_action"].as_object().expect("calls").keys().map(String::as_str).collect();
    assert_eq!(
        calls,
        [
            "CreateImage",
            "DeleteImages",
            "ModifyImageAttribute",
            "ModifyImageSharePermission",
            "RunInstances",
            "SyncImages",
            "TagResources",
            "TerminateInstances",
        ]
    );
    insta::assert_snapshot!("plan_v1", rig.run("show plan.json").expect(Exit::Done).out);
    says(&refused(&rig, "foreign-plan").err, "state: the plan was made from one that was written before");
}
