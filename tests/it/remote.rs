//! The cloud at the other end of a line: the same plans, the same calls, and what a line does to them.

use std::collections::BTreeMap;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::embedded::{Faults, Injection, LogEntry, Settings};
use serde_json::{Value, json};

use crate::crash::print;
use crate::kit::{BOOT, FLEET, GZ, IMAGE, quick, says};
use crate::rig::{OWNER, Ran, Rig, example_files};
use crate::traps;
use crate::wire::Lose;

const SHOP: &str = "shop.yaml";
const ONE: &str = "#!/bin/sh\necho one\n";

/// The examples, each with an edit: a file, what stands in it, and what is to stand there.
const EXAMPLES: [(&str, &str, &str, &str); 4] = [
    ("01-quickstart", "fleet.yaml", "count: 3", "count: 5"),
    ("02-golden-image", "provision.sh", "hello from the shop", "hello again"),
    ("03-import", "fleets.yaml", "    protect: true\n", "    protect: false\n"),
    (
        "04-shared-and-marketplace",
        "config.yaml",
        "count: 2\n    zones: [ap-guangzhou-3]\n",
        "count: 3\n    zones: [ap-guangzhou-3]\n",
    ),
];

fn example(name: &str, settings: Settings) -> Rig {
    let files = example_files(name);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut rig = Rig::with(&files, settings);
    // Enough for the longer of two names of a cloud.
    rig.width = 120;
    rig
}

/// The life of an example: what was said, and what was asked.
fn life(rig: &Rig, file: &str, from: &str, to: &str, endpoint: &str) -> (Vec<String>, Vec<LogEntry>) {
    let mut said = Vec::new();
    let mut run = |args: &str| {
        let Ran { exit, out, err } = rig.run(args);
        said.push(format!("$ {args}\n{out}{err}{exit:?}\n").replace(endpoint, "embedded"));
    };
    run("validate");
    run("plan");
    run("apply --auto-approve");
    run("plan --detailed-exitcode");
    rig.edit(file, from, to);
    for args in ["plan --detailed-exitcode", "apply --auto-approve", "drift", "show", "destroy --auto-approve"] {
        run(args);
    }
    (said, rig.since(0))
}

#[test]
fn every_example_says_and_asks_the_same_over_http() {
    let mut requests = 0;
    for (name, file, from, to) in EXAMPLES {
        let near = example(name, quick());
        let far = example(name, quick()).over_http();
        let (near_said, near_asked) = life(&near, file, from, to, "embedded");
        let (far_said, far_asked) = life(&far, file, from, to, &far.wire().endpoint());
        for (near, far) in near_said.iter().zip(&far_said) {
            assert_eq!(near, far, "{name}");
        }
        let asked = |log: &[LogEntry]| -> Vec<(String, String, String)> {
            log.iter().map(|entry| (entry.action.clone(), entry.region.clone(), entry.body.clone())).collect()
        };
        let (near_asked, far_asked) = (asked(&near_asked), asked(&far_asked));
        for (near, far) in near_asked.iter().zip(&far_asked) {
            assert_eq!(near, far, "{name}");
        }
        assert_eq!(near_asked.len(), far_asked.len(), "{name}");
        requests += far_asked.len();
    }
    print(&format!("over HTTP: 4 examples, {requests} requests, each the same as over loopback\n"));
}

#[test]
fn traps_1_3_and_9_are_none_over_http() {
    traps::reset_that_fails_late(Rig::over_http);
    traps::launch_that_is_listed_late(Rig::over_http);
    traps::throttled_writes(Rig::over_http);
}

/// What is lost is found again: nothing is made twice, and nothing is left over.
#[test]
fn trap_10_a_request_or_an_answer_that_is_lost_makes_nothing_twice() {
    for action in ["RunInstances", "CreateImage", "SyncImages", "ModifyImageSharePermission", "TagResources"] {
        for lose in [Lose::Request, Lose::Answer] {
            let rig = Rig::with(&[(SHOP, IMAGE), ("boot.sh", BOOT)], quick()).over_http();
            rig.wire().lose(action, lose);
            rig.run("apply --auto-approve").expect(Exit::Done);
            rig.expect_no_changes();
            rig.expect_in_step();
            let images = rig.images(GZ).len();
            assert_eq!(images, 1, "{action} {lose:?}");
        }
    }
}

/// Applies until there is nothing left to do, and answers how often that took.
#[track_caller]
fn settles(rig: &Rig, name: &str) -> u32 {
    const MOST: u32 = 30;
    let mut last = None;
    for n in 1..=MOST {
        let ran = rig.run("apply --auto-approve");
        if ran.exit == Exit::Done && rig.run("plan --detailed-exitcode").exit == Exit::Done {
            return n;
        }
        rig.wait_ms(60_000);
        last = Some(ran);
    }
    panic!("{name} does not come to rest: {last:?}");
}

#[test]
fn every_example_converges_where_rates_are_limited_and_where_a_fifth_of_all_goes_wrong() {
    let limited = Settings { rate_limits: true, ..quick() };
    let faulty = |seed| Settings { faults: Some(Faults { seed, per_mille: 200 }), ..quick() };
    for (name, ..) in EXAMPLES {
        let seeds = (1..=5).map(|seed| ("a fifth of all goes wrong", faulty(seed)));
        for (what, settings) in std::iter::once(("rates limited", limited.clone())).chain(seeds) {
            let rig = example(name, settings).over_http();
            let applies = settles(&rig, name);
            let log = rig.since(0);
            let refused = log.iter().filter(|entry| entry.code.is_some()).count();
            let lost = log.iter().filter(|entry| entry.lost.is_some()).count();
            print(&format!("{name}, {what}: {} calls, {refused} refused, {lost} lost, {applies} applies\n", log.len()));
            rig.expect_in_step();
        }
    }
}

#[test]
fn rates_are_kept_to_before_the_cloud_has_to_refuse() {
    let fleet = FLEET
        .replace("count: 5", "count: 60")
        .replace("strategy: replace, max_unavailable: 2", "strategy: reset, max_unavailable: 60");
    let rig = Rig::with(&[(SHOP, &fleet), ("boot.sh", ONE)], Settings { rate_limits: true, ..quick() }).over_http();
    rig.settle();
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    let log = rig.since(mark);
    assert!(log.iter().all(|entry| entry.code.is_none()), "nothing was refused");
    let mut resets: BTreeMap<i64, u32> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.action == "ResetInstance") {
        *resets.entry(entry.ms / 1000).or_default() += 1;
    }
    assert_eq!(resets.values().sum::<u32>(), 60);
    assert!(resets.values().all(|in_a_second| *in_a_second <= 10), "{resets:?}");
    rig.expect_no_changes();
}

/// What one process learns from a refusal, the next one knows.
#[test]
fn the_next_process_starts_from_what_a_refusal_taught() {
    let fleet = FLEET
        .replace("count: 5", "count: 30")
        .replace("strategy: replace, max_unavailable: 2", "strategy: reset, max_unavailable: 30");
    let busiest = |rig: &Rig, mark: usize| {
        let log = rig.since(mark);
        let resets: Vec<i64> =
            log.iter().filter(|entry| entry.action == "ResetInstance").map(|entry| entry.ms).collect();
        assert!(resets.len() >= 30, "{resets:?}");
        let within = |from: i64| resets.iter().filter(|at| (from..from + 1000).contains(*at)).count();
        resets.iter().map(|from| within(*from)).max()
    };
    let reset_again = |rig: &Rig, script: &str| {
        rig.write("boot.sh", script);
        let mark = rig.mark();
        rig.run("apply --auto-approve").expect(Exit::Done);
        mark
    };
    let rig = Rig::with(&[(SHOP, &fleet), ("boot.sh", ONE)], quick()).over_http();
    rig.settle();
    let refusal = Injection::Refuse { action: "ResetInstance".into(), code: "RequestLimitExceeded".into(), times: 1 };
    rig.cloud().inject(refusal);
    reset_again(&rig, "#!/bin/sh\necho two\n");
    let mark = reset_again(&rig, "#!/bin/sh\necho three\n");
    let slower = busiest(&rig, mark).expect("resets");
    assert!((5..10).contains(&slower), "{slower} a second, where 10 are documented");
    // After a while it is forgotten.
    rig.wait_ms(200_000);
    let mark = reset_again(&rig, "#!/bin/sh\necho four\n");
    assert_eq!(busiest(&rig, mark), Some(10));
}

/// What the trace wrote, line by line.
fn trace(rig: &Rig) -> Vec<Value> {
    rig.read("trace.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_trace_tells_each_call_and_no_secret() {
    let secret = "#!/bin/sh\necho hunter2\n";
    for (options, bodies) in [("--trace trace.jsonl", false), ("--trace trace.jsonl --trace-bodies", true)] {
        let rig = Rig::with(&[(SHOP, FLEET), ("boot.sh", secret)], quick()).over_http();
        rig.wire().lose("RunInstances", Lose::Answer);
        rig.run(&format!("apply --auto-approve {options}")).expect(Exit::Done);
        let lines = trace(&rig);
        let log = rig.since(0);
        let told: Vec<(&str, &str)> = lines
            .iter()
            .map(|line| (line["action"].as_str().expect("an action"), line["region"].as_str().expect("a region")))
            .collect();
        let asked: Vec<(&str, &str)> = log.iter().map(|entry| (entry.action.as_str(), entry.region.as_str())).collect();
        assert_eq!(told, asked, "each call has a line");
        let launches: Vec<&Value> = lines.iter().filter(|line| line["action"] == "RunInstances").collect();
        let (lost, again) = (launches[0], launches.last().expect("a launch"));
        assert_eq!(
            (&lost["outcome"], &lost["executed"], &lost["attempt"]),
            (&json!("no answer"), &json!("unknown"), &json!(1))
        );
        assert_eq!(again["outcome"], "ok");
        assert!(launches.iter().any(|line| line["attempt"] == 2), "{launches:?}");
        assert!(again["request_id"].is_string() && again["ms"].is_i64(), "{again}");
        let text = rig.read("trace.jsonl");
        let keys = fleetwright::cloud::embedded::credentials(OWNER).expect("keys");
        for secret in ["hunter2", "aHVudGVy", "IyEvYmluL3NoCmVjaG8gaHVudGVyMgo", &keys.secret_key, "Signature"] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert_eq!(again["request"]["UserData"] == "(hidden)", bodies, "{again}");
        assert_eq!(again.get("answer").is_some(), bodies);
    }
}

/// What is said where there are no keys, or wrong ones: of everything that is wrong, and of no secret.
#[test]
fn wrong_unknown_and_missing_keys_are_told_with_what_to_do() {
    let rig = Rig::with(&[(SHOP, FLEET), ("boot.sh", ONE)], quick()).over_http();
    let right = fleetwright::cloud::embedded::credentials(OWNER).expect("keys");
    for (id, key, exit, words) in [
        (right.secret_id.as_str(), "hunter2", Exit::Failed, "AuthFailure.SignatureFailure"),
        ("AKIDunknown", "hunter2", Exit::Failed, "AuthFailure.SecretIdNotFound"),
        ("AKIDhalf", "", Exit::Failed, "error[no-keys]: TENCENTCLOUD_SECRET_KEY is not set, and its counterpart is"),
        ("", "", Exit::Failed, "error[no-keys]: there are no keys for Tencent Cloud"),
    ] {
        let env = [("TENCENTCLOUD_SECRET_ID", id), ("TENCENTCLOUD_SECRET_KEY", key)];
        let ran = rig.run_in("plan", &env, Terminals::default()).expect(exit);
        says(&ran.err, words);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    // A profile of tccli comes before the environment, where it is asked for.
    let home = rig.dir().join("home");
    std::fs::create_dir_all(home.join(".tccli")).expect("a directory");
    let profile = json!({"secretId": right.secret_id, "secretKey": right.secret_key}).to_string();
    std::fs::write(home.join(".tccli/prod.credential"), profile).expect("written");
    let home = home.to_str().expect("a path").to_owned();
    let env = [("HOME", home.as_str()), ("TENCENTCLOUD_SECRET_ID", "AKIDunknown"), ("TENCENTCLOUD_SECRET_KEY", "x")];
    rig.run_in("plan --profile prod", &env, Terminals::default()).expect(Exit::Done);
    let ran = rig.run_in("plan --profile stage", &env, Terminals::default()).expect(Exit::Failed);
    says(&ran.err, "there is no profile `stage`");
    rig.edit(SHOP, "latency: quick", "latency: quick, profile: prod");
    rig.run_in("plan", &env, Terminals::default()).expect(Exit::Done);
}

#[test]
fn a_server_that_is_not_there_is_told_and_nothing_is_in_doubt() {
    let rig = Rig::with(&[(SHOP, FLEET), ("boot.sh", ONE)], quick()).over_http();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    rig.edit(SHOP, &rig.wire().endpoint(), &format!("http://{gone}"));
    let ran = rig.run("apply --auto-approve").expect(Exit::Failed);
    says(&ran.err, &format!("no connection to {gone} came about"));
    assert!(!rig.dir().join("state").exists(), "nothing was begun");
}
