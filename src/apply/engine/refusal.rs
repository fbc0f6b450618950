//! Refusals: the cloud said no. Again later, for what of it is left, or not at all.

use super::op::Phase;
use super::{After, Command, Engine};
use crate::cloud::call::{Arg, Body, Class, Fault};
use crate::model::Millis;
use crate::model::recorded::OpId;
use crate::plan::Do;
use crate::store::{OpState, Record, Taught};

/// Backoff after a refusal: doubled each time, within these bounds.
const FIRST_BACKOFF_MS: Millis = 250;
const MOST_BACKOFF_MS: Millis = 20_000;

impl Engine<'_> {
    /// How long to wait before the next attempt: twice as long each time, and by chance up to half as long again, so that
    /// those that were refused together do not come back together.
    fn backoff(&self, id: OpId, tries: u32) -> Millis {
        let whole = (FIRST_BACKOFF_MS << tries.min(10)).min(MOST_BACKOFF_MS);
        let drawn = blake3::keyed_hash(&self.set.seed, &[id.0.to_le_bytes().as_slice(), &tries.to_le_bytes()].concat());
        let byte = drawn.as_bytes().first().copied().unwrap_or(0);
        whole + whole / 2 * i64::from(byte) / 255
    }

    /// The cloud said no: again later, for what is left, or not at all.
    pub(super) fn refused(&mut self, now: Millis, id: OpId, fault: Fault, out: &mut Vec<Command>) {
        let most = self.set.most_tries;
        let Some(op) = self.ops.get_mut(&id) else { return };
        let Some(call) = op.call().cloned() else { return };
        op.tries += 1;
        let (tries, in_doubt) = (op.tries, op.doubt.ever());
        match fault.class {
            Class::Throttled if tries <= most => {
                let wait = self.backoff(id, tries);
                if let Some(learned) = self.budgets.refused(now, call.body.action(), &call.region) {
                    self.write(Record::Budget(Taught {
                        account: call.account.clone(),
                        region: call.region.clone(),
                        action: call.body.action().to_owned(),
                        learned,
                    }));
                }
                self.tell_retry(id, &fault, wait, out);
                self.enqueue(id, now + wait);
            }
            Class::Busy if call.body.batch() > 1 && self.isolate(now, id, &fault) => {}
            Class::Busy | Class::Transient | Class::Clock if tries <= most => {
                let wait = self.backoff(id, tries + 1);
                self.tell_retry(id, &fault, wait, out);
                self.enqueue(id, now + wait);
            }
            // The name that was free is taken since an attempt whose answer was lost, or the account is there already.
            Class::Conflict if may_be_ours(&call.body, in_doubt) => self.doubt(now, id, out),
            Class::Throttled
            | Class::Busy
            | Class::Transient
            | Class::NotFound
            | Class::Conflict
            | Class::Auth
            | Class::Clock
            | Class::Denied
            | Class::Quota
            | Class::Stock
            | Class::Invalid
            | Class::Transport
            | Class::Untrusted
            | Class::Proxy => {
                if in_doubt {
                    // That this attempt was refused says nothing of the one before it.
                    self.doubt_again(now, id, fault);
                } else if reached_already(&call.body, &fault) {
                    self.mark_accepted(now, id, Vec::new(), Vec::new(), now);
                } else if !self.isolate(now, id, &fault) {
                    self.fail(now, id, fault);
                }
            }
        }
    }

    /// A batch is refused as a whole for one bad id: the others are tried without it. Named in the error where the
    /// cloud names it, else found by halving.
    fn isolate(&mut self, now: Millis, id: OpId, fault: &Fault) -> bool {
        let apart = match fault.class {
            Class::NotFound | Class::Invalid | Class::Denied | Class::Conflict | Class::Busy => true,
            Class::Throttled
            | Class::Transient
            | Class::Auth
            | Class::Clock
            | Class::Quota
            | Class::Stock
            | Class::Transport
            | Class::Untrusted
            | Class::Proxy => false,
        };
        let Some(op) = self.ops.get(&id) else { return false };
        let Some(call) = op.call().filter(|call| apart && call.body.batch() > 1) else { return false };
        let ids: Vec<String> = op
            .record
            .step
            .targets
            .iter()
            .map(|target| target.id.as_ref().and_then(Arg::known).map_or_else(String::new, ToString::to_string))
            .collect();
        if ids.len() != call.body.batch() {
            return false;
        }
        let named: Vec<&String> =
            ids.iter().filter(|id| !id.is_empty() && fault.message.contains(id.as_str())).collect();
        let (first, second): (Vec<usize>, Vec<usize>) = if named.is_empty() || named.len() == ids.len() {
            (0..ids.len()).partition(|n| *n < ids.len() / 2)
        } else {
            (0..ids.len()).partition(|n| ids.get(*n).is_some_and(|id| named.contains(&id)))
        };
        let parts: Vec<_> = [first, second].iter().map(|part| self.part(id, part)).collect();
        let Some(op) = self.ops.get_mut(&id) else { return false };
        op.phase = Phase::Closing;
        op.record.state = OpState::Failed;
        self.write(Record::Failed { op: id, settled_ms: now, fault: Box::new(fault.clone()) });
        for (step, indices) in parts.into_iter().flatten() {
            self.intend_again(now, step, indices);
        }
        self.then(After::Settled(id));
        true
    }

    /// The same call for some of its targets.
    pub(super) fn part(&self, id: OpId, part: &[usize]) -> Option<(crate::plan::Step, Vec<u32>)> {
        let op = self.ops.get(&id)?;
        let mut step = op.record.step.clone();
        let mut indices = Vec::new();
        step.targets = part.iter().filter_map(|n| op.record.step.targets.get(*n).cloned()).collect();
        indices.extend(part.iter().filter_map(|n| op.indices.get(*n).copied()));
        let keep = |id: &str| {
            step.targets
                .iter()
                .any(|target| target.id.as_ref().and_then(Arg::known).is_some_and(|known| known.as_str() == id))
        };
        if let Do::Call(call) = &mut step.does {
            let all: Vec<String> = op
                .record
                .step
                .targets
                .iter()
                .filter_map(|target| target.id.as_ref().and_then(Arg::known).map(ToString::to_string))
                .collect();
            for id in all.iter().filter(|id| !keep(id)) {
                call.body.without(id);
            }
        }
        (!step.targets.is_empty()).then_some((step, indices))
    }
}

/// Whether a conflict can come from an attempt of ours. `in_doubt`: there was one that got no answer.
fn may_be_ours(body: &Body, in_doubt: bool) -> bool {
    (body.names_images().is_some() && in_doubt) || matches!(body, Body::ShareImage { .. })
}

/// Whether a refusal says that all is as wanted: of one thing that is stopped, started or deleted.
fn reached_already(body: &Body, fault: &Fault) -> bool {
    let code = fault.code.as_deref().unwrap_or_default();
    let stopped = matches!(body, Body::StopInstances { .. }) && code.ends_with("InstanceStateStopped");
    let running = matches!(body, Body::StartInstances { .. }) && code.ends_with("InstanceStateRunning");
    let destroys = matches!(body, Body::TerminateInstances { .. } | Body::DeleteImages { .. });
    body.batch() == 1 && (stopped || running || (destroys && fault.class == Class::NotFound))
}
