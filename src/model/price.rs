//! What things cost, as the cloud tells it. Amounts are whole millionths of the currency: no sum of them is rounded.

use std::fmt;

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

    /// So many of it.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        Self(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// How much more it is than another amount; negative where it is less.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Exact, with at least two decimals: `12.60`, `0.265`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, amount) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let decimals = format!("{:06}", amount % 1_000_000);
        let shown = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", amount / 1_000_000, &decimals[..shown])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_exactly() {
        for (micros, text) in [
            (0, "0.00"),
            (12_600_000, "12.60"),
            (265_000, "0.265"),
            (1, "0.000001"),
            (-500_000, "-0.50"),
            (1_000_000, "1.00"),
        ] {
            assert_eq!(Micros(micros).to_string(), text);
        }
        assert_eq!(Micros::of(0.278).times(3), Micros(834_000));
        assert_eq!(Micros(3).minus(Micros(5)).plus(Micros(1)), Micros(-1));
        assert_eq!(Micros(i64::MAX).times(2), Micros(i64::MAX));
    }
}
