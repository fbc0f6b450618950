//! Folding lists of addresses: `fleet.web[0..4,7]` stands for six slots, both ends included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::addr::Addr;

/// The most ranges that a folded address spells out; of more, the first ones and the last are shown.
pub const MAX_RANGES: usize = 8;

/// Slots as ranges: `0..4,7`. Of more than `max_ranges` ranges the ones before the last give way to `…`.
#[must_use]
pub fn slots(slots: &BTreeSet<u32>, max_ranges: usize) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &slot in slots {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(slot) => *last = slot,
            _ => ranges.push((slot, slot)),
        }
    }
    let skipped = if ranges.len() > max_ranges.max(2) { max_ranges.max(2) - 1..ranges.len() - 1 } else { 0..0 };
    let mut text = String::new();
    for (n, (first, last)) in ranges.iter().enumerate() {
        if skipped.contains(&n) {
            if n == skipped.start {
                text.push_str(",…");
            }
            continue;
        }
        if n > 0 {
            text.push(',');
        }
        let written = match last - first {
            0 => write!(text, "{first}"),
            1 => write!(text, "{first},{last}"),
            _ => write!(text, "{first}..{last}"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    text
}

/// Addresses in their order, the slots of one fleet as one text.
#[must_use]
pub fn addrs<'a>(addrs: impl IntoIterator<Item = &'a Addr>) -> Vec<String> {
    addrs_within(addrs, MAX_RANGES)
}

/// The same, as one text: `fleet.web[0..4], image.web@1/ap-guangzhou`. Of more than four, the rest is counted.
#[must_use]
pub fn joined<'a>(list: impl IntoIterator<Item = &'a Addr>) -> String {
    const MAX_NAMED: usize = 4;
    let folded = addrs(list);
    match folded.len().checked_sub(MAX_NAMED) {
        None | Some(0) => folded.join(", "),
        Some(more) => format!("{} and {more} more", folded[..MAX_NAMED].join(", ")),
    }
}

/// Addresses that differ in their slot only are folded; `max_ranges` as in [`slots`].
#[must_use]
pub fn addrs_within<'a>(addrs: impl IntoIterator<Item = &'a Addr>, max_ranges: usize) -> Vec<String> {
    let mut folding = Folding::default();
    addrs.into_iter().for_each(|addr| folding.add(addr));
    folding.texts(max_ranges)
}

/// Addresses, gathered one by one, to be folded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Folding {
    /// By the address without its slot: the slots, and whether the address stands for itself.
    families: BTreeMap<Addr, (BTreeSet<u32>, bool)>,
}

impl Folding {
    /// One more.
    pub fn add(&mut self, addr: &Addr) {
        let family = self.families.entry(Addr { slot: None, ..addr.clone() }).or_default();
        match addr.slot {
            Some(slot) => drop(family.0.insert(slot)),
            None => family.1 = true,
        }
    }

    /// Them all, in their order; `max_ranges` as in [`slots`].
    #[must_use]
    pub fn texts(&self, max_ranges: usize) -> Vec<String> {
        let mut folded = Vec::new();
        for (family, (members, whole)) in &self.families {
            if *whole {
                folded.push(family.to_string());
            }
            if !members.is_empty() {
                let block = Addr::of(family.block.clone()).to_string();
                let rest = family.to_string().split_off(block.len());
                folded.push(format!("{block}[{}]{rest}", slots(members, max_ranges)));
            }
        }
        folded
    }
}

/// Names that differ in the number at their end only are folded: `web-3-[0..2]`; in the order of their first ones.
#[must_use]
pub fn names(names: &[&str]) -> Vec<String> {
    let mut families: Vec<(&str, BTreeSet<u32>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut folded = Vec::new();
    for name in names {
        let numbered = name.rsplit_once('-').and_then(|(stem, number)| Some((stem, number.parse::<u32>().ok()?)));
        // What would not be written so is no number.
        let numbered = numbered.filter(|(stem, number)| name.len() == stem.len() + 1 + number.to_string().len());
        let Some((stem, number)) = numbered else {
            folded.push((*name).to_owned());
            continue;
        };
        let place = *places.entry(stem).or_insert_with(|| {
            families.push((stem, BTreeSet::new()));
            families.len() - 1
        });
        if let Some((_, members)) = families.get_mut(place) {
            members.insert(number);
        }
    }
    folded.extend(families.into_iter().map(|(stem, members)| match members.first() {
        Some(only) if members.len() == 1 => format!("{stem}-{only}"),
        _ => format!("{stem}-[{}]", slots(&members, MAX_RANGES)),
    }));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Addr {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn unfold(text: &str) -> Vec<Addr> {
        let Some((head, tail)) = text.split_once('[') else { return vec![parse(text)] };
        let Some((list, rest)) = tail.split_once(']') else { panic!("{text}") };
        let number = |text: &str| text.parse::<u32>().expect("a slot");
        list.split(',')
            .flat_map(|range| match range.split_once("..") {
                Some((first, last)) => number(first)..=number(last),
                None => number(range)..=number(range),
            })
            .map(|slot| parse(&format!("{head}[{slot}]{rest}")))
            .collect()
    }

    #[test]
    fn names_fold_by_their_last_number() {
        let list = ["web-3-0", "web-4-0", "web-3-1", "web-3-2", "web-04", "web", "db-7"];
        assert_eq!(names(&list), ["web-04", "web", "web-3-[0..2]", "web-4-0", "db-7"]);
    }

    #[test]
    fn slots_fold_by_fleet_and_generation_and_the_rest_stays() {
        let list: Vec<Addr> = [
            "fleet.web[10]",
            "fleet.web[0]",
            "fleet.web[1]",
            "fleet.web[2]",
            "fleet.web[3]",
            "fleet.web[4]",
            "fleet.web[7]#2",
            "fleet.db[0]",
            "fleet.db[1]",
            "image.web@1/ap-shanghai",
        ]
        .map(parse)
        .to_vec();
        assert_eq!(addrs(&list), ["image.web@1/ap-shanghai", "fleet.db[0,1]", "fleet.web[0..4,10]", "fleet.web[7]#2"]);
    }

    #[test]
    fn many_ranges_end_with_the_last_one() {
        let even: BTreeSet<u32> = (0..50_000).map(|n| n * 2).collect();
        assert_eq!(slots(&even, MAX_RANGES), "0,2,4,6,8,10,12,…,99998");
        assert_eq!(slots(&BTreeSet::from([u32::MAX - 1, u32::MAX]), MAX_RANGES), "4294967294,4294967295");
    }

    #[test]
    fn long_lists_are_counted() {
        let list: Vec<Addr> = (0..6).map(|n| parse(&format!("image.web@{n}/ap-guangzhou"))).collect();
        assert!(joined(&list).ends_with("image.web@3/ap-guangzhou and 2 more"), "{}", joined(&list));
        assert_eq!(joined(&list[..1]), "image.web@0/ap-guangzhou");
    }

    proptest! {
        #[test]
        fn what_was_folded_unfolds_again(
            list in prop::collection::btree_set(("[ab]", prop::option::of(0u32..30), 1u32..3), 0..40),
        ) {
            let list: BTreeSet<Addr> = list
                .into_iter()
                .map(|(name, slot, generation)| Addr { slot, ..parse(&format!("fleet.{name}")) }.generation(generation))
                .collect();
            let folded = addrs_within(&list, usize::MAX);
            let unfolded: BTreeSet<Addr> = folded.iter().flat_map(|text| unfold(text)).collect();
            prop_assert_eq!(unfolded, list);
        }
    }
}
