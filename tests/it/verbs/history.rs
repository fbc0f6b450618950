//! What was run, and old runs that go.

use std::sync::Arc;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::embedded::Injection;
use fleetwright::ops::Hooks;
use serde_json::json;

use crate::between::before_first;
use crate::kit::{FLEET, GZ, fleet, says};
use crate::rig::{OWNER, Ran, Rig, request};

const SHOP: &str = "shop.yaml";
const COMMIT: &str = "3f9a1c0200000000000000000000000000000000";

fn typed(rig: &Rig, args: &str, line: &str) -> Ran {
    let terminals = Terminals { stdin: true, stdout: true, stderr: true };
    rig.run_typing(&format!("--color never {args}"), Hooks::default(), &mut line.as_bytes(), terminals)
}

/// A first apply that fails in part, one that mends it, a change, and the end of all.
fn lived() -> Rig {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.cloud().inject(Injection::LaunchFails { name: "shop-default-web-3-1".into() });
    rig.run("apply --auto-approve").expect(Exit::Partly);
    rig.wait_ms(3_600_000);
    rig.write(".git/HEAD", &format!("{COMMIT}\n"));
    rig.settle();
    rig.wait_ms(86_400_000);
    rig.edit(SHOP, "count: 5", "count: 7");
    rig.edit(SHOP, "{ app: web }", "{ app: shop }");
    rig.settle();
    rig.wait_ms(86_400_000);
    rig.run("destroy --auto-approve").expect(Exit::Done);
    rig
}

#[test]
fn runs_are_listed_newest_first() {
    let mut rig = lived();
    insta::assert_snapshot!("history_80", rig.run("history").expect(Exit::Done).out);
    rig.width = 120;
    insta::assert_snapshot!("history_120", rig.run("history").expect(Exit::Done).out);
    rig.width = 40;
    for row in rig.run("history").expect(Exit::Done).out.lines() {
        assert!(row.chars().count() <= 40, "{row}");
    }
    let two = rig.run("history --limit 2").expect(Exit::Done).out;
    says(&two, "2 older runs are not shown: --limit 4 shows all.");
    assert!(!two.contains("\n1\n"), "{two}");

    let json = rig.json("history --json");
    assert_eq!(json["format"], "fleetwright-history/1");
    let runs = json["runs"].as_array().expect("runs");
    let numbers: Vec<i64> = runs.iter().filter_map(|run| run["run"].as_i64()).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    assert_eq!((&runs[0]["kind"], &runs[0]["outcome"]), (&"destroy".into(), &"done".into()));
    assert_eq!((&runs[3]["outcome"], &runs[3]["git_revision"]), (&"partly".into(), &serde_json::Value::Null));
    assert_eq!((&runs[2]["git_revision"], &runs[2]["counts"]["add"]), (&COMMIT.into(), &1.into()));
    assert_eq!((&runs[1]["counts"]["add"], &runs[1]["counts"]["change"]), (&2.into(), &5.into()));
    assert_eq!(runs[0]["counts"]["destroy"], 7);
    assert_eq!(rig.json("history --json --limit 1")["older"], 3);
}

#[test]
fn where_nothing_was_applied_there_is_no_history() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\n")]);
    says(&rig.run("history").expect(Exit::Done).out, "There is no history yet");
    assert_eq!(rig.json("history --json")["runs"], serde_json::json!([]));
    says(&rig.run("show 1").expect(Exit::Failed).err, "error[not-in-state]: there is no run 1 in the history");
    says(&rig.run("history prune --keep 1").expect(Exit::Done).out, "Nothing was deleted");
    assert!(!rig.dir().join("state").exists());
}

#[test]
fn one_run_tells_its_plan_and_its_operations() {
    let rig = lived();
    insta::assert_snapshot!("run_partly", rig.run("show 1").expect(Exit::Done).out);
    assert_eq!(rig.run("show 1").out, rig.run("show run-1").out);
    insta::assert_snapshot!("run_destroy", rig.run("show 4").expect(Exit::Done).out);
    let json = rig.json("show 1 --json");
    assert_eq!(json["format"], "fleetwright-run/1");
    assert_eq!(json["plan"]["format"], "fleetwright-plan/1");
    let targets: Vec<_> = json["operations"]
        .as_array()
        .expect("operations")
        .iter()
        .flat_map(|op| op["targets"].as_array())
        .flatten()
        .collect();
    let failed: Vec<_> = targets.iter().filter(|target| target["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["why"].as_str().is_some_and(|why| !why.is_empty()));
    for op in json["operations"].as_array().expect("operations") {
        for key in ["sent", "settled", "took_ms", "request_id"] {
            assert!(!op[key].is_null(), "{key}: {op}");
        }
    }

    let absent = rig.run("show 9").expect(Exit::Failed);
    says(&absent.err, "there is no run 9 in the history");
    says(&absent.err, "has the runs 1 to 4");
    says(&rig.run("show plain").expect(Exit::Usage).err, "error[usage]: `plain` is not the number of a run");
    rig.run("show --json nine").expect(Exit::Usage);
}

#[test]
fn a_refused_call_is_shown_with_the_clouds_own_words() {
    let rig = fleet();
    // Tagging from outside is refused for an instance that is gone.
    rig.edit(SHOP, "type: S5.MEDIUM4", "type: S5.LARGE8");
    let id = rig.id("fleet.web[0]");
    let (cloud, clock) = (rig.cloud(), Arc::clone(&rig.clock));
    let hooks = before_first("StopInstances", move || {
        request(&cloud, &*clock, OWNER, GZ, "TerminateInstances", &json!({"InstanceIds": [id]}));
    });
    let ran = rig.run_with("apply --auto-approve", hooks);
    assert_ne!(ran.exit, Exit::Done, "{}", ran.err);
    let json = rig.json("show 2 --json");
    let faults: Vec<_> = json["operations"]
        .as_array()
        .expect("operations")
        .iter()
        .map(|op| &op["fault"])
        .filter(|fault| !fault.is_null())
        .collect();
    let text = rig.run("show 2").expect(Exit::Done).out;
    assert!(!faults.is_empty(), "{text}");
    for fault in faults {
        let (code, request) = (fault["code"].as_str().expect("a code"), fault["request_id"].as_str().expect("an id"));
        says(&text, code);
        says(&text, request);
    }
}

#[test]
fn old_runs_go_when_a_person_says_so() {
    let rig = lived();
    let refused = rig.run("history prune --keep 2").expect(Exit::Failed);
    says(&refused.err, "fleetwright history prune --keep 2 --auto-approve");
    let declined = typed(&rig, "history prune --keep 2", "y\n").expect(Exit::Failed);
    says(&declined.err, "Runs 1 to 2 would be deleted");
    assert_eq!(rig.json("history --json")["runs"].as_array().map(Vec::len), Some(4));

    let pruned = typed(&rig, "history prune --keep 2", "yes\n").expect(Exit::Done);
    insta::assert_snapshot!("pruned", pruned.out);
    says(&rig.run("history").expect(Exit::Done).out, "3 apply");
    says(&rig.run("show 1").expect(Exit::Failed).err, "has the runs 3 to 4");
    // Numbers are given once, and the next apply goes on as if nothing had been.
    rig.settle();
    assert_eq!(rig.json("history --json")["runs"][0]["run"], 5);
    let json = rig.json("history prune --keep 1 --auto-approve --json");
    assert_eq!((&json["runs"], &json["stays"]), (&2.into(), &serde_json::Value::Null));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn runs_are_old_by_when_they_ended() {
    let rig = lived();
    says(
        &rig.run("history prune --older-than 30d --auto-approve").expect(Exit::Done).out,
        "there are no runs that old",
    );
    says(&rig.run("history prune --older-than 25h --auto-approve").expect(Exit::Done).out, "Deleted 2 runs");
    // However old it is, the newest stays.
    rig.wait_ms(100 * 86_400_000);
    says(&rig.run("history prune --older-than 1s --auto-approve").expect(Exit::Done).out, "Deleted 1 run,");
    says(&rig.run("history prune --older-than 1s --auto-approve").expect(Exit::Done).out, "Nothing was deleted");
    for args in ["", "--keep 0", "--keep 1 --older-than 1d", "--older-than soon", "--older-than 30"] {
        rig.run(&format!("history prune {args}")).expect(Exit::Usage);
    }
}
