//! The chi-squared distribution, by the incomplete gamma function (DLMF 8.2).

use super::Distribution;
use crate::check;
use crate::error::Result;
use crate::special::gamma_tails;

/// The distribution of a sum of `df` squared standard normals.
#[derive(Clone, Copy, Debug)]
pub struct ChiSquared {
    df: f64,
}

impl ChiSquared {
    /// # Errors
    /// `df` is not finite and above zero.
    pub fn new(df: f64) -> Result<Self> {
        check::positive("degrees of freedom", df)?;
        Ok(Self { df })
    }
}

impl Distribution for ChiSquared {
    const SYMMETRIC: bool = false;

    fn lower_tail(&self, x: f64) -> f64 {
        gamma_tails(0.5 * self.df, 0.5 * x).0
    }

    fn upper_tail(&self, x: f64) -> f64 {
        gamma_tails(0.5 * self.df, 0.5 * x).1
    }
}
