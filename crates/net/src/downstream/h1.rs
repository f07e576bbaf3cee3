//! A client that speaks HTTP/1: reads its request heads, writes its response heads.

use super::Promise;
use crate::body::{H1Sink, Rest, Side, Sink};
use crate::buffer::{Buffers, Lent};
use crate::deadline::Deadline;
use crate::fields::{Drops, FieldWriter, HeadOut, copy_kept, decimal};
use crate::h1::parse::{self, HeadLimits, Progress};
use crate::head::{Body, Known, RequestHead, ResponseHead, Version};
use crate::stream::{IoFault, Stream};
use headgate_model::fault::{Fault, FaultKind};
use std::rc::Rc;
use std::time::Duration;

/// Where one HTTP/1 response goes.
pub struct H1Responder<'c> {
    pub stream: &'c Stream,
    pub buffers: &'c Rc<Buffers>,
    pub version: Version,
    pub to_head: bool,
    pub keep_alive: bool,
}

impl<'c> H1Responder<'c> {
    #[inline]
    pub(super) fn start(&self, status: u16, reason: &[u8]) -> HeadOut {
        let mut out = self.buffers.out();
        write_status_line(&mut out, status, reason);
        HeadOut::H1(out)
    }

    #[inline]
    pub(super) fn start_as_sent(&self, head: &ResponseHead) -> HeadOut {
        if head.line.version != Version::Http11 {
            return self.start(head.line.status, head.part(head.line.reason));
        }
        let mut out = self.buffers.out();
        let line_end = head.line.reason.range().end + b"\r\n".len();
        out.extend_from_slice(&head.bytes[..line_end]);
        HeadOut::H1(out)
    }

    #[inline]
    pub(super) fn begin(&mut self, mut out: Lent<Vec<u8>>, promise: &Promise) -> Sink<'c> {
        let body = self.frame(&mut out, promise);
        if !self.keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        } else if self.version == Version::Http10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Sink::H1(H1Sink::new(self.stream, Side::Client, out, body))
    }

    /// Writes the framing fields for this client and says which framing that is.
    fn frame(&mut self, out: &mut Vec<u8>, promise: &Promise) -> Body {
        let no_body = self.to_head || matches!(promise.status, 100..=199 | 204 | 304);
        let length = match promise.body {
            Body::Length(length) => Some(length),
            Body::None => promise.declared_length.or((!no_body).then_some(0)),
            Body::Chunked | Body::UntilClose => None,
        };
        match length {
            Some(length) if !matches!(promise.status, 100..=199 | 204) => {
                out.field(b"content-length", decimal(length, &mut [0; 20]));
            }
            _ => {}
        }
        if no_body {
            return Body::None;
        }
        match promise.body {
            Body::None | Body::Length(_) => promise.body,
            Body::Chunked | Body::UntilClose if self.version == Version::Http11 => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Body::Chunked
            }
            Body::Chunked | Body::UntilClose => {
                self.keep_alive = false;
                Body::UntilClose
            }
        }
    }

    pub(super) async fn interim(&self, out: Lent<Vec<u8>>, deadline: &Deadline) -> Result<(), Fault> {
        if self.version == Version::Http10 {
            return Ok(()); // RFC 9110 section 15.2: never to an HTTP/1.0 client.
        }
        self.write_bodiless(out, deadline).await
    }

    pub(super) async fn switch(&self, head: &ResponseHead, deadline: &Deadline) -> Result<(), Fault> {
        let mut out = self.buffers.out();
        write_status_line(&mut out, head.line.status, head.part(head.line.reason));
        copy_kept(head, &Drops::of_response(head, &[]), &mut *out);
        out.field(b"connection", b"upgrade");
        out.field(b"upgrade", head.value(Known::Upgrade).unwrap_or_default());
        self.write_bodiless(out, deadline).await
    }

    /// Writes a head that nothing follows.
    async fn write_bodiless(&self, mut out: Lent<Vec<u8>>, deadline: &Deadline) -> Result<(), Fault> {
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out, &[], deadline).await.map_err(|fault| Side::Client.write_fault(&fault))
    }
}

fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digits =
        [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

const TOO_LARGE: Fault = Fault::new(FaultKind::HeadTooLarge, "the request head is larger than the limit");

/// What came instead of, or as, the next request.
pub enum ReadRequest {
    Request,
    /// The client closed between two requests, or never sent any.
    Closed,
    /// Nothing came within the idle time.
    Idle,
}

/// Reads until `head` holds one whole request head. `head` may already hold the beginning (what was
/// pipelined behind the previous request). The first byte may take `idle`, the rest `head_time`.
///
/// # Errors
/// A fault to answer with, after which the connection must be closed.
#[inline]
pub async fn read_request(
    stream: &Stream,
    head: &mut RequestHead,
    limits: &HeadLimits,
    deadline: &Deadline,
    idle: Duration,
    head_time: Duration,
) -> Result<ReadRequest, Fault> {
    let most = head.limit.min(limits.head_bytes);
    let mut scanned = 0;
    let mut started = head.filled > 0;
    deadline.set(if started { head_time } else { idle });
    loop {
        // Parsing is tried on the first read and then only when an empty line has come or no more can, so
        // that a head sent byte by byte is not parsed once for each byte.
        let full = head.filled >= most;
        let ripe = full || scanned == 0 || has_empty_line(&head.bytes[..head.filled], scanned);
        if ripe && head.filled > 0 && parse::request(head, limits)? == Progress::Complete {
            if head.head_len > most {
                return Err(TOO_LARGE);
            }
            return Ok(ReadRequest::Request);
        }
        scanned = head.filled;
        if full {
            return Err(TOO_LARGE);
        }
        let filled = head.filled;
        match stream.read(&mut head.bytes[filled..], deadline).await {
            Ok(count) => head.filled += count,
            Err(IoFault::TimedOut) if !started => return Ok(ReadRequest::Idle),
            Err(IoFault::TimedOut) => {
                return Err(Fault::new(FaultKind::ClientTimeout, "the request head took too long"));
            }
            Err(_) if !started => return Ok(ReadRequest::Closed),
            Err(_) => {
                return Err(Fault::new(
                    FaultKind::ClientClosed,
                    "the client went away within a request head",
                ));
            }
        }
        if !started {
            started = true;
            deadline.set(head_time);
        }
    }
}

/// Whether a line that ends at or after `from` is followed by an empty one; a bare LF counts, so that the
/// parser gets to refuse it.
fn has_empty_line(bytes: &[u8], from: usize) -> bool {
    let from = from.saturating_sub(3);
    bytes[from..].windows(2).any(|two| two == b"\n\n")
        || bytes[from..].windows(3).any(|three| three == b"\n\r\n")
}

/// Moves what followed the finished message to the front of `head`, where the next request starts.
///
/// # Errors
/// When more was pipelined than a head may hold.
pub fn retain_rest(head: &mut RequestHead, rest: &Rest) -> Result<(), Fault> {
    let kept = match rest {
        Rest::BehindHead(used) => {
            let from = head.head_len + used;
            head.bytes.copy_within(from..head.filled, 0);
            head.filled - from
        }
        Rest::Buffered(buffer) => {
            let rest = buffer.filled();
            let Some(room) = head.bytes.get_mut(..rest.len()) else {
                return Err(Fault::new(FaultKind::HeadTooLarge, "more was pipelined than a head may hold"));
            };
            room.copy_from_slice(rest);
            rest.len()
        }
    };
    head.clear();
    head.filled = kept;
    Ok(())
}
