//! Looks at the cloud: makes the calls that the observer asks for.

use std::sync::Arc;

use super::lock::interrupted;
use super::{Problem, Site};
use crate::cloud::Cloud;
use crate::cloud::call::{Answer, Call, Class, Fault};
use crate::cloud::observe::{Needs, Observer};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::observed::Observed;

/// What was seen, and when.
pub(super) struct Sight {
    pub(super) observed: Observed,
    /// Local time at which the last answer came.
    pub(super) local_ms: Millis,
    /// Cloud time less local time.
    pub(super) cloud_offset_ms: Millis,
}

pub(super) fn observe(site: &Site, cloud: &Arc<dyn Cloud>, needs: Needs) -> Result<Sight, Problem> {
    let mut observer = Observer::new(needs);
    loop {
        let calls = observer.next();
        if calls.is_empty() {
            break;
        }
        if let Some(wait) = observer.wait_ms() {
            site.clock.wait_until(site.clock.now_ms() + wait);
        }
        interrupted(site, "while looking at the cloud")?;
        for (call, result) in make(site, cloud, calls) {
            observer.answer(&call, result);
        }
    }
    let observed = observer.finish().map_err(|faults| problem(&faults))?;
    let local_ms = site.clock.now_ms();
    let cloud_offset_ms = if observed.cloud_ms == 0 { 0 } else { observed.cloud_ms - local_ms };
    Ok(Sight { observed, local_ms, cloud_offset_ms })
}

/// A call, and what came of it.
pub(super) type Answered = (Call, Result<Answer, Fault>);

/// Makes reads, as many at once as the command line allows; in virtual time one after the other.
pub(super) fn make(site: &Site, cloud: &Arc<dyn Cloud>, calls: Vec<Call>) -> Vec<Answered> {
    let one = |call: Call| {
        let result = cloud.call(&call, site.clock.now_ms());
        (call, result)
    };
    if site.clock.is_virtual() || calls.len() < 2 || site.parallelism < 2 {
        return calls.into_iter().map(one).collect();
    }
    let clock = &site.clock;
    let share = calls.len().div_ceil(site.parallelism);
    std::thread::scope(|scope| {
        let workers: Vec<_> = calls
            .chunks(share)
            .map(|calls| {
                let cloud = Arc::clone(cloud);
                let clock = Arc::clone(clock);
                scope.spawn(move || -> Vec<Answered> {
                    calls.iter().map(|call| (call.clone(), cloud.call(call, clock.now_ms()))).collect()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    })
}

/// What to do about a question that was not answered.
fn next(class: Class) -> &'static str {
    match class {
        Class::Throttled | Class::Busy | Class::Transient | Class::Transport | Class::Stock => {
            "run the same command again in a while"
        }
        Class::Auth => "check the keys that it is asked with",
        Class::Clock => "set the clock of this machine right: a signature holds for five minutes",
        Class::Denied => "let whoever owns the account allow it",
        Class::NotFound | Class::Conflict | Class::Quota | Class::Invalid => {
            "see what the cloud says about it; its request id is what its support asks for"
        }
    }
}

fn problem(faults: &[(Call, Fault)]) -> Problem {
    let diagnostics = faults
        .iter()
        .map(|(call, fault)| {
            Diagnostic::error(codes::CLOUD, format!("{} in {} did not work: {fault}", call.body.action(), call.region))
                .why("it was only asked what there is; nothing was changed")
                .help(next(fault.class))
        })
        .collect();
    Problem { diagnostics, sources: crate::diagnostic::SourceMap::default() }
}
