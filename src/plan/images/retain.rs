//! Older versions that stay, and copies that no plan may delete.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, Image, ManagedImage};
use crate::model::ids::{ImageId, Name, Region, Version};
use crate::model::recorded::{Object, Status};
use crate::model::spec::{ImageCopySpec, ImageUse, ObjectSpec};
use crate::plan::draft::{Draft, Nature};
use crate::plan::revoked::Revoked;
use crate::plan::types::{Need, Reason};

use super::keep::{Staying, keep_right};
use super::worth::Worth;
use super::{Found, Planning, found};

/// Chooses the older versions that stay: as many as `keep` says, the newest of those that can be used. What ran before the
/// current one comes first, what did not do well later, and what is revoked last.
pub(super) fn choose(draft: &mut Draft<'_>, planning: &Planning<'_>, current: &Version, objects: &[&Object]) {
    let mut older: BTreeMap<(&Version, u32), Vec<(&Object, &ImageId)>> = BTreeMap::new();
    for object in objects.iter().copied() {
        let (Some(version), Some(id)) = (&object.addr.version, object.cloud_id.image()) else { continue };
        if version == current || !planning.regions.contains(&object.region) {
            continue;
        }
        let usable = match found(draft, object) {
            Found::Usable(_) => true,
            // Somebody is at it; it was whole before.
            Found::UnderWay => object.status == Status::Ready,
            Found::Failed | Found::Gone => false,
        };
        if usable {
            older.entry((version, object.generation)).or_default().push((object, id));
        }
    }
    let made_ms = |(version, generation): &(&Version, u32), copies: &[(&Object, &ImageId)]| {
        let records = draft.input.recorded.versions.iter();
        let record = records
            .filter(|record| record.block == planning.block)
            .find(|record| record.version == **version && record.generation == *generation);
        let accepted = copies.iter().map(|(object, _)| object.accepted_ms).min();
        record.map(|record| record.made_ms).or(accepted).unwrap_or_default()
    };
    // What nobody may launch from any more makes room for what somebody may want back.
    let revoked = Revoked::of(draft.input);
    let worth = |(version, generation): &(&Version, u32)| {
        let (image, version) = (planning.name.clone(), (*version).clone());
        let one = ImageUse::Made { image, version, generation: *generation };
        Worth::of(draft.input.recorded, &revoked, current, &one)
    };
    let mut by_worth: Vec<_> =
        older.iter().map(|(key, copies)| ((worth(key), made_ms(key, copies), key), copies)).collect();
    by_worth.sort_by_key(|(worth, _)| *worth);
    let stay = by_worth.iter().rev().take(planning.image.keep as usize);
    let kept: BTreeSet<_> =
        stay.flat_map(|(_, copies)| copies.iter().map(|(object, id)| (object.region.clone(), (*id).clone()))).collect();
    draft.kept.extend(kept);
}

/// Whether a recorded copy is one of an older version that stays.
pub(in crate::plan) fn is_kept(draft: &Draft<'_>, object: &Object) -> bool {
    is_chosen(draft, object) || is_in(&draft.in_use, object)
}

/// Whether a recorded copy is one of the older versions that `keep` lets stay.
pub(in crate::plan) fn is_chosen(draft: &Draft<'_>, object: &Object) -> bool {
    is_in(&draft.kept, object)
}

fn is_in(copies: &BTreeSet<(Region, ImageId)>, object: &Object) -> bool {
    object.cloud_id.image().is_some_and(|id| copies.contains(&(object.region.clone(), id.clone())))
}

/// Keeps the copies of older versions right: each as it was made, but marked as deprecated where the config says so, once
/// the current version is there.
pub(super) fn keep_older_right(draft: &mut Draft<'_>, name: &Name) {
    let Some(Image::Managed(image)) = draft.input.desired.images.get(name) else { return };
    let Some(current) = draft.current.get(name).cloned() else { return };
    let block = Block::image(name);
    let mut staying = Vec::new();
    for object in draft.copies_of(&block) {
        let stays = is_kept(draft, object) && draft.plans_row(object);
        let (Found::Usable(seen), true) = (found(draft, object), stays) else { continue };
        let ObjectSpec::Image(recorded) = object.spec.as_ref() else { continue };
        let deprecated = mark(image, recorded, true);
        let wanted = ImageCopySpec { deprecated, protect: image.protect, ..recorded.clone() };
        staying.push(Staying { object, seen, wanted });
    }
    let planning = Planning {
        name,
        image,
        block,
        home: current.home.clone(),
        regions: BTreeSet::new(),
        size_gib: 0,
        nature: Nature::default(),
    };
    let after: Vec<Need> = current.made_by.iter().copied().map(Need::Success).collect();
    keep_right(draft, &planning, &staying, &after, Some(&Reason::OldVersion));
}

/// Whether a copy is to be marked as deprecated. What we marked is looked after for as long as it is there.
pub(super) fn mark(image: &ManagedImage, recorded: &ImageCopySpec, kept: bool) -> Option<bool> {
    if image.deprecate_kept { Some(kept) } else { recorded.deprecated.map(|_| false) }
}

/// Whether no plan may delete a copy, as the config says or as the state remembers.
pub(super) fn is_protected(draft: &Draft<'_>, object: &Object) -> bool {
    let recorded = matches!(object.spec.as_ref(), ObjectSpec::Image(spec) if spec.protect);
    let declared = draft.input.desired.images.get(&object.addr.block.name).and_then(Image::managed);
    recorded || declared.is_some_and(|image| image.protect)
}

/// Refuses the plan where protected copies would have to go: one fault a block, with each of them.
pub(super) fn guard(draft: &mut Draft<'_>) {
    for (name, copies) in std::mem::take(&mut draft.guarded) {
        let copies: Vec<String> = copies.iter().map(Addr::to_string).collect();
        let mut fault = Diagnostic::error(
            codes::PROTECTED,
            format!("image.{name} is protected, and this would delete {}", copies.join(", ")),
        )
        .why("`protect: true` stands in the config, or stood there when it was applied last");
        let declared = draft.input.desired.images.get(&name).and_then(Image::managed);
        let older = declared.filter(|_| draft.current.contains_key(&name) && !draft.input.options.destroy);
        fault = match older {
            Some(image) => fault.at(Desired::path(Kind::Image, &name).key("protect")).help(format!(
                "raise `keep` above {}, or put the region back, so that they stay; or set `protect: false`, apply that \
                 alone, and then this",
                image.keep
            )),
            None => fault.help(format!(
                "set `protect: false` in images.{name}, apply that alone, and then remove or destroy it"
            )),
        };
        draft.faults.push(fault);
    }
}
