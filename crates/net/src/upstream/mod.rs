//! The endpoint's side of an exchange: how a request is begun and its response awaited, whatever the
//! endpoint speaks.

mod h1;
mod h2;
mod h2_pool;
mod h2_wire;

pub use h1::{H1Request, read_response};
pub use h2::H2Request;
pub use h2_pool::{H2Pool, Lease, Lifetime, Opening, Place};

use crate::body::{H1Source, Side, Sink, Source};
use crate::buffer::Lent;
use crate::deadline::Deadline;
use crate::fields::HeadOut;
use crate::h1::parse::HeadLimits;
use crate::head::{Body, RequestHead, ResponseHead};
use crate::stream::IoFault;
use headgate_model::fault::{Fault, FaultKind};

/// One request on its way to an endpoint, and its response on the way back.
pub enum Upstream<'c> {
    H1 { request: H1Request<'c>, reused: bool },
    H2(H2Request<'c>),
}

/// What a request's head says beside its fields.
#[derive(Clone, Copy)]
pub struct Outline<'a> {
    pub head: &'a RequestHead,
    /// The target in origin form and two pieces; `None` for the one that the client sent.
    pub target: Option<[&'a [u8]; 2]>,
    /// The protocol to switch to, if the endpoint's protocol can.
    pub upgrade: Option<&'a [u8]>,
}

impl Upstream<'_> {
    /// Starts a request's head.
    #[inline]
    #[must_use]
    pub fn start(&self, outline: &Outline<'_>) -> HeadOut {
        match (self, outline.target) {
            (Self::H1 { request, .. }, None) => request.start_as_sent(outline.head),
            (Self::H1 { request, .. }, Some(target)) => request.start(outline.head.method(), &target),
            (Self::H2(_), _) => HeadOut::H2(Box::default()),
        }
    }

    /// Completes the head with its framing. HTTP/1 sends it with the first piece of the body.
    ///
    /// # Errors
    /// When the connection is already gone, or the head cannot be said in the endpoint's protocol.
    #[inline]
    pub fn begin(&self, out: HeadOut, outline: &Outline<'_>) -> Result<Sink<'_>, Fault> {
        match (self, out) {
            (Self::H1 { request, .. }, HeadOut::H1(out)) => {
                Ok(request.begin(out, outline.head.line.body, outline.upgrade))
            }
            (Self::H2(request), HeadOut::H2(fields)) => request.begin(*fields, outline),
            _ => unreachable!("`start` of the same request made the head"),
        }
    }

    /// Waits for one response head, interim ones included. `last` is the interim one that came before.
    ///
    /// # Errors
    /// When no valid head comes until `deadline`.
    #[inline]
    pub async fn response(
        &self,
        last: Option<Lent<ResponseHead>>,
        limits: &HeadLimits,
        to_head: bool,
        deadline: &Deadline,
    ) -> Result<Lent<ResponseHead>, Fault> {
        match self {
            Self::H1 { request: H1Request { stream, buffers }, reused } => {
                // An endpoint that has said something had the request: its connection was not stale.
                let stale = *reused && last.is_none();
                read_response(stream, buffers, last, limits, to_head, stale, deadline).await
            }
            Self::H2(request) => request.response(last, limits, to_head, deadline).await,
        }
    }

    /// The body that follows the response's `head`.
    #[inline]
    #[must_use]
    pub fn body<'s>(&'s self, head: &'s ResponseHead) -> Source<'s> {
        match self {
            _ if head.line.body == Body::None => Source::Empty,
            Self::H1 { request: H1Request { stream, buffers }, .. } => {
                let first = head.after_head();
                Source::H1(H1Source::new(stream, buffers, Side::Upstream, head.line.body, first, 0))
            }
            Self::H2(request) => request.body(),
        }
    }
}

/// The fault for a response that did not begin.
#[must_use]
pub fn no_response(fault: &IoFault, reused: bool) -> Fault {
    match fault {
        IoFault::TimedOut => {
            Fault::new(FaultKind::FirstByteTimeout, "the upstream sent nothing within its first-byte timeout")
        }
        _ if reused => Fault::new(
            FaultKind::StaleConnection,
            "the upstream closed a kept-alive connection just as it was used",
        ),
        _ => Fault::new(FaultKind::UpstreamReset, "the upstream closed the connection without a response"),
    }
}
