//! Accepts connections of one listener on one worker and starts serving them.

use crate::admitted::Admitted;
use crate::crew::Crew;
use crate::greet::{self, Greeted, Protocol, greet};
use crate::http1::Connection;
use crate::http2;
use crate::identify::Peer;
use crate::view::View;
use crate::worker::Worker;
use headgate_net::deadline::Deadline;
use headgate_net::listener::{ListenSocket, is_silenced};
use headgate_net::stream::Stream;
use headgate_observe::log::{self, Level, PeerEvent};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

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

    /// Whether it is on its way out, and handshakes may still be under way.
    fn is_silenced(&self) -> bool {
        match self {
            Self::Tcp(socket) => is_silenced(socket),
            Self::Unix(_) => false,
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

/// Where the connections of one listener come in.
struct Door {
    worker: Rc<Worker>,
    /// The listener's name and address.
    name: Box<str>,
    bind: Box<str>,
    /// Answers the requests of its HTTP/2 connections.
    streams: Rc<Crew<http2::Asked>>,
}

/// Connections that are still taken from a socket's queue when accepting ends. Most systems let no queue grow
/// longer (`net.core.somaxconn`).
const LAST: usize = 4_096;

/// How long a silenced socket is accepted from: what still comes in are handshakes that had begun, and most take
/// less than this for their round trip.
const HANDSHAKES: Duration = Duration::from_millis(250);

/// Accepts on `socket`, which is bound to `bind` for the listener `name`, until that is removed or moved or
/// the worker stops. What already waits in the socket's queue by then is still accepted; and, where whoever
/// removed or moved the listener has silenced the socket, what comes into it in the next quarter of a second.
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
    let door = Door { worker, name, bind, streams: Rc::default() };
    // A stop may have come before.
    stops.mark_changed();
    loop {
        let is_news = tokio::select! {
            biased;
            accepted = poll_fn(|cx| acceptor.poll_accept(cx)) => {
                door.start(accepted).await;
                // A queue that never gets empty hides no stop.
                stops.has_changed().unwrap_or(true) || changes.has_changed().unwrap_or(true)
            }
            _ = stops.changed() => true,
            _ = changes.changed() => true,
        };
        let is_over = is_news && {
            changes.mark_unchanged();
            *stops.borrow_and_update() || acceptor.is_silenced() || !door.is_wanted()
        };
        if is_over {
            if acceptor.is_silenced() {
                door.take_handshakes(&acceptor, &mut stops).await;
            }
            // The runtime looks at its sockets before it comes back: what has arrived by now is then known.
            tokio::task::yield_now().await;
            // Without the runtime's budget: to have used it up would pass for an empty queue.
            tokio::task::unconstrained(door.take_last(&acceptor)).await;
            return Ok(());
        }
    }
}

impl Door {
    fn is_wanted(&self) -> bool {
        let view = self.worker.view();
        let mut listeners = view.snapshot.listeners.iter();
        listeners.any(|listener| listener.name == self.name && *listener.spec.bind == *self.bind)
    }

    async fn take_handshakes(&self, acceptor: &Acceptor, stops: &mut watch::Receiver<bool>) {
        let accept_all = async {
            loop {
                self.start(poll_fn(|cx| acceptor.poll_accept(cx)).await).await;
            }
        };
        tokio::select! {
            _ = stops.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(HANDSHAKES) => {}
            () = accept_all => {}
        }
    }

    async fn take_last(&self, acceptor: &Acceptor) {
        for _ in 0..LAST {
            match poll_fn(|cx| Poll::Ready(waiting(acceptor, cx))).await {
                Some(Err(error)) if !is_lost_connection(&error) => return,
                Some(accepted) => self.start(accepted).await,
                None => return,
            }
        }
    }

    async fn start(&self, accepted: io::Result<(Stream, Option<SocketAddr>)>) {
        match accepted {
            Ok((stream, address)) => {
                let view = self.worker.view();
                let listeners = &view.snapshot.listeners;
                let is_named = |at: &usize| listeners[*at].name == self.name;
                // Any listener may have the port 0, so that says nothing.
                let is_here = |at: &usize| {
                    *listeners[*at].spec.bind == *self.bind && (is_named(at) || !self.bind.ends_with(":0"))
                };
                // Where another has the address by now, who still comes in there is its client.
                let candidates = (0..listeners.len()).filter(|at| is_here(at) || is_named(at));
                let listener = candidates.max_by_key(|at| (is_here(at), is_named(at)));
                if let Some(listener) = listener {
                    self.begin(view, listener, stream, address);
                }
            }
            Err(error) if is_lost_connection(&error) => {}
            Err(error) => {
                static FAILED: PeerEvent = PeerEvent::new("accept");
                let fields: log::Fields<'_> = &[("listener", &self.name), ("error", &error)];
                log::peer_event(&FAILED, Level::Warn, "cannot accept connections", fields);
                tokio::time::sleep(BREATHER).await;
            }
        }
    }

    /// Starts the task of one connection, or closes it for want of a place.
    fn begin(&self, view: Rc<View>, listener: usize, stream: Stream, address: Option<SocketAddr>) {
        let worker = &self.worker;
        let compiled = &view.snapshot.listeners[listener];
        let Some(places) = compiled.enter().and_then(|place| Some([place, worker.shared.enter()?])) else {
            view.listeners[listener].metrics.connections_refused.inc();
            return;
        };
        let local = if view.snapshot.sends_proxy_headers { stream.local_address() } else { None };
        let deadline = worker.deadlines.deadline();
        let admitted = Admitted::new(worker, &view, listener, places);
        if greet::needs_none(compiled) {
            let peer = Peer::new(address, &compiled.trusted, false).between(local);
            let greeted = Greeted { stream, peer, protocol: Protocol::Http1 };
            tokio::task::spawn_local(http1(worker, view, listener, greeted, deadline, admitted).serve());
        } else {
            let (worker, streams) = (Rc::clone(worker), Rc::clone(&self.streams));
            let accepted = Accepted { stream, address, local, deadline, admitted };
            // Boxed, so that the task is small while it is moved to where it stays.
            let served = Box::pin(greet_and_serve(worker, streams, view, listener, accepted));
            tokio::task::spawn_local(served);
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.streams.dismiss();
    }
}

/// A connection that has a place.
struct Accepted {
    stream: Stream,
    address: Option<SocketAddr>,
    /// Our end's address, where it is wanted.
    local: Option<SocketAddr>,
    deadline: Deadline,
    admitted: Admitted,
}

fn waiting(acceptor: &Acceptor, cx: &mut Context<'_>) -> Option<io::Result<(Stream, Option<SocketAddr>)>> {
    match acceptor.poll_accept(cx) {
        Poll::Ready(accepted) => Some(accepted),
        Poll::Pending => None,
    }
}

fn http1(
    worker: &Rc<Worker>,
    view: Rc<View>,
    listener: usize,
    Greeted { stream, peer, .. }: Greeted,
    deadline: Deadline,
    admitted: Admitted,
) -> Box<Connection> {
    let worker = Rc::clone(worker);
    Box::new(Connection { worker, stream, peer, listener, view, deadline, requests: 0, _admitted: admitted })
}

/// Serves a connection that does not begin with a plain HTTP/1 request.
async fn greet_and_serve(
    worker: Rc<Worker>,
    streams: Rc<Crew<http2::Asked>>,
    view: Rc<View>,
    listener: usize,
    Accepted { stream, address, local, deadline, admitted }: Accepted,
) {
    let compiled = &view.snapshot.listeners[listener];
    // Boxed, so that a connection's task does not carry the handshake's state for its lifetime.
    let greeted = Box::pin(greet(stream, address, compiled, &deadline)).await;
    let metrics = &view.listeners[listener].metrics;
    match greeted {
        Ok(Greeted { stream, peer, protocol }) => {
            let greeted = Greeted { stream, peer: peer.between(local), protocol };
            if greeted.peer.tls {
                metrics.tls_handshakes.inc();
            }
            match protocol {
                Protocol::Http1 => http1(&worker, view, listener, greeted, deadline, admitted).serve().await,
                // Boxed, so that an HTTP/1 connection's task does not carry the state of an HTTP/2 one.
                Protocol::Http2 => {
                    let Greeted { stream, peer, .. } = greeted;
                    Box::pin(http2::serve(worker, streams, stream, peer, listener, view, deadline)).await;
                    drop(admitted);
                }
            }
        }
        Err(fault) => {
            worker.faults.record(fault.kind);
            metrics.bad_request(fault.kind);
            if compiled.tls.is_some() {
                metrics.tls_failures.inc();
            }
        }
    }
}

/// Whether the error concerns only the connection that would have been accepted.
fn is_lost_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
