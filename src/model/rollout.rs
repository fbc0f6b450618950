//! Rollouts: how far the change of a fleet is, in the state, so that it outlives the process that began it.
//!
//! A fleet has at most one, the latest. It is told from the next one by its [`Target`]: what instances are made with, as
//! far as a change of it takes a new system disk or another machine. While the config still asks for the target of a
//! rollout that failed, nothing rolls there again unless somebody says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::addr::Block;
use super::digest::Digest;
use super::ids::Zone;
use super::recorded::{Object, Status};
use super::spec::{ImageUse, ObjectSpec, SlotSpec};

/// The change of a fleet that is rolled out, or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// The fleet.
    pub block: Block,
    /// What it rolls out: the same for as long as the config asks for the same.
    pub target: Digest,
    /// The image that it rolls out.
    pub to: ImageUse,
    /// What an instance was made with before; its zone and network are its own. `None`: there was none to go back to.
    pub before: Option<Arc<ObjectSpec>>,
    /// How far it is.
    pub phase: Phase,
    /// Whether the canary was passed.
    pub canary_passed: bool,
    /// Whether somebody said that it may go on to its end without another pause.
    pub promoted: bool,
    /// The slots that failed in it.
    pub failed: BTreeSet<u32>,
    /// Why it does not go on, for people; empty while it does.
    pub why: String,
    /// Cloud time of the plan that began it.
    pub started_ms: Millis,
    /// Cloud time of its latest change.
    pub changed_ms: Millis,
}

/// How far a rollout is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on with the next apply.
    Running,
    /// It waits for somebody: at a pause of the config's, or because somebody said so.
    Paused,
    /// All slots are where it led.
    Done,
    /// Too many failed: what changed stays, what did not stays as well.
    Stopped,
    /// Somebody ended it: what changed stays, what did not stays as well.
    Aborted,
    /// It failed, or somebody wants it back: every slot goes, or went, to what ran before. Its target is quarantined.
    TakenBack,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Running, Self::Paused, Self::Done, Self::Stopped, Self::Aborted, Self::TakenBack];

    /// The word in state and output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::TakenBack => "taken_back",
        }
    }

    /// What becomes of slots that are not at its target yet.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::Running | Self::Done => Hold::None,
            Self::Paused | Self::Stopped | Self::Aborted => Hold::Rest,
            Self::TakenBack => Hold::All,
        }
    }
}

/// Which slots of a fleet a rollout keeps at what ran before, while the config asks for its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// None: they go where the config says.
    None,
    /// Those that are not at its target.
    Rest,
    /// All of them.
    All,
}

/// How many slots of a fleet are how far, in one zone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ZoneTally {
    /// The zone, where that is known.
    pub zone: Option<Zone>,
    /// Made as the rollout has it, and passed.
    pub at_target: u32,
    /// Made so, and not known to be healthy yet.
    pub on_trial: u32,
    /// Failed in it.
    pub failed: u32,
    /// Not reached yet, or taken back.
    pub left: u32,
}

/// How far a slot is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Left,
    Target,
    Trial,
    Failed,
}

impl Rollout {
    /// What instances were made with before, where that is known.
    #[must_use]
    pub fn before(&self) -> Option<&SlotSpec> {
        match self.before.as_deref() {
            Some(ObjectSpec::Slot(before)) => Some(before),
            Some(ObjectSpec::Image(_) | ObjectSpec::Share(_)) | None => None,
        }
    }

    /// Whether an instance is made as it rolls out, as far as that can be told without the config: from its image and,
    /// where that is the one that ran before as well, otherwise than before.
    #[must_use]
    pub fn reached(&self, spec: &SlotSpec) -> bool {
        spec.image == self.to && self.before().is_none_or(|before| !rolls_alike(before, spec))
    }

    /// How many slots of its fleet are how far, by zone.
    #[must_use]
    pub fn tally(&self, objects: &[Object]) -> Vec<ZoneTally> {
        // Of what went back, nobody needs to know that it had failed.
        let failed = |slot: &u32| self.phase != Phase::TakenBack && self.failed.contains(slot);
        // While one instance takes another's place, a slot has two: the one that is further says how far it is.
        let mut slots: BTreeMap<u32, (Reach, Option<Zone>)> = BTreeMap::new();
        for object in objects.iter().filter(|object| object.addr.block == self.block) {
            let (Some(slot), ObjectSpec::Slot(spec)) = (object.addr.slot, object.spec.as_ref()) else { continue };
            let reached = self.reached(spec) && object.status != Status::Deleting;
            let reach = match (failed(&slot), reached) {
                (true, _) => Reach::Failed,
                (false, true) if spec.on_trial || object.status.is_unsettled() => Reach::Trial,
                (false, true) => Reach::Target,
                (false, false) => Reach::Left,
            };
            let entry = slots.entry(slot).or_insert((reach, None));
            entry.0 = entry.0.max(reach);
            entry.1 = entry.1.take().or_else(|| object.zone.clone());
        }
        // What failed before its instance was there, or was taken away.
        for slot in self.failed.iter().filter(|slot| failed(slot)) {
            slots.entry(*slot).or_insert((Reach::Failed, None));
        }
        let mut zones: BTreeMap<Option<Zone>, ZoneTally> = BTreeMap::new();
        for (reach, zone) in slots.into_values() {
            let tally = zones.entry(zone.clone()).or_insert_with(|| ZoneTally { zone, ..ZoneTally::default() });
            match reach {
                Reach::Left => tally.left += 1,
                Reach::Target => tally.at_target += 1,
                Reach::Trial => tally.on_trial += 1,
                Reach::Failed => tally.failed += 1,
            }
        }
        zones.into_values().collect()
    }
}

/// Whether two instances are made alike, as far as a difference takes another disk or another machine. Their zones and
/// networks are their own.
fn rolls_alike(one: &SlotSpec, other: &SlotSpec) -> bool {
    fn parts(spec: &SlotSpec) -> impl PartialEq {
        let SlotSpec {
            image,
            instance_type,
            system_disk,
            data_disks,
            network: _,
            internet,
            login,
            tags: _,
            user_data,
            hostname: _,
            charge,
            placement_group,
            cam_role: _,
            power: _,
            protect: _,
            on_trial: _,
        } = spec;
        let user_data = user_data.as_ref().map(|secret| secret.digest);
        (image, instance_type, system_disk, data_disks, internet, login, user_data, charge, placement_group)
    }
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::digest::{SecretKey, SecretSource, context};
    use crate::model::ids::{ImageId, Lineage, Name};
    use crate::model::spec::{Charge, Login, SlotNetwork, SystemDisk};

    fn spec(image: &str, user_data: &[u8]) -> SlotSpec {
        let key = SecretKey::of(&Lineage::new("x"));
        SlotSpec {
            image: ImageUse::Found { id: ImageId::new(image) },
            instance_type: "S5.MEDIUM4".into(),
            system_disk: SystemDisk::default(),
            data_disks: Vec::new(),
            network: SlotNetwork::default(),
            internet: None,
            login: Login::Unset,
            tags: BTreeMap::new(),
            user_data: Some(key.refer(SecretSource::File("boot.sh".into()), user_data)),
            hostname: None,
            charge: Charge::Hourly,
            placement_group: None,
            cam_role: None,
            power: None,
            protect: false,
            on_trial: false,
        }
    }

    fn rollout(to: &str, before: Option<SlotSpec>) -> Rollout {
        Rollout {
            block: Block::fleet(&Name::new("web")),
            target: Digest::of(context::CONFIG, b"target"),
            to: ImageUse::Found { id: ImageId::new(to) },
            before: before.map(|before| Arc::new(ObjectSpec::Slot(Box::new(before)))),
            phase: Phase::Running,
            canary_passed: false,
            promoted: false,
            failed: BTreeSet::new(),
            why: String::new(),
            started_ms: 0,
            changed_ms: 0,
        }
    }

    #[test]
    fn what_is_rolled_out_is_known_again() {
        let to_another_image = rollout("img-2", Some(spec("img-1", b"one")));
        assert!(to_another_image.reached(&spec("img-2", b"two")));
        assert!(!to_another_image.reached(&spec("img-1", b"two")));
        let to_other_data = rollout("img-1", Some(spec("img-1", b"one")));
        assert!(to_other_data.reached(&spec("img-1", b"two")));
        assert!(!to_other_data.reached(&spec("img-1", b"one")));
        let tagged = SlotSpec { tags: BTreeMap::from([("app".into(), "web".into())]), ..spec("img-1", b"one") };
        assert!(!to_other_data.reached(&SlotSpec { on_trial: true, ..tagged }), "in place");
        assert!(rollout("img-1", None).reached(&spec("img-1", b"one")));
    }
}
