//! The lock in real time, with threads: a clock that goes faster than it should, so that a lease and the window of a
//! signature pass within seconds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use fleetwright::apply::driver::StopFlag;
use fleetwright::cli::{self, Exit, Terminals, World};
use fleetwright::cloud::Cloud;
use fleetwright::cloud::call::{Answer, Call, Fault};
use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::embedded::{Embedded, Settings};
use fleetwright::model::Millis;
use fleetwright::ops::Hooks;
use fleetwright::store::{Holder, OpRow, RunRow, SqliteStore, Store, Stored};

use crate::kit::{FLEET, GZ, quick, says};
use crate::rig::{NOON_MS, OWNER};

/// So many times faster than it should does the clock go.
const SPEED: i64 = 100;
/// As long as a lease holds, and as a signature does.
const WINDOW_MS: Millis = 300_000;

/// A clock that goes fast, and that can be stopped for whoever looks at it: they stand still until it goes on.
struct FastClock {
    start: i64,
    stopped: Mutex<bool>,
    goes_on: Condvar,
}

impl FastClock {
    fn new(start: i64) -> Arc<Self> {
        Arc::new(Self { start, stopped: Mutex::new(false), goes_on: Condvar::new() })
    }

    fn stop(&self) {
        *self.stopped.lock().expect("no panic") = true;
    }

    fn go_on(&self) {
        *self.stopped.lock().expect("no panic") = false;
        self.goes_on.notify_all();
    }
}

#[expect(clippy::disallowed_methods, reason = "what is tested goes by real time")]
impl Clock for FastClock {
    fn now_ms(&self) -> Millis {
        let mut stopped = self.stopped.lock().expect("no panic");
        while *stopped {
            stopped = self.goes_on.wait(stopped).expect("no panic");
        }
        NOON_MS + (real_ms() - self.start) * SPEED
    }

    fn wait_until(&self, ms: Millis) {
        let left = u64::try_from((ms - self.now_ms()) / SPEED).unwrap_or(0);
        thread::sleep(Duration::from_millis(left));
    }

    fn is_virtual(&self) -> bool {
        false
    }
}

#[expect(clippy::disallowed_methods, reason = "what is tested goes by real time")]
fn real_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("a time")
}

/// A cloud before whose first launch something is done.
struct Before<F> {
    inner: Arc<dyn Cloud>,
    deed: F,
    launches: AtomicUsize,
}

impl<F: Fn() + Send + Sync> Cloud for Before<F> {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        if call.body.action() == "RunInstances" && self.launches.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.deed)();
        }
        self.inner.call(call, signed_ms)
    }

    fn outlives_us(&self) -> bool {
        self.inner.outlives_us()
    }
}

/// What several runs share.
struct Ground {
    dir: tempfile::TempDir,
    cloud: Arc<Embedded>,
    start: i64,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings { log: true, ..quick() };
        let cloud = Arc::new(Embedded::open(Some(&dir.path().join("cloud.db")), settings).expect("a cloud"));
        let config = dir.path().join("config");
        std::fs::create_dir_all(&config).expect("a directory");
        std::fs::write(config.join("shop.yaml"), FLEET.replace("count: 5", "count: 3")).expect("written");
        std::fs::write(config.join("boot.sh"), "#!/bin/sh\n").expect("written");
        Self { dir, cloud, start: real_ms() }
    }

    fn clock(&self) -> Arc<FastClock> {
        FastClock::new(self.start)
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("config").join("state").join("default.db")
    }

    /// Runs a command as somebody, who is nobody's process on this machine.
    fn run(&self, who: &str, args: &str, clock: Arc<FastClock>, hooks: Hooks) -> (Exit, String) {
        run(self.dir.path(), &self.cloud, who, args, clock, hooks)
    }

    fn lease(&self) -> Option<fleetwright::store::Lease> {
        SqliteStore::open_read_only(&self.file()).expect("a state").and_then(|mut store| store.lease().expect("a lock"))
    }

    /// All that the state holds: things, journal and history.
    fn written(&self) -> (Stored, Vec<RunRow>, Vec<OpRow>) {
        let mut store = SqliteStore::open_read_only(&self.file()).expect("open").expect("a state");
        let runs = store.runs().expect("the history");
        let operations = runs.iter().flat_map(|run| store.operations(run.id).expect("the journal")).collect();
        (store.load().expect("a state"), runs, operations)
    }

    /// The launches that the cloud was asked for, with what it said to them.
    fn launches(&self) -> Vec<Option<String>> {
        self.cloud.log().into_iter().filter(|entry| entry.action == "RunInstances").map(|entry| entry.code).collect()
    }

    fn instances(&self) -> usize {
        let holdings = self.cloud.holdings(self.clock().now_ms()).expect("holdings");
        holdings.of(OWNER, GZ).map_or(0, |held| held.instances.len())
    }

    fn wait_for(&self, what: impl Fn() -> bool) {
        let clock = self.clock();
        for _ in 0..3_000 {
            if what() {
                return;
            }
            clock.wait_until(clock.now_ms() + 10 * SPEED);
        }
        panic!("it does not come");
    }
}

fn run(
    dir: &Path,
    cloud: &Arc<Embedded>,
    who: &str,
    args: &str,
    clock: Arc<FastClock>,
    hooks: Hooks,
) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let seed = u8::try_from(who.len()).expect("a short name");
    let exit = cli::run(World {
        args: std::iter::once("fleetwright").chain(args.split_whitespace()).map(Into::into).collect(),
        cwd: dir.join("config"),
        env: BTreeMap::new(),
        clock,
        entropy: Box::new(move || [seed; 32]),
        holder: Holder { who: who.into(), host: format!("{who}s-machine"), pid: 7, started: 1 },
        is_dead: Box::new(|_| false),
        stop: Arc::new(StopFlag::default()),
        width: 80,
        window: Box::new(|| None),
        terminals: Terminals::default(),
        stdin: &mut &b""[..],
        stdout: &mut out as &mut dyn Write,
        stderr: &mut err as &mut dyn Write,
        hooks: Hooks { embedded: Some(Arc::clone(cloud)), ..hooks },
    });
    (exit, String::from_utf8_lossy(&[out, err].concat()).into_owned())
}

fn before_launch(deed: impl Fn() + Clone + Send + Sync + 'static) -> Hooks {
    let wrap = move |inner| -> Arc<dyn Cloud> {
        Arc::new(Before { inner, deed: deed.clone(), launches: AtomicUsize::new(0) })
    };
    Hooks { cloud: Some(Box::new(wrap)), ..Hooks::default() }
}

/// It sleeps between the commit that says "sent" and the moment at which the bytes leave, past its lease and past its
/// signature. Another one takes over, waits, and does the work. Then it wakes up.
#[test]
fn who_sleeps_past_the_window_is_refused_and_writes_nothing() {
    let ground = Ground::new();
    let asleep = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        let clock = ground.clock();
        let sleeper = {
            let (clock, signal, ground) = (Arc::clone(&clock), Arc::clone(&asleep), &ground);
            scope.spawn(move || {
                let own = Arc::clone(&clock);
                let hooks = before_launch(move || {
                    own.stop();
                    signal.store(1, Ordering::SeqCst);
                });
                ground.run("ada", "apply --auto-approve", clock, hooks)
            })
        };
        ground.wait_for(|| asleep.load(Ordering::SeqCst) == 1);
        let (exit, text) =
            ground.run("grace", "apply --auto-approve --lock-timeout 20m", ground.clock(), Hooks::default());
        assert_eq!(exit, Exit::Done, "{text}");
        says(&text, "Waiting for the lock for up to 20 min: ada on adas-machine");
        assert_eq!(ground.instances(), 3, "{text}");
        assert!(!ground.launches().is_empty());
        let before = (ground.launches().len(), ground.written());

        clock.go_on();
        let (exit, text) = sleeper.join().expect("no panic");
        assert_eq!(exit, Exit::Locked, "{text}");
        says(&text, "the lock was taken over");
        // What it had noted as sent was signed before it fell asleep, one launch for each zone; nothing else comes.
        let late = ground.launches().split_off(before.0);
        assert!((1..=2).contains(&late.len()), "{late:?}");
        assert!(late.iter().all(|code| code.as_deref() == Some("AuthFailure.SignatureExpire")), "{late:?}");
        assert!(ground.written() == before.1, "nothing is written");
        assert_eq!((ground.instances(), ground.lease()), (3, None));
        let plan = ground.run("grace", "plan --detailed-exitcode", ground.clock(), Hooks::default());
        assert_eq!(plan.0, Exit::Done, "{}", plan.1);
    });
}

/// A command that takes longer than a lease keeps its lock, whatever it is doing: here it stands still in a call.
#[test]
fn a_lock_is_renewed_as_long_as_it_is_held() {
    let ground = Ground::new();
    let (clock, file) = (ground.clock(), ground.file());
    let (seen, writer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let hooks = {
        let seen = Arc::clone(&seen);
        before_launch(move || {
            let mut store = SqliteStore::open_read_only(&file).expect("a state").expect("a state");
            for n in 0..6 {
                let lease = store.lease().expect("read").expect("a lock");
                seen.lock().expect("no panic").push((clock.now_ms(), lease));
                if n == 2 {
                    // Somebody else writes for a while: that is no reason to give anything up.
                    let other = rusqlite::Connection::open(&file).expect("a state");
                    other.execute_batch("BEGIN IMMEDIATE").expect("a lock of the file");
                    *writer.lock().expect("no panic") = Some(other);
                }
                clock.wait_until(clock.now_ms() + WINDOW_MS / 3);
                drop(writer.lock().expect("no panic").take());
            }
        })
    };
    let (exit, text) = ground.run("ada", "apply --auto-approve", ground.clock(), hooks);
    // The request was signed too long ago, and is made again.
    assert_eq!((exit, ground.instances()), (Exit::Done, 3), "{text}");
    let seen = seen.lock().expect("no panic");
    let (first, last) = (seen.first().expect("a look"), seen.last().expect("a look"));
    assert_eq!(first.1.fence, last.1.fence);
    assert!(last.0 > first.1.until_ms, "it was held past its first lease");
    assert!(seen.iter().all(|(now, lease)| lease.until_ms > *now), "{seen:?}");
    assert_eq!(ground.lease(), None, "and given back");
}

/// Somebody breaks the lock while its holder waits for an answer: the holder notices by its heartbeat, stops, and does not
/// make the lock again.
#[test]
fn a_lock_that_was_broken_is_not_made_again() {
    let ground = Ground::new();
    let file = ground.file();
    let clock = ground.clock();
    let hooks = before_launch(move || {
        let mut store = SqliteStore::open(&file).expect("a state").expect("a state");
        let fence = store.lease().expect("read").expect("a lock").fence;
        assert!(store.force_unlock(fence).expect("broken"));
        clock.wait_until(clock.now_ms() + WINDOW_MS / 2);
        assert_eq!(store.lease().expect("read"), None);
    });
    let (exit, text) = ground.run("ada", "apply --auto-approve", ground.clock(), hooks);
    assert_eq!(exit, Exit::Locked, "{text}");
    says(&text, "the lock was taken over");
    assert_eq!(ground.lease(), None);
    // What was under way is settled by whoever comes next.
    let (exit, text) = ground.run("grace", "apply --auto-approve", ground.clock(), Hooks::default());
    assert_eq!((exit, ground.instances()), (Exit::Done, 3), "{text}");
}
