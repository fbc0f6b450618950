//! What lies between the program, its cloud and its state: it counts, and at one point something goes wrong.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetwright::apply::driver::StopFlag;
use fleetwright::cloud::call::{Answer, Call, Class, Fault};
use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::encode::encode;
use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::cvm::transport::HttpRequest;
use fleetwright::cloud::embedded::{self, Embedded};
use fleetwright::cloud::{Cloud, Secrets};
use fleetwright::model::Millis;
use fleetwright::model::digest::{SecretRef, SecretSource};
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, Record, SqliteStore, Store, StoreFault, Stored};

use crate::between::{Guard, Guarded, refusal, silence};
use crate::rig::{OWNER, Ran, Rig};

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
    /// At this write of the state: the process dies before it, or after it.
    Write(usize, bool),
    /// Before this write of the state: somebody else takes the lock over, whose lease has run out.
    Stolen(usize),
    /// At this call somebody wants it to stop, and says so so many times.
    Interrupt(usize, u8),
}

impl Trap {
    pub(crate) fn kills(self) -> bool {
        match self {
            Self::Call(_, fate) => fate.kills(),
            Self::Write(..) => true,
            Self::Stolen(_) | Self::Interrupt(..) => false,
        }
    }
}

/// What a process dies of.
struct Crash;

#[derive(Clone)]
struct Flying {
    arrives: Arrives,
    request: HttpRequest,
}

#[derive(Clone, Copy)]
enum Arrives {
    /// When this many more requests were made.
    Requests(usize),
    /// At this time.
    At(Millis),
}

#[derive(Default)]
struct Inner {
    trap: Option<Trap>,
    sprung: bool,
    refusing: Option<(Call, Class, &'static str, u32)>,
    calls: Vec<(&'static str, bool)>,
    writes: usize,
    flying: Vec<Flying>,
    thief: Option<Thief>,
}

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
    pub(crate) fn new(trap: Option<Trap>) -> Arc<Self> {
        let wire = Arc::new(Self::default());
        wire.arm(trap);
        wire
    }

    /// Another line, with the same requests on their way.
    pub(crate) fn fork(&self) -> Arc<Self> {
        let fork = Self::new(None);
        fork.lock().flying.clone_from(&self.lock().flying);
        fork
    }

    /// Counts from 0 again, and sets a trap.
    pub(crate) fn arm(&self, trap: Option<Trap>) {
        let mut inner = self.lock();
        inner.trap = trap;
        inner.sprung = false;
        inner.refusing = None;
        inner.calls.clear();
        inner.writes = 0;
    }

    pub(crate) fn sprung(&self) -> bool {
        self.lock().sprung
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

    /// Runs a command over this line; `None`: it died. `remote`: requests may outlive the process.
    pub(crate) fn run(self: &Arc<Self>, rig: &Rig, args: &str, remote: bool) -> Option<Ran> {
        let (wire, embedded, clock, dir) = (Arc::clone(self), rig.cloud(), Arc::clone(&rig.clock), rig.dir());
        let stop = rig.stop();
        let (writes, file) = (Arc::clone(self), rig.dir().join("state").join("default.db"));
        let lock_clock = Arc::clone(&rig.clock);
        let hooks = Hooks {
            embedded: None,
            cloud: Some(Box::new(move |inner| {
                Arc::new(Tapped {
                    inner,
                    wire: Arc::clone(&wire),
                    embedded: Arc::clone(&embedded),
                    clock: Arc::clone(&clock),
                    dir: dir.clone(),
                    stop: Arc::clone(&stop),
                    remote,
                })
            })),
            store: Some(Box::new(move |inner| {
                let (wire, file, clock) = (Arc::clone(&writes), file.clone(), Arc::clone(&lock_clock));
                Guarded::by(Counted { wire, file, clock, trap: None }, inner)
            })),
            lease_ms: None,
        };
        match catch_unwind(AssertUnwindSafe(|| rig.run_with(args, hooks))) {
            Ok(ran) => Some(ran),
            Err(payload) if payload.is::<Crash>() => {
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

struct Tapped {
    inner: Arc<dyn Cloud>,
    wire: Arc<Wire>,
    embedded: Arc<Embedded>,
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
        let (refused, class, code, left) = inner.refusing.take()?;
        if left == 0 {
            return None;
        }
        if refused.body.action() != call.body.action() {
            inner.refusing = Some((refused, class, code, left));
            return None;
        }
        inner.refusing = Some((refused, class, code, left - 1));
        Some(refusal(class, code))
    }
}

impl Cloud for Tapped {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        self.wire.deliver(&self.embedded, self.clock.now_ms());
        let mutates = call.body.mutates();
        let fate = {
            let mut inner = self.wire.lock();
            let n = inner.calls.len();
            inner.calls.push((call.body.action(), mutates));
            match inner.trap {
                Some(Trap::Call(at, fate)) if at == n => {
                    inner.sprung = true;
                    Some(fate)
                }
                Some(Trap::Interrupt(at, times)) if at == n => {
                    inner.sprung = true;
                    (0..times).for_each(|_| self.stop.raise());
                    None
                }
                Some(_) | None => None,
            }
        };
        if let Some(fault) = self.still_refused(call) {
            return Err(fault);
        }
        let Some(fate) = fate else { return self.inner.call(call, signed_ms) };
        match fate {
            Fate::NotSent => resume_unwind(Box::new(Crash)),
            Fate::AnswerLost => {
                drop(self.inner.call(call, signed_ms));
                resume_unwind(Box::new(Crash))
            }
            Fate::Late(when) => {
                self.take_off(call, signed_ms, when);
                resume_unwind(Box::new(Crash))
            }
            Fate::Refused(class, code, times) => {
                self.wire.lock().refusing = Some((call.clone(), class, code, times - 1));
                Err(refusal(class, code))
            }
            Fate::SilentNever => Err(silence("the connection was lost")),
            Fate::SilentDone => {
                drop(self.inner.call(call, signed_ms));
                Err(silence("the connection was lost"))
            }
            Fate::SilentLate(when) => {
                self.take_off(call, signed_ms, when);
                Err(silence("the connection was lost"))
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
}

impl Counted {
    /// This process stands still until its lease has run out, and another one takes over.
    fn steal(&self) {
        self.clock.wait_until(self.clock.now_ms() + 600_000);
        let mut store = SqliteStore::open(&self.file).expect("a state").expect("a state");
        let bob = Holder { who: "bob".into(), host: "elsewhere".into(), pid: 7, started: 1 };
        let fence = store.lock(&bob, self.clock.now_ms(), 3_600_000, &|_| false).expect("the lock");
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
            match inner.trap {
                Some(trap @ (Trap::Write(at, _) | Trap::Stolen(at))) if at == n => {
                    inner.sprung = true;
                    Some(trap)
                }
                Some(_) | None => None,
            }
        };
        match self.trap {
            Some(Trap::Write(_, false)) => resume_unwind(Box::new(Crash)),
            Some(Trap::Stolen(_)) => self.steal(),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn after(&mut self) {
        if matches!(self.trap, Some(Trap::Write(_, true))) {
            resume_unwind(Box::new(Crash));
        }
    }
}
