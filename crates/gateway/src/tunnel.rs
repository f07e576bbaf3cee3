//! Two connections joined after a switch of protocols: bytes both ways, no meaning. Holds buffers only
//! while bytes are in them. The client's half is a connection, or a stream of HTTP/2 (RFC 8441).

use headgate_net::body::{H2Source, Piece, Received, Side, Sink, Source};
use headgate_net::buffer::{Buffers, SMALL};
use headgate_net::deadline::Deadline;
use headgate_net::downstream::ClientStream;
use headgate_net::stream::{IoFault, Stream};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The upstream half of a tunnel, until it is joined to its client.
pub(crate) struct Tunnel {
    pub upstream: Stream,
    /// What the upstream sent right behind its 101.
    pub to_client: Vec<u8>,
}

/// One direction failed, or nothing moved for too long: the other ends with it.
struct Broken;

impl Tunnel {
    /// Carries bytes until both sides have closed, one fails, or nothing moves for `idle`.
    /// `to_upstream` is what the client sent right behind its request.
    pub(crate) async fn run(
        self,
        client: &Stream,
        to_upstream: &[u8],
        buffers: &Rc<Buffers>,
        deadline: &Deadline,
        idle: Duration,
    ) {
        deadline.set(idle);
        let sent = client.write(&self.to_client, &[], deadline).await;
        if sent.is_err() || self.upstream.write(to_upstream, &[], deadline).await.is_err() {
            return;
        }
        let down = copy(&self.upstream, Outlet::Connection(client), buffers, deadline, idle);
        let up = copy(client, Outlet::Connection(&self.upstream), buffers, deadline, idle);
        both(down, up, |_| Poll::Pending).await;
    }

    /// The same where the client's half is a stream: an end is END_STREAM, a failure cancels it. A side that takes
    /// nothing holds the other back, by its window or by the socket.
    pub(crate) async fn run_on_stream(
        self,
        client: &ClientStream,
        received: Rc<Received>,
        buffers: &Rc<Buffers>,
        deadline: &Deadline,
        idle: Duration,
    ) {
        deadline.set(idle);
        let down = async {
            let mut to = Outlet::Stream(client.tunnel());
            to.write(&self.to_client, deadline).await?;
            copy(&self.upstream, to, buffers, deadline, idle).await
        };
        let source = Source::H2(H2Source::new(received, Side::Client, 0));
        let up = from_stream(source, &self.upstream, deadline, idle);
        both(down, up, |cx| client.poll_reset(cx)).await;
    }
}

/// Where one direction goes.
enum Outlet<'t> {
    Connection(&'t Stream),
    /// A client's stream of HTTP/2.
    Stream(Sink<'t>),
}

impl Outlet<'_> {
    async fn write(&mut self, bytes: &[u8], deadline: &Deadline) -> Result<(), Broken> {
        match self {
            Self::Connection(to) => to.write(bytes, &[], deadline).await.map_err(broken),
            Self::Stream(to) => {
                to.push(bytes, deadline).await.map_err(broken)?;
                to.flush(deadline).await.map_err(broken)
            }
        }
    }

    async fn end(self, deadline: &Deadline) -> Result<(), Broken> {
        match self {
            Self::Connection(to) => {
                to.shutdown(deadline).await;
                Ok(())
            }
            Self::Stream(mut to) => to.finish(None, deadline).await.map_err(broken),
        }
    }
}

/// Runs two directions side by side. An end of one leaves the other open (half-close); a failure ends both, and so
/// does `gone`.
async fn both(
    down: impl Future<Output = Result<(), Broken>>,
    up: impl Future<Output = Result<(), Broken>>,
    mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
) {
    let (mut down, mut up) = (pin!(down), pin!(up));
    let (mut down_done, mut up_done) = (false, false);
    poll_fn(|cx| {
        if !down_done && let Poll::Ready(result) = down.as_mut().poll(cx) {
            if result.is_err() {
                return Poll::Ready(());
            }
            down_done = true;
        }
        if !up_done && let Poll::Ready(result) = up.as_mut().poll(cx) {
            if result.is_err() {
                return Poll::Ready(());
            }
            up_done = true;
        }
        if down_done && up_done { Poll::Ready(()) } else { gone(cx) }
    })
    .await;
}

/// Carries one direction; both share the deadline, so traffic in either keeps the tunnel open.
async fn copy(
    from: &Stream,
    mut to: Outlet<'_>,
    buffers: &Rc<Buffers>,
    deadline: &Deadline,
    idle: Duration,
) -> Result<(), Broken> {
    let mut long = false;
    loop {
        from.readable(deadline).await.map_err(broken)?;
        let mut buffer = if long { buffers.large() } else { buffers.small() };
        match from.read(buffer.room(), deadline).await {
            Ok(count) => {
                long = count >= SMALL;
                buffer.advance(count);
                deadline.set(idle);
                to.write(buffer.filled(), deadline).await?;
            }
            Err(IoFault::Closed) => return to.end(deadline).await,
            Err(_) => return Err(Broken),
        }
    }
}

/// Carries what a client's stream brings to the upstream.
async fn from_stream(
    mut from: Source<'_>,
    to: &Stream,
    deadline: &Deadline,
    idle: Duration,
) -> Result<(), Broken> {
    loop {
        match from.next_piece().map_err(broken)? {
            Piece::Data(bytes) => {
                deadline.set(idle);
                to.write(bytes, &[], deadline).await.map_err(broken)?;
            }
            // The window opens for what was written.
            Piece::NeedMore => from.fill(deadline).await.map_err(broken)?,
            Piece::End => {
                to.shutdown(deadline).await;
                return Ok(());
            }
        }
    }
}

/// Whatever broke, both sides are closed.
fn broken<E>(_: E) -> Broken {
    Broken
}
