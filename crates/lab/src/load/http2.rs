//! One HTTP/2 connection with several requests at once. Framing and flow control are the `h2` crate's; this
//! file drives its futures by hand whenever the socket or one of them has something to say, without a runtime.

use super::agenda::Turn;
use super::exchange::{Done, Failure, Outcome, Standing};
use super::request::Requests;
use super::wire::Wire;
use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, RecvStream, SendStream};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a stream and a connection may receive before the generator has thrown them away.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;
/// Of the connection itself among those who are woken.
const CONNECTION: u32 = u32::MAX;

pub(super) struct Http2 {
    wire: Rc<RefCell<Wire>>,
    blocked: Rc<Cell<bool>>,
    state: State,
    streams_max: usize,
    streams: Vec<Option<Stream>>,
    vacant: Vec<u32>,
    woken: Arc<Woken>,
    waker: Waker,
}

type Greeted = (SendRequest<Bytes>, Connection<Socket, Bytes>);

/// The library takes a connection for greeted when it has sent its own part; an answered ping proves that the
/// other side speaks HTTP/2 too, and that its settings have come.
enum State {
    Greeting(Pin<Box<dyn Future<Output = Result<Greeted, h2::Error>>>>),
    Pinging(SendRequest<Bytes>, Box<Connection<Socket, Bytes>>, PingPong),
    Open(SendRequest<Bytes>, Box<Connection<Socket, Bytes>>),
    Over,
}

/// One request and its answer.
struct Stream {
    turn: Turn,
    waker: Waker,
    answer: Answer,
    /// The body that is still to be sent.
    upload: Option<SendStream<Bytes>>,
    upload_offset: u64,
}

enum Answer {
    Head(ResponseFuture),
    Body { status: u16, bytes: u64, body: RecvStream },
}

impl Http2 {
    /// Begins to greet on a connection that is open, TLS included.
    pub(super) fn new(wire: Wire, streams_max: usize) -> Self {
        let (wire, blocked) = (Rc::new(RefCell::new(wire)), Rc::new(Cell::new(false)));
        let socket = Socket { wire: wire.clone(), blocked: blocked.clone() };
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(streams_max);
        let greeting = Box::pin(async move { builder.handshake::<_, Bytes>(socket).await });
        let woken = Arc::new(Woken::default());
        let waker = woken.waker(CONNECTION);
        let state = State::Greeting(greeting);
        Self { wire, blocked, state, streams_max, streams: Vec::new(), vacant: Vec::new(), woken, waker }
    }

    pub(super) fn wire(&self) -> &Rc<RefCell<Wire>> {
        &self.wire
    }

    /// Requests that it may carry at once, as far as the peer agrees; zero before it is open.
    pub(super) fn room(&self) -> usize {
        match &self.state {
            State::Open(_, connection) => self.streams_max.min(connection.max_concurrent_send_streams()),
            _ => 0,
        }
    }

    /// Requests under way.
    pub(super) fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.streams.iter().flatten().map(|stream| &stream.turn)
    }

    /// Gives up all requests under way.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Turn> {
        self.streams.drain(..).flatten().map(|stream| stream.turn)
    }

    /// Resets the requests that were sent before `limit_ns`.
    pub(super) fn expire(&mut self, limit_ns: u64, done: &mut Vec<Done>) {
        for index in 0..self.streams.len() {
            if self.streams[index].as_ref().is_some_and(|stream| stream.turn.sent_ns < limit_ns) {
                self.end(index as u32, Outcome::Failed(Failure::Timeout), done);
            }
        }
    }

    /// Sends a request; the caller keeps to the number of streams.
    pub(super) fn send(&mut self, turn: Turn, requests: &Requests, done: &mut Vec<Done>) -> Standing {
        let State::Open(sender, _) = &mut self.state else {
            done.push(Done { turn, outcome: Outcome::Failed(Failure::Closed) });
            return Standing::Over;
        };
        let body_len = requests.body_len(&turn.request);
        let sent = requests
            .head(&turn.request)
            .map_err(|_| Failure::Malformed)
            .and_then(|head| sender.send_request(head, body_len == 0).map_err(|_| Failure::Closed));
        match sent {
            Err(failure) => done.push(Done { turn, outcome: Outcome::Failed(failure) }),
            Ok((answer, upload)) => {
                let index = self.vacant.pop().unwrap_or_else(|| {
                    self.streams.push(None);
                    self.streams.len() as u32 - 1
                });
                self.streams[index as usize] = Some(Stream {
                    turn,
                    waker: self.woken.waker(index),
                    answer: Answer::Head(answer),
                    upload: (body_len > 0).then_some(upload),
                    upload_offset: 0,
                });
                self.woken.push(index);
            }
        }
        self.serve(requests, done)
    }

    /// Reads and writes what is possible.
    pub(super) fn serve(&mut self, requests: &Requests, done: &mut Vec<Done>) -> Standing {
        self.blocked.set(false);
        self.woken.push(CONNECTION);
        let mut woken = Vec::new();
        loop {
            self.woken.take(&mut woken);
            if woken.is_empty() {
                return Standing::Open { wants_write: self.blocked.get() };
            }
            for index in woken.drain(..) {
                if index != CONNECTION {
                    self.advance(index, requests, done);
                } else if self.drive().is_err() {
                    self.state = State::Over;
                    for turn in self.streams.drain(..).flatten().map(|stream| stream.turn) {
                        done.push(Done { turn, outcome: Outcome::Failed(Failure::Closed) });
                    }
                    return Standing::Over;
                }
            }
        }
    }

    /// Moves frames between socket and streams.
    fn drive(&mut self) -> Result<(), ()> {
        let mut context = Context::from_waker(&self.waker);
        if let State::Greeting(greeting) = &mut self.state {
            let Poll::Ready(greeted) = greeting.as_mut().poll(&mut context) else { return Ok(()) };
            let (sender, mut connection) = greeted.map_err(drop)?;
            let mut pings = connection.ping_pong().ok_or(())?;
            pings.send_ping(Ping::opaque()).map_err(drop)?;
            self.state = State::Pinging(sender, Box::new(connection), pings);
        }
        if let State::Open(_, connection) | State::Pinging(_, connection, _) = &mut self.state
            // It ends in order only when the peer says so.
            && Pin::new(connection.as_mut()).poll(&mut context).is_ready()
        {
            return Err(());
        }
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Pinging(sender, connection, mut pings) => match pings.poll_pong(&mut context) {
                Poll::Pending => State::Pinging(sender, connection, pings),
                Poll::Ready(Ok(_)) => State::Open(sender, connection),
                Poll::Ready(Err(_)) => return Err(()),
            },
            State::Over => return Err(()),
            other => other,
        };
        Ok(())
    }

    /// Goes on with one request.
    fn advance(&mut self, index: u32, requests: &Requests, done: &mut Vec<Done>) {
        let Some(stream) = self.streams.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let waker = stream.waker.clone();
        let mut context = Context::from_waker(&waker);
        stream.upload(requests, &mut context);
        loop {
            match &mut stream.answer {
                Answer::Head(head) => match Pin::new(head).poll(&mut context) {
                    Poll::Pending => return,
                    Poll::Ready(Err(error)) => {
                        return self.end(index, Outcome::Failed(failure(&error)), done);
                    }
                    Poll::Ready(Ok(answer)) => {
                        let (head, body) = answer.into_parts();
                        stream.answer = Answer::Body { status: head.status.as_u16(), bytes: 0, body };
                    }
                },
                Answer::Body { status, bytes, body } => match body.poll_data(&mut context) {
                    Poll::Pending => return,
                    Poll::Ready(Some(Ok(data))) => {
                        *bytes += data.len() as u64;
                        // It fails only for more than was received.
                        let _ = body.flow_control().release_capacity(data.len());
                    }
                    Poll::Ready(Some(Err(error))) => {
                        return self.end(index, Outcome::Failed(failure(&error)), done);
                    }
                    Poll::Ready(None) => {
                        let outcome = Outcome::Answered { status: *status, bytes: *bytes };
                        return self.end(index, outcome, done);
                    }
                },
            }
        }
    }

    fn end(&mut self, index: u32, outcome: Outcome, done: &mut Vec<Done>) {
        if let Some(stream) = self.streams[index as usize].take() {
            self.vacant.push(index);
            done.push(Done { turn: stream.turn, outcome });
        }
    }
}

impl Stream {
    fn upload(&mut self, requests: &Requests, context: &mut Context<'_>) {
        let length = requests.body_len(&self.turn.request);
        while let Some(upload) = &mut self.upload {
            let piece = requests.body_at(self.upload_offset, length);
            upload.reserve_capacity(piece.len());
            let room = match upload.capacity() {
                0 => match upload.poll_capacity(context) {
                    Poll::Pending => return,
                    Poll::Ready(Some(Ok(room))) => room,
                    // The answer's side says what happened.
                    Poll::Ready(_) => return self.upload = None,
                },
                room => room,
            };
            let piece = &piece[..room.min(piece.len())];
            self.upload_offset += piece.len() as u64;
            let is_last = self.upload_offset == length;
            if upload.send_data(Bytes::copy_from_slice(piece), is_last).is_err() || is_last {
                self.upload = None;
            }
        }
    }
}

fn failure(error: &h2::Error) -> Failure {
    if error.is_io() || error.is_go_away() || error.is_reset() { Failure::Closed } else { Failure::Malformed }
}

/// Those who have something to do.
#[derive(Default)]
struct Woken(Mutex<Vec<u32>>);

impl Woken {
    fn waker(self: &Arc<Self>, index: u32) -> Waker {
        Waker::from(Arc::new(WakeOne { woken: self.clone(), index }))
    }

    fn push(&self, index: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(index);
    }

    fn take(&self, into: &mut Vec<u32>) {
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), into);
    }
}

struct WakeOne {
    woken: Arc<Woken>,
    index: u32,
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.woken.push(self.index);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.push(self.index);
    }
}

/// The wire as `h2` wants it. It registers nobody: the generator's loop serves the connection whenever the
/// socket is ready.
struct Socket {
    wire: Rc<RefCell<Wire>>,
    blocked: Rc<Cell<bool>>,
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.wire.borrow_mut().read(into.initialize_unfilled());
        match read {
            Ok(count) => {
                into.advance(count);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.wire.borrow_mut().write(bytes);
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked.set(true);
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.wire.borrow_mut().flush();
        match flushed {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                self.blocked.set(true);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
