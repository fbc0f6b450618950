//! The verb `init`: a first config, in a directory where there is none.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::{Problem, Site};
use crate::diagnostic::{Diagnostic, SourceMap, codes, visible};
use crate::model::ids::Name;

const CONFIG: &str = include_str!("starter/fleetwright.yaml");
const IGNORED: &str = include_str!("starter/ignored.txt");
const CONFIG_FILE: &str = "fleetwright.yaml";
const IGNORE_FILE: &str = ".gitignore";

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// The project's name.
    pub project: Name,
    /// The files, by their names in the directory.
    pub written: Vec<&'static str>,
    /// Lines that the `.gitignore` which was there already should have.
    pub to_ignore: Vec<&'static str>,
}

/// Writes a first config into the site's directory, which is made where it is not there. Nothing is written over.
///
/// # Errors
/// The directory holds a config already, the project cannot have this name, or the file cannot be written.
pub fn init(site: &Site, project: Option<&str>) -> Result<Started, Problem> {
    let project = match project {
        Some(text) if Name::is_valid(text) => Name::new(text),
        Some(text) => {
            return Err(Problem::of(
                Diagnostic::error(codes::INVALID_NAME, format!("{text:?} cannot be the name of a project"))
                    .why(codes::INVALID_NAME.meaning)
                    .help(format!("for example: --project {}", valid(text))),
            ));
        }
        None => Name::new(directory_name(&site.dir)),
    };
    fs::create_dir_all(&site.dir).map_err(|error| unwritable(&visible(&site.shown), &error))?;
    let there = configs(site)?;
    if !there.is_empty() {
        let faults = there.iter().map(|name| {
            Diagnostic::error(codes::ALREADY_THERE, format!("{} is there already", site.show(&site.dir.join(name))))
                .why("all *.yaml of a directory are one config, and nothing is written over")
                .help("choose a directory without a config: fleetwright init DIR")
        });
        return Err(Problem { diagnostics: faults.collect(), sources: SourceMap::default() });
    }
    let mut written = vec![CONFIG_FILE];
    write(site, CONFIG_FILE, &CONFIG.replace("PROJECT", project.as_str()))?;
    let mut to_ignore = Vec::new();
    match fs::read_to_string(site.dir.join(IGNORE_FILE)) {
        Ok(text) => {
            let wanted = IGNORED.lines().filter(|line| !line.starts_with('#'));
            to_ignore.extend(wanted.filter(|wanted| !text.lines().any(|line| line.trim() == *wanted)));
        }
        Err(_) => {
            write(site, IGNORE_FILE, IGNORED)?;
            written.push(IGNORE_FILE);
        }
    }
    Ok(Started { project, written, to_ignore })
}

/// What of a config is in the directory.
fn configs(site: &Site) -> Result<Vec<String>, Problem> {
    let entries = fs::read_dir(&site.dir).map_err(|error| unwritable(&visible(&site.shown), &error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<String> =
        names.filter(|name| name.ends_with(".yaml") && !name.starts_with('.') || name == CONFIG_FILE).collect();
    found.sort();
    Ok(found)
}

/// Writes a file that is not there yet.
fn write(site: &Site, name: &str, text: &str) -> Result<(), Problem> {
    let path = site.dir.join(name);
    let fault = |error| unwritable(&site.show(&path), &error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(fault)?;
    file.write_all(text.as_bytes()).map_err(|error| {
        drop(fs::remove_file(&path));
        fault(error)
    })
}

fn unwritable(shown: &str, error: &std::io::Error) -> Problem {
    Problem::of(
        Diagnostic::error(codes::UNWRITABLE, format!("{shown} cannot be written: {error}"))
            .help("choose a directory that you may write to: fleetwright init DIR"),
    )
}

/// The name of a directory, as a project may be called.
fn directory_name(dir: &Path) -> String {
    let whole = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    valid(&whole.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned()))
}

/// What comes nearest to a text, and is a name.
fn valid(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' });
    let mut name = String::new();
    for c in kept {
        if !(c == '-' && (name.is_empty() || name.ends_with('-'))) {
            name.push(c);
        }
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.is_empty() {
        name.insert_str(0, "p-");
    }
    name.truncate(Name::MAX_CHARS);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_makes_a_name() {
        for (text, name) in [
            ("shop", "shop"),
            ("My Shop (2026)", "my-shop-2026"),
            ("2026_shop", "p-2026_shop"),
            ("_x", "p-_x"),
            ("商店", "project"),
            ("", "project"),
            ("/", "project"),
            ("--a--b--", "a-b"),
        ] {
            assert_eq!(valid(text), name);
            assert!(Name::is_valid(&valid(text)), "{text}");
        }
        assert!(Name::is_valid(&valid(&"long-".repeat(50))));
    }
}
