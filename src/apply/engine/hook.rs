//! Hooks: what the user runs for instances, all those of a step at once.
//!
//! They are not journalled. After a kill the next plan may run one again for the same instances: at least once, never
//! exactly once.

use super::op::Phase;
use super::protocol::{HookCall, HookId};
use super::{Command, Engine};
use crate::cloud::call::Arg;
use crate::model::Millis;
use crate::plan::{Do, Step};
use crate::store::OpState;

use super::step::full_addr;

impl Engine<'_> {
    /// Runs a hook for the targets of its step.
    pub(super) fn begin_hook(&mut self, now: Millis, step: Step, indices: Vec<u32>, out: &mut Vec<Command>) {
        let Do::Hook(hook) = &step.does else { return };
        let known = |target: &crate::plan::Target| target.id.as_ref().and_then(Arg::known).cloned();
        let call = HookCall {
            fleet: hook.fleet.clone(),
            region: hook.region.clone(),
            moment: hook.moment,
            hook: hook.hook.clone(),
            instances: step.targets.iter().filter_map(|target| Some((full_addr(target), known(target)?))).collect(),
        };
        self.tell_started(&step, out);
        let op = self.open_op(step, indices, now, OpState::Accepted);
        if let Some(op) = self.ops.get_mut(&op) {
            op.phase = Phase::Watching;
        }
        let id = self.next_hook;
        self.next_hook = HookId(id.0 + 1);
        self.hooks.insert(id, op);
        out.push(Command::Hook(id, Box::new(call)));
    }

    /// A hook has run: for all of its targets, or for none.
    pub(super) fn hooked(&mut self, now: Millis, id: HookId, result: Result<(), String>) {
        let Some(op) = self.hooks.remove(&id) else { return };
        let Some((targets, moment)) = self.ops.get(&op).map(|op| {
            let word = if let Do::Hook(hook) = &op.record.step.does { hook.moment.word() } else { "" };
            (op.record.step.targets.len(), word)
        }) else {
            return;
        };
        for n in 0..targets {
            match &result {
                Ok(()) => self.target_done(op, n),
                Err(why) => self.target_failed(op, n, format!("{moment}: {why}")),
            }
        }
        self.settle(now, op);
    }
}
