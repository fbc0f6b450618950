//! Drivers: they do what the engine says. One with threads and a real clock, one in virtual time on one thread.
//!
//! One writer owns the store, and groups commits: all that came in while the last one was written goes into the next.
//! Workers hold the cloud and talk by channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::asking::Asking;
use super::engine::{CallId, Command, Engine, Event, HookCall, HookId, Probe, ProbeId, Seq, Urgency};
use super::events::{Outcome, Progress};
use crate::cloud::Cloud;
use crate::cloud::call::{Answer, Call, Class, Executed, Fault};
use crate::cloud::clock::Clock;
use crate::model::Millis;
use crate::model::addr::Block;
use crate::store::{Fence, Record, Store, StoreFault};

pub use super::asking::Prober;

/// A wish to stop, from a signal or from anybody else.
#[derive(Debug, Default)]
pub struct StopFlag {
    raised: AtomicU32,
    heeded: AtomicU32,
}

impl StopFlag {
    /// Wishes to stop; the second time, at once.
    pub fn raise(&self) {
        self.raised.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether anybody heeds a wish that was raised so many times. Where nobody does, the process may be ended: what
    /// has to be kept is in the journal.
    #[must_use]
    pub fn is_heeded(&self) -> bool {
        self.raised.load(Ordering::SeqCst) <= self.heeded.load(Ordering::SeqCst)
    }

    /// Whoever calls this looks at the flag from now on whenever it is about to do something, and stops.
    pub fn heed(&self) {
        self.heeded.fetch_max(1, Ordering::SeqCst);
    }

    /// Whether anybody wishes to stop.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.urgency().is_some()
    }

    fn urgency(&self) -> Option<Urgency> {
        match self.raised.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Urgency::Soon),
            _ => Some(Urgency::Now),
        }
    }
}

/// Whether the lock is known to be lost, from a heartbeat that found it so.
#[derive(Debug, Default)]
pub struct LockLost(AtomicBool);

impl LockLost {
    /// It is lost, for good: whoever takes it again is somebody else.
    pub fn tell(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a driver works with.
pub struct Ports<'a> {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
    /// Who asks its instances.
    pub prober: Arc<dyn Prober>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The state.
    pub store: &'a mut dyn Store,
    /// Proof of holding its lock.
    pub fence: Fence,
    /// How long the lock holds without being renewed. In virtual time the driver renews it, otherwise a heartbeat does.
    pub lease_ms: Millis,
    /// Whether that heartbeat lost it.
    pub lost: &'a LockLost,
    /// Whoever watches: what happened, or, every now and then, only that time went by.
    pub tell: &'a mut dyn FnMut(Millis, Option<&Progress>),
    /// A wish to stop.
    pub stop: &'a StopFlag,
    /// How many calls are made at once.
    pub workers: usize,
    /// How long calls are under way in virtual time; silent: no time at all.
    pub travel: Option<&'a Travel>,
}

/// How long a call is under way, each time that it is made.
pub type Travel = dyn Fn(&Call) -> Trip;

/// How long a call is under way, in virtual time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trip {
    /// From the sender until the cloud takes it in.
    pub there_ms: Millis,
    /// From then until the answer is back.
    pub back_ms: Millis,
}

/// Runs an engine to its end.
pub fn drive(engine: Engine<'_>, ports: Ports<'_>) -> Outcome {
    // An engine knows what to do the first time and the second time.
    ports.stop.heeded.fetch_max(2, Ordering::SeqCst);
    if ports.clock.is_virtual() { drive_virtual(engine, ports) } else { drive_threads(engine, ports) }
}

/// How a driver makes calls.
trait Calls {
    fn make(&mut self, id: CallId, call: Call, signed_ms: Millis);
    fn probe(&mut self, id: ProbeId, probe: Probe);
    fn hook(&mut self, id: HookId, call: Box<HookCall>);
}

/// Hands events to the engine and does what it says. Answers with the end, or with when to come back.
struct Loop<'a, 'p> {
    engine: Engine<'p>,
    ports: Ports<'a>,
    events: VecDeque<Event>,
    wake: Option<Millis>,
    stopping: Option<Urgency>,
    /// Local time at which the lease was last renewed.
    renewed_ms: Millis,
    /// Local time of the latest look at what others wish.
    listened_ms: Option<Millis>,
    /// Fleets that the engine was told to pause.
    told: BTreeSet<Block>,
}

/// How often it is looked whether somebody wishes that a rollout pause.
const LISTEN_MS: Millis = 1_000;

impl<'a, 'p> Loop<'a, 'p> {
    fn new(engine: Engine<'p>, ports: Ports<'a>) -> Self {
        let renewed_ms = ports.clock.now_ms();
        Self {
            engine,
            ports,
            events: VecDeque::from([Event::Woke]),
            wake: None,
            stopping: None,
            renewed_ms,
            listened_ms: None,
            told: BTreeSet::new(),
        }
    }

    /// Looks every now and then whether somebody wishes that a rollout pause. What cannot be read now may be at the next
    /// look; and when the lock is given back, what still goes on is paused in any case.
    fn listen(&mut self) {
        let now = self.ports.clock.now_ms();
        if self.listened_ms.is_some_and(|then| now - then < LISTEN_MS) {
            return;
        }
        self.listened_ms = Some(now);
        for wish in self.ports.store.pauses().unwrap_or_default() {
            if self.told.insert(wish.block.clone()) {
                let why = wish.why();
                self.events.push_back(Event::Pause(wish.block, why));
            }
        }
    }

    /// Keeps the lock while the work goes on.
    fn renew(&mut self) {
        if !self.ports.clock.is_virtual() {
            if self.ports.lost.is_told() {
                self.events.push_back(Event::Refused(Seq(u64::MAX), StoreFault::Fenced));
            }
            return;
        }
        let now = self.ports.clock.now_ms();
        if now - self.renewed_ms < self.ports.lease_ms / 3 {
            return;
        }
        self.renewed_ms = now;
        if let Err(fault) = self.ports.store.renew(self.ports.fence, now + self.ports.lease_ms) {
            self.events.push_back(Event::Refused(Seq(u64::MAX), fault));
        }
    }

    /// Takes all events in, writes what they lead to in one transaction, and goes on until there are none.
    fn work(&mut self, calls: &mut dyn Calls) -> Option<Outcome> {
        loop {
            self.renew();
            self.listen();
            let stop = self.ports.stop.urgency();
            if stop > self.stopping {
                self.stopping = stop;
                self.events.extend(stop.map(Event::Stop));
            }
            if self.events.is_empty() {
                let now = self.ports.clock.now_ms();
                (self.ports.tell)(now, None);
                return None;
            }
            let mut commits: Vec<Seq> = Vec::new();
            let mut records: Vec<Record> = Vec::new();
            let mut commands = Vec::new();
            while let Some(event) = self.events.pop_front() {
                let now = self.ports.clock.now_ms();
                self.engine.on(now, event, &mut commands);
                for command in commands.drain(..) {
                    match command {
                        Command::Commit(seq, more) => {
                            commits.push(seq);
                            if records.is_empty() {
                                records = more;
                            } else {
                                records.extend(more);
                            }
                        }
                        Command::Send { id, call, signed_ms } => calls.make(id, call, signed_ms),
                        Command::Probe(id, probe) => calls.probe(id, probe),
                        Command::Hook(id, call) => calls.hook(id, call),
                        Command::Wake(at) => self.wake = Some(at),
                        Command::Tell(progress) => (self.ports.tell)(now, Some(&progress)),
                        Command::End(outcome) => return Some(outcome),
                    }
                }
            }
            if commits.is_empty() {
                continue;
            }
            let written = if records.is_empty() { Ok(()) } else { self.ports.store.commit(self.ports.fence, &records) };
            self.events.extend(commits.into_iter().map(|seq| match &written {
                Ok(()) => Event::Committed(seq),
                Err(fault) => Event::Refused(seq, fault.clone()),
            }));
        }
    }
}

/// Calls under way in virtual time, by when they get on. Calls that are under way together arrive, and are answered,
/// in the order of their times, whatever the order in which they were made.
struct Roads<'a> {
    cloud: Arc<dyn Cloud>,
    prober: Arc<dyn Prober>,
    clock: Arc<dyn Clock>,
    travel: Option<&'a Travel>,
    under_way: BTreeMap<(Millis, u64), Leg>,
    legs: u64,
}

enum Leg {
    There {
        id: CallId,
        call: Box<Call>,
        signed_ms: Millis,
        back_ms: Millis,
    },
    Back {
        id: CallId,
        reply: Box<Result<Answer, Fault>>,
    },
    /// What an instance or a hook said.
    Said {
        event: Event,
    },
}

impl Roads<'_> {
    fn set_out(&mut self, after_ms: Millis, leg: Leg) {
        self.under_way.insert((self.clock.now_ms() + after_ms, self.legs), leg);
        self.legs += 1;
    }

    /// The next one gets on, unless it is `before` that something else is to happen. `None`: none did.
    fn get_on(&mut self, before: Option<Millis>) -> Option<Option<Event>> {
        let (at, _) = *self.under_way.first_key_value()?.0;
        if before.is_some_and(|before| before < at && self.clock.now_ms() < at) {
            return None;
        }
        let (_, leg) = self.under_way.pop_first()?;
        self.clock.wait_until(at);
        Some(match leg {
            Leg::There { id, call, signed_ms, back_ms } => {
                let reply = Box::new(self.cloud.call(&call, signed_ms));
                self.set_out(back_ms, Leg::Back { id, reply });
                None
            }
            Leg::Back { id, reply } => Some(Event::Replied(id, *reply)),
            Leg::Said { event } => Some(event),
        })
    }

    /// Nobody waits for answers any more; what left arrives all the same.
    fn let_go(mut self) {
        while self.get_on(None).is_some() {}
    }
}

impl Calls for Roads<'_> {
    fn make(&mut self, id: CallId, call: Call, signed_ms: Millis) {
        match self.travel {
            Some(travel) => {
                let Trip { there_ms, back_ms } = travel(&call);
                self.set_out(there_ms, Leg::There { id, call: Box::new(call), signed_ms, back_ms });
            }
            None => {
                let reply = Box::new(self.cloud.call(&call, signed_ms));
                self.set_out(0, Leg::Back { id, reply });
            }
        }
    }

    /// Neither takes any time here.
    fn probe(&mut self, id: ProbeId, probe: Probe) {
        let answer = self.prober.probe(self.clock.now_ms(), &probe);
        self.set_out(0, Leg::Said { event: Event::Probed(id, answer) });
    }

    fn hook(&mut self, id: HookId, call: Box<HookCall>) {
        let result = self.prober.hook(&call, &AtomicBool::new(false));
        self.set_out(0, Leg::Said { event: Event::Hooked(id, result) });
    }
}

fn drive_virtual(engine: Engine<'_>, ports: Ports<'_>) -> Outcome {
    let clock = Arc::clone(&ports.clock);
    let mut roads = Roads {
        cloud: Arc::clone(&ports.cloud),
        prober: Arc::clone(&ports.prober),
        clock: Arc::clone(&clock),
        travel: ports.travel,
        under_way: BTreeMap::new(),
        legs: 0,
    };
    let mut work = Loop::new(engine, ports);
    loop {
        if let Some(outcome) = work.work(&mut roads) {
            roads.let_go();
            return outcome;
        }
        match roads.get_on(work.wake) {
            Some(event) => work.events.extend(event),
            None => {
                let Some(at) = work.wake.take() else { return stuck() };
                clock.wait_until(at);
                work.events.push_back(Event::Woke);
            }
        }
    }
}

/// An engine that waits for nothing is a fault of this program; it must not hang.
fn stuck() -> Outcome {
    Outcome { stuck: true, ..Outcome::default() }
}

struct Pool {
    jobs: Sender<(CallId, Call, Millis)>,
    asking: Asking,
}

impl Calls for Pool {
    fn make(&mut self, id: CallId, call: Call, signed_ms: Millis) {
        // The workers live as long as the pool: sending cannot fail before them.
        drop(self.jobs.send((id, call, signed_ms)));
    }

    fn probe(&mut self, id: ProbeId, probe: Probe) {
        self.asking.probe(id, probe);
    }

    fn hook(&mut self, id: HookId, call: Box<HookCall>) {
        self.asking.hook(id, call);
    }
}

/// How long a driver sleeps at most before it looks whether somebody wants it to stop.
const GLANCE: Duration = Duration::from_millis(100);

fn drive_threads(engine: Engine<'_>, ports: Ports<'_>) -> Outcome {
    let (jobs, job_queue) = channel();
    let (replies, answers) = channel();
    let job_queue = Arc::new(Mutex::new(job_queue));
    let (cloud, clock, workers) = (Arc::clone(&ports.cloud), Arc::clone(&ports.clock), ports.workers.max(1));
    let lost = ports.lost;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (queue, replies, cloud) = (Arc::clone(&job_queue), replies.clone(), Arc::clone(&cloud));
            scope.spawn(move || worker(&queue, &replies, &*cloud, lost));
        }
        let asking = Asking::new(Arc::clone(&ports.prober), Arc::clone(&clock), replies.clone());
        let mut calls = Pool { jobs, asking };
        let mut work = Loop::new(engine, ports);
        loop {
            if let Some(outcome) = work.work(&mut calls) {
                return outcome;
            }
            let until = work.wake.map_or(GLANCE, |at| {
                let left = u64::try_from(at - clock.now_ms()).unwrap_or(0);
                Duration::from_millis(left).min(GLANCE)
            });
            match answers.recv_timeout(until) {
                Ok(event) => {
                    work.events.push_back(event);
                    work.events.extend(answers.try_iter());
                }
                Err(RecvTimeoutError::Timeout) => {
                    if work.wake.is_some_and(|at| at <= clock.now_ms()) {
                        work.wake = None;
                        work.events.push_back(Event::Woke);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return stuck(),
            }
        }
    })
}

type Job = (CallId, Call, Millis);

fn worker(queue: &Mutex<Receiver<Job>>, replies: &Sender<Event>, cloud: &dyn Cloud, lost: &LockLost) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, call, signed_ms)) = job else { return };
        // What still waited for its turn is not sent by a run that has lost the lock: it would only be refused, or be
        // waited for by whoever has it now.
        if lost.is_told() && call.body.mutates() {
            continue;
        }
        // A panic in a call must not leave the engine waiting for an answer that never comes.
        let reply = catch_unwind(AssertUnwindSafe(|| cloud.call(&call, signed_ms)));
        let reply = reply.unwrap_or_else(|_| {
            Err(Fault {
                class: Class::Transport,
                code: None,
                message: "the client failed while it made this call".into(),
                request_id: None,
                executed: Executed::Unknown,
                cloud_ms: None,
            })
        });
        if replies.send(Event::Replied(id, reply)).is_err() {
            return;
        }
    }
}
