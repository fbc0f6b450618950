//! What is asked for of single things: whether they are there, and whether it can be done to them.

use std::collections::BTreeSet;

use super::input::{PlanInput, Upgrade};
use super::scope::Covered;
use crate::diagnostic::{Diagnostic, codes, nearest};
use crate::model::addr::{Addr, Block, Kind, Part};
use crate::model::desired::Image;
use crate::model::ids::Region;
use crate::model::recorded::Object;

/// Everything that cannot be done, each with what could have been meant.
pub(super) fn check(input: &PlanInput<'_>, covered: &Covered<'_>) -> Vec<Diagnostic> {
    let asked = input.options.asked;
    let mut faults = nowhere(input);
    if !faults.is_empty() {
        return faults;
    }
    let left_out = |option: &str, addr: &Addr| {
        let fault = || refuse(option, addr, "it is left out of this plan");
        (!covered.thing(addr)).then(fault).map(|fault| fault.help("take it in, or ask for one at a time"))
    };
    let replace = asked.replace.iter();
    faults.extend(replace.filter_map(|addr| irreplaceable(input, addr).or_else(|| left_out("--replace", addr))));
    if let Upgrade::Of(named) = &asked.upgrade {
        let named = named.iter();
        faults.extend(named.filter_map(|addr| not_looked_up(input, addr).or_else(|| left_out("--upgrade", addr))));
    }
    if let Upgrade::Of(named) = &asked.retry {
        let named = named.iter();
        faults.extend(named.filter_map(|addr| no_fleet(input, addr).or_else(|| left_out("--retry", addr))));
    }
    faults
}

/// Says of what a plan is to be about, or not, that there is no such thing. Whether there is a version, nobody knows
/// before it is planned.
pub(super) fn nowhere(input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let Some((option, named)) = input.options.asked.scope.named() else { return Vec::new() };
    let desired = input.desired;
    let declared = |addr: &Addr| {
        let Addr { block, slot, version: _, part, generation: _ } = addr;
        match block.kind {
            Kind::Image => desired.images.get(&block.name).is_some_and(|image| {
                let regions = image.managed().and_then(|image| image.regions.as_ref());
                slot.is_none() && is_among(part.as_ref(), regions)
            }),
            Kind::Share => desired.shares.get(&block.name).is_some_and(|share| {
                let image = desired.images.get(&share.image).and_then(Image::managed);
                slot.is_none() && is_among(part.as_ref(), image.and_then(|image| image.regions.as_ref()))
            }),
            Kind::Fleet => desired.fleets.get(&block.name).is_some_and(|fleet| {
                addr.version.is_none() && part.is_none() && slot.is_none_or(|slot| slot < fleet.count)
            }),
        }
    };
    let recorded = |addr: &Addr| input.recorded.objects.iter().any(|object| addr.names(&object.full_addr()));
    let missing = named.iter().filter(|addr| !declared(addr) && !recorded(addr));
    let fault = |addr: &Addr| {
        let mut known: BTreeSet<String> = input.recorded.objects.iter().map(|row| row.addr.block.to_string()).collect();
        known.extend(desired.images.keys().map(|name| Block::image(name).to_string()));
        known.extend(desired.shares.keys().map(|name| Block::share(name).to_string()));
        known.extend(desired.fleets.keys().map(|name| Block::fleet(name).to_string()));
        let block = known.contains(&addr.block.to_string());
        let rows = input.recorded.objects.iter().filter(|row| row.addr.block == addr.block);
        known.extend(rows.map(|row| row.full_addr().to_string()));
        let or = "`fleetwright graph` names the blocks, `fleetwright state list` what there is";
        let nowhere = match input.options.destroy {
            true => "the state has no such thing, so nothing of it is there to be destroyed or left out",
            false => "neither config nor state has such a thing",
        };
        let fault = refuse(option, addr, nowhere);
        match desired.fleets.get(&addr.block.name).filter(|_| block && addr.block.kind == Kind::Fleet) {
            Some(fleet) if addr.slot.is_some() => fault.help(format!("it has {} slots, from 0 on", fleet.count)),
            Some(_) | None => with_nearest(fault, addr, known.iter().map(String::as_str), or),
        }
    };
    missing.map(fault).collect()
}

/// Whether a part is one of these regions; where they are not said, any may be.
fn is_among(part: Option<&Part>, regions: Option<&BTreeSet<Region>>) -> bool {
    match part {
        None => true,
        Some(Part::Region(region)) => regions.is_none_or(|regions| regions.contains(region)),
        Some(Part::Builder) => false,
    }
}

fn refuse(option: &str, addr: &Addr, what: &str) -> Diagnostic {
    Diagnostic::error(codes::USAGE, format!("{option} {addr}: {what}"))
}

fn with_nearest<'a>(fault: Diagnostic, addr: &Addr, known: impl IntoIterator<Item = &'a str>, or: &str) -> Diagnostic {
    match nearest(&addr.to_string(), known) {
        Some(near) => fault.help(format!("did you mean {near}?")),
        None => fault.help(or.to_owned()),
    }
}

/// Why a thing cannot be made anew, where it cannot.
fn irreplaceable(input: &PlanInput<'_>, addr: &Addr) -> Option<Diagnostic> {
    const OPTION: &str = "--replace";
    let name = &addr.block.name;
    let desired = input.desired;
    match addr.block.kind {
        Kind::Share => Some(
            refuse(OPTION, addr, "a share cannot be replaced")
                .why("it is a list of accounts, and is made anew with its image")
                .help("to make an image anew: --replace image.NAME"),
        ),
        Kind::Image => match desired.images.get(name) {
            Some(Image::Managed(_)) if addr.is_builder() => Some(
                refuse(OPTION, addr, "a builder cannot be replaced by itself")
                    .why("it exists only while its image is made")
                    .help(format!("to make the version anew, on a new builder: --replace {}", addr.block)),
            ),
            Some(Image::Managed(_)) if addr.part.is_some() => Some(
                refuse(OPTION, addr, "a copy in one region cannot be replaced by itself")
                    .why("all copies of a version are of one capture")
                    .help(format!("to make the version anew, in all regions: --replace {}", addr.block)),
            ),
            Some(Image::Managed(_)) => missing(input, addr),
            Some(Image::Promoted { from, .. }) => Some(
                refuse(OPTION, addr, "it is made by another environment")
                    .why(format!("it is {from}"))
                    .help(format!("to move on to what is current there: --upgrade={}", addr.block)),
            ),
            Some(Image::Public { .. } | Image::Shared { .. } | Image::Marketplace { .. }) => Some(
                refuse(OPTION, addr, "it is only looked up, and made by others")
                    .help("to move a public image on to the newest match: --upgrade"),
            ),
            None => missing(input, addr).or_else(|| Some(refuse(OPTION, addr, "it is not in the config"))),
        },
        Kind::Fleet if desired.fleets.contains_key(name) => missing(input, addr),
        Kind::Fleet => missing(input, addr).or_else(|| Some(refuse(OPTION, addr, "it is not in the config"))),
    }
}

/// Says that the state has nothing at an address, and gets nothing there by this plan.
fn missing(input: &PlanInput<'_>, addr: &Addr) -> Option<Diagnostic> {
    let objects = || input.recorded.objects.iter().filter(|object| object.kind() != Kind::Share);
    if objects().any(|object| addr.names(&object.full_addr())) || is_made(input, addr) {
        return None;
    }
    let mut known: BTreeSet<String> = objects().map(|object| object.addr.block.to_string()).collect();
    let of_block = |object: &&Object| object.addr.block == addr.block;
    known.extend(objects().filter(of_block).map(|object| object.full_addr().to_string()));
    let fault = refuse("--replace", addr, "the state has no such thing");
    Some(with_nearest(fault, addr, known.iter().map(String::as_str), "`fleetwright state list` lists what there is"))
}

/// Whether a slot that is not there is made by this plan, whatever is asked for: what replaces it may have been
/// interrupted after the old instance was destroyed, and is asked for again. A fleet grows by the lowest free indices.
fn is_made(input: &PlanInput<'_>, addr: &Addr) -> bool {
    let Addr { block, slot, version: None, part: None, generation: None } = addr else { return false };
    let Some(fleet) = input.desired.fleets.get(&block.name).filter(|_| block.kind == Kind::Fleet) else { return false };
    let of_fleet = input.recorded.objects.iter().filter(|object| object.addr.block == *block);
    let taken: BTreeSet<u32> = of_fleet.filter_map(|object| object.addr.slot).collect();
    let mut made = (0..).filter(|slot| !taken.contains(slot)).take((fleet.count as usize).saturating_sub(taken.len()));
    match slot {
        Some(slot) => made.any(|new| new == *slot),
        None => made.next().is_some(),
    }
}

/// Why a look-up cannot move on, where it cannot.
fn not_looked_up(input: &PlanInput<'_>, addr: &Addr) -> Option<Diagnostic> {
    let pinned = |image: &&Image| matches!(image, Image::Public { .. } | Image::Promoted { .. });
    let found = input.desired.images.get(&addr.block.name).filter(|_| addr.block.kind == Kind::Image);
    if *addr == Addr::of(addr.block.clone()) && found.as_ref().is_some_and(pinned) {
        return None;
    }
    let what = if found.is_some() { "it is neither public nor promoted" } else { "the config has no such image" };
    let images = input.desired.images.iter().filter(|(_, image)| pinned(image));
    let known: Vec<String> = images.map(|(name, _)| format!("image.{name}")).collect();
    let fault = refuse("--upgrade", addr, what)
        .why("only look-ups of public images are pinned, and what is promoted from another environment");
    Some(with_nearest(fault, addr, known.iter().map(String::as_str), "--upgrade alone moves all of them on"))
}

/// Why nothing can be rolled out again over a thing, where it cannot. A fleet without a rollout that failed is no fault:
/// whoever types the same command twice should not be refused.
fn no_fleet(input: &PlanInput<'_>, addr: &Addr) -> Option<Diagnostic> {
    let desired = input.desired;
    let is_fleet = addr.block.kind == Kind::Fleet && desired.fleets.contains_key(&addr.block.name);
    if is_fleet && *addr == Addr::of(addr.block.clone()) {
        return None;
    }
    let what = if is_fleet { "it is not a whole fleet" } else { "the config has no such fleet" };
    let known: Vec<String> = desired.fleets.keys().map(|name| Block::fleet(name).to_string()).collect();
    let fault = refuse("--retry", addr, what).why("a rollout is of a fleet, with all of its slots");
    Some(with_nearest(fault, addr, known.iter().map(String::as_str), "--retry alone tries all fleets again"))
}
