//! Bulkhead: bounds what one service can hold of the gateway. It decides on counts that the caller
//! keeps; it neither counts nor queues itself.

use headgate_model::spec;
use headgate_model::units::Tick;
use std::time::Duration;

/// What happens to a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Takes a place at once.
    Admitted,
    /// Waits for one, until [`Bulkhead::deadline`].
    Queue,
    /// Is answered 503 at once.
    Refused,
}

/// The limits of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulkhead {
    places: u32,
    queue: u32,
    queue_timeout: Duration,
}

impl Bulkhead {
    #[must_use]
    pub fn new(spec: &spec::Bulkhead) -> Self {
        Self { places: spec.in_flight, queue: spec.queue, queue_timeout: spec.queue_timeout.0 }
    }

    /// Decides for a request that arrives while `in_flight` requests hold places and `queued` wait.
    /// Free places belong to those who wait; only what is left over admits a newcomer.
    #[must_use]
    pub fn enter(&self, in_flight: u32, queued: u32) -> Entry {
        let free = self.places.saturating_sub(in_flight);
        if queued < free {
            Entry::Admitted
        } else if queued < self.queue {
            Entry::Queue
        } else {
            Entry::Refused
        }
    }

    /// Whether the first in the queue may take a place.
    #[must_use]
    pub fn leaves_queue(&self, in_flight: u32) -> bool {
        in_flight < self.places
    }

    /// Share of the places that `in_flight` requests take, 0 to 1.
    #[must_use]
    pub fn load(&self, in_flight: u32) -> f64 {
        (f64::from(in_flight) / f64::from(self.places.max(1))).min(1.0)
    }

    /// When a request that begins to wait now must give up.
    #[must_use]
    pub fn deadline(&self, now: Tick) -> Tick {
        now + self.queue_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    fn bulkhead(in_flight: u32, queue: u32) -> Bulkhead {
        Bulkhead::new(&spec::Bulkhead { in_flight, queue, ..spec::Bulkhead::default() })
    }

    #[test]
    fn admits_then_queues_then_refuses() {
        let bulkhead = bulkhead(10, 3);
        assert_eq!(bulkhead.enter(9, 0), Entry::Admitted);
        assert_eq!(bulkhead.enter(10, 0), Entry::Queue);
        assert_eq!(bulkhead.enter(10, 2), Entry::Queue);
        assert_eq!(bulkhead.enter(10, 3), Entry::Refused);
        assert_eq!(bulkhead.enter(12, 3), Entry::Refused, "over the limit after a reload lowered it");
    }

    #[test]
    fn a_newcomer_does_not_overtake_the_queue() {
        assert_eq!(bulkhead(10, 3).enter(9, 1), Entry::Queue);
        assert_eq!(bulkhead(10, 3).enter(8, 1), Entry::Admitted, "a place is left over");
    }

    #[test]
    fn waiting_ends() {
        assert_eq!(bulkhead(1, 1).deadline(Tick(5)), Tick(1_000_000_005));
    }

    /// Random arrivals, departures and promotions never exceed either limit, and nobody is refused
    /// while there is room.
    #[test]
    fn keeps_both_limits() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let (places, queue) = (dice.below(8) as u32, dice.below(5) as u32);
            let bulkhead = bulkhead(places, queue);
            let (mut in_flight, mut queued) = (0u32, 0u32);
            for _ in 0..500 {
                match dice.below(3) {
                    0 => in_flight = in_flight.saturating_sub(1),
                    1 if queued > 0 && bulkhead.leaves_queue(in_flight) => {
                        queued -= 1;
                        in_flight += 1;
                    }
                    _ => match bulkhead.enter(in_flight, queued) {
                        Entry::Admitted => in_flight += 1,
                        Entry::Queue => queued += 1,
                        Entry::Refused => assert!(in_flight + queued >= places && queued == queue),
                    },
                }
                assert!(in_flight <= places && queued <= queue, "seed {seed}");
            }
        }
    }
}
