//! What stands between a client and a served cloud: servers with certificates that are made on the spot, and proxies.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever vouches for certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root certificate"))
    }

    /// Its own certificate, as files hold it.
    pub(crate) fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.0.der());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("letters")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// What a server of these names shows; in these years.
    pub(crate) fn vouch(&self, names: &[&str], years: (i32, i32)) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        Arc::new(config)
    }
}

/// Whoever is listened to on a port of this machine, until it is dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Each connection is served by a thread of its own.
    pub(crate) fn new(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (came, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (coming, stopped, serve) = (Arc::clone(&came), Arc::clone(&stop), Arc::new(serve));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                coming.fetch_add(1, Ordering::SeqCst);
                let (stream, serve) = (stream.expect("a connection"), Arc::clone(&serve));
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                std::thread::spawn(move || drop(serve(stream)));
            }
        });
        Self { address, came, stop, thread: Some(thread) }
    }

    /// How many connections there were.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // It waits for connections: one more, and it sees that it is over.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// A server behind TLS: whatever it is asked, another one answers.
pub(crate) struct Tls {
    pub(crate) host: Host,
    asked: Arc<AtomicUsize>,
}

impl Tls {
    /// `once`: whether it closes each connection after an answer, without a word before.
    pub(crate) fn new(config: Arc<ServerConfig>, behind: SocketAddr, once: bool) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let asking = Arc::clone(&asked);
        let host = Host::new(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            let mut client = StreamOwned::new(connection, stream);
            let mut server = TcpStream::connect(behind)?;
            while let Some(request) = message(&mut client)? {
                asking.fetch_add(1, Ordering::SeqCst);
                server.write_all(&request)?;
                let Some(answer) = message(&mut server)? else { break };
                client.write_all(&answer)?;
                if once {
                    break;
                }
            }
            client.conn.send_close_notify();
            client.flush()
        });
        Self { host, asked }
    }

    /// How many requests it got to see.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A forward proxy, which leads to one host, whatever it is told; or refuses.
pub(crate) struct Forward {
    pub(crate) host: Host,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    pub(crate) fn to(behind: SocketAddr) -> Self {
        Self::answering("200 Connection established", Some(behind))
    }

    /// `status`: how its answers begin.
    pub(crate) fn refusing(status: &'static str) -> Self {
        Self::answering(status, None)
    }

    fn answering(status: &'static str, behind: Option<SocketAddr>) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let host = Host::new(move |mut client| {
            let Some(head) = message(&mut client)? else { return Ok(()) };
            let head = String::from_utf8_lossy(&head).into_owned();
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(head);
            client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes())?;
            let Some(behind) = behind else { return client.shutdown(Shutdown::Both) };
            let server = TcpStream::connect(behind)?;
            let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
            let there = std::thread::spawn(move || {
                drop(io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Write));
            });
            let (mut from, mut to) = (server, client);
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Both));
            drop(there.join());
            Ok(())
        });
        Self { host, heads }
    }

    /// What it was asked, each time.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A whole message: its head, and as many bytes as that says. `None`: there are no more.
pub(crate) fn message(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
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
