//! Two runners on one state, at random moments: one works, the other one waits or says who holds the lock, and nothing is
//! done twice.

use std::sync::Mutex;
use std::thread;

use crate::place::{Dice, Place, Running, Wish, now_ms, pause, print};

const ROUNDS: usize = 100;
/// Places in which it happens side by side.
const LANES: u64 = 4;
const APPLY: &str = "apply --auto-approve";
const PATIENT: &str = "apply --auto-approve --lock-timeout 60s";

#[derive(Default)]
struct Tally {
    rounds: usize,
    /// The second one waited for the first one.
    waited: usize,
    /// It said who holds the lock.
    refused: usize,
    /// They did not meet.
    apart: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn print(&self, what: &str, seed: u64, from: i64) {
        let Self { rounds, waited, refused, apart, wrong: _ } = self;
        print(&format!(
            "{what}: {rounds} rounds: {waited} waited, {refused} were told who holds the lock, {apart} did not meet; \
             seed {seed}, {} s\n",
            (now_ms() - from) / 1000
        ));
    }
}

/// What a single run does to a place: how many operations it notes, and what there is afterwards.
fn alone(place: &Place) -> (usize, Vec<String>) {
    let fork = place.fork();
    let before = fork.journal().0;
    fork.expect(APPLY, 0);
    (fork.journal().0 - before, fork.names())
}

/// Both at once, the second one a random moment later. Answers what is wrong.
fn meet(place: &Place, dice: &mut Dice, within_ms: u64, tally: &Mutex<Tally>) -> Result<(), String> {
    let (calls, names) = alone(place);
    let (before, tried_before) = place.journal();
    let patient = dice.roll(2) == 0;
    let mut first = place.start(if dice.roll(2) == 0 { APPLY } else { PATIENT });
    pause(dice.roll(within_ms));
    let met = !first.is_over();
    let mut second = place.start(if patient { PATIENT } else { APPLY });
    let ends = [first.end().code(), second.end().code()];
    let talk = format!("--- first\n{}--- second\n{}", first.said(), second.said());
    let locked = |one: &Running| one.said().contains("holds the lock");
    for (one, end) in [(&first, ends[0]), (&second, ends[1])] {
        match end {
            Some(0) => {}
            Some(4) if locked(one) && !one.said().contains("Waiting for the lock") => {}
            other => return Err(format!("one ended with {other:?}:\n{talk}")),
        }
    }
    if !ends.contains(&Some(0)) {
        return Err(format!("nobody did it:\n{talk}"));
    }
    let waited = [&first, &second].iter().any(|one| one.said().contains("Waiting for the lock"));
    {
        let mut tally = tally.lock().expect("no panic");
        tally.rounds += 1;
        tally.refused += usize::from(ends.contains(&Some(4)));
        tally.waited += usize::from(waited);
        tally.apart += usize::from(!met || !waited && !ends.contains(&Some(4)));
    }
    let (after, tried) = place.journal();
    if after - before != calls || tried != tried_before {
        return Err(format!("{} calls, and one run makes {calls} ({tried} tries again):\n{talk}", after - before));
    }
    let mut wrong = place.wrong(false);
    if place.names() != names {
        wrong.push(format!("there is {:?} instead of {names:?}", place.names()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{talk}", wrong.join("; "))) }
}

fn rounds(seed: u64, what: &str, rounds: usize, new_place_each: bool) {
    let tally = Mutex::new(Tally::default());
    let from = now_ms();
    thread::scope(|scope| {
        for lane in 0..LANES {
            let tally = &tally;
            scope.spawn(move || {
                let mut dice = Dice::new(seed + lane);
                let mut wish = Wish::new("instant");
                let mut place = Place::new(&wish);
                if !new_place_each {
                    place.expect(APPLY, 0);
                }
                loop {
                    {
                        let tally = tally.lock().expect("no panic");
                        if tally.rounds >= rounds || !tally.wrong.is_empty() {
                            return;
                        }
                    }
                    wish.count = 1 + (wish.count + dice.roll(3)) % 4;
                    wish.tag += 1;
                    wish.script += dice.roll(2);
                    if new_place_each {
                        place = Place::new(&wish);
                    }
                    place.ask_for(&wish);
                    if let Err(why) = meet(&place, &mut dice, 250, tally) {
                        let why = format!("seed {}, {wish:?}: {why}", seed + lane);
                        tally.lock().expect("no panic").wrong.push(why);
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no panic");
    tally.print(what, seed, from);
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n\n"));
    assert!(tally.waited > 0 && tally.refused > 0, "they never met");
}

#[test]
fn two_runners_at_random_moments_do_nothing_twice() {
    rounds(20_261_201, "two runners", ROUNDS, false);
}

/// There is no state yet, and both make one.
#[test]
fn two_first_runs_make_one_state() {
    rounds(20_261_301, "two first runs", 40, true);
}
