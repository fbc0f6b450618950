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
    /// There are changes (`plan --detailed-exitcode`).
    Changes = 2,
    /// Some of it was applied.
    Partly = 3,
    /// Somebody else holds the lock.
    Locked = 4,
    /// The plan or the state does not belong here.
    Foreign = 5,
    /// It cannot be reached from here.
    Infeasible = 6,
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
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the faults mean for the run: where there are several kinds, the one that has to be put right first.
    #[must_use]
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        let has = |class| diagnostics.iter().any(|fault| fault.is_error() && fault.code.class == class);
        [
            (Class::Usage, Self::Usage),
            (Class::Config, Self::Config),
            (Class::Foreign, Self::Foreign),
            (Class::Locked, Self::Locked),
            (Class::Guard, Self::Guard),
            (Class::Infeasible, Self::Infeasible),
        ]
        .into_iter()
        .find(|(class, _)| has(*class))
        .map_or(Self::Failed, |(_, exit)| exit)
    }

    /// How an apply ended.
    #[must_use]
    pub fn of_outcome(outcome: &Outcome) -> Self {
        if outcome.whole() {
            Self::Done
        } else if outcome.stuck {
            Self::Bug
        } else if outcome.interrupted {
            Self::Interrupted
        } else if outcome.store == Some(StoreFault::Fenced) {
            Self::Locked
        } else if outcome.done.is_empty() {
            Self::Failed
        } else {
            Self::Partly
        }
    }
}
