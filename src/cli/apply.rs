//! `fleetwright apply` and `fleetwright destroy`.

use std::path::Path;

use super::args::{ApplyArgs, KindArgs, RefreshArgs, ScopeArgs};
use super::watching::Watching;
use super::{Exit, Shell};
use crate::apply::events::Outcome;
use crate::ops::{self, Applied, ApplyOptions, PlanOptions, Problem, Site};
use crate::plan::Asked;
use crate::report::events_json;

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &ApplyArgs, kind: &KindArgs) -> Result<Exit, Problem> {
    let plan = super::plan::options(shell, &args.planning, kind)?;
    plan_and_apply(shell, site, plan, args.auto_approve, words(kind))
}

/// `fleetwright refresh`: only the state changes.
pub(super) fn refresh(shell: &mut Shell<'_>, site: &Site, args: &RefreshArgs) -> Result<Exit, Problem> {
    let RefreshArgs { scope, lock: _, reach: _, auto_approve } = args;
    let asked = Asked { scope: ops::scope(&scope.target, &scope.exclude)?, ..Asked::default() };
    let plan = PlanOptions { refresh_only: true, asked, ..PlanOptions::default() };
    plan_and_apply(shell, site, plan, *auto_approve, scope_words(scope))
}

/// What is asked for of single things, as it stands in a command.
fn words(kind: &KindArgs) -> String {
    let KindArgs { scope, destroy: _, refresh_only: _, replace, upgrade } = kind;
    let replaced = replace.iter().map(|addr| format!(" --replace {}", ops::word(addr)));
    let upgraded = upgrade.iter().map(|addr| match addr.as_str() {
        "" => " --upgrade".to_owned(),
        addr => format!(" --upgrade={}", ops::word(addr)),
    });
    scope_words(scope) + &replaced.chain(upgraded).collect::<String>()
}

/// What the plan is about, as it stands in a command.
fn scope_words(scope: &ScopeArgs) -> String {
    let ScopeArgs { target, exclude } = scope;
    let target = target.iter().map(|addr| format!(" --target {}", ops::word(addr)));
    target.chain(exclude.iter().map(|addr| format!(" --exclude {}", ops::word(addr)))).collect()
}

fn plan_and_apply(
    shell: &mut Shell<'_>,
    site: &Site,
    plan: PlanOptions,
    auto_approve: bool,
    words: String,
) -> Result<Exit, Problem> {
    let verb = match (plan.destroy, plan.refresh_only) {
        (true, _) => "destroy",
        (false, true) => "refresh",
        (false, false) => "apply",
    };
    let again = shell.again(verb, site);
    let mut watching =
        Watching::new(shell, &site.clock, auto_approve, verb, again).with(words).knowing(ops::measured(site));
    let applied = ops::apply(site, &ApplyOptions { plan }, &mut watching);
    ended(&mut watching, applied)
}

/// Carries out a saved plan.
pub(super) fn run_file(shell: &mut Shell<'_>, site: &Site, file: &Path) -> Result<Exit, Problem> {
    let again = shell.again("apply", site);
    let mut watching = Watching::new(shell, &site.clock, true, "apply", again).knowing(ops::measured(site));
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
