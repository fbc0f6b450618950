//! The cloud, reached through data: a [`Call`](call::Call) in, an [`Answer`](call::Answer) or a
//! [`Fault`](call::Fault) out.
//!
//! [`cvm`] is the client: it turns calls into signed CVM requests, and answers back. [`embedded`] is a CVM of our own
//! behind the same bytes. [`observe`] is pure: it says which calls it needs, and folds their answers.

mod answer;
pub mod args;
pub mod budget;
pub mod call;
pub mod clock;
pub mod cvm;
pub mod embedded;
pub mod observe;
pub mod paced;
mod query;

use crate::model::Millis;
use crate::model::digest::SecretRef;

use call::{Answer, Call, Fault};

/// A cloud.
///
/// # Guarantees
/// - One `call` is one request: nothing is retried, no page is fetched in silence.
/// - A fault says whether the call can have taken effect ([`Executed`](call::Executed)).
pub trait Cloud: Send + Sync {
    /// Carries out one call. `signed_ms` is the time that the request is signed with: the cloud refuses it when it is
    /// more than [`SIGNATURE_WINDOW_MS`] off.
    ///
    /// # Errors
    /// Whatever the cloud, or the way to it, answers but success.
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault>;

    /// Whether a request may still arrive after this process is gone, and a read may tell what was there before the last
    /// write.
    fn outlives_us(&self) -> bool;
}

/// How far a signature's time may be from the server's (API text 1.4).
pub const SIGNATURE_WINDOW_MS: Millis = 300_000;

/// Whoever can read a secret's bytes.
pub trait Secrets: Send + Sync {
    /// The bytes behind a reference.
    ///
    /// # Errors
    /// A sentence that says why not: unreadable, or no longer what the reference was made from.
    fn read(&self, secret: &SecretRef) -> Result<Vec<u8>, String>;
}
