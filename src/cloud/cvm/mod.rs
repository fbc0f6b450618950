//! The CVM client: calls in, signed requests out; answers in, replies or faults out.
//!
//! [`encode`] says what goes on the wire, [`sign`] proves who sends it, a [`transport::Transport`] carries it,
//! [`decode`] reads the answer, [`fault`] says what a refusal means, and [`client`] strings them together.

pub mod client;
pub mod decode;
pub mod encode;
pub mod fault;
pub mod sign;
pub mod transport;
pub mod wire;
