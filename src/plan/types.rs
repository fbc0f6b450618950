//! A plan as a value: what changes, and the steps that change it. Every choice has been made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cloud::call::{Call, StepId};
use crate::diagnostic::Diagnostic;
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::digest::Digest;
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Lineage, Name, Region, RequestId, Uin, Zone};
use crate::model::observed::LatestOperation;
use crate::model::recorded::{Origin, VersionRecord};
use crate::model::spec::ObjectSpec;
use crate::plan::input::Scope;

/// The version of the plan's own format.
pub const FORMAT: u32 = 1;

/// What will be done, in which order, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`] of whoever wrote it.
    pub format: u32,
    /// Of the state that it was made from.
    pub lineage: Lineage,
    /// Of the state that it was made from.
    pub serial: u64,
    /// Which cloud, account and project.
    pub origin: Origin,
    /// Which environment.
    pub env: Name,
    /// Of the config that it was made from.
    pub config_digest: Digest,
    /// Cloud time of the observation.
    pub as_of_ms: Millis,
    /// Whether it destroys everything.
    pub destroy: bool,
    /// Whether our own things were taken to be as the state remembers them, without a look at the cloud.
    #[serde(default)]
    pub from_memory: bool,
    /// Whether only the state changes: it learns what the cloud has.
    #[serde(default)]
    pub refresh_only: bool,
    /// What it is about.
    #[serde(default)]
    pub scope: Scope,
    /// What the look-ups found.
    pub lookups: Vec<Pinned>,
    /// What changes, in the order of the addresses.
    pub changes: Vec<Change>,
    /// What was changed outside, whether it is repaired or left alone.
    pub drift: Vec<Drift>,
    /// What is done. A step's needs stand before it.
    pub steps: Vec<Step>,
    /// Which block needs which, from now on.
    pub edges: BTreeSet<(Block, Block)>,
    /// The most that is held of each limited thing, at any moment.
    pub peaks: Vec<Peak>,
    /// What the cloud does not let one know beforehand, and the plan relies on.
    pub assumptions: Vec<String>,
    /// Warnings and notes; they belong to the moment, not to the plan's value.
    #[serde(skip)]
    pub notes: Vec<Diagnostic>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many things are added, changed, reset and destroyed; a replacement is an addition and a destruction.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.changes.iter().map(|change| change.action))
    }

    /// How many mutating calls it makes, by action.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u32> {
        let mut calls = BTreeMap::new();
        for step in &self.steps {
            if let Do::Call(call) = &step.does {
                *calls.entry(call.body.action()).or_default() += 1;
            }
        }
        calls
    }
}

/// The closing line of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Made.
    pub add: u32,
    /// Changed in place.
    pub change: u32,
    /// Whose system disk is formatted.
    pub reset: u32,
    /// Destroyed.
    pub destroy: u32,
}

impl Counts {
    /// Of what happens to each thing.
    #[must_use]
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        let mut counts = Self::default();
        for action in actions {
            match action {
                Action::Create => counts.add += 1,
                Action::Update => counts.change += 1,
                Action::Reset => counts.reset += 1,
                Action::Replace => {
                    counts.add += 1;
                    counts.destroy += 1;
                }
                Action::Delete => counts.destroy += 1,
                Action::Forget | Action::Learn | Action::Await => {}
            }
        }
        counts
    }
}

/// What a look-up found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pinned {
    /// The image block.
    pub block: Block,
    /// Where.
    pub region: Region,
    /// The exact name.
    pub name: String,
    /// The id.
    pub id: ImageId,
    /// When the image was made.
    pub created_ms: Millis,
    /// Whether the lock file has no such entry yet, or is to get another one.
    pub new: bool,
    /// What it was pinned to before, where it moves on.
    #[serde(default)]
    pub was: Option<ImageId>,
}

/// What happens to one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The thing, with its generation.
    pub addr: Addr,
    /// What happens to it.
    pub action: Action,
    /// What the cloud calls it now, where it is there.
    pub id: Option<CloudId>,
    /// What it is, or will be, called in the cloud.
    pub name: String,
    /// Why, and what changes; shared by all slots that change alike.
    pub detail: Arc<Detail>,
}

/// What happens to a thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `-`: it is deleted.
    Delete,
    /// `-/+`: it is deleted, then made anew.
    Replace,
    /// `!`: its system disk is formatted.
    Reset,
    /// `.`: it is gone already; only the state forgets it.
    Forget,
    /// `<~`: it was changed outside, and only the state learns it.
    Learn,
    /// `~`: it changes in place.
    Update,
    /// `+`: it is made.
    Create,
    /// It is under way already, and waited for.
    Await,
}

impl Action {
    /// The sign in a plan.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Delete => "-",
            Self::Replace => "-/+",
            Self::Reset => "!",
            Self::Forget => ".",
            Self::Learn => "<~",
            Self::Update => "~",
            Self::Create => "+",
            Self::Await => "…",
        }
    }

    /// Whether data can be lost.
    #[must_use]
    pub fn destructive(self) -> bool {
        match self {
            Self::Delete | Self::Replace | Self::Reset => true,
            Self::Forget | Self::Learn | Self::Update | Self::Create | Self::Await => false,
        }
    }
}

/// Why something happens, and what changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Detail {
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// Of something made: what it is made with. Else: what changes.
    pub attrs: Vec<AttrChange>,
}

/// Why something happens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The config has it, the state does not.
    New,
    /// The fleet grows.
    ScaledUp {
        /// Slots before.
        from: u32,
        /// Slots after.
        to: u32,
    },
    /// The fleet shrinks.
    ScaledDown {
        /// Slots before.
        from: u32,
        /// Slots after.
        to: u32,
    },
    /// It was deleted outside.
    Vanished,
    /// It is in the recycle bin: somebody returned it, or what was paid for is over.
    RecycleBin {
        /// Cloud time since when, where that is told.
        since_ms: Option<Millis>,
        /// How long such things stay there at most, in milliseconds.
        stays_ms: Millis,
    },
    /// It was accepted a moment ago, and the cloud does not list it yet.
    NotListed,
    /// The config no longer has its zone.
    Moved {
        /// The zone that it leaves.
        from: Zone,
        /// The zone that it gets to.
        to: Zone,
    },
    /// The config says something else than before.
    Changed {
        /// Which attributes.
        attrs: Vec<String>,
    },
    /// It was changed outside.
    Drifted {
        /// Which attributes.
        attrs: Vec<String>,
    },
    /// There is a new version of an image.
    NewVersion {
        /// Which inputs differ from those of the version before.
        inputs: Vec<String>,
    },
    /// All copies of the version were deleted outside: it is captured anew.
    Recaptured,
    /// A copy was deleted outside, and is made from one that is left in this region.
    CopiedBack {
        /// Where a copy is left.
        from: Region,
    },
    /// The config no longer has it.
    NotInConfig,
    /// A newer version took its place.
    OldVersion,
    /// The region is no longer among the image's.
    RegionDropped,
    /// The command line asks for it.
    Requested,
    /// Everything is destroyed.
    Destroy,
    /// The cloud gave its creation up.
    CreationFailed,
    /// What it is on goes away.
    ImageGoes,
    /// It was accepted, and is not there yet.
    UnderWay,
    /// Somebody else's, and the config says that such go.
    Undeclared,
    /// The last reset failed.
    ResetFailed,
    /// The cloud has it so already; only the state learns it.
    Already,
    /// A run shut it down for a change, and was interrupted before it was started again.
    Halted,
}

/// One attribute, before and after.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct AttrChange {
    /// The key in the config, or what comes nearest.
    pub name: String,
    /// What it is now.
    pub before: Value,
    /// What it will be.
    pub after: Value,
}

/// The value of an attribute, to be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// There is none.
    None,
    /// A text or a number.
    Text(String),
    /// Several, in order.
    List(Vec<String>),
    /// Known only by where it comes from.
    Secret {
        /// Where its bytes are.
        source: String,
        /// The first digits of its equality digest.
        digest: String,
    },
    /// Known only when an earlier step is done.
    Unknown {
        /// Which step.
        step: StepId,
        /// Which of its targets.
        target: u32,
        /// What it is.
        addr: Addr,
    },
}

/// What the plan does about something that was changed outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// It is brought back to what the config says.
    Repaired,
    /// It stays as it is.
    Left,
    /// The state learns it: from then on it counts as what we made it.
    Learnt,
}

/// Something that was changed outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// The thing.
    pub addr: Addr,
    /// The attribute.
    pub attr: String,
    /// What the state has.
    pub recorded: Value,
    /// What the cloud has.
    pub observed: Value,
    /// What the plan does about it.
    pub handling: Handling,
    /// The operation that may have done it: of an instance its latest, where that leaves such a change behind.
    pub by: Option<LatestOperation>,
}

/// The attribute of a [`Drift`] that tells whether a thing is there at all.
pub const PRESENCE: &str = "presence";

/// One step: one call, or one wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// What must be over before it starts.
    pub needs: Vec<Need>,
    /// What it does.
    pub does: Do,
    /// What it does it to; each has an outcome of its own.
    pub targets: Vec<Target>,
    /// What must still be so when it starts.
    pub expect: Vec<Fact>,
    /// When it is over.
    pub settle: Settle,
    /// What it holds of limited things.
    pub holds: Vec<Hold>,
}

/// A step that must be over before another starts. The ids that a step's arguments name count as needs too: a target
/// whose id never came is skipped, and its step goes on for the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Every target of that step must have succeeded; else this step is skipped as a whole.
    Success(StepId),
    /// That step must be over, however it went.
    Over(StepId),
}

impl Need {
    /// The step that is waited for.
    #[must_use]
    pub fn step(self) -> StepId {
        match self {
            Self::Success(step) | Self::Over(step) => step,
        }
    }
}

/// What a step does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Do {
    /// Makes a call, and waits until it has settled.
    Call(Call),
    /// Waits for what is under way, or for what a machine does by itself.
    Await {
        /// Where.
        region: Region,
    },
    /// Changes the state only: forgets what is gone, or enters what is there.
    Record,
}

/// One thing that a step acts on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The thing, without its generation.
    pub addr: Addr,
    /// Its generation.
    pub generation: u32,
    /// Its id: known, or the output of an earlier step; `None` for what the step itself makes.
    pub id: Option<crate::cloud::call::Arg<CloudId>>,
    /// What success means for the state.
    pub effect: Effect,
}

impl Target {
    /// Its id, where it is known.
    #[must_use]
    pub fn known(&self) -> Option<CloudId> {
        self.id.as_ref().and_then(crate::cloud::call::Arg::known).cloned()
    }
}

/// What a target's success means for the state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// It is there: entered when accepted, ready when settled.
    Make(Box<NewObject>),
    /// It has this spec from now on.
    Become(Arc<ObjectSpec>),
    /// It is gone.
    Remove,
    /// What was on its way has arrived.
    Arrive,
}

impl Effect {
    /// What the target is, where the step makes it.
    #[must_use]
    pub fn makes(&self) -> Option<&NewObject> {
        match self {
            Self::Make(made) => Some(made),
            Self::Nothing | Self::Become(_) | Self::Remove | Self::Arrive => None,
        }
    }
}

/// Something that a step makes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewObject {
    /// Where it will be.
    pub region: Region,
    /// What it will be called; tells instances of one launch apart.
    pub name: String,
    /// Of an instance: where.
    pub zone: Option<Zone>,
    /// Of an instance: its number in the zone.
    pub ordinal: Option<u32>,
    /// What it is made with.
    pub spec: Arc<ObjectSpec>,
    /// Of the first copy of an image's version: what the version is made of.
    pub version: Option<VersionRecord>,
}

/// When a step is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settle {
    /// What is waited for.
    pub until: Until,
    /// How long that takes as a rule; polls come at a tenth of it.
    pub expected_ms: Millis,
    /// How long it may take before it counts as failed.
    pub deadline_ms: Millis,
}

/// What is waited for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Nothing beyond the answer: it takes effect at once.
    Accepted,
    /// The instances run.
    Running,
    /// The instances are shut down.
    Stopped,
    /// Their state no longer changes by itself: RUNNING, STOPPED or gone; for what was found under way.
    Settled,
    /// This long after they were created, and running, in milliseconds.
    Age(Millis),
    /// The instances are no longer there, or in the recycle bin.
    Gone,
    /// The latest operation, this one, succeeded.
    Operation(String),
    /// The images are NORMAL.
    Normal,
    /// The copies are NORMAL, and their source is NORMAL again.
    Copied,
    /// The images are no longer there.
    ImageGone,
}

impl Until {
    /// What it is then: "waiting until it is …", "it was not … in time".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Accepted => "accepted".to_owned(),
            Self::Running => "running".to_owned(),
            Self::Stopped => "switched off".to_owned(),
            Self::Settled => "at rest".to_owned(),
            Self::Age(ms) => format!("{} s old", ms / 1000),
            Self::Gone | Self::ImageGone => "gone".to_owned(),
            Self::Operation(name) => format!("done with its {name}"),
            Self::Normal | Self::Copied => "usable".to_owned(),
        }
    }
}

/// Something that must still be so when a step starts, for its call to be the right one. It is also the evidence by
/// which a call in doubt is settled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// No custom image bears the name.
    NameFree {
        /// Where.
        region: Region,
        /// The name.
        name: String,
    },
    /// The instance is as it was seen.
    Instance {
        /// Where.
        region: Region,
        /// Which.
        id: InstanceId,
        /// From which image.
        image: ImageId,
        /// Of which type.
        instance_type: InstanceType,
        /// The request behind its latest operation.
        latest_request: Option<RequestId>,
    },
    /// The image is shared with just these accounts.
    Shared {
        /// Where.
        region: Region,
        /// Which image.
        image: ImageId,
        /// With whom.
        accounts: BTreeSet<Uin>,
    },
    /// The image is there.
    Image {
        /// Where.
        region: Region,
        /// Which.
        id: ImageId,
    },
    /// The instance is as the state remembers it: the plan was made without looking. What was done to it last is seen
    /// when the step starts, and is the evidence from then on: the fact becomes an [`Fact::Instance`].
    Remembered {
        /// Where.
        region: Region,
        /// Which.
        id: InstanceId,
        /// From which image.
        image: ImageId,
        /// Of which type.
        instance_type: InstanceType,
    },
    /// These instances are there, and stay.
    Instances {
        /// Where.
        region: Region,
        /// Which.
        ids: BTreeSet<InstanceId>,
    },
    /// Those of these instances that are there may be terminated: the cloud does not protect them, they are billed as they
    /// were, and none lies in the recycle bin, out of which a termination would destroy it.
    Terminable {
        /// Where.
        region: Region,
        /// Which.
        ids: BTreeSet<InstanceId>,
        /// How they are billed.
        charge_type: String,
    },
    /// The image is shared with nobody, or not there any more.
    Unshared {
        /// Where.
        region: Region,
        /// Which image.
        image: ImageId,
    },
    /// The thing is not there. Of a step that only changes the state, so nothing is read for it while a plan is carried
    /// out: it is looked at before a plan file is.
    Gone {
        /// Where.
        region: Region,
        /// Which.
        id: CloudId,
    },
}

/// What a step holds of a limited thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// Of what.
    pub resource: Resource,
    /// From its start on.
    pub at_start: i64,
    /// From its confirmed end on.
    pub at_end: i64,
}

/// Something limited.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Custom images of the account in a region.
    Images(Region),
    /// Pay-as-you-go instances of the account in a zone.
    Instances(Region, Zone),
    /// Prepaid instances that the account may make in a zone in a month; nothing gives them back.
    Prepaid(Region, Zone),
    /// Cores of spot instances of the account in a zone.
    SpotCores(Region, Zone),
    /// Accounts that an image is shared with.
    Shares(Addr),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(region) => write!(f, "custom images in {region}"),
            Self::Instances(_, zone) => write!(f, "instances in {zone}"),
            Self::Prepaid(_, zone) => write!(f, "prepaid instances in {zone} this month"),
            Self::SpotCores(_, zone) => write!(f, "cores of spot instances in {zone}"),
            Self::Shares(addr) => write!(f, "accounts that {addr} is shared with"),
        }
    }
}

/// The most that is held of a limited thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peak {
    /// Of what.
    pub resource: Resource,
    /// Before the first step, others' things included.
    pub before: u32,
    /// At the worst moment.
    pub peak: u32,
    /// After the last step.
    pub after: u32,
    /// The most that may be.
    pub limit: u32,
}
