//! Engines with gates, in a small world: what instances show, by time and number, and what came of a run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::*;
use crate::apply::events::GateNews;
use crate::cloud::budget::Rates;
use crate::cloud::call::{Answer, Arg, Class, Executed, Fault, Launch, Page, Query, Reply};
use crate::model::digest::{Digest, context};
use crate::model::ids::{CloudId, InstanceId, Lineage, Name, RequestId};
use crate::model::observed::{Instance, InstanceState};
use crate::model::recorded::{Origin, RunId};
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::{ImageUse, Login, ObjectSpec, SlotNetwork, SlotSpec, SystemDisk};
use crate::model::update::{Check, Health, Strategy};
use crate::plan::{FORMAT, Gate, Mark, Need, NewObject, RolloutPlan, Scope, Settle, Target, Until};

pub(super) const S: Millis = 1_000;

pub(super) fn fleet() -> Block {
    Block::fleet(&"web".into())
}

pub(super) fn slot(n: u32) -> Addr {
    Addr::slot(fleet(), n)
}

fn new_id(n: u32) -> InstanceId {
    InstanceId::new(format!("ins-new{n}"))
}

pub(super) fn old_id(n: u32) -> InstanceId {
    InstanceId::new(format!("ins-old{n}"))
}

pub(super) fn spec(on_trial: bool) -> Arc<ObjectSpec> {
    Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
        image: ImageUse::Found { id: "img-2".into() },
        instance_type: "S5.MEDIUM4".into(),
        system_disk: SystemDisk::default(),
        data_disks: Vec::new(),
        network: SlotNetwork::default(),
        internet: None,
        login: Login::Unset,
        tags: BTreeMap::new(),
        user_data: None,
        hostname: None,
        charge: crate::model::spec::Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        on_trial,
    })))
}

pub(super) fn call(body: Body) -> Do {
    Do::Call(Call { account: "100000000001".into(), region: "ap-guangzhou".into(), body })
}

pub(super) fn step(id: u32, needs: Vec<Need>, does: Do, targets: Vec<Target>, until: Until) -> Step {
    let settle = Settle { until, expected_ms: 0, deadline_ms: 60 * S };
    Step { id: StepId(id), needs, does, targets, expect: Vec::new(), settle, holds: Vec::new() }
}

pub(super) fn target(n: u32, generation: u32, id: Option<Arg<CloudId>>, effect: Effect) -> Target {
    Target { addr: slot(n), generation, id, effect }
}

pub(super) fn row() -> Rollout {
    Rollout {
        block: fleet(),
        target: Digest::of(context::PLAN, b"two"),
        to: ImageUse::Found { id: "img-2".into() },
        before: None,
        phase: Phase::Running,
        canary_passed: false,
        promoted: false,
        failed: BTreeSet::new(),
        why: String::new(),
        started_ms: 0,
        changed_ms: 0,
    }
}

pub(super) fn gate(count: u32) -> Gate {
    Gate {
        fleet: fleet(),
        region: "ap-guangzhou".into(),
        health: Health { deadline_ms: 60 * S, ..Health::default() },
        min_ready_ms: 10 * S,
        bake_ms: 0,
        most_failures: 0,
        frees: (0..count).map(|n| Some(CloudId::Instance(old_id(n)))).collect(),
        passed: Some(Mark { phase: Phase::Done, canary_passed: true }),
        failed: Some(Phase::Stopped),
    }
}

pub(super) fn http() -> Option<Check> {
    Some(Check::Http { port: 80, path: "/".into(), status: 200, body: None })
}

/// Launches this many, each by a step of its own; looks at them; and lets the old ones go, where the gate passes.
pub(super) fn plan(count: u32, tune: &dyn Fn(&mut Gate)) -> Plan {
    let mut steps = Vec::new();
    for n in 0..count {
        let launch = Launch::of("ap-guangzhou-3".into(), Arg::Known("img-2".into()), "S5.MEDIUM4".into());
        let made = NewObject {
            region: "ap-guangzhou".into(),
            name: format!("web-{n}"),
            zone: Some("ap-guangzhou-3".into()),
            ordinal: Some(n),
            spec: spec(true),
            version: None,
        };
        let targets = vec![target(n, 2, None, Effect::Make(Box::new(made)))];
        steps.push(step(n, Vec::new(), call(Body::RunInstances(Box::new(launch))), targets, Until::Accepted));
    }
    let mut gate = gate(count);
    tune(&mut gate);
    let watched = (0..count)
        .map(|n| target(n, 2, Some(Arg::Output { step: StepId(n), target: 0 }), Effect::Become(spec(false))))
        .collect();
    steps.push(step(count, Vec::new(), Do::Gate(Box::new(gate)), watched, Until::Accepted));
    let old = (0..count)
        .map(|n| target(n, 1, Some(Arg::Output { step: StepId(count), target: count + n }), Effect::Remove))
        .collect();
    let body = Body::TerminateInstances { instances: (0..count).map(old_id).map(Arg::Known).collect() };
    let needs = vec![Need::Success(StepId(count))];
    steps.push(step(count + 1, needs, call(body), old, Until::Accepted));
    whole(steps, row())
}

pub(super) fn whole(steps: Vec<Step>, row: Rollout) -> Plan {
    Plan {
        format: FORMAT,
        lineage: Lineage::new("a"),
        serial: 1,
        origin: Origin { endpoint: "embedded".into(), account: "100000000001".into(), project: Name::new("shop") },
        env: Name::new("default"),
        config_digest: Digest::of(context::CONFIG, b""),
        as_of_ms: 0,
        destroy: false,
        from_memory: false,
        refresh_only: false,
        scope: Scope::All,
        lookups: Vec::new(),
        changes: Vec::new(),
        drift: Vec::new(),
        steps,
        edges: BTreeSet::new(),
        peaks: Vec::new(),
        rollouts: vec![RolloutPlan {
            first: 0,
            row,
            strategy: Strategy::Replace,
            why: String::new(),
            batches: vec![1],
            canary: false,
            left: 0,
            zones: Vec::new(),
            count: 1,
            least_available: 1,
            most: 2,
        }],
        assumptions: Vec::new(),
        floor: None,
        notes: Vec::new(),
    }
}

/// What instances show, by time and number.
pub(super) struct World {
    /// `None`: it is not listed.
    pub(super) state: Box<dyn Fn(Millis, u32) -> Option<InstanceState>>,
    pub(super) probe: Box<dyn Fn(Millis, u32) -> Result<(), String>>,
    /// Which launches are refused.
    pub(super) refused: BTreeSet<u32>,
    pub(super) hook: Result<(), String>,
    /// What comes from outside, and when.
    pub(super) outside: Vec<(Millis, Event)>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            state: Box::new(|_, _| Some(InstanceState::Running)),
            probe: Box::new(|_, _| Ok(())),
            refused: BTreeSet::new(),
            hook: Ok(()),
            outside: Vec::new(),
        }
    }
}

/// What a run was like.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) records: Vec<Record>,
    pub(super) told: Vec<(Millis, Progress)>,
    pub(super) describes: Vec<(Millis, Vec<String>)>,
    pub(super) probes: Vec<(Millis, String)>,
    pub(super) terminated: Vec<String>,
    pub(super) launches: u32,
    pub(super) outcome: Outcome,
    pub(super) ended_ms: Millis,
}

impl Ran {
    pub(super) fn row(&self) -> Rollout {
        let row = |record: &Record| if let Record::Rollout(row) = record { Some(row.as_ref().clone()) } else { None };
        self.records.iter().rev().find_map(row).expect("a row")
    }

    /// Which slots were entered as off trial, in the end.
    pub(super) fn off_trial(&self) -> BTreeSet<u32> {
        let mut off = BTreeSet::new();
        for record in &self.records {
            if let Record::Change { addr, spec: Some(spec), .. } = record
                && let (Some(slot), ObjectSpec::Slot(spec)) = (addr.slot, spec.as_ref())
            {
                if spec.on_trial {
                    off.remove(&slot)
                } else {
                    off.insert(slot)
                };
            }
        }
        off
    }

    pub(super) fn news(&self) -> Vec<(Millis, GateNews)> {
        let news = |(at, event): &(Millis, Progress)| {
            if let Progress::Gate { news, .. } = event { Some((*at, news.clone())) } else { None }
        };
        self.told.iter().filter_map(news).collect()
    }

    pub(super) fn failures(&self) -> Vec<(String, &str)> {
        self.outcome.failed.iter().map(|(addr, why)| (addr.to_string(), why.as_str())).collect()
    }
}

pub(super) fn run(plan: &Plan, world: &World) -> Ran {
    let set = Settings {
        run: RunId(1),
        account: "100000000001".into(),
        seed: [0; 32],
        visible_ms: 0,
        window_ms: 0,
        token_horizon_ms: 0,
        most_calls: 8,
        fresh_ms: 30 * S,
        observed_ms: 0,
        cloud_offset_ms: 0,
        budgets: Budgets::new(Rates::None, []),
        most_tries: 0,
    };
    let mut engine = Engine::run(set, plan, OpId(1));
    let mut ran = Ran::default();
    let mut events = VecDeque::from([Event::Woke]);
    let mut outside: VecDeque<(Millis, Event)> = world.outside.iter().cloned().collect();
    let (mut now, mut wake, mut turns) = (0, None, 0);
    loop {
        turns += 1;
        assert!(turns < 100_000, "the engine goes in circles");
        while let Some((_, event)) = outside.pop_front_if(|(at, _)| *at <= now) {
            events.push_back(event);
        }
        let Some(event) = events.pop_front() else {
            let next = [wake, outside.front().map(|(at, _)| *at)].into_iter().flatten().min();
            now = next.expect("something to wait for").max(now);
            wake = wake.filter(|at| *at > now);
            events.push_back(Event::Woke);
            continue;
        };
        let mut out = Vec::new();
        engine.on(now, event, &mut out);
        for command in out {
            match command {
                Command::Commit(seq, records) => {
                    ran.records.extend(records);
                    events.push_back(Event::Committed(seq));
                }
                Command::Send { id, call, .. } => {
                    events.push_back(Event::Replied(id, answer(now, &call, world, &mut ran)));
                }
                Command::Probe(id, probe) => {
                    assert_eq!(probe.timeout_ms, 5 * S);
                    ran.probes.push((now, probe.address.as_str().to_owned()));
                    events.push_back(Event::Probed(id, (world.probe)(now, number(probe.instance.as_str()))));
                }
                Command::Hook(id, call) => {
                    assert_eq!(call.fleet, fleet());
                    events.push_back(Event::Hooked(id, world.hook.clone()));
                }
                Command::Wake(at) => wake = Some(at),
                Command::Tell(progress) => ran.told.push((now, progress)),
                Command::End(outcome) => {
                    (ran.outcome, ran.ended_ms) = (outcome, now);
                    return ran;
                }
            }
        }
    }
}

fn number(id: &str) -> u32 {
    id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is asked in these plans")]
pub(super) fn answer(now: Millis, call: &Call, world: &World, ran: &mut Ran) -> Result<Answer, Fault> {
    let reply = match &call.body {
        Body::RunInstances(_) => {
            let n = ran.launches;
            ran.launches += 1;
            launch(n, world)?
        }
        Body::TerminateInstances { instances } => {
            ran.terminated.extend(instances.iter().filter_map(Arg::known).map(ToString::to_string));
            Reply::Done
        }
        Body::Describe(Query::InstancesById { ids }) => {
            ran.describes.push((now, ids.iter().map(ToString::to_string).collect()));
            let items: Vec<Instance> = ids
                .iter()
                .filter_map(|id| {
                    let n = number(id.as_str());
                    let state = (world.state)(now, n)?;
                    let addresses = vec![format!("10.0.0.{n}").as_str().into()];
                    Some(Instance { state, addresses, private_addresses: 1, ..Instance::sample(id.as_str()) })
                })
                .collect();
            Reply::Instances(Page { total: 0, items })
        }
        other => panic!("{other:?}"),
    };
    Ok(Answer { reply, request_id: RequestId::new("r"), cloud_ms: now })
}

fn launch(n: u32, world: &World) -> Result<Reply, Fault> {
    if world.refused.contains(&n) {
        return Err(Fault {
            class: Class::Stock,
            code: None,
            message: "sold out".into(),
            request_id: None,
            executed: Executed::No,
            cloud_ms: None,
        });
    }
    Ok(Reply::Ids(vec![CloudId::Instance(new_id(n))]))
}
