//! The embedded cloud: a small CVM of our own. It takes the bytes of a signed request and returns the bytes of an
//! answer, by the rules of the API text, whose sections are named where a rule is enforced.
//!
//! It has no timers. An accepted operation stores its start, its end and its outcome, and every answer is a function
//! of the rows and of the time now, which is never earlier than the latest time seen. Each request is one transaction,
//! so a killed process leaves a consistent cloud behind, and processes may share a file.
//!
//! # What it does not have
//! Dedicated hosts and clusters, launch templates, encrypted disks but for those of encrypted images, scheduled actions,
//! local disks. Requests for them are refused with a documented code, never passed over.
//!
//! # Code map
//! [`accounts`], [`catalogue`] and [`fixtures`] say what exists from the start, [`settings`] what may be chosen,
//! [`inspect`] what is there now. `api` lets requests in, `auth` checks signatures, `params` reads parameters,
//! `images`, `instances`, `tags` and `quotas` hold the actions, [`prices`] says what things cost, `network` what exists
//! from its first use, `machines` what machines do, [`imports`] what the name of a file tells of it. [`http`] serves all
//! of it to other programs, and [`faults`] makes them meet what can go wrong.

pub mod accounts;
mod api;
mod auth;
pub mod catalogue;
mod db;
pub mod faults;
mod filters;
pub mod fixtures;
pub mod http;
mod ids;
mod images;
pub mod imports;
pub mod inspect;
mod instances;
pub mod loopback;
mod machines;
mod neighbours;
mod network;
mod params;
mod places;
pub mod prices;
mod quotas;
mod refusal;
pub mod settings;
mod tagged;
mod tags;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

pub use accounts::{Credentials, credentials};
pub use catalogue::{default_subnet, default_vpc, public_image_id};
pub use db::OpenError;
pub use faults::Faults;
pub use inspect::Holdings;
pub use loopback::Loopback;
pub use machines::Constitution;
pub use settings::{Injection, LogEntry, Lost, Settings};

use super::cvm::transport::{HttpRequest, HttpResponse};
use super::cvm::wire::{Envelope, answers::Accepted};
use crate::model::Millis;
use crate::model::update::Check;
use faults::Fault;
use refusal::{Done, Refusal};

/// A cloud in this binary.
///
/// # Guarantees
/// - Time never runs backwards, whatever `now_ms` says, and whichever process asks.
/// - A request is done wholly or not at all.
/// - The same requests at the same times give the same answers, for the same seed and settings.
pub struct Embedded {
    settings: Settings,
    inner: Mutex<Inner>,
}

/// The end of the year 9000: later times are taken for it.
const LAST_MS: Millis = 221_876_928_000_000;

struct Inner {
    db: Connection,
    last_ms: Millis,
    injections: Vec<Injection>,
    log: Vec<LogEntry>,
    rates: api::Rates,
}

impl Embedded {
    /// Opens the cloud in a file, or makes it; without a path it is in memory.
    ///
    /// # Errors
    /// The file is another program's, a newer version's, or cannot be used.
    pub fn open(path: Option<&Path>, settings: Settings) -> Result<Self, OpenError> {
        let db = db::open(path, settings.seed)?;
        let inner = Inner { db, last_ms: 0, injections: Vec::new(), log: Vec::new(), rates: api::Rates::default() };
        Ok(Self { settings, inner: Mutex::new(inner) })
    }

    /// Removes a cloud's file. It must not be open.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn reset(path: &Path) -> Result<(), OpenError> {
        db::remove(path)
    }

    /// How this cloud behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks for a fault.
    pub fn inject(&self, injection: Injection) {
        self.lock().injections.push(injection);
    }

    /// The requests so far, where [`Settings::log`] is on.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.lock().log.clone()
    }

    /// What is there, by account and region.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn holdings(&self, now_ms: Millis) -> Result<Holdings, OpenError> {
        let mut inner = self.lock();
        let at = inner.last_ms.max(now_ms.clamp(0, LAST_MS));
        inspect::holdings(&mut inner.db, at, &self.settings).map_err(|refusal| OpenError::Unreadable {
            path: inner.db.path().unwrap_or_default().into(),
            why: refusal.message,
        })
    }

    /// What the machine of an instance answers when it is asked; it notes nothing of that.
    ///
    /// # Errors
    /// A clause that says what it does in place of what it should.
    pub fn probe(&self, now_ms: Millis, region: &str, instance: &str, check: &Check) -> Result<(), String> {
        let inner = self.lock();
        let at = inner.last_ms.max(now_ms.clamp(0, LAST_MS));
        machines::probe(&inner.db, at, &self.settings, (region, instance), check)
            .unwrap_or_else(|refusal| Err(format!("the embedded cloud cannot be read: {}", refusal.message)))
    }

    /// Answers a request, whether or not anybody gets to hear it.
    #[must_use]
    pub fn handle(&self, now_ms: Millis, request: &HttpRequest) -> HttpResponse {
        self.serve(now_ms, request).0
    }

    /// Answers a request, and says what is to be noted of it. Where the note says that the answer was lost, nobody may
    /// hear it.
    #[must_use]
    pub fn serve(&self, now_ms: Millis, request: &HttpRequest) -> (HttpResponse, LogEntry) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let now_ms = now_ms.clamp(0, LAST_MS);
        inner.last_ms = inner.last_ms.max(now_ms);
        let body = if request.method == "GET" { request.query.as_bytes() } else { &request.body };
        let mut entry = LogEntry {
            ms: inner.last_ms,
            service: String::new(),
            action: request.header("X-TC-Action").unwrap_or_default().to_owned(),
            region: String::new(),
            account: String::new(),
            code: None,
            request_id: ids::uuid(now_ms.cast_unsigned(), 0),
            lost: None,
            body: if self.settings.log { String::from_utf8_lossy(body).into_owned() } else { String::new() },
        };
        let body = match serve(inner, &self.settings, request, &mut entry) {
            Ok(body) => body,
            Err(refusal) => {
                // What never arrived was not refused, either.
                entry.code = (entry.lost != Some(Lost::Request)).then(|| refusal.code.clone());
                refused(refusal, &entry.request_id)
            }
        };
        if self.settings.log {
            inner.log.push(entry.clone());
        }
        drop(guard);
        (response(entry.ms, body), entry)
    }

    /// Refuses what is no request that could be looked at, with this code.
    #[must_use]
    pub fn refuse(&self, now_ms: Millis, code: &str, message: &str) -> (HttpResponse, LogEntry) {
        let ms = self.lock().last_ms.max(now_ms.clamp(0, LAST_MS));
        let request_id = ids::uuid(ms.cast_unsigned(), 1);
        let body = refused(Refusal::new(code, message), &request_id);
        let entry = LogEntry {
            ms,
            service: String::new(),
            action: String::new(),
            region: String::new(),
            account: String::new(),
            code: Some(code.to_owned()),
            request_id,
            lost: None,
            body: String::new(),
        };
        (response(ms, body), entry)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whatever a panic left behind, the transaction that it broke off was undone.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(refusal: Refusal, request_id: &str) -> Vec<u8> {
    let response = Accepted { error: Some(refusal.into_body()), request_id: request_id.to_owned() };
    serde_json::to_vec(&Envelope { response }).unwrap_or_default()
}

fn response(ms: Millis, body: Vec<u8>) -> HttpResponse {
    let date = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    HttpResponse {
        status: 200,
        headers: vec![
            // Exactly so: with a charset behind it the official SDK takes failures for successes (1.6).
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Date".to_owned(), date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        ],
        body,
        cloud_ms: Some(ms),
    }
}

fn serve(inner: &mut Inner, settings: &Settings, request: &HttpRequest, entry: &mut LogEntry) -> Done<Vec<u8>> {
    let tx = inner.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let arrival = db::arrive(&tx, inner.last_ms, settings.token_memory_ms)?;
    inner.last_ms = arrival.now;
    entry.ms = arrival.now;
    entry.request_id = ids::uuid(arrival.seed, arrival.requests);
    tx.prepare_cached("SAVEPOINT act")?.execute([])?;
    let mut cx = api::Context {
        db: &tx,
        now: arrival.now,
        requests: arrival.requests,
        seed: arrival.seed,
        request_id: entry.request_id.clone(),
        settings,
        injections: &mut inner.injections,
        rates: &mut inner.rates,
        account: 0,
        region: None,
        discard: false,
        fault: None,
    };
    let outcome = api::answer(&mut cx, request, entry);
    entry.lost = cx.fault.and_then(Fault::loses);
    // The clock and the count of requests stay, whatever becomes of the rest.
    if outcome.is_err() || cx.discard {
        tx.prepare_cached("ROLLBACK TO act")?.execute([])?;
    }
    tx.prepare_cached("RELEASE act")?.execute([])?;
    tx.commit()?;
    outcome
}

/// A time as answers tell it: UTC, `YYYY-MM-DDThh:mm:ssZ` (1.10).
fn time_text(ms: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
