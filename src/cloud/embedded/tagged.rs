//! The tag service as other clients ask it: all changes of one resource at once (API text 7.3), and the tags of several.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::api::Context;
use super::filters;
use super::refusal::{Done, refuse, required};
use super::tags::{
    Described, MAX_ATTACHED, attach, check_count, check_key, check_value, described, of, register, resource_of,
};
use crate::cloud::cvm::wire::answers::{Accepted, DescribeResourceTagsByResourceIdsAnswer};
use crate::cloud::cvm::wire::requests::{DescribeResourceTagsByResourceIds, ModifyResourceTags};
use crate::cloud::cvm::wire::shapes::ResourceTag;
use crate::model::catalog;

/// What the action answers where the others of the service have codes that its own list does not name (10.5).
const CODES: &[(&str, &str)] = &[
    ("InvalidParameter.UnsupportedService", "InvalidParameterValue.ResourceDescriptionError"),
    ("LimitExceeded.TagNumPerRequest", "LimitExceeded"),
];

pub(crate) fn modify(cx: &mut Context<'_>, r: ModifyResourceTags) -> Done<Accepted> {
    change(cx, r).map_err(|refusal| refusal.by(CODES))
}

fn change(cx: &mut Context<'_>, r: ModifyResourceTags) -> Done<Accepted> {
    let text = required(r.resource, "Resource")?;
    let what = described(&text)?;
    if r.replace_tags.is_none() && r.delete_tags.is_none() {
        return refuse("MissingParameter", "one of ReplaceTags and DeleteTags is required");
    }
    let mut replaced = BTreeMap::new();
    if let Some(given) = r.replace_tags {
        check_count(given.len(), "ReplaceTags")?;
        for tag in given {
            let (key, value) = (required(tag.tag_key, "TagKey")?, required(tag.tag_value, "TagValue")?);
            check_key(&key)?;
            check_value(&value)?;
            register(cx, &key, &value, ["LimitExceeded.TagKey", "LimitExceeded.TagValue"])?;
            replaced.insert(key, value);
        }
    }
    let mut deleted = BTreeSet::new();
    if let Some(given) = r.delete_tags {
        check_count(given.len(), "DeleteTags")?;
        for tag in given {
            let key = required(tag.tag_key, "TagKey")?;
            check_key(&key)?;
            deleted.insert(key);
        }
    }
    if let Some(both) = deleted.iter().find(|key| replaced.contains_key(*key)) {
        let code = "InvalidParameterValue.DeleteTagsParamError";
        return refuse(code, format!("`{both}` is to be replaced and to be deleted"));
    }
    // No code is documented for a resource that is not there; this one is common to all services (1.7).
    let Some(resource) = resource_of(cx, &what)? else {
        return refuse("ResourceNotFound", format!("there is no `{text}`"));
    };
    for key in &deleted {
        cx.db.prepare_cached("DELETE FROM tag WHERE resource = ?1 AND key = ?2")?.execute(params![resource, key])?;
    }
    let mut keys: BTreeSet<String> = of(cx.db, resource)?.into_iter().filter_map(|tag| tag.key).collect();
    keys.extend(replaced.keys().cloned());
    if keys.len() > MAX_ATTACHED {
        let code = "LimitExceeded.ResourceAttachedTags";
        return refuse(code, format!("a resource has at most {MAX_ATTACHED} tags"));
    }
    attach(cx, resource, &what.region, &replaced)?;
    Ok(Accepted::default())
}

pub(crate) fn of_resources(
    cx: &mut Context<'_>,
    r: DescribeResourceTagsByResourceIds,
) -> Done<DescribeResourceTagsByResourceIdsAnswer> {
    let service = required(r.service_type, "ServiceType")?;
    let prefix = required(r.resource_prefix, "ResourcePrefix")?;
    let ids = required(r.resource_ids, "ResourceIds")?;
    let region = required(r.resource_region, "ResourceRegion")?;
    if service != "cvm" {
        return refuse("InvalidParameter.UnsupportedService", format!("`{service}` takes no tags here"));
    }
    if catalog::find_region(&region).is_none() {
        return refuse("InvalidParameterValue", format!("there is no region `{region}`"));
    }
    let page = filters::page(r.offset, r.limit, "InvalidParameterValue")?;
    let mut tags = Vec::new();
    for id in ids {
        let what = Described { region: region.clone(), account: String::new(), prefix: prefix.clone(), id: id.clone() };
        let Some(resource) = resource_of(cx, &what)? else { continue };
        tags.extend(of(cx.db, resource)?.into_iter().map(|tag| ResourceTag {
            tag_key: tag.key.unwrap_or_default(),
            tag_value: tag.value.unwrap_or_default(),
            resource_id: id.clone(),
        }));
    }
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(DescribeResourceTagsByResourceIdsAnswer {
        total_count: number(tags.len()),
        offset: number(page.0),
        limit: number(page.1),
        tags: filters::cut(tags, page),
        ..DescribeResourceTagsByResourceIdsAnswer::default()
    })
}
