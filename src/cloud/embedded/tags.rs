//! Tags, at creation and by the tag service (API text 7).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::api::{Context, uin};
use super::ids::{self, Kind};
use super::instances::{self, Machine, Spec};
use super::refusal::{Done, Refusal, refuse, required};
use super::settings::Injection;
use crate::cloud::cvm::wire::answers::TagResourcesAnswer;
use crate::cloud::cvm::wire::requests::{TagResources, UnTagResources};
use crate::cloud::cvm::wire::shapes::{FailedResource, Tag, TagSpecification};
use crate::model::catalog;

/// The most resources of a request (7.1).
const MAX_RESOURCES: usize = 10;
/// The most tags of a request (7.1).
const MAX_TAGS: usize = 10;
/// The most tags of a resource (7).
pub(super) const MAX_ATTACHED: usize = 50;
/// The most keys of an account, and values of a key (7).
const MAX_REGISTERED: i64 = 1000;
/// The longest key and the longest value (9.19: sources differ).
const MAX_KEY: usize = 127;
const MAX_VALUE: usize = 255;
/// How keys of the system begin (7).
const RESERVED: [&str; 3] = ["qcloud", "tencent", "project"];

fn legal(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c))
}

fn reserved(key: &str) -> bool {
    RESERVED.iter().any(|start| key.to_lowercase().starts_with(start))
}

/// Tags of a TagSpecification, for one kind of resource.
pub(crate) fn specified(
    cx: &Context<'_>,
    given: Option<Vec<TagSpecification>>,
    wanted: &str,
) -> Done<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for TagSpecification { resource_type, tags: listed } in given.unwrap_or_default() {
        let kind = required(resource_type, "TagSpecification.ResourceType")?;
        if kind != wanted {
            return refuse("InvalidParameterValue", format!("tags of a `{kind}` do not belong here, but `{wanted}`"));
        }
        for Tag { key, value } in required(listed, "TagSpecification.Tags")? {
            let (key, value) = (required(key, "Tag.Key")?, required(value, "Tag.Value")?);
            if reserved(&key) {
                return refuse("FailedOperation.TagKeyReserved", format!("the key `{key}` is the system's"));
            }
            if key.is_empty() || key.chars().count() > MAX_KEY || !legal(&key) {
                return refuse("FailedOperation.IllegalTagKey", format!("`{key}` cannot be a tag's key"));
            }
            if value.chars().count() > MAX_VALUE || !legal(&value) {
                return refuse("FailedOperation.IllegalTagValue", format!("`{value}` cannot be a tag's value"));
            }
            if !cx.settings.tag_key_created_at_launch && !key_exists(cx, &key)? {
                return refuse("InvalidParameterValue.TagKeyNotFound", format!("there is no tag key `{key}`"));
            }
            register(cx, &key, &value, ["InvalidParameterValue.TagQuotaLimitExceeded"; 2])?;
            if tags.insert(key.clone(), value).is_some() {
                return refuse("InvalidParameterValue.DuplicateTags", format!("the key `{key}` is given twice"));
            }
        }
    }
    if tags.len() > MAX_ATTACHED {
        let code = "InvalidParameterValue.TagQuotaLimitExceeded";
        return refuse(code, format!("a resource has at most {MAX_ATTACHED} tags"));
    }
    Ok(tags)
}

fn key_exists(cx: &Context<'_>, key: &str) -> Done<bool> {
    let mut found = cx.db.prepare_cached("SELECT 1 FROM tag_value WHERE account = ?1 AND key = ?2 LIMIT 1")?;
    Ok(found.exists(params![cx.account, key])?)
}

/// Remembers a key and a value, as far as the account's limits go; the codes are for too many keys, and values.
pub(super) fn register(cx: &Context<'_>, key: &str, value: &str, codes: [&str; 2]) -> Done<()> {
    let [too_many_keys, too_many_values] = codes;
    let mut known = cx.db.prepare_cached("SELECT 1 FROM tag_value WHERE account = ?1 AND key = ?2 AND value = ?3")?;
    if known.exists(params![cx.account, key, value])? {
        return Ok(());
    }
    let values: i64 = cx
        .db
        .prepare_cached("SELECT count(*) FROM tag_value WHERE account = ?1 AND key = ?2")?
        .query_row(params![cx.account, key], |row| row.get(0))?;
    if values >= MAX_REGISTERED {
        return refuse(too_many_values, format!("the key `{key}` has {MAX_REGISTERED} values already"));
    }
    if values == 0 {
        let keys: i64 = cx
            .db
            .prepare_cached("SELECT count(DISTINCT key) FROM tag_value WHERE account = ?1")?
            .query_row([cx.account], |row| row.get(0))?;
        if keys >= MAX_REGISTERED {
            return refuse(too_many_keys, format!("the account has {MAX_REGISTERED} tag keys already"));
        }
    }
    cx.db.prepare_cached("INSERT INTO tag_value VALUES (?1, ?2, ?3)")?.execute(params![cx.account, key, value])?;
    Ok(())
}

/// Puts tags on a new thing.
pub(crate) fn attach(cx: &Context<'_>, resource: i64, region: &str, tags: &BTreeMap<String, String>) -> Done<()> {
    let mut insert = cx.db.prepare_cached(
        "INSERT INTO tag (resource, key, value, account, region) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (resource, key) DO UPDATE SET value = excluded.value",
    )?;
    for (key, value) in tags {
        insert.execute(params![resource, key, value, cx.account, region])?;
    }
    Ok(())
}

/// The tags of a thing.
pub(crate) fn of(db: &rusqlite::Connection, resource: i64) -> Done<Vec<Tag>> {
    let tags = db
        .prepare_cached("SELECT key, value FROM tag WHERE resource = ?1")?
        .query_map([resource], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(tags)
}

/// The tags of instances, by their numbers, which are sorted; neighbours are read in one go.
pub(crate) fn of_instances(db: &rusqlite::Connection, numbers: &[i64]) -> Done<BTreeMap<i64, Vec<Tag>>> {
    let mut all: BTreeMap<i64, Vec<Tag>> = BTreeMap::new();
    let mut statement = db.prepare_cached(
        "SELECT resource, key, value FROM tag WHERE resource BETWEEN ?1 AND ?2 ORDER BY resource, key",
    )?;
    for run in instances::runs(numbers) {
        let mut rows = statement.query(run.map(|n| ids::resource(Kind::Instance, n)))?;
        while let Some(row) = rows.next()? {
            // Between two instances lie images and disks.
            if let (Kind::Instance, n) = ids::of_resource(row.get(0)?) {
                all.entry(n).or_default().push(Tag { key: row.get(1)?, value: row.get(2)? });
            }
        }
    }
    Ok(all)
}

/// The resources of the account in the region that carry one of some values of a key (no values: any).
/// A key that nobody carries is refused (10.1, 10.3: the tag does not exist), and so is one that nothing could carry.
pub(crate) fn carriers(cx: &Context<'_>, region: &str, key: &str, values: Option<&[String]>) -> Done<BTreeSet<i64>> {
    if !legal(key) {
        return refuse("FailedOperation.IllegalTagKey", format!("`{key}` cannot be a tag's key"));
    }
    let mut anybody = cx.db.prepare_cached("SELECT 1 FROM tag WHERE account = ?1 AND key = ?2 LIMIT 1")?;
    if !anybody.exists(params![cx.account, key])? {
        return refuse("InvalidParameterValue.TagKeyNotFound", format!("nothing carries the tag key `{key}`"));
    }
    let mut found = BTreeSet::new();
    let mut any = cx.db.prepare_cached("SELECT resource FROM tag WHERE account = ?1 AND key = ?2 AND region = ?3")?;
    let mut one = cx
        .db
        .prepare_cached("SELECT resource FROM tag WHERE account = ?1 AND key = ?2 AND value = ?4 AND region = ?3")?;
    match values {
        None => {
            for id in any.query_map(params![cx.account, key, region], |row| row.get(0))? {
                found.insert(id?);
            }
        }
        Some(values) => {
            for value in values {
                for id in one.query_map(params![cx.account, key, region, value], |row| row.get(0))? {
                    found.insert(id?);
                }
            }
        }
    }
    Ok(found)
}

/// The resources of the account in the region that carry a value, whatever its key.
pub(crate) fn carriers_of_value(cx: &Context<'_>, region: &str, values: &[String]) -> Done<BTreeSet<i64>> {
    let mut found = BTreeSet::new();
    let mut one = cx.db.prepare_cached("SELECT resource FROM tag WHERE account = ?1 AND value = ?2 AND region = ?3")?;
    for value in values {
        for id in one.query_map(params![cx.account, value, region], |row| row.get(0))? {
            found.insert(id?);
        }
    }
    Ok(found)
}

/// A resource out of its six-part description, `qcs::cvm:<region>:uin/<account>:<prefix>/<id>`; the account may be
/// left out (observed).
pub(super) struct Described {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) prefix: String,
    pub(super) id: String,
}

pub(super) fn described(text: &str) -> Done<Described> {
    let wrong =
        || Refusal::new("InvalidParameterValue.ResourceDescriptionError", format!("`{text}` describes nothing"));
    let parts: Vec<&str> = text.split(':').collect();
    let [qcs, project, service, region, account, resource] = parts.as_slice() else { return Err(wrong()) };
    let (Some(account), Some((prefix, id))) = (account.strip_prefix("uin/"), resource.split_once('/')) else {
        return Err(wrong());
    };
    if *qcs != "qcs" || !project.is_empty() || id.is_empty() || catalog::find_region(region).is_none() {
        return Err(wrong());
    }
    if *service != "cvm" {
        return refuse("InvalidParameter.UnsupportedService", format!("`{service}` takes no tags here"));
    }
    Ok(Described {
        region: (*region).to_owned(),
        account: account.to_owned(),
        prefix: prefix.to_owned(),
        id: id.to_owned(),
    })
}

/// The number of a resource that is there, and the caller's.
pub(super) fn resource_of(cx: &Context<'_>, what: &Described) -> Done<Option<i64>> {
    if !what.account.is_empty() && what.account != uin(cx.account) {
        return Ok(None);
    }
    let kind = match what.prefix.as_str() {
        "image" => Kind::Image,
        "instance" => Kind::Instance,
        "volume" => Kind::Disk,
        _ => return Ok(None),
    };
    let Some(n) = ids::decode(kind, cx.seed, &what.id) else { return Ok(None) };
    let (text, at) = match kind {
        Kind::Image => ("SELECT 1 FROM image WHERE n = ?1 AND account = ?2 AND region = ?3", n),
        Kind::Instance | Kind::Snapshot => ("SELECT 1 FROM instance WHERE n = ?1 AND account = ?2 AND region = ?3", n),
        Kind::Disk if is_left(cx, n)? => ("SELECT 1 FROM disk WHERE n = ?1 AND account = ?2 AND region = ?3", n),
        Kind::Disk => {
            let (instance, place) = ids::disk_place(n);
            if !has_disk(cx, instance, place)? {
                return Ok(None);
            }
            ("SELECT 1 FROM instance WHERE n = ?1 AND account = ?2 AND region = ?3", instance)
        }
    };
    let found = cx.db.prepare_cached(text)?.exists(params![at, cx.account, what.region])?;
    Ok(found.then(|| ids::resource(kind, n)))
}

/// Whether a disk outlived its instance.
fn is_left(cx: &Context<'_>, disk: i64) -> Done<bool> {
    Ok(cx.db.prepare_cached("SELECT 1 FROM disk WHERE n = ?1")?.exists([disk])?)
}

/// Whether an instance has so many disks.
fn has_disk(cx: &Context<'_>, instance: i64, place: usize) -> Done<bool> {
    let Some(machine) = Machine::load(cx.db, instance)? else { return Ok(false) };
    Ok(place <= Spec::load(cx.db, machine.spec_at(cx.now))?.data.len())
}

fn resources(given: Option<Vec<String>>) -> Done<Vec<(String, Described)>> {
    let given = required(given, "ResourceList")?;
    if given.is_empty() {
        return refuse("MissingParameter", "ResourceList is empty");
    }
    if given.len() > MAX_RESOURCES {
        let code = "LimitExceeded.ResourceNumPerRequest";
        return refuse(code, format!("at most {MAX_RESOURCES} resources a request"));
    }
    given.into_iter().map(|text| described(&text).map(|what| (text, what))).collect()
}

/// Checks a key of a request to the tag service.
pub(super) fn check_key(key: &str) -> Done<()> {
    if key.is_empty() {
        return refuse("InvalidParameterValue.TagKeyEmpty", "a tag's key is empty");
    }
    if key.chars().count() > MAX_KEY {
        return refuse("InvalidParameterValue.TagKeyLengthExceeded", format!("a key has at most {MAX_KEY} characters"));
    }
    if !legal(key) {
        return refuse("InvalidParameterValue.TagKeyCharacterIllegal", format!("`{key}` cannot be a tag's key"));
    }
    if reserved(key) {
        return refuse("InvalidParameter.ReservedTagKey", format!("the key `{key}` is the system's"));
    }
    Ok(())
}

/// Checks a value of a request to the tag service.
pub(super) fn check_value(value: &str) -> Done<()> {
    if value.chars().count() > MAX_VALUE {
        let code = "InvalidParameterValue.TagValueLengthExceeded";
        return refuse(code, format!("a value has at most {MAX_VALUE} characters"));
    }
    if !legal(value) {
        return refuse("InvalidParameterValue.TagValueCharacterIllegal", format!("`{value}` cannot be a tag's value"));
    }
    Ok(())
}

pub(super) fn check_count(count: usize, name: &str) -> Done<()> {
    match count {
        0 => refuse("MissingParameter", format!("{name} is empty")),
        1..=MAX_TAGS => Ok(()),
        _ => refuse("LimitExceeded.TagNumPerRequest", format!("at most {MAX_TAGS} tags a request")),
    }
}

pub(crate) fn tag(cx: &mut Context<'_>, r: TagResources) -> Done<TagResourcesAnswer> {
    let resources = resources(r.resource_list)?;
    let given = required(r.tags, "Tags")?;
    check_count(given.len(), "Tags")?;
    let mut tags = BTreeMap::new();
    for one in given {
        let (key, value) = (required(one.tag_key, "TagKey")?, required(one.tag_value, "TagValue")?);
        check_key(&key)?;
        if value.is_empty() {
            return refuse("InvalidParameterValue.TagValueEmpty", format!("the value of `{key}` is empty"));
        }
        check_value(&value)?;
        register(cx, &key, &value, ["LimitExceeded.TagValue"; 2])?;
        if tags.insert(key.clone(), value).is_some() {
            return refuse("InvalidParameterValue.TagKeyDuplicate", format!("the key `{key}` is given twice"));
        }
    }
    let mut failed = Vec::new();
    for (text, what) in resources {
        let resource = match struck_or_found(cx, &text, &what)? {
            Ok(resource) => resource,
            Err(fault) => {
                failed.push(fault);
                continue;
            }
        };
        let mut keys: BTreeSet<String> = of(cx.db, resource)?.into_iter().filter_map(|tag| tag.key).collect();
        keys.extend(tags.keys().cloned());
        if keys.len() > MAX_ATTACHED {
            let message = format!("a resource has at most {MAX_ATTACHED} tags");
            failed.push(FailedResource { resource: text, code: "LimitExceeded.ResourceAttachedTags".into(), message });
            continue;
        }
        attach(cx, resource, &what.region, &tags)?;
    }
    Ok(TagResourcesAnswer { failed_resources: Some(failed), ..TagResourcesAnswer::default() })
}

pub(crate) fn untag(cx: &mut Context<'_>, r: UnTagResources) -> Done<TagResourcesAnswer> {
    let resources = resources(r.resource_list)?;
    let keys = required(r.tag_keys, "TagKeys")?;
    check_count(keys.len(), "TagKeys")?;
    let mut seen = BTreeSet::new();
    for key in &keys {
        check_key(key)?;
        if !seen.insert(key) {
            return refuse("InvalidParameterValue.TagKeyDuplicate", format!("the key `{key}` is given twice"));
        }
    }
    let mut failed = Vec::new();
    for (text, what) in resources {
        let resource = match struck_or_found(cx, &text, &what)? {
            Ok(resource) => resource,
            Err(fault) => {
                failed.push(fault);
                continue;
            }
        };
        for key in &keys {
            cx.db
                .prepare_cached("DELETE FROM tag WHERE resource = ?1 AND key = ?2")?
                .execute(params![resource, key])?;
        }
    }
    Ok(TagResourcesAnswer { failed_resources: Some(failed), ..TagResourcesAnswer::default() })
}

fn struck_or_found(cx: &mut Context<'_>, text: &str, what: &Described) -> Done<Result<i64, FailedResource>> {
    let fault = |code: &str, message: &str| FailedResource {
        resource: text.to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let struck = cx.strike(|injection| matches!(injection, Injection::TagFails { id, .. } if *id == what.id));
    if let Some(Injection::TagFails { code, .. }) = struck {
        return Ok(Err(fault(&code, "injected")));
    }
    // No code is documented for a resource that is not there; this one is common to all services (1.7).
    Ok(resource_of(cx, what)?.ok_or_else(|| fault("ResourceNotFound", "there is no such resource")))
}
