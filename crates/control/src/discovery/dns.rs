//! Asking DNS for endpoints: A and AAAA records of a name, SRV records of a service. Answers only; how long
//! they are kept and what happens when there are none is decided by the caller.

use headgate_model::address::{EndpointAddress, Target};
use headgate_observe::log::{self, Level};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Names of one SRV answer that are looked up at the same time.
const TARGETS_AT_ONCE: usize = 16;
/// How long an answer may be used that has the addresses of one family only because the other failed.
const HALF_ANSWER_TTL: Duration = Duration::from_secs(5);
/// The largest weight of an endpoint.
const WEIGHT_MAX: u32 = 1_000;

/// Asks the servers of `/etc/resolv.conf`, or given ones. `/etc/hosts` comes first, and names of localhost
/// are never asked for (RFC 6761 section 6.3). Nothing is cached here.
pub struct Resolver {
    current: Mutex<TokioResolver>,
    of_the_system: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("{name} has no {records} records")]
    Empty { name: String, records: &'static str },
    #[error("the SRV records of {name} say that the service is not available (target `.`)")]
    NotAvailable { name: String },
    #[error("cannot resolve {name}: {source}")]
    Failed { name: String, source: NetError },
    #[error("cannot set up DNS: {0}")]
    Setup(NetError),
}

/// What was found, and how long it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer<T> {
    pub found: Vec<T>,
    pub ttl: Duration,
}

impl Resolver {
    /// With the system's configuration, which is read again after a failure. Without one only `/etc/hosts`
    /// and localhost resolve.
    ///
    /// # Errors
    /// [`ResolveError::Setup`] when no resolver can be made at all.
    pub fn system() -> Result<Self, ResolveError> {
        Ok(Self { current: Mutex::new(system()?), of_the_system: true })
    }

    /// With these servers, over UDP, and over TCP for what does not fit.
    ///
    /// # Errors
    /// [`ResolveError::Setup`].
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        let server = |address: &SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.into())
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        let resolver = build(config, ResolverOpts::default())?;
        Ok(Self { current: Mutex::new(resolver), of_the_system: false })
    }

    /// All addresses of `host`, IPv4 first. Where one family fails and the other does not, the addresses
    /// of that family in `known` are kept.
    pub(super) async fn addresses(
        &self,
        host: &str,
        known: &[IpAddr],
    ) -> Result<Answer<IpAddr>, ResolveError> {
        let (v4, v6) = tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
        if let (Err(source), Err(_)) = (&v4, &v6) {
            return Err(self.failed(host, source.clone()));
        }
        let mut answer = Answer { found: Vec::new(), ttl: Duration::MAX };
        for (family, is_v4) in [(v4, true), (v6, false)] {
            match family {
                Ok(lookup) => {
                    let addresses =
                        lookup.iter().flat_map(Lookup::answers).filter_map(|record| record.data.ip_addr());
                    answer.found.extend(addresses);
                    answer.ttl = answer.ttl.min(ttl(lookup.as_ref()));
                }
                Err(source) => {
                    answer.found.extend(known.iter().filter(|address| address.is_ipv4() == is_v4));
                    answer.ttl = answer.ttl.min(HALF_ANSWER_TTL);
                    if answer.found.is_empty() {
                        return Err(self.failed(host, source));
                    }
                }
            }
        }
        answer.found.sort_unstable();
        answer.found.dedup();
        if answer.found.is_empty() {
            return Err(ResolveError::Empty { name: host.to_owned(), records: "A or AAAA" });
        }
        Ok(answer)
    }

    /// The endpoints that the SRV records of `name` with the best priority lead to (RFC 2782); further
    /// priorities are not used. Weights are scaled to at most 1,000, and zero counts as one. A target
    /// without addresses is left out; when asking for one fails, all fails, so that an outage of DNS does
    /// not make a service small.
    pub(super) async fn services(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Answer<(EndpointAddress, u16)>, ResolveError> {
        let lookup = self.ask(name, RecordType::SRV).await.map_err(|source| self.failed(name, source))?;
        let records: Vec<&SRV> = lookup.iter().flat_map(Lookup::answers).filter_map(srv).collect();
        let records = best(&records).ok_or(ResolveError::Empty { name: name.to_owned(), records: "SRV" })?;
        if records.iter().all(|record| record.target.is_root()) {
            return Err(ResolveError::NotAvailable { name: name.to_owned() });
        }
        let targets: BTreeSet<String> = records.iter().map(|record| record.target.to_ascii()).collect();
        let (addresses, targets_ttl) = self.targets(targets).await?;
        let heaviest = records.iter().map(|record| u32::from(record.weight)).max().unwrap_or(0);
        // Two records may lead to one endpoint; the heavier counts.
        let mut found = BTreeMap::new();
        for record in &records {
            for &address in addresses.get(&record.target.to_ascii()).into_iter().flatten() {
                let target = Target::Ip(SocketAddr::new(address, record.port));
                let weight = found.entry(EndpointAddress { target, tls: None }).or_insert(0);
                *weight = scaled(record.weight, heaviest).max(*weight);
            }
        }
        if found.is_empty() {
            return Err(ResolveError::Empty { name: format!("no target of {name}"), records: "A or AAAA" });
        }
        let found = found.into_iter().collect();
        Ok(Answer { found, ttl: ttl(lookup.as_ref()).min(targets_ttl) })
    }

    /// The addresses of each target, and the shortest of their times to live.
    async fn targets(
        self: &Arc<Self>,
        targets: BTreeSet<String>,
    ) -> Result<(BTreeMap<String, Vec<IpAddr>>, Duration), ResolveError> {
        let (mut addresses, mut shortest) = (BTreeMap::new(), Duration::MAX);
        let (mut asking, mut waiting) = (JoinSet::new(), targets.into_iter());
        loop {
            while asking.len() < TARGETS_AT_ONCE
                && let Some(target) = waiting.next()
            {
                let resolver = Arc::clone(self);
                asking.spawn(async move {
                    let answer = resolver.addresses(&target, &[]).await;
                    (target, answer)
                });
            }
            // A panic in a lookup leaves its target out.
            let Some(answered) = asking.join_next().await else { return Ok((addresses, shortest)) };
            match answered {
                Ok((target, Ok(answer))) => {
                    shortest = shortest.min(answer.ttl);
                    addresses.insert(target, answer.found);
                }
                Ok((_, Err(ResolveError::Empty { .. }))) | Err(_) => {}
                Ok((_, Err(error))) => return Err(error),
            }
        }
    }

    /// The answer of DNS; `None` when it says that there are no such records.
    async fn ask(&self, name: &str, records: RecordType) -> Result<Option<Lookup>, NetError> {
        let resolver = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match resolver.lookup(name, records).await {
            Ok(lookup) => Ok(Some(lookup)),
            Err(error) if error.is_no_records_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes a failure: the system may have been given other servers meanwhile.
    fn failed(&self, name: &str, source: NetError) -> ResolveError {
        if self.of_the_system
            && let Ok(fresh) = system()
        {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        ResolveError::Failed { name: name.to_owned(), source }
    }
}

fn system() -> Result<TokioResolver, ResolveError> {
    let (config, options) = hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
        let message = "no DNS servers; only /etc/hosts and localhost resolve";
        log::event(Level::Warn, message, &[("error", &error)]);
        (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default())
    });
    build(config, options)
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, ResolveError> {
    options.cache_size = 0;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(ResolveError::Setup)
}

/// The shortest time to live of an answer, that of aliases on the way included.
fn ttl(lookup: Option<&Lookup>) -> Duration {
    let seconds = lookup.into_iter().flat_map(Lookup::answers).map(|record| record.ttl).min();
    seconds.map_or(Duration::MAX, |seconds| Duration::from_secs(u64::from(seconds)))
}

fn srv(record: &hickory_resolver::proto::rr::Record) -> Option<&SRV> {
    match &record.data {
        RData::SRV(srv) => Some(srv),
        _ => None,
    }
}

/// The records with the best, which is the lowest, priority.
fn best<'r>(records: &[&'r SRV]) -> Option<Vec<&'r SRV>> {
    let priority = records.iter().map(|record| record.priority).min()?;
    Some(records.iter().copied().filter(|record| record.priority == priority).collect())
}

/// A weight of 16 bits as one of an endpoint. Zero would mean no requests at all, but in DNS it means few.
fn scaled(weight: u16, heaviest: u32) -> u16 {
    let weight = u32::from(weight);
    let scaled = if heaviest > WEIGHT_MAX { weight * WEIGHT_MAX / heaviest } else { weight };
    scaled.clamp(1, WEIGHT_MAX) as u16
}
