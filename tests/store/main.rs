//! The state store, through its public face.

mod files;
mod history;
mod locks;
mod records;
mod reference;
mod rollouts;
mod samples;
mod scale;
