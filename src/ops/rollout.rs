//! What somebody says to a rollout: pause, resume, promote, abort, rollback.
//!
//! What is said changes the row of the rollout, under the lock and as a run of the history. Whoever goes on with it, or takes
//! it back, mostly wants that done as well: then the row changes as the apply of that fleet begins ([`super::apply`]).
//! A pause is different: it is most wanted while another process holds the lock, and reaches that one as a wish.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::{Held, wrapped};
use super::load::store_problem;
use super::lock::Waiter;
use super::{Problem, Site};
use crate::apply::events::Outcome;
use crate::diagnostic::{Diagnostic, Place, codes, nearest};
use crate::model::Millis;
use crate::model::addr::{Block, Kind};
use crate::model::desired::Desired;
use crate::model::ids::Name;
use crate::model::recorded::{Object, Recorded, RunId};
use crate::model::rollout::{Phase, Rollout};
use crate::model::spec::{ImageUse, ObjectSpec, SlotSpec};
use crate::plan::{Plan, RolloutPlan};
use crate::store::{Holder, Lease, PauseWish, Record, SqliteStore, Store, StoreFault};

/// What somebody says to a rollout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Say {
    /// Wait.
    Pause,
    /// Go on to the next pause.
    Resume,
    /// Go on to the end, without another pause.
    Promote,
    /// End where you are.
    Abort,
    /// Take it all back.
    Rollback,
}

impl Say {
    /// All of it.
    pub const ALL: [Self; 5] = [Self::Pause, Self::Resume, Self::Promote, Self::Abort, Self::Rollback];

    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Rollback => "rollback",
        }
    }

    /// What a run of it is called in the history.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Pause => "rollout pause",
            Self::Resume => "rollout resume",
            Self::Promote => "rollout promote",
            Self::Abort => "rollout abort",
            Self::Rollback => "rollout rollback",
        }
    }

    /// What becomes of a rollout to which it is said.
    fn turn(self, row: &Rollout, by: &Holder, now_ms: Millis) -> Turn {
        let goes_on = matches!(self, Self::Resume | Self::Promote);
        let (phase, why) = match (self, row.phase) {
            (Self::Resume, Phase::Running) | (Self::Pause, Phase::Paused) => return Turn::Already,
            (Self::Promote, Phase::Running) if row.promoted => return Turn::Already,
            (Self::Abort, Phase::Aborted) | (Self::Rollback, Phase::TakenBack) => return Turn::Already,
            (Self::Resume, Phase::Paused | Phase::Stopped | Phase::Aborted)
            | (Self::Promote, Phase::Running | Phase::Paused | Phase::Stopped | Phase::Aborted) => {
                (Phase::Running, String::new())
            }
            (Self::Pause, Phase::Running) => (Phase::Paused, said(by, "paused it")),
            (Self::Abort, Phase::Running | Phase::Paused | Phase::Stopped) => (Phase::Aborted, said(by, "aborted it")),
            (Self::Rollback, Phase::Running | Phase::Paused | Phase::Done | Phase::Stopped | Phase::Aborted) => {
                (Phase::TakenBack, said(by, "took it back"))
            }
            (Self::Pause | Self::Abort, _) | (Self::Resume | Self::Promote, Phase::Done | Phase::TakenBack) => {
                return Turn::Cannot;
            }
        };
        // Whoever goes on after a failure has looked at it: what failed before no longer counts.
        let forgiven = goes_on && matches!(row.phase, Phase::Stopped | Phase::Aborted);
        Turn::To(Box::new(Rollout {
            block: row.block.clone(),
            target: row.target,
            to: row.to.clone(),
            before: row.before.clone(),
            phase,
            canary_passed: row.canary_passed,
            promoted: row.promoted || self == Self::Promote,
            failed: if forgiven { BTreeSet::new() } else { row.failed.clone() },
            why,
            started_ms: row.started_ms,
            changed_ms: now_ms,
        }))
    }
}

fn said(by: &Holder, what: &str) -> String {
    format!("{} on {} {what}", by.who, by.host)
}

/// What becomes of a rollout.
enum Turn {
    /// It is so already.
    Already,
    /// It becomes this.
    To(Box<Rollout>),
    /// It is past that.
    Cannot,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The rollout is this from now on.
    Changed {
        /// The run of the history.
        run: RunId,
        /// The rollout.
        row: Box<Rollout>,
    },
    /// It was so before.
    Already(Box<Rollout>),
    /// Whoever holds the lock carries it out, and pauses it at its next gate.
    Wished {
        /// The rollout as it is.
        row: Box<Rollout>,
        /// Who that is.
        lease: Box<Lease>,
    },
}

/// Something that is said to the rollout of a fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saying {
    /// The fleet.
    pub block: Block,
    /// What.
    pub say: Say,
}

impl Saying {
    /// Of a fleet, as it is named on the command line: `web` or `fleet.web`.
    ///
    /// # Errors
    /// No fleet could be called so.
    pub fn to(fleet: &str, say: Say) -> Result<Self, Problem> {
        Ok(Self { block: fleet_named(fleet)?, say })
    }

    /// The rollout as it is then; `None`: it is so already.
    fn change(&self, site: &Site, recorded: &Recorded) -> Result<Option<Rollout>, Problem> {
        let row = row_of(site, recorded, &self.block)?;
        let changed = match self.say.turn(row, &site.holder, site.clock.now_ms()) {
            Turn::Already => None,
            Turn::To(changed) => Some(*changed),
            Turn::Cannot => return Err(past_that(site, row, self.say)),
        };
        if self.say == Say::Rollback {
            way_back(recorded, row).map_err(|why| no_way_back(site, row, &why))?;
        }
        Ok(changed)
    }

    /// The same, where an apply of the fleet follows.
    pub(super) fn change_and_apply(
        &self,
        site: &Site,
        recorded: &Recorded,
        desired: &Desired,
    ) -> Result<Option<Rollout>, Problem> {
        let changed = self.change(site, recorded)?;
        if desired.fleets.contains_key(&self.block.name) {
            return Ok(changed);
        }
        Err(Problem::of(
            Diagnostic::error(codes::NO_ROLLOUT, format!("nothing can be rolled out over {}", self.block))
                .why("the config has no such fleet any more: the next apply destroys it")
                .help(format!("`{}` shows what that is", site.command("plan"))),
        ))
    }
}

/// A fleet as the command line names it.
pub(super) fn fleet_named(text: &str) -> Result<Block, Problem> {
    let name = text.strip_prefix("fleet.").unwrap_or(text);
    if Name::is_valid(name) {
        return Ok(Block::fleet(&Name::new(name)));
    }
    Err(Problem::of(
        Diagnostic::error(codes::USAGE, format!("`{text}` is not the name of a fleet"))
            .help("name it as the config does: `web`, or `fleet.web`"),
    ))
}

/// The rollout of a fleet.
pub(super) fn row_of<'a>(site: &Site, recorded: &'a Recorded, block: &Block) -> Result<&'a Rollout, Problem> {
    recorded.rollouts.get(block).ok_or_else(|| no_row(site, recorded, block))
}

/// Says that a fleet has no rollout, or that there is no such fleet.
fn no_row(site: &Site, recorded: &Recorded, block: &Block) -> Problem {
    let fleets: BTreeSet<String> = recorded
        .objects
        .iter()
        .map(|object| &object.addr.block)
        .chain(recorded.rollouts.keys())
        .filter(|block| block.kind == Kind::Fleet)
        .map(ToString::to_string)
        .collect();
    if fleets.contains(&block.to_string()) {
        return Problem::of(
            Diagnostic::error(codes::NO_ROLLOUT, format!("{block} has no rollout"))
                .why("since it is there, no change was rolled out over it that takes new disks or new instances")
                .help(format!("`{}` shows what an apply would roll out", site.command("plan"))),
        );
    }
    let fault = Diagnostic::error(codes::NOT_IN_STATE, format!("the state has no {block}"));
    Problem::of(match nearest(&block.to_string(), fleets.iter().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean {near}?")),
        None if fleets.is_empty() => fault
            .why("there are no fleets in it: nothing was applied yet, or everything was destroyed")
            .help(format!("`{}` shows what the config would make", site.command("plan"))),
        None => {
            let fleets: Vec<String> = fleets.into_iter().collect();
            fault.help(format!("it has {}", fleets.join(", ")))
        }
    })
}

/// Says that a rollout is past what somebody says to it, and what leads on.
fn past_that(site: &Site, row: &Rollout, say: Say) -> Problem {
    let Rollout { block, phase, why, .. } = row;
    let is = match phase {
        Phase::Running => "is under way",
        Phase::Paused => "is paused",
        Phase::Done => "is done",
        Phase::Stopped => "was stopped",
        Phase::Aborted => "was aborted",
        Phase::TakenBack => "was taken back",
    };
    let verb = |say: Say| site.command(&format!("rollout {} {}", say.word(), block.name));
    let retry = || site.command(&format!("apply --retry={block}"));
    let help = match (say, phase) {
        (_, Phase::Done) => format!("to go back to what ran before: {}", verb(Say::Rollback)),
        (_, Phase::TakenBack) => format!("to roll the same out once more: {}", retry()),
        (Say::Pause | Say::Abort, _) => {
            format!("it does not go on by itself; to go on: {}", verb(Say::Resume))
        }
        (Say::Resume | Say::Promote | Say::Rollback, _) => {
            format!("to see how far it is: {}", verb_status(site, block))
        }
    };
    let fault =
        Diagnostic::error(codes::ROLLOUT_PHASE, format!("the rollout of {block} {is}: it cannot {}", say.word()));
    let fault = if why.is_empty() { fault } else { fault.why(why.clone()) };
    Problem::of(fault.help(help))
}

/// Refuses to go on, or back, where the config asks for something else meanwhile: the plan would roll that out.
pub(super) fn still_asked_for(site: &Site, plan: &Plan, row: &Rollout) -> Result<(), Problem> {
    let other = |planned: &&RolloutPlan| planned.row.block == row.block && planned.row.target != row.target;
    let Some(planned) = plan.rollouts.iter().find(other) else { return Ok(()) };
    Err(Problem::of(
        Diagnostic::error(
            codes::ROLLOUT_PHASE,
            format!("the config asks for something else by now than the rollout of {}", row.block),
        )
        .why(format!("that rolled out {}; what would be rolled out now is {}", row.to, planned.row.to))
        .help(format!("to roll that out: {}", site.command("apply"))),
    ))
}

fn verb_status(site: &Site, block: &Block) -> String {
    site.command(&format!("rollout status {}", block.name))
}

/// Whether what ran before can be launched again, as far as the state knows; else why not. Of an image that is only looked
/// up, only the cloud knows.
pub(super) fn way_back(recorded: &Recorded, row: &Rollout) -> Result<(), String> {
    let Some(before) = row.before() else {
        return Err("the state knows of nothing that ran before and is known to work".to_owned());
    };
    let content = |spec: &SlotSpec| spec.user_data.as_ref().map(|secret| secret.digest);
    let gone = before.user_data.is_some()
        && recorded.objects.iter().filter(|object| object.addr.block == row.block).any(|object| {
            let ObjectSpec::Slot(spec) = object.spec.as_ref() else { return false };
            row.reached(spec) && content(spec) != content(before)
        });
    if gone {
        return Err("its user data was another one before, and is kept nowhere but in its file".to_owned());
    }
    let ImageUse::Made { image, version, generation } = &before.image else { return Ok(()) };
    let regions: BTreeSet<_> =
        recorded.objects.iter().filter(|object| object.addr.block == row.block).map(|object| &object.region).collect();
    let image = Block::image(image);
    let is_copy = |object: &&Object| {
        object.addr.block == image
            && object.addr.version.as_ref() == Some(version)
            && object.generation == *generation
            && matches!(object.spec.as_ref(), ObjectSpec::Image(_))
    };
    let copies: BTreeSet<_> = recorded.objects.iter().filter(is_copy).map(|object| &object.region).collect();
    if !copies.is_empty() && regions.is_subset(&copies) {
        return Ok(());
    }
    Err(format!("{}, which ran before, is not there any more", before.image))
}

fn no_way_back(site: &Site, row: &Rollout, why: &str) -> Problem {
    let block = &row.block;
    let stay = site.command(&format!("rollout abort {}", block.name));
    Problem::of(
        Diagnostic::error(codes::NO_WAY_BACK, format!("the rollout of {block} cannot be taken back")).why(why).help(
            format!("have the config ask for what works, and apply; to leave the fleet as it is until then: {stay}"),
        ),
    )
}

/// Says something to a rollout, and does nothing else.
///
/// # Errors
/// There is no such rollout, or it is past that; somebody else holds the lock; or the state cannot be written.
pub fn say(site: &Site, saying: &Saying, waiter: &mut dyn Waiter) -> Result<Heard, Problem> {
    site.stop.heed();
    if saying.say == Say::Pause {
        return pause(site, saying);
    }
    let Some(store) = opened(site)? else { return Err(no_state(site, &saying.block)) };
    let mut held = Held::take(site, wrapped(site, Box::new(store)), waiter)?;
    let heard = set(site, &mut held, saying);
    held.give_back();
    heard
}

fn opened(site: &Site) -> Result<Option<SqliteStore>, Problem> {
    SqliteStore::open(&site.state_file()).map_err(|fault| store_problem(site, &fault))
}

/// Where there is no state, there is no rollout either.
pub(super) fn no_state(site: &Site, block: &Block) -> Problem {
    no_row(site, &Recorded::empty(super::load::no_lineage()), block)
}

fn set(site: &Site, held: &mut Held<'_>, saying: &Saying) -> Result<Heard, Problem> {
    let recorded = held.load()?.recorded;
    match saying.change(site, &recorded)? {
        Some(row) => {
            let run = note(held, saying.say, row.clone())?;
            Ok(Heard::Changed { run, row: Box::new(row) })
        }
        None => Ok(Heard::Already(Box::new(row_of(site, &recorded, &saying.block)?.clone()))),
    }
}

/// Writes what became of a rollout, as a run of its own.
pub(super) fn note(held: &mut Held<'_>, say: Say, row: Rollout) -> Result<RunId, Problem> {
    let run = held.start_run(say.kind(), None, None)?;
    let block = row.block.to_string();
    let committed = held.commit(&[Record::Rollout(Box::new(row))]);
    let mut outcome = Outcome::default();
    if committed.is_err() {
        outcome.store = Some(StoreFault::Io(format!("the rollout of {block} could not be written")));
    }
    held.end_run(run, &outcome);
    committed.map(|()| run)
}

/// How often somebody may take the lock, or give it back, while a pause looks who holds it.
const MOST_LOOKS: usize = 8;

/// Pauses a rollout: by itself where nobody holds the lock, else by a wish, which whoever holds it heeds.
fn pause(site: &Site, saying: &Saying) -> Result<Heard, Problem> {
    let fault = |fault| store_problem(site, &fault);
    let mut locked = None;
    for _ in 0..MOST_LOOKS {
        let Some(mut store) = opened(site)? else { return Err(no_state(site, &saying.block)) };
        let recorded = store.load().map_err(fault)?.recorded;
        if saying.change(site, &recorded)?.is_none() {
            return Ok(Heard::Already(Box::new(row_of(site, &recorded, &saying.block)?.clone())));
        }
        match Held::try_take(site, wrapped(site, Box::new(store)))? {
            Ok(mut held) => {
                // Somebody may have held it just now, and changed what was read.
                let heard = set(site, &mut held, saying);
                held.give_back();
                return heard;
            }
            Err(lease) => {
                let Some(mut store) = opened(site)? else { return Err(no_state(site, &saying.block)) };
                let Holder { who, host, pid: _, started: _ } = site.holder.clone();
                let wish = PauseWish { block: saying.block.clone(), who, host, asked_ms: site.clock.now_ms() };
                if store.wish_pause(lease.fence, &wish).map_err(fault)? {
                    let row = Box::new(row_of(site, &recorded, &saying.block)?.clone());
                    return Ok(Heard::Wished { row, lease });
                }
                locked = Some(lease);
            }
        }
    }
    Err(match locked {
        Some(lease) => store_problem(site, &StoreFault::Locked(lease)),
        None => no_state(site, &saying.block),
    })
}

/// Fleets that wait for somebody, by what the plan says of what the config asks for: a rollout to something else than that
/// holds nothing back.
pub(super) fn waiting(notes: &[Diagnostic], rollouts: &BTreeMap<Block, Rollout>) -> BTreeSet<Block> {
    let held = |block: &Block| {
        let place = Desired::path(block.kind, &block.name);
        notes.iter().any(|note| {
            let at = match &note.place {
                Some(Place::Value(path) | Place::Key(path)) => Some(path),
                Some(Place::Span(_)) | None => None,
            };
            note.code == codes::ROLLOUT_HELD && at.is_some_and(|at| at.0.starts_with(&place.0))
        })
    };
    let paused = rollouts.values().filter(|row| row.phase == Phase::Paused).map(|row| &row.block);
    paused.filter(|block| held(block)).cloned().collect()
}
