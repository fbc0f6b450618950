//! Orphans: what the cloud holds of ours and no state knows, and how it is taken in.
//!
//! [`find`] goes through all that was seen and tells what bears our tag, or a name such as ours, and is not recorded.
//! [`adopt`] makes objects of the state of it. Both are pure: which reads it takes is told by `cloud::observe`.
//!
//! A tag of this project and environment says that a thing is ours, and of which block. The name says the rest: zone and
//! ordinal of an instance, version of an image or of the builder that one was to be made of. A name alone proves nothing, for anybody may give it: such things are
//! told apart, and nobody takes them in without naming them. What cannot be of use to a plan is never taken in: images
//! that failed, and instances that could not be launched or are on their way out.

mod adopt;
mod names;
mod places;

use std::collections::{BTreeMap, BTreeSet};

pub use adopt::{Adopted, Adoption, Claim, adopt};

use super::check_origin;
use crate::diagnostic::Diagnostic;
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::Desired;
use crate::model::ids::{CloudId, Region, Zone};
use crate::model::naming::{TAG_KEY, tag_value};
use crate::model::observed::{Image, ImageState, Instance, InstanceState, Observed, RegionSeen};
use crate::model::recorded::{Object, Origin, Recorded};
use names::Known;
use places::Ledgers;

/// What it takes to find orphans.
#[derive(Clone, Copy, Debug)]
pub struct OrphanInput<'a> {
    /// What the config asks for.
    pub desired: &'a Desired,
    /// What the state remembers.
    pub recorded: &'a Recorded,
    /// All instances and custom images of the regions that were looked through.
    pub observed: &'a Observed,
    /// What the open operations of the journal are about.
    pub under_way: &'a UnderWay,
    /// How long the cloud may take to list what it has accepted, in milliseconds.
    pub visible_ms: Millis,
}

/// What operations made or are about to make that are not over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnderWay {
    /// How many operations there are.
    pub operations: usize,
    /// The ids that the cloud told.
    pub ids: BTreeSet<CloudId>,
    /// The names of what has no id yet.
    pub names: BTreeSet<(Region, String)>,
}

/// All that is ours and in no state, by region, kind and name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphans<'a> {
    /// What was found.
    pub found: Vec<Orphan<'a>>,
    /// The regions that were looked through.
    pub regions: BTreeSet<Region>,
    /// How many calls it took.
    pub calls: u32,
    /// Cloud time of the newest answer.
    pub as_of_ms: Millis,
}

impl Orphans<'_> {
    /// Those that somebody has to do something about.
    pub fn counted(&self) -> impl Iterator<Item = &Orphan<'_>> {
        self.found.iter().filter(|orphan| orphan.counts())
    }
}

/// A thing in the cloud that no state knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphan<'a> {
    /// Where it is.
    pub region: Region,
    /// What it is.
    pub thing: Thing<'a>,
    /// Why it is taken for ours.
    pub mark: Mark,
    /// What it most likely is, as far as tag and name tell.
    pub likely: Option<Addr>,
    /// What can become of it.
    pub lot: Lot,
    /// Whether the cloud made it less than the settle time ago: somebody may be about to record it.
    pub young: bool,
}

/// What the cloud tells of an orphan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thing<'a> {
    /// An instance.
    Instance(&'a Instance),
    /// A custom image.
    Image(&'a Image),
}

impl Thing<'_> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> CloudId {
        match self {
            Self::Instance(one) => CloudId::Instance(one.id.clone()),
            Self::Image(one) => CloudId::Image(one.id.clone()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(one) => &one.name,
            Self::Image(one) => &one.name,
        }
    }

    /// Of an instance: its zone.
    #[must_use]
    pub fn zone(&self) -> Option<&Zone> {
        match self {
            Self::Instance(one) => Some(&one.zone),
            Self::Image(_) => None,
        }
    }

    /// When it was made, in cloud time.
    #[must_use]
    pub fn created_ms(&self) -> Millis {
        match self {
            Self::Instance(one) => one.created_ms,
            Self::Image(one) => one.created_ms,
        }
    }

    fn tag(&self) -> Option<&str> {
        let tags = match self {
            Self::Instance(one) => one.tags.as_ref(),
            Self::Image(one) => &one.tags,
        };
        tags.get(TAG_KEY).map(String::as_str)
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Instance(_) => Kind::Fleet,
            Self::Image(_) => Kind::Image,
        }
    }
}

impl Orphan<'_> {
    /// Whether somebody has to do something about it. What is on its way out goes by itself, and what is under way is
    /// settled by the next apply.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.lot, Lot::Leaving | Lot::UnderWay)
    }

    /// Whether it is taken in without being named.
    #[must_use]
    pub fn is_taken_unnamed(&self) -> bool {
        matches!((&self.mark, &self.lot), (Mark::Tag(_), Lot::Free(_))) && !self.young
    }
}

/// Why a thing is taken for ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mark {
    /// It carries our tag, with this value.
    Tag(String),
    /// Only its name is such as ours; it may be somebody else's.
    Name,
}

/// What can become of an orphan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lot {
    /// It fits one free place, of a block that config or state have.
    Free(Place),
    /// It fits a free place, and so do these.
    Rivals(Vec<CloudId>),
    /// Its place is that of another thing, which is there.
    Taken(CloudId),
    /// Its block is neither in the config nor in the state.
    NoBlock(Block),
    /// Its fleet is declared in another region.
    Elsewhere(Region),
    /// Its name does not tell which place it has.
    Unclear,
    /// An image that could not be made. It holds its name, and its place in the quota.
    Failed,
    /// An instance that could not be launched, lies in the recycle bin or is being destroyed. It goes by itself.
    Leaving,
    /// An operation that an interrupted run left open is about it.
    UnderWay,
}

/// A place in the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The address, without the generation.
    pub addr: Addr,
    /// The generation.
    pub generation: u32,
    /// Of an instance: its number in its zone.
    pub ordinal: Option<u32>,
    /// Rows of the same place whose things are gone: they are forgotten.
    pub instead_of: Vec<(Addr, u32)>,
}

impl Place {
    /// The address with its generation, as people see it.
    #[must_use]
    pub fn full_addr(&self) -> Addr {
        self.addr.clone().generation(self.generation)
    }
}

/// Finds what is ours and in no state.
///
/// # Errors
/// The state is of another cloud, account or project.
pub fn find<'a>(input: &OrphanInput<'a>) -> Result<Orphans<'a>, Vec<Diagnostic>> {
    let desired = input.desired;
    let origin = Origin {
        endpoint: desired.cloud.provider.endpoint().to_owned(),
        account: desired.cloud.account.clone(),
        project: desired.project.clone(),
    };
    check_origin(input.recorded, &origin)?;
    // Shares bear the id of their image, and do not make it known.
    let known = input.recorded.objects.iter().filter(|object| object.kind() != Kind::Share);
    let known: BTreeSet<(&Region, &str)> = known.map(|object| (&object.region, object.cloud_id.as_str())).collect();
    let names = Known::of(desired, input.recorded);
    let mut found = Vec::new();
    for (region, seen) in &input.observed.by_region {
        for thing in things(seen) {
            if !known.contains(&(region, thing.id().as_str())) {
                found.extend(orphan(input, &names, region, thing));
            }
        }
    }
    place(input, &names, &mut found);
    let key = |orphan: &Orphan<'_>| (orphan.region.clone(), orphan.thing.kind(), orphan.thing.name().to_owned());
    found.sort_by_cached_key(|orphan| (key(orphan), orphan.thing.id()));
    Ok(Orphans {
        found,
        regions: input.observed.by_region.keys().cloned().collect(),
        calls: input.observed.calls,
        as_of_ms: input.observed.cloud_ms,
    })
}

fn things(seen: &RegionSeen) -> impl Iterator<Item = Thing<'_>> {
    let images = seen.custom_images.iter().flatten().map(|(_, image)| Thing::Image(image));
    images.chain(seen.all_instances.iter().flatten().map(|(_, instance)| Thing::Instance(instance)))
}

/// A thing that is not recorded, where it may be ours. Which place it has is told later, for others may have the same.
fn orphan<'a>(input: &OrphanInput<'a>, names: &Known<'_>, region: &Region, thing: Thing<'a>) -> Option<Orphan<'a>> {
    let ours = tag_prefix(input.desired);
    let mark = match thing.tag() {
        Some(value) if value.starts_with(&ours) => Mark::Tag(value.to_owned()),
        // It says that it is somebody else's, whatever its name is.
        Some(_) => return None,
        None => Mark::Name,
    };
    let block = match &mark {
        Mark::Tag(value) => {
            let block = value.strip_prefix(&ours).and_then(|rest| rest.parse::<Addr>().ok()).map(|addr| addr.block);
            Some(block)
        }
        Mark::Name => None,
    };
    let likely = match thing {
        Thing::Instance(one) => names::instance(names, block.as_ref(), one),
        Thing::Image(one) => names::image(names, block.as_ref(), region, one),
    };
    if mark == Mark::Name && likely == names::Likely::Nothing {
        return None;
    }
    let id = thing.id();
    let named = (region.clone(), thing.name().to_owned());
    let lot = if input.under_way.ids.contains(&id) || input.under_way.names.contains(&named) {
        Lot::UnderWay
    } else if is_leaving(thing) {
        Lot::Leaving
    } else if is_failed(thing) {
        Lot::Failed
    } else {
        Lot::Unclear
    };
    let young = thing.created_ms() > input.observed.cloud_ms - input.visible_ms;
    let likely = likely.addr().or_else(|| block.flatten().map(Addr::of));
    Some(Orphan { region: region.clone(), thing, mark, likely, lot, young })
}

/// What comes before the block in the values of our tag.
fn tag_prefix(desired: &Desired) -> String {
    let whole = tag_value(&desired.project, &desired.env, &Block::fleet(&desired.project));
    let block = Block::fleet(&desired.project).to_string();
    whole.strip_suffix(&block).unwrap_or(&whole).to_owned()
}

fn is_leaving(thing: Thing<'_>) -> bool {
    match thing {
        Thing::Instance(one) => going(&one.state),
        Thing::Image(_) => false,
    }
}

/// Whether an instance is, or will be, none.
fn going(state: &InstanceState) -> bool {
    matches!(state, InstanceState::LaunchFailed | InstanceState::Shutdown | InstanceState::Terminating)
}

fn is_failed(thing: Thing<'_>) -> bool {
    match thing {
        Thing::Instance(_) => false,
        Thing::Image(one) => matches!(one.state, ImageState::CreateFailed | ImageState::ImportFailed),
    }
}

/// A place that orphans may fit: where, which, and of an instance zone and ordinal.
type Wanted = (Region, Addr, Option<(Zone, u32)>);

/// Tells which of those that wait for it fit which place.
fn place(input: &OrphanInput<'_>, names: &Known<'_>, found: &mut [Orphan<'_>]) {
    let mut ledgers = Ledgers::of(input, names);
    let mut claims: BTreeMap<Wanted, Vec<usize>> = BTreeMap::new();
    for (n, orphan) in found.iter_mut().enumerate() {
        if orphan.lot != Lot::Unclear {
            continue;
        }
        let Some(likely) = orphan.likely.clone() else { continue };
        let builder = likely.is_builder() && matches!(orphan.thing, Thing::Instance(_));
        if likely.block.kind != orphan.thing.kind() && !builder {
            continue;
        }
        if !ledgers.knows(&likely.block) {
            orphan.lot = Lot::NoBlock(likely.block);
            continue;
        }
        if let Some(region) = ledgers.elsewhere(&likely.block, &orphan.region) {
            orphan.lot = Lot::Elsewhere(region);
            continue;
        }
        let place = match orphan.thing {
            Thing::Image(_) if likely.version.is_none() => continue,
            Thing::Image(_) => None,
            Thing::Instance(_) if builder => None,
            Thing::Instance(one) => match names::ordinal(input.desired, &likely.block.name, one) {
                Some(ordinal) => Some((one.zone.clone(), ordinal)),
                None => continue,
            },
        };
        claims.entry((orphan.region.clone(), likely, place)).or_default().push(n);
    }
    let mut alone = Vec::new();
    for ((_, addr, place), all) in claims {
        let (tagged, named): (Vec<usize>, Vec<usize>) =
            all.iter().copied().partition(|n| matches!(found[*n].mark, Mark::Tag(_)));
        let first = if tagged.is_empty() { &named } else { &tagged };
        if let [only] = first.as_slice() {
            alone.push((*only, addr.clone(), place.clone()));
        }
        // What carries our tag goes before what only has the name.
        let beaten = all.iter().copied().filter(|n| !(first.len() == 1 && first.contains(n)));
        for n in beaten.collect::<Vec<_>>() {
            let others = all.iter().filter(|other| **other != n).map(|other| found[*other].thing.id());
            found[n].lot = Lot::Rivals(others.collect());
        }
    }
    // Those whose very slots can be told come first; the others get what is left.
    alone.sort_by_key(|(_, addr, place)| !ledgers.is_expected(addr, place.as_ref()));
    for (n, addr, place) in alone {
        let lot = match ledgers.take(&addr, place.as_ref(), &found[n].thing.id()) {
            Ok(place) => Lot::Free(place),
            Err(other) => Lot::Taken(other),
        };
        let orphan = &mut found[n];
        if let Lot::Free(place) = &lot {
            orphan.likely = Some(place.full_addr());
        }
        orphan.lot = lot;
    }
}

/// Whether a recorded thing is there, as far as a plan can use it.
fn is_there(observed: &Observed, visible_ms: Millis, row: &Object) -> bool {
    let Some(seen) = observed.by_region.get(&row.region) else { return true };
    let listed = match &row.cloud_id {
        CloudId::Instance(id) => match &seen.all_instances {
            Some(all) => all.get(id).is_some_and(|one| !going(&one.state)),
            None => true,
        },
        CloudId::Image(id) => seen.custom_images.as_ref().is_none_or(|all| all.contains_key(id)),
    };
    // What was accepted a moment ago may not be listed yet.
    listed || observed.cloud_ms - row.accepted_ms < visible_ms
}
