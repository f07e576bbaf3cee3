//! The standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::Distribution;

/// The normal distribution with mean 0 and variance 1.
#[derive(Clone, Copy, Debug)]
pub struct Normal;

impl Distribution for Normal {
    const SYMMETRIC: bool = true;

    fn lower_tail(&self, x: f64) -> f64 {
        0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
    }

    fn upper_tail(&self, x: f64) -> f64 {
        0.5 * libm::erfc(x * FRAC_1_SQRT_2)
    }
}

impl Normal {
    /// Density at `x`.
    #[must_use]
    pub fn density(&self, x: f64) -> f64 {
        libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt()
    }
}
