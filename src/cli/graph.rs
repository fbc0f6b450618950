//! `fleetwright graph`.

use super::args::GraphFormat;
use super::{Exit, Shell};
use crate::graph::Blocks;
use crate::ops::{self, Problem, Site};
use crate::report::graph;

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, format: GraphFormat) -> Result<Exit, Problem> {
    let config = ops::validate(site)?;
    if !shell.json {
        shell.diagnostics(&config.warnings, &config.sources);
    }
    let blocks = Blocks::of(&config.desired);
    let text = match format {
        _ if shell.json => graph::json(&config.desired, &blocks),
        GraphFormat::Dot => graph::dot(&config.desired, &blocks),
        GraphFormat::Mermaid => graph::mermaid(&config.desired, &blocks),
    };
    shell.print(&text);
    Ok(Exit::Done)
}
