//! A body received over HTTP/2. The stream's window opens only as pieces are passed on, so that a slow
//! receiver holds the sender back (RFC 9113 section 5.2).

use super::{Piece, Received, Side, Trailers};
use crate::deadline::Deadline;
use crate::stream::IoFault;
use bytes::Bytes;
use headgate_model::fault::{Fault, FaultKind};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// A request's start is kept up to this many bytes and pieces, so that it can be sent to another endpoint:
/// in HTTP/2 even a small request's content comes apart from its head.
const KEPT_BYTES: u64 = 16 * 1024;
const KEPT_PIECES: usize = 8;

/// One HTTP/2 body.
pub struct H2Source {
    stream: Rc<Received>,
    side: Side,
    /// Pieces that arrived; `next` of them were given. The last was the last to arrive.
    pieces: Vec<Bytes>,
    next: usize,
    /// `pieces` still begin with the body's first byte.
    whole: bool,
    /// Bytes of the last piece, whose share of the window is still closed.
    unreleased: usize,
    arrived: u64,
    received: u64,
    finished: bool,
    /// Most bytes of content; zero for no limit.
    limit: u64,
    trailers: Option<Trailers>,
}

impl H2Source {
    /// `limit` bounds the content in bytes, zero for none.
    #[must_use]
    pub fn new(stream: Rc<Received>, side: Side, limit: u64) -> Self {
        let finished = stream.is_end_stream();
        Self {
            stream,
            side,
            pieces: Vec::new(),
            next: 0,
            whole: true,
            unreleased: 0,
            arrived: 0,
            received: 0,
            finished,
            limit,
            trailers: None,
        }
    }

    pub(super) fn next_piece(&mut self) -> Result<Piece<'_>, Fault> {
        match self.pieces.get(self.next) {
            Some(piece) => {
                self.next += 1;
                self.received += piece.len() as u64;
                if self.limit > 0 && self.received > self.limit {
                    return Err(Fault::new(FaultKind::BodyTooLarge, "the body is longer than the limit"));
                }
                Ok(Piece::Data(piece))
            }
            None if self.finished => Ok(Piece::End),
            None => Ok(Piece::NeedMore),
        }
    }

    pub(super) async fn fill(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        let keep = self.side == Side::Client && self.arrived <= KEPT_BYTES && self.pieces.len() < KEPT_PIECES;
        if !(keep && self.whole) {
            self.whole = self.arrived == 0;
            self.pieces.clear();
            self.next = 0;
        }
        let used = std::mem::take(&mut self.unreleased);
        if used > 0 {
            self.stream.release(used);
        }
        let side = self.side;
        let stream = &self.stream;
        let piece = poll_fn(|cx| match stream.poll_data(cx) {
            Poll::Ready(piece) => Poll::Ready(piece.transpose().map_err(|_| cut(side))),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(side.read_fault(&IoFault::TimedOut))),
        })
        .await?;
        if let Some(piece) = piece {
            self.unreleased = piece.len();
            self.arrived += piece.len() as u64;
            if !piece.is_empty() {
                self.pieces.push(piece);
            }
            self.finished = self.stream.is_end_stream();
            return Ok(());
        }
        let trailers = poll_fn(|cx| match self.stream.poll_trailers(cx) {
            Poll::Ready(trailers) => Poll::Ready(trailers.map_err(|_| cut(side))),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(side.read_fault(&IoFault::TimedOut))),
        })
        .await?;
        self.trailers = trailers.map(|map| Trailers::from_map(&map));
        self.finished = true;
        Ok(())
    }

    /// What [`super::Source::take_trailers`] gives; a copy as long as the body can still be sent again.
    pub(super) fn take_trailers(&mut self) -> Option<Trailers> {
        if self.whole && self.side == Side::Client { self.trailers.clone() } else { self.trailers.take() }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished && self.next == self.pieces.len()
    }

    pub(super) fn can_rewind(&self) -> bool {
        self.whole
    }

    pub(super) fn rewind(&mut self) -> bool {
        if self.whole {
            self.next = 0;
            self.received = 0;
        }
        self.whole
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

#[cold]
fn cut(side: Side) -> Fault {
    match side {
        Side::Client => Fault::new(FaultKind::ClientClosed, "the client reset its stream"),
        Side::Upstream => Fault::new(FaultKind::ResponseCut, "the upstream reset its stream"),
    }
}
