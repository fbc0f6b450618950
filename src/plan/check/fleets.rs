//! What must never happen to the instances of a fleet.

use std::collections::{BTreeMap, BTreeSet};

use super::ancestors;
use crate::cloud::call::{Arg, Body, InstanceAttr, StepId};
use crate::diff;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::ids::InstanceId;
use crate::model::observed::{Instance, InstanceState, Seen};
use crate::model::recorded::Object;
use crate::model::spec::{ObjectSpec, Power};
use crate::plan::input::PlanInput;
use crate::plan::types::{Do, Effect, Plan, Step, Target};

/// Above this many instances of a fleet that are out of service in turn, nobody counts how many are at once.
const MAX_DISRUPTED: usize = 500;

/// Instances that calls act on, by their ids.
struct Known<'a> {
    recorded: BTreeMap<&'a InstanceId, &'a Object>,
    /// The ids of the same, by address and generation.
    ids: BTreeMap<(&'a Addr, u32), &'a InstanceId>,
    seen: BTreeMap<&'a InstanceId, &'a Instance>,
    /// Slots of which several instances are recorded, and how many of them serve.
    several: BTreeMap<&'a Addr, usize>,
}

impl Known<'_> {
    /// The instance that a step is about. Its id may be told by an earlier step: the state has it.
    fn id(&self, target: &Target) -> Option<&InstanceId> {
        self.ids.get(&(&target.addr, target.generation)).copied()
    }

    /// Whether it was seen not to run.
    fn is_off(&self, target: &Target) -> bool {
        let off = |seen: &&Instance| diff::power_of(&seen.state) != Some(Power::Running);
        self.id(target).and_then(|id| self.seen.get(id)).is_some_and(off)
    }

    /// Whether it does not count as one that serves: it is off, or no gate has seen it yet.
    fn is_out(&self, target: &Target) -> bool {
        let tried = |id| self.recorded.get(id).is_some_and(|row| row.is_on_trial());
        self.is_off(target) || self.id(target).is_some_and(tried)
    }
}

/// Looks for what must never happen to an instance.
pub(super) fn fleets(plan: &Plan, input: &PlanInput<'_>, waits: &[BTreeSet<StepId>], wrong: &mut Vec<String>) {
    let acted_on = acted_on(plan);
    let rows = input.recorded.objects.iter();
    let listed = input.observed.by_region.values().flat_map(|region| region.instances.values());
    let recorded: BTreeMap<&InstanceId, &Object> =
        rows.filter_map(|row| Some((row.cloud_id.instance()?, row))).filter(|(id, _)| acted_on.contains(id)).collect();
    let known = Known {
        several: several(input),
        ids: recorded.iter().map(|(id, row)| ((&row.addr, row.generation), *id)).collect(),
        recorded,
        seen: listed
            .filter_map(Seen::present)
            .filter(|seen| acted_on.contains(&seen.id))
            .map(|seen| (&seen.id, seen.as_ref()))
            .collect(),
    };
    protected(plan, input, waits, &known, wrong);
    ended_once(plan, &known, wrong);
    in_their_zones(plan, input, wrong);
    available(plan, input, waits, &known, wrong);
    seen_first(plan, input, wrong);
}

/// Slots of which there are several instances, with how many of them serve. They stand together in a state.
fn several<'a>(input: &PlanInput<'a>) -> BTreeMap<&'a Addr, usize> {
    let rows = &input.recorded.objects;
    let pairs = rows.iter().zip(rows.iter().skip(1));
    let mut serve: BTreeMap<&Addr, usize> =
        pairs.filter(|(one, next)| one.addr == next.addr).map(|(one, _)| (&one.addr, 0)).collect();
    if serve.is_empty() {
        return serve;
    }
    for row in rows.iter().filter(|row| !row.is_on_trial()) {
        let seen = row.cloud_id.instance().and_then(|id| input.observed.instance_there(&row.region, id));
        if let (Some(serve), true) = (serve.get_mut(&row.addr), seen.is_some_and(runs)) {
            *serve += 1;
        }
    }
    serve
}

fn runs(seen: &Instance) -> bool {
    seen.state == InstanceState::Running
}

/// The instances that calls are about, which are few of all that are there.
fn acted_on(plan: &Plan) -> BTreeSet<&InstanceId> {
    let mut ids = BTreeSet::new();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        match &call.body {
            Body::StartInstances { instances } | Body::ModifyInstances { instances, .. } => ids.extend(instances),
            Body::StopInstances { instances } | Body::TerminateInstances { instances } => {
                ids.extend(instances.iter().filter_map(Arg::known));
            }
            Body::ResetInstance { instance, .. } | Body::ResizeInstance { instance, .. } => {
                ids.insert(instance);
            }
            Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::DeleteImages { .. }
            | Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => {}
        }
    }
    ids
}

/// What is protected is neither terminated nor reset, unless the config takes the protection back; then that comes first.
fn protected(
    plan: &Plan,
    input: &PlanInput<'_>,
    waits: &[BTreeSet<StepId>],
    known: &Known<'_>,
    wrong: &mut Vec<String>,
) {
    let mut freed: BTreeMap<&InstanceId, StepId> = BTreeMap::new();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        if let Body::ModifyInstances { instances, set: InstanceAttr::Protection(false) } = &call.body {
            freed.extend(instances.iter().map(|id| (id, step.id)));
        }
    }
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        let (instances, terminates): (Vec<&InstanceId>, bool) = match &call.body {
            Body::TerminateInstances { instances } => (instances.iter().filter_map(Arg::known).collect(), true),
            Body::ResetInstance { instance, .. } => (vec![instance], false),
            Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::DeleteImages { .. }
            | Body::StopInstances { .. }
            | Body::StartInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => continue,
        };
        for id in instances {
            let row = known.recorded.get(id);
            let recorded = row.is_some_and(|row| matches!(row.spec.as_ref(), ObjectSpec::Slot(spec) if spec.protect));
            // What protects an image does not protect the machine that it is built on.
            let declared = row.and_then(|row| match row.addr.block.kind {
                Kind::Fleet => input.desired.fleets.get(&row.addr.block.name).map(|fleet| fleet.protect),
                Kind::Image | Kind::Share => Some(false),
            });
            let by_cloud = terminates && known.seen.get(id).is_some_and(|seen| seen.protected);
            let first = || freed.get(id).is_some_and(|free| ancestors(waits, step.id).contains(free));
            let may = match declared {
                Some(true) => false,
                Some(false) if by_cloud => recorded && first(),
                Some(false) => true,
                None => !recorded && !by_cloud,
            };
            if !may {
                wrong.push(format!("{} does away with {id}, which is protected", step.id));
            }
        }
    }
}

/// No instance is terminated twice, nor one that is on its way out or in the recycle bin: a second call destroys what
/// was paid for in advance. And a call is about one billing mode (API text 5.4).
fn ended_once(plan: &Plan, known: &Known<'_>, wrong: &mut Vec<String>) {
    let mut ended: BTreeSet<&InstanceId> = BTreeSet::new();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        let Body::TerminateInstances { instances } = &call.body else { continue };
        let mut modes: BTreeSet<&str> = BTreeSet::new();
        for id in instances.iter().filter_map(Arg::known) {
            let seen = known.seen.get(id);
            let ending = |seen: &&&Instance| matches!(seen.state, InstanceState::Shutdown | InstanceState::Terminating);
            if !ended.insert(id) || seen.filter(ending).is_some() {
                wrong.push(format!("{} terminates {id} a second time", step.id));
            }
            modes.extend(seen.map(|seen| seen.charge_type.as_str()));
        }
        if modes.len() > 1 {
            wrong.push(format!("{} terminates instances of several billing modes", step.id));
        }
    }
}

/// New instances are launched in zones of their fleet.
fn in_their_zones(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        let Body::RunInstances(launch) = &call.body else { continue };
        let of_fleet = step.targets.first().filter(|target| target.addr.block.kind == Kind::Fleet);
        let Some(fleet) = of_fleet.and_then(|target| input.desired.fleets.get(&target.addr.block.name)) else {
            continue;
        };
        if !fleet.zones.contains(&launch.zone) {
            wrong.push(format!("{} launches in {}, which is none of the fleet's zones", step.id, launch.zone));
        }
    }
}

/// From which step to which an instance is out of service.
struct Outage {
    from: StepId,
    to: StepId,
    /// Whether it may have served before: nobody misses one that was off already.
    served: bool,
}

/// Never more are taken out of service at once than the config allows: of those that are away when one that serves goes,
/// each has to come back later than that.
fn available(
    plan: &Plan,
    input: &PlanInput<'_>,
    waits: &[BTreeSet<StepId>],
    known: &Known<'_>,
    wrong: &mut Vec<String>,
) {
    for (block, outages) in outages(plan, known) {
        let Some(fleet) = input.desired.fleets.get(&block.name).filter(|fleet| fleet.power != Some(Power::Stopped))
        else {
            continue;
        };
        if outages.len() > MAX_DISRUPTED {
            continue;
        }
        let most = usize::try_from(fleet.update.at_once(fleet.count).down).unwrap_or(usize::MAX);
        let before: Vec<BTreeSet<usize>> = outages
            .iter()
            .map(|outage| {
                let over = ancestors(waits, outage.from);
                outages.iter().enumerate().filter(|(_, other)| over.contains(&other.to)).map(|(n, _)| n).collect()
            })
            .collect();
        let away = |mine: &BTreeSet<usize>| {
            before.iter().enumerate().filter(|(n, other)| !mine.contains(n) && other.is_subset(mine)).count()
        };
        let served = before.iter().zip(&outages).filter(|(_, outage)| outage.served);
        let worst = served.map(|(mine, _)| away(mine)).max().unwrap_or(0);
        if worst > most {
            wrong.push(format!("{block}: {worst} instances out of service at once, and {most} are allowed"));
        }
    }
}

/// The outages of each fleet: of slots that are there before and after.
fn outages<'p>(plan: &'p Plan, known: &Known<'_>) -> BTreeMap<&'p Block, Vec<Outage>> {
    let mut away: BTreeMap<(&Block, u32), Outage> = BTreeMap::new();
    let mut back: BTreeSet<(&Block, u32)> = BTreeSet::new();
    let mut serve = known.several.clone();
    for step in &plan.steps {
        let (goes, returns) = turns(step, known);
        for target in step.targets.iter().filter(|_| goes || returns) {
            let Some(slot) = target.addr.slot else { continue };
            if goes && succeeded(plan, target) {
                continue;
            }
            if let Some(left) = serve.get_mut(&target.addr).filter(|_| goes) {
                // Nobody misses it while another one of its slot serves, nor one that did not beside another.
                *left -= usize::from(!known.is_out(target)).min(*left);
                if *left > 0 || known.is_out(target) {
                    continue;
                }
            }
            let key = (&target.addr.block, slot);
            if goes || away.contains_key(&key) {
                let outage = away.entry(key).or_insert(Outage { from: step.id, to: step.id, served: false });
                outage.from = outage.from.min(step.id);
                outage.to = outage.to.max(step.id);
                // What no gate has seen may serve all the same.
                outage.served |= goes && !known.is_off(target);
            }
            if returns {
                back.insert(key);
            }
        }
    }
    let mut by_fleet: BTreeMap<&Block, Vec<Outage>> = BTreeMap::new();
    for (key, outage) in away {
        if back.contains(&key) {
            by_fleet.entry(key.0).or_default().push(outage);
        }
    }
    by_fleet
}

/// Whether a gate has seen, before an instance goes, that a newer one of its slot is good.
fn succeeded(plan: &Plan, target: &Target) -> bool {
    let mut id = target.id.as_ref();
    // A hook may stand between.
    for _ in 0..2 {
        let Some(Arg::Output { step, target: output }) = id else { return false };
        let Some(step) = plan.steps.get(step.0 as usize) else { return false };
        if let Some(freed) = step.frees(*output) {
            let newer = step.targets.get((*output as usize).wrapping_sub(step.targets.len()));
            let newer = newer.filter(|newer| newer.addr == target.addr && newer.generation > target.generation);
            return freed.is_some() && newer.is_some();
        }
        id = step.targets.get(*output as usize).and_then(|before| before.id.as_ref());
    }
    false
}

/// Whether a step takes its targets out of service, and whether it brings them back.
fn turns(step: &Step, known: &Known<'_>) -> (bool, bool) {
    let Do::Call(call) = &step.does else { return (false, false) };
    match &call.body {
        Body::TerminateInstances { .. } => (true, false),
        // What becomes switched off is to be so.
        Body::StopInstances { .. } => {
            (step.targets.iter().any(|target| matches!(target.effect, Effect::Nothing)), false)
        }
        Body::RunInstances(_) | Body::StartInstances { .. } => (false, true),
        Body::ResetInstance { .. } => (true, true),
        // One that is off does not reboot.
        Body::ModifyInstances { set: InstanceAttr::Hostname(_), instances } => {
            (instances.iter().any(|id| known.seen.get(id).is_some_and(|seen| runs(seen))), true)
        }
        Body::ModifyInstances { .. }
        | Body::CreateImage { .. }
        | Body::ImportImage { .. }
        | Body::SyncImages { .. }
        | Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::DeleteImages { .. }
        | Body::ResizeInstance { .. }
        | Body::TagResources { .. }
        | Body::UntagResources { .. }
        | Body::Describe(_) => (false, false),
    }
}

/// What a gate is to see is on trial until it has: whatever else is done to it goes by what the gate hands on, for else a
/// slot that fails were taken for one that is good.
fn seen_first(plan: &Plan, input: &PlanInput<'_>, wrong: &mut Vec<String>) {
    let looks = |step: &Step| matches!(step.does, Do::Gate(_) | Do::Hook(_));
    let gates = plan.steps.iter().filter(|step| looks(step)).flat_map(|step| &step.targets);
    let watched: BTreeSet<(&Addr, u32)> =
        gates.filter(|target| becomes(target) == Some(false)).map(|target| (&target.addr, target.generation)).collect();
    if watched.is_empty() {
        return;
    }
    let rows = input.recorded.objects.iter().filter(|row| row.is_on_trial());
    let mut tried: BTreeSet<(&Addr, u32)> = rows.map(|row| (&row.addr, row.generation)).collect();
    for step in &plan.steps {
        for target in &step.targets {
            let key = (&target.addr, target.generation);
            match becomes(target) {
                Some(true) => drop(tried.insert(key)),
                Some(false)
                    if !looks(step) && watched.contains(&key) && tried.contains(&key) && !seen(plan, target) =>
                {
                    wrong.push(format!("{} takes {} for good, whatever its gate sees", step.id, target.addr));
                }
                Some(false) | None => {}
            }
        }
    }
}

/// Whether an instance is on trial by what a step makes of it.
fn becomes(target: &Target) -> Option<bool> {
    let spec = match &target.effect {
        Effect::Become(spec) => spec,
        Effect::Make(made) => &made.spec,
        Effect::Nothing | Effect::Remove | Effect::Arrive => return None,
    };
    match spec.as_ref() {
        ObjectSpec::Slot(spec) => Some(spec.on_trial),
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    }
}

/// Whether a gate hands a target on, be it by what stands between.
fn seen(plan: &Plan, target: &Target) -> bool {
    let mut target = target;
    // What hands it on stands before it, so this comes to an end.
    let mut before = plan.steps.len();
    while let Some(Arg::Output { step, target: output }) = target.id {
        let Some(from) = plan.steps.get(step.0 as usize).filter(|_| (step.0 as usize) < before) else { return false };
        if matches!(from.does, Do::Gate(_)) {
            return true;
        }
        let Some(handed) = from.targets.get(output as usize) else { return false };
        (target, before) = (handed, step.0 as usize);
    }
    false
}
