//! Shows which endpoints are in use: the weight of each as a metric, zero for those that get no new requests
//! because they were drained or are gone. It changes nothing.

use crate::context::Context;
use headgate_model::state::ServiceState;
use headgate_observe::counter::Gauge;
use headgate_observe::registry::WorkerMetrics;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often the present services are looked at.
const ROUND: Duration = Duration::from_millis(250);

/// Follows the weights of all endpoints. Never ends.
pub async fn run(context: Context) {
    let mut shown = Shown::default();
    loop {
        shown.renew(&(context.services)(), &context.metrics);
        sleep(ROUND).await;
    }
}

/// A gauge per service and endpoint.
#[derive(Default)]
struct Shown(BTreeMap<(Box<str>, Box<str>), Arc<Gauge>>);

impl Shown {
    fn renew(&mut self, services: &[Arc<ServiceState>], metrics: &WorkerMetrics) {
        let mut before = std::mem::take(&mut self.0);
        for service in services {
            for endpoint in &service.endpoints {
                let key = (service.name.clone(), endpoint.name.clone());
                let gauge = before.remove(&key).unwrap_or_else(|| {
                    let help = "Share of requests that the endpoint gets by its weight; zero when it gets no new ones.";
                    let labels = &[("service", &*service.name), ("endpoint", &*endpoint.name)];
                    metrics.gauge("headgate_endpoint_weight", help, labels)
                });
                gauge.set(i64::from(endpoint.weight()));
                self.0.insert(key, gauge);
            }
        }
        before.values().for_each(|gauge| gauge.set(0));
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::testkit::{World, service, until};
    use std::sync::Arc;

    #[tokio::test]
    async fn weights_follow_the_services_and_end_with_them() {
        let shop = service("shop", "", &["10.0.0.1:80", "10.0.0.2:80"]);
        let world = World::new(vec![Arc::clone(&shop)]);
        let looping = tokio::spawn(run(world.context()));
        let weights = || world.metric("headgate_endpoint_weight");
        until("both are in use", || weights() == 2).await;
        shop.endpoints[0].set_weight(5);
        until("one gets more", || weights() == 6).await;
        world.replace(vec![service("shop", "", &["10.0.0.2:80"])]);
        until("one is gone", || weights() == 1).await;
        world.replace(Vec::new());
        until("the service is gone", || weights() == 0).await;
        looping.abort();
    }
}
