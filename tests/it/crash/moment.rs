//! All that outlives a process, as one number. The program is a function of it: where two deaths leave the same, what
//! comes after them is the same, and needs to be looked at once.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::wire::Wire;
use crate::rig::Rig;

/// What was left behind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment([u8; 32]);

/// What a world is like that nobody is at work in: its state, its cloud, the files of its config, the time, and what is
/// on its way.
pub(crate) fn moment(rig: &Rig, wire: &Wire, remote: bool) -> Moment {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{remote} {} {} {:?}", rig.now_ms(), rig.commands(), wire.flying()).as_bytes());
    let dir = rig.dir();
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        hash.update(file.file_name().expect("a name").as_encoded_bytes());
        hash.update(&std::fs::read(file).expect("a file"));
    }
    let world = dir.parent().expect("a world");
    for database in [dir.join("state").join("default.db"), world.join("cloud.db")] {
        rows(&database, world, &mut hash);
    }
    Moment(hash.finalize().into())
}

/// Every row of a database. It is read from a copy, for whoever closes a database carries its journal over.
fn rows(database: &Path, beside: &Path, hash: &mut blake3::Hasher) {
    if !database.exists() {
        return;
    }
    let copy = tempfile::tempdir_in(beside).expect("a directory");
    for end in ["", "-wal"] {
        let mut from = database.as_os_str().to_owned();
        from.push(end);
        if Path::new(&from).exists() {
            std::fs::copy(&from, copy.path().join(format!("db{end}"))).expect("copied");
        }
    }
    let db = Connection::open(copy.path().join("db")).expect("a database");
    let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("tables");
    let names: Vec<String> =
        tables.query_map([], |row| row.get(0)).expect("tables").collect::<Result<_, _>>().expect("names");
    for name in names {
        hash.update(name.as_bytes());
        let mut select = db.prepare(&format!("SELECT * FROM \"{name}\"")).expect("a table");
        let columns = select.column_count();
        let mut rows = select.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..columns {
                match row.get_ref(column).expect("a value") {
                    ValueRef::Null => hash.update(b"n"),
                    ValueRef::Integer(value) => hash.update(b"i").update(&value.to_le_bytes()),
                    ValueRef::Real(value) => hash.update(b"r").update(&value.to_le_bytes()),
                    ValueRef::Text(bytes) => hash.update(b"t").update(&bytes.len().to_le_bytes()).update(bytes),
                    ValueRef::Blob(bytes) => hash.update(b"b").update(&bytes.len().to_le_bytes()).update(bytes),
                };
            }
        }
    }
}
