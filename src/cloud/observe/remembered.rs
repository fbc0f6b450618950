//! What the state remembers, in the place of what the cloud would show: for plans that do not look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::model::Millis;
use crate::model::desired::{Desired, Image as DesiredImage, Launcher, Tags};
use crate::model::ids::{CloudId, ImageId, InstanceId, Region, SubnetId, VpcId};
use crate::model::naming;
use crate::model::observed::{
    Disk, Image, ImageKind, ImageState, Instance, InstanceState, Lookup, Observed, RegionSeen, Seen,
};
use crate::model::pins::{Pin, PinKey, Pins};
use crate::model::recorded::{Object, Recorded, Status};
use crate::model::spec::{
    Charge, DataDisk, ImageCopySpec, ImageUse, Login, ObjectSpec, Power, ShareCopySpec, SlotNetwork, SlotSpec,
};

/// Puts our own things into `seen` as the state remembers them, and pinned look-ups as they were found. What cannot be
/// known without a look, nobody compares: sizes of public images count as 0, and operations as never made.
pub fn add_remembered(seen: &mut Observed, desired: &Desired, recorded: &Recorded, pins: &Pins, now_ms: Millis) {
    seen.cloud_ms = seen.cloud_ms.max(now_ms);
    let ours: BTreeSet<&ImageId> = recorded.objects.iter().filter_map(|object| object.cloud_id.image()).collect();
    for region in seen.by_region.values_mut() {
        if let Some(listed) = &mut region.custom_images {
            listed.retain(|id, _| !ours.contains(id));
        }
    }
    let mut instances: BTreeMap<&Region, Vec<Entry>> = BTreeMap::new();
    let together = |a: &Object, b: &Object| a.addr.block == b.addr.block && a.region == b.region;
    for objects in recorded.objects.chunk_by(together) {
        let Some(Object { addr, region, .. }) = objects.first() else { continue };
        let instances = instances.entry(region).or_default();
        let region = seen.by_region.entry(region.clone()).or_default();
        let mark = naming::tag_value(&desired.project, &desired.env, &addr.block);
        block(region, instances, objects, &mark, &recorded.halted);
    }
    // All of a region at once: adding to a map block by block would go through all blocks before again each time, and a
    // map that is made of what is sorted has no gaps.
    for (region, instances) in instances {
        let region = seen.by_region.entry(region.clone()).or_default();
        region.instances.append(&mut instances.into_iter().collect());
    }
    add_pinned(seen, desired, pins);
}

/// An instance, by its id.
type Entry = (InstanceId, Seen<Box<Instance>>);

/// What is remembered of a block in a region.
fn block(
    region: &mut RegionSeen,
    instances: &mut Vec<Entry>,
    objects: &[Object],
    mark: &str,
    halted: &BTreeSet<InstanceId>,
) {
    // Rows share their specs, and what comes of a spec is made once.
    let mut made: VecDeque<(&Arc<ObjectSpec>, Instance)> = VecDeque::new();
    for object in objects {
        match (object.spec.as_ref(), &object.cloud_id) {
            (ObjectSpec::Slot(spec), CloudId::Instance(id)) => {
                let mut instance = match made.iter().find(|(of, _)| Arc::ptr_eq(of, &object.spec)) {
                    Some((_, like)) => slot(object, spec, like),
                    None => {
                        let like = of_spec(spec, mark);
                        let instance = slot(object, spec, &like);
                        made.push_front((&object.spec, like));
                        made.truncate(FEW);
                        instance
                    }
                };
                if halted.contains(id) {
                    instance.state = InstanceState::Stopped;
                }
                instances.push((id.clone(), Seen::Present(Box::new(instance))));
            }
            (ObjectSpec::Image(spec), CloudId::Image(id)) => {
                let listed = region.custom_images.get_or_insert_default();
                listed.extend(copy(object, id, spec, mark).map(|image| (id.clone(), image)));
                region.shares.entry(id.clone()).or_default();
            }
            (ObjectSpec::Share(ShareCopySpec { accounts }), CloudId::Image(id)) => {
                region.shares.entry(id.clone()).or_default().extend(accounts.iter().cloned());
            }
            (ObjectSpec::Slot(_), CloudId::Image(_))
            | (ObjectSpec::Image(_) | ObjectSpec::Share(_), CloudId::Instance(_)) => {}
        }
    }
}

/// How many of the last specs are at hand: a fleet has one for each zone, and one more while it is changed.
const FEW: usize = 16;

fn marked(tags: &Tags, mark: &str) -> Tags {
    let mut tags = tags.clone();
    tags.insert(naming::TAG_KEY.to_owned(), mark.to_owned());
    tags
}

fn add_pinned(seen: &mut Observed, desired: &Desired, pins: &Pins) {
    for Launcher { block: _, image: wanted, region, instance_type } in desired.launchers() {
        let Some(DesiredImage::Public { name }) = desired.images.get(wanted) else { continue };
        let key = PinKey {
            endpoint: desired.cloud.provider.endpoint().to_owned(),
            account: desired.cloud.account.clone(),
            region: region.clone(),
            name: name.clone(),
        };
        let Some(Pin { id, created_ms }) = pins.get(&key) else { continue };
        let found = Image {
            name: name.clone(),
            kind: ImageKind::Public,
            ..image(id, ImageState::Normal, *created_ms, BTreeMap::new())
        };
        let lookup = Lookup { name: name.clone(), instance_type: Some(instance_type.clone()) };
        let region: &mut RegionSeen = seen.by_region.entry(region.clone()).or_default();
        region.lookups.insert(lookup, vec![found]);
    }
}

/// A slot as it is remembered, `like` all that were made with its spec.
fn slot(object: &Object, spec: &SlotSpec, like: &Instance) -> Instance {
    let Object {
        addr: _,
        generation: _,
        region: _,
        cloud_id,
        name,
        zone,
        ordinal,
        status,
        spec: _,
        made_from,
        accepted_ms,
        made_by: _,
    } = object;
    let hostname = spec.hostname.as_ref().zip(zone.as_ref().zip(*ordinal));
    Instance {
        id: cloud_id.instance().cloned().unwrap_or_else(|| cloud_id.as_str().into()),
        name: name.clone(),
        state: match status {
            Status::Creating => InstanceState::Pending,
            Status::Ready if spec.power == Some(Power::Stopped) => InstanceState::Stopped,
            Status::Ready => InstanceState::Running,
            Status::Failed => InstanceState::LaunchFailed,
            Status::Deleting => InstanceState::Terminating,
        },
        zone: zone.as_ref().unwrap_or(&like.zone).clone(),
        image: made_from.as_ref().unwrap_or(&like.image).clone(),
        created_ms: *accepted_ms,
        hostname: hostname.map(|(pattern, (zone, ordinal))| pattern.of(zone, ordinal)),
        ..like.clone()
    }
}

/// What all slots of a spec have in common; what each has of its own is empty.
fn of_spec(spec: &SlotSpec, mark: &str) -> Instance {
    let SlotSpec {
        image,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data: _,
        hostname: _,
        charge,
        placement_group,
        cam_role,
        power: _,
        protect,
        on_trial: _,
    } = spec;
    let SlotNetwork { subnet, security_groups } = network;
    let found = match image {
        ImageUse::Found { id } => Some(id),
        ImageUse::Made { .. } | ImageUse::Promoted { .. } => None,
    };
    let (vpc, subnet) = subnet.clone().unwrap_or_else(|| (VpcId::new(""), SubnetId::new("")));
    let disk = |DataDisk { kind, size_gib }: &DataDisk| Disk { id: None, kind: kind.clone(), size_gib: *size_gib };
    Instance {
        id: "".into(),
        name: String::new(),
        state: InstanceState::Pending,
        instance_type: instance_type.clone(),
        zone: "".into(),
        image: found.cloned().unwrap_or_else(|| "".into()),
        system_disk: Disk {
            id: None,
            kind: system_disk.kind.clone().unwrap_or_else(|| "".into()),
            size_gib: system_disk.size_gib.unwrap_or(0),
        },
        data_disks: data_disks.iter().map(disk).collect(),
        vpc,
        subnet,
        security_groups: Arc::new(security_groups.clone().unwrap_or_default()),
        keys: match login {
            Login::Keys(keys) => Arc::new(keys.clone()),
            Login::Unset | Login::KeepImage => Arc::default(),
        },
        charge_type: charge.word().into(),
        renew: match charge {
            Charge::Prepaid { renew, .. } => Some(renew.word().into()),
            Charge::Hourly | Charge::Spot { .. } => None,
        },
        expires_ms: None,
        internet_charge: internet.as_ref().map(|internet| internet.charge.word().into()),
        bandwidth_mbps: internet.as_ref().map_or(0, |internet| internet.bandwidth_mbps),
        addresses: Vec::new(),
        private_addresses: 0,
        created_ms: 0,
        latest: None,
        protected: *protect,
        hostname: None,
        placement_group: placement_group.clone(),
        cam_role: cam_role.clone(),
        isolated: None,
        tags: Arc::new(marked(tags, mark)),
    }
}

/// A copy of an image; `None`: the cloud accepted its removal, so it is taken to be gone.
fn copy(object: &Object, id: &ImageId, spec: &ImageCopySpec, mark: &str) -> Option<Image> {
    let ImageCopySpec { description, tags, family, deprecated, protect: _ } = spec;
    let state = match object.status {
        Status::Creating => ImageState::Creating,
        Status::Ready => ImageState::Normal,
        Status::Failed => ImageState::CreateFailed,
        Status::Deleting => return None,
    };
    let tags = marked(tags, mark);
    Some(Image {
        name: object.name.clone(),
        description: description.clone().unwrap_or_default(),
        family: family.clone().unwrap_or_default(),
        deprecated: deprecated.unwrap_or(false),
        ..image(id, state, object.accepted_ms, tags)
    })
}

fn image(id: &ImageId, state: ImageState, created_ms: Millis, tags: Tags) -> Image {
    Image {
        id: id.clone(),
        name: String::new(),
        description: String::new(),
        state,
        source: String::new(),
        sync_percent: None,
        kind: ImageKind::Private,
        created_ms,
        size_gib: 0,
        architecture: String::new(),
        platform: String::new(),
        creator: String::new(),
        family: String::new(),
        deprecated: false,
        snapshots: Vec::new(),
        tags,
    }
}
