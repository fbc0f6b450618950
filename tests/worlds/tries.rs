//! One action on one world, and all that can go wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;

use super::action::Action;
use super::graph::Kind;
use super::world::World;
use crate::crash::traps;
use crate::crash::trial::{Base, Trial};
use crate::rig::{Ran, Rig};
use crate::sim::watch::{Bounds, Fleets};

const APPLY: &str = "apply --auto-approve";
const DESTROY: &str = "destroy --auto-approve";

/// How much of an action is tried: one of so many, counted from `phase`; 0: none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// One of so many points.
    pub(crate) points: usize,
    /// After a death at one of so many points what comes next is killed, too.
    pub(crate) deaths: usize,
    /// One of so many points of what comes next.
    pub(crate) next: usize,
    pub(crate) phase: usize,
}

impl Effort {
    fn takes(self, n: usize, one_of: usize) -> bool {
        one_of > 0 && n % one_of == self.phase % one_of
    }
}

/// One point only: its number, and where what comes next is killed.
pub(crate) type Only = (usize, Option<usize>);

/// What was tried.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    /// Actions.
    pub(crate) actions: usize,
    /// Actions that the program refuses, by what it says.
    pub(crate) refused: BTreeMap<&'static str, usize>,
    /// Points at which something went wrong.
    pub(crate) points: usize,
    /// Points at which what came next was killed.
    pub(crate) next: usize,
    /// Deaths that left what another one had left, of the same action.
    pub(crate) known: usize,
    /// Worlds that were put right and looked at.
    pub(crate) looked_at: usize,
    pub(crate) faults: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        let Self { actions, refused, points, next, known, looked_at, faults } = other;
        self.actions += actions;
        for (code, n) in refused {
            *self.refused.entry(code).or_default() += n;
        }
        self.points += points;
        self.next += next;
        self.known += known;
        self.looked_at += looked_at;
        self.faults.extend(faults);
    }
}

/// Tries an action. `n` is its number, for the lines that show a fault again.
pub(crate) fn try_action(n: usize, action: &Action, effort: Effort, only: Option<Only>) -> Tally {
    let mut tries = Tries { n, words: &action.words, tally: Tally { actions: 1, ..Tally::default() } };
    if let Some(base) = tries.caught(String::new(), || base(action)) {
        match base {
            Ok(base) => tries.all(&base, effort, only),
            Err(code) => *tries.tally.refused.entry(code).or_default() += 1,
        }
    }
    tries.tally
}

/// What is done, in a world that is ready for it; or why the program refuses to do it.
fn base(action: &Action) -> Result<Result<Base, &'static str>, String> {
    let settings = Settings { log: true, ..Settings::new(Latency::Quick, Limits::EMBEDDED, 7) };
    let empty: Vec<(&str, &str)> = Vec::new();
    let rig = Rig::with(&empty, settings);
    let write = |world: &World| world.files().iter().for_each(|(name, text)| rig.write(name, text));
    if let Some(before) = &action.before {
        write(before);
        rig.settle();
        // What was accepted long ago is not awaited any more.
        rig.wait_ms(600_000);
    }
    let command = if action.after.is_some() { APPLY } else { DESTROY };
    if let Some(after) = &action.after {
        write(after);
        let plan = rig.fork().run("plan");
        if let Some(code) = refusal(&plan).filter(|_| action.before.is_some()) {
            let fork = rig.fork();
            let refused = fork.run(APPLY);
            let made = fork.mutating(0);
            return match (refusal(&refused), made.is_empty()) {
                (Some(same), true) if same == code => Ok(Err(code)),
                _ => Err(format!("planned {code}, and made {made:?}\n{}{}", refused.out, refused.err)),
            };
        }
        if plan.exit != Exit::Done {
            return Err(format!("{:?}\n{}{}", plan.exit, plan.out, plan.err));
        }
    }
    Ok(Ok(Base::new(&action.words, rig, command).within(bounds(action))))
}

/// What no config may ask for, and some changes do, with what the program says of it: nothing is captured while it runs
/// from what is to be off, what an encrypted disk holds is not captured at all, and a reset takes no encryption away.
const REFUSALS: [(&str, &str); 3] =
    [("source-switched-off", ""), ("encrypted-image", ""), ("change-not-possible", "a reset keeps a disk encrypted")];

/// Why the program refuses to do something, where that is right.
fn refusal(ran: &Ran) -> Option<&'static str> {
    let text = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = |(code, why): &&(&str, &str)| text.contains(&format!("error[{code}]")) && text.contains(why);
    REFUSALS.iter().find(said).map(|(code, _)| *code).filter(|_| ran.exit != Exit::Done)
}

/// How many instances of each fleet must serve all the time: those that did and are to, but for one that may be away.
/// A fleet that images are captured from serves nobody.
fn bounds(action: &Action) -> Fleets {
    let (Some(before), Some(after)) = (&action.before, &action.after) else { return Fleets::new() };
    let fleets = (0..before.keys.len()).filter(|at| {
        let (old, new) = (before.keys[*at], after.keys[*at]);
        before.graph.0[*at].0 == Kind::Fleet
            && before.graph.users(*at).next().is_none()
            && ![old, new].iter().any(|keys| keys.out || keys.stopped)
            && old.renamed == new.renamed
    });
    fleets
        .map(|at| {
            let most_away = 1;
            let count = before.keys[at].count.min(after.keys[at].count);
            (format!("w-default-{}-", before.name(at)), Bounds::at_least(count.saturating_sub(most_away)))
        })
        .collect()
}

struct Tries<'a> {
    n: usize,
    words: &'a str,
    tally: Tally,
}

impl Tries<'_> {
    /// Does something, and enters what is wrong with the line that shows it again.
    fn caught<T>(&mut self, place: String, what: impl FnOnce() -> Result<T, String>) -> Option<T> {
        let why = match catch_unwind(AssertUnwindSafe(what)) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(why)) => why,
            Err(payload) => match payload.downcast::<String>() {
                Ok(text) => *text,
                Err(payload) => (*payload.downcast::<&str>().unwrap_or(Box::new("a panic"))).to_owned(),
            },
        };
        let Self { n, words, .. } = self;
        self.tally.faults.push(format!("replay: WORLDS_CASE={n}{place} cargo test --test it worlds::\n{words}: {why}"));
        None
    }

    fn all(&mut self, base: &Base, effort: Effort, only: Option<Only>) {
        let (mut seen, mut seen_next) = (BTreeSet::new(), BTreeSet::new());
        for (point, (trap, remote, action)) in traps(base).into_iter().enumerate() {
            let (taken, next) = match only {
                Some((at, next)) => (at == point && next.is_none(), at == point && next.is_some()),
                None => (effort.takes(point, effort.points), effort.takes(point, effort.deaths)),
            };
            let next = next && trap.kills();
            if !taken && !next {
                continue;
            }
            let place = format!(" WORLDS_POINT={point}");
            let shown = format!("{trap:?} remote={remote} {}", action.unwrap_or(""));
            let told = |why: String| format!("{shown}: {why}");
            let trial = Trial::new(base, remote);
            if !trap.kills() {
                self.tally.points += 1;
                self.tally.looked_at += 1;
                self.caught(place, || trial.once(trap).map_err(told));
                continue;
            }
            let Some(moment) = self.caught(place.clone(), || trial.dies(trap).map_err(told)) else { continue };
            // What comes next starts from what is left, and leaves it as it is.
            if next && seen_next.insert(moment) {
                self.again(&trial, &place, &shown, effort, only.and_then(|(_, next)| next));
            }
            if taken {
                self.tally.points += 1;
                if seen.insert(moment) {
                    self.tally.looked_at += 1;
                    self.caught(place, || trial.recovers().map_err(told));
                } else {
                    self.tally.known += 1;
                }
            }
        }
    }

    /// Kills what comes after a death.
    fn again(&mut self, trial: &Trial<'_>, place: &str, shown: &str, effort: Effort, only: Option<usize>) {
        let Some(traps) = self.caught(place.to_owned(), || Ok(trial.next_traps())) else { return };
        let mut seen = BTreeSet::new();
        for (point, trap) in traps.into_iter().enumerate().filter(|(_, trap)| trap.kills()) {
            let taken = only.map_or_else(|| effort.takes(point, effort.next), |at| at == point);
            if !taken {
                continue;
            }
            let place = format!("{place} WORLDS_NEXT={point}");
            let told = |why: String| format!("{shown}, then {trap:?}: {why}");
            let again = trial.fork();
            let Some(moment) = self.caught(place.clone(), || again.dies_again(trap).map_err(told)) else { continue };
            self.tally.next += 1;
            if seen.insert(moment) {
                self.tally.looked_at += 1;
                self.caught(place, || again.recovers().map_err(told));
            } else {
                self.tally.known += 1;
            }
        }
    }
}
