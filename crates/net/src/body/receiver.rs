//! A response that goes to no client but to somebody within the process, such as a cache: the third kind of
//! receiver beside HTTP/1 and HTTP/2 clients. What becomes of the response is the receiver's own affair.

use super::Side;
use crate::deadline::Deadline;
use crate::head::{Body, ResponseHead};
use crate::stream::IoFault;
use headgate_model::fault::Fault;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Takes one response. All calls come from one task, in the order of the methods.
pub trait Receiver {
    /// An interim response (1xx): `fields` are lines as in [`Self::begin`].
    fn interim(&self, status: u16, fields: &[u8]);

    /// The head of an endpoint's final response, as it came. Not called for answers that Headgate gives itself.
    fn inspect(&self, head: &ResponseHead);

    /// The response begins: `fields` are lines of an HTTP/1 head without status line and framing, and `body` says
    /// what that framing would be.
    ///
    /// # Errors
    /// When nobody wants it any more.
    fn begin(&self, status: u16, fields: &[u8], body: Body) -> Result<(), Fault>;

    /// Ready when there is room for another piece.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>;

    fn push(&self, piece: &[u8]);

    /// The content is complete.
    fn finish(&self);
}

/// The content of one response on its way to a receiver.
pub struct ReceiverSink<'c> {
    receiver: &'c dyn Receiver,
    sent: u64,
}

impl<'c> ReceiverSink<'c> {
    pub(crate) fn new(receiver: &'c dyn Receiver) -> Self {
        Self { receiver, sent: 0 }
    }

    pub(crate) async fn push(&mut self, piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        if piece.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| match self.receiver.poll_room(cx) {
            Poll::Pending => {
                deadline.poll_due(cx).map(|()| Err(Side::Client.write_fault(&IoFault::TimedOut)))
            }
            ready => ready,
        })
        .await?;
        self.receiver.push(piece);
        self.sent += piece.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(&self) {
        self.receiver.finish();
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }
}
