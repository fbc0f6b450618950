//! What is asked for of single things: whether they are there, and whether it can be done to them.

use std::collections::BTreeSet;

use super::input::{PlanInput, Upgrade};
use crate::diagnostic::{Diagnostic, codes, nearest};
use crate::model::addr::{Addr, Kind};
use crate::model::desired::Image;
use crate::model::recorded::Object;

/// Everything that cannot be done, each with what could have been meant.
pub(super) fn check(input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let asked = input.options.asked;
    let mut faults: Vec<Diagnostic> = asked.replace.iter().filter_map(|addr| irreplaceable(input, addr)).collect();
    if let Upgrade::Of(named) = &asked.upgrade {
        faults.extend(named.iter().filter_map(|addr| not_looked_up(input, addr)));
    }
    faults
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
            Some(Image::Managed(_)) if addr.part.is_some() => Some(
                refuse(OPTION, addr, "a copy in one region cannot be replaced by itself")
                    .why("all copies of a version are of one capture")
                    .help(format!("to make the version anew, in all regions: --replace {}", addr.block)),
            ),
            Some(Image::Managed(_)) => missing(input, addr),
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
    let public = |image: &&Image| matches!(image, Image::Public { .. });
    let found = input.desired.images.get(&addr.block.name).filter(|_| addr.block.kind == Kind::Image);
    if *addr == Addr::of(addr.block.clone()) && found.as_ref().is_some_and(public) {
        return None;
    }
    let what = if found.is_some() { "it is no public image" } else { "the config has no such image" };
    let images = input.desired.images.iter().filter(|(_, image)| public(image));
    let known: Vec<String> = images.map(|(name, _)| format!("image.{name}")).collect();
    let fault = refuse("--upgrade", addr, what).why("only look-ups of public images are pinned");
    Some(with_nearest(fault, addr, known.iter().map(String::as_str), "--upgrade alone moves all of them on"))
}
