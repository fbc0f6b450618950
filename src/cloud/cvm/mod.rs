//! The CVM client.

pub mod transport;
