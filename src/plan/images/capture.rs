//! How a version is captured from an instance.

use std::collections::BTreeSet;

use crate::cloud::call::{Arg, Body, StepId};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::show_state;
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Capture, Desired, InstanceSource, Ready};
use crate::model::ids::{CloudId, InstanceId, Name};
use crate::model::observed::{InstanceState, Seen};
use crate::plan::draft::{Draft, NewStep, SlotAt, settle};
use crate::plan::fleets::{instance_fact, seen_fact};
use crate::plan::types::{Do, Effect, Fact, Need, Settle, Target, Until, Value};

use super::make::{FirstCopy, Making, first_copy, tagged_at_creation};
use super::{Planning, name_free, physical_name};

/// Captures the version in its home region.
pub(super) fn capture(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    capture: &Capture,
    making: &Making<'_>,
) -> Option<StepId> {
    let Planning { home, .. } = planning;
    let (instance, mut needs) = match &capture.source {
        InstanceSource::Slot { fleet, slot } => builder(draft, planning, capture, making, fleet, *slot)?,
        InstanceSource::Id(id) => (handmade(draft, planning, id)?, Vec::new()),
    };
    let untouched = needs.is_empty();
    needs.extend(making.needs());
    let mut expect = Vec::new();
    // Where something is done to it before, it is not as it was seen.
    if let Some(id) = instance.known().filter(|_| untouched) {
        expect.extend(match &capture.source {
            InstanceSource::Slot { .. } => instance_fact(draft, home, id),
            InstanceSource::Id(_) => seen_fact(draft, home, id),
        });
    } else if let Some(id) = instance.known() {
        expect.push(Fact::Instances { region: home.clone(), ids: BTreeSet::from([id.clone()]) });
    }
    let from = match (&capture.source, &instance) {
        (InstanceSource::Slot { fleet, slot }, Arg::Output { step, target }) => {
            Value::Unknown { step: *step, target: *target, addr: Addr::slot(Block::fleet(fleet), *slot) }
        }
        (InstanceSource::Slot { fleet, slot }, Arg::Known(id)) => Value::Text(format!("fleet.{fleet}[{slot}] ({id})")),
        (InstanceSource::Id(id), _) => Value::Text(id.to_string()),
    };
    take(draft, planning, making, Taking { instance, needs, expect, power_off: capture.power_off, from })
}

/// What is captured, and how.
pub(super) struct Taking {
    pub(super) instance: Arg<InstanceId>,
    /// What must be over before.
    pub(super) needs: Vec<Need>,
    /// What must still be so then.
    pub(super) expect: Vec<Fact>,
    /// Whether it is shut down for that.
    pub(super) power_off: bool,
    /// What it is, to be shown.
    pub(super) from: Value,
}

/// The capture itself.
pub(super) fn take(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    making: &Making<'_>,
    taking: Taking,
) -> Option<StepId> {
    let Planning { image, block, home, .. } = planning;
    let Taking { instance, mut needs, expect: of_instance, power_off, from } = taking;
    // One image of an instance is made at a time.
    needs.extend(draft.captures.get(&instance).copied().map(Need::Over));
    let physical = physical_name(draft, planning, making.version, making.generation);
    name_free(draft, planning, home, &physical, making.removed)?;
    let mut expect = vec![Fact::NameFree { region: home.clone(), name: physical.clone() }];
    expect.extend(of_instance);
    let tags = tagged_at_creation(draft, image, block);
    draft.dues.single("CreateImage", 1);
    let does = draft.call(
        home,
        Body::CreateImage {
            name: physical.clone(),
            instance: instance.clone(),
            power_off,
            description: image.description.clone(),
            family: image.family.clone(),
            tags,
        },
    );
    let settle = settle(Until::Normal, draft.input.pace.capture_ms);
    let step = first_copy(draft, planning, making, FirstCopy { physical, does, needs, expect, settle, from });
    draft.captures.insert(instance, step);
    Some(step)
}

/// What an instance is when it is fit to be captured.
pub(super) fn until(ready: &Ready) -> Until {
    match ready {
        Ready::Running => Until::Running,
        Ready::Stopped => Until::Stopped,
        Ready::After(ms) => Until::Age(*ms),
        Ready::Tag { key, value } => Until::Tagged { key: key.clone(), value: value.clone() },
    }
}

/// Waits until an instance is fit to be captured. It is the image that waits, and that fails where it never is.
pub(super) fn wait(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    making: &Making<'_>,
    (instance, needs): (&Arg<InstanceId>, Vec<Need>),
    until: Until,
    deadline_ms: Millis,
) -> StepId {
    let instance = match instance {
        Arg::Known(id) => Arg::Known(CloudId::Instance(id.clone())),
        Arg::Output { step, target } => Arg::Output { step: *step, target: *target },
    };
    let addr = Addr::copy(planning.block.clone(), making.version.clone(), planning.home.clone());
    draft.step(NewStep {
        needs,
        does: Do::Await { region: planning.home.clone() },
        targets: vec![Target { addr, generation: making.generation, id: Some(instance), effect: Effect::Nothing }],
        expect: Vec::new(),
        settle: Settle { until, expected_ms: draft.input.pace.launch_ms, deadline_ms },
        holds: Vec::new(),
    })
}

/// The slot that the image is captured from, and what must be over before.
fn builder(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    capture: &Capture,
    making: &Making<'_>,
    fleet: &Name,
    slot: u32,
) -> Option<(Arg<InstanceId>, Vec<Need>)> {
    let Some(SlotAt { id, mut ready, state }) = draft.slots.get(&(fleet.clone(), slot)).cloned() else {
        draft.faults.push(
            Diagnostic::error(codes::UNKNOWN_REFERENCE, format!("fleet.{fleet} will have no slot {slot}"))
                .at(Desired::path(Kind::Image, planning.name).key("from_instance").key("instance"))
                .why("a fleet that shrank can have holes in its numbering")
                .help("name a slot that there is, or raise the fleet's `count`"),
        );
        return None;
    };
    not_encrypted(draft, planning, fleet, slot)?;
    let waits = match &capture.ready {
        Ready::Running => false,
        Ready::Stopped => state != Some(InstanceState::Stopped),
        Ready::After(_) | Ready::Tag { .. } => true,
    };
    if waits {
        let (until, needs) = (until(&capture.ready), ready.clone());
        let step = wait(draft, planning, making, (&id, needs), until, capture.ready_timeout_ms);
        ready.push(Need::Success(step));
    }
    Some((id, ready))
}

/// Refuses to capture an instance of an encrypted image: so is its disk then, and the cloud captures none (API text 8.5).
fn not_encrypted(draft: &mut Draft<'_>, planning: &Planning<'_>, fleet: &Name, slot: u32) -> Option<()> {
    let from = &draft.input.desired.fleets.get(fleet)?.image;
    let encrypted = draft.images.get(&(from.clone(), planning.home.clone())).is_some_and(|at| at.nature.encrypted);
    if !encrypted {
        return Some(());
    }
    draft.faults.push(
        Diagnostic::error(
            codes::ENCRYPTED_IMAGE,
            format!("image.{} cannot be captured from fleet.{fleet}[{slot}]: its disk is encrypted", planning.name),
        )
        .at(Desired::path(Kind::Image, planning.name).key("from_instance").key("instance"))
        .why(format!("fleet.{fleet} runs from image.{from}, and whatever runs from an encrypted image has such a disk"))
        .help(format!("run fleet.{fleet} from an image that is not, and make an encrypted copy of what is captured")),
    );
    None
}

/// A machine made by hand: it must be there, in a state that can be captured.
fn handmade(draft: &mut Draft<'_>, planning: &Planning<'_>, id: &InstanceId) -> Option<Arg<InstanceId>> {
    let path = Desired::path(Kind::Image, planning.name).key("from_instance").key("instance");
    match draft.input.observed.instance(&planning.home, id) {
        Some(Seen::Present(seen)) if matches!(seen.state, InstanceState::Running | InstanceState::Stopped) => {
            Some(Arg::Known(id.clone()))
        }
        Some(Seen::Present(seen)) => {
            let fault = Diagnostic::error(
                codes::BUSY,
                format!("{id} is {}: it cannot be captured now", show_state(&seen.state)),
            );
            let help = match seen.state.passing() {
                true => "wait until it runs or is shut down, and plan again",
                false => "bring it there in the console, or name another instance",
            };
            draft.faults.push(fault.at(path).why("only an instance that runs or is shut down is captured").help(help));
            None
        }
        Some(Seen::Absent { .. }) | None => {
            draft.faults.push(
                Diagnostic::error(codes::SOURCE_NOT_FOUND, format!("there is no instance {id} in {}", planning.home))
                    .at(path)
                    .help("an `ins-…` source is looked for in the region of the `cloud` block"),
            );
            None
        }
    }
}
