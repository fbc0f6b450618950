//! Asking instances whether they are well, and running hooks, by threads of their own: a slow machine must not hold up the
//! calls, nor the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::engine::{Event, HookCall, HookId, Probe, ProbeId};
use crate::cloud::clock::Clock;
use crate::model::Millis;

/// Who asks instances whether they are well, and runs what the user wants to be run.
///
/// # Guarantees
/// - A probe ends within its time-out, and a hook within its own, soon after at the latest.
/// - A hook that is called off is ended, with what it started as far as the system lets one.
///
/// # Errors
/// A clause that says what happened in place of what should: `http 500 in place of 200`.
pub trait Prober: Send + Sync {
    /// Asks an instance, at this local time.
    ///
    /// # Errors
    /// It did not answer as it should.
    fn probe(&self, now: Millis, probe: &Probe) -> Result<(), String>;

    /// Runs a hook to its end.
    ///
    /// # Errors
    /// It failed, took too long, or was called off.
    fn hook(&self, call: &HookCall, called_off: &AtomicBool) -> Result<(), String>;
}

/// The most instances that are asked at the same moment. Each may take as long as its time-out.
const MOST_ASKED: usize = 64;

type Question = (ProbeId, Probe);

/// Threads that ask instances and run hooks. There are none until there is something to ask; and at the end nobody waits
/// for an instance, but hooks that still run are ended.
pub(super) struct Asking {
    prober: Arc<dyn Prober>,
    clock: Arc<dyn Clock>,
    events: Sender<Event>,
    questions: Sender<Question>,
    queue: Arc<Mutex<Receiver<Question>>>,
    threads: usize,
    /// Questions without an answer.
    open: Arc<AtomicUsize>,
    hooks: Vec<JoinHandle<()>>,
    called_off: Arc<AtomicBool>,
}

impl Asking {
    pub(super) fn new(prober: Arc<dyn Prober>, clock: Arc<dyn Clock>, events: Sender<Event>) -> Self {
        let (questions, queue) = channel();
        Self {
            prober,
            clock,
            events,
            questions,
            queue: Arc::new(Mutex::new(queue)),
            threads: 0,
            open: Arc::default(),
            hooks: Vec::new(),
            called_off: Arc::default(),
        }
    }

    pub(super) fn probe(&mut self, id: ProbeId, probe: Probe) {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        if self.threads < open.min(MOST_ASKED) {
            self.threads += 1;
            let (prober, clock, events) = (Arc::clone(&self.prober), Arc::clone(&self.clock), self.events.clone());
            let (queue, open) = (Arc::clone(&self.queue), Arc::clone(&self.open));
            std::thread::spawn(move || ask(&queue, &open, &*prober, &*clock, &events));
        }
        // The queue lives as long as this: sending cannot fail.
        drop(self.questions.send((id, probe)));
    }

    pub(super) fn hook(&mut self, id: HookId, call: Box<HookCall>) {
        self.hooks.retain(|hook| !hook.is_finished());
        let (prober, events, called_off) =
            (Arc::clone(&self.prober), self.events.clone(), Arc::clone(&self.called_off));
        self.hooks.push(std::thread::spawn(move || {
            let result = sound(|| prober.hook(&call, &called_off));
            // Nobody listens any more where the run has ended.
            drop(events.send(Event::Hooked(id, result)));
        }));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.called_off.store(true, Ordering::SeqCst);
        for hook in self.hooks.drain(..) {
            // What went wrong in it was told.
            drop(hook.join());
        }
    }
}

/// A panic must not leave the engine waiting for an answer that never comes.
fn sound(ask: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err("fleetwright failed while it asked".to_owned()))
}

fn ask(
    queue: &Mutex<Receiver<Question>>,
    open: &AtomicUsize,
    prober: &dyn Prober,
    clock: &dyn Clock,
    events: &Sender<Event>,
) {
    loop {
        let question = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, probe)) = question else { return };
        let answer = sound(|| prober.probe(clock.now_ms(), &probe));
        open.fetch_sub(1, Ordering::SeqCst);
        if events.send(Event::Probed(id, answer)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::cloud::clock::VirtualClock;
    use crate::model::addr::Block;
    use crate::model::update::{Check, Hook, HookRun, Moment};

    /// Answers by the port: one panics, one is wrong, and one answers when somebody lets it.
    struct Fake {
        gate: Mutex<Receiver<()>>,
    }

    const PANICS: u16 = 1;
    const WRONG: u16 = 2;
    const HANGS: u16 = 3;

    impl Prober for Fake {
        fn probe(&self, now: Millis, probe: &Probe) -> Result<(), String> {
            assert_eq!(now, 7);
            match probe.check {
                Check::Tcp { port: PANICS } => panic!("as it is meant to"),
                Check::Tcp { port: WRONG } => Err("wrong".to_owned()),
                Check::Tcp { port: HANGS } => {
                    // It ends when nobody is left to let it.
                    _ = self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    Ok(())
                }
                Check::Tcp { .. } | Check::Http { .. } => Ok(()),
            }
        }

        fn hook(&self, call: &HookCall, called_off: &AtomicBool) -> Result<(), String> {
            while call.hook.timeout_ms > 0 && !called_off.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if call.hook.timeout_ms > 0 { Err("called off".to_owned()) } else { Ok(()) }
        }
    }

    fn probe(port: u16) -> Probe {
        Probe {
            region: "ap-guangzhou".into(),
            instance: "ins-1".into(),
            address: "10.0.0.1".into(),
            check: Check::Tcp { port },
            timeout_ms: 1,
        }
    }

    fn hook(timeout_ms: Millis) -> Box<HookCall> {
        Box::new(HookCall {
            fleet: Block::fleet(&"web".into()),
            region: "ap-guangzhou".into(),
            moment: Moment::AfterReady,
            hook: Hook { run: HookRun::Command(Vec::new()), timeout_ms },
            instances: Vec::new(),
        })
    }

    #[test]
    fn every_question_is_answered_and_nothing_is_left_running() {
        let (events, heard) = channel();
        let (open, gate) = channel();
        let prober = Arc::new(Fake { gate: Mutex::new(gate) });
        let clock = Arc::new(VirtualClock::at(7));
        let mut asking = Asking::new(prober, clock, events);
        let wait = Duration::from_secs(30);
        // More than may be asked at once, and one of them takes its time.
        asking.probe(ProbeId(0), probe(HANGS));
        for n in 1..200 {
            let port = match n % 3 {
                0 => PANICS,
                1 => WRONG,
                _ => 80,
            };
            asking.probe(ProbeId(n), probe(port));
        }
        assert!(asking.threads <= MOST_ASKED, "{}", asking.threads);
        let mut answers = BTreeMap::new();
        while answers.len() < 199 {
            let Ok(Event::Probed(id, answer)) = heard.recv_timeout(wait) else { panic!("an answer") };
            answers.insert(id.0, answer);
        }
        assert_eq!([&answers[&1], &answers[&2]], [&Err("wrong".to_owned()), &Ok(())]);
        assert_eq!(answers[&3], Err("fleetwright failed while it asked".to_owned()));
        assert!(!answers.contains_key(&0));

        asking.hook(HookId(0), hook(0));
        let Ok(Event::Hooked(HookId(0), Ok(()))) = heard.recv_timeout(wait) else { panic!("a hook that has run") };
        asking.hook(HookId(1), hook(60_000));
        // The end waits for hooks to be ended, and for no instance.
        drop(asking);
        let Ok(Event::Hooked(HookId(1), Err(why))) = heard.recv_timeout(wait) else { panic!("a hook that was ended") };
        assert_eq!(why, "called off");
        drop::<Sender<()>>(open);
    }
}
