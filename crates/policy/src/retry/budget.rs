//! Retry budget: retries may be a share of the recent requests and no more, so that an outage is not
//! multiplied by everyone trying again. It does not decide whether a request may be repeated.

use crate::window::Window;
use headgate_model::units::Tick;
use std::time::Duration;

/// How far back requests and retries are counted.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Retries that a window may always have: else a quiet service could never retry.
pub const FLOOR: u64 = 10;

/// Requests and retries of the last [`WINDOW`].
#[derive(Clone, Debug)]
pub struct RetryBudget {
    percent: u64,
    window: Window<10>,
}

impl RetryBudget {
    /// `percent`: retries for each hundred first attempts in the window.
    #[must_use]
    pub fn new(percent: u8) -> Self {
        Self { percent: u64::from(percent), window: Window::new(WINDOW) }
    }

    /// Counts a first attempt.
    pub fn deposit(&mut self, now: Tick) {
        self.window.add(now, 1, 0);
    }

    /// Takes one retry out of the budget; false when it is used up.
    pub fn withdraw(&mut self, now: Tick) -> bool {
        let counts = self.window.counts(now);
        let granted = counts.marked < (counts.all * self.percent / 100).max(FLOOR);
        if granted {
            self.window.add(now, 0, 1);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const START: Tick = Tick(1_000_000_000_000);

    fn granted(budget: &mut RetryBudget, now: Tick, asked: u32) -> usize {
        (0..asked).filter(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_quiet_service_has_the_floor() {
        let mut budget = RetryBudget::new(20);
        assert_eq!(granted(&mut budget, START, 100), 10);
        assert_eq!(granted(&mut budget, START + Duration::from_secs(8), 100), 0);
        assert_eq!(granted(&mut budget, START + WINDOW, 100), 10, "the window has passed");
    }

    #[test]
    fn a_busy_service_has_its_percent() {
        let mut budget = RetryBudget::new(20);
        (0..1_000).for_each(|_| budget.deposit(START));
        assert_eq!(granted(&mut budget, START, 1_000), 200);
        assert_eq!(granted(&mut budget, START + WINDOW, 1_000), 10, "old requests earn nothing");
    }

    /// In a total outage every attempt fails and asks for another: the load stays below 1.2 times,
    /// wherever the window begins.
    #[test]
    fn an_outage_is_not_multiplied() {
        for seed in 0..20 {
            let (mut dice, mut budget, mut now) = (Dice::new(seed), RetryBudget::new(20), START);
            let (mut requests, mut retries) = (0u64, 0u64);
            for _ in 0..20_000 {
                now = now + Duration::from_micros(dice.below(4_000));
                budget.deposit(now);
                requests += 1;
                retries += u64::from(budget.withdraw(now));
            }
            // The first window's floor comes on top.
            assert!(retries <= requests / 5 + FLOOR, "seed {seed}: {retries} retries for {requests}");
            assert!(retries >= requests / 6, "seed {seed}: {retries} retries for {requests}");
        }
    }
}
