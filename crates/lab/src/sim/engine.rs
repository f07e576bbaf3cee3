//! The loop: takes the next event or timer, moves the clock, and hands over to whom it concerns. It knows the
//! kinds of events and nothing of what they mean.

use super::Sim;
use super::timers::NEVER;

/// Kinds of events, in the upper four bits of a payload; the lower 28 say whom it concerns.
const ARRIVAL: u32 = 0 << 28;
const SESSION: u32 = 1 << 28;
const TURN: u32 = 2 << 28;
pub(super) const REACH: u32 = 3 << 28;
pub(super) const ANSWER: u32 = 4 << 28;
pub(super) const RESEND: u32 = 5 << 28;
const READY: u32 = 6 << 28;
const FAULT: u32 = 7 << 28;
const PROBE: u32 = 8 << 28;
const JUDGE: u32 = 9 << 28;
const NOISE: u32 = 10 << 28;
const ROW: u32 = 11 << 28;
const WHOM: u32 = (1 << 28) - 1;

/// What is to happen beside calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Later {
    /// The next single request arrives.
    Arrival,
    /// The next session begins.
    Session,
    /// It is a visitor's turn.
    Turn(u32),
    /// A started replica is warm.
    Ready(u32),
    /// A fault begins or ends.
    Fault(u32),
    /// The replicas of a service are probed.
    Probe(u32),
    /// Outliers of a service are judged.
    Judge(u32),
    /// Neighbours change the speeds of a service's replicas.
    Noise(u32),
    /// A row of the results ends.
    Row,
}

impl Sim {
    #[inline]
    pub(super) fn later(&mut self, at_ns: u64, what: Later) {
        self.queue.push(
            at_ns,
            match what {
                Later::Arrival => ARRIVAL,
                Later::Session => SESSION,
                Later::Turn(visitor) => TURN | visitor,
                Later::Ready(replica) => READY | replica,
                Later::Fault(fault) => FAULT | fault,
                Later::Probe(service) => PROBE | service,
                Later::Judge(service) => JUDGE | service,
                Later::Noise(service) => NOISE | service,
                Later::Row => ROW,
            },
        );
    }

    /// Handles the next event if it lies before `until_ns`; false when it does not.
    #[inline]
    pub(super) fn step(&mut self, until_ns: u64) -> bool {
        let (timer_ns, event_ns) = (self.timers.first_ns(), self.queue.first_ns());
        // What a replica has done comes before what arrives at the same time.
        if timer_ns <= event_ns {
            if timer_ns >= until_ns || timer_ns == NEVER {
                return false;
            }
            self.now_ns = timer_ns;
            self.events += 1;
            self.timer(self.timers.first());
            return true;
        }
        if event_ns >= until_ns {
            return false;
        }
        let Some((at_ns, what)) = self.queue.pop() else { return false };
        self.now_ns = at_ns;
        self.events += 1;
        self.event(what);
        true
    }

    #[inline]
    fn timer(&mut self, slot: usize) {
        if let Some(replica) = slot.checked_sub(self.fleet.first_slot) {
            self.worked(replica as u32);
        } else if slot < self.services.len() {
            self.deadline(slot as u16);
        } else {
            let (service, gateway) = self.gates[slot - self.services.len()];
            self.gate_timeout(service, gateway);
        }
    }

    #[inline]
    fn event(&mut self, what: u32) {
        let whom = what & WHOM;
        match what & !WHOM {
            REACH => self.reach(whom),
            ANSWER => self.answered(whom),
            ARRIVAL => self.arrival(),
            SESSION => self.session(),
            TURN => self.turn(whom),
            RESEND => self.send(whom),
            READY => self.ready(whom),
            FAULT => self.fault(whom as usize),
            PROBE => self.probe(whom as usize),
            JUDGE => self.judge(whom as usize),
            NOISE => self.noise(whom as usize),
            _ => self.row(),
        }
    }
}
