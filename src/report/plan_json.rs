//! A plan for programs: a documented shape with a version of its own, apart from the plan file's. See `docs/json.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::call::{Arg, StepId};
use crate::diagnostic::{Diagnostic, Severity, SourceMap};
use crate::model::addr::Addr;
use crate::model::ids::{CloudId, ImageId, RequestId};
use crate::model::observed::LatestOperation;
use crate::model::promotion::PromotedFrom;
use crate::plan::estimate::Estimate;
use crate::plan::{
    Action, AttrChange, Change, Counts, Detail, Do, Drift, Floor, Handling, Need, Peak, Pinned, Plan, Promoted, Reason,
    Resource, Scope, Step, Target, Value,
};

use super::cost;
use super::diagnostics;
use super::doctor::{self, Told};
use super::document::{Document, document};
use super::node::{Node, object};
use super::rollout_plan;
use super::watched;
use super::words;

/// What `format` says; the number grows when something that was there changes or goes.
pub const FORMAT: &str = "fleetwright-plan/1";

/// What a plan is shown with, and what is no part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// What it costs, where that was asked.
    pub estimate: Option<&'a Estimate>,
    /// Warnings of the config that it was made from, and the config's text.
    pub warnings: Option<(&'a [Diagnostic], &'a SourceMap)>,
    /// What the cloud said about it, where it was asked.
    pub preflight: Option<&'a [Told<'a>]>,
}

/// The plan as JSON. Its changes and steps are made when they are written.
#[must_use]
pub fn plan<'a>(plan: &'a Plan, beside: Beside<'_>) -> Document<'a> {
    let Beside { estimate, warnings, preflight } = beside;
    let Plan {
        format: _,
        lineage,
        serial,
        origin,
        env,
        config_digest,
        as_of_ms,
        destroy,
        from_memory,
        refresh_only,
        scope,
        lookups,
        changes,
        drift,
        steps,
        edges: _,
        rollouts: _, // below, with what the steps say of them
        peaks,
        assumptions,
        floor,
        notes,
    } = plan;
    let Counts { add, change: update, reset, destroy: destroyed } = plan.counts();
    let calls = plan.calls();
    let total: u32 = calls.values().sum();
    let warnings = warnings.into_iter().flat_map(|(warnings, sources)| diagnostics::each_json(warnings, sources));
    let targets: BTreeMap<StepId, &[Target]> = steps.iter().map(|step| (step.id, step.targets.as_slice())).collect();
    document! {
        "format" => FORMAT,
        "project" => origin.project.as_str(),
        "environment" => env.as_str(),
        "endpoint" => &origin.endpoint,
        "account" => origin.account.as_str(),
        "lineage" => lineage.as_str(),
        "serial" => number(*serial),
        "config_digest" => config_digest.to_string(),
        "as_of" => words::rfc3339(*as_of_ms),
        "destroy" => *destroy,
        "refreshed" => !*from_memory,
        "refresh_only" => *refresh_only,
        "target" => addresses(scope, "--target"),
        "exclude" => addresses(scope, "--exclude"),
        "empty" => plan.is_empty(),
        "counts" => object! { "add" => add, "change" => update, "reset" => reset, "destroy" => destroyed },
        "calls" => object! {
            "total" => total,
            "by_action" => Node::Object(calls.into_iter().map(|(action, count)| (action.into(), count.into())).collect()),
            "floor" => floor.as_ref().map(fewest),
        },
        "estimate" => estimate.map_or(Node::Null, cost::json),
        "time" => cost::time_json(plan),
        "lookups" => Node::list(lookups.iter().map(lookup)),
    }
    .each("changes", || {
        let mut details = Details::default();
        changes.iter().map(move |each| change(each, &mut details))
    })
    .each("drift", || drift.iter().filter(|drift| drift.handling == Handling::Left).map(drifted))
    .each("changed_outside", || drift.iter().map(outside))
    .each("steps", move || {
        let targets = targets.clone();
        steps.iter().map(move |each| step(each, &targets))
    })
    .with("rollouts", rollout_plan::json(plan))
    .with("peaks", Node::list(peaks.iter().map(peak)))
    .with("assumptions", Node::list(assumptions))
    .with("notes", Node::list(notes.iter().map(note)))
    .with("preflight", preflight.map_or(Node::Null, doctor::findings))
    .with("diagnostics", Node::list(warnings.map(Node::Json)))
}

fn fewest(floor: &Floor) -> Node {
    let Floor { by_action } = floor;
    let by_action = by_action.iter().map(|(action, count)| (action.clone().into(), (*count).into()));
    object! { "total" => floor.total(), "by_action" => Node::Object(by_action.collect()) }
}

/// What an option of the command line names.
fn addresses(scope: &Scope, option: &str) -> Node {
    let named = scope.named().filter(|(of, _)| *of == option);
    Node::list(named.into_iter().flat_map(|(_, named)| named).map(ToString::to_string))
}

/// Serials stay far below the point where they would not fit.
pub(super) fn number(value: u64) -> Node {
    Node::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn lookup(pinned: &Pinned) -> Node {
    let Pinned { block, region, name, id, created_ms, new, was, promoted } = pinned;
    let node = object! {
        "address" => block.to_string(),
        "actions" => Node::list(["read"]),
        "region" => region.as_str(),
        "id" => id.as_str(),
        "name" => name,
        "created" => words::rfc3339(*created_ms),
        "new" => *new,
        "was" => was.as_ref().map(ImageId::as_str),
    };
    match promoted {
        Some(promoted) => node.with("promoted", self::promoted(promoted)),
        None => node,
    }
}

fn promoted(promoted: &Promoted) -> Node {
    let Promoted { from: PromotedFrom { project, env, image }, edition, owner, was } = promoted;
    object! {
        "project" => project.as_str(),
        "env" => env.as_str(),
        "image" => image.as_str(),
        "version" => edition.to_string(),
        "owner" => owner.as_str(),
        "was" => was.as_ref().map(ToString::to_string),
    }
}

/// What the detail of the change before is in JSON: neighbours mostly change alike.
#[derive(Default)]
struct Details<'a>(Option<(&'a Arc<Detail>, Arc<Node>, Arc<Node>)>);

impl<'a> Details<'a> {
    fn of(&mut self, detail: &'a Arc<Detail>) -> (Arc<Node>, Arc<Node>) {
        let (reasons, attributes) = match self.0.take().filter(|(before, ..)| Arc::ptr_eq(before, detail)) {
            Some((_, reasons, attributes)) => (reasons, attributes),
            None => {
                let Detail { reasons, attrs } = detail.as_ref();
                (Arc::new(Node::list(reasons.iter().map(reason))), Arc::new(Node::list(attrs.iter().map(attribute))))
            }
        };
        self.0 = Some((detail, Arc::clone(&reasons), Arc::clone(&attributes)));
        (reasons, attributes)
    }
}

fn change<'a>(change: &'a Change, details: &mut Details<'a>) -> Node {
    let Change { addr, action, id, name, detail } = change;
    let (reasons, attributes) = details.of(detail);
    object! {
        "address" => addr.to_string(),
        "kind" => addr.block.kind.word(),
        "action" => action_word(*action),
        "actions" => Node::list(actions(*action).iter().copied()),
        "id" => id.as_ref().map(CloudId::as_str),
        "name" => name,
        "reasons" => Node::Shared(reasons),
        "attributes" => Node::Shared(attributes),
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Reset => "reset",
        Action::Replace => "replace",
        Action::Swap => "swap",
        Action::Delete => "delete",
        Action::Forget => "forget",
        Action::Learn => "learn",
        Action::Await => "await",
    }
}

/// The words of Terraform's plans, so that tools which guard against deletions see a reset as one.
fn actions(action: Action) -> &'static [&'static str] {
    match action {
        Action::Create => &["create"],
        Action::Update => &["update"],
        Action::Reset | Action::Replace => &["delete", "create"],
        Action::Swap => &["create", "delete"],
        Action::Delete => &["delete"],
        Action::Forget => &["forget"],
        Action::Learn | Action::Await => &["no-op"],
    }
}

fn reason(reason: &Reason) -> Node {
    let node = object! { "reason" => words::reason_word(reason), "text" => words::reason(reason) };
    match reason {
        Reason::ScaledUp { from, to } | Reason::ScaledDown { from, to } => node.with("from", *from).with("to", *to),
        Reason::Changed { attrs } | Reason::Drifted { attrs } => node.with("attributes", Node::list(attrs)),
        Reason::NewVersion { inputs } => node.with("inputs", Node::list(inputs)),
        Reason::CopiedBack { from } => node.with("region", from.as_str()),
        Reason::RecycleBin { since_ms, stays_ms } => {
            let until = since_ms.map(|since| words::rfc3339(since + stays_ms));
            node.with("since", since_ms.map(words::rfc3339)).with("until", until)
        }
        Reason::Moved { from, to } => node.with("from", from.as_str()).with("to", to.as_str()),
        Reason::New
        | Reason::NotListed
        | Reason::Vanished
        | Reason::Recaptured
        | Reason::NotInConfig
        | Reason::OldVersion
        | Reason::RegionDropped
        | Reason::Requested
        | Reason::Destroy
        | Reason::CreationFailed
        | Reason::ImageGoes
        | Reason::UnderWay
        | Reason::Undeclared
        | Reason::ResetFailed
        | Reason::OnTrial
        | Reason::TakenBack
        | Reason::Succeeded
        | Reason::Halted
        | Reason::Builds
        | Reason::BuildOver
        | Reason::BuildFailed
        | Reason::Already => node,
    }
}

fn attribute(attr: &AttrChange) -> Node {
    let AttrChange { name, before, after } = attr;
    object! { "name" => name, "before" => value(before), "after" => value(after) }
}

fn value(value: &Value) -> Node {
    match value {
        Value::None => Node::Null,
        Value::Text(text) => text.into(),
        Value::List(items) => Node::list(items),
        Value::Secret { source, digest } => {
            object! { "secret" => object! { "source" => source, "digest" => digest } }
        }
        Value::Unknown { step, target, addr } => unknown(*step, *target, Some(addr)),
    }
}

fn unknown(step: StepId, target: u32, addr: Option<&Addr>) -> Node {
    object! { "unknown" => object! { "step" => step.0, "target" => target, "addr" => Node::maybe(addr) } }
}

/// Whatever somebody else changed, with what the plan does about it and what may have done it.
fn outside(drift: &Drift) -> Node {
    let Drift { addr: _, attr: _, recorded: _, observed: _, handling, by } = drift;
    let handling = match handling {
        Handling::Repaired => "repaired",
        Handling::Left => "left",
        Handling::Learnt => "learnt",
    };
    let operation = by.as_ref().map(|by| {
        let LatestOperation { name, state, request_id, error } = by;
        object! {
            "name" => name.as_str(),
            "state" => words::operation_state(*state),
            "request_id" => request_id.as_ref().map(RequestId::as_str),
            "error" => error.as_ref(),
        }
    });
    drifted(drift).with("handling", handling).with("operation", operation.unwrap_or(Node::Null))
}

fn drifted(drift: &Drift) -> Node {
    let Drift { addr, attr, recorded, observed, handling: _, by: _ } = drift;
    object! {
        "address" => addr.to_string(),
        "attribute" => attr,
        "recorded" => value(recorded),
        "observed" => value(observed),
    }
}

fn step(step: &Step, all: &BTreeMap<StepId, &[Target]>) -> Node {
    let Step { id, needs, does, targets, expect: _, settle: _, holds: _ } = step;
    let (action, region) = match does {
        Do::Call(call) => (call.body.action(), Some(call.region.as_str())),
        Do::Await { region } => ("Await", Some(region.as_str())),
        Do::Record => ("Record", None),
        Do::Gate(gate) => ("Gate", Some(gate.region.as_str())),
        Do::Hook(hook) => ("Hook", Some(hook.region.as_str())),
    };
    let needs = needs.iter().map(|need| match need {
        Need::Success(step) => object! { "step" => step.0, "until" => "success" },
        Need::Whole(step) => object! { "step" => step.0, "until" => "whole" },
        Need::Over(step) => object! { "step" => step.0, "until" => "over" },
    });
    let targets = targets.iter().map(|target| {
        let Target { addr, generation, id, effect: _ } = target;
        let id = match id {
            None => Node::Null,
            Some(Arg::Known(id)) => id.as_str().into(),
            Some(Arg::Output { step, target }) => {
                let of = all.get(step).and_then(|targets| targets.get(usize::try_from(*target).ok()?));
                unknown(*step, *target, of.map(|target| &target.addr))
            }
        };
        object! { "address" => addr.clone().generation(*generation).to_string(), "id" => id }
    });
    let step = object! {
        "id" => id.0,
        "action" => action,
        "region" => region,
        "needs" => Node::list(needs),
        "targets" => Node::list(targets),
    };
    match does {
        Do::Gate(gate) => step.with("gate", watched::gate(gate)),
        Do::Hook(hook) => step.with("hook", watched::hook(hook)),
        Do::Call(_) | Do::Await { .. } | Do::Record => step,
    }
}

fn peak(peak: &Peak) -> Node {
    let Peak { resource, before, peak, after, limit } = peak;
    let of = match resource {
        Resource::Images(region) => object! { "kind" => "images", "region" => region.as_str() },
        Resource::Instances(region, zone) => {
            object! { "kind" => "instances", "region" => region.as_str(), "zone" => zone.as_str() }
        }
        Resource::Prepaid(region, zone) => {
            object! { "kind" => "prepaid", "region" => region.as_str(), "zone" => zone.as_str() }
        }
        Resource::SpotCores(region, zone) => {
            object! { "kind" => "spot_cores", "region" => region.as_str(), "zone" => zone.as_str() }
        }
        Resource::Shares(addr) => object! { "kind" => "accounts", "address" => addr.to_string() },
    };
    object! {
        "resource" => of,
        "text" => resource.to_string(),
        "before" => *before,
        "peak" => *peak,
        "after" => *after,
        "limit" => *limit,
    }
}

fn note(note: &Diagnostic) -> Node {
    let Diagnostic { code, severity, message, place: _, label: _, related: _, notes, help } = note;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    object! {
        "code" => code.word,
        "severity" => severity,
        "message" => message,
        "why" => Node::list(notes),
        "help" => help.as_ref(),
    }
}
