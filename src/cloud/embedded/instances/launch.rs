//! RunInstances (API text 5.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{OptionalExtension as _, params};

use super::{DiskSpec, Machine, Op, Power, Spec};
use crate::cloud::cvm::wire::answers::RunInstancesAnswer;
use crate::cloud::cvm::wire::requests::RunInstances;
use crate::cloud::cvm::wire::shapes::{DataDisk, InternetAccessible, LoginSettings, SystemDisk};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::Content;
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::images::{self, Usable};
use crate::cloud::embedded::machines::{self, Script};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::{Injection, LAUNCH_FAILED_LISTED_MS};
use crate::cloud::embedded::{db, network, quotas, tags};
use crate::model::catalog::{self, TypeEntry};

const MAX_COUNT: i64 = 500;
const MAX_NAME: usize = 128;
const MAX_TOKEN: usize = 64;
/// Of user data, decoded.
const MAX_USER_DATA: usize = 16 * 1024;
const MAX_DATA_DISKS: usize = 21;
const MAX_PRIVATE_ADDRESSES: usize = 20;
const MAX_BANDWIDTH: i64 = 200;
const DEFAULT_SYSTEM_GIB: i64 = 50;
const SYSTEM_GIB: std::ops::RangeInclusive<i64> = 20..=2048;
const DATA_GIB: std::ops::RangeInclusive<i64> = 10..=32_000;
const DISK_TYPES: [&str; 6] = ["CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD", "CLOUD_HSSD", "CLOUD_TSSD"];
const DEFAULT_DISK: &str = "CLOUD_PREMIUM";
const DEFAULT_NAME: &str = "未命名";
const MONTHS: [i64; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36, 48];

pub(crate) fn run(cx: &mut Context<'_>, r: RunInstances) -> Done<RunInstancesAnswer> {
    let digest = blake3::hash(serde_json::to_string(&r)?.as_bytes()).to_hex().to_string();
    if let Some(ids) = remembered(cx, r.client_token.as_deref(), &digest)? {
        return Ok(RunInstancesAnswer { instance_id_set: ids, ..RunInstancesAnswer::default() });
    }
    refuse_what_is_not_here(&r)?;
    let region = cx.region()?;
    let placement = required(r.placement, "Placement")?;
    let zone = required(placement.zone, "Placement.Zone")?;
    let Some(known) = region.zones.iter().find(|known| known.zone == zone) else {
        return refuse("InvalidZone.MismatchRegion", format!("there is no zone `{zone}` in {}", region.region));
    };
    if !known.available {
        return refuse("ResourceInsufficient.AvailabilityZoneSoldOut", format!("{zone} is sold out"));
    }
    if placement.project_id.is_some_and(|id| id != 0) {
        return refuse("InvalidProjectId.NotFound", "there is only the default project, 0");
    }
    let count = r.instance_count.unwrap_or(1);
    if !(1..=MAX_COUNT).contains(&count) {
        return refuse("InvalidParameterValue.Range", format!("InstanceCount is 1 to {MAX_COUNT}"));
    }
    if r.min_count.is_some_and(|least| !(1..=count).contains(&least)) {
        return refuse("InvalidParameterValue.InvalidParameterMinCount", "MinCount is 1 to InstanceCount");
    }
    let image_id = required(r.image_id, "ImageId")?;
    let image = images::usable(cx, &image_id)?;
    let fallback = if image.content.architecture == "arm" { "SR1.MEDIUM2" } else { "S5.SMALL1" };
    let kind = known_type(r.instance_type.as_deref().unwrap_or(fallback))?;
    if !image.content.fits(kind) {
        let text = format!("`{image_id}` does not run on {}", kind.name);
        return refuse("InvalidParameterValue.InvalidImageForGivenInstanceType", text);
    }
    let charge = r.instance_charge_type.unwrap_or_else(|| "POSTPAID_BY_HOUR".to_owned());
    let (mut renew, mut months) = (None, None);
    match charge.as_str() {
        "POSTPAID_BY_HOUR" => {}
        "PREPAID" => {
            let prepaid = required(r.instance_charge_prepaid, "InstanceChargePrepaid")?;
            let period = required(prepaid.period, "InstanceChargePrepaid.Period")?;
            if !MONTHS.contains(&period) && period != 60 {
                return refuse("InvalidPeriod", "Period is 1 to 12, 24, 36, 48 or 60 months");
            }
            months = Some(period);
            renew = Some(prepaid.renew_flag.unwrap_or_else(|| "NOTIFY_AND_MANUAL_RENEW".to_owned()));
        }
        "SPOTPAID" => {
            return refuse("UnsupportedOperation.SpotUnsupportedRegion", "there are no spot instances here");
        }
        other => return refuse("InvalidParameterValue", format!("`{other}` is not sold here")),
    }
    let system = system_disk(r.system_disk.unwrap_or_default(), &image_id, &image)?;
    let data = data_disks(cx, r.data_disks.unwrap_or_default(), &charge)?;
    let addresses = r.virtual_private_cloud.as_ref().and_then(|vpc| vpc.private_ip_addresses.clone());
    let addresses = private_addresses(cx, addresses.unwrap_or_default(), count)?;
    let (vpc, subnet) = network::place(cx, r.virtual_private_cloud.as_ref(), &zone)?;
    let groups = network::groups(cx, r.security_group_ids, "InvalidParameterValue.LimitExceeded")?;
    let internet = internet(r.internet_accessible.unwrap_or_default())?;
    let keys = check_login(cx, &r.login_settings.unwrap_or_default(), &image)?;
    if let Some(name) = &r.host_name {
        check_host_name(name, &image.content, true)?;
    }
    let user_data = r.user_data.filter(|text| !text.is_empty());
    check_user_data(user_data.as_deref(), "InvalidParameterValue.TooLarge")?;
    let name = r.instance_name.filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return refuse("InvalidInstanceName.TooLong", format!("a name has at most {MAX_NAME} characters"));
    }
    let names = names(name.as_deref(), count);
    let tags = tags::specified(cx, r.tag_specification, "instance")?;
    if charge == "POSTPAID_BY_HOUR" {
        let most = i64::from(cx.settings.limits.instances_per_zone);
        let used = quotas::instances_used(cx, &zone)?;
        if used + count > most {
            let text = format!("{used} of {most} pay-as-you-go instances of {zone} are used, {count} more asked for");
            return refuse("LimitExceeded.InstanceQuota", text);
        }
    }
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    let script = Script::of(user_data.as_deref());
    let spec = Spec {
        instance_type: kind.name.to_owned(),
        content: image.content.after(&image_id, user_data.as_deref().map(machines::digest)),
        image: image_id,
        charge,
        renew,
        months,
        system,
        data,
        vpc,
        subnet,
        groups,
        keys,
        internet,
        protected: r.disable_api_termination.unwrap_or(false),
        host_name: r.host_name,
        script: script.into(),
    };
    let spec_number = spec.insert(cx.db, user_data.as_deref())?;
    let first = db::take_numbers(cx.db, Kind::Instance, count)?;
    let mut ids = Vec::with_capacity(names.len());
    let mut counted_now = 0;
    for ((n, name), address) in (first..).zip(names).zip(addresses) {
        let until = cx.now + cx.takes(cx.settings.pace.launch_ms, n);
        let fails = cx.strike(|i| matches!(i, Injection::LaunchFails { name: wanted } if *wanted == name)).is_some();
        let counted = !fails && spec.charge == "POSTPAID_BY_HOUR";
        counted_now += i64::from(counted);
        let machine = Machine {
            n,
            account: cx.account,
            region: region.region.to_owned(),
            zone: zone.clone(),
            name,
            spec: spec_number,
            next_spec: None,
            counted,
            created_ms: cx.now,
            op: Op::Run,
            op_start: cx.now,
            op_until: until,
            op_error: fails.then(|| "no host could take the instance".to_owned()),
            op_request: cx.request_id.clone(),
            was: Power::Off,
            becomes: Power::On,
            boot_ms: Some(until),
            off_ms: script.off_at(until),
            gone_ms: fails.then_some(until + LAUNCH_FAILED_LISTED_MS),
            address,
            hidden: cx.settings.empty_first_read,
        };
        machine.insert(cx.db)?;
        let id = machine.id(cx.seed);
        tags::attach(cx, ids::resource(Kind::Instance, n), region.region, &tags)?;
        ids.push(id);
    }
    cx.db
        .prepare_cached(
            "INSERT INTO usage VALUES (?1, ?2, ?3) ON CONFLICT (account, zone) DO UPDATE SET used = used + excluded.used",
        )?
        .execute(params![cx.account, zone, counted_now])?;
    if let Some(token) = r.client_token.filter(|token| !token.is_empty()) {
        cx.db.prepare_cached("INSERT INTO token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            cx.account,
            region.region,
            token,
            digest,
            first,
            count,
            cx.now
        ])?;
    }
    Ok(RunInstancesAnswer { instance_id_set: ids, ..RunInstancesAnswer::default() })
}

/// The ids that a token gave before (1.10).
fn remembered(cx: &Context<'_>, token: Option<&str>, digest: &str) -> Done<Option<Vec<String>>> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    if token.len() > MAX_TOKEN || !token.is_ascii() {
        return refuse("InvalidClientToken.TooLong", format!("a token has at most {MAX_TOKEN} ASCII characters"));
    }
    let found: Option<(String, i64, i64)> = cx
        .db
        .prepare_cached("SELECT digest, first, count FROM token WHERE account = ?1 AND region = ?2 AND token = ?3")?
        .query_row(params![cx.account, cx.region()?.region, token], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((before, first, count)) = found else { return Ok(None) };
    if cx.settings.token_reuse_refused && before != digest {
        return refuse("InvalidParameterCombination", "the token was used with other parameters");
    }
    Ok(Some((first..first + count).map(|n| ids::encode(Kind::Instance, cx.seed, n)).collect()))
}

/// What this cloud does not have, by the code that says so.
fn refuse_what_is_not_here(r: &RunInstances) -> Done<()> {
    let placement = r.placement.as_ref();
    let some = |given: bool, code: &str, what: &str| if given { refuse(code, what) } else { Ok(()) };
    let listed = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    some(
        r.launch_template.is_some(),
        "InvalidParameterValue.LaunchTemplateIdNotExisted",
        "there are no launch templates here",
    )?;
    some(
        placement.is_some_and(|p| listed(&p.host_ids)),
        "InvalidHostId.NotFound",
        "there are no dedicated hosts here",
    )?;
    some(
        placement.is_some_and(|p| listed(&p.dedicated_resource_pack_ids)),
        "InvalidParameterValue.DedicatedResourcePackIdsNotFound",
        "there are no dedicated resource packs here",
    )?;
    some(r.dedicated_cluster_id.is_some(), "InvalidParameter.CdcNotSupported", "there are no dedicated clusters here")?;
    some(r.hpc_cluster_id.is_some(), "ResourceNotFound.HpcCluster", "there are no HPC clusters here")?;
    some(listed(&r.chc_ids), "InvalidParameterValue.ChcHostsNotFound", "there are no CHC servers here")?;
    some(
        listed(&r.disaster_recover_group_ids),
        "FailedOperation.DisasterRecoverGroupNotFound",
        "there are no placement groups here",
    )?;
    some(
        r.network_interfaces.is_some(),
        "InvalidParameterValue.InstanceTypeNotSupportElasticNetworks",
        "NetworkInterfaces is not for these types",
    )?;
    some(
        r.cam_role_name.as_ref().is_some_and(|name| !name.is_empty()),
        "AuthFailure.CamRoleNameAuthenticateFailed",
        "there are no CAM roles here",
    )?;
    some(
        r.enable_jumbo_frame == Some(true),
        "UnsupportedOperation.InstanceTypeNotSupportJumboFrame",
        "no type here has jumbo frames",
    )?;
    some(
        r.action_timer.is_some(),
        "UnsupportedOperation.NotSupportImportInstancesActionTimer",
        "there are no scheduled actions here",
    )?;
    let beta = r.metadata.is_some() || r.cpu_topology.is_some() || r.partition_number.is_some();
    let spot = r.instance_market_options.is_some();
    some(beta || spot, "UnsupportedOperation", "the embedded cloud has no Metadata, CpuTopology, partitions and spot")
}

/// A type of the catalogue.
pub(crate) fn known_type(name: &str) -> Done<&'static TypeEntry> {
    if let Some(entry) = catalog::find_type(name) {
        return Ok(entry);
    }
    match name.split_once('.') {
        Some((family, size)) if !family.is_empty() && !size.is_empty() => {
            refuse("InvalidParameterValue.InstanceTypeNotFound", format!("there is no type `{name}`"))
        }
        Some(_) | None => refuse("InvalidInstanceType.Malformed", format!("`{name}` is no instance type")),
    }
}

/// The size of a system disk.
pub(crate) fn check_system_size(size: i64) -> Done<()> {
    if SYSTEM_GIB.contains(&size) {
        return Ok(());
    }
    let text = format!("a system disk has {} to {} GiB", SYSTEM_GIB.start(), SYSTEM_GIB.end());
    refuse("InvalidParameterValue.Range", text)
}

fn disk_kind(asked: Option<String>) -> Done<String> {
    let kind = asked.unwrap_or_else(|| DEFAULT_DISK.to_owned());
    if DISK_TYPES.contains(&kind.as_str()) {
        return Ok(kind);
    }
    refuse("InvalidParameterValue", format!("there are no disks of the kind `{kind}` here"))
}

fn system_disk(asked: SystemDisk, image_id: &str, image: &Usable) -> Done<DiskSpec> {
    if asked.encrypt == Some(true) || asked.kms_key_id.is_some() {
        return refuse("UnsupportedOperation.InvalidRegionDiskEncrypt", "there are no encrypted disks here");
    }
    let size = asked.disk_size.unwrap_or(DEFAULT_SYSTEM_GIB.max(image.size));
    check_system_size(size)?;
    if size < image.size {
        return refuse("InvalidParameterValue", format!("`{image_id}` needs a system disk of {} GiB", image.size));
    }
    Ok(DiskSpec { kind: disk_kind(asked.disk_type)?, size, name: disk_name(asked.disk_name)?, keep: false })
}

fn disk_name(name: Option<String>) -> Done<Option<String>> {
    if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return refuse("InvalidParameterValue.TooLarge", format!("a disk's name has at most {MAX_NAME} characters"));
    }
    Ok(name)
}

fn data_disks(cx: &Context<'_>, asked: Vec<DataDisk>, charge: &str) -> Done<Vec<DiskSpec>> {
    if asked.len() > MAX_DATA_DISKS {
        return refuse("InvalidParameterValue.LimitExceeded", format!("at most {MAX_DATA_DISKS} data disks"));
    }
    let mut disks = Vec::with_capacity(asked.len());
    for disk in asked {
        if disk.encrypt == Some(true) || disk.kms_key_id.is_some() {
            return refuse("UnsupportedOperation.InvalidRegionDiskEncrypt", "there are no encrypted disks here");
        }
        let size = required(disk.disk_size, "DataDisks.DiskSize")?;
        if size == 0 {
            continue;
        }
        let kind = disk_kind(disk.disk_type)?;
        if !DATA_GIB.contains(&size) {
            let text = format!("a data disk has {} to {} GiB", DATA_GIB.start(), DATA_GIB.end());
            return refuse("InvalidParameterValue.Range", text);
        }
        if size % 10 != 0 {
            return refuse("InvalidParameterValue", "the size of a data disk is a multiple of 10 GiB");
        }
        if kind == "CLOUD_SSD" && size < 100 {
            let text = "a CLOUD_SSD data disk has at least 100 GiB";
            return refuse("InvalidParameterValue.CloudSsdDataDiskSizeTooSmall", text);
        }
        if let Some(id) = disk.snapshot_id {
            if !ids::well_formed("snap-", &id) {
                return refuse("InvalidParameterValue.SnapshotIdMalformed", format!("`{id}` is no snapshot id"));
            }
            let Some(snapshot) = images::capture::snapshot(cx, &id)? else {
                return refuse("InvalidParameter.SnapshotNotFound", format!("there is no snapshot `{id}`"));
            };
            if snapshot.size > size {
                let code = "FailedOperation.SnapshotSizeLargerThanDataSize";
                return refuse(code, format!("the snapshot `{id}` has {} GiB", snapshot.size));
            }
        }
        let keep = disk.delete_with_instance == Some(false);
        if keep && charge != "POSTPAID_BY_HOUR" {
            return refuse("InvalidParameterValue", "DeleteWithInstance is for pay-as-you-go disks");
        }
        disks.push(DiskSpec { kind, size, name: disk_name(disk.disk_name)?, keep });
    }
    Ok(disks)
}

/// One address an instance, or none at all.
fn private_addresses(cx: &Context<'_>, asked: Vec<String>, count: i64) -> Done<Vec<Option<String>>> {
    let wanted = usize::try_from(count).unwrap_or(1);
    if asked.is_empty() {
        return Ok(vec![None; wanted]);
    }
    if asked.len() > MAX_PRIVATE_ADDRESSES {
        let text = format!("at most {MAX_PRIVATE_ADDRESSES} private addresses");
        return refuse("InvalidParameterValue.LimitExceeded", text);
    }
    if asked.len() != wanted {
        return refuse("InvalidParameterCombination", "there must be one private address for each instance");
    }
    for text in &asked {
        if text.parse::<std::net::Ipv4Addr>().is_err() {
            return refuse("InvalidParameter.InvalidIpFormat", format!("`{text}` is no address"));
        }
        let mut taken =
            cx.db.prepare_cached("SELECT 1 FROM instance WHERE address = ?1 AND account = ?2 AND region = ?3")?;
        if taken.exists(params![text, cx.account, cx.region()?.region])? {
            return refuse("VpcIpIsUsed", format!("{text} is taken"));
        }
    }
    Ok(asked.into_iter().map(Some).collect())
}

fn internet(mut asked: InternetAccessible) -> Done<InternetAccessible> {
    let kinds = ["BANDWIDTH_PREPAID", "TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE"];
    let kind = asked.internet_charge_type.get_or_insert_with(|| "TRAFFIC_POSTPAID_BY_HOUR".to_owned());
    if !kinds.contains(&kind.as_str()) {
        return refuse("InvalidParameterValue", format!("`{kind}` is no InternetChargeType"));
    }
    if let Some(id) = &asked.bandwidth_package_id {
        return refuse("InvalidParameterValue.BandwidthPackageIdNotFound", format!("there is no package `{id}`"));
    }
    let bandwidth = *asked.internet_max_bandwidth_out.get_or_insert(0);
    if !(0..=MAX_BANDWIDTH).contains(&bandwidth) {
        return refuse("InvalidParameterValue.Range", format!("the bandwidth is 0 to {MAX_BANDWIDTH} Mbps"));
    }
    if bandwidth == 0 && asked.public_ip_assigned == Some(true) {
        return refuse("InvalidParameterCombination", "a public address needs bandwidth");
    }
    asked.public_ip_assigned.get_or_insert(bandwidth > 0);
    Ok(asked)
}

/// How people log in (3.8): the key pairs.
pub(crate) fn check_login(cx: &Context<'_>, asked: &LoginSettings, image: &Usable) -> Done<Vec<String>> {
    let keys = asked.key_ids.clone().unwrap_or_default();
    let keep = match asked.keep_image_login.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return refuse("InvalidParameterValue", "KeepImageLogin is \"true\" or \"false\""),
    };
    if keep && !keys.is_empty() {
        return refuse("InvalidParameter.ParameterConflict", "KeyIds and KeepImageLogin exclude each other");
    }
    if asked.password.is_some() && (keep || !keys.is_empty()) {
        return refuse("InvalidParameterCombination", "Password goes with neither KeyIds nor KeepImageLogin");
    }
    if keep && image.public {
        return refuse("InvalidParameterValue", "KeepImageLogin is for custom and shared images");
    }
    if let Some(password) = &asked.password
        && !good_password(password, image.content.is_windows())
    {
        return refuse("InvalidParameterValue.InvalidPassword", "the password is too simple, too short or too long");
    }
    if !keys.is_empty() && image.content.is_windows() {
        return refuse("UnsupportedOperation.KeyPairUnsupportedWindows", "Windows takes no key pair");
    }
    network::keys(cx, keys)
}

fn good_password(text: &str, windows: bool) -> bool {
    const SYMBOLS: &str = "()`~!@#$%^&*-+=|{}[]:;',.?/";
    let kinds: [fn(char) -> bool; 4] =
        [|c| c.is_ascii_lowercase(), |c| c.is_ascii_uppercase(), |c| c.is_ascii_digit(), |c| SYMBOLS.contains(c)];
    let (least, classes) = if windows { (12, 3) } else { (8, 2) };
    (least..=30).contains(&text.len())
        && text.chars().all(|c| kinds.iter().any(|kind| kind(c)))
        && kinds.iter().filter(|kind| text.chars().any(**kind)).count() >= classes
}

/// Base64 of at most 16 KB (5.1).
pub(crate) fn check_user_data(text: Option<&str>, too_large: &str) -> Done<()> {
    let Some(text) = text else { return Ok(()) };
    match STANDARD.decode(text) {
        Err(_) => refuse("InvalidParameterValue.InvalidUserDataFormat", "UserData is not Base64"),
        Ok(bytes) if bytes.len() > MAX_USER_DATA => refuse(too_large, "UserData has at most 16 KB"),
        Ok(_) => Ok(()),
    }
}

/// Rules of host names (5.1).
pub(crate) fn check_host_name(name: &str, content: &Content, patterns: bool) -> Done<()> {
    let bare = if patterns { without_patterns(name) } else { name.to_owned() };
    let part = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !text.contains("--")
    };
    let ends = |c: char| c == '-' || c == '.';
    let good = if content.is_windows() {
        (2..=15).contains(&bare.len()) && part(&bare) && !bare.chars().all(|c| c.is_ascii_digit())
    } else {
        (2..=60).contains(&bare.len()) && bare.split('.').all(part)
    };
    if good && !bare.starts_with(ends) && !bare.ends_with(ends) {
        return Ok(());
    }
    refuse("InvalidParameterValue.IllegalHostName", format!("`{name}` cannot be a host name"))
}

fn without_patterns(name: &str) -> String {
    let numbered = numbered_name(name, 0).unwrap_or_else(|| name.to_owned());
    numbered.replace("{IP}", "10-0-0-1")
}

/// The names of a launch: patterns number them, else 1, 2, … is appended where there are several.
fn names(name: Option<&str>, count: i64) -> Vec<String> {
    let Some(name) = name else { return (0..count).map(|_| DEFAULT_NAME.to_owned()).collect() };
    (0..count)
        .map(|n| match numbered_name(name, n) {
            Some(name) => name,
            None if count > 1 => format!("{name}{}", n + 1),
            None => name.to_owned(),
        })
        .collect()
}

/// The name of the `n`th instance, where there are patterns `{R:x}` or `{R:x,F:y}` in it.
fn numbered_name(name: &str, n: i64) -> Option<String> {
    let mut rest = name;
    let mut text = String::new();
    let mut found = false;
    while let Some(start) = rest.find("{R:") {
        let Some(length) = rest[start..].find('}') else { break };
        let inner = &rest[start + 3..start + length];
        let (first, width) = match inner.split_once(",F:") {
            Some((first, width)) => (first.parse::<i64>(), width.parse::<usize>().ok().filter(|width| *width <= 8)),
            None => (inner.parse::<i64>(), Some(0)),
        };
        text.push_str(&rest[..start]);
        match (first, width) {
            (Ok(first), Some(width)) if first >= 0 => {
                found = true;
                text.push_str(&format!("{:0width$}", first.saturating_add(n)));
            }
            _ => text.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    text.push_str(rest);
    found.then_some(text)
}

impl Content {
    /// What is on a machine that was made from an image, and ran user data.
    pub(crate) fn after(&self, image: &str, digest: Option<String>) -> Self {
        let mut content = self.clone();
        content.images.push(image.to_owned());
        content.provisioned.extend(digest);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_number_and_else_a_suffix_does() {
        assert_eq!(names(Some("web-{R:3}"), 2), ["web-3", "web-4"]);
        assert_eq!(names(Some("w{R:9,F:3}-{R:1}"), 2), ["w009-1", "w010-2"]);
        assert_eq!(names(Some("web"), 2), ["web1", "web2"]);
        assert_eq!(names(Some("web"), 1), ["web"]);
        assert_eq!(names(Some("{R:x}"), 1), ["{R:x}"]);
        assert_eq!(names(None, 2), [DEFAULT_NAME, DEFAULT_NAME]);
    }

    #[test]
    fn passwords_follow_the_rules_of_their_system() {
        assert!(good_password("abcdefg1", false));
        assert!(!good_password("abcdefgh", false));
        assert!(!good_password("abcdefg1", true));
        assert!(good_password("Abcdefgh1234", true));
        assert!(!good_password("abcdefg1 ", false));
    }
}
