//! Byte faults on one connection: what is written to it and read from it goes through the toxics of its
//! direction, each a small task between two bounded queues. The toxics are those of Toxiproxy, and
//! corruption. Which connections are poisoned is not decided here.
//!
//! - [`shape`]: when bytes arrive: `latency`, `bandwidth`, `slicer`.
//! - [`end`]: how the connection ends: `slow_close`, `timeout`, `reset_peer`, `limit_data`.
//! - [`corrupt`]: what bytes say, where [`content`] finds that they are content.
//!
//! [`lane`] carries the bytes of one direction through its toxics.

mod content;
mod corrupt;
mod end;
mod lane;
mod shape;

use crate::stream::Stream;
use headgate_model::dice::Dice;
use headgate_model::spec::Direction;
use headgate_model::toxic::{Toxic, ToxicKind};
use lane::{Fate, Lane, Shared};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Bytes that wait between the gateway and the first toxic, in each direction.
const BUFFER_BYTES: usize = 64 * 1024;
/// Connections of the process that a `slow_close` may hold after their request; beyond it they close at once.
const LINGERING_MAX: usize = 1_000;

static LINGERING: AtomicUsize = AtomicUsize::new(0);

/// What a connection carries: to tell content from framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Http1,
    Http2,
}

/// The connection with `toxics` on it, in their order. `dice` are thrown for jitter, sizes and corruption.
/// `cut` is called when a `slow_close` closes at once because too many are held already. Needs a runtime for
/// tasks that stay on their thread.
#[must_use]
pub fn poison(
    stream: Stream,
    toxics: &[Toxic],
    carries: Carries,
    dice: Dice,
    cut: impl FnOnce() + 'static,
) -> Stream {
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    let (alive, gone) = oneshot::channel();
    let shared = Rc::<Shared>::default();
    let (toxics, ours) = (toxics.to_vec(), Rc::clone(&shared));
    let end = End { gone, cut };
    tokio::task::spawn_local(drive(Rc::new(stream), far, toxics, carries, dice, ours, end));
    Stream::over(Box::new(Poisoned { near, shared, _alive: alive }))
}

/// The gateway's end of a connection.
struct End<F> {
    /// Ends when the gateway lets go.
    gone: oneshot::Receiver<()>,
    /// Called when the close that follows is not as slow as a toxic says.
    cut: F,
}

/// Carries both directions until the connection ends, or the gateway has no more use for it.
async fn drive(
    stream: Rc<Stream>,
    far: DuplexStream,
    toxics: Vec<Toxic>,
    carries: Carries,
    mut dice: Dice,
    shared: Rc<Shared>,
    end: End<impl FnOnce()>,
) {
    let End { mut gone, cut } = end;
    let (from_gateway, to_gateway) = tokio::io::split(far);
    let mut tasks = JoinSet::new();
    let mut lane = |stream: Direction| {
        let toxics = toxics.iter().filter(|toxic| toxic.stream == stream).map(|toxic| toxic.kind).collect();
        Lane { stream, toxics, carries, seed: dice.bits(), shared: Rc::clone(&shared) }
    };
    let (up, down) = (lane(Direction::Upstream), lane(Direction::Downstream));
    up.start(from_gateway, lane::Side(Rc::clone(&stream)), &mut tasks);
    down.start(lane::Side(Rc::clone(&stream)), to_gateway, &mut tasks);
    let ended = async {
        tokio::select! {
            () = shared.ended() => {}
            () = async { while tasks.join_next().await.is_some() {} } => {}
        }
    };
    tokio::select! {
        () = ended => {}
        _ = &mut gone => if linger(&toxics, &LINGERING, LINGERING_MAX).await == Close::Cut {
            cut();
        },
    }
    // Tasks end with their set, and the socket with them.
    if shared.fate() == Fate::Reset {
        stream.abort();
    }
}

/// How the gateway's close reaches the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    AsToxicsSay,
    /// At once, for want of room.
    Cut,
}

/// The gateway's close reaches the endpoint late, where a toxic says so and no more than `most` are held.
async fn linger(toxics: &[Toxic], held: &AtomicUsize, most: usize) -> Close {
    let delay: Duration = toxics
        .iter()
        .filter(|toxic| toxic.stream == Direction::Upstream)
        .filter_map(|toxic| match toxic.kind {
            ToxicKind::SlowClose { delay } => Some(delay),
            _ => None,
        })
        .fold(Duration::ZERO, Duration::saturating_add);
    if delay.is_zero() {
        return Close::AsToxicsSay;
    }
    let has_room = held.fetch_add(1, Ordering::Relaxed) < most;
    if has_room {
        tokio::time::sleep(delay).await;
    }
    held.fetch_sub(1, Ordering::Relaxed);
    if has_room { Close::AsToxicsSay } else { Close::Cut }
}

/// The gateway's end.
struct Poisoned {
    near: DuplexStream,
    shared: Rc<Shared>,
    /// Dropped with the gateway's end, which ends the rest.
    _alive: oneshot::Sender<()>,
}

impl AsyncRead for Poisoned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.near).poll_read(cx, buf))?;
        let is_end = buf.filled().len() == before && buf.remaining() > 0;
        // A reset must not look like the end of a body.
        if is_end && self.shared.fate() == Fate::Reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Poisoned {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
