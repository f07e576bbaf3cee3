//! Bootstrap intervals (Efron) for any statistic of one sample: percentile, and bias-corrected and accelerated
//! (BCa, 1987). For independent values; resampling does not mend dependence.

use headgate_model::dice::Dice;

use crate::check;
use crate::descriptive::{Percentile, pick};
use crate::dist::{Distribution, Normal};
use crate::error::{Result, StatsError};
use crate::interval::Interval;

/// Resamples that are worth the name, and the most that are drawn.
pub const FEWEST_RESAMPLES: usize = 100;
pub const MOST_RESAMPLES: usize = 1_000_000;
/// Values that all resamples together may have.
const MOST_WORK: usize = 4_000_000_000;

/// How the interval is read from the resamples.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// The middle share of the resampled statistics.
    Percentile,
    /// The same, corrected for bias and for an error that changes with the value.
    #[default]
    Bca,
}

/// A statistic with its bootstrap error and interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// The statistic of the sample itself.
    pub estimate: f64,
    /// Standard deviation of the resampled statistics.
    pub standard_error: f64,
    pub interval: Interval,
}

/// Draws `resamples` samples of the size of `values` with replacement and applies `statistic` to each.
///
/// # Errors
/// Fewer than two values, a value or a statistic that is not finite, too few or too many resamples, `confidence`
/// not between 0 and 1; for BCa a statistic that does not vary, or lies outside of all its resamples.
pub fn bootstrap(
    values: &[f64],
    statistic: impl Fn(&[f64]) -> f64,
    resamples: usize,
    confidence: f64,
    method: Method,
    dice: &mut Dice,
) -> Result<Bootstrap> {
    check::open_unit("the confidence", confidence)?;
    check::sample("the sample", values, 2)?;
    if !(FEWEST_RESAMPLES..=MOST_RESAMPLES).contains(&resamples) {
        let (name, value) = ("the number of resamples", resamples as f64);
        return Err(StatsError::Parameter { name, value, need: "from 100 to 1000000" });
    }
    let limit = MOST_WORK / resamples.max(values.len());
    if values.len() > limit {
        let (what, have) = ("the sample".to_owned(), values.len());
        return Err(StatsError::TooMany { what, have, limit, remedy: "draw fewer resamples" });
    }
    let statistic = |values: &[f64]| check::finite("the statistic", statistic(values));
    let estimate = statistic(values)?;
    let mut resample = vec![0.0; values.len()];
    let mut distribution = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        resample.fill_with(|| values[dice.below(values.len() as u64) as usize]);
        distribution.push(statistic(&resample)?);
    }
    distribution.sort_unstable_by(f64::total_cmp);
    let shares = match method {
        Method::Percentile => [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence],
        Method::Bca => {
            let acceleration = acceleration(values, &mut resample, statistic)?;
            bca_shares(estimate, &distribution, acceleration, confidence)?
        }
    };
    let [low, high] = shares.map(|share| pick(&distribution, share, Percentile::Linear));
    Ok(Bootstrap {
        estimate,
        standard_error: crate::descriptive::standard_deviation(&distribution)?,
        interval: Interval { low, high, confidence },
    })
}

/// Skewness of the influence of single values on the statistic, by leaving out each in turn, over six.
fn acceleration(
    values: &[f64],
    without: &mut Vec<f64>,
    statistic: impl Fn(&[f64]) -> Result<f64>,
) -> Result<f64> {
    without.clear();
    without.extend_from_slice(&values[1..]);
    let mut jackknife = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        // `without` lacks the value at `place`; next it lacks the one after.
        jackknife.push(statistic(without)?);
        if let Some(next) = without.get_mut(place) {
            *next = *value;
        }
    }
    let n = jackknife.len() as f64;
    let largest = jackknife.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let none = || StatsError::NoVariation { what: "the statistic without one value each".to_owned() };
    if jackknife.iter().all(|value| *value == jackknife[0]) {
        return Err(none());
    }
    let mean = jackknife.iter().map(|value| value / largest).sum::<f64>() / n;
    let influence = || jackknife.iter().map(|value| mean - value / largest);
    let squares: f64 = influence().map(|value| value * value).sum();
    let cubes: f64 = influence().map(|value| value * value * value).sum();
    let acceleration = cubes / (6.0 * squares * squares.sqrt());
    if acceleration.is_finite() { Ok(acceleration) } else { Err(none()) }
}

/// The shares of the sorted distribution that bound a BCa interval.
fn bca_shares(estimate: f64, sorted: &[f64], acceleration: f64, confidence: f64) -> Result<[f64; 2]> {
    let below = sorted.partition_point(|value| *value < estimate);
    let up_to = sorted.partition_point(|value| *value <= estimate);
    let share = 0.5 * (below + up_to) as f64 / sorted.len() as f64;
    if share == 0.0 || share == 1.0 {
        let what = "the resamples lie all on one side of the statistic".to_owned();
        return Err(StatsError::NoVariation { what });
    }
    let bias = Normal.quantile(share)?;
    let corrected = |tail: f64| -> Result<f64> {
        let moved = bias + Normal.quantile(tail)?;
        let stretch = 1.0 - acceleration * moved;
        if stretch <= 0.0 {
            let need = "small enough to correct by: use the percentile method";
            return Err(StatsError::Parameter { name: "the acceleration", value: acceleration, need });
        }
        Ok(Normal.lower_tail(bias + moved / stretch))
    };
    Ok([corrected(0.5 - 0.5 * confidence)?, corrected(0.5 + 0.5 * confidence)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::mean_interval;

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_mean_agrees_with_students_t_and_a_seed_repeats() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * 17 % 41)).collect();
        let run = |method| bootstrap(&values, mean, 4000, 0.9, method, &mut Dice::new(5)).unwrap();
        let student = mean_interval(&values, 0.9).unwrap();
        for method in [Method::Percentile, Method::Bca] {
            let found = run(method);
            assert_eq!(found, run(method));
            assert!((found.interval.low - student.low).abs() < 0.4, "{found:?} {student:?}");
            assert!((found.interval.high - student.high).abs() < 0.4, "{found:?} {student:?}");
        }
    }

    #[test]
    fn bca_covers_the_mean_of_skewed_samples() {
        // Exponential values, n = 30: nominal 90 %; the percentile method reaches about 86 %.
        let mut dice = Dice::new(11);
        let runs = 400;
        let covered = (0..runs).filter(|_| {
            let values: Vec<f64> = (0..30).map(|_| -libm::log(1.0 - dice.unit())).collect();
            bootstrap(&values, mean, 300, 0.9, Method::Bca, &mut dice).unwrap().interval.contains(1.0)
        });
        let share = covered.count() as f64 / f64::from(runs);
        assert!((0.83..0.94).contains(&share), "{share}");
    }

    #[test]
    fn bca_reads_a_given_distribution_as_scipy_does() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/scipy.json")).unwrap();
        for case in vectors["bootstraps"].as_array().unwrap() {
            let list = |name: &str| -> Vec<f64> {
                case[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let statistic = |values: &[f64]| match case["median"].as_bool().unwrap() {
                true => crate::descriptive::median(values),
                false => crate::descriptive::mean(values),
            };
            let (values, mut distribution, expected) = (list("values"), list("distribution"), list("bca"));
            distribution.sort_unstable_by(f64::total_cmp);
            let acceleration = acceleration(&values, &mut values.clone(), statistic).unwrap();
            let shares = bca_shares(statistic(&values).unwrap(), &distribution, acceleration, 0.9).unwrap();
            for (share, expected) in shares.into_iter().zip(expected) {
                let bound = pick(&distribution, share, Percentile::Linear);
                assert!((bound - expected).abs() < 1e-9, "{bound} {expected}");
            }
        }
    }

    #[test]
    fn what_cannot_be_resampled_is_named() {
        let mut dice = Dice::new(1);
        let mut run = |values: &[f64], statistic: fn(&[f64]) -> f64, resamples| {
            bootstrap(values, statistic, resamples, 0.95, Method::Bca, &mut dice)
        };
        assert!(matches!(run(&[1.0], mean, 200), Err(StatsError::TooFew { .. })));
        assert!(matches!(run(&[2.0; 5], mean, 200), Err(StatsError::NoVariation { .. })));
        assert!(matches!(run(&[1.0, 2.0], mean, 5), Err(StatsError::Parameter { .. })));
        assert!(matches!(run(&[1.0, 2.0], |_| f64::NAN, 200), Err(StatsError::OutOfRange { .. })));
    }
}
