//! Asks what a plan costs: the second pass of planning. A price that cannot be asked never stands in the way of a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Site;
use super::observe::{Answered, make};
use crate::cloud::Cloud;
use crate::cloud::call::{Call, Class, Reply};
use crate::model::Millis;
use crate::model::desired::Desired;
use crate::model::ids::Region;
use crate::model::observed::Observed;
use crate::model::price::Price;
use crate::model::recorded::Recorded;
use crate::plan::Plan;
use crate::plan::estimate::{Estimate, estimate, questions};

/// How often a question is put that is refused for a reason which passes by itself.
const ATTEMPTS: u32 = 3;
/// How long is waited in between: rates are counted by the second (API text 1.8).
const WAIT_MS: Millis = 1_000;

/// What a plan costs; `None` where it launches nothing.
pub(super) fn price(
    site: &Site,
    cloud: &Arc<dyn Cloud>,
    plan: &Plan,
    desired: &Desired,
    recorded: &Recorded,
    observed: &Observed,
) -> Option<Estimate> {
    let mut asked = questions(plan, desired, recorded, observed)?;
    for (call, result) in ask(site, cloud, asked.lookups()) {
        if let Ok(answer) = result
            && let Reply::Images(page) = answer.reply
        {
            asked.found(&call, &page.items);
        }
    }
    let numbered = asked.calls();
    // With the images known, two questions may turn out to be one.
    let mut calls: Vec<Call> = Vec::new();
    for (_, call) in &numbered {
        if !calls.contains(call) {
            calls.push(call.clone());
        }
    }
    // What is refused for the same reason is told once, with the first request's id.
    let mut refusals: BTreeMap<(Region, Option<String>, String), String> = BTreeMap::new();
    let told: Vec<(Call, Result<Price, String>)> = ask(site, cloud, calls)
        .into_iter()
        .map(|(call, result)| {
            let told = match result.map(|answer| answer.reply) {
                Ok(Reply::Price(price)) => Ok(price),
                Ok(_) => Err(format!("{} in {} got another action's answer", call.body.action(), call.region)),
                Err(fault) => {
                    let words = format!("{} in {} did not work: {fault}", call.body.action(), call.region);
                    let reason = (call.region.clone(), fault.code, fault.message);
                    Err(refusals.entry(reason).or_insert(words).clone())
                }
            };
            (call, told)
        })
        .collect();
    let answer = |call: &Call| told.iter().find(|(asked, _)| asked == call).map(|(_, told)| told.clone());
    let answers: BTreeMap<_, _> = numbered.iter().filter_map(|(n, call)| Some((*n, answer(call)?))).collect();
    Some(estimate(&asked, &answers))
}

/// Puts questions, and those again that are refused for a moment only.
pub(super) fn ask(site: &Site, cloud: &Arc<dyn Cloud>, calls: Vec<Call>) -> Vec<Answered> {
    let passes = |class| matches!(class, Class::Throttled | Class::Transient | Class::Transport);
    let mut answered: Vec<Answered> = Vec::new();
    make(site, cloud, &calls, |call, result| answered.push((call.clone(), result)));
    for _ in 1..ATTEMPTS {
        let again = |(_, result): &Answered| result.as_ref().is_err_and(|fault| passes(fault.class));
        let open: Vec<Call> = answered.iter().filter(|one| again(one)).map(|(call, _)| call.clone()).collect();
        if open.is_empty() {
            break;
        }
        site.clock.wait_until(site.clock.now_ms() + WAIT_MS);
        answered.retain(|one| !again(one));
        make(site, cloud, &open, |call, result| answered.push((call.clone(), result)));
    }
    answered
}
