//! Answers that Headgate gives itself: faults, fixed content, redirects.

use crate::clock::WallClock;
use crate::exchange::{Exchange, Failure, Finish};
use crate::record::Record;
use crate::snapshot::FieldLine;
use crate::websocket::refuse_success;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::{Sink, Source};
use headgate_net::deadline::Deadline;
use headgate_net::downstream::{Downstream, Promise};
use headgate_net::fields::{FieldWriter, HeadOut};
use headgate_net::head::Body;
use std::time::Duration;

/// A whole response of our own.
pub(crate) struct Answer<'a> {
    pub status: u16,
    pub content_type: &'a [u8],
    pub body: &'a [u8],
    /// Further fields.
    pub fields: &'a [(&'a [u8], &'a [u8])],
}

/// Where an answer goes.
pub(crate) struct To<'a, 'c> {
    pub client: &'a mut Downstream<'c>,
    pub wall: &'a WallClock,
    pub deadline: &'a Deadline,
    /// Longest time that the client may take nothing.
    pub pause: Duration,
}

impl Answer<'_> {
    /// Sends it; how many bytes of content went to the client.
    ///
    /// # Errors
    /// When the client is gone or takes nothing for too long.
    pub(crate) async fn send(&self, to: To<'_, '_>) -> Result<u64, Fault> {
        let To { client, wall, deadline, pause } = to;
        deadline.set(pause);
        let mut head = client.start(self.status, reason(self.status).as_bytes());
        head.field(b"date", &wall.date());
        if !self.body.is_empty() {
            head.field(b"content-type", self.content_type);
        }
        for (name, value) in self.fields {
            head.field(name, value);
        }
        let mut sink = self.begin(head, client)?;
        sink.push(self.body, deadline).await?;
        sink.finish(None, deadline).await?;
        Ok(sink.sent())
    }

    fn begin<'c>(&self, head: HeadOut, client: &mut Downstream<'c>) -> Result<Sink<'c>, Fault> {
        let body = match self.status {
            100..=199 | 204 | 304 => Body::None,
            _ => Body::Length(self.body.len() as u64),
        };
        client.begin(head, &Promise { status: self.status, body, declared_length: None })
    }
}

/// Answers in place of an endpoint, with what the route adds to responses.
pub(crate) async fn answer_directly(
    x: &Exchange<'_>,
    further: &[FieldLine],
    answer: &Answer<'_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    refuse_success(x.websocket, answer.status)?;
    record.status = answer.status;
    if !body.is_finished() {
        client.close_after();
    }
    let edited: Vec<(&[u8], &[u8])> = answer
        .fields
        .iter()
        .copied()
        .chain(further.iter().map(|(name, value)| (&**name, &**value)))
        .collect();
    let answer = Answer { fields: &edited, ..*answer };
    let to = To { client, wall: &x.worker.wall, deadline: x.timers.download, pause: x.pause };
    record.bytes_out = answer.send(to).await?;
    Ok(Finish::Done)
}

/// Answers with what went wrong, in one line of text, and with further fields.
///
/// # Errors
/// When the client is gone.
pub(crate) async fn fault(
    fault: &Fault,
    body: &Source<'_>,
    further: &[(&[u8], &[u8])],
    to: To<'_, '_>,
) -> Result<u64, Fault> {
    let status = fault.kind.status();
    if !body.is_finished() {
        // The rest of the request would be read as the next one.
        to.client.close_after();
    }
    let text = format!("{status} {}: {}\n", fault.kind.label(), fault.detail);
    let passes = matches!(
        fault.kind,
        FaultKind::Overloaded | FaultKind::QueueTimeout | FaultKind::BreakerOpen | FaultKind::Draining
    );
    let retry_after: Option<(&[u8], &[u8])> = passes.then_some((b"retry-after", b"1"));
    let fields: Vec<(&[u8], &[u8])> = retry_after.into_iter().chain(further.iter().copied()).collect();
    let answer =
        Answer { status, content_type: b"text/plain; charset=utf-8", body: text.as_bytes(), fields: &fields };
    answer.send(to).await
}

/// The usual phrase of a status that Headgate itself answers with, or from its cache.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        406 => "Not Acceptable",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
