//! The whole program, through its command line, on the embedded cloud in virtual time.

mod crowded;
mod examples;
mod quotas;
mod rig;
