//! What is under way of an apply, as a value that follows its events. `live_table` shows it.
//!
//! It counts: what is kept grows with what is under way and with the number of steps, not with what has settled; but of
//! fleets that are rolled out, each slot is known.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::apply::events::{GateNews, Progress, Settled};
use crate::cloud::call::StepId;
use crate::model::Millis;
use crate::model::addr::{Addr, Block};
use crate::model::ids::Region;
use crate::model::recorded::OpId;
use crate::plan::estimate::{Foreseen, Measured, foresee};
use crate::plan::{Do, Plan};

use super::fold::Folding;
use super::live_rollout::LiveRollout;
use super::words;

/// What is under way.
#[derive(Clone, Debug)]
pub struct LiveState {
    pub(super) started_ms: Millis,
    /// Whether a plan is carried out; before, an interrupted run may be recovered.
    pub(super) planned: bool,
    /// By step.
    foreseen: Vec<Foreseen>,
    pub(super) totals: Totals,
    /// By their age.
    groups: BTreeMap<u64, Group>,
    by_kind: BTreeMap<Kind, u64>,
    running: BTreeMap<Doing, Running>,
    next_group: u64,
    pub(super) rollouts: Vec<LiveRollout>,
    /// Until when gates bake.
    bakes: BTreeMap<StepId, Millis>,
    pub(super) waiting: Option<(String, Millis)>,
    /// Calls under way when somebody wanted it to stop.
    pub(super) stopping: Option<usize>,
}

/// Of all targets of all steps, and of all calls that change something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    pub(super) targets: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    pub(super) under_way: usize,
    pub(super) calls: usize,
    pub(super) calls_planned: usize,
}

impl Totals {
    /// Targets whose turn has not come.
    pub(super) fn waiting(self) -> usize {
        let Self { targets, done, failed, skipped, under_way, calls: _, calls_planned: _ } = self;
        targets.saturating_sub(done + failed + skipped + under_way)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Doing {
    Step(StepId),
    Op(OpId),
}

/// What is shown in one row: the same, done to things of the same block in the same place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    action: &'static str,
    region: Option<Region>,
    block: Option<Block>,
    until: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    kind: Kind,
    what: Folding,
    text: OnceCell<String>,
    pub(super) since_ms: Millis,
    pub(super) expected_ms: Millis,
    pub(super) targets: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) percent: Option<u8>,
    /// The attempt, and when it is made.
    pub(super) again: Option<(u32, Millis)>,
    /// Steps of it that are not over.
    open: usize,
}

/// The most ranges that a row spells out.
const MAX_RANGES: usize = 3;

impl Group {
    /// The API's action, or what is waited for.
    pub(super) fn action(&self) -> String {
        match (self.kind.action, &self.kind.until) {
            ("Await" | "Gate" | "Hook", Some(until)) => until_words(self.kind.action, until),
            ("Await", None) => "until settled".to_owned(),
            (action, _) => action.to_owned(),
        }
    }

    pub(super) fn word(&self) -> &'static str {
        self.kind.action
    }

    pub(super) fn what(&self) -> &str {
        self.text.get_or_init(|| self.what.texts(MAX_RANGES).join(", "))
    }
}

fn until_words(action: &str, until: &str) -> String {
    if action == "Hook" { until.to_owned() } else { format!("until {until}") }
}

#[derive(Clone, Copy, Debug)]
struct Running {
    group: u64,
    since_ms: Millis,
    /// Targets without an outcome.
    open: usize,
}

impl LiveState {
    /// For an apply that starts at `started_ms`, by the clock that the events come with.
    #[must_use]
    pub fn new(started_ms: Millis) -> Self {
        Self {
            started_ms,
            planned: false,
            foreseen: Vec::new(),
            totals: Totals::default(),
            groups: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            running: BTreeMap::new(),
            next_group: 0,
            rollouts: Vec::new(),
            bakes: BTreeMap::new(),
            waiting: None,
            stopping: None,
        }
    }

    /// A plan is carried out from now on, and this is how long its actions took before.
    pub fn follow(&mut self, now_ms: Millis, plan: &Plan, measured: &Measured) {
        *self = Self::new(now_ms);
        self.planned = true;
        self.foreseen = foresee(plan, measured);
        self.rollouts = LiveRollout::of(plan);
        for step in plan.steps.iter().filter(|step| !step.only_waits()) {
            self.totals.targets += step.targets.len();
            self.totals.calls_planned += usize::from(matches!(step.does, Do::Call(_)));
        }
    }

    /// Takes in what happened. `until`: what a step that waits waits for.
    pub fn note(&mut self, now_ms: Millis, event: &Progress, until: Option<&str>) {
        match event {
            Progress::Recovering { op, action, addrs, why: _ } => {
                self.waiting = None;
                self.begin(now_ms, Doing::Op(*op), (action, None, None), addrs, 0);
            }
            Progress::Recovered { op, action: _, addrs } => {
                self.waiting = None;
                self.count(Doing::Op(*op), addrs.len(), true);
                self.over(Doing::Op(*op));
            }
            Progress::Waiting { why, until_ms } => self.waiting = Some((why.clone(), *until_ms)),
            Progress::Stopping { under_way, at_once: _ } => self.stopping = Some(*under_way),
            Progress::Started { step, action, region, addrs } => {
                let expected_ms = self.foreseen.get(step.0 as usize).map_or(0, |step| step.expected_ms);
                self.begin(now_ms, Doing::Step(*step), (action, region.as_ref(), until), addrs, expected_ms);
                self.rollouts.iter_mut().for_each(|rollout| rollout.began(*step, addrs.len()));
            }
            Progress::Gate { step, fleet: _, news } => {
                if let GateNews::Baking { until_ms } = news {
                    self.bakes.insert(*step, *until_ms);
                }
                self.rollouts.iter_mut().for_each(|rollout| rollout.note(*step, news));
            }
            Progress::Sent { step, action: _, region: _, attempt } => {
                self.totals.calls += usize::from(*attempt == 1);
                self.waiting = None;
                if let Some(group) = self.group(Doing::Step(*step)) {
                    group.again = None;
                }
            }
            Progress::Accepted { .. } => {}
            Progress::Retrying { step, action: _, fault: _, in_ms, attempt } => {
                if let Some(group) = self.group(Doing::Step(*step)) {
                    group.again = Some((attempt + 1, now_ms + in_ms));
                }
            }
            Progress::Percent { step, action: _, percent } => {
                if let Some(group) = self.group(Doing::Step(*step)) {
                    group.percent = Some(*percent);
                }
            }
            Progress::Settled { step, action: _, targets } => {
                self.totals.done += if self.planned { targets.len() } else { 0 };
                self.count(Doing::Step(*step), targets.len(), true);
                self.roll(*step, targets, true);
            }
            Progress::Failed { step, action: _, targets, why: _ } => {
                self.totals.failed += if self.planned { targets.len() } else { 0 };
                self.fall(Doing::Step(*step), targets.len());
                self.count(Doing::Step(*step), targets.len(), false);
                self.roll(*step, targets, false);
            }
            Progress::Skipped { step: _, addrs, because: _ } => self.totals.skipped += addrs.len(),
            Progress::Done { step, .. } => {
                self.bakes.remove(step);
                self.over(Doing::Step(*step));
            }
        }
    }

    fn group(&mut self, doing: Doing) -> Option<&mut Group> {
        let group = self.running.get(&doing)?.group;
        self.groups.get_mut(&group)
    }

    fn begin(
        &mut self,
        now_ms: Millis,
        doing: Doing,
        (action, region, until): (&'static str, Option<&Region>, Option<&str>),
        addrs: &[Addr],
        expected_ms: Millis,
    ) {
        if self.running.contains_key(&doing) {
            return;
        }
        let block = addrs.first().map(|addr| addr.block.clone());
        let kind = Kind { action, region: region.cloned(), block, until: until.map(str::to_owned) };
        let next = self.next_group;
        let number = *self.by_kind.entry(kind.clone()).or_insert(next);
        self.next_group += u64::from(number == next);
        let group = self.groups.entry(number).or_insert_with(|| Group {
            kind,
            what: Folding::default(),
            text: OnceCell::new(),
            since_ms: now_ms,
            expected_ms: 0,
            targets: 0,
            done: 0,
            failed: 0,
            percent: None,
            again: None,
            open: 0,
        });
        addrs.iter().for_each(|addr| group.what.add(addr));
        group.text = OnceCell::new();
        group.targets += addrs.len();
        group.open += 1;
        group.expected_ms = group.expected_ms.max(now_ms - group.since_ms + expected_ms);
        self.totals.under_way += addrs.len();
        self.running.insert(doing, Running { group: number, since_ms: now_ms, open: addrs.len() });
    }

    /// Targets of something that is under way have an outcome.
    fn count(&mut self, doing: Doing, targets: usize, well: bool) {
        let Some(running) = self.running.get_mut(&doing) else { return };
        let targets = targets.min(running.open);
        running.open -= targets;
        self.totals.under_way = self.totals.under_way.saturating_sub(targets);
        if let Some(group) = self.groups.get_mut(&running.group) {
            let counter = if well { &mut group.done } else { &mut group.failed };
            *counter += targets;
        }
    }

    /// Of targets that fail, more than have no outcome yet: the others had settled, and did not stay as they were.
    fn fall(&mut self, doing: Doing, targets: usize) {
        let Some(running) = self.running.get(&doing) else { return };
        let fallen = targets.saturating_sub(running.open);
        self.totals.done = self.totals.done.saturating_sub(fallen);
        if let Some(group) = self.groups.get_mut(&running.group) {
            group.done = group.done.saturating_sub(fallen);
            group.failed += fallen;
        }
    }

    fn roll(&mut self, step: StepId, targets: &[Settled], well: bool) {
        for rollout in &mut self.rollouts {
            rollout.settled(step, targets.iter().map(|(addr, _)| addr), well);
        }
    }

    fn over(&mut self, doing: Doing) {
        let Some(running) = self.running.remove(&doing) else { return };
        self.totals.under_way = self.totals.under_way.saturating_sub(running.open);
        let Some(group) = self.groups.get_mut(&running.group) else { return };
        group.open -= 1;
        if group.open == 0 {
            self.by_kind.remove(&group.kind);
            self.groups.remove(&running.group);
        }
    }

    /// What is under way, the oldest first.
    pub(super) fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// What is waited for, and until when, while nothing else can be done.
    pub(super) fn wait(&self, now_ms: Millis) -> Option<(&str, Millis)> {
        let (why, until_ms) = self.waiting.as_ref()?;
        (*until_ms > now_ms).then_some((why.as_str(), *until_ms))
    }

    /// How long it takes from now on, as a rule: the longest way through what is left. `None`: the plan does not say.
    pub(super) fn left_ms(&self, now_ms: Millis) -> Option<Millis> {
        self.left_of(now_ms, |_| true)
    }

    /// The same of what is done to things of one block, and what comes after it.
    pub(super) fn block_left_ms(&self, now_ms: Millis, block: &Block) -> Option<Millis> {
        self.left_of(now_ms, |group| group.kind.block.as_ref() == Some(block))
    }

    fn left_of(&self, now_ms: Millis, counts: impl Fn(&Group) -> bool) -> Option<Millis> {
        let left = |(doing, running): (&Doing, &Running)| match doing {
            Doing::Op(_) => 0,
            Doing::Step(step) => {
                let Foreseen { expected_ms, after_ms, next: _ } =
                    self.foreseen.get(step.0 as usize).copied().unwrap_or_default();
                let expected_ms = expected_ms - (now_ms - running.since_ms);
                // What bakes ends when it is said to, however late it began to.
                let bakes_ms = self.bakes.get(step).map_or(0, |until_ms| until_ms - now_ms);
                expected_ms.max(bakes_ms).max(0) + after_ms
            }
        };
        let counts = |(_, running): &(&Doing, &Running)| self.groups.get(&running.group).is_some_and(&counts);
        self.running.iter().filter(counts).map(left).max().filter(|left| *left > 0)
    }

    /// What is still under way, in a sentence: for a log in which nothing was said for a while.
    #[must_use]
    pub fn still(&self, now_ms: Millis) -> Option<String> {
        const MOST_NAMED: usize = 3;
        let mut parts: Vec<String> = Vec::new();
        let mut named = BTreeSet::new();
        for group in self.groups().take(MOST_NAMED) {
            let mut part = format!("{}  {}", group.what(), group.action());
            if let Some(far) = super::live_table::how_far(group, now_ms) {
                part.push_str(&format!(", {far}"));
            }
            part.push_str(&format!(", for {}", words::span(now_ms - group.since_ms)));
            if named.insert(part.clone()) {
                parts.push(part);
            }
        }
        if let Some(more) = self.groups.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            parts.push(format!("and {more} more"));
        }
        if let Some((why, until_ms)) = self.wait(now_ms) {
            let another = format!("waiting for another {}", words::span(until_ms - now_ms));
            // Why was said when the wait began.
            parts.push(if parts.is_empty() { format!("{another}: {why}") } else { another });
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
