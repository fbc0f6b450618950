//! What is done, and from where.

use serde_json::json;

use super::trial::Base;
use super::{asked, fleets, images, try_all, try_base};
use crate::kit::sources;
use crate::rig::Rig;

const HOME: &str = "ap-guangzhou";

/// A command to be carried out in a world that was prepared for it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
    /// What was done before; the example was applied already where there is something.
    pub(crate) prepare: Option<fn(&Rig)>,
    pub(crate) command: &'static str,
    /// After every how many deaths the recovery is interrupted, too, at each of its points.
    pub(crate) every: usize,
}

const APPLY: &str = "apply --auto-approve";
const DESTROY: &str = "destroy --auto-approve";
const QUICK: &str = "01-quickstart";
const GOLDEN: &str = "02-golden-image";

/// How many scenarios there are.
pub(crate) const SCENARIOS: usize = 11 + asked::SCENARIOS + fleets::SCENARIOS + images::SCENARIOS;

#[test]
fn quickstart_new() {
    try_all(&Scenario { name: "quickstart: new", example: QUICK, prepare: None, command: APPLY, every: 8 });
}

#[test]
fn quickstart_changed() {
    try_all(&Scenario {
        name: "quickstart: changed",
        example: QUICK,
        prepare: Some(quick_changed),
        command: APPLY,
        every: 40,
    });
}

#[test]
fn quickstart_smaller() {
    try_all(&Scenario {
        name: "quickstart: smaller",
        example: QUICK,
        prepare: Some(quick_smaller),
        command: APPLY,
        every: 10,
    });
}

#[test]
fn quickstart_gone() {
    try_all(&Scenario {
        name: "quickstart: gone",
        example: QUICK,
        prepare: Some(nothing),
        command: DESTROY,
        every: 10,
    });
}

#[test]
fn golden_image_new() {
    try_all(&Scenario { name: "golden image: new", example: GOLDEN, prepare: None, command: APPLY, every: 70 });
}

#[test]
fn golden_image_rolled() {
    try_all(&Scenario {
        name: "golden image: rolled",
        example: GOLDEN,
        prepare: Some(rolled),
        command: APPLY,
        every: 150,
    });
}

#[test]
fn golden_image_reset() {
    try_all(&Scenario {
        name: "golden image: reset",
        example: GOLDEN,
        prepare: Some(reset),
        command: APPLY,
        every: 150,
    });
}

#[test]
fn golden_image_changed() {
    try_all(&Scenario {
        name: "golden image: changed",
        example: GOLDEN,
        prepare: Some(golden_changed),
        command: APPLY,
        every: 120,
    });
}

#[test]
fn golden_image_gone() {
    try_all(&Scenario {
        name: "golden image: gone",
        example: GOLDEN,
        prepare: Some(nothing),
        command: DESTROY,
        every: 60,
    });
}

/// A file, an encrypted copy of what comes of it, our own copy of what is shared with us, and fleets from all of them.
#[test]
fn sources_new() {
    try_base("sources: new", 60, &Base::new("sources: new", sources(), APPLY));
}

/// New versions of all of them, the old ones kept and marked.
#[test]
fn sources_changed() {
    let rig = sources();
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit("shop.yaml", "legacy.qcow2", "legacy-2.qcow2");
    rig.edit("shop.yaml", "from the old hall", "from the older hall");
    try_base("sources: changed", 120, &Base::new("sources: changed", rig, APPLY));
}

fn nothing(_: &Rig) {}

/// Larger, of another type, with other tags, and one bears a name that somebody gave it.
fn quick_changed(rig: &Rig) {
    rig.edit("fleet.yaml", "count: 3", "count: 4");
    rig.edit("fleet.yaml", "tags: { app: web }", "tags: { role: web }");
    rig.edit("fleet.yaml", "S5.MEDIUM4", "S5.MEDIUM8");
    let (_, id) = rig.instances(HOME).pop_first().expect("an instance");
    rig.by_hand(HOME, "ModifyInstancesAttribute", &json!({ "InstanceIds": [id], "InstanceName": "by-hand" }));
}

fn quick_smaller(rig: &Rig) {
    rig.edit("fleet.yaml", "count: 3", "count: 1");
}

/// A new version of the image, and the fleet rolled to it by new instances.
fn rolled(rig: &Rig) {
    rig.edit("provision.sh", "hello from the shop", "hello again from the shop");
}

/// The same, and the fleet is reset.
fn reset(rig: &Rig) {
    rig.edit("provision.sh", "hello from the shop", "hello again from the shop");
    rig.edit("fleets.yaml", "strategy: replace", "strategy: reset");
}

/// Another account, description and tags, a region more and one less.
fn golden_changed(rig: &Rig) {
    rig.edit("images.yaml", "\"100000000003\"", "\"100000000004\"");
    rig.edit("images.yaml", "nginx and the shop, from provision.sh", "the shop");
    rig.edit("images.yaml", "tags: { app: web }", "tags: { role: web }");
    rig.edit("images.yaml", "ap-beijing", "ap-nanjing");
}
