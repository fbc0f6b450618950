//! The way over the network: HTTP/1.1, by TLS where the endpoint says `https`, through a proxy where one is named.
//!
//! Sockets, certificates and proxies are the business of ureq. What is decided here is how long anything may take, and
//! what is known of a request that got no answer.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use rustls::CertificateError;
use ureq::config::AutoHeaderValue;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport as wire;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector};
use ureq::{Agent, Body, Proxy, ProxyProtocol, Timeout};

use super::transport::{HttpRequest, HttpResponse, NoAnswer, Transport};
use crate::cloud::call::Class;
use crate::model::Millis;

/// How long a connection that is not in use is kept for the next read.
const IDLE: Duration = Duration::from_secs(15);
/// The most bytes of an answer: 50 MB are documented (API text 1.6), and some more are no reason to fail.
const MOST_ANSWER: u64 = 64 * 1024 * 1024;
/// What ends a server's `Date`.
const MS_PER_S: Millis = 1000;

/// Which way requests go.
#[derive(Clone, PartialEq, Eq)]
pub struct Way {
    /// `http` or `https`.
    pub scheme: String,
    /// The proxy that requests go through; a login may stand in it.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, as `NO_PROXY` lists them: each with all hosts below it.
    pub no_proxy: Vec<String>,
    /// How long a connection may take to come about: name, proxy and TLS included.
    pub connect: Duration,
    /// How long a whole call may take.
    pub call: Duration,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            scheme: "https".to_owned(),
            proxy: None,
            no_proxy: Vec::new(),
            connect: Duration::from_secs(10),
            call: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, proxy, no_proxy, connect, call } = self;
        // A proxy's login is a secret.
        let proxy = proxy.as_ref().map(|_| "(hidden)");
        let mut way = f.debug_struct("Way");
        way.field("scheme", scheme).field("proxy", &proxy).field("no_proxy", no_proxy);
        way.field("connect", connect).field("call", call).finish()
    }
}

/// The network.
#[derive(Debug)]
pub struct Http {
    scheme: String,
    proxy: Option<Proxy>,
    connect: Duration,
    call: Duration,
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
        let Way { scheme, proxy, no_proxy, connect, call } = way;
        let proxy = proxy.as_deref().map(|proxy| through(proxy, no_proxy)).transpose()?;
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
                .timeout_connect(Some(*connect))
                .timeout_global(Some(*call))
                .max_idle_connections(idle)
                .max_idle_connections_per_host(idle)
                .max_idle_age(IDLE)
                .build();
            let connector = Begin.chain(DefaultConnector::new()).chain(End { proxied: proxy.is_some() });
            Agent::with_parts(config, connector, DefaultResolver::default())
        };
        const MOST_IDLE: usize = 64;
        let (reads, changes) = (agent(MOST_IDLE), agent(0));
        Ok(Self { scheme: scheme.clone(), proxy, connect: *connect, call: *call, reads, changes })
    }
}

thread_local! {
    /// Whether a request of this thread may have left: not while its connection is yet to come about, TLS and proxy
    /// included, for it is sent after that.
    static MAY_HAVE_LEFT: Cell<bool> = const { Cell::new(true) };
}

/// A connection is made.
#[derive(Debug)]
struct Begin;

impl Connector<()> for Begin {
    type Out = ();

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<()>, ureq::Error> {
        MAY_HAVE_LEFT.set(false);
        Ok(chained)
    }
}

/// A connection has been made; to the proxy first, where there is one.
#[derive(Debug)]
struct End {
    proxied: bool,
}

impl<In: wire::Transport> Connector<In> for End {
    type Out = In;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<In>, ureq::Error> {
        // The proxy itself is reached without one, and is asked for nothing but the way.
        if details.config.proxy().is_some() == self.proxied {
            MAY_HAVE_LEFT.set(true);
        }
        Ok(chained)
    }
}

/// A proxy, and the hosts that are reached without it.
fn through(proxy: &str, no_proxy: &[String]) -> Result<Proxy, String> {
    let wrong = |_| "it is no address of a proxy: write it like http://proxy.example.com:3128".to_owned();
    let parsed = Proxy::new(proxy).map_err(wrong)?;
    if !matches!(parsed.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err("it is a SOCKS proxy, and only HTTP proxies are used: write it like http://proxy.example.com:3128"
            .to_owned());
    }
    let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        builder = builder.username(name);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in no_proxy {
        builder = builder.no_proxy(host);
        // A name stands for those below it, too, as it does for other programs.
        if host.starts_with(|first: char| first.is_alphanumeric()) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
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
        let built = built
            .body(body.as_slice())
            .map_err(|error| NoAnswer::failed(format!("the request cannot be sent as it is: {error}"), false))?;
        let route = self.route(host, built.uri());
        let agent = if changes { &self.changes } else { &self.reads };
        MAY_HAVE_LEFT.set(true);
        let mut response = agent.run(built).map_err(|error| route.no_answer(&error, MAY_HAVE_LEFT.get()))?;
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = read(response.body_mut()).map_err(|error| route.no_answer(&error, true))?;
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

impl Http {
    /// How a request gets to its host.
    fn route<'a>(&'a self, host: &'a str, uri: &Uri) -> Route<'a> {
        let proxy = self.proxy.as_ref().filter(|proxy| !proxy.is_no_proxy(uri));
        Route { host, proxy, connect: self.connect, call: self.call }
    }
}

/// How a request gets to its host.
#[derive(Clone, Copy)]
struct Route<'a> {
    host: &'a str,
    proxy: Option<&'a Proxy>,
    connect: Duration,
    call: Duration,
}

impl Route<'_> {
    /// What is known of a request that got no answer. Only where it is certain that nothing left, it says so: a change
    /// whose bytes may have arrived is in doubt.
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate may add to its faults, and says them itself")]
    fn no_answer(self, error: &ureq::Error, may_have_left: bool) -> NoAnswer {
        let Self { host, proxy, connect, call } = self;
        let (through, named) = match proxy {
            None => (String::new(), format!("the host {host}")),
            Some(proxy) => {
                (format!(" through the proxy {}", named(proxy)), format!("the proxy's host {}", proxy.host()))
            }
        };
        let to = format!("{host}{through}");
        let failed = |error: &dyn fmt::Display| {
            if may_have_left {
                format!("the connection to {to} failed: {error}")
            } else {
                format!("no connection to {to} came about: {error}")
            }
        };
        let (message, sent) = match error {
            ureq::Error::HostNotFound => (format!("{named} is not known here"), false),
            ureq::Error::Timeout(Timeout::Resolve) => (format!("the name {host} was not resolved in time"), false),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => (format!("{host} is no host that can be asked"), false),
            ureq::Error::Timeout(Timeout::Connect) => {
                (format!("no connection to {to} came about within {}", shown(connect)), may_have_left)
            }
            ureq::Error::Timeout(_) => (format!("{host} did not answer within {}", shown(call)), may_have_left),
            ureq::Error::ConnectProxyFailed(why) => return self.refused(why),
            // Nothing but what comes before a handshake is told like this.
            ureq::Error::Rustls(error) => return self.distrusted(error).unwrap_or_else(|| self.rootless(error)),
            ureq::Error::Io(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
                Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
                    let message = format!(
                        "what {host} says is not TLS: if it is no https server, its address begins with http://"
                    );
                    (message, may_have_left)
                }
                Some(error) => match self.distrusted(error) {
                    Some(distrusted) => return distrusted,
                    None => (failed(error), may_have_left),
                },
                None => (failed(error), may_have_left),
            },
            other => (failed(other), may_have_left),
        };
        NoAnswer::failed(message, sent)
    }

    /// A certificate that cannot be trusted. It is looked at before anything else is said: no request left.
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate may add to its faults, and says them itself")]
    fn distrusted(self, error: &rustls::Error) -> Option<NoAnswer> {
        let rustls::Error::InvalidCertificate(why) = error else { return None };
        let whose = match self.proxy.filter(|proxy| proxy.protocol() == ProxyProtocol::Https) {
            None => format!("the certificate of {}", self.host),
            Some(proxy) => format!("the certificate of {} or of the proxy {}", self.host, named(proxy)),
        };
        let time = |time: &rustls::pki_types::UnixTime| {
            let time = i64::try_from(time.as_secs()).ok().and_then(|time_s| jiff::Timestamp::from_second(time_s).ok());
            time.map_or_else(|| "no time".to_owned(), |time| time.to_string())
        };
        let message = match why {
            CertificateError::UnknownIssuer => format!("nobody whom this machine trusts vouches for {whose}"),
            CertificateError::Expired => format!("{whose} is no longer good"),
            // Not what the clock says: of many questions, each would be told of by itself.
            CertificateError::ExpiredContext { time: _, not_after } => {
                format!("{whose} was good until {}, and by the clock of this machine that is over", time(not_after))
            }
            CertificateError::NotValidYet => format!("{whose} is not good yet"),
            CertificateError::NotValidYetContext { time: _, not_before } => {
                format!(
                    "{whose} is good from {} on, and by the clock of this machine that is to come",
                    time(not_before)
                )
            }
            CertificateError::NotValidForNameContext { expected: _, presented } if !presented.is_empty() => {
                let names: Vec<&str> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
                format!("{whose} is one of {}, and not of that name", names.join(", "))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{whose} is not one of that name")
            }
            other => format!("{whose} cannot be trusted: {other}"),
        };
        Some(NoAnswer { class: Class::Untrusted, message, sent: false })
    }

    /// Nobody is trusted at all.
    fn rootless(self, error: &rustls::Error) -> NoAnswer {
        let why = if let rustls::Error::General(why) = error { why.clone() } else { error.to_string() };
        let message = format!("there is no root certificate to trust {} by: {why}", self.host);
        NoAnswer { class: Class::Untrusted, message, sent: false }
    }

    /// The proxy does not let it through. What it says of itself ends in its status.
    fn refused(self, why: &str) -> NoAnswer {
        const LOGIN: u16 = 407;
        let proxy = self.proxy.map_or_else(|| "on the way".to_owned(), named);
        let status = why.rsplit(['/', ' ']).next().and_then(|status| status.parse::<u16>().ok());
        let (class, how) = match status {
            Some(LOGIN) => (Class::Proxy, "wants a login, or another one (407)".to_owned()),
            Some(status @ 400..=499) => {
                (Class::Proxy, format!("does not let anybody through to {} ({status})", self.host))
            }
            Some(status) => (Class::Transport, format!("did not get through to {} ({status})", self.host)),
            None => (Class::Transport, "did not answer".to_owned()),
        };
        NoAnswer { class, message: format!("the proxy {proxy} {how}"), sent: false }
    }
}

/// A proxy's address, without its login.
fn named(proxy: &Proxy) -> String {
    format!("{}:{}", proxy.host(), proxy.port())
}

/// `10 s`, `200 ms`.
fn shown(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
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
        let http = Http::new(&Way::default()).expect("a way");
        let route = http.route("h", &Uri::from_static("https://h/"));
        let io = |kind: std::io::ErrorKind| ureq::Error::Io(kind.into());
        for error in [ureq::Error::HostNotFound, ureq::Error::Timeout(Timeout::Resolve)] {
            assert!(!route.no_answer(&error, true).sent, "{error:?}");
        }
        for error in [
            ureq::Error::Timeout(Timeout::Global),
            ureq::Error::Timeout(Timeout::RecvResponse),
            io(std::io::ErrorKind::ConnectionReset),
            // The system says so of a connection, too, that was there and goes nowhere any more.
            io(std::io::ErrorKind::HostUnreachable),
            ureq::Error::Tls("handshake"),
        ] {
            for may_have_left in [true, false] {
                assert_eq!(route.no_answer(&error, may_have_left).sent, may_have_left, "{error:?}");
            }
        }
    }

    #[test]
    fn a_wrong_proxy_is_told_without_its_login() {
        let way = |proxy: &str| Way { proxy: Some(proxy.into()), ..Way::default() };
        let right = way("http://me:hunter2@proxy:3128");
        assert!(Http::new(&right).is_ok());
        assert!(!format!("{right:?}").contains("hunter2"));
        for wrong in ["gopher://me:hunter2@proxy:3128", "socks5://me:hunter2@proxy:1080", "me:hunter2@", "http://"] {
            let fault = Http::new(&way(wrong)).expect_err("no proxy");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn a_host_that_is_reached_without_the_proxy_stands_for_those_below_it() {
        let no_proxy = ["example.com", ".example.org", "10.0.0.1", "*.example.net"].map(str::to_owned).to_vec();
        let proxy = Some("http://proxy:3128".to_owned());
        let http = Http::new(&Way { proxy, no_proxy, ..Way::default() }).expect("a way");
        for (host, around) in [
            ("example.com", true),
            ("cvm.example.com", true),
            ("cvm.example.org", true),
            ("cvm.example.net", true),
            ("10.0.0.1", true),
            ("notexample.com", false),
            ("10.0.0.11", false),
        ] {
            let uri: Uri = format!("https://{host}:8443/").parse().expect("an address");
            assert_eq!(http.route(host, &uri).proxy.is_none(), around, "{host}");
        }
    }
}
