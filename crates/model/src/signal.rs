//! What traffic tells the loops: the outcome of each attempt at an endpoint, through one bounded queue per
//! worker. Sending never waits; what does not fit is dropped and counted.

use crate::state::EndpointState;
use crate::units::Tick;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Outcomes that wait in one worker's queue at most: at a drain every 50 ms, 160,000 attempts per second.
pub const OUTCOMES_MAX: usize = 8_192;

/// How one attempt at an endpoint ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub endpoint: Arc<EndpointState>,
    /// A response other than 5xx arrived in full.
    pub ok: bool,
    pub at: Tick,
}

/// Makes the queue of one worker. All its memory is taken now.
#[must_use]
pub fn queue() -> (SignalSender, SignalReceiver) {
    let (sender, receiver) = sync_channel(OUTCOMES_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    (SignalSender { sender, dropped: Arc::clone(&dropped) }, SignalReceiver { receiver, dropped })
}

/// A worker's end.
#[derive(Debug)]
pub struct SignalSender {
    sender: SyncSender<Outcome>,
    dropped: Arc<AtomicU64>,
}

impl SignalSender {
    /// Tells an outcome, or drops it when the queue is full. Takes no lock and allocates nothing: a bounded
    /// channel of the standard library is an array of slots claimed by compare-and-swap, and nobody sleeps
    /// on the other end who would have to be woken.
    pub fn send(&self, outcome: Outcome) {
        if self.sender.try_send(outcome).is_err() {
            // The worker is the only writer.
            self.dropped.store(self.dropped.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }
}

/// The loop's end.
#[derive(Debug)]
pub struct SignalReceiver {
    receiver: Receiver<Outcome>,
    dropped: Arc<AtomicU64>,
}

impl SignalReceiver {
    /// Moves what waits into `outcomes`, oldest first; at most [`OUTCOMES_MAX`], so that a worker that sends
    /// on meanwhile cannot hold the loop.
    pub fn drain_into(&self, outcomes: &mut Vec<Outcome>) {
        outcomes.extend(self.receiver.try_iter().take(OUTCOMES_MAX));
    }

    /// Outcomes dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{OUTCOMES_MAX, Outcome, queue};
    use crate::state::EndpointState;
    use crate::units::Tick;
    use std::sync::Arc;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let endpoint = Arc::new(EndpointState::new("10.0.0.1:80".parse().unwrap(), 1));
        let outcome = |at| Outcome { endpoint: Arc::clone(&endpoint), ok: true, at: Tick(at) };
        let (sender, receiver) = queue();
        (0..OUTCOMES_MAX as u64 + 3).for_each(|at| sender.send(outcome(at)));
        assert_eq!(receiver.dropped(), 3);
        let mut outcomes = Vec::new();
        receiver.drain_into(&mut outcomes);
        let at: Vec<u64> = outcomes.iter().map(|outcome| outcome.at.0).collect();
        assert!(at.iter().copied().eq(0..OUTCOMES_MAX as u64), "the oldest are kept, in order");
        sender.send(outcome(9));
        receiver.drain_into(&mut outcomes);
        assert_eq!((outcomes.len(), receiver.dropped()), (OUTCOMES_MAX + 1, 3), "there is room again");
    }

    #[test]
    fn a_loop_that_is_gone_does_not_stop_a_worker() {
        let endpoint = Arc::new(EndpointState::new("10.0.0.1:80".parse().unwrap(), 1));
        let (sender, receiver) = queue();
        drop(receiver);
        sender.send(Outcome { endpoint, ok: false, at: Tick(1) });
    }
}
