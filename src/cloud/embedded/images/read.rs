//! DescribeImages and DescribeImageFromFamily (API text 4.3 and 4.14).

use std::collections::BTreeSet;

use super::{Custom, check_family, is_free, malformed};
use crate::cloud::cvm::wire::answers::{DescribeImageFromFamilyAnswer, DescribeImagesAnswer};
use crate::cloud::cvm::wire::requests::{DescribeImageFromFamily, DescribeImages};
use crate::cloud::cvm::wire::shapes::{Image, Snapshot};
use crate::cloud::embedded::api::{Context, uin};
use crate::cloud::embedded::catalogue::{PUBLIC_IMAGES, PublicImage, public_image_id, runs_on};
use crate::cloud::embedded::filters::{self, Asked};
use crate::cloud::embedded::fixtures::{self, MARKET, MarketImage};
use crate::cloud::embedded::ids::{self, Kind, mix, well_formed};
use crate::cloud::embedded::instances::launch::known_type;
use crate::cloud::embedded::refusal::{Done, refuse};
use crate::cloud::embedded::settings::LISTED_LATE_MS;
use crate::cloud::embedded::{tags, time_text};

const FILTERS: [&str; 9] = [
    "image-id",
    "image-type",
    "image-name",
    "platform",
    "tag-key",
    "tag-value",
    "tag:",
    "dedicated-cluster-id",
    "cdc-cache-status",
];
const MAX_VALUES: usize = 5;
/// ImageType of what the marketplace sells (2.1: observed).
const MARKET_IMAGE: &str = "MARKET_IMAGE";

pub(crate) fn describe(cx: &mut Context<'_>, r: DescribeImages) -> Done<DescribeImagesAnswer> {
    let region = cx.region()?.region;
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue.InvalidParameterValueLimit")?;
    let wanted = r.image_ids.unwrap_or_default();
    let asked = filters::parse(r.filters, &FILTERS, MAX_VALUES)?;
    if !wanted.is_empty() && !asked.is_empty() {
        let code = "InvalidParameter.InvalidParameterCoexistImageIdsFilters";
        return refuse(code, "ImageIds and Filters exclude each other");
    }
    let most = cx.settings.image_ids_at_most;
    if wanted.len() > most {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {most} images a request"));
    }
    let by_id = asked.iter().filter(|filter| filter.name == "image-id").flat_map(|filter| &filter.values);
    if let Some(id) = wanted.iter().chain(by_id).find(|id| !well_formed("img-", id)) {
        return malformed(id);
    }
    let kind = r.instance_type.as_deref().map(known_type).transpose()?;
    let mut tagged = Vec::new();
    for filter in &asked {
        match filter.name.as_str() {
            "tag-key" => {
                let mut found = BTreeSet::new();
                for key in &filter.values {
                    found.extend(tags::carriers(cx, region, key, None)?);
                }
                tagged.push(found);
            }
            "tag-value" => tagged.push(tags::carriers_of_value(cx, region, &filter.values)?),
            name => {
                if let Some(key) = name.strip_prefix("tag:") {
                    tagged.push(tags::carriers(cx, region, key, Some(&filter.values))?);
                }
            }
        }
    }
    let mut found = Vec::new();
    for public in PUBLIC_IMAGES {
        found.push((public_entry(public, region), None));
    }
    if fixtures::has_market(region) {
        let by_type = |filter: &Asked| filter.name == "image-type" && filter.has(MARKET_IMAGE);
        let named = |id: &str| {
            let by_id = |filter: &Asked| filter.name == "image-id" && filter.has(id);
            wanted.iter().any(|wish| wish == id) || asked.iter().any(by_id)
        };
        let all = cx.settings.market_images_always_listed || asked.iter().any(by_type);
        for market in MARKET.iter().filter(|image| all || named(image.id)) {
            found.push((market_entry(market), None));
        }
    }
    let own = Custom::all(cx.db, Some((cx.account, region)))?.into_iter().map(|image| (image, "PRIVATE_IMAGE"));
    let received = Custom::received(cx.db, cx.account, region)?.into_iter().map(|image| (image, "SHARED_IMAGE"));
    for (image, kind) in own.chain(received) {
        found.push((entry(cx, &image, kind), Some(image)));
    }
    found.retain(|(entry, image)| {
        (wanted.is_empty() || wanted.contains(&entry.image_id))
            && asked.iter().all(|filter| fits(entry, filter))
            && tagged
                .iter()
                .all(|found| image.as_ref().is_some_and(|image| found.contains(&ids::resource(Kind::Image, image.n))))
            && kind.is_none_or(|kind| runs_on(&entry.architecture, kind))
    });
    if cx.settings.may_list_late() {
        let mut update =
            cx.db.prepare_cached("UPDATE image SET hidden = 0 WHERE n = ?1 AND hidden = 1 AND created_ms > ?2")?;
        let since_ms = cx.now - LISTED_LATE_MS;
        let mut shown = Vec::with_capacity(found.len());
        for (entry, image) in found {
            let hidden = match &image {
                Some(image) if image.account == cx.account => update.execute([image.n, since_ms])? > 0,
                Some(_) | None => false,
            };
            if !hidden {
                shown.push((entry, image));
            }
        }
        found = shown;
    }
    let total_count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let mut found = filters::cut(found, page);
    if cx.settings.shuffle {
        let salt = cx.settings.seed ^ cx.requests;
        let key = |id: &str| id.bytes().fold(salt, |hash, byte| mix(hash, u64::from(byte)));
        found.sort_by_cached_key(|(entry, _)| key(&entry.image_id));
    }
    let mut image_set = Vec::with_capacity(found.len());
    for (mut entry, image) in found {
        if let Some(image) = image {
            add_what_belongs_to_it(cx, &mut entry, &image)?;
        }
        image_set.push(entry);
    }
    Ok(DescribeImagesAnswer { total_count, image_set, ..DescribeImagesAnswer::default() })
}

/// The newest of the caller's own images of the family that is NORMAL and not deprecated; which one the API chooses,
/// and whether received images belong to a family, is undocumented (9.17).
pub(crate) fn from_family(cx: &mut Context<'_>, r: DescribeImageFromFamily) -> Done<DescribeImageFromFamilyAnswer> {
    let region = cx.region()?.region;
    let family = r.image_family.unwrap_or_default();
    check_family(&family)
        .map_err(|refusal| refusal.by(&[("InvalidParameterValue.InvalidImageFamily", "InvalidParameterValue")]))?;
    let mut image = None;
    if !family.is_empty() {
        let newest = Custom::all(cx.db, Some((cx.account, region)))?
            .into_iter()
            .filter(|image| image.family == family && !image.deprecated && is_free(cx, image))
            .max_by_key(|image| (image.created_ms, image.n));
        if let Some(newest) = newest {
            let mut entry = entry(cx, &newest, "PRIVATE_IMAGE");
            add_what_belongs_to_it(cx, &mut entry, &newest)?;
            image = Some(entry);
        }
    }
    Ok(DescribeImageFromFamilyAnswer { image, ..DescribeImageFromFamilyAnswer::default() })
}

fn add_what_belongs_to_it(cx: &Context<'_>, entry: &mut Image, image: &Custom) -> Done<()> {
    entry.snapshot_set = Some(snapshots(cx, image.n)?);
    // Tags are the owner's, and a receiver does not see them.
    let own = image.account == cx.account;
    entry.tags = Some(if own { tags::of(cx.db, ids::resource(Kind::Image, image.n))? } else { Vec::new() });
    Ok(())
}

fn fits(entry: &Image, filter: &Asked) -> bool {
    match filter.name.as_str() {
        "image-id" => filter.has(&entry.image_id),
        "image-type" => filter.has(&entry.image_type),
        "image-name" => filter.is_in(&entry.image_name),
        "platform" => filter.is_in(&entry.platform),
        "dedicated-cluster-id" | "cdc-cache-status" => false,
        _ => true,
    }
}

fn public_entry(image: &PublicImage, region: &str) -> Image {
    Image {
        image_id: public_image_id(region, image.name),
        os_name: image.name.to_owned(),
        image_type: "PUBLIC_IMAGE".to_owned(),
        created_time: time_text(image.created_ms),
        image_name: image.name.to_owned(),
        image_description: Some(String::new()),
        image_size: image.size_gib,
        architecture: image.architecture.to_owned(),
        image_state: "NORMAL".to_owned(),
        platform: image.platform.to_owned(),
        image_creator: "tencentcloud".to_owned(),
        image_source: "OFFICIAL".to_owned(),
        sync_percent: None,
        is_support_cloudinit: Some(true),
        snapshot_set: Some(Vec::new()),
        tags: Some(Vec::new()),
        license_type: Some("TencentCloud".to_owned()),
        image_family: Some(String::new()),
        image_deprecated: Some(image.deprecated),
        cdc_cache_status: None,
    }
}

fn market_entry(image: &MarketImage) -> Image {
    Image {
        image_id: image.id.to_owned(),
        os_name: image.os_name.to_owned(),
        image_type: MARKET_IMAGE.to_owned(),
        created_time: time_text(fixtures::SINCE_MS),
        image_name: image.name.to_owned(),
        image_description: Some(String::new()),
        image_size: image.size_gib,
        architecture: "x86_64".to_owned(),
        image_state: "NORMAL".to_owned(),
        platform: image.platform.to_owned(),
        image_creator: "market".to_owned(),
        image_source: "OFFICIAL".to_owned(),
        sync_percent: None,
        is_support_cloudinit: Some(true),
        snapshot_set: Some(Vec::new()),
        tags: Some(Vec::new()),
        license_type: Some("TencentCloud".to_owned()),
        image_family: Some(String::new()),
        image_deprecated: Some(false),
        cdc_cache_status: None,
    }
}

fn entry(cx: &Context<'_>, image: &Custom, kind: &str) -> Image {
    Image {
        image_id: image.id(cx.seed),
        os_name: image.content.os_name.clone(),
        image_type: kind.to_owned(),
        created_time: time_text(image.created_ms),
        image_name: image.name.clone(),
        image_description: Some(image.description.clone()),
        image_size: image.size,
        architecture: image.content.architecture.clone(),
        image_state: image.state(cx.now, cx.settings).word().to_owned(),
        platform: image.content.platform.clone(),
        image_creator: uin(image.account),
        image_source: if image.imported { "EXTERNAL_IMPORT" } else { "CREATE_IMAGE" }.to_owned(),
        sync_percent: image.percent(cx.now, cx.settings),
        is_support_cloudinit: Some(!image.content.no_cloudinit),
        snapshot_set: None,
        tags: None,
        license_type: Some(image.content.license().to_owned()),
        image_family: Some(image.family.clone()),
        image_deprecated: Some(image.deprecated),
        cdc_cache_status: None,
    }
}

fn snapshots(cx: &Context<'_>, image: i64) -> Done<Vec<Snapshot>> {
    let set = cx
        .db
        .prepare_cached("SELECT n, usage, size FROM snapshot WHERE image = ?1 ORDER BY n")?
        .query_map([image], |row| {
            Ok(Snapshot {
                snapshot_id: ids::encode(Kind::Snapshot, cx.seed, row.get(0)?),
                disk_usage: row.get(1)?,
                disk_size: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(set)
}
