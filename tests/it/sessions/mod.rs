//! Sessions at a terminal, as a person sees them: what is typed and what comes back, at 80 and 120 columns, with and
//! without colour. `tests/sessions/NAME/` has the config that a session starts from; `tests/sessions/NAME.*.txt` is what
//! stands on the screen, written anew with `UPDATE_GOLDENS=1` and read by a person whenever it changes.

mod stories;
pub(crate) mod terminal;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use fleetwright::cli::{Exit, Terminals};
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::Instance;
use fleetwright::ops::Hooks;

use crate::by_hand::fields::{How, still};
use crate::rig::{Rig, Streams};
use terminal::{Keys, Onto, Terminal, without_colour};

const ALL: Terminals = Terminals { stdin: true, stdout: true, stderr: true };

/// A world, and a terminal before which somebody sits.
struct Session {
    rig: Rig,
    terminal: Rc<RefCell<Terminal>>,
    env: BTreeMap<String, String>,
    /// What the cloud tells of one instance, in a way that the embedded cloud has no request for.
    told: Cell<Option<fn(&mut Instance)>>,
}

impl Session {
    /// A world with the files of `tests/sessions/NAME/`, and a cloud that takes as long as the real one.
    fn new(name: &str, width: usize, colour: bool) -> Self {
        let mut files: Vec<(String, String)> = std::fs::read_dir(folder().join(name))
            .expect("the session's files")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let text = std::fs::read_to_string(entry.path()).expect("a file");
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        files.sort();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let settings = Settings { log: true, ..Settings::new(Latency::Realistic, Limits::EMBEDDED, 7) };
        let mut rig = Rig::with(&files, settings);
        rig.width = width;
        let switch = (!colour).then(|| ("NO_COLOR".to_owned(), "1".to_owned()));
        Self {
            rig,
            terminal: Rc::new(RefCell::new(Terminal::new(width))),
            env: switch.into_iter().collect(),
            told: Cell::default(),
        }
    }

    /// A line that tells what happened between two commands.
    fn tell(&self, what: &str) {
        self.terminal.borrow_mut().write(&format!("# {what}\n"));
    }

    /// A command, and what stands there when it is over.
    #[track_caller]
    fn enter(&self, args: &str, exit: Exit) {
        self.enter_and(args, "", exit);
    }

    /// The same, with a line that is typed when the command asks.
    #[track_caller]
    fn enter_and(&self, args: &str, typed: &str, exit: Exit) {
        self.terminal.borrow_mut().write(&format!("$ fleetwright {args}\n"));
        let mut keys = Keys { typed: typed.as_bytes(), terminal: Rc::clone(&self.terminal) };
        let (mut out, mut err) = (Onto(Rc::clone(&self.terminal)), Onto(Rc::clone(&self.terminal)));
        let streams = Streams { stdin: &mut keys, stdout: &mut out, stderr: &mut err };
        let hooks = self.told.get().map_or_else(Hooks::default, |told| still(&How::Tells(told)));
        let ended = self.rig.run_at(args, hooks, self.env.clone(), streams, ALL);
        assert_eq!(ended, exit, "{}", self.terminal.borrow().text());
        let mut terminal = self.terminal.borrow_mut();
        let feet = terminal.feet();
        let fullest = feet.iter().rev().max_by_key(|rows| rows.len());
        for (when, foot) in [("at its fullest", fullest), ("at last", feet.last())] {
            let Some(foot) = foot else { continue };
            terminal.write(&format!("# Meanwhile at the foot, {when}:\n"));
            for row in foot {
                terminal.write(&format!("{}\n", row.replace('␛', "\u{1b}")));
            }
        }
        terminal.write("\n");
    }

    /// Everything is applied, long before somebody sits down.
    #[track_caller]
    fn settle(&self) {
        self.rig.settle();
        self.rig.wait_ms(3_600_000);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions")
}

/// Plays a session on each terminal, and compares what stands there with the goldens.
#[track_caller]
fn play(name: &str, story: fn(&Session)) {
    for width in [80, 120] {
        let [plain, coloured] = [false, true].map(|colour| {
            let session = Session::new(name, width, colour);
            story(&session);
            let terminal = session.terminal.borrow();
            let text = terminal.text();
            assert_eq!(terminal.wrapped(), [""; 0], "rows that are too long, in\n{text}");
            golden(&format!("{name}.{width}.{}.txt", if colour { "colour" } else { "plain" }), &text);
            text
        });
        assert_eq!(without_colour(&coloured), plain, "colour changes nothing but colour");
    }
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "goldens are written anew on request")]
fn golden(name: &str, text: &str) {
    let file = folder().join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&file, text).expect("written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = expected.lines().chain([""]).zip(text.lines().chain([""])).position(|(old, new)| old != new);
    let at = |text: &str| text.lines().nth(differs.unwrap_or(0)).unwrap_or_default().to_owned();
    assert!(
        expected == text,
        "{name}, line {}: {:?} was {:?}; run with UPDATE_GOLDENS=1 where the new screen is right",
        differs.unwrap_or(0) + 1,
        at(text),
        at(&expected),
    );
}
