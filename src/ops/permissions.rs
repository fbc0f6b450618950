//! What each command may ask of the cloud: the actions that its calls are of, and so what an access policy has to allow.
//! `docs/cam-policy.md` is made from this.

use std::collections::BTreeSet;

/// A command that reaches the cloud, as far as it needs permissions of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Command {
    /// `doctor`.
    Doctor,
    /// `plan`, whatever its plan is for.
    Plan,
    /// `plan --preflight`.
    Preflight,
    /// `images`.
    Images,
    /// `drift`.
    Drift,
    /// `drift --orphans`, with `--adopt` and without.
    Orphans,
    /// `refresh`, which is `apply --refresh-only`.
    Refresh,
    /// `apply`, of a saved plan, too.
    Apply,
    /// `destroy`, which is `apply --destroy`.
    Destroy,
}

/// What is in the state, as the cloud has it; and what became of a call.
const OURS: &[&str] = &["cvm:DescribeImageSharePermission", "cvm:DescribeImages", "cvm:DescribeInstances"];

/// All instances and images of a region.
const LISTS: &[&str] = &["cvm:DescribeImages", "cvm:DescribeInstances"];

/// All images of a region, and some by their ids.
const IMAGES: &[&str] = &["cvm:DescribeImages"];

/// What there is to be had, and how much of it.
const OFFERS: &[&str] = &[
    "cvm:DescribeAccountQuota",
    "cvm:DescribeImageQuota",
    "cvm:DescribeInstanceTypeConfigs",
    "cvm:DescribeRegions",
    "cvm:DescribeZones",
];

/// What a plan asks beside: which systems can be imported, the user data that it changes, and prices.
const BESIDE: &[&str] =
    &["cvm:DescribeImportImageOs", "cvm:DescribeInstancesAttributes", "cvm:InquiryPriceRunInstances"];

const STOCK: &[&str] = &["cvm:DescribeZoneInstanceConfigInfos"];

/// Changes that can be run dry.
const DRY: &[&str] = &["cvm:CreateImage", "cvm:DeleteImages", "cvm:ImportImage", "cvm:RunInstances", "cvm:SyncImages"];

/// Changes that cannot.
const CHANGES: &[&str] = &[
    "cvm:ModifyImageAttribute",
    "cvm:ModifyImageSharePermission",
    "cvm:ModifyInstancesAttribute",
    "cvm:ResetInstance",
    "cvm:ResetInstancesType",
    "cvm:StartInstances",
    "cvm:StopInstances",
    "cvm:TerminateInstances",
    "tag:TagResources",
    "tag:UnTagResources",
];

/// What it takes to be without a thing: a shared image is deleted when it is shared no more.
const REMOVALS: &[&str] = &["cvm:DeleteImages", "cvm:ModifyImageSharePermission", "cvm:TerminateInstances"];

/// What settling an interrupted run sends beside reads of [`OURS`].
const REPEATED: &[&str] = &["cvm:RunInstances"];

/// Actions that calls can be of, and that no command asks for, each with the reason.
pub const UNASKED: &[(&str, &str)] =
    &[("cvm:DescribeInstancesStatus", "DescribeInstances tells states, too, and all else that is to be known")];

impl Command {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Doctor,
        Self::Plan,
        Self::Preflight,
        Self::Images,
        Self::Drift,
        Self::Orphans,
        Self::Refresh,
        Self::Apply,
        Self::Destroy,
    ];

    /// As it is typed.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Plan => "plan",
            Self::Preflight => "plan --preflight",
            Self::Images => "images",
            Self::Drift => "drift",
            Self::Orphans => "drift --orphans",
            Self::Refresh => "refresh",
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        }
    }

    /// The actions that it can send, with their services, in order: none of them is there that it never sends.
    #[must_use]
    pub fn actions(self) -> BTreeSet<&'static str> {
        let lists: &[&[&'static str]] = match self {
            Self::Doctor => &[LISTS, OFFERS],
            Self::Plan => &[OURS, OFFERS, BESIDE],
            Self::Preflight => &[OURS, OFFERS, BESIDE, STOCK, DRY],
            Self::Images => &[IMAGES],
            Self::Drift | Self::Refresh => &[OURS],
            Self::Orphans => &[LISTS],
            Self::Apply => &[OURS, OFFERS, BESIDE, DRY, CHANGES],
            Self::Destroy => &[OURS, REMOVALS],
        };
        lists.iter().copied().flatten().copied().collect()
    }

    /// What it sends beside where it first has to settle what an interrupted run left: a launch that got no answer is made
    /// again, under its token, which makes nothing twice. Where that is not allowed, it is looked up.
    #[must_use]
    pub fn settling(self) -> BTreeSet<&'static str> {
        let beside: &[&'static str] = match self {
            Self::Refresh | Self::Destroy => REPEATED,
            // It may launch anyway.
            Self::Apply => &[],
            // They settle nothing.
            Self::Doctor | Self::Plan | Self::Preflight | Self::Images | Self::Drift | Self::Orphans => &[],
        };
        beside.iter().copied().collect()
    }

    /// Those that send an action, of whichever service.
    #[must_use]
    pub fn that_send(action: &str) -> Vec<Self> {
        let is_it = |named: &&str| named.split_once(':').is_some_and(|(_, name)| name == action);
        Self::ALL.into_iter().filter(|command| command.actions().iter().any(is_it)).collect()
    }
}
