//! Fleets that are rolled out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{NOON, VERSION, addr, block, call, instance, launch, plan, region, step, zone};
use crate::cloud::call::{Arg, Body, Installation, StepId};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Name, Version};
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::{Charge, ImageUse, Login, ObjectSpec, SlotNetwork, SlotSpec, SystemDisk};
use crate::model::update::{Check, Health, Hook, HookRun, Moment, Strategy};
use crate::plan::{
    Do, Effect, Gate, HookStep, Mark, NewObject, Plan, RolledZone, RolloutPlan, Settle, Step, Target, Until,
};

/// A slot that is launched anew, its zones taking turns.
fn renewed(n: u32) -> Target {
    let tail = 3 + n % 2;
    let made = NewObject {
        region: region(),
        name: format!("webshop-default-web-{tail}-{}", n / 2 + 1),
        zone: Some(zone(tail)),
        ordinal: Some(n / 2 + 1),
        spec: spec(3),
        version: None,
    };
    Target { addr: addr(&format!("fleet.web[{n}]")), generation: 2, id: None, effect: Effect::Make(Box::new(made)) }
}

fn spec(image: u32) -> Arc<ObjectSpec> {
    Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
        image: match image {
            2 => ImageUse::Made { image: Name::new("web"), version: Version::new("11112222"), generation: 1 },
            _ => ImageUse::Made { image: Name::new("web"), version: Version::new(VERSION), generation: 1 },
        },
        instance_type: InstanceType::new("S5.MEDIUM4"),
        system_disk: SystemDisk::default(),
        data_disks: Vec::new(),
        network: SlotNetwork::default(),
        internet: None,
        login: Login::Unset,
        tags: BTreeMap::new(),
        user_data: None,
        hostname: None,
        charge: Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        on_trial: true,
    })))
}

fn made(id: u32, needs: &[u32], slots: &[u32]) -> Step {
    Step {
        targets: slots.iter().map(|n| renewed(*n)).collect(),
        ..step(id, needs, launch(slots[0] / 2 + 1, 1, Arg::Known(ImageId::new("img-00000003"))), &[])
    }
}

/// What looks at instances that steps before it made: by the slot, the step and its target.
fn gate(id: u32, from: &[(u32, u32, u32)], passed: Phase) -> Step {
    let watched = |(n, step, target): &(u32, u32, u32)| Target {
        id: Some(Arg::Output { step: StepId(*step), target: *target }),
        effect: Effect::Become(spec(3)),
        ..renewed(*n)
    };
    let check = Check::Http { port: 80, path: "/healthz".into(), status: 200, body: Some("ok".into()) };
    let does = Do::Gate(Box::new(Gate {
        fleet: block("fleet.web"),
        region: region(),
        health: Health { check: Some(check), ..Health::default() },
        min_ready_ms: 30_000,
        bake_ms: 600_000,
        most_failures: 1,
        frees: from.iter().map(|(n, ..)| Some(instance(*n))).collect(),
        passed: Some(Mark { phase: passed, canary_passed: true }),
        failed: Some(Phase::TakenBack),
    }));
    Step {
        targets: from.iter().map(watched).collect(),
        settle: Settle { until: Until::Accepted, expected_ms: 640_000, deadline_ms: 1_240_000 },
        ..step(id, &[], does, &[])
    }
}

/// The rollout of a fleet, from one version of its image to the next.
fn row() -> Rollout {
    Rollout {
        block: block("fleet.web"),
        target: Digest::of(context::CONFIG, b"two"),
        to: ImageUse::Made { image: Name::new("web"), version: Version::new(VERSION), generation: 1 },
        before: Some(spec(2)),
        phase: Phase::Running,
        canary_passed: false,
        promoted: false,
        failed: BTreeSet::new(),
        why: String::new(),
        started_ms: NOON,
        changed_ms: NOON,
    }
}

/// A fleet of twenty that is rolled out: a canary, a batch of four, and ten that wait for somebody.
pub(in crate::report) fn rolled() -> Plan {
    let hook = Do::Hook(Box::new(HookStep {
        fleet: block("fleet.web"),
        region: region(),
        moment: Moment::BeforeStop,
        hook: Hook { run: HookRun::Command(vec!["./drain.sh".into(), "--wait".into()]), timeout_ms: 60_000 },
    }));
    let webhook = Do::Hook(Box::new(HookStep {
        fleet: block("fleet.web"),
        region: region(),
        moment: Moment::AfterReady,
        hook: Hook { run: HookRun::Webhook("https://pool.example.com/in?key=hush".into()), timeout_ms: 60_000 },
    }));
    let old =
        |n: u32, step: u32, target: u32| (format!("fleet.web[{n}]"), Some(Arg::Output { step: StepId(step), target }));
    let named = |targets: &[(String, Option<Arg<CloudId>>)]| -> Vec<(&'static str, Option<Arg<CloudId>>)> {
        let name = |at: &str| match at {
            "fleet.web[0]" => "fleet.web[0]",
            "fleet.web[1]" => "fleet.web[1]",
            "fleet.web[2]" => "fleet.web[2]",
            "fleet.web[3]" => "fleet.web[3]",
            _ => "fleet.web[4]",
        };
        targets.iter().map(|(at, id)| (name(at), id.clone())).collect()
    };
    let batch = named(&[old(1, 4, 4), old(2, 4, 5), old(3, 4, 6), old(4, 4, 7)]);
    let handed: Vec<_> =
        (0..4).map(|n| (batch[n].0, Some(Arg::Output { step: StepId(5), target: n as u32 }))).collect();
    let terminate = |ids: &[u32]| {
        let instances = ids.iter().map(|n| Arg::Known(InstanceId::new(format!("ins-{n:08x}")))).collect();
        call(Body::TerminateInstances { instances })
    };
    let steps = vec![
        made(0, &[], &[0]),
        gate(1, &[(0, 0, 0)], Phase::Running),
        step(2, &[1], terminate(&[0]), &named(&[old(0, 1, 1)])),
        made(3, &[1], &[1, 2, 3, 4]),
        gate(4, &[(1, 3, 0), (2, 3, 1), (3, 3, 2), (4, 3, 3)], Phase::Paused),
        step(5, &[4], hook, &batch),
        step(6, &[], terminate(&[1, 2, 3, 4]), &handed),
        step(7, &[4], webhook, &batch),
    ];
    let mut plan = plan(Vec::new(), steps);
    plan.rollouts = vec![RolloutPlan {
        first: 0,
        row: row(),
        strategy: Strategy::Replace,
        why: String::new(),
        batches: vec![1, 4],
        canary: true,
        left: 10,
        zones: vec![
            RolledZone { zone: zone(3), there: 2, to_come: (0..15).step_by(2).collect() },
            RolledZone { zone: zone(4), there: 3, to_come: (1..15).step_by(2).collect() },
        ],
        count: 20,
        least_available: 20,
        most: 24,
    }];
    plan
}

/// A fleet of eight whose disks are formatted: one slot that is lacking, a batch of two, and three that wait for somebody.
pub(in crate::report) fn reset() -> Plan {
    let reset = |id: u32, needs: &[u32], n: u32| {
        let does = call(Body::ResetInstance {
            instance: InstanceId::new(format!("ins-{n:08x}")),
            image: Arg::Known(ImageId::new("img-00000003")),
            with: Box::new(Installation {
                login: Login::Unset,
                user_data: None,
                system_disk_gib: None,
                hostname: None,
            }),
        });
        let target = Target { id: Some(Arg::Known(instance(n))), effect: Effect::Become(spec(3)), ..renewed(n) };
        Step { targets: vec![Target { generation: 1, ..target }], ..step(id, needs, does, &[]) }
    };
    let steps = vec![
        made(0, &[], &[5]),
        gate(1, &[(5, 0, 0)], Phase::Running),
        reset(2, &[1], 0),
        reset(3, &[1], 1),
        gate(4, &[(0, 2, 0), (1, 3, 0)], Phase::Paused),
    ];
    let mut plan = plan(Vec::new(), steps);
    plan.rollouts = vec![RolloutPlan {
        first: 1,
        row: row(),
        strategy: Strategy::Reset,
        why: String::new(),
        batches: vec![2],
        canary: false,
        left: 3,
        zones: vec![
            RolledZone { zone: zone(3), there: 1, to_come: vec![0, 2, 4] },
            RolledZone { zone: zone(4), there: 1, to_come: vec![1, 3, 5] },
        ],
        count: 8,
        least_available: 5,
        most: 8,
    }];
    plan
}
