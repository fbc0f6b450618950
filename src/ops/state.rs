//! The state, to be shown.

use super::{Problem, Site};
use crate::model::recorded::Recorded;

/// What the state remembers.
///
/// # Errors
/// The state cannot be read.
pub fn recorded(site: &Site) -> Result<Recorded, Problem> {
    Ok(super::load::state(site)?.recorded)
}
