//! `build`: an image that is made on a machine which exists only for that.

use super::capture::{ready, timeout};
use super::context::{Context, unlisted};
use super::disks::{data_disks, system_disk};
use super::fleet::{Runs, image_in_region, instance_type, internet, login, network};
use super::index::ImageKind;
use super::language;
use super::read::{Fields, Value};
use super::user_data::user_data;
use crate::diagnostic::{Place, codes};
use crate::model::addr::Block;
use crate::model::catalog;
use crate::model::desired::{Build, BuildFailure, Ready};
use crate::model::ids::{Name, Region, Zone};
use crate::model::spec::{Login, Network, SystemDisk};

/// `image` is the block around it.
pub(super) fn build(cx: &mut Context<'_>, name: &Name, image: &Fields<'_>, value: &Value<'_>) -> Option<Build> {
    let fields = cx.faults.fields(value, &language::BUILD)?;
    let base = fields.need("base", "NAME", &mut cx.faults).and_then(|value| cx.image_ref(&value, Block::image(name)));
    let zone = fields.get("zone").map_or(Some(None), |value| zone(cx, &value).map(Some));
    let region = match &zone {
        Some(Some(zone)) => zone.region(),
        Some(None) => cx.cloud.region.clone(),
        None => None,
    };
    if let (Some((base, kind)), Some(value), Some(region)) = (&base, fields.get("base"), &region) {
        let runs =
            Runs { key: "zone", label: "the builder's zone", clause: "where the builder runs", what: "the builder" };
        image_in_region(cx, &fields, &value, base, *kind, region, runs);
    }
    let instance_type = fields.need("type", "S5.MEDIUM4", &mut cx.faults).and_then(|value| instance_type(cx, &value));
    let system_disk = fields.get("system_disk").map_or(Some(SystemDisk::default()), |value| system_disk(cx, &value));
    let data_disks = fields.get("data_disks").map_or(Some(Vec::new()), |value| data_disks(cx, &value));
    let zones = zone.as_ref().and_then(|zone| zone.clone().map(|zone| vec![zone]));
    let network = fields
        .get("network")
        .map_or(Some(Network::default()), |value| network(cx, &value, zones.as_deref(), region.as_ref(), "builder"));
    if zones.is_none()
        && let (Some(network), Some(region), Some(value)) = (&network, &region, fields.get("network"))
    {
        subnets_in_region(cx, &value, network, region);
    }
    let internet = fields.get("internet").map_or(Some(None), |value| internet(cx, &value, Some(false)).map(Some));
    let kind = base.as_ref().map(|(_, kind)| *kind);
    let login = fields.get("login").map_or(Some(Login::default()), |value| login(cx, &value, kind));
    let user_data = fields.get("user_data").map_or(Some(None), |value| user_data(cx, &value).map(Some));
    let ready = fields.get("ready").map_or(Some(Ready::Stopped), |value| ready(cx, &value));
    never_off(cx, &fields, kind, ready.as_ref());
    tagged_from_the_start(cx, image, &fields, ready.as_ref());
    let timeout = timeout(cx, &fields, ready.as_ref());
    let on_failure = fields.get("on_failure").map_or(Some(BuildFailure::Destroy), |value| {
        cx.faults.word(&value, &["destroy", "keep"], &[]).map(|word| match word {
            "keep" => BuildFailure::Keep,
            _ => BuildFailure::Destroy,
        })
    });
    Some(Build {
        base: base?.0,
        region: region?,
        zone: zone?,
        instance_type: instance_type?,
        system_disk: system_disk?,
        data_disks: data_disks?,
        network: network?,
        internet: internet?,
        login: login?,
        user_data: user_data?,
        ready: ready?,
        timeout_ms: timeout?,
        on_failure: on_failure?,
    })
}

/// The builder's zone says where the image is made: it may be in any region.
fn zone(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Zone> {
    let region = value.node.raw().and_then(|text| Zone::new(text).region());
    let served = |region: &Region| cx.cloud.endpoint.as_ref().is_none_or(|endpoint| endpoint.serves(region));
    let region = region.filter(served).or_else(|| cx.cloud.region.clone());
    let zone = cx.zone(value, region.as_ref())?;
    if let Some(region) = region.filter(|region| catalog::find_region(region.as_str()).is_none()) {
        let all = catalog::REGIONS.iter().map(|entry| entry.region);
        cx.tell(unlisted(value, codes::UNKNOWN_REGION, "region", region.as_str(), all));
    }
    Some(zone)
}

/// Without a zone, the subnets say which zones there are to choose from.
fn subnets_in_region(cx: &mut Context<'_>, network: &Value<'_>, read: &Network, region: &Region) {
    for zone in read.subnets.keys().filter(|zone| zone.region().as_ref() != Some(region)) {
        cx.tell(
            network
                .fault(codes::ZONE_OUTSIDE, format!("zone `{zone}` is not in region `{region}`, where this is built"))
                .why("a build without a `zone` is done in the region of `cloud`")
                .help(format!("name the zone, `zone: {zone}`, or a subnet of {region}")),
        );
    }
}

/// A public image runs until somebody switches it off.
fn never_off(cx: &mut Context<'_>, fields: &Fields<'_>, kind: Option<ImageKind>, ready: Option<&Ready>) {
    let silent = fields.key("user_data").is_none() && !fields.misspelt("user_data");
    if ready != Some(&Ready::Stopped) || kind != Some(ImageKind::Public) || !silent || fields.misspelt("ready") {
        return;
    }
    let Some(base) = fields.get("base") else { return };
    let mut fault = base
        .fault(codes::CONFLICT, "this builder would never switch itself off")
        .label("a public image runs on")
        .why("`ready: stopped`, as it is where nothing is said, waits until the builder has switched itself off")
        .help("add `user_data: { file: provision.sh }` with a script that ends in `poweroff`, or set `ready`");
    if let Some(ready) = fields.get("ready") {
        fault = fault.related(Place::Span(ready.node.span), "it is waited for");
    }
    cx.tell(fault);
}

/// The builder bears the image's tags from its launch on.
fn tagged_from_the_start(cx: &mut Context<'_>, image: &Fields<'_>, fields: &Fields<'_>, ready: Option<&Ready>) {
    let Some(Ready::Tag { key, value }) = ready else { return };
    let (Some(tags), Some(ready)) = (image.get("tags"), fields.get("ready")) else { return };
    let Some(there) = tags.node.get(key).filter(|node| node.raw() == Some(value)) else { return };
    cx.tell(
        ready
            .fault(codes::CONFLICT, format!("the builder bears the tag `{key}` from the start"))
            .related(Place::Span(there.span), "the image's tags are the builder's, too")
            .why("so it would be captured before it is prepared")
            .help("wait for another tag"),
    );
}
