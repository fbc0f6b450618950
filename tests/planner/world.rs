//! The smallest world that a plan can be made in and carried out: what the state remembers and what the cloud was seen
//! to hold, as values. Everything succeeds at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright::cloud::call::{Arg, Body, StepId};
use fleetwright::config::{self, ConfigFiles};
use fleetwright::diagnostic::Diagnostic;
use fleetwright::model::desired::{Desired, Image as DesiredImage};
use fleetwright::model::digest::SecretKey;
use fleetwright::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Lineage, Name, Region, Zone};
use fleetwright::model::limits::{Limits, Pace, Quota};
use fleetwright::model::naming;
use fleetwright::model::observed::{
    Disk, Image, ImageKind, ImageState, Instance, InstanceState, Lookup, Observed, RegionSeen, Seen, TypeSeen,
};
use fleetwright::model::pins::Pins;
use fleetwright::model::promotion::Promotions;
use fleetwright::model::recorded::{Object, Recorded, Status};
use fleetwright::plan::{Asked, Do, Effect, NewObject, Options, Plan, PlanInput, Step, Target, plan};

/// 2026-11-23 12:00:00 UTC.
const NOON_MS: i64 = 1_795_435_200_000;
/// The regions of these worlds, each with two zones.
const REGIONS: [&str; 2] = ["ap-guangzhou", "ap-shanghai"];

/// A world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) recorded: Recorded,
    pub(crate) observed: Observed,
    pub(crate) limits: Limits,
    pins: Pins,
    promotions: Promotions,
    /// What the command line asks for.
    pub(crate) asked: Asked,
    next: u32,
}

/// A config in one file.
pub(crate) fn desired(yaml: &str) -> Desired {
    let files = ConfigFiles {
        yaml: vec![("fleet.yaml".into(), yaml.as_bytes().to_vec())],
        environments: BTreeSet::new(),
        faults: Vec::new(),
        others: Box::new(|path| Err(format!("there is no {path}"))),
    };
    let loaded = config::load(&files, &Name::new("default"), &SecretKey::of(&lineage()));
    loaded.desired.unwrap_or_else(|| panic!("{:#?}\n{yaml}", loaded.diagnostics))
}

fn lineage() -> Lineage {
    Lineage::new("a-lineage")
}

/// The types that every zone has.
const TYPES: [&str; 2] = ["S5.MEDIUM4", "S5.LARGE8"];

impl World {
    /// Nothing of ours, in a cloud with these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        let seen = |region: &str| {
            let zones: Vec<Zone> = (3..5).map(|n| Zone::new(format!("{region}-{n}"))).collect();
            let types = zones.iter().flat_map(|zone| TYPES.map(|of_type| (zone.clone(), InstanceType::new(of_type))));
            RegionSeen {
                zones: Some(zones.iter().map(|zone| (zone.clone(), true)).collect()),
                types: Some(types.map(|key| (key, TypeSeen { cpu: 2, memory_gib: 4 })).collect()),
                custom_images: Some(BTreeMap::new()),
                image_quota: Some(Quota { used: 0, total: limits.images_per_region }),
                instance_quota: Some(
                    zones
                        .iter()
                        .map(|zone| (zone.clone(), Quota { used: 0, total: limits.instances_per_zone }))
                        .collect(),
                ),
                ..RegionSeen::default()
            }
        };
        let by_region = REGIONS.iter().map(|region| (Region::new(*region), seen(region))).collect();
        let regions = Some(REGIONS.iter().map(|region| Region::new(*region)).collect());
        Self {
            recorded: Recorded::empty(lineage()),
            observed: Observed { cloud_ms: NOON_MS, regions, by_region, calls: 0 },
            limits,
            pins: Pins::new(),
            promotions: Promotions::new(),
            asked: Asked::default(),
            next: 0,
        }
    }

    /// Plans a config.
    pub(crate) fn plan(&mut self, desired: &Desired) -> Result<Plan, Vec<Diagnostic>> {
        self.look_up(desired);
        plan(&self.input(desired))
    }

    /// What a plan of a config is made from.
    pub(crate) fn input<'a>(&'a self, desired: &'a Desired) -> PlanInput<'a> {
        PlanInput {
            desired,
            recorded: &self.recorded,
            observed: &self.observed,
            limits: self.limits,
            pace: Pace::QUICK,
            pins: &self.pins,
            promotions: &self.promotions,
            as_of_ms: NOON_MS,
            options: Options { asked: &self.asked, ..Options::default() },
        }
    }

    /// Answers the look-ups of a config: there is one image of each name.
    pub(crate) fn look_up(&mut self, desired: &Desired) {
        for fleet in desired.fleets.values() {
            let Some(DesiredImage::Public { name }) = desired.images.get(&fleet.image) else { continue };
            let Some(seen) = self.observed.by_region.get_mut(&fleet.region) else { continue };
            let lookup = Lookup { name: name.clone(), instance_type: Some(fleet.instance_type.clone()) };
            let id = ImageId::new(format!("img-public-{}", fleet.region));
            seen.lookups.entry(lookup).or_insert_with(|| vec![image(id, name, ImageKind::Public)]);
        }
    }

    /// Looks at every recorded instance, and finds each as it should be, with the tags that were put on it.
    pub(crate) fn see_everything(&mut self) {
        for row in &self.recorded.objects {
            let (Some(id), Some(zone), Some(from)) = (row.cloud_id.instance(), &row.zone, &row.made_from) else {
                continue;
            };
            let region = self.observed.by_region.entry(row.region.clone()).or_default();
            let tags = match region.instances.get(id) {
                Some(Seen::Present(there)) => there.tags.as_ref().clone(),
                Some(Seen::Absent { .. }) | None => BTreeMap::from([(
                    naming::TAG_KEY.to_owned(),
                    naming::tag_value(&Name::new("shop"), &Name::new("default"), &row.addr.block),
                )]),
            };
            let seen = Seen::Present(Box::new(instance(id, &row.name, zone, from, &tags)));
            region.instances.insert(id.clone(), seen);
        }
    }

    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn region(&mut self, region: &Region) -> &mut RegionSeen {
        self.observed.by_region.entry(region.clone()).or_default()
    }

    /// Does what a plan says, one step after the other, and keeps books as the cloud would.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        self.apply_in_turn(plan, 0);
    }

    /// The same, in another order of what could be done at a time; one for each `turn`.
    pub(crate) fn apply_in_turn(&mut self, plan: &Plan, turn: u64) {
        self.apply_until(plan, turn, usize::MAX, &mut |_, _| true);
    }

    /// The same, for at most so many steps. `watch` sees the world after each step, and how many instances are out of
    /// service within it; it says of each gate whether that is passed. Where one is not, nothing that waits for it happens.
    pub(crate) fn apply_until(
        &mut self,
        plan: &Plan,
        turn: u64,
        most: usize,
        watch: &mut dyn FnMut(&Self, &Step) -> bool,
    ) {
        for rollout in &plan.rollouts {
            self.recorded.rollouts.insert(rollout.row.block.clone(), rollout.row.clone());
        }
        let mut failed: BTreeSet<StepId> = BTreeSet::new();
        let mut handed: BTreeMap<(StepId, u32), CloudId> = BTreeMap::new();
        let mut rows: BTreeMap<(String, u32), Object> = std::mem::take(&mut self.recorded.objects)
            .into_iter()
            .map(|row| (key(&row.addr, row.generation), row))
            .collect();
        for step in in_turn(plan, turn).into_iter().take(most) {
            if step.waits_for().iter().any(|other| failed.contains(other)) {
                failed.insert(step.id);
                continue;
            }
            let made = self.act(step, &handed);
            let passed = watch(self, step);
            if let Do::Gate(gate) = &step.does {
                let row = self.recorded.rollouts.get_mut(&gate.fleet);
                let mark = gate.passed.filter(|_| passed);
                let phase = if passed { mark.map(|mark| mark.phase) } else { gate.failed };
                if let Some(row) = row {
                    row.phase = phase.unwrap_or(row.phase);
                    row.canary_passed |= mark.is_some_and(|mark| mark.canary_passed);
                }
                if !passed {
                    failed.insert(step.id);
                    continue;
                }
                for (n, freed) in gate.frees.iter().enumerate() {
                    let output = u32::try_from(step.targets.len() + n).expect("few");
                    handed.extend(freed.clone().map(|freed| ((step.id, output), freed)));
                }
            }
            for (n, target) in (0..).zip(&step.targets) {
                let id = made.get(n as usize).cloned().flatten().or_else(|| match &target.id {
                    Some(Arg::Known(id)) => Some(id.clone()),
                    Some(Arg::Output { step, target }) => handed.get(&(*step, *target)).cloned(),
                    None => None,
                });
                if let Some(id) = id {
                    handed.insert((step.id, n), id.clone());
                    self.enter(&mut rows, target, id);
                }
            }
        }
        self.recorded.objects = rows.into_values().collect();
        self.recorded.origin = Some(plan.origin.clone());
        self.recorded.edges = plan.edges.clone();
        self.recorded.serial += 1;
    }

    /// What a call does to the cloud; answers the ids of what it made.
    fn act(&mut self, step: &Step, handed: &BTreeMap<(StepId, u32), CloudId>) -> Vec<Option<CloudId>> {
        let image_of = |arg: &Arg<ImageId>| match arg {
            Arg::Known(id) => id.clone(),
            Arg::Output { step, target } => handed[&(*step, *target)].image().expect("an image").clone(),
        };
        let Do::Call(call) = &step.does else { return Vec::new() };
        let makes = || step.targets.iter().filter_map(|target| target.effect.makes());
        match &call.body {
            Body::RunInstances(launch) => {
                let from = image_of(&launch.image);
                let made: Vec<NewObject> = makes().cloned().collect();
                let one = |new: &NewObject| {
                    let id = InstanceId::new(format!("ins-{}", self.id()));
                    let zone = launch.zone.clone();
                    let seen = instance(&id, &new.name, &zone, &from, &launch.tags);
                    let region = self.region(&new.region);
                    region.instances.insert(id.clone(), Seen::Present(Box::new(seen)));
                    if let Some(quota) = region.instance_quota.as_mut().and_then(|quotas| quotas.get_mut(&zone)) {
                        quota.used += 1;
                        assert!(quota.used <= quota.total, "{} instances in {zone}", quota.used);
                    }
                    Some(CloudId::Instance(id))
                };
                made.iter().map(one).collect()
            }
            Body::CreateImage { tags, .. } | Body::ImportImage { tags, .. } => self.images(makes(), tags),
            Body::SyncImages { .. } => self.images(makes(), &BTreeMap::new()),
            Body::ShareImage { image, accounts, cancel } => {
                let shares = self.region(&call.region).shares.entry(image_of(image)).or_default();
                if *cancel {
                    shares.retain(|uin| !accounts.contains(uin));
                } else {
                    shares.extend(accounts.iter().cloned());
                }
                let most = self.limits.accounts_per_image as usize;
                assert!(self.region(&call.region).shares.values().all(|shares| shares.len() <= most), "the cap");
                Vec::new()
            }
            Body::DeleteImages { images } => {
                let region = self.region(&call.region);
                for image in images {
                    assert!(region.shares.remove(image).is_none_or(|shares| shares.is_empty()), "{image} is shared");
                    let listed = region.custom_images.as_mut().expect("listed");
                    assert!(listed.remove(image).is_some(), "{image} is there");
                }
                self.count_images(&call.region);
                Vec::new()
            }
            Body::TerminateInstances { instances } => {
                let region = self.region(&call.region);
                for id in instances.iter().filter_map(Arg::known) {
                    let gone = region.instances.insert(id.clone(), Seen::Absent { asked_ms: NOON_MS });
                    let Some(Seen::Present(gone)) = gone else { panic!("{id} is there") };
                    let quotas = region.instance_quota.as_mut();
                    quotas.and_then(|quotas| quotas.get_mut(&gone.zone)).expect("a zone").used -= 1;
                }
                Vec::new()
            }
            Body::TagResources { resources, tags } => {
                for resource in resources {
                    let id = match &resource.id {
                        Arg::Known(id) => id,
                        Arg::Output { step, target } => match handed.get(&(*step, *target)) {
                            Some(id) => id,
                            // It did not come about, and is left out.
                            None => continue,
                        },
                    };
                    let region = self.region(&resource.region);
                    let image = id.image().and_then(|id| region.custom_images.as_mut()?.get_mut(id));
                    let instance = id.instance().and_then(|id| region.instances.get_mut(id));
                    match (image, instance) {
                        (Some(image), _) => image.tags.extend(tags.clone()),
                        (None, Some(Seen::Present(one))) => Arc::make_mut(&mut one.tags).extend(tags.clone()),
                        (None, _) => panic!("{id} is not there"),
                    }
                }
                Vec::new()
            }
            Body::ResetInstance { instance, image, .. } => {
                let image = image_of(image);
                let seen = self.region(&call.region).instances.get_mut(instance);
                let Some(Seen::Present(seen)) = seen else { panic!("{instance} is there") };
                seen.image = image;
                Vec::new()
            }
            Body::ModifyImage { .. }
            | Body::StopInstances { .. }
            | Body::StartInstances { .. }
            | Body::ResizeInstance { .. }
            | Body::ModifyInstances { .. }
            | Body::UntagResources { .. }
            | Body::Describe(_) => panic!("this world does not know {}", call.body.action()),
        }
    }

    fn images<'a>(
        &mut self,
        made: impl Iterator<Item = &'a NewObject>,
        tags: &BTreeMap<String, String>,
    ) -> Vec<Option<CloudId>> {
        made.map(|new| {
            let id = ImageId::new(format!("img-{}", self.id()));
            let mut made = image(id.clone(), &new.name, ImageKind::Private);
            made.tags.clone_from(tags);
            self.foreign_image(&new.region, made);
            Some(CloudId::Image(id))
        })
        .collect()
    }

    /// An image that comes to be.
    pub(crate) fn foreign_image(&mut self, region: &Region, image: Image) {
        self.region(region).custom_images.get_or_insert_default().insert(image.id.clone(), image);
        self.count_images(region);
    }

    fn count_images(&mut self, region: &Region) {
        let seen = self.region(region);
        let used = u32::try_from(seen.custom_images.as_ref().map_or(0, BTreeMap::len)).expect("few");
        let quota = seen.image_quota.as_mut().expect("a quota");
        quota.used = used;
        assert!(quota.used <= quota.total, "{used} images in {region}");
    }

    /// What success means for the state.
    fn enter(&mut self, rows: &mut BTreeMap<(String, u32), Object>, target: &Target, id: CloudId) {
        let key = key(&target.addr, target.generation);
        let made = target.effect.makes().map(|made| &made.region).zip(id.instance());
        let from = made.and_then(|(region, id)| Some(self.observed.instance_there(region, id)?.image.clone()));
        match &target.effect {
            Effect::Make(new) => {
                let NewObject { region, name, zone, ordinal, spec, version } = new.as_ref().clone();
                self.recorded.versions.extend(version.map(|version| *version));
                let row = Object {
                    addr: target.addr.clone(),
                    generation: target.generation,
                    region,
                    cloud_id: id,
                    name,
                    zone,
                    ordinal,
                    status: Status::Ready,
                    spec,
                    made_from: from,
                    accepted_ms: NOON_MS - 3_600_000,
                    made_by: None,
                };
                rows.insert(key, row);
            }
            Effect::Become(spec) => {
                if let Some(row) = rows.get_mut(&key) {
                    row.spec = Arc::clone(spec);
                    let seen = row.cloud_id.instance().and_then(|id| self.observed.instance_there(&row.region, id));
                    row.made_from = seen.map(|seen| seen.image.clone()).or(row.made_from.take());
                }
            }
            Effect::Remove => drop(rows.remove(&key)),
            Effect::Nothing | Effect::Arrive => {}
        }
    }
}

/// The steps in an order in which each comes after all that it waits for. 0: as they are; 1: what takes most goes first.
fn in_turn(plan: &Plan, turn: u64) -> Vec<&Step> {
    if turn == 0 {
        return plan.steps.iter().collect();
    }
    let luck = |step: &Step| {
        let takes = step.holds.iter().any(|hold| hold.at_start > 0);
        let dice =
            (u64::from(step.id.0) + 1).wrapping_mul(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).rotate_left(23);
        if turn == 1 { u64::from(!takes) } else { dice }
    };
    let mut left: Vec<&Step> = plan.steps.iter().collect();
    left.sort_by_key(|step| luck(step));
    let (mut done, mut order) = (BTreeSet::new(), Vec::new());
    while let Some(n) = left.iter().position(|step| step.waits_for().is_subset(&done)) {
        let step = left.remove(n);
        done.insert(step.id);
        order.push(step);
    }
    assert!(left.is_empty(), "some steps wait for each other in a circle");
    order
}

/// Rows stand in the order of a text here, on purpose: a plan must not depend on it.
fn key(addr: &fleetwright::model::addr::Addr, generation: u32) -> (String, u32) {
    (addr.to_string(), generation)
}

/// An image that is there.
pub(crate) fn image(id: ImageId, name: &str, kind: ImageKind) -> Image {
    Image {
        id,
        name: name.to_owned(),
        description: String::new(),
        state: ImageState::Normal,
        sync_percent: None,
        kind,
        created_ms: NOON_MS - 86_400_000,
        size_gib: 50,
        architecture: "x86_64".into(),
        platform: "Ubuntu".into(),
        creator: String::new(),
        family: String::new(),
        deprecated: false,
        snapshots: Vec::new(),
        tags: BTreeMap::new(),
        source: "CREATE_IMAGE".to_owned(),
    }
}

/// An instance that runs.
pub(crate) fn instance(
    id: &InstanceId,
    name: &str,
    zone: &Zone,
    from: &ImageId,
    tags: &BTreeMap<String, String>,
) -> Instance {
    Instance {
        id: id.clone(),
        name: name.to_owned(),
        state: InstanceState::Running,
        instance_type: InstanceType::new("S5.MEDIUM4"),
        zone: zone.clone(),
        image: from.clone(),
        system_disk: Disk { id: None, kind: "CLOUD_PREMIUM".into(), size_gib: 50 },
        data_disks: Vec::new(),
        vpc: "vpc-00000000".into(),
        subnet: "subnet-00000000".into(),
        security_groups: Arc::default(),
        keys: Arc::default(),
        charge_type: "POSTPAID_BY_HOUR".into(),
        internet_charge: None,
        bandwidth_mbps: 0,
        addresses: Vec::new(),
        private_addresses: 0,
        created_ms: NOON_MS - 3_600_000,
        latest: None,
        protected: false,
        tags: Arc::new(tags.clone()),
        renew: None,
        expires_ms: None,
        hostname: None,
        placement_group: None,
        cam_role: None,
        isolated: None,
    }
}

/// A fleet of so many, over two zones, whose instances run this when they boot.
pub(crate) fn fleet(count: usize, max_unavailable: usize, runs: &str) -> String {
    format!(
        "project: shop\n\
         cloud: {{ provider: embedded, region: ap-guangzhou }}\n\
         images:\n  ubuntu: {{ public: {{ name: Ubuntu }} }}\n\
         fleets:\n  web:\n    image: ubuntu\n    count: {count}\n    zones: [ap-guangzhou-3, ap-guangzhou-4]\n    \
         type: S5.MEDIUM4\n    user_data: {{ text: \"{runs}\" }}\n    \
         update: {{ strategy: replace, max_unavailable: {max_unavailable} }}\n"
    )
}
