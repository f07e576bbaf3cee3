//! Of two random endpoints, the lower product of recent peak latency and requests in flight. The
//! estimate jumps to a peak and forgets it slowly, so a stalling endpoint is left after one slow answer.
//!
//! Source: the peak-EWMA load metric of Twitter's Finagle and of Linkerd, as their documentation
//! describes it; two choices as in [`super::p2c`].

use super::random::Random;
use super::{Endpoints, effective_weight};
use headgate_model::dice::Dice;
use headgate_model::units::Tick;
use std::time::Duration;

/// Default time constant: after it, 37 % of an old latency is left. Finagle's and Linkerd's value.
pub const DECAY: Duration = Duration::from_secs(10);

/// What a failure counts as at least. Without it an endpoint that fails at once looks the fastest and
/// draws all traffic.
pub const FAILURE_PENALTY: Duration = Duration::from_secs(1);

/// A latency estimate that rises at once and falls exponentially.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakEwma {
    /// Microseconds at `at`; zero when never observed.
    pub us: f32,
    pub at: Tick,
}

impl PeakEwma {
    /// Folds one answer: a higher latency replaces the estimate, a lower one pulls it down by the
    /// weight that the time since the last answer has earned.
    #[must_use]
    pub fn observe(self, rtt: Duration, now: Tick, decay: Duration) -> Self {
        let us = (rtt.as_secs_f32() * 1e6).max(1.0);
        let kept = self.kept(now, decay);
        let folded = if us >= self.us { us } else { self.us * kept + us * (1.0 - kept) };
        Self { us: folded, at: self.at.max(now) }
    }

    /// Folds one failure after `rtt`: as slow as it was, but at least [`FAILURE_PENALTY`].
    #[must_use]
    pub fn observe_failure(self, rtt: Duration, now: Tick, decay: Duration) -> Self {
        self.observe(rtt.max(FAILURE_PENALTY), now, decay)
    }

    /// The estimate in microseconds at `now`. It fades while nothing is observed, so that an endpoint
    /// left for its latency is tried again.
    #[must_use]
    pub fn us_at(self, now: Tick, decay: Duration) -> f32 {
        self.us * self.kept(now, decay)
    }

    fn kept(self, now: Tick, decay: Duration) -> f32 {
        (-now.since(self.at).as_secs_f32() / decay.as_secs_f32().max(1e-9)).exp()
    }
}

/// The policy: two candidates by weight, the lower cost.
#[derive(Clone, Debug)]
pub struct LowestCost {
    random: Random,
    decay: Duration,
}

impl LowestCost {
    #[must_use]
    pub fn new(weights: &[u32], decay: Duration) -> Self {
        Self { random: Random::new(weights), decay }
    }

    /// The endpoint for one request; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, now: Tick, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        let (first, second) = self.random.choose_two(endpoints, dice)?;
        let Some(second) = second else { return Some(first) };
        let second_is_less = self.cost(now, endpoints, second) < self.cost(now, endpoints, first);
        Some(if second_is_less { second } else { first })
    }

    /// Microseconds of expected wait for one unit of weight.
    fn cost<E: Endpoints>(&self, now: Tick, endpoints: &E, index: usize) -> f32 {
        let latency = endpoints.latency(index);
        let in_flight = endpoints.in_flight(index);
        let us = match (latency.us == 0.0, in_flight) {
            // Never observed: one request finds out, and no second one before it is back.
            (true, 0) => return 0.0,
            (true, _) => FAILURE_PENALTY.as_secs_f32() * 1e6,
            (false, _) => latency.us_at(now, self.decay).max(1.0),
        };
        us * (in_flight as f32 + 1.0) / effective_weight(endpoints, index) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Plain;
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const START: Tick = Tick(1_000_000_000_000);

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let calm = PeakEwma::default().observe(10 * MS, START, DECAY);
        assert_eq!(calm.us, 10_000.0);
        let peak = calm.observe(900 * MS, START + MS, DECAY);
        assert_eq!(peak.us, 900_000.0);
        let mut falling = peak;
        for answer in 1..=100 {
            falling = falling.observe(10 * MS, START + 100 * MS * answer, DECAY);
        }
        // One time constant later: 10 ms and 1/e of the 890 ms above them.
        assert!((falling.us - 337_400.0).abs() < 2_000.0, "{}", falling.us);
        assert!(falling.us_at(START + Duration::from_secs(200), DECAY) < 1.0);
    }

    /// For any answers in any order of time, the estimate stays within what was observed.
    #[test]
    fn stays_within_what_was_observed() {
        let mut dice = Dice::new(8);
        for _ in 0..200 {
            let mut estimate = PeakEwma::default();
            let (mut low, mut high) = (f32::MAX, 0.0f32);
            for _ in 0..50 {
                let rtt = Duration::from_micros(1 + dice.below(2_000_000));
                estimate = estimate.observe(rtt, Tick(dice.below(100_000_000_000)), DECAY);
                low = low.min(rtt.as_secs_f32() * 1e6);
                high = high.max(rtt.as_secs_f32() * 1e6);
                assert!((low * 0.999..=high * 1.001).contains(&estimate.us), "{estimate:?}");
            }
        }
    }

    #[test]
    fn a_fast_failing_endpoint_is_not_a_fast_endpoint() {
        let mut endpoints = Plain::even(2);
        endpoints.latency[0] = PeakEwma::default().observe_failure(Duration::from_micros(50), START, DECAY);
        endpoints.latency[1] = PeakEwma::default().observe(20 * MS, START, DECAY);
        let (policy, mut dice) = (LowestCost::new(&endpoints.weights, DECAY), Dice::new(1));
        assert!((0..200).all(|_| policy.choose(START, &endpoints, &mut dice) == Some(1)));
        let later = START + Duration::from_secs(300);
        endpoints.latency[1] = PeakEwma::default().observe(20 * MS, later, DECAY);
        assert_eq!(policy.choose(later, &endpoints, &mut dice), Some(0), "is tried again");
    }

    #[test]
    fn an_unknown_endpoint_is_tried_by_one_request_at_a_time() {
        let mut endpoints = Plain::even(2);
        endpoints.latency[0] = PeakEwma::default().observe(20 * MS, START, DECAY);
        let (policy, mut dice) = (LowestCost::new(&endpoints.weights, DECAY), Dice::new(1));
        assert_eq!(policy.choose(START, &endpoints, &mut dice), Some(1));
        endpoints.in_flight[1] = 1;
        assert_eq!(policy.choose(START, &endpoints, &mut dice), Some(0));
    }

    /// 60 requests always in flight, the oldest answered first, all endpoints equally fast.
    #[test]
    fn under_load_the_weights_divide_what_is_in_flight() {
        let mut endpoints = Plain::weighted(&[1, 2, 3]);
        endpoints.latency = vec![PeakEwma::default().observe(10 * MS, START, DECAY); 3];
        let (policy, mut dice) = (LowestCost::new(&endpoints.weights, DECAY), Dice::new(6));
        let mut pending = std::collections::VecDeque::new();
        for _ in 0..3_000 {
            if pending.len() == 60 {
                endpoints.in_flight[pending.pop_front().expect("60 pending")] -= 1;
            }
            let chosen: usize = policy.choose(START, &endpoints, &mut dice).expect("all usable");
            endpoints.in_flight[chosen] += 1;
            pending.push_back(chosen);
        }
        for (in_flight, expected) in endpoints.in_flight.iter().zip([10u32, 20, 30]) {
            assert!(in_flight.abs_diff(expected) <= 3, "{:?}", endpoints.in_flight);
        }
    }
}
