//! Rollouts of all settings, in every order that their plans allow, cut short anywhere, with gates that are not passed:
//! never fewer instances than the fleet may be without, never more than it may have beside, and in the end all is as the
//! config says, or as it was.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fleetwright::cloud::call::Body;
use fleetwright::model::addr::Block;
use fleetwright::model::ids::{Name, Zone};
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::{Instance, InstanceState, Seen};
use fleetwright::model::recorded::Recorded;
use fleetwright::model::rollout::Phase;
use fleetwright::model::spec::ObjectSpec;
use fleetwright::model::update::Update;
use fleetwright::plan::{Do, Plan, RolloutPlan, Step};
use proptest::prelude::*;

use crate::world::{World, desired};

/// A fleet, its image's script, and how it is updated.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) count: u32,
    pub(crate) script: u32,
    /// Whether its tags change with the script.
    pub(crate) tagged: bool,
    pub(crate) update: String,
}

impl Shop {
    pub(crate) fn new(count: u32, update: impl Into<String>) -> Self {
        Self { count, script: 1, tagged: false, update: update.into() }
    }

    pub(crate) fn yaml(&self) -> String {
        let mut yaml = String::from("project: shop\ncloud: { provider: embedded, region: ap-guangzhou }\nimages:\n");
        writeln!(yaml, "  ubuntu: {{ public: {{ name: Ubuntu }} }}").expect("a text");
        writeln!(
            yaml,
            "  web: {{ from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"v{}\", keep: 2 }}\nfleets:",
            self.script
        )
        .expect("a text");
        let place = "type: S5.MEDIUM4, login: { key_ids: [skey-0a1b2c3d] }";
        writeln!(
            yaml,
            "  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], user_data: {{ text: \"{}\" }}, {place} }}",
            self.script
        )
        .expect("a text");
        writeln!(
            yaml,
            "  web: {{ image: web, count: {}, zones: [ap-guangzhou-3, ap-guangzhou-4], {place}, tags: {{ round: \"{}\" }}, \
             update: {{ {} }} }}",
            self.count,
            if self.tagged { self.script } else { 1 },
            self.update
        )
        .expect("a text");
        yaml
    }

    pub(crate) fn update(&self) -> Update {
        desired(&self.yaml()).fleets.remove(&Name::new("web")).expect("a fleet").update
    }
}

fn amount(most: u32) -> impl Strategy<Value = String> {
    prop_oneof![(1..=most).prop_map(|n| n.to_string()), (1_u32..=100).prop_map(|n| format!("{n}%"))]
}

fn update() -> impl Strategy<Value = String> {
    let sizes = (prop::option::of(amount(3)), prop::option::of(amount(3)), prop::option::of(amount(4)));
    let ways = (
        prop::sample::select(vec!["replace", "reset", "auto"]),
        prop::sample::select(vec!["none", "after_canary", "every_batch"]),
        prop::sample::select(vec!["stop", "rollback"]),
        prop::sample::select(vec!["zones", "slots"]),
    );
    let looks = (prop::option::of(amount(3)), any::<bool>(), any::<bool>());
    (sizes, ways, looks).prop_map(
        |((surge, down, batch), (strategy, pause, failure, order), (canary, bakes, waits))| {
            let mut words = vec![format!("strategy: {strategy}"), format!("order: {order}")];
            words.extend(surge.filter(|_| strategy != "reset").map(|surge| format!("max_surge: {surge}")));
            words.extend(down.map(|down| format!("max_unavailable: {down}")));
            words.extend(batch.map(|batch| format!("batch: {batch}")));
            if pause != "after_canary" || canary.is_some() {
                words.push(format!("pause: {pause}"));
            }
            words.extend(canary.map(|canary| format!("canary: {canary}")));
            words.push(format!("on_failure: {failure}"));
            words.extend(bakes.then(|| "bake: 1m".to_owned()));
            words.extend(waits.then(|| "min_ready: 10s".to_owned()));
            words.join(", ")
        },
    )
}

fn shop() -> impl Strategy<Value = Shop> {
    (1_u32..8, any::<bool>(), update()).prop_map(|(count, tagged, update)| Shop { tagged, ..Shop::new(count, update) })
}

/// How many instances of the fleet are out of service within a step.
fn away(step: &Step) -> usize {
    let resets = matches!(&step.does, Do::Call(call) if matches!(call.body, Body::ResetInstance { .. }));
    usize::from(resets && step.targets.iter().all(|target| target.addr.block == web()))
}

pub(crate) fn web() -> Block {
    Block::fleet(&"web".into())
}

/// How many instances run whose names begin so.
pub(crate) fn running(world: &World, prefix: &str) -> usize {
    let listed = world.observed.by_region.values().flat_map(|region| region.instances.values());
    let runs = |one: &Instance| one.name.starts_with(prefix) && one.state == InstanceState::Running;
    listed.filter(|seen| matches!(seen, Seen::Present(one) if runs(one))).count()
}

/// Whether the step is about the fleet.
pub(crate) fn is_of_web(step: &Step) -> bool {
    step.targets.iter().any(|target| target.addr.block == web())
}

/// Which versions the fleet's instances run, and how many of each; and how many are on trial.
pub(crate) fn runs(recorded: &Recorded) -> (Vec<String>, usize) {
    let mut versions = Vec::new();
    let mut trials = 0;
    for row in recorded.objects.iter().filter(|row| row.addr.block == web()) {
        let ObjectSpec::Slot(spec) = row.spec.as_ref() else { continue };
        versions.push(spec.image.to_string());
        trials += usize::from(spec.on_trial);
    }
    versions.sort();
    (versions, trials)
}

fn limits() -> Limits {
    Limits { images_per_region: 10, instances_per_zone: 60, ..Limits::EMBEDDED }
}

/// A rollout tells of each slot where it is, and which ones are to come: those that a gate looks at, and those that wait.
pub(crate) fn tells_of_all_slots(world: &World, plan: &Plan, shop: &Shop) -> Result<(), TestCaseError> {
    for RolloutPlan { row, zones, left, count, .. } in plan.rollouts.iter().filter(|rollout| rollout.row.block == web())
    {
        let told: Vec<(u32, &Zone)> =
            zones.iter().flat_map(|zone| zone.to_come.iter().map(|slot| (*slot, &zone.zone))).collect();
        let there: usize = zones.iter().map(|zone| zone.there as usize).sum();
        prop_assert_eq!(there + told.len(), *count as usize, "{}", shop.yaml());
        let gates = plan.steps.iter().filter(|step| matches!(&step.does, Do::Gate(gate) if gate.fleet == row.block));
        let watched: BTreeSet<u32> =
            gates.flat_map(|step| &step.targets).filter_map(|target| target.addr.slot).collect();
        let to_come: BTreeSet<u32> = told.iter().map(|(slot, _)| *slot).collect();
        if to_come.is_empty() {
            continue; // It only ends: a gate that is open tells so, at any slot.
        }
        prop_assert!(watched.is_subset(&to_come), "{watched:?} of {to_come:?}\n{}", shop.yaml());
        prop_assert!(watched.len() + *left as usize <= to_come.len(), "{}", shop.yaml());
        for (slot, zone) in told {
            let makes = plan.steps.iter().flat_map(|step| &step.targets);
            let made = makes.filter(|target| target.addr.block == row.block && target.addr.slot == Some(slot));
            let made = made.filter_map(|target| target.effect.makes()?.zone.as_ref()).next();
            let rows = world.recorded.objects.iter();
            let known = rows.filter(|object| object.addr.block == row.block && object.addr.slot == Some(slot));
            let known = known.filter_map(|object| object.zone.as_ref()).next();
            prop_assert_eq!(made.or(known), Some(zone), "slot {}\n{}", slot, shop.yaml());
        }
    }
    Ok(())
}

/// Carries a plan out, or a part of it, and counts on the way.
fn carry_out(
    world: &mut World,
    plan: &Plan,
    shop: &Shop,
    (turn, most, fails): (u64, usize, Option<usize>),
) -> Result<(), TestCaseError> {
    tells_of_all_slots(world, plan, shop)?;
    let update = shop.update();
    let at_once = update.at_once(shop.count);
    let all = shop.count as usize;
    let (mut least, mut greatest) = (usize::MAX, 0);
    let mut gates = 0;
    world.apply_until(plan, turn, most, &mut |world, step| {
        if is_of_web(step) {
            let there = running(world, "shop-default-web-");
            least = least.min(there - away(step));
            greatest = greatest.max(there);
        }
        if matches!(step.does, Do::Gate(_)) {
            gates += 1;
            return fails != Some(gates);
        }
        true
    });
    if least != usize::MAX {
        let (surge, down) = (at_once.surge as usize, at_once.down as usize);
        prop_assert!(least + down >= all, "{least} of {all} were there, and {down} may be away\n{}", shop.yaml());
        prop_assert!(
            greatest <= all + surge,
            "{greatest} of {all} were there, and {surge} may be more\n{}",
            shop.yaml()
        );
    }
    Ok(())
}

/// Plans and carries out until nothing is left to do, saying that it goes on where it pauses.
fn to_the_end(world: &mut World, shop: &Shop, turn: u64) -> Result<usize, TestCaseError> {
    for round in 0..40 {
        world.see_everything();
        let plan = match world.plan(&desired(&shop.yaml())) {
            Ok(plan) => plan,
            Err(faults) => return Err(TestCaseError::fail(format!("{faults:#?}\n{}", shop.yaml()))),
        };
        if plan.is_empty() {
            let Some(row) = world.recorded.rollouts.get_mut(&web()).filter(|row| row.phase == Phase::Paused) else {
                return Ok(round);
            };
            row.phase = Phase::Running;
            continue;
        }
        carry_out(world, &plan, shop, (turn, usize::MAX, None))?;
    }
    Err(TestCaseError::fail(format!("it comes to no end\n{}", shop.yaml())))
}

pub(crate) fn first(shop: &Shop) -> Result<World, TestCaseError> {
    let mut world = World::new(limits());
    let plan = world.plan(&desired(&shop.yaml()));
    let plan = plan.map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{}", shop.yaml())))?;
    world.apply(&plan);
    world.see_everything();
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_rollout_keeps_to_its_bounds_and_ends(shop in shop(), turn in 0_u64..50) {
        let mut world = first(&shop)?;
        let next = Shop { script: 2, ..shop };
        to_the_end(&mut world, &next, turn)?;
        let (versions, trials) = runs(&world.recorded);
        prop_assert_eq!(trials, 0, "{}", next.yaml());
        prop_assert_eq!(versions, vec!["image.web@v2".to_owned(); next.count as usize], "{}", next.yaml());
        let row = world.recorded.rollouts.get(&web());
        prop_assert!(row.is_none_or(|row| row.phase == Phase::Done), "{row:#?}\n{}", next.yaml());
    }

    #[test]
    fn one_that_is_cut_short_is_taken_up(shop in shop(), turn in 0_u64..50, steps in 0_usize..30, again in 0_usize..30) {
        let mut world = first(&shop)?;
        let next = Shop { script: 2, ..shop };
        for most in [steps, again] {
            world.see_everything();
            let plan = world.plan(&desired(&next.yaml()));
            let plan = plan.map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{}", next.yaml())))?;
            carry_out(&mut world, &plan, &next, (turn, most, None))?;
        }
        to_the_end(&mut world, &next, turn)?;
        let (versions, trials) = runs(&world.recorded);
        prop_assert_eq!(trials, 0, "{}", next.yaml());
        prop_assert_eq!(versions, vec!["image.web@v2".to_owned(); next.count as usize], "{}", next.yaml());
    }

    #[test]
    fn one_that_is_cut_short_may_be_followed_by_another(shop in shop(), turn in 0_u64..50, steps in 0_usize..60) {
        let mut world = first(&shop)?;
        let next = Shop { script: 2, ..shop };
        let plan = world.plan(&desired(&next.yaml()));
        let plan = plan.map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{}", next.yaml())))?;
        carry_out(&mut world, &plan, &next, (turn, steps, None))?;
        let third = Shop { script: 3, ..next };
        to_the_end(&mut world, &third, turn)?;
        let (versions, trials) = runs(&world.recorded);
        prop_assert_eq!(trials, 0, "{}", third.yaml());
        prop_assert_eq!(versions, vec!["image.web@v3".to_owned(); third.count as usize], "{}", third.yaml());
    }

    #[test]
    fn one_that_fails_stops_or_goes_back(shop in shop(), turn in 0_u64..50, gate in 1_usize..4, steps in 0_usize..30) {
        let mut world = first(&shop)?;
        let next = Shop { script: 2, ..shop };
        let plan = world.plan(&desired(&next.yaml()));
        let plan = plan.map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{}", next.yaml())))?;
        carry_out(&mut world, &plan, &next, (turn, usize::MAX, Some(gate)))?;
        let phase = world.recorded.rollouts.get(&web()).map(|row| row.phase);
        world.see_everything();
        if let Some(Phase::TakenBack) = phase {
            // The way back may be cut short as well.
            let plan = world.plan(&desired(&next.yaml()));
            let plan = plan.map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{}", next.yaml())))?;
            carry_out(&mut world, &plan, &next, (turn, steps, None))?;
            to_the_end(&mut world, &next, turn)?;
            let (versions, trials) = runs(&world.recorded);
            prop_assert_eq!(trials, 0, "{}", next.yaml());
            prop_assert_eq!(versions, vec!["image.web@v1".to_owned(); next.count as usize], "{}", next.yaml());
            prop_assert_eq!(world.recorded.rollouts[&web()].phase, Phase::TakenBack);
        } else if let Some(Phase::Stopped) = phase {
            to_the_end(&mut world, &next, turn)?;
            prop_assert_eq!(runs(&world.recorded).0.len(), next.count as usize, "{}", next.yaml());
            prop_assert_eq!(world.recorded.rollouts[&web()].phase, Phase::Stopped);
        }
        // What changes after that rolls out.
        let third = Shop { script: 3, ..next };
        to_the_end(&mut world, &third, turn)?;
        let (versions, trials) = runs(&world.recorded);
        prop_assert_eq!(trials, 0, "{}", third.yaml());
        prop_assert_eq!(versions, vec!["image.web@v3".to_owned(); third.count as usize], "{}", third.yaml());
    }
}
