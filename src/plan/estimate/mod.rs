//! What a plan costs, and how long it takes: an estimate beside the plan, no part of it.
//!
//! Prices are asked in a second pass, and nothing depends on them: [`questions`] says what to ask, one launch of each
//! distinct place and spec, and [`estimate`] adds the answers up. How long it takes is told by the plan alone
//! ([`longest`]).

mod lineage;
mod questions;
mod time;

use std::collections::BTreeMap;

pub use questions::{LeftOut, MOST_QUESTIONS, Questions, Side, questions};
pub use time::{Foreseen, Longest, Measured, foresee, longest};

use crate::model::addr::{Addr, Block};
use crate::model::ids::ImageId;
use crate::model::price::{ChargeUnit, Micros, Price};
use crate::model::spec::Charge;
use lineage::Root;
use questions::{Basis, Group};

/// What all amounts are in (API text 3.11). What the international site takes is unconfirmed there.
pub const CURRENCY: &str = "CNY";

/// What a plan costs, as far as the cloud told it. "About": prices that fall with the hours of a month (API text 3.11)
/// count as those of the first hours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Estimate {
    /// What is launched and what goes, by block and price.
    pub items: Vec<Item>,
    /// What what goes costs an hour.
    pub before: Micros,
    /// What what is launched costs an hour.
    pub after: Micros,
    /// What is paid once for what is launched.
    pub once: Vec<Once>,
    /// Prices of a GB of traffic, each once.
    pub traffic: Vec<Micros>,
    /// Fees of images; they are in the sums as far as the cloud tells them.
    pub fees: Vec<Fee>,
    /// What the sums lack.
    pub left_out: Vec<LeftOut>,
    /// What was taken for granted.
    pub assumed: Vec<String>,
}

/// Instances of one block that cost the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Whether they come, go, or do both.
    pub side: Side,
    /// The block.
    pub block: Block,
    /// They themselves, in the order of the addresses; never empty.
    pub addrs: Vec<Addr>,
    /// How they are paid for.
    pub charge: Charge,
    /// What one of them costs.
    pub each: Amounts,
}

/// What one instance costs; nothing where the cloud told nothing of that kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Amounts {
    /// An hour, access from the internet included.
    pub hourly: Option<Micros>,
    /// Once, in advance.
    pub once: Option<Micros>,
    /// A GB of traffic.
    pub per_gb: Option<Micros>,
}

/// What is paid in advance for instances with the same period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Once {
    /// For how many months.
    pub months: u32,
    /// For how many instances.
    pub instances: usize,
    /// For all of them.
    pub total: Micros,
}

/// The fee of the image that instances run from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fee {
    /// The block of the instances.
    pub block: Block,
    /// How many instances.
    pub instances: usize,
    /// The image whose fee it is; `None`: nobody remembers.
    pub image: Option<ImageId>,
    /// The image block that inherits it, where the instances run from one of ours.
    pub heir: Option<Block>,
    /// Whether it is an image of the marketplace.
    pub market: bool,
    /// What it makes of all their price, by the difference to the same launch with a free public image.
    pub share: FeeShare,
}

/// How much of a price is an image's fee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeeShare {
    /// About so much an hour, of all instances.
    Hourly(Micros),
    /// About so much of what is paid once, of all instances.
    Once(Micros),
    /// The price shows none: there is none, or it comes on top.
    NotShown,
    /// It could not be asked.
    Unknown,
}

/// What is told of the price of one question.
pub type Answered = Result<Price, String>;

/// Adds up what the cloud answered, by the numbers of the questions. A fault is a clause that says what happened.
#[must_use]
pub fn estimate(questions: &Questions, answers: &BTreeMap<usize, Answered>) -> Estimate {
    let mut estimate =
        Estimate { left_out: questions.left_out.clone(), assumed: questions.assumed.clone(), ..Estimate::default() };
    let mut once: BTreeMap<u32, (usize, Micros)> = BTreeMap::new();
    for group in &questions.groups {
        let each = match told(questions, answers, group.question) {
            Ok(each) => each,
            Err(why) => {
                leave_out(&mut estimate.left_out, group, why);
                continue;
            }
        };
        let count = group.addrs.len();
        let hourly = each.hourly.unwrap_or_default().times(count);
        match group.side {
            Side::Adds => estimate.after = estimate.after.plus(hourly),
            Side::Ends => estimate.before = estimate.before.plus(hourly),
            // For as long as they are there, which nobody knows.
            Side::Passes => {}
        }
        if let (Side::Adds, Some(total)) = (group.side, each.once) {
            let (instances, sum) = once.entry(months(&group.charge)).or_default();
            *instances += count;
            *sum = sum.plus(total.times(count));
        }
        if let (Side::Adds, Some(price)) = (group.side, each.per_gb)
            && !estimate.traffic.contains(&price)
        {
            estimate.traffic.push(price);
        }
        fee(&mut estimate.fees, questions, answers, group, each);
        item(&mut estimate.items, group, each);
    }
    estimate.once = once.into_iter().map(|(months, (instances, total))| Once { months, instances, total }).collect();
    estimate.traffic.sort();
    for item in &mut estimate.items {
        item.addrs.sort();
    }
    let key = |item: &Item| (item.addrs.first().cloned(), item.side);
    estimate.items.sort_by_cached_key(key);
    estimate
}

impl Estimate {
    /// How many instances are launched whose price is known.
    #[must_use]
    pub fn launched(&self) -> usize {
        self.items.iter().filter(|item| item.side == Side::Adds).map(|item| item.addrs.len()).sum()
    }

    /// What builders cost an hour while they are there, and how many they are.
    #[must_use]
    pub fn passing(&self) -> (Micros, usize) {
        let builders = self.items.iter().filter(|item| item.side == Side::Passes);
        builders.fold((Micros::default(), 0), |(sum, count), item| {
            let all = item.each.hourly.unwrap_or_default().times(item.addrs.len());
            (sum.plus(all), count + item.addrs.len())
        })
    }

    /// What the plan makes every hour cost more; negative where it makes it cost less.
    #[must_use]
    pub fn difference(&self) -> Micros {
        self.after.minus(self.before)
    }
}

/// An hourly instance whose bandwidth is paid in advance pays a month of it.
fn months(charge: &Charge) -> u32 {
    match charge {
        Charge::Prepaid { months, .. } => *months,
        Charge::Hourly | Charge::Spot { .. } => 1,
    }
}

/// What one instance costs by the answer to a question.
fn told(questions: &Questions, answers: &BTreeMap<usize, Answered>, question: usize) -> Result<Amounts, String> {
    let Some(asked) = questions.asked.get(question) else { return Err("its price was not asked".to_owned()) };
    match answers.get(&question) {
        Some(Ok(price)) => amounts(price).ok_or_else(|| "the cloud tells no price of it".to_owned()),
        Some(Err(why)) => Err(why.clone()),
        None if question >= MOST_QUESTIONS => {
            Err(format!("only the first {MOST_QUESTIONS} different launches of a plan are asked for"))
        }
        None => Err(match &asked.basis {
            Basis::Named(name) => format!("no public image {name:?} was found in {} to ask with", asked.region),
            Basis::Free | Basis::Id(_) => format!("no free public image was found in {} to ask with", asked.region),
        }),
    }
}

fn amounts(price: &Price) -> Option<Amounts> {
    let Price { instance, bandwidth } = price;
    let mut sum = Amounts::default();
    for item in [instance, bandwidth].into_iter().flatten() {
        let into = match item.charge_unit {
            Some(ChargeUnit::Hour) => (&mut sum.hourly, item.unit),
            Some(ChargeUnit::Gb) => (&mut sum.per_gb, item.unit),
            None => (&mut sum.once, item.total),
        };
        if let (to, Some(amount)) = into {
            *to = Some(to.unwrap_or_default().plus(amount));
        }
    }
    // Traffic alone is no price of an instance.
    (sum.hourly.is_some() || sum.once.is_some()).then_some(sum)
}

fn leave_out(left_out: &mut Vec<LeftOut>, group: &Group, why: String) {
    match left_out.iter_mut().find(|entry| entry.why == why) {
        Some(entry) => entry.addrs.extend(group.addrs.iter().cloned()),
        None => left_out.push(LeftOut { addrs: group.addrs.clone(), why }),
    }
}

fn item(items: &mut Vec<Item>, group: &Group, each: Amounts) {
    let Some(first) = group.addrs.first() else { return };
    let same = |item: &&mut Item| {
        item.side == group.side && item.block == first.block && item.charge == group.charge && item.each == each
    };
    match items.iter_mut().find(same) {
        Some(item) => item.addrs.extend(group.addrs.iter().cloned()),
        None => items.push(Item {
            side: group.side,
            block: first.block.clone(),
            addrs: group.addrs.clone(),
            charge: group.charge.clone(),
            each,
        }),
    }
}

/// Whatever the same launch costs less with a free public image is the fee of its own.
fn fee(fees: &mut Vec<Fee>, questions: &Questions, answers: &BTreeMap<usize, Answered>, group: &Group, each: Amounts) {
    let (Some(reference), Some(lineage), Some(first)) = (group.reference, &group.lineage, group.addrs.first()) else {
        return;
    };
    let market = lineage.root == Root::Market;
    let count = group.addrs.len();
    let more = |with: Option<Micros>, without: Option<Micros>| {
        let more = with.zip(without).map(|(with, without)| with.minus(without));
        more.filter(|more| *more > Micros(0)).map(|more| more.times(count))
    };
    let share = match told(questions, answers, reference) {
        Err(_) => FeeShare::Unknown,
        Ok(free) => match (more(each.hourly, free.hourly), more(each.once, free.once)) {
            (Some(hourly), _) => FeeShare::Hourly(hourly),
            (None, Some(once)) => FeeShare::Once(once),
            (None, None) => FeeShare::NotShown,
        },
    };
    // Of anything but the marketplace's there may well be none.
    if !market && matches!(share, FeeShare::NotShown | FeeShare::Unknown) {
        return;
    }
    let heir = lineage.heirs.first().map(Block::image);
    let image = lineage.found.as_ref().map(|(id, _)| id.clone());
    let same = fees.iter_mut().find(|fee| fee.block == first.block && fee.image == image && fee.heir == heir);
    let joined = same.and_then(|fee| {
        fee.share = match (&fee.share, &share) {
            (FeeShare::Hourly(a), FeeShare::Hourly(b)) => FeeShare::Hourly(a.plus(*b)),
            (FeeShare::Once(a), FeeShare::Once(b)) => FeeShare::Once(a.plus(*b)),
            (a, b) if a == b => a.clone(),
            _ => return None,
        };
        fee.instances += count;
        Some(())
    });
    if joined.is_none() {
        fees.push(Fee { block: first.block.clone(), instances: count, image, heir, market, share });
    }
}
