//! Probability distributions with both tails and their quantiles. Tails keep their relative accuracy, so that a
//! p-value of 1e-30 is one; nothing here draws random numbers.

mod chi_squared;
mod fisher_f;
mod normal;
mod quantile;
mod range;
mod student_t;
mod studentized_range;

pub use chi_squared::ChiSquared;
pub use fisher_f::FisherF;
pub use normal::Normal;
pub use student_t::StudentT;
pub use studentized_range::{MOST_MEANS, StudentizedRange};

use crate::check;
use crate::error::{Result, StatsError};

/// A continuous distribution that is either symmetric about zero or lives on the numbers above zero.
pub trait Distribution {
    /// Whether `P(X <= -x) = P(X >= x)`; otherwise there is nothing below zero.
    const SYMMETRIC: bool;

    /// `P(X <= x)` for `x` that is not NaN.
    fn lower_tail(&self, x: f64) -> f64;

    /// `P(X > x)` for `x` that is not NaN, accurate where it is small.
    fn upper_tail(&self, x: f64) -> f64;

    /// Cumulative distribution function.
    ///
    /// # Errors
    /// `x` is NaN.
    fn cdf(&self, x: f64) -> Result<f64> {
        number(x).map(|x| self.lower_tail(x))
    }

    /// Survival function, `1 - cdf`.
    ///
    /// # Errors
    /// `x` is NaN.
    fn sf(&self, x: f64) -> Result<f64> {
        number(x).map(|x| self.upper_tail(x))
    }

    /// The value that is not exceeded with probability `p`.
    ///
    /// # Errors
    /// `p` is not strictly between 0 and 1, or the value is beyond the range of a double.
    fn quantile(&self, p: f64) -> Result<f64> {
        check::open_unit("the probability", p)?;
        if Self::SYMMETRIC {
            return match p.total_cmp(&0.5) {
                std::cmp::Ordering::Less => self.upper_quantile(p).map(|x| -x),
                std::cmp::Ordering::Equal => Ok(0.0),
                std::cmp::Ordering::Greater => self.upper_quantile(1.0 - p),
            };
        }
        if p < 0.5 {
            return quantile::solve(p, true, |x| self.lower_tail(x));
        }
        self.upper_quantile(1.0 - p)
    }

    /// The value that is exceeded with probability `p`.
    ///
    /// # Errors
    /// As [`Distribution::quantile`].
    fn upper_quantile(&self, p: f64) -> Result<f64> {
        check::open_unit("the probability", p)?;
        if p > 0.5 {
            return self.quantile(1.0 - p);
        }
        if Self::SYMMETRIC && p == 0.5 {
            return Ok(0.0);
        }
        quantile::solve(p, false, |x| self.upper_tail(x))
    }
}

fn number(x: f64) -> Result<f64> {
    if x.is_nan() {
        return Err(StatsError::Parameter {
            name: "the argument of a distribution",
            value: x,
            need: "a number",
        });
    }
    Ok(x)
}
