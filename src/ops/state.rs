//! The state, looked at and changed by hand.

use super::apply::{Held, wrapped};
use super::load::store_problem;
use super::lock::{Waiter, interrupted};
use super::{Problem, Site};
use crate::apply::events::Outcome;
use crate::cloud::call::{Arg, StepId};
use crate::diagnostic::nearest;
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::addr::{Addr, Block};
use crate::model::recorded::{Object, Recorded, RunId, VersionRecord};
use crate::plan::{Action, Do, Effect, Settle, Step, Target, Until};
use crate::store::{OpRecord, OpState, Record, SqliteStore, Stored, TargetOutcome};

/// What the state remembers.
///
/// # Errors
/// The state cannot be read.
pub fn recorded(site: &Site) -> Result<Recorded, Problem> {
    Ok(super::load::state(site)?.recorded)
}

/// What the state remembers of the things at some addresses; each may be a thing's, or a prefix of several.
///
/// # Errors
/// An address is none, or there is nothing at it; or the state cannot be read.
pub fn recorded_at(site: &Site, addresses: &[String]) -> Result<Recorded, Problem> {
    let mut recorded = recorded(site)?;
    recorded.objects = selected(&recorded, &parsed(addresses)?)?;
    let has = |block: &Block| recorded.objects.iter().any(|object| object.addr.block == *block);
    recorded.versions.retain(|version| has(&version.block));
    recorded.edges.retain(|(block, _)| has(block));
    recorded.rollouts.retain(|block, _| has(block));
    Ok(recorded)
}

/// One thing of the state in full.
pub struct Thing {
    /// Its row.
    pub object: Object,
    /// The run that made it, as far as the history still has it.
    pub made_in: Option<RunId>,
    /// Of a copy of an image: what its version is made of.
    pub version: Option<VersionRecord>,
}

/// The things at some addresses, in full.
///
/// # Errors
/// An address is none, or there is nothing at it; or the state cannot be read.
pub fn things(site: &Site, addresses: &[String]) -> Result<Vec<Thing>, Problem> {
    let fault = |fault| store_problem(site, &fault);
    let Recorded { objects, versions, .. } = recorded_at(site, addresses)?;
    let mut store = SqliteStore::open_read_only(&site.state_file()).map_err(fault)?;
    let mut things = Vec::with_capacity(objects.len());
    for object in objects {
        let made_in = match (&mut store, object.made_by) {
            (Some(store), Some(op)) => store.run_of(op).map_err(fault)?,
            _ => None,
        };
        let version = versions.iter().find(|record| {
            record.block == object.addr.block
                && Some(&record.version) == object.addr.version.as_ref()
                && record.generation == object.generation
        });
        things.push(Thing { version: version.cloned(), made_in, object });
    }
    Ok(things)
}

/// Whoever lets things be forgotten.
pub trait Forgetting: Waiter {
    /// Whether these are to be forgotten.
    ///
    /// # Errors
    /// There is nobody to ask.
    fn approve(&mut self, going: &Recorded) -> Result<bool, Problem>;
}

/// Takes things out of the state, and leaves them alone in the cloud, if that is approved. `None`: it was not.
///
/// # Errors
/// An address is none, or there is nothing at it; something is under way there; somebody else holds the lock; or the
/// state cannot be written.
pub fn forget(site: &Site, addresses: &[String], forgetting: &mut dyn Forgetting) -> Result<Option<RunId>, Problem> {
    let wanted = parsed(addresses)?;
    let store = SqliteStore::open(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    let Some(store) = store else { return Err(nothing_at(&Recorded::empty(super::load::no_lineage()), &wanted)) };
    let mut held = Held::take(site, wrapped(site, Box::new(store)), forgetting)?;
    let result = forget_held(site, &mut held, &wanted, forgetting);
    held.give_back();
    result
}

fn forget_held(
    site: &Site,
    held: &mut Held<'_>,
    wanted: &[Addr],
    forgetting: &mut dyn Forgetting,
) -> Result<Option<RunId>, Problem> {
    let mut stored = held.load()?;
    stored.recorded.objects = selected(&stored.recorded, wanted)?;
    refuse_open(&stored)?;
    let approved = forgetting.approve(&stored.recorded)?;
    interrupted(site, "before it was approved")?;
    if !approved {
        return Ok(None);
    }
    let run = held.start_run("state rm", None, None)?;
    let mut outcome = Outcome::default();
    let committed = held.commit(&records_of(held.now_ms(), run, &stored));
    let forgotten = stored.recorded.objects.iter().map(|object| (Action::Forget, object.full_addr()));
    if committed.is_ok() {
        outcome.done.extend(forgotten);
    } else {
        outcome.failed.extend(forgotten.map(|(_, addr)| (addr, "the state cannot be written".to_owned())));
    }
    held.end_run(run, &outcome);
    committed.map(|()| Some(run))
}

/// Nothing is forgotten of which it is not known yet how it ends: an operation that settles would find no row.
fn refuse_open(stored: &Stored) -> Result<(), Problem> {
    for op in &stored.open {
        let busy = op.step.targets.iter().find(|target| {
            stored
                .recorded
                .objects
                .iter()
                .any(|object| object.addr == target.addr && object.generation == target.generation)
        });
        if let Some(target) = busy {
            let addr = target.addr.clone().generation(target.generation);
            return Err(Problem::of(
                Diagnostic::error(codes::IN_DOUBT, format!("{addr} cannot be forgotten: {} is open on it", op.id))
                    .why("an interrupted run left it; whether it took effect is not known yet")
                    .help("`fleetwright apply` settles it first"),
            ));
        }
    }
    Ok(())
}

/// The journal of forgetting: one operation that sends nothing, and the rows that go.
fn records_of(now_ms: crate::model::Millis, run: RunId, stored: &Stored) -> Vec<Record> {
    let objects = &stored.recorded.objects;
    let op = stored.next_op;
    let target = |object: &Object| Target {
        addr: object.addr.clone(),
        generation: object.generation,
        id: Some(Arg::Known(object.cloud_id.clone())),
        effect: Effect::Remove,
    };
    let step = Step {
        id: StepId(0),
        needs: Vec::new(),
        does: Do::Record,
        targets: objects.iter().map(target).collect(),
        expect: Vec::new(),
        settle: Settle { until: Until::Accepted, expected_ms: 0, deadline_ms: 0 },
        holds: Vec::new(),
    };
    let mut records = vec![Record::Intend(Box::new(OpRecord {
        id: op,
        run,
        step,
        attempt: 0,
        intended_ms: now_ms,
        cloud_ms: now_ms,
        sent_ms: None,
        state: OpState::Intended,
        request_id: None,
        unbound: Vec::new(),
        ids: objects.iter().map(|object| Some(object.cloud_id.clone())).collect(),
        outcomes: vec![Some(TargetOutcome::Done); objects.len()],
    }))];
    records.extend(
        objects.iter().map(|object| Record::Remove { addr: object.addr.clone(), generation: object.generation }),
    );
    records.push(Record::Settled { op, settled_ms: now_ms });
    records
}

pub(super) fn parsed(addresses: &[String]) -> Result<Vec<Addr>, Problem> {
    let mut wanted = Vec::with_capacity(addresses.len());
    let mut faults = Vec::new();
    for text in addresses {
        match text.parse::<Addr>() {
            Ok(addr) => wanted.push(addr),
            Err(error) => faults.push(
                Diagnostic::error(codes::USAGE, format!("`{text}` is not an address: {error}"))
                    .help("addresses look like fleet.web, fleet.web[3] or image.web@3f9a1c02/ap-shanghai; `fleetwright state list` lists them"),
            ),
        }
    }
    if faults.is_empty() { Ok(wanted) } else { Err(Problem { diagnostics: faults, sources: SourceMap::default() }) }
}

fn names(wanted: &Addr, object: &Object) -> bool {
    wanted.names(&object.full_addr())
}

/// The things at some addresses, in the order of the state.
fn selected(recorded: &Recorded, wanted: &[Addr]) -> Result<Vec<Object>, Problem> {
    let lacking: Vec<Addr> =
        wanted.iter().filter(|wanted| !recorded.objects.iter().any(|object| names(wanted, object))).cloned().collect();
    if !lacking.is_empty() {
        return Err(nothing_at(recorded, &lacking));
    }
    let named = |object: &&Object| wanted.iter().any(|wanted| names(wanted, object));
    Ok(recorded.objects.iter().filter(named).cloned().collect())
}

fn nothing_at(recorded: &Recorded, lacking: &[Addr]) -> Problem {
    let diagnostics = lacking
        .iter()
        .map(|addr| {
            let fault = Diagnostic::error(codes::NOT_IN_STATE, format!("the state has nothing at {addr}"));
            let of_block: Vec<&Object> =
                recorded.objects.iter().filter(|object| object.addr.block == addr.block).collect();
            let text = addr.to_string();
            match (of_block.as_slice(), recorded.objects.is_empty()) {
                (_, true) => fault
                    .why("it is empty: nothing was applied yet, or everything was destroyed")
                    .help("`fleetwright plan` shows what the config would make"),
                ([], false) => {
                    let blocks: Vec<String> = recorded.by_block().keys().map(ToString::to_string).collect();
                    match nearest(&addr.block.to_string(), blocks.iter().map(String::as_str)) {
                        Some(near) => fault.help(format!("did you mean {near}?")),
                        None => fault.help("`fleetwright state list` lists what there is"),
                    }
                }
                ([only], false) => fault.help(format!("{} has one thing: {}", addr.block, only.full_addr())),
                ([first, .., last], false) => {
                    let fault = fault.why(format!(
                        "{} has {} things, from {} to {}",
                        addr.block,
                        of_block.len(),
                        first.full_addr(),
                        last.full_addr()
                    ));
                    let all: Vec<String> = of_block.iter().map(|object| object.full_addr().to_string()).collect();
                    match nearest(&text, all.iter().map(String::as_str)) {
                        Some(near) => fault.help(format!("did you mean {near}?")),
                        None => fault.help(format!("`fleetwright state list {}` lists them", addr.block)),
                    }
                }
            }
        })
        .collect();
    Problem { diagnostics, sources: SourceMap::default() }
}
