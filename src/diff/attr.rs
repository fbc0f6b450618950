//! One attribute that differs, and what bringing it to its new value takes.

use super::shown::Shown;
use crate::model::attrs::FleetAttr;

/// What bringing an attribute to its new value takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Takes {
    /// It is never changed.
    Refused,
    /// Instances are made, or destroyed.
    Scale,
    /// A new instance in another zone.
    Move,
    /// A new instance.
    Replace,
    /// A new system disk: a reset or a new instance, as the fleet's strategy says.
    Rebuild,
    /// Stop, ResetInstancesType, start.
    Resize,
    /// ModifyInstancesAttribute, and the instance reboots.
    Restart,
    /// StopInstances, StartInstances.
    Power,
    /// ModifyInstancesAttribute.
    Modify,
    /// TagResources, UnTagResources.
    Tag,
    /// Nothing but a note in the state: the cloud has it already, or it matters to new instances only.
    Record,
    /// It is only shown.
    Nothing,
}

impl Takes {
    /// What that is, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Scale => "instances are made, or destroyed",
            Self::Move => "moved: replaced in another zone",
            Self::Replace => "replaced",
            Self::Rebuild => "rebuild",
            Self::Resize => "in place, switched off",
            Self::Restart => "in place, restarted",
            Self::Power => "switched on, switched off",
            Self::Modify | Self::Tag => "in place",
            Self::Record => "only noted",
            Self::Nothing => "nothing",
        }
    }
}

/// One attribute that differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Attr {
    /// The key in the config, or what comes nearest.
    pub name: &'static str,
    /// What it is.
    pub before: Shown,
    /// What it is to be.
    pub after: Shown,
    /// What that takes.
    pub takes: Takes,
    /// Whether somebody else changed it.
    pub drifted: bool,
}

impl Attr {
    /// Whether it is this attribute of a fleet.
    #[must_use]
    pub fn is(&self, attr: FleetAttr) -> bool {
        self.name == attr.word()
    }
}
