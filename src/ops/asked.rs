//! What the command line asks for of single things, out of its words.

use std::collections::BTreeSet;

use super::Problem;
use super::state::parsed;
use crate::plan::{Asked, Scope, Upgrade};

/// `replace` holds addresses; so does `upgrade`, where an empty text stands for all look-ups.
///
/// # Errors
/// One of them is no address. Whether there is such a thing, the plan says.
pub fn asked(replace: &[String], upgrade: &[String]) -> Result<Asked, Problem> {
    let upgrade = if upgrade.is_empty() {
        Upgrade::None
    } else if upgrade.iter().any(String::is_empty) {
        Upgrade::All
    } else {
        Upgrade::Of(parsed(upgrade)?.into_iter().collect())
    };
    let replace: BTreeSet<_> = parsed(replace)?.into_iter().collect();
    Ok(Asked { replace, upgrade, retry: Upgrade::None, scope: Scope::All })
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
