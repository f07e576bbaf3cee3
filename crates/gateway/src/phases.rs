//! Runs one request through all phases, in order, and answers with what comes of it.

use crate::cache;
use crate::dispatch::dispatch_or_fall_back;
use crate::exchange::{Exchange, Failure, Finish};
use crate::path::has_dot_segment;
use crate::record::Record;
use crate::respond::{self, Answer, answer_directly};
use crate::route::Ask;
use crate::snapshot::{Action, Route};
use crate::target::{ask, filled, plan_target};
use crate::transform::{counts_hops, hops_left};
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::Source;
use headgate_net::downstream::Downstream;
use headgate_net::head::{Method, RequestHead};

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
            if failure.fault.kind == FaultKind::Injected { Finish::Reset } else { Finish::Cut }
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
    x.view.listeners[x.listener].metrics.bad_request(fault.kind);
    let id = x.view.tracing.as_ref().and_then(|tracing| tracing.id(&record.traced, x.head));
    // A 405 names the methods that the path has (RFC 9110 section 15.5.6).
    let allow = match fault.kind {
        FaultKind::MethodNotAllowed => x.view.snapshot.table.allowed(&ask(x)).join(&b", "[..]),
        _ => Vec::new(),
    };
    let allow = (!allow.is_empty()).then_some((&b"allow"[..], &allow[..]));
    let fields: Vec<_> = allow.into_iter().chain(id).collect();
    let to = respond::To { client, wall: &x.worker.wall, deadline: x.timers.download, pause: x.pause };
    match respond::fault(&fault, body, &fields, to).await {
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
    let ask = ask(x);
    let Some(matched) = x.view.snapshot.table.find(&ask) else {
        if is_about_server(x.head) {
            return answer_about_server(x, body, client, record).await;
        }
        return Err(no_route(x, &ask).into());
    };
    record.route = Some(matched.route);
    let route = &x.view.snapshot.routes[matched.route];
    match &route.action {
        Action::Service(_) if counts_hops(x.head) && hops_left(x.head) == Some(0) => {
            answer_at_last_hop(x, route, &ask, body, client, record).await
        }
        Action::Service(service) => {
            x.target = plan_target(x, route, &ask, &matched)?;
            match &route.cache {
                None => {
                    // It may change what another route has stored.
                    let changes = x.view.snapshot.caches && !x.head.line.method.is_safe();
                    x.changes_since = changes.then(|| x.worker.shared.cache.store.born());
                    dispatch_or_fall_back(x, route, *service, body, client, record).await
                }
                Some(rules) => cache::answer(x, route, rules, *service, body, client, record).await,
            }
        }
        Action::Respond { status, body: text, content_type } => {
            let answer = Answer { status: *status, content_type, body: text, fields: &[] };
            answer_directly(x, &route.response.write, &answer, body, client, record).await
        }
        Action::Redirect { needs_host: true, .. } if x.head.host().is_empty() => {
            let detail = "this redirect needs to know the host; send a Host header that names it";
            Err(Fault::new(FaultKind::BadRequest, detail).into())
        }
        Action::Redirect { to, status, .. } => {
            let location = filled(x, to, &ask, &matched);
            let fields: &[(&[u8], &[u8])] = &[(b"location", &location)];
            let answer = Answer { status: *status, content_type: b"", body: b"", fields };
            answer_directly(x, &route.response.write, &answer, body, client, record).await
        }
    }
}

/// A request that may go no further is answered here (RFC 9110 section 7.6.2): OPTIONS with what is known of
/// the path; TRACE, whose answer would show what proxies before us added, is not served.
#[cold]
async fn answer_at_last_hop(
    x: &Exchange<'_>,
    route: &Route,
    ask: &Ask<'_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    if x.head.line.method == Method::Trace {
        let detail = "Max-Forwards ends this TRACE here, where none is served";
        return Err(Fault::new(FaultKind::MethodNotSupported, detail).into());
    }
    let allow = x.view.snapshot.table.allowed(ask).join(&b", "[..]);
    let fields: &[(&[u8], &[u8])] = if allow.is_empty() { &[] } else { &[(b"allow", &allow)] };
    let answer = Answer { status: 204, content_type: b"", body: b"", fields };
    answer_directly(x, &route.response.write, &answer, body, client, record).await
}

/// Whether it asks about the server and no path of it (RFC 9112 section 3.2.4). Which service that would be is not
/// said, so that no route has it.
#[cold]
fn is_about_server(head: &RequestHead) -> bool {
    head.line.method == Method::Options && matches!(head.path(), b"*" | b"")
}

/// Says that it is there (RFC 9110 section 9.3.7): methods differ by path.
#[cold]
async fn answer_about_server(
    x: &Exchange<'_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let answer = Answer { status: 204, content_type: b"", body: b"", fields: &[] };
    answer_directly(x, &[], &answer, body, client, record).await
}

#[cold]
fn no_route(x: &Exchange<'_>, ask: &Ask<'_>) -> Fault {
    if x.view.snapshot.table.allowed(ask).is_empty() {
        Fault::new(FaultKind::NoRoute, "no route matches this host and path")
    } else {
        Fault::new(FaultKind::MethodNotAllowed, "the routes for this path list other methods")
    }
}

/// Refuses what no route may see.
#[inline]
fn admit(x: &Exchange<'_>) -> Result<(), Fault> {
    if has_dot_segment(x.head.path()) {
        return Err(Fault::new(
            FaultKind::BadRequest,
            "a dot segment in the path; resolve it before sending",
        ));
    }
    Ok(())
}
