//! What a plan has to know about the cloud.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::addr::{Block, Kind};
use crate::model::desired::{Capture, CloudSpec, Desired, Image, InstanceSource, Launcher, ManagedImage, Source};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Name, Region, Uin};
use crate::model::observed::Lookup;
use crate::model::pins::{PinKey, Pins};
use crate::model::recorded::Recorded;

/// What has to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs {
    /// As whom.
    pub account: Uin,
    /// The region that questions without one are asked in: the cloud block's.
    pub home: Region,
    /// Which regions there are. A region that turns out not to be among them is then no fault: its entry stays empty.
    pub regions_list: bool,
    /// By region.
    pub regions: BTreeMap<Region, RegionNeeds>,
}

/// What has to be asked in one region.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegionNeeds {
    /// The zones.
    pub zones: bool,
    /// The instance types.
    pub types: bool,
    /// The quotas: of instances, and where `custom_images` is asked too, of custom images.
    pub quotas: bool,
    /// All custom images of the account.
    pub custom_images: bool,
    /// Images by id. Only those that neither the listing nor a look-up answers cost a call.
    pub images: BTreeSet<ImageId>,
    /// Images of which it is asked whether they fit a type.
    pub fits: BTreeMap<InstanceType, BTreeSet<ImageId>>,
    /// Which systems can be imported.
    pub import_os: bool,
    /// Public images by name.
    pub lookups: BTreeSet<Lookup>,
    /// Images whose shares are asked.
    pub shares: BTreeSet<ImageId>,
    /// Instances by id; not asked where all are.
    pub instances: InOrder<InstanceId>,
    /// All instances of the account.
    pub all_instances: bool,
}

/// What is asked for, once each, in the order in which it was named. Instances are named slot by slot: those that were
/// launched together are asked for together, so that the cloud need not look for each of them in another place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InOrder<T>(Vec<T>);

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Extend<T> for InOrder<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

impl<T> FromIterator<T> for InOrder<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Ord + Clone> InOrder<T> {
    /// Names one more.
    pub fn insert(&mut self, item: T) {
        self.0.push(item);
    }

    /// Each of them once, where it was named first.
    #[must_use]
    pub fn in_order(self) -> Vec<T> {
        let mut sorted: Vec<&T> = self.0.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).all(|two| two[0] != two[1]) {
            return self.0;
        }
        let mut known = BTreeSet::new();
        self.0.into_iter().filter(|item| known.insert(item.clone())).collect()
    }
}

impl Needs {
    /// What a plan from `recorded` to `desired` needs.
    ///
    /// Images that a lock file pins are not known here: [`Needs::pin`] adds them.
    #[must_use]
    pub fn of(desired: &Desired, recorded: &Recorded) -> Self {
        let mut needs = Self::nothing(&desired.cloud);
        needs.add_recorded(recorded, true);
        needs.add_desired(desired, recorded);
        needs
    }

    /// What a plan needs that takes our own things to be as the state remembers them, and pinned look-ups to be as they
    /// were found: the look-ups that are not pinned. Where it `makes` something, also what the cloud offers and allows.
    #[must_use]
    pub fn beside_memory(desired: &Desired, recorded: &Recorded, pins: &Pins, makes: bool) -> Self {
        let mut needs = Self::nothing(&desired.cloud);
        needs.add_desired(desired, recorded);
        let endpoint = desired.cloud.provider.endpoint();
        for (region, wanted) in &mut needs.regions {
            wanted.lookups.retain(|lookup| {
                let account = desired.cloud.account.clone();
                let (endpoint, name) = (endpoint.to_owned(), lookup.name.clone());
                !pins.contains_key(&PinKey { endpoint, account, region: region.clone(), name })
            });
        }
        if !makes {
            needs.regions_list = false;
            for wanted in needs.regions.values_mut() {
                let lookups = std::mem::take(&mut wanted.lookups);
                *wanted = RegionNeeds { lookups, ..RegionNeeds::default() };
            }
            needs.regions.retain(|_, wanted| !wanted.lookups.is_empty());
        }
        needs
    }

    /// What the config is about: the offers and quotas where its fleets, builders and images are, and look-ups.
    fn add_desired(&mut self, desired: &Desired, recorded: &Recorded) {
        let needs = self;
        for Launcher { block: _, image, region, instance_type } in desired.launchers() {
            needs.regions_list = true;
            let at = region;
            let region = needs.region(at);
            region.zones = true;
            region.types = true;
            region.quotas = true;
            let fitting = |region: &mut RegionNeeds, image: &ImageId| {
                region.fits.entry(instance_type.clone()).or_default().insert(image.clone());
            };
            match desired.images.get(image) {
                Some(Image::Public { name }) => {
                    let instance_type = Some(instance_type.clone());
                    region.lookups.insert(Lookup { name: name.clone(), instance_type });
                }
                Some(Image::Shared { id, .. } | Image::Marketplace { id }) => fitting(region, id),
                // A file says nothing of itself; once it is imported, the cloud does.
                Some(Image::Managed(ManagedImage { source: Source::Import(_), .. })) => {
                    let block = Block::image(image);
                    let rows = recorded.objects.iter();
                    for object in rows.filter(|object| object.addr.block == block && object.region == *at) {
                        if let Some(image) = object.cloud_id.image() {
                            fitting(region, image);
                        }
                    }
                }
                // Which one is promoted, whoever read the other environment's state knows.
                Some(Image::Promoted { .. } | Image::Managed(_)) | None => {}
            }
        }
        let home = needs.home.clone();
        for (name, image) in &desired.images {
            let image = match image {
                Image::Public { .. } | Image::Promoted { .. } => continue,
                Image::Shared { id, .. } | Image::Marketplace { id } => {
                    needs.pin(&home, id);
                    continue;
                }
                Image::Managed(image) => image,
            };
            needs.regions_list = true;
            match &image.source {
                Source::Capture(Capture { source: InstanceSource::Id(id), .. }) => {
                    needs.region(&home).instances.insert(id.clone());
                }
                // What was imported once could be imported.
                Source::Import(source) => {
                    let block = Block::image(name);
                    let known = recorded.versions.iter().filter(|record| record.block == block);
                    let known = known.filter_map(|record| record.inputs.import.as_ref()).any(|known| known == source);
                    needs.region(&home).import_os = !known;
                }
                Source::Capture(_) | Source::Copy(_) | Source::Build(_) => {}
            }
            let mut regions = homes(image, desired, recorded, desired.images.len());
            regions.extend(image.regions.iter().flatten().cloned());
            for region in &regions {
                let region = needs.region(region);
                region.custom_images = true;
                region.quotas = true;
            }
        }
    }

    /// What it takes to destroy all that is recorded. Nothing is made then, so no quota and no offer is asked for.
    #[must_use]
    pub fn of_destroy(cloud: &CloudSpec, recorded: &Recorded) -> Self {
        let mut needs = Self::nothing(cloud);
        needs.add_recorded(recorded, false);
        needs
    }

    /// What it takes to find what is ours and in no state: in each region that config or state name, one walk through
    /// all instances of the account and one through its custom images.
    ///
    /// No filter narrows them. A tag would miss what lost it, whether a name is matched in part is not documented for
    /// instances (API text 3.13), and one walk tells of blocks as well that nobody knows of any more. It tells at the
    /// same time which of the recorded things are there.
    #[must_use]
    pub fn of_orphans(desired: &Desired, recorded: &Recorded) -> Self {
        let mut needs = Self::nothing(&desired.cloud);
        let mut regions = BTreeSet::from([needs.home.clone()]);
        regions.extend(desired.launchers().map(|launcher| launcher.region.clone()));
        let managed = desired.images.values().filter_map(Image::managed);
        regions.extend(managed.flat_map(|image| image.regions.iter().flatten().cloned()));
        regions.extend(recorded.objects.iter().map(|object| object.region.clone()));
        for region in regions {
            let region = needs.region(&region);
            region.custom_images = true;
            region.all_instances = true;
        }
        needs
    }

    /// Asks for one more image by its id.
    pub fn pin(&mut self, region: &Region, image: &ImageId) {
        self.region(region).images.insert(image.clone());
    }

    fn nothing(cloud: &CloudSpec) -> Self {
        Self {
            account: cloud.account.clone(),
            home: cloud.region.clone(),
            regions_list: false,
            regions: BTreeMap::new(),
        }
    }

    fn region(&mut self, region: &Region) -> &mut RegionNeeds {
        self.regions.entry(region.clone()).or_default()
    }

    /// Every instance, every copy of an image, and the shares of each copy.
    fn add_recorded(&mut self, recorded: &Recorded, quotas: bool) {
        for object in &recorded.objects {
            let region = self.region(&object.region);
            match &object.cloud_id {
                CloudId::Instance(id) => {
                    region.instances.insert(id.clone());
                }
                CloudId::Image(id) => {
                    region.shares.insert(id.clone());
                    region.custom_images = true;
                    region.quotas |= quotas;
                }
            }
        }
    }
}

/// Where an image is made: where its fleet is, or was; where its builder is; where what it is copied from is made; else in the region of the
/// cloud block. `depth`: the most copies of copies, for they may go in a circle.
fn homes(image: &ManagedImage, desired: &Desired, recorded: &Recorded, depth: usize) -> BTreeSet<Region> {
    let home = || BTreeSet::from([desired.cloud.region.clone()]);
    match &image.source {
        Source::Capture(Capture { source: InstanceSource::Slot { fleet, .. }, .. }) => {
            fleet_regions(fleet, desired, recorded)
        }
        Source::Capture(Capture { source: InstanceSource::Id(_), .. }) | Source::Import(_) => home(),
        Source::Build(build) => BTreeSet::from([build.region.clone()]),
        Source::Copy(copy) => match desired.images.get(&copy.image) {
            Some(Image::Managed(from)) if depth > 0 => homes(from, desired, recorded, depth - 1),
            Some(_) | None => home(),
        },
    }
}

/// Where a fleet is, or was.
fn fleet_regions(fleet: &Name, desired: &Desired, recorded: &Recorded) -> BTreeSet<Region> {
    let block = Block::fleet(fleet);
    let was = recorded.objects.iter().filter(|object| object.kind() == Kind::Fleet && object.addr.block == block);
    let is = desired.fleets.get(fleet).map(|fleet| fleet.region.clone());
    was.map(|object| object.region.clone()).chain(is).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Addr;
    use crate::model::desired::{CopySource, Fleet, Latency, Provider, Ready, Update};
    use crate::model::digest::{Digest, context};
    use crate::model::ids::Lineage;
    use crate::model::limits::LimitOverrides;
    use crate::model::recorded::{Object, Status, VersionRecord};
    use crate::model::spec::{
        Architecture, ImageCopySpec, ImportSource, Inputs, Login, Network, ObjectSpec, SystemDisk,
    };

    const HOME: &str = "ap-guangzhou";
    const AWAY: &str = "ap-shanghai";

    fn managed(source: InstanceSource, regions: Option<&[&str]>) -> Image {
        Image::Managed(ManagedImage {
            source: Source::Capture(Capture { source, power_off: true, ready: Ready::Running, ready_timeout_ms: 0 }),
            name: None,
            family: None,
            keep: 0,
            deprecate_kept: false,
            share_kept: false,
            revoke: BTreeSet::new(),
            protect: false,
            version: None,
            description: None,
            tags: BTreeMap::new(),
            regions: regions.map(|regions| regions.iter().map(|region| Region::new(*region)).collect()),
        })
    }

    fn fleet(image: &str, region: &str) -> Fleet {
        Fleet {
            image: image.into(),
            count: 1,
            region: region.into(),
            zones: vec![format!("{region}-1").as_str().into()],
            instance_type: "S5.MEDIUM4".into(),
            system_disk: SystemDisk::default(),
            data_disks: Vec::new(),
            network: Network::default(),
            internet: None,
            login: Login::Unset,
            tags: BTreeMap::new(),
            user_data: None,
            update: Update::default(),
            health: None,
            hostname: None,
            charge: crate::model::spec::Charge::Hourly,
            placement_group: None,
            cam_role: None,
            power: None,
            protect: false,
            ignore_changes: BTreeSet::new(),
        }
    }

    fn desired(images: &[(&str, Image)], fleets: &[(&str, Fleet)]) -> Desired {
        Desired {
            project: "shop".into(),
            env: "default".into(),
            cloud: CloudSpec {
                provider: Provider::Embedded { latency: Latency::Instant },
                region: HOME.into(),
                account: "100000000001".into(),
                limits: LimitOverrides::default(),
            },
            images: images.iter().map(|(name, image)| (Name::new(*name), image.clone())).collect(),
            shares: BTreeMap::new(),
            fleets: fleets.iter().map(|(name, fleet)| (Name::new(*name), fleet.clone())).collect(),
            digest: Digest::of(context::CONFIG, b""),
            trusted_owners: BTreeSet::new(),
        }
    }

    fn recorded(objects: &[(Addr, &str, CloudId)]) -> Recorded {
        let object = |(addr, region, cloud_id): &(Addr, &str, CloudId)| Object {
            addr: addr.clone(),
            generation: 1,
            region: Region::new(*region),
            cloud_id: cloud_id.clone(),
            name: "n".to_owned(),
            zone: None,
            ordinal: None,
            status: Status::Ready,
            spec: std::sync::Arc::new(ObjectSpec::Image(ImageCopySpec {
                description: None,
                tags: BTreeMap::new(),
                ..ImageCopySpec::default()
            })),
            made_from: None,
            accepted_ms: 0,
            made_by: None,
        };
        Recorded { objects: objects.iter().map(object).collect(), ..Recorded::empty(Lineage::new("l")) }
    }

    fn slot(fleet: &str, region: &'static str, id: &str) -> (Addr, &'static str, CloudId) {
        (Addr::slot(Block::fleet(&fleet.into()), 0), region, CloudId::Instance(id.into()))
    }

    fn copy(image: &str, region: &'static str, id: &str) -> (Addr, &'static str, CloudId) {
        let addr = Addr::copy(Block::image(&image.into()), "v1".into(), region.into());
        (addr, region, CloudId::Image(id.into()))
    }

    #[test]
    fn a_fleet_from_a_public_image_needs_offers_quotas_and_the_image_that_fits_its_type() {
        let images = [("ubuntu", Image::Public { name: "Ubuntu 22".to_owned() })];
        let fleets = [("web", fleet("ubuntu", AWAY)), ("api", fleet("ubuntu", AWAY))];
        let needs = Needs::of(&desired(&images, &fleets), &recorded(&[]));
        let lookup = Lookup { name: "Ubuntu 22".to_owned(), instance_type: Some("S5.MEDIUM4".into()) };
        let expected = RegionNeeds {
            zones: true,
            types: true,
            quotas: true,
            lookups: BTreeSet::from([lookup]),
            ..RegionNeeds::default()
        };
        assert_eq!(needs.regions, BTreeMap::from([(AWAY.into(), expected)]));
        assert!(needs.regions_list);
        assert_eq!((needs.account.as_str(), needs.home.as_str()), ("100000000001", HOME));
    }

    #[test]
    fn a_managed_image_is_listed_for_where_it_is_captured_and_where_it_will_be() {
        let source = InstanceSource::Slot { fleet: "builder".into(), slot: 0 };
        let by_hand = InstanceSource::Id("ins-hand".into());
        let listed = |needs: &Needs| -> Vec<String> {
            let listed = needs.regions.iter().filter(|(_, wanted)| wanted.custom_images && wanted.quotas);
            listed.map(|(region, _)| region.to_string()).collect()
        };
        let images = [("web", managed(source.clone(), Some(&["ap-beijing"])))];
        let fleets = [("builder", fleet("web", AWAY))];
        assert_eq!(listed(&Needs::of(&desired(&images, &fleets), &recorded(&[]))), ["ap-beijing", AWAY]);

        // The fleet is no longer in the config; its slot still is where it was.
        let needs = Needs::of(&desired(&images, &[]), &recorded(&[slot("builder", AWAY, "ins-1")]));
        assert_eq!(listed(&needs), ["ap-beijing", AWAY]);

        let needs = Needs::of(&desired(&[("hand", managed(by_hand, None))], &[]), &recorded(&[]));
        assert_eq!(listed(&needs), [HOME]);
        assert_eq!(needs.regions[HOME].instances, InOrder(vec!["ins-hand".into()]));
    }

    #[test]
    fn what_is_recorded_is_asked_for_whether_it_stays_or_goes() {
        let recorded = recorded(&[
            slot("web", HOME, "ins-1"),
            slot("api", HOME, "ins-2"),
            copy("web", AWAY, "img-1"),
            (Addr::of(Block::share(&"s".into())), AWAY, CloudId::Image("img-1".into())),
        ]);
        let desired = desired(&[], &[]);
        let (plan, destroy) = (Needs::of(&desired, &recorded), Needs::of_destroy(&desired.cloud, &recorded));
        for (needs, quotas) in [(&plan, true), (&destroy, false)] {
            let instances = InOrder(vec!["ins-1".into(), "ins-2".into()]);
            let home = RegionNeeds { instances, ..RegionNeeds::default() };
            let shares = BTreeSet::from(["img-1".into()]);
            let away = RegionNeeds { custom_images: true, quotas, shares, ..RegionNeeds::default() };
            assert_eq!(needs.regions, BTreeMap::from([(HOME.into(), home), (AWAY.into(), away)]));
            assert!(!needs.regions_list);
        }
    }

    #[test]
    fn received_images_are_asked_for_by_id_and_whether_they_fit() {
        let partner = Image::Shared { id: "img-theirs".into(), owner: "100000000002".into() };
        let bought = Image::Marketplace { id: "img-bought".into() };
        let images = [("partner", partner), ("bought", bought)];
        let needs = Needs::of(&desired(&images, &[("guest", fleet("partner", HOME))]), &recorded(&[]));
        let home = &needs.regions[HOME];
        assert_eq!(home.images, BTreeSet::from(["img-theirs".into(), "img-bought".into()]));
        let fits = BTreeMap::from([("S5.MEDIUM4".into(), BTreeSet::from(["img-theirs".into()]))]);
        assert_eq!(home.fits, fits);
        assert!(!home.import_os && !home.custom_images);
    }

    #[test]
    fn systems_are_asked_for_until_the_file_was_imported_once() {
        let source = ImportSource {
            url: "https://b-1.cos.ap-guangzhou.myqcloud.com/f.qcow2".into(),
            os: "CentOS".into(),
            os_version: "7".into(),
            architecture: Architecture::X86_64,
            boot_mode: None,
            force: false,
            license: None,
        };
        let Image::Managed(mut image) = managed(InstanceSource::Id("ins-1".into()), Some(&[HOME, AWAY])) else {
            panic!("a managed image")
        };
        image.source = Source::Import(source.clone());
        let copy = CopySource { image: "legacy".into(), encryption: None };
        let mine = Image::Managed(ManagedImage { source: Source::Copy(copy), regions: None, ..image.clone() });
        let desired = desired(&[("legacy", Image::Managed(image)), ("mine", mine)], &[("old", fleet("legacy", AWAY))]);
        let mut recorded = recorded(&[copy_of_legacy()]);
        let needs = Needs::of(&desired, &recorded);
        assert!(needs.regions[HOME].import_os && needs.regions[AWAY].custom_images && !needs.regions[AWAY].import_os);
        let fits = BTreeMap::from([("S5.MEDIUM4".into(), BTreeSet::from(["img-legacy".into()]))]);
        assert_eq!(needs.regions[AWAY].fits, fits);
        let inputs = Inputs { import: Some(source), ..Inputs::default() };
        recorded.versions.push(VersionRecord {
            block: Block::image(&"legacy".into()),
            version: "v1".into(),
            generation: 1,
            inputs_digest: Digest::of_value(context::INPUTS, &inputs),
            inputs,
            made_ms: 0,
        });
        assert!(!Needs::of(&desired, &recorded).regions[HOME].import_os);
    }

    fn copy_of_legacy() -> (Addr, &'static str, CloudId) {
        copy("legacy", AWAY, "img-legacy")
    }

    #[test]
    fn what_is_named_twice_is_asked_once_and_where_it_was_named_first() {
        let named = |ids: &[u8]| ids.iter().copied().collect::<InOrder<u8>>().in_order();
        assert_eq!(named(&[3, 1, 2]), [3, 1, 2]);
        assert_eq!(named(&[3, 1, 3, 2, 1]), [3, 1, 2]);
        assert_eq!(named(&[]), Vec::<u8>::new());
    }

    #[test]
    fn pins_are_asked_for_by_id() {
        let mut needs = Needs::of_destroy(&desired(&[], &[]).cloud, &recorded(&[]));
        needs.pin(&HOME.into(), &"img-1".into());
        assert_eq!(needs.regions[HOME].images, BTreeSet::from(["img-1".into()]));
    }
}
