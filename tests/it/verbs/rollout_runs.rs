//! Rollouts from their beginning to their end, with all that somebody says on the way.

use fleetwright::cli::Exit;
use fleetwright::model::addr::Block;
use fleetwright::model::ids::Name;
use fleetwright::model::rollout::{Phase, Rollout};
use fleetwright::ops::Hooks;
use fleetwright::store::{PauseWish, Record, SqliteStore, Store, StoreFault};
use serde_json::Value;

use crate::between::{Guard, Guarded, between};
use crate::kit::says;
use crate::rig::{Ran, Rig};

const SHOP: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
  web:
    from_instance: { instance: "fleet.builder[0]", ready: stopped }
    keep: 1
fleets:
  builder:
    image: ubuntu
    count: 1
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    user_data: { file: boot.sh }
  web:
    image: web
    count: 4
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    health: { tcp: { port: 80 }, interval: 5s, threshold: 2, deadline: 60s }
    update: { max_surge: 1, max_unavailable: 0, canary: 1, pause: none }
"#;
const WELL: &str = "#!/bin/sh\necho one\n# sim: poweroff after=2s\n";
const BETTER: &str = "#!/bin/sh\necho two\n# sim: poweroff after=2s\n";
const ILL: &str = "#!/bin/sh\necho two\n# sim: baked unhealthy after=1s\n# sim: poweroff after=2s\n";

/// A world whose fleet runs, with another image to come.
fn about_to(pause: &str, on_failure: &str, next: &str) -> Rig {
    let update = format!("pause: {pause}, on_failure: {on_failure}");
    let rig = Rig::new(&[("shop.yaml", &SHOP.replace("pause: none", &update)), ("boot.sh", WELL)]);
    rig.settle();
    rig.write("boot.sh", next);
    rig
}

fn web() -> Block {
    Block::fleet(&Name::new("web"))
}

fn open(rig: &Rig) -> SqliteStore {
    SqliteStore::open(&rig.dir().join("state/default.db")).expect("open").expect("a state")
}

fn row(rig: &Rig) -> Rollout {
    open(rig).load().expect("loaded").recorded.rollouts.remove(&web()).expect("a rollout")
}

/// How many slots are at which image, by what the state says.
fn images(rig: &Rig) -> Vec<(String, usize)> {
    let state = rig.json("show --json");
    let mut found = std::collections::BTreeMap::new();
    for object in state["objects"].as_array().expect("objects") {
        if object["address"].as_str().is_some_and(|address| address.starts_with("fleet.web[")) {
            *found.entry(object["spec"]["image"].as_str().expect("an image").to_owned()).or_insert(0) += 1;
        }
    }
    found.into_iter().collect()
}

fn kinds(rig: &Rig) -> Vec<(String, String)> {
    let history = rig.json("history --json");
    let word = |run: &Value, key: &str| run[key].as_str().expect("a word").to_owned();
    let mut runs: Vec<(String, String)> =
        history["runs"].as_array().expect("runs").iter().map(|run| (word(run, "kind"), word(run, "outcome"))).collect();
    runs.reverse();
    runs.into_iter().skip(1).collect()
}

fn runs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(kind, outcome)| ((*kind).to_owned(), (*outcome).to_owned())).collect()
}

/// The last event of an apply.
fn ended(ran: &Ran) -> Value {
    serde_json::from_str(ran.out.lines().last().expect("an event")).expect("JSON")
}

#[test]
fn a_pause_ends_an_apply_and_somebody_goes_on() {
    let rig = about_to("after_canary", "stop", BETTER);
    insta::assert_snapshot!("rollout_plan", rig.run("plan").expect(Exit::Done).out);
    let mut wide = about_to("none", "rollback", BETTER);
    wide.width = 120;
    insta::assert_snapshot!("rollout_plan_wide", wide.run("plan").expect(Exit::Done).out);
    super::documented(&rig.json("plan --json")["rollouts"]);
    let first = rig.run("apply --auto-approve").expect(Exit::Waiting);
    says(&first.out, "To go on: fleetwright rollout resume web");
    let paused = row(&rig);
    assert_eq!((paused.phase, paused.canary_passed), (Phase::Paused, true));
    assert_eq!(images(&rig).into_iter().map(|(_, count)| count).max(), Some(3), "{:?}", images(&rig));

    // However often: nothing goes on by itself.
    let again = rig.run("apply --auto-approve").expect(Exit::Waiting);
    says(&again.out, "No changes, but those that a rollout holds back.");
    let event = ended(&rig.run("apply --auto-approve --json").expect(Exit::Waiting));
    assert_eq!((&event["result"], &event["exit_code"]), (&"waiting".into(), &7.into()));
    assert_eq!((&event["paused"][0], &event["next"]), (&"fleet.web".into(), &"fleetwright rollout resume web".into()));
    insta::assert_snapshot!("rollout_paused", rig.run("rollout status").expect(Exit::Done).out);

    rig.run("rollout resume web --auto-approve").expect(Exit::Done);
    assert_eq!((row(&rig).phase, images(&rig).len()), (Phase::Done, 1));
    assert_eq!(kinds(&rig), runs(&[("apply", "paused"), ("rollout resume", "done")]));
    rig.expect_no_changes();
    rig.expect_in_step();
}

#[test]
fn a_promotion_passes_all_pauses() {
    let rig = about_to("every_batch", "stop", BETTER);
    rig.run("apply --auto-approve").expect(Exit::Waiting);
    rig.run("rollout resume web --auto-approve").expect(Exit::Waiting);
    assert_eq!(row(&rig).phase, Phase::Paused);
    rig.run("rollout promote web --auto-approve").expect(Exit::Done);
    assert_eq!((row(&rig).phase, images(&rig).len()), (Phase::Done, 1));
    let wanted = [("apply", "paused"), ("rollout resume", "paused"), ("rollout promote", "done")];
    assert_eq!(kinds(&rig), runs(&wanted));
    rig.expect_no_changes();
}

#[test]
fn what_fails_is_taken_back_by_the_same_command() {
    let rig = about_to("none", "rollback", ILL);
    let before = images(&rig);
    let ran = rig.run("apply --auto-approve").expect(Exit::Partly);
    says(&ran.err, "fleet.web: 1 of 4 failed; going back to image.web@");
    let back = row(&rig);
    assert_eq!((back.phase, images(&rig)), (Phase::TakenBack, before.clone()));
    assert_eq!(kinds(&rig), runs(&[("apply", "taken_back"), ("rollback", "done")]));
    insta::assert_snapshot!("rollout_taken_back", ran.out.clone() + &rig.run("rollout status").expect(Exit::Done).out);

    // The same is not rolled out again, until somebody says so.
    let quiet = rig.run("apply --auto-approve").expect(Exit::Done);
    insta::assert_snapshot!("rollout_held", quiet.err);
    assert_eq!(images(&rig), before);
    says(&rig.run("plan --retry=fleet.web").expect(Exit::Done).out, "is rolled out over fleet.web");
    rig.expect_in_step();
    // Something else is.
    rig.write("boot.sh", BETTER);
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!((row(&rig).phase, images(&rig).len()), (Phase::Done, 1));
    assert_ne!(images(&rig), before);
}

#[test]
fn the_events_of_a_way_back_tell_of_both_plans() {
    let rig = about_to("none", "rollback", ILL);
    let ran = rig.run("apply --auto-approve --json").expect(Exit::Partly);
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((of("plan"), of("rollout_taken_back"), of("outcome")), (2, 1, 1));
    let event = ended(&ran);
    assert_eq!((&event["result"], &event["exit_code"]), (&"partly".into(), &3.into()));
    assert_eq!(event["taken_back"][0], "fleet.web");
}

#[test]
fn what_stopped_can_be_taken_back_or_aborted() {
    let rig = about_to("none", "stop", ILL);
    let before = images(&rig);
    rig.run("apply --auto-approve").expect(Exit::Partly);
    assert_eq!(row(&rig).phase, Phase::Stopped);
    insta::assert_snapshot!("rollout_stopped", rig.run("rollout status").expect(Exit::Done).out);
    let other = rig.fork();
    rig.run("rollout rollback web --auto-approve").expect(Exit::Done);
    assert_eq!((row(&rig).phase, images(&rig)), (Phase::TakenBack, before.clone()));
    assert_eq!(kinds(&rig).last(), Some(&("rollout rollback".to_owned(), "done".to_owned())));
    rig.expect_in_step();

    other.run("rollout abort web").expect(Exit::Done);
    other.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!((row(&other).phase, images(&other)), (Phase::Aborted, before), "what never passed goes, and no more");
}

/// Somebody wishes for a pause when the n-th instance is launched.
#[test]
fn a_wish_reaches_a_run_at_its_next_gate() {
    let rig = about_to("none", "stop", BETTER);
    let file = rig.dir().join("state/default.db");
    let launches = std::sync::atomic::AtomicUsize::new(0);
    let hooks = between(move |inner, call, signed_ms| {
        if call.body.action() == "RunInstances" && launches.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
            let mut store = SqliteStore::open(&file).expect("open").expect("a state");
            let fence = store.lease().expect("read").expect("held").fence;
            let (who, host) = ("grace".to_owned(), "elsewhere".to_owned());
            let wish = PauseWish { block: Block::fleet(&Name::new("web")), who, host, asked_ms: signed_ms };
            assert!(store.wish_pause(fence, &wish).expect("written"));
        }
        inner.call(call, signed_ms)
    });
    let ran = rig.run_with("apply --auto-approve", hooks).expect(Exit::Waiting);
    says(&ran.out, "To go on: fleetwright rollout resume web");
    let paused = row(&rig);
    assert_eq!((paused.phase, paused.why.as_str()), (Phase::Paused, "grace on elsewhere wished it to pause"));
    assert_eq!(images(&rig).len(), 2, "some are there, some are not");
    assert_eq!(open(&rig).pauses().expect("read"), []);
    assert_eq!(kinds(&rig), runs(&[("apply", "paused")]));
    rig.run("rollout resume web --auto-approve").expect(Exit::Done);
    assert_eq!((row(&rig).phase, images(&rig).len()), (Phase::Done, 1));
}

/// Somebody wants it to stop as soon as a rollout is taken back.
struct Impatient(std::sync::Arc<fleetwright::apply::driver::StopFlag>);

impl Guard for Impatient {
    fn before(&mut self, records: &[Record]) -> Result<(), StoreFault> {
        let back = |record: &Record| matches!(record, Record::Rollout(row) if row.phase == Phase::TakenBack);
        if records.iter().any(back) {
            self.0.raise();
        }
        Ok(())
    }
}

#[test]
fn a_way_back_that_was_not_begun_is_planned_by_the_next_apply() {
    let rig = about_to("none", "rollback", ILL);
    let before = images(&rig);
    let stop = rig.stop();
    let wrap = move |inner| Guarded::by(Impatient(std::sync::Arc::clone(&stop)), inner);
    let hooks = Hooks { store: Some(Box::new(wrap)), ..Hooks::default() };
    rig.run_with("apply --auto-approve", hooks).expect(Exit::Interrupted);
    assert_eq!(row(&rig).phase, Phase::TakenBack);
    assert_ne!(images(&rig), before);
    rig.go_on();
    says(&rig.run("plan").expect(Exit::Done).out, "- fleet.web[0]#2");
    rig.run("apply --auto-approve").expect(Exit::Done);
    assert_eq!(images(&rig), before);
    rig.expect_in_step();
}
