//! Why a request is refused: a documented code, and a sentence for people.

use crate::cloud::cvm::wire::ErrorBody;

/// A refusal. Whatever the request had changed is undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// The code, out of the API's catalogue.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
}

/// What most functions of this cloud answer.
pub(crate) type Done<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    pub(crate) fn into_body(self) -> ErrorBody {
        ErrorBody { code: self.code, message: self.message }
    }
}

/// A refusal, as a result.
pub(crate) fn refuse<T>(code: impl Into<String>, message: impl Into<String>) -> Done<T> {
    Err(Refusal::new(code, message))
}

/// The value, or `MissingParameter`.
pub(crate) fn required<T>(value: Option<T>, name: &str) -> Done<T> {
    value.ok_or_else(|| Refusal::new("MissingParameter", format!("`{name}` is required")))
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::new("InternalError", format!("the embedded cloud's file: {error}"))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::new("InternalError", format!("the embedded cloud's data: {error}"))
    }
}
