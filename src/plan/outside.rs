//! What somebody else did to instances: whether they are there, what of them changed, and which operation tells so.

use super::draft::Draft;
use super::types::{Drift, Handling, PRESENCE, Reason, Value};
use crate::diff::{Attr, Takes, fields};
use crate::model::Millis;
use crate::model::attrs::FleetAttr;
use crate::model::observed::{Instance, InstanceState, LatestOperation, Seen};
use crate::model::recorded::{Object, Status};

/// How long returned instances stay in the recycle bin at most (API text 2.2): prepaid ones, and others.
const PREPAID_STAYS_MS: Millis = 7 * 24 * 3_600_000;
const OTHERS_STAY_MS: Millis = 2 * 3_600_000;
/// InstanceChargeType of what is paid in advance.
const PREPAID: &str = "PREPAID";
/// IsolatedSource of what was paid for until a time that is over (API text 2.2).
const EXPIRED: &str = "EXPIRE";

/// How a recorded instance was found.
pub(super) enum Now<'a> {
    /// There, and not about to change by itself.
    Live(&'a Instance),
    /// On its way; what was seen of it, if anything.
    UnderWay(Option<&'a Instance>),
    /// On its way out.
    Leaving,
    /// Gone, or never to be.
    Missing(Reason),
}

/// How a recorded instance was found.
pub(super) fn now<'a>(draft: &Draft<'a>, object: &Object) -> Now<'a> {
    let Some(id) = object.cloud_id.instance() else { return Now::Missing(Reason::Vanished) };
    match draft.input.observed.instance(&object.region, id) {
        Some(Seen::Present(seen)) => match &seen.state {
            InstanceState::LaunchFailed => Now::Missing(Reason::CreationFailed),
            InstanceState::Shutdown => Now::Missing(in_the_bin(seen)),
            InstanceState::Terminating => Now::Leaving,
            InstanceState::Pending | InstanceState::Starting | InstanceState::Stopping | InstanceState::Rebooting => {
                Now::UnderWay(Some(seen))
            }
            // A reset, say: the state does not have to tell.
            InstanceState::Running | InstanceState::Stopped if seen.is_operated_on() => Now::UnderWay(Some(seen)),
            InstanceState::Running | InstanceState::Stopped | InstanceState::Other(_) => Now::Live(seen),
        },
        Some(Seen::Absent { asked_ms }) => {
            if may_be_unlisted(draft, object, *asked_ms) {
                Now::UnderWay(None)
            } else {
                Now::Missing(Reason::Vanished)
            }
        }
        None => Now::UnderWay(None),
    }
}

/// Whether an answer that does not list it says nothing: it was accepted a moment ago, and a listing may lag behind,
/// even behind one that had it already. What a run of ours had begun to destroy is taken to be gone.
pub(super) fn may_be_unlisted(draft: &Draft<'_>, object: &Object, asked_ms: Millis) -> bool {
    let options = &draft.input.options;
    let within_ms = match object.status {
        Status::Creating => options.visible_ms,
        Status::Ready | Status::Failed => options.lag_ms,
        Status::Deleting => return false,
    };
    asked_ms - object.accepted_ms < within_ms
}

/// Since when something is in the recycle bin is told only of what ran out of its period.
fn in_the_bin(seen: &Instance) -> Reason {
    Reason::RecycleBin {
        since_ms: seen.expires_ms.filter(|_| seen.isolated.as_deref() == Some(EXPIRED)),
        stays_ms: if seen.charge_type == PREPAID { PREPAID_STAYS_MS } else { OTHERS_STAY_MS },
    }
}

/// Notes that an instance is no longer there, where somebody else did that.
pub(super) fn lost(draft: &mut Draft<'_>, row: &Object, reason: &Reason, handling: Handling) {
    let in_the_bin = matches!(reason, Reason::RecycleBin { .. });
    // What a run of ours had begun to destroy is gone by our own hand; what could not be launched was never there. And a
    // builder was to go anyway.
    if row.addr.is_builder() || row.status == Status::Deleting || !(in_the_bin || *reason == Reason::Vanished) {
        return;
    }
    let observed = if in_the_bin { "in the recycle bin" } else { "deleted" };
    let seen = row.cloud_id.instance().and_then(|id| draft.input.observed.instance_there(&row.region, id));
    draft.drift.push(Drift {
        addr: row.full_addr(),
        attr: PRESENCE.to_owned(),
        recorded: Value::Text("there".to_owned()),
        observed: Value::Text(observed.to_owned()),
        handling,
        by: seen.and_then(|seen| operation(seen, &["TerminateInstances"])),
    });
}

/// Notes an attribute that somebody else changed.
pub(super) fn changed(draft: &mut Draft<'_>, row: &Object, seen: &Instance, attr: &Attr) {
    handled(draft, row, seen, attr, if attr.takes == Takes::Nothing { Handling::Left } else { Handling::Repaired });
}

/// Notes an attribute that somebody else changed, and what is done about it.
pub(super) fn handled(draft: &mut Draft<'_>, row: &Object, seen: &Instance, attr: &Attr, handling: Handling) {
    let field = FleetAttr::of(attr.name).map(fields::fleet);
    draft.drift.push(Drift {
        addr: row.full_addr(),
        attr: attr.name.to_owned(),
        recorded: draft.show(&attr.after, None),
        observed: draft.show(&attr.before, None),
        handling,
        by: field.and_then(|field| operation(seen, field.operations)),
    });
}

/// The latest operation, where it is one of these.
fn operation(seen: &Instance, names: &[&str]) -> Option<LatestOperation> {
    seen.latest.as_ref().filter(|latest| names.contains(&latest.name.as_str())).cloned()
}
