//! ExportImages (API text 4.11 and 8.1). Nothing is written anywhere: the answer names the files that would be, and no
//! action reports the task (9.18).
//!
//! Every bucket with a well-formed name, `<name>-<number>`, is there, in the region of the image, and may be written to.

use super::{Custom, Seen, find, is_free};
use crate::cloud::cvm::wire::answers::ExportImagesAnswer;
use crate::cloud::cvm::wire::requests::ExportImages;
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::Content;
use crate::cloud::embedded::fixtures::MARKET;
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::{imports, network};

/// The role that writes to the bucket, where none is named.
const DEFAULT_ROLE: &str = "CVM_QcsRole";

pub(crate) fn export(cx: &mut Context<'_>, r: ExportImages) -> Done<ExportImagesAnswer> {
    let bucket = required(r.bucket_name, "BucketName")?;
    let wanted = r.image_ids.unwrap_or_default();
    if wanted.is_empty() {
        return refuse("InvalidParameter.ImageIdsSnapshotIdsMustOne", "ImageIds is required");
    }
    let most = cx.settings.image_ids_at_most;
    if wanted.len() > most {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {most} images a request"));
    }
    let ending = match r.export_format.as_deref() {
        None | Some("RAW") => "raw",
        Some("QCOW2") => "qcow2",
        Some("VHD") => "vhd",
        Some("VMDK") => "vmdk",
        Some(other) => {
            return refuse("InvalidParameterValue", format!("`{other}` is none of RAW, QCOW2, VHD and VMDK"));
        }
    };
    let prefixes = r.file_name_prefix_list.unwrap_or_default();
    if !prefixes.is_empty() && prefixes.len() != wanted.len() {
        let text = format!("{} prefixes for {} images", prefixes.len(), wanted.len());
        return refuse("InvalidParameterValue.InvalidFileNamePrefixList", text);
    }
    if !imports::is_bucket(&bucket) {
        return refuse("InvalidParameterValue.BucketNotFound", format!("there is no bucket `{bucket}`"));
    }
    let role = r.role_name.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_ROLE.to_owned());
    if !network::has_role(cx, &role) {
        return refuse("AuthFailure.CamRoleNameAuthenticateFailed", format!("there is no CAM role `{role}`"));
    }
    let prefixes = prefixes.iter().map(Some).chain(std::iter::repeat(None));
    let mut paths = Vec::new();
    for (id, prefix) in wanted.iter().zip(prefixes) {
        let image = exportable(cx, id)?;
        let prefix = prefix.filter(|prefix| !prefix.is_empty()).map(|prefix| format!("{prefix}_")).unwrap_or_default();
        let mut parts =
            cx.db.prepare_cached("SELECT n, usage = 'SYSTEM_DISK' FROM snapshot WHERE image = ?1 ORDER BY n")?;
        let mut rows = parts.query([image.n])?;
        while let Some(row) = rows.next()? {
            let snapshot = ids::encode(Kind::Snapshot, cx.seed, row.get(0)?);
            let system: bool = row.get(1)?;
            if system || r.only_export_root_disk != Some(true) {
                let part = if system { "system" } else { "data" };
                paths.push(format!("/{prefix}{id}_{part}_{snapshot}.{ending}"));
            }
        }
    }
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    Ok(ExportImagesAnswer { task_id: Some(cx.requests), cos_paths: Some(paths), ..ExportImagesAnswer::default() })
}

/// An image that may leave. The vendor's, the marketplace's and other accounts' may not, nor what is licensed.
fn exportable(cx: &Context<'_>, id: &str) -> Done<Custom> {
    let image = match find(cx, id)? {
        Seen::Public(_) | Seen::Market(_) => {
            let text = format!("`{id}` is a public image, or of the marketplace");
            return refuse("UnsupportedOperation.PublicImageExportUnsupported", text);
        }
        Seen::Received(_) => {
            let text = format!("`{id}` is another account's");
            return refuse("UnsupportedOperation.SharedImageExportUnsupported", text);
        }
        Seen::Own(image) => image,
    };
    if is_of_the_market(&image.content) {
        let text = format!("`{id}` was made from an image of the marketplace");
        return refuse("UnsupportedOperation.MarketImageExportUnsupported", text);
    }
    if image.content.is_windows() {
        return refuse("UnsupportedOperation.WindowsImageExportUnsupported", format!("`{id}` holds Windows"));
    }
    if image.encrypted {
        return refuse("UnsupportedOperation.EncryptedImagesNotSupported", format!("`{id}` is encrypted"));
    }
    if cx.settings.export_at_most_gib.is_some_and(|most| image.size > most) {
        let text = format!("`{id}` has {} GiB", image.size);
        return refuse("UnsupportedOperation.ImageTooLargeExportUnsupported", text);
    }
    if !is_free(cx, &image) {
        let text = format!("`{id}` is {}", image.state(cx.now, cx.settings).word());
        return refuse("InvalidParameterValue.InvalidImageState", text);
    }
    Ok(image)
}

/// Whether a disk's content came from the marketplace, by whatever way.
fn is_of_the_market(content: &Content) -> bool {
    content.images.iter().any(|id| MARKET.iter().any(|image| image.id == id))
}
