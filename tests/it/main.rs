//! The whole program, through its command line, on the embedded cloud in virtual time.

mod crash;
mod examples;
mod rig;
