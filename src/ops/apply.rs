//! The verb `apply`: takes the lock, settles what an interrupted run left, plans, asks, and carries it out.

use std::sync::Arc;

use super::connect::{Connected, connect};
use super::load::{files, load, state, store_problem};
use super::plan::{PlanOptions, Planned, move_pins, pin, plan_with};
use super::{Problem, Site};
use crate::apply::driver::{Ports, drive};
use crate::apply::engine::{Engine, Settings};
use crate::apply::events::{Outcome, Progress};
use crate::cloud::SIGNATURE_WINDOW_MS;
use crate::config::ConfigFiles;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::digest::{Digest, context};
use crate::model::recorded::RunId;
use crate::plan::{Plan, VISIBLE_MS};
use crate::store::{Fence, NewRun, Packed, Record, RunOutcome, SqliteStore, Store, StoreFault, Stored};

/// How long a lock holds without being renewed.
const LEASE_MS: Millis = 300_000;
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
pub trait Watcher {
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
    /// A saved plan, which was reviewed before, is about to be carried out.
    fn begins(&mut self, planned: &Planned);
}

/// How an apply ended.
pub enum Applied {
    /// There was nothing to do.
    Nothing,
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
    let files = files(site)?;
    // A state that is there is locked before anything is planned with it; a new one is made when there is an approved
    // plan, for a plan that is refused should leave nothing behind.
    let store = SqliteStore::open(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    match store {
        Some(store) => {
            let mut held = Held::take(site, wrapped(site, Box::new(store)))?;
            let result = apply_held(site, &files, options, watcher, &mut held);
            held.give_back();
            result
        }
        None => apply_fresh(site, &files, options, watcher),
    }
}

pub(super) fn wrapped(site: &Site, store: Box<dyn Store>) -> Box<dyn Store> {
    match &site.hooks.store {
        Some(wrap) => wrap(store),
        None => store,
    }
}

/// A state with its lock.
pub(super) struct Held<'a> {
    site: &'a Site,
    pub(super) store: Box<dyn Store>,
    pub(super) fence: Fence,
}

impl<'a> Held<'a> {
    pub(super) fn take(site: &'a Site, mut store: Box<dyn Store>) -> Result<Self, Problem> {
        let fence = Self::lock(site, &mut *store)?;
        Ok(Self { site, store, fence })
    }

    /// Takes the lock of a store that stays where it is.
    pub(super) fn lock(site: &Site, store: &mut dyn Store) -> Result<Fence, Problem> {
        let now = site.clock.now_ms();
        store.lock(&site.holder, now, LEASE_MS, &*site.is_dead).map_err(|fault| store_problem(site, &fault))
    }

    /// Gives the lock back; a lock that was taken over is not ours to give.
    pub(super) fn unlock(store: &mut dyn Store, fence: Fence) {
        drop(store.unlock(fence));
    }

    /// Gives the lock back.
    pub(super) fn give_back(mut self) {
        Self::unlock(&mut *self.store, self.fence);
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
        self.store.start_run(self.fence, &run).map_err(|fault| store_problem(self.site, &fault))
    }

    pub(super) fn end_run(&mut self, run: RunId, outcome: &Outcome) {
        let word = if outcome.whole() {
            RunOutcome::Done
        } else if outcome.interrupted {
            RunOutcome::Interrupted
        } else if outcome.done.is_empty() {
            RunOutcome::Failed
        } else {
            RunOutcome::Partly
        };
        // The outcome itself is told all the same; history can do without its last line.
        drop(self.store.end_run(self.fence, run, self.site.clock.now_ms(), word));
    }

    pub(super) fn commit(&mut self, records: &[Record]) -> Result<(), Problem> {
        self.store.commit(self.fence, records).map_err(|fault: StoreFault| store_problem(self.site, &fault))
    }

    fn drive(&mut self, engine: Engine, connected: &Connected, watcher: &mut dyn Watcher) -> Outcome {
        drive(
            engine,
            Ports {
                cloud: Arc::clone(&connected.cloud),
                clock: Arc::clone(&self.site.clock),
                store: &mut *self.store,
                fence: self.fence,
                lease_ms: LEASE_MS,
                tell: &mut |now, progress| match progress {
                    Some(progress) => watcher.progress(now, progress),
                    None => watcher.tick(now),
                },
                stop: &self.site.stop,
                workers: self.site.parallelism,
            },
        )
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
    let looking = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), false)?;
    let planned = plan_with(site, &options.plan, stored, config, looking)?;
    if let Some(over) = ask(site, &planned, watcher)? {
        return Ok(over);
    }
    let connected = connect(site, &planned.config.desired.cloud, Arc::clone(&planned.config.secrets), true)?;
    let store =
        SqliteStore::create(&site.state_file(), &planned.plan.lineage).map_err(|fault| store_problem(site, &fault))?;
    let mut held = Held::take(site, wrapped(site, Box::new(store)))?;
    let result =
        still_fresh(&mut held, &planned.plan).and_then(|()| execute(site, watcher, &mut held, &planned, &connected));
    held.give_back();
    result
}

/// Shows the plan and asks whether it is to be carried out. Where it is not, or there is nothing to do, that is how the
/// apply ends.
fn ask(site: &Site, planned: &Planned, watcher: &mut dyn Watcher) -> Result<Option<Applied>, Problem> {
    let approval = watcher.approve(planned).map_err(|fault| Problem::of(*fault))?;
    if planned.plan.is_empty() {
        move_pins(site, &planned.plan)?;
        return Ok(Some(Applied::Nothing));
    }
    Ok((approval == Approval::No).then_some(Applied::Declined))
}

/// Another run may have made the state while this one was being planned and approved.
fn still_fresh(held: &mut Held<'_>, plan: &Plan) -> Result<(), Problem> {
    let recorded = held.load()?.recorded;
    if recorded.lineage == plan.lineage && recorded.serial == plan.serial {
        return Ok(());
    }
    Err(Problem::of(
        Diagnostic::error(codes::STALE, "another run has written the state since this plan was made")
            .why("nothing was changed: the plan was made as if there were nothing yet")
            .help("run the same command again: it plans anew"),
    ))
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
    let connected = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), true)?;
    if !stored.open.is_empty() {
        let outcome = recover(site, held, stored, &connected, config.desired.digest, watcher)?;
        // What failed for good is no longer in doubt: the plan looks what is left of it.
        if !outcome.settled() {
            return Ok(Applied::InDoubt(outcome));
        }
        stored = held.load()?;
    }
    let planned = plan_with(site, &options.plan, stored, config, connected)?;
    if let Some(over) = ask(site, &planned, watcher)? {
        return Ok(over);
    }
    execute(site, watcher, held, &planned, &planned.connected)
}

fn settings(site: &Site, connected: &Connected, account: &crate::model::ids::Uin, run: RunId) -> Settings {
    Settings {
        run,
        account: account.clone(),
        seed: (site.entropy)(),
        visible_ms: VISIBLE_MS,
        window_ms: if connected.cloud.outlives_us() { SIGNATURE_WINDOW_MS } else { 0 },
        token_horizon_ms: TOKEN_HORIZON_MS,
        most_calls: MOST_CALLS,
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
    let account = match stored.recorded.origin.as_ref() {
        Some(origin) => origin.account.clone(),
        None => {
            let file = site.show(&site.state_file());
            return Err(Problem::of(
                Diagnostic::error(codes::STORE, "the state has open operations, but names no account")
                    .help(format!("restore {file} from a backup: no run leaves it like this")),
            ));
        }
    };
    let set = settings(site, connected, &account, run);
    let engine = Engine::recover(set, stored.open, stored.ids_ever, stored.next_op);
    let outcome = held.drive(engine, connected, watcher);
    held.end_run(run, &outcome);
    watcher.recovered(&outcome);
    Ok(outcome)
}

pub(super) fn execute(
    site: &Site,
    watcher: &mut dyn Watcher,
    held: &mut Held<'_>,
    planned: &Planned,
    connected: &Connected,
) -> Result<Applied, Problem> {
    let Planned { plan, stored, sight, .. } = planned;
    pin(site, plan)?;
    let kind = match (plan.destroy, plan.refresh_only) {
        (true, _) => "destroy",
        (false, true) => "refresh",
        (false, false) => "apply",
    };
    let run = held.start_run(kind, Some(plan), Some(plan.config_digest))?;
    let mut first = vec![Record::Edges(plan.edges.clone())];
    if stored.recorded.origin.as_ref() != Some(&plan.origin) {
        first.push(Record::Origin(plan.origin.clone()));
    }
    held.commit(&first)?;
    let set = Settings {
        observed_ms: sight.local_ms,
        cloud_offset_ms: sight.cloud_offset_ms,
        ..settings(site, connected, &plan.origin.account, run)
    };
    let engine = Engine::run(set, plan, stored.next_op);
    let outcome = held.drive(engine, connected, watcher);
    held.end_run(run, &outcome);
    Ok(Applied::Ran(outcome))
}
