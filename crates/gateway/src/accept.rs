//! Accepts connections of one listener on one worker and starts serving them.

use crate::greet::{self, Greeted, Protocol, greet};
use crate::http1::Connection;
use crate::http2;
use crate::identify::Peer;
use crate::view::View;
use crate::worker::{OpenConnection, Worker};
use headgate_net::listener::ListenSocket;
use headgate_net::stream::Stream;
use headgate_observe::counter::Gauge;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// Pause after an accept that failed for want of descriptors or memory.
const BREATHER: Duration = Duration::from_millis(50);

/// A listening socket in the worker's runtime.
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: ListenSocket) -> io::Result<Self> {
        match socket {
            ListenSocket::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            ListenSocket::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// The next connection and the address of its peer; `None` for a Unix socket's.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        Poll::Ready(match self {
            Self::Tcp(socket) => {
                ready!(socket.poll_accept(cx)).map(|(stream, address)| (Stream::from(stream), Some(address)))
            }
            Self::Unix(socket) => {
                ready!(socket.poll_accept(cx)).map(|(stream, _)| (Stream::from(stream), None))
            }
        })
    }
}

/// Connections that are still taken from a socket's queue when accepting ends. Most systems let no queue grow
/// longer (`net.core.somaxconn`).
const LAST: usize = 4_096;

/// Accepts on `socket`, which is bound to `bind` for the listener `name`, until that is removed or moved or
/// the worker stops. What already waits in the socket's queue by then is still accepted.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn accept(
    worker: Rc<Worker>,
    name: Box<str>,
    bind: Box<str>,
    socket: ListenSocket,
) -> io::Result<()> {
    let acceptor = Acceptor::new(socket)?;
    let mut stops = worker.shared.stops();
    let mut changes = worker.shared.changes();
    // A stop may have come before.
    stops.mark_changed();
    loop {
        let is_news = tokio::select! {
            biased;
            accepted = poll_fn(|cx| acceptor.poll_accept(cx)) => {
                start(&worker, &name, accepted).await;
                // A queue that never gets empty hides no stop.
                stops.has_changed().unwrap_or(true) || changes.has_changed().unwrap_or(true)
            }
            _ = stops.changed() => true,
            _ = changes.changed() => true,
        };
        let is_over = is_news && {
            changes.mark_unchanged();
            let view = worker.view();
            let mut listeners = view.snapshot.listeners.iter();
            *stops.borrow_and_update() || !listeners.any(|one| one.name == name && *one.spec.bind == *bind)
        };
        if is_over {
            // Without the runtime's budget: to have used it up would pass for an empty queue.
            tokio::task::unconstrained(take_last(&worker, &name, &acceptor)).await;
            return Ok(());
        }
    }
}

async fn take_last(worker: &Rc<Worker>, name: &str, acceptor: &Acceptor) {
    for _ in 0..LAST {
        let Some(accepted) = poll_fn(|cx| Poll::Ready(waiting(acceptor, cx))).await else { return };
        start(worker, name, accepted).await;
    }
}

fn waiting(acceptor: &Acceptor, cx: &mut Context<'_>) -> Option<io::Result<(Stream, Option<SocketAddr>)>> {
    match acceptor.poll_accept(cx) {
        Poll::Ready(accepted) => Some(accepted),
        Poll::Pending => None,
    }
}

async fn start(worker: &Rc<Worker>, name: &str, accepted: io::Result<(Stream, Option<SocketAddr>)>) {
    match accepted {
        Ok((stream, address)) => {
            let view = worker.view();
            let listeners = &view.snapshot.listeners;
            let Some(listener) = listeners.iter().position(|listener| &*listener.name == name) else {
                return;
            };
            // Counted now and not when the task first runs: a stop in between must wait for it.
            let open = worker.open_connection();
            tokio::task::spawn_local(serve(open, view, listener, stream, address));
        }
        Err(error) if is_lost_connection(&error) => {}
        Err(_) => tokio::time::sleep(BREATHER).await,
    }
}

/// Serves one connection from its first byte to its last.
async fn serve(
    open: OpenConnection,
    view: Rc<View>,
    listener: usize,
    stream: Stream,
    address: Option<SocketAddr>,
) {
    let worker = &open.worker;
    let counts = Rc::clone(&view.listeners[listener]);
    let compiled = &view.snapshot.listeners[listener];
    let Some(_place) = compiled.enter() else {
        counts.metrics.connections_refused.inc();
        return;
    };
    let deadline = worker.deadlines.deadline();
    let local = if view.snapshot.sends_proxy_headers { stream.local_address() } else { None };
    let greeted = if greet::needs_none(compiled) {
        let peer = Peer::new(address, &compiled.trusted, false);
        Ok(Greeted { stream, peer, protocol: Protocol::Http1 })
    } else {
        // Boxed, so that a connection's task does not carry the handshake's state for its lifetime.
        Box::pin(greet(stream, address, compiled, &deadline)).await
    };
    counts.metrics.connections_accepted.inc();
    let _active = Active::begin(&counts.metrics.connections_active);
    match greeted {
        Ok(Greeted { stream, mut peer, protocol }) => {
            peer.sockets = peer.source.zip(local);
            if peer.tls {
                counts.metrics.tls_handshakes.inc();
            }
            match protocol {
                Protocol::Http1 => {
                    let worker = Rc::clone(worker);
                    let connection =
                        Connection { worker, stream, peer, listener, view, deadline, requests: 0 };
                    Box::new(connection).serve().await;
                }
                // Boxed, so that an HTTP/1 connection's task does not carry the state of an HTTP/2 one.
                Protocol::Http2 => {
                    Box::pin(http2::serve(Rc::clone(worker), stream, peer, listener, view, deadline)).await;
                }
            }
        }
        Err(fault) => {
            worker.faults.record(fault.kind);
            counts.metrics.bad_request(fault.kind);
            if compiled.tls.is_some() {
                counts.metrics.tls_failures.inc();
            }
        }
    }
}

/// A connection in the gauge of those that are open, however its task ends.
struct Active<'l>(&'l Gauge);

impl<'l> Active<'l> {
    fn begin(gauge: &'l Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Whether the error concerns only the connection that would have been accepted.
fn is_lost_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
