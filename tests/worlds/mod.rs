//! Small worlds, all of them: every graph of up to four blocks, every action on it, and everything that can go wrong on
//! the way. Nothing here is by chance.
//!
//! ```sh
//! cargo test --test it worlds::                       # the small ones whole, and a part of the others
//! WORLDS=3 cargo test --release --test it worlds::    # every point of every graph of up to three blocks
//! WORLDS=all …                                        # of up to four; weeks
//! WORLDS_POINTS_OF=5 …                                # one of five points; 0: none, the actions themselves are tried
//! WORLDS_NEXT_OF=5 …                                  # what comes next is killed after one of five deaths; 0: never
//! WORLDS_PART=3/8 …                                   # the third eighth of that
//! WORLDS_MINUTES=60 …                                 # as far as it comes in that time
//! WORLDS_CASE=17 WORLDS_POINT=4 WORLDS_NEXT=9 …       # one of them, as a fault's line says
//! ```

mod action;
mod graph;
mod tries;
mod world;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use action::Action;
use graph::Graph;
use tries::{Effort, Tally, try_action};

/// How many blocks a graph has at most.
const BLOCKS: usize = 4;
/// After so many faults there is no need for more.
const MOST_FAULTS: usize = 20;

#[expect(clippy::disallowed_methods, reason = "switches of a test: how far it goes, and where")]
fn switch(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<usize> {
    switch(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[expect(clippy::disallowed_methods, reason = "how long a long run goes on is up to whoever asks for it")]
fn now() -> Instant {
    Instant::now()
}

/// What is tried of each action, in order; none: it is passed over.
type Plan = Vec<(usize, Effort)>;

/// What is tried where nobody asks for more: one of so many actions, one of so many of their points, and so on.
fn some(actions: &[Action]) -> Plan {
    let effort = |n: usize, action: &Action| {
        let blocks = action.blocks();
        let (every, effort) = match blocks {
            1 => (1, Effort { points: 1, deaths: 7, next: 3, phase: n }),
            2 => (4, Effort { points: 1, deaths: 0, next: 0, phase: n }),
            3 => (71, Effort { points: 7, deaths: 41, next: 11, phase: n }),
            _ => (757, Effort { points: 13, deaths: 97, next: 23, phase: n }),
        };
        n.is_multiple_of(every).then_some((n, effort))
    };
    actions.iter().enumerate().filter_map(|(n, action)| effort(n, action)).collect()
}

/// Everything about an action, or as much of it as somebody asks for.
fn asked(n: usize) -> Effort {
    let of = |name: &str| number(name).unwrap_or(1);
    Effort { points: of("WORLDS_POINTS_OF"), deaths: of("WORLDS_NEXT_OF"), phase: n, next: 1 }
}

/// Everything about graphs of up to so many blocks.
fn every(actions: &[Action], blocks: usize) -> Plan {
    let (part, parts) = switch("WORLDS_PART").map_or((1, 1), |text| {
        let halves = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        let (part, parts): (usize, usize) =
            halves.unwrap_or_else(|| panic!("WORLDS_PART={text} is no part, as 3/8 is"));
        assert!((1..=parts).contains(&part), "WORLDS_PART={text}");
        (part, parts)
    });
    let all = actions.iter().enumerate().filter(|(_, action)| action.blocks() <= blocks).map(|(n, _)| (n, asked(n)));
    all.filter(|(n, _)| n % parts == part - 1).collect()
}

#[test]
fn small_worlds_survive_everything() {
    let actions = action::all(BLOCKS);
    if let Some(n) = number("WORLDS_CASE") {
        let action = actions.get(n).unwrap_or_else(|| panic!("there are {} cases", actions.len()));
        return one(n, action);
    }
    let plan = match switch("WORLDS") {
        None => some(&actions),
        Some(all) if all == "all" => every(&actions, BLOCKS),
        Some(blocks) => every(&actions, blocks.parse().expect("WORLDS is a number of blocks, or all")),
    };
    let deadline = number("WORLDS_MINUTES").map(|minutes| now() + Duration::from_secs(60 * minutes as u64));
    let (next, tallies) = (AtomicUsize::new(0), Mutex::new(vec![Tally::default(); BLOCKS + 1]));
    let faults = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while faults.load(Ordering::SeqCst) < MOST_FAULTS && deadline.is_none_or(|deadline| now() < deadline) {
                    let Some((n, effort)) = plan.get(next.fetch_add(1, Ordering::SeqCst)) else { break };
                    let tally = try_action(*n, &actions[*n], *effort, None);
                    tally.faults.iter().for_each(|fault| aloud(&format!("{fault}\n\n")));
                    faults.fetch_add(tally.faults.len(), Ordering::SeqCst);
                    tallies.lock().expect("no panic before")[actions[*n].blocks()].add(tally);
                }
            });
        }
    });
    let tallies = tallies.into_inner().expect("no panic before");
    aloud(&table(&actions, &tallies));
    let faults: Vec<String> = tallies.into_iter().flat_map(|tally| tally.faults).collect();
    assert!(faults.is_empty(), "{} went wrong:\n{}", faults.len(), faults.join("\n\n"));
}

/// One action, all of it or one of its points.
fn one(n: usize, action: &Action) {
    aloud(&format!("{}\n", action.words));
    for (when, world) in [("before", &action.before), ("after", &action.after)] {
        for (name, text) in world.iter().flat_map(|world| world.files()) {
            aloud(&format!("--- {when}: {name}\n{text}"));
        }
    }
    let only = number("WORLDS_POINT").map(|point| (point, number("WORLDS_NEXT")));
    let tally = try_action(n, action, asked(n), only);
    aloud(&format!("{tally:?}\n"));
    assert!(tally.faults.is_empty(), "{}", tally.faults.join("\n\n"));
}

/// What there is, and what was tried of it.
fn table(actions: &[Action], tallies: &[Tally]) -> String {
    let mut text = format!(
        "{:>6}{:>8}{:>9}{:>7}{:>9}{:>9}{:>14}{:>12}{:>8}{:>8}\n",
        "blocks", "graphs", "actions", "tried", "refused", "points", "next killed", "seen before", "worlds", "faults"
    );
    let mut row = |blocks: &str, of: &dyn Fn(usize) -> bool, tally: &Tally| {
        let graphs = Graph::all(BLOCKS).iter().filter(|graph| of(graph.0.len())).count();
        let all = actions.iter().filter(|action| of(action.blocks())).count();
        let Tally { actions, refused, points, next, known, looked_at, faults } = tally;
        let refused: usize = refused.values().sum();
        writeln!(
            text,
            "{blocks:>6}{graphs:>8}{all:>9}{actions:>7}{refused:>9}{points:>9}{next:>14}{known:>12}{looked_at:>8}{:>8}",
            faults.len()
        )
        .expect("a string");
    };
    let mut sum = Tally::default();
    for (blocks, tally) in tallies.iter().enumerate().skip(1) {
        row(&blocks.to_string(), &|n| n == blocks, tally);
        sum.add(tally.clone());
    }
    row("all", &|_| true, &sum);
    writeln!(text, "refused: {:?}", sum.refused).expect("a string");
    text
}

/// Past the test harness, which keeps what is printed to itself when all is well.
fn aloud(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}
