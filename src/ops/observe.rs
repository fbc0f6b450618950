//! Looks at the cloud: makes the calls that the observer asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::lock::interrupted;
use super::{Problem, Site};
use crate::cloud::Cloud;
use crate::cloud::call::{Answer, Call, Fault};
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
            let now = site.clock.now_ms();
            site.clock.wait_until(now + wait + drawn(wait / 2, now, site.holder.pid));
        }
        interrupted(site, "while looking at the cloud")?;
        make(site, cloud, &calls, |call, result| observer.answer(call, result));
    }
    let observed = observer.finish().map_err(|faults| problem(&faults))?;
    let local_ms = site.clock.now_ms();
    let cloud_offset_ms = if observed.cloud_ms == 0 { 0 } else { observed.cloud_ms - local_ms };
    Ok(Sight { observed, local_ms, cloud_offset_ms })
}

/// A time up to `most`, by chance: whoever was refused together with others does not come back together with them. The
/// moment and the process are all the chance that this takes.
fn drawn(most: Millis, now: Millis, pid: u32) -> Millis {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (now.cast_unsigned() ^ u64::from(pid).rotate_left(32)).wrapping_mul(MIX) >> 33;
    i64::try_from(mixed).unwrap_or(0) % (most.max(0) + 1)
}

/// A call, and what came of it.
pub(super) type Answered = (Call, Result<Answer, Fault>);

/// How many answers may wait until they are taken, so that not all of them are in memory beside what is made of them.
const WAITING: usize = 32;

/// Makes reads, as many at once as the command line allows; in virtual time one after the other. Whoever `take`s the
/// answers gets them in the order of the calls.
pub(super) fn make(
    site: &Site,
    cloud: &Arc<dyn Cloud>,
    calls: &[Call],
    mut take: impl FnMut(&Call, Result<Answer, Fault>),
) {
    let workers = site.parallelism.min(calls.len());
    if site.clock.is_virtual() || workers < 2 {
        for call in calls {
            take(call, cloud.call(call, site.clock.now_ms()));
        }
        return;
    }
    let (clock, next) = (&site.clock, AtomicUsize::new(0));
    let (send, answers) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let work = || {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while let Some((n, call)) = next_of(calls, next)
                    && send.send((n, cloud.call(call, clock.now_ms()))).is_ok()
                {}
            })
        };
        let workers: Vec<_> = (0..workers).map(|_| work()).collect();
        drop(send);
        // Those that came before it was their turn.
        let mut early = BTreeMap::new();
        let mut turn = 0;
        for (n, result) in answers {
            early.insert(n, result);
            while let Some(result) = early.remove(&turn) {
                take(&calls[turn], result);
                turn += 1;
            }
        }
        // A call whose worker failed is never answered; whoever asked finds that out.
        for worker in workers {
            drop(worker.join());
        }
        for (n, result) in early {
            take(&calls[n], result);
        }
    });
}

fn next_of<'a>(calls: &'a [Call], next: &AtomicUsize) -> Option<(usize, &'a Call)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    Some((n, calls.get(n)?))
}

/// What to do about a question that was not answered, where its class says no more.
const SEE: &str = "see what the cloud says about it; its request id is what its support asks for";

fn problem(faults: &[(Call, Fault)]) -> Problem {
    // Where nobody answered, one reason is told once, however many questions it stood in the way of.
    let mut told: Vec<(&Call, &Fault, usize)> = Vec::new();
    for (call, fault) in faults {
        let same = |(_, other, _): &&mut (&Call, &Fault, usize)| {
            fault.request_id.is_none()
                && (fault.class, &fault.code, &fault.message) == (other.class, &other.code, &other.message)
        };
        match told.iter_mut().find(same) {
            Some((.., others)) => *others += 1,
            None => told.push((call, fault, 0)),
        }
    }
    let diagnostics = told
        .into_iter()
        .map(|(call, fault, others)| {
            let others = match others {
                0 => String::new(),
                1 => " and another question".to_owned(),
                n => format!(" and {n} other questions"),
            };
            let what = format!("{} in {}{others} did not work: {fault}", call.body.action(), call.region);
            Diagnostic::error(codes::CLOUD, what)
                .why("it was only asked what there is; nothing was changed")
                .help(fault.class.remedy().unwrap_or(SEE))
        })
        .collect();
    Problem { diagnostics, sources: crate::diagnostic::SourceMap::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_drawn_within_their_bounds_and_differ_by_process() {
        let of = |pid| (0..50).map(|now| drawn(1000, now, pid)).collect::<Vec<_>>();
        assert!(of(7).iter().all(|drawn| (0..=1000).contains(drawn)));
        assert_ne!(of(7), of(8));
        assert!(of(7).iter().max() > of(7).iter().min());
        assert_eq!((drawn(0, 5, 7), drawn(-1, 5, 7)), (0, 0));
    }
}
