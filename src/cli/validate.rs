//! `fleetwright validate`.

use super::{Exit, Shell};
use crate::ops::{self, Problem, Site};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let config = ops::validate(site)?;
    if shell.json {
        let text = crate::report::diagnostics::render_json(&config.warnings, &config.sources);
        shell.print(&text);
        return Ok(Exit::Done);
    }
    shell.diagnostics(&config.warnings, &config.sources);
    let desired = &config.desired;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let text = format!(
        "The config is valid: {}, {}, {}.\n",
        count(desired.images.len(), "image"),
        count(desired.shares.len(), "share"),
        count(desired.fleets.len(), "fleet"),
    );
    shell.print(&text);
    Ok(Exit::Done)
}
