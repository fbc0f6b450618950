//! Calls in doubt: sent, and no answer came. Whether they took effect is looked up, by the evidence that their intent
//! kept; only then are they made again, or given up.
//!
//! That a thing is not there proves nothing while the request may still arrive, or the cloud may not list it yet:
//! absence counts past the signature's window and the settle time. Where no request outlives its process, two looks a
//! second apart are enough.

use super::op::{Op, Phase};
use super::{Command, Engine, Purpose};
use crate::apply::events::{Progress, Settled};
use crate::apply::evidence::{Circumstances, Found, Took, judge, queries};
use crate::cloud::call::{Answer, Body, Call, Class, Executed, Fault, Query, Reply};
use crate::model::Millis;
use crate::model::ids::CloudId;
use crate::model::observed::ImageState;
use crate::model::recorded::OpId;
use crate::plan::Do;
use crate::store::{Record, TargetOutcome};

/// What is known of an operation in doubt.
#[derive(Default)]
pub(super) struct Doubt {
    /// How many attempts got no answer.
    losses: u32,
    /// What the cloud said to an attempt after that: it is not made again.
    refusal: Option<Fault>,
    looks: u32,
    failed_looks: u32,
    /// Whether a read of this look failed: what the others found is not all.
    torn: bool,
    open: Vec<Call>,
    under_way: usize,
    found: Found,
    told: bool,
    /// Since when, in local time, only its ids are missing: the cloud accepted it, and told none.
    nameless_ms: Option<Millis>,
}

impl Doubt {
    /// Whether some attempt got no answer.
    pub(super) fn ever(&self) -> bool {
        self.losses > 0
    }
}

/// Between two looks at the same thing.
const LOOK_AGAIN_MS: Millis = 1_000;
/// While a window is waited out, it is looked at this often all the same.
const LOOK_WHILE_WAITING_MS: Millis = 30_000;

/// Whether a second request may be made at once: it does no harm where the first one arrives after all, however late.
fn resend_is_safe(body: &Body, found: &Found) -> bool {
    match body {
        // A second request destroys what the first one brought to the recycle bin (API text 5.4). Without a word of how
        // they are paid for, they are taken to be such.
        Body::TerminateInstances { instances } => instances.iter().all(|id| {
            let there = id.known().and_then(|id| found.instances.get(id));
            there.is_none_or(|seen| matches!(seen.charge_type.as_str(), "POSTPAID_BY_HOUR" | "SPOTPAID"))
        }),
        // The name is unique; a second one is refused as a duplicate.
        Body::CreateImage { .. } | Body::ImportImage { .. } | Body::SyncImages { .. } => true,
        // They bring a thing to a state, and it is there already.
        Body::ModifyImage { .. }
        | Body::DeleteImages { .. }
        | Body::ModifyInstances { .. }
        | Body::TagResources { .. }
        | Body::UntagResources { .. } => true,
        // What comes next may be the opposite, and the first request would undo it.
        Body::ShareImage { .. }
        | Body::StopInstances { .. }
        | Body::StartInstances { .. }
        | Body::ResizeInstance { .. } => false,
        // A second reset would format the disk once more.
        Body::ResetInstance { .. } => false,
        // By its token only.
        Body::RunInstances(_) => false,
        Body::Describe(_) => true,
    }
}

impl Op {
    fn may_be_sent_again(&self, most: u32) -> bool {
        self.doubt.refusal.is_none() && self.doubt.losses <= most && self.tries <= most
    }
}

impl Engine<'_> {
    /// An attempt got no answer.
    pub(super) fn doubt(&mut self, now: Millis, id: OpId, out: &mut Vec<Command>) {
        let cloud_now = self.cloud_now(now);
        let horizon = self.set.token_horizon_ms;
        let most = self.set.most_tries;
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.phase = Phase::InDoubt;
        op.doubt.losses += 1;
        let losses = op.doubt.losses;
        let Some(call) = op.call() else { return };
        let by_token = matches!(call.body, Body::RunInstances(_)) && cloud_now - op.record.cloud_ms < horizon;
        if by_token && losses <= most {
            self.tell_recovering_if(
                id,
                "no answer was recorded; the same request is made again, under the same token",
                out,
            );
            self.enqueue(id, now + if losses > 1 { LOOK_AGAIN_MS } else { 0 });
            return;
        }
        self.tell_recovering_if(id, "no answer was recorded; looking whether it took effect", out);
        self.look_at(id, now);
    }

    /// It was accepted, and the answer tells no id: what it makes is looked for by its name. Until it is found, the journal
    /// has it as sent; should the process end here, recovery finds it in the same way.
    pub(super) fn find_by_name(&mut self, now: Millis, id: OpId) {
        if let Some(op) = self.ops.get_mut(&id) {
            op.phase = Phase::InDoubt;
            op.doubt.nameless_ms = Some(now);
        }
        self.look_at(id, now);
    }

    fn tell_recovering_if(&self, id: OpId, why: &str, out: &mut Vec<Command>) {
        if self.recovering {
            self.tell_recovering(id, why, out);
        }
    }

    /// An attempt after one in doubt was refused: that says nothing of the first one.
    pub(super) fn doubt_again(&mut self, now: Millis, id: OpId, refusal: Fault) {
        if let Some(op) = self.ops.get_mut(&id) {
            op.phase = Phase::InDoubt;
            op.doubt.refusal = Some(refusal);
        }
        self.look_at(id, now);
    }

    fn look_at(&mut self, id: OpId, at: Millis) {
        self.looks.insert((at, id));
    }

    /// Makes the looks that are due.
    pub(super) fn look_due(&mut self, now: Millis, out: &mut Vec<Command>) {
        while self.looks.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.looks.pop_first() {
                self.look(now, id, out);
            }
        }
    }

    fn look(&mut self, now: Millis, id: OpId, out: &mut Vec<Command>) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.doubt.found = Found::default();
        op.doubt.torn = false;
        op.doubt.open = op.call().map(queries).unwrap_or_default();
        self.next_look(now, id, out);
    }

    fn next_look(&mut self, now: Millis, id: OpId, out: &mut Vec<Command>) {
        let signed_ms = self.cloud_now(now);
        let Some(op) = self.ops.get_mut(&id) else { return };
        let calls = std::mem::take(&mut op.doubt.open);
        op.doubt.under_way += calls.len();
        if calls.is_empty() && op.doubt.under_way == 0 {
            if op.doubt.torn {
                self.look_at(id, now + LOOK_AGAIN_MS);
                return;
            }
            self.judge_doubt(now, id, out);
            return;
        }
        for call in calls {
            let sent = self.send(Purpose::Look(id), call.clone(), signed_ms, out);
            self.look_calls.insert(sent, call);
        }
    }

    pub(super) fn looked(
        &mut self,
        now: Millis,
        call: super::CallId,
        id: OpId,
        result: Result<Answer, Fault>,
        out: &mut Vec<Command>,
    ) {
        let Some(call) = self.look_calls.remove(&call) else { return };
        let most = self.set.most_tries;
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.doubt.under_way -= 1;
        match result {
            Ok(answer) => take(&mut op.doubt, &call, answer.reply),
            // Nobody shares what is gone.
            Err(fault) if fault.class == Class::NotFound => {}
            Err(fault) => {
                op.doubt.failed_looks += 1;
                if op.doubt.failed_looks > most {
                    let why = format!("whether it took effect cannot be told: {fault}");
                    self.leave_in_doubt(now, id, &why, out);
                    return;
                }
                op.doubt.torn = true;
                op.doubt.open.clear();
            }
        }
        self.next_look(now, id, out);
    }

    fn judge_doubt(&mut self, now: Millis, id: OpId, out: &mut Vec<Command>) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        op.doubt.looks += 1;
        let Some(call) = op.call().cloned() else { return };
        let about = Circumstances { intended_ms: op.record.cloud_ms, ids_ever: &self.ids_ever };
        let took = judge(&call, &op.record.step, &op.doubt.found, &about);
        if let Some(Took::Unclear(why)) = took.iter().find(|took| matches!(took, Took::Unclear(_))) {
            let why = why.clone();
            self.leave_in_doubt(now, id, &why, out);
            return;
        }
        if took.iter().all(|took| matches!(took, Took::Yes(_))) {
            self.took(now, id, &took, out);
            return;
        }
        if let Some(since_ms) = op.doubt.nameless_ms {
            if now - since_ms < self.set.visible_ms {
                self.look_at(id, now + LOOK_AGAIN_MS);
            } else {
                let why = "the cloud accepted it and told no id, and lists nothing of this name";
                self.leave_in_doubt(now, id, why, out);
            }
            return;
        }
        if source_is_syncing(&call, &op.doubt.found) {
            self.look_at(id, now + LOOK_AGAIN_MS);
            return;
        }
        let believable = self.believable(id, now);
        let most = self.set.most_tries;
        let resend = !self.recovering
            && self.ops.get(&id).is_some_and(|op| {
                resend_is_safe(&call.body, &op.doubt.found) && op.doubt.looks > 1 && op.may_be_sent_again(most)
            });
        if resend || believable <= now {
            self.not_all_took(now, id, &call, &took, out);
            return;
        }
        if believable - now > LOOK_WHILE_WAITING_MS
            && let Some(op) = self.ops.get_mut(&id)
            && !op.doubt.told
        {
            op.doubt.told = true;
            let why = format!(
                "{} may still arrive: its signature holds until then, and what it would make is not there yet",
                call.body.action()
            );
            out.push(Command::Tell(Progress::Waiting { why, until_ms: believable }));
        }
        let next =
            if self.set.window_ms == 0 { now + LOOK_AGAIN_MS } else { (now + LOOK_WHILE_WAITING_MS).min(believable) };
        self.look_at(id, next);
    }

    /// Local time from which on "it is not there" means "it was not executed".
    fn believable(&self, id: OpId, now: Millis) -> Millis {
        let Some(op) = self.ops.get(&id) else { return now };
        if self.set.window_ms == 0 {
            return if op.doubt.looks > 1 { now } else { now + LOOK_AGAIN_MS };
        }
        let sent_ms = op.record.sent_ms.unwrap_or(op.record.cloud_ms);
        sent_ms + self.set.window_ms + self.set.visible_ms - self.set.cloud_offset_ms
    }

    /// It took effect, on all targets or on some; the others are dropped.
    fn took(&mut self, now: Millis, id: OpId, took: &[Took], out: &mut Vec<Command>) {
        self.tell_recovering_if(id, "it took effect", out);
        let ids: Vec<(usize, CloudId)> = took
            .iter()
            .enumerate()
            .filter_map(|(n, took)| match took {
                Took::Yes(id) => id.clone().map(|id| (n, id)),
                Took::No | Took::Unclear(_) => None,
            })
            .collect();
        let cloud_ms = self.ops.get(&id).map_or(0, |op| op.record.cloud_ms);
        self.mark_accepted(now, id, Vec::new(), ids, cloud_ms);
    }

    fn not_all_took(&mut self, now: Millis, id: OpId, call: &Call, took: &[Took], out: &mut Vec<Command>) {
        let missing: Vec<usize> = (0..took.len()).filter(|n| took.get(*n) == Some(&Took::No)).collect();
        let none = missing.len() == took.len();
        if self.recovering {
            if none {
                self.give_up(now, id, "it did not take effect; the next plan does what is still wanted", out);
            } else {
                for n in missing {
                    self.drop_target(id, n);
                }
                self.took(now, id, took, out);
            }
            return;
        }
        let again = self.ops.get(&id).is_some_and(|op| op.may_be_sent_again(self.set.most_tries));
        if !again || matches!(call.body, Body::RunInstances(_)) {
            let refusal = self.ops.get_mut(&id).and_then(|op| op.doubt.refusal.take());
            let fault = refusal.unwrap_or_else(|| Fault {
                class: Class::Transport,
                code: None,
                message: "no answer came, and it did not take effect".into(),
                request_id: None,
                executed: Executed::No,
                cloud_ms: None,
            });
            self.fail(now, id, fault);
            return;
        }
        if none {
            self.narrow_accounts(id);
            self.resend(now, id);
            return;
        }
        // Some of it took: that goes on, and the rest is asked for again.
        let copy = matches!(call.body, Body::SyncImages { .. });
        let rest = if copy { self.part_of_copy(id, &missing) } else { self.part(id, &missing) };
        for n in missing {
            self.detach(id, n);
        }
        self.took(now, id, took, out);
        if let Some((step, indices)) = rest {
            self.intend_again(now, step, indices);
        }
    }

    fn resend(&mut self, now: Millis, id: OpId) {
        if let Some(op) = self.ops.get_mut(&id) {
            op.doubt.looks = 0;
            op.doubt.told = false;
        }
        self.enqueue(id, now);
    }

    /// Of accounts, only those that are still missing, or still there, are sent again.
    fn narrow_accounts(&mut self, id: OpId) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let there = op.doubt.found.shares.clone();
        if let Do::Call(Call { body: Body::ShareImage { accounts, cancel, .. }, .. }) = &mut op.record.step.does {
            let cancelling = *cancel;
            accounts.retain(|uin| there.contains(uin) == cancelling);
        }
    }

    /// The same copy for some of its destinations.
    fn part_of_copy(&self, id: OpId, part: &[usize]) -> Option<(crate::plan::Step, Vec<u32>)> {
        let op = self.ops.get(&id)?;
        let mut step = op.record.step.clone();
        step.targets = part.iter().filter_map(|n| op.record.step.targets.get(*n).cloned()).collect();
        let regions: std::collections::BTreeSet<_> =
            step.targets.iter().filter_map(|target| target.effect.makes().map(|made| made.region.clone())).collect();
        if let Do::Call(Call { body: Body::SyncImages { to, .. }, .. }) = &mut step.does {
            *to = regions;
        }
        let indices = part.iter().filter_map(|n| op.indices.get(*n).copied()).collect();
        Some((step, indices))
    }

    /// A target that another operation takes over, or that nobody wants any more: it has no outcome here beyond that.
    fn detach(&mut self, id: OpId, n: usize) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let Some(outcome) = op.record.outcomes.get_mut(n) else { return };
        let why = "it did not take effect here".to_owned();
        *outcome = Some(TargetOutcome::Failed { why: why.clone() });
        op.pending -= 1;
        let target = u32::try_from(n).unwrap_or(u32::MAX);
        self.write(Record::Outcome { op: id, target, outcome: TargetOutcome::Failed { why } });
    }

    fn drop_target(&mut self, id: OpId, n: usize) {
        self.detach(id, n);
    }

    /// It cannot be told. The journal keeps it open; a person has to look.
    pub(super) fn leave_in_doubt(&mut self, now: Millis, id: OpId, why: &str, out: &mut Vec<Command>) {
        let Some(op) = self.ops.remove(&id) else { return };
        self.forget_watches(id);
        self.ops_left -= 1;
        self.outcome.in_doubt.push((id, why.to_owned()));
        let step = op.record.step.id;
        let action = super::action_of(&op.record.step);
        // What has an outcome was told about.
        let open = |n: &usize| op.record.outcomes.get(*n).is_none_or(Option::is_none);
        let targets = op.addrs().into_iter().zip(op.record.ids.iter().cloned()).enumerate();
        let targets: Vec<Settled> = targets.filter(|(n, _)| open(n)).map(|(_, target)| target).collect();
        self.outcome.failed.extend(targets.iter().map(|(addr, _)| (addr.clone(), why.to_owned())));
        out.push(Command::Tell(Progress::Failed { step, action, targets, why: why.to_owned() }));
        if let Some(state) = self.steps.get_mut(step.0 as usize) {
            state.open_ops -= 1;
        }
        if !self.recovering {
            self.finish_step(now, step, out);
        }
    }
}

fn source_is_syncing(call: &Call, found: &Found) -> bool {
    let Body::SyncImages { image, .. } = &call.body else { return false };
    let source = image.known().and_then(|id| found.images.get(&call.region)?.get(id));
    source.is_some_and(|source| source.state == ImageState::Syncing)
}

/// Folds an answer in, and asks for the next page where there is one.
fn take(doubt: &mut Doubt, call: &Call, reply: Reply) {
    let next = |offset: u32, total: u32, items: usize| {
        let got = offset + u32::try_from(items).unwrap_or(u32::MAX);
        (items > 0 && got < total).then_some(got)
    };
    let page_from = |query: Query| Call { body: Body::Describe(query), ..call.clone() };
    match (reply, &call.body) {
        (Reply::Instances(page), Body::Describe(query)) => {
            if let Query::InstancesTagged { key, value, offset } = query {
                let more = next(*offset, page.total, page.items.len());
                doubt.open.extend(more.map(|offset| {
                    page_from(Query::InstancesTagged { key: key.clone(), value: value.clone(), offset })
                }));
            }
            doubt.found.instances.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
        }
        (Reply::Images(page), Body::Describe(query)) => {
            if let Query::CustomImagesNamed { names, offset } = query {
                let more = next(*offset, page.total, page.items.len());
                doubt
                    .open
                    .extend(more.map(|offset| page_from(Query::CustomImagesNamed { names: names.clone(), offset })));
            }
            let images = doubt.found.images.entry(call.region.clone()).or_default();
            images.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
        }
        (Reply::Shares(accounts), _) => doubt.found.shares = accounts,
        _ => {}
    }
}
