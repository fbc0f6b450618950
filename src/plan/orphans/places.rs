//! The places of the state, and which of them are free.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Known;
use super::{OrphanInput, Place, is_there};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::Fleet;
use crate::model::ids::{CloudId, Region, Zone};
use crate::model::recorded::Object;
use crate::plan::fleets::first_slot_at;

/// The places of all blocks.
pub(super) struct Ledgers<'a> {
    input: OrphanInput<'a>,
    fleets: BTreeMap<Block, Ledger<'a>>,
    images: BTreeSet<Block>,
    copies: BTreeMap<(Addr, u32), CloudId>,
}

/// The places of one fleet.
#[derive(Default)]
struct Ledger<'a> {
    region: Option<Region>,
    by_place: BTreeMap<(Zone, u32), Vec<&'a Object>>,
    by_slot: BTreeMap<u32, Vec<&'a Object>>,
    /// As the config has it, where it does; and how many slots it has, or had.
    declared: Option<&'a Fleet>,
    slots_ever: u32,
    /// What was taken since.
    slots: BTreeMap<u32, CloudId>,
    places: BTreeMap<(Zone, u32), CloudId>,
    /// Below this one, no slot is free.
    next: u32,
}

impl<'a> Ledgers<'a> {
    pub(super) fn of(input: &OrphanInput<'a>, known: &Known<'_>) -> Self {
        let recorded = input.recorded;
        let mut rows: BTreeMap<&Block, Vec<&'a Object>> = BTreeMap::new();
        for object in recorded.objects.iter().filter(|object| object.kind() == Kind::Fleet) {
            rows.entry(&object.addr.block).or_default().push(object);
        }
        let mut fleets = BTreeMap::new();
        for block in known.fleets.iter().cloned() {
            let rows = rows.remove(&block).unwrap_or_default();
            let ledger = Ledger::of(input, &block, &rows);
            fleets.insert(block, ledger);
        }
        Self { input: *input, fleets, images: known.images.clone(), copies: BTreeMap::new() }
    }

    /// Whether config or state have a block.
    pub(super) fn knows(&self, block: &Block) -> bool {
        self.fleets.contains_key(block) || self.images.contains(block)
    }

    /// Where a fleet is, where that is another region.
    pub(super) fn elsewhere(&self, block: &Block, region: &Region) -> Option<Region> {
        let declared = self.input.desired.fleets.get(&block.name).filter(|_| block.kind == Kind::Fleet);
        let is = declared.map(|fleet| &fleet.region);
        let was = || self.fleets.get(block)?.region.as_ref();
        is.or_else(was).filter(|is| *is != region).cloned()
    }

    /// Whether the very slot can be told that has a place.
    pub(super) fn is_expected(&self, addr: &Addr, place: Option<&(Zone, u32)>) -> bool {
        let ledger = self.fleets.get(&addr.block);
        place.zip(ledger).is_some_and(|(place, ledger)| ledger.likely(place).is_some())
    }

    /// Takes the place of an image's copy, or of an instance at this zone and ordinal.
    ///
    /// # Errors
    /// What is there.
    pub(super) fn take(&mut self, addr: &Addr, place: Option<&(Zone, u32)>, id: &CloudId) -> Result<Place, CloudId> {
        match place {
            Some(place) => self.slot(&addr.block, None, place, id),
            None => self.copy(addr, id),
        }
    }

    /// Takes the place of a copy.
    ///
    /// # Errors
    /// What is there.
    pub(super) fn copy(&mut self, addr: &Addr, id: &CloudId) -> Result<Place, CloudId> {
        let generation = addr.generation.unwrap_or(1);
        let addr = Addr { generation: None, ..addr.clone() };
        let there = self.input.recorded.objects.iter().find(|row| row.addr == addr && row.generation == generation);
        if let Some(row) = there.filter(|row| is_there(self.input.observed, self.input.visible_ms, row)) {
            return Err(row.cloud_id.clone());
        }
        let instead_of = there.map(|row| (row.addr.clone(), row.generation)).into_iter().collect();
        if let Some(other) = self.copies.get(&(addr.clone(), generation)) {
            return Err(other.clone());
        }
        self.copies.insert((addr.clone(), generation), id.clone());
        Ok(Place { addr, generation, ordinal: None, instead_of })
    }

    /// Takes a place in a fleet: this slot, or the one that belongs to zone and ordinal, or else the lowest free one.
    ///
    /// # Errors
    /// What is there.
    pub(super) fn slot(
        &mut self,
        block: &Block,
        wanted: Option<u32>,
        place: &(Zone, u32),
        id: &CloudId,
    ) -> Result<Place, CloudId> {
        let OrphanInput { observed, visible_ms, .. } = self.input;
        let ledger = self.fleets.entry(block.clone()).or_default();
        let there = |rows: &[&'a Object]| {
            let row = rows.iter().find(|row| is_there(observed, visible_ms, row));
            row.map_or(Ok(()), |row| Err(row.cloud_id.clone()))
        };
        there(ledger.at(place))?;
        if let Some(other) = ledger.places.get(place).or_else(|| ledger.slots.get(&wanted?)) {
            return Err(other.clone());
        }
        if let Some(slot) = wanted {
            there(ledger.of_slot(slot))?;
        }
        let slot = wanted.or_else(|| ledger.likely(place)).unwrap_or_else(|| ledger.lowest_free());
        let rows = ledger.of_slot(slot);
        let generation = rows.iter().map(|row| row.generation).max().unwrap_or(0) + 1;
        let gone = rows.iter().filter(|row| !is_there(observed, visible_ms, row));
        let instead_of = gone.map(|row| (row.addr.clone(), row.generation)).collect();
        ledger.slots.insert(slot, id.clone());
        ledger.places.insert(place.clone(), id.clone());
        let addr = Addr::slot(block.clone(), slot);
        Ok(Place { addr, generation, ordinal: Some(place.1), instead_of })
    }

    /// The lowest number that is free in a zone.
    pub(super) fn free_ordinal(&self, block: &Block, zone: &Zone) -> u32 {
        let Some(ledger) = self.fleets.get(block) else { return 0 };
        let free = |ordinal: &u32| {
            let place = (zone.clone(), *ordinal);
            ledger.at(&place).is_empty() && !ledger.places.contains_key(&place)
        };
        (0..).find(free).unwrap_or(0)
    }

    /// Whether something that is there has a zone and ordinal.
    pub(super) fn is_occupied(&self, block: &Block, place: &(Zone, u32)) -> bool {
        let OrphanInput { observed, visible_ms, .. } = self.input;
        let Some(ledger) = self.fleets.get(block) else { return false };
        ledger.places.contains_key(place) || ledger.at(place).iter().any(|row| is_there(observed, visible_ms, row))
    }
}

impl<'a> Ledger<'a> {
    fn of(input: &OrphanInput<'a>, block: &Block, rows: &[&'a Object]) -> Self {
        let mut ledger = Self { region: rows.first().map(|row| row.region.clone()), ..Self::default() };
        for row in rows {
            if let Some((zone, ordinal)) = row.zone.clone().zip(row.ordinal) {
                ledger.by_place.entry((zone, ordinal)).or_default().push(row);
            }
            ledger.by_slot.entry(row.addr.slot.unwrap_or_default()).or_default().push(row);
        }
        ledger.declared = input.desired.fleets.get(&block.name);
        let recorded = ledger.by_slot.last_key_value().map_or(0, |(slot, _)| slot.saturating_add(1));
        ledger.slots_ever = ledger.declared.map_or(0, |fleet| fleet.count).max(recorded);
        ledger
    }

    /// The slot that most likely had a place, where it is free: of a row whose instance is gone, or else the one that a
    /// fleet has there which only ever grew.
    fn likely(&self, place: &(Zone, u32)) -> Option<u32> {
        let (zone, ordinal) = place;
        let gone = self.at(place).iter().filter_map(|row| row.addr.slot).max();
        let grown = || {
            let slot = first_slot_at(self.declared?, zone, *ordinal)?;
            (slot < self.slots_ever && self.of_slot(slot).is_empty()).then_some(slot)
        };
        gone.or_else(grown).filter(|slot| !self.slots.contains_key(slot))
    }

    fn at(&self, place: &(Zone, u32)) -> &[&'a Object] {
        self.by_place.get(place).map_or(&[], Vec::as_slice)
    }

    fn of_slot(&self, slot: u32) -> &[&'a Object] {
        self.by_slot.get(&slot).map_or(&[], Vec::as_slice)
    }

    fn lowest_free(&mut self) -> u32 {
        while self.by_slot.contains_key(&self.next) || self.slots.contains_key(&self.next) {
            self.next += 1;
        }
        self.next
    }
}
