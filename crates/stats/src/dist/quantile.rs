//! The inverse of a tail probability on the numbers above zero, in logarithms of both axes, where tails are
//! nearly straight. One solver for all distributions.

use crate::error::{Result, StatsError};

/// Tails are evaluated at most this many times.
const STEPS: usize = 300;
/// `ln x` is searched between minus and plus this.
const LIMIT: f64 = 700.0;
/// Where `ln` of a tail is off by more at the root, there is none.
const JUMP: f64 = 1e-7;

/// The `x > 0` at which `tail` is `p`; `tail` rises with `x` or falls.
pub(super) fn solve(p: f64, rises: bool, tail: impl Fn(f64) -> f64) -> Result<f64> {
    let target = libm::log(p);
    let excess = |u: f64| {
        let difference = libm::log(tail(libm::exp(u))) - target;
        if rises { difference } else { -difference }
    };
    let (mut low, mut high) = (0.0, 0.0);
    let start = excess(0.0);
    let (mut at_low, mut at_high) = (start, start);
    let mut step = 0.5;
    while at_low > 0.0 {
        (high, at_high) = (low, at_low);
        low = below(low - step)?;
        at_low = excess(low);
        step *= 2.0;
    }
    while at_high < 0.0 {
        (low, at_low) = (high, at_high);
        high = below(high + step)?;
        at_high = excess(high);
        step *= 2.0;
    }
    let root = chandrupatla((low, at_low), (high, at_high), excess);
    // A tail that falls to zero at once has overflowed on the way: its quantile lies beyond.
    if excess(root).abs() > JUMP {
        return Err(StatsError::OutOfRange { what: "the quantile" });
    }
    Ok(libm::exp(root))
}

fn below(u: f64) -> Result<f64> {
    if u.abs() > LIMIT { Err(StatsError::OutOfRange { what: "the quantile" }) } else { Ok(u) }
}

/// Root between two points whose values do not have the same sign: inverse quadratic interpolation where that
/// is safe, bisection elsewhere (Chandrupatla 1997).
fn chandrupatla(low: (f64, f64), high: (f64, f64), function: impl Fn(f64) -> f64) -> f64 {
    let ((mut a, mut fa), (mut b, mut fb)) = (high, low);
    let mut share = 0.5;
    for _ in 0..STEPS {
        if fa == 0.0 {
            return a;
        }
        if fb == 0.0 {
            return b;
        }
        let x = a + share * (b - a);
        let fx = function(x);
        let (c, fc);
        if (fx > 0.0) == (fa > 0.0) {
            (c, fc) = (a, fa);
        } else {
            (c, fc) = (b, fb);
            (b, fb) = (a, fa);
        }
        (a, fa) = (x, fx);
        let (best, value) = if fa.abs() < fb.abs() { (a, fa) } else { (b, fb) };
        let tolerance = 2.0 * f64::EPSILON * best.abs() + 1e-16;
        let width = tolerance / (b - a).abs();
        if width > 0.5 || value == 0.0 {
            return best;
        }
        let xi = (a - b) / (c - b);
        let phi = (fa - fb) / (fc - fb);
        let safe = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
        let jump = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb);
        // A tail that underflows has an infinite logarithm: then the jump is no number and halves do.
        share = if safe && jump.is_finite() { jump.clamp(width, 1.0 - width) } else { 0.5 };
    }
    if fa.abs() < fb.abs() { a } else { b }
}
