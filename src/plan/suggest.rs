//! A change of the config that would make room where a quota or a cap leaves none. It is named only after planning with
//! it: the fewest values first, then what destroys least, then what takes least away.

use std::collections::BTreeSet;

use super::input::PlanInput;
use super::{Refused, attempt};
use crate::diagnostic::{Class, Diagnostic, codes};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Image, Source};
use crate::model::ids::{Name, Region, Uin};

/// Above this many slots nothing is tried: each trial is a whole plan.
const MAX_SLOTS: usize = 20_000;
/// The most plans that are tried, and the most slots that they have together.
const MAX_TRIALS: usize = 400;
const MAX_TRIED_SLOTS: usize = 1_000_000;
/// What a plan costs beside its slots, in slots.
const PLAN_SLOTS: usize = 200;

/// One change of the config.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Edit {
    /// Another count.
    Count(Name, u32),
    /// One region less.
    DropRegion(Name, Region),
    /// Fewer older versions.
    Keep(Name, u32),
    /// These accounts less.
    Accounts(Name, BTreeSet<Uin>),
    /// One block less.
    Drop(Block),
}

/// The same faults, with a change that would help where one or two values are enough.
pub(super) fn with_help(input: &PlanInput<'_>, refused: Refused) -> Vec<Diagnostic> {
    let Refused { mut faults, blocks } = refused;
    let limited =
        |fault: &Diagnostic| [codes::IMAGE_QUOTA, codes::INSTANCE_QUOTA, codes::SHARE_CAP].contains(&fault.code);
    let mut errors = faults.iter().filter(|fault| fault.is_error()).peekable();
    if errors.peek().is_none() || !errors.all(|fault| fault.code.class == Class::Infeasible && limited(fault)) {
        return faults;
    }
    let help = help(input, &blocks);
    if let Some(first) = faults.iter_mut().find(|fault| fault.is_error() && fault.help.is_none()) {
        first.help = Some(help);
    }
    faults
}

fn help(input: &PlanInput<'_>, blocks: &BTreeSet<Block>) -> String {
    let declared: usize = input.desired.fleets.values().map(|fleet| fleet.count as usize).sum();
    let slots = declared.max(input.recorded.objects.len());
    if slots > MAX_SLOTS {
        return format!(
            "make something smaller, or ask for a higher quota; with {slots} slots no change was looked for"
        );
    }
    let left = MAX_TRIALS.min(MAX_TRIED_SLOTS / (slots + PLAN_SLOTS));
    let mut trials = Trials { input, left };
    match trials.best(candidates(input, blocks)) {
        Some(edits) => {
            let edits: Vec<String> = edits.iter().map(Edit::describe).collect();
            format!("this would do: {}", edits.join(", and "))
        }
        None => "no change of one or two values would do: ask for a higher quota, or delete what is not in the config"
            .into(),
    }
}

/// Something that can be changed, and how far.
#[derive(Clone, Debug)]
enum Candidate {
    Fixed(Edit),
    /// A count, from the least that may be.
    Count {
        fleet: Name,
        least: u32,
        now: u32,
    },
    /// How many older versions stay, fewer than now.
    Keep {
        image: Name,
        now: u32,
    },
    /// A list of accounts, those that are given up last in front.
    Accounts {
        share: Name,
        accounts: Vec<Uin>,
    },
}

impl Candidate {
    /// The most of it that can be kept while something is taken away, counted from 0.
    fn most(&self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::Count { least, now, .. } => (now - least - 1) as usize,
            Self::Keep { now, .. } => (now - 1) as usize,
            Self::Accounts { accounts, .. } => accounts.len() - 2,
        }
    }

    /// The same beside what else is changed: a slot that an image is captured from stays. `None`: nothing can be changed.
    fn beside(&self, desired: &Desired) -> Option<Self> {
        let Self::Count { fleet, least, now } = self else { return Some(self.clone()) };
        let least = captured_slots(desired, fleet).max().map_or(*least, |slot| slot + 1);
        (least < *now).then(|| Self::Count { fleet: fleet.clone(), least, now: *now })
    }

    /// The edit that keeps so much, counted from 0.
    fn at(&self, kept: usize) -> Edit {
        match self {
            Self::Fixed(edit) => edit.clone(),
            Self::Count { fleet, least, .. } => {
                Edit::Count(fleet.clone(), least + u32::try_from(kept).unwrap_or(u32::MAX - least))
            }
            Self::Keep { image, .. } => Edit::Keep(image.clone(), u32::try_from(kept).unwrap_or(u32::MAX)),
            Self::Accounts { share, accounts } => {
                Edit::Accounts(share.clone(), accounts.iter().skip(kept + 1).cloned().collect())
            }
        }
    }
}

/// The changes that can help; those of the blocks that take too much come first.
fn candidates(input: &PlanInput<'_>, blocks: &BTreeSet<Block>) -> Vec<Candidate> {
    let desired = input.desired;
    let mut candidates: Vec<(bool, Candidate)> = Vec::new();
    let mut add = |block: &Block, candidate: Candidate| candidates.push((!blocks.contains(block), candidate));
    for (name, fleet) in &desired.fleets {
        let block = Block::fleet(name);
        // No fleet is emptied by its count.
        if fleet.count > 1 {
            add(&block, Candidate::Count { fleet: name.clone(), least: 1, now: fleet.count });
        }
        add(&block, Candidate::Fixed(Edit::Drop(block.clone())));
    }
    for (name, share) in &desired.shares {
        let block = Block::share(name);
        if share.accounts.len() > 1 {
            let accounts = by_worth(input, share);
            add(&block, Candidate::Accounts { share: name.clone(), accounts });
        }
        add(&block, Candidate::Fixed(Edit::Drop(block.clone())));
    }
    for (name, image) in &desired.images {
        let Image::Managed(image) = image else { continue };
        let block = Block::image(name);
        // What was older than that has gone already.
        let there = older_versions(input, &block);
        if image.keep.min(there) > 0 {
            add(&block, Candidate::Keep { image: name.clone(), now: image.keep.min(there) });
        }
        for region in image.regions.iter().flatten() {
            add(&block, Candidate::Fixed(Edit::DropRegion(name.clone(), region.clone())));
        }
        add(&block, Candidate::Fixed(Edit::Drop(block.clone())));
    }
    candidates.sort_by_key(|(other, _)| *other);
    candidates.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How many versions of an image the state has beside one.
fn older_versions(input: &PlanInput<'_>, block: &Block) -> u32 {
    let rows = input.recorded.objects.iter().filter(|object| object.addr.block == *block && !object.addr.is_builder());
    let versions: BTreeSet<_> = rows.filter_map(|object| object.addr.version.as_ref()).collect();
    u32::try_from(versions.len()).unwrap_or(u32::MAX)
}

fn captured_slots<'d>(desired: &'d Desired, fleet: &'d Name) -> impl Iterator<Item = u32> + 'd {
    let slots = desired.images.values().filter_map(Image::builder);
    slots.filter(move |(from, _)| *from == fleet).map(|(_, slot)| slot)
}

/// The accounts of a share, those first that have the image already: nobody should lose what he has.
fn by_worth(input: &PlanInput<'_>, share: &crate::model::desired::Share) -> Vec<Uin> {
    let has: BTreeSet<&Uin> = input
        .recorded
        .objects
        .iter()
        .filter(|object| object.kind() == Kind::Image && object.addr.block.name == share.image)
        .filter_map(|object| input.observed.by_region.get(&object.region)?.shares.get(object.cloud_id.image()?))
        .flatten()
        .collect();
    let (mut accounts, new): (Vec<Uin>, Vec<Uin>) = share.accounts.iter().cloned().partition(|uin| has.contains(uin));
    accounts.extend(new);
    accounts
}

/// What a plan with some edits costs; less is better.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Cost {
    /// Things that are destroyed or reset.
    destroys: u32,
    /// Whole blocks that are given up.
    blocks: usize,
    /// Slots and accounts that are given up.
    lost: u32,
}

struct Trials<'a> {
    input: &'a PlanInput<'a>,
    left: usize,
}

impl Trials<'_> {
    /// The config with some edits.
    fn with(&self, edits: &[Edit]) -> Desired {
        let mut desired = self.input.desired.clone();
        for edit in edits {
            edit.apply(&mut desired);
        }
        desired
    }

    /// Plans with some edits.
    fn cost(&mut self, edits: &[Edit]) -> Option<Cost> {
        let desired = self.with(edits);
        if !whole(&desired) || desired == *self.input.desired {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let plan = attempt(&PlanInput { desired: &desired, ..*self.input }).ok()?;
        let counts = plan.counts();
        Some(Cost {
            destroys: counts.destroy + counts.reset,
            blocks: edits.iter().filter(|edit| matches!(edit, Edit::Drop(_))).count(),
            lost: edits.iter().map(|edit| edit.loses(self.input.desired)).sum(),
        })
    }

    /// The most of a candidate that can be kept beside some edits.
    fn gentlest(&mut self, candidate: &Candidate, beside: &[Edit]) -> Option<(Edit, Cost)> {
        let candidate = candidate.beside(&self.with(beside))?;
        let mut with = |kept: usize| {
            let edit = candidate.at(kept);
            let edits: Vec<Edit> = beside.iter().chain([&edit]).cloned().collect();
            self.cost(&edits).map(|cost| (edit, cost))
        };
        let mut best = with(0)?;
        // Most often little is too much: the steps grow from the top down, and are halved from there.
        let (mut low, mut high) = (0, candidate.most() + 1);
        let mut stride = 1;
        while high - low > 1 {
            let next = if stride == 0 { usize::midpoint(low, high) } else { high.saturating_sub(stride).max(low + 1) };
            match with(next) {
                Some(found) => (best, low, stride) = (found, next, 0),
                None => (high, stride) = (next, 2 * stride),
            }
        }
        Some(best)
    }

    fn best(&mut self, candidates: Vec<Candidate>) -> Option<Vec<Edit>> {
        let mut best: Option<(Cost, Vec<Edit>)> = None;
        for candidate in &candidates {
            if let Some((edit, cost)) = self.gentlest(candidate, &[]) {
                better(&mut best, cost, vec![edit]);
            }
        }
        if best.is_some() {
            return best.map(|(_, edits)| edits);
        }
        // Pairs of the foremost first.
        let mut pairs: Vec<(usize, usize)> = (0..candidates.len()).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
        pairs.sort_by_key(|(a, b)| (a + b, *b));
        for (a, b) in pairs {
            if self.left == 0 {
                break;
            }
            let (a, b) = (&candidates[a], &candidates[b]);
            // The first as far as the second can help it, then the second beside the first.
            let Some(least) = b.beside(&self.with(&[a.at(0)])).map(|b| b.at(0)) else { continue };
            let Some((first, _)) = self.gentlest(a, &[least]) else { continue };
            if let Some((second, cost)) = self.gentlest(b, std::slice::from_ref(&first)) {
                better(&mut best, cost, vec![first, second]);
            }
        }
        best.map(|(_, edits)| edits)
    }
}

fn better(best: &mut Option<(Cost, Vec<Edit>)>, cost: Cost, edits: Vec<Edit>) {
    if best.as_ref().is_none_or(|(least, _)| cost < *least) {
        *best = Some((cost, edits));
    }
}

/// Whether every reference leads somewhere: what the config's reader would refuse is not suggested.
fn whole(desired: &Desired) -> bool {
    let fleets = desired.fleets.values().all(|fleet| desired.images.contains_key(&fleet.image));
    let shares = desired.shares.values().all(|share| desired.images.contains_key(&share.image));
    let sources = desired.images.values().filter_map(Image::builder);
    let sources =
        sources.into_iter().all(|(fleet, slot)| desired.fleets.get(fleet).is_some_and(|fleet| slot < fleet.count));
    let managed = || desired.images.values().filter_map(Image::managed);
    let copied = managed().all(|image| match &image.source {
        Source::Copy(copy) => desired.images.contains_key(&copy.image),
        Source::Build(build) => desired.images.contains_key(&build.base),
        Source::Capture(_) | Source::Import(_) => true,
    });
    let sources = sources && copied;
    let regions = managed().all(|image| image.regions.as_ref().is_none_or(|regions| !regions.is_empty()));
    fleets && shares && sources && regions
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
            Self::Keep(name, keep) => {
                if let Some(Image::Managed(image)) = desired.images.get_mut(name) {
                    image.keep = *keep;
                }
            }
            Self::Accounts(name, fewer) => {
                if let Some(share) = desired.shares.get_mut(name) {
                    share.accounts.retain(|uin| !fewer.contains(uin));
                }
            }
            Self::Drop(block) => match block.kind {
                Kind::Image => drop(desired.images.remove(&block.name)),
                Kind::Share => drop(desired.shares.remove(&block.name)),
                Kind::Fleet => drop(desired.fleets.remove(&block.name)),
            },
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Count(name, count) => format!("set `count: {count}` in `fleets.{name}`"),
            Self::DropRegion(name, region) => format!("take {region} out of `images.{name}.regions`"),
            Self::Keep(name, keep) => format!("set `keep: {keep}` in `images.{name}`"),
            Self::Accounts(name, fewer) => {
                let fewer: Vec<&str> = fewer.iter().map(Uin::as_str).collect();
                format!("take {} out of `shares.{name}.accounts`", fewer.join(", "))
            }
            Self::Drop(block) => format!("remove `{}.{}`", block.kind.section(), block.name),
        }
    }

    /// How many slots and accounts are given up.
    fn loses(&self, desired: &Desired) -> u32 {
        let of = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let fleet = |name: &Name| desired.fleets.get(name).map_or(0, |fleet| fleet.count);
        match self {
            Self::Count(name, count) => fleet(name).saturating_sub(*count),
            Self::DropRegion(..) => 1,
            Self::Keep(name, keep) => {
                let now = desired.images.get(name).and_then(Image::managed).map_or(0, |image| image.keep);
                now.saturating_sub(*keep)
            }
            Self::Accounts(_, fewer) => of(fewer.len()),
            Self::Drop(block) => match block.kind {
                Kind::Fleet => fleet(&block.name),
                Kind::Share => desired.shares.get(&block.name).map_or(0, |share| of(share.accounts.len())),
                Kind::Image => 1,
            },
        }
    }
}
