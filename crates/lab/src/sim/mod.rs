//! A discrete-event simulator of services behind gateways, on whole nanoseconds of virtual time. The policies
//! are those of `headgate_policy`, the very types that the gateway uses; clients come from
//! [`crate::workload`]. Equal descriptions, workloads and seeds give equal results, to the bit.
//!
//! [`Sim::new`] builds a system from its description, [`Sim::run`] runs it to the end. A control loop from
//! outside runs it piece by piece ([`Sim::run_until`]), looks at it ([`Sim::view`]) and acts
//! ([`Sim::start_replica`], [`Sim::stop_replica`], [`Sim::restart`]).

mod build;
mod cache;
mod call;
mod client;
mod control;
mod engine;
mod fault;
mod fleet;
mod flow;
mod journal;
mod meter;
mod network;
mod queue;
mod results;
mod server;
mod spec;
#[cfg(test)]
mod tests;
mod timers;
mod upstream;
mod watch;
mod work;

pub use call::End;
pub use control::ServiceView;
pub use fault::PlannedFault;
pub use fleet::ReplicaState;
pub use journal::{Change, Entry, Journal};
pub use queue::Queue;
pub use results::{Latency, Results, Row, ServiceRow, ServiceTotals};
pub use server::Server;
pub use spec::{
    CacheSpec, CallSpec, ChaosSpec, FaultKindSpec, FaultSpec, GatewaySpec, HealthSpec, NetworkSpec,
    NodesSpec, NoiseSpec, RttSpec, ServiceSpec, StageSpec, SystemSpec,
};
pub use timers::NEVER;
pub use watch::Recovery;

use crate::workload::{SpecError, Streams, Workload};
use call::Calls;
use client::Clients;
use engine::Later;
use fault::Fault;
use fleet::{Fleet, Service};
use meter::{Meter, ROWS_MAX};
use network::Network;
use timers::Timers;

/// One simulated system with its clients, at one moment of virtual time.
pub struct Sim {
    now_ns: u64,
    events: u64,
    queue: Queue,
    timers: Timers,
    calls: Calls,
    services: Vec<Service>,
    fleet: Fleet,
    network: Network,
    clients: Clients,
    meter: Meter,
    journal: Journal,
    faults: Vec<Fault>,
    /// Service and gateway of each bulkhead's timer.
    gates: Vec<(u16, u16)>,
    gateways: u32,
    gateway_zone: u16,
    bypass: f64,
    interval_ns: u64,
    node_bytes: f64,
    /// Calls that found no room in the simulator.
    refused: u64,
}

impl Sim {
    /// A system at rest at time zero. Everything that is random in it comes from `seed`, and nothing of that
    /// from the streams of `workload`.
    pub fn new(spec: &SystemSpec, workload: Workload, seed: u64) -> Result<Self, SpecError> {
        let streams = Streams::new(seed).within("system", 0);
        let network = Network::new(&spec.network).map_err(|error| error.within("network"))?;
        let gateway_zone = match &spec.gateway.zone {
            Some(zone) => network.zone(zone).map_err(|error| error.within("gateway.zone"))?,
            None => 0,
        };
        let (services, fleet, timers, gates) = build::system(spec, &network, &streams)?;
        let entries = build::entries(spec, workload.journey(), &services)?;
        let interval_ns = spec.interval.0.as_nanos() as u64;
        let rows = workload.phases().end_ns().checked_div(interval_ns).unwrap_or(u64::MAX);
        if rows > ROWS_MAX {
            let problem = format!("makes more than {ROWS_MAX} rows");
            return Err(SpecError::new("interval", problem, "write a longer interval"));
        }
        let meter = Meter::new(services.iter().map(|service| service.name.clone()));
        let mut sim = Self {
            now_ns: 0,
            events: 0,
            queue: Queue::default(),
            timers,
            calls: Calls::default(),
            services,
            fleet,
            network,
            clients: Clients::new(workload, entries, streams.dice("clients", 0)),
            meter,
            journal: Journal::default(),
            faults: Vec::new(),
            gates,
            gateways: spec.gateway.count,
            gateway_zone: gateway_zone as u16,
            bypass: spec.gateway.bypass,
            interval_ns,
            node_bytes: spec.nodes.memory.0 as f64,
            refused: 0,
        };
        sim.plan_faults(&spec.faults, &streams)?;
        sim.start_clocks();
        sim.open_doors();
        Ok(sim)
    }

    /// Schedules what comes by the clock.
    fn start_clocks(&mut self) {
        if let Some(end_ns) = self.row_end_ns() {
            self.later(end_ns, Later::Row);
        }
        for index in 0..self.services.len() {
            let (service, whom) = (&self.services[index].spec, index as u32);
            let probe_ns = service.health.as_ref().map(|health| health.interval.0.as_nanos() as u64);
            let (noise, outlier) = (service.noise.is_some(), service.outlier.is_some());
            if let Some(probe_ns) = probe_ns {
                self.later(probe_ns, Later::Probe(whom));
            }
            if noise {
                self.later(0, Later::Noise(whom));
            }
            if outlier {
                self.later(0, Later::Judge(whom));
            }
        }
    }

    /// Runs until the workload is over and all of its requests are answered, and gives the results.
    pub fn run(&mut self) -> Results {
        while self.clients.open > 0 && self.step(u64::MAX) {}
        self.close_row();
        self.results()
    }

    /// Handles all events before `until_ns`; false when the workload is over and all is answered.
    pub fn run_until(&mut self, until_ns: u64) -> bool {
        while self.clients.open > 0 && self.step(until_ns) {}
        let goes_on = self.clients.open > 0;
        if goes_on {
            self.now_ns = self.now_ns.max(until_ns);
        }
        goes_on
    }

    /// What has been measured so far; the present row is not within.
    #[must_use]
    pub fn results(&self) -> Results {
        let mut results = self.meter.results(self.events, self.now_ns, self.calls.most());
        results.journal.clone_from(&self.journal);
        results
    }

    /// Virtual time in nanoseconds.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Events handled so far: what was taken from the queue or from the timers, each a change at one instant
    /// (a request planned, a message that arrives, a piece of work that ends, a deadline, a tick).
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Calls and sessions that were refused because the simulator itself had no room for more at once.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused + self.clients.sessions_dropped
    }
}
