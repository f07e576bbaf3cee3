//! A body sent over HTTP/2, no faster than the peer's window opens.

use super::{Side, Trailers};
use crate::deadline::Deadline;
use crate::stream::IoFault;
use bytes::Bytes;
use h2::{Reason, SendStream};
use headgate_model::fault::{Fault, FaultKind};
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// The sending half of a stream, once its head is out: a sink writes to it while somebody else watches
/// whether the peer gave up.
#[derive(Default)]
pub struct SendHalf {
    stream: RefCell<Option<SendStream<Bytes>>>,
}

impl SendHalf {
    pub(crate) fn open(&self, stream: SendStream<Bytes>) {
        *self.stream.borrow_mut() = Some(stream);
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.borrow().is_some()
    }

    /// Ready when the peer reset the stream or its connection is gone.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => stream.poll_reset(cx).map(|_| ()),
            None => Poll::Pending,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut SendStream<Bytes>) -> Result<T, h2::Error>) -> Option<T> {
        self.stream.borrow_mut().as_mut().and_then(|stream| act(stream).ok())
    }
}

/// One HTTP/2 message being sent; its head has already gone out. Dropped before its end it resets the
/// stream, so that the peer knows that the message is not whole.
pub struct H2Sink<'c> {
    half: &'c SendHalf,
    side: Side,
    /// The last piece: it waits to learn whether it ends the stream.
    held: Bytes,
    ended: bool,
    sent: u64,
    /// What the peer is told when it is dropped before its end.
    unfinished: Reason,
}

impl<'c> H2Sink<'c> {
    /// `ended` says that the head already ended the stream; content is then ignored.
    #[must_use]
    pub fn new(half: &'c SendHalf, side: Side, ended: bool) -> Self {
        let unfinished = match side {
            Side::Client => Reason::INTERNAL_ERROR,
            Side::Upstream => Reason::CANCEL,
        };
        Self { half, side, held: Bytes::new(), ended, sent: 0, unfinished }
    }

    /// Towards a client, for bytes of another protocol: a connection that breaks is a stream that is cancelled
    /// (RFC 8441 section 5).
    pub(crate) fn tunnel(half: &'c SendHalf) -> Self {
        let mut sink = Self::new(half, Side::Client, false);
        sink.unfinished = Reason::CANCEL;
        sink
    }

    pub(super) async fn push(&mut self, mut piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        while !piece.is_empty() && !self.ended {
            self.flush()?;
            let room = self.room(piece.len(), deadline).await?.min(piece.len());
            let (now, later) = piece.split_at(room);
            piece = later;
            self.sent += room as u64;
            self.held = Bytes::copy_from_slice(now);
        }
        Ok(())
    }

    /// Waits until at least one byte may be sent.
    async fn room(&self, wanted: usize, deadline: &Deadline) -> Result<usize, Fault> {
        let side = self.side;
        if let Some(stream) = &mut *self.half.stream.borrow_mut() {
            stream.reserve_capacity(wanted);
        }
        poll_fn(|cx| {
            let mut half = self.half.stream.borrow_mut();
            let Some(stream) = &mut *half else { return Poll::Ready(Err(self.gone())) };
            let room = stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) if room > 0 => Poll::Ready(Ok(room)),
                Poll::Ready(Some(Ok(_))) => {
                    // A wake-up without room: ask again, in the next turn.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(_) => Poll::Ready(Err(reset_fault(side))),
                Poll::Pending => deadline.poll_due(cx).map(|()| Err(side.write_fault(&IoFault::TimedOut))),
            }
        })
        .await
    }

    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.half.with(|stream| stream.send_data(held, false)).ok_or_else(|| self.gone())
    }

    pub(super) fn finish(&mut self, trailers: Option<Trailers>) -> Result<(), Fault> {
        if self.ended {
            return Ok(());
        }
        let sent = match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => {
                self.flush()?;
                self.half.with(|stream| stream.send_trailers(trailers.to_map()))
            }
            None => {
                let held = std::mem::take(&mut self.held);
                self.half.with(|stream| stream.send_data(held, true))
            }
        };
        self.ended = sent.is_some();
        sent.ok_or_else(|| self.gone())
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    fn gone(&self) -> Fault {
        self.side.write_fault(&IoFault::Closed)
    }
}

impl Drop for H2Sink<'_> {
    fn drop(&mut self) {
        if !self.ended
            && let Some(stream) = &mut *self.half.stream.borrow_mut()
        {
            stream.send_reset(self.unfinished);
        }
    }
}

fn reset_fault(side: Side) -> Fault {
    match side {
        Side::Client => Fault::new(FaultKind::ClientClosed, "the client reset its stream"),
        Side::Upstream => Fault::new(FaultKind::UpstreamReset, "the upstream reset its stream"),
    }
}
