//! The history: what was run, one run in full, and old runs that go.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::load::store_problem;
use super::lock::{Lock, Waiter, interrupted};
use super::{Problem, Site};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::ids::Region;
use crate::model::recorded::RunId;
use crate::plan::Plan;
use crate::plan::estimate::Measured;
use crate::store::{DurationRow, OpRow, Pruned, RunTold, SqliteStore};

/// The number of a run, as people write it: `12` or `run-12`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunNumber(pub RunId);

impl FromStr for RunNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("run-").unwrap_or(text);
        let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        number.map(|number| Self(RunId(number))).ok_or_else(|| format!("`{text}` is not the number of a run"))
    }
}

/// A run in full.
pub struct RunWhole {
    /// As the history tells it.
    pub told: RunTold,
    /// The plan that it carried out, where it had one.
    pub plan: Option<Plan>,
    /// Why the plan cannot be shown, where it had one and it cannot.
    pub unreadable: Option<String>,
    /// What it did, oldest first.
    pub operations: Vec<OpRow>,
}

/// All runs, newest first; what a run was to do is known of the first `most` of them.
///
/// # Errors
/// The state cannot be read.
pub fn history(site: &Site, most: usize) -> Result<Vec<RunTold>, Problem> {
    let fault = |fault| store_problem(site, &fault);
    match SqliteStore::open_read_only(&site.state_file()).map_err(fault)? {
        Some(mut store) => store.history(site.clock.now_ms(), most).map_err(fault),
        None => Ok(Vec::new()),
    }
}

/// How long actions took in earlier runs: the mean of those that took about as long as the middle one, so that one which was
/// held up once does not count. Nothing where the state cannot be read: that is told by whoever needs it.
#[must_use]
pub fn measured(site: &Site) -> Measured {
    let rows = match SqliteStore::open_read_only(&site.state_file()) {
        Ok(Some(mut store)) => store.durations().unwrap_or_default(),
        Ok(None) | Err(_) => Vec::new(),
    };
    let mut places: BTreeMap<(String, Region), Vec<DurationRow>> = BTreeMap::new();
    for row in rows {
        places.entry((row.action.clone(), row.region.clone())).or_default().push(row);
    }
    let mut measured = Measured::new();
    for ((action, region), rows) in places {
        let all: u64 = rows.iter().map(|row| row.count).sum();
        let mut before = 0;
        // The rows stand in the order of time.
        let middle = rows.iter().find(|row| {
            before += row.count;
            before * 2 >= all
        });
        let mean = middle.and_then(|row| row.sum_ms.checked_div(i64::try_from(row.count).ok()?));
        if let Some(mean) = mean {
            measured.entry(action).or_default().insert(region, mean);
        }
    }
    measured
}

/// One run.
///
/// # Errors
/// There is no such run, or the state cannot be read.
pub fn run(site: &Site, RunNumber(id): RunNumber) -> Result<RunWhole, Problem> {
    let fault = |fault| store_problem(site, &fault);
    let store = SqliteStore::open_read_only(&site.state_file()).map_err(fault)?;
    let Some(mut store) = store else { return Err(no_run(site, id, &[])) };
    let all = store.history(site.clock.now_ms(), 0).map_err(fault)?;
    let Some(place) = all.iter().position(|told| told.row.id == id) else { return Err(no_run(site, id, &all)) };
    // The newest runs up to this one, for the tally is looked up from the top.
    let told = store.history(site.clock.now_ms(), place + 1).map_err(fault)?.into_iter().nth(place);
    let Some(told) = told else { return Err(no_run(site, id, &all)) };
    let json = match told.row.plan_hash {
        Some(hash) => store.plan_json(hash).map_err(fault)?,
        None => None,
    };
    let (plan, unreadable) = match json.as_deref().map(serde_json::from_str::<Plan>) {
        Some(Ok(plan)) => (Some(plan), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, None),
    };
    let operations = store.operations(id).map_err(fault)?;
    Ok(RunWhole { told, plan, unreadable, operations })
}

fn no_run(site: &Site, id: RunId, all: &[RunTold]) -> Problem {
    let fault = Diagnostic::error(codes::NOT_IN_STATE, format!("there is no run {} in the history", id.0));
    Problem::of(match (all.last(), all.first()) {
        (Some(oldest), Some(newest)) => fault
            .why(format!("{} has the runs {} to {}", site.show(&site.state_file()), oldest.row.id.0, newest.row.id.0))
            .help("`fleetwright history` lists them"),
        _ => fault
            .why(format!("{} has no runs: nothing was applied yet", site.show(&site.state_file())))
            .help("`fleetwright plan` shows what an apply would do"),
    })
}

/// Which runs are to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prune {
    /// All but the newest so many.
    Keep(u32),
    /// Those that ended, or started where they never ended, longer ago than this.
    OlderThan(Millis),
}

/// The first run that stays; `None`: nothing is to go. Runs go from the oldest on, without gaps.
#[must_use]
pub fn stays_from(told: &[RunTold], prune: Prune, now_ms: Millis) -> Option<RunId> {
    let stays = |n: usize, told: &RunTold| match prune {
        Prune::Keep(keep) => n < keep as usize,
        Prune::OlderThan(ms) => told.row.ended_ms.unwrap_or(told.row.started_ms) >= now_ms.saturating_sub(ms),
    };
    let (mut first, mut goes) = (None, false);
    for (n, told) in told.iter().enumerate() {
        if n > 0 && !stays(n, told) {
            goes = true;
            break;
        }
        first = Some(told.row.id);
    }
    first.filter(|_| goes)
}

/// Deletes the runs before one, as far as nothing needs them.
///
/// # Errors
/// Somebody else holds the lock, or the state cannot be written; then nothing is deleted.
pub fn prune(site: &Site, before: RunId, waiter: &mut dyn Waiter) -> Result<Pruned, Problem> {
    let fault = |fault| store_problem(site, &fault);
    let store = SqliteStore::open(&site.state_file()).map_err(fault)?;
    let Some(mut store) = store else { return Ok(Pruned { runs: 0, operations: 0, plans: 0, stays: None }) };
    interrupted(site, "before it was approved")?;
    let lock = Lock::take(site, &mut store, waiter)?;
    let pruned = store.prune(lock.fence, before).map_err(fault);
    lock.give_back(&mut store);
    pruned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_number() {
        for (text, number) in [("12", 12), ("run-12", 12), ("0", 0)] {
            assert_eq!(text.parse(), Ok(RunNumber(RunId(number))));
        }
        for text in ["", "run-", "-1", "+1", "run--1", "plan.json", "1.5", "99999999999999999999"] {
            text.parse::<RunNumber>().expect_err(text);
        }
    }
}
