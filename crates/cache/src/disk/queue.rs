//! What waits for the writer: a queue with limits for many who fill it and one who takes. Who fills it never waits.

use crate::tier::{Purge, Put};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Things that wait to be written, and bytes that they may have.
const PUTS: usize = 4_096;
const BYTES: usize = 64 << 20;
/// Purges that wait. More become one purge of everything.
const PURGES: usize = 65_536;

#[derive(Debug)]
pub(super) enum Order {
    Put(Put),
    Purge(Purge),
    /// Tell when all before is on the device.
    Settle(oneshot::Sender<()>),
    /// All before is from a time when it was not known what lies in the folder.
    Open,
}

#[derive(Debug, Default)]
struct Waiting {
    orders: VecDeque<Order>,
    puts: usize,
    bytes: usize,
    purges: usize,
    closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False, and the put is gone, when there is no room.
    pub(super) fn put(&self, put: Put) -> bool {
        let bytes = size(&put);
        let mut waiting = self.waiting();
        let fits = waiting.puts < PUTS && waiting.bytes + bytes <= BYTES && !waiting.closed;
        if fits {
            waiting.puts += 1;
            waiting.bytes += bytes;
            waiting.orders.push_back(Order::Put(put));
            self.filled.notify_one();
        }
        fits
    }

    pub(super) fn purge(&self, purge: Purge) {
        let mut waiting = self.waiting();
        if waiting.purges >= PURGES {
            waiting.orders.retain(|order| !matches!(order, Order::Purge(_)));
            waiting.orders.push_back(Order::Purge(Purge::everything()));
            waiting.purges = 1;
        } else {
            waiting.purges += 1;
            waiting.orders.push_back(Order::Purge(purge));
        }
        self.filled.notify_one();
    }

    pub(super) fn settle(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().orders.push_back(Order::Settle(sender));
        self.filled.notify_one();
        receiver
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.filled.notify_one();
    }

    /// Puts [`Order::Open`] behind the purges that wait: whoever waits for less finds the tier on.
    pub(super) fn open(&self) {
        let mut waiting = self.waiting();
        let last = waiting.orders.iter().rposition(|order| matches!(order, Order::Purge(_)));
        waiting.orders.insert(last.map_or(0, |last| last + 1), Order::Open);
    }

    /// Whether it is closed; waits for that at most that long.
    pub(super) fn is_closed_within(&self, patience: Duration) -> bool {
        let waited = self.filled.wait_timeout_while(self.waiting(), patience, |waiting| !waiting.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// The next order; waits for one. None when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Order> {
        let waits = |waiting: &mut Waiting| waiting.orders.is_empty() && !waiting.closed;
        let waiting = self.filled.wait_while(self.waiting(), waits);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let order = waiting.orders.pop_front()?;
        match &order {
            Order::Put(put) => {
                waiting.puts -= 1;
                waiting.bytes -= size(put);
            }
            Order::Purge(_) => waiting.purges -= 1,
            Order::Settle(_) | Order::Open => {}
        }
        Some(order)
    }
}

fn size(put: &Put) -> usize {
    put.key.len() + put.value.iter().map(|piece| piece.len()).sum::<usize>()
}
