//! An endpoint that speaks HTTP/1: writes request heads, reads response heads.

use super::no_response;
use crate::body::{H1Sink, Side, Sink};
use crate::buffer::{Buffers, Lent};
use crate::deadline::Deadline;
use crate::fields::{FieldWriter, HeadOut, decimal};
use crate::h1::parse::{self, HeadLimits, Progress};
use crate::head::{Body, RequestHead, ResponseHead, Version};
use crate::stream::Stream;
use headgate_model::fault::{Fault, FaultKind};
use std::rc::Rc;

const END_OF_LINE: &[u8] = b" HTTP/1.1\r\n";

/// One request on its way to an HTTP/1 endpoint.
pub struct H1Request<'c> {
    pub stream: &'c Stream,
    pub buffers: &'c Rc<Buffers>,
}

impl<'c> H1Request<'c> {
    /// Starts a request head with the request line as the client sent it, where that is possible.
    #[inline]
    #[must_use]
    pub fn start_as_sent(&self, head: &RequestHead) -> HeadOut {
        let line = &head.line;
        let (method, target) = (line.method_part.range(), line.target.range());
        if line.version == Version::Http10 || target.start != method.end + 1 {
            return self.start(head.method(), &[head.target()]);
        }
        let mut out = self.buffers.out();
        out.extend_from_slice(&head.bytes[method.start..target.end + END_OF_LINE.len()]);
        HeadOut::H1(out)
    }

    /// Starts a request head. `target`, in pieces, is in origin form.
    #[inline]
    #[must_use]
    pub fn start(&self, method: &[u8], target: &[&[u8]]) -> HeadOut {
        let mut out = self.buffers.out();
        out.extend_from_slice(method);
        out.push(b' ');
        for part in target {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(END_OF_LINE);
        HeadOut::H1(out)
    }

    /// Completes the head with its framing; nothing is sent before the sink is pushed or finished.
    /// `upgrade` is the protocol to switch to.
    #[inline]
    #[must_use]
    pub fn begin(&self, mut out: Lent<Vec<u8>>, body: Body, upgrade: Option<&[u8]>) -> Sink<'c> {
        match body {
            Body::None => {}
            Body::Length(length) => out.field(b"content-length", decimal(length, &mut [0; 20])),
            Body::Chunked | Body::UntilClose => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        if let Some(protocol) = upgrade {
            out.field(b"upgrade", protocol);
            out.extend_from_slice(b"connection: upgrade\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Sink::H1(H1Sink::new(self.stream, Side::Upstream, out, body))
    }
}

/// Reads one response head, interim ones included. The buffer is borrowed only when bytes are there.
/// `rest` is the head that came before, with what followed it, when an interim response did.
///
/// # Errors
/// When no valid head comes until `deadline`.
#[inline]
pub async fn read_response(
    stream: &Stream,
    buffers: &Rc<Buffers>,
    rest: Option<Lent<ResponseHead>>,
    limits: &HeadLimits,
    to_head: bool,
    reused: bool,
    deadline: &Deadline,
) -> Result<Lent<ResponseHead>, Fault> {
    let mut head = match rest {
        Some(mut head) => {
            let kept = head.filled - head.head_len;
            let from = head.head_len;
            head.bytes.copy_within(from.., 0);
            head.clear();
            head.filled = kept;
            head
        }
        None => {
            stream.readable(deadline).await.map_err(|fault| no_response(&fault, reused))?;
            buffers.response()
        }
    };
    loop {
        if head.filled > 0
            && parse::response(&mut head, to_head, limits)? == Progress::Complete
            && head.head_len <= head.limit
        {
            return Ok(head);
        }
        if head.filled >= head.limit {
            return Err(Fault::new(FaultKind::BadResponse, "the response head is larger than the limit"));
        }
        let filled = head.filled;
        match stream.read(&mut head.bytes[filled..], deadline).await {
            Ok(count) => head.filled += count,
            Err(fault) if filled == 0 => return Err(no_response(&fault, reused)),
            Err(fault) => return Err(Side::Upstream.read_fault(&fault)),
        }
    }
}
