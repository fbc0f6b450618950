//! The verbs: the only place where config, plan, apply, cloud and store meet. Nothing here prints, and nothing here
//! reads the environment: whoever calls says where and when it is.

mod apply;
mod asked;
mod carry;
mod connect;
mod doctor;
mod git;
mod heartbeat;
mod history;
mod hook;
mod images;
mod init;
mod load;
mod lock;
mod lockfile;
mod observe;
mod orphans;
pub mod permissions;
mod plan;
mod planfile;
mod preflight;
mod prices;
mod probe;
mod prober;
mod promotions;
mod reach;
mod rollout;
mod rollout_told;
mod secrets;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use apply::{Applied, ApplyOptions, Approval, Watcher, apply};
pub use asked::{asked, scope};
pub use connect::{cloud_file, open_embedded, open_problem, open_problem_of};
pub use doctor::{Examined, Finding, Verdict, doctor};
pub use history::{Prune, RunNumber, RunWhole, history, measured, prune, run, stays_from};
pub use images::{Images, images};
pub use init::{Started, init};
pub use load::{Config, expect_dir, validate};
pub use lock::{Waiter, break_lock, lease};
pub use orphans::{Adopting, Looked, TakingIn, adopt, claims, look_for_orphans};
pub use plan::{PlanOptions, Planned, plan};
pub use planfile::{apply_command, apply_file, read_plan, write_plan};
pub use preflight::preflight;
pub use reach::Reach;
pub use rollout::{Heard, Say, Saying, say};
pub use rollout_told::{RolloutTold, rollouts};
pub use state::{Forgetting, Thing, forget, recorded, recorded_at, things};

use crate::apply::driver::{StopFlag, Travel};
use crate::apply::engine::{HookCall, Probe};
use crate::cloud::Cloud;
use crate::cloud::clock::Clock;
use crate::cloud::cvm::transport::Transport;
use crate::cloud::embedded::Embedded;
use crate::diagnostic::{Diagnostic, SourceMap, is_unseen, visible};
use crate::model::Millis;
use crate::model::ids::Name;
use crate::store::{Holder, Store};

/// Where a command works, and with what.
pub struct Site {
    /// The config's directory.
    pub dir: PathBuf,
    /// The directory as the user named it.
    pub shown: String,
    /// The environment: which state.
    pub env: Name,
    /// The clock that everything here goes by.
    pub clock: Arc<dyn Clock>,
    /// Fresh random bytes.
    pub entropy: Box<dyn Fn() -> [u8; 32]>,
    /// Who this is.
    pub holder: Holder,
    /// Whether a process of this machine is gone.
    pub is_dead: Box<dyn Fn(&Holder) -> bool>,
    /// A wish to stop.
    pub stop: Arc<StopFlag>,
    /// How long a lock is waited for that somebody else holds.
    pub lock_timeout_ms: Millis,
    /// How many calls are made at once.
    pub parallelism: usize,
    /// How the real cloud is reached.
    pub reach: Reach,
    /// What tests put in between.
    pub hooks: Hooks,
}

/// Puts something between the program and its cloud.
pub type WrapCloud = dyn Fn(Arc<dyn Cloud>) -> Arc<dyn Cloud>;
/// Puts something between the client and the way to its cloud.
pub type WrapTransport = dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport>;
/// Puts something between the program and its state.
pub type WrapStore = dyn Fn(Box<dyn Store>) -> Box<dyn Store>;

/// Answers for an instance, at a time, or leaves it to itself.
pub type FakeProbe = dyn Fn(Millis, &Probe) -> Option<Result<(), String>> + Send + Sync;
/// Runs in place of a hook.
pub type FakeHook = dyn Fn(&HookCall) -> Result<(), String> + Send + Sync;

/// What tests put between the program and the world; empty in the binary.
#[derive(Default)]
pub struct Hooks {
    /// An embedded cloud that is open already.
    pub embedded: Option<Arc<Embedded>>,
    /// Around every cloud.
    pub cloud: Option<Box<WrapCloud>>,
    /// Around every way to a cloud: whatever is sent goes through it, signed.
    pub transport: Option<Box<WrapTransport>>,
    /// Around every state that is written.
    pub store: Option<Box<WrapStore>>,
    /// How long calls of an apply are under way, in virtual time.
    pub travel: Option<Box<Travel>>,
    /// The most pages that the file of a state may have: a disk that is full.
    pub most_pages: Option<u32>,
    /// What instances answer, in place of them; `None`: what they do answer.
    pub probe: Option<Arc<FakeProbe>>,
    /// What is run in place of hooks.
    pub hook: Option<Arc<FakeHook>>,
    /// How long a lock holds without being renewed, where that is not what it is otherwise.
    pub lease_ms: Option<Millis>,
}

/// How long a lock holds without being renewed.
const LEASE_MS: Millis = 300_000;

impl Site {
    /// How long a lock holds without being renewed.
    pub(crate) fn lease_ms(&self) -> Millis {
        self.hooks.lease_ms.unwrap_or(LEASE_MS)
    }

    /// The file of this environment's state.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.dir.join("state").join(format!("{}.db", self.env))
    }

    /// A command as it is typed to work in the same place.
    #[must_use]
    pub fn command(&self, verb: &str) -> String {
        let chdir = if self.shown == "." { String::new() } else { format!(" -C {}", path_word(&self.shown)) };
        let env = if self.env.as_str() == "default" { String::new() } else { format!(" -e {}", self.env) };
        format!("fleetwright{chdir}{env} {verb}")
    }

    /// A file as the user would name it, as a terminal may show it.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.dir).unwrap_or(path);
        let shown = if self.shown == "." { inside.to_owned() } else { Path::new(&self.shown).join(inside) };
        visible(&shown.display().to_string())
    }
}

/// A text as one word of a shell's command line.
#[must_use]
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if text.chars().any(is_unseen) {
        let mut word = String::from("$'");
        for c in text.chars() {
            match c {
                '\'' | '\\' => word.extend(['\\', c]),
                c if is_unseen(c) => {
                    let mut bytes = [0; 4];
                    word.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\x{byte:02x}")));
                }
                c => word.push(c),
            }
        }
        word + "'"
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A path as one word of a shell's command line, where it cannot be taken for an option.
#[must_use]
pub fn path_word(text: &str) -> String {
    if text.starts_with('-') { word(&format!("./{text}")) } else { word(text) }
}

/// What went wrong, and the files that it points into.
#[derive(Debug)]
pub struct Problem {
    /// All that is wrong, warnings and notes among it.
    pub diagnostics: Vec<Diagnostic>,
    /// The config's files.
    pub sources: SourceMap,
}

impl Problem {
    fn of(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic], sources: SourceMap::default() }
    }
}
