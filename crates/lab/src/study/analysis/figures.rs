//! Single figures: a mean with its interval, and how numbers are written.

use super::CONFIDENCE;
use headgate_stats::interval::{stratified_mean, stratified_mean_interval};
use std::fmt;

/// A mean over runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub mean: f64,
    /// Half the width of the confidence interval; none where a combination has a single run, or all are equal.
    pub half: Option<f64>,
}

/// The mean over combinations of levels, each of which counts as much as any other; what lies between them is no chance.
/// `None` without any value.
pub(super) fn estimate(strata: &[Vec<f64>]) -> Option<Estimate> {
    let mean = stratified_mean(strata).ok()?;
    let interval = stratified_mean_interval(strata, CONFIDENCE).ok();
    Some(Estimate { mean, half: interval.map(|interval| (interval.high - interval.low) / 2.0) })
}

/// The mean as a cell of a table.
pub(super) fn cell(strata: &[Vec<f64>]) -> String {
    estimate(strata).map_or_else(|| "-".to_owned(), |one| one.to_string())
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.half {
            Some(half) => write!(f, "{} ± {}", number(self.mean), number(half)),
            None => f.write_str(&number(self.mean)),
        }
    }
}

/// Four significant digits; whole numbers from 1,000 on.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 1_000.0 => format!("{value:.0}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A probability as tests give it.
pub(super) fn probability(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_a_reader_needs() {
        let written: Vec<String> =
            [0.0, 0.00042, 0.5, 12.345, 345.67, 1_847.3, 2.5e7, f64::INFINITY].map(number).to_vec();
        assert_eq!(written, ["0", "4.20e-4", "0.500", "12.35", "345.7", "1847", "2.50e7", "inf"]);
        assert_eq!([0.5, 0.00001].map(probability), ["0.5000", "< 0.0001"]);
    }
}
