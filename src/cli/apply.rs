//! `fleetwright apply` and `fleetwright destroy`.

use std::path::Path;

use super::args::ApplyArgs;
use super::{Exit, Shell};
use crate::apply::events::{Outcome, Progress};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::ops::{self, Applied, ApplyOptions, Approval, PlanOptions, Planned, Problem, Site, Watcher};
use crate::report::progress::{self, ProgressText};

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
    let text = ProgressText::new(site.clock.now_ms(), shell.talk);
    let mut watching = Watching { shell, text, auto_approve: args.auto_approve, again: again.clone(), verb };
    let applied = ops::apply(site, options, &mut watching)?;
    ended(shell, applied, &again)
}

/// Carries out a saved plan.
pub(super) fn run_file(shell: &mut Shell<'_>, site: &Site, file: &Path) -> Result<Exit, Problem> {
    let again = shell.again("apply", site);
    let text = ProgressText::new(site.clock.now_ms(), shell.talk);
    let mut watching = Watching { shell, text, auto_approve: true, again: again.clone(), verb: "apply" };
    let applied = ops::apply_file(site, file, &mut watching)?;
    ended(shell, applied, &again)
}

fn ended(shell: &mut Shell<'_>, applied: Applied, again: &str) -> Result<Exit, Problem> {
    match applied {
        Applied::Nothing => Ok(Exit::Done),
        Applied::Declined => {
            shell.say("Not approved; nothing was changed.\n");
            Ok(Exit::Failed)
        }
        Applied::Ran(outcome) | Applied::InDoubt(outcome) => {
            let text = format!("\n{}", progress::outcome(&outcome, again, shell.out));
            if shell.json {
                shell.say(&text);
            } else {
                shell.print(&text);
            }
            Ok(Exit::of_outcome(&outcome))
        }
    }
}

struct Watching<'s, 'w> {
    shell: &'s mut Shell<'w>,
    text: ProgressText,
    auto_approve: bool,
    again: String,
    verb: &'static str,
}

impl Watcher for Watching<'_, '_> {
    fn progress(&mut self, now: Millis, progress: &Progress) {
        let line = self.text.line(now, progress);
        self.shell.say(&line);
    }

    fn recovered(&mut self, outcome: &Outcome) {
        let text = if outcome.settled() {
            "What an interrupted run had left open is settled.\n".to_owned()
        } else {
            "What an interrupted run had left open could not be settled.\n".to_owned()
        };
        self.shell.say(&text);
    }

    fn begins(&mut self, planned: &Planned) {
        super::plan::begin(self.shell, planned);
        self.text.follow(&planned.plan);
    }

    fn approve(&mut self, planned: &Planned) -> Result<Approval, Box<Diagnostic>> {
        super::plan::show(self.shell, planned);
        self.text.follow(&planned.plan);
        if planned.plan.is_empty() || self.auto_approve {
            return Ok(Approval::Yes);
        }
        if !self.shell.world.terminals.stdin {
            return Err(Box::new(
                Diagnostic::error(codes::NEEDS_APPROVAL, "nothing was changed: there is no terminal to ask on")
                    .help(format!("to go on without being asked: {} --auto-approve", self.again)),
            ));
        }
        let question = format!("\nTo {} this plan, type `yes`: ", self.verb);
        Ok(if self.shell.confirmed(&question) { Approval::Yes } else { Approval::No })
    }
}
