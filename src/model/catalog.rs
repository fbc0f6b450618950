//! Regions, zones and instance types that are known beforehand, as data.
//!
//! The config's warnings and the embedded cloud are made from it; the real cloud is asked when it is there to answer.
//! New things appear there all the time: what is missing here is unusual, not wrong.

/// When these lists were made.
pub const DATED: &str = "2026-11";

/// A region and its zones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionEntry {
    /// The region's id.
    pub region: &'static str,
    /// Its zones, by number.
    pub zones: &'static [ZoneEntry],
}

/// A zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneEntry {
    /// The zone's id.
    pub zone: &'static str,
    /// Whether anything is sold there; some zones are full for ever.
    pub available: bool,
}

/// An instance type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeEntry {
    /// Its name.
    pub name: &'static str,
    /// Its family.
    pub family: &'static str,
    /// Its processors.
    pub cpu: u32,
    /// Its memory in GiB.
    pub memory_gib: u32,
    /// What its processors run: `x86_64` or `arm`, as images call it (API text 2.1).
    pub architecture: &'static str,
    /// Its graphics cards.
    pub gpu: u32,
}

const fn open(zone: &'static str) -> ZoneEntry {
    ZoneEntry { zone, available: true }
}

const fn sold_out(zone: &'static str) -> ZoneEntry {
    ZoneEntry { zone, available: false }
}

const fn region(region: &'static str, zones: &'static [ZoneEntry]) -> RegionEntry {
    RegionEntry { region, zones }
}

/// The regions that have zones, by name.
pub const REGIONS: &[RegionEntry] = &[
    region("ap-bangkok", &[open("ap-bangkok-1"), open("ap-bangkok-2")]),
    region(
        "ap-beijing",
        &[
            sold_out("ap-beijing-1"),
            open("ap-beijing-3"),
            open("ap-beijing-4"),
            open("ap-beijing-5"),
            open("ap-beijing-6"),
            open("ap-beijing-7"),
        ],
    ),
    region("ap-chengdu", &[open("ap-chengdu-1"), open("ap-chengdu-2")]),
    region("ap-chongqing", &[open("ap-chongqing-1")]),
    region(
        "ap-guangzhou",
        &[
            open("ap-guangzhou-1"),
            sold_out("ap-guangzhou-2"),
            open("ap-guangzhou-3"),
            open("ap-guangzhou-4"),
            open("ap-guangzhou-6"),
            open("ap-guangzhou-7"),
        ],
    ),
    region("ap-hongkong", &[sold_out("ap-hongkong-1"), open("ap-hongkong-2"), open("ap-hongkong-3")]),
    region("ap-jakarta", &[open("ap-jakarta-1"), open("ap-jakarta-2")]),
    region("ap-mumbai", &[open("ap-mumbai-1"), open("ap-mumbai-2")]),
    region("ap-nanjing", &[open("ap-nanjing-1"), open("ap-nanjing-2"), open("ap-nanjing-3")]),
    region("ap-seoul", &[open("ap-seoul-1"), open("ap-seoul-2")]),
    region(
        "ap-shanghai",
        &[
            open("ap-shanghai-2"),
            open("ap-shanghai-3"),
            open("ap-shanghai-4"),
            open("ap-shanghai-5"),
            open("ap-shanghai-8"),
        ],
    ),
    region("ap-shanghai-fsi", &[open("ap-shanghai-fsi-2"), open("ap-shanghai-fsi-3"), open("ap-shanghai-fsi-4")]),
    region("ap-shenzhen-fsi", &[open("ap-shenzhen-fsi-1"), open("ap-shenzhen-fsi-2"), sold_out("ap-shenzhen-fsi-3")]),
    region(
        "ap-singapore",
        &[open("ap-singapore-1"), open("ap-singapore-2"), open("ap-singapore-3"), open("ap-singapore-4")],
    ),
    region("ap-tokyo", &[open("ap-tokyo-1"), open("ap-tokyo-2")]),
    region("eu-frankfurt", &[open("eu-frankfurt-1"), open("eu-frankfurt-2")]),
    region("na-ashburn", &[open("na-ashburn-1"), open("na-ashburn-2")]),
    region("na-siliconvalley", &[open("na-siliconvalley-1"), open("na-siliconvalley-2")]),
    region("sa-saopaulo", &[open("sa-saopaulo-1")]),
];

const fn x86(name: &'static str, family: &'static str, cpu: u32, memory_gib: u32) -> TypeEntry {
    TypeEntry { name, family, cpu, memory_gib, architecture: "x86_64", gpu: 0 }
}

const fn arm(name: &'static str, family: &'static str, cpu: u32, memory_gib: u32) -> TypeEntry {
    TypeEntry { name, family, cpu, memory_gib, architecture: "arm", gpu: 0 }
}

/// The instance types, by family and size.
pub const TYPES: &[TypeEntry] = &[
    x86("S5.SMALL1", "S5", 1, 1),
    x86("S5.SMALL2", "S5", 1, 2),
    x86("S5.SMALL4", "S5", 1, 4),
    x86("S5.MEDIUM2", "S5", 2, 2),
    x86("S5.MEDIUM4", "S5", 2, 4),
    x86("S5.MEDIUM8", "S5", 2, 8),
    x86("S5.LARGE8", "S5", 4, 8),
    x86("S5.LARGE16", "S5", 4, 16),
    x86("S5.2XLARGE16", "S5", 8, 16),
    x86("S5.2XLARGE32", "S5", 8, 32),
    x86("S5.4XLARGE32", "S5", 16, 32),
    x86("S5.4XLARGE64", "S5", 16, 64),
    x86("S6.MEDIUM4", "S6", 2, 4),
    x86("S6.LARGE8", "S6", 4, 8),
    x86("SA2.SMALL1", "SA2", 1, 1),
    x86("SA2.SMALL2", "SA2", 1, 2),
    x86("SA2.MEDIUM2", "SA2", 2, 2),
    x86("SA2.MEDIUM4", "SA2", 2, 4),
    x86("SA2.MEDIUM8", "SA2", 2, 8),
    x86("SA2.LARGE8", "SA2", 4, 8),
    x86("SA2.LARGE16", "SA2", 4, 16),
    x86("SA2.2XLARGE16", "SA2", 8, 16),
    x86("SA2.2XLARGE32", "SA2", 8, 32),
    arm("SR1.MEDIUM2", "SR1", 2, 2),
    arm("SR1.MEDIUM4", "SR1", 2, 4),
    arm("SR1.MEDIUM8", "SR1", 2, 8),
    arm("SR1.LARGE8", "SR1", 4, 8),
    arm("SR1.LARGE16", "SR1", 4, 16),
    arm("SR1.2XLARGE16", "SR1", 8, 16),
    x86("C5.LARGE8", "C5", 4, 8),
    x86("C5.2XLARGE16", "C5", 8, 16),
    x86("C5.4XLARGE32", "C5", 16, 32),
    x86("M5.SMALL8", "M5", 1, 8),
    x86("M5.MEDIUM16", "M5", 2, 16),
    x86("M5.LARGE32", "M5", 4, 32),
    x86("M5.2XLARGE64", "M5", 8, 64),
    TypeEntry { name: "GN7.2XLARGE32", family: "GN7", cpu: 8, memory_gib: 32, architecture: "x86_64", gpu: 1 },
];

/// Systems that can be imported (API text 4.12 and 8.7). DescribeImportImageOs is the authority.
pub const IMPORT_SYSTEMS: &[&str] = &[
    "AlmaLinux",
    "CentOS",
    "CentOS Stream",
    "CoreOS",
    "Debian",
    "Fedora",
    "FreeBSD",
    "Kylin",
    "OpenSUSE",
    "Other Linux",
    "Redhat",
    "Rocky Linux",
    "SUSE",
    "TencentOS",
    "Ubuntu",
    "UnionTech",
    "Windows",
    "Windows Server 2008",
    "Windows Server 2012",
    "Windows Server 2016",
    "Windows Server 2019",
    "Windows Server 2022",
];

/// A region by its name.
#[must_use]
pub fn find_region(name: &str) -> Option<&'static RegionEntry> {
    REGIONS.iter().find(|entry| entry.region == name)
}

/// A zone by its name, with its region.
#[must_use]
pub fn find_zone(name: &str) -> Option<(&'static RegionEntry, &'static ZoneEntry)> {
    REGIONS.iter().find_map(|entry| entry.zones.iter().find(|zone| zone.zone == name).map(|zone| (entry, zone)))
}

/// An instance type by its name.
#[must_use]
pub fn find_type(name: &str) -> Option<&'static TypeEntry> {
    TYPES.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Zone;

    #[test]
    fn names_are_unique_and_zones_bear_the_name_of_their_region() {
        for entry in REGIONS {
            for zone in entry.zones {
                assert_eq!(Zone::new(zone.zone).region().expect("a region").as_str(), entry.region);
            }
        }
        assert!(REGIONS.windows(2).all(|pair| pair[0].region < pair[1].region));
        let names: std::collections::BTreeSet<_> = TYPES.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), TYPES.len());
        assert!(TYPES.iter().all(|entry| entry.name.starts_with(&format!("{}.", entry.family))));
    }

    #[test]
    fn what_is_listed_is_found() {
        assert_eq!(find_zone("ap-guangzhou-3").map(|(region, _)| region.region), Some("ap-guangzhou"));
        assert!(find_zone("ap-guangzhou-9").is_none() && find_region("ap-mars").is_none());
        assert_eq!(find_type("SR1.MEDIUM4").map(|entry| entry.architecture), Some("arm"));
    }
}
