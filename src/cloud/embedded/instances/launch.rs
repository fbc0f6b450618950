//! RunInstances (API text 5.1).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{OptionalExtension as _, params};

use super::charge::{self, Charge};
use super::{End, Machine, Op, Power, ScriptTimes, Spec, disks, names, numbered_by};
use crate::cloud::cvm::wire::answers::RunInstancesAnswer;
use crate::cloud::cvm::wire::requests::RunInstances;
use crate::cloud::cvm::wire::shapes::{InternetAccessible, LoginSettings};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::Content;
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::images::{self, Usable};
use crate::cloud::embedded::machines::LONGEST_MS;
use crate::cloud::embedded::machines::{self, Script};
use crate::cloud::embedded::prices::Hourly;
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::{Injection, LAUNCH_FAILED_LISTED_MS, RECYCLE_BIN_MS};
use crate::cloud::embedded::{db, network, tags};
use crate::model::Millis;
use crate::model::catalog::{self, TypeEntry};

pub(crate) const MAX_COUNT: i64 = 500;
const MAX_NAME: usize = 128;
const MAX_TOKEN: usize = 64;
/// Of user data, decoded.
const MAX_USER_DATA: usize = 16 * 1024;
const MAX_PRIVATE_ADDRESSES: usize = 20;
const MAX_BANDWIDTH: i64 = 200;

/// What a launch asks for, checked.
pub(super) struct Wanted {
    pub(super) zone: String,
    pub(super) count: i64,
    pub(super) kind: &'static TypeEntry,
    pub(super) charge: Charge,
    pub(super) hourly: Hourly,
    pub(super) spec: Spec,
    pub(super) user_data: Option<String>,
    script: Script,
    names: Vec<String>,
    addresses: Vec<Option<String>>,
    placement_group: Option<String>,
    tags: BTreeMap<String, String>,
}

pub(crate) fn run(cx: &mut Context<'_>, mut r: RunInstances) -> Done<RunInstancesAnswer> {
    let digest = blake3::hash(serde_json::to_string(&r)?.as_bytes()).to_hex().to_string();
    if let Some(ids) = remembered(cx, r.client_token.as_deref(), &digest)? {
        return Ok(RunInstancesAnswer { instance_id_set: ids, ..RunInstancesAnswer::default() });
    }
    if let Some(cores) = &r.cpu_topology
        && cores.core_count.is_some() != cores.thread_per_core.is_some()
    {
        let text = "CoreCount and ThreadPerCore go together";
        return refuse("InvalidParameter.LackCoreCountOrThreadPerCore", text);
    }
    let region = cx.region()?.region;
    let token = r.client_token.take().filter(|token| !token.is_empty());
    let dry_run = r.dry_run == Some(true);
    let wanted = check(cx, r, MAX_COUNT)?;
    wanted.charge.room(cx, &wanted.zone, wanted.kind, wanted.count)?;
    if dry_run {
        return cx.dry_run();
    }
    let Wanted { zone, count, kind, charge, hourly: _, spec, user_data, script, names, addresses, .. } = wanted;
    let spec_number = spec.insert(cx.db, user_data.as_deref())?;
    let first = db::take_numbers(cx.db, Kind::Instance, count)?;
    let mut ids = Vec::with_capacity(names.len());
    let mut made = 0;
    for (((n, ordinal), name), address) in (first..).zip(0..).zip(names).zip(addresses) {
        let until = cx.now + cx.takes(cx.settings.pace.launch_ms, n);
        let fails = cx.fails_later(|i| matches!(i, Injection::LaunchFails { name: wanted } if *wanted == name));
        let (ends_ms, ends_into, gone_ms) = match ending(cx, &spec, &name, until) {
            _ if fails => (None, End::Gone, Some(until + LAUNCH_FAILED_LISTED_MS)),
            Some((ends, into, gone)) => (Some(ends), into, Some(gone)),
            None => (None, End::Gone, None),
        };
        made += i64::from(!fails);
        let machine = Machine {
            n,
            account: cx.account,
            region: region.to_owned(),
            zone: zone.clone(),
            name,
            spec: spec_number,
            next_spec: None,
            counted: if fails { 0 } else { charge.units(kind) },
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
            gone_ms,
            address,
            hidden: cx.lists_late(),
            ordinal,
            ends_ms,
            ends_into,
            placement_group: wanted.placement_group.clone().filter(|_| !fails),
        };
        machine.insert(cx.db)?;
        let id = machine.id(cx.seed);
        tags::attach(cx, ids::resource(Kind::Instance, n), region, &wanted.tags)?;
        ids.push(id);
    }
    charge.take(cx, &zone, kind, made)?;
    if let Some(token) = token {
        cx.db
            .prepare_cached("INSERT INTO token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![cx.account, region, token, digest, first, count, cx.now])?;
    }
    Ok(RunInstancesAnswer { instance_id_set: ids, ..RunInstancesAnswer::default() })
}

/// When and how an instance goes away by itself, and when it is gone then.
fn ending(cx: &mut Context<'_>, spec: &Spec, name: &str, running: Millis) -> Option<(Millis, End, Millis)> {
    if spec.charge == charge::SPOT {
        let struck = cx.strike(|i| matches!(i, Injection::TakenBack { name: wanted, .. } if wanted == name));
        let after = match struck {
            Some(Injection::TakenBack { after_ms, .. }) => Some(after_ms),
            _ => cx.settings.spot_taken_back_after_ms,
        };
        let ends = running + after?.clamp(0, LONGEST_MS);
        return Some((ends, End::Gone, ends + cx.settings.pace.terminate_ms));
    }
    let ends = charge::end(spec, cx.now)?;
    Some((ends, End::Bin, ends.saturating_add(RECYCLE_BIN_MS)))
}

/// Checks what a launch asks for, all but quotas.
pub(super) fn check(cx: &Context<'_>, r: RunInstances, most: i64) -> Done<Wanted> {
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
    if !(1..=most).contains(&count) {
        return refuse("InvalidParameterValue.Range", format!("InstanceCount is 1 to {most}"));
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
    let charge =
        charge::read(region.region, r.instance_charge_type, r.instance_charge_prepaid, r.instance_market_options)?;
    let system = disks::system_disk(r.system_disk.unwrap_or_default(), &image_id, &image)?;
    let data = disks::data_disks(cx, r.data_disks.unwrap_or_default(), &charge.word)?;
    let addresses = r.virtual_private_cloud.as_ref().and_then(|vpc| vpc.private_ip_addresses.clone());
    let addresses = private_addresses(cx, addresses.unwrap_or_default(), count)?;
    let (vpc, subnet) = network::place(cx, r.virtual_private_cloud.as_ref(), &zone)?;
    let groups = network::groups(cx, r.security_group_ids, "InvalidParameterValue.LimitExceeded")?;
    let internet = internet(r.internet_accessible.unwrap_or_default(), &charge)?;
    let keys = check_login(cx, &r.login_settings.unwrap_or_default(), &image)?;
    let host_name = r.host_name.map(|name| names::host_pattern(name, count, &image.content)).transpose()?;
    let user_data = r.user_data.filter(|text| !text.is_empty());
    check_user_data(user_data.as_deref(), "InvalidParameterValue.TooLarge")?;
    let name = r.instance_name.filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return refuse("InvalidInstanceName.TooLong", format!("a name has at most {MAX_NAME} characters"));
    }
    let names = names::names(name.as_deref(), count);
    let placement_group = network::placement_group(cx, r.disaster_recover_group_ids, count)?;
    let cam_role = r.cam_role_name.filter(|name| !name.is_empty());
    if let Some(role) = &cam_role {
        network::check_role(cx, role)?;
    }
    let tags = tags::specified(cx, r.tag_specification, "instance")?;
    let script = Script::of(user_data.as_deref());
    let spec = Spec {
        instance_type: kind.name.to_owned(),
        content: image.content.after(&image_id, user_data.as_deref(), &script),
        image: image_id,
        charge: charge.word.clone(),
        renew: charge.renew.clone(),
        months: charge.months,
        max_price: charge.max_price.clone(),
        system,
        data,
        vpc,
        subnet,
        groups,
        keys,
        internet,
        protected: r.disable_api_termination.unwrap_or(false),
        host_name,
        cam_role,
        encrypted: image.encrypted,
        script: ScriptTimes::from(&script),
    };
    let hourly = spec.hourly(region.region, kind);
    charge.check_bid(&hourly)?;
    Ok(Wanted { zone, count, kind, charge, hourly, spec, user_data, script, names, addresses, placement_group, tags })
}

/// A token, where one is given (1.10).
pub(super) fn check_token(token: Option<&str>) -> Done<Option<&str>> {
    let token = token.filter(|token| !token.is_empty());
    if token.is_some_and(|token| token.len() > MAX_TOKEN || !token.is_ascii()) {
        return refuse("InvalidClientToken.TooLong", format!("a token has at most {MAX_TOKEN} ASCII characters"));
    }
    Ok(token)
}

/// The ids that a token gave before (1.10).
fn remembered(cx: &Context<'_>, token: Option<&str>, digest: &str) -> Done<Option<Vec<String>>> {
    let Some(token) = check_token(token)? else { return Ok(None) };
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
    let template = r.launch_template.as_ref().and_then(|template| template.launch_template_id.as_deref());
    some(
        template.is_some_and(|id| !ids::well_formed("lt-", id)),
        "InvalidParameterValue.LaunchTemplateIdMalformed",
        "an id of a launch template is lt-xxxxxxxx",
    )?;
    some(
        r.launch_template.is_some(),
        "InvalidParameterValue.LaunchTemplateIdNotExisted",
        "there are no launch templates here",
    )?;
    some(
        placement.is_some_and(|p| p.host_ids.iter().flatten().any(|id| !ids::well_formed("host-", id))),
        "InvalidHostId.Malformed",
        "a dedicated host is host-xxxxxxxx",
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
    let clustered = r.dedicated_cluster_id.is_some()
        || r.system_disk.as_ref().is_some_and(|disk| disk.cdc_id.is_some())
        || r.data_disks.iter().flatten().any(|disk| disk.cdc_id.is_some());
    some(clustered, "InvalidParameter.CdcNotSupported", "there are no dedicated clusters here")?;
    some(r.hpc_cluster_id.is_some(), "ResourceNotFound.HpcCluster", "there are no HPC clusters here")?;
    some(listed(&r.chc_ids), "InvalidParameterValue.ChcHostsNotFound", "there are no CHC servers here")?;
    some(
        r.network_interfaces.is_some(),
        "InvalidParameterValue.InstanceTypeNotSupportElasticNetworks",
        "NetworkInterfaces is not for these types",
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
    some(beta, "UnsupportedOperation", "the embedded cloud has no Metadata, CpuTopology and partitions")
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
        if is_taken(cx, text)? {
            return refuse("VpcIpIsUsed", format!("{text} is taken"));
        }
    }
    if asked.iter().collect::<BTreeSet<_>>().len() < asked.len() {
        return refuse("InvalidParameterValue.Duplicate", "an address is given twice");
    }
    Ok(asked.into_iter().map(Some).collect())
}

/// Whether an instance has a private address: one that was asked for, or the one out of its number.
fn is_taken(cx: &Context<'_>, address: &str) -> Done<bool> {
    let region = cx.region()?.region;
    let mut asked =
        cx.db.prepare_cached("SELECT 1 FROM instance WHERE address = ?1 AND account = ?2 AND region = ?3")?;
    if asked.exists(params![address, cx.account, region])? {
        return Ok(true);
    }
    let Some(number) = numbered_by(address) else { return Ok(false) };
    let holder = Machine::load(cx.db, number)?;
    Ok(holder.is_some_and(|one| one.address.is_none() && one.account == cx.account && one.region == region))
}

/// Access from the internet; how it is paid for follows the instance, where that is not said (3.7).
fn internet(mut asked: InternetAccessible, charge: &Charge) -> Done<InternetAccessible> {
    let kinds = ["BANDWIDTH_PREPAID", "TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE"];
    let fallback = if charge.word == charge::PREPAID { "BANDWIDTH_PREPAID" } else { "TRAFFIC_POSTPAID_BY_HOUR" };
    let kind = asked.internet_charge_type.get_or_insert_with(|| fallback.to_owned());
    if !kinds.contains(&kind.as_str()) {
        return refuse("InvalidParameterValue", format!("`{kind}` is no InternetChargeType"));
    }
    if let Some(id) = &asked.bandwidth_package_id {
        if !ids::well_formed("bwp-", id) {
            let code = "InvalidParameterValue.BandwidthPackageIdMalformed";
            return refuse(code, format!("`{id}` is no bandwidth package id: bwp-xxxxxxxx"));
        }
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

impl Content {
    /// What is on a machine that was made from an image, and ran user data.
    pub(crate) fn after(&self, image: &str, user_data: Option<&str>, script: &Script) -> Self {
        let mut content = self.clone();
        content.images.push(image.to_owned());
        content.provisioned.extend(user_data.map(machines::digest));
        content.baked = script.bakes(&self.baked);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_follow_the_rules_of_their_system() {
        assert!(good_password("abcdefg1", false));
        assert!(!good_password("abcdefgh", false));
        assert!(!good_password("abcdefg1", true));
        assert!(good_password("Abcdefgh1234", true));
        assert!(!good_password("abcdefg1 ", false));
    }
}
