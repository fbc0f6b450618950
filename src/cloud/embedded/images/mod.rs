//! Images: their rows, who sees them, and what state they are in at a time (API text 2.1 and 8.1).

pub(crate) mod capture;
pub(crate) mod copy;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod read;
pub(crate) mod share;
pub(crate) mod write;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::api::Context;
use super::catalogue::{self, Content, PublicImage};
use super::fixtures::{self, MarketImage};
use super::ids::{self, Kind};
use super::instances::numbered;
use super::refusal::{Done, refuse};
use super::settings::Settings;
use crate::model::Millis;

/// The longest name and description, in characters (8.4).
const MAX_NAME: usize = 60;
const MAX_DESCRIPTION: usize = 256;
/// The longest name of a family; its format is unconfirmed (9.8).
const MAX_FAMILY: usize = 60;

/// What actions on images answer about tags: they have no codes of their own for those that cannot be.
const TAG_CODES: [(&str, &str); 2] =
    [("FailedOperation.*", "InvalidParameterValue"), ("InvalidParameterValue.DuplicateTags", "InvalidParameterValue")];

numbered! {
    /// What was last done to an image. The numbers are in files: only append.
    Op { Create, Copy, Source, Import }
}

/// ImageState.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Creating,
    Normal,
    CreateFailed,
    Syncing,
    Importing,
    ImportFailed,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Normal => "NORMAL",
            Self::CreateFailed => "CREATEFAILED",
            Self::Syncing => "SYNCING",
            Self::Importing => "IMPORTING",
            Self::ImportFailed => "IMPORTFAILED",
        }
    }
}

/// The row of a custom image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Custom {
    pub(crate) n: i64,
    pub(crate) account: i64,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) family: String,
    pub(crate) deprecated: bool,
    pub(crate) created_ms: Millis,
    pub(crate) size: i64,
    pub(crate) whole: bool,
    pub(crate) content: Content,
    pub(crate) op: Op,
    pub(crate) op_start: Millis,
    pub(crate) op_until: Millis,
    pub(crate) op_error: Option<String>,
    pub(crate) gone_ms: Option<Millis>,
    pub(crate) hidden: bool,
    pub(crate) imported: bool,
    pub(crate) encrypted: bool,
}

const COLUMNS: &str = "n, account, region, name, description, family, deprecated, created_ms, size, whole, content, \
                       op, op_start, op_until, op_error, gone_ms, hidden, imported, encrypted";

fn custom(row: &Row<'_>) -> rusqlite::Result<Custom> {
    let content: String = row.get(10)?;
    let content = serde_json::from_str(&content)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(10, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Custom {
        n: row.get(0)?,
        account: row.get(1)?,
        region: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        family: row.get(5)?,
        deprecated: row.get(6)?,
        created_ms: row.get(7)?,
        size: row.get(8)?,
        whole: row.get(9)?,
        content,
        op: Op::of(row.get(11)?),
        op_start: row.get(12)?,
        op_until: row.get(13)?,
        op_error: row.get(14)?,
        gone_ms: row.get(15)?,
        hidden: row.get(16)?,
        imported: row.get(17)?,
        encrypted: row.get(18)?,
    })
}

impl Custom {
    fn load(db: &Connection, n: i64) -> Done<Option<Self>> {
        let text = format!("SELECT {COLUMNS} FROM image WHERE n = ?1");
        Ok(db.prepare_cached(&text)?.query_row([n], custom).optional()?)
    }

    /// The images of an account in a region, or of everybody.
    pub(crate) fn all(db: &Connection, place: Option<(i64, &str)>) -> Done<Vec<Self>> {
        let images = match place {
            Some((account, region)) => db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM image WHERE account = ?1 AND region = ?2 ORDER BY n"))?
                .query_map(params![account, region], custom)?
                .collect::<rusqlite::Result<_>>()?,
            None => db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM image ORDER BY n"))?
                .query_map([], custom)?
                .collect::<rusqlite::Result<_>>()?,
        };
        Ok(images)
    }

    /// The images that others share with an account in a region.
    fn received(db: &Connection, account: i64, region: &str) -> Done<Vec<Self>> {
        let text = format!(
            "SELECT {COLUMNS} FROM image WHERE n IN (SELECT image FROM share WHERE account = ?1) AND region = ?2 ORDER BY n"
        );
        Ok(db.prepare_cached(&text)?.query_map(params![account, region], custom)?.collect::<rusqlite::Result<_>>()?)
    }

    fn insert(&self, db: &Connection) -> Done<()> {
        db.prepare_cached(
            "INSERT INTO image VALUES
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 0, ?17, ?18, ?19)",
        )?
        .execute(params![
            self.n,
            self.account,
            self.region,
            self.name,
            self.description,
            self.family,
            self.deprecated,
            self.created_ms,
            self.size,
            self.whole,
            serde_json::to_string(&self.content)?,
            self.op.number(),
            self.op_start,
            self.op_until,
            self.op_error,
            self.gone_ms,
            self.hidden,
            self.imported,
            self.encrypted,
        ])?;
        Ok(())
    }

    pub(crate) fn id(&self, seed: u64) -> String {
        ids::encode(Kind::Image, seed, self.n)
    }

    /// ImageState at a time.
    pub(crate) fn state(&self, now: Millis, settings: &Settings) -> State {
        let busy = now < self.op_until;
        match self.op {
            Op::Create if busy => State::Creating,
            Op::Copy if busy && settings.copy_is_syncing => State::Syncing,
            Op::Copy if busy => State::Creating,
            Op::Source if busy => State::Syncing,
            Op::Import if busy => State::Importing,
            Op::Create | Op::Copy if self.op_error.is_some() => State::CreateFailed,
            Op::Import if self.op_error.is_some() => State::ImportFailed,
            Op::Create | Op::Copy | Op::Source | Op::Import => State::Normal,
        }
    }

    /// Why it failed, once it has.
    pub(crate) fn failure(&self, now: Millis, settings: &Settings) -> Option<&str> {
        let failed = matches!(self.state(now, settings), State::CreateFailed | State::ImportFailed);
        self.op_error.as_deref().filter(|_| failed)
    }

    /// SyncPercent.
    fn percent(&self, now: Millis, settings: &Settings) -> Option<i64> {
        (self.state(now, settings) == State::Syncing)
            .then(|| (now - self.op_start) * 100 / (self.op_until - self.op_start).max(1))
    }
}

/// An image that a caller sees.
pub(crate) enum Seen {
    Public(&'static PublicImage),
    Market(&'static MarketImage),
    Own(Custom),
    Received(Custom),
}

/// An image to make or reinstall machines from.
pub(crate) struct Usable {
    pub(crate) content: Content,
    pub(crate) size: i64,
    /// Whether nobody's login can be on it: it is the vendor's, or of the marketplace (3.8).
    pub(crate) public: bool,
    pub(crate) encrypted: bool,
}

fn malformed<T>(id: &str) -> Done<T> {
    refuse("InvalidImageId.Malformed", format!("`{id}` is no image id: img-xxxxxxxx"))
}

fn unknown<T>(id: &str, region: &str) -> Done<T> {
    refuse("InvalidImageId.NotFound", format!("there is no image `{id}` in {region}"))
}

/// A custom image of anybody in the region.
fn anybodys(cx: &Context<'_>, id: &str) -> Done<Option<Custom>> {
    let Some(n) = ids::decode(Kind::Image, cx.seed, id) else { return malformed(id) };
    let region = cx.region()?.region;
    Ok(Custom::load(cx.db, n)?.filter(|image| image.region == region))
}

/// An image that the caller sees, or the fault.
pub(crate) fn find(cx: &Context<'_>, id: &str) -> Done<Seen> {
    let region = cx.region()?;
    if let Some(public) = catalogue::public_image(region, id) {
        return Ok(Seen::Public(public));
    }
    if let Some(market) = fixtures::market_image(region, id) {
        return Ok(Seen::Market(market));
    }
    match anybodys(cx, id)? {
        Some(image) if image.account == cx.account => Ok(Seen::Own(image)),
        Some(image) if is_shared(cx, image.n, cx.account)? => Ok(Seen::Received(image)),
        Some(_) | None => unknown(id, region.region),
    }
}

fn is_shared(cx: &Context<'_>, image: i64, account: i64) -> Done<bool> {
    let mut found = cx.db.prepare_cached("SELECT 1 FROM share WHERE image = ?1 AND account = ?2")?;
    Ok(found.exists([image, account])?)
}

fn share_count(cx: &Context<'_>, image: i64) -> Done<i64> {
    Ok(cx.db.prepare_cached("SELECT count(*) FROM share WHERE image = ?1")?.query_row([image], |row| row.get(0))?)
}

/// Whether an image is NORMAL and not being deleted.
fn is_free(cx: &Context<'_>, image: &Custom) -> bool {
    image.state(cx.now, cx.settings) == State::Normal && image.gone_ms.is_none()
}

/// An image to launch or reset from: visible, and NORMAL.
pub(crate) fn usable(cx: &Context<'_>, id: &str) -> Done<Usable> {
    let image = match find(cx, id)? {
        Seen::Public(public) => {
            return Ok(Usable { content: public.content(), size: public.size_gib, public: true, encrypted: false });
        }
        Seen::Market(market) => {
            return Ok(Usable { content: market.content(), size: market.size_gib, public: true, encrypted: false });
        }
        Seen::Own(image) | Seen::Received(image) => image,
    };
    if !is_free(cx, &image) {
        let text = format!("`{id}` is {}", image.state(cx.now, cx.settings).word());
        return refuse("InvalidParameterValue.InvalidImageState", text);
    }
    Ok(Usable { content: image.content, size: image.size, public: false, encrypted: image.encrypted })
}

/// Whether a name fits and is free among the caller's images of a region (8.4). Which code an over-long one gets is
/// unconfirmed (9.7).
fn check_name(cx: &Context<'_>, name: &str, region: &str, but: Option<i64>) -> Done<()> {
    if name.is_empty() {
        return refuse("InvalidParameterValue", "an image's name is not empty");
    }
    if name.chars().count() > MAX_NAME {
        return refuse("InvalidParameterValue.TooLarge", format!("an image's name has at most {MAX_NAME} characters"));
    }
    let holder: Option<i64> = cx
        .db
        .prepare_cached("SELECT n FROM image WHERE account = ?1 AND region = ?2 AND name = ?3")?
        .query_row(params![cx.account, region, name], |row| row.get(0))
        .optional()?;
    if holder.is_some() && holder != but {
        return refuse("InvalidImageName.Duplicate", format!("another image of {region} is called `{name}`"));
    }
    Ok(())
}

fn check_description(text: &str) -> Done<()> {
    if text.chars().count() > MAX_DESCRIPTION {
        let text = format!("a description has at most {MAX_DESCRIPTION} characters");
        return refuse("InvalidParameterValue.TooLarge", text);
    }
    Ok(())
}

/// The name of a family (8.4). Its format is unconfirmed: letters, digits, `-`, `_` and `.` are taken, and nothing is
/// no family.
fn check_family(text: &str) -> Done<()> {
    let legal = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if text.chars().count() > MAX_FAMILY || !text.chars().all(legal) {
        let text = format!("a family's name has at most {MAX_FAMILY} letters, digits, `-`, `_` and `.`");
        return refuse("InvalidParameterValue.InvalidImageFamily", text);
    }
    Ok(())
}
