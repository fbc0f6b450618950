//! What a change of each attribute takes, and what becomes of its drift: one table, by which diffs decide, and from which
//! `docs/changes.md` is made.

use crate::model::attrs::FleetAttr;

use super::attr::Takes;

/// What becomes of an attribute that somebody else changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// It is brought back to what the config says.
    Repaired,
    /// It is shown, and stays as it is.
    Shown,
    /// The cloud does not tell it.
    Untold,
    /// Nobody can change it.
    Never,
}

impl Fate {
    /// The fate in a word or two.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Shown => "only shown",
            Self::Untold => "the cloud does not tell",
            Self::Never => "cannot be",
        }
    }
}

/// One attribute: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Field<A: 'static> {
    /// The attribute.
    pub attr: A,
    /// What its change takes; the worst first, where that depends on the values.
    pub change: &'static [Takes],
    /// What becomes of its drift, where it is declared.
    pub drift: Fate,
    /// Whether `ignore_changes` may name it.
    pub ignorable: bool,
    /// Operations of the cloud that leave this attribute changed (LatestOperation): they tell who did it.
    pub operations: &'static [&'static str],
    /// What happens, in a sentence.
    pub says: &'static str,
    /// The calls that a change takes.
    pub calls: &'static str,
}

macro_rules! fields {
    ($($attr:ident: [$($takes:ident),*], $drift:ident, $ignorable:literal, $operations:expr, $says:literal, $calls:literal;)*) => {
        /// The table of fleets: a row for each attribute, in their order.
        pub const FLEET: &[Field<FleetAttr>] = &[$(Field {
            attr: FleetAttr::$attr,
            change: &[$(Takes::$takes),*],
            drift: Fate::$drift,
            ignorable: $ignorable,
            operations: &$operations,
            says: $says,
            calls: $calls,
        }),*];

        /// The row of an attribute.
        #[must_use]
        pub fn fleet(attr: FleetAttr) -> &'static Field<FleetAttr> {
            // The place of each row in the table, which the compiler counts.
            enum Place { $($attr),* }
            let place = match attr { $(FleetAttr::$attr => Place::$attr),* };
            &FLEET[place as usize]
        }
    };
}

fields! {
    Image: [Rebuild], Repaired, true, ["ResetInstance"],
        "a new system disk: a new instance or a reset, as `strategy` says; a new version of the image is such a change",
        "replace: TerminateInstances and RunInstances for each group; reset: ResetInstance for each instance";
    Count: [Scale], Repaired, false, ["TerminateInstances"],
        "up: the lowest free indices, in the emptiest zones; down: first slots that are lost, then those of zones that the config no longer has, then the highest of the fullest zones; what somebody deleted is made again under its name",
        "RunInstances: one for each run of consecutive ordinals in a zone, at most 500 instances each; TerminateInstances: ⌈n / 100⌉ for each region and billing mode, over all fleets";
    Region: [Refused], Never, false, [],
        "a fleet stays in its region: declare another one there, and remove this one when it has taken over",
        "";
    Zones: [Move], Never, false, [],
        "one more is filled as the fleet grows; the slots of one that goes are replaced in the emptiest of the others, under new names",
        "as `replace`";
    Type: [Resize], Repaired, true, ["ResetInstancesType"],
        "a running instance is switched off meanwhile",
        "StopInstances and StartInstances for each group, ResetInstancesType for each instance";
    SystemDiskType: [Replace], Shown, true, ["ModifyDiskAttributes"],
        "a system disk keeps its type for life; where it is no longer declared, nothing happens",
        "as `replace`";
    SystemDiskSize: [Replace, Rebuild], Shown, true, ["ResizeInstanceDisks"],
        "smaller: a new instance whatever the strategy; larger: a reset with the new size, or a new instance, as `strategy` says; where it is no longer declared, nothing happens",
        "as `image`";
    DataDisks: [Replace], Shown, true, ["AttachDisks", "DetachDisks", "ResizeInstanceDisks"],
        "whatever the strategy: what is on the disks is lost",
        "as `replace`";
    Subnet: [Replace], Shown, true, ["ModifyInstancesVpcAttribute"],
        "`vpc` and `subnets`: whatever the strategy",
        "as `replace`";
    SecurityGroups: [Modify], Repaired, true, ["ModifyInstancesAttribute", "AssociateSecurityGroups", "DisassociateSecurityGroups"],
        "all groups of an instance at once; where none are declared, nobody looks",
        "ModifyInstancesAttribute: ⌈n / 100⌉";
    Internet: [Replace], Shown, true, ["ResetInstancesInternetMaxBandwidth", "ModifyInstanceInternetChargeType"],
        "whatever the strategy",
        "as `replace`";
    Login: [Rebuild], Shown, true, ["AssociateInstancesKeyPairs", "DisassociateInstancesKeyPairs"],
        "the cloud tells keys, and nothing else",
        "as `image`";
    UserData: [Rebuild], Untold, true, [],
        "it runs when an instance first boots, so on a new system disk",
        "as `image`";
    Hostname: [Restart], Repaired, true, ["ModifyInstancesAttribute"],
        "a running instance reboots; a launch and a reset bring the name along; where it is no longer declared, nothing happens",
        "ModifyInstancesAttribute: one for each instance";
    ChargeType: [Replace], Shown, true, ["ModifyInstancesChargeType"],
        "whatever the strategy; what was paid in advance goes to the recycle bin",
        "as `replace`";
    PrepaidMonths: [Record], Untold, true, [],
        "for new instances only: those that are there have their period",
        "none";
    PrepaidRenew: [Record], Shown, true, ["ModifyInstancesRenewFlag"],
        "for new instances only",
        "none";
    SpotMaxPrice: [Record], Untold, true, [],
        "for new instances only",
        "none";
    PlacementGroup: [Replace], Shown, true, ["ModifyInstancesDisasterRecoverGroup"],
        "no call moves an instance to another group, so whatever the strategy",
        "as `replace`";
    CamRole: [Modify], Repaired, true, ["ModifyInstancesAttribute"],
        "where none is declared, nobody looks",
        "ModifyInstancesAttribute: ⌈n / 100⌉";
    State: [Power], Shown, true, ["StopInstances", "StartInstances", "RebootInstances"],
        "when the config changes it, and on new instances; what a change has to start or to stop is brought back to it. A builder that switches itself off is as it should be",
        "StopInstances, StartInstances: ⌈n / 100⌉";
    Protect: [Modify], Repaired, false, ["ModifyInstancesAttribute"],
        "no plan destroys, replaces, resets or moves what is protected (`protected`, exit 8), and the cloud refuses to terminate it; `protect: false` comes before anything that is lost in the same plan. Protection that somebody else switched on is respected, and shown",
        "ModifyInstancesAttribute: ⌈n / 100⌉";
    Tags: [Tag], Repaired, true, [],
        "tags that the config never declared are left alone; our own mark is kept in any case",
        "TagResources, UnTagResources: ⌈n / 10⌉";
    Name: [Modify], Repaired, true, ["ModifyInstancesAttribute"],
        "no key: made of project, environment, fleet, zone and ordinal",
        "ModifyInstancesAttribute: one for each name";
}

/// The words that `ignore_changes` may hold.
pub fn ignorable() -> impl Iterator<Item = FleetAttr> {
    FLEET.iter().filter(|field| field.ignorable).map(|field| field.attr)
}

/// The table of fleets as Markdown.
#[must_use]
pub fn fleet_table() -> String {
    let mut text = String::from(
        "| attribute | the config changes it | somebody else changes it | what happens | calls | `ignore_changes` |\n|---|---|---|---|---|---|\n",
    );
    for Field { attr, change, drift, ignorable, operations: _, says, calls } in FLEET {
        let takes: Vec<&str> = change.iter().map(|takes| takes.words()).collect();
        let ignore = if *ignorable { "yes" } else { "no" };
        let row = format!("| `{attr}` | {} | {} | {says} | {calls} | {ignore} |\n", takes.join(", or "), drift.words());
        text.push_str(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_the_row_that_bears_its_name() {
        assert_eq!(FLEET.len(), FleetAttr::ALL.len());
        for (attr, row) in FleetAttr::ALL.iter().zip(FLEET) {
            assert_eq!((*attr, fleet(*attr).attr), (row.attr, *attr));
            assert!(!row.change.is_empty() && !row.says.is_empty(), "{attr}");
        }
    }
}
