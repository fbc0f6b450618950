//! Somebody between the program and its cloud, or its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fleetwright::cloud::Cloud;
use fleetwright::cloud::call::{Answer, Call, Class, Executed, Fault};
use fleetwright::model::Millis;
use fleetwright::model::ids::Lineage;
use fleetwright::model::recorded::RunId;
use fleetwright::ops::Hooks;
use fleetwright::store::{Fence, Holder, NewRun, PauseWish, Record, RunOutcome, Store, StoreFault, Stored};

/// A cloud whose calls somebody makes, changes or loses.
struct Between<F> {
    inner: Arc<dyn Cloud>,
    makes: Arc<F>,
}

impl<F> Cloud for Between<F>
where
    F: Fn(&dyn Cloud, &Call, Millis) -> Result<Answer, Fault> + Send + Sync,
{
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        (self.makes)(&*self.inner, call, signed_ms)
    }

    fn outlives_us(&self) -> bool {
        self.inner.outlives_us()
    }
}

/// Hooks under which every call is made in this way.
pub(crate) fn between<F>(makes: F) -> Hooks
where
    F: Fn(&dyn Cloud, &Call, Millis) -> Result<Answer, Fault> + Send + Sync + 'static,
{
    let makes = Arc::new(makes);
    let wrap = move |inner| -> Arc<dyn Cloud> { Arc::new(Between { inner, makes: Arc::clone(&makes) }) };
    Hooks { cloud: Some(Box::new(wrap)), ..Hooks::default() }
}

/// Hooks under which something is done right before the first call of an action.
pub(crate) fn before_first(action: &'static str, deed: impl Fn() + Send + Sync + 'static) -> Hooks {
    let first = Times::new(1);
    between(move |cloud, call, signed_ms| {
        if call.body.action() == action && first.take() {
            deed();
        }
        cloud.call(call, signed_ms)
    })
}

/// Hooks under which no answer comes to the first so many calls of an action, whether they are `executed` or not.
pub(crate) fn unanswered(action: &'static str, times: u32, executed: bool) -> Hooks {
    let left = Times::new(times);
    between(move |cloud, call, signed_ms| {
        let lose = call.body.action() == action && left.take();
        if lose && !executed {
            return Err(silence("the connection was reset"));
        }
        let answer = cloud.call(call, signed_ms);
        if lose { Err(silence("the connection was reset")) } else { answer }
    })
}

/// Hooks under which the answer to the first call of an action is lost.
pub(crate) fn losing(action: &'static str) -> Hooks {
    unanswered(action, 1, true)
}

/// No answer: nobody knows whether the call was executed.
pub(crate) fn silence(message: &str) -> Fault {
    Fault {
        class: Class::Transport,
        code: None,
        message: message.into(),
        request_id: None,
        executed: Executed::Unknown,
        cloud_ms: None,
    }
}

/// The cloud says no, and has done nothing.
pub(crate) fn refusal(class: Class, code: &str) -> Fault {
    Fault {
        class,
        code: Some(code.into()),
        message: "said the test".into(),
        request_id: None,
        executed: Executed::No,
        cloud_ms: None,
    }
}

/// So many times, and no more.
struct Times(AtomicU32);

impl Times {
    fn new(times: u32) -> Self {
        Self(AtomicU32::new(times))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// Whoever stands before a state, and is asked at every write.
pub(crate) trait Guard: Send {
    /// Before it, with what is written of the journal: what is refused is not written.
    fn before(&mut self, records: &[Record]) -> Result<(), StoreFault>;

    /// After it.
    fn after(&mut self) {}
}

/// A state with somebody before it.
pub(crate) struct Guarded<G> {
    inner: Box<dyn Store>,
    guard: G,
}

impl<G: Guard + 'static> Guarded<G> {
    /// A state, and who stands before it.
    pub(crate) fn by(guard: G, inner: Box<dyn Store>) -> Box<dyn Store> {
        Box::new(Self { inner, guard })
    }
}

impl<G: Guard> Guarded<G> {
    fn write<T>(
        &mut self,
        records: &[Record],
        write: impl FnOnce(&mut dyn Store) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        self.guard.before(records)?;
        let written = write(&mut *self.inner);
        self.guard.after();
        written
    }
}

impl<G: Guard> Store for Guarded<G> {
    fn load(&mut self) -> Result<Stored, StoreFault> {
        self.inner.load()
    }

    fn lock(
        &mut self,
        holder: &Holder,
        now_ms: Millis,
        lease_ms: Millis,
        is_dead: &dyn Fn(&Holder) -> bool,
    ) -> Result<Fence, StoreFault> {
        self.write(&[], |inner| inner.lock(holder, now_ms, lease_ms, is_dead))
    }

    fn renew(&mut self, fence: Fence, until_ms: Millis) -> Result<(), StoreFault> {
        self.write(&[], |inner| inner.renew(fence, until_ms))
    }

    fn unlock(&mut self, fence: Fence) -> Result<(), StoreFault> {
        self.write(&[], |inner| inner.unlock(fence))
    }

    fn commit(&mut self, fence: Fence, records: &[Record]) -> Result<(), StoreFault> {
        self.write(records, |inner| inner.commit(fence, records))
    }

    fn start_run(&mut self, fence: Fence, run: &NewRun) -> Result<RunId, StoreFault> {
        self.write(&[], |inner| inner.start_run(fence, run))
    }

    fn end_run(&mut self, fence: Fence, run: RunId, ended_ms: Millis, outcome: RunOutcome) -> Result<(), StoreFault> {
        self.write(&[], |inner| inner.end_run(fence, run, ended_ms, outcome))
    }

    fn pauses(&mut self) -> Result<Vec<PauseWish>, StoreFault> {
        self.inner.pauses()
    }

    fn lineage(&self) -> Lineage {
        self.inner.lineage()
    }
}
