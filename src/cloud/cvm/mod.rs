//! The CVM client: calls in, signed requests out; answers in, replies or faults out.
//!
//! [`encode`] says what goes on the wire, [`sign`] proves who sends it, a [`transport::Transport`] carries it,
//! [`decode`] reads the answer, [`fault`] says what a refusal means, and [`client`] strings them together. [`http`] is the
//! transport over the network, [`keys`] finds out who signs, and [`trace`] writes down what was said.

pub mod client;
pub mod decode;
pub mod encode;
pub mod fault;
pub mod http;
pub mod keys;
pub mod sign;
pub mod trace;
pub mod transport;
pub mod wire;
