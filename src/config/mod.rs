//! To be written.
mod language;
mod node;
mod scan;
mod typing;
