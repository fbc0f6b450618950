//! A first config that was written, as JSON.

use crate::model::ids::Name;

use super::node::{Node, object};

/// What `format` says in the JSON of a first config.
pub const FORMAT: &str = "fleetwright-init/1";

/// What was written, and what an older `.gitignore` lacks.
#[must_use]
pub fn json(project: &Name, written: &[&str], to_ignore: &[&str]) -> String {
    object! {
        "format" => FORMAT,
        "project" => project.as_str(),
        "written" => Node::list(written.iter().copied()),
        "to_ignore" => Node::list(to_ignore.iter().copied()),
    }
    .pretty()
}
