//! Whether a call took effect, told from what the cloud shows: the table by which operations in doubt are settled.
//!
//! | call | it took when |
//! |---|---|
//! | RunInstances | an instance bears the name and the tag, is as young as the intent, and was never recorded |
//! | CreateImage, ImportImage | an image of that name is there, as young as the intent: the name was free before |
//! | SyncImages | the copy of that name is there, by destination; its source is none |
//! | ModifyImageSharePermission | the accounts are there, or are not |
//! | ModifyImageAttribute | description, family and mark are there |
//! | DeleteImages | the image is not there |
//! | TerminateInstances | the instance is gone, TERMINATING or SHUTDOWN |
//! | StopInstances, StartInstances | it is on its way, or there |
//! | ResetInstance | another ResetInstance than before is its latest operation, or it runs from the new image |
//! | ResetInstancesType | it has the type, or is about to get it |
//! | ModifyInstancesAttribute | the attribute has the value |
//! | TagResources, UnTagResources | the tags are there, or are not |

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::call::{Arg, Body, Call, ImageChange, InstanceAttr, Launch, PAGE, Query, TagTarget};
use crate::model::Millis;
use crate::model::ids::{CloudId, ImageId, InstanceId, Region, Uin};
use crate::model::naming::TAG_KEY;
use crate::model::observed::{Image, Instance, InstanceState, OperationState};
use crate::plan::{Effect, Fact, Step};

/// Whether a call took effect on one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Took {
    /// It did; of what it made, the id.
    Yes(Option<CloudId>),
    /// It did not, as far as the cloud shows.
    No,
    /// The cloud shows something else, from which it cannot be told.
    Unclear(String),
}

/// What was found when it was looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) instances: BTreeMap<InstanceId, Instance>,
    pub(super) images: BTreeMap<Region, BTreeMap<ImageId, Image>>,
    pub(super) shares: BTreeSet<Uin>,
}

/// The reads that tell whether the call of a step took effect.
pub(super) fn queries(call: &Call) -> Vec<Call> {
    let read = |region: &Region, query: Query| Call {
        account: call.account.clone(),
        region: region.clone(),
        body: Body::Describe(query),
    };
    let by_instance = |ids: &[InstanceId]| -> Vec<Call> {
        let chunks = ids.chunks(PAGE as usize);
        chunks.map(|ids| read(&call.region, Query::InstancesById { ids: ids.to_vec() })).collect()
    };
    let by_image = |region: &Region, ids: Vec<ImageId>| read(region, Query::ImagesById { ids });
    match &call.body {
        Body::RunInstances(launch) => {
            let value = launch.tags.get(TAG_KEY).cloned().unwrap_or_default();
            vec![read(&call.region, Query::InstancesTagged { key: TAG_KEY.into(), value, offset: 0 })]
        }
        Body::CreateImage { name, .. } | Body::ImportImage { name, .. } => {
            vec![read(&call.region, Query::CustomImagesNamed { names: vec![name.clone()], offset: 0 })]
        }
        Body::SyncImages { image, to, name, .. } => {
            let source = image.known().map(|image| by_image(&call.region, vec![image.clone()]));
            let named =
                |region: &Region| read(region, Query::CustomImagesNamed { names: vec![name.clone()], offset: 0 });
            source.into_iter().chain(to.iter().map(named)).collect()
        }
        Body::ShareImage { image, .. } => {
            image.known().map(|image| read(&call.region, Query::Shares { image: image.clone() })).into_iter().collect()
        }
        Body::ModifyImage { image, .. } => {
            image.known().map(|image| by_image(&call.region, vec![image.clone()])).into_iter().collect()
        }
        Body::DeleteImages { images } => vec![by_image(&call.region, images.clone())],
        Body::StartInstances { instances } | Body::ModifyInstances { instances, .. } => by_instance(instances),
        Body::StopInstances { instances } | Body::TerminateInstances { instances } => {
            by_instance(&instances.iter().filter_map(Arg::known).cloned().collect::<Vec<_>>())
        }
        Body::ResetInstance { instance, .. } | Body::ResizeInstance { instance, .. } => {
            by_instance(std::slice::from_ref(instance))
        }
        Body::TagResources { resources, .. } | Body::UntagResources { resources, .. } => tagged(call, resources),
        Body::Describe(_) => Vec::new(),
    }
}

fn tagged(call: &Call, resources: &[TagTarget]) -> Vec<Call> {
    let mut regions: BTreeMap<&Region, (Vec<ImageId>, Vec<InstanceId>)> = BTreeMap::new();
    for TagTarget { region, id } in resources {
        let (images, instances) = regions.entry(region).or_default();
        match id.known() {
            Some(CloudId::Image(id)) => images.push(id.clone()),
            Some(CloudId::Instance(id)) => instances.push(id.clone()),
            None => {}
        }
    }
    let mut calls = Vec::new();
    for (region, (images, instances)) in regions {
        let read = |query| Call { account: call.account.clone(), region: region.clone(), body: Body::Describe(query) };
        if !images.is_empty() {
            calls.push(read(Query::ImagesById { ids: images }));
        }
        if !instances.is_empty() {
            calls.push(read(Query::InstancesById { ids: instances }));
        }
    }
    calls
}

/// What is known of an operation beside what is found.
pub(super) struct Circumstances<'a> {
    /// Cloud time of the intent.
    pub(super) intended_ms: Millis,
    /// Every id that was ever recorded.
    pub(super) ids_ever: &'a BTreeSet<String>,
}

/// How far creation times may be off: they have a resolution of a second, and clocks differ.
const SKEW_MS: Millis = 2_000;

/// Whether the call took effect, target by target.
pub(super) fn judge(call: &Call, step: &Step, found: &Found, about: &Circumstances<'_>) -> Vec<Took> {
    let instance = |id: &InstanceId| found.instances.get(id);
    let image = |region: &Region, id: &ImageId| found.images.get(region).and_then(|images| images.get(id));
    let each = |judge: &dyn Fn(&Instance) -> bool, absent: bool| -> Vec<Took> {
        let ids = step.targets.iter().map(|target| match &target.id {
            Some(Arg::Known(CloudId::Instance(id))) => Some(id),
            Some(_) | None => None,
        });
        ids.map(|id| yes_if(id.and_then(instance).map_or(absent, judge))).collect()
    };
    let whole = |took: Took| vec![took; step.targets.len()];
    match &call.body {
        Body::RunInstances(launch) => launched(launch, step, found, about),
        Body::CreateImage { name, .. } | Body::ImportImage { name, .. } => {
            whole(named(found, &call.region, name, about, |image| image.created_ms >= about.intended_ms - SKEW_MS))
        }
        Body::SyncImages { image: source, name, .. } => step
            .targets
            .iter()
            .map(|target| match &target.effect {
                // Which time a copy bears is not documented.
                Effect::Make(made) => {
                    named(found, &made.region, name, about, |image| source.known() != Some(&image.id))
                }
                Effect::Nothing | Effect::Become(_) | Effect::Remove | Effect::Arrive => Took::No,
            })
            .collect(),
        Body::ShareImage { accounts, cancel, .. } => {
            let took = if *cancel { accounts.is_disjoint(&found.shares) } else { accounts.is_subset(&found.shares) };
            whole(yes_if(took))
        }
        Body::ModifyImage { image: id, set } => {
            let seen = id.known().and_then(|id| image(&call.region, id));
            let ImageChange { description, family, deprecated } = set;
            whole(yes_if(seen.is_some_and(|seen| {
                description.as_ref().is_none_or(|text| seen.description == *text)
                    && family.as_ref().is_none_or(|text| seen.family == *text)
                    && deprecated.is_none_or(|deprecated| seen.deprecated == deprecated)
            })))
        }
        Body::DeleteImages { images } => images.iter().map(|id| yes_if(image(&call.region, id).is_none())).collect(),
        Body::TerminateInstances { .. } => {
            each(&|seen| matches!(seen.state, InstanceState::Terminating | InstanceState::Shutdown), true)
        }
        Body::StopInstances { .. } => {
            each(&|seen| matches!(seen.state, InstanceState::Stopping | InstanceState::Stopped), false)
        }
        Body::StartInstances { .. } => {
            each(&|seen| matches!(seen.state, InstanceState::Starting | InstanceState::Running), false)
        }
        Body::ResetInstance { instance: id, image, .. } => {
            whole(instance(id).map_or(Took::No, |seen| reset_took(seen, image.known(), evidence(step))))
        }
        // One that succeeded shows the type. One from before is no evidence.
        Body::ResizeInstance { instance: id, instance_type } => whole(yes_if(instance(id).is_some_and(|seen| {
            let latest = seen.latest.as_ref().filter(|latest| latest.name == "ResetInstancesType");
            let under_way = latest.is_some_and(|latest| latest.state == OperationState::Operating);
            seen.instance_type == *instance_type || under_way
        }))),
        Body::ModifyInstances { set, .. } => each(
            &|seen| match set {
                InstanceAttr::Name(name) => seen.name == *name,
                InstanceAttr::SecurityGroups(groups) => *seen.security_groups == *groups,
                InstanceAttr::Hostname(name) => seen.hostname.as_ref() == Some(name),
                InstanceAttr::CamRole(role) => seen.cam_role == *role,
                InstanceAttr::Protection(on) => seen.protected == *on,
            },
            false,
        ),
        Body::TagResources { resources, tags } => {
            let has = |mine: &BTreeMap<String, String>| tags.iter().all(|(key, value)| mine.get(key) == Some(value));
            resources.iter().map(|resource| yes_if(tags_of(found, resource).is_some_and(has))).collect()
        }
        Body::UntagResources { resources, keys } => {
            let lacks = |mine: &BTreeMap<String, String>| keys.iter().all(|key| !mine.contains_key(key));
            resources.iter().map(|resource| yes_if(tags_of(found, resource).is_none_or(lacks))).collect()
        }
        Body::Describe(_) => whole(Took::Yes(None)),
    }
}

fn yes_if(took: bool) -> Took {
    if took { Took::Yes(None) } else { Took::No }
}

fn tags_of<'f>(found: &'f Found, resource: &TagTarget) -> Option<&'f BTreeMap<String, String>> {
    match resource.id.known()? {
        CloudId::Image(id) => found.images.get(&resource.region)?.get(id).map(|image| &image.tags),
        CloudId::Instance(id) => found.instances.get(id).map(|instance| instance.tags.as_ref()),
    }
}

/// Names are unique among an account's images in a region, and this one was free before the call.
fn named(found: &Found, region: &Region, name: &str, about: &Circumstances<'_>, fits: impl Fn(&Image) -> bool) -> Took {
    let there = found.images.get(region).into_iter().flatten().map(|(_, image)| image);
    let mine = |image: &&Image| image.name == name && !about.ids_ever.contains(image.id.as_str()) && fits(image);
    match there.filter(mine).map(|image| &image.id).next() {
        Some(id) => Took::Yes(Some(CloudId::Image(id.clone()))),
        None => Took::No,
    }
}

/// What the instance was like before, where that was written down.
fn evidence(step: &Step) -> Option<&Fact> {
    step.expect.iter().find(|fact| matches!(fact, Fact::Instance { .. }))
}

/// Without evidence the call came right after another change of the instance by the same run, which was its latest
/// operation then.
fn latest_is_new(seen: &Instance, operation: &str, before: Option<&Fact>) -> bool {
    let Some(latest) = seen.latest.as_ref().filter(|latest| latest.name == operation) else { return false };
    match before {
        Some(Fact::Instance { latest_request, .. }) => latest.request_id != *latest_request,
        Some(_) | None => true,
    }
}

fn reset_took(seen: &Instance, target: Option<&ImageId>, before: Option<&Fact>) -> Took {
    if latest_is_new(seen, "ResetInstance", before) {
        return Took::Yes(None);
    }
    let Some(Fact::Instance { image, latest_request, .. }) = before else { return Took::No };
    if target == Some(&seen.image) && seen.image != *image {
        return Took::Yes(None);
    }
    let same_latest = seen.latest.as_ref().and_then(|latest| latest.request_id.as_ref()) == latest_request.as_ref();
    if same_latest || target != Some(image) {
        return Took::No;
    }
    let other = seen.latest.as_ref().map_or("another operation", |latest| latest.name.as_str());
    Took::Unclear(format!(
        "whether {} was reset cannot be told: {other} stands where its ResetInstance would, and it was to get the image \
         that it had",
        seen.id
    ))
}

/// Instances that can only come from this launch.
fn launched(launch: &Launch, step: &Step, found: &Found, about: &Circumstances<'_>) -> Vec<Took> {
    let mine = |seen: &&Instance| {
        seen.name.starts_with(&launch.name_prefix)
            && seen.zone == launch.zone
            && seen.created_ms >= about.intended_ms - SKEW_MS
            && !about.ids_ever.contains(seen.id.as_str())
            && seen.state != InstanceState::LaunchFailed
    };
    let candidates: Vec<&Instance> = found.instances.values().filter(mine).collect();
    let by_target = step.targets.iter().map(|target| {
        let Effect::Make(made) = &target.effect else { return Took::No };
        let named: Vec<&&Instance> = candidates.iter().filter(|seen| seen.name == made.name).collect();
        match named.as_slice() {
            [] => Took::No,
            [one] => Took::Yes(Some(CloudId::Instance(one.id.clone()))),
            several => {
                let ids: Vec<&str> = several.iter().map(|seen| seen.id.as_str()).collect();
                Took::Unclear(format!("{} could each be {}: {}", ids.len(), made.name, ids.join(", ")))
            }
        }
    });
    by_target.collect()
}
