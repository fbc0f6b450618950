//! Helpers for worlds in which there is little room: things made by hand, a watch on how full it gets, and somebody who
//! does what a suggestion says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fleetwright::cli::Exit;
use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::embedded::{self, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use serde_json::json;

use crate::between::between;
use crate::rig::{OWNER, Ran, Rig};

pub(crate) const GZ: &str = "ap-guangzhou";
pub(crate) const SH: &str = "ap-shanghai";

/// A world in which the embedded cloud has these limits. The file is written as `fleet.yaml`.
pub(crate) fn world(limits: Limits, yaml: &str) -> Rig {
    let settings = Settings { log: true, ..Settings::new(Latency::Quick, limits, 7) };
    let mut rig = Rig::with(&[("fleet.yaml", yaml)], settings);
    rig.width = 4000;
    rig
}

/// Launches instances by hand, and waits until they run.
pub(crate) fn launch_by_hand(rig: &Rig, region: &str, zone: &str, count: u32) -> Vec<String> {
    let body = json!({
        "Placement": {"Zone": zone},
        "ImageId": embedded::public_image_id(region, "Ubuntu Server 22.04 LTS 64bit"),
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": count,
        "InstanceName": "by-hand",
    });
    let ids = rig.by_hand(region, "RunInstances", &body);
    rig.wait_ms(5_000);
    ids["InstanceIdSet"].as_array().expect("ids").iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// Captures so many images by hand, from an instance made by hand.
pub(crate) fn capture_by_hand(rig: &Rig, region: &str, zone: &str, count: u32) -> Vec<String> {
    let instance = launch_by_hand(rig, region, zone, 1).remove(0);
    let capture = |n: u32| {
        let body = json!({"InstanceId": instance, "ImageName": format!("by-hand-{n}")});
        let image = rig.by_hand(region, "CreateImage", &body);
        rig.wait_ms(10_000);
        image["ImageId"].as_str().expect("an id").to_owned()
    };
    (0..count).map(capture).collect()
}

/// Shares an image by hand.
pub(crate) fn share_by_hand(rig: &Rig, region: &str, image: &str, accounts: &[String]) {
    for accounts in accounts.chunks(10) {
        let body = json!({"ImageId": image, "AccountIds": accounts, "Permission": "SHARE"});
        rig.by_hand(region, "ModifyImageSharePermission", &body);
    }
}

/// Main accounts, from the n-th one on.
pub(crate) fn accounts(first: u32, count: u32) -> Vec<String> {
    (first..first + count).map(|n| format!("1000000{n:05}")).collect()
}

/// Accounts as a list of the config.
pub(crate) fn listed(accounts: &[String]) -> String {
    let quoted: Vec<String> = accounts.iter().map(|account| format!("\"{account}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A plan is infeasible, for this reason; nothing is changed by it, nor by an apply. Then the change that the help names
/// is made, and there is a plan.
#[track_caller]
pub(crate) fn infeasible_until_helped(rig: &Rig, code: &str) -> String {
    let mark = rig.mark();
    let plan = rig.run("plan").expect(Exit::Infeasible);
    let apply = rig.run("apply --auto-approve").expect(Exit::Infeasible);
    assert_eq!(rig.mutating(mark), Vec::<String>::new(), "a plan that does not fit changes nothing");
    for ran in [&plan, &apply] {
        assert!(ran.err.contains(code), "{}", ran.err);
    }
    let help = suggestion(&plan).unwrap_or_else(|| panic!("no help in\n{}", plan.err));
    follow(rig, &help);
    rig.run("plan").expect(Exit::Done);
    help
}

/// What a refusal says would do.
pub(crate) fn suggestion(ran: &Ran) -> Option<String> {
    let (_, rest) = ran.err.split_once("this would do: ")?;
    Some(rest.lines().next().unwrap_or_default().trim().to_owned())
}

/// Changes `fleet.yaml` as a suggestion says. Blocks stand one a line there, `  name: { … }`, under their section.
#[track_caller]
pub(crate) fn follow(rig: &Rig, help: &str) {
    for edit in help.split(", and ") {
        let quoted = |text: &str| text.trim_matches('`').to_owned();
        let yaml = if let Some(edit) = edit.strip_prefix("set `count: ") {
            let (count, block) = edit.split_once("` in ").expect("a count");
            change(rig, &quoted(block), |line| {
                let (before, rest) = line.split_once("count: ").expect("a count");
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                Some(format!("{before}count: {count}{rest}"))
            })
        } else if let Some(edit) = edit.strip_prefix("take ") {
            let (items, list) = edit.split_once(" out of ").expect("a list");
            let list = quoted(list);
            let (block, _) = list.rsplit_once('.').expect("a key");
            change(rig, block, |line| {
                let mut line = line.to_owned();
                for item in items.split(", ") {
                    let forms =
                        [format!("\"{item}\", "), format!(", \"{item}\""), format!("{item}, "), format!(", {item}")];
                    let form = forms.iter().find(|form| line.contains(form.as_str())).expect("an item");
                    line = line.replacen(form.as_str(), "", 1);
                }
                Some(line)
            })
        } else {
            let block = edit.strip_prefix("remove ").unwrap_or_else(|| panic!("what does {edit:?} mean?"));
            change(rig, &quoted(block), |_| None)
        };
        rig.write("fleet.yaml", &yaml);
    }
}

/// The file with one block's line changed, or without it. A section that is empty then goes too.
#[track_caller]
fn change(rig: &Rig, block: &str, to: impl Fn(&str) -> Option<String>) -> String {
    let (section, name) = block.split_once('.').expect("a block");
    let (mut here, mut done) = (false, false);
    let mut lines: Vec<String> = Vec::new();
    for line in rig.read("fleet.yaml").lines() {
        if !line.starts_with(' ') {
            here = line == format!("{section}:");
        }
        if here && line.starts_with(&format!("  {name}: ")) {
            done = true;
            lines.extend(to(line));
        } else {
            lines.push(line.to_owned());
        }
    }
    assert!(done, "there is no {block}");
    let empty = |n: usize| lines[n].ends_with(':') && lines.get(n + 1).is_none_or(|next| !next.starts_with(' '));
    let kept = (0..lines.len()).filter(|n| !empty(*n)).map(|n| format!("{}\n", lines[n]));
    kept.collect()
}

/// Counts something in what the owner holds in a region.
pub(crate) type Count = fn(&fleetwright::cloud::embedded::Holdings) -> usize;

/// Applies; the cloud refuses nothing, and never holds more than this of what is counted. Then nothing is left to do.
#[track_caller]
pub(crate) fn apply_within(rig: &Rig, most: usize, count: Count) -> Ran {
    let (worst, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
    let (cloud, clock) = (rig.cloud(), Arc::clone(&rig.clock));
    let (seen, told) = (Arc::clone(&worst), Arc::clone(&refused));
    let hooks = between(move |inner, call, signed_ms| {
        let look = || {
            let holdings = cloud.holdings(clock.now_ms()).expect("holdings");
            seen.fetch_max(count(&holdings), Ordering::SeqCst);
        };
        look();
        let answer = inner.call(call, signed_ms);
        look();
        if let (Err(fault), true) = (&answer, call.body.mutates()) {
            told.lock().expect("no panic").push(format!("{}: {fault}", call.body.action()));
        }
        answer
    });
    let ran = rig.run_with("apply --auto-approve", hooks).expect(Exit::Done);
    assert_eq!(*refused.lock().expect("no panic"), Vec::<String>::new(), "{}", ran.err);
    assert!(worst.load(Ordering::SeqCst) <= most, "{} were there", worst.load(Ordering::SeqCst));
    rig.expect_no_changes();
    ran
}

/// How many custom images the owner has in Guangzhou.
pub(crate) fn images_in_gz(holdings: &fleetwright::cloud::embedded::Holdings) -> usize {
    holdings.of(OWNER, GZ).map_or(0, |held| held.images.len())
}

/// How many custom images the owner has in the region where he has most.
pub(crate) fn images_anywhere(holdings: &fleetwright::cloud::embedded::Holdings) -> usize {
    [GZ, SH].iter().filter_map(|region| holdings.of(OWNER, region)).map(|held| held.images.len()).max().unwrap_or(0)
}

/// How many instances the owner has in the third zone of Guangzhou.
pub(crate) fn instances_in_gz_3(holdings: &fleetwright::cloud::embedded::Holdings) -> usize {
    let held = holdings.of(OWNER, GZ);
    held.map_or(0, |held| held.instances.values().filter(|one| one.zone == "ap-guangzhou-3").count())
}

/// The most accounts that an image of the owner in Guangzhou is shared with.
pub(crate) fn accounts_of_one(holdings: &fleetwright::cloud::embedded::Holdings) -> usize {
    let held = holdings.of(OWNER, GZ);
    held.map_or(0, |held| held.images.values().map(|image| image.shared_with.len()).max().unwrap_or(0))
}
