//! Images of others that are there from the start, with ids that are the same in every cloud, so that a config can
//! name them.
//!
//! | id | what it is | who sees it |
//! |---|---|---|
//! | `img-8toqc6s3` | `partner-base`, a custom image of account 100000000002 in ap-guangzhou | it is shared with 100000000001, 100000000003 and 100000000004 |
//! | `img-p5wq2d7k` | `private-base`, a custom image of account 100000000003 in ap-guangzhou | its owner alone |
//! | `img-kx1vn3zd` | `WordPress 6 on CentOS 7.9`, of the marketplace, 0.12 yuan an hour | everybody, in the mainland |
//! | `img-r7lamp2f` | `LAMP on CentOS 7.9`, of the marketplace, free | everybody, in the mainland |
//!
//! Both custom images hold Ubuntu 22.04 and take 30 GiB. They are their owners' like any other: to be shared, changed
//! and deleted by them; but what lies there from the start is not told by [`Holdings`](super::Holdings).
//!
//! Images of the marketplace can be launched from, and nothing else (8.1). How the API lists them is unconfirmed
//! (9.14): here their ImageType is `MARKET_IMAGE`, and they are listed when asked for by id or by that type; that an
//! id holds in all mainland regions but those of finance is assumed.

use rusqlite::{Connection, params};

use super::accounts::{FIRST_MAIN, WITH_KEYS};
use super::catalogue::{Content, is_finance, is_mainland};
use super::ids::{self, Kind};
use super::machines::Constitution;
use crate::model::Millis;
use crate::model::catalog::RegionEntry;

/// 2026-01-01T00:00:00Z: since when they have been there.
pub const SINCE_MS: Millis = 1_767_225_600_000;

/// An image of the marketplace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketImage {
    /// Its id, in every region that has it.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What runs on it.
    pub os_name: &'static str,
    /// Such as `CentOS`.
    pub platform: &'static str,
    /// In GiB.
    pub size_gib: i64,
    /// What its provider takes an hour, in millionths of a yuan.
    pub fee_micros_per_hour: i64,
}

/// The images of the marketplace.
pub const MARKET: &[MarketImage] = &[
    MarketImage {
        id: "img-kx1vn3zd",
        name: "WordPress 6 on CentOS 7.9",
        os_name: "CentOS 7.9 64bit",
        platform: "CentOS",
        size_gib: 20,
        fee_micros_per_hour: 120_000,
    },
    MarketImage {
        id: "img-r7lamp2f",
        name: "LAMP on CentOS 7.9",
        os_name: "CentOS 7.9 64bit",
        platform: "CentOS",
        size_gib: 20,
        fee_micros_per_hour: 0,
    },
];

/// A custom image of somebody, there from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OthersImage {
    /// Its id.
    pub id: &'static str,
    /// Whose it is.
    pub owner: i64,
    /// Where it is.
    pub region: &'static str,
    /// Its name.
    pub name: &'static str,
    /// In GiB.
    pub size_gib: i64,
    /// Whether it is shared with the other accounts that have keys.
    pub shared: bool,
}

/// The custom images.
pub const OTHERS: &[OthersImage] = &[
    OthersImage {
        id: "img-8toqc6s3",
        owner: 100_000_000_002,
        region: "ap-guangzhou",
        name: "partner-base",
        size_gib: 30,
        shared: true,
    },
    OthersImage {
        id: "img-p5wq2d7k",
        owner: 100_000_000_003,
        region: "ap-guangzhou",
        name: "private-base",
        size_gib: 30,
        shared: false,
    },
];

/// The accounts that an image was shared with from the start.
pub fn receivers(image: &OthersImage) -> impl Iterator<Item = i64> + '_ {
    (FIRST_MAIN..FIRST_MAIN + WITH_KEYS).filter(|account| image.shared && *account != image.owner)
}

/// Whether a region has images of the marketplace.
#[must_use]
pub fn has_market(region: &str) -> bool {
    is_mainland(region) && !is_finance(region)
}

/// An image of the marketplace by its id in a region.
pub(crate) fn market_image(region: &RegionEntry, id: &str) -> Option<&'static MarketImage> {
    MARKET.iter().find(|image| has_market(region.region) && image.id == id)
}

impl MarketImage {
    /// What is on it.
    #[must_use]
    pub fn content(&self) -> Content {
        Content {
            os_name: self.os_name.to_owned(),
            platform: self.platform.to_owned(),
            architecture: "x86_64".to_owned(),
            images: Vec::new(),
            provisioned: Vec::new(),
            fee_micros_per_hour: self.fee_micros_per_hour,
            imported: false,
            byol: false,
            no_cloudinit: false,
            baked: Constitution::default(),
        }
    }
}

/// The number of an image behind its fixed id, which hangs on the seed; its snapshot has the same.
fn number(seed: u64, image: &OthersImage) -> i64 {
    ids::decode(Kind::Image, seed, image.id).unwrap_or_default()
}

/// The numbers that nothing new of a kind may have.
pub(crate) fn numbers(kind: Kind, seed: u64) -> Vec<i64> {
    match kind {
        Kind::Image | Kind::Snapshot => OTHERS.iter().map(|image| number(seed, image)).collect(),
        Kind::Instance | Kind::Disk => Vec::new(),
    }
}

/// Puts the custom images of others into a file that does not have them yet.
pub(super) fn plant(db: &Connection, seed: u64) -> rusqlite::Result<()> {
    let content = r#"{"os_name":"Ubuntu Server 22.04 LTS 64bit","platform":"Ubuntu","architecture":"x86_64","images":[],"provisioned":[]}"#;
    for image in OTHERS {
        let n = number(seed, image);
        let made = db.execute(
            "INSERT OR IGNORE INTO image VALUES
             (?1, ?2, ?3, ?4, '', '', 0, ?5, ?6, 0, ?7, 0, ?5, ?5, NULL, NULL, 0, 0, 0, 0)",
            params![n, image.owner, image.region, image.name, SINCE_MS, image.size_gib, content],
        )?;
        if made == 0 {
            continue;
        }
        db.execute(
            "INSERT OR IGNORE INTO snapshot VALUES (?1, ?2, ?3, ?1, 'SYSTEM_DISK', ?4, ?5, ?6)",
            params![n, image.owner, image.region, image.size_gib, content, SINCE_MS],
        )?;
        for account in receivers(image) {
            db.execute("INSERT OR IGNORE INTO share VALUES (?1, ?2, ?3)", params![n, account, SINCE_MS])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_well_formed_and_differ() {
        let all = OTHERS.iter().map(|image| image.id).chain(MARKET.iter().map(|image| image.id));
        let ids: std::collections::BTreeSet<&str> = all.clone().collect();
        assert_eq!(ids.len(), OTHERS.len() + MARKET.len());
        assert!(all.into_iter().all(|id| ids::well_formed("img-", id)));
    }
}
