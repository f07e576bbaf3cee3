//! Which endpoints are put aside because they could not be connected to, as gauges: brought up to date before each
//! scrape, because nothing happens when that time is over.

use headgate_gateway::worker::Shared;
use headgate_model::units::Tick;
use headgate_observe::counter::Gauge;
use headgate_observe::registry::WorkerMetrics;
use headgate_observe::resilience_metrics::aside;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// By service and endpoint.
type Gauges = BTreeMap<(Box<str>, Box<str>), Arc<Gauge>>;

/// Of endpoints that were aside at some scrape.
#[derive(Clone, Default)]
pub(crate) struct AsideGauges(Arc<Mutex<Gauges>>);

impl AsideGauges {
    pub(crate) fn refresh(&self, shared: &Shared, cells: &WorkerMetrics) {
        let (now, snapshot) = (shared.now(), shared.snapshot());
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gauges = Gauges::new();
        for service in &snapshot.services {
            let name = &service.state.name;
            for endpoint in &service.state.endpoints {
                let (_, until) = endpoint.aside();
                let key = (name.clone(), endpoint.name.clone());
                let known = before.remove(&key);
                if known.is_none() && until == Tick(0) {
                    continue;
                }
                let gauge = known.unwrap_or_else(|| aside(cells, name, &endpoint.name));
                gauge.set(i64::from(endpoint.is_aside(now)));
                gauges.insert(key, gauge);
            }
        }
        before.values().for_each(|gone| gone.set(0));
        *before = gauges;
    }
}
