//! How much an account may hold, and how much it does (API text 4.4 and 8.2, DescribeAccountQuota).

use rusqlite::{OptionalExtension as _, params};

use super::api::Context;
use super::filters;
use super::images::Op;
use super::refusal::{Done, refuse};
use crate::cloud::cvm::wire::answers::{DescribeAccountQuotaAnswer, DescribeImageQuotaAnswer};
use crate::cloud::cvm::wire::requests::{DescribeAccountQuota, DescribeImageQuota};
use crate::cloud::cvm::wire::shapes::{
    AccountQuota, AccountQuotaOverview, DisasterRecoverGroupQuota, ImageQuota, PostPaidQuota, PrePaidQuota,
    SpotPaidQuota,
};

pub(crate) fn image_quota(cx: &mut Context<'_>, _: DescribeImageQuota) -> Done<DescribeImageQuotaAnswer> {
    let image_num_quota = i64::from(cx.settings.limits.images_per_region);
    Ok(DescribeImageQuotaAnswer { image_num_quota, ..DescribeImageQuotaAnswer::default() })
}

/// How many custom images an account has in a region.
pub(crate) fn images_used(cx: &Context<'_>, region: &str) -> Done<i64> {
    let all = "SELECT count(*) FROM image WHERE account = ?1 AND region = ?2 AND ?3 >= ?4";
    let good = "SELECT count(*) FROM image WHERE account = ?1 AND region = ?2
                AND NOT (op_error IS NOT NULL AND op_until <= ?3 AND op != ?4)";
    let text = if cx.settings.failed_images_count { all } else { good };
    // A source that was copied in vain did not fail itself.
    let source = if cx.settings.failed_images_count { i64::MIN } else { Op::Source.number() };
    Ok(cx.db.prepare_cached(text)?.query_row(params![cx.account, region, cx.now, source], |row| row.get(0))?)
}

/// Refuses more custom images than there is room for (8.2).
pub(crate) fn room_for_image(cx: &Context<'_>, region: &str) -> Done<()> {
    let most = i64::from(cx.settings.limits.images_per_region);
    if images_used(cx, region)? >= most {
        let text = format!("all {most} custom images that the account may have in {region} are there");
        return refuse("ImageQuotaLimitExceeded", text);
    }
    Ok(())
}

/// How many pay-as-you-go instances an account has in a zone.
pub(crate) fn instances_used(cx: &Context<'_>, zone: &str) -> Done<i64> {
    let used = cx
        .db
        .prepare_cached("SELECT used FROM usage WHERE account = ?1 AND zone = ?2")?
        .query_row(params![cx.account, zone], |row| row.get(0))
        .optional()?;
    Ok(used.unwrap_or(0))
}

pub(crate) fn account_quota(cx: &mut Context<'_>, r: DescribeAccountQuota) -> Done<DescribeAccountQuotaAnswer> {
    let region = cx.region()?;
    let asked = filters::parse(r.filters, &["zone", "quota-type"], 10)?;
    let wants = |name: &str, value: &str| asked.iter().filter(|f| f.name == name).all(|f| f.has(value));
    let zones: Vec<&str> = region.zones.iter().map(|zone| zone.zone).filter(|zone| wants("zone", zone)).collect();
    let most = i64::from(cx.settings.limits.instances_per_zone);
    let mut quota = AccountQuota::default();
    if wants("quota-type", "PostPaidQuotaSet") {
        let mut set = Vec::new();
        for zone in &zones {
            let used_quota = instances_used(cx, zone)?;
            let remaining_quota = (most - used_quota).max(0);
            set.push(PostPaidQuota { zone: (*zone).to_owned(), used_quota, remaining_quota, total_quota: most });
        }
        quota.post_paid_quota_set = Some(set);
    }
    if wants("quota-type", "PrePaidQuotaSet") {
        let one = |zone: &&str| PrePaidQuota {
            zone: (*zone).to_owned(),
            used_quota: 0,
            once_quota: most,
            remaining_quota: most,
            total_quota: most,
        };
        quota.pre_paid_quota_set = Some(zones.iter().map(one).collect());
    }
    if wants("quota-type", "SpotPaidQuotaSet") {
        let one =
            |zone: &&str| SpotPaidQuota { zone: (*zone).to_owned(), used_quota: 0, remaining_quota: 0, total_quota: 0 };
        quota.spot_paid_quota_set = Some(zones.iter().map(one).collect());
    }
    if wants("quota-type", "ImageQuotaSet") {
        let used_quota = images_used(cx, region.region)?;
        let total_quota = i64::from(cx.settings.limits.images_per_region);
        quota.image_quota_set = Some(vec![ImageQuota { used_quota, total_quota }]);
    }
    if wants("quota-type", "DisasterRecoverGroupQuotaSet") {
        quota.disaster_recover_group_quota_set = Some(vec![DisasterRecoverGroupQuota::default()]);
    }
    Ok(DescribeAccountQuotaAnswer {
        app_id: cx.account,
        account_quota_overview: AccountQuotaOverview { region: region.region.to_owned(), account_quota: quota },
        ..DescribeAccountQuotaAnswer::default()
    })
}
