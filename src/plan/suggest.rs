//! A change of the config that would make an infeasible plan feasible. It is named only after planning with it.

use std::collections::BTreeSet;

use super::input::PlanInput;
use crate::diagnostic::{Class, Diagnostic};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Image, InstanceSource};
use crate::model::ids::{Name, Region};

/// The most pairs of changes that are tried.
const MAX_PAIRS: usize = 400;

/// One value of the config, changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Edit {
    /// Another count.
    Count(Name, u32),
    /// One region less.
    DropRegion(Name, Region),
    /// Only this many accounts: the first of the list.
    Accounts(Name, usize),
    /// One block less.
    Drop(Block),
}

/// The same faults, with a change that would help where one or two values are enough.
pub(super) fn with_help(input: &PlanInput<'_>, mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let errors = || faults.iter().filter(|fault| fault.is_error());
    if errors().any(|fault| fault.code.class != Class::Infeasible) || errors().next().is_none() {
        return faults;
    }
    let Some(edits) = find(input) else { return faults };
    let help = edits.iter().map(|edit| edit.describe(input.desired)).collect::<Vec<_>>().join(", and ");
    if let Some(first) = faults.iter_mut().find(|fault| fault.is_error() && fault.help.is_none()) {
        first.help = Some(format!("this would do: {help}"));
    }
    faults
}

fn find(input: &PlanInput<'_>) -> Option<Vec<Edit>> {
    let candidates = candidates(input.desired);
    let works = |edits: &[&Edit]| {
        let mut desired = input.desired.clone();
        for edit in edits {
            edit.apply(&mut desired);
        }
        super::attempt(&PlanInput { desired: &desired, ..*input }).is_ok()
    };
    // The gentlest value of each kind that works: counts and accounts are searched, not guessed.
    let singles: Vec<Edit> = candidates
        .iter()
        .filter_map(|candidate| match candidate {
            Candidate::Fixed(edit) => works(&[edit]).then(|| edit.clone()),
            Candidate::Count(name, most) => {
                highest(*most as usize, &|n| works(&[&Edit::Count(name.clone(), u32::try_from(n).unwrap_or(0))]))
                    .map(|n| Edit::Count(name.clone(), u32::try_from(n).unwrap_or(0)))
            }
            Candidate::Accounts(name, most) => {
                highest(*most, &|n| works(&[&Edit::Accounts(name.clone(), n)])).map(|n| Edit::Accounts(name.clone(), n))
            }
        })
        .collect();
    if let Some(best) = singles.into_iter().min_by_key(|edit| edit.destroys(input.desired)) {
        return Some(vec![best]);
    }
    let fixed: Vec<&Edit> = candidates
        .iter()
        .filter_map(|candidate| match candidate {
            Candidate::Fixed(edit) => Some(edit),
            Candidate::Count(..) | Candidate::Accounts(..) => None,
        })
        .collect();
    let pairs = fixed.iter().enumerate().flat_map(|(n, a)| fixed.iter().skip(n + 1).map(move |b| [*a, *b]));
    pairs.take(MAX_PAIRS).find(|pair| works(pair)).map(|pair| pair.into_iter().cloned().collect())
}

/// The highest number below `most` that works, if any does; what works for a number works for all below it.
fn highest(most: usize, works: &dyn Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (1, most);
    if high <= low || !works(low) {
        return None;
    }
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if works(middle) { low = middle } else { high = middle }
    }
    Some(low)
}

enum Candidate {
    Fixed(Edit),
    Count(Name, u32),
    Accounts(Name, usize),
}

fn candidates(desired: &Desired) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (name, fleet) in &desired.fleets {
        candidates.push(Candidate::Count(name.clone(), fleet.count));
    }
    for (name, share) in &desired.shares {
        candidates.push(Candidate::Accounts(name.clone(), share.accounts.len()));
    }
    let used: BTreeSet<&Name> = desired.fleets.values().map(|fleet| &fleet.image).collect();
    let shared: BTreeSet<&Name> = desired.shares.values().map(|share| &share.image).collect();
    for (name, image) in &desired.images {
        let Image::Managed(image) = image else { continue };
        for region in image.regions.iter().flatten() {
            let used_here = desired.fleets.values().any(|fleet| fleet.image == *name && fleet.region == *region);
            if !used_here {
                candidates.push(Candidate::Fixed(Edit::DropRegion(name.clone(), region.clone())));
            }
        }
        if !used.contains(name) && !shared.contains(name) {
            candidates.push(Candidate::Fixed(Edit::Drop(Block::image(name))));
        }
    }
    for name in desired.shares.keys() {
        candidates.push(Candidate::Fixed(Edit::Drop(Block::share(name))));
    }
    let built_from: BTreeSet<&Name> = desired
        .images
        .values()
        .filter_map(|image| match image {
            Image::Managed(image) => match &image.source {
                InstanceSource::Slot { fleet, .. } => Some(fleet),
                InstanceSource::Id(_) => None,
            },
            Image::Public { .. } => None,
        })
        .collect();
    for name in desired.fleets.keys().filter(|name| !built_from.contains(name)) {
        candidates.push(Candidate::Fixed(Edit::Drop(Block::fleet(name))));
    }
    candidates
}

impl Edit {
    fn apply(&self, desired: &mut Desired) {
        match self {
            Self::Count(name, count) => {
                if let Some(fleet) = desired.fleets.get_mut(name) {
                    fleet.count = *count;
                }
            }
            Self::DropRegion(name, region) => {
                if let Some(Image::Managed(image)) = desired.images.get_mut(name)
                    && let Some(regions) = &mut image.regions
                {
                    regions.remove(region);
                }
            }
            Self::Accounts(name, count) => {
                if let Some(share) = desired.shares.get_mut(name) {
                    share.accounts = share.accounts.iter().take(*count).cloned().collect();
                }
            }
            Self::Drop(block) => match block.kind {
                Kind::Image => drop(desired.images.remove(&block.name)),
                Kind::Share => drop(desired.shares.remove(&block.name)),
                Kind::Fleet => drop(desired.fleets.remove(&block.name)),
            },
        }
    }

    fn describe(&self, desired: &Desired) -> String {
        match self {
            Self::Count(name, count) => format!("set `count: {count}` in `fleets.{name}`"),
            Self::DropRegion(name, region) => format!("take {region} out of `images.{name}.regions`"),
            Self::Accounts(name, count) => {
                let accounts = desired.shares.get(name).into_iter().flat_map(|share| &share.accounts).skip(*count);
                let accounts: Vec<&str> = accounts.map(crate::model::ids::Uin::as_str).collect();
                format!("take {} out of `shares.{name}.accounts`", accounts.join(", "))
            }
            Self::Drop(block) => format!("remove `{}.{}`", block.kind.section(), block.name),
        }
    }

    /// How much is lost by it: whole blocks last.
    fn destroys(&self, desired: &Desired) -> (u32, u32) {
        match self {
            Self::DropRegion(..) => (0, 0),
            Self::Count(name, count) => (0, desired.fleets.get(name).map_or(0, |fleet| fleet.count - count)),
            Self::Accounts(name, count) => {
                let declared = desired.shares.get(name).map_or(0, |share| share.accounts.len());
                (0, u32::try_from(declared.saturating_sub(*count)).unwrap_or(u32::MAX))
            }
            Self::Drop(block) => (1, desired.fleets.get(&block.name).map_or(1, |fleet| fleet.count)),
        }
    }
}
