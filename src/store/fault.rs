//! From SQLite's faults to ours.

use rusqlite::ErrorCode;

use super::StoreFault;

/// What went wrong, before it is known in which file.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite says no.
    Sql(rusqlite::Error),
    /// We say no, in a sentence.
    Said(String),
    /// What is there cannot be, in a sentence.
    Damaged(String),
    /// It is a fault already.
    Fault(StoreFault),
}

pub(super) type Res<T> = Result<T, Trouble>;

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreFault> for Trouble {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    /// A sentence of ours.
    pub(super) fn said(sentence: impl Into<String>) -> Self {
        Self::Said(sentence.into())
    }

    /// A sentence of ours about what is there.
    pub(super) fn damaged(sentence: impl Into<String>) -> Self {
        Self::Damaged(sentence.into())
    }

    /// The fault, in the file at `path`; whoever meant to write hears of it when the file cannot even be opened.
    pub(super) fn at(self, path: &str, writing: bool) -> StoreFault {
        let error = match self {
            Self::Fault(fault) => return fault,
            Self::Said(sentence) => return StoreFault::Io(format!("{path}: {sentence}")),
            Self::Damaged(sentence) => return StoreFault::Damaged(path.to_owned(), sentence),
            Self::Sql(error) => error,
        };
        let code = error.sqlite_error_code();
        let is = |these: &[ErrorCode]| code.is_some_and(|code| these.contains(&code));
        let path = path.to_owned();
        if is(&[ErrorCode::DiskFull]) {
            StoreFault::Full(path)
        } else if is(&[ErrorCode::ReadOnly]) || writing && is(&[ErrorCode::CannotOpen, ErrorCode::PermissionDenied]) {
            StoreFault::ReadOnly(path)
        } else if is(&[ErrorCode::NotADatabase]) {
            StoreFault::NotAState(path)
        } else if is(&[ErrorCode::DatabaseCorrupt]) {
            StoreFault::Damaged(path, format!("it is damaged ({error})"))
        } else if let Some(what) = unreadable(&error) {
            StoreFault::Damaged(path, what)
        } else if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked]) {
            StoreFault::Io(format!("{path}: another process has been writing for too long"))
        } else {
            StoreFault::Io(format!("{path}: {error}"))
        }
    }
}

/// What is wrong with a value that was read, or with the tables that it was to be read from.
#[expect(clippy::wildcard_enum_match_arm, reason = "another library's faults, of which it may add more")]
fn unreadable(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, kind, why) => Some(format!("holds a value that is {kind}: {why}")),
        rusqlite::Error::InvalidColumnType(_, column, kind) => Some(format!("holds {kind} for `{column}`")),
        rusqlite::Error::IntegralValueOutOfRange(_, value) => Some(format!("holds {value}, which is out of range")),
        rusqlite::Error::Utf8Error(..) => Some("holds text that is not UTF-8".to_owned()),
        rusqlite::Error::SqlInputError { msg, .. } => Some(format!("its tables are not those of a state ({msg})")),
        _ => None,
    }
}

/// Replaces a broken constraint by a sentence that says what it means here.
pub(super) fn broken<T>(result: rusqlite::Result<T>, sentence: impl FnOnce() -> String) -> Res<T> {
    result.map_err(|error| {
        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            Trouble::Said(sentence())
        } else {
            Trouble::Sql(error)
        }
    })
}

/// The fault of a file operation.
pub(super) fn of_io(path: &str, error: &std::io::Error) -> StoreFault {
    use std::io::ErrorKind;
    let kind = error.kind();
    if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&kind) {
        StoreFault::Full(path.to_owned())
    } else if [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem].contains(&kind) {
        StoreFault::ReadOnly(path.to_owned())
    } else {
        StoreFault::Io(format!("{path}: {error}"))
    }
}

/// The same, where it was only looked at.
pub(super) fn of_reading(path: &str, error: &std::io::Error) -> StoreFault {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        StoreFault::Unreadable(path.to_owned(), error.to_string())
    } else {
        of_io(path, error)
    }
}
