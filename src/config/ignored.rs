//! `ignore_changes` of a fleet.

use std::collections::BTreeSet;

use super::context::Context;
use super::read::Value;
use crate::diagnostic::codes;
use crate::model::attrs::FleetAttr;

/// Attributes whose changes instances that are there do not follow.
pub(super) fn ignore_changes(cx: &mut Context<'_>, value: &Value<'_>) -> Option<BTreeSet<FleetAttr>> {
    let words: Vec<&str> =
        FleetAttr::ALL.iter().filter(|attr| never_ignored(**attr).is_none()).map(|a| a.word()).collect();
    let mut whole = true;
    let attrs = cx.set(value, |cx, item| {
        let attr = match item.node.raw().and_then(FleetAttr::of) {
            Some(attr) => Some(attr),
            None => cx.faults.word(item, &words, &[]).and_then(FleetAttr::of),
        };
        whole &= attr.is_some();
        let attr = attr?;
        if let Some(why) = never_ignored(attr) {
            cx.tell(
                item.fault(codes::CANNOT_BE_IGNORED, format!("changes of `{attr}` cannot be ignored"))
                    .why(why)
                    .help("remove the word"),
            );
        }
        Some(attr)
    })?;
    whole.then(|| attrs.into_iter().collect())
}

/// Why changes of an attribute cannot be ignored, where they cannot.
fn never_ignored(attr: FleetAttr) -> Option<&'static str> {
    match attr {
        FleetAttr::Count => {
            Some("it says how many instances there are, and no single instance could keep to another number")
        }
        FleetAttr::Zones => {
            Some("the zones say where instances may be; an instance whose zone is gone from them must move")
        }
        FleetAttr::Region => Some("a fleet never changes its region: that is another fleet"),
        FleetAttr::Protect => Some("protection guards what is there: it holds for all instances or for none"),
        FleetAttr::Image
        | FleetAttr::Type
        | FleetAttr::SystemDiskType
        | FleetAttr::SystemDiskSize
        | FleetAttr::DataDisks
        | FleetAttr::Subnet
        | FleetAttr::SecurityGroups
        | FleetAttr::Internet
        | FleetAttr::Login
        | FleetAttr::UserData
        | FleetAttr::Hostname
        | FleetAttr::ChargeType
        | FleetAttr::PrepaidMonths
        | FleetAttr::PrepaidRenew
        | FleetAttr::SpotMaxPrice
        | FleetAttr::PlacementGroup
        | FleetAttr::CamRole
        | FleetAttr::State
        | FleetAttr::Tags
        | FleetAttr::Name => None,
    }
}
