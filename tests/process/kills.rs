//! `kill -9` at random moments of real work, with the config changed in between; after each the world comes right.

use std::sync::Mutex;
use std::thread;

use crate::place::{Dice, Place, Wish, now_ms, pause, print, said};

/// Worlds that are killed in side by side: they mostly wait.
const LANES: u64 = 12;
/// How many of them are at a pace at which things take a while; in the others all goes as fast as it can.
const SLOW_LANES: u64 = 6;
/// Kills that are to strike while something is under way.
const KILLS: usize = 204;
/// How often a command may have to be given until all is done.
const MOST_RUNS: usize = 4;

#[derive(Default)]
struct Tally {
    kills: usize,
    /// The process was still running.
    running: usize,
    /// A run had begun and had not ended.
    begun: usize,
    /// The journal had operations under way.
    amid: usize,
    /// It was settling what an earlier kill had left.
    recovering: usize,
    converged: usize,
    wrong: Vec<String>,
}

#[test]
fn two_hundred_kills_and_the_world_is_right_after_each() {
    kills("in the same process", 20_261_123, Place::new);
}

/// Here a request can outlive the process that sent it: what is in doubt is waited out.
#[test]
fn two_hundred_kills_with_the_cloud_behind_http_and_the_world_is_right_after_each() {
    kills("behind HTTP", 20_261_130, Place::served);
}

fn kills(what: &str, seed: u64, place: fn(&Wish) -> Place) {
    let tally = Mutex::new(Tally::default());
    let from = now_ms();
    thread::scope(|scope| {
        for lane in 0..LANES {
            let tally = &tally;
            scope.spawn(move || {
                let latency = if lane < SLOW_LANES { "quick" } else { "instant" };
                Lane::new(seed + lane, latency, place).go_on(tally);
            });
        }
    });
    let Tally { kills, running, begun, amid, recovering, converged, wrong } = tally.into_inner().expect("no panic");
    print(&format!(
        "kill -9, the cloud {what}: {kills} kills, {running} of a process that still ran, {begun} in the midst of a run, {amid} with \
         operations open in the journal, {recovering} of them after another kill; converged {converged} times; \
         seed {seed}, {} s\n",
        (now_ms() - from) / 1000
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(running >= 200 && converged >= 100, "{running} {converged}");
    assert!(begun >= 80 && amid >= 20, "only {begun} and {amid} struck while something was under way");
}

struct Lane {
    seed: u64,
    dice: Dice,
    wish: Wish,
    place: Place,
    /// How long a command takes at most, as far as is known.
    takes_ms: u64,
}

impl Lane {
    fn new(seed: u64, latency: &'static str, place: fn(&Wish) -> Place) -> Self {
        let wish = Wish::new(latency);
        let takes_ms = if latency == "quick" { 6_000 } else { 400 };
        Self { seed, dice: Dice::new(seed), place: place(&wish), wish, takes_ms }
    }

    fn go_on(&mut self, tally: &Mutex<Tally>) {
        let mut destroyed = true;
        for round in 0.. {
            let left = |tally: &Mutex<Tally>| {
                let tally = tally.lock().expect("no panic");
                tally.running < KILLS && tally.wrong.is_empty()
            };
            if !left(tally) {
                return;
            }
            // Of nothing there is nothing to destroy.
            let mut destroy = !destroyed && self.dice.roll(5) == 0;
            self.change();
            for again in 0..3 {
                self.kill(destroy, again, tally);
                // It is not always given again as it was: somebody changed the config, or their mind.
                if self.dice.roll(3) == 0 {
                    self.change();
                }
                if self.dice.roll(8) == 0 {
                    destroy = !destroy;
                }
                if self.dice.roll(2) == 0 {
                    break;
                }
            }
            let before = now_ms();
            let result = self.converge(destroy);
            if self.wish.latency == "instant" {
                // Kills strike somewhere in the time that such a command takes.
                let took = u64::try_from(now_ms() - before).unwrap_or(0);
                self.takes_ms = (self.takes_ms * 7 + took.clamp(100, 2_000)) / 8;
            }
            destroyed = destroy;
            let mut tally = tally.lock().expect("no panic");
            tally.converged += 1;
            if let Err(why) = result {
                tally.wrong.push(format!("seed {}, round {round}, {:?}: {why}", self.seed, self.wish));
            }
        }
    }

    /// Edits the config.
    fn change(&mut self) {
        let dice = &mut self.dice;
        match dice.roll(6) {
            0 => self.wish.count = 1 + dice.roll(5),
            1 => self.wish.script += 1,
            2 => self.wish.copied = !self.wish.copied,
            3 => self.wish.partners = dice.roll(3),
            4 => self.wish.tag += 1,
            _ => {
                self.wish.count = 1 + dice.roll(5);
                self.wish.script += 1;
                self.wish.tag += 1;
            }
        }
        self.place.ask_for(&self.wish);
    }

    fn kill(&mut self, destroy: bool, again: usize, tally: &Mutex<Tally>) {
        let mut running = self.place.start(command(destroy));
        if self.dice.roll(2) == 0 {
            pause(self.dice.roll(self.takes_ms * 3 / 4));
        } else {
            // A little after it has told of so many things.
            let lines = 1 + usize::try_from(self.dice.roll(14)).expect("a few");
            running.until(|said| said.lines().filter(|line| line.contains('Z')).count() >= lines);
            pause(self.dice.roll(self.takes_ms / 20));
        }
        let ran = !running.is_over();
        running.child.kill().expect("killed");
        running.child.wait().expect("gone");
        let begun = self.place.is_begun();
        let amid = self.place.stored().is_some_and(|stored| !stored.open.is_empty());
        let mut tally = tally.lock().expect("no panic");
        tally.kills += 1;
        tally.running += usize::from(ran);
        tally.begun += usize::from(ran && begun);
        tally.amid += usize::from(ran && amid);
        tally.recovering += usize::from(ran && amid && again > 0);
    }

    fn converge(&self, destroy: bool) -> Result<(), String> {
        let mut talk = String::new();
        for _ in 0..MOST_RUNS {
            let output = self.place.run(command(destroy));
            talk += &said(&output);
            match output.status.code() {
                Some(0) => {
                    let wrong = self.place.wrong(destroy);
                    return if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{talk}", wrong.join("; "))) };
                }
                // What an interrupted run left was settled as not done; the next run does it.
                Some(1 | 3) => {}
                other => return Err(format!("it ended with {other:?}:\n{talk}")),
            }
        }
        Err(format!("it is not done after {MOST_RUNS} runs:\n{talk}"))
    }
}

fn command(destroy: bool) -> &'static str {
    if destroy { "destroy --auto-approve" } else { "apply --auto-approve" }
}
