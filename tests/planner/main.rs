//! The planner by itself, in worlds that are plain values.

mod broken;
mod check;
mod gone;
mod large;
mod prices;
mod rolled;
mod rollouts;
mod small;
mod trials;
mod world;
