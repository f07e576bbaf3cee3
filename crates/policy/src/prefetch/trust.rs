//! Off when too little of what was fetched ahead is used: precision over the last outcomes, with a floor, and another
//! try after a while.

use headgate_model::units::Tick;
use std::time::Duration;

/// Outcomes that are looked at.
const WINDOW: usize = 128;

/// When to stop, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Share of what was fetched that must be used, 0 to 1.
    pub precision: f64,
    pub pause: Duration,
}

impl Default for Floor {
    fn default() -> Self {
        Self { precision: 0.25, pause: Duration::from_secs(60) }
    }
}

/// The window, and whether it is on.
#[derive(Clone, Debug)]
pub struct Trust {
    floor: Floor,
    /// Outcomes as a ring: used or not.
    outcomes: [bool; WINDOW],
    count: usize,
    off_until: Option<Tick>,
    switched_off: u64,
}

impl Trust {
    #[must_use]
    pub fn new(floor: Floor) -> Self {
        Self { floor, outcomes: [false; WINDOW], count: 0, off_until: None, switched_off: 0 }
    }

    /// Whether to fetch ahead at all. After the pause the window is empty, so it has to earn its trust anew.
    pub fn is_on(&mut self, now: Tick) -> bool {
        if self.off_until.is_some_and(|until| now >= until) {
            (self.off_until, self.count) = (None, 0);
        }
        self.off_until.is_none()
    }

    /// One fetch ahead was used, or left the cache without.
    pub fn outcome(&mut self, now: Tick, was_used: bool) {
        self.outcomes[self.count % WINDOW] = was_used;
        self.count += 1;
        if self.count >= WINDOW && self.off_until.is_none() && self.precision() < self.floor.precision {
            self.off_until = Some(now + self.floor.pause);
            self.switched_off += 1;
        }
    }

    /// Share of the last outcomes that were used; one before the first.
    #[must_use]
    pub fn precision(&self) -> f64 {
        let known = &self.outcomes[..self.count.min(WINDOW)];
        if known.is_empty() {
            1.0
        } else {
            known.iter().filter(|used| **used).count() as f64 / known.len() as f64
        }
    }

    /// How often it was switched off.
    #[must_use]
    pub fn switched_off(&self) -> u64 {
        self.switched_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_below_the_floor_and_on_again_after_the_pause() {
        let mut trust = Trust::new(Floor::default());
        let second = |seconds: u64| Tick(seconds * 1_000_000_000);
        (0..100).for_each(|_| trust.outcome(second(1), false));
        assert!(trust.is_on(second(1)), "too few to judge");
        (0..28).for_each(|_| trust.outcome(second(1), false));
        assert!(!trust.is_on(second(60)) && trust.switched_off() == 1);
        assert!(trust.is_on(second(61)));
        (0..127).for_each(|_| trust.outcome(second(62), false));
        assert!(trust.is_on(second(62)), "a new window");
        (0..500).for_each(|at| trust.outcome(second(63), at % 3 == 0));
        assert_eq!(trust.switched_off(), 2);
    }

    #[test]
    fn stays_on_while_enough_is_used() {
        let mut trust = Trust::new(Floor::default());
        (0..10_000).for_each(|at| trust.outcome(Tick(at), at % 2 == 0));
        assert!(trust.is_on(Tick(10_000)) && (trust.precision() - 0.5).abs() < 0.02);
    }
}
