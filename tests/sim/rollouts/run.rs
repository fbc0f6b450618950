//! Tells a story of rollouts: never are fewer instances well than there may be, nor are there more than there may be, and in
//! the end the fleet runs what the rollout says that it runs.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cli::Exit;
use serde_json::Value;

use super::fleet::{Amount, Fleet, Turns, Way};
use super::script::{Atom, Rolls};
use crate::crash::wire::Trap;
use crate::crash::world::{faults, leaks, state};
use crate::kit::GZ;
use crate::rig::{OWNER, Ran, Rig};
use crate::sim::script::RUNS;
use crate::sim::stage::{Hears, Stage, Teller, secrets};
use crate::sim::story::Tally;
use crate::sim::watch::{Bounds, FLEET, Fleets, Serving, Watch, idle, taken_for_well, there, well};

const APPLY: &str = "apply --auto-approve";
/// How often something may have to be said until the world is at rest: each batch may end with a pause.
const MOST_TURNS: usize = 24;
/// What machines do by themselves, they have done by then.
const REST_MS: i64 = 10_000;

/// What stories of rollouts held.
#[derive(Default)]
pub(crate) struct Rolled {
    stories: usize,
    rounds: usize,
    runs: usize,
    /// Deaths, interrupts and calls that went wrong.
    sprung: usize,
    /// How rollouts ended, by strategy.
    ends: BTreeMap<(&'static str, String), usize>,
    /// What was said to them.
    said: BTreeMap<&'static str, usize>,
}

impl Tally for Rolled {
    fn add(&mut self, other: Self) {
        let Self { stories, rounds, runs, sprung, ends, said } = other;
        self.stories += stories;
        self.rounds += rounds;
        self.runs += runs;
        self.sprung += sprung;
        for (key, n) in ends {
            *self.ends.entry(key).or_default() += n;
        }
        for (key, n) in said {
            *self.said.entry(key).or_default() += n;
        }
    }

    fn text(&self) -> String {
        let Self { stories, rounds, runs, sprung, ends, said } = self;
        let all: usize = ends.values().sum();
        let ends: Vec<String> = ends.iter().map(|((strategy, phase), n)| format!("{strategy} {phase} {n}")).collect();
        let said: Vec<String> = said.iter().map(|(word, n)| format!("{word} {n}")).collect();
        format!(
            "{stories} seeds, {all} rollouts in {rounds} rounds and {runs} runs, {sprung} of them in trouble\nrollouts: \
             {}\nsaid: {}\n",
            ends.join(", "),
            said.join(", ")
        )
    }
}

pub(crate) struct RollTeller<'s> {
    script: &'s Rolls,
    on: Stage,
    fleet: Fleet,
    /// How many versions were asked for so far.
    versions: usize,
    /// How many there were to be when the world last came to rest.
    count: usize,
    /// The ways in which updates were to be made since then, and before: what one took out of service is not back at once.
    ways: Vec<Way>,
    /// Whether machines may fall ill by themselves.
    ill: bool,
    /// Whether there are versions that are not well.
    sick: bool,
    /// Since when the last rollout was under way that was seen to end.
    seen: Option<Value>,
    serial: u64,
    cover: Rolled,
}

impl Teller for RollTeller<'_> {
    type Cover = Rolled;

    fn all(&mut self) -> Result<(), String> {
        let script = self.script;
        for atoms in script.atoms.rounds() {
            self.round(&atoms)?;
        }
        self.end()
    }

    fn told(self) -> (Rolled, String) {
        (self.cover, self.on.story())
    }
}

impl<'s> RollTeller<'s> {
    pub(crate) fn new(script: &'s Rolls, hears: Hears) -> Self {
        let way = Way {
            strategy: "replace",
            surge: Amount::Count(0),
            away: Amount::Count(1),
            batch: None,
            canary: None,
            pause: "none",
            order: "zones",
            min_ready_s: 0,
            bake_s: 0,
            failures: 0,
            back: false,
        };
        let fleet = Fleet { version: (0, Turns::Well), count: 2, large: false, tagged: false, keep: 1, way };
        let rig = Rig::with(&[("shop.yaml", &fleet.text()), ("boot.sh", &fleet.boot())], script.settings());
        let mut on = Stage::new(rig, Watch::over(Fleets::new()), script.remote, hears);
        on.say(&format!("seed {}, remote {}", script.seed, script.remote));
        Self {
            script,
            on,
            fleet,
            versions: 0,
            count: 0,
            ways: vec![way],
            ill: false,
            sick: false,
            seen: None,
            serial: 0,
            cover: Rolled { stories: 1, ..Rolled::default() },
        }
    }

    fn change_to(&mut self, fleet: Fleet) {
        if fleet != self.fleet {
            self.on.say(&format!("edit to {fleet:?}"));
        }
        self.ways.push(fleet.way);
        self.on.rig.write("shop.yaml", &fleet.text());
        self.on.rig.write("boot.sh", &fleet.boot());
        self.fleet = fleet;
    }

    fn next_version(&mut self, turns: Turns) -> (usize, Turns) {
        self.versions += 1;
        self.ill |= turns == Turns::Ill;
        self.sick |= !matches!(turns, Turns::Well | Turns::Slowly);
        (self.versions, turns)
    }

    fn round(&mut self, atoms: &[&Atom]) -> Result<(), String> {
        self.cover.rounds += 1;
        let mut fleet = self.fleet.clone();
        let mut answer = "promote";
        for atom in atoms {
            match atom {
                Atom::Version(turns) => fleet.version = self.next_version(*turns),
                Atom::Way(way) => fleet.way = *way,
                Atom::Count(count) => fleet.count = *count,
                Atom::Resize => fleet.large = !fleet.large,
                Atom::Tag => fleet.tagged = !fleet.tagged,
                Atom::Keep(keep) => fleet.keep = *keep,
                Atom::Deed(deed) => {
                    let words = deed.done(&self.on.rig);
                    self.on.say(&words);
                }
                Atom::Failure(failure) => {
                    let injection = failure.injection(&self.on.rig);
                    self.on.say(&format!("{injection:?}"));
                    self.on.rig.cloud().inject(injection);
                }
                Atom::Answer(word) => answer = word,
                Atom::Trap(..) | Atom::Slow(..) | Atom::Second(..) | Atom::Say(..) | Atom::Retry(_) => {}
            }
        }
        // What somebody is about to delete is gone then.
        self.on.rig.wait_ms(20_000);
        self.change_to(fleet);
        for run in 0..RUNS {
            let here: Vec<&Atom> = atoms.iter().copied().filter(|atom| atom.is_of(run)).collect();
            if !here.is_empty() {
                self.troubled(&here)?;
            }
        }
        self.on.wire.arm(None);
        self.on.wire.slow_down(Vec::new());
        self.rest(answer)
    }

    /// What must hold from now on, until the config or somebody else's hands change something.
    fn expect(&self) {
        let (rig, check) = (&self.on.rig, Fleet::check());
        let (before, count) = (self.count, self.fleet.count);
        let most = |of: fn(&Way, usize) -> usize| {
            self.ways.iter().map(|way| of(way, before).max(of(way, count)) + way.failures).max().unwrap_or_default()
        };
        let well = well(rig, &check);
        // Which of them go that are too many, their numbers say; and what somebody switched off stays off.
        let stay = well.saturating_sub(before.saturating_sub(count));
        let away = most(Way::away) + idle(rig);
        // Nobody knows of those that no gate had to look at, as the fleet was new, that they are not well: any may go.
        let blind = self.sick && taken_for_well(rig, &check) > 0;
        let stay = if blind { stay.saturating_sub(away) } else { stay };
        let bounds = Bounds {
            fewest: stay.min(before.min(count).saturating_sub(away)),
            most: there(rig).max(before.max(count) + most(Way::surge)),
        };
        let serving = if self.ill { Serving::FallingIll(check) } else { Serving::Answering(check) };
        self.on.watch.bound(Fleets::from([(FLEET.to_owned(), bounds)]), serving);
    }

    /// A run in which something may go wrong.
    fn troubled(&mut self, atoms: &[&Atom]) -> Result<(), String> {
        let (mut traps, mut slow, mut args) = (Vec::new(), Vec::new(), APPLY.to_owned());
        for atom in atoms {
            match atom {
                Atom::Trap(_, trap) => traps.push(*trap),
                Atom::Slow(_, trips) => slow.clone_from(trips),
                Atom::Second(_, turns) => {
                    let version = self.next_version(*turns);
                    self.change_to(Fleet { version, ..self.fleet.clone() });
                }
                Atom::Say(_, word) => args = self.says(word),
                Atom::Retry(_) => args = format!("{APPLY} --retry"),
                Atom::Version(_)
                | Atom::Way(_)
                | Atom::Count(_)
                | Atom::Resize
                | Atom::Tag
                | Atom::Keep(_)
                | Atom::Deed(_)
                | Atom::Failure(_)
                | Atom::Answer(_) => {}
            }
        }
        self.on.wire.arm(traps);
        self.on.wire.slow_down(slow);
        let (ran, sprung) = self.run(&args);
        let stolen = self.on.stolen()?;
        let Some(ran) = ran else {
            self.on.rig.wait_ms(1_000);
            return self.on.unbroken();
        };
        self.on.unbroken()?;
        match ran.exit {
            Exit::Done | Exit::Partly | Exit::Failed | Exit::Waiting | Exit::Interrupted => Ok(()),
            Exit::Locked if stolen => Ok(()),
            // What was not seen as it is may not go together with the config.
            Exit::Config | Exit::Infeasible if !sprung.is_empty() => Ok(()),
            Exit::Infeasible if args.contains("rollback") && ran.err.contains("error[no-way-back]") => Ok(()),
            Exit::Changes
            | Exit::Usage
            | Exit::Config
            | Exit::Infeasible
            | Exit::Guard
            | Exit::Foreign
            | Exit::Locked
            | Exit::Bug => Err(format!("{args}: {:?}\n{}\n{}", ran.exit, ran.out, ran.err)),
        }
    }

    /// The words to say something to the rollout.
    fn says(&mut self, word: &'static str) -> String {
        *self.cover.said.entry(word).or_default() += 1;
        let approved = if matches!(word, "pause" | "abort") { "" } else { " --auto-approve" };
        format!("rollout {word} web{approved}")
    }

    /// Runs something, and looks whether what must hold does so. `None`: it died.
    fn run(&mut self, args: &str) -> (Option<Ran>, Vec<Trap>) {
        self.expect();
        self.on.watch.begins();
        let ran = self.on.wire.run(&self.on.rig, args, self.on.remote);
        let sprung = self.on.wire.sprung();
        self.on.rig.go_on();
        self.on.say(&format!("{args}, ran into {sprung:?}: {:?}", ran.as_ref().map(|ran| ran.exit)));
        self.cover.runs += 1;
        self.cover.sprung += usize::from(!sprung.is_empty());
        (ran, sprung)
    }

    fn secrets(&self) -> Vec<String> {
        secrets(&self.fleet.boot())
    }

    /// Goes on until there is nothing left to do.
    fn rest(&mut self, mut answer: &'static str) -> Result<(), String> {
        let mut waits = false;
        for turn in 0..MOST_TURNS {
            let args = if waits { self.says(answer) } else { APPLY.to_owned() };
            let (ran, _) = self.run(&args);
            let ran = ran.ok_or("nobody dies any more")?;
            self.on.overhear(&ran);
            self.on.quiet(&ran, &self.secrets())?;
            self.on.truly_failed()?;
            self.on.unbroken()?;
            let said = std::mem::take(&mut waits);
            match ran.exit {
                Exit::Done => {
                    self.on.wire.land(&self.on.rig);
                    self.on.rig.wait_ms(REST_MS);
                    if !said && self.on.rig.run("plan --detailed-exitcode").exit == Exit::Done {
                        return self.is_right();
                    }
                }
                Exit::Waiting => waits = true,
                // A slot that may fail does so again each time, and what ran before may not be well either; then another
                // version is asked for.
                Exit::Partly | Exit::Failed if turn > 6 && self.sick => {
                    let version = self.next_version(Turns::Well);
                    self.change_to(Fleet { version, ..self.fleet.clone() });
                    // Nobody goes back again to what was not well.
                    answer = "promote";
                }
                Exit::Partly | Exit::Failed => {}
                // What ran before may be gone where there is no room to keep it.
                Exit::Infeasible if said && self.fleet.keep == 0 && ran.err.contains("error[no-way-back]") => {
                    answer = "promote";
                    waits = true;
                }
                Exit::Changes
                | Exit::Usage
                | Exit::Config
                | Exit::Infeasible
                | Exit::Guard
                | Exit::Foreign
                | Exit::Locked
                | Exit::Bug
                | Exit::Interrupted => return Err(format!("{args}: {:?}\n{}\n{}", ran.exit, ran.out, ran.err)),
            }
            // What somebody deleted by hand is on its way out for a while.
            self.on.rig.wait_ms(1_000 << turn.min(6));
        }
        let (last, plan) = (self.on.rig.run(APPLY), self.on.rig.run("plan"));
        Err(format!("does not come to rest:\n{}{}\n{}{}", last.out, last.err, plan.out, plan.err))
    }

    /// State and cloud are one, nothing is left behind, and the fleet runs what the rollout says.
    fn is_right(&mut self) -> Result<(), String> {
        let faults = faults(&self.on.rig);
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        self.on.rig.expect_in_step();
        let leaks = leaks(&self.on.rig, &self.secrets());
        if !leaks.is_empty() {
            return Err(leaks.join("; "));
        }
        let serial = state(&self.on.rig)["serial"].as_u64().unwrap_or(0);
        if serial < self.serial {
            return Err(format!("the serial went from {} to {serial}", self.serial));
        }
        (self.serial, self.count, self.ways) = (serial, self.fleet.count, vec![self.fleet.way]);
        let there = there(&self.on.rig);
        if there != self.count {
            return Err(format!("there are {there} instances, and {} are to be there", self.count));
        }
        self.ended()
    }

    /// How the last rollout ended.
    fn ended(&mut self) -> Result<(), String> {
        let status = self.on.rig.json("rollout status --json");
        let row = &status["rollouts"][0];
        if row.is_null() || self.seen.as_ref() == Some(&row["started"]) {
            return Ok(());
        }
        self.seen = Some(row["started"].clone());
        let phase = row["phase"].as_str().unwrap_or_default();
        *self.cover.ends.entry((self.fleet.way.strategy, phase.to_owned())).or_default() += 1;
        if phase == "running" {
            return Err("nothing is left to do, and the rollout is still under way".into());
        }
        if phase != "done" {
            return Ok(());
        }
        // All of them run from the one image, and what made that is the script of the config.
        let holdings = self.on.rig.holdings();
        let held = holdings.of(OWNER, GZ).ok_or("nothing is there")?;
        let there = held.instances.values().filter(|one| one.state != "LAUNCH_FAILED");
        let images: BTreeSet<&str> = there.map(|one| one.image.as_str()).collect();
        let sick = matches!(self.fleet.version.1, Turns::Bad | Turns::Dead);
        let allowed = self.fleet.way.failures.max(1);
        if images.len() != 1 {
            return Err(format!("the rollout is done, and they run from {images:?}"));
        }
        if sick && self.count > allowed {
            return Err(format!("a rollout of what is {:?} is done", self.fleet.version));
        }
        Ok(())
    }

    /// Everything is destroyed, and nothing is left.
    fn end(&mut self) -> Result<(), String> {
        self.on.watch.bound(Fleets::new(), Serving::Running);
        let args = "destroy --auto-approve";
        let ran = self.on.wire.run(&self.on.rig, args, self.on.remote).ok_or("nobody dies any more")?;
        if ran.exit != Exit::Done {
            return Err(format!("{args}: {:?}\n{}{}", ran.exit, ran.out, ran.err));
        }
        self.on.wire.land(&self.on.rig);
        self.on.rig.wait_ms(REST_MS);
        let holdings = self.on.rig.holdings();
        for holding in holdings.0.values().flat_map(BTreeMap::values) {
            let left =
                holding.instances.values().filter(|one| !["LAUNCH_FAILED", "SHUTDOWN"].contains(&one.state.as_str()));
            if left.count() + holding.images.len() > 0 {
                return Err(format!("something is left: {holdings:#?}"));
            }
        }
        Ok(())
    }
}
