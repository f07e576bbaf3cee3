//! Gets a request answered by a service: attempts one endpoint after the other for as long as that is
//! safe, wanted and paid for. The bulkhead and the service's breaker stand before the first attempt, the
//! fallback behind the last. The response of an endpoint, whatever its status, is never replaced.

use crate::attempt::{self, Attempt};
use crate::choose::{Choice, Tried, choose, has_others, named_by_cookie};
use crate::client;
use crate::exchange::{Exchange, Failure, Finish};
use crate::fallback::Fallback;
use crate::inject;
use crate::outcome;
use crate::record::Record;
use crate::respond::{Answer, answer_directly};
use crate::snapshot::Route;
use crate::unprocessed::Resends;
use crate::view::{Link, ServiceView};
use headgate_cache::fill::SentTo;
use headgate_model::fault::{Blame, Fault, FaultKind, Retry};
use headgate_model::spec::RetrySpec;
use headgate_model::state::InFlight;
use headgate_model::units::Tick;
use headgate_net::body::Source;
use headgate_net::buffer::Lent;
use headgate_net::deadline::DueAt;
use headgate_net::downstream::Downstream;
use headgate_net::head::Body;
use headgate_observe::counter::Gauge;
use headgate_policy::retry::backoff;
use headgate_policy::retry::decide::{self, Decision};
use std::time::Duration;

/// Gets the request answered by `service` or, where that fails, by its fallback.
#[inline]
pub(crate) async fn dispatch_or_fall_back(
    x: &Exchange<'_>,
    route: &Route,
    mut service: usize,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    // Ends: no chain of fallbacks comes back to its beginning, which validation has checked.
    loop {
        let failure = match dispatch(x, route, service, body, client, record).await {
            Err(failure) if !failure.committed => failure,
            result => return result,
        };
        let Some(fallback) = &x.view.snapshot.services[service].fallback else { return Err(failure) };
        let kind = failure.fault.kind;
        match fallback {
            _ if kind.blame() == Blame::Client || x.is_ahead() => return Err(failure),
            Fallback::Service(_) if failure.bound || !may_be_sent_elsewhere(x, kind) || !body.rewind() => {
                return Err(failure);
            }
            Fallback::Service(other) => {
                x.view.services[service].count_fallback();
                service = *other;
            }
            Fallback::Answer { status, content_type, body: content } => {
                x.view.services[service].count_fallback();
                record.fault = Some(kind);
                let answer = Answer { status: *status, content_type, body: content, fields: &[] };
                return answer_directly(x, &route.response.write, &answer, body, client, record).await;
            }
        }
    }
}

/// A request that may have had its effect is sent to another service only if it may have it twice.
fn may_be_sent_elsewhere(x: &Exchange<'_>, kind: FaultKind) -> bool {
    kind.retry() == Retry::Safe || x.head.line.method.is_idempotent()
}

/// Sends the request to the service of that index and brings a response back.
#[inline]
async fn dispatch(
    x: &Exchange<'_>,
    route: &Route,
    service: usize,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let view = &x.view.services[service];
    let spec = &x.view.snapshot.services[service].state.spec;
    let total = if route.timeout.is_zero() { spec.timeouts.total.0 } else { route.timeout };
    let until = if total.is_zero() { DueAt::NEVER } else { x.timers.download.at(total) };
    record.service = Some(service);
    record.endpoint = None;
    let mut now = if record.ended == Tick(0) { x.started } else { record.ended };
    let mut place = None;
    if let Some(bulkhead) = &view.bulkhead {
        let entered = if x.is_ahead() {
            bulkhead.enter_at_once()?
        } else {
            bulkhead.enter(x.timers.download, until).await?
        };
        if entered.waited {
            now = x.worker.now();
        }
        place = Some(entered.place);
    }
    let pass = match &view.breakers {
        None => None,
        Some(breakers) => Some(breakers.service.pass(now).ok_or_else(|| {
            Fault::new(FaultKind::BreakerOpen, "the service failed too often and is left alone for a while")
        })?),
    };
    let result = attempts(x, route, service, (now, until), body, client, record).await;
    if let Some(pass) = pass {
        pass.conclude(record.ended.max(now), outcome::of(&result, record.status));
    }
    drop(place);
    result
}

/// One attempt after the other, until one succeeds or the next is not worth it.
#[inline]
async fn attempts(
    x: &Exchange<'_>,
    route: &Route,
    service: usize,
    (mut now, until): (Tick, DueAt),
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let view = &x.view.services[service];
    let service = &x.view.snapshot.services[service];
    let spec = &service.state.spec;
    let named = named_by_cookie(x, view, now);
    view.budget.borrow_mut().deposit(now);
    let mut tried = Tried::default();
    let mut used = 0;
    let mut fresh = false;
    let mut resends = Resends::default();
    loop {
        let choice = Choice { service, view, named, now };
        let index =
            choose(x, &choice, &tried).or_else(|| choose(x, &choice, &Tried::default()).filter(|_| used > 0));
        let Some(index) = index else {
            return Err(Fault::new(FaultKind::NoEndpoint, "no endpoint of the service is usable").into());
        };
        let link = &view.links[index];
        outcome::ask(link, now);
        record.endpoint = Some(index);
        if let (Some(fill), Some(service)) = (x.fill, record.service) {
            let generation = x.view.snapshot.generation;
            fill.set_sent_to(SentTo { generation, service, endpoint: index, retries: record.retries });
        }
        let pass = view.breakers.as_ref().and_then(|breakers| breakers.endpoints[index].pass(now));
        let cookie = new_cookie(x, view, index, named, now);
        let under_way = UnderWay::begin(link, used > 0);
        let put_aside = statuses_to_put_aside(x, &spec.retry, used + 1);
        let set_cookie = cookie.as_deref().map(Vec::as_slice);
        let mut attempt =
            Attempt { x, route, service, view, link, until, fresh, put_aside, set_cookie, toxics: None };
        // Boxed: rules are rare, and every request would carry their state.
        let over = match &x.view.chaos {
            None => None,
            Some(chaos) => Box::pin(inject::meet(chaos, &mut attempt, body, client, record)).await,
        };
        let result = match over {
            Some(result) => result,
            None => attempt::run(&attempt, body, client, record).await,
        };
        drop(under_way);
        used += 1;
        if result.is_err() {
            record.ended = x.worker.now();
        }
        let outcome = outcome::of(&result, record.status);
        outcome::count(x.worker, service, view, link, &result, outcome, (now, record.ended));
        outcome::reach(service, link, &result, (now, record.ended));
        record.upstream_us += record.ended.since(now).as_micros() as u64;
        if let (Some(pass), Some(breakers)) = (pass, &view.breakers) {
            breakers.conclude(pass, record.ended, outcome);
        }
        let failure = match result {
            Err(failure) if x.is_ahead() => return Err(in_time(x, until, failure)),
            Err(failure) if !failure.bound => failure,
            Err(failure) if !failure.committed => return Err(in_time(x, until, failure)),
            result => return result,
        };
        if resends.allow(failure.fault.kind) && !is_past(x, until) && body.rewind() {
            record.retries += 1;
            now = record.ended;
            used -= 1;
            continue;
        }
        let wait = match decision(x, &spec.retry, &failure, body.can_rewind(), used) {
            Decision::Stop(_) => return Err(in_time(x, until, failure)),
            Decision::Now => Duration::ZERO,
            Decision::AfterBackoff => {
                let dice = &mut *x.worker.dice.borrow_mut();
                backoff::wait(u32::from(used), spec.retry.backoff.0, spec.retry.backoff_max.0, dice)
            }
        };
        if !is_paid(view, &failure, record.ended) || is_past(x, until) || !body.rewind() {
            return Err(in_time(x, until, failure));
        }
        record.retries += 1;
        now = record.ended;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
            now = x.worker.now();
        }
        fresh = failure.fault.kind == FaultKind::StaleConnection;
        if fresh {
            // The endpoint saw nothing of it: this was none of the attempts. There is no second such one.
            used -= 1;
        } else {
            tried.add(index);
        }
    }
}

/// Whether another attempt may be made after a failure that ended then. Who could not be connected to has no more to do
/// by one elsewhere; everything else spends of the budget, and what was put aside has done so.
fn is_paid(view: &ServiceView, failure: &Failure, ended: Tick) -> bool {
    failure.put_aside.is_some()
        || outcome::is_connect_failure(failure.fault.kind) && has_others(view, ended)
        || view.budget.borrow_mut().withdraw(ended)
}

/// Whether another attempt follows. What was put aside was decided on when its head came.
fn decision(
    x: &Exchange<'_>,
    spec: &RetrySpec,
    failure: &Failure,
    body_replayable: bool,
    used: u8,
) -> Decision {
    if failure.put_aside.is_some() {
        return Decision::AfterBackoff;
    }
    let idempotent = x.head.line.method.is_idempotent();
    let failure = decide::Failure::Fault(failure.fault.kind);
    decide::decide(spec, &decide::Attempt { idempotent, body_replayable, used, failure })
}

/// Statuses whose response is put aside in favour of another attempt, for the attempt of this number: none
/// when there could be no further one. What was put aside cannot be brought back, so the body counts as
/// replayable only when all of it came with the head.
#[inline]
fn statuses_to_put_aside<'s>(x: &Exchange<'_>, spec: &'s RetrySpec, used: u8) -> &'s [u16] {
    let Some(&status) = spec.statuses.first().filter(|_| !x.is_ahead()) else { return &[] };
    let body_replayable = match x.head.line.body {
        Body::None => true,
        Body::Length(length) => length <= x.head.after_head().len() as u64,
        Body::Chunked | Body::UntilClose => false,
    };
    let idempotent = x.head.line.method.is_idempotent();
    let failure = decide::Failure::Status(status);
    match decide::decide(spec, &decide::Attempt { idempotent, body_replayable, used, failure }) {
        Decision::Stop(_) => &[],
        _ => &spec.statuses,
    }
}

/// The failure as the client is told it: beyond the total deadline that is the cause, whatever broke.
fn in_time(x: &Exchange<'_>, until: DueAt, failure: Failure) -> Failure {
    if failure.fault.kind.blame() == Blame::Upstream && is_past(x, until) {
        let fault = Fault::new(FaultKind::Deadline, "the request took longer than its total timeout");
        return Failure { fault, put_aside: None, ..failure };
    }
    failure
}

fn is_past(x: &Exchange<'_>, until: DueAt) -> bool {
    until < x.timers.download.at(Duration::ZERO)
}

/// A `Set-Cookie` value where the service keeps its clients and this one comes to another endpoint than its
/// cookie names.
#[inline]
fn new_cookie(
    x: &Exchange<'_>,
    view: &ServiceView,
    index: usize,
    named: Option<usize>,
    now: Tick,
) -> Option<Lent<Vec<u8>>> {
    let sticky = view.sticky.as_ref().filter(|_| named != Some(index))?;
    let mut cookie = x.worker.buffers.out();
    let secure = client::is_encrypted(x.peer, x.head);
    sticky.write(index, x.worker.wall.unix_us(now) / 1_000_000, secure, &mut cookie);
    Some(cookie)
}

/// One attempt in the counts of what is under way at an endpoint.
struct UnderWay<'l> {
    gauge: &'l Gauge,
    _in_flight: InFlight,
}

impl<'l> UnderWay<'l> {
    fn begin(link: &'l Link, is_retry: bool) -> Self {
        if is_retry {
            link.metrics.retries.inc();
        }
        link.metrics.in_flight.inc();
        Self { gauge: &link.metrics.in_flight, _in_flight: link.endpoint.enter() }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
