//! Faults of the simulated system: drawn once from the seed, begun and ended by the clock. It changes speeds,
//! delays and links; what follows from that is nobody's special case.

use super::Sim;
use super::engine::Later;
use super::journal::Change;
use super::spec::{FaultKindSpec, FaultSpec};
use crate::workload::{SpecError, Streams};

/// Faults that a description may have.
const FAULTS_MAX: usize = 10_000;

/// A fault with those it strikes.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    what: Effect,
    replicas: Vec<u32>,
    begins_ns: u64,
    ends_ns: Option<u64>,
    active: bool,
}

#[derive(Clone, Copy, Debug)]
enum Effect {
    Kill,
    /// At this share of the speed; zero: stopped.
    Slow(f64),
    Fail(f64),
    Delay(u64),
    Partition([usize; 2]),
    /// Somebody else sees to it.
    Elsewhere,
}

impl Fault {
    pub(super) fn begins_ns(&self) -> u64 {
        self.begins_ns
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Whom it strikes; nobody where it is about the network.
    pub(super) fn replicas(&self) -> &[u32] {
        &self.replicas
    }
}

/// A fault as the seed has drawn it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    pub begins_ns: u64,
    /// None: it lasts to the end of the run.
    pub ends_ns: Option<u64>,
    /// Whom it strikes, by number over all services in their order; nobody where it is about the network.
    pub replicas: Vec<u32>,
    /// How long a request that it hits may hang before it fails: the longest timeout of who is struck; zero where it
    /// fails at once.
    pub patience_ns: u64,
}

impl Sim {
    /// All faults, in the order of the description.
    #[must_use]
    pub fn planned_faults(&self) -> Vec<PlannedFault> {
        let planned = |fault: &Fault| PlannedFault {
            begins_ns: fault.begins_ns,
            ends_ns: fault.ends_ns,
            replicas: fault.replicas.clone(),
            patience_ns: self.patience_ns(fault),
        };
        self.faults.iter().map(planned).collect()
    }

    /// See [`PlannedFault::patience_ns`].
    pub(super) fn patience_ns(&self, fault: &Fault) -> u64 {
        if matches!(fault.what, Effect::Kill | Effect::Fail(_)) {
            return 0;
        }
        let service = |replica: &u32| usize::from(self.fleet.replicas[*replica as usize].service);
        let timeouts = fault.replicas.iter().map(|replica| self.services[service(replica)].spec.timeout.0);
        timeouts.max().map_or(0, |longest| longest.as_nanos() as u64)
    }

    /// Draws times and victims, and schedules all faults.
    pub(super) fn plan_faults(&mut self, faults: &[FaultSpec], streams: &Streams) -> Result<(), SpecError> {
        crate::workload::at_most("fault", faults.len(), FAULTS_MAX)?;
        for (index, spec) in faults.iter().enumerate() {
            let fault = self.fault_of(spec, &streams.within("fault", index as u64));
            let fault = fault.map_err(|error| error.within(&format!("fault[{index}]")))?;
            self.later(fault.begins_ns, Later::Fault(index as u32));
            self.faults.push(fault);
        }
        Ok(())
    }

    fn fault_of(&self, spec: &FaultSpec, streams: &Streams) -> Result<Fault, SpecError> {
        const SHARE: &str = "write a share from 0 to 1";
        let share = |name: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(value),
            false => Err(SpecError::new(format!("what.{name}"), format!("is {value}"), SHARE)),
        };
        let what = match &spec.what {
            FaultKindSpec::Kill => Effect::Kill,
            FaultKindSpec::Stop => Effect::Slow(0.0),
            FaultKindSpec::Slow(factor) => Effect::Slow(share("slow", *factor)?),
            FaultKindSpec::Fail(part) => Effect::Fail(share("fail", *part)?),
            FaultKindSpec::Delay(delay) => Effect::Delay(delay.0.as_nanos() as u64),
            FaultKindSpec::Partition(zones) => {
                Effect::Partition(self.network.pair(zones).map_err(|error| error.within("what.partition"))?)
            }
            FaultKindSpec::Chaos(_) => Effect::Elsewhere,
        };
        let jitter_ns = streams.dice("jitter", 0).below(spec.jitter.0.as_nanos() as u64);
        let begins_ns = (spec.at.0.as_nanos() as u64).saturating_add(jitter_ns);
        let lasts_ns = spec.lasts.map(|lasts| lasts.0.as_nanos() as u64);
        let replicas = match what {
            Effect::Partition(_) => Vec::new(),
            _ => self.victims(spec, streams)?,
        };
        Ok(Fault {
            what,
            replicas,
            begins_ns,
            ends_ns: lasts_ns.map(|lasts| begins_ns.saturating_add(lasts)),
            active: false,
        })
    }

    /// Those that are there from the start; a replica that comes later is not struck.
    fn victims(&self, spec: &FaultSpec, streams: &Streams) -> Result<Vec<u32>, SpecError> {
        const ONE: &str = "name exactly one of `service`, `node` and `zone`";
        let all = self.fleet.replicas.iter().enumerate();
        let chosen = |of: &dyn Fn(&super::fleet::Replica) -> bool| {
            all.filter(|(_, replica)| of(replica)).map(|(index, _)| index as u32).collect::<Vec<u32>>()
        };
        let mut victims = match (&spec.service, spec.node, &spec.zone) {
            (Some(name), None, None) => {
                let Some(service) = self.service(name) else {
                    return Err(SpecError::new(
                        "service",
                        format!("`{name}` is not a service"),
                        "name one that is",
                    ));
                };
                chosen(&|replica| usize::from(replica.service) == service)
            }
            (None, Some(node), None) if (node as usize) < self.fleet.nodes.len() => {
                chosen(&|replica| u32::from(replica.node) == node)
            }
            (None, Some(node), None) => {
                return Err(SpecError::new("node", format!("is {node}"), "write a number below nodes.count"));
            }
            (None, None, Some(zone)) => {
                let zone = self.network.zone(zone).map_err(|error| error.within("zone"))?;
                chosen(&|replica| usize::from(replica.zone) == zone)
            }
            _ => return Err(SpecError::new("", "strikes nobody, or too many", ONE)),
        };
        if let Some(count) = spec.replicas {
            let mut dice = streams.dice("victims", 0);
            while victims.len() > count as usize {
                victims.swap_remove(dice.below(victims.len() as u64) as usize);
            }
            victims.sort_unstable();
        }
        Ok(victims)
    }

    /// A fault begins, or ends when it had begun.
    pub(super) fn fault(&mut self, index: usize) {
        let fault = &mut self.faults[index];
        let begins = !fault.active;
        fault.active = begins;
        let (what, replicas, ends_ns) = (fault.what, fault.replicas.clone(), fault.ends_ns);
        if let Some(ends_ns) = ends_ns.filter(|_| begins) {
            self.later(ends_ns, Later::Fault(index as u32));
        }
        let change = if begins { Change::FaultBegan } else { Change::FaultEnded };
        self.journal.note(self.now_ns, None, None, change(index as u32));
        match what {
            Effect::Partition(pair) => self.network.cut(pair, begins),
            Effect::Kill if begins => replicas.iter().for_each(|&replica| self.kill(replica)),
            Effect::Kill => replicas.iter().for_each(|&replica| self.restart(replica)),
            _ => replicas.iter().for_each(|&replica| self.apply_faults(replica)),
        }
    }

    /// Computes anew what all active faults together make of a replica.
    fn apply_faults(&mut self, index: u32) {
        let (mut slow, mut fails, mut delay_ns) = (1.0, 0.0f64, 0u64);
        for fault in self.faults.iter().filter(|fault| fault.active && fault.replicas.contains(&index)) {
            match fault.what {
                Effect::Slow(factor) => slow *= factor,
                Effect::Fail(share) => fails = fails.max(share),
                Effect::Delay(more_ns) => delay_ns = delay_ns.saturating_add(more_ns),
                Effect::Kill | Effect::Partition(_) | Effect::Elsewhere => {}
            }
        }
        let replica = &mut self.fleet.replicas[index as usize];
        (replica.speed.faults, replica.fails, replica.delay_ns) = (slow, fails, delay_ns);
        let speed = replica.speed.product();
        replica.server.set_speed(self.now_ns, speed);
        self.fleet.changed(index, &mut self.timers, self.now_ns);
    }
}
