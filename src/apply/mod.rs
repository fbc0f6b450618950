//! Carrying out a plan: journal first, one outcome a target, and nothing that a crash could lose.
//!
//! The [`engine`] is pure: a state machine that is fed with events and hands out commands. The [`driver`] runs it, with
//! threads and a real clock, or in virtual time on one thread; what is tested is what runs. [`evidence`] tells from
//! what the cloud shows whether a call took effect.

mod asking;
pub mod driver;
pub mod engine;
pub mod events;
mod evidence;
