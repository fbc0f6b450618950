//! What the state remembers: objects of ours, the versions of images, and which block needed which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::addr::{Addr, Block, Kind};
use super::digest::Digest;
use super::ids::{CloudId, ImageId, InstanceId, Lineage, Name, Region, Uin, Version, Zone};
use super::rollout::{Phase, Rollout};
use super::spec::{ImageUse, Inputs, ObjectSpec};

/// The id of an operation in the journal, counted up in a state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpId(pub i64);

/// The id of a run, counted up in a state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}", self.0)
    }
}

/// A whole state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// What the state calls itself.
    pub lineage: Lineage,
    /// Grows with every change of what follows.
    pub serial: u64,
    /// The cloud it is of; `None` until the first apply.
    pub origin: Option<Origin>,
    /// Everything of ours in the cloud.
    pub objects: Vec<Object>,
    /// The versions of managed images.
    pub versions: Vec<VersionRecord>,
    /// Instances that were shut down for a change and not started again since: an interrupted run owes them that.
    pub halted: BTreeSet<InstanceId>,
    /// Which block needs which, also for blocks that the config no longer has.
    pub edges: BTreeSet<(Block, Block)>,
    /// How far changes of fleets are, by fleet: of each the latest.
    pub rollouts: BTreeMap<Block, Rollout>,
}

/// The cloud that a state is of. Another one's state is refused: all would seem to have vanished.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// As [`Provider::endpoint`](super::desired::Provider::endpoint) tells.
    pub endpoint: String,
    /// Who owns what is made.
    pub account: Uin,
    /// The project whose names and tags the objects bear.
    pub project: Name,
}

/// How far a thing of ours is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The cloud accepted its creation.
    Creating,
    /// It was seen to be there, as it should be.
    Ready,
    /// The cloud gave its creation up.
    Failed,
    /// The cloud accepted its removal.
    Deleting,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Creating, Self::Ready, Self::Failed, Self::Deleting];

    /// Whether what is seen to be there is not yet known to be as it should be: its creation was not seen to its end.
    #[must_use]
    pub fn is_unsettled(self) -> bool {
        match self {
            Self::Creating | Self::Failed => true,
            Self::Ready | Self::Deleting => false,
        }
    }

    /// The word in state and output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

/// One thing of ours in the cloud: an instance, a copy of an image, or the shares of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Object {
    /// Its address, without the generation.
    pub addr: Addr,
    /// Which of several that bore this address in turn, from 1.
    pub generation: u32,
    /// Where it is.
    pub region: Region,
    /// What the cloud calls it; of shares: their image.
    pub cloud_id: CloudId,
    /// What it is called in the cloud.
    pub name: String,
    /// Of an instance: where.
    pub zone: Option<Zone>,
    /// Of an instance of a fleet: its number in the zone, part of its name.
    pub ordinal: Option<u32>,
    /// How far it is.
    pub status: Status,
    /// What it was made with, or last brought to.
    pub spec: Arc<ObjectSpec>,
    /// Of an instance: the image that it was launched from or last reset to.
    pub made_from: Option<ImageId>,
    /// Cloud time at which its creation was accepted.
    pub accepted_ms: Millis,
    /// The operation that made it.
    pub made_by: Option<OpId>,
}

impl Object {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.addr.block.kind
    }

    /// Whether it is an instance that a rollout made or changed, and that no gate has seen yet.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        matches!(self.spec.as_ref(), ObjectSpec::Slot(spec) if spec.on_trial)
    }

    /// The address with its generation, as people see it.
    #[must_use]
    pub fn full_addr(&self) -> Addr {
        self.addr.clone().generation(self.generation)
    }
}

/// A version of a managed image that was captured, or is about to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The image block.
    pub block: Block,
    /// The version.
    pub version: Version,
    /// Which capture of that version, from 1.
    pub generation: u32,
    /// What it is made of.
    pub inputs: Inputs,
    /// The digest of `inputs`.
    pub inputs_digest: Digest,
    /// Cloud time at which the capture was accepted.
    pub made_ms: Millis,
}

impl Recorded {
    /// The state of a config that was never applied.
    #[must_use]
    pub fn empty(lineage: Lineage) -> Self {
        Self {
            lineage,
            serial: 0,
            origin: None,
            objects: Vec::new(),
            versions: Vec::new(),
            halted: BTreeSet::new(),
            edges: BTreeSet::new(),
            rollouts: BTreeMap::new(),
        }
    }

    /// Whether the latest rollout of some fleet was stopped with an image, or taken back.
    #[must_use]
    pub fn is_quarantined(&self, image: &ImageUse) -> bool {
        let failed = |phase: Phase| matches!(phase, Phase::Stopped | Phase::TakenBack);
        self.rollouts.values().any(|rollout| rollout.to == *image && failed(rollout.phase))
    }

    /// Objects by their block, in the order of the addresses.
    #[must_use]
    pub fn by_block(&self) -> BTreeMap<&Block, Vec<&Object>> {
        let mut blocks: BTreeMap<&Block, Vec<&Object>> = BTreeMap::new();
        // Those of a block stand together, as they were read: 100,000 slots are looked up once.
        for objects in self.objects.chunk_by(|a, b| a.addr.block == b.addr.block) {
            let Some(first) = objects.first() else { continue };
            blocks.entry(&first.addr.block).or_default().extend(objects);
        }
        for objects in blocks.values_mut() {
            objects.sort_by(|a, b| (&a.addr, a.generation).cmp(&(&b.addr, b.generation)));
        }
        blocks
    }
}
