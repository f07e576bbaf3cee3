//! A real gateway on loopback: worker threads with listeners on ports of the kernel's choice.

use headgate_gateway::accept::accept;
use headgate_gateway::purge::Purge;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_gateway::worker::{Outlets, Shared, Worker};
use headgate_model::address::BindAddress;
use headgate_model::spec::Config;
use headgate_model::units::Tick;
use headgate_net::listener::{self, ListenSocket};
use headgate_observe::registry::{Registry, Value};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// A configuration with one listener, its text continued by `rest`.
fn config(listener: &str, rest: &str) -> Arc<Config> {
    let text = format!("drain = \"1s\"\n{rest}\n[listen.web]\nbind = \"127.0.0.1:0\"\n{listener}\n");
    match headgate_model::load(&text, "test.toml", &|_| None) {
        Ok(config) => Arc::new(config),
        Err(errors) => panic!("{errors:#?}\n{text}"),
    }
}

impl Gateway {
    pub(crate) fn start(rest: &str) -> Self {
        Self::start_with("", rest, vec![Outlets::default()])
    }

    /// One worker for each of `outlets`; `listener` continues the listener's table.
    pub(crate) fn start_with(listener: &str, rest: &str, outlets: Vec<Outlets>) -> Self {
        let snapshot = Snapshot::compile(config(listener, rest), &Discovered::new(), None).unwrap();
        let shared = Shared::new(snapshot, Registry::default());
        let share = outlets.len() > 1;
        let first = listener::bind(&BindAddress::Ip(([127, 0, 0, 1], 0).into()), share, 1_024).unwrap();
        let ListenSocket::Tcp(socket) = &first else { unreachable!("bound to an IP address") };
        let address = socket.local_addr().unwrap();
        let mut sockets = vec![first];
        while sockets.len() < outlets.len() {
            sockets.push(listener::bind(&BindAddress::Ip(address), true, 1_024).unwrap());
        }
        let workers = outlets.into_iter().zip(sockets).enumerate().map(|(id, (outlets, socket))| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || work(id, shared, outlets, socket))
        });
        let workers = workers.collect();
        Self { address, shared, workers }
    }

    /// Swaps another configuration in.
    pub(crate) fn reload(&self, rest: &str) {
        let snapshot =
            Snapshot::compile(config("", rest), &Discovered::new(), Some(&self.shared.snapshot())).unwrap();
        self.shared.publish(snapshot);
    }

    /// Takes out of the cache, as an operator would.
    pub(crate) fn purge(&self, what: &Purge, soft: bool) -> Result<Option<usize>, String> {
        self.shared.purge(what, soft).map_err(|error| error.to_string())
    }

    /// Bytes and number of the stored responses.
    pub(crate) fn stored(&self) -> (u64, u64) {
        let fill = self.shared.cache.store.fill();
        (fill.bytes, fill.objects)
    }

    /// Says what a name leads to, as discovery would.
    pub(crate) fn resolve(&self, service: &str, endpoint: usize, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let snapshot = self.shared.snapshot();
        snapshot.service(service).unwrap().state.endpoints[endpoint].set_resolved(Arc::new(addresses));
    }

    /// Takes an endpoint out, as the control loop would.
    pub(crate) fn eject(&self, service: &str, endpoint: usize) {
        let snapshot = self.shared.snapshot();
        snapshot.service(service).unwrap().state.endpoints[endpoint].eject_until(Tick(u64::MAX));
    }

    /// Sum of a family's counters and gauges whose labels include all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        let families = self.shared.registry.gather();
        let family = families.iter().find(|family| family.name == name);
        let series = family.into_iter().flat_map(|family| &family.series);
        let wanted = series.filter(|(of, _)| labels.iter().all(|(name, value)| of.value(name) == *value));
        wanted
            .map(|(_, value)| match value {
                Value::Counter(count) => *count as i64,
                Value::Gauge(value) => *value,
                Value::Histogram(_) => panic!("{name} is a histogram"),
            })
            .sum()
    }

    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: i64) {
        wait_until(name, || self.metric(name, labels) == value);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            let ended = worker.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a worker panicked");
        }
    }
}

fn work(id: usize, shared: Arc<Shared>, outlets: Outlets, socket: ListenSocket) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let worker = Worker::with_outlets(id, shared, 1 + id as u64, outlets);
        tokio::task::spawn_local(Rc::clone(&worker).keep_house());
        accept(Rc::clone(&worker), "web".into(), "127.0.0.1:0".into(), socket).await.unwrap();
        worker.drain().await;
    });
}

/// Looks again and again until `is_so`.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
