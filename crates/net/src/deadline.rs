//! Deadlines of one worker's connections: one number each in a dense array that is swept every tick.
//! Setting a deadline is one store; nothing is queued, nothing allocated. Coarse by design: a deadline
//! fires within one tick after it is due. It can fire before by as long as the worker's thread was held up when
//! the deadline was set: time is read once in a tick.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time between two sweeps.
pub const TICK: Duration = Duration::from_millis(10);

const NEVER: u64 = u64::MAX;
/// The slot is set and its time has passed.
const DUE: u64 = 0;

/// One worker's deadlines. [`Deadlines::sweep`] has to run beside the connections.
pub struct Deadlines {
    /// Tick at which each slot is due; [`NEVER`] when unset.
    due: RefCell<Vec<u64>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Slots whose connection is at rest.
    resting: RefCell<Vec<bool>>,
    free: RefCell<Vec<u32>>,
    /// Ticks since start, as of the last sweep. 64 bits: 32 would be back at zero after 497 days.
    now: Cell<u64>,
    started: Instant,
    in_use: Cell<usize>,
    first_use: Notify,
}

impl Deadlines {
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            due: RefCell::default(),
            wakers: RefCell::default(),
            resting: RefCell::default(),
            free: RefCell::default(),
            now: Cell::new(1),
            started: Instant::now(),
            in_use: Cell::new(0),
            first_use: Notify::new(),
        })
    }

    /// A new deadline, unset.
    #[must_use]
    pub fn deadline(self: &Rc<Self>) -> Deadline {
        if self.in_use.replace(self.in_use.get() + 1) == 0 {
            self.now.set(self.clock());
            self.first_use.notify_one();
        }
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.due.borrow_mut().push(NEVER);
            self.wakers.borrow_mut().push(None);
            self.resting.borrow_mut().push(false);
            (self.due.borrow().len() - 1) as u32
        });
        Deadline { owner: Rc::clone(self), slot }
    }

    /// Wakes what is due, for ever; rests while no deadline exists.
    pub async fn sweep(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.in_use.get() == 0 {
                self.first_use.notified().await;
            }
            ticks.tick().await;
            self.fire(self.clock());
        }
    }

    /// Lets connections at rest be due `after` from now at the latest.
    pub fn hurry_resting(&self, after: Duration) {
        let latest = self.at(after).0;
        let resting = self.resting.borrow();
        for (due, _) in self.due.borrow_mut().iter_mut().zip(&*resting).filter(|(_, resting)| **resting) {
            *due = (*due).min(latest);
        }
    }

    /// The point `after` from now.
    #[inline]
    fn at(&self, after: Duration) -> DueAt {
        // The tick that has begun and the usual lateness of a sweep are added.
        const PER_SECOND: u64 = 1_000 / TICK.as_millis() as u64;
        let ticks = after
            .as_secs()
            .saturating_mul(PER_SECOND)
            .saturating_add(u64::from(after.subsec_millis() / TICK.as_millis() as u32));
        DueAt(self.now.get().saturating_add(ticks).saturating_add(2))
    }

    fn clock(&self) -> u64 {
        1 + (self.started.elapsed().as_millis() / TICK.as_millis()) as u64
    }

    fn fire(&self, now: u64) {
        self.now.set(now);
        let mut wakers = self.wakers.borrow_mut();
        for (slot, due) in self.due.borrow_mut().iter_mut().enumerate() {
            if *due <= now && *due != DUE {
                *due = DUE;
                if let Some(waker) = wakers[slot].take() {
                    waker.wake();
                }
            }
        }
    }
}

/// One connection's or request's deadline; frees its slot when dropped.
pub struct Deadline {
    owner: Rc<Deadlines>,
    slot: u32,
}

impl Deadline {
    /// Due `after` from now.
    #[inline]
    pub fn set(&self, after: Duration) {
        self.set_at(self.at(after));
    }

    /// The point `after` from now, to be set later or compared.
    #[inline]
    #[must_use]
    pub fn at(&self, after: Duration) -> DueAt {
        self.owner.at(after)
    }

    /// Due at a point, of a connection at rest: see [`Deadlines::hurry_resting`].
    pub fn rest_until(&self, at: DueAt) {
        self.owner.resting.borrow_mut()[self.slot as usize] = true;
        self.set_at(at);
    }

    /// The connection is no longer at rest.
    pub fn rouse(&self) {
        self.owner.resting.borrow_mut()[self.slot as usize] = false;
    }

    #[inline]
    pub fn set_at(&self, at: DueAt) {
        self.owner.due.borrow_mut()[self.slot as usize] = at.0;
    }

    /// When it is due; the earliest point of all once it was.
    #[inline]
    #[must_use]
    pub fn due_at(&self) -> DueAt {
        DueAt(self.owner.due.borrow()[self.slot as usize])
    }

    #[inline]
    pub fn clear(&self) {
        self.set_at(DueAt::NEVER);
    }

    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.owner.due.borrow()[self.slot as usize] == DUE
    }

    /// Ready when due; otherwise the task of `cx` is woken when it is.
    #[inline]
    pub fn poll_due(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_due() {
            return Poll::Ready(());
        }
        let waker = &mut self.owner.wakers.borrow_mut()[self.slot as usize];
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub async fn due(&self) {
        poll_fn(|cx| self.poll_due(cx)).await;
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let owner = &self.owner;
        owner.due.borrow_mut()[self.slot as usize] = NEVER;
        owner.wakers.borrow_mut()[self.slot as usize] = None;
        owner.resting.borrow_mut()[self.slot as usize] = false;
        owner.free.borrow_mut().push(self.slot);
        owner.in_use.set(owner.in_use.get() - 1);
    }
}

/// A point in time in a worker's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueAt(u64);

impl DueAt {
    pub const NEVER: Self = Self(NEVER);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(test);
    }

    #[test]
    fn fires_after_its_time_and_not_before() {
        run(async {
            let deadlines = Deadlines::new();
            let deadline = deadlines.deadline();
            let started = Instant::now();
            deadline.set(Duration::from_millis(500));
            tokio::select! {
                () = Rc::clone(&deadlines).sweep() => unreachable!("the sweep never ends"),
                () = deadline.due() => {}
            }
            let waited = started.elapsed();
            assert!(waited >= Duration::from_millis(500), "{waited:?}");
            assert!(waited <= Duration::from_millis(500) + 4 * TICK, "{waited:?}");
        });
    }

    #[test]
    fn time_does_not_come_round_again() {
        run(async {
            let deadlines = Deadlines::new();
            for years in [1, 2, 10] {
                // Paused time does not leap in one step, so the sweep stands still meanwhile.
                tokio::time::advance(Duration::from_secs(years * 365 * 86_400)).await;
                let deadline = deadlines.deadline();
                deadlines.fire(deadlines.clock());
                deadline.set(Duration::from_secs(1));
                deadlines.fire(deadlines.clock());
                assert!(!deadline.is_due(), "{years}");
                tokio::time::advance(Duration::from_secs(2)).await;
                deadlines.fire(deadlines.clock());
                assert!(deadline.is_due(), "{years}");
            }
        });
    }

    #[test]
    fn a_later_deadline_replaces_an_earlier_one_and_slots_are_used_again() {
        run(async {
            let deadlines = Deadlines::new();
            let deadline = deadlines.deadline();
            deadline.set(Duration::from_millis(20));
            deadline.set(Duration::from_secs(1));
            let started = Instant::now();
            tokio::select! {
                () = Rc::clone(&deadlines).sweep() => unreachable!("the sweep never ends"),
                () = deadline.due() => {}
            }
            assert!(started.elapsed() >= Duration::from_secs(1));
            drop(deadline);
            let again = deadlines.deadline();
            assert!(!again.is_due());
            assert_eq!(deadlines.due.borrow().len(), 1);
        });
    }
}
