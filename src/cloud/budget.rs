//! How many calls a second the cloud takes: as documented, until it refuses one, and then fewer for a while.
//!
//! A budget belongs to an action in a region. Of which account, region and address the cloud counts is not documented (API
//! text 9.1), so what a refusal teaches is learned for the narrowest of them: another action may have been refused for the
//! same reason, and then it teaches the same again. Pure: times come in as values.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::Millis;
use crate::model::ids::Region;

/// How long it takes until what a refusal taught is forgotten. The rate grows evenly meanwhile.
pub const FORGOTTEN_MS: Millis = 120_000;
/// Rates are counted by the second (1.8), so a call that was refused has no chance before the next one.
const PAUSE_MS: Millis = 1000;
/// Times are taken here and counted there: a second is a little longer on the way.
const MARGIN_MS: Millis = 50;
/// A thousandth of a call a second.
type MilliRate = u32;
/// However often it refuses, a call every five seconds is tried.
const LEAST: MilliRate = 200;

/// What the rates are before the cloud says anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rates {
    /// As documented.
    Documented,
    /// There are none: the cloud is in this process.
    None,
}

/// Calls a second that an action takes by default (1.8). Where no text has it, what most writes have.
#[must_use]
pub fn documented(action: &str) -> u32 {
    match action {
        "DescribeImages"
        | "DescribeInstances"
        | "DescribeInstancesStatus"
        | "DescribeInstancesAttributes"
        | "DescribeInstanceTypeConfigs"
        | "DescribeZoneInstanceConfigInfos" => 40,
        "DescribeRegions"
        | "DescribeZones"
        | "DescribeAccountQuota"
        | "DescribeImageFromFamily"
        | "ExportImages"
        | "TagResources"
        | "UnTagResources"
        | "ModifyResourceTags"
        | "DescribeResourceTagsByResourceIds" => 20,
        // Of 2018; the present figure is unconfirmed (9.1).
        "DescribeImportImageOs" => 288,
        _ => 10,
    }
}

/// What a refusal taught.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Learned {
    /// Thousandths of a call a second that were taken then.
    pub milli_per_s: MilliRate,
    /// When.
    pub at_ms: Millis,
}

impl Learned {
    /// The rate at a time, on its way back to `full`; `None` once it is there.
    fn rate(self, now: Millis, full: MilliRate) -> Option<MilliRate> {
        let gone = (now - self.at_ms).clamp(0, FORGOTTEN_MS);
        if gone == FORGOTTEN_MS || self.milli_per_s >= full {
            return None;
        }
        let regained = i64::from(full - self.milli_per_s) * gone / FORGOTTEN_MS;
        Some(self.milli_per_s + u32::try_from(regained).unwrap_or(0))
    }
}

#[derive(Clone, Debug, Default)]
struct Budget {
    learned: Option<Learned>,
    /// When the last calls were made.
    made: VecDeque<Millis>,
    not_before: Millis,
}

/// The budgets of an account, by action and region.
#[derive(Clone, Debug)]
pub struct Budgets {
    rates: Rates,
    by: BTreeMap<Region, BTreeMap<String, Budget>>,
}

impl Budgets {
    /// Budgets that start with what is documented, and with what was learned before.
    #[must_use]
    pub fn new(rates: Rates, learned: impl IntoIterator<Item = (String, Region, Learned)>) -> Self {
        let mut budgets = Self { rates, by: BTreeMap::new() };
        for (action, region, learned) in learned {
            budgets.entry(&action, &region).learned = Some(learned);
        }
        budgets
    }

    fn get(&self, action: &str, region: &Region) -> Option<&Budget> {
        self.by.get(region)?.get(action)
    }

    fn entry(&mut self, action: &str, region: &Region) -> &mut Budget {
        self.by.entry(region.clone()).or_default().entry(action.to_owned()).or_default()
    }

    /// The earliest time at which a call may be made; `now`, where it may be made now.
    #[must_use]
    pub fn free_at(&self, now: Millis, action: &str, region: &Region) -> Millis {
        let Some(budget) = self.get(action, region) else { return now };
        let Some(rate) = self.rate(budget, now, action) else { return now.max(budget.not_before) };
        // As many calls as a second takes within a second; of less than one, one within as long as that takes.
        let calls = rate.div_ceil(1000).max(1);
        let within_ms = i64::from(calls) * 1_000_000 / i64::from(rate.max(1)) + MARGIN_MS;
        let before = budget.made.len().checked_sub(calls as usize).and_then(|n| budget.made.get(n));
        now.max(budget.not_before).max(before.map_or(now, |made| made + within_ms))
    }

    /// A call is made.
    pub fn made(&mut self, now: Millis, action: &str, region: &Region) {
        if self.rates == Rates::None && self.get(action, region).is_none() {
            return;
        }
        let most = documented(action) as usize;
        let budget = self.entry(action, region);
        budget.made.push_back(now);
        if budget.made.len() > most {
            budget.made.pop_front();
        }
    }

    /// A call was refused because there were too many: half as many from now on. Of several that are refused together, one
    /// teaches: the answer says what there is to remember.
    pub fn refused(&mut self, now: Millis, action: &str, region: &Region) -> Option<Learned> {
        let budget = self.get(action, region);
        if budget.is_some_and(|budget| now < budget.not_before) {
            return None;
        }
        let full = documented(action) * 1000;
        let rate = budget.and_then(|budget| self.rate(budget, now, action)).unwrap_or(full);
        let learned = Learned { milli_per_s: (rate / 2).max(LEAST), at_ms: now };
        let budget = self.entry(action, region);
        budget.learned = Some(learned);
        budget.not_before = now + PAUSE_MS;
        Some(learned)
    }

    /// Thousandths of a call a second that may be made; `None`: any number.
    fn rate(&self, budget: &Budget, now: Millis, action: &str) -> Option<MilliRate> {
        let full = documented(action) * 1000;
        let learned = budget.learned.and_then(|learned| learned.rate(now, full));
        match self.rates {
            Rates::Documented => Some(learned.unwrap_or(full)),
            Rates::None => learned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region() -> Region {
        "ap-guangzhou".into()
    }

    /// When each of so many calls is made, where each is made as soon as it may be.
    fn made(budgets: &mut Budgets, from: Millis, action: &str, calls: usize) -> Vec<Millis> {
        let mut now = from;
        let mut times = Vec::new();
        for _ in 0..calls {
            now = budgets.free_at(now, action, &region());
            budgets.made(now, action, &region());
            times.push(now);
        }
        times
    }

    /// The most calls in any stretch of a second.
    fn busiest(times: &[Millis]) -> usize {
        times.iter().map(|from| times.iter().filter(|at| (*from..*from + 1000).contains(at)).count()).max().unwrap_or(0)
    }

    #[test]
    fn as_many_calls_as_are_documented_go_at_once_and_no_more_within_a_second() {
        let mut budgets = Budgets::new(Rates::Documented, []);
        let times = made(&mut budgets, 0, "ResetInstance", 35);
        assert_eq!(times.iter().filter(|at| **at == 0).count(), 10);
        assert_eq!(busiest(&times), 10);
        assert_eq!(times.last(), Some(&(3 * (1000 + MARGIN_MS))));
        // Another action, and another region, are not held up by that.
        assert_eq!(budgets.free_at(0, "StopInstances", &region()), 0);
        assert_eq!(budgets.free_at(0, "ResetInstance", &"ap-shanghai".into()), 0);
    }

    #[test]
    fn a_refusal_halves_the_rate_and_time_gives_it_back() {
        let mut budgets = Budgets::new(Rates::Documented, []);
        assert_eq!(budgets.refused(0, "CreateImage", &region()), Some(Learned { milli_per_s: 5000, at_ms: 0 }));
        // Those that were under way with it teach nothing new.
        assert_eq!(budgets.refused(10, "CreateImage", &region()), None);
        assert_eq!(budgets.free_at(10, "CreateImage", &region()), PAUSE_MS);
        let times = made(&mut budgets, 1000, "CreateImage", 30);
        assert!((5..=6).contains(&busiest(&times)), "{times:?}");
        let much_later = made(&mut budgets, FORGOTTEN_MS + 100_000, "CreateImage", 30);
        assert_eq!(busiest(&much_later), 10);
    }

    #[test]
    fn refusals_one_after_the_other_slow_down_to_a_crawl_but_not_to_a_halt() {
        let mut budgets = Budgets::new(Rates::Documented, []);
        for n in 0..20 {
            budgets.refused(n * 2000, "CreateImage", &region());
        }
        let times = made(&mut budgets, 40_000, "CreateImage", 3);
        assert!(times[2] - times[1] > 1500 && times[2] - times[1] <= 5100, "{times:?}");
    }

    #[test]
    fn what_was_learned_before_counts_and_a_cloud_without_rates_has_none() {
        let learned = Learned { milli_per_s: 1000, at_ms: 0 };
        let mut told = Budgets::new(Rates::None, [("CreateImage".to_owned(), region(), learned)]);
        let times = made(&mut told, 0, "CreateImage", 4);
        assert!(busiest(&times) <= 2 && times[1] > 1000, "{times:?}");
        let mut free = Budgets::new(Rates::None, []);
        assert_eq!(made(&mut free, 7, "CreateImage", 1000), vec![7; 1000]);
        assert!(free.by.is_empty(), "nothing is remembered of what is not limited");
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate(action in prop::sample::select(vec!["DescribeImages", "CreateImage", "TagResources"]),
                                             starts in prop::collection::vec(0_i64..5000, 1..200)) {
            let mut budgets = Budgets::new(Rates::Documented, []);
            let mut starts = starts;
            starts.sort_unstable();
            let mut times = Vec::new();
            for now in starts {
                let at = budgets.free_at(now, action, &region());
                budgets.made(at, action, &region());
                times.push(at);
            }
            prop_assert!(busiest(&times) <= documented(action) as usize);
        }
    }
}
