//! The floor of `docs/floor.md`: its formulas, computed from what a plan says of each thing, against the calls that are
//! really made, at every size.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{LogEntry, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use serde_json::{Value, json};

use crate::kit::{BOOT, GZ, IMAGE, quick};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

/// What one call takes at most (API text 5.1, 5.2, 8.9, 7.1).
const LAUNCH: usize = 500;
const IDS: usize = 100;
const TAGGED: usize = 10;

const ROOM: Limits = Limits { instances_per_zone: 20_000, ..Limits::EMBEDDED };

fn config(count: usize) -> String {
    format!(
        r#"project: shop
cloud: {{ provider: embedded, region: ap-guangzhou, latency: instant }}
images:
  ubuntu:
    public: {{ name: "Ubuntu Server 22.04 LTS 64bit" }}
fleets:
  web:
    image: ubuntu
    count: {count}
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: {{ key_ids: [skey-8a7c6b5d] }}
    network: {{ security_groups: [sg-0a1b2c3d] }}
    tags: {{ app: web }}
    update: {{ strategy: replace, max_unavailable: {} }}
"#,
        count / 5
    )
}

fn world(count: usize) -> Rig {
    let settings = Settings { log: true, ..Settings::new(Latency::Instant, ROOM, 7) };
    Rig::with(&[(SHOP, &config(count))], settings)
}

/// What a plan says of each thing: how many calls does that take at least?
struct Formulas {
    counts: BTreeMap<String, usize>,
}

impl Formulas {
    /// Of a plan in JSON; nothing but its changes is looked at.
    fn of(plan: &Value) -> Self {
        let changes = plan["changes"].as_array().expect("changes");
        let of_fleet = |action: &str| -> Vec<&Value> {
            changes.iter().filter(|one| one["kind"] == "fleet" && one["action"] == action).collect()
        };
        let mut formulas = Self { counts: BTreeMap::new() };
        formulas.launches(&of_fleet("create"), LAUNCH);
        formulas.add("TerminateInstances", of_fleet("delete").len().div_ceil(IDS));
        let replaced = of_fleet("replace");
        let at_once = replaced.len() / 5;
        if !replaced.is_empty() {
            formulas.launches(&replaced, LAUNCH.min(at_once));
            formulas.add("TerminateInstances", replaced.len().div_ceil(IDS.min(at_once)));
        }
        formulas.add("ResetInstance", of_fleet("reset").len());
        formulas.in_place(&of_fleet("update"));
        formulas
    }

    fn add(&mut self, action: &str, calls: usize) {
        if calls > 0 {
            *self.counts.entry(action.to_owned()).or_default() += calls;
        }
    }

    /// One for each run of consecutive names in a zone, as far as a batch goes.
    fn launches(&mut self, changes: &[&Value], most: usize) {
        let mut runs: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for change in changes {
            let (prefix, ordinal) = change["name"].as_str().and_then(|name| name.rsplit_once('-')).expect("a name");
            runs.entry(prefix).or_default().push(ordinal.parse().expect("a number"));
        }
        for ordinals in runs.values_mut() {
            ordinals.sort_unstable();
            for run in ordinals.chunk_by(|a, b| a + 1 == *b) {
                self.add("RunInstances", run.len().div_ceil(most));
            }
        }
    }

    /// One for each attribute and value, as far as a batch goes.
    fn in_place(&mut self, changes: &[&Value]) {
        let mut alike: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for attribute in changes.iter().flat_map(|change| change["attributes"].as_array().expect("attributes")) {
            let name = attribute["name"].as_str().expect("a name");
            let after: BTreeSet<String> =
                attribute["after"].as_array().into_iter().flatten().map(Value::to_string).collect();
            let before: BTreeSet<String> =
                attribute["before"].as_array().into_iter().flatten().map(Value::to_string).collect();
            match name {
                "tags" => {
                    let key = |pair: &String| pair.split('=').next().map(str::to_owned);
                    let stays: BTreeSet<Option<String>> = after.iter().map(key).collect();
                    let set: Vec<&String> = after.difference(&before).collect();
                    let gone: Vec<&String> = before.iter().filter(|pair| !stays.contains(&key(pair))).collect();
                    if !set.is_empty() {
                        *alike.entry(("TagResources", format!("{set:?}"))).or_default() += 1;
                    }
                    if !gone.is_empty() {
                        *alike.entry(("UnTagResources", format!("{gone:?}"))).or_default() += 1;
                    }
                }
                other => {
                    *alike
                        .entry(("ModifyInstancesAttribute", format!("{other} {}", attribute["after"])))
                        .or_default() += 1;
                }
            }
        }
        for ((action, _), count) in alike {
            self.add(action, count.div_ceil(if action.ends_with("Resources") { TAGGED } else { IDS }));
        }
    }
}

/// The calls of a command: those that change something by the formulas of its plan, and nothing but `instances` reads of
/// instances beside what does not grow with their number.
#[track_caller]
fn at_the_floor(rig: &Rig, args: &str, what: &str, wanted: &[(&str, usize)], instances: usize) {
    let plan = rig.json(&format!("{} --json", if args == "destroy" { "plan --destroy" } else { "plan" }));
    let formulas = Formulas::of(&plan).counts;
    let wanted: BTreeMap<String, usize> = wanted.iter().map(|(action, n)| ((*action).to_owned(), *n)).collect();
    assert_eq!(formulas, wanted, "{what}: the formulas");
    let floor = &plan["calls"]["floor"];
    assert_eq!(floor["by_action"], json!(wanted), "{what}: what the plan calls its floor");
    assert_eq!(floor["total"], plan["calls"]["total"], "{what}: what the plan calls its floor, together");
    let mark = rig.mark();
    rig.run(&format!("{args} --auto-approve")).expect(Exit::Done);
    let log = rig.since(mark);
    assert!(log.iter().all(|entry| entry.code.is_none()), "{what}: something was refused");
    let (reads, changes): (Vec<&LogEntry>, Vec<&LogEntry>) =
        log.iter().partition(|entry| entry.action.starts_with("Describe") || entry.action.starts_with("Inquiry"));
    assert_eq!(counted(changes), wanted, "{what}: calls that change something");
    let reads = counted(reads);
    assert_eq!(reads.get("DescribeInstances").copied().unwrap_or(0), instances, "{what}: reads of instances");
    for (action, count) in reads.iter().filter(|(action, _)| *action != "DescribeInstances") {
        let most = if action.starts_with("Inquiry") { 4 } else { 1 };
        assert!(*count <= most, "{what}: {count} × {action}");
    }
}

fn counted(entries: Vec<&LogEntry>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.action.clone()).or_insert(0) += 1;
    }
    counts
}

/// Everything that can happen to a fleet, one after the other.
fn whole_life(n: usize) {
    let pages = n.div_ceil(IDS);
    let half = n / 2;
    let rig = world(n);
    let more = n + n / 10;
    let zones = |count: usize, most: usize| count.div_ceil(2).div_ceil(most) + (count / 2).div_ceil(most);
    // What was launched is told apart by its name, so it is looked at once.
    at_the_floor(&rig, "apply", "create", &[("RunInstances", zones(n, LAUNCH))], pages);

    let mark = rig.mark();
    rig.expect_no_changes();
    let reads = rig.calls(mark);
    let once =
        ["DescribeRegions", "DescribeZones", "DescribeInstanceTypeConfigs", "DescribeAccountQuota", "DescribeImages"];
    let mut wanted: BTreeMap<String, usize> = once.iter().map(|action| ((*action).to_owned(), 1)).collect();
    wanted.insert("DescribeInstances".to_owned(), pages);
    assert_eq!(reads, wanted, "a plan with nothing to do");

    rig.edit(SHOP, "app: web", "app: store");
    at_the_floor(&rig, "apply", "tag change", &[("TagResources", n.div_ceil(TAGGED))], pages);
    rig.edit(SHOP, "app: store", "shop: store");
    let both = [("TagResources", n.div_ceil(TAGGED)), ("UnTagResources", n.div_ceil(TAGGED))];
    at_the_floor(&rig, "apply", "another tag", &both, pages);
    rig.edit(SHOP, "sg-0a1b2c3d", "sg-1b2c3d4e");
    at_the_floor(&rig, "apply", "security groups", &[("ModifyInstancesAttribute", n.div_ceil(IDS))], 2 * pages);

    let ids: Vec<String> = rig.instances(GZ).into_values().collect();
    for ids in ids.chunks(IDS) {
        let body = json!({"InstanceIds": ids, "InstanceName": "somebody-elses"});
        rig.by_hand(GZ, "ModifyInstancesAttribute", &body);
    }
    at_the_floor(&rig, "apply", "rename", &[("ModifyInstancesAttribute", n)], 2 * pages);

    rig.edit(SHOP, &format!("count: {n}"), &format!("count: {more}"));
    let grown = [("RunInstances", zones(more - n, LAUNCH))];
    at_the_floor(&rig, "apply", "scaling up", &grown, pages + (more - n).div_ceil(IDS));
    rig.edit(SHOP, &format!("count: {more}"), &format!("count: {n}"));
    let shrunk = [("TerminateInstances", (more - n).div_ceil(IDS))];
    at_the_floor(&rig, "apply", "scaling down", &shrunk, more.div_ceil(IDS) + (more - n).div_ceil(IDS));

    // Five rounds of a fifth each; a round that has slots of two zones launches twice.
    let fifth = n / 5;
    rig.edit(SHOP, "22.04", "24.04");
    let replaced =
        [("RunInstances", 2 * half.div_ceil(fifth.min(LAUNCH))), ("TerminateInstances", n.div_ceil(fifth.min(IDS)))];
    let rounds = 5 * fifth.div_ceil(IDS);
    at_the_floor(&rig, "apply", "image change, replaced", &replaced, pages + 2 * rounds);
    rig.edit(SHOP, "24.04", "22.04");
    let at_once = fifth.min(50);
    rig.edit(
        SHOP,
        &format!("strategy: replace, max_unavailable: {fifth}"),
        &format!("strategy: reset, max_unavailable: {at_once}"),
    );
    let rounds = n.div_ceil(at_once);
    at_the_floor(&rig, "apply", "image change, reset", &[("ResetInstance", n)], pages + rounds);

    let destroyed = [("TerminateInstances", pages)];
    at_the_floor(&rig, "destroy", "destroy", &destroyed, 2 * pages);
    assert!(rig.instances(GZ).is_empty());
}

#[test]
fn fifty_instances_take_the_fewest_calls() {
    whole_life(50);
}

#[test]
fn five_hundred_instances_take_the_fewest_calls() {
    whole_life(500);
}

#[test]
fn ten_thousand_instances_take_the_fewest_calls() {
    whole_life(10_000);
}

/// The polls of a run: at no moment more than one page for each hundred that are waited for, and none within half a
/// second of the one before.
#[track_caller]
fn polls_are_for_all(log: &[LogEntry], from_ms: i64) -> usize {
    let mut moments: BTreeMap<i64, (usize, BTreeSet<String>)> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.action == "DescribeInstances" && entry.ms > from_ms) {
        let body: Value = serde_json::from_str(&entry.body).expect("JSON");
        let (calls, ids) = moments.entry(entry.ms).or_default();
        *calls += 1;
        let asked = body["InstanceIds"].as_array().expect("ids").iter().map(Value::to_string);
        for id in asked {
            assert!(ids.insert(id), "{} asks twice for one thing", entry.ms);
        }
    }
    for (ms, (calls, ids)) in &moments {
        assert_eq!(*calls, ids.len().div_ceil(IDS), "at {ms}");
    }
    let times: Vec<i64> = moments.keys().copied().collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 500), "{times:?}");
    moments.values().map(|(calls, _)| calls).sum()
}

#[test]
fn one_poll_is_for_all_that_is_waited_for() {
    let text = config(250).replace(", latency: instant", "").replace(
        "  web:\n",
        "  far:\n    image: ubuntu\n    count: 3\n    zones: [ap-guangzhou-6]\n    type: S5.MEDIUM4\n  web:\n",
    );
    let rig = Rig::with(&[(SHOP, &text)], Settings { limits: ROOM, ..quick() });
    let (mark, from_ms) = (rig.mark(), rig.now_ms());
    rig.run("apply --auto-approve").expect(Exit::Done);
    // Launches take a second and a half: three calls for 253 instances, twice.
    assert_eq!(polls_are_for_all(&rig.since(mark), from_ms), 6);
    let (mark, from_ms) = (rig.mark(), rig.now_ms());
    rig.run("destroy --auto-approve").expect(Exit::Done);
    assert_eq!(polls_are_for_all(&rig.since(mark), from_ms), 3);
}

#[test]
fn what_fleets_and_images_share_is_one_call() {
    let fleet = |name: &str| {
        format!(
            "  {name}:\n    image: web\n    count: 2\n    zones: [ap-guangzhou-3]\n    type: S5.MEDIUM4\n    tags: {{ team: blue }}\n    network: {{ security_groups: [sg-0a1b2c3d] }}\n"
        )
    };
    let names = ["a", "b", "c", "d"];
    let more: String = names.iter().map(|name| fleet(name)).collect();
    let rig = Rig::new(&[(SHOP, &format!("{IMAGE}{more}")), ("boot.sh", BOOT)]);
    rig.settle();
    let text = rig.read(SHOP).replace("team: blue", "team: red").replace("sg-0a1b2c3d", "sg-1b2c3d4e");
    rig.write(SHOP, &text.replace("tags: { app: web }", "tags: { app: web, team: red }"));
    // Eight instances and two copies of an image get the same tag; all instances get the same groups.
    rig.change().took(&[("ModifyInstancesAttribute", 1), ("TagResources", 1)]);
    rig.write(SHOP, &rig.read(SHOP).replace("tags: { team: red }", "tags: { squad: red }"));
    rig.change().took(&[("TagResources", 1), ("UnTagResources", 1)]);
    // What somebody renamed gets its own name back, and then its groups, together with the others.
    let id = rig.id("fleet.b[1]");
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({"InstanceIds": [id], "InstanceName": "x"}));
    rig.write(SHOP, &rig.read(SHOP).replace("sg-1b2c3d4e", "sg-0a1b2c3d"));
    rig.change().took(&[("ModifyInstancesAttribute", 2)]);
}

#[test]
fn images_of_a_region_that_go_together_are_one_call() {
    let kept = IMAGE.replace("    description: \"the shop\"\n", "    description: \"the shop\"\n    keep: 3\n");
    let rig = Rig::new(&[(SHOP, &kept), ("boot.sh", BOOT)]);
    rig.settle();
    for word in ["one", "two", "three"] {
        rig.write("boot.sh", &BOOT.replace("shop", word));
        rig.settle();
    }
    assert_eq!(rig.images(GZ).len(), 4);
    rig.edit(SHOP, "keep: 3", "keep: 0");
    // Three versions in each of two regions.
    rig.change().closes(0, 0, 0, 6).took(&[("DeleteImages", 2)]);
    assert_eq!(rig.images(GZ).len(), 1);
    // One that somebody uses, or deleted, does not hold the others up.
    rig.edit(SHOP, "keep: 0", "keep: 3");
    for word in ["four", "five"] {
        rig.write("boot.sh", &BOOT.replace("shop", word));
        rig.settle();
    }
    rig.edit(SHOP, "keep: 3", "keep: 0");
    rig.change().closes(0, 0, 0, 4).took(&[("DeleteImages", 2)]);
}

/// A fleet that is looked at while it is rolled out, and went over to another image: what was called, by action.
fn rolled(count: usize, update: &str) -> (Rig, BTreeMap<String, usize>) {
    let text = config(count).replace(", latency: instant", "");
    let (head, _) = text.split_once("    update:").expect("an update");
    let text = format!("{head}    update: {{ {update} }}\n    health: {{ http: {{ port: 80 }}, interval: 5s }}\n");
    let rig = Rig::with(&[(SHOP, &text)], Settings { limits: ROOM, ..quick() });
    rig.run("apply --auto-approve").expect(Exit::Done);
    rig.edit(SHOP, "22.04", "24.04");
    let plan = rig.json("plan --json");
    let floor = plan["calls"]["floor"].clone();
    assert_eq!(floor["total"], plan["calls"]["total"], "{plan:#}");
    let mark = rig.mark();
    rig.run("apply --auto-approve").expect(Exit::Done);
    let calls = rig.calls(mark);
    let changing = calls.iter().filter(|(action, _)| !action.starts_with("Describe") && !action.starts_with("Inquiry"));
    let changing: BTreeMap<&String, &usize> = changing.collect();
    assert_eq!(floor["by_action"], json!(changing));
    (rig, calls)
}

fn of(calls: &BTreeMap<String, usize>, action: &str) -> usize {
    calls.get(action).copied().unwrap_or(0)
}

/// The canary is a round of two zones; 498 are left, in rounds of a hundred, of which one has slots of both zones.
#[test]
fn five_hundred_are_replaced_with_the_fewest_calls_while_each_is_looked_at() {
    let update = "strategy: replace, max_surge: 100, max_unavailable: 0, canary: 2, min_ready: 10s, bake: 30s";
    let (_, calls) = rolled(500, update);
    assert_eq!((of(&calls, "RunInstances"), of(&calls, "TerminateInstances")), (2 + 6, 1 + 5), "{calls:?}");
    let all: usize = calls.values().sum();
    assert_eq!(all, 63, "calls for 500 instances, with all looks: {calls:?}");
}

/// No batch of resets exists: one call for each, and else only looks.
#[test]
fn five_hundred_are_reset_with_the_fewest_calls_while_each_is_looked_at() {
    let (_, calls) = rolled(500, "strategy: reset, max_unavailable: 50, canary: 2, min_ready: 10s");
    assert_eq!(of(&calls, "ResetInstance"), 500, "{calls:?}");
    let looks = calls.values().sum::<usize>() - 500;
    assert_eq!(looks, 61, "looks for 500 instances: {calls:?}");
}

/// What takes terraform 1,000 calls (fifty instances reset in place, ten at once).
#[test]
fn fifty_are_reset_ten_at_once_with_one_call_each() {
    let (_, calls) = rolled(50, "strategy: reset, max_unavailable: 10, min_ready: 10s");
    assert_eq!(of(&calls, "ResetInstance"), 50, "{calls:?}");
    let looks = calls.values().sum::<usize>() - 50;
    assert_eq!(looks, 27, "looks for 50 instances: {calls:?}");
}
