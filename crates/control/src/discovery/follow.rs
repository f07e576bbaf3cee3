//! One source followed over time: asked again when its answer has expired or its file has changed, told of
//! when what it says is new, kept as it was when it fails.

use super::dns::{Answer, ResolveError, Resolver};
use super::file::{self, FileError};
use super::names::Names;
use super::srv;
use super::{ENDPOINTS_MAX, Found, LONGEST_TTL, SHORTEST_TTL};
use crate::context::Context;
use crate::watch::Watch;
use headgate_model::address::{EndpointAddress, Target};
use headgate_model::dice::Dice;
use headgate_observe::counter::{Counter, Gauge};
use headgate_observe::log::{self, Level};
use headgate_policy::retry::backoff;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Pauses after failed lookups are random, with a mean that doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something that DNS is asked again and again.
pub(super) trait Question: Send + Sync {
    type Found: Clone + Ord + Send + Sync;

    /// `known` is what the last answer led to.
    fn ask(
        &self,
        resolver: &Arc<Resolver>,
        known: &[Self::Found],
    ) -> impl Future<Output = Result<Answer<Self::Found>, ResolveError>> + Send;

    /// Passes on what is new.
    fn told(&self, found: Vec<Self::Found>, tell: &Tell) -> impl Future<Output = ()> + Send;
}

/// The addresses of a name, each an endpoint at the same port.
pub(super) struct AddressesOf {
    pub service: String,
    pub host: String,
    pub port: u16,
}

impl Question for AddressesOf {
    type Found = IpAddr;

    async fn ask(&self, resolver: &Arc<Resolver>, known: &[IpAddr]) -> Result<Answer<IpAddr>, ResolveError> {
        resolver.addresses(&self.host, known).await
    }

    async fn told(&self, found: Vec<IpAddr>, tell: &Tell) {
        let target = |address| Target::Ip(SocketAddr::new(address, self.port));
        let endpoint = |address| (EndpointAddress { target: target(address), tls: None }, 1);
        let endpoints = found.into_iter().map(endpoint).collect();
        tell.tell(Found { service: self.service.clone(), endpoints }).await;
    }
}

/// What the SRV records of a name lead to.
pub(super) struct ServicesOf {
    pub service: String,
    pub name: String,
}

impl Question for ServicesOf {
    type Found = (EndpointAddress, u16);

    async fn ask(
        &self,
        resolver: &Arc<Resolver>,
        known: &[Self::Found],
    ) -> Result<Answer<Self::Found>, ResolveError> {
        srv::services(resolver, &self.name, known).await
    }

    async fn told(&self, endpoints: Vec<Self::Found>, tell: &Tell) {
        tell.tell(Found { service: self.service.clone(), endpoints }).await;
    }
}

/// The addresses of an endpoint that is a name.
pub(super) struct NameOf {
    pub host: String,
    pub names: Arc<Names>,
}

impl Question for NameOf {
    type Found = IpAddr;

    async fn ask(&self, resolver: &Arc<Resolver>, known: &[IpAddr]) -> Result<Answer<IpAddr>, ResolveError> {
        resolver.addresses(&self.host, known).await
    }

    async fn told(&self, addresses: Vec<IpAddr>, _: &Tell) {
        self.names.set(&self.host, addresses);
    }
}

/// Asks until it is dropped.
pub(super) async fn follow_dns(
    question: impl Question,
    resolver: &Arc<Resolver>,
    mut tell: Tell,
    mut dice: Dice,
) {
    let mut known = Vec::new();
    loop {
        let pause = match question.ask(resolver, &known).await {
            Ok(Answer { found, ttl, .. }) => {
                let found = tell.settle(found);
                if found != known {
                    known = found;
                    question.told(known.clone(), &tell).await;
                }
                ttl.clamp(SHORTEST_TTL, LONGEST_TTL)
            }
            Err(error) => {
                let failures = tell.failed(&error);
                FIRST_PAUSE + backoff::wait(failures, FIRST_PAUSE, LONGEST_PAUSE, &mut dice)
            }
        };
        sleep(pause).await;
    }
}

/// Reads the file now and after each change until it is dropped.
pub(super) async fn follow_file(service: String, path: PathBuf, mut tell: Tell) {
    let mut known = Vec::new();
    let first = path.clone();
    let mut watch = tokio::task::spawn_blocking(move || Watch::new([first])).await.unwrap_or_default();
    loop {
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&file)).await;
        match read.unwrap_or_else(|error| Err(FileError::Read(error.into()))) {
            Ok(endpoints) => {
                let endpoints = tell.settle(endpoints);
                if endpoints != known {
                    known = endpoints;
                    let endpoints = known.clone();
                    tell.tell(Found { service: service.clone(), endpoints }).await;
                }
            }
            Err(error) => {
                tell.failed(&error);
            }
        }
        watch.changed().await;
    }
}

/// What a source has to say, to the receiver, the log and the metrics.
pub(super) struct Tell {
    source: String,
    updates: mpsc::Sender<Found>,
    failures_in_a_row: u32,
    failures: Arc<Counter>,
    dropped: Arc<Counter>,
    present: Arc<Gauge>,
}

impl Tell {
    /// `service` is empty for the name of an endpoint, which several services may share.
    pub(super) fn new(
        context: &Context,
        service: &str,
        source: String,
        updates: mpsc::Sender<Found>,
    ) -> Self {
        let labels = &[("service", service), ("source", source.as_str())];
        let metrics = &context.metrics;
        let failures = "Lookups or readings that failed; what was known before stays.";
        let dropped = "Endpoints left out of an answer because one source may have no more.";
        let present = "Endpoints or addresses that a source gives now.";
        Self {
            failures: metrics.counter("headgate_discovery_failures_total", failures, labels),
            dropped: metrics.counter("headgate_discovery_dropped_total", dropped, labels),
            present: metrics.gauge("headgate_discovery_endpoints", present, labels),
            failures_in_a_row: 0,
            source,
            updates,
        }
    }

    /// Takes an answer: in order, each once, not too many.
    fn settle<T: Ord>(&mut self, mut found: Vec<T>) -> Vec<T> {
        if std::mem::take(&mut self.failures_in_a_row) > 0 {
            log::event(Level::Info, "discovery works again", &[("source", &self.source)]);
        }
        found.sort_unstable();
        found.dedup();
        self.dropped.add(found.len().saturating_sub(ENDPOINTS_MAX) as u64);
        found.truncate(ENDPOINTS_MAX);
        self.present.set(found.len() as i64);
        found
    }

    /// Waits while the receiver is busy. When it is gone there is nobody to tell, and the loop is about to
    /// end.
    async fn tell(&self, update: Found) {
        let _ = self.updates.send(update).await;
    }

    /// Counts a failure; the number of them in a row. Only the first is logged: the reason seldom changes.
    fn failed(&mut self, error: &dyn Display) -> u32 {
        self.failures.inc();
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row == 1 {
            let message = "discovery failed; the endpoints known before stay";
            log::event(Level::Warn, message, &[("source", &self.source), ("error", &error)]);
        }
        self.failures_in_a_row
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.present.set(0);
    }
}
