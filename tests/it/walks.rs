//! Random walks: edits of the config, deeds of other hands, faults, and plans for a part, in any order. After each of
//! them a few applies come to rest: the plan is empty, the state is what the cloud holds, and nothing refused was half
//! done.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{Injection, Settings, public_image_id};
use serde_json::json;

use crate::kit::{BJ, GZ, SH, counts, quick};
use crate::rig::{OWNER, Rig};

/// Numbers out of a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below).expect("small")).expect("small")
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.roll(items.len())) }
    }
}

/// A config, as what can be changed about it.
#[derive(Clone, Debug)]
struct Config {
    boot: usize,
    base: usize,
    description: usize,
    image_tag: usize,
    version: usize,
    regions: usize,
    share: Option<usize>,
    share_name: usize,
    cancel: bool,
    builder: bool,
    builder_count: usize,
    builder_group: bool,
    web: bool,
    count: usize,
    kind: usize,
    tag: usize,
    reset: bool,
    most: usize,
    from_public: bool,
    zone_more: bool,
}

impl Config {
    fn start() -> Self {
        Self {
            boot: 0,
            base: 0,
            description: 1,
            image_tag: 0,
            version: 0,
            regions: 1,
            share: Some(3),
            share_name: 0,
            cancel: false,
            builder: true,
            builder_count: 1,
            builder_group: false,
            web: true,
            count: 3,
            kind: 0,
            tag: 1,
            reset: false,
            most: 1,
            from_public: false,
            zone_more: false,
        }
    }

    fn edited(&self, dice: &mut Dice) -> Self {
        let mut next = self.clone();
        for _ in 0..=dice.roll(3) {
            match dice.roll(20) {
                0 => next.boot = dice.roll(3),
                1 => next.base = dice.roll(2),
                2 => next.description = dice.roll(3),
                3 => next.image_tag = dice.roll(3),
                4 => next.version = dice.roll(3),
                5 => next.regions = dice.roll(4),
                6 => next.share = (dice.roll(4) > 0).then(|| 1 + dice.roll(15)),
                7 => next.share_name = dice.roll(2),
                8 => next.cancel = !next.cancel,
                9 => next.builder = dice.roll(3) > 0,
                10 => next.builder_count = 1 + dice.roll(2),
                11 => next.builder_group = !next.builder_group,
                12 => next.web = dice.roll(4) > 0,
                13 | 14 => next.count = dice.roll(7),
                15 => next.kind = dice.roll(2),
                16 => next.tag = dice.roll(4),
                17 => (next.reset, next.most) = (dice.roll(2) == 0, 1 + dice.roll(3)),
                18 => next.from_public = !next.from_public,
                _ => next.zone_more = !next.zone_more,
            }
        }
        next
    }

    fn text(&self) -> String {
        let mut text = String::from("project: shop\ncloud: { provider: embedded, region: ap-guangzhou }\nimages:\n");
        let base = ["22.04", "24.04"][self.base];
        let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string");
        line(format_args!("  ubuntu:\n    public: {{ name: \"Ubuntu Server {base} LTS 64bit\" }}"));
        line(format_args!("  web:\n    from_instance: {{ instance: \"fleet.builder[0]\", ready: stopped }}"));
        if self.version > 0 {
            line(format_args!("    version: \"{}\"", self.version));
        }
        if self.description > 0 {
            line(format_args!("    description: \"number {}\"", self.description));
        }
        if self.image_tag > 0 {
            line(format_args!("    tags: {{ app: \"{}\" }}", self.image_tag));
        }
        let more = ["", ", ap-shanghai", ", ap-beijing", ", ap-shanghai, ap-beijing"][self.regions];
        line(format_args!("    regions: [ap-guangzhou{more}]"));
        if let Some(share) = self.share {
            let accounts: Vec<String> =
                (0..4).filter(|n| share >> n & 1 == 1).map(|n| format!("\"10000000000{}\"", n + 2)).collect();
            let name = ["partners", "resellers"][self.share_name];
            let undeclared = if self.cancel { "cancel" } else { "keep" };
            line(format_args!(
                "shares:\n  {name}: {{ image: web, accounts: [{}], undeclared: {undeclared} }}",
                accounts.join(", ")
            ));
        }
        line(format_args!("fleets:"));
        line(format_args!("  other: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-6], type: S5.MEDIUM4 }}"));
        if self.builder {
            let group = if self.builder_group { ", network: { security_groups: [sg-0a1b2c3d] }" } else { "" };
            line(format_args!(
                "  builder: {{ image: ubuntu, count: {}, zones: [ap-guangzhou-3], type: S5.MEDIUM4{group}, user_data: \
                 {{ file: boot.sh }} }}",
                self.builder_count
            ));
        }
        if self.web {
            let kind = ["S5.MEDIUM4", "S5.LARGE8"][self.kind];
            let tags = ["", "app: web", "app: store", "app: web, tier: front"][self.tag];
            let strategy = if self.reset { "reset" } else { "replace" };
            let zones = if self.zone_more { ", ap-guangzhou-6" } else { "" };
            let image = if self.from_public { "ubuntu" } else { "web" };
            line(format_args!(
                "  web: {{ image: {image}, count: {}, zones: [ap-guangzhou-3, ap-guangzhou-4{zones}], type: {kind}, tags: {{ {tags} \
                 }}, update: {{ strategy: {strategy}, max_unavailable: {} }} }}",
                self.count, self.most
            ));
        }
        text
    }

    fn boot(&self) -> String {
        format!("#!/bin/sh\necho {} > /srv/number\n# sim: poweroff after=2s\n", self.boot)
    }
}

fn write(rig: &Rig, config: &Config) {
    rig.write("shop.yaml", &config.text());
    rig.write("boot.sh", &config.boot());
}

/// Something that somebody else does; whether the cloud lets them is their affair.
fn deed(rig: &Rig, dice: &mut Dice) -> String {
    let region = *dice.of(&[GZ, GZ, SH, BJ]).expect("regions");
    let instances: Vec<String> = rig.instances(GZ).into_values().collect();
    let images: Vec<String> = rig.images(region).into_values().collect();
    let instance = dice.of(&instances).cloned();
    let image = dice.of(&images).cloned();
    let resource = |kind: &str, region: &str, id: &str| format!("qcs::cvm:{region}:uin/{OWNER}:{kind}/{id}");
    let (region, action, body) = match (dice.roll(12), instance, image) {
        (0 | 1, Some(id), _) => (GZ, "TerminateInstances", json!({"InstanceIds": [id]})),
        (2, Some(id), _) => (GZ, "StopInstances", json!({"InstanceIds": [id]})),
        (3, Some(id), _) => (GZ, "ModifyInstancesAttribute", json!({"InstanceIds": [id], "InstanceName": "mine"})),
        (4, Some(id), _) => {
            let debian = public_image_id(GZ, "Debian 12 64bit");
            (GZ, "ResetInstance", json!({"InstanceId": id, "ImageId": debian}))
        }
        (5, Some(id), _) => {
            let body = json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true});
            (GZ, "ResetInstancesType", body)
        }
        (6, Some(id), _) => {
            let keys = ["app", "fleetwright"];
            (GZ, "UnTagResources", json!({"ResourceList": [resource("instance", GZ, &id)], "TagKeys": keys}))
        }
        (7, Some(id), _) => {
            let tags = json!([{"TagKey": "app", "TagValue": "web"}, {"TagKey": "tier", "TagValue": "front"}]);
            (GZ, "TagResources", json!({"ResourceList": [resource("instance", GZ, &id)], "Tags": tags}))
        }
        (8, _, Some(id)) => {
            let accounts = rig.shared(region, &id);
            if !accounts.is_empty() {
                let cancel = json!({"ImageId": id, "AccountIds": accounts, "Permission": "CANCEL"});
                rig.ask(OWNER, region, "ModifyImageSharePermission", &cancel);
            }
            (region, "DeleteImages", json!({"ImageIds": [id], "DeleteBindedSnap": true}))
        }
        (9, _, Some(id)) => {
            let account = format!("10000000000{}", 2 + dice.roll(6));
            let permission = ["SHARE", "CANCEL"][dice.roll(2)];
            let body = json!({"ImageId": id, "AccountIds": [account], "Permission": permission});
            (region, "ModifyImageSharePermission", body)
        }
        (10, _, Some(id)) => (region, "ModifyImageAttribute", json!({"ImageId": id, "ImageDescription": "number 2"})),
        (11, _, Some(id)) => {
            let body = json!({"ResourceList": [resource("image", region, &id)], "TagKeys": ["app"]});
            (region, "UnTagResources", body)
        }
        _ => return "nothing".into(),
    };
    let answer = rig.ask(OWNER, region, action, &body);
    format!("{region} {action} {body} → {}", answer["Error"]["Code"])
}

/// Something that will go wrong the next time.
fn fault(rig: &Rig, dice: &mut Dice) -> Injection {
    let instances: Vec<(String, String)> = rig.instances(GZ).into_iter().collect();
    let images: Vec<(String, String)> = rig.images(GZ).into_iter().collect();
    let name = format!("shop-default-web-{}-{}", 3 + dice.roll(2), dice.roll(3));
    let code = ["RequestLimitExceeded", "InternalError"][dice.roll(2)];
    match (dice.roll(6), dice.of(&instances), dice.of(&images)) {
        (0, Some((_, id)), _) => Injection::ResetFails { instance: id.clone() },
        (1, Some((_, id)), _) => Injection::TagFails { id: id.clone(), code: "FailedOperation.TagAttached".into() },
        (2, _, Some((name, _))) => Injection::CopyFails { name: name.clone(), region: [SH, BJ][dice.roll(2)].into() },
        (3, _, Some((name, _))) => Injection::CaptureFails { name: name.clone() },
        (4, ..) => {
            let actions =
                ["RunInstances", "TagResources", "CreateImage", "ResetInstance", "DeleteImages", "SyncImages"];
            let action = actions[dice.roll(actions.len())].into();
            Injection::Refuse { action, code: code.into(), times: 2 }
        }
        _ => Injection::LaunchFails { name },
    }
}

/// Applies until there is nothing left to do. `None`: it was refused, and nothing was done. Where nothing is meant to
/// fail, the calls are those that the plan said.
fn comes_to_rest(rig: &Rig, story: &str, faultless: bool) -> Option<()> {
    for round in 0..6 {
        let plan = rig.run("plan --json --cancel-undeclared-shares");
        let mark = rig.mark();
        let ran = rig.run("apply --auto-approve --cancel-undeclared-shares");
        match ran.exit {
            Exit::Done => {
                if faultless {
                    let plan: serde_json::Value = serde_json::from_str(&plan.out).expect("JSON");
                    let made = serde_json::to_value(rig.mutations(mark)).expect("counts");
                    assert_eq!(plan["calls"]["by_action"], made, "{story}");
                }
                if rig.run("plan --detailed-exitcode").exit == Exit::Done {
                    rig.expect_in_step();
                    return Some(());
                }
            }
            Exit::Partly | Exit::Failed => {}
            Exit::Config | Exit::Infeasible => {
                assert_eq!(rig.mutations(mark), counts(&[]), "{story}\n{}", ran.err);
                return None;
            }
            Exit::Changes
            | Exit::Waiting
            | Exit::Locked
            | Exit::Foreign
            | Exit::Guard
            | Exit::Usage
            | Exit::Bug
            | Exit::Interrupted => panic!("{story}\n{:?}, round {round}\n{}\n{}", ran.exit, ran.out, ran.err),
        }
        assert!(!ran.err.contains("self-check"), "{story}\n{}", ran.err);
        rig.wait_ms(1_000);
    }
    let last = rig.run("plan");
    panic!("{story}\ndoes not come to rest:\n{}\n{}", last.out, last.err);
}

/// Some part of everything, as options name it.
fn part(dice: &mut Dice) -> &'static str {
    let parts = [
        "--target image.web",
        "--target fleet.web",
        "--target fleet.web[1]",
        "--target fleet.builder --target fleet.other",
        "--target share.partners",
        "--target image.web/ap-shanghai",
        "--exclude image.web",
        "--exclude fleet.web",
        "--exclude fleet.web[0] --exclude fleet.web[2]",
        "--exclude fleet.builder[0]",
        "--exclude share.partners --exclude share.resellers",
        "--exclude share.partners",
        "--exclude image.web/ap-beijing --exclude image.web/ap-shanghai",
        "--exclude image.web/ap-guangzhou",
    ];
    dice.of(&parts).expect("parts")
}

/// The images that the instances of a fleet run from, as far as they are there.
fn in_use(rig: &Rig) -> BTreeSet<String> {
    let images: BTreeSet<String> = rig.images(GZ).into_values().collect();
    let fleet = rig.instances(GZ).into_iter().filter(|(name, _)| name.starts_with("shop-default-web-"));
    fleet.map(|(_, id)| rig.instance(&id).image).filter(|image| images.contains(image)).collect()
}

/// Applies, or destroys, a part. Whatever comes of it, what is left out keeps what it runs from.
fn apply_part(rig: &Rig, dice: &mut Dice, story: &mut String) {
    let args = part(dice);
    let verb = if dice.roll(6) == 0 { "destroy" } else { "apply" };
    writeln!(story, "{verb} {args}").expect("a string");
    // What somebody is about to delete is gone then.
    rig.wait_ms(1_000);
    let before = in_use(rig);
    let ran = rig.run(&format!("{verb} --auto-approve --cancel-undeclared-shares {args}"));
    match ran.exit {
        Exit::Done | Exit::Partly | Exit::Failed | Exit::Usage | Exit::Config | Exit::Infeasible => {}
        Exit::Changes
        | Exit::Waiting
        | Exit::Locked
        | Exit::Foreign
        | Exit::Guard
        | Exit::Bug
        | Exit::Interrupted => {
            panic!("{story}\n{:?}\n{}\n{}", ran.exit, ran.out, ran.err)
        }
    }
    assert!(!ran.err.contains("self-check"), "{story}\n{}", ran.err);
    if args == "--exclude fleet.web" {
        let images: BTreeSet<String> = rig.images(GZ).into_values().collect();
        assert!(before.is_subset(&images), "{story}\n{}\n{}", ran.out, ran.err);
    }
}

fn walk(seed: u64, steps: usize) {
    let mut dice = Dice(seed);
    let settings = Settings {
        seed,
        empty_first_read: dice.roll(3) == 0,
        reset_shows_rebooting: dice.roll(2) == 0,
        copy_is_syncing: dice.roll(2) == 0,
        copy_carries_description: dice.roll(2) == 0,
        ..quick()
    };
    let mut config = Config::start();
    let rig = Rig::with(&[("shop.yaml", &config.text()), ("boot.sh", &config.boot())], settings);
    rig.settle();
    let mut story = format!("seed {seed}\n");
    let mut faultless = true;
    for _ in 0..steps {
        let mut next = config.clone();
        let what = match dice.roll(4) {
            0 | 1 => {
                next = config.edited(&mut dice);
                write(&rig, &next);
                format!("edit to {next:?}")
            }
            2 => {
                let what = deed(&rig, &mut dice);
                if dice.roll(2) == 0 {
                    rig.wait_ms(20_000);
                }
                what
            }
            _ => {
                faultless = false;
                let injection = fault(&rig, &mut dice);
                let what = format!("{injection:?}");
                rig.cloud().inject(injection);
                next = config.edited(&mut dice);
                write(&rig, &next);
                format!("{what} and edit to {next:?}")
            }
        };
        writeln!(story, "{what}").expect("a string");
        for _ in 0..dice.roll(3) {
            apply_part(&rig, &mut dice, &mut story);
        }
        if comes_to_rest(&rig, &story, faultless).is_some() {
            config = next;
        } else {
            writeln!(story, "refused").expect("a string");
            write(&rig, &config);
            // What somebody deleted may be what the config cannot do without any more: then it begins anew.
            if comes_to_rest(&rig, &story, faultless).is_none() {
                config = Config::start();
                write(&rig, &config);
                comes_to_rest(&rig, &story, faultless).unwrap_or_else(|| panic!("{story}"));
            }
        }
    }
    let ran = rig.run("destroy --auto-approve --cancel-undeclared-shares").expect(Exit::Done);
    assert!(rig.addrs().is_empty(), "{}", ran.out);
    let holdings = rig.holdings();
    for holding in holdings.0.values().flat_map(std::collections::BTreeMap::values) {
        let left = holding.instances.values().filter(|one| one.state != "LAUNCH_FAILED").count();
        assert_eq!((left, holding.images.len(), holding.snapshots.len()), (0, 0, 0), "{story}\n{holdings:#?}");
    }
}

#[test]
fn walks_come_to_rest() {
    let walks = walks_wanted();
    for seed in 0..walks {
        walk(seed, 8);
    }
}

#[expect(clippy::disallowed_methods, reason = "a switch of a test: how far it goes")]
fn walks_wanted() -> u64 {
    std::env::var("WALKS").ok().and_then(|walks| walks.parse().ok()).unwrap_or(12)
}
