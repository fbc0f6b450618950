//! Rollouts: how far they are, and what somebody says to one. Their rows are put into the state by hand here.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::model::addr::Block;
use fleetwright::model::digest::{Digest, SecretKey, SecretSource};
use fleetwright::model::ids::{ImageId, Name, Version};
use fleetwright::model::recorded::Recorded;
use fleetwright::model::rollout::{Phase, Rollout};
use fleetwright::model::spec::{ImageUse, ObjectSpec, SlotSpec};
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, Record, RunOutcome, SqliteStore, Store};
use serde_json::Value;

use crate::kit::{fleet, image, says};
use crate::rig::{Ran, Rig};

fn web() -> Block {
    Block::fleet(&Name::new("web"))
}

fn open(rig: &Rig) -> SqliteStore {
    SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state")
}

/// Somebody on another machine takes the lock.
fn held(rig: &Rig) -> (SqliteStore, Fence) {
    let mut store = open(rig);
    let holder = Holder { who: "grace".into(), host: "elsewhere".into(), pid: 4711, started: 1 };
    let fence = store.lock(&holder, rig.now_ms(), 300_000, &|_| false).expect("the lock");
    (store, fence)
}

fn write(rig: &Rig, records: &[Record]) {
    let (mut store, fence) = held(rig);
    store.commit(fence, records).expect("committed");
    store.unlock(fence).expect("given back");
}

fn recorded(rig: &Rig) -> Recorded {
    open(rig).load().expect("loaded").recorded
}

fn row(rig: &Rig) -> Rollout {
    recorded(rig).rollouts.remove(&web()).expect("a rollout")
}

/// What a slot of the fleet was made with.
fn spec(rig: &Rig, slot: u32) -> SlotSpec {
    let recorded = recorded(rig);
    let object = recorded.objects.iter().find(|object| object.addr.block == web() && object.addr.slot == Some(slot));
    match object.expect("the slot").spec.as_ref() {
        ObjectSpec::Slot(spec) => (**spec).clone(),
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => panic!("a fleet has slots"),
    }
}

fn changed(rig: &Rig, slot: u32, spec: SlotSpec) -> Record {
    let recorded = recorded(rig);
    let object =
        recorded.objects.into_iter().find(|object| object.addr.block == web() && object.addr.slot == Some(slot));
    let object = object.expect("the slot");
    Record::Change {
        addr: object.addr,
        generation: object.generation,
        status: object.status,
        spec: Some(Arc::new(ObjectSpec::Slot(Box::new(spec)))),
        made_from: None,
    }
}

/// A rollout of another image over the fleet: one slot is there, one on trial, one failed, two are left.
fn rolling(rig: &Rig, phase: Phase) -> Rollout {
    let before = spec(rig, 0);
    let after = SlotSpec { image: ImageUse::Found { id: ImageId::new("img-12345678") }, ..before.clone() };
    let row = Rollout {
        block: web(),
        target: Digest::of("test", b"two"),
        to: after.image.clone(),
        before: Some(Arc::new(ObjectSpec::Slot(Box::new(before)))),
        phase,
        canary_passed: true,
        promoted: false,
        failed: BTreeSet::from([4]),
        why: if phase == Phase::Running { String::new() } else { "fleet.web[4] was not healthy in time".into() },
        started_ms: rig.now_ms() - 600_000,
        changed_ms: rig.now_ms() - 60_000,
    };
    let trial = SlotSpec { on_trial: true, ..after.clone() };
    write(rig, &[changed(rig, 0, after), changed(rig, 1, trial), Record::Rollout(Box::new(row.clone()))]);
    row
}

fn put(rig: &Rig, row: &Rollout) {
    write(rig, &[Record::Rollout(Box::new(row.clone()))]);
}

fn typed(rig: &Rig, args: &str, line: &str) -> Ran {
    let terminals = Terminals { stdin: true, stdout: true, stderr: true };
    rig.run_typing(&format!("--color never {args}"), Hooks::default(), &mut line.as_bytes(), terminals)
}

#[test]
fn each_phase_is_shown_with_what_to_type_next() {
    let rig = fleet();
    says(&rig.run("rollout status").expect(Exit::Done).out, "There are no rollouts");
    let row = rolling(&rig, Phase::Running);
    let mut all = String::new();
    for phase in Phase::ALL {
        put(&rig, &Rollout { phase, ..row.clone() });
        all += &format!("=== {}\n{}", phase.word(), rig.run("rollout status").expect(Exit::Done).out);
    }
    insta::assert_snapshot!("rollout_status", all);
    let mut wide = fleet();
    wide.width = 120;
    rolling(&wide, Phase::Paused);
    insta::assert_snapshot!("rollout_status_wide", wide.run("-C . rollout status fleet.web").expect(Exit::Done).out);
    let json = rig.json("rollout status web --json");
    insta::assert_snapshot!("rollout_status_json", format!("{json:#}"));
    super::documented(&json);
    super::documented(&rig.json("rollout rollback web --no-apply --json"));
    insta::assert_snapshot!("rollout_in_a_state", rig.run("show").expect(Exit::Done).out);
    assert_eq!(rig.json("show --json")["rollouts"][0]["phase"], "taken_back");
}

#[test]
fn what_can_be_said_to_a_rollout_depends_on_how_far_it_is() {
    // For each phase what becomes of it; nothing where that cannot be said.
    use Phase::{Aborted, Done, Paused, Running, Stopped, TakenBack};
    let table = [
        ("pause", [Some(Paused), Some(Paused), None, None, None, None]),
        ("resume --no-apply", [Some(Running), Some(Running), None, Some(Running), Some(Running), None]),
        ("promote --no-apply", [Some(Running), Some(Running), None, Some(Running), Some(Running), None]),
        ("abort", [Some(Aborted), Some(Aborted), None, Some(Aborted), Some(Aborted), None]),
        ("rollback --no-apply", [Some(TakenBack); 6]),
    ];
    assert_eq!(Phase::ALL, [Running, Paused, Done, Stopped, Aborted, TakenBack]);
    let rig = fleet();
    let first = rolling(&rig, Running);
    for (words, becomes) in table {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        for (phase, becomes) in Phase::ALL.into_iter().zip(becomes) {
            let before = Rollout { phase, ..first.clone() };
            put(&rig, &before);
            let serial = recorded(&rig).serial;
            let ran = rig.run(&format!("rollout {verb} web {rest}"));
            let after = row(&rig);
            let Some(becomes) = becomes else {
                let ran = ran.expect(Exit::Failed);
                says(&ran.err, "error[rollout-phase]");
                assert_eq!((after, recorded(&rig).serial), (before, serial), "{words} {phase:?}");
                continue;
            };
            let ran = ran.expect(Exit::Done);
            assert_eq!(after.phase, becomes, "{words} {phase:?}");
            assert_eq!(after.promoted, verb == "promote");
            let same = phase == becomes && !after.promoted;
            assert_eq!(recorded(&rig).serial, serial + u64::from(!same), "{words} {phase:?}");
            if same {
                says(&ran.out, "Nothing was changed");
                assert_eq!(after, before);
                continue;
            }
            assert_eq!(after.changed_ms, rig.now_ms());
            // Whoever goes on after a failure has looked at it.
            let forgiven = becomes == Running && matches!(phase, Stopped | Aborted);
            assert_eq!(after.failed.is_empty(), forgiven, "{words} {phase:?}");
            assert_eq!(after.why.is_empty(), becomes == Running);
            let last = &rig.json("history --limit 1 --json")["runs"][0];
            assert_eq!((&last["kind"], &last["outcome"]), (&format!("rollout {verb}").into(), &"done".into()));
        }
    }
    let told: Vec<String> = [("pause", Running), ("abort", Paused), ("rollback --no-apply", Done)]
        .into_iter()
        .map(|(words, phase)| {
            put(&rig, &Rollout { phase, ..first.clone() });
            let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
            rig.run(&format!("-e default rollout {verb} fleet.web {rest}")).expect(Exit::Done).out
        })
        .collect();
    insta::assert_snapshot!("rollout_said", told.join("\n"));
}

#[test]
fn what_cannot_be_said_is_told_with_what_leads_on() {
    let rig = Rig::new(&[("shop.yaml", crate::kit::FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let mut all = String::new();
    let mut refused = |rig: &Rig, args: &str, exit: Exit| {
        let ran = rig.run(args).expect(exit);
        assert_eq!(ran.out, "");
        all += &format!("$ fleetwright {args}\n{}\n", ran.err);
    };
    for verb in ["status", "pause", "abort"] {
        refused(&rig, &format!("rollout {verb} web"), Exit::Failed);
    }
    refused(&rig, "rollout resume web --auto-approve", Exit::Failed);
    assert!(!rig.dir().join("state").exists(), "nothing is made");
    let rig = fleet();
    refused(&rig, "rollout pause web", Exit::Failed);
    refused(&rig, "rollout status wbe", Exit::Failed);
    refused(&rig, "rollout abort shop", Exit::Failed);
    refused(&rig, "rollout status fleet.web[3]", Exit::Usage);
    let first = rolling(&rig, Phase::Done);
    refused(&rig, "rollout pause web", Exit::Failed);
    put(&rig, &Rollout { phase: Phase::TakenBack, ..first.clone() });
    refused(&rig, "rollout resume web --no-apply", Exit::Failed);
    put(&rig, &Rollout { phase: Phase::Stopped, before: None, ..first.clone() });
    refused(&rig, "rollout rollback web --no-apply", Exit::Infeasible);
    let gone = ImageUse::Made { image: Name::new("web"), version: Version::new("3f9a1c02"), generation: 1 };
    let before = SlotSpec { image: gone, ..spec(&rig, 0) };
    let before = Some(Arc::new(ObjectSpec::Slot(Box::new(before))));
    put(&rig, &Rollout { phase: Phase::Stopped, before, ..first.clone() });
    refused(&rig, "rollout rollback web --auto-approve", Exit::Infeasible);
    let key = SecretKey::of(&recorded(&rig).lineage);
    let other = key.refer(SecretSource::File("boot.sh".into()), b"#!/bin/sh\necho zero\n");
    let before = SlotSpec { user_data: Some(other), ..spec(&rig, 3) };
    let before = Some(Arc::new(ObjectSpec::Slot(Box::new(before))));
    put(&rig, &Rollout { phase: Phase::Stopped, before, ..first.clone() });
    refused(&rig, "rollout rollback web --no-apply", Exit::Infeasible);
    put(&rig, &Rollout { phase: Phase::Stopped, ..first });
    let (mut store, fence) = held(&rig);
    refused(&rig, "rollout abort web", Exit::Locked);
    store.unlock(fence).expect("given back");
    rig.write("shop.yaml", &crate::kit::FLEET.replace("  web:", "  shop:"));
    refused(&rig, "rollout resume web --auto-approve", Exit::Failed);
    insta::assert_snapshot!("rollout_refused", all);
}

#[test]
fn an_image_that_is_still_there_leads_back() {
    let rig = image();
    let now = spec(&rig, 0);
    let ImageUse::Made { .. } = &now.image else { panic!("an image of its own") };
    let row = Rollout {
        block: web(),
        target: Digest::of("test", b"two"),
        to: ImageUse::Found { id: ImageId::new("img-12345678") },
        before: Some(Arc::new(ObjectSpec::Slot(Box::new(now)))),
        phase: Phase::Stopped,
        canary_passed: false,
        promoted: false,
        failed: BTreeSet::new(),
        why: String::new(),
        started_ms: rig.now_ms(),
        changed_ms: rig.now_ms(),
    };
    put(&rig, &row);
    assert_eq!(rig.json("rollout status --json")["rollouts"][0]["way_back"], true);
    rig.run("rollout rollback web --no-apply").expect(Exit::Done);
}

#[test]
fn a_pause_reaches_the_run_that_holds_the_lock() {
    let rig = fleet();
    rolling(&rig, Phase::Running);
    let (mut store, fence) = held(&rig);
    let serial = recorded(&rig).serial;
    let told = rig.run("rollout pause web").expect(Exit::Done);
    insta::assert_snapshot!("rollout_wished", told.out + &rig.run("rollout status").expect(Exit::Done).out);
    assert_eq!((row(&rig).phase, recorded(&rig).serial), (Phase::Running, serial));
    let json = rig.json("rollout pause web --json");
    assert_eq!((&json["said"], &json["heard"], &json["run"]), (&"pause".into(), &"wished".into(), &Value::Null));
    assert_eq!(json["rollouts"][0]["pause_asked"]["who"], "ada");
    assert_eq!(json["rollouts"][0]["locked_by"]["process"], 4711);
    store.unlock(fence).expect("given back");
    let after = row(&rig);
    assert_eq!((after.phase, after.why.as_str()), (Phase::Paused, "ada on workbench wished it to pause"));
    let json = rig.json("rollout pause web --json");
    assert_eq!((&json["heard"], &json["rollouts"][0]["pause_asked"]), (&"already".into(), &Value::Null));
}

#[test]
fn a_plan_from_before_a_pause_is_stale() {
    let rig = fleet();
    let first = rolling(&rig, Phase::Running);
    rig.edit("shop.yaml", "count: 5", "count: 6");
    rig.run("plan --out saved.json").expect(Exit::Done);
    put(&rig, &Rollout { phase: Phase::Running, ..first });
    rig.run("plan --out saved.json").expect(Exit::Done);
    rig.run("rollout pause web").expect(Exit::Done);
    says(&rig.run("apply saved.json").expect(Exit::Foreign).err, "error[stale]");
}

#[test]
fn a_rollout_goes_with_its_fleet() {
    for destroyed in [true, false] {
        let rig = fleet();
        rolling(&rig, Phase::Aborted);
        if destroyed {
            rig.run("destroy --auto-approve").expect(Exit::Done);
        } else {
            rig.write("shop.yaml", &crate::kit::FLEET.replace("  web:", "  shop:"));
            rig.run("apply --auto-approve").expect(Exit::Done);
        }
        assert!(recorded(&rig).rollouts.is_empty());
        if destroyed {
            continue;
        }
        // What is left of a fleet that is long gone goes with the next run, whatever that is.
        let left = Rollout { block: web(), ..rolling_of_nothing(&rig) };
        put(&rig, &left);
        rig.run("apply --auto-approve").expect(Exit::Done);
        assert!(recorded(&rig).rollouts.is_empty());
    }
}

fn rolling_of_nothing(rig: &Rig) -> Rollout {
    Rollout {
        block: web(),
        target: Digest::of("test", b"two"),
        to: ImageUse::Found { id: ImageId::new("img-12345678") },
        before: None,
        phase: Phase::TakenBack,
        canary_passed: false,
        promoted: false,
        failed: BTreeSet::new(),
        why: String::new(),
        started_ms: rig.now_ms(),
        changed_ms: rig.now_ms(),
    }
}

#[test]
fn what_is_tried_again_has_to_be_a_fleet() {
    let rig = fleet();
    for args in ["plan --retry", "plan --retry=fleet.web", "plan --retry=fleet.web --target fleet.web"] {
        rig.run(args).expect(Exit::Done);
    }
    let mut all = String::new();
    for args in
        ["--retry=fleet.wbe", "--retry=fleet.web[1]", "--retry=image.ubuntu", "--retry=fleet.web --exclude fleet.web"]
    {
        all += &format!("$ fleetwright plan {args}\n{}\n", rig.run(&format!("plan {args}")).expect(Exit::Usage).err);
    }
    insta::assert_snapshot!("retry_of_what", all);
    rig.run("plan --retry --destroy").expect(Exit::Usage);
    says(&rig.run("apply --retry=fleet.web").expect(Exit::Done).out, "No changes");
    rig.edit("shop.yaml", "count: 5", "count: 6");
    says(&rig.run("apply --retry=fleet.web").expect(Exit::Failed).err, "apply --retry=fleet.web --auto-approve");
}

#[test]
fn a_run_ends_as_its_rollout_does() {
    let rig = fleet();
    let (mut store, fence) = held(&rig);
    for outcome in RunOutcome::ALL {
        let run = fleetwright::store::NewRun {
            kind: "apply",
            who: "grace".into(),
            host: "elsewhere".into(),
            started_ms: rig.now_ms(),
            config_digest: None,
            git_rev: None,
            plan: None,
        };
        let run = store.start_run(fence, &run).expect("a run");
        store.end_run(fence, run, rig.now_ms() + 60_000, outcome).expect("ended");
    }
    store.unlock(fence).expect("given back");
    let mut all = rig.run("history").expect(Exit::Done).out;
    for run in [6, 7, 8] {
        all += &rig.run(&format!("show {run}")).expect(Exit::Done).out;
    }
    insta::assert_snapshot!("rollout_ends", all);
    let runs = rig.json("history --json");
    let words: Vec<&str> =
        runs["runs"].as_array().expect("runs").iter().filter_map(|run| run["outcome"].as_str()).collect();
    assert_eq!(words[..3], ["taken_back", "stopped", "paused"]);
}

#[test]
fn going_on_asks_first_and_changes_nothing_before() {
    let rig = fleet();
    let paused = rolling(&rig, Phase::Paused);
    rig.edit("shop.yaml", "count: 5", "count: 6");
    // The very one that the config asks for.
    let planned = rig.json("plan --json");
    let target = planned["rollouts"][0]["target"].as_str().expect("a target").parse().expect("a digest");
    put(&rig, &Rollout { target, ..paused });
    let before = row(&rig);
    says(&rig.run("rollout resume web").expect(Exit::Failed).err, "fleetwright rollout resume web --auto-approve");
    let declined = typed(&rig, "rollout rollback web", "no\n").expect(Exit::Failed);
    says(&declined.err, "To go back like this, type `yes`:");
    says(&declined.err, "Not approved");
    assert_eq!(row(&rig), before);
    rig.run("rollout resume web --no-apply --auto-approve").expect(Exit::Usage);
}
