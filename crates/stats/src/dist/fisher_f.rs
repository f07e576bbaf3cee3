//! Fisher's F distribution, by the incomplete beta function (DLMF 8.17).

use super::Distribution;
use crate::check;
use crate::error::Result;
use crate::special::beta_tails;

/// The distribution of a ratio of two variances.
#[derive(Clone, Copy, Debug)]
pub struct FisherF {
    numerator_df: f64,
    denominator_df: f64,
}

impl FisherF {
    /// # Errors
    /// Degrees of freedom that are not finite and above zero.
    pub fn new(numerator_df: f64, denominator_df: f64) -> Result<Self> {
        check::positive("degrees of freedom of the numerator", numerator_df)?;
        check::positive("degrees of freedom of the denominator", denominator_df)?;
        Ok(Self { numerator_df, denominator_df })
    }

    fn tails(&self, x: f64) -> (f64, f64) {
        let ratio = x * (self.numerator_df / self.denominator_df);
        if ratio <= 0.0 {
            return (0.0, 1.0);
        }
        if ratio.is_infinite() {
            return (1.0, 0.0);
        }
        let (x, y) = (ratio / (1.0 + ratio), 1.0 / (1.0 + ratio));
        beta_tails(0.5 * self.numerator_df, 0.5 * self.denominator_df, x, y)
    }
}

impl Distribution for FisherF {
    const SYMMETRIC: bool = false;

    fn lower_tail(&self, x: f64) -> f64 {
        self.tails(x).0
    }

    fn upper_tail(&self, x: f64) -> f64 {
        self.tails(x).1
    }
}
