//! What the config asks for, checked for form and for references, but not yet against the cloud.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Millis;
use super::addr::{Block, Kind};
use super::attrs::FleetAttr;
use super::digest::{Digest, SecretRef};
use super::endpoint::Endpoint;
use super::ids::{ImageId, InstanceId, InstanceType, Name, PlacementGroupId, Region, Uin, Version, Zone};
use super::limits::LimitOverrides;
use super::path::Path;
use super::promotion::PromotedFrom;
use super::spec::{
    Charge, DataDisk, Encryption, HostnamePattern, ImportSource, Internet, Login, Network, Power, SystemDisk,
};
pub use super::update::{Health, Strategy, Update};

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
    /// `trusted_owners`: the accounts whose images may be used.
    pub trusted_owners: BTreeSet<Uin>,
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provider {
    /// The cloud in this binary.
    Embedded {
        /// How long its operations take.
        latency: Latency,
    },
    /// Tencent Cloud, or a server that answers like it.
    Tencent(Tencent),
}

/// How the real cloud is reached. No keys: those never stand in a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tencent {
    /// By which hosts.
    pub endpoint: Endpoint,
    /// Whose keys, by the name of a profile of `tccli`.
    pub profile: Option<String>,
    /// How long its operations are expected to take: what polls are spaced by.
    pub latency: Latency,
    /// How long it accepts a signature; the real cloud five minutes (API text 1.4), a server for tests perhaps less.
    pub signature_window_ms: Millis,
    /// How long it may take to list what it accepted; `None`: as long as is assumed of the real cloud.
    pub settle_ms: Option<Millis>,
}

impl Provider {
    /// What a state and a lock file call the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Embedded { .. } => "embedded",
            Self::Tencent(tencent) => tencent.endpoint.name(),
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
    /// Another account's custom image that is shared with ours. It may only launch instances.
    Shared {
        /// Its id, in the region of the cloud block.
        id: ImageId,
        /// Whose it has to be: one of `trusted_owners`.
        owner: Uin,
    },
    /// An image of the marketplace, in the region of the cloud block, whose fee is accepted.
    Marketplace {
        /// Its id.
        id: ImageId,
    },
    /// The very image that another environment made.
    Promoted {
        /// Whose.
        from: PromotedFrom,
        /// The directory of its config, from ours on; silent: our own.
        dir: Option<String>,
    },
    /// A custom image of ours.
    Managed(ManagedImage),
}

/// A custom image of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManagedImage {
    /// What it is made from.
    pub source: Source,
    /// What it is called in the cloud, with `{version}` in it; silent: by project, environment, block and version.
    pub name: Option<String>,
    /// The family; silent: never touched.
    pub family: Option<String>,
    /// How many older versions stay.
    pub keep: u32,
    /// Whether older versions that stay are marked as deprecated, and the current one is not.
    pub deprecate_kept: bool,
    /// Whether older versions that stay are shared as the current one is.
    pub share_kept: bool,
    /// Versions from which nothing new is launched, nor from what descends from them.
    pub revoke: BTreeSet<Version>,
    /// Whether no plan may delete it.
    pub protect: bool,
    /// The version; silent: derived from the inputs.
    pub version: Option<Version>,
    /// The description; silent: never touched.
    pub description: Option<String>,
    /// Tags beside our own.
    pub tags: Tags,
    /// Where it is to be; silent: where it is captured.
    pub regions: Option<BTreeSet<Region>>,
}

/// What a custom image is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// An instance.
    Capture(Capture),
    /// A file.
    Import(ImportSource),
    /// Another image of the config, in the same region: the way to an encrypted image, and to one's own copy of a shared
    /// image (API text 4.9).
    Copy(CopySource),
    /// A machine that exists only while the image is made of it.
    Build(Box<Build>),
}

/// A capture of an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capture {
    /// What is captured.
    pub source: InstanceSource,
    /// Whether the instance is shut down for the capture (CreateImage.ForcePoweroff).
    pub power_off: bool,
    /// When the instance is fit to be captured.
    pub ready: Ready,
    /// How long it may take to get ready.
    pub ready_timeout_ms: Millis,
}

/// A build: a machine is launched from another image, prepares itself, is captured, and goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// The image block that the builder runs from.
    pub base: Name,
    /// Where it is, and so where the image is made: the region of `zone`, or else that of the cloud block.
    pub region: Region,
    /// The zone; silent: the first that takes new instances and sells the type.
    pub zone: Option<Zone>,
    /// The builder's type.
    pub instance_type: InstanceType,
    /// Its system disk, as far as the config says.
    pub system_disk: SystemDisk,
    /// Its data disks.
    pub data_disks: Vec<DataDisk>,
    /// Its network, as far as the config says.
    pub network: Network,
    /// Its access from the internet; silent: none.
    pub internet: Option<Internet>,
    /// How people log in to it.
    pub login: Login,
    /// What it runs when it boots.
    pub user_data: Option<SecretRef>,
    /// When it is fit to be captured.
    pub ready: Ready,
    /// How long that may take, from its launch on.
    pub timeout_ms: Millis,
    /// What becomes of it where that fails.
    pub on_failure: BuildFailure,
}

/// What becomes of a builder whose image could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BuildFailure {
    /// It goes at once.
    #[default]
    Destroy,
    /// It stays, to be looked at, until the next attempt.
    Keep,
}

/// A copy of another image of the config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopySource {
    /// The image block: a managed image, which is encrypted, or a shared one, which is not.
    pub image: Name,
    /// How it is encrypted; `None`: not at all.
    pub encryption: Option<Encryption>,
}

impl Image {
    /// The custom image, where it is one of ours.
    #[must_use]
    pub fn managed(&self) -> Option<&ManagedImage> {
        match self {
            Self::Managed(image) => Some(image),
            Self::Public { .. } | Self::Shared { .. } | Self::Marketplace { .. } | Self::Promoted { .. } => None,
        }
    }

    /// The slot of a fleet that it is captured from, where it is.
    #[must_use]
    pub fn builder(&self) -> Option<(&Name, u32)> {
        match &self.managed()?.capture()?.source {
            InstanceSource::Slot { fleet, slot } => Some((fleet, *slot)),
            InstanceSource::Id(_) => None,
        }
    }
}

impl ManagedImage {
    /// The capture, where it is one.
    #[must_use]
    pub fn capture(&self) -> Option<&Capture> {
        match &self.source {
            Source::Capture(capture) => Some(capture),
            Source::Import(_) | Source::Copy(_) | Source::Build(_) => None,
        }
    }

    /// The build, where it is one.
    #[must_use]
    pub fn build(&self) -> Option<&Build> {
        match &self.source {
            Source::Build(build) => Some(build.as_ref()),
            Source::Capture(_) | Source::Import(_) | Source::Copy(_) => None,
        }
    }
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// As soon as it runs.
    Running,
    /// When it has switched itself off.
    Stopped,
    /// This long after it was created, in milliseconds.
    After(Millis),
    /// When it bears this tag: whatever prepares it says so by the cloud's own means.
    Tag {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
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
    /// What an instance has to show to be in service; silent: that it runs.
    pub health: Option<Health>,
    /// What hosts are called; silent: as the cloud likes.
    pub hostname: Option<HostnamePattern>,
    /// How instances are paid for.
    pub charge: Charge,
    /// The placement group.
    pub placement_group: Option<PlacementGroupId>,
    /// The access role of what runs on the instances.
    pub cam_role: Option<String>,
    /// Whether the instances are to run; silent: they do after their launch, and are not looked after.
    pub power: Option<Power>,
    /// Whether instances are neither destroyed nor reset.
    pub protect: bool,
    /// What instances that are there keep, whatever config and cloud say.
    pub ignore_changes: BTreeSet<FleetAttr>,
}

/// What launches instances from an image: a fleet, or a build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launcher<'d> {
    /// The block.
    pub block: Block,
    /// The image block.
    pub image: &'d Name,
    /// Where.
    pub region: &'d Region,
    /// The type of the instances.
    pub instance_type: &'d InstanceType,
}

impl<'d> Launcher<'d> {
    /// What a fleet launches.
    #[must_use]
    pub fn of_fleet(name: &Name, fleet: &'d Fleet) -> Self {
        Self {
            block: Block::fleet(name),
            image: &fleet.image,
            region: &fleet.region,
            instance_type: &fleet.instance_type,
        }
    }

    /// What a build launches.
    #[must_use]
    pub fn of_build(image: &Name, build: &'d Build) -> Self {
        Self {
            block: Block::image(image),
            image: &build.base,
            region: &build.region,
            instance_type: &build.instance_type,
        }
    }

    /// Where the config says what it is, as far as keys are the same: fleets and builds call them alike.
    #[must_use]
    pub fn path(&self) -> Path {
        let path = Desired::path(self.block.kind, &self.block.name);
        match self.block.kind {
            Kind::Image => path.key("build"),
            Kind::Share | Kind::Fleet => path,
        }
    }

    /// Where the config names the image.
    #[must_use]
    pub fn image_path(&self) -> Path {
        self.path().key(if self.block.kind == Kind::Image { "base" } else { "image" })
    }
}

impl Desired {
    /// All that launches instances.
    pub fn launchers(&self) -> impl Iterator<Item = Launcher<'_>> {
        let fleets = self.fleets.iter().map(|(name, fleet)| Launcher::of_fleet(name, fleet));
        let builds = self.images.iter().filter_map(|(name, image)| Some((name, image.managed()?.build()?)));
        fleets.chain(builds.map(|(name, build)| Launcher::of_build(name, build)))
    }

    /// The path of a block in the config.
    #[must_use]
    pub fn path(kind: Kind, name: &Name) -> Path {
        Path::of(&[kind.section(), name.as_str()])
    }
}
