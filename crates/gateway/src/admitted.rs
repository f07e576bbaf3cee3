//! The place of one client connection in everything that counts those that are open.

use crate::listener::Place;
use crate::view::{ListenerView, View};
use crate::worker::{OpenConnection, Worker};
use std::rc::Rc;

/// Counted for as long as it lives, however the connection's task ends.
pub(crate) struct Admitted {
    counts: Rc<ListenerView>,
    /// At the listener, and in the process.
    _places: [Place; 2],
    // Counted from the accept on and not when the task first runs: a stop in between must wait for it.
    _open: OpenConnection,
}

impl Admitted {
    pub(crate) fn new(worker: &Rc<Worker>, view: &View, listener: usize, places: [Place; 2]) -> Self {
        let counts = Rc::clone(&view.listeners[listener]);
        counts.metrics.connections_accepted.inc();
        counts.metrics.connections_active.inc();
        Self { counts, _places: places, _open: worker.open_connection() }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.counts.metrics.connections_active.dec();
    }
}
