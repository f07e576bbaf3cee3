//! Whether the client is still there while its response is awaited or on its way. Only for HTTP/1, where
//! nothing but its socket tells; an HTTP/2 client resets its stream.

use headgate_model::fault::{Fault, FaultKind};
use headgate_net::deadline::Deadline;
use headgate_net::stream::{Sign, Stream};
use std::task::{Context, Poll};
use std::time::Duration;

/// Most responses are there before: watching costs them nothing.
const WATCH_AFTER: Duration = Duration::from_millis(50);
/// A client that has closed its side may have closed only that and still be reading (RFC 9112 section 9.6).
/// It is given this long, and as long again after whatever it was sent.
const HALF_CLOSED: Duration = Duration::from_secs(1);

/// The eye on one client.
pub(crate) struct Presence<'c> {
    stream: Option<&'c Stream>,
    timer: &'c Deadline,
    seen: Seen,
}

#[derive(Clone, Copy)]
enum Seen {
    /// Nothing, it was not looked at yet.
    Unwatched,
    Waiting,
    /// It closed its side when so many writes had reached it.
    HalfClosed(u32),
    /// It has sent its next request. Until that is read nothing more is seen of it.
    Busy,
}

impl<'c> Presence<'c> {
    /// Of the client behind `stream`; none for one that tells by itself. `timer` is used for nothing else.
    pub(crate) fn new(stream: Option<&'c Stream>, timer: &'c Deadline) -> Self {
        Self { stream, timer, seen: Seen::Unwatched }
    }

    /// The request was received: from here on the client only waits.
    #[inline]
    pub(crate) fn begin(&self) {
        if self.stream.is_some() {
            self.timer.set(WATCH_AFTER);
        }
    }

    /// Ready when the client is gone.
    #[inline]
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        match (self.stream, self.seen) {
            (Some(stream), _) if self.timer.poll_due(cx).is_ready() => self.due(stream, cx),
            (Some(stream), Seen::Waiting) => self.look(stream, cx),
            _ => Poll::Pending,
        }
    }

    #[cold]
    fn due(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Fault> {
        match self.seen {
            Seen::HalfClosed(before) if before == stream.writes() => Poll::Ready(GONE),
            Seen::HalfClosed(_) => self.await_sign_of_life(stream, cx),
            Seen::Unwatched | Seen::Waiting | Seen::Busy => {
                self.timer.clear();
                self.seen = Seen::Waiting;
                self.look(stream, cx)
            }
        }
    }

    fn look(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Fault> {
        match stream.poll_sign(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Sign::Broken) => Poll::Ready(GONE),
            Poll::Ready(Sign::Ended) => self.await_sign_of_life(stream, cx),
            Poll::Ready(Sign::Bytes) => {
                self.seen = Seen::Busy;
                Poll::Pending
            }
        }
    }

    fn await_sign_of_life(&mut self, stream: &Stream, cx: &Context<'_>) -> Poll<Fault> {
        self.seen = Seen::HalfClosed(stream.writes());
        self.timer.set(HALF_CLOSED);
        self.timer.poll_due(cx).map(|()| GONE)
    }
}

const GONE: Fault = Fault::new(FaultKind::ClientClosed, "the client went away before its response");
