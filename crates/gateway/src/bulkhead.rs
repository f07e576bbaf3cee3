//! The places of one service over all workers, and the queue for them. Free places are taken by one atomic
//! step. Who finds none waits in one queue for all workers, in order of arrival; its lock is taken only by
//! those who find no place and by those who leave while somebody waits.

use headgate_model::fault::{Fault, FaultKind};
use headgate_model::state::ServiceState;
use headgate_model::units::Tick;
use headgate_net::deadline::{Deadline, DueAt};
use headgate_observe::counter::Gauge;
use headgate_observe::registry::WorkerMetrics;
use headgate_observe::resilience_metrics::{BulkheadMetrics, Refusal};
use headgate_policy::bulkhead::{Bulkhead, Entry};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One worker's side of a gate.
pub(crate) struct Entrance {
    gate: Arc<Gate>,
    limits: Bulkhead,
    metrics: BulkheadMetrics,
}

/// A request that has its place.
pub(crate) struct Entered<'g> {
    pub place: Place<'g>,
    /// It had to wait for it.
    pub waited: bool,
}

impl Entrance {
    /// `None` when the service has no bulkhead.
    pub(crate) fn build(
        state: &ServiceState,
        gate: Option<&Arc<Gate>>,
        metrics: &WorkerMetrics,
    ) -> Option<Self> {
        let spec = state.spec.bulkhead.as_ref()?;
        let gate = Arc::clone(gate?);
        let limits = Bulkhead::new(spec);
        gate.follow(limits);
        Some(Self { gate, limits, metrics: BulkheadMetrics::new(metrics, &state.name) })
    }

    /// Takes a place, or waits for one until the queue's timeout or `until`.
    ///
    /// # Errors
    /// As [`Gate::wait`].
    #[inline]
    pub(crate) async fn enter(&self, deadline: &Deadline, until: DueAt) -> Result<Entered<'_>, Fault> {
        match self.gate.try_enter(&self.limits) {
            Some(place) => Ok(Entered { place, waited: false }),
            None => self.wait(deadline, until).await,
        }
    }

    /// Takes a place that nobody waits for.
    ///
    /// # Errors
    /// `Overloaded` when there is none.
    pub(crate) fn enter_at_once(&self) -> Result<Entered<'_>, Fault> {
        let place = self.gate.try_enter(&self.limits);
        place
            .map(|place| Entered { place, waited: false })
            .ok_or_else(|| Fault::new(FaultKind::Overloaded, "the service has no place to spare"))
    }

    /// Share of the places that is taken; all of it while somebody waits.
    pub(crate) fn load(&self) -> f64 {
        if self.gate.queued.load(SeqCst) > 0 {
            1.0
        } else {
            self.limits.load(self.gate.in_flight.load(SeqCst))
        }
    }

    #[cold]
    async fn wait(&self, deadline: &Deadline, until: DueAt) -> Result<Entered<'_>, Fault> {
        let queued = Queued::count(&self.metrics.queued);
        deadline.set_at(give_up_at(deadline, &self.limits, until));
        let waited = self.gate.wait(deadline).await;
        drop(queued);
        match waited {
            Ok(place) => Ok(Entered { place, waited: true }),
            Err(fault) => {
                let timed_out = fault.kind == FaultKind::QueueTimeout;
                self.metrics.refused(if timed_out { Refusal::Timeout } else { Refusal::Full });
                Err(fault)
            }
        }
    }
}

/// One request in the count of those that wait.
struct Queued<'g>(&'g Gauge);

impl<'g> Queued<'g> {
    fn count(gauge: &'g Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Shared by all workers, and by one configuration after the other.
pub(crate) struct Gate {
    in_flight: Arc<AtomicU32>,
    /// Length of the queue. Like `in_flight` it is written before the other is read on either side, in the
    /// one order of sequential consistency: who leaves sees who waits, or who waits sees the free place.
    queued: AtomicU32,
    queue: Mutex<Queue>,
}

struct Queue {
    limits: Bulkhead,
    /// In order of their tickets.
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
}

struct Waiting {
    ticket: u64,
    waker: Waker,
}

/// A place in the service; free again when dropped.
pub(crate) struct Place<'g>(&'g Gate);

/// What comes of a request that finds no free place.
enum Arrival<'g> {
    /// One became free meanwhile.
    Place(Place<'g>),
    Ticket(Ticket<'g>),
    Refused,
}

impl Gate {
    /// `in_flight` counts the places taken.
    pub(crate) fn new(in_flight: Arc<AtomicU32>, limits: Bulkhead) -> Self {
        let queue = Queue { limits, waiting: VecDeque::new(), next_ticket: 0 };
        Self { in_flight, queued: AtomicU32::new(0), queue: Mutex::new(queue) }
    }

    /// Goes on under the limits of a newer configuration.
    pub(crate) fn follow(&self, limits: Bulkhead) {
        let mut queue = self.lock();
        queue.limits = limits;
        self.promote(&mut queue);
    }

    /// Takes a place if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn try_enter(&self, limits: &Bulkhead) -> Option<Place<'_>> {
        (self.queued.load(SeqCst) == 0 && self.take(limits)).then(|| Place(self))
    }

    /// Waits for a place until `deadline`, whose owner has set it.
    ///
    /// # Errors
    /// `Overloaded` when the queue is full, `QueueTimeout` when no place became free in time.
    pub(crate) async fn wait(&self, deadline: &Deadline) -> Result<Place<'_>, Fault> {
        let ticket = match self.arrive() {
            Arrival::Place(place) => return Ok(place),
            Arrival::Ticket(ticket) => ticket,
            Arrival::Refused => {
                return Err(Fault::new(FaultKind::Overloaded, "the service and its queue are full"));
            }
        };
        poll_fn(|cx| match ticket.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => deadline.poll_due(cx).map(|()| {
                Err(Fault::new(FaultKind::QueueTimeout, "no place in the service became free in time"))
            }),
        })
        .await?;
        Ok(ticket.redeem())
    }

    fn arrive(&self) -> Arrival<'_> {
        let mut queue = self.lock();
        self.promote(&mut queue);
        if queue.waiting.is_empty() && self.take(&queue.limits) {
            return Arrival::Place(Place(self));
        }
        let queued = queue.waiting.len() as u32;
        if queue.limits.enter(self.in_flight.load(SeqCst), queued) == Entry::Refused {
            return Arrival::Refused;
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push_back(Waiting { ticket, waker: Waker::noop().clone() });
        self.queued.store(queued + 1, SeqCst);
        self.promote(&mut queue);
        Arrival::Ticket(Ticket { gate: self, number: ticket, redeemed: false })
    }

    fn take(&self, limits: &Bulkhead) -> bool {
        let one_more = |now| limits.leaves_queue(now).then_some(now + 1);
        self.in_flight.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    fn leave(&self) {
        self.in_flight.fetch_sub(1, SeqCst);
        if self.queued.load(SeqCst) > 0 {
            self.promote(&mut self.lock());
        }
    }

    /// Hands free places to the first in the queue.
    fn promote(&self, queue: &mut Queue) {
        while !queue.waiting.is_empty() && self.take(&queue.limits) {
            if let Some(first) = queue.waiting.pop_front() {
                first.waker.wake();
            }
        }
        self.queued.store(queue.waiting.len() as u32, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in between can panic and leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// One request's turn in the queue. It has a place as soon as it is no longer in the queue.
struct Ticket<'g> {
    gate: &'g Gate,
    number: u64,
    redeemed: bool,
}

impl<'g> Ticket<'g> {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.gate.lock();
        let Some(index) = queue.find(self.number) else { return Poll::Ready(()) };
        let waker = &mut queue.waiting[index].waker;
        if !waker.will_wake(cx.waker()) {
            waker.clone_from(cx.waker());
        }
        Poll::Pending
    }

    fn redeem(mut self) -> Place<'g> {
        self.redeemed = true;
        Place(self.gate)
    }
}

impl Drop for Ticket<'_> {
    /// Gives up: leaves the queue, or the place that it was handed meanwhile.
    fn drop(&mut self) {
        if self.redeemed {
            return;
        }
        let mut queue = self.gate.lock();
        match queue.find(self.number) {
            Some(index) => {
                queue.waiting.remove(index);
                self.gate.queued.store(queue.waiting.len() as u32, SeqCst);
            }
            None => {
                drop(queue);
                self.gate.leave();
            }
        }
    }
}

/// When a request that begins to wait now gives up, but no later than `until`.
fn give_up_at(deadline: &Deadline, limits: &Bulkhead, until: DueAt) -> DueAt {
    let start = Tick(0);
    deadline.at(limits.deadline(start).since(start)).min(until)
}

#[cfg(test)]
mod tests;
