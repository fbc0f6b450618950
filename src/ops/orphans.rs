//! Orphans: what the cloud holds of ours and no state knows; found, and taken in.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::{Held, wrapped};
use super::connect::connect;
use super::load::{Config, files, fresh, load, state, store_problem};
use super::lock::{Waiter, interrupted, is_over, lease};
use super::observe::observe;
use super::{Problem, Site};
use crate::apply::events::Outcome;
use crate::cloud::call::{Arg, StepId};
use crate::cloud::observe::Needs;
use crate::diagnostic::{Diagnostic, codes};
use crate::graph::Blocks;
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::CloudId;
use crate::model::observed::Observed;
use crate::model::recorded::{Object, Origin, RunId};
use crate::plan::orphans::{self, Adopted, Adoption, Claim, OrphanInput, Orphans, UnderWay};
use crate::plan::{Action, Do, Effect, NewObject, Settle, Step, Target, Until, VISIBLE_MS};
use crate::store::{Lease, OpRecord, OpState, Record, SqliteStore, Stored, TargetOutcome};

/// What was seen, and what it was compared with.
pub struct Looked {
    config: Config,
    stored: Stored,
    observed: Observed,
    under_way: UnderWay,
    /// Who holds the lock: what that run is making is listed until the state has it.
    pub holder: Option<Lease>,
}

impl Looked {
    fn input(&self) -> OrphanInput<'_> {
        OrphanInput {
            desired: &self.config.desired,
            recorded: &self.stored.recorded,
            observed: &self.observed,
            under_way: &self.under_way,
            visible_ms: VISIBLE_MS,
        }
    }

    /// How many operations an interrupted run left open.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.under_way.operations
    }

    /// What was found.
    ///
    /// # Errors
    /// The state is of another cloud, account or project.
    pub fn orphans(&self) -> Result<Orphans<'_>, Problem> {
        let sources = || self.config.sources.clone();
        orphans::find(&self.input()).map_err(|diagnostics| Problem { diagnostics, sources: sources() })
    }
}

/// Looks for orphans. It takes no lock, and writes nothing.
///
/// # Errors
/// All that is wrong with the config, or stands in the way.
pub fn look_for_orphans(site: &Site) -> Result<Looked, Problem> {
    let files = files(site)?;
    let stored = state(site)?;
    let config = load(site, &files, &stored.recorded.lineage)?;
    let looked = look(site, config, stored)?;
    // What a run entered while this one was looking is no orphan: a state that is read behind the cloud knows it.
    let again = SqliteStore::open_read_only(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    let stored = match again {
        Some(mut store) => crate::store::Store::load(&mut store).map_err(|fault| store_problem(site, &fault))?,
        None => looked.stored,
    };
    let holder = lease(site)?.filter(|lease| !is_over(site, lease));
    Ok(Looked { under_way: under_way(&stored), stored, holder, ..looked })
}

fn look(site: &Site, config: Config, stored: Stored) -> Result<Looked, Problem> {
    let connected = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), &stored.taught, false)?;
    let needs = Needs::of_orphans(&config.desired, &stored.recorded);
    let observed = observe(site, &connected.cloud, needs)?.observed;
    Ok(Looked { under_way: under_way(&stored), config, stored, observed, holder: None })
}

/// What the open operations of the journal are about.
fn under_way(stored: &Stored) -> UnderWay {
    let mut under_way = UnderWay { operations: stored.open.len(), ..UnderWay::default() };
    for op in &stored.open {
        under_way.ids.extend(op.unbound.iter().cloned().chain(op.ids.iter().flatten().cloned()));
        let made = op.step.targets.iter().filter_map(|target| target.effect.makes());
        under_way.names.extend(made.map(|made| (made.region.clone(), made.name.clone())));
    }
    under_way
}

/// How taking in ended.
pub enum Adopting {
    /// There was nothing to take in.
    Nothing(Adoption),
    /// Somebody looked at it and said no.
    Declined,
    /// It is in the state.
    Adopted(RunId, Adoption),
}

/// Whoever takes things in.
pub trait TakingIn: Waiter {
    /// Whether these are to be taken in.
    ///
    /// # Errors
    /// There is nobody to ask.
    fn approve(&mut self, adoption: &Adoption) -> Result<bool, Problem>;
}

/// Takes orphans in, if that is approved: into the state only, in one transaction.
///
/// # Errors
/// All that is wrong with the config, or stands in the way: somebody else holds the lock, operations are open, something
/// that is named cannot be taken in, or the state cannot be written.
pub fn adopt(site: &Site, claims: &BTreeSet<Claim>, taking: &mut dyn TakingIn) -> Result<Adopting, Problem> {
    let files = files(site)?;
    let store = SqliteStore::open(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    match store {
        Some(store) => {
            let mut held = Held::take(site, wrapped(site, Box::new(store)), taking)?;
            let result = held.load().and_then(|stored| {
                let config = load(site, &files, &stored.recorded.lineage)?;
                let (looked, adoption) = decide(site, config, stored, claims)?;
                if adoption.taken.is_empty() {
                    return Ok(Adopting::Nothing(adoption));
                }
                if !approved(site, &adoption, taking)? {
                    return Ok(Adopting::Declined);
                }
                write(&mut held, &looked, adoption)
            });
            held.give_back();
            result
        }
        None => adopt_fresh(site, claims, taking, |lineage| load(site, &files, lineage)),
    }
}

/// The state was lost, or never was: a new one is made when there is something to write into it.
fn adopt_fresh(
    site: &Site,
    claims: &BTreeSet<Claim>,
    taking: &mut dyn TakingIn,
    load: impl Fn(&crate::model::ids::Lineage) -> Result<Config, Problem>,
) -> Result<Adopting, Problem> {
    let stored = state(site)?;
    let config = load(&stored.recorded.lineage)?;
    let (looked, adoption) = decide(site, config, stored, claims)?;
    if adoption.taken.is_empty() {
        return Ok(Adopting::Nothing(adoption));
    }
    if !approved(site, &adoption, taking)? {
        return Ok(Adopting::Declined);
    }
    let lineage = &looked.stored.recorded.lineage;
    let store = SqliteStore::create(&site.state_file(), lineage).map_err(|fault| store_problem(site, &fault))?;
    let mut held = Held::take(site, wrapped(site, Box::new(store)), taking)?;
    let result = held.load().and_then(|now| {
        if now.recorded == fresh(lineage.clone()).recorded {
            return write(&mut held, &looked, adoption);
        }
        Err(Problem::of(
            Diagnostic::error(codes::STALE, "another run has written the state since this one looked")
                .why("nothing was taken in")
                .help("run the same command again: it looks anew"),
        ))
    });
    held.give_back();
    result
}

/// Whether it is to be taken in; nobody may have wished to stop meanwhile.
fn approved(site: &Site, adoption: &Adoption, taking: &mut dyn TakingIn) -> Result<bool, Problem> {
    let approved = taking.approve(adoption)?;
    interrupted(site, "before it was approved")?;
    Ok(approved)
}

fn decide(
    site: &Site,
    config: Config,
    stored: Stored,
    claims: &BTreeSet<Claim>,
) -> Result<(Looked, Adoption), Problem> {
    if !stored.open.is_empty() {
        let open = stored.open.len();
        return Err(Problem::of(
            Diagnostic::error(codes::IN_DOUBT, format!("nothing can be taken in: {open} operations are open"))
                .why("an interrupted run left them; what they made is not known yet, and would be taken in twice")
                .help("`fleetwright apply` settles them first"),
        ));
    }
    let looked = look(site, config, stored)?;
    let found = looked.orphans()?;
    let adoption = orphans::adopt(&looked.input(), &found, claims)
        .map_err(|diagnostics| Problem { diagnostics, sources: looked.config.sources.clone() })?;
    Ok((looked, adoption))
}

fn write(held: &mut Held<'_>, looked: &Looked, adoption: Adoption) -> Result<Adopting, Problem> {
    let run = held.start_run("adopt", None, Some(looked.config.desired.digest))?;
    let committed = held.commit(&records(held.now_ms(), run, looked, &adoption));
    let mut outcome = Outcome::default();
    let taken = adoption.taken.iter().map(|adopted| adopted.object.full_addr());
    if committed.is_ok() {
        outcome.done.extend(taken.map(|addr| (Action::Learn, addr)));
    } else {
        outcome.failed.extend(taken.map(|addr| (addr, "the state cannot be written".to_owned())));
    }
    held.end_run(run, &outcome);
    committed.map(|()| Adopting::Adopted(run, adoption))
}

/// The journal of taking in: one operation that sends nothing, the rows that come, and those whose place they take.
fn records(now_ms: Millis, run: RunId, looked: &Looked, adoption: &Adoption) -> Vec<Record> {
    let desired = &looked.config.desired;
    let recorded = &looked.stored.recorded;
    let op = looked.stored.next_op;
    let mut targets = Vec::new();
    let mut ids = Vec::new();
    let mut rows = Vec::new();
    for Adopted { object, instead_of, differs: _ } in &adoption.taken {
        for (addr, generation) in instead_of {
            let row = recorded.objects.iter().find(|row| row.addr == *addr && row.generation == *generation);
            ids.push(row.map(|row| row.cloud_id.clone()));
            targets.push(target(addr, *generation, row.map(|row| &row.cloud_id), Effect::Remove));
            rows.push(Record::Remove { addr: addr.clone(), generation: *generation });
        }
        ids.push(Some(object.cloud_id.clone()));
        targets.push(target(&object.addr, object.generation, Some(&object.cloud_id), comes(object)));
        rows.push(Record::Put(Box::new(object.clone())));
    }
    let step = Step {
        id: StepId(0),
        needs: Vec::new(),
        does: Do::Record,
        targets,
        expect: Vec::new(),
        settle: Settle { until: Until::Accepted, expected_ms: 0, deadline_ms: 0 },
        holds: Vec::new(),
    };
    let outcomes = vec![Some(TargetOutcome::Done); ids.len()];
    let mut records = vec![Record::Intend(Box::new(OpRecord {
        id: op,
        run,
        step,
        attempt: 0,
        intended_ms: now_ms,
        cloud_ms: looked.observed.cloud_ms,
        sent_ms: None,
        state: OpState::Intended,
        request_id: None,
        unbound: Vec::new(),
        ids,
        outcomes,
    }))];
    if recorded.origin.is_none() {
        records.push(Record::Origin(Origin {
            endpoint: desired.cloud.provider.endpoint().to_owned(),
            account: desired.cloud.account.clone(),
            project: desired.project.clone(),
        }));
    }
    records.extend(rows);
    let blocks: BTreeSet<&Block> = adoption.taken.iter().map(|adopted| &adopted.object.addr.block).collect();
    let graph = Blocks::of(desired);
    let mut edges = recorded.edges.clone();
    for block in blocks {
        edges.extend(graph.needs(block).map(|needed| (block.clone(), needed.clone())));
    }
    records.push(Record::Edges(edges));
    records.push(Record::Settled { op, settled_ms: now_ms });
    records
}

fn target(addr: &Addr, generation: u32, id: Option<&CloudId>, effect: Effect) -> Target {
    Target { addr: addr.clone(), generation, id: id.cloned().map(Arg::Known), effect }
}

fn comes(object: &Object) -> Effect {
    Effect::Make(Box::new(NewObject {
        region: object.region.clone(),
        name: object.name.clone(),
        zone: object.zone.clone(),
        ordinal: object.ordinal,
        spec: Arc::clone(&object.spec),
        version: None,
    }))
}

/// What the command line names.
///
/// # Errors
/// It is neither an id nor an address with an id.
pub fn claims(words: &[String]) -> Result<BTreeSet<Claim>, Problem> {
    let mut claims = BTreeSet::new();
    let mut faults = Vec::new();
    for word in words {
        let claim = match word.rsplit_once('=') {
            None if word.is_empty() => Ok(Claim::Fitting),
            None => Ok(Claim::Id(word.clone())),
            Some((addr, id)) => match addr.parse::<Addr>() {
                Ok(addr) => Ok(Claim::At(addr, id.to_owned())),
                Err(error) => Err(format!("`{addr}` is not an address: {error}")),
            },
        };
        let is_id = |id: &str| id.starts_with("ins-") || id.starts_with("img-");
        match claim {
            Ok(Claim::Id(id) | Claim::At(_, id)) if !is_id(&id) => {
                faults.push(wrong_claim(format!("`{id}` is not the id of an instance or an image")));
            }
            Ok(claim) => {
                claims.insert(claim);
            }
            Err(what) => faults.push(wrong_claim(what)),
        }
    }
    if faults.is_empty() {
        Ok(claims)
    } else {
        Err(Problem { diagnostics: faults, sources: crate::diagnostic::SourceMap::default() })
    }
}

fn wrong_claim(what: String) -> Diagnostic {
    Diagnostic::error(codes::USAGE, what)
        .help("write --adopt for all that fit, --adopt=ins-r8hr2upy for one, --adopt=fleet.web[3]=ins-r8hr2upy with its address")
}
