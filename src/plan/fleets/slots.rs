//! Which slots a fleet is to have, and in which zones.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::desired::Fleet;
use crate::model::ids::Zone;
use crate::model::recorded::Object;
use crate::plan::draft::Draft;
use crate::plan::outside::{Now, now};
use crate::plan::rollout::Located;

/// What becomes of a fleet's slots.
pub(super) struct Slots<'o> {
    /// Those that stay; with another zone and an ordinal there where the config no longer has theirs.
    pub(super) kept: Vec<(&'o Object, Option<(Zone, u32)>)>,
    /// Those that go.
    pub(super) dropped: Vec<&'o Object>,
    /// New ones, each with its zone and ordinal.
    pub(super) fresh: Vec<(u32, Zone, u32)>,
}

impl<'o> Slots<'o> {
    /// All that the fleet is to have.
    pub(super) fn located(&self) -> Vec<Located<'o>> {
        let kept = self.kept.iter().filter_map(|(row, to)| {
            let zone = to.as_ref().map(|(zone, _)| zone).or(row.zone.as_ref())?;
            Some(Located { slot: row.addr.slot?, zone: zone.clone(), row: Some(row) })
        });
        let fresh = self.fresh.iter().map(|(slot, zone, _)| Located { slot: *slot, zone: zone.clone(), row: None });
        kept.chain(fresh).collect()
    }
}

/// Zones, and what is in each.
struct Places<'f, 'o> {
    zones: &'f [Zone],
    slots: BTreeMap<&'f Zone, BTreeSet<u32>>,
    /// All that is recorded, older generations too.
    rows: &'f [&'o Object],
    /// Ordinals that are free, from the lowest on, of zones in which something was placed.
    free: BTreeMap<&'f Zone, Free>,
}

/// The free ordinals of a zone.
struct Free {
    taken: BTreeSet<u32>,
    /// Below this one, none is free.
    next: u32,
}

impl Free {
    fn of(rows: &[&Object], zone: &Zone) -> Self {
        let there = rows.iter().filter(|row| row.zone.as_ref() == Some(zone));
        Self { taken: there.filter_map(|row| row.ordinal).collect(), next: 0 }
    }

    fn take(&mut self) -> u32 {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }
}

impl<'f> Places<'f, '_> {
    fn has(&self, row: &Object) -> bool {
        row.zone.as_ref().is_some_and(|zone| self.slots.contains_key(zone))
    }

    /// A place in the emptiest zone, the first of several in the order of the config, at the lowest free ordinal.
    fn place(&mut self, slot: u32) -> Option<(Zone, u32)> {
        let emptiest = |zone: &&'f Zone| self.slots.get(*zone).map_or(0, BTreeSet::len);
        let zone = self.zones.iter().min_by_key(emptiest)?;
        let ordinal = self.free.entry(zone).or_insert_with(|| Free::of(self.rows, zone)).take();
        if let Some(slots) = self.slots.get_mut(zone) {
            slots.insert(slot);
        }
        Some((zone.clone(), ordinal))
    }
}

/// Growing takes the lowest free index and the emptiest zone. Shrinking takes slots that have no instance anyway, then
/// those of zones that the config no longer has, then the highest slot of the fullest zone. `rows` are all that is
/// recorded of the fleet: their ordinals are taken.
pub(super) fn choose<'o>(
    draft: &Draft<'_>,
    fleet: &Fleet,
    newest: &BTreeMap<u32, &'o Object>,
    rows: &[&'o Object],
) -> Slots<'o> {
    let slots = fleet.zones.iter().map(|zone| (zone, BTreeSet::new())).collect();
    let mut places = Places { zones: &fleet.zones, slots, rows, free: BTreeMap::new() };
    for (slot, row) in newest {
        if let Some(slots) = row.zone.as_ref().and_then(|zone| places.slots.get_mut(zone)) {
            slots.insert(*slot);
        }
    }
    let wanted = fleet.count as usize;
    let dropped = to_drop(draft, newest, &mut places, newest.len().saturating_sub(wanted));
    let (gone, stay): (Vec<_>, Vec<_>) = newest.iter().partition(|(slot, _)| dropped.contains(*slot));
    let mut kept = Vec::new();
    for (slot, row) in stay {
        let to = if places.has(row) { None } else { places.place(*slot) };
        kept.push((*row, to));
    }
    let mut fresh = Vec::new();
    let mut free_slots = (0..).filter(|slot| !newest.contains_key(slot));
    for _ in newest.len()..wanted {
        let Some(slot) = free_slots.next() else { break };
        fresh.extend(places.place(slot).map(|(zone, ordinal)| (slot, zone, ordinal)));
    }
    Slots { kept, dropped: gone.into_iter().map(|(_, row)| *row).collect(), fresh }
}

/// The slot that has a place in a fleet which only ever grew: each new slot is the lowest free index, and goes to the
/// emptiest zone, the first of several in the order of the config.
pub(in crate::plan) fn first_slot_at(fleet: &Fleet, zone: &Zone, ordinal: u32) -> Option<u32> {
    let zones = u32::try_from(fleet.zones.len()).ok()?;
    let place = u32::try_from(fleet.zones.iter().position(|each| each == zone)?).ok()?;
    ordinal.checked_mul(zones)?.checked_add(place)
}

fn to_drop(
    draft: &Draft<'_>,
    newest: &BTreeMap<u32, &Object>,
    places: &mut Places<'_, '_>,
    excess: usize,
) -> BTreeSet<u32> {
    let mut dropped = BTreeSet::new();
    if excess == 0 {
        return dropped;
    }
    let missing = newest.iter().rev().filter(|(_, row)| matches!(now(draft, row), Now::Missing(_) | Now::Leaving));
    dropped.extend(missing.map(|(slot, _)| *slot).take(excess));
    let outside: Vec<u32> = newest
        .iter()
        .rev()
        .filter(|(slot, row)| !dropped.contains(*slot) && !places.has(row))
        .map(|(slot, _)| *slot)
        .take(excess - dropped.len())
        .collect();
    dropped.extend(outside);
    for slots in places.slots.values_mut() {
        slots.retain(|slot| !dropped.contains(slot));
    }
    while dropped.len() < excess {
        let fullest = places.slots.values_mut().max_by_key(|slots| (slots.len(), slots.last().copied()));
        let Some(highest) = fullest.and_then(BTreeSet::pop_last) else { break };
        dropped.insert(highest);
    }
    dropped
}
