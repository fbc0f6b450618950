//! Copies that stay: their descriptions, families, marks and tags are kept right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Planning, await_copy};
use crate::cloud::call::{Arg, Body, ImageChange, MAX_TAG_RESOURCES, StepId, TagTarget};
use crate::diff::{self, Attr, ImageDiff, Takes};
use crate::model::desired::Tags;
use crate::model::observed::Image;
use crate::model::recorded::Object;
use crate::model::spec::{ImageCopySpec, ObjectSpec};
use crate::plan::draft::{Draft, NewStep, at_once, detail, known};
use crate::plan::floor::Shared;
use crate::plan::types::{Action, Do, Drift, Effect, Fact, Handling, Need, Reason, Value};

/// One copy that stays.
pub(super) struct Staying<'a> {
    pub(super) object: &'a Object,
    pub(super) seen: &'a Image,
    /// What it is to be.
    pub(super) wanted: ImageCopySpec,
}

/// One copy that changes.
struct Work<'a> {
    object: &'a Object,
    diff: ImageDiff,
    /// What it is until the last tag that has to go is gone.
    before_untag: Arc<ObjectSpec>,
    spec: Arc<ObjectSpec>,
}

/// What is named of an image, by one call a copy, and tags, by one call for all copies that get the same. `after`: what
/// has to be over before. `why`: in place of "the config changed", where it did not.
pub(super) fn keep_right(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    staying: &[Staying<'_>],
    after: &[Need],
    why: Option<&Reason>,
) {
    let (key, value) = draft.tag(&planning.block);
    let mut works = Vec::new();
    for Staying { object, seen, wanted } in staying {
        let ObjectSpec::Image(recorded) = object.spec.as_ref() else { continue };
        let diff = diff::image(recorded, wanted, seen, &object.name, (&key, &value));
        if let Some(name) = &diff.renamed {
            draft.drift.push(Drift {
                addr: object.full_addr(),
                attr: "name".into(),
                recorded: Value::Text(object.name.clone()),
                observed: Value::Text(name.clone()),
                handling: Handling::Left,
                by: None,
            });
        }
        if diff.is_empty() {
            if object.status.is_unsettled() {
                await_copy(draft, object);
            }
            continue;
        }
        note(draft, object, seen, &diff, why);
        let going = recorded.tags.iter().filter(|(key, _)| diff.tags.unset.contains(*key));
        let mut tags = wanted.tags.clone();
        tags.extend(going.map(|(key, value)| (key.clone(), value.clone())));
        let before_untag = Arc::new(ObjectSpec::Image(ImageCopySpec { tags, ..wanted.clone() }));
        works.push(Work { object, diff, before_untag, spec: Arc::new(ObjectSpec::Image(wanted.clone())) });
    }
    steps(draft, planning, &works, after);
}

fn steps(draft: &mut Draft<'_>, planning: &Planning<'_>, works: &[Work<'_>], after: &[Need]) {
    let mut before: BTreeMap<usize, Vec<Need>> = BTreeMap::new();
    let mut tag: BTreeMap<&Tags, Vec<usize>> = BTreeMap::new();
    let mut untag: BTreeMap<&BTreeSet<String>, Vec<usize>> = BTreeMap::new();
    for (n, Work { object, diff, before_untag, spec: _ }) in works.iter().enumerate() {
        let block = &object.addr.block;
        if !diff.tags.set.is_empty() {
            draft.dues.shared(Shared::Tag(diff.tags.set.clone()), block, !after.is_empty());
            tag.entry(&diff.tags.set).or_default().push(n);
        }
        if !diff.tags.unset.is_empty() {
            let waits = !after.is_empty() || diff.modifies();
            draft.dues.shared(Shared::Untag(diff.tags.unset.clone()), block, waits);
            untag.entry(&diff.tags.unset).or_default().push(n);
        }
        let target = known(object, Effect::Become(Arc::clone(before_untag)));
        let ImageDiff { attrs: _, description, family, deprecated, tags: _, renamed: _ } = diff;
        if let (true, Some(id)) = (diff.modifies(), object.cloud_id.image()) {
            draft.dues.single("ModifyImageAttribute", 1);
            let set = ImageChange { description: description.clone(), family: family.clone(), deprecated: *deprecated };
            let body = Body::ModifyImage { image: Arg::Known(id.clone()), set };
            let does = draft.call(&object.region, body);
            let expect = vec![Fact::Image { region: object.region.clone(), id: id.clone() }];
            let step = draft.step(NewStep {
                needs: after.to_vec(),
                does,
                targets: vec![target],
                expect,
                settle: at_once(),
                holds: Vec::new(),
            });
            before.entry(n).or_default().push(Need::Over(step));
        } else if diff.tags.is_empty() {
            // The cloud has all of it already.
            draft.step(NewStep {
                needs: after.to_vec(),
                does: Do::Record,
                targets: vec![target],
                expect: Vec::new(),
                settle: at_once(),
                holds: Vec::new(),
            });
        }
    }
    for (tags, copies) in tag {
        for chunk in copies.chunks(MAX_TAG_RESOURCES) {
            let body = |resources| Body::TagResources { resources, tags: tags.clone() };
            let targets = |work: &Work<'_>| known(work.object, Effect::Become(Arc::clone(&work.before_untag)));
            let step = tag_step(draft, planning, works, chunk, after.to_vec(), &body, &targets);
            for n in chunk {
                before.entry(*n).or_default().push(Need::Over(step));
            }
        }
    }
    for (keys, copies) in untag {
        for chunk in copies.chunks(MAX_TAG_RESOURCES) {
            let body = |resources| Body::UntagResources { resources, keys: keys.clone() };
            let targets = |work: &Work<'_>| known(work.object, Effect::Become(Arc::clone(&work.spec)));
            let mut needs: Vec<Need> = chunk.iter().filter_map(|n| before.get(n)).flatten().copied().collect();
            needs.extend(after);
            tag_step(draft, planning, works, chunk, needs, &body, &targets);
        }
    }
}

fn tag_step(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    works: &[Work<'_>],
    chunk: &[usize],
    needs: Vec<Need>,
    body: &dyn Fn(Vec<TagTarget>) -> Body,
    target: &dyn Fn(&Work<'_>) -> crate::plan::types::Target,
) -> StepId {
    let chunk: Vec<&Work<'_>> = chunk.iter().filter_map(|n| works.get(*n)).collect();
    let there = |Work { object, .. }: &&Work<'_>| {
        Some(Fact::Image { region: object.region.clone(), id: object.cloud_id.image()?.clone() })
    };
    let expect = chunk.iter().filter_map(there).collect();
    let resource = |Work { object, .. }: &&Work<'_>| TagTarget {
        region: object.region.clone(),
        id: Arg::Known(object.cloud_id.clone()),
    };
    let does = draft.call(&planning.home, body(chunk.iter().map(resource).collect()));
    let targets = chunk.into_iter().map(target).collect();
    draft.step(NewStep { needs, does, targets, expect, settle: at_once(), holds: Vec::new() })
}

/// Notes what changes on a copy and why.
fn note(draft: &mut Draft<'_>, object: &Object, seen: &Image, diff: &ImageDiff, why: Option<&Reason>) {
    let ImageDiff { attrs: all, description: _, family: _, deprecated: _, tags, renamed: _ } = diff;
    let (modified, learnt): (Vec<&Attr>, Vec<&Attr>) = all.iter().partition(|attr| attr.takes == Takes::Modify);
    let mut changed: Vec<String> = Vec::new();
    let mut drifted: Vec<String> = Vec::new();
    for attr in &modified {
        if attr.drifted { &mut drifted } else { &mut changed }.push(attr.name.to_owned());
    }
    let mut attrs = draft.show_attrs(modified.iter().copied(), None);
    if !tags.is_empty() {
        if tags.drifted { &mut drifted } else { &mut changed }.push("tags".to_owned());
        let shown = diff::tag_attr(tags, &seen.tags);
        attrs.extend(draft.show_attrs([&shown], None));
    }
    changed.extend(learnt.iter().map(|attr| attr.name.to_owned()));
    attrs.extend(draft.show_attrs(learnt.iter().copied(), None));
    let mut reasons = Vec::new();
    if !changed.is_empty() {
        reasons.push(match why.filter(|_| changed.iter().all(|name| name == "deprecated")) {
            Some(why) => why.clone(),
            None => Reason::Changed { attrs: changed },
        });
    }
    if !drifted.is_empty() {
        reasons.push(Reason::Drifted { attrs: drifted });
    }
    if modified.is_empty() && tags.is_empty() {
        reasons.push(Reason::Already);
    }
    let detail = detail(reasons, attrs);
    draft.change(object.full_addr(), Action::Update, Some(object.cloud_id.clone()), &object.name, &detail);
}
