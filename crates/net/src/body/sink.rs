//! Where body pieces go.

use super::{H1Sink, H2Sink, ReceiverSink, Trailers};
use crate::deadline::Deadline;
use headgate_model::fault::Fault;

/// A body being sent, its head included: the head waits in the sink so that it leaves with the first piece.
pub enum Sink<'c> {
    H1(H1Sink<'c>),
    H2(H2Sink<'c>),
    Receiver(ReceiverSink<'c>),
}

impl Sink<'_> {
    /// Takes one piece. Small pieces may wait for company until [`Sink::flush`].
    ///
    /// # Errors
    /// When the receiver is gone, or takes nothing until `deadline`.
    #[inline]
    pub async fn push(&mut self, piece: &[u8], deadline: &Deadline) -> Result<(), Fault> {
        match self {
            Self::H1(sink) => sink.push(piece, deadline).await,
            Self::H2(sink) => sink.push(piece, deadline).await,
            Self::Receiver(sink) => sink.push(piece, deadline).await,
        }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// As [`Sink::push`].
    #[inline]
    pub async fn flush(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        match self {
            Self::H1(sink) => sink.flush(deadline).await,
            Self::H2(sink) => sink.flush(),
            Self::Receiver(_) => Ok(()),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`Sink::push`].
    #[inline]
    pub async fn finish(&mut self, trailers: Option<Trailers>, deadline: &Deadline) -> Result<(), Fault> {
        match self {
            Self::H1(sink) => sink.finish(trailers, deadline).await,
            Self::H2(sink) => sink.finish(trailers),
            Self::Receiver(sink) => {
                sink.finish();
                Ok(())
            }
        }
    }

    /// Bytes of content taken so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        match self {
            Self::H1(sink) => sink.sent(),
            Self::H2(sink) => sink.sent(),
            Self::Receiver(sink) => sink.sent(),
        }
    }
}
