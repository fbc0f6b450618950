//! Every change that the config can ask for: the plan names just that, and apply does just that, in the fewest calls.

mod fleets;
mod image_fields;
mod images;
mod older;
mod shares;
mod sources;
mod together;
