//! fleetwright: a declarative reconciler for virtual-machine images and the fleets that run from them.
//!
//! One way of data, plain immutable values between the stages:
//!
//! ```text
//!  YAML ──config──▶ Desired ─┐
//!  state ──store──▶ Recorded ├──plan (pure)──▶ Plan ──apply engine (pure)──▶ Calls ──cloud──▶ Replies
//!  cloud ──observe▶ Observed ┘                   │                             │
//!                                              report                     store (journal)
//! ```
//!
//! ARCHITECTURE.md has the code map and the rules of what may use what; `tests/tidy.rs` holds the code to them.

pub mod apply;
pub mod cli;
pub mod cloud;
pub mod config;
mod database;
pub mod diagnostic;
pub mod diff;
pub mod graph;
pub mod model;
pub mod ops;
pub mod plan;
pub mod report;
pub mod store;
