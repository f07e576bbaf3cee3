//! Student's t distribution, by the incomplete beta function (DLMF 8.17).

use super::Distribution;
use crate::check;
use crate::error::Result;
use crate::special::beta_tails;

/// Student's t with `df > 0` degrees of freedom, which need not be whole.
#[derive(Clone, Copy, Debug)]
pub struct StudentT {
    df: f64,
}

impl StudentT {
    /// # Errors
    /// `df` is not finite and above zero.
    pub fn new(df: f64) -> Result<Self> {
        check::positive("degrees of freedom", df)?;
        Ok(Self { df })
    }

    /// `P(|T| >= |t|)`: the two-sided p-value.
    #[must_use]
    pub fn two_sided(&self, t: f64) -> f64 {
        let squared = t / self.df.sqrt() * (t / self.df.sqrt());
        let (x, y) = (1.0 / (1.0 + squared), squared / (1.0 + squared));
        if squared.is_infinite() { 0.0 } else { beta_tails(0.5 * self.df, 0.5, x, y).0 }
    }
}

impl Distribution for StudentT {
    const SYMMETRIC: bool = true;

    fn lower_tail(&self, x: f64) -> f64 {
        self.upper_tail(-x)
    }

    fn upper_tail(&self, x: f64) -> f64 {
        let half = 0.5 * self.two_sided(x);
        if x >= 0.0 { half } else { 1.0 - half }
    }
}
