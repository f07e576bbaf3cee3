//! The loop that ejects outliers: takes the outcomes that workers tell, lets one detector per service judge
//! them, and writes until when an endpoint is out. The rules are `policy`'s.

use crate::context::Context;
use headgate_model::decision::{Decision, Figure};
use headgate_model::signal::{Outcome, SignalReceiver};
use headgate_model::spec;
use headgate_model::state::{EndpointState, ServiceState};
use headgate_model::units::Tick;
use headgate_observe::counter::{Counter, Gauge};
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level, PeerEvent};
use headgate_observe::registry::WorkerMetrics;
use headgate_policy::outlier::{Change, OutlierDetector, Why};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often outcomes are taken; so long an endpoint that fails may be used on.
pub const DRAIN_EVERY: Duration = Duration::from_millis(50);
/// How often returns and intervals are looked at.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// The loop's ends of the workers' queues. Shared, so that they outlive a loop that is restarted.
pub type Signals = Arc<Mutex<Vec<SignalReceiver>>>;

/// Judges outcomes for the services that have `outlier`. Never ends.
pub async fn run(context: Context, signals: Signals) {
    let help = "Outcomes that workers did not tell because the loop had not taken the earlier ones.";
    let dropped = context.metrics.counter("headgate_signals_dropped_total", help, &[]);
    let mut ejector = Ejector::new(context.metrics.clone(), context.journal.clone());
    let mut outcomes = Vec::new();
    let mut ticked = (context.now)();
    let mut rounds = interval(DRAIN_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let lost = drain(&signals, &mut outcomes);
        dropped.add(lost.wrapping_sub(dropped.get()));
        ejector.renew(&(context.services)());
        // Each queue is in order, but a row of failures may be spread over workers.
        outcomes.sort_by_key(|outcome| outcome.at);
        outcomes.drain(..).for_each(|outcome| ejector.record(&outcome));
        let now = (context.now)();
        if now.since(ticked) >= TICK_EVERY {
            ticked = now;
            ejector.tick(now);
        }
    }
}

/// Empties the queues; how many outcomes were dropped since the start.
fn drain(signals: &Signals, outcomes: &mut Vec<Outcome>) -> u64 {
    let receivers = signals.lock().unwrap_or_else(PoisonError::into_inner);
    receivers.iter().for_each(|receiver| receiver.drain_into(outcomes));
    receivers.iter().map(SignalReceiver::dropped).fold(0, u64::wrapping_add)
}

/// The detectors of all services, without any waiting.
struct Ejector {
    metrics: WorkerMetrics,
    journal: Journal,
    services: Vec<Arc<ServiceState>>,
    judged: BTreeMap<Box<str>, Judged>,
    /// Service and index of each endpoint, by the address of its state in memory. `services` keeps the
    /// states, so none of these addresses can become another's.
    places: BTreeMap<usize, (Box<str>, usize)>,
}

/// One service under judgement.
struct Judged {
    service: Arc<ServiceState>,
    detector: OutlierDetector,
    ejected: Vec<Arc<Gauge>>,
    by_failures: Arc<Counter>,
    by_percent: Arc<Counter>,
    spared: Arc<Counter>,
}

impl Ejector {
    fn new(metrics: WorkerMetrics, journal: Journal) -> Self {
        Self { metrics, journal, services: Vec::new(), judged: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Takes the present services. Endpoints that stay in one keep their counts and ejections, also under
    /// other rules.
    fn renew(&mut self, services: &[Arc<ServiceState>]) {
        let same = self.services.len() == services.len()
            && self.services.iter().zip(services).all(|(known, now)| Arc::ptr_eq(known, now));
        if same {
            return;
        }
        self.services = services.to_vec();
        self.places.clear();
        let mut before = std::mem::take(&mut self.judged);
        for service in services {
            let known = before.remove(&service.name);
            let Some(spec) = &service.spec.outlier else {
                // Nobody would let them back in under other rules.
                known.iter().for_each(Judged::pardon);
                continue;
            };
            let judged = match known {
                Some(mut known) => {
                    known.adopt(service, spec, &self.metrics);
                    known
                }
                None => Judged::new(service, spec, &self.metrics),
            };
            let places = service.endpoints.iter().zip(0..);
            self.places
                .extend(places.map(|(endpoint, index)| (key(endpoint), (service.name.clone(), index))));
            self.judged.insert(service.name.clone(), judged);
        }
    }

    /// Judges one outcome. One of an endpoint that is gone, or of a service that is not judged, is nothing.
    fn record(&mut self, outcome: &Outcome) {
        let Some((service, index)) = self.places.get(&key(&outcome.endpoint)) else { return };
        if let Some(judged) = self.judged.get_mut(service)
            && let Some(change) = judged.detector.record(*index, outcome.at, outcome.ok)
        {
            judged.enact(change, outcome.at, &self.journal);
        }
    }

    fn tick(&mut self, now: Tick) {
        for judged in self.judged.values_mut() {
            for change in judged.detector.tick(now) {
                judged.enact(change, now, &self.journal);
            }
            for (endpoint, gauge) in judged.service.endpoints.iter().zip(&judged.ejected) {
                gauge.set(i64::from(endpoint.is_ejected(now)));
            }
        }
    }
}

fn key(endpoint: &Arc<EndpointState>) -> usize {
    Arc::as_ptr(endpoint).addr()
}

impl Judged {
    fn new(service: &Arc<ServiceState>, spec: &spec::Outlier, metrics: &WorkerMetrics) -> Self {
        let name = &*service.name;
        let help = "Endpoints ejected, by why; spared where too many were out already.";
        let ejections =
            |why| metrics.counter("headgate_ejections_total", help, &[("service", name), ("why", why)]);
        Self {
            service: Arc::clone(service),
            detector: OutlierDetector::new(spec, service.endpoints.len()),
            ejected: service.endpoints.iter().map(|endpoint| gauge(metrics, name, endpoint)).collect(),
            by_failures: ejections("consecutive_failures"),
            by_percent: ejections("failure_percent"),
            spared: ejections("spared"),
        }
    }

    /// Goes on with the service as it is now.
    fn adopt(&mut self, service: &Arc<ServiceState>, spec: &spec::Outlier, metrics: &WorkerMetrics) {
        let known = &self.service.endpoints;
        let place = |now: &Arc<EndpointState>| known.iter().position(|known| Arc::ptr_eq(known, now));
        let from: Vec<Option<usize>> = service.endpoints.iter().map(place).collect();
        self.detector = self.detector.resized(spec, &from);
        let mut gauges: Vec<_> = std::mem::take(&mut self.ejected).into_iter().map(Some).collect();
        let kept = from.into_iter().map(|from| gauges[from?].take()).collect::<Vec<_>>();
        // Endpoints that are gone must not show as ejected for ever.
        gauges.into_iter().flatten().for_each(|gauge| gauge.set(0));
        let named = kept.into_iter().zip(&service.endpoints);
        let named =
            named.map(|(kept, endpoint)| kept.unwrap_or_else(|| gauge(metrics, &service.name, endpoint)));
        self.ejected = named.collect();
        self.service = Arc::clone(service);
    }

    fn enact(&self, change: Change, now: Tick, journal: &Journal) {
        static CHANGED: PeerEvent = PeerEvent::new("endpoint_ejection");
        let (Change::Ejected { index, .. } | Change::Spared { index, .. } | Change::Returned { index }) =
            change;
        let (endpoint, gauge) = (&self.service.endpoints[index], &self.ejected[index]);
        let (service, name) = (&self.service.name, &endpoint.name);
        journal.record(decision(change, format!("{service} {name}"), now));
        match change {
            Change::Ejected { why, until, times, .. } => {
                endpoint.eject_until(until);
                // Its slow start begins when it returns.
                endpoint.set_since(until);
                gauge.set(1);
                match why {
                    Why::ConsecutiveFailures(_) => self.by_failures.inc(),
                    Why::FailurePercent { .. } => self.by_percent.inc(),
                }
                let fields: log::Fields<'_> =
                    &[("service", service), ("endpoint", name), ("why", &why), ("times", &times)];
                log::peer_event(&CHANGED, Level::Warn, "an endpoint is ejected", fields);
            }
            Change::Spared { why, .. } => {
                self.spared.inc();
                let fields: log::Fields<'_> = &[("service", service), ("endpoint", name), ("why", &why)];
                let message = "an endpoint would be ejected, but too many are out already";
                log::peer_event(&CHANGED, Level::Warn, message, fields);
            }
            Change::Returned { .. } => {
                let fields: log::Fields<'_> = &[("service", service), ("endpoint", name)];
                log::peer_event(&CHANGED, Level::Info, "an ejected endpoint is back", fields);
            }
        }
    }

    /// Lets all endpoints back in.
    fn pardon(&self) {
        for (endpoint, ejected) in self.service.endpoints.iter().zip(&self.ejected) {
            endpoint.eject_until(Tick(0));
            if ejected.get() > 0 {
                // The slow start that awaited the end of its ejection.
                endpoint.set_since(Tick(0));
            }
        }
    }
}

/// A change for the journal.
fn decision(change: Change, subject: String, now: Tick) -> Decision {
    let figures = |why| match why {
        Why::ConsecutiveFailures(count) => vec![Figure::new("failures in a row", f64::from(count), "")],
        Why::FailurePercent { failed, requests } => {
            vec![
                Figure::new("failed", f64::from(failed), ""),
                Figure::new("requests", f64::from(requests), ""),
            ]
        }
    };
    let (decided, because, evidence, alternative) = match change {
        Change::Ejected { why, until, times, .. } => {
            let decided = format!("ejected for {} s", until.since(now).as_secs());
            let mut evidence = figures(why);
            evidence.push(Figure::new("ejections in close succession", f64::from(times), ""));
            (decided, why.to_string(), evidence, "send on to it")
        }
        Change::Spared { why, .. } => {
            ("spared".to_owned(), format!("{why}, but too many are out already"), figures(why), "eject it")
        }
        Change::Returned { .. } => ("back in use".to_owned(), "its time is over".to_owned(), Vec::new(), ""),
    };
    Decision {
        policy: "outlier".into(),
        subject: subject.into(),
        decided: decided.into(),
        because: because.into(),
        evidence,
        alternative: alternative.into(),
        expected_gain: None,
    }
}

fn gauge(metrics: &WorkerMetrics, service: &str, endpoint: &EndpointState) -> Arc<Gauge> {
    let help = "One while real traffic has the endpoint ejected.";
    metrics.gauge("headgate_endpoint_ejected", help, &[("service", service), ("endpoint", &*endpoint.name)])
}

impl Drop for Judged {
    /// Nobody judges them any more.
    fn drop(&mut self) {
        self.ejected.iter().for_each(|gauge| gauge.set(0));
    }
}

#[cfg(test)]
mod tests {
    use super::{Ejector, Signals, run};
    use crate::testkit::{World, service, until, with_endpoints};
    use headgate_model::signal::{OUTCOMES_MAX, Outcome, queue};
    use headgate_model::state::EndpointState;
    use headgate_model::units::Tick;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    const RULES: &str = "outlier = { consecutive_failures = 3, ejection = \"30s\" }";
    const NOW: Tick = Tick(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn fail(ejector: &mut Ejector, endpoint: &Arc<EndpointState>, at: Tick, times: usize) {
        let outcome = Outcome { endpoint: Arc::clone(endpoint), ok: false, at };
        (0..times).for_each(|_| ejector.record(&outcome));
    }

    fn ejector(world: &World, services: &[Arc<headgate_model::state::ServiceState>]) -> Ejector {
        let mut ejector = Ejector::new(world.context().metrics, world.journal.clone());
        ejector.renew(services);
        ejector
    }

    #[test]
    fn an_endpoint_that_fails_is_out_and_starts_slowly_when_it_is_back() {
        let world = World::default();
        let shop = service("shop", RULES, &["10.0.0.1:80", "10.0.0.2:80"]);
        let mut ejector = ejector(&world, &[Arc::clone(&shop)]);
        let [bad, good] = &shop.endpoints[..] else { panic!() };
        fail(&mut ejector, bad, NOW, 2);
        assert!(!bad.is_ejected(NOW));
        fail(&mut ejector, bad, NOW, 1);
        let back = NOW + 30 * SECOND;
        assert!(bad.is_ejected(NOW + 29 * SECOND) && !bad.is_ejected(back) && !good.is_ejected(NOW));
        assert_eq!(bad.since(), Some(back));
        assert_eq!(
            (world.metric("headgate_ejections_total"), world.metric("headgate_endpoint_ejected")),
            (1, 1)
        );
        fail(&mut ejector, good, NOW, 3);
        assert!(!good.is_ejected(NOW), "half of the endpoints are out already");
        assert_eq!(world.metric("headgate_ejections_total"), 2, "counted as spared");
        ejector.tick(back);
        assert_eq!(world.metric("headgate_endpoint_ejected"), 0);
    }

    #[test]
    fn endpoints_of_the_same_address_in_two_services_are_two() {
        let world = World::default();
        let (a, b) = (service("a", RULES, &["10.0.0.1:80"]), service("b", RULES, &["10.0.0.1:80"]));
        let mut ejector = ejector(&world, &[Arc::clone(&a), Arc::clone(&b)]);
        fail(&mut ejector, &b.endpoints[0], NOW, 3);
        assert!(b.endpoints[0].is_ejected(NOW) && !a.endpoints[0].is_ejected(NOW));
    }

    #[test]
    fn a_reload_that_changes_neither_endpoints_nor_rules_keeps_the_counts() {
        let world = World::default();
        let before = service("shop", RULES, &["10.0.0.1:80"]);
        let endpoint = &before.endpoints[0];
        let mut ejector = ejector(&world, &[Arc::clone(&before)]);
        fail(&mut ejector, endpoint, NOW, 2);
        ejector.renew(&[with_endpoints("shop", RULES, before.endpoints.clone())]);
        fail(&mut ejector, endpoint, NOW, 1);
        assert!(endpoint.is_ejected(NOW));
    }

    #[test]
    fn endpoints_that_are_out_stay_out_when_others_come_and_go() {
        let world = World::default();
        let before = service("shop", RULES, &["10.0.0.1:80", "10.0.0.2:80"]);
        let mut ejector = ejector(&world, &[Arc::clone(&before)]);
        let (out, gone) = (&before.endpoints[0], &before.endpoints[1]);
        fail(&mut ejector, out, NOW, 3);
        let new = Arc::new(EndpointState::new("10.0.0.3:80".parse().unwrap(), 1));
        ejector.renew(&[with_endpoints("shop", RULES, vec![Arc::clone(&new), Arc::clone(out)])]);
        assert!(out.is_ejected(NOW));
        assert_eq!(world.metric("headgate_endpoint_ejected"), 1);
        fail(&mut ejector, &new, NOW, 3);
        assert!(!new.is_ejected(NOW), "half of the endpoints are out already");
        fail(&mut ejector, gone, NOW, 9);
        assert!(!gone.is_ejected(NOW), "what workers still tell of it is nothing");
        let back = NOW + 30 * SECOND;
        ejector.tick(back);
        fail(&mut ejector, out, back, 3);
        assert!(out.is_ejected(back + 59 * SECOND), "its second ejection lasts longer");
        ejector.renew(&[]);
        assert_eq!(world.metric("headgate_endpoint_ejected"), 0, "the service is gone");
    }

    #[test]
    fn failures_are_not_forgotten_when_others_come_and_go() {
        let world = World::default();
        let before = service("shop", RULES, &["10.0.0.1:80"]);
        let endpoint = &before.endpoints[0];
        let mut ejector = ejector(&world, &[Arc::clone(&before)]);
        fail(&mut ejector, endpoint, NOW, 2);
        let new = Arc::new(EndpointState::new("10.0.0.3:80".parse().unwrap(), 1));
        ejector.renew(&[with_endpoints("shop", RULES, vec![Arc::clone(&new), Arc::clone(endpoint)])]);
        fail(&mut ejector, endpoint, NOW, 1);
        assert!(endpoint.is_ejected(NOW) && !new.is_ejected(NOW));
    }

    #[test]
    fn without_rules_nothing_is_out() {
        let world = World::default();
        let before = service("shop", RULES, &["10.0.0.1:80"]);
        let endpoint = &before.endpoints[0];
        let mut ejector = ejector(&world, &[Arc::clone(&before)]);
        fail(&mut ejector, endpoint, NOW, 3);
        assert!(endpoint.is_ejected(NOW));
        ejector.renew(&[with_endpoints("shop", "", before.endpoints.clone())]);
        fail(&mut ejector, endpoint, NOW, 3);
        assert!(!endpoint.is_ejected(NOW));
        assert_eq!(world.metric("headgate_endpoint_ejected"), 0);
    }

    #[tokio::test]
    async fn workers_tell_and_the_loop_ejects() {
        let shop = service("shop", RULES, &["10.0.0.1:80", "10.0.0.2:80"]);
        let world = World::new(vec![Arc::clone(&shop)]);
        let (first, first_end) = queue();
        let (second, second_end) = queue();
        let signals: Signals = Arc::new(Mutex::new(vec![first_end, second_end]));
        let context = world.context();
        let tell = |ok, at: u64, index: usize| Outcome {
            endpoint: Arc::clone(&shop.endpoints[index]),
            ok,
            at: Tick(at),
        };
        // In the order of time a success lies between the failures of endpoint 1.
        first.send(tell(false, 1, 1));
        first.send(tell(false, 3, 1));
        first.send(tell(false, 4, 1));
        second.send(tell(true, 2, 1));
        let now = (context.now)().0;
        (0..3).for_each(|n| second.send(tell(false, now + n, 0)));
        let looping = tokio::spawn(run(context.clone(), Arc::clone(&signals)));
        until("the ejection", || shop.endpoints[0].is_ejected((context.now)())).await;
        assert!(!shop.endpoints[1].is_ejected((context.now)()));
        (0..OUTCOMES_MAX + 5).for_each(|_| first.send(tell(true, 5, 1)));
        until("the count of what was dropped", || world.metric("headgate_signals_dropped_total") == 5).await;
        looping.abort();
    }
}
