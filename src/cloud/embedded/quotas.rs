//! How much an account may hold, and how much it does (API text 4.4 and 8.2, DescribeAccountQuota).

use rusqlite::{OptionalExtension as _, params};

use super::api::Context;
use super::filters;
use super::images::Op;
use super::instances::{charge, launch};
use super::network;
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

/// How much of a zone's quota an account uses.
pub(crate) fn used(cx: &Context<'_>, zone: &str, what: &str) -> Done<i64> {
    let used = cx
        .db
        .prepare_cached("SELECT used FROM taken WHERE account = ?1 AND zone = ?2 AND what = ?3")?
        .query_row(params![cx.account, zone, what], |row| row.get(0))
        .optional()?;
    Ok(used.unwrap_or(0))
}

/// Takes more of a zone's quota, or gives it back.
pub(crate) fn take(cx: &Context<'_>, zone: &str, what: &str, more: i64) -> Done<()> {
    cx.db
        .prepare_cached(
            "INSERT INTO taken VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, zone, what) DO UPDATE SET used = used + excluded.used",
        )?
        .execute(params![cx.account, zone, what, more])?;
    Ok(())
}

const SETS: [&str; 5] =
    ["PostPaidQuotaSet", "PrePaidQuotaSet", "SpotPaidQuotaSet", "ImageQuotaSet", "DisasterRecoverGroupQuotaSet"];

pub(crate) fn account_quota(cx: &mut Context<'_>, r: DescribeAccountQuota) -> Done<DescribeAccountQuotaAnswer> {
    let region = cx.region()?;
    let asked = filters::parse(r.filters, &["zone", "quota-type"], 10)?;
    for filter in &asked {
        let known = |value: &String| match filter.name.as_str() {
            "zone" => region.zones.iter().any(|zone| zone.zone == *value),
            _ => SETS.contains(&value.as_str()),
        };
        if let Some(value) = filter.values.iter().find(|value| !known(value)) {
            return match filter.name.as_str() {
                "zone" => refuse("InvalidZone.MismatchRegion", format!("there is no `{value}` in {}", region.region)),
                _ => refuse("InvalidFilter", format!("`{value}` is none of {}", SETS.join(", "))),
            };
        }
    }
    let wants = |name: &str, value: &str| asked.iter().filter(|f| f.name == name).all(|f| f.has(value));
    let zones: Vec<&str> = region.zones.iter().map(|zone| zone.zone).filter(|zone| wants("zone", zone)).collect();
    let limits = cx.settings.limits;
    let by_zone = |what: &str, most: u32| -> Done<Vec<(String, i64, i64, i64)>> {
        let most = i64::from(most);
        let one = |zone: &&str| Ok(((*zone).to_owned(), used(cx, zone, what)?, most));
        let told = |(zone, used, most): (String, i64, i64)| (zone, used, (most - used).max(0), most);
        zones.iter().map(|zone| one(zone).map(told)).collect()
    };
    let mut quota = AccountQuota::default();
    if wants("quota-type", "PostPaidQuotaSet") {
        let set = by_zone(charge::HOURLY, limits.instances_per_zone)?;
        let one = |(zone, used_quota, remaining_quota, total_quota)| PostPaidQuota {
            zone,
            used_quota,
            remaining_quota,
            total_quota,
        };
        quota.post_paid_quota_set = Some(set.into_iter().map(one).collect());
    }
    if wants("quota-type", "PrePaidQuotaSet") {
        let set = by_zone(&charge::prepaid_quota(cx.now), limits.prepaid_per_zone_and_month)?;
        let one = |(zone, used_quota, remaining_quota, total_quota): (String, i64, i64, i64)| PrePaidQuota {
            zone,
            used_quota,
            once_quota: total_quota.min(launch::MAX_COUNT),
            remaining_quota,
            total_quota,
        };
        quota.pre_paid_quota_set = Some(set.into_iter().map(one).collect());
    }
    if wants("quota-type", "SpotPaidQuotaSet") {
        let set = by_zone(charge::SPOT, limits.spot_cores_per_zone)?;
        let one = |(zone, used_quota, remaining_quota, total_quota)| SpotPaidQuota {
            zone,
            used_quota,
            remaining_quota,
            total_quota,
        };
        quota.spot_paid_quota_set = Some(set.into_iter().map(one).collect());
    }
    if wants("quota-type", "ImageQuotaSet") {
        let used_quota = images_used(cx, region.region)?;
        let total_quota = i64::from(limits.images_per_region);
        quota.image_quota_set = Some(vec![ImageQuota { used_quota, total_quota }]);
    }
    if wants("quota-type", "DisasterRecoverGroupQuotaSet") {
        quota.disaster_recover_group_quota_set = Some(vec![DisasterRecoverGroupQuota {
            group_quota: network::PLACEMENT_GROUPS,
            current_num: network::placement_groups(cx)?,
            cvm_in_host_group_quota: network::GROUP_OF_HOSTS,
            cvm_in_switch_group_quota: network::GROUP_OF_SWITCHES,
            cvm_in_rack_group_quota: network::GROUP_OF_RACKS,
        }]);
    }
    Ok(DescribeAccountQuotaAnswer {
        app_id: cx.account,
        account_quota_overview: AccountQuotaOverview { region: region.region.to_owned(), account_quota: quota },
        ..DescribeAccountQuotaAnswer::default()
    })
}
