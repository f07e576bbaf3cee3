//! A body sent over HTTP/2, no faster than the peer's window opens.

use super::{Side, Trailers};
use crate::deadline::Deadline;
use crate::stream::IoFault;
use bytes::Bytes;
use h2::SendStream;
use headgate_model::fault::{Fault, FaultKind};
use std::future::poll_fn;
use std::task::Poll;

/// One HTTP/2 message being sent; its head has already gone out.
pub struct H2Sink {
    stream: SendStream<Bytes>,
    side: Side,
    /// Content bytes still to come, where the length is known: the last piece then ends the stream.
    left: Option<u64>,
    ended: bool,
    sent: u64,
}

impl H2Sink {
    /// `ended` says that the head already ended the stream.
    #[must_use]
    pub fn new(stream: SendStream<Bytes>, side: Side, length: Option<u64>, ended: bool) -> Self {
        Self { stream, side, left: length, ended, sent: 0 }
    }

    pub(super) async fn push(&mut self, mut piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        while !piece.is_empty() && !self.ended {
            self.stream.reserve_capacity(piece.len());
            let room = self.capacity(deadline).await?.min(piece.len());
            let (now, later) = piece.split_at(room);
            piece = later;
            self.sent += room as u64;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(room as u64);
                self.ended = *left == 0;
            }
            self.stream
                .send_data(Bytes::copy_from_slice(now), self.ended)
                .map_err(|_| self.side.write_fault(&IoFault::Closed))?;
        }
        Ok(())
    }

    async fn capacity(&mut self, deadline: &Deadline) -> Result<usize, Fault> {
        let side = self.side;
        let stream = &mut self.stream;
        poll_fn(|cx| {
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

    pub(super) fn finish(&mut self, trailers: Option<Trailers>) -> Result<(), Fault> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => self.stream.send_trailers(trailers.to_map()),
            None => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(|_| self.side.write_fault(&IoFault::Closed))
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Ends the stream without a proper end, so that the peer knows the message is not whole.
    pub fn reset(&mut self) {
        self.stream.send_reset(h2::Reason::INTERNAL_ERROR);
    }
}

fn reset_fault(side: Side) -> Fault {
    match side {
        Side::Client => Fault::new(FaultKind::ClientClosed, "the client reset its stream"),
        Side::Upstream => Fault::new(FaultKind::UpstreamReset, "the upstream reset its stream"),
    }
}
