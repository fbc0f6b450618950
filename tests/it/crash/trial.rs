//! One trial: something goes wrong, the command is given again, and the world is as it should be.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright::cli::Exit;
use fleetwright::cloud::call::Class;
use fleetwright::cloud::embedded::Injection;
use fleetwright::store::{SqliteStore, Store};

use super::UNANSWERED;
use super::moment::{Moment, moment};
use super::scenarios::Scenario;
use super::wire::{Fate, Traffic, Trap, Wire};
use super::world::{all_discarded, faults, holds, leaks, secrets, serial, summary};
use crate::rig::{OWNER, Ran, Rig};
use crate::sim::watch::{Fleets, Watch};

/// How often a command may have to be given again: once to settle and go on, once more where a refusal had to be
/// noticed first.
const MOST_RUNS: usize = 3;
/// How long a world is left alone before it is looked at: what machines do by themselves, they have done by then.
const REST_MS: i64 = 10_000;

/// What is done, and what is done about it when something goes wrong.
#[derive(Clone, Copy)]
pub(crate) struct Doing {
    /// The command that something goes wrong with.
    pub(crate) command: &'static str,
    /// How it ends where nothing goes wrong.
    pub(crate) ends: Exit,
    /// What is given once before anything else, whatever comes of it.
    pub(crate) between: Option<&'static str>,
    /// What is given until it is done.
    pub(crate) again: &'static str,
    /// What has nothing to say when all is done.
    pub(crate) look: &'static str,
    /// What else the world may be like in the end.
    pub(crate) or: Or,
}

/// What a world may be like instead of as it is where nothing goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Or {
    /// Nothing else.
    Never,
    /// As if the command had never been given: the one that is given again asks for less.
    AsBefore,
    /// As it is where the cloud refuses the last call of this action: a rollout that fails is taken back.
    Refused(&'static str),
}

impl Doing {
    /// A command that is given again when something goes wrong.
    pub(crate) fn of(command: &'static str) -> Self {
        let look = if command.starts_with("destroy") {
            "plan --destroy --detailed-exitcode"
        } else {
            "plan --detailed-exitcode"
        };
        Self { command, ends: Exit::Done, between: None, again: command, look, or: Or::Never }
    }
}

/// A world before a command, and what it is like after it.
pub(crate) struct Base {
    rig: Rig,
    doing: Doing,
    /// What the world may be like in the end.
    wanted: Vec<BTreeSet<String>>,
    /// How many instances there may be at every moment.
    fleets: Fleets,
    /// The state's serial before it all.
    serial: u64,
    /// What goes over the line when nothing goes wrong.
    pub(crate) traffic: Traffic,
}

impl Base {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let rig = Rig::of_example(scenario.example);
        if let Some(prepare) = scenario.prepare {
            rig.settle();
            // What was accepted long ago is not awaited any more.
            rig.wait_ms(600_000);
            prepare(&rig);
        }
        Self::new(scenario.name, rig, scenario.command)
    }

    /// A world as it is, and what is done in it.
    pub(crate) fn new(name: &str, rig: Rig, command: &'static str) -> Self {
        Self::doing(name, rig, Doing::of(command))
    }

    /// A world as it is, what is done in it, and what is done when that fails.
    pub(crate) fn doing(name: &str, rig: Rig, doing: Doing) -> Self {
        let wanted_rig = rig.fork();
        let wire = Wire::new(None);
        wire.run(&wanted_rig, doing.command, false).expect("nobody dies").expect(doing.ends);
        wanted_rig.wait_ms(REST_MS);
        let traffic = wire.traffic();
        let mut wanted = vec![summary(&wanted_rig)];
        match doing.or {
            Or::Never => {}
            Or::AsBefore => wanted.push(summary(&rig)),
            Or::Refused(action) => wanted.push(refused(&rig, doing.command, &traffic, action)),
        }
        let serial = serial(&rig);
        let base = Self { wanted, fleets: Fleets::new(), serial, rig, doing, traffic };
        base.is_right(&wanted_rig).unwrap_or_else(|why| panic!("{name}: {why}"));
        base
    }

    /// The same, where fleets keep within their bounds at every moment.
    pub(crate) fn within(self, fleets: Fleets) -> Self {
        Self { fleets, ..self }
    }

    fn destroys(&self) -> bool {
        self.doing.command.starts_with("destroy")
    }

    /// Whether a world is as it should be.
    fn is_right(&self, rig: &Rig) -> Result<(), String> {
        let plan = rig.run(self.doing.look);
        if plan.exit != Exit::Done || plan.err.contains("still open") {
            return Err(format!("the second plan is not empty: {:?}\n{}\n{}", plan.exit, plan.out, plan.err));
        }
        let faults = faults(rig);
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let found = summary(rig);
        if let Some(wanted) = self.wanted.first().filter(|_| !self.wanted.contains(&found)) {
            let lost: Vec<&String> = wanted.difference(&found).collect();
            let more: Vec<&String> = found.difference(wanted).collect();
            return Err(format!("the world is another: missing {lost:#?}, beyond {more:#?}"));
        }
        let leaks = leaks(rig, &secrets(rig));
        if !leaks.is_empty() {
            return Err(leaks.join("; "));
        }
        // What was paid in advance lies in the recycle bin.
        let gone = if found.is_empty() { rig.holdings().nothing_of(OWNER) } else { all_discarded(&found) };
        if self.destroys() && !gone {
            return Err("something is left".into());
        }
        Ok(())
    }
}

/// A world after a command of which the cloud refuses the last call of an action.
fn refused(rig: &Rig, command: &str, traffic: &Traffic, action: &str) -> BTreeSet<String> {
    let rig = rig.fork();
    let last = traffic.calls.iter().rposition(|(made, _)| *made == action).expect("such a call");
    let wire = Wire::new(Some(Trap::Call(last, Fate::Refused(Class::Invalid, "InvalidParameterValue", 1))));
    wire.run(&rig, command, false).expect("nobody dies").expect(Exit::Partly);
    rig.wait_ms(REST_MS);
    summary(&rig)
}

/// A fork of a world.
pub(crate) struct Trial<'b> {
    base: &'b Base,
    rig: Rig,
    wire: Arc<Wire>,
    watch: Watch,
    remote: bool,
}

impl<'b> Trial<'b> {
    pub(crate) fn new(base: &'b Base, remote: bool) -> Self {
        Self::over(base, base.rig.fork(), Wire::new(None), remote)
    }

    /// Another one that is where this one is now, and goes its own way.
    pub(crate) fn fork(&self) -> Self {
        Self::over(self.base, self.rig.fork(), self.wire.fork(), self.remote)
    }

    fn over(base: &'b Base, rig: Rig, wire: Arc<Wire>, remote: bool) -> Self {
        let watch = Watch::over(base.fleets.clone());
        wire.watch(Some(watch.looks_on()));
        Self { base, rig, wire, watch, remote }
    }

    /// Asks the cloud for a fault.
    pub(crate) fn inject(&self, injection: Injection) {
        self.rig.cloud().inject(injection);
    }

    /// One thing goes wrong.
    pub(crate) fn once(&self, trap: Trap) -> Result<(), String> {
        self.strike(self.base.doing.command, trap)?;
        self.recovers()
    }

    /// The process dies. Answers what it leaves behind: whatever leaves the same is the same from then on.
    pub(crate) fn dies(&self, trap: Trap) -> Result<Moment, String> {
        self.strike(self.base.doing.command, trap)?;
        Ok(moment(&self.rig, &self.wire, self.remote))
    }

    /// The process that was to put things right dies, too.
    pub(crate) fn dies_again(&self, trap: Trap) -> Result<Moment, String> {
        self.strike(self.next(), trap)?;
        Ok(moment(&self.rig, &self.wire, self.remote))
    }

    /// Nothing goes wrong any more, and things are put right.
    pub(crate) fn recovers(&self) -> Result<(), String> {
        self.wire.arm(None);
        let (before, between) = (self.base.serial, serial(&self.rig));
        self.finish()?;
        let after = serial(&self.rig);
        if before <= between && between <= after {
            Ok(())
        } else {
            Err(format!("the serial went from {before} over {between} to {after}"))
        }
    }

    /// How many frames the journal had when it was torn, and how many of them were new.
    pub(crate) fn frames(&self) -> (usize, usize) {
        self.wire.frames()
    }

    /// The state has forgotten what it knew. Nothing can bring that back: what is made again may be there twice. But the
    /// program goes on, the state is what it says, and whatever it does not know is named. Answers how much that was.
    pub(crate) fn bears_a_lost_memory(&self) -> Result<usize, String> {
        self.wire.arm(None);
        let mut talk = String::new();
        for _ in 0..MOST_RUNS {
            let ran = self.wire.run(&self.rig, self.base.doing.again, self.remote).expect("nobody dies any more");
            self.quiet(&ran)?;
            talk.push_str(&format!("--- {:?}\n{}{}", ran.exit, ran.out, ran.err));
            if ran.exit == Exit::Done {
                break;
            }
            if !matches!(ran.exit, Exit::Failed | Exit::Partly) {
                return Err(format!("{:?}\n{talk}", ran.exit));
            }
        }
        self.wire.land(&self.rig);
        // What is young is not called an orphan yet.
        self.rig.wait_ms(600_000);
        let plan = self.rig.run(self.base.doing.look);
        if plan.exit != Exit::Done {
            return Err(format!("the second plan is not empty: {:?}\n{}{}\n{talk}", plan.exit, plan.out, plan.err));
        }
        let orphans = self.rig.run("drift --orphans --json").out;
        let faults = faults(&self.rig);
        let known = |fault: &&String| fault.contains("two are called") || fault.contains("is in the cloud only");
        if let Some(fault) = faults.iter().find(|fault| !known(fault)) {
            return Err(format!("{fault}\n{talk}"));
        }
        let left: Vec<&String> = faults.iter().filter(|fault| fault.contains("is in the cloud only")).collect();
        for fault in &left {
            let id = fault.split('"').nth(3).ok_or("a region and an id")?;
            if !orphans.contains(id) {
                return Err(format!("{fault}, and nobody says so:\n{orphans}\n{talk}"));
            }
        }
        Ok(left.len())
    }

    /// What is done next after a death.
    fn next(&self) -> &'static str {
        self.base.doing.between.unwrap_or(self.base.doing.again)
    }

    /// Every point of what is done next, at which it may go wrong again.
    pub(crate) fn next_traps(&self) -> Vec<Trap> {
        let dry = self.fork();
        drop(dry.wire.run(&dry.rig, self.next(), self.remote));
        let traffic = dry.wire.traffic();
        let calls = (0..traffic.calls.len()).flat_map(|n| {
            let other = if traffic.calls[n].1 { Fate::AnswerLost } else { UNANSWERED };
            [Trap::Call(n, Fate::NotSent), Trap::Call(n, other)]
        });
        let writes = (0..traffic.writes).flat_map(|n| [Trap::Write(n, false), Trap::Write(n, true)]);
        calls.chain(writes).collect()
    }

    /// Before a write somebody else takes the lock over, whose lease has run out. Answers how the first one ended.
    pub(crate) fn stolen(&self, write: usize) -> Result<Exit, String> {
        self.wire.arm(Some(Trap::Stolen(write)));
        let first = self.wire.run(&self.rig, self.base.doing.command, self.remote).expect("nobody dies");
        let thief = self.wire.thief().ok_or("nobody took the lock over")?;
        let (fence, then) = thief.took;
        let mut store = SqliteStore::open(&thief.file).map_err(|fault| fault.to_string())?.ok_or("no state")?;
        let now = store.load().map_err(|fault| fault.to_string())?;
        if now != then {
            return Err(format!("it was written to afterwards: {then:#?}\n{now:#?}"));
        }
        store.unlock(fence).map_err(|fault| fault.to_string())?;
        drop(store);
        self.wire.arm(None);
        self.finish()?;
        Ok(first.exit)
    }

    /// The process falls asleep with a request on its way, somebody breaks its lock, and the request arrives while another
    /// one is at work, or after that. Nothing of this leaves the machine: what keeps it from being executed is its age.
    pub(crate) fn asleep(&self, trap: Trap) -> Result<(), String> {
        assert!(!self.remote, "what is far away is always waited for");
        self.strike(self.base.doing.command, trap)?;
        self.wire.arm(None);
        self.rig.known_dead.set(false);
        let refused = self.rig.run(self.base.doing.again);
        if refused.exit != Exit::Locked {
            return Err(format!("it sleeps, and its lock was taken: {:?}\n{}", refused.exit, refused.err));
        }
        self.rig.run("force-unlock --auto-approve").expect(Exit::Done);
        self.finish()
    }

    /// The process dies, and then the next one, at each of its points. Answers how many those were, and what failed.
    pub(crate) fn twice(&self, first: Trap) -> (usize, Vec<String>) {
        if let Err(why) = self.strike(self.base.doing.command, first) {
            return (0, vec![why]);
        }
        let traps = self.next_traps();
        let mut faults = Vec::new();
        for second in &traps {
            let again = self.fork();
            if let Err(why) = again.strike(self.next(), *second).and_then(|()| again.finish()) {
                faults.push(format!("{second:?}: {why}"));
            }
        }
        (traps.len(), faults)
    }

    /// Runs into a trap with a command.
    fn strike(&self, command: &str, trap: Trap) -> Result<(), String> {
        self.wire.arm(Some(trap));
        let ran = self.wire.run(&self.rig, command, self.remote);
        if self.wire.sprung().is_empty() {
            return Err("the trap was never reached".into());
        }
        match (ran, trap.kills()) {
            (None, true) => {
                self.rig.wait_ms(1_000);
                Ok(())
            }
            (Some(ran), false) => {
                self.rig.go_on();
                self.quiet(&ran)
            }
            (ran, _) => Err(format!("it should have died, or lived: {ran:?}")),
        }
    }

    /// Gives the command again until it is done, lets everything arrive, and looks.
    fn finish(&self) -> Result<(), String> {
        let mut talk = String::new();
        let give = |command: &str| self.wire.run(&self.rig, command, self.remote).expect("nobody dies any more");
        if let Some(between) = self.base.doing.between {
            let ran = give(between);
            self.quiet(&ran)?;
            talk.push_str(&format!("--- {between}: {:?}\n{}{}", ran.exit, ran.out, ran.err));
        }
        for run in 0.. {
            let ran = give(self.base.doing.again);
            self.quiet(&ran)?;
            talk.push_str(&format!("--- run {run}: {:?}\n{}{}", ran.exit, ran.out, ran.err));
            if ran.exit == Exit::Done {
                break;
            }
            if run + 1 == MOST_RUNS {
                return Err(format!("it is not done after {MOST_RUNS} runs:\n{talk}"));
            }
        }
        self.wire.land(&self.rig);
        self.rig.wait_ms(REST_MS);
        let broken = self.watch.broken();
        if !broken.is_empty() {
            return Err(format!("{}\n{talk}", broken.join("; ")));
        }
        self.base.is_right(&self.rig).map_err(|why| format!("{why}\n{talk}"))
    }

    /// What is said holds no secret.
    fn quiet(&self, ran: &Ran) -> Result<(), String> {
        let spoken = secrets(&self.rig)
            .into_iter()
            .find(|secret| holds(ran.out.as_bytes(), secret) || holds(ran.err.as_bytes(), secret));
        spoken.map_or(Ok(()), |secret| Err(format!("{secret:?} is said:\n{}{}", ran.out, ran.err)))
    }
}
