//! `fleetwright init`.

use std::path::Path;

use super::args::InitArgs;
use super::{Exit, Shell};
use crate::ops::{self, Problem, Site, Started};

pub(super) fn run(shell: &mut Shell<'_>, mut site: Site, args: &InitArgs) -> Result<Exit, Problem> {
    if let Some(dir) = &args.dir {
        site.dir = site.dir.join(dir);
        site.shown = Path::new(&site.shown).join(dir).display().to_string();
        site.shown = site.shown.strip_prefix("./").unwrap_or(&site.shown).to_owned();
    }
    let Started { project, written, to_ignore } = ops::init(&site, args.project.as_deref())?;
    if shell.json {
        shell.print(&crate::report::started::json(&project, &written, &to_ignore));
        return Ok(Exit::Done);
    }
    let paths: Vec<String> = written.iter().map(|name| site.show(&site.dir.join(name))).collect();
    let mut text = format!("Wrote {}: the config of project {project}.\n", paths.join(" and "));
    if !to_ignore.is_empty() {
        text.push_str(&format!(
            "There is a {} already; it should have these lines as well:\n",
            site.show(&site.dir.join(".gitignore"))
        ));
        for line in &to_ignore {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text.push_str("\nNext, see what it would do:\n");
    text.push_str(&format!("  {}\n", shell.again("plan", &site)));
    shell.print(&text);
    Ok(Exit::Done)
}
