//! The client against the embedded cloud: every kind of call, as signed bytes out and bytes back.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the answers that it wants")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright::cloud::call::{
    Answer, Arg, Body, Call, Class, Executed, Fault, ImageChange, Installation, InstanceAttr, Launch, Page, Query,
    Reply, TagTarget,
};
use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::client::CvmClient;
use fleetwright::cloud::cvm::sign::{Credentials, SecretText};
use fleetwright::cloud::embedded::{Embedded, Loopback, Settings, credentials};
use fleetwright::cloud::observe::{Needs, Observer, RegionNeeds};
use fleetwright::cloud::{Cloud, Secrets};
use fleetwright::model::Millis;
use fleetwright::model::desired::Latency;
use fleetwright::model::digest::{SecretKey, SecretRef, SecretSource};
use fleetwright::model::ids::{CloudId, ImageId, InstanceId, Lineage, Region, Uin};
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::{Image, ImageKind, ImageState, Instance, InstanceState, Lookup, Seen};
use fleetwright::model::price::{ChargeUnit, ItemPrice, Micros, Price};
use fleetwright::model::spec::{
    Architecture, BootMode, Charge, DataDisk, Encryption, HostnamePattern, ImportSource, Internet, InternetCharge,
    License, Login, Renew, SystemDisk,
};

const HOME: &str = "ap-guangzhou";
const AWAY: &str = "ap-shanghai";
const ME: &str = "100000000001";
const YOU: &str = "100000000002";
const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";
const SCRIPT: &[u8] = b"#!/bin/sh\necho hello\n";

struct Script;

impl Secrets for Script {
    fn read(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
        Ok(SCRIPT.to_vec())
    }
}

struct World {
    client: CvmClient,
    clock: Arc<VirtualClock>,
}

impl World {
    fn new() -> Self {
        Self::with_key(None)
    }

    fn with_key(key: Option<&str>) -> Self {
        Self::of(key, Settings::new(Latency::Quick, Limits::EMBEDDED, 7))
    }

    fn of(key: Option<&str>, settings: Settings) -> Self {
        let clock = Arc::new(VirtualClock::at(1_795_000_000_000));
        let cloud = Embedded::open(None, settings).expect("a cloud");
        let transport = Loopback { cloud: Arc::new(cloud), clock: Arc::clone(&clock) as Arc<dyn Clock> };
        let known = credentials(ME).expect("keys");
        let credentials = Credentials {
            secret_id: known.secret_id,
            secret_key: SecretText::new(key.unwrap_or(&known.secret_key)),
            token: None,
        };
        let credentials = BTreeMap::from([(Uin::new(ME), credentials)]);
        Self { client: CvmClient::new(Arc::new(transport), "localhost", credentials, Arc::new(Script)), clock }
    }

    fn try_in(&self, region: &str, body: Body) -> Result<Answer, Fault> {
        let call = Call { account: ME.into(), region: region.into(), body };
        self.client.call(&call, self.clock.now_ms())
    }

    fn ask(&self, body: Body) -> Reply {
        self.try_in(HOME, body).expect("an answer").reply
    }

    fn read(&self, query: Query) -> Reply {
        self.ask(Body::Describe(query))
    }

    fn refused(&self, body: Body) -> (Class, String) {
        let fault = self.try_in(HOME, body).expect_err("a refusal");
        assert_eq!(fault.executed, Executed::No);
        assert!(fault.request_id.is_some() && fault.cloud_ms.is_some());
        (fault.class, fault.code.unwrap_or_default())
    }

    fn settle(&self) {
        self.clock.wait_until(self.clock.now_ms() + 60_000);
    }

    fn ubuntu(&self) -> ImageId {
        let query = Query::PublicImages { name: UBUNTU.to_owned(), instance_type: None, offset: 0 };
        let page = images(self.read(query));
        page.items.into_iter().find(|image| image.name == UBUNTU).expect("Ubuntu").id
    }

    fn launch(&self, count: u32, token: &str) -> Body {
        Body::RunInstances(Box::new(self.launch_of(count, token)))
    }

    fn launch_of(&self, count: u32, token: &str) -> Launch {
        Launch {
            system_disk: SystemDisk { kind: Some("CLOUD_PREMIUM".into()), size_gib: Some(60) },
            data_disks: vec![DataDisk { kind: "CLOUD_PREMIUM".into(), size_gib: 100 }],
            internet: Some(Internet {
                charge: InternetCharge::TrafficPostpaidByHour,
                bandwidth_mbps: 5,
                public_ip: true,
            }),
            login: Login::Keys(BTreeSet::from(["skey-12345678".into()])),
            name_prefix: "shop-default-web-3-".to_owned(),
            first_ordinal: 4,
            count,
            tags: ours(),
            user_data: Some(secret()),
            token: Some(token.to_owned()),
            ..Launch::of("ap-guangzhou-3".into(), Arg::Known(self.ubuntu()), "S5.MEDIUM4".into())
        }
    }

    fn made(&self, launch: Launch) -> Vec<InstanceId> {
        let Reply::Ids(made) = self.ask(Body::RunInstances(Box::new(launch))) else { panic!("no ids") };
        self.settle();
        made.iter().map(|id| id.instance().expect("an instance").clone()).collect()
    }

    fn launched(&self, count: u32) -> Vec<InstanceId> {
        self.made(self.launch_of(count, "a token"))
    }

    fn instances(&self, ids: &[InstanceId]) -> Vec<Instance> {
        instances(self.read(Query::InstancesById { ids: ids.to_vec() })).items
    }

    fn captured(&self, instance: &InstanceId, name: &str) -> ImageId {
        let Reply::Ids(made) = self.ask(capture(instance, name)) else { panic!("no ids") };
        self.settle();
        made[0].image().expect("an image").clone()
    }
}

fn ours() -> BTreeMap<String, String> {
    BTreeMap::from([("fleetwright".to_owned(), "shop/default/fleet.web".to_owned())])
}

fn secret() -> SecretRef {
    SecretKey::of(&Lineage::new("l")).refer(SecretSource::File("web.sh".to_owned()), SCRIPT)
}

fn capture(instance: &InstanceId, name: &str) -> Body {
    Body::CreateImage {
        name: name.to_owned(),
        instance: Arg::Known(instance.clone()),
        power_off: false,
        description: Some("as it was".to_owned()),
        tags: ours(),
        family: None,
    }
}

fn instances(reply: Reply) -> Page<Instance> {
    match reply {
        Reply::Instances(page) => page,
        other => panic!("{other:?}"),
    }
}

fn images(reply: Reply) -> Page<Image> {
    match reply {
        Reply::Images(page) => page,
        other => panic!("{other:?}"),
    }
}

#[test]
fn offers_and_quotas_are_read() {
    let world = World::new();
    let Reply::Regions(regions) = world.read(Query::Regions) else { panic!("no regions") };
    assert!(regions.contains(&Region::new(HOME)) && regions.contains(&Region::new(AWAY)));
    let Reply::Zones(zones) = world.read(Query::Zones) else { panic!("no zones") };
    assert_eq!(zones.get("ap-guangzhou-3"), Some(&true));
    let Reply::Types(types) = world.read(Query::Types) else { panic!("no types") };
    let offered = &types[&("ap-guangzhou-3".into(), "S5.MEDIUM4".into())];
    assert_eq!((offered.cpu, offered.memory_gib), (2, 4));
    assert_eq!(world.read(Query::ImageQuota), Reply::ImageQuota(Limits::EMBEDDED.images_per_region));
    let Reply::AccountQuota { images, instances, prepaid: _, spot: _ } = world.read(Query::AccountQuota) else {
        panic!("no quota")
    };
    assert_eq!(images.map(|quota| (quota.used, quota.total)), Some((0, Limits::EMBEDDED.images_per_region)));
    assert_eq!(instances.get("ap-guangzhou-3").map(|quota| quota.total), Some(Limits::EMBEDDED.instances_per_zone));
}

#[test]
fn instances_are_made_seen_changed_and_destroyed() {
    let world = World::new();
    let tagged = || Query::InstancesTagged {
        key: "fleetwright".to_owned(),
        value: "shop/default/fleet.web".to_owned(),
        offset: 0,
    };
    assert_eq!(instances(world.read(tagged())).total, 0);
    let ids = world.launched(3);
    assert_eq!(ids.len(), 3);
    let Reply::Ids(again) = world.ask(world.launch(3, "a token")) else { panic!("no ids") };
    assert_eq!(
        again.iter().cloned().collect::<BTreeSet<_>>(),
        ids.iter().cloned().map(CloudId::Instance).collect::<BTreeSet<_>>()
    );

    let seen = world.instances(&ids);
    let names: BTreeSet<&str> = seen.iter().map(|instance| instance.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["shop-default-web-3-4", "shop-default-web-3-5", "shop-default-web-3-6"]));
    for instance in &seen {
        assert_eq!(instance.state, InstanceState::Running);
        assert_eq!((instance.zone.as_str(), instance.instance_type.as_str()), ("ap-guangzhou-3", "S5.MEDIUM4"));
        assert_eq!((instance.system_disk.size_gib, instance.data_disks[0].size_gib), (60, 100));
        assert_eq!((instance.bandwidth_mbps, instance.addresses.len()), (5, 2));
        assert_eq!(*instance.keys, BTreeSet::from(["skey-12345678".into()]));
        assert_eq!((&*instance.tags, instance.charge_type.as_str()), (&ours(), "POSTPAID_BY_HOUR"));
        assert!(instance.created_ms >= 1_794_999_999_000, "{}", instance.created_ms);
    }
    assert_eq!(instances(world.read(tagged())).total, 3);
    let Reply::UserData(data) = world.read(Query::UserData { ids: ids.clone() }) else { panic!("no user data") };
    assert!(data.len() == 3 && data.values().all(|bytes| bytes == SCRIPT));

    let one = || vec![ids[0].clone()];
    let state = || match world.read(Query::InstanceStates { ids: one() }) {
        Reply::States(states) => states[&ids[0]].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(world.ask(Body::StopInstances { instances: one().into_iter().map(Arg::Known).collect() }), Reply::Done);
    world.settle();
    assert_eq!(state(), InstanceState::Stopped);
    let resize = Body::ResizeInstance { instance: ids[0].clone(), instance_type: "S5.LARGE8".into() };
    assert_eq!(world.ask(resize), Reply::Done);
    world.settle();
    if state() == InstanceState::Stopped {
        assert_eq!(world.ask(Body::StartInstances { instances: one() }), Reply::Done);
        world.settle();
    }
    assert_eq!(state(), InstanceState::Running);
    assert_eq!(world.refused(Body::StartInstances { instances: one() }).1, "UnsupportedOperation.InstanceStateRunning");
    for set in
        [InstanceAttr::Name("renamed".to_owned()), InstanceAttr::SecurityGroups(BTreeSet::from(["sg-12345678".into()]))]
    {
        assert_eq!(world.ask(Body::ModifyInstances { instances: one(), set }), Reply::Done);
        world.settle();
    }
    let seen = &world.instances(&one())[0];
    assert_eq!((seen.name.as_str(), seen.instance_type.as_str()), ("renamed", "S5.LARGE8"));
    assert_eq!(*seen.security_groups, BTreeSet::from(["sg-12345678".into()]));

    assert_eq!(
        world.ask(Body::TerminateInstances { instances: ids.iter().cloned().map(Arg::Known).collect() }),
        Reply::Done
    );
    world.settle();
    assert_eq!(world.instances(&ids), []);
    assert_eq!(
        world.refused(Body::TerminateInstances { instances: ids.iter().cloned().map(Arg::Known).collect() }).0,
        Class::NotFound
    );
}

#[test]
fn images_are_captured_copied_shared_and_deleted() {
    let world = World::new();
    let instance = &world.launched(1)[0];
    assert_eq!(world.instances(std::slice::from_ref(instance))[0].name, "shop-default-web-3-4");
    let image = world.captured(instance, "shop-web-1");
    assert_eq!(world.refused(capture(instance, "shop-web-1")).0, Class::Conflict);

    let by_id = || images(world.read(Query::ImagesById { ids: vec![image.clone()] })).items.remove(0);
    let seen = by_id();
    assert_eq!((seen.name.as_str(), seen.description.as_str()), ("shop-web-1", "as it was"));
    assert_eq!((&seen.state, seen.size_gib, &seen.tags), (&ImageState::Normal, 60, &ours()));
    assert!(!seen.snapshots.is_empty());
    assert_eq!(images(world.read(Query::CustomImages { offset: 0 })).items, std::slice::from_ref(&seen));
    let named = Query::CustomImagesNamed { names: vec!["shop-web".to_owned()], offset: 0 };
    assert_eq!(images(world.read(named)).items, [seen]);

    let to = BTreeSet::from([Region::new(AWAY)]);
    let sync =
        Body::SyncImages { image: Arg::Known(image.clone()), to, name: "shop-web-1".to_owned(), encryption: None };
    let Reply::Copies(copies) = world.ask(sync) else { panic!("no copies") };
    assert_eq!((copies.len(), copies[0].0.as_str()), (1, AWAY));
    assert_eq!(world.refused(Body::DeleteImages { images: vec![image.clone()] }).1, "InvalidImageId.IncorrectState");
    world.settle();
    let copy = world.try_in(AWAY, Body::Describe(Query::ImagesById { ids: vec![copies[0].1.clone()] }));
    assert_eq!(images(copy.expect("an answer").reply).items[0].name, "shop-web-1");

    let share = |cancel| Body::ShareImage {
        image: Arg::Known(image.clone()),
        accounts: BTreeSet::from([Uin::new(YOU)]),
        cancel,
    };
    let shares = || world.read(Query::Shares { image: image.clone() });
    assert_eq!(world.ask(share(false)), Reply::Done);
    assert_eq!(shares(), Reply::Shares(BTreeSet::from([Uin::new(YOU)])));
    assert_eq!(world.refused(share(false)).0, Class::Conflict);
    assert_eq!(world.refused(Body::DeleteImages { images: vec![image.clone()] }).1, "InvalidImageId.InShared");
    assert_eq!(world.ask(share(true)), Reply::Done);
    assert_eq!(shares(), Reply::Shares(BTreeSet::new()));

    let describe = Body::ModifyImage {
        image: Arg::Known(image.clone()),
        set: ImageChange { description: Some("better".to_owned()), ..ImageChange::default() },
    };
    assert_eq!(world.ask(describe), Reply::Done);
    assert_eq!(by_id().description, "better");

    let here = |id| TagTarget { region: HOME.into(), id: Arg::Known(id) };
    let resources = vec![here(CloudId::Image(image.clone())), here(CloudId::Instance(instance.clone()))];
    let tags = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    let done = Reply::Tagged { failed: vec![] };
    assert_eq!(world.ask(Body::TagResources { resources: resources.clone(), tags }), done);
    assert_eq!(by_id().tags.get("tier").map(String::as_str), Some("gold"));
    assert_eq!(world.instances(std::slice::from_ref(instance))[0].tags.len(), 2);
    let keys = BTreeSet::from(["tier".to_owned()]);
    assert_eq!(world.ask(Body::UntagResources { resources, keys }), done);
    assert_eq!(by_id().tags, ours());

    let reset = Body::ResetInstance {
        instance: instance.clone(),
        image: Arg::Known(image.clone()),
        with: Box::new(Installation {
            login: Login::KeepImage,
            user_data: Some(secret()),
            system_disk_gib: None,
            hostname: None,
        }),
    };
    assert_eq!(world.ask(reset), Reply::Done);
    world.settle();
    let seen = &world.instances(std::slice::from_ref(instance))[0];
    assert_eq!(seen.image, image);
    assert_eq!(seen.latest.as_ref().map(|latest| latest.name.as_str()), Some("ResetInstance"));

    assert_eq!(world.ask(Body::DeleteImages { images: vec![image.clone()] }), Reply::Done);
    world.settle();
    assert_eq!(images(world.read(Query::ImagesById { ids: vec![image.clone()] })).items, []);
    assert_eq!(world.refused(Body::Describe(Query::Shares { image })).0, Class::NotFound);
}

fn legacy(path: &str) -> Body {
    Body::ImportImage {
        name: "legacy".to_owned(),
        source: Box::new(ImportSource {
            url: format!("https://bucket-1250000000.cos.ap-guangzhou.myqcloud.com/{path}"),
            os: "CentOS".to_owned(),
            os_version: "7".to_owned(),
            architecture: Architecture::X86_64,
            boot_mode: Some(BootMode::LegacyBios),
            force: true,
            license: Some(License::TencentCloud),
        }),
        description: Some("from before".to_owned()),
        family: Some("old".to_owned()),
        tags: ours(),
    }
}

#[test]
fn images_are_imported_with_and_without_an_id() {
    let world = World::new();
    let Reply::ImportOs(known) = world.read(Query::ImportOs) else { panic!("no systems") };
    assert!(known.systems.contains("CentOS") && known.systems.contains("Windows Server 2016"));
    assert!(known.versions["CentOS"].versions.contains("7"));
    assert!(known.versions["CentOS"].architectures.contains("x86_64"));
    let Reply::Ids(made) = world.ask(legacy("size=40/legacy.qcow2")) else { panic!("no ids") };
    let id = made[0].image().expect("an image").clone();
    let by_id = || images(world.read(Query::ImagesById { ids: vec![id.clone()] })).items.remove(0);
    assert_eq!(by_id().state, ImageState::Importing);
    assert_eq!(world.refused(legacy("legacy.qcow2")).0, Class::Conflict);
    world.settle();
    let seen = by_id();
    assert_eq!((&seen.state, seen.source.as_str(), seen.size_gib), (&ImageState::Normal, "EXTERNAL_IMPORT", 40));
    assert_eq!((seen.family.as_str(), seen.description.as_str(), &seen.tags), ("old", "from before", &ours()));
    assert_eq!((seen.platform.as_str(), seen.architecture.as_str()), ("CentOS", "x86_64"));

    let quiet = Settings { import_answers_id: false, ..Settings::new(Latency::Quick, Limits::EMBEDDED, 7) };
    let world = World::of(None, quiet);
    assert_eq!(world.ask(legacy("sim/VirtioNotInstall/legacy.qcow2")), Reply::Done);
    world.settle();
    let named = Query::CustomImagesNamed { names: vec!["legacy".to_owned()], offset: 0 };
    assert_eq!(images(world.read(named)).items[0].state, ImageState::ImportFailed);
}

#[test]
fn several_attributes_of_an_image_change_in_one_call() {
    let world = World::new();
    let image = world.captured(&world.launched(1)[0], "shop-web-1");
    let set = ImageChange {
        description: Some("better".to_owned()),
        family: Some("shop-web".to_owned()),
        deprecated: Some(true),
    };
    assert_eq!(world.ask(Body::ModifyImage { image: Arg::Known(image.clone()), set }), Reply::Done);
    let seen = images(world.read(Query::ImagesById { ids: vec![image.clone()] })).items.remove(0);
    assert_eq!((seen.description.as_str(), seen.family.as_str(), seen.deprecated), ("better", "shop-web", true));

    let safe = |to: &str, key: &str| Body::SyncImages {
        image: Arg::Known(image.clone()),
        to: BTreeSet::from([Region::new(to)]),
        name: "shop-web-safe".to_owned(),
        encryption: Some(Encryption { kms_key: Some(key.into()) }),
    };
    assert_eq!(world.refused(safe(AWAY, "kms-abcd1234")).1, "InvalidParameterValue.InvalidRegion");
    assert_eq!(world.refused(safe(HOME, "a-key")).1, "InvalidParameter.InvalidKmsKeyId");
    let Reply::Copies(copies) = world.ask(safe(HOME, "kms-abcd1234")) else { panic!("no copies") };
    world.settle();
    let share = Body::ShareImage {
        image: Arg::Known(copies[0].1.clone()),
        accounts: BTreeSet::from([Uin::new(YOU)]),
        cancel: false,
    };
    assert_eq!(world.refused(share).1, "UnsupportedOperation.EncryptedImagesNotSupported");
}

#[test]
fn images_of_others_are_seen_and_one_of_them_is_copied() {
    let world = World::new();
    let ids = || vec!["img-8toqc6s3".into(), "img-kx1vn3zd".into(), "img-p5wq2d7k".into()];
    let seen = images(world.read(Query::ImagesById { ids: ids() })).items;
    let kinds: BTreeMap<&str, &ImageKind> = seen.iter().map(|image| (image.id.as_str(), &image.kind)).collect();
    assert_eq!(kinds, BTreeMap::from([("img-8toqc6s3", &ImageKind::Shared), ("img-kx1vn3zd", &ImageKind::Market)]));
    let own = Body::SyncImages {
        image: Arg::Known("img-8toqc6s3".into()),
        to: BTreeSet::from([Region::new(HOME)]),
        name: "partner-own".to_owned(),
        encryption: None,
    };
    let Reply::Copies(copies) = world.ask(own) else { panic!("no copies") };
    world.settle();
    let copy = images(world.read(Query::ImagesById { ids: vec![copies[0].1.clone()] })).items.remove(0);
    assert_eq!((&copy.kind, copy.creator.as_str()), (&ImageKind::Private, ME));
}

#[test]
fn a_launch_bears_all_attributes_and_they_change() {
    let world = World::new();
    let ids = world.made(Launch {
        hostname: Some(HostnamePattern("web-3-{ordinal}".to_owned())),
        charge: Charge::Prepaid { months: 2, renew: Renew::NotifyAndAutoRenew },
        placement_group: Some("ps-abcd1234".into()),
        cam_role: Some("web-role".to_owned()),
        protect: true,
        ..world.launch_of(2, "all")
    });
    let seen = world.instances(&ids);
    let hosts: BTreeSet<Option<&str>> = seen.iter().map(|instance| instance.hostname.as_deref()).collect();
    assert_eq!(hosts, BTreeSet::from([Some("web-3-4"), Some("web-3-5")]));
    for instance in &seen {
        assert_eq!(
            (instance.charge_type.as_str(), instance.renew.as_deref()),
            ("PREPAID", Some("NOTIFY_AND_AUTO_RENEW"))
        );
        assert_eq!(instance.expires_ms.map(|end| (end - instance.created_ms) / 86_400_000), Some(61));
        assert_eq!(instance.placement_group, Some("ps-abcd1234".into()));
        assert_eq!((instance.cam_role.as_deref(), instance.protected), (Some("web-role"), true));
    }
    let one = || vec![ids[0].clone()];
    let end = || Body::TerminateInstances { instances: one().into_iter().map(Arg::Known).collect() };
    assert_eq!(world.refused(end()).1, "UnsupportedOperation.InstancesProtected");
    for set in [
        InstanceAttr::Hostname("db".to_owned()),
        InstanceAttr::CamRole(Some("db-role".to_owned())),
        InstanceAttr::Protection(false),
    ] {
        assert_eq!(world.ask(Body::ModifyInstances { instances: one(), set }), Reply::Done);
        world.settle();
    }
    let seen = world.instances(&one()).remove(0);
    assert_eq!((seen.hostname.as_deref(), seen.cam_role.as_deref()), (Some("db"), Some("db-role")));
    let unbind = Body::ModifyInstances { instances: one(), set: InstanceAttr::CamRole(None) };
    assert_eq!(world.ask(unbind), Reply::Done);
    world.settle();
    let reset = Body::ResetInstance {
        instance: ids[0].clone(),
        image: Arg::Known(world.ubuntu()),
        with: Box::new(Installation {
            login: Login::Keys(BTreeSet::from(["skey-12345678".into()])),
            user_data: None,
            system_disk_gib: Some(80),
            hostname: Some("fresh".to_owned()),
        }),
    };
    assert_eq!(world.ask(reset), Reply::Done);
    world.settle();
    let seen = world.instances(&one()).remove(0);
    assert_eq!((seen.hostname.as_deref(), seen.system_disk.size_gib, seen.cam_role), (Some("fresh"), 80, None));

    assert_eq!(world.ask(end()), Reply::Done);
    world.settle();
    let seen = world.instances(&one()).remove(0);
    assert_eq!((&seen.state, seen.isolated.as_deref()), (&InstanceState::Shutdown, Some("MANMADE")));
    assert_eq!(world.ask(end()), Reply::Done);
    world.settle();
    assert_eq!(world.instances(&one()), []);
}

#[test]
fn prices_are_told_before_anything_is_bought() {
    let world = World::new();
    let ask = |charge: Charge| {
        let launch = Launch { charge, ..world.launch_of(3, "t") };
        match world.read(Query::Price(Box::new(launch))) {
            Reply::Price(price) => price,
            other => panic!("{other:?}"),
        }
    };
    let unit = |micros: i64, unit| ItemPrice { unit: Some(Micros(micros)), charge_unit: Some(unit), total: None };
    // 2 cores, 4 GiB, 160 GiB of CLOUD_PREMIUM, and traffic.
    let traffic = Some(unit(800_000, ChargeUnit::Gb));
    assert_eq!(
        ask(Charge::Hourly),
        Price { instance: Some(unit(320_000, ChargeUnit::Hour)), bandwidth: traffic.clone() }
    );
    let spot = Charge::Spot { max_price: Some("0.05".to_owned()) };
    assert_eq!(ask(spot).instance, Some(unit(128_000, ChargeUnit::Hour)));
    let year = ask(Charge::Prepaid { months: 12, renew: Renew::NotifyAndManualRenew });
    assert_eq!(year.instance.and_then(|price| price.total), Some(Micros(1_147_392_000)));
    assert_eq!(
        instances(world.read(Query::InstancesTagged {
            key: "fleetwright".to_owned(),
            value: "shop/default/fleet.web".to_owned(),
            offset: 0,
        }))
        .total,
        0
    );
    let cheap = Launch { charge: Charge::Spot { max_price: Some("0.01".to_owned()) }, ..world.launch_of(1, "cheap") };
    assert_eq!(world.refused(Body::RunInstances(Box::new(cheap))).1, "InvalidParameterValue.InsufficientPrice");
}

#[test]
fn a_wrong_key_and_a_wrong_clock_are_told_apart() {
    let fault = World::with_key(Some("wrong")).try_in(HOME, Body::Describe(Query::Regions)).expect_err("refused");
    assert_eq!((fault.class, fault.executed), (Class::Auth, Executed::No));
    let world = World::new();
    let call = Call { account: ME.into(), region: HOME.into(), body: Body::Describe(Query::Regions) };
    let late = |by_ms: Millis| world.client.call(&call, world.clock.now_ms() + by_ms);
    assert!(late(299_000).is_ok());
    assert_eq!(late(-400_000).expect_err("too late").class, Class::Clock);
    assert_eq!(late(400_000).expect_err("too early").class, Class::Clock);
    assert!(!world.client.outlives_us());
}

#[test]
fn an_observer_sees_it_all() {
    let world = World::new();
    let ids = world.launched(120);
    let image = world.captured(&ids[0], "shop-web-1");
    let lookup = Lookup { name: UBUNTU.to_owned(), instance_type: Some("S5.MEDIUM4".into()) };
    let gone = InstanceId::new("ins-00000000");
    let wanted = RegionNeeds {
        zones: true,
        types: true,
        quotas: true,
        custom_images: true,
        images: BTreeSet::from([world.ubuntu(), "img-00000000".into()]),
        lookups: BTreeSet::from([lookup.clone()]),
        shares: BTreeSet::from([image.clone(), "img-00000000".into()]),
        instances: ids.iter().cloned().chain([gone.clone()]).collect(),
        ..RegionNeeds::default()
    };
    let home = Region::new(HOME);
    let needs = Needs {
        account: ME.into(),
        home: home.clone(),
        regions_list: true,
        regions: BTreeMap::from([
            (home.clone(), wanted),
            ("ap-nowhere".into(), RegionNeeds { zones: true, ..RegionNeeds::default() }),
        ]),
    };
    let mut observer = Observer::new(needs);
    loop {
        let calls = observer.next();
        if calls.is_empty() {
            break;
        }
        for call in calls {
            let result = world.client.call(&call, world.clock.now_ms());
            observer.answer(&call, result);
        }
    }
    let seen = observer.finish().expect("seen");
    let region = &seen.by_region[&home];
    assert_eq!(region.instances.values().filter(|seen| seen.present().is_some()).count(), 120);
    assert_eq!(seen.instance(&home, &gone), Some(&Seen::Absent { asked_ms: world.clock.now_ms() }));
    assert_eq!(region.lookups[&lookup].len(), 1);
    assert_eq!(region.custom_images.as_ref().map(|images| images.len()), Some(1));
    assert_eq!(region.image_quota.map(|quota| quota.used), Some(1));
    assert_eq!(region.shares, BTreeMap::from([(image, BTreeSet::new())]));
    assert_eq!(seen.image(&home, &"img-00000000".into()), Some(Seen::Absent { asked_ms: world.clock.now_ms() }));
    assert!(matches!(seen.image(&home, &world.ubuntu()), Some(Seen::Present(_))));
    assert!(region.zones.is_some() && region.types.is_some() && region.instance_quota.is_some());
    // Regions, zones, types, two quotas, one listing, one look-up, two shares, ⌈121 / 100⌉ reads, one image by id,
    // and the zones of nowhere.
    assert_eq!(seen.calls, 1 + 2 + 2 + 1 + 1 + 2 + 2 + 1 + 1);
}
