//! `--trace FILE`: what is said to the cloud, written down.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use super::World;
use super::args::{Args, ReachArgs};
use crate::cloud::cvm::trace::Tracer;
use crate::diagnostic::{Diagnostic, SourceMap, codes, visible};
use crate::ops::Problem;

/// Opens the file that the command line names. It belongs to whoever runs the command alone: with bodies, it tells much.
pub(super) fn open(world: &World<'_>, chdir: &Path, args: &Args) -> Result<Option<Arc<Tracer>>, Problem> {
    let Some(ReachArgs { profile: _, trace: Some(file), trace_bodies }) = args.reach() else { return Ok(None) };
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        const OWNER_ONLY: u32 = 0o600;
        options.mode(OWNER_ONLY);
    }
    let opened = options.open(world.cwd.join(chdir).join(file)).map_err(|error| {
        let shown = visible(&file.display().to_string());
        let fault = Diagnostic::error(codes::UNWRITABLE, format!("{shown} cannot be written: {error}"))
            .why("nothing was asked yet, and nothing changed")
            .help("name another file with --trace");
        Problem { diagnostics: vec![fault], sources: SourceMap::default() }
    })?;
    Ok(Some(Arc::new(Tracer::new(Arc::clone(&world.clock), *trace_bodies, Box::new(opened)))))
}

/// What is told where not everything could be written.
pub(super) fn fault(tracer: &Tracer) -> Option<Diagnostic> {
    let error = tracer.fault()?;
    Some(
        Diagnostic::warning(codes::UNWRITABLE, format!("the trace could not be written to its end: {error}"))
            .why("the command went on all the same, and some requests are not in it")
            .help("make room where it is"),
    )
}
