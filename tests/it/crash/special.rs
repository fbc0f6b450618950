//! What a table of points does not show: look-alikes, a lock that was taken over, a config that changed in between.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{Injection, Settings, public_image_id};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use serde_json::json;

use super::trial::{Base, Trial};
use super::wire::{Fate, Trap, When, Wire};
use super::world::{faults, state};
use crate::rig::{OWNER, Rig, example_files};

const APPLY: &str = "apply --auto-approve";
const HOME: &str = "ap-guangzhou";
const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";

/// The number of the first call that changes something.
fn first_launch(rig: &Rig) -> usize {
    let (fork, wire) = (rig.fork(), Wire::new(None));
    wire.run(&fork, APPLY, false).expect("nobody dies").expect(Exit::Done);
    wire.traffic().calls.iter().position(|(action, _)| *action == "RunInstances").expect("a launch")
}

/// Whoever looks like the one that was to be made.
fn look_alike(rig: &Rig) -> String {
    let launch = json!({
        "Placement": { "Zone": "ap-guangzhou-3" },
        "ImageId": public_image_id(HOME, UBUNTU),
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": 1,
        "InstanceName": "quickstart-default-web-3-0",
        "TagSpecification": [{
            "ResourceType": "instance",
            "Tags": [{ "Key": "fleetwright", "Value": "quickstart/default/fleet.web" }, { "Key": "app", "Value": "web" }],
        }],
    });
    let made = rig.by_hand(HOME, "RunInstances", &launch);
    made["InstanceIdSet"][0].as_str().expect("an id").to_owned()
}

/// Past the time for which a token is trusted to be remembered, only names and tags tell; they name two.
#[test]
fn two_candidates_are_named_and_neither_is_taken() {
    let rig = Rig::of_example("01-quickstart");
    let wire = Wire::new(Some(Trap::Call(first_launch(&rig), Fate::NotSent)));
    assert!(wire.run(&rig, APPLY, true).is_none());
    wire.arm(None);
    let (one, two) = (look_alike(&rig), look_alike(&rig));
    rig.wait_ms(2 * 3_600_000);
    let ran = wire.run(&rig, APPLY, true).expect("nobody dies");
    assert_ne!(ran.exit, Exit::Done);
    let said = format!("{}{}", ran.out, ran.err).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&one) && said.contains(&two), "{said}");
    assert_eq!(state(&rig)["objects"].as_array().map(Vec::len), Some(0), "neither is taken");
    assert_eq!(rig.instances(HOME).len(), 1, "both bear one name, and nothing was made");
    // A person decides; then there is one candidate.
    rig.by_hand(HOME, "TerminateInstances", &json!({ "InstanceIds": [two] }));
    rig.wait_ms(60_000);
    wire.run(&rig, APPLY, true).expect("nobody dies").expect(Exit::Done);
    rig.expect_no_changes();
    assert_eq!(faults(&rig), Vec::<String>::new());
    assert!(rig.instances(HOME).values().any(|id| *id == one), "it is the one that was left");
}

/// A holder that was paused until its lease had run out writes nothing any more, wherever it was paused.
#[test]
fn a_paused_holder_is_fenced_out() {
    let rig = Rig::of_example("01-quickstart");
    let base = Base::new("fenced", rig, APPLY);
    let mut stopped = 0;
    for n in 0..base.traffic.writes {
        let trial = Trial::new(&base, false);
        let exit = trial.stolen(n).unwrap_or_else(|why| panic!("at write {n}: {why}"));
        // The very last writes only say that it is over.
        let last = n + 2 >= base.traffic.writes;
        assert!(exit == Exit::Locked || (last && exit == Exit::Done), "at write {n}: {exit:?}");
        stopped += usize::from(exit == Exit::Locked);
    }
    assert!(stopped > 5, "{stopped}");
}

/// What was to be launched was edited after the crash: the same request cannot be made again, and need not be.
#[test]
fn user_data_may_change_between_crash_and_recovery() {
    for (fate, remote) in [(Fate::NotSent, true), (Fate::AnswerLost, true), (Fate::AnswerLost, false)] {
        let rig = Rig::of_example("02-golden-image");
        let wire = Wire::new(Some(Trap::Call(first_launch(&rig), fate)));
        assert!(wire.run(&rig, APPLY, remote).is_none());
        wire.arm(None);
        rig.edit("provision.sh", "hello from the shop", "hello again");
        wire.run(&rig, APPLY, remote).expect("nobody dies").expect(Exit::Done);
        rig.expect_no_changes();
        assert_eq!(faults(&rig), Vec::<String>::new(), "{fate:?}");
        rig.run("destroy --auto-approve").expect(Exit::Done);
        assert!(rig.holdings().nothing_of(OWNER));
    }
}

/// What was accepted fails while nobody looks, or while somebody does.
#[test]
fn what_fails_around_a_crash_is_made_again() {
    let golden = Rig::of_example("02-golden-image");
    golden.run(APPLY).expect(Exit::Done);
    let (image, _) = golden.images(HOME).pop_first().expect("an image");
    let cases = [
        ("01-quickstart", Injection::LaunchFails { name: "quickstart-default-web-3-0".into() }),
        ("02-golden-image", Injection::CaptureFails { name: image.clone() }),
        ("02-golden-image", Injection::CopyFails { name: image, region: "ap-shanghai".into() }),
    ];
    for (example, injection) in cases {
        let whole = Rig::of_example(example);
        whole.cloud().inject(injection.clone());
        assert_ne!(whole.run(APPLY).exit, Exit::Done, "{injection:?} strikes");
        let base = Base::new(example, Rig::of_example(example), APPLY);
        for n in 0..base.traffic.writes {
            let trial = Trial::new(&base, n % 2 == 0);
            trial.inject(injection.clone());
            if let Err(why) = trial.once(Trap::Write(n, n % 3 == 0)) {
                // It failed before this write, and the run ended: a shorter one than this.
                assert!(why.contains("never reached"), "{injection:?} at write {n}: {why}");
            }
        }
    }
}

/// A cloud whose first listing of a new thing leaves it out.
fn shy(example: &str) -> Rig {
    let files = example_files(example);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let settings = Settings { empty_first_read: true, ..Settings::new(Latency::Quick, Limits::EMBEDDED, 7) };
    Rig::with(&files, settings)
}

#[test]
fn what_is_listed_late_is_not_made_twice() {
    for example in ["01-quickstart", "02-golden-image"] {
        let base = Base::new(example, shy(example), APPLY);
        let changing = base.traffic.calls.iter().enumerate().filter(|(_, (_, mutates))| *mutates);
        for (n, (action, _)) in changing {
            for (fate, remote) in [
                (Fate::AnswerLost, false),
                (Fate::AnswerLost, true),
                (Fate::SilentDone, false),
                (Fate::SilentDone, true),
                (Fate::Late(When::AfterRequests(1)), true),
            ] {
                let result = Trial::new(&base, remote).once(Trap::Call(n, fate));
                result.unwrap_or_else(|why| panic!("{example}: {action} {fate:?} remote={remote}: {why}"));
            }
        }
    }
}
