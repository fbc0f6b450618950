//! What has to be asked to know what a plan costs: one launch of each distinct place and spec.

use std::collections::BTreeMap;

use super::lineage::{Images, Lineage, Root, is_free, newest};
use crate::cloud::call::{Arg, Body, Call, Launch, Query};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::Desired;
use crate::model::ids::{CloudId, ImageId, InstanceType, Region, Uin, Zone};
use crate::model::observed::{Image, Observed};
use crate::model::recorded::{Object, Recorded};
use crate::model::spec::{Charge, ImageUse, ObjectSpec, Renew, SlotNetwork, SlotSpec};
use crate::plan::{Action, Do, Plan, Step};

/// The most questions: a config may have more distinct launches than anybody waits for, at ten answers a second (API
/// text 6.1).
pub const MOST_QUESTIONS: usize = 100;
/// The vendor's own system, which costs nothing: looked up where a price has to be asked with some public image.
const FREE: &str = "TencentOS";

/// Which side of the balance instances are on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// The plan launches them.
    Adds,
    /// The plan takes them away.
    Ends,
    /// The plan launches them, and takes them away again: images are made of them.
    Passes,
}

/// By which image a price is asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Basis {
    /// This one.
    Id(ImageId),
    /// The public image of this name in the region.
    Named(String),
    /// Any public image of the region that costs nothing.
    Free,
}

/// One question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub(super) region: Region,
    /// As it is asked, but for the image.
    pub(super) launch: Launch,
    pub(super) basis: Basis,
    /// The image that it is asked with, once it is known.
    pub(super) image: Option<ImageId>,
}

/// Instances of one block that are priced by the same question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    pub(super) side: Side,
    pub(super) addrs: Vec<Addr>,
    pub(super) question: usize,
    /// The same launch with a public image that is free: what it costs less is the image's fee.
    pub(super) reference: Option<usize>,
    pub(super) charge: Charge,
    pub(super) lineage: Option<Lineage>,
}

/// Instances whose price is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// Which ones.
    pub addrs: Vec<Addr>,
    /// Why, as a clause.
    pub why: String,
}

/// What has to be asked, and who is priced by which answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Questions {
    account: Uin,
    pub(super) asked: Vec<Question>,
    pub(super) groups: Vec<Group>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) assumed: Vec<String>,
}

/// What has to be asked to know what a plan costs; `None` where it launches nothing.
///
/// Names, tags, user data and logins do not bear on a price, so fleets that differ in nothing else share a question. An
/// image that is not there yet is priced by the nearest image that it comes from.
#[must_use]
pub fn questions(plan: &Plan, desired: &Desired, recorded: &Recorded, observed: &Observed) -> Option<Questions> {
    if !plan.steps.iter().any(|step| launched(step).is_some()) {
        return None;
    }
    let mut asking = Asking {
        images: Images::of(plan, desired, recorded, observed),
        questions: Questions {
            account: desired.cloud.account.clone(),
            asked: Vec::new(),
            groups: Vec::new(),
            left_out: Vec::new(),
            assumed: Vec::new(),
        },
        places: BTreeMap::new(),
        groups: BTreeMap::new(),
        lineages: BTreeMap::new(),
    };
    for step in &plan.steps {
        asking.step(step);
    }
    asking.taken_away(plan, recorded);
    let mut questions = asking.questions;
    questions.settle(plan, observed);
    Some(questions)
}

fn launched(step: &Step) -> Option<(&Region, &Launch)> {
    match &step.does {
        Do::Call(Call { body: Body::RunInstances(launch), region, .. }) => Some((region, launch)),
        Do::Call(_) | Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => None,
    }
}

type Place = (Region, Zone, InstanceType, Basis);

struct Asking<'a> {
    images: Images<'a>,
    questions: Questions,
    /// Questions by what tells most of them apart.
    places: BTreeMap<Place, Vec<usize>>,
    /// Groups by what makes them one.
    groups: BTreeMap<(Side, Block, usize, Option<ImageUse>), usize>,
    lineages: BTreeMap<(ImageUse, Region), Lineage>,
}

impl Asking<'_> {
    fn step(&mut self, step: &Step) {
        if let Some((region, launch)) = launched(step) {
            let spec = step.targets.first().and_then(|target| match target.effect.makes()?.spec.as_ref() {
                ObjectSpec::Slot(spec) => Some(spec.as_ref()),
                ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
            });
            let addrs = step.targets.iter().map(|target| &target.addr);
            self.launch(region, launch, spec.map(|spec| &spec.image), addrs);
            return;
        }
        let Do::Call(call) = &step.does else { return };
        let why = match &call.body {
            Body::ResizeInstance { .. } => "a change of its type in place is not priced",
            Body::ResetInstance { with, .. } if with.system_disk_gib.is_some() => {
                "a larger system disk of an instance that stays is not priced"
            }
            Body::ResetInstance { .. }
            | Body::RunInstances(_)
            | Body::CreateImage { .. }
            | Body::ImportImage { .. }
            | Body::SyncImages { .. }
            | Body::ShareImage { .. }
            | Body::ModifyImage { .. }
            | Body::DeleteImages { .. }
            | Body::TerminateInstances { .. }
            | Body::StopInstances { .. }
            | Body::StartInstances { .. }
            | Body::ModifyInstances { .. }
            | Body::TagResources { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => return,
        };
        self.leave_out(step.targets.iter().map(|target| target.addr.clone()), why);
    }

    fn leave_out(&mut self, addrs: impl Iterator<Item = Addr>, why: &str) {
        let left_out = &mut self.questions.left_out;
        match left_out.iter_mut().find(|entry| entry.why == why) {
            Some(entry) => entry.addrs.extend(addrs),
            None => left_out.push(LeftOut { addrs: addrs.collect(), why: why.to_owned() }),
        }
    }

    fn launch<'t>(
        &mut self,
        region: &Region,
        launch: &Launch,
        image: Option<&ImageUse>,
        addrs: impl Iterator<Item = &'t Addr>,
    ) {
        let lineage = image.map(|image| self.lineage(image, region));
        let basis = match (&launch.image, &lineage) {
            (Arg::Known(id), _) => Basis::Id(id.clone()),
            (Arg::Output { .. }, Some(lineage)) => self.basis(lineage, region),
            (Arg::Output { .. }, None) => Basis::Free,
        };
        let fee = lineage.as_ref().filter(|lineage| lineage.root.may_cost() && basis != Basis::Free);
        let reference = fee.is_some();
        let asked = alike(launch);
        let question = self.ask(region, asked.clone(), basis);
        let reference = reference.then(|| self.ask(region, asked, Basis::Free));
        for addr in addrs {
            let side = if addr.is_builder() { Side::Passes } else { Side::Adds };
            self.count(side, addr, question, reference, &launch.charge, image, lineage.as_ref());
        }
    }

    fn lineage(&mut self, image: &ImageUse, region: &Region) -> Lineage {
        let key = (image.clone(), region.clone());
        self.lineages.entry(key).or_insert_with(|| self.images.lineage(image, region)).clone()
    }

    /// What an image that is not there yet is priced by.
    fn basis(&mut self, lineage: &Lineage, region: &Region) -> Basis {
        if let Some(id) = &lineage.nearest {
            return Basis::Id(id.clone());
        }
        let name = lineage.heirs.first().map(|name| Block::image(name).to_string()).unwrap_or_default();
        match (&lineage.root, &lineage.found) {
            (Root::File, _) => {
                self.assume(format!(
                    "{name} is a file yet: it is priced as a public image of {region} is, without a fee"
                ));
                Basis::Free
            }
            (_, Some((id, home))) if home == region => Basis::Id(id.clone()),
            (Root::Public(public), _) => Basis::Named(public.clone()),
            (_, Some((id, home))) => {
                self.assume(format!(
                    "{name} is not in {region} yet: it is priced there as a public image is, without the fee that it may \
                     inherit from {id} in {home}"
                ));
                Basis::Free
            }
            (_, None) => {
                self.assume(format!(
                    "what {name} comes from is not known: it is priced as a public image of {region} is"
                ));
                Basis::Free
            }
        }
    }

    fn assume(&mut self, text: String) {
        if !self.questions.assumed.contains(&text) {
            self.questions.assumed.push(text);
        }
    }

    fn ask(&mut self, region: &Region, launch: Launch, basis: Basis) -> usize {
        let place = (region.clone(), launch.zone.clone(), launch.instance_type.clone(), basis);
        let (asked, there) = (&mut self.questions.asked, self.places.entry(place.clone()).or_default());
        if let Some(same) = there.iter().find(|n| asked.get(**n).is_some_and(|other| other.launch == launch)) {
            return *same;
        }
        there.push(asked.len());
        asked.push(Question { region: place.0, launch, basis: place.3, image: None });
        asked.len() - 1
    }

    #[expect(clippy::too_many_arguments, reason = "all that tells one instance's price from another's")]
    fn count(
        &mut self,
        side: Side,
        addr: &Addr,
        question: usize,
        reference: Option<usize>,
        charge: &Charge,
        image: Option<&ImageUse>,
        lineage: Option<&Lineage>,
    ) {
        let groups = &mut self.questions.groups;
        let key = (side, addr.block.clone(), question, image.cloned());
        let place = *self.groups.entry(key).or_insert_with(|| {
            let (charge, lineage) = (charge.clone(), lineage.cloned());
            groups.push(Group { side, addrs: Vec::new(), question, reference, charge, lineage });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.addrs.push(addr.clone());
        }
    }

    /// What the plan takes away is priced by what the state remembers of it.
    fn taken_away(&mut self, plan: &Plan, recorded: &Recorded) {
        let goes = |action| matches!(action, Action::Delete | Action::Replace | Action::Swap);
        let going: Vec<(&Addr, &CloudId)> = plan
            .changes
            .iter()
            .filter(|change| change.addr.block.kind == Kind::Fleet || change.addr.is_builder())
            .filter(|change| goes(change.action))
            .filter_map(|change| Some((&change.addr, change.id.as_ref()?)))
            .collect();
        if going.is_empty() {
            return;
        }
        let slots = recorded.objects.iter().filter(|row| row.kind() == Kind::Fleet || row.addr.is_builder());
        let known: BTreeMap<&CloudId, &Object> = slots.map(|object| (&object.cloud_id, object)).collect();
        for (addr, id) in going {
            let object = known.get(id).copied();
            let made = object.and_then(|object| match object.spec.as_ref() {
                ObjectSpec::Slot(spec) => {
                    Some((object, spec.as_ref(), object.zone.as_ref()?, object.made_from.as_ref()?))
                }
                ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
            });
            match made {
                None => self.leave_out(std::iter::once(addr.clone()), "the state does not tell what it was made with"),
                Some((_, SlotSpec { charge: Charge::Prepaid { .. }, .. }, _, _)) => {
                    self.leave_out(std::iter::once(addr.clone()), "what was paid in advance stays paid");
                }
                Some((object, spec, zone, image)) => {
                    let basis = if self.images.gone(&object.region, image) {
                        let lineage = self.lineage(&spec.image, &object.region);
                        self.basis(&lineage, &object.region)
                    } else {
                        Basis::Id(image.clone())
                    };
                    let question = self.ask(&object.region, launch_of(spec, zone, image), basis);
                    self.count(Side::Ends, addr, question, None, &spec.charge, None, None);
                }
            }
        }
    }
}

/// What bears on the price of a launch (API text 6.1), and nothing else.
fn alike(launch: &Launch) -> Launch {
    let Launch {
        zone,
        image: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login: _,
        name_prefix: _,
        first_ordinal: _,
        count: _,
        tags: _,
        user_data: _,
        hostname: _,
        charge,
        placement_group: _,
        cam_role: _,
        protect: _,
        token: _,
    } = launch;
    Launch {
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: SlotNetwork { subnet: network.subnet.clone(), security_groups: None },
        internet: internet.clone(),
        charge: match charge {
            Charge::Prepaid { months, renew: _ } => Charge::Prepaid { months: *months, renew: Renew::default() },
            Charge::Hourly | Charge::Spot { .. } => charge.clone(),
        },
        // Questions are told apart by their basis.
        ..Launch::of(zone.clone(), Arg::Known(ImageId::new("")), instance_type.clone())
    }
}

/// The launch of an instance as the state remembers it.
fn launch_of(spec: &SlotSpec, zone: &Zone, image: &ImageId) -> Launch {
    let SlotSpec {
        image: _,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login: _,
        tags: _,
        user_data: _,
        hostname: _,
        charge,
        placement_group: _,
        cam_role: _,
        power: _,
        protect: _,
        on_trial: _,
    } = spec;
    alike(&Launch {
        system_disk: system_disk.clone(),
        data_disks: data_disks.clone(),
        network: network.clone(),
        internet: internet.clone(),
        charge: charge.clone(),
        ..Launch::of(zone.clone(), Arg::Known(image.clone()), instance_type.clone())
    })
}

impl Questions {
    /// Finds the images that are known already.
    fn settle(&mut self, plan: &Plan, observed: &Observed) {
        for question in &mut self.asked {
            let Question { region, launch, basis, image } = question;
            let seen = observed.by_region.get(region);
            let fitting = seen
                .into_iter()
                .flat_map(|seen| &seen.lookups)
                .filter(|(lookup, _)| lookup.instance_type.as_ref() == Some(&launch.instance_type));
            let fitting: Vec<&Image> = fitting.flat_map(|(_, images)| images).collect();
            *image = match basis {
                Basis::Id(id) => Some(id.clone()),
                Basis::Named(name) => {
                    let pinned = plan.lookups.iter().find(|pinned| pinned.region == *region && pinned.name == *name);
                    let named = || newest(fitting.iter().copied().filter(|image| image.name == *name));
                    pinned.map(|pinned| pinned.id.clone()).or_else(|| Some(named()?.id.clone()))
                }
                Basis::Free => newest(fitting.into_iter().filter(|image| is_free(image))).map(|image| image.id.clone()),
            };
        }
    }

    /// The public images that have to be looked up first; mostly none.
    #[must_use]
    pub fn lookups(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        for call in self.asked.iter().take(MOST_QUESTIONS).filter_map(|question| self.lookup(question)) {
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        calls
    }

    fn lookup(&self, question: &Question) -> Option<Call> {
        let Question { region, launch, basis, image: None } = question else { return None };
        let name = match basis {
            Basis::Id(_) => return None,
            Basis::Named(name) => name.clone(),
            Basis::Free => FREE.to_owned(),
        };
        let query = Query::PublicImages { name, instance_type: Some(launch.instance_type.clone()), offset: 0 };
        Some(Call { account: self.account.clone(), region: region.clone(), body: Body::Describe(query) })
    }

    /// Takes in what a look-up found.
    pub fn found(&mut self, call: &Call, images: &[Image]) {
        for n in 0..self.asked.len() {
            let Some(question) = self.asked.get(n) else { continue };
            if self.lookup(question).as_ref() != Some(call) {
                continue;
            }
            let found = match &question.basis {
                Basis::Named(name) => newest(images.iter().filter(|image| image.name == *name)),
                Basis::Free | Basis::Id(_) => newest(images.iter().filter(|image| is_free(image))),
            };
            let found = found.map(|image| image.id.clone());
            if let Some(question) = self.asked.get_mut(n) {
                question.image = found;
            }
        }
    }

    /// What is asked, by the number of the question: at most [`MOST_QUESTIONS`].
    #[must_use]
    pub fn calls(&self) -> Vec<(usize, Call)> {
        let asked = self.asked.iter().take(MOST_QUESTIONS).enumerate();
        asked
            .filter_map(|(n, Question { region, launch, image, .. })| {
                let launch = Launch { image: Arg::Known(image.clone()?), ..launch.clone() };
                let body = Body::Describe(Query::Price(Box::new(launch)));
                Some((n, Call { account: self.account.clone(), region: region.clone(), body }))
            })
            .collect()
    }
}
