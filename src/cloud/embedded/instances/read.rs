//! DescribeInstances, DescribeInstancesStatus, DescribeInstancesAttributes (API text 5.2 and 5.3).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rusqlite::params;

use super::act::{MAX_IDS, check_count};
use super::{Machine, Power, Spec, State, charge, dotted, number, user_data};
use crate::cloud::cvm::wire::answers::{
    DescribeInstancesAnswer, DescribeInstancesAttributesAnswer, DescribeInstancesStatusAnswer,
};
use crate::cloud::cvm::wire::requests::{DescribeInstances, DescribeInstancesAttributes, DescribeInstancesStatus};
use crate::cloud::cvm::wire::shapes::{
    Attributes, DataDisk, Filter, Instance, InstanceAttributes, InstanceStatus, InternetAccessible, LoginSettings,
    Placement, SystemDisk, Tag, VirtualPrivateCloud,
};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::filters::{self, Asked};
use crate::cloud::embedded::ids::{self, Kind, mix, well_formed};
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::LISTED_LATE_MS;
use crate::cloud::embedded::{tags, time_text};
use crate::model::catalog;

const FILTERS: [&str; 20] = [
    "zone",
    "project-id",
    "host-id",
    "dedicated-cluster-id",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "uuid",
    "security-group-id",
    "instance-name",
    "instance-charge-type",
    "instance-state",
    "private-ip-address",
    "public-ip-address",
    "ipv6-address",
    "tag-key",
    "tag-value",
    "tag:",
    "creation-start-time",
    "creation-end-time",
];
const MAX_VALUES: usize = 5;
const LIMIT_CODE: &str = "InvalidParameterValue.LimitExceeded";

pub(crate) fn describe(cx: &mut Context<'_>, r: DescribeInstances) -> Done<DescribeInstancesAnswer> {
    let page = filters::page(r.offset, r.limit, LIMIT_CODE)?;
    let by_ids = r.instance_ids.as_ref().is_some_and(|ids| !ids.is_empty());
    if by_ids && r.filters.as_ref().is_some_and(|filters| !filters.is_empty()) {
        // Which code is unconfirmed (9.7).
        return refuse("InvalidParameter", "InstanceIds and Filters exclude each other");
    }
    let mut reader = Reader::default();
    let (total, machines) = select(cx, &mut reader, r.instance_ids, r.filters, page)?;
    let mut numbers: Vec<i64> = machines.iter().map(|machine| machine.n).collect();
    numbers.sort_unstable();
    let mut tags = tags::of_instances(cx.db, &numbers)?;
    let mut instance_set = Vec::with_capacity(machines.len());
    for machine in &machines {
        instance_set.push(reader.instance(cx, machine, tags.remove(&machine.n).unwrap_or_default())?);
    }
    Ok(DescribeInstancesAnswer { total_count: total, instance_set, ..DescribeInstancesAnswer::default() })
}

pub(crate) fn status(cx: &mut Context<'_>, r: DescribeInstancesStatus) -> Done<DescribeInstancesStatusAnswer> {
    let page = filters::page(r.offset, r.limit, LIMIT_CODE)?;
    let (total, machines) = select(cx, &mut Reader::default(), r.instance_ids, None, page)?;
    let instance_status_set = machines
        .iter()
        .map(|machine| InstanceStatus {
            instance_id: machine.id(cx.seed),
            instance_state: machine.state(cx.now, cx.settings).word().to_owned(),
        })
        .collect();
    Ok(DescribeInstancesStatusAnswer {
        total_count: total,
        instance_status_set,
        ..DescribeInstancesStatusAnswer::default()
    })
}

pub(crate) fn attributes(
    cx: &mut Context<'_>,
    r: DescribeInstancesAttributes,
) -> Done<DescribeInstancesAttributesAnswer> {
    let ids = required(r.instance_ids, "InstanceIds")?;
    let wanted = required(r.attributes, "Attributes")?;
    if wanted.is_empty() || wanted.iter().any(|name| name != "UserData") {
        return refuse("InvalidParameterValue", "the one attribute is UserData");
    }
    check_count(ids.len())?;
    let page = (0, MAX_IDS);
    let (_, machines) = select(cx, &mut Reader::default(), Some(ids), None, page)?;
    let mut instance_set = Vec::with_capacity(machines.len());
    for machine in machines {
        let data = user_data(cx.db, machine.spec_at(cx.now))?;
        let attributes = Attributes { user_data: Some(data.unwrap_or_default()) };
        instance_set.push(InstanceAttributes { instance_id: machine.id(cx.seed), attributes });
    }
    Ok(DescribeInstancesAttributesAnswer { instance_set, ..DescribeInstancesAttributesAnswer::default() })
}

/// The instances of one page, and how many there are on all.
fn select(
    cx: &Context<'_>,
    reader: &mut Reader,
    ids: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    page: (usize, usize),
) -> Done<(i64, Vec<Machine>)> {
    let region = cx.region()?.region;
    let ids = ids.unwrap_or_default();
    let asked = filters::parse(filters, &FILTERS, MAX_VALUES)?;
    asked.iter().try_for_each(check_values)?;
    if ids.len() > MAX_IDS {
        return refuse(LIMIT_CODE, format!("at most {MAX_IDS} instances a request"));
    }
    let mut rest: Vec<&Asked> = Vec::new();
    let mut numbers = if ids.is_empty() {
        candidates(cx, region, &asked, &mut rest)?
    } else {
        ids.iter().map(|id| number(cx, id)).collect::<Done<BTreeSet<i64>>>()?.into_iter().collect()
    };
    let mut loaded = BTreeMap::new();
    if !rest.is_empty() || !ids.is_empty() || asked.iter().any(|filter| filter.name == "instance-id") {
        let mut fitting = Vec::with_capacity(numbers.len());
        // Those of a page together, and of more than a page not all at once.
        for some in numbers.chunks(MAX_IDS) {
            for machine in Machine::load_all(cx.db, some)? {
                if machine.account != cx.account || machine.region != region || !reader.fits(cx, &machine, &rest)? {
                    continue;
                }
                fitting.push(machine.n);
                if fitting.len() <= page.0 + page.1 {
                    loaded.insert(machine.n, machine);
                }
            }
        }
        numbers = fitting;
    }
    if cx.settings.may_list_late() {
        numbers = show(cx, numbers)?;
    }
    let total = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
    let mut numbers = filters::cut(numbers, page);
    let missing: Vec<i64> = numbers.iter().filter(|n| !loaded.contains_key(*n)).copied().collect();
    loaded.extend(Machine::load_all(cx.db, &missing)?.into_iter().map(|machine| (machine.n, machine)));
    if cx.settings.shuffle {
        let salt = cx.settings.seed ^ cx.requests;
        numbers.sort_by_key(|n| mix(salt, n.cast_unsigned()));
    }
    Ok((total, numbers.iter().filter_map(|n| loaded.remove(n)).collect()))
}

/// Refuses what cannot be a value of a filter, whether or not there is anything to be found (10.3).
fn check_values(filter: &Asked) -> Done<()> {
    let address = |text: &str| text.parse::<std::net::Ipv4Addr>().is_ok();
    let uuid = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && parts.iter().all(|part| part.chars().all(|c| c.is_ascii_hexdigit()))
    };
    for value in &filter.values {
        let (good, code) = match filter.name.as_str() {
            "vpc-id" => (well_formed("vpc-", value), "InvalidParameterValue.VpcIdMalformed"),
            "subnet-id" => (well_formed("subnet-", value), "InvalidParameterValue.SubnetIdMalformed"),
            "security-group-id" => (well_formed("sg-", value), "InvalidSgId.Malformed"),
            "host-id" => (well_formed("host-", value), "InvalidHostId.Malformed"),
            "uuid" => (uuid(value), "InvalidParameterValue.UuidMalformed"),
            "private-ip-address" | "public-ip-address" => (address(value), "InvalidParameterValue.IPAddressMalformed"),
            "ipv6-address" => {
                (value.parse::<std::net::Ipv6Addr>().is_ok(), "InvalidParameterValue.IPv6AddressMalformed")
            }
            _ => continue,
        };
        if !good {
            return refuse(code, format!("`{value}` is no value of the filter `{}`", filter.name));
        }
    }
    if matches!(filter.name.as_str(), "creation-start-time" | "creation-end-time") {
        creation(filter)?;
    }
    Ok(())
}

/// Numbers that may fit, by the filters that have an index; the others are left in `rest`.
fn candidates<'a>(cx: &Context<'_>, region: &str, asked: &'a [Asked], rest: &mut Vec<&'a Asked>) -> Done<Vec<i64>> {
    let mut narrowed: Option<BTreeSet<i64>> = None;
    let mut narrow = |found: BTreeSet<i64>| {
        narrowed = Some(match narrowed.take() {
            Some(before) => before.intersection(&found).copied().collect(),
            None => found,
        });
    };
    let number_of = |resource: &i64| match ids::of_resource(*resource) {
        (Kind::Instance, n) => Some(n),
        (Kind::Image | Kind::Snapshot | Kind::Disk, _) => None,
    };
    let mut zones = None;
    for filter in asked {
        match filter.name.as_str() {
            "instance-id" => narrow(filter.values.iter().map(|id| number(cx, id)).collect::<Done<_>>()?),
            "tag-key" => {
                let mut found = BTreeSet::new();
                for key in &filter.values {
                    found.extend(tags::carriers(cx, region, key, None)?.iter().filter_map(number_of));
                }
                narrow(found);
            }
            "tag-value" => {
                let found = tags::carriers_of_value(cx, region, &filter.values)?;
                narrow(found.iter().filter_map(number_of).collect());
            }
            "zone" => {
                let known = catalog::find_region(region).map(|entry| entry.zones).unwrap_or_default();
                if let Some(zone) = filter.values.iter().find(|zone| !known.iter().any(|k| k.zone == **zone)) {
                    return refuse("InvalidZone.MismatchRegion", format!("there is no zone `{zone}` in {region}"));
                }
                if zones.is_some() {
                    rest.push(filter);
                } else {
                    zones = Some(filter);
                }
            }
            name => match name.strip_prefix("tag:") {
                Some(key) => {
                    let found = tags::carriers(cx, region, key, Some(&filter.values))?;
                    narrow(found.iter().filter_map(number_of).collect());
                }
                None => rest.push(filter),
            },
        }
    }
    if let Some(narrowed) = narrowed {
        rest.extend(zones);
        return Ok(narrowed.into_iter().collect());
    }
    let mut found = Vec::new();
    match zones {
        Some(filter) => {
            let mut at =
                cx.db.prepare_cached("SELECT n FROM instance WHERE account = ?1 AND region = ?2 AND zone = ?3")?;
            for zone in filter.values.iter().collect::<BTreeSet<_>>() {
                for n in at.query_map(params![cx.account, region, zone], |row| row.get(0))? {
                    found.push(n?);
                }
            }
        }
        None => {
            let mut all = cx.db.prepare_cached("SELECT n FROM instance WHERE account = ?1 AND region = ?2")?;
            for n in all.query_map(params![cx.account, region], |row| row.get(0))? {
                found.push(n?);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Leaves out what is listed for the first time; the next listing has it.
fn show(cx: &Context<'_>, numbers: Vec<i64>) -> Done<Vec<i64>> {
    let mut update =
        cx.db.prepare_cached("UPDATE instance SET hidden = 0 WHERE n = ?1 AND hidden = 1 AND created_ms > ?2")?;
    let since_ms = cx.now - LISTED_LATE_MS;
    let mut shown = Vec::with_capacity(numbers.len());
    for n in numbers {
        if update.execute([n, since_ms])? == 0 {
            shown.push(n);
        }
    }
    Ok(shown)
}

/// Reads instances, and each spec once.
#[derive(Default)]
struct Reader {
    specs: BTreeMap<i64, Rc<Spec>>,
    /// By what is stored: every launch has a spec of its own, and those of a fleet are alike.
    alike: BTreeMap<String, Rc<Spec>>,
}

impl Reader {
    fn spec(&mut self, cx: &Context<'_>, machine: &Machine) -> Done<Rc<Spec>> {
        let n = machine.spec_at(cx.now);
        if let Some(spec) = self.specs.get(&n) {
            return Ok(Rc::clone(spec));
        }
        let body = Spec::body(cx.db, n)?;
        let spec = match self.alike.get(&body) {
            Some(spec) => Rc::clone(spec),
            None => {
                let spec = Rc::new(Spec::parse(&body)?);
                self.alike.insert(body, Rc::clone(&spec));
                spec
            }
        };
        self.specs.insert(n, Rc::clone(&spec));
        Ok(spec)
    }

    fn fits(&mut self, cx: &Context<'_>, machine: &Machine, rest: &[&Asked]) -> Done<bool> {
        for filter in rest {
            let fits = match filter.name.as_str() {
                "zone" => filter.has(&machine.zone),
                "project-id" => filter.has("0"),
                "host-id" | "dedicated-cluster-id" | "ipv6-address" => false,
                "uuid" => filter.has(&ids::uuid(cx.seed, machine.n.unsigned_abs())),
                "instance-name" if cx.settings.instance_name_is_fuzzy => filter.is_in(&machine.name),
                "instance-name" => filter.has(&machine.name),
                "instance-state" => filter.has(machine.state(cx.now, cx.settings).word()),
                "private-ip-address" => filter.has(&machine.private_address()),
                "creation-start-time" => creation(filter)? <= machine.created_ms,
                "creation-end-time" => creation(filter)? >= machine.created_ms,
                name => {
                    let spec = self.spec(cx, machine)?;
                    match name {
                        "vpc-id" => filter.has(&spec.vpc),
                        "subnet-id" => filter.has(&spec.subnet),
                        "security-group-id" => spec.groups.iter().any(|group| filter.has(group)),
                        "instance-charge-type" => filter.has(&spec.charge),
                        _ => public_address(machine, &spec).is_some_and(|address| filter.has(&address)),
                    }
                }
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One entry of InstanceSet (3.2).
    fn instance(&mut self, cx: &Context<'_>, machine: &Machine, mut tags: Vec<Tag>) -> Done<Instance> {
        let spec = self.spec(cx, machine)?;
        if let (Some(tag), Some(boot_ms)) = (&spec.script.tag, machine.boot_ms)
            && cx.now >= boot_ms + spec.script.boot_ms + tag.after_ms
            && !tags.iter().any(|other| other.key.as_ref() == Some(&tag.key))
        {
            tags.push(Tag { key: Some(tag.key.clone()), value: Some(tag.value.clone()) });
        }
        let state = machine.state(cx.now, cx.settings);
        let id = machine.id(cx.seed);
        let kind = catalog::find_type(&spec.instance_type);
        let disk_id = |place| ids::encode(Kind::Disk, cx.seed, ids::disk_number(machine.n, place));
        let windows = spec.content.is_windows();
        let data_disks = spec
            .data
            .iter()
            .enumerate()
            .map(|(place, disk)| DataDisk {
                disk_size: Some(disk.size),
                disk_type: Some(disk.kind.clone()),
                disk_id: Some(disk_id(place + 1)),
                delete_with_instance: Some(!disk.keep),
                encrypt: Some(false),
                throughput_performance: (disk.throughput > 0).then_some(disk.throughput),
                disk_name: disk.name.clone(),
                ..DataDisk::default()
            })
            .collect();
        let expires = charge::expires(&spec, machine.created_ms, cx.now);
        let expired = state == State::Shutdown && machine.has_ended(cx.now);
        let isolated = if expired {
            "EXPIRE"
        } else if state == State::Shutdown || machine.was == Power::Isolated {
            "MANMADE"
        } else {
            "NOTISOLATED"
        };
        Ok(Instance {
            placement: Placement { zone: Some(machine.zone.clone()), project_id: Some(0), ..Placement::default() },
            instance_type: spec.instance_type.clone(),
            cpu: kind.map_or(0, |kind| i64::from(kind.cpu)),
            memory: kind.map_or(0, |kind| i64::from(kind.memory_gib)),
            restrict_state: if expired { "EXPIRED" } else { "NORMAL" }.to_owned(),
            instance_name: machine.name.clone(),
            instance_charge_type: spec.charge.clone(),
            system_disk: SystemDisk {
                disk_type: Some(spec.system.kind.clone()),
                disk_id: Some(disk_id(0)),
                disk_size: Some(spec.system.size),
                disk_name: spec.system.name.clone(),
                encrypt: spec.encrypted.then_some(true),
                ..SystemDisk::default()
            },
            data_disks: Some(data_disks),
            private_ip_addresses: Some(vec![machine.private_address()]),
            public_ip_addresses: public_address(machine, &spec).map(|address| vec![address]),
            internet_accessible: InternetAccessible {
                internet_charge_type: spec.internet.internet_charge_type.clone(),
                internet_max_bandwidth_out: spec.internet.internet_max_bandwidth_out,
                ..InternetAccessible::default()
            },
            virtual_private_cloud: VirtualPrivateCloud {
                vpc_id: Some(spec.vpc.clone()),
                subnet_id: Some(spec.subnet.clone()),
                as_vpc_gateway: Some(false),
                ..VirtualPrivateCloud::default()
            },
            image_id: spec.image.clone(),
            renew_flag: spec.renew.clone(),
            created_time: time_text(machine.created_ms),
            expired_time: expires.map(time_text),
            os_name: spec.content.os_name.clone(),
            security_group_ids: Some(spec.groups.clone()),
            login_settings: LoginSettings { key_ids: Some(spec.keys.clone()), ..LoginSettings::default() },
            instance_state: state.word().to_owned(),
            tags: Some(tags),
            stop_charging_mode: "NOT_APPLICABLE".to_owned(),
            uuid: ids::uuid(cx.seed, machine.n.unsigned_abs()),
            latest_operation: Some(machine.op.word().to_owned()),
            latest_operation_state: Some(machine.outcome(cx.now).to_owned()),
            latest_operation_request_id: Some(machine.op_request.clone()),
            latest_operation_error_msg: machine.op_error.clone().filter(|_| !machine.busy(cx.now)),
            isolated_source: isolated.to_owned(),
            license_type: spec.content.license().to_owned(),
            disaster_recover_group_id: machine.placement_group.clone().unwrap_or_default(),
            disaster_recover_group_ids: Some(machine.placement_group.iter().cloned().collect()),
            cam_role_name: spec.cam_role.clone(),
            disable_api_termination: spec.protected,
            host_name: Some(machine.host_name(&spec)),
            default_login_user: if windows { "Administrator" } else { "root" }.to_owned(),
            default_login_port: if windows { 3389 } else { 22 },
            instance_id: id,
            ..Instance::default()
        })
    }
}

fn creation(filter: &Asked) -> Done<i64> {
    let text = filter.values.first().map(String::as_str).unwrap_or_default();
    let Ok(civil) = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text) else {
        return refuse("InvalidParameterValue.InvalidTimeFormat", format!("`{text}` is no YYYY-MM-DD hh:mm:ss"));
    };
    Ok(jiff::tz::TimeZone::UTC.to_timestamp(civil).map(|time| time.as_millisecond()).unwrap_or_default())
}

fn public_address(machine: &Machine, spec: &Spec) -> Option<String> {
    (spec.internet.public_ip_assigned == Some(true)).then(|| dotted(43, machine.n))
}
