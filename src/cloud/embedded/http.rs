//! The embedded cloud as a server: HTTP/1.1 in front of [`Embedded`], for other programs on this machine and, where
//! somebody insists, beyond it.
//!
//! A request is handed over as it came: its target in either form, its headers as they were sent, its body unread. What
//! a client may take is bounded ([`Bounds`]), so that slow, broken and greedy ones do no harm to others. Connections and
//! bytes are the business of hyper; every question is answered by [`Embedded::serve`].

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::{Embedded, LogEntry};
use crate::cloud::clock::Clock;
use crate::cloud::cvm::transport::{HttpRequest, HttpResponse};

/// Whoever notes what was asked.
pub type Note = dyn Fn(&LogEntry) + Send + Sync;

/// What a client may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Connections at once; more wait until they are accepted.
    pub connections: usize,
    /// From the first byte of a request, or the end of the one before, to the end of its headers.
    pub headers: Duration,
    /// From there to the end of its body.
    pub body: Duration,
    /// Without a byte in either direction.
    pub silence: Duration,
    /// For what is under way when the server stops.
    pub farewell: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            headers: Duration::from_secs(60),
            body: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
        }
    }
}

/// The most bytes of a body that are taken in: 10 MB are allowed (API text 1.2), and what is a little more is told so.
const MOST_BODY: usize = 10 * 1024 * 1024 + 1;
/// How often it is looked whether the server is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Threads that wait for connections. The cloud itself answers one request at a time.
const THREADS: usize = 2;

/// A cloud that is served.
pub struct Server {
    /// Who answers.
    pub cloud: Arc<Embedded>,
    /// The time that it goes by.
    pub clock: Arc<dyn Clock>,
    /// Who hears of each request.
    pub note: Box<Note>,
    /// What clients may take.
    pub bounds: Bounds,
}

/// A connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the answer is lost, as was asked for")]
    Lost,
    #[error("the request did not come to its end")]
    Broken,
}

impl Server {
    /// Serves until `stopped` says so; what is under way then is answered first, for as long as the bounds allow.
    ///
    /// # Errors
    /// The system grants no threads, or does not let the socket be listened on.
    pub fn run(self, listener: TcpListener, stopped: impl Fn() -> bool) -> io::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_io().enable_time().build()?;
        let farewell = self.bounds.farewell;
        let served = runtime.block_on(Arc::new(self).accept(listener, &stopped));
        runtime.shutdown_timeout(farewell);
        served
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, stopped: &impl Fn() -> bool) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let room = Arc::new(Semaphore::new(self.bounds.connections));
        let graceful = GracefulShutdown::new();
        let stop = async {
            while !stopped() {
                sleep(GLANCE).await;
            }
        };
        tokio::pin!(stop);
        loop {
            let next = async {
                // It is never closed.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                (listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                next = next => next,
                () = &mut stop => break,
            };
            let Ok((stream, _)) = accepted else {
                // The client is gone already, or there are no more files to be had: later there may be.
                sleep(GLANCE).await;
                continue;
            };
            // A small answer does not wait for a large one.
            stream.set_nodelay(true).ok();
            let mut stream = TimeoutStream::new(stream);
            stream.set_read_timeout(Some(self.bounds.silence));
            stream.set_write_timeout(Some(self.bounds.silence));
            let server = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&server).answer(request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.bounds.headers)
                .auto_date_header(false)
                .half_close(true)
                .serve_connection(TokioIo::new(Box::pin(stream) as Pin<Box<TimeoutStream<_>>>), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // However it ended: whoever is concerned has seen it.
                drop(connection.await);
                drop(permit);
            });
        }
        drop(listener);
        drop(timeout(self.bounds.farewell, graceful.shutdown()).await);
        Ok(())
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let (head, body) = request.into_parts();
        let body = match timeout(self.bounds.body, Limited::new(body, MOST_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let (response, entry) =
                    self.cloud.refuse(self.clock.now_ms(), "RequestSizeLimitExceeded", "a body has at most 10 MB");
                (self.note)(&entry);
                return Ok(whole(response));
            }
            Ok(Err(_)) | Err(_) => return Err(Closed::Broken),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let request = HttpRequest {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            body: body.to_vec(),
        };
        let answered = spawn_blocking(move || {
            let (response, entry) = self.cloud.serve(self.clock.now_ms(), &request);
            (self.note)(&entry);
            (response, entry.lost.is_some())
        });
        match answered.await {
            Ok((response, false)) => Ok(whole(response)),
            Ok((_, true)) => Err(Closed::Lost),
            Err(_) => Err(Closed::Broken),
        }
    }
}

fn whole(response: HttpResponse) -> Response<Full<Bytes>> {
    let HttpResponse { status, headers, body, cloud_ms: _ } = response;
    let mut whole = Response::builder().status(status);
    for (name, value) in headers {
        whole = whole.header(name, value);
    }
    whole.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

/// Whether nobody but this machine reaches an address.
#[must_use]
pub fn is_local(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
