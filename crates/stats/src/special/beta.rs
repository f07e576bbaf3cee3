//! The regularised incomplete beta function, both tails (DLMF 8.17.22).

use std::f64::consts::PI;

use super::fraction;
use super::saddle::{deviance, stirling_error};

/// `(I_x(a, b), 1 - I_x(a, b))` for `a, b > 0` and `y = 1 - x`, which the caller knows without cancellation; the
/// smaller of the two keeps its relative accuracy.
pub(crate) fn beta_tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    // The fraction converges fast on this side of the mean only.
    if x * (a + b + 2.0) > a + 1.0 {
        let (upper, lower) = near(b, a, y, x);
        return (lower, upper);
    }
    near(a, b, x, y)
}

fn near(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    let n = a + b;
    // x^a y^b / B(a, b)
    let exponent =
        stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y);
    let density = libm::exp(exponent) * (a / n * b / (2.0 * PI)).sqrt();
    let value = fraction(1.0, |i| {
        let m = (i / 2.0).floor();
        let numerator = if i % 2.0 == 0.0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (n + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        (numerator, 1.0)
    });
    let lower = (density / (a * value)).min(1.0);
    (lower, 1.0 - lower)
}
