//! How many calls the cloud took, where it took fewer than were made: for the next process, which would have to learn it
//! again. It is forgotten within minutes, so it is no table but a note.

use rusqlite::Connection;

use super::Taught;
use super::fault::Res;
use super::migrate::meta;
use super::rows::{json, of_json};
use crate::cloud::budget::FORGOTTEN_MS;

const TAUGHT: &str = "taught";

/// What refusals taught; some of it may be forgotten by now.
pub(super) fn taught(conn: &Connection) -> Res<Vec<Taught>> {
    match meta::<String>(conn, TAUGHT)? {
        Some(text) => of_json("how many calls the cloud took", &text),
        None => Ok(Vec::new()),
    }
}

/// Notes what a refusal taught, in the place of what was learned of the same calls, and of what is forgotten.
pub(super) fn teach(conn: &Connection, new: &Taught) -> Res<()> {
    let mut all = taught(conn)?;
    let same = |old: &Taught| (&old.account, &old.region, &old.action) == (&new.account, &new.region, &new.action);
    all.retain(|old| !same(old) && new.learned.at_ms - old.learned.at_ms < FORGOTTEN_MS);
    all.push(new.clone());
    conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", (TAUGHT, json(&all)?))?;
    Ok(())
}
