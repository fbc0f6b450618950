//! What the config asks for, checked for form and for references, but not yet against the cloud.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Millis;
use super::addr::Kind;
use super::digest::{Digest, SecretRef};
use super::ids::{InstanceId, InstanceType, Name, Region, Uin, Version, Zone};
use super::limits::LimitOverrides;
use super::path::Path;
use super::spec::{DataDisk, Internet, Login, Network, SystemDisk};

/// Tags that a block declares: key to value.
pub type Tags = BTreeMap<String, String>;

/// A whole config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// `project`.
    pub project: Name,
    /// The environment, `default` where none was chosen.
    pub env: Name,
    /// `cloud`.
    pub cloud: CloudSpec,
    /// `images`.
    pub images: BTreeMap<Name, Image>,
    /// `shares`.
    pub shares: BTreeMap<Name, Share>,
    /// `fleets`.
    pub fleets: BTreeMap<Name, Fleet>,
    /// Of the config's files and what they refer to.
    pub digest: Digest,
}

/// Which cloud, and as whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudSpec {
    /// Whose API.
    pub provider: Provider,
    /// The region of whatever names none.
    pub region: Region,
    /// The account that owns what is made.
    pub account: Uin,
    /// What the account's limits are, where the config says so.
    pub limits: LimitOverrides,
}

/// Whose API is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The cloud in this binary.
    Embedded {
        /// How long its operations take.
        latency: Latency,
    },
}

impl Provider {
    /// What a state and a lock file call the endpoint.
    #[must_use]
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Embedded { .. } => "embedded",
        }
    }
}

/// How long the embedded cloud's operations take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// No time at all.
    Instant,
    /// A second or two.
    #[default]
    Quick,
    /// As long as the real cloud takes.
    Realistic,
}

/// An image block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Image {
    /// Found by its name among the public images, and pinned.
    Public {
        /// The exact name.
        name: String,
    },
    /// A custom image of ours.
    Managed(ManagedImage),
}

/// A custom image captured from an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManagedImage {
    /// What it is captured from.
    pub source: InstanceSource,
    /// Whether the instance is shut down for the capture (CreateImage.ForcePoweroff).
    pub power_off: bool,
    /// When the instance is fit to be captured.
    pub ready: Ready,
    /// How long it may take to get ready.
    pub ready_timeout_ms: Millis,
    /// The version; silent: derived from the inputs.
    pub version: Option<Version>,
    /// The description; silent: never touched.
    pub description: Option<String>,
    /// Tags beside our own.
    pub tags: Tags,
    /// Where it is to be; silent: where it is captured.
    pub regions: Option<BTreeSet<Region>>,
}

/// The instance that an image is captured from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InstanceSource {
    /// A slot of a fleet of this config, or of one that was.
    Slot {
        /// The fleet.
        fleet: Name,
        /// The slot's index.
        slot: u32,
    },
    /// A machine made by hand, in the region of the cloud block.
    Id(InstanceId),
}

/// When an instance is fit to be captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// As soon as it runs.
    Running,
    /// When it has switched itself off.
    Stopped,
    /// This long after it was created, in milliseconds.
    After(Millis),
}

/// A share block: the accounts that an image is shared with, in each region where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// The managed image.
    pub image: Name,
    /// Main accounts.
    pub accounts: BTreeSet<Uin>,
    /// What becomes of accounts that somebody else added.
    pub undeclared: Undeclared,
}

/// What becomes of shares that are not in the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Undeclared {
    /// They stay, and are shown as drift.
    #[default]
    Keep,
    /// They are cancelled.
    Cancel,
}

/// A fleet block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// The image block that its instances run from.
    pub image: Name,
    /// How many instances.
    pub count: u32,
    /// Where.
    pub region: Region,
    /// The zones that they are spread over, in the order of the config; never empty.
    pub zones: Vec<Zone>,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The system disk, as far as the config says.
    pub system_disk: SystemDisk,
    /// Data disks.
    pub data_disks: Vec<DataDisk>,
    /// The network, as far as the config says.
    pub network: Network,
    /// Access from the internet; silent: none.
    pub internet: Option<Internet>,
    /// How people log in.
    pub login: Login,
    /// Tags beside our own.
    pub tags: Tags,
    /// What the instances run when they first boot.
    pub user_data: Option<SecretRef>,
    /// How changes are rolled out.
    pub update: Update,
}

/// How a fleet's changes are rolled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// What is done to an instance whose system disk has to change.
    pub strategy: Strategy,
    /// The most instances out of service at once, at least 1.
    pub max_unavailable: u32,
}

/// How an instance gets a new system disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A new instance takes its place.
    Replace,
    /// The system disk is formatted; id and addresses stay.
    Reset,
}

impl Desired {
    /// The path of a block in the config.
    #[must_use]
    pub fn path(kind: Kind, name: &Name) -> Path {
        Path::of(&[kind.section(), name.as_str()])
    }
}
