//! What an object is, or is to be, made with. The state keeps it, and a diff compares two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::desired::Tags;
use super::digest::{Digest, SecretRef};
use super::ids::{
    DiskType, ImageId, InstanceId, InstanceType, KeyId, KmsKeyId, Name, PlacementGroupId, SecurityGroupId, SubnetId,
    Uin, Version, VpcId, Zone,
};
use super::promotion::{Edition, PromotedFrom};

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
    /// What its host is called; silent: as the cloud likes.
    #[serde(default)]
    pub hostname: Option<HostnamePattern>,
    /// How it is paid for.
    #[serde(default)]
    pub charge: Charge,
    /// The placement group that it is in.
    #[serde(default)]
    pub placement_group: Option<PlacementGroupId>,
    /// The access role of what runs on it.
    #[serde(default)]
    pub cam_role: Option<String>,
    /// Whether it is to run; silent: it does after its launch, and is not looked after.
    #[serde(default)]
    pub power: Option<Power>,
    /// Whether it is neither destroyed nor reset, by us or (DisableApiTermination) by anybody else.
    #[serde(default)]
    pub protect: bool,
    /// Whether a rollout has still to see that it is healthy; of a builder, whether its image has still to be captured: one
    /// of which that failed stays only to be looked at. That is nothing that a config says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_trial: bool,
}

/// A copy of an image's version in one region.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImageCopySpec {
    /// The description; `None`: not declared, never touched.
    pub description: Option<String>,
    /// The declared tags, without ours.
    pub tags: Tags,
    /// The family; `None`: not declared, never touched.
    #[serde(default)]
    pub family: Option<String>,
    /// Whether it is marked as deprecated; `None`: not declared, never touched.
    #[serde(default)]
    pub deprecated: Option<bool>,
    /// Whether no plan may delete it.
    #[serde(default)]
    pub protect: bool,
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
    /// A version that another environment made.
    Promoted {
        /// Whose.
        from: PromotedFrom,
        /// Which.
        edition: Edition,
    },
}

impl fmt::Display for ImageUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { id } => write!(f, "{id}"),
            Self::Made { image, version, generation: 1 } => write!(f, "image.{image}@{version}"),
            Self::Made { image, version, generation } => write!(f, "image.{image}@{version}#{generation}"),
            Self::Promoted { from, edition } => write!(f, "{from}@{edition}"),
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

/// What hosts are called: text with `{zone}`, the zone's last part, and `{ordinal}`, the instance's number in its zone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostnamePattern(pub String);

impl HostnamePattern {
    /// What stands for the last part of the zone's name.
    pub const ZONE: &'static str = "{zone}";
    /// What stands for the instance's number in its zone.
    pub const ORDINAL: &'static str = "{ordinal}";

    /// The pattern in one zone: only the ordinal is left open.
    #[must_use]
    pub fn in_zone(&self, zone: &Zone) -> Self {
        Self(self.0.replace(Self::ZONE, zone.tail()))
    }

    /// The name of one host.
    #[must_use]
    pub fn of(&self, zone: &Zone, ordinal: u32) -> String {
        self.in_zone(zone).0.replace(Self::ORDINAL, &ordinal.to_string())
    }
}

/// How an instance is paid for (InstanceChargeType, API text 2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// By the hour, afterwards.
    #[default]
    Hourly,
    /// In advance.
    Prepaid {
        /// For how many months.
        months: u32,
        /// What happens at the end.
        renew: Renew,
    },
    /// Spare capacity, which the cloud may take back.
    Spot {
        /// The most that is paid, in yuan an hour; silent: the price of the moment.
        max_price: Option<String>,
    },
}

impl Charge {
    /// InstanceChargeType on the wire and in the config.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hourly => "POSTPAID_BY_HOUR",
            Self::Prepaid { .. } => "PREPAID",
            Self::Spot { .. } => "SPOTPAID",
        }
    }
}

/// RenewFlag (API text 2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Renew {
    /// The owner is told, and renews by hand.
    #[default]
    NotifyAndManualRenew,
    /// It is renewed by itself.
    NotifyAndAutoRenew,
    /// Nobody is told, and it ends.
    DisableNotifyAndManualRenew,
}

impl Renew {
    /// All of them.
    pub const ALL: [Self; 3] =
        [Self::NotifyAndManualRenew, Self::NotifyAndAutoRenew, Self::DisableNotifyAndManualRenew];

    /// The value on the wire and in the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotifyAndManualRenew => "NOTIFY_AND_MANUAL_RENEW",
            Self::NotifyAndAutoRenew => "NOTIFY_AND_AUTO_RENEW",
            Self::DisableNotifyAndManualRenew => "DISABLE_NOTIFY_AND_MANUAL_RENEW",
        }
    }
}

/// Whether an instance runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It does.
    Running,
    /// It is shut down.
    Stopped,
}

/// What is imported (ImportImage, API text 4.10).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportSource {
    /// Where the file is, in the object store. Never one with a signature in it: such a URL is a secret.
    pub url: String,
    /// The system, by a name of DescribeImportImageOs.
    pub os: String,
    /// Its version, of those that DescribeImportImageOs tells.
    pub os_version: String,
    /// For which processors.
    pub architecture: Architecture,
    /// How it boots; silent: as the cloud likes.
    pub boot_mode: Option<BootMode>,
    /// Whether it may come without cloud-init (Force).
    pub force: bool,
    /// Whose licence it runs under; silent: the cloud's.
    pub license: Option<License>,
}

/// Architecture of an import (API text 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Architecture {
    /// 64 bit.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32 bit.
    #[serde(rename = "i386")]
    I386,
    /// 64 bit.
    #[serde(rename = "arm_64")]
    Arm64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::I386, Self::Arm64];

    /// The value in requests and in the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::Arm64 => "arm_64",
        }
    }

    /// What an image of it bears in answers (API text 2.1).
    #[must_use]
    pub fn seen_as(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::Arm64 => "arm",
        }
    }
}

/// BootMode (API text 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum BootMode {
    /// As old machines do.
    #[serde(rename = "Legacy BIOS")]
    LegacyBios,
    /// As new ones do.
    #[serde(rename = "UEFI")]
    Uefi,
}

impl BootMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LegacyBios, Self::Uefi];

    /// The value on the wire and in the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LegacyBios => "Legacy BIOS",
            Self::Uefi => "UEFI",
        }
    }
}

/// LicenseType (API text 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum License {
    /// The cloud's.
    TencentCloud,
    /// One's own.
    #[serde(rename = "BYOL")]
    Byol,
}

impl License {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TencentCloud, Self::Byol];

    /// The value on the wire and in the config.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TencentCloud => "TencentCloud",
            Self::Byol => "BYOL",
        }
    }
}

/// With which key a copy is encrypted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Encryption {
    /// The key; silent: the disk service's own.
    pub kms_key: Option<KmsKeyId>,
}

/// What a version of an image was made of. A version is named after these, or must not change while these do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
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
    /// The file that it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportSource>,
    /// How it was encrypted, where it is a copy of another image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}
