//! What a plan is about, where the command line names a part of everything.
//!
//! What is left out is not planned at all: no fault of it stands in the way, and nothing of it is in the plan. So that
//! the rest still holds together, a part is always closed: with what is to be there comes what it needs, and with what
//! goes comes what needs it and goes, too. One thing is decided copy by copy instead: an image that something left out
//! runs from, or has a share of, stays.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::input::{PlanInput, Scope};
use super::shares;
use crate::diagnostic::{Diagnostic, codes};
use crate::graph::Blocks;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, InstanceSource};
use crate::model::ids::{CloudId, Name, Region, Version};
use crate::model::recorded::{Object, Recorded};
use crate::model::spec::{ImageUse, ObjectSpec};

/// Above this many, what is left out is counted and not named.
const NAMED: usize = 6;

/// Which blocks and things a plan is about.
#[derive(Clone, Debug)]
pub(super) struct Covered<'a> {
    scope: &'a Scope,
    /// Of [`Scope::Target`] and [`Scope::Rollout`] the blocks that are planned as a whole, of [`Scope::Exclude`] those that
    /// are left out.
    blocks: BTreeSet<Block>,
}

impl<'a> Covered<'a> {
    /// Everything.
    pub(super) fn everything() -> Self {
        Self { scope: &Scope::All, blocks: BTreeSet::new() }
    }

    /// What the scope names, with all that it takes to make it so.
    pub(super) fn closed(scope: &'a Scope, desired: &Desired, recorded: &Recorded, graph: &Blocks) -> Self {
        let blocks = match scope {
            Scope::All => BTreeSet::new(),
            Scope::Target(named) | Scope::Rollout(named) => with_needs(named, desired, recorded, graph),
            Scope::Exclude(named) => with_dependants(named, desired, graph),
        };
        Self { scope, blocks }
    }

    /// Just what the scope names.
    pub(super) fn named(scope: &'a Scope) -> Self {
        let Some((_, named)) = scope.named() else { return Self::everything() };
        Self { scope, blocks: named.iter().filter_map(whole).cloned().collect() }
    }

    /// Whether it is about anything of a block.
    pub(super) fn block(&self, block: &Block) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Target(named) | Scope::Rollout(named) => {
                self.blocks.contains(block) || named.iter().any(|addr| addr.block == *block)
            }
            Scope::Exclude(_) => !self.blocks.contains(block),
        }
    }

    /// Whether it is about a thing.
    pub(super) fn thing(&self, thing: &Addr) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Target(named) | Scope::Rollout(named) => {
                self.blocks.contains(&thing.block) || named.iter().any(|addr| addr.names(thing))
            }
            Scope::Exclude(named) => !self.blocks.contains(&thing.block) && !named.iter().any(|addr| addr.names(thing)),
        }
    }

    /// Whether a thing must not be made, not even for what needs it.
    pub(super) fn bars(&self, thing: &Addr) -> bool {
        matches!(self.scope, Scope::Exclude(_)) && !self.thing(thing)
    }
}

/// The block that an address names as a whole.
fn whole(addr: &Addr) -> Option<&Block> {
    (*addr == Addr::of(addr.block.clone())).then_some(&addr.block)
}

fn is_declared(desired: &Desired, block: &Block) -> bool {
    match block.kind {
        Kind::Image => desired.images.contains_key(&block.name),
        Kind::Share => desired.shares.contains_key(&block.name),
        Kind::Fleet => desired.fleets.contains_key(&block.name),
    }
}

/// All that can be reached from some blocks.
fn reached(from: Vec<Block>, next: impl Fn(&Block) -> Vec<Block>) -> BTreeSet<Block> {
    let mut found: BTreeSet<Block> = from.iter().cloned().collect();
    let mut open = from;
    while let Some(block) = open.pop() {
        open.extend(next(&block).into_iter().filter(|other| found.insert(other.clone())));
    }
    found
}

/// Blocks that are planned as a whole: those that are named so, and what the named ones need; of those that go, what
/// goes as well and needs them.
fn with_needs(named: &BTreeSet<Addr>, desired: &Desired, recorded: &Recorded, graph: &Blocks) -> BTreeSet<Block> {
    let mut users: BTreeMap<&Block, Vec<&Block>> = BTreeMap::new();
    for (user, used) in recorded.edges.iter().filter(|(user, _)| !is_declared(desired, user)) {
        users.entry(used).or_default().push(user);
    }
    let next = |block: &Block| -> Vec<Block> {
        if is_declared(desired, block) {
            graph.needs(block).cloned().collect()
        } else {
            users.get(block).into_iter().flatten().copied().cloned().collect()
        }
    };
    let mut start: Vec<Block> = named.iter().filter_map(whole).cloned().collect();
    start.extend(named.iter().filter(|addr| whole(addr).is_none()).flat_map(|addr| next(&addr.block)));
    reached(start, next)
}

/// Blocks that are left out as a whole: those that are named so, what needs them, and what is captured from a slot that
/// is left out.
fn with_dependants(named: &BTreeSet<Addr>, desired: &Desired, graph: &Blocks) -> BTreeSet<Block> {
    let mut start: Vec<Block> = named.iter().filter_map(whole).cloned().collect();
    for (name, image) in &desired.images {
        let Some(capture) = image.managed().and_then(|image| image.capture()) else { continue };
        if let InstanceSource::Slot { fleet, slot } = &capture.source {
            let source = Addr::slot(Block::fleet(fleet), *slot);
            if named.iter().any(|addr| Addr { generation: None, ..addr.clone() }.covers(&source)) {
                start.push(Block::image(name));
            }
        }
    }
    reached(start, |block| graph.needed_by(block).cloned().collect())
}

/// What of config and state a plan of this scope looks at: all blocks that it is about. `None`: everything.
#[must_use]
pub fn looked_at(
    scope: &Scope,
    refresh_only: bool,
    desired: &Desired,
    recorded: &Recorded,
) -> Option<(Desired, Recorded)> {
    let covered = match (scope, refresh_only) {
        (Scope::All, _) => return None,
        (_, true) => Covered::named(scope),
        (_, false) => Covered::closed(scope, desired, recorded, &Blocks::of(desired)),
    };
    let (mut desired, mut recorded) = (desired.clone(), recorded.clone());
    desired.images.retain(|name, _| covered.block(&Block::image(name)));
    desired.shares.retain(|name, _| covered.block(&Block::share(name)));
    desired.fleets.retain(|name, _| covered.block(&Block::fleet(name)));
    recorded.objects.retain(|object| covered.block(&object.addr.block));
    Some((desired, recorded))
}

/// What is left out and uses images: their copies stay.
#[derive(Default)]
pub(super) struct Users<'a> {
    /// What runs from a capture of a version, by region.
    slots: BTreeMap<(&'a Name, &'a Version, u32, &'a Region), &'a Object>,
    /// Shares of a copy.
    shares: BTreeMap<(&'a Region, &'a CloudId), &'a Object>,
}

impl<'a> Users<'a> {
    pub(super) fn of(draft: &Draft<'a>) -> Self {
        let mut users = Self::default();
        if draft.covers_everything() {
            return users;
        }
        let shares = draft.rows_of(Kind::Share).filter(|row| {
            let copy = shares::image_of(draft, row);
            copy.is_some_and(|copy| !shares::heir_planned(draft, &row.addr.block, copy))
        });
        users.shares.extend(shares.map(|row| ((&row.region, &row.cloud_id), row)));
        for row in draft.input.recorded.objects.iter().filter(|row| !draft.plans(&row.full_addr())) {
            match row.spec.as_ref() {
                ObjectSpec::Slot(spec) => {
                    if let ImageUse::Made { image, version, generation } = &spec.image {
                        users.slots.entry((image, version, *generation, &row.region)).or_insert(row);
                    }
                }
                ObjectSpec::Share(_) => drop(users.shares.insert((&row.region, &row.cloud_id), row)),
                ObjectSpec::Image(_) => {}
            }
        }
        users
    }

    /// Something that is left out and uses this copy of an image.
    pub(super) fn any(&self, copy: &Object) -> Option<&'a Object> {
        let Addr { block, version: Some(version), .. } = &copy.addr else { return None };
        let runs = self.slots.get(&(&block.name, version, copy.generation, &copy.region));
        runs.or_else(|| self.shares.get(&(&copy.region, &copy.cloud_id))).copied()
    }
}

/// Says that a copy stays, for something that is left out uses it.
pub(super) fn stays(draft: &mut Draft<'_>, copy: &Object, user: &Object) {
    let how = match user.spec.as_ref() {
        ObjectSpec::Slot(_) => "runs from it",
        ObjectSpec::Share(_) | ObjectSpec::Image(_) => "is a share of it",
    };
    draft.notes.push(
        Diagnostic::note(codes::PARTIAL_PLAN, format!("{} stays", copy.full_addr()))
            .why(format!("{} {how}, and is left out of this plan", user.full_addr())),
    );
}

/// Says at the end that the plan is about a part only, and refuses what names nothing that there is.
pub(super) fn tell(draft: &mut Draft<'_>) {
    let scope = &draft.input.options.asked.scope;
    let Some((option, named)) = scope.named() else { return };
    let is_target = match scope {
        Scope::All | Scope::Rollout(_) => return,
        Scope::Target(_) => true,
        Scope::Exclude(_) => false,
    };
    let PlanInput { desired, recorded, .. } = draft.input;
    for addr in named {
        let version_is_new = || match draft.current.get(&image_of(desired, &addr.block)) {
            Some(current) => addr.version.as_ref() == Some(&current.version),
            // It could not be planned.
            None => !draft.input.options.refresh_only,
        };
        let recorded = || recorded.objects.iter().any(|object| addr.names(&object.full_addr()));
        if addr.version.is_some() && !recorded() && !version_is_new() {
            draft.faults.push(
                Diagnostic::error(codes::USAGE, format!("{option} {addr}: there is no such version, and none is made"))
                    .help(format!("`fleetwright state list {}` lists the versions that there are", addr.block)),
            );
        }
    }
    let declared = [
        (Kind::Image, desired.images.keys().collect::<Vec<_>>()),
        (Kind::Share, desired.shares.keys().collect()),
        (Kind::Fleet, desired.fleets.keys().collect()),
    ];
    let declared = declared.into_iter().flat_map(|(kind, names)| names.into_iter().map(move |name| (kind, name)));
    let mut blocks: BTreeSet<Block> = declared.map(|(kind, name)| Block::new(kind, name.clone())).collect();
    blocks.extend(draft.objects.keys().map(|block| (*block).clone()));
    let (inside, outside): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| draft.covered.block(block) && !draft.left_out.contains(block));
    let names = list(named.iter());
    let unnamed = |block: &&Block| !named.iter().any(|addr| addr.block == **block);
    let with_it: Vec<&Block> = if is_target { &inside } else { &outside }.iter().filter(unnamed).collect();
    let (what, follows) = match is_target {
        true => (names, "with it comes what belongs to it"),
        false => (format!("all but {names}"), "left out with it, for they need it"),
    };
    let mut note = Diagnostic::warning(codes::PARTIAL_PLAN, format!("this plan is about a part only: {what}"));
    if !with_it.is_empty() {
        note = note.why(format!("{follows}: {}", list(with_it)));
    }
    if is_target && !outside.is_empty() {
        note = note.why(format!("left out: {}", list(&outside)));
    }
    draft.notes.push(note.help(format!("a plan without {option} shows what is left to do")));
}

/// The image that versions in the address of a block are of.
fn image_of(desired: &Desired, block: &Block) -> Name {
    let share = desired.shares.get(&block.name).filter(|_| block.kind == Kind::Share);
    share.map_or_else(|| block.name.clone(), |share| share.image.clone())
}

fn list<T: ToString>(things: impl IntoIterator<Item = T>) -> String {
    let mut names: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let names = names.join(", ");
    if more > 0 { format!("{names}, and {more} more") } else { names }
}
