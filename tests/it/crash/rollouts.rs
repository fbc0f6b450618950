//! Rollouts: at every point of one somebody dies, and never are there fewer instances than there may be, nor more.

use fleetwright::cli::Exit;

use super::scenarios::ROLLING;
use super::trial::{Base, Doing, Or};
use super::{Sample, try_sample};
use crate::rig::Rig;
use crate::sim::watch::{Bounds, Fleets};

const CONFIG: &str = "shop.yaml";
const APPLY: &str = "apply --auto-approve";
const ROLL: &[&str] = &["RunInstances", "TerminateInstances"];

/// How many scenarios there are.
pub(super) const SCENARIOS: usize = 6;

/// The example, applied long ago, with a new version of its image in the making, of which a machine's script says how
/// it turns out.
fn next_version(edits: &[(&str, &str)], how: &str) -> Rig {
    let rig = Rig::of_example(ROLLING);
    for (from, to) in edits {
        rig.edit(CONFIG, from, to);
    }
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit("provision.sh", "hello from the shop", &format!("hello again from the shop\"\n{how}\necho \""));
    rig
}

fn bounds(fewest: usize, most: usize) -> Fleets {
    Fleets::from([("webshop-default-web-".to_owned(), Bounds { fewest, most })])
}

fn try_within(name: &'static str, among: &'static [&'static str], bounds: Fleets, base: Base) {
    try_sample(name, &Sample { among, each: 20, every: 1500 }, &base.within(bounds));
}

/// One version after the other, each batch looked at.
#[test]
fn rolled() {
    let name = "rolling: rolled";
    let doing = Doing { or: Or::Refused("RunInstances"), ..Doing::of(APPLY) };
    try_within(name, ROLL, bounds(6, 8), Base::doing(name, next_version(&[], ""), doing));
}

/// The new version is not well, and what ran before runs again.
#[test]
fn taken_back() {
    let name = "rolling: taken back";
    let rig = next_version(&[], "# sim: baked http status=500");
    try_within(name, ROLL, bounds(6, 8), Base::doing(name, rig, Doing { ends: Exit::Partly, ..Doing::of(APPLY) }));
}

const IN_PLACE: [(&str, &str); 3] = [
    ("strategy: replace", "strategy: reset"),
    ("max_surge: 2      ", "max_surge: 0      "),
    ("max_unavailable: 0", "max_unavailable: 2"),
];

/// Disks are formatted, two at a time.
#[test]
fn reset() {
    let name = "rolling: reset";
    let rig = next_version(&IN_PLACE, "");
    let doing = Doing { or: Or::Refused("ResetInstance"), ..Doing::of(APPLY) };
    try_within(name, &["ResetInstance"], bounds(4, 6), Base::doing(name, rig, doing));
}

/// The same, and back again.
#[test]
fn reset_and_taken_back() {
    let name = "rolling: reset, taken back";
    let rig = next_version(&IN_PLACE, "# sim: baked http status=500");
    let doing = Doing { ends: Exit::Partly, ..Doing::of(APPLY) };
    try_within(name, &["ResetInstance"], bounds(4, 6), Base::doing(name, rig, doing));
}

/// A rollout waits behind its canary, and somebody says that it goes on.
#[test]
fn promoted() {
    let name = "rolling: promoted";
    let rig = next_version(&[("canary: 1", "canary: 1\n      pause: after_canary")], "");
    rig.run(APPLY).expect(Exit::Waiting);
    rig.wait_ms(600_000);
    let (command, or) = ("rollout promote web --auto-approve", Or::Refused("RunInstances"));
    let doing = Doing { between: Some(command), again: APPLY, or, ..Doing::of(command) };
    try_within(name, ROLL, bounds(6, 8), Base::doing(name, rig, doing));
}

/// It waits, and goes back.
#[test]
fn rolled_back() {
    let name = "rolling: rolled back";
    let rig = next_version(&[("canary: 1", "canary: 1\n      pause: after_canary")], "");
    rig.run(APPLY).expect(Exit::Waiting);
    rig.wait_ms(600_000);
    let (command, or) = ("rollout rollback web --auto-approve", Or::Never);
    let doing = Doing { between: Some(command), again: APPLY, or, ..Doing::of(command) };
    try_within(name, ROLL, bounds(6, 8), Base::doing(name, rig, doing));
}
