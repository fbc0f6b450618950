//! A story of rollouts, as data.

use fleetwright::apply::driver::Trip;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;

use super::fleet::{Amount, Turns, Way};
use super::run::{RollTeller, Rolled};
use crate::crash::wire::Trap;
use crate::sim::hands::{Deed, Failure};
use crate::sim::script::{Dice, RUNS, trap, trips};
use crate::sim::stage::{Hears, Wrong, tell};
use crate::sim::story::{Atoms, Story};

/// One thing that happens, in a round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Atom {
    /// Another version of the image is asked for.
    Version(Turns),
    /// Updates are made in another way.
    Way(Way),
    /// There are to be so many.
    Count(usize),
    /// They are to be of the other type.
    Resize,
    /// They are to have other tags.
    Tag,
    /// So many older versions are kept.
    Keep(usize),
    /// Somebody else does something.
    Deed(Deed),
    /// The cloud will fail something that it accepts.
    Failure(Failure),
    /// Whoever finds a rollout waiting says this.
    Answer(&'static str),
    /// In a run, counted from 0, something goes wrong. Runs after the first are those that put it right.
    Trap(usize, Trap),
    /// In a run calls take their time, and overtake each other.
    Slow(usize, Vec<Trip>),
    /// Before a run that puts things right, another version is asked for.
    Second(usize, Turns),
    /// Instead of a run somebody says this to the rollout, and it is carried out.
    Say(usize, &'static str),
    /// A run tries again what failed before.
    Retry(usize),
}

impl Atom {
    /// Whether it belongs to a run.
    pub(super) fn is_of(&self, to: usize) -> bool {
        match self {
            Self::Trap(run, _) | Self::Slow(run, _) | Self::Second(run, _) | Self::Say(run, _) | Self::Retry(run) => {
                *run == to
            }
            Self::Version(_)
            | Self::Way(_)
            | Self::Count(_)
            | Self::Resize
            | Self::Tag
            | Self::Keep(_)
            | Self::Deed(_)
            | Self::Failure(_)
            | Self::Answer(_) => false,
        }
    }
}

/// A story of rollouts.
#[derive(Clone, Debug)]
pub(crate) struct Rolls {
    pub(super) seed: u64,
    /// Whether requests may outlive the process that made them.
    pub(super) remote: bool,
    /// What happens.
    pub(super) atoms: Atoms<Atom>,
}

impl Rolls {
    /// The cloud that it plays in.
    pub(super) fn settings(&self) -> Settings {
        let mut dice = Dice(self.seed ^ 0xc10d);
        let latency = dice.of(&[Latency::Instant, Latency::Quick, Latency::Quick, Latency::Realistic]);
        Settings {
            log: true,
            jitter_percent: dice.of(&[0, 20, 80]),
            empty_first_read: dice.one_in(3),
            reset_shows_rebooting: dice.one_in(2),
            restart_after_resize: dice.one_in(2),
            ..Settings::new(latency, Limits::EMBEDDED, self.seed)
        }
    }
}

impl Story for Rolls {
    type Atom = Atom;
    type Cover = Rolled;
    const TEST: &'static str = "sim::rollouts";

    fn of(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x0011_0075);
        let remote = dice.one_in(2);
        let mut atoms = vec![(0, Atom::Way(way(&mut dice))), (0, Atom::Count(1 + dice.roll(7)))];
        for round in 0..2 + dice.roll(3) {
            scene(&mut dice, round, remote, &mut atoms);
        }
        Self { seed, remote, atoms: Atoms(atoms) }
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn atoms(&self) -> &Atoms<Atom> {
        &self.atoms
    }

    fn with(&self, atoms: Atoms<Atom>) -> Self {
        Self { atoms, ..self.clone() }
    }

    fn tell(&self, hears: Hears) -> Result<Rolled, Box<Wrong>> {
        tell(RollTeller::new(self, hears))
    }
}

/// What happens in a round. In the first one the fleet is made.
fn scene(dice: &mut Dice, round: usize, remote: bool, atoms: &mut Vec<(usize, Atom)>) {
    let mut add = |atom: Atom| atoms.push((round, atom));
    if round > 0 {
        add(Atom::Version(turns(dice)));
        if dice.one_in(2) {
            add(Atom::Way(way(dice)));
        }
        if dice.one_in(5) {
            add(Atom::Count(1 + dice.roll(7)));
        }
        if dice.one_in(8) {
            add(Atom::Resize);
        }
        if dice.one_in(8) {
            add(Atom::Tag);
        }
        if dice.one_in(6) {
            add(Atom::Keep(dice.roll(3)));
        }
        if dice.one_in(4) {
            // Some are terminated, switched off or renamed.
            add(Atom::Deed(Deed { what: dice.of(&[0, 2, 3]), whom: dice.roll(60), how: dice.roll(60) }));
        }
        add(Atom::Answer(dice.of(&["promote", "promote", "resume", "resume", "rollback", "abort"])));
    }
    if dice.one_in(4) {
        // A reset fails, something is refused, a launch fails.
        add(Atom::Failure(Failure { what: dice.of(&[0, 4, 7]), whom: dice.roll(60), how: dice.roll(60) }));
    }
    if dice.one_in(4) {
        return;
    }
    for run in 0..1 + dice.roll(RUNS) {
        for _ in 0..dice.of(&[1, 1, 2]) {
            add(Atom::Trap(run, trap(dice, remote)));
        }
        if dice.one_in(3) {
            add(Atom::Slow(run, trips(dice)));
        }
        if run > 0 && dice.one_in(6) {
            add(Atom::Second(run, turns(dice)));
        }
        if run > 0 && dice.one_in(4) {
            add(Atom::Say(run, dice.of(&["pause", "resume", "promote", "rollback", "abort"])));
        } else if run > 0 && dice.one_in(10) {
            add(Atom::Retry(run));
        }
    }
}

fn turns(dice: &mut Dice) -> Turns {
    const ALL: [Turns; 10] = [
        Turns::Well,
        Turns::Well,
        Turns::Well,
        Turns::Well,
        Turns::Well,
        Turns::Slowly,
        Turns::Bad,
        Turns::Bad,
        Turns::Dead,
        Turns::Ill,
    ];
    dice.of(&ALL)
}

fn amount(dice: &mut Dice) -> Amount {
    if dice.one_in(3) { Amount::Percent(dice.of(&[10, 25, 34, 50, 100])) } else { Amount::Count(1 + dice.roll(3)) }
}

fn way(dice: &mut Dice) -> Way {
    let strategy = dice.of(&["replace", "replace", "reset", "auto"]);
    let none = Amount::Count(0);
    let (surge, away) = match dice.roll(3) {
        _ if strategy == "reset" => (none, amount(dice)),
        0 => (none, amount(dice)),
        1 => (amount(dice), none),
        _ => (amount(dice), amount(dice)),
    };
    let canary = dice.one_in(2).then(|| amount(dice));
    let pause = dice.of(&["none", "none", "every_batch", if canary.is_some() { "after_canary" } else { "none" }]);
    Way {
        strategy,
        surge,
        away,
        batch: dice.one_in(2).then(|| amount(dice)),
        canary,
        pause,
        order: dice.of(&["zones", "slots"]),
        min_ready_s: dice.of(&[0, 0, 5, 30]),
        bake_s: dice.of(&[0, 0, 10, 60]),
        failures: dice.of(&[0, 0, 0, 1]),
        back: dice.one_in(2),
    }
}
