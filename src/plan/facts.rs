//! Facts: what the steps of a plan rely on, whether it is still so, and which of it can be looked at beforehand.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Do, Fact, Plan, Step};
use crate::cloud::call::{Arg, Body};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Region, RequestId, Uin};
use crate::model::observed::{Instance, InstanceState, Observed, Seen};

/// A fact that no longer holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The one thing that it is about; what else a step acts on may go on without it. `None`: the step as a whole.
    pub id: Option<CloudId>,
    /// What happened, as a clause: `ins-1 got another type`.
    pub what: String,
    /// What the plan was made with.
    pub planned: String,
    /// What is there now.
    pub now: String,
}

impl Fact {
    /// What of it is no longer so. `seen` holds an answer to every question that the fact asks: what is not in there, is
    /// not in the cloud.
    #[must_use]
    pub fn moved(&self, seen: &Observed) -> Vec<Moved> {
        match self {
            Self::NameFree { region, name } => name_taken(seen, region, name).into_iter().collect(),
            Self::Image { region, id } => image_gone(seen, region, id).into_iter().collect(),
            Self::Shared { region, image, accounts } => {
                shared_else(seen, region, image, accounts).into_iter().collect()
            }
            Self::Unshared { region, image } => {
                let nobody = BTreeSet::new();
                // An image that is gone is shared with nobody.
                let now = seen.by_region.get(region).and_then(|seen| seen.shares.get(image));
                now.and_then(|_| shared_else(seen, region, image, &nobody)).into_iter().collect()
            }
            Self::Instance { region, id, image, instance_type, latest_request } => {
                let before = Before { image, instance_type, latest_request: Some(latest_request.as_ref()) };
                instance_moved(seen, region, id, &before).into_iter().collect()
            }
            Self::Remembered { region, id, image, instance_type } => {
                let before = Before { image, instance_type, latest_request: None };
                instance_moved(seen, region, id, &before).into_iter().collect()
            }
            Self::Instances { region, ids } => ids
                .iter()
                .filter(|id| there(seen, region, id).is_none())
                .map(|id| terminated(seen, region, id))
                .collect(),
            Self::Terminable { region, ids, charge_type } => {
                ids.iter().filter_map(|id| not_terminable(seen, region, id, charge_type)).collect()
            }
            Self::Gone { region, id } => back_again(seen, region, id).into_iter().collect(),
        }
    }
}

/// Every fact that can be looked at before the first step, with its step: all but those that an earlier step of the plan
/// makes true.
#[must_use]
pub fn known_now(plan: &Plan) -> Vec<(&Step, &Fact)> {
    let names: BTreeMap<&ImageId, &str> =
        plan.changes.iter().filter_map(|change| Some((change.id.as_ref()?.image()?, change.name.as_str()))).collect();
    let mut done = Done::default();
    let mut known = Vec::new();
    for step in &plan.steps {
        known.extend(step.expect.iter().filter(|fact| !done.to(fact)).map(|fact| (step, fact)));
        done.add(step, &names);
    }
    known
}

/// What earlier steps do to the things that facts are about.
#[derive(Default)]
struct Done<'p> {
    instances: BTreeSet<&'p InstanceId>,
    shares: BTreeSet<&'p ImageId>,
    freed: BTreeSet<(&'p Region, &'p str)>,
}

impl<'p> Done<'p> {
    fn to(&self, fact: &Fact) -> bool {
        match fact {
            Fact::NameFree { region, name } => self.freed.contains(&(region, name.as_str())),
            Fact::Instance { id, .. } | Fact::Remembered { id, .. } => self.instances.contains(id),
            Fact::Shared { image, .. } | Fact::Unshared { image, .. } => self.shares.contains(image),
            // Nothing that goes in a plan is used by a later step of it.
            Fact::Image { .. } | Fact::Instances { .. } | Fact::Terminable { .. } | Fact::Gone { .. } => false,
        }
    }

    fn add(&mut self, step: &'p Step, names: &BTreeMap<&'p ImageId, &'p str>) {
        let Do::Call(call) = &step.does else { return };
        self.instances.extend(call.body.operates_on());
        match &call.body {
            Body::ShareImage { image: Arg::Known(image), .. } => drop(self.shares.insert(image)),
            Body::DeleteImages { images } => {
                let freed = images.iter().filter_map(|image| names.get(image)).map(|name| (&call.region, *name));
                self.freed.extend(freed);
            }
            Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::TerminateInstances { .. }
            | Body::StopInstances { .. }
            | Body::StartInstances { .. }
            | Body::ResetInstance { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => {}
        }
    }
}

/// An instance, where it is there and stays.
fn there<'s>(seen: &'s Observed, region: &Region, id: &InstanceId) -> Option<&'s Instance> {
    let instance = seen.instance(region, id).and_then(Seen::present)?;
    let ends =
        matches!(instance.state, InstanceState::Terminating | InstanceState::Shutdown | InstanceState::LaunchFailed);
    (!ends).then_some(instance)
}

fn name_taken(seen: &Observed, region: &Region, name: &str) -> Option<Moved> {
    let listed = seen.by_region.get(region)?.custom_images.as_ref()?;
    let taken = listed.values().find(|image| image.name == name)?;
    Some(Moved {
        id: None,
        what: format!("the image name {name} was taken in {region}"),
        planned: format!("no custom image named {name} in {region}"),
        now: format!("{} bears that name", taken.id),
    })
}

fn image_gone(seen: &Observed, region: &Region, id: &ImageId) -> Option<Moved> {
    if let Some(Seen::Present(_)) = seen.image(region, id) {
        return None;
    }
    Some(Moved {
        id: Some(CloudId::Image(id.clone())),
        what: format!("{id} was deleted"),
        planned: format!("the image {id}"),
        now: "it is not there".into(),
    })
}

fn shared_else(seen: &Observed, region: &Region, image: &ImageId, accounts: &BTreeSet<Uin>) -> Option<Moved> {
    let now = seen.by_region.get(region).and_then(|seen| seen.shares.get(image));
    if now == Some(accounts) {
        return None;
    }
    Some(Moved {
        id: Some(CloudId::Image(image.clone())),
        what: format!("the accounts that {image} is shared with changed"),
        planned: format!("{image}, shared with {}", list(accounts)),
        now: now.map_or_else(|| "it is not there".into(), |now| format!("it is shared with {}", list(now))),
    })
}

fn list(accounts: &BTreeSet<Uin>) -> String {
    if accounts.is_empty() {
        return "nobody".into();
    }
    accounts.iter().map(Uin::as_str).collect::<Vec<_>>().join(", ")
}

struct Before<'f> {
    image: &'f ImageId,
    instance_type: &'f InstanceType,
    /// `None`: not known.
    latest_request: Option<Option<&'f RequestId>>,
}

fn instance_moved(seen: &Observed, region: &Region, id: &InstanceId, before: &Before<'_>) -> Option<Moved> {
    let Before { image, instance_type, latest_request } = before;
    let Some(now) = there(seen, region, id) else { return Some(terminated(seen, region, id)) };
    let moved = |what: String, planned: String, now: String| {
        Some(Moved { id: Some(CloudId::Instance(id.clone())), what, planned, now })
    };
    if now.image != **image {
        return moved(
            format!("{id} got another image"),
            format!("{id}, running from {image}"),
            format!("it runs from {}", now.image),
        );
    }
    if now.instance_type != **instance_type {
        return moved(
            format!("{id} got another type"),
            format!("{id} of type {instance_type}"),
            format!("it is of type {}", now.instance_type),
        );
    }
    let latest = now.latest.as_ref().and_then(|latest| latest.request_id.as_ref());
    if latest_request.is_none_or(|before| before == latest) {
        return None;
    }
    let request = |request: Option<&RequestId>| match request {
        Some(request) => format!("request {request}"),
        None => "no request".to_owned(),
    };
    let operation = now.latest.as_ref().map_or("an operation", |latest| latest.name.as_str());
    moved(
        format!("somebody else worked on {id}"),
        format!("{id}, worked on last by {}", request(latest_request.flatten())),
        format!("it was worked on last by {} ({operation})", request(latest)),
    )
}

fn terminated(seen: &Observed, region: &Region, id: &InstanceId) -> Moved {
    let now = seen.instance(region, id).and_then(Seen::present).map(|seen| &seen.state);
    let now = match now {
        Some(InstanceState::Terminating) => "it is being terminated",
        Some(InstanceState::Shutdown) => "it is in the recycle bin",
        Some(_) | None => "it is not there",
    };
    Moved {
        id: Some(CloudId::Instance(id.clone())),
        what: format!("{id} was terminated"),
        planned: format!("the instance {id}"),
        now: now.into(),
    }
}

/// One that is gone already needs no termination: that is as good.
fn not_terminable(seen: &Observed, region: &Region, id: &InstanceId, charge_type: &str) -> Option<Moved> {
    let now = seen.instance(region, id).and_then(Seen::present)?;
    let moved = |what: String, planned: String, now: &str| {
        Some(Moved { id: Some(CloudId::Instance(id.clone())), what, planned, now: now.to_owned() })
    };
    if now.state == InstanceState::Shutdown {
        // A second termination destroys what lies in the recycle bin (API text 2.2).
        let now = "it is in the recycle bin, out of which a termination would destroy it";
        return moved(format!("{id} was put into the recycle bin"), format!("the instance {id}"), now);
    }
    if now.protected {
        let planned = format!("{id}, not protected");
        return moved(
            format!("{id} was protected against termination"),
            planned,
            "it is protected against termination",
        );
    }
    if now.charge_type != charge_type {
        let planned = format!("{id}, billed {charge_type}");
        return moved(format!("the billing of {id} changed"), planned, &format!("it is billed {}", now.charge_type));
    }
    None
}

fn back_again(seen: &Observed, region: &Region, id: &CloudId) -> Option<Moved> {
    let back = match id {
        CloudId::Instance(id) => there(seen, region, id).is_some(),
        CloudId::Image(id) => matches!(seen.image(region, id), Some(Seen::Present(_))),
    };
    back.then(|| Moved {
        id: Some(id.clone()),
        what: format!("{id} is there again"),
        planned: format!("{id}, gone"),
        now: "it is there again".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::RegionSeen;
    use crate::plan::file::tests::{call, empty, step};

    const HERE: &str = "ap-guangzhou";

    fn seen(change: impl FnOnce(&mut RegionSeen)) -> Observed {
        let mut region = RegionSeen::default();
        change(&mut region);
        Observed { by_region: BTreeMap::from([(HERE.into(), region)]), ..Observed::default() }
    }

    fn with(instance: Instance) -> Observed {
        seen(|region| drop(region.instances.insert(instance.id.clone(), Seen::Present(instance))))
    }

    fn terminable() -> Fact {
        Fact::Terminable {
            region: HERE.into(),
            ids: BTreeSet::from(["ins-1".into()]),
            charge_type: "POSTPAID_BY_HOUR".into(),
        }
    }

    fn what(fact: &Fact, seen: &Observed) -> Vec<String> {
        fact.moved(seen).into_iter().map(|moved| moved.what).collect()
    }

    #[test]
    fn a_termination_is_refused_for_what_would_be_lost_by_it() {
        let nothing: [&str; 0] = [];
        assert_eq!(what(&terminable(), &with(Instance::sample("ins-1"))), nothing);
        assert_eq!(what(&terminable(), &seen(|_| {})), nothing, "gone is as good");
        let off = Instance { state: InstanceState::Terminating, ..Instance::sample("ins-1") };
        assert_eq!(what(&terminable(), &with(off)), nothing);
        let bin = Instance { state: InstanceState::Shutdown, ..Instance::sample("ins-1") };
        assert_eq!(what(&terminable(), &with(bin)), ["ins-1 was put into the recycle bin"]);
        let paid = Instance { charge_type: "PREPAID".into(), ..Instance::sample("ins-1") };
        assert_eq!(what(&terminable(), &with(paid)), ["the billing of ins-1 changed"]);
        let safe = Instance { protected: true, ..Instance::sample("ins-1") };
        assert_eq!(what(&terminable(), &with(safe)), ["ins-1 was protected against termination"]);
    }

    #[test]
    fn what_is_forgotten_must_still_be_gone() {
        let gone = Fact::Gone { region: HERE.into(), id: CloudId::Instance("ins-1".into()) };
        assert_eq!(what(&gone, &with(Instance::sample("ins-1"))), ["ins-1 is there again"]);
        for state in [InstanceState::LaunchFailed, InstanceState::Shutdown, InstanceState::Terminating] {
            assert!(gone.moved(&with(Instance { state, ..Instance::sample("ins-1") })).is_empty());
        }
        assert!(gone.moved(&seen(|_| {})).is_empty());
    }

    #[test]
    fn of_several_instances_those_are_named_that_ended() {
        let all = Fact::Instances { region: HERE.into(), ids: BTreeSet::from(["ins-1".into(), "ins-2".into()]) };
        assert_eq!(what(&all, &with(Instance::sample("ins-1"))), ["ins-2 was terminated"]);
    }

    #[test]
    fn an_image_that_is_gone_is_shared_with_nobody_and_not_with_somebody() {
        let image = || "img-1".into();
        let nobody = Fact::Unshared { region: HERE.into(), image: image() };
        let somebody =
            Fact::Shared { region: HERE.into(), image: image(), accounts: BTreeSet::from(["100000000002".into()]) };
        assert!(nobody.moved(&seen(|_| {})).is_empty());
        let now = &somebody.moved(&seen(|_| {}))[0].now;
        assert_eq!(now, "it is not there");
        let shared = seen(|region| drop(region.shares.insert(image(), BTreeSet::from(["100000000002".into()]))));
        assert!(somebody.moved(&shared).is_empty());
        assert_eq!(nobody.moved(&shared)[0].now, "it is shared with 100000000002");
    }

    #[test]
    fn what_an_earlier_step_makes_so_is_not_known_yet() {
        let share = |cancel| Body::ShareImage { image: Arg::Known("img-1".into()), accounts: BTreeSet::new(), cancel };
        let shared = |accounts: &[&str]| Fact::Shared {
            region: HERE.into(),
            image: "img-1".into(),
            accounts: accounts.iter().map(|uin| Uin::new(*uin)).collect(),
        };
        let free = |name: &str| Fact::NameFree { region: HERE.into(), name: name.into() };
        let as_seen = |id: &str| Fact::Remembered {
            region: HERE.into(),
            id: id.into(),
            image: "img-0".into(),
            instance_type: "S5.MEDIUM4".into(),
        };
        let delete = Body::DeleteImages { images: vec!["img-9".into()] };
        let stop = Body::StopInstances { instances: vec![Arg::Known("ins-1".into())] };
        let mut plan = empty();
        plan.changes = vec![crate::plan::file::tests::deletion("img-9", "failed")];
        plan.steps = vec![
            step(0, call(HERE, share(false)), vec![shared(&["1"])]),
            step(1, call(HERE, share(true)), vec![shared(&["1", "2"])]),
            step(2, call(HERE, delete), Vec::new()),
            step(3, Do::Record, vec![free("failed"), free("other")]),
            step(4, call(HERE, stop), vec![as_seen("ins-1")]),
            step(5, Do::Record, vec![as_seen("ins-1"), as_seen("ins-2")]),
        ];
        let known: Vec<Fact> = known_now(&plan).into_iter().map(|(_, fact)| fact.clone()).collect();
        assert_eq!(known, [shared(&["1"]), free("other"), as_seen("ins-1"), as_seen("ins-2")]);
    }
}
