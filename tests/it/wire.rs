//! A world's cloud behind HTTP, in the world's own virtual time, and the line to it, which can lose what goes over it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::embedded::Embedded;
use fleetwright::cloud::embedded::http::{Bounds, Server};

/// What gets lost on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lose {
    /// The request: nothing is done.
    Request,
    /// The answer: it is done, and nobody hears of it.
    Answer,
}

/// A cloud that is served, and the line to it.
pub(crate) struct Wire {
    address: SocketAddr,
    losses: Arc<Mutex<Vec<(String, Lose)>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Wire {
    pub(crate) fn to(cloud: Arc<Embedded>, clock: Arc<dyn Clock>) -> Self {
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            (listener, address)
        };
        let (server, behind) = listen();
        let (line, address) = listen();
        let stop = Arc::new(AtomicBool::new(false));
        let losses = Arc::new(Mutex::default());
        let stopped = Arc::clone(&stop);
        let serving = std::thread::spawn(move || {
            let served = Server { cloud, clock, note: Box::new(|_| {}), bounds: Bounds::default() };
            served.run(server, || stopped.load(Ordering::SeqCst)).expect("served");
        });
        let (stopped, lost) = (Arc::clone(&stop), Arc::clone(&losses));
        let relaying = std::thread::spawn(move || {
            for stream in line.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, lost) = (stream.expect("a connection"), Arc::clone(&lost));
                std::thread::spawn(move || drop(relay(&stream, behind, &lost)));
            }
        });
        Self { address, losses, stop, threads: vec![serving, relaying] }
    }

    /// Where clients connect to.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the next request of an action, or its answer.
    pub(crate) fn lose(&self, action: &str, what: Lose) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push((action.to_owned(), what));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // It waits for connections: one more, and it sees that it is over.
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Hands requests on, one after the other, until one side has enough or something is lost.
fn relay(client: &TcpStream, behind: SocketAddr, losses: &Mutex<Vec<(String, Lose)>>) -> std::io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let server = TcpStream::connect(behind)?;
    for stream in [client, &server] {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
    }
    while let Some(request) = message(client)? {
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let lost = {
            let mut losses = losses.lock().unwrap_or_else(PoisonError::into_inner);
            let hit = losses
                .iter()
                .position(|(action, _)| head.contains(&format!("x-tc-action: {}\r\n", action.to_lowercase())));
            hit.map(|place| losses.remove(place).1)
        };
        if lost == Some(Lose::Request) {
            return client.shutdown(Shutdown::Both);
        }
        (&server).write_all(&request)?;
        let Some(answer) = message(&server)? else { break };
        if lost == Some(Lose::Answer) {
            return client.shutdown(Shutdown::Both);
        }
        (&*client).write_all(&answer)?;
    }
    client.shutdown(Shutdown::Both)
}

/// A whole message: its head, and as many bytes as that says. `None`: there are no more.
fn message(mut stream: &TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut some = [0; 16 * 1024];
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if bytes.len() >= end + length.unwrap_or(0) {
                return Ok(Some(bytes));
            }
        }
        match stream.read(&mut some)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&some[..read]),
        }
    }
}
