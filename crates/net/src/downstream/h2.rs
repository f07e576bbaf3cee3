//! A client that speaks HTTP/2: begins the response on one of its streams.

use super::Promise;
use crate::body::{H2Sink, SendHalf, Side, Sink};
use crate::fields::{Drops, FieldMap, copy_kept};
use crate::h2_head;
use crate::head::{Body, ResponseHead};
use crate::stream::IoFault;
use bytes::Bytes;
use h2::server::SendResponse;
use headgate_model::fault::Fault;
use http::header::SEC_WEBSOCKET_ACCEPT;
use std::cell::RefCell;
use std::task::{Context, Poll};

/// One stream of a client: its response goes here, and here it is seen when the client gives up.
pub struct ClientStream {
    respond: RefCell<SendResponse<Bytes>>,
    half: SendHalf,
}

impl ClientStream {
    #[must_use]
    pub fn new(respond: SendResponse<Bytes>) -> Self {
        Self { respond: RefCell::new(respond), half: SendHalf::default() }
    }

    /// Takes bytes of another protocol, once the client was told of the switch.
    #[must_use]
    pub fn tunnel(&self) -> Sink<'_> {
        Sink::H2(H2Sink::tunnel(&self.half))
    }

    /// Ready when the client reset the stream, or its connection is gone.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.half.is_open() {
            return self.half.poll_reset(cx);
        }
        self.respond.borrow_mut().poll_reset(cx).map(|_| ())
    }
}

/// Where one HTTP/2 response goes.
pub struct H2Responder<'c> {
    pub stream: &'c ClientStream,
    pub to_head: bool,
}

impl<'c> H2Responder<'c> {
    pub(super) fn begin(&mut self, fields: FieldMap, promise: &Promise) -> Result<Sink<'c>, Fault> {
        let no_body = self.to_head || matches!(promise.status, 100..=199 | 204 | 304);
        let length = match promise.body {
            _ if matches!(promise.status, 100..=199 | 204) => None,
            Body::Length(length) => Some(length),
            Body::None => promise.declared_length,
            Body::Chunked | Body::UntilClose => None,
        };
        let ended = no_body || promise.body == Body::None;
        let response = h2_head::response(promise.status, length, fields)?;
        let half = self.stream.respond.borrow_mut().send_response(response, ended);
        self.stream.half.open(half.map_err(|_| gone())?);
        Ok(Sink::H2(H2Sink::new(&self.stream.half, Side::Client, ended)))
    }

    pub(super) fn interim(&self, status: u16, fields: FieldMap) -> Result<(), Fault> {
        let response = h2_head::response(status, None, fields)?;
        self.stream.respond.borrow_mut().send_informational(response).map_err(|_| gone())
    }

    /// Says 200 where HTTP/1 says 101 (RFC 8441 section 5).
    pub(super) fn switch(&mut self, head: &ResponseHead) -> Result<(), Fault> {
        let mut fields = FieldMap::default();
        copy_kept(head, &Drops::of_response(head, &[]), &mut fields);
        // It answers a key that this client has not sent.
        fields.remove(SEC_WEBSOCKET_ACCEPT);
        let response = h2_head::response(200, None, fields)?;
        let half = self.stream.respond.borrow_mut().send_response(response, false);
        self.stream.half.open(half.map_err(|_| gone())?);
        Ok(())
    }
}

fn gone() -> Fault {
    Side::Client.write_fault(&IoFault::Closed)
}
