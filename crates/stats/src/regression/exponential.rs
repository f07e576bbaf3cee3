//! Regression on `y = a e^(b x)`, as least squares of `ln y` on `x`: errors are taken to be in proportion to
//! `y`. Not the fit that minimises squares of `y` itself.

use super::polynomial::{Polynomial, linear};
use crate::check;
use crate::error::{Result, StatsError};
use crate::interval::Interval;

/// A fitted exponential curve.
#[derive(Clone, Debug)]
pub struct Exponential {
    /// `a`: the curve at `x = 0`, in units of `y`.
    pub factor: f64,
    pub factor_interval: Interval,
    /// `b`: relative growth per unit of `x`.
    pub rate: f64,
    pub rate_interval: Interval,
    /// The line through `ln y`, with errors, p-values and R² on that scale: coefficients `ln a` and `b`.
    pub log_line: Polynomial,
    /// `1 - Σ(y - curve)² / Σ(y - mean)²` in units of `y`. Below zero when the mean would do better.
    pub r_squared_of_y: f64,
}

/// Fits to at least three pairs with `y > 0`.
///
/// # Errors
/// As [`super::linear`]; a `y` that is not above zero; results that a double cannot hold.
pub fn exponential(x: &[f64], y: &[f64], confidence: f64) -> Result<Exponential> {
    check::pairs("x and y", x, y, 3)?;
    if let Some(index) = y.iter().position(|value| *value <= 0.0) {
        return Err(StatsError::Value { what: "y", index, value: y[index], need: "above 0" });
    }
    let logs: Vec<f64> = y.iter().map(|value| libm::log(*value)).collect();
    let log_line = linear(x, &logs, confidence)?;
    let (level, rate) = (log_line.fit.coefficients[0], log_line.fit.coefficients[1]);
    let grow = |log| check::finite("the factor", libm::exp(log));
    let factor_interval =
        Interval { low: grow(level.interval.low)?, high: grow(level.interval.high)?, confidence };
    let mut curve = Vec::with_capacity(x.len());
    for value in x {
        curve.push(check::finite("the curve", libm::exp(log_line.predict(*value)?))?);
    }
    Ok(Exponential {
        factor: grow(level.estimate)?,
        factor_interval,
        rate: rate.estimate,
        rate_interval: rate.interval,
        log_line,
        r_squared_of_y: explained(y, &curve),
    })
}

impl Exponential {
    /// The curve at `x`.
    ///
    /// # Errors
    /// `x` is not finite, or the value is beyond the range of a double.
    pub fn predict(&self, x: f64) -> Result<f64> {
        check::finite("the predicted value", libm::exp(self.log_line.predict(x)?))
    }
}

/// Share of the variation of `y`, all above zero and not all equal, that the curve explains.
fn explained(y: &[f64], curve: &[f64]) -> f64 {
    // Relative to the largest value, so that squares stay in range.
    let largest = y.iter().chain(curve).fold(0.0_f64, |largest, value| largest.max(*value));
    let mean = y.iter().map(|value| value / largest).sum::<f64>() / y.len() as f64;
    let total: f64 = y.iter().map(|value| (value / largest - mean).powi(2)).sum();
    let rest: f64 = y.iter().zip(curve).map(|(value, curve)| ((value - curve) / largest).powi(2)).sum();
    if total > 0.0 { 1.0 - rest / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_found() {
        let x = [0.0, 1.0, 2.0, 3.0];
        let y = [2.0, 4.1, 7.9, 16.1];
        let curve = exponential(&x, &y, 0.95).unwrap();
        assert!(curve.rate_interval.contains(2f64.ln()), "{curve:?}");
        assert!(curve.factor_interval.contains(2.0) && curve.factor_interval.contains(curve.factor));
        assert!(curve.r_squared_of_y > 0.999);
        assert!((curve.predict(4.0).unwrap() - 32.0).abs() < 1.0);
    }

    #[test]
    fn values_without_logarithm_are_named() {
        let error = exponential(&[1.0, 2.0, 3.0], &[1.0, 0.0, 2.0], 0.95).unwrap_err();
        assert!(error.to_string().contains("value 1 is 0, has to be above 0"), "{error}");
        assert!(exponential(&[1.0, 2.0, 3.0], &[5.0; 3], 0.95).is_err());
        assert!(exponential(&[1.0, 2.0, 3.0], &[1e-300, 1e300, 1e-300], 0.95).is_err());
    }
}
