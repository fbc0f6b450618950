//! What every story plays on: a world, the line to it, whoever looks on, and what is told of it all.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright::store::{SqliteStore, Store};

use super::watch::Watch;
use crate::crash::wire::Wire;
use crate::crash::world::{holds, state};
use crate::rig::{OWNER, Ran, Rig};

/// What was wrong, and all that was done before.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) why: String,
    pub(crate) story: String,
}

/// Whoever hears each line of a story at once.
pub(crate) type Hears = fn(&str);

/// Whoever tells a story.
pub(crate) trait Teller {
    /// What a story held.
    type Cover;

    /// Tells it to its end.
    fn all(&mut self) -> Result<(), String>;

    /// What it held, and all of its lines.
    fn told(self) -> (Self::Cover, String);
}

/// Tells a story to its end; a panic is something wrong like any other.
pub(crate) fn tell<T: Teller>(mut teller: T) -> Result<T::Cover, Box<Wrong>> {
    let result = catch_unwind(AssertUnwindSafe(|| teller.all()));
    let (cover, story) = teller.told();
    let why = match result {
        Ok(Ok(())) => return Ok(cover),
        Ok(Err(why)) => why,
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&str>().map_or_else(|_| "a panic".to_owned(), |text| (*text).to_owned()),
        },
    };
    Err(Box::new(Wrong { why, story }))
}

/// What must be told nowhere: the key, and what a script holds, as it is and as it is sent.
pub(crate) fn secrets(boot: &str) -> Vec<String> {
    let encoded = STANDARD.encode(boot);
    vec!["embedded-secret-".into(), "the-secret-number".into(), encoded.chars().take(40).collect()]
}

/// A world, and the line to it.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    pub(crate) wire: Arc<Wire>,
    pub(crate) watch: Watch,
    /// Whether requests may outlive the process that made them.
    pub(crate) remote: bool,
    story: String,
    on_the_way: Hears,
}

impl Stage {
    pub(crate) fn new(rig: Rig, watch: Watch, remote: bool, on_the_way: Hears) -> Self {
        // Calls overtake each other here, and holders sleep.
        rig.seen.may_be_late();
        let wire = Wire::new(None);
        wire.remember();
        wire.watch(Some(watch.looks_on()));
        Self { rig, wire, watch, remote, story: String::new(), on_the_way }
    }

    /// All that was said.
    pub(crate) fn story(self) -> String {
        self.story
    }

    pub(crate) fn say(&mut self, line: &str) {
        (self.on_the_way)(line);
        writeln!(self.story, "{line}").expect("a string");
    }

    /// What a command said is heard on the way, and not kept.
    pub(crate) fn overhear(&self, ran: &Ran) {
        (self.on_the_way)(&format!("{}{}", ran.err, ran.out));
    }

    /// Whether somebody took the lock over. Then nothing was written since, and the lock is given back.
    pub(crate) fn stolen(&self) -> Result<bool, String> {
        let Some(thief) = self.wire.thief() else { return Ok(false) };
        let (fence, then) = thief.took;
        let mut store = SqliteStore::open(&thief.file).map_err(|fault| fault.to_string())?.ok_or("no state")?;
        if store.load().map_err(|fault| fault.to_string())? != then {
            return Err("whoever lost the lock has written to the state".into());
        }
        store.unlock(fence).map_err(|fault| fault.to_string())?;
        Ok(true)
    }

    /// How many pages the file of the state has.
    pub(crate) fn pages(&self) -> u32 {
        let file = self.rig.dir().join("state").join("default.db");
        let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
        u32::try_from(bytes / 4096).expect("small")
    }

    pub(crate) fn unbroken(&self) -> Result<(), String> {
        let broken = self.watch.broken();
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }

    /// What is said holds no secret, and does not contradict itself.
    pub(crate) fn quiet(&self, ran: &Ran, secrets: &[String]) -> Result<(), String> {
        for secret in secrets {
            if holds(ran.out.as_bytes(), secret) || holds(ran.err.as_bytes(), secret) {
                return Err(format!("{secret:?} is said:\n{}{}", ran.out, ran.err));
            }
        }
        if ran.err.contains("self-check") {
            return Err(format!("the second opinion differs:\n{}{}", ran.out, ran.err));
        }
        Ok(())
    }

    /// What the state has as failed, the cloud does not have as well: one of a batch fails by itself.
    pub(crate) fn truly_failed(&self) -> Result<(), String> {
        if !self.rig.dir().join("state").join("default.db").exists() {
            return Ok(());
        }
        let state = state(&self.rig);
        let holdings = self.rig.holdings();
        let rows = state["objects"].as_array().into_iter().flatten().filter(|row| row["status"] == "failed");
        for row in rows {
            let word = |key: &str| row[key].as_str().unwrap_or_default();
            let Some(held) = holdings.of(OWNER, word("region")) else { continue };
            let runs = held.instances.get(word("id")).is_some_and(|one| one.state == "RUNNING");
            let normal = held.images.get(word("id")).is_some_and(|image| image.state == "NORMAL");
            if runs || normal {
                return Err(format!("{} is failed in the state, and {} is well", word("address"), word("id")));
            }
        }
        Ok(())
    }
}
