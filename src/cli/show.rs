//! `fleetwright show`.

use std::path::Path;

use super::{Exit, Shell};
use crate::ops::{self, Problem, Site};
use crate::report::state_text;

pub(super) fn show(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let recorded = ops::recorded(site)?;
    if shell.json {
        shell.print_json(&state_text::json(&recorded));
    } else {
        let text = state_text::show(&recorded, shell.out);
        shell.print(&text);
    }
    Ok(Exit::Done)
}

/// A path is a plan file; anything else is the number of a run.
pub(super) fn show_what(shell: &mut Shell<'_>, site: &Site, what: &str) -> Result<Exit, Problem> {
    let is_path = what.contains(['/', '.']) || site.dir.join(what).exists();
    if is_path {
        super::plan::show_saved(shell, site, Path::new(what))
    } else {
        super::show_run::show(shell, site, what)
    }
}
