//! `fleetwright apply` and `fleetwright destroy`.

use std::path::Path;

use super::args::ApplyArgs;
use super::watching::Watching;
use super::{Exit, Shell};
use crate::apply::events::Outcome;
use crate::ops::{self, Applied, ApplyOptions, PlanOptions, Problem, Site};
use crate::report::events_json;

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &ApplyArgs, destroy: bool) -> Result<Exit, Problem> {
    let verb = if destroy { "destroy" } else { "apply" };
    let options = ApplyOptions {
        plan: PlanOptions {
            destroy,
            cancel_undeclared_shares: args.planning.cancel_undeclared_shares,
            from_memory: !args.planning.refresh,
            texts: !shell.json && shell.world.terminals.stdout,
        },
    };
    let again = shell.again(verb, site);
    let mut watching = Watching::new(shell, &site.clock, args.auto_approve, verb, again);
    let applied = ops::apply(site, options, &mut watching);
    ended(&mut watching, applied)
}

/// Carries out a saved plan.
pub(super) fn run_file(shell: &mut Shell<'_>, site: &Site, file: &Path) -> Result<Exit, Problem> {
    let again = shell.again("apply", site);
    let mut watching = Watching::new(shell, &site.clock, true, "apply", again);
    let applied = ops::apply_file(site, file, &mut watching);
    ended(&mut watching, applied)
}

fn ended(watching: &mut Watching<'_, '_>, applied: Result<Applied, Problem>) -> Result<Exit, Problem> {
    watching.clear();
    match applied {
        Ok(Applied::Nothing) => Ok(watching.end("nothing_to_do", Exit::Done, &Outcome::default(), false)),
        Ok(Applied::Declined) => {
            watching.say("Not approved; nothing was changed.\n");
            Ok(watching.end("declined", Exit::Failed, &Outcome::default(), true))
        }
        Ok(Applied::Ran(outcome) | Applied::InDoubt(outcome)) => {
            watching.outcome(&outcome);
            let exit = Exit::of_outcome(&outcome);
            Ok(watching.end(events_json::result(&outcome), exit, &outcome, !outcome.whole()))
        }
        Err(problem) => watching.problem(problem),
    }
}
