//! What is done, and from where.

use serde_json::json;

use super::trial::Base;
use super::{asked, builds, fleets, images, rollouts, try_all, try_base};
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
const IMPORT: &str = "03-import";
const MAGAZINE: &str = "04-shared-and-marketplace";
const PIPELINE: &str = "05-image-pipeline";
pub(super) const ROLLING: &str = "06-rolling-update";

/// The examples. Each is made out of nothing, and destroyed, with every trap at every point.
pub(super) const EXAMPLES: [&str; 6] = [QUICK, GOLDEN, IMPORT, MAGAZINE, PIPELINE, ROLLING];
/// The scenarios that do so.
pub(super) const OF_EXAMPLES: [&str; 12] = [
    "quickstart: new",
    "quickstart: gone",
    "golden image: new",
    "golden image: gone",
    "import: new",
    "import: gone",
    "magazine: new",
    "magazine: gone",
    "pipeline: new",
    "pipeline: gone",
    "rolling: new",
    "rolling: gone",
];

/// How many scenarios there are.
pub(crate) const SCENARIOS: usize =
    19 + asked::SCENARIOS + builds::SCENARIOS + fleets::SCENARIOS + images::SCENARIOS + rollouts::SCENARIOS;

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
        every: 100,
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
    try_all(&Scenario { name: "golden image: new", example: GOLDEN, prepare: None, command: APPLY, every: 150 });
}

#[test]
fn golden_image_rolled() {
    try_all(&Scenario {
        name: "golden image: rolled",
        example: GOLDEN,
        prepare: Some(rolled),
        command: APPLY,
        every: 400,
    });
}

#[test]
fn golden_image_reset() {
    try_all(&Scenario {
        name: "golden image: reset",
        example: GOLDEN,
        prepare: Some(reset),
        command: APPLY,
        every: 400,
    });
}

#[test]
fn golden_image_changed() {
    try_all(&Scenario {
        name: "golden image: changed",
        example: GOLDEN,
        prepare: Some(golden_changed),
        command: APPLY,
        every: 250,
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

#[test]
fn import_new() {
    try_all(&Scenario { name: "import: new", example: IMPORT, prepare: None, command: APPLY, every: 100 });
}

#[test]
fn import_gone() {
    let scenario =
        Scenario { name: "import: gone", example: IMPORT, prepare: Some(let_go), command: DESTROY, every: 60 };
    try_all(&scenario);
}

#[test]
fn magazine_new() {
    try_all(&Scenario { name: "magazine: new", example: MAGAZINE, prepare: None, command: APPLY, every: 100 });
}

#[test]
fn magazine_gone() {
    let scenario =
        Scenario { name: "magazine: gone", example: MAGAZINE, prepare: Some(nothing), command: DESTROY, every: 60 };
    try_all(&scenario);
}

#[test]
fn pipeline_new() {
    try_all(&Scenario { name: "pipeline: new", example: PIPELINE, prepare: None, command: APPLY, every: 100 });
}

#[test]
fn pipeline_gone() {
    let scenario =
        Scenario { name: "pipeline: gone", example: PIPELINE, prepare: Some(nothing), command: DESTROY, every: 60 };
    try_all(&scenario);
}

#[test]
fn rolling_new() {
    try_all(&Scenario { name: "rolling: new", example: ROLLING, prepare: None, command: APPLY, every: 100 });
}

#[test]
fn rolling_gone() {
    let scenario =
        Scenario { name: "rolling: gone", example: ROLLING, prepare: Some(nothing), command: DESTROY, every: 60 };
    try_all(&scenario);
}

#[test]
fn every_example_is_tried() {
    let folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(folders).expect("the examples").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, EXAMPLES, "a new example: make it and destroy it here, as the others");
}

/// A file, an encrypted copy of what comes of it, our own copy of what is shared with us, and fleets from all of them.
#[test]
fn sources_new() {
    try_base("sources: new", 150, &Base::new("sources: new", sources(), APPLY));
}

/// New versions of all of them, the old ones kept and marked.
#[test]
fn sources_changed() {
    let rig = sources();
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit("shop.yaml", "legacy.qcow2", "legacy-2.qcow2");
    rig.edit("shop.yaml", "from the old hall", "from the older hall");
    try_base("sources: changed", 250, &Base::new("sources: changed", rig, APPLY));
}

fn nothing(_: &Rig) {}

/// What is protected may go.
fn let_go(rig: &Rig) {
    rig.edit("images.yaml", "protect: true                   #", "protect: false                  #");
    rig.edit("fleets.yaml", "    protect: true\n", "    protect: false\n");
    rig.settle();
    rig.wait_ms(600_000);
}

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
