//! The client's side of an exchange: how a response is begun, whatever the client speaks.

mod h1;
mod h2;

pub use h1::{H1Responder, ReadRequest, read_request, retain_rest};
pub use h2::{ClientStream, H2Responder};

use crate::body::{Receiver, ReceiverSink, Sink};
use crate::buffer::Buffers;
use crate::deadline::Deadline;
use crate::fields::HeadOut;
use crate::head::{Body, ResponseHead};
use crate::stream::Stream;
use headgate_model::fault::{Fault, FaultKind};
use std::rc::Rc;

/// Where the response of one request goes.
pub enum Downstream<'c> {
    H1(H1Responder<'c>),
    H2(H2Responder<'c>),
    /// Nobody outside the process.
    Receiver {
        receiver: &'c dyn Receiver,
        buffers: &'c Rc<Buffers>,
    },
}

/// What a response's head promises about its body.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    pub status: u16,
    pub body: Body,
    /// A Content-Length without content behind it (HEAD, 304).
    pub declared_length: Option<u64>,
}

impl<'c> Downstream<'c> {
    /// Starts a final response's head.
    #[inline]
    #[must_use]
    pub fn start(&self, status: u16, reason: &[u8]) -> HeadOut {
        match self {
            Self::H1(client) => client.start(status, reason),
            Self::H2(_) => HeadOut::H2(Box::default()),
            Self::Receiver { buffers, .. } => HeadOut::H1(buffers.out()),
        }
    }

    /// Starts a final response's head with the status line of the upstream's.
    #[inline]
    #[must_use]
    pub fn start_as_sent(&self, head: &ResponseHead) -> HeadOut {
        match self {
            Self::H1(client) => client.start_as_sent(head),
            Self::H2(_) => HeadOut::H2(Box::default()),
            Self::Receiver { receiver, buffers } => {
                receiver.inspect(head);
                HeadOut::H1(buffers.out())
            }
        }
    }

    /// Completes the head with its framing. From here on the response is committed: it can be cut but not
    /// replaced.
    ///
    /// # Errors
    /// When the client is already gone.
    #[inline]
    pub fn begin(&mut self, head: HeadOut, promise: &Promise) -> Result<Sink<'c>, Fault> {
        match (self, head) {
            (Self::H1(client), HeadOut::H1(out)) => Ok(client.begin(out, promise)),
            (Self::H2(client), HeadOut::H2(fields)) => client.begin(*fields, promise),
            (Self::Receiver { receiver, .. }, HeadOut::H1(fields)) => {
                receiver.begin(promise.status, &fields, promise.body)?;
                Ok(Sink::Receiver(ReceiverSink::new(*receiver)))
            }
            _ => unreachable!("`start` of the same client made the head"),
        }
    }

    /// Passes an interim response (1xx) on, whose head [`Self::start`] has begun.
    ///
    /// # Errors
    /// When the client is gone or takes nothing until `deadline`.
    pub async fn interim(&mut self, status: u16, head: HeadOut, deadline: &Deadline) -> Result<(), Fault> {
        match (self, head) {
            (Self::H1(client), HeadOut::H1(out)) => client.interim(out, deadline).await,
            (Self::H2(client), HeadOut::H2(fields)) => client.interim(status, *fields),
            (Self::Receiver { receiver, .. }, HeadOut::H1(fields)) => {
                receiver.interim(status, &fields);
                Ok(())
            }
            _ => unreachable!("`start` of the same client made the head"),
        }
    }

    /// Passes a switch of protocols (101) on; afterwards the connection, or the stream, carries bytes.
    ///
    /// # Errors
    /// When the client is gone or takes nothing until `deadline`.
    pub async fn switch(&mut self, head: &ResponseHead, deadline: &Deadline) -> Result<(), Fault> {
        match self {
            Self::H1(client) => client.switch(head, deadline).await,
            Self::H2(client) => client.switch(head),
            Self::Receiver { .. } => {
                Err(Fault::new(FaultKind::Internal, "only a client's connection switches protocols"))
            }
        }
    }

    /// The connection of a client that tells by nothing else when it goes away.
    #[must_use]
    pub fn socket(&self) -> Option<&'c Stream> {
        match self {
            Self::H1(client) => Some(client.stream),
            Self::H2(_) | Self::Receiver { .. } => None,
        }
    }

    /// Whether the next request may come on the same connection.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        match self {
            Self::H1(client) => client.keep_alive,
            Self::H2(_) | Self::Receiver { .. } => true,
        }
    }

    /// The connection must not be used after this response. In HTTP/2 a stream is no connection.
    pub fn close_after(&mut self) {
        match self {
            Self::H1(client) => client.keep_alive = false,
            Self::H2(_) | Self::Receiver { .. } => {}
        }
    }
}
