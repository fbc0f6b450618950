//! `fleetwright show`.

use super::{Exit, Shell};
use crate::ops::{self, Problem, Site};
use crate::report::state_text;

pub(super) fn show(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let recorded = ops::recorded(site)?;
    let text = if shell.json { state_text::json(&recorded) } else { state_text::show(&recorded, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}
