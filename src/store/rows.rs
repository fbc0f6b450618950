//! Between columns and values: words, ids, and texts that are shared between rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, ValueRef};
use rusqlite::{Connection, Row};

use super::fault::{Res, Trouble};
use super::migrate::meta;
use super::{Fence, Holder, Lease};
use crate::model::Millis;
use crate::model::addr::Part;
use crate::model::ids::{CloudId, ImageId, InstanceId, Lineage, Name, Region, Uin};
use crate::model::recorded::Origin;

/// The end of the year 9999.
const LAST_MS: Millis = 253_402_300_799_000;
/// Nobody counts so far; what follows it is still a number.
const LAST_COUNT: i64 = i64::MAX / 2;

/// The value that a word stands for.
pub(super) fn of_word<T: Copy>(all: &[T], word: fn(T) -> &'static str, text: &str) -> Res<T> {
    match all.iter().find(|value| word(**value) == text) {
        Some(value) => Ok(*value),
        None => Err(Trouble::damaged(format!("holds the word `{text}`, which this build does not know"))),
    }
}

/// The kind of an id, as a word.
pub(super) fn id_kind(id: &CloudId) -> &'static str {
    match id {
        CloudId::Image(_) => "image",
        CloudId::Instance(_) => "instance",
    }
}

/// An id from its kind and text.
pub(super) fn cloud_id(kind: &str, text: &str) -> Res<CloudId> {
    match kind {
        "image" => Ok(CloudId::Image(ImageId::new(text))),
        "instance" => Ok(CloudId::Instance(InstanceId::new(text))),
        other => Err(Trouble::damaged(format!("holds an id of the kind `{other}`, which this build does not know"))),
    }
}

/// The part of an address, as a word.
pub(super) fn part(part: &Part) -> &str {
    match part {
        Part::Builder => "builder",
        Part::Region(region) => region.as_str(),
    }
}

/// The part that a word stands for.
pub(super) fn of_part(text: &str) -> Part {
    match text {
        "builder" => Part::Builder,
        region => Part::Region(Region::new(region)),
    }
}

/// A text column, where it lies.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Res<&'a str> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| wrong(column, value, error))
}

/// A text column that may be empty, where it lies.
pub(super) fn maybe_text<'a>(row: &'a Row<'_>, column: usize) -> Res<Option<&'a str>> {
    let value = row.get_ref(column)?;
    value.as_str_or_null().map_err(|error| wrong(column, value, error))
}

/// Any other column.
pub(super) fn value<T: FromSql>(row: &Row<'_>, column: usize) -> Res<T> {
    Ok(row.get(column)?)
}

/// A column with a time. What is beyond all calendars is no time, and nothing is reckoned with it.
pub(super) fn time(row: &Row<'_>, column: usize) -> Res<Millis> {
    sane_time(value(row, column)?)
}

/// A column with a time that may be missing.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Res<Option<Millis>> {
    value::<Option<Millis>>(row, column)?.map(sane_time).transpose()
}

/// A time, where it is one.
pub(super) fn sane_time(ms: Millis) -> Res<Millis> {
    if (-LAST_MS..=LAST_MS).contains(&ms) { Ok(ms) } else { Err(Trouble::damaged(format!("holds {ms} ms for a time"))) }
}

fn wrong(column: usize, value: ValueRef<'_>, error: FromSqlError) -> Trouble {
    rusqlite::Error::FromSqlConversionFailure(column, value.data_type(), Box::new(error)).into()
}

/// A value from its JSON.
pub(super) fn of_json<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Res<T> {
    serde_json::from_str(json).map_err(|error| Trouble::damaged(format!("holds {what} that cannot be read: {error}")))
}

/// The JSON of a value.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Res<String> {
    serde_json::to_string(value).map_err(|error| Trouble::said(format!("cannot write a value as JSON: {error}")))
}

/// What has been read before, by its text: rows that say the same share it.
pub(super) struct Shared<T> {
    last: Option<(Arc<str>, T)>,
    seen: BTreeMap<Arc<str>, T>,
}

impl<T: Clone> Shared<T> {
    pub(super) fn new() -> Self {
        Self { last: None, seen: BTreeMap::new() }
    }

    /// What was made of the text before, or is made of it now.
    pub(super) fn get(&mut self, text: &str, make: impl FnOnce(&str) -> Res<T>) -> Res<T> {
        if let Some((last, value)) = &self.last
            && **last == *text
        {
            return Ok(value.clone());
        }
        let (key, value) = match self.seen.get_key_value(text) {
            Some((key, value)) => (key.clone(), value.clone()),
            None => {
                let (key, value) = (Arc::<str>::from(text), make(text)?);
                self.seen.insert(key.clone(), value.clone());
                (key, value)
            }
        };
        self.last = Some((key, value.clone()));
        Ok(value)
    }

    /// The same of a text that may be missing.
    pub(super) fn maybe(&mut self, text: Option<&str>, make: impl FnOnce(&str) -> Res<T>) -> Res<Option<T>> {
        text.map(|text| self.get(text, make)).transpose()
    }
}

/// The lineage, which every state has.
pub(super) fn lineage(conn: &Connection) -> Res<Lineage> {
    match meta::<String>(conn, "lineage")? {
        Some(lineage) => Ok(Lineage::new(lineage)),
        None => Err(Trouble::damaged("has no lineage")),
    }
}

/// A counter of `meta`.
pub(super) fn counter(conn: &Connection, key: &str) -> Res<u64> {
    match meta::<i64>(conn, key)?.unwrap_or(0) {
        count @ 0..=LAST_COUNT => Ok(count.cast_unsigned()),
        other => Err(Trouble::damaged(format!("holds {other} for its {key}"))),
    }
}

/// The cloud that the state is of, where it is known.
pub(super) fn origin(conn: &Connection) -> Res<Option<Origin>> {
    let text = |key| meta::<String>(conn, key);
    Ok(match (text("endpoint")?, text("account")?, text("project")?) {
        (Some(endpoint), Some(account), Some(project)) => {
            Some(Origin { endpoint, account: Uin::new(account), project: Name::new(project) })
        }
        (None, None, None) => None,
        _ => return Err(Trouble::damaged("says only in part which cloud it is of")),
    })
}

/// The lock row, where there is one.
pub(super) fn lease(conn: &Connection) -> Res<Option<Lease>> {
    let mut statement =
        conn.prepare_cached("SELECT who, host, pid, started, since_ms, until_ms, fence FROM lock WHERE only = 1")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let holder = Holder {
        who: value(row, 0)?,
        host: value(row, 1)?,
        pid: value(row, 2)?,
        started: value::<i64>(row, 3)?.cast_unsigned(),
    };
    let fence = Fence(value::<i64>(row, 6)?.cast_unsigned());
    Ok(Some(Lease { holder, since_ms: time(row, 4)?, until_ms: time(row, 5)?, fence }))
}
