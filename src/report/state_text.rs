//! A state, shown: everything of ours in the cloud, as a table, as a list of addresses, and as JSON.

use crate::model::addr::Kind;
use crate::model::desired::Tags;
use crate::model::digest::SecretRef;
use crate::model::ids::Uin;
use crate::model::recorded::{Object, Origin, Recorded, VersionRecord};
use crate::model::spec::{
    BootMode, Charge, DataDisk, Encryption, ImageCopySpec, ImportSource, Inputs, Internet, License, Login, ObjectSpec,
    Power, ShareCopySpec, SlotNetwork, SlotSpec, SystemDisk,
};

use super::document::{Document, document};
use super::node::{Node, object};
use super::plan_json::number;
use super::rollout::{self, row_json};
use super::style::{Page, Style, clean};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of a state.
pub const FORMAT: &str = "fleetwright-state/1";

const EMPTY: &str = "The state is empty: nothing was applied yet, or everything was destroyed.";

fn in_order(state: &Recorded) -> impl Iterator<Item = &Object> {
    state.by_block().into_values().flatten()
}

/// The state as tables: images, shares, fleets; by block.
#[must_use]
pub fn show(state: &Recorded, style: Style) -> String {
    let Recorded { lineage: _, serial, origin, objects, versions: _, halted: _, edges: _, rollouts } = state;
    let mut head = Page::new(style);
    if let Some(Origin { endpoint, account, project }) = origin {
        head.plain(&format!("Project {project}, cloud {endpoint}, account {account}, serial {serial}"));
        head.gap();
    }
    if objects.is_empty() {
        head.plain(EMPTY);
        return head.finish();
    }
    let mut text = head.finish();
    for kind in Kind::ALL {
        let of_kind: Vec<&Object> = in_order(state).filter(|object| object.kind() == kind).collect();
        if !of_kind.is_empty() {
            text.push_str(&kind_table(kind, &of_kind, style));
            text.push('\n');
        }
    }
    let mut end = Page::new(style);
    for row in rollouts.values() {
        rollout::in_short(&mut end, row);
    }
    end.gap();
    end.plain(&format!("{}.", words::plural(objects.len(), "object")));
    text.push_str(&end.finish());
    text
}

/// An address of an image or a share names the region already.
fn kind_table(kind: Kind, objects: &[&Object], style: Style) -> String {
    const IMAGES: [Column; 4] =
        [Column::whole("IMAGE"), Column::whole("ID"), Column::wraps("NAME"), Column::whole("STATUS")];
    const SHARES: [Column; 4] =
        [Column::whole("SHARE"), Column::whole("OF IMAGE"), Column::wraps("WITH"), Column::whole("STATUS")];
    const FLEETS: [Column; 6] = [
        Column::whole("INSTANCE"),
        Column::whole("ID"),
        Column::wraps("NAME"),
        Column::whole("ZONE"),
        Column::whole("STATUS"),
        Column::whole("RUNS FROM").optional(),
    ];
    let row = |object: &&Object| {
        let mut row = vec![object.full_addr().to_string(), object.cloud_id.to_string()];
        row.push(match object.spec.as_ref() {
            ObjectSpec::Share(ShareCopySpec { accounts }) => {
                accounts.iter().map(Uin::as_str).collect::<Vec<_>>().join(", ")
            }
            ObjectSpec::Slot(_) | ObjectSpec::Image(_) => object.name.clone(),
        });
        if kind == Kind::Fleet {
            row.push(object.zone.as_ref().map_or_else(|| object.region.to_string(), ToString::to_string));
        }
        row.push(object.status.word().to_owned());
        // Of a builder, which stands among the images, `state show` tells what it runs from.
        row.extend(object.made_from.as_ref().filter(|_| kind == Kind::Fleet).map(ToString::to_string));
        row
    };
    let rows: Vec<Vec<String>> = objects.iter().map(row).collect();
    let columns = match kind {
        Kind::Image => &IMAGES[..],
        Kind::Share => &SHARES[..],
        Kind::Fleet => &FLEETS[..],
    };
    table(columns, &rows, style)
}

/// One address a line, in their order; `ids`: with the id behind it.
#[must_use]
pub fn list(state: &Recorded, ids: bool) -> String {
    let mut text = String::new();
    for object in in_order(state) {
        text.push_str(&object.full_addr().to_string());
        if ids {
            text.push(' ');
            text.push_str(&clean(object.cloud_id.as_str()));
        }
        text.push('\n');
    }
    text
}

/// The state as JSON.
#[must_use]
pub fn json(state: &Recorded) -> Document<'_> {
    let Recorded { lineage, serial, origin, objects: _, versions, halted: _, edges, rollouts } = state;
    document! {
        "format" => FORMAT,
        "lineage" => lineage.as_str(),
        "serial" => number(*serial),
        "origin" => origin.as_ref().map(|Origin { endpoint, account, project }| {
            object! { "endpoint" => endpoint, "account" => account.as_str(), "project" => project.as_str() }
        }),
    }
    .each("objects", || in_order(state).map(object))
    .each("versions", || versions.iter().map(version))
    .each("needs", || {
        edges.iter().map(|(block, needed)| object! { "block" => block.to_string(), "needs" => needed.to_string() })
    })
    .each("rollouts", || rollouts.values().map(row_json))
}

pub(super) fn object(object: &Object) -> Node {
    let Object {
        addr,
        generation,
        region,
        cloud_id,
        name,
        zone,
        ordinal,
        status,
        spec,
        made_from,
        accepted_ms,
        made_by: _,
    } = object;
    object! {
        "address" => addr.clone().generation(*generation).to_string(),
        "kind" => addr.block.kind.word(),
        "id" => cloud_id.as_str(),
        "name" => name,
        "region" => region.as_str(),
        "zone" => Node::maybe(zone.as_ref()),
        "ordinal" => *ordinal,
        "status" => status.word(),
        "made_from" => Node::maybe(made_from.as_ref()),
        "accepted" => words::rfc3339(*accepted_ms),
        "spec" => spec_json(spec),
    }
}

fn spec_json(spec: &ObjectSpec) -> Node {
    match spec {
        ObjectSpec::Slot(slot) => slot_json(slot),
        ObjectSpec::Image(ImageCopySpec { description, tags, family, deprecated, protect }) => {
            object! {
                "description" => description.as_ref(),
                "tags" => tags_json(tags),
                "family" => family.as_ref(),
                "deprecated" => *deprecated,
                "protect" => *protect,
            }
        }
        ObjectSpec::Share(ShareCopySpec { accounts }) => {
            object! { "accounts" => Node::list(accounts.iter().map(Uin::as_str)) }
        }
    }
}

/// As a list: the keys of objects are names of this format only.
fn tags_json(tags: &Tags) -> Node {
    Node::list(tags.iter().map(|(key, value)| object! { "key" => key, "value" => value }))
}

fn slot_json(slot: &SlotSpec) -> Node {
    let SlotSpec {
        image,
        instance_type,
        system_disk,
        data_disks,
        network: SlotNetwork { subnet, security_groups },
        internet,
        login,
        tags,
        user_data,
        hostname,
        charge,
        placement_group,
        cam_role,
        power,
        protect,
        on_trial,
    } = slot;
    object! {
        "image" => image.to_string(),
        "type" => instance_type.as_str(),
        "system_disk" => system_disk_json(system_disk),
        "data_disks" => data_disks_json(data_disks),
        "vpc" => subnet.as_ref().map(|(vpc, _)| vpc.as_str()),
        "subnet" => subnet.as_ref().map(|(_, subnet)| subnet.as_str()),
        "security_groups" => security_groups.as_ref().map(|groups| Node::list(groups.iter().map(|id| id.as_str()))),
        "internet" => internet.as_ref().map(|Internet { charge, bandwidth_mbps, public_ip }| {
            object! { "charge" => charge.word(), "bandwidth_mbps" => *bandwidth_mbps, "public_ip" => *public_ip }
        }),
        "login" => match login {
            Login::Unset => Node::Null,
            Login::Keys(keys) => object! { "key_ids" => Node::list(keys.iter().map(|id| id.as_str())) },
            Login::KeepImage => object! { "keep_image_login" => true },
        },
        "tags" => tags_json(tags),
        "user_data" => user_data.as_ref().map(|secret| {
            let SecretRef { source, digest, content: _ } = secret;
            object! { "secret" => object! { "source" => source.to_string(), "digest" => digest.to_string() } }
        }),
        "hostname" => hostname.as_ref().map(|pattern| pattern.0.as_str()),
        "charge_type" => charge.word(),
        "prepaid" => match charge {
            Charge::Prepaid { months, renew } => object! { "months" => *months, "renew" => renew.word() },
            Charge::Hourly | Charge::Spot { .. } => Node::Null,
        },
        "spot" => match charge {
            Charge::Spot { max_price } => object! { "max_price" => max_price.as_ref() },
            Charge::Hourly | Charge::Prepaid { .. } => Node::Null,
        },
        "placement_group" => Node::maybe(placement_group.as_ref()),
        "cam_role" => cam_role.as_ref(),
        "state" => power.map(|power| match power {
            Power::Running => "running",
            Power::Stopped => "stopped",
        }),
        "protect" => *protect,
        "on_trial" => *on_trial,
    }
}

fn system_disk_json(disk: &SystemDisk) -> Node {
    let SystemDisk { kind, size_gib } = disk;
    object! { "type" => Node::maybe(kind.as_ref()), "size_gib" => *size_gib }
}

fn data_disks_json(disks: &[DataDisk]) -> Node {
    Node::list(disks.iter().map(|DataDisk { kind, size_gib }| {
        object! { "type" => kind.as_str(), "size_gib" => *size_gib }
    }))
}

pub(super) fn version(record: &VersionRecord) -> Node {
    let VersionRecord { block, version, generation, inputs, inputs_digest, made_ms } = record;
    let Inputs { instance, base, user_data, system_disk, data_disks, import, encryption } = inputs;
    object! {
        "block" => block.to_string(),
        "version" => version.as_str(),
        "generation" => *generation,
        "made" => words::rfc3339(*made_ms),
        "inputs_digest" => inputs_digest.to_string(),
        "inputs" => object! {
            "instance" => Node::maybe(instance.as_ref()),
            "base" => Node::maybe(base.as_ref()),
            "user_data" => Node::maybe(user_data.as_ref()),
            "system_disk" => system_disk_json(system_disk),
            "data_disks" => data_disks_json(data_disks),
            "import" => import.as_ref().map(import_json),
            "encryption" => encryption.as_ref().map(|Encryption { kms_key }| {
                object! { "kms_key" => Node::maybe(kms_key.as_ref()) }
            }),
        },
    }
}

fn import_json(import: &ImportSource) -> Node {
    let ImportSource { url, os, os_version, architecture, boot_mode, force, license } = import;
    object! {
        "url" => url,
        "os" => os,
        "os_version" => os_version,
        "architecture" => architecture.word(),
        "boot_mode" => boot_mode.map(BootMode::word),
        "force" => *force,
        "license" => license.map(License::word),
    }
}
