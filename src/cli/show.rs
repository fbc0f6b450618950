//! `fleetwright show` and `fleetwright state list`.

use std::path::Path;

use super::{Exit, Shell};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::ops::{self, Problem, Site};
use crate::report::state_text;

pub(super) fn show(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let recorded = ops::recorded(site)?;
    let text = if shell.json { state_text::json(&recorded) } else { state_text::show(&recorded, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}

pub(super) fn list(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let recorded = ops::recorded(site)?;
    let text = if shell.json { state_text::json(&recorded) } else { state_text::list(&recorded, shell.verbose) };
    shell.print(&text);
    Ok(Exit::Done)
}

/// A path is a plan file; anything else is the number of a run.
pub(super) fn show_what(shell: &mut Shell<'_>, site: &Site, what: &Path) -> Result<Exit, Problem> {
    let is_path = what.to_string_lossy().contains(['/', '.']) || site.dir.join(what).exists();
    if is_path { super::plan::show_saved(shell, site, what) } else { run_of(site, what) }
}

fn run_of(site: &Site, what: &Path) -> Result<Exit, Problem> {
    let fault = Diagnostic::error(codes::PLAN_FILE, format!("there is no file {}", what.display()))
        .help(format!("to save a plan in a file: {}", site.command("plan --out plan.json")));
    Err(Problem { diagnostics: vec![fault], sources: SourceMap::default() })
}
