//! The state, looked at and changed by hand.

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::call::{Arg, StepId};
use fleetwright::model::recorded::RunId;
use fleetwright::ops::Hooks;
use fleetwright::plan::{Do, Effect, Settle, Step, Target, Until};
use fleetwright::store::{Holder, OpRecord, OpState, Record, SqliteStore, Store};

use crate::kit::{GZ, fleet, image, says};
use crate::rig::{Ran, Rig};

fn typed(rig: &Rig, args: &str, line: &str) -> Ran {
    let terminals = Terminals { stdin: true, stdout: true, stderr: true };
    rig.run_typing(&format!("--color never {args}"), Hooks::default(), &mut line.as_bytes(), terminals)
}

#[test]
fn a_thing_is_shown_in_full() {
    let rig = image();
    insta::assert_snapshot!("thing_slot", rig.run("state show fleet.builder[0]").expect(Exit::Done).out);
    insta::assert_snapshot!("thing_image", rig.run("state show image.web").expect(Exit::Done).out);
    let shares = rig.run("state show share.partners").expect(Exit::Done).out;
    says(&shares, "accounts: 100000000002, 100000000003");
    let json = rig.json("state show fleet.web --json");
    let things = json["things"].as_array().expect("things");
    assert_eq!(things.len(), 3);
    assert_eq!((&things[1]["address"], &things[1]["made_in_run"]), (&"fleet.web[1]".into(), &1.into()));
    assert_eq!(rig.json("state show image.web --json")["things"][0]["version"]["generation"], 1);
    // The first of its address may be named as such.
    assert_eq!(rig.run("state show fleet.web[1]#1").out, rig.run("state show fleet.web[1]").out);
    // When its run is no longer in the history, the rest is.
    rig.run("destroy --auto-approve").expect(Exit::Done);
    rig.settle();
    rig.edit("shop.yaml", "count: 3", "count: 4");
    rig.settle();
    rig.run("history prune --keep 1 --auto-approve").expect(Exit::Done);
    assert_eq!(rig.json("state show fleet.web[0] --json")["things"][0]["made_in_run"], serde_json::Value::Null);
    assert_eq!(rig.json("state show fleet.web[3] --json")["things"][0]["made_in_run"], 4);
}

#[test]
fn a_list_of_what_is_at_an_address() {
    let rig = image();
    assert_eq!(rig.run("state list fleet.web").expect(Exit::Done).out, "fleet.web[0]\nfleet.web[1]\nfleet.web[2]\n");
    assert_eq!(rig.run("state list image.web").expect(Exit::Done).out.lines().count(), 2);
    assert_eq!(rig.json("state list image.web --json")["objects"].as_array().map(Vec::len), Some(2));
    says(&rig.run("state list fleet.webs").expect(Exit::Failed).err, "did you mean fleet.web?");
}

#[test]
fn an_address_with_nothing_at_it() {
    let rig = image();
    let wrong = rig.run("state show fleet.wbe").expect(Exit::Failed);
    insta::assert_snapshot!("nothing_there", wrong.err);
    says(&rig.run("state show fleet.web[3]").expect(Exit::Failed).err, "did you mean fleet.web[0]?");
    says(
        &rig.run("state show fleet.web[3000]").expect(Exit::Failed).err,
        "has 3 things, from fleet.web[0] to fleet.web[2]",
    );
    says(&rig.run("state show fleets.web").expect(Exit::Usage).err, "`fleets.web` is not an address: expected");
    rig.run("destroy --auto-approve").expect(Exit::Done);
    says(&rig.run("state show fleet.web").expect(Exit::Failed).err, "it is empty");
    says(&rig.run("-e staging state rm fleet.web").expect(Exit::Failed).err, "the state has nothing at fleet.web");
}

#[test]
fn what_is_forgotten_goes_on_existing() {
    let rig = fleet();
    let before = rig.instances(GZ);
    let mark = rig.mark();
    let refused = rig.run("state rm fleet.web[0] fleet.web[3]").expect(Exit::Failed);
    insta::assert_snapshot!("forgetting", refused.out);
    says(&refused.err, "fleetwright state rm fleet.web[0] fleet.web[3] --auto-approve");
    says(&typed(&rig, "state rm fleet.web[0]", "n\n").expect(Exit::Failed).err, "Not approved; nothing was forgotten.");
    assert_eq!(rig.addrs().len(), 5);

    let forgot = typed(&rig, "state rm fleet.web[0] fleet.web[3]", "yes\n").expect(Exit::Done);
    says(&forgot.out, "Forgot fleet.web[0,3] (run 2).");
    assert_eq!(rig.addrs(), ["fleet.web[1]", "fleet.web[2]", "fleet.web[4]"]);
    assert_eq!((rig.instances(GZ), rig.since(mark).len()), (before.clone(), 0), "no call was made");

    // History tells it.
    let run = &rig.json("history --json")["runs"][0];
    assert_eq!(
        (&run["kind"], &run["outcome"], &run["counts"]["forget"]),
        (&"state rm".into(), &"done".into(), &2.into())
    );
    insta::assert_snapshot!("run_forgotten", rig.run("show 2").expect(Exit::Done).out);
    // The next apply makes others beside those, which nobody touches.
    rig.settle();
    assert_eq!(rig.addrs().len(), 5);
    let held = rig.holdings();
    let ids: Vec<&String> = held.of(crate::rig::OWNER, GZ).expect("held").instances.keys().collect();
    assert_eq!(ids.len(), 7);
    assert!(before.values().all(|id| ids.contains(&id)));
}

#[test]
fn whole_blocks_can_be_forgotten() {
    let rig = image();
    let json = rig.json("state rm share.partners image.web fleet.web --auto-approve --json");
    assert_eq!(json["forgotten"].as_array().map(Vec::len), Some(2 + 2 + 3));
    assert_eq!(rig.addrs(), ["fleet.builder[0]"]);
    // The name of what was forgotten is taken, and the plan says by what.
    says(&rig.run("plan").expect(Exit::Infeasible).err, "error[name-taken]");
    rig.edit("shop.yaml", "    regions:", "    version: \"2\"\n    regions:");
    rig.run("apply --auto-approve").expect(Exit::Done);
    rig.expect_no_changes();
}

/// An operation that a run left open.
fn leave_open(rig: &Rig) {
    let mut store = SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state");
    let holder = Holder { who: "grace".into(), host: "elsewhere".into(), pid: 1, started: 1 };
    let fence = store.lock(&holder, rig.now_ms(), 300_000, &|_| false).expect("the lock");
    let stored = store.load().expect("loaded");
    let object = &stored.recorded.objects[0];
    let id = object.cloud_id.clone();
    let target = Target {
        addr: object.addr.clone(),
        generation: object.generation,
        id: Some(Arg::Known(id.clone())),
        effect: Effect::Arrive,
    };
    let step = Step {
        id: StepId(0),
        needs: Vec::new(),
        does: Do::Await { region: object.region.clone() },
        targets: vec![target],
        expect: Vec::new(),
        settle: Settle { until: Until::Running, expected_ms: 1_000, deadline_ms: 60_000 },
        holds: Vec::new(),
    };
    let op = OpRecord {
        id: stored.next_op,
        run: RunId(1),
        step,
        attempt: 0,
        intended_ms: rig.now_ms(),
        cloud_ms: rig.now_ms(),
        sent_ms: None,
        state: OpState::Intended,
        request_id: None,
        unbound: Vec::new(),
        ids: vec![Some(id)],
        outcomes: vec![None],
    };
    store.commit(fence, &[Record::Intend(Box::new(op))]).expect("committed");
    store.unlock(fence).expect("unlocked");
}

#[test]
fn what_is_under_way_is_not_forgotten_and_not_pruned() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    rig.settle();
    leave_open(&rig);
    let refused = rig.run("state rm fleet.web --auto-approve").expect(Exit::Failed);
    insta::assert_snapshot!("under_way", refused.err);
    assert_eq!(rig.addrs().len(), 6);
    says(&rig.run("plan").expect(Exit::Done).err, "note[in-doubt]");
    says(&rig.run("show 1").expect(Exit::Done).out, "open: written down, and not sent");
    // Nothing is open on the others.
    rig.run("state rm fleet.web[5] --auto-approve").expect(Exit::Done);
    let stays = rig.run("history prune --keep 1 --auto-approve").expect(Exit::Done);
    says(&stays.out, "Deleted 0 runs");
    says(&stays.out, "Run 1 and those after it stay: it has operations that are not settled");
}
