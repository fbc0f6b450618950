//! How instances are paid for: billing modes, their quotas, and when a period ends (API text 2.2, 3.10 and 5.1).
//!
//! - A prepaid period ends so many calendar months after the launch. With NOTIFY_AND_AUTO_RENEW it goes on by a month
//!   each time; else the instance lies in the recycle bin from then on (IsolatedSource EXPIRE), and drops out after
//!   seven days. What is bought counts by the calendar month, in UTC, whatever becomes of it.
//! - Spot instances take cores of a quota of their own. Finance regions sell none (assumed).

use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use super::Spec;
use crate::cloud::cvm::wire::shapes::{InstanceChargePrepaid, InstanceMarketOptions};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::is_finance;
use crate::cloud::embedded::prices::{self, Mode};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::{quotas, time_text};
use crate::model::Millis;
use crate::model::catalog::TypeEntry;

pub(crate) const HOURLY: &str = "POSTPAID_BY_HOUR";
pub(crate) const PREPAID: &str = "PREPAID";
pub(crate) const SPOT: &str = "SPOTPAID";

/// The periods that are sold (3.10).
const MONTHS: [i64; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36, 48, 60];
const AUTO_RENEW: &str = "NOTIFY_AND_AUTO_RENEW";
const MANUAL_RENEW: &str = "NOTIFY_AND_MANUAL_RENEW";
const NO_RENEW: &str = "DISABLE_NOTIFY_AND_MANUAL_RENEW";

/// A billing mode with what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Charge {
    pub(super) word: String,
    pub(super) months: Option<i64>,
    pub(super) renew: Option<String>,
    pub(super) max_price: Option<String>,
}

/// Reads the billing mode of a launch.
pub(super) fn read(
    region: &str,
    word: Option<String>,
    prepaid: Option<InstanceChargePrepaid>,
    market: Option<InstanceMarketOptions>,
) -> Done<Charge> {
    let word = word.unwrap_or_else(|| HOURLY.to_owned());
    if market.is_some() && word != SPOT {
        return refuse("InvalidParameterCombination", format!("InstanceMarketOptions goes with {SPOT}"));
    }
    let mut charge = Charge { word, months: None, renew: None, max_price: None };
    match charge.word.as_str() {
        HOURLY => {}
        PREPAID => {
            let prepaid = required(prepaid, "InstanceChargePrepaid")?;
            let period = required(prepaid.period, "InstanceChargePrepaid.Period")?;
            if !MONTHS.contains(&period) {
                return refuse("InvalidPeriod", "Period is 1 to 12, 24, 36, 48 or 60 months");
            }
            let renew = prepaid.renew_flag.unwrap_or_else(|| MANUAL_RENEW.to_owned());
            if ![AUTO_RENEW, MANUAL_RENEW, NO_RENEW].contains(&renew.as_str()) {
                return refuse("InvalidParameterValue", format!("`{renew}` is no RenewFlag"));
            }
            charge.months = Some(period);
            charge.renew = Some(renew);
        }
        SPOT => {
            if is_finance(region) {
                let text = format!("{region} sells no spot instances");
                return refuse("UnsupportedOperation.SpotUnsupportedRegion", text);
            }
            if let Some(market) = market {
                charge.max_price = Some(bid(market)?);
            }
        }
        other => return refuse("InvalidParameterValue", format!("`{other}` is not sold here")),
    }
    Ok(charge)
}

/// MaxPrice of InstanceMarketOptions (3.10).
fn bid(market: InstanceMarketOptions) -> Done<String> {
    if market.market_type.is_some_and(|kind| kind != "spot") {
        return refuse("InvalidParameterValue", "MarketType is spot");
    }
    let options = required(market.spot_options, "InstanceMarketOptions.SpotOptions")?;
    if options.spot_instance_type.is_some_and(|kind| kind != "one-time") {
        return refuse("InvalidParameterValue", "SpotInstanceType is one-time");
    }
    let price = required(options.max_price, "SpotOptions.MaxPrice")?;
    if prices::parse(&price).is_none() {
        let text = format!("MaxPrice is an amount with at most six decimals, not `{price}`");
        return refuse("InvalidParameterValue", text);
    }
    Ok(price)
}

impl Charge {
    /// Refuses a bid below the price of the moment.
    pub(super) fn check_bid(&self, hourly: &prices::Hourly) -> Done<()> {
        let market = prices::spot(hourly);
        match self.max_price.as_deref().and_then(prices::parse) {
            Some(bid) if bid < market => {
                let text = format!("the bid of {bid} is below the price of {market} millionths of a yuan an hour");
                refuse("InvalidParameterValue.InsufficientPrice", text)
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        mode(&self.word, self.months)
    }

    /// How much of its quota one instance takes, until it is gone; a prepaid one has taken it for good.
    pub(super) fn units(&self, kind: &TypeEntry) -> i64 {
        match self.word.as_str() {
            HOURLY => 1,
            SPOT => i64::from(kind.cpu),
            _ => 0,
        }
    }

    /// Refuses more instances than there is room for in the zone.
    pub(super) fn room(&self, cx: &Context<'_>, zone: &str, kind: &TypeEntry, count: i64) -> Done<()> {
        let limits = &cx.settings.limits;
        let used = quotas::used(cx, zone, &self.quota(cx.now))?;
        let (most, more, code, what) = match self.word.as_str() {
            SPOT => {
                let cores = count * i64::from(kind.cpu);
                (limits.spot_cores_per_zone, cores, "LimitExceeded.UserSpotQuota", "cores of spot instances")
            }
            PREPAID => {
                let most = limits.prepaid_per_zone_and_month;
                (most, count, "LimitExceeded.PrepayQuota", "prepaid instances of this month")
            }
            _ => (limits.instances_per_zone, count, "LimitExceeded.InstanceQuota", "pay-as-you-go instances"),
        };
        if used + more > i64::from(most) {
            return refuse(code, format!("{used} of {most} {what} of {zone} are used, {more} more asked for"));
        }
        Ok(())
    }

    /// Notes that instances were made.
    pub(super) fn take(&self, cx: &Context<'_>, zone: &str, kind: &TypeEntry, count: i64) -> Done<()> {
        quotas::take(cx, zone, &self.quota(cx.now), count * self.units(kind).max(1))
    }

    /// Which quota of the zone it takes from.
    fn quota(&self, now: Millis) -> String {
        if self.word == PREPAID { prepaid_quota(now) } else { self.word.clone() }
    }
}

/// The quota of what is bought in a month.
pub(crate) fn prepaid_quota(now: Millis) -> String {
    let month: String = time_text(now).chars().take(7).collect();
    format!("{PREPAID} {month}")
}

/// How prices are told for a billing mode.
pub(super) fn mode(word: &str, months: Option<i64>) -> Mode {
    match (word, months) {
        (PREPAID, Some(months)) => Mode::Prepaid { months },
        (SPOT, _) => Mode::Spot,
        _ => Mode::Hourly,
    }
}

/// A time so many calendar months later.
fn later(from: Millis, months: i64) -> Millis {
    let time = jiff::Timestamp::from_millisecond(from).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let time = TimeZone::UTC.to_datetime(time);
    i32::try_from(months)
        .ok()
        .and_then(|months| time.checked_add(months.months()).ok())
        .and_then(|time| TimeZone::UTC.to_timestamp(time).ok())
        .map_or(Millis::MAX, |time| time.as_millisecond())
}

/// When a period that is not renewed by itself ends.
pub(super) fn end(spec: &Spec, created: Millis) -> Option<Millis> {
    let months = spec.months.filter(|_| spec.renew.as_deref() != Some(AUTO_RENEW))?;
    Some(later(created, months))
}

/// ExpiredTime: the end of the period that runs now.
pub(super) fn expires(spec: &Spec, created: Millis, now: Millis) -> Option<Millis> {
    let months = spec.months?;
    if spec.renew.as_deref() != Some(AUTO_RENEW) {
        return Some(later(created, months));
    }
    // No month has more than 31 days: the first guess is not too late.
    let passed = (now - created).max(0) / (31 * 86_400_000);
    (months.max(passed)..).map(|months| later(created, months)).find(|end| *end > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        assert_eq!(later(at("2026-01-31T12:00:00Z"), 1), at("2026-02-28T12:00:00Z"));
        assert_eq!(later(at("2026-11-23T12:00:00Z"), 12), at("2027-11-23T12:00:00Z"));
        assert_eq!(prepaid_quota(at("2026-11-30T23:59:59Z")), "PREPAID 2026-11");
    }
}
