//! Every change that the config can ask for: the plan names just that, and apply does just that, in the fewest calls.

mod fleets;
mod images;
mod shares;
mod together;
