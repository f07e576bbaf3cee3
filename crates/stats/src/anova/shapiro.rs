//! The test of normality by Shapiro and Wilk (1965) in Royston's approximation (algorithm AS R94, Applied
//! Statistics 1995). It says whether values look normal, not whether that matters.

use std::f64::consts::{FRAC_PI_3, PI};

use crate::check;
use crate::descriptive::sorted;
use crate::dist::{Distribution, Normal};
use crate::error::{Result, StatsError};
use crate::moments::{Moments, Scale};

/// The approximation is fitted up to this many values.
pub const MOST_VALUES: usize = 5000;

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normality {
    /// 1 for values that lie exactly as normal ones should.
    pub w: f64,
    /// Small: not normal.
    pub p: f64,
}

/// Tests 3 to [`MOST_VALUES`] values.
///
/// # Errors
/// Too few or too many values, one that is not finite, or all equal.
pub fn shapiro_wilk(values: &[f64]) -> Result<Normality> {
    check::sample("the sample", values, 3)?;
    if values.len() > MOST_VALUES {
        let remedy = "the p-value is not calibrated beyond that: test a random part of the sample";
        let (what, have) = ("the sample".to_owned(), values.len());
        return Err(StatsError::TooMany { what, have, limit: MOST_VALUES, remedy });
    }
    let scale = Scale::of(values);
    let moments = Moments::of(values, scale);
    let squares = moments.squares.value();
    if squares <= 0.0 {
        return Err(StatsError::NoVariation { what: "the sample".to_owned() });
    }
    let sorted = sorted(values);
    let pairs = sorted.iter().zip(sorted.iter().rev());
    let contrast: f64 = weights(values.len())?
        .iter()
        .zip(pairs)
        .map(|(weight, (low, high))| weight * (scale.down(*high) - scale.down(*low)))
        .sum();
    let w = (contrast * contrast / squares).min(1.0);
    Ok(Normality { w, p: p_value(w, values.len()) })
}

/// Weights of the distances between the smallest and the largest value, the second smallest and the second
/// largest, and so on: `n / 2` of them.
fn weights(n: usize) -> Result<Vec<f64>> {
    if n == 3 {
        return Ok(vec![0.5f64.sqrt()]);
    }
    let size = n as f64;
    // Blom's approximate expected values of normal order statistics.
    let scores = (1..=n / 2)
        .map(|i| Normal.upper_quantile((i as f64 - 0.375) / (size + 0.25)))
        .collect::<Result<Vec<f64>>>()?;
    let sum = 2.0 * scores.iter().map(|score| score * score).sum::<f64>();
    let root = 1.0 / size.sqrt();
    let first = polynomial(&[0.0, 0.221_157, -0.147_981, -2.071_190, 4.434_685, -2.706_056], root)
        + scores[0] / sum.sqrt();
    let mut weights: Vec<f64>;
    if n <= 5 {
        let rest = (sum - 2.0 * scores[0] * scores[0]) / (1.0 - 2.0 * first * first);
        weights = scores.iter().map(|score| score / rest.sqrt()).collect();
    } else {
        let second = polynomial(&[0.0, 0.042_981, -0.293_762, -1.752_461, 5.682_633, -3.582_633], root)
            + scores[1] / sum.sqrt();
        let outer = scores[0] * scores[0] + scores[1] * scores[1];
        let rest = (sum - 2.0 * outer) / (1.0 - 2.0 * (first * first + second * second));
        weights = scores.iter().map(|score| score / rest.sqrt()).collect();
        weights[1] = second;
    }
    weights[0] = first;
    Ok(weights)
}

fn p_value(w: f64, n: usize) -> f64 {
    if n == 3 {
        // Exact.
        return (6.0 / PI * (w.sqrt().asin() - FRAC_PI_3)).clamp(0.0, 1.0);
    }
    let size = n as f64;
    let tail = libm::log1p(-w);
    let (value, mean, sd);
    if n <= 11 {
        let gamma = polynomial(&[-2.273, 0.459], size);
        if tail >= gamma {
            // Less normal than the approximation reaches.
            return 0.0;
        }
        value = -libm::log(gamma - tail);
        mean = polynomial(&[0.5440, -0.399_78, 0.025_054, -6.714e-4], size);
        sd = libm::exp(polynomial(&[1.3822, -0.778_57, 0.062_767, -0.002_032_2], size));
    } else {
        let log = libm::log(size);
        value = tail;
        mean = polynomial(&[-1.5861, -0.310_82, -0.083_751, 0.003_891_5], log);
        sd = libm::exp(polynomial(&[-0.4803, -0.082_676, 0.003_030_2], log));
    }
    Normal.upper_tail((value - mean) / sd)
}

/// `c[0] + c[1] x + c[2] x² + ...`
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_scores_pass_and_an_exponential_tail_does_not() {
        let scores: Vec<f64> = (1..50).map(|i| Normal.quantile(f64::from(i) / 50.0).unwrap()).collect();
        assert!(shapiro_wilk(&scores).unwrap().p > 0.9);
        let skewed: Vec<f64> = (1..50).map(|i| -(1.0 - f64::from(i) / 50.0).ln()).collect();
        assert!(shapiro_wilk(&skewed).unwrap().p < 0.001);
    }

    #[test]
    fn bounds_of_the_sample() {
        assert!(matches!(shapiro_wilk(&[1.0, 2.0]), Err(StatsError::TooFew { .. })));
        assert!(matches!(shapiro_wilk(&[4.0; 9]), Err(StatsError::NoVariation { .. })));
        assert!(matches!(shapiro_wilk(&vec![0.5; 5001]), Err(StatsError::TooMany { .. })));
        assert!(shapiro_wilk(&[1.0, 2.0, 3.0]).unwrap().p > 0.99);
        assert!(shapiro_wilk(&[1e300, 2e300, 4e300, -1e300]).unwrap().p > 0.1);
    }
}
