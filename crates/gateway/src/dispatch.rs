//! Gets a request answered by a service: attempts one endpoint after the other for as long as that is
//! safe, wanted and paid for.

use crate::attempt::{self, Attempt};
use crate::choose::{Tried, choose};
use crate::exchange::{Exchange, Failure, Finish};
use crate::record::Record;
use crate::snapshot::Route;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::Source;
use headgate_net::deadline::DueAt;
use headgate_net::downstream::Downstream;
use headgate_observe::request_metrics::Outcome;
use headgate_policy::retry::backoff;
use headgate_policy::retry::decide::{self, Decision};
use std::time::Duration;

/// Sends the request to `service` and brings a response back.
#[inline]
pub(crate) async fn dispatch(
    x: &Exchange<'_>,
    route: &Route,
    service: usize,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let view = &x.view.services[service];
    let service = &x.view.snapshot.services[service];
    let spec = &service.state.spec;
    let total = if route.timeout.is_zero() { spec.timeouts.total.0 } else { route.timeout };
    let until = if total.is_zero() { DueAt::NEVER } else { x.timers.download.at(total) };
    view.budget.borrow_mut().deposit(x.started);
    let mut tried = Tried::default();
    let mut used = 0;
    let mut fresh = false;
    loop {
        let choice = choose(x, service, view, &tried)
            .or_else(|| choose(x, service, view, &Tried::default()).filter(|_| used > 0));
        let Some(index) = choice else {
            return Err(Fault::new(FaultKind::NoEndpoint, "no endpoint of the service is usable").into());
        };
        let link = &view.links[index];
        let in_flight = link.endpoint.enter();
        let began = if used == 0 { x.started } else { record.ended };
        let attempt = Attempt { x, route, service, view, link, until, fresh };
        let result = attempt::http1(&attempt, body, client, record).await;
        drop(in_flight);
        used += 1;
        if result.is_err() {
            record.ended = x.worker.now();
        }
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(failure) => outcome_of(failure.fault.kind),
        };
        link.metrics.record(outcome, record.ended.since(began).as_micros() as u64);
        let failure = match result {
            Err(failure) if !failure.committed => failure,
            result => return result,
        };
        let attempt = decide::Attempt {
            idempotent: x.head.line.method.is_idempotent(),
            body_replayable: body.rewind(),
            used,
            failure: decide::Failure::Fault(failure.fault.kind),
        };
        let wait = match decide::decide(&spec.retry, &attempt) {
            Decision::Stop(_) => return Err(failure),
            Decision::Now => Duration::ZERO,
            Decision::AfterBackoff => {
                let dice = &mut *x.worker.dice.borrow_mut();
                backoff::wait(u32::from(used), spec.retry.backoff.0, spec.retry.backoff_max.0, dice)
            }
        };
        if !view.budget.borrow_mut().withdraw(record.ended) {
            return Err(failure);
        }
        record.retries += 1;
        link.metrics.retries.inc();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        fresh = failure.fault.kind == FaultKind::StaleConnection;
        if !fresh {
            tried.add(index);
        }
    }
}

fn outcome_of(kind: FaultKind) -> Outcome {
    match kind {
        FaultKind::ConnectFailed | FaultKind::ConnectTimeout | FaultKind::TlsFailed => Outcome::ConnectFailed,
        _ => Outcome::Failed,
    }
}
