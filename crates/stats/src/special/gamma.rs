//! The regularised incomplete gamma function, both tails (DLMF 8.7.1 and 8.9.2).

use std::f64::consts::PI;

use super::saddle::{deviance, stirling_error};
use super::{STEPS, fraction};

/// `(P(a, x), Q(a, x))` for `a > 0`, `x >= 0`; the smaller of the two keeps its relative accuracy.
pub(crate) fn gamma_tails(a: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x == f64::INFINITY {
        return (1.0, 0.0);
    }
    // x^a e^-x / Γ(a + 1)
    let density = libm::exp(-stirling_error(a) - deviance(a, x)) / (2.0 * PI * a).sqrt();
    if x < a + 1.0 {
        let (mut sum, mut term) = (1.0, 1.0);
        for step in 1..=STEPS {
            term *= x / (a + step as f64);
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        let lower = (density * sum).min(1.0);
        return (lower, 1.0 - lower);
    }
    let b0 = x + 1.0 - a;
    let value = fraction(b0, |i| (-i * (i - a), b0 + 2.0 * i));
    let upper = (density * a / value).min(1.0);
    (1.0 - upper, upper)
}
