//! `fleetwright plan`.

use super::args::PlanArgs;
use super::{Exit, Shell};
use crate::ops::{self, PlanOptions, Planned, Problem, Site};
use crate::report::plan_text::PlanOpts;
use crate::report::{plan_json, plan_text};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &PlanArgs) -> Result<Exit, Problem> {
    let options = PlanOptions {
        destroy: args.destroy,
        cancel_undeclared_shares: args.planning.cancel_undeclared_shares,
        texts: !shell.json && shell.world.terminals.stdout,
    };
    let planned = ops::plan(site, options)?;
    show(shell, &planned);
    let changes = args.detailed_exitcode && !planned.plan.is_empty();
    Ok(if changes { Exit::Changes } else { Exit::Done })
}

/// The plan to standard output; warnings and notes beside it.
pub(super) fn show(shell: &mut Shell<'_>, planned: &Planned) {
    let Planned { plan, config, texts, .. } = planned;
    let mut notes = config.warnings.clone();
    notes.extend(plan.notes.iter().cloned());
    if shell.json {
        let text = plan_json::plan(plan);
        shell.print(&text);
        return;
    }
    shell.diagnostics(&notes, &config.sources);
    let text = plan_text::plan(plan, shell.out, &PlanOpts { texts: texts.clone() });
    shell.print(&text);
}
