//! The loops beside the traffic: active health checks, discovery, ejection of outliers, watching files,
//! showing which endpoints are in use. They write what requests read (plain atomics and whole sets of endpoints) and
//! never touch a request.
//!
//! No loop is told what changed: each looks at the present services again and again and makes the world fit.
//! All of them share one `current_thread` runtime on a thread that is no worker's.

pub mod context;
pub mod discovery;
pub mod endpoints;
pub mod health;
pub mod outlier;
pub mod supervise;
pub mod watch;

mod tasks;
#[cfg(test)]
mod testkit;

use context::Context;
use discovery::Found;
use discovery::dns::Resolver;
use headgate_model::signal::SignalReceiver;
use std::sync::{Arc, Mutex};
use supervise::supervise;
use tokio::sync::mpsc;

/// What the loops run on.
pub struct Loops {
    pub context: Context,
    pub resolver: Arc<Resolver>,
    /// Where discovery tells what it found. When it is full, discovery waits.
    pub updates: mpsc::Sender<Found>,
    /// The loop's end of each worker's queue.
    pub signals: Vec<SignalReceiver>,
}

/// Runs all loops, each restarted when it panics, until the future is dropped.
pub async fn run(loops: Loops) {
    let Loops { context, resolver, updates, signals } = loops;
    let signals = Arc::new(Mutex::new(signals));
    tokio::join!(
        supervise("endpoints", &context.metrics, || endpoints::run(context.clone())),
        supervise("health", &context.metrics, || health::run(context.clone())),
        supervise("outlier", &context.metrics, || outlier::run(context.clone(), Arc::clone(&signals))),
        supervise("discovery", &context.metrics, || {
            discovery::run(context.clone(), Arc::clone(&resolver), updates.clone())
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::{Loops, run};
    use crate::discovery::dns::Resolver;
    use crate::testkit::{World, until};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn all_loops_outlive_a_panic() {
        let world = World::default();
        let mut context = world.context();
        let looks = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&looks);
        context.services = Arc::new(move || match count.fetch_add(1, Relaxed) {
            0..4 => panic!("made by the test"),
            _ => Vec::new(),
        });
        let resolver = Arc::new(Resolver::with_servers(&[]).unwrap());
        let (updates, _receiver) = mpsc::channel(1);
        let running = tokio::spawn(run(Loops { context, resolver, updates, signals: Vec::new() }));
        until("each began again", || world.metric("headgate_control_restarts_total") == 4).await;
        until("and goes on", || looks.load(Relaxed) > 100).await;
        running.abort();
    }
}
