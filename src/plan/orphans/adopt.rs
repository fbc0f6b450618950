//! Taking orphans in: what becomes an object of the state, at which address, and with which spec.
//!
//! What the cloud tells of a thing is what it was made with. What it does not tell (user data, a login without keys) is
//! taken to be as the config has it, or as other instances of the fleet have it in the state: so the next plan shows what
//! differs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names::Known;
use super::places::Ledgers;
use super::{Lot, Mark, Orphan, OrphanInput, Orphans, Place, Thing, is_there, names};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{self, Wanted};
use crate::model::addr::{Addr, Block, Kind, Part};
use crate::model::attrs::FleetAttr;
use crate::model::ids::{CloudId, ImageId, Region};
use crate::model::naming::{TAG_KEY, instance_name, tag_value};
use crate::model::observed::{Image, ImageState, Instance, InstanceState};
use crate::model::recorded::{Object, Status};
use crate::model::spec::{Charge, ImageCopySpec, ImageUse, Login, ObjectSpec, SlotNetwork, SlotSpec, SystemDisk};
use crate::plan::fleets::slot_spec;
use crate::plan::images::{builder_spec, copy_spec};

/// What somebody wants to be taken in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Claim {
    /// All that carry our tag and fit one free place.
    Fitting,
    /// This one, at the place that it most likely has.
    Id(String),
    /// This one, at this address.
    At(Addr, String),
}

/// What will be taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adoption {
    /// The things, by address.
    pub taken: Vec<Adopted>,
    /// Fleets that have more instances then than the config wants: the block, how many, and how many are wanted.
    pub beyond: Vec<(Block, usize, u32)>,
    /// Blocks that the config does not have: the next plan destroys what is taken in of them.
    pub undeclared: BTreeSet<Block>,
    /// Fleets of which the cloud does not tell the user data: it is taken to be as the config has it.
    pub unseen: BTreeSet<Block>,
    /// Orphans that stay as they are.
    pub left: usize,
}

/// One thing that is taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adopted {
    /// What the state will say of it.
    pub object: Object,
    /// Rows of the same place whose things are gone.
    pub instead_of: Vec<(Addr, u32)>,
    /// What of it is not as the config has it, by the config's words.
    pub differs: Vec<&'static str>,
}

/// Decides what is taken in, and as what.
///
/// # Errors
/// Something that is named cannot be taken in, or of what is to be taken in unnamed, several fit one place.
pub fn adopt(
    input: &OrphanInput<'_>,
    orphans: &Orphans<'_>,
    claims: &BTreeSet<Claim>,
) -> Result<Adoption, Vec<Diagnostic>> {
    let names = Known::of(input.desired, input.recorded);
    let mut choosing =
        Choosing { input, ledgers: Ledgers::of(input, &names), chosen: BTreeMap::new(), faults: Vec::new() };
    for claim in claims {
        match claim {
            Claim::Fitting => {}
            Claim::Id(id) => choosing.named(orphans, id, None),
            Claim::At(addr, id) => choosing.named(orphans, id, Some(addr)),
        }
    }
    if claims.contains(&Claim::Fitting) {
        choosing.fitting(orphans);
    }
    let Choosing { chosen, faults, .. } = choosing;
    if !faults.is_empty() {
        return Err(faults);
    }
    let counted = orphans.counted().count();
    let left = counted - chosen.keys().filter(|n| orphans.found[**n].counts()).count();
    Ok(adoption(input, orphans, chosen, left))
}

struct Choosing<'a, 'i> {
    input: &'i OrphanInput<'a>,
    ledgers: Ledgers<'a>,
    /// Where each chosen orphan goes, by its place among all.
    chosen: BTreeMap<usize, Place>,
    faults: Vec<Diagnostic>,
}

impl Choosing<'_, '_> {
    fn refuse(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    fn named(&mut self, orphans: &Orphans<'_>, id: &str, at: Option<&Addr>) {
        let Some(n) = orphans.found.iter().position(|orphan| orphan.thing.id().as_str() == id) else {
            return self.refuse(self.not_found(id));
        };
        let orphan = &orphans.found[n];
        if self.chosen.contains_key(&n) {
            return self
                .refuse(cannot(orphan, "it is named twice").help("name it once, with the address that it is to have"));
        }
        if let Some(fault) = unusable(orphan) {
            return self.refuse(fault);
        }
        let place = match (at, orphan.thing) {
            (Some(addr), Thing::Instance(_)) if addr.block.kind == Kind::Image => self.builder_at(orphan, addr),
            (Some(addr), Thing::Instance(one)) => self.slot_at(orphan, one, addr),
            (Some(addr), Thing::Image(_)) => self.copy_at(orphan, addr),
            (None, Thing::Instance(_)) if orphan.likely.as_ref().is_some_and(Addr::is_builder) => {
                self.likely_copy(orphan)
            }
            (None, Thing::Instance(one)) => self.likely_slot(orphan, one),
            (None, Thing::Image(_)) => self.likely_copy(orphan),
        };
        match place {
            Ok(place) => {
                self.chosen.insert(n, place);
            }
            Err(fault) => self.refuse(*fault),
        }
    }

    fn not_found(&self, id: &str) -> Diagnostic {
        let mut things = self.input.recorded.objects.iter().filter(|object| object.kind() != Kind::Share);
        let recorded = things.find(|object| object.cloud_id.as_str() == id);
        let fault = Diagnostic::error(codes::CANNOT_ADOPT, format!("{id} cannot be taken in"));
        match recorded {
            Some(object) => fault.why(format!("it is in the state already, as {}", object.full_addr())),
            None => fault
                .why("no instance or custom image with this id carries our tag, or has a name such as ours")
                .help("`fleetwright drift --orphans` lists what can be named"),
        }
    }

    fn likely_slot(&mut self, orphan: &Orphan<'_>, one: &Instance) -> Result<Place, Box<Diagnostic>> {
        let block = orphan.likely.as_ref().map(|addr| addr.block.clone()).filter(|block| block.kind == Kind::Fleet);
        let Some(block) = block else { return Err(Box::new(needs_address(orphan))) };
        self.slot(orphan, one, &block, None)
    }

    fn slot_at(&mut self, orphan: &Orphan<'_>, one: &Instance, addr: &Addr) -> Result<Place, Box<Diagnostic>> {
        let Addr { block, slot, version: None, part: None, generation: None } = addr else {
            return Err(Box::new(wrong_address(orphan, addr)));
        };
        if block.kind != Kind::Fleet {
            return Err(Box::new(wrong_address(orphan, addr)));
        }
        self.slot(orphan, one, block, *slot)
    }

    fn slot(
        &mut self,
        orphan: &Orphan<'_>,
        one: &Instance,
        block: &Block,
        slot: Option<u32>,
    ) -> Result<Place, Box<Diagnostic>> {
        if let Some(region) = self.ledgers.elsewhere(block, &orphan.region) {
            let why = format!("{block} is in {region}, and it is in {}", orphan.region);
            return Err(Box::new(cannot(orphan, &why).help("a fleet stays in its region: declare another one there")));
        }
        let free = self.ledgers.free_ordinal(block, &one.zone);
        let named = names::ordinal(self.input.desired, &block.name, one);
        // At an address of its own it gets another name where its own is taken.
        let taken = |ordinal: &u32| self.ledgers.is_occupied(block, &(one.zone.clone(), *ordinal));
        let ordinal = if slot.is_some() { named.filter(|ordinal| !taken(ordinal)) } else { named };
        let place = (one.zone.clone(), ordinal.unwrap_or(free));
        self.ledgers.slot(block, slot, &place, &orphan.thing.id()).map_err(|other| Box::new(occupied(orphan, &other)))
    }

    fn likely_copy(&mut self, orphan: &Orphan<'_>) -> Result<Place, Box<Diagnostic>> {
        match orphan.likely.clone().filter(|addr| addr.version.is_some()) {
            Some(addr) => self.copy(orphan, &addr),
            None => Err(Box::new(needs_address(orphan))),
        }
    }

    fn copy_at(&mut self, orphan: &Orphan<'_>, addr: &Addr) -> Result<Place, Box<Diagnostic>> {
        let Addr { block, slot: None, version: Some(version), part, generation } = addr else {
            return Err(Box::new(wrong_address(orphan, addr)));
        };
        let there = match part {
            Some(Part::Region(region)) => *region == orphan.region,
            Some(_) => false,
            None => true,
        };
        if block.kind != Kind::Image || !there {
            return Err(Box::new(wrong_address(orphan, addr)));
        }
        let addr = Addr::copy(block.clone(), version.clone(), orphan.region.clone());
        self.copy(orphan, &addr.generation(generation.unwrap_or(1)))
    }

    fn builder_at(&mut self, orphan: &Orphan<'_>, addr: &Addr) -> Result<Place, Box<Diagnostic>> {
        match addr {
            Addr { slot: None, version: Some(_), part: Some(Part::Builder), .. } => self.copy(orphan, addr),
            _ => Err(Box::new(wrong_address(orphan, addr))),
        }
    }

    fn copy(&mut self, orphan: &Orphan<'_>, addr: &Addr) -> Result<Place, Box<Diagnostic>> {
        self.ledgers.copy(addr, &orphan.thing.id()).map_err(|other| Box::new(occupied(orphan, &other)))
    }

    /// All that carry our tag and fit one free place, beside those that were named.
    fn fitting(&mut self, orphans: &Orphans<'_>) {
        let mut told = BTreeSet::new();
        for (n, orphan) in orphans.found.iter().enumerate() {
            let Lot::Rivals(others) = &orphan.lot else { continue };
            let of_ours = matches!(orphan.mark, Mark::Tag(_)) && !self.chosen.contains_key(&n);
            let settled = |id: &CloudId| {
                orphans.found.iter().enumerate().any(|(n, one)| self.chosen.contains_key(&n) && one.thing.id() == *id)
            };
            if of_ours
                && !others.iter().any(settled)
                && told.insert((orphan.region.clone(), orphan.likely.clone(), orphan.thing.name()))
            {
                self.faults.push(rivals(orphan, others));
            }
        }
        // In the order of the addresses: slots are given out as they were told.
        let mut fitting: Vec<(usize, &Orphan<'_>)> = orphans.found.iter().enumerate().collect();
        fitting.retain(|(n, orphan)| orphan.is_taken_unnamed() && !self.chosen.contains_key(n));
        fitting.sort_by(|(_, a), (_, b)| a.likely.cmp(&b.likely));
        for (n, orphan) in fitting {
            let Lot::Free(place) = &orphan.lot else { continue };
            let at = orphan.thing.zone().cloned().zip(place.ordinal);
            // What was named went before it, and may have its place now.
            let taken = self.ledgers.take(&place.full_addr(), at.as_ref(), &orphan.thing.id());
            if let Ok(place) = taken {
                self.chosen.insert(n, place);
            }
        }
    }
}

fn cannot(orphan: &Orphan<'_>, why: &str) -> Diagnostic {
    let Orphan { thing, region, .. } = orphan;
    Diagnostic::error(codes::CANNOT_ADOPT, format!("{} ({}) in {region} cannot be taken in", thing.id(), thing.name()))
        .why(why)
}

fn unusable(orphan: &Orphan<'_>) -> Option<Diagnostic> {
    Some(match &orphan.lot {
        Lot::Failed => cannot(orphan, "it could not be made, and nothing can be launched from it")
            .help("delete it where you manage the cloud: it holds its name, and its place in the quota"),
        Lot::Leaving => cannot(orphan, "it could not be launched, lies in the recycle bin or is being destroyed")
            .help("it goes by itself; to use what lies in the recycle bin, restore it there first"),
        Lot::UnderWay => cannot(orphan, "an operation that an interrupted run left open is about it")
            .help("`fleetwright apply` settles it, and enters it in the state where it took effect"),
        Lot::Free(_) | Lot::Rivals(_) | Lot::Taken(_) | Lot::NoBlock(_) | Lot::Elsewhere(_) | Lot::Unclear => {
            return None;
        }
    })
}

fn occupied(orphan: &Orphan<'_>, other: &CloudId) -> Diagnostic {
    let id = orphan.thing.id();
    let help = match orphan.thing {
        Thing::Instance(_) => {
            format!("give it a place of its own, as --adopt=fleet.NAME[N]={id}, or delete one of the two")
        }
        Thing::Image(_) => "delete one of the two where you manage the cloud".to_owned(),
    };
    cannot(orphan, &format!("its place is that of {other}, which is there")).help(help)
}

fn needs_address(orphan: &Orphan<'_>) -> Diagnostic {
    let id = orphan.thing.id();
    let form = match orphan.thing {
        Thing::Instance(_) => format!("--adopt=fleet.NAME={id}, or with a slot, --adopt=fleet.NAME[N]={id}"),
        Thing::Image(_) => format!("--adopt=image.NAME@VERSION/{}={id}", orphan.region),
    };
    cannot(orphan, "tag and name do not tell what it is").help(format!("name its address: {form}"))
}

fn wrong_address(orphan: &Orphan<'_>, addr: &Addr) -> Diagnostic {
    let id = orphan.thing.id();
    let (what, form) = match orphan.thing {
        Thing::Instance(_) => (
            "an instance",
            format!("--adopt=fleet.NAME[N]={id}, or of a builder --adopt=image.NAME@VERSION/builder={id}"),
        ),
        Thing::Image(_) => ("an image in this region", format!("--adopt=image.NAME@VERSION/{}={id}", orphan.region)),
    };
    cannot(orphan, &format!("{addr} is no address that {what} can have")).help(format!("write it like this: {form}"))
}

fn rivals(orphan: &Orphan<'_>, others: &[CloudId]) -> Diagnostic {
    let mut ids: Vec<String> = others.iter().map(ToString::to_string).chain([orphan.thing.id().to_string()]).collect();
    ids.sort();
    let likely = orphan.likely.as_ref().map_or_else(String::new, |addr| format!(" of {addr}"));
    let one = ids.first().cloned().unwrap_or_default();
    Diagnostic::error(
        codes::CANNOT_ADOPT,
        format!("{} things could each have the place{likely} that the name {} tells", ids.len(), orphan.thing.name()),
    )
    .why(format!("they are {}; nothing was taken in", ids.join(", ")))
    .help(format!("name the one that is to have it, as in --adopt={one}; the other ones stay as they are"))
}

/// The objects, and what comes of them.
fn adoption(input: &OrphanInput<'_>, orphans: &Orphans<'_>, chosen: BTreeMap<usize, Place>, left: usize) -> Adoption {
    let OrphanInput { desired, recorded, .. } = *input;
    let mut uses: BTreeMap<(Region, ImageId), ImageUse> = BTreeMap::new();
    let copies = recorded.objects.iter().filter(|row| row.kind() == Kind::Image);
    let copies = copies
        .filter_map(|row| Some((row.region.clone(), row.cloud_id.image()?.clone(), row.addr.clone(), row.generation)));
    let taken = chosen.iter().filter_map(|(n, place)| {
        let orphan = &orphans.found[*n];
        Some((orphan.region.clone(), orphan.thing.id().image()?.clone(), place.addr.clone(), place.generation))
    });
    for (region, id, addr, generation) in copies.chain(taken) {
        let Some(version) = addr.version else { continue };
        uses.insert((region, id), ImageUse::Made { image: addr.block.name, version, generation });
    }
    let mut adoption =
        Adoption { taken: Vec::new(), beyond: Vec::new(), undeclared: BTreeSet::new(), unseen: BTreeSet::new(), left };
    for (n, place) in chosen {
        let Orphan { region, thing, .. } = &orphans.found[n];
        let block = &place.addr.block;
        let builder = place.addr.is_builder();
        let declared = match thing {
            Thing::Instance(_) if !builder => desired.fleets.contains_key(&block.name),
            Thing::Instance(_) | Thing::Image(_) => {
                desired.images.get(&block.name).is_some_and(|image| image.managed().is_some())
            }
        };
        if !declared {
            adoption.undeclared.insert(block.clone());
        }
        let (spec, differs) = match thing {
            Thing::Instance(one) => {
                let image = uses.get(&(region.clone(), one.image.clone())).cloned();
                let image = image.unwrap_or_else(|| ImageUse::Found { id: one.image.clone() });
                if !builder && desired.fleets.get(&block.name).is_some_and(|fleet| fleet.user_data.is_some()) {
                    adoption.unseen.insert(block.clone());
                }
                match builder {
                    true => (builder_of(input, block, one, image), Vec::new()),
                    false => slot(input, &place, one, image),
                }
            }
            Thing::Image(one) => copy(input, block, one),
        };
        adoption.taken.push(Adopted {
            object: object(region, *thing, &place, spec),
            instead_of: place.instead_of,
            differs,
        });
    }
    adoption.taken.sort_by(|a, b| (&a.object.addr, a.object.generation).cmp(&(&b.object.addr, b.object.generation)));
    adoption.beyond = beyond(input, &adoption.taken);
    adoption
}

fn object(region: &Region, thing: Thing<'_>, place: &Place, spec: ObjectSpec) -> Object {
    let arriving = match thing {
        Thing::Instance(one) => one.state == InstanceState::Pending,
        Thing::Image(one) => one.state != ImageState::Normal,
    };
    Object {
        addr: place.addr.clone(),
        generation: place.generation,
        region: region.clone(),
        cloud_id: thing.id(),
        name: thing.name().to_owned(),
        zone: thing.zone().cloned(),
        ordinal: place.ordinal,
        status: if arriving { Status::Creating } else { Status::Ready },
        spec: Arc::new(spec),
        made_from: match thing {
            Thing::Instance(one) => Some(one.image.clone()),
            Thing::Image(_) => None,
        },
        accepted_ms: thing.created_ms(),
        made_by: None,
    }
}

/// The newest spec that the state has of a block.
fn recorded_spec<'a>(input: &OrphanInput<'a>, block: &Block) -> Option<&'a ObjectSpec> {
    let rows = input.recorded.objects.iter().filter(|row| row.addr.block == *block);
    rows.max_by_key(|row| (row.accepted_ms, row.generation)).map(|row| row.spec.as_ref())
}

/// What an instance was made with: what of it is seen, and the config's word for the rest.
fn slot(input: &OrphanInput<'_>, place: &Place, one: &Instance, image: ImageUse) -> (ObjectSpec, Vec<&'static str>) {
    let desired = input.desired;
    let block = &place.addr.block;
    let mut spec = match (desired.fleets.get(&block.name), recorded_spec(input, block)) {
        (Some(fleet), _) => slot_spec(fleet, &one.zone, image),
        (None, Some(ObjectSpec::Slot(spec))) => SlotSpec { image, ..SlotSpec::clone(spec) },
        (None, _) => bare(one, image),
    };
    let tag = tag_value(&desired.project, &desired.env, block);
    let ordinal = place.ordinal.unwrap_or_default();
    let name = instance_name(&desired.project, &desired.env, &block.name, &one.zone, ordinal);
    let hostname = spec.hostname.as_ref().map(|pattern| pattern.of(&one.zone, ordinal));
    let wanted = spec.clone();
    let against = Wanted {
        spec: &wanted,
        name: Some(&name),
        hostname: hostname.as_deref(),
        ours: (TAG_KEY, &tag),
        ignore: &BTreeSet::new(),
    };
    let attrs = diff::slot(&wanted, Some(&one.image), against, one).attrs;
    let mut differs = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.drifted) {
        let Some(of) = FleetAttr::of(attr.name) else { continue };
        diff::learn_slot(&mut spec, of, one);
        differs.push(of.word());
    }
    (ObjectSpec::Slot(Box::new(spec)), differs)
}

/// A builder as the config has it. What happened to it while nobody knew of it nobody knows either: no image is made of it,
/// and the next plan ends it.
fn builder_of(input: &OrphanInput<'_>, block: &Block, one: &Instance, image: ImageUse) -> ObjectSpec {
    let declared = input.desired.images.get(&block.name).and_then(|image| image.managed());
    let declared = declared.and_then(|managed| Some((managed, managed.build()?)));
    let spec = match declared {
        Some((managed, build)) => builder_spec(managed, build, &one.zone, image),
        None => bare(one, image),
    };
    ObjectSpec::Slot(Box::new(SlotSpec { on_trial: false, ..spec }))
}

/// Of a fleet that nobody knows, only what is seen.
fn bare(one: &Instance, image: ImageUse) -> SlotSpec {
    let mut spec = SlotSpec {
        image,
        instance_type: one.instance_type.clone(),
        system_disk: SystemDisk::default(),
        data_disks: Vec::new(),
        network: SlotNetwork::default(),
        internet: None,
        login: Login::Unset,
        tags: BTreeMap::new(),
        user_data: None,
        hostname: None,
        charge: Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        on_trial: false,
    };
    diff::learn_slot(&mut spec, FleetAttr::ChargeType, one);
    spec
}

/// What a copy of an image was made with, in the same way.
fn copy(input: &OrphanInput<'_>, block: &Block, one: &Image) -> (ObjectSpec, Vec<&'static str>) {
    let declared = input.desired.images.get(&block.name).and_then(|image| image.managed());
    let declared = match (declared, recorded_spec(input, block)) {
        (Some(image), _) => copy_spec(image),
        (None, Some(ObjectSpec::Image(spec))) => spec.clone(),
        (None, _) => ImageCopySpec::default(),
    };
    let mut spec = declared.clone();
    diff::learn_image(&mut spec, one);
    let ImageCopySpec { description, tags, family, deprecated, protect: _ } = &spec;
    let differs = [
        ("description", *description != declared.description),
        ("tags", *tags != declared.tags),
        ("family", *family != declared.family),
        ("deprecated", *deprecated != declared.deprecated),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    (ObjectSpec::Image(spec), differs)
}

/// Fleets that have more instances then than the config wants.
fn beyond(input: &OrphanInput<'_>, taken: &[Adopted]) -> Vec<(Block, usize, u32)> {
    let mut after: BTreeMap<&Block, BTreeSet<u32>> = BTreeMap::new();
    for adopted in taken.iter().filter(|adopted| adopted.object.kind() == Kind::Fleet) {
        after.entry(&adopted.object.addr.block).or_default().extend(adopted.object.addr.slot);
    }
    for row in &input.recorded.objects {
        if let Some(slots) = after.get_mut(&row.addr.block)
            && is_there(input.observed, input.visible_ms, row)
        {
            slots.extend(row.addr.slot);
        }
    }
    let beyond = after.into_iter().filter_map(|(block, slots)| {
        let wanted = input.desired.fleets.get(&block.name)?.count;
        (slots.len() > wanted as usize).then(|| (block.clone(), slots.len(), wanted))
    });
    beyond.collect()
}
