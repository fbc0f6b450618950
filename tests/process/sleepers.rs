//! A process that is stopped while it holds the lock, and goes on when another one has taken it over.

use fleetwright::store::OpState;
use rustix::process::Signal;

use crate::place::{Place, Running, Wish, pause};
use crate::terminal::Terminal;

const APPLY: &str = "apply --auto-approve";
/// At an unlucky moment a request is just on its way. Then it is tried again.
const MOST_TRIES: usize = 200;

/// Stops a process while the journal has something open, and no request is on its way: such a one would have to be waited
/// for until its signature is too old.
fn stop_between_requests(place: &Place, running: &Running) {
    for _ in 0..MOST_TRIES {
        running.signal(Signal::STOP);
        // A signal takes a moment to stop all threads.
        pause(20);
        let open = place.stored().map(|stored| stored.open).unwrap_or_default();
        if !open.is_empty() && open.iter().all(|op| op.state == OpState::Accepted) {
            return;
        }
        running.signal(Signal::CONT);
        pause(20);
    }
    panic!("there is always a request on its way: {}", running.said());
}

#[test]
fn who_wakes_up_after_a_takeover_writes_and_sends_nothing() {
    let wish = Wish::new("quick");
    let place = Place::new(&wish);
    let mut sleeper = place.start(APPLY);
    assert!(sleeper.until(|said| said.contains("RunInstances in ap-guangzhou")));
    stop_between_requests(&place, &sleeper);

    // It is there, and so it is not taken for dead.
    place.ask_for(&Wish { latency: "instant", count: 2, ..wish });
    let refused = place.expect(APPLY, 4);
    assert!(refused.contains(&format!("(process {}) holds the lock", sleeper.child.id())), "{refused}");
    let broken = place.expect("force-unlock --auto-approve", 0);
    assert!(broken.contains("is broken"), "{broken}");
    place.expect(APPLY, 0);
    assert_eq!(place.wrong(false), Vec::<String>::new());
    let (journal, names) = (place.journal(), place.names());
    let serial = place.stored().expect("a state").recorded.serial;

    sleeper.signal(Signal::CONT);
    assert_eq!(sleeper.end().code(), Some(4), "{}", sleeper.said());
    assert!(sleeper.said().contains("the lock was taken over"), "{}", sleeper.said());
    assert_eq!((place.journal(), place.names()), (journal, names));
    assert_eq!(place.stored().expect("a state").recorded.serial, serial);
    assert_eq!(place.wrong(false), Vec::<String>::new());
}

/// Somebody is asked, goes for lunch, and answers when the lock is no longer theirs.
#[test]
fn an_answer_that_comes_too_late_does_nothing() {
    let wish = Wish::new("instant");
    let place = Place::new(&wish);
    place.expect(APPLY, 0);
    place.ask_for(&Wish { count: 5, ..wish.clone() });
    let mut asked = Terminal::start(&place, "apply");
    asked.until("type `yes`: ");
    place.expect("force-unlock --auto-approve", 0);
    place.ask_for(&Wish { count: 4, ..wish });
    place.expect(APPLY, 0);
    let (journal, names) = (place.journal(), place.names());
    asked.type_in("yes\n");
    assert_eq!(asked.end(), Some(4), "{}", asked.shown());
    assert!(asked.shown().contains("error[fenced]"), "{}", asked.shown());
    assert_eq!((place.journal(), place.names()), (journal, names));
    assert_eq!(place.wrong(false), Vec::<String>::new());
}
