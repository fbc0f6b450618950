//! How the tree comes of config and state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Branch, Edition, Lack, Place, State, Tree};
use crate::cloud::call::{Arg, StepId};
use crate::graph::Blocks;
use crate::model::addr::{Block, Kind};
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Image, InstanceSource, ManagedImage, Source};
use crate::model::ids::{CloudId, ImageId, Name, Region, Uin, Version};
use crate::model::observed::{ImageState, Observed, Seen};
use crate::model::pins::PinKey;
use crate::model::recorded::{Object, Recorded, Status};
use crate::model::rollout::Hold;
use crate::model::spec::{ImageUse, ObjectSpec, ShareCopySpec};
use crate::plan::draft::{Draft, ImageAt, Nature};
use crate::plan::images::{Worth, marked_as_old, wanted};
use crate::plan::input::PlanInput;
use crate::plan::revoked::Revoked;
use crate::plan::scope::Covered;

/// The tree. `seen` is what the cloud was seen to hold, where somebody looked.
#[must_use]
pub fn tree(input: &PlanInput<'_>, seen: Option<&Observed>) -> Tree {
    let mut draft = Draft::new(input, Covered::everything());
    let asked = asked(&mut draft);
    let uses = Uses::of(input);
    let revoked = Revoked::of(input);
    let mut branches: BTreeMap<Name, Branch> = BTreeMap::new();
    let names: BTreeSet<&Name> = input
        .desired
        .images
        .keys()
        .chain(input.recorded.objects.iter().filter(|row| row.kind() == Kind::Image).map(|row| &row.addr.block.name))
        .collect();
    for name in names {
        let branch = match input.desired.images.get(name) {
            Some(Image::Managed(image)) => managed(input, name, Some(image), asked.get(name), (&uses, &revoked, seen)),
            Some(image) => found(&draft, name, image, &uses, seen),
            None => managed(input, name, None, None, (&uses, &revoked, seen)),
        };
        branches.insert(name.clone(), branch);
    }
    nested(input, branches)
}

/// The images of others that a look at the cloud tells more of.
#[must_use]
pub fn looked_up(input: &PlanInput<'_>) -> BTreeSet<(Region, ImageId)> {
    let mut draft = Draft::new(input, Covered::everything());
    resolve(&mut draft);
    draft.images.iter().filter_map(|((_, region), at)| Some((region.clone(), at.id.known()?.clone()))).collect()
}

/// What the config asks for of an image of ours.
struct Asked {
    version: Version,
    home: Region,
    /// Whether there is such a version.
    there: bool,
}

/// Enters what look-ups found before, and what is given by its id.
fn resolve(draft: &mut Draft<'_>) {
    let PlanInput { desired, pins, promotions, .. } = draft.input;
    let home = &desired.cloud.region;
    for (name, image) in &desired.images {
        let fleets = desired.fleets.values().filter(|fleet| fleet.image == *name);
        let regions: BTreeSet<&Region> = fleets.map(|fleet| &fleet.region).chain([home]).collect();
        for region in regions {
            let use_ = match image {
                Image::Public { name } => {
                    let key = PinKey {
                        endpoint: desired.cloud.provider.endpoint().to_owned(),
                        account: desired.cloud.account.clone(),
                        region: region.clone(),
                        name: name.clone(),
                    };
                    pins.get(&key).map(|pin| (ImageUse::Found { id: pin.id.clone() }, pin.id.clone()))
                }
                Image::Shared { id, .. } | Image::Marketplace { id } => {
                    (region == home).then(|| (ImageUse::Found { id: id.clone() }, id.clone()))
                }
                Image::Promoted { from, dir: _ } => promotions.get(name).and_then(|promotion| {
                    let offer = promotion.offer();
                    let edition = promotion.before().or_else(|| offer?.current.as_ref())?;
                    let pinned = promotion.pinned.get(region).filter(|pin| pin.edition == *edition);
                    let offered = offer.and_then(|offer| offer.copy(edition, region)).map(|copy| &copy.id);
                    let id = offered.or(pinned.map(|pin| &pin.id))?;
                    Some((ImageUse::Promoted { from: from.clone(), edition: edition.clone() }, id.clone()))
                }),
                Image::Managed(_) => None,
            };
            if let Some((use_, id)) = use_ {
                let at =
                    ImageAt { use_, id: Arg::Known(id), ready: Vec::new(), size_gib: 0, nature: Nature::default() };
                draft.images.insert((name.clone(), region.clone()), at);
            }
        }
    }
}

/// What the config asks for of each image of ours, as far as config, state and pins tell.
fn asked(draft: &mut Draft<'_>) -> BTreeMap<Name, Asked> {
    resolve(draft);
    let mut all = BTreeMap::new();
    let graph = Blocks::of(draft.input.desired);
    for block in graph.order().unwrap_or_default() {
        let Some((name, Image::Managed(image))) = draft.input.desired.images.get_key_value(&block.name) else {
            continue;
        };
        if block.kind != Kind::Image {
            continue;
        }
        let Some((version, home)) = wanted(draft, name, image) else { continue };
        let rows = draft.objects_of(block);
        let generation =
            rows.iter().filter(|row| row.addr.version.as_ref() == Some(&version)).map(|row| row.generation).max();
        let regions = image.regions.iter().flatten().chain([&home]);
        for region in regions {
            let (image, version) = (name.clone(), version.clone());
            let use_ = ImageUse::Made { image, version, generation: generation.unwrap_or(1) };
            // Nobody asks for the id: what comes of it is named by the version.
            let id = Arg::Output { step: StepId(u32::MAX), target: 0 };
            let at = ImageAt { use_, id, ready: Vec::new(), size_gib: 0, nature: Nature::default() };
            draft.images.insert((name.clone(), region.clone()), at);
        }
        all.insert(name.clone(), Asked { version, home, there: generation.is_some() });
    }
    all
}

/// Who uses what.
struct Uses<'a> {
    /// How many instances of a fleet run from an image in a region.
    running: BTreeMap<(&'a ImageUse, &'a Region), BTreeMap<&'a Name, u32>>,
    /// The accounts that a copy is shared with.
    accounts: BTreeMap<(&'a Region, &'a CloudId), BTreeSet<Uin>>,
    /// Fleets that the next plan leaves with what they run from.
    held: BTreeSet<&'a Name>,
}

impl<'a> Uses<'a> {
    fn of(input: &PlanInput<'a>) -> Self {
        let PlanInput { desired, recorded, .. } = input;
        let mut uses = Self { running: BTreeMap::new(), accounts: BTreeMap::new(), held: BTreeSet::new() };
        for row in &recorded.objects {
            match row.spec.as_ref() {
                ObjectSpec::Slot(spec) => {
                    let fleets = uses.running.entry((&spec.image, &row.region)).or_default();
                    *fleets.entry(&row.addr.block.name).or_default() += 1;
                }
                ObjectSpec::Share(ShareCopySpec { accounts }) => {
                    let known = uses.accounts.entry((&row.region, &row.cloud_id)).or_default();
                    known.extend(accounts.iter().cloned());
                }
                ObjectSpec::Image(_) => {}
            }
        }
        uses.held = desired
            .fleets
            .iter()
            .filter(|(name, fleet)| {
                let held = recorded.rollouts.get(&Block::fleet(name)).map(|rollout| rollout.phase.hold());
                fleet.ignore_changes.contains(&FleetAttr::Image) || held.is_some_and(|hold| hold != Hold::None)
            })
            .map(|(name, _)| name)
            .collect();
        uses
    }

    fn fleets(&self, image: &ImageUse, region: &Region) -> BTreeMap<Name, u32> {
        let fleets = self.running.get(&(image, region)).into_iter().flatten();
        fleets.map(|(name, count)| ((*name).clone(), *count)).collect()
    }

    /// Whether something runs from an image that the next plan leaves with it.
    fn stays(&self, image: &ImageUse) -> bool {
        self.running
            .iter()
            .filter(|((of, _), _)| *of == image)
            .any(|(_, fleets)| fleets.keys().any(|fleet| self.held.contains(*fleet)))
    }
}

/// What was seen of an image: its size, and what it lacks.
fn looked(seen: Option<&Observed>, region: &Region, id: &ImageId) -> (Option<u32>, Option<Lack>) {
    match seen.and_then(|seen| seen.image(region, id)) {
        Some(Seen::Present(image)) => {
            let lack = match image.state {
                ImageState::Normal => None,
                ImageState::Creating | ImageState::Syncing | ImageState::Importing | ImageState::Other(_) => {
                    Some(Lack::UnderWay)
                }
                ImageState::CreateFailed | ImageState::ImportFailed => Some(Lack::Failed),
            };
            (Some(image.size_gib).filter(|size| *size > 0), lack)
        }
        Some(Seen::Absent { .. }) => (None, Some(Lack::Gone)),
        None => (None, None),
    }
}

/// What is looked up: where it is found, and what runs from it.
fn found(draft: &Draft<'_>, name: &Name, image: &Image, uses: &Uses<'_>, seen: Option<&Observed>) -> Branch {
    let about = match image {
        Image::Public { name } => format!("public, {name}"),
        Image::Shared { id: _, owner } => format!("shared by {owner}"),
        Image::Marketplace { .. } => "of the marketplace".to_owned(),
        Image::Promoted { from, dir: _ } => format!("promoted from {from}"),
        Image::Managed(_) => String::new(),
    };
    // What runs from another one that was pinned before is told as well.
    let mut places: BTreeSet<(Region, ImageUse, Option<ImageId>)> = BTreeSet::new();
    for ((block, region), at) in &draft.images {
        if block == name {
            places.insert((region.clone(), at.use_.clone(), at.id.known().cloned()));
        }
    }
    let fleets: BTreeSet<&Name> =
        draft.input.desired.fleets.iter().filter(|(_, fleet)| fleet.image == *name).map(|(fleet, _)| fleet).collect();
    for ((use_, region), of) in &uses.running {
        let id = match use_ {
            ImageUse::Found { id } => Some(id.clone()),
            ImageUse::Promoted { .. } => None,
            ImageUse::Made { .. } => continue,
        };
        let known = places.iter().any(|(at, known, _)| at == *region && known == *use_);
        if !known && of.keys().any(|fleet| fleets.contains(*fleet)) {
            places.insert(((*region).clone(), (*use_).clone(), id));
        }
    }
    let places = places.into_iter().map(|(region, use_, id)| {
        let (size_gib, lacks) = id.as_ref().map(|id| looked(seen, &region, id)).unwrap_or_default();
        let fleets = uses.fleets(&use_, &region);
        Place { region, id, lacks, size_gib, going: false, fleets, accounts: BTreeSet::new() }
    });
    Branch {
        block: Block::image(name),
        about,
        declared: true,
        keep: None,
        found: places.collect(),
        versions: Vec::new(),
        next: None,
        children: Vec::new(),
    }
}

type Known<'a> = (&'a Uses<'a>, &'a Revoked<'a>, Option<&'a Observed>);

/// An image of ours, with its versions.
fn managed(
    input: &PlanInput<'_>,
    name: &Name,
    image: Option<&ManagedImage>,
    asked: Option<&Asked>,
    (uses, revoked, seen): Known<'_>,
) -> Branch {
    let block = Block::image(name);
    let mut rows: BTreeMap<(&Version, u32), Vec<&Object>> = BTreeMap::new();
    for row in input.recorded.objects.iter().filter(|row| row.addr.block == block) {
        if let Some(version) = &row.addr.version {
            rows.entry((version, row.generation)).or_default().push(row);
        }
    }
    // Copies that somebody deleted leave their instances behind.
    for (use_, _) in uses.running.keys() {
        if let ImageUse::Made { image, version, generation } = use_
            && image == name
        {
            rows.entry((version, *generation)).or_default();
        }
    }
    let current = image.and_then(|_| current(&rows, asked));
    let wanted_in: BTreeSet<&Region> = match (image.and_then(|image| image.regions.as_ref()), asked) {
        (Some(regions), _) => regions.iter().collect(),
        (None, Some(asked)) => BTreeSet::from([&asked.home]),
        (None, None) => rows.values().flatten().map(|row| &row.region).collect(),
    };
    let mut editions: Vec<Edition> = rows
        .iter()
        .map(|((version, generation), rows)| {
            let is_current = current == Some((*version, *generation));
            edition(input.recorded, (name, version, *generation), rows, (is_current, &wanted_in), (uses, revoked, seen))
        })
        .collect();
    editions.sort_by(|a, b| (b.made_ms, b.generation, &b.version).cmp(&(a.made_ms, a.generation, &a.version)));
    stand(&mut editions, (input.recorded, name, image), (uses, revoked));
    Branch {
        block,
        about: image.map_or_else(|| "not in the config".to_owned(), about),
        declared: image.is_some(),
        keep: image.map(|image| image.keep),
        found: Vec::new(),
        versions: editions,
        next: asked.filter(|asked| !asked.there).map(|asked| asked.version.clone()),
        children: Vec::new(),
    }
}

fn about(image: &ManagedImage) -> String {
    match &image.source {
        Source::Capture(capture) => match &capture.source {
            InstanceSource::Slot { fleet, slot } => format!("captured from fleet.{fleet}[{slot}]"),
            InstanceSource::Id(id) => format!("captured from {id}"),
        },
        Source::Build(build) => format!("built on image.{}", build.base),
        Source::Import(import) => format!("imported, {} {}", import.os, import.os_version),
        Source::Copy(copy) if copy.encryption.is_some() => "an encrypted copy".to_owned(),
        Source::Copy(_) => "a copy".to_owned(),
    }
}

/// Which version is current: what the config asks for, where it is there, and else what the last apply left.
fn current<'a>(
    rows: &BTreeMap<(&'a Version, u32), Vec<&'a Object>>,
    asked: Option<&Asked>,
) -> Option<(&'a Version, u32)> {
    let named = |asked: &Asked| rows.keys().rev().find(|(version, _)| **version == asked.version).copied();
    asked.and_then(named).or_else(|| {
        let there = rows.iter().filter(|(_, rows)| !rows.is_empty());
        let newest = there.max_by_key(|(_, rows)| {
            let accepted = rows.iter().map(|row| row.accepted_ms).min();
            (!rows.iter().any(|row| marked_as_old(row)), accepted)
        });
        newest.map(|(key, _)| *key)
    })
}

/// One version, before it is told whether it stays.
fn edition(
    recorded: &Recorded,
    (image, version, generation): (&Name, &Version, u32),
    rows: &[&Object],
    (is_current, wanted_in): (bool, &BTreeSet<&Region>),
    (uses, revoked, seen): Known<'_>,
) -> Edition {
    let use_ = &ImageUse::Made { image: image.clone(), version: version.clone(), generation };
    let record = recorded
        .versions
        .iter()
        .find(|record| record.block.name == *image && record.version == *version && record.generation == generation);
    let accepted = rows.iter().map(|row| row.accepted_ms).min();
    let mut copies: Vec<Place> = rows
        .iter()
        .map(|row| {
            let (size_gib, lacks) = row.cloud_id.image().map(|id| looked(seen, &row.region, id)).unwrap_or_default();
            let remembered = match row.status {
                Status::Creating => Some(Lack::UnderWay),
                Status::Ready => None,
                Status::Failed => Some(Lack::Failed),
                Status::Deleting => Some(Lack::Leaving),
            };
            Place {
                region: row.region.clone(),
                id: row.cloud_id.image().cloned(),
                lacks: lacks.or(remembered),
                size_gib,
                going: is_current && !wanted_in.contains(&row.region),
                fleets: uses.fleets(use_, &row.region),
                accounts: uses.accounts.get(&(&row.region, &row.cloud_id)).cloned().unwrap_or_default(),
            }
        })
        .collect();
    let known: BTreeSet<Region> = copies.iter().map(|copy| copy.region.clone()).collect();
    for ((of, region), _) in uses.running.iter().filter(|((of, region), _)| *of == use_ && !known.contains(*region)) {
        copies.push(Place {
            region: (*region).clone(),
            id: None,
            lacks: Some(Lack::Gone),
            size_gib: None,
            going: false,
            fleets: uses.fleets(of, region),
            accounts: BTreeSet::new(),
        });
    }
    let mut states = BTreeSet::new();
    if is_current {
        states.insert(State::Current);
    }
    if rows.is_empty() {
        states.insert(State::Gone);
    } else if rows.iter().all(|row| row.status == Status::Creating) {
        states.insert(State::Building);
    }
    if recorded.is_quarantined(use_) {
        states.insert(State::Quarantined);
    }
    if revoked.path(use_).is_some() {
        states.insert(State::Revoked);
    }
    Edition {
        version: version.clone(),
        generation,
        states,
        from: record.and_then(|record| record.inputs.base.clone()),
        made_ms: record.map(|record| record.made_ms).or(accepted),
        copies,
    }
}

/// Tells of each older version whether it stays. They are in order, the newest first.
fn stand(
    editions: &mut [Edition],
    (recorded, name, image): (&Recorded, &Name, Option<&ManagedImage>),
    (uses, revoked): (&Uses<'_>, &Revoked<'_>),
) {
    let keep = image.map_or(0, |image| image.keep as usize);
    let older = |edition: &Edition| !edition.states.contains(&State::Current) && !edition.states.contains(&State::Gone);
    let usable = |edition: &Edition| edition.copies.iter().any(|copy| copy.lacks.is_none());
    let mut worth: Vec<usize> = (0..editions.len()).filter(|n| older(&editions[*n]) && usable(&editions[*n])).collect();
    // As the planner chooses.
    let current = editions.iter().find(|edition| edition.states.contains(&State::Current)).map(|one| &one.version);
    worth.sort_by_key(|n| {
        let Edition { version, generation, .. } = &editions[*n];
        let one = ImageUse::Made { image: name.clone(), version: version.clone(), generation: *generation };
        Reverse(current.map(|current| Worth::of(recorded, revoked, current, &one)))
    });
    let kept: BTreeSet<usize> = worth.into_iter().take(keep).collect();
    for (n, edition) in editions.iter_mut().enumerate().filter(|(_, edition)| older(edition)) {
        let use_ =
            ImageUse::Made { image: name.clone(), version: edition.version.clone(), generation: edition.generation };
        edition.states.insert(if kept.contains(&n) {
            State::Kept
        } else if uses.stays(&use_) {
            State::InUse
        } else if image.is_some_and(|image| image.protect) {
            State::Protected
        } else {
            State::Going
        });
    }
}

/// Puts each image below the one that it is made of.
fn nested(input: &PlanInput<'_>, mut branches: BTreeMap<Name, Branch>) -> Tree {
    let mut below: BTreeMap<Option<Name>, Vec<Name>> = BTreeMap::new();
    for name in branches.keys() {
        let parent = parent(input, name);
        let parent = parent.filter(|parent| branches.contains_key(parent) && !in_a_circle(input, parent, name));
        below.entry(parent).or_default().push(name.clone());
    }
    let roots = below.get(&None).cloned().unwrap_or_default();
    Tree { roots: roots.iter().filter_map(|name| grow(name, &below, &mut branches)).collect() }
}

/// A branch with all that is below it.
fn grow(
    name: &Name,
    below: &BTreeMap<Option<Name>, Vec<Name>>,
    branches: &mut BTreeMap<Name, Branch>,
) -> Option<Branch> {
    let mut branch = branches.remove(name)?;
    let children = below.get(&Some(name.clone())).into_iter().flatten();
    branch.children = children.filter_map(|child| grow(child, below, branches)).collect();
    Some(branch)
}

/// Whether an image comes, over others, from itself.
fn in_a_circle(input: &PlanInput<'_>, from: &Name, name: &Name) -> bool {
    let mut at = Some(from.clone());
    for _ in 0..=input.desired.images.len() + input.recorded.versions.len() {
        match at {
            None => return false,
            Some(on_the_way) if on_the_way == *name => return true,
            Some(on_the_way) => at = parent(input, &on_the_way),
        }
    }
    true
}

/// The image that another one is made of: as the config says, or as the latest version was.
fn parent(input: &PlanInput<'_>, name: &Name) -> Option<Name> {
    let PlanInput { desired, recorded, pins, .. } = input;
    let declared = desired.images.get(name).and_then(Image::managed).and_then(|image| match &image.source {
        Source::Capture(capture) => match &capture.source {
            InstanceSource::Slot { fleet, slot: _ } => desired.fleets.get(fleet).map(|fleet| fleet.image.clone()),
            InstanceSource::Id(_) => None,
        },
        Source::Import(_) => None,
        Source::Build(build) => Some(build.base.clone()),
        Source::Copy(copy) => Some(copy.image.clone()),
    });
    declared.or_else(|| {
        let block = Block::image(name);
        let versions = recorded.versions.iter().filter(|record| record.block == block);
        let latest = versions.max_by_key(|record| (record.made_ms, record.generation))?;
        match latest.inputs.base.as_ref()? {
            ImageUse::Made { image, .. } => Some(image.clone()),
            ImageUse::Found { id } => {
                let given = |image: &Image| match image {
                    Image::Shared { id: given, .. } | Image::Marketplace { id: given } => given == id,
                    Image::Public { name } => pins.iter().any(|(key, pin)| key.name == *name && pin.id == *id),
                    Image::Promoted { .. } | Image::Managed(_) => false,
                };
                desired.images.iter().find(|(_, image)| given(image)).map(|(name, _)| name.clone())
            }
            ImageUse::Promoted { from, .. } => {
                let is_it = |image: &Image| matches!(image, Image::Promoted { from: of, .. } if of == from);
                desired.images.iter().find(|(_, image)| is_it(image)).map(|(name, _)| name.clone())
            }
        }
    })
}
