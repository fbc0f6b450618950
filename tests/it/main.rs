//! The whole program, through its command line, on the embedded cloud in virtual time.

mod by_hand;
mod changes;
mod examples;
mod kit;
mod rig;
mod traps;
