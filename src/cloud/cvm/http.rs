//! The way over the network: HTTP/1.1, by TLS where the endpoint says `https`, through a proxy where one is named.
//!
//! Sockets, certificates and proxies are the business of ureq. What is decided here is how long anything may take, and
//! what is known of a request that got no answer.

use std::fmt;
use std::io;
use std::time::Duration;

use ureq::config::AutoHeaderValue;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, Timeout};

use super::transport::{HttpRequest, HttpResponse, NoAnswer, Transport};
use crate::model::Millis;

/// How long a connection may take to come about, name and TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a whole call may take.
const CALL: Duration = Duration::from_secs(60);
/// How long a connection that is not in use is kept for the next read.
const IDLE: Duration = Duration::from_secs(15);
/// The most bytes of an answer: 50 MB are documented (API text 1.6), and some more are no reason to fail.
const MOST_ANSWER: u64 = 64 * 1024 * 1024;
/// What ends a server's `Date`.
const MS_PER_S: Millis = 1000;

/// Which way requests go.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Way {
    /// `http` or `https`.
    pub scheme: String,
    /// The proxy that requests go through; a login may stand in it.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, as `NO_PROXY` lists them.
    pub no_proxy: Vec<String>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, proxy, no_proxy } = self;
        // A proxy's login is a secret.
        let proxy = proxy.as_ref().map(|_| "(hidden)");
        f.debug_struct("Way").field("scheme", scheme).field("proxy", &proxy).field("no_proxy", no_proxy).finish()
    }
}

/// The network.
#[derive(Debug)]
pub struct Http {
    scheme: String,
    /// Reads share connections.
    reads: Agent,
    /// A change gets a connection of its own: what is lost on one that the server had closed already would be in doubt,
    /// and a doubt costs minutes.
    changes: Agent,
}

impl Http {
    /// A way to the network.
    ///
    /// # Errors
    /// The proxy's address is none; the text does not repeat it, for a login may stand in it.
    pub fn new(way: &Way) -> Result<Self, String> {
        let proxy = way.proxy.as_deref().map(|proxy| through(proxy, &way.no_proxy)).transpose()?;
        let agent = |idle: usize| {
            let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(proxy.clone())
                .tls_config(tls)
                .user_agent(concat!("fleetwright/", env!("CARGO_PKG_VERSION")))
                .accept(AutoHeaderValue::None)
                .accept_encoding(AutoHeaderValue::None)
                .timeout_connect(Some(CONNECT))
                .timeout_global(Some(CALL))
                .max_idle_connections(idle)
                .max_idle_connections_per_host(idle)
                .max_idle_age(IDLE)
                .build();
            Agent::new_with_config(config)
        };
        const MOST_IDLE: usize = 64;
        Ok(Self { scheme: way.scheme.clone(), reads: agent(MOST_IDLE), changes: agent(0) })
    }
}

/// A proxy, and the hosts that are reached without it.
fn through(proxy: &str, no_proxy: &[String]) -> Result<Proxy, String> {
    let wrong = |_| "it is no address of a proxy: write it like http://proxy.example.com:3128".to_owned();
    let parsed = Proxy::new(proxy).map_err(wrong)?;
    let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        builder = builder.username(name);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in no_proxy {
        builder = builder.no_proxy(host);
    }
    builder.build().map_err(wrong)
}

impl Transport for Http {
    fn send(&self, request: &HttpRequest, changes: bool) -> Result<HttpResponse, NoAnswer> {
        let HttpRequest { method, path, query, headers, body } = request;
        let host = request.header("Host").unwrap_or_default();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let mut built = ureq::http::Request::builder()
            .method(method.as_str())
            .uri(format!("{}://{host}{path}{query}", self.scheme));
        for (name, value) in headers {
            built = built.header(name, value);
        }
        let built = built.body(body.as_slice()).map_err(|error| NoAnswer {
            message: format!("the request cannot be sent as it is: {error}"),
            sent: false,
        })?;
        let agent = if changes { &self.changes } else { &self.reads };
        let mut response = agent.run(built).map_err(|error| no_answer(host, &error))?;
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = read(response.body_mut()).map_err(|error| no_answer(host, &error))?;
        let date = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("date"));
        Ok(HttpResponse {
            status: response.status().as_u16(),
            cloud_ms: date.and_then(|(_, date)| time_ms(date)),
            headers,
            body,
        })
    }

    fn outlives_us(&self) -> bool {
        true
    }
}

fn read(body: &mut Body) -> Result<Vec<u8>, ureq::Error> {
    body.with_config().limit(MOST_ANSWER).read_to_vec()
}

/// The time that a `Date` header tells, which is in whole seconds.
fn time_ms(date: &str) -> Option<Millis> {
    let time = httpdate::parse_http_date(date).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Millis::try_from(since.as_secs()).ok()? * MS_PER_S)
}

/// What is known of a request that got no answer. Only where it is certain that nothing left, it says so: a change whose
/// bytes may have arrived is in doubt.
fn no_answer(host: &str, error: &ureq::Error) -> NoAnswer {
    let (message, sent) = match error {
        ureq::Error::HostNotFound => (format!("the host {host} is not known here"), false),
        ureq::Error::Timeout(Timeout::Resolve) => (format!("the name {host} was not resolved in time"), false),
        ureq::Error::Timeout(Timeout::Connect) => {
            (format!("no connection to {host} came about within {} s", CONNECT.as_secs()), false)
        }
        ureq::Error::Timeout(_) => (format!("{host} did not answer within {} s", CALL.as_secs()), true),
        ureq::Error::ConnectProxyFailed(_) => ("the proxy refused the connection".to_owned(), false),
        ureq::Error::ConnectionFailed => (format!("no connection to {host} came about"), false),
        ureq::Error::Io(error) if never_connected(error.kind()) => {
            (format!("no connection to {host} came about: {error}"), false)
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => (format!("{host} is no host that can be asked"), false),
        other => (format!("the connection to {host} failed: {other}"), true),
    };
    NoAnswer { message, sent }
}

/// Whether a socket's trouble is one that only a socket has which was never connected.
fn never_connected(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_to_the_second() {
        assert_eq!(time_ms("Tue, 14 Nov 2023 22:13:20 GMT"), Some(1_700_000_000_000));
        for wrong in ["", "yesterday", "Tue, 14 Nov 2023"] {
            assert_eq!(time_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_what_never_left_is_told_not_to_have_been_sent() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        for (error, sent) in [
            (ureq::Error::HostNotFound, false),
            (ureq::Error::Timeout(Timeout::Connect), false),
            (ureq::Error::Timeout(Timeout::Global), true),
            (ureq::Error::Timeout(Timeout::RecvResponse), true),
            (ureq::Error::Io(refused), false),
            (ureq::Error::Io(reset), true),
            (ureq::Error::Tls("handshake"), true),
        ] {
            assert_eq!(no_answer("h", &error).sent, sent, "{error:?}");
        }
    }

    #[test]
    fn a_wrong_proxy_is_told_without_its_login() {
        let way =
            |proxy: &str| Way { scheme: "https".into(), proxy: Some(proxy.into()), no_proxy: vec!["localhost".into()] };
        let right = way("http://me:hunter2@proxy:3128");
        assert!(Http::new(&right).is_ok());
        assert!(!format!("{right:?}").contains("hunter2"));
        let fault = Http::new(&way("gopher://me:hunter2@proxy:3128")).expect_err("no proxy");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}
