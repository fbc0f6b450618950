//! ModifyImageAttribute, DeleteImages (API text 4.7, 4.13 and 8.8).

use std::collections::BTreeSet;

use rusqlite::params;

use super::{Seen, State, check_description, check_family, check_name, find, share_count, unknown};
use crate::cloud::cvm::wire::answers::Accepted;
use crate::cloud::cvm::wire::requests::{DeleteImages, ModifyImageAttribute};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::refusal::{Done, refuse, required};

pub(crate) fn modify(cx: &mut Context<'_>, r: ModifyImageAttribute) -> Done<Accepted> {
    let id = required(r.image_id, "ImageId")?;
    let mut image = match find(cx, &id)? {
        // No code is named for an image of the vendor or the marketplace; among those that can be modified it is not
        // found.
        Seen::Public(_) | Seen::Market(_) => return unknown(&id, cx.region()?.region),
        Seen::Received(_) => {
            let text = format!("`{id}` is another account's");
            return refuse("UnsupportedOperation.SharedImageModifyUnsupported", text);
        }
        Seen::Own(image) => image,
    };
    if image.state(cx.now, cx.settings) != State::Normal || image.gone_ms.is_some() {
        let text = format!("`{id}` is {}", image.state(cx.now, cx.settings).word());
        return refuse("InvalidImageId.IncorrectState", text);
    }
    if !cx.settings.shared_out_can_be_modified && share_count(cx, image.n)? > 0 {
        let text = format!("`{id}` is shared with other accounts");
        return refuse("UnsupportedOperation.SharedImageModifyUnsupported", text);
    }
    if let Some(name) = r.image_name {
        check_name(cx, &name, &image.region, Some(image.n))?;
        image.name = name;
    }
    if let Some(text) = r.image_description {
        check_description(&text)?;
        image.description = text;
    }
    if let Some(family) = r.image_family {
        check_family(&family)?;
        image.family = family;
    }
    image.deprecated = r.image_deprecated.unwrap_or(image.deprecated);
    cx.db
        .prepare_cached("UPDATE image SET name = ?2, description = ?3, family = ?4, deprecated = ?5 WHERE n = ?1")?
        .execute(params![image.n, image.name, image.description, image.family, image.deprecated])?;
    Ok(Accepted::default())
}

/// All or nothing. A failed image can be deleted; a busy or shared one cannot.
pub(crate) fn delete(cx: &mut Context<'_>, r: DeleteImages) -> Done<Accepted> {
    let given = required(r.image_ids, "ImageIds")?;
    if given.is_empty() {
        return refuse("MissingParameter", "ImageIds is empty");
    }
    let most = cx.settings.image_ids_at_most;
    if given.len() > most {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {most} images a request"));
    }
    let mut images = Vec::with_capacity(given.len());
    for id in given.into_iter().collect::<BTreeSet<_>>() {
        let image = match find(cx, &id)? {
            Seen::Public(_) => {
                return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is a public image"));
            }
            Seen::Market(_) => {
                return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is of the marketplace"));
            }
            Seen::Received(_) => {
                let text = format!("`{id}` is another account's");
                return refuse("InvalidParameterValue.InvalidImageIdIsShared", text);
            }
            Seen::Own(image) => image,
        };
        if image.gone_ms.is_some() {
            return refuse("MutexOperation.TaskRunning", format!("`{id}` is being deleted"));
        }
        let state = image.state(cx.now, cx.settings);
        if !matches!(state, State::Normal | State::CreateFailed | State::ImportFailed) {
            return refuse("InvalidImageId.IncorrectState", format!("`{id}` is {}", state.word()));
        }
        if share_count(cx, image.n)? > 0 {
            return refuse("InvalidImageId.InShared", format!("`{id}` is shared with other accounts"));
        }
        images.push(image);
    }
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    let drop_snaps = r.delete_binded_snap == Some(true);
    for image in images {
        let gone = cx.now + cx.takes(cx.settings.pace.delete_ms, image.n);
        cx.db
            .prepare_cached("UPDATE image SET gone_ms = ?2, drop_snaps = ?3 WHERE n = ?1")?
            .execute(params![image.n, gone, drop_snaps])?;
    }
    Ok(Accepted::default())
}
