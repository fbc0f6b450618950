//! What somebody else did to our things: the plan says so, and repairs it, or shows that it stays.

pub(crate) mod fields;
mod images;
mod instances;
mod shares;
mod sources;
