//! A plan for programs: a documented shape with a version of its own, apart from the plan file's. See `docs/json.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::cloud::call::{Arg, StepId};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::addr::Addr;
use crate::model::ids::CloudId;
use crate::plan::{
    Action, AttrChange, Change, Counts, Detail, Do, Drift, Need, Peak, Pinned, Plan, Reason, Resource, Step, Target,
    Value,
};

use super::words;

/// What `format` says; the number grows when something that was there changes or goes.
pub const FORMAT: &str = "fleetwright-plan/1";

/// The plan as JSON, indented, with a line end.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    pretty(&document(plan))
}

/// Any document as JSON, indented, with a line end.
pub(super) fn pretty(document: &impl Serialize) -> String {
    match serde_json::to_string_pretty(document) {
        Ok(mut text) => {
            text.push('\n');
            text
        }
        Err(error) => unreachable!("a plain value always has a JSON form: {error}"),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    project: &'a str,
    environment: &'a str,
    endpoint: &'a str,
    account: &'a str,
    lineage: &'a str,
    serial: u64,
    config_digest: String,
    as_of: String,
    destroy: bool,
    empty: bool,
    counts: Counts,
    calls: Calls,
    lookups: Vec<Json>,
    changes: Vec<ChangeJson<'a>>,
    drift: Vec<Json>,
    steps: Vec<StepJson<'a>>,
    peaks: Vec<Json>,
    assumptions: &'a [String],
    notes: Vec<Json>,
}

#[derive(Serialize)]
struct Calls {
    total: u32,
    by_action: BTreeMap<&'static str, u32>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    address: String,
    kind: &'static str,
    action: Action,
    actions: &'static [&'static str],
    id: Option<&'a str>,
    name: &'a str,
    #[serde(flatten)]
    detail: Arc<DetailJson>,
}

/// Made once for all slots that change alike.
#[derive(Serialize)]
struct DetailJson {
    reasons: Vec<Json>,
    attributes: Vec<Json>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    id: StepId,
    needs: Vec<Json>,
    action: &'static str,
    region: Option<&'a str>,
    targets: Vec<Json>,
}

fn document(plan: &Plan) -> Document<'_> {
    let Plan {
        format: _,
        lineage,
        serial,
        origin,
        env,
        config_digest,
        as_of_ms,
        destroy,
        lookups,
        changes,
        drift,
        steps,
        edges: _,
        peaks,
        assumptions,
        notes,
    } = plan;
    let by_action = plan.calls();
    let targets: BTreeMap<StepId, &[Target]> = steps.iter().map(|step| (step.id, step.targets.as_slice())).collect();
    let mut details = BTreeMap::new();
    Document {
        format: FORMAT,
        project: origin.project.as_str(),
        environment: env.as_str(),
        endpoint: &origin.endpoint,
        account: origin.account.as_str(),
        lineage: lineage.as_str(),
        serial: *serial,
        config_digest: config_digest.to_string(),
        as_of: words::rfc3339(*as_of_ms),
        destroy: *destroy,
        empty: plan.is_empty(),
        counts: plan.counts(),
        calls: Calls { total: by_action.values().sum(), by_action },
        lookups: lookups.iter().map(lookup).collect(),
        changes: changes.iter().map(|each| change(each, &mut details)).collect(),
        drift: drift.iter().map(drifted).collect(),
        steps: steps.iter().map(|each| step(each, &targets)).collect(),
        peaks: peaks.iter().map(peak).collect(),
        assumptions,
        notes: notes.iter().map(note).collect(),
    }
}

fn lookup(pinned: &Pinned) -> Json {
    let Pinned { block, region, name, id, created_ms, new } = pinned;
    json!({
        "address": block,
        "actions": ["read"],
        "region": region,
        "name": name,
        "id": id,
        "created": words::rfc3339(*created_ms),
        "new": new,
    })
}

fn change<'a>(change: &'a Change, details: &mut BTreeMap<*const Detail, Arc<DetailJson>>) -> ChangeJson<'a> {
    let Change { addr, action, id, name, detail } = change;
    let detail = details.entry(Arc::as_ptr(detail)).or_insert_with(|| {
        let Detail { reasons, attrs } = detail.as_ref();
        Arc::new(DetailJson {
            reasons: reasons.iter().map(reason).collect(),
            attributes: attrs.iter().map(attribute).collect(),
        })
    });
    ChangeJson {
        address: addr.to_string(),
        kind: addr.block.kind.word(),
        action: *action,
        actions: actions(*action),
        id: id.as_ref().map(CloudId::as_str),
        name,
        detail: Arc::clone(detail),
    }
}

/// The words of Terraform's plans, so that tools which guard against deletions see a reset as one.
fn actions(action: Action) -> &'static [&'static str] {
    match action {
        Action::Create => &["create"],
        Action::Update => &["update"],
        Action::Reset | Action::Replace => &["delete", "create"],
        Action::Delete => &["delete"],
        Action::Forget => &["forget"],
        Action::Await => &["no-op"],
    }
}

fn reason(reason: &Reason) -> Json {
    let mut object = json!({ "reason": words::reason_word(reason), "text": words::reason(reason) });
    let mut set = |key: &str, value: Json| object[key] = value;
    match reason {
        Reason::ScaledUp { from, to } | Reason::ScaledDown { from, to } => {
            set("from", json!(from));
            set("to", json!(to));
        }
        Reason::Changed { attrs } | Reason::Drifted { attrs } => set("attributes", json!(attrs)),
        Reason::NewVersion { inputs } => set("inputs", json!(inputs)),
        Reason::CopiedBack { from } => set("region", json!(from)),
        Reason::New
        | Reason::Vanished
        | Reason::Recaptured
        | Reason::NotInConfig
        | Reason::OldVersion
        | Reason::RegionDropped
        | Reason::Destroy
        | Reason::CreationFailed
        | Reason::ImageGoes
        | Reason::UnderWay
        | Reason::Undeclared
        | Reason::ResetFailed => {}
    }
    object
}

fn attribute(attr: &AttrChange) -> Json {
    let AttrChange { name, before, after } = attr;
    json!({ "name": name, "before": value(before), "after": value(after) })
}

fn value(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Text(text) => json!(text),
        Value::List(items) => json!(items),
        Value::Secret { source, digest } => json!({ "secret": { "source": source, "digest": digest } }),
        Value::Unknown { step, target, addr } => unknown(*step, *target, Some(addr)),
    }
}

fn unknown(step: StepId, target: u32, addr: Option<&Addr>) -> Json {
    json!({ "unknown": { "step": step, "target": target, "addr": addr } })
}

fn drifted(drift: &Drift) -> Json {
    let Drift { addr, attr, recorded, observed } = drift;
    json!({ "address": addr, "attribute": attr, "recorded": value(recorded), "observed": value(observed) })
}

fn step<'a>(step: &'a Step, all: &BTreeMap<StepId, &[Target]>) -> StepJson<'a> {
    let Step { id, needs, does, targets, expect: _, settle: _, holds: _ } = step;
    let (action, region) = match does {
        Do::Call(call) => (call.body.action(), Some(call.region.as_str())),
        Do::Await { region } => ("Await", Some(region.as_str())),
        Do::Forget => ("Forget", None),
    };
    let needs = needs
        .iter()
        .map(|need| match need {
            Need::Success(step) => json!({ "step": step, "until": "success" }),
            Need::Over(step) => json!({ "step": step, "until": "over" }),
        })
        .collect();
    let targets = targets
        .iter()
        .map(|target| {
            let Target { addr, generation, id, effect: _ } = target;
            let id = match id {
                None => Json::Null,
                Some(Arg::Known(id)) => json!(id.as_str()),
                Some(Arg::Output { step, target }) => {
                    let of = all.get(step).and_then(|targets| targets.get(usize::try_from(*target).ok()?));
                    unknown(*step, *target, of.map(|target| &target.addr))
                }
            };
            json!({ "address": addr.clone().generation(*generation), "id": id })
        })
        .collect();
    StepJson { id: *id, needs, action, region, targets }
}

fn peak(peak: &Peak) -> Json {
    let Peak { resource, before, peak, after, limit } = peak;
    let of = match resource {
        Resource::Images(region) => json!({ "kind": "images", "region": region }),
        Resource::Instances(region, zone) => json!({ "kind": "instances", "region": region, "zone": zone }),
        Resource::Shares(addr) => json!({ "kind": "accounts", "address": addr }),
    };
    json!({
        "resource": of,
        "text": resource.to_string(),
        "before": before,
        "peak": peak,
        "after": after,
        "limit": limit,
    })
}

/// A diagnostic as JSON.
fn note(note: &Diagnostic) -> Json {
    let Diagnostic { code, severity, message, place: _, label: _, related: _, notes, help } = note;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    json!({ "code": code.word, "severity": severity, "message": message, "why": notes, "help": help })
}
