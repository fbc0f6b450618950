//! The machine stops in the middle of a write, and of what was new in the journal file only a part is on the disk: cut at
//! every frame and at bytes by chance, with all that may stand behind the cut.
//!
//! What a commit before it wrote had reached the disk (`synchronous=FULL`), so a cut is somewhere in what the last write
//! added. A disk that loses more than that has broken its word; what holds then is told apart below.

use std::collections::{BTreeMap, BTreeSet};

use super::moment::Moment;
use super::print;
use super::trial::{Base, Trial};
use super::wire::{Cut, Tail, Trap};
use crate::kit::{BOOT, IMAGE};
use crate::mutate::Dice;
use crate::rig::Rig;

const APPLY: &str = "apply --auto-approve";
const TAILS: [Tail; 4] = [Tail::Old, Tail::Noise, Tail::Zeros, Tail::Cut];
/// How many bytes by chance a write is cut at, with each tail.
const CHANCES: usize = 4;

/// How much was tried.
#[derive(Default)]
struct Tried {
    writes: usize,
    frames: usize,
    cuts: usize,
    looked_at: usize,
    orphans: usize,
}

impl Tried {
    fn say(&self, name: &str) {
        let Self { writes, frames, cuts, looked_at, orphans } = self;
        print(&format!(
            "{name}: {writes} writes, {frames} frames, {cuts} cuts, {looked_at} worlds put right, {orphans} orphans named\n"
        ));
    }
}

fn quickstart() -> Base {
    Base::new("torn: quickstart", Rig::of_example("01-quickstart"), APPLY)
}

/// A new version of an image, a fleet rolled to it, and the old version gone.
fn version() -> Base {
    let rig = Rig::new(&[("shop.yaml", &IMAGE.replace("count: 3", "count: 2")), ("boot.sh", BOOT)]);
    rig.settle();
    rig.wait_ms(600_000);
    rig.write("boot.sh", &BOOT.replace("echo shop", "echo shop 2"));
    Base::new("torn: version", rig, APPLY)
}

fn gone() -> Base {
    let rig = Rig::of_example("01-quickstart");
    rig.settle();
    rig.wait_ms(600_000);
    Base::new("torn: gone", rig, "destroy --auto-approve")
}

/// Whether requests may outlive a process that dies at this write.
fn remote(write: usize) -> bool {
    write.is_multiple_of(2)
}

/// Cuts the journal at each of `every` writes.
fn try_torn(name: &str, base: &Base, every: usize) {
    let mut dice = Dice(0x7042);
    let mut tried = Tried::default();
    for write in (0..base.traffic.writes).step_by(every) {
        let dies = |trap: Trap| {
            let trial = Trial::new(base, remote(write));
            let moment = trial.dies(trap).unwrap_or_else(|why| panic!("{name}: {trap:?}: {why}"));
            (trial, moment)
        };
        let (whole, all) = dies(Trap::Torn(write, Cut::Frames(usize::from(u16::MAX)), Tail::Cut));
        let (_, none) = dies(Trap::Torn(write, Cut::Frames(0), Tail::Cut));
        let (_, frames) = whole.frames();
        tried.writes += 1;
        tried.frames += frames;
        let by_frame = (0..=frames).map(Cut::Frames);
        let by_chance = (0..CHANCES).map(|_| Cut::Bytes(dice.below(usize::MAX)));
        let mut seen: BTreeMap<Moment, Trap> = BTreeMap::new();
        for cut in by_frame.chain(by_chance) {
            for tail in TAILS {
                let trap = Trap::Torn(write, cut, tail);
                let (trial, moment) = dies(trap);
                tried.cuts += 1;
                // A write is there, or it is not.
                assert!(moment == all || moment == none, "{name}: {trap:?} left something between");
                if seen.insert(moment, trap).is_none() {
                    tried.looked_at += 1;
                    trial.recovers().unwrap_or_else(|why| panic!("{name}: {trap:?}: {why}"));
                }
            }
        }
    }
    assert!(tried.frames > tried.writes && tried.looked_at > tried.writes, "{} frames", tried.frames);
    tried.say(name);
}

#[test]
fn a_torn_journal_of_what_is_made() {
    try_torn("journal torn, quickstart: new", &quickstart(), 1);
}

#[test]
fn a_torn_journal_of_a_new_version() {
    try_torn("journal torn, image: new version", &version(), 4);
}

#[test]
fn a_torn_journal_of_what_goes() {
    try_torn("journal torn, quickstart: gone", &gone(), 1);
}

/// The journal ends where it ended long ago: what was promised to be on the disk is not. The program does not fall over,
/// and what its state no longer knows is named as an orphan.
fn try_lost(name: &str, base: &Base, every: usize) {
    let mut tried = Tried::default();
    for write in (0..base.traffic.writes).step_by(every) {
        let mut seen = BTreeSet::new();
        let mut frames = 1;
        let mut kept = 0;
        while kept < frames {
            let trial = Trial::new(base, false);
            let trap = Trap::Torn(write, Cut::OfAll(kept), TAILS[kept % TAILS.len()]);
            let moment = trial.dies(trap).unwrap_or_else(|why| panic!("{name}: {trap:?}: {why}"));
            let (all, new) = trial.frames();
            (frames, kept) = (all - new, kept + 1);
            tried.cuts += 1;
            if seen.insert(moment) {
                tried.looked_at += 1;
                tried.orphans += trial.bears_a_lost_memory().unwrap_or_else(|why| panic!("{name}: {trap:?}: {why}"));
            }
        }
        tried.writes += 1;
        tried.frames += frames;
    }
    assert!(tried.looked_at > tried.writes, "{}", tried.looked_at);
    tried.say(name);
}

#[test]
fn a_disk_that_forgets_what_it_promised() {
    try_lost("journal lost, quickstart: new", &quickstart(), 3);
    try_lost("journal lost, quickstart: gone", &gone(), 3);
}
