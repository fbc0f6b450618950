//! `fleetwright completions` and `fleetwright man`: the command line, told to shells and manuals.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell as Kind;

use super::args::Args;
use super::{Exit, Shell};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::ops::{Problem, Site};

const NAME: &str = "fleetwright";

/// The whole command line.
pub(super) fn command() -> Command {
    Args::command()
}

pub(super) fn completions(shell: &mut Shell<'_>, kind: Kind) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(kind, &mut command(), NAME, &mut text);
    shell.print(&String::from_utf8_lossy(&text));
    Exit::Done
}

/// A page as `man` reads it. No date: equal versions have equal pages.
fn page(name: &str, command: Command) -> std::io::Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).title(name).manual("fleetwright").render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// All pages, by the names of their files: the program's, and one for each command.
pub(super) fn pages() -> std::io::Result<Vec<(String, String)>> {
    fn add(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
        pages.push((format!("{name}.1"), page(name, command.clone().display_name(name))?));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            add(below, &format!("{name}-{}", below.get_name()), pages)?;
        }
        Ok(())
    }
    let mut whole = command();
    whole.build();
    let mut pages = Vec::new();
    add(&whole, NAME, &mut pages)?;
    Ok(pages)
}

pub(super) fn man(shell: &mut Shell<'_>, site: &Site, dir: Option<&Path>) -> Result<Exit, Problem> {
    let refused = |what: &str, error: &std::io::Error| Problem {
        diagnostics: vec![
            Diagnostic::error(codes::UNWRITABLE, format!("{what} cannot be written: {error}"))
                .help("choose a directory that you may write to: fleetwright man --dir DIR"),
        ],
        sources: SourceMap::default(),
    };
    let pages = pages().map_err(|error| refused("the page", &error))?;
    let Some(dir) = dir else {
        if let Some((_, text)) = pages.first() {
            shell.print(text);
        }
        return Ok(Exit::Done);
    };
    let place = site.dir.join(dir);
    let shown = site.show(&place);
    std::fs::create_dir_all(&place).map_err(|error| refused(&shown, &error))?;
    for (name, text) in &pages {
        let file = place.join(name);
        std::fs::write(&file, text).map_err(|error| refused(&site.show(&file), &error))?;
    }
    shell.print(&format!("Wrote {} pages into {shown}.\n", pages.len()));
    Ok(Exit::Done)
}
