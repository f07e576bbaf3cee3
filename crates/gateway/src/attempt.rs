//! One attempt: a request sent to one endpoint, and its response brought back.

use crate::beside::Upload;
use crate::dial::dial;
use crate::exchange::{Exchange, Failure, Finish, TargetPlan};
use crate::record::Record;
use crate::snapshot::{Route, Service};
use crate::transform;
use crate::tunnel::Tunnel;
use crate::view::{Link, ServiceView};
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::{H1Source, Side, Source, relay};
use headgate_net::buffer::Lent;
use headgate_net::deadline::DueAt;
use headgate_net::downstream::{Downstream, Promise};
use headgate_net::fields::HeadOut;
use headgate_net::h1::parse::HeadLimits;
use headgate_net::head::{Body, Known, Method, ResponseHead};
use headgate_net::pool::Connection;
use headgate_net::upstream::{H1Request, read_response};
use std::pin::pin;
use std::time::Duration;

/// Limits of a response's head: an upstream is trusted more than a client, but not without end.
const RESPONSE_LIMITS: HeadLimits = HeadLimits { fields: 100, target_bytes: 0 };

/// What one attempt needs to know.
pub(crate) struct Attempt<'a, 'c> {
    pub x: &'a Exchange<'c>,
    pub route: &'a Route,
    pub service: &'a Service,
    pub view: &'a ServiceView,
    pub link: &'a Link,
    /// The request's total deadline.
    pub until: DueAt,
    /// Do not use a resting connection: the last one was stale.
    pub fresh: bool,
    /// Statuses whose response is put aside in favour of another attempt.
    pub put_aside: &'a [u16],
    /// Value of a `Set-Cookie` field to add to the response.
    pub set_cookie: Option<&'a [u8]>,
}

impl Attempt<'_, '_> {
    /// Whether a response of this status is put aside, not passed on. Takes the attempt that follows it out
    /// of the budget; what is put aside ends in [`Failure::put_aside`].
    #[inline]
    pub(crate) fn puts_aside(&self, status: u16) -> bool {
        self.put_aside.contains(&status) && self.view.budget.borrow_mut().withdraw(self.x.worker.now())
    }
}

/// What an attempt leaves of its connection.
enum Left {
    /// At a message boundary: fit for another request.
    Reusable,
    Spent,
    /// The response of this status was put aside.
    PutAside {
        status: u16,
        reusable: bool,
    },
    /// It carries another protocol now; these bytes of it have already arrived.
    Switched(Vec<u8>),
}

/// Sends the request over HTTP/1 and brings the response back.
#[inline]
pub(crate) async fn http1(
    attempt: &Attempt<'_, '_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let Attempt { x, service, view, link, until, fresh, .. } = *attempt;
    let connect = service.state.spec.timeouts.connect.0;
    let connection = dial(link, fresh, connect, until, x.timers.download).await?;
    record.reused = connection.served > 0;
    let left = talk(attempt, &connection, body, client, record).await?;
    record.ended = x.worker.now();
    match left {
        Left::Reusable => link.pool.give(connection, record.ended, &view.pool_limits),
        Left::Spent => {}
        Left::PutAside { status, reusable } => {
            if reusable {
                link.pool.give(connection, record.ended, &view.pool_limits);
            }
            return Err(Failure::put_aside(status));
        }
        Left::Switched(to_client) => {
            return Ok(Finish::Switched(Box::new(Tunnel { upstream: connection.stream, to_client })));
        }
    }
    Ok(Finish::Done)
}

/// One request and response on an HTTP/1 connection.
#[inline]
async fn talk(
    attempt: &Attempt<'_, '_>,
    connection: &Connection,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Left, Failure> {
    let Attempt { x, route, service, link, until, .. } = *attempt;
    let timeouts = &service.state.spec.timeouts;
    let pause = x.pause;
    let download = x.timers.download;
    let stream = &connection.stream;
    let buffers = &x.worker.buffers;
    let line = &x.head.line;

    let request = H1Request { stream, buffers };
    let mut out = match &x.target {
        TargetPlan::AsSent => request.start_as_sent(x.head),
        target => request.start(x.head.method(), &target.parts(x.head)),
    };
    transform::request_fields(x, route, link.endpoint.name.as_bytes(), &record.traced, &mut out);
    let HeadOut::H1(out) = out else { unreachable!("an HTTP/1 request starts an HTTP/1 head") };
    let upgrade = if line.upgrade { x.head.value(Known::Upgrade) } else { None };
    let mut sink = request.begin(out, line.body, upgrade);
    let upload = pin!(relay(body, &mut sink, x.timers.upload, pause, until));
    let mut upload = Upload::new(upload);

    // The first byte's time starts when the request is sent; before that the upload's own pauses count.
    let this_try = match timeouts.per_try.0 {
        Duration::ZERO => until,
        per_try => download.at(per_try).min(until),
    };
    download.set_at(this_try);
    let uploaded = || download.set_at(download.at(timeouts.first_byte.0).min(this_try));
    let to_head = line.method == Method::Head;
    let reused = connection.served > 0;
    let mut last: Option<Lent<ResponseHead>> = None;
    let head = loop {
        let reading = read_response(stream, buffers, last, &RESPONSE_LIMITS, to_head, reused, download);
        let head = upload.beside(reading, uploaded).await?;
        match head.line.status {
            101 => return switch_protocols(attempt, &head, client, record, upgrade.is_some()).await,
            100..=199 => client.interim(&head, x.timers.upload).await?,
            _ => break head,
        }
        last = Some(head);
    };
    if attempt.puts_aside(head.line.status) {
        let at_end = head.line.body == Body::None && head.after_head().is_empty();
        let reusable = at_end && upload.is_complete() && head.line.keep_alive;
        return Ok(Left::PutAside { status: head.line.status, reusable });
    }
    record.status = head.line.status;

    let mut out = client.start_as_sent(&head);
    transform::response_fields(x, route, attempt.set_cookie, &head, &mut out);
    let promise = Promise {
        status: head.line.status,
        body: head.line.body,
        declared_length: head.line.declared_length,
    };
    if !upload.is_complete() {
        // The response comes before the request's end. Nobody can promise that this end will come, so the
        // client is told now that its connection is not for more (RFC 9112 section 9.6).
        client.close_after();
    }
    let mut to_client = client.begin(out, &promise)?;
    let mut source = match head.line.body {
        Body::None => Source::Empty,
        body => Source::H1(H1Source::new(stream, buffers, Side::Upstream, body, head.after_head(), 0)),
    };
    let relayed = upload.beside(relay(&mut source, &mut to_client, download, pause, until), || {}).await;
    record.bytes_out = to_client.sent();
    relayed.map_err(Failure::committed)?;

    let at_boundary = match source {
        Source::H1(source) => source.is_finished() && !source.has_rest(),
        _ => head.after_head().is_empty(),
    };
    let reusable = at_boundary && upload.is_complete() && head.line.keep_alive;
    Ok(if reusable { Left::Reusable } else { Left::Spent })
}

/// Answers 101; afterwards both connections carry bytes.
#[cold]
async fn switch_protocols(
    attempt: &Attempt<'_, '_>,
    head: &ResponseHead,
    client: &mut Downstream<'_>,
    record: &mut Record,
    asked: bool,
) -> Result<Left, Failure> {
    if !asked {
        let fault = Fault::new(FaultKind::BadResponse, "the upstream switched protocols without being asked");
        return Err(fault.into());
    }
    record.status = 101;
    record.upgraded = true;
    client.switch(head, attempt.x.timers.upload).await?;
    Ok(Left::Switched(head.after_head().to_vec()))
}
