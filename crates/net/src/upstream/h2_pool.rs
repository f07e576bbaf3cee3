//! One worker's HTTP/2 connections to one endpoint, each shared by many requests. Few by design: another is
//! opened only when every stream of those that are open is taken.

use super::h2_wire::Wire;
use crate::body::{Backlog, Received, SMALL_FRAMES_BUDGET};
use crate::deadline::Deadline;
use crate::stream::Stream;
use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, RecvStream, SendStream};
use headgate_model::fault::{Fault, FaultKind};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// Connections to one endpoint.
const MOST_CONNECTIONS: usize = 32;
/// Concurrent streams on one connection, if the endpoint allows so many.
const MOST_STREAMS: usize = 128;
/// What one response may send ahead of its client.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Room for all streams: otherwise slow clients could take the window that the others' responses need.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;
/// What waits to be sent on one stream.
const SEND_BUFFER: usize = 64 * 1024;
/// A connection on which a response did not come in time has to answer a PING within this. There are no
/// other PINGs: servers count them as an attack.
const PONG_WITHIN: Duration = Duration::from_secs(5);

/// Connections to one endpoint.
#[derive(Default)]
pub struct H2Pool {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    entries: RefCell<Vec<Entry>>,
    /// One more is being opened; whoever needs it too waits for it.
    opening: Cell<bool>,
    /// A stream or a place for a connection may have become free.
    changed: Notify,
}

struct Entry {
    send: SendRequest<Bytes>,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    tls: bool,
    active: Cell<usize>,
    /// Requests begun on it.
    begun: Cell<u32>,
    backlog: Rc<Backlog>,
    /// Asks the driver for a PING; until it is answered nothing new is begun.
    doubted: Cell<bool>,
    doubt: Notify,
}

/// What a request gets.
pub enum Place<'p> {
    Stream(Lease),
    /// A connection has to be opened.
    Open(Opening<'p>),
}

/// How connections end.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    pub idle_timeout: Duration,
    /// Requests on one connection; zero for no limit.
    pub requests: u32,
}

impl H2Pool {
    /// A free stream, or the turn to open a connection.
    ///
    /// # Errors
    /// When neither comes up until `deadline`.
    pub async fn place(&self, lifetime: &Lifetime, deadline: &Deadline) -> Result<Place<'_>, Fault> {
        let shared = &*self.shared;
        loop {
            if let Some(lease) = self.lease(lifetime) {
                return Ok(Place::Stream(lease));
            }
            if !shared.opening.get() && shared.entries.borrow().len() < MOST_CONNECTIONS {
                shared.opening.set(true);
                return Ok(Place::Open(Opening { shared: &self.shared }));
            }
            let mut changed = pin!(shared.changed.notified());
            poll_fn(|cx| match changed.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Ok(())),
                Poll::Pending => deadline.poll_due(cx).map(|()| {
                    Err(Fault::new(
                        FaultKind::ConnectTimeout,
                        "no stream of the upstream's connections became free in time",
                    ))
                }),
            })
            .await?;
        }
    }

    /// Begins nothing new on the connections; each closes after its last response.
    pub fn close(&self) {
        self.shared.entries.borrow_mut().clear();
    }

    /// A stream on a connection that is open and has one free. Forgets those that have closed.
    fn lease(&self, lifetime: &Lifetime) -> Option<Lease> {
        let mut entries = self.shared.entries.borrow_mut();
        let mut cx = Context::from_waker(Waker::noop());
        entries.retain_mut(|entry| !matches!(entry.send.poll_ready(&mut cx), Poll::Ready(Err(_))));
        let has_room = |entry: &&Entry| {
            !entry.state.doubted.get()
                && entry.state.active.get() < entry.send.current_max_send_streams().min(MOST_STREAMS)
        };
        let entry = entries.iter().find(has_room)?;
        let lease = Lease::new(entry, &self.shared);
        if lifetime.requests > 0 && lease.state.begun.get() >= lifetime.requests {
            entries.retain(|entry| !Rc::ptr_eq(&entry.state, &lease.state));
        }
        Some(lease)
    }
}

/// The turn to open a connection; passes on when dropped.
pub struct Opening<'p> {
    shared: &'p Rc<Shared>,
}

impl Opening<'_> {
    /// Begins HTTP/2 on a connected stream and takes its first stream.
    ///
    /// # Errors
    /// When the endpoint does not answer with its SETTINGS until `deadline`.
    pub async fn connected(
        self,
        stream: Stream,
        tls: bool,
        most_head_bytes: usize,
        lifetime: &Lifetime,
        deadline: &Deadline,
    ) -> Result<Lease, Fault> {
        const NOT_HTTP2: Fault =
            Fault::new(FaultKind::ConnectFailed, "the upstream closed the connection or speaks no HTTP/2");
        const NOT_IN_TIME: Fault =
            Fault::new(FaultKind::ConnectTimeout, "the upstream did not begin HTTP/2 in time");
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(most_head_bytes as u32)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(SMALL_FRAMES_BUDGET)
            .enable_push(false)
            // None before the endpoint has said how many: see below.
            .initial_max_send_streams(0);
        let state = Rc::new(State { tls, ..State::default() });
        let wire = Wire::new(stream, Rc::clone(&state.backlog));
        let mut handshake = pin!(builder.handshake::<_, Bytes>(wire));
        let handshake = poll_fn(|cx| match handshake.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done.map_err(|_| NOT_HTTP2)),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(NOT_IN_TIME)),
        });
        let (send, mut connection) = handshake.await?;
        // The endpoint's SETTINGS are waited for: they say how much it takes, and that it speaks HTTP/2 at
        // all. A request sent before is sent into the dark.
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(_) => Poll::Ready(Err(NOT_HTTP2)),
            Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(NOT_IN_TIME)),
        })
        .await?;
        let pool = Rc::downgrade(self.shared);
        tokio::task::spawn_local(drive(connection, Rc::clone(&state), pool, lifetime.idle_timeout));
        let entry = Entry { send, state };
        let lease = Lease::new(&entry, self.shared);
        if lifetime.requests != 1 {
            self.shared.entries.borrow_mut().push(entry);
        }
        Ok(lease)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.shared.opening.set(false);
        self.shared.changed.notify_waiters();
    }
}

/// One stream's place on a connection; free again when dropped.
pub struct Lease {
    send: RefCell<SendRequest<Bytes>>,
    state: Rc<State>,
    reused: bool,
    pool: Weak<Shared>,
}

impl Lease {
    fn new(entry: &Entry, pool: &Rc<Shared>) -> Self {
        let state = Rc::clone(&entry.state);
        state.active.set(state.active.get() + 1);
        let before = state.begun.replace(state.begun.get().saturating_add(1));
        Self { send: RefCell::new(entry.send.clone()), state, reused: before > 0, pool: Rc::downgrade(pool) }
    }

    /// Whether the connection had carried a request before.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    pub(super) fn tls(&self) -> bool {
        self.state.tls
    }

    pub(super) fn send(
        &self,
        request: http::Request<()>,
        ended: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.send.borrow_mut().send_request(request, ended)
    }

    /// The body of a response on the connection.
    pub(super) fn receive(&self, stream: RecvStream) -> Rc<Received> {
        self.state.backlog.receive(stream)
    }

    /// A response did not come in time: has the connection checked before anything else is begun on it.
    pub(super) fn doubt(&self) {
        self.state.doubted.set(true);
        self.state.doubt.notify_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.active.set(self.state.active.get() - 1);
        if let Some(pool) = self.pool.upgrade() {
            pool.changed.notify_one();
        }
    }
}

/// Carries a connection's frames until it closes, rests too long, or does not answer a PING.
async fn drive(
    mut connection: Connection<Wire, Bytes>,
    state: Rc<State>,
    pool: Weak<Shared>,
    idle_timeout: Duration,
) {
    let mut ping = connection.ping_pong();
    let mut connection = pin!(connection);
    let mut connection = poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        state.backlog.gather();
        ended
    });
    loop {
        let begun = state.begun.get();
        tokio::select! {
            biased;
            _ = &mut connection => break,
            () = state.doubt.notified() => {}
            () = tokio::time::sleep(idle_timeout) => {
                if state.active.get() == 0 && state.begun.get() == begun {
                    break;
                }
            }
        }
        if state.doubted.get() {
            let Some(ping) = &mut ping else { break };
            tokio::select! {
                biased;
                _ = &mut connection => break,
                pong = tokio::time::timeout(PONG_WITHIN, ping.ping(Ping::opaque())) => {
                    if !matches!(pong, Ok(Ok(_))) {
                        break;
                    }
                }
            }
            state.doubted.set(false);
            if let Some(pool) = pool.upgrade() {
                pool.changed.notify_waiters();
            }
        }
    }
    if let Some(pool) = pool.upgrade() {
        pool.entries.borrow_mut().retain(|entry| !Rc::ptr_eq(&entry.state, &state));
        pool.changed.notify_waiters();
    }
}
