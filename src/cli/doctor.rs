//! `fleetwright doctor`.

use super::{Exit, Shell};
use crate::ops::{self, Finding, Problem, Site, Verdict};
use crate::report::doctor::{self, Mark, Told};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let examined = ops::doctor(site)?;
    let told: Vec<Told<'_>> = examined.findings.iter().map(told).collect();
    if shell.json {
        shell.print(&doctor::json(&told));
    } else {
        shell.diagnostics(&examined.config.warnings, &examined.config.sources);
        shell.print(&doctor::text(&told, shell.out));
    }
    Ok(if examined.is_well() { Exit::Done } else { Exit::Failed })
}

/// A finding, as it is shown.
pub(super) fn told(finding: &Finding) -> Told<'_> {
    let Finding { verdict, topic, says, help } = finding;
    let mark = match verdict {
        Verdict::Good => Mark::Good,
        Verdict::Doubtful => Mark::Doubtful,
        Verdict::Bad => Mark::Bad,
        Verdict::Untried => Mark::Untried,
    };
    Told { mark, topic, says, help: help.as_deref() }
}
