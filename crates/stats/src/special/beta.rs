//! The regularised incomplete beta function, both tails (DLMF 8.17.22, contracted).

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
    // The even part of the fraction, which needs half the steps and does not cancel when `a` is large and `x`
    // near 1: there `a y - b x` is as exact as `y`.
    let gap = a * y - b * x;
    let partial = |m: f64| {
        m + m * (b - m) * x / (a + 2.0 * m - 1.0)
            + (a + m) * (gap + 1.0 + m * (1.0 + y)) / (a + 2.0 * m + 1.0)
    };
    let value = fraction(a * (gap + 1.0) / (a + 1.0), |m| {
        let scale = x / (a + 2.0 * m - 1.0);
        ((a + m - 1.0) * (n + m - 1.0) * m * (b - m) * scale * scale, partial(m))
    });
    let lower = (density / value).min(1.0);
    (lower, 1.0 - lower)
}
