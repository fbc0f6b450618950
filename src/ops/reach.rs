//! How the real cloud is reached from here: whose keys, and through which proxy. What the environment says comes in as a
//! value; nothing of it is shown.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Problem, Site};
use crate::cloud::cvm::http::Way;
use crate::cloud::cvm::keys::{self, Keys, NoKeys, Sources};
use crate::cloud::cvm::trace::Tracer;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::desired::Tencent;
use crate::model::endpoint::Endpoint;

/// What command line and environment say about the way to the real cloud.
#[derive(Clone, Default)]
pub struct Reach {
    /// The environment; keys are in it.
    pub env: BTreeMap<String, String>,
    /// Whose keys, by the name of a profile of `tccli`, where the command line names one.
    pub profile: Option<String>,
    /// Whoever writes down what is said to the cloud.
    pub tracer: Option<Arc<Tracer>>,
}

impl Reach {
    fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The file of a profile, where `tccli` keeps it.
    fn profile_file(&self, profile: &str) -> Option<PathBuf> {
        let home = self.variable("HOME").or_else(|| self.variable("USERPROFILE"))?;
        Some(Path::new(home).join(".tccli").join(format!("{profile}.credential")))
    }
}

/// The most bytes of a profile's file.
const MOST_PROFILE: u64 = 64 * 1024;

/// The keys that a config's calls are signed with.
pub(super) fn keys(site: &Site, tencent: &Tencent) -> Result<Keys, Problem> {
    let reach = &site.reach;
    let found = keys::find(&Sources {
        profile: reach.profile.as_deref().or(tencent.profile.as_deref()),
        variable: &|name| reach.variable(name).map(str::to_owned),
        file: &|profile| match reach.profile_file(profile) {
            None => Ok(None),
            Some(path) => read(&path),
        },
        now_s: site.clock.now_ms().div_euclid(1000),
    });
    found.map_err(|none| Problem::of(no_keys(reach, &none)))
}

fn read(path: &Path) -> Result<Option<String>, String> {
    use std::io::Read;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    file.take(MOST_PROFILE).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(Some(text))
}

/// What a lack of keys means to a person. No text out of a file or a variable is in it.
fn no_keys(reach: &Reach, none: &NoKeys) -> Diagnostic {
    let file = |profile: &str| {
        reach
            .profile_file(profile)
            .map_or_else(|| format!("~/.tccli/{profile}.credential"), |path| path.display().to_string())
    };
    let fault = |text: String| Diagnostic::error(codes::NO_KEYS, text);
    let configure = |profile: &str| format!("write it with `tccli configure --profile {profile}`");
    match none {
        NoKeys::Nowhere => fault("there are no keys for Tencent Cloud".to_owned())
            .why(format!(
                "neither a profile, nor {} and {} in the environment, nor {}",
                keys::SECRET_ID,
                keys::SECRET_KEY,
                file(keys::DEFAULT_PROFILE)
            ))
            .help("set the two variables, or run `tccli configure`; keys never stand in a config"),
        NoKeys::Half { missing } => fault(format!("{missing} is not set, and its counterpart is"))
            .why("a request is signed with both")
            .help(format!("set {missing}, or unset the other to use a profile of tccli")),
        NoKeys::NoProfile(profile) => fault(format!("there is no profile `{profile}`"))
            .why(format!("it would be in {}", file(profile)))
            .help(configure(profile)),
        NoKeys::Unreadable(profile, why) => fault(format!("the profile `{profile}` cannot be read: {why}"))
            .help(format!("see who may read {}", file(profile))),
        NoKeys::Strange(profile, why) => fault(format!("the profile `{profile}` is not what tccli writes: {why}"))
            .why(format!("it is {}", file(profile)))
            .help(configure(profile)),
        NoKeys::Elsewhere(profile, how) => fault(format!("the profile `{profile}` gets its keys from {how}"))
            .why("tccli asks for them each time; they are not in its file, and this program does not ask")
            .help(format!(
                "get temporary keys, and set {}, {} and {}",
                keys::SECRET_ID,
                keys::SECRET_KEY,
                keys::TOKENS[0]
            )),
        NoKeys::Expired(profile, at_s) => {
            let when =
                jiff::Timestamp::from_second(*at_s).map_or_else(|_| "before now".to_owned(), |at| format!("at {at}"));
            fault(format!("the temporary keys of the profile `{profile}` stopped being good {when}"))
                .help(format!("let tccli renew them: `tccli auth login --profile {profile}`, or any call of it"))
        }
    }
}

/// Which way requests to an endpoint go.
pub(super) fn way(site: &Site, endpoint: &Endpoint) -> Way {
    way_to(&site.reach, endpoint.scheme(), &endpoint.host("cvm", None))
}

/// Which way requests to a host go: through the proxy that the environment names, as other programs do, but never to this
/// machine itself.
pub(super) fn way_to(reach: &Reach, scheme: &str, host: &str) -> Way {
    let either = |name: &str| reach.variable(&name.to_lowercase()).or_else(|| reach.variable(name));
    let own = if scheme == "https" { either("HTTPS_PROXY") } else { either("HTTP_PROXY") };
    let proxy = own.or_else(|| either("ALL_PROXY")).filter(|_| !is_here(host)).map(str::to_owned);
    let no_proxy = either("NO_PROXY").unwrap_or_default();
    let no_proxy = no_proxy.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
    Way { scheme: scheme.to_owned(), proxy, no_proxy, ..Way::default() }
}

/// Whether a host, maybe with a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
