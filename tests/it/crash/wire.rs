//! What lies between the program, its cloud and its state: it counts, and at some points something goes wrong.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetwright::apply::driver::{StopFlag, Trip};
use fleetwright::cloud::call::{Answer, Body, Call, Class, Fault, Reply};
use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::client::CvmClient;
use fleetwright::cloud::cvm::encode::encode;
use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::cvm::transport::{HttpRequest, Transport};
use fleetwright::cloud::embedded::{self, Embedded, Loopback};
use fleetwright::cloud::{Cloud, Secrets};
use fleetwright::model::Millis;
use fleetwright::model::digest::{SecretRef, SecretSource};
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, Record, SqliteStore, Store, StoreFault, Stored};

pub(crate) use super::journal::{Cut, Tail};
use super::journal::{Journal, beside, disk};
use crate::between::{Guard, Guarded, refusal, silence};
use crate::rig::{Held, OWNER, Ran, Rig};

/// When a request that was on its way arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum When {
    /// Before the next request.
    AtOnce,
    /// After so many more requests.
    AfterRequests(usize),
    /// So long after its signature.
    After(Millis),
}

/// What becomes of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// The process dies before the bytes leave.
    NotSent,
    /// It is executed, and the process dies before the answer is there.
    AnswerLost,
    /// The process dies, and the request arrives later.
    Late(When),
    /// The cloud says no, so often.
    Refused(Class, &'static str, u32),
    /// The process lives. No answer comes, and the request never arrived.
    SilentNever,
    /// The process lives. No answer comes, and it was executed.
    SilentDone,
    /// The process lives. No answer comes, and the request arrives later.
    SilentLate(When),
    /// The cloud dies, before or after it has done what it was asked for, and is started again. No answer comes.
    CloudDies(bool),
    /// A read is answered as it was answered last, if that was no longer ago than this.
    Stale(Millis),
    /// A read does not list yet what is young, though another answer had it; and from this call on, for so long, no
    /// read lists what is young and was in no answer before.
    Unlisted(Millis),
}

impl Fate {
    /// The column of the table.
    pub(crate) fn way(self) -> &'static str {
        match self {
            Self::NotSent => "not sent",
            Self::AnswerLost => "answer lost",
            Self::Late(_) => "delayed",
            Self::Refused(..) => "refused",
            Self::SilentNever | Self::SilentDone | Self::SilentLate(_) => "silent",
            Self::CloudDies(_) => "cloud dies",
            Self::Stale(_) => "stale",
            Self::Unlisted(_) => "unlisted",
        }
    }

    /// Whether the process dies of it.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::NotSent | Self::AnswerLost | Self::Late(_))
    }
}

/// Where it goes wrong, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trap {
    /// At this call, counted from 0.
    Call(usize, Fate),
    /// At this call of those that change something, counted from 0.
    Change(usize, Fate),
    /// At this write of the state: the process dies before it, or after it.
    Write(usize, bool),
    /// At this write of the state: the machine stops, and only a part of what was new in the journal file is on the disk.
    Torn(usize, Cut, Tail),
    /// At this write of the state, and at so many after it, the disk is full.
    Full(usize, usize),
    /// Before this write of the state: somebody else takes the lock over, whose lease has run out.
    Stolen(usize),
    /// At this call somebody wants it to stop, and says so so many times.
    Interrupt(usize, u8),
}

impl Trap {
    pub(crate) fn kills(self) -> bool {
        match self {
            Self::Call(_, fate) | Self::Change(_, fate) => fate.kills(),
            Self::Write(..) | Self::Torn(..) => true,
            Self::Stolen(_) | Self::Interrupt(..) | Self::Full(..) => false,
        }
    }

    /// Whether it waits for this call: the `n`th, and of those that change something the `change`th, where it does.
    fn call(self, n: usize, change: Option<usize>) -> bool {
        match self {
            Self::Call(at, _) | Self::Interrupt(at, _) => at == n,
            Self::Change(at, _) => Some(at) == change,
            Self::Write(..) | Self::Torn(..) | Self::Full(..) | Self::Stolen(_) => false,
        }
    }

    /// Whether it waits for this write.
    fn write(self, n: usize) -> bool {
        match self {
            Self::Write(at, _) | Self::Torn(at, ..) | Self::Stolen(at) => at == n,
            Self::Full(at, times) => (at..at + times).contains(&n),
            Self::Call(..) | Self::Change(..) | Self::Interrupt(..) => false,
        }
    }
}

/// What a process dies of.
struct Crash;

#[derive(Clone, Debug)]
struct Flying {
    arrives: Arrives,
    request: HttpRequest,
}

#[derive(Clone, Copy, Debug)]
enum Arrives {
    /// When this many more requests were made.
    Requests(usize),
    /// At this time.
    At(Millis),
}

#[derive(Default)]
struct Inner {
    traps: Vec<Trap>,
    sprung: Vec<Trap>,
    refusing: Vec<(Call, Class, &'static str, u32)>,
    calls: Vec<(&'static str, bool)>,
    writes: usize,
    /// What each read was answered last, and when; kept where a trap may ask for it.
    answered: Option<BTreeMap<String, (Millis, Answer)>>,
    /// Files as the disk has them after the machine stopped.
    torn: Vec<(PathBuf, Vec<u8>)>,
    /// How many frames the journal had when it was torn, and how many of them were new.
    frames: (usize, usize),
    /// How long the calls of an apply are under way, in turn.
    trips: Vec<Trip>,
    flying: Vec<Flying>,
    thief: Option<Thief>,
    /// The most pages that the file of the state may have.
    pages: Option<u32>,
    /// Whoever looks on at each call that the process makes.
    looks_on: Option<Box<LooksOn>>,
    /// The ids of all that was in an answer.
    listed: BTreeSet<String>,
    /// Until when reads lag.
    lags_until_ms: Millis,
    /// What became of which action.
    met: Vec<(&'static str, &'static str)>,
}

/// Whoever looks on: before a call reaches the cloud, and after that with what it answered.
pub(crate) type LooksOn = dyn FnMut(&Embedded, Millis, &Call, Option<&Result<Answer, Fault>>) + Send;

/// Whoever took a lock over.
pub(crate) struct Thief {
    pub(crate) file: PathBuf,
    /// The proof, and the state as it was then.
    pub(crate) took: (Fence, Stored),
}

/// One line between program and world; it outlives processes.
#[derive(Default)]
pub(crate) struct Wire(Mutex<Inner>);

/// What went over the line in one run.
pub(crate) struct Traffic {
    /// The calls, each with whether it changes anything.
    pub(crate) calls: Vec<(&'static str, bool)>,
    /// How many writes of the state there were.
    pub(crate) writes: usize,
}

impl Wire {
    pub(crate) fn new(traps: impl IntoIterator<Item = Trap>) -> Arc<Self> {
        let wire = Arc::new(Self::default());
        wire.arm(traps);
        wire
    }

    /// From now on it remembers what reads are answered.
    pub(crate) fn remember(&self) {
        self.lock().answered.get_or_insert_default();
    }

    /// From now on the file of the state may have so many pages.
    pub(crate) fn limit(&self, pages: Option<u32>) {
        self.lock().pages = pages;
    }

    /// From now on somebody looks on.
    pub(crate) fn watch(&self, looks_on: Option<Box<LooksOn>>) {
        self.lock().looks_on = looks_on;
    }

    /// Whether reads lag now.
    pub(crate) fn lags(&self, rig: &Rig) -> bool {
        rig.clock.now_ms() < self.lock().lags_until_ms
    }

    /// What became of which action since it was asked last.
    pub(crate) fn met(&self) -> Vec<(&'static str, &'static str)> {
        std::mem::take(&mut self.lock().met)
    }

    /// From now on calls of an apply are so long under way, in turn.
    pub(crate) fn slow_down(&self, trips: Vec<Trip>) {
        self.lock().trips = trips;
    }

    /// Another line, with the same requests on their way.
    pub(crate) fn fork(&self) -> Arc<Self> {
        let fork = Self::new(None);
        fork.lock().flying.clone_from(&self.lock().flying);
        fork
    }

    /// Counts from 0 again, and sets traps.
    pub(crate) fn arm(&self, traps: impl IntoIterator<Item = Trap>) {
        let mut inner = self.lock();
        inner.traps = traps.into_iter().collect();
        inner.sprung.clear();
        inner.refusing.clear();
        inner.calls.clear();
        inner.writes = 0;
    }

    /// The traps that were run into.
    pub(crate) fn sprung(&self) -> Vec<Trap> {
        self.lock().sprung.clone()
    }

    /// How many frames the journal had when it was torn, and how many of them were new.
    pub(crate) fn frames(&self) -> (usize, usize) {
        self.lock().frames
    }

    pub(crate) fn thief(&self) -> Option<Thief> {
        self.lock().thief.take()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let inner = self.lock();
        Traffic { calls: inner.calls.clone(), writes: inner.writes }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on its way, as texts.
    pub(crate) fn flying(&self) -> Vec<String> {
        self.lock().flying.iter().map(|flying| format!("{flying:?}")).collect()
    }

    /// Runs a command over this line; `None`: it died. `remote`: requests may outlive the process.
    pub(crate) fn run(self: &Arc<Self>, rig: &Rig, args: &str, remote: bool) -> Option<Ran> {
        let (wire, held, clock, dir) = (Arc::clone(self), rig.held(), Arc::clone(&rig.clock), rig.dir());
        let stop = rig.stop();
        let (writes, file) = (Arc::clone(self), rig.dir().join("state").join("default.db"));
        let lock_clock = Arc::clone(&rig.clock);
        let trips = self.lock().trips.clone();
        let turn = Cell::new(0);
        let travel = move |_: &Call| {
            turn.set(turn.get() + 1);
            trips[turn.get() % trips.len()]
        };
        let slow = !self.lock().trips.is_empty();
        let most_pages = self.lock().pages;
        let checking: Arc<Checking> = Arc::new(rig.checking());
        let hooks = Hooks {
            most_pages,
            travel: if slow { Some(Box::new(travel)) } else { None },
            cloud: Some(Box::new(move |inner| {
                Arc::new(Tapped {
                    inner,
                    checking: Arc::clone(&checking),
                    restarted: Mutex::default(),
                    wire: Arc::clone(&wire),
                    held: Arc::clone(&held),
                    clock: Arc::clone(&clock),
                    dir: dir.clone(),
                    stop: Arc::clone(&stop),
                    remote,
                })
            })),
            store: Some(Box::new(move |inner| {
                let (wire, file, clock) = (Arc::clone(&writes), file.clone(), Arc::clone(&lock_clock));
                Guarded::by(Counted { wire, file, clock, trap: None, before: Vec::new() }, inner)
            })),
            ..Hooks::default()
        };
        match catch_unwind(AssertUnwindSafe(|| rig.run_with(args, hooks))) {
            Ok(ran) => Some(ran),
            Err(payload) if payload.is::<Crash>() => {
                for (path, bytes) in std::mem::take(&mut self.lock().torn) {
                    std::fs::write(path, bytes).expect("written");
                }
                rig.reopen_cloud();
                None
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Whatever is still on its way arrives.
    pub(crate) fn land(&self, rig: &Rig) {
        let flying = std::mem::take(&mut self.lock().flying);
        for Flying { arrives, request } in flying {
            if let Arrives::At(ms) = arrives {
                rig.clock.wait_until(ms);
            }
            drop(rig.cloud().handle(rig.clock.now_ms(), &request));
        }
    }

    fn deliver(&self, cloud: &Embedded, now: Millis) {
        let flying = std::mem::take(&mut self.lock().flying);
        let mut still = Vec::new();
        for Flying { arrives, request } in flying {
            match arrives {
                Arrives::Requests(0) => drop(cloud.handle(now, &request)),
                Arrives::Requests(more) => still.push(Flying { arrives: Arrives::Requests(more - 1), request }),
                Arrives::At(ms) if ms <= now => drop(cloud.handle(ms, &request)),
                Arrives::At(_) => still.push(Flying { arrives, request }),
            }
        }
        self.lock().flying.extend(still);
    }
}

type Checking = dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync;

struct Tapped {
    inner: Arc<dyn Cloud>,
    /// What stands before every way to the cloud.
    checking: Arc<Checking>,
    /// The way to the cloud after it was started again.
    restarted: Mutex<Option<Arc<dyn Cloud>>>,
    wire: Arc<Wire>,
    held: Arc<Held>,
    clock: Arc<VirtualClock>,
    dir: PathBuf,
    stop: Arc<StopFlag>,
    remote: bool,
}

impl Tapped {
    fn take_off(&self, call: &Call, signed_ms: Millis, when: When) {
        let out = encode(call, &Files(self.dir.clone())).unwrap_or_else(|fault| panic!("{fault}"));
        let keys = embedded::credentials(OWNER).expect("keys");
        let credentials =
            Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None };
        let envelope = Envelope {
            service: out.service,
            host: "cvm.embedded",
            action: out.action,
            version: out.version,
            region: out.region.as_ref().map(|region| region.as_str()),
            body: &out.body,
        };
        let request = HttpRequest {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: headers(&credentials, signed_ms / 1000, &envelope),
            body: out.body.clone(),
        };
        let arrives = match when {
            When::AtOnce => Arrives::Requests(0),
            When::AfterRequests(n) => Arrives::Requests(n),
            When::After(ms) => Arrives::At(signed_ms + ms),
        };
        self.wire.lock().flying.push(Flying { arrives, request });
    }

    /// Whether the same call as before is refused once more.
    fn still_refused(&self, call: &Call) -> Option<Fault> {
        let mut inner = self.wire.lock();
        let same = |(refused, ..): &&mut (Call, Class, &'static str, u32)| refused.body.action() == call.body.action();
        let (_, class, code, left) = inner.refusing.iter_mut().find(same)?;
        let fault = refusal(*class, code);
        *left -= 1;
        inner.refusing.retain(|(_, _, _, left)| *left > 0);
        Some(fault)
    }

    /// Makes a call, and remembers what a read was answered.
    fn make(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        self.show(call, None);
        let result = self.inner_call(call, signed_ms);
        self.note_listed(&result);
        if let (Body::Describe(_), Ok(answer)) = (&call.body, &result)
            && let Some(answered) = &mut self.wire.lock().answered
        {
            answered.insert(question(call), (self.clock.now_ms(), answer.clone()));
        }
        self.show(call, Some(&result));
        result
    }

    /// Lets look on whoever does.
    fn show(&self, call: &Call, answered: Option<&Result<Answer, Fault>>) {
        let looks_on = self.wire.lock().looks_on.take();
        if let Some(mut looks_on) = looks_on {
            looks_on(&self.held.cloud(), self.clock.now_ms(), call, answered);
            self.wire.lock().looks_on = Some(looks_on);
        }
    }

    fn note_listed(&self, result: &Result<Answer, Fault>) {
        match result.as_ref().map(|answer| &answer.reply) {
            Ok(Reply::Instances(page)) => {
                self.wire.lock().listed.extend(page.items.iter().map(|one| one.id.to_string()));
            }
            Ok(Reply::Images(page)) => {
                self.wire.lock().listed.extend(page.items.iter().map(|one| one.id.to_string()));
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Makes a call where nothing is amiss with it, but reads may lag.
    fn pass(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        let lags = self.clock.now_ms() < self.wire.lock().lags_until_ms;
        if call.body.mutates() || !lags {
            return self.make(call, signed_ms);
        }
        let listed = self.wire.lock().listed.clone();
        let result = self.unlisted(call, signed_ms, &listed);
        self.note_listed(&result);
        result
    }

    /// An answer that does not list yet what is young, but for these.
    fn unlisted(&self, call: &Call, signed_ms: Millis, listed: &BTreeSet<String>) -> Result<Answer, Fault> {
        let mut answer = self.inner_call(call, signed_ms)?;
        let since = answer.cloud_ms - LISTED_MS;
        match &mut answer.reply {
            Reply::Instances(page) => {
                page.items.retain(|one| one.created_ms < since || listed.contains(one.id.as_str()));
                page.total = u32::try_from(page.items.len()).expect("a page");
            }
            Reply::Images(page) => {
                page.items.retain(|one| one.created_ms < since || listed.contains(one.id.as_str()));
                page.total = u32::try_from(page.items.len()).expect("a page");
            }
            Reply::Ids(_)
            | Reply::Copies(_)
            | Reply::Tagged { .. }
            | Reply::Done
            | Reply::Shares(_)
            | Reply::ImageQuota(_)
            | Reply::AccountQuota { .. }
            | Reply::Regions(_)
            | Reply::Zones(_)
            | Reply::Types(_)
            | Reply::States(_)
            | Reply::ImportOs(_)
            | Reply::Price(_)
            | Reply::Stock(_)
            | Reply::UserData(_) => {}
        }
        Ok(answer)
    }

    /// Makes a call, and nothing else.
    fn inner_call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        let restarted = self.restarted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        restarted.as_ref().unwrap_or(&self.inner).call(call, signed_ms)
    }

    /// The cloud's process ends, and another one opens its file.
    fn restart_cloud(&self) {
        let cloud = self.held.reopen();
        let keys = embedded::credentials(OWNER).expect("keys");
        let credentials =
            Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None };
        let loopback = Arc::new(Loopback { cloud, clock: Arc::clone(&self.clock) as Arc<dyn Clock> });
        let transport = (self.checking)(loopback);
        let keys = BTreeMap::from([(OWNER.into(), credentials)]);
        let client = CvmClient::new(transport, "cvm.embedded", keys, Arc::new(Files(self.dir.clone())));
        *self.restarted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(client));
    }

    /// What the same read was answered last, if that is not too long ago.
    fn stale(&self, call: &Call, most_ms: Millis) -> Option<Answer> {
        let now = self.clock.now_ms();
        let inner = self.wire.lock();
        let (at, answer) = inner.answered.as_ref()?.get(&question(call))?;
        // The server's clock goes on; only what it reads is old.
        (now - at <= most_ms).then(|| Answer { cloud_ms: now, ..answer.clone() })
    }
}

fn question(call: &Call) -> String {
    format!("{} {} {:?}", call.account, call.region, call.body)
}

/// How far a listing may lag behind: less than what the program allows for.
const LISTED_MS: Millis = 30_000;

impl Cloud for Tapped {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        self.wire.deliver(&self.held.cloud(), self.clock.now_ms());
        let mutates = call.body.mutates();
        let fate = {
            let mut inner = self.wire.lock();
            let n = inner.calls.len();
            let change = mutates.then(|| inner.calls.iter().filter(|(_, mutates)| *mutates).count());
            inner.calls.push((call.body.action(), mutates));
            let here: Vec<Trap> = inner.traps.iter().copied().filter(|trap| trap.call(n, change)).collect();
            let mut fate = None;
            for trap in &here {
                match trap {
                    Trap::Call(_, is) | Trap::Change(_, is) => {
                        fate = Some(*is);
                        inner.met.push((call.body.action(), is.way()));
                    }
                    Trap::Interrupt(_, times) => (0..*times).for_each(|_| self.stop.raise()),
                    Trap::Write(..) | Trap::Torn(..) | Trap::Full(..) | Trap::Stolen(_) => {}
                }
            }
            inner.sprung.extend(here);
            fate
        };
        if let Some(fault) = self.still_refused(call) {
            return Err(fault);
        }
        let Some(fate) = fate else { return self.pass(call, signed_ms) };
        match fate {
            Fate::NotSent => resume_unwind(Box::new(Crash)),
            Fate::AnswerLost => {
                drop(self.make(call, signed_ms));
                resume_unwind(Box::new(Crash))
            }
            Fate::Late(when) => {
                self.take_off(call, signed_ms, when);
                resume_unwind(Box::new(Crash))
            }
            Fate::Refused(class, code, times) => {
                // That something is not there is no refusal of a read, but an answer, and this cloud does not lie.
                let (class, code) = match (&call.body, class) {
                    (Body::Describe(_), Class::NotFound) => (Class::Transient, "InternalError"),
                    _ => (class, code),
                };
                if times > 1 {
                    self.wire.lock().refusing.push((call.clone(), class, code, times - 1));
                }
                Err(refusal(class, code))
            }
            Fate::SilentNever => Err(silence("the connection was lost")),
            Fate::SilentDone => {
                drop(self.make(call, signed_ms));
                Err(silence("the connection was lost"))
            }
            Fate::SilentLate(when) => {
                self.take_off(call, signed_ms, when);
                Err(silence("the connection was lost"))
            }
            Fate::CloudDies(after) => {
                if after {
                    drop(self.make(call, signed_ms));
                }
                self.restart_cloud();
                Err(silence("the connection was lost"))
            }
            Fate::Stale(most_ms) => match self.stale(call, most_ms) {
                Some(answer) => Ok(answer),
                None => self.make(call, signed_ms),
            },
            Fate::Unlisted(ms) => {
                let until_ms = self.clock.now_ms() + ms;
                {
                    let mut inner = self.wire.lock();
                    inner.lags_until_ms = inner.lags_until_ms.max(until_ms);
                }
                if mutates { self.make(call, signed_ms) } else { self.unlisted(call, signed_ms, &BTreeSet::new()) }
            }
        }
    }

    fn outlives_us(&self) -> bool {
        self.remote
    }
}

/// User data in files of the config, as a request in flight has it.
struct Files(PathBuf);

impl Secrets for Files {
    fn read(&self, secret: &SecretRef) -> Result<Vec<u8>, String> {
        match &secret.source {
            SecretSource::File(path) => std::fs::read(self.0.join(path)).map_err(|error| error.to_string()),
            SecretSource::Config(path) => Err(format!("{path}: not in a file")),
        }
    }
}

/// Counts the writes of a state.
struct Counted {
    wire: Arc<Wire>,
    file: PathBuf,
    clock: Arc<VirtualClock>,
    /// Of the write that is under way.
    trap: Option<Trap>,
    /// What the disk had before the write that is under way.
    before: Vec<Vec<u8>>,
}

impl Counted {
    /// This process stands still until its lease has run out, and another one takes over.
    fn steal(&self) {
        self.clock.wait_until(self.clock.now_ms() + 600_000);
        let mut store = SqliteStore::open(&self.file).expect("a state").expect("a state");
        let bob = Holder { who: "bob".into(), host: "elsewhere".into(), pid: 7, started: 1 };
        let fence = match store.lock(&bob, self.clock.now_ms(), 3_600_000, &|_| false) {
            Ok(fence) => fence,
            // They took it over before.
            Err(StoreFault::Locked(lease)) if lease.holder == bob => return,
            Err(fault) => panic!("the lock: {fault:?}"),
        };
        let took = (fence, store.load().expect("a state"));
        self.wire.lock().thief = Some(Thief { file: self.file.clone(), took });
    }
}

impl Guard for Counted {
    fn before(&mut self, _: &[Record]) -> Result<(), StoreFault> {
        self.trap = {
            let mut inner = self.wire.lock();
            let n = inner.writes;
            inner.writes += 1;
            let trap = inner.traps.iter().copied().find(|trap| trap.write(n));
            inner.sprung.extend(trap);
            trap
        };
        match self.trap {
            Some(Trap::Write(_, false)) => resume_unwind(Box::new(Crash)),
            Some(Trap::Stolen(_)) => self.steal(),
            Some(Trap::Full(..)) => return Err(StoreFault::Full("state/default.db".into())),
            Some(Trap::Torn(..)) => self.before = disk(&self.file),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn after(&mut self) {
        match self.trap {
            Some(Trap::Write(_, true)) => resume_unwind(Box::new(Crash)),
            Some(Trap::Torn(_, kept, tail)) => {
                let after = disk(&self.file);
                if let ([_, old], [database, new]) = (&self.before[..], &after[..]) {
                    // Where the journal was carried over into the database, it had been on the disk before that.
                    let whole = self.before[0] != *database;
                    let journal = if whole { new.clone() } else { Journal::of(old, new).torn(kept, tail) };
                    let [database_file, journal_file, index_file] =
                        ["", "-wal", "-shm"].map(|end| beside(&self.file, end));
                    let mut inner = self.wire.lock();
                    inner.frames = Journal::of(old, new).frames();
                    inner.torn = vec![(database_file, database.clone()), (journal_file, journal)];
                    inner.torn.extend(std::fs::metadata(&index_file).is_ok().then(|| (index_file, Vec::new())));
                }
                resume_unwind(Box::new(Crash))
            }
            Some(_) | None => {}
        }
    }
}
