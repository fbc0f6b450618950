//! Reads at the rate that the cloud takes. Changes pass as they are: the engine has budgets of its own for them, because
//! nothing is journalled as sent that still waits.

use std::sync::{Arc, Mutex, PoisonError};

use super::Cloud;
use super::budget::{Budgets, Learned};
use super::call::{Answer, Call, Class, Fault};
use super::clock::Clock;
use crate::model::Millis;
use crate::model::ids::Region;

/// A cloud whose reads wait for their turn.
pub struct Paced {
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    budgets: Budgets,
    learned: Vec<(&'static str, Region, Learned)>,
}

impl Paced {
    /// The same cloud, with budgets.
    #[must_use]
    pub fn new(cloud: Arc<dyn Cloud>, clock: Arc<dyn Clock>, budgets: Budgets) -> Self {
        Self { cloud, clock, state: Mutex::new(State { budgets, learned: Vec::new() }) }
    }

    /// What refusals have taught since this was asked last.
    pub fn learned(&self) -> Vec<(&'static str, Region, Learned)> {
        std::mem::take(&mut self.state().learned)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, and waits for it. When it is there.
    fn turn(&self, action: &str, region: &Region) -> Millis {
        let now = self.clock.now_ms();
        let at = {
            let mut state = self.state();
            let at = state.budgets.free_at(now, action, region);
            state.budgets.made(at, action, region);
            at
        };
        if at > now {
            self.clock.wait_until(at);
        }
        at.max(now)
    }
}

impl Cloud for Paced {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        if call.body.mutates() {
            return self.cloud.call(call, signed_ms);
        }
        let (action, region) = (call.body.action(), &call.region);
        let asked_ms = self.clock.now_ms();
        let waited_ms = self.turn(action, region) - asked_ms;
        // A signature is only good for so long: it is as old as it was meant to be, however long the turn took to come.
        let result = self.cloud.call(call, signed_ms + waited_ms);
        if let Err(fault) = &result
            && fault.class == Class::Throttled
        {
            let mut state = self.state();
            if let Some(learned) = state.budgets.refused(self.clock.now_ms(), action, region) {
                state.learned.push((action, region.clone(), learned));
            }
        }
        result
    }

    fn outlives_us(&self) -> bool {
        self.cloud.outlives_us()
    }
}
