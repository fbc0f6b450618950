//! Calls as data: steps hold them, the journal stores them, a rehearsal replays them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::{
    CloudId, ImageId, InstanceId, InstanceType, PlacementGroupId, Region, SecurityGroupId, Uin, Zone,
};
use crate::model::spec::{
    Charge, DataDisk, Encryption, HostnamePattern, ImportSource, Internet, Login, SlotNetwork, SystemDisk,
};

pub use super::answer::{Answer, Class, Executed, Fault, Page, Reply, Sold, TagFailure};
pub use super::query::Query;

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
        /// At most 100. Those that an earlier step makes may be among them.
        #[serde(deserialize_with = "ids_or_outputs")]
        instances: Vec<Arg<InstanceId>>,
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

impl Launch {
    /// Of one instance, of which nothing else is declared.
    #[must_use]
    pub fn of(zone: Zone, image: Arg<ImageId>, instance_type: InstanceType) -> Self {
        Self {
            zone,
            image,
            instance_type,
            system_disk: SystemDisk::default(),
            data_disks: Vec::new(),
            network: SlotNetwork::default(),
            internet: None,
            login: Login::Unset,
            name_prefix: String::new(),
            first_ordinal: 0,
            count: 1,
            tags: Tags::new(),
            user_data: None,
            hostname: None,
            charge: Charge::default(),
            placement_group: None,
            cam_role: None,
            protect: false,
            token: None,
        }
    }
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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
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

/// The most ids of one read, and the page that is always asked for (API text 1.10: the default is 20).
pub const PAGE: u32 = 100;
/// The most instances of one RunInstances (API text 5.1).
pub const MAX_LAUNCH: u32 = 500;
/// The most ids of Terminate, Start, Stop and ModifyInstancesAttribute (API text 8.9).
pub const MAX_BATCH: usize = 100;
/// The most resources of one TagResources or UnTagResources (API text 7.1).
pub const MAX_TAG_RESOURCES: usize = 10;
/// The most images of one DeleteImages. The figure is unconfirmed (API text 4.13, 9.5): that of all other lists of ids.
/// Where the cloud takes fewer, it refuses the call, and halves of it are tried.
pub const MAX_DELETE: usize = 100;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminations_are_read_as_older_versions_wrote_them() {
        let known = Body::TerminateInstances { instances: vec![Arg::Known("ins-1".into())] };
        let old: Body = serde_json::from_str(r#"{"terminate_instances":{"instances":["ins-1"]}}"#).expect("a call");
        assert_eq!(old, known);
    }

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
