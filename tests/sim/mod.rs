//! The simulation: whole stories out of numbers, in virtual time, each on one thread. Configs are edited, other hands
//! meddle, the cloud is slow, loses things and fails late, and the program is killed at every kind of moment, also while
//! it recovers. After each round the world comes to rest: the state is what the cloud holds, the plan is empty, and
//! nothing was made twice, left behind, broken on the way, or told that is secret.
//!
//! ```sh
//! cargo test --test it sim::                        # some of the seeds
//! SIM_SEEDS=20000 cargo test --release --test it sim::stories
//! SIM_MINUTES=60 SIM_FROM=1000000 cargo test --release --test it sim::stories
//! SIM_SEED=17 cargo test --test it sim::stories     # one of them
//! SIM_SEED=17 SIM_ONLY=2,5 cargo test …             # and of it only these atoms: a failure, made small
//! SIM_TRIES=0 cargo test …                           # failures are told as they are, and not made small
//! ```

mod cover;
mod hands;
mod run;
mod script;
mod shop;
mod shrink;
pub(crate) mod watch;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cover::Cover;
use run::{Wrong, tell};
use script::Script;

/// How many seeds are tried where nobody says.
const SEEDS: u64 = 2_000;
/// After so many that went wrong there is no need for more.
const MOST_WRONG: usize = 5;
/// How many stories are told to make one shorter, where nobody says.
const TRIES: u64 = 400;

#[expect(clippy::disallowed_methods, reason = "switches of a test: how far it goes, and where")]
fn switch(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    switch(name).and_then(|text| text.parse().ok())
}

#[expect(clippy::disallowed_methods, reason = "how long a long run goes on is up to whoever asks for it")]
fn deadline(minutes: u64) -> Instant {
    Instant::now() + Duration::from_secs(60 * minutes)
}

#[expect(clippy::disallowed_methods, reason = "how long a long run goes on is up to whoever asks for it")]
fn over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

#[test]
fn stories_come_to_rest() {
    if let Some(seed) = number("SIM_SEED") {
        return one(seed);
    }
    let (from, minutes) = (number("SIM_FROM").unwrap_or(0), number("SIM_MINUTES"));
    let seeds = number("SIM_SEEDS").unwrap_or(if minutes.is_some() { u64::MAX } else { SEEDS });
    let (deadline, next) = (minutes.map(deadline), AtomicU64::new(0));
    let (cover, wrong, wrongs) = (Mutex::new(Cover::default()), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !over(deadline) && wrongs.load(Ordering::SeqCst) < MOST_WRONG {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= seeds {
                        break;
                    }
                    let script = Script::of(from + n);
                    match tell(&script, |_| {}) {
                        Ok(told) => {
                            let mut cover = cover.lock().expect("no panic before");
                            cover.add(told);
                            cover.stories += 1;
                        }
                        Err(why) => {
                            wrongs.fetch_add(1, Ordering::SeqCst);
                            let text = explained(&script, *why);
                            aloud(&format!("{text}\n\n"));
                            wrong.lock().expect("no panic before").push(text);
                        }
                    }
                }
            });
        }
    });
    let cover = cover.into_inner().expect("no panic before");
    aloud(&cover.text());
    let wrong = wrong.into_inner().expect("no panic before");
    assert!(wrong.is_empty(), "{} seeds went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Past the test harness, which keeps what is printed to itself when all is well.
fn aloud(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// One seed, all of it or some of its atoms.
fn one(seed: u64) {
    let script = Script::of(seed);
    let script = match switch("SIM_ONLY") {
        Some(only) => script.only(&only.split(',').filter_map(|n| n.parse().ok()).collect::<Vec<_>>()),
        None => script,
    };
    for (n, (round, atom)) in script.atoms.iter().enumerate() {
        aloud(&format!("{n}: round {round}, {atom:?}\n"));
    }
    if let Err(wrong) = tell(&script, |line| aloud(&format!("{line}\n"))) {
        panic!("{}\n{}", wrong.story, wrong.why);
    }
}

/// What went wrong, with the lines that show it again: the whole story, and the shortest that was found.
fn explained(script: &Script, wrong: Wrong) -> String {
    let kept = shrink::shrunk(script, number("SIM_TRIES").unwrap_or(TRIES));
    let small = script.only(&kept);
    let Wrong { why, story } = match tell(&small, |_| {}) {
        Err(wrong) => *wrong,
        Ok(_) => wrong,
    };
    let only: Vec<String> = kept.iter().map(ToString::to_string).collect();
    let seed = script.seed;
    format!(
        "replay: SIM_SEED={seed} cargo test --test it sim::stories\n\
         smaller: SIM_SEED={seed} SIM_ONLY={} cargo test --test it sim::stories\n{story}{why}",
        only.join(",")
    )
}
