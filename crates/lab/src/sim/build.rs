//! From the description to the system at rest: everything is checked here, so that nothing can go wrong later.

use super::cache::Cache;
use super::call::Line;
use super::fleet::{Edge, Fleet, Replica, Service, Stage};
use super::network::Network;
use super::spec::{CallSpec, ServiceSpec, StageSpec, SystemSpec};
use super::timers::Timers;
use super::upstream::{Policies, Seat, Upstream};
use crate::workload::{Journey, SpecError, Streams, at_least, at_most, positive, share};
use std::collections::BTreeMap;
use std::time::Duration;

/// Services, nodes, gateways, and replicas of one service that a description may have.
const SERVICES_MAX: usize = 2_000;
const NODES_MAX: u32 = 50_000;
const GATEWAYS_MAX: u32 = 10_000;
const REPLICAS_MAX: u32 = 50_000;
/// Stages, calls of a service, replicas of all services together.
const PARTS_MAX: usize = 1_000;
const FLEET_MAX: u64 = 1_000_000;

/// Services with the fleet that they run on, the timers, and whose bulkhead each gate timer is.
pub(super) type System = (Vec<Service>, Fleet, Timers, Vec<(u16, u16)>);

pub(super) fn system(spec: &SystemSpec, network: &Network, streams: &Streams) -> Result<System, SpecError> {
    at_most("service", spec.services.len(), SERVICES_MAX)?;
    if spec.services.is_empty() {
        return Err(SpecError::new("service", "is empty", "write at least one service"));
    }
    range("nodes.count", spec.nodes.count, NODES_MAX)?;
    range("gateway.count", spec.gateway.count, GATEWAYS_MAX)?;
    positive("nodes.vcpus", spec.nodes.vcpus, "write a number of cores above zero")?;
    share("gateway.bypass", spec.gateway.bypass)?;
    let zones = network.zones();
    let nodes = (0..spec.nodes.count as usize).map(|node| (spec.nodes.vcpus, (node % zones) as u16));
    let mut fleet = Fleet::new(nodes);
    let mut services = Vec::with_capacity(spec.services.len());
    let mut next_node = 0;
    for (name, service) in &spec.services {
        let within = |error: SpecError| error.within(&format!("service.{name}"));
        let built = build(name, service, &spec.services, streams).map_err(within)?;
        services.push(built);
        let index = services.len() - 1;
        place(&mut services[index], index as u16, spec, &mut fleet, &mut next_node).map_err(within)?;
    }
    refuse_cycles(&services)?;
    let gateways = spec.gateway.count as usize;
    let mut gates = Vec::new();
    let first_gate = services.len();
    for (index, service) in services.iter_mut().enumerate() {
        let upstream = Upstream::new(&service.spec, &service.policies, &service.seats);
        service.upstreams = vec![upstream; gateways];
        service.gate_slot = first_gate + gates.len();
        if service.spec.bulkhead.is_some() {
            gates.extend((0..gateways).map(|gateway| (index as u16, gateway as u16)));
        }
    }
    fleet.first_slot = first_gate + gates.len();
    let timers = Timers::new(fleet.first_slot + fleet.replicas.len());
    Ok((services, fleet, timers, gates))
}

/// The service that each step of the journey enters by.
pub(super) fn entries(
    spec: &SystemSpec,
    journey: &Journey,
    services: &[Service],
) -> Result<Vec<u16>, SpecError> {
    let index_of = |step: &str, name: &str| {
        let found = services.iter().position(|service| service.name == name);
        found.map(|index| index as u16).ok_or_else(|| {
            SpecError::new(format!("entry.{step}"), format!("`{name}` is not a service"), "name one that is")
        })
    };
    for (step, name) in &spec.entry {
        index_of(step, name)?;
        if step != "*" && !journey.steps().iter().any(|other| other.name == *step) {
            let remedy = "name a step of the workload, or \"*\" for all others";
            return Err(SpecError::new(format!("entry.{step}"), "is not a step", remedy));
        }
    }
    let entry = |step: &str| match (spec.entry.get(step).or_else(|| spec.entry.get("*")), services) {
        (Some(name), _) => index_of(step, name),
        (None, [_]) => Ok(0),
        (None, _) => {
            let remedy = "say which service takes it, or write entry = { \"*\" = \"NAME\" }";
            Err(SpecError::new(format!("entry.{step}"), "is missing", remedy))
        }
    };
    journey.steps().iter().map(|step| entry(&step.name)).collect()
}

fn build(
    name: &str,
    spec: &ServiceSpec,
    all: &BTreeMap<String, ServiceSpec>,
    streams: &Streams,
) -> Result<Service, SpecError> {
    range("replicas", spec.replicas, REPLICAS_MAX)?;
    range("concurrency", spec.concurrency, u32::MAX)?;
    positive("cpus", spec.cpus, "write a number of cores above zero, like 0.5")?;
    for (index, speed) in spec.speeds.iter().enumerate() {
        at_least(&format!("speeds[{index}]"), *speed, 0.0, "write a speed of 0 or more; 1 is the usual one")?;
    }
    if let Some(noise) = &spec.noise {
        seldom("noise.every", noise.every.0)?;
        if noise.speeds.is_empty() {
            return Err(SpecError::new("noise.speeds", "is empty", "write at least one speed, like 0.5"));
        }
        for (index, speed) in noise.speeds.iter().enumerate() {
            at_least(&format!("noise.speeds[{index}]"), *speed, 0.0, "write a speed of 0 or more")?;
        }
    }
    if let Some(health) = &spec.health {
        seldom("health.interval", health.interval.0)?;
    }
    if spec.timeout.0.is_zero() {
        return Err(SpecError::new("timeout", "is zero", "write how long an attempt may take, like \"5s\""));
    }
    let (stages, edges) = stages(spec, all)?;
    let dice = |kind: &str| streams.dice(&format!("service {name} {kind}"), 0);
    Ok(Service {
        name: name.to_owned(),
        spec: spec.clone(),
        stages,
        edges,
        cold_start: spec.cold_start.sampler().map_err(|error| error.within("cold_start"))?,
        timeout_ns: spec.timeout.0.as_nanos() as u64,
        work_per_kib_ns: spec.work_per_kib.0.as_nanos() as u64,
        policies: Policies::new(spec),
        seats: Vec::new(),
        upstreams: Vec::new(),
        cache: spec.cache.as_ref().map(Cache::new).transpose().map_err(|error| error.within("cache"))?,
        deadlines: Line::default(),
        gate_slot: 0,
        work_dice: dice("work"),
        route_dice: dice("route"),
        choice_dice: dice("choice"),
        noise_dice: dice("noise"),
        noise_at: Vec::new(),
    })
}

fn stages(
    spec: &ServiceSpec,
    all: &BTreeMap<String, ServiceSpec>,
) -> Result<(Vec<Stage>, Vec<Edge>), SpecError> {
    at_most("does", spec.does.len(), PARTS_MAX)?;
    if !matches!(spec.does.first(), Some(StageSpec::Work(_))) {
        let remedy = "begin with work, like does = [{ work = { exponential = { mean = \"5ms\" } } }]";
        return Err(SpecError::new("does", "does not begin with work", remedy));
    }
    let (mut stages, mut edges) = (Vec::new(), Vec::new());
    for (index, stage) in spec.does.iter().enumerate() {
        match stage {
            StageSpec::Work(work) => {
                let sampler = work.sampler().map_err(|error| error.within(&format!("does[{index}].work")))?;
                stages.push(Stage::Work(sampler));
            }
            StageSpec::Calls(calls) => {
                stages.push(Stage::Calls { first: edges.len() as u16, count: calls.len() as u16 });
                for (at, call) in calls.iter().enumerate() {
                    let edge = edge(call, all);
                    edges.push(edge.map_err(|error| error.within(&format!("does[{index}].calls[{at}]")))?);
                }
                at_most(&format!("does[{index}].calls"), edges.len(), PARTS_MAX)?;
            }
        }
    }
    Ok((stages, edges))
}

fn edge(call: &CallSpec, all: &BTreeMap<String, ServiceSpec>) -> Result<Edge, SpecError> {
    share("share", call.share)?;
    let Some(service) = all.keys().position(|name| *name == call.service) else {
        return Err(SpecError::new(
            "service",
            format!("`{}` is not a service", call.service),
            "name one that is",
        ));
    };
    Ok(Edge { service: service as u16, share: call.share, optional: call.optional })
}

/// Puts the replicas of a service on nodes.
fn place(
    service: &mut Service,
    index: u16,
    spec: &SystemSpec,
    fleet: &mut Fleet,
    next_node: &mut u32,
) -> Result<(), SpecError> {
    let count = u64::from(service.spec.replicas) + fleet.replicas.len() as u64;
    if count > FLEET_MAX {
        return Err(SpecError::new("replicas", format!("make {count} of all services"), "write fewer"));
    }
    for replica in 0..service.spec.replicas as usize {
        let node = match service.spec.nodes.as_slice() {
            [] => {
                *next_node += 1;
                (*next_node - 1) % spec.nodes.count
            }
            nodes => nodes[replica % nodes.len()],
        };
        if node >= spec.nodes.count {
            return Err(SpecError::new("nodes", format!("has {node}"), "write numbers below nodes.count"));
        }
        let zone = fleet.nodes[node as usize].zone;
        let speeds = &service.spec.speeds;
        let base = speeds.get(replica % speeds.len().max(1)).copied().unwrap_or(1.0);
        let built = Replica::new(index, replica as u16, node as u16, zone, service.spec.cpus, base);
        service.add_seat(fleet.add(built), 1);
    }
    Ok(())
}

/// A call that comes back to where it began would never end.
fn refuse_cycles(services: &[Service]) -> Result<(), SpecError> {
    /// Not seen, on the way, done.
    fn visit(at: usize, services: &[Service], marks: &mut [u8]) -> Result<(), SpecError> {
        marks[at] = 1;
        for edge in &services[at].edges {
            let to = usize::from(edge.service);
            if marks[to] == 1 {
                let problem = format!("calls `{}`, which needs it in turn", services[to].name);
                let remedy = "break the circle: a call graph has no cycles";
                return Err(SpecError::new(format!("service.{}", services[at].name), problem, remedy));
            }
            if marks[to] == 0 {
                visit(to, services, marks)?;
            }
        }
        marks[at] = 2;
        Ok(())
    }
    let mut marks = vec![0; services.len()];
    (0..services.len())
        .try_for_each(|at| if marks[at] == 0 { visit(at, services, &mut marks) } else { Ok(()) })
}

/// What comes by the clock comes at most a thousand times a second.
fn seldom(field: &str, every: Duration) -> Result<(), SpecError> {
    if every >= Duration::from_millis(1) {
        return Ok(());
    }
    Err(SpecError::new(field, format!("is {every:?}"), "write at least \"1ms\""))
}

fn range(field: &str, value: u32, most: u32) -> Result<(), SpecError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(SpecError::new(field, format!("is {value}, not from 1 to {most}"), "write a number in that range"))
}

impl Service {
    /// Adds a seat; the upstreams learn of it by [`Self::reseat`].
    pub(super) fn add_seat(&mut self, replica: u32, weight: u32) {
        let name = format!("{}-{}", self.name, self.seats.len());
        self.seats.push(Seat { replica, name, weight, healthy: true, since: None });
    }

    /// Tells all gateways of changed seats.
    pub(super) fn reseat(&mut self) {
        for upstream in &mut self.upstreams {
            upstream.reseat(&self.spec, &self.policies, &self.seats);
        }
    }
}
