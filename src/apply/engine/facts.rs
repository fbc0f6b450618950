//! Facts: what must still be so when a step starts. A read that is younger than half a minute counts; older facts of
//! all steps that are ready are read again together.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallId, Command, Engine, Purpose};
use crate::apply::events::{Progress, Settled};
use crate::cloud::call::{Answer, Body, Call, Fault, PAGE, Query, Reply};
use crate::model::Millis;
use crate::model::ids::{ImageId, InstanceId, Region, Uin};
use crate::model::observed::{Image, Instance};
use crate::plan::{Fact, Step};

use super::step::full_addr;

/// The most values of one filter (API text 3.13).
const FILTER_VALUES: usize = 5;

/// What is asked again, and by whom.
pub(super) struct Facts {
    read_ms: Millis,
    asked: Vec<(Step, Vec<u32>)>,
    reading: Vec<(Step, Vec<u32>)>,
    open: BTreeMap<CallId, Call>,
    seen: Seen,
    tries: u32,
}

#[derive(Default)]
struct Seen {
    instances: BTreeMap<InstanceId, Instance>,
    images: BTreeMap<(Region, ImageId), Image>,
    names: BTreeSet<(Region, String)>,
    shares: BTreeMap<ImageId, BTreeSet<Uin>>,
    fault: Option<Fault>,
}

impl Facts {
    pub(super) fn seen_at(ms: Millis) -> Self {
        Self {
            read_ms: ms,
            asked: Vec::new(),
            reading: Vec::new(),
            open: BTreeMap::new(),
            seen: Seen::default(),
            tries: 0,
        }
    }

    pub(super) fn fresh(&self, now: Millis, fresh_ms: Millis) -> bool {
        now - self.read_ms <= fresh_ms
    }

    pub(super) fn ask(&mut self, step: Step, indices: Vec<u32>) {
        self.asked.push((step, indices));
    }
}

impl Engine {
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
        self.facts.seen = Seen::default();
        let calls = queries(&self.set.account, self.facts.reading.iter().flat_map(|(step, _)| &step.expect));
        for call in calls {
            let signed_ms = self.cloud_now(now);
            let id = self.send(Purpose::Facts, call.clone(), signed_ms, out);
            self.facts.open.insert(id, call);
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
            Ok(reply) => self.facts.seen.take(&call, reply),
            Err(fault) => self.facts.seen.fault = Some(fault),
        }
        if !self.facts.open.is_empty() {
            return;
        }
        let reading = std::mem::take(&mut self.facts.reading);
        if let Some(fault) = self.facts.seen.fault.take() {
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
        self.facts.read_ms = now;
        for (step, indices) in reading {
            let moved = step.expect.iter().find_map(|fact| self.facts.seen.moved(fact));
            match moved {
                Some(moved) => self.stale(now, &step, &moved, out),
                None => self.intend(now, step, indices, out),
            }
        }
    }

    /// A step whose facts moved is not carried out: it was planned for another world.
    fn stale(&mut self, now: Millis, step: &Step, why: &str, out: &mut Vec<Command>) {
        let why = format!("not started, for {why} since the plan was made");
        let targets: Vec<Settled> = step.targets.iter().map(|target| (full_addr(target), target.known())).collect();
        self.outcome.failed.extend(targets.iter().map(|(addr, _)| (addr.clone(), why.clone())));
        out.push(Command::Tell(Progress::Failed { step: step.id, action: super::action_of(step), targets, why }));
        self.finish_step(now, step.id, out);
    }
}

/// The reads that answer all of these facts, in as few calls as the cloud allows.
fn queries<'f>(account: &Uin, facts: impl Iterator<Item = &'f Fact>) -> Vec<Call> {
    let mut instances: BTreeMap<&Region, BTreeSet<&InstanceId>> = BTreeMap::new();
    let mut images: BTreeMap<&Region, BTreeSet<&ImageId>> = BTreeMap::new();
    let mut names: BTreeMap<&Region, BTreeSet<&String>> = BTreeMap::new();
    let mut shares: BTreeSet<(&Region, &ImageId)> = BTreeSet::new();
    for fact in facts {
        match fact {
            Fact::NameFree { region, name } => drop(names.entry(region).or_default().insert(name)),
            Fact::Instance { region, id, .. } => drop(instances.entry(region).or_default().insert(id)),
            Fact::Shared { region, image, .. } => drop(shares.insert((region, image))),
            Fact::Image { region, id } => drop(images.entry(region).or_default().insert(id)),
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

impl Seen {
    fn take(&mut self, call: &Call, reply: Reply) {
        match (reply, &call.body) {
            (Reply::Instances(page), _) => {
                self.instances.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
            }
            (Reply::Images(page), _) => {
                for image in page.items {
                    self.names.insert((call.region.clone(), image.name.clone()));
                    self.images.insert((call.region.clone(), image.id.clone()), image);
                }
            }
            (Reply::Shares(accounts), Body::Describe(Query::Shares { image })) => {
                self.shares.insert(image.clone(), accounts);
            }
            _ => {}
        }
    }

    /// What is no longer as it was, if anything.
    fn moved(&self, fact: &Fact) -> Option<String> {
        match fact {
            Fact::NameFree { region, name } => self
                .names
                .contains(&(region.clone(), name.clone()))
                .then(|| format!("the image name {name} was taken in {region}")),
            Fact::Image { region, id } => {
                let there = self.images.contains_key(&(region.clone(), id.clone()));
                (!there).then(|| format!("{id} was deleted"))
            }
            Fact::Shared { image, accounts, .. } => {
                let now = self.shares.get(image);
                (now != Some(accounts)).then(|| format!("the accounts that {image} is shared with changed"))
            }
            Fact::Instance { id, image, instance_type, latest_request, .. } => match self.instances.get(id) {
                None => Some(format!("{id} was terminated")),
                Some(now) if now.image != *image => Some(format!("{id} got another image")),
                Some(now) if now.instance_type != *instance_type => Some(format!("{id} got another type")),
                Some(now) => {
                    let request = now.latest.as_ref().and_then(|latest| latest.request_id.as_ref());
                    (request != latest_request.as_ref()).then(|| format!("somebody else worked on {id}"))
                }
            },
        }
    }
}
