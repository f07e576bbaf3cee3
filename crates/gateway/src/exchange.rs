//! One request through all phases, in order; and what comes of it.

use crate::fallback::dispatch_or_fall_back;
use crate::identify::Peer;
use crate::path::has_dot_segment;
use crate::record::Record;
use crate::respond::{self, Answer};
use crate::route::{Ask, Expansion, Match};
use crate::snapshot::{Action, Route};
use crate::tunnel::Tunnel;
use crate::view::View;
use crate::worker::Worker;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::units::Tick;
use headgate_net::body::Source;
use headgate_net::buffer::Lent;
use headgate_net::deadline::Deadline;
use headgate_net::downstream::Downstream;
use headgate_net::head::RequestHead;
use std::time::Duration;

/// What the phases know of one request.
pub(crate) struct Exchange<'c> {
    pub worker: &'c Worker,
    pub view: &'c View,
    pub listener: usize,
    pub peer: &'c Peer,
    pub head: &'c RequestHead,
    pub timers: Timers<'c>,
    /// Longest pause within a body, in either direction.
    pub pause: Duration,
    pub started: Tick,
    pub target: TargetPlan,
}

/// The two directions wait independently, so each has its deadline.
#[derive(Clone, Copy)]
pub(crate) struct Timers<'c> {
    pub upload: &'c Deadline,
    pub download: &'c Deadline,
}

/// The request target that the endpoint sees.
pub(crate) enum TargetPlan {
    AsSent,
    /// Without this many bytes at its start.
    Stripped(usize),
    Rewritten(Lent<Vec<u8>>),
}

impl TargetPlan {
    /// The target, in two pieces to be written one after the other.
    #[inline]
    pub(crate) fn parts<'a>(&'a self, head: &'a RequestHead) -> [&'a [u8]; 2] {
        match self {
            Self::AsSent => [head.target(), b""],
            Self::Stripped(len) => match &head.target()[*len..] {
                rest @ [b'/', ..] => [rest, b""],
                rest => [b"/", rest],
            },
            Self::Rewritten(target) => [target, b""],
        }
    }
}

/// How an exchange ended that did not fail.
pub(crate) enum Finish {
    Done,
    /// The response broke off; the client must be able to tell.
    Cut,
    /// The connection now carries another protocol.
    Switched(Box<Tunnel>),
}

/// How an exchange failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub fault: Fault,
    /// The response had begun: it can only be cut.
    pub committed: bool,
    /// The attempt brought a response of this status, put aside for another attempt that is paid for.
    pub put_aside: Option<u16>,
}

impl Failure {
    /// Within a response that had begun.
    pub(crate) fn committed(fault: Fault) -> Self {
        Self { fault, committed: true, put_aside: None }
    }

    /// A response of this status was put aside.
    pub(crate) fn put_aside(status: u16) -> Self {
        let fault =
            Fault::new(FaultKind::BadResponse, "the upstream answered with a status to be tried again");
        Self { fault, committed: false, put_aside: Some(status) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, committed: false, put_aside: None }
    }
}

/// Runs the phases and, where one fails, answers with the fault.
#[inline]
pub(crate) async fn run(
    x: &mut Exchange<'_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Finish {
    let finish = match phases(x, body, client, record).await {
        Ok(finish) => finish,
        Err(failure) if failure.committed => {
            record.fault = Some(failure.fault.kind);
            x.worker.faults.record(failure.fault.kind);
            Finish::Cut
        }
        Err(failure) => answer_fault(x, failure.fault, body, client, record).await,
    };
    record.conclude(x, body);
    finish
}

/// Answers with a fault in place of a response, before any phase.
#[cold]
pub(crate) async fn refuse(
    x: &Exchange<'_>,
    fault: Fault,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Finish {
    let finish = answer_fault(x, fault, body, client, record).await;
    record.conclude(x, body);
    finish
}

#[cold]
async fn answer_fault(
    x: &Exchange<'_>,
    fault: Fault,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Finish {
    record.fault = Some(fault.kind);
    record.status = fault.kind.status();
    x.worker.faults.record(fault.kind);
    let id = x.view.tracing.as_ref().and_then(|tracing| tracing.id(&record.traced, x.head));
    let to = respond::To { client, wall: &x.worker.wall, deadline: x.timers.download, pause: x.pause };
    match respond::fault(&fault, body, id, to).await {
        Ok(sent) => {
            record.bytes_out = sent;
            Finish::Done
        }
        Err(_) => Finish::Cut,
    }
}

async fn phases(
    x: &mut Exchange<'_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    if let Some(tracing) = &x.view.tracing {
        record.traced = tracing.identify(x.head, &mut x.worker.dice.borrow_mut());
    }
    admit(x)?;
    let ask = Ask {
        listener: x.listener as u32,
        host: x.head.host(),
        path: x.head.path(),
        query: x.head.query(),
        method: x.head.method(),
        fields: x.head,
    };
    let Some(matched) = x.view.snapshot.table.find(&ask) else {
        return Err(Fault::new(FaultKind::NoRoute, "no route matches this host and path").into());
    };
    record.route = Some(matched.route);
    let route = &x.view.snapshot.routes[matched.route];
    match &route.action {
        Action::Service(service) => {
            x.target = plan_target(x, route, &ask, &matched)?;
            dispatch_or_fall_back(x, route, *service, body, client, record).await
        }
        Action::Respond { status, body: text, content_type } => {
            let answer = Answer { status: *status, content_type, body: text, fields: &[] };
            answer_directly(x, route, &answer, body, client, record).await
        }
        Action::Redirect { needs_host: true, .. } if x.head.host().is_empty() => {
            let detail = "this redirect needs to know the host; send a Host header";
            Err(Fault::new(FaultKind::BadRequest, detail).into())
        }
        Action::Redirect { to, status, .. } => {
            let location = filled(x, to, &ask, &matched);
            let fields: &[(&[u8], &[u8])] = &[(b"location", &location)];
            let answer = Answer { status: *status, content_type: b"", body: b"", fields };
            answer_directly(x, route, &answer, body, client, record).await
        }
    }
}

/// Refuses what no route may see.
#[inline]
fn admit(x: &Exchange<'_>) -> Result<(), Fault> {
    if x.worker.draining.get() && x.head.line.version == headgate_net::head::Version::Http2 {
        return Err(Fault::new(FaultKind::Draining, "this Headgate is stopping"));
    }
    if has_dot_segment(x.head.path()) {
        return Err(Fault::new(
            FaultKind::BadRequest,
            "a dot segment in the path; resolve it before sending",
        ));
    }
    Ok(())
}

/// Answers in place of an endpoint, with the route's edits.
pub(crate) async fn answer_directly(
    x: &Exchange<'_>,
    route: &Route,
    answer: &Answer<'_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    record.status = answer.status;
    if !body.is_finished() {
        client.close_after();
    }
    let edited: Vec<(&[u8], &[u8])> = answer
        .fields
        .iter()
        .copied()
        .chain(route.response.write.iter().map(|(name, value)| (&**name, &**value)))
        .collect();
    let answer = Answer { fields: &edited, ..*answer };
    let to = respond::To { client, wall: &x.worker.wall, deadline: x.timers.download, pause: x.pause };
    record.bytes_out = answer.send(to).await?;
    Ok(Finish::Done)
}

/// What the endpoint shall see as the target: a path that begins with a slash and means one thing.
#[inline]
fn plan_target(x: &Exchange<'_>, route: &Route, ask: &Ask<'_>, matched: &Match) -> Result<TargetPlan, Fault> {
    const BAD: Fault =
        Fault::new(FaultKind::BadRequest, "this path would become another one at the endpoint");
    if let Some(rewrite) = &route.rewrite {
        let mut target = filled(x, rewrite, ask, matched);
        if !target.starts_with(b"/") || has_dot_segment(&target) {
            return Err(BAD);
        }
        if let Some(query) = ask.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        return Ok(TargetPlan::Rewritten(target));
    }
    match &route.strip {
        // What is left of a segment that was cut through may be dots.
        Some(strip) if ask.path.starts_with(strip) => {
            let left = &ask.path[strip.len()..];
            if has_dot_segment(left) { Err(BAD) } else { Ok(TargetPlan::Stripped(strip.len())) }
        }
        _ => Ok(TargetPlan::AsSent),
    }
}

fn filled(x: &Exchange<'_>, expansion: &Expansion, ask: &Ask<'_>, matched: &Match) -> Lent<Vec<u8>> {
    let mut out = x.worker.buffers.out();
    expansion.expand(ask, &matched.captures, &mut out);
    out
}
