//! Facts: what must still be so when a step starts. A look that is younger than half a minute counts; older facts of all
//! steps that are ready are read again together.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallId, Command, Engine, Purpose};
use crate::apply::events::{Progress, Settled};
use crate::cloud::call::{Answer, Arg, Body, Call, Class, Fault, PAGE, Query, Reply};
use crate::model::Millis;
use crate::model::ids::{CloudId, ImageId, InstanceId, Region, Uin};
use crate::model::observed::{Observed, Seen};
use crate::plan::{Do, Fact, Moved, Step, Target};

use super::step::full_addr;

/// The most values of one filter (API text 3.13).
const FILTER_VALUES: usize = 5;

/// What is asked again, and by whom.
pub(super) struct Facts {
    /// When everything was observed that the plan was made from.
    observed_ms: Millis,
    /// What was read again since and found to be so, and when.
    read_ms: BTreeMap<Fact, Millis>,
    asked: Vec<(Step, Vec<u32>)>,
    reading: Vec<(Step, Vec<u32>)>,
    open: BTreeMap<CallId, Call>,
    seen: Observed,
    fault: Option<Fault>,
    tries: u32,
}

impl Facts {
    pub(super) fn seen_at(ms: Millis) -> Self {
        Self {
            observed_ms: ms,
            read_ms: BTreeMap::new(),
            asked: Vec::new(),
            reading: Vec::new(),
            open: BTreeMap::new(),
            seen: Observed::default(),
            fault: None,
            tries: 0,
        }
    }

    /// Whether all that a step relies on was looked at of late.
    pub(super) fn fresh(&self, now: Millis, step: &Step, fresh_ms: Millis) -> bool {
        step.expect.iter().all(|fact| match fact {
            // Nobody has seen yet what was done to it last.
            Fact::Remembered { .. } => false,
            Fact::NameFree { .. }
            | Fact::Instance { .. }
            | Fact::Shared { .. }
            | Fact::Image { .. }
            | Fact::Instances { .. }
            | Fact::Terminable { .. }
            | Fact::Unshared { .. }
            | Fact::Gone { .. } => {
                let seen_ms = self.read_ms.get(fact).map_or(self.observed_ms, |ms| self.observed_ms.max(*ms));
                now - seen_ms <= fresh_ms
            }
        })
    }

    pub(super) fn ask(&mut self, step: Step, indices: Vec<u32>) {
        self.asked.push((step, indices));
    }
}

impl Engine<'_> {
    /// As whom everything here is called.
    pub(super) fn account(&self) -> Option<Uin> {
        Some(self.set.account.clone())
    }

    /// Sends the reads that steps wait for, one batch at a time.
    pub(super) fn read_facts(&mut self, now: Millis, out: &mut Vec<Command>) {
        if self.facts.asked.is_empty() || !self.facts.reading.is_empty() {
            return;
        }
        self.facts.reading = std::mem::take(&mut self.facts.asked);
        self.facts.seen = Observed::default();
        let calls = queries(&self.set.account, self.facts.reading.iter().flat_map(|(step, _)| &step.expect));
        for call in calls {
            let signed_ms = self.cloud_now(now);
            let id = self.send(Purpose::Facts, call.clone(), signed_ms, out);
            self.facts.open.insert(id, call);
        }
        if self.facts.open.is_empty() {
            self.facts_answered(now, out);
        }
    }

    pub(super) fn facts_read(
        &mut self,
        now: Millis,
        id: CallId,
        result: Result<Answer, Fault>,
        out: &mut Vec<Command>,
    ) {
        let Some(call) = self.facts.open.remove(&id) else { return };
        match result.map(|answer| answer.reply) {
            Ok(reply) => take(&mut self.facts.seen, &call, reply),
            // An image that is not there is shared with nobody, and is not there.
            Err(fault)
                if fault.class == Class::NotFound && matches!(&call.body, Body::Describe(Query::Shares { .. })) => {}
            Err(fault) => self.facts.fault = Some(fault),
        }
        if self.facts.open.is_empty() {
            self.facts_answered(now, out);
        }
    }

    fn facts_answered(&mut self, now: Millis, out: &mut Vec<Command>) {
        let reading = std::mem::take(&mut self.facts.reading);
        if let Some(fault) = self.facts.fault.take() {
            self.facts.tries += 1;
            if self.facts.tries <= self.set.most_tries {
                self.facts.asked.extend(reading);
                return;
            }
            for (step, _) in reading {
                self.stale(now, &step, &fault.to_string(), out);
            }
            return;
        }
        self.facts.tries = 0;
        let seen = std::mem::take(&mut self.facts.seen);
        let fresh_ms = self.set.fresh_ms;
        self.facts.read_ms.retain(|_, read_ms| now - *read_ms <= fresh_ms);
        for (step, indices) in reading {
            self.looked_after(now, (step, indices), &seen, out);
        }
    }

    /// Goes on with a step whose facts were read, or with what of it is still as it was.
    fn looked_after(
        &mut self,
        now: Millis,
        (mut step, mut indices): (Step, Vec<u32>),
        seen: &Observed,
        out: &mut Vec<Command>,
    ) {
        let mut moved: Vec<Moved> = Vec::new();
        for fact in &mut step.expect {
            let here = fact.moved(seen);
            if here.is_empty() {
                self.facts.read_ms.insert(fact.clone(), now);
            }
            moved.extend(here);
            learn(fact, seen);
        }
        let Some(first) = moved.first() else {
            self.intend(now, step, indices, out);
            return;
        };
        let why = first.what.clone();
        let Some(rest) = without(&step, &indices, &moved) else {
            self.stale(now, &step, &why, out);
            return;
        };
        for (target, moved) in step.targets.iter().filter_map(|target| Some((target, about(target, &moved)?))) {
            self.stale_targets(&step, std::slice::from_ref(target), &moved.what, out);
        }
        (step, indices) = rest;
        self.intend(now, step, indices, out);
    }

    /// A step whose facts moved is not carried out: it was planned for another world.
    fn stale(&mut self, now: Millis, step: &Step, why: &str, out: &mut Vec<Command>) {
        self.stale_targets(step, &step.targets, why, out);
        self.finish_step(now, step.id, out);
    }

    fn stale_targets(&mut self, step: &Step, targets: &[Target], why: &str, out: &mut Vec<Command>) {
        let why = format!("not started, for {why} since the plan was made");
        let targets: Vec<Settled> = targets.iter().map(|target| (full_addr(target), target.known())).collect();
        self.outcome.failed.extend(targets.iter().map(|(addr, _)| (addr.clone(), why.clone())));
        out.push(Command::Tell(Progress::Failed { step: step.id, action: super::action_of(step), targets, why }));
    }
}

/// What moved about a target, if anything.
fn about<'m>(target: &Target, moved: &'m [Moved]) -> Option<&'m Moved> {
    let id = target.id.as_ref().and_then(Arg::known)?;
    moved.iter().find(|moved| moved.id.as_ref() == Some(id))
}

/// A step without the targets that moved. `None`: what moved is not about single targets, or none is left.
fn without(step: &Step, indices: &[u32], moved: &[Moved]) -> Option<(Step, Vec<u32>)> {
    let hit = |moved: &Moved| step.targets.iter().any(|target| about(target, std::slice::from_ref(moved)).is_some());
    if !moved.iter().all(hit) {
        return None;
    }
    let mut rest = step.clone();
    let Do::Call(call) = &mut rest.does else { return None };
    if call.body.batch() != step.targets.len() {
        return None;
    }
    for id in moved.iter().filter_map(|moved| moved.id.as_ref()).collect::<BTreeSet<&CloudId>>() {
        if !call.body.without(id.as_str()) {
            return None;
        }
    }
    let kept = step.targets.iter().zip(indices).filter(|(target, _)| about(target, moved).is_none());
    let (targets, indices) = kept.map(|(target, index)| (target.clone(), *index)).unzip();
    rest.targets = targets;
    Some((rest, indices))
}

/// What was done last to an instance that nobody had looked at is known now: by it one sees whether a call took effect.
fn learn(fact: &mut Fact, seen: &Observed) {
    let Fact::Remembered { region, id, image, instance_type } = fact else { return };
    let Some(now) = seen.instance(region, id).and_then(Seen::present) else { return };
    *fact = Fact::Instance {
        region: region.clone(),
        id: id.clone(),
        image: image.clone(),
        instance_type: instance_type.clone(),
        latest_request: now.latest.as_ref().and_then(|latest| latest.request_id.clone()),
    };
}

/// The reads that answer all of these facts, in as few calls as the cloud allows.
fn queries<'f>(account: &Uin, facts: impl Iterator<Item = &'f Fact>) -> Vec<Call> {
    let mut instances: BTreeMap<&Region, BTreeSet<&InstanceId>> = BTreeMap::new();
    let mut images: BTreeMap<&Region, BTreeSet<&ImageId>> = BTreeMap::new();
    let mut names: BTreeMap<&Region, BTreeSet<&String>> = BTreeMap::new();
    let mut shares: BTreeSet<(&Region, &ImageId)> = BTreeSet::new();
    for fact in facts {
        match fact {
            Fact::NameFree { region, name } => names.entry(region).or_default().extend([name]),
            Fact::Instance { region, id, .. }
            | Fact::Remembered { region, id, .. }
            | Fact::Gone { region, id: CloudId::Instance(id) } => instances.entry(region).or_default().extend([id]),
            Fact::Instances { region, ids } | Fact::Terminable { region, ids, .. } => {
                instances.entry(region).or_default().extend(ids);
            }
            Fact::Shared { region, image, .. } | Fact::Unshared { region, image } => shares.extend([(region, image)]),
            Fact::Image { region, id } | Fact::Gone { region, id: CloudId::Image(id) } => {
                images.entry(region).or_default().extend([id]);
            }
        }
    }
    let read = |region: &Region, query: Query| Call {
        account: account.clone(),
        region: region.clone(),
        body: Body::Describe(query),
    };
    fn chunks<T: Clone>(all: BTreeSet<&T>, most: usize) -> Vec<Vec<T>> {
        let all: Vec<T> = all.into_iter().cloned().collect();
        all.chunks(most).map(<[T]>::to_vec).collect()
    }
    let mut calls = Vec::new();
    for (region, ids) in instances {
        calls.extend(chunks(ids, PAGE as usize).into_iter().map(|ids| read(region, Query::InstancesById { ids })));
    }
    for (region, ids) in images {
        calls.extend(chunks(ids, PAGE as usize).into_iter().map(|ids| read(region, Query::ImagesById { ids })));
    }
    for (region, names) in names {
        let named = |names| read(region, Query::CustomImagesNamed { names, offset: 0 });
        calls.extend(chunks(names, FILTER_VALUES).into_iter().map(named));
    }
    calls.extend(shares.into_iter().map(|(region, image)| read(region, Query::Shares { image: image.clone() })));
    calls
}

/// Takes what a read answered. What is asked for and not answered stays out: it is not there.
fn take(seen: &mut Observed, call: &Call, reply: Reply) {
    let seen = seen.by_region.entry(call.region.clone()).or_default();
    match (reply, &call.body) {
        (Reply::Instances(page), _) => {
            let there = page.items.into_iter().map(|item| (item.id.clone(), Seen::Present(Box::new(item))));
            seen.instances.extend(there);
        }
        (Reply::Images(page), Body::Describe(Query::CustomImagesNamed { .. })) => {
            let named = page.items.into_iter().map(|image| (image.id.clone(), image));
            seen.custom_images.get_or_insert_default().extend(named);
        }
        (Reply::Images(page), _) => {
            seen.images.extend(page.items.into_iter().map(|image| (image.id.clone(), Seen::Present(image))));
        }
        (Reply::Shares(accounts), Body::Describe(Query::Shares { image })) => {
            seen.shares.insert(image.clone(), accounts);
        }
        _ => {}
    }
}
