//! CreateImage (API text 4.6 and 8.5).

use rusqlite::{OptionalExtension as _, params};

use super::{Custom, Op, TAG_CODES, check_description, check_family, check_name};
use crate::cloud::cvm::wire::answers::CreateImageAnswer;
use crate::cloud::cvm::wire::requests::CreateImage;
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::Content;
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::instances::{self, Act, Power, Spec, State};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::Injection;
use crate::cloud::embedded::{db, quotas, tags};
use crate::model::Millis;

/// A disk that goes into an image.
pub(super) struct Part {
    pub(super) usage: &'static str,
    pub(super) size: i64,
}

/// A snapshot of the caller.
pub(crate) struct Found {
    pub(crate) usage: String,
    pub(crate) size: i64,
    content: Content,
    made_ms: Millis,
}

/// A snapshot of the caller in the region, by its id.
pub(crate) fn snapshot(cx: &Context<'_>, id: &str) -> Done<Option<Found>> {
    let Some(n) = ids::decode(Kind::Snapshot, cx.seed, id) else { return Ok(None) };
    let row: Option<(String, i64, String, Millis)> = cx
        .db
        .prepare_cached(
            "SELECT usage, size, content, made_ms FROM snapshot WHERE n = ?1 AND account = ?2 AND region = ?3",
        )?
        .query_row(params![n, cx.account, cx.region()?.region], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((usage, size, content, made_ms)) = row else { return Ok(None) };
    Ok(Some(Found { usage, size, content: serde_json::from_str(&content)?, made_ms }))
}

/// A truth value that is sent as a text (1.10).
fn flag(text: Option<&str>, name: &str) -> Done<bool> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => refuse("InvalidParameterValue", format!("{name} is \"true\" or \"false\"")),
    }
}

pub(crate) fn create(cx: &mut Context<'_>, r: CreateImage) -> Done<CreateImageAnswer> {
    let region = cx.region()?.region;
    let name = required(r.image_name, "ImageName")?;
    let force = flag(r.force_poweroff.as_deref(), "ForcePoweroff")?;
    flag(r.sysprep.as_deref(), "Sysprep")?;
    let description = r.image_description.unwrap_or_default();
    check_description(&description)?;
    let family = r.image_family.unwrap_or_default();
    check_family(&family)?;
    let snapshot_ids = r.snapshot_ids.unwrap_or_default();
    let disk_ids = r.data_disk_ids.unwrap_or_default();
    match (&r.instance_id, snapshot_ids.is_empty()) {
        (None, true) => {
            return refuse("InvalidParameter.SpecifyOneParameter", "InstanceId or SnapshotIds is required");
        }
        (Some(_), false) => {
            return refuse("InvalidParameterConflict", "InstanceId and SnapshotIds exclude each other");
        }
        (None, false) if !disk_ids.is_empty() => {
            return refuse("InvalidParameter.InvalidDependence", "DataDiskIds goes with InstanceId");
        }
        (None, false) | (Some(_), true) => {}
    }
    let (content, parts, mut machine) = match &r.instance_id {
        Some(id) => {
            // The action has no code for an id of the wrong shape.
            let machine = instances::find(cx, id)
                .map_err(|r| r.by(&[("InvalidInstanceId.Malformed", "InvalidInstanceId.NotFound")]))?;
            let state = instances::check(cx, &machine, Act::Capture)?;
            let spec = Spec::load(cx.db, machine.spec_at(cx.now))?;
            if spec.encrypted {
                let text = format!("the system disk of `{id}` is encrypted");
                return refuse("UnsupportedOperation.EncryptedImagesNotSupported", text);
            }
            let parts = parts_of_instance(&machine.disks(&spec, cx.seed), &disk_ids)?;
            (spec.content, parts, Some((machine, state)))
        }
        None => {
            let (content, parts) = parts_of_snapshots(cx, &snapshot_ids)?;
            (content, parts, None)
        }
    };
    check_name(cx, &name, region, None)?;
    quotas::room_for_image(cx, region)?;
    let tags = tags::specified(cx, r.tag_specification, "image").map_err(|refusal| refusal.by(&TAG_CODES))?;
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    let fails = cx.fails_later(|i| matches!(i, Injection::CaptureFails { name: wanted } if *wanted == name));
    let n = db::take_numbers(cx.db, Kind::Image, 1)?;
    let until = cx.now + cx.takes(cx.settings.pace.capture_ms, n);
    let image = Custom {
        n,
        account: cx.account,
        region: region.to_owned(),
        name,
        description,
        family,
        deprecated: false,
        created_ms: cx.now,
        size: parts.first().map_or(0, |part| part.size),
        whole: parts.len() > 1,
        content,
        op: Op::Create,
        op_start: cx.now,
        op_until: until,
        op_error: fails.then(|| "the disk could not be read".to_owned()),
        gone_ms: None,
        hidden: cx.lists_late(),
        imported: false,
        encrypted: false,
    };
    image.insert(cx.db)?;
    insert_snapshots(cx, &image, &parts)?;
    let id = image.id(cx.seed);
    tags::attach(cx, ids::resource(Kind::Image, n), region, &tags)?;
    if let Some((machine, state)) = &mut machine {
        let on = *state == State::Running;
        let (op, becomes) = match (force && on, on) {
            (true, _) => {
                let restart = cx.settings.restart_after_capture;
                (instances::Op::CaptureOff, if restart { Power::On } else { Power::Off })
            }
            (false, true) => (instances::Op::Capture, Power::On),
            (false, false) => (instances::Op::Capture, Power::Off),
        };
        machine.begin(cx, op, until - cx.now, becomes)?;
        // Both end at the same moment, jitter or not.
        machine.op_until = until;
        if op == instances::Op::CaptureOff {
            machine.off_ms = None;
            machine.boot_ms = Some(until);
        }
        machine.save(cx.db)?;
    }
    Ok(CreateImageAnswer { image_id: Some(id), ..CreateImageAnswer::default() })
}

/// The system disk, and the data disks that were asked for.
fn parts_of_instance(disks: &[(String, instances::DiskSpec)], wanted: &[String]) -> Done<Vec<Part>> {
    let mut parts = Vec::with_capacity(wanted.len() + 1);
    for (id, disk) in disks.iter().take(1) {
        if wanted.contains(id) {
            let text = format!("`{id}` is the system disk");
            return refuse("InvalidParameter.DataDiskIdContainsRootDisk", text);
        }
        parts.push(Part { usage: "SYSTEM_DISK", size: disk.size });
    }
    for id in wanted {
        let Some((_, disk)) = disks.iter().find(|(known, _)| known == id) else {
            let text = format!("`{id}` is no disk of the instance");
            return refuse("InvalidParameter.DataDiskNotBelongSpecifiedInstance", text);
        };
        parts.push(Part { usage: "DATA_DISK", size: disk.size });
    }
    Ok(parts)
}

/// Exactly one snapshot of a system disk, and any of data disks.
fn parts_of_snapshots(cx: &Context<'_>, wanted: &[String]) -> Done<(Content, Vec<Part>)> {
    let mut content = None;
    let mut parts = Vec::with_capacity(wanted.len());
    for id in wanted {
        let Some(found) = snapshot(cx, id)? else {
            return refuse("InvalidParameter.SnapshotNotFound", format!("there is no snapshot `{id}`"));
        };
        if found.made_ms > cx.now {
            return refuse("ResourceUnavailable.SnapshotCreating", format!("the snapshot `{id}` is being made"));
        }
        if found.usage != "SYSTEM_DISK" {
            parts.push(Part { usage: "DATA_DISK", size: found.size });
            continue;
        }
        if content.is_some() {
            let text = "there is more than one snapshot of a system disk";
            return refuse("InvalidParameter.DuplicateSystemSnapshots", text);
        }
        content = Some(found.content);
        parts.insert(0, Part { usage: "SYSTEM_DISK", size: found.size });
    }
    match content {
        Some(content) => Ok((content, parts)),
        None => refuse("InvalidParameter.SystemSnapshotNotFound", "there is no snapshot of a system disk"),
    }
}

pub(super) fn insert_snapshots(cx: &Context<'_>, image: &Custom, parts: &[Part]) -> Done<()> {
    let first = db::take_numbers(cx.db, Kind::Snapshot, i64::try_from(parts.len()).unwrap_or(0))?;
    let content = serde_json::to_string(&image.content)?;
    let mut insert = cx.db.prepare_cached("INSERT INTO snapshot VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (n, part) in (first..).zip(parts) {
        insert.execute(params![
            n,
            image.account,
            image.region,
            image.n,
            part.usage,
            part.size,
            content,
            image.op_until
        ])?;
    }
    Ok(())
}

/// The snapshots of a copy: as many, and as large, as its source has.
pub(super) fn copy_snapshots(cx: &Context<'_>, source: i64, copy: &Custom) -> Done<()> {
    let sizes: Vec<(bool, i64)> = cx
        .db
        .prepare_cached("SELECT usage = 'SYSTEM_DISK', size FROM snapshot WHERE image = ?1 ORDER BY n")?
        .query_map([source], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let parts: Vec<Part> = sizes
        .into_iter()
        .map(|(system, size)| Part { usage: if system { "SYSTEM_DISK" } else { "DATA_DISK" }, size })
        .collect();
    insert_snapshots(cx, copy, &parts)
}
