//! One HTTP/2 client connection: its streams, each a task of its own, and the care for the connection they
//! share: when it is too much, too long or to end. What a stream does is written once, in `phases`.

use crate::crew::Crew;
use crate::identify::Peer;
use crate::record;
use crate::view::View;
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use headgate_model::fault::FaultKind;
use headgate_model::spec::Limits;
use headgate_net::body::{Backlog, SMALL_FRAMES_BUDGET};
use headgate_net::deadline::Deadline;
use headgate_net::frame_meter::{FrameMeter, Metered};
use headgate_net::gathered::Gathered;
use headgate_net::stream::Stream;
use resets::Resets;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

mod resets;
mod stream;

pub(crate) use stream::Asked;

/// What a client may send ahead on one stream: at 50 ms round trip some 5 MB/s.
const STREAM_WINDOW: u32 = 256 * 1024;
/// And on all of them. A client only takes the window from itself.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What waits to be sent on one stream. With the client's streams this bounds what a slow one can hold.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that Headgate resets for the client's errors before the connection goes too.
const MOST_ERRORS: usize = 256;
/// Each field counts for so many bytes more in HTTP/2's measure of a head (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: u32 = 32;
/// How long a client may take to close a connection that has ended.
const LINGER: Duration = Duration::from_secs(2);

/// A client and what its streams have in common.
struct Client {
    worker: Rc<Worker>,
    /// Answers its requests, beside those of other connections.
    streams: Rc<Crew<Asked>>,
    peer: Peer,
    /// Streams under way.
    active: Cell<usize>,
    resets: RefCell<Resets>,
    backlog: Rc<Backlog>,
    /// Wakes the connection's task when a stream has ended.
    connection: Cell<Option<Waker>>,
}

/// What a connection's task has to react to.
enum Event {
    Request(Box<(http::Request<RecvStream>, SendResponse<Bytes>)>),
    Flood,
    Failed(h2::Error),
    Closed,
    /// The deadline passed.
    Due,
    Stop,
}

/// Serves a connection to its end. The client has to begin with the connection preface.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    streams: Rc<Crew<Asked>>,
    stream: Stream,
    peer: Peer,
    listener: usize,
    view: Rc<View>,
    deadline: Deadline,
) {
    let spec = &view.snapshot.listeners[listener].spec;
    let meter = Rc::new(RefCell::new(FrameMeter::new(worker.now())));
    let shared = Arc::clone(&worker.shared);
    let gathered = Rc::new(Gathered::new(stream, Rc::clone(&worker.buffers)));
    let backlog = Rc::new(Backlog::default());
    let stream =
        Metered::new(Rc::clone(&gathered), Rc::clone(&meter), Rc::clone(&backlog), move || shared.now());
    deadline.set(spec.timeouts.head.0);
    let builder = builder(&spec.limits);
    let mut handshake = pin!(builder.handshake::<_, Bytes>(stream));
    let begun = poll_fn(|cx| {
        let begun = handshake.as_mut().poll(cx);
        // What cannot be sent shows when it is read.
        let _ = gathered.poll_send(cx);
        match begun {
            Poll::Ready(begun) => Poll::Ready(begun.ok()),
            Poll::Pending => deadline.poll_due(cx).map(|()| None),
        }
    });
    let Some(connection) = begun.await else { return };
    deadline.clear();
    let resets = RefCell::new(Resets::new(spec.limits.streams, worker.now()));
    let (active, connection_task) = (Cell::new(0), Cell::new(None));
    let client = Client { worker, streams, peer, active, resets, backlog, connection: connection_task };
    let resting = Cell::new(false);
    let client = Rc::new(client);
    let mut served =
        Served { client, listener, view, deadline, resting, meter, gathered, requests: 0, ending: false };
    served.run(connection).await;
}

fn builder(limits: &Limits) -> Builder {
    let streams = limits.streams as usize;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head.0 as u32 + FIELD_OVERHEAD * u32::from(limits.headers))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES_BUDGET)
        // WebSockets (RFC 8441); `stream` refuses every other use of CONNECT.
        .enable_connect_protocol()
        // A client may give up on all that it asked for at once; more than that in one turn is a flood.
        .max_pending_accept_reset_streams(streams)
        .max_concurrent_reset_streams(streams)
        .max_local_error_reset_streams(Some(MOST_ERRORS));
    builder
}

/// One connection under way.
struct Served {
    client: Rc<Client>,
    /// Index of the connection's listener in `view`.
    listener: usize,
    view: Rc<View>,
    deadline: Deadline,
    /// No stream is under way and the deadline is set.
    resting: Cell<bool>,
    meter: Rc<RefCell<FrameMeter>>,
    gathered: Rc<Gathered>,
    requests: u32,
    /// No more requests are wanted: what is under way is finished.
    ending: bool,
}

impl Served {
    async fn run<Io: AsyncRead + AsyncWrite + Unpin>(&mut self, mut connection: Connection<Io, Bytes>) {
        let mut stops = self.client.worker.shared.stops();
        let mut stopped = pin!(async { drop(stops.wait_for(|stopping| *stopping).await) });
        loop {
            let event = poll_fn(|cx| {
                self.client.connection.set(Some(cx.waker().clone()));
                let request = connection.poll_accept(cx);
                self.client.backlog.gather();
                self.count_refused();
                if self.is_flooding() {
                    return Poll::Ready(Event::Flood);
                }
                match request {
                    Poll::Ready(Some(Ok(request))) => return Poll::Ready(Event::Request(Box::new(request))),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Event::Failed(error)),
                    Poll::Ready(None) => return Poll::Ready(Event::Closed),
                    Poll::Pending => {}
                }
                if let Poll::Ready(Err(_)) = self.gathered.poll_send(cx) {
                    return Poll::Ready(Event::Closed);
                }
                if !self.ending && stopped.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Stop);
                }
                self.set_clock();
                self.deadline.poll_due(cx).map(|()| Event::Due)
            });
            match event.await {
                Event::Request(request) => {
                    self.client.worker.follow_reload(&mut self.view, &mut self.listener);
                    self.requests += 1;
                    let (request, respond) = *request;
                    self.meter.borrow_mut().handed_on(respond.stream_id().as_u32());
                    stream::start(&self.client, &self.view, self.listener, request, respond);
                    let limit = self.view.snapshot.listeners[self.listener].spec.limits.requests;
                    if limit > 0 && self.requests >= limit {
                        self.end(&mut connection);
                    }
                }
                Event::Stop => self.end(&mut connection),
                Event::Due if !self.ending => self.end(&mut connection),
                Event::Due | Event::Closed => return,
                Event::Flood => return self.cut(connection).await,
                Event::Failed(error) => return self.count(&error),
            }
        }
    }

    /// The deadline runs while no stream is under way; streams have deadlines of their own.
    fn set_clock(&self) {
        let rests = self.client.active.get() == 0;
        if self.resting.replace(rests) == rests {
            return;
        }
        if !rests {
            self.deadline.clear();
        } else if self.ending {
            // What streams have left behind may still be on its way to a slow client.
            self.deadline.set(self.view.snapshot.listeners[self.listener].spec.timeouts.body.0);
        } else {
            self.deadline.set(self.view.snapshot.listeners[self.listener].spec.timeouts.idle.0);
        }
    }

    /// Says goodbye with a GOAWAY; requests that are on their way to us are still answered.
    fn end<Io: AsyncRead + AsyncWrite + Unpin>(&mut self, connection: &mut Connection<Io, Bytes>) {
        if !self.ending {
            self.ending = true;
            self.resting.set(false);
            connection.graceful_shutdown();
        }
    }

    fn is_flooding(&self) -> bool {
        self.meter.borrow().is_spent() || self.client.resets.borrow().is_flood()
    }

    /// Ends the connection of a client that costs more than it asks for.
    #[cold]
    async fn cut<Io: AsyncRead + AsyncWrite + Unpin>(&self, mut connection: Connection<Io, Bytes>) {
        self.record(FaultKind::Flood);
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.deadline.set(LINGER);
        poll_fn(|cx| match connection.poll_closed(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => {
                // The deadline bounds it, whatever becomes of this.
                let _ = self.gathered.poll_send(cx);
                self.deadline.poll_due(cx)
            }
        })
        .await;
    }

    /// Counts the requests that `h2` refused by itself.
    fn count_refused(&self) {
        let refused = self.meter.borrow_mut().take_refused();
        for (kind, count) in
            [(FaultKind::BadRequest, refused.malformed), (FaultKind::HeadTooLarge, refused.too_large)]
        {
            for _ in 0..count {
                self.record(kind);
                record::tell_unread(&self.client.worker, &self.view, &self.client.peer, kind);
            }
        }
    }

    /// Counts a connection that `h2` ended for what the client did; one that merely broke is nobody's fault.
    fn count(&self, error: &h2::Error) {
        if error.is_library() {
            let flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
            self.record(if flood { FaultKind::Flood } else { FaultKind::BadRequest });
        }
    }

    fn record(&self, kind: FaultKind) {
        self.client.worker.faults.record(kind);
        self.view.listeners[self.listener].metrics.bad_request(kind);
    }
}
