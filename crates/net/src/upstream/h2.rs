//! An endpoint that speaks HTTP/2: one request on one stream of a shared connection.

use super::h2_pool::Lease;
use super::{Outline, no_response};
use crate::body::{H2Sink, H2Source, Received, SendHalf, Side, Sink, Source};
use crate::buffer::{Buffers, Lent};
use crate::deadline::Deadline;
use crate::fields::FieldMap;
use crate::h1::parse::HeadLimits;
use crate::h2_head::{self, render_response};
use crate::head::{Body, ResponseHead};
use crate::stream::IoFault;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use headgate_model::fault::{Fault, FaultKind};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// One request on its way to an HTTP/2 endpoint.
pub struct H2Request<'c> {
    lease: Lease,
    buffers: &'c Rc<Buffers>,
    half: SendHalf,
    response: RefCell<Option<ResponseFuture>>,
    body: RefCell<Option<Rc<Received>>>,
}

/// A response's head as `h2` gives it. Interim ones have no body.
type Answer = (http::response::Parts, Option<RecvStream>);

impl<'c> H2Request<'c> {
    #[must_use]
    pub fn new(lease: Lease, buffers: &'c Rc<Buffers>) -> Self {
        Self {
            lease,
            buffers,
            half: SendHalf::default(),
            response: RefCell::default(),
            body: RefCell::default(),
        }
    }

    pub(super) fn begin(&self, fields: FieldMap, outline: &Outline<'_>) -> Result<Sink<'_>, Fault> {
        let head = outline.head;
        let target = outline.target.unwrap_or([head.target(), b""]);
        let ended = matches!(head.line.body, Body::None | Body::Length(0));
        let request = h2_head::request(head.method(), target, self.lease.tls(), head.line.body, fields)?;
        let (response, half) = self.lease.send(request, ended).map_err(|error| not_sent(&error))?;
        self.half.open(half);
        *self.response.borrow_mut() = Some(response);
        Ok(Sink::H2(H2Sink::new(&self.half, Side::Upstream, ended)))
    }

    pub(super) async fn response(
        &self,
        last: Option<Lent<ResponseHead>>,
        limits: &HeadLimits,
        to_head: bool,
        deadline: &Deadline,
    ) -> Result<Lent<ResponseHead>, Fault> {
        let received = poll_fn(|cx| match self.poll_response(cx) {
            Poll::Ready(received) => Poll::Ready(received.map_err(|error| no_answer(&error))),
            Poll::Pending => deadline.poll_due(cx).map(|()| {
                self.lease.doubt();
                Err(no_response(&IoFault::TimedOut, false))
            }),
        });
        let (parts, body) = received.await?;
        let mut head = last.unwrap_or_else(|| self.buffers.response());
        head.clear();
        let ended = body.as_ref().is_none_or(RecvStream::is_end_stream);
        render_response(&parts, ended, to_head, limits, &mut head)?;
        *self.body.borrow_mut() = body.map(|body| self.lease.receive(body));
        Ok(head)
    }

    fn poll_response(&self, cx: &mut Context<'_>) -> Poll<Result<Answer, h2::Error>> {
        let mut response = self.response.borrow_mut();
        let response = response.as_mut().unwrap_or_else(|| unreachable!("`begin` comes first"));
        if let Some(interim) = ready!(response.poll_informational(cx)) {
            return Poll::Ready(interim.map(|interim| (interim.into_parts().0, None)));
        }
        Pin::new(response).poll(cx).map_ok(|response| {
            let (parts, body) = response.into_parts();
            (parts, Some(body))
        })
    }

    pub(super) fn body(&self) -> Source<'_> {
        match self.body.borrow_mut().take() {
            Some(stream) => Source::H2(H2Source::new(stream, Side::Upstream, 0)),
            None => Source::Empty,
        }
    }
}

/// The fault for a request that did not leave.
#[cold]
fn not_sent(error: &h2::Error) -> Fault {
    if error.is_io() || error.is_go_away() || error.is_reset() {
        return Fault::new(
            FaultKind::GoneAway,
            "the upstream's connection closed before the request was sent",
        );
    }
    Fault::new(FaultKind::Internal, "the request's fields cannot be carried in HTTP/2")
}

/// The fault for a response that did not come.
#[cold]
fn no_answer(error: &h2::Error) -> Fault {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    match error {
        // A GOAWAY fails exactly those streams that the upstream says it has not processed (RFC 9113 section 6.8).
        error if error.is_go_away() && error.is_remote() => {
            Fault::new(FaultKind::GoneAway, "the upstream ended the connection before processing the stream")
        }
        error if refused && error.is_remote() => {
            Fault::new(FaultKind::Refused, "the upstream refused the stream before processing it")
        }
        error if error.is_library() => {
            Fault::new(FaultKind::BadResponse, "the upstream broke HTTP/2 (RFC 9113)")
        }
        error if error.is_reset() => Fault::new(FaultKind::UpstreamReset, "the upstream reset its stream"),
        _ => no_response(&IoFault::Closed, false),
    }
}
