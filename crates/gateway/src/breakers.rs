//! The circuit breakers of one service on one worker: one for the service as a whole, one for each of its
//! endpoints. Each worker finds out for itself, so that they share nothing.

use headgate_model::decision::{Decision, Figure};
use headgate_model::spec;
use headgate_model::state::{EndpointState, ServiceState};
use headgate_model::units::Tick;
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level, PeerEvent};
use headgate_observe::registry::WorkerMetrics;
use headgate_observe::resilience_metrics::{BreakerMetrics, BreakerState};
use headgate_policy::breaker::{Admission, Breaker, Change, Condition, Outcome};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct Breakers {
    spec: spec::Breaker,
    pub service: Rc<Guard>,
    /// In the order of the service's endpoints.
    pub endpoints: Vec<Rc<Guard>>,
    guarded: Vec<Arc<EndpointState>>,
}

impl Breakers {
    /// `None` when the service has none. What `before` had under the same settings is kept as it stands.
    pub(crate) fn build(
        state: &ServiceState,
        metrics: &WorkerMetrics,
        journal: &Journal,
        before: Option<&Self>,
    ) -> Option<Self> {
        let spec = state.spec.breaker.as_ref()?;
        let (all_before, before) = (before, before.filter(|before| before.spec == *spec));
        let new = |endpoint: &str| Rc::new(Guard::new(spec, (metrics, journal), &state.name, endpoint));
        let count = state.endpoints.len();
        let endpoints = state.endpoints.iter().map(|endpoint| {
            let same = |before: &Self| {
                let index = before.guarded.iter().position(|known| Arc::ptr_eq(known, endpoint))?;
                Some(Rc::clone(&before.endpoints[index]))
            };
            before.and_then(same).unwrap_or_else(|| new(&endpoint.name))
        });
        let built = Self {
            spec: spec.clone(),
            service: before.map_or_else(|| new(""), |before| Rc::clone(&before.service)),
            endpoints: endpoints.collect(),
            guarded: state.endpoints.clone(),
        };
        built.service.breaker.borrow_mut().set_endpoints(spec, count);
        for gone in all_before.into_iter().flat_map(Self::guards) {
            if !built.guards().any(|guard| Rc::ptr_eq(guard, gone)) {
                gone.retire();
            }
        }
        Some(built)
    }

    /// An attempt at an endpoint is over.
    pub(crate) fn conclude(&self, pass: Pass<'_>, now: Tick, outcome: Outcome) {
        if pass.conclude(now, outcome) && self.endpoints.len() > 1 {
            self.service.breaker.borrow_mut().forget();
        }
    }

    fn guards(&self) -> impl Iterator<Item = &Rc<Guard>> {
        std::iter::once(&self.service).chain(&self.endpoints)
    }
}

/// One breaker and what is told of it.
pub(crate) struct Guard {
    breaker: RefCell<Breaker>,
    service: Box<str>,
    /// Empty for the service's own.
    endpoint: Box<str>,
    metrics: BreakerMetrics,
    journal: Journal,
    /// Another has its place: requests that were begun under it are still counted, but it is not shown.
    retired: Cell<bool>,
}

impl Guard {
    fn new(
        spec: &spec::Breaker,
        (metrics, journal): (&WorkerMetrics, &Journal),
        service: &str,
        endpoint: &str,
    ) -> Self {
        Self {
            breaker: RefCell::new(Breaker::new(spec)),
            service: service.into(),
            endpoint: endpoint.into(),
            metrics: BreakerMetrics::new(metrics, service, endpoint),
            journal: journal.clone(),
            retired: Cell::new(false),
        }
    }

    /// A breaker that is gone, with its endpoint or its settings, must not be shown as open.
    fn retire(&self) {
        if !self.retired.replace(true) {
            self.metrics.show(BreakerState::Closed);
        }
    }

    fn count(&self, to: BreakerState) {
        self.metrics.count(to);
        if !self.retired.get() {
            self.metrics.show(to);
        }
    }

    /// Whether a request would be let through, for the balancer that looks around.
    pub(crate) fn admits(&self, now: Tick) -> bool {
        self.breaker.borrow().admits(now)
    }

    /// Whether all requests are let through.
    pub(crate) fn is_closed(&self) -> bool {
        self.breaker.borrow().condition() == Condition::Closed
    }

    /// Asks to let one request through; `None` when it must not pass.
    pub(crate) fn pass(&self, now: Tick) -> Option<Pass<'_>> {
        let mut breaker = self.breaker.borrow_mut();
        let was_open = breaker.condition() == Condition::Open;
        let admission = breaker.admit(now);
        if was_open && breaker.condition() == Condition::HalfOpen {
            self.count(BreakerState::HalfOpen);
        }
        (admission != Admission::Refused).then_some(Pass { guard: self, admission })
    }

    /// The change for the journal. Each worker has breakers of its own, and each tells its own changes.
    fn decision(&self, change: Change, now: Tick) -> Decision {
        let open_for = |until: Tick| format!("open for {:.1} s", until.since(now).as_secs_f64());
        let (decided, because, evidence) = match change {
            Change::Opened { failed, requests, until } => {
                let figures = [("failed", failed), ("requests", requests)];
                let evidence = figures.map(|(name, count)| Figure::new(name, count as f64, "")).to_vec();
                (open_for(until), "too large a share of the requests failed", evidence)
            }
            Change::Reopened { until } => (open_for(until), "its probe failed", Vec::new()),
            Change::Closed => ("closed".to_owned(), "its probes succeeded", Vec::new()),
        };
        Decision {
            policy: "breaker".into(),
            subject: format!("{} {}", self.service, self.endpoint).trim_end().into(),
            decided: decided.into(),
            because: because.into(),
            evidence,
            alternative: if change == Change::Closed { "stay open" } else { "send on to what fails" }.into(),
            expected_gain: None,
        }
    }

    #[cold]
    fn tell(&self, change: Change, now: Tick) {
        static CHANGED: PeerEvent = PeerEvent::new("breaker");
        let (service, endpoint) = (&self.service, &self.endpoint);
        let closed = change == Change::Closed;
        self.count(if closed { BreakerState::Closed } else { BreakerState::Open });
        self.journal.record(self.decision(change, now));
        match change {
            Change::Opened { failed, requests, until } => {
                let open_ms = until.since(now).as_millis();
                let fields: log::Fields<'_> = &[
                    ("service", service),
                    ("endpoint", endpoint),
                    ("failed", &failed),
                    ("requests", &requests),
                    ("open_ms", &open_ms),
                ];
                log::peer_event(&CHANGED, Level::Warn, "a circuit breaker opened", fields);
            }
            Change::Reopened { until } => {
                let open_ms = until.since(now).as_millis();
                let fields: log::Fields<'_> =
                    &[("service", service), ("endpoint", endpoint), ("open_ms", &open_ms)];
                log::peer_event(
                    &CHANGED,
                    Level::Warn,
                    "a circuit breaker stays open: its probe failed",
                    fields,
                );
            }
            Change::Closed => {
                let fields: log::Fields<'_> = &[("service", service), ("endpoint", endpoint)];
                log::peer_event(&CHANGED, Level::Info, "a circuit breaker closed", fields);
            }
        }
    }
}

/// One request that was let through. A probe that is dropped without an outcome, because its client reset
/// the stream, is given up by the breaker after the open time.
pub(crate) struct Pass<'g> {
    guard: &'g Guard,
    admission: Admission,
}

impl Pass<'_> {
    /// Whether it has opened the breaker.
    pub(crate) fn conclude(self, now: Tick, outcome: Outcome) -> bool {
        let change = self.guard.breaker.borrow_mut().record(now, self.admission, outcome);
        if let Some(change) = change {
            self.guard.tell(change, now);
        }
        matches!(change, Some(Change::Opened { .. }))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::address::EndpointAddress;
    use headgate_model::spec::ServiceSpec;
    use headgate_observe::journal::Query;
    use headgate_observe::registry::Registry;
    use std::sync::atomic::AtomicU32;

    fn service(breaker: spec::Breaker) -> ServiceState {
        let spec = ServiceSpec { breaker: Some(breaker), ..ServiceSpec::default() };
        let address: EndpointAddress = "127.0.0.1:1".parse().unwrap();
        ServiceState {
            name: "shop".into(),
            spec: Arc::new(spec),
            endpoints: vec![Arc::new(EndpointState::new(address, 1))],
            in_flight: Arc::new(AtomicU32::new(0)),
        }
    }

    fn trip(guard: &Guard) {
        for _ in 0..100 {
            let Some(pass) = guard.pass(Tick(1)) else { return };
            pass.conclude(Tick(1), Outcome::Failure);
        }
        panic!("it did not open");
    }

    #[test]
    fn a_breaker_whose_place_was_taken_hides_nothing() {
        let registry = Registry::default();
        let (metrics, journal) = (registry.worker(0), Journal::default());
        let open = || {
            let mut text = String::new();
            headgate_observe::exposition::write(&registry.gather(), &mut text);
            text.lines()
                .filter(|line| line.starts_with("headgate_breaker_open") && line.ends_with(" 1"))
                .count()
        };
        let before = Breakers::build(&service(spec::Breaker::default()), &metrics, &journal, None).unwrap();
        trip(&before.service);
        assert_eq!(open(), 1);
        let changed = spec::Breaker { minimum_requests: 7, ..spec::Breaker::default() };
        let after = Breakers::build(&service(changed), &metrics, &journal, Some(&before)).unwrap();
        assert_eq!(open(), 0, "the new one is closed");
        trip(&after.service);
        trip(&before.endpoints[0]);
        assert_eq!(open(), 1, "the old one, with its last request, is not shown");
        let told = journal.page(&Query { policy: "breaker".into(), ..Query::default() }).entries;
        let subjects: Vec<&str> = told.iter().map(|entry| &*entry.decision.subject).collect();
        assert_eq!(subjects, ["shop", "shop", "shop 127.0.0.1:1"]);
        drop(before);
        assert_eq!(open(), 1, "nor does its end hide the new one");
    }
}
