//! Walks through listings whose order nobody documents, and whose pages shift under the walker.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::call::{PAGE, Page};
use crate::model::observed::Lookup;

/// How often a listing is walked again when it did not add up.
const MAX_AGAIN: u32 = 3;
/// The most things that a listing is followed to; no account has as many images.
const MAX_ITEMS: u32 = 100_000;

/// What is listed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Listing {
    /// The custom images.
    Custom,
    /// The public images of a name; the filter is fuzzy.
    Public(Lookup),
    /// The instances.
    Instances,
}

/// A walk: its first page is at offset 0, and the answer to that says how many more there are.
#[derive(Debug)]
pub(super) struct Walk<I, T> {
    again: u32,
    total: u32,
    next_offset: u32,
    open: u32,
    round: BTreeSet<I>,
    ever: BTreeSet<I>,
    kept: BTreeMap<I, T>,
}

/// How a walk goes on.
#[derive(Debug)]
pub(super) enum Step<I, T> {
    /// With these pages, none of which may be missing, if any; others are still on their way.
    Ask(Vec<u32>),
    /// Not at all: these are all.
    Done(BTreeMap<I, T>),
}

impl<I: Ord + Clone, T> Walk<I, T> {
    /// A walk whose page at offset 0 was asked for.
    pub(super) fn start() -> Self {
        Self {
            again: 0,
            total: 0,
            next_offset: PAGE,
            open: 1,
            round: BTreeSet::new(),
            ever: BTreeSet::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Takes a page: of each item its id, and whether it `keeps` it.
    pub(super) fn page(&mut self, page: Page<T>, id: impl Fn(&T) -> &I, keeps: impl Fn(&T) -> bool) -> Step<I, T> {
        self.open = self.open.saturating_sub(1);
        self.total = page.total;
        for item in page.items {
            let id = id(&item).clone();
            self.round.insert(id.clone());
            self.ever.insert(id.clone());
            if keeps(&item) {
                self.kept.insert(id, item);
            }
        }
        let mut ask = Vec::new();
        while self.next_offset < self.total.min(MAX_ITEMS) {
            ask.push(self.next_offset);
            self.next_offset += PAGE;
            self.open += 1;
        }
        if self.open > 0 {
            return Step::Ask(ask);
        }
        self.end_of_round()
    }

    /// The count tells whether a thing was missed; where rounds miss different things, all of them together may be
    /// what there is. Failing that, what is known has to do.
    fn end_of_round(&mut self) -> Step<I, T> {
        let total = usize::try_from(self.total).unwrap_or(usize::MAX);
        let mut kept = || std::mem::take(&mut self.kept);
        if self.round.len() == total {
            let mut kept = kept();
            kept.retain(|id, _| self.round.contains(id));
            return Step::Done(kept);
        }
        if self.ever.len() == total || self.again == MAX_AGAIN {
            return Step::Done(kept());
        }
        self.again += 1;
        self.round.clear();
        self.next_offset = PAGE;
        self.open = 1;
        Step::Ask(vec![0])
    }
}
