//! A story, as data: everything that happens to a world, in order, out of one number. What a seed gives never changes
//! while it is told, so a part of a story can be told without the rest.

use fleetwright::apply::driver::Trip;
use fleetwright::cloud::call::Class;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;

use super::cover::Cover;
use super::hands::{Deed, Failure};
use super::run::ShopTeller;
use super::shop::{Edit, Tight};
use super::stage::{Hears, Wrong, tell};
use super::story::{Atoms, Story};
use crate::crash::wire::{Cut, Fate, Tail, Trap, When};

/// Numbers out of a seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 to `below` - 1.
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(below).expect("small")).expect("small")
    }

    /// Whether one of so many.
    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.roll(many) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }
}

/// One thing that happens, in a round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Atom {
    /// The config is changed.
    Edit(Edit),
    /// Somebody else does something.
    Deed(Deed),
    /// Time goes by.
    Wait(i64),
    /// The cloud will fail something that it accepts.
    Failure(Failure),
    /// What is done first: a part, a plan that was saved, a refresh, and so on. Silent: an apply.
    Verb(Verb),
    /// In a run, counted from 0, something goes wrong. Runs after the first are those that put it right.
    Trap(usize, Trap),
    /// In a run the file of the state may grow by so many pages.
    Room(usize, u32),
    /// In a run calls take their time, and overtake each other.
    Slow(usize, Vec<Trip>),
    /// Before a run that puts things right, the config is changed once more.
    Second(usize, Edit),
}

/// What is done first in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A part, by options.
    Part(&'static str),
    /// Everything is destroyed.
    Destroy,
    /// A part is destroyed.
    DestroyPart(&'static str),
    /// A plan is saved, and applied.
    Saved,
    /// The state learns what the cloud has.
    Refresh,
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Part(_) => "apply a part",
            Self::Destroy => "destroy",
            Self::DestroyPart(_) => "destroy a part",
            Self::Saved => "apply a saved plan",
            Self::Refresh => "refresh",
        }
    }
}

/// Parts of everything, as options name them.
const PARTS: [&str; 16] = [
    "--target image.web",
    "--target fleet.web",
    "--target fleet.web[1]",
    "--target fleet.builder --target fleet.other",
    "--target share.partners",
    "--target image.web/ap-shanghai",
    "--target image.legacy",
    "--exclude image.web",
    "--exclude fleet.web",
    "--exclude fleet.web[0] --exclude fleet.web[2]",
    "--exclude fleet.builder[0]",
    "--exclude share.partners --exclude share.resellers",
    "--exclude share.partners",
    "--exclude image.web/ap-beijing --exclude image.web/ap-shanghai",
    "--exclude image.web/ap-guangzhou",
    "--exclude fleet.old",
];

/// A story.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// Whether requests may outlive the process that made them.
    pub(crate) remote: bool,
    pub(crate) tight: Tight,
    /// How many images of others are there from the start whose import failed: they hold their place.
    pub(crate) failed_images: usize,
    /// What happens.
    pub(crate) atoms: Atoms<Atom>,
}

/// How many runs of a round may go wrong: the first, the one that puts it right, and the one after that.
pub(crate) const RUNS: usize = 3;

impl Script {
    /// The cloud that it plays in.
    pub(crate) fn settings(&self) -> Settings {
        let mut dice = Dice(self.seed ^ 0xc10d);
        let latency = dice.of(&[Latency::Instant, Latency::Quick, Latency::Quick, Latency::Realistic]);
        let Tight { images_per_region, accounts_per_image, instances_per_zone } = self.tight;
        let limits = Limits { images_per_region, accounts_per_image, instances_per_zone, ..Limits::EMBEDDED };
        Settings {
            log: true,
            jitter_percent: dice.of(&[0, 20, 80]),
            empty_first_read: dice.one_in(3),
            reset_shows_rebooting: dice.one_in(2),
            copy_is_syncing: dice.one_in(2),
            copy_carries_description: dice.one_in(2),
            copy_carries_family: dice.one_in(2),
            restart_after_capture: dice.one_in(2),
            restart_after_resize: dice.one_in(2),
            cancel_without_share_refused: dice.one_in(2),
            failed_images_count: !dice.one_in(4),
            ..Settings::new(latency, limits, self.seed)
        }
    }
}

impl Story for Script {
    type Atom = Atom;
    type Cover = Cover;
    const TEST: &'static str = "sim::stories";

    fn of(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x5eed_0f5e_ed0f_5eed);
        let remote = dice.one_in(2);
        let tight = Tight {
            images_per_region: [10, 10, 5, 4, 3][dice.roll(5)],
            accounts_per_image: [50, 3, 2][dice.roll(3)],
            instances_per_zone: [1000, 8, 5][dice.roll(3)],
        };
        // Room for one image is left in any case.
        let failed_images = if tight.images_per_region < 10 { Dice(seed ^ 0xfa11).of(&[0, 0, 1, 2]) } else { 0 };
        let mut atoms = Vec::new();
        // The very first apply is the first round.
        for round in 0..2 + dice.roll(4) {
            scene(&mut dice, round, remote, &mut atoms);
        }
        Self { seed, remote, tight, failed_images, atoms: Atoms(atoms) }
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

    fn tell(&self, hears: Hears) -> Result<Cover, Box<Wrong>> {
        tell(ShopTeller::new(self, hears))
    }
}

/// What happens in a round.
fn scene(dice: &mut Dice, round: usize, remote: bool, atoms: &mut Vec<(usize, Atom)>) {
    let mut add = |atom: Atom| atoms.push((round, atom));
    for _ in 0..dice.roll(4) {
        add(Atom::Edit(Edit { what: dice.roll(Edit::KINDS), to: dice.roll(60) }));
    }
    if round > 0 {
        for _ in 0..[0, 0, 1, 2][dice.roll(4)] {
            add(Atom::Deed(Deed { what: dice.roll(Deed::KINDS), whom: dice.roll(60), how: dice.roll(60) }));
            if dice.one_in(2) {
                add(Atom::Wait(20_000));
            }
        }
        if dice.one_in(3) {
            let verb = match dice.roll(9) {
                0..=3 => Verb::Part(dice.of(&PARTS)),
                4 => Verb::Destroy,
                5 => Verb::DestroyPart(dice.of(&PARTS)),
                6 | 7 => Verb::Saved,
                _ => Verb::Refresh,
            };
            add(Atom::Verb(verb));
        }
    }
    for _ in 0..[0, 0, 0, 1, 2][dice.roll(5)] {
        add(Atom::Failure(Failure { what: dice.roll(Failure::KINDS), whom: dice.roll(60), how: dice.roll(60) }));
    }
    if dice.one_in(6) {
        return;
    }
    let runs = 1 + dice.roll(RUNS);
    for run in 0..runs {
        for _ in 0..[1, 1, 2, 3][dice.roll(4)] {
            add(Atom::Trap(run, trap(dice, remote)));
        }
        if dice.one_in(12) {
            add(Atom::Room(run, u32::try_from(dice.roll(12)).expect("small")));
        }
        if dice.one_in(2) {
            add(Atom::Slow(run, trips(dice)));
        }
        if run > 0 && dice.one_in(6) {
            add(Atom::Second(run, Edit { what: dice.roll(Edit::KINDS), to: dice.roll(60) }));
        }
    }
}

/// How long the calls of a run take, in turn.
pub(super) fn trips(dice: &mut Dice) -> Vec<Trip> {
    (0..7).map(|_| Trip { there_ms: trip(dice), back_ms: trip(dice) }).collect()
}

fn trip(dice: &mut Dice) -> i64 {
    let most = dice.of(&[1, 50, 900, 5_000]);
    i64::try_from(dice.roll(most)).expect("small")
}

/// Early points are met more often than late ones, as runs are of all lengths.
fn place(dice: &mut Dice) -> usize {
    let most = dice.of(&[8, 20, 50]);
    dice.roll(most)
}

pub(super) fn trap(dice: &mut Dice, remote: bool) -> Trap {
    let at = place(dice);
    match dice.roll(10) {
        0 => Trap::Write(at, false),
        1 => Trap::Write(at, true),
        2 => {
            let cut = if dice.one_in(2) {
                Cut::Frames(dice.roll(12))
            } else {
                Cut::Thousandths(u16::try_from(dice.roll(1001)).expect("small"))
            };
            Trap::Torn(at, cut, dice.of(&[Tail::Old, Tail::Noise, Tail::Cut]))
        }
        3 if dice.one_in(4) => Trap::Stolen(at),
        3 if dice.one_in(3) => Trap::Full(at, 1 + dice.roll(3)),
        3 => Trap::Interrupt(at, 1 + u8::from(dice.one_in(2))),
        // Most calls only read.
        4..=6 => Trap::Change(dice.roll(12), fate(dice, remote)),
        _ => Trap::Call(at, fate(dice, remote)),
    }
}

fn fate(dice: &mut Dice, remote: bool) -> Fate {
    const REFUSALS: [(Class, &str); 7] = [
        (Class::Throttled, "RequestLimitExceeded"),
        (Class::Throttled, "RequestLimitExceeded"),
        (Class::Busy, "MutexOperation.TaskRunning"),
        (Class::Transient, "InternalError"),
        (Class::Invalid, "InvalidParameterValue"),
        (Class::NotFound, "InvalidInstanceId.NotFound"),
        (Class::Quota, "LimitExceeded.Quota"),
    ];
    let when = |dice: &mut Dice| match dice.roll(4) {
        0 => When::AtOnce,
        1 => When::AfterRequests(1 + dice.roll(6)),
        2 => When::After(299_000),
        _ => When::After(1_000 + 1_000 * i64::try_from(dice.roll(250)).expect("small")),
    };
    // Over loopback nothing arrives late, and every read sees what was done before it.
    match dice.roll(if remote { 14 } else { 8 }) {
        0 | 1 => Fate::NotSent,
        2 | 3 => Fate::AnswerLost,
        4 | 5 => {
            let (class, code) = dice.of(&REFUSALS);
            Fate::Refused(class, code, 1 + u32::try_from(dice.roll(3)).expect("small"))
        }
        6 => Fate::SilentNever,
        7 => Fate::SilentDone,
        8 => Fate::Stale(1_000 + 1_000 * i64::try_from(dice.roll(20)).expect("small")),
        9 => Fate::Unlisted(dice.of(&[0, 0, 10_000, 40_000])),
        10 => Fate::Late(when(dice)),
        11 => Fate::SilentLate(when(dice)),
        12 => Fate::CloudDies(false),
        _ => Fate::CloudDies(true),
    }
}
