//! What an attempt says about its endpoint, and everybody who wants to know: metrics, breakers, the latency
//! estimate, the control loop.

use crate::exchange::{Failure, Finish};
use crate::snapshot::Service;
use crate::view::{Link, ServiceView};
use crate::worker::Worker;
use headgate_model::fault::{Blame, Fault, FaultKind};
use headgate_model::signal;
use headgate_model::spec::BalancePolicy;
use headgate_model::units::Tick;
use headgate_observe::log::{self, Level};
use headgate_observe::request_metrics;
use headgate_policy::aside::Aside;
use headgate_policy::balance::peak_ewma::PeakEwma;
use headgate_policy::breaker::Outcome;

/// Whether the upstream did its part: 5xx and its own faults are failures. What the client or the gateway
/// broke says nothing, and neither does a connection that the upstream ended before it took the request.
#[inline]
pub(crate) fn of(result: &Result<Finish, Failure>, status: u16) -> Outcome {
    let status = match result {
        Ok(_) => status,
        Err(Failure { put_aside: Some(status), .. }) => *status,
        Err(Failure { fault, .. }) => {
            let ended = matches!(fault.kind, FaultKind::StaleConnection | FaultKind::GoneAway);
            let failed = fault.kind.blame() == Blame::Upstream && !ended;
            return if failed { Outcome::Failure } else { Outcome::Abandoned };
        }
    };
    if status >= 500 { Outcome::Failure } else { Outcome::Success }
}

/// Tells all but the breakers of an attempt that lasted from `began` to `ended`.
#[inline]
pub(crate) fn count(
    worker: &Worker,
    service: &Service,
    view: &ServiceView,
    link: &Link,
    result: &Result<Finish, Failure>,
    outcome: Outcome,
    (began, ended): (Tick, Tick),
) {
    let took = ended.since(began);
    link.metrics.record(label(result), took.as_micros() as u64);
    if outcome == Outcome::Abandoned {
        return;
    }
    let ok = outcome == Outcome::Success;
    if service.balance.policy == BalancePolicy::PeakEwma {
        let (us, at) = link.endpoint.latency();
        let (before, decay) = (PeakEwma { us, at }, service.balance.decay);
        let after =
            if ok { before.observe(took, ended, decay) } else { before.observe_failure(took, ended, decay) };
        link.endpoint.set_latency(after.us, after.at);
    }
    if view.is_judged
        && let Some(signals) = &worker.signals
    {
        signals.send(signal::Outcome { endpoint: link.endpoint.clone(), ok, at: ended });
    }
}

/// An attempt goes to the endpoint: if it is to find out whether that can be connected to again, others wait for it.
#[inline]
pub(crate) fn ask(link: &Link, now: Tick) {
    let (failures, until) = link.endpoint.aside();
    if failures > 0 {
        let Aside { failures, until } = Aside { failures, until }.ask(now);
        link.endpoint.set_aside(failures, until);
    }
}

/// Puts the endpoint aside when it could not be connected to, and takes it back when it was.
#[inline]
pub(crate) fn reach(
    service: &Service,
    link: &Link,
    result: &Result<Finish, Failure>,
    (began, ended): (Tick, Tick),
) {
    let (failures, until) = link.endpoint.aside();
    match result {
        Err(Failure { fault, .. }) if is_connect_failure(fault.kind) => {
            let now = Aside { failures, until }.failed(began, ended);
            link.endpoint.set_aside(now.failures, now.until);
            if failures == 0 {
                tell(service, link, Some(fault));
            }
        }
        Err(Failure { fault, .. }) if fault.kind.blame() != Blame::Upstream => {}
        _ if failures == 0 => {}
        _ => {
            link.endpoint.set_aside(0, Tick(0));
            tell(service, link, None);
        }
    }
}

pub(crate) fn is_connect_failure(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::ConnectFailed | FaultKind::ConnectTimeout)
}

#[cold]
fn tell(service: &Service, link: &Link, fault: Option<&Fault>) {
    let (service, endpoint) = (&service.state.name, &link.endpoint.name);
    match fault {
        Some(fault) => {
            let fields: log::Fields<'_> =
                &[("service", service), ("endpoint", endpoint), ("why", &fault.detail)];
            log::event(Level::Warn, "endpoint cannot be connected to; requests go elsewhere", fields);
        }
        None => {
            let fields: log::Fields<'_> = &[("service", service), ("endpoint", endpoint)];
            log::event(Level::Info, "endpoint can be connected to again", fields);
        }
    }
}

fn label(result: &Result<Finish, Failure>) -> request_metrics::Outcome {
    match result {
        Ok(_) | Err(Failure { put_aside: Some(_), .. }) => request_metrics::Outcome::Ok,
        Err(Failure { fault, .. }) => match fault.kind {
            FaultKind::ConnectFailed | FaultKind::ConnectTimeout | FaultKind::TlsFailed => {
                request_metrics::Outcome::ConnectFailed
            }
            kind if kind.blame() == Blame::Client => request_metrics::Outcome::Abandoned,
            _ => request_metrics::Outcome::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_upstreams_own_failures_count_against_it() {
        let failed = |kind| of(&Err(Fault::new(kind, "").into()), 0);
        assert_eq!(of(&Ok(Finish::Done), 200), Outcome::Success);
        assert_eq!(of(&Ok(Finish::Done), 404), Outcome::Success);
        assert_eq!(of(&Ok(Finish::Done), 503), Outcome::Failure);
        assert_eq!(of(&Err(Failure::put_aside(503)), 200), Outcome::Failure);
        assert_eq!(of(&Err(Failure::put_aside(429)), 500), Outcome::Success);
        assert_eq!(failed(FaultKind::FirstByteTimeout), Outcome::Failure);
        assert_eq!(failed(FaultKind::Refused), Outcome::Failure);
        assert_eq!(failed(FaultKind::StaleConnection), Outcome::Abandoned);
        assert_eq!(failed(FaultKind::GoneAway), Outcome::Abandoned);
        assert_eq!(failed(FaultKind::ClientClosed), Outcome::Abandoned);
        assert_eq!(failed(FaultKind::NoEndpoint), Outcome::Abandoned);
    }
}
