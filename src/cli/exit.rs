//! Exit codes: public, and the same for ever.

use crate::apply::events::Outcome;
use crate::diagnostic::{Class, Diagnostic};
use crate::store::StoreFault;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It did not work.
    Failed = 1,
    /// There are changes (`plan --detailed-exitcode`), something was changed outside (`drift`), or is in no state (`drift --orphans`).
    Changes = 2,
    /// Some of it was applied.
    Partly = 3,
    /// Somebody else holds the lock.
    Locked = 4,
    /// The plan or the state does not belong here.
    Foreign = 5,
    /// It cannot be reached from here.
    Infeasible = 6,
    /// A rollout waits for somebody.
    Waiting = 7,
    /// A guard refused.
    Guard = 8,
    /// The command line is wrong.
    Usage = 64,
    /// The config is wrong.
    Config = 65,
    /// A fault of this program.
    Bug = 101,
    /// It was interrupted.
    Interrupted = 130,
}

impl Exit {
    /// All of them, with what they mean; `docs/cli.md` has this table.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Done, "done; also where there was nothing to do"),
        (Self::Failed, "it did not work, or it was not approved"),
        (
            Self::Changes,
            "there are changes: `plan --detailed-exitcode`; something was changed outside: `drift`; something is in no state: `drift --orphans`",
        ),
        (Self::Partly, "some of it was applied; applying again goes on"),
        (Self::Locked, "somebody else holds the lock, or took it over"),
        (Self::Foreign, "the plan, the state or the cloud does not belong to this config, or is out of date"),
        (Self::Infeasible, "it cannot be reached from here: a quota, a cap or a rule of the cloud"),
        (Self::Waiting, "waiting: a rollout is paused, and goes on when somebody says so; all else is done"),
        (Self::Guard, "a guard refused: something is protected, or used by somebody else"),
        (Self::Usage, "the command line is wrong"),
        (Self::Config, "the config is wrong"),
        (Self::Bug, "a fault of fleetwright itself"),
        (Self::Interrupted, "it was interrupted; what was under way is in the journal"),
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the faults mean for the run: where there are several kinds, the one that has to be put right first.
    #[must_use]
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        let has = |class| diagnostics.iter().any(|fault| fault.is_error() && fault.code.class == class);
        let order = [
            Class::Interrupted,
            Class::Usage,
            Class::Config,
            Class::Foreign,
            Class::Locked,
            Class::Guard,
            Class::Infeasible,
        ];
        order.into_iter().find(|class| has(*class)).map_or(Self::Failed, Self::of_class)
    }

    /// What a class of faults means for the run.
    #[must_use]
    pub fn of_class(class: Class) -> Self {
        match class {
            Class::Config => Self::Config,
            Class::Usage => Self::Usage,
            Class::Infeasible => Self::Infeasible,
            Class::Guard => Self::Guard,
            Class::Foreign => Self::Foreign,
            Class::Locked => Self::Locked,
            Class::Failed => Self::Failed,
            Class::Interrupted => Self::Interrupted,
        }
    }

    /// How an apply ended.
    #[must_use]
    pub fn of_outcome(outcome: &Outcome) -> Self {
        if outcome.waits() {
            Self::Waiting
        } else if outcome.whole() {
            Self::Done
        } else if outcome.stuck {
            Self::Bug
        } else if outcome.interrupted {
            Self::Interrupted
        } else if outcome.store == Some(StoreFault::Fenced) {
            Self::Locked
        } else if outcome.done.is_empty() && outcome.taken_back.is_empty() {
            Self::Failed
        } else {
            Self::Partly
        }
    }
}
