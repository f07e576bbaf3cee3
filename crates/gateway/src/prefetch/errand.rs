//! Orders to fetch ahead, carried out by a worker: each becomes a request of nobody, through the route table and the
//! cache like others, as long as the service has places to spare.

use crate::cache::fetch_ahead;
use crate::exchange::{Exchange, Timers};
use crate::identify::Peer;
use crate::prefetch_queue::{Order, read};
use crate::worker::Worker;
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Carries out what the learner orders from this worker, for as long as that lives; learners come and go with the
/// configuration.
pub async fn carry_out(worker: Rc<Worker>) {
    let mut changes = worker.shared.changes();
    let mut orders = None;
    loop {
        let newer = worker.view().prefetch.as_ref().and_then(|hub| hub.take_orders(worker.id));
        orders = newer.or(orders);
        tokio::select! {
            order = next(&mut orders) => match order {
                Some(order) => {
                    let ahead = Arc::clone(&order.ahead);
                    if worker.draining.get() || !begin(&worker, order) {
                        ahead.skip();
                    }
                }
                None => orders = None,
            },
            changed = changes.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn next(orders: &mut Option<Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => pending().await,
    }
}

fn begin(worker: &Rc<Worker>, order: Order) -> bool {
    let view = worker.view();
    let listener = order.listener as usize;
    let mut head = worker.buffers.request();
    if view.snapshot.generation != order.generation
        || view.prefetch.is_none()
        || listener >= view.snapshot.listeners.len()
        || !read(&order.text, &mut head)
    {
        return false;
    }
    let peer = Peer::new(Some(SocketAddr::new(order.client, 0)), &[], order.is_encrypted);
    let (upload, download) = (worker.deadlines.deadline(), worker.deadlines.deadline());
    let timers = Timers { upload: &upload, download: &download };
    let mut x = Exchange::begin(worker, &view, listener, &peer, &head, timers);
    fetch_ahead(&mut x, order.ahead)
}
