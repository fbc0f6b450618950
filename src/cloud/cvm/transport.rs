//! The way to a CVM endpoint: bytes out, bytes in. Over the network ([`Http`](super::http::Http)), or to the embedded
//! cloud in the same process.

use crate::cloud::call::Class;
use crate::model::Millis;

/// A signed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST` or `GET`.
    pub method: String,
    /// The path, `/` for every action.
    pub path: String,
    /// What follows `?`, as it is sent; empty for POST.
    pub query: String,
    /// Names as sent, in order.
    pub headers: Vec<(String, String)>,
    /// The body, as it was hashed.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 for every request that the service handled, failures included (API text 1.6).
    pub status: u16,
    /// Names as received, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The server's clock: the `Date` header, or finer where the transport knows it.
    pub cloud_ms: Option<Millis>,
}

/// A request that got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoAnswer {
    /// What kind of trouble it is: the way's.
    pub class: Class,
    /// What happened.
    pub message: String,
    /// Whether bytes may have reached the server.
    pub sent: bool,
}

impl NoAnswer {
    /// The connection failed, and another one may not.
    pub fn failed(message: impl Into<String>, sent: bool) -> Self {
        Self { class: Class::Transport, message: message.into(), sent }
    }
}

/// A way to an endpoint.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for its answer. `changes`: whether it changes anything, and so is in doubt where it is
    /// lost.
    ///
    /// # Errors
    /// No answer came; the error says whether the request may have arrived.
    fn send(&self, request: &HttpRequest, changes: bool) -> Result<HttpResponse, NoAnswer>;

    /// Whether a request may still arrive after this process is gone, and a read may tell what was there before the last
    /// write.
    fn outlives_us(&self) -> bool;
}
