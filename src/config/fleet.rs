//! `fleets`.

use std::collections::{BTreeMap, BTreeSet};

use super::charge::charge;
use super::context::{Context, unlisted};
use super::disks::{data_disks, system_disk};
use super::ignored::ignore_changes;
use super::index::{ImageKind, Where};
use super::language::{self, listed};
use super::names::hostname;
use super::node::Data;
use super::read::{Fields, Value, shown};
use super::update::{health, update};
use super::user_data::user_data;
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::addr::Block;
use crate::model::catalog;
use crate::model::desired::{Fleet, Update};
use crate::model::ids::{InstanceType, KeyId, Name, PlacementGroupId, Region, SecurityGroupId, SubnetId, VpcId, Zone};
use crate::model::spec::{Charge, Internet, InternetCharge, Login, Network, Power, SystemDisk};

const MOST_INSTANCES: u32 = 1_000_000;
const MOST_SECURITY_GROUPS: usize = 5;

pub(super) fn fleet(cx: &mut Context<'_>, name: &Name, value: &Value<'_>) -> Option<Fleet> {
    let fields = cx.faults.fields(value, &language::FLEET)?;
    let image = fields.need("image", "NAME", &mut cx.faults).and_then(|value| cx.image_ref(&value, Block::fleet(name)));
    let count = fields.need("count", "1", &mut cx.faults).and_then(|v| cx.faults.number(&v, 0, MOST_INSTANCES));
    let region = match fields.get("region") {
        None => cx.cloud.region.clone(),
        Some(value) => cx.region(&value),
    };
    if let (Some((image, kind)), Some(value), Some(region)) = (&image, fields.get("image"), &region) {
        let runs =
            Runs { key: "region", label: "the fleet's region", clause: "where this fleet runs", what: "the fleet" };
        image_in_region(cx, &fields, &value, image, *kind, region, runs);
    }
    let zones =
        fields.need("zones", "[ap-guangzhou-3]", &mut cx.faults).and_then(|value| zones(cx, &value, region.as_ref()));
    let instance_type = fields.need("type", "S5.MEDIUM4", &mut cx.faults).and_then(|value| instance_type(cx, &value));
    let system_disk = fields.get("system_disk").map_or(Some(SystemDisk::default()), |v| system_disk(cx, &v));
    let data_disks = fields.get("data_disks").map_or(Some(Vec::new()), |value| data_disks(cx, &value));
    let network = fields
        .get("network")
        .map_or(Some(Network::default()), |value| network(cx, &value, zones.as_deref(), region.as_ref(), "fleet"));
    let charge = charge(cx, &fields);
    let prepaid = charge.as_ref().map(|charge| matches!(charge, Charge::Prepaid { .. }));
    let internet = fields.get("internet").map_or(Some(None), |value| internet(cx, &value, prepaid).map(Some));
    let kind = image.as_ref().map(|(_, kind)| *kind);
    let login = fields.get("login").map_or(Some(Login::default()), |value| login(cx, &value, kind));
    let tags = cx.tags(fields.get("tags"));
    let user_data = fields.get("user_data").map_or(Some(None), |value| user_data(cx, &value).map(Some));
    let update = match fields.get("update") {
        None => Some(Update::default()),
        Some(value) => update(cx, &value),
    };
    let health = fields.get("health").map_or(Some(None), |value| health(cx, &value).map(Some));
    let hostname =
        fields.get("hostname").map_or(Some(None), |value| hostname(cx, &value, count, zones.as_deref()).map(Some));
    let placement_group = fields
        .get("placement_group")
        .map_or(Some(None), |value| cx.id(&value, "ps-").map(|id| Some(PlacementGroupId::new(id))));
    let cam_role = fields.get("cam_role").map_or(Some(None), |value| cam_role(cx, &value).map(Some));
    let power = fields.get("state").map_or(Some(None), |value| state(cx, &value).map(Some));
    if let (Some(Some(Power::Stopped)), Some(health)) = (power, fields.get("health")) {
        let mut fault = Diagnostic::error(codes::CONFLICT, "what is switched off is never healthy")
            .at_span(health.key)
            .help("remove `health`, or `state: stopped`");
        if let Some(span) = fields.key("state") {
            fault = fault.related(Place::Span(span), "it is to be off");
        }
        cx.tell(fault);
    }
    let protect = fields.get("protect").map_or(Some(false), |value| cx.faults.boolean(&value));
    let ignore_changes = fields.get("ignore_changes").map_or(Some(BTreeSet::new()), |value| ignore_changes(cx, &value));
    Some(Fleet {
        image: image?.0,
        count: count?,
        region: region?,
        zones: zones?,
        instance_type: instance_type?,
        system_disk: system_disk?,
        data_disks: data_disks?,
        network: network?,
        internet: internet?,
        login: login?,
        tags: tags?,
        user_data: user_data?,
        update: update?,
        health: health?,
        hostname: hostname?,
        charge: charge?,
        placement_group: placement_group?,
        cam_role: cam_role?,
        power: power?,
        protect: protect?,
        ignore_changes: ignore_changes?,
    })
}

/// How something that runs from an image is spoken of, and its place.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    /// The key that says where it is.
    pub(super) key: &'static str,
    /// What that key says.
    pub(super) label: &'static str,
    /// Why it is about that region.
    pub(super) clause: &'static str,
    /// What it is.
    pub(super) what: &'static str,
}

/// An instance can only be launched from an image of its own region.
pub(super) fn image_in_region(
    cx: &mut Context<'_>,
    fields: &Fields<'_>,
    value: &Value<'_>,
    image: &Name,
    kind: ImageKind,
    region: &Region,
    runs: Runs,
) {
    let Runs { key, label, clause, what } = runs;
    let Where::In(regions) = cx.regions_of(image.as_str()) else { return };
    if regions.contains(region.as_str()) {
        return;
    }
    let facts = cx.index.images.get(image.as_str());
    let declared = facts.and_then(|facts| facts.regions_at);
    let encrypted = facts.is_some_and(|facts| facts.encrypted.is_some());
    let there = listed(regions.iter().map(String::as_str));
    let mut fault = value
        .fault(codes::IMAGE_NOT_IN_REGION, format!("image `{image}` is not in `{region}`, {clause}"))
        .why("an instance can only be launched from an image of its own region");
    if let Some(span) = fields.key(key) {
        fault = fault.related(Place::Span(span), label);
    }
    fault = match (kind, declared) {
        (ImageKind::Shared, _) => fault
            .why(format!("a shared image stays in the region in which it is shared: {there}, that of `cloud`"))
            .help(format!(
                "make a copy of your own, `copy: {{ image: {image} }}`, with {there} and `{region}` in its `regions`"
            )),
        (ImageKind::Marketplace, _) => fault
            .why(format!("a marketplace image is looked up in the region of `cloud` only, which is {there}"))
            .help(format!("run {what} in {there}, or make a custom image from an instance of `{image}`")),
        _ if encrypted => fault
            .why(format!("it is in {there}, and an encrypted image is never copied to another region"))
            .help(format!("run {what} in {there}")),
        (_, Some(span)) => fault
            .related(Place::Span(span), "it is here")
            .help(format!("add `{region}` to `regions` of image `{image}`")),
        (_, None) => fault
            .why(format!("its `regions` are silent, so it is only where it is made: in {there}"))
            .help(format!("add `regions: [{}, {region}]` to image `{image}`", Vec::from_iter(regions).join(", "))),
    };
    cx.tell(fault);
}

/// The name of a role of the access management (CamRoleName).
fn cam_role(cx: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let rule = "a role's name: at most 128 letters, digits and + = , . @ _ -";
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| {
        (1..=128).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | ',' | '.' | '@' | '_' | '-'))
    })?;
    Some(text.to_owned())
}

fn state(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Power> {
    cx.faults.word(value, &["running", "stopped"], &[]).map(|word| match word {
        "stopped" => Power::Stopped,
        _ => Power::Running,
    })
}

/// The zones; none where one of them is faulty, so that nothing is compared with half of them.
fn zones(cx: &mut Context<'_>, value: &Value<'_>, region: Option<&Region>) -> Option<Vec<Zone>> {
    let mut whole = true;
    let zones = cx.set(value, |cx, item| {
        let zone = cx.zone(item, region);
        whole &= zone.is_some();
        zone
    })?;
    if zones.is_empty() && whole {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, "a fleet needs at least one zone")
                .help("name the zones that its instances are spread over, for example [ap-guangzhou-3]"),
        );
        return None;
    }
    whole.then_some(zones)
}

pub(super) fn instance_type(cx: &mut Context<'_>, value: &Value<'_>) -> Option<InstanceType> {
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, "an instance type such as `S5.MEDIUM4`", |text| {
        text.len() <= 40
            && text.split('.').filter(|part| !part.is_empty()).count() == 2
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    })?;
    if catalog::find_type(text).is_none() {
        let all = catalog::TYPES.iter().map(|entry| entry.name);
        cx.tell(unlisted(value, codes::UNKNOWN_TYPE, "type", text, all));
    }
    Some(InstanceType::new(text))
}

/// `whose`: what is in the network, a fleet or a builder.
pub(super) fn network(
    cx: &mut Context<'_>,
    value: &Value<'_>,
    zones: Option<&[Zone]>,
    region: Option<&Region>,
    whose: &str,
) -> Option<Network> {
    let fields = cx.faults.fields(value, &language::NETWORK)?;
    let vpc = fields.get("vpc").map_or(Some(None), |value| cx.id(&value, "vpc-").map(|id| Some(VpcId::new(id))));
    let subnets =
        fields.get("subnets").map_or(Some(BTreeMap::new()), |value| subnets(cx, &value, zones, region, whose));
    for (one, other) in [("vpc", "subnets"), ("subnets", "vpc")] {
        let Some(span) = fields.key(one) else { continue };
        if fields.key(other).is_none() && !fields.misspelt(other) {
            cx.tell(
                Diagnostic::error(codes::CONFLICT, format!("`{one}` stands without `{other}`"))
                    .at_span(span)
                    .why("a private cloud is only entered by one of its subnets, which is in one zone")
                    .help("write both, or neither: then it is the default network"),
            );
        }
    }
    let groups = match fields.get("security_groups") {
        None => Some(None),
        Some(value) => security_groups(cx, &value).map(Some),
    };
    Some(Network { vpc: vpc?, subnets: subnets?, security_groups: groups? })
}

fn security_groups(cx: &mut Context<'_>, value: &Value<'_>) -> Option<BTreeSet<SecurityGroupId>> {
    let groups = cx.set(value, |cx, item| cx.id(item, "sg-").map(SecurityGroupId::new))?;
    if groups.len() > MOST_SECURITY_GROUPS {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("{} security groups are too many", groups.len()))
                .why(format!("an instance is in at most {MOST_SECURITY_GROUPS}"))
                .help("put their rules together"),
        );
    }
    Some(groups.into_iter().collect())
}

fn subnets(
    cx: &mut Context<'_>,
    value: &Value<'_>,
    zones: Option<&[Zone]>,
    region: Option<&Region>,
    whose: &str,
) -> Option<BTreeMap<Zone, SubnetId>> {
    let mut subnets = BTreeMap::new();
    for pair in cx.faults.map(value)?.iter().filter(|pair| !pair.void) {
        let item = Value { node: &pair.value, key: pair.key_span, path: value.path.key(&pair.key) };
        let zone = Zone::new(pair.key.as_str());
        if zones.is_some_and(|zones| !zones.contains(&zone)) {
            let region = region.map_or("the region", Region::as_str);
            cx.tell(
                Diagnostic::error(codes::CONFLICT, format!("zone `{}` is not one of the {whose}'s", shown(&pair.key)))
                    .at_span(pair.key_span)
                    .help(match whose {
                        "fleet" => format!("add it to `zones` if it is a zone of {region}, or remove this subnet"),
                        _ => "name it as `zone`, or remove this subnet".to_owned(),
                    }),
            );
        }
        if let Some(id) = cx.id(&item, "subnet-") {
            subnets.insert(zone, SubnetId::new(id));
        }
    }
    let named = |zone: &Zone| value.node.get(zone.as_str()).is_some();
    let missing: Vec<&str> = zones.into_iter().flatten().filter(|zone| !named(zone)).map(Zone::as_str).collect();
    if let Some(first) = missing.first() {
        cx.tell(
            Diagnostic::error(
                codes::CONFLICT,
                format!("`subnets` misses {}", language::listed(missing.iter().copied())),
            )
            .at_span(value.key)
            .why(format!("a subnet is in one zone, so each zone of the {whose} needs one"))
            .help(format!("add `{first}: subnet-…`")),
        );
    }
    Some(subnets)
}

/// `prepaid`: whether the instances are paid for in advance, where that is clear.
pub(super) fn internet(cx: &mut Context<'_>, value: &Value<'_>, prepaid: Option<bool>) -> Option<Internet> {
    let fields = cx.faults.fields(value, &language::INTERNET)?;
    let charge = match fields.get("charge") {
        None => Some(InternetCharge::TrafficPostpaidByHour),
        Some(value) => {
            let word = cx.faults.word(&value, &InternetCharge::ALL.map(InternetCharge::word), &[]);
            let charge = word.and_then(|word| InternetCharge::ALL.into_iter().find(|charge| charge.word() == word));
            if charge == Some(InternetCharge::BandwidthPrepaid) && prepaid == Some(false) {
                cx.tell(
                    value
                        .fault(codes::CONFLICT, "bandwidth is paid for in advance, but the instances are not")
                        .why("BANDWIDTH_PREPAID goes with `charge_type: PREPAID` only")
                        .help("write `BANDWIDTH_POSTPAID_BY_HOUR` or `TRAFFIC_POSTPAID_BY_HOUR`"),
                );
            }
            charge
        }
    };
    let bandwidth = fields.need("bandwidth_mbps", "5", &mut cx.faults).and_then(|v| cx.faults.number(&v, 0, 65_535));
    let public_ip = match fields.get("public_ip") {
        None => bandwidth.map(|mbps| mbps > 0),
        Some(value) => cx.faults.boolean(&value).filter(|wanted| {
            let conflict = *wanted && bandwidth == Some(0);
            if conflict {
                cx.tell(
                    value
                        .fault(codes::CONFLICT, "a public address needs bandwidth")
                        .why("with `bandwidth_mbps: 0` the cloud assigns no address")
                        .help("set `bandwidth_mbps` to at least 1, or `public_ip: false`"),
                );
            }
            !conflict
        }),
    };
    Some(Internet { charge: charge?, bandwidth_mbps: bandwidth?, public_ip: public_ip? })
}

pub(super) fn login(cx: &mut Context<'_>, value: &Value<'_>, image: Option<ImageKind>) -> Option<Login> {
    let fields = cx.faults.fields(value, &language::LOGIN)?;
    let keys = fields.get("key_ids").map(|value| {
        let keys = cx.set(&value, |cx, item| cx.id(item, "skey-").map(KeyId::new))?;
        if let Data::List(items) = &value.node.data
            && items.is_empty()
        {
            cx.tell(value.fault(codes::INVALID_VALUE, "`key_ids` names no key").help("name a key, or remove `login`"));
            return None;
        }
        Some(keys)
    });
    let kept = fields.get("keep_image_login").map(|value| (cx.faults.boolean(&value), value));
    match (keys, kept) {
        (None, None) => {
            if !fields.misspelt("key_ids") && !fields.misspelt("keep_image_login") && value.node.pairs().is_empty() {
                cx.tell(
                    value
                        .fault(codes::MISSING_KEY, "`login` does not say how")
                        .help("add `key_ids: [skey-…]` or `keep_image_login: true`, or remove `login`"),
                );
            }
            None
        }
        (Some(_), Some((Some(true), kept))) => {
            let mut fault = Diagnostic::error(codes::CONFLICT, "`keep_image_login` and `key_ids` exclude each other")
                .at_span(kept.key)
                .why("the cloud either keeps the image's login or puts keys in its place")
                .help("keep one of the two");
            if let Some(span) = fields.key("key_ids") {
                fault = fault.related(Place::Span(span), "in its place");
            }
            cx.tell(fault);
            None
        }
        (_, Some((None, _))) => None,
        (keys, Some((Some(false), _))) => keys.map_or(Some(Login::Unset), |keys| keys.map(key_set)),
        (Some(keys), None) => keys.map(key_set),
        (None, Some((Some(true), kept))) => {
            if let Some(kind @ (ImageKind::Public | ImageKind::Marketplace)) = image {
                let what = if kind == ImageKind::Public { "public" } else { "marketplace" };
                cx.tell(
                    kept.fault(codes::LOGIN_NOT_KEPT, format!("a {what} image has no login to keep"))
                        .why("only custom, shared and imported images bring users and keys along")
                        .help("use `key_ids: [skey-…]`, or an image of your own"),
                );
            }
            Some(Login::KeepImage)
        }
    }
}

fn key_set(keys: Vec<KeyId>) -> Login {
    Login::Keys(keys.into_iter().collect())
}
