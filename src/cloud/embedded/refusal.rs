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

    /// The same, for an action whose list of codes (API text 10) has another one for it. A row names a code, or how some
    /// begin, and what stands for it.
    pub(crate) fn by(mut self, rows: &[(&str, &str)]) -> Self {
        let fits = |row: &&(&str, &str)| match row.0.strip_suffix('*') {
            Some(start) => self.code.starts_with(start),
            None => self.code == row.0,
        };
        if let Some((_, code)) = rows.iter().find(fits) {
            self.code = (*code).to_owned();
        }
        self
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
