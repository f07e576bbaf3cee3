//! Who is to ask next, and when: single arrivals, users or sessions of the workload, in the order of their
//! planned times. What is due and cannot be sent yet simply stays here, so a backlog takes no memory.

use crate::workload::{Load, Request, Visitor, Workload};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Sessions under way at once; further ones begin late.
const SESSIONS_MAX: usize = 1_000_000;

/// One planned request on its way through the generator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) planned_ns: u64,
    /// When it was handed to the kernel; until then zero.
    pub(super) sent_ns: u64,
    pub(super) request: Request,
    /// Index of the visitor who asks; of no meaning for single arrivals.
    visitor: u32,
}

/// The share of one generator thread: every `threads`-th arrival, user or session.
pub(super) struct Agenda {
    workload: Workload,
    arrivals: Arrivals,
    /// With the numbers of users.
    visitors: Vec<Option<(u32, Visitor)>>,
    vacant: Vec<u32>,
    /// Times at which visitors ask next.
    due: BinaryHeap<Reverse<(u64, u32)>>,
}

enum Arrivals {
    /// Users are all there from the start.
    None,
    Singles {
        all: Box<dyn Iterator<Item = (u64, Request)>>,
        next: Option<(u64, Request)>,
    },
    Sessions {
        all: Box<dyn Iterator<Item = (u64, u64)>>,
        next: Option<(u64, u64)>,
    },
}

impl Agenda {
    pub(super) fn new(workload: &Workload, thread: usize, threads: usize) -> Self {
        let mut agenda = Self {
            workload: workload.clone(),
            arrivals: Arrivals::None,
            visitors: Vec::new(),
            vacant: Vec::new(),
            due: BinaryHeap::new(),
        };
        match workload.load() {
            Load::Closed(closed) => {
                for user in (thread as u32..closed.users()).step_by(threads) {
                    if let Some(at_ns) = closed.next_turn(user, 0) {
                        agenda.enter(user, workload.user(user), at_ns);
                    }
                }
            }
            Load::Open(open) if open.arriving == crate::workload::Arriving::Sessions => {
                let numbered = workload.session_starts().zip(0..);
                let mut all = Box::new(numbered.skip(thread).step_by(threads));
                agenda.arrivals = Arrivals::Sessions { next: all.next(), all };
            }
            Load::Open(_) => {
                let mut all = Box::new(workload.singles().skip(thread).step_by(threads));
                agenda.arrivals = Arrivals::Singles { next: all.next(), all };
            }
        }
        agenda
    }

    /// When the next request is planned. `None` when all that is left, if anything, waits for answers.
    #[inline]
    pub(super) fn due_ns(&self) -> Option<u64> {
        let visitor = self.due.peek().map(|Reverse((at_ns, _))| *at_ns);
        let arrival = match &self.arrivals {
            Arrivals::Singles { next, .. } => next.as_ref().map(|(at_ns, _)| *at_ns),
            Arrivals::Sessions { next, .. } if self.has_room() => next.map(|(at_ns, _)| at_ns),
            _ => None,
        };
        match (visitor, arrival) {
            (Some(visitor), Some(arrival)) => Some(visitor.min(arrival)),
            (one, other) => one.or(other),
        }
    }

    /// Takes the next planned request, whose time is [`Self::due_ns`].
    pub(super) fn take(&mut self) -> Option<Turn> {
        let (due_ns, has_room) = (self.due_ns()?, self.has_room());
        match &mut self.arrivals {
            Arrivals::Singles { all, next } => {
                let (planned_ns, request) = std::mem::replace(next, all.next())?;
                return Some(Turn { planned_ns, sent_ns: 0, request, visitor: 0 });
            }
            Arrivals::Sessions { all, next } => {
                if let Some((at_ns, session)) = *next
                    && at_ns == due_ns
                    && has_room
                {
                    *next = all.next();
                    let visitor = self.workload.session(session);
                    self.enter(0, visitor, at_ns);
                }
            }
            Arrivals::None => {}
        }
        let Reverse((planned_ns, visitor)) = self.due.pop()?;
        let (_, asking) = self.visitors[visitor as usize].as_mut()?;
        let request = asking.request(planned_ns);
        Some(Turn { planned_ns, sent_ns: 0, request, visitor })
    }

    /// A taken request is over, answered or not: its visitor thinks, and asks again or leaves.
    pub(super) fn finished(&mut self, turn: &Turn, now_ns: u64) {
        if matches!(self.arrivals, Arrivals::Singles { .. }) {
            return;
        }
        let index = turn.visitor;
        let Some((user, visitor)) = self.visitors.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let next = visitor.answered();
        let wish_ns = now_ns.saturating_add(next.think_ns);
        match self.workload.next_turn(*user, next, wish_ns) {
            Some(at_ns) => self.due.push(Reverse((at_ns, index))),
            None => {
                self.visitors[index as usize] = None;
                self.vacant.push(index);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.visitors.len() < SESSIONS_MAX || !self.vacant.is_empty()
    }

    fn enter(&mut self, user: u32, visitor: Visitor, at_ns: u64) {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.visitors.push(None);
            self.visitors.len() as u32 - 1
        });
        self.visitors[index as usize] = Some((user, visitor));
        self.due.push(Reverse((at_ns, index)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{WorkloadSpec, no_files};

    fn workload(text: &str) -> Workload {
        let spec: WorkloadSpec = toml::from_str(text).unwrap();
        Workload::new(&spec, 1, &mut no_files()).unwrap()
    }

    /// Times at which turns are planned when each answer takes a millisecond.
    fn planned(text: &str, thread: usize, threads: usize) -> Vec<u64> {
        let mut agenda = Agenda::new(&workload(text), thread, threads);
        let mut times = Vec::new();
        while let Some(turn) = agenda.take() {
            times.push(turn.planned_ns);
            agenda.finished(&turn, turn.planned_ns + 1_000_000);
        }
        assert!(agenda.visitors.iter().all(Option::is_none), "everybody has left");
        times
    }

    #[test]
    fn the_shares_of_threads_make_up_the_whole() {
        for text in [
            "open = { phases = [{ lasts = \"2s\", level = 500 }] }",
            "open = { arrive = \"sessions\", phases = [{ lasts = \"2s\", level = 100 }] }\n\
             [steps.a]\nnext = { a = 0.5 }",
            "closed = { think = { exponential = { mean = \"50ms\" } }, phases = [{ lasts = \"2s\", from = 0, level = 40 }] }",
        ] {
            let whole = planned(text, 0, 1);
            assert!(whole.len() > 100 && whole.is_sorted(), "{}", whole.len());
            let mut parts: Vec<u64> = (0..3).flat_map(|thread| planned(text, thread, 3)).collect();
            parts.sort_unstable();
            assert_eq!(parts, whole, "{text}");
        }
    }

    #[test]
    fn sessions_that_never_end_end_with_the_last_phase() {
        let text = "open = { arrive = \"sessions\", phases = [{ lasts = \"1s\", level = 10 }] }\n\
                    [steps.a]\nnext = { a = 1.0 }\nthink = { constant = \"100ms\" }";
        let times = planned(text, 0, 1);
        assert!(times.len() > 20 && times.iter().all(|at_ns| *at_ns < 1_000_000_000), "{times:?}");
    }

    #[test]
    fn a_user_asks_again_only_after_the_answer_and_the_thinking() {
        let text = "closed = { think = { constant = \"10ms\" }, phases = [{ lasts = \"1s\", level = 1 }] }";
        let mut agenda = Agenda::new(&workload(text), 0, 1);
        let turn = agenda.take().unwrap();
        assert_eq!((turn.planned_ns, agenda.due_ns()), (0, None));
        agenda.finished(&turn, 7_000_000);
        assert_eq!(agenda.due_ns(), Some(17_000_000));
        let turn = agenda.take().unwrap();
        agenda.finished(&turn, 995_000_000);
        assert_eq!(agenda.due_ns(), None, "the run is over by then");
    }
}
