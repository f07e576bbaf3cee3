//! One attempt: a request sent to one endpoint, and its response brought back.

use crate::beside::Upload;
use crate::dial::{Dialled, dial};
use crate::exchange::{Exchange, Failure, Finish, TargetPlan};
use crate::kept::what_changed;
use crate::presence::Presence;
use crate::record::Record;
use crate::snapshot::{Route, Service};
use crate::transform;
use crate::tunnel::Tunnel;
use crate::view::{Link, ServiceView};
use crate::websocket::refuse_success;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::toxic::Toxic;
use headgate_net::body::{Source, relay};
use headgate_net::buffer::Lent;
use headgate_net::deadline::DueAt;
use headgate_net::downstream::{Downstream, Promise};
use headgate_net::fields::HeadOut;
use headgate_net::h1::parse::HeadLimits;
use headgate_net::head::{Body, Known, Method, ResponseHead};
use headgate_net::kept::Connection;
use headgate_net::upstream::{H1Request, H2Request, Outline, Upstream};
use std::pin::pin;
use std::time::Duration;

/// Limits of a response's head: an upstream is trusted more than a client, but not without end.
const RESPONSE_LIMITS: HeadLimits = HeadLimits { head_bytes: usize::MAX, fields: 100, target_bytes: 0 };
/// Interim responses before the final one: each is written to the client, who may be slow.
const MOST_INTERIM: u32 = 32;

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
    /// Byte faults on the connection, which then is `fresh` and serves this attempt alone.
    pub toxics: Option<Box<[Toxic]>>,
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

/// Sends the request and brings the response back, in whatever protocol the service speaks.
#[inline]
pub(crate) async fn run(
    attempt: &Attempt<'_, '_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let Attempt { x, service, view, link, until, fresh, .. } = *attempt;
    let buffers = &x.worker.buffers;
    let resting =
        match dial(x, link, service, &view.pool_limits, fresh, until, attempt.toxics.as_deref()).await? {
            Dialled::Http1(connection) => connection,
            Dialled::Http2(lease) => {
                record.reused = lease.is_reused();
                let upstream = Upstream::H2(H2Request::new(lease, buffers));
                let left = talk(attempt, &upstream, body, client, record).await?;
                record.ended = x.worker.now();
                return match left {
                    Left::PutAside { status, .. } => Err(Failure::put_aside(status)),
                    _ => Ok(Finish::Done),
                };
            }
        };
    record.reused = resting.served > 0;
    let request = H1Request { stream: &resting.stream, buffers };
    let upstream = Upstream::H1 { request, reused: record.reused };
    let left = talk(attempt, &upstream, body, client, record).await?;
    record.ended = x.worker.now();
    match left {
        _ if attempt.toxics.is_some() => return end_alone(left, resting),
        Left::Reusable => link.pool.give(resting, record.ended, &view.pool_limits),
        Left::Spent => {}
        Left::PutAside { status, reusable } => {
            if reusable {
                link.pool.give(resting, record.ended, &view.pool_limits);
            }
            return Err(Failure::put_aside(status));
        }
        Left::Switched(to_client) => {
            return Ok(Finish::Switched(Box::new(Tunnel { upstream: resting.stream, to_client })));
        }
    }
    Ok(Finish::Done)
}

/// Ends an attempt whose connection is fit for no other.
#[cold]
fn end_alone(left: Left, connection: Connection) -> Result<Finish, Failure> {
    match left {
        Left::Reusable | Left::Spent => Ok(Finish::Done),
        Left::PutAside { status, .. } => Err(Failure::put_aside(status)),
        Left::Switched(to_client) => {
            Ok(Finish::Switched(Box::new(Tunnel { upstream: connection.stream, to_client })))
        }
    }
}

/// One request and its response.
#[inline]
async fn talk(
    attempt: &Attempt<'_, '_>,
    upstream: &Upstream<'_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Left, Failure> {
    let Attempt { x, route, service, link, until, .. } = *attempt;
    let timeouts = &service.state.spec.timeouts;
    let pause = x.pause;
    let download = x.timers.download;
    let line = &x.head.line;

    let outline = outline(x);
    let mut out = upstream.start(&outline);
    transform::request_fields(x, route, link.endpoint.name.as_bytes(), &record.traced, &mut out);
    let mut sink = upstream.begin(out, &outline)?;
    let watched = Presence::new(client.socket(), x.timers.upload);
    // A head alone is sent here and now; it needs none of what an upload needs.
    let sent = match body {
        Source::Empty => {
            x.timers.upload.set_at(x.timers.upload.at(pause).min(until));
            Some(sink.finish(None, x.timers.upload).await)
        }
        _ => None,
    };
    let at_once = sent.is_some();
    let keeps = |name: &[u8]| transform::request_may_trail(x, route, name);
    let upload = pin!(relay(body, &mut sink, x.timers.upload, pause, until, &keeps, |_| {}));
    let mut upload = Upload::new(upload, sent, x.timers, watched);

    // The first byte's time starts when the request is sent; before that the upload's own pauses count.
    let this_try = match timeouts.per_try.0 {
        Duration::ZERO => until,
        per_try => download.at(per_try).min(until),
    };
    let uploaded = || download.set_at(download.at(timeouts.first_byte.0).min(this_try));
    if at_once {
        uploaded()
    } else {
        download.set_at(this_try)
    }
    let to_head = line.method == Method::Head;
    let mut last: Option<Lent<ResponseHead>> = None;
    let mut interims = 0;
    let head = loop {
        let reading = upstream.response(last, &RESPONSE_LIMITS, to_head, download);
        let read = upload.beside_wait(reading, uploaded).await;
        let head = read.map_err(|fault| Failure::unanswered(fault, interims > 0))?;
        match head.line.status {
            101 => return switch_protocols(attempt, &head, client, record, outline.upgrade.is_some()).await,
            100..=199 if interims == MOST_INTERIM => return Err(too_many_interims()),
            100..=199 => {
                // Half a head is a commitment.
                pass_interim(attempt, &head, client).await.map_err(Failure::committed)?;
            }
            _ => break head,
        }
        interims += 1;
        last = Some(head);
    };
    if interims == 0 && attempt.puts_aside(head.line.status) {
        return Ok(put_aside(&head, upload.is_complete()));
    }
    refuse_success(x.websocket, head.line.status)?;
    record.status = head.line.status;
    let mut kept = x.changes_since.and_then(|since| what_changed(x, route, &head, since));

    let out = head_for(attempt, client, &head);
    let promise = promised(&head);
    if !upload.is_complete() {
        // The response comes before the request's end. Nobody can promise that this end will come, so the
        // client is told now that its connection is not for more (RFC 9112 section 9.6).
        client.close_after();
    }
    let mut to_client = client.begin(out, &promise)?;
    let mut source = upstream.body(&head);
    let keeps = |name: &[u8]| transform::response_may_trail(route, &head, name);
    let seen = |piece: &[u8]| kept.iter_mut().for_each(|kept| kept.push(piece));
    let relayed = upload
        .beside_download(relay(&mut source, &mut to_client, download, pause, until, &keeps, seen))
        .await;
    record.bytes_out = to_client.sent();
    relayed.map_err(Failure::committed)?;
    kept.into_iter().for_each(|kept| kept.store());

    let reusable = is_at_boundary(&source, &head) && upload.is_complete() && head.line.keep_alive;
    Ok(if reusable { Left::Reusable } else { Left::Spent })
}

/// The response's head as this client gets it, without its framing.
#[inline]
fn head_for(attempt: &Attempt<'_, '_>, client: &Downstream<'_>, head: &ResponseHead) -> HeadOut {
    let Attempt { x, route, .. } = *attempt;
    let mut out = client.start_as_sent(head);
    match client {
        Downstream::Receiver { .. } => transform::stored_fields(x, route, head, &mut out),
        _ => transform::response_fields(x, route, attempt.set_cookie, head, &mut out),
    }
    out
}

#[inline]
fn outline<'x>(x: &'x Exchange<'_>) -> Outline<'x> {
    Outline {
        head: x.head,
        target: match &x.target {
            TargetPlan::AsSent => None,
            target => Some(target.parts(x.head)),
        },
        upgrade: if x.head.line.upgrade { x.head.value(Known::Upgrade) } else { None },
    }
}

/// Whether nothing of the connection is left to be read.
fn is_at_boundary(source: &Source<'_>, head: &ResponseHead) -> bool {
    match source {
        Source::H1(source) => source.is_finished() && !source.has_rest(),
        _ => head.after_head().is_empty(),
    }
}

fn promised(head: &ResponseHead) -> Promise {
    let line = &head.line;
    Promise { status: line.status, body: line.body, declared_length: line.declared_length }
}

async fn pass_interim(
    attempt: &Attempt<'_, '_>,
    head: &ResponseHead,
    client: &mut Downstream<'_>,
) -> Result<(), Fault> {
    let Attempt { x, route, until, .. } = *attempt;
    // A timer of its own: the upload's may have run out long ago.
    let timer = x.worker.deadlines.deadline();
    timer.set_at(timer.at(x.pause).min(until));
    let mut out = client.start(head.line.status, head.part(head.line.reason));
    transform::interim_fields(route, head, &mut out);
    client.interim(head.line.status, out, &timer).await
}

#[cold]
fn too_many_interims() -> Failure {
    Failure::unanswered(Fault::new(FaultKind::BadResponse, "more than 32 interim responses"), true)
}

#[cold]
fn put_aside(head: &ResponseHead, is_sent: bool) -> Left {
    let at_end = head.line.body == Body::None && head.after_head().is_empty();
    Left::PutAside { status: head.line.status, reusable: at_end && is_sent && head.line.keep_alive }
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
    if let Some(handshake) = attempt.x.websocket {
        handshake.check(head)?;
    }
    // What the client is told: a stream has no 101 (RFC 8441 section 5).
    record.status = if attempt.x.websocket.is_some() { 200 } else { 101 };
    record.upgraded = true;
    let timer = attempt.x.worker.deadlines.deadline();
    timer.set(attempt.x.pause);
    client.switch(head, &timer).await.map_err(Failure::committed)?;
    Ok(Left::Switched(head.after_head().to_vec()))
}
