//! Tasks that stay: whoever has finished a piece of work waits for the next one, so that the memory of a large
//! future is taken once and not for each piece. It neither orders nor limits the work.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Tasks that may wait for work; more of them end.
const WAITING: usize = 128;

/// Tasks of one thread for work of one kind.
pub(crate) struct Crew<Work> {
    waiting: RefCell<Vec<Rc<Seat<Work>>>>,
    /// Nobody waits any more.
    dismissed: Cell<bool>,
}

/// Where a task finds its next piece of work.
struct Seat<Work> {
    work: Cell<Option<Work>>,
    dismissed: Cell<bool>,
    waker: RefCell<Waker>,
}

/// What can be done by a crew.
pub(crate) trait Task: 'static {
    fn run(self) -> impl Future<Output = ()>;
}

impl<Work> Default for Crew<Work> {
    fn default() -> Self {
        Self { waiting: RefCell::default(), dismissed: Cell::new(false) }
    }
}

impl<Work: Task> Crew<Work> {
    /// Has `work` done in a task beside the calling one.
    pub(crate) fn start(self: &Rc<Self>, work: Work) {
        let waiting = self.waiting.borrow_mut().pop();
        if let Some(seat) = waiting {
            seat.work.set(Some(work));
            seat.waker.borrow().wake_by_ref();
        } else {
            let seat = Seat {
                work: Cell::new(Some(work)),
                dismissed: Cell::new(false),
                waker: RefCell::new(Waker::noop().clone()),
            };
            tokio::task::spawn_local(Rc::clone(self).stay(Rc::new(seat)));
        }
    }

    async fn stay(self: Rc<Self>, seat: Rc<Seat<Work>>) {
        while let Some(work) = seat.next().await {
            work.run().await;
            let mut waiting = self.waiting.borrow_mut();
            if waiting.len() == WAITING || self.dismissed.get() {
                return;
            }
            waiting.push(Rc::clone(&seat));
        }
    }

    /// Ends the tasks that wait, and the others when they have done their work. What is started later is done too.
    pub(crate) fn dismiss(&self) {
        self.dismissed.set(true);
        for seat in self.waiting.take() {
            seat.dismissed.set(true);
            seat.waker.borrow().wake_by_ref();
        }
    }
}

impl<Work> Seat<Work> {
    /// None when there will be no more.
    async fn next(&self) -> Option<Work> {
        poll_fn(|cx| match self.work.take() {
            Some(work) => Poll::Ready(Some(work)),
            None if self.dismissed.get() => Poll::Ready(None),
            None => {
                self.waker.borrow_mut().clone_from(cx.waker());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, yield_now};

    /// Counts itself, once it is let go on.
    struct Count {
        done: Rc<Cell<usize>>,
        go_on: Rc<Cell<bool>>,
    }

    impl Task for Count {
        async fn run(self) {
            while !self.go_on.get() {
                yield_now().await;
            }
            self.done.set(self.done.get() + 1);
        }
    }

    #[test]
    fn all_work_is_done_and_tasks_are_used_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let crew: Rc<Crew<Count>> = Rc::default();
            let (done, go_on) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let start = || crew.start(Count { done: Rc::clone(&done), go_on: Rc::clone(&go_on) });
            (0..3 * WAITING).for_each(|_| start());
            yield_now().await;
            go_on.set(true);
            while done.get() < 3 * WAITING {
                yield_now().await;
            }
            yield_now().await;
            assert_eq!(crew.waiting.borrow().len(), WAITING, "the rest have ended");
            for number in 0..10 {
                start();
                assert_eq!(crew.waiting.borrow().len(), WAITING - 1, "one that waited does it");
                while done.get() == 3 * WAITING + number {
                    yield_now().await;
                }
                yield_now().await;
            }
            crew.dismiss();
            start();
            while Rc::strong_count(&crew) > 1 {
                yield_now().await;
            }
            assert_eq!(done.get(), 3 * WAITING + 11, "what comes after the dismissal is done too");
        });
    }
}
