//! The rows of instances and of their specs in the file.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{End, Machine, Op, Power, Spec};
use crate::cloud::embedded::refusal::Done;

const COLUMNS: &str = "n, account, region, zone, name, spec, next_spec, counted, created_ms, op, op_start, op_until, \
                       op_error, op_request, was, becomes, boot_ms, off_ms, gone_ms, address, hidden, ordinal, \
                       ends_ms, ends_into, placement_group";

fn machine(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        n: row.get(0)?,
        account: row.get(1)?,
        region: row.get(2)?,
        zone: row.get(3)?,
        name: row.get(4)?,
        spec: row.get(5)?,
        next_spec: row.get(6)?,
        counted: row.get(7)?,
        created_ms: row.get(8)?,
        op: Op::of(row.get(9)?),
        op_start: row.get(10)?,
        op_until: row.get(11)?,
        op_error: row.get(12)?,
        op_request: row.get(13)?,
        was: Power::of(row.get(14)?),
        becomes: Power::of(row.get(15)?),
        boot_ms: row.get(16)?,
        off_ms: row.get(17)?,
        gone_ms: row.get(18)?,
        address: row.get(19)?,
        hidden: row.get(20)?,
        ordinal: row.get(21)?,
        ends_ms: row.get(22)?,
        ends_into: End::of(row.get(23)?),
        placement_group: row.get(24)?,
    })
}

impl Machine {
    pub(crate) fn load(db: &Connection, n: i64) -> Done<Option<Self>> {
        let text = const_format();
        Ok(db.prepare_cached(text)?.query_row([n], machine).optional()?)
    }

    /// Those of these numbers that there are. `numbers` are sorted; neighbours are read in one go.
    pub(crate) fn load_all(db: &Connection, numbers: &[i64]) -> Done<Vec<Self>> {
        static TEXT: LazyLock<String> =
            LazyLock::new(|| format!("SELECT {COLUMNS} FROM instance WHERE n BETWEEN ?1 AND ?2 ORDER BY n"));
        let mut statement = db.prepare_cached(&TEXT)?;
        let mut machines = Vec::with_capacity(numbers.len());
        for run in runs(numbers) {
            for found in statement.query_map(run, machine)? {
                machines.push(found?);
            }
        }
        Ok(machines)
    }

    /// All machines of an account in a region, or of everybody.
    pub(crate) fn all(db: &Connection, place: Option<(i64, &str)>) -> Done<Vec<Self>> {
        let machines = match place {
            Some((account, region)) => db
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM instance WHERE account = ?1 AND region = ?2 ORDER BY n"
                ))?
                .query_map(params![account, region], machine)?
                .collect::<rusqlite::Result<_>>()?,
            None => db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM instance ORDER BY n"))?
                .query_map([], machine)?
                .collect::<rusqlite::Result<_>>()?,
        };
        Ok(machines)
    }

    pub(crate) fn insert(&self, db: &Connection) -> Done<()> {
        db.prepare_cached(
            "INSERT INTO instance VALUES
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
              ?22, ?23, ?24, ?25)",
        )?
        .execute(params![
            self.n,
            self.account,
            self.region,
            self.zone,
            self.name,
            self.spec,
            self.next_spec,
            self.counted,
            self.created_ms,
            self.op.number(),
            self.op_start,
            self.op_until,
            self.op_error,
            self.op_request,
            self.was.number(),
            self.becomes.number(),
            self.boot_ms,
            self.off_ms,
            self.gone_ms,
            self.address,
            self.hidden,
            self.ordinal,
            self.ends_ms,
            self.ends_into.number(),
            self.placement_group,
        ])?;
        Ok(())
    }

    /// Writes what an operation may change.
    pub(crate) fn save(&self, db: &Connection) -> Done<()> {
        db.prepare_cached(
            "UPDATE instance SET name = ?2, spec = ?3, next_spec = ?4, op = ?5, op_start = ?6, op_until = ?7,
             op_error = ?8, op_request = ?9, was = ?10, becomes = ?11, boot_ms = ?12, off_ms = ?13, gone_ms = ?14,
             counted = ?15, ends_ms = ?16
             WHERE n = ?1",
        )?
        .execute(params![
            self.n,
            self.name,
            self.spec,
            self.next_spec,
            self.op.number(),
            self.op_start,
            self.op_until,
            self.op_error,
            self.op_request,
            self.was.number(),
            self.becomes.number(),
            self.boot_ms,
            self.off_ms,
            self.gone_ms,
            self.counted,
            self.ends_ms,
        ])?;
        Ok(())
    }
}

/// The statement that loads a row, put together once.
fn const_format() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("SELECT {COLUMNS} FROM instance WHERE n = ?1"));
    &TEXT
}

/// The first and the last of each run of neighbours among sorted numbers.
pub(crate) fn runs(numbers: &[i64]) -> impl Iterator<Item = [i64; 2]> {
    numbers.chunk_by(|one, next| *next - *one <= 1).filter_map(|run| Some([*run.first()?, *run.last()?]))
}

impl Spec {
    pub(crate) fn load(db: &Connection, n: i64) -> Done<Self> {
        Self::parse(&Self::body(db, n)?)
    }

    /// A spec as it is stored.
    pub(crate) fn body(db: &Connection, n: i64) -> Done<String> {
        Ok(db.prepare_cached("SELECT body FROM spec WHERE n = ?1")?.query_row([n], |row| row.get(0))?)
    }

    /// What is stored as this text.
    pub(crate) fn parse(body: &str) -> Done<Self> {
        Ok(serde_json::from_str(body)?)
    }

    pub(crate) fn insert(&self, db: &Connection, user_data: Option<&str>) -> Done<i64> {
        db.prepare_cached("INSERT INTO spec (body, user_data) VALUES (?1, ?2)")?
            .execute(params![serde_json::to_string(self)?, user_data])?;
        Ok(db.last_insert_rowid())
    }
}

/// The user data of a spec, in base64.
pub(crate) fn user_data(db: &Connection, spec: i64) -> Done<Option<String>> {
    Ok(db.prepare_cached("SELECT user_data FROM spec WHERE n = ?1")?.query_row([spec], |row| row.get(0))?)
}
