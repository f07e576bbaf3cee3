//! A body received over HTTP/2. The stream's window opens only as pieces are passed on, so that a slow
//! receiver holds the sender back (RFC 9113 section 5.2).

use super::{Piece, Side, Trailers};
use crate::deadline::Deadline;
use bytes::Bytes;
use h2::RecvStream;
use headgate_model::fault::{Fault, FaultKind};
use std::future::poll_fn;
use std::task::Poll;

/// One HTTP/2 body.
pub struct H2Source {
    stream: RecvStream,
    side: Side,
    piece: Bytes,
    given: bool,
    finished: bool,
    started: bool,
    received: u64,
    /// Most bytes of content; zero for no limit.
    limit: u64,
    trailers: Option<Trailers>,
}

impl H2Source {
    /// `limit` bounds the content in bytes, zero for none.
    #[must_use]
    pub fn new(stream: RecvStream, side: Side, limit: u64) -> Self {
        let finished = stream.is_end_stream();
        Self {
            stream,
            side,
            piece: Bytes::new(),
            given: true,
            finished,
            started: false,
            received: 0,
            limit,
            trailers: None,
        }
    }

    pub(super) fn next_piece(&mut self) -> Result<Piece<'_>, Fault> {
        if !self.given {
            self.given = true;
            self.received += self.piece.len() as u64;
            if self.limit > 0 && self.received > self.limit {
                return Err(Fault::new(FaultKind::BodyTooLarge, "the body is longer than the limit"));
            }
            return Ok(Piece::Data(&self.piece));
        }
        Ok(if self.finished { Piece::End } else { Piece::NeedMore })
    }

    pub(super) async fn fill(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        self.started = true;
        let used = self.piece.len();
        if used > 0 {
            self.piece = Bytes::new();
            // Fails only on a stream that is over, where windows no longer matter.
            let _ = self.stream.flow_control().release_capacity(used);
        }
        let side = self.side;
        let stream = &mut self.stream;
        let piece = poll_fn(|cx| match stream.poll_data(cx) {
            Poll::Ready(piece) => Poll::Ready(piece.transpose().map_err(|error| stream_fault(side, &error))),
            Poll::Pending => {
                deadline.poll_due(cx).map(|()| Err(side.read_fault(&crate::stream::IoFault::TimedOut)))
            }
        })
        .await?;
        match piece {
            Some(piece) => {
                self.given = piece.is_empty();
                self.piece = piece;
                self.finished = self.stream.is_end_stream();
            }
            None => {
                let trailers = poll_fn(|cx| match self.stream.poll_trailers(cx) {
                    Poll::Ready(trailers) => {
                        Poll::Ready(trailers.map_err(|error| stream_fault(side, &error)))
                    }
                    Poll::Pending => deadline
                        .poll_due(cx)
                        .map(|()| Err(side.read_fault(&crate::stream::IoFault::TimedOut))),
                })
                .await?;
                self.trailers = trailers.map(|map| Trailers::from_map(&map));
                self.finished = true;
            }
        }
        Ok(())
    }

    pub(super) fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished && self.given
    }

    pub(super) fn rewind(&self) -> bool {
        !self.started
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

fn stream_fault(side: Side, error: &h2::Error) -> Fault {
    match side {
        Side::Client => Fault::new(FaultKind::ClientClosed, "the client reset its stream"),
        Side::Upstream if error.reason() == Some(h2::Reason::REFUSED_STREAM) => {
            Fault::new(FaultKind::Refused, "the upstream refused the stream before processing it")
        }
        Side::Upstream => Fault::new(FaultKind::ResponseCut, "the upstream reset its stream"),
    }
}
