//! What changes on an instance of a fleet that stays in its slot. The table [`fields`] says what each change takes.
//!
//! What the cloud tells (type, name, groups, tags, …) is compared with what the cloud has; what it does not tell (user
//! data, passwords) with what the state remembers. A difference that the state does not know of is drift.

use std::collections::BTreeSet;

use super::attr::{Attr, Takes};
use super::fields::{self, Fate};
use super::shown::{
    Shown, list, secret, show_data_disks, show_disks, show_internet, show_login, show_power, show_state, show_subnet,
    show_tags, text, text_or_none,
};
use super::tags::{TagDiff, tag_attr, tags, with_ours};
use crate::model::attrs::FleetAttr;
use crate::model::desired::Tags;
use crate::model::ids::{ImageId, SecurityGroupId};
use crate::model::observed::{Instance, InstanceState, LatestOperation, OperationState};
use crate::model::spec::{Charge, DataDisk, Internet, Login, Power, SlotNetwork, SlotSpec, SystemDisk};

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
    /// What the host is to be called.
    pub hostname: Option<String>,
    /// The access role; within: none any more.
    pub cam_role: Option<Option<String>>,
    /// Whether the cloud is to refuse its termination.
    pub protect: Option<bool>,
    /// Whether it is to run.
    pub power: Option<Power>,
    /// Whether its last reset was accepted and failed later: nobody knows what is on its disk.
    pub reset_failed: bool,
}

impl SlotDiff {
    /// Whether some attribute takes this.
    #[must_use]
    pub fn takes(&self, what: Takes) -> bool {
        self.attrs.iter().any(|attr| attr.takes == what)
    }

    /// Leaves out whatever would take another disk, another machine, or a moment out of service.
    pub fn leave_as_it_is(&mut self) {
        for attr in &mut self.attrs {
            if matches!(attr.takes, Takes::Rebuild | Takes::Replace | Takes::Move | Takes::Resize | Takes::Restart) {
                attr.takes = Takes::Nothing;
            }
        }
        self.hostname = None;
        self.reset_failed = false;
    }

    /// What a change of this attribute takes, where it differs.
    #[must_use]
    pub fn of(&self, attr: FleetAttr) -> Option<Takes> {
        self.attrs.iter().find(|each| each.is(attr)).map(|each| each.takes)
    }
}

/// What a slot is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The spec of the config; what `ignore_changes` names is what the state remembers ([`keeping`](fn@super::keeping)).
    pub spec: &'a SlotSpec,
    /// The name of the slot; `None`: it gets another one with its next instance.
    pub name: Option<&'a str>,
    /// What its host is called, where that is declared.
    pub hostname: Option<&'a str>,
    /// The tag that marks it as ours.
    pub ours: (&'a str, &'a str),
    /// Whose drift nobody wants to know.
    pub ignore: &'a BTreeSet<FleetAttr>,
}

/// What is known of one attribute.
struct Facts<'f> {
    /// Whether the config says something else than the state remembers.
    changed: bool,
    /// Whether the cloud has something else than the config says; `None`: it does not tell.
    differs: Option<bool>,
    recorded: &'f dyn Fn() -> Shown,
    seen: Option<&'f dyn Fn() -> Shown>,
    wanted: &'f dyn Fn() -> Shown,
}

/// A slot that is looked at. Values are made only where they differ: of 100,000 slots that stay, none costs an
/// allocation.
struct Look<'a> {
    attrs: Vec<Attr>,
    ignore: &'a BTreeSet<FleetAttr>,
}

impl Look<'_> {
    fn at(&mut self, attr: FleetAttr, facts: &Facts<'_>) {
        let takes = fields::fleet(attr).change.last().copied().unwrap_or(Takes::Nothing);
        self.taking(attr, takes, facts);
    }

    /// The same, where what it takes depends on the values.
    fn taking(&mut self, attr: FleetAttr, takes: Takes, facts: &Facts<'_>) {
        let Facts { changed, differs, recorded, seen, wanted } = facts;
        let field = fields::fleet(attr);
        debug_assert!(field.change.contains(&takes), "{attr}");
        let known = |fall_back: &dyn Fn() -> Shown| seen.map_or_else(fall_back, |seen| seen());
        let (before, takes, drifted) = match (changed, differs, field.drift) {
            (true, Some(false), _) => (recorded(), Takes::Record, false),
            (true, Some(true) | None, _) => (known(recorded), takes, false),
            (false, Some(true), _) if self.ignore.contains(&attr) => return,
            (false, Some(true), Fate::Repaired) => (known(recorded), takes, true),
            (false, Some(true), Fate::Shown) => (known(recorded), Takes::Nothing, true),
            (false, Some(true), Fate::Untold | Fate::Never) | (false, Some(false) | None, _) => return,
        };
        self.attrs.push(Attr { name: attr.word(), before, after: wanted(), takes, drifted });
    }
}

/// Compares a slot with what it should be. `made_from` is what it was launched from or last reset to.
#[must_use]
pub fn slot(recorded: &SlotSpec, made_from: Option<&ImageId>, wanted: Wanted<'_>, seen: &Instance) -> SlotDiff {
    let mut look = Look { attrs: Vec::new(), ignore: wanted.ignore };
    on_its_disk(&mut look, recorded, made_from, wanted.spec, seen);
    for_life(&mut look, recorded, wanted.spec, seen);
    in_place(&mut look, recorded, wanted, seen);
    let mut diff = SlotDiff { attrs: look.attrs, ..SlotDiff::default() };
    let modified = |attr: FleetAttr| matches!(diff.of(attr), Some(Takes::Modify | Takes::Restart | Takes::Power));
    let is = wanted.spec;
    let rename = wanted.name.filter(|_| modified(FleetAttr::Name)).map(str::to_owned);
    let groups = is.network.security_groups.as_ref().filter(|_| modified(FleetAttr::SecurityGroups)).cloned();
    let hostname = wanted.hostname.filter(|_| modified(FleetAttr::Hostname)).map(str::to_owned);
    let cam_role = modified(FleetAttr::CamRole).then(|| is.cam_role.clone());
    let protect = modified(FleetAttr::Protect).then_some(is.protect);
    let power = is.power.filter(|_| modified(FleetAttr::State));
    (diff.rename, diff.groups, diff.hostname) = (rename, groups, hostname);
    (diff.cam_role, diff.protect, diff.power) = (cam_role, protect, power);
    tagged(&mut diff, recorded, wanted, seen);
    diff.reset_failed = reset_failed(seen);
    diff
}

/// Whether the last reset of an instance failed: the cloud does nothing else with it than to reset it once more, or to
/// terminate it (`UnsupportedOperation.InstanceReinstallFailed`).
#[must_use]
pub fn reset_failed(seen: &Instance) -> bool {
    let failed = |latest: &LatestOperation| latest.name == "ResetInstance" && latest.state == OperationState::Failed;
    seen.latest.as_ref().is_some_and(failed)
}

/// What only a new system disk brings.
fn on_its_disk(
    look: &mut Look<'_>,
    recorded: &SlotSpec,
    made_from: Option<&ImageId>,
    wanted: &SlotSpec,
    seen: &Instance,
) {
    let changed = recorded.image != wanted.image;
    look.at(
        FleetAttr::Image,
        &Facts {
            changed,
            // Of a version, the cloud tells the copy only: it is compared with the one that was installed.
            differs: made_from.filter(|_| !changed).map(|id| *id != seen.image),
            recorded: &|| Shown::Image(recorded.image.clone()),
            seen: (!changed).then_some(&|| text(&seen.image)),
            wanted: &|| Shown::Image(wanted.image.clone()),
        },
    );
    look.at(
        FleetAttr::UserData,
        &Facts {
            changed: recorded.user_data != wanted.user_data,
            differs: None,
            recorded: &|| secret(recorded.user_data.as_ref()),
            seen: None,
            wanted: &|| secret(wanted.user_data.as_ref()),
        },
    );
    let changed = recorded.login != wanted.login;
    look.at(
        FleetAttr::Login,
        &Facts {
            changed,
            differs: match &wanted.login {
                Login::Keys(keys) => Some(*seen.keys != *keys),
                Login::Unset | Login::KeepImage => None,
            },
            recorded: &|| show_login(&recorded.login),
            seen: (!changed).then_some(&|| list(&seen.keys)),
            wanted: &|| show_login(&wanted.login),
        },
    );
    let size = |size: Option<u32>| size.map_or(Shown::None, |size| Shown::Text(format!("{size} GiB")));
    let smaller = wanted.system_disk.size_gib.is_some_and(|wanted| wanted < seen.system_disk.size_gib);
    look.taking(
        FleetAttr::SystemDiskSize,
        if smaller { Takes::Replace } else { Takes::Rebuild },
        &Facts {
            changed: recorded.system_disk.size_gib != wanted.system_disk.size_gib,
            differs: Some(wanted.system_disk.size_gib.is_some_and(|wanted| wanted != seen.system_disk.size_gib)),
            recorded: &|| size(recorded.system_disk.size_gib),
            seen: Some(&|| size(Some(seen.system_disk.size_gib))),
            wanted: &|| size(wanted.system_disk.size_gib),
        },
    );
}

/// What an instance has for life.
fn for_life(look: &mut Look<'_>, recorded: &SlotSpec, wanted: &SlotSpec, seen: &Instance) {
    let SystemDisk { kind, size_gib: _ } = &wanted.system_disk;
    look.at(
        FleetAttr::SystemDiskType,
        &Facts {
            changed: recorded.system_disk.kind != *kind,
            differs: Some(kind.as_ref().is_some_and(|kind| *kind != seen.system_disk.kind)),
            recorded: &|| text_or_none(recorded.system_disk.kind.as_ref()),
            seen: Some(&|| text(&seen.system_disk.kind)),
            wanted: &|| text_or_none(kind.as_ref()),
        },
    );
    let disks = &wanted.data_disks;
    look.at(
        FleetAttr::DataDisks,
        &Facts {
            changed: recorded.data_disks != *disks,
            differs: (!disks.is_empty()).then(|| !same_disks(disks, seen)),
            recorded: &|| show_data_disks(&recorded.data_disks),
            seen: (!disks.is_empty()).then_some(&|| show_disks(&seen.data_disks)),
            wanted: &|| show_data_disks(disks),
        },
    );
    let subnet = wanted.network.subnet.as_ref();
    let is_in = |(vpc, subnet): &(_, _)| *vpc == seen.vpc && *subnet == seen.subnet;
    look.at(
        FleetAttr::Subnet,
        &Facts {
            changed: recorded.network.subnet.as_ref() != subnet,
            differs: subnet.map(|subnet| !is_in(subnet)),
            recorded: &|| show_subnet(recorded.network.subnet.as_ref()),
            seen: subnet.is_some().then_some(&|| Shown::Text(format!("{}/{}", seen.vpc, seen.subnet))),
            wanted: &|| show_subnet(subnet),
        },
    );
    let internet = wanted.internet.as_ref();
    look.at(
        FleetAttr::Internet,
        &Facts {
            changed: recorded.internet != wanted.internet,
            // Whether an address was assigned at the launch is not told: only what is told can tell them apart.
            differs: internet.filter(|_| recorded.internet == wanted.internet).map(
                |Internet { charge, bandwidth_mbps, public_ip: _ }| {
                    *bandwidth_mbps != seen.bandwidth_mbps
                        || seen.internet_charge.as_ref().is_some_and(|told| told != charge.word())
                },
            ),
            recorded: &|| show_internet(recorded.internet.as_ref()),
            seen: (recorded.internet == wanted.internet).then_some(&|| {
                let charge = seen.internet_charge.as_deref().unwrap_or_default();
                Shown::Text(format!("{charge} {} Mbps", seen.bandwidth_mbps).trim().to_owned())
            }),
            wanted: &|| show_internet(internet),
        },
    );
    let group = wanted.placement_group.as_ref();
    look.at(
        FleetAttr::PlacementGroup,
        &Facts {
            changed: recorded.placement_group != wanted.placement_group,
            differs: Some(group != seen.placement_group.as_ref()),
            recorded: &|| text_or_none(recorded.placement_group.as_ref()),
            seen: Some(&|| text_or_none(seen.placement_group.as_ref())),
            wanted: &|| text_or_none(group),
        },
    );
    charged(look, &recorded.charge, &wanted.charge, seen);
}

/// The order of data disks is nobody's choice.
fn same_disks(wanted: &[DataDisk], seen: &Instance) -> bool {
    let mut wanted: Vec<_> = wanted.iter().map(|DataDisk { kind, size_gib }| (kind, *size_gib)).collect();
    let mut there: Vec<_> = seen.data_disks.iter().map(|disk| (&disk.kind, disk.size_gib)).collect();
    wanted.sort_unstable();
    there.sort_unstable();
    wanted == there
}

fn charged(look: &mut Look<'_>, recorded: &Charge, wanted: &Charge, seen: &Instance) {
    look.at(
        FleetAttr::ChargeType,
        &Facts {
            changed: recorded.word() != wanted.word(),
            differs: (!seen.charge_type.is_empty()).then(|| seen.charge_type != wanted.word()),
            recorded: &|| Shown::Text(recorded.word().into()),
            seen: (!seen.charge_type.is_empty()).then_some(&|| text(&seen.charge_type)),
            wanted: &|| Shown::Text(wanted.word().into()),
        },
    );
    match (recorded, wanted) {
        (Charge::Prepaid { months: before, renew: renewed }, Charge::Prepaid { months, renew }) => {
            look.at(
                FleetAttr::PrepaidMonths,
                &Facts {
                    changed: before != months,
                    differs: None,
                    recorded: &|| text(before),
                    seen: None,
                    wanted: &|| text(months),
                },
            );
            look.at(
                FleetAttr::PrepaidRenew,
                &Facts {
                    changed: renewed != renew,
                    differs: seen.renew.as_ref().map(|told| told != renew.word()),
                    recorded: &|| Shown::Text(renewed.word().into()),
                    seen: Some(&|| text_or_none(seen.renew.as_ref())),
                    wanted: &|| Shown::Text(renew.word().into()),
                },
            );
        }
        (Charge::Spot { max_price: before }, Charge::Spot { max_price }) => look.at(
            FleetAttr::SpotMaxPrice,
            &Facts {
                changed: before != max_price,
                differs: None,
                recorded: &|| text_or_none(before.as_ref()),
                seen: None,
                wanted: &|| text_or_none(max_price.as_ref()),
            },
        ),
        (Charge::Hourly | Charge::Prepaid { .. } | Charge::Spot { .. }, _) => {}
    }
}

/// What changes on an instance that goes on living.
fn in_place(look: &mut Look<'_>, recorded: &SlotSpec, wanted: Wanted<'_>, seen: &Instance) {
    let SlotSpec {
        image: _,
        instance_type,
        system_disk: _,
        data_disks: _,
        network: SlotNetwork { subnet: _, security_groups: groups },
        internet: _,
        login: _,
        tags: _,
        user_data: _,
        hostname,
        charge: _,
        placement_group: _,
        cam_role,
        power,
        protect,
        on_trial: _,
    } = wanted.spec;
    look.at(
        FleetAttr::Type,
        &Facts {
            changed: recorded.instance_type != *instance_type,
            differs: Some(seen.instance_type != *instance_type),
            recorded: &|| text(&recorded.instance_type),
            seen: Some(&|| text(&seen.instance_type)),
            wanted: &|| text(instance_type),
        },
    );
    if let Some(name) = wanted.name {
        look.at(
            FleetAttr::Name,
            &Facts {
                changed: false,
                differs: Some(seen.name != name),
                recorded: &|| Shown::None,
                seen: Some(&|| text(&seen.name)),
                wanted: &|| Shown::Text(name.into()),
            },
        );
    }
    look.at(
        FleetAttr::Hostname,
        &Facts {
            changed: recorded.hostname != *hostname,
            differs: match (wanted.hostname, &seen.hostname) {
                (None, _) => Some(false),
                (Some(_), None) => None,
                (Some(name), Some(told)) => Some(name != told),
            },
            recorded: &|| text_or_none(recorded.hostname.as_ref().map(|pattern| &pattern.0)),
            seen: seen.hostname.is_some().then_some(&|| text_or_none(seen.hostname.as_ref())),
            wanted: &|| text_or_none(wanted.hostname),
        },
    );
    let show_groups = |groups: Option<&BTreeSet<SecurityGroupId>>| groups.map_or(Shown::None, list);
    look.at(
        FleetAttr::SecurityGroups,
        &Facts {
            changed: recorded.network.security_groups != *groups,
            differs: Some(groups.as_ref().is_some_and(|groups| *groups != *seen.security_groups)),
            recorded: &|| show_groups(recorded.network.security_groups.as_ref()),
            seen: Some(&|| list(&seen.security_groups)),
            wanted: &|| show_groups(groups.as_ref()),
        },
    );
    let role_changed = recorded.cam_role != *cam_role;
    look.at(
        FleetAttr::CamRole,
        &Facts {
            changed: role_changed,
            differs: (role_changed || cam_role.is_some()).then(|| seen.cam_role != *cam_role),
            recorded: &|| text_or_none(recorded.cam_role.as_ref()),
            seen: Some(&|| text_or_none(seen.cam_role.as_ref())),
            wanted: &|| text_or_none(cam_role.as_ref()),
        },
    );
    protected(look, recorded.protect, *protect, seen);
    powered(look, recorded.power, *power, seen);
}

fn protected(look: &mut Look<'_>, recorded: bool, wanted: bool, seen: &Instance) {
    let word = |on: bool| Shown::Text(if on { "true" } else { "false" }.into());
    look.at(
        FleetAttr::Protect,
        &Facts {
            changed: recorded != wanted,
            differs: (recorded || wanted).then_some(seen.protected != wanted),
            recorded: &|| word(recorded),
            seen: Some(&|| word(seen.protected)),
            wanted: &|| word(wanted),
        },
    );
    // Somebody else's protection is respected.
    if !recorded && !wanted && seen.protected {
        let (before, after) = (word(true), word(false));
        look.attrs.push(Attr { name: FleetAttr::Protect.word(), before, after, takes: Takes::Nothing, drifted: true });
    }
}

/// Power acts where the config changes it; else it is only shown.
fn powered(look: &mut Look<'_>, recorded: Option<Power>, wanted: Option<Power>, seen: &Instance) {
    let becomes = power_of(&seen.state);
    let steady = wanted.unwrap_or(Power::Running);
    let is_there = matches!(
        (&seen.state, steady),
        (InstanceState::Running, Power::Running) | (InstanceState::Stopped, Power::Stopped)
    );
    let acts = recorded != wanted && wanted.is_some() && becomes.is_some() && becomes != wanted;
    if recorded != wanted {
        look.at(
            FleetAttr::State,
            &Facts {
                changed: true,
                differs: Some(acts),
                recorded: &|| recorded.map_or(Shown::None, show_power),
                seen: Some(&|| Shown::Text(show_state(&seen.state))),
                wanted: &|| wanted.map_or(Shown::None, show_power),
            },
        );
    }
    if !acts && !is_there && !look.ignore.contains(&FleetAttr::State) {
        look.attrs.push(Attr {
            name: FleetAttr::State.word(),
            before: Shown::Text(show_state(&seen.state)),
            after: show_power(steady),
            takes: Takes::Nothing,
            drifted: true,
        });
    }
}

/// Whether an instance runs, once what it is doing is over; `None`: that cannot be said.
#[must_use]
pub fn power_of(state: &InstanceState) -> Option<Power> {
    match state {
        InstanceState::Running | InstanceState::Starting | InstanceState::Rebooting | InstanceState::Pending => {
            Some(Power::Running)
        }
        InstanceState::Stopped | InstanceState::Stopping => Some(Power::Stopped),
        InstanceState::LaunchFailed
        | InstanceState::Shutdown
        | InstanceState::Terminating
        | InstanceState::Other(_) => None,
    }
}

fn tagged(diff: &mut SlotDiff, recorded: &SlotSpec, wanted: Wanted<'_>, seen: &Instance) {
    let nothing = Tags::new();
    let ignored = wanted.ignore.contains(&FleetAttr::Tags);
    let declared = if ignored { &nothing } else { &wanted.spec.tags };
    let remembered = if ignored { &nothing } else { &recorded.tags };
    let marked = seen.tags.get(wanted.ours.0).is_some_and(|value| value == wanted.ours.1);
    let as_declared = declared.iter().all(|(key, value)| seen.tags.get(key) == Some(value));
    if !(marked && as_declared && remembered == declared) {
        diff.tags = tags(&with_ours(remembered, wanted.ours), &with_ours(declared, wanted.ours), &seen.tags);
    }
    if !diff.tags.is_empty() {
        diff.attrs.push(tag_attr(&diff.tags, &seen.tags));
    } else if remembered != declared {
        let (before, after) = (show_tags(remembered), show_tags(declared));
        diff.attrs.push(Attr { name: FleetAttr::Tags.word(), before, after, takes: Takes::Record, drifted: false });
    }
}
