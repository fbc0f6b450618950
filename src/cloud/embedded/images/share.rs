//! DescribeImageSharePermission, ModifyImageSharePermission (API text 4.5, 4.8 and 8.3).

use std::collections::BTreeSet;

use rusqlite::params;

use super::{Custom, Seen, anybodys, find, is_free, is_shared, share_count, unknown};
use crate::cloud::cvm::wire::answers::{Accepted, DescribeImageSharePermissionAnswer};
use crate::cloud::cvm::wire::requests::{DescribeImageSharePermission, ModifyImageSharePermission};
use crate::cloud::cvm::wire::shapes::SharePermission;
use crate::cloud::embedded::accounts::{self, Account};
use crate::cloud::embedded::api::{Context, uin};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::time_text;
use crate::cloud::embedded::{catalogue, fixtures};

/// An image that is the caller's own. That it is somebody else's is told, as the API has a code for it.
fn owned(cx: &Context<'_>, id: &str) -> Done<Custom> {
    let region = cx.region()?;
    let foreign = || refuse("UnauthorizedOperation.ImageNotBelongToAccount", format!("`{id}` is not the caller's"));
    if catalogue::public_image(region, id).is_some() || fixtures::market_image(region, id).is_some() {
        return foreign();
    }
    match anybodys(cx, id)? {
        Some(image) if image.account == cx.account => Ok(image),
        Some(_) => foreign(),
        None => unknown(id, region.region),
    }
}

pub(crate) fn describe(
    cx: &mut Context<'_>,
    r: DescribeImageSharePermission,
) -> Done<DescribeImageSharePermissionAnswer> {
    let image = owned(cx, &required(r.image_id, "ImageId")?)?;
    let share_permission_set = cx
        .db
        .prepare_cached("SELECT account, created_ms FROM share WHERE image = ?1 ORDER BY account")?
        .query_map([image.n], |row| {
            Ok(SharePermission { created_time: time_text(row.get(1)?), account_id: uin(row.get(0)?) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(DescribeImageSharePermissionAnswer { share_permission_set, ..DescribeImageSharePermissionAnswer::default() })
}

pub(crate) fn modify(cx: &mut Context<'_>, r: ModifyImageSharePermission) -> Done<Accepted> {
    let id = required(r.image_id, "ImageId")?;
    let names = required(r.account_ids, "AccountIds")?;
    let cancel = match required(r.permission, "Permission")?.as_str() {
        "SHARE" => false,
        "CANCEL" => true,
        other => return refuse("InvalidParameterValue", format!("Permission is SHARE or CANCEL, not `{other}`")),
    };
    if names.is_empty() {
        return refuse("MissingParameter", "AccountIds is empty");
    }
    let most = cx.settings.image_ids_at_most;
    if names.len() > most {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {most} accounts a request"));
    }
    if let Ok(Seen::Public(_) | Seen::Market(_)) = find(cx, &id) {
        return refuse("InvalidParameterValue.InvalidImageId", format!("`{id}` is no custom image"));
    }
    let image = owned(cx, &id)?;
    if !is_free(cx, &image) {
        let text = format!("`{id}` is {}", image.state(cx.now, cx.settings).word());
        return refuse("InvalidParameterValue.InvalidImageState", text);
    }
    if !cancel && image.whole && cx.settings.whole_images_stay {
        return refuse("InvalidParameter.InstanceImageNotSupport", format!("`{id}` has data disks"));
    }
    if !cancel && image.encrypted {
        return refuse("UnsupportedOperation.EncryptedImagesNotSupported", format!("`{id}` is encrypted"));
    }
    if !cancel && image.content.byol {
        return refuse("FailedOperation.BYOLImageShareFailed", format!("the licence of `{id}` is its owner's"));
    }
    let mut accounts = BTreeSet::new();
    for name in &names {
        if *name == uin(cx.account) {
            return refuse("FailedOperation.AccountIsYourSelf", "an image is not shared with its owner");
        }
        match accounts::kind(name) {
            Account::Main => {}
            Account::Sub => {
                return refuse("FailedOperation.NotMasterAccount", format!("`{name}` is a sub-account"));
            }
            Account::Unknown => {
                return refuse("InvalidAccountId.NotFound", format!("there is no account `{name}`"));
            }
        }
        accounts.extend(name.parse::<i64>());
    }
    if cancel { cancel_shares(cx, &image, &accounts) } else { share(cx, &image, &accounts) }
}

fn share(cx: &Context<'_>, image: &Custom, accounts: &BTreeSet<i64>) -> Done<Accepted> {
    for account in accounts {
        if is_shared(cx, image.n, *account)? {
            let text = format!("the image is shared with {account} already");
            return refuse("FailedOperation.AccountAlreadyExists", text);
        }
    }
    let most = i64::from(cx.settings.limits.accounts_per_image);
    let after = share_count(cx, image.n)? + i64::try_from(accounts.len()).unwrap_or(i64::MAX);
    if after > most {
        return refuse(
            "OverQuota",
            format!("an image is shared with at most {most} accounts, this would make {after}"),
        );
    }
    for account in accounts {
        cx.db.prepare_cached("INSERT INTO share VALUES (?1, ?2, ?3)")?.execute(params![image.n, account, cx.now])?;
    }
    Ok(Accepted::default())
}

fn cancel_shares(cx: &Context<'_>, image: &Custom, accounts: &BTreeSet<i64>) -> Done<Accepted> {
    for account in accounts {
        let gone = cx
            .db
            .prepare_cached("DELETE FROM share WHERE image = ?1 AND account = ?2")?
            .execute([image.n, *account])?;
        if gone == 0 && cx.settings.cancel_without_share_refused {
            return refuse("InvalidAccountId.NotFound", format!("the image is not shared with {account}"));
        }
    }
    Ok(Accepted::default())
}
