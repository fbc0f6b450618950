//! What a change of slots may not do: touch what is protected, leave nobody a way to log in, or ask for what the cloud does
//! not change on an instance where it is, which is some resets (API text 5.8) and some other types (5.10). A new instance
//! can have it all.

use std::collections::BTreeMap;

use super::{Rolling, Work, replace};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::Takes;
use crate::model::addr::Kind;
use crate::model::attrs::FleetAttr;
use crate::model::catalog;
use crate::model::desired::{Desired, Strategy};
use crate::model::observed::Seen;
use crate::model::recorded::Object;
use crate::model::spec::{Login, ObjectSpec};
use crate::plan::draft::Draft;
use crate::plan::fits::{processors, runs_on};
use crate::plan::guard::{self, Act, Verdict};
use crate::plan::lineage;
use crate::plan::types::Need;

/// Disks on which another system can be installed, and whose instances can get another type.
const CHANGEABLE_DISKS: [&str; 4] = ["CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"];

/// Refuses what the cloud would refuse, once for each reason.
pub(super) fn refused(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &[Work<'_>]) {
    let mut bars: BTreeMap<Bar, Vec<&Work<'_>>> = BTreeMap::new();
    for work in work {
        let strategy = rolling.strategy(work);
        if strategy == Some(Strategy::Replace) {
            continue;
        }
        let resets = strategy == Some(Strategy::Reset);
        let bar = if resets { no_reset(draft, rolling, work) } else { None };
        let bar = bar.or_else(|| if work.diff.takes(Takes::Resize) { no_resize(rolling, work) } else { None });
        if let Some(bar) = bar {
            bars.entry(bar).or_default().push(work);
        }
    }
    for (bar, works) in bars {
        let Some(first) = works.first() else { continue };
        let which = match works.len() {
            1 => first.row.full_addr().to_string(),
            count => format!("{count} instances of {}", rolling.block),
        };
        let Bar { resets, attr, why } = bar;
        let what = if resets { "be reset to what the config says" } else { "get another type" };
        let path = Desired::path(Kind::Fleet, rolling.name);
        let help = if resets {
            "use `update: { strategy: replace }`: new instances take the place of these".to_owned()
        } else {
            format!("to have new instances take the place of these: fleetwright apply --replace {}", rolling.block)
        };
        draft.faults.push(
            Diagnostic::error(codes::CHANGE_NOT_POSSIBLE, format!("{which} cannot {what}"))
                .at(path.key(attr.word()))
                .why(why)
                .help(help),
        );
    }
}

/// Why something cannot be done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Bar {
    resets: bool,
    /// What the config would have to say otherwise.
    attr: FleetAttr,
    why: String,
}

/// Whether the cloud would not reset an instance to what it is to be.
pub(super) fn bars_reset(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &Work<'_>) -> bool {
    no_reset(draft, rolling, work).is_some()
}

fn no_reset(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &Work<'_>) -> Option<Bar> {
    let bar = |attr, why: String| Some(Bar { resets: true, attr, why });
    let image = FleetAttr::Image;
    let (new, name) = (&rolling.at.nature, &rolling.fleet.image);
    if let ObjectSpec::Slot(recorded) = work.row.spec.as_ref() {
        let old = lineage::of(draft.input.recorded, &recorded.image);
        match (old.encrypted, new.encrypted) {
            (Some(false), true) => {
                return bar(image, format!("image.{name} is encrypted, and a reset does not encrypt a disk"));
            }
            (Some(true), false) => {
                let why = format!("their disks are encrypted and image.{name} is not: a reset keeps a disk encrypted");
                return bar(image, why);
            }
            (Some(true), true) | (Some(false), false) | (None, _) => {}
        }
        if let (Some(before), Some(after)) = (old.own_licence, new.own_licence)
            && before != after
        {
            let whose = if after { "the account's own licence (BYOL)" } else { "the cloud's licence" };
            return bar(
                image,
                format!("image.{name} runs under {whose}, they do not, and a reset does not change that"),
            );
        }
    }
    let (old_type, new_type) = (&work.seen.instance_type, &rolling.fleet.instance_type);
    if let (Some(made_for), Some(has)) = (new.architecture.as_deref(), processors(old_type))
        && (made_for == "arm") != (has == "arm")
        && old_type != new_type
    {
        let why = format!("image.{name} is for {made_for}, and they have {has} processors until they get another type");
        return bar(FleetAttr::Type, why);
    }
    other_system(draft, rolling, work)
}

/// Another system needs a disk of a type on which the cloud can install one.
fn other_system(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &Work<'_>) -> Option<Bar> {
    let disk = &work.seen.system_disk.kind;
    if changeable(disk.as_str()) || work.diff.of(FleetAttr::Image).is_none() {
        return None;
    }
    let old = draft.input.observed.image(&work.row.region, &work.seen.image);
    let old = old.as_ref().and_then(Seen::present).map(|image| image.platform.clone());
    let name = &rolling.fleet.image;
    match (old.filter(|old| !old.is_empty()), &rolling.at.nature.platform) {
        (Some(old), Some(new)) if system(&old) != system(new) => {
            let why = format!(
                "image.{name} is {new}, they run {old}, and on a system disk of the type {disk} the cloud changes no \
                 system"
            );
            Some(Bar { resets: true, attr: FleetAttr::Image, why })
        }
        (Some(_), Some(_)) => None,
        (None, _) | (_, None) => {
            draft.assumptions.insert(format!(
                "image.{name} is of the same system as what {} runs: on {disk} it cannot be changed",
                rolling.block
            ));
            None
        }
    }
}

/// Whether the cloud may change what is on a disk of this type. Of what was not looked at, the type may be unknown.
fn changeable(disk: &str) -> bool {
    disk.is_empty() || CHANGEABLE_DISKS.contains(&disk)
}

/// Imports name editions of Windows, and the cloud tells Windows.
fn system(platform: &str) -> &str {
    if platform.starts_with("Windows") { "Windows" } else { platform }
}

fn no_resize(rolling: &Rolling<'_>, work: &Work<'_>) -> Option<Bar> {
    let bar = |why: String| Some(Bar { resets: false, attr: FleetAttr::Type, why });
    let (old, new) = (&work.seen.instance_type, &rolling.fleet.instance_type);
    // Where the image does not run on the new type either, that has been said.
    let misfit = |gets: &str| rolling.at.nature.architecture.as_deref().is_some_and(|image| !runs_on(image, gets));
    if let (Some(has), Some(gets)) = (processors(old), processors(new))
        && has != gets
        && !misfit(gets)
    {
        return bar(format!("{old} has {has} processors and {new} has {gets}: no instance goes from one to the other"));
    }
    let cards = |name: &str| catalog::find_type(name).map(|entry| entry.gpu);
    if let (Some(0), Some(1..)) = (cards(old.as_str()), cards(new.as_str())) {
        return bar(format!("{new} has graphics cards, which instances without them do not get"));
    }
    let disk = &work.seen.system_disk.kind;
    (!changeable(disk.as_str()))
        .then(|| bar(format!("instances whose system disk is of the type {disk} keep their type")))
        .flatten()
}

/// What is protected is left alone; what no longer is to be is unprotected before it is replaced.
pub(super) fn guarded(draft: &mut Draft<'_>, rolling: &mut Rolling<'_>, work: &[Work<'_>]) {
    let mut rows: Vec<(&Object, Vec<Need>)> = Vec::new();
    let mut slots = Vec::new();
    for work in work {
        let act = match rolling.strategy(work) {
            Some(Strategy::Replace | Strategy::Auto) if work.to.is_some() => Act::Moved,
            Some(Strategy::Replace | Strategy::Auto) => Act::Replaced,
            Some(Strategy::Reset) => Act::Reset,
            None => continue,
        };
        let verdict = guard::ask(draft, work.row, Some(work.seen), Some(rolling.fleet.protect), act);
        if verdict == Verdict::Unprotect && act != Act::Reset {
            rows.push((work.row, work.ready.clone()));
            slots.push(work.slot);
        }
    }
    let outputs = replace::unprotect(draft, &rows);
    rolling.unprotected = slots.into_iter().zip(outputs).collect();
}

/// A reset that says nothing of the login would make the cloud invent a password, and nobody here would know it.
pub(super) fn login_for_reset(draft: &mut Draft<'_>, rolling: &Rolling<'_>, work: &[Work<'_>]) {
    let reset = |work: &&Work<'_>| rolling.strategy(work) == Some(Strategy::Reset);
    let count = work.iter().filter(reset).count();
    let unset = |work: &&Work<'_>| work.slot_spec().is_none_or(|spec| spec.login == Login::Unset);
    let Some(first) = work.iter().find(reset).filter(unset) else { return };
    let which = match count {
        1 => first.row.full_addr().to_string(),
        count => format!("{count} instances of {}", rolling.block),
    };
    draft.faults.push(
        Diagnostic::error(codes::RESET_LOGIN, format!("{which} would be reset without a word on how to log in"))
            .at(Desired::path(Kind::Fleet, rolling.name))
            .why("the cloud would give each a random password, and tell it to nobody but the account's owner")
            .help(if rolling.at.nature.is_windows() == Some(true) {
                "with an image of your own, add `login: { keep_image_login: true }`; or use `update: { strategy: replace }`"
            } else {
                "add `login: { key_ids: [skey-…] }` or, with an image of your own, `login: { keep_image_login: true }`; \
                 or use `update: { strategy: replace }`"
            }),
    );
}
