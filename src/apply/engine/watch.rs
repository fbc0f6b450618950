//! Polls: one Describe for all that is waited for in a region, as often as makes sense for what is waited for.

use std::collections::BTreeMap;

use super::op::Op;
use super::{Command, Engine, Purpose};
use crate::apply::events::Progress;
use crate::cloud::call::{Answer, Body, Call, Class, Fault, InstanceAttr, PAGE, Query, Reply};
use crate::model::Millis;
use crate::model::ids::{CloudId, ImageId, InstanceId, Region};
use crate::model::observed::{Image, ImageState, Instance, InstanceState, OperationState};
use crate::model::recorded::OpId;
use crate::plan::{Do, Effect, Until};

/// What one Describe can ask for: images, or instances, of one region.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Group {
    region: Region,
    images: bool,
}

impl Group {
    pub(super) fn instances(region: Region) -> Self {
        Self { region, images: false }
    }
}

/// One thing that is looked after, for one operation. Without a target: an id that is not bound yet, or the source of
/// a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct WatchKey {
    pub(super) op: OpId,
    target: Option<usize>,
    id: CloudId,
}

impl WatchKey {
    /// One that is looked after for a target.
    pub(super) fn of_target(op: OpId, n: usize, id: CloudId) -> Self {
        Self { op, target: Some(n), id }
    }

    /// Which target it is looked after for.
    pub(super) fn target(&self) -> Option<usize> {
        self.target
    }

    /// Whether it is the id of an instance that no target has yet.
    fn nameless(&self) -> bool {
        self.target.is_none() && self.id.instance().is_some()
    }
}

pub(super) struct Watch {
    since_ms: Millis,
    every_ms: Millis,
    deadline_ms: Millis,
    /// Whether it was ever listed.
    seen: bool,
    /// How many polls in a row have not listed it. One alone proves nothing: it may be answered from an old list.
    missed: u32,
    due_ms: Millis,
}

/// The shortest time between two polls of one thing.
const LEAST_EVERY_MS: Millis = 1_000;

/// What a poll says about a thing.
enum Verdict {
    NotYet,
    Done,
    /// The cloud says so.
    Failed(String),
    /// Nobody knows what became of it: it is not listed, or not done in time.
    Lost(String),
}

impl Engine<'_> {
    /// Looks after every target of an operation that has no outcome yet.
    pub(super) fn watch(&mut self, now: Millis, id: OpId) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let step = &op.record.step;
        let region = match &step.does {
            Do::Call(call) => call.region.clone(),
            Do::Await { region } => region.clone(),
            // They have ways of their own.
            Do::Record | Do::Gate(_) | Do::Hook(_) => return,
        };
        let every_ms = (step.settle.expected_ms / 10).max(LEAST_EVERY_MS);
        let due_ms = now + step.settle.expected_ms.min(every_ms);
        let deadline_ms = now + step.settle.deadline_ms;
        let mut keys: Vec<(WatchKey, Region)> = Vec::new();
        let mut lost = Vec::new();
        for (n, target) in step.targets.iter().enumerate() {
            if op.record.outcomes.get(n).is_none_or(Option::is_some) {
                continue;
            }
            match op.record.ids.get(n).cloned().flatten() {
                Some(cloud_id) => {
                    let at = match &target.effect {
                        Effect::Make(made) => made.region.clone(),
                        Effect::Nothing | Effect::Become(_) | Effect::Remove | Effect::Arrive => region.clone(),
                    };
                    keys.push((WatchKey { op: id, target: Some(n), id: cloud_id }, at));
                }
                None if op.record.unbound.is_empty() => lost.push(n),
                None => {}
            }
        }
        for cloud_id in &op.record.unbound {
            keys.push((WatchKey { op: id, target: None, id: cloud_id.clone() }, region.clone()));
        }
        if let Some(Body::SyncImages { image, .. }) = op.call().map(|call| &call.body)
            && let Some(source) = image.known()
        {
            let key = WatchKey { op: id, target: None, id: CloudId::Image(source.clone()) };
            keys.push((key, region.clone()));
            op.source_busy = true;
        }
        for (key, region) in keys {
            let group = Group { region, images: key.id.image().is_some() };
            self.due.entry(group).or_default().insert((due_ms, key.clone()));
            self.watches.insert(key, Watch { since_ms: now, every_ms, deadline_ms, seen: false, missed: 0, due_ms });
        }
        for n in lost {
            self.target_failed(id, n, "the cloud accepted it, but gave no id for it".into());
        }
        self.settle_if_over(now, id);
    }

    /// Looks no longer after anything of an operation.
    pub(super) fn forget_watches(&mut self, id: OpId) {
        self.watches.retain(|key, _| key.op != id);
        for due in self.due.values_mut() {
            due.retain(|(_, key)| key.op != id);
        }
    }

    /// When what is due at some time is polled. While calls are under way, or being written down, that bring more to look
    /// after, it waits a moment for them: then one poll is for all.
    fn polled_at(&self, due_ms: Millis) -> Millis {
        let more = self.in_flight > 0 || !self.batch_after.is_empty() || !self.afters.is_empty();
        if more { due_ms + LEAST_EVERY_MS / 2 } else { due_ms }
    }

    /// When the next poll is sent.
    pub(super) fn next_poll(&self) -> Option<Millis> {
        self.due.values().filter_map(|due| due.first().map(|(at, _)| self.polled_at(*at))).min()
    }

    /// Sends the polls that are due, each with everything else that is nearly due. What else waits in the region comes
    /// along where a call has room for it, and so keeps step from then on.
    pub(super) fn poll_due(&mut self, now: Millis, out: &mut Vec<Command>) {
        let groups: Vec<Group> = self.due.keys().cloned().collect();
        for group in groups {
            let first = self.due.get(&group).and_then(|due| due.first()).map(|(at, _)| *at);
            if first.is_none_or(|at| self.polled_at(at) > now) {
                continue;
            }
            let Some(due) = self.due.get_mut(&group) else { continue };
            let soon = now + LEAST_EVERY_MS / 2;
            let mut by_id: BTreeMap<CloudId, Vec<WatchKey>> = BTreeMap::new();
            while due.first().is_some_and(|(at, _)| *at <= soon || !by_id.len().is_multiple_of(PAGE as usize)) {
                let Some((_, key)) = due.pop_first() else { break };
                by_id.entry(key.id.clone()).or_default().push(key);
            }
            let Some(account) = self.account() else { continue };
            let entries: Vec<(CloudId, Vec<WatchKey>)> = by_id.into_iter().collect();
            for chunk in entries.chunks(PAGE as usize) {
                let ids = chunk.iter().map(|(id, _)| id);
                let query = if group.images {
                    Query::ImagesById { ids: ids.filter_map(|id| id.image().cloned()).collect() }
                } else {
                    Query::InstancesById { ids: ids.filter_map(|id| id.instance().cloned()).collect() }
                };
                let keys = chunk.iter().flat_map(|(_, keys)| keys.clone()).collect();
                let call = Call { account: account.clone(), region: group.region.clone(), body: Body::Describe(query) };
                let signed_ms = self.cloud_now(now);
                self.send(Purpose::Poll(group.clone(), keys), call, signed_ms, out);
            }
        }
    }

    pub(super) fn polled(
        &mut self,
        now: Millis,
        group: &Group,
        keys: Vec<WatchKey>,
        result: Result<Answer, Fault>,
        out: &mut Vec<Command>,
    ) {
        let answer = match result {
            Ok(answer) => answer,
            Err(fault) => {
                let hopeless = matches!(fault.class, Class::Auth | Class::Denied | Class::Invalid);
                for key in keys {
                    // The question was refused: that says nothing of what it was about.
                    if self.is_gate(key.op) {
                        self.gate_unlisted(now, &key, &fault.to_string(), hopeless);
                    } else if hopeless && key.nameless() {
                        // Only the journal knows the id.
                        self.leave_in_doubt(now, key.op, &format!("{}: {fault}", key.id), out);
                    } else if hopeless {
                        self.conclude(now, key, Verdict::Lost(fault.to_string()));
                    } else {
                        self.later(now, group, key);
                    }
                }
                return;
            }
        };
        let (instances, images): (BTreeMap<InstanceId, Instance>, BTreeMap<ImageId, Image>) = match answer.reply {
            Reply::Instances(page) => {
                (page.items.into_iter().map(|item| (item.id.clone(), item)).collect(), BTreeMap::new())
            }
            Reply::Images(page) => {
                (BTreeMap::new(), page.items.into_iter().map(|item| (item.id.clone(), item)).collect())
            }
            Reply::Ids(_)
            | Reply::Copies(_)
            | Reply::Tagged { .. }
            | Reply::Done
            | Reply::Shares(_)
            | Reply::ImageQuota(_)
            | Reply::AccountQuota { .. }
            | Reply::Regions(_)
            | Reply::Zones(_)
            | Reply::Types(_)
            | Reply::States(_)
            | Reply::ImportOs(_)
            | Reply::Price(_)
            | Reply::Stock(_)
            | Reply::UserData(_) => (BTreeMap::new(), BTreeMap::new()),
        };
        for key in keys {
            let instance = key.id.instance().and_then(|id| instances.get(id));
            let image = key.id.image().and_then(|id| images.get(id));
            if self.is_gate(key.op) {
                self.gate_listed(now, &key, instance, out);
                continue;
            }
            let Some(watch) = self.watches.get_mut(&key) else { continue };
            let was_seen = watch.seen;
            let listed = instance.is_some() || image.is_some();
            watch.seen |= listed;
            watch.missed = if listed { 0 } else { watch.missed + 1 };
            let again = watch.missed < 2;
            let deadline_ms = watch.deadline_ms;
            let key = match (key.target, instance) {
                (None, Some(seen)) => match self.bind_by_name(&key, seen) {
                    Some(bound) => bound,
                    // Somebody renamed it, and nothing tells which of several it is.
                    None if now >= deadline_ms => {
                        self.conclude(now, key, Verdict::Done);
                        continue;
                    }
                    None => {
                        self.later(now, group, key);
                        continue;
                    }
                },
                _ => key,
            };
            self.tell_percent(key.op, image.and_then(|image| image.sync_percent));
            let verdict = match self.judge(now, &key, instance, image, was_seen) {
                Verdict::Lost(_) if again => Verdict::NotYet,
                verdict @ (Verdict::NotYet | Verdict::Done | Verdict::Failed(_) | Verdict::Lost(_)) => verdict,
            };
            match verdict {
                Verdict::NotYet if now >= deadline_ms => {
                    let settle = self.ops.get(&key.op).map(|op| &op.record.step.settle);
                    let why = settle.map_or_else(String::new, |settle| {
                        let seconds = settle.deadline_ms / 1000;
                        format!("{} was not {} within {seconds} s", key.id, settle.until.words())
                    });
                    self.conclude(now, key, Verdict::Lost(why));
                }
                Verdict::NotYet => self.later(now, group, key),
                Verdict::Done | Verdict::Failed(_) | Verdict::Lost(_) => self.conclude(now, key, verdict),
            }
        }
    }

    /// Says how far the cloud says that it is, where that is further than before.
    fn tell_percent(&mut self, id: OpId, percent: Option<u8>) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        if let Some(percent) = percent.filter(|percent| Some(*percent) > op.percent) {
            op.percent = Some(percent);
            let (step, action) = (op.record.step.id, super::action_of(&op.record.step));
            self.told.push(Progress::Percent { step, action, percent });
        }
    }

    fn later(&mut self, now: Millis, group: &Group, key: WatchKey) {
        let Some(watch) = self.watches.get_mut(&key) else { return };
        // What takes longer than expected is asked for as rarely as that says: at a tenth of what it has taken so far.
        let every_ms = watch.every_ms.max((now - watch.since_ms) / 10);
        watch.due_ms = (now + every_ms).min(watch.deadline_ms.max(now + watch.every_ms));
        let due_ms = watch.due_ms;
        self.due.entry(group.clone()).or_default().insert((due_ms, key));
    }

    /// A name binds an id to a target, within the one operation that made both.
    fn bind_by_name(&mut self, key: &WatchKey, seen: &Instance) -> Option<WatchKey> {
        let n = self.ops.get_mut(&key.op)?.named(&seen.name)?;
        self.bind(key.op, n, key.id.clone());
        let bound = WatchKey { op: key.op, target: Some(n), id: key.id.clone() };
        if let Some(watch) = self.watches.remove(key) {
            self.watches.insert(bound.clone(), watch);
        }
        Some(bound)
    }

    fn judge(
        &self,
        now: Millis,
        key: &WatchKey,
        instance: Option<&Instance>,
        image: Option<&Image>,
        was_seen: bool,
    ) -> Verdict {
        let Some(op) = self.ops.get(&key.op) else { return Verdict::Done };
        let until = &op.record.step.settle.until;
        let absent = |missing_is_done: bool| {
            if missing_is_done {
                Verdict::Done
            } else if was_seen {
                Verdict::Lost("it is no longer there".into())
            } else if now - op.since_ms < self.set.visible_ms {
                Verdict::NotYet
            } else {
                Verdict::Lost("the cloud accepted it, but does not list it".into())
            }
        };
        if key.id.image().is_some() {
            return match image {
                None => absent(*until == Until::ImageGone || key.target.is_none()),
                Some(_) if *until == Until::ImageGone => Verdict::NotYet,
                Some(image) => match &image.state {
                    ImageState::Normal => Verdict::Done,
                    ImageState::CreateFailed => Verdict::Failed(format!("the cloud gave up making {}", image.id)),
                    ImageState::ImportFailed => Verdict::Failed(format!(
                        "the cloud could not import it as {}, and tells why in its console only",
                        image.id
                    )),
                    ImageState::Creating | ImageState::Syncing | ImageState::Importing | ImageState::Other(_) => {
                        Verdict::NotYet
                    }
                },
            };
        }
        match instance {
            None => absent(*until == Until::Gone),
            Some(seen) => judge_instance(op, until, seen, self.cloud_now(now)),
        }
    }

    fn conclude(&mut self, now: Millis, key: WatchKey, verdict: Verdict) {
        self.watches.remove(&key);
        match (key.target, verdict) {
            (_, Verdict::NotYet) => {}
            (Some(n), Verdict::Done) => self.target_done(key.op, n),
            (Some(n), Verdict::Failed(why)) => self.target_failed(key.op, n, why),
            (Some(n), Verdict::Lost(why)) => self.target_lost(key.op, n, why),
            (None, verdict) => {
                if let Some(op) = self.ops.get_mut(&key.op) {
                    op.source_busy = false;
                    // An id that no name could be matched to: whichever targets have none have failed.
                    op.record.unbound.retain(|id| *id != key.id);
                    let nameless: Vec<usize> = if op.record.unbound.is_empty() && key.nameless() {
                        let ids = op.record.ids.iter().enumerate();
                        ids.filter(|(_, id)| id.is_none()).map(|(n, _)| n).collect()
                    } else {
                        Vec::new()
                    };
                    let why = match verdict {
                        Verdict::Failed(why) | Verdict::Lost(why) => format!("{}: {why}", key.id),
                        Verdict::Done | Verdict::NotYet => format!("{}: it bears another name", key.id),
                    };
                    for n in nameless {
                        self.target_failed(key.op, n, why.clone());
                    }
                }
            }
        }
        self.settle_if_over(now, key.op);
    }

    fn settle_if_over(&mut self, now: Millis, id: OpId) {
        if self.ops.get(&id).is_some_and(|op| op.pending == 0 && !op.source_busy) {
            self.settle(now, id);
        }
    }
}

fn judge_instance(op: &Op, until: &Until, seen: &Instance, cloud_now: Millis) -> Verdict {
    let launch = op.call().is_some_and(|call| matches!(call.body, Body::RunInstances(_)));
    let failed = |what: &str| {
        let why = seen.latest.as_ref().and_then(|latest| latest.error.clone());
        Verdict::Failed(why.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}")))
    };
    if seen.state == InstanceState::LaunchFailed {
        return failed("the launch failed");
    }
    let is = |state: &InstanceState| seen.state == *state;
    let leaving = is(&InstanceState::Shutdown) || is(&InstanceState::Terminating);
    let running = is(&InstanceState::Running);
    let stopped = is(&InstanceState::Stopped);
    let unless_leaving = |done: bool| match (done, leaving) {
        (true, _) => Verdict::Done,
        (false, true) => failed("it is being destroyed"),
        (false, false) => Verdict::NotYet,
    };
    match until {
        // One that switches itself off may do so between two polls after its launch: it has been running.
        Until::Running => unless_leaving(running || (stopped && launch)),
        Until::Stopped => unless_leaving(stopped),
        Until::Settled => unless_leaving(!seen.state.passing() && !seen.is_operated_on()),
        Until::Age(ms) => unless_leaving((running || stopped) && cloud_now - seen.created_ms >= *ms),
        Until::Tagged { key, value } => unless_leaving(seen.tags.get(key) == Some(value)),
        Until::Gone => {
            if is(&InstanceState::Shutdown) {
                Verdict::Done
            } else {
                Verdict::NotYet
            }
        }
        Until::Operation(name) => operation(op, name, seen, &failed),
        Until::Accepted | Until::Normal | Until::Copied | Until::ImageGone => Verdict::Done,
    }
}

fn latest_is_another(seen: &Instance, name: &str) -> bool {
    seen.latest.as_ref().is_some_and(|latest| latest.name != name)
}

fn operation(op: &Op, name: &str, seen: &Instance, failed: &dyn Fn(&str) -> Verdict) -> Verdict {
    let reached = match op.call().map(|call| &call.body) {
        Some(Body::ModifyInstances { set: InstanceAttr::Name(name), .. }) => Some(seen.name == *name),
        Some(Body::ModifyInstances { set: InstanceAttr::SecurityGroups(groups), .. }) => {
            Some(*seen.security_groups == *groups)
        }
        // It reboots for that, and is back in service when it runs again.
        Some(Body::ModifyInstances { set: InstanceAttr::Hostname(name), .. }) => {
            Some(seen.hostname.as_ref().is_none_or(|told| told == name) && !seen.state.passing())
        }
        Some(Body::ModifyInstances { set: InstanceAttr::CamRole(role), .. }) => Some(seen.cam_role == *role),
        Some(Body::ModifyInstances { set: InstanceAttr::Protection(on), .. }) => Some(seen.protected == *on),
        Some(Body::ResizeInstance { instance_type, .. }) => Some(seen.instance_type == *instance_type),
        // Nobody got an answer to it, and it took: where another operation stands in its place, the image tells.
        Some(Body::ResetInstance { image, .. }) if op.record.request_id.is_none() && latest_is_another(seen, name) => {
            Some(image.known() == Some(&seen.image))
        }
        _ => None,
    };
    let latest = seen.latest.as_ref().filter(|latest| latest.name == name);
    // The request's id tells this operation from one before; after a lost answer it is not known.
    let ours = latest.filter(|latest| op.record.request_id.is_none() || latest.request_id == op.record.request_id);
    match (ours.map(|latest| latest.state), reached) {
        (Some(OperationState::Failed), _) => failed("the cloud accepted it, and could not do it"),
        (Some(OperationState::Operating), _) => Verdict::NotYet,
        (Some(OperationState::Success), None | Some(true)) => Verdict::Done,
        // Another operation stands in its place already; the value tells.
        (_, Some(true)) => Verdict::Done,
        (Some(OperationState::Success | OperationState::Unknown) | None, _) => Verdict::NotYet,
    }
}
