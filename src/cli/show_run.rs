//! `fleetwright show RUN`: one run of the history.

use super::{Exit, Shell};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::ops::{self, Problem, RunNumber, RunWhole, Site};
use crate::report::history;

/// Shows the run that a text names: `12` or `run-12`.
pub(super) fn show(shell: &mut Shell<'_>, site: &Site, text: &str) -> Result<Exit, Problem> {
    let number: RunNumber = text.parse().map_err(|error| Problem {
        diagnostics: vec![
            Diagnostic::error(codes::USAGE, error)
                .help("runs are shown by their number, such as `12` or `run-12`; `fleetwright history` lists them"),
        ],
        sources: SourceMap::default(),
    })?;
    let RunWhole { told, plan, unreadable, operations } = ops::run(site, number)?;
    if shell.json {
        shell.print_json(&history::run_json(&told, plan.as_ref(), &operations));
    } else {
        let text = history::run_text(&told, plan.as_ref(), unreadable.as_deref(), &operations, shell.out);
        shell.print(&text);
    }
    Ok(Exit::Done)
}
