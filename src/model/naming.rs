//! Physical names: what things are called in the cloud.
//!
//! Image names are unique in a region and at most 60 characters; instance names may be that long when they are
//! changed later. Longer ones are cut, and a hash of the whole takes the place of what is missing.

use super::addr::Block;
use super::digest::{Digest, context};
use super::ids::{Name, Version, Zone};

/// The most characters of an image's or an instance's name
/// (CreateImage.ImageName, ModifyInstancesAttribute.InstanceName).
pub const MAX_NAME_CHARS: usize = 60;

/// The tag that marks what is ours.
pub const TAG_KEY: &str = "fleetwright";

/// The tag's value: one a block, `<project>/<env>/<kind>.<name>`.
#[must_use]
pub fn tag_value(project: &Name, env: &Name, block: &Block) -> String {
    format!("{project}/{env}/{block}")
}

/// The name of a managed image's version: `<project>-<env>-<image>-<version>`. A version that was captured anew after
/// all its copies had vanished is told apart by its generation.
#[must_use]
pub fn image_name(project: &Name, env: &Name, image: &Name, version: &Version, generation: u32) -> String {
    let again = if generation > 1 { format!("-r{generation}") } else { String::new() };
    shorten(format!("{project}-{env}-{image}-{version}{again}"), 0)
}

/// What stands for the version in a pattern of names.
pub const VERSION: &str = "{version}";

/// The name of a managed image's version after a pattern of the config. A version that was made anew is told apart as
/// it is in [`image_name`].
#[must_use]
pub fn image_name_by(pattern: &str, version: &Version, generation: u32) -> String {
    let again = if generation > 1 { format!("-r{generation}") } else { String::new() };
    shorten(pattern.replace(VERSION, &format!("{version}{again}")), 0)
}

/// What comes before the ordinal in the names of a fleet's slots in a zone: `<project>-<env>-<fleet>-<zone tail>-`.
/// Leaves room for an ordinal of any length.
#[must_use]
pub fn instance_prefix(project: &Name, env: &Name, fleet: &Name, zone: &Zone) -> String {
    const ORDINAL_DIGITS: usize = 10;
    let mut prefix = shorten(format!("{project}-{env}-{fleet}-{}", zone.tail()), ORDINAL_DIGITS + 1);
    prefix.push('-');
    prefix
}

/// The name of a slot.
#[must_use]
pub fn instance_name(project: &Name, env: &Name, fleet: &Name, zone: &Zone, ordinal: u32) -> String {
    format!("{}{ordinal}", instance_prefix(project, env, fleet, zone))
}

/// What comes before the generation in the name of a builder: `<project>-<env>-<image>-<version>-builder-`.
#[must_use]
pub fn builder_prefix(project: &Name, env: &Name, image: &Name, version: &Version) -> String {
    format!("{}{BUILDER}", shorten(format!("{project}-{env}-{image}-{version}"), BUILDER.len() + GENERATION_DIGITS))
}

/// The name of a builder.
#[must_use]
pub fn builder_name(project: &Name, env: &Name, image: &Name, version: &Version, generation: u32) -> String {
    format!("{}{generation}", builder_prefix(project, env, image, version))
}

/// What tells the names of builders from those of images and slots.
pub const BUILDER: &str = "-builder-";
/// Room for a generation of any length.
const GENERATION_DIGITS: usize = 10;

fn shorten(name: String, reserve: usize) -> String {
    const HASH_DIGITS: usize = 8;
    let room = MAX_NAME_CHARS - reserve;
    if name.chars().count() <= room {
        return name;
    }
    let hash = Digest::of(context::NAME, name.as_bytes()).short(HASH_DIGITS);
    let head: String = name.chars().take(room - HASH_DIGITS - 1).collect();
    format!("{head}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_to_sixty_characters_and_stay_apart() {
        let project = Name::new("a-project-with-quite-a-long-name");
        let image = |tail: &str| {
            image_name(
                &project,
                &Name::new("production"),
                &Name::new("web"),
                &Version::new(format!("2026-11-23-{tail}")),
                1,
            )
        };
        assert_eq!(image("one").len(), MAX_NAME_CHARS);
        assert_ne!(image("one"), image("two"));
        let zone = Zone::new("ap-guangzhou-3");
        let fleet = Name::new("a-fleet-with-quite-a-long-name-too");
        assert!(instance_name(&project, &Name::new("production"), &fleet, &zone, u32::MAX).len() <= MAX_NAME_CHARS);
        assert_eq!(
            instance_name(&Name::new("shop"), &Name::new("default"), &Name::new("web"), &zone, 7),
            "shop-default-web-3-7"
        );
    }

    #[test]
    fn builders_have_names_of_their_own_and_no_longer_ones() {
        let name = |image: &str, generation| {
            builder_name(
                &Name::new("shop"),
                &Name::new("default"),
                &Name::new(image),
                &Version::new("3f9a1c02"),
                generation,
            )
        };
        assert_eq!(name("web", 1), "shop-default-web-3f9a1c02-builder-1");
        let long = "an-image-with-quite-a-long-name-indeed";
        assert!(name(long, u32::MAX).len() <= MAX_NAME_CHARS);
        assert!(name(long, 1).ends_with("-builder-1"));
    }

    #[test]
    fn a_pattern_holds_the_version_and_is_cut_like_any_name() {
        let named = |pattern: &str, generation| image_name_by(pattern, &Version::new("3f9a1c02"), generation);
        assert_eq!(named("acme-{version}", 1), "acme-3f9a1c02");
        assert_eq!(named("{version}-acme", 2), "3f9a1c02-r2-acme");
        let long = format!("{}{{version}}", "é".repeat(52));
        assert_eq!(named(&long, 1).chars().count(), MAX_NAME_CHARS);
        assert_eq!(named(&long, 2).chars().count(), MAX_NAME_CHARS);
        assert_ne!(named(&long, 2), named(&long, 3));
    }
}
