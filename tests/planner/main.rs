//! The planner by itself, in worlds that are plain values.

mod check;
mod small;
mod world;
