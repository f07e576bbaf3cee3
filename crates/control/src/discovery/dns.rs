//! Asking DNS, and the hosts file before it: the addresses of a name, the records of any type. Answers only;
//! how long they are kept and what happens when there are none is decided by the caller.

use headgate_observe::log::{self, Level};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::{Hosts, TokioResolver};
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How long an answer may be used that has the addresses of one family only because the other failed.
const HALF_ANSWER_TTL: Duration = Duration::from_secs(5);

/// Once one family has an answer, the other has this long: some servers never say that there is no AAAA.
const OTHER_FAMILY_PATIENCE: Duration = Duration::from_secs(1);
const HOSTS: &str = "/etc/hosts";
/// Bytes of it that are read.
const HOSTS_BYTES: u64 = 16 << 20;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Asks the servers of `/etc/resolv.conf`, or given ones. `/etc/hosts` comes first, and names of localhost
/// are never asked for (RFC 6761 section 6.3). Nothing is cached here, and both files are read again when
/// they change.
pub struct Resolver {
    hosts: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    /// `None`: those of the system.
    servers: Option<Vec<SocketAddr>>,
    resolver: TokioResolver,
    /// As the files were when it was made.
    files: [Option<Stamp>; 2],
}

/// When a file was modified, its length and its inode.
type Stamp = (SystemTime, u64, u64);

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("{name} has no {records} records")]
    Empty { name: String, records: &'static str },
    #[error("the SRV records of {name} say that the service is not available (target `.`)")]
    NotAvailable { name: String },
    #[error("{name} leads to more than 10,000 endpoints; check what it stands for")]
    TooMany { name: String },
    #[error("the {records} records of a target of {name} were not to be had; there were some before")]
    Missing { name: String, records: RecordType },
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
    /// Addresses of one family could not be asked for.
    pub missing: Option<RecordType>,
}

impl Resolver {
    /// With the system's configuration. Without one only `/etc/hosts` and localhost resolve.
    ///
    /// # Errors
    /// [`ResolveError::Setup`] when no resolver can be made at all.
    pub fn system() -> Result<Self, ResolveError> {
        Self::new(None, HOSTS.into())
    }

    /// With these servers, over UDP, and over TCP for what does not fit.
    ///
    /// # Errors
    /// [`ResolveError::Setup`].
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        Self::new(Some(servers.to_vec()), HOSTS.into())
    }

    pub(super) fn new(servers: Option<Vec<SocketAddr>>, hosts: PathBuf) -> Result<Self, ResolveError> {
        // Looked at first: a change in between is then seen later.
        let files = stamps(&hosts);
        let resolver = build(servers.as_deref(), &hosts)?;
        Ok(Self { hosts, current: Mutex::new(Current { servers, resolver, files }) })
    }

    /// Asks these servers from now on; `None` for those of the system.
    ///
    /// # Errors
    /// [`ResolveError::Setup`]; the servers before are asked on.
    pub fn set_servers(&self, servers: Option<Vec<SocketAddr>>) -> Result<(), ResolveError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if servers != current.servers {
            let files = stamps(&self.hosts);
            let resolver = build(servers.as_deref(), &self.hosts)?;
            *current = Current { servers, resolver, files };
        }
        Ok(())
    }

    fn current(&self) -> TokioResolver {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let files = stamps(&self.hosts);
        if files != current.files
            && let Ok(resolver) = build(current.servers.as_deref(), &self.hosts)
        {
            let servers = current.servers.take();
            *current = Current { servers, resolver, files };
        }
        current.resolver.clone()
    }

    /// All addresses of `host`, IPv4 first. Where one family fails and the other does not, the addresses
    /// of that family in `known` are kept.
    pub(super) async fn addresses(
        &self,
        host: &str,
        known: &[IpAddr],
    ) -> Result<Answer<IpAddr>, ResolveError> {
        let (v4, v6) = self.families(host).await;
        if let (Err(source), Err(_)) = (&v4, &v6) {
            return Err(failed(host, source.clone()));
        }
        let mut answer = Answer { found: Vec::new(), ttl: Duration::MAX, missing: None };
        for (reply, records) in [(v4, RecordType::A), (v6, RecordType::AAAA)] {
            match reply {
                Ok(lookup) => {
                    let addresses =
                        lookup.iter().flat_map(Lookup::answers).filter_map(|record| record.data.ip_addr());
                    answer.found.extend(addresses);
                    answer.ttl = answer.ttl.min(ttl(lookup.as_ref()));
                }
                Err(source) => {
                    answer.found.extend(
                        known.iter().filter(|address| address.is_ipv4() == (records == RecordType::A)),
                    );
                    answer.missing = Some(records);
                    answer.ttl = answer.ttl.min(HALF_ANSWER_TTL);
                    if answer.found.is_empty() {
                        return Err(failed(host, source));
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

    async fn families(&self, host: &str) -> (Reply, Reply) {
        let (v4, v6) = (self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
        let (mut v4, mut v6) = (pin!(v4), pin!(v6));
        tokio::select! {
            first = &mut v4 => {
                let other = other_family(&first, v6).await;
                (first, other)
            }
            first = &mut v6 => {
                let other = other_family(&first, v4).await;
                (other, first)
            }
        }
    }

    /// The answer of DNS; `None` when it says that there are no such records.
    pub(super) async fn ask(&self, name: &str, records: RecordType) -> Reply {
        match self.current().lookup(name, records).await {
            Ok(lookup) => Ok(Some(lookup)),
            Err(error) if error.is_no_records_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(super) type Reply = Result<Option<Lookup>, NetError>;

async fn other_family(first: &Reply, other: impl Future<Output = Reply>) -> Reply {
    match first {
        Ok(Some(_)) => timeout(OTHER_FAMILY_PATIENCE, other).await.unwrap_or(Err(NetError::Timeout)),
        _ => other.await,
    }
}

pub(super) fn failed(name: &str, source: NetError) -> ResolveError {
    ResolveError::Failed { name: name.to_owned(), source }
}

fn stamps(hosts: &Path) -> [Option<Stamp>; 2] {
    [hosts, Path::new(RESOLV_CONF)].map(|file| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len(), meta.ino()))
    })
}

fn build(servers: Option<&[SocketAddr]>, hosts: &Path) -> Result<TokioResolver, ResolveError> {
    let (config, mut options) = match servers {
        Some(servers) => {
            let servers = servers.iter().map(server).collect();
            (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
        }
        None => hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
            let message = "no DNS servers; only /etc/hosts and localhost resolve";
            log::event(Level::Warn, message, &[("error", &error)]);
            (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default())
        }),
    };
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let mut resolver = builder.build().map_err(ResolveError::Setup)?;
    let mut names = Hosts::default();
    // Without a file, or where it ends in an error, there are no more such names.
    let _ = File::open(hosts).and_then(|file| names.read_hosts_conf(file.take(HOSTS_BYTES)));
    resolver.set_hosts(Arc::new(names));
    Ok(resolver)
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The shortest time to live of an answer, that of aliases on the way included.
pub(super) fn ttl(lookup: Option<&Lookup>) -> Duration {
    let seconds = lookup.into_iter().flat_map(Lookup::answers).map(|record| record.ttl).min();
    seconds.map_or(Duration::MAX, |seconds| Duration::from_secs(u64::from(seconds)))
}
