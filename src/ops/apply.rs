//! The verb `apply`: takes the lock, settles what an interrupted run left, plans, asks, and carries it out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::carry::{Begin, carry_out, forget_gone};
use super::connect::{Connected, connect};
use super::load::{files, load, state, store_problem};
use super::lock::{Lock, Waiter, interrupted};
use super::plan::{PlanOptions, Planned, move_pins, plan_with};
use super::prober::Asker;
use super::rollout::{Saying, no_state, note, still_asked_for, waiting};
use super::{Problem, Site};
use crate::apply::driver::{Ports, drive};
use crate::apply::engine::{Engine, Settings};
use crate::apply::events::{Outcome, Progress};
use crate::config::ConfigFiles;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::addr::Block;
use crate::model::digest::{Digest, context};
use crate::model::ids::{Name, Uin};
use crate::model::recorded::RunId;
use crate::plan::Plan;
use crate::store::{Fence, Lease, NewRun, Packed, Record, RunOutcome, SqliteStore, Store, StoreFault, Stored};

/// How long the cloud is trusted to remember a client token; it is not documented.
const TOKEN_HORIZON_MS: Millis = 3_600_000;
/// How old a read may be for its facts to count.
const FRESH_MS: Millis = 30_000;
/// How often a call that was refused for a passing reason is made again.
const MOST_TRIES: u32 = 12;
/// The most calls under way at once.
const MOST_CALLS: usize = 64;

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    /// As for a plan.
    pub plan: PlanOptions,
    /// What is said to a rollout, with which the plan is made.
    pub rollout: Option<Saying>,
}

/// What a person says to a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approval {
    /// Go on.
    Yes,
    /// Leave it.
    No,
}

/// Whoever watches an apply.
pub trait Watcher: Waiter {
    /// Something happened.
    fn progress(&mut self, now: Millis, progress: &Progress);
    /// Time went by, and it still goes on.
    fn tick(&mut self, now: Millis);
    /// What an interrupted run had left is settled.
    fn recovered(&mut self, outcome: &Outcome);
    /// The plan is made; what is to become of it?
    ///
    /// # Errors
    /// There is nobody to ask.
    fn approve(&mut self, planned: &Planned) -> Result<Approval, Box<Diagnostic>>;
    /// Another run has made the state since this one was planned and approved: it is planned anew, and asked again.
    fn overtaken(&mut self);
    /// A saved plan, which was reviewed before, is about to be carried out.
    fn begins(&mut self, planned: &Planned);
    /// Rollouts of these fleets failed, and this is how they go back to what ran before. Nobody is asked again: what was
    /// approved said so.
    fn taken_back(&mut self, planned: &Planned, fleets: &BTreeSet<Block>);
    /// Rollouts failed and are to go back to what ran before, and for this they do not yet.
    fn stays(&mut self, problem: &Problem);
}

/// How an apply ended.
pub enum Applied {
    /// There was nothing to do.
    Nothing {
        /// Fleets whose rollouts wait for somebody.
        paused: BTreeSet<Block>,
    },
    /// The plan was not approved.
    Declined,
    /// It was carried out, as far as the outcome says.
    Ran(Outcome),
    /// What an interrupted run had left could not be settled.
    InDoubt(Outcome),
}

/// Plans and applies.
///
/// # Errors
/// All that is wrong with the config, stands in the way, or keeps the state from being written.
pub fn apply(site: &Site, options: &ApplyOptions, watcher: &mut dyn Watcher) -> Result<Applied, Problem> {
    site.stop.heed();
    let files = files(site)?;
    // A state that is there is locked before anything is planned with it; a new one is made when there is an approved
    // plan, for a plan that is refused should leave nothing behind.
    let store = SqliteStore::open(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    match store {
        Some(store) => {
            let mut held = Held::take(site, wrapped(site, Box::new(store)), watcher)?;
            let result = apply_held(site, &files, options, watcher, &mut held);
            held.give_back();
            result
        }
        None => match &options.rollout {
            Some(saying) => Err(no_state(site, &saying.block)),
            None => apply_fresh(site, &files, options, watcher),
        },
    }
}

pub(super) fn wrapped(site: &Site, mut store: Box<SqliteStore>) -> Box<dyn Store> {
    if let Some(pages) = site.hooks.most_pages {
        store.grow_no_further_than(pages);
    }
    match &site.hooks.store {
        Some(wrap) => wrap(store),
        None => store,
    }
}

/// A state with its lock.
pub(super) struct Held<'a> {
    site: &'a Site,
    lock: Lock,
    store: Box<dyn Store>,
}

impl<'a> Held<'a> {
    pub(super) fn take(site: &'a Site, mut store: Box<dyn Store>, waiter: &mut dyn Waiter) -> Result<Self, Problem> {
        let lock = Lock::take(site, &mut *store, waiter)?;
        Ok(Self { site, lock, store })
    }

    /// The same where nobody else holds the lock; else who does.
    pub(super) fn try_take(site: &'a Site, mut store: Box<dyn Store>) -> Result<Result<Self, Box<Lease>>, Problem> {
        Ok(Lock::try_take(site, &mut *store)?.map(|lock| Self { site, lock, store }))
    }

    fn fence(&self) -> Fence {
        self.lock.fence
    }

    /// Gives the lock back.
    pub(super) fn give_back(mut self) {
        self.lock.give_back(&mut *self.store);
    }

    pub(super) fn now_ms(&self) -> Millis {
        self.site.clock.now_ms()
    }

    pub(super) fn load(&mut self) -> Result<Stored, Problem> {
        self.store.load().map_err(|fault| store_problem(self.site, &fault))
    }

    pub(super) fn start_run(
        &mut self,
        kind: &'static str,
        plan: Option<&Plan>,
        config: Option<Digest>,
    ) -> Result<RunId, Problem> {
        let run = NewRun {
            kind,
            who: self.site.holder.who.clone(),
            host: self.site.holder.host.clone(),
            started_ms: self.site.clock.now_ms(),
            config_digest: config,
            git_rev: super::git::revision(&self.site.dir),
            plan: plan.map(|plan| Packed::of(context::PLAN, plan)),
        };
        self.store.start_run(self.fence(), &run).map_err(|fault| store_problem(self.site, &fault))
    }

    pub(super) fn end_run(&mut self, run: RunId, outcome: &Outcome) {
        let word = if outcome.waits() {
            RunOutcome::Paused
        } else if outcome.whole() {
            RunOutcome::Done
        } else if outcome.interrupted {
            RunOutcome::Interrupted
        } else if !outcome.taken_back.is_empty() {
            RunOutcome::TakenBack
        } else if !outcome.stopped.is_empty() {
            RunOutcome::Stopped
        } else if outcome.done.is_empty() {
            RunOutcome::Failed
        } else {
            RunOutcome::Partly
        };
        // The outcome itself is told all the same; history can do without its last line.
        drop(self.store.end_run(self.fence(), run, self.site.clock.now_ms(), word));
    }

    pub(super) fn commit(&mut self, records: &[Record]) -> Result<(), Problem> {
        self.store.commit(self.fence(), records).map_err(|fault: StoreFault| store_problem(self.site, &fault))
    }

    pub(super) fn drive(
        &mut self,
        engine: Engine<'_>,
        (account, project): (&Uin, &Name),
        connected: &Connected,
        watcher: &mut dyn Watcher,
    ) -> Outcome {
        let outcome = drive(
            engine,
            Ports {
                cloud: Arc::clone(&connected.cloud),
                prober: Arc::new(Asker::new(self.site, connected.machines.clone(), project)),
                clock: Arc::clone(&self.site.clock),
                store: &mut *self.store,
                fence: self.lock.fence,
                lease_ms: self.site.lease_ms(),
                lost: self.lock.heartbeat.lost(),
                tell: &mut |now, progress| match progress {
                    Some(progress) => watcher.progress(now, progress),
                    None => watcher.tick(now),
                },
                stop: &self.site.stop,
                workers: self.site.parallelism,
                travel: self.site.hooks.travel.as_deref(),
            },
        );
        let learned = connected.learned(account);
        if !learned.is_empty() {
            // What it is good for is speed: a run that cannot write it has worse to tell.
            drop(self.store.commit(self.fence(), &learned));
        }
        outcome
    }
}

fn apply_fresh(
    site: &Site,
    files: &ConfigFiles<'_>,
    options: &ApplyOptions,
    watcher: &mut dyn Watcher,
) -> Result<Applied, Problem> {
    let stored = state(site)?;
    let config = load(site, files, &stored.recorded.lineage)?;
    // The embedded cloud's file is made only when something is done to it.
    let looking = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), &stored.taught, false)?;
    let planned = plan_with(site, &options.plan, stored, config, looking)?;
    if let Some(over) = ask(site, &planned, watcher)? {
        return Ok(over);
    }
    let (cloud, secrets) = (&planned.config.desired.cloud, Arc::clone(&planned.config.secrets));
    let connected = connect(site, cloud, secrets, &planned.stored.taught, true)?;
    let store = made(site, &planned.plan)?;
    let mut held = Held::take(site, wrapped(site, Box::new(store)), watcher)?;
    let result = match is_fresh(&mut held, &planned.plan) {
        Ok(true) => carry_out(site, watcher, &mut held, &planned, &connected, Begin::default()),
        // What was approved was made as if there were nothing yet. Now there is a state, and its lock is ours.
        Ok(false) => {
            watcher.overtaken();
            apply_held(site, files, options, watcher, &mut held)
        }
        Err(problem) => Err(problem),
    };
    held.give_back();
    result
}

/// The state, made where there is none yet. Another run may make it at the same moment: then it is that one.
pub(super) fn made(site: &Site, plan: &Plan) -> Result<SqliteStore, Problem> {
    let file = site.state_file();
    let problem = |fault| store_problem(site, &fault);
    if let Some(store) = SqliteStore::open(&file).map_err(problem)? {
        return Ok(store);
    }
    match SqliteStore::create(&file, &plan.lineage) {
        Ok(store) => Ok(store),
        Err(fault) => SqliteStore::open(&file).map_err(problem)?.ok_or_else(|| problem(fault)),
    }
}

/// Shows the plan and asks whether it is to be carried out. Where it is not, or there is nothing to do, that is how the
/// apply ends.
fn ask(site: &Site, planned: &Planned, watcher: &mut dyn Watcher) -> Result<Option<Applied>, Problem> {
    interrupted(site, "while the plan was made")?;
    let approval = watcher.approve(planned).map_err(|fault| Problem::of(*fault))?;
    interrupted(site, "before the plan was approved")?;
    if planned.plan.is_empty() {
        move_pins(site, &planned.plan)?;
        let paused = waiting(&planned.plan.notes, &planned.stored.recorded.rollouts);
        return Ok(Some(Applied::Nothing { paused }));
    }
    Ok((approval == Approval::No).then_some(Applied::Declined))
}

/// Whether the state is as it was when this plan was made: another run may have made it, or written it, since.
fn is_fresh(held: &mut Held<'_>, plan: &Plan) -> Result<bool, Problem> {
    let recorded = held.load()?.recorded;
    Ok(recorded.lineage == plan.lineage && recorded.serial == plan.serial)
}

fn apply_held(
    site: &Site,
    files: &ConfigFiles<'_>,
    options: &ApplyOptions,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
) -> Result<Applied, Problem> {
    let mut stored = held.load()?;
    let config = load(site, files, &stored.recorded.lineage)?;
    let connected = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), &stored.taught, true)?;
    if !stored.open.is_empty() {
        let outcome = recover(site, held, stored, &connected, config.desired.digest, watcher)?;
        // What failed for good is no longer in doubt: the plan looks what is left of it.
        if !outcome.settled() {
            return Ok(Applied::InDoubt(outcome));
        }
        stored = held.load()?;
    }
    let changed = match &options.rollout {
        Some(saying) => saying.change_and_apply(site, &stored.recorded, &config.desired)?,
        None => None,
    };
    stored.recorded.rollouts.extend(changed.iter().map(|row| (row.block.clone(), row.clone())));
    let planned = plan_with(site, &options.plan, stored, config, connected)?;
    if let Some(row) = options.rollout.as_ref().and_then(|saying| planned.rollout(&saying.block)) {
        still_asked_for(site, &planned.plan, row)?;
    }
    if let Some(over) = ask(site, &planned, watcher)? {
        if let Applied::Nothing { .. } = &over {
            if let (Some(row), Some(saying)) = (changed, &options.rollout) {
                note(held, saying.say, row)?;
            }
            forget_gone(held, &planned)?;
        }
        return Ok(over);
    }
    let kind = options.rollout.as_ref().map(|saying| saying.say.kind());
    carry_out(site, watcher, held, &planned, &planned.connected, Begin { kind, changed: changed.as_ref() })
}

/// How long after its signature a request may still be executed, of those that the journal has as sent. Over loopback
/// none outlives its process; but whoever lost the lock, and is not known to be gone, may only be asleep.
fn window_ms(connected: &Connected, stored: &Stored) -> Millis {
    if connected.cloud.outlives_us() || !stored.displaced.is_empty() { connected.window_ms } else { 0 }
}

/// What an engine goes by.
pub(super) fn settings(site: &Site, connected: &Connected, account: &Uin, run: RunId) -> Settings {
    Settings {
        run,
        account: account.clone(),
        seed: (site.entropy)(),
        visible_ms: connected.settle_ms,
        window_ms: if connected.cloud.outlives_us() { connected.window_ms } else { 0 },
        token_horizon_ms: TOKEN_HORIZON_MS,
        most_calls: MOST_CALLS,
        budgets: connected.budgets.clone(),
        fresh_ms: FRESH_MS,
        observed_ms: 0,
        cloud_offset_ms: 0,
        most_tries: MOST_TRIES,
    }
}

/// Settles what an interrupted run left open. No old plan is resumed.
fn recover(
    site: &Site,
    held: &mut Held<'_>,
    stored: Stored,
    connected: &Connected,
    config: Digest,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, Problem> {
    let run = held.start_run("recover", None, Some(config))?;
    let (account, project) = match stored.recorded.origin.as_ref() {
        Some(origin) => (origin.account.clone(), origin.project.clone()),
        None => {
            let file = site.show(&site.state_file());
            return Err(Problem::of(
                Diagnostic::error(codes::STORE, "the state has open operations, but names no account")
                    .help(format!("restore {file} from a backup: no run leaves it like this")),
            ));
        }
    };
    let set = Settings { window_ms: window_ms(connected, &stored), ..settings(site, connected, &account, run) };
    let engine = Engine::recover(set, stored.open, stored.ids_ever, stored.next_op);
    let outcome = held.drive(engine, (&account, &project), connected, watcher);
    held.end_run(run, &outcome);
    watcher.recovered(&outcome);
    Ok(outcome)
}
