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
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        format!("port {port} refuses connections")
    } else if matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock) {
        format!("port {port} takes no connection within {timeout_ms} ms")
    } else {
        format!("no connection to port {port}: {error}")
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    fn probe(port: u16, check: impl Fn(u16) -> Check) -> Probe {
        Probe {
            region: "ap-guangzhou".into(),
            instance: "ins-1".into(),
            address: "127.0.0.1".into(),
            check: check(port),
            timeout_ms: 2_000,
        }
    }

    fn http(status: u16, body: Option<&'static str>) -> impl Fn(u16) -> Check {
        move |port| Check::Http { port, path: "/healthz?x=1".to_owned(), status, body: body.map(str::to_owned) }
    }

    /// A server that answers every request with this, and then closes.
    fn server(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let count = stream.read(&mut request).expect("a request");
            // Whoever has read enough may be gone.
            drop(stream.write_all(answer));
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        (port, serving)
    }

    fn closed() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    }

    #[test]
    fn a_connection_is_taken_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let network = Network::new();
        assert_eq!(network.ask(&probe(port, |port| Check::Tcp { port })), Ok(()));
        let port = closed();
        let refused = Err(format!("port {port} refuses connections"));
        assert_eq!(network.ask(&probe(port, |port| Check::Tcp { port })), refused);
        assert_eq!(network.ask(&probe(port, http(200, None))), refused);
        let nowhere = Probe { address: "web".into(), ..probe(port, http(200, None)) };
        assert_eq!(network.ask(&nowhere), Err("\"web\" is no address".to_owned()));
    }

    #[test]
    fn a_page_is_asked_for_by_one_request_that_is_compared() {
        let network = Network::new();
        let (port, serving) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall fine");
        assert_eq!(network.ask(&probe(port, http(200, Some("fine")))), Ok(()));
        let request = serving.join().expect("a request");
        assert!(request.starts_with("GET /healthz?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(concat!("fleetwright/", env!("CARGO_PKG_VERSION"))), "{request}");

        let (port, _) = server(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(network.ask(&probe(port, http(200, None))), Err("http 500 in place of 200".to_owned()));
        // It says where to go, and that is its answer.
        let (port, _) = server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(network.ask(&probe(port, http(302, None))), Ok(()));
        let (port, _) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
        let lacks = Err("http 200, and \"fine\" is not in the answer".to_owned());
        assert_eq!(network.ask(&probe(port, http(200, Some("fine")))), lacks);
        let (port, _) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\nbad");
        let said = network.ask(&probe(port, http(200, Some("fine")))).expect_err("broken off");
        assert!(said.starts_with("http 200, and the answer broke off: "), "{said}");
    }

    #[test]
    fn what_does_not_answer_in_time_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let silent = Probe { timeout_ms: 200, ..probe(port, http(200, None)) };
        let said = Network::new().ask(&silent);
        assert_eq!(said, Err(format!("no answer on port {port} within 200 ms")));
    }
}
