//! A state, shown: everything of ours in the cloud, as a table, as a list of addresses, and as JSON.

use serde_json::{Value as Json, json};

use crate::model::desired::Tags;
use crate::model::recorded::{Object, Origin, Recorded, VersionRecord};
use crate::model::spec::{
    DataDisk, ImageCopySpec, Inputs, Internet, Login, ObjectSpec, ShareCopySpec, SlotNetwork, SlotSpec, SystemDisk,
};

use super::plan_json::pretty;
use super::style::{Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of a state.
pub const FORMAT: &str = "fleetwright-state/1";

const EMPTY: &str = "The state is empty: nothing was applied yet, or everything was destroyed.";

fn in_order(state: &Recorded) -> impl Iterator<Item = &Object> {
    state.by_block().into_values().flatten()
}

/// The state as a table, by block.
#[must_use]
pub fn show(state: &Recorded, style: Style) -> String {
    const COLUMNS: [Column; 6] = [
        Column::whole("ADDRESS"),
        Column::whole("ID"),
        Column::wraps("NAME"),
        Column::whole("WHERE"),
        Column::whole("STATUS"),
        Column::wraps("FROM"),
    ];
    let mut page = Page::new(style);
    if let Some(Origin { endpoint, account, project }) = &state.origin {
        page.plain(&format!("Project {project}, cloud {endpoint}, account {account}, serial {}", state.serial));
        page.gap();
    }
    let rows: Vec<Vec<String>> = in_order(state)
        .map(|object| {
            vec![
                object.full_addr().to_string(),
                object.cloud_id.to_string(),
                object.name.clone(),
                object.zone.as_ref().map_or_else(|| object.region.to_string(), ToString::to_string),
                object.status.word().to_owned(),
                object.made_from.as_ref().map_or_else(String::new, ToString::to_string),
            ]
        })
        .collect();
    if rows.is_empty() {
        page.plain(EMPTY);
        return page.finish();
    }
    let count = rows.len();
    let mut text = page.finish();
    text.push_str(&table(&COLUMNS, &rows, style));
    let mut end = Page::new(style);
    end.wrap(0, 0, &Line::new().text(words::plural(count, "object")).text("."));
    text.push('\n');
    text.push_str(&end.finish());
    text
}

/// One address a line, in their order; `ids`: with the id behind it.
#[must_use]
pub fn list(state: &Recorded, ids: bool) -> String {
    let mut text = String::new();
    for object in in_order(state) {
        text.push_str(&object.full_addr().to_string());
        if ids {
            text.push(' ');
            text.push_str(object.cloud_id.as_str());
        }
        text.push('\n');
    }
    text
}

/// The state as JSON.
#[must_use]
pub fn json(state: &Recorded) -> String {
    let Recorded { lineage, serial, origin, objects: _, versions, edges } = state;
    pretty(&json!({
        "format": FORMAT,
        "lineage": lineage,
        "serial": serial,
        "origin": origin.as_ref().map(|Origin { endpoint, account, project }| {
            json!({ "endpoint": endpoint, "account": account, "project": project })
        }),
        "objects": in_order(state).map(object).collect::<Vec<_>>(),
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "needs": edges.iter().map(|(block, needed)| json!({ "block": block, "needs": needed })).collect::<Vec<_>>(),
    }))
}

fn object(object: &Object) -> Json {
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
    json!({
        "address": addr.clone().generation(*generation),
        "kind": addr.block.kind.word(),
        "region": region,
        "zone": zone,
        "id": cloud_id.as_str(),
        "name": name,
        "ordinal": ordinal,
        "status": status.word(),
        "made_from": made_from,
        "accepted": words::rfc3339(*accepted_ms),
        "spec": spec_json(spec),
    })
}

fn spec_json(spec: &ObjectSpec) -> Json {
    match spec {
        ObjectSpec::Slot(slot) => slot_json(slot),
        ObjectSpec::Image(ImageCopySpec { description, tags }) => json!({ "description": description, "tags": tags }),
        ObjectSpec::Share(ShareCopySpec { accounts }) => json!({ "accounts": accounts }),
    }
}

fn slot_json(slot: &SlotSpec) -> Json {
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
    } = slot;
    let tags: &Tags = tags;
    json!({
        "image": image.to_string(),
        "type": instance_type,
        "system_disk": system_disk_json(system_disk),
        "data_disks": data_disks_json(data_disks),
        "vpc": subnet.as_ref().map(|(vpc, _)| vpc),
        "subnet": subnet.as_ref().map(|(_, subnet)| subnet),
        "security_groups": security_groups,
        "internet": internet.as_ref().map(|Internet { charge, bandwidth_mbps, public_ip }| {
            json!({ "charge": charge.word(), "bandwidth_mbps": bandwidth_mbps, "public_ip": public_ip })
        }),
        "login": match login {
            Login::Unset => json!("unset"),
            Login::Keys(keys) => json!({ "key_ids": keys }),
            Login::KeepImage => json!("keep_image_login"),
        },
        "tags": tags,
        "user_data": user_data.as_ref().map(|secret| {
            json!({ "secret": { "source": secret.source.to_string(), "digest": secret.digest.to_string() } })
        }),
    })
}

fn system_disk_json(disk: &SystemDisk) -> Json {
    let SystemDisk { kind, size_gib } = disk;
    json!({ "type": kind, "size_gib": size_gib })
}

fn data_disks_json(disks: &[DataDisk]) -> Json {
    disks.iter().map(|DataDisk { kind, size_gib }| json!({ "type": kind, "size_gib": size_gib })).collect()
}

fn version(record: &VersionRecord) -> Json {
    let VersionRecord { block, version, generation, inputs, inputs_digest, made_ms } = record;
    let Inputs { instance, base, user_data, system_disk, data_disks } = inputs;
    json!({
        "block": block,
        "version": version,
        "generation": generation,
        "inputs_digest": inputs_digest,
        "inputs": {
            "instance": instance,
            "base": base.as_ref().map(ToString::to_string),
            "user_data": user_data,
            "system_disk": system_disk_json(system_disk),
            "data_disks": data_disks_json(data_disks),
        },
        "made": words::rfc3339(*made_ms),
    })
}
