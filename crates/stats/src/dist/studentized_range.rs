//! The studentized range distribution behind Tukey's test: the range of `k` normal means over an independent
//! estimate of their standard deviation. The outer integral over that estimate is a trapezoid rule in its
//! logarithm; the inner one is in `range`.

use std::f64::consts::PI;

use super::range::{LARGEST, Range};
use super::{Distribution, quantile};
use crate::check;
use crate::error::{Result, StatsError};
use crate::special::stirling_error;

/// Most means that can be compared at once.
pub const MOST_MEANS: usize = 10_000;

/// Distance of the outer rule's points: the most it may be, in units of the estimate's spread, and in units of
/// the width of the inner transition.
const STEP_MAX: f64 = 0.10;
const STEP_SPREAD: f64 = 0.5;
const STEP_INNER: f64 = 0.3;
/// Terms of less than `exp(-NEGLIGIBLE)` of the sum are left out.
const NEGLIGIBLE: f64 = 40.0;

/// Upper tails from here on are read from the lower one: eleven digits are left.
const ORDINARY: f64 = 1e-4;

/// The studentized range of `k` means with `df` degrees of freedom of the pooled variance.
#[derive(Clone, Debug)]
pub struct StudentizedRange {
    df: f64,
    range: Range,
    step: f64,
    /// Density of the logarithm of the estimate at its mode.
    peak: f64,
    /// Above this logarithm of the estimate there is nothing.
    top: f64,
}

impl StudentizedRange {
    /// For `k` means, 2 to [`MOST_MEANS`], and `df >= 1`, which need not be whole.
    ///
    /// # Errors
    /// Parameters outside of these bounds.
    pub fn new(k: usize, df: f64) -> Result<Self> {
        if !(2..=MOST_MEANS).contains(&k) {
            let need = "a count from 2 to 10000";
            return Err(StatsError::Parameter { name: "the number of means", value: k as f64, need });
        }
        check::positive("degrees of freedom", df)?;
        if df < 1.0 {
            return Err(StatsError::Parameter { name: "degrees of freedom", value: df, need: "at least 1" });
        }
        let spread = 1.0 / (2.0 * df).sqrt();
        let inner = STEP_INNER / (1.0 + libm::log(k as f64));
        let step = STEP_MAX.min(STEP_SPREAD * spread).min(inner);
        let peak = (df / PI).sqrt() * libm::exp(-stirling_error(0.5 * df));
        let mut top = 0.0;
        while Self::exponent(df, top) < NEGLIGIBLE {
            top += step;
        }
        Ok(Self { df, range: Range::new(k as f64), step, peak, top })
    }

    /// Minus the logarithm of the density of `u = ln s` beside its value at the mode `u = 0`.
    fn exponent(df: f64, u: f64) -> f64 {
        0.5 * df * (libm::expm1(2.0 * u) - 2.0 * u)
    }

    /// Integrates `inner(q e^u)` over the density of `u`, downwards from `top` until nothing is left.
    fn integrate(&self, q: f64, top: f64, inner: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut before) = (0.0, 0.0);
        let mut u = top;
        loop {
            let exponent = Self::exponent(self.df, u);
            let term = libm::exp(-exponent) * inner(q * libm::exp(u));
            sum += term;
            // Both factors have a single rise and a single fall, and so has their product.
            let faded = term < before && term < sum * libm::exp(-NEGLIGIBLE);
            if faded || (u < 0.0 && exponent > 745.0) {
                return (sum * self.step * self.peak).min(1.0);
            }
            before = term;
            u -= self.step;
        }
    }
}

impl Distribution for StudentizedRange {
    const SYMMETRIC: bool = false;

    fn lower_tail(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        if x == f64::INFINITY {
            return 1.0;
        }
        self.integrate(x, self.top, |w| self.range.lower(w))
    }

    fn upper_tail(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return 1.0;
        }
        // Above this the inner tail is zero.
        let top = self.top.min(libm::log(LARGEST / x));
        self.integrate(x, top, |w| self.range.upper(w))
    }

    fn upper_quantile(&self, p: f64) -> Result<f64> {
        check::open_unit("the probability", p)?;
        if p < ORDINARY {
            return quantile::solve(p, false, |x| self.upper_tail(x));
        }
        // With few degrees of freedom the lower tail costs a quarter of the upper one.
        quantile::solve(p, false, |x| 1.0 - self.lower_tail(x))
    }
}
