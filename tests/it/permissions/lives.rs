//! Whole lives, and what each command of them sent: nothing beyond its row of the table, and over all lives all of it.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::call::Class;
use fleetwright::ops::Hooks;
use fleetwright::ops::permissions::Command;
use serde_json::json;

use crate::between::{between, refusal};
use crate::crash::print;
use crate::crash::wire::{Fate, Trap, Wire};
use crate::kit::{BOOT, FLEET, GZ, IMAGE, SOURCES};
use crate::rig::{Ran, Rig};

const SHOP: &str = "shop.yaml";

/// What was sent so far.
#[derive(Default)]
struct Sent {
    by: BTreeMap<Command, BTreeSet<String>>,
    /// The same of commands that first had to settle what another run left.
    settling: BTreeMap<Command, BTreeSet<String>>,
    runs: usize,
    requests: usize,
}

/// The words of a command, as it is run here.
fn args(command: Command) -> &'static str {
    match command {
        Command::Doctor | Command::Plan | Command::Preflight | Command::Images | Command::Drift | Command::Orphans => {
            command.words()
        }
        Command::Refresh => "refresh --auto-approve",
        Command::Apply => "apply --auto-approve",
        Command::Destroy => "destroy --auto-approve",
    }
}

impl Sent {
    /// Runs a command, with more words, before a terminal that shows what it prints.
    #[track_caller]
    fn run_with(&mut self, rig: &Rig, command: Command, more: &str, hooks: Hooks, open: bool) -> Ran {
        let (before, mark) = (rig.seen.requests(), rig.mark());
        let terminals = Terminals { stdout: true, ..Terminals::default() };
        let ran = rig.run_typing(&format!("--color never {} {more}", args(command)), hooks, &mut &b""[..], terminals);
        let after = rig.seen.requests();
        let sent = after.iter().filter(|(action, count)| before.get(*action) != Some(count));
        let sent: BTreeSet<String> = sent.map(|(action, _)| action.clone()).collect();
        self.runs += 1;
        self.requests += after.values().sum::<usize>() - before.values().sum::<usize>();
        let mut may = command.actions();
        if open {
            may.extend(command.settling());
        } else if !matches!(command, Command::Apply | Command::Destroy) {
            let reads = |action: &str| action.starts_with("Describe") || action.starts_with("InquiryPrice");
            let tries = |body: &str| command == Command::Preflight && body.contains("\"DryRun\":true");
            let mut log = rig.since(mark).into_iter();
            let change = log.find(|entry| !reads(&entry.action) && !tries(&entry.body));
            assert!(change.is_none(), "{} changes something: {change:?}", command.words());
        }
        let beyond: Vec<&String> = sent.iter().filter(|action| !may.contains(action.as_str())).collect();
        assert!(beyond.is_empty(), "{} {more} sent {beyond:?}", command.words());
        let ours = if open { &mut self.settling } else { &mut self.by };
        ours.entry(command).or_default().extend(sent);
        ran
    }

    #[track_caller]
    fn run(&mut self, rig: &Rig, command: Command) -> Ran {
        self.run_with(rig, command, "", Hooks::default(), false)
    }

    /// A change of the config, from plan to apply; and after it there is nothing to do.
    #[track_caller]
    fn turn(&mut self, rig: &Rig) {
        self.run(rig, Command::Plan).expect(Exit::Done);
        // Whether the cloud would take all of it is not the question here.
        let asked = self.run(rig, Command::Preflight);
        assert!(matches!(asked.exit, Exit::Done | Exit::Infeasible), "{asked:?}");
        self.run(rig, Command::Apply).expect(Exit::Done);
        rig.expect_no_changes();
    }

    /// A whole life: made, looked at, changed again and again, and destroyed.
    #[track_caller]
    fn life(&mut self, rig: &Rig, changes: &[&dyn Fn(&Rig)], last: &dyn Fn(&Rig)) {
        self.run(rig, Command::Doctor).expect(Exit::Done);
        self.turn(rig);
        for change in changes {
            change(rig);
            self.turn(rig);
        }
        for command in [Command::Drift, Command::Images, Command::Orphans, Command::Refresh, Command::Doctor] {
            self.run(rig, command).expect(Exit::Done);
        }
        last(rig);
        self.run(rig, Command::Destroy).expect(Exit::Done);
    }
}

fn nothing(_: &Rig) {}

/// Replaces a text of the shop's config.
fn edit(from: &'static str, to: &'static str) -> impl Fn(&Rig) {
    move |rig| rig.edit(SHOP, from, to)
}

fn examples(sent: &mut Sent) {
    let change = |file: &'static str, from: &'static str, to: &'static str| move |rig: &Rig| rig.edit(file, from, to);
    sent.life(&Rig::of_example("01-quickstart"), &[&change("fleet.yaml", "count: 3", "count: 5")], &nothing);
    let again = change("provision.sh", "hello from the shop", "hello again");
    sent.life(&Rig::of_example("02-golden-image"), &[&again], &nothing);
    let rename = change("fleets.yaml", "hostname: \"standby-{ordinal}\"", "hostname: \"spare-{ordinal}\"");
    let unprotect = |rig: &Rig| {
        rig.edit("images.yaml", "protect: true                   #", "protect: false                  #");
        rig.edit("fleets.yaml", "    protect: true\n", "    protect: false\n");
    };
    sent.life(&Rig::of_example("03-import"), &[&rename, &unprotect], &nothing);
    let more =
        change("config.yaml", "count: 2\n    zones: [ap-guangzhou-3]\n", "count: 3\n    zones: [ap-guangzhou-3]\n");
    sent.life(&Rig::of_example("04-shared-and-marketplace"), &[&more], &nothing);
}

/// A fleet, through every kind of change.
fn fleet(sent: &mut Sent) {
    let config = FLEET.replace("    tags:", "    hostname: \"web-{zone}-{ordinal}\"\n    state: running\n    tags:");
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let changes: [&dyn Fn(&Rig); 14] = [
        &edit("tags: { app: web }", "tags: { app: web, tier: gold }"),
        &edit("tags: { app: web, tier: gold }", "tags: { app: store }"),
        &edit("type: S5.MEDIUM4", "type: S5.LARGE8"),
        &edit("hostname: \"web-", "hostname: \"www-"),
        &edit("state: running", "state: stopped"),
        &edit("state: stopped", "state: running"),
        &edit("    tags:", "    protect: true\n    tags:"),
        &edit("    protect: true\n", "    protect: false\n"),
        &|rig: &Rig| rig.write("boot.sh", "#!/bin/sh\necho two\n"),
        &edit("strategy: replace", "strategy: reset"),
        &|rig: &Rig| rig.write("boot.sh", "#!/bin/sh\necho three\n"),
        &edit("count: 5", "count: 7"),
        &edit("count: 7", "count: 3"),
        // Another region.
        &edit(
            "fleets:\n",
            "fleets:\n  far: { image: ubuntu, region: ap-shanghai, count: 1, zones: [ap-shanghai-2], type: S5.MEDIUM4 }\n",
        ),
    ];
    // A change of the strategy alone is none: its turn has nothing to do.
    sent.life(&rig, &changes, &nothing);
}

/// An image, its copies, its versions and its shares.
fn image(sent: &mut Sent) {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    let by_id = |rig: &Rig| {
        let id = rig.id("fleet.builder[0]");
        let block = format!("images:\n  hand:\n    from_instance: {{ instance: {id} }}\n    version: \"1\"\n");
        rig.edit(SHOP, "images:\n", &block);
    };
    let without = |rig: &Rig| {
        let text = rig.read(SHOP);
        let (head, rest) = text.split_once("  hand:\n").expect("the image");
        let (_, tail) = rest.split_once("version: \"1\"\n").expect("its version");
        rig.write(SHOP, &format!("{head}{tail}"));
    };
    let changes: [&dyn Fn(&Rig); 9] = [
        &edit("\"the shop\"", "\"the store\""),
        &edit(
            "    tags: { app: web }",
            "    family: shop\n    keep: 1\n    deprecate_kept: true\n    tags: { app: store }",
        ),
        &edit("    tags: { app: store }\n", ""),
        &edit("[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]"),
        &edit("[\"100000000002\", \"100000000003\"]", "[\"100000000003\", \"100000000004\"]"),
        &by_id,
        &without,
        &|rig: &Rig| rig.write("boot.sh", &BOOT.replace("echo shop", "echo store")),
        &edit("    keep: 1\n    deprecate_kept: true\n", ""),
    ];
    sent.life(&rig, &changes, &nothing);
}

fn sources(sent: &mut Sent) {
    let rig = Rig::new(&[(SHOP, SOURCES)]);
    let newer = edit("os_version: \"7\"", "os_version: \"6\"");
    sent.life(&rig, &[&edit("from the old hall", "from the cellar"), &newer], &nothing);
}

/// What other hands did, and what is in no state any more.
fn others(sent: &mut Sent) {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", BOOT)]);
    sent.turn(&rig);
    let id = rig.id("fleet.web[1]");
    rig.by_hand(GZ, "ModifyInstancesAttribute", &json!({ "InstanceIds": [id], "InstanceName": "mine" }));
    rig.wait_ms(600_000);
    sent.run(&rig, Command::Drift).expect(Exit::Changes);
    sent.run(&rig, Command::Refresh).expect(Exit::Done);
    sent.turn(&rig);
    rig.run("state rm fleet.web[0] fleet.web[2] --auto-approve").expect(Exit::Done);
    rig.wait_ms(600_000);
    sent.run(&rig, Command::Orphans).expect(Exit::Changes);
    sent.run_with(&rig, Command::Orphans, "--adopt --auto-approve", Hooks::default(), false).expect(Exit::Done);
    rig.expect_no_changes();
    sent.run(&rig, Command::Destroy).expect(Exit::Done);
}

/// A run dies with a launch under way; then there comes another command.
fn interrupted(sent: &mut Sent) {
    let killed = || {
        let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", BOOT)]);
        assert!(Wire::new(Some(Trap::Change(0, Fate::AnswerLost))).run(&rig, "apply --auto-approve", false).is_none());
        rig
    };
    for command in [Command::Apply, Command::Refresh, Command::Destroy] {
        sent.run_with(&killed(), command, "", Hooks::default(), true).expect(Exit::Done);
        // Where it may not launch, it finds out otherwise, and nothing is made twice.
        if command != Command::Apply {
            let rig = killed();
            let denied = between(|cloud, call, signed_ms| {
                if call.body.action() == "RunInstances" {
                    return Err(refusal(Class::Denied, "UnauthorizedOperation"));
                }
                cloud.call(call, signed_ms)
            });
            sent.run_with(&rig, command, "", denied, true).expect(Exit::Done);
            rig.expect_in_step();
            assert_eq!(rig.instances(GZ).len(), if command == Command::Destroy { 0 } else { 3 });
        }
    }
}

/// What can be left out is only missed: the plan is the same.
#[test]
fn a_plan_goes_without_prices_and_user_data() {
    let rig = Rig::new(&[(SHOP, FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig.write("boot.sh", "#!/bin/sh\necho two\n");
    let refused = || {
        between(|cloud, call, signed_ms| match call.body.action() {
            "DescribeInstancesAttributes" | "InquiryPriceRunInstances" => {
                Err(refusal(Class::Denied, "UnauthorizedOperation"))
            }
            _ => cloud.call(call, signed_ms),
        })
    };
    let mut sent = Sent::default();
    let whole = sent.run(&rig, Command::Plan).expect(Exit::Done).out;
    let less = sent.run_with(&rig, Command::Plan, "", refused(), false).expect(Exit::Done).out;
    let closing = "5 to add, 0 to change, 0 to reset, 5 to destroy.";
    assert!(whole.contains(closing) && less.contains(closing), "{less}");
    assert!(whole.contains("echo two") && !less.contains("echo two"), "{less}");
    sent.run_with(&rig, Command::Apply, "", refused(), false).expect(Exit::Done);
    rig.expect_no_changes();
}

#[test]
fn every_command_sends_what_its_row_says_and_nothing_else() {
    let mut sent = Sent::default();
    for lives in [examples, fleet, image, sources, others, interrupted] {
        lives(&mut sent);
    }
    let Sent { by, settling, runs, requests } = sent;
    let text = |actions: BTreeSet<&str>| actions.into_iter().map(str::to_owned).collect::<BTreeSet<String>>();
    let mut told = format!("permissions: {runs} runs, {requests} requests:");
    for command in Command::ALL {
        let row = text(command.actions());
        told.push_str(&format!(" {} {},", command.words(), row.len()));
        let sent = by.get(&command).cloned().unwrap_or_default();
        let never: Vec<&String> = row.difference(&sent).collect();
        assert!(never.is_empty(), "{} never sends {never:?}", command.words());
        let beside = text(command.settling());
        let sent = settling.get(&command).cloned().unwrap_or_default();
        assert!(beside.is_subset(&sent), "{} never sends {beside:?} to settle anything", command.words());
    }
    print(&format!("{} actions of each\n", told.trim_end_matches(',')));
}
