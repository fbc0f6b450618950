//! `fleetwright images`.

use super::args::ImagesArgs;
use super::{Exit, Shell};
use crate::ops::{self, Problem, Site};
use crate::report::images::{self, ImagesOpts};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &ImagesArgs) -> Result<Exit, Problem> {
    let ops::Images { tree, fleets, now_ms, config } = ops::images(site, args.refresh)?;
    let opts = ImagesOpts { now_ms, all: shell.verbose, looked: args.refresh };
    if shell.json {
        shell.print(&images::json(&tree, &fleets, &opts));
    } else {
        shell.diagnostics(&config.warnings, &config.sources);
        shell.print(&images::text(&tree, &fleets, shell.out, &opts));
    }
    Ok(Exit::Done)
}
