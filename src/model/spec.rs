//! What an object is, or is to be, made with. The state keeps it, and a diff compares two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::desired::Tags;
use super::digest::{Digest, SecretRef};
use super::ids::{
    DiskType, ImageId, InstanceId, InstanceType, KeyId, Name, SecurityGroupId, SubnetId, Uin, Version, VpcId, Zone,
};

/// The spec of one object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSpec {
    /// An instance of a fleet.
    Slot(Box<SlotSpec>),
    /// A copy of an image's version in one region.
    Image(ImageCopySpec),
    /// The shares of one copy.
    Share(ShareCopySpec),
}

/// What an instance of a fleet is made with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlotSpec {
    /// What it runs from.
    pub image: ImageUse,
    /// Its type.
    pub instance_type: InstanceType,
    /// Its system disk, as far as declared.
    pub system_disk: SystemDisk,
    /// Its data disks.
    pub data_disks: Vec<DataDisk>,
    /// Its network, as far as declared.
    pub network: SlotNetwork,
    /// Its access from the internet.
    pub internet: Option<Internet>,
    /// How people log in.
    pub login: Login,
    /// The declared tags, without ours.
    pub tags: Tags,
    /// What it runs when it first boots.
    pub user_data: Option<SecretRef>,
}

/// A copy of an image's version in one region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageCopySpec {
    /// The description; `None`: not declared, never touched.
    pub description: Option<String>,
    /// The declared tags, without ours.
    pub tags: Tags,
}

/// The shares of one copy of an image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShareCopySpec {
    /// The accounts that are declared.
    pub accounts: BTreeSet<Uin>,
}

/// What an instance runs from: what makes two instances of a fleet the same or not. A version is the same wherever
/// its copies are, and whatever their ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageUse {
    /// A looked-up image.
    Found {
        /// The pinned id.
        id: ImageId,
    },
    /// A version of a managed image.
    Made {
        /// The image block.
        image: Name,
        /// The version.
        version: Version,
        /// Which capture of that version, from 1.
        generation: u32,
    },
}

impl fmt::Display for ImageUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { id } => write!(f, "{id}"),
            Self::Made { image, version, generation: 1 } => write!(f, "image.{image}@{version}"),
            Self::Made { image, version, generation } => write!(f, "image.{image}@{version}#{generation}"),
        }
    }
}

/// A system disk, as far as declared; the cloud chooses the rest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SystemDisk {
    /// The type.
    pub kind: Option<DiskType>,
    /// The size in GiB.
    pub size_gib: Option<u32>,
}

/// A data disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DataDisk {
    /// The type.
    pub kind: DiskType,
    /// The size in GiB, a multiple of 10.
    pub size_gib: u32,
}

/// A fleet's network, as far as declared; silent: the default network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Network {
    /// The private cloud; goes with `subnets`.
    pub vpc: Option<VpcId>,
    /// One subnet for each zone of the fleet.
    pub subnets: BTreeMap<Zone, SubnetId>,
    /// At most five; silent: the project's default group, and not touched.
    pub security_groups: Option<BTreeSet<SecurityGroupId>>,
}

/// The network of one slot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SlotNetwork {
    /// Private cloud and subnet; silent: the default ones.
    pub subnet: Option<(VpcId, SubnetId)>,
    /// The security groups; silent: not touched.
    pub security_groups: Option<BTreeSet<SecurityGroupId>>,
}

/// Access from the internet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Internet {
    /// How it is charged.
    pub charge: InternetCharge,
    /// The most outgoing bandwidth in Mbps.
    pub bandwidth_mbps: u32,
    /// Whether a public address is assigned.
    pub public_ip: bool,
}

/// InternetChargeType (API text, enumerations of disks and networks).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InternetCharge {
    /// Prepaid by bandwidth.
    BandwidthPrepaid,
    /// By traffic, hourly.
    TrafficPostpaidByHour,
    /// By bandwidth, hourly.
    BandwidthPostpaidByHour,
    /// By a bandwidth package.
    BandwidthPackage,
}

impl InternetCharge {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::BandwidthPrepaid, Self::TrafficPostpaidByHour, Self::BandwidthPostpaidByHour, Self::BandwidthPackage];

    /// The value on the wire and in the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BandwidthPrepaid => "BANDWIDTH_PREPAID",
            Self::TrafficPostpaidByHour => "TRAFFIC_POSTPAID_BY_HOUR",
            Self::BandwidthPostpaidByHour => "BANDWIDTH_POSTPAID_BY_HOUR",
            Self::BandwidthPackage => "BANDWIDTH_PACKAGE",
        }
    }
}

/// How people log in. Passwords are never ours to keep.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// The cloud makes a random password up and tells it to the account's owner.
    #[default]
    Unset,
    /// By these key pairs.
    Keys(BTreeSet<KeyId>),
    /// As the image has it; only custom and shared images.
    KeepImage,
}

/// What a version of an image was made of. A version is named after these, or must not change while these do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inputs {
    /// The machine made by hand, where it is one.
    pub instance: Option<InstanceId>,
    /// What the builder runs from.
    pub base: Option<ImageUse>,
    /// The equality digest of the builder's user data.
    pub user_data: Option<Digest>,
    /// The builder's system disk, as far as declared.
    pub system_disk: SystemDisk,
    /// The builder's data disks.
    pub data_disks: Vec<DataDisk>,
}
