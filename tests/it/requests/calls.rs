//! Calls of every kind that there is, each in many ways. The compiler asks for those of a new kind.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cloud::call::{
    Arg, Body, ImageChange, Installation, InstanceAttr, Launch, MAX_BATCH, MAX_DELETE, MAX_LAUNCH, MAX_TAG_RESOURCES,
    PAGE, Query, TagTarget,
};
use fleetwright::model::desired::Tags;
use fleetwright::model::digest::{SecretKey, SecretRef, SecretSource};
use fleetwright::model::ids::{CloudId, ImageId, InstanceId, Lineage, Region, Uin, Zone};
use fleetwright::model::spec::{
    Architecture, BootMode, Charge, DataDisk, Encryption, HostnamePattern, ImportSource, Internet, InternetCharge,
    License, Login, Renew, SlotNetwork, SystemDisk,
};

/// What user data are: no header may have them.
pub(crate) const SCRIPT: &str = "#!/bin/sh\necho hunter2\n";

/// Samples of each variant, under its name. A variant that is not there does not compile.
macro_rules! each {
    ($type:ty: $($name:literal $pattern:pat => $samples:expr,)+) => {{
        fn _all_are_there(one: &$type) {
            match one { $($pattern => {})+ }
        }
        let mut all: Vec<(&'static str, Vec<$type>)> = Vec::new();
        $(
            let samples: Vec<$type> = $samples;
            assert!(!samples.is_empty(), "{}", $name);
            assert!(samples.iter().all(|sample| matches!(sample, $pattern)), "{}", $name);
            all.push(($name, samples));
        )+
        all
    }};
}

/// A number of ids that the cloud takes at once, at least and at most.
fn sizes(most: usize) -> [usize; 2] {
    [1, most]
}

fn images(count: usize) -> Vec<ImageId> {
    (0..count).map(|n| ImageId::new(format!("img-{n:08}"))).collect()
}

fn instances(count: usize) -> Vec<InstanceId> {
    (0..count).map(|n| InstanceId::new(format!("ins-{n:08}"))).collect()
}

fn image() -> Arg<ImageId> {
    Arg::Known(ImageId::new("img-00000000"))
}

fn instance() -> InstanceId {
    InstanceId::new("ins-00000000")
}

fn accounts(count: u64) -> BTreeSet<Uin> {
    (2..count + 2).map(|n| Uin::new(format!("{}", 100_000_000_000 + n))).collect()
}

fn text(length: usize) -> String {
    "n".repeat(length)
}

fn tags(count: usize) -> Tags {
    (0..count).map(|n| (format!("key-{n}"), format!("value {n}"))).collect()
}

fn secret() -> SecretRef {
    SecretKey::of(&Lineage::new("l")).refer(SecretSource::File("web.sh".to_owned()), SCRIPT.as_bytes())
}

fn logins() -> Vec<Login> {
    vec![Login::Unset, Login::Keys(BTreeSet::from(["skey-8a7c6b5d".into(), "skey-11111111".into()])), Login::KeepImage]
}

fn charges() -> Vec<Charge> {
    let mut all = vec![Charge::Hourly, Charge::Spot { max_price: None }];
    all.push(Charge::Spot { max_price: Some("1.5".to_owned()) });
    all.extend(
        [1, 12, 60].iter().flat_map(|months| Renew::ALL.map(|renew| Charge::Prepaid { months: *months, renew })),
    );
    all
}

fn launch() -> Launch {
    Launch {
        name_prefix: "shop-default-web-3-".to_owned(),
        ..Launch::of(Zone::new("ap-guangzhou-3"), image(), "S5.MEDIUM4".into())
    }
}

/// A launch that says all that can be said.
fn whole() -> Launch {
    Launch {
        system_disk: SystemDisk { kind: Some("CLOUD_PREMIUM".into()), size_gib: Some(60) },
        data_disks: (1..=20).map(|n| DataDisk { kind: "CLOUD_SSD".into(), size_gib: n * 10 }).collect(),
        network: SlotNetwork {
            subnet: Some(("vpc-0a1b2c3d".into(), "subnet-0a1b2c3d".into())),
            security_groups: Some((0..5).map(|n| format!("sg-0000000{n}").as_str().into()).collect()),
        },
        internet: Some(Internet {
            charge: InternetCharge::TrafficPostpaidByHour,
            bandwidth_mbps: 200,
            public_ip: true,
        }),
        login: Login::Keys(BTreeSet::from(["skey-8a7c6b5d".into()])),
        first_ordinal: 7,
        tags: tags(50),
        user_data: Some(secret()),
        hostname: Some(HostnamePattern("web-3-{ordinal}".to_owned())),
        placement_group: Some("ps-0a1b2c3d".into()),
        cam_role: Some("web-role".to_owned()),
        protect: true,
        token: Some(text(64)),
        ..launch()
    }
}

fn launches() -> Vec<Launch> {
    let mut all = Vec::new();
    for count in [1, 2, MAX_LAUNCH] {
        for charge in charges() {
            for login in logins() {
                for base in [launch(), whole()] {
                    all.push(Launch { count, charge: charge.clone(), login: login.clone(), ..base });
                }
            }
        }
    }
    // Parts of what may be said of disks, network and access.
    for (kind, size_gib) in [(Some("CLOUD_SSD".into()), None), (None, Some(20)), (None, Some(2048))] {
        all.push(Launch { system_disk: SystemDisk { kind, size_gib }, ..launch() });
    }
    for charge in InternetCharge::ALL {
        for public_ip in [false, true] {
            all.push(Launch { internet: Some(Internet { charge, bandwidth_mbps: 0, public_ip }), ..launch() });
        }
    }
    let none = Some(BTreeSet::new());
    all.push(Launch { network: SlotNetwork { subnet: None, security_groups: none }, ..launch() });
    all
}

fn imports() -> Vec<ImportSource> {
    let mut all = Vec::new();
    for architecture in Architecture::ALL {
        for boot_mode in BootMode::ALL.into_iter().map(Some).chain([None]) {
            for license in License::ALL.into_iter().map(Some).chain([None]) {
                for force in [false, true] {
                    let url = "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/legacy.qcow2".to_owned();
                    let (os, os_version) = ("CentOS".to_owned(), "7".to_owned());
                    all.push(ImportSource { url, os, os_version, architecture, boot_mode, force, license });
                }
            }
        }
    }
    all
}

/// Description, family and tags of an image: all there, and all silent.
fn described() -> [(Option<String>, Option<String>, Tags); 2] {
    [(None, None, Tags::new()), (Some(text(256)), Some(text(60)), tags(50))]
}

fn resources(count: usize) -> Vec<TagTarget> {
    let ids = images(count).into_iter().map(CloudId::Image).zip(instances(count).into_iter().map(CloudId::Instance));
    let ids = ids.flat_map(|(image, instance)| [image, instance]).take(count);
    ids.map(|id| TagTarget { region: "ap-shanghai".into(), id: Arg::Known(id) }).collect()
}

fn attributes() -> Vec<InstanceAttr> {
    let all = each!(InstanceAttr:
        "Name" InstanceAttr::Name(_) => vec![InstanceAttr::Name(text(60))],
        "SecurityGroups" InstanceAttr::SecurityGroups(_) => vec![
            InstanceAttr::SecurityGroups((0..5).map(|n| format!("sg-0000000{n}").as_str().into()).collect()),
        ],
        "Hostname" InstanceAttr::Hostname(_) => vec![InstanceAttr::Hostname("web-1".to_owned())],
        "CamRole" InstanceAttr::CamRole(_) => vec![
            InstanceAttr::CamRole(None),
            InstanceAttr::CamRole(Some("web-role".to_owned())),
        ],
        "Protection" InstanceAttr::Protection(_) => [false, true].map(InstanceAttr::Protection).into(),
    );
    all.into_iter().flat_map(|(_, samples)| samples).collect()
}

fn changes_of_images() -> Vec<ImageChange> {
    let mut all = Vec::new();
    for description in [None, Some(String::new()), Some(text(256))] {
        for family in [None, Some(text(60))] {
            for deprecated in [None, Some(false), Some(true)] {
                all.push(ImageChange { description: description.clone(), family: family.clone(), deprecated });
            }
        }
    }
    all.retain(|change| *change != ImageChange::default());
    all
}

fn installations() -> Vec<Installation> {
    let mut all = Vec::new();
    for login in logins() {
        for user_data in [None, Some(secret())] {
            for system_disk_gib in [None, Some(60)] {
                for hostname in [None, Some("web-1".to_owned())] {
                    let (login, user_data) = (login.clone(), user_data.clone());
                    all.push(Installation { login, user_data, system_disk_gib, hostname });
                }
            }
        }
    }
    all
}

/// Every call that is no read.
pub(crate) fn changes() -> Vec<(&'static str, Vec<Body>)> {
    let mut all = bodies();
    all.retain(|(name, _)| *name != "Describe");
    all
}

fn bodies() -> Vec<(&'static str, Vec<Body>)> {
    each!(Body:
        "RunInstances" Body::RunInstances(_) => launches().into_iter().map(Box::new).map(Body::RunInstances).collect(),
        "CreateImage" Body::CreateImage { .. } => [false, true]
            .into_iter()
            .flat_map(|power_off| described().map(|(description, family, tags)| Body::CreateImage {
                name: text(60), instance: Arg::Known(instance()), power_off, description, family, tags,
            }))
            .collect(),
        "ImportImage" Body::ImportImage { .. } => imports()
            .into_iter()
            .flat_map(|source| described().map(|(description, family, tags)| Body::ImportImage {
                name: text(60), source: Box::new(source.clone()), description, family, tags,
            }))
            .collect(),
        "SyncImages" Body::SyncImages { .. } => [None, Some(None), Some(Some("kms-00000001".into()))]
            .into_iter()
            .flat_map(|encryption| [&["ap-guangzhou"][..], &["ap-beijing", "ap-shanghai"]].map(|to| Body::SyncImages {
                image: image(),
                to: to.iter().map(|region| Region::new(*region)).collect(),
                name: text(60),
                encryption: encryption.clone().map(|kms_key| Encryption { kms_key }),
            }))
            .collect(),
        "ShareImage" Body::ShareImage { .. } => [false, true]
            .into_iter()
            .flat_map(|cancel| [1, 100].map(|n| Body::ShareImage { image: image(), accounts: accounts(n), cancel }))
            .collect(),
        "ModifyImage" Body::ModifyImage { .. } =>
            changes_of_images().into_iter().map(|set| Body::ModifyImage { image: image(), set }).collect(),
        "DeleteImages" Body::DeleteImages { .. } =>
            sizes(MAX_DELETE).map(|n| Body::DeleteImages { images: images(n) }).into(),
        "TerminateInstances" Body::TerminateInstances { .. } => sizes(MAX_BATCH)
            .map(|n| Body::TerminateInstances { instances: instances(n).into_iter().map(Arg::Known).collect() })
            .into(),
        "StopInstances" Body::StopInstances { .. } => sizes(MAX_BATCH)
            .map(|n| Body::StopInstances { instances: instances(n).into_iter().map(Arg::Known).collect() })
            .into(),
        "StartInstances" Body::StartInstances { .. } =>
            sizes(MAX_BATCH).map(|n| Body::StartInstances { instances: instances(n) }).into(),
        "ResetInstance" Body::ResetInstance { .. } => installations()
            .into_iter()
            .map(|with| Body::ResetInstance { instance: instance(), image: image(), with: Box::new(with) })
            .collect(),
        "ResizeInstance" Body::ResizeInstance { .. } =>
            vec![Body::ResizeInstance { instance: instance(), instance_type: "S5.LARGE8".into() }],
        "ModifyInstances" Body::ModifyInstances { .. } => attributes()
            .into_iter()
            .flat_map(|set| sizes(MAX_BATCH)
                .map(|n| Body::ModifyInstances { instances: instances(n), set: set.clone() }))
            .collect(),
        "TagResources" Body::TagResources { .. } => sizes(MAX_TAG_RESOURCES)
            .into_iter()
            .flat_map(|n| [1, 10].map(|count| Body::TagResources { resources: resources(n), tags: tags(count) }))
            .collect(),
        "UntagResources" Body::UntagResources { .. } => sizes(MAX_TAG_RESOURCES)
            .into_iter()
            .flat_map(|n| [1, 10].map(|count| Body::UntagResources {
                resources: resources(n), keys: tags(count).into_keys().collect(),
            }))
            .collect(),
        "Describe" Body::Describe(_) => vec![Body::Describe(Query::Regions)],
    )
}

/// Every read.
pub(crate) fn reads() -> Vec<(&'static str, Vec<Query>)> {
    let page = PAGE as usize;
    let zones = |count: usize| (0..count).map(|n| Zone::new(format!("ap-guangzhou-{n}"))).collect::<Vec<_>>();
    let names = |count: usize| (0..count).map(|n| format!("shop-{n}")).collect::<Vec<_>>();
    let value = || ("fleetwright".to_owned(), "shop/default/fleet.web".to_owned());
    each!(Query:
        "Regions" Query::Regions => vec![Query::Regions],
        "Zones" Query::Zones => vec![Query::Zones],
        "Types" Query::Types => vec![Query::Types],
        "ImageQuota" Query::ImageQuota => vec![Query::ImageQuota],
        "AccountQuota" Query::AccountQuota => vec![Query::AccountQuota],
        "ImagesById" Query::ImagesById { .. } => sizes(page).map(|n| Query::ImagesById { ids: images(n) }).into(),
        "ImagesFitting" Query::ImagesFitting { .. } =>
            sizes(page).map(|n| Query::ImagesFitting { ids: images(n), instance_type: "S5.MEDIUM4".into() }).into(),
        "CustomImages" Query::CustomImages { .. } => [0, PAGE].map(|offset| Query::CustomImages { offset }).into(),
        "CustomImagesNamed" Query::CustomImagesNamed { .. } => [0, PAGE]
            .into_iter()
            .flat_map(|offset| [1, 5].map(|n| Query::CustomImagesNamed { names: names(n), offset }))
            .collect(),
        "PublicImages" Query::PublicImages { .. } => [None, Some("S5.MEDIUM4".into())]
            .into_iter()
            .flat_map(|instance_type| [0, PAGE].map(|offset| Query::PublicImages {
                name: "Ubuntu".to_owned(), instance_type: instance_type.clone(), offset,
            }))
            .collect(),
        "Shares" Query::Shares { .. } => vec![Query::Shares { image: ImageId::new("img-00000000") }],
        "InstancesById" Query::InstancesById { .. } =>
            sizes(page).map(|n| Query::InstancesById { ids: instances(n) }).into(),
        "Instances" Query::Instances { .. } => [0, PAGE].map(|offset| Query::Instances { offset }).into(),
        "InstancesTagged" Query::InstancesTagged { .. } => [0, PAGE]
            .map(|offset| { let (key, value) = value(); Query::InstancesTagged { key, value, offset } })
            .into(),
        "InstanceStates" Query::InstanceStates { .. } =>
            sizes(page).map(|n| Query::InstanceStates { ids: instances(n) }).into(),
        "ImportOs" Query::ImportOs => vec![Query::ImportOs],
        "Price" Query::Price(_) => launches().into_iter().map(Box::new).map(Query::Price).collect(),
        "Stock" Query::Stock { .. } => sizes(100)
            .map(|n| Query::Stock { zones: zones(n), types: (0..n).map(|n| format!("S5.MEDIUM{n}").as_str().into()).collect() })
            .into(),
        "DryRun" Query::DryRun(_) => changes()
            .into_iter()
            .flat_map(|(_, samples)| samples)
            .filter(Body::has_dry_run)
            .map(Box::new)
            .map(Query::DryRun)
            .collect(),
        "UserData" Query::UserData { .. } => sizes(page).map(|n| Query::UserData { ids: instances(n) }).into(),
    )
}

/// Every call, under the name of its kind.
pub(crate) fn all() -> BTreeMap<&'static str, Vec<Body>> {
    let reads = reads().into_iter().map(|(name, samples)| (name, samples.into_iter().map(Body::Describe).collect()));
    changes().into_iter().chain(reads).collect()
}
