//! Orders to fetch ahead, carried out by a worker: each becomes a request of nobody, through the route table and the
//! cache like others, as long as the service has places to spare.

use crate::cache::fetch_ahead;
use crate::exchange::{Exchange, TargetPlan, Timers};
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
        || !read(&order.text, &mut head)
    {
        return false;
    }
    let Some(spec) = view.snapshot.listeners.get(listener).map(|listener| &listener.spec) else {
        return false;
    };
    let peer = Peer::new(Some(SocketAddr::new(order.client, 0)), &[], order.is_encrypted);
    let (upload, download) = (worker.deadlines.deadline(), worker.deadlines.deadline());
    let mut x = Exchange {
        worker,
        view: &view,
        listener,
        peer: &peer,
        head: &head,
        timers: Timers { upload: &upload, download: &download },
        pause: spec.timeouts.body.0,
        started: worker.now(),
        target: TargetPlan::AsSent,
        may_change_stored: false,
        fill: None,
    };
    fetch_ahead(&mut x, order.ahead)
}
