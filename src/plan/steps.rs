//! The steps of a plan: what each does, waits for, relies on, and holds of limited things.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cloud::call::{Arg, Call, StepId};
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Region, RequestId, Uin, Zone};
use crate::model::recorded::VersionRecord;
use crate::model::rollout::Phase;
use crate::model::spec::ObjectSpec;
use crate::model::update::{Health, Hook, Moment};

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

impl Step {
    /// What a gate frees as one of its outputs; `None`: the output is none of those.
    #[must_use]
    pub fn frees(&self, output: u32) -> Option<Option<&CloudId>> {
        let Do::Gate(gate) = &self.does else { return None };
        let n = (output as usize).checked_sub(self.targets.len())?;
        Some(gate.frees.get(n).and_then(Option::as_ref))
    }

    /// Whether it does nothing but wait for others to succeed: many steps that wait for many others wait for one such
    /// step instead. Nobody is told of it: what it was skipped for is told by whatever waits for it.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        let nothing = |target: &Target| target.effect == Effect::Nothing;
        self.does == Do::Record && self.targets.iter().all(nothing)
    }
}

/// A step that must be over before another starts. The ids that a step's arguments name count as needs too: a target
/// whose id never came is skipped, and its step goes on for the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// That step must have succeeded: every target, but for slots that a rollout may do without. Else this step is skipped
    /// as a whole.
    Success(StepId),
    /// Every target of that step must have got there: the old instance of a slot that a rollout does without runs on. Else
    /// this step is skipped as a whole.
    Whole(StepId),
    /// That step must be over, however it went.
    Over(StepId),
}

impl Need {
    /// The step that is waited for.
    #[must_use]
    pub fn step(self) -> StepId {
        match self {
            Self::Success(step) | Self::Whole(step) | Self::Over(step) => step,
        }
    }

    /// The step that must have succeeded, where one must.
    #[must_use]
    pub fn success(self) -> Option<StepId> {
        match self {
            Self::Success(step) | Self::Whole(step) => Some(step),
            Self::Over(_) => None,
        }
    }

    /// The same need of another step.
    #[must_use]
    pub fn on(self, step: StepId) -> Self {
        match self {
            Self::Success(_) => Self::Success(step),
            Self::Whole(_) => Self::Whole(step),
            Self::Over(_) => Self::Over(step),
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
    /// Looks whether instances are healthy, for as long as it takes to know.
    Gate(Box<Gate>),
    /// Runs something of the user's for instances.
    Hook(Box<HookStep>),
}

/// What a rollout has to see before it goes on. A target succeeds when its instance has been healthy for `min_ready_ms`;
/// the step succeeds when no more than `most_failures` slots of the fleet have failed, in all of the rollout's gates
/// together, and the others have stayed healthy for `bake_ms` more. A target whose instance never came has failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// The fleet.
    pub fleet: Block,
    /// Where.
    pub region: Region,
    /// What an instance has to show.
    pub health: Health,
    /// How long each has to be healthy, in milliseconds.
    pub min_ready_ms: Millis,
    /// How long all have to stay healthy then, in milliseconds.
    pub bake_ms: Millis,
    /// How many slots may fail in the whole rollout.
    pub most_failures: u32,
    /// For each target the instance that may go when it succeeds. The step hands it out as the output of that target's
    /// number and the number of targets together.
    pub frees: Vec<Option<CloudId>>,
    /// What the rollout is when it succeeds; silent: as before.
    pub passed: Option<Mark>,
    /// What the rollout is when it does not; silent: there is no rollout to mark.
    pub failed: Option<Phase>,
}

impl Gate {
    /// Whether nothing has to be looked at: then a target succeeds as soon as its instance is there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.health.check.is_none() && self.min_ready_ms == 0 && self.bake_ms == 0
    }
}

/// What a gate makes of its rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// How far it is then.
    pub phase: Phase,
    /// Whether the canary counts as passed from then on.
    pub canary_passed: bool,
}

/// A hook that is run for the instances that the step's targets are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookStep {
    /// The fleet.
    pub fleet: Block,
    /// Where.
    pub region: Region,
    /// When.
    pub moment: Moment,
    /// What.
    pub hook: Hook,
}

/// One thing that a step acts on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The thing, without its generation.
    pub addr: Addr,
    /// Its generation.
    pub generation: u32,
    /// Its id: known, or the output of an earlier step; `None` for what the step itself makes.
    pub id: Option<Arg<CloudId>>,
    /// What success means for the state.
    pub effect: Effect,
}

impl Target {
    /// Its id, where it is known.
    #[must_use]
    pub fn known(&self) -> Option<CloudId> {
        self.id.as_ref().and_then(Arg::known).cloned()
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
    /// Of the first copy of an image's version: what the version is made of. It is large, and no instance has one.
    pub version: Option<Box<VersionRecord>>,
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
    /// The instances bear this tag.
    Tagged {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
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
            Self::Tagged { key, value } => format!("tagged {key}={value}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_has_a_million_of_is_small() {
        let sizes = [size_of::<Target>(), size_of::<NewObject>()];
        assert!(sizes[0] <= 152 && sizes[1] <= 120, "{sizes:?} bytes");
    }
}
