//! The whole program, through its command line, on the embedded cloud in virtual time.

mod asked;
mod bad_files;
mod between;
mod builds;
mod by_hand;
mod cases;
mod changes;
mod cli;
mod crash;
mod crowded;
mod estimates;
mod examples;
mod floor;
mod foreign_text;
mod fuzz;
mod kit;
mod lookups;
#[path = "../mutate/mod.rs"]
mod mutate;
mod orphans;
mod paused;
mod permissions;
mod plan_files;
mod progress;
mod quotas;
mod refresh;
mod remote;
mod requests;
mod rig;
mod rollouts;
mod scale;
mod scope;
mod sessions;
#[path = "../sim/mod.rs"]
mod sim;
mod states;
mod traps;
mod verbs;
mod versions;
mod walks;
mod wire;
#[path = "../worlds/mod.rs"]
mod worlds;
