//! A body sent over HTTP/1, framing written anew.

use super::{Side, Trailers};
use crate::buffer::Lent;
use crate::deadline::Deadline;
use crate::h1::chunked::{SIZE_LINE, size_line};
use crate::head::Body;
use crate::stream::Stream;
use headgate_model::fault::Fault;

/// A piece up to this size is copied behind what waits; a larger one goes out as it lies.
const COPY_UP_TO: usize = 2 * 1024;
/// What waits is sent when it has grown to this.
const SEND_FROM: usize = 12 * 1024;

/// One HTTP/1 message being sent.
pub struct H1Sink<'c> {
    stream: &'c Stream,
    side: Side,
    /// The head, small pieces and framing that have not been sent yet.
    out: Lent<Vec<u8>>,
    body: Body,
    sent: u64,
}

impl<'c> H1Sink<'c> {
    /// `out` holds the complete head; `body` says which framing that head promises.
    #[must_use]
    pub fn new(stream: &'c Stream, side: Side, out: Lent<Vec<u8>>, body: Body) -> Self {
        Self { stream, side, out, body, sent: 0 }
    }

    #[inline]
    pub(super) async fn push(&mut self, piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        if piece.is_empty() || self.body == Body::None {
            return Ok(());
        }
        self.sent += piece.len() as u64;
        if self.body == Body::Chunked {
            self.out.extend_from_slice(size_line(piece.len() as u64, &mut [0; SIZE_LINE]));
        }
        if piece.len() <= COPY_UP_TO {
            self.out.extend_from_slice(piece);
            if self.body == Body::Chunked {
                self.out.extend_from_slice(b"\r\n");
            }
            return if self.out.len() < SEND_FROM { Ok(()) } else { self.flush(deadline).await };
        }
        self.write(piece, deadline).await?;
        if self.body == Body::Chunked {
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        if self.out.is_empty() { Ok(()) } else { self.write(&[], deadline).await }
    }

    pub(super) async fn finish(
        &mut self,
        trailers: Option<Trailers>,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        if self.body == Body::Chunked {
            self.out.extend_from_slice(b"0\r\n");
            if let Some(trailers) = trailers {
                trailers.write_lines(&mut self.out);
            }
            self.out.extend_from_slice(b"\r\n");
        }
        self.flush(deadline).await
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    async fn write(&mut self, piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        let result = self.stream.write(&self.out, piece, deadline).await;
        self.out.clear();
        result.map_err(|fault| self.side.write_fault(&fault))
    }
}
