//! What things cost, as the cloud tells it. Amounts are whole millionths of the currency: no sum of them is rounded.

use serde::{Deserialize, Serialize};

/// An amount of money in millionths: of a yuan on the mainland's site (API text 3.11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The nearest of them to an amount, such as an answer's 0.35.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest amount")]
    pub fn of(amount: f64) -> Self {
        Self((amount * 1_000_000.0).round() as i64)
    }
}

/// Price of a launch (API text 3.11).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Price {
    /// Of the instance with its disks, the image's fee included as far as the cloud tells it.
    pub instance: Option<ItemPrice>,
    /// Of its access from the internet.
    pub bandwidth: Option<ItemPrice>,
}

/// ItemPrice (API text 3.11). What is not told is not zero, but unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ItemPrice {
    /// Pay-as-you-go: what is paid a unit, after discount.
    pub unit: Option<Micros>,
    /// The unit.
    pub charge_unit: Option<ChargeUnit>,
    /// Prepaid: what is paid for the whole period, after discount.
    pub total: Option<Micros>,
}

/// ChargeUnit (API text 3.11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeUnit {
    /// An hour.
    Hour,
    /// A GB of traffic.
    Gb,
}
