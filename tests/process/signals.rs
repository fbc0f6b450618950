//! Somebody wants it to stop: by signals, once and twice, by closing the terminal, or by going away.

use std::process::Stdio;
use std::thread;

use fleetwright::store::{OpState, SqliteStore};
use rustix::process::Signal;

use crate::place::{Place, Wish, pause, said};
use crate::terminal::Terminal;

const APPLY: &str = "apply --auto-approve";
const LAUNCH: &str = "RunInstances in ap-guangzhou";
const QUESTION: &str = "type `yes`: ";

/// A place in which all was applied, and one more is wanted; so that there is a state, whose lock is taken.
fn settled() -> Place {
    let wish = Wish::new("instant");
    let place = Place::new(&wish);
    place.expect(APPLY, 0);
    place.ask_for(&Wish { count: 4, ..wish });
    place
}

/// What is left is done at once, and all is right.
fn goes_on(place: &Place) {
    place.ask_for(&Wish::new("instant"));
    place.expect(APPLY, 0);
    assert_eq!(place.wrong(false), Vec::<String>::new());
}

fn lock_is_free(place: &Place) -> bool {
    let store = SqliteStore::open_read_only(&place.state_file()).expect("a state");
    store.is_none_or(|mut store| store.lease().expect("the lock").is_none())
}

fn no_trace(text: &str) {
    for word in ["panick", "Broken pipe", "os error", "failed inside", "stack backtrace"] {
        assert!(!text.contains(word), "{text}");
    }
}

/// Under way is the builder; nothing else is begun, and what was sent is in the journal with its answer.
#[test]
fn once_it_starts_nothing_new_and_ends() {
    thread::scope(|scope| {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            scope.spawn(move || {
                let place = Place::new(&Wish::new("quick"));
                let mut running = place.start(APPLY);
                assert!(running.until(|said| said.contains(LAUNCH)));
                running.signal(signal);
                assert_eq!(running.end().code(), Some(130), "{signal:?}: {}", running.said());
                no_trace(&running.said());
                let stored = place.stored().expect("a state");
                assert!(stored.open.iter().all(|op| op.state == OpState::Accepted), "{:#?}", stored.open);
                assert_eq!(place.names().len(), 1, "only the builder was begun");
                assert!(lock_is_free(&place), "{signal:?}");
                goes_on(&place);
            });
        }
    });
}

#[test]
fn twice_it_ends_at_once() {
    thread::scope(|scope| {
        for (first, second) in [(Signal::INT, Signal::INT), (Signal::TERM, Signal::INT), (Signal::INT, Signal::HUP)] {
            scope.spawn(move || {
                let place = Place::new(&Wish::new("quick"));
                let mut running = place.start(APPLY);
                assert!(running.until(|said| said.contains(LAUNCH)));
                running.signal(first);
                // Two signals of one kind that come at once are one.
                pause(20);
                running.signal(second);
                assert_eq!(running.end().code(), Some(130), "{}", running.said());
                no_trace(&running.said());
                goes_on(&place);
            });
        }
    });
}

/// At any moment, not only where it is waited for.
#[test]
fn signals_come_at_any_moment() {
    thread::scope(|scope| {
        for n in 0..12 {
            scope.spawn(move || {
                let place = settled();
                let mut running = place.start(APPLY);
                pause(n * 7);
                running.signal(Signal::INT);
                let code = running.end().code();
                // In the first moments, before it has begun with anything, the signal itself ends it.
                assert!(matches!(code, None | Some(0 | 130)), "{code:?} after {} ms: {}", n * 7, running.said());
                no_trace(&running.said());
                assert!(lock_is_free(&place));
                goes_on(&place);
            });
        }
    });
}

/// Whoever reads goes away, before the first line or in the middle: what was asked for is done all the same.
#[test]
fn a_reader_that_goes_away_disturbs_nothing() {
    for args in [APPLY, "apply --auto-approve --json"] {
        let place = settled();
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().expect("its end").code(), Some(0), "{args}");
        assert_eq!(place.wrong(false), Vec::<String>::new());
    }
    let place = settled();
    for args in ["plan", "plan --json", "show", "state list -v", "history", "explain", "cloud inspect"] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(0), "{args}: {}", said(&output));
        assert_eq!(said(&output), "", "{args}");
    }
}

/// Ctrl-C at the question, the end of the input, and a window that is closed: nothing is written, and the lock is free.
#[test]
fn nothing_happens_without_an_answer() {
    for (keys, code) in [("\u{3}", 130), ("\u{4}", 1), ("no\n", 1), ("", 130)] {
        let place = settled();
        let (journal, names) = (place.journal(), place.names());
        let mut terminal = Terminal::start(&place, "apply");
        terminal.until(QUESTION);
        assert!(!lock_is_free(&place), "it is planned and asked under the lock");
        if keys.is_empty() {
            terminal.close();
        } else {
            terminal.type_in(keys);
        }
        let end = terminal.end();
        // Of a window that is closed come a signal and the end of the input, in any order.
        let ended = end == Some(code) || keys.is_empty() && end == Some(1);
        assert!(ended, "{keys:?}: {end:?}\n{}", terminal.shown());
        no_trace(&terminal.shown());
        assert_eq!((place.journal(), place.names()), (journal, names), "{keys:?}");
        assert!(lock_is_free(&place), "{keys:?}");
        if code == 130 && !keys.is_empty() {
            assert!(terminal.shown().contains("interrupted before the plan was approved"), "{}", terminal.shown());
        }
    }
    // Nothing is made where nothing was.
    let place = Place::new(&Wish::new("instant"));
    let mut terminal = Terminal::start(&place, "apply");
    terminal.until(QUESTION);
    terminal.type_in("\u{3}");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.shown());
    assert!(!place.dir().join("state").exists());
}

#[test]
fn other_questions_can_be_interrupted_too() {
    let place = settled();
    let before = place.journal();
    for command in ["destroy", "state rm fleet.web[0]", "cloud reset", "apply --destroy"] {
        let mut terminal = Terminal::start(&place, command);
        terminal.until("type `yes`");
        terminal.type_in("\u{3}");
        assert_eq!(terminal.end(), Some(130), "{command}: {}", terminal.shown());
        no_trace(&terminal.shown());
        assert!(lock_is_free(&place), "{command}");
    }
    assert_eq!(place.journal(), before);
    assert_eq!(place.faults(), Vec::<String>::new());
}

/// On a terminal, while it works.
#[test]
fn at_work_on_a_terminal() {
    for closed in [false, true] {
        let place = Place::new(&Wish::new("quick"));
        let mut terminal = Terminal::start(&place, "apply");
        terminal.until(QUESTION);
        terminal.type_in("yes\n");
        terminal.until(LAUNCH);
        if closed {
            terminal.close();
        } else {
            terminal.type_in("\u{3}");
        }
        assert_eq!(terminal.end(), Some(130), "{}", terminal.shown());
        no_trace(&terminal.shown());
        assert!(lock_is_free(&place));
        goes_on(&place);
    }
}

/// What only looks has nothing to finish: it ends at once. What waits for the lock says why it ends.
#[test]
fn what_has_not_begun_ends_at_once() {
    let place = settled();
    let mut holder = Terminal::start(&place, "apply");
    holder.until(QUESTION);
    let mut waiting = place.start("apply --auto-approve --lock-timeout 10m");
    assert!(waiting.until(|said| said.contains("Waiting for the lock for up to 10 min")));
    waiting.signal(Signal::INT);
    assert_eq!(waiting.end().code(), Some(130));
    assert!(waiting.said().contains("interrupted while waiting for the lock"), "{}", waiting.said());
    assert!(!lock_is_free(&place), "it is still the other one's");
    holder.type_in("yes\n");
    assert_eq!(holder.end(), Some(0), "{}", holder.shown());
    assert_eq!(place.wrong(false), Vec::<String>::new());
}
