//! `fleetwright apply` and `fleetwright destroy`, and what of `fleetwright rollout` applies something.

use std::collections::BTreeSet;
use std::path::Path;

use super::args::{ApplyArgs, KindArgs, RefreshArgs, ScopeArgs};
use super::watching::Watching;
use super::{Exit, Shell};
use crate::apply::events::Outcome;
use crate::model::addr::Addr;
use crate::ops::{self, Applied, ApplyOptions, PlanOptions, Problem, Saying, Site};
use crate::plan::{Asked, Scope};
use crate::report::events_json;

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &ApplyArgs, kind: &KindArgs) -> Result<Exit, Problem> {
    let plan = super::plan::options(shell, &args.planning, kind)?;
    plan_and_apply(shell, site, plan, args.auto_approve, words(kind))
}

/// `fleetwright rollout resume`, `promote` and `rollback`: what is said, and the apply of that fleet.
pub(super) fn rollout(shell: &mut Shell<'_>, site: &Site, args: &ApplyArgs, saying: Saying) -> Result<Exit, Problem> {
    let scope = Scope::Rollout(BTreeSet::from([Addr::of(saying.block.clone())]));
    let plan = super::plan::options(shell, &args.planning, &KindArgs::default())?;
    let plan = PlanOptions { asked: Asked { scope, ..Asked::default() }, ..plan };
    let again = shell.again(&format!("rollout {} {}", saying.say.word(), saying.block.name), site);
    let mut watching =
        Watching::new(shell, site, args.auto_approve, saying.say.kind(), again).knowing(ops::measured(site));
    let applied = ops::apply(site, &ApplyOptions { plan, rollout: Some(saying) }, &mut watching);
    ended(&mut watching, applied)
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
    let KindArgs { scope, destroy: _, refresh_only: _, replace, upgrade, retry } = kind;
    let replaced = replace.iter().map(|addr| format!(" --replace {}", ops::word(addr)));
    let all_or = |option: &'static str, named: &[String]| -> String {
        let each = named.iter().map(|addr| match addr.as_str() {
            "" => format!(" {option}"),
            addr => format!(" {option}={}", ops::word(addr)),
        });
        each.collect()
    };
    scope_words(scope) + &replaced.collect::<String>() + &all_or("--upgrade", upgrade) + &all_or("--retry", retry)
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
    let mut watching = Watching::new(shell, site, auto_approve, verb, again).with(words).knowing(ops::measured(site));
    let applied = ops::apply(site, &ApplyOptions { plan, rollout: None }, &mut watching);
    ended(&mut watching, applied)
}

/// Carries out a saved plan.
pub(super) fn run_file(shell: &mut Shell<'_>, site: &Site, file: &Path) -> Result<Exit, Problem> {
    let again = shell.again("apply", site);
    let mut watching = Watching::new(shell, site, true, "apply", again).knowing(ops::measured(site));
    let applied = ops::apply_file(site, file, &mut watching);
    ended(&mut watching, applied)
}

fn ended(watching: &mut Watching<'_, '_>, applied: Result<Applied, Problem>) -> Result<Exit, Problem> {
    watching.clear();
    match applied {
        Ok(Applied::Nothing { paused }) if paused.is_empty() => {
            Ok(watching.end("nothing_to_do", Exit::Done, &Outcome::default(), false))
        }
        Ok(Applied::Nothing { paused }) => {
            let outcome = Outcome { paused, ..Outcome::default() };
            Ok(watching.end(events_json::result(&outcome), Exit::of_outcome(&outcome), &outcome, true))
        }
        Ok(Applied::Declined) => {
            watching.say("Not approved; nothing was changed.\n");
            Ok(watching.end("declined", Exit::Failed, &Outcome::default(), true))
        }
        Ok(Applied::Ran(outcome) | Applied::InDoubt(outcome)) => {
            watching.outcome(&outcome);
            let exit = Exit::of_outcome(&outcome);
            let open = !outcome.whole() || outcome.waits();
            Ok(watching.end(events_json::result(&outcome), exit, &outcome, open))
        }
        Err(problem) => watching.problem(problem),
    }
}
