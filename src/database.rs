//! SQLite files that other processes may look for at any time.

use std::fs;
use std::io::{Error, ErrorKind, Result as Io};
use std::path::{Path, PathBuf};

/// What SQLite puts beside a file, by how its name ends.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Makes a file beside its place, out of an empty one, and puts it there when it is whole: nobody ever finds half of it.
/// `false`: another one is there by now, and stays. Who is killed on the way leaves a file whose name begins with a dot.
pub(crate) fn put_whole<E>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
    fault: impl Fn(Error) -> E,
) -> Result<bool, E> {
    let beside = claim_beside(path).map_err(&fault)?;
    let placed = make(&beside).and_then(|()| match fs::hard_link(&beside, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // Not every file system knows links. Of two that come this far, the later one wins.
        Err(_) if !fs::exists(path).unwrap_or(true) => fs::rename(&beside, path).map(|()| true).map_err(&fault),
        Err(error) => Err(fault(error)),
    });
    for ending in BESIDE {
        let mut name = beside.as_os_str().to_owned();
        name.push(ending);
        drop(fs::remove_file(name));
    }
    if matches!(placed, Ok(true)) {
        sync_directory(path);
    }
    placed
}

/// An empty file of a name that nobody else has.
fn claim_beside(path: &Path) -> Io<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut n = 0;
    loop {
        let beside = path.with_file_name(format!(".{name}.new-{n}"));
        match fs::OpenOptions::new().write(true).create_new(true).open(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && n < 1000 => n += 1,
            claimed => return claimed.map(|_| beside),
        }
    }
}

/// So that a file that was just put into its place is still there after a power failure, where that can be asked for.
fn sync_directory(path: &Path) {
    if let Some(directory) = path.parent().and_then(|parent| fs::File::open(parent).ok()) {
        drop(directory.sync_all());
    }
}
