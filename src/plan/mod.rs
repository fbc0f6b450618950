//! The planner.

pub mod types;

pub use types::*;
