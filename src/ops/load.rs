//! Config and state, read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::secrets::ConfigSecrets;
use super::{Problem, Site};
use crate::cloud::Secrets;
use crate::config::{self, ConfigFiles};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::desired::Desired;
use crate::model::digest::SecretKey;
use crate::model::ids::Lineage;
use crate::model::recorded::Recorded;
use crate::store::{SqliteStore, Store, StoreFault, Stored};

/// A config that was read, with the state that belongs to it.
pub struct Config {
    /// What it asks for.
    pub desired: Desired,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Its files.
    pub sources: SourceMap,
    /// Who can read its secrets.
    pub secrets: Arc<dyn Secrets>,
}

/// Checks a config without state and cloud.
///
/// # Errors
/// All that is wrong with it.
pub fn validate(site: &Site) -> Result<Config, Problem> {
    load(site, &files(site)?, &Lineage::new("validate"))
}

/// Refuses a directory that is not there: whoever looks for a state there has named another one than was meant.
///
/// # Errors
/// It is no directory.
pub fn expect_dir(site: &Site) -> Result<(), Problem> {
    config::expect_dir(&site.dir, &site.shown).map_err(|fault| Problem::of(*fault))
}

/// The config's files. They are read before the state is looked for: where there is no config, there is nothing to do.
pub(super) fn files(site: &Site) -> Result<ConfigFiles<'static>, Problem> {
    config::read_dir(&site.dir, &site.shown).map_err(|fault| Problem::of(*fault))
}

/// Reads the config. Secrets are digested under the state's lineage.
pub(super) fn load(site: &Site, files: &ConfigFiles<'_>, lineage: &Lineage) -> Result<Config, Problem> {
    let key = SecretKey::of(lineage);
    let config::Loaded { desired, diagnostics, sources, secret_texts } = config::load(files, &site.env, &key);
    let Some(desired) = desired else { return Err(Problem { diagnostics, sources }) };
    let texts: BTreeMap<String, Vec<u8>> = secret_texts;
    let secrets = Arc::new(ConfigSecrets { dir: site.dir.clone(), texts, key });
    Ok(Config { desired, warnings: diagnostics, sources, secrets })
}

/// Reads the state without writing to it; a fresh one where there is none.
pub(super) fn state(site: &Site) -> Result<Stored, Problem> {
    let store = SqliteStore::open_read_only(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    match store {
        Some(mut store) => store.load().map_err(|fault| store_problem(site, &fault)),
        None => {
            let bytes = (site.entropy)();
            let lineage: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            Ok(fresh(Lineage::new(lineage)))
        }
    }
}

/// For messages about a state that is not there.
pub(super) fn no_lineage() -> Lineage {
    Lineage::new("none")
}

/// A state that was never written.
pub(super) fn fresh(lineage: Lineage) -> Stored {
    Stored {
        recorded: Recorded::empty(lineage),
        open: Vec::new(),
        next_op: crate::model::recorded::OpId(1),
        ids_ever: std::collections::BTreeSet::new(),
        displaced: Vec::new(),
        taught: Vec::new(),
    }
}

/// What a fault of the store means to a person.
pub(super) fn store_problem(site: &Site, fault: &StoreFault) -> Problem {
    store_problem_at(site, &site.state_file(), fault)
}

/// The same of another state than ours.
pub(super) fn store_problem_at(site: &Site, path: &Path, fault: &StoreFault) -> Problem {
    let file = site.show(path);
    // The fault names the file as the system does; people are told where it is from where they are.
    let text = fault.to_string().replace(&path.display().to_string(), &file);
    Problem::of(match fault {
        StoreFault::Locked(lease) => Diagnostic::error(codes::LOCKED, text)
            .why(format!(
                "the state {file} is changed by one run at a time; its lease ends {}",
                when(site, lease.until_ms)
            ))
            .help(
                "wait until that run is over, with `--lock-timeout 10m` for example; a lease that has ended is taken over \
                 by itself, and where you know that the run is dead, `fleetwright force-unlock` breaks the lock",
            ),
        StoreFault::Fenced => Diagnostic::error(codes::FENCED, text)
            .help("see what that run did with `fleetwright show`, then apply again"),
        StoreFault::Newer { .. } => Diagnostic::error(codes::NEWER_STATE, text)
            .help("use the version of fleetwright that wrote it, or a newer one"),
        StoreFault::NotAState(_) => Diagnostic::error(codes::NOT_A_STATE, text)
            .help(format!("move {file} away, or choose another environment with -e NAME")),
        StoreFault::Empty(_) => Diagnostic::error(codes::NOT_A_STATE, text)
            .why("it is made whole or not at all: what was in it is lost, and what it knew is still in the cloud")
            .help(format!("restore {file} from a backup; only where nothing was ever applied here, delete it")),
        StoreFault::Damaged(..) => Diagnostic::error(codes::STORE, text)
            .why("without it, nothing tells what in the cloud is ours")
            .help(format!("restore {file} from a backup, and see whether its disk is sound")),
        StoreFault::Full(_) => {
            Diagnostic::error(codes::STORE, text).help("make room, then apply again: it goes on from here")
        }
        StoreFault::ReadOnly(_) => Diagnostic::error(codes::STORE, text)
            .why("nothing is done that the state does not know of; nothing was changed")
            .help(format!("check the owner and the permissions of {file} and of the directory that it is in")),
        StoreFault::Unreadable(..) => Diagnostic::error(codes::STORE, text)
            .why("without it, nothing tells what in the cloud is ours")
            .help(format!("check the owner and the permissions of {file} and of the directories above it")),
        StoreFault::Io(_) => Diagnostic::error(codes::STORE, text)
            .help(format!("see what {file} and the directories above it are, and whether their disk is sound")),
    })
}

fn when(site: &Site, ms: crate::model::Millis) -> String {
    let left_s = (ms - site.clock.now_ms()) / 1000;
    if left_s > 0 { format!("in {left_s} s") } else { "now".into() }
}
