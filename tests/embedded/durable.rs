//! The file: kept over a kill, shared by processes, and nobody else's.

use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::transport::Transport;
use fleetwright::cloud::embedded::{Embedded, Loopback, OpenError, Settings};
use serde_json::json;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::world::{GZ, START, World, answer, base, code, instant, merged, quick, texts, uin, with};

#[test]
fn a_cloud_outlives_its_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cloud.db");
    let world = World::of(Embedded::open(Some(&path), quick()).expect("a cloud"));
    let ids = world.launch(3, json!({}));
    let image = world.must("CreateImage", json!({"InstanceId": ids[0], "ImageName": "golden"}))["ImageId"].clone();
    world.must("StopInstances", json!({"InstanceIds": [ids[1]]}));
    let now = world.now.get();
    // A killed process closes nothing.
    std::mem::forget(world);
    let world = World::of(Embedded::open(Some(&path), Settings { seed: 99, ..quick() }).expect("the same cloud"));
    world.now.set(now);
    assert_eq!(world.state(&ids[1]), "STOPPING");
    assert_eq!(world.image(image.as_str().expect("id"))["ImageState"], "CREATING");
    world.wait(2500);
    assert_eq!(world.image(image.as_str().expect("id"))["ImageState"], "NORMAL");
    assert_eq!((world.state(&ids[0]), world.state(&ids[1])), ("RUNNING".into(), "STOPPED".into()));
}

#[test]
fn two_processes_may_share_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cloud.db");
    let one = World::of(Embedded::open(Some(&path), instant()).expect("a cloud"));
    let two = World::of(Embedded::open(Some(&path), instant()).expect("the same cloud"));
    let id = one.launch(1, json!({}))[0].clone();
    assert_eq!(two.state(&id), "RUNNING");
    let other = two.launch(1, json!({}))[0].clone();
    assert_ne!(id, other);
    assert_eq!(one.must("DescribeInstances", json!({}))["TotalCount"], 2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let world = World::of(Embedded::open(Some(&path), instant()).expect("the same cloud"));
                for _ in 0..20 {
                    world.launch(1, json!({}));
                }
            });
        }
    });
    assert_eq!(one.must("DescribeInstances", json!({}))["TotalCount"], 42);
}

/// SQLite has nobody wait who turns a file to its write-ahead log while others look at it.
#[test]
fn many_may_make_a_file_at_once() {
    const MANY: usize = 8;
    for round in 0..50 {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, start) = (dir.path().join("cloud.db"), Barrier::new(MANY));
        thread::scope(|scope| {
            let open = || {
                start.wait();
                Embedded::open(Some(&file), Settings::default()).map(drop)
            };
            let opened: Vec<_> = (0..MANY).map(|_| scope.spawn(open)).collect();
            for thread in opened {
                thread.join().expect("no panic").unwrap_or_else(|why| panic!("round {round}: {why}"));
            }
        });
    }
}

#[test]
fn time_never_runs_backwards() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cloud.db");
    let world = World::of(Embedded::open(Some(&path), quick()).expect("a cloud"));
    let id = world.launch(1, json!({}))[0].clone();
    assert_eq!(world.state(&id), "RUNNING");
    world.now.set(START);
    assert_eq!(world.state(&id), "RUNNING");
    drop(world);
    let world = World::of(Embedded::open(Some(&path), quick()).expect("the same cloud"));
    assert_eq!(world.state(&id), "RUNNING");
    let response = world.cloud.handle(START, &world.request(1, GZ, "DescribeZones", "{}"));
    assert_eq!(response.cloud_ms, Some(START + 1500));
}

#[test]
fn a_refused_request_leaves_nothing_behind() {
    let world = World::new(instant());
    let body = merged(
        base(2),
        json!({
            "VirtualPrivateCloud": {"VpcId": "vpc-00000001", "SubnetId": "subnet-00000001"},
            "TagSpecification": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b#", "Value": "1"}]}],
        }),
    );
    assert_eq!(world.code("RunInstances", body), "FailedOperation.IllegalTagKey");
    assert!(world.cloud.holdings(world.now.get()).expect("holdings").nothing_of(&uin(1)));
    let elsewhere = json!({"Placement": {"Zone": "ap-guangzhou-4"}, "InstanceCount": 1,
        "VirtualPrivateCloud": {"VpcId": "vpc-00000001", "SubnetId": "subnet-00000001"}});
    assert_eq!(world.code("RunInstances", with(elsewhere)), "ok");
}

#[test]
fn files_of_others_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "this is no database, and never was one ".repeat(100)).expect("a file");
    let open = |path: &std::path::Path| Embedded::open(Some(path), quick()).err();
    assert!(matches!(open(&text), Some(OpenError::NotACloud { .. })));
    let other = dir.path().join("other.db");
    let db = rusqlite::Connection::open(&other).expect("a database");
    db.execute_batch("CREATE TABLE theirs (n)").expect("a table");
    drop(db);
    assert!(matches!(open(&other), Some(OpenError::NotACloud { .. })));
    let newer = dir.path().join("newer.db");
    drop(Embedded::open(Some(&newer), quick()).expect("a cloud"));
    rusqlite::Connection::open(&newer).expect("a database").execute_batch("PRAGMA user_version = 3").expect("set");
    let error = open(&newer).expect("a newer file is refused");
    assert!(matches!(error, OpenError::Newer { found: 3, known: 2, .. }), "{error}");
    Embedded::reset(&newer).expect("removed");
    Embedded::reset(&newer).expect("nothing to remove");
    assert!(open(&newer).is_none());
}

#[test]
fn the_loopback_hands_bytes_over() {
    let cloud = Arc::new(Embedded::open(None, quick()).expect("a cloud"));
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::at(START));
    let way = Loopback { cloud, clock: Arc::clone(&clock) };
    assert!(!way.outlives_us());
    let world = World::new(quick());
    let request = world.request(1, GZ, "RunInstances", &base(1).to_string());
    let response = way.send(&request, true).expect("an answer");
    assert_eq!(response.cloud_ms, Some(START));
    assert_eq!(texts(&answer(&response)["InstanceIdSet"]).len(), 1);
    clock.wait_until(START + 301_000);
    let response = way.send(&request, true).expect("an answer");
    assert_eq!(code(&answer(&response)), "AuthFailure.SignatureExpire");
}

/// Eighty launches of ten, by the program itself.
fn busy_config() -> String {
    let mut config =
        String::from("project: busy\ncloud: { provider: embedded, region: ap-guangzhou, latency: instant }\n");
    config.push_str("images:\n  ubuntu:\n    public: { name: \"Ubuntu Server 22.04 LTS 64bit\" }\nfleets:\n");
    for n in 0..80 {
        config.push_str(&format!(
            "  f{n}: {{ image: ubuntu, count: 10, zones: [ap-guangzhou-3], type: S5.MEDIUM4, tags: {{ app: web }} }}\n"
        ));
    }
    config
}

#[expect(clippy::disallowed_methods, reason = "the program goes by this clock, and requests are signed with it")]
fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

#[test]
fn a_killed_process_leaves_whole_requests() {
    for least in [10, 200] {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("fleet.yaml"), busy_config()).expect("written");
        std::fs::create_dir(dir.path().join("state")).expect("a directory");
        let path = dir.path().join("state").join("cloud.db");
        let world = World::of(Embedded::open(Some(&path), instant()).expect("a cloud"));
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_fleetwright"))
            .args(["apply", "--auto-approve"])
            .current_dir(dir.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("a process");
        let count = || {
            world.now.set(wall_ms());
            world.must("DescribeInstances", json!({}))["TotalCount"].as_i64().expect("a count")
        };
        while count() < least {
            assert!(child.try_wait().expect("a process").is_none(), "it ended before there were {least}");
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let all = count();
        assert!(all >= least && all % 10 == 0, "{all}");
        let tagged = json!({"Filters": [{"Name": "tag:app", "Values": ["web"]}]});
        assert_eq!(world.must("DescribeInstances", tagged)["TotalCount"], all);
        let quota = json!({"Filters": [{"Name": "zone", "Values": [crate::world::ZONE]}]});
        let quota = world.must("DescribeAccountQuota", quota)["AccountQuotaOverview"]["AccountQuota"].clone();
        assert_eq!(quota["PostPaidQuotaSet"][0]["UsedQuota"], all);
        assert_eq!(texts(&world.must("RunInstances", base(1))["InstanceIdSet"]).len(), 1);
    }
}

#[test]
fn an_older_file_is_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("old.db");
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.execute_batch(include_str!("../../src/cloud/embedded/schema.sql")).expect("the first schema");
    let content = r#"{"os_name":"Ubuntu","platform":"Ubuntu","architecture":"x86_64","images":[],"provisioned":[]}"#;
    let spec = format!(
        r#"{{"instance_type":"S5.MEDIUM4","image":"img-00000000","charge":"POSTPAID_BY_HOUR","renew":null,"months":null,
            "system":{{"kind":"CLOUD_PREMIUM","size":50}},"data":[],"vpc":"v","subnet":"s","groups":[],"keys":[],
            "internet":{{}},"protected":false,"host_name":null,"content":{content},
            "script":{{"boot_ms":0,"unhealthy_ms":null}}}}"#
    );
    db.execute("INSERT INTO cloud VALUES (1, 7, ?1, 9, 2, 2, 2)", [START]).expect("a cloud");
    db.execute("INSERT INTO spec VALUES (1, ?1, NULL)", [spec]).expect("a spec");
    db.execute_batch(&format!(
        "INSERT INTO instance VALUES (1, {one}, '{GZ}', 'ap-guangzhou-3', 'web', 1, NULL, 1, {START}, 0, {START}, {START},
           NULL, 'r', 1, 0, {START}, NULL, NULL, NULL, 0);
         INSERT INTO usage VALUES ({one}, 'ap-guangzhou-3', 1);
         INSERT INTO image VALUES (1, {one}, '{GZ}', 'golden', '', 'f', 0, {START}, 50, 0, '{content}', 0, {START}, {START},
           NULL, NULL, 0, 0);
         PRAGMA application_id = {FWCL}; PRAGMA user_version = 1",
        one = uin(1),
        FWCL = 0x4657_434c,
    ))
    .expect("rows");
    drop(db);
    for _ in 0..2 {
        let world = World::of(Embedded::open(Some(&path), instant()).expect("it is brought up to date"));
        let seen = world.must("DescribeInstances", json!({}))["InstanceSet"][0].clone();
        assert_eq!((&seen["InstanceState"], &seen["InstanceName"]), (&json!("RUNNING"), &json!("web")));
        let family = world.must("DescribeImageFromFamily", json!({"ImageFamily": "f"}))["Image"].clone();
        assert_eq!((&family["ImageName"], &family["ImageSource"]), (&json!("golden"), &json!("CREATE_IMAGE")));
        let shared = world.must("DescribeImages", json!({"ImageIds": ["img-8toqc6s3"]}));
        assert_eq!(shared["TotalCount"], 1);
        let quota =
            world.must("DescribeAccountQuota", json!({"Filters": [{"Name": "zone", "Values": ["ap-guangzhou-3"]}]}));
        let quota = &quota["AccountQuotaOverview"]["AccountQuota"]["PostPaidQuotaSet"][0];
        assert_eq!(quota["UsedQuota"], 1);
    }
    let world = World::of(Embedded::open(Some(&path), instant()).expect("a cloud"));
    let id = world.must("DescribeInstances", json!({}))["InstanceSet"][0]["InstanceId"].clone();
    world.must("TerminateInstances", json!({"InstanceIds": [id]}));
    let more = world.launch(1, json!({}))[0].clone();
    assert_ne!(json!(more), id);
}
