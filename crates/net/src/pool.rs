//! One worker's kept-alive connections to one endpoint. Last in, first out, so that the connection with
//! the widest congestion window works and the surplus grows old and is closed.

use crate::kept::{Connection, PoolLimits};
use crate::spare::Spares;
use headgate_model::units::Tick;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

/// The last one in is the first one out: what has rested for this long the worker did not need.
const SPARE_AFTER: Duration = Duration::from_millis(250);

struct Resting {
    connection: Connection,
    since: Tick,
}

/// Idle connections, oldest at the front.
#[derive(Default)]
pub struct Pool {
    resting: RefCell<VecDeque<Resting>>,
    closed: Cell<bool>,
}

impl Pool {
    /// The connection that came back last and is still usable.
    pub async fn take(&self) -> Option<Connection> {
        loop {
            let resting = self.resting.borrow_mut().pop_back()?;
            if poll_fn(|cx| Poll::Ready(resting.connection.stream.is_quiet(cx))).await {
                return Some(resting.connection);
            }
        }
    }

    /// Takes a connection back whose exchange ended cleanly. Beyond the limits the oldest is closed.
    pub fn give(&self, mut connection: Connection, now: Tick, limits: &PoolLimits) {
        connection.served = connection.served.saturating_add(1);
        if self.closed.get()
            || limits.idle == 0
            || limits.requests > 0 && connection.served >= limits.requests
        {
            return;
        }
        let mut resting = self.resting.borrow_mut();
        if resting.len() >= limits.idle {
            resting.pop_front();
        }
        resting.push_back(Resting { connection, since: now });
    }

    /// Closes what rested too long or was closed by the other side. What was not needed for a while goes to
    /// `spares`, if there are other workers.
    pub fn sweep(&self, now: Tick, limits: &PoolLimits, spares: Option<&Spares>, cx: &mut Context<'_>) {
        let mut resting = self.resting.borrow_mut();
        resting.retain(|resting| {
            now.since(resting.since) < limits.idle_timeout && resting.connection.stream.is_quiet(cx)
        });
        let Some(spares) = spares else { return };
        while resting.front().is_some_and(|oldest| now.since(oldest.since) >= SPARE_AFTER) {
            let Some(Resting { connection, since }) = resting.pop_front() else { return };
            if let Err(connection) = spares.park(connection, since, limits) {
                return resting.push_front(Resting { connection, since });
            }
        }
    }

    /// Closes all, and what is given back later: the endpoint was removed, and nobody will look after them.
    pub fn close(&self) {
        self.closed.set(true);
        self.resting.borrow_mut().clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.resting.borrow().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
