//! Every change that the config can ask for: the plan names just that, and apply does just that, in the fewest calls.

pub(crate) mod fields;
mod fleets;
mod guarded;
mod image_fields;
mod images;
mod older;
mod shares;
mod sources;
mod together;
