//! What becomes of a fault, seen from outside: when the policies take the struck replicas out of use, when
//! requests are answered well again, when as many replicas serve as before. It looks and changes nothing.

use super::Sim;
use super::fleet::ReplicaState;
use headgate_model::units::Tick;

/// How often it looks.
const LOOK_EVERY_NS: u64 = 10_000_000;
/// Answers are judged by windows of this length.
const WINDOW_NS: u64 = 100_000_000;
/// A window with a larger share of failures is bad.
const BAD_SHARE: f64 = 0.01;
/// Requests are answered well again when no window within this time is bad.
const CALM_NS: u64 = 1_000_000_000;

/// What became of the first fault that strikes replicas. Times are nanoseconds from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    pub begins_ns: u64,
    /// No gateway would send a call to a struck replica, or the last of them was replaced before that.
    pub detected_ns: Option<u64>,
    /// The end of the last bad window before a calm second.
    pub answered_ns: Option<u64>,
    /// As many replicas are up and in use as there were.
    pub restored_ns: Option<u64>,
}

impl Sim {
    /// Runs until the system has recovered from the first fault that strikes replicas, or to the end of the
    /// workload. `None` when there is no such fault; then nothing has been run.
    pub fn run_through_fault(&mut self) -> Option<Recovery> {
        let fault = self.faults.iter().filter(|fault| !fault.replicas().is_empty());
        let first = fault.min_by_key(|fault| fault.begins_ns())?;
        let (begins_ns, struck) = (first.begins_ns(), first.replicas().to_vec());
        let patience_ns = self.patience_ns(first);
        let mut recovery = Recovery { begins_ns, detected_ns: None, answered_ns: None, restored_ns: None };
        self.run_until(begins_ns);
        let serving = self.serving();
        let mut last_bad_ns = begins_ns;
        let (mut window_ns, mut before) = (begins_ns, self.meter.answered());
        let mut look_ns = begins_ns;
        loop {
            look_ns += LOOK_EVERY_NS;
            let is_over = !self.run_until(look_ns);
            if recovery.detected_ns.is_none() && self.is_spared_or_well(&struck) {
                recovery.detected_ns = Some(look_ns);
            }
            if look_ns - window_ns >= WINDOW_NS || is_over {
                let (ok, failed) = self.meter.answered();
                let (ok, failed) = (ok - before.0, failed - before.1);
                if failed as f64 > BAD_SHARE * (ok + failed) as f64 {
                    last_bad_ns = look_ns;
                }
                (window_ns, before) = (look_ns, (before.0 + ok, before.1 + failed));
            }
            // What hung when the fault was detected may fail until its time is over, and no later than the end.
            let is_settled = |detected_ns: u64| is_over || look_ns - detected_ns >= patience_ns;
            if recovery.detected_ns.is_some_and(is_settled) && look_ns - last_bad_ns >= CALM_NS {
                recovery.answered_ns.get_or_insert(last_bad_ns);
            }
            if recovery.detected_ns.is_some() && self.serving() >= serving {
                recovery.restored_ns.get_or_insert(look_ns);
            }
            if is_over || recovery.answered_ns.is_some() && recovery.restored_ns.is_some() {
                return Some(recovery);
            }
        }
    }

    /// No struck replica is in use, or the fault was over before anybody noticed.
    fn is_spared_or_well(&self, struck: &[u32]) -> bool {
        let is_up = |replica: u32| self.fleet.replicas[replica as usize].state == ReplicaState::Up;
        !struck.iter().any(|&replica| self.is_in_use(replica))
            || self.faults.iter().all(|fault| !fault.is_active())
                && struck.iter().all(|&replica| is_up(replica))
    }

    /// Replicas that are up and that every gateway would send calls to.
    fn serving(&self) -> usize {
        let replicas = 0..self.fleet.replicas.len() as u32;
        let up = |replica: &u32| self.fleet.replicas[*replica as usize].state == ReplicaState::Up;
        replicas.filter(|replica| up(replica) && self.is_in_use(*replica)).count()
    }

    /// Whether any gateway would send a call to the replica.
    fn is_in_use(&self, replica: u32) -> bool {
        let known = &self.fleet.replicas[replica as usize];
        let (service, place) = (&self.services[usize::from(known.service)], usize::from(known.place));
        let now = Tick(self.now_ns);
        service.upstreams.iter().any(|upstream| upstream.uses(&service.seats, place, now))
    }
}
