//! What one request costs: its time, size and fate, drawn from the service's dice in order of arrival.

use super::ServiceOptions;
use headgate_model::dice::Dice;
use std::f64::consts::TAU;
use std::time::Duration;

/// One request's draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) time: Duration,
    pub(super) bytes: usize,
    pub(super) fails: bool,
}

/// Draws the next request. Always takes the same number of throws, so that changing one option leaves the
/// draws of the others as they were.
pub(super) fn draw(options: &ServiceOptions, dice: &mut Dice) -> Work {
    let time = lognormal(options.mean.as_secs_f64(), options.variation, dice);
    let jitter = options.payload_jitter * (2.0 * dice.unit() - 1.0);
    Work {
        // Beyond an hour a draw from the far tail says nothing more.
        time: Duration::from_secs_f64(time.clamp(0.0, 3_600.0)),
        bytes: (options.payload as f64 * (1.0 + jitter)) as usize,
        fails: dice.unit() < options.error_rate,
    }
}

/// Lognormal with the given mean and coefficient of variation: if `sigma^2 = ln(1 + variation^2)` and
/// `mu = ln(mean) - sigma^2 / 2`, then `exp(mu + sigma z)` has them for a standard normal `z`.
fn lognormal(mean: f64, variation: f64, dice: &mut Dice) -> f64 {
    let sigma_squared = variation.mul_add(variation, 1.0).ln();
    // Box and Muller (1958); one minus a throw is never zero.
    let normal = (-2.0 * (1.0 - dice.unit()).ln()).sqrt() * (TAU * dice.unit()).cos();
    mean * sigma_squared.sqrt().mul_add(normal, -sigma_squared / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 200_000;

    fn draws(options: &ServiceOptions) -> Vec<Work> {
        let mut dice = Dice::new(options.seed);
        (0..DRAWS).map(|_| draw(options, &mut dice)).collect()
    }

    #[test]
    fn times_have_the_mean_and_the_variation_asked_for() {
        for variation in [0.0, 0.5, 1.0] {
            let options = ServiceOptions { variation, ..ServiceOptions::default() };
            let times: Vec<f64> = draws(&options).iter().map(|work| work.time.as_secs_f64() * 1e3).collect();
            let mean = times.iter().sum::<f64>() / DRAWS as f64;
            let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / DRAWS as f64;
            assert!((mean - 5.0).abs() < 0.05, "mean {mean} ms at variation {variation}");
            let found = variance.sqrt() / mean;
            assert!((found - variation).abs() < 0.03, "variation {found} instead of {variation}");
        }
    }

    #[test]
    fn sizes_and_errors_follow_their_options_and_the_seed_repeats_them() {
        let options = ServiceOptions {
            payload: 1_000,
            payload_jitter: 0.2,
            error_rate: 0.1,
            ..ServiceOptions::default()
        };
        let all = draws(&options);
        assert!(all.iter().all(|work| (800..=1_200).contains(&work.bytes)));
        assert!(all.iter().any(|work| work.bytes < 820) && all.iter().any(|work| work.bytes > 1_180));
        let failed = all.iter().filter(|work| work.fails).count() as f64 / DRAWS as f64;
        assert!((failed - 0.1).abs() < 0.005, "{failed}");
        assert_eq!(all, draws(&options));
        assert_ne!(all, draws(&ServiceOptions { seed: 2, ..options }));
    }
}
