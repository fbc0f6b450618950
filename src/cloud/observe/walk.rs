//! Walks through listings whose order nobody documents, and whose pages shift under the walker.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::call::{PAGE, Page};
use crate::model::ids::ImageId;
use crate::model::observed::{Image, ImageKind, Lookup};

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
}

impl Listing {
    fn keeps(&self, image: &Image) -> bool {
        match self {
            Self::Custom => true,
            Self::Public(lookup) => image.name == lookup.name && image.kind == ImageKind::Public,
        }
    }
}

/// A walk: its first page is at offset 0, and the answer to that says how many more there are.
#[derive(Debug, Default)]
pub(super) struct Walk {
    again: u32,
    total: u32,
    next_offset: u32,
    open: u32,
    round: BTreeSet<ImageId>,
    ever: BTreeSet<ImageId>,
    kept: BTreeMap<ImageId, Image>,
}

/// How a walk goes on.
#[derive(Debug)]
pub(super) enum Step {
    /// With these pages, none of which may be missing, if any; others are still on their way.
    Ask(Vec<u32>),
    /// Not at all: these are all.
    Done(BTreeMap<ImageId, Image>),
}

impl Walk {
    /// A walk whose page at offset 0 was asked for.
    pub(super) fn start() -> Self {
        Self { next_offset: PAGE, open: 1, ..Self::default() }
    }

    /// Takes a page.
    pub(super) fn page(&mut self, listing: &Listing, page: Page<Image>) -> Step {
        self.open = self.open.saturating_sub(1);
        self.total = page.total;
        for image in page.items {
            self.round.insert(image.id.clone());
            self.ever.insert(image.id.clone());
            if listing.keeps(&image) {
                self.kept.insert(image.id.clone(), image);
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
    fn end_of_round(&mut self) -> Step {
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
