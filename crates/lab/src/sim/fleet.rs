//! Services, replicas and nodes as they run: what each holds, and how nodes share their cores among replicas.

use super::cache::Cache;
use super::call::{Calls, Line, NONE};
use super::server::Server;
use super::spec::ServiceSpec;
use super::timers::Timers;
use super::upstream::{Policies, Seat, Upstream};
use crate::workload::Sampler;
use headgate_model::dice::Dice;
use std::collections::VecDeque;

/// What a replica can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    Up,
    /// Started, and not warm yet.
    Starting,
    /// Refuses connections.
    Down,
}

#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) server: Server,
    /// Calls that wait for a place.
    pub(super) queue: VecDeque<u32>,
    /// Calls that hold a place.
    pub(super) inside: u32,
    pub(super) service: u16,
    /// Its place among the service's seats.
    pub(super) place: u16,
    pub(super) node: u16,
    pub(super) zone: u16,
    pub(super) state: ReplicaState,
    /// When a starting one is ready; tells a stale event from the one that counts.
    pub(super) ready_ns: u64,
    /// It is to go when it is empty.
    pub(super) leaving: bool,
    pub(super) speed: Speed,
    /// Share of the calls that it fails at once.
    pub(super) fails: f64,
    /// Added to each message to and from it.
    pub(super) delay_ns: u64,
    /// Probes in a row that went the other way than its health.
    pub(super) probes: u16,
    /// Demand that its node knows of.
    demand: f64,
    /// The integral of `inside`, for memory.
    inside_ns: f64,
    inside_at_ns: u64,
}

/// What makes a replica fast or slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) base: f64,
    pub(super) noise: f64,
    /// The product of faults; zero when it is stopped.
    pub(super) faults: f64,
}

impl Speed {
    pub(super) fn product(self) -> f64 {
        self.base * self.noise * self.faults
    }
}

impl Replica {
    pub(super) fn new(service: u16, place: u16, node: u16, zone: u16, cores: f64, base: f64) -> Self {
        Self {
            server: Server::new(cores, base),
            queue: VecDeque::new(),
            inside: 0,
            service,
            place,
            node,
            zone,
            state: ReplicaState::Up,
            ready_ns: 0,
            leaving: false,
            speed: Speed { base, noise: 1.0, faults: 1.0 },
            fails: 0.0,
            delay_ns: 0,
            probes: 0,
            demand: 0.0,
            inside_ns: 0.0,
            inside_at_ns: 0,
        }
    }

    /// A call takes a place.
    #[inline]
    pub(super) fn enter(&mut self, now_ns: u64) {
        self.count_inside(now_ns);
        self.inside += 1;
    }

    /// Calls give up their places.
    #[inline]
    pub(super) fn leave(&mut self, now_ns: u64, count: u32) {
        self.count_inside(now_ns);
        self.inside -= count;
    }

    /// The integral of calls inside over nanoseconds until `now_ns`.
    pub(super) fn inside_ns(&mut self, now_ns: u64) -> f64 {
        self.count_inside(now_ns);
        self.inside_ns
    }

    /// Whether probes succeed.
    pub(super) fn answers_probes(&self) -> bool {
        self.state == ReplicaState::Up && self.speed.faults > 0.0
    }

    #[inline]
    fn count_inside(&mut self, now_ns: u64) {
        self.inside_ns += f64::from(self.inside) * (now_ns - self.inside_at_ns) as f64;
        self.inside_at_ns = now_ns;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) vcpus: f64,
    pub(super) zone: u16,
    /// Its replicas could ask for more than it has.
    tight: bool,
    demand: f64,
    granted: f64,
    replicas: Vec<u32>,
}

/// One stage of a call, compiled.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Work(Sampler),
    /// Edges from `first`, `count` of them.
    Calls {
        first: u16,
        count: u16,
    },
}

/// A call to another service, compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) service: u16,
    pub(super) share: f64,
    pub(super) optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) spec: ServiceSpec,
    pub(super) stages: Vec<Stage>,
    pub(super) edges: Vec<Edge>,
    pub(super) cold_start: Sampler,
    pub(super) timeout_ns: u64,
    pub(super) work_per_kib_ns: u64,
    pub(super) policies: Policies,
    pub(super) seats: Vec<Seat>,
    /// By gateway.
    pub(super) upstreams: Vec<Upstream>,
    pub(super) cache: Option<Cache>,
    /// Attempts that wait for an answer, in the order of their deadlines.
    pub(super) deadlines: Line,
    /// Slot of the first gateway's bulkhead among the timers.
    pub(super) gate_slot: usize,
    pub(super) work_dice: Dice,
    pub(super) route_dice: Dice,
    pub(super) choice_dice: Dice,
    pub(super) noise_dice: Dice,
    /// Places in the noise series, by seat.
    pub(super) noise_at: Vec<usize>,
}

impl Service {
    /// The deadline of the oldest attempt that waits for an answer.
    pub(super) fn first_deadline_ns(&self, calls: &Calls) -> Option<u64> {
        let first = Some(self.deadlines.first).filter(|first| *first != NONE)?;
        Some(calls[first].sent_ns + self.timeout_ns)
    }

    /// The place of a random replica among those that take calls, healthy or not.
    pub(super) fn any_seat(&mut self) -> Option<usize> {
        let there = self.seats.iter().filter(|seat| seat.weight > 0).count() as u64;
        let chosen = self.choice_dice.below(there) as usize;
        let mut places = (0..self.seats.len()).filter(|&place| self.seats[place].weight > 0);
        places.nth(chosen)
    }
}

/// Replicas and the nodes that they run on. The timers of replicas begin at slot `first_slot`.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) replicas: Vec<Replica>,
    pub(super) nodes: Vec<Node>,
    pub(super) first_slot: usize,
}

impl Fleet {
    pub(super) fn new(nodes: impl Iterator<Item = (f64, u16)>) -> Self {
        let node = |(vcpus, zone)| Node {
            vcpus,
            zone,
            tight: false,
            demand: 0.0,
            granted: 1.0,
            replicas: Vec::new(),
        };
        Self { replicas: Vec::new(), nodes: nodes.map(node).collect(), first_slot: 0 }
    }

    /// Adds a replica to its node; its index.
    pub(super) fn add(&mut self, replica: Replica) -> u32 {
        let index = self.replicas.len() as u32;
        self.nodes[usize::from(replica.node)].replicas.push(index);
        self.replicas.push(replica);
        self.judge_tightness(index);
        index
    }

    /// Begins to share the replica's node when its replicas could ask for more cores than it has.
    fn judge_tightness(&mut self, index: u32) {
        let replicas = &mut self.replicas;
        let node = &mut self.nodes[usize::from(replicas[index as usize].node)];
        let asked: f64 = node.replicas.iter().map(|&other| replicas[other as usize].server.cores()).sum();
        if asked <= node.vcpus || node.tight {
            return;
        }
        node.tight = true;
        node.demand = 0.0;
        for &other in &node.replicas {
            let replica = &mut replicas[other as usize];
            replica.demand = replica.server.demand();
            node.demand += replica.demand;
        }
    }

    /// Moves a replica that is down to another node.
    pub(super) fn move_to(&mut self, index: u32, node: u16, timers: &mut Timers, now_ns: u64) {
        self.changed(index, timers, now_ns);
        let before = usize::from(self.replicas[index as usize].node);
        self.nodes[before].replicas.retain(|&other| other != index);
        self.nodes[usize::from(node)].replicas.push(index);
        let replica = &mut self.replicas[index as usize];
        (replica.node, replica.zone) = (node, self.nodes[usize::from(node)].zone);
        replica.server.grant(now_ns, self.nodes[usize::from(node)].granted);
        self.judge_tightness(index);
    }

    /// To be called after each change of a replica's server: sets its timer, and shares the node anew.
    #[inline]
    pub(super) fn changed(&mut self, index: u32, timers: &mut Timers, now_ns: u64) {
        let replica = &mut self.replicas[index as usize];
        let node = &mut self.nodes[usize::from(replica.node)];
        if node.tight {
            let demand = replica.server.demand();
            node.demand += demand - replica.demand;
            replica.demand = demand;
            let granted = if node.demand > node.vcpus { node.vcpus / node.demand } else { 1.0 };
            if granted != node.granted {
                node.granted = granted;
                for &other in &node.replicas {
                    let server = &mut self.replicas[other as usize].server;
                    server.grant(now_ns, granted);
                    timers.set(self.first_slot + other as usize, server.next_ns());
                }
                return;
            }
        }
        timers.set(self.first_slot + index as usize, self.replicas[index as usize].server.next_ns());
    }
}
