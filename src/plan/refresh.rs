//! A plan by which the state learns what the cloud has, and nothing else: no call of it changes anything.
//!
//! What is gone is forgotten. What somebody else changed takes the place of what the state remembers, so that the next
//! plan compares the config with it: what differs then is a change of the config's, and drift no longer. What cannot be
//! said in the words of a spec, and what belongs to somebody else, is shown and left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Draft, NewStep, at_once, detail, known};
use super::fleets::{seen_fact, slot_spec, sources};
use super::images::{forget, is_gone, usable};
use super::outside::{self, Now, now};
use super::scope::{self, Covered};
use super::types::{
    Action, AttrChange, Do, Drift, Effect, FORMAT, Fact, Floor, Handling, PRESENCE, Plan, Reason, Target, Value,
};
use super::{Refused, asked, check, order, shares};
use crate::diagnostic::{Diagnostic, codes};
use crate::diff::{self, Attr, Takes, Wanted};
use crate::model::addr::Kind;
use crate::model::attrs::FleetAttr;
use crate::model::desired::{Desired, Fleet, Strategy};
use crate::model::ids::{Name, Uin};
use crate::model::naming;
use crate::model::observed::{Image, Instance};
use crate::model::recorded::{Object, Origin, Status};
use crate::model::spec::{ObjectSpec, ShareCopySpec, SlotSpec};
use crate::plan::input::PlanInput;

/// Makes the plan. It is about recorded things alone: of the config, only what it says of drift counts.
pub(super) fn plan(input: &PlanInput<'_>, origin: Origin) -> Result<Plan, Refused> {
    let missing = asked::nowhere(input);
    if !missing.is_empty() {
        return Err(missing.into());
    }
    let mut draft = Draft::new(input, Covered::named(&input.options.asked.scope));
    let mut learning = Learning::default();
    for rows in draft.objects.values().cloned().collect::<Vec<_>>() {
        for row in rows.into_iter().filter(|row| draft.plans_row(row)).collect::<Vec<_>>() {
            match row.kind() {
                Kind::Fleet => slot(&mut draft, &mut learning, row),
                Kind::Image if row.addr.is_builder() => builder(&mut draft, row),
                Kind::Image => copy(&mut draft, &mut learning, row),
                Kind::Share => share(&mut draft, &mut learning, row),
            }
        }
    }
    learning.step(&mut draft);
    scope::tell(&mut draft);
    let Draft { steps, mut changes, drift, mut faults, notes, .. } = draft;
    if !faults.is_empty() {
        faults.extend(notes);
        return Err(faults.into());
    }
    let steps = order::renumber(steps, &mut changes);
    changes.sort_by(|a, b| a.addr.cmp(&b.addr));
    let plan = Plan {
        format: FORMAT,
        lineage: input.recorded.lineage.clone(),
        serial: input.recorded.serial,
        origin,
        env: input.desired.env.clone(),
        config_digest: input.desired.digest,
        as_of_ms: input.as_of_ms,
        destroy: false,
        from_memory: false,
        refresh_only: true,
        scope: input.options.asked.scope.clone(),
        lookups: Vec::new(),
        changes,
        drift,
        steps,
        edges: input.recorded.edges.clone(),
        rollouts: Vec::new(),
        peaks: Vec::new(),
        assumptions: Vec::new(),
        floor: Some(Floor::default()),
        notes,
    };
    let wrong = check(&plan, input);
    if wrong.is_empty() { Ok(plan) } else { Err(wrong.into()) }
}

/// What the state learns, by one step.
#[derive(Default)]
struct Learning {
    targets: Vec<Target>,
    /// What must still be so where the plan is saved, and carried out later.
    expect: Vec<Fact>,
    afterwards: Afterwards,
}

impl Learning {
    fn step(self, draft: &mut Draft<'_>) {
        let Self { targets, expect, afterwards } = self;
        afterwards.tell(draft);
        if !targets.is_empty() {
            let (needs, holds) = (Vec::new(), Vec::new());
            draft.step(NewStep { needs, does: Do::Record, targets, expect, settle: at_once(), holds });
        }
    }

    /// One thing takes another spec, or arrives, in the state.
    fn add(&mut self, draft: &mut Draft<'_>, row: &Object, effect: Effect, reason: Reason, attrs: Vec<AttrChange>) {
        let detail = detail(vec![reason], attrs);
        draft.change(row.full_addr(), Action::Learn, Some(row.cloud_id.clone()), &row.name, &detail);
        self.targets.push(known(row, effect));
    }
}

/// What the plan after this one loses, for once the state has learnt something, it is no drift any longer but a difference
/// to the config.
#[derive(Default)]
struct Afterwards(BTreeMap<(Name, FleetAttr, Loss), Differing>);

/// How an instance loses what is on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Replaced,
    Reset,
}

/// Instances of a fleet with other values than the config's.
struct Differing {
    instances: usize,
    /// What they have.
    seen: BTreeSet<String>,
    /// What the config says.
    declared: String,
}

impl Afterwards {
    /// Notes what the next plan makes of an instance of which this was learnt.
    fn note(
        &mut self,
        draft: &Draft<'_>,
        row: &Object,
        [recorded, learnt]: [&SlotSpec; 2],
        attrs: &[Attr],
        seen: &Instance,
    ) {
        let name = &row.addr.block.name;
        let (Some(fleet), Some(zone)) = (draft.input.desired.fleets.get(name), &row.zone) else { return };
        // Which image the config means is known to a plan that looks it up. One that was drift is another one.
        let declared = slot_spec(fleet, zone, recorded.image.clone());
        let spec = diff::keeping(&declared, learnt, &fleet.ignore_changes);
        let tag = naming::tag_value(&draft.input.desired.project, &draft.input.desired.env, &row.addr.block);
        let wanted = Wanted {
            spec: &spec,
            name: Some(&row.name),
            hostname: None,
            ours: (naming::TAG_KEY, &tag),
            ignore: &fleet.ignore_changes,
        };
        let next = diff::slot(learnt, Some(&seen.image), wanted, seen).attrs;
        for attr in next.iter().filter(|attr| attrs.iter().any(|learnt| learnt.name == attr.name)) {
            let loss = match (attr.takes, fleet.update.strategy) {
                (Takes::Replace, _) | (Takes::Rebuild, Strategy::Replace | Strategy::Auto) => Loss::Replaced,
                (Takes::Rebuild, Strategy::Reset) => Loss::Reset,
                (
                    Takes::Refused
                    | Takes::Scale
                    | Takes::Move
                    | Takes::Resize
                    | Takes::Restart
                    | Takes::Power
                    | Takes::Modify
                    | Takes::Tag
                    | Takes::Record
                    | Takes::Nothing,
                    _,
                ) => continue,
            };
            let Some(of) = FleetAttr::of(attr.name) else { continue };
            let declared = if of == FleetAttr::Image {
                format!("image.{}", fleet.image)
            } else {
                said(&draft.show(&attr.after, None))
            };
            let all = self.0.entry((name.clone(), of, loss)).or_insert_with(|| Differing {
                instances: 0,
                seen: BTreeSet::new(),
                declared,
            });
            all.instances += 1;
            all.seen.insert(said(&draft.show(&attr.before, None)));
        }
    }

    /// A note for each fleet and attribute.
    fn tell(self, draft: &mut Draft<'_>) {
        for ((name, attr, loss), Differing { instances, seen, declared }) in self.0 {
            let verb = match loss {
                Loss::Replaced => "replaces",
                Loss::Reset => "resets",
            };
            let (things, whose) = if instances == 1 { ("instance", "its") } else { ("instances", "their") };
            let there = seen.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            let path = attr.word().split('.').fold(Desired::path(Kind::Fleet, &name), |path, key| path.key(key));
            let declare = match (seen.len(), attr) {
                (1, FleetAttr::Image) | (2.., _) => "declare what is there".to_owned(),
                (_, _) if there == NOTHING => format!("take `{attr}` out of the config"),
                (_, _) => format!("declare {there}"),
            };
            draft.notes.push(
                Diagnostic::note(
                    codes::REFRESH_LOSES,
                    format!(
                        "after a refresh the next plan {verb} {instances} {things} of fleet.{name}: {whose} `{attr}` is \
                         {there}, and the config says {declared}"
                    ),
                )
                .at(path)
                .why("the state takes what is there for what was made, so it differs from the config then")
                .help(format!("{declare} before you refresh, or add `{attr}` to `ignore_changes`")),
            );
        }
    }
}

const NOTHING: &str = "nothing";

/// A value in a sentence.
fn said(value: &Value) -> String {
    match value {
        Value::None | Value::Unknown { .. } => NOTHING.to_owned(),
        Value::Text(text) => text.clone(),
        Value::List(items) => items.join(", "),
        Value::Secret { source, digest: _ } => source.clone(),
    }
}

fn slot(draft: &mut Draft<'_>, learning: &mut Learning, row: &Object) {
    match now(draft, row) {
        Now::Live(seen) => live(draft, learning, row, seen),
        // What it becomes is seen when it is there.
        Now::UnderWay(_) | Now::Leaving => {}
        Now::Missing(reason) => {
            outside::lost(draft, row, &reason, Handling::Learnt);
            forget(draft, row, reason, Vec::new());
        }
    }
}

fn live(draft: &mut Draft<'_>, learning: &mut Learning, row: &Object, seen: &Instance) {
    let ObjectSpec::Slot(recorded) = row.spec.as_ref() else { return };
    let drifted = drifted(draft, row, recorded, seen);
    let mut spec = SlotSpec::clone(recorded);
    let mut learnt = Vec::new();
    for attr in drifted {
        let learns = FleetAttr::of(attr.name).is_some_and(|of| diff::learn_slot(&mut spec, of, seen));
        outside::handled(draft, row, seen, &attr, if learns { Handling::Learnt } else { Handling::Left });
        if learns {
            learnt.push(attr);
        }
    }
    if learnt.is_empty() {
        return arrived(draft, learning, row);
    }
    learning.afterwards.note(draft, row, [recorded, &spec], &learnt, seen);
    let attrs = observed(draft, &learnt);
    let reason = Reason::Drifted { attrs: learnt.iter().map(|attr| attr.name.to_owned()).collect() };
    let effect = Effect::Become(Arc::new(ObjectSpec::Slot(Box::new(spec))));
    learning.add(draft, row, effect, reason, attrs);
    learning.expect.extend(seen_fact(draft, &row.region, &seen.id));
}

/// What of an instance is no longer as the state remembers it, and nobody said that this does not matter.
fn drifted(draft: &Draft<'_>, row: &Object, recorded: &SlotSpec, seen: &Instance) -> Vec<Attr> {
    let desired = draft.input.desired;
    let (Some(number), Some(zone), Some(ordinal)) = (row.addr.slot, &row.zone, row.ordinal) else { return Vec::new() };
    let name = &row.addr.block.name;
    let nothing = BTreeSet::new();
    let ignore = desired.fleets.get(name).map_or(&nothing, |Fleet { ignore_changes, .. }| ignore_changes);
    let tag = naming::tag_value(&desired.project, &desired.env, &row.addr.block);
    let hostname = recorded.hostname.as_ref().map(|pattern| pattern.of(zone, ordinal));
    let wanted = Wanted {
        spec: recorded,
        name: Some(&row.name),
        hostname: hostname.as_deref(),
        ours: (naming::TAG_KEY, &tag),
        ignore,
    };
    // A builder that switched itself off is as it should be, and what a run of ours shut down is not drift.
    let off = sources(desired, name).get(&number).is_some_and(|stopped| *stopped);
    let expected = off || draft.input.recorded.halted.contains(&seen.id);
    let attrs = diff::slot(recorded, row.made_from.as_ref(), wanted, seen).attrs.into_iter();
    attrs.filter(|attr| attr.drifted && !(expected && attr.is(FleetAttr::State))).collect()
}

/// What was being made when a run ended, and is there.
fn arrived(draft: &mut Draft<'_>, learning: &mut Learning, row: &Object) {
    if row.status.is_unsettled() {
        let text = |status: Status| Value::Text(status.word().to_owned());
        let attrs = vec![AttrChange { name: "status".into(), before: text(row.status), after: text(Status::Ready) }];
        learning.add(draft, row, Effect::Arrive, Reason::Already, attrs);
    }
}

/// As the state had it, and as it was seen.
fn observed(draft: &Draft<'_>, attrs: &[Attr]) -> Vec<AttrChange> {
    let shown = draft.show_attrs(attrs, None).into_iter();
    shown.map(|AttrChange { name, before, after }| AttrChange { name, before: after, after: before }).collect()
}

fn gone(draft: &mut Draft<'_>, row: &Object) {
    // What a run of ours had begun to delete is gone by our own hand.
    if row.status != Status::Deleting {
        draft.drift.push(Drift {
            addr: row.full_addr(),
            attr: PRESENCE.to_owned(),
            recorded: Value::Text("there".to_owned()),
            observed: Value::Text("deleted".to_owned()),
            handling: Handling::Learnt,
            by: None,
        });
    }
    forget(draft, row, Reason::Vanished, Vec::new());
}

fn copy(draft: &mut Draft<'_>, learning: &mut Learning, row: &Object) {
    if is_gone(draft, row) {
        return gone(draft, row);
    }
    let ObjectSpec::Image(recorded) = row.spec.as_ref() else { return };
    let (Some(seen), Some(id)) = (usable(draft, row), row.cloud_id.image()) else { return };
    renamed(draft, row, seen);
    let mut spec = recorded.clone();
    if !diff::learn_image(&mut spec, seen) {
        return arrived(draft, learning, row);
    }
    let tag = naming::tag_value(&draft.input.desired.project, &draft.input.desired.env, &row.addr.block);
    let found = diff::image(recorded, recorded, seen, &row.name, (naming::TAG_KEY, &tag));
    let mut attrs: Vec<Attr> = found.attrs.into_iter().filter(|attr| attr.drifted).collect();
    if spec.tags != recorded.tags {
        attrs.push(diff::tag_attr(&found.tags, &seen.tags));
    }
    let attrs = observed(draft, &attrs);
    for AttrChange { name, before, after } in attrs.clone() {
        let addr = row.full_addr();
        let handling = Handling::Learnt;
        draft.drift.push(Drift { addr, attr: name, recorded: before, observed: after, handling, by: None });
    }
    let reason = Reason::Drifted { attrs: attrs.iter().map(|attr| attr.name.clone()).collect() };
    learning.add(draft, row, Effect::Become(Arc::new(ObjectSpec::Image(spec))), reason, attrs);
    learning.expect.push(Fact::Image { region: row.region.clone(), id: id.clone() });
}

/// A builder is there only for a while: nothing of it is drift. Where it is gone, the state forgets it.
fn builder(draft: &mut Draft<'_>, row: &Object) {
    match now(draft, row) {
        Now::Missing(reason) => drop(forget(draft, row, reason, Vec::new())),
        Now::Live(_) | Now::UnderWay(_) | Now::Leaving => {}
    }
}

/// By its name nothing of ours is found: another one is only shown.
fn renamed(draft: &mut Draft<'_>, row: &Object, seen: &Image) {
    if seen.name != row.name {
        draft.drift.push(Drift {
            addr: row.full_addr(),
            attr: "name".into(),
            recorded: Value::Text(row.name.clone()),
            observed: Value::Text(seen.name.clone()),
            handling: Handling::Left,
            by: None,
        });
    }
}

fn share(draft: &mut Draft<'_>, learning: &mut Learning, row: &Object) {
    let Some(id) = row.cloud_id.image() else { return };
    if is_gone(draft, row) {
        return gone(draft, row);
    }
    let there = shares::seen(draft, &row.region, id);
    let ours = shares::ours(Some(row));
    let others = shares::of_other_blocks(draft, &row.addr.block, &row.region, id);
    let left: BTreeSet<Uin> = ours.intersection(&there).cloned().collect();
    if left != ours {
        shares::drifted(draft, &row.full_addr(), [&ours, &left], Handling::Learnt);
    }
    let foreign: BTreeSet<Uin> = &(&there - &ours) - &others;
    if !foreign.is_empty() {
        shares::drifted(draft, &row.full_addr(), [&left, &(&left | &foreign)], Handling::Left);
    }
    if left == ours {
        return arrived(draft, learning, row);
    }
    let name = "accounts".to_owned();
    let attrs = vec![AttrChange { name: name.clone(), before: shares::list(&ours), after: shares::list(&left) }];
    let effect = Effect::Become(Arc::new(ObjectSpec::Share(ShareCopySpec { accounts: left })));
    learning.add(draft, row, effect, Reason::Drifted { attrs: vec![name] }, attrs);
    learning.expect.push(Fact::Shared { region: row.region.clone(), image: id.clone(), accounts: there });
}
