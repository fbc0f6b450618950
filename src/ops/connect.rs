//! The way to the cloud that a config names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::prober::Machines;
use super::reach::{keys, way};
use super::{Problem, Site};
use crate::cloud::budget::{Budgets, Rates};
use crate::cloud::cvm::client::{CvmClient, Hosts};
use crate::cloud::cvm::http::Http;
use crate::cloud::cvm::sign::{Credentials, SecretText};
use crate::cloud::cvm::transport::Transport;
use crate::cloud::embedded::{self, Embedded, Loopback, OpenError, Settings};
use crate::cloud::paced::Paced;
use crate::cloud::{Cloud, SIGNATURE_WINDOW_MS, Secrets};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::desired::{CloudSpec, Latency, Provider, Tencent};
use crate::model::ids::Uin;
use crate::model::limits::{Limits, Pace};
use crate::plan::VISIBLE_MS;
use crate::store::{Record, Taught};

/// A cloud, and what is known of it beforehand.
pub(super) struct Connected {
    pub(super) cloud: Arc<dyn Cloud>,
    /// Where its instances are asked.
    pub(super) machines: Machines,
    pub(super) limits: Limits,
    pub(super) pace: Pace,
    /// How long after its signature a request may still be executed.
    pub(super) window_ms: Millis,
    /// How long the cloud may take to list what it accepted.
    pub(super) settle_ms: Millis,
    /// How many changes a second it takes; reads are paced on their way.
    pub(super) budgets: Budgets,
    /// What paces reads, where anything does.
    paced: Option<Arc<Paced>>,
}

impl Connected {
    /// What refusals of reads have taught since this was asked last.
    pub(super) fn learned(&self, account: &Uin) -> Vec<Record> {
        let learned = self.paced.iter().flat_map(|paced| paced.learned());
        learned
            .map(|(action, region, learned)| {
                Record::Budget(Taught { account: account.clone(), region, action: action.to_owned(), learned })
            })
            .collect()
    }
}

/// The host that the embedded cloud is signed for.
const EMBEDDED_HOST: &str = "cvm.embedded";

/// The file that the embedded cloud of a config is kept in.
#[must_use]
pub fn cloud_file(site: &Site) -> PathBuf {
    site.dir.join("state").join("cloud.db")
}

/// Opens the embedded cloud of a config; where it was never written and nothing is to be written, one in memory.
///
/// # Errors
/// The file is not an embedded cloud's, or cannot be used.
pub fn open_embedded(site: &Site, spec: &CloudSpec, write: bool) -> Result<Arc<Embedded>, Problem> {
    if let Some(embedded) = &site.hooks.embedded {
        return Ok(Arc::clone(embedded));
    }
    let latency = match &spec.provider {
        Provider::Embedded { latency } => *latency,
        Provider::Tencent(_) => Latency::default(),
    };
    let seed = (site.entropy)().iter().take(8).fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte));
    let settings = Settings::new(latency, Limits::EMBEDDED.with(spec.limits), seed);
    let file = cloud_file(site);
    let path = if write || std::fs::symlink_metadata(&file).is_ok() { Some(file.as_path()) } else { None };
    if let Some(dir) = file.parent().filter(|_| write) {
        std::fs::create_dir_all(dir).map_err(|error| {
            let shown = site.show(dir);
            Problem::of(
                Diagnostic::error(codes::UNWRITABLE, format!("the directory {shown} cannot be made: {error}"))
                    .why("the state is kept there, and the embedded cloud; nothing was changed")
                    .help(
                        "check the owner and the permissions of the config's directory, and whether the disk is full",
                    ),
            )
        })?;
    }
    let embedded = Embedded::open(path, settings).map_err(|error| open_problem(site, &error))?;
    Ok(Arc::new(embedded))
}

/// What a fault of the embedded cloud's file means to a person.
#[must_use]
pub fn open_problem(site: &Site, error: &OpenError) -> Problem {
    let reset = site.command("cloud reset");
    open_problem_of(site, &cloud_file(site), error, &format!("to start again with an empty cloud: {reset}"))
}

/// The same of any file that an embedded cloud is to be in; `otherwise` says what helps beside a backup.
#[must_use]
pub fn open_problem_of(site: &Site, path: &Path, error: &OpenError, otherwise: &str) -> Problem {
    let file = site.show(path);
    // The fault names the file as the system does; people are told where it is from where they are.
    let why = error.to_string().replace(&path.display().to_string(), &file);
    if matches!(error, OpenError::Denied { .. }) {
        return Problem::of(
            Diagnostic::error(codes::CLOUD, format!("the embedded cloud cannot be opened: {why}"))
                .why("it notes the time of every question that it is asked; nothing was changed")
                .help(format!("check the owner and the permissions of {file} and of the directory that it is in")),
        );
    }
    if matches!(error, OpenError::Busy { .. }) {
        return Problem::of(
            Diagnostic::error(codes::CLOUD, format!("the embedded cloud cannot be opened: {why}"))
                .why("it changes for one at a time, and each is through in a moment; nothing was changed")
                .help(format!("look for who has {file} open (`fuser {file}`), and try again")),
        );
    }
    Problem::of(
        Diagnostic::error(codes::CLOUD, format!("the embedded cloud cannot be opened: {why}"))
            .why(format!("all that it holds is in {file}; nothing was changed"))
            .help(format!("restore {file} from a backup; {otherwise}")),
    )
}

/// Connects to the cloud of a config.
pub(super) fn connect(
    site: &Site,
    spec: &CloudSpec,
    secrets: Arc<dyn Secrets>,
    taught: &[Taught],
    write: bool,
) -> Result<Connected, Problem> {
    let (client, machines) = match &spec.provider {
        Provider::Embedded { .. } => {
            let embedded = open_embedded(site, spec, write)?;
            (embedded_client(site, spec, Arc::clone(&embedded), secrets)?, Machines::Embedded(embedded))
        }
        Provider::Tencent(tencent) => (remote_client(site, &spec.account, tencent, secrets)?, Machines::Network),
    };
    let (limits, pace, window_ms, settle_ms) = match &spec.provider {
        Provider::Embedded { latency } => {
            let own = site.hooks.embedded.as_ref().map(|embedded| embedded.settings().pace);
            (Limits::EMBEDDED, own.unwrap_or(pace(*latency)), SIGNATURE_WINDOW_MS, VISIBLE_MS)
        }
        Provider::Tencent(Tencent { endpoint: _, profile: _, latency, signature_window_ms, settle_ms }) => {
            (Limits::TENCENT, pace(*latency), *signature_window_ms, settle_ms.unwrap_or(VISIBLE_MS))
        }
    };
    let rates = match &spec.provider {
        Provider::Embedded { .. } => Rates::None,
        Provider::Tencent(_) => Rates::Documented,
    };
    let ours = taught.iter().filter(|taught| taught.account == spec.account);
    let budgets =
        Budgets::new(rates, ours.map(|taught| (taught.action.clone(), taught.region.clone(), taught.learned)));
    let client: Arc<dyn Cloud> = Arc::new(client.traced(site.reach.tracer.clone()));
    let paced = match rates {
        Rates::Documented => Some(Arc::new(Paced::new(Arc::clone(&client), Arc::clone(&site.clock), budgets.clone()))),
        Rates::None => None,
    };
    let client = paced.clone().map_or(client, |paced| paced);
    let cloud = match &site.hooks.cloud {
        Some(wrap) => wrap(client),
        None => client,
    };
    Ok(Connected { cloud, machines, limits: limits.with(spec.limits), pace, window_ms, settle_ms, budgets, paced })
}

/// A client of the embedded cloud.
fn embedded_client(
    site: &Site,
    spec: &CloudSpec,
    embedded: Arc<Embedded>,
    secrets: Arc<dyn Secrets>,
) -> Result<CvmClient, Problem> {
    let credentials = embedded::credentials(spec.account.as_str()).ok_or_else(|| {
        Problem::of(
            Diagnostic::error(codes::CLOUD, format!("the embedded cloud has no keys of account {}", spec.account))
                .help("set `cloud.account` to one of 100000000001 to 100000000004, which have keys"),
        )
    })?;
    let credentials = Credentials {
        secret_id: credentials.secret_id,
        secret_key: SecretText::new(credentials.secret_key),
        token: None,
    };
    let transport = wrapped(site, Arc::new(Loopback { cloud: embedded, clock: Arc::clone(&site.clock) }));
    let keys = BTreeMap::from([(spec.account.clone(), credentials)]);
    Ok(CvmClient::new(transport, EMBEDDED_HOST, keys, secrets))
}

/// A client of the real cloud, or of a server that answers like it.
fn remote_client(
    site: &Site,
    account: &Uin,
    tencent: &Tencent,
    secrets: Arc<dyn Secrets>,
) -> Result<CvmClient, Problem> {
    let keys = keys(site, tencent)?;
    let way = way(site, &tencent.endpoint);
    let transport = Http::new(&way).map_err(|why| {
        Problem::of(
            Diagnostic::error(codes::CLOUD, format!("the proxy that the environment names cannot be used: {why}"))
                .help("put HTTPS_PROXY, HTTP_PROXY or ALL_PROXY right, or unset it"),
        )
    })?;
    let keys = BTreeMap::from([(account.clone(), keys.credentials)]);
    let transport = wrapped(site, Arc::new(transport));
    Ok(CvmClient::new(transport, Hosts::Of(tencent.endpoint.clone()), keys, secrets))
}

fn wrapped(site: &Site, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    match &site.hooks.transport {
        Some(wrap) => wrap(transport),
        None => transport,
    }
}

fn pace(latency: Latency) -> Pace {
    match latency {
        Latency::Instant => Pace::INSTANT,
        Latency::Quick => Pace::QUICK,
        Latency::Realistic => Pace::REALISTIC,
    }
}
