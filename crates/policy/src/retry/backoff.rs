//! How long to wait before a retry: a random part of an exponentially growing bound, so that those who
//! failed together do not come back together.
//!
//! Source: Brooker, "Exponential Backoff And Jitter", 2015 (the variant called full jitter).

use headgate_model::dice::Dice;
use std::time::Duration;

/// The wait before the `retry`-th retry, counted from one: uniform between zero and twice `mean`, the
/// bound doubling with each further retry and never above `max`.
#[must_use]
pub fn wait(retry: u32, mean: Duration, max: Duration, dice: &mut Dice) -> Duration {
    let doublings = 2u32.saturating_pow(retry.max(1));
    mean.saturating_mul(doublings).min(max).mul_f64(dice.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Duration = Duration::from_millis(25);
    const MAX: Duration = Duration::from_millis(250);

    #[test]
    fn means_double_until_the_bound() {
        let mut dice = Dice::new(1);
        for (retry, mean_ms) in [(1, 25.0), (2, 50.0), (3, 100.0), (4, 125.0), (40, 125.0)] {
            let waits: Vec<Duration> = (0..4_000).map(|_| wait(retry, MEAN, MAX, &mut dice)).collect();
            let mean = waits.iter().map(Duration::as_secs_f64).sum::<f64>() / 4.0;
            assert!((mean - mean_ms).abs() < mean_ms * 0.05, "retry {retry}: {mean} ms");
            assert!(waits.iter().all(|&wait| wait < MAX));
            assert!(waits.iter().any(|wait| wait.as_secs_f64() < 1e-4 * mean_ms), "full jitter reaches zero");
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut dice = Dice::new(2);
        assert!(wait(u32::MAX, Duration::MAX, MAX, &mut dice) < MAX);
        assert_eq!(wait(1, Duration::ZERO, MAX, &mut dice), Duration::ZERO);
    }
}
