//! Time, as one value that engine, signer and cloud share.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Millis;

/// A clock.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> Millis;
    /// Returns when the clock shows `ms`, or later.
    fn wait_until(&self, ms: Millis);
    /// Whether waiting takes no real time, and all runs on one thread.
    fn is_virtual(&self) -> bool;
}

/// A clock that moves when it is waited for.
#[derive(Debug)]
pub struct VirtualClock(AtomicI64);

impl VirtualClock {
    /// A clock that shows `ms`.
    #[must_use]
    pub fn at(ms: Millis) -> Self {
        Self(AtomicI64::new(ms))
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }

    fn wait_until(&self, ms: Millis) {
        self.0.fetch_max(ms, Ordering::SeqCst);
    }

    fn is_virtual(&self) -> bool {
        true
    }
}
