//! Stories by the seed: tells many of them, and of one that goes wrong what is left when all is left out that it goes
//! wrong without.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::shrink::shrunk;
use super::stage::{Hears, Wrong};

/// After so many that went wrong there is no need for more.
const MOST_WRONG: usize = 5;
/// How many stories are told to make one shorter, where nobody says.
const TRIES: u64 = 400;

/// A story, as data: everything that happens, out of one number.
pub(crate) trait Story: Sized + Sync {
    /// One thing that happens.
    type Atom: Clone + Debug;
    /// What stories of this kind hold, all in all.
    type Cover: Tally;
    /// What its test is called.
    const TEST: &'static str;

    /// The one of a seed.
    fn of(seed: u64) -> Self;
    /// Its seed.
    fn seed(&self) -> u64;
    /// Everything that happens.
    fn atoms(&self) -> &Atoms<Self::Atom>;
    /// The same where this happens.
    fn with(&self, atoms: Atoms<Self::Atom>) -> Self;
    /// The same with these of its atoms only.
    fn only(&self, kept: &[usize]) -> Self {
        let Atoms(all) = self.atoms();
        self.with(Atoms(kept.iter().filter_map(|n| all.get(*n).cloned()).collect()))
    }
    /// Tells it to its end, line by line.
    fn tell(&self, hears: Hears) -> Result<Self::Cover, Box<Wrong>>;
}

/// Everything that happens, each with the number of its round. A round without anything is passed over.
#[derive(Clone, Debug)]
pub(crate) struct Atoms<A>(pub(crate) Vec<(usize, A)>);

impl<A> Atoms<A> {
    /// What happens in each round.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = Vec<&A>> {
        let numbers: BTreeSet<usize> = self.0.iter().map(|(round, _)| *round).collect();
        numbers.into_iter().map(|round| self.0.iter().filter(|(at, _)| *at == round).map(|(_, atom)| atom).collect())
    }
}

/// What stories hold.
pub(crate) trait Tally: Default + Send {
    /// Adds what another one held.
    fn add(&mut self, other: Self);
    /// As a text.
    fn text(&self) -> String;
}

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

/// Tells the stories of so many seeds, or of those that somebody asks for.
pub(crate) fn seeds<S: Story>(many: u64) {
    if let Some(seed) = number("SIM_SEED") {
        return one::<S>(seed);
    }
    let (from, minutes) = (number("SIM_FROM").unwrap_or(0), number("SIM_MINUTES"));
    let seeds = number("SIM_SEEDS").unwrap_or(if minutes.is_some() { u64::MAX } else { many });
    let (deadline, next) = (minutes.map(deadline), AtomicU64::new(0));
    let (cover, wrong, wrongs) = (Mutex::new(S::Cover::default()), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !over(deadline) && wrongs.load(Ordering::SeqCst) < MOST_WRONG {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= seeds {
                        break;
                    }
                    let story = S::of(from + n);
                    match story.tell(|_| {}) {
                        Ok(told) => cover.lock().expect("no panic before").add(told),
                        Err(why) => {
                            wrongs.fetch_add(1, Ordering::SeqCst);
                            let text = explained(&story, *why);
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
fn one<S: Story>(seed: u64) {
    let story = S::of(seed);
    let story = match switch("SIM_ONLY") {
        Some(only) => story.only(&only.split(',').filter_map(|n| n.parse().ok()).collect::<Vec<_>>()),
        None => story,
    };
    for (n, (round, atom)) in story.atoms().0.iter().enumerate() {
        aloud(&format!("{n}: round {round}, {atom:?}\n"));
    }
    if let Err(wrong) = story.tell(|line| aloud(&format!("{line}\n"))) {
        panic!("{}\n{}", wrong.story, wrong.why);
    }
}

/// What went wrong, with the lines that show it again: the whole story, and the shortest that was found.
fn explained<S: Story>(story: &S, wrong: Wrong) -> String {
    let kept = shrunk(story, number("SIM_TRIES").unwrap_or(TRIES));
    let Wrong { why, story: told } = match story.only(&kept).tell(|_| {}) {
        Err(wrong) => *wrong,
        Ok(_) => wrong,
    };
    let only: Vec<String> = kept.iter().map(ToString::to_string).collect();
    let (seed, test) = (story.seed(), S::TEST);
    format!(
        "replay: SIM_SEED={seed} cargo test --test it {test}\n\
         smaller: SIM_SEED={seed} SIM_ONLY={} cargo test --test it {test}\n{told}{why}",
        only.join(",")
    )
}
