//! How long a plan takes as a rule: the longest way through its steps.

use std::collections::BTreeMap;

use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::model::ids::Region;
use crate::plan::{Do, Gate, Plan};

/// What a plan says of a step beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Foreseen {
    /// How long it takes as a rule.
    pub expected_ms: Millis,
    /// How long all that waits for it takes as a rule.
    pub after_ms: Millis,
    /// The first step of that; `None`: nothing that takes any time waits for it.
    pub next: Option<StepId>,
}

/// How long an instance that is well takes to answer, with the Describe that tells where it is.
const PROBE_MS: Millis = 100;

/// How long actions took in earlier runs, by action and region.
pub type Measured = BTreeMap<String, BTreeMap<Region, Millis>>;

/// What is known beforehand of each step of a plan, by their numbers: what was measured, and else what the plan says.
#[must_use]
pub fn foresee(plan: &Plan, measured: &Measured) -> Vec<Foreseen> {
    let mut all = vec![Foreseen::default(); plan.steps.len()];
    // A step's needs stand before it: from the end, each knows already what comes after it.
    for step in plan.steps.iter().rev() {
        let Some(own) = all.get_mut(step.id.0 as usize) else { continue };
        let took = match &step.does {
            Do::Call(call) => measured.get(call.body.action()).and_then(|of| of.get(&call.region)).copied(),
            Do::Gate(gate) => Some(looks_ms(gate).max(step.settle.expected_ms)),
            Do::Await { .. } | Do::Record | Do::Hook(_) => None,
        };
        own.expected_ms = took.unwrap_or(step.settle.expected_ms);
        let all_ms = own.expected_ms + own.after_ms;
        for need in step.waits_for() {
            let need = all.get_mut(need.0 as usize);
            if let Some(need) = need.filter(|need| all_ms > 0 && all_ms >= need.after_ms) {
                (need.after_ms, need.next) = (all_ms, Some(step.id));
            }
        }
    }
    all
}

/// How long a gate takes where all is well from its beginning: as many looks as it takes, the time that an instance has to
/// stay healthy, as it is seen by the look after it, and that of all of them together.
fn looks_ms(gate: &Gate) -> Millis {
    if gate.is_open() {
        return 0;
    }
    let interval_ms = gate.health.interval_ms.max(1);
    let ready_ms = Millis::from(gate.health.threshold.max(1) - 1) * interval_ms;
    let rounded_ms = (gate.min_ready_ms + interval_ms - 1) / interval_ms * interval_ms;
    let probe_ms = if gate.health.check.is_some() { PROBE_MS } else { 0 };
    ready_ms + rounded_ms + gate.bake_ms + probe_ms
}

/// The steps behind one another that take longest together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Longest {
    /// How long they take as a rule.
    pub expected_ms: Millis,
    /// The steps that take any time, in their order, each with how long it takes.
    pub steps: Vec<(StepId, Millis)>,
}

/// The longest way through a plan: no apply of it is faster, as a rule. Of ways that are equally long, the one whose
/// steps come first.
#[must_use]
pub fn longest(plan: &Plan) -> Longest {
    let all = foresee(plan, &Measured::new());
    let whole_ms = |step: &Foreseen| step.expected_ms + step.after_ms;
    let expected_ms = all.iter().map(whole_ms).max().unwrap_or(0);
    let first = plan
        .steps
        .iter()
        .map(|step| step.id)
        .find(|id| expected_ms > 0 && all.get(id.0 as usize).is_some_and(|step| whole_ms(step) == expected_ms));
    let mut steps = Vec::new();
    let mut at = first;
    while let Some(id) = at {
        let Some(step) = all.get(id.0 as usize) else { break };
        if step.expected_ms > 0 {
            steps.push((id, step.expected_ms));
        }
        // Whoever waits stands later, so this comes to an end.
        at = step.next.filter(|next| *next > id);
    }
    Longest { expected_ms, steps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Block;
    use crate::model::update::{Check, Health};

    #[test]
    fn a_gate_takes_its_looks_and_the_times_that_it_waits() {
        let gate = |check, min_ready_ms, bake_ms| Gate {
            fleet: Block::fleet(&"web".into()),
            region: "ap-guangzhou".into(),
            health: Health { check, interval_ms: 5_000, threshold: 3, ..Health::default() },
            min_ready_ms,
            bake_ms,
            most_failures: 0,
            frees: Vec::new(),
            passed: None,
            failed: None,
        };
        assert_eq!(looks_ms(&gate(None, 0, 0)), 0, "it looks at nothing");
        // Three looks, and the one that sees that twelve seconds are over.
        assert_eq!(looks_ms(&gate(None, 12_000, 0)), 10_000 + 15_000);
        assert_eq!(looks_ms(&gate(Some(Check::Tcp { port: 22 }), 0, 60_000)), 10_000 + 60_000 + PROBE_MS);
    }
}
