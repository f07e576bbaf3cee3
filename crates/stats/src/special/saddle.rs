//! The two pieces of Loader's saddle-point expansion ("Fast and accurate computation of binomial
//! probabilities", 2000). They keep densities accurate where differences of log gammas would cancel.

use std::f64::consts::PI;

/// `ln Γ(z + 1)` minus Stirling's approximation `(z + 1/2) ln z - z + ln √(2π)`, for `z > 0`.
pub(crate) fn stirling_error(z: f64) -> f64 {
    if z < 16.0 {
        return libm::lgamma(z + 1.0) - (z + 0.5) * libm::log(z) + z - 0.5 * libm::log(2.0 * PI);
    }
    let inverse = 1.0 / (z * z);
    // Bernoulli numbers B_2n / (2n (2n - 1)).
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    series.iter().rev().fold(0.0, |sum, coefficient| sum * inverse + coefficient) / z
}

/// `x ln(x / m) + m - x` without cancellation where `x` is near `m`; both positive.
pub(super) fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * libm::log(x / m) + m - x;
    }
    // ln(x / m) = 2 artanh(v), as a series in v.
    let v = difference / (x + m);
    let (mut sum, mut term) = (difference * v, 2.0 * x * v);
    for odd in (3..).step_by(2) {
        term *= v * v;
        let next = sum + term / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_definition_meet() {
        let definition = |z: f64| libm::lgamma(z + 1.0) - (z + 0.5) * z.ln() + z - 0.5 * (2.0 * PI).ln();
        for z in [16.0, 20.0, 31.5] {
            assert!((stirling_error(z) - definition(z)).abs() < 1e-13, "{z}");
        }
        assert_eq!(deviance(3.0, 3.0), 0.0);
        let (x, m) = (1.0 + 1e-9, 1.0);
        assert!((deviance(x, m) / (1e-18 / 2.0) - 1.0).abs() < 1e-6);
    }
}
