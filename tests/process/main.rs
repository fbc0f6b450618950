//! The real program as a process: killed, interrupted, stopped, and twice at once; by a real clock, on an embedded cloud in
//! a file.
#![cfg(target_os = "linux")]

#[path = "../it/crash/compare.rs"]
mod compare;
mod kills;
mod lines;
mod place;
mod rollouts;
mod runners;
mod serve;
mod signals;
mod sleepers;
mod terminal;
mod tls;
