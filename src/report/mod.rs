//! How things are shown.

pub mod diagnostics;
