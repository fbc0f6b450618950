//! What this cloud offers to everybody: public images, and the default network of each region.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::machines::Constitution;
use crate::model::Millis;
use crate::model::catalog::{self, RegionEntry, TypeEntry};

/// What is on a disk: what an image, a snapshot and an instance have in common, and hand on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Such as `Ubuntu Server 22.04 LTS 64bit`.
    pub os_name: String,
    /// Such as `Ubuntu`.
    pub platform: String,
    /// `x86_64` or `arm`.
    pub architecture: String,
    /// The images that it came through, the first one first.
    pub images: Vec<String>,
    /// BLAKE3 digests, in hex, of the user data that was run on it, the first one first.
    pub provisioned: Vec<String>,
    /// What the provider of the marketplace image behind it takes an hour, in millionths of a yuan (8.10).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fee_micros_per_hour: i64,
    /// Whether it came in as a file: the vendor licenses nothing on it (8.7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Whether its licence is the owner's (LicenseType BYOL).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub byol: bool,
    /// Whether it came in without cloud-init.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_cloudinit: bool,
    /// How machines are that run from it, as far as that was baked into it.
    #[serde(default, skip_serializing_if = "Constitution::is_plain")]
    pub baked: Constitution,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
pub(crate) fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// A public image; it is in every region, under another id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicImage {
    /// Its name, and the system's.
    pub name: &'static str,
    /// Such as `Ubuntu`.
    pub platform: &'static str,
    /// `x86_64` or `arm`.
    pub architecture: &'static str,
    /// In GiB.
    pub size_gib: i64,
    /// When it was published.
    pub created_ms: Millis,
    /// Whether it is deprecated.
    pub deprecated: bool,
}

const fn image(name: &'static str, platform: &'static str, size_gib: i64, created_ms: Millis) -> PublicImage {
    PublicImage { name, platform, architecture: "x86_64", size_gib, created_ms, deprecated: false }
}

/// The public images, as of 2026-11.
pub const PUBLIC_IMAGES: &[PublicImage] = &[
    PublicImage { deprecated: true, ..image("CentOS 6.10 64bit", "CentOS", 20, 1_577_836_800_000) },
    image("CentOS 7.9 64bit", "CentOS", 20, 1_719_792_000_000),
    image("Debian 12 64bit", "Debian", 20, 1_751_328_000_000),
    image("TencentOS Server 3.1", "TencentOS", 20, 1_735_689_600_000),
    image("TencentOS Server 4", "TencentOS", 20, 1_767_225_600_000),
    image("Ubuntu Server 20.04 LTS 64bit", "Ubuntu", 20, 1_735_689_600_000),
    image("Ubuntu Server 22.04 LTS 64bit", "Ubuntu", 20, 1_767_225_600_000),
    PublicImage {
        architecture: "arm",
        ..image("Ubuntu Server 22.04 LTS 64bit ARM64", "Ubuntu", 20, 1_767_225_600_000)
    },
    image("Ubuntu Server 24.04 LTS 64bit", "Ubuntu", 20, 1_772_323_200_000),
    image("Windows Server 2022 DataCenter 64bit", "Windows", 50, 1_767_225_600_000),
];

/// The id of a public image in a region: eight characters out of region and name.
#[must_use]
pub fn public_image_id(region: &str, name: &str) -> String {
    format!("img-{}", eight(&["image", region, name]))
}

/// The id of a region's default VPC.
#[must_use]
pub fn default_vpc(region: &str) -> String {
    format!("vpc-{}", eight(&["vpc", region]))
}

/// The id of a zone's default subnet.
#[must_use]
pub fn default_subnet(zone: &str) -> String {
    format!("subnet-{}", eight(&["subnet", zone]))
}

/// The id of the default security group of a region.
#[must_use]
pub fn default_group(region: &str) -> String {
    format!("sg-{}", eight(&["sg", region]))
}

/// Eight characters, `0-9a-z`, out of BLAKE3 over the parts, each followed by a line feed.
fn eight(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().as_bytes()[..8]
        .iter()
        .map(|byte| char::from_digit(u32::from(*byte) % 36, 36).unwrap_or('0'))
        .collect()
}

static BY_ID: LazyLock<BTreeMap<(&'static str, String), &'static PublicImage>> = LazyLock::new(|| {
    catalog::REGIONS
        .iter()
        .flat_map(|entry| {
            PUBLIC_IMAGES.iter().map(|image| ((entry.region, public_image_id(entry.region, image.name)), image))
        })
        .collect()
});

/// A public image by its id in a region.
pub(crate) fn public_image(region: &RegionEntry, id: &str) -> Option<&'static PublicImage> {
    BY_ID.get(&(region.region, id.to_owned())).copied()
}

impl PublicImage {
    /// What is on it.
    #[must_use]
    pub fn content(&self) -> Content {
        Content {
            os_name: self.name.to_owned(),
            platform: self.platform.to_owned(),
            architecture: self.architecture.to_owned(),
            images: Vec::new(),
            provisioned: Vec::new(),
            fee_micros_per_hour: 0,
            imported: false,
            byol: false,
            no_cloudinit: false,
            baked: Constitution::default(),
        }
    }
}

/// Whether a region belongs to the mainland.
#[must_use]
pub fn is_mainland(region: &str) -> bool {
    let region = region.trim_end_matches("-fsi");
    ["ap-beijing", "ap-chengdu", "ap-chongqing", "ap-guangzhou", "ap-nanjing", "ap-shanghai", "ap-shenzhen"]
        .contains(&region)
}

/// Whether a region is one of finance: isolated from the others.
#[must_use]
pub fn is_finance(region: &str) -> bool {
    region.ends_with("-fsi")
}

/// Whether what is made for an architecture runs on machines of a type. What is made for 32 bits runs on 64 too.
pub(crate) fn runs_on(architecture: &str, entry: &TypeEntry) -> bool {
    architecture == entry.architecture || (architecture == "i386" && entry.architecture == "x86_64")
}

impl Content {
    /// Whether it runs on machines of a type.
    pub(crate) fn fits(&self, entry: &TypeEntry) -> bool {
        runs_on(&self.architecture, entry)
    }

    /// LicenseType.
    pub(crate) fn license(&self) -> &'static str {
        if self.byol { "BYOL" } else { "TencentCloud" }
    }

    pub(crate) fn is_windows(&self) -> bool {
        self.platform == "Windows"
    }
}

/// A region's name for people.
pub(crate) fn region_name(region: &str) -> String {
    let (area, city) = match region {
        "ap-guangzhou" => ("South China", "Guangzhou"),
        "ap-shanghai" => ("East China", "Shanghai"),
        "ap-nanjing" => ("East China", "Nanjing"),
        "ap-beijing" => ("North China", "Beijing"),
        "ap-chengdu" => ("Southwest China", "Chengdu"),
        "ap-chongqing" => ("Southwest China", "Chongqing"),
        "ap-shanghai-fsi" => ("East China", "Shanghai Finance"),
        "ap-shenzhen-fsi" => ("South China", "Shenzhen Finance"),
        other => {
            let (area, city) = other.split_once('-').unwrap_or(("", other));
            let area = match area {
                "ap" => "Asia Pacific",
                "eu" => "Europe",
                "na" => "North America",
                "sa" => "South America",
                area => area,
            };
            let mut letters = city.chars();
            let first: String = letters.next().map(|c| c.to_ascii_uppercase()).into_iter().collect();
            return format!("{area} ({first}{})", letters.as_str());
        }
    };
    format!("{area} ({city})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_ever() {
        assert_eq!(BY_ID.len(), catalog::REGIONS.len() * PUBLIC_IMAGES.len());
        assert_eq!(public_image_id("ap-guangzhou", "Ubuntu Server 22.04 LTS 64bit").len(), 12);
        assert_ne!(default_vpc("ap-guangzhou"), default_vpc("ap-shanghai"));
        assert_eq!(default_subnet("ap-guangzhou-3"), default_subnet("ap-guangzhou-3"));
        assert_eq!(region_name("ap-hongkong"), "Asia Pacific (Hongkong)");
    }
}
