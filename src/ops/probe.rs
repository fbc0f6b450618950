//! Probes over the network: whether an instance takes connections, or answers a request as it should.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use ureq::Agent;
use ureq::config::AutoHeaderValue;

use crate::apply::engine::Probe;
use crate::model::Millis;
use crate::model::update::Check;

/// What is read of an answer, at most: a page that says how its machine is says so at its beginning.
const MOST_BODY: u64 = 64 * 1024;

/// The network that instances are in.
pub(super) struct Network {
    agent: Agent,
}

impl Network {
    pub(super) fn new() -> Self {
        // Each probe has a connection of its own, for that one comes about is part of the question; and none goes through
        // a proxy, which would answer in the instance's place.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("fleetwright/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .build();
        Self { agent: Agent::new_with_config(config) }
    }

    /// Asks an instance. Where it does not answer as it should, a clause says what it did.
    pub(super) fn ask(&self, probe: &Probe) -> Result<(), String> {
        let Probe { region: _, instance: _, address, check, timeout_ms } = probe;
        let ip: IpAddr = address.as_str().parse().map_err(|_| format!("{:?} is no address", address.as_str()))?;
        let timeout = Duration::from_millis(u64::try_from(*timeout_ms).unwrap_or(0).max(1));
        match check {
            Check::Tcp { port } => match TcpStream::connect_timeout(&SocketAddr::new(ip, *port), timeout) {
                Ok(_) => Ok(()),
                Err(error) => Err(unconnected(*port, *timeout_ms, &error)),
            },
            Check::Http { port, path, status, body } => {
                let address = SocketAddr::new(ip, *port);
                self.get(&format!("http://{address}{path}"), (*port, *timeout_ms), *status, body.as_deref())
            }
        }
    }

    fn get(&self, url: &str, limits: (u16, Millis), status: u16, body: Option<&str>) -> Result<(), String> {
        let (port, timeout_ms) = limits;
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0).max(1));
        let request = self.agent.get(url).config().timeout_global(Some(timeout)).build();
        let mut response = request.call().map_err(|error| unanswered(port, timeout_ms, &error))?;
        let answered = response.status().as_u16();
        if answered != status {
            return Err(format!("http {answered} in place of {status}"));
        }
        let Some(wanted) = body else { return Ok(()) };
        let mut page = Vec::new();
        let read = response.body_mut().as_reader().take(MOST_BODY).read_to_end(&mut page);
        if String::from_utf8_lossy(&page).contains(wanted) {
            return Ok(());
        }
        match read {
            Ok(_) => Err(format!("http {answered}, and {wanted:?} is not in the answer")),
            Err(error) => Err(format!("http {answered}, and the answer broke off: {error}")),
        }
    }
}

fn unconnected(port: u16, timeout_ms: Millis, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("port {port} refuses connections"),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("port {port} takes no connection within {timeout_ms} ms")
        }
        _ => format!("no connection to port {port}: {error}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate may add to its faults, and says them itself")]
fn unanswered(port: u16, timeout_ms: Millis, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer on port {port} within {timeout_ms} ms"),
        ureq::Error::Io(error) => unconnected(port, timeout_ms, error),
        other => format!("no answer on port {port}: {other}"),
    }
}
