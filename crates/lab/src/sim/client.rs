//! Whoever asks from outside: single requests, sessions and users of the workload.

use super::Sim;
use super::call::{Ask, NONE};
use super::engine::Later;
use crate::workload::{Load, Request, Singles, Visitor, Workload};
use headgate_model::dice::Dice;

/// From an answer that took no time to the next request: whoever does not think would ask without end at one instant.
const TURN_LEAST_NS: u64 = 100_000;
/// Sessions at once in the open model; beyond it a session is dropped, and counted as such.
const SESSIONS_MAX: usize = 1 << 22;

/// The callers with what they do next.
pub(super) struct Clients {
    workload: Workload,
    singles: Singles,
    /// The next single request, already drawn.
    next: Option<(u64, Request)>,
    starts: Box<dyn Iterator<Item = u64> + Send>,
    sessions: u64,
    /// Users by number, or sessions by slot.
    visitors: Vec<Visitor>,
    free: Vec<u32>,
    /// Index of the service for each step.
    entries: Vec<u16>,
    /// Draws the gateway of a request.
    dice: Dice,
    /// Requests that are not answered yet, and visitors who will ask again.
    pub(super) open: u64,
    pub(super) sessions_dropped: u64,
}

impl Clients {
    pub(super) fn new(workload: Workload, entries: Vec<u16>, dice: Dice) -> Self {
        let visitors = match workload.load() {
            Load::Closed(closed) => (0..closed.users()).map(|user| workload.user(user)).collect(),
            Load::Open(_) => Vec::new(),
        };
        Self {
            singles: workload.singles(),
            next: None,
            starts: Box::new(workload.session_starts()),
            sessions: 0,
            visitors,
            free: Vec::new(),
            entries,
            dice,
            open: 0,
            sessions_dropped: 0,
            workload,
        }
    }

    pub(super) fn workload(&self) -> &Workload {
        &self.workload
    }
}

impl Sim {
    /// Schedules whoever comes first.
    pub(super) fn open_doors(&mut self) {
        self.next_single();
        self.next_session();
        let turns: Vec<Option<u64>> = match self.clients.workload.load() {
            Load::Closed(closed) => (0..closed.users()).map(|user| closed.next_turn(user, 0)).collect(),
            Load::Open(_) => Vec::new(),
        };
        for (user, turn) in turns.into_iter().enumerate() {
            if let Some(at_ns) = turn {
                self.clients.open += 1;
                self.later(at_ns, Later::Turn(user as u32));
            }
        }
    }

    fn next_single(&mut self) {
        self.clients.next = self.clients.singles.next();
        if let Some((at_ns, _)) = self.clients.next {
            self.clients.open += 1;
            self.later(at_ns, Later::Arrival);
        }
    }

    fn next_session(&mut self) {
        if let Some(at_ns) = self.clients.starts.next() {
            self.clients.open += 1;
            self.later(at_ns, Later::Session);
        }
    }

    #[inline]
    pub(super) fn arrival(&mut self) {
        if let Some((at_ns, request)) = self.clients.next {
            self.next_single();
            self.request(NONE, at_ns, &request);
        }
    }

    pub(super) fn session(&mut self) {
        self.next_session();
        let visitor = self.clients.workload.session(self.clients.sessions);
        self.clients.sessions += 1;
        let slot = match self.clients.free.pop() {
            Some(slot) => {
                self.clients.visitors[slot as usize] = visitor;
                slot
            }
            None if self.clients.visitors.len() >= SESSIONS_MAX => {
                self.clients.sessions_dropped += 1;
                self.clients.open -= 1;
                return;
            }
            None => {
                self.clients.visitors.push(visitor);
                self.clients.visitors.len() as u32 - 1
            }
        };
        self.turn(slot);
    }

    pub(super) fn turn(&mut self, visitor: u32) {
        let request = self.clients.visitors[visitor as usize].request(self.now_ns);
        self.request(visitor, self.now_ns, &request);
    }

    #[inline]
    fn request(&mut self, visitor: u32, planned_ns: u64, request: &Request) {
        let measured = self.clients.workload.phases().measured_at(planned_ns);
        self.meter.offer(measured);
        let dice = &mut self.clients.dice;
        let gateway = if self.gateways > 1 { dice.below(u64::from(self.gateways)) as u16 } else { 0 };
        let bypass = self.bypass > 0.0 && dice.unit() < self.bypass;
        self.ask(Ask {
            parent: visitor,
            parent_epoch: 0,
            key: request.key,
            began_ns: planned_ns,
            zone: self.gateway_zone,
            service: self.clients.entries[usize::from(request.step)],
            gateway,
            response_kib: (request.response_bytes >> 10).min(u64::from(u32::MAX)) as u32,
            root: true,
            write: request.write,
            measured,
            optional: false,
            bypass,
        });
    }

    /// A request from outside is over.
    #[inline]
    pub(super) fn client_answered(&mut self, visitor: u32, latency_ns: u64) {
        self.clients.open -= 1;
        if visitor == NONE {
            return;
        }
        let next = self.clients.visitors[visitor as usize].answered();
        let rest_ns = if latency_ns == 0 { next.think_ns.max(TURN_LEAST_NS) } else { next.think_ns };
        let workload = &self.clients.workload;
        match workload.next_turn(visitor, next, self.now_ns.saturating_add(rest_ns)) {
            Some(at_ns) => {
                self.clients.open += 1;
                self.later(at_ns, Later::Turn(visitor));
            }
            // A user who has gone does not come back, and has no slot that another could take.
            None if matches!(workload.load(), Load::Closed(_)) => {}
            None => self.clients.free.push(visitor),
        }
    }
}
