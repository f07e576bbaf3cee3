//! From the simulator's description of a system to processes: a gateway's configuration with a route for each
//! service, and a replica for each seat. What processes cannot show is refused by its key, never left out.

use super::replica::ReplicaSpec;
use crate::sim::{FaultKindSpec, ServiceSpec, SystemSpec};
use crate::workload::{SpecError, Streams};
use headgate_model::spec::{
    AdminSpec, Balance, BalancePolicy, Config, EndpointSpec, HashKey, Health, HealthKind, ListenSpec,
    RouteSpec, ServiceSpec as Upstream, Span, UpstreamTimeouts,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Replicas of all services together: more real processes than this measure each other.
const REPLICAS_MAX: usize = 100;
/// Where the gateway's listener is, by name.
pub(super) const LISTENER: &str = "rig";

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The gateway's. Listener and admin bind to free ports; endpoints are added when they listen.
    pub gateway: Config,
    /// In the order of the simulator's replicas.
    pub replicas: Vec<Seat>,
    /// Processes whose wall clock [`super::ProcessFault::Clock`] can set, by name.
    pub clocks: BTreeSet<String>,
}

/// One replica with the service that it belongs to.
#[derive(Clone, Debug)]
pub struct Seat {
    pub service: String,
    pub replica: ReplicaSpec,
}

impl Layout {
    /// The system that `spec` describes, with everything random from `seed`. `/SERVICE/KEY?bytes=N&zone=Z` at
    /// the gateway asks a service. One worker, so that the gateway's policies have one state, as each of the
    /// simulator's gateways has.
    ///
    /// # Errors
    /// With the key of what cannot be shown on processes.
    pub fn of(spec: &SystemSpec, seed: u64) -> Result<Self, SpecError> {
        refuse(spec)?;
        let mut gateway =
            Config { workers: Some(1), drain: Span(Duration::from_secs(2)), ..Config::default() };
        let any = "127.0.0.1:0".to_owned();
        gateway
            .listeners
            .insert(LISTENER.to_owned(), ListenSpec { bind: any.clone(), ..ListenSpec::default() });
        gateway.admin = Some(AdminSpec { bind: any, hosts: Vec::new() });
        let streams = Streams::new(seed);
        let (mut replicas, mut next_node) = (Vec::new(), 0);
        for (name, service) in &spec.services {
            gateway.services.insert(name.clone(), upstream(service));
            gateway.routes.push(RouteSpec {
                name: Some(name.clone()),
                pattern: format!("/{name}/*"),
                service: Some(name.clone()),
                ..RouteSpec::default()
            });
            for place in 0..service.replicas as usize {
                let node = match service.nodes.as_slice() {
                    [] => {
                        next_node += 1;
                        (next_node - 1) % spec.nodes.count
                    }
                    nodes => nodes[place % nodes.len()],
                };
                let zone = node % spec.network.zones.len().max(1) as u32;
                let seat = replicas.len() as u64;
                replicas.push(Seat {
                    service: name.clone(),
                    replica: ReplicaSpec {
                        name: format!("{name}-{place}"),
                        cpus: service.cpus,
                        speed: service
                            .speeds
                            .get(place % service.speeds.len().max(1))
                            .copied()
                            .unwrap_or(1.0),
                        concurrency: service.concurrency,
                        queue: service.queue,
                        does: service.does.clone(),
                        work_per_kib: service.work_per_kib,
                        seed: streams.dice("replica", seat).bits(),
                        zone: zone as u16,
                        rtt: rtts(spec, zone as usize),
                    },
                });
            }
        }
        if replicas.len() > REPLICAS_MAX {
            let problem = format!("make {} processes, more than {REPLICAS_MAX}", replicas.len());
            return Err(SpecError::new("service.*.replicas", problem, "write fewer for the rig"));
        }
        Ok(Self { gateway, replicas, clocks: BTreeSet::new() })
    }

    /// Adds the addresses of the replicas, in their order.
    pub(super) fn with_addresses(&self, addresses: impl Iterator<Item = std::net::SocketAddr>) -> Config {
        let mut gateway = self.gateway.clone();
        for (seat, address) in self.replicas.iter().zip(addresses) {
            if let Some(service) = gateway.services.get_mut(&seat.service) {
                service.endpoints.push(EndpointSpec::Address(address.to_string()));
            }
        }
        gateway
    }
}

/// A service as the gateway is told of it.
fn upstream(spec: &ServiceSpec) -> Upstream {
    let hashes = [BalancePolicy::RingHash, BalancePolicy::Maglev, BalancePolicy::Rendezvous];
    // The simulator hashes by the key that is asked for, which is in the path here.
    let balance = match &spec.balance {
        Balance::Name(policy) if hashes.contains(policy) => {
            Balance::Full { policy: *policy, key: Some(HashKey::Path), bounded_load: 0.0 }
        }
        Balance::Full { policy, key: None, bounded_load } if hashes.contains(policy) => {
            Balance::Full { policy: *policy, key: Some(HashKey::Path), bounded_load: *bounded_load }
        }
        other => other.clone(),
    };
    let health = spec.health.as_ref().map(|health| Health::Full {
        kind: HealthKind::Http,
        path: Some("/healthz".to_owned()),
        host: None,
        interval: health.interval,
        // A replica that stands still is to fail its probes as soon as in the simulator.
        timeout: Span(health.interval.0.min(Duration::from_secs(1))),
        healthy_after: health.healthy_after,
        unhealthy_after: health.unhealthy_after,
    });
    Upstream {
        balance: Some(balance),
        health,
        outlier: spec.outlier.clone(),
        slow_start: spec.slow_start,
        retry: spec.retry.clone(),
        timeouts: UpstreamTimeouts { first_byte: Span(spec.timeout.0), ..UpstreamTimeouts::default() },
        breaker: spec.breaker.clone(),
        bulkhead: spec.bulkhead.clone(),
        ..Upstream::default()
    }
}

/// Round trips from this zone to each, by number.
fn rtts(spec: &SystemSpec, zone: usize) -> Vec<Span<0>> {
    let zones = &spec.network.zones;
    let between = |other: usize| {
        let named = spec.network.rtt.iter().rev().find(|pair| {
            let is = |one: usize, of: usize| pair.zones[of] == zones[one];
            is(zone, 0) && is(other, 1) || is(other, 0) && is(zone, 1)
        });
        match named {
            Some(pair) => pair.rtt,
            None if zone == other => spec.network.rtt_within,
            None => Span(spec.network.rtt_between.0),
        }
    };
    (0..zones.len()).map(between).collect()
}

/// Refuses what the rig cannot show.
fn refuse(spec: &SystemSpec) -> Result<(), SpecError> {
    let no = |field: String, problem: &str, remedy| Err(SpecError::new(field, problem, remedy));
    if spec.gateway.count != 1 {
        return no(
            "gateway.count".to_owned(),
            "is not 1",
            "the rig has one gateway; run this in the simulator",
        );
    }
    if spec.gateway.bypass > 0.0 {
        let remedy = "everything goes through the gateway here; run this in the simulator";
        return no("gateway.bypass".to_owned(), "is above 0", remedy);
    }
    let mut asked = vec![0.0; spec.nodes.count as usize];
    let mut next_node = 0usize;
    for (name, service) in &spec.services {
        let field = |key: &str| format!("service.{name}.{key}");
        if !name.chars().all(|one| one.is_ascii_alphanumeric() || "-_".contains(one)) {
            return no(
                format!("service.{name}"),
                "does not fit into a path",
                "use letters, digits, `-` and `_`",
            );
        }
        if service.cache.is_some() {
            return no(field("cache"), "has no counterpart in the gateway", "leave it out on the rig");
        }
        if service.noise.is_some() {
            return no(field("noise"), "cannot be shown on processes", "write `speeds` or a fault instead");
        }
        for place in 0..service.replicas as usize {
            let node = match service.nodes.as_slice() {
                [] => {
                    next_node += 1;
                    (next_node - 1) % asked.len().max(1)
                }
                nodes => nodes[place % nodes.len()] as usize,
            };
            let Some(sum) = asked.get_mut(node) else { continue };
            *sum += service.cpus;
            if *sum > spec.nodes.vcpus {
                let problem = format!("has replicas that ask for more than its {} cores", spec.nodes.vcpus);
                let remedy = "processes do not share a node here: write more nodes or vcpus, or fewer cpus";
                return no(format!("nodes.{node}"), &problem, remedy);
            }
        }
    }
    let partitions = |fault: &crate::sim::FaultSpec| matches!(fault.what, FaultKindSpec::Partition(_));
    if let Some(index) = spec.faults.iter().position(partitions) {
        let remedy = "processes have no links to cut; run this in the simulator";
        return no(format!("fault[{index}].what.partition"), "cannot be shown", remedy);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> SystemSpec {
        toml::from_str(text).unwrap()
    }

    const SHOP: &str = "[service.shop]\nreplicas = 3\nspeeds = [1.0, 0.5]\nbalance = \"ring_hash\"\n\
                        does = [{ work = { constant = \"1ms\" } }]\n";

    #[test]
    fn a_description_becomes_a_configuration_and_replicas() {
        let zones = "[network]\nzones = [\"a\", \"b\"]\nrtt_between = \"10ms\"\n";
        let layout = Layout::of(&spec(&format!("{zones}{SHOP}health = {{}}")), 1).unwrap();
        let shop = &layout.gateway.services["shop"];
        assert!(matches!(&shop.balance, Some(Balance::Full { key: Some(HashKey::Path), .. })));
        assert!(matches!(&shop.health, Some(Health::Full { path: Some(path), .. }) if path == "/healthz"));
        assert_eq!(layout.gateway.routes[0].pattern, "/shop/*");
        let speeds: Vec<f64> = layout.replicas.iter().map(|seat| seat.replica.speed).collect();
        assert_eq!(speeds, [1.0, 0.5, 1.0]);
        let rtt = &layout.replicas[1].replica.rtt;
        assert_eq!([rtt[0].0, rtt[1].0], [Duration::from_millis(10), Duration::from_micros(500)]);
        let seeds: BTreeSet<u64> = layout.replicas.iter().map(|seat| seat.replica.seed).collect();
        assert_eq!(seeds.len(), 3, "each replica has dice of its own");
        let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let whole = layout.with_addresses((1..).map(address));
        assert_eq!(whole.services["shop"].endpoints[2].address(), "127.0.0.1:3");
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        for (text, field) in [
            (format!("[gateway]\ncount = 6\n{SHOP}"), "gateway.count"),
            (format!("[gateway]\nbypass = 0.5\n{SHOP}"), "gateway.bypass"),
            (format!("{SHOP}cache = {{ ratio = 0.5 }}"), "service.shop.cache"),
            (format!("{SHOP}noise = {{ every = \"1s\", speeds = [1.0] }}"), "service.shop.noise"),
            (format!("[nodes]\ncount = 1\nvcpus = 2\n{SHOP}"), "nodes.0"),
            (SHOP.replace("replicas = 3", "replicas = 101\nnodes = [0]\ncpus = 0.01"), "service.*.replicas"),
            (SHOP.replace(".shop]", ".\"a b\"]"), "service.a b"),
            (
                format!("{SHOP}[[fault]]\nat = \"1s\"\nwhat = {{ partition = [\"one\", \"one\"] }}"),
                "fault[0].what.partition",
            ),
        ] {
            assert_eq!(Layout::of(&spec(&text), 1).unwrap_err().field, field, "{text}");
        }
    }
}
