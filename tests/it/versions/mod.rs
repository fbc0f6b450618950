//! Versions of images over their life: shared, kept for as long as they are in use, revoked, promoted, and listed.

mod in_use;
mod listed;
mod promoted;
mod revoked;
mod shared;

use crate::kit::{BOOT, IMAGE};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";

/// A world with an image of its own, and more said of that.
fn with(more: &str) -> Rig {
    let config = IMAGE.replace("    description: \"the shop\"\n", more);
    Rig::new(&[(SHOP, &config), ("boot.sh", BOOT)])
}

/// Another version, derived from what machines boot with.
fn next(rig: &Rig, n: u32) {
    rig.write("boot.sh", &BOOT.replace("echo shop", &format!("echo shop {n}")));
}

/// The versions of an image, as the state lists them.
fn versions(rig: &Rig, image: &str) -> Vec<String> {
    let addrs = rig.addrs();
    let prefix = format!("image.{image}@");
    let mut versions: Vec<String> = addrs
        .iter()
        .filter_map(|addr| addr.strip_prefix(&prefix)?.split_once('/'))
        .map(|(version, _)| version.to_owned())
        .collect();
    versions.dedup();
    versions
}
