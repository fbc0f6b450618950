//! A plan is carried out; and where a rollout of it failed and goes back to what ran before, the way back at once.
//!
//! What was approved said so. The way back is a plan of its own, made of the state as the rollout left it, and a run of its
//! own. A kill in between loses nothing: the state has it that the rollout is taken back, and the next apply plans the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::{Applied, Held, Watcher, settings};
use super::connect::{Connected, connect};
use super::load::{files, load};
use super::plan::{PlanOptions, Planned, pin, plan_with};
use super::rollout::waiting;
use super::{Problem, Site};
use crate::apply::engine::{Engine, Settings};
use crate::apply::events::Outcome;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block};
use crate::model::rollout::Rollout;
use crate::plan::{Asked, RolloutPlan, Scope};
use crate::store::Record;

/// As what a plan is carried out.
#[derive(Clone, Copy, Default)]
pub(super) struct Begin<'a> {
    /// What the run is called in the history; silent: as the plan says.
    pub(super) kind: Option<&'static str>,
    /// A rollout that somebody has changed, and that the plan was made with: the state has it from the first write on.
    pub(super) changed: Option<&'a Rollout>,
}

/// Carries a plan out, with all that belongs to it.
pub(super) fn carry_out(
    site: &Site,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
    planned: &Planned,
    connected: &Connected,
    begin: Begin<'_>,
) -> Result<Applied, Problem> {
    let outcome = execute(site, watcher, held, planned, connected, begin)?;
    let mut outcome = go_back(site, watcher, held, planned, outcome);
    // It is nothing but tidy; whoever comes next does it, too.
    drop(forget_gone(held, planned));
    if outcome.whole() {
        outcome.paused.extend(waiting(&planned.plan.notes, &planned.stored.recorded.rollouts));
    }
    Ok(Applied::Ran(outcome))
}

fn execute(
    site: &Site,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
    planned: &Planned,
    connected: &Connected,
    begin: Begin<'_>,
) -> Result<Outcome, Problem> {
    let Planned { plan, stored, sight, .. } = planned;
    pin(site, plan)?;
    let kind = begin.kind.unwrap_or(match (plan.destroy, plan.refresh_only) {
        (true, _) => "destroy",
        (false, true) => "refresh",
        (false, false) => "apply",
    });
    let run = held.start_run(kind, Some(plan), Some(plan.config_digest))?;
    let mut first = vec![Record::Edges(plan.edges.clone())];
    if stored.recorded.origin.as_ref() != Some(&plan.origin) {
        first.push(Record::Origin(plan.origin.clone()));
    }
    first.extend(rollouts(held, planned, begin.changed));
    held.commit(&first)?;
    let set = Settings {
        observed_ms: sight.local_ms,
        cloud_offset_ms: sight.cloud_offset_ms,
        ..settings(site, connected, &plan.origin.account, run)
    };
    let engine = Engine::run(set, plan, stored.next_op);
    let outcome = held.drive(engine, (&plan.origin.account, &plan.origin.project), connected, watcher);
    held.end_run(run, &outcome);
    Ok(outcome)
}

/// How far rollouts are as a plan begins, as far as the state does not say so yet.
fn rollouts(held: &Held<'_>, planned: &Planned, changed: Option<&Rollout>) -> Vec<Record> {
    let now_ms = held.now_ms();
    let known = &planned.stored.recorded.rollouts;
    let rows = planned.plan.rollouts.iter().map(|RolloutPlan { row, .. }| row);
    let of_plan: BTreeSet<&Block> = rows.clone().map(|row| &row.block).collect();
    let said = changed.filter(|row| !of_plan.contains(&row.block));
    let is_new = |row: &&Rollout| {
        let same = |known: &Rollout| Rollout { changed_ms: known.changed_ms, ..(*row).clone() } == *known;
        changed.is_some_and(|changed| changed.block == row.block) || !known.get(&row.block).is_some_and(same)
    };
    let entered = |row: &Rollout| Record::Rollout(Box::new(Rollout { changed_ms: now_ms, ..row.clone() }));
    rows.filter(is_new).chain(said).map(entered).collect()
}

/// Takes fleets back to what ran before, whose rollouts failed. Where it is not known yet how the run ended, the next one
/// does.
fn go_back(
    site: &Site,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
    planned: &Planned,
    mut outcome: Outcome,
) -> Outcome {
    if outcome.taken_back.is_empty() || !outcome.settled() {
        return outcome;
    }
    if site.stop.is_raised() {
        outcome.interrupted = true;
        return outcome;
    }
    match way_back(site, watcher, held, planned, &outcome.taken_back) {
        Ok(back) => outcome.and(back),
        Err(problem) => {
            watcher.stays(&problem);
            outcome.interrupted |= site.stop.is_raised();
            outcome
        }
    }
}

fn way_back(
    site: &Site,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
    planned: &Planned,
    fleets: &BTreeSet<Block>,
) -> Result<Outcome, Problem> {
    let files = files(site)?;
    let stored = held.load()?;
    let config = load(site, &files, &stored.recorded.lineage)?;
    if config.desired.digest != planned.plan.config_digest {
        // Whoever said yes has not seen what it asks for now.
        return Err(Problem::of(
            Diagnostic::warning(codes::CONFIG_CHANGED, "the config has changed since the plan was made")
                .why("what goes back now would be planned with another config than was approved"),
        ));
    }
    let connected = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), &stored.taught, true)?;
    let scope = Scope::Rollout(fleets.iter().cloned().map(Addr::of).collect());
    let options = PlanOptions { asked: Asked { scope, ..Asked::default() }, ..PlanOptions::default() };
    let planned = plan_with(site, &options, stored, config, connected)?;
    watcher.taken_back(&planned, fleets);
    if planned.plan.is_empty() {
        return Ok(Outcome::default());
    }
    let begin = Begin { kind: Some("rollback"), changed: None };
    execute(site, watcher, held, &planned, &planned.connected, begin)
}

/// Forgets rollouts of fleets that are gone: neither does the config have them, or all was destroyed, nor has the state any
/// instance of theirs.
pub(super) fn forget_gone(held: &mut Held<'_>, planned: &Planned) -> Result<(), Problem> {
    let Planned { plan, config, stored, .. } = planned;
    let rolled = stored.recorded.rollouts.keys().chain(plan.rollouts.iter().map(|RolloutPlan { row, .. }| &row.block));
    let mut gone: BTreeSet<&Block> =
        rolled.filter(|block| plan.destroy || !config.desired.fleets.contains_key(&block.name)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let recorded = held.load()?.recorded;
    gone.retain(|block| recorded.rollouts.contains_key(block));
    for object in &recorded.objects {
        gone.remove(&object.addr.block);
    }
    if gone.is_empty() {
        return Ok(());
    }
    let records: Vec<Record> = gone.into_iter().cloned().map(Record::DropRollout).collect();
    held.commit(&records)
}
