//! The table of a least-squares fit: coefficients with their errors, and how much the fit explains. Takes a
//! solution in a well-conditioned basis and restates it in the units of the caller.

use super::qr::{Column, Solution, least_squares};
use crate::check;
use crate::dd::Dd;
use crate::dist::{Distribution, FisherF, StudentT};
use crate::error::{Result, StatsError};
use crate::interval::Interval;
use crate::moments::{Moments, Scale};

/// A residual shorter than this share of `y` is rounding: the fit is perfect.
const PERFECT: f64 = 1e-27;

/// One coefficient of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficient {
    pub estimate: f64,
    pub standard_error: f64,
    /// Estimate over standard error; infinite for a perfect fit, zero for a coefficient of zero.
    pub t: f64,
    /// Two-sided: chance of so large a `t` if the coefficient were zero.
    pub p: f64,
    pub interval: Interval,
}

/// A least-squares fit with an intercept.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub n: usize,
    /// The intercept first.
    pub coefficients: Vec<Coefficient>,
    pub r_squared: f64,
    pub adjusted_r_squared: f64,
    /// Estimate of the standard deviation of `y` about the curve, in units of `y`.
    pub residual_sd: f64,
    pub regression_sum_of_squares: f64,
    pub residual_sum_of_squares: f64,
    pub regression_df: f64,
    pub residual_df: f64,
    /// Does the fit explain more than its mean? Infinite for a perfect fit.
    pub f: f64,
    pub p: f64,
}

/// A design in the basis that is good to calculate in, and the way back.
pub(super) struct Design {
    /// The constant column is not among them.
    pub(super) columns: Vec<Column>,
    /// Row by row: the caller's coefficients, intercept first, from those of the basis.
    pub(super) back: Vec<Vec<Dd>>,
    /// Largest magnitude of each of the caller's columns, 1 for the intercept.
    pub(super) largest: Vec<f64>,
}

/// A fit in both bases.
pub(super) struct Solved {
    pub(super) fit: Fit,
    /// Coefficients in the basis of the design and the factor of their covariance, in units of `y`.
    pub(super) basis: Vec<f64>,
    pub(super) inverse: Vec<Vec<Dd>>,
}

/// Fits checked `y` to a design.
pub(super) fn fit(design: Design, y: &[f64], confidence: f64) -> Result<Solved> {
    check::open_unit("the confidence", confidence)?;
    let (n, terms) = (y.len(), design.columns.len() + 1);
    if n <= terms {
        return Err(StatsError::TooFew { what: "the sample".to_owned(), have: n, need: terms + 1 });
    }
    let scale = Scale::of(y);
    let moments = Moments::of(y, scale);
    if moments.squares.value() <= 0.0 {
        return Err(StatsError::NoVariation { what: "y".to_owned() });
    }
    let constant = Column { values: vec![Dd::ONE; n], norm_as_measured: (n as f64).sqrt() };
    let columns = std::iter::once(constant).chain(design.columns).collect();
    let centred = y.iter().map(|value| Dd::from(scale.down(*value)) - moments.mean).collect();
    let mut solution = least_squares(columns, centred)?;
    solution.coefficients[0] = solution.coefficients[0] + moments.mean;
    let length = (moments.squares + moments.mean.square() * Dd::from(n as f64)).sqrt().value();
    let perfect = solution.residual_squares.sqrt().value() <= PERFECT * length;
    if perfect {
        solution.residual_squares = Dd::ZERO;
    }
    let regression: Dd = solution.effects[1..].iter().copied().sum();
    let (regression_df, residual_df) = ((terms - 1) as f64, (n - terms) as f64);
    let total = regression + solution.residual_squares;
    let residual = solution.residual_squares / total;
    let sd = (solution.residual_squares / Dd::from(residual_df)).sqrt();
    let f = if perfect {
        f64::INFINITY
    } else {
        check::finite("F", (regression / solution.residual_squares).value() * (residual_df / regression_df))?
    };
    let context = Context { scale, sd, perfect, residual_df, confidence, largest_y: largest(y) };
    let up = |squares: Dd| {
        scale.up_squared(squares.value()).ok_or(StatsError::OutOfRange { what: "a sum of squares" })
    };
    let fit = Fit {
        n,
        coefficients: context.coefficients(&design.back, &design.largest, &solution)?,
        r_squared: (regression / total).value(),
        adjusted_r_squared: 1.0 - residual.value() * ((n as f64 - 1.0) / residual_df),
        residual_sd: check::finite("the residual standard deviation", scale.up(sd.value()))?,
        regression_sum_of_squares: up(regression)?,
        residual_sum_of_squares: up(solution.residual_squares)?,
        regression_df,
        residual_df,
        f,
        p: FisherF::new(regression_df, residual_df)?.upper_tail(f),
    };
    let basis = solution.coefficients.iter().map(|value| scale.up(value.value())).collect();
    Ok(Solved { fit, basis, inverse: solution.inverse })
}

/// Largest magnitude.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

struct Context {
    scale: Scale,
    sd: Dd,
    perfect: bool,
    residual_df: f64,
    confidence: f64,
    largest_y: f64,
}

impl Context {
    fn coefficients(
        &self,
        back: &[Vec<Dd>],
        largest: &[f64],
        solution: &Solution,
    ) -> Result<Vec<Coefficient>> {
        let student = StudentT::new(self.residual_df)?;
        let critical = student.upper_quantile(0.5 - 0.5 * self.confidence)?;
        let coefficient = |(row, largest): (&Vec<Dd>, &f64)| {
            let estimate: Dd = row.iter().zip(&solution.coefficients).map(|(a, b)| *a * *b).sum();
            let spread: Dd = (0..row.len())
                .map(|column| {
                    let along = row.iter().zip(&solution.inverse).map(|(a, b)| *a * b[column]);
                    along.sum::<Dd>().square()
                })
                .sum();
            let estimate = check::finite("a coefficient", self.scale.up(estimate.value()))?;
            let error = (spread.sqrt() * self.sd).value();
            let standard_error = check::finite("a standard error", self.scale.up(error))?;
            // Beside a perfect fit, what adds nothing to any value of y is rounding.
            let nothing = self.perfect && estimate.abs() * largest <= 1e-25 * self.largest_y;
            let estimate = if nothing { 0.0 } else { estimate };
            let t = match () {
                () if estimate == 0.0 => 0.0,
                () => estimate / standard_error,
            };
            Ok(Coefficient {
                estimate,
                standard_error,
                t,
                p: student.two_sided(t),
                interval: Interval::around(estimate, critical * standard_error, self.confidence)?,
            })
        };
        back.iter().zip(largest).map(coefficient).collect()
    }
}
