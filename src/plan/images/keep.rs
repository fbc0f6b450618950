//! Copies that stay: their descriptions and tags are kept right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Planning, copy_spec};
use crate::cloud::call::{Arg, Body, ImageChange, MAX_TAG_RESOURCES, StepId, TagTarget};
use crate::diff::{self, ImageDiff};
use crate::model::desired::Tags;
use crate::model::observed::Image;
use crate::model::recorded::Object;
use crate::model::spec::{ImageCopySpec, ObjectSpec};
use crate::plan::draft::{Draft, NewStep, at_once, detail, known};
use crate::plan::types::{Action, AttrChange, Do, Drift, Effect, Fact, Handling, Need, Reason, Value};

/// One copy that changes.
struct Work<'a> {
    object: &'a Object,
    diff: ImageDiff,
    /// What it is until the last tag that has to go is gone.
    before_untag: Arc<ObjectSpec>,
}

/// Descriptions, by one call a copy, and tags, by one call for all copies that get the same.
pub(super) fn keep_right(draft: &mut Draft<'_>, planning: &Planning<'_>, kept: &[(&Object, &Image)]) {
    let wanted = copy_spec(planning.image);
    let spec = Arc::new(ObjectSpec::Image(wanted.clone()));
    let (key, value) = draft.tag(&planning.block);
    let mut works = Vec::new();
    for (object, seen) in kept {
        let ObjectSpec::Image(recorded) = object.spec.as_ref() else { continue };
        let diff = diff::image(recorded, &wanted, seen, &object.name, (&key, &value));
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
            continue;
        }
        note(draft, object, seen, &diff);
        let going = recorded.tags.iter().filter(|(key, _)| diff.tags.unset.contains(*key));
        let mut tags = wanted.tags.clone();
        tags.extend(going.map(|(key, value)| (key.clone(), value.clone())));
        let before_untag = Arc::new(ObjectSpec::Image(ImageCopySpec { tags, ..wanted.clone() }));
        works.push(Work { object, diff, before_untag });
    }
    steps(draft, planning, &works, &spec);
}

fn steps(draft: &mut Draft<'_>, planning: &Planning<'_>, works: &[Work<'_>], spec: &Arc<ObjectSpec>) {
    let mut before: BTreeMap<usize, Vec<Need>> = BTreeMap::new();
    let mut tag: BTreeMap<&Tags, Vec<usize>> = BTreeMap::new();
    let mut untag: BTreeMap<&BTreeSet<String>, Vec<usize>> = BTreeMap::new();
    for (n, Work { object, diff, before_untag }) in works.iter().enumerate() {
        if !diff.tags.set.is_empty() {
            tag.entry(&diff.tags.set).or_default().push(n);
        }
        if !diff.tags.unset.is_empty() {
            untag.entry(&diff.tags.unset).or_default().push(n);
        }
        let target = known(object, Effect::Become(Arc::clone(before_untag)));
        if let (Some(description), Some(id)) = (&diff.description, object.cloud_id.image()) {
            let set = ImageChange { description: Some(description.clone()), ..ImageChange::default() };
            let body = Body::ModifyImage { image: Arg::Known(id.clone()), set };
            let does = draft.call(&object.region, body);
            let expect = vec![Fact::Image { region: object.region.clone(), id: id.clone() }];
            let step = draft.step(NewStep {
                needs: Vec::new(),
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
                needs: Vec::new(),
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
            let step = tag_step(draft, planning, works, chunk, Vec::new(), &body, &targets);
            for n in chunk {
                before.entry(*n).or_default().push(Need::Over(step));
            }
        }
    }
    for (keys, copies) in untag {
        for chunk in copies.chunks(MAX_TAG_RESOURCES) {
            let body = |resources| Body::UntagResources { resources, keys: keys.clone() };
            let targets = |work: &Work<'_>| known(work.object, Effect::Become(Arc::clone(spec)));
            let needs = chunk.iter().filter_map(|n| before.get(n)).flatten().copied().collect();
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
fn note(draft: &mut Draft<'_>, object: &Object, seen: &Image, diff: &ImageDiff) {
    let ImageDiff { description, description_drifted, tags, already, renamed: _ } = diff;
    let mut attrs = Vec::new();
    let mut changed = Vec::new();
    let mut drifted = Vec::new();
    if let Some(description) = description {
        if *description_drifted { &mut drifted } else { &mut changed }.push("description".to_owned());
        attrs.push(AttrChange {
            name: "description".into(),
            before: Value::Text(seen.description.clone()),
            after: Value::Text(description.clone()),
        });
    }
    if !tags.is_empty() {
        if tags.drifted { &mut drifted } else { &mut changed }.push("tags".to_owned());
        let shown = diff::tag_attr(tags, &seen.tags);
        attrs.extend(draft.show_attrs([&shown], None));
    }
    changed.extend(already.iter().map(|attr| attr.name.to_owned()));
    attrs.extend(draft.show_attrs(already, None));
    let mut reasons = Vec::new();
    if !changed.is_empty() {
        reasons.push(Reason::Changed { attrs: changed });
    }
    if !drifted.is_empty() {
        reasons.push(Reason::Drifted { attrs: drifted });
    }
    if description.is_none() && tags.is_empty() {
        reasons.push(Reason::Already);
    }
    let detail = detail(reasons, attrs);
    draft.change(object.full_addr(), Action::Update, Some(object.cloud_id.clone()), &object.name, &detail);
}
