//! The nouns: addresses, ids, limits, and the three values that a plan is made from.
//!
//! [`Desired`](desired::Desired) is what the config asks for, [`Recorded`](recorded::Recorded) what the state
//! remembers, [`Observed`](observed::Observed) what the cloud was seen to hold. They are plain, immutable values.
//! Nothing here does I/O, and nothing here knows YAML, SQL or the wire.

pub mod addr;
pub mod attrs;
pub mod catalog;
pub mod desired;
pub mod digest;
pub mod endpoint;
pub mod ids;
pub mod label;
pub mod limits;
pub mod naming;
pub mod observed;
pub mod path;
pub mod pins;
pub mod price;
pub mod promotion;
pub mod recorded;
pub mod rollout;
pub mod spec;
pub mod update;

/// Milliseconds: a point in time since the Unix epoch, or a span. Names end in `_ms`.
pub type Millis = i64;
