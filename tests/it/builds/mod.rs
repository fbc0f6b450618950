//! Builds: images that are made on machines which exist only for that. What comes of them, and what is left where they
//! fail: nothing.

mod failures;
mod life;
mod orphans;

use fleetwright::cloud::embedded::inspect::Holding;

use crate::kit::{GZ, quick};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";

/// An image that is built, copied and shared, and a fleet that runs from it.
const BUILD: &str = r#"project: shop
cloud: { provider: embedded, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
  web:
    build:
      base: ubuntu
      type: S5.MEDIUM4
      user_data: { file: provision.sh }
      timeout: 5m
    regions: [ap-guangzhou, ap-shanghai]
    tags: { app: web }
shares:
  partners: { image: web, accounts: ["100000000002"] }
fleets:
  web: { image: web, count: 2, zones: [ap-guangzhou-3], type: S5.MEDIUM4 }
"#;

/// It switches itself off when it is done.
const PROVISION: &str = "#!/bin/sh\necho shop > /srv/name\n# sim: poweroff after=40s\n";
/// It never does.
const RUNS_ON: &str = "#!/bin/sh\necho shop > /srv/name\n";

/// A world with this config and this script, before its first apply.
fn world(config: &str, script: &str) -> Rig {
    Rig::with(&[(SHOP, config), ("provision.sh", script)], quick())
}

/// The same, applied.
fn built() -> Rig {
    let rig = world(BUILD, PROVISION);
    rig.settle();
    rig
}

/// What the owner holds at home.
fn home(rig: &Rig) -> Holding {
    rig.holdings().of(OWNER, GZ).cloned().unwrap_or_default()
}

/// The names of the builders that the cloud has.
fn builders(rig: &Rig) -> Vec<String> {
    let held = home(rig);
    let there = held.instances.values().filter(|one| one.state != "LAUNCH_FAILED" && one.state != "SHUTDOWN");
    there.map(|one| one.name.clone()).filter(|name| name.contains("-builder-")).collect()
}

/// Nothing is there but what the state has: no builder, and no disk, snapshot or tag of one.
#[track_caller]
fn nothing_stays(rig: &Rig) {
    // What could not be launched drops out by itself.
    rig.wait_ms(3_600_000);
    assert_eq!(builders(rig), Vec::<String>::new());
    let faults = crate::crash::world::faults(rig);
    assert_eq!(faults, Vec::<String>::new());
    assert!(rig.addrs().iter().all(|addr| !addr.contains("builder")), "{:?}", rig.addrs());
}
