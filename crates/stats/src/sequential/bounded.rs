//! A test of the mean of bounded values by betting against it (Waudby-Smith and Ramdas, "Estimating means of
//! bounded random variables by betting", 2024): wealth that grows is evidence. Exact from the first value, for
//! any distribution within the bounds, also for a mean that moves while staying on its side.

use crate::check;
use crate::error::{Result, StatsError};

/// Share of the wealth that one bet may risk.
const BOLDNESS: f64 = 0.75;

/// Two gamblers who bet that the mean of values in `[low, high]` is above, or below, a given one. For paired
/// outcomes of 0 or 1 observe the differences, with bounds -1 and 1.
#[derive(Clone, Debug)]
pub struct BoundedTest {
    low: f64,
    high: f64,
    /// The mean under test, as a share of the way from `low` to `high`.
    null: f64,
    n: f64,
    sum: f64,
    /// Sum of squared distances from the mean known at the time.
    squares: f64,
    above: Wealth,
    below: Wealth,
    both: f64,
}

/// Logarithms of a gambler's wealth now and at its largest; it starts at 1.
#[derive(Clone, Copy, Debug, Default)]
struct Wealth {
    now: f64,
    largest: f64,
}

impl Wealth {
    fn multiply(&mut self, factor: f64) {
        self.now += libm::log(factor);
        self.largest = self.largest.max(self.now);
    }
}

impl BoundedTest {
    /// Tests whether the mean of values within `low` and `high` is `null`.
    ///
    /// # Errors
    /// Bounds that are not finite or not in order, `null` not strictly between them.
    pub fn new(low: f64, high: f64, null: f64) -> Result<Self> {
        check::sample("the bounds", &[low, high], 2)?;
        check::positive("the distance of the bounds", high - low)?;
        let share = (null - low) / (high - low);
        if !(share > 0.0 && share < 1.0) {
            let need = "strictly between the bounds";
            return Err(StatsError::Parameter { name: "the mean under test", value: null, need });
        }
        let (above, below) = (Wealth::default(), Wealth::default());
        Ok(Self { low, high, null: share, n: 0.0, sum: 0.0, squares: 0.0, above, below, both: 0.0 })
    }

    /// Takes in one value.
    ///
    /// # Errors
    /// The value is not within the bounds; the state stays as it was.
    pub fn observe(&mut self, value: f64) -> Result<()> {
        if !(self.low..=self.high).contains(&value) {
            let need = "within the bounds of the test";
            return Err(StatsError::Parameter { name: "the observed value", value, need });
        }
        let x = (value - self.low) / (self.high - self.low);
        // The bet uses only what was known before this value: nearly the growth-optimal one for the mean and
        // variance seen so far, started as if half of the way had been seen once.
        let edge = self.mean() - self.null;
        let variance = (0.25 + self.squares) / (self.n + 1.0);
        let bet = edge / (variance + edge * edge);
        let gain = x - self.null;
        self.above.multiply(1.0 + bet.clamp(0.0, BOLDNESS / self.null) * gain);
        self.below.multiply(1.0 - (-bet).clamp(0.0, BOLDNESS / (1.0 - self.null)) * gain);
        let mean_of_both = log_mean(self.above.now, self.below.now);
        self.both = self.both.max(mean_of_both);
        self.n += 1.0;
        self.sum += x;
        self.squares += (x - self.mean()).powi(2);
        Ok(())
    }

    /// Values taken in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.n as u64
    }

    /// Anytime-valid p-value of "the mean is at most the one under test".
    #[must_use]
    pub fn p_above(&self) -> f64 {
        libm::exp(-self.above.largest)
    }

    /// Anytime-valid p-value of "the mean is at least the one under test".
    #[must_use]
    pub fn p_below(&self) -> f64 {
        libm::exp(-self.below.largest)
    }

    /// Anytime-valid two-sided p-value: the chance that it ever falls to `alpha` is at most `alpha`.
    #[must_use]
    pub fn p(&self) -> f64 {
        libm::exp(-self.both)
    }

    fn mean(&self) -> f64 {
        (0.5 + self.sum) / (self.n + 1.0)
    }
}

/// Logarithm of the mean of two numbers given by logarithms.
fn log_mean(a: f64, b: f64) -> f64 {
    a.max(b) + libm::log(0.5 + 0.5 * libm::exp(-(a - b).abs()))
}

#[cfg(test)]
mod tests {
    use headgate_model::dice::Dice;

    use super::*;

    /// Share of 2000 runs of 500 values in which the p-value ever falls to 5 %.
    fn alarms(test: &BoundedTest, p: fn(&BoundedTest) -> f64, draw: impl Fn(&mut Dice) -> f64) -> f64 {
        let runs = 2000;
        let alarmed = (0..runs).filter(|seed| {
            let (mut dice, mut test) = (Dice::new(*seed), test.clone());
            (0..500).any(|_| {
                test.observe(draw(&mut dice)).unwrap();
                p(&test) <= 0.05
            })
        });
        alarmed.count() as f64 / runs as f64
    }

    fn flip(dice: &mut Dice, chance: f64) -> f64 {
        f64::from(dice.unit() < chance)
    }

    #[test]
    fn peeking_after_every_value_keeps_the_promise() {
        // Binomial error of 2000 runs at 5 %: 0.5 points.
        for chance in [0.02, 0.5, 0.9] {
            let test = BoundedTest::new(0.0, 1.0, chance).unwrap();
            for p in [BoundedTest::p, BoundedTest::p_above, BoundedTest::p_below] {
                let rate = alarms(&test, p, |dice| flip(dice, chance));
                assert!(rate <= 0.05 + 0.015, "{chance}: {rate}");
            }
        }
        let pairs = BoundedTest::new(-1.0, 1.0, 0.0).unwrap();
        let rate = alarms(&pairs, BoundedTest::p, |dice| flip(dice, 0.1) - flip(dice, 0.1));
        assert!(rate > 0.002 && rate <= 0.05 + 0.015, "{rate}");
    }

    #[test]
    fn a_canary_that_fails_more_often_is_caught_and_the_right_side_is_named() {
        let test = BoundedTest::new(0.0, 1.0, 0.02).unwrap();
        assert!(alarms(&test, BoundedTest::p_above, |dice| flip(dice, 0.1)) > 0.99);
        assert!(alarms(&test, BoundedTest::p_below, |dice| flip(dice, 0.1)) < 0.05);
    }

    #[test]
    fn bounds_are_held() {
        let mut test = BoundedTest::new(0.0, 1.0, 0.5).unwrap();
        assert!(test.observe(1.1).is_err() && test.observe(f64::NAN).is_err());
        assert_eq!((test.count(), test.p()), (0, 1.0));
        assert!(BoundedTest::new(1.0, 0.0, 0.5).is_err());
        assert!(BoundedTest::new(0.0, 1.0, 1.0).is_err());
        assert!(BoundedTest::new(0.0, f64::INFINITY, 1.0).is_err());
    }
}
