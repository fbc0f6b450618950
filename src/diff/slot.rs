//! What changes on an instance of a fleet that stays in its slot.
//!
//! What the cloud tells (type, name, groups, tags) is compared with what the cloud has; what it does not tell (user
//! data, login) with what the state remembers. A difference that the state does not know of is drift.

use std::collections::BTreeSet;

use super::tags::{TagDiff, tags};
use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::{ImageId, SecurityGroupId};
use crate::model::observed::{Instance, InstanceState, OperationState};
use crate::model::spec::{DataDisk, ImageUse, Internet, Login, SlotNetwork, SlotSpec, SystemDisk};

/// A value, to be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shown {
    /// There is none.
    None,
    /// A text or a number.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// Known by its digest.
    Secret {
        /// Where its bytes are.
        source: String,
        /// The first digits of its equality digest.
        digest: String,
    },
    /// An image.
    Image(ImageUse),
}

/// What bringing an attribute to its new value takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Takes {
    /// A new system disk: a reset or a new instance, as the fleet's strategy says.
    Rebuild,
    /// A new instance.
    Replace,
    /// Stop, ResetInstancesType, start.
    Resize,
    /// ModifyInstancesAttribute.
    Modify,
    /// TagResources, UnTagResources.
    Tag,
    /// This build cannot bring it there.
    Unsupported,
    /// Nothing but a note in the state: the cloud has it already.
    Record,
    /// It is only shown.
    Nothing,
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

/// Everything that differs on one slot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct SlotDiff {
    /// The attributes, tags among them.
    pub attrs: Vec<Attr>,
    /// Tags to set and to take away.
    pub tags: TagDiff,
    /// The new name.
    pub rename: Option<String>,
    /// All security groups to set.
    pub groups: Option<BTreeSet<SecurityGroupId>>,
    /// Whether its last reset was accepted and failed later: nobody knows what is on its disk.
    pub reset_failed: bool,
}

impl SlotDiff {
    /// Whether some attribute takes this.
    #[must_use]
    pub fn takes(&self, what: Takes) -> bool {
        self.attrs.iter().any(|attr| attr.takes == what)
    }
}

/// What a slot is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The spec of the config.
    pub spec: &'a SlotSpec,
    /// The name of the slot.
    pub name: &'a str,
    /// The tag that marks it as ours.
    pub ours: (&'a str, &'a str),
}

/// Compares a slot with what it should be. `made_from` is what it was launched from or last reset to.
#[must_use]
pub fn slot(recorded: &SlotSpec, made_from: Option<&ImageId>, wanted: Wanted<'_>, seen: &Instance) -> SlotDiff {
    let SlotSpec {
        image,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags: declared,
        user_data,
        hostname: _,
        charge: _,
        placement_group: _,
        cam_role: _,
        power: _,
        protect: _,
    } = wanted.spec;
    let SlotNetwork { subnet, security_groups } = network;
    let mut diff = SlotDiff::default();
    // The values are made only where they differ: of 100,000 slots that stay, none costs an allocation.
    let mut note = |differs: bool, name, values: &dyn Fn() -> (Shown, Shown), takes, drifted| {
        if differs {
            let (before, after) = values();
            diff.attrs.push(Attr { name, before, after, takes, drifted });
        }
    };

    let image_drifted = recorded.image == *image && made_from.is_some_and(|id| *id != seen.image);
    note(
        recorded.image != *image || image_drifted,
        "image",
        &|| {
            let before = if image_drifted { text(&seen.image) } else { Shown::Image(recorded.image.clone()) };
            (before, Shown::Image(image.clone()))
        },
        Takes::Rebuild,
        image_drifted,
    );
    note(
        recorded.user_data != *user_data,
        "user_data",
        &|| (secret(recorded.user_data.as_ref()), secret(user_data.as_ref())),
        Takes::Rebuild,
        false,
    );
    note(
        recorded.login != *login,
        "login",
        &|| (show_login(&recorded.login), show_login(login)),
        Takes::Rebuild,
        false,
    );
    if let (Login::Keys(keys), true) = (login, recorded.login == *login) {
        note(seen.keys != *keys, "login.key_ids", &|| (list(&seen.keys), list(keys)), Takes::Nothing, true);
    }
    note(
        recorded.network.subnet != *subnet,
        "network",
        &|| (show_subnet(recorded.network.subnet.as_ref()), show_subnet(subnet.as_ref())),
        Takes::Replace,
        false,
    );
    note(
        recorded.internet != *internet,
        "internet",
        &|| (show_internet(recorded.internet.as_ref()), show_internet(internet.as_ref())),
        Takes::Replace,
        false,
    );
    note(
        recorded.system_disk != *system_disk,
        "system_disk",
        &|| (show_system_disk(&recorded.system_disk), show_system_disk(system_disk)),
        Takes::Unsupported,
        false,
    );
    note(
        recorded.data_disks != *data_disks,
        "data_disks",
        &|| (show_data_disks(&recorded.data_disks), show_data_disks(data_disks)),
        Takes::Unsupported,
        false,
    );
    note(
        seen.instance_type != *instance_type,
        "type",
        &|| (text(&seen.instance_type), text(instance_type)),
        Takes::Resize,
        recorded.instance_type == *instance_type,
    );
    note(
        seen.name != wanted.name,
        "name",
        &|| (text(&seen.name), Shown::Text(wanted.name.into())),
        Takes::Modify,
        true,
    );
    if let Some(groups) = security_groups {
        note(
            seen.security_groups != *groups,
            "network.security_groups",
            &|| (list(&seen.security_groups), list(groups)),
            Takes::Modify,
            recorded.network.security_groups.as_ref() == Some(groups),
        );
    }
    note(
        seen.instance_type == *instance_type && recorded.instance_type != *instance_type,
        "type",
        &|| (text(&recorded.instance_type), text(instance_type)),
        Takes::Record,
        false,
    );
    note(
        recorded.network.security_groups != *security_groups
            && security_groups.as_ref().is_none_or(|groups| seen.security_groups == *groups),
        "network.security_groups",
        &|| {
            let groups = |groups: &Option<BTreeSet<SecurityGroupId>>| groups.as_ref().map_or(Shown::None, list);
            (groups(&recorded.network.security_groups), groups(security_groups))
        },
        Takes::Record,
        false,
    );
    diff.rename = (seen.name != wanted.name).then(|| wanted.name.to_owned());
    diff.groups = security_groups.as_ref().filter(|groups| **groups != seen.security_groups).cloned();
    let marked = seen.tags.get(wanted.ours.0).is_some_and(|value| value == wanted.ours.1);
    let as_declared = declared.iter().all(|(key, value)| seen.tags.get(key) == Some(value));
    if !(marked && as_declared && recorded.tags == *declared) {
        diff.tags = tags(&with_ours(&recorded.tags, wanted.ours), &with_ours(declared, wanted.ours), &seen.tags);
    }
    if !diff.tags.is_empty() {
        diff.attrs.push(tag_attr(&diff.tags, &seen.tags));
    } else if recorded.tags != *declared {
        let (before, after) = (show_tags(&recorded.tags), show_tags(declared));
        diff.attrs.push(Attr { name: "tags", before, after, takes: Takes::Record, drifted: false });
    }
    diff.reset_failed = seen
        .latest
        .as_ref()
        .is_some_and(|latest| latest.name == "ResetInstance" && latest.state == OperationState::Failed);
    if seen.state != InstanceState::Running {
        diff.attrs.push(Attr {
            name: "state",
            before: Shown::Text(show_state(&seen.state)),
            after: Shown::Text("running".into()),
            takes: Takes::Nothing,
            drifted: true,
        });
    }
    diff
}

/// How the change of a thing's tags is shown.
#[must_use]
pub fn tag_attr(diff: &TagDiff, observed: &Tags) -> Attr {
    let keys: BTreeSet<&String> = diff.set.keys().chain(&diff.unset).collect();
    let pairs = |of: &Tags| {
        let pairs: Vec<String> =
            keys.iter().filter_map(|key| of.get(*key).map(|value| format!("{key}={value}"))).collect();
        if pairs.is_empty() { Shown::None } else { Shown::List(pairs) }
    };
    Attr { name: "tags", before: pairs(observed), after: pairs(&diff.set), takes: Takes::Tag, drifted: diff.drifted }
}

/// What a slot is made with, attribute by attribute.
#[must_use]
pub fn made_with(spec: &SlotSpec) -> Vec<(&'static str, Shown)> {
    let SlotSpec {
        image,
        instance_type,
        system_disk,
        data_disks,
        network,
        internet,
        login,
        tags,
        user_data,
        hostname: _,
        charge: _,
        placement_group: _,
        cam_role: _,
        power: _,
        protect: _,
    } = spec;
    let SlotNetwork { subnet, security_groups } = network;
    let attrs = [
        ("image", Shown::Image(image.clone())),
        ("type", text(instance_type)),
        ("system_disk", show_system_disk(system_disk)),
        ("data_disks", show_data_disks(data_disks)),
        ("network", show_subnet(subnet.as_ref())),
        ("network.security_groups", security_groups.as_ref().map_or(Shown::None, list)),
        ("internet", show_internet(internet.as_ref())),
        ("login", show_login(login)),
        ("tags", show_tags(tags)),
        ("user_data", secret(user_data.as_ref())),
    ];
    attrs.into_iter().filter(|(_, shown)| *shown != Shown::None).collect()
}

/// Tags as they are shown.
#[must_use]
pub fn show_tags(tags: &Tags) -> Shown {
    if tags.is_empty() {
        return Shown::None;
    }
    Shown::List(tags.iter().map(|(key, value)| format!("{key}={value}")).collect())
}

fn with_ours(tags: &Tags, ours: (&str, &str)) -> Tags {
    let mut tags = tags.clone();
    tags.insert(ours.0.to_owned(), ours.1.to_owned());
    tags
}

fn text(value: &impl ToString) -> Shown {
    Shown::Text(value.to_string())
}

fn list<T: ToString>(values: &BTreeSet<T>) -> Shown {
    Shown::List(values.iter().map(ToString::to_string).collect())
}

fn secret(secret: Option<&SecretRef>) -> Shown {
    secret.map_or(Shown::None, |secret| Shown::Secret {
        source: secret.source.to_string(),
        digest: secret.digest.short(8),
    })
}

fn show_login(login: &Login) -> Shown {
    match login {
        Login::Unset => Shown::None,
        Login::Keys(keys) => list(keys),
        Login::KeepImage => Shown::Text("as in the image".into()),
    }
}

fn show_subnet(subnet: Option<&(crate::model::ids::VpcId, crate::model::ids::SubnetId)>) -> Shown {
    subnet.map_or(Shown::None, |(vpc, subnet)| Shown::Text(format!("{vpc}/{subnet}")))
}

fn show_internet(internet: Option<&Internet>) -> Shown {
    internet.map_or(Shown::None, |Internet { charge, bandwidth_mbps, public_ip }| {
        let address = if *public_ip { ", public address" } else { "" };
        Shown::Text(format!("{} {bandwidth_mbps} Mbps{address}", charge.word()))
    })
}

fn show_system_disk(disk: &SystemDisk) -> Shown {
    let SystemDisk { kind, size_gib } = disk;
    match (kind, size_gib) {
        (None, None) => Shown::None,
        (Some(kind), None) => text(kind),
        (None, Some(size)) => Shown::Text(format!("{size} GiB")),
        (Some(kind), Some(size)) => Shown::Text(format!("{kind} {size} GiB")),
    }
}

fn show_data_disks(disks: &[DataDisk]) -> Shown {
    if disks.is_empty() {
        return Shown::None;
    }
    Shown::List(disks.iter().map(|DataDisk { kind, size_gib }| format!("{kind} {size_gib} GiB")).collect())
}

fn show_state(state: &InstanceState) -> String {
    match state {
        InstanceState::Pending => "pending".into(),
        InstanceState::LaunchFailed => "launch failed".into(),
        InstanceState::Running => "running".into(),
        InstanceState::Stopped => "stopped".into(),
        InstanceState::Starting => "starting".into(),
        InstanceState::Stopping => "stopping".into(),
        InstanceState::Rebooting => "rebooting".into(),
        InstanceState::Shutdown => "in the recycle bin".into(),
        InstanceState::Terminating => "terminating".into(),
        InstanceState::Other(word) => word.clone(),
    }
}
