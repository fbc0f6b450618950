//! Whether the steps of a plan hang together, whoever wrote them: each waits only for what comes before it, each id
//! comes from where it is handed out, and each thing that a call names is a target. The planner's own plans are
//! checked, and so is a plan that is read from a file: what is carried out is never nonsense, whatever its hash says.

use std::collections::BTreeSet;

use super::types::{Do, Effect, Fact, Plan, Settle, Step, Target, Until};
use crate::cloud::call::{Arg, Body, MAX_LAUNCH, StepId};
use crate::model::Millis;
use crate::model::ids::{CloudId, Region};
use crate::model::spec::ObjectSpec;

/// Far beyond any deadline of the planner: ten years.
const MOST_MS: Millis = 10 * 366 * 24 * 3_600_000;
/// The end of the year 9999, which clocks and dates can still tell.
const LAST_MS: Millis = 253_402_300_799_000;
/// Far beyond anything that is counted.
const MOST_HELD: i64 = 1_000_000_000;
/// The most faults that are told: one is enough to refuse.
const MOST_FAULTS: usize = 20;

/// What an id is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Instance,
}

impl Kind {
    fn of(id: &CloudId) -> Self {
        match id {
            CloudId::Image(_) => Self::Image,
            CloudId::Instance(_) => Self::Instance,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Instance => "an instance",
        }
    }
}

/// What does not hang together; empty where all does. The order of the steps comes first: where it is broken, nothing
/// else is looked at.
#[must_use]
pub(super) fn faults(plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        numbered(n, step, &mut wrong);
    }
    if wrong.is_empty() {
        for step in &plan.steps {
            timed(step, &mut wrong);
            given(plan, step, &mut wrong);
            called(plan, step, &mut wrong);
            counted(step, &mut wrong);
        }
        dated(plan, &mut wrong);
    }
    wrong.truncate(MOST_FAULTS);
    wrong
}

/// Needs exist, and stand before the step; so there is no circle either.
fn numbered(n: usize, step: &Step, wrong: &mut Vec<String>) {
    if step.id.0 as usize != n {
        wrong.push(format!("{} stands at place {n}", step.id));
    }
    for other in step.waits_for() {
        if other >= step.id {
            wrong.push(format!("{} waits for {other}, which does not come before it", step.id));
        }
    }
    if step.targets.is_empty() {
        wrong.push(format!("{} has no target", step.id));
    }
}

fn timed(step: &Step, wrong: &mut Vec<String>) {
    let Settle { until, expected_ms, deadline_ms } = &step.settle;
    let age_ms = if let Until::Age(ms) = until { *ms } else { 0 };
    for ms in [*expected_ms, *deadline_ms, age_ms] {
        if !(0..=MOST_MS).contains(&ms) {
            wrong.push(format!("{} is to take {ms} ms", step.id));
        }
    }
}

/// Every id that a step is given comes from a target that has one, or gets one.
fn given(plan: &Plan, step: &Step, wrong: &mut Vec<String>) {
    let mut given: Vec<(StepId, u32, Option<Kind>)> = Vec::new();
    let mut take = |arg: Option<(StepId, u32)>, kind| given.extend(arg.map(|(step, target)| (step, target, kind)));
    if let Do::Call(call) = &step.does {
        match &call.body {
            Body::RunInstances(launch) => take(output(&launch.image), Some(Kind::Image)),
            Body::CreateImage { instance, .. } => take(output(instance), Some(Kind::Instance)),
            Body::SyncImages { image, .. }
            | Body::ShareImage { image, .. }
            | Body::ModifyImage { image, .. }
            | Body::ResetInstance { image, .. } => take(output(image), Some(Kind::Image)),
            Body::TagResources { resources, .. } | Body::UntagResources { resources, .. } => {
                for resource in resources {
                    take(output(&resource.id), None);
                }
            }
            Body::StopInstances { instances } | Body::TerminateInstances { instances } => {
                for instance in instances {
                    take(output(instance), Some(Kind::Instance));
                }
            }
            Body::ImportImage { .. }
            | Body::DeleteImages { .. }
            | Body::StartInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::Describe(_) => {}
        }
    }
    for target in &step.targets {
        let kind = match &target.effect {
            Effect::Make(made) => Some(kind_of(&made.spec)),
            Effect::Become(spec) => Some(kind_of(spec)),
            Effect::Nothing | Effect::Remove | Effect::Arrive => None,
        };
        match &target.id {
            Some(Arg::Known(id)) if kind.is_some_and(|kind| kind != Kind::of(id)) => {
                wrong.push(format!("{} takes {id} for something else than it is", step.id));
            }
            Some(Arg::Known(_)) | None => {}
            Some(arg @ Arg::Output { .. }) => take(output(arg), kind),
        }
    }
    for (other, target, kind) in given {
        match handed_out(plan, other, target) {
            None => wrong.push(format!("{} takes an id from {other} that it does not hand out", step.id)),
            Some(Some(found)) => {
                if let Some(kind) = kind.filter(|kind| *kind != found) {
                    wrong.push(format!("{} takes {} from {other} for {}", step.id, found.word(), kind.word()));
                }
            }
            Some(None) => {}
        }
    }
}

fn output<T>(arg: &Arg<T>) -> Option<(StepId, u32)> {
    match arg {
        Arg::Known(_) => None,
        Arg::Output { step, target } => Some((*step, *target)),
    }
}

/// What a spec's object is called by: shares are known by their image.
fn kind_of(spec: &ObjectSpec) -> Kind {
    match spec {
        ObjectSpec::Slot(_) => Kind::Instance,
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => Kind::Image,
    }
}

/// An id that is known, or handed on by an earlier step that knows it.
fn known_id<'p>(plan: &'p Plan, id: &'p Arg<CloudId>) -> Option<&'p CloudId> {
    let mut id = id;
    // Each step hands on from one before it, or the plan is not sound for that.
    for _ in 0..=plan.steps.len() {
        match id {
            Arg::Known(id) => return Some(id),
            Arg::Output { step, target } => {
                let step = plan.steps.get(step.0 as usize)?;
                if let Some(freed) = step.frees(*target) {
                    return freed;
                }
                id = step.targets.get(*target as usize)?.id.as_ref()?;
            }
        }
    }
    None
}

/// Whether a target hands an id out, and of what where that is known.
fn handed_out(plan: &Plan, step: StepId, target: u32) -> Option<Option<Kind>> {
    let step = plan.steps.get(step.0 as usize)?;
    // What only changes the state learns nothing from the cloud.
    if step.does == Do::Record {
        return None;
    }
    if let Some(freed) = step.frees(target) {
        return freed.map(|id| Some(Kind::of(id)));
    }
    let Target { addr: _, generation: _, id, effect } = step.targets.get(target as usize)?;
    match (id, effect) {
        (Some(Arg::Known(id)), _) => Some(Some(Kind::of(id))),
        (_, Effect::Make(made)) => Some(Some(kind_of(&made.spec))),
        (Some(Arg::Output { .. }), _) => Some(None),
        (None, Effect::Nothing | Effect::Become(_) | Effect::Remove | Effect::Arrive) => None,
    }
}

/// A call is made as the plan's account and in a region, changes something, and does so to its targets only.
fn called(plan: &Plan, step: &Step, wrong: &mut Vec<String>) {
    let mut say = |what: String| wrong.push(format!("{} {what}", step.id));
    let call = match &step.does {
        Do::Call(call) => call,
        Do::Await { region } => {
            if !is_region(region) {
                say(format!("waits in {region:?}, which is no region"));
            }
            return;
        }
        Do::Gate(gate) => {
            if !is_region(&gate.region) {
                say(format!("looks in {:?}, which is no region", gate.region));
            }
            if gate.frees.len() != step.targets.len() {
                say(format!("frees {} things for {} targets", gate.frees.len(), step.targets.len()));
            }
            return;
        }
        Do::Hook(hook) => {
            if !is_region(&hook.region) {
                say(format!("runs in {:?}, which is no region", hook.region));
            }
            return;
        }
        Do::Record => return,
    };
    if call.account != plan.origin.account {
        say(format!("is done as {}, and the plan is of {}", call.account, plan.origin.account));
    }
    if !is_region(&call.region) {
        say(format!("is done in {:?}, which is no region", call.region));
    }
    let known: BTreeSet<&str> =
        step.targets.iter().filter_map(|target| known_id(plan, target.id.as_ref()?)).map(CloudId::as_str).collect();
    let mut lost = |id: &str| {
        if !known.contains(id) {
            say(format!("does something to {id}, which is none of its targets"));
        }
    };
    match &call.body {
        Body::RunInstances(launch) => {
            let fits = (1..=MAX_LAUNCH).contains(&launch.count) && launch.count as usize == step.targets.len();
            if !fits || launch.first_ordinal.checked_add(launch.count).is_none() {
                let (count, first, targets) = (launch.count, launch.first_ordinal, step.targets.len());
                say(format!("launches {count} instances from number {first} on, and has {targets} targets"));
            }
        }
        Body::DeleteImages { images } => images.iter().for_each(|id| lost(id.as_str())),
        Body::StopInstances { instances } | Body::TerminateInstances { instances } => {
            instances.iter().filter_map(Arg::known).for_each(|id| lost(id.as_str()));
        }
        Body::StartInstances { instances } | Body::ModifyInstances { instances, .. } => {
            instances.iter().for_each(|id| lost(id.as_str()));
        }
        Body::ResetInstance { instance, .. } | Body::ResizeInstance { instance, .. } => lost(instance.as_str()),
        Body::SyncImages { to, .. } => {
            if let Some(region) = to.iter().find(|region| !is_region(region)) {
                say(format!("copies to {region:?}, which is no region"));
            }
        }
        Body::Describe(_) => say("only reads, and a plan's steps change something".to_owned()),
        Body::CreateImage { .. }
        | Body::ImportImage { .. }
        | Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::TagResources { .. }
        | Body::UntagResources { .. } => {}
    }
    for fact in &step.expect {
        let (Fact::NameFree { region, .. }
        | Fact::Instance { region, .. }
        | Fact::Shared { region, .. }
        | Fact::Image { region, .. }
        | Fact::Remembered { region, .. }
        | Fact::Instances { region, .. }
        | Fact::Terminable { region, .. }
        | Fact::Unshared { region, .. }
        | Fact::Gone { region, .. }) = fact;
        if !is_region(region) {
            say(format!("relies on something in {region:?}, which is no region"));
        }
    }
}

/// A region stands in the header of a request: it is one word.
fn is_region(region: &Region) -> bool {
    let text = region.as_str();
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn counted(step: &Step, wrong: &mut Vec<String>) {
    for hold in &step.holds {
        if ![hold.at_start, hold.at_end].iter().all(|held| (-MOST_HELD..=MOST_HELD).contains(held)) {
            wrong.push(format!("{} holds {} and {} {}", step.id, hold.at_start, hold.at_end, hold.resource));
        }
    }
}

fn dated(plan: &Plan, wrong: &mut Vec<String>) {
    let made = plan.lookups.iter().map(|pinned| pinned.created_ms);
    for ms in made.chain([plan.as_of_ms]).filter(|ms| !(0..=LAST_MS).contains(ms)) {
        wrong.push(format!("it speaks of the time {ms} ms, which is none"));
    }
}
