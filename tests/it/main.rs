//! The whole program, through its command line, on the embedded cloud in virtual time.

mod asked;
mod by_hand;
mod changes;
mod cli;
mod crash;
mod crowded;
mod examples;
mod kit;
mod lookups;
mod plan_files;
mod progress;
mod quotas;
mod refresh;
mod rig;
mod traps;
mod verbs;
mod walks;
