//! Finding endpoints: DNS names, SRV records and watched files are followed, and what changes is told. What
//! is done with it (a new set of endpoints for the service) is the receiver's matter.
//!
//! The last known endpoints stay when a source fails or comes back empty: an outage of DNS or a slip in a
//! file must not take a service down. It is logged, counted and tried again.

pub mod dns;
pub mod file;
mod follow;
mod names;
mod srv;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::tasks::Tasks;
use dns::Resolver;
use follow::{AddressesOf, NameOf, ServicesOf, Tell, follow_dns, follow_file};
use headgate_model::address::{EndpointAddress, Target};
use headgate_model::dice::Dice;
use headgate_model::discover::Discover;
use headgate_model::state::ServiceState;
use headgate_observe::log::{self, Level};
use names::Names;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Endpoints that one service may get from a source. Of more, the first in order of address are taken.
pub const ENDPOINTS_MAX: usize = 1_000;
/// An answer of DNS is used at least this long, whatever its time to live, so that a zero is no flood.
pub const SHORTEST_TTL: Duration = Duration::from_secs(1);
/// And at most this long, so that a long one, or a line of the hosts file, keeps no endpoint that is gone.
pub const LONGEST_TTL: Duration = Duration::from_secs(60);

/// How often the present services are compared with what is being followed.
const ROUND: Duration = Duration::from_millis(250);

/// The present endpoints of a service that has `discover`: all of them, in order, each once. Told when they
/// are first known and then when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub service: String,
    pub endpoints: Vec<(EndpointAddress, u16)>,
}

/// Follows the sources of the present services, and the names among their endpoints. A name stays one
/// endpoint: its addresses are alternatives, written where they are dialled. Ends when nobody receives any
/// more.
pub async fn run(context: Context, resolver: Arc<Resolver>, updates: mpsc::Sender<Found>) {
    let mut dice = Dice::new(context.seed);
    let mut followed: Tasks<Source, ()> = Tasks::new();
    let names = Arc::new(Names::default());
    while !updates.is_closed() {
        let services = (context.services)();
        names.hand_out(&services);
        let wanted = wanted(&services);
        followed.retain(|source| wanted.contains(source));
        for source in wanted {
            if followed.get(&source).is_none() {
                let tell = Tell::new(&context, source.service(), source.to_string(), updates.clone());
                let follower = Follower {
                    resolver: Arc::clone(&resolver),
                    names: Arc::clone(&names),
                    tell,
                    dice: Dice::new(dice.bits()),
                };
                followed.start(source.clone(), (), follower.follow(source));
            }
        }
        followed.check();
        // What is found of a name is handed out at once.
        let _ = timeout(ROUND, names.changed()).await;
    }
}

/// Something to follow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Service { service: String, discover: String },
    Name { host: String },
}

impl Source {
    fn service(&self) -> &str {
        match self {
            Self::Service { service, .. } => service,
            Self::Name { .. } => "",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { discover, .. } => f.write_str(discover),
            Self::Name { host } => write!(f, "name:{host}"),
        }
    }
}

fn wanted(services: &[Arc<ServiceState>]) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    for service in services {
        if let Some(discover) = &service.spec.discover {
            sources.insert(Source::Service { service: service.name.to_string(), discover: discover.clone() });
        }
        for endpoint in &service.endpoints {
            if let Target::Name { host, .. } = &endpoint.address.target {
                sources.insert(Source::Name { host: host.clone() });
            }
        }
    }
    sources
}

/// What it takes to follow one source.
struct Follower {
    resolver: Arc<Resolver>,
    names: Arc<Names>,
    tell: Tell,
    dice: Dice,
}

impl Follower {
    async fn follow(self, source: Source) {
        let Self { resolver, names, tell, dice } = self;
        let (service, discover) = match source {
            Source::Name { host } => {
                return follow_dns(NameOf { host, names }, &resolver, tell, dice).await;
            }
            Source::Service { service, discover } => (service, discover),
        };
        match discover.parse() {
            Ok(Discover::File { path }) => follow_file(service, path.into(), tell).await,
            Ok(Discover::Srv { name }) => {
                follow_dns(ServicesOf { service, name }, &resolver, tell, dice).await;
            }
            Ok(Discover::Dns { host, port }) => {
                follow_dns(AddressesOf { service, host, port }, &resolver, tell, dice).await;
            }
            // Validation does not let it come this far; then this is the only line about it.
            Err(error) => {
                let fields: log::Fields<'_> = &[("service", &service), ("error", &error)];
                log::event(Level::Error, "a service cannot be discovered", fields);
            }
        }
    }
}
