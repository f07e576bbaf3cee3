//! What happens beside the calls: replicas come, go, die and return; probes, ejections and noisy neighbours;
//! rows of results. A loop outside of the simulator uses the public part of it to scale and to heal.

use super::Sim;
use super::call::{End, Place};
use super::engine::Later;
use super::fleet::{Replica, ReplicaState};
use super::journal::Change;
use super::meter::Usage;
use headgate_model::units::Tick;

/// How often outliers are judged; as in the gateway.
const JUDGE_EVERY_NS: u64 = 1_000_000_000;

/// A service as a control loop sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceView {
    pub up: u32,
    pub starting: u32,
    pub down: u32,
    /// Calls that hold places in replicas, and those that wait for one.
    pub inside: u32,
    pub queued: u32,
    /// Nanoseconds of cores used since the start.
    pub used_core_ns: f64,
}

impl Sim {
    /// Index of a service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<usize> {
        self.services.iter().position(|service| service.name == name)
    }

    /// The service now.
    pub fn view(&mut self, service: usize) -> ServiceView {
        let mut view = ServiceView::default();
        let now_ns = self.now_ns;
        for replica in
            self.fleet.replicas.iter_mut().filter(|replica| usize::from(replica.service) == service)
        {
            match replica.state {
                ReplicaState::Up => view.up += u32::from(!replica.leaving),
                ReplicaState::Starting => view.starting += 1,
                ReplicaState::Down => view.down += u32::from(!replica.leaving),
            }
            view.inside += replica.inside;
            view.queued += replica.queue.len() as u32;
            view.used_core_ns += replica.server.used_core_ns(now_ns);
        }
        view
    }

    /// The replicas of a service, by index over all services, with their states.
    pub fn replicas(&self, service: usize) -> impl Iterator<Item = (u32, ReplicaState)> {
        let seats = self.services.get(service).map_or(&[][..], |service| &service.seats);
        seats.iter().map(|seat| (seat.replica, self.fleet.replicas[seat.replica as usize].state))
    }

    /// Starts one more replica, cold, on the node with the fewest replicas of this service and then the most
    /// free cores. It takes calls when it is warm.
    pub fn start_replica(&mut self, service: usize) {
        let Some(node) = self.freest_node(service).filter(|_| service < self.services.len()) else { return };
        let gone = |replica: &Replica| {
            usize::from(replica.service) == service && replica.leaving && replica.state == ReplicaState::Down
        };
        let index = match self.fleet.replicas.iter().position(gone) {
            Some(index) => {
                self.fleet.move_to(index as u32, node, &mut self.timers, self.now_ns);
                let replica = &mut self.fleet.replicas[index];
                replica.leaving = false;
                let place = usize::from(replica.place);
                let service = &mut self.services[service];
                service.upstreams.iter_mut().for_each(|upstream| upstream.forget(&service.spec, place));
                index as u32
            }
            None => self.add_replica(service, node),
        };
        self.restart(index);
    }

    /// Sends a replica no new calls, and lets it go when it has answered all it has: the youngest that is there.
    pub fn stop_replica(&mut self, service: usize) {
        let Some(spec) = self.services.get(service) else { return };
        let there = |&place: &usize| {
            let replica = &self.fleet.replicas[spec.seats[place].replica as usize];
            !replica.leaving
        };
        let Some(place) = (0..spec.seats.len()).rev().find(there) else { return };
        let index = spec.seats[place].replica;
        self.fleet.replicas[index as usize].leaving = true;
        if self.fleet.replicas[index as usize].state == ReplicaState::Starting {
            self.fleet.replicas[index as usize].state = ReplicaState::Down;
        }
        self.set_weight(service, place, 0);
        self.note(index, Change::Leaving);
        self.leave_if_empty(index);
    }

    /// Starts a replica again that is down or runs; what it worked on is lost. One that is to leave stays away.
    pub fn restart(&mut self, index: u32) {
        if self.fleet.replicas.get(index as usize).is_none_or(|replica| replica.leaving) {
            return;
        }
        self.kill(index);
        let replica = &mut self.fleet.replicas[index as usize];
        let service = &mut self.services[usize::from(replica.service)];
        let wait_ns = service.cold_start.sample(&mut service.noise_dice);
        replica.state = ReplicaState::Starting;
        replica.ready_ns = self.now_ns.saturating_add(wait_ns);
        let ready_ns = replica.ready_ns;
        self.later(ready_ns, Later::Ready(index));
        self.note(index, Change::Started);
    }

    /// Ends a replica's process: connections are reset, new ones refused.
    pub fn kill(&mut self, index: u32) {
        let now_ns = self.now_ns;
        let Some(replica) = self.fleet.replicas.get_mut(index as usize) else { return };
        let was_there = replica.state != ReplicaState::Down;
        replica.state = ReplicaState::Down;
        let inside = replica.inside;
        replica.leave(now_ns, inside);
        replica.queue.clear();
        replica.server.clear(now_ns);
        self.fleet.changed(index, &mut self.timers, now_ns);
        let within = [Place::Queued, Place::Running, Place::Calling];
        let lost =
            self.calls.iter().filter(|(_, call)| call.replica == index && within.contains(&call.place));
        let lost: Vec<u32> = lost.map(|(call, _)| call).collect();
        for call in lost {
            // Answers of its children find nobody.
            let record = &mut self.calls[call];
            record.epoch = record.epoch.wrapping_add(1);
            self.respond_from_outside(call, End::Reset);
        }
        if was_there {
            self.note(index, Change::Killed);
        }
    }

    pub(super) fn ready(&mut self, index: u32) {
        let replica = &mut self.fleet.replicas[index as usize];
        if replica.state != ReplicaState::Starting || replica.ready_ns != self.now_ns {
            return;
        }
        replica.state = ReplicaState::Up;
        replica.probes = 0;
        self.note(index, Change::Ready);
        let replica = &self.fleet.replicas[index as usize];
        let (service, place) = (usize::from(replica.service), usize::from(replica.place));
        self.services[service].seats[place].since = Some(Tick(self.now_ns));
        if self.services[service].seats[place].weight == 0 {
            self.services[service].seats[place].healthy = true;
            self.set_weight(service, place, 1);
        }
    }

    pub(super) fn leave_if_empty(&mut self, index: u32) {
        let replica = &mut self.fleet.replicas[index as usize];
        if replica.leaving && replica.inside == 0 && replica.queue.is_empty() {
            replica.state = ReplicaState::Down;
        }
    }

    /// Adds a seat whose replica is down; its index over all services.
    fn add_replica(&mut self, service: usize, node: u16) -> u32 {
        let zone = self.fleet.nodes[usize::from(node)].zone;
        let spec = &self.services[service].spec;
        let place = self.services[service].seats.len();
        let base = spec.speeds.get(place % spec.speeds.len().max(1)).copied().unwrap_or(1.0);
        let replica = Replica::new(service as u16, place as u16, node, zone, spec.cpus, base);
        let index = self.fleet.add(replica);
        self.timers.grow(self.fleet.first_slot + self.fleet.replicas.len());
        let service = &mut self.services[service];
        service.add_seat(index, 0);
        service.reseat();
        index
    }

    /// Notes a change of a replica.
    fn note(&mut self, index: u32, change: Change) {
        let service = self.fleet.replicas[index as usize].service;
        self.journal.note(self.now_ns, Some(service), Some(index), change);
    }

    fn set_weight(&mut self, service: usize, place: usize, weight: u32) {
        let service = &mut self.services[service];
        service.seats[place].weight = weight;
        service.reseat();
    }

    fn freest_node(&self, service: usize) -> Option<u16> {
        let here = |node: usize, all: bool| {
            let on_node = self.fleet.replicas.iter().filter(move |replica| {
                usize::from(replica.node) == node && replica.state != ReplicaState::Down
            });
            on_node.filter(move |replica| all || usize::from(replica.service) == service).count()
        };
        (0..self.fleet.nodes.len())
            .min_by_key(|&node| (here(node, false), here(node, true)))
            .map(|node| node as u16)
    }

    pub(super) fn probe(&mut self, index: usize) {
        let service = &mut self.services[index];
        let Some(health) = &service.spec.health else { return };
        for seat in &mut service.seats {
            let replica = &mut self.fleet.replicas[seat.replica as usize];
            if replica.answers_probes() == seat.healthy {
                replica.probes = 0;
                continue;
            }
            replica.probes += 1;
            let enough = if seat.healthy { health.unhealthy_after } else { health.healthy_after };
            if replica.probes >= enough {
                seat.healthy = !seat.healthy;
                replica.probes = 0;
                let change = if seat.healthy { Change::Healthy } else { Change::Unhealthy };
                self.journal.note(self.now_ns, Some(index as u16), Some(seat.replica), change);
                if seat.healthy {
                    seat.since = Some(Tick(self.now_ns));
                }
            }
        }
        let every_ns = health.interval.0.as_nanos() as u64;
        self.again(every_ns, Later::Probe(index as u32));
    }

    pub(super) fn judge(&mut self, index: usize) {
        let service = &mut self.services[index];
        for upstream in &mut service.upstreams {
            for (place, change) in upstream.judge(Tick(self.now_ns)) {
                let replica = service.seats[place].replica;
                self.journal.note(self.now_ns, Some(index as u16), Some(replica), change);
            }
        }
        self.again(JUDGE_EVERY_NS, Later::Judge(index as u32));
    }

    pub(super) fn noise(&mut self, index: usize) {
        let service = &mut self.services[index];
        let Some(noise) = &service.spec.noise else { return };
        let count = noise.speeds.len();
        for place in 0..service.seats.len() {
            if service.noise_at.len() <= place {
                let start = service.noise_dice.below(count as u64) as usize;
                service.noise_at.push(start);
            }
            let at = &mut service.noise_at[place];
            *at = if noise.shuffled {
                service.noise_dice.below(count as u64) as usize
            } else {
                (*at + 1) % count
            };
            let replica = service.seats[place].replica;
            self.fleet.replicas[replica as usize].speed.noise = noise.speeds[*at];
            let speed = self.fleet.replicas[replica as usize].speed.product();
            self.fleet.replicas[replica as usize].server.set_speed(self.now_ns, speed);
            self.fleet.changed(replica, &mut self.timers, self.now_ns);
        }
        let every_ns = noise.every.0.as_nanos() as u64;
        self.again(every_ns, Later::Noise(index as u32));
    }

    pub(super) fn row(&mut self) {
        self.close_row();
        // What is answered after the end is one last row, however long it takes.
        if let Some(end_ns) = self.row_end_ns() {
            self.again(end_ns - self.now_ns, Later::Row);
        }
    }

    /// A row that begins now ends at the next mark of the interval, or before it with its phase: what is measured and
    /// what is not are never in one row. `None` after the last phase.
    pub(super) fn row_end_ns(&self) -> Option<u64> {
        let phases = self.clients.workload().phases();
        let (_, phase_end_ns) = phases.span_ns(phases.index_at(self.now_ns)?);
        let mark_ns = (self.now_ns / self.interval_ns + 1) * self.interval_ns;
        Some(mark_ns.min(phase_end_ns))
    }

    /// Periodic work goes on while there is somebody to ask.
    fn again(&mut self, every_ns: u64, what: Later) {
        if self.clients.open > 0 {
            self.later(self.now_ns + every_ns, what);
        }
    }

    pub(super) fn close_row(&mut self) {
        let now_ns = self.now_ns;
        let mut usage = vec![Usage::default(); self.services.len()];
        for replica in &mut self.fleet.replicas {
            let spec = &self.services[usize::from(replica.service)].spec;
            let usage = &mut usage[usize::from(replica.service)];
            usage.used_core_ns += replica.server.used_core_ns(now_ns);
            usage.byte_ns += replica.inside_ns(now_ns) * spec.memory_per_call.0 as f64;
            if replica.state == ReplicaState::Up {
                usage.replicas_up += 1;
                usage.cores += spec.cpus;
            }
            if replica.state != ReplicaState::Down {
                usage.idle_bytes += spec.memory.0 as f64;
            }
        }
        let measured = self.clients.workload().phases().measured_at(self.meter.row_start_ns());
        let cores = self.fleet.nodes.iter().map(|node| node.vcpus).sum();
        let bytes = self.node_bytes * self.fleet.nodes.len() as f64;
        self.meter.close_row(now_ns, measured, &usage, cores, bytes);
    }
}
