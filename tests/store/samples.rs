//! Values with something in every field, and some with nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright::cloud::call::{Arg, Body, Call, Class, Executed, Fault, Launch, StepId};
use fleetwright::model::addr::{Addr, Block, Kind, ModuleStep, Part};
use fleetwright::model::digest::{Digest, SecretKey, SecretRef, SecretSource, context};
use fleetwright::model::ids::{CloudId, ImageId, InstanceId, Lineage, Name, Region, Uin, Version, Zone};
use fleetwright::model::recorded::{Object, OpId, Origin, RunId, Status, VersionRecord};
use fleetwright::model::rollout::{Phase, Rollout};
use fleetwright::model::spec::{
    DataDisk, ImageCopySpec, ImageUse, Inputs, Internet, InternetCharge, Login, ObjectSpec, ShareCopySpec, SlotNetwork,
    SlotSpec, SystemDisk,
};
use fleetwright::plan::{Do, Effect, Fact, Hold, Need, NewObject, Resource, Settle, Step, Target, Until};
use fleetwright::store::{Holder, NewRun, OpRecord, OpState, Packed, PauseWish};

pub(crate) const SECRET: &str = "#!/bin/sh\necho hunter2\n";

pub(crate) fn lineage() -> Lineage {
    Lineage::new("0198c0de-lineage")
}

pub(crate) fn holder(who: &str) -> Holder {
    Holder { who: who.to_owned(), host: "laptop".to_owned(), pid: 4711, started: u64::MAX - 1 }
}

pub(crate) fn region() -> Region {
    Region::new("ap-guangzhou")
}

pub(crate) fn zone() -> Zone {
    Zone::new("ap-guangzhou-3")
}

pub(crate) fn uin(n: u32) -> Uin {
    Uin::new(format!("10000000{n:04}"))
}

pub(crate) fn instance(n: u32) -> CloudId {
    CloudId::Instance(InstanceId::new(format!("ins-{n:08}")))
}

pub(crate) fn image(n: u32) -> CloudId {
    CloudId::Image(ImageId::new(format!("img-{n:08}")))
}

fn image_id(n: u32) -> ImageId {
    ImageId::new(format!("img-{n:08}"))
}

pub(crate) fn secret() -> SecretRef {
    SecretKey::of(&lineage()).refer(SecretSource::File("provision.sh".into()), SECRET.as_bytes())
}

pub(crate) fn fleet() -> Block {
    Block::fleet(&Name::new("web"))
}

/// A block within modules, with keys that need quoting.
pub(crate) fn nested() -> Block {
    Block {
        modules: Arc::new([
            ModuleStep { name: Name::new("shop"), key: Some("a\"b\\c".into()) },
            ModuleStep { name: Name::new("inner"), key: None },
        ]),
        kind: Kind::Fleet,
        name: Name::new("web"),
        key: Some("gz".into()),
    }
}

pub(crate) fn slot_spec(n: u32) -> Arc<ObjectSpec> {
    let full = n.is_multiple_of(2);
    Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
        image: if full {
            ImageUse::Made { image: Name::new("web"), version: Version::new("3f9a1c02"), generation: 1 + n }
        } else {
            ImageUse::Found { id: image_id(n) }
        },
        instance_type: "S5.MEDIUM4".into(),
        system_disk: SystemDisk { kind: Some("CLOUD_PREMIUM".into()), size_gib: full.then_some(50) },
        data_disks: vec![DataDisk { kind: "CLOUD_SSD".into(), size_gib: 10 * (n + 1) }],
        network: SlotNetwork {
            subnet: full.then(|| ("vpc-1".into(), "subnet-1".into())),
            security_groups: full.then(|| BTreeSet::from(["sg-1".into(), "sg-2".into()])),
        },
        internet: full.then_some(Internet {
            charge: InternetCharge::TrafficPostpaidByHour,
            bandwidth_mbps: 5,
            public_ip: true,
        }),
        login: if full { Login::Keys(BTreeSet::from(["skey-1".into()])) } else { Login::KeepImage },
        tags: BTreeMap::from([("app".into(), "w\u{e9}b".into())]),
        user_data: full.then(secret),
        hostname: None,
        charge: fleetwright::model::spec::Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        // Of none that the fixtures hold, which were written before there was such a thing.
        on_trial: n % 9 == 8,
    })))
}

pub(crate) fn copy_spec(n: u32) -> Arc<ObjectSpec> {
    Arc::new(ObjectSpec::Image(ImageCopySpec {
        description: Some(format!("nr {n}")),
        tags: BTreeMap::new(),
        ..ImageCopySpec::default()
    }))
}

pub(crate) fn share_spec(n: u32) -> Arc<ObjectSpec> {
    Arc::new(ObjectSpec::Share(ShareCopySpec { accounts: (3..=3 + n).map(uin).collect() }))
}

/// One of the objects that a state may hold: slots, copies of an image, their shares, and a builder.
pub(crate) fn object(which: u32, generation: u32, salt: u32) -> Object {
    let id = which * 1000 + generation * 100 + salt;
    let image_block = Block::image(&Name::new("web"));
    let version = Version::new("3f9a1c02");
    let (addr, cloud_id, spec, slot) = match which % 6 {
        0 => (Addr::slot(fleet(), which), instance(id), slot_spec(salt), true),
        1 => (Addr::slot(nested(), which), instance(id), slot_spec(salt), true),
        2 => (Addr::copy(image_block, version, region()), image(id), copy_spec(salt), false),
        3 => (Addr::copy(image_block, version, "ap-shanghai".into()), image(id), copy_spec(salt), false),
        4 => {
            let block = Block::share(&Name::new("partners"));
            (Addr::copy(block, version, region()), image(2000 + generation * 100), share_spec(salt), false)
        }
        _ => {
            let builder = Addr { version: Some(version), part: Some(Part::Builder), ..Addr::of(image_block) };
            (builder, instance(id), slot_spec(salt), true)
        }
    };
    Object {
        name: format!("webshop-prod-{which}"),
        addr,
        generation,
        region: region(),
        cloud_id,
        zone: slot.then(zone),
        ordinal: slot.then_some(which + 1),
        status: Status::ALL[(salt % 4) as usize],
        spec,
        made_from: slot.then(|| image_id(salt)),
        accepted_ms: 1_700_000_000_000 + i64::from(salt),
        made_by: None,
    }
}

pub(crate) fn version(n: u32) -> VersionRecord {
    let inputs = Inputs {
        instance: (!n.is_multiple_of(2)).then(|| InstanceId::new("ins-r8hr2upy")),
        base: Some(ImageUse::Found { id: image_id(n) }),
        user_data: secret().content.map(|_| secret().digest),
        system_disk: SystemDisk::default(),
        data_disks: Vec::new(),
        import: None,
        encryption: None,
    };
    VersionRecord {
        block: Block::image(&Name::new("web")),
        version: Version::new(format!("2026-11-{n:02}")),
        generation: 1 + n % 3,
        inputs_digest: Digest::of_value(context::INPUTS, &inputs),
        inputs,
        made_ms: i64::from(n),
    }
}

/// A rollout of one of two fleets, in any phase.
pub(crate) fn rollout(which: u32, n: u32) -> Rollout {
    let version = |text: &str| ImageUse::Made { image: Name::new("web"), version: Version::new(text), generation: 1 };
    let phase = Phase::ALL[(n as usize) % Phase::ALL.len()];
    Rollout {
        block: if which.is_multiple_of(2) { fleet() } else { nested() },
        target: Digest::of(context::CONFIG, &n.to_le_bytes()),
        to: version("77b2d01e"),
        before: (!n.is_multiple_of(3)).then(|| slot_spec(n)),
        phase,
        canary_passed: n.is_multiple_of(2),
        promoted: n.is_multiple_of(5),
        failed: (0..n % 4).collect(),
        why: if phase == Phase::Running { String::new() } else { format!("“{n}” failed") },
        started_ms: 1_700_000_000_000,
        changed_ms: 1_700_000_000_000 + i64::from(n),
    }
}

/// Somebody wants the rollout of one of two fleets to pause.
pub(crate) fn wish(which: u32) -> PauseWish {
    PauseWish { block: rollout(which, 0).block, who: "bob".into(), host: "server".into(), asked_ms: 1_700_000_000_009 }
}

pub(crate) fn origin() -> Origin {
    Origin { endpoint: "embedded".into(), account: uin(1), project: Name::new("webshop") }
}

pub(crate) fn edges(n: u32) -> BTreeSet<(Block, Block)> {
    let all = [
        (fleet(), Block::image(&Name::new("web"))),
        (nested(), Block::image(&Name::new("web"))),
        (Block::share(&Name::new("partners")), Block::image(&Name::new("web"))),
    ];
    (0_u32..).zip(all).filter(|(bit, _)| n >> bit & 1 == 1).map(|(_, edge)| edge).collect()
}

/// A plan, as far as the store looks at it.
pub(crate) const PLAN: &str = "{\"format\":1}";

pub(crate) fn plan() -> Packed {
    Packed::of(context::PLAN, &BTreeMap::from([("format", 1)]))
}

pub(crate) fn run() -> NewRun {
    NewRun {
        kind: "apply",
        who: "ann".into(),
        host: "laptop".into(),
        started_ms: 5,
        config_digest: Some(Digest::of(context::CONFIG, b"config")),
        git_rev: Some("3f9a1c".into()),
        plan: Some(plan()),
    }
}

pub(crate) fn fault() -> Fault {
    Fault {
        class: Class::Stock,
        code: Some("ResourceInsufficient".into()),
        message: "sold out".into(),
        request_id: Some("req-9".into()),
        executed: Executed::No,
        cloud_ms: Some(7),
    }
}

/// A launch with a target of every effect.
pub(crate) fn step(n: u32) -> Step {
    let launch = Launch {
        name_prefix: "webshop-prod-web-3-".into(),
        first_ordinal: 1,
        count: 5,
        tags: BTreeMap::from([("fleetwright".into(), "webshop/prod/fleet.web".into())]),
        user_data: Some(secret()),
        token: Some(format!("token-{n}")),
        ..Launch::of(zone(), Arg::Known(image_id(1)), "S5.MEDIUM4".into())
    };
    let target = |slot: u32, id, effect| Target { addr: Addr::slot(nested(), slot), generation: 1 + n, id, effect };
    let new = |version| NewObject {
        region: region(),
        name: format!("webshop-prod-web-3-{n}"),
        zone: Some(zone()),
        ordinal: Some(n),
        spec: slot_spec(n),
        version,
    };
    Step {
        id: StepId(n),
        needs: vec![Need::Success(StepId(1)), Need::Over(StepId(2))],
        does: match n % 3 {
            0 => Do::Call(Call { account: uin(1), region: region(), body: Body::RunInstances(Box::new(launch)) }),
            1 => Do::Await { region: region() },
            _ => Do::Record,
        },
        targets: vec![
            target(0, None, Effect::Make(Box::new(new(None)))),
            target(1, None, Effect::Make(Box::new(new(Some(Box::new(version(n))))))),
            target(2, Some(Arg::Known(instance(n))), Effect::Become(slot_spec(n + 1))),
            target(3, Some(Arg::Output { step: StepId(1), target: 3 }), Effect::Remove),
            target(4, Some(Arg::Known(image(n))), Effect::Arrive),
            target(5, None, Effect::Nothing),
        ],
        expect: vec![Fact::NameFree { region: region(), name: "x".into() }],
        settle: Settle { until: Until::Age(5), expected_ms: 10, deadline_ms: 100 },
        holds: vec![Hold { resource: Resource::Instances(region(), zone()), at_start: 5, at_end: -5 }],
    }
}

/// A new operation.
pub(crate) fn op(id: i64, run: RunId, n: u32) -> OpRecord {
    let step = step(n);
    let ids = step
        .targets
        .iter()
        .map(|target| match &target.id {
            Some(Arg::Known(id)) => Some(id.clone()),
            Some(Arg::Output { .. }) | None => None,
        })
        .collect();
    OpRecord {
        id: OpId(id),
        run,
        attempt: 0,
        intended_ms: 10,
        cloud_ms: 11,
        sent_ms: None,
        state: OpState::Intended,
        request_id: None,
        unbound: Vec::new(),
        ids,
        outcomes: vec![None; step.targets.len()],
        step,
    }
}
