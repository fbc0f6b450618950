//! Worst moments and orders, compared with all states that small plans can reach.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::pairing::{Before, most};
use super::schedule::{self, Order, Tight};
use crate::cloud::call::{Arg, Body, Call, StepId};
use crate::model::addr::{Addr, Block};
use crate::model::ids::{Name, Region, Uin};
use crate::plan::draft::at_once;
use crate::plan::order::{renumber, waits};
use crate::plan::types::{Do, Effect, Hold, Need, Resource, Step, Target};

/// How a step hangs on an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    None,
    Success,
    Over,
    Given,
}

/// A step as a test makes it up: how it hangs on each that comes before it, and what it takes and gives of two things.
#[derive(Clone, Debug)]
struct Made {
    links: Vec<Link>,
    holds: [(i64, i64); 2],
}

fn thing(n: usize) -> Resource {
    Resource::Images(Region::new(["here", "there"][n]))
}

fn step(n: usize, made: &Made) -> Step {
    let id = |n: usize| StepId(u32::try_from(n).expect("small"));
    let hangs =
        |link: Link| made.links.iter().take(n).enumerate().filter(move |(_, l)| **l == link).map(move |(m, _)| id(m));
    let needs = hangs(Link::Success).map(Need::Success).chain(hangs(Link::Over).map(Need::Over)).collect();
    // One id at most is handed to a call.
    let does = match hangs(Link::Given).next() {
        Some(step) => {
            let image = Arg::Output { step, target: 0 };
            let body = Body::ShareImage { image, accounts: BTreeSet::new(), cancel: false };
            Do::Call(Call { account: Uin::new("1"), region: Region::new("here"), body })
        }
        None => Do::Record,
    };
    let hold = |n: usize, (takes, gives): (i64, i64)| Hold { resource: thing(n), at_start: takes, at_end: -gives };
    let slot = Addr::slot(Block::fleet(&Name::new("f")), u32::try_from(n).expect("small"));
    Step {
        id: id(n),
        needs,
        does,
        targets: vec![Target { addr: slot, generation: 1, id: None, effect: Effect::Nothing }],
        expect: Vec::new(),
        settle: at_once(),
        holds: vec![hold(0, made.holds[0]), hold(1, made.holds[1])],
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let link =
        prop_oneof![5 => Just(Link::None), 3 => Just(Link::Success), 1 => Just(Link::Over), 1 => Just(Link::Given)];
    let hold = prop_oneof![3 => Just((0, 0)), 3 => (1_i64..3).prop_map(|n| (n, 0)), 3 => (1_i64..3).prop_map(|n| (0, n)), 1 => Just((1, 1))];
    let made =
        (prop::collection::vec(link, most), [hold.clone(), hold]).prop_map(|(links, holds)| Made { links, holds });
    prop::collection::vec(made, 1..=most)
        .prop_map(|made| made.iter().enumerate().map(|(n, made)| step(n, made)).collect())
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Waiting,
    Running,
    Succeeded,
    Failed,
    Skipped,
}

/// The most that is ever held, by way of every state that can come about, failures included.
fn most_of_all_states(steps: &[Step], resource: &Resource) -> i64 {
    let mut seen: BTreeSet<Vec<At>> = BTreeSet::new();
    let mut open = vec![vec![At::Waiting; steps.len()]];
    let mut most = 0;
    while let Some(mut state) = open.pop() {
        for (n, step) in steps.iter().enumerate() {
            if state[n] == At::Waiting && hopeless(step, &state) {
                state[n] = At::Skipped;
            }
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        let mut held = 0;
        for (step, at) in steps.iter().zip(&state) {
            for hold in step.holds.iter().filter(|hold| hold.resource == *resource) {
                held += match at {
                    At::Waiting | At::Skipped => 0,
                    At::Running | At::Failed => hold.at_start,
                    At::Succeeded => hold.at_start + hold.at_end,
                };
            }
        }
        most = most.max(held);
        for (n, step) in steps.iter().enumerate() {
            let over = |other: &StepId| !matches!(state[other.0 as usize], At::Waiting | At::Running);
            let nexts: &[At] = match state[n] {
                At::Waiting if step.waits_for().iter().all(over) => &[At::Running],
                At::Running => &[At::Succeeded, At::Failed],
                At::Waiting | At::Succeeded | At::Failed | At::Skipped => &[],
            };
            for next in nexts {
                let mut state = state.clone();
                state[n] = *next;
                open.push(state);
            }
        }
    }
    most
}

/// Whether a step will be skipped: what it needs did not succeed, or will never hand its id out.
fn hopeless(step: &Step, state: &[At]) -> bool {
    let successes = step.needs.iter().filter_map(|need| need.success());
    let failed = successes.into_iter().any(|other| matches!(state[other.0 as usize], At::Failed | At::Skipped));
    let all_over = step.waits_for().iter().all(|other| !matches!(state[other.0 as usize], At::Waiting | At::Running));
    let handed = match &step.does {
        Do::Call(call) => call.body.outputs().iter().all(|(other, _)| state[other.0 as usize] != At::Skipped),
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => true,
    };
    all_over && (failed || !handed)
}

/// Whether the steps fit in a row, in some order.
fn fits_in_a_row(steps: &[Step], tight: &[Tight]) -> bool {
    let waits = waits(steps);
    let mut seen: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    let mut open = vec![BTreeSet::new()];
    while let Some(done) = open.pop() {
        if done.len() == steps.len() {
            return true;
        }
        for next in (0..steps.len()).filter(|next| !done.contains(next)) {
            let ready = waits[next].iter().all(|other| done.contains(&(other.0 as usize)));
            let fits = tight.iter().all(|tight| {
                let mine = |step: &Step| {
                    step.holds.iter().filter(|hold| hold.resource == tight.resource).cloned().collect::<Vec<_>>()
                };
                let held: i64 =
                    done.iter().flat_map(|n| mine(&steps[*n])).map(|hold| hold.at_start + hold.at_end).sum();
                let takes: i64 = mine(&steps[next]).iter().map(|hold| hold.at_start).sum();
                takes == 0 || held + takes <= tight.free
            });
            let mut more = done.clone();
            more.insert(next);
            if ready && fits && seen.insert(more.clone()) {
                open.push(more);
            }
        }
    }
    false
}

fn held_to(steps: &[Step], order: &Order) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for (id, least) in &order.hastened {
        steps[id.0 as usize].needs.clone_from(least);
    }
    for (id, others) in &order.after {
        steps[id.0 as usize].needs.extend(others.iter().copied().map(Need::Success));
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_worst_moment_is_that_of_all_states(steps in steps(6)) {
        for n in 0..2 {
            let found = most(&steps, &Before::of(&steps), &thing(n));
            prop_assert_eq!(found, most_of_all_states(&steps, &thing(n)));
        }
    }

    #[test]
    fn the_second_opinion_is_the_same(steps in steps(30)) {
        for n in 0..2 {
            let found = most(&steps, &Before::of(&steps), &thing(n));
            prop_assert_eq!(found, crate::plan::check::most(&steps, &thing(n)));
        }
    }

    #[test]
    fn an_order_is_found_where_there_is_one(steps in steps(8), free in [-1_i64..3, -1_i64..3]) {
        let before = Before::of(&steps);
        let tight: Vec<Tight> = (0..2)
            .map(|n| Tight { resource: thing(n), free: free[n] })
            .filter(|tight| { let most = most(&steps, &before, &tight.resource); most > 0 && most > tight.free })
            .collect();
        prop_assume!(!tight.is_empty());
        let found = schedule::find(&steps, &tight, &BTreeMap::new());
        prop_assert_eq!(found.is_some(), fits_in_a_row(&steps, &tight));
        if let Some(order) = found {
            let steps = held_to(&steps, &order);
            let before = Before::of(&steps);
            for tight in &tight {
                prop_assert!(most(&steps, &before, &tight.resource) <= tight.free.max(0));
            }
            prop_assert_eq!(renumber(steps.clone(), &mut []).len(), steps.len(), "nobody waits in a circle");
        }
    }

    #[test]
    fn haste_is_made_only_where_it_is_needed(steps in steps(7), hasty in 0_usize..7, free in 0_i64..3) {
        let before = Before::of(&steps);
        let tight = [Tight { resource: thing(0), free }];
        prop_assume!(hasty < steps.len() && most(&steps, &before, &thing(0)) > free);
        // Deletions take nothing, and their ids are known.
        prop_assume!(steps[hasty].does == Do::Record && steps[hasty].holds.iter().all(|hold| hold.at_start == 0));
        let able = BTreeMap::from([(steps[hasty].id, Vec::new())]);
        let Some(order) = schedule::find(&steps, &tight, &able) else { return Ok(()) };
        prop_assert_eq!(order.hastened.is_empty(), fits_in_a_row(&steps, &tight));
        let steps = held_to(&steps, &order);
        prop_assert!(most(&steps, &Before::of(&steps), &thing(0)) <= free);
        prop_assert_eq!(renumber(steps.clone(), &mut []).len(), steps.len(), "nobody waits in a circle");
    }

    #[test]
    fn numbers_follow_needs(steps in steps(9), turn in any::<u64>()) {
        // The steps in another order, still with numbers from 0.
        let mut places: Vec<usize> = (0..steps.len()).collect();
        places.sort_by_key(|n| (u64::try_from(*n).expect("small") + 1).wrapping_mul(turn | 1).rotate_left(17));
        let to = |step: StepId| {
            StepId(u32::try_from(places.iter().position(|n| *n == step.0 as usize).expect("a place")).expect("small"))
        };
        let mixed: Vec<Step> = places
            .iter()
            .map(|n| {
                let mut step = steps[*n].clone();
                step.id = to(step.id);
                for need in &mut step.needs {
                    *need = need.on(to(need.step()));
                }
                if let Do::Call(call) = &mut step.does {
                    call.body.renumber(&to);
                }
                step
            })
            .collect();
        let ordered = renumber(mixed.clone(), &mut []);
        prop_assert_eq!(ordered.len(), steps.len());
        prop_assert!(ordered.iter().enumerate().all(|(n, step)| step.id.0 as usize == n));
        prop_assert!(ordered.iter().all(|step| step.waits_for().iter().all(|other| *other < step.id)));
        // The same steps hang on the same steps.
        let hanging = |steps: &[Step]| -> BTreeSet<(Addr, BTreeSet<Addr>)> {
            let name = |id: &StepId| steps[id.0 as usize].targets[0].addr.clone();
            steps.iter().map(|step| (name(&step.id), step.waits_for().iter().map(name).collect())).collect()
        };
        prop_assert_eq!(hanging(&ordered), hanging(&mixed));
    }
}
