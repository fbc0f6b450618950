//! Look-ups: which public image a name stands for, and whether region, zone and type of a fleet are there at all.

use std::collections::BTreeSet;

use super::draft::{Draft, ImageAt, Nature};
use super::fits;
use super::types::Pinned;
use crate::cloud::call::Arg;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Fleet, Image, Launcher};
use crate::model::ids::{InstanceType, Name, Region, Zone};
use crate::model::observed::{Image as SeenImage, ImageState, Lookup, Observed, RegionSeen};
use crate::model::path::Path;
use crate::model::pins::{Pin, PinKey};
use crate::model::spec::{ImageUse, Login};

/// Resolves the public image blocks in every region where something runs from them.
pub(super) fn public_images(draft: &mut Draft<'_>) {
    let desired = draft.input.desired;
    for (name, image) in &desired.images {
        let Image::Public { name: wanted } = image else { continue };
        if !draft.covered.block(&Block::image(name)) {
            continue;
        }
        let mut regions: std::collections::BTreeMap<&Region, BTreeSet<&InstanceType>> =
            std::collections::BTreeMap::new();
        let launchers = desired.launchers().filter(|launcher| launcher.image == name);
        for launcher in launchers.filter(|launcher| draft.covered.block(&launcher.block)) {
            regions.entry(launcher.region).or_default().insert(launcher.instance_type);
        }
        for (region, types) in regions {
            public_image(draft, name, wanted, region, &types);
        }
    }
}

fn public_image(draft: &mut Draft<'_>, block: &Name, wanted: &str, region: &Region, types: &BTreeSet<&InstanceType>) {
    let desired = draft.input.desired;
    let path = Desired::path(Kind::Image, block).key("public").key("name");
    let Some(seen) = draft.input.observed.by_region.get(region) else { return };
    let all = fitting(seen, wanted, types);
    let mut usable: Vec<&SeenImage> =
        all.iter().copied().filter(|image| image.state == ImageState::Normal && !image.deprecated).collect();
    usable.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    let newest = usable.last().copied();

    let key = PinKey {
        endpoint: desired.cloud.provider.endpoint().to_owned(),
        account: desired.cloud.account.clone(),
        region: region.clone(),
        name: wanted.to_owned(),
    };
    let upgrades = draft.input.options.asked.upgrade.has(&Block::image(block));
    let before = draft.input.pins.get(&key);
    let pinned = before.filter(|_| !upgrades);
    let found = match pinned {
        Some(Pin { id, .. }) => all.iter().copied().find(|image| image.id == *id),
        None => newest,
    };
    let Some(found) = found else {
        draft.faults.push(match pinned {
            Some(pin) => Diagnostic::error(
                codes::PIN_GONE,
                format!("image.{block} is pinned to {} in {region}, and that image is no longer there", pin.id),
            )
            .at(path)
            .why("a pin keeps a new public image from rebuilding everything unasked".to_owned())
            .help(format!("to pin the newest match instead: fleetwright plan --upgrade=image.{block}")),
            None => {
                let types: Vec<&str> = types.iter().map(|t| t.as_str()).collect();
                let text = if all.is_empty() {
                    format!("no public image in {region} has this name")
                } else {
                    format!("no public image of this name in {region} can be used")
                };
                Diagnostic::error(codes::IMAGE_NOT_FOUND, text)
                    .at(path)
                    .why(format!("it must be NORMAL, not deprecated, and fit {}", types.join(" and ")))
                    .help("names are compared exactly, upper and lower case included")
            }
        });
        return;
    };
    if let Some(newest) = newest.filter(|newest| newest.created_ms > found.created_ms) {
        draft.notes.push(
            Diagnostic::note(
                codes::NEWER_MATCH,
                format!("image.{block} stays at {} in {region}; {} is newer", found.id, newest.id),
            )
            .help(format!("to see what moving on changes: fleetwright plan --upgrade=image.{block}")),
        );
    }
    draft.lookups.push(Pinned {
        block: Block::image(block),
        region: region.clone(),
        name: wanted.to_owned(),
        id: found.id.clone(),
        created_ms: found.created_ms,
        new: before.is_none_or(|before| before.id != found.id),
        was: before.filter(|before| before.id != found.id).map(|before| before.id.clone()),
        promoted: None,
    });
    draft.images.insert(
        (block.clone(), region.clone()),
        ImageAt {
            use_: ImageUse::Found { id: found.id.clone() },
            id: Arg::Known(found.id.clone()),
            ready: Vec::new(),
            size_gib: found.size_gib,
            nature: Nature::of_others().seen(found),
        },
    );
}

/// The images of this name that fit every one of the types.
fn fitting<'a>(seen: &'a RegionSeen, name: &str, types: &BTreeSet<&InstanceType>) -> Vec<&'a SeenImage> {
    let answer = |instance_type: &InstanceType| {
        seen.lookups.get(&Lookup { name: name.to_owned(), instance_type: Some(instance_type.clone()) })
    };
    let mut types = types.iter();
    let Some(first) = types.next().and_then(|t| answer(t)) else { return Vec::new() };
    let mut images: Vec<&SeenImage> = first.iter().collect();
    for t in types {
        let fits: BTreeSet<_> = answer(t).into_iter().flatten().map(|image| &image.id).collect();
        images.retain(|image| fits.contains(&image.id));
    }
    images
}

/// What the regions are.
pub(super) fn regions(observed: &Observed) -> String {
    let regions: Vec<&str> = observed.regions.iter().flatten().map(Region::as_str).collect();
    format!("its regions are {}", regions.join(", "))
}

/// Whether region, zones and type of a fleet are there, and its login can work.
pub(super) fn fleet_place(draft: &mut Draft<'_>, name: &Name, fleet: &Fleet) {
    let launcher = Launcher::of_fleet(name, fleet);
    let path = launcher.path();
    if !region_there(draft, &launcher, path.key("region")) {
        return;
    }
    for (n, zone) in fleet.zones.iter().enumerate() {
        zone_there(draft, &launcher, zone, path.key("zones").index(n));
    }
    goes_together(draft, &launcher, &fleet.login);
}

/// Whether the region is there.
pub(super) fn region_there(draft: &mut Draft<'_>, launcher: &Launcher<'_>, at: Path) -> bool {
    let Launcher { region, .. } = launcher;
    let there = draft.input.observed.regions.as_ref().is_none_or(|regions| regions.contains(*region));
    if !there {
        draft.faults.push(
            Diagnostic::error(codes::UNKNOWN_REGION, format!("the cloud has no region {region}"))
                .at(at)
                .help(regions(draft.input.observed)),
        );
    }
    there
}

/// Whether a zone is there, takes new instances, and sells the type.
pub(super) fn zone_there(draft: &mut Draft<'_>, launcher: &Launcher<'_>, zone: &Zone, at: Path) {
    let Launcher { region, instance_type, .. } = launcher;
    let Some(seen) = draft.input.observed.by_region.get(*region) else { return };
    match seen.zones.as_ref().map(|zones| zones.get(zone)) {
        Some(None) => {
            let known: Vec<String> = seen.zones.iter().flatten().map(|(zone, _)| zone.to_string()).collect();
            draft.faults.push(
                Diagnostic::error(codes::UNKNOWN_ZONE, format!("{region} has no zone {zone}"))
                    .at(at)
                    .help(format!("its zones are {}", known.join(", "))),
            );
        }
        Some(Some(false)) => {
            let open: Vec<&str> =
                seen.zones.iter().flatten().filter(|(_, open)| **open).map(|(zone, _)| zone.as_str()).collect();
            draft.faults.push(
                Diagnostic::error(codes::UNKNOWN_ZONE, format!("{zone} takes no new instances"))
                    .at(at)
                    .help(format!("name one that does: {}", open.join(", "))),
            );
        }
        Some(Some(true)) | None if !sells(seen, zone, instance_type) => draft.faults.push(
            Diagnostic::error(codes::UNKNOWN_TYPE, format!("{instance_type} is not offered in {zone}"))
                .at(launcher.path().key("type"))
                .help("choose a type that is sold there, or another zone"),
        ),
        Some(Some(true)) | None => {}
    }
}

/// Whether a type is offered in a zone, as far as that is known.
pub(super) fn sells(seen: &RegionSeen, zone: &Zone, instance_type: &InstanceType) -> bool {
    seen.types.as_ref().is_none_or(|types| types.contains_key(&(zone.clone(), instance_type.clone())))
}

/// Whether image, type and login go together.
pub(super) fn goes_together(draft: &mut Draft<'_>, launcher: &Launcher<'_>, login: &Login) {
    fits::image(draft, launcher);
    fits::login(draft, launcher, login);
    let keeps_none = match draft.input.desired.images.get(launcher.image) {
        Some(Image::Public { .. }) => Some("public"),
        Some(Image::Marketplace { .. }) => Some("of the marketplace"),
        Some(Image::Shared { .. } | Image::Promoted { .. } | Image::Managed(_)) | None => None,
    };
    if let (Login::KeepImage, Some(what)) = (login, keeps_none) {
        draft.faults.push(
            Diagnostic::error(
                codes::LOGIN_NOT_KEPT,
                format!("image.{} is {what}: it has no login to keep", launcher.image),
            )
            .at(launcher.path().key("login").key("keep_image_login"))
            .help("log in by keys: `login: { key_ids: [skey-…] }`"),
        );
    }
}
