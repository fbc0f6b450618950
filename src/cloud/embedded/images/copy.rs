//! SyncImages (API text 4.9 and 8.6).

use std::collections::BTreeSet;

use rusqlite::params;

use super::{Custom, Op, Seen, capture, check_name, find, is_free};
use crate::cloud::cvm::wire::answers::SyncImagesAnswer;
use crate::cloud::cvm::wire::requests::SyncImages;
use crate::cloud::cvm::wire::shapes::SyncImage;
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::ids::{Kind, well_formed};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::Injection;
use crate::cloud::embedded::{catalogue, db, quotas};
use crate::model::catalog::{self, RegionEntry};

pub(crate) fn sync(cx: &mut Context<'_>, r: SyncImages) -> Done<SyncImagesAnswer> {
    let here = cx.region()?.region;
    let wanted = required(r.image_ids, "ImageIds")?;
    let [id] = wanted.as_slice() else {
        return match wanted.len() {
            0 => refuse("MissingParameter", "ImageIds is empty"),
            _ => refuse("InvalidParameterValue.LimitExceeded", "exactly one image a request"),
        };
    };
    let to = destinations(required(r.destination_regions, "DestinationRegions")?, here)?;
    let encrypt = r.encrypt == Some(true);
    check_key(r.kms_key_id.as_deref(), encrypt)?;
    let (source, own) = match find(cx, id)? {
        Seen::Public(_) => {
            return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is a public image"));
        }
        Seen::Market(_) => {
            return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is of the marketplace"));
        }
        Seen::Own(image) => (image, true),
        Seen::Received(image) => (image, false),
    };
    if !own && !cx.settings.shared_can_be_copied {
        return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is another account's"));
    }
    if source.encrypted {
        return refuse("UnsupportedOperation.EncryptedImagesNotSupported", format!("`{id}` is encrypted"));
    }
    if source.whole && cx.settings.whole_images_stay {
        return refuse("InvalidParameter.InstanceImageNotSupport", format!("`{id}` has data disks"));
    }
    if cx.settings.copy_at_most_gib.is_some_and(|most| source.size > most) {
        return refuse("InvalidImageId.TooLarge", format!("`{id}` has {} GiB", source.size));
    }
    if encrypt && !own {
        let text = format!("`{id}` is another account's, and becomes no encrypted image");
        return refuse("UnsupportedOperation.SyncEncryptImageNotSupport", text);
    }
    if !is_free(cx, &source) {
        let text = format!("`{id}` is {}", source.state(cx.now, cx.settings).word());
        return refuse("InvalidImageId.IncorrectState", text);
    }
    for entry in &to {
        // A custom image goes elsewhere; a received one becomes the caller's, and stays, as an encrypted copy does.
        if (own && !encrypt) == (entry.region == here) {
            let text = match (own, encrypt) {
                (true, true) => "an encrypted copy stays in the region of its source",
                (true, false) => "the image is there already",
                (false, _) => "a shared image does not leave its region",
            };
            return refuse("InvalidParameterValue.InvalidRegion", format!("{}: {text}", entry.region));
        }
    }
    let name = r.image_name.filter(|name| !name.is_empty()).unwrap_or_else(|| source.name.clone());
    for entry in &to {
        // For a name that is too long the action has the common code alone.
        check_name(cx, &name, entry.region, None)
            .map_err(|refusal| refusal.by(&[("InvalidParameterValue.TooLarge", "InvalidParameterValue")]))?;
        quotas::room_for_image(cx, entry.region)?;
    }
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    let mut image_set = Vec::with_capacity(to.len());
    let mut longest = cx.now;
    for entry in to {
        let fails = cx.fails_later(
            |i| matches!(i, Injection::CopyFails { name: n, region } if *n == name && region == entry.region),
        );
        let n = db::take_numbers(cx.db, Kind::Image, 1)?;
        let until = cx.now + cx.takes(cx.settings.pace.copy_ms, n);
        longest = longest.max(until);
        let copy = Custom {
            n,
            account: cx.account,
            region: entry.region.to_owned(),
            name: name.clone(),
            description: if cx.settings.copy_carries_description { source.description.clone() } else { String::new() },
            family: if cx.settings.copy_carries_family { source.family.clone() } else { String::new() },
            deprecated: cx.settings.copy_carries_family && source.deprecated,
            created_ms: cx.now,
            size: source.size,
            whole: source.whole,
            content: source.content.clone(),
            op: Op::Copy,
            op_start: cx.now,
            op_until: until,
            op_error: fails.then(|| "the copy broke off".to_owned()),
            gone_ms: None,
            hidden: cx.lists_late(),
            imported: false,
            encrypted: encrypt,
        };
        copy.insert(cx.db)?;
        capture::copy_snapshots(cx, source.n, &copy)?;
        image_set.push(SyncImage { image_id: copy.id(cx.seed), region: entry.region.to_owned() });
    }
    if own {
        cx.db
            .prepare_cached("UPDATE image SET op = ?2, op_start = ?3, op_until = ?4, op_error = NULL WHERE n = ?1")?
            .execute(params![source.n, Op::Source.number(), cx.now, longest])?;
    }
    if r.image_set_required != Some(true) {
        image_set.clear();
    }
    Ok(SyncImagesAnswer { image_set: Some(image_set), ..SyncImagesAnswer::default() })
}

/// Regions that copies can go to. Finance regions copy among themselves only (8.6).
fn destinations(names: Vec<String>, here: &str) -> Done<Vec<&'static RegionEntry>> {
    if names.is_empty() {
        return refuse("MissingParameter", "DestinationRegions is empty");
    }
    let mut to = Vec::with_capacity(names.len());
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        let Some(entry) = catalog::find_region(&name) else {
            return refuse("InvalidRegion.NotFound", format!("there is no region `{name}`"));
        };
        if catalogue::is_finance(here) != catalogue::is_finance(entry.region) {
            return refuse("InvalidRegion.Unavailable", format!("{name} takes no copies from {here}"));
        }
        to.push(entry);
    }
    Ok(to)
}

/// KmsKeyId: a UUID or `kms-` with eight characters, and with Encrypt only (3.4 and 4.9).
fn check_key(key: Option<&str>, encrypt: bool) -> Done<()> {
    let Some(key) = key else { return Ok(()) };
    if !encrypt {
        return refuse("InvalidParameter.InvalidKmsKeyId", "KmsKeyId goes with Encrypt");
    }
    let parts: Vec<&str> = key.split('-').collect();
    let hex = |part: &&str| part.chars().all(|c| c.is_ascii_hexdigit());
    let uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(hex);
    if uuid || well_formed("kms-", key) {
        return Ok(());
    }
    refuse("InvalidParameter.InvalidKmsKeyId", format!("`{key}` is neither a UUID nor kms-xxxxxxxx"))
}
