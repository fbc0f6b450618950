//! The file that a state lies in, as the file system knows it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use super::StoreFault;
use super::fault::of_reading;

/// By what a change of a file is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// The stamp of a file that nobody has open to write.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        if fs::exists(wal).unwrap_or(true) {
            return None;
        }
        let meta = fs::metadata(path).ok()?;
        Some(Self { bytes: meta.len(), modified: meta.modified().ok() })
    }
}

/// Whether there is a file. Anything else that bears its name, such as a directory, a pipe or a link that leads nowhere,
/// is not opened, and nothing is made in its place.
pub(super) fn is_there(path: &Path, shown: &str) -> Result<bool, StoreFault> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(true),
        Ok(_) => Err(StoreFault::NotAState(shown.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(false),
        Err(error) => Err(of_reading(shown, &error)),
    }
}

/// The name under which SQLite opens a file as one that nobody changes.
pub(super) fn immutable(path: &Path) -> Option<String> {
    if !cfg!(unix) {
        return None;
    }
    let mut uri = String::from("file:");
    for c in path.to_str()?.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}
