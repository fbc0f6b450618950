//! Builds: at every point of one somebody dies, and nothing of the builder stays.

use fleetwright::cloud::embedded::Injection;

use super::trial::Base;
use super::{Sample, try_sample};
use crate::rig::Rig;

const EXAMPLE: &str = "05-image-pipeline";
const APPLY: &str = "apply --auto-approve";
const HOME: &str = "ap-guangzhou";
const BUILD: &[&str] = &["RunInstances", "CreateImage", "TerminateInstances"];

/// How many scenarios there are.
pub(super) const SCENARIOS: usize = 3;

fn try_apply(name: &'static str, rig: Rig, each: usize, every: usize) {
    try_sample(name, &Sample { among: BUILD, each, every }, &Base::new(name, rig, APPLY));
}

/// The image alone.
fn alone(more: &str) -> Rig {
    let rig = Rig::of_example(EXAMPLE);
    std::fs::remove_file(rig.dir().join("fleets.yaml")).expect("the fleets");
    let text = rig.read("images.yaml");
    let (head, _) = text.split_once("shares:\n").expect("the shares");
    rig.write("images.yaml", &head.replace("regions: [ap-guangzhou, ap-shanghai]", "regions: [ap-guangzhou]"));
    rig.edit("images.yaml", "      timeout: 30m\n", more);
    rig
}

/// Another script: a second version beside the first.
#[test]
fn built_again() {
    let rig = alone("      timeout: 30m\n");
    rig.settle();
    rig.wait_ms(600_000);
    rig.edit("provision.sh", "hello from the shop", "hello again from the shop");
    try_apply("build: again", rig, 6, 200);
}

/// A builder was kept, for its capture had failed: it goes, and another one takes its place.
#[test]
fn built_after_a_failure() {
    let keeps = "      timeout: 30m\n      on_failure: keep\n";
    let whole = alone(keeps);
    whole.settle();
    let (name, _) = whole.images(HOME).pop_first().expect("the image");
    let rig = alone(keeps);
    rig.cloud().inject(Injection::CaptureFails { name });
    rig.run(APPLY);
    rig.wait_ms(600_000);
    assert_eq!(rig.instances(HOME).len(), 1, "the builder");
    try_apply("build: after a failure", rig, 6, 300);
}

/// An image that is built on one that is built in the same plan.
#[test]
fn built_on_what_is_built() {
    let rig = alone("      timeout: 30m\n");
    let text = rig.read("images.yaml");
    let lower = "  lower:\n    build: { base: ubuntu, type: S5.MEDIUM4, user_data: { file: provision.sh } }\n  web:\n";
    rig.write("images.yaml", &text.replace("base: ubuntu", "base: lower").replace("  web:\n", lower));
    try_apply("build: on what is built", rig, 16, 900);
}
