//! What a call is on the wire: service, action, region and JSON body. The only place that puts secrets into bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::cloud::Secrets;
use crate::cloud::call::{
    Arg, Body, Call, Class, Fault, ImageChange, Installation, InstanceAttr, Launch, PAGE, Query, TagTarget,
};
use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::{CloudId, Region};
use crate::model::spec::{Charge, HostnamePattern, ImportSource, Login};

use super::fault;
use super::wire::requests::{
    CreateImage, DeleteImages, DescribeAccountQuota, DescribeImageQuota, DescribeImageSharePermission, DescribeImages,
    DescribeImportImageOs, DescribeInstanceTypeConfigs, DescribeInstances, DescribeInstancesAttributes,
    DescribeInstancesStatus, DescribeRegions, DescribeZoneInstanceConfigInfos, DescribeZones, ImportImage,
    InquiryPriceRunInstances, ModifyImageAttribute, ModifyImageSharePermission, ModifyInstancesAttribute,
    ResetInstance, ResetInstancesType, RunInstances, StartInstances, StopInstances, SyncImages, TagResources,
    TerminateInstances, UnTagResources,
};
use super::wire::{Request, TAG, shapes};

/// A request, but for signature and host. It has no debug output: its body may hold secrets.
pub struct Outgoing {
    /// `cvm` or `tag`.
    pub service: &'static str,
    /// The service's API version.
    pub version: &'static str,
    /// The action.
    pub action: &'static str,
    /// The region; `None` for the tag service, which has none.
    pub region: Option<Region>,
    /// JSON.
    pub body: Vec<u8>,
}

/// Encodes a call.
///
/// # Errors
/// The call still waits for an earlier step's output, or a secret cannot be read. Nothing was sent then, and no
/// message holds a secret.
pub fn encode(call: &Call, secrets: &dyn Secrets) -> Result<Outgoing, Fault> {
    match &call.body {
        Body::RunInstances(launch) => pack(call, &run_instances(launch, secrets)?),
        Body::CreateImage { name, instance, power_off, description, family, tags } => pack(
            call,
            &CreateImage {
                image_name: Some(name.clone()),
                instance_id: Some(known(instance)?.to_string()),
                image_description: description.clone(),
                force_poweroff: Some(power_off.to_string()),
                tag_specification: tag_specification("image", tags),
                image_family: family.clone(),
                ..CreateImage::default()
            },
        ),
        Body::ImportImage { name, source, description, family, tags } => {
            let ImportSource { url, os, os_version, architecture, boot_mode, force, license } = &**source;
            pack(
                call,
                &ImportImage {
                    architecture: Some(architecture.word().to_owned()),
                    os_type: Some(os.clone()),
                    os_version: Some(os_version.clone()),
                    image_url: Some(url.clone()),
                    image_name: Some(name.clone()),
                    image_description: description.clone(),
                    force: force.then_some(true),
                    tag_specification: tag_specification("image", tags),
                    license_type: license.map(|license| license.word().to_owned()),
                    boot_mode: boot_mode.map(|mode| mode.word().to_owned()),
                    image_family: family.clone(),
                    ..ImportImage::default()
                },
            )
        }
        Body::SyncImages { image, to, name, encryption } => pack(
            call,
            &SyncImages {
                image_ids: Some(vec![known(image)?.to_string()]),
                destination_regions: Some(texts(to)),
                image_name: Some(name.clone()),
                image_set_required: Some(true),
                encrypt: encryption.as_ref().map(|_| true),
                kms_key_id: encryption
                    .as_ref()
                    .and_then(|encryption| encryption.kms_key.as_ref())
                    .map(ToString::to_string),
                ..SyncImages::default()
            },
        ),
        Body::ShareImage { image, accounts, cancel } => pack(
            call,
            &ModifyImageSharePermission {
                image_id: Some(known(image)?.to_string()),
                account_ids: Some(texts(accounts)),
                permission: Some(if *cancel { "CANCEL" } else { "SHARE" }.to_owned()),
            },
        ),
        Body::ModifyImage { image, set: ImageChange { description, family, deprecated } } => pack(
            call,
            &ModifyImageAttribute {
                image_id: Some(known(image)?.to_string()),
                image_description: description.clone(),
                image_family: family.clone(),
                image_deprecated: *deprecated,
                ..ModifyImageAttribute::default()
            },
        ),
        Body::DeleteImages { images } => pack(
            call,
            &DeleteImages { image_ids: Some(texts(images)), delete_binded_snap: Some(true), ..DeleteImages::default() },
        ),
        Body::TerminateInstances { instances } => {
            // Data disks go with their instance however it is paid for; without this a prepaid one's would be left.
            let release_prepaid_data_disks = Some(true);
            let instance_ids = Some(texts(instances.iter().map(known).collect::<Result<Vec<_>, Fault>>()?));
            pack(
                call,
                &TerminateInstances { instance_ids, release_prepaid_data_disks, ..TerminateInstances::default() },
            )
        }
        Body::StopInstances { instances } => pack(
            call,
            &StopInstances {
                instance_ids: Some(texts(instances.iter().map(known).collect::<Result<Vec<_>, Fault>>()?)),
                stop_type: Some("SOFT_FIRST".to_owned()),
                ..StopInstances::default()
            },
        ),
        Body::StartInstances { instances } => pack(call, &StartInstances { instance_ids: Some(texts(instances)) }),
        Body::ResetInstance { instance, image, with } => {
            let Installation { login, user_data, system_disk_gib, hostname } = &**with;
            pack(
                call,
                &ResetInstance {
                    instance_id: Some(instance.to_string()),
                    image_id: Some(known(image)?.to_string()),
                    login_settings: login_settings(login),
                    user_data: user_data.as_ref().map(|secret| encoded(secret, secrets)).transpose()?,
                    system_disk: system_disk_gib
                        .map(|size| shapes::SystemDisk { disk_size: Some(i64::from(size)), ..Default::default() }),
                    host_name: hostname.clone(),
                    ..ResetInstance::default()
                },
            )
        }
        Body::ResizeInstance { instance, instance_type } => pack(
            call,
            &ResetInstancesType {
                instance_ids: Some(vec![instance.to_string()]),
                instance_type: Some(instance_type.to_string()),
                ..ResetInstancesType::default()
            },
        ),
        Body::ModifyInstances { instances, set } => {
            let mut request = ModifyInstancesAttribute { instance_ids: Some(texts(instances)), ..Default::default() };
            match set {
                InstanceAttr::Name(name) => request.instance_name = Some(name.clone()),
                InstanceAttr::SecurityGroups(groups) => request.security_groups = Some(texts(groups)),
                InstanceAttr::Hostname(name) => request.host_name = Some(name.clone()),
                InstanceAttr::CamRole(role) => request.cam_role_name = Some(role.clone().unwrap_or_default()),
                InstanceAttr::Protection(on) => request.disable_api_termination = Some(*on),
            }
            pack(call, &request)
        }
        Body::TagResources { resources, tags } => {
            let tag = |(key, value): (&String, &String)| shapes::ServiceTag {
                tag_key: Some(key.clone()),
                tag_value: Some(value.clone()),
                category: None,
            };
            pack(
                call,
                &TagResources {
                    resource_list: Some(descriptors(call, resources)?),
                    tags: Some(tags.iter().map(tag).collect()),
                },
            )
        }
        Body::UntagResources { resources, keys } => pack(
            call,
            &UnTagResources {
                resource_list: Some(descriptors(call, resources)?),
                tag_keys: Some(keys.iter().cloned().collect()),
            },
        ),
        Body::Describe(query) => describe(call, query, secrets),
    }
}

/// Every read that has pages says how long they are: the default would be 20 (API text 1.10).
fn describe(call: &Call, query: &Query, secrets: &dyn Secrets) -> Result<Outgoing, Fault> {
    let limit = Some(i64::from(PAGE));
    let offset = |offset: u32| (offset > 0).then_some(i64::from(offset));
    let images = |filters: Vec<shapes::Filter>, from: u32| DescribeImages {
        filters: Some(filters),
        offset: offset(from),
        limit,
        ..DescribeImages::default()
    };
    match query {
        Query::Regions => pack(call, &DescribeRegions::default()),
        Query::Zones => pack(call, &DescribeZones::default()),
        Query::Types => pack(call, &DescribeInstanceTypeConfigs::default()),
        Query::ImageQuota => pack(call, &DescribeImageQuota::default()),
        Query::AccountQuota => pack(call, &DescribeAccountQuota::default()),
        Query::ImagesById { ids } => {
            pack(call, &DescribeImages { image_ids: Some(texts(ids)), limit, ..DescribeImages::default() })
        }
        Query::ImagesFitting { ids, instance_type } => {
            let (image_ids, instance_type) = (Some(texts(ids)), Some(instance_type.to_string()));
            pack(call, &DescribeImages { image_ids, instance_type, limit, ..DescribeImages::default() })
        }
        Query::CustomImages { offset } => pack(call, &images(vec![filter("image-type", ["PRIVATE_IMAGE"])], *offset)),
        Query::CustomImagesNamed { names, offset } => {
            let filters = vec![filter("image-type", ["PRIVATE_IMAGE"]), filter("image-name", names)];
            pack(call, &images(filters, *offset))
        }
        Query::PublicImages { name, instance_type, offset } => {
            let filters = vec![filter("image-type", ["PUBLIC_IMAGE"]), filter("image-name", [name])];
            let instance_type = instance_type.as_ref().map(ToString::to_string);
            pack(call, &DescribeImages { instance_type, ..images(filters, *offset) })
        }
        Query::Shares { image } => pack(call, &DescribeImageSharePermission { image_id: Some(image.to_string()) }),
        Query::InstancesById { ids } => {
            pack(call, &DescribeInstances { instance_ids: Some(texts(ids)), limit, ..DescribeInstances::default() })
        }
        Query::Instances { offset: from } => {
            pack(call, &DescribeInstances { offset: offset(*from), limit, ..DescribeInstances::default() })
        }
        Query::InstancesTagged { key, value, offset: from } => pack(
            call,
            &DescribeInstances {
                filters: Some(vec![filter(&format!("tag:{key}"), [value])]),
                offset: offset(*from),
                limit,
                ..DescribeInstances::default()
            },
        ),
        Query::InstanceStates { ids } => {
            pack(call, &DescribeInstancesStatus { instance_ids: Some(texts(ids)), limit, ..Default::default() })
        }
        Query::ImportOs => pack(call, &DescribeImportImageOs::default()),
        Query::Price(launch) => pack(call, &price_of(launch, secrets)?),
        Query::Stock { zones, types } => pack(
            call,
            &DescribeZoneInstanceConfigInfos {
                filters: Some(vec![filter("zone", texts(zones)), filter("instance-type", texts(types))]),
            },
        ),
        Query::DryRun(body) => dry_run(call, body, secrets),
        Query::UserData { ids } => pack(
            call,
            &DescribeInstancesAttributes {
                instance_ids: Some(texts(ids)),
                attributes: Some(vec!["UserData".to_owned()]),
            },
        ),
    }
}

fn run_instances(launch: &Launch, secrets: &dyn Secrets) -> Result<RunInstances, Fault> {
    let Launch {
        zone,
        image,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        name_prefix,
        first_ordinal,
        count,
        tags,
        user_data,
        hostname,
        charge,
        placement_group,
        cam_role,
        protect,
        token,
    } = launch;
    // `{R:x}` counts up from x (API text 5.1). It is not used for one, whose name would stay the pattern's business.
    let name = match count {
        1 => format!("{name_prefix}{first_ordinal}"),
        _ => format!("{name_prefix}{{R:{first_ordinal}}}"),
    };
    // As with the instance's name (API text 5.1).
    let hostname = hostname.as_ref().map(|HostnamePattern(pattern)| match count {
        1 => pattern.replace(HostnamePattern::ORDINAL, &first_ordinal.to_string()),
        _ => pattern.replace(HostnamePattern::ORDINAL, &format!("{{R:{first_ordinal}}}")),
    });
    let declared_disk = system_disk.kind.is_some() || system_disk.size_gib.is_some();
    Ok(RunInstances {
        instance_charge_type: Some(charge.word().to_owned()),
        instance_charge_prepaid: match charge {
            Charge::Prepaid { months, renew } => Some(shapes::InstanceChargePrepaid {
                period: Some(i64::from(*months)),
                renew_flag: Some(renew.word().to_owned()),
            }),
            Charge::Hourly | Charge::Spot { .. } => None,
        },
        instance_market_options: match charge {
            Charge::Spot { max_price: Some(price) } => Some(shapes::InstanceMarketOptions {
                spot_options: Some(shapes::SpotOptions { max_price: Some(price.clone()), spot_instance_type: None }),
                market_type: None,
            }),
            Charge::Spot { max_price: None } | Charge::Hourly | Charge::Prepaid { .. } => None,
        },
        placement: Some(shapes::Placement { zone: Some(zone.to_string()), ..shapes::Placement::default() }),
        image_id: Some(known(image)?.to_string()),
        instance_type: Some(instance_type.to_string()),
        system_disk: declared_disk.then(|| shapes::SystemDisk {
            disk_type: system_disk.kind.as_ref().map(ToString::to_string),
            disk_size: system_disk.size_gib.map(i64::from),
            ..shapes::SystemDisk::default()
        }),
        data_disks: some_of(data_disks.iter().map(|disk| shapes::DataDisk {
            disk_size: Some(i64::from(disk.size_gib)),
            disk_type: Some(disk.kind.to_string()),
            ..shapes::DataDisk::default()
        })),
        virtual_private_cloud: network.subnet.as_ref().map(|(vpc, subnet)| shapes::VirtualPrivateCloud {
            vpc_id: Some(vpc.to_string()),
            subnet_id: Some(subnet.to_string()),
            ..shapes::VirtualPrivateCloud::default()
        }),
        internet_accessible: internet.as_ref().map(|internet| shapes::InternetAccessible {
            internet_charge_type: Some(internet.charge.word().to_owned()),
            internet_max_bandwidth_out: Some(i64::from(internet.bandwidth_mbps)),
            public_ip_assigned: Some(internet.public_ip),
            ..shapes::InternetAccessible::default()
        }),
        instance_count: Some(i64::from(*count)),
        instance_name: Some(name),
        login_settings: login_settings(login),
        security_group_ids: some_of(network.security_groups.iter().flatten().map(ToString::to_string)),
        client_token: token.clone(),
        host_name: hostname,
        disaster_recover_group_ids: placement_group.as_ref().map(|group| vec![group.to_string()]),
        cam_role_name: cam_role.clone(),
        disable_api_termination: protect.then_some(true),
        tag_specification: tag_specification("instance", tags),
        user_data: user_data.as_ref().map(|secret| encoded(secret, secrets)).transpose()?,
        ..RunInstances::default()
    })
}

/// What bears on the price of a launch, of one instance (API text 6.1).
fn price_of(launch: &Launch, secrets: &dyn Secrets) -> Result<InquiryPriceRunInstances, Fault> {
    let asked = Launch { count: 1, login: Login::Unset, user_data: None, token: None, ..launch.clone() };
    let asked = run_instances(&asked, secrets)?;
    Ok(InquiryPriceRunInstances {
        placement: asked.placement,
        image_id: asked.image_id,
        instance_charge_type: asked.instance_charge_type,
        instance_charge_prepaid: asked.instance_charge_prepaid,
        instance_type: asked.instance_type,
        system_disk: asked.system_disk,
        data_disks: asked.data_disks,
        virtual_private_cloud: asked.virtual_private_cloud,
        internet_accessible: asked.internet_accessible,
        instance_count: asked.instance_count,
        instance_market_options: asked.instance_market_options,
        ..InquiryPriceRunInstances::default()
    })
}

/// A call that is only checked. It bears no token: that is for the one that is meant.
fn dry_run(call: &Call, body: &Body, secrets: &dyn Secrets) -> Result<Outgoing, Fault> {
    let mut body = body.clone();
    if let Body::RunInstances(launch) = &mut body {
        launch.token = None;
    }
    let out = encode(&Call { body, ..call.clone() }, secrets)?;
    let strange = |_| fault::unsendable(Class::Invalid, format!("{} has no JSON form", out.action));
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&out.body).map_err(strange)?;
    fields.insert("DryRun".to_owned(), true.into());
    let body = serde_json::to_vec(&fields).map_err(strange)?;
    Ok(Outgoing { body, ..out })
}

fn pack<R: Request>(call: &Call, request: &R) -> Result<Outgoing, Fault> {
    let body = serde_json::to_vec(request)
        .map_err(|_| fault::unsendable(Class::Invalid, format!("{} has no JSON form", R::ACTION)))?;
    let region = (R::SERVICE != TAG.0).then(|| call.region.clone());
    Ok(Outgoing { service: R::SERVICE, version: R::VERSION, action: R::ACTION, region, body })
}

fn known<T>(arg: &Arg<T>) -> Result<&T, Fault> {
    match arg {
        Arg::Known(value) => Ok(value),
        Arg::Output { step, target } => Err(fault::unsendable(
            Class::Invalid,
            format!("the call needs what {step} makes for its target {target}, which is not known yet"),
        )),
    }
}

/// Base64 of a secret (API text 5.1). The sentence of a reader that failed is passed on: by its contract it holds no
/// secret.
fn encoded(secret: &SecretRef, secrets: &dyn Secrets) -> Result<String, Fault> {
    match secrets.read(secret) {
        Ok(bytes) => Ok(BASE64.encode(bytes)),
        Err(why) => Err(fault::unsendable(Class::Invalid, format!("user data from {}: {why}", secret.source))),
    }
}

/// `KeepImageLogin` is a text (API text 1.10).
fn login_settings(login: &Login) -> Option<shapes::LoginSettings> {
    match login {
        Login::Unset => None,
        Login::Keys(keys) => {
            Some(shapes::LoginSettings { key_ids: Some(texts(keys)), ..shapes::LoginSettings::default() })
        }
        Login::KeepImage => Some(shapes::LoginSettings {
            keep_image_login: Some("true".to_owned()),
            ..shapes::LoginSettings::default()
        }),
    }
}

fn tag_specification(resource: &str, tags: &Tags) -> Option<Vec<shapes::TagSpecification>> {
    let tags =
        some_of(tags.iter().map(|(key, value)| shapes::Tag { key: Some(key.clone()), value: Some(value.clone()) }))?;
    Some(vec![shapes::TagSpecification { resource_type: Some(resource.to_owned()), tags: Some(tags) }])
}

/// The six-part names of things (API text 7).
fn descriptors(call: &Call, resources: &[TagTarget]) -> Result<Vec<String>, Fault> {
    let account = &call.account;
    let descriptor = |TagTarget { region, id }: &TagTarget| {
        let (prefix, id) = match known(id)? {
            CloudId::Image(id) => ("image", id.as_str()),
            CloudId::Instance(id) => ("instance", id.as_str()),
        };
        Ok(format!("qcs::cvm:{region}:uin/{account}:{prefix}/{id}"))
    };
    resources.iter().map(descriptor).collect()
}

fn filter<T: ToString>(name: &str, values: impl IntoIterator<Item = T>) -> shapes::Filter {
    shapes::Filter {
        name: Some(name.to_owned()),
        values: Some(values.into_iter().map(|value| value.to_string()).collect()),
    }
}

fn texts<T: ToString>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// `None` for nothing: an empty list is not the same to the API as no list.
fn some_of<T>(items: impl IntoIterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.into_iter().collect();
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
