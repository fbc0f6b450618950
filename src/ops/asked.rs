//! What the command line asks for of single things, out of its words.

use std::collections::BTreeSet;

use super::Problem;
use super::state::parsed;
use crate::plan::{Asked, Scope, Upgrade};

/// `replace` holds addresses; so do `upgrade` and `retry`, where an empty text stands for all look-ups, or all fleets.
///
/// # Errors
/// One of them is no address. Whether there is such a thing, the plan says.
pub fn asked(replace: &[String], upgrade: &[String], retry: &[String]) -> Result<Asked, Problem> {
    let replace: BTreeSet<_> = parsed(replace)?.into_iter().collect();
    Ok(Asked { replace, upgrade: all_or(upgrade)?, retry: all_or(retry)?, scope: Scope::All })
}

fn all_or(named: &[String]) -> Result<Upgrade, Problem> {
    Ok(if named.is_empty() {
        Upgrade::None
    } else if named.iter().any(String::is_empty) {
        Upgrade::All
    } else {
        Upgrade::Of(parsed(named)?.into_iter().collect())
    })
}

/// What a plan is about, where some things are named: just these, or all but these. At most one of both is given.
///
/// # Errors
/// One of them is no address. Whether there is such a thing, the plan says.
pub fn scope(target: &[String], exclude: &[String]) -> Result<Scope, Problem> {
    Ok(match (target, exclude) {
        ([], []) => Scope::All,
        ([], exclude) => Scope::Exclude(parsed(exclude)?.into_iter().collect()),
        (target, _) => Scope::Target(parsed(target)?.into_iter().collect()),
    })
}
