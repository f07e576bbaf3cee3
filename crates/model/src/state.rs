//! What is known of each service and endpoint right now: written by control loops and by traffic, read by
//! every request. Plain atomics; each says who writes it.

use crate::address::EndpointAddress;
use crate::spec::ServiceSpec;
use crate::units::Tick;
use arc_swap::ArcSwapOption;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// One service with its present endpoints. Replaced as a whole when the set changes; the endpoints that
/// stay are the same values before and after.
#[derive(Debug)]
pub struct ServiceState {
    pub name: Box<str>,
    pub spec: Arc<ServiceSpec>,
    pub endpoints: Vec<Arc<EndpointState>>,
    /// Requests now in this service, over all workers. Written by traffic.
    pub in_flight: Arc<AtomicU32>,
}

/// What active probes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HealthVerdict {
    /// Not probed, or not yet: used like a healthy one.
    Unknown,
    Healthy,
    Unhealthy,
}

/// One endpoint, shared by all workers and control loops.
#[derive(Debug)]
pub struct EndpointState {
    pub address: EndpointAddress,
    /// The address as written; its stable identity in hashes, logs and metrics.
    pub name: Box<str>,
    /// Written by reloads and discovery.
    weight: AtomicU32,
    /// Requests sent and not yet answered in full. Written by traffic.
    in_flight: AtomicU32,
    /// Addresses of the host name that stands as this endpoint, IPv4 first. Written by discovery.
    resolved: ArcSwapOption<Vec<IpAddr>>,
    /// Written by the health loop.
    health: AtomicU8,
    /// Nanoseconds on the monotonic clock until which the endpoint is ejected; zero when it is not.
    /// Written by the outlier loop.
    ejected_until: AtomicU64,
    /// Attempts in a row that could not connect, and until when others go elsewhere. Written by traffic; two words that
    /// may be of two different attempts, which costs a request at a wrong place.
    connect_failures: AtomicU32,
    aside_until: AtomicU64,
    /// When it last came (back) into use; zero means long ago. Written by control loops, read by slow start.
    since: AtomicU64,
    /// Latency estimate in microseconds, as `f32` bits, and when it was folded. Written by traffic; two
    /// words that may be of two different folds, which an estimate can bear.
    latency_us: AtomicU32,
    latency_at: AtomicU64,
}

impl EndpointState {
    #[must_use]
    pub fn new(address: EndpointAddress, weight: u16) -> Self {
        Self {
            name: address.to_string().into_boxed_str(),
            address,
            weight: AtomicU32::new(u32::from(weight)),
            in_flight: AtomicU32::new(0),
            resolved: ArcSwapOption::empty(),
            health: AtomicU8::new(HealthVerdict::Unknown as u8),
            ejected_until: AtomicU64::new(0),
            connect_failures: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
            since: AtomicU64::new(0),
            latency_us: AtomicU32::new(0),
            latency_at: AtomicU64::new(0),
        }
    }

    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    pub fn set_weight(&self, weight: u16) {
        self.weight.store(u32::from(weight), Relaxed);
    }

    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Counts one request until the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// The last addresses that DNS gave for an endpoint that is a name; `None` when it has given none yet.
    /// Takes no lock.
    #[must_use]
    pub fn resolved(&self) -> Option<Arc<Vec<IpAddr>>> {
        self.resolved.load_full()
    }

    pub fn set_resolved(&self, addresses: Arc<Vec<IpAddr>>) {
        self.resolved.store(Some(addresses));
    }

    #[must_use]
    pub fn health(&self) -> HealthVerdict {
        match self.health.load(Relaxed) {
            1 => HealthVerdict::Healthy,
            2 => HealthVerdict::Unhealthy,
            _ => HealthVerdict::Unknown,
        }
    }

    pub fn set_health(&self, verdict: HealthVerdict) {
        self.health.store(verdict as u8, Relaxed);
    }

    #[must_use]
    pub fn is_ejected(&self, now: Tick) -> bool {
        self.ejected_until.load(Relaxed) > now.0
    }

    pub fn eject_until(&self, until: Tick) {
        self.ejected_until.store(until.0, Relaxed);
    }

    /// Attempts in a row that could not connect, and until when others go elsewhere.
    #[must_use]
    pub fn aside(&self) -> (u32, Tick) {
        (self.connect_failures.load(Relaxed), Tick(self.aside_until.load(Relaxed)))
    }

    /// Whether requests go elsewhere because it could not be connected to.
    #[must_use]
    pub fn is_aside(&self, now: Tick) -> bool {
        self.aside_until.load(Relaxed) > now.0
    }

    pub fn set_aside(&self, failures: u32, until: Tick) {
        self.connect_failures.store(failures, Relaxed);
        self.aside_until.store(until.0, Relaxed);
    }

    /// When it last came into use; `None` when that was before anybody looked.
    #[must_use]
    pub fn since(&self) -> Option<Tick> {
        Some(Tick(self.since.load(Relaxed))).filter(|since| since.0 > 0)
    }

    pub fn set_since(&self, now: Tick) {
        self.since.store(now.0, Relaxed);
    }

    /// The latency estimate in microseconds and when it was folded.
    #[must_use]
    pub fn latency(&self) -> (f32, Tick) {
        (f32::from_bits(self.latency_us.load(Relaxed)), Tick(self.latency_at.load(Relaxed)))
    }

    pub fn set_latency(&self, us: f32, at: Tick) {
        self.latency_us.store(us.to_bits(), Relaxed);
        self.latency_at.store(at.0, Relaxed);
    }
}

/// One request in flight at an endpoint.
#[derive(Debug)]
pub struct InFlight(Arc<EndpointState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
