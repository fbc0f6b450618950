//! Calls as data: steps hold them, the journal stores them, a rehearsal replays them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Millis;
use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::{
    CloudId, ImageId, InstanceId, InstanceType, PlacementGroupId, Region, RequestId, SecurityGroupId, Uin, Zone,
};
use crate::model::limits::Quota;
use crate::model::observed::{Image, ImportOs, Instance, InstanceState, TypeSeen};
use crate::model::price::Price;
use crate::model::spec::{
    Charge, DataDisk, Encryption, HostnamePattern, ImportSource, Internet, Login, SlotNetwork, SystemDisk,
};

/// The number of a step in its plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}

/// Something known now, or handed out by an earlier step.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arg<T> {
    /// Known now.
    Known(T),
    /// The id that the cloud gives to a target of an earlier step.
    Output {
        /// The step.
        step: StepId,
        /// Which of its targets, from 0.
        target: u32,
    },
}

impl<T> Arg<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Output { .. } => None,
        }
    }
}

/// One request to the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// As whom.
    pub account: Uin,
    /// In which region.
    pub region: Region,
    /// What.
    pub body: Body,
}

/// What a call asks for: one variant an action. No bytes of secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Makes instances. Idempotent by its token.
    RunInstances(Box<Launch>),
    /// Makes a custom image from an instance.
    CreateImage {
        /// Unique among the account's images in the region.
        name: String,
        /// The source.
        instance: Arg<InstanceId>,
        /// Whether the instance is shut down first (ForcePoweroff).
        power_off: bool,
        /// The description, where declared.
        description: Option<String>,
        /// The family, where declared.
        #[serde(default)]
        family: Option<String>,
        /// Ours and the declared ones.
        tags: Tags,
    },
    /// Makes a custom image from a file. Not every site answers the new id: it is then found by its name.
    ImportImage {
        /// Unique among the account's images in the region.
        name: String,
        /// The file, and what is in it.
        source: Box<ImportSource>,
        /// The description, where declared.
        description: Option<String>,
        /// The family, where declared.
        family: Option<String>,
        /// Ours and the declared ones.
        tags: Tags,
    },
    /// Copies an image to other regions, or within its own.
    SyncImages {
        /// The source, in the call's region.
        image: Arg<ImageId>,
        /// Where to: other regions, or for an encrypted copy and for one of a shared image just the call's own.
        to: BTreeSet<Region>,
        /// The name of the copies.
        name: String,
        /// How the copy is encrypted, where it is.
        #[serde(default)]
        encryption: Option<Encryption>,
    },
    /// Shares an image with accounts, or cancels (ModifyImageSharePermission).
    ShareImage {
        /// The image.
        image: Arg<ImageId>,
        /// Main accounts.
        accounts: BTreeSet<Uin>,
        /// Whether the share is cancelled.
        cancel: bool,
    },
    /// Changes what is named of an image, and nothing else of it (ModifyImageAttribute).
    ModifyImage {
        /// The image.
        image: Arg<ImageId>,
        /// What to set.
        set: ImageChange,
    },
    /// Deletes images and their snapshots (DeleteBindedSnap).
    DeleteImages {
        /// The images.
        images: Vec<ImageId>,
    },
    /// Destroys instances.
    TerminateInstances {
        /// At most 100.
        instances: Vec<InstanceId>,
    },
    /// Shuts instances down, softly first (StopType SOFT_FIRST).
    StopInstances {
        /// At most 100. Those that an earlier step makes may be among them.
        #[serde(deserialize_with = "ids_or_outputs")]
        instances: Vec<Arg<InstanceId>>,
    },
    /// Starts instances.
    StartInstances {
        /// At most 100.
        instances: Vec<InstanceId>,
    },
    /// Formats the system disk and installs an image on it.
    ResetInstance {
        /// The instance.
        instance: InstanceId,
        /// What to install.
        image: Arg<ImageId>,
        /// What it is like afterwards.
        with: Box<Installation>,
    },
    /// Changes the type of an instance (ResetInstancesType).
    ResizeInstance {
        /// The instance, stopped.
        instance: InstanceId,
        /// The new type.
        instance_type: InstanceType,
    },
    /// Changes one attribute of instances (ModifyInstancesAttribute).
    ModifyInstances {
        /// At most 100.
        instances: Vec<InstanceId>,
        /// What to set.
        set: InstanceAttr,
    },
    /// Puts tags on things (service `tag`).
    TagResources {
        /// At most 10.
        resources: Vec<TagTarget>,
        /// At most 10.
        tags: Tags,
    },
    /// Takes tags from things (service `tag`).
    UntagResources {
        /// At most 10.
        resources: Vec<TagTarget>,
        /// At most 10.
        keys: BTreeSet<String>,
    },
    /// Reads.
    Describe(Query),
}

/// What instances are made with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// Where.
    pub zone: Zone,
    /// From which image.
    pub image: Arg<ImageId>,
    /// Of which type.
    pub instance_type: InstanceType,
    /// The system disk, as far as declared.
    pub system_disk: SystemDisk,
    /// Data disks.
    pub data_disks: Vec<DataDisk>,
    /// The network, as far as declared.
    pub network: SlotNetwork,
    /// Access from the internet.
    pub internet: Option<Internet>,
    /// How people log in.
    pub login: Login,
    /// What comes before the ordinal in the names.
    pub name_prefix: String,
    /// The first ordinal; the others follow without a gap.
    pub first_ordinal: u32,
    /// How many, at most 500.
    pub count: u32,
    /// Ours and the declared ones.
    pub tags: Tags,
    /// What they run when they first boot.
    pub user_data: Option<SecretRef>,
    /// What hosts are called: only the ordinal is left open.
    #[serde(default)]
    pub hostname: Option<HostnamePattern>,
    /// How they are paid for.
    #[serde(default)]
    pub charge: Charge,
    /// The placement group.
    #[serde(default)]
    pub placement_group: Option<PlacementGroupId>,
    /// The access role.
    #[serde(default)]
    pub cam_role: Option<String>,
    /// Whether the cloud refuses to terminate them (DisableApiTermination).
    #[serde(default)]
    pub protect: bool,
    /// The client token; minted when the intent is made, so a plan holds none.
    pub token: Option<String>,
}

/// Reads ids as they were written when they were always known, too: journals are read for ever.
fn ids_or_outputs<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Arg<InstanceId>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Id(InstanceId),
        Arg(Arg<InstanceId>),
    }
    let all: Vec<Either> = Vec::deserialize(from)?;
    Ok(all
        .into_iter()
        .map(|each| match each {
            Either::Id(id) => Arg::Known(id),
            Either::Arg(arg) => arg,
        })
        .collect())
}

/// A thing that is tagged: a resource description names its region, so one call serves several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TagTarget {
    /// Where it is.
    pub region: Region,
    /// Its id.
    pub id: Arg<CloudId>,
}

/// The one attribute that a ModifyInstancesAttribute call sets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceAttr {
    /// The name.
    Name(String),
    /// All security groups.
    SecurityGroups(BTreeSet<SecurityGroupId>),
    /// What the host is called. The instance reboots at once (AutoReboot).
    Hostname(String),
    /// The access role; `None`: none any more.
    CamRole(Option<String>),
    /// Whether the cloud refuses to terminate them (DisableApiTermination).
    Protection(bool),
}

/// What a reset makes of an instance, beside its image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Installation {
    /// How people log in.
    pub login: Login,
    /// What it runs when it first boots.
    pub user_data: Option<SecretRef>,
    /// The new size of the system disk in GiB, where it grows: it never shrinks (API text 5.8).
    pub system_disk_gib: Option<u32>,
    /// What the host is called, where that is declared.
    pub hostname: Option<String>,
}

/// What a ModifyImageAttribute call sets; `None` leaves it alone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImageChange {
    /// The description.
    pub description: Option<String>,
    /// The family.
    pub family: Option<String>,
    /// Whether it is marked as deprecated.
    pub deprecated: Option<bool>,
}

/// A read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// All regions.
    Regions,
    /// The zones of the region.
    Zones,
    /// All instance types of the region.
    Types,
    /// How many custom images the account may hold in the region (DescribeImageQuota).
    ImageQuota,
    /// How much of each quota is used (DescribeAccountQuota).
    AccountQuota,
    /// Images by id, at most 100.
    ImagesById {
        /// The ids.
        ids: Vec<ImageId>,
    },
    /// Those of some images, at most 100, that fit an instance type.
    ImagesFitting {
        /// The ids.
        ids: Vec<ImageId>,
        /// The type.
        instance_type: InstanceType,
    },
    /// One page of the account's custom images.
    CustomImages {
        /// How many to pass over.
        offset: u32,
    },
    /// One page of the custom images whose names contain one of at most five texts. The filter is fuzzy.
    CustomImagesNamed {
        /// What to look for.
        names: Vec<String>,
        /// How many to pass over.
        offset: u32,
    },
    /// One page of the public images whose names contain a text. The filter is fuzzy.
    PublicImages {
        /// What to look for.
        name: String,
        /// Only images that fit this type.
        instance_type: Option<InstanceType>,
        /// How many to pass over.
        offset: u32,
    },
    /// The accounts that an image is shared with.
    Shares {
        /// The image.
        image: ImageId,
    },
    /// Instances by id, at most 100.
    InstancesById {
        /// The ids.
        ids: Vec<InstanceId>,
    },
    /// One page of the instances that carry a tag.
    InstancesTagged {
        /// The tag's key.
        key: String,
        /// Its value.
        value: String,
        /// How many to pass over.
        offset: u32,
    },
    /// States of instances by id, at most 100 (DescribeInstancesStatus).
    InstanceStates {
        /// The ids.
        ids: Vec<InstanceId>,
    },
    /// Which systems can be imported (DescribeImportImageOs).
    ImportOs,
    /// What a launch would cost (InquiryPriceRunInstances): of one instance, with one name and no token.
    Price(Box<Launch>),
    /// User data of instances, at most 100 (DescribeInstancesAttributes).
    UserData {
        /// The ids.
        ids: Vec<InstanceId>,
    },
}

/// The most ids of one read, and the page that is always asked for (API text 1.10: the default is 20).
pub const PAGE: u32 = 100;
/// The most instances of one RunInstances (API text 5.1).
pub const MAX_LAUNCH: u32 = 500;
/// The most ids of Terminate, Start, Stop and ModifyInstancesAttribute (API text 8.9).
pub const MAX_BATCH: usize = 100;
/// The most resources of one TagResources or UnTagResources (API text 7.1).
pub const MAX_TAG_RESOURCES: usize = 10;

impl Body {
    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::RunInstances(_) => "RunInstances",
            Self::CreateImage { .. } => "CreateImage",
            Self::ImportImage { .. } => "ImportImage",
            Self::SyncImages { .. } => "SyncImages",
            Self::ShareImage { .. } => "ModifyImageSharePermission",
            Self::ModifyImage { .. } => "ModifyImageAttribute",
            Self::DeleteImages { .. } => "DeleteImages",
            Self::TerminateInstances { .. } => "TerminateInstances",
            Self::StopInstances { .. } => "StopInstances",
            Self::StartInstances { .. } => "StartInstances",
            Self::ResetInstance { .. } => "ResetInstance",
            Self::ResizeInstance { .. } => "ResetInstancesType",
            Self::ModifyInstances { .. } => "ModifyInstancesAttribute",
            Self::TagResources { .. } => "TagResources",
            Self::UntagResources { .. } => "UnTagResources",
            Self::Describe(query) => query.action(),
        }
    }
}

impl Query {
    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Regions => "DescribeRegions",
            Self::Zones => "DescribeZones",
            Self::Types => "DescribeInstanceTypeConfigs",
            Self::ImageQuota => "DescribeImageQuota",
            Self::AccountQuota => "DescribeAccountQuota",
            Self::ImagesById { .. }
            | Self::ImagesFitting { .. }
            | Self::CustomImages { .. }
            | Self::CustomImagesNamed { .. }
            | Self::PublicImages { .. } => "DescribeImages",
            Self::Shares { .. } => "DescribeImageSharePermission",
            Self::InstancesById { .. } | Self::InstancesTagged { .. } => "DescribeInstances",
            Self::InstanceStates { .. } => "DescribeInstancesStatus",
            Self::ImportOs => "DescribeImportImageOs",
            Self::Price(_) => "InquiryPriceRunInstances",
            Self::UserData { .. } => "DescribeInstancesAttributes",
        }
    }
}

/// What the cloud answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The answer itself.
    pub reply: Reply,
    /// What the cloud calls the request.
    pub request_id: RequestId,
    /// Cloud time of the answer.
    pub cloud_ms: Millis,
}

/// The answer itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The ids of what is being made, in no order.
    Ids(Vec<CloudId>),
    /// The ids of copies that are being made.
    Copies(Vec<(Region, ImageId)>),
    /// Tagged or untagged, but for these.
    Tagged {
        /// What was refused.
        failed: Vec<TagFailure>,
    },
    /// Accepted.
    Done,
    /// A page of instances.
    Instances(Page<Instance>),
    /// A page of images.
    Images(Page<Image>),
    /// Accounts that an image is shared with.
    Shares(BTreeSet<Uin>),
    /// How many custom images the account may hold.
    ImageQuota(u32),
    /// How much of each quota is used.
    AccountQuota {
        /// Custom images.
        images: Option<Quota>,
        /// Pay-as-you-go instances by zone.
        instances: BTreeMap<Zone, Quota>,
        /// Prepaid instances by zone: made this month and allowed in a month.
        prepaid: BTreeMap<Zone, Quota>,
        /// Cores of spot instances by zone.
        spot: BTreeMap<Zone, Quota>,
    },
    /// Regions.
    Regions(BTreeSet<Region>),
    /// Zones, and whether they are available.
    Zones(BTreeMap<Zone, bool>),
    /// Types by zone.
    Types(BTreeMap<(Zone, InstanceType), TypeSeen>),
    /// States of instances.
    States(BTreeMap<InstanceId, InstanceState>),
    /// Systems that can be imported.
    ImportOs(ImportOs),
    /// What a launch would cost.
    Price(Price),
    /// User data of instances, decoded.
    UserData(BTreeMap<InstanceId, Vec<u8>>),
}

/// A thing that could not be tagged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagFailure {
    /// The thing's id.
    pub id: String,
    /// The cloud's code.
    pub code: String,
    /// The cloud's text.
    pub message: String,
}

/// One page of a listing, whose order nobody documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub total: u32,
    /// Those of this page.
    pub items: Vec<T>,
}

/// Why a call did not succeed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of trouble it is, and so what helps.
    pub class: Class,
    /// The cloud's code, where the cloud answered.
    pub code: Option<String>,
    /// The cloud's text, for people.
    pub message: String,
    /// What the cloud calls the request, where it answered.
    pub request_id: Option<RequestId>,
    /// Whether the call can have taken effect.
    pub executed: Executed,
    /// Cloud time of the answer, where there was one.
    pub cloud_ms: Option<Millis>,
}

/// Kinds of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Too many requests; later.
    Throttled,
    /// Something else is under way; passes by itself.
    Busy,
    /// The server's own trouble.
    Transient,
    /// There is no such thing.
    NotFound,
    /// It is there already, or a name is taken.
    Conflict,
    /// The key, the token or the signature.
    Auth,
    /// The signature's time.
    Clock,
    /// Not allowed.
    Denied,
    /// A quota or a cap.
    Quota,
    /// Sold out.
    Stock,
    /// The request itself, or the state of a thing.
    Invalid,
    /// The way to the server.
    Transport,
}

/// Whether a call that did not succeed can have taken effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// It was refused.
    No,
    /// It is in doubt.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_read_as_older_versions_wrote_them() {
        let known = Body::StopInstances { instances: vec![Arg::Known("ins-1".into())] };
        let old: Body = serde_json::from_str(r#"{"stop_instances":{"instances":["ins-1"]}}"#).expect("a call");
        assert_eq!(old, known);
        let output = Arg::Output { step: StepId(3), target: 1 };
        let new = Body::StopInstances { instances: vec![Arg::Known("ins-1".into()), output] };
        let text = serde_json::to_string(&new).expect("JSON");
        assert_eq!(serde_json::from_str::<Body>(&text).expect("a call"), new);
    }
}
