//! What the tests of changes share: two configs, changes with their calls counted, and clouds that are watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use fleetwright::cli::Exit;
use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::embedded::Settings;
use fleetwright::cloud::embedded::inspect::InstanceHeld;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use fleetwright::model::naming::TAG_KEY;
use fleetwright::ops::Hooks;
use serde_json::Value;

use crate::between::between;
use crate::rig::{OWNER, Ran, Rig};

pub(crate) const GZ: &str = "ap-guangzhou";
pub(crate) const SH: &str = "ap-shanghai";
pub(crate) const BJ: &str = "ap-beijing";

/// The calls of a new version of the image in [`IMAGE`], and of all that follows from it.
pub(crate) const NEW_VERSION: [(&str, usize); 8] = [
    ("CreateImage", 1),
    ("SyncImages", 1),
    ("TagResources", 1),
    ("ModifyImageAttribute", 1),
    ("ModifyImageSharePermission", 4),
    ("TerminateInstances", 3),
    ("RunInstances", 3),
    ("DeleteImages", 2),
];

/// A public image, and a fleet of five that boots with a script.
pub(crate) const FLEET: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
fleets:
  web:
    image: ubuntu
    count: 5
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: { key_ids: [skey-8a7c6b5d] }
    tags: { app: web }
    user_data: { file: boot.sh }
    update: { strategy: replace, max_unavailable: 2 }
"#;

/// A builder, the image that is captured from it and copied, who may use it, and a fleet that runs from it.
pub(crate) const IMAGE: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
  web:
    from_instance: { instance: "fleet.builder[0]", ready: stopped }
    description: "the shop"
    regions: [ap-guangzhou, ap-shanghai]
    tags: { app: web }
shares:
  partners:
    image: web
    accounts: ["100000000002", "100000000003"]
fleets:
  builder:
    image: ubuntu
    count: 1
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    user_data: { file: boot.sh }
  web:
    image: web
    count: 3
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
"#;

/// A file that is imported and copied, an encrypted copy of it, an image that another account shares, our own copy of
/// that, one of the marketplace, and fleets that run from them.
pub(crate) const SOURCES: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
trusted_owners: ["100000000002"]
images:
  legacy:
    import:
      url: "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/legacy.qcow2"
      os: CentOS
      os_version: "7"
      architecture: x86_64
    regions: [ap-guangzhou, ap-shanghai]
    description: "from the old hall"
    family: legacy
    keep: 1
    deprecate_kept: true
  locked:
    copy: { image: legacy, encrypt: true }
  partner:
    shared: { id: img-8toqc6s3, owner: "100000000002" }
  mine:
    copy: { image: partner }
  wordpress:
    marketplace: { id: img-kx1vn3zd, accept_fee: true }
fleets:
  old: { image: legacy, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  vault: { image: locked, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  guest: { image: partner, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
  blog: { image: wordpress, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

/// What machines boot with: the builder switches itself off.
pub(crate) const BOOT: &str = "#!/bin/sh\necho shop > /srv/name\n# sim: poweroff after=2s\n";

/// A cloud that logs, at a pace at which things can be seen.
pub(crate) fn quick() -> Settings {
    Settings { log: true, ..Settings::new(Latency::Quick, Limits::EMBEDDED, 7) }
}

/// A world with a fleet and nothing else, applied.
pub(crate) fn fleet() -> Rig {
    let rig = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig
}

/// A world with an image of its own, applied.
pub(crate) fn image() -> Rig {
    let rig = Rig::new(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)]);
    rig.settle();
    rig
}

/// A world with images from everywhere, before its first apply.
pub(crate) fn sources() -> Rig {
    Rig::new(&[("shop.yaml", SOURCES)])
}

/// A change that was planned and applied.
pub(crate) struct Changed {
    /// The plan's text.
    pub(crate) plan: String,
    /// The mutating calls that the apply made, by action.
    pub(crate) calls: BTreeMap<String, usize>,
}

impl Changed {
    /// The change took just these calls.
    #[track_caller]
    pub(crate) fn took(&self, wanted: &[(&str, usize)]) {
        assert_eq!(self.calls, counts(wanted), "\n{}", self.plan);
    }

    /// The closing line of the plan.
    #[track_caller]
    pub(crate) fn closes(&self, add: u32, change: u32, reset: u32, destroy: u32) -> &Self {
        let line = format!("Plan: {add} to add, {change} to change, {reset} to reset, {destroy} to destroy.");
        assert!(self.plan.contains(&line), "{line}\n{}", self.plan);
        self
    }

    /// Some words of the plan, whatever its line breaks.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        says(&self.plan, words);
        self
    }
}

/// Counts by action.
pub(crate) fn counts(wanted: &[(&str, usize)]) -> BTreeMap<String, usize> {
    wanted.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect()
}

/// Asserts that a text has some words, whatever its line breaks.
#[track_caller]
pub(crate) fn says(text: &str, words: &str) {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(text).contains(&flat(words)), "{words:?} is not in:\n{text}");
}

impl Rig {
    /// Plans and applies: the calls are those that the plan said, and nothing is left to do.
    #[track_caller]
    pub(crate) fn change(&self) -> Changed {
        self.change_with("", Hooks::default())
    }

    /// The same, with more arguments and with something in between.
    #[track_caller]
    pub(crate) fn change_with(&self, args: &str, hooks: Hooks) -> Changed {
        let plan = self.run(&format!("plan {args}")).expect(Exit::Done).out;
        let foretold = self.foretold(args);
        let mark = self.mark();
        self.run_with(&format!("apply --auto-approve {args}"), hooks).expect(Exit::Done);
        let calls = self.mutations(mark);
        assert_eq!(calls, foretold, "the plan said other calls than were made\n{plan}");
        self.expect_no_changes();
        self.expect_in_step();
        Changed { plan, calls }
    }

    /// The mutating calls that a plan would make, by action. There are never more than its floor.
    #[track_caller]
    pub(crate) fn foretold(&self, args: &str) -> BTreeMap<String, usize> {
        let json = self.json(&format!("plan --json {args}"));
        assert_eq!(json["calls"]["by_action"], json["calls"]["floor"]["by_action"], "{:#}", json["steps"]);
        let calls = json["calls"]["by_action"].as_object().expect("calls");
        let count = |count: &Value| usize::try_from(count.as_u64().expect("a count")).expect("small");
        calls.iter().map(|(action, n)| (action.clone(), count(n))).collect()
    }

    /// What a command writes, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, args: &str) -> Value {
        let ran = self.run(args).expect(Exit::Done);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}:\n{}", ran.out))
    }

    /// What is tagged as ours in the cloud is what the state lists, no more and no less.
    #[track_caller]
    pub(crate) fn expect_in_step(&self) {
        let list = self.run("state list -v").expect(Exit::Done).out;
        let listed: BTreeSet<String> =
            list.lines().filter_map(|line| line.rsplit_once(' ')).map(|(_, id)| id.to_owned()).collect();
        let holdings = self.holdings();
        let mut held = BTreeSet::new();
        for holding in holdings.0.get(OWNER).into_iter().flat_map(BTreeMap::values) {
            let instances =
                holding.instances.iter().filter(|(_, one)| one.state != "LAUNCH_FAILED" && one.state != "SHUTDOWN");
            held.extend(instances.filter(|(_, one)| one.tags.contains_key(TAG_KEY)).map(|(id, _)| id.clone()));
            let images = holding.images.iter().filter(|(_, one)| one.tags.contains_key(TAG_KEY));
            held.extend(images.map(|(id, _)| id.clone()));
            for (id, snapshot) in &holding.snapshots {
                assert!(snapshot.image.is_some(), "snapshot {id} was left behind");
            }
        }
        assert_eq!(held, listed, "\n{list}\n{holdings:#?}");
    }

    /// An apply that does not wholly work.
    #[track_caller]
    pub(crate) fn fails(&self, exit: Exit) -> Ran {
        self.run("apply --auto-approve").expect(exit)
    }

    /// The id behind an address in the state.
    #[track_caller]
    pub(crate) fn id(&self, addr: &str) -> String {
        let list = self.run("state list -v").expect(Exit::Done).out;
        let line = list.lines().find_map(|line| line.strip_prefix(&format!("{addr} ")));
        line.unwrap_or_else(|| panic!("{addr} is not in:\n{list}")).to_owned()
    }

    /// The addresses in the state.
    pub(crate) fn addrs(&self) -> Vec<String> {
        self.run("state list").expect(Exit::Done).out.lines().map(str::to_owned).collect()
    }

    /// An instance of the owner's in its home region.
    #[track_caller]
    pub(crate) fn instance(&self, id: &str) -> InstanceHeld {
        let holdings = self.holdings();
        holdings.of(OWNER, GZ).and_then(|held| held.instances.get(id)).cloned().expect("the instance")
    }

    /// The accounts that an image is shared with.
    #[track_caller]
    pub(crate) fn shared(&self, region: &str, id: &str) -> Vec<String> {
        let holdings = self.holdings();
        let image = holdings.of(OWNER, region).and_then(|held| held.images.get(id)).expect("the image");
        image.shared_with.iter().map(ToString::to_string).collect()
    }

    /// The cloud refused nothing since.
    #[track_caller]
    pub(crate) fn expect_nothing_refused(&self, mark: usize) {
        let refused: Vec<_> = self.since(mark).into_iter().filter(|entry| entry.code.is_some()).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }

    /// Hooks under which the most instances of a fleet are counted that were out of service at once.
    pub(crate) fn count_absent(&self, prefix: &str, of: usize) -> (Hooks, Arc<Mutex<usize>>) {
        let worst = Arc::new(Mutex::new(0));
        let (cloud, clock) = (self.cloud(), Arc::clone(&self.clock));
        let (prefix, seen) = (prefix.to_owned(), Arc::clone(&worst));
        let hooks = between(move |inner, call, signed_ms| {
            let answer = inner.call(call, signed_ms);
            let holdings = cloud.holdings(clock.now_ms()).expect("holdings");
            let instances = holdings.of(OWNER, GZ).into_iter().flat_map(|held| held.instances.values());
            let serving = instances.filter(|one| one.name.starts_with(&prefix) && one.state == "RUNNING").count();
            let mut worst = seen.lock().expect("no panic before");
            *worst = (*worst).max(of.saturating_sub(serving));
            answer
        });
        (hooks, worst)
    }
}
