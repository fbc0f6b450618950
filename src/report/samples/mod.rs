//! Plans and states made by hand, for the goldens.

mod rolled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cloud::call::{Arg, Body, Call, Launch, StepId};
use crate::model::addr::{Addr, Block};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Lineage, Name, Region, Uin, Zone};
use crate::model::recorded::Origin;
use crate::plan::{
    Action, AttrChange, Change, Detail, Do, Drift, Effect, FORMAT, Handling, Need, Peak, Pinned, Plan, Reason,
    Resource, Scope, Settle, Step, Target, Until, Value,
};

pub(super) use rolled::{reset, rolled};

pub(super) const NOON: i64 = 1_795_435_200_000;
const VERSION: &str = "3f9a1c02";

pub(super) fn addr(text: &str) -> Addr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn block(text: &str) -> Block {
    addr(text).block
}

pub(super) fn region() -> Region {
    Region::new("ap-guangzhou")
}

fn zone(n: u32) -> Zone {
    Zone::new(format!("ap-guangzhou-{n}"))
}

pub(super) fn instance(n: u32) -> CloudId {
    CloudId::Instance(InstanceId::new(format!("ins-{n:08x}")))
}

pub(super) fn image(n: u32) -> CloudId {
    CloudId::Image(ImageId::new(format!("img-{n:08x}")))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| (*item).to_owned()).collect())
}

fn attr(name: &str, before: Value, after: Value) -> AttrChange {
    AttrChange { name: name.to_owned(), before, after }
}

fn made(name: &str, after: Value) -> AttrChange {
    attr(name, Value::None, after)
}

fn new_image() -> Value {
    Value::Unknown { step: StepId(1), target: 0, addr: addr(&format!("image.web@{VERSION}/ap-guangzhou")) }
}

fn user_data(digest: &str) -> Value {
    Value::Secret { source: "provision.sh".to_owned(), digest: digest.to_owned() }
}

fn detail(reasons: Vec<Reason>, attrs: Vec<AttrChange>) -> Arc<Detail> {
    Arc::new(Detail { reasons, attrs })
}

fn change(at: &str, action: Action, id: Option<CloudId>, name: &str, detail: &Arc<Detail>) -> Change {
    Change { addr: addr(at), action, id, name: name.to_owned(), detail: Arc::clone(detail) }
}

fn call(body: Body) -> Do {
    Do::Call(Call { account: Uin::new("100000000001"), region: region(), body })
}

fn launch(first: u32, count: u32, image: Arg<ImageId>) -> Do {
    let zone = Zone::new("ap-guangzhou-3");
    call(Body::RunInstances(Box::new(Launch {
        name_prefix: "webshop-default-web-3-".to_owned(),
        first_ordinal: first,
        count,
        ..Launch::of(zone, image, InstanceType::new("S5.MEDIUM4"))
    })))
}

fn step(id: u32, needs: &[u32], does: Do, targets: &[(&str, Option<Arg<CloudId>>)]) -> Step {
    Step {
        id: StepId(id),
        needs: needs.iter().map(|&need| Need::Success(StepId(need))).collect(),
        does,
        targets: targets
            .iter()
            .map(|(at, id)| Target { addr: addr(at), generation: 1, id: id.clone(), effect: Effect::Nothing })
            .collect(),
        expect: Vec::new(),
        settle: Settle { until: Until::Running, expected_ms: 1500, deadline_ms: 60_000 },
        holds: Vec::new(),
    }
}

fn plan(changes: Vec<Change>, steps: Vec<Step>) -> Plan {
    Plan {
        format: FORMAT,
        lineage: Lineage::new("0192a7c4"),
        serial: 7,
        origin: Origin {
            endpoint: "embedded".to_owned(),
            account: Uin::new("100000000001"),
            project: Name::new("webshop"),
        },
        env: Name::new("default"),
        config_digest: Digest::of(context::CONFIG, b"config"),
        as_of_ms: NOON,
        destroy: false,
        from_memory: false,
        refresh_only: false,
        scope: Scope::All,
        lookups: Vec::new(),
        changes,
        drift: Vec::new(),
        steps,
        edges: BTreeSet::new(),
        rollouts: Vec::new(),
        peaks: Vec::new(),
        assumptions: Vec::new(),
        floor: None,
        notes: Vec::new(),
    }
}

fn pinned() -> Pinned {
    Pinned {
        block: block("image.ubuntu"),
        region: region(),
        name: "Ubuntu Server 22.04 LTS 64bit".to_owned(),
        id: ImageId::new("img-487zeit5"),
        created_ms: NOON - 86_400_000,
        new: true,
        was: None,
        promoted: None,
    }
}

/// Nothing to do.
pub(super) fn empty() -> Plan {
    plan(Vec::new(), Vec::new())
}

/// Nothing to do, though somebody changed something outside.
pub(super) fn drifted() -> Plan {
    let mut plan = empty();
    plan.drift = (0..3)
        .map(|n| Drift {
            addr: addr(&format!("fleet.web[{n}]")),
            attr: "power".to_owned(),
            recorded: text("RUNNING"),
            observed: text("STOPPED"),
            handling: Handling::Left,
            by: None,
        })
        .collect();
    plan
}

/// The first plan of a newcomer.
pub(super) fn first() -> Plan {
    let builder = detail(
        vec![Reason::New],
        vec![
            made("image", text("img-487zeit5")),
            made("type", text("S5.MEDIUM4")),
            made("zone", text("ap-guangzhou-3")),
            made("user_data", user_data("77aa01fe0000")),
        ],
    );
    let captured = detail(
        vec![Reason::New],
        vec![
            made("from_instance", Value::Unknown { step: StepId(0), target: 0, addr: addr("fleet.builder[0]") }),
            made("tags", list(&["app=web", "team=shop"])),
        ],
    );
    let shared = detail(
        vec![Reason::New],
        vec![made("image", new_image()), made("accounts", list(&["100000000003", "100000000004"]))],
    );
    let slot = |zone: &str| {
        detail(
            vec![Reason::New],
            vec![
                made("image", new_image()),
                made("type", text("S5.MEDIUM4")),
                made("zone", text(zone)),
                made("system_disk", text("CLOUD_PREMIUM, 50 GiB")),
                made("data_disks", list(&["CLOUD_PREMIUM, 100 GiB"])),
                made("internet", text("TRAFFIC_POSTPAID_BY_HOUR, 5 Mbps, with a public address")),
                made("user_data", user_data("3f9a1c02aa00")),
            ],
        )
    };
    let (three, four) = (slot("ap-guangzhou-3"), slot("ap-guangzhou-4"));
    let mut changes = vec![
        change(
            &format!("image.web@{VERSION}/ap-guangzhou"),
            Action::Create,
            None,
            "webshop-default-web-3f9a1c02",
            &captured,
        ),
        change(&format!("share.partners@{VERSION}/ap-guangzhou"), Action::Create, None, "", &shared),
        change("fleet.builder[0]", Action::Create, None, "webshop-default-builder-3-1", &builder),
    ];
    for n in 0..6 {
        let (zone, detail) = if n % 2 == 0 { (3, &three) } else { (4, &four) };
        let name = format!("webshop-default-web-{zone}-{}", n / 2 + 1);
        changes.push(change(&format!("fleet.web[{n}]"), Action::Create, None, &name, detail));
    }
    let instance = Arg::Output { step: StepId(0), target: 0 };
    let image = Arg::Output { step: StepId(1), target: 0 };
    let capture = call(Body::CreateImage {
        name: "webshop-default-web-3f9a1c02".to_owned(),
        instance,
        power_off: true,
        description: None,
        tags: BTreeMap::new(),
        family: None,
    });
    let share = call(Body::ShareImage {
        image: image.clone(),
        accounts: BTreeSet::from([Uin::new("100000000003"), Uin::new("100000000004")]),
        cancel: false,
    });
    let copy = format!("image.web@{VERSION}/ap-guangzhou");
    let share_at = format!("share.partners@{VERSION}/ap-guangzhou");
    let steps = vec![
        step(0, &[], launch(1, 1, Arg::Known(ImageId::new("img-487zeit5"))), &[("fleet.builder[0]", None)]),
        step(1, &[0], capture, &[(&copy, None)]),
        step(2, &[1], share, &[(&share_at, Some(Arg::Output { step: StepId(1), target: 0 }))]),
        step(
            3,
            &[1],
            launch(1, 3, image.clone()),
            &[("fleet.web[0]", None), ("fleet.web[2]", None), ("fleet.web[4]", None)],
        ),
        step(4, &[1], launch(1, 3, image), &[("fleet.web[1]", None), ("fleet.web[3]", None), ("fleet.web[5]", None)]),
    ];
    let mut plan = plan(changes, steps);
    plan.lookups = vec![pinned()];
    plan.peaks = vec![Peak {
        resource: Resource::Instances(region(), Zone::new("ap-guangzhou-3")),
        before: 0,
        peak: 4,
        after: 4,
        limit: 1000,
    }];
    plan.assumptions = vec![
        "an image is shared with at most 50 accounts; no action reports the cap".to_owned(),
        "ap-guangzhou-4 has S5.MEDIUM4 in stock when it is launched".to_owned(),
    ];
    plan
}

/// A bit of everything.
pub(super) fn mixed() -> Plan {
    let ten = |n: u32| 0x1000 + n;
    let version =
        |inputs: &[&str]| Reason::NewVersion { inputs: inputs.iter().map(|&input| input.to_owned()).collect() };
    let capture = detail(vec![version(&["user_data"])], vec![made("from_instance", text("ins-00001000"))]);
    let old = detail(vec![Reason::OldVersion], vec![]);
    let dropped = detail(vec![Reason::RegionDropped], vec![]);
    let foreign =
        detail(vec![Reason::Undeclared, Reason::ImageGoes], vec![attr("account", text("100000000007"), Value::None)]);
    let described = detail(
        vec![Reason::Changed { attrs: vec!["description".to_owned()] }],
        vec![attr(
            "description",
            text("The shop's web servers.\nnginx 1.24\nMaintained by the web team.\n"),
            text("The shop's web servers.\nnginx 1.26\nMaintained by the web team.\n"),
        )],
    );
    let shares = detail(
        vec![Reason::Changed { attrs: vec!["accounts".to_owned()] }, Reason::Undeclared],
        vec![attr(
            "accounts",
            list(&["100000000003", "100000000004", "100000000009"]),
            list(&["100000000003", "100000000005"]),
        )],
    );
    let under_way = detail(vec![Reason::UnderWay], vec![]);
    let replaced = detail(
        vec![Reason::Changed { attrs: vec!["data_disks".to_owned()] }],
        vec![attr("data_disks", list(&["CLOUD_PREMIUM, 100 GiB"]), list(&["CLOUD_SSD, 200 GiB"]))],
    );
    let reset = detail(
        vec![version(&["user_data"])],
        vec![
            attr("image", text("image.web@11112222/ap-guangzhou"), new_image()),
            attr("user_data", user_data("11112222"), user_data("3f9a1c02")),
        ],
    );
    let gone = detail(vec![Reason::ScaledDown { from: 24, to: 20 }], vec![]);
    let vanished = detail(vec![Reason::Vanished], vec![]);
    let retyped = detail(
        vec![
            Reason::Changed { attrs: vec!["type".to_owned()] },
            Reason::Drifted { attrs: vec!["security_groups".to_owned()] },
        ],
        vec![
            attr("type", text("S5.MEDIUM4"), text("S5.LARGE8")),
            attr("security_groups", list(&["sg-aaaaaaa1", "sg-bbbbbbb2"]), list(&["sg-aaaaaaa1"])),
            attr("tags", Value::None, list(&["app=web"])),
        ],
    );
    let mut changes = vec![
        change("image.base@2/ap-guangzhou", Action::Update, Some(image(0x21)), "webshop-default-base-2", &described),
        change(
            "image.web@11112222/ap-guangzhou",
            Action::Delete,
            Some(image(0x11)),
            "webshop-default-web-11112222",
            &old,
        ),
        change(
            "image.web@11112222/ap-shanghai",
            Action::Delete,
            Some(image(0x12)),
            "share with 100000000007",
            &foreign,
        ),
        change(
            "image.web@11112222/ap-shanghai",
            Action::Delete,
            Some(image(0x12)),
            "webshop-default-web-11112222",
            &dropped,
        ),
        change(
            &format!("image.web@{VERSION}/ap-guangzhou"),
            Action::Create,
            None,
            "webshop-default-web-3f9a1c02",
            &capture,
        ),
        change("share.partners@2/ap-guangzhou", Action::Update, Some(image(0x21)), "share.partners", &shares),
        change("fleet.cache[0]", Action::Await, Some(instance(0x31)), "webshop-default-cache-3-1", &under_way),
        change("fleet.cache[1]", Action::Forget, Some(instance(0x32)), "webshop-default-cache-3-2", &vanished),
        change("fleet.db[0]", Action::Replace, Some(instance(0x41)), "webshop-default-db-3-2", &replaced),
        change("fleet.jobs[0]", Action::Update, Some(instance(0x51)), "webshop-default-jobs-3-1", &retyped),
        change("fleet.jobs[1]", Action::Update, Some(instance(0x52)), "webshop-default-jobs-3-2", &retyped),
    ];
    for n in 0..24 {
        let (action, detail) = if n < 20 { (Action::Reset, &reset) } else { (Action::Delete, &gone) };
        let name = format!("webshop-default-web-3-{}", n + 1);
        changes.push(change(&format!("fleet.web[{n}]"), action, Some(instance(ten(n))), &name, detail));
    }
    let ids = |ids: std::ops::Range<u32>| -> Vec<InstanceId> {
        ids.map(|n| InstanceId::new(format!("ins-{:08x}", ten(n)))).collect()
    };
    let known = |n: u32| Some(Arg::Known(instance(n)));
    let steps = vec![
        step(0, &[], Do::Await { region: region() }, &[("fleet.cache[0]", known(0x31))]),
        step(1, &[], Do::Record, &[("fleet.cache[1]", known(0x32))]),
        step(
            2,
            &[],
            call(Body::TerminateInstances { instances: ids(20..24).into_iter().map(Arg::Known).collect() }),
            &[("fleet.web[20]", known(ten(20))), ("fleet.web[21]", known(ten(21)))],
        ),
        step(
            3,
            &[2],
            call(Body::DeleteImages { images: vec![ImageId::new("img-00000011")] }),
            &[("image.web@11112222/ap-guangzhou", Some(Arg::Known(image(0x11))))],
        ),
    ];
    let mut plan = plan(changes, steps);
    plan.peaks = vec![
        Peak { resource: Resource::Images(region()), before: 9, peak: 10, after: 9, limit: 10 },
        Peak { resource: Resource::Images(Region::new("ap-shanghai")), before: 3, peak: 3, after: 2, limit: 10 },
        Peak {
            resource: Resource::Shares(addr("image.base@2/ap-guangzhou")),
            before: 41,
            peak: 41,
            after: 40,
            limit: 50,
        },
    ];
    plan.drift = drifted().drift;
    plan.drift.push(Drift {
        addr: addr("share.partners@2/ap-shanghai"),
        attr: "accounts".to_owned(),
        recorded: list(&["100000000003"]),
        observed: list(&["100000000003", "100000000008"]),
        handling: Handling::Left,
        by: None,
    });
    plan
}

/// A fleet of this many slots, over two zones, that grows from two.
pub(super) fn large(slots: u32) -> Plan {
    let zone = |zone: &str| {
        vec![made("image", text("img-487zeit5")), made("type", text("S5.MEDIUM4")), made("zone", text(zone))]
    };
    let grow = vec![Reason::ScaledUp { from: 2, to: slots }];
    let changes = (2..slots)
        .map(|n| {
            // each slot has a detail of its own here: equal, but not the same
            let (tail, attrs) = if n < slots / 2 { (3, zone("ap-guangzhou-3")) } else { (4, zone("ap-guangzhou-4")) };
            let name = format!("webshop-default-web-{tail}-{}", n + 1);
            change(&format!("fleet.web[{n}]"), Action::Create, None, &name, &detail(grow.clone(), attrs))
        })
        .collect();
    let launches = (slots - 2).div_ceil(500);
    let steps = (0..launches)
        .map(|n| step(n, &[], launch(n * 500 + 3, 500, Arg::Known(ImageId::new("img-487zeit5"))), &[]))
        .collect();
    plan(changes, steps)
}

/// A fleet of this many slots that is destroyed, its zones taking turns.
pub(super) fn torn_down(slots: u32) -> Plan {
    let attrs = |zone: &str| detail(vec![Reason::NotInConfig], vec![attr("zone", text(zone), Value::None)]);
    let zones = [attrs("ap-guangzhou-3"), attrs("ap-guangzhou-4")];
    let changes = (0..slots)
        .map(|n| {
            let name = format!("webshop-default-web-{}-{}", 3 + n % 2, n / 2 + 1);
            change(&format!("fleet.web[{n}]"), Action::Delete, Some(instance(n)), &name, &zones[(n % 2) as usize])
        })
        .collect();
    let steps = (0..slots.div_ceil(100))
        .map(|n| step(n, &[], call(Body::TerminateInstances { instances: Vec::new() }), &[]))
        .collect();
    plan(changes, steps)
}
