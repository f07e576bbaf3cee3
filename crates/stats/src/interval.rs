//! Confidence intervals: of a mean by Student's t, also over several groups, and of a proportion by Wilson's score. For
//! skewed statistics use `bootstrap`; for looking again and again while data come in use `sequential`: these intervals
//! hold for one look at a sample of fixed size.

use crate::check;
use crate::descriptive::{mean, standard_deviation};
use crate::dist::{Distribution, Normal, StudentT};
use crate::error::{Result, StatsError};

/// A range that covers the unknown value in a share `confidence` of repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// For example 0.95.
    pub confidence: f64,
}

impl Interval {
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// `centre` plus and minus `reach`.
    pub(crate) fn around(centre: f64, reach: f64, confidence: f64) -> Result<Self> {
        let low = check::finite("a bound of the interval", centre - reach)?;
        let high = check::finite("a bound of the interval", centre + reach)?;
        Ok(Self { low, high, confidence })
    }
}

/// Interval for the mean of independent values, at least two of them. For paired samples give the differences.
///
/// # Errors
/// Fewer than two values, values that are not finite or are all equal, `confidence` not between 0 and 1.
pub fn mean_interval(values: &[f64], confidence: f64) -> Result<Interval> {
    check::open_unit("the confidence", confidence)?;
    check::sample("the sample", values, 2)?;
    let sd = standard_deviation(values)?;
    if sd == 0.0 {
        return Err(StatsError::NoVariation { what: "the sample".to_owned() });
    }
    let n = values.len() as f64;
    let reach = StudentT::new(n - 1.0)?.upper_quantile(0.5 - 0.5 * confidence)? * (sd / n.sqrt());
    Interval::around(mean(values)?, reach, confidence)
}

/// Mean of the means of groups, each of which counts as much as any other, however many values it has.
///
/// # Errors
/// No group, an empty one, or a value that is not finite.
pub fn stratified_mean<G: AsRef<[f64]>>(groups: &[G]) -> Result<f64> {
    let means: Vec<f64> = groups.iter().map(|group| mean(group.as_ref())).collect::<Result<_>>()?;
    mean(&means)
}

/// Interval for [`stratified_mean`] over groups of independent values: only what lies within groups is chance, what
/// lies between them is not. Variances may differ (degrees of freedom by Welch and Satterthwaite). Of one group it
/// is [`mean_interval`].
///
/// # Errors
/// No group, one of fewer than two values, a value that is not finite, no variation within any group, `confidence`
/// not between 0 and 1.
pub fn stratified_mean_interval<G: AsRef<[f64]>>(groups: &[G], confidence: f64) -> Result<Interval> {
    check::open_unit("the confidence", confidence)?;
    let centre = stratified_mean(groups)?;
    let errors: Vec<f64> = groups
        .iter()
        .map(|group| Ok(standard_deviation(group.as_ref())? / (group.as_ref().len() as f64).sqrt()))
        .collect::<Result<_>>()?;
    let largest = errors.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Err(StatsError::NoVariation { what: "each group for itself".to_owned() });
    }
    // Shares of the largest, so that squares stay in range.
    let variances = || errors.iter().map(|error| (error / largest).powi(2));
    let sum: f64 = variances().sum();
    let freedom = |(variance, group): (f64, &G)| variance * variance / (group.as_ref().len() as f64 - 1.0);
    let df = sum * sum / variances().zip(groups).map(freedom).sum::<f64>();
    let error = largest * sum.sqrt() / groups.len() as f64;
    let reach = StudentT::new(df)?.upper_quantile(0.5 - 0.5 * confidence)? * error;
    Interval::around(centre, reach, confidence)
}

/// Interval for a proportion of which `found` of `of` were seen (Wilson 1927).
///
/// # Errors
/// None seen at all, more found than seen, `confidence` not between 0 and 1.
pub fn proportion_interval(found: u64, of: u64, confidence: f64) -> Result<Interval> {
    check::open_unit("the confidence", confidence)?;
    check::positive("the number seen", of as f64)?;
    if found > of {
        return Err(StatsError::Parameter {
            name: "the number found",
            value: found as f64,
            need: "at most those seen",
        });
    }
    let (n, share) = (of as f64, found as f64 / of as f64);
    let z = Normal.upper_quantile(0.5 - 0.5 * confidence)?;
    let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Ok(Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0), confidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
    #[test]
    fn proportions_of_the_literature() {
        for (found, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = proportion_interval(found, of, 0.95).unwrap();
            assert!((interval.low - low).abs() < 6e-5 && (interval.high - high).abs() < 6e-5, "{interval:?}");
        }
        assert!(proportion_interval(0, 0, 0.95).is_err() && proportion_interval(2, 1, 0.95).is_err());
    }

    #[test]
    fn five_values_by_hand() {
        // t(4, 97.5 %) = 2.776445105; sd = sqrt(2.5).
        let interval = mean_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        let reach = 2.776_445_105_197_793 * (2.5f64 / 5.0).sqrt();
        assert!((interval.high - 3.0 - reach).abs() < 1e-12, "{interval:?}");
        assert!(interval.contains(3.0) && !interval.contains(5.0));
    }

    #[test]
    fn what_lies_between_groups_is_no_chance() {
        // t(4, 97.5 %); each mean has the variance 1/3, their mean half of that over two.
        let interval = stratified_mean_interval(&[[1.0, 2.0, 3.0], [101.0, 102.0, 103.0]], 0.95).unwrap();
        let reach = 2.776_445_105_197_793 * (1.0f64 / 6.0).sqrt();
        assert!((interval.low - (52.0 - reach)).abs() < 1e-12, "{interval:?}");
        let sample = [2.0, 3.5, 9.0, 1.0];
        let (one, plain) = (stratified_mean_interval(&[sample], 0.9), mean_interval(&sample, 0.9));
        let (one, plain) = (one.unwrap(), plain.unwrap());
        assert!((one.low - plain.low).abs() < 1e-12 && (one.high - plain.high).abs() < 1e-12);
        // A group without variation adds none, and a large group counts no more than a small one.
        let groups = [vec![5.0; 9], vec![1.0, 2.0, 3.0]];
        assert_eq!(stratified_mean(&groups), Ok(3.5));
        let interval = stratified_mean_interval(&groups, 0.95).unwrap();
        // t(2, 97.5 %) in closed form.
        let critical = 0.95 / (2.0f64 * 0.975 * 0.025).sqrt();
        assert!((interval.high - 3.5 - critical * (1.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
    }

    #[test]
    fn groups_that_cannot_be_judged_are_refused() {
        let none: [Vec<f64>; 0] = [];
        assert!(stratified_mean(&none).is_err() && stratified_mean_interval(&none, 0.95).is_err());
        let interval = |groups: &[Vec<f64>]| stratified_mean_interval(groups, 0.95);
        assert!(matches!(interval(&[vec![1.0, 2.0], vec![1.0]]), Err(StatsError::TooFew { .. })));
        assert!(matches!(interval(&[vec![1.0; 3], vec![2.0; 3]]), Err(StatsError::NoVariation { .. })));
        assert!(interval(&[vec![1e300, 3e300], vec![1e-300, 3e-300]]).is_ok());
    }

    #[test]
    fn a_sample_that_cannot_be_judged_is_refused() {
        assert!(matches!(mean_interval(&[1.0; 4], 0.95), Err(StatsError::NoVariation { .. })));
        assert!(matches!(mean_interval(&[1.0], 0.95), Err(StatsError::TooFew { .. })));
        assert!(matches!(mean_interval(&[1.0, 2.0], 1.0), Err(StatsError::Parameter { .. })));
        assert!(matches!(mean_interval(&[1.0, f64::INFINITY], 0.9), Err(StatsError::NotFinite { .. })));
    }
}
