//! What an answer means: bytes in, a reply or a fault out.
//!
//! Answers are read leniently: fields that are new, absent or `null` are no trouble, and an enumeration's new values
//! arrive as `Other` (API text 1.6). Texts that repeat within a page share their bytes.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::cloud::call::{Answer, Body, Call, Fault, Page, Query, Reply, Sold, TagFailure};
use crate::model::Millis;
use crate::model::ids::{
    CloudId, DiskType, ImageId, InstanceId, InstanceType, KeyId, PlacementGroupId, Region, RequestId, SecurityGroupId,
    SnapshotId, SubnetId, Uin, VpcId, Zone,
};
use crate::model::label::Label;
use crate::model::limits::Quota;
use crate::model::observed::{
    Disk, Image, ImageKind, ImageState, ImportOs, ImportVersions, Instance, InstanceState, LatestOperation,
    OperationState, TypeSeen,
};
use crate::model::price::{ChargeUnit, ItemPrice, Micros, Price};

use super::fault;
use super::transport::HttpResponse;
use read::{Answered, List, Text};

/// The answer of a tag filter whose key nobody carries: an empty list, not an error.
const TAG_KEY_NOT_FOUND: &str = "InvalidParameterValue.TagKeyNotFound";

/// A dry run of what would have worked, where that is told as an error.
const DRY_RUN_WORKED: &str = "DryRunOperation";

/// Decodes the answer to `call`. `signed_ms` stands in for the server's clock where the transport tells none.
///
/// # Errors
/// The service's own error, by its class; or the answer is none of the service's, so that a change is in doubt.
pub fn decode(call: &Call, response: &HttpResponse, signed_ms: Millis) -> Result<Answer, Fault> {
    let reading = Reading { call, response, signed_ms };
    match &call.body {
        Body::RunInstances(_) => reading.reply(|answer: read::Launched<'_>| {
            let ids: Vec<_> =
                answer.instance_id_set.0.iter().map(|id| CloudId::Instance(InstanceId::new(&*id.0))).collect();
            (!ids.is_empty()).then_some(Reply::Ids(ids)).ok_or("no ids of instances")
        }),
        // A null id is documented (API text 4.6); the image then has to be found by its name.
        Body::CreateImage { .. } => reading.reply(|answer: read::ImageMade<'_>| match answer.image_id.0.as_ref() {
            "" => Err("no id of an image"),
            id => Ok(Reply::Ids(vec![CloudId::Image(ImageId::new(id))])),
        }),
        // Some sites answer no id (API text 4.10); the image then has to be found by its name.
        Body::ImportImage { .. } => reading.reply(|answer: read::ImageMade<'_>| {
            let id = Some(answer.image_id.0).filter(|id| !id.is_empty());
            Ok(id.map_or(Reply::Done, |id| Reply::Ids(vec![CloudId::Image(ImageId::new(&*id))])))
        }),
        Body::SyncImages { .. } => reading.reply(|answer: read::Copied<'_>| {
            let copy = |copy: &read::Copy<'_>| (Region::new(&*copy.region.0), ImageId::new(&*copy.image_id.0));
            Ok(Reply::Copies(answer.image_set.0.iter().map(copy).collect()))
        }),
        Body::ShareImage { .. }
        | Body::ModifyImage { .. }
        | Body::DeleteImages { .. }
        | Body::TerminateInstances { .. }
        | Body::StopInstances { .. }
        | Body::StartInstances { .. }
        | Body::ResetInstance { .. }
        | Body::ResizeInstance { .. }
        | Body::ModifyInstances { .. } => reading.reply(|_: read::Accepted<'_>| Ok(Reply::Done)),
        Body::TagResources { .. } | Body::UntagResources { .. } => reading.reply(|answer: read::TagsSet<'_>| {
            let failure = |failed: read::TagRefusal<'_>| TagFailure {
                id: failed.resource.0.rsplit('/').next().unwrap_or_default().to_owned(),
                code: failed.code.owned(),
                message: failed.message.owned(),
            };
            Ok(Reply::Tagged { failed: answer.failed_resources.0.into_iter().map(failure).collect() })
        }),
        Body::Describe(query) => reading.query(query),
    }
}

struct Reading<'a> {
    call: &'a Call,
    response: &'a HttpResponse,
    signed_ms: Millis,
}

impl<'a> Reading<'a> {
    fn query(&self, query: &Query) -> Result<Answer, Fault> {
        match query {
            Query::Regions => self.reply(|answer: read::Regions<'_>| {
                Ok(Reply::Regions(answer.region_set.0.iter().map(|region| Region::new(&*region.region.0)).collect()))
            }),
            Query::Zones => self.reply(|answer: read::Zones<'_>| {
                let zone = |zone: &read::Zone<'_>| (Zone::new(&*zone.zone.0), zone.zone_state.0 == "AVAILABLE");
                Ok(Reply::Zones(answer.zone_set.0.iter().map(zone).collect()))
            }),
            Query::Types => self.reply(|answer: read::Types<'_>| {
                let mut shared = Shared::default();
                let mut types = BTreeMap::new();
                for config in &answer.instance_type_config_set.0 {
                    let key =
                        (Zone::new(shared.get(&config.zone.0)), InstanceType::new(shared.get(&config.instance_type.0)));
                    types.insert(key, TypeSeen { cpu: count(config.cpu), memory_gib: count(config.memory) });
                }
                Ok(Reply::Types(types))
            }),
            Query::ImageQuota => self.reply(|answer: read::ImageQuota<'_>| match answer.image_num_quota {
                Some(total) => Ok(Reply::ImageQuota(count(Some(total)))),
                None => Err("no quota"),
            }),
            Query::AccountQuota => self.reply(|answer: read::AccountQuota<'_>| Ok(account_quota(&answer))),
            Query::ImagesById { .. }
            | Query::ImagesFitting { .. }
            | Query::CustomImages { .. }
            | Query::CustomImagesNamed { .. }
            | Query::PublicImages { .. } => self.reply(|answer: read::Images<'_>| {
                let mut shared = Shared::default();
                let items = answer.image_set.0.into_iter().map(|image| to_image(image, &mut shared)).collect();
                Ok(Reply::Images(Page { total: count(answer.total_count), items }))
            }),
            Query::Shares { .. } => self.reply(|answer: read::Shares<'_>| {
                let accounts = answer.share_permission_set.0.iter();
                Ok(Reply::Shares(accounts.map(|share| Uin::new(&*share.account_id.0)).collect()))
            }),
            Query::InstancesById { .. } | Query::Instances { .. } => self.reply(instances),
            Query::InstancesTagged { .. } => match self.reply(instances) {
                Err(Fault { code: Some(code), request_id: Some(request_id), .. }) if code == TAG_KEY_NOT_FOUND => {
                    let reply = Reply::Instances(Page { total: 0, items: Vec::new() });
                    Ok(Answer { reply, request_id, cloud_ms: self.cloud_ms() })
                }
                other => other,
            },
            Query::InstanceStates { .. } => self.reply(|answer: read::States<'_>| {
                let state = |seen: &read::State<'_>| {
                    (InstanceId::new(&*seen.instance_id.0), instance_state(&seen.instance_state.0))
                };
                Ok(Reply::States(answer.instance_status_set.0.iter().map(state).collect()))
            }),
            Query::ImportOs => self.reply(|answer: read::ImportOs<'_>| Ok(import_os(answer))),
            Query::Price(_) => self.reply(|answer: read::Priced<'_>| {
                let price = answer.price.ok_or("no price")?;
                Ok(Reply::Price(Price {
                    instance: price.instance_price.as_ref().map(item_price),
                    bandwidth: price.bandwidth_price.as_ref().map(item_price),
                }))
            }),
            Query::Stock { .. } => self.reply(|answer: read::Stock<'_>| {
                let mut stock = BTreeMap::new();
                for item in &answer.instance_type_quota_set.0 {
                    let place = (Zone::new(&*item.zone.0), InstanceType::new(&*item.instance_type.0));
                    let sold = Sold { sells: item.status.0 == "SELL", category: item.status_category.0.to_string() };
                    stock.insert((place.0, place.1, item.instance_charge_type.0.to_string()), sold);
                }
                Ok(Reply::Stock(stock))
            }),
            // What would have worked is answered as one or the other; which, is unconfirmed (API text 9.3).
            Query::DryRun(_) => match self.reply(|_: read::Accepted<'_>| Ok(Reply::Done)) {
                Err(Fault { code: Some(code), request_id: Some(request_id), .. }) if code == DRY_RUN_WORKED => {
                    Ok(Answer { reply: Reply::Done, request_id, cloud_ms: self.cloud_ms() })
                }
                other => other,
            },
            Query::UserData { .. } => self.reply(|answer: read::Attributes<'_>| {
                let mut data = BTreeMap::new();
                for instance in &answer.instance_set.0 {
                    let text = instance.attributes.as_ref().map_or("", |attributes| &attributes.user_data.0);
                    let bytes = BASE64.decode(text).map_err(|_| "user data that is not Base64")?;
                    data.insert(InstanceId::new(&*instance.instance_id.0), bytes);
                }
                Ok(Reply::UserData(data))
            }),
        }
    }

    fn reply<T: Answered<'a>>(&self, to_reply: impl FnOnce(T) -> Result<Reply, &'static str>) -> Result<Answer, Fault> {
        let HttpResponse { status, body, .. } = self.response;
        if *status != 200 {
            return Err(self.unreadable(&format!("the status was {status}")));
        }
        // Checked as a whole, which is quicker than text by text.
        let text = std::str::from_utf8(body).map_err(|_| self.unreadable("the answer is not UTF-8"))?;
        let read::Envelope { response } = serde_json::from_str::<read::Envelope<T>>(text)
            .map_err(|error| self.unreadable(&format!("the answer cannot be read: {error}")))?;
        let request_id = response.request_id();
        let request_id = (!request_id.is_empty()).then(|| RequestId::new(request_id));
        if let Some(error) = response.error() {
            let (code, message) = (error.code.0.to_string(), error.message.0.to_string());
            return Err(fault::refused(self.mutates(), code, message, request_id, self.response.cloud_ms));
        }
        let Some(request_id) = request_id else {
            return Err(self.unreadable("the answer has no RequestId"));
        };
        match to_reply(response) {
            Ok(reply) => Ok(Answer { reply, request_id, cloud_ms: self.cloud_ms() }),
            Err(what) => {
                let fault = self.unreadable(&format!("the answer has {what}"));
                Err(Fault { request_id: Some(request_id), ..fault })
            }
        }
    }

    fn mutates(&self) -> bool {
        self.call.body.mutates()
    }

    fn cloud_ms(&self) -> Millis {
        self.response.cloud_ms.unwrap_or(self.signed_ms)
    }

    fn unreadable(&self, what: &str) -> Fault {
        let message = format!("{}: {what}", self.call.body.action());
        fault::unreadable(self.mutates(), message, self.response.cloud_ms)
    }
}

/// What repeats within a page.
#[derive(Default)]
struct Shared {
    texts: BTreeSet<Label>,
    /// Of the instance before.
    tags: Arc<BTreeMap<String, String>>,
    groups: Arc<BTreeSet<SecurityGroupId>>,
    keys: Arc<BTreeSet<KeyId>>,
}

impl Shared {
    /// The text as a label, which those that have the same text share where it is long.
    fn get(&mut self, text: &str) -> Label {
        let label = Label::from(text);
        if label.is_short() {
            return label;
        }
        if let Some(known) = self.texts.get(&label) {
            return known.clone();
        }
        self.texts.insert(label.clone());
        label
    }

    /// The text, where there is any.
    fn some(&mut self, text: &str) -> Option<Label> {
        (!text.is_empty()).then(|| self.get(text))
    }
}

/// What the instance before had, where this one has the same.
fn same<T: PartialEq>(before: &mut Arc<T>, now: T) -> Arc<T> {
    if **before != now {
        *before = Arc::new(now);
    }
    Arc::clone(before)
}

fn instances(answer: read::Instances<'_>) -> Result<Reply, &'static str> {
    let mut shared = Shared::default();
    let items = answer.instance_set.0.into_iter().map(|instance| to_instance(instance, &mut shared)).collect();
    Ok(Reply::Instances(Page { total: count(answer.total_count), items }))
}

fn account_quota(answer: &read::AccountQuota<'_>) -> Reply {
    let quota = answer.account_quota_overview.as_ref().and_then(|overview| overview.account_quota.as_ref());
    let to_quota = |used, total| Quota { used: count(used), total: count(total) };
    let by_zone = |set: Option<&List<read::Used<'_>>>| {
        let listed = set.into_iter().flat_map(|set| &set.0);
        listed.map(|q| (Zone::new(&*q.zone.0), to_quota(q.used_quota, q.total_quota))).collect()
    };
    Reply::AccountQuota {
        images: quota.and_then(|quota| quota.image_quota_set.0.first()).map(|q| to_quota(q.used_quota, q.total_quota)),
        instances: by_zone(quota.map(|quota| &quota.post_paid_quota_set)),
        prepaid: by_zone(quota.map(|quota| &quota.pre_paid_quota_set)),
        spot: by_zone(quota.map(|quota| &quota.spot_paid_quota_set)),
    }
}

fn import_os(answer: read::ImportOs<'_>) -> Reply {
    let listed = answer.import_image_os_list_supported.unwrap_or_default();
    let texts = |list: List<Text<'_>>| list.0.into_iter().map(Text::owned).collect::<BTreeSet<String>>();
    let mut systems = texts(listed.linux);
    systems.extend(texts(listed.windows));
    let version = |os: read::OsVersion<'_>| {
        (os.os_name.owned(), ImportVersions { versions: texts(os.os_versions), architectures: texts(os.architecture) })
    };
    Reply::ImportOs(ImportOs {
        systems,
        versions: answer.import_image_os_version_set.0.into_iter().map(version).collect(),
    })
}

/// After discount, where there is one. Examples fill fields that do not apply with 0 (API text 3.11).
fn item_price(item: &read::ItemPrice<'_>) -> ItemPrice {
    let paid = |discounted: Option<f64>, listed: Option<f64>| {
        discounted.or(listed).filter(|amount| amount.is_finite() && *amount >= 0.0).map(Micros::of)
    };
    let charge_unit = match item.charge_unit.0.as_ref() {
        "HOUR" => Some(ChargeUnit::Hour),
        "GB" => Some(ChargeUnit::Gb),
        _ => None,
    };
    ItemPrice {
        unit: charge_unit.and_then(|_| paid(item.unit_price_discount, item.unit_price)),
        charge_unit,
        total: paid(item.discount_price, item.original_price).filter(|_| charge_unit.is_none()),
    }
}

fn to_image(image: read::Image<'_>, shared: &mut Shared) -> Image {
    Image {
        id: ImageId::new(&*image.image_id.0),
        state: match image.image_state.0.as_ref() {
            "CREATING" => ImageState::Creating,
            "NORMAL" => ImageState::Normal,
            "CREATEFAILED" => ImageState::CreateFailed,
            "SYNCING" => ImageState::Syncing,
            "IMPORTING" => ImageState::Importing,
            "IMPORTFAILED" => ImageState::ImportFailed,
            other => ImageState::Other(other.to_owned()),
        },
        kind: match image.image_type.0.as_ref() {
            "PUBLIC_IMAGE" => ImageKind::Public,
            "PRIVATE_IMAGE" => ImageKind::Private,
            "SHARED_IMAGE" => ImageKind::Shared,
            "MARKET_IMAGE" => ImageKind::Market,
            other => ImageKind::Other(other.to_owned()),
        },
        sync_percent: image.sync_percent.map(|percent| u8::try_from(percent.clamp(0, 100)).unwrap_or(0)),
        created_ms: time_ms(&image.created_time.0),
        size_gib: count(image.image_size),
        deprecated: image.image_deprecated.unwrap_or(false),
        source: image.image_source.owned(),
        snapshots: image.snapshot_set.0.iter().map(|s| SnapshotId::new(shared.get(&s.snapshot_id.0))).collect(),
        tags: tags(image.tags),
        name: image.image_name.owned(),
        description: image.image_description.owned(),
        architecture: image.architecture.owned(),
        platform: image.platform.owned(),
        creator: image.image_creator.owned(),
        family: image.image_family.owned(),
    }
}

fn to_instance(instance: read::Instance<'_>, shared: &mut Shared) -> Instance {
    let mut disk = |disk: &read::Disk<'_>| Disk {
        id: (!disk.disk_id.0.is_empty()).then(|| (*disk.disk_id.0).into()),
        kind: DiskType::new(shared.get(&disk.disk_type.0)),
        size_gib: count(disk.disk_size),
    };
    let system_disk = disk(&instance.system_disk.unwrap_or_default());
    let data_disks = instance.data_disks.0.iter().map(disk).collect();
    let network = instance.virtual_private_cloud.unwrap_or_default();
    let internet = instance.internet_accessible.unwrap_or_default();
    let private = u16::try_from(instance.private_ip_addresses.0.len()).unwrap_or(u16::MAX);
    let addresses = instance.private_ip_addresses.0.into_iter().chain(instance.public_ip_addresses.0);
    Instance {
        id: InstanceId::new(&*instance.instance_id.0),
        state: instance_state(&instance.instance_state.0),
        instance_type: InstanceType::new(shared.get(&instance.instance_type.0)),
        zone: Zone::new(shared.get(&instance.placement.unwrap_or_default().zone.0)),
        image: ImageId::new(shared.get(&instance.image_id.0)),
        system_disk,
        data_disks,
        vpc: VpcId::new(shared.get(&network.vpc_id.0)),
        subnet: SubnetId::new(shared.get(&network.subnet_id.0)),
        security_groups: same(&mut shared.groups, ids(&instance.security_group_ids, SecurityGroupId::new)),
        keys: same(&mut shared.keys, ids(&instance.login_settings.unwrap_or_default().key_ids, KeyId::new)),
        internet_charge: shared.some(&internet.internet_charge_type.0),
        bandwidth_mbps: count(internet.internet_max_bandwidth_out),
        addresses: addresses.map(|address| Label::from(&*address.0)).collect(),
        private_addresses: private,
        created_ms: time_ms(&instance.created_time.0),
        latest: (!instance.latest_operation.0.is_empty()).then(|| LatestOperation {
            name: shared.get(&instance.latest_operation.0),
            state: match instance.latest_operation_state.0.as_ref() {
                "SUCCESS" => OperationState::Success,
                "OPERATING" => OperationState::Operating,
                "FAILED" => OperationState::Failed,
                _ => OperationState::Unknown,
            },
            request_id: Some(instance.latest_operation_request_id.0)
                .filter(|id| !id.is_empty())
                .map(|id| RequestId::new(shared.get(&id))),
            error: Some(instance.latest_operation_error_msg.owned()).filter(|error| !error.is_empty()),
        }),
        protected: instance.disable_api_termination.unwrap_or(false),
        renew: shared.some(&instance.renew_flag.0),
        expires_ms: Some(time_ms(&instance.expired_time.0)).filter(|ms| *ms > 0),
        hostname: some_text(instance.host_name),
        placement_group: instance
            .disaster_recover_group_ids
            .0
            .first()
            .filter(|id| !id.0.is_empty())
            .map(|id| PlacementGroupId::new(shared.get(&id.0))),
        cam_role: some_text(instance.cam_role_name),
        isolated: some_text(instance.isolated_source).filter(|source| source != "NOTISOLATED"),
        tags: same(&mut shared.tags, tags(instance.tags)),
        name: instance.instance_name.owned(),
        charge_type: shared.get(&instance.instance_charge_type.0),
    }
}

fn some_text(text: Text<'_>) -> Option<String> {
    Some(text.owned()).filter(|text| !text.is_empty())
}

fn instance_state(word: &str) -> InstanceState {
    match word {
        "PENDING" => InstanceState::Pending,
        "LAUNCH_FAILED" => InstanceState::LaunchFailed,
        "RUNNING" => InstanceState::Running,
        "STOPPED" => InstanceState::Stopped,
        "STARTING" => InstanceState::Starting,
        "STOPPING" => InstanceState::Stopping,
        "REBOOTING" => InstanceState::Rebooting,
        "SHUTDOWN" => InstanceState::Shutdown,
        "TERMINATING" => InstanceState::Terminating,
        other => InstanceState::Other(other.to_owned()),
    }
}

fn ids<T: Ord>(texts: &List<Text<'_>>, new: impl Fn(Label) -> T) -> BTreeSet<T> {
    texts.0.iter().map(|text| new(Label::from(&*text.0))).collect()
}

fn tags(tags: List<read::Tag<'_>>) -> BTreeMap<String, String> {
    tags.0.into_iter().map(|tag| (tag.key.owned(), tag.value.owned())).collect()
}

/// Both forms of time are read, `Z` and `+00:00` (API text 1.10). One that is missing or of another form is the epoch:
/// older than anything.
fn time_ms(text: &str) -> Millis {
    text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond)
}

/// Counts and sizes; nothing, or what no count can be, is 0.
fn count(number: Option<i64>) -> u32 {
    number.map_or(0, |number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
