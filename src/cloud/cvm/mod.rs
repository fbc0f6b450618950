//! The CVM client.

pub mod transport;
pub mod wire;
