//! What several tests of this crate need: a folder of their own, services, a context with a settable set.

use crate::context::Context;
use headgate_model::spec::{Config, ServiceSpec};
use headgate_model::state::{EndpointState, ServiceState};
use headgate_model::units::Tick;
use headgate_observe::journal::Journal;
use headgate_observe::registry::{Registry, Value};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A folder that is removed with its files at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// `name` is the test's own.
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("headgate-control-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A service from the keys of its table, with these endpoints.
pub(crate) fn service(name: &str, keys: &str, endpoints: &[&str]) -> Arc<ServiceState> {
    let found = endpoints.iter().map(|text| Arc::new(EndpointState::new(text.parse().unwrap(), 1)));
    with_endpoints(name, keys, found.collect())
}

pub(crate) fn with_endpoints(
    name: &str,
    keys: &str,
    endpoints: Vec<Arc<EndpointState>>,
) -> Arc<ServiceState> {
    let in_flight = Arc::new(AtomicU32::new(0));
    Arc::new(ServiceState { name: name.into(), spec: Arc::new(spec(keys)), endpoints, in_flight })
}

fn spec(keys: &str) -> ServiceSpec {
    let places = if keys.contains("discover") { "" } else { "endpoints = [\":1\"]\n" };
    let text = format!(
        "[[route]]\nmatch = \"/*\"\nservice = \"a\"\n[listen.web]\nbind = \":0\"\n[service.a]\n{places}{keys}\n"
    );
    let config: Config = headgate_model::load(&text, "test", &|_| None).unwrap();
    config.services["a"].clone()
}

/// A context whose services can be replaced, and what it counts.
#[derive(Clone, Default)]
pub(crate) struct World {
    services: Arc<Mutex<Vec<Arc<ServiceState>>>>,
    registry: Registry,
    pub(crate) journal: Journal,
}

impl World {
    pub(crate) fn new(services: Vec<Arc<ServiceState>>) -> Self {
        let world = Self::default();
        world.replace(services);
        world
    }

    pub(crate) fn replace(&self, services: Vec<Arc<ServiceState>>) {
        *self.services.lock().unwrap() = services;
    }

    /// Its clock starts at one second, so that no tick is zero.
    pub(crate) fn context(&self) -> Context {
        let (services, started) = (Arc::clone(&self.services), Instant::now());
        Context {
            services: Arc::new(move || services.lock().unwrap().clone()),
            now: Arc::new(move || Tick(1_000_000_000) + started.elapsed()),
            metrics: self.registry.worker(0),
            journal: self.journal.clone(),
            probe_faults: Arc::new(|_, _, _| None),
            seed: 7,
        }
    }

    /// The sum of a metric over all its series.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let families = self.registry.gather();
        let series = families.iter().filter(|family| family.name == name).flat_map(|family| &family.series);
        let values = series.map(|(_, value)| match value {
            Value::Counter(count) => *count as i64,
            Value::Gauge(value) => *value,
            Value::Histogram(_) => panic!("{name} is a histogram"),
        });
        values.sum()
    }
}

/// Waits for what another task brings about.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
