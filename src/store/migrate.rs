//! Migrations: append-only, each applied once, in one transaction with those that follow it.
//!
//! A migration that was released is never edited: its hash stands in every state that it was applied to.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::StoreFault;
use super::fault::Res;
use crate::model::digest::Digest;

/// Tells our files from others' (`PRAGMA application_id`): "flwr".
pub(super) const APPLICATION_ID: i32 = 0x666c_7772;

/// What migrations are hashed under.
const CONTEXT: &str = "fleetwright 2026 migration v1";

/// A step from one schema to the next.
pub(super) struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All of them, oldest first. The n-th one makes schema n.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_init", sql: include_str!("../../state/migrations/0001_init.sql") },
    Migration { name: "0002_history", sql: include_str!("../../state/migrations/0002_history.sql") },
    Migration { name: "0003_small", sql: include_str!("../../state/migrations/0003_small.sql") },
    Migration { name: "0004_rollouts", sql: include_str!("../../state/migrations/0004_rollouts.sql") },
];

/// The oldest schema that is read as it is: what came later lies outside of what a plan needs, and a reader must not
/// write.
pub(super) const OLDEST_READ: usize = 1;

impl Migration {
    /// Of what is executed; how a checkout ends its lines does not matter.
    fn hash(&self) -> String {
        Digest::of(CONTEXT, self.sql.replace("\r\n", "\n").as_bytes()).to_string()
    }
}

/// Whose file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nobody's: empty, or left behind when its creation was cut short.
    Nothing,
    /// A state.
    Ours,
    /// Another program's.
    Foreign,
}

/// Looks whose file it is.
pub(super) fn look(conn: &Connection) -> Res<Found> {
    // In one statement, so that both are of one moment: another process may be making the state just now.
    let (id, empty): (i32, bool) = conn.query_row(
        "SELECT application_id, (SELECT count(*) = 0 FROM sqlite_schema) FROM pragma_application_id",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(match (id, empty) {
        (APPLICATION_ID, false) => Found::Ours,
        (0, true) => Found::Nothing,
        _ => Found::Foreign,
    })
}

/// The schema of one of our files.
///
/// # Errors
/// It is newer than `known`, or was made by migrations other than those.
pub(super) fn schema(conn: &Connection, path: &str, known: &[Migration]) -> Res<usize> {
    let mut statement = conn.prepare("SELECT name, hash FROM migration ORDER BY n")?;
    let applied: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    if applied.len() > known.len() {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let fault =
            StoreFault::Newer { path: path.to_owned(), found: number(applied.len()), known: number(known.len()) };
        return Err(fault.into());
    }
    match applied.iter().zip(known).find(|((name, hash), known)| name != known.name || *hash != known.hash()) {
        Some(((name, _), _)) => {
            Err(StoreFault::NotAState(format!("{path} (its migration {name} is not the one that was released)")).into())
        }
        None => Ok(applied.len()),
    }
}

/// Brings a file to the newest schema that is `known`. What is there already is checked, not done again.
pub(super) fn migrate(conn: &mut Connection, path: &str, known: &[Migration]) -> Res<()> {
    if look(conn)? == Found::Ours && schema(conn, path, known)? == known.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    apply(&tx, path, known)?;
    Ok(tx.commit()?)
}

/// The same within a transaction.
pub(super) fn apply(tx: &Transaction<'_>, path: &str, known: &[Migration]) -> Res<()> {
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
    n    INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT",
    )?;
    let done = schema(tx, path, known)?;
    for (n, migration) in (1_i64..).zip(known).skip(done) {
        tx.execute_batch(migration.sql)?;
        tx.execute(
            "INSERT INTO migration (n, name, hash) VALUES (?1, ?2, ?3)",
            params![n, migration.name, migration.hash()],
        )?;
        tx.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', ?1)", [n])?;
    }
    Ok(())
}

/// The schema as text, in the order of the names.
#[cfg(test)]
pub(super) fn dump(conn: &Connection) -> Res<String> {
    let mut statement =
        conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name")?;
    let all: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(all.iter().map(|sql| format!("{sql};\n")).collect())
}

/// One value of `meta`.
pub(super) fn meta<T: rusqlite::types::FromSql>(conn: &Connection, key: &str) -> Res<Option<T>> {
    Ok(conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::super::fault::Trouble;
    use super::*;

    const SECOND: Migration = Migration { name: "0002_more", sql: "CREATE TABLE more (x INTEGER) STRICT;" };

    fn first() -> Migration {
        Migration { name: MIGRATIONS[0].name, sql: MIGRATIONS[0].sql }
    }

    fn memory() -> Connection {
        Connection::open_in_memory().expect("a database in memory")
    }

    #[test]
    fn the_schema_is_the_golden_one() {
        let mut conn = memory();
        migrate(&mut conn, "x", MIGRATIONS).expect("migrated");
        let found = dump(&conn).expect("a schema");
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/state/schema.sql");
        if crate::store::tests::updating() {
            std::fs::write(golden, &found).expect("written");
        }
        let wanted = std::fs::read_to_string(golden).expect("state/schema.sql").replace("\r\n", "\n");
        assert_eq!(found.replace("\r\n", "\n"), wanted, "run the tests with UPDATE_FIXTURES=1, and read what changed");
    }

    #[test]
    fn migrations_are_applied_once_and_in_order() {
        let mut conn = memory();
        migrate(&mut conn, "x", &[first()]).expect("the first");
        migrate(&mut conn, "x", &[first()]).expect("nothing to do");
        migrate(&mut conn, "x", &[first(), SECOND]).expect("the second");
        assert_eq!(schema(&conn, "x", &[first(), SECOND]).expect("a schema"), 2);
        assert_eq!(meta::<i64>(&conn, "schema").expect("read"), Some(2));
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut conn = memory();
        migrate(&mut conn, "x", &[first(), SECOND]).expect("migrated");
        let refused = migrate(&mut conn, "x", &[first()]);
        assert!(
            matches!(&refused, Err(Trouble::Fault(StoreFault::Newer { path, found: 2, known: 1 })) if path == "x"),
            "{refused:?}"
        );
    }

    #[test]
    fn an_edited_migration_is_noticed() {
        let mut conn = memory();
        migrate(&mut conn, "x", &[first()]).expect("migrated");
        let edited = Migration { name: MIGRATIONS[0].name, sql: "CREATE TABLE meta (key TEXT) STRICT;" };
        let refused = migrate(&mut conn, "x", &[edited, SECOND]);
        assert!(matches!(&refused, Err(Trouble::Fault(StoreFault::NotAState(_)))), "{refused:?}");
        assert_eq!(schema(&conn, "x", MIGRATIONS).expect("as before"), 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut conn = memory();
        let broken = Migration { name: "0002_broken", sql: "CREATE TABLE more (x INTEGER) STRICT; SELECT nonsense;" };
        migrate(&mut conn, "x", &[first(), broken]).expect_err("broken");
        assert_eq!(look(&conn).expect("looked"), Found::Nothing);
    }
}
