//! What a sample looks like: count, mean, standard deviation, median, range, percentiles. Describes; it neither
//! judges nor removes anything.

use crate::check;
use crate::error::{Result, StatsError};
use crate::moments::{Moments, Scale};

/// The usual figures of one sample, in the unit of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub n: usize,
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); `None` for a single value.
    pub sd: Option<f64>,
    pub min: f64,
    pub max: f64,
    /// `max - min`.
    pub range: f64,
    pub median: f64,
    /// Quartiles by [`Percentile::Linear`].
    pub q1: f64,
    pub q3: f64,
    pub p95: f64,
    pub p99: f64,
}

/// Which value stands for a percentile; the numbers are those of Hyndman and Fan (1996).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Percentile {
    /// Type 7: linear between the order statistics around `(n - 1) p`. The default of R, NumPy and spreadsheets.
    #[default]
    Linear,
    /// Type 8: linear, nearly median-unbiased whatever the distribution.
    MedianUnbiased,
    /// Type 1: the smallest value that at least a share `p` of the sample does not exceed. Always a value that
    /// was measured; what latency histograms report.
    NearestRank,
}

/// Summarises a sample of at least one finite value.
///
/// # Errors
/// An empty sample, a value that is not finite, a range that a double cannot hold.
pub fn summary(values: &[f64]) -> Result<Summary> {
    check::sample("the sample", values, 1)?;
    let scale = Scale::of(values);
    let moments = Moments::of(values, scale);
    let sorted = sorted(values);
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    let at = |p| pick(&sorted, p, Percentile::Linear);
    Ok(Summary {
        n: values.len(),
        mean: scale.up(moments.mean.value()).clamp(min, max),
        sd: match values.len() {
            1 => None,
            _ => Some(check::finite("the standard deviation", scale.up(moments.variance().sqrt()))?),
        },
        min,
        max,
        range: check::finite("the range", max - min)?,
        median: at(0.5),
        q1: at(0.25),
        q3: at(0.75),
        p95: at(0.95),
        p99: at(0.99),
    })
}

/// Mean of at least one finite value.
///
/// # Errors
/// An empty sample or a value that is not finite.
pub fn mean(values: &[f64]) -> Result<f64> {
    check::sample("the sample", values, 1)?;
    let scale = Scale::of(values);
    Ok(scale.up(Moments::of(values, scale).mean.value()))
}

/// Sample standard deviation (divisor n - 1) of at least two finite values.
///
/// # Errors
/// Fewer than two values, or one that is not finite.
pub fn standard_deviation(values: &[f64]) -> Result<f64> {
    check::sample("the sample", values, 2)?;
    let scale = Scale::of(values);
    check::finite("the standard deviation", scale.up(Moments::of(values, scale).variance().sqrt()))
}

/// Median: the middle value, or the mean of the two in the middle.
///
/// # Errors
/// An empty sample or a value that is not finite.
pub fn median(values: &[f64]) -> Result<f64> {
    percentile(values, 0.5, Percentile::Linear)
}

/// The value below which a share `p` in `[0, 1]` of the sample lies.
///
/// # Errors
/// An empty sample, a value that is not finite, or `p` out of range.
pub fn percentile(values: &[f64], p: f64, definition: Percentile) -> Result<f64> {
    check::sample("the sample", values, 1)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(StatsError::Parameter { name: "the percentile", value: p, need: "a share from 0 to 1" });
    }
    Ok(pick(&sorted(values), p, definition))
}

/// The values in ascending order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The percentile of a sorted sample that is not empty.
pub(crate) fn pick(sorted: &[f64], p: f64, definition: Percentile) -> f64 {
    let n = sorted.len() as f64;
    let last = sorted.len() - 1;
    // Position counted from 0.
    let position = match definition {
        Percentile::Linear => (n - 1.0) * p,
        Percentile::MedianUnbiased => (n + 1.0 / 3.0) * p - 2.0 / 3.0,
        // The small allowance keeps 0.07 * 100 = 7.000000000000001 at the 7th value.
        Percentile::NearestRank => (n * p - n * f64::EPSILON).ceil() - 1.0,
    };
    let position = position.clamp(0.0, last as f64);
    let (low, share) = (position.floor() as usize, position.fract());
    if share == 0.0 || low == last {
        return sorted[low];
    }
    let (a, b) = (sorted[low], sorted[low + 1]);
    // Halves first: the difference of two huge values of opposite sign would overflow.
    (a + 2.0 * share * (b / 2.0 - a / 2.0)).clamp(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_small_sample() {
        let figures = summary(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((figures.n, figures.mean, figures.median, figures.range), (4, 2.5, 2.5, 3.0));
        assert_eq!((figures.q1, figures.q3), (1.75, 3.25));
        assert!((figures.sd.unwrap() - (5.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(summary(&[7.0]).unwrap().sd, None);
    }

    #[test]
    fn definitions_of_percentiles_differ_as_named() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let at = |p, definition| percentile(&values, p, definition).unwrap();
        assert!((at(0.95, Percentile::Linear) - 9.55).abs() < 1e-12);
        assert_eq!(at(0.95, Percentile::NearestRank), 10.0);
        assert_eq!(at(0.9, Percentile::NearestRank), 9.0);
        assert!((at(0.25, Percentile::MedianUnbiased) - 2.916_666_666_666_667).abs() < 1e-12);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.07, Percentile::NearestRank), Ok(7.0));
        assert_eq!(percentile(&hundred, 0.0, Percentile::NearestRank), Ok(1.0));
    }

    #[test]
    fn extremes_of_the_number_range_are_described_or_refused() {
        let huge = summary(&[1e300, 3e300]).unwrap();
        assert_eq!(huge.mean, 2e300);
        assert!((huge.sd.unwrap() / 2f64.sqrt() / 1e300 - 1.0).abs() < 1e-15);
        let tiny = summary(&[1e-300, 3e-300]).unwrap();
        assert!((tiny.sd.unwrap() / 2f64.sqrt() / 1e-300 - 1.0).abs() < 1e-15);
        assert_eq!(median(&[-1.7e308, 1.7e308]), Ok(0.0));
        assert_eq!(
            summary(&[-1.7e308, 1.7e308]),
            Err(StatsError::OutOfRange { what: "the standard deviation" })
        );
        assert_eq!(standard_deviation(&[0.1; 3]), Ok(0.0));
    }

    #[test]
    fn bad_input_is_named() {
        let error = summary(&[1.0, f64::NAN]).unwrap_err();
        assert!(error.to_string().contains("value 1 is NaN"), "{error}");
        assert!(matches!(mean(&[]), Err(StatsError::TooFew { have: 0, need: 1, .. })));
        assert!(matches!(standard_deviation(&[1.0]), Err(StatsError::TooFew { .. })));
        assert!(percentile(&[1.0], 1.5, Percentile::Linear).is_err());
        assert!(percentile(&[1.0], f64::NAN, Percentile::Linear).is_err());
    }
}
