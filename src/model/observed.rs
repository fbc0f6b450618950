//! What the cloud was seen to hold. What was not asked is told apart from what was asked for and is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::ids::{
    DiskId, DiskType, ImageId, InstanceId, InstanceType, KeyId, PlacementGroupId, Region, RequestId, SecurityGroupId,
    SnapshotId, SubnetId, Uin, VpcId, Zone,
};
use super::label::Label;
use super::limits::Quota;
use super::update::Address;

/// One answer to "is it there?". A thing that nobody asked about has no entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen<T> {
    /// It is.
    Present(T),
    /// It was asked for at this cloud time, and was not listed.
    Absent {
        /// Cloud time of the answer.
        asked_ms: Millis,
    },
}

impl<T> Seen<T> {
    /// The thing, where it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(thing) => Some(thing),
            Self::Absent { .. } => None,
        }
    }
}

/// All that was seen, by region where the cloud keeps it by region.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// Cloud time of the newest answer.
    pub cloud_ms: Millis,
    /// The regions that exist, where asked.
    pub regions: Option<BTreeSet<Region>>,
    /// By region.
    pub by_region: BTreeMap<Region, RegionSeen>,
    /// How many calls it took.
    pub calls: u32,
}

/// What one region was seen to hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegionSeen {
    /// Zones, and whether they are available.
    pub zones: Option<BTreeMap<Zone, bool>>,
    /// Which types are offered in which zones.
    pub types: Option<BTreeMap<(Zone, InstanceType), TypeSeen>>,
    /// Custom images of the account, all of them.
    pub custom_images: Option<BTreeMap<ImageId, Image>>,
    /// Other images that were asked for by id.
    pub images: BTreeMap<ImageId, Seen<Image>>,
    /// Custom images: used and allowed.
    pub image_quota: Option<Quota>,
    /// Pay-as-you-go instances by zone: used and allowed.
    pub instance_quota: Option<BTreeMap<Zone, Quota>>,
    /// Prepaid instances by zone: made this month and allowed in a month.
    pub prepaid_quota: Option<BTreeMap<Zone, Quota>>,
    /// Cores of spot instances by zone: used and allowed.
    pub spot_quota: Option<BTreeMap<Zone, Quota>>,
    /// Which systems can be imported, where asked.
    pub import_os: Option<ImportOs>,
    /// Whether images fit types, where asked.
    pub fits: BTreeMap<(ImageId, InstanceType), bool>,
    /// Answers to look-ups.
    pub lookups: BTreeMap<Lookup, Vec<Image>>,
    /// The accounts that images are shared with.
    pub shares: BTreeMap<ImageId, BTreeSet<Uin>>,
    /// Instances that were asked for by id. They may be 100,000, so the map moves boxes about, and not all that they are.
    pub instances: BTreeMap<InstanceId, Seen<Box<Instance>>>,
    /// All instances of the account, where asked.
    pub all_instances: Option<BTreeMap<InstanceId, Box<Instance>>>,
}

impl Observed {
    /// What was seen of an instance; `None`: not asked.
    #[must_use]
    pub fn instance(&self, region: &Region, id: &InstanceId) -> Option<&Seen<Box<Instance>>> {
        self.by_region.get(region)?.instances.get(id)
    }

    /// An instance that is there; `None`: not asked, or not listed.
    #[must_use]
    pub fn instance_there(&self, region: &Region, id: &InstanceId) -> Option<&Instance> {
        self.instance(region, id)?.present().map(Box::as_ref)
    }

    /// What was seen of an image; `None`: not asked. A listing of all custom images answers for each of them.
    #[must_use]
    pub fn image(&self, region: &Region, id: &ImageId) -> Option<Seen<&Image>> {
        let seen = self.by_region.get(region)?;
        if let Some(found) = seen.images.get(id) {
            return Some(match found {
                Seen::Present(image) => Seen::Present(image),
                Seen::Absent { asked_ms } => Seen::Absent { asked_ms: *asked_ms },
            });
        }
        let listed = seen.custom_images.as_ref()?;
        Some(listed.get(id).map_or(Seen::Absent { asked_ms: self.cloud_ms }, Seen::Present))
    }
}

/// A question for a public image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Lookup {
    /// The exact name.
    pub name: String,
    /// Only images that fit this type.
    pub instance_type: Option<InstanceType>,
}

/// An instance type in a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TypeSeen {
    /// Cores.
    pub cpu: u32,
    /// Memory in GiB.
    pub memory_gib: u32,
}

/// Which systems can be imported (DescribeImportImageOs, API text 4.12).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImportOs {
    /// The names of systems.
    pub systems: BTreeSet<String>,
    /// Their versions and processors, as far as told.
    pub versions: BTreeMap<String, ImportVersions>,
}

/// What is told of a system that can be imported.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImportVersions {
    /// Its versions.
    pub versions: BTreeSet<String>,
    /// Its processors, in the words of images or of imports.
    pub architectures: BTreeSet<String>,
}

/// ImageState (API text 2.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ImageState {
    /// Being made.
    Creating,
    /// Usable.
    Normal,
    /// Could not be made; holds its name and its place.
    CreateFailed,
    /// Being copied, or a copy in the making.
    Syncing,
    /// Being imported.
    Importing,
    /// Could not be imported.
    ImportFailed,
    /// A state that this program does not know.
    Other(String),
}

/// ImageType (API text 2.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ImageKind {
    /// The vendor's own.
    Public,
    /// A custom image of this account.
    Private,
    /// Another account's, shared with this one.
    Shared,
    /// One of the marketplace (the type is not documented; `MARKET_IMAGE` is what official tools use).
    Market,
    /// A kind that this program does not know.
    Other(String),
}

/// An image, as far as anybody here looks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name, unique among an account's images in a region.
    pub name: String,
    /// Its description, maybe empty.
    pub description: String,
    /// Its state.
    pub state: ImageState,
    /// While it is being copied: how far the cloud is, from 0 to 100.
    pub sync_percent: Option<u8>,
    /// Its kind.
    pub kind: ImageKind,
    /// When it was made.
    pub created_ms: Millis,
    /// Its size in GiB: no smaller system disk can hold it.
    pub size_gib: u32,
    /// `x86_64`, `arm` or `i386`.
    pub architecture: String,
    /// Such as `Ubuntu`, `Windows`.
    pub platform: String,
    /// Who made it: an account, or the vendor.
    pub creator: String,
    /// Its family, maybe empty.
    pub family: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// Where it comes from, such as `OFFICIAL`, `CREATE_IMAGE`, `EXTERNAL_IMPORT` (ImageSource).
    pub source: String,
    /// Its snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// InstanceState (API text 2.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InstanceState {
    /// Being created.
    Pending,
    /// Could not be created; cannot be terminated either.
    LaunchFailed,
    /// Running.
    Running,
    /// Shut down.
    Stopped,
    /// On its way up.
    Starting,
    /// On its way down.
    Stopping,
    /// On its way down and up.
    Rebooting,
    /// In the recycle bin.
    Shutdown,
    /// Being destroyed.
    Terminating,
    /// A state that this program does not know, rescue mode and live migration among them.
    Other(String),
}

impl InstanceState {
    /// Whether it changes by itself.
    #[must_use]
    pub fn passing(&self) -> bool {
        match self {
            Self::Pending | Self::Starting | Self::Stopping | Self::Rebooting | Self::Terminating => true,
            Self::LaunchFailed | Self::Running | Self::Stopped | Self::Shutdown | Self::Other(_) => false,
        }
    }
}

/// What an instance did last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LatestOperation {
    /// Such as `ResetInstance`.
    pub name: Label,
    /// How it went.
    pub state: OperationState,
    /// The request that asked for it.
    pub request_id: Option<RequestId>,
    /// Why it failed.
    pub error: Option<String>,
}

/// LatestOperationState (API text 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OperationState {
    /// Done.
    Success,
    /// Under way.
    Operating,
    /// It did not work.
    Failed,
    /// Not told, or a value that this program does not know.
    Unknown,
}

/// A disk of an instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Disk {
    /// Its id, where told.
    pub id: Option<DiskId>,
    /// Its type.
    pub kind: DiskType,
    /// Its size in GiB.
    pub size_gib: u32,
}

/// An instance, as far as anybody here looks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: InstanceState,
    /// Its type.
    pub instance_type: InstanceType,
    /// Where it is.
    pub zone: Zone,
    /// What it was made from, or last reset to.
    pub image: ImageId,
    /// Its system disk.
    pub system_disk: Disk,
    /// Its data disks.
    pub data_disks: Vec<Disk>,
    /// Its private cloud.
    pub vpc: VpcId,
    /// Its subnet.
    pub subnet: SubnetId,
    /// Its security groups, shared with those that have the same.
    pub security_groups: Arc<BTreeSet<SecurityGroupId>>,
    /// Its key pairs, shared likewise.
    pub keys: Arc<BTreeSet<KeyId>>,
    /// `POSTPAID_BY_HOUR`, `PREPAID`, ….
    pub charge_type: Label,
    /// What happens at the end of a prepaid period (RenewFlag), where told.
    pub renew: Option<Label>,
    /// When a prepaid period ends, where told.
    pub expires_ms: Option<Millis>,
    /// How its access from the internet is charged, where told.
    pub internet_charge: Option<Label>,
    /// Outgoing bandwidth in Mbps.
    pub bandwidth_mbps: u32,
    /// Its addresses, private ones first.
    pub addresses: Vec<Label>,
    /// How many of them are private ones.
    pub private_addresses: u16,
    /// When it was made.
    pub created_ms: Millis,
    /// What it did last.
    pub latest: Option<LatestOperation>,
    /// Whether the cloud refuses to terminate it.
    pub protected: bool,
    /// What its host is called, where told.
    pub hostname: Option<String>,
    /// The placement group that it is in.
    pub placement_group: Option<PlacementGroupId>,
    /// The access role of what runs on it.
    pub cam_role: Option<String>,
    /// Why it is in the recycle bin (IsolatedSource), where it is.
    pub isolated: Option<String>,
    /// Its tags, shared with those that have the same.
    pub tags: Arc<BTreeMap<String, String>>,
}

impl Instance {
    /// Whether somebody's call is under way on it: a reset, say, of which the state need not tell.
    #[must_use]
    pub fn is_operated_on(&self) -> bool {
        self.latest.as_ref().is_some_and(|latest| latest.state == OperationState::Operating)
    }

    /// The first of its addresses of a kind; an instance without access from the internet has no public one.
    #[must_use]
    pub fn address(&self, kind: Address) -> Option<&Label> {
        let private = usize::from(self.private_addresses);
        match kind {
            Address::Private => self.addresses.first().filter(|_| private > 0),
            Address::Public => self.addresses.get(private),
        }
    }
}

#[cfg(test)]
impl Instance {
    /// One that runs, of which nothing is peculiar.
    pub(crate) fn sample(id: &str) -> Self {
        Self {
            id: id.into(),
            name: "n".into(),
            state: InstanceState::Running,
            instance_type: "S5.MEDIUM4".into(),
            zone: "ap-guangzhou-3".into(),
            image: "img-0".into(),
            system_disk: Disk { id: None, kind: "CLOUD_PREMIUM".into(), size_gib: 50 },
            data_disks: Vec::new(),
            vpc: "vpc-1".into(),
            subnet: "subnet-1".into(),
            security_groups: Arc::default(),
            keys: Arc::default(),
            charge_type: "POSTPAID_BY_HOUR".into(),
            renew: None,
            expires_ms: None,
            internet_charge: None,
            bandwidth_mbps: 0,
            addresses: Vec::new(),
            private_addresses: 0,
            created_ms: 0,
            latest: None,
            protected: false,
            hostname: None,
            placement_group: None,
            cam_role: None,
            isolated: None,
            tags: Arc::default(),
        }
    }
}
