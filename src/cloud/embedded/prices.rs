//! What things cost here (API text 3.11, 6 and 8.10): a small table of our own, near enough to real prices to compare
//! by, and no promise of anybody.
//!
//! All amounts are whole millionths of a yuan. One instance costs an hour
//!
//! ```text
//! type     cores × core + GiB of memory × memory + graphics cards × GPU, by the family's row
//! disks    GiB × the row of the disk's kind, system disk and data disks alike
//! licence  cores × WINDOWS, for Windows outside the mainland, unless it came in as a file
//! image    the fee of the marketplace image that it comes from, by whatever way
//! ```
//!
//! - POSTPAID_BY_HOUR: UnitPrice is that sum, for all instances of the request together.
//! - SPOTPAID: the same with [`SPOT_PERCENT`] of the type. Bids are compared with that part alone.
//! - PREPAID: a month is [`HOURS_A_MONTH`] hours. OriginalPrice is the month times the months; DiscountPrice what is
//!   left of it after the discount of [`DISCOUNTS`]. One, three and five years are told beside it.
//!
//! Bandwidth: traffic by the GB, else by the Mbps and hour, with more for what exceeds [`CHEAP_MBPS`]; prepaid bandwidth
//! counts months as instances do, and a bandwidth package is billed by itself. The price of a hidden image fee is left
//! out, not set to nothing: [`Settings::image_fee_in_instance_price`](super::Settings::image_fee_in_instance_price).

use super::catalogue::{Content, is_mainland};
use crate::cloud::cvm::wire::shapes::{InternetAccessible, ItemPrice};
use crate::model::catalog::TypeEntry;

/// What a family's cores, memory and graphics cards cost an hour, in millionths of a yuan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FamilyPrice {
    /// The family.
    pub family: &'static str,
    /// A core.
    pub core: i64,
    /// A GiB of memory.
    pub memory: i64,
    /// A graphics card.
    pub gpu: i64,
}

const fn family(family: &'static str, core: i64, memory: i64) -> FamilyPrice {
    FamilyPrice { family, core, memory, gpu: 0 }
}

/// The families; one that is missing costs what the first does.
pub const FAMILIES: &[FamilyPrice] = &[
    family("S5", 60_000, 30_000),
    family("S6", 64_000, 32_000),
    family("SA2", 45_000, 22_000),
    family("SR1", 40_000, 20_000),
    family("C5", 80_000, 30_000),
    family("M5", 55_000, 35_000),
    FamilyPrice { gpu: 8_000_000, ..family("GN7", 70_000, 30_000) },
];

/// What a GiB of a disk costs an hour, in millionths of a yuan.
pub const DISKS: &[(&str, i64)] = &[
    ("CLOUD_BASIC", 400),
    ("CLOUD_PREMIUM", 500),
    ("CLOUD_BSSD", 700),
    ("CLOUD_SSD", 1100),
    ("CLOUD_HSSD", 1500),
    ("CLOUD_TSSD", 2000),
];

/// A licence of Windows outside the mainland, for a core and an hour.
pub const WINDOWS: i64 = 50_000;
/// What is paid of a type's price for spare capacity.
pub const SPOT_PERCENT: i64 = 20;
/// How many hours by the hour a prepaid month costs.
pub const HOURS_A_MONTH: i64 = 360;
/// How many percent are paid from so many prepaid months on.
pub const DISCOUNTS: &[(i64, i64)] = &[(1, 100), (12, 83), (24, 70), (36, 50), (60, 30)];
/// A GB of traffic.
pub const TRAFFIC_GB: i64 = 800_000;
/// Up to how many Mbps bandwidth is cheap.
pub const CHEAP_MBPS: i64 = 5;
/// A Mbps for an hour, of the first [`CHEAP_MBPS`] and of those beyond.
pub const MBPS: (i64, i64) = (63_000, 250_000);

/// What one instance costs an hour, in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hourly {
    /// The type.
    pub(crate) kind: i64,
    /// Disks and licence.
    pub(crate) rest: i64,
    /// The image's fee.
    pub(crate) fee: i64,
}

/// What one instance costs an hour.
pub(crate) fn hourly<'a>(
    region: &str,
    kind: &TypeEntry,
    disks: impl Iterator<Item = (&'a str, i64)>,
    content: &Content,
) -> Hourly {
    let cores = i64::from(kind.cpu);
    let disks: i64 = disks.map(|(name, gib)| gib * disk(name)).sum();
    let licensed = content.is_windows() && !content.imported && !is_mainland(region);
    Hourly {
        kind: bare(kind).kind,
        rest: disks + if licensed { cores * WINDOWS } else { 0 },
        fee: content.fee_micros_per_hour,
    }
}

/// What a type costs an hour by itself, without disks and image.
pub(crate) fn bare(kind: &TypeEntry) -> Hourly {
    let FamilyPrice { core, memory, gpu, family: _ } =
        FAMILIES.iter().find(|row| row.family == kind.family).copied().unwrap_or(FAMILIES[0]);
    let kind = i64::from(kind.cpu) * core + i64::from(kind.memory_gib) * memory + i64::from(kind.gpu) * gpu;
    Hourly { kind, rest: 0, fee: 0 }
}

fn disk(kind: &str) -> i64 {
    DISKS.iter().find(|(name, _)| *name == kind).map_or(0, |(_, price)| *price)
}

/// What spare capacity of a type costs an hour.
pub(crate) fn spot(hourly: &Hourly) -> i64 {
    hourly.kind * SPOT_PERCENT / 100
}

/// How an instance is paid for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Hourly,
    Spot,
    Prepaid { months: i64 },
}

/// InstancePrice of `count` instances.
pub(crate) fn instances(hourly: &Hourly, mode: Mode, count: i64, with_fee: bool) -> ItemPrice {
    let rest = hourly.rest + if with_fee { hourly.fee } else { 0 };
    match mode {
        Mode::Hourly => by_unit(count * (hourly.kind + rest), "HOUR"),
        Mode::Spot => by_unit(count * (spot(hourly) + rest), "HOUR"),
        Mode::Prepaid { months } => prepaid(count * (hourly.kind + rest), months),
    }
}

/// BandwidthPrice of `count` instances; `None`: there is no access from the internet, or a package pays for it.
pub(crate) fn bandwidth(internet: &InternetAccessible, mode: Mode, count: i64) -> Option<ItemPrice> {
    let mbps = internet.internet_max_bandwidth_out.filter(|mbps| *mbps > 0)?;
    let hourly = count * (mbps.min(CHEAP_MBPS) * MBPS.0 + (mbps - CHEAP_MBPS).max(0) * MBPS.1);
    match internet.internet_charge_type.as_deref()? {
        "TRAFFIC_POSTPAID_BY_HOUR" => Some(by_unit(TRAFFIC_GB, "GB")),
        "BANDWIDTH_POSTPAID_BY_HOUR" => Some(by_unit(hourly, "HOUR")),
        "BANDWIDTH_PREPAID" => {
            let months = match mode {
                Mode::Prepaid { months } => months,
                Mode::Hourly | Mode::Spot => 1,
            };
            Some(prepaid(hourly, months))
        }
        _ => None,
    }
}

fn percent(months: i64) -> i64 {
    DISCOUNTS.iter().rev().find(|(from, _)| *from <= months).map_or(100, |(_, percent)| *percent)
}

fn by_unit(micros: i64, unit: &str) -> ItemPrice {
    ItemPrice {
        unit_price: Some(yuan(micros)),
        unit_price_discount: Some(yuan(micros)),
        charge_unit: Some(unit.to_owned()),
        discount: Some(100.0),
        ..ItemPrice::default()
    }
}

/// What is paid by the hour is a multiple of 100 millionths, so that no percentage of a month is rounded.
fn prepaid(hourly: i64, months: i64) -> ItemPrice {
    let full = |months: i64| hourly * HOURS_A_MONTH * months;
    let original = |months: i64| Some(yuan(full(months)));
    let paid = |months: i64| Some(yuan(full(months) * percent(months) / 100));
    let discount = |months: i64| Some(yuan(percent(months) * 1_000_000));
    ItemPrice {
        original_price: original(months),
        discount_price: paid(months),
        discount: discount(months),
        original_price_one_year: original(12),
        discount_price_one_year: paid(12),
        discount_one_year: discount(12),
        original_price_three_year: original(36),
        discount_price_three_year: paid(36),
        discount_three_year: discount(36),
        original_price_five_year: original(60),
        discount_price_five_year: paid(60),
        discount_five_year: discount(60),
        ..ItemPrice::default()
    }
}

/// An amount as JSON has it: the float that is nearest prints as the exact decimal.
#[expect(clippy::cast_precision_loss, reason = "amounts stay far below 2^53 millionths")]
fn yuan(micros: i64) -> f64 {
    micros as f64 / 1_000_000.0
}

/// An amount in yuan, such as `0.08`, in millionths; at most six decimals.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 || whole.len() > 9 {
        return None;
    }
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 1_000_000 + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::embedded::catalogue::PUBLIC_IMAGES;
    use crate::model::catalog::{TYPES, find_type};

    #[test]
    fn every_family_and_disk_has_a_row_that_divides() {
        for entry in TYPES {
            assert!(FAMILIES.iter().any(|row| row.family == entry.family), "{}", entry.family);
        }
        let rows = FAMILIES.iter().flat_map(|row| [row.core, row.memory, row.gpu]).chain(DISKS.iter().map(|row| row.1));
        assert!(rows.chain([WINDOWS, MBPS.0, MBPS.1]).all(|price| price % 100 == 0));
        assert!(DISCOUNTS.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
    }

    #[test]
    fn an_instance_costs_the_sum_of_its_parts() {
        let kind = find_type("S5.MEDIUM4").expect("a type");
        let windows = PUBLIC_IMAGES.iter().find(|image| image.platform == "Windows").expect("Windows").content();
        let at = |region: &str, content: &Content| hourly(region, kind, [("CLOUD_SSD", 100)].into_iter(), content);
        assert_eq!(at("ap-guangzhou", &windows), Hourly { kind: 240_000, rest: 110_000, fee: 0 });
        assert_eq!(at("ap-tokyo", &windows).rest, 210_000);
        assert_eq!(at("ap-tokyo", &Content { imported: true, ..windows }).rest, 110_000);
        let hourly = Hourly { kind: 240_000, rest: 110_000, fee: 120_000 };
        assert_eq!(instances(&hourly, Mode::Hourly, 2, true).unit_price, Some(0.94));
        assert_eq!(instances(&hourly, Mode::Hourly, 2, false).unit_price, Some(0.7));
        assert_eq!(instances(&hourly, Mode::Spot, 1, true).unit_price, Some(0.278));
        let year = instances(&hourly, Mode::Prepaid { months: 12 }, 1, true);
        assert_eq!(
            (year.original_price, year.discount_price, year.discount),
            (Some(2030.4), Some(1685.232), Some(83.0))
        );
        assert_eq!(year.discount_price_one_year, year.discount_price);
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, micros) in [("0.08", Some(80_000)), ("12", Some(12_000_000)), ("0.000001", Some(1))] {
            assert_eq!(parse(text), micros, "{text}");
        }
        for text in ["", ".", ".5", "1.", "-1", "1e3", "0.0000001", "1,5", "99999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
