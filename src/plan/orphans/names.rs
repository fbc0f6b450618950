//! What a name says: the block, an instance's number in its zone, an image's version.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, ManagedImage};
use crate::model::ids::{Name, Region, Version};
use crate::model::naming::{BUILDER, VERSION, builder_name, image_name, image_name_by, instance_prefix};
use crate::model::observed::{Image, Instance};
use crate::model::recorded::{Object, Recorded};

/// What a thing is, as far as tag and name say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Likely {
    /// This.
    This(Addr),
    /// One of several.
    Several,
    /// Nothing of ours.
    Nothing,
}

impl Likely {
    pub(super) fn addr(self) -> Option<Addr> {
        match self {
            Self::This(addr) => Some(addr),
            Self::Several | Self::Nothing => None,
        }
    }

    fn of(mut all: Vec<Addr>) -> Self {
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Self::This(only),
            (Some(_), false) => Self::Several,
            (None, _) => Self::Nothing,
        }
    }
}

/// What config and state tell of names.
pub(super) struct Known<'a> {
    desired: &'a Desired,
    /// The fleets that either has.
    pub(super) fleets: BTreeSet<Block>,
    /// The custom images that either has.
    pub(super) images: BTreeSet<Block>,
    /// The versions of images that either has, and their captures.
    versions: BTreeMap<Block, BTreeSet<(Version, u32)>>,
}

impl<'a> Known<'a> {
    pub(super) fn of(desired: &'a Desired, recorded: &Recorded) -> Self {
        let mut known = Self {
            desired,
            fleets: desired.fleets.keys().map(Block::fleet).collect(),
            images: BTreeSet::new(),
            versions: BTreeMap::new(),
        };
        for (name, image) in &desired.images {
            let Some(image) = image.managed() else { continue };
            known.images.insert(Block::image(name));
            if let Some(version) = &image.version {
                known.version(&Block::image(name), version, 1);
            }
        }
        for Object { addr, generation, .. } in &recorded.objects {
            match (addr.block.kind, &addr.version) {
                (Kind::Fleet, _) if !known.fleets.contains(&addr.block) => {
                    known.fleets.insert(addr.block.clone());
                }
                (Kind::Image, Some(version)) => {
                    known.images.insert(addr.block.clone());
                    known.version(&addr.block, version, *generation);
                }
                (Kind::Fleet | Kind::Image | Kind::Share, _) => {}
            }
        }
        for record in &recorded.versions {
            known.version(&record.block, &record.version, record.generation);
        }
        known
    }

    /// Another capture of it may be the orphan.
    fn version(&mut self, block: &Block, version: &Version, generation: u32) {
        let versions = self.versions.entry(block.clone()).or_default();
        versions.extend([(version.clone(), generation), (version.clone(), generation + 1)]);
    }
}

/// The number of an instance in its zone, where it bears the name of a slot of this fleet.
pub(super) fn ordinal(desired: &Desired, fleet: &Name, one: &Instance) -> Option<u32> {
    let prefix = instance_prefix(&desired.project, &desired.env, fleet, &one.zone);
    let digits = one.name.strip_prefix(&prefix)?;
    let number: u32 = digits.parse().ok()?;
    // `07` and `+7` are numbers as well, and no names of ours.
    (number.to_string() == digits).then_some(number)
}

/// Of which fleet an instance is, or which builder: by its tag, or else by its name.
pub(super) fn instance(known: &Known<'_>, tagged: Option<&Option<Block>>, one: &Instance) -> Likely {
    if let Some(block) = tagged {
        let of = |block: &Block| builder(known, block, one).unwrap_or_else(|| Addr::of(block.clone()));
        return Likely::of(block.iter().map(of).collect());
    }
    let named = known.fleets.iter().filter(|block| ordinal(known.desired, &block.name, one).is_some());
    let built = known.images.iter().filter_map(|block| builder(known, block, one));
    Likely::of(named.cloned().map(Addr::of).chain(built).collect())
}

/// Which builder of an image an instance is, where it bears the name of one.
fn builder(known: &Known<'_>, block: &Block, one: &Instance) -> Option<Addr> {
    let Desired { project, env, .. } = known.desired;
    if block.kind != Kind::Image {
        return None;
    }
    let (head, digits) = one.name.rsplit_once(BUILDER)?;
    let generation: u32 = digits.parse().ok()?;
    let read = head.strip_prefix(&format!("{project}-{env}-{}-", block.name)).filter(|text| Version::is_valid(text));
    let versions = known.versions.get(block).into_iter().flatten().map(|(version, _)| version.clone());
    let mut versions = versions.chain(read.map(Version::new));
    let version = versions.find(|version| builder_name(project, env, &block.name, version, generation) == one.name)?;
    Some(Addr::builder(block.clone(), version).generation(generation))
}

/// Of which image and version a copy is: the block by its tag, or else all of it by its name.
pub(super) fn image(known: &Known<'_>, tagged: Option<&Option<Block>>, region: &Region, one: &Image) -> Likely {
    let blocks: Vec<&Block> = match tagged {
        Some(block) => block.iter().collect(),
        None => known.images.iter().collect(),
    };
    let (mut sure, mut read) = (Vec::new(), Vec::new());
    for block in blocks {
        let declared = known.desired.images.get(&block.name).and_then(|image| image.managed());
        let reading = Reading { known, block, declared };
        let copy = |(version, generation)| Addr::copy(block.clone(), version, region.clone()).generation(generation);
        match reading.known(&one.name) {
            Some(version) => sure.push(copy(version)),
            None => read.extend(reading.read(&one.name).map(copy)),
        }
    }
    // A version that somebody knows of is likelier than one that is read out of the name.
    Likely::of(if sure.is_empty() { read } else { sure })
}

/// The names of one image block's versions.
struct Reading<'a> {
    known: &'a Known<'a>,
    block: &'a Block,
    declared: Option<&'a ManagedImage>,
}

impl Reading<'_> {
    /// What this version would be called: as the config says, and as it is where the config says nothing.
    fn names(&self, version: &Version, generation: u32) -> impl Iterator<Item = String> {
        let Desired { project, env, .. } = self.known.desired;
        let by_pattern = self.declared.and_then(|image| image.name.as_ref());
        let by_pattern = by_pattern.map(|pattern| image_name_by(pattern, version, generation));
        by_pattern.into_iter().chain([image_name(project, env, &self.block.name, version, generation)])
    }

    /// The version of this name, of those that config and state tell of. Names that were cut can be told in no other way.
    fn known(&self, name: &str) -> Option<(Version, u32)> {
        let mut all = self.known.versions.get(self.block).into_iter().flatten();
        all.find(|(version, generation)| self.names(version, *generation).any(|known| known == name)).cloned()
    }

    /// The version that can be read out of a name.
    fn read(&self, name: &str) -> Option<(Version, u32)> {
        let Desired { project, env, .. } = self.known.desired;
        let whole = format!("{project}-{env}-{}-{VERSION}", self.block.name);
        let by_pattern = self.declared.and_then(|image| image.name.clone());
        let readings = by_pattern.into_iter().chain([whole]).flat_map(|pattern| {
            let middle = pattern
                .split_once(VERSION)
                .and_then(|(head, tail)| name.strip_prefix(head)?.strip_suffix(tail))
                .map(str::to_owned);
            middle.into_iter().flat_map(|middle| {
                let again = middle.rsplit_once("-r").and_then(|(version, number)| {
                    let number: u32 = number.parse().ok().filter(|number| *number > 1)?;
                    Some((Version::new(version), number))
                });
                again.into_iter().chain([(Version::new(middle), 1)])
            })
        });
        let fits = |(version, generation): &(Version, u32)| {
            Version::is_valid(version.as_str()) && self.names(version, *generation).any(|known| known == name)
        };
        readings.into_iter().find(fits)
    }
}
