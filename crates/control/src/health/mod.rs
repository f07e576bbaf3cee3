//! Active health checks: one task per endpoint that is to be checked, at most [`PROBES_MAX`] probes under way
//! at once. It writes each endpoint's verdict; what a verdict means for a request is the balancer's matter.

mod grpc;
mod h2_client;
mod http;
mod inject;
mod judge;
mod plan;
mod probe;
#[cfg(test)]
mod probe_tests;
mod tcp;
#[cfg(test)]
mod tests;

pub use judge::Judge;
pub use probe::ProbeError;

use crate::context::Context;
use crate::tasks::Tasks;
use headgate_model::decision::Decision;
use headgate_model::dice::Dice;
use headgate_model::state::{EndpointState, HealthVerdict, ServiceState};
use headgate_net::connect::is_own_lack;
use headgate_observe::counter::{Counter, Gauge};
use headgate_observe::log::{self, Level, PeerEvent};
use plan::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Probes under way at once, over all services. The others wait; their timeouts begin with the probe.
pub const PROBES_MAX: usize = 64;
/// An endpoint is probed for the first time within this, however long its interval.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// How often the present services are compared with what is being probed.
const ROUND: Duration = Duration::from_millis(250);

/// Probes the endpoints of the services that ask for it. Never ends.
pub async fn run(context: Context) {
    let mut dice = Dice::new(context.seed);
    let permits = Arc::new(Semaphore::new(PROBES_MAX));
    let mut plans = BTreeMap::new();
    let mut probed = Tasks::new();
    loop {
        let services = (context.services)();
        plans = renew_plans(&services, &plans);
        let wanted = wanted(&plans);
        probed.retain(|key| wanted.contains_key(key));
        for (key, (plan, endpoint)) in wanted {
            match probed.get(&key) {
                Some(Probed { plan: current, .. }) if Arc::ptr_eq(&current.borrow(), plan) => {}
                Some(Probed { plan: current, .. }) => {
                    current.send_replace(Arc::clone(plan));
                }
                None => {
                    let (probe, prober) = begin(&context, plan, endpoint, &permits, Dice::new(dice.bits()));
                    probed.start(key, probe, prober.run());
                }
            }
        }
        probed.check();
        sleep(ROUND).await;
    }
}

/// A service's plan by the service's name, with the state it was compiled from.
type Plans = BTreeMap<Box<str>, (Arc<ServiceState>, Option<Arc<Plan>>)>;

/// The address in memory of an endpoint's state. Whoever keeps the key keeps the state, so that no other
/// can get that address.
type Key = usize;

/// Compiles the plans of services whose settings are not the same as before. Other endpoints alone, and
/// discovery brings many, need no other plan.
fn renew_plans(services: &[Arc<ServiceState>], before: &Plans) -> Plans {
    let renew = |service: &Arc<ServiceState>| {
        let known = before.get(&service.name).filter(|(known, _)| Plan::fits(known, service));
        let plan = match known {
            Some((_, plan)) => plan.clone(),
            None => Plan::new(service)
                .unwrap_or_else(|error| {
                    let message = "a service is not checked: its TLS settings cannot be used";
                    log::event(Level::Error, message, &[("service", &service.name), ("error", &error)]);
                    None
                })
                .map(Arc::new),
        };
        (service.name.clone(), (Arc::clone(service), plan))
    };
    services.iter().map(renew).collect()
}

fn wanted(plans: &Plans) -> BTreeMap<Key, (&Arc<Plan>, &Arc<EndpointState>)> {
    let checked = plans.values().filter_map(|(service, plan)| Some((service, plan.as_ref()?)));
    let endpoints =
        checked.flat_map(|(service, plan)| service.endpoints.iter().map(move |endpoint| (plan, endpoint)));
    endpoints.map(|(plan, endpoint)| (Arc::as_ptr(endpoint).addr(), (plan, endpoint))).collect()
}

/// The loop's side of an endpoint that is being probed.
struct Probed {
    plan: watch::Sender<Arc<Plan>>,
    endpoint: Arc<EndpointState>,
    unhealthy: Arc<Gauge>,
}

impl Drop for Probed {
    /// Nobody says any more that it is unhealthy.
    fn drop(&mut self) {
        self.endpoint.set_health(HealthVerdict::Unknown);
        self.unhealthy.set(0);
    }
}

fn begin(
    context: &Context,
    plan: &Arc<Plan>,
    endpoint: &Arc<EndpointState>,
    permits: &Arc<Semaphore>,
    dice: Dice,
) -> (Probed, Prober) {
    let (sender, receiver) = watch::channel(Arc::clone(plan));
    let labels = &[("service", &*plan.service), ("endpoint", &*endpoint.name)];
    let help = "One while active checks hold the endpoint unhealthy.";
    let unhealthy = context.metrics.gauge("headgate_endpoint_unhealthy", help, labels);
    let help = "Active health checks, by how they ended.";
    let probes = |outcome| {
        let labels = &[("service", &*plan.service), ("outcome", outcome)];
        context.metrics.counter("headgate_health_checks_total", help, labels)
    };
    let prober = Prober {
        context: context.clone(),
        plan: receiver,
        endpoint: Arc::clone(endpoint),
        permits: Arc::clone(permits),
        dice,
        passed: probes("passed"),
        failed: probes("failed"),
        unhealthy: Arc::clone(&unhealthy),
    };
    (Probed { plan: sender, endpoint: Arc::clone(endpoint), unhealthy }, prober)
}

/// The task that probes one endpoint.
struct Prober {
    context: Context,
    plan: watch::Receiver<Arc<Plan>>,
    endpoint: Arc<EndpointState>,
    permits: Arc<Semaphore>,
    dice: Dice,
    passed: Arc<Counter>,
    failed: Arc<Counter>,
    unhealthy: Arc<Gauge>,
}

impl Prober {
    async fn run(mut self) {
        let mut judge = Judge::new(self.endpoint.health());
        // Soon, since nothing is known yet, but not all in one instant.
        let within = (self.plan().rule.interval / 10).min(FIRST_WITHIN);
        sleep(within.mul_f64(self.dice.unit())).await;
        loop {
            let plan = self.plan();
            // The semaphore is never closed; without a permit there is one probe too many.
            let permit = self.permits.acquire().await.ok();
            let began = Instant::now();
            let verdict = (self.context.probe_faults)(&plan.service, &self.endpoint.name, &mut self.dice);
            let result = timeout(plan.rule.timeout, inject::probe(&plan, &self.endpoint, verdict)).await;
            drop(permit);
            let result = result.unwrap_or(Err(ProbeError::TimedOut));
            if result.is_ok() {
                self.passed.inc()
            } else {
                self.failed.inc()
            }
            let (up, down) = (plan.rule.healthy_after, plan.rule.unhealthy_after);
            // What this process lacks says nothing of the endpoint.
            let is_told = !matches!(&result, Err(ProbeError::Connect(error)) if is_own_lack(error));
            if is_told && let Some(verdict) = judge.observe(result.is_ok(), up, down) {
                self.enact(verdict, &plan, result.err());
            }
            // A tenth more or less, so that gateways and endpoints fall out of step.
            let share = 0.9 + self.dice.unit() / 5.0;
            self.pause(began, share).await;
        }
    }

    /// Waits until a share of the interval has passed, as the newest plan has it.
    async fn pause(&mut self, since: Instant, share: f64) {
        loop {
            let due = since + self.plan().rule.interval.mul_f64(share);
            tokio::select! {
                () = sleep_until(due) => return,
                Ok(()) = self.plan.changed() => {}
            }
        }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    fn enact(&self, verdict: HealthVerdict, plan: &Plan, reason: Option<ProbeError>) {
        static CHANGED: PeerEvent = PeerEvent::new("endpoint_health");
        let endpoint = &self.endpoint;
        let (service, name) = (&plan.service, &endpoint.name);
        let recovered = endpoint.health() == HealthVerdict::Unhealthy;
        if recovered {
            endpoint.set_since((self.context.now)());
        }
        endpoint.set_health(verdict);
        self.unhealthy.set(i64::from(verdict == HealthVerdict::Unhealthy));
        let decision = |decided: &str, because: String, alternative: &str| Decision {
            policy: "health".into(),
            subject: format!("{service} {name}").into(),
            decided: decided.into(),
            because: because.into(),
            alternative: alternative.into(),
            ..Decision::default()
        };
        if let Some(reason) = reason {
            let rule = &plan.rule;
            let because = format!("{} probes in a row failed: {reason}", rule.unhealthy_after);
            self.context.journal.record(decision("unhealthy: out of use", because, "send on to it"));
            let fields: log::Fields<'_> = &[("service", service), ("endpoint", name), ("reason", &reason)];
            log::peer_event(&CHANGED, Level::Warn, "an endpoint is unhealthy", fields);
        } else if recovered {
            let because = "enough probes in a row succeeded".to_owned();
            self.context.journal.record(decision("healthy: in use again", because, "leave it out"));
            let fields: log::Fields<'_> = &[("service", service), ("endpoint", name)];
            log::peer_event(&CHANGED, Level::Info, "an endpoint is healthy again", fields);
        }
    }
}
