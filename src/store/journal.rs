//! Operations in the journal: how a step is taken apart into rows, and put together again.

use std::sync::Arc;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::fault::{Res, Trouble, broken};
use super::read::Specs;
use super::rows::{cloud_id, id_kind, json, maybe_text, maybe_time, of_json, of_word, text, time, value};
use super::write::Writer;
use super::{OpRecord, OpState, TargetOutcome};
use crate::cloud::call::{Body, Call, StepId};
use crate::model::addr::Addr;
use crate::model::ids::{CloudId, Region, RequestId, Zone};
use crate::model::recorded::{OpId, RunId, VersionRecord};
use crate::model::spec::ObjectSpec;
use crate::plan::{Do, Effect, Fact, Hold, Need, NewObject, Settle, Step, Target};

/// A step without its targets.
#[derive(Serialize)]
struct Head<'a> {
    id: StepId,
    needs: &'a [Need],
    does: &'a Do,
    expect: &'a [Fact],
    settle: &'a Settle,
    holds: &'a [Hold],
}

/// The same, read back.
#[derive(Deserialize)]
struct OwnHead {
    id: StepId,
    needs: Vec<Need>,
    does: Do,
    expect: Vec<Fact>,
    settle: Settle,
    holds: Vec<Hold>,
}

/// Something that is made, without its spec.
#[derive(Serialize)]
struct Make<'a> {
    region: &'a Region,
    name: &'a str,
    zone: Option<&'a Zone>,
    ordinal: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a VersionRecord>,
}

/// The same, read back.
#[derive(Deserialize)]
struct OwnMake {
    region: Region,
    name: String,
    zone: Option<Zone>,
    ordinal: Option<u32>,
    #[serde(default)]
    version: Option<VersionRecord>,
}

impl Writer<'_> {
    /// A new operation.
    pub(super) fn intend(&mut self, record: &OpRecord) -> Res<()> {
        let OpRecord {
            id: op,
            run,
            step,
            attempt,
            intended_ms,
            cloud_ms,
            sent_ms,
            state,
            request_id,
            unbound,
            ids,
            outcomes,
        } = record;
        let Step { id, needs, does, targets, expect, settle, holds } = step;
        if *state != OpState::Intended {
            return Err(Trouble::said(format!("{op}: enters the journal as {}, not as intended", state.word())));
        }
        if ids.len() != targets.len() || outcomes.len() != targets.len() {
            return Err(Trouble::said(format!("{op}: has not one id and one outcome for each target")));
        }
        let head = json(&Head { id: *id, needs, does, expect, settle, holds })?;
        let (action, region) = match does {
            Do::Call(call) => (call.body.action(), Some(&call.region)),
            Do::Await { region } => ("await", Some(region)),
            Do::Record => ("record", None),
            Do::Gate(gate) => ("gate", Some(&gate.region)),
            Do::Hook(hook) => ("hook", Some(&hook.region)),
        };
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO op (id, run, state, action, region, attempt, intended_ms, cloud_ms, sent_ms, request_id, step)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let inserted = insert.execute(params![
            op.0,
            run.0,
            state.word(),
            action,
            region.map(Region::as_str),
            attempt,
            intended_ms,
            cloud_ms,
            sent_ms,
            request_id.as_ref().map(RequestId::as_str),
            head,
        ]);
        broken(inserted, || format!("{op}: is in the journal already, or its run {} is not in the history", run.0))?;
        self.hand_out(*op, unbound)?;
        for (n, (target, (id, outcome))) in (0..).zip(targets.iter().zip(ids.iter().zip(outcomes))) {
            self.target(*op, does, n, target, id.as_ref(), outcome.as_ref())?;
        }
        Ok(())
    }

    fn target(
        &mut self,
        op: OpId,
        does: &Do,
        n: u32,
        target: &Target,
        known: Option<&CloudId>,
        outcome: Option<&TargetOutcome>,
    ) -> Res<()> {
        let Target { addr, generation, id, effect } = target;
        let arg = id.as_ref().map(json).transpose()?;
        let (effect, make, spec) = match effect {
            Effect::Nothing => ("nothing", None, None),
            Effect::Make(object) => {
                let NewObject { region, name, zone, ordinal, spec, version } = &**object;
                let make = if launched(does, n, spec).as_ref() == Some(&**object) {
                    None
                } else {
                    let zone = zone.as_ref();
                    Some(json(&Make { region, name, zone, ordinal: *ordinal, version: version.as_deref() })?)
                };
                ("make", make, Some(self.spec(spec)?))
            }
            Effect::Become(spec) => ("become", None, Some(self.spec(spec)?)),
            Effect::Remove => ("remove", None, None),
            Effect::Arrive => ("arrive", None, None),
        };
        let (outcome, why) = words(outcome);
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO op_target (op, n, addr, gen, arg, effect, make, spec, cloud_id, id_kind, outcome, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        insert.execute(params![
            op.0,
            n,
            addr.to_string(),
            generation,
            arg,
            effect,
            make,
            spec,
            known.map(CloudId::as_str),
            known.map(id_kind),
            outcome,
            why,
        ])?;
        Ok(())
    }

    /// Ids that the cloud handed out, in place of those that were not bound yet.
    pub(super) fn hand_out(&mut self, op: OpId, ids: &[CloudId]) -> Res<()> {
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO op_id (op, cloud_id, id_kind, n, unbound) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (op, cloud_id) DO UPDATE SET id_kind = excluded.id_kind, n = excluded.n, unbound = 1",
        )?;
        for (n, id) in (0_i64..).zip(ids) {
            insert.execute(params![op.0, id.as_str(), id_kind(id), n])?;
        }
        Ok(())
    }
}

/// What a launch makes as its `n`-th target, as it says itself: there is no need to write that again for each.
fn launched(does: &Do, n: u32, spec: &Arc<ObjectSpec>) -> Option<NewObject> {
    let Do::Call(Call { account: _, region, body: Body::RunInstances(launch) }) = does else { return None };
    let ordinal = launch.first_ordinal.checked_add(n)?;
    Some(NewObject {
        region: region.clone(),
        name: format!("{}{ordinal}", launch.name_prefix),
        zone: Some(launch.zone.clone()),
        ordinal: Some(ordinal),
        spec: Arc::clone(spec),
        version: None,
    })
}

/// The columns of an outcome.
pub(super) fn words(outcome: Option<&TargetOutcome>) -> (Option<&'static str>, Option<&str>) {
    match outcome {
        None => (None, None),
        Some(TargetOutcome::Done) => (Some("done"), None),
        Some(TargetOutcome::Failed { why }) => (Some("failed"), Some(why)),
    }
}

pub(super) fn outcome(word: Option<&str>, why: Option<&str>) -> Res<Option<TargetOutcome>> {
    match word {
        None => Ok(None),
        Some("done") => Ok(Some(TargetOutcome::Done)),
        Some("failed") => Ok(Some(TargetOutcome::Failed { why: why.unwrap_or_default().to_owned() })),
        Some(other) => Err(Trouble::damaged(format!("holds the outcome `{other}`, which this build does not know"))),
    }
}

/// The operations that are neither settled nor failed, oldest first.
pub(super) fn open(conn: &Connection, specs: &mut Specs) -> Res<Vec<OpRecord>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, run, state, attempt, intended_ms, cloud_ms, sent_ms, request_id, step FROM op
         WHERE state NOT IN ('settled', 'failed') ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let id = OpId(value(row, 0)?);
        let OwnHead { id: step, needs, does, expect, settle, holds } = of_json("a step", text(row, 8)?)?;
        let mut record = OpRecord {
            id,
            run: RunId(value(row, 1)?),
            step: Step { id: step, needs, does, targets: Vec::new(), expect, settle, holds },
            attempt: value(row, 3)?,
            intended_ms: time(row, 4)?,
            cloud_ms: time(row, 5)?,
            sent_ms: maybe_time(row, 6)?,
            state: of_word(&OpState::ALL, OpState::word, text(row, 2)?)?,
            request_id: maybe_text(row, 7)?.map(RequestId::new),
            unbound: unbound(conn, id)?,
            ids: Vec::new(),
            outcomes: Vec::new(),
        };
        targets(conn, specs, &mut record)?;
        open.push(record);
    }
    Ok(open)
}

fn unbound(conn: &Connection, op: OpId) -> Res<Vec<CloudId>> {
    let mut statement =
        conn.prepare_cached("SELECT id_kind, cloud_id FROM op_id WHERE op = ?1 AND unbound = 1 ORDER BY n")?;
    let mut rows = statement.query([op.0])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(cloud_id(text(row, 0)?, text(row, 1)?)?);
    }
    Ok(ids)
}

fn targets(conn: &Connection, specs: &mut Specs, record: &mut OpRecord) -> Res<()> {
    let mut statement = conn.prepare_cached(
        "SELECT addr, gen, arg, effect, make, spec, cloud_id, id_kind, outcome, why FROM op_target
         WHERE op = ?1 ORDER BY n",
    )?;
    let mut rows = statement.query([record.id.0])?;
    let mut n = 0_u32;
    while let Some(row) = rows.next()? {
        let mut spec = || specs.get(conn, value(row, 5)?);
        let effect = match text(row, 3)? {
            "nothing" => Effect::Nothing,
            "make" => Effect::Make(Box::new(match maybe_text(row, 4)? {
                Some(make) => {
                    let OwnMake { region, name, zone, ordinal, version } = of_json("what is to be made", make)?;
                    NewObject { region, name, zone, ordinal, spec: spec()?, version: version.map(Box::new) }
                }
                None => launched(&record.step.does, n, &spec()?)
                    .ok_or_else(|| Trouble::damaged(format!("does not say what {} makes", record.id)))?,
            })),
            "become" => Effect::Become(spec()?),
            "remove" => Effect::Remove,
            "arrive" => Effect::Arrive,
            other => {
                return Err(Trouble::damaged(format!("holds the effect `{other}`, which this build does not know")));
            }
        };
        record.step.targets.push(Target {
            addr: address(text(row, 0)?)?,
            generation: value(row, 1)?,
            id: maybe_text(row, 2)?.map(|arg| of_json("an argument", arg)).transpose()?,
            effect,
        });
        record.ids.push(match (maybe_text(row, 6)?, maybe_text(row, 7)?) {
            (Some(id), Some(kind)) => Some(cloud_id(kind, id)?),
            _ => None,
        });
        record.outcomes.push(outcome(maybe_text(row, 8)?, maybe_text(row, 9)?)?);
        n = n.saturating_add(1);
    }
    Ok(())
}

/// An address from its text.
pub(super) fn address(text: &str) -> Res<Addr> {
    text.parse().map_err(|error| Trouble::damaged(format!("holds `{text}` for an address: {error}")))
}
